//! Lines that are broken at words to the width of a terminal, which would break them anywhere.

use std::io::{self, Write};

use textwrap::{Options, WordSeparator, WordSplitter, core::display_width};

/// What begins each line but the first of those that one is broken into.
const INDENT: &str = "      ";

/// Breaks the lines that pass it.
pub struct BrokenLines<W: Write> {
    to: W,
    /// The width; `None` leaves all lines as they are.
    width: Option<usize>,
    line: Vec<u8>,
}

impl<W: Write> BrokenLines<W> {
    /// Before a writer. A terminal that does not know its width says 0.
    pub fn new(to: W, width: Option<usize>) -> Self {
        let width = width.filter(|width| *width > 0);
        let line = Vec::new();
        Self { to, width, line }
    }

    /// Writes the line under way, without its end.
    fn write_line(&mut self, width: usize) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        match std::str::from_utf8(&line) {
            Ok(text) if display_width(text) > width => {
                // Ids and dates have hyphens, and are found again only in one piece.
                let options = Options::new(width)
                    .subsequent_indent(INDENT)
                    .break_words(false)
                    .word_separator(WordSeparator::AsciiSpace)
                    .word_splitter(WordSplitter::NoHyphenation);
                let parts = textwrap::wrap(text, options);
                self.to.write_all(parts.join("\n").as_bytes())
            }
            _ => self.to.write_all(&line),
        }
    }
}

impl<W: Write> Write for BrokenLines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(width) = self.width else {
            return self.to.write(bytes);
        };
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                None => self.line.extend_from_slice(part),
                Some(end) => {
                    self.line.extend_from_slice(end);
                    self.write_line(width)?;
                    self.to.write_all(b"\n")?;
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(width) = self.width {
            self.write_line(width)?;
        }
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str, width: Option<usize>) -> String {
        let mut out = Vec::new();
        let mut lines = BrokenLines::new(&mut out, width);
        for byte in text.as_bytes() {
            lines.write_all(&[*byte]).unwrap();
        }
        lines.flush().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_lines_that_are_too_long_are_broken_and_no_word_is() {
        let text = "- stop  crm-1042  gone  status is \"ex-customer\"\n  short\na-very-long-id-of-one-word x\nend";
        assert_eq!(
            broken(text, Some(24)),
            "- stop  crm-1042  gone\n      status is\n      \"ex-customer\"\n  short\n\
             a-very-long-id-of-one-word\n      x\nend"
        );
        for unknown in [None, Some(0)] {
            assert_eq!(broken(text, unknown), text);
        }
    }

    #[test]
    fn colours_take_no_room() {
        let text = "\u{1b}[31m- stop\u{1b}[0m crm-1";
        assert_eq!(broken(text, Some(12)), text);
    }
}
