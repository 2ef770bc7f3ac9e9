//! The statements of a writing transaction: one for each table, whatever the number of rows, which are passed as columns.

use std::collections::HashSet;

use super::link::Place;
use super::statement::Statement;
use crate::digest::Digest;
use crate::id::ParticipationId;
use crate::record::batch::{Batch, StateChange, Whole};
use crate::record::guarded::GUARDED_DAY;
use crate::record::merged::Merges;
use crate::record::participation::{Key, State};
use crate::record::store::names::Names;
use crate::record::writer::{SAME_IDS, ids_json};
use jiff::Timestamp;

/// So many participations are in one statement at the most.
const ROWS: usize = 8192;

/// Writes participations whole: at $1; $2 is a day before that.
const WHOLE: &str = "\
INSERT INTO ~participation AS p
    (contact, automation, occurrence, state, trigger_code, ids, fields, detail, triggered_at, changed_at, tries)
SELECT contact, automation, occurrence, state, code, ids, fields, detail, triggered_at, $1, tries
FROM unnest($3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::bytea[], $10::text[],
    $11::bigint[], $12::bigint[])
    AS new (contact, automation, occurrence, state, code, ids, fields, detail, triggered_at, tries)
ON CONFLICT (contact, automation, occurrence) DO UPDATE SET
    state = excluded.state, trigger_code = excluded.trigger_code, ids = excluded.ids, fields = excluded.fields,
    detail = excluded.detail, triggered_at = excluded.triggered_at, changed_at = excluded.changed_at, left_at = NULL, triggered_as = NULL,
    tries = CASE WHEN excluded.tries = 0 THEN 0 ELSE p.tries + 1 END,
    gone_at = CASE WHEN p.gone_at > $2 THEN p.gone_at END,
    released_at = CASE
        WHEN excluded.triggered_at > $2 AND coalesce(p.detail, '') NOT LIKE 'suppressed by require %'
            AND (p.state = 'withheld' OR p.state IN ('stopped', 'ended') AND p.detail LIKE 'suppressed%')
        THEN excluded.triggered_at WHEN p.released_at > $2 THEN p.released_at END";

/// Proves that the lease $1 is held and that its last batch was $3 or one behind it that was tried before $2: else it is an
/// error, so that nothing of the transaction is kept.
const FENCE: &str = "\
WITH held AS (
    UPDATE ~lock SET heartbeat_at = clock_timestamp(), batch = $2
    WHERE holder = $1 AND batch >= $3 AND batch < $2 RETURNING 1
)
SELECT 1 / count(*) FROM held";

/// The code of that error: nothing else here is divided.
pub(super) const NOT_HELD: &str = "22012";

/// What is sent at $1 by the run $2.
const SENT: &str = "\
INSERT INTO ~call (id, run, kind, contact, automation, occurrence, trigger_code, participation_id, fields, sent_at)
SELECT id, $2, kind, contact, automation, occurrence, code, participation, fields, $1
FROM unnest($3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[], $9::text[], $10::bytea[])
    AS new (id, kind, contact, automation, occurrence, code, participation, fields)";

const SETTLED: &str = "\
UPDATE ~call AS c SET settled_at = $1, outcome = new.outcome, http_status = new.status, detail = new.detail,
    entries = new.entries
FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[]) AS new (id, outcome, status, detail, entries)
WHERE c.id = new.id";

const DOUBTS: &str = "\
UPDATE ~participation AS p SET state = new.state, detail = $2, changed_at = $1, ids = NULL
FROM unnest($3::text[], $4::bigint[], $5::text[], $6::text[]) AS new (contact, automation, occurrence, state)
WHERE p.contact = new.contact AND p.automation = new.automation AND p.occurrence = new.occurrence";

const DOUBTED_IDS: &str = "\
INSERT INTO ~doubted_ids (ids) SELECT DISTINCT unnest($1::text[]) ON CONFLICT DO NOTHING";

/// Who began to leave was counted then.
const STATES: &str = "\
UPDATE ~participation AS p SET state = new.state, detail = new.detail, changed_at = $1,
    left_at = CASE WHEN new.goes_on THEN p.left_at ELSE new.ended_ahead END,
    triggered_at = CASE WHEN NOT new.forgets THEN p.triggered_at END,
    gone_at = CASE WHEN new.is_over AND p.left_at IS NULL THEN $1 ELSE p.gone_at END
FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::boolean[], $9::boolean[],
        $10::bigint[])
    AS new (contact, automation, occurrence, state, detail, goes_on, forgets, is_over, ended_ahead)
