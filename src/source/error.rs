//! What can be wrong with a source.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hash;
use std::io;
use std::mem::discriminant;
use std::time::Duration;

use crate::config::Place;
use crate::config::query::QueryError;
use crate::id::IdError;

/// A source that cannot be used, or a row of it.
#[derive(Debug, thiserror::Error)]
#[error("source {name}: {file} {problem}")]
pub struct SourceError {
    /// The source's name.
    pub name: String,
    /// Its file, as the configuration writes it.
    pub file: String,
    /// Where its query is written, or else where it is defined.
    pub(super) at: Box<Place>,
    /// What is wrong; reads on after the file's name.
    pub problem: Box<SourceProblem>,
}

impl SourceError {
    /// Where the limit is set that it is beyond, or the query whose fault it is, if it is either.
    pub fn place(&self) -> Option<&Place> {
        match &*self.problem {
            SourceProblem::TooFewRows { place, .. } | SourceProblem::TooOld { place, .. } => {
                place.as_ref()
            }
            problem => problem.is_of_query().then_some(&self.at),
        }
    }

    /// What to do next.
    pub fn help(&self) -> Cow<'static, str> {
        self.problem.help()
    }
}

/// What is wrong with a source. Each reads on after the file's name.
#[derive(Debug, thiserror::Error)]
pub enum SourceProblem {
    /// There is no such file.
    #[error("does not exist")]
    Missing,
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is a folder, a pipe or a device.
    #[error("is not a file")]
    NotAFile,
    /// It is no text at all; what it is, with "or".
    #[error("is {0} another packed file, and not a CSV file")]
    Workbook(&'static str),
    /// Its byte order mark says something else than the setting.
    #[error("begins with the mark of {marked}, and its `encoding` is {setting}")]
    OtherEncoding {
        /// What the mark says.
        marked: &'static str,
        /// What the setting says.
        setting: &'static str,
    },
    /// It has not even a header.
    #[error("is empty: it has no header row with the names of the columns")]
    Empty,
    /// The first row does not end within [`MAX_HEADER`](super::MAX_HEADER) bytes.
    #[error("has a header row of more than {} KiB", super::MAX_HEADER / 1024)]
    HeaderTooLong,
    /// A column's name breaks the rules for names.
    #[error("has {shown} as the name of column number {number}, and {why}")]
    BadColumn {
        /// The column's number, from 1.
        number: usize,
        /// Its name, quoted and safe to print.
        shown: String,
        /// Which rule.
        why: IdError,
    },
    /// Two columns have the name of the one that should hold the contacts' ids.
    #[error(
        "has two columns named {name:?}, numbers {first} and {second}, and one of them should hold the contacts"
    )]
    TwoContactColumns {
        /// Their name.
        name: String,
        /// The first one's number, from 1.
        first: usize,
        /// The second one's.
        second: usize,
    },
    /// It does not begin with a header.
    #[error("begins with {begins}, and not with the names of its columns: the columns found are {found}{}", below_on(column, *.below))]
    NotAHeader {
        /// What it begins with.
        begins: &'static str,
        /// The first cells of its first row, quoted and safe to print.
        found: String,
        /// The column that the configuration names.
        column: String,
        /// The line that has it.
        below: Option<u64>,
    },
    /// The column that should hold the contacts' ids is not there.
    #[error("has no column {column:?}, which should hold the contacts{}", alone(.separator))]
    NoContactColumn {
        /// The column that the configuration names.
        column: String,
        /// The column that was most likely meant.
        nearest: Option<String>,
        /// Where the whole header was taken for one column: what really stands between its columns.
        separator: Option<char>,
    },
    /// The file is older than `max_age`.
    #[error("was last written {written}, {age} ago, which is more than max_age = {max_age} allows")]
    TooOld {
        /// When it was written.
        written: jiff::Timestamp,
        /// How long that is ago.
        age: String,
        /// How long ago it may be.
        max_age: String,
        /// Where that is set.
        place: Option<Place>,
    },
    /// The file has fewer rows than `min_rows`.
    #[error("has fewer rows than min_rows = {wanted}: {found}")]
    TooFewRows {
        /// The rows that it has.
        found: u64,
        /// The rows that it must have.
        wanted: u64,
        /// Where that is set.
        place: Option<Place>,
    },
    /// The environment variable that says where it is says nothing.
    #[error("is not set")]
    Unset(String),
    /// There is no way to the server.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The user or the password is wrong.
    #[error(
        "does not let the user in: the user or the password is wrong, or the server lets nobody in from here"
    )]
    NotLetIn,
    /// The file is not a database.
    #[error("is not a database of SQLite")]
    NoDatabase,
    /// The database does not take the query.
    #[error("does not take the query: {0}")]
    Refused(String),
    /// The query is not one that only reads.
    #[error("does not take the query, which {0}")]
    NotOneQuery(QueryError),
    /// A query over sources asks for a column that there is not.
    #[error("asks for column {column:?}, which there is not")]
    NoColumn {
        /// The column, as the query names it.
        column: String,
        /// The column that was most likely meant.
        near: Option<String>,
        /// The columns that there are.
        known: String,
    },
    /// A query over sources asks a table that there is not.
    #[error("asks {table:?}, which is not in `from`")]
    NoTable {
        /// The table, as the query names it.
        table: String,
        /// Those that there are.
        known: String,
    },
    /// A query cannot tell two columns apart.
    #[error("cannot tell two columns of {table} apart, {first:?} and {second:?}")]
    AlikeColumns {
        /// The table.
        table: String,
        /// The first of the two.
        first: String,
        /// The second.
        second: String,
    },
    /// The query writes.
    #[error("does not take the query, which writes; nothing was written")]
    Writes,
    /// The source's time is over.
    #[error("did not give all rows within timeout = {}", super::table::in_words(*.0))]
    TimedOut(Duration),
    /// The database ended the query by itself, or was told to.
    #[error("broke off the query, which took too long or was ended by somebody")]
    Interrupted,
    /// The connection was lost.
    #[error("ended the connection before all rows were there")]
    Lost,
    /// The rows do not come to an end.
    #[error("did not give all rows")]
    CutShort,
    /// Two columns of a query have one name.
    #[error("gives two columns named {0:?}")]
    TwoColumns(String),
    /// A cell of a query holds bytes that are no text.
    #[error("gives bytes that are no text in {0}")]
    BadBytes(CellAt),
    /// The file was written to after it was opened.
    #[error("was changed in place after it was opened")]
    Changed,
    /// The file ends inside a quoted cell.
    #[error(
        "ends inside a quoted cell that opens in {0}: it was cut short, or a closing quote is missing"
    )]
    UnclosedQuote(CellAt),
    /// Something else than a separator or a line end stands behind a closing quote.
    #[error("has text behind the closing quote of a cell in {at}{}", on_line(*.closed, at.row))]
    BehindQuote {
        /// The cell.
        at: CellAt,
        /// The line of the closing quote.
        closed: u64,
    },
    /// A backslash stands before something that it does not escape.
    #[error("has a backslash in {0}, before something that it does not escape")]
    BadEscape(CellAt),
    /// A cell holds a NUL byte.
    #[error("holds a NUL byte in {0}")]
    Nul(CellAt),
    /// A row is the header once more.
    #[error("repeats its header in {0}")]
    HeaderAgain(RowAt),
    /// A row is longer than [`MAX_ROW`](super::MAX_ROW).
    #[error("has more than {most} MiB in {0}", most = super::MAX_ROW >> 20)]
    RowTooLong(RowAt),
    /// A row has an empty cell behind those for which the header has columns.
    #[error("has one cell more in {0} than columns in its header, an empty one")]
    OneMore(RowAt),
    /// A row has more or fewer cells than the header has columns.
    #[error("has another number of cells in {at} than its header: {found} instead of {wanted}")]
    Ragged {
        /// The row.
        at: RowAt,
        /// Its cells.
        found: usize,
        /// The header's columns.
        wanted: usize,
    },
    /// A cell is not written in the file's encoding.
    #[error("is not {1} in {0}")]
    NotUtf8(CellAt, &'static str),
    /// A contact's id is missing.
    #[error("names no contact in {}: column {} is empty", .0.row, .0.column)]
    NoContact(CellAt),
    /// A contact's id breaks the rules for ids.
    #[error("has {shown} as the contact in {at}, and {why}")]
    BadContact {
        /// The cell.
        at: CellAt,
        /// The id, quoted and safe to print.
        shown: String,
        /// Which rule.
        why: IdError,
    },
}

