//! `where` and `stay`.

use jiff::tz::TimeZone;

use super::model::{Condition, Span, Test, Value};
use super::reader::{Item, Table};
use super::value::{span, value};
use crate::number::Number;

impl Test {
    /// The type of what a cell is compared with, in words; `None` where any will do.
    pub(super) fn type_name(&self) -> Option<&'static str> {
        match self {
            Test::Any(values) | Test::Not(values) => values.first().map(Value::type_name),
            Test::Exists(_) => None,
            Test::Min(value) | Test::Max(value) | Test::Before(value) | Test::After(value) => {
                Some(value.type_name())
            }
            Test::Within(_)
            | Test::WithinNext(_)
            | Test::AnniversaryWithinNext(_)
            | Test::OlderThan(_) => Some("a date"),
        }
    }
}

pub(super) fn conditions(item: &Item<'_>, zone: &TimeZone) -> Vec<Condition> {
    let Some(table) = item.table(format!("`{}`", item.key)) else {
        return Vec::new();
    };
    let conditions: Vec<Condition> = table
        .items()
        .filter_map(|item| {
            let tests = tests(&item, zone)?;
            Some(Condition {
                column: item.key.to_owned(),
                tests,
                place: item.ctx.doc.place(item.key_span.clone()),
            })
        })
        .collect();
    if table.items().next().is_none() {
        item.wrong(
            format!("`{}` is empty", item.key),
            format!("write {}.status = \"customer\", or remove it", item.key),
        );
    }
    conditions
}

/// What to write instead of a comparison with empty text.
const ABSENT: &str = "for empty cells write { exists = false }, in a block of its own";
const PRESENT: &str = "for cells that are not empty write { exists = true }";

fn tests(item: &Item<'_>, zone: &TimeZone) -> Option<Vec<Test>> {
    if let Some(items) = item.array() {
        return Some(vec![Test::Any(values(item, &items, zone, ABSENT)?)]);
    }
    if !item.value.get_ref().is_table() {
        let one = std::slice::from_ref(item);
        return Some(vec![Test::Any(values(item, one, zone, ABSENT)?)]);
    }
    let table = item.table(format!("the condition on `{}`", item.key))?;
    let before = item.ctx.sink.len();
    let mut tests = Vec::new();
    if let Some(item) = table.get("not") {
        let items = item.array().unwrap_or_else(|| vec![item.clone()]);
        tests.extend(values(&item, &items, zone, PRESENT).map(Test::Not));
    }
    if let Some(item) = table.get("exists") {
        match item.value.get_ref().as_bool() {
            Some(flag) => tests.push(Test::Exists(flag)),
            None => item.wrong_type("true or false", "exists = true"),
        }
    }
    bounds(&table, zone, &mut tests);
    for key in [
        "within",
        "within_next",
        "anniversary_within_next",
        "older_than",
    ] {
        let make = |span| match (key, span) {
            ("within", span) => Some(Test::Within(span)),
            ("within_next", span) => Some(Test::WithinNext(span)),
            ("older_than", span) => Some(Test::OlderThan(span)),
            (_, Span::Days(days)) => Some(Test::AnniversaryWithinNext(days)),
            (_, Span::Elapsed(_)) => None,
        };
        let Some(item) = table.get(key) else { continue };
        let example = "a span such as \"30d\"";
        let Some(text) = item.text(example) else {
            continue;
        };
        match span(text).map(make) {
            Some(Some(test)) => tests.push(test),
            Some(None) => item.wrong(
                format!("`{key}` is of whole days, and this is not: {text:?}"),
                "write days or weeks, such as \"7d\"",
            ),
            None => item.wrong(
                format!("`{key}` is not a span of time: {text:?}"),
                format!("write {example}; the units are s, m, h, d and w"),
            ),
        }
    }
    let name = table.name.clone();
    table.finish();
    if item.ctx.sink.len() > before {
        return None;
    }
    if tests.is_empty() {
        item.wrong(
            format!("{name} is empty"),
            "write a value, an array, or a table such as { not = \"x\" } or { within = \"30d\" }",
        );
        return None;
    }
    if let Some((message, help)) = contradiction(&tests) {
        item.wrong(format!("{name} {message}"), help);
        return None;
    }
    Some(tests)
}

