//! Rows that are lines: where nothing is quoted, a line end ends a row and a separator a cell, and no CSV reader is needed
//! to see that. It takes half the time.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use memchr::{memchr, memchr_iter, memchr2_iter, memmem, memrchr};

use super::cells::RowCells;
use super::cursor::read_at;

/// So many bytes are read at once.
const PIECE: usize = 128 << 10;

/// The rows of a file from a byte on, until one comes that is not a plain line.
#[derive(Debug)]
pub(super) struct PlainLines {
    file: Arc<File>,
    delimiter: u8,
    /// Whole lines, all of them plain.
    piece: String,
    /// Where in the file the piece is.
    at: u64,
    /// How much of it has been given.
    given: usize,
    /// Where the cells of the line end that was given last.
    ends: Vec<usize>,
}

/// A row that is a line.
#[derive(Debug)]
pub(super) struct PlainLine {
    /// Where it starts in the file.
    pub(super) at: u64,
    /// How many bytes it has, with its end.
    pub(super) len: u64,
    /// Where it is in the piece, without its end.
    place: Range<usize>,
}

impl PlainLines {
    /// Begins behind a row that ends at a byte of a file; a line feed may still belong to its end.
    pub(super) fn after(file: &Arc<File>, end: u64, delimiter: u8) -> io::Result<Self> {
        let mut next = [0];
        let is_line_feed = fill(file, end, &mut next)? == 1 && next == *b"\n";
        Ok(Self {
            file: Arc::clone(file),
            delimiter,
            piece: String::new(),
            at: end + u64::from(is_line_feed),
            given: 0,
            ends: Vec::new(),
        })
    }

    /// The next row. Where there is none, or one that may not be a plain line, the byte at which a CSV reader is to go on.
    pub(super) fn next(&mut self) -> io::Result<Result<PlainLine, u64>> {
        if self.given == self.piece.len() && !self.read_more()? {
            return Ok(Err(self.at));
        }
        let start = self.given;
        let rest = &self.piece.as_bytes()[start..];
        let len = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let line = &rest[..len];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.ends.clear();
        self.ends.extend(memchr_iter(self.delimiter, line));
        self.ends.push(line.len());
        self.given += len;
        Ok(Ok(PlainLine {
            at: self.at + start as u64,
            len: len as u64,
            place: start..start + line.len(),
        }))
    }

    /// The cells of the row that was given last.
    pub(super) fn cells(&self, row: &PlainLine) -> RowCells<'_> {
        RowCells::Line {
            text: self.piece.get(row.place.clone()).unwrap_or_default(),
            ends: &self.ends,
        }
    }

    /// Reads the next piece; whether it has lines and all of them are plain.
    fn read_more(&mut self) -> io::Result<bool> {
        self.at += self.given as u64;
        self.given = 0;
        let mut bytes = std::mem::take(&mut self.piece).into_bytes();
        bytes.resize(PIECE, 0);
        let filled = fill(&self.file, self.at, &mut bytes)?;
        // What follows the last line end comes with the next piece; where the file ends with it, it is for the CSV reader.
        let end = memrchr(b'\n', &bytes[..filled]).map_or(0, |end| end + 1);
        bytes.truncate(end);
        if !are_plain(&bytes) {
            return Ok(false);
        }
        self.piece = String::from_utf8(bytes).unwrap_or_default();
        Ok(!self.piece.is_empty())
    }
}

/// Whether each line is a row: there are no quotes, no blank lines and no carriage returns but before line feeds.
pub(super) fn are_plain(lines: &[u8]) -> bool {
    if matches!(lines.first(), Some(b'\n' | b'\r')) || memmem::find(lines, b"\n\n").is_some() {
        return false;
    }
    memchr2_iter(b'"', b'\r', lines)
        .all(|at| lines[at] == b'\r' && lines.get(at + 1) == Some(&b'\n') && lines[at - 1] != b'\n')
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
