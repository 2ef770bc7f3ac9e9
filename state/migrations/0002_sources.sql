-- How many rows each source had when a plan made from it was last applied: one that lost many since is refused.
CREATE TABLE source (
    name       TEXT    PRIMARY KEY,
    rows       INTEGER NOT NULL,
    applied_at INTEGER NOT NULL              -- milliseconds since 1970, UTC
) STRICT;
