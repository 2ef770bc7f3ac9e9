//! Cells: what a table holds in one place, read as the type that a condition wants, and compared.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::config::Value;
use crate::source::RowCells;

/// How a cell is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Not at all: whether it is there is what counts.
    Presence,
    /// As it is.
    Text,
    /// As a decimal number.
    Number,
    /// As `true` or `false`, whatever their case.
    Boolean,
    /// As a calendar day, or as a moment.
    Date,
}

/// A cell that is not empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    Text(&'a str),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Date(Date),
    Moment(Timestamp),
}

/// By which a cell is looked up among the values that it may equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key<'a> {
    Text(&'a str),
    Integer(i64),
    /// The bits of a number that is not a whole one, or too large.
    Float(u64),
    Boolean(bool),
    Day(Date),
    Moment(Timestamp),
    /// Some moment of a day.
    Within(Date),
}

/// A cell cannot be read as what a condition wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// A row of a table, or a declared contact.
pub(super) trait Cells {
    /// The cell in a column; `None` where it is empty.
    fn cell(&self, column: usize, kind: Kind) -> Result<Option<Cell<'_>>, Unreadable>;

    /// The cell as text; `None` where the declared contact has no such attribute.
    fn text(&self, column: usize) -> Option<Cow<'_, str>>;
}

/// A source's row. Everything in it is text.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceCells<'a> {
    pub(super) cells: RowCells<'a>,
    pub(super) zone: &'a TimeZone,
}

impl Cells for SourceCells<'_> {
    fn cell(&self, column: usize, kind: Kind) -> Result<Option<Cell<'_>>, Unreadable> {
        match self.cells.get(column) {
            None | Some("") => Ok(None),
            Some(text) => read(text, kind, self.zone).map(Some).ok_or(Unreadable),
        }
    }

    fn text(&self, column: usize) -> Option<Cow<'_, str>> {
        self.cells.get(column).map(Cow::Borrowed)
    }
}

/// A declared contact's attributes, which have types of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeclaredCells<'a> {
    pub(super) columns: &'a [String],
    pub(super) attributes: Option<&'a BTreeMap<String, Value>>,
}

impl DeclaredCells<'_> {
    fn value(&self, column: usize) -> Option<&Value> {
        self.attributes?.get(self.columns.get(column)?)
    }
}

impl Cells for DeclaredCells<'_> {
    fn cell(&self, column: usize, kind: Kind) -> Result<Option<Cell<'_>>, Unreadable> {
        let Some(cell) = self.value(column).map(Cell::from) else {
            return Ok(None);
        };
        match cell {
            Cell::Text("") => Ok(None),
            _ if kind == Kind::Presence || kind == cell.kind() => Ok(Some(cell)),
            _ => Err(Unreadable),
        }
    }

    fn text(&self, column: usize) -> Option<Cow<'_, str>> {
        self.value(column).map(|value| match value {
            Value::Text(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(Cell::from(other).to_string()),
        })
    }
}

impl<'a> From<&'a Value> for Cell<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Text(text) => Cell::Text(text),
            Value::Integer(number) => Cell::Integer(*number),
            Value::Float(number) => Cell::Float(*number),
            Value::Boolean(truth) => Cell::Boolean(*truth),
            Value::Date(day) => Cell::Date(*day),
            Value::DateTime(moment) => Cell::Moment(*moment),
        }
    }
}

impl std::fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cell::Text(text) => f.write_str(text),
            Cell::Integer(number) => number.fmt(f),
            Cell::Float(number) => number.fmt(f),
            Cell::Boolean(truth) => truth.fmt(f),
            Cell::Date(day) => day.fmt(f),
            Cell::Moment(moment) => moment.fmt(f),
        }
    }
}

