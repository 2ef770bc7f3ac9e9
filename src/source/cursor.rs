//! A file read at a position of the reader's own, so that many readers can share one open file.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

/// A reader of a shared file that keeps its own position.
///
/// The file stays open for as long as a cursor or its table lives, so that a file that is replaced by a rename in the
/// meantime does not matter: what was opened is what is read.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    file: Arc<File>,
    at: u64,
}

impl Cursor {
    /// Starts at a byte of the file.
    pub(super) fn new(file: &Arc<File>, at: u64) -> Self {
        Self {
            file: Arc::clone(file),
            at,
        }
    }
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = read_at(&self.file, buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Reads from a byte of the file on until the piece is full or the file ends.
pub(super) fn fill(file: &File, at: u64, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match read_at(file, &mut piece[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}
