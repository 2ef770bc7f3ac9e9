//! `record move`: a record is carried to another place, under the locks of both, and the old one is closed for good.
//!
//! It is filled, and held against the old one, while it is marked as not whole; then the old one is closed; then the new one is
//! opened. So there is never more than one that can be applied by, and a move that was cut short goes on when it is begun again.

use super::batch::{Batch, RunStep};
use super::error::{JournalError, LockError, RecordError};
use super::identity::{self, Expected};
use super::read::Record;
use super::store::Lease;
use super::store::carry::{META, ROWS, TABLES, Table};
use super::writing::{LockRequest, Purpose};
use crate::digest::{Digest, Hasher};
use crate::id::RecordId;

/// Stands, in a record that is being filled, in the place of where it went.
pub(super) const NOT_WHOLE: &str = "!";

/// What was carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The record's id, which stays.
    pub id: RecordId,
    /// How many rows, in all tables.
    pub rows: u64,
    /// The digest of all of them.
    pub digest: Digest,
}

/// Why a record is not carried.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// A record cannot be locked, or read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A record cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is one already where it is to go.
    #[error(
        "There is a record at {0} already, so nothing was copied there, and nothing was changed."
    )]
    NotEmpty(String),
    /// What arrived is not what was sent.
    #[error(
        "The record at {0} differs from the original, so it is not used; the old one stays the record. \
         Move it again."
    )]
    NotSame(String),
}

impl From<RecordError> for CarryError {
    fn from(error: RecordError) -> Self {
        CarryError::Lock(error.into())
    }
}

/// What a record that was carried away, or is not whole, says.
pub(super) fn refuse(record: &std::path::Path, moved_to: Option<&str>) -> Result<(), RecordError> {
    let path = record.to_owned();
    match moved_to {
        None => Ok(()),
        Some(NOT_WHOLE) => Err(RecordError::NotWhole { path }),
        Some(to) => Err(RecordError::Moved {
            path,
            to: to.to_owned(),
        }),
    }
}

fn request(expected: Expected, may_begin: bool) -> LockRequest {
    LockRequest {
        command: "record move".to_owned(),
        timeout: std::time::Duration::ZERO,
        config_digest: None,
        git_revision: None,
        expected,
        purpose: Purpose::Carry,
        may_begin,
    }
}

impl Record {
    /// Carries all of it to another place. Where that was begun before, it goes on. What is expected of the record is looked at
    /// under its lock: from the new place on, nobody could see any more that it was another one.
    ///
    /// # Errors
    /// Why it was not carried.
    pub async fn carry(&self, to: &Record, expected: &Expected) -> Result<Carried, CarryError> {
        let mut from = self
            .store
            .acquire(&request(Expected::default(), false))
            .await?
            .lease;
        let done = self.carry_from(from.as_mut(), to, expected).await;
        let _ = from.release().await;
        done
    }

    async fn carry_from(
        &self,
        from: &mut dyn Lease,
        to: &Record,
        expected: &Expected,
    ) -> Result<Carried, CarryError> {
        let found = from.view().about().await?;
        let place = to.path().display().to_string();
        let is_closed = found.moved_to.is_some();
        if is_closed && found.moved_to.as_deref() != Some(&*place) {
            refuse(self.path(), found.moved_to.as_deref())?;
        }
        if !is_closed {
            let (view, witness) = (from.view(), self.store.witness());
            let (_, doubts) = identity::examine(self.path(), view, witness, expected).await?;
            if !doubts.is_empty() {
                let (path, would) = (self.path().to_owned(), String::new());
                return Err(RecordError::Doubtful {
                    path,
                    doubts,
                    would,
                }
                .into());
            }
        }
        let expected = Expected {
            id: Some(found.id),
            ..Expected::default()
        };
        let acquired = to.store.acquire(&request(expected, !is_closed)).await?;
        let mut lease = acquired.lease;
        let done = async {
            let new = lease.view().about().await?;
            let is_begun = new.id == found.id && new.moved_to.as_deref() == Some(NOT_WHOLE);
            if !acquired.is_made && !is_begun {
                return Err(CarryError::NotEmpty(place.clone()));
            }
            if !is_closed {
                lease.empty().await?;
                for table in TABLES.iter().chain([&META]) {
                    self.copy(from, lease.as_mut(), table).await?;
                }
            }
            let sent = self.sum(from, found.id).await?;
            if sent != to.sum(lease.as_mut(), found.id).await? {
                return Err(CarryError::NotSame(place.clone()));
            }
            from.close(Some(&place)).await?;
            lease.close(None).await?;
            // From now on it is known where it is.
            let mark = found
                .noted_host
                .clone()
                .map(|host| (host, found.noted_account));
            let run = |step| Batch {
                run: Some(step),
                serial: Some(found.serial),
                ..Batch::now(&self.clock)
            };
            let begin = RunStep::Begin {
                command: "record move".to_owned(),
                config_digest: None,
                git_revision: None,
                mark,
            };
            lease.commit(&run(begin)).await?;
            lease.commit(&run(RunStep::End)).await?;
            Ok(sent)
        };
        let done = done.await;
        let _ = lease.release().await;
        done
    }

    async fn copy(
        &self,
        from: &mut dyn Lease,
        to: &mut dyn Lease,
        table: &Table,
    ) -> Result<(), CarryError> {
        let mut behind = None;
        loop {
            let rows = from.rows(table, behind.as_ref()).await?;
            if rows.is_empty() {
                return Ok(());
            }
            to.fill(table, &rows).await?;
            // A sign of life, which says whether the lock is still held.
            from.commit(&Batch::now(&self.clock)).await?;
            if rows.len() < ROWS {
                return Ok(());
            }
            behind = rows.into_iter().next_back();
        }
    }

    /// The digest of all rows, and how many they are.
    async fn sum(&self, lease: &mut dyn Lease, id: RecordId) -> Result<Carried, CarryError> {
        let mut hasher = Hasher::new();
        let mut count = 0;
        for table in TABLES.iter().chain([&META]) {
            hasher.part(table.name);
            let mut behind = None;
            loop {
                let rows = lease.rows(table, behind.as_ref()).await?;
                for row in &rows {
                    count += 1;
                    hasher.part(serde_json::to_string(row).unwrap_or_default());
                }
                lease.commit(&Batch::now(&self.clock)).await?;
                if rows.len() < ROWS {
                    break;
                }
                behind = rows.into_iter().next_back();
            }
        }
        Ok(Carried {
            id,
            rows: count,
            digest: hasher.finish(),
        })
    }
}
