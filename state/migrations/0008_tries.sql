-- How often in a row a contact that Spotler does not know yet was tried: each wait is twice as long as the one before.
ALTER TABLE participation ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