WHERE p.contact = new.contact AND p.automation = new.automation AND p.occurrence = new.occurrence";

/// Who is back was not stopped and need not be counted.
const MARKS: &str = "\
UPDATE ~participation AS p SET left_at = new.left_at,
    gone_at = CASE WHEN new.left_at IS NULL THEN NULL WHEN p.left_at IS NULL THEN $1 ELSE p.gone_at END
FROM unnest($2::text[], $3::bigint[], $4::text[], $5::bigint[]) AS new (contact, automation, occurrence, left_at)
WHERE p.contact = new.contact AND p.automation = new.automation AND p.occurrence = new.occurrence";

const SOURCE: &str = "\
INSERT INTO ~source (name, rows, applied_at, ends_with_line_end) VALUES ($2, $3, $1, $4)
ON CONFLICT (name) DO UPDATE SET rows = excluded.rows, applied_at = excluded.applied_at,
    ends_with_line_end = excluded.ends_with_line_end";

const FORGET: [&str; 3] = [
    "DELETE FROM ~merged WHERE contact = ANY ($1::text[]) OR becomes = ANY ($1::text[])",
    "DELETE FROM ~participation WHERE contact = ANY ($1::text[])",
    "DELETE FROM ~call WHERE contact = ANY ($1::text[])",
];

const APPLIED: &str = "\
INSERT INTO ~applied (automation, sources, repeat_by) VALUES ($1, $2, $3)
ON CONFLICT (automation) DO UPDATE SET sources = excluded.sources, repeat_by = excluded.repeat_by";

/// Where a contact is under both names already, who runs keeps the new one; what runs under both stays under both. Calls keep
/// the name by which they were made. From $1 to $2; $3 are the states that run.
const MOVE: [&str; 2] = [
    "DELETE FROM ~participation AS new WHERE automation = (SELECT id FROM ~automation WHERE name = $2)
     AND state <> ALL ($3::text[]) AND EXISTS (SELECT FROM ~participation AS old
         WHERE old.automation = (SELECT id FROM ~automation WHERE name = $1) AND old.contact = new.contact
         AND old.occurrence = new.occurrence AND old.state = ANY ($3::text[]))",
    "UPDATE ~participation AS old SET automation = (SELECT id FROM ~automation WHERE name = $2)
     WHERE automation = (SELECT id FROM ~automation WHERE name = $1) AND $3::text[] IS NOT NULL
     AND NOT EXISTS (SELECT FROM ~participation AS new
         WHERE new.automation = (SELECT id FROM ~automation WHERE name = $2) AND new.contact = old.contact
         AND new.occurrence = old.occurrence)",
];
const MOVE_APPLIED: [&str; 2] = [
    "DELETE FROM ~applied WHERE automation = $2 AND EXISTS (SELECT FROM ~applied WHERE automation = $1)",
    "UPDATE ~applied SET automation = $2 WHERE automation = $1",
];

/// What takes the place of others, which go first.
const MERGE: &str = "\
UPDATE ~participation AS p SET contact = new.becomes,
    triggered_as = CASE WHEN p.contact = new.becomes THEN p.triggered_as
        ELSE nullif(coalesce(p.triggered_as, p.contact), new.becomes) END,
    triggered_at = new.triggered_at, gone_at = new.gone_at, released_at = new.released_at
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
    AS new (contact, automation, occurrence, becomes, triggered_at, gone_at, released_at)
WHERE p.contact = new.contact AND p.automation = new.automation AND p.occurrence = new.occurrence";
const MERGED_OVER: &str = "\
DELETE FROM ~participation AS p
USING unnest($1::text[], $2::bigint[], $3::text[]) AS over (contact, automation, occurrence)
WHERE p.contact = over.contact AND p.automation = over.automation AND p.occurrence = over.occurrence";
const MERGED_IDS: &str = "\
INSERT INTO ~merged (contact, becomes) SELECT contact, becomes FROM unnest($1::text[], $2::text[]) AS new (contact, becomes)
ON CONFLICT (contact) DO UPDATE SET becomes = excluded.becomes";

/// The lease by which a batch is written.
pub(super) struct Fence<'h> {
    /// Its token.
    pub holder: &'h str,
    /// The number of the batch.
    pub batch: i64,
    /// The number of the last one that is known to be committed.
    pub behind: i64,
}

/// Statements that belong together.
pub(super) struct Script<'p> {
    at: &'p Place,
    sql: String,
}

impl Script<'_> {
    /// Adds one, with its values.
    fn add(&mut self, text: &str, bind: impl FnOnce(Statement) -> Statement) {
        self.sql
            .push_str(&bind(Statement::new(self.at, text)).sql());
        self.sql.push_str(";\n");
    }
}

