//! Reading: sums over the record.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::error::RecordError;
use super::lock;
use super::open::sql;
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

/// Counts by name. What is no name of an automation can be none of the configuration's.
fn by_automation(rows: Vec<(String, i64)>) -> BTreeMap<AutomationName, u64> {
    rows.into_iter()
        .filter_map(|(name, count)| {
            let name = AutomationName::new(&name).ok()?;
            Some((name, u64::try_from(count).unwrap_or(0)))
        })
        .collect()
}
