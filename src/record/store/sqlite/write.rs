//! The statements of a writing transaction: one for each table, whatever the number of rows, which are a JSON array.

use std::sync::LazyLock;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::digest::Digest;
use crate::record::batch::{Batch, Whole};
use crate::record::guarded::GUARDED_DAY;
use crate::record::merged::Merges;
use crate::record::participation::{Key, State};
use crate::record::store::names::Names;
use crate::record::writer::{SAME_IDS, ids_json};

/// So many participations are in one array at the most: a text has an end, and each is taken apart in memory.
const ROWS: usize = 4096;

/// Writes participations whole: $2, at $1; $3 is a day before that.
const WHOLE: &str = "\
INSERT INTO participation
    (contact, automation, occurrence, state, trigger_code, ids, fields, detail, triggered_at, changed_at, tries)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, unhex(value ->> 6), value ->> 7,
    value ->> 8, $1, value ->> 9
FROM jsonb_each($2) WHERE true
ON CONFLICT (contact, automation, occurrence) DO UPDATE SET
    state = excluded.state, trigger_code = excluded.trigger_code, ids = excluded.ids, fields = excluded.fields,
    detail = excluded.detail, triggered_at = excluded.triggered_at, changed_at = excluded.changed_at, left_at = NULL, triggered_as = NULL,
    tries = iif(excluded.tries, tries + 1, 0), gone_at = iif(gone_at > $3, gone_at, NULL),
    released_at = CASE
        WHEN excluded.triggered_at > $3 AND coalesce(detail, '') NOT LIKE 'suppressed by require %'
            AND (state = 'withheld' OR state IN ('stopped', 'ended') AND detail LIKE 'suppressed%')
        THEN excluded.triggered_at WHEN released_at > $3 THEN released_at END";

/// The rest: by a run, $4, up to a serial, $5. All of them pass to SQLite at once, as to wait for each would cost more than it
/// does. Who began to leave was counted then, and who is back was not stopped and need not be counted.
const REST: [&str; 8] = [
    "INSERT INTO call (id, run, kind, contact, automation, occurrence, trigger_code, participation_id, fields, sent_at)
     SELECT value ->> 0, $4, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
         unhex(value ->> 7), $1
     FROM jsonb_each($6)",
    "UPDATE call SET settled_at = $1, outcome = j.value ->> 1, http_status = j.value ->> 2, detail = j.value ->> 3,
         entries = j.value ->> 4
     FROM jsonb_each($7) AS j WHERE call.id = j.value ->> 0",
    "UPDATE participation SET state = j.value ->> 3, detail = j.value ->> 4, changed_at = $1, ids = NULL
     FROM jsonb_each($8) AS j
     WHERE contact = j.value ->> 0 AND automation = j.value ->> 1 AND occurrence = j.value ->> 2",
    "INSERT OR IGNORE INTO doubted_ids (ids) SELECT value FROM json_each($9)",
    "UPDATE participation SET state = j.value ->> 3, detail = j.value ->> 4, changed_at = $1,
         left_at = iif(j.value ->> 5, left_at, j.value ->> 8), triggered_at = iif(j.value ->> 6, NULL, triggered_at),
         gone_at = iif(j.value ->> 7 AND left_at IS NULL, $1, gone_at)
     FROM jsonb_each($10) AS j
     WHERE contact = j.value ->> 0 AND automation = j.value ->> 1 AND occurrence = j.value ->> 2",
    "UPDATE participation SET left_at = j.value ->> 3,
         gone_at = CASE WHEN j.value ->> 3 IS NULL THEN NULL WHEN left_at IS NULL THEN $1 ELSE gone_at END
     FROM jsonb_each($11) AS j
     WHERE contact = j.value ->> 0 AND automation = j.value ->> 1 AND occurrence = j.value ->> 2",
    "INSERT INTO source (name, rows, applied_at, ends_with_line_end)
     SELECT value ->> 0, value ->> 1, $1, value ->> 2 FROM jsonb_each($12) WHERE true
     ON CONFLICT (name) DO UPDATE SET rows = excluded.rows, applied_at = excluded.applied_at,
         ends_with_line_end = excluded.ends_with_line_end",
    "UPDATE meta SET serial = $5 WHERE $5 IS NOT NULL",
];

static WRITE: LazyLock<String> = LazyLock::new(|| format!("{WHOLE};{}", REST.join(";")));

const FORGET: [&str; 4] = [
    "DELETE FROM merged WHERE contact = ?",
    "DELETE FROM merged WHERE becomes = ?",
    "DELETE FROM participation WHERE contact = ?",
    "DELETE FROM call WHERE contact = ?",
];

