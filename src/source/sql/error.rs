//! What databases say, in words that help and that give no secret away, and nothing of what a cell holds.

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

use crate::source::error::SourceProblem;

impl From<sqlx::Error> for SourceProblem {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => said(error.as_ref()),
            sqlx::Error::Io(error) => match error.kind() {
                std::io::ErrorKind::UnexpectedEof
                | std::io::ErrorKind::ConnectionReset
                | std::io::ErrorKind::ConnectionAborted
                | std::io::ErrorKind::BrokenPipe => Self::Lost,
                std::io::ErrorKind::TimedOut => Self::Unreachable("it does not answer".to_owned()),
                _ => Self::Unreachable(error.to_string()),
            },
            sqlx::Error::Tls(error) => {
                Self::Unreachable(format!("the connection cannot be secured: {error}"))
            }
            sqlx::Error::WorkerCrashed => Self::Lost,
            sqlx::Error::Protocol(_) => Self::Lost,
            sqlx::Error::Configuration(error) => Self::Unreachable(error.to_string()),
            // It may quote what it could not read.
            _ => Self::Refused("an answer of it cannot be read".to_owned()),
        }
    }
}

/// The classes of errors whose messages name tables, columns, roles and limits, and quote no cell.
const NAMES_ALONE: [&str; 8] = ["08", "0A", "3D", "3F", "42", "53", "54", "57"];

/// Errors of MySQL that complain of a cell.
const CELLS: [&str; 3] = ["1292", "1366", "1411"];

/// What a database answers. PostgreSQL and MySQL have codes, and SQLite has none that tell more than its words.
///
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>,
/// <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>
fn said(error: &dyn DatabaseError) -> SourceProblem {
    let code = error.code().unwrap_or_default();
    let number = error
        .try_downcast_ref::<MySqlDatabaseError>()
        .map(MySqlDatabaseError::number);
    let is_sqlite = error
        .try_downcast_ref::<sqlx::sqlite::SqliteError>()
        .is_some();
    let message = error.message();
    match (&*code, number) {
        _ if is_sqlite => match &*code {
            "9" => SourceProblem::Interrupted,
            "26" | "11" => SourceProblem::NoDatabase,
            "8" => SourceProblem::Writes,
            "5" => SourceProblem::Unreachable("another program keeps it busy".to_owned()),
            _ => SourceProblem::Refused(message.to_owned()),
        },
        ("28P01" | "28000", _) | (_, Some(1045 | 1698)) => SourceProblem::NotLetIn,
        ("57014", _) | (_, Some(1969 | 3024)) => SourceProblem::Interrupted,
        ("25006", _) | (_, Some(1792)) => SourceProblem::Writes,
        ("57P01" | "57P02" | "57P03", _) | (_, Some(1053 | 1077 | 1079 | 1927)) => {
            SourceProblem::Lost
        }
        (code, _) if NAMES_ALONE.iter().any(|class| code.starts_with(class)) => {
            SourceProblem::Refused(message.to_owned())
        }
        // A cell cannot be read as the query wants it, or a function of the database complains of one: its message quotes it.
        (code, number) => {
            let code = number.map_or(code.to_owned(), |number| number.to_string());
            SourceProblem::Refused(
                match code.starts_with("22") || CELLS.contains(&code.as_str()) {
                    true => format!("a value cannot be read as the query reads it ({code})"),
                    false => format!("its error {code} may quote a value, and is not shown"),
                },
            )
        }
    }
}
