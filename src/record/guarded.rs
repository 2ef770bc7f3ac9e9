//! What the guard needs of the record: from when on it counts, what each automation was last applied with, and the moves
//! of participations to a new name.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::names::Names;
use super::participation::State;
use super::read::time;
use crate::id::AutomationName;

/// How far back the guard counts.
pub const GUARDED_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A count that begins so much later than now was begun by a clock that was wrong.
const WRONG_CLOCK: Duration = Duration::from_secs(60);

/// What an automation was applied with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppliedWith {
    /// The sources of its enrolments, each with the column of the contacts' ids.
    pub sources: BTreeMap<String, String>,
    /// The column that tells its occurrences apart.
    pub repeat_by: Option<String>,
}

/// After which time the guard counts what was done, for a time by the real clock.
pub fn counted_since(clock: Timestamp, counted_from: Option<Timestamp>) -> Timestamp {
    let a_day_ago = clock.saturating_sub(GUARDED_DAY).unwrap_or(Timestamp::MIN);
    let latest = clock.saturating_add(WRONG_CLOCK).unwrap_or(Timestamp::MAX);
    match counted_from {
        Some(from) if from <= latest => from.max(a_day_ago),
        _ => a_day_ago,
    }
}

/// From when on the guard counts.
pub(super) fn counted_from(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let from: Option<i64> =
        connection.query_row("SELECT counted_from FROM meta", [], |row| row.get(0))?;
    Ok(from.map(time))
}

/// Lets the guard's count begin anew.
pub(super) fn count_anew(tx: &Connection, now: i64) -> rusqlite::Result<()> {
    tx.execute("UPDATE meta SET counted_from = ?", [now])?;
    Ok(())
}

/// The `[[moved]]` blocks that were last applied: from and to.
pub(super) fn moved(
    connection: &Connection,
) -> rusqlite::Result<Vec<(AutomationName, AutomationName)>> {
    let text: Option<String> =
        connection.query_row("SELECT moved FROM meta", [], |row| row.get(0))?;
    let pairs: Vec<(String, String)> = text
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    // What is no name of an automation can be none of the configuration's.
    let names = pairs.iter().filter_map(|(from, to)| {
        Some((
            AutomationName::recorded(from).ok()?,
            AutomationName::recorded(to).ok()?,
        ))
    });
    Ok(names.collect())
}

/// Writes which `[[moved]]` blocks are applied.
pub(super) fn set_moved(
    tx: &Connection,
    blocks: &[(AutomationName, AutomationName)],
) -> rusqlite::Result<()> {
    let text = serde_json::to_string(blocks)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    tx.execute("UPDATE meta SET moved = ?", [text])?;
    Ok(())
}

/// What each automation was last applied with.
pub(super) fn applied(
    connection: &Connection,
) -> rusqlite::Result<BTreeMap<AutomationName, AppliedWith>> {
    let mut statement = connection.prepare("SELECT automation, sources, repeat_by FROM applied")?;
    let rows = statement.query_map([], |row| {
        let (name, sources): (String, String) = (row.get(0)?, row.get(1)?);
        let repeat_by: Option<String> = row.get(2)?;
        Ok((name, sources, repeat_by))
    })?;
    let mut applied = BTreeMap::new();
    for row in rows {
        let (name, sources, repeat_by) = row?;
        // What is no name of an automation can be none of the configuration's.
        if let (Ok(name), Ok(sources)) = (
            AutomationName::recorded(&name),
            serde_json::from_str(&sources),
        ) {
            applied.insert(name, AppliedWith { sources, repeat_by });
        }
    }
    Ok(applied)
}

/// Writes what automations are applied with.
pub(super) fn upsert_applied(
    tx: &Connection,
    applied: &[(AutomationName, AppliedWith)],
) -> rusqlite::Result<()> {
    let mut upsert = tx.prepare_cached(
        "INSERT INTO applied (automation, sources, repeat_by) VALUES (?, ?, ?) \
         ON CONFLICT (automation) DO UPDATE SET sources = excluded.sources, repeat_by = excluded.repeat_by",
    )?;
    for (name, with) in applied {
        let sources = serde_json::to_string(&with.sources)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        upsert.execute(params![name.as_str(), sources, with.repeat_by])?;
    }
    Ok(())
}

/// Gives participations a new name, one step after the other, each from a name to another. Calls keep the name by which
/// they were made.
///
/// Where a contact is under both names already, who runs keeps the new one; what runs under both stays under both.
pub(super) fn make_moves(
    tx: &Connection,
    names: &mut Names,
    steps: &[(AutomationName, AutomationName)],
) -> rusqlite::Result<()> {
    let running: Vec<String> = State::ALL
        .into_iter()
        .filter(|state| state.is_running())
        .map(|state| format!("'{state}'"))
        .collect();
    let running = running.join(", ");
    for (from, to) in steps {
        let numbers = [names.automation(tx, from)?, names.automation(tx, to)?];
        tx.execute(
            &format!(
                "DELETE FROM participation AS new WHERE automation = ?2 AND state NOT IN ({running}) \
                 AND EXISTS (SELECT * FROM participation AS old WHERE old.automation = ?1 \
                 AND old.contact = new.contact AND old.occurrence = new.occurrence AND old.state IN ({running}))"
            ),
            numbers,
        )?;
        tx.execute(
            "UPDATE OR IGNORE participation SET automation = ?2 WHERE automation = ?1",
            numbers,
        )?;
        let texts = [from.as_str(), to.as_str()];
        tx.execute(
            "DELETE FROM applied WHERE automation = ?2 AND EXISTS (SELECT * FROM applied WHERE automation = ?1)",
            texts,
        )?;
        tx.execute(
            "UPDATE applied SET automation = ?2 WHERE automation = ?1",
            texts,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_counted_unless_the_count_began_anew() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let day = 86_400;
        let clock = at(10 * day);
        assert_eq!(counted_since(clock, None), at(9 * day));
        assert_eq!(counted_since(clock, Some(at(3 * day))), at(9 * day));
        assert_eq!(
            counted_since(clock, Some(at(10 * day - 5))),
            at(10 * day - 5)
        );
        // The clock was ahead when the count began.
        assert_eq!(counted_since(clock, Some(at(11 * day))), at(9 * day));
    }
}
