//! Splitting bytes into rows and cells, strictly by RFC 4180. Nothing is guessed: what the bytes cannot mean is a fault.
//!
//! All rows go through here, one by one ([`RowBuffer::read`]) or one after the other ([`Splitter`]). Where a piece of the
//! file has nothing but plain lines, its rows are taken as they stand in it, which takes half the time.

use std::io;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2_iter, memrchr};

use super::{Bytes, Lines};
use crate::config::Quoting;
use crate::source::{CellAt, MAX_ROW, RowAt, RowCells, SourceProblem};

/// So many bytes are read at once.
const PIECE: usize = 128 << 10;

/// How a file is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) quoting: Quoting,
}

/// What the bytes of a row cannot mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) struct Fault {
    /// Where in the file the row starts.
    pub(in crate::source) at: u64,
    /// In which cell, from 0.
    pub(in crate::source) column: usize,
    pub(in crate::source) what: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum FaultKind {
    /// A quoted cell does not end before the file does.
    Unclosed,
    /// Something else than a separator or a line end stands behind a closing quote, at this byte of the file.
    BehindQuote(u64),
    /// A backslash stands before something for which there is no rule.
    Escape,
    /// The row is longer than any may be.
    TooLong,
    /// A cell holds a NUL byte.
    Nul,
    /// A cell is not UTF-8.
    NotUtf8,
}

impl FaultKind {
    /// Whether the rows behind can still be told apart.
    pub(in crate::source) fn is_of_its_row_alone(self) -> bool {
        matches!(self, Self::Nul | Self::NotUtf8)
    }
}

impl Fault {
    /// What is wrong with the row, without any part of a cell.
    pub(in crate::source) fn problem(
        self,
        row: RowAt,
        file: &Bytes,
        columns: &[String],
    ) -> SourceProblem {
        let column = columns.get(self.column).cloned();
        let column = column.unwrap_or_else(|| format!("number {}", self.column + 1));
        let at = CellAt { row, column };
        match self.what {
            FaultKind::Unclosed => SourceProblem::UnclosedQuote(at),
            FaultKind::BehindQuote(quote) => {
                let closed = Lines::default().of(file, quote);
                SourceProblem::BehindQuote { at, closed }
            }
            FaultKind::Escape => SourceProblem::BadEscape(at),
            FaultKind::TooLong => SourceProblem::RowTooLong(row),
            FaultKind::Nul => SourceProblem::Nul(at),
            FaultKind::NotUtf8 => SourceProblem::NotUtf8(at, file.encoding()),
        }
    }
}

/// Where a row of raw cells ends.
enum End {
    /// Behind so many bytes.
    At(usize),
    /// Not among them.
    Unfinished,
}

/// What stands at the beginning of some bytes.
enum Split {
    /// A row, of so many bytes with its end, and what is wrong with it alone.
    Row(usize, Option<Fault>),
    /// A row whose end is not among them.
    Unfinished,
}

/// Room for the cells of a row, which can be used again for another one.
#[derive(Debug, Default)]
pub struct RowBuffer {
    /// Bytes of the file.
    piece: Vec<u8>,
    /// The cells, with a separator between any two.
    text: String,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl RowBuffer {
    /// The cells of the row that was read last.
    pub(in crate::source) fn cells(&self) -> RowCells<'_> {
        RowCells {
            text: &self.text,
            ends: &self.ends,
        }
    }

    /// Takes the cells of a row that was read elsewhere.
    pub(in crate::source) fn set(&mut self, text: &str, ends: impl Iterator<Item = usize>) {
        self.text.clear();
        self.text.push_str(text);
        self.ends.clear();
        self.ends.extend(ends);
    }

    /// Reads the row at a byte of a file. `false` where there is none without a fault.
    pub(super) fn read(&mut self, file: &Bytes, at: u64, dialect: Dialect) -> io::Result<bool> {
        let mut room = 2 << 10;
        let mut piece = std::mem::take(&mut self.piece);
        let found = loop {
            piece.resize(room, 0);
            let filled = file.fill(at, &mut piece)?;
            match self.split(&piece[..filled], filled < room, at, dialect) {
                Ok(Split::Unfinished) if room as u64 <= MAX_ROW => room *= 4,
                Ok(Split::Row(len, None)) => break len > 0,
                _ => break false,
            }
        };
        self.piece = piece;
        Ok(found)
    }

    /// Takes the cells of the row at the beginning of some bytes, which are those at a byte of the file.
    ///
    /// `is_all` says that the file ends with them.
    fn split(
        &mut self,
        bytes: &[u8],
        is_all: bool,
        at: u64,
        dialect: Dialect,
    ) -> Result<Split, Fault> {
        self.ends.clear();
        let mut cells = std::mem::take(&mut self.text).into_bytes();
        cells.clear();
        let end = split(bytes, is_all, dialect, &mut cells, &mut self.ends);
        let text = String::from_utf8(cells);
        let fault = |column, what| Fault { at, column, what };
        let len = match end {
            Ok(End::At(len)) => len,
            Ok(End::Unfinished) => return Ok(Split::Unfinished),
            Err(FaultKind::BehindQuote(place)) => {
                return Err(fault(self.ends.len(), FaultKind::BehindQuote(at + place)));
            }
            Err(what) => return Err(fault(self.ends.len(), what)),
        };
        let (place, what) = match text {
            Err(error) => (Some(error.utf8_error().valid_up_to()), FaultKind::NotUtf8),
            Ok(text) => {
                self.text = text;
                (memchr(0, self.text.as_bytes()), FaultKind::Nul)
            }
        };
        let column = |place| self.ends.partition_point(|end| *end <= place);
        let fault = place.map(|place| fault(column(place), what));
        Ok(Split::Row(len, fault))
    }
}

