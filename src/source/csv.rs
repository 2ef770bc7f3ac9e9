//! The CSV format: its separators, its header and its unclosed quotes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use super::cursor::Cursor;
use super::error::{SourceProblem, quoted};
use super::{MAX_HEADER, RowId};
use crate::id::{self, IdError};

/// The separators that are tried where none is configured.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// A reader of all rows, the header among them, that leaves the checks to its caller.
pub(super) fn reader<R: Read>(from: R, delimiter: u8, buffer: usize) -> Reader<R> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(buffer)
        .from_reader(from)
}

/// What of a CSV reader's error concerns the file as a whole.
pub(super) fn unreadable(error: csv::Error) -> SourceProblem {
    match error.into_kind() {
        ErrorKind::Io(error) => SourceProblem::Unreadable(error),
        other => SourceProblem::Unreadable(io::Error::other(format!("{other:?}"))),
    }
}

/// Finds the separator and the names of the columns.
pub(super) fn header(
    file: &Arc<File>,
    delimiter: Option<u8>,
    contact: &str,
) -> Result<(u8, Vec<String>), SourceProblem> {
    let candidates = match delimiter {
        Some(given) => vec![given],
        None => SEPARATORS.to_vec(),
    };
    let mut best: Option<((bool, usize), u8, ByteRecord)> = None;
    for delimiter in candidates {
        let record = first_row(file, delimiter)?;
        let merit = (
            record.iter().any(|cell| cell == contact.as_bytes()),
            record.len(),
        );
        if best.as_ref().is_none_or(|(most, ..)| merit > *most) {
            best = Some((merit, delimiter, record));
        }
    }
    let Some((_, delimiter, record)) = best else {
        return Err(SourceProblem::Empty);
    };
    Ok((delimiter, columns(&record)?))
}

fn first_row(file: &Arc<File>, delimiter: u8) -> Result<ByteRecord, SourceProblem> {
    let mut reader = reader(
        Cursor::new(file, 0).take(MAX_HEADER + 1),
        delimiter,
        8 * 1024,
    );
    let mut record = ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(unreadable)? {
        return Err(SourceProblem::Empty);
    }
    if reader.position().byte() > MAX_HEADER {
        return Err(SourceProblem::HeaderTooLong);
    }
    Ok(record)
}

fn columns(record: &ByteRecord) -> Result<Vec<String>, SourceProblem> {
    let mut columns = Vec::with_capacity(record.len());
    let mut numbers: HashMap<&str, usize> = HashMap::with_capacity(record.len());
    for (number, cell) in (1..).zip(record) {
        let name = std::str::from_utf8(cell).map_err(|_| SourceProblem::HeaderNotUtf8(number))?;
        id::check(name).map_err(|why| SourceProblem::BadColumn {
            number,
            shown: match why {
                // That is no header, and may be something else that nobody is to see.
                IdError::Control(_) | IdError::TooLong(_) => "a text".to_owned(),
                _ => quoted(name),
            },
            why,
        })?;
        if let Some(&first) = numbers.get(name) {
            return Err(SourceProblem::DuplicateColumn {
                name: name.to_owned(),
                first,
                second: number,
            });
        }
        numbers.insert(name, number);
        columns.push(name.to_owned());
    }
    Ok(columns)
}

/// Whether the file ends inside a quoted cell, given the last row's start.
///
/// A CSV reader takes the end of the file for the end of the cell. So the last row is read once more with another row
/// put after it: where a quote is open, that row is swallowed.
pub(super) fn ends_inside_quotes(
    file: &Arc<File>,
    delimiter: u8,
    last: RowId,
) -> Result<bool, SourceProblem> {
    // Behind a line end, a byte order mark is as little taken away as where the row was read among the others.
    let tail = b"\n".chain(Cursor::new(file, last.0)).chain(&b"\n-"[..]);
    let mut reader = reader(tail, delimiter, 8 * 1024);
    let mut record = ByteRecord::new();
    let mut rows = 0;
    while reader.read_byte_record(&mut record).map_err(unreadable)? {
        rows += 1;
    }
    Ok(rows < 2)
}
