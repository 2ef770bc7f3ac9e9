//! The statements of a writing transaction: one for each table, whatever the number of rows, which are a JSON array.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::SqliteConnection;

use super::names::Names;
use crate::digest::Digest;
use crate::record::batch::Batch;
use crate::record::guarded::GUARDED_DAY;
use crate::record::participation::{Key, State};
use crate::record::writer::{SAME_IDS, ids_json};

/// So many rows are in one array at the most: a text has an end, and each is taken apart in memory.
const ROWS: usize = 4096;

const SENT: &str = "\
INSERT INTO call (id, run, kind, contact, automation, occurrence, trigger_code, participation_id, fields, sent_at)
SELECT value ->> 0, ?3, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, unhex(value ->> 7), ?2
FROM jsonb_each(?1)";

const SETTLED: &str = "\
UPDATE call SET settled_at = ?2, outcome = value ->> 1, http_status = value ->> 2, detail = value ->> 3, entries = value ->> 4
FROM jsonb_each(?1) AS j WHERE call.id = j.value ->> 0";

const WHOLE: &str = "\
INSERT INTO participation
    (contact, automation, occurrence, state, trigger_code, ids, fields, detail, triggered_at, changed_at, tries)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, unhex(value ->> 6), value ->> 7,
    value ->> 8, ?2, value ->> 9
FROM jsonb_each(?1) WHERE true
ON CONFLICT (contact, automation, occurrence) DO UPDATE SET
    state = excluded.state, trigger_code = excluded.trigger_code, ids = excluded.ids, fields = excluded.fields,
    detail = excluded.detail, triggered_at = excluded.triggered_at, changed_at = excluded.changed_at, left_at = NULL,
    tries = iif(excluded.tries, tries + 1, 0), gone_at = iif(gone_at > ?3, gone_at, NULL)";

const DOUBTS: &str = "\
UPDATE participation SET state = j.value ->> 3, detail = j.value ->> 4, changed_at = ?2, ids = NULL
FROM jsonb_each(?1) AS j
WHERE contact = j.value ->> 0 AND automation = j.value ->> 1 AND occurrence = j.value ->> 2";

/// Who began to leave was counted then.
const STATES: &str = "\
UPDATE participation SET state = j.value ->> 3, detail = j.value ->> 4, changed_at = ?2,
    left_at = iif(j.value ->> 5, left_at, NULL), triggered_at = iif(j.value ->> 6, NULL, triggered_at),
    gone_at = iif(j.value ->> 7 AND left_at IS NULL, ?2, gone_at)
FROM jsonb_each(?1) AS j
WHERE contact = j.value ->> 0 AND automation = j.value ->> 1 AND occurrence = j.value ->> 2";

/// Who is back was not stopped, and need not be counted.
const MARKS: &str = "\
UPDATE participation SET left_at = j.value ->> 3,
    gone_at = CASE WHEN j.value ->> 3 IS NULL THEN NULL WHEN left_at IS NULL THEN ?2 ELSE gone_at END
FROM jsonb_each(?1) AS j
WHERE contact = j.value ->> 0 AND automation = j.value ->> 1 AND occurrence = j.value ->> 2";

const DOUBTED_IDS: &str = "INSERT OR IGNORE INTO doubted_ids (ids) SELECT value FROM json_each(?)";

const FORGET: [&str; 2] = [
    "DELETE FROM participation WHERE contact = ?",
    "DELETE FROM call WHERE contact = ?",
];

const SOURCES: &str = "\
INSERT INTO source (name, rows, applied_at, ends_with_line_end)
SELECT value ->> 0, value ->> 1, ?2, value ->> 2 FROM json_each(?1) WHERE true
ON CONFLICT (name) DO UPDATE SET rows = excluded.rows, applied_at = excluded.applied_at,
    ends_with_line_end = excluded.ends_with_line_end";

const APPLIED: &str = "\
INSERT INTO applied (automation, sources, repeat_by)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1) WHERE true
ON CONFLICT (automation) DO UPDATE SET sources = excluded.sources, repeat_by = excluded.repeat_by";

/// Where a contact is under both names already, who runs keeps the new one; what runs under both stays under both. Calls keep
/// the name by which they were made.
const MOVE: [&str; 4] = [
    "DELETE FROM participation AS new WHERE automation = (SELECT id FROM automation WHERE name = ?2)
     AND state NOT IN (SELECT value FROM json_each(?3)) AND EXISTS (SELECT * FROM participation AS old
         WHERE old.automation = (SELECT id FROM automation WHERE name = ?1) AND old.contact = new.contact
         AND old.occurrence = new.occurrence AND old.state IN (SELECT value FROM json_each(?3)))",
    "UPDATE OR IGNORE participation SET automation = (SELECT id FROM automation WHERE name = ?2)
     WHERE automation = (SELECT id FROM automation WHERE name = ?1) AND ?3 = ?3",
    "DELETE FROM applied WHERE automation = ?2 AND EXISTS (SELECT * FROM applied WHERE automation = ?1) AND ?3 = ?3",
    "UPDATE applied SET automation = ?2 WHERE automation = ?1 AND ?3 = ?3",
];

