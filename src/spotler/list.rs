//! What an answer to a list of automations says. Much of its shape is inferred, so several spellings are read, and what is missing
//! or cannot be read says nothing.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::answer::{CallError, Head, LONGEST_WORD, common};
use crate::text::is_unseen;

/// An automation as Spotler lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedAutomation {
    /// Its id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Whether it is active, where that is said.
    pub active: Option<bool>,
    /// Its external triggers.
    pub triggers: Vec<ListedTrigger>,
    /// Its fields; `None` where they are not listed.
    pub fields: Option<Vec<ListedField>>,
    /// From when and until when each of its publications runs, as far as that is listed.
    pub publications: Vec<ListedDates>,
}

/// A field as Spotler lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedField {
    /// Its name.
    pub name: String,
    /// Its type in capitals, where that is said.
    pub kind: Option<String>,
}

/// From when and until when a publication runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListedDates {
    /// When it starts, where that is said and can be read.
    pub start: Option<ListedTime>,
    /// When it ends; a day counts with the whole of it.
    pub end: Option<ListedTime>,
}

/// A time in a list, which may say no zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedTime {
    /// A moment.
    At(Timestamp),
    /// A time by the clock on a wall.
    Local(DateTime),
}

impl ListedTime {
    /// Reads a time of either end of a publication.
    fn read(item: &Value, keys: [&str; 2], on_a_day: Time) -> Option<Self> {
        let text = match keys.iter().find_map(|key| item.get(key))? {
            Value::String(text) => text.trim(),
            Value::Number(number) => {
                let at = Timestamp::from_millisecond(number.as_i64()?);
                return at.ok().map(ListedTime::At);
            }
            _ => return None,
        };
        if let Ok(at) = text.parse() {
            return Some(ListedTime::At(at));
        }
        // Offsets come without a colon too.
        if let Ok(at) = Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text) {
            return Some(ListedTime::At(at));
        }
        let local = match text.contains(':') {
            true => text.parse().ok(),
            false => text.parse().ok().map(|day: Date| day.to_datetime(on_a_day)),
        };
        local.map(ListedTime::Local)
    }

    /// The moment, where times without a zone are of this one.
    pub fn at(self, zone: &TimeZone) -> Timestamp {
        match self {
            ListedTime::At(at) => at,
            ListedTime::Local(local) => (zone.to_ambiguous_timestamp(local).compatible())
                .unwrap_or(if local.year() < 0 {
                    Timestamp::MIN
                } else {
                    Timestamp::MAX
                }),
        }
    }
}

/// An external trigger as Spotler lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedTrigger {
    /// Its code.
    pub code: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

/// How lists spell an id, the one that is certain first.
const IDS: [&str; 2] = ["encryptedId", "id"];

/// How they probably spell the ends of a publication.
const STARTS: [&str; 2] = ["startDate", "start"];
const ENDS: [&str; 2] = ["endDate", "end"];

/// How they spell the code of a trigger.
const CODES: [&str; 3] = ["triggerCode", "encryptedId", "id"];

impl ListedAutomation {
    fn read(item: &Value) -> Option<Self> {
        item.as_object()?;
        let triggers = list(item, &["triggers"]).unwrap_or_default();
        let of_one = |item: &Value| {
            let fields = list(item, &["fields", "automationFields"])?.iter();
            let read = |field: &Value| {
                Some(ListedField {
                    name: word(field).or_else(|| said(field, &["name"]))?,
                    kind: said(field, &["type"]).map(|kind| kind.to_ascii_uppercase()),
                })
            };
            Some(fields.filter_map(read).collect::<Vec<ListedField>>())
        };
        // They are the automation's, wherever they stand.
        let mut fields: Vec<Vec<ListedField>> =
            triggers.iter().chain([item]).filter_map(of_one).collect();
        fields.sort();
        fields.dedup();
        let publications = list(item, &["publications", "publishedAutomations"]);
        let publications = publications.filter(|of| !of.is_empty());
        let publications = publications.unwrap_or(std::slice::from_ref(item)).iter();
        Some(Self {
            id: said(item, &IDS),
            name: said(item, &["name"]),
            active: match item.get("active") {
                Some(Value::Bool(flag)) => Some(*flag),
                Some(Value::String(text)) => text.to_ascii_lowercase().parse().ok(),
                _ => None,
            },
            triggers: (triggers.iter())
                .map(|trigger| ListedTrigger {
                    code: said(trigger, &CODES),
                    name: said(trigger, &["name"]),
                })
                .collect(),
            fields: (!fields.is_empty()).then(|| fields.concat()),
            publications: publications
                .map(|of| ListedDates {
                    start: ListedTime::read(of, STARTS, Time::MIN),
                    end: ListedTime::read(of, ENDS, Time::MAX),
                })
                .collect(),
        })
    }
}