const APPLIED: &str = "\
INSERT INTO applied (automation, sources, repeat_by) VALUES (?, ?, ?)
ON CONFLICT (automation) DO UPDATE SET sources = excluded.sources, repeat_by = excluded.repeat_by";

/// Where a contact is under both names already, who runs keeps the new one; what runs under both stays under both. Calls keep
/// the name by which they were made.
const MOVE: &str = "\
DELETE FROM participation AS new WHERE automation = (SELECT id FROM automation WHERE name = $2)
    AND state NOT IN (SELECT value FROM json_each($3)) AND EXISTS (SELECT * FROM participation AS old
        WHERE old.automation = (SELECT id FROM automation WHERE name = $1) AND old.contact = new.contact
        AND old.occurrence = new.occurrence AND old.state IN (SELECT value FROM json_each($3)));
UPDATE OR IGNORE participation SET automation = (SELECT id FROM automation WHERE name = $2)
    WHERE automation = (SELECT id FROM automation WHERE name = $1);
DELETE FROM applied WHERE automation = $2 AND EXISTS (SELECT * FROM applied WHERE automation = $1);
UPDATE applied SET automation = $2 WHERE automation = $1";

/// What takes the place of others, which go first: $1, of contact, automation, occurrence, the id that the person keeps,
/// `triggered_at`, `gone_at` and `released_at`.
const MERGE: &str = "\
UPDATE participation AS p SET contact = value ->> 3,
    triggered_as = iif(p.contact = value ->> 3, p.triggered_as, nullif(coalesce(p.triggered_as, p.contact), value ->> 3)),
    triggered_at = value ->> 4, gone_at = value ->> 5, released_at = value ->> 6
FROM json_each($1)
WHERE p.contact = value ->> 0 AND p.automation = value ->> 1 AND p.occurrence = value ->> 2";
const MERGED_OVER: &str = "\
DELETE FROM participation WHERE (contact, automation, occurrence)
    IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1))";
const MERGED_IDS: &str = "\
INSERT INTO merged (contact, becomes) SELECT value ->> 0, value ->> 1 FROM json_each($1) WHERE true
ON CONFLICT (contact) DO UPDATE SET becomes = excluded.becomes";

