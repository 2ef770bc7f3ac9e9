//! The rows of a table, one after the other.

use super::cells::RowCells;
use super::csv::{self, Lines, Splitter};
use super::error::{CellAt, RowAt, SourceError, SourceProblem};
use super::sql;
use super::table::{Stock, Table};
use crate::id::{self, IdError};
use crate::text::quoted;

/// A row: as many cells as the table has columns, all UTF-8, and a contact's id among them.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its cells, in the order of the columns.
    pub cells: RowCells<'a>,
    /// The contact it is about; follows the rules for ids. Empty where the table is not of contacts.
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
    of: Of<'t>,
    lines: Lines,
    id: RowId,
    number: u64,
    ended: bool,
}

/// Where rows come from.
#[derive(Debug)]
enum Of<'t> {
    Csv(Splitter<'t>),
    Sql(sql::Reader<'t>),
}

/// What is wrong with a row, wherever it comes from.
enum Fault {
    Csv(csv::Fault),
    Sql(sql::Fault),
}

impl Of<'_> {
    /// Goes to the next row, and says where it is; `None` behind the last.
    fn advance(&mut self) -> Result<Option<(u64, Option<Fault>)>, SourceProblem> {
        Ok(match self {
            Self::Csv(splitter) => match splitter.advance()? {
                None => None,
                Some(Ok(at)) => Some((at, None)),
                Some(Err(fault)) => Some((fault.at, Some(Fault::Csv(fault)))),
            },
            Self::Sql(reader) => {
                let found = reader.advance()?;
                found.map(|(number, fault)| (number, fault.map(Fault::Sql)))
            }
        })
    }

    fn cells(&self) -> RowCells<'_> {
        match self {
            Self::Csv(splitter) => splitter.cells(),
            Self::Sql(reader) => reader.cells(),
        }
    }
}

impl<'t> Rows<'t> {
    pub(super) fn new(table: &'t Table) -> Self {
        Self {
            table,
            of: match &table.stock {
                Stock::Csv(csv) => Of::Csv(csv.rows()),
                Stock::Sql(sql) => Of::Sql(sql.rows()),
            },
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
        let (id, fault) = match self.of.advance() {
            Ok(Some(found)) => found,
            end => {
                self.ended = true;
                let checked = end.and_then(|_| {
                    self.table.stock.check_unchanged()?;
                    self.table.check_rows(match &self.of {
                        Of::Csv(_) => self.number - 1,
                        Of::Sql(reader) => reader.total(),
                    })
                });
                return checked.err().map(|problem| Err(self.table.error(problem)));
            }
        };
        self.number += 1;
        self.id = RowId(id);
        if let Some(fault) = fault {
            let problem = self.fault(fault);
            return Some(Err(self.table.error(problem)));
        }
        let cells = self.of.cells();
        let contact = self.table.contact.and_then(|contact| cells.get(contact));
        let contact = contact.unwrap_or_default();
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
        let cell = |place: usize| CellAt {
            row,
            column: self.table.columns()[place].clone(),
        };
        match (fault, &self.table.stock) {
            (Fault::Csv(fault), Stock::Csv(csv)) => {
                if !fault.what.is_of_its_row_alone() {
                    self.ended = true;
                    // Where a file is written over, anything may be found in it.
                    if let Err(problem) = csv.check_unchanged() {
                        return problem;
                    }
                }
                fault.problem(row, &csv.file, self.table.columns())
            }
            (Fault::Sql(sql::Fault::Nul(place)), _) => SourceProblem::Nul(cell(place)),
            (Fault::Sql(sql::Fault::NotUtf8(place)), _) => SourceProblem::BadBytes(cell(place)),
            _ => SourceProblem::RowTooLong(row),
        }
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
    let column = table.contact.map(|contact| &columns[contact]);
    let is_name = |(cell, column): (&str, &String)| same_but_for_case(cell, column);
    if table.is_file()
        && column.is_none_or(|column| same_but_for_case(contact, column))
        && cells.iter().zip(columns).all(is_name)
    {
        return Err(SourceProblem::HeaderAgain(at()));
    }
    let Some(column) = column else { return Ok(()) };
    let is_absent = || table.notation.is_null(contact);
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
