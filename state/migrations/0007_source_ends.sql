-- Whether a source's file ended with a line end when it was last applied: one that did and no longer does was cut short.
ALTER TABLE source ADD COLUMN ends_with_line_end INTEGER;      -- 1 or 0; NULL: not known yet
