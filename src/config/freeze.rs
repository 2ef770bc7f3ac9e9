//! `[[freeze]]`: a time in which nobody is triggered.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::diagnostic::Place;
use super::enrol::{Known, automations};
use super::model::Value;
use super::reader::{Item, Table};
use super::value::value;

/// `[[freeze]]`.
#[derive(Debug, Clone)]
pub struct Freeze {
    /// As indices into [`Config::automations`](super::Config::automations); `None` is all, those that are gone from the
    /// configuration too.
    pub automations: Option<Vec<usize>>,
    /// From when on, included; `None` is ever since.
    pub from: Option<Timestamp>,
    /// Until when, not included; `None` is until the block is removed.
    pub until: Option<Timestamp>,
    /// Whether stops, letting go and leaving wait too.
    pub all: bool,
    /// Why.
    pub reason: Option<String>,
    /// Where it is defined.
    pub place: Place,
}

impl Freeze {
    /// Whether it holds at a time.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }

    /// Whether it is of this automation; `None` is one that is gone from the configuration.
    pub fn covers(&self, automation: Option<usize>) -> bool {
        match (&self.automations, automation) {
            (None, _) => true,
            (Some(list), Some(automation)) => list.contains(&automation),
            (Some(_), None) => false,
        }
    }
}

const EXAMPLE: &str =
    "a date such as 2026-12-24, or a time such as 2026-12-24T18:00:00, without quotes";

pub(super) fn freeze(table: Table<'_>, known: &Known<'_>) -> Option<Freeze> {
    let place = table.place();
    let automations = table
        .get("automation")
        .map(|item| automations(&item, known));
    let from = table.get("from");
    let starts = from.as_ref().map(|item| time(item, known.zone, Some));
    // A day is over when the next one begins.
    let until = table.get("until");
    let ends = until
        .as_ref()
        .map(|item| time(item, known.zone, |day| day.tomorrow().ok()));
    let all = table.get("all").map(|item| item.boolean());
    let reason = table
        .get("reason")
        .and_then(|item| item.text("a reason in a few words"));
    table.finish();
    // What is there and cannot be read is a problem already.
    let (starts, ends) = (
        starts.map_or(Some(None), |at| at.map(Some))?,
        ends.map_or(Some(None), |at| at.map(Some))?,
    );
    if let (Some(starts), Some(ends), Some(item)) = (starts, ends, until)
        && ends <= starts
    {
        item.wrong(
            "`until` is before `from`, so that the freeze never holds",
            "write a later `until`; a day counts whole, and a time itself does not belong to the freeze any more",
        );
        return None;
    }
    Some(Freeze {
        automations,
        from: starts,
        until: ends,
        all: all.unwrap_or(Some(false))?,
        reason: reason.map(str::to_owned),
        place,
    })
}

/// Reads a time, or a day, of which the beginning of another one is taken.
fn time(
    item: &Item<'_>,
    zone: &TimeZone,
    of_day: impl Fn(Date) -> Option<Date>,
) -> Option<Timestamp> {
    match item.value.get_ref() {
        toml::de::DeValue::Datetime(_) => {}
        _ => {
            item.wrong_type("a date or a time", EXAMPLE);
            return None;
        }
    }
    match value(item, zone)? {
        Value::DateTime(at) => Some(at),
        Value::Date(day) => {
            let start = of_day(day).and_then(|day| day.to_zoned_datetime(zone.clone()).ok());
            if start.is_none() {
                item.wrong(
                    format!("`{}` is at the end of the calendar", item.key),
                    "leave it out",
                );
            }
            start.map(|start| start.timestamp())
        }
        _ => None,
    }
}