/// Puts the cells of one row into `cells`, and where they end into `ends`.
fn split(
    bytes: &[u8],
    is_all: bool,
    Dialect { delimiter, quoting }: Dialect,
    cells: &mut Vec<u8>,
    ends: &mut Vec<usize>,
) -> Result<End, FaultKind> {
    let is_escape = |byte: u8| quoting.escapes && byte == b'\\';
    let mut at = 0;
    loop {
        let start = cells.len();
        let is_quoted = quoting.quotes && bytes.get(at) == Some(&b'"');
        at += usize::from(is_quoted);
        loop {
            let rest = &bytes[at..];
            let stops = |byte: u8| match is_quoted {
                true => byte == b'"' || is_escape(byte),
                false => byte == delimiter || byte == b'\n' || byte == b'\r' || is_escape(byte),
            };
            let len = rest.iter().position(|byte| stops(*byte));
            cells.extend_from_slice(&rest[..len.unwrap_or(rest.len())]);
            at += len.unwrap_or(rest.len());
            let behind = match bytes.get(at..).unwrap_or_default() {
                [] if !is_all => return Ok(End::Unfinished),
                [] if is_quoted => return Err(FaultKind::Unclosed),
                [byte, behind @ ..] if is_escape(*byte) => behind,
                [_, b'"', ..] if is_quoted => {
                    cells.push(b'"');
                    at += 2;
                    continue;
                }
                [_] if is_quoted && !is_all => return Ok(End::Unfinished),
                _ => break,
            };
            // What is escaped is at most two bytes, and what tells `\N` from text is one behind it.
            if behind.len() < 2 && !is_all {
                return Ok(End::Unfinished);
            }
            let is_whole = !is_quoted && cells.len() == start;
            at += 1 + escaped(behind, is_whole, delimiter, cells)?;
        }
        at += usize::from(is_quoted);
        ends.push(cells.len());
        match bytes[at..] {
            [] => return Ok(End::At(at)),
            [b'\r'] if !is_all => return Ok(End::Unfinished),
            [b'\r', b'\n', ..] => return Ok(End::At(at + 2)),
            [b'\r' | b'\n', ..] => return Ok(End::At(at + 1)),
            [byte, ..] if byte == delimiter => {
                cells.push(delimiter);
                at += 1;
            }
            _ => {
                ends.pop();
                return Err(FaultKind::BehindQuote(at as u64));
            }
        }
    }
}

/// Adds what a backslash makes of the bytes behind it, and says how many of them that are.
///
/// MySQL and PostgreSQL write so. `\N` as the whole of a cell is none.
fn escaped(
    behind: &[u8],
    is_whole: bool,
    delimiter: u8,
    cell: &mut Vec<u8>,
) -> Result<usize, FaultKind> {
    let byte = match *behind {
        [b'N', ref rest @ ..]
            if is_whole
                && rest
                    .first()
                    .is_none_or(|next| [delimiter, b'\n', b'\r'].contains(next)) =>
        {
            return Ok(1);
        }
        [b'\r', b'\n', ..] => {
            cell.extend_from_slice(b"\r\n");
            return Ok(2);
        }
        [b'n', ..] => b'\n',
        [b'r', ..] => b'\r',
        [b't', ..] => b'\t',
        [byte, ..] if byte.is_ascii_punctuation() || byte.is_ascii_whitespace() => byte,
        _ => return Err(FaultKind::Escape),
    };
    cell.push(byte);
    Ok(1)
}

/// The rows of a file, one after the other.
#[derive(Debug)]
pub(in crate::source) struct Splitter<'f> {
    file: &'f Bytes,
    dialect: Dialect,
    /// The longest row, in bytes.
    most: u64,
    piece: Piece,
    /// Where in the file the piece is.
    at: u64,
    /// How much of it has been given.
    given: usize,
    /// Whether the file ends with it.
    is_last: bool,
    /// How long the next one may be.
    room: usize,
    /// The row that was given last: a line of the piece, or else what is in the buffer.
    line: Option<Range<usize>>,
    row: RowBuffer,
}

