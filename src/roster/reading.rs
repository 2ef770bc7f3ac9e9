//! What the text of a cell means: which texts are absent, and how others are read as a number, a date, or true or false.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::cell::{Cell, Kind};
use crate::config::{Decimal, Notation, Written};
use crate::number::Number;

/// How the cells of a table are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    /// Whose calendar days count, and times without an offset.
    pub(super) zone: &'a TimeZone,
    /// How the table writes its values.
    pub(super) notation: &'a Notation,
}

impl Reading<'_> {
    /// Whether a text stands for nothing.
    #[inline(always)]
    pub(super) fn is_absent(&self, text: &str) -> bool {
        self.notation.is_absent(text)
    }

    /// Whether it is one of the texts that the source writes where there is nothing.
    pub(super) fn is_null(&self, text: &str) -> bool {
        self.notation.is_null(text)
    }

    /// Reads a cell that is not absent; `None` where it is not of the kind. Nearly all are texts, in each of a million rows.
    #[inline(always)]
    pub(super) fn read<'t>(&self, text: &'t str, kind: Kind) -> Option<Cell<'t>> {
        match kind {
            Kind::Presence | Kind::Text => Some(Cell::Text(text)),
            Kind::Number => number(text, self.notation.decimal),
            Kind::Boolean => self.truth(text).map(Cell::Boolean),
            Kind::Date if self.notation.dates.is_empty() => date(text, self.zone),
            Kind::Date => self.written(text),
        }
    }

    /// `true` and `false`, or what the source writes for them, whatever their case.
    fn truth(&self, text: &str) -> Option<bool> {
        for truth in [true, false] {
            let (word, texts) = match truth {
                true => ("true", &self.notation.true_texts),
                false => ("false", &self.notation.false_texts),
            };
            let is_one = |one: &String| one == text || *one == text.to_lowercase();
            if text.eq_ignore_ascii_case(word) || texts.iter().any(is_one) {
                return Some(truth);
            }
        }
        None
    }

    /// A date as the source writes them. Where two formats read it, they must read the same.
    fn written(&self, text: &str) -> Option<Cell<'static>> {
        let formats = self.notation.dates.iter();
        let mut found = formats.filter_map(|format| format.read(text));
        let first = found.next()?;
        if found.any(|other| other != first) {
            return None;
        }
        match first {
            Written::Day(day) => Some(Cell::Date(day)),
            Written::Local(at) => moment(at, self.zone),
            Written::Offset(at, offset) => moment(at, &offset.to_time_zone()),
        }
    }
}

/// A decimal number: a sign, digits, and a fraction behind a point or behind what the source says. Its thousands may be
/// apart, where that cannot be read in two ways.
pub(super) fn number(text: &str, decimal: Option<Decimal>) -> Option<Cell<'static>> {
    let point = match decimal {
        Some(Decimal::Comma) => None,
        _ => plain_number(text),
    };
    point.or_else(|| plain_number(&without_groups(text, decimal)?))
}

/// A sign, digits, and a fraction behind a point.
fn plain_number(text: &str) -> Option<Cell<'static>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    if !are_digits(whole) || !fraction.is_none_or(are_digits) {
        return None;
    }
    if let (None, Ok(exact)) = (fraction, text.parse()) {
        return Some(Cell::Integer(exact));
    }
    Number::parse(text).map(Cell::Decimal)
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number with a point before its fraction, and nothing between its thousands.
///
/// Where nobody says what stands before a fraction, a comma that is alone may be that or stand between thousands: that is
/// two ways to read it, and none is taken.
fn without_groups(text: &str, decimal: Option<Decimal>) -> Option<String> {
    let mark = decimal.unwrap_or(Decimal::Point).mark();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let sign = &text[..text.len() - unsigned.len()];
    let (whole, fraction) = match unsigned.split_once(mark) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let is_apart = |c: char| c != mark && ".,' \u{a0}\u{2009}\u{202f}\u{2019}".contains(c);
    let mut groups = whole.split(is_apart);
    let first = groups.next()?;
    let mut digits = format!("{sign}{first}");
    let mut count = 0;
    for group in groups {
        if group.len() != 3 || !are_digits(group) {
            return None;
        }
        digits.push_str(group);
        count += 1;
    }
    let mut separators = whole.matches(is_apart);
    let separator = separators.next();
    let is_grouped = (1..=3).contains(&first.len()) && !first.starts_with('0');
    let is_doubtful =
        decimal.is_none() && separator == Some(",") && count == 1 && fraction.is_none();
    if count > 0 && (!is_grouped || is_doubtful || separators.any(|one| Some(one) != separator)) {
        return None;
    }
    if let Some(fraction) = fraction {
        digits.push('.');
        digits.push_str(fraction);
    }
    Some(digits)
}