impl<'a> Cell<'a> {
    /// How a cell must be read to be compared with this one.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Cell::Text(_) => Kind::Text,
            Cell::Integer(_) | Cell::Float(_) => Kind::Number,
            Cell::Boolean(_) => Kind::Boolean,
            Cell::Date(_) | Cell::Moment(_) => Kind::Date,
        }
    }

    /// How two cells of one kind compare; `None` where their kinds differ. Where one is a calendar day, their days in
    /// the zone count.
    pub(super) fn order(self, other: Cell<'_>, zone: &TimeZone) -> Option<Ordering> {
        Some(match (self, other) {
            (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
            (Cell::Integer(a), Cell::Integer(b)) => a.cmp(&b),
            (Cell::Float(a), Cell::Float(b)) => return a.partial_cmp(&b),
            (Cell::Integer(a), Cell::Float(b)) => integer_and_float(a, b),
            (Cell::Float(a), Cell::Integer(b)) => integer_and_float(b, a).reverse(),
            (Cell::Boolean(a), Cell::Boolean(b)) => a.cmp(&b),
            (Cell::Moment(a), Cell::Moment(b)) => a.cmp(&b),
            _ => self.day(zone)?.cmp(&other.day(zone)?),
        })
    }

    /// The keys of a value that a condition wants, or of a cell that is found: they share one where the two are equal by
    /// [`Cell::order`].
    pub(super) fn keys(
        self,
        is_wanted: bool,
        zone: &TimeZone,
    ) -> impl Iterator<Item = Key<'a>> + use<'a> {
        let keys = match self {
            Cell::Text(text) => [Some(Key::Text(text)), None],
            Cell::Integer(number) => [Some(Key::Integer(number)), None],
            Cell::Float(number) if number.is_nan() => [None, None],
            Cell::Float(number)
                if number.trunc() == number && (-BEYOND..BEYOND).contains(&number) =>
            {
                [Some(Key::Integer(number as i64)), None]
            }
            Cell::Float(number) => [Some(Key::Float(number.to_bits())), None],
            Cell::Boolean(truth) => [Some(Key::Boolean(truth)), None],
            Cell::Date(day) => [
                Some(Key::Day(day)),
                (!is_wanted).then_some(Key::Within(day)),
            ],
            Cell::Moment(moment) => {
                let day = zone.to_datetime(moment).date();
                let day = if is_wanted {
                    Key::Within(day)
                } else {
                    Key::Day(day)
                };
                [Some(Key::Moment(moment)), Some(day)]
            }
        };
        keys.into_iter().flatten()
    }

    /// Its calendar day.
    fn day(self, zone: &TimeZone) -> Option<Date> {
        match self {
            Cell::Date(day) => Some(day),
            Cell::Moment(moment) => Some(zone.to_datetime(moment).date()),
            _ => None,
        }
    }

    /// Its moment; for a calendar day that is its midnight.
    pub(super) fn moment(self, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Cell::Moment(moment) => Some(moment),
            Cell::Date(day) => zone
                .to_timestamp(day.to_datetime(jiff::civil::Time::midnight()))
                .ok(),
            _ => None,
        }
    }
}

/// 2^63: the first float that is greater than every integer.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

/// Compares without rounding the integer, which a conversion to a float would do beyond 2^53.
fn integer_and_float(integer: i64, float: f64) -> Ordering {
    if float >= BEYOND {
        Ordering::Less
    } else if float < -BEYOND {
        Ordering::Greater
    } else {
        let whole = float.trunc();
        integer
            .cmp(&(whole as i64))
            .then(whole.partial_cmp(&float).unwrap_or(Ordering::Equal))
    }
}

/// Reads a cell that is not empty; `None` where it is not of the kind.
fn read<'a>(text: &'a str, kind: Kind, zone: &TimeZone) -> Option<Cell<'a>> {
    match kind {
        Kind::Presence | Kind::Text => Some(Cell::Text(text)),
        Kind::Number => number(text),
        Kind::Boolean if text.eq_ignore_ascii_case("true") => Some(Cell::Boolean(true)),
        Kind::Boolean if text.eq_ignore_ascii_case("false") => Some(Cell::Boolean(false)),
        Kind::Boolean => None,
        Kind::Date => date(text, zone),
    }
}

