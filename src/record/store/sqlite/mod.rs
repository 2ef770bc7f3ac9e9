//! A record in a SQLite file.

mod carry;
mod columns;
mod error;
mod files;
mod lock;
mod names;
mod open;
mod peek;
mod report;
mod view;
mod witness;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};

use super::carry::{Row, Table};
use super::{Acquired, Lease, Store, View};
use crate::id::RecordId;
use crate::record::batch::{Batch, RunStep};
use crate::record::error::{Holder, JournalError, LockError, RecordError};
use crate::record::host;
use crate::record::identity::Witness;
use crate::record::writing::LockRequest;
use error::explain;
use files::Files;
use lock::{Lock, Locked};
pub(crate) use peek::contacts_like;
use view::Db;

/// How long to wait for a reader that keeps the log from being emptied.
const WIPE_PATIENCE: Duration = Duration::from_secs(5);

const RUN: &str = "\
INSERT INTO run (command, started_at, host, pid, version, config_digest, git_revision) VALUES (?, ?, ?, ?, ?, ?, ?)";

/// An account without its key stays as it is noted, as long as the host does.
const MARK: &str = "\
UPDATE meta SET file_inode = ?1, file_birth = ?2, service = ?3,
    account = CASE WHEN ?4 IS NULL AND service IS ?3 THEN account ELSE ?4 END";

/// Where the file is, or is to be.
#[derive(Debug)]
pub(in crate::record) struct Sqlite {
    path: PathBuf,
    /// Whether it was given by a symbolic link.
    is_linked: bool,
}

impl Sqlite {
    /// By its path, or by that of a symbolic link to it.
    pub(in crate::record) fn at(path: &Path) -> Self {
        Self {
            path: files::resolved(path),
            is_linked: path.is_symlink(),
        }
    }
}

#[async_trait]
impl Store for Sqlite {
    fn path(&self) -> &Path {
        &self.path
    }

    fn witness(&self) -> Option<Witness> {
        witness::of(&self.path)
    }

    async fn read(&self) -> Result<Option<Box<dyn View>>, RecordError> {
        Ok(match lock::reader(&self.path).await? {
            Some(connection) => Some(Box::new(Db::new(&self.path, connection).await?)),
            None => None,
        })
    }

    async fn acquire(&self, request: &LockRequest) -> Result<Acquired, LockError> {
        // Most likely its disk is not mounted, and what would be begun here is another record.
        if self.is_linked && !self.path.parent().is_some_and(Path::exists) {
            let path = self.path.clone();
            return Err(RecordError::NoFolder { path }.into());
        }
        let Locked {
            lock,
            mut connection,
            is_made,
        } = lock::acquire(&self.path, request).await?;
        let identity = sqlx::query_scalar("SELECT identity FROM meta");
        let identity: String = identity
            .fetch_one(&mut connection)
            .await
            .map_err(error::sql(&self.path, "read"))?;
        let lease = Held {
            id: identity.parse().ok(),
            db: Db::new(&self.path, connection).await?,
            files: Files::of(&self.path),
            lock,
            run: 0,
        };
        let lease = Box::new(lease);
        Ok(Acquired { lease, is_made })
    }

    async fn unlock(&self, holder: &Holder) -> Result<(), LockError> {
        lock::unlock(&self.path, holder).await
    }
}

/// A record that is locked.
struct Held {
    db: Db,
    lock: Lock,
    /// The files that it must stay in.
    files: Files,
    /// The record's id, where it can be read.
    id: Option<RecordId>,
    /// The number of the run; 0 before it begins.
    run: i64,
}

#[async_trait]
impl Lease for Held {
    fn view(&mut self) -> &mut dyn View {
        &mut self.db
    }

