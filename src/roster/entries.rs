//! Enrolments, 32 bytes each over one text.

use std::cmp::Ordering;
use std::ops::Range;

use super::Enrolment;
use crate::digest::Digest;

/// An enrolment as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The byte of the source's row, or the declared contact's place.
    pub(super) row: u64,
    /// The index in [`Config::automations`](crate::config::Config::automations), which is sorted by name.
    pub(super) automation: u32,
    /// The class in the two bits on top, then the index in [`Config::enrols`](crate::config::Config::enrols): so they sort by
    /// class, and then by block.
    class_and_block: u32,
    contact_at: u32,
    occurrence_at: u32,
    fields: u32,
    contact_len: u16,
    occurrence_len: u16,
}

/// What it takes for an enrolment to be declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Nothing more: who is not in comes in, who is in stays.
    ComesIn,
    /// That the automation that goes first by an `[[exclusive]]` does not declare the contact after all.
    Displaced,
    /// That its contact is in: it would come in, and its lot leaves it out.
    LeftOut,
    /// That its contact is in: by `stay` it stays, and by `where` it would not come in.
    Stays,
}

const BLOCK_BITS: u32 = 30;

/// Added to the index of a block that has a lot. Of equal enrolments the first one stays: one without a lot, which declares the
/// contact whatever it draws and wherever else it is in.
pub(super) const WITH_LOT: usize = 1 << (BLOCK_BITS - 1);

impl Entry {
    /// The index in [`Config::enrols`](crate::config::Config::enrols).
    pub(super) fn block(&self) -> usize {
        self.class_and_block as usize & (WITH_LOT - 1)
    }

    /// What stands for its contact, once all are sorted.
    pub(super) fn contact(&self) -> u32 {
        self.contact_at
    }

    /// What it takes for it to be declared.
    pub(super) fn class(&self) -> Class {
        match self.class_and_block >> BLOCK_BITS {
            0 => Class::ComesIn,
            1 => Class::Displaced,
            2 => Class::LeftOut,
            _ => Class::Stays,
        }
    }
}

/// Enrolments of any number.
#[derive(Debug, Default)]
pub(super) struct Entries {
    list: Vec<Entry>,
    text: String,
    digests: Vec<Digest>,
    /// How many there were when the row under way began.
    row_start: usize,
    /// Whether any two may be out of order, or of one contact, automation and occurrence, or of one contact with two texts.
    is_mixed: bool,
}

/// The text of all ids together has outgrown 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

const NO_FIELDS: u32 = u32::MAX;

impl Entries {
    /// Ends a row, after which a next one may begin: what it enrols in is put in order.
    pub(super) fn end_row(&mut self) {
        if self.list.len() - self.row_start > 1 {
            let Self {
                list,
                text,
                row_start,
                ..
            } = self;
            list[*row_start..].sort_unstable_by(|a, b| order(text, a, b));
        }
        // They are still at hand.
        let new = &self.list[self.row_start.saturating_sub(1)..];
        let is_before = |a: &Entry, b: &Entry| key_order(&self.text, a, b).is_lt();
        self.is_mixed |= !new.is_sorted_by(is_before);
        self.row_start = self.list.len();
    }

    /// Adds an enrolment of the row under way. The ids follow the rules for ids, by which they are short.
    pub(super) fn push(
        &mut self,
        contact: &str,
        occurrence: Option<&str>,
        (automation, block, row): (usize, usize, u64),
        class: Class,
        fields: Option<Digest>,
    ) -> Result<(), Full> {
        let block = u32::try_from(block)
            .ok()
            .filter(|block| block >> BLOCK_BITS == 0);
        // Those of one contact have one text.
        let before = match self.list.get(self.row_start) {
            Some(first) => Some(first),
            None => self.list.last().filter(|of| self.contact(of) == contact),
        };
        let (contact_at, contact_len) = match before {
            Some(before) => (before.contact_at, before.contact_len),
            None => self.store(contact)?,
        };
        let (occurrence_at, occurrence_len) = match occurrence {
            Some(occurrence) => self.store(occurrence)?,
            None => (0, 0),
        };
        let fields = match fields {
            Some(digest) => {
                let place = u32::try_from(self.digests.len()).map_err(|_| Full)?;
                self.digests.push(digest);
                place
            }
            None => NO_FIELDS,
        };
        self.list.push(Entry {
            row,
            automation: u32::try_from(automation).map_err(|_| Full)?,
            class_and_block: block.ok_or(Full)? | (class as u32) << BLOCK_BITS,
            contact_at,
            occurrence_at,
            fields,
            contact_len,
            occurrence_len,
        });
        Ok(())
    }

