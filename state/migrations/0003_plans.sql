-- What a saved plan is held against: it is of one record, and applied once.
ALTER TABLE meta ADD COLUMN identity TEXT NOT NULL DEFAULT '';  -- tells this record from all others
UPDATE meta SET identity = lower(hex(randomblob(16)));

ALTER TABLE run ADD COLUMN plan TEXT;                           -- the id of the saved plan that it applied, if any
CREATE UNIQUE INDEX run_by_plan ON run (plan) WHERE plan IS NOT NULL;