/// The statements for all of a batch but its run, which has this number. Where the lease is not held, or its last batch is not
/// one of those that the fence allows, they end with [`NOT_HELD`].
pub(super) fn script(
    at: &Place,
    names: &Names,
    run: i64,
    batch: &Batch,
    fence: Fence<'_>,
) -> Result<String, sqlx::Error> {
    let now = batch.at.as_millisecond();
    let sql = String::new();
    let mut script = Script { at, sql };
    script.add(FENCE, |of| {
        let of = of.bind(fence.holder).bind(fence.batch);
        of.bind(fence.behind)
    });
    if let Some(serial) = batch.serial {
        let serial = i64::try_from(serial).unwrap_or(i64::MAX);
        script.add("UPDATE ~meta SET serial = $1", |of| of.bind(serial));
    }
    start(&mut script, batch)?;
    merge(&mut script, names, &batch.start.merges);
    for chunk in last_of_each(&batch.participations).chunks(ROWS) {
        script.add(WHOLE, |of| whole(of, names, chunk, now));
    }
    let sent: Vec<_> = (batch.sent.iter())
        .filter_map(|(id, intent)| Some((id, intent, &intent.affected.first()?.0)))
        .collect();
    if !sent.is_empty() {
        script.add(SENT, |of| {
            of.bind(now)
                .bind(run)
                .bind(column(&sent, |(id, ..)| id.0))
                .bind(column(&sent, |(_, intent, _)| intent.kind.as_str()))
                .bind(column(&sent, |(.., of)| of.contact.as_str()))
                .bind(column(&sent, |(.., of)| names.number(&of.automation)))
                .bind(column(&sent, |(_, intent, of)| {
                    (!intent.all).then(|| occurrence(of))
                }))
                .bind(column(&sent, |(_, intent, _)| {
                    names.code_number(&intent.trigger_code)
                }))
                .bind(column(&sent, |(_, intent, _)| {
                    intent.participation.as_ref().map(ParticipationId::as_str)
                }))
                .bind(column(&sent, |(_, intent, _)| {
                    bytes(intent.fields.as_ref())
                }))
        });
    }
    if !batch.settled.is_empty() {
        let settled = &batch.settled;
        script.add(SETTLED, |of| {
            of.bind(now)
                .bind(column(settled, |(id, _)| id.0))
                .bind(column(settled, |(_, of)| of.outcome.as_str()))
                .bind(column(settled, |(_, of)| of.http_status.map(i64::from)))
                .bind(column(settled, |(_, of)| of.detail.as_ref()))
                .bind(column(settled, |(_, of)| of.entries.as_ref()))
        });
    }
    if !batch.doubts.is_empty() {
        script.add(DOUBTS, |of| {
            keys(
                of.bind(now).bind(SAME_IDS),
                names,
                &batch.doubts,
                |(key, _)| key,
            )
            .bind(column(&batch.doubts, |(_, state)| state.as_str()))
        });
    }
    if !batch.doubted_ids.is_empty() {
        script.add(DOUBTED_IDS, |of| of.bind(&batch.doubted_ids));
    }
    for chunk in batch.states.chunks(ROWS) {
        let flag = |is: fn(&StateChange) -> bool| column(chunk, is);
        script.add(STATES, |of| {
            keys(of.bind(now), names, chunk, |of| &of.key)
                .bind(column(chunk, |of| of.state.as_str()))
                .bind(column(chunk, |of| of.detail.as_ref()))
                .bind(flag(|of| of.goes_on_leaving))
                .bind(flag(|of| of.forgets_trigger))
                .bind(flag(|of| of.goes()))
                .bind(column(chunk, |of| {
                    of.ended_ahead.map(Timestamp::as_millisecond)
                }))
        });
    }
    for chunk in batch.marks.chunks(ROWS) {
        let left_at = column(chunk, |(_, left_at)| left_at.map(Timestamp::as_millisecond));
        script.add(MARKS, |of| {
            keys(of.bind(now), names, chunk, |(key, _)| key).bind(left_at)
        });
    }
    for of in &batch.sources {
        let rows = i64::try_from(of.rows).unwrap_or(i64::MAX);
        script.add(SOURCE, |source| {
            source
                .bind(now)
                .bind(&of.name)
                .bind(rows)
                .bind(of.ends_with_line_end)
        });
    }
    if batch.counts_anew {
        script.add("UPDATE ~meta SET counted_from = $1", |of| of.bind(now));
    }
    if !batch.forgotten.is_empty() {
        let contacts = column(&batch.forgotten, |contact| contact.as_str());
        for statement in FORGET {
            script.add(statement, |of| of.bind(&contacts));
        }
    }
    if let Some(plan) = &batch.claim {
        let claim = "UPDATE ~run SET plan = $1 WHERE id = $2";
        script.add(claim, |of| of.bind(plan).bind(run));
    }
    Ok(script.sql)
}

