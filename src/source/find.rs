//! The rows of one contact, found without taking every other row apart.
//!
//! Where a file has no quotes, every line is a row, and a row is of the contact where the cell at the contacts' place is the
//! id, byte for byte. That is looked for in several parts of the file at once. A file with quotes, blank lines or lone
//! carriage returns is left to [`Rows`](super::Rows).

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use memchr::memmem::{self, Finder};
use memchr::{memchr, memchr_iter, memrchr};

use super::RowId;
use super::cursor::fill;
use super::split::{Dialect, are_lines};
use crate::threads::side_by_side;

/// So many bytes are looked at together: they stay in the processor's own memory.
const PIECE: usize = 256 << 10;

/// A file is parted where each part has at least so many bytes.
const LEAST: u64 = 4 << 20;

/// The rows of one contact among those of a table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many rows there are, of any contact.
    pub rows: u64,
    /// Those of the contact, with their numbers. The header is row 1, and each row's number is its line's as well.
    pub of_contact: Vec<(u64, RowId)>,
}

/// A cell that is looked for.
pub(super) struct Wanted<'a> {
    finder: Finder<'a>,
    dialect: Dialect,
    column: usize,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect, column: usize) -> Self {
        let finder = Finder::new(text.as_bytes());
        Self {
            finder,
            dialect,
            column,
        }
    }

    /// Whether the text at a place of a line is the whole cell of the column.
    fn is_at(&self, line: &[u8], at: usize) -> bool {
        let delimiter = self.dialect.delimiter;
        let end = at + self.finder.needle().len();
        let begins = at == 0 || line[at - 1] == delimiter;
        let ends = match line.get(end) {
            None | Some(b'\n' | b'\r') => true,
            Some(byte) => *byte == delimiter,
        };
        begins && ends && memchr_iter(delimiter, &line[..at]).count() == self.column
    }
}

/// Finds the rows. `None` where the file is not one of lines alone.
pub(super) fn find(file: &Arc<File>, len: u64, wanted: &Wanted<'_>) -> io::Result<Option<Found>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64;
    let Some(parts) = parts(file, len, threads.min(len / LEAST).max(1))? else {
        return Ok(None);
    };
    let found = side_by_side(&parts, |part| find_in(file, part.clone(), wanted));
    let mut all = Found::default();
    for part in found {
        let Some(part) = part? else { return Ok(None) };
        let numbered = part.of_contact.into_iter();
        all.of_contact
            .extend(numbered.map(|(number, row)| (all.rows + number, row)));
        all.rows += part.rows;
    }
    // The header is a line, and no row of a contact.
    all.rows = all.rows.saturating_sub(1);
    all.of_contact.retain(|(number, _)| *number > 1);
    Ok(Some(all))
}

/// Parts of about the same size, each of whole lines.
fn parts(file: &Arc<File>, len: u64, count: u64) -> io::Result<Option<Vec<Range<u64>>>> {
    let mut parts = Vec::new();
    let mut from = 0;
    for part in 1..=count {
        let to = match part == count {
            true => len,
            false => {
                let at = len / count * part;
                let mut piece = vec![0; PIECE];
                let filled = fill(file, at, &mut piece)?;
                let Some(line_end) = memchr(b'\n', &piece[..filled]) else {
                    return Ok(None);
                };
                at + line_end as u64 + 1
            }
        };
        parts.push(from..to);
        from = to;
    }
    Ok(Some(parts))
}

fn find_in(file: &Arc<File>, part: Range<u64>, wanted: &Wanted<'_>) -> io::Result<Option<Found>> {
    let mut found = Found::default();
    let mut piece = vec![0; PIECE];
    let mut at = part.start;
    while at < part.end {
        let rest = usize::try_from(part.end - at).unwrap_or(usize::MAX);
        let room = rest.min(PIECE);
        let filled = fill(file, at, &mut piece[..room])?;
        let is_last = filled == rest;
        let end = match memrchr(b'\n', &piece[..filled]) {
            _ if is_last => filled,
            Some(line_end) => line_end + 1,
            // It was cut short meanwhile, or has a line that is longer than a piece.
            None => return Ok(None),
        };
        let lines = &piece[..end];
        let has_blank = matches!(lines.first(), Some(b'\n' | b'\r'))
            || memmem::find(lines, b"\n\n").is_some()
            || memmem::find(lines, b"\n\r").is_some();
        if has_blank || !are_lines(lines, wanted.dialect.quoting) {
            return Ok(None);
        }
        find_lines(lines, at, wanted, &mut found);
        at += end as u64;
    }
    Ok(Some(found))
}

/// Finds the rows in whole lines that stand at a byte of the file.
fn find_lines(lines: &[u8], at: u64, wanted: &Wanted<'_>, found: &mut Found) {
    let (mut counted, mut before) = (0, found.rows);
    for place in wanted.finder.find_iter(lines) {
        let start = memrchr(b'\n', &lines[..place]).map_or(0, |end| end + 1);
        if wanted.is_at(&lines[start..], place - start) {
            before += memchr_iter(b'\n', &lines[counted..start]).count() as u64;
            counted = start;
            let row = RowId(at + start as u64);
            found.of_contact.push((before + 1, row));
        }
    }
    before += memchr_iter(b'\n', &lines[counted..]).count() as u64;
    let is_cut = lines.last().is_some_and(|byte| *byte != b'\n');
    found.rows = before + u64::from(is_cut);
}
