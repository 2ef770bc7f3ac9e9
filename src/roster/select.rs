//! Rows → enrolments: every row of a table, or every declared contact, put to every block that draws on it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

use super::block::{Block, Target};
use super::cell::{Cells, DeclaredCells, SourceCells};
use super::condition;
use super::dispatch::Dispatch;
use super::doubts::{Noted, Watch};
use super::entries::{Class, Entries, Full, WITH_LOT};
use super::fields::{FieldIssue, For, Templates};
use super::merged::{People, Role};
use super::problems::{Report, Subject};
use super::reading::Reading;
use super::suppressed::Suppressed;
use super::writing::{Named, Seen};
use crate::config::{Automation, Config, DeclaredContact, Diagnostic, Lot, OnChange, Place};
use crate::failpoint::{Planted, is_planted};
use crate::field;
use crate::id::{self, ContactId, IdError};
use crate::source::{Lines, RowBuffer, RowId, RowIndex, Table};
use crate::text::quoted;

/// What every selection needs.
#[derive(Debug)]
pub(super) struct Selector<'s, 'c> {
    pub(super) config: &'c Config,
    pub(super) templates: &'s Templates<'c>,
    /// The only contact to select, if not all are.
    pub(super) only: Option<&'s str>,
    pub(super) blocks: Dispatch<'s, 'c>,
    /// Who is suppressed, once that is known.
    pub(super) suppressed: Option<&'s Suppressed<'c>>,
    pub(super) named: &'s Named<'c>,
    pub(super) people: &'s People,
    pub(super) watch: Watch<'c>,
}

/// What came of a table.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) entries: Entries,
    /// What would be among the entries if its contact were not suppressed.
    pub(super) withheld: Entries,
    /// Who is on the list of which suppression.
    pub(super) listed: Vec<(usize, Box<str>)>,
    pub(super) index: RowIndex,
    pub(super) report: Report,
    pub(super) seen: Seen,
    pub(super) noted: Noted,
}

impl Selection {
    /// Nothing, of a table that could not be read.
    pub(super) fn refused(problem: Diagnostic) -> Self {
        let mut refused = Self::default();
        refused.report.list.push(problem);
        refused
    }

    /// Whether anything is wrong with the table.
    pub(super) fn has_problems(&self) -> bool {
        !self.report.list.is_empty()
    }
}

/// The rows of people who have several ids.
#[derive(Default)]
struct MergedRows<'p> {
    /// Those of ids that are not kept, with their places in the index, and the id that is.
    others: Vec<(RowId, usize, &'p ContactId)>,
    /// The kept ids that have rows of their own.
    kept: HashSet<String>,
}

/// What is used for one row after the other.
#[derive(Default)]
struct Scratch<'c> {
    issues: Vec<RowIssue<'c>>,
    places: Vec<usize>,
    lots: Lots<'c>,
}

/// What the contact of the rows under way has drawn, by the names of lots.
#[derive(Default)]
struct Lots<'c> {
    contact: String,
    drawn: Vec<(&'c str, u64)>,
}

impl<'c> Lots<'c> {
    fn takes(&mut self, lot: &'c Lot, contact: &str) -> bool {
        if self.contact != contact {
            self.drawn.clear();
            self.contact.clear();
            self.contact.push_str(contact);
        }
        let known = self.drawn.iter().find(|(name, _)| *name == lot.name);
        let drawn = known.map(|(_, drawn)| *drawn);
        lot.takes(drawn.unwrap_or_else(|| {
            let drawn = Lot::draw(&lot.name, contact);
            self.drawn.push((&lot.name, drawn));
            drawn
        }))
    }
}

/// What is wrong with a row that matters to a block.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RowIssue<'c> {
    Unreadable(condition::Issue<'c>),
    Occurrence {
        automation: &'c str,
        column: &'c str,
        shown: String,
        why: IdError,
    },
    Field {
        automation: &'c str,
        block: &'c Place,
        issue: FieldIssue<'c>,
    },
    Merged {
        column: &'c str,
        shown: String,
        why: IdError,
    },
    Full,
}

/// The contacts that blocks without a source draw on: those declared, and those named.
#[derive(Debug)]
pub(super) struct Declared<'c> {
    /// Every attribute of any of them, sorted.
    pub(super) columns: Vec<String>,
    /// Sorted by contact. Those that are named alone have no table.
    pub(super) rows: Vec<(Cow<'c, str>, Option<&'c DeclaredContact>)>,
}

