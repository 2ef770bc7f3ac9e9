//! Line numbers, found when somebody has to be told of one.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use super::RowId;
use super::cursor::Cursor;

/// Counts lines up to rows that are asked for in order, so that all the answers together cost one reading.
#[derive(Debug)]
pub(super) struct Lines {
    at: u64,
    line: u64,
}

impl Lines {
    /// Starts at the first line.
    pub(super) fn new() -> Self {
        Self { at: 0, line: 1 }
    }

    /// The line on which a row's first byte stands, from 1. Where the file cannot be read any more, the last line that
    /// could.
    pub(super) fn of(&mut self, file: &Arc<File>, row: RowId) -> u64 {
        if row.0 < self.at {
            *self = Self::new();
        }
        let before = row.0 - self.at;
        let mut buffer = vec![0; 64 * 1024];
        let mut bytes = Cursor::new(file, self.at).take(before);
        while let Ok(count @ 1..) = bytes.read(&mut buffer) {
            self.line += memchr::memchr_iter(b'\n', &buffer[..count]).count() as u64;
            self.at += count as u64;
        }
        self.line
    }
}
