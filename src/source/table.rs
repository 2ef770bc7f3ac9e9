//! An open source: the one seam through which contacts are read.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::csv::{Csv, Lines, RowBuffer};
use super::error::{RowAt, SourceError, SourceProblem};
use super::index::RowIndex;
use super::record::{COLUMNS, RecordRow, Recorded};
use super::rows::{Row, RowId, Rows};
use super::sql::{Asked, Literal, Sql, Wanted};
use crate::config::{Limit, Notation, Place, RECORD_TABLE, Source, SourceKind, nearest, query};
use crate::number::Number;

/// A source whose file is open and whose header is read, or whose query is prepared.
#[derive(Debug)]
pub struct Table {
    name: String,
    shown: String,
    /// Where its query is written, or else where it is defined.
    place: Place,
    min_rows: Option<Limit<u64>>,
    max_age: Option<Limit<Duration>>,
    pub(super) stock: Stock,
    /// The place of the column with the contacts' ids, if it is of contacts.
    pub(super) contact: Option<usize>,
    /// How it writes its values.
    pub(super) notation: Notation,
    is_narrowed: bool,
    index: RowIndex,
}

/// Where the rows of a table are.
#[derive(Debug)]
pub(super) enum Stock {
    Csv(Box<Csv>),
    Sql(Sql),
}

impl Stock {
    fn columns(&self) -> &[String] {
        match self {
            Self::Csv(csv) => csv.columns(),
            Self::Sql(sql) => sql.columns(),
        }
    }

    /// A query is of one moment; a file may be written to while it is read.
    pub(super) fn check_unchanged(&self) -> Result<(), SourceProblem> {
        match self {
            Self::Csv(csv) => csv.check_unchanged(),
            Self::Sql(_) => Ok(()),
        }
    }
}

/// What queries over sources ask.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'i> {
    /// The sources that are open, each with its name.
    pub tables: &'i [(&'i str, &'i Table)],
    /// The record.
    pub record: Recorded<'i>,
    /// The day, such as `2026-11-23`.
    pub today: &'i str,
    /// The time, such as `2026-11-23T09:00:00Z`.
    pub now: &'i str,
}

impl Inputs<'_> {
    /// Nothing, for sources that ask no others.
    pub const NONE: Inputs<'static> = Inputs {
        tables: &[],
        record: Recorded::Empty("nobody asks it"),
        today: "",
        now: "",
    };

    fn table(&self, name: &str) -> Option<&Table> {
        let mut tables = self.tables.iter();
        tables.find_map(|(of, table)| (*of == name).then_some(*table))
    }
}

impl Table {
    /// Opens a source: reads the header of its file, or prepares its query.
    ///
    /// # Errors
    /// If there is no such file, if it cannot be read, if its header is missing or unusable, or lacks the column of the
    /// contacts; if a database cannot be reached, or does not take the query.
    pub fn open(source: &Source, inputs: &Inputs<'_>) -> Result<Self, SourceError> {
        let (shown, stock) = match &source.kind {
            SourceKind::Csv {
                path,
                shown,
                encoding,
                delimiter,
                quoting,
            } => {
                let contact = source.contact.as_deref();
                let csv = Csv::open(path, *encoding, *delimiter, *quoting, contact);
                (shown.clone(), csv.map(|csv| Stock::Csv(Box::new(csv))))
            }
            SourceKind::Database {
                at,
                shown,
                query,
                timeout,
                ..
            } => (
                shown.clone(),
                Sql::open(at, query, *timeout).map(Stock::Sql),
            ),
            SourceKind::Query {
                from,
                query,
                asks_record,
                timeout,
                ..
            } => {
                let tables = from.iter().filter_map(|input| {
                    let table = inputs.table(&input.name)?;
                    Some(Asked {
                        name: input.name.clone(),
                        columns: table.columns().to_vec(),
                    })
                });
                let tables: Vec<Asked> = tables.chain(asks_record.then(record)).collect();
                let values = [(":today", inputs.today), (":now", inputs.now)];
                let sql = Sql::over(&tables, query, &values, *timeout).map(Stock::Sql);
                ("its query".to_owned(), sql)
            }
        };
        let found = stock.and_then(|stock| {
            let contact = source.contact.as_deref();
            let contact = contact.map(|wanted| contact_column(stock.columns(), wanted));
            Ok((contact.transpose()?, stock))
        });
        let (contact, stock) = found.map_err(|problem: SourceProblem| SourceError {
            name: source.name.clone(),
            file: shown.clone(),
            at: Box::new(source.query_place().clone()),
            problem: Box::new(problem),
        })?;
        Ok(Self {
            name: source.name.clone(),
            shown,
            place: source.query_place().clone(),
            min_rows: source.min_rows.clone(),
            max_age: source.max_age.clone(),
            stock,
            contact,
            notation: source.notation.clone(),
            is_narrowed: false,
            index: RowIndex::default(),
        })
    }

