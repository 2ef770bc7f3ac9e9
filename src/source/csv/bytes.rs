//! The bytes of a file, as UTF-8 whatever it is written in. The rest of the reader sees no other encoding.
//!
//! A UTF-8 file is read as it stands. Of another one, a place is a byte of what it decodes to: where each block of the file
//! begins there is kept, so that a row can be read again without decoding all before it.

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::source::SourceProblem;

/// So many bytes are decoded at once.
const BLOCK: usize = 16 << 10;

/// So many bytes without a line end are decoded at once at the most.
const MOST: usize = 32 << 20;

/// Stands for what means nothing in the file's encoding. It means nothing in UTF-8 either.
const MALFORMED: u8 = 0xff;

/// An open file, from any byte on. Many readers share it.
#[derive(Debug)]
pub(in crate::source) struct Bytes {
    file: File,
    encoding: &'static Encoding,
    /// How long the byte order mark is.
    mark: u64,
    /// Of a file that is not UTF-8.
    blocks: Mutex<Blocks>,
}

/// The blocks of a file that were decoded so far: where they begin, in what they decode to and in the file.
#[derive(Debug)]
struct Blocks {
    starts: Vec<(u64, u64)>,
}

impl Bytes {
    /// Looks at how a file begins. A byte order mark says what it is written in, and otherwise the setting does.
    pub(super) fn new(
        file: File,
        setting: Option<&'static Encoding>,
    ) -> Result<Self, SourceProblem> {
        let mut start = [0; 4];
        let filled = fill(&file, 0, &mut start)?;
        let start = &start[..filled];
        if start.starts_with(b"PK\x03\x04") {
            return Err(SourceProblem::Workbook("an Excel workbook (.xlsx), or"));
        }
        if start.starts_with(b"\xd0\xcf\x11\xe0") {
            return Err(SourceProblem::Workbook("an Excel workbook (.xls), or"));
        }
        if start.starts_with(b"\x1f\x8b") {
            return Err(SourceProblem::Workbook("a file that gzip packed, or"));
        }
        let marked = Encoding::for_bom(start);
        let is_utf_16 = |encoding: &Encoding| [UTF_16LE, UTF_16BE].contains(&encoding);
        if let (Some((marked, _)), Some(setting)) = (marked, setting)
            && marked != setting
            && !(is_utf_16(marked) && is_utf_16(setting))
        {
            return Err(SourceProblem::OtherEncoding {
                marked: marked.name(),
                setting: setting.name(),
            });
        }
        let (encoding, mark) = marked.unwrap_or((setting.unwrap_or(UTF_8), 0));
        Ok(Self {
            file,
            encoding,
            mark: mark as u64,
            blocks: Mutex::new(Blocks {
                starts: vec![(0, mark as u64)],
            }),
        })
    }

