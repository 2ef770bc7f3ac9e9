//! Why participations are no longer declared, in words.

use std::collections::HashMap;

use jiff::Timestamp;

use super::Roster;
use super::blocks::{Block, declared_cells};
use super::cell::SourceCells;
use super::condition::Clock;
use crate::config::Config;
use crate::participation::Key;
use crate::source::{Lookup, RowId, SourceError};

/// How near a block came to declaring something: the less, the nearer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Miss {
    /// So many conditions do not hold.
    Conditions(usize),
    /// The block does not name the contact.
    NotNamed,
    /// The source has no such row.
    NotThere,
}

impl Roster {
    /// For each key, why it is not declared: the condition that no longer holds and the value found, or what else is
    /// missing.
    ///
    /// # Errors
    /// That a source cannot be read again.
    pub fn absence(
        &self,
        config: &Config,
        now: Timestamp,
        keys: &[Key],
    ) -> Result<Vec<String>, SourceError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let clock = Clock {
            now,
            zone: &config.zone,
        };
        // Every column was found when the roster was built.
        let mut problems = Vec::new();
        let blocks: Vec<(Block<'_>, Vec<String>)> = (0..config.enrols.len())
            .map(|index| match config.enrols[index].source {
                Some(source) => {
                    let table = &self.sources[source].table;
                    (
                        Block::sourced(config, index, table, &clock, &mut problems),
                        Vec::new(),
                    )
                }
                None => Block::declared(config, index, &clock),
            })
            .collect();
        let contacts: Vec<&str> = keys.iter().map(|key| key.contact.as_str()).collect();
        let mut rows = Vec::with_capacity(self.sources.len());
        let mut lookups: Vec<Lookup<'_>> = Vec::with_capacity(self.sources.len());
        for opened in &self.sources {
            let mut lookup = opened.table.lookup();
            let mut of: HashMap<String, Vec<RowId>> = HashMap::new();
            for (_, id) in opened.index.find(contacts.iter().copied()) {
                let row = lookup.row(id)?;
                of.entry(row.contact.to_owned()).or_default().push(id);
            }
            rows.push(of);
            lookups.push(lookup);
        }
        keys.iter()
            .map(|key| reason(config, &blocks, &rows, &mut lookups, key))
            .collect()
    }
}

fn reason(
    config: &Config,
    blocks: &[(Block<'_>, Vec<String>)],
    rows: &[HashMap<String, Vec<RowId>>],
    lookups: &mut [Lookup<'_>],
    key: &Key,
) -> Result<String, SourceError> {
    if let Some(suppression) = config.suppressed.get(&key.contact) {
        let reason = suppression
            .reason
            .as_deref()
            .unwrap_or("no reason is given");
        return Ok(format!("suppressed: {reason} ({})", suppression.place));
    }
    let Some(automation) = config
        .automations
        .iter()
        .position(|a| a.name == key.automation)
    else {
        return Ok("the automation is gone from the configuration".to_owned());
    };
    let mut nearest: Option<(Miss, String)> = None;
    for (block, columns) in blocks {
        let Some(target) = block
            .targets
            .iter()
            .find(|target| target.automation == automation)
        else {
            continue;
        };
        let miss = miss(
            config,
            block,
            target.occurrence,
            columns,
            rows,
            lookups,
            key,
        )?;
        if nearest.as_ref().is_none_or(|(least, _)| miss.0 < *least) {
            nearest = Some(miss);
        }
    }
    Ok(nearest.map_or_else(
        || "no [[enrol]] block names this automation any more".to_owned(),
        |(_, words)| words,
    ))
}

fn miss(
    config: &Config,
    block: &Block<'_>,
    occurrence: Option<usize>,
    columns: &[String],
    rows: &[HashMap<String, Vec<RowId>>],
    lookups: &mut [Lookup<'_>],
    key: &Key,
) -> Result<(Miss, String), SourceError> {
    let contact = key.contact.as_str();
    let not_named = || {
        let words = format!("no longer named in {}", block.enrol.place);
        (Miss::NotNamed, words)
    };
    let of_failures = |failures: Vec<String>| match failures.len() {
        0 => (
            Miss::Conditions(usize::MAX),
            "it is not declared any more".to_owned(),
        ),
        count => (Miss::Conditions(count), failures.join(" and ")),
    };
    let Some(source) = block.enrol.source else {
        if !block.names(contact) {
            return Ok(not_named());
        }
        let is_declared = config.contacts.contains_key(contact);
        if !is_declared && block.enrol.contacts.is_none() {
            let words = format!("there is no [contact.{contact}] any more");
            return Ok((Miss::NotThere, words));
        }
        let cells = declared_cells(config, contact, columns);
        return Ok(of_failures(block.failures(&cells)));
    };
    let mut nearest: Option<Vec<String>> = None;
    let mut has_rows = false;
    for &id in rows[source]
        .get(contact)
        .map(Vec::as_slice)
        .unwrap_or_default()
    {
        has_rows = true;
        let row = lookups[source].row(id)?;
        let wanted = key.occurrence.as_ref().map(|o| o.as_str());
        if let Some(column) = occurrence
            && row.cells.get(column) != wanted
        {
            continue;
        }
        let cells = SourceCells {
            cells: row.cells,
            zone: &config.zone,
        };
        let failures = block.failures(&cells);
        if nearest
            .as_ref()
            .is_none_or(|least| failures.len() < least.len())
        {
            nearest = Some(failures);
        }
    }
    let name = &config.sources[source].name;
    Ok(match nearest {
        Some(_) if !block.names(contact) => not_named(),
        Some(failures) => of_failures(failures),
        None if has_rows => {
            let which = key.occurrence.as_ref().map_or("", |o| o.as_str());
            let words = format!("occurrence {which} is not in source {name} any more");
            (Miss::NotThere, words)
        }
        None => (Miss::NotThere, format!("not in source {name} any more")),
    })
}
