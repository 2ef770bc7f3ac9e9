//! Conditions, compiled once and tested on every row.

use std::cmp::Ordering;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::cell::{Cell, Cells, Kind, Unreadable};
use crate::config::{Condition, Span, Test};
use crate::source::quoted;

/// What spans like `within = "30d"` count from.
#[derive(Debug, Clone)]
pub(super) struct Clock<'c> {
    pub(super) now: Timestamp,
    pub(super) zone: &'c TimeZone,
}

/// One key of a `where`, with the column it is about.
#[derive(Debug)]
pub(super) struct Clause<'c> {
    pub(super) condition: &'c Condition,
    column: usize,
    checks: Vec<Check<'c>>,
    zone: &'c TimeZone,
}

#[derive(Debug)]
struct Check<'c> {
    test: &'c Test,
    kind: Kind,
    rule: Rule<'c>,
}

#[derive(Debug)]
enum Rule<'c> {
    Any(Vec<Cell<'c>>),
    Not(Vec<Cell<'c>>),
    Exists(bool),
    /// By calendar days where one of the two is a day.
    Bound(Relation, Cell<'c>),
    /// By moments, always.
    Moment(Relation, Timestamp),
}

#[derive(Debug, Clone, Copy)]
enum Relation {
    AtLeast,
    AtMost,
    Before,
    After,
}

impl Relation {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Relation::AtLeast => order.is_ge(),
            Relation::AtMost => order.is_le(),
            Relation::Before => order.is_lt(),
            Relation::After => order.is_gt(),
        }
    }
}

impl<'c> Clause<'c> {
    pub(super) fn new(condition: &'c Condition, column: usize, clock: &Clock<'c>) -> Self {
        let checks = condition.tests.iter();
        Self {
            condition,
            column,
            checks: checks.map(|test| Check::new(test, clock)).collect(),
            zone: clock.zone,
        }
    }

    /// Whether the cell can be read whatever it holds, so that there is nothing to learn from a row that is out anyway.
    pub(super) fn reads_anything(&self) -> bool {
        let any = |check: &Check| matches!(check.kind, Kind::Presence | Kind::Text);
        self.checks.iter().all(any)
    }

    /// Whether all its tests hold.
    pub(super) fn holds<C: Cells + ?Sized>(&self, cells: &C) -> Result<bool, Issue<'c>> {
        let mut holds = true;
        for check in &self.checks {
            match cells.cell(self.column, check.kind) {
                Ok(cell) => holds &= check.holds(cell, self.zone),
                Err(Unreadable) => {
                    return Err(Issue {
                        condition: self.condition,
                        kind: check.kind,
                        found: quoted(&cells.text(self.column).unwrap_or_default()),
                    });
                }
            }
        }
        Ok(holds)
    }

    /// What is found and what was wanted, where a test does not hold: `status is "ex-customer", wanted "customer"`.
    pub(super) fn failure(&self, cells: &dyn Cells) -> Option<String> {
        let mut failing = self.checks.iter().filter(|check| {
            let cell = cells.cell(self.column, check.kind).unwrap_or_default();
            !check.holds(cell, self.zone)
        });
        let first = failing.next()?;
        let found = match cells.text(self.column) {
            Some(text) if !text.is_empty() => match first.kind {
                Kind::Presence | Kind::Text => quoted(&text),
                _ => text.escape_debug().to_string(),
            },
            _ => "empty".to_owned(),
        };
        let wanted: Vec<String> = std::iter::once(first)
            .chain(failing)
            .map(|check| wanted(check.test))
            .collect();
        let column = &self.condition.column;
        Some(format!(
            "{column} is {found}, wanted {}",
            wanted.join(" and ")
        ))
    }
}

impl<'c> Check<'c> {
    fn new(test: &'c Test, clock: &Clock<'c>) -> Self {
        let rule = match test {
            Test::Any(values) => Rule::Any(values.iter().map(Cell::from).collect()),
            Test::Not(values) => Rule::Not(values.iter().map(Cell::from).collect()),
            Test::Exists(there) => Rule::Exists(*there),
            Test::Min(value) => Rule::Bound(Relation::AtLeast, value.into()),
            Test::Max(value) => Rule::Bound(Relation::AtMost, value.into()),
            Test::Before(value) => Rule::Bound(Relation::Before, value.into()),
            Test::After(value) => Rule::Bound(Relation::After, value.into()),
            Test::Within(span) => since(Relation::AtLeast, *span, clock),
            Test::OlderThan(span) => since(Relation::Before, *span, clock),
        };
        let kind = match &rule {
            Rule::Any(values) | Rule::Not(values) => {
                values.first().map_or(Kind::Presence, Cell::kind)
            }
            Rule::Exists(_) => Kind::Presence,
            Rule::Bound(_, value) => value.kind(),
            Rule::Moment(..) => Kind::Date,
        };
        Self { test, kind, rule }
    }

