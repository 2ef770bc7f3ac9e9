//! Reading: sums over the record.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::error::RecordError;
use super::lock;
use super::open::sql;
use super::participation::State;
use super::read::Record;
use crate::id::AutomationName;

/// Triggers that were carried out, or may have been, between two times.
///
/// Calls are numbered as they are made, so that older ones need not be read: a day more than asked for is, in case the
/// clock was set back.
const SENT: &str = "\
SELECT automation.name, count(*) FROM call JOIN automation ON automation.id = call.automation
WHERE call.id > coalesce((SELECT max(id) FROM call WHERE sent_at < ?1 - 86400000), 0)
  AND call.kind = 'trigger' AND call.sent_at >= ?1 AND call.sent_at < ?2
  AND (call.outcome IS NULL OR call.outcome IN ('active', 'uncertain'))
GROUP BY automation.name";

impl Record {
    /// How many triggers of each automation were sent between two times, and carried out or in doubt.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn sent(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<AutomationName, u64>, RecordError> {
        let Some(mut connection) = lock::reader(self.path()).await? else {
            return Ok(BTreeMap::new());
        };
        let rows: Vec<(String, i64)> = sqlx::query_as(SENT)
            .bind(from.as_millisecond())
            .bind(to.as_millisecond())
            .fetch_all(&mut connection)
            .await
            .map_err(sql(self.path(), "read"))?;
        Ok(by_automation(rows))
    }
}

impl Record {
    /// How many participations there are, by automation and state.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn states(&self) -> Result<BTreeMap<(AutomationName, State), u64>, RecordError> {
        let Some(mut connection) = lock::reader(self.path()).await? else {
            return Ok(BTreeMap::new());
        };
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT automation.name, state, count(*) FROM participation \
             JOIN automation ON automation.id = participation.automation GROUP BY automation.name, state",
        )
        .fetch_all(&mut connection)
        .await
        .map_err(sql(self.path(), "read"))?;
        let counts = rows.into_iter().filter_map(|(name, state, count)| {
            let key = (AutomationName::recorded(&name).ok()?, state.parse().ok()?);
            Some((key, u64::try_from(count).unwrap_or(0)))
        });
        Ok(counts.collect())
    }
}

/// What is noted of a source when a plan made from it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceNote {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// Whether its file ends with a line end.
    pub ends_with_line_end: bool,
}

/// A source when a plan made from it was last applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedSource {
    /// How many rows it had.
    pub rows: u64,
    /// Whether its file ended with a line end; `None` where an older Rollcall noted it.
    pub ends_with_line_end: Option<bool>,
    /// When that was.
    pub at: Timestamp,
}

impl Record {
    /// The sources as they were when plans made from them were last applied, by name.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn applied_sources(&self) -> Result<BTreeMap<String, AppliedSource>, RecordError> {
        let Some(mut connection) = lock::reader(self.path()).await? else {
            return Ok(BTreeMap::new());
        };
        let rows: Vec<(String, i64, i64, Option<bool>)> =
            sqlx::query_as("SELECT name, rows, applied_at, ends_with_line_end FROM source")
                .fetch_all(&mut connection)
                .await
                .map_err(sql(self.path(), "read"))?;
        let sources = rows
            .into_iter()
            .map(|(name, rows, at, ends_with_line_end)| {
                let source = AppliedSource {
                    rows: u64::try_from(rows).unwrap_or(0),
                    ends_with_line_end,
                    at: Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH),
                };
                (name, source)
            });
        Ok(sources.collect())
    }
}

/// Counts by name. What is no name of an automation can be none of the configuration's.
fn by_automation(rows: Vec<(String, i64)>) -> BTreeMap<AutomationName, u64> {
    rows.into_iter()
        .filter_map(|(name, count)| {
            let name = AutomationName::recorded(&name).ok()?;
            Some((name, u64::try_from(count).unwrap_or(0)))
        })
        .collect()
}
