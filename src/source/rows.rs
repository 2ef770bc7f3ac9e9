//! The rows of a table, one after the other.

use super::cells::RowCells;
use super::csv::{Fault, Lines, Splitter};
use super::error::{CellAt, RowAt, SourceError, SourceProblem};
use super::table::Table;
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

/// By which a table finds a row again: of two rows, the later has the greater one. What the number means is up to the kind
/// of table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub(crate) u64);

/// All rows of a table, in order. Made by [`Table::rows`].
#[derive(Debug)]
pub struct Rows<'t> {
    table: &'t Table,
    splitter: Splitter<'t>,
    lines: Lines,
    id: RowId,
    number: u64,
    ended: bool,
}

impl<'t> Rows<'t> {
    pub(super) fn new(table: &'t Table) -> Self {
        Self {
            table,
            splitter: table.csv.rows(),
            lines: Lines::default(),
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
                    self.table.csv.check_unchanged()?;
                    self.table.check_rows(self.number - 1)
                });
                return checked.err().map(|problem| Err(self.table.error(problem)));
            }
        };
        self.number += 1;
        self.id = RowId(*found.as_ref().unwrap_or_else(|fault| &fault.at));
        if let Err(fault) = found {
            let problem = self.fault(fault);
            return Some(Err(self.table.error(problem)));
        }
        let cells = self.splitter.cells();
        let contact = cells.get(self.table.contact).unwrap_or_default();
        let at = || self.table.at(self.number, self.id, &mut self.lines);
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
        self.table.at(self.number, self.id, &mut self.lines)
    }

    fn fault(&mut self, fault: Fault) -> SourceProblem {
        let row = self.at();
        if !fault.what.is_of_its_row_alone() {
            self.ended = true;
            // Where a file is written over, anything may be found in it.
            if let Err(problem) = self.table.csv.check_unchanged() {
                return problem;
            }
        }
        fault.problem(row, &self.table.csv.file, self.table.columns())
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
    if cells.len() == columns.len() + 1 && cells.get(columns.len()) == Some("") {
        return Err(SourceProblem::OneMore(at()));
    }
    if cells.len() != columns.len() {
        return Err(SourceProblem::Ragged {
            found: cells.len(),
            wanted: columns.len(),
            at: at(),
        });
    }
    let column = &columns[table.contact];
    let is_name = |(cell, column): (&str, &String)| same_but_for_case(cell, column);
    if same_but_for_case(contact, column) && cells.iter().zip(columns).all(is_name) {
        return Err(SourceProblem::HeaderAgain(at()));
    }
    let is_absent = || table.null.iter().any(|null| null == contact);
    let checked = match id::check(contact) {
        Ok(()) if is_absent() => Err(IdError::Empty),
        Err(IdError::Padded) if contact.trim().is_empty() => Err(IdError::Empty),
        checked => checked,
    };
    checked.map_err(|why| {
        let at = CellAt {
            row: at(),
            column: column.clone(),
        };
        let shown = quoted(contact);
        match why {
            IdError::Empty => SourceProblem::NoContact(at),
            why => SourceProblem::BadContact { at, shown, why },
        }
    })
}

fn same_but_for_case(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
}
