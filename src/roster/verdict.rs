//! What each block says of each row of a contact. Explanations, the reasons of stops and what is expected all read it.

use std::borrow::Cow;

use hashbrown::{HashMap, HashSet};

use super::Roster;
use super::block::{Block, Target};
use super::cell::{Cells, SourceCells};
use super::select::draws_on;
use crate::source::{Inputs, RowBuffer, RowId, SourceError, Table};

/// The rows of more contacts are found by reading all.
const MOST: usize = 1000;

/// So many of a kind are listed in one sentence; the others are counted.
pub(super) const FEW: usize = 12;

/// What a block says of a contact and one of its automations, by one of the contact's rows.
pub(super) struct Verdict<'v, 'c> {
    pub(super) contact: &'v str,
    pub(super) block: &'v Block<'c>,
    pub(super) target: &'v Target<'c>,
    /// `None` where there is no row of the contact, and no `[contact.*]`.
    pub(super) cells: Option<&'v dyn Cells>,
    /// The source's row, with its number.
    pub(super) row: Option<(&'v Table, u64, RowId)>,
}

impl Verdict<'_, '_> {
    /// The occurrence that the row gives.
    pub(super) fn occurrence(&self) -> Option<String> {
        let text = self.cells?.text(self.target.occurrence?)?;
        (!text.is_empty()).then(|| text.into_owned())
    }

    /// The cells that the block's conditions read.
    pub(super) fn gave(&self) -> Vec<(String, Option<String>)> {
        let Some(cells) = self.cells else {
            return Vec::new();
        };
        let clauses = self.block.all_clauses().map(|clause| {
            let cell = cells.text(clause.column).filter(|cell| !cell.is_empty());
            (clause.condition.column.clone(), cell.map(Cow::into_owned))
        });
        clauses.collect()
    }

    /// The columns by which it stays once it is in, where the block asks more of who comes in and takes it.
    pub(super) fn stays_by(&self) -> Option<Vec<String>> {
        let enrol = self.block.enrol;
        let stay = match &enrol.stay {
            Some(stay) => stay,
            None => enrol.lot.as_ref().map(|_| &enrol.conditions)?,
        };
        let stays = !self.block.leaves_out(self.contact)
            && self.block.stay_failures(self.cells?).is_empty();
        let columns = stay.iter().map(|condition| condition.column.clone());
        stays.then(|| columns.collect())
    }

    /// Why the contact does not come in; empty if it is, unless it is suppressed.
    pub(super) fn reasons(&self, roster: &Roster<'_>) -> Vec<String> {
        let Some(cells) = self.cells else {
            return vec![match self.block.enrol.source {
                Some(source) => format!("not in source {}", roster.config.sources[source].name),
                None => format!("no [contact.{}]", self.contact),
            }];
        };
        let enrol = self.block.enrol;
        let unnamed = self.block.leaves_out(self.contact);
        let unnamed = unnamed.then(|| format!("not named in {}", enrol.place));
        unnamed
            .into_iter()
            .chain(self.block.failures(self.contact, cells))
            .collect()
    }
}

/// The automations that are asked about, for each contact.
pub(super) type Asked<'k> = HashMap<&'k str, Vec<usize>>;

impl<'c> Roster<'c> {
    /// Gives every verdict on these contacts and automations, by source and row; those on the declared contacts come last.
    /// It goes once through the small index of each source, and reads the rows of these contacts alone.
    pub(super) fn judge(
        &self,
        asked: &Asked<'_>,
        mut each: impl FnMut(Verdict<'_, 'c>),
    ) -> Result<(), SourceError> {
        let mut blocks: HashMap<_, Vec<(&Block<'c>, &Target<'c>)>> = HashMap::new();
        let mut draw = vec![false; self.sources.len()];
        for block in &self.blocks {
            if let Some(source) = block.enrol.source {
                draw[source] = true;
            }
            for target in &block.targets {
                let of = (block.enrol.source, target.automation);
                blocks.entry(of).or_default().push((block, target));
            }
        }
        let mut give = |source: Option<usize>,
                        contact: &str,
                        cells: Option<&dyn Cells>,
                        row: Option<(&Table, u64, RowId)>| {
            let declared = self.declared.table_of(contact);
            for automation in asked.get(contact).into_iter().flatten() {
                let blocks = blocks.get(&(source, *automation)).into_iter().flatten();
                for &(block, target) in blocks {
                    each(Verdict {
                        contact,
                        block,
                        target,
                        cells: cells.filter(|_| source.is_some() || draws_on(block, declared)),
                        row,
                    });
                }
            }
        };
        if asked.is_empty() {
            return Ok(());
        }
        let contacts = || asked.keys().copied();
        let mut buffer = RowBuffer::default();
        for (source, table) in self.sources.iter().enumerate() {
            let Some(table) = table.as_ref().filter(|_| draw[source]) else {
                continue;
            };
            let mut absent: HashSet<&str> = contacts().collect();
            if table.is_narrowed() {
                // Its database has more rows of them than were read.
                let mut table = Table::open(&self.config.sources[source], &Inputs::NONE)?;
                if absent.len() <= MOST {
                    table.narrow_to(&contacts().collect::<Vec<_>>());
                }
                table.begin()?;
                let mut rows = table.rows();
                while let Some(row) = rows.read() {
                    let row = row?;
                    if !asked.contains_key(row.contact) {
                        continue;
                    }
                    absent.remove(row.contact);
                    let cells = SourceCells {
                        cells: row.cells,
                        reading: self.reading(source),
                    };
                    let at = Some((&table, row.id.0, row.id));
                    give(Some(source), row.contact, Some(&cells), at);
                }
                for contact in absent {
                    give(Some(source), contact, None, None);
                }
                continue;
            }
            for (number, id) in table.find(contacts()) {
                let row = table.row(id, &mut buffer)?;
                let contact = self.people.kept(row.contact);
                absent.remove(contact);
                let cells = SourceCells {
                    cells: row.cells,
                    reading: self.reading(source),
                };
                let at = Some((table, number, id));
                give(Some(source), contact, Some(&cells), at);
            }
            for contact in absent {
                give(Some(source), contact, None, None);
            }
        }
        for contact in contacts() {
            let cells = self.declared.cells(self.declared.table_of(contact));
            give(None, contact, Some(&cells), None);
        }
        Ok(())
    }
}