    async fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        // SQLite would go on to write to a file that nobody can open any more.
        self.files.check()?;
        let result = self.try_commit(batch).await;
        if !matches!(result, Ok(true)) {
            return match result {
                Ok(_) => Err(JournalError::LockLost),
                Err(error) => Err(JournalError::Store(explain(&error))),
            };
        }
        if let (Some(id), Some(serial)) = (self.id, batch.serial) {
            self.lock.witness(Witness { id, serial });
        }
        Ok(())
    }

    async fn wipe(&mut self) -> Result<bool, JournalError> {
        let wiped = checkpoint(&mut self.db.connection, WIPE_PATIENCE).await;
        wiped.map_err(|error| JournalError::Store(explain(&error)))
    }

    async fn rows(
        &mut self,
        table: &Table,
        behind: Option<&Row>,
    ) -> Result<Vec<Row>, JournalError> {
        let rows = carry::rows(&mut self.db.connection, table, behind).await;
        rows.map_err(|error| JournalError::Store(explain(&error)))
    }

    async fn fill(&mut self, table: &Table, rows: &[Row]) -> Result<(), JournalError> {
        self.fenced(async |tx| carry::fill(tx, table, rows).await)
            .await
    }

    async fn empty(&mut self) -> Result<(), JournalError> {
        self.fenced(async |tx| carry::empty(tx).await).await
    }

    async fn close(&mut self, moved_to: Option<&str>) -> Result<(), JournalError> {
        self.fenced(async |tx| {
            let close = sqlx::query("UPDATE meta SET moved_to = ?").bind(moved_to);
            close.execute(tx).await.map(drop)
        })
        .await
    }

    async fn release(mut self: Box<Self>) -> Result<(), JournalError> {
        if let Err(error) = self.files.check() {
            // To close it would write to what is left of it.
            std::mem::forget(self.db.connection);
            return Err(error);
        }
        // What the file has then needs no log beside it. Where somebody reads, the log stays.
        let _ = checkpoint(&mut self.db.connection, Duration::ZERO).await;
        self.lock.release(self.db.connection).await;
        Ok(())
    }
}

impl Held {
    /// Does something in one transaction, while the lock is held.
    async fn fenced(
        &mut self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<(), sqlx::Error>,
    ) -> Result<(), JournalError> {
        self.files.check()?;
        let done = async {
            let mut tx = self.db.connection.begin_with("BEGIN IMMEDIATE").await?;
            if !self.lock.prove(&mut tx).await? {
                return Ok(false);
            }
            work(&mut tx).await?;
            tx.commit().await?;
            Ok(true)
        };
        match done.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(JournalError::LockLost),
            Err(error) => {
                let error: sqlx::Error = error;
                Err(JournalError::Store(explain(&error)))
            }
        }
    }

    /// Returns whether the lock is still held; nothing is written otherwise.
    async fn try_commit(&mut self, batch: &Batch) -> Result<bool, sqlx::Error> {
        let now = batch.at.as_millisecond();
        let Db {
            path,
            connection,
            names: known,
            ..
        } = &mut self.db;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        if !self.lock.prove(&mut tx).await? {
            return Ok(false);
        }
        let mut new = None;
        if names::write_new(known, &mut tx, batch).await? {
            new = Some(Arc::new(names::read(&mut tx).await?));
        }
        let mut run = self.run;
        if let Some(step) = &batch.run {
            run = write_run(&mut tx, step, now, run, path).await?;
        }
        write::write(&mut tx, new.as_deref().unwrap_or(known), run, batch).await?;
        tx.commit().await?;
        self.run = run;
        if let Some(new) = new {
            self.db.names = new;
        }
        Ok(true)
    }
}

/// Notes that a run begins or ends. Returns its number.
async fn write_run(
    tx: &mut SqliteConnection,
    step: &RunStep,
    now: i64,
    run: i64,
    path: &Path,
) -> Result<i64, sqlx::Error> {
    let RunStep::Begin {
        command,
        config_digest,
        git_revision,
        mark,
    } = step
    else {
        let end = sqlx::query("UPDATE run SET ended_at = ? WHERE id = ?");
        end.bind(now).bind(run).execute(tx).await?;
        return Ok(run);
    };
    if let Some((host, account)) = mark {
        let file = files::id(path).unwrap_or_default();
        let mark = sqlx::query(MARK)
            .bind(file.inode)
            .bind(file.birth)
            .bind(host);
        let account = account
            .as_ref()
            .map(|account| account.as_bytes().as_slice());
        mark.bind(account).execute(&mut *tx).await?;
    }
    let begin = sqlx::query(RUN)
        .bind(command)
        .bind(now)
        .bind(host::name())
        .bind(i64::from(std::process::id()))
        .bind(env!("CARGO_PKG_VERSION"))
        .bind(config_digest)
        .bind(git_revision);
    Ok(begin.execute(tx).await?.last_insert_rowid())
}

/// Writes the log back to the file and empties it, unless somebody reads what it holds for longer than that.
async fn checkpoint(
    connection: &mut SqliteConnection,
    patience: Duration,
) -> Result<bool, sqlx::Error> {
    let patience = format!("PRAGMA busy_timeout = {}", patience.as_millis());
    sqlx::query(sqlx::AssertSqlSafe(patience))
        .execute(&mut *connection)
        .await?;
    // What was deleted is overwritten in the file (secure_delete) once the log is written back.
    let (is_busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "PRAGMA busy_timeout = {}",
        open::BUSY.as_millis()
    )))
    .execute(connection)
    .await?;
    Ok(is_busy == 0)
}