/// A part of the file.
#[derive(Debug)]
enum Piece {
    /// Whole lines. Each is a row, or is empty.
    Lines(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl<'f> Splitter<'f> {
    /// Begins at a byte of a file.
    pub(super) fn new(file: &'f Bytes, at: u64, dialect: Dialect, most: u64) -> Self {
        Self {
            file,
            dialect,
            most,
            piece: Piece::Bytes(Vec::new()),
            at,
            given: 0,
            is_last: false,
            room: usize::try_from(most).unwrap_or(PIECE).min(PIECE),
            line: None,
            row: RowBuffer::default(),
        }
    }

    /// Goes to the next row, and says where in the file it starts; `None` behind the last. Behind a fault that is not of its
    /// row alone there is nothing to be read.
    pub(in crate::source) fn advance(&mut self) -> io::Result<Option<Result<u64, Fault>>> {
        loop {
            match &self.piece {
                Piece::Lines(lines) => {
                    while self.given < lines.len() {
                        let start = self.given;
                        let rest = &lines.as_bytes()[start..];
                        let len = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                        let line = &rest[..len];
                        let line = line.strip_suffix(b"\n").unwrap_or(line);
                        let line = line.strip_suffix(b"\r").unwrap_or(line);
                        self.given += len;
                        if line.is_empty() {
                            continue;
                        }
                        let ends = &mut self.row.ends;
                        ends.clear();
                        ends.extend(memchr_iter(self.dialect.delimiter, line));
                        ends.push(line.len());
                        self.line = Some(start..start + line.len());
                        return Ok(Some(self.measured(start, len)));
                    }
                }
                Piece::Bytes(bytes) => {
                    let rest = &bytes[self.given..];
                    let is_break = |byte: &&u8| matches!(byte, b'\n' | b'\r');
                    let start = self.given + rest.iter().take_while(is_break).count();
                    self.given = start;
                    if start < bytes.len() {
                        let at = self.at + start as u64;
                        let dialect = self.dialect;
                        let split = self.row.split(&bytes[start..], self.is_last, at, dialect);
                        self.line = None;
                        match split {
                            Ok(Split::Row(len, fault)) => {
                                self.given += len;
                                let at = self.measured(start, len);
                                return Ok(Some(fault.map_or(at, Err)));
                            }
                            Ok(Split::Unfinished) if start > 0 => {}
                            Ok(Split::Unfinished) if self.room as u64 > self.most => {
                                return Ok(Some(Err(self.too_long(start))));
                            }
                            Ok(Split::Unfinished) => self.room *= 2,
                            Err(fault) => return Ok(Some(Err(fault))),
                        }
                    }
                }
            }
            let is_done = match &self.piece {
                Piece::Lines(lines) => self.given == lines.len(),
                Piece::Bytes(bytes) => self.given == bytes.len(),
            };
            if self.is_last && is_done {
                return Ok(None);
            }
            self.load()?;
        }
    }

    /// The cells of the row that was given last.
    pub(in crate::source) fn cells(&self) -> RowCells<'_> {
        match (&self.line, &self.piece) {
            (Some(line), Piece::Lines(lines)) => RowCells {
                text: lines.get(line.clone()).unwrap_or_default(),
                ends: &self.row.ends,
            },
            _ => self.row.cells(),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Where the next row begins, or what is between.
    pub(super) fn position(&self) -> u64 {
        self.at + self.given as u64
    }

    fn measured(&self, start: usize, len: usize) -> Result<u64, Fault> {
        match len as u64 > self.most {
            true => Err(self.too_long(start)),
            false => Ok(self.at + start as u64),
        }
    }

    fn too_long(&self, start: usize) -> Fault {
        Fault {
            at: self.at + start as u64,
            column: 0,
            what: FaultKind::TooLong,
        }
    }

    /// Reads what follows what was given.
    fn load(&mut self) -> io::Result<()> {
        self.at += self.given as u64;
        self.given = 0;
        let mut bytes = match std::mem::replace(&mut self.piece, Piece::Bytes(Vec::new())) {
            Piece::Lines(lines) => lines.into_bytes(),
            Piece::Bytes(bytes) => bytes,
        };
        bytes.resize(self.room, 0);
        let filled = self.file.fill(self.at, &mut bytes)?;
        bytes.truncate(filled);
        self.is_last = filled < self.room;
        // What follows the last line end comes with the next piece.
        let whole = match self.is_last {
            true => filled,
            false => memrchr(b'\n', &bytes).map_or(0, |end| end + 1),
        };
        self.piece = match whole > 0 && are_lines(&bytes[..whole], self.dialect.quoting) {
            false => Piece::Bytes(bytes),
            true => {
                bytes.truncate(whole);
                match String::from_utf8(bytes) {
                    Ok(lines) => Piece::Lines(lines),
                    Err(error) => Piece::Bytes(error.into_bytes()),
                }
            }
        };
        Ok(())
    }
}

/// Whether each line is a row or empty: nothing is quoted or escaped, and a carriage return ends no row by itself.
fn are_lines(lines: &[u8], quoting: Quoting) -> bool {
    memchr(0, lines).is_none()
        && !(quoting.escapes && memchr(b'\\', lines).is_some())
        && match quoting.quotes {
            true => memchr2_iter(b'"', b'\r', lines)
                .all(|at| lines[at] == b'\r' && lines.get(at + 1) == Some(&b'\n')),
            false => memchr_iter(b'\r', lines).all(|at| lines.get(at + 1) == Some(&b'\n')),
        }
}