/// A plain decimal number: a sign, digits, and a fraction after a point.
fn number(text: &str) -> Option<Cell<'static>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !fraction.is_none_or(digits) {
        return None;
    }
    if let (None, Ok(exact)) = (fraction, text.parse()) {
        return Some(Cell::Integer(exact));
    }
    text.parse()
        .ok()
        .filter(|n: &f64| n.is_finite())
        .map(Cell::Float)
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
    if time.contains(['Z', 'z', '+', '-']) {
        text.parse().ok().map(Cell::Moment)
    } else {
        let civil: DateTime = text.parse().ok()?;
        zone.to_timestamp(civil).ok().map(Cell::Moment)
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

    fn zone() -> TimeZone {
        TimeZone::get("Europe/Amsterdam").unwrap()
    }

    fn moment(text: &str) -> Cell<'static> {
        Cell::Moment(text.parse().unwrap())
    }

    #[test]
    fn numbers_are_plain_decimals_exact_where_they_are_whole() {
        for (text, cell) in [
            ("0", Cell::Integer(0)),
            ("-12", Cell::Integer(-12)),
            ("+007", Cell::Integer(7)),
            ("9223372036854775807", Cell::Integer(i64::MAX)),
            (
                "9223372036854775808",
                Cell::Float(9_223_372_036_854_775_808.0),
            ),
            ("1.50", Cell::Float(1.5)),
        ] {
            assert_eq!(number(text), Some(cell), "{text}");
        }
        let huge = "9".repeat(400);
        for text in [
            " 1", "1 ", "1,5", "1.", ".5", "1e5", "nan", "inf", "-", "--1", "0x1", "1_000", "٣",
            &huge,
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_and_fractions_compare_without_rounding() {
        let order = |a: Cell<'static>, b| a.order(b, &TimeZone::UTC);
        let (big, next) = (9_007_199_254_740_992.0, 9_007_199_254_740_993);
        assert_eq!(
            order(Cell::Integer(1), Cell::Float(1.0)),
            Some(Ordering::Equal)
        );
        assert_eq!(
            order(Cell::Integer(1), Cell::Float(1.5)),
            Some(Ordering::Less)
        );
        assert_eq!(
            order(Cell::Integer(-1), Cell::Float(-1.5)),
            Some(Ordering::Greater)
        );
        assert_eq!(
            order(Cell::Integer(next), Cell::Float(big)),
            Some(Ordering::Greater)
        );
        assert_eq!(
            order(Cell::Float(big), Cell::Integer(next)),
            Some(Ordering::Less)
        );
        assert_eq!(
            order(Cell::Integer(i64::MAX), Cell::Float(1e300)),
            Some(Ordering::Less)
        );
        assert_eq!(
            order(Cell::Integer(i64::MIN), Cell::Float(-1e300)),
            Some(Ordering::Greater)
        );
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
            "é025-03-01",
            "2025-03-0é",
        ] {
            assert_eq!(date(text, &zone()), None, "{text}");
        }
    }

    #[test]
    fn a_moment_and_a_day_compare_by_the_day_in_the_zone() {
        let day = Cell::Date(jiff::civil::date(2025, 3, 2));
        let late = moment("2025-03-01T23:30:00Z");
        assert_eq!(late.order(day, &zone()), Some(Ordering::Equal));
        assert_eq!(late.order(day, &TimeZone::UTC), Some(Ordering::Less));
        assert_eq!(late.order(Cell::Text("x"), &zone()), None);
    }

    #[test]
    fn two_cells_share_a_key_where_they_are_equal() {
        let day = |text: &str| Cell::Date(text.parse().unwrap());
        let cells = [
            Cell::Text("1"),
            Cell::Integer(1),
            Cell::Float(1.0),
            Cell::Float(1.5),
            Cell::Float(-0.0),
            Cell::Integer(0),
            Cell::Float(BEYOND),
            Cell::Float(-BEYOND),
            Cell::Integer(i64::MIN),
            Cell::Integer(i64::MAX),
            Cell::Float(1e300),
            Cell::Boolean(true),
            Cell::Boolean(false),
            day("2025-03-01"),
            day("2025-03-02"),
            moment("2025-03-01T12:00:00Z"),
            moment("2025-03-01T13:00:00Z"),
            moment("2025-03-01T23:30:00Z"),
        ];
        for wanted in cells {
            for found in cells {
                let mut keys = found.keys(false, &zone());
                let share = keys.any(|key| wanted.keys(true, &zone()).any(|other| key == other));
                let is_equal = found.order(wanted, &zone()) == Some(Ordering::Equal);
                assert_eq!(share, is_equal, "{found:?} and {wanted:?}");
            }
        }
    }

    #[test]
    fn truth_values_are_read_whatever_their_case() {
        let truth = |text| read(text, Kind::Boolean, &TimeZone::UTC);
        assert_eq!(truth("TRUE"), Some(Cell::Boolean(true)));
        assert_eq!(truth("False"), Some(Cell::Boolean(false)));
        assert_eq!(truth("yes"), None);
        assert_eq!(truth("true "), None);
    }
}
