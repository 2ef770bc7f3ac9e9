//! Conditions, compiled once and tested on every row.

use std::cmp::Ordering;

use hashbrown::HashSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::cell::{Cell, Cells, Key, Kind, Unreadable};
use crate::config::{Condition, Span, Test, Value, is_blank};
use crate::text::{SafeText, quoted};

/// What spans like `within = "30d"` count from.
#[derive(Debug, Clone)]
pub(super) struct Clock<'c> {
    pub(super) now: Timestamp,
    pub(super) zone: &'c TimeZone,
}

impl Clock<'_> {
    fn today(&self) -> Date {
        self.zone.to_datetime(self.now).date()
    }
}

/// One key of a `where`, with the column it is about.
#[derive(Debug)]
pub(super) struct Clause<'c> {
    pub(super) condition: &'c Condition,
    pub(super) column: usize,
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
    Any(OneOf<'c>),
    Not(OneOf<'c>),
    Exists(bool),
    /// By calendar days where one of the two is a day.
    Bound(Relation, Cell<'c>),
    /// By moments, always.
    Moment(Relation, Timestamp),
    /// From the one to the other, both included.
    Between(Rules<'c>),
    /// Its day and month come up from this day up to so many days later.
    Anniversary(Date, u32),
}

/// Two rules that must both hold.
type Rules<'c> = Box<[Rule<'c>; 2]>;

/// Values of one kind, of which a cell may be one.
#[derive(Debug)]
enum OneOf<'c> {
    /// Compared one by one.
    Few(Vec<Cell<'c>>),
    /// Found by a look-up.
    Many(Kind, HashSet<Key<'c>>),
}

impl<'c> OneOf<'c> {
    /// So many values are compared as quickly as one is looked up.
    const FEW: usize = 8;

    fn new(values: &'c [Value], zone: &TimeZone) -> Self {
        let cells = values.iter().map(Cell::from);
        match values {
            [first, ..] if values.len() > Self::FEW => Self::Many(
                Cell::from(first).kind(),
                cells.flat_map(|cell| cell.keys(true, zone)).collect(),
            ),
            _ => Self::Few(cells.collect()),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Few(cells) => cells.first().map_or(Kind::Presence, Cell::kind),
            Self::Many(kind, _) => *kind,
        }
    }

    fn has(&self, cell: Cell<'_>, zone: &TimeZone) -> bool {
        match self {
            Self::Few(cells) => cells.iter().any(|value| match (cell, value) {
                // Nearly all conditions are this one.
                (Cell::Text(a), Cell::Text(b)) => a == *b,
                _ => cell.order(*value, zone) == Some(Ordering::Equal),
            }),
            Self::Many(_, keys) => cell.keys(false, zone).any(|key| keys.contains(&key)),
        }
    }
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
        let tests = condition.tests.iter();
        Self {
            condition,
            column,
            checks: tests.map(|test| Check::new(test, clock)).collect(),
            zone: clock.zone,
        }
    }

    pub(super) fn column(&self) -> usize {
        self.column
    }

    /// The kind that it reads its cell as. All its tests read it as one, but for those that ask whether it is there.
    pub(super) fn kind(&self) -> Kind {
        let mut kinds = self.checks.iter().map(|check| check.kind);
        kinds
            .find(|kind| *kind != Kind::Presence)
            .unwrap_or(Kind::Presence)
    }

    /// The values of which the cell must be one, where there are such.
    pub(super) fn wanted(&self) -> Option<impl Iterator<Item = Key<'c>>> {
        self.checks.iter().find_map(|check| match check.test {
            Test::Any(values) => {
                let cells = values.iter().map(Cell::from);
                Some(cells.flat_map(|cell| cell.keys(true, self.zone)))
            }
            _ => None,
        })
    }

    /// Whether it holds wherever the cell is one of these values.
    pub(super) fn wants_no_more(&self) -> bool {
        self.checks.len() == 1 && self.wanted().is_some()
    }

    /// Whether all its tests hold.
    pub(super) fn holds<C: Cells>(&self, cells: &C) -> bool {
        self.checks.iter().all(|check| {
            let cell = cells.cell(self.column, check.kind);
            cell.is_ok_and(|cell| check.holds(cell, self.zone))
        })
    }

    /// What is wrong with the cell, where it cannot be read as the condition wants it.
    pub(super) fn issue<C: Cells>(&self, cells: &C) -> Option<Issue<'c>> {
        let kind = self.kind();
        cells.cell(self.column, kind).err().map(|Unreadable| Issue {
            condition: self.condition,
            kind,
            found: cells.text(self.column).unwrap_or_default().into_owned(),
        })
    }

    /// What is found and what was wanted, where a test does not hold: `status is "ex-customer", wanted "customer"`.
    pub(super) fn failure(&self, cells: &dyn Cells) -> Option<String> {
        let mut failing = self.checks.iter().filter(|check| {
            let cell = cells.cell(self.column, check.kind).unwrap_or_default();
            !check.holds(cell, self.zone)
        });
        let first = failing.next()?;
        let found = match cells.text(self.column) {
            Some(text) if !is_blank(&text) => match first.kind {
                Kind::Presence | Kind::Text => quoted(&text),
                _ => SafeText(&text).to_string(),
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
            Test::Any(values) => Rule::Any(OneOf::new(values, clock.zone)),
            Test::Not(values) => Rule::Not(OneOf::new(values, clock.zone)),
            Test::Exists(there) => Rule::Exists(*there),
            Test::Min(value) => Rule::Bound(Relation::AtLeast, value.into()),
            Test::Max(value) => Rule::Bound(Relation::AtMost, value.into()),
            Test::Before(value) => Rule::Bound(Relation::Before, value.into()),
            Test::After(value) => Rule::Bound(Relation::After, value.into()),
            Test::Within(span) => Rule::Between(Box::new([
                since(Relation::AtLeast, *span, clock),
                until(Relation::AtMost, span.none(), clock),
            ])),
            Test::WithinNext(span) => Rule::Between(Box::new([
                until(Relation::AtLeast, span.none(), clock),
                until(Relation::AtMost, *span, clock),
            ])),
            Test::AnniversaryWithinNext(days) => Rule::Anniversary(clock.today(), *days),
            Test::OlderThan(span) => since(Relation::Before, *span, clock),
        };
        let kind = match &rule {
            Rule::Any(values) | Rule::Not(values) => values.kind(),
            Rule::Exists(_) => Kind::Presence,
            Rule::Bound(_, value) => value.kind(),
            Rule::Moment(..) | Rule::Between(_) | Rule::Anniversary(..) => Kind::Date,
        };
        Self { test, kind, rule }
    }

    fn holds(&self, cell: Option<Cell<'_>>, zone: &TimeZone) -> bool {
        self.rule.holds(cell, zone)
    }
}

impl Rule<'_> {
    fn holds(&self, cell: Option<Cell<'_>>, zone: &TimeZone) -> bool {
        match self {
            Rule::Any(values) => cell.is_some_and(|cell| values.has(cell, zone)),
            Rule::Not(values) => cell.is_none_or(|cell| !values.has(cell, zone)),
            Rule::Exists(there) => cell.is_some() == *there,
            Rule::Bound(relation, value) => cell
                .and_then(|cell| cell.order(*value, zone))
                .is_some_and(|order| relation.holds(order)),
            Rule::Moment(relation, moment) => cell
                .and_then(|cell| cell.moment(zone))
                .is_some_and(|found| relation.holds(found.cmp(moment))),
            Rule::Between(rules) => rules.iter().all(|rule| rule.holds(cell, zone)),
            Rule::Anniversary(today, days) => cell
                .and_then(|cell| cell.day(zone))
                .is_some_and(|day| comes_up(day, *today, *days)),
        }
    }
}

