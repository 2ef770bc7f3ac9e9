//! Cells: what a table holds in one place, read as the type that a condition wants, and compared.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::reading::Reading;
use crate::config::{DeclaredContact, Value, is_blank};
use crate::number::Number;
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
    /// As `true` or `false`, or as what the source writes for these.
    Boolean,
    /// As a calendar day, or as a moment.
    Date,
}

/// A cell that is not empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    Text(&'a str),
    Integer(i64),
    Decimal(Number),
    Boolean(bool),
    Date(Date),
    Moment(Timestamp),
}

/// By which a cell is looked up among the values that it may equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key<'a> {
    Text(&'a str),
    Integer(i64),
    /// A number that is not a whole one, or too large.
    Decimal(Number),
    Boolean(bool),
    Day(Date),
    Moment(Timestamp),
    /// Some moment of a day.
    Within(Date),
}

impl Hash for Key<'_> {
    /// Only the value: all keys of a look-up are of one kind or two, and each row hashes some.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Key::Text(text) => state.write(text.as_bytes()),
            Key::Integer(number) => number.hash(state),
            Key::Decimal(number) => number.hash(state),
            Key::Boolean(truth) => truth.hash(state),
            Key::Day(day) | Key::Within(day) => day.hash(state),
            Key::Moment(moment) => moment.hash(state),
        }
    }
}

/// A cell cannot be read as what a condition wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// A row of a table, or a declared contact.
pub(super) trait Cells {
    /// The cell in a column; `None` where it is empty.
    fn cell(&self, column: usize, kind: Kind) -> Result<Option<Cell<'_>>, Unreadable>;

    /// The cell as text; `None` where the declared contact has no such attribute. What stands for nothing is empty.
    fn text(&self, column: usize) -> Option<Cow<'_, str>>;

    /// The cell as a template sends it: the same, but where a declared contact's value is written in another way.
    fn written(&self, column: usize) -> Option<Cow<'_, str>> {
        self.text(column)
    }
}

/// A source's row. Everything in it is text.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceCells<'a> {
    pub(super) cells: RowCells<'a>,
    pub(super) reading: Reading<'a>,
}

impl Cells for SourceCells<'_> {
    fn cell(&self, column: usize, kind: Kind) -> Result<Option<Cell<'_>>, Unreadable> {
        match self.cells.get(column) {
            Some(text) if !self.reading.is_absent(text) => {
                let cell = self.reading.read(text, kind);
                cell.map(Some).ok_or(Unreadable)
            }
            _ => Ok(None),
        }
    }

    fn text(&self, column: usize) -> Option<Cow<'_, str>> {
        let text = self.cells.get(column)?;
        Some(Cow::Borrowed(match self.reading.is_null(text) {
            true => "",
            false => text,
        }))
    }
}

/// A declared contact's attributes, which have types of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeclaredCells<'a> {
    pub(super) columns: &'a [String],
    pub(super) contact: Option<&'a DeclaredContact>,
}

impl DeclaredCells<'_> {
    fn value(&self, column: usize) -> Option<&Value> {
        self.contact?.attributes.get(self.columns.get(column)?)
    }
}

impl Cells for DeclaredCells<'_> {
    fn cell(&self, column: usize, kind: Kind) -> Result<Option<Cell<'_>>, Unreadable> {
        let Some(cell) = self.value(column).map(Cell::from) else {
            return Ok(None);
        };
        match cell {
            Cell::Text(text) if is_blank(text) => Ok(None),
            _ if kind == Kind::Presence || kind == cell.kind() => Ok(Some(cell)),
            _ => Err(Unreadable),
        }
    }

    fn text(&self, column: usize) -> Option<Cow<'_, str>> {
        // Occurrences are such texts. They are on record, so they stay what they were however the value is written.
        self.value(column).map(|value| match value {
            Value::Text(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(Cell::from(other).to_string()),
        })
    }

    fn written(&self, column: usize) -> Option<Cow<'_, str>> {
        match self.contact?.written.get(self.columns.get(column)?) {
            Some(written) => Some(Cow::Borrowed(written)),
            None => self.text(column),
        }
    }
}

impl<'a> From<&'a Value> for Cell<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Text(text) => Cell::Text(text),
            Value::Integer(number) => Cell::Integer(*number),
            Value::Decimal(number) => Cell::Decimal(*number),
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
            Cell::Decimal(number) => number.fmt(f),
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
            Cell::Integer(_) | Cell::Decimal(_) => Kind::Number,
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
            (Cell::Decimal(a), Cell::Decimal(b)) => a.cmp(&b),
            (Cell::Integer(a), Cell::Decimal(b)) => Number::from(a).cmp(&b),
            (Cell::Decimal(a), Cell::Integer(b)) => a.cmp(&Number::from(b)),
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
            Cell::Decimal(number) => {
                let whole = number.integer().map(Key::Integer);
                [Some(whole.unwrap_or(Key::Decimal(number))), None]
            }
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
    pub(super) fn day(self, zone: &TimeZone) -> Option<Date> {
        match self {
            Cell::Date(day) => Some(day),
            Cell::Moment(moment) => Some(zone.to_datetime(moment).date()),
            _ => None,
        }
    }

    /// Its moment; for a calendar day that is its midnight. Behind the last moment of the calendar it is that.
    pub(super) fn moment(self, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Cell::Moment(moment) => Some(moment),
            Cell::Date(day) => {
                let midnight = zone.to_timestamp(day.to_datetime(jiff::civil::Time::midnight()));
                midnight
                    .ok()
                    .or((day >= LAST_DAY).then_some(Timestamp::MAX))
            }
            _ => None,
        }
    }
}

/// The last day that some zone's calendar has all of.
const LAST_DAY: Date = jiff::civil::date(9999, 12, 30);

#[cfg(test)]
mod tests {
    use super::*;

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
    fn numbers_compare_without_rounding() {
        let order = |a: Cell<'static>, b| a.order(b, &TimeZone::UTC);
        let next = Cell::Integer(9_007_199_254_740_993);
        assert_eq!(
            order(Cell::Integer(1), decimal("1.0")),
            Some(Ordering::Equal)
        );
        assert_eq!(
            order(Cell::Integer(-1), decimal("-1.5")),
            Some(Ordering::Greater)
        );
        assert_eq!(
            order(next, decimal("9007199254740992.0")),
            Some(Ordering::Greater)
        );
        let tenth = decimal("0.1000000000000000055511151231257827");
        assert_eq!(order(decimal("0.1"), tenth), Some(Ordering::Less));
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
            decimal("1.0"),
            decimal("1.5"),
            decimal("-0.0"),
            Cell::Integer(0),
            decimal("9223372036854775808"),
            decimal("-9223372036854775808"),
            Cell::Integer(i64::MIN),
            Cell::Integer(i64::MAX),
            decimal("1e300"),
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
}