    /// What it is written in.
    pub(super) fn encoding(&self) -> &'static str {
        self.encoding.name()
    }

    /// The file itself.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Where the text begins.
    pub(super) fn start(&self) -> u64 {
        match self.encoding == UTF_8 {
            true => self.mark,
            false => 0,
        }
    }

    /// Whether it ends with a line end, given its length in the file.
    pub(super) fn ends_with_line_end(&self, len: u64) -> io::Result<bool> {
        let mut last = [0; 2];
        let filled = fill(&self.file, len.saturating_sub(2), &mut last)?;
        let last = &last[..filled];
        let unit = match last {
            [low, high] if self.encoding == UTF_16LE => u16::from_le_bytes([*low, *high]),
            [high, low] if self.encoding == UTF_16BE => u16::from_be_bytes([*high, *low]),
            [.., byte] => u16::from(*byte),
            [] => 0,
        };
        Ok(unit == u16::from(b'\n') || unit == u16::from(b'\r'))
    }

    /// Reads from a byte on until the piece is full or the file ends.
    pub(super) fn fill(&self, at: u64, piece: &mut [u8]) -> io::Result<usize> {
        if self.encoding == UTF_8 {
            return fill(&self.file, at, piece);
        }
        let (mut start, mut raw) = self.block_of(at);
        let mut filled = 0;
        let mut block = Vec::new();
        while filled < piece.len() {
            let read = self.decode(raw, &mut block)?;
            if read == 0 {
                break;
            }
            let wanted = at + filled as u64;
            let skipped = usize::try_from(wanted - start).unwrap_or(usize::MAX);
            let rest = block.get(skipped..).unwrap_or_default();
            let count = rest.len().min(piece.len() - filled);
            piece[filled..filled + count].copy_from_slice(&rest[..count]);
            filled += count;
            start += block.len() as u64;
            raw += read as u64;
            self.note(start, raw);
        }
        Ok(filled)
    }

    /// The last block that is known to begin at or before a byte.
    fn block_of(&self, at: u64) -> (u64, u64) {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = blocks.starts.partition_point(|(start, _)| *start <= at);
        blocks.starts[behind.saturating_sub(1)]
    }

    /// Keeps where a block begins.
    fn note(&self, start: u64, raw: u64) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.starts.last().is_some_and(|(_, last)| *last < raw) {
            blocks.starts.push((start, raw));
        }
    }

    /// Decodes the block at a byte of the file, and says how many bytes of the file it is; 0 behind its end.
    fn decode(&self, raw: u64, block: &mut Vec<u8>) -> io::Result<usize> {
        block.clear();
        let mut room = BLOCK;
        let mut bytes = Vec::new();
        let len = loop {
            bytes.resize(room, 0);
            let filled = fill(&self.file, raw, &mut bytes)?;
            bytes.truncate(filled);
            match self.whole(&bytes, filled < room) {
                0 if filled == room && room < MOST => room *= 2,
                0 => break filled,
                len => break len,
            }
        };
        let mut source = &bytes[..len];
        let mut decoder = self.encoding.new_decoder_without_bom_handling();
        loop {
            let room = decoder.max_utf8_buffer_length_without_replacement(source.len());
            let done = block.len();
            block.resize(done + room.unwrap_or(source.len()).max(16), 0);
            let (result, read, written) =
                decoder.decode_to_utf8_without_replacement(source, &mut block[done..], true);
            block.truncate(done + written);
            source = &source[read..];
            match result {
                DecoderResult::InputEmpty => return Ok(len),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => block.push(MALFORMED),
            }
        }
    }

    /// How many of some bytes can be decoded without those behind them.
    fn whole(&self, bytes: &[u8], is_all: bool) -> usize {
        if is_all || self.encoding.is_single_byte() {
            return bytes.len();
        }
        if self.encoding != UTF_16LE && self.encoding != UTF_16BE {
            // A line end is never a part of another character.
            return memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
        }
        let len = bytes.len() & !1;
        let high = match self.encoding == UTF_16LE {
            true => bytes[..len].last(),
            false => bytes[..len].iter().nth_back(1),
        };
        // The first half of a character that is two.
        match high {
            Some(0xd8..=0xdb) => len - 2,
            _ => len,
        }
    }
}

/// Reads from a byte of the file on until the piece is full or the file ends.
fn fill(file: &File, at: u64, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match read_at(file, &mut piece[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, GB18030, SHIFT_JIS, WINDOWS_1252};
    use proptest::prelude::*;

    use super::*;

    /// A file that holds these bytes.
    fn bytes(content: &[u8], setting: Option<&'static Encoding>) -> Bytes {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, content).unwrap();
        Bytes::new(file, setting).unwrap()
    }

    fn utf_16(text: &str, encoding: &Encoding) -> Vec<u8> {
        let units = text.encode_utf16();
        let bytes = units.map(|unit| match encoding == UTF_16LE {
            true => unit.to_le_bytes(),
            false => unit.to_be_bytes(),
        });
        bytes.flatten().collect()
    }

    #[test]
    fn what_an_encoding_cannot_mean_stays_malformed() {
        for (encoding, content, text) in [
            (WINDOWS_1252, &b"a\x80\xeb"[..], "a€ë".as_bytes()),
            (SHIFT_JIS, b"a\x82\n", b"a\xff\n"),
            (UTF_16LE, b"a\0\0\xd8b\0", b"a\xffb"),
            (UTF_16LE, b"a\0b", b"a\xff"),
        ] {
            let mut piece = [0; 9];
            let filled = bytes(content, Some(encoding)).fill(0, &mut piece).unwrap();
            assert_eq!(&piece[..filled], text, "{}", encoding.name());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_file_is_read_from_any_byte_on_whatever_it_is_written_in(
            lines in prop::collection::vec("[a-zé漢𝄞あ,;]{0,40}", 0..2000),
            at in 0_usize..40_000,
            len in 1_usize..40_000,
        ) {
            let text = lines.join("\n");
            for encoding in [UTF_16LE, UTF_16BE, GB18030, BIG5, SHIFT_JIS, WINDOWS_1252] {
                let is_utf_16 = encoding == UTF_16LE || encoding == UTF_16BE;
                let content = match is_utf_16 {
                    true => utf_16(&text, encoding),
                    false => encoding.encode(&text).0.into_owned(),
                };
                let (wanted, _) = encoding.decode_without_bom_handling(&content);
                let wanted = wanted.as_bytes();
                let bytes = bytes(&content, Some(encoding));
                // From the end first, and then from where it is known.
                for at in [wanted.len().saturating_sub(3), at.min(wanted.len()), 0] {
                    let mut piece = vec![0; len];
                    let filled = bytes.fill(at as u64, &mut piece).unwrap();
                    let end = (at + len).min(wanted.len());
                    prop_assert!(piece[..filled] == wanted[at..end], "{} at {at}", encoding.name());
                }
            }
        }
    }
}
