//! The witness beside a record: its id and its highest serial, in the lock file, which no backup brings back with it.
//!
//! It is written after a commit and before anybody learns of it, so before the calls that the commit announces are sent.
//! A run that is killed in between leaves a witness that lags behind, which says nothing against the record. A record that
//! lags behind its witness is an older one. It is not flushed: where a power cut loses it, it lags behind, or says nothing.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::files::beside;
use crate::digest::Hasher;
use crate::record::identity::Witness;

/// The bytes of a witness: always as many, so that a new one covers the old one.
const LENGTH: usize = 89;

/// Of a record. `None` where the file is missing, empty or torn, or of an older version: that says nothing.
pub(super) fn of(record: &Path) -> Option<Witness> {
    let mut text = String::new();
    let file = File::open(beside(record, ".lock")).ok()?;
    file.take(LENGTH as u64).read_to_string(&mut text).ok()?;
    parse(&text)
}

/// Writes it over the one that is there.
pub(super) fn write(witness: Witness, mut file: &File) -> io::Result<()> {
    file.rewind()?;
    file.write_all(text(witness).as_bytes())
}

/// Takes away what a lock file knows.
pub(super) fn clear(file: &File) -> io::Result<()> {
    file.set_len(0)
}

fn text(witness: Witness) -> String {
    let said = format!("record {} serial {:020}", witness.id, witness.serial);
    let check = Hasher::new().part(&said).finish().to_string();
    format!("{said} {}\n", &check[..16])
}

fn parse(read: &str) -> Option<Witness> {
    let mut words = read.split([' ', '\n']);
    let (_, id, _, serial) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let witness = Witness {
        id: id.parse().ok()?,
        serial: serial.parse().ok()?,
    };
    (text(witness) == read).then_some(witness)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RecordId;

    #[test]
    fn a_witness_is_read_whole_or_not_at_all() {
        let id = RecordId::new();
        let witness = |serial| Witness { id, serial };
        for serial in [0, 1, u64::MAX] {
            let whole = text(witness(serial));
            assert_eq!(whole.len(), LENGTH);
            assert_eq!(parse(&whole), Some(witness(serial)));
            for cut in 0..whole.len() {
                assert_eq!(parse(&whole[..cut]), None);
            }
        }
        let (old, new) = (text(witness(9)), text(witness(10)));
        for torn in 1..LENGTH - 1 {
            let text = new[..torn].to_owned() + &old[torn..];
            let read = parse(&text);
            assert!(read.is_none() || text == old || text == new, "{text}");
        }
        assert_eq!(parse(""), None);
    }
}