/// `2025-03-01`, or with a time after `T` or a space: with an offset as in RFC 3339, or without one, then of the zone.
fn date(text: &str, zone: &TimeZone) -> Option<Cell<'static>> {
    let (day, rest) = text.split_at_checked(10)?;
    let day = calendar_day(day.as_bytes())?;
    if rest.is_empty() {
        return Some(Cell::Date(day));
    }
    let time = rest.strip_prefix(['T', 't', ' '])?;
    // The parsers below know more forms than these: a zone in brackets, a week's day.
    let plain = |byte: u8| byte.is_ascii_digit() || b":.+-Zz".contains(&byte);
    if time.get(2..3) != Some(":") || !time.bytes().all(plain) {
        return None;
    }
    match time.find(['Z', 'z', '+', '-']) {
        None => moment(text.parse().ok()?, zone),
        Some(end) => match text.parse() {
            Ok(at) => Some(Cell::Moment(at)),
            Err(_) if day.year() == Date::MAX.year() => {
                let local: DateTime = text[..text.len() - time.len() + end].parse().ok()?;
                moment(local, &TimeZone::UTC)
            }
            Err(_) => None,
        },
    }
}

/// A moment of a zone. The end of the calendar, `9999-12-31 23:59:59`, is a moment too, and no other is later: what has no
/// end is often written so.
fn moment(at: DateTime, zone: &TimeZone) -> Option<Cell<'static>> {
    match zone.to_timestamp(at) {
        Ok(at) => Some(Cell::Moment(at)),
        Err(_) if at.year() == Date::MAX.year() => Some(Cell::Date(at.date())),
        Err(_) => None,
    }
}

