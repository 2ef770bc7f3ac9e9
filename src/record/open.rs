//! Opening the SQLite file: permissions, settings, recognition, migrations.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use super::error::{RecordError, is_no_record};
use crate::failpoint::fail_point;

static MIGRATOR: Migrator = sqlx::migrate!("state/migrations");

/// "Roll", in the file's header.
const APPLICATION_ID: i64 = 0x526f_6c6c;

/// How long another program may keep the record busy.
pub(super) const BUSY: Duration = Duration::from_secs(30);

/// What a file turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing in it yet.
    Empty,
    /// A record with this schema.
    Record(i64),
}

fn newest() -> i64 {
    MIGRATOR.iter().map(|m| m.version).max().unwrap_or(0)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .statement_cache_capacity(256)
        // Statements may hold ids; they are nothing for a log.
        .disable_statement_logging()
}

/// Makes an error of what SQLite says while something is being done to a record.
pub(super) fn sql(path: &Path, doing: &'static str) -> impl Fn(sqlx::Error) -> RecordError + use<> {
    let path = path.to_owned();
    move |error| {
        if let sqlx::Error::Database(database) = &error
            && let Some(code) = database.code().and_then(|code| code.parse().ok())
            && is_no_record(code)
        {
            return RecordError::Foreign {
                path: path.clone(),
                what: super::error::explain(&error),
            };
        }
        RecordError::Sql {
            path: path.clone(),
            doing,
            error,
        }
    }
}

/// Opens a file to read, as it is at this moment: what is written later is not seen. `None` where there is no file yet,
/// which is an empty record.
pub(super) async fn reader(path: &Path) -> Result<Option<SqliteConnection>, RecordError> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() == 0 => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(RecordError::Io {
                path: path.to_owned(),
                error,
            });
        }
    }
    let known = newest();
    match reader_of_any_age(path).await? {
        (_, Kind::Empty) => Ok(None),
        (_, Kind::Record(found)) if found < known => Err(RecordError::Older {
            path: path.to_owned(),
            found,
            known,
        }),
        (connection, Kind::Record(_)) => Ok(Some(connection)),
    }
}

/// Opens a file to read, and says what it is.
async fn reader_of_any_age(path: &Path) -> Result<(SqliteConnection, Kind), RecordError> {
    let mut connection = options(path)
        .read_only(true)
        .connect()
        .await
        .map_err(sql(path, "opened"))?;
    sqlx::query("BEGIN")
        .execute(&mut connection)
        .await
        .map_err(sql(path, "read"))?;
    let kind = recognise(path, &mut connection).await?;
    Ok((connection, kind))
}

/// Opens a file to write as it is, and makes it where it is missing. Only for the holder of the host's lock.
pub(super) async fn writer(path: &Path) -> Result<(SqliteConnection, Kind), RecordError> {
    make_private(path)?;
    // Looked at before it is touched: to set the journal's mode is to write.
    drop(reader_of_any_age(path).await?);
    let mut connection = options(path)
        .journal_mode(SqliteJournalMode::Wal)
        // A call must not be forgotten in a power cut: every commit is on the disk before it is believed.
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "on")
        .connect()
        .await
        .map_err(sql(path, "opened to write"))?;
    let kind = recognise(path, &mut connection).await?;
    Ok((connection, kind))
}

/// Brings a file to the newest schema. Only for the holder of the lock; an empty file has no place for one.
pub(super) async fn migrate(
    path: &Path,
    connection: &mut SqliteConnection,
    kind: Kind,
) -> Result<(), RecordError> {
    if kind == Kind::Record(newest()) {
        return Ok(());
    }
    fail_point("migrate:before");
    MIGRATOR
        .run_direct(None, connection, false)
        .await
        .map_err(|error| RecordError::Sql {
            path: path.to_owned(),
            doing: "migrated",
            error: sqlx::Error::Migrate(Box::new(error)),
        })?;
    fail_point("migrate:after");
    Ok(())
}

/// Makes the folder and the file where they are missing, for the owner's eyes only. SQLite gives the files beside it
/// the same permissions.
fn make_private(path: &Path) -> Result<(), RecordError> {
    let io = |path: PathBuf| move |error| RecordError::Io { path, error };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io(path.to_owned()))?;
    }
    let mut options = fs::OpenOptions::new();
    // A file that is there is not opened here: to close it again would drop SQLite's own locks on it in this process.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(io(path.to_owned())(error))
        }
        _ => Ok(()),
    }
}

async fn recognise(path: &Path, connection: &mut SqliteConnection) -> Result<Kind, RecordError> {
    let read = |error| sql(path, "read")(error);
    let (id,): (i64,) = sqlx::query_as("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await
        .map_err(read)?;
    let (tables,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
         AND name <> '_sqlx_migrations'",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(read)?;
    if id != APPLICATION_ID {
        // A migration that was cut short leaves nothing but its own list behind.
        if id == 0 && tables == 0 {
            return Ok(Kind::Empty);
        }
        return Err(RecordError::Foreign {
            path: path.to_owned(),
            what: "it is another program's SQLite file".to_owned(),
        });
    }
    let (found,): (i64,) =
        sqlx::query_as("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
            .fetch_one(&mut *connection)
            .await
            .map_err(read)?;
    let known = newest();
    if found > known {
        return Err(RecordError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(Kind::Record(found))
}
