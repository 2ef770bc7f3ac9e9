//! Automation names and trigger codes are written once each and pointed to by number.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::Connection;

use super::error::RecordError;
use crate::id::{AutomationName, TriggerCode};

/// The numbers of all names and codes on record.
#[derive(Debug, Default)]
pub(super) struct Names {
    automations: HashMap<AutomationName, i64>,
    codes: HashMap<TriggerCode, i64>,
    /// Those that the transaction under way has written.
    fresh: Vec<Fresh>,
}

#[derive(Debug)]
enum Fresh {
    Automation(AutomationName),
    Code(TriggerCode),
}

impl Names {
    pub(super) fn read(path: &Path, connection: &Connection) -> Result<Self, RecordError> {
        let failed = |error| RecordError::native(path, "read", error);
        let corrupt = |what: String| RecordError::Corrupt {
            path: path.to_owned(),
            what,
        };
        let mut names = Self::default();
        for (id, name) in pairs(connection, "SELECT id, name FROM automation").map_err(failed)? {
            let name = AutomationName::recorded(&name)
                .map_err(|e| corrupt(format!("an automation's name, {e}")))?;
            names.automations.insert(name, id);
        }
        for (id, code) in pairs(connection, "SELECT id, code FROM trigger_code").map_err(failed)? {
            let code =
                TriggerCode::new(&code).map_err(|e| corrupt(format!("a trigger code, {e}")))?;
            names.codes.insert(code, id);
        }
        Ok(names)
    }

    /// The names by number.
    pub(super) fn automations_by_id(&self) -> HashMap<i64, AutomationName> {
        let pairs = self.automations.iter();
        pairs.map(|(name, id)| (*id, name.clone())).collect()
    }

    /// The codes by number.
    pub(super) fn codes_by_id(&self) -> HashMap<i64, TriggerCode> {
        let pairs = self.codes.iter();
        pairs.map(|(code, id)| (*id, code.clone())).collect()
    }

    /// The number of a name, which is written where it is new.
    pub(super) fn automation(
        &mut self,
        tx: &Connection,
        name: &AutomationName,
    ) -> rusqlite::Result<i64> {
        if let Some(id) = self.automations.get(name) {
            return Ok(*id);
        }
        tx.execute("INSERT INTO automation (name) VALUES (?)", [name.as_str()])?;
        let id = tx.last_insert_rowid();
        self.automations.insert(name.clone(), id);
        self.fresh.push(Fresh::Automation(name.clone()));
        Ok(id)
    }

    /// The number of a code, which is written where it is new.
    pub(super) fn code(&mut self, tx: &Connection, code: &TriggerCode) -> rusqlite::Result<i64> {
        if let Some(id) = self.codes.get(code) {
            return Ok(*id);
        }
        tx.execute(
            "INSERT INTO trigger_code (code) VALUES (?)",
            [code.as_str()],
        )?;
        let id = tx.last_insert_rowid();
        self.codes.insert(code.clone(), id);
        self.fresh.push(Fresh::Code(code.clone()));
        Ok(id)
    }

    /// The transaction is durable.
    pub(super) fn committed(&mut self) {
        self.fresh.clear();
    }

    /// The transaction never was: what it wrote is forgotten.
    pub(super) fn rolled_back(&mut self) {
        for fresh in self.fresh.drain(..) {
            match fresh {
                Fresh::Automation(name) => self.automations.remove(&name),
                Fresh::Code(code) => self.codes.remove(&code),
            };
        }
    }
}

fn pairs(connection: &Connection, query: &str) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_differ_in_case_alone_become_one_row_by_a_migration() {
        let connection = Connection::open_in_memory().unwrap();
        let before = "CREATE TABLE trigger_code (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE) STRICT; \
            CREATE TABLE participation (contact TEXT, trigger_code INTEGER); \
            CREATE TABLE call (contact TEXT, trigger_code INTEGER); \
            INSERT INTO trigger_code VALUES (1, 'Ab-1'), (2, 'other'), (3, 'aB-1'); \
            INSERT INTO participation VALUES ('c-1', 1), ('c-2', 2), ('c-3', 3); \
            INSERT INTO call SELECT * FROM participation";
        connection.execute_batch(before).unwrap();
        let migration = include_str!("../../state/migrations/0009_trigger_codes.sql");
        connection.execute_batch(migration).unwrap();
        let codes = pairs(&connection, "SELECT id, code FROM trigger_code ORDER BY id").unwrap();
        assert_eq!(codes, [(1, "Ab-1".to_owned()), (2, "other".to_owned())]);
        for table in ["participation", "call"] {
            let query = format!("SELECT trigger_code, contact FROM {table} ORDER BY contact");
            let rows = pairs(&connection, &query).unwrap();
            let numbers: Vec<i64> = rows.into_iter().map(|(number, _)| number).collect();
            assert_eq!(numbers, [1, 2, 1], "{table}");
        }
        let again = "INSERT INTO trigger_code (code) VALUES ('AB-1')";
        assert!(connection.execute(again, []).is_err());
    }
}
