//! One writer at a time: a lock of the operating system for this host, and a row with a heartbeat for all hosts.
//!
//! The system's lock goes with its process, so on one host a dead holder is known at once. The row is what another host
//! sees, and what every writing transaction checks, so that a holder whose lock was taken over writes nothing more.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use sqlx::{Connection, Row, SqliteConnection};
use tokio::time::Instant;

use super::error::{DEAD_AFTER, Holder, LockError, RecordError, is_half_written};
use super::identity::{self, Doubt, Expected, Found};
use super::lease;
use super::open::{self, sql};
use super::process;
use super::recover::LEFT_OPEN;
use super::witness::Witness;
use crate::failpoint::fail_point;
use crate::id::RecordId;
use crate::participation::UNDER_WAY;

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
    /// What it expects of the record.
    pub expected: Expected,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether a record is begun where there is none. Where nobody said so, one that is not there was lost.
    pub may_begin: bool,
}

/// What a run writes for, and so which doubts about the record it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To act by the record. It must be the one that the last such run wrote; it is marked as that.
    Act,
    /// To erase a person, from whatever record that is. Only a doubt that would be hidden by writing is refused.
    Erase,
    /// To settle these doubts, which somebody has seen.
    Accept(Vec<Doubt>),
}

impl Purpose {
    /// Whether it marks the record as the right one.
    pub(super) fn marks(&self) -> bool {
        *self != Purpose::Erase
    }

    /// The doubts that keep the run from writing.
    fn refused(&self, doubts: Vec<Doubt>) -> Vec<Doubt> {
        match self {
            Purpose::Act => doubts,
            Purpose::Accept(seen) if *seen == doubts => Vec::new(),
            Purpose::Accept(_) => doubts,
            Purpose::Erase => doubts
                .into_iter()
                .filter(Doubt::is_hidden_by_writing)
                .collect(),
        }
    }
}

/// A lock that is held.
pub(super) struct Lock {
    /// Which run holds it.
    holder: String,
    /// When it was taken, by the clock of the day and by one that nobody sets.
    taken: (Timestamp, Instant),
    /// The same by the clock of the lease.
    pub(super) leased: Duration,
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
    pub(super) fn witness(&self, id: RecordId, serial: u64) {
        if let Err(error) = (Witness { id, serial }).write(&self.file) {
            tracing::debug!("the lock file beside the record cannot be written: {error}");
        }
    }

    /// Notes which process this is: an older record had no place for it.
    async fn introduce(
        &self,
        path: &Path,
        connection: &mut SqliteConnection,
    ) -> Result<(), RecordError> {
        sqlx::query("UPDATE lock SET process = ? WHERE holder = ?")
            .bind(process::this())
            .bind(&self.holder)
            .execute(connection)
            .await
            .map_err(sql(path, "locked"))?;
        Ok(())
    }

    /// Gives a sign of life, and says whether the lock is still this run's: part of every transaction that writes.
    pub(super) async fn prove(&self, tx: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        let held = sqlx::query(SIGN_OF_LIFE)
            .bind(self.heartbeat())
            .bind(&self.holder)
            .execute(tx)
            .await?
            .rows_affected();
        Ok(held == 1)
    }

    /// The same, on the journal's connection.
    pub(super) fn proves(&self, tx: &rusqlite::Connection) -> rusqlite::Result<bool> {
        let held = tx
            .prepare_cached(SIGN_OF_LIFE)?
            .execute(rusqlite::params![self.heartbeat(), self.holder])?;
        Ok(held == 1)
    }

    /// Gives it back. Where that fails, the next run takes it over.
    pub(super) async fn release(self, mut connection: SqliteConnection) {
        let _ = sqlx::query(GIVE_BACK)
            .bind(&self.holder)
            .execute(&mut connection)
            .await;
        let _ = connection.close().await;
    }

    /// The same, with the journal's connection.
    pub(super) fn give_back(self, connection: rusqlite::Connection) {
        let _ = connection.execute(GIVE_BACK, [&self.holder]);
        let _ = connection.close();
    }
}

const SIGN_OF_LIFE: &str = "UPDATE lock SET heartbeat_at = ? WHERE holder = ?";
const GIVE_BACK: &str = "DELETE FROM lock WHERE holder = ?";

/// The signs of life of a holder on another host, while it is waited for.
///
/// The clocks of two hosts need not agree, so that the time of a sign of life says nothing of its age. A holder is dead when
/// no other sign came for as long as that, by this host's own measure.
#[derive(Default)]
struct Watch {
    last: Option<(String, Timestamp, Instant)>,
}

