//! The witness beside a record: its id and its highest serial, in the lock file, which no backup brings back with it.
//!
//! It is written after a commit and before anybody is told of it, so before the calls that the commit announces are sent.
//! A run that is killed in between leaves a witness that lags behind, which says nothing against the record. A record that
//! lags behind its witness is an older one. It is not flushed: where a power cut loses it, it lags behind, or says nothing.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::open::beside;
use crate::digest::Hasher;
use crate::id::RecordId;

/// What the lock file knows of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The record's id.
    pub id: RecordId,
    /// The highest serial that was seen of it.
    pub serial: u64,
}

/// The bytes of a witness: always as many, so that a new one covers the old one.
const LENGTH: usize = 89;

impl Witness {
    /// Of a record. `None` where the file is missing, empty or torn, or of an older version: that says nothing.
    pub(super) fn of(record: &Path) -> Option<Self> {
        let mut text = String::new();
        let file = File::open(beside(record, ".lock")).ok()?;
        file.take(LENGTH as u64).read_to_string(&mut text).ok()?;
        Self::parse(&text)
    }

    /// Writes it over the one that is there.
    pub(super) fn write(&self, mut file: &File) -> io::Result<()> {
        file.rewind()?;
        file.write_all(self.text().as_bytes())
    }

    /// Takes away what a lock file knows.
    pub(super) fn clear(file: &File) -> io::Result<()> {
        file.set_len(0)
    }

    fn text(&self) -> String {
        let said = format!("record {} serial {:020}", self.id, self.serial);
        let check = Hasher::new().part(&said).finish().to_string();
        format!("{said} {}\n", &check[..16])
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split([' ', '\n']);
        let (_, id, _, serial) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let witness = Self {
            id: id.parse().ok()?,
            serial: serial.parse().ok()?,
        };
        (witness.text() == text).then_some(witness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_read_whole_or_not_at_all() {
        let id = RecordId::new();
        let witness = |serial| Witness { id, serial };
        for serial in [0, 1, u64::MAX] {
            let text = witness(serial).text();
            assert_eq!(text.len(), LENGTH);
            assert_eq!(Witness::parse(&text), Some(witness(serial)));
            for cut in 0..text.len() {
                assert_eq!(Witness::parse(&text[..cut]), None);
            }
        }
        let (old, new) = (witness(9).text(), witness(10).text());
        for torn in 1..LENGTH - 1 {
            let text = new[..torn].to_owned() + &old[torn..];
            let read = Witness::parse(&text);
            assert!(read.is_none() || text == old || text == new, "{text}");
        }
        assert_eq!(Witness::parse(""), None);
    }
}