    /// The source's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives a query over sources what it asks. They must have been read without an error.
    ///
    /// # Errors
    /// If one of them cannot be read again.
    pub fn fill(&self, source: &Source, inputs: &Inputs<'_>) -> Result<(), SourceError> {
        let (
            Stock::Sql(sql),
            SourceKind::Query {
                from,
                query,
                asks_record,
                ..
            },
        ) = (&self.stock, &source.kind)
        else {
            return Ok(());
        };
        // What nobody asks takes no memory. A `select` of all columns names none.
        let names = query::names(query);
        let is_read = |column: &String| {
            let is_it = |name: &String| name.eq_ignore_ascii_case(column);
            names.as_ref().is_none_or(|names| names.iter().any(is_it))
        };
        for input in from {
            let Some(table) = inputs.table(&input.name) else {
                return Err(self.error(SourceProblem::CutShort));
            };
            let asked = Asked {
                name: input.name.clone(),
                columns: table.columns().to_vec(),
            };
            let read: Vec<bool> = asked.columns.iter().map(is_read).collect();
            let mut rows = table.rows();
            let mut failed = None;
            let filled = sql.fill(&asked, |cells| match rows.read() {
                Some(Ok(row)) => {
                    let cell = |(cell, is_read): (&str, &bool)| {
                        (*is_read && !table.notation.is_absent(cell)).then(|| cell.to_owned())
                    };
                    cells.extend(row.cells.iter().zip(&read).map(cell));
                    Ok(true)
                }
                Some(Err(error)) => {
                    failed = Some(error);
                    Err(SourceProblem::CutShort)
                }
                None => Ok(false),
            });
            filled.map_err(|problem| failed.unwrap_or_else(|| self.error(problem)))?;
        }
        if *asks_record {
            let mut rows = inputs.record.rows().iter();
            let next = |cells: &mut Vec<Option<String>>| {
                let row = rows.next();
                cells.extend(row.into_iter().flat_map(RecordRow::cells));
                Ok(row.is_some())
            };
            sql.fill(&record(), next)
                .map_err(|problem| self.error(problem))?;
        }
        Ok(())
    }