/// By hand, since a table may hold one in each of a million rows.
fn calendar_day(text: &[u8]) -> Option<Date> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i16, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i16::from(digit - b'0'))
        })
    };
    let year = number(&[y1, y2, y3, y4])?;
    let month = number(&[m1, m2])?.try_into().ok()?;
    let day = number(&[d1, d2])?.try_into().ok()?;
    Date::new(year, month, day).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DateFormat;

    fn zone() -> TimeZone {
        TimeZone::get("Europe/Amsterdam").unwrap()
    }

    fn moment(text: &str) -> Cell<'static> {
        Cell::Moment(text.parse().unwrap())
    }

    fn decimal(text: &str) -> Cell<'static> {
        Cell::Decimal(Number::parse(text).unwrap())
    }

    #[test]
    fn numbers_are_plain_decimals_exact_where_they_are_whole() {
        for (text, cell) in [
            ("0", Cell::Integer(0)),
            ("-12", Cell::Integer(-12)),
            ("+007", Cell::Integer(7)),
            ("9223372036854775807", Cell::Integer(i64::MAX)),
            ("9223372036854775808", decimal("9223372036854775808.0")),
            ("1.50", decimal("1.5")),
        ] {
            assert_eq!(number(text, None), Some(cell), "{text}");
        }
        let huge = "9".repeat(400);
        for text in [
            " 1", "1 ", "1,5", "1.", ".5", "1e5", "nan", "inf", "-", "--1", "0x1", "1_000", "٣",
            "", ",", "1,", "-,1", &huge,
        ] {
            assert_eq!(number(text, None), None, "{text}");
        }
    }

    #[test]
    fn thousands_are_read_where_there_is_one_way_to_read_them() {
        use Decimal::{Comma, Point};
        let (whole, part) = (Some(1_250_000.0), Some(1250.75));
        for (text, unsaid, point, comma) in [
            ("1,250,000", whole, whole, None),
            ("1.250.000", None, None, whole),
            ("1 250 000", whole, whole, whole),
            ("1\u{a0}250\u{202f}000", None, None, None),
            ("1'250'000", whole, whole, whole),
            ("1,250.75", part, part, None),
            ("1.250,75", None, None, part),
            ("1250,75", None, None, part),
            ("1250.75", part, part, None),
            // A thousand and some, or one and a quarter?
            ("1,250", None, Some(1250.0), Some(1.25)),
            ("1.250", Some(1.25), Some(1.25), Some(1250.0)),
            ("0.250", Some(0.25), Some(0.25), None),
            ("0,250", None, None, Some(0.25)),
            ("1250,000", None, None, Some(1250.0)),
            ("12,50,000", None, None, None),
            ("1,25", None, None, Some(1.25)),
            ("1,250,75", None, None, None),
            ("1.250.75", None, None, None),
            ("1,250 000", None, None, None),
            ("-1 250", Some(-1250.0), Some(-1250.0), Some(-1250.0)),
        ] {
            for (decimal, wanted) in [(None, unsaid), (Some(Point), point), (Some(Comma), comma)] {
                let found = number(text, decimal).map(|cell| match cell {
                    Cell::Integer(number) => number as f64,
                    Cell::Decimal(number) => number.float(),
                    other => panic!("{other:?}"),
                });
                assert_eq!(found, wanted, "{text} with {decimal:?}");
            }
        }
    }

    #[test]
    fn dates_and_times_are_read_in_the_zone_where_they_have_no_offset() {
        for (text, cell) in [
            ("2025-03-01", Cell::Date(jiff::civil::date(2025, 3, 1))),
            ("2025-03-01T12:00:00Z", moment("2025-03-01T12:00:00Z")),
            (
                "2025-03-01T12:00:00.5+01:00",
                moment("2025-03-01T11:00:00.5Z"),
            ),
            ("2025-03-01T12:00:00", moment("2025-03-01T11:00:00Z")),
            ("2025-07-01 12:00:00", moment("2025-07-01T10:00:00Z")),
            ("9999-12-31 23:59:59", Cell::Date(Date::MAX)),
            ("9999-12-31T23:59:59Z", Cell::Date(Date::MAX)),
            ("9999-12-31T23:59:59.999999+01:00", Cell::Date(Date::MAX)),
        ] {
            assert_eq!(date(text, &zone()), Some(cell), "{text}");
        }
        for text in [
            "2025-3-1",
            "01-03-2025",
            "2025-02-30",
            "2025-13-01",
            "20250301",
            "2025-03-01 ",
            "2025-03-01T",
            "2025-03-01T25:00:00",
            "2025-03-01T12:00:00[Europe/Paris]",
            "2025-W09-6",
            "+002025-03-01",
            "2025-03-01T12",
            "0000-00-00",
            "9999-12-31 24:00:00",
            "9999-12-31T25:00:00Z",
            "é025-03-01",
            "2025-03-0é",
        ] {
            assert_eq!(date(text, &zone()), None, "{text}");
        }
    }

    #[test]
    fn a_source_says_how_it_writes_dates_truth_and_nothing() {
        let zone = zone();
        let formats = ["%d-%m-%Y", "%d-%m-%Y %H:%M", "%Y-%d-%m", "%Y-%m-%d"];
        let notation = Notation {
            dates: formats.map(|text| DateFormat::new(text).unwrap()).to_vec(),
            true_texts: vec!["ja".to_owned()],
            false_texts: vec!["nee".to_owned(), "né".to_owned()],
            null: vec!["NULL".to_owned(), "-".to_owned()],
            ..Notation::default()
        };
        let reading = Reading {
            zone: &zone,
            notation: &notation,
        };
        let day = |text: &str| Some(Cell::Date(text.parse().unwrap()));
        for (text, cell) in [
            ("31-12-2025", day("2025-12-31")),
            ("31-12-2025 13:00", Some(moment("2025-12-31T12:00:00Z"))),
            ("31-12-9999 23:59", day("9999-12-31")),
            ("2025-12-31", day("2025-12-31")),
            ("2025-31-12", day("2025-12-31")),
            ("2025-03-03", day("2025-03-03")),
            // Two formats read two days.
            ("2025-03-01", None),
        ] {
            assert_eq!(reading.read(text, Kind::Date), cell, "{text}");
        }
        for (text, truth) in [
            ("ja", Some(true)),
            ("JA", Some(true)),
            ("NÉ", Some(false)),
            ("True", Some(true)),
            ("FALSE", Some(false)),
            ("yes", None),
            ("true ", None),
        ] {
            let cell = truth.map(Cell::Boolean);
            assert_eq!(reading.read(text, Kind::Boolean), cell, "{text}");
        }
        for (text, is_absent) in [
            ("", true),
            (" \t\u{a0}", true),
            ("NULL", true),
            ("-", true),
            ("null", false),
        ] {
            assert_eq!(reading.is_absent(text), is_absent, "{text:?}");
        }
    }
}
