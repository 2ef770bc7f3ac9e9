//! The rows that a query gave, in memory: only what leaves a database once is read, and nothing of it is written anywhere.
//!
//! One thread adds rows while another reads them. Once they are there, any thread may read any of them again.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::source::cells::RowCells;
use crate::source::error::SourceProblem;
use crate::source::{MAX_ROW, RowBuffer};

/// So many bytes of rows are handed over at once.
const PIECE: usize = 256 << 10;

/// What stands between two cells. No cell is told from another by it.
const BETWEEN: u8 = 0x1f;

/// What is wrong with a row alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Fault {
    /// A cell, by its column's place, holds a NUL.
    Nul(usize),
    /// A cell holds bytes that are not UTF-8.
    NotUtf8(usize),
    /// It is longer than any may be.
    TooLong,
}

/// Rows that lie side by side.
#[derive(Debug, Default)]
pub(in crate::source) struct Chunk {
    /// The number of its first row, from 0.
    first: u64,
    text: String,
    /// Where each row begins in the text, and where the last one ends.
    starts: Vec<u32>,
    /// Where each cell ends, from the beginning of its row; the last one ends with the row.
    ends: Vec<u32>,
    /// What is wrong with some of its rows, by their places.
    faults: Vec<(usize, Fault)>,
    columns: usize,
}

impl Chunk {
    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// What is wrong with a row, by its place in the chunk.
    fn fault(&self, row: usize) -> Option<Fault> {
        let place = self
            .faults
            .binary_search_by_key(&row, |(row, _)| *row)
            .ok()?;
        Some(self.faults[place].1)
    }

    /// The text of a row, and where its cells end.
    fn row(&self, row: usize) -> Option<(&str, impl Iterator<Item = usize> + '_)> {
        let (start, end) = (*self.starts.get(row)?, *self.starts.get(row + 1)?);
        let text = self.text.get(start as usize..end as usize)?;
        let inner = self.columns.saturating_sub(1);
        let ends = self.ends.get(row * inner..(row + 1) * inner)?;
        let last = (self.columns > 0).then_some(text.len());
        Some((text, ends.iter().map(|end| *end as usize).chain(last)))
    }
}

/// The rows of a query, as far as they are there.
#[derive(Debug, Default)]
pub(in crate::source) struct Spool {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct State {
    chunks: Vec<Arc<Chunk>>,
    /// How many rows the query gave, or what went wrong, until it is reported.
    end: Option<Result<u64, Option<SourceProblem>>>,
}

impl Spool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chunk at a place, once it is there; `None` behind the last.
    fn wait(&self, place: usize) -> Result<Option<Arc<Chunk>>, SourceProblem> {
        let mut state = self.state();
        loop {
            if let Some(chunk) = state.chunks.get(place) {
                return Ok(Some(chunk.clone()));
            }
            match &mut state.end {
                Some(Ok(_)) => return Ok(None),
                Some(Err(problem)) => {
                    return Err(problem.take().unwrap_or(SourceProblem::CutShort));
                }
                None => {}
            }
            state = self
                .more
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How many rows the query gave. Known once it has given all.
    pub(super) fn total(&self) -> u64 {
        match &self.state().end {
            Some(Ok(total)) => *total,
            _ => 0,
        }
    }

    /// Reads a row again. `false` where it is not there.
    pub(super) fn row(&self, number: u64, buffer: &mut RowBuffer) -> bool {
        let state = self.state();
        let after = state.chunks.partition_point(|chunk| chunk.first <= number);
        let Some(chunk) = after
            .checked_sub(1)
            .map(|place| state.chunks[place].clone())
        else {
            return false;
        };
        drop(state);
        let Ok(place) = usize::try_from(number - chunk.first) else {
            return false;
        };
        let row = chunk.row(place);
        row.map(|(text, ends)| buffer.set(text, ends)).is_some()
    }
}

/// The rows of a spool, one after the other.
#[derive(Debug)]
pub(in crate::source) struct Reader<'s> {
    spool: &'s Spool,
    chunk: Option<Arc<Chunk>>,
    chunks: usize,
    row: usize,
    buffer: Vec<usize>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(spool: &'s Spool) -> Self {
        Self {
            spool,
            chunk: None,
            chunks: 0,
            row: 0,
            buffer: Vec::new(),
        }
    }

    /// Goes to the next row, and gives its number; `None` behind the last.
    pub(in crate::source) fn advance(
        &mut self,
    ) -> Result<Option<(u64, Option<Fault>)>, SourceProblem> {
        self.row += 1;
        while self
            .chunk
            .as_ref()
            .is_none_or(|chunk| self.row >= chunk.len())
        {
            self.chunk = self.spool.wait(self.chunks)?;
            self.chunks += 1;
            self.row = 0;
            if self.chunk.is_none() {
                return Ok(None);
            }
        }
        let Some(chunk) = &self.chunk else {
            return Ok(None);
        };
        self.buffer.clear();
        if let Some((_, ends)) = chunk.row(self.row) {
            self.buffer.extend(ends);
        }
        Ok(Some((chunk.first + self.row as u64, chunk.fault(self.row))))
    }

    /// How many rows there are in all, once the last was read.
    pub(in crate::source) fn total(&self) -> u64 {
        self.spool.total()
    }

    /// The cells of the row that was given last.
    pub(in crate::source) fn cells(&self) -> RowCells<'_> {
        let row = self.chunk.as_ref().and_then(|chunk| chunk.row(self.row));
        RowCells {
            text: row.map_or("", |(text, _)| text),
            ends: &self.buffer,
        }
    }
}