/// Writes what an apply begins with.
fn start(script: &mut Script<'_>, batch: &Batch) -> Result<(), sqlx::Error> {
    let running = State::ALL.into_iter().filter(|state| state.is_running());
    let running: Vec<&str> = running.map(State::as_str).collect();
    for (from, to) in &batch.start.moves {
        for statement in MOVE {
            script.add(statement, |of| {
                of.bind(from.as_str()).bind(to.as_str()).bind(&running)
            });
        }
        for statement in MOVE_APPLIED {
            script.add(statement, |of| of.bind(from.as_str()).bind(to.as_str()));
        }
    }
    for (name, with) in &batch.start.applied {
        let sources = json(&with.sources)?;
        script.add(APPLIED, |of| {
            of.bind(name.as_str()).bind(sources).bind(&with.repeat_by)
        });
    }
    if let Some(blocks) = &batch.start.moved {
        let blocks = json(blocks)?;
        script.add("UPDATE ~meta SET moved = $1", |of| of.bind(blocks));
    }
    Ok(())
}

/// Lets participations go on under the ids that people keep.
fn merge(script: &mut Script<'_>, names: &Names, merges: &Merges) {
    let time = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
    for rows in merges.rows.chunks(ROWS) {
        let over: Vec<&Key> = rows.iter().flat_map(|of| &of.over).collect();
        script.add(MERGED_OVER, |of| keys(of, names, &over, |key| key));
        script.add(MERGE, |of| {
            keys(of, names, rows, |of| &of.of)
                .bind(column(rows, |of| of.to.as_str()))
                .bind(column(rows, |of| time(of.triggered_at)))
                .bind(column(rows, |of| time(of.gone_at)))
                .bind(column(rows, |of| time(of.released_at)))
        });
    }
    for ids in merges.ids.chunks(ROWS) {
        script.add(MERGED_IDS, |of| {
            of.bind(column(ids, |(from, _)| from.as_str()))
                .bind(column(ids, |(_, to)| to.as_str()))
        });
    }
}

/// Binds the values of [`WHOLE`].
fn whole(query: Statement, names: &Names, wholes: &[&Whole], now: i64) -> Statement {
    let day = i64::try_from(GUARDED_DAY.as_millis()).unwrap_or(i64::MAX);
    keys(query.bind(now).bind(now - day), names, wholes, |of| &of.key)
        .bind(column(wholes, |of| of.state.as_str()))
        .bind(column(wholes, |of| names.code_number(&of.trigger_code)))
        .bind(column(wholes, |of| {
            (!of.ids.is_empty()).then(|| ids_json(&of.ids))
        }))
        .bind(column(wholes, |of| bytes(of.fields.as_ref())))
        .bind(column(wholes, |of| of.detail.as_ref()))
        .bind(column(wholes, |of| {
            of.triggered_at.map(Timestamp::as_millisecond)
        }))
        .bind(column(wholes, |of| i64::from(of.is_try())))
}

/// Binds the columns of keys: contacts, automations, occurrences.
fn keys<T>(query: Statement, names: &Names, rows: &[T], key: impl Fn(&T) -> &Key) -> Statement {
    query
        .bind(column(rows, |of| key(of).contact.as_str()))
        .bind(column(rows, |of| names.number(&key(of).automation)))
        .bind(column(rows, |of| occurrence(key(of))))
}

/// A statement writes no row twice: the last of several is what is to be.
fn last_of_each(wholes: &[Whole]) -> Vec<&Whole> {
    let mut seen = HashSet::with_capacity(wholes.len());
    let mut last: Vec<&Whole> = wholes
        .iter()
        .rev()
        .filter(|of| seen.insert(&of.key))
        .collect();
    last.reverse();
    last
}

fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// As JSON.
fn json<T: serde::Serialize>(value: T) -> Result<String, sqlx::Error> {
    serde_json::to_string(&value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

fn occurrence(key: &Key) -> &str {
    key.occurrence.as_ref().map_or("", |o| o.as_str())
}

fn bytes(digest: Option<&Digest>) -> Option<&[u8]> {
    digest.map(|digest| digest.as_bytes().as_slice())
}
