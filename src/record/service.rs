//! Which service a record is of: what is active at one was never sent to another.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::error::RecordError;

/// The service that a run works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    host: String,
    /// Where the same account was before, if the configuration says so.
    moved_from: Option<String>,
}

/// What stands in for the service on this machine: a sandbox.
const THIS_MACHINE: &str = "this machine";

/// The service of a record, where anything on it may have come of a call or was adopted. What only ever failed was
/// perhaps sent to a host that was mistyped, and holds nobody back from the right one.
const FOUND: &str = "SELECT service FROM meta WHERE service IS NOT NULL AND EXISTS \
    (SELECT * FROM participation WHERE state NOT IN ('failed', 'failed-for-good'))";

impl Service {
    /// The service at a host; `None` is what stands in for it on this machine.
    pub fn at(host: Option<String>, moved_from: Option<String>) -> Self {
        Self {
            host: host.unwrap_or_else(|| THIS_MACHINE.to_owned()),
            moved_from,
        }
    }

    /// Whether a record of the service `found` is of this one.
    ///
    /// # Errors
    /// That it is of another one.
    pub fn check(&self, path: &Path, found: Option<&str>) -> Result<(), RecordError> {
        match found {
            Some(found) if found != self.host && self.moved_from.as_deref() != Some(found) => {
                Err(RecordError::OtherService {
                    path: path.to_owned(),
                    found: found.to_owned(),
                    host: self.host.clone(),
                    way_on: way_on(found),
                })
            }
            _ => Ok(()),
        }
    }

    /// Makes a record one of this service. Only for the holder of the lock.
    pub(super) fn bind(&self, path: &Path, connection: &Connection) -> Result<(), RecordError> {
        let failed = |error| RecordError::native(path, "written", error);
        self.check(path, find(connection).map_err(failed)?.as_deref())?;
        let bound = connection.execute(
            "UPDATE meta SET service = ?1 WHERE service IS NOT ?1",
            [&self.host],
        );
        bound.map(drop).map_err(failed)
    }
}

/// What to do where a service has a new address. No sandbox moves to a real one.
fn way_on(found: &str) -> String {
    match found == THIS_MACHINE {
        true => String::new(),
        false => format!(
            " Where it is the same account at a new address, write `moved_from = \"{found}\"` under `[record]`."
        ),
    }
}

/// The service that a record is of; `None` where it may be of any.
pub(super) fn find(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection.query_row(FOUND, [], |row| row.get(0)).optional()
}
