//! What a saved plan is held against.

use jiff::Timestamp;
use rusqlite::{Transaction, params};

use super::error::RecordError;
use super::lock;
use super::open::sql;
use super::read::{Record, time};
use crate::id::RecordId;

/// Where a record stands, for a saved plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What tells this record from all others; `None` where there is none yet.
    pub identity: Option<RecordId>,
    /// Grows with every change of a participation, and with every saved plan that is applied.
    pub serial: u64,
    /// When the plan was applied, if it was.
    pub applied_at: Option<Timestamp>,
}

impl Record {
    /// Where the record stands for the saved plan of this id.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn standing(&self, plan: &str) -> Result<Standing, RecordError> {
        let Some(mut connection) = lock::reader(self.path()).await? else {
            return Ok(Standing {
                identity: None,
                serial: 0,
                applied_at: None,
            });
        };
        let (identity, serial, applied_at): (String, i64, Option<i64>) = sqlx::query_as(
            "SELECT identity, serial, (SELECT started_at FROM run WHERE plan = ?) FROM meta",
        )
        .bind(plan)
        .fetch_one(&mut connection)
        .await
        .map_err(sql(self.path(), "read"))?;
        let id = identity.parse().map_err(|_| RecordError::Corrupt {
            path: self.path().to_owned(),
            what: "its id".to_owned(),
        })?;
        Ok(Standing {
            identity: Some(id),
            serial: u64::try_from(serial).unwrap_or(0),
            applied_at: applied_at.map(time),
        })
    }
}

/// Notes that a run applies a saved plan that was made at a serial. Returns the serial that the record has: where it is
/// another one, nothing is noted.
///
/// The serial grows, whatever comes of the plan: so no plan that was saved before is applied after it, itself least of
/// all, and not even where nothing else in the record changes.
pub(super) fn claim(
    tx: &Transaction<'_>,
    run: i64,
    plan: &str,
    serial: u64,
) -> rusqlite::Result<u64> {
    let found: i64 = tx.query_row("SELECT serial FROM meta", [], |row| row.get(0))?;
    let found = u64::try_from(found).unwrap_or(0);
    if found != serial {
        return Ok(found);
    }
    tx.execute("UPDATE meta SET serial = serial + 1", [])?;
    tx.execute("UPDATE run SET plan = ? WHERE id = ?", params![plan, run])?;
    Ok(found)
}
