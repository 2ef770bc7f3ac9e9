//! The statements of a writing transaction: many rows each, since one statement a row is by far the slowest way to write.

use jiff::Timestamp;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::journal::{CallId, Intent, Settlement};
use super::names::Names;
use crate::digest::Digest;
use crate::id::TriggerCode;
use crate::participation::{Key, State};

/// A participation as it is to be, all of it.
pub(super) struct ParticipationRow {
    pub(super) key: Key,
    pub(super) state: State,
    pub(super) trigger_code: TriggerCode,
    pub(super) ids: Option<String>,
    pub(super) fields: Option<Digest>,
    pub(super) detail: Option<String>,
    pub(super) is_triggered: bool,
}

/// Writes calls that are about to be sent.
pub(super) async fn insert_intents(
    tx: &mut SqliteConnection,
    names: &mut Names,
    run: i64,
    now: i64,
    intents: &[(CallId, Intent)],
) -> Result<(), sqlx::Error> {
    if intents.is_empty() {
        return Ok(());
    }
    let mut tuples = Vec::with_capacity(intents.len());
    for (id, intent) in intents {
        let Some((key, _)) = intent.affected.first() else {
            continue;
        };
        let automation = names.automation(tx, &key.automation).await?;
        let code = names.code(tx, &intent.trigger_code).await?;
        tuples.push((id.0, intent, key, automation, code));
    }
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO call (id, run, kind, contact, automation, occurrence, trigger_code, participation_id, fields, \
         sent_at) ",
    );
    query.push_values(tuples, |mut row, (id, intent, key, automation, code)| {
        let occurrence = (!intent.all).then(|| key.occurrence.as_ref().map_or("", |o| o.as_str()));
        row.push_bind(id)
            .push_bind(run)
            .push_bind(intent.kind.as_str())
            .push_bind(key.contact.as_str().to_owned())
            .push_bind(automation)
            .push_bind(occurrence.map(str::to_owned))
            .push_bind(code)
            .push_bind(intent.participation.as_ref().map(|p| p.as_str().to_owned()))
            .push_bind(intent.fields.map(|digest| digest.as_bytes().to_vec()))
            .push_bind(now);
    });
    query.build().execute(tx).await?;
    Ok(())
}

/// Writes what came of calls.
pub(super) async fn update_calls(
    tx: &mut SqliteConnection,
    now: i64,
    settlements: &[(CallId, Settlement)],
) -> Result<(), sqlx::Error> {
    if settlements.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::<Sqlite>::new(
        "UPDATE call SET settled_at = v.column2, outcome = v.column3, http_status = v.column4, detail = v.column5, \
         entries = v.column6 FROM (",
    );
    query.push_values(settlements, |mut row, (id, settlement)| {
        row.push_bind(id.0)
            .push_bind(now)
            .push_bind(settlement.outcome.as_str())
            .push_bind(settlement.http_status.map(i64::from))
            .push_bind(settlement.detail.clone())
            .push_bind(settlement.entries.clone());
    });
    query.push(") AS v WHERE call.id = v.column1");
    query.build().execute(tx).await?;
    Ok(())
}

/// Writes participations whole, new or not.
pub(super) async fn upsert_participations(
    tx: &mut SqliteConnection,
    names: &mut Names,
    now: i64,
    rows: &[ParticipationRow],
) -> Result<(), sqlx::Error> {
    for rows in rows.chunks(1000) {
        let mut tuples = Vec::with_capacity(rows.len());
        for row in rows {
            let automation = names.automation(tx, &row.key.automation).await?;
            let code = names.code(tx, &row.trigger_code).await?;
            tuples.push((row, automation, code));
        }
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO participation (contact, automation, occurrence, state, trigger_code, ids, fields, detail, \
             triggered_at, changed_at) ",
        );
        query.push_values(tuples, |mut out, (row, automation, code)| {
            out.push_bind(row.key.contact.as_str().to_owned())
                .push_bind(automation)
                .push_bind(occurrence(&row.key))
                .push_bind(row.state.as_str())
                .push_bind(code)
                .push_bind(row.ids.clone())
                .push_bind(row.fields.map(|digest| digest.as_bytes().to_vec()))
                .push_bind(row.detail.clone())
                .push_bind(row.is_triggered.then_some(now))
                .push_bind(now);
        });
        query.push(
            " ON CONFLICT (contact, automation, occurrence) DO UPDATE SET state = excluded.state, \
             trigger_code = excluded.trigger_code, ids = excluded.ids, fields = excluded.fields, \
             detail = excluded.detail, triggered_at = excluded.triggered_at, changed_at = excluded.changed_at, \
             left_at = NULL",
        );
        query.build().execute(&mut *tx).await?;
    }
    Ok(())
}

/// Writes where participations stand, and why.
pub(super) async fn update_states(
    tx: &mut SqliteConnection,
    names: &mut Names,
    now: i64,
    rows: &[(Key, State, Option<String>)],
) -> Result<(), sqlx::Error> {
    for rows in rows.chunks(1000) {
        let mut tuples = Vec::with_capacity(rows.len());
        for row in rows {
            tuples.push((row, names.automation(tx, &row.0.automation).await?));
        }
        let mut query = QueryBuilder::<Sqlite>::new(
            "UPDATE participation SET state = v.column4, detail = v.column5, changed_at = v.column6, left_at = NULL \
             FROM (",
        );
        query.push_values(tuples, |mut out, ((key, state, detail), automation)| {
            out.push_bind(key.contact.as_str().to_owned())
                .push_bind(automation)
                .push_bind(occurrence(key))
                .push_bind(state.as_str())
                .push_bind(detail.clone())
                .push_bind(now);
        });
        query.push(
            ") AS v WHERE participation.contact = v.column1 AND participation.automation = v.column2 \
             AND participation.occurrence = v.column3",
        );
        query.build().execute(&mut *tx).await?;
    }
    Ok(())
}

/// Writes since when enrolments are gone.
pub(super) async fn update_marks(
    tx: &mut SqliteConnection,
    names: &mut Names,
    marks: &[(Key, Option<Timestamp>)],
) -> Result<(), sqlx::Error> {
    for (key, left_at) in marks {
        let automation = names.automation(tx, &key.automation).await?;
        sqlx::query(
            "UPDATE participation SET left_at = ? WHERE contact = ? AND automation = ? AND occurrence = ?",
        )
        .bind(left_at.map(Timestamp::as_millisecond))
        .bind(key.contact.as_str())
        .bind(automation)
        .bind(occurrence(key))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

fn occurrence(key: &Key) -> String {
    key.occurrence
        .as_ref()
        .map_or_else(String::new, |o| o.as_str().to_owned())
}
