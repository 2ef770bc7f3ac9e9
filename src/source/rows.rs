//! Rows, as a stream and one by one.

use std::fs::File;
use std::io::{self, SeekFrom};
use std::sync::Arc;

use csv::{ByteRecord, ErrorKind, Position, Reader, StringRecord};

use super::cells::RowCells;
use super::csv as format;
use super::cursor::Cursor;
use super::error::{RowAt, SourceError, SourceProblem, quoted};
use super::lines::Lines;
use super::plain::{PlainLine, PlainLines};
use super::{MAX_ROW, RowId, Table};
use crate::id::{self, IdError};

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
    /// The lines before the first that takes a CSV reader.
    plain: Option<PlainLines>,
    reader: Reader<Cursor>,
    record: StringRecord,
    lines: Lines,
    id: RowId,
    number: u64,
    ended: bool,
}

impl<'t> Rows<'t> {
    pub(super) fn new(table: &'t Table) -> Result<Self, SourceError> {
        let mut reader =
            format::reader(Cursor::new(table.file(), 0), table.delimiter(), 128 * 1024);
        let mut record = StringRecord::new();
        reader
            .read_record(&mut record)
            .map_err(|error| table.error(format::unreadable(error)))?;
        let after_header = reader.position().byte();
        let plain = PlainLines::after(table.file(), after_header, table.delimiter());
        let plain = plain.map_err(|error| table.error(error.into()))?;
        Ok(Self {
            table,
            plain: Some(plain),
            reader,
            record,
            lines: Lines::new(),
            id: RowId(0),
            number: 1,
            ended: false,
        })
    }

    /// The same, read by the CSV reader from the first row on.
    #[cfg(test)]
    pub(super) fn by_csv_alone(table: &'t Table) -> Result<Self, SourceError> {
        Ok(Self {
            plain: None,
            ..Self::new(table)?
        })
    }

    /// The next row, or what is wrong with it, or with the whole table; `None` after the last.
    ///
    /// Reading can go on after an error, to find the others. A table is good only if no error came at all: that it is
    /// cut short, or has too few rows, shows at its end.
    pub fn read(&mut self) -> Option<Result<Row<'_>, SourceError>> {
        if self.ended {
            return None;
        }
        let (line, len) = match self.next_plain() {
            Ok(Some(line)) => {
                self.id = RowId(line.at);
                let len = line.len;
                (Some(line), len)
            }
            Ok(None) => {
                let start = self.reader.position().byte();
                match self.reader.read_record(&mut self.record) {
                    Ok(true) => self.id = RowId(start),
                    Ok(false) => {
                        self.ended = true;
                        return self.check_end().err().map(|p| Err(self.table.error(p)));
                    }
                    Err(error) => return Some(Err(self.fault(RowId(start), error))),
                }
                (None, self.reader.position().byte() - start)
            }
            Err(problem) => {
                self.ended = true;
                return Some(Err(self.table.error(problem)));
            }
        };
        self.number += 1;
        let cells = match (&line, &self.plain) {
            (Some(line), Some(plain)) => plain.cells(line),
            _ => RowCells::Read(&self.record),
        };
        let contact = cells.get(self.table.contact()).unwrap_or_default();
        let at = || RowAt {
            row: self.number,
            line: self.lines.of(self.table.file(), self.id),
        };
        if let Err(problem) = check(self.table, cells, contact, len, at) {
            return Some(Err(self.table.error(problem)));
        }
        Some(Ok(Row {
            contact,
            cells,
            id: self.id,
        }))
    }

    /// The next row, where it is a plain line. From the first on that is not, the CSV reader goes on.
    fn next_plain(&mut self) -> Result<Option<PlainLine>, SourceProblem> {
        let Some(plain) = &mut self.plain else {
            return Ok(None);
        };
        match plain.next()? {
            Ok(line) => Ok(Some(line)),
            Err(at) => {
                self.plain = None;
                // From the end of the line before on: where it begins, a CSV reader takes a byte order mark away. There is no
                // line before where the file was emptied meanwhile.
                seek(&mut self.reader, at.saturating_sub(1)).map_err(format::unreadable)?;
                Ok(None)
            }
        }
    }

    /// Where the row read last is.
    pub fn at(&mut self) -> RowAt {
        RowAt {
            row: self.number,
            line: self.lines.of(self.table.file(), self.id),
        }
    }

    fn check_end(&self) -> Result<(), SourceProblem> {
        self.table.unchanged()?;
        if format::ends_inside_quotes(self.table.file(), self.table.delimiter(), self.id)? {
            return Err(SourceProblem::UnclosedQuote(RowAt {
                row: self.number,
                line: Lines::new().of(self.table.file(), self.id),
            }));
        }
        self.table.check_rows(self.number - 1)
    }

    fn fault(&mut self, id: RowId, error: csv::Error) -> SourceError {
        let problem = match error.kind() {
            ErrorKind::Utf8 { err, .. } => {
                self.id = id;
                self.number += 1;
                let column = match self.table.columns().get(err.field()) {
                    Some(name) => name.clone(),
                    None => format!("number {}", err.field() + 1),
                };
                let at = self.at();
                SourceProblem::NotUtf8 { at, column }
            }
            _ => {
                self.ended = true;
                format::unreadable(error)
            }
        };
        self.table.error(problem)
    }
}

/// Checks a row; `len` is how many bytes it has.
fn check(
    table: &Table,
    cells: RowCells<'_>,
    contact: &str,
    len: u64,
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
    if len > MAX_ROW {
        return Err(SourceProblem::RowTooLong(at()));
    }
    let Err(why) = id::check(contact) else {
        return Ok(());
    };
    let column = columns[table.contact()].clone();
    let at = at();
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

/// A reader of single rows, for [`Table::row`].
pub(super) fn single(file: &Arc<File>, delimiter: u8) -> Reader<Cursor> {
    let mut reader = format::reader(Cursor::new(file, 0), delimiter, 2 * 1024);
    // Seeking would else read the header first.
    reader.set_byte_headers(ByteRecord::new());
    reader
}

/// Lets a reader go on at a byte of the file.
fn seek(reader: &mut Reader<Cursor>, at: u64) -> csv::Result<()> {
    let mut position = Position::new();
    position.set_byte(at);
    reader.seek_raw(SeekFrom::Start(at), position)
}

/// Reads the row at a byte of the file; whether there is one.
pub(super) fn read_at(
    reader: &mut Reader<Cursor>,
    id: RowId,
    record: &mut StringRecord,
) -> Result<bool, SourceProblem> {
    let read = seek(reader, id.0).and_then(|()| reader.read_record(record));
    match read {
        Err(error) if matches!(error.kind(), ErrorKind::Io(_)) => Err(format::unreadable(error)),
        read => Ok(read.unwrap_or(false)),
    }
}

impl From<io::Error> for SourceProblem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(error),
        }
    }
}