/// Whether the day and month of a day that is not to come are those of a day from today up to so many days later.
fn comes_up(day: Date, today: Date, days: u32) -> bool {
    // 29 February is the 28th where there is none.
    let in_year = |year: i16| {
        let same = Date::new(year, day.month(), day.day());
        same.or_else(|_| Date::new(year, day.month(), day.day() - 1))
    };
    let year = today.year();
    let next = in_year(year).ok().filter(|next| *next >= today);
    let next = next.or_else(|| in_year(year.checked_add(1)?).ok());
    let away = next.and_then(|next| today.until(next).ok());
    day <= today && away.is_some_and(|away| i64::from(away.get_days()) <= i64::from(days))
}

/// Now plus a span, as a bound. A span that reaches behind the end of the calendar ends there.
fn until<'c>(relation: Relation, span: Span, clock: &Clock<'_>) -> Rule<'c> {
    match span {
        Span::Days(days) => {
            let days = jiff::Span::new().try_days(days);
            let day = days.and_then(|days| clock.today().checked_add(days));
            Rule::Bound(relation, Cell::Date(day.unwrap_or(Date::MAX)))
        }
        Span::Elapsed(elapsed) => {
            let moment = SignedDuration::try_from(elapsed)
                .and_then(|elapsed| clock.now.checked_add(elapsed));
            Rule::Moment(relation, moment.unwrap_or(Timestamp::MAX))
        }
    }
}

