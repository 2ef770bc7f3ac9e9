//! The header of a CSV file: its separator and the names of its columns.

use std::fs::File;

use super::split::{Dialect, Fault, FaultKind, Splitter};
use super::{Lines, fill};
use crate::config::Quoting;
use crate::id::{self, IdError};
use crate::source::{MAX_HEADER, RowAt, SourceProblem};
use crate::text::quoted;

/// The separators that are tried where none is configured.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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
    file: &File,
    delimiter: Option<u8>,
    quoting: Quoting,
    contact: &str,
) -> Result<Header, SourceProblem> {
    let candidates = match delimiter {
        Some(given) => vec![given],
        None => SEPARATORS.to_vec(),
    };
    let mut mark = [0; BYTE_ORDER_MARK.len()];
    let filled = fill(file, 0, &mut mark)?;
    let start = match &mark[..filled] == BYTE_ORDER_MARK {
        true => filled as u64,
        false => 0,
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
                    _ if cells.iter().any(|cell| cell == contact) => 3,
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