/// The first of these that is there, as text, made harmless: for what is shown.
fn said(item: &Value, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| word(item.get(key)?))
}

/// A text or a number, made harmless.
fn word(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let seen = text.chars().filter(|c| !is_unseen(*c));
    Some(seen.take(LONGEST_WORD).collect())
}

fn list<'a>(item: &'a Value, keys: &[&str]) -> Option<&'a [Value]> {
    let mut found = keys.iter().filter_map(|key| item.get(key)?.as_array());
    found.next().map(Vec::as_slice)
}

/// Reads the answer to a list.
///
/// # Errors
/// Why there is no list in it.
pub fn read_list(
    head: &Head,
    body: &[u8],
    now: SystemTime,
) -> Result<Vec<ListedAutomation>, CallError> {
    common(head, now)?;
    if head.status != 200 {
        return Err(CallError::Doubtful(format!("HTTP {}", head.status)));
    }
    let unreadable = || CallError::Doubtful("the answer is not a list of automations".to_owned());
    let items: Vec<Value> = match serde_json::from_slice(body).map_err(|_| unreadable())? {
        Value::Array(items) => items,
        // Some lists of the API come wrapped in an object.
        Value::Object(map) => match map.into_iter().find(|(_, value)| value.is_array()) {
            Some((_, Value::Array(items))) => items,
            _ => return Err(unreadable()),
        },
        _ => return Err(unreadable()),
    };
    Ok(items
        .into_iter()
        .filter_map(|item| ListedAutomation::read(&item))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<ListedAutomation>, CallError> {
        let head = Head {
            status: 200,
            retry_after: None,
        };
        read_list(&head, body.as_bytes(), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn lists_are_read_whatever_surrounds_them() {
        let item = r#"{"id":5,"name":"Customer lifecycle","active":true,"new":1,"triggers":[{"triggerCode":"c","name":"t"}]}"#;
        for body in [
            format!("[{item}]"),
            format!(r#"{{"automations":[{item}]}}"#),
        ] {
            let list = read(&body).unwrap();
            assert_eq!(list[0].id.as_deref(), Some("5"));
            assert_eq!(list[0].active, Some(true));
            assert_eq!(list[0].triggers[0].code.as_deref(), Some("c"));
        }
        assert!(read("<html>").is_err());
    }

    #[test]
    fn dates_are_read_in_the_notations_that_the_api_uses_elsewhere() {
        let zone = TimeZone::get("Europe/Amsterdam").unwrap();
        for (value, start, end) in [
            (
                r#""2026-11-23""#,
                "2026-11-22T23:00:00Z",
                "2026-11-23T22:59:59.999999999Z",
            ),
            (
                r#""2026-11-23T09:00:00""#,
                "2026-11-23T08:00:00Z",
                "2026-11-23T08:00:00Z",
            ),
            (
                r#""2026-11-23T09:00:00+0100""#,
                "2026-11-23T08:00:00Z",
                "2026-11-23T08:00:00Z",
            ),
            (
                "1795420800000",
                "2026-11-23T08:00:00Z",
                "2026-11-23T08:00:00Z",
            ),
        ] {
            let item = format!(r#"[{{"startDate":{value},"endDate":{value}}}]"#);
            let dates = read(&item).unwrap()[0].publications[0];
            let at = |time: Option<ListedTime>| time.unwrap().at(&zone).to_string();
            assert_eq!(
                (at(dates.start), at(dates.end)),
                (start.into(), end.into()),
                "{value}"
            );
        }
        for value in ["null", "\"soon\"", "{}", "9e99"] {
            let list = read(&format!(r#"[{{"startDate":{value}}}]"#)).unwrap();
            assert_eq!(list[0].publications[0].start, None, "{value}");
        }
    }
}