impl SourceProblem {
    /// What is the same where a problem is that of many rows.
    pub(crate) fn kind(&self) -> impl Hash + use<> {
        let more = match self {
            Self::Ragged { found, .. } => *found as u64,
            Self::BadContact { why, .. } => match why {
                IdError::Padded => 1,
                IdError::TooLong(_) => 2,
                _ => 3,
            },
            _ => 0,
        };
        (discriminant(self), more)
    }

    /// Whether it is about the columns of a header that was read.
    pub(crate) fn is_of_columns(&self) -> bool {
        matches!(
            self,
            Self::NoContactColumn { .. } | Self::TwoContactColumns { .. } | Self::BadColumn { .. }
        )
    }

    /// Whether it is about a query as a whole.
    fn is_of_query(&self) -> bool {
        matches!(
            self,
            Self::Refused(_)
                | Self::NotOneQuery(_)
                | Self::Writes
                | Self::TimedOut(_)
                | Self::Interrupted
                | Self::Lost
                | Self::CutShort
        )
    }

    /// The row that it is about, in words, with its column where that is not the same for all of a kind.
    pub(crate) fn row(&self) -> Option<String> {
        Some(match self {
            Self::Nul(at) | Self::NotUtf8(at, _) | Self::BadBytes(at) => at.to_string(),
            Self::NoContact(at) | Self::BadContact { at, .. } => at.row.to_string(),
            Self::HeaderAgain(at) | Self::OneMore(at) | Self::Ragged { at, .. } => at.to_string(),
            _ => return None,
        })
    }

