//! What SQLite says, in words that help.

use std::path::Path;

use crate::record::error::{RecordError, corrupt};

/// <https://sqlite.org/rescode.html#readonly_rollback>
const READONLY_ROLLBACK: i64 = 776;

/// Makes an error of what SQLite says while something is being done to a record.
pub(super) fn sql(path: &Path, doing: &'static str) -> impl Fn(sqlx::Error) -> RecordError + use<> {
    let path = path.to_owned();
    move |error| {
        let path = path.clone();
        // What cannot be read as what it should be.
        if let sqlx::Error::Decode(what) = &error {
            return corrupt(&path, what.to_string());
        }
        let what = explain(&error);
        match code(&error) {
            // It is no database, or a damaged one.
            26 | 11 | 267 | 523 | 779 => RecordError::Foreign { path, what },
            READONLY_ROLLBACK => RecordError::HalfWritten { path },
            _ => RecordError::Store { path, doing, what },
        }
    }
}

/// What SQLite says, in words that help.
pub(super) fn explain(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => words(code(error), database.message()),
        error => error.to_string(),
    }
}

fn code(error: &sqlx::Error) -> i64 {
    let database = error.as_database_error();
    let code = database.and_then(|error| error.code()?.parse().ok());
    code.unwrap_or(0)
}

/// What a result code says (<https://sqlite.org/rescode.html>); the message where it says it better.
fn words(code: i64, message: &str) -> String {
    match code & 0xff {
        5 | 6 => "another program keeps it busy".to_owned(),
        8 => "it is read-only; check the permissions of the file and its folder".to_owned(),
        10 => format!("the disk fails ({message})"),
        11 => "it is damaged; restore it from a backup".to_owned(),
        13 => "the disk is full".to_owned(),
        14 => {
            "the file cannot be opened; check the permissions of the file and its folder".to_owned()
        }
        26 => "it is not a SQLite file".to_owned(),
        _ => message.to_owned(),
    }
}
