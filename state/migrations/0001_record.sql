-- The record of participations, and of every call that was ever made.
-- It holds ids, names, codes, states, times and digests, and no other personal data.

PRAGMA application_id = 0x526f6c6c;  -- "Roll": tells this file from other SQLite files

CREATE TABLE meta (
    only   INTEGER PRIMARY KEY CHECK (only = 1),
    serial INTEGER NOT NULL              -- grows with every change of a participation
) STRICT;
INSERT INTO meta (only, serial) VALUES (1, 0);

CREATE TABLE automation (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE trigger_code (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE
) STRICT;

-- Where each participation stands. The primary key is the order in which a plan is made.
-- Times are milliseconds since 1970, UTC.
CREATE TABLE participation (
    contact      TEXT    NOT NULL,
    automation   INTEGER NOT NULL REFERENCES automation (id),
    occurrence   TEXT    NOT NULL,       -- '' where the automation does not repeat
    state        TEXT    NOT NULL,
    trigger_code INTEGER NOT NULL REFERENCES trigger_code (id),
    ids          TEXT,                   -- the automationContactIds, as a JSON array
    fields       BLOB,                   -- the digest of the fields that were sent
    detail       TEXT,                   -- why it stands there, in the words of the wire
    triggered_at INTEGER,
    changed_at   INTEGER NOT NULL,
    left_at      INTEGER,                -- when its enrolment was first seen gone
    PRIMARY KEY (contact, automation, occurrence)
) STRICT, WITHOUT ROWID;

-- One run of a command that may change the record.
CREATE TABLE run (
    id            INTEGER PRIMARY KEY,
    command       TEXT    NOT NULL,
    started_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    host          TEXT    NOT NULL,
    pid           INTEGER NOT NULL,
    version       TEXT    NOT NULL,
    config_digest TEXT,
    git_revision  TEXT
) STRICT;

-- Every call, written before its first byte leaves. One that is not settled may have been carried out.
CREATE TABLE call (
    id               INTEGER PRIMARY KEY,
    run              INTEGER NOT NULL REFERENCES run (id),
    kind             TEXT    NOT NULL,   -- trigger or stop
    contact          TEXT    NOT NULL,
    automation       INTEGER NOT NULL REFERENCES automation (id),
    occurrence       TEXT,               -- NULL: all of the contact's participations in the automation
    trigger_code     INTEGER NOT NULL REFERENCES trigger_code (id),
    participation_id TEXT,               -- the one that a stop is for, where it is for one
    fields           BLOB,
    sent_at          INTEGER NOT NULL,
    settled_at       INTEGER,
    outcome          TEXT,
    http_status      INTEGER,
    detail           TEXT,
    entries          TEXT                -- what each published automation answered, as a JSON array
) STRICT;
CREATE INDEX call_by_contact ON call (contact);
CREATE INDEX call_open ON call (id) WHERE outcome IS NULL;

-- Who may write. Every writing transaction proves that this row is still its own.
CREATE TABLE lock (
    only         INTEGER PRIMARY KEY CHECK (only = 1),
    holder       TEXT    NOT NULL,
    host         TEXT    NOT NULL,
    pid          INTEGER NOT NULL,
    command      TEXT    NOT NULL,
    acquired_at  INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL
) STRICT;
