//! Which blocks a row may be in, found by a look-up and not by asking each block.

use hashbrown::{HashMap, HashSet};
use jiff::tz::TimeZone;

use super::block::Block;
use super::cell::{Cells, Key, Kind};
use super::condition::{Clause, Issue};

/// The blocks that draw on one table, by what a row must hold to be in them.
#[derive(Debug)]
pub(super) struct Dispatch<'s, 'c> {
    zone: &'c TimeZone,
    blocks: Vec<Candidate<'s, 'c>>,
    /// For each column and kind that conditions read a cell as, the first condition that does. A cell that cannot be read
    /// is reported even of a row that is out for another reason: the order of conditions never decides whether a table is
    /// good.
    reads: Vec<&'s Clause<'c>>,
    /// Blocks that any row may be in, by their places in `blocks`.
    any: Vec<usize>,
    /// Blocks that name contacts.
    by_contact: HashMap<&'s str, Vec<usize>>,
    /// Blocks that want one of some values in a column.
    by_value: Vec<(usize, Kind, Places<'c>)>,
}

type Places<'c> = HashMap<Key<'c>, Vec<usize>>;

/// A block that a row may be in, and the condition of it that the look-up has tested already.
type Candidate<'s, 'c> = (&'s Block<'c>, Option<&'s Clause<'c>>);

impl<'s, 'c> Dispatch<'s, 'c> {
    /// `all_text` says that every cell of the table can be read as text.
    pub(super) fn new(blocks: Vec<&'s Block<'c>>, zone: &'c TimeZone, all_text: bool) -> Self {
        let of = |clause: &Clause<'c>| (clause.column(), clause.kind());
        let mut known = HashSet::new();
        let mut reads = Vec::new();
        // How many blocks want each value.
        let mut wanted: HashMap<_, usize> = HashMap::new();
        for clause in blocks.iter().flat_map(|block| block.all_clauses()) {
            let kind = clause.kind();
            let is_sound = kind == Kind::Presence || (all_text && kind == Kind::Text);
            if !is_sound && known.insert(of(clause)) {
                reads.push(clause);
            }
            for key in clause.wanted().into_iter().flatten() {
                *wanted.entry((of(clause), key)).or_default() += 1;
            }
        }
        let mut any = Vec::new();
        let mut by_contact: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut by_value: HashMap<(usize, Kind), Places<'c>> = HashMap::new();
        let mut all = Vec::with_capacity(blocks.len());
        for (place, block) in blocks.into_iter().enumerate() {
            let mut tested = None;
            // The condition that the fewest blocks share tells the most.
            let shared = |clause: &&Clause<'c>| {
                let keys = clause.wanted()?;
                Some(keys.map(|key| wanted[&(of(clause), key)]).sum::<usize>())
            };
            let clauses = block.clauses().iter();
            let rarest = clauses.filter_map(|clause| Some((shared(&clause)?, clause)));
            if let Some(names) = block.named() {
                for name in names {
                    by_contact.entry(name).or_default().push(place);
                }
            } else if let Some((_, clause)) = rarest.min_by_key(|(count, _)| *count) {
                let places = by_value.entry(of(clause)).or_default();
                for key in clause.wanted().into_iter().flatten() {
                    places.entry(key).or_default().push(place);
                }
                tested = Some(clause).filter(|clause| clause.wants_no_more());
            } else {
                any.push(place);
            }
            all.push((block, tested));
        }
        let by_value = by_value.into_iter();
        Self {
            zone,
            blocks: all,
            reads,
            any,
            by_contact,
            by_value: by_value
                .map(|((column, kind), places)| (column, kind, places))
                .collect(),
        }
    }

    /// Whether no block draws on the table.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// What of a row's cells cannot be read as a condition wants it.
    pub(super) fn issues<C: Cells>(&self, cells: &C) -> impl Iterator<Item = Issue<'c>> {
        self.reads.iter().filter_map(|clause| clause.issue(cells))
    }

    /// The blocks that a row of a contact may be in, in the order of the configuration, with the condition that holds. The others
    /// are still to be tested. `places` is used over and over.
    pub(super) fn candidates<C: Cells>(
        &self,
        contact: &str,
        cells: &C,
        places: &mut Vec<usize>,
    ) -> impl Iterator<Item = Candidate<'s, 'c>> {
        places.clear();
        places.extend_from_slice(&self.any);
        places.extend(self.by_contact.get(contact).into_iter().flatten());
        for (column, kind, by_value) in &self.by_value {
            if let Ok(Some(cell)) = cells.cell(*column, *kind) {
                for key in cell.keys(false, self.zone) {
                    if let Some(wanting) = by_value.get(&key) {
                        places.extend_from_slice(wanting);
                    }
                }
            }
        }
        places.sort_unstable();
        places.dedup();
        places.iter().map(|&place| self.blocks[place])
    }
}
