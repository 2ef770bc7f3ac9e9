//! One writer at a time: a lock of the operating system for this host, and a row with a heartbeat for all hosts.
//!
//! The system's lock goes with its process, so on one host a dead holder is known at once. The row is what another host
//! sees, and what every writing transaction checks, so that a holder whose lock was taken over writes nothing more.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Connection, Row, SqliteConnection};
use tokio::time::Instant;

use super::error::sql;
use super::files::{beside, io};
use super::{open, witness};
use crate::failpoint::fail_point;
use crate::record::batch::time;
use crate::record::error::{Holder, LockError, RecordError};
use crate::record::host;
use crate::record::identity::{Expected, Witness};
use crate::record::store::Watch;
use crate::record::writing::{LockRequest, Purpose};

/// How often a waiting run looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

const SIGN_OF_LIFE: &str = "UPDATE lock SET heartbeat_at = ? WHERE holder = ?";
const GIVE_BACK: &str = "DELETE FROM lock WHERE holder = ?";

/// A lock that is held.
pub(super) struct Lock {
    /// Which run holds it.
    holder: String,
    /// When it was taken, by the clock of the day and by one that nobody sets.
    taken: (Timestamp, Instant),
    /// Held as long as this file is open. It holds the witness.
    file: File,
}

impl Lock {
    /// The time of a sign of life now, in milliseconds since 1970.
    fn heartbeat(&self) -> i64 {
        // Where the clock is set back, it must not look as if there had been no sign of life since.
        let (at, since) = self.taken;
        let by_time_passed = i64::try_from(since.elapsed().as_millis()).unwrap_or(0);
        let heartbeat = at.as_millisecond().saturating_add(by_time_passed);
        heartbeat.max(Timestamp::now().as_millisecond())
    }

    /// Notes in the lock file how far the record is. Where that fails, the witness lags behind.
    pub(super) fn witness(&self, witness: Witness) {
        if let Err(error) = witness::write(witness, &self.file) {
            tracing::debug!("the lock file beside the record cannot be written: {error}");
        }
    }

    /// Notes which process this is: an older record had no place for it.
    async fn introduce(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let process = "UPDATE lock SET process = ? WHERE holder = ?";
        let process = sqlx::query(process).bind(host::this_process());
        process.bind(&self.holder).execute(connection).await?;
        Ok(())
    }

    /// Gives a sign of life, and says whether the lock is still this run's: part of every transaction that writes.
    pub(super) async fn prove(&self, tx: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        let sign = sqlx::query(SIGN_OF_LIFE).bind(self.heartbeat());
        let held = sign.bind(&self.holder).execute(tx).await?;
        Ok(held.rows_affected() == 1)
    }

    /// Gives it back. Where that fails, the next run takes it over.
    pub(super) async fn release(self, mut connection: SqliteConnection) {
        let give_back = sqlx::query(GIVE_BACK).bind(&self.holder);
        let _ = give_back.execute(&mut connection).await;
        let _ = connection.close().await;
    }
}

/// Whether a holder keeps its lock from a run that has the system's lock.
///
/// On this host that one tells the living from the dead, unless its file was deleted under a holder. So a process that is
/// there is never taken for dead, however slow it is.
fn keeps(other: &Holder, watch: &mut Watch, now: Instant) -> bool {
    match &other.process {
        _ if other.host != host::name() => watch.is_alive(other, now),
        Some(process) => host::is_alive(other.pid, process),
        None => false,
    }
}

/// A record that is locked.
pub(super) struct Locked {
    pub(super) lock: Lock,
    pub(super) connection: SqliteConnection,
    /// Whether it was made just now.
    pub(super) is_made: bool,
}