/// Now minus a span, as a bound. A span that reaches before the beginning of the calendar ends there.
fn since<'c>(relation: Relation, span: Span, clock: &Clock<'_>) -> Rule<'c> {
    match span {
        Span::Days(days) => {
            let days = jiff::Span::new().try_days(days);
            let day = days.and_then(|days| clock.today().checked_sub(days));
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
        let (found, wanted) = (quoted(found), self.wanted());
        format!("column {column} holds {found}, which is not {wanted}, as {place} wants it")
    }

    /// The same of many rows, up to their number and behind it.
    pub(super) fn of_many(&self) -> (String, String) {
        let Condition { column, place, .. } = self.condition;
        let before = format!("column {column} holds what is not {}", self.wanted());
        (before, format!(", as {place} wants it"))
    }

    fn wanted(&self) -> &'static str {
        match self.kind {
            Kind::Presence | Kind::Text => "text",
            Kind::Number => "a number",
            Kind::Boolean => "true or false",
            Kind::Date => "a date",
        }
    }

    pub(super) fn help(&self) -> &'static str {
        match self.kind {
            Kind::Presence | Kind::Text => "compare it with a value of the same type",
            Kind::Number => {
                "write numbers as 1250 or 1250.75, and leave the cell empty if there is none"
            }
            Kind::Boolean => "write true or false, and leave the cell empty if you do not know",
            Kind::Date => {
                "write dates as 2025-03-01 or 2025-03-01T12:00:00Z, and leave the cell empty if there is none"
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
        Test::Within(span) => format!("within the last {}", span_in_words(*span)),
        Test::WithinNext(span) => format!("within the next {}", span_in_words(*span)),
        Test::AnniversaryWithinNext(0) => "an anniversary today".to_owned(),
        Test::AnniversaryWithinNext(days) => {
            format!(
                "an anniversary within the next {}",
                span_in_words(Span::Days(*days))
            )
        }
        Test::OlderThan(span) => format!("older than {}", span_in_words(*span)),
    }
}