/// Why no cell can pass all of some tests, and what to do; bounds are looked at elsewhere.
fn contradiction(tests: &[Test]) -> Option<(String, &'static str)> {
    let is_about_a_value = |test: &Test| !matches!(test, Test::Exists(_) | Test::Not(_));
    if tests.contains(&Test::Exists(false)) && tests.iter().any(is_about_a_value) {
        let message = "wants it absent and with a value, so nothing can match";
        return Some((message.to_owned(), "remove `exists = false`, or the rest"));
    }
    let mut types = tests.iter().filter_map(Test::type_name);
    let first = types.next()?;
    if let Some(other) = types.find(|other| *other != first) {
        let message = format!("compares with {first} and with {other}, and no cell has both types");
        let help = "write values of one type: it decides how a cell is read";
        return Some((message, help));
    }
    let is_next = |test: &Test| matches!(test, Test::WithinNext(_));
    let is_old = |test: &Test| matches!(test, Test::OlderThan(_));
    if tests.iter().any(is_next) && tests.iter().any(is_old) {
        let message = "wants dates that are over and to come, so nothing can match";
        return Some((message.to_owned(), "remove `within_next` or `older_than`"));
    }
    let youngest = tests.iter().find_map(|test| match test {
        Test::OlderThan(span) => Some(*span),
        _ => None,
    })?;
    let oldest = tests.iter().find_map(|test| match test {
        Test::Within(span) => Some(*span),
        _ => None,
    })?;
    let is_empty = match (youngest, oldest) {
        (Span::Days(youngest), Span::Days(oldest)) => youngest >= oldest,
        (Span::Elapsed(youngest), Span::Elapsed(oldest)) => youngest >= oldest,
        _ => false,
    };
    is_empty.then(|| {
        let message =
            "wants dates older than `older_than` but not older than `within`, so nothing can match";
        (message.to_owned(), "make `within` the longer of the two")
    })
}

/// `min`, `max`, `before` and `after`.
fn bounds(table: &Table<'_>, zone: &TimeZone, tests: &mut Vec<Test>) {
    let mut read = |key: &'static str, make: fn(Value) -> Test, dates_only: bool| {
        let item = table.get(key)?;
        let bound = value(&item, zone)?;
        let is_right = match bound {
            Value::Date(_) | Value::DateTime(_) => true,
            Value::Integer(_) | Value::Decimal(_) => !dates_only,
            Value::Text(_) | Value::Boolean(_) => false,
        };
        if is_right {
            tests.push(make(bound.clone()));
            return Some((bound, item));
        }
        let example = if dates_only {
            "a date such as 2026-03-01, without quotes"
        } else {
            "a number such as 10, or a date such as 2026-03-01, without quotes"
        };
        item.wrong(
            format!("`{key}` cannot be {}", bound.type_name()),
            format!("write {example}"),
        );
        None
    };
    let min = read("min", Test::Min, false);
    let max = read("max", Test::Max, false);
    let before = read("before", Test::Before, true);
    let after = read("after", Test::After, true);
    for (low, high, words, excludes_equal) in [
        (&min, &max, "`min` is above `max`", false),
        (&min, &before, "`min` is not earlier than `before`", true),
        (&after, &max, "`after` is not earlier than `max`", true),
        (
            &after,
            &before,
            "`after` is not earlier than `before`",
            true,
        ),
    ] {
        let (Some((low, _)), Some((high, item))) = (low, high) else {
            continue;
        };
        // That they are of different types is reported for the condition as a whole.
        let Some(order) = order(low, high, zone) else {
            continue;
        };
        // Between a moment and the day that it is in there may be the rest of the day.
        let is_empty = excludes_equal && low.is_day() == high.is_day();
        if order.is_gt() || (order.is_eq() && is_empty) {
            item.wrong(
                format!("{words}, so nothing can match"),
                "swap the two, or correct one of them",
            );
        }
    }
}

/// How two bounds compare; where one is a calendar day, by days, as cells are compared.
fn order(a: &Value, b: &Value, zone: &TimeZone) -> Option<std::cmp::Ordering> {
    let number = |value: &Value| match value {
        Value::Integer(number) => Some(Number::from(*number)),
        Value::Decimal(number) => Some(*number),
        _ => None,
    };
    let day = |value: &Value| match value {
        Value::Date(date) => Some(*date),
        Value::DateTime(at) => Some(zone.to_datetime(*at).date()),
        _ => None,
    };
    match (a, b) {
        (Value::DateTime(a), Value::DateTime(b)) => Some(a.cmp(b)),
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => Some(day(a)?.cmp(&day(b)?)),
        },
    }
}

/// The values of an array: at least one, none of them empty text, and all of one type.
fn values(
    item: &Item<'_>,
    items: &[Item<'_>],
    zone: &TimeZone,
    instead: &str,
) -> Option<Vec<Value>> {
    if items.is_empty() {
        item.wrong(
            format!("`{}` is an empty array, which matches nothing", item.key),
            "write at least one value",
        );
        return None;
    }
    let values: Vec<Value> = items
        .iter()
        .map(|item| value(item, zone))
        .collect::<Option<_>>()?;
    let is_empty = |value: &&Value| matches!(value, Value::Text(text) if text.is_empty());
    if let Some(place) = values.iter().position(|value| is_empty(&value)) {
        items[place].wrong(
            format!(
                "`{}` is compared with empty text, but no cell has that: an empty cell is absent",
                item.key
            ),
            instead,
        );
        return None;
    }
    let first = values[0].type_name();
    match values
        .iter()
        .zip(items)
        .find(|(value, _)| value.type_name() != first)
    {
        Some((odd, at)) => {
            at.wrong(
                format!(
                    "`{}` mixes types: this is {}, but the first is {first}",
                    item.key,
                    odd.type_name()
                ),
                "write values of one type: it decides how a cell is read",
            );
            None
        }
        None => Some(values),
    }
}
