-- What tells this record from a copy of it, and its account from another one. NULL: not known yet.
ALTER TABLE meta ADD COLUMN file_inode INTEGER;  -- of the file that the last run wrote to
ALTER TABLE meta ADD COLUMN file_birth INTEGER;  -- the same, where the file system knows it: nanoseconds since 1970
ALTER TABLE meta ADD COLUMN account    BLOB;     -- the digest of the consumer key, keyed with this record's identity