/// As JSON, for a statement.
pub(super) fn json<T: Serialize>(value: T) -> Result<String, sqlx::Error> {
    serde_json::to_string(&value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// Writes all of a batch but its run, which has this number.
pub(super) async fn write(
    tx: &mut SqliteConnection,
    names: &Names,
    run: i64,
    batch: &Batch,
) -> Result<(), sqlx::Error> {
    let now = batch.at.as_millisecond();
    let day = i64::try_from(GUARDED_DAY.as_millis()).unwrap_or(i64::MAX);
    let key = |key: &'_ Key| names.number(&key.automation);
    start(tx, batch).await?;
    merge(tx, names, &batch.start.merges).await?;
    let whole = |rows: &[Whole]| {
        array(rows.iter().map(|of| {
            (
                of.key.contact.as_str(),
                key(&of.key),
                occurrence(&of.key),
                of.state.as_str(),
                names.code_number(&of.trigger_code),
                (!of.ids.is_empty()).then(|| ids_json(&of.ids)),
                hex(of.fields.as_ref()),
                &of.detail,
                of.triggered_at.map(Timestamp::as_millisecond),
                i64::from(of.is_try()),
            )
        }))
    };
    let mut chunks = batch.participations.chunks(ROWS);
    let last = chunks.next_back().unwrap_or_default();
    for chunk in chunks {
        let part = sqlx::query(WHOLE)
            .bind(now)
            .bind(whole(chunk)?)
            .bind(now - day);
        part.execute(&mut *tx).await?;
    }
    let sent = batch.sent.iter().filter_map(|(id, intent)| {
        let (of, _) = intent.affected.first()?;
        Some((
            id.0,
            intent.kind.as_str(),
            of.contact.as_str(),
            key(of),
            (!intent.all).then(|| occurrence(of)),
            names.code_number(&intent.trigger_code),
            intent.participation.as_ref().map(|id| id.as_str()),
            hex(intent.fields.as_ref()),
        ))
    });
    let settled = batch.settled.iter().map(|(id, of)| {
        let outcome = of.outcome.as_str();
        (id.0, outcome, of.http_status, &of.detail, &of.entries)
    });
    let doubts = batch.doubts.iter().map(|(of, state)| {
        let contact = of.contact.as_str();
        (contact, key(of), occurrence(of), state.as_str(), SAME_IDS)
    });
    let states = batch.states.iter().map(|of| {
        (
            of.key.contact.as_str(),
            key(&of.key),
            occurrence(&of.key),
            of.state.as_str(),
            &of.detail,
            of.goes_on_leaving,
            of.forgets_trigger,
            of.goes(),
            of.ended_ahead.map(Timestamp::as_millisecond),
        )
    });
    let marks = batch.marks.iter().map(|(of, left_at)| {
        let left_at = left_at.map(Timestamp::as_millisecond);
        (of.contact.as_str(), key(of), occurrence(of), left_at)
    });
    let sources = batch.sources.iter().map(|of| {
        let rows = i64::try_from(of.rows).unwrap_or(i64::MAX);
        (&of.name, rows, of.ends_with_line_end)
    });
    let serial = batch
        .serial
        .map(|serial| i64::try_from(serial).unwrap_or(i64::MAX));
    let write = sqlx::query(WRITE.as_str())
        .bind(now)
        .bind(whole(last)?)
        .bind(now - day)
        .bind(run)
        .bind(serial)
        .bind(array(sent)?)
        .bind(array(settled)?)
        .bind(array(doubts)?)
        .bind(json(&batch.doubted_ids)?)
        .bind(array(states)?)
        .bind(array(marks)?)
        .bind(array(sources)?);
    write.execute(&mut *tx).await?;
    if batch.counts_anew {
        let anew = sqlx::query("UPDATE meta SET counted_from = ?").bind(now);
        anew.execute(&mut *tx).await?;
    }
    for contact in &batch.forgotten {
        for statement in FORGET {
            let forget = sqlx::query(statement).bind(contact.as_str());
            forget.execute(&mut *tx).await?;
        }
    }
    if let Some(plan) = &batch.claim {
        let claim = sqlx::query("UPDATE run SET plan = ? WHERE id = ?");
        claim.bind(plan).bind(run).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Writes what an apply begins with.
async fn start(tx: &mut SqliteConnection, batch: &Batch) -> Result<(), sqlx::Error> {
    let running = State::ALL.into_iter().filter(|state| state.is_running());
    let running = array(running.map(State::as_str))?;
    for (from, to) in &batch.start.moves {
        let step = sqlx::query(MOVE).bind(from.as_str()).bind(to.as_str());
        step.bind(&running).execute(&mut *tx).await?;
    }
    for (name, with) in &batch.start.applied {
        let applied = sqlx::query(APPLIED).bind(name.as_str());
        let applied = applied.bind(json(&with.sources)?).bind(&with.repeat_by);
        applied.execute(&mut *tx).await?;
    }
    if let Some(blocks) = &batch.start.moved {
        let moved = sqlx::query("UPDATE meta SET moved = ?").bind(json(blocks)?);
        moved.execute(&mut *tx).await?;
    }
    Ok(())
}

/// Lets participations go on under the ids that people keep.
async fn merge(
    tx: &mut SqliteConnection,
    names: &Names,
    merges: &Merges,
) -> Result<(), sqlx::Error> {
    if merges.is_empty() {
        return Ok(());
    }
    let key = |of: &Key| {
        let contact = of.contact.as_str().to_owned();
        (
            contact,
            names.number(&of.automation),
            occurrence(of).to_owned(),
        )
    };
    let time = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
    for rows in merges.rows.chunks(ROWS) {
        let over = array(rows.iter().flat_map(|of| &of.over).map(key))?;
        let rows = array(rows.iter().map(|of| {
            let (contact, automation, occurrence) = key(&of.of);
            let times = (
                time(of.triggered_at),
                time(of.gone_at),
                time(of.released_at),
            );
            (
                contact,
                automation,
                occurrence,
                of.to.as_str(),
                times.0,
                times.1,
                times.2,
            )
        }))?;
        for (statement, rows) in [(MERGED_OVER, over), (MERGE, rows)] {
            sqlx::query(statement).bind(rows).execute(&mut *tx).await?;
        }
    }
    for ids in merges.ids.chunks(ROWS) {
        let ids = array(ids.iter().map(|(from, to)| (from.as_str(), to.as_str())))?;
        sqlx::query(MERGED_IDS).bind(ids).execute(&mut *tx).await?;
    }
    Ok(())
}

fn array<T: Serialize>(rows: impl Iterator<Item = T>) -> Result<String, sqlx::Error> {
    json(rows.collect::<Vec<_>>())
}

/// The occurrence as it stands on record.
pub(super) fn occurrence(key: &Key) -> &str {
    key.occurrence.as_ref().map_or("", |o| o.as_str())
}

fn hex(digest: Option<&Digest>) -> Option<String> {
    digest.map(Digest::to_string)
}
