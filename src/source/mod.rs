//! Tables of contacts: a stream of checked rows, one file per kind of source. CSV is the only kind.
//!
//! A [`Table`] is opened once and read as often as needed: from start to end by [`Rows`], or single rows again by
//! [`Table::row`]. It keeps its file open, so that a new export that is renamed into place does not disturb a run under
//! way. An export that is written over in place is noticed and refused.
//!
//! # CSV
//! Quoting is as in RFC 4180, and no other: a cell that begins with a quote ends with one. Lines end in LF, CRLF or CR;
//! blank lines are skipped; a byte order mark is skipped. The separator is the one configured, else the one of `,`, `;` and
//! tab under which the header has the contact column, or the most columns. The header's names follow the rules for names.
//! All cells are UTF-8.

mod cells;
mod cursor;
mod error;
mod header;
mod lines;
mod rows;
mod split;
mod table;

pub use cells::RowCells;
pub use error::{RowAt, SourceError, SourceProblem};
pub use rows::{Row, Rows};
pub use split::RowBuffer;
pub use table::Table;

/// The longest header row, in bytes.
pub const MAX_HEADER: u64 = 1 << 20;

/// The longest row, in bytes. A longer one is a quote that was left open.
pub const MAX_ROW: u64 = 16 << 20;

/// Which row of a table: the byte of the file at which reading it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub u64);

#[cfg(test)]
mod tests;