impl Watch {
    fn is_alive(&mut self, other: &Holder, instant: Instant) -> bool {
        let since = match &self.last {
            Some((holder, heartbeat, since))
                if *holder == other.holder && *heartbeat == other.heartbeat_at =>
            {
                *since
            }
            _ => {
                self.last = Some((other.holder.clone(), other.heartbeat_at, instant));
                instant
            }
        };
        instant.duration_since(since) < DEAD_AFTER
    }
}

/// Whether a holder keeps its lock from a run that has the system's lock.
///
/// On this host that one tells the living from the dead, unless its file was deleted under a holder. So a process that is
/// there is never taken for dead, however slow it is.
fn keeps(other: &Holder, watch: &mut Watch, now: Instant) -> bool {
    match &other.process {
        _ if other.host != this_host() => watch.is_alive(other, now),
        Some(process) => process::is_alive(other.pid, process),
        None => false,
    }
}

pub(super) fn this_host() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// Takes the lock, opens the record to write, and migrates it where it is older than this Rollcall.
pub(super) async fn acquire(path: &Path, request: &LockRequest) -> Result<Acquired, LockError> {
    let until = Instant::now() + request.timeout;
    let file = system_lock(path, until).await?;
    let mut is_made = false;
    let (mut connection, kind) = match open::writer(path).await? {
        Some(opened) => opened,
        None if !request.may_begin => return Err(missing(path).into()),
        None => {
            // It knows of a record that is gone.
            Witness::clear(&file).map_err(|error| RecordError::Io {
                path: path.to_owned(),
                error,
            })?;
            open::make(path, request.expected.id).await?;
            is_made = true;
            let made = open::writer(path).await?;
            made.ok_or_else(|| missing(path))?
        }
    };
    let mut lock = Lock {
        holder: uuid::Uuid::new_v4().to_string(),
        taken: (Timestamp::now(), Instant::now()),
        leased: lease::now(),
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
        Ok(()) => lock.introduce(path, &mut connection).await,
        Err(error) => Err(error),
    };
    if let Err(error) = ready {
        lock.release(connection).await;
        return Err(error.into());
    }
    Ok(Acquired {
        lock,
        connection,
        is_made,
    })
}

/// Takes the lock, and makes sure that the record is the right one for what is to be written.
pub(super) async fn acquire_right(
    path: &Path,
    request: &LockRequest,
) -> Result<(Acquired, Found), LockError> {
    let mut acquired = acquire(path, request).await?;
    let witness = Witness::of(path);
    let connection = &mut acquired.connection;
    let examined = identity::examine(path, connection, witness, &request.expected).await;
    let result = examined.and_then(|(found, doubts)| match request.purpose.refused(doubts) {
        doubts if doubts.is_empty() => Ok(found),
        doubts => Err(RecordError::Doubtful {
            path: path.to_owned(),
            doubts,
            would: String::new(),
        }),
    });
    match result {
        Ok(found) => Ok((acquired, found)),
        Err(error) => {
            acquired.lock.release(acquired.connection).await;
            Err(error.into())
        }
    }
}

/// A record that is locked.
pub(super) struct Acquired {
    pub(super) lock: Lock,
    pub(super) connection: SqliteConnection,
    /// Whether it was made just now.
    pub(super) is_made: bool,
}

fn missing(path: &Path) -> RecordError {
    RecordError::Missing {
        path: path.to_owned(),
    }
}

/// Whether a record has nothing in it yet.
pub(super) async fn is_blank(
    path: &Path,
    connection: &mut SqliteConnection,
) -> Result<bool, RecordError> {
    let (has_any,): (bool,) = sqlx::query_as(
        "SELECT EXISTS (SELECT * FROM participation) OR EXISTS (SELECT * FROM call)",
    )
    .fetch_one(connection)
    .await
    .map_err(sql(path, "read"))?;
    Ok(!has_any)
}

/// Takes the lock away from a holder that is gone without a trace, or that hangs. From then on it writes nothing, so that it
/// announces no call either.
///
/// Where it is a process of this host, it goes on having the system's lock, of the file that it opened. So that file gives way
/// to a new one, with the same witness; whoever has the old one is kept out by the row.
///
/// # Errors
/// That somebody else has the system's lock on this host, or what is wrong with the record.
pub async fn unlock(path: &Path, holder: &Holder) -> Result<(), LockError> {
    if let Some((mut connection, _)) = open::writer(path).await? {
        sqlx::query(GIVE_BACK)
            .bind(&holder.holder)
            .execute(&mut connection)
            .await
            .map_err(sql(path, "unlocked"))?;
    }
    match system_lock(path, Instant::now()).await {
        Err(LockError::Held(_)) if holder.process.is_some() && holder.is_here() => {
            let lock_path = open::beside(path, ".lock");
            let new = open::beside(path, ".lock.new");
            // A copy has the permissions too.
            let replaced =
                std::fs::copy(&lock_path, &new).and_then(|_| std::fs::rename(&new, &lock_path));
            replaced.map_err(|error| RecordError::Io {
                path: lock_path,
                error,
            })?;
            Ok(())
        }
        result => result.map(drop),
    }
}

