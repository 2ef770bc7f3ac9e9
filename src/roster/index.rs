//! Where each contact's rows are, in eight bytes a row.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashSet};

use crate::source::{RowAt, RowId, Table};

/// Finds the rows of given contacts without reading the source once more.
///
/// It holds a short hash of each row's contact and the distance from the row before. Finding goes through all of it
/// once, whatever the number of contacts asked for.
#[derive(Debug, Default)]
pub(super) struct RowIndex {
    hasher: DefaultHashBuilder,
    rows: Vec<(u32, u32)>,
    last: u64,
}

impl RowIndex {
    /// Adds the next row.
    pub(super) fn push(&mut self, contact: &str, row: RowId) {
        // A distance that does not fit would need gigabytes of blank lines. Rows after them are then looked for in the
        // wrong place, and not found.
        let distance = u32::try_from(row.0 - self.last).unwrap_or(u32::MAX);
        self.rows.push((self.hash(contact), distance));
        self.last = row.0;
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Where a row is, in words.
    pub(super) fn at(&self, table: &Table, row: RowId) -> RowAt {
        table.at(self.number(row).unwrap_or_default(), row)
    }

    /// The rows, with their numbers (the header is row 1), that may be of one of these contacts: all that are, and now
    /// and then another one.
    pub(super) fn find<'a>(
        &self,
        contacts: impl IntoIterator<Item = &'a str>,
    ) -> Vec<(u64, RowId)> {
        let mut sieve = Sieve::new();
        let hashes: HashSet<u32> = contacts
            .into_iter()
            .map(|contact| self.hash(contact))
            .inspect(|hash| sieve.add(*hash))
            .collect();
        self.numbered()
            .filter(|(hash, ..)| sieve.may_have(*hash) && hashes.contains(hash))
            .map(|(_, number, row)| (number, row))
            .collect()
    }

    /// A row's number.
    fn number(&self, wanted: RowId) -> Option<u64> {
        self.numbered()
            .find(|(.., row)| *row == wanted)
            .map(|(_, number, _)| number)
    }

    fn numbered(&self) -> impl Iterator<Item = (u32, u64, RowId)> {
        let rows = self.rows.iter().scan(0, |at, (hash, distance)| {
            *at += u64::from(*distance);
            Some((*hash, RowId(*at)))
        });
        rows.zip(2..)
            .map(|((hash, row), number)| (hash, number, row))
    }

    fn hash(&self, contact: &str) -> u32 {
        self.hasher.hash_one(contact) as u32
    }
}

/// Tells most hashes apart from those in a set, in fewer bytes than the set: it stays in the processor's cache while
/// millions pass it.
struct Sieve(Vec<u64>);

impl Sieve {
    /// The bits of a hash that count.
    const BITS: u32 = 20;

    fn new() -> Self {
        Self(vec![0; 1 << (Self::BITS - u64::BITS.ilog2())])
    }

    fn place(hash: u32) -> (usize, u64) {
        let bit = hash & ((1 << Self::BITS) - 1);
        ((bit / u64::BITS) as usize, 1 << (bit % u64::BITS))
    }

    fn add(&mut self, hash: u32) {
        let (word, bit) = Self::place(hash);
        self.0[word] |= bit;
    }

    fn may_have(&self, hash: u32) -> bool {
        let (word, bit) = Self::place(hash);
        self.0[word] & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sieve_lets_through_what_was_put_in_and_little_else() {
        let mut sieve = Sieve::new();
        let spread = |n: u32| n.wrapping_mul(0x9E37_79B9);
        (0..1_000).for_each(|n| sieve.add(spread(n)));
        assert!((0..1_000).all(|n| sieve.may_have(spread(n))));
        let others = (1_000..101_000).filter(|n| sieve.may_have(spread(*n)));
        assert!(others.count() < 1_000);
        assert!(
            [0, u32::MAX]
                .iter()
                .all(|hash| Sieve::place(*hash).0 < sieve.0.len())
        );
    }

    #[test]
    fn all_rows_of_a_contact_are_found_by_number_and_id() {
        let mut index = RowIndex::default();
        for (contact, row) in [("a", 10), ("b", 25), ("c", 31), ("b", 4_000)] {
            index.push(contact, RowId(row));
        }
        assert_eq!(index.find(["b"]), [(3, RowId(25)), (5, RowId(4_000))]);
        assert_eq!(index.find([]), []);
        assert_eq!(index.number(RowId(31)), Some(4));
        assert_eq!(index.number(RowId(32)), None);
    }
}
