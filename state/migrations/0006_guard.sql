-- What the guard counts, and what it compares a plan with.

-- When it was last stopped or let go, or began to leave: by the real clock, for the count of a day.
ALTER TABLE participation ADD COLUMN gone_at INTEGER;
-- Who began to leave before was not counted then, and is not counted when it is stopped: it begins to leave anew.
UPDATE participation SET left_at = NULL WHERE left_at IS NOT NULL;

-- From when on the guard counts: an apply with --allow-large and `adopt` begin the count anew.
ALTER TABLE meta ADD COLUMN counted_from INTEGER;
UPDATE meta SET counted_from = CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER);

-- What each automation was last applied with: names of the configuration alone.
CREATE TABLE applied (
    automation TEXT PRIMARY KEY,
    sources    TEXT NOT NULL,            -- names and contact columns of its sources, as a JSON object
    repeat_by  TEXT
) STRICT;