/// `"NL", "BE" or "LU"`
fn one_of(values: &[Value]) -> String {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::source::RowCells;

    use super::*;
    use crate::config::{Notation, Value};
    use crate::number::Number;
    use crate::roster::cell::SourceCells;
    use crate::roster::reading::Reading;
    use crate::roster::testing::{date, moment, place, text};

    /// What comes of a test on a cell, with now at half past midnight of 2 March in Amsterdam: `true`, `false` or what
    /// is wrong with the cell.
    fn outcome(test: &Test, cell: &str) -> String {
        let zone = TimeZone::get("Europe/Amsterdam").unwrap();
        let clock = Clock {
            now: "2025-03-01T23:30:00Z".parse().unwrap(),
            zone: &zone,
        };
        let condition = Condition {
            column: "c".to_owned(),
            tests: vec![test.clone()],
            place: place(7),
        };
        let ends = [cell.len()];
        let cells = SourceCells {
            cells: RowCells::of(cell, &ends),
            reading: Reading {
                zone: &zone,
                notation: &Notation::default(),
            },
        };
        let clause = Clause::new(&condition, 0, &clock);
        if let Some(issue) = clause.issue(&cells) {
            return issue.sentence();
        }
        let holds = clause.holds(&cells);
        assert_eq!(clause.failure(&cells).is_none(), holds);
        holds.to_string()
    }

    #[track_caller]
    fn check(test: Test, holding: &[&str], failing: &[&str]) {
        for (cells, wanted) in [(holding, "true"), (failing, "false")] {
            for cell in cells {
                assert_eq!(outcome(&test, cell), wanted, "{test:?} of {cell:?}");
            }
        }
    }

    #[test]
    fn text_is_compared_exactly() {
        check(
            Test::Any(vec![text("NL"), text("BE")]),
            &["NL", "BE"],
            &["nl", "NL ", "", "DE"],
        );
        check(
            Test::Not(vec![text("NL"), text("BE")]),
            &["nl", "", "DE"],
            &["NL", "BE"],
        );
        check(Test::Any(vec![text("1")]), &["1"], &["1.0", "01"]);
    }

    #[test]
    fn presence_is_about_empty_cells() {
        check(Test::Exists(true), &["x", " x"], &["", " ", "\t\u{a0}"]);
        check(Test::Exists(false), &["", " "], &["x"]);
    }

    #[test]
    fn numbers_are_compared_by_value_and_their_bounds_are_inclusive() {
        let (whole, part) = (
            Value::Integer(10),
            Value::Decimal(Number::parse("2.5").unwrap()),
        );
        check(
            Test::Any(vec![whole.clone()]),
            &["10", "10.0", "010"],
            &["11", "10.5", ""],
        );
        check(Test::Not(vec![whole.clone()]), &["11", ""], &["10.0"]);
        check(
            Test::Min(whole.clone()),
            &["10", "10.01", "99999999999999999999"],
            &["9.99", "-11", ""],
        );
        check(Test::Max(part), &["2.5", "2", "-3"], &["2.51", "3", ""]);
        assert_eq!(
            outcome(&Test::Min(whole), "1,5"),
            "column c holds \"1,5\", which is not a number, as lifecycle/customers.toml:7 wants it"
        );
    }

    #[test]
    fn truth_values_are_compared_whatever_their_case() {
        check(
            Test::Any(vec![Value::Boolean(true)]),
            &["true", "TRUE", "True"],
            &["false", ""],
        );
        assert_eq!(
            outcome(&Test::Any(vec![Value::Boolean(true)]), "yes"),
            "column c holds \"yes\", which is not true or false, as lifecycle/customers.toml:7 wants it"
        );
    }

    #[test]
    fn before_and_after_are_exclusive_and_min_and_max_inclusive() {
        let day = || date("2025-03-01");
        check(
            Test::Before(day()),
            &["2025-02-28"],
            &["2025-03-01", "2025-03-01T10:00:00", ""],
        );
        check(
            Test::After(day()),
            &["2025-03-02"],
            &["2025-03-01", "2025-03-01T23:00:00", ""],
        );
        check(
            Test::Min(day()),
            &["2025-03-01", "2025-03-01 00:00:00"],
            &["2025-02-28", ""],
        );
        check(
            Test::Max(day()),
            &["2025-03-01", "2025-03-01 23:59:59"],
            &["2025-03-02", ""],
        );
        // Half past eleven in the evening in UTC is the next day in Amsterdam.
        check(
            Test::Any(vec![day()]),
            &["2025-02-28T23:30:00Z"],
            &["2025-03-01T23:30:00Z"],
        );
        let noon = || moment("2025-03-01T11:00:00Z");
        check(
            Test::Before(noon()),
            &["2025-03-01T11:59:59", "2025-02-28"],
            &["2025-03-01T12:00:00", "2025-03-01"],
        );
        assert_eq!(
            outcome(&Test::Before(day()), "31-12-2024"),
            "column c holds \"31-12-2024\", which is not a date, as lifecycle/customers.toml:7 wants it"
        );
    }

    #[test]
    fn within_is_the_past_and_within_next_is_to_come() {
        // It is 2 March in Amsterdam.
        let days = |days| Span::Days(days);
        check(
            Test::Within(days(1)),
            &["2025-03-01", "2025-03-02", "2025-03-02T23:59:59"],
            &["2025-02-28", "2025-03-03", "2025-03-02T23:00:00Z", ""],
        );
        check(
            Test::Within(days(0)),
            &["2025-03-02"],
            &["2025-03-01", "2025-03-03"],
        );
        check(
            Test::WithinNext(days(1)),
            &["2025-03-02", "2025-03-03", "2025-03-03T23:59:59"],
            &["2025-03-01", "2025-03-04", "2025-03-03T23:00:00Z", ""],
        );
        let hours = |hours: u64| Span::Elapsed(Duration::from_secs(hours * 3600));
        check(
            Test::Within(hours(2)),
            &["2025-03-01T23:30:00Z", "2025-03-01T21:30:00Z"],
            &["2025-03-01T23:30:01Z", "2025-03-01T21:29:59Z"],
        );
        check(
            Test::WithinNext(hours(2)),
            &["2025-03-01T23:30:00Z", "2025-03-02T01:30:00Z"],
            &["2025-03-01T23:29:59Z", "2025-03-02T01:30:01Z"],
        );
        check(
            Test::WithinNext(days(3_650_000)),
            &["9999-12-31"],
            &["2025-03-01"],
        );
    }

    #[test]
    fn an_anniversary_comes_up_by_day_and_month() {
        check(
            Test::AnniversaryWithinNext(0),
            &[
                "2024-03-02",
                "1970-03-02",
                "2025-03-02",
                "2025-03-01T23:30:00Z",
            ],
            &["2024-03-01", "2024-03-03", "2026-03-02", ""],
        );
        check(
            Test::AnniversaryWithinNext(7),
            &["2020-03-09", "2020-03-02"],
            &["2020-03-10", "2020-03-01", "2025-03-04"],
        );
        check(
            Test::AnniversaryWithinNext(365),
            &["2020-03-01", "2020-02-29"],
            &["2025-03-03"],
        );
        let day = |text: &str| text.parse::<Date>().unwrap();
        for (born, today, days, wanted) in [
            ("2020-02-29", "2025-02-28", 0, true),
            ("2020-02-29", "2025-03-01", 0, false),
            ("2020-02-29", "2024-02-28", 0, false),
            ("2020-02-29", "2024-02-28", 1, true),
            ("2020-02-29", "2024-02-29", 0, true),
            ("2020-02-29", "2024-12-31", 59, true),
            ("2020-02-29", "2024-12-31", 58, false),
            ("2020-01-01", "2024-12-31", 0, false),
            ("2020-01-01", "2024-12-31", 1, true),
            ("2020-12-31", "9999-12-31", 0, true),
            ("2020-01-01", "9999-12-31", 7, false),
        ] {
            let comes = comes_up(day(born), day(today), days);
            assert_eq!(comes, wanted, "{born} on {today}, {days}");
        }
    }

    #[test]
    fn within_and_older_than_days_are_opposites_by_the_calendar_of_the_zone() {
        let (recent, old) = (
            [
                "2025-02-20",
                "2025-02-20T00:00:00",
                "2025-02-19T23:00:00Z",
                "2025-03-02",
            ],
            [
                "2025-02-19",
                "2025-02-19T23:59:59",
                "2025-02-19T22:59:59Z",
                "0001-01-01",
            ],
        );
        let days = Span::Days(10);
        check(Test::Within(days), &recent, &[&old[..], &[""]].concat());
        check(Test::OlderThan(days), &old, &[&recent[..], &[""]].concat());
        check(Test::Within(Span::Days(u32::MAX)), &recent, &[""]);
    }

    #[test]
    fn within_and_older_than_hours_compare_moments() {
        let hour = Span::Elapsed(Duration::from_secs(3600));
        let recent = ["2025-03-01T22:30:00Z", "2025-03-02", "2025-03-01T23:30:00"];
        let old = ["2025-03-01T22:29:59Z", "2025-03-01", "2025-03-01T23:29:59"];
        check(Test::Within(hour), &recent, &[&old[..], &[""]].concat());
        check(Test::OlderThan(hour), &old, &[&recent[..], &[""]].concat());
        check(Test::Within(Span::Elapsed(Duration::MAX)), &recent, &[""]);
    }

    #[test]
    fn a_failure_says_what_was_found_and_what_was_wanted() {
        let zone = TimeZone::UTC;
        let clock = Clock {
            now: "2026-11-23T09:00:00Z".parse().unwrap(),
            zone: &zone,
        };
        let failure = |cell: &str, tests: &[Test]| {
            let condition = Condition {
                column: "c".to_owned(),
                tests: tests.to_vec(),
                place: place(7),
            };
            let ends = [cell.len()];
            let cells = SourceCells {
                cells: RowCells::of(cell, &ends),
                reading: Reading {
                    zone: &zone,
                    notation: &Notation::default(),
                },
            };
            Clause::new(&condition, 0, &clock).failure(&cells).unwrap()
        };
        let texts = |texts: &[&str]| texts.iter().map(|t| text(t)).collect::<Vec<_>>();
        let elapsed = |seconds| Span::Elapsed(Duration::from_secs(seconds));
        for (cell, tests, says) in [
            (
                "ex-customer",
                vec![Test::Any(texts(&["customer"]))],
                "c is \"ex-customer\", wanted \"customer\"",
            ),
            (
                "DE",
                vec![Test::Any(texts(&["NL", "BE", "LU"]))],
                "c is \"DE\", wanted \"NL\", \"BE\" or \"LU\"",
            ),
            (
                "",
                vec![Test::Any(texts(&["NL"]))],
                "c is empty, wanted \"NL\"",
            ),
            (
                "NL",
                vec![Test::Not(texts(&["NL", "BE"]))],
                "c is \"NL\", wanted anything but \"NL\" or \"BE\"",
            ),
            ("", vec![Test::Exists(true)], "c is empty, wanted a value"),
            (
                "\u{1b}[1m",
                vec![Test::Exists(false)],
                "c is \"\\u{1b}[1m\", wanted it empty",
            ),
            (
                "7",
                vec![Test::Min(Value::Integer(10)), Test::Max(Value::Integer(20))],
                "c is 7, wanted at least 10",
            ),
            (
                "",
                vec![
                    Test::Min(Value::Decimal(Number::parse("0.5").unwrap())),
                    Test::Max(Value::Integer(20)),
                ],
                "c is empty, wanted at least 0.5 and at most 20",
            ),
            (
                "2026-11-01",
                vec![Test::OlderThan(Span::Days(365))],
                "c is 2026-11-01, wanted older than 365 days",
            ),
            (
                "2026-11-01",
                vec![Test::Within(Span::Days(1))],
                "c is 2026-11-01, wanted within the last 1 day",
            ),
            (
                "2026-11-01",
                vec![Test::Within(elapsed(7200))],
                "c is 2026-11-01, wanted within the last 2 hours",
            ),
            (
                "2026-11-01",
                vec![Test::Within(elapsed(5400))],
                "c is 2026-11-01, wanted within the last 90 minutes",
            ),
            (
                "2026-11-01",
                vec![Test::Within(elapsed(45))],
                "c is 2026-11-01, wanted within the last 45 seconds",
            ),
            (
                "2026-11-01",
                vec![Test::Before(date("2026-01-01"))],
                "c is 2026-11-01, wanted before 2026-01-01",
            ),
            (
                "2026-11-01",
                vec![Test::After(moment("2026-11-02T00:00:00Z"))],
                "c is 2026-11-01, wanted after 2026-11-02T00:00:00Z",
            ),
            (
                "true",
                vec![Test::Any(vec![Value::Boolean(false)])],
                "c is true, wanted false",
            ),
        ] {
            assert_eq!(failure(cell, &tests), says);
        }
    }
}