    /// The condition that a database can decide on the rows that these blocks want, as it is written there; `None` where all
    /// rows are to be read.
    pub fn condition(&self, blocks: &[Vec<Wanted<'_>>]) -> Option<String> {
        match &self.stock {
            Stock::Csv(_) => None,
            Stock::Sql(sql) => sql.condition(self.contact?, blocks),
        }
    }

    /// Leaves rows to the database that do not meet such a condition. They still count.
    pub fn narrow(&mut self, condition: String) {
        if let Stock::Sql(sql) = &mut self.stock {
            sql.narrow(condition);
            self.is_narrowed = true;
        }
    }

    /// The place of the column with the contacts' ids; `None` where only `[[merged]]` reads it.
    pub fn contact(&self) -> Option<usize> {
        self.contact
    }

    /// Reads only the rows of these contacts, where its database can tell them.
    pub fn narrow_to(&mut self, contacts: &[&str]) {
        let Some(contact) = self.contact else { return };
        let texts = contacts.iter().map(|id| Some(Literal::Text(id)));
        let exact = |id: &str| Number::parse(id).filter(Number::is_exact);
        let number = |id: &&str| exact(id).map(Literal::Number);
        let lists: [Option<Vec<_>>; 2] = [texts.collect(), contacts.iter().map(number).collect()];
        let mut conditions = lists.into_iter().flatten();
        let condition =
            conditions.find_map(|list| self.condition(&[vec![Wanted::Is(contact, list)]]));
        if let Some(condition) = condition {
            self.narrow(condition);
        }
    }

    /// Whether rows were left to the database.
    pub fn is_narrowed(&self) -> bool {
        self.is_narrowed
    }

    /// Begins to read its rows, where that is not done by who asks for them.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn begin(&self) -> Result<(), SourceError> {
        match &self.stock {
            Stock::Csv(_) => Ok(()),
            Stock::Sql(sql) => sql.begin().map_err(|problem| self.error(problem)),
        }
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self.stock, Stock::Csv(_))
    }

    /// The names of its columns, in their order.
    pub fn columns(&self) -> &[String] {
        self.stock.columns()
    }

    /// All rows, from the first.
    pub fn rows(&self) -> Rows<'_> {
        Rows::new(self)
    }

    /// Reads a row again, into a buffer that may be used over and over. May be called from several threads.
    ///
    /// # Errors
    /// If the file cannot be read, or has been changed in place so that there is no such row.
    pub fn row<'r>(&self, id: RowId, buffer: &'r mut RowBuffer) -> Result<Row<'r>, SourceError> {
        let read = match &self.stock {
            Stock::Csv(csv) => csv.row(id.0, buffer),
            Stock::Sql(sql) => match sql.row(id.0, buffer) {
                true => Ok(()),
                false => Err(SourceProblem::Changed),
            },
        };
        read.map_err(|problem| self.error(problem))?;
        let cells = buffer.cells();
        Ok(Row {
            contact: self
                .contact
                .and_then(|contact| cells.get(contact))
                .unwrap_or_default(),
            cells,
            id,
        })
    }

    /// Keeps where the rows of each contact are, after all were read.
    pub fn set_index(&mut self, index: RowIndex) {
        self.index = index;
    }

    /// How many rows it has, without its header, once the index is set.
    pub fn len(&self) -> u64 {
        match &self.stock {
            Stock::Csv(_) => self.index.len(),
            Stock::Sql(sql) => sql.total(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows, with their numbers (the header is row 1), that may be of one of these contacts: all that are, and now and then
    /// another one. It goes through the whole index once, and through all rows where these were counted alone.
    pub fn find<'a>(&self, contacts: impl IntoIterator<Item = &'a str>) -> Vec<(u64, RowId)> {
        if !self.index.is_count() {
            return self.index.find(contacts);
        }
        let contacts: HashSet<&str> = contacts.into_iter().collect();
        self.numbered(|row| contacts.contains(row.contact))
    }

    /// Where a row is, in words.
    pub fn place(&self, id: RowId) -> RowAt {
        let number = match self.index.is_count() {
            true => (self.numbered(|row| row.id == id).first()).map(|(number, _)| *number),
            false => self.index.number(id),
        };
        self.at(number.unwrap_or_default(), id, &mut Lines::default())
    }

    /// Reads all rows again, for those that are wanted, with their numbers.
    fn numbered(&self, wanted: impl Fn(&Row<'_>) -> bool) -> Vec<(u64, RowId)> {
        let (mut rows, mut found) = (self.rows(), Vec::new());
        // The header is row 1. What cannot be read was reported when the rows were counted.
        let mut number = 1;
        while let Some(row) = rows.read() {
            let Ok(row) = row else { continue };
            number += 1;
            if wanted(&row) {
                found.push((number, row.id));
            }
        }
        found
    }

    /// Where a row with this number is, in words. Rows that are asked for in order, with the same lines, cost one reading of
    /// the file together.
    pub fn at(&self, row: u64, id: RowId, lines: &mut Lines) -> RowAt {
        match &self.stock {
            Stock::Csv(csv) => RowAt {
                row,
                line: lines.of(&csv.file, id.0),
            },
            // A query has no header and no lines.
            Stock::Sql(_) => RowAt {
                row: id.0 + 1,
                line: id.0 + 1,
            },
        }
    }

    /// When the file was last written, where the system knows.
    pub fn written(&self) -> Option<Timestamp> {
        match &self.stock {
            Stock::Csv(csv) => Timestamp::try_from(csv.written()?).ok(),
            Stock::Sql(_) => None,
        }
    }

    /// Whether the file ended with a line end when it was opened. One that did and does not is cut short.
    pub fn ends_with_line_end(&self) -> bool {
        match &self.stock {
            Stock::Csv(csv) => csv.ends_with_line_end,
            Stock::Sql(_) => true,
        }
    }

    /// Checks the file's age against `max_age`.
    ///
    /// # Errors
    /// If it was last written longer ago than that.
    pub fn check_age(&self, now: Timestamp) -> Result<(), SourceError> {
        let Some(Limit {
            value: max_age,
            place,
        }) = &self.max_age
        else {
            return Ok(());
        };
        let written = self.written().unwrap_or(Timestamp::MIN);
        let age = now.duration_since(written);
        if age <= SignedDuration::try_from(*max_age).unwrap_or(SignedDuration::MAX) {
            return Ok(());
        }
        Err(self.error(SourceProblem::TooOld {
            written: Timestamp::from_second(written.as_second()).unwrap_or(written),
            age: in_words(age.unsigned_abs()),
            max_age: in_words(*max_age),
            place: place.clone(),
        }))
    }

    pub(super) fn check_rows(&self, found: u64) -> Result<(), SourceProblem> {
        match &self.min_rows {
            Some(Limit { value, place }) if found < *value => Err(SourceProblem::TooFewRows {
                found,
                wanted: *value,
                place: place.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Checks that the file was not written to since it was opened, as far as its length and time tell.
    ///
    /// # Errors
    /// If it was.
    pub fn check_unchanged(&self) -> Result<(), SourceError> {
        let checked = self.stock.check_unchanged();
        checked.map_err(|problem| self.error(problem))
    }

    pub(super) fn error(&self, problem: SourceProblem) -> SourceError {
        SourceError {
            name: self.name.clone(),
            file: self.shown.clone(),
            at: Box::new(self.place.clone()),
            problem: Box::new(problem),
        }
    }
}

impl fmt::Display for Table {
    /// As the errors begin: `source crm: exports/crm.csv`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {}: {}", self.name, self.shown)
    }
}

/// The record as a table that is asked.
fn record() -> Asked {
    Asked {
        name: RECORD_TABLE.to_owned(),
        columns: COLUMNS.map(str::to_owned).to_vec(),
    }
}

/// The place of the column with the contacts' ids.
fn contact_column(columns: &[String], wanted: &str) -> Result<usize, SourceProblem> {
    let mut found = (0..columns.len()).filter(|column| columns[*column] == wanted);
    match (found.next(), found.next()) {
        (Some(contact), None) => Ok(contact),
        (Some(first), Some(second)) => Err(SourceProblem::TwoContactColumns {
            name: wanted.to_owned(),
            first: first + 1,
            second: second + 1,
        }),
        (None, _) => Err(SourceProblem::NoContactColumn {
            column: wanted.to_owned(),
            nearest: nearest(columns.iter().map(String::as_str), wanted).map(str::to_owned),
            separator: separator(columns, wanted),
        }),
    }
}

/// What stands between the columns of a header that was taken for one column.
fn separator(columns: &[String], wanted: &str) -> Option<char> {
    let [all] = columns else { return None };
    let is_other = |c: &char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"\" _-".contains(*c);
    let mut separators = all.chars().filter(is_other);
    separators.find(|separator| {
        all.split(*separator)
            .any(|name| name.trim_matches('"') == wanted)
    })
}

/// A span of time as people say it: `3 days 4 hours`.
pub(super) fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts = match seconds {
        0..60 => vec![(seconds, "second")],
        60..3600 => vec![(seconds / 60, "minute"), (seconds % 60, "second")],
        3600..172_800 => vec![(seconds / 3600, "hour"), (seconds / 60 % 60, "minute")],
        _ => vec![(seconds / 86_400, "day"), (seconds / 3600 % 24, "hour")],
    };
    let words: Vec<String> = parts
        .iter()
        .enumerate()
        .filter(|(place, (count, _))| *place == 0 || *count > 0)
        .map(|(_, (count, unit))| format!("{count} {unit}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    words.join(" ")
}
