//! The statements of a writing transaction: one for all that an apply writes all the time, and one for each table that it
//! writes now and then, whatever the number of rows, which are passed as columns.

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::postgres::PgConnection;

use super::link::Place;
use crate::digest::Digest;
use crate::id::ParticipationId;
use crate::record::batch::{Batch, StateChange, Whole};
use crate::record::guarded::GUARDED_DAY;
use crate::record::participation::{Key, State};
use crate::record::store::names::Names;
use crate::record::writer::{SAME_IDS, ids_json};

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
    detail = excluded.detail, triggered_at = excluded.triggered_at, changed_at = excluded.changed_at, left_at = NULL,
    tries = CASE WHEN excluded.tries = 0 THEN 0 ELSE p.tries + 1 END,
    gone_at = CASE WHEN p.gone_at > $2 THEN p.gone_at END,
    released_at = CASE
        WHEN excluded.triggered_at > $2 AND (p.state = 'withheld' OR p.state = 'stopped' AND p.detail = 'suppressed')
        THEN excluded.triggered_at WHEN p.released_at > $2 THEN p.released_at END";

/// Proves that the lease $13 is held and that its last batch was the one before $14, writes what is sent and settled by the run
/// $16, up to the serial $15, and participations whole. Its parts touch different rows, and see none of each other's.
const HOT: &str = "\
, held AS (
    UPDATE ~lock SET heartbeat_at = clock_timestamp(), batch = $14 WHERE holder = $13 AND batch = $14 - 1 RETURNING 1
), serial AS (
    UPDATE ~meta SET serial = $15 WHERE $15::bigint IS NOT NULL
), sent AS (
    INSERT INTO ~call (id, run, kind, contact, automation, occurrence, trigger_code, participation_id, fields, sent_at)
    SELECT id, $16, kind, contact, automation, occurrence, code, participation, fields, $1
    FROM unnest($17::bigint[], $18::text[], $19::text[], $20::bigint[], $21::text[], $22::bigint[], $23::text[], $24::bytea[])
        AS new (id, kind, contact, automation, occurrence, code, participation, fields)
    -- Where this was committed before, they are there already.
    WHERE EXISTS (SELECT FROM held)
), settled AS (
    UPDATE ~call AS c SET settled_at = $1, outcome = new.outcome, http_status = new.status, detail = new.detail,
        entries = new.entries
    FROM unnest($25::bigint[], $26::text[], $27::bigint[], $28::text[], $29::text[])
        AS new (id, outcome, status, detail, entries)
    WHERE c.id = new.id
)
SELECT count(*) FROM held";

const DOUBTS: &str = "\
UPDATE ~participation AS p SET state = new.state, detail = $2, changed_at = $1, ids = NULL
FROM unnest($3::text[], $4::bigint[], $5::text[], $6::text[]) AS new (contact, automation, occurrence, state)
WHERE p.contact = new.contact AND p.automation = new.automation AND p.occurrence = new.occurrence";

const DOUBTED_IDS: &str = "\
INSERT INTO ~doubted_ids (ids) SELECT DISTINCT unnest($1::text[]) ON CONFLICT DO NOTHING";

/// Who began to leave was counted then.
const STATES: &str = "\
UPDATE ~participation AS p SET state = new.state, detail = new.detail, changed_at = $1,
    left_at = CASE WHEN new.goes_on THEN p.left_at END,
    triggered_at = CASE WHEN NOT new.forgets THEN p.triggered_at END,
    gone_at = CASE WHEN new.is_over AND p.left_at IS NULL THEN $1 ELSE p.gone_at END
FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::boolean[], $9::boolean[])
    AS new (contact, automation, occurrence, state, detail, goes_on, forgets, is_over)
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

const FORGET: [&str; 2] = [
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

/// The lease by which a batch is written.
pub(super) struct Fence<'h> {
    /// Its token.
    pub holder: &'h str,
    /// The number of the batch.
    pub batch: i64,
}