    fn help(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::NoContactColumn {
                separator: Some(separator),
                ..
            } => {
                return Cow::Owned(format!(
                    "write delimiter = {:?} in its [source.*]",
                    separator.to_string()
                ));
            }
            Self::NoContactColumn { nearest, .. } => {
                return Cow::Owned(match nearest {
                    Some(nearest) => format!("did you mean {nearest:?}?"),
                    None => "name the column in the source's `contact`".to_owned(),
                });
            }
            Self::Missing => {
                "check the path, which is relative to rollcall.toml, and that the export was made"
            }
            Self::Unreadable(_) => {
                "check the file's permissions, and those of the folders above it"
            }
            Self::NotAFile => "name a CSV file",
            Self::Workbook(_) => {
                "in Excel, save it as \"CSV UTF-8 (Comma delimited)\" and name that file; let a program that makes it write CSV"
            }
            Self::OtherEncoding { .. } => {
                "take `encoding` out of its [source.*]: a file with such a mark needs none"
            }
            Self::Empty => {
                "the first row must name the columns; an empty file is often an export that failed"
            }
            Self::HeaderTooLong | Self::RowTooLong(_) => {
                "an opening quote in that row may be missing its closing one"
            }
            Self::NotUtf8(_, "UTF-8") => {
                "export it as UTF-8 (spreadsheets call this \"CSV UTF-8\"), or say what it is: encoding = \"windows-1252\" in its \
                 [source.*] is what Excel writes in Western Europe"
            }
            Self::NotUtf8(..) => {
                "correct `encoding` in its [source.*], or remove it and export it as UTF-8"
            }
            Self::Nul(_) => {
                "export it as UTF-8 text, or say that it is encoding = \"utf-16le\"; a file that was damaged on its way holds such \
                 bytes too"
            }
            Self::NotAHeader {
                begins: "HTML or XML",
                ..
            } => {
                "it may be a page that says why there is no export, such as one to log in; look at how it is fetched"
            }
            Self::NotAHeader { begins: "JSON", .. } => "let the export write CSV",
            Self::NotAHeader { .. } => "let the export write nothing before its header",
            Self::BadColumn {
                why: IdError::Unseen(_),
                ..
            } => {
                "take the character out of the name, in the export; copied texts and programs leave such characters behind"
            }
            Self::BadColumn {
                why: IdError::Empty,
                ..
            } => {
                "give every column a name of its own; a separator at the end of the header makes one more column, without a name"
            }
            Self::BadColumn { .. } | Self::TwoContactColumns { .. } => {
                "give every column a name of its own, without white space at its ends"
            }
            Self::TooOld { .. } => {
                "nothing is planned from it; make a new export, or raise max_age if this one is right"
            }
            Self::TooFewRows { .. } => {
                "nothing is planned from it; make a new export, or lower min_rows if this one is right"
            }
            Self::Unset(name) => {
                return Cow::Owned(format!(
                    "set {name} to a URL that begins with postgres:, mysql: or sqlite:"
                ));
            }
            Self::Unreachable(_) => {
                "nothing is planned from it; check the host and the port in the URL, and that the server is up"
            }
            Self::NoColumn { near, known, .. } => {
                return Cow::Owned(match near {
                    Some(near) => format!("did you mean {near:?}? {known}"),
                    None => known.clone(),
                });
            }
            Self::NoTable { known, .. } => {
                return Cow::Owned(format!(
                    "name it in `from`, if it is a source; there are {known}"
                ));
            }
            Self::AlikeColumns { .. } => {
                "give one of the two another name where the source is made"
            }
            Self::NotLetIn => {
                "nothing is planned from it; check the user and the password in the URL"
            }
            Self::NoDatabase => "check the path in the URL, which is relative to rollcall.toml",
            Self::Refused(_) => {
                "nothing is planned from it; try the query with the database's own client"
            }
            Self::NotOneQuery(QueryError::Parameter(_)) => {
                "nothing is bound in it but :today and :now, and these in a query over sources alone"
            }
            Self::NotOneQuery(_) | Self::Writes => "write one `select`, which only reads",
            Self::TimedOut(_) | Self::Interrupted => {
                "nothing is planned from it; make the query quicker, or raise `timeout`"
            }
            Self::BadBytes(_) => {
                "nothing is planned from it; let the query turn the column into text, or leave it out"
            }
            Self::Lost | Self::CutShort => "nothing is planned from it; run it again",
            Self::TwoColumns(_) => "give one of the two another name in the query, with `as`",
            Self::Changed => {
                "nothing is planned from it; let the export write to another name and rename it when it is complete"
            }
            Self::BehindQuote { at, .. } if at.row.row == 1 => {
                "where another character than , or ; or a tab stands between the columns, set `delimiter` in its [source.*]; where \
                 the export puts no quotes around cells, quote = \"none\""
            }
            Self::UnclosedQuote(_) | Self::BehindQuote { .. } => {
                "a cell that begins with a quote must end with one, and a quote within it is doubled; if the export puts no \
                 quotes around cells, set quote = \"none\" in its [source.*], and if it writes \\\" for a quote, \
                 escape = \"\\\\\""
            }
            Self::BadEscape(_) => {
                "with escape = \"\\\\\", a backslash stands before a quote, a separator, a line end, a backslash, n, r or t, and \
                 \\N alone is an empty cell; remove the setting if a backslash has no meaning in the export"
            }
            Self::HeaderAgain(_) => {
                "nothing is planned from it; it may be two exports in one file: export it again"
            }
            Self::OneMore(_) => {
                "a separator stands at the end of the row: let the export write none there, or name one more column in its header"
            }
            Self::Ragged { .. } => {
                "a cell that holds the separator must be quoted; set `delimiter` if the separator was guessed wrongly"
            }
            Self::NoContact(_) | Self::BadContact { .. } => {
                "every row needs the id by which Spotler knows the contact"
            }
        })
    }
}

