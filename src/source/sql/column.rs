//! The columns of a query, and the text that each type becomes: the same for every database.

use super::spool::Writer;

/// A column of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct Column {
    pub(in crate::source) name: String,
    pub(super) kind: Kind,
}

/// What the database says of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text that compares byte by byte, if it is asked to.
    Text,
    /// Text of a fixed length, which spaces fill up.
    Padded,
    /// A whole number.
    Integer,
    /// An exact number with a fraction.
    Decimal,
    /// A number of four bytes that is not exact.
    Single,
    /// A number of eight bytes that is not exact.
    Double,
    /// True or false.
    Boolean,
    /// A calendar day.
    Date,
    /// A day and a time of no zone.
    Local,
    /// A moment.
    Moment,
    /// Bytes.
    Bytes,
    /// Each cell has a type of its own.
    Each,
    /// Anything else, as the database writes it.
    Other,
}

/// Adds a cell that a database gave as text.
pub(super) fn put(kind: Kind, text: &[u8], rows: &mut Writer) {
    match kind {
        Kind::Boolean => rows.cell(match text {
            b"t" | b"1" => b"true",
            b"f" | b"0" => b"false",
            other => other,
        }),
        Kind::Padded => rows.cell(text.trim_ascii_end()),
        Kind::Single => number::<f32>(text, rows),
        Kind::Double => number::<f64>(text, rows),
        Kind::Local => time(text, b"", rows),
        Kind::Moment => time(text.strip_suffix(b"+00").unwrap_or(text), b"Z", rows),
        Kind::Bytes => match text.strip_prefix(b"\\x").and_then(unhex) {
            Some(bytes) => rows.cell(&bytes),
            None => rows.cell(text),
        },
        _ => rows.cell(text),
    }
}

/// Adds a number that is not exact, as the shortest decimal that stands for it.
pub(super) fn float(number: impl std::fmt::Display + PartialEq + Default, rows: &mut Writer) {
    use std::io::Write;
    let number = match number == Default::default() {
        // There is no zero below zero.
        true => Default::default(),
        false => number,
    };
    rows.cell_by(|cell| _ = write!(cell, "{number}"));
}

fn number<F>(text: &[u8], rows: &mut Writer)
where
    F: std::str::FromStr + std::fmt::Display + PartialEq + Default,
{
    let parsed = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<F>().ok());
    match parsed {
        Some(value) if text.iter().any(u8::is_ascii_digit) => float(value, rows),
        _ => rows.cell(text),
    }
}

/// `2025-03-01 12:00:00.500000` as `2025-03-01T12:00:00.5`. What is no such time stays as it is.
fn time(text: &[u8], zone: &[u8], rows: &mut Writer) {
    let is_digit = |place: &usize| text[*place].is_ascii_digit();
    if text.len() < 19 || text[10] != b' ' || ![0, 3, 11, 17, 18].iter().all(is_digit) {
        return rows.cell(text);
    }
    let has_fraction = text.get(19) == Some(&b'.') && text[20..].iter().all(u8::is_ascii_digit);
    if !has_fraction && text.len() > 19 {
        return rows.cell(text);
    }
    let mut end = text.len();
    while has_fraction && matches!(text[end - 1], b'0' | b'.') {
        end -= 1;
        if text[end] == b'.' {
            break;
        }
    }
    rows.cell_by(|cell| {
        cell.extend_from_slice(&text[..10]);
        cell.push(b'T');
        cell.extend_from_slice(&text[11..end]);
        cell.extend_from_slice(zone);
    });
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| match pair {
            [a, b] => Some((digit(*a)? * 16 + digit(*b)?) as u8),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::spool::Spool;
    use super::*;
    use crate::source::RowBuffer;

    fn text(kind: Kind, text: &str) -> String {
        let spool = Arc::new(Spool::default());
        let mut rows = Writer::new(&spool, 1);
        put(kind, text.as_bytes(), &mut rows);
        rows.end_row();
        rows.end(Ok(None));
        let mut buffer = RowBuffer::default();
        assert!(spool.row(0, &mut buffer));
        buffer.cells().get(0).unwrap().to_owned()
    }

    #[test]
    fn every_type_has_one_text() {
        for (kind, from, to) in [
            (Kind::Text, " x ", " x "),
            (Kind::Padded, "NL   ", "NL"),
            (Kind::Decimal, "12.50", "12.50"),
            (Kind::Boolean, "t", "true"),
            (Kind::Boolean, "0", "false"),
            (Kind::Boolean, "7", "7"),
            (Kind::Double, "1e+21", "1000000000000000000000"),
            (Kind::Double, "-0", "0"),
            (Kind::Double, "0.1", "0.1"),
            (Kind::Single, "0.1", "0.1"),
            (Kind::Double, "NaN", "NaN"),
            (Kind::Date, "2025-03-01", "2025-03-01"),
            (Kind::Local, "2025-03-01 12:00:00", "2025-03-01T12:00:00"),
            (
                Kind::Local,
                "2025-03-01 12:00:00.500000",
                "2025-03-01T12:00:00.5",
            ),
            (
                Kind::Local,
                "2025-03-01 12:00:10.000000",
                "2025-03-01T12:00:10",
            ),
            (Kind::Local, "infinity", "infinity"),
            (
                Kind::Local,
                "0044-03-15 12:00:00 BC",
                "0044-03-15 12:00:00 BC",
            ),
            (
                Kind::Moment,
                "2025-03-01 12:00:00+00",
                "2025-03-01T12:00:00Z",
            ),
            (
                Kind::Moment,
                "2025-03-01 12:00:00.25",
                "2025-03-01T12:00:00.25Z",
            ),
            (Kind::Bytes, "\\x63726d", "crm"),
            (Kind::Bytes, "crm", "crm"),
        ] {
            assert_eq!(text(kind, from), to, "{kind:?} {from}");
        }
    }
}
