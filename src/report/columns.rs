//! Rows in aligned columns under a header. There may be millions of them, which is why no table is made of them: the widths
//! are those of the first rows, and the others are written as they come.

use std::io::{self, Write};

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::style::{STRONG, pad};

/// So many rows decide how wide the columns are.
const LOOKED_AT: usize = 1000;

/// Columns grow no wider than this; a longer text moves the rest of its line.
const WIDEST: usize = 40;

/// One cell, safe to show, and how it looks.
pub struct Cell(pub String, pub Style);

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell(text, Style::new())
    }
}

/// One row, and the lines that stand below it.
pub struct Row<const N: usize> {
    /// Its cells.
    pub cells: [Cell; N],
    /// What stands below it.
    pub notes: Vec<String>,
}

/// Writes rows. Where there are none, it writes no header either, so that a cron job without rows sends no mail.
pub struct Columns<'a, const N: usize> {
    out: &'a mut dyn Write,
    titles: [&'static str; N],
    ahead: Vec<Row<N>>,
    widths: Option<[usize; N]>,
}

impl<'a, const N: usize> Columns<'a, N> {
    /// Columns with these titles.
    pub fn new(out: &'a mut dyn Write, titles: [&'static str; N]) -> Self {
        Self {
            out,
            titles,
            ahead: Vec::new(),
            widths: None,
        }
    }

    /// Writes a row, at once or with the first ones.
    ///
    /// # Errors
    /// What the writer says.
    pub fn row(&mut self, row: Row<N>) -> io::Result<()> {
        match self.widths {
            Some(widths) => self.write(&row, widths),
            None => {
                self.ahead.push(row);
                match self.ahead.len() < LOOKED_AT {
                    true => Ok(()),
                    false => self.begin(),
                }
            }
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// What the writer says.
    pub fn end(mut self) -> io::Result<()> {
        match self.widths.is_none() && !self.ahead.is_empty() {
            true => self.begin(),
            false => Ok(()),
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        let widths = std::array::from_fn(|column| {
            let texts = self.ahead.iter().map(|row| row.cells[column].0.width());
            let widest = texts.map(|width| width.min(WIDEST)).max().unwrap_or(0);
            widest.max(self.titles[column].width())
        });
        self.widths = Some(widths);
        let cells = self.titles.map(|title| Cell(title.to_owned(), STRONG));
        let notes = Vec::new();
        self.write(&Row { cells, notes }, widths)?;
        let rows = std::mem::take(&mut self.ahead);
        rows.iter().try_for_each(|row| self.write(row, widths))
    }

    fn write(&mut self, row: &Row<N>, widths: [usize; N]) -> io::Result<()> {
        let last = row.cells.iter().rposition(|cell| !cell.0.is_empty());
        let cells = row.cells.iter().zip(widths).enumerate();
        for (column, (Cell(text, style), width)) in cells.take(last.map_or(0, |last| last + 1)) {
            let gap = if column == 0 { "" } else { "  " };
            let shown = match last == Some(column) {
                true => text.clone(),
                false => pad(text, width),
            };
            write!(self.out, "{gap}{style}{shown}{style:#}")?;
        }
        writeln!(self.out)?;
        let mut notes = row.notes.iter();
        notes.try_for_each(|note| writeln!(self.out, "  {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rows: &[[&str; 3]]) -> String {
        let mut out = Vec::new();
        let mut columns = Columns::new(&mut out, ["one", "two", "three"]);
        for cells in rows {
            let cells = cells.map(|text| Cell::from(text.to_owned()));
            let notes = vec!["below".to_owned(); usize::from(rows.len() == 1)];
            columns.row(Row { cells, notes }).unwrap();
        }
        columns.end().unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn columns_are_as_wide_as_their_rows_and_no_line_ends_with_blanks() {
        assert_eq!(
            written(&[["a", "", "x y"], ["longer", "名", ""]]),
            "one     two  three\na            x y\nlonger  名\n"
        );
        assert_eq!(
            written(&[["a", "b", "c"]]),
            "one  two  three\na    b    c\n  below\n"
        );
        assert_eq!(written(&[]), "");
    }

    #[test]
    fn the_first_rows_decide_and_the_others_follow_them() {
        let mut rows = vec![["a", "b", "c"]; LOOKED_AT];
        rows.push(["much longer", "b", "c"]);
        let text = written(&rows);
        assert_eq!(text.lines().count(), rows.len() + 1);
        assert!(text.ends_with("much longer  b    c\n"));
    }
}
