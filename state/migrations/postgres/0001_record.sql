-- The record of participations, and of every call that was ever made: the same as in SQLite, where the migrations say more.
-- It holds ids, names, codes, states, times and digests, and no other personal data.
-- Texts are sorted bytewise. Times are milliseconds since 1970, UTC.

CREATE TABLE migration (
    version bigint      PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE meta (
    one          integer PRIMARY KEY CHECK (one = 1),
    identity     text    NOT NULL,           -- tells this record from all others
    serial       bigint  NOT NULL,           -- grows with every change of a participation
    service      text,                       -- the host of base_url; NULL: not known yet
    account      bytea,                      -- the digest of the consumer key, keyed with this record's identity
    counted_from bigint,                     -- from when on the guard counts
    moved        text,                       -- the [[moved]] blocks that were last applied, as a JSON array of pairs
    system       text,                       -- where the last run wrote to: the cluster,
    timeline     bigint,                     -- its timeline,
    database     bigint,                     -- the database,
    tables       text,                       -- and the tables, by their oids
    moved_to     text                        -- where the record was carried; NULL: it is still here
);
COMMENT ON TABLE meta IS 'Rollcall';

CREATE TABLE automation (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE trigger_code (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX trigger_code_by_code ON trigger_code (lower(code));

-- Where each participation stands. The primary key is the order in which a plan is made. What it points to is looked after by
-- who writes: a check of each row would cost more than the row.
CREATE TABLE participation (
    contact      text COLLATE "C" NOT NULL,
    automation   bigint           NOT NULL,
    occurrence   text COLLATE "C" NOT NULL,  -- '' where the automation does not repeat
    state        text             NOT NULL,
    trigger_code bigint           NOT NULL,
    ids          text COLLATE "C",           -- the automationContactIds, as a JSON array
    fields       bytea,                      -- the digest of the fields that were sent
    detail       text COLLATE "C",           -- why it stands there, in the words of the wire
    triggered_at bigint,
    changed_at   bigint           NOT NULL,
    left_at      bigint,                     -- when its enrolment was first seen gone
    gone_at      bigint,                     -- when it was last stopped or let go, or began to leave
    released_at  bigint,                     -- when it was last triggered after a suppression had kept it from running
    tries        bigint           NOT NULL DEFAULT 0,
    PRIMARY KEY (contact, automation, occurrence)
);
CREATE INDEX participation_by_ids ON participation (ids) WHERE ids IS NOT NULL;

-- One run of a command that may change the record.
CREATE TABLE run (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    command       text   NOT NULL,
    started_at    bigint NOT NULL,
    ended_at      bigint,
    host          text   NOT NULL,
    pid           bigint NOT NULL,
    version       text   NOT NULL,
    config_digest text,
    git_revision  text,
    plan          text                       -- the id of the saved plan that it applied, if any
);
CREATE UNIQUE INDEX run_by_plan ON run (plan) WHERE plan IS NOT NULL;

-- Every call, written before its first byte leaves. One that is not settled may have been carried out.
CREATE TABLE call (
    id               bigint PRIMARY KEY,
    run              bigint           NOT NULL,
    kind             text COLLATE "C" NOT NULL,   -- trigger or stop
    contact          text COLLATE "C" NOT NULL,
    automation       bigint           NOT NULL,
    occurrence       text COLLATE "C",            -- NULL: all of the contact's participations in the automation
    trigger_code     bigint           NOT NULL,
    participation_id text COLLATE "C",            -- the one that a stop is for, where it is for one
    fields           bytea,
    sent_at          bigint           NOT NULL,
    settled_at       bigint,
    outcome          text COLLATE "C",
    http_status      bigint,
    detail           text COLLATE "C",
    entries          text                         -- what each published automation answered, as a JSON array
);
CREATE INDEX call_by_contact ON call (contact);
CREATE INDEX call_open ON call (id) WHERE outcome IS NULL;

-- automationContactIds that came for two contacts.
CREATE TABLE doubted_ids (
    ids text COLLATE "C" PRIMARY KEY
);

-- Who may write. Every writing transaction proves that this row is still its own, and counts itself in it: so it can be asked
-- later whether it was committed. Its times are those of the server.
CREATE TABLE lock (
    one          integer     PRIMARY KEY CHECK (one = 1),
    holder       text        NOT NULL,
    host         text        NOT NULL,
    pid          bigint      NOT NULL,
    process      text,
    command      text        NOT NULL,
    acquired_at  timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    batch        bigint      NOT NULL DEFAULT 0
);

-- How each source was when a plan made from it was last applied.
CREATE TABLE source (
    name               text COLLATE "C" PRIMARY KEY,
    rows               bigint NOT NULL,
    applied_at         bigint NOT NULL,
    ends_with_line_end boolean
);

-- What each automation was last applied with: names of the configuration alone.
CREATE TABLE applied (
    automation text COLLATE "C" PRIMARY KEY,
    sources    text NOT NULL,                -- names and contact columns of its sources, as a JSON object
    repeat_by  text
);
