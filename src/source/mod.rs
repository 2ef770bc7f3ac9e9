//! Tables of contacts, which users' own systems export. This module alone reads them.
//!
//! A [`Table`] is opened once and read as often as needed: from start to end by [`Rows`], or single rows again by
//! [`Table::row`]. What a [`RowId`] stands for is known to the table alone, so that another kind of source may stand behind
//! it: a CSV file (`csv`) or a query (`sql`).

mod cells;
mod csv;
mod error;
mod index;
mod record;
mod rows;
mod sql;
mod table;

pub use cells::RowCells;
pub use csv::{Lines, RowBuffer};
pub use error::{CellAt, RowAt, SourceError, SourceProblem};
pub use index::RowIndex;
pub use record::{RecordRow, Recorded};
pub use rows::{Row, RowId, Rows};
pub use sql::{Literal, Wanted};
pub use table::{Inputs, Table};

/// The longest header row, in bytes.
pub const MAX_HEADER: u64 = 1 << 20;

/// The longest row, in bytes. A longer one is a quote that was left open.
pub const MAX_ROW: u64 = 16 << 20;

#[cfg(test)]
mod tests;
