//! `[[enrol]]` blocks, compiled against the columns that they draw on.

use std::borrow::Cow;

use hashbrown::HashSet;

use super::cell::Cells;
use super::columns::Columns;
use super::condition::{Clause, Clock};
use super::entries::Class;
use super::fields::{Fields, Templates};
use super::merged::{People, Role};
use super::problems::plain;
use super::reading::Reading;
use crate::config::{Condition, Config, Diagnostic, Enrol, Lot};

/// A block, ready to be tested on rows.
#[derive(Debug)]
pub(super) struct Block<'c> {
    /// Its index in [`Config::enrols`]; behind these come the lists of [`Config::suppressions`].
    pub(super) index: usize,
    /// The suppression whose list it is, and not one that enrols.
    pub(super) list: Option<usize>,
    pub(super) enrol: &'c Enrol,
    pub(super) targets: Vec<Target<'c>>,
    /// The only contacts that it takes, by the ids that these keep.
    named: Option<HashSet<Cow<'c, str>>>,
    /// What must hold of any row that it takes: its `stay`, or its `where` if it has none.
    clauses: Vec<Clause<'c>>,
    /// What must hold besides of those who are not in yet: the `where` of a block with a `stay`.
    entrance: Vec<Clause<'c>>,
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
        (index, list, enrol): (usize, Option<usize>, &'c Enrol),
        columns: &Columns<'_>,
        reading: Reading<'_>,
        clock: &Clock<'c>,
        templates: &mut Templates<'c>,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let before = problems.len();
        let mut compile = |conditions: &'c [Condition]| {
            let mut clauses = Vec::with_capacity(conditions.len());
            for condition in conditions {
                match columns.find(&condition.column) {
                    Ok(column) => clauses.push(Clause::new(condition, column, clock)),
                    Err(not_one) => problems.push(plain(
                        format!("`{}` {}", condition.column, columns.problem(not_one)),
                        Some(condition.place.clone()),
                        columns.advice(not_one, &condition.column),
                    )),
                }
            }
            clauses
        };
        let conditions = compile(&enrol.conditions);
        let (clauses, entrance) = match &enrol.stay {
            Some(stay) => (compile(stay), conditions),
            None => (conditions, Vec::new()),
        };
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
            list,
            enrol,
            targets,
            named: names.map(|names| {
                let names = names.iter().map(|name| Cow::Borrowed(name.as_str()));
                names.collect()
            }),
            clauses,
            entrance,
        }
    }

    /// The same, by the ids that people keep.
    pub(super) fn of(mut self, people: &People) -> Self {
        if let Some(named) = self.named.take_if(|_| !people.is_empty()) {
            let kept = |name: Cow<'c, str>| match people.role(&name) {
                Some(Role::Other(kept)) => Cow::Owned(kept.as_str().to_owned()),
                _ => name,
            };
            self.named = Some(named.into_iter().map(kept).collect());
        }
        self
    }

    /// Whether it restricts itself to contacts by name, and this is none of them.
    pub(super) fn leaves_out(&self, contact: &str) -> bool {
        self.named
            .as_ref()
            .is_some_and(|named| !named.contains(contact))
    }

    /// The only contacts that it takes, where it names any.
    pub(super) fn named(&self) -> Option<impl Iterator<Item = &str>> {
        let named = self.named.as_ref();
        named.map(|named| named.iter().map(AsRef::as_ref))
    }

    /// The conditions by which it takes a row at all.
    pub(super) fn clauses(&self) -> &[Clause<'c>] {
        &self.clauses
    }

    /// All conditions, those on coming in first.
    pub(super) fn all_clauses(&self) -> impl Iterator<Item = &Clause<'c>> {
        self.entrance.iter().chain(&self.clauses)
    }

    /// What a row that it takes makes of its contact; `None` where it does not take it. `tested` is a condition that holds.
    pub(super) fn class<C: Cells>(
        &self,
        cells: &C,
        tested: Option<&Clause<'c>>,
        lot_takes: impl FnOnce(&'c Lot) -> bool,
    ) -> Option<Class> {
        let is_tested =
            |clause: &Clause<'c>| tested.is_some_and(|tested| std::ptr::eq(tested, clause));
        let hold = |clauses: &[Clause<'c>]| {
            let mut clauses = clauses.iter();
            clauses.all(|clause| is_tested(clause) || clause.holds(cells))
        };
        hold(&self.clauses).then(|| match hold(&self.entrance) {
            false => Class::Stays,
            true if self.enrol.lot.as_ref().is_none_or(lot_takes) => Class::ComesIn,
            true => Class::LeftOut,
        })
    }

    /// Every condition that does not hold, and that its lot leaves the contact out, in words.
    pub(super) fn failures(&self, contact: &str, cells: &dyn Cells) -> Vec<String> {
        let clauses = self.all_clauses();
        let lot = self.enrol.lot.as_ref();
        let lot = lot.and_then(|lot| lot.failure(Lot::draw(&lot.name, contact)));
        let failures = clauses.filter_map(|clause| clause.failure(cells));
        failures.chain(lot).collect()
    }

    /// Every condition on somebody who is in that does not hold, in words.
    pub(super) fn stay_failures(&self, cells: &dyn Cells) -> Vec<String> {
        let clauses = self.clauses.iter();
        clauses.filter_map(|clause| clause.failure(cells)).collect()
    }
}
