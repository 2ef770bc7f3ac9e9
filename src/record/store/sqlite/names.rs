//! Automation names and trigger codes are written once each and pointed to by number.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use super::columns::BITS;
use crate::id::{AutomationName, TriggerCode};
use crate::record::batch::Batch;

/// The numbers of all names and codes on record.
#[derive(Debug, Default)]
pub(super) struct Names {
    automations: HashMap<AutomationName, i64>,
    codes: HashMap<TriggerCode, i64>,
    automations_by_number: HashMap<i64, AutomationName>,
    codes_by_number: HashMap<i64, TriggerCode>,
}

impl Names {
    pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let mut names = Self::default();
        for (number, name) in pairs(connection, "SELECT id, name FROM automation").await? {
            let name = AutomationName::recorded(&name).map_err(|error| {
                sqlx::Error::Decode(format!("an automation's name, {error}").into())
            })?;
            names.automations.insert(name.clone(), number);
            names.automations_by_number.insert(number, name);
        }
        for (number, code) in pairs(connection, "SELECT id, code FROM trigger_code").await? {
            let code = TriggerCode::new(&code)
                .map_err(|error| sqlx::Error::Decode(format!("a trigger code, {error}").into()))?;
            names.codes.insert(code.clone(), number);
            names.codes_by_number.insert(number, code);
        }
        let mut numbers = names.automations.values().chain(names.codes.values());
        // They are counted from 1.
        match numbers.find(|number| !(0..1 << BITS).contains(*number)) {
            Some(number) => {
                let what = format!("a name with the number {number}");
                Err(sqlx::Error::Decode(what.into()))
            }
            None => Ok(names),
        }
    }

    /// The name with a number.
    pub(super) fn automation(&self, number: i64) -> Result<AutomationName, String> {
        let name = self.automations_by_number.get(&number).cloned();
        name.ok_or_else(|| format!("an automation with the number {number}"))
    }

    /// The code with a number.
    pub(super) fn code(&self, number: i64) -> Result<TriggerCode, String> {
        let code = self.codes_by_number.get(&number).cloned();
        code.ok_or_else(|| format!("a trigger code with the number {number}"))
    }

    /// The number of a name that was made known.
    pub(super) fn number(&self, name: &AutomationName) -> i64 {
        self.automations.get(name).copied().unwrap_or_default()
    }

    /// The number of a code that was made known.
    pub(super) fn code_number(&self, code: &TriggerCode) -> i64 {
        self.codes.get(code).copied().unwrap_or_default()
    }

    /// Writes the names and codes of a batch that are new. Returns whether there are any, so that all are to be read anew.
    pub(super) async fn write_new(
        &self,
        tx: &mut SqliteConnection,
        batch: &Batch,
    ) -> Result<bool, sqlx::Error> {
        let moves = batch.start.moves.iter().flat_map(|(from, to)| [from, to]);
        let sent = batch.sent.iter().flat_map(|(_, intent)| {
            let affected = intent.affected.iter().take(1);
            affected.map(|(key, _)| &key.automation)
        });
        let wholes = batch
            .participations
            .iter()
            .map(|whole| &whole.key.automation);
        let new = moves.chain(sent).chain(wholes);
        let new = new.filter(|name| !self.automations.contains_key(*name));
        let automations: Vec<&str> = new.map(|name| name.as_str()).collect();
        let sent = batch.sent.iter().map(|(_, intent)| &intent.trigger_code);
        let wholes = batch.participations.iter().map(|whole| &whole.trigger_code);
        let new = sent.chain(wholes);
        let new = new.filter(|code| !self.codes.contains_key(*code));
        let codes: Vec<&str> = new.map(|code| code.as_str()).collect();
        if automations.is_empty() && codes.is_empty() {
            return Ok(false);
        }
        for (statement, new) in [
            (
                "INSERT INTO automation (name) SELECT value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
                automations,
            ),
            (
                "INSERT INTO trigger_code (code) SELECT value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
                codes,
            ),
        ] {
            sqlx::query(statement)
                .bind(super::write::json(&new)?)
                .execute(&mut *tx)
                .await?;
        }
        Ok(true)
    }
}

async fn pairs(
    connection: &mut SqliteConnection,
    query: &'static str,
) -> Result<Vec<(i64, String)>, sqlx::Error> {
    sqlx::query_as(query).fetch_all(connection).await
}
