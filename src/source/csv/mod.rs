//! CSV files. Quoting is as in RFC 4180, and no other: a cell that begins with a quote ends with one. Lines end in LF, CRLF
//! or CR; blank lines and a byte order mark are skipped. The separator is the one configured, else the one of `,`, `;` and
//! tab under which the header has the contact column, or the most columns. The header's names follow the rules for names.
//! All cells are UTF-8.
//!
//! A file stays open for as long as its table lives: a new export that is renamed into place does not disturb a run under
//! way. One that is written over in place is noticed and refused.

mod bytes;
mod header;
mod lines;
mod split;

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;

pub(super) use bytes::Bytes;
pub use lines::Lines;
pub use split::RowBuffer;
pub(super) use split::{Fault, Splitter};

use encoding_rs::Encoding;

use super::error::SourceProblem;
use crate::config::Quoting;
use header::{Header, header};

/// An open file whose header is read.
#[derive(Debug)]
pub(super) struct Csv {
    pub(super) file: Bytes,
    opened: Metadata,
    header: Header,
    pub(super) ends_with_line_end: bool,
}

impl Csv {
    pub(super) fn open(
        path: &Path,
        encoding: Option<&'static Encoding>,
        delimiter: Option<u8>,
        quoting: Quoting,
        contact: Option<&str>,
    ) -> Result<Self, SourceProblem> {
        // Asked first: opening a pipe would wait for its other end.
        if !std::fs::metadata(path)?.is_file() {
            return Err(SourceProblem::NotAFile);
        }
        let file = File::open(path)?;
        let opened = file.metadata()?;
        let file = Bytes::new(file, encoding)?;
        let header = header(&file, delimiter, quoting, contact)?;
        Ok(Self {
            ends_with_line_end: file.ends_with_line_end(opened.len())?,
            file,
            opened,
            header,
        })
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.header.columns
    }

    /// Begins at the first row.
    pub(super) fn rows(&self) -> Splitter<'_> {
        Splitter::new(
            &self.file,
            self.header.end,
            self.header.dialect,
            super::MAX_ROW,
        )
    }

    /// Reads the row at a byte of the file again.
    pub(super) fn row(&self, at: u64, buffer: &mut RowBuffer) -> Result<(), SourceProblem> {
        let found = buffer.read(&self.file, at, self.header.dialect)?;
        match found && buffer.cells().len() == self.columns().len() {
            true => Ok(()),
            false => Err(SourceProblem::Changed),
        }
    }

    pub(super) fn written(&self) -> Option<SystemTime> {
        self.opened.modified().ok()
    }

    /// Checks that the file was not written to since it was opened, as far as its length and time tell.
    pub(super) fn check_unchanged(&self) -> Result<(), SourceProblem> {
        let now = self.file.file().metadata()?;
        match now.len() == self.opened.len() && now.modified().ok() == self.written() {
            true => Ok(()),
            false => Err(SourceProblem::Changed),
        }
    }
}

impl From<io::Error> for SourceProblem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(error),
        }
    }
}
