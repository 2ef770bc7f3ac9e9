//! The cells of a row, however it was read.

use csv::StringRecord;

/// The cells of a row, all UTF-8. An empty one is an absent value.
#[derive(Debug, Clone, Copy)]
pub enum RowCells<'a> {
    /// As a CSV reader leaves them.
    Read(&'a StringRecord),
    /// As they stand in their line.
    Line {
        /// The line without its end.
        text: &'a str,
        /// Where each cell ends.
        ends: &'a [usize],
    },
}

impl<'a> RowCells<'a> {
    /// The cell in a column, if there are as many.
    pub fn get(&self, column: usize) -> Option<&'a str> {
        match *self {
            RowCells::Read(record) => record.get(column),
            RowCells::Line { text, ends } => {
                let start = match column {
                    0 => 0,
                    _ => ends.get(column - 1)? + 1,
                };
                text.get(start..*ends.get(column)?)
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            RowCells::Read(record) => record.len(),
            RowCells::Line { ends, .. } => ends.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in the order of the columns.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let cells = *self;
        (0..cells.len()).map(move |column| cells.get(column).unwrap_or_default())
    }
}

impl PartialEq for RowCells<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
