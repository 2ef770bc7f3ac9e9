//! Line numbers, which are counted only when a message needs one.

use super::Bytes;

/// So many bytes are read at once.
const PIECE: u64 = 64 << 10;

/// Counts the lines up to rows that are asked for in order, so that all the answers together cost one reading.
#[derive(Debug, Default)]
pub struct Lines {
    at: u64,
    ends: u64,
}

impl Lines {
    /// The line of a byte of the file, from 1. Where the file cannot be read any more, the last line that could.
    pub(in crate::source) fn of(&mut self, file: &Bytes, byte: u64) -> u64 {
        if byte < self.at {
            *self = Self::default();
        }
        let mut buffer = Vec::new();
        while self.at < byte {
            buffer.resize((byte - self.at).min(PIECE) as usize, 0);
            let Ok(count @ 1..) = file.fill(self.at, &mut buffer) else {
                break;
            };
            self.ends += memchr::memchr_iter(b'\n', &buffer[..count]).count() as u64;
            self.at += count as u64;
        }
        self.ends + 1
    }
}
