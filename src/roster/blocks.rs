//! `[[enrol]]` blocks, compiled against the columns of their source.

use std::collections::HashSet;

use super::cell::{Cells, DeclaredCells};
use super::condition::{Clause, Clock, Issue};
use crate::config::{Config, Diagnostic, Enrol, nearest};
use crate::source::Table;

/// A block, ready to be tested on rows.
#[derive(Debug)]
pub(super) struct Block<'c> {
    /// Its place among the blocks.
    pub(super) index: usize,
    pub(super) enrol: &'c Enrol,
    pub(super) clauses: Vec<Clause<'c>>,
    contacts: Option<HashSet<&'c str>>,
    pub(super) targets: Vec<Target>,
}

/// One automation of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) automation: usize,
    /// The column that tells occurrences apart, where the automation repeats.
    pub(super) occurrence: Option<usize>,
}

impl<'c> Block<'c> {
    /// Compiles a block that draws on a source. Columns that the source does not have are problems.
    pub(super) fn sourced(
        config: &'c Config,
        index: usize,
        table: &Table,
        clock: &Clock<'c>,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let enrol = &config.enrols[index];
        let mut missing = |place: &crate::config::Place, column: &str| {
            let columns = table.columns();
            problems.push(
                Diagnostic::at(place.clone(), format!("{table} has no column `{column}`")).help(
                    match nearest(columns.iter().map(String::as_str), column) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("the columns are {}", columns.join(", ")),
                    },
                ),
            );
        };
        let mut clauses = Vec::new();
        for condition in &enrol.conditions {
            match table.column(&condition.column) {
                Some(column) => clauses.push(Clause::new(condition, column, clock)),
                None => missing(&condition.place, &condition.column),
            }
        }
        let mut targets = Vec::new();
        for &automation in &enrol.automations {
            let repeat_by = config.automations[automation].repeat_by.as_deref();
            let occurrence = repeat_by.map(|column| (column, table.column(column)));
            if let Some((column, None)) = occurrence {
                missing(&config.automations[automation].place, column);
            }
            targets.push(Target {
                automation,
                occurrence: occurrence.and_then(|(_, column)| column),
            });
        }
        Self {
            index,
            enrol,
            clauses,
            contacts: contacts(enrol),
            targets,
        }
    }

    /// Compiles a block that draws on the declared contacts. Returns the columns by which its clauses look attributes
    /// up.
    pub(super) fn declared(
        config: &'c Config,
        index: usize,
        clock: &Clock<'c>,
    ) -> (Self, Vec<String>) {
        let enrol = &config.enrols[index];
        let mut columns: Vec<String> = enrol
            .conditions
            .iter()
            .map(|condition| condition.column.clone())
            .collect();
        let conditions = enrol.conditions.iter().enumerate();
        let clauses = conditions
            .map(|(column, condition)| Clause::new(condition, column, clock))
            .collect();
        let mut targets = Vec::new();
        for &automation in &enrol.automations {
            let repeat_by = config.automations[automation].repeat_by.as_ref();
            let occurrence = repeat_by.map(|column| {
                columns.push(column.clone());
                columns.len() - 1
            });
            targets.push(Target {
                automation,
                occurrence,
            });
        }
        let block = Self {
            index,
            enrol,
            clauses,
            contacts: contacts(enrol),
            targets,
        };
        (block, columns)
    }

    /// Whether the block's `contacts` let a contact through.
    pub(super) fn names(&self, contact: &str) -> bool {
        self.contacts
            .as_ref()
            .is_none_or(|contacts| contacts.contains(contact))
    }

    /// Whether all conditions hold. A cell that cannot be read is an issue even where another condition does not hold.
    pub(super) fn holds<C: Cells + ?Sized>(&self, cells: &C) -> Result<bool, Issue<'c>> {
        let mut holds = true;
        for clause in &self.clauses {
            if holds || !clause.reads_anything() {
                holds &= clause.holds(cells)?;
            }
        }
        Ok(holds)
    }

    /// What is found and what was wanted, for each condition that does not hold.
    pub(super) fn failures(&self, cells: &dyn Cells) -> Vec<String> {
        self.clauses
            .iter()
            .filter_map(|clause| clause.failure(cells))
            .collect()
    }
}

fn contacts(enrol: &Enrol) -> Option<HashSet<&str>> {
    let contacts = enrol.contacts.as_ref()?;
    Some(contacts.iter().map(|contact| contact.as_str()).collect())
}

/// A declared contact's cells.
pub(super) fn declared_cells<'a>(
    config: &'a Config,
    contact: &str,
    columns: &'a [String],
) -> DeclaredCells<'a> {
    let id = crate::id::ContactId::new(contact).ok();
    DeclaredCells {
        columns,
        attributes: id
            .and_then(|id| config.contacts.get(&id))
            .map(|contact| &contact.attributes),
    }
}