    fn store(&mut self, text: &str) -> Result<(u32, u16), Full> {
        let at = u32::try_from(self.text.len()).map_err(|_| Full)?;
        let len = u16::try_from(text.len()).map_err(|_| Full)?;
        self.text.push_str(text);
        Ok((at, len))
    }

    /// Takes over all of another's.
    pub(super) fn append(&mut self, other: Entries) -> Result<(), Full> {
        if other.list.is_empty() {
            return Ok(());
        }
        if self.list.is_empty() {
            *self = other;
            return Ok(());
        }
        let text = u32::try_from(self.text.len()).map_err(|_| Full)?;
        let digests = u32::try_from(self.digests.len()).map_err(|_| Full)?;
        let fits =
            |base: u32, len: usize| u32::try_from(len).is_ok_and(|len| len < NO_FIELDS - base);
        if !fits(text, other.text.len()) || !fits(digests, other.digests.len()) {
            return Err(Full);
        }
        self.text.push_str(&other.text);
        self.digests.extend(other.digests);
        self.list.extend(other.list.into_iter().map(|mut entry| {
            entry.contact_at += text;
            entry.occurrence_at += text;
            if entry.fields != NO_FIELDS {
                entry.fields += digests;
            }
            entry
        }));
        self.is_mixed = true;
        self.row_start = self.list.len();
        Ok(())
    }

    /// Sorts them by contact, automation and occurrence, and equal ones by class, block and row. All of one contact have one text
    /// then.
    pub(super) fn sort(&mut self) {
        let Self { list, text, .. } = self;
        // Exports mostly come sorted.
        if !self.is_mixed {
            return;
        }
        if !list.is_sorted_by(|a, b| order(text, a, b).is_le()) {
            let shared = shared_start(text, list);
            let key = |entry: &Entry| sort_key(text, entry, shared);
            list.sort_by_cached_key(key);
            for same in list.chunk_by_mut(|a, b| a.contact_at == b.contact_at || key(a) == key(b)) {
                same.sort_by(|a, b| order(text, a, b));
            }
        }
        for of_one in list.chunk_by_mut(|a, b| contact(text, a) == contact(text, b)) {
            let text = of_one[0].contact_at;
            of_one.iter_mut().for_each(|entry| entry.contact_at = text);
        }
    }

    /// Where several rows of one block are of the same contact, automation and occurrence, and are to make one enrolment
    /// together. They must be sorted.
    pub(super) fn groups(&self, takes: impl Fn(&Entry) -> bool) -> Vec<Range<usize>> {
        let mut groups = Vec::new();
        let mut start = 0;
        let same = |a: &Entry, b: &Entry| {
            a.class_and_block == b.class_and_block && key_order(&self.text, a, b) == Ordering::Equal
        };
        for group in self.list.chunk_by(same) {
            if group.len() > 1 && takes(&group[0]) {
                groups.push(start..start + group.len());
            }
            start += group.len();
        }
        groups
    }

    /// Makes one of each group: its first, with the digest of all.
    pub(super) fn gather(&mut self, groups: &[(Range<usize>, Option<Digest>)]) -> Result<(), Full> {
        let Self { list, digests, .. } = self;
        for (group, digest) in groups {
            let first = &mut list[group.start];
            first.fields = NO_FIELDS;
            if let Some(digest) = digest {
                first.fields = u32::try_from(digests.len()).map_err(|_| Full)?;
                digests.push(*digest);
            }
        }
        let mut place = 0;
        let mut groups = groups.iter().map(|(group, _)| group).peekable();
        list.retain(|_| {
            while groups.next_if(|group| group.end <= place).is_some() {}
            let stays = groups.peek().is_none_or(|group| place <= group.start);
            place += 1;
            stays
        });
        Ok(())
    }

