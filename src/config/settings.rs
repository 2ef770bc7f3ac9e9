//! `[spotler]`, `[record]`, `[guard]`, `[window]`, `[limit]`, `[notify]` and `[time]`: tables of which there is one of each, over all files.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::diagnostic::{Diagnostic, Place};
use super::location::{RECORD, location};
use super::model::{
    Base, GuardLimits, Limit, PerContact, RecordLocation, Span, Spotler, StopLimit,
};
use super::notify::{self, Notify};
use super::reader::{Item, Table};
use super::suggest::nearest_zone;
use super::value::{duration, percent, rate, span};
use super::window::{self, Unzoned, Window};
use crate::base_url::{BaseUrl, BaseUrlError, SERVICE};
use crate::id::RecordId;
use crate::location::{Location, SCHEMA, is_schema};
use crate::paths::Paths;
use crate::webhook::Webhook;

/// Reads `2/7d`.
fn per_contact(text: &str) -> Option<(usize, Duration, String)> {
    let (count, time) = text.split_once('/')?;
    let count = count.trim().parse().ok().filter(|count| *count > 0)?;
    let time = match span(time.trim())? {
        Span::Days(days) => Duration::from_secs(u64::from(days) * 86_400),
        Span::Elapsed(time) => time,
    };
    (!time.is_zero()).then(|| (count, time, text.to_owned()))
}

