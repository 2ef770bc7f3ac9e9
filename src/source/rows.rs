//! The rows of a table, one after the other.

use std::io;

use super::cells::RowCells;
use super::error::{RowAt, SourceError, SourceProblem};
use super::lines::Lines;
use super::split::{Fault, Splitter};
use super::{MAX_ROW, RowId, Table};
use crate::id::{self, IdError};
use crate::text::quoted;

/// A row: as many cells as the table has columns, all UTF-8, and a contact's id among them.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its cells, in the order of the columns.
    pub cells: RowCells<'a>,
    /// The contact it is about; follows the rules for ids.
    pub contact: &'a str,
    /// By which it can be read again.
    pub id: RowId,
}

/// All rows of a table, in order. Made by [`Table::rows`].
#[derive(Debug)]
pub struct Rows<'t> {
    table: &'t Table,
    splitter: Splitter,
    lines: Lines,
    id: RowId,
    number: u64,
    ended: bool,
}

impl<'t> Rows<'t> {
    pub(super) fn new(table: &'t Table) -> Self {
        let (file, header) = (table.file(), table.header());
        Self {
            table,
            splitter: Splitter::new(file, header.end, header.dialect, MAX_ROW),
            lines: Lines::new(),
            id: RowId(0),
            number: 1,
            ended: false,
        }
    }

    /// The next row, or what is wrong with it, or with the whole table; `None` after the last.
    ///
    /// Reading can go on after an error, to find the others. A table is good only if no error came at all: that it is
    /// cut short, or has too few rows, shows at its end.
    pub fn read(&mut self) -> Option<Result<Row<'_>, SourceError>> {
        if self.ended {
            return None;
        }
        let found = match self.splitter.advance() {
            Ok(Some(found)) => found,
            end => {
                self.ended = true;
                let checked = end.map_err(SourceProblem::from).and_then(|_| {
                    self.table.unchanged()?;
                    self.table.check_rows(self.number - 1)
                });
                return checked.err().map(|problem| Err(self.table.error(problem)));
            }
        };
        self.number += 1;
        self.id = RowId(match found {
            Ok(at) => at,
            Err(fault) => fault.at,
        });
        if let Err(fault) = found {
            let problem = self.fault(fault);
            return Some(Err(self.table.error(problem)));
        }
        let cells = self.splitter.cells();
        let contact = cells.get(self.table.contact()).unwrap_or_default();
        let at = || RowAt {
            row: self.number,
            line: self.lines.of(self.table.file(), self.id),
        };
        if let Err(problem) = check(self.table, cells, contact, at) {
            return Some(Err(self.table.error(problem)));
        }
        Some(Ok(Row {
            contact,
            cells,
            id: self.id,
        }))
    }

    /// Where the row read last is.
    pub fn at(&mut self) -> RowAt {
        RowAt {
            row: self.number,
            line: self.lines.of(self.table.file(), self.id),
        }
    }

    fn fault(&mut self, fault: Fault) -> SourceProblem {
        let at = self.at();
        if !fault.what.is_of_its_row_alone() {
            self.ended = true;
            // Where a file is written over, anything may be found in it.
            if let Err(problem) = self.table.unchanged() {
                return problem;
            }
        }
        SourceProblem::of_fault(fault, at, self.table.file(), self.table.columns())
    }
}

/// Checks a row.
fn check(
    table: &Table,
    cells: RowCells<'_>,
    contact: &str,
    at: impl FnOnce() -> RowAt,
) -> Result<(), SourceProblem> {
    let columns = table.columns();
    if cells.len() != columns.len() {
        return Err(SourceProblem::Ragged {
            found: cells.len(),
            wanted: columns.len(),
            at: at(),
        });
    }
    let column = &columns[table.contact()];
    let is_name = |(cell, column): (&str, &String)| same_but_for_case(cell, column);
    if same_but_for_case(contact, column) && cells.iter().zip(columns).all(is_name) {
        return Err(SourceProblem::HeaderAgain(at()));
    }
    let Err(why) = id::check(contact) else {
        return Ok(());
    };
    let (at, column) = (at(), column.clone());
    Err(match why {
        IdError::Empty => SourceProblem::NoContact { at, column },
        why => SourceProblem::BadContact {
            at,
            column,
            shown: quoted(contact),
            why,
        },
    })
}

fn same_but_for_case(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
}

impl From<io::Error> for SourceProblem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(error),
        }
    }
}