/// Writes all of a batch but its run, which has this number. Returns whether the lease is held, and its last batch was the one
/// before this; else nothing must be committed.
pub(super) async fn write(
    at: &Place,
    tx: &mut PgConnection,
    names: &Names,
    run: i64,
    batch: &Batch,
    fence: Fence<'_>,
) -> Result<bool, sqlx::Error> {
    let now = batch.at.as_millisecond();
    start(at, tx, batch).await?;
    let wholes = last_of_each(&batch.participations);
    let mut chunks = wholes.chunks(ROWS);
    let last = chunks.next_back().unwrap_or_default();
    for chunk in chunks {
        let part = whole(sqlx::query(at.sql(WHOLE)), names, chunk, now);
        part.persistent(false).execute(&mut *tx).await?;
    }
    let hot = at.sql(&format!("WITH whole AS ({WHOLE}){HOT}"));
    let sent: Vec<_> = (batch.sent.iter())
        .filter_map(|(id, intent)| Some((id, intent, &intent.affected.first()?.0)))
        .collect();
    let serial = batch
        .serial
        .map(|serial| i64::try_from(serial).unwrap_or(i64::MAX));
    let hot = whole(sqlx::query(hot), names, last, now)
        .bind(fence.holder)
        .bind(fence.batch)
        .bind(serial)
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
        .bind(column(&batch.settled, |(id, _)| id.0))
        .bind(column(&batch.settled, |(_, of)| of.outcome.as_str()))
        .bind(column(&batch.settled, |(_, of)| {
            of.http_status.map(i64::from)
        }))
        .bind(column(&batch.settled, |(_, of)| text(of.detail.as_ref())))
        .bind(column(&batch.settled, |(_, of)| text(of.entries.as_ref())));
    let held: i64 = sqlx::Row::try_get(&hot.persistent(false).fetch_one(&mut *tx).await?, 0)?;
    if held == 0 {
        return Ok(false);
    }
    if !batch.doubts.is_empty() {
        let doubts = sqlx::query(at.sql(DOUBTS)).bind(now).bind(SAME_IDS);
        let doubts = keys(doubts, names, &batch.doubts, |(key, _)| key)
            .bind(column(&batch.doubts, |(_, state)| state.as_str()));
        doubts.persistent(false).execute(&mut *tx).await?;
    }
    if !batch.doubted_ids.is_empty() {
        let ids = sqlx::query(at.sql(DOUBTED_IDS)).bind(&batch.doubted_ids);
        ids.persistent(false).execute(&mut *tx).await?;
    }
    for chunk in batch.states.chunks(ROWS) {
        let flag = |is: fn(&StateChange) -> bool| column(chunk, is);
        let states = sqlx::query(at.sql(STATES)).bind(now);
        let states = keys(states, names, chunk, |of| &of.key)
            .bind(column(chunk, |of| of.state.as_str()))
            .bind(column(chunk, |of| text(of.detail.as_ref())))
            .bind(flag(StateChange::goes_on_leaving))
            .bind(flag(|of| of.forgets_trigger))
            .bind(flag(|of| of.state.is_over()));
        states.persistent(false).execute(&mut *tx).await?;
    }
    for chunk in batch.marks.chunks(ROWS) {
        let marks = sqlx::query(at.sql(MARKS)).bind(now);
        let marks = keys(marks, names, chunk, |(key, _)| key)
            .bind(column(chunk, |(_, left_at)| {
                left_at.map(Timestamp::as_millisecond)
            }));
        marks.persistent(false).execute(&mut *tx).await?;
    }
    for of in &batch.sources {
        let rows = i64::try_from(of.rows).unwrap_or(i64::MAX);
        let source = sqlx::query(at.sql(SOURCE))
            .bind(now)
            .bind(&of.name)
            .bind(rows);
        let source = source.bind(of.ends_with_line_end).persistent(false);
        source.execute(&mut *tx).await?;
    }
    if batch.counts_anew {
        let anew = sqlx::query(at.sql("UPDATE ~meta SET counted_from = $1")).bind(now);
        anew.persistent(false).execute(&mut *tx).await?;
    }
    if !batch.forgotten.is_empty() {
        let contacts = column(&batch.forgotten, |contact| contact.as_str());
        for statement in FORGET {
            let forget = sqlx::query(at.sql(statement)).bind(&contacts);
            forget.persistent(false).execute(&mut *tx).await?;
        }
    }
    if let Some(plan) = &batch.claim {
        let claim = sqlx::query(at.sql("UPDATE ~run SET plan = $1 WHERE id = $2")).bind(plan);
        claim.bind(run).persistent(false).execute(&mut *tx).await?;
    }
    Ok(true)
}