/// What is to be told of the calls that have no outcome yet: whether a run waits for their answers.
pub(super) fn told_of_open_calls(connection: &rusqlite::Connection) -> rusqlite::Result<String> {
    // An older record does not know which process it is.
    let holder = connection
        .query_row(
            "SELECT host, pid, process, heartbeat_at FROM lock",
            [],
            |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, u32>(1)?,
                    row.get::<_, Option<String>>(2)?,
                    row.get::<_, i64>(3)?,
                ))
            },
        )
        .optional()?;
    let is_at_work = |host: &str, pid, process: &Option<String>, heartbeat: i64| match process {
        Some(process) if host == this_host() => process::is_alive(pid, process),
        // By clocks that may differ, which only words depend on.
        _ => {
            let age = Timestamp::now().as_millisecond().saturating_sub(heartbeat);
            u128::from(age.unsigned_abs()) < DEAD_AFTER.as_millis()
        }
    };
    Ok(match holder {
        Some((host, pid, process, heartbeat)) if is_at_work(&host, pid, &process, heartbeat) => {
            format!("{UNDER_WAY} (process {pid} on {host})")
        }
        _ => LEFT_OPEN.to_owned(),
    })
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
                Ok(Acquired {
                    lock, connection, ..
                }) => lock.release(connection).await,
                Err(LockError::Record(error)) => return Err(error),
                // Where it is older still, the reader says so.
                Err(LockError::Held(_) | LockError::Lost) => {}
            }
            open::reader(&path).await
        }
        // A run of an older version was killed while it made the record. Who holds the lock takes back what it began.
        Err(error) if is_half_written(&error) => {
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
    let lock_path = open::beside(path, ".lock");
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
    let time = |ms: i64| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
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
    lock.leased = lease::now();
    let now = now.as_millisecond();
    sqlx::query(
        "INSERT OR REPLACE INTO lock (only, holder, host, pid, command, acquired_at, heartbeat_at) \
         VALUES (1, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&lock.holder)
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

    #[test]
    fn a_holder_elsewhere_is_dead_when_its_sign_of_life_did_not_change_for_a_minute() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut watch = Watch::default();
        // Whatever time it says that it was: its clock may be years away.
        for (start, second) in [(0, 1000), (1000, 4_000_000_000), (2000, 5)] {
            assert!(watch.is_alive(&sign_of_life(second), after(start)));
            assert!(watch.is_alive(&sign_of_life(second), after(start + 59)));
            assert!(watch.is_alive(&sign_of_life(second + 1), after(start + 60)));
            assert!(watch.is_alive(&sign_of_life(second + 1), after(start + 119)));
            assert!(!watch.is_alive(&sign_of_life(second + 1), after(start + 120)));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_lives_on_this_host_keeps_its_lock_however_long_it_is_silent() {
        let mut watch = Watch::default();
        let here = Holder {
            host: this_host(),
            pid: std::process::id(),
            process: process::this(),
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

    #[tokio::test]
    async fn a_run_whose_lock_was_taken_does_not_settle_what_the_other_has_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollcall.db");
        let (lock, mut connection) = held(&path).await;
        for statement in [
            "INSERT INTO automation (id, name) VALUES (1, 'a')",
            "INSERT INTO trigger_code (id, code) VALUES (1, 'c')",
            "INSERT INTO run (id, command, started_at, host, pid, version) VALUES (1, 'apply', 0, 'h', 1, '1')",
            "INSERT INTO call (run, kind, contact, automation, occurrence, trigger_code, sent_at) \
             VALUES (1, 'trigger', 'c-1', 1, '', 1, 0)",
            "UPDATE lock SET holder = 'somebody else'",
        ] {
            sqlx::query(statement)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        let result = super::super::recover::recover(&path, &mut connection, &lock).await;
        assert!(matches!(result, Err(LockError::Lost)), "{result:?}");
        let (open,): (i64,) = sqlx::query_as("SELECT count(*) FROM call WHERE outcome IS NULL")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(open, 1);
    }
}
