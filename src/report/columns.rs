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

/// How a column yields where a terminal is too narrow for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Yield {
    /// This one is left out.
    Drop(usize),
    /// The times in this one become dates.
    Date(usize),
    /// This one goes to the line below.
    Below(usize),
}

/// What is between two columns.
const GAP: &str = "  ";

/// So long is a date.
const DATE: usize = "2026-11-23".len();

/// Writes rows. Where there are none, it writes no header either, so that a cron job without rows sends no mail.
pub struct Columns<'a, const N: usize> {
    out: &'a mut dyn Write,
    titles: [&'static str; N],
    ahead: Vec<Row<N>>,
    widths: Option<[usize; N]>,
    /// How wide a line may be, and how columns yield for that: first what matters least.
    room: Option<usize>,
    order: &'static [Yield],
    /// How many of these have yielded.
    yielded: usize,
}

impl<'a, const N: usize> Columns<'a, N> {
    /// Columns with these titles.
    pub fn new(out: &'a mut dyn Write, titles: [&'static str; N]) -> Self {
        Self {
            out,
            titles,
            ahead: Vec::new(),
            widths: None,
            room: None,
            order: &[],
            yielded: 0,
        }
    }

    /// The same on a terminal of this width, where columns yield in this order. The last cell of a row that is too long by itself
    /// goes to the line below too.
    pub fn within(self, room: Option<usize>, order: &'static [Yield]) -> Self {
        let room = room.filter(|room| *room > 0);
        Self {
            room,
            order,
            ..self
        }
    }

    /// Writes a row, at once or with the first ones.
    ///
    /// # Errors
    /// What the writer says.
    pub fn row(&mut self, row: Row<N>) -> io::Result<()> {
        match self.widths {
            Some(widths) => self.write(&row, widths, false),
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
        let mut widths = std::array::from_fn(|column| {
            let texts = self.ahead.iter().map(|row| row.cells[column].0.width());
            let widest = texts.map(|width| width.min(WIDEST)).max().unwrap_or(0);
            widest.max(self.titles[column].width())
        });
        while self.yielded < self.order.len() && self.is_too_wide(widths) {
            match self.order[self.yielded] {
                Yield::Date(column) => widths[column] = widths[column].min(DATE),
                Yield::Drop(column) | Yield::Below(column) => widths[column] = 0,
            }
            self.yielded += 1;
        }
        self.widths = Some(widths);
        let cells = self.titles.map(|title| Cell(title.to_owned(), STRONG));
        let notes = Vec::new();
        self.write(&Row { cells, notes }, widths, true)?;
        let rows = std::mem::take(&mut self.ahead);
        rows.iter()
            .try_for_each(|row| self.write(row, widths, false))
    }

    /// Whether the columns are wider than the terminal. The last one need only hold its title: what is longer goes below.
    fn is_too_wide(&self, mut widths: [usize; N]) -> bool {
        if let (Some(last), Some(title)) = (widths.last_mut(), self.titles.last()) {
            *last = (*last).min(title.width());
        }
        let shown = widths.into_iter().filter(|width| *width > 0);
        let total: usize = shown.map(|width| width + GAP.len()).sum();
        self.room.is_some_and(|room| total > room + GAP.len())
    }

    fn write(&mut self, row: &Row<N>, widths: [usize; N], is_header: bool) -> io::Result<()> {
        let has_yielded = |of| self.order[..self.yielded].contains(&of);
        let (mut line, mut below) = (Vec::with_capacity(N), Vec::new());
        for (column, Cell(text, style)) in row.cells.iter().enumerate() {
            let text = match text.get(..DATE) {
                Some(date) if has_yielded(Yield::Date(column)) => date,
                _ => text,
            };
            if has_yielded(Yield::Below(column)) {
                below.push((text, style));
            } else if !has_yielded(Yield::Drop(column)) {
                line.push((text, style, widths[column]));
            }
        }
        let before = line.iter().rev().skip(1);
        let before: usize = before
            .map(|(text, _, width)| text.width().max(*width) + GAP.len())
            .sum();
        let is_too_long = |text: &str| self.room.is_some_and(|room| before + text.width() > room);
        if let Some((text, style, _)) = line.pop_if(|(text, ..)| before > 0 && is_too_long(text)) {
            below.push((text, style));
        }
        while line.pop_if(|(text, ..)| text.is_empty()).is_some() {}
        let last = line.len().saturating_sub(1);
        for (place, (text, style, width)) in line.into_iter().enumerate() {
            let gap = if place == 0 { "" } else { GAP };
            let shown = match place == last {
                true => text.to_owned(),
                false => pad(text, width),
            };
            write!(self.out, "{gap}{style}{shown}{style:#}")?;
        }
        writeln!(self.out)?;
        below.retain(|(text, _)| !is_header && !text.is_empty());
        for (place, (text, style)) in below.iter().enumerate() {
            let end = if place + 1 == below.len() { "\n" } else { "" };
            write!(self.out, "{GAP}{style}{text}{style:#}{end}")?;
        }
        let mut notes = row.notes.iter();
        notes.try_for_each(|note| writeln!(self.out, "{GAP}{note}"))
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
    fn what_matters_least_yields_first_where_a_terminal_is_narrow() {
        const ORDER: &[Yield] = &[Yield::Drop(1), Yield::Date(0), Yield::Below(2)];
        let shown = |room| {
            let mut out = Vec::new();
            let columns = Columns::new(&mut out, ["sent", "revision", "automation", "detail"]);
            let mut columns = columns.within(Some(room), ORDER);
            for detail in ["", "a long word of it"] {
                let cells = ["2026-11-23T09:00:00Z", "9dcf7432", "winback", detail];
                let cells = cells.map(|text| Cell::from(text.to_owned()));
                columns
                    .row(Row {
                        cells,
                        notes: Vec::new(),
                    })
                    .unwrap();
            }
            columns.end().unwrap();
            anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
        };
        let whole = "sent                  revision  automation  detail\n2026-11-23T09:00:00Z  9dcf7432  winback\n";
        let row = "2026-11-23T09:00:00Z  9dcf7432  winback   ";
        assert_eq!(shown(99), format!("{whole}{row}  a long word of it\n"));
        assert_eq!(
            shown(50),
            format!("{whole}{}\n  a long word of it\n", row.trim_end())
        );
        assert_eq!(
            shown(49),
            "sent                  automation  detail\n2026-11-23T09:00:00Z  winback\n\
             2026-11-23T09:00:00Z  winback\n  a long word of it\n"
        );
        assert_eq!(
            shown(30),
            "sent        automation  detail\n2026-11-23  winback\n2026-11-23  winback\n  a long word of it\n"
        );
        assert_eq!(
            shown(20),
            "sent        detail\n2026-11-23\n  winback\n2026-11-23\n  winback  a long word of it\n"
        );
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
