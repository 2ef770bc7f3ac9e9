//! The header of a CSV file: its separator and the names of its columns.

use std::io;

use super::split::{Dialect, Fault, FaultKind, Splitter};
use super::{Bytes, Lines};
use crate::config::Quoting;
use crate::id::{self, IdError};
use crate::source::{MAX_HEADER, RowAt, SourceProblem};
use crate::text::quoted;

/// The separators that are tried where none is configured.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// The header is looked for in so many rows where it is not the first, to say where it is.
const LOOKED_AT: usize = 20;

/// What the first row says.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) dialect: Dialect,
    pub(super) columns: Vec<String>,
    /// Where in the file it ends.
    pub(super) end: u64,
}

/// Finds the separator and the names of the columns.
pub(super) fn header(
    file: &Bytes,
    delimiter: Option<u8>,
    quoting: Quoting,
    contact: Option<&str>,
) -> Result<Header, SourceProblem> {
    let (said, start) = separator_line(file)?.unzip();
    let start = start.unwrap_or(file.start());
    let candidates = match delimiter.or(said) {
        Some(given) => vec![given],
        None => SEPARATORS.to_vec(),
    };
    let mut best: Option<((u8, usize), Result<Splitter, Fault>)> = None;
    for delimiter in candidates {
        let dialect = Dialect { delimiter, quoting };
        let mut splitter = Splitter::new(file, start, dialect, MAX_HEADER);
        let Some(found) = splitter.advance()? else {
            return Err(SourceProblem::Empty);
        };
        let merit = match &found {
            Ok(_) => {
                let cells = splitter.cells();
                let rank = match cells.len() {
                    _ if cells.iter().any(|cell| Some(cell) == contact) => 3,
                    1 => 0,
                    _ => 2,
                };
                (rank, cells.len())
            }
            // Under a wrong separator, there may well be something behind a quote.
            Err(fault) => (1, fault.column),
        };
        if best.as_ref().is_none_or(|(most, ..)| merit > *most) {
            best = Some((merit, found.map(|_| splitter)));
        }
    }
    let Some((_, found)) = best else {
        return Err(SourceProblem::Empty);
    };
    let header = found.map_err(|fault| match fault.what {
        FaultKind::TooLong => SourceProblem::HeaderTooLong,
        _ => {
            let line = Lines::default().of(file, fault.at);
            fault.problem(RowAt { row: 1, line }, file, &[])
        }
    })?;
    let cells = header.cells();
    if cells.iter().all(|cell| Some(cell) != contact) {
        let first = cells.get(0).unwrap_or_default();
        let below = match contact {
            Some(contact) => below(file, header.position(), header.dialect(), contact)?,
            None => None,
        };
        if let Some(begins) = foreign(first).or(below.map(|_| "something else")) {
            let shown: Vec<String> = cells.iter().take(3).map(quoted).collect();
            let more = if cells.len() > 3 { ", …" } else { "" };
            return Err(SourceProblem::NotAHeader {
                begins,
                found: shown.join(", ") + more,
                column: contact.unwrap_or_default().to_owned(),
                below,
            });
        }
    }
    let columns = (1..).zip(cells.iter()).map(|(number, name)| {
        let bad = |why| SourceProblem::BadColumn {
            number,
            shown: match why {
                // That is no header, and may be something else that nobody is to see.
                IdError::Control(_) | IdError::TooLong(_) => "a text".to_owned(),
                _ => quoted(name),
            },
            why,
        };
        id::check(name).map_err(bad)?;
        Ok(name.to_owned())
    });
    Ok(Header {
        dialect: header.dialect(),
        columns: columns.collect::<Result<_, SourceProblem>>()?,
        end: header.position(),
    })
}

/// The separator that a first line such as `sep=;` says, as Excel writes and reads it, and where the line behind it begins.
fn separator_line(file: &Bytes) -> io::Result<Option<(u8, u64)>> {
    let mut start = [0; 16];
    let filled = file.fill(file.start(), &mut start)?;
    let line = &start[..filled];
    let mut rest = line.strip_prefix(b"\"").unwrap_or(line);
    let is_quoted = rest.len() < line.len();
    match rest.split_at_checked(4) {
        Some((name, behind)) if name.eq_ignore_ascii_case(b"sep=") => rest = behind,
        _ => return Ok(None),
    }
    let [separator, rest @ ..] = rest else {
        return Ok(None);
    };
    let rest = match is_quoted {
        true => rest.strip_prefix(b"\"").unwrap_or(rest),
        false => rest,
    };
    let end = match rest {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        [] => 0,
        _ => return Ok(None),
    };
    let is_one = separator.is_ascii() && !separator.is_ascii_alphanumeric() && *separator != b'"';
    let len = line.len() - rest.len() + end;
    Ok(is_one.then_some((*separator, file.start() + len as u64)))
}

/// What a file begins with that is no table.
fn foreign(first: &str) -> Option<&'static str> {
    let first = first.trim_start();
    let begins = |with: &[&str]| with.iter().any(|with| first.starts_with(with));
    if begins(&["<"]) {
        Some("HTML or XML")
    } else if begins(&["{", "["]) {
        Some("JSON")
    } else if begins(&["#", "--", "//", "/*"]) {
        Some("a comment")
    } else {
        None
    }
}

/// The line on which the header is, where it is not the first row but one of the next.
fn below(file: &Bytes, start: u64, dialect: Dialect, contact: &str) -> io::Result<Option<u64>> {
    let separators = SEPARATORS.into_iter().filter(|of| *of != dialect.delimiter);
    for delimiter in [dialect.delimiter].into_iter().chain(separators) {
        let dialect = Dialect {
            delimiter,
            ..dialect
        };
        let mut splitter = Splitter::new(file, start, dialect, MAX_HEADER);
        for _ in 0..LOOKED_AT {
            let Some(Ok(at)) = splitter.advance()? else {
                break;
            };
            if splitter.cells().iter().any(|cell| cell == contact) {
                return Ok(Some(Lines::default().of(file, at)));
            }
        }
    }
    Ok(None)
}
