//! `[[enrol]]` blocks, compiled against the columns that they draw on.

use hashbrown::HashSet;

use super::cell::Cells;
use super::condition::{Clause, Clock};
use super::fields::{Fields, Templates};
use super::problems::plain;
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
        let mut clauses = Vec::with_capacity(enrol.conditions.len());
        for condition in &enrol.conditions {
            match find(columns, &condition.column) {
                Ok(column) => clauses.push(Clause::new(condition, column, clock)),
                Err(not_one) => problems.push(plain(
                    format!("`{}` {}", condition.column, not_one.of(&origin)),
                    Some(condition.place.clone()),
                    not_one.advice(columns, &condition.column),
                )),
            }
        }
        let mut targets = Vec::with_capacity(enrol.automations.len());
        for &automation in &enrol.automations {
            let definition = &config.automations[automation];
            let occurrence = definition.repeat_by.as_deref().and_then(|column| {
                let found = find(columns, column);
                if let Err(not_one) = &found {
                    problems.push(Diagnostic {
                        message: format!(
                            "automation {} repeats by `{column}`, which {}",
                            definition.name,
                            not_one.of(&origin)
                        ),
                        at: Some(enrol.place.clone()),
                        label: Some("enrolled here".to_owned()),
                        related: vec![(
                            definition.place.clone(),
                            "`repeat_by` is set here".to_owned(),
                        )],
                        help: Some(not_one.advice(columns, column)),
                    });
                }
                found.ok()
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

/// The place of a column.
pub(super) fn find(columns: &[String], name: &str) -> Result<usize, NotOne> {
    let mut found = (0..columns.len()).filter(|place| columns[*place] == name);
    match (found.next(), found.next()) {
        (Some(place), None) => Ok(place),
        (Some(first), Some(second)) => Err(NotOne::Two(first + 1, second + 1)),
        (None, _) => Err(NotOne::None),
    }
}

/// Why a name is not that of one column.
#[derive(Debug, Clone, Copy)]
pub(super) enum NotOne {
    /// No column has it.
    None,
    /// Columns with these numbers have it, from 1.
    Two(usize, usize),
}

impl NotOne {
    /// To follow the name: `is not a column of source crm`.
    pub(super) fn of(self, origin: &str) -> String {
        match self {
            Self::None => format!("is not {origin}"),
            Self::Two(first, second) => {
                format!("is {origin} twice, as number {first} and as number {second}")
            }
        }
    }

    pub(super) fn advice(self, columns: &[String], wanted: &str) -> String {
        match self {
            Self::None => advice(columns, wanted),
            Self::Two(..) => "give each of the two columns a name of its own".to_owned(),
        }
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
