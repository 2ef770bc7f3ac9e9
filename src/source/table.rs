//! An opened source.

use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::RowId;
use super::cursor::fill;
use super::error::{RowAt, SourceError, SourceProblem};
use super::header::{Header, header};
use super::lines::Lines;
use super::rows::{Row, Rows};
use super::split::RowBuffer;
use crate::config::{Limit, Source, SourceKind, nearest};

/// A source whose file is open and whose header is read.
#[derive(Debug)]
pub struct Table {
    name: String,
    shown: String,
    min_rows: Option<Limit<u64>>,
    max_age: Option<Limit<Duration>>,
    file: Arc<File>,
    len: u64,
    modified: Option<SystemTime>,
    header: Header,
    contact: usize,
    ends_with_line_end: bool,
}

impl Table {
    /// Opens a source's file and reads its header.
    ///
    /// # Errors
    /// If there is no such file, if it cannot be read, if its header is missing or unusable, or lacks the column of the
    /// contacts.
    pub fn open(source: &Source) -> Result<Self, SourceError> {
        let SourceKind::Csv {
            path,
            shown,
            delimiter,
            quoting,
        } = &source.kind;
        let error = |problem| SourceError {
            name: source.name.clone(),
            file: shown.clone(),
            problem: Box::new(problem),
        };
        let open = || -> Result<Self, SourceProblem> {
            // Asked first: opening a pipe would wait for its other end.
            if !std::fs::metadata(path)?.is_file() {
                return Err(SourceProblem::NotAFile);
            }
            let file = Arc::new(File::open(path)?);
            let metadata = file.metadata()?;
            let header = header(&file, *delimiter, *quoting, &source.contact)?;
            let contact = contact_column(&header.columns, &source.contact)?;
            let mut last = [0];
            let end = metadata.len().saturating_sub(1);
            let is_there = fill(&file, end, &mut last)? == 1;
            let ends_with_line_end = is_there && matches!(last, [b'\n' | b'\r']);
            Ok(Self {
                name: source.name.clone(),
                shown: shown.clone(),
                min_rows: source.min_rows.clone(),
                max_age: source.max_age.clone(),
                len: metadata.len(),
                modified: metadata.modified().ok(),
                file,
                header,
                contact,
                ends_with_line_end,
            })
        };
        open().map_err(error)
    }

    /// The names of its columns, in their order.
    pub fn columns(&self) -> &[String] {
        &self.header.columns
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
        let found = buffer.read(&self.file, id.0, self.header.dialect);
        let found = found.map_err(|error| self.error(error.into()))?;
        let cells = buffer.cells();
        if !found || cells.len() != self.columns().len() {
            return Err(self.error(SourceProblem::Changed));
        }
        Ok(Row {
            contact: cells.get(self.contact).unwrap_or_default(),
            cells,
            id,
        })
    }

    /// Where a row is, in words, given its number.
    pub fn at(&self, number: u64, id: RowId) -> RowAt {
        RowAt {
            row: number,
            line: Lines::new().of(&self.file, id),
        }
    }

    /// Where rows are, in words, given their numbers in ascending order. It costs one reading of the file up to the last.
    pub fn places(&self, rows: Vec<(u64, RowId)>) -> Vec<(RowAt, RowId)> {
        let mut lines = Lines::new();
        let places = rows.into_iter().map(|(row, id)| {
            let line = lines.of(&self.file, id);
            (RowAt { row, line }, id)
        });
        places.collect()
    }

    /// When the file was last written, where the system knows.
    pub fn written(&self) -> Option<Timestamp> {
        self.modified
            .and_then(|time| Timestamp::try_from(time).ok())
    }

    /// Whether the file ended with a line end when it was opened. One that did and does not is cut short.
    pub fn ends_with_line_end(&self) -> bool {
        self.ends_with_line_end
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
        self.unchanged().map_err(|problem| self.error(problem))
    }

    pub(super) fn unchanged(&self) -> Result<(), SourceProblem> {
        let metadata = self.file.metadata()?;
        if metadata.len() == self.len && metadata.modified().ok() == self.modified {
            Ok(())
        } else {
            Err(SourceProblem::Changed)
        }
    }

    pub(super) fn error(&self, problem: SourceProblem) -> SourceError {
        SourceError {
            name: self.name.clone(),
            file: self.shown.clone(),
            problem: Box::new(problem),
        }
    }

    pub(super) fn contact(&self) -> usize {
        self.contact
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }
}

impl fmt::Display for Table {
    /// As the errors begin: `source crm: exports/crm.csv`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {}: {}", self.name, self.shown)
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
        }),
    }
}

/// A span of time as people say it: `3 days 4 hours`.
fn in_words(span: Duration) -> String {
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
