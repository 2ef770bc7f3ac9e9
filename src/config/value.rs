//! Typed values, spans of time and sizes, from TOML.

use std::time::Duration;

use jiff::civil;
use jiff::tz::TimeZone;
use toml::de::DeValue;
use toml::value::Datetime;

use super::model::{Span, Value};
use super::reader::{Item, integer};
use crate::number::Number;

/// Reads a value that conditions and contacts may hold.
pub(super) fn value(item: &Item<'_>, zone: &TimeZone) -> Option<Value> {
    let wrong = |message: String, help: &str| {
        item.wrong(message, help);
        None
    };
    match item.value.get_ref() {
        DeValue::String(text) => Some(Value::Text(text.to_string())),
        DeValue::Boolean(flag) => Some(Value::Boolean(*flag)),
        DeValue::Integer(number) => match integer(number) {
            Some(number) => Some(Value::Integer(number)),
            None => wrong(
                format!("`{}` is too large a number", item.key),
                "write a number of at most 18 digits, or text in quotes",
            ),
        },
        DeValue::Float(number) => match Number::parse(&number.as_str().replace('_', "")) {
            Some(number) if number.is_exact() => Some(Value::Decimal(number)),
            Some(_) => wrong(
                format!("`{}` has more digits than are compared", item.key),
                "write a number of at most 36 digits",
            ),
            None => wrong(
                format!("`{}` is not a finite number", item.key),
                "write a number such as 12.5",
            ),
        },
        DeValue::Datetime(datetime) => match date_or_moment(datetime, zone) {
            Some(value) => Some(value),
            None => wrong(
                format!(
                    "`{}` is a time without a date, or a moment that does not exist",
                    item.key
                ),
                "write a date such as 2026-03-01, or a moment such as 2026-03-01T12:00:00Z",
            ),
        },
        DeValue::Array(_) | DeValue::Table(_) => {
            item.wrong_type("text, a number, a date or true or false", "one value");
            None
        }
    }
}

fn date_or_moment(datetime: &Datetime, zone: &TimeZone) -> Option<Value> {
    let text = datetime.to_string();
    match (datetime.date, datetime.time, datetime.offset) {
        (Some(_), None, None) => text.parse().ok().map(Value::Date),
        (Some(_), Some(_), Some(_)) => text.parse().ok().map(Value::DateTime),
        (Some(_), Some(_), None) => {
            let local: civil::DateTime = text.parse().ok()?;
            zone.to_timestamp(local).ok().map(Value::DateTime)
        }
        _ => None,
    }
}

impl Value {
    /// Whether it is a calendar day, which holds many moments.
    pub(super) fn is_day(&self) -> bool {
        matches!(self, Value::Date(_))
    }

    /// What kind of value it is, in words.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Text(_) => "text",
            Value::Integer(_) | Value::Decimal(_) => "a number",
            Value::Boolean(_) => "true or false",
            Value::Date(_) | Value::DateTime(_) => "a date",
        }
    }
}

/// Reads a span such as `30d`, `2w`, `36h`, `90m` or `45s`.
pub(super) fn span(text: &str) -> Option<Span> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    let elapsed = |seconds: u64| {
        Some(Span::Elapsed(Duration::from_secs(
            u64::from(number) * seconds,
        )))
    };
    // A calendar holds ten thousand years; more days than that are a slip.
    let days = |factor: u32| {
        let days = number
            .checked_mul(factor)
            .filter(|days| *days <= 3_650_000)?;
        Some(Span::Days(days))
    };
    match &text[digits.len()..] {
        "d" => days(1),
        "w" => days(7),
        "h" => elapsed(3600).filter(|_| number <= 87_600_000),
        "m" | "min" => elapsed(60),
        "s" => elapsed(1),
        _ => None,
    }
}

/// Reads a span that is a stretch of elapsed time, a day being 24 hours.
pub(super) fn duration(item: &Item<'_>, example: &str) -> Option<Duration> {
    let text = item.text(example)?;
    match span(text) {
        Some(Span::Elapsed(duration)) => Some(duration),
        Some(Span::Days(days)) => Some(Duration::from_secs(u64::from(days) * 86_400)),
        None => {
            item.wrong(
                format!("`{}` is not a span of time: {text:?}", item.key),
                format!("write {example}; the units are s, m, h, d and w"),
            );
            None
        }
    }
}

/// Reads a rate such as `20/s`, `600/min` or `1000/h`, as calls a second.
pub(super) fn rate(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once('/')?;
    let number: f64 = number.trim().parse().ok()?;
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        _ => return None,
    };
    let rate = number / seconds;
    (rate.is_finite() && rate > 0.0).then_some(rate)
}

/// Reads a percentage such as `20%`, between 0 and 100.
pub(super) fn percent(text: &str) -> Option<f64> {
    let number: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
    (0.0..=100.0).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        assert_eq!(span("30d"), Some(Span::Days(30)));
        assert_eq!(span("2w"), Some(Span::Days(14)));
        assert_eq!(
            span("36h"),
            Some(Span::Elapsed(Duration::from_secs(129_600)))
        );
        assert_eq!(span("90m"), Some(Span::Elapsed(Duration::from_secs(5400))));
        for bad in [
            "",
            "d",
            "30",
            "-1d",
            "1.5h",
            "30 d",
            "30D",
            "99999999999d",
            "4000000000d",
        ] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }

    #[test]
    fn rates_and_percentages_are_read() {
        assert_eq!(rate("20/s"), Some(20.0));
        assert_eq!(rate("600/min"), Some(10.0));
        for bad in ["20", "0/s", "-1/s", "inf/s", "nan/s", "20/day", "/s"] {
            assert_eq!(rate(bad), None, "{bad}");
        }
        assert_eq!(percent("20%"), Some(20.0));
        assert_eq!(percent("0.5%"), Some(0.5));
        for bad in ["20", "101%", "-1%", "nan%", "%"] {
            assert_eq!(percent(bad), None, "{bad}");
        }
    }
}