    fn holds(&self, cell: Option<Cell<'_>>, zone: &TimeZone) -> bool {
        let is = |cell: Cell<'_>, value: &Cell<'_>| match (cell, value) {
            // Nearly all conditions are this one.
            (Cell::Text(a), Cell::Text(b)) => a == *b,
            _ => cell.order(*value, zone) == Some(Ordering::Equal),
        };
        match &self.rule {
            Rule::Any(values) => cell.is_some_and(|cell| values.iter().any(|v| is(cell, v))),
            Rule::Not(values) => cell.is_none_or(|cell| !values.iter().any(|v| is(cell, v))),
            Rule::Exists(there) => cell.is_some() == *there,
            Rule::Bound(relation, value) => cell
                .and_then(|cell| cell.order(*value, zone))
                .is_some_and(|order| relation.holds(order)),
            Rule::Moment(relation, moment) => cell
                .and_then(|cell| cell.moment(zone))
                .is_some_and(|found| relation.holds(found.cmp(moment))),
        }
    }
}

/// Now minus a span, as a bound. A span that reaches before the beginning of the calendar ends there.
fn since<'c>(relation: Relation, span: Span, clock: &Clock<'_>) -> Rule<'c> {
    match span {
        Span::Days(days) => {
            let today = clock.zone.to_datetime(clock.now).date();
            let days = jiff::Span::new().try_days(days);
            let day = days.and_then(|days| today.checked_sub(days));
            Rule::Bound(relation, Cell::Date(day.unwrap_or(Date::MIN)))
        }
        Span::Elapsed(elapsed) => {
            let moment = SignedDuration::try_from(elapsed)
                .and_then(|elapsed| clock.now.checked_sub(elapsed));
            Rule::Moment(relation, moment.unwrap_or(Timestamp::MIN))
        }
    }
}

/// A cell that cannot be read as a condition wants it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Issue<'c> {
    pub(super) condition: &'c Condition,
    pub(super) kind: Kind,
    pub(super) found: String,
}

impl Issue<'_> {
    /// `column last_order holds "31-12-2025", which is not a date, as lifecycle/customers.toml:9 wants it`
    pub(super) fn sentence(&self) -> String {
        let Issue {
            condition, found, ..
        } = self;
        let (column, place) = (&condition.column, &condition.place);
        let wanted = match self.kind {
            Kind::Presence | Kind::Text => "text",
            Kind::Number => "a number",
            Kind::Boolean => "true or false",
            Kind::Date => "a date",
        };
        format!("column {column} holds {found}, which is not {wanted}, as {place} wants it")
    }

    pub(super) fn help(&self) -> &'static str {
        match self.kind {
            Kind::Presence | Kind::Text => "compare it with a value of its own type",
            Kind::Number => {
                "write numbers as 1250 or 1250.75, and leave the cell empty where there is none"
            }
            Kind::Boolean => "write true or false, and leave the cell empty where neither is known",
            Kind::Date => {
                "write dates as 2025-03-01 or 2025-03-01T12:00:00Z, and leave the cell empty where there is none"
            }
        }
    }
}

/// What a test wants, in words that go on after "wanted".
fn wanted(test: &Test) -> String {
    match test {
        Test::Any(values) => one_of(values),
        Test::Not(values) => format!("anything but {}", one_of(values)),
        Test::Exists(true) => "a value".to_owned(),
        Test::Exists(false) => "it empty".to_owned(),
        Test::Min(value) => format!("at least {}", Cell::from(value)),
        Test::Max(value) => format!("at most {}", Cell::from(value)),
        Test::Before(value) => format!("before {}", Cell::from(value)),
        Test::After(value) => format!("after {}", Cell::from(value)),
        Test::Within(span) => format!("within {}", span_in_words(*span)),
        Test::OlderThan(span) => format!("older than {}", span_in_words(*span)),
    }
}

/// `"NL", "BE" or "LU"`
fn one_of(values: &[crate::config::Value]) -> String {
    let shown: Vec<String> = values
        .iter()
        .map(|value| match Cell::from(value) {
            Cell::Text(text) => quoted(text),
            other => other.to_string(),
        })
        .collect();
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}

fn span_in_words(span: Span) -> String {
    let (count, unit) = match span {
        Span::Days(days) => (u64::from(days), "day"),
        Span::Elapsed(elapsed) => match elapsed.as_secs() {
            seconds if seconds % 3600 == 0 => (seconds / 3600, "hour"),
            seconds if seconds % 60 == 0 => (seconds / 60, "minute"),
            seconds => (seconds, "second"),
        },
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
