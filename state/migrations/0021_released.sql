-- When it was last triggered after a suppression had kept it from running, for the guard's count of a day.
ALTER TABLE participation ADD COLUMN released_at INTEGER;