    /// Keeps of equal ones the first by class, block and row, and of those that do not come in each with other fields; they must
    /// be sorted. Returns the pairs that come in with fields that differ, at most `limit` of them, and how many there are.
    pub(super) fn settle(&mut self, limit: usize) -> (Vec<(Entry, Entry)>, usize) {
        let Self {
            list,
            text,
            digests,
            is_mixed,
            ..
        } = self;
        let (mut pairs, mut count) = (Vec::new(), 0);
        if !*is_mixed {
            return (pairs, count);
        }
        list.dedup_by(|later, first| {
            let same = key_order(text, later, first).is_eq();
            let differs = same && digest(digests, later) != digest(digests, first);
            if later.class() != Class::ComesIn {
                // Who is in under such fields goes on with them.
                return same && (!differs || later.fields == NO_FIELDS);
            }
            if differs {
                count += 1;
                if pairs.len() < limit {
                    pairs.push((*first, *later));
                }
            }
            same
        });
        (pairs, count)
    }

    /// Displaces the one at a place. They must be settled, so that the order stays.
    pub(super) fn displace(&mut self, place: usize) {
        let entry = &mut self.list[place];
        entry.class_and_block |= (Class::Displaced as u32) << BLOCK_BITS;
    }

    pub(super) fn list(&self) -> &[Entry] {
        &self.list
    }

    pub(super) fn contact(&self, entry: &Entry) -> &str {
        piece(&self.text, entry.contact_at, entry.contact_len)
    }

    /// The places of those of the contact that the one at a place is of. They must be sorted.
    pub(super) fn of_contact(&self, place: usize) -> Range<usize> {
        let is_same = |of: &&Entry| of.contact_at == self.list[place].contact_at;
        let before = self.list[..place].iter().rev().take_while(is_same);
        let behind = self.list[place..].iter().take_while(is_same);
        place - before.count()..place + behind.count()
    }

    pub(super) fn occurrence(&self, entry: &Entry) -> Option<&str> {
        let text = piece(&self.text, entry.occurrence_at, entry.occurrence_len);
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn fields(&self, entry: &Entry) -> Option<Digest> {
        digest(&self.digests, entry)
    }

    /// One of them, as all who are outside see it.
    pub(super) fn enrolment(&self, entry: &Entry) -> Enrolment<'_> {
        Enrolment {
            contact: self.contact(entry),
            automation: entry.automation as usize,
            occurrence: self.occurrence(entry),
            fields: self.fields(entry),
            block: entry.block(),
            class: entry.class(),
            row: entry.row,
        }
    }
}

fn piece(text: &str, at: u32, len: u16) -> &str {
    let at = at as usize;
    &text[at..at + usize::from(len)]
}

fn digest(digests: &[Digest], entry: &Entry) -> Option<Digest> {
    digests.get(entry.fields as usize).copied()
}

/// A piece to compare, for which it does not matter where characters begin.
fn bytes(text: &str, at: u32, len: u16) -> &[u8] {
    let at = at as usize;
    &text.as_bytes()[at..at + usize::from(len)]
}

fn contact<'t>(text: &'t str, entry: &Entry) -> &'t [u8] {
    bytes(text, entry.contact_at, entry.contact_len)
}

/// How many bytes all contacts begin with alike: ids often differ in their last few characters only.
fn shared_start(text: &str, list: &[Entry]) -> usize {
    let first = list.first().map_or(&[][..], |first| contact(text, first));
    list.iter().fold(first.len(), |shared, entry| {
        let pairs = first[..shared].iter().zip(contact(text, entry));
        pairs.take_while(|(a, b)| a == b).count()
    })
}

/// The next eight bytes, as a number that sorts like them. Comparing numbers that lie side by side is many times
/// faster than comparing ids all over the text.
fn sort_key(text: &str, entry: &Entry, shared: usize) -> u64 {
    let rest = &contact(text, entry)[shared..];
    let mut bytes = [0; 8];
    let count = rest.len().min(8);
    bytes[..count].copy_from_slice(&rest[..count]);
    u64::from_be_bytes(bytes)
}

fn key_order(text: &str, a: &Entry, b: &Entry) -> Ordering {
    let occurrence = |entry: &Entry| bytes(text, entry.occurrence_at, entry.occurrence_len);
    let contacts = match a.contact_at == b.contact_at {
        true => Ordering::Equal,
        false => contact(text, a).cmp(contact(text, b)),
    };
    contacts
        .then(a.automation.cmp(&b.automation))
        .then_with(|| occurrence(a).cmp(occurrence(b)))
}

