//! Where each contact's rows are, in eight bytes a row.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashSet};

use super::RowId;

/// Finds the rows of given contacts without reading the source again. The selection fills it while it reads.
///
/// It holds a short hash of each row's contact and the distance from the row before. Finding goes through all of it
/// once, whatever the number of contacts asked for.
#[derive(Debug, Default)]
pub struct RowIndex {
    hasher: DefaultHashBuilder,
    rows: Vec<(u32, u32)>,
    last: u64,
    /// How many rows there are, where they are counted alone.
    counted: Option<u64>,
}

impl RowIndex {
    /// One that counts rows and keeps none, for a table of which hardly ever a row is asked for.
    pub fn counting() -> Self {
        Self {
            counted: Some(0),
            ..Self::default()
        }
    }

    /// Whether rows were counted alone.
    pub(super) fn is_count(&self) -> bool {
        self.counted.is_some()
    }

    /// Adds the next row.
    pub fn push(&mut self, contact: &str, row: RowId) {
        if let Some(counted) = &mut self.counted {
            *counted += 1;
            return;
        }
        // Only gigabytes of blank lines make a distance that does not fit. The rows after them are then not found.
        let distance = u32::try_from(row.0 - self.last).unwrap_or(u32::MAX);
        self.rows.push((self.hash(contact), distance));
        self.last = row.0;
    }

    /// Gives the row at a place to another contact.
    pub fn rename(&mut self, place: usize, contact: &str) {
        let hash = self.hash(contact);
        if let Some(row) = self.rows.get_mut(place) {
            row.0 = hash;
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> u64 {
        self.counted.unwrap_or(self.rows.len() as u64)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows, with their numbers (the header is row 1), that may be of one of these contacts: all that are, and now
    /// and then another one.
    pub(super) fn find<'a>(
        &self,
        contacts: impl IntoIterator<Item = &'a str>,
    ) -> Vec<(u64, RowId)> {
        let contacts = contacts.into_iter();
        let hashes: HashSet<u32> = contacts.map(|contact| self.hash(contact)).collect();
        self.numbered()
            .filter(|(hash, ..)| hashes.contains(hash))
            .map(|(_, number, row)| (number, row))
            .collect()
    }

    /// A row's number.
    pub(super) fn number(&self, wanted: RowId) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
