//! The cells of a row.

/// The cells of a row, all UTF-8. An empty one is an absent value.
#[derive(Debug, Clone, Copy)]
pub struct RowCells<'a> {
    /// All of them, with one byte between any two.
    pub(super) text: &'a str,
    /// Where each ends.
    pub(super) ends: &'a [usize],
}

impl<'a> RowCells<'a> {
    /// The cells of a text that end at these places, with one byte between any two.
    #[cfg(test)]
    pub(crate) fn of(text: &'a str, ends: &'a [usize]) -> Self {
        Self { text, ends }
    }

    /// The cell in a column, if there are as many.
    pub fn get(&self, column: usize) -> Option<&'a str> {
        let start = match column {
            0 => 0,
            _ => self.ends.get(column - 1)? + 1,
        };
        self.text.get(start..*self.ends.get(column)?)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
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
