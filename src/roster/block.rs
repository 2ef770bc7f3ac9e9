//! `[[enrol]]` blocks, compiled against the columns that they draw on.

use hashbrown::HashSet;

use super::cell::Cells;
use super::columns::Columns;
use super::condition::{Clause, Clock};
use super::fields::{Fields, Templates};
use super::problems::plain;
use super::reading::Reading;
use crate::config::{Config, Diagnostic, Enrol};

/// A block, ready to be tested on rows.
#[derive(Debug)]
pub(super) struct Block<'c> {
    /// Its index in [`Config::enrols`].
    pub(super) index: usize,
    pub(super) enrol: &'c Enrol,
    pub(super) targets: Vec<Target<'c>>,
    named: Option<HashSet<&'c str>>,
    clauses: Vec<Clause<'c>>,
}

/// An automation that a block enrols in.
#[derive(Debug)]
pub(super) struct Target<'c> {
    /// Its index in [`Config::automations`].
    pub(super) automation: usize,
    /// The column of the occurrence, where the automation repeats.
    pub(super) occurrence: Option<usize>,
    pub(super) fields: Option<Fields<'c>>,
}

impl<'c> Block<'c> {
    /// Compiles a block. Whatever it names that is not among the columns goes to the problems.
    pub(super) fn new(
        config: &'c Config,
        index: usize,
        columns: &Columns<'_>,
        reading: Reading<'_>,
        clock: &Clock<'c>,
        templates: &mut Templates<'c>,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let enrol = &config.enrols[index];
        let before = problems.len();
        let mut clauses = Vec::with_capacity(enrol.conditions.len());
        for condition in &enrol.conditions {
            match columns.find(&condition.column) {
                Ok(column) => clauses.push(Clause::new(condition, column, clock)),
                Err(not_one) => problems.push(plain(
                    format!("`{}` {}", condition.column, columns.problem(not_one)),
                    Some(condition.place.clone()),
                    columns.advice(not_one, &condition.column),
                )),
            }
        }
        let mut targets = Vec::with_capacity(enrol.automations.len());
        for &automation in &enrol.automations {
            let definition = &config.automations[automation];
            let occurrence = definition.repeat_by.as_deref().and_then(|column| {
                let found = columns.find(column);
                if let Err(not_one) = found {
                    problems.push(Diagnostic {
                        message: format!(
                            "automation {} repeats by `{column}`, which {}",
                            definition.name,
                            columns.problem(not_one)
                        ),
                        at: Some(enrol.place.clone()),
                        label: Some("enrolled here".to_owned()),
                        related: vec![(
                            definition.place.clone(),
                            "`repeat_by` is set here".to_owned(),
                        )],
                        help: Some(columns.advice(not_one, column)),
                    });
                }
                found.ok()
            });
            let fields = Fields::new(templates, definition, enrol, columns, reading, problems);
            targets.push(Target {
                automation,
                occurrence,
                fields,
            });
        }
        if problems.len() > before {
            // Its cells are still checked, but every row would only repeat what was said.
            targets.clear();
        }
        let names = enrol.contacts.as_ref();
        Self {
            index,
            enrol,
            targets,
            named: names.map(|names| names.iter().map(|name| name.as_str()).collect()),
            clauses,
        }
    }

    /// Whether it restricts itself to contacts by name, and this is none of them.
    pub(super) fn leaves_out(&self, contact: &str) -> bool {
        self.named
            .as_ref()
            .is_some_and(|named| !named.contains(contact))
    }

    pub(super) fn clauses(&self) -> &[Clause<'c>] {
        &self.clauses
    }

    /// Whether all its conditions hold for a row.
    pub(super) fn holds<C: Cells>(&self, cells: &C) -> bool {
        self.clauses.iter().all(|clause| clause.holds(cells))
    }

    /// Every condition that does not hold, in words.
    pub(super) fn failures(&self, cells: &dyn Cells) -> Vec<String> {
        let clauses = self.clauses.iter();
        clauses.filter_map(|clause| clause.failure(cells)).collect()
    }
}