/// As JSON, for a statement.
pub(super) fn json<T: Serialize>(value: T) -> Result<String, sqlx::Error> {
    serde_json::to_string(&value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// A transaction that is being written.
pub(super) struct Writes<'c> {
    pub(super) tx: &'c mut SqliteConnection,
    pub(super) names: &'c Names,
    /// In milliseconds since 1970.
    pub(super) now: i64,
    /// The number of the run.
    pub(super) run: i64,
}

impl Writes<'_> {
    /// Runs a statement for rows, at the time of the transaction, with one number more where it takes one.
    async fn rows<S: Serialize>(
        &mut self,
        statement: &'static str,
        rows: &[S],
        number: Option<i64>,
    ) -> Result<(), sqlx::Error> {
        for rows in rows.chunks(ROWS) {
            let query = sqlx::query(statement).bind(json(rows)?).bind(self.now);
            let query = match number {
                Some(number) => query.bind(number),
                None => query,
            };
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Writes all of a batch but the run, in the order of its fields.
    pub(super) async fn write(&mut self, batch: &Batch) -> Result<(), sqlx::Error> {
        if let Some(plan) = &batch.claim {
            let claim = sqlx::query("UPDATE run SET plan = ? WHERE id = ?");
            let claim = claim.bind(plan).bind(self.run);
            claim.execute(&mut *self.tx).await?;
        }
        self.start(batch).await?;
        self.calls(batch).await?;
        self.participations(batch).await?;
        self.rest(batch).await
    }

    async fn start(&mut self, batch: &Batch) -> Result<(), sqlx::Error> {
        let running = State::ALL.into_iter().filter(|state| state.is_running());
        let running = json(running.map(State::as_str).collect::<Vec<_>>())?;
        for (from, to) in &batch.start.moves {
            for statement in MOVE {
                let step = sqlx::query(statement).bind(from.as_str()).bind(to.as_str());
                step.bind(&running).execute(&mut *self.tx).await?;
            }
        }
        let applied = batch.start.applied.iter();
        let applied =
            applied.map(|(name, with)| Ok((name.as_str(), json(&with.sources)?, &with.repeat_by)));
        let applied = applied.collect::<Result<Vec<_>, sqlx::Error>>()?;
        self.rows(APPLIED, &applied, None).await?;
        if let Some(blocks) = &batch.start.moved {
            let moved = sqlx::query("UPDATE meta SET moved = ?").bind(json(blocks)?);
            moved.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    async fn calls(&mut self, batch: &Batch) -> Result<(), sqlx::Error> {
        let sent = batch.sent.iter().filter_map(|(id, intent)| {
            let (key, _) = intent.affected.first()?;
            Some((
                id.0,
                intent.kind.as_str(),
                key.contact.as_str(),
                self.names.number(&key.automation),
                (!intent.all).then(|| occurrence(key)),
                self.names.code_number(&intent.trigger_code),
                intent.participation.as_ref().map(|id| id.as_str()),
                hex(intent.fields.as_ref()),
            ))
        });
        let sent: Vec<_> = sent.collect();
        self.rows(SENT, &sent, Some(self.run)).await?;
        let settled = batch.settled.iter().map(|(id, of)| {
            let outcome = of.outcome.as_str();
            (id.0, outcome, of.http_status, &of.detail, &of.entries)
        });
        let settled: Vec<_> = settled.collect();
        self.rows(SETTLED, &settled, None).await
    }

    async fn participations(&mut self, batch: &Batch) -> Result<(), sqlx::Error> {
        let names = self.names;
        let key = |key: &'_ Key| names.number(&key.automation);
        let whole = batch.participations.iter().map(|of| {
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
        });
        let day = i64::try_from(GUARDED_DAY.as_millis()).unwrap_or(i64::MAX);
        let whole: Vec<_> = whole.collect();
        self.rows(WHOLE, &whole, Some(self.now - day)).await?;
        let doubts = batch.doubts.iter().map(|(of, state)| {
            let contact = of.contact.as_str();
            (contact, key(of), occurrence(of), state.as_str(), SAME_IDS)
        });
        let doubts: Vec<_> = doubts.collect();
        self.rows(DOUBTS, &doubts, None).await?;
        if !batch.doubted_ids.is_empty() {
            let ids = sqlx::query(DOUBTED_IDS).bind(json(&batch.doubted_ids)?);
            ids.execute(&mut *self.tx).await?;
        }
        let states = batch.states.iter().map(|of| {
            (
                of.key.contact.as_str(),
                key(&of.key),
                occurrence(&of.key),
                of.state.as_str(),
                &of.detail,
                of.goes_on_leaving(),
                of.forgets_trigger,
                of.state.is_over(),
            )
        });
        let states: Vec<_> = states.collect();
        self.rows(STATES, &states, None).await?;
        let marks = batch.marks.iter().map(|(of, left_at)| {
            let left_at = left_at.map(Timestamp::as_millisecond);
            (of.contact.as_str(), key(of), occurrence(of), left_at)
        });
        let marks: Vec<_> = marks.collect();
        self.rows(MARKS, &marks, None).await
    }

    async fn rest(&mut self, batch: &Batch) -> Result<(), sqlx::Error> {
        let sources = batch.sources.iter().map(|of| {
            let rows = i64::try_from(of.rows).unwrap_or(i64::MAX);
            (&of.name, rows, of.ends_with_line_end)
        });
        let sources: Vec<_> = sources.collect();
        self.rows(SOURCES, &sources, None).await?;
        if batch.counts_anew {
            let anew = sqlx::query("UPDATE meta SET counted_from = ?").bind(self.now);
            anew.execute(&mut *self.tx).await?;
        }
        for contact in &batch.forgotten {
            for statement in FORGET {
                let forget = sqlx::query(statement).bind(contact.as_str());
                forget.execute(&mut *self.tx).await?;
            }
        }
        if let Some(serial) = batch.serial {
            let serial = i64::try_from(serial).unwrap_or(i64::MAX);
            let set = sqlx::query("UPDATE meta SET serial = ?").bind(serial);
            set.execute(&mut *self.tx).await?;
        }
        Ok(())
    }
}

fn occurrence(key: &Key) -> &str {
    key.occurrence.as_ref().map_or("", |o| o.as_str())
}

fn hex(digest: Option<&Digest>) -> Option<String> {
    digest.map(Digest::to_string)
}