impl<'c> Declared<'c> {
    pub(super) fn new(config: &'c Config, people: &People) -> Self {
        let declared = config.contacts.iter();
        // Who has a table under the id that is kept has that one.
        let is_read = |id: &str| match people.kept(id) {
            kept if kept == id => true,
            kept => !config.contacts.contains_key(kept),
        };
        let kept = |id: &'c str| match people.role(id) {
            Some(Role::Other(kept)) => Cow::Owned(kept.as_str().to_owned()),
            _ => Cow::Borrowed(id),
        };
        let mut rows: BTreeMap<Cow<'c, str>, _> = declared
            .filter(|(id, _)| is_read(id.as_str()))
            .map(|(id, contact)| (kept(id.as_str()), Some(contact)))
            .collect();
        let without_source = config.enrols.iter().filter(|enrol| enrol.source.is_none());
        for name in without_source
            .filter_map(|enrol| enrol.contacts.as_ref())
            .flatten()
        {
            rows.entry(kept(name.as_str())).or_insert(None);
        }
        let attributes = config
            .contacts
            .values()
            .flat_map(|contact| contact.attributes.keys());
        let mut columns: Vec<String> = attributes.cloned().collect();
        columns.sort_unstable();
        columns.dedup();
        Self {
            columns,
            rows: rows.into_iter().collect(),
        }
    }

    /// The place of a contact among the rows.
    pub(super) fn find(&self, contact: &str) -> Option<usize> {
        self.rows
            .binary_search_by(|(id, _)| id.as_ref().cmp(contact))
            .ok()
    }

    /// A contact's `[contact.*]`.
    pub(super) fn table_of(&self, contact: &str) -> Option<&'c DeclaredContact> {
        self.find(contact).and_then(|place| self.rows[place].1)
    }

    pub(super) fn cells(&self, contact: Option<&'c DeclaredContact>) -> DeclaredCells<'_> {
        DeclaredCells {
            columns: &self.columns,
            contact,
        }
    }
}

/// Whether a block without a source draws on a contact at all: it is named, or has a table.
pub(super) fn draws_on(block: &Block<'_>, contact: Option<&DeclaredContact>) -> bool {
    contact.is_some() || block.enrol.contacts.is_some()
}

