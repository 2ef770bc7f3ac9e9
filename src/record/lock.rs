//! One writer at a time: a lock of the operating system for this host, and a row with a heartbeat for all hosts.
//!
//! The system's lock goes with its process, so on one host a dead holder is known at once. The row is what another host
//! sees, and what every writing transaction checks, so that a holder whose lock was taken over writes nothing more.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Connection, Row, SqliteConnection};
use tokio::time::Instant;

use super::error::{DEAD_AFTER, Holder, LockError, RecordError};
use super::open::{self, sql};
use crate::failpoint::fail_point;

/// How often a waiting run looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Who wants to write, and for how long to wait for it.
#[derive(Debug, Clone)]
pub struct LockRequest {
    /// The command, for those who wait.
    pub command: String,
    /// How long to wait for another holder.
    pub timeout: Duration,
    /// The digest of the configuration that the run works by.
    pub config_digest: Option<String>,
    /// The Git revision of the configuration, if there is one.
    pub git_revision: Option<String>,
}

/// A lock that is held.
pub(super) struct Lock {
    /// Which run holds it.
    pub holder: String,
    /// Held as long as this file is open.
    _file: File,
}

pub(super) fn this_host() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// Takes the lock and opens the record to write.
pub(super) async fn acquire(
    path: &Path,
    request: &LockRequest,
) -> Result<(Lock, SqliteConnection), LockError> {
    let until = Instant::now() + request.timeout;
    let file = system_lock(path, until).await?;
    let mut connection = open::writer(path).await?;
    let holder = uuid::Uuid::new_v4().to_string();
    loop {
        match try_row(path, &mut connection, &holder, request).await? {
            None => {
                let lock = Lock {
                    holder,
                    _file: file,
                };
                return Ok((lock, connection));
            }
            Some(other) if Instant::now() >= until => return Err(LockError::Held(other)),
            Some(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// Takes the lock away from a holder that is gone without a trace: a machine that will not come back.
///
/// # Errors
/// That its holder is alive on this host, or what is wrong with the record.
pub async fn unlock(path: &Path) -> Result<(), LockError> {
    let _file = system_lock(path, Instant::now()).await?;
    let mut connection = open::writer(path).await?;
    sqlx::query("DELETE FROM lock")
        .execute(&mut connection)
        .await
        .map_err(sql(path, "unlocked"))?;
    Ok(())
}

/// Opens the record to read, and migrates it first where it is older than this Rollcall.
///
/// # Errors
/// What is wrong with it; or that it is older, and another run works on it.
pub(super) async fn reader(path: &Path) -> Result<Option<SqliteConnection>, RecordError> {
    match open::reader(path).await {
        Err(RecordError::Older { path, found, known }) => {
            // Whoever holds the lock migrates it as well.
            let Ok(_file) = system_lock(&path, Instant::now()).await else {
                return Err(RecordError::Older { path, found, known });
            };
            drop(open::writer(&path).await?);
            open::reader(&path).await
        }
        result => result,
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

async fn system_lock(path: &Path, until: Instant) -> Result<File, LockError> {
    let lock_path = lock_path(path);
    let io = |error| RecordError::Io {
        path: lock_path.clone(),
        error,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&lock_path).map_err(io)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(io(error).into()),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                return Err(LockError::Held(holder_or_somebody(path).await));
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// Who holds the lock; where that cannot be read (it has only just begun), somebody on this host.
async fn holder_or_somebody(path: &Path) -> Holder {
    if let Ok(Some(mut connection)) = open::reader(path).await
        && let Ok(Some(holder)) = read_row(path, &mut connection).await
    {
        return holder;
    }
    Holder {
        holder: String::new(),
        host: this_host(),
        pid: 0,
        command: "apply".to_owned(),
        acquired_at: Timestamp::now(),
        heartbeat_at: Timestamp::now(),
    }
}

/// Reads who holds the lock.
pub(super) async fn read_row(
    path: &Path,
    connection: &mut SqliteConnection,
) -> Result<Option<Holder>, RecordError> {
    let row = sqlx::query("SELECT holder, host, pid, command, acquired_at, heartbeat_at FROM lock")
        .fetch_optional(connection)
        .await
        .map_err(sql(path, "read"))?;
    let time = |ms: i64| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    row.map(|row| {
        Ok::<_, sqlx::Error>(Holder {
            holder: row.try_get(0)?,
            host: row.try_get(1)?,
            pid: u32::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0),
            command: row.try_get(3)?,
            acquired_at: time(row.try_get(4)?),
            heartbeat_at: time(row.try_get(5)?),
        })
    })
    .transpose()
    .map_err(sql(path, "read"))
}

/// Takes the row, unless a holder on another host is alive; then says who that is. The system's lock is held already,
/// so that a holder on this host is dead.
async fn try_row(
    path: &Path,
    connection: &mut SqliteConnection,
    holder: &str,
    request: &LockRequest,
) -> Result<Option<Holder>, RecordError> {
    let failed = sql(path, "locked");
    let now = Timestamp::now();
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(&failed)?;
    if let Some(other) = read_row(path, &mut transaction).await? {
        let age = now.duration_since(other.heartbeat_at);
        let is_alive = age < jiff::SignedDuration::try_from(DEAD_AFTER).unwrap_or_default();
        if other.host != this_host() && is_alive {
            return Ok(Some(other));
        }
        tracing::warn!(
            host = other.host,
            pid = other.pid,
            "taking over the lock of a run that is gone"
        );
        fail_point("takeover");
    }
    let now = now.as_millisecond();
    sqlx::query(
        "INSERT OR REPLACE INTO lock (only, holder, host, pid, command, acquired_at, heartbeat_at) \
         VALUES (1, ?, ?, ?, ?, ?, ?)",
    )
    .bind(holder)
    .bind(this_host())
    .bind(i64::from(std::process::id()))
    .bind(&request.command)
    .bind(now)
    .bind(now)
    .execute(&mut *transaction)
    .await
    .map_err(&failed)?;
    transaction.commit().await.map_err(&failed)?;
    Ok(None)
}