/// Where a row is, in words: `row 5`, or `row 5 (line 7)` where an editor counts differently.
///
/// The header is row 1, as in a spreadsheet. Blank lines are no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowAt {
    /// The row, from 1.
    pub row: u64,
    /// The line of the file on which it starts, from 1.
    pub line: u64,
}

impl fmt::Display for RowAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.row)?;
        if self.line != self.row {
            write!(f, " (line {})", self.line)?;
        }
        Ok(())
    }
}

/// Where a cell is, in words: `row 5, column status`.
#[derive(Debug)]
pub struct CellAt {
    /// Its row.
    pub row: RowAt,
    /// Its column's name, or its number where the header has none.
    pub column: String,
}

impl fmt::Display for CellAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, column {}", self.row, self.column)
    }
}

fn below_on(column: &str, line: Option<u64>) -> String {
    line.map_or(String::new(), |line| {
        format!("; line {line} has a column {column:?}")
    })
}

fn alone(separator: &Option<char>) -> &'static str {
    match separator {
        Some(_) => ": its header is one column alone",
        None => "",
    }
}

/// The line of a closing quote, where it is not the one on which the row starts.
fn on_line(closed: u64, row: RowAt) -> String {
    match closed == row.line {
        true => String::new(),
        false => format!("; that quote is on line {closed}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_reported_with_its_line_where_they_differ() {
        assert_eq!(RowAt { row: 5, line: 5 }.to_string(), "row 5");
        assert_eq!(RowAt { row: 5, line: 7 }.to_string(), "row 5 (line 7)");
    }
}
