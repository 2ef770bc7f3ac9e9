-- What tells the process that holds the lock from another one that has its number later; NULL where the system does not say.
ALTER TABLE lock ADD COLUMN process TEXT;