/// Takes the lock, opens the record to write, and migrates it where it is older than this Rollcall.
pub(super) async fn acquire(path: &Path, request: &LockRequest) -> Result<Locked, LockError> {
    let missing = || RecordError::Missing {
        path: path.to_owned(),
    };
    let until = Instant::now() + request.timeout;
    let file = system_lock(path, until).await?;
    let mut is_made = false;
    let (mut connection, kind) = match open::writer(path).await? {
        Some(opened) => opened,
        None if !request.may_begin => return Err(missing().into()),
        None => {
            // It knows of a record that is gone.
            witness::clear(&file).map_err(io(path))?;
            open::make(path, request).await?;
            is_made = true;
            open::writer(path).await?.ok_or_else(missing)?
        }
    };
    let mut lock = Lock {
        holder: uuid::Uuid::new_v4().to_string(),
        taken: (Timestamp::now(), Instant::now()),
        file,
    };
    let mut watch = Watch::default();
    while let Some(other) = try_row(path, &mut connection, &mut lock, request, &mut watch).await? {
        if Instant::now() >= until {
            return Err(LockError::Held(other));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    // A holder on another host would not know its own record any more, so an older one is migrated only now.
    let ready = match open::migrate(path, &mut connection, kind).await {
        Ok(()) => lock
            .introduce(&mut connection)
            .await
            .map_err(sql(path, "locked")),
        Err(error) => Err(error),
    };
    if let Err(error) = ready {
        lock.release(connection).await;
        return Err(error.into());
    }
    Ok(Locked {
        lock,
        connection,
        is_made,
    })
}

/// Takes the lock away from a holder that is gone without a trace, or that hangs. From then on it writes nothing, so that it
/// announces no call either.
///
/// Where it is a process of this host, it goes on having the system's lock, of the file that it opened. So that file gives way
/// to a new one, with the same witness; whoever has the old one is kept out by the row.
///
/// # Errors
/// That somebody else has the system's lock on this host, or what is wrong with the record.
pub(super) async fn unlock(path: &Path, holder: &Holder) -> Result<(), LockError> {
    if let Some((mut connection, _)) = open::writer(path).await? {
        let unlocked = sqlx::query(GIVE_BACK).bind(&holder.holder);
        let unlocked = unlocked.execute(&mut connection).await;
        unlocked.map_err(sql(path, "unlocked"))?;
    }
    match system_lock(path, Instant::now()).await {
        Err(LockError::Held(_)) if holder.process.is_some() && holder.is_here() => {
            let (lock, new) = (beside(path, ".lock"), beside(path, ".lock.new"));
            // A copy has the permissions too.
            let replaced = std::fs::copy(&lock, &new).and_then(|_| std::fs::rename(&new, &lock));
            Ok(replaced.map_err(io(&lock))?)
        }
        result => result.map(drop),
    }
}

/// Opens the record to read, and migrates it first where it is older than this Rollcall.
///
/// # Errors
/// What is wrong with it; or that it is older, and another run works on it.
pub(super) async fn reader(path: &Path) -> Result<Option<SqliteConnection>, RecordError> {
    match open::reader(path).await {
        Err(RecordError::Older { path, .. }) => {
            let request = LockRequest {
                command: "record".to_owned(),
                // A run that has only just made the record brings it up to date itself, in much less time.
                timeout: Duration::from_secs(1),
                config_digest: None,
                git_revision: None,
                expected: Expected::default(),
                purpose: Purpose::Erase,
                may_begin: false,
            };
            match acquire(&path, &request).await {
                Ok(Locked {
                    lock, connection, ..
                }) => lock.release(connection).await,
                Err(LockError::Record(error)) => return Err(error),
                // Where it is older still, the reader says so.
                Err(LockError::Held(_) | LockError::Lost) => {}
            }
            open::reader(&path).await
        }
        // A run of an older version was killed while it made the record. Who holds the lock takes back what it began.
        Err(error @ RecordError::HalfWritten { .. }) => {
            let Ok(_file) = system_lock(path, Instant::now()).await else {
                return Err(error);
            };
            let _ = open::writer(path).await;
            open::reader(path).await
        }
        result => result,
    }
}

async fn system_lock(path: &Path, until: Instant) -> Result<File, LockError> {
    let lock_path = beside(path, ".lock");
    let io = io(&lock_path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(&io)?;
    }
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&lock_path).map_err(&io)?;
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
        host: host::name(),
        pid: 0,
        process: None,
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
    let row = sqlx::query("SELECT * FROM lock")
        .fetch_optional(connection)
        .await
        .map_err(sql(path, "read"))?;
    row.map(|row| {
        Ok::<_, sqlx::Error>(Holder {
            holder: row.try_get("holder")?,
            host: row.try_get("host")?,
            pid: u32::try_from(row.try_get::<i64, _>("pid")?).unwrap_or(0),
            // An older record does not know of it.
            process: row.try_get("process").unwrap_or_default(),
            command: row.try_get("command")?,
            acquired_at: time(row.try_get("acquired_at")?),
            heartbeat_at: time(row.try_get("heartbeat_at")?),
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
    lock: &mut Lock,
    request: &LockRequest,
    watch: &mut Watch,
) -> Result<Option<Holder>, RecordError> {
    let failed = sql(path, "locked");
    let now = Timestamp::now();
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(&failed)?;
    if let Some(other) = read_row(path, &mut transaction).await? {
        if keeps(&other, watch, Instant::now()) {
            return Ok(Some(other));
        }
        tracing::warn!(
            event = "lock-taken-over",
            host = other.host,
            pid = other.pid,
            "taking over the lock of a run that is gone"
        );
        fail_point("takeover");
    }
    lock.taken = (now, Instant::now());
    let now = now.as_millisecond();
    sqlx::query(
        "INSERT OR REPLACE INTO lock (only, holder, host, pid, command, acquired_at, heartbeat_at) \
         VALUES (1, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&lock.holder)
    .bind(host::name())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sign_of_life(second: i64) -> Holder {
        Holder {
            holder: "x".to_owned(),
            host: "far-away.example".to_owned(),
            pid: 7,
            process: None,
            command: "apply".to_owned(),
            acquired_at: Timestamp::UNIX_EPOCH,
            heartbeat_at: Timestamp::from_second(second).unwrap(),
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_lives_on_this_host_keeps_its_lock_however_long_it_is_silent() {
        let mut watch = Watch::default();
        let here = Holder {
            host: host::name(),
            pid: std::process::id(),
            process: host::this_process(),
            ..sign_of_life(1000)
        };
        let start = Instant::now();
        for seconds in [0, 60, 86_400] {
            let now = start + Duration::from_secs(seconds);
            assert!(keeps(&here, &mut watch, now));
        }
        // One that had its number before is gone, and so is one of an older version, as the system's lock says.
        for process in [Some("another".to_owned()), None] {
            let gone = Holder {
                process,
                ..here.clone()
            };
            assert!(!keeps(&gone, &mut watch, start));
        }
    }

    /// A record whose lock is held.
    async fn held(path: &Path) -> (Lock, SqliteConnection) {
        let request = LockRequest {
            command: "apply".to_owned(),
            timeout: Duration::ZERO,
            config_digest: None,
            git_revision: None,
            expected: Expected::default(),
            purpose: Purpose::Act,
            may_begin: true,
        };
        let acquired = acquire(path, &request).await.unwrap();
        (acquired.lock, acquired.connection)
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_makes_no_sign_of_life_older() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollcall.db");
        let (mut lock, mut connection) = held(&path).await;
        // It was taken by a clock that was an hour ahead of what it shows now.
        lock.taken.0 = Timestamp::now() + jiff::SignedDuration::from_hours(1);
        assert!(lock.prove(&mut connection).await.unwrap());
        let shown = read_row(&path, &mut connection).await.unwrap().unwrap();
        assert!(shown.heartbeat_at >= lock.taken.0 - jiff::SignedDuration::from_millis(1));
    }
}
