//! What an earlier run left open: it may have been carried out, and nobody knows.

use std::path::Path;

use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::error::LockError;
use super::lock::Lock;
use super::open::sql;
use super::participation::State;
use crate::failpoint::fail_point;

/// The detail of a call that was left open.
pub(super) const LEFT_OPEN: &str = "the run ended before an answer was recorded";

/// A call that an earlier run left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOpen {
    /// `trigger` or `stop`.
    pub kind: String,
    /// The contact.
    pub contact: String,
    /// The automation.
    pub automation: String,
    /// The occurrence, where it is of one.
    pub occurrence: Option<String>,
}

/// Settles all open calls as uncertain, and returns them. Only for the holder of the lock: no other run can have them
/// under way.
pub(super) async fn recover(
    path: &Path,
    connection: &mut SqliteConnection,
    lock: &Lock,
) -> Result<Vec<LeftOpen>, LockError> {
    let failed = sql(path, "recovered after a run that was cut short");
    let open: Vec<(String, String, String, Option<String>)> = sqlx::query_as(OPEN)
        .fetch_all(&mut *connection)
        .await
        .map_err(&failed)?;
    if open.is_empty() {
        return Ok(Vec::new());
    }
    tracing::warn!(
        event = "recovered",
        calls = open.len(),
        "an earlier run was cut short; its open calls are uncertain now"
    );
    let now = Timestamp::now().as_millisecond();
    let mut tx = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(&failed)?;
    // Whoever took the lock meanwhile may have calls under way.
    if !lock.prove(&mut tx).await.map_err(&failed)? {
        return Err(LockError::Lost);
    }
    for statement in [TRIGGERS, &stops(), CALLS] {
        // The parts that are put together are words of this program.
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(now)
            .bind(LEFT_OPEN)
            .execute(&mut *tx)
            .await
            .map_err(&failed)?;
    }
    sqlx::query("UPDATE meta SET serial = serial + 1")
        .execute(&mut *tx)
        .await
        .map_err(&failed)?;
    fail_point("recover:before");
    tx.commit().await.map_err(&failed)?;
    fail_point("recover:after");
    let left = open.into_iter();
    let left = left.map(|(kind, contact, automation, occurrence)| LeftOpen {
        kind,
        contact,
        automation,
        occurrence,
    });
    Ok(left.collect())
}

const OPEN: &str = "\
SELECT kind, contact, automation.name, nullif(occurrence, '')
FROM call JOIN automation ON automation.id = call.automation WHERE outcome IS NULL ORDER BY call.id";

const TRIGGERS: &str = "\
INSERT INTO participation
    (contact, automation, occurrence, state, trigger_code, fields, detail, triggered_at, changed_at)
SELECT contact, automation, occurrence, 'uncertain', trigger_code, fields, ?2, sent_at, ?1
FROM call WHERE outcome IS NULL AND kind = 'trigger' AND occurrence IS NOT NULL
ON CONFLICT (contact, automation, occurrence) DO UPDATE SET
    state = excluded.state, trigger_code = excluded.trigger_code, ids = NULL, fields = excluded.fields,
    detail = excluded.detail, triggered_at = excluded.triggered_at, changed_at = excluded.changed_at, left_at = NULL";

/// The states of which something holds, as SQL.
fn words(holds: impl Fn(State) -> bool) -> String {
    let states = State::ALL.into_iter().filter(|state| holds(*state));
    let words: Vec<String> = states.map(|state| format!("'{state}'")).collect();
    words.join(", ")
}

fn stops() -> String {
    let reached_nobody = words(State::reached_nobody);
    let may_be_stopped = words(State::may_be_stopped);
    format!("\
UPDATE participation SET state = 'stop-uncertain', detail = ?2, changed_at = ?1,
    triggered_at = CASE WHEN state IN ({reached_nobody}) THEN NULL ELSE participation.triggered_at END
FROM call
WHERE call.outcome IS NULL AND call.kind = 'stop' AND participation.contact = call.contact
  AND (call.automation = participation.automation AND call.occurrence = participation.occurrence
       OR call.occurrence IS NULL AND call.trigger_code = participation.trigger_code)
  AND participation.state IN ({may_be_stopped})")
}

const CALLS: &str = "\
UPDATE call SET settled_at = ?1, detail = ?2,
    outcome = CASE kind WHEN 'trigger' THEN 'uncertain' ELSE 'stop-uncertain' END
WHERE outcome IS NULL";
