-- The [[moved]] blocks that were last applied, as a JSON array of pairs: a name that others moved to, as in a swap, is not
-- moved on by the same block again.
ALTER TABLE meta ADD COLUMN moved TEXT;
