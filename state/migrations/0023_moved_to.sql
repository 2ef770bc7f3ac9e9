-- Where the record was carried to by `record move`: it is closed then. NULL: it is still here.
ALTER TABLE meta ADD COLUMN moved_to TEXT;