fn order(text: &str, a: &Entry, b: &Entry) -> Ordering {
    let rank = |entry: &Entry| (entry.class_and_block, entry.row);
    key_order(text, a, b).then_with(|| rank(a).cmp(&rank(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Hasher;

    type Row<'a> = (&'a str, Option<&'a str>, usize, usize, Option<&'a str>);

    fn entries(rows: &[Row<'_>]) -> Entries {
        let mut entries = Entries::default();
        for &(contact, occurrence, automation, block, fields) in rows {
            let fields = fields.map(|text| Hasher::new().part(text).finish());
            entries
                .push(
                    contact,
                    occurrence,
                    (automation, block, 0),
                    Class::ComesIn,
                    fields,
                )
                .unwrap();
            entries.end_row();
        }
        entries
    }

    fn shown(entries: &Entries) -> Vec<(String, u32, Option<&str>, u32)> {
        let entry = |entry: &Entry| {
            let contact = entries.contact(entry).to_owned();
            (
                contact,
                entry.automation,
                entries.occurrence(entry),
                entry.block() as u32,
            )
        };
        entries.list().iter().map(entry).collect()
    }

    #[test]
    fn an_enrolment_is_small() {
        assert_eq!(size_of::<Entry>(), 32);
    }

    #[test]
    fn they_are_sorted_and_the_first_of_equal_ones_stays() {
        let mut entries = entries(&[
            ("b", None, 1, 4, None),
            ("a", Some("2"), 1, 3, None),
            ("b", None, 0, 5, None),
            ("a", Some("10"), 1, 2, None),
            ("b", None, 1, 1, None),
            ("a", None, 1, 0, None),
        ]);
        entries.sort();
        assert_eq!(entries.settle(9), (vec![], 0));
        assert_eq!(
            shown(&entries),
            [
                ("a".to_owned(), 1, None, 0),
                ("a".to_owned(), 1, Some("10"), 2),
                ("a".to_owned(), 1, Some("2"), 3),
                ("b".to_owned(), 0, None, 5),
                ("b".to_owned(), 1, None, 1),
            ]
        );
    }

    #[test]
    fn equal_ones_with_different_fields_are_reported() {
        let mut different = entries(&[
            ("a", None, 0, 0, Some("x")),
            ("a", None, 0, 1, Some("x")),
            ("a", None, 0, 2, Some("y")),
            ("a", None, 0, 3, None),
        ]);
        different.sort();
        let (pairs, count) = different.settle(1);
        assert_eq!((pairs.len(), count), (1, 2));
        assert_eq!((pairs[0].0.block(), pairs[0].1.block()), (0, 2));
    }

    #[test]
    fn a_group_becomes_its_first_with_the_digest_of_all() {
        let mut all = entries(&[
            ("a", None, 0, 0, Some("1")),
            ("b", None, 0, 0, Some("1")),
            ("b", None, 0, 0, Some("2")),
            ("b", None, 0, 1, Some("3")),
            ("c", None, 1, 0, Some("1")),
            ("c", None, 1, 0, Some("2")),
            ("d", None, 0, 0, Some("1")),
        ]);
        all.sort();
        let groups = all.groups(|entry| entry.automation == 0);
        assert_eq!(groups.as_slice(), std::slice::from_ref(&(1..3)));
        let digest = Some(Hasher::new().part("both").finish());
        all.gather(&[(1..3, digest)]).unwrap();
        let contacts: Vec<_> = all.list().iter().map(|entry| all.contact(entry)).collect();
        assert_eq!(contacts, ["a", "b", "b", "c", "c", "d"]);
        assert_eq!(all.fields(&all.list()[1]), digest);
    }

    #[test]
    fn those_of_two_sources_are_put_together() {
        let mut all = entries(&[("b", Some("1"), 0, 0, Some("x"))]);
        all.append(entries(&[
            ("a", None, 0, 1, None),
            ("a", Some("3"), 0, 1, Some("z")),
        ]))
        .unwrap();
        all.sort();
        all.settle(9);
        assert_eq!(
            shown(&all),
            [
                ("a".to_owned(), 0, None, 1),
                ("a".to_owned(), 0, Some("3"), 1),
                ("b".to_owned(), 0, Some("1"), 0),
            ]
        );
        let digest = |text: &str| Some(Hasher::new().part(text).finish());
        let found: Vec<_> = all.list().iter().map(|entry| all.fields(entry)).collect();
        assert_eq!(found, [None, digest("z"), digest("x")]);
    }
}
