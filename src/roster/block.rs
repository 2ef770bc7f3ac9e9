//! `[[enrol]]` blocks, compiled against the columns that they draw on.

use hashbrown::HashSet;

use super::cell::Cells;
use super::condition::{self, Clause, Clock};
use super::fields::{Fields, Templates};
use crate::config::nearest;
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
        columns: &[String],
        clock: &Clock<'c>,
        templates: &mut Templates<'c>,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let enrol = &config.enrols[index];
        let before = problems.len();
        let origin = match enrol.source {
            Some(source) => format!("a column of source {}", config.sources[source].name),
            None => "an attribute of any declared contact".to_owned(),
        };
        let find = |name: &str| columns.iter().position(|column| column == name);
        let mut clauses = Vec::with_capacity(enrol.conditions.len());
        for condition in &enrol.conditions {
            match find(&condition.column) {
                Some(column) => clauses.push(Clause::new(condition, column, clock)),
                None => problems.push(Diagnostic {
                    message: format!("`{}` is not {origin}", condition.column),
                    at: Some(condition.place.clone()),
                    label: None,
                    related: Vec::new(),
                    help: Some(advice(columns, &condition.column)),
                }),
            }
        }
        let mut targets = Vec::with_capacity(enrol.automations.len());
        for &automation in &enrol.automations {
            let definition = &config.automations[automation];
            let occurrence = definition.repeat_by.as_deref().and_then(|column| {
                let found = find(column);
                if found.is_none() {
                    problems.push(Diagnostic {
                        message: format!(
                            "automation {} repeats by `{column}`, which is not {origin}",
                            definition.name
                        ),
                        at: Some(enrol.place.clone()),
                        label: Some("enrolled here".to_owned()),
                        related: vec![(
                            definition.place.clone(),
                            "`repeat_by` is set here".to_owned(),
                        )],
                        help: Some(advice(columns, column)),
                    });
                }
                found
            });
            let fields = Fields::new(templates, definition, enrol, columns, &origin, problems);
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

    /// Whether all its conditions hold for a row. A cell that cannot be read as one wants it goes to `unreadable`.
    pub(super) fn holds<C: Cells>(
        &self,
        cells: &C,
        unreadable: impl FnOnce(condition::Issue<'c>),
    ) -> bool {
        for clause in &self.clauses {
            match clause.holds(cells) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(issue) => {
                    unreadable(issue);
                    return false;
                }
            }
        }
        true
    }

    /// Every condition that does not hold, in words.
    pub(super) fn failures(&self, cells: &dyn Cells) -> Vec<String> {
        let clauses = self.clauses.iter();
        clauses.filter_map(|clause| clause.failure(cells)).collect()
    }
}

fn advice(columns: &[String], wanted: &str) -> String {
    const MOST: usize = 12;
    match nearest(columns.iter().map(String::as_str), wanted) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if columns.is_empty() => "declare it in a [contact.*] table".to_owned(),
        None => {
            let more = columns.len().saturating_sub(MOST);
            let shown = columns[..columns.len() - more].join(", ");
            match more {
                0 => format!("there are {shown}"),
                _ => format!("there are {shown} and {more} more"),
            }
        }
    }
}
