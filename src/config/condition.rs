//! `where`.

use jiff::tz::TimeZone;

use super::model::{Condition, Span, Test, Value};
use super::reader::{Item, Table};
use super::value::{span, value};

pub(super) fn conditions(item: &Item<'_>, zone: &TimeZone) -> Vec<Condition> {
    let Some(table) = item.table("`where`") else {
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
            "`where` is empty",
            "write where.status = \"customer\", or take it out",
        );
    }
    conditions
}

fn tests(item: &Item<'_>, zone: &TimeZone) -> Option<Vec<Test>> {
    if let Some(items) = item.array() {
        return Some(vec![Test::Any(values(item, &items, zone)?)]);
    }
    if !item.value.get_ref().is_table() {
        return Some(vec![Test::Any(vec![value(item, zone)?])]);
    }
    let table = item.table(format!("the condition on `{}`", item.key))?;
    let before = item.ctx.sink.len();
    let mut tests = Vec::new();
    if let Some(item) = table.get("not") {
        let values = match item.array() {
            Some(items) => values(&item, &items, zone),
            None => value(&item, zone).map(|value| vec![value]),
        };
        tests.extend(values.map(Test::Not));
    }
    if let Some(item) = table.get("exists") {
        match item.value.get_ref().as_bool() {
            Some(flag) => tests.push(Test::Exists(flag)),
            None => item.wrong_type("true or false", "exists = true"),
        }
    }
    bounds(&table, zone, &mut tests);
    for (key, make) in [
        ("within", Test::Within as fn(Span) -> Test),
        ("older_than", Test::OlderThan),
    ] {
        if let Some(item) = table.get(key) {
            let example = "a span such as \"30d\"";
            if let Some(text) = item.text(example) {
                match span(text) {
                    Some(span) => tests.push(make(span)),
                    None => item.wrong(
                        format!("`{key}` is no span of time: {text:?}"),
                        format!("write {example}; the units are s, m, h, d and w"),
                    ),
                }
            }
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
    Some(tests)
}

/// `min`, `max`, `before` and `after`.
fn bounds(table: &Table<'_>, zone: &TimeZone, tests: &mut Vec<Test>) {
    let mut read = |key: &'static str, make: fn(Value) -> Test, dates_only: bool| {
        let item = table.get(key)?;
        let bound = value(&item, zone)?;
        let is_right = match bound {
            Value::Date(_) | Value::DateTime(_) => true,
            Value::Integer(_) | Value::Float(_) => !dates_only,
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
    for (low, high, words, is_strict) in [
        (min, max, "`min` is above `max`", false),
        (after, before, "`after` is not earlier than `before`", true),
    ] {
        let (Some((low, _)), Some((high, item))) = (low, high) else {
            continue;
        };
        match order(&low, &high, zone) {
            None => item.wrong(
                "the two bounds are of different types",
                "write two numbers or two dates",
            ),
            Some(order) if order.is_gt() || (is_strict && order.is_eq()) => item.wrong(
                format!("{words}, so that nothing can match"),
                "swap the two, or correct one of them",
            ),
            Some(_) => {}
        }
    }
}

fn order(a: &Value, b: &Value, zone: &TimeZone) -> Option<std::cmp::Ordering> {
    let number = |value: &Value| match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    };
    let moment = |value: &Value| match value {
        Value::Date(date) => zone
            .to_timestamp(date.to_datetime(jiff::civil::Time::midnight()))
            .ok(),
        Value::DateTime(at) => Some(*at),
        _ => None,
    };
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => Some(moment(a)?.cmp(&moment(b)?)),
    }
}

/// The values of an array: at least one, and all of one type.
fn values(item: &Item<'_>, items: &[Item<'_>], zone: &TimeZone) -> Option<Vec<Value>> {
    if items.is_empty() {
        item.wrong(
            format!("`{}` is an empty array, which nothing can match", item.key),
            "write at least one value",
        );
        return None;
    }
    let values: Vec<Value> = items
        .iter()
        .map(|item| value(item, zone))
        .collect::<Option<_>>()?;
    let first = values[0].type_name();
    match values
        .iter()
        .zip(items)
        .find(|(value, _)| value.type_name() != first)
    {
        Some((odd, at)) => {
            at.wrong(
                format!(
                    "`{}` mixes types: this is {}, and the first is {first}",
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