impl<'c> Selector<'_, 'c> {
    fn passes(&self, contact: &str) -> bool {
        self.only.is_none_or(|only| only == contact)
    }

    /// Selects from a source's table.
    pub(super) fn table(&self, table: &Table, reading: Reading<'_>) -> Selection {
        let mut selection = Selection::default();
        if self.blocks.is_empty() {
            selection.index = RowIndex::counting();
        }
        let name = table.to_string();
        let subject = Subject {
            name: &name,
            source: Some((table.name(), reading.notation)),
        };
        let mut rows = table.rows();
        let mut scratch = Scratch::default();
        let mut merged = MergedRows::default();
        while let Some(row) = rows.read() {
            match row {
                Err(error) => selection.report.source(&error),
                Ok(row) => {
                    selection.index.push(row.contact, row.id);
                    if table.contact().is_none() {
                        continue;
                    }
                    self.named
                        .see(row.contact, row.id, table, &mut selection.seen);
                    self.watch.see(&row, &mut selection.noted);
                    match self.people.role(row.contact) {
                        None => {}
                        Some(Role::Other(_)) if is_planted(Planted::OtherIdDeclared) => {}
                        Some(Role::Kept(_)) => _ = merged.kept.insert(row.contact.to_owned()),
                        Some(Role::Other(kept)) => {
                            let place = selection.index.len() as usize - 1;
                            merged.others.push((row.id, place, kept));
                            continue;
                        }
                    }
                    if !self.passes(row.contact) {
                        continue;
                    }
                    let cells = SourceCells {
                        cells: row.cells,
                        reading,
                    };
                    self.row(
                        (row.contact, row.id.0),
                        &cells,
                        |_| true,
                        &mut selection,
                        &mut scratch,
                    );
                }
            }
            for issue in scratch.issues.drain(..) {
                let rows = RefCell::new(&mut rows);
                let row = || rows.borrow_mut().at().to_string();
                selection.report.row(&issue, None, subject, row);
            }
        }
        self.merged(table, reading, merged, &mut selection, &mut scratch);
        let good = selection.index.len();
        selection.report.finish(subject, good);
        selection
    }

    /// Selects from the rows of ids that are other ones': they count where the table has none of the id that is kept.
    fn merged(
        &self,
        table: &Table,
        reading: Reading<'_>,
        MergedRows { others, kept: has }: MergedRows<'_>,
        selection: &mut Selection,
        scratch: &mut Scratch<'c>,
    ) {
        let name = table.to_string();
        let subject = Subject {
            name: &name,
            source: Some((table.name(), reading.notation)),
        };
        let mut buffer = RowBuffer::default();
        for (id, place, kept) in others {
            if has.contains(kept.as_str()) {
                continue;
            }
            selection.index.rename(place, kept.as_str());
            if !self.passes(kept.as_str()) {
                continue;
            }
            let row = match table.row(id, &mut buffer) {
                Ok(row) => row,
                Err(error) => {
                    selection.report.source(&error);
                    continue;
                }
            };
            let cells = SourceCells {
                cells: row.cells,
                reading,
            };
            let row = (kept.as_str(), id.0);
            self.row(row, &cells, |_| true, selection, scratch);
            for issue in scratch.issues.drain(..) {
                // The header is row 1.
                let row = || {
                    let at = table.at(place as u64 + 2, id, &mut Lines::default());
                    at.to_string()
                };
                selection.report.row(&issue, None, subject, row);
            }
        }
    }

    /// Selects from the declared contacts.
    pub(super) fn declared(&self, declared: &Declared<'c>) -> Selection {
        let mut selection = Selection::default();
        let subject = Subject {
            name: "the declared contacts",
            source: None,
        };
        let mut scratch = Scratch::default();
        for (place, (contact, table)) in declared.rows.iter().enumerate() {
            if !self.passes(contact) {
                continue;
            }
            let cells = declared.cells(*table);
            let draws = |block: &Block<'_>| draws_on(block, *table);
            let row = (contact.as_ref(), place as u64);
            self.row(row, &cells, draws, &mut selection, &mut scratch);
            for issue in scratch.issues.drain(..) {
                let at = table.map(|table| table.place.clone());
                let row = || format!("contact {contact}");
                selection.report.row(&issue, at, subject, row);
            }
        }
        selection.report.finish(subject, 1);
        selection
    }

    fn row<C: Cells>(
        &self,
        (contact, row): (&str, u64),
        cells: &C,
        draws: impl Fn(&Block<'c>) -> bool,
        selection: &mut Selection,
        Scratch {
            issues,
            places,
            lots,
        }: &mut Scratch<'c>,
    ) {
        issues.extend(self.blocks.issues(cells).map(RowIssue::Unreadable));
        let mut suppressions = None;
        for (block, tested) in self.blocks.candidates(contact, cells, places) {
            if !draws(block) {
                continue;
            }
            let Some(class) = block.class(cells, tested, |lot| lots.takes(lot, contact)) else {
                continue;
            };
            if let Some(list) = block.list {
                selection.listed.push((list, contact.into()));
                continue;
            }
            let suppressions = *suppressions
                .get_or_insert_with(|| self.suppressed.and_then(|of| of.find(contact)));
            let with_lot = block.enrol.lot.as_ref().map_or(0, |_| WITH_LOT);
            for target in &block.targets {
                let is_suppressed =
                    suppressions.is_some_and(|of| of.of(Some(target.automation)).is_some());
                let place = (target.automation, block.index | with_lot, row);
                let added = match is_suppressed {
                    // Who is suppressed does not stay.
                    true if class != Class::ComesIn => continue,
                    true => withhold(target, contact, place, cells, &mut selection.withheld),
                    false => {
                        let (block, entries) = ((block, class), &mut selection.entries);
                        self.enrol(block, target, contact, place, cells, entries)
                    }
                };
                issues.extend(added.err());
            }
        }
        selection.entries.end_row();
        selection.withheld.end_row();
    }

    fn enrol<C: Cells>(
        &self,
        (block, class): (&Block<'c>, Class),
        target: &Target<'c>,
        contact: &str,
        place: (usize, usize, u64),
        cells: &C,
        entries: &mut Entries,
    ) -> Result<(), RowIssue<'c>> {
        let automation = &self.config.automations[target.automation];
        let occurrence = match target.occurrence {
            None => None,
            Some(column) => {
                let text = cells.text(column).unwrap_or_default();
                id::check(&text).map_err(|why| RowIssue::Occurrence {
                    automation: automation.name.as_str(),
                    column: automation.repeat_by.as_deref().unwrap_or_default(),
                    shown: quoted(&text),
                    why,
                })?;
                Some(text)
            }
        };
        let digest = match &target.fields {
            _ if !needs_fields(class, automation) => None,
            None => None,
            Some(fields) => {
                let whom = For {
                    contact,
                    automation: automation.name.as_str(),
                    occurrence: occurrence.as_deref(),
                };
                let values = fields.render(self.templates, cells, whom);
                let values = values.map_err(|issue| RowIssue::Field {
                    automation: automation.name.as_str(),
                    block: &block.enrol.place,
                    issue,
                })?;
                field::digest(&values)
            }
        };
        let pushed = entries.push(contact, occurrence.as_deref(), place, class, digest);
        pushed.map_err(|Full| RowIssue::Full)
    }
}

/// Whether anything is ever done with the fields of such an enrolment.
fn needs_fields(class: Class, automation: &Automation) -> bool {
    let is_triggered = match class {
        Class::ComesIn | Class::Displaced => true,
        // Another occurrence of somebody who is in.
        Class::LeftOut => automation.repeat_by.is_some(),
        Class::Stays => false,
    };
    is_triggered || automation.on_change == OnChange::Retrigger
}

/// Adds what a block would enrol a suppressed contact in. Nothing is sent for it: it needs no fields, and a bad occurrence
/// harms nobody.
fn withhold<'c, C: Cells>(
    target: &Target<'_>,
    contact: &str,
    place: (usize, usize, u64),
    cells: &C,
    withheld: &mut Entries,
) -> Result<(), RowIssue<'c>> {
    let text = target.occurrence.map(|column| cells.text(column));
    let occurrence = match &text {
        None => None,
        Some(Some(text)) if id::check(text).is_ok() => Some(text.as_ref()),
        Some(_) => return Ok(()),
    };
    let pushed = withheld.push(contact, occurrence, place, Class::ComesIn, None);
    pushed.map_err(|Full| RowIssue::Full)
}
