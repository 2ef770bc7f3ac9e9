//! Which blocks a row is put to: those that it may be in, found by a look-up and not by asking each block.

use hashbrown::HashMap;

use super::block::Block;
use super::cell::{Cell, Cells, Kind};
use super::condition::{self, Clause};

/// The blocks that draw on one table, by what a row must hold to be in them.
#[derive(Debug)]
pub(super) struct Dispatch<'s, 'c> {
    blocks: Vec<&'s Block<'c>>,
    /// For each column and kind that conditions read a cell as, the first condition that does. A cell that cannot be read
    /// is told even of a row that is out for another reason, so that the order of conditions never decides on whether a
    /// table is good.
    reads: Vec<&'s Clause<'c>>,
    /// Blocks that any row may be in, by their places in `blocks`.
    any: Vec<usize>,
    /// Blocks that name contacts.
    by_contact: HashMap<&'c str, Vec<usize>>,
    /// Blocks that want one of some texts in a column.
    by_text: Vec<(usize, HashMap<&'c str, Vec<usize>>)>,
}

impl<'s, 'c> Dispatch<'s, 'c> {
    pub(super) fn new(blocks: Vec<&'s Block<'c>>) -> Self {
        let mut reads: Vec<&Clause> = Vec::new();
        let mut any = Vec::new();
        let mut by_contact: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut by_text: HashMap<usize, HashMap<&str, Vec<usize>>> = HashMap::new();
        let mut known = hashbrown::HashSet::new();
        for (place, block) in blocks.iter().enumerate() {
            reads.extend(block.clauses().iter().filter(|clause| {
                let mut is_new = false;
                for read in clause.reads() {
                    is_new |= known.insert(read);
                }
                is_new
            }));
            if let Some(names) = &block.enrol.contacts {
                for name in names {
                    let places = by_contact.entry(name.as_str()).or_default();
                    // A block may name a contact twice.
                    if places.last() != Some(&place) {
                        places.push(place);
                    }
                }
                continue;
            }
            let texts = |clause: &Clause<'c>| Some((clause.column(), clause.wanted_texts()?));
            match block.clauses().iter().find_map(texts) {
                Some((column, texts)) => {
                    let by_text = by_text.entry(column).or_default();
                    for text in texts {
                        by_text.entry(text).or_default().push(place);
                    }
                }
                None => any.push(place),
            }
        }
        Self {
            blocks,
            reads,
            any,
            by_contact,
            by_text: by_text.into_iter().collect(),
        }
    }

    /// Gives what of a row's cells cannot be read as a condition wants it.
    pub(super) fn unreadable<C: Cells>(
        &self,
        cells: &C,
        mut tell: impl FnMut(condition::Issue<'c>),
    ) {
        for clause in &self.reads {
            if let Err(issue) = clause.holds(cells) {
                tell(issue);
            }
        }
    }

    /// The blocks that a row of a contact may be in, in the order of the configuration. Conditions are still to be asked.
    /// `places` is used over and over.
    pub(super) fn candidates<C: Cells>(
        &self,
        contact: &str,
        cells: &C,
        places: &mut Vec<usize>,
    ) -> impl Iterator<Item = &'s Block<'c>> {
        places.clear();
        places.extend_from_slice(&self.any);
        places.extend(self.by_contact.get(contact).into_iter().flatten());
        for (column, by_text) in &self.by_text {
            if let Ok(Some(Cell::Text(text))) = cells.cell(*column, Kind::Text) {
                places.extend(by_text.get(text).into_iter().flatten());
            }
        }
        places.sort_unstable();
        places.dedup();
        places.iter().map(|&place| self.blocks[place])
    }
}
