//! Opening the SQLite file: permissions, settings, recognition, migrations.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::error::sql;
use super::files::{beside, io};
use crate::failpoint::fail_point;
use crate::id::RecordId;
use crate::record::carry::NOT_WHOLE;
use crate::record::error::RecordError;
use crate::record::writing::{LockRequest, Purpose};

static MIGRATOR: Migrator = sqlx::migrate!("state/migrations");

/// "Roll", in the file's header.
const APPLICATION_ID: i64 = 0x526f_6c6c;

/// How long another program may keep the record busy.
pub(super) const BUSY: Duration = Duration::from_secs(30);

/// How many pages (4 KiB each) the log may grow to before it is written back.
const CHECKPOINT_PAGES: &str = "8192";

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
        // A record may be on an image that is only read, where there is no room for SQLite's temporary files.
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256)
        // Statements may hold ids; they are nothing for a log.
        .disable_statement_logging()
}

/// Whether there is anything in a file. What is not a file is never taken for an empty one.
fn has_content(path: &Path) -> Result<bool, RecordError> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() => Ok(meta.len() > 0),
        Ok(meta) => Err(RecordError::NotAFile {
            path: path.to_owned(),
            what: match meta.is_dir() {
                true => "a folder",
                false => "a device, a pipe or a socket",
            },
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io(path)(error)),
    }
}

/// Opens a file to read, as it is at this moment: what is written later is not seen. `None` where there is no file yet,
/// which is an empty record.
pub(super) async fn reader(path: &Path) -> Result<Option<SqliteConnection>, RecordError> {
    if !has_content(path)? {
        return Ok(None);
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

/// What is in a file now. Only for the holder of the host's lock: what a run that was killed left half-written is rolled
/// back, which a reader cannot do.
async fn existing(path: &Path) -> Result<Kind, RecordError> {
    if !has_content(path)? {
        return Ok(Kind::Empty);
    }
    // The journal's mode is not set here: that would already be to write.
    let mut connection = options(path).connect().await.map_err(sql(path, "opened"))?;
    recognise(path, &mut connection).await
}

/// Opens a record to write. `None` where there is none. Only for the holder of the host's lock.
pub(super) async fn writer(path: &Path) -> Result<Option<(SqliteConnection, Kind)>, RecordError> {
    if existing(path).await? == Kind::Empty {
        return Ok(None);
    }
    let mut connection = options(path)
        .journal_mode(SqliteJournalMode::Wal)
        // A call must not be forgotten in a power cut: every commit is on the disk before it is believed.
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "on")
        // Pages that change with every transaction are written back once for many of them.
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .connect()
        .await
        .map_err(sql(path, "opened to write"))?;
    let kind = recognise(path, &mut connection).await?;
    Ok(Some((connection, kind)))
}

/// Makes a record where there is none: whole, under another name, and only then under its own. So a run that is killed
/// meanwhile leaves no record, and nothing that looks like one. It gets this id, or a new one. Only for the holder of the host's lock.
pub(super) async fn make(path: &Path, request: &LockRequest) -> Result<(), RecordError> {
    let new = beside(path, ".new");
    for suffix in ["", "-journal", "-wal", "-shm"] {
        remove(&beside(&new, suffix))?;
    }
    make_private(&new)?;
    let failed = |error| sql(path, "made")(error);
    let mut connection = options(&new)
        // It is flushed once, when it is whole.
        .journal_mode(SqliteJournalMode::Memory)
        .synchronous(SqliteSynchronous::Off)
        .connect()
        .await
        .map_err(failed)?;
    migrate(path, &mut connection, Kind::Empty).await?;
    let id = request.expected.id.unwrap_or_else(RecordId::new);
    let moved_to = (request.purpose == Purpose::Carry).then_some(NOT_WHOLE);
    sqlx::query("UPDATE meta SET identity = ?, moved_to = ?")
        .bind(id.to_string())
        .bind(moved_to)
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    sqlx::query("PRAGMA journal_mode = wal")
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    connection.close().await.map_err(failed)?;
    let flush = |path: &Path| fs::File::open(path).and_then(|file| file.sync_all());
    flush(&new).map_err(io(&new))?;
    // An empty file, and what SQLite kept beside it. What is left of a record that was deleted is kept out of the way:
    // SQLite would take it for a part of the new one.
    remove(path)?;
    for suffix in ["-journal", "-wal", "-shm"] {
        let left = beside(path, suffix);
        match fs::metadata(&left) {
            Ok(meta) if meta.len() > 0 => {
                fs::rename(&left, beside(&left, ".old")).map_err(io(&left))?;
            }
            _ => remove(&left)?,
        }
    }
    fail_point("make:before");
    fs::rename(&new, path).map_err(io(path))?;
    fail_point("make:after");
    // Not every file system flushes a folder.
    let _ = path.parent().map(flush);
    Ok(())
}

fn remove(path: &Path) -> Result<(), RecordError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(path)(error)),
        _ => Ok(()),
    }
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
        .map_err(|error| sql(path, "migrated")(error.into()))?;
    fail_point("migrate:after");
    Ok(())
}

/// Makes a file for the owner's eyes only. SQLite gives the files beside it the same permissions.
fn make_private(path: &Path) -> Result<(), RecordError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(io(path))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn temporary_files_are_kept_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollcall.db");
        let request = LockRequest {
            command: "apply".to_owned(),
            timeout: Duration::ZERO,
            config_digest: None,
            git_revision: None,
            expected: crate::record::identity::Expected::default(),
            purpose: Purpose::Act,
            may_begin: true,
        };
        make(&path, &request).await.unwrap();
        let mut reader = reader(&path).await.unwrap().unwrap();
        let kept: (i64,) = sqlx::query_as("PRAGMA temp_store")
            .fetch_one(&mut reader)
            .await
            .unwrap();
        assert_eq!(kept, (2,));
    }

    #[tokio::test]
    async fn codes_that_differ_in_case_alone_become_one_row_by_a_migration() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let before = "CREATE TABLE trigger_code (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE) STRICT; \
            CREATE TABLE participation (contact TEXT, trigger_code INTEGER); \
            CREATE TABLE call (contact TEXT, trigger_code INTEGER); \
            INSERT INTO trigger_code VALUES (1, 'Ab-1'), (2, 'other'), (3, 'aB-1'); \
            INSERT INTO participation VALUES ('c-1', 1), ('c-2', 2), ('c-3', 3); \
            INSERT INTO call SELECT * FROM participation";
        let migration = include_str!("../../../../state/migrations/0009_trigger_codes.sql");
        for script in [before, migration] {
            sqlx::raw_sql(script)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        let codes: Vec<(i64, String)> =
            sqlx::query_as("SELECT id, code FROM trigger_code ORDER BY id")
                .fetch_all(&mut connection)
                .await
                .unwrap();
        assert_eq!(codes, [(1, "Ab-1".to_owned()), (2, "other".to_owned())]);
        for query in [
            "SELECT trigger_code FROM participation ORDER BY contact",
            "SELECT trigger_code FROM call ORDER BY contact",
        ] {
            let numbers: Vec<i64> = sqlx::query_scalar(query)
                .fetch_all(&mut connection)
                .await
                .unwrap();
            assert_eq!(numbers, [1, 2, 1], "{query}");
        }
        let again = sqlx::query("INSERT INTO trigger_code (code) VALUES ('AB-1')");
        assert!(again.execute(&mut connection).await.is_err());
    }
}
