//! The statements of a writing transaction. Each is prepared once and run for every row: nothing is cheaper.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::counts::SourceNote;
use super::journal::{CallId, Intent, Settlement};
use super::names::Names;
use super::participation::{Before, Key, State};
use crate::digest::Digest;
use crate::id::{ContactId, TriggerCode};

/// A participation as it is to be, all of it. Times are milliseconds since 1970.
pub(super) struct ParticipationRow {
    pub(super) key: Key,
    pub(super) state: State,
    pub(super) trigger_code: TriggerCode,
    pub(super) ids: Option<String>,
    pub(super) fields: Option<Digest>,
    pub(super) detail: Option<String>,
    pub(super) triggered_at: Option<i64>,
}

/// Where a participation is to stand that is on record.
pub(super) struct StateRow {
    pub(super) key: Key,
    pub(super) before: Before,
    pub(super) state: State,
    pub(super) detail: Option<String>,
}

/// Writes calls that are about to be sent.
pub(super) fn insert_intents(
    tx: &Connection,
    names: &mut Names,
    run: i64,
    now: i64,
    intents: &[(CallId, Intent)],
) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO call (id, run, kind, contact, automation, occurrence, trigger_code, participation_id, fields, \
         sent_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for (id, intent) in intents {
        let Some((key, _)) = intent.affected.first() else {
            continue;
        };
        insert.execute(params![
            id.0,
            run,
            intent.kind.as_str(),
            key.contact.as_str(),
            names.automation(tx, &key.automation)?,
            (!intent.all).then(|| occurrence(key)),
            names.code(tx, &intent.trigger_code)?,
            intent.participation.as_ref().map(|id| id.as_str()),
            intent.fields.as_ref().map(Digest::as_bytes),
            now,
        ])?;
    }
    Ok(())
}

/// Writes what came of calls.
pub(super) fn update_calls(
    tx: &Connection,
    now: i64,
    settlements: &[(CallId, Settlement)],
) -> rusqlite::Result<()> {
    let mut update = tx.prepare_cached(
        "UPDATE call SET settled_at = ?2, outcome = ?3, http_status = ?4, detail = ?5, entries = ?6 WHERE id = ?1",
    )?;
    for (id, settlement) in settlements {
        update.execute(params![
            id.0,
            now,
            settlement.outcome.as_str(),
            settlement.http_status,
            settlement.detail,
            settlement.entries,
        ])?;
    }
    Ok(())
}

/// Writes participations whole, new or not.
pub(super) fn upsert_participations(
    tx: &Connection,
    names: &mut Names,
    now: i64,
    rows: &[ParticipationRow],
) -> rusqlite::Result<()> {
    let mut upsert = tx.prepare_cached(
        "INSERT INTO participation (contact, automation, occurrence, state, trigger_code, ids, fields, detail, \
         triggered_at, changed_at, tries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (contact, automation, occurrence) DO UPDATE SET state = excluded.state, \
         trigger_code = excluded.trigger_code, ids = excluded.ids, fields = excluded.fields, \
         detail = excluded.detail, triggered_at = excluded.triggered_at, changed_at = excluded.changed_at, \
         left_at = NULL, tries = CASE excluded.tries WHEN 0 THEN 0 ELSE tries + 1 END, \
         gone_at = CASE WHEN gone_at > excluded.changed_at - 86400000 THEN gone_at END",
    )?;
    for row in rows {
        upsert.execute(params![
            row.key.contact.as_str(),
            names.automation(tx, &row.key.automation)?,
            occurrence(&row.key),
            row.state.as_str(),
            names.code(tx, &row.trigger_code)?,
            row.ids,
            row.fields.as_ref().map(Digest::as_bytes),
            row.detail,
            row.triggered_at,
            now,
            row.state == State::Waiting,
        ])?;
    }
    Ok(())
}

/// Writes where participations stand, and why.
pub(super) fn update_states(
    tx: &Connection,
    names: &mut Names,
    now: i64,
    rows: &[StateRow],
) -> rusqlite::Result<()> {
    let mut update = tx.prepare_cached(
        // Who began to leave was counted then, and leaves on where a doubt about it is settled.
        "UPDATE participation SET state = ?4, detail = ?5, changed_at = ?6, \
         left_at = iif(?4 = 'active', left_at, NULL), \
         triggered_at = iif(?7, NULL, triggered_at), \
         gone_at = CASE WHEN ?4 IN ('stopped', 'let-go') AND left_at IS NULL THEN ?6 ELSE gone_at END \
         WHERE contact = ?1 AND automation = ?2 AND occurrence = ?3",
    )?;
    for row in rows {
        update.execute(params![
            row.key.contact.as_str(),
            names.automation(tx, &row.key.automation)?,
            occurrence(&row.key),
            row.state.as_str(),
            row.detail,
            now,
            row.before.is_some_and(State::reached_nobody),
        ])?;
    }
    Ok(())
}

/// Writes since when enrolments are gone.
pub(super) fn update_marks(
    tx: &Connection,
    names: &mut Names,
    now: i64,
    marks: &[(Key, Option<Timestamp>)],
) -> rusqlite::Result<()> {
    let mut update = tx.prepare_cached(
        // Who is back was not stopped, and need not be counted.
        "UPDATE participation SET left_at = ?1, \
         gone_at = CASE WHEN ?1 IS NULL THEN NULL WHEN left_at IS NULL THEN ?5 ELSE gone_at END \
         WHERE contact = ?2 AND automation = ?3 AND occurrence = ?4",
    )?;
    for (key, left_at) in marks {
        update.execute(params![
            left_at.map(Timestamp::as_millisecond),
            key.contact.as_str(),
            names.automation(tx, &key.automation)?,
            occurrence(key),
            now,
        ])?;
    }
    Ok(())
}

/// Writes how sources are.
pub(super) fn upsert_sources(
    tx: &Connection,
    now: i64,
    sources: &[SourceNote],
) -> rusqlite::Result<()> {
    let mut upsert = tx.prepare_cached(
        "INSERT INTO source (name, rows, applied_at, ends_with_line_end) VALUES (?, ?, ?, ?) \
         ON CONFLICT (name) DO UPDATE SET rows = excluded.rows, applied_at = excluded.applied_at, \
         ends_with_line_end = excluded.ends_with_line_end",
    )?;
    for source in sources {
        upsert.execute(params![
            source.name,
            i64::try_from(source.rows).unwrap_or(i64::MAX),
            now,
            source.ends_with_line_end,
        ])?;
    }
    Ok(())
}

/// Erases all that is on record of people.
pub(super) fn delete_contacts(tx: &Connection, contacts: &[ContactId]) -> rusqlite::Result<()> {
    for contact in contacts {
        for statement in [
            "DELETE FROM participation WHERE contact = ?",
            "DELETE FROM call WHERE contact = ?",
        ] {
            tx.execute(statement, [contact.as_str()])?;
        }
    }
    Ok(())
}

fn occurrence(key: &Key) -> &str {
    key.occurrence.as_ref().map_or("", |o| o.as_str())
}