/// Writes what an apply begins with.
async fn start(at: &Place, tx: &mut PgConnection, batch: &Batch) -> Result<(), sqlx::Error> {
    let running = State::ALL.into_iter().filter(|state| state.is_running());
    let running: Vec<&str> = running.map(State::as_str).collect();
    for (from, to) in &batch.start.moves {
        for statement in MOVE {
            let step = sqlx::query(at.sql(statement))
                .bind(from.as_str())
                .bind(to.as_str());
            step.bind(&running)
                .persistent(false)
                .execute(&mut *tx)
                .await?;
        }
        for statement in MOVE_APPLIED {
            let step = sqlx::query(at.sql(statement))
                .bind(from.as_str())
                .bind(to.as_str());
            step.persistent(false).execute(&mut *tx).await?;
        }
    }
    for (name, with) in &batch.start.applied {
        let applied = sqlx::query(at.sql(APPLIED)).bind(name.as_str());
        let applied = applied.bind(json(&with.sources)?).bind(&with.repeat_by);
        applied.persistent(false).execute(&mut *tx).await?;
    }
    if let Some(blocks) = &batch.start.moved {
        let moved = sqlx::query(at.sql("UPDATE ~meta SET moved = $1")).bind(json(blocks)?);
        moved.persistent(false).execute(&mut *tx).await?;
    }
    Ok(())
}

type Query<'q> = super::link::Query<'q>;

/// Binds the values of [`WHOLE`].
fn whole<'q>(query: Query<'q>, names: &Names, wholes: &[&Whole], now: i64) -> Query<'q> {
    let day = i64::try_from(GUARDED_DAY.as_millis()).unwrap_or(i64::MAX);
    keys(query.bind(now).bind(now - day), names, wholes, |of| &of.key)
        .bind(column(wholes, |of| of.state.as_str()))
        .bind(column(wholes, |of| names.code_number(&of.trigger_code)))
        .bind(column(wholes, |of| {
            (!of.ids.is_empty()).then(|| ids_json(&of.ids))
        }))
        .bind(column(wholes, |of| bytes(of.fields.as_ref())))
        .bind(column(wholes, |of| text(of.detail.as_ref())))
        .bind(column(wholes, |of| {
            of.triggered_at.map(Timestamp::as_millisecond)
        }))
        .bind(column(wholes, |of| i64::from(of.is_try())))
}

/// Binds the columns of keys: contacts, automations, occurrences.
fn keys<'q, T>(query: Query<'q>, names: &Names, rows: &[T], key: impl Fn(&T) -> &Key) -> Query<'q> {
    query
        .bind(column(rows, |of| key(of).contact.as_str().to_owned()))
        .bind(column(rows, |of| names.number(&key(of).automation)))
        .bind(column(rows, |of| occurrence(key(of)).to_owned()))
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

/// Words of the wire may hold what PostgreSQL keeps in no text; what came of a call is on record all the same.
fn text(words: Option<&String>) -> Option<String> {
    words.map(|words| words.replace('\0', "\u{fffd}"))
}
