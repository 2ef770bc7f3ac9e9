//! What PostgreSQL says, in words that help.

use std::path::Path;

use sqlx::error::DatabaseError;

use crate::record::error::{RecordError, corrupt};

/// Makes an error of what PostgreSQL says while something is being done to a record.
pub(super) fn sql(path: &Path, doing: &'static str) -> impl Fn(sqlx::Error) -> RecordError + use<> {
    let path = path.to_owned();
    move |error| match &error {
        // What cannot be read as what it should be.
        sqlx::Error::Decode(what) | sqlx::Error::ColumnDecode { source: what, .. } => {
            corrupt(&path, what.to_string())
        }
        error => RecordError::Store {
            path: path.clone(),
            doing,
            what: explain(error),
        },
    }
}

/// Whether a connection is gone, so that another one may do.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        // Another certificate does not come by asking again.
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => false,
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // The server goes down, comes up, is full, or has ended the session; a pool in front of it has lost it.
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            code.starts_with("08") || code.starts_with("57P") || code == "53300" || code == "25P03"
        }
        _ => false,
    }
}

/// Whether others made the same at the same moment.
pub(super) fn is_race(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(
        code.as_deref(),
        Some("23505" | "42P06" | "42P07" | "40001" | "40P01")
    )
}

/// Whether a row is locked for too long.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    has_code(error, "55P03")
}

/// Whether it is the one with this code.
pub(super) fn has_code(error: &sqlx::Error, code: &str) -> bool {
    let found = error.as_database_error().and_then(DatabaseError::code);
    found.as_deref() == Some(code)
}

/// What PostgreSQL says, in words that help.
pub(super) fn explain(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => words(&error.code().unwrap_or_default(), error.message()),
        sqlx::Error::Io(error) => match error.kind() {
            std::io::ErrorKind::TimedOut => "the server does not answer".to_owned(),
            std::io::ErrorKind::UnexpectedEof => "the server ended the connection".to_owned(),
            std::io::ErrorKind::InvalidData => unsecured(error),
            _ => format!("the server cannot be reached ({error})"),
        },
        sqlx::Error::Tls(error) => unsecured(error),
        sqlx::Error::Configuration(what) => what.to_string(),
        error => error.to_string(),
    }
}

fn unsecured(why: &impl std::fmt::Display) -> String {
    format!(
        "the connection cannot be secured ({why}); check `sslmode` and `sslrootcert`, and the server's certificate"
    )
}

/// What a code says (<https://www.postgresql.org/docs/current/errcodes-appendix.html>), with the server's own words.
fn words(code: &str, message: &str) -> String {
    let why = match code {
        "28P01" => "the user or the password is wrong; check the URL",
        "28000" => {
            "the server does not allow this connection; check pg_hba.conf, the role, and `sslmode`"
        }
        "3D000" => "there is no such database; make it, or correct the URL",
        "42501" => "the role lacks a permission; docs/howto/postgres.md lists what to grant",
        "25006" => "it is read-only there: the server is a replica, or the role may only read",
        "53100" => "the disk of the server is full",
        "53300" => "the server has no connection left",
        "55P03" => "another transaction keeps it busy",
        "57P01" | "57P02" | "57P03" => "the server is going down or coming up",
        _ => return message.to_owned(),
    };
    format!("{why} ({message})")
}