/// A setting that may be set once.
struct Slot<T>(Option<(T, Place)>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Slot<T> {
    fn set(&mut self, item: &Item<'_>, value: Option<T>) {
        let Some(value) = value else { return };
        let place = item.place();
        match &self.0 {
            Some((_, first)) => item.ctx.sink.push(
                Diagnostic::at(place, format!("`{}` is set twice", item.key))
                    .label("set again here")
                    .related(first.clone(), "first set here")
                    .help("keep one of the two"),
            ),
            None => self.0 = Some((value, place)),
        }
    }

    fn or(self, default: T) -> T {
        self.0.map_or(default, |(value, _)| value)
    }

    fn limit(self, default: T) -> Limit<T> {
        match self.0 {
            Some((value, place)) => Limit {
                value,
                place: Some(place),
            },
            None => Limit {
                value: default,
                place: None,
            },
        }
    }
}

/// The settings of all files together.
#[derive(Default)]
pub(super) struct Settings {
    base: Slot<Base>,
    concurrency: Slot<usize>,
    rate: Slot<f64>,
    timeout: Slot<Duration>,
    trigger: Slot<String>,
    stop: Slot<String>,
    stop_one: Slot<String>,
    list: Slot<String>,
    record: Slot<Location>,
    record_schema: Slot<String>,
    record_id: Slot<RecordId>,
    max_triggers: Slot<u64>,
    max_stops: Slot<StopLimit>,
    max_released: Slot<u64>,
    max_merges: Slot<u64>,
    zone: Slot<TimeZone>,
    window: Slot<Vec<Unzoned>>,
    webhook: Slot<Result<Webhook, String>>,
    per_contact: Slot<(usize, Duration, String)>,
}

impl Settings {
    pub(super) fn spotler(&mut self, table: Table<'_>) {
        if let Some(item) = table.get("base_url") {
            self.base.set(&item, base_url(&item));
        }
        if let Some(item) = table.get("concurrency") {
            let count = item.count("a number from 1 to 1024, such as 8");
            let count = count.and_then(|count| match usize::try_from(count) {
                Ok(count @ 1..=1024) => Some(count),
                _ => {
                    item.wrong(
                        "`concurrency` is out of range",
                        "write a number from 1 to 1024, such as 8",
                    );
                    None
                }
            });
            self.concurrency.set(&item, count);
        }
        if let Some(item) = table.get("rate") {
            let example = "\"20/s\", \"600/min\" or \"1000/h\"";
            let value = item.text(example).and_then(|text| {
                let value = rate(text);
                if value.is_none() {
                    item.wrong(
                        format!("`rate` is not a rate: {text:?}"),
                        format!("write {example}"),
                    );
                }
                value
            });
            self.rate.set(&item, value);
        }
        if let Some(item) = table.get("timeout") {
            let value = duration(&item, "\"30s\"").filter(|time| {
                let is_positive = !time.is_zero();
                if !is_positive {
                    item.wrong("`timeout` is zero", "write \"30s\"");
                }
                is_positive
            });
            self.timeout.set(&item, value);
        }
        if let Some(item) = table.get("paths")
            && let Some(paths) = item.table("[spotler.paths]")
        {
            self.paths(paths);
        }
        for (key, variable) in [
            ("consumer_key", "SPOTLER_CONSUMER_KEY"),
            ("consumer_secret", "SPOTLER_CONSUMER_SECRET"),
        ] {
            table.refuse(
                key,
                &format!("`{key}` does not belong in a file: credentials come from the environment"),
                &format!(
                    "remove it, and set {variable} or {variable}_FILE; if others have the file, ask Spotler for new \
                     credentials"
                ),
            );
        }
        table.finish();
    }

    fn paths(&mut self, table: Table<'_>) {
        let code: &[&str] = &["{trigger_code}"];
        let both: &[&str] = &["{trigger_code}", "{participation}"];
        for (key, slot, wanted) in [
            ("trigger", &mut self.trigger, code),
            ("stop", &mut self.stop, code),
            ("stop_one", &mut self.stop_one, both),
            ("list", &mut self.list, &[]),
        ] {
            if let Some(item) = table.get(key) {
                slot.set(&item, path(&item, wanted));
            }
        }
        table.finish();
    }

    /// Returns the values that say where the record is, which are no part of what a configuration means.
    pub(super) fn record(&mut self, table: Table<'_>, root: &Path) -> Vec<Range<usize>> {
        let mut places = Vec::new();
        if let Some(item) = table.get("url") {
            self.record.set(&item, location(&item, &RECORD, root));
            places.push(item.span());
        }
        if let Some(item) = table.get("schema") {
            self.record_schema.set(&item, record_schema(&item));
            places.push(item.span());
        }
        if let Some(item) = table.get("id") {
            let id = item.text("the id that `rollcall record show` prints");
            let id = id.and_then(|text| {
                let id = text.parse().ok();
                if id.is_none() {
                    item.wrong(
                        "`id` is not the id of a record",
                        "write the id that `rollcall record show` prints",
                    );
                }
                id
            });
            self.record_id.set(&item, id);
        }
        table.refuse(
            "moved_from",
            "`moved_from` is no longer used",
            "remove it; `rollcall record accept` says that the account is the same at its new address",
        );
        table.finish();
        places
    }

    pub(super) fn guard(&mut self, table: Table<'_>) {
        if let Some(item) = table.get("max_triggers") {
            self.max_triggers
                .set(&item, item.count("a number, such as 1000"));
        }
        if let Some(item) = table.get("max_stops") {
            self.max_stops.set(&item, stop_limit(&item));
        }
        if let Some(item) = table.get("max_released") {
            self.max_released
                .set(&item, item.count("a number, such as 10"));
        }
        if let Some(item) = table.get("max_merges") {
            self.max_merges
                .set(&item, item.count("a number, such as 100"));
        }
        table.finish();
    }

    pub(super) fn time(&mut self, table: Table<'_>) {
        if let Some(item) = table.get("zone") {
            let example = "the name of a time zone, such as \"Europe/Amsterdam\" or \"UTC\"";
            let zone = item.text(example).and_then(|name| {
                let zone = TimeZone::get(name).ok();
                if zone.is_none() {
                    item.wrong(
                        format!("there is no time zone {name:?}"),
                        match nearest_zone(name) {
                            Some(near) => format!("did you mean {near:?}?"),
                            None => format!("write {example}"),
                        },
                    );
                }
                zone
            });
            self.zone.set(&item, zone);
        }
        table.finish();
    }

    pub(super) fn window(&mut self, table: Table<'_>) {
        if let Some(item) = table.require(
            "triggers",
            "add triggers = \"Mon-Fri 08:00-18:00 Europe/Amsterdam\"",
        ) {
            self.window.set(&item, window::hours(&item));
        }
        table.finish();
    }

    pub(super) fn notify(&mut self, table: Table<'_>) {
        if let Some(item) = table.require("url", "add url = \"$ROLLCALL_WEBHOOK\"") {
            self.webhook.set(&item, notify::url(&item));
        }
        table.finish();
    }

    /// Who is told that an apply did not end well; `None` is nobody.
    pub(super) fn take_notify(&mut self) -> Option<Notify> {
        let (webhook, place) = self.webhook.0.take()?;
        Some(Notify { webhook, place })
    }

    pub(super) fn limit(&mut self, table: Table<'_>) {
        const ADVICE: &str = "per_contact = \"2/7d\"";
        if let Some(item) = table.require("per_contact", "add per_contact = \"2/7d\"") {
            let limit = item.text(ADVICE).and_then(|text| {
                let limit = per_contact(text);
                if limit.is_none() {
                    item.wrong(
                        format!("`per_contact` is not a number of triggers in a time: {text:?}"),
                        "write such as \"2/7d\": at most two in any seven days; the units are s, m, h, d and w",
                    );
                }
                limit
            });
            self.per_contact.set(&item, limit);
        }
        table.finish();
    }

    /// How many triggers one contact may have in a time; `None` is any number.
    pub(super) fn take_limit(&mut self) -> Option<PerContact> {
        let ((count, span, shown), place) = self.per_contact.0.take()?;
        Some(PerContact {
            count,
            span,
            shown,
            place,
        })
    }

    pub(super) fn zone(&self) -> TimeZone {
        let zone = self.zone.0.as_ref().map(|(zone, _)| zone.clone());
        zone.unwrap_or(TimeZone::UTC)
    }

    /// When triggers may be sent; `None` is always.
    pub(super) fn take_window(&mut self) -> Option<Window> {
        let zone = self.zone();
        let (hours, place) = self.window.0.take()?;
        let hours = hours.into_iter().map(|hours| hours.or_zone(&zone));
        Some(Window {
            hours: hours.collect(),
            place,
        })
    }

    pub(super) fn complete(self, root: &Path) -> (Spotler, RecordLocation, GuardLimits, TimeZone) {
        let default = Paths::default();
        let spotler = Spotler {
            base: self.base.or(Base::Url(BaseUrl::default())),
            concurrency: self.concurrency.or(8),
            rate: self.rate.or(20.0),
            timeout: self.timeout.or(Duration::from_secs(30)),
            paths: Paths {
                trigger: self.trigger.or(default.trigger),
                stop: self.stop.or(default.stop),
                stop_one: self.stop_one.or(default.stop_one),
                list: self.list.or(default.list),
            },
        };
        let (at, place) = self.record.0.unzip();
        let schema = self.record_schema.or(SCHEMA.to_owned());
        let at = match at {
            None => Location::File(root.join("state/rollcall.db")),
            Some(Location::Database(database)) => Location::Database(database.in_schema(&schema)),
            Some(at) => at,
        };
        let record = RecordLocation {
            at,
            schema,
            place,
            id: self.record_id.0.map(|(id, _)| id),
        };
        let guard = GuardLimits {
            max_triggers: self.max_triggers.limit(1000),
            max_stops: self.max_stops.limit(StopLimit::Percent(20.0)),
            max_released: self.max_released.limit(10),
            max_merges: self.max_merges.limit(100),
        };
        (spotler, record, guard, self.zone.or(TimeZone::UTC))
    }
}

fn base_url(item: &Item<'_>) -> Option<Base> {
    let example = format!("\"{SERVICE}\", or \"sandbox\" for the built-in stand-in");
    let text = item.text(&example)?;
    if text == "sandbox" {
        return Some(Base::Sandbox);
    }
    match text.parse() {
        Ok(url) => Some(Base::Url(url)),
        Err(why) => {
            let why: BaseUrlError = why;
            item.wrong(format!("`base_url` {why}"), format!("write {example}"));
            None
        }
    }
}

fn path(item: &Item<'_>, wanted: &[&str]) -> Option<String> {
    let text = item.text("a path below the base URL")?;
    let missing: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|word| !text.contains(word))
        .collect();
    let mut rest = text.to_owned();
    for word in wanted {
        rest = rest.replace(word, "");
    }
    let is_odd = |c: char| !(c.is_ascii_alphanumeric() || "/-_.~?=&".contains(c));
    let climbs = text.split('/').any(|part| part == "..");
    if let Some(missing) = missing.first() {
        item.wrong(
            format!("`{}` has no `{missing}` in it", item.key),
            format!("write `{missing}` in the path"),
        );
    } else if let Some(odd) = rest.chars().find(|c| is_odd(*c)) {
        item.wrong(
            format!("`{}` holds {odd:?}, which a path cannot contain", item.key),
            "the names in braces are {trigger_code} and, in stop_one, {participation}",
        );
    } else if climbs || text.is_empty() {
        item.wrong(
            format!("`{}` is not a path below the base URL", item.key),
            "write it without `..`",
        );
    } else {
        return Some(text.trim_start_matches('/').to_owned());
    }
    None
}

fn record_schema(item: &Item<'_>) -> Option<String> {
    let example = "the name of a schema, such as \"rollcall\"";
    let text = item.text(example)?;
    if is_schema(text) {
        return Some(text.to_owned());
    }
    item.wrong(
        "`schema` is not the name of a schema",
        "write lower-case letters, digits and `_`, 63 at the most, such as \"rollcall\"",
    );
    None
}

/// Reads `max_stops`.
pub(super) fn stop_limit(item: &Item<'_>) -> Option<StopLimit> {
    let example = "a number such as 50, or a percentage such as \"20%\"";
    match item.value.get_ref().as_str() {
        None => item.count(example).map(StopLimit::Count),
        Some(text) => {
            let limit = percent(text).map(StopLimit::Percent);
            if limit.is_none() {
                item.wrong(
                    format!("`max_stops` is not a percentage: {text:?}"),
                    format!("write {example}"),
                );
            }
            limit
        }
    }
}