/// Adds rows to a spool. One that goes before it has ended leaves a spool that was cut short.
#[derive(Debug)]
pub(super) struct Writer {
    spool: Arc<Spool>,
    columns: usize,
    bytes: Vec<u8>,
    chunk: Chunk,
    /// The place of the next cell.
    column: usize,
    rows: u64,
    has_ended: bool,
}

impl Writer {
    pub(super) fn new(spool: &Arc<Spool>, columns: usize) -> Self {
        Self {
            spool: spool.clone(),
            columns,
            bytes: Vec::with_capacity(PIECE + (PIECE >> 3)),
            chunk: Self::chunk(0, columns),
            column: 0,
            rows: 0,
            has_ended: false,
        }
    }

    fn chunk(first: u64, columns: usize) -> Chunk {
        Chunk {
            first,
            columns,
            starts: vec![0],
            ..Chunk::default()
        }
    }

    fn start(&self) -> usize {
        self.chunk.starts.last().map_or(0, |start| *start as usize)
    }

    /// Adds a cell of the row under way.
    pub(super) fn cell(&mut self, bytes: &[u8]) {
        self.cell_by(|row| row.extend_from_slice(bytes));
    }

    /// Adds a cell that is written by somebody else, to what is there already.
    pub(super) fn cell_by(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.column > 0 {
            self.bytes.push(BETWEEN);
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        let cell = &self.bytes[start..];
        let fault = match std::str::from_utf8(cell) {
            Err(_) => Some(Fault::NotUtf8(self.column)),
            Ok(_) if memchr::memchr(0, cell).is_some() => Some(Fault::Nul(self.column)),
            Ok(_) => None,
        };
        if let Some(fault) = fault {
            self.bytes.truncate(start);
            self.fault(fault);
        }
        let end = self.bytes.len() - self.start();
        self.column += 1;
        if self.column < self.columns {
            // A row that is longer is given up below.
            self.chunk.ends.push(u32::try_from(end).unwrap_or(u32::MAX));
        }
    }

    fn fault(&mut self, fault: Fault) {
        let row = self.chunk.len();
        if self
            .chunk
            .faults
            .last()
            .is_none_or(|(last, _)| *last != row)
        {
            self.chunk.faults.push((row, fault));
        }
    }

    /// Ends the row under way.
    pub(super) fn end_row(&mut self) {
        let start = self.start();
        if (self.bytes.len() - start) as u64 > MAX_ROW {
            self.bytes.truncate(start);
            let from = self.chunk.len() * self.columns.saturating_sub(1);
            self.chunk.ends[from..].fill(0);
            self.fault(Fault::TooLong);
        }
        // What lies before the row is at most a piece, and the row is no longer than any may be.
        self.chunk
            .starts
            .push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        self.column = 0;
        self.rows += 1;
        if self.bytes.len() >= PIECE {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let next = Self::chunk(self.rows, self.columns);
        let mut chunk = std::mem::replace(&mut self.chunk, next);
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(PIECE + (PIECE >> 3)));
        // Each cell was looked at.
        chunk.text = String::from_utf8(bytes).unwrap_or_default();
        chunk.text.shrink_to_fit();
        chunk.ends.shrink_to_fit();
        let mut state = self.spool.state();
        state.chunks.push(Arc::new(chunk));
        drop(state);
        self.spool.more.notify_all();
    }

    /// Ends. The query has so many rows in all, where these are not all of them.
    pub(super) fn end(mut self, result: Result<Option<u64>, SourceProblem>) {
        if self.chunk.len() > 0 {
            self.hand_over();
        }
        self.finish(result);
    }

    fn finish(&mut self, result: Result<Option<u64>, SourceProblem>) {
        self.has_ended = true;
        let total = result.map(|total| total.unwrap_or(self.rows));
        self.spool.state().end = Some(total.map_err(Some));
        self.spool.more.notify_all();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.has_ended {
            self.finish(Err(SourceProblem::CutShort));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rows: &[&[&[u8]]]) -> Arc<Spool> {
        let spool = Arc::new(Spool::default());
        let mut writer = Writer::new(&spool, rows.first().map_or(0, |row| row.len()));
        for row in rows {
            row.iter().for_each(|cell| writer.cell(cell));
            writer.end_row();
        }
        writer.end(Ok(None));
        spool
    }

    fn read(spool: &Spool) -> Vec<String> {
        let mut reader = Reader::new(spool);
        let mut found = Vec::new();
        while let Some((_, fault)) = reader.advance().unwrap() {
            let cells: Vec<&str> = reader.cells().iter().collect();
            found.push(fault.map_or(cells.join("|"), |fault| format!("{fault:?}")));
        }
        found
    }

    #[test]
    fn rows_come_as_they_went_in_and_can_be_read_again() {
        let long = "x".repeat(PIECE);
        let spool = written(&[
            &[b"a", b"", b"1"],
            &[b"b", long.as_bytes(), b"\x1f"],
            &[b"c", b"y\nz", b""],
        ]);
        let wanted = [
            "a||1".to_owned(),
            format!("b|{long}|\x1f"),
            "c|y\nz|".to_owned(),
        ];
        assert_eq!(read(&spool), wanted);
        let mut buffer = RowBuffer::default();
        for place in [2, 0, 1, 1] {
            assert!(spool.row(place, &mut buffer));
            let cells: Vec<&str> = buffer.cells().iter().collect();
            assert_eq!(cells.join("|"), wanted[place as usize]);
        }
        assert!(!spool.row(3, &mut buffer));
        assert_eq!(spool.total(), 3);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_told_and_the_others_are_read() {
        let long = vec![b'x'; MAX_ROW as usize + 1];
        let spool = written(&[
            &[b"a", b"\xff"],
            &[b"b\0", b"x"],
            &[b"c", &long],
            &[b"d", b"x"],
        ]);
        assert_eq!(read(&spool), ["NotUtf8(1)", "Nul(0)", "TooLong", "d|x"]);
    }

    #[test]
    fn what_goes_before_its_end_is_cut_short() {
        let spool = Arc::new(Spool::default());
        let mut writer = Writer::new(&spool, 1);
        writer.cell(b"a");
        writer.end_row();
        drop(writer);
        assert!(Reader::new(&spool).advance().is_err());
    }
}
