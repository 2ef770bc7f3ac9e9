//! The drawings of the page about the record: a curve for each automation, and bars for each day.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::style::{SafeText, thousands};
use crate::plan::day;
use crate::record::{Calls, Step};

/// The least days that are drawn: fewer make no picture.
const LEAST_DAYS: u16 = 7;

/// How high a drawing is above and below its axis, in its own units. As to its width, a day of a curve is one, and one of
/// bars is ten.
const HIGH: u64 = 100;

/// A day that is drawn.
pub(super) struct Day {
    pub(super) date: String,
    end: i64,
}

/// How many participations of an automation ran at the end of each day.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) count: i64,
    pub(super) now: String,
    pub(super) before: String,
    pub(super) most: String,
    pub(super) points: String,
    pub(super) area: String,
    /// What was sent each day, of this automation alone.
    pub(super) bars: Bars,
}

/// What was sent each day.
#[derive(Default)]
pub(super) struct Bars {
    pub(super) most: String,
    pub(super) days: Vec<Bar>,
    /// All days together.
    pub(super) sent: Sent,
}

/// What was sent on one day, where anything was.
pub(super) struct Bar {
    pub(super) date: String,
    pub(super) sent: Sent,
    pub(super) parts: Vec<Part>,
}

/// A rectangle.
pub(super) struct Part {
    pub(super) class: &'static str,
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
}

/// How many calls did what they were for, and how many did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sent {
    started: u64,
    not_started: u64,
    uncertain: u64,
    stopped: u64,
    not_stopped: u64,
}

impl Sent {
    /// Of calls that all did what they were for.
    pub(super) fn good(started: u64, stopped: u64) -> Self {
        Self {
            started,
            stopped,
            ..Self::default()
        }
    }

    /// The longer of the two directions in which it is drawn.
    pub(super) fn height(&self) -> u64 {
        self.up().max(self.down())
    }

    /// Each with a word for it; triggers first.
    pub(super) fn columns(&self) -> [(&'static str, String); 5] {
        [
            ("triggered", self.started),
            ("not triggered", self.not_started),
            ("uncertain", self.uncertain),
            ("stopped", self.stopped),
            ("not stopped", self.not_stopped),
        ]
        .map(|(what, count)| (what, thousands(count)))
    }

    fn count(&mut self, calls: &Calls) {
        let column = match (calls.kind.as_str(), calls.outcome.as_deref()) {
            // Nothing was carried out, and it was tried again.
            (_, Some("not-carried-out")) => return,
            ("trigger", Some("active")) => &mut self.started,
            ("trigger", Some("uncertain") | None) => &mut self.uncertain,
            ("trigger", _) => &mut self.not_started,
            (_, Some("stopped")) => &mut self.stopped,
            _ => &mut self.not_stopped,
        };
        *column += calls.count.unsigned_abs();
    }

    fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.not_started += other.not_started;
        self.uncertain += other.uncertain;
        self.stopped += other.stopped;
        self.not_stopped += other.not_stopped;
    }

    fn up(&self) -> u64 {
        self.started + self.not_started + self.uncertain
    }

    fn down(&self) -> u64 {
        self.stopped + self.not_stopped
    }
}

/// The moment from which so many days are looked back, today among them: the beginning of the first one.
pub fn overview_from(now: Timestamp, zone: &TimeZone, days: u16) -> Timestamp {
    let today = now.to_zoned_datetime(zone.clone());
    let first = today.checked_sub(i64::from(days.saturating_sub(1)).days());
    day(first.map_or(now, |zoned| zoned.timestamp()), zone).0
}

/// The days up to now that are drawn: at most as many as asked for, and none before there was anything on record.
pub(super) fn days(
    first: Option<Timestamp>,
    now: Timestamp,
    zone: &TimeZone,
    most: u16,
) -> Vec<Day> {
    let least = overview_from(now, zone, LEAST_DAYS);
    let young = first.map_or(least, |first| day(first, zone).0.min(least));
    let mut start = overview_from(now, zone, most).max(young);
    let mut days = Vec::new();
    while start <= now && days.len() < usize::from(most) {
        let (_, end) = day(start, zone);
        let date = start.to_zoned_datetime(zone.clone()).date();
        days.push(Day {
            date: date.to_string(),
            end: end.as_millisecond(),
        });
        start = end;
    }
    days
}

/// The day of a time that is in one; the first for all that was before.
fn day_of(at: i64, days: &[Day]) -> usize {
    let place = days.partition_point(|day| day.end <= at);
    place.min(days.len().saturating_sub(1))
}

/// A curve for each automation, with the bars of what was sent of it; those first of which the most run now.
pub(super) fn curves(steps: &[Step], calls: &[Calls], days: &[Day]) -> Vec<Curve> {
    let calls = calls.chunk_by(|a, b| a.automation == b.automation);
    let calls = calls.map(|calls| (calls[0].automation.as_str(), calls));
    let mut of: BTreeMap<&str, (&[Step], &[Calls])> = BTreeMap::new();
    for steps in steps.chunk_by(|a, b| a.automation == b.automation) {
        of.insert(&steps[0].automation, (steps, &[]));
    }
    for (name, calls) in calls {
        of.entry(name).or_default().1 = calls;
    }
    let curves = of.into_iter().map(|(name, (steps, calls))| {
        let mut counts = vec![0; days.len()];
        for step in steps {
            counts[day_of(step.at, days)] += step.by;
        }
        let mut sum = 0;
        for count in &mut counts {
            sum += *count;
            *count = sum;
        }
        Curve {
            bars: bars(calls, days),
            ..curve(name, &counts)
        }
    });
    let mut curves: Vec<_> = curves.collect();
    curves.sort_by_key(|curve| std::cmp::Reverse(curve.count));
    curves
}

fn curve(name: &str, counts: &[i64]) -> Curve {
    let number = |count: Option<i64>| thousands(count.unwrap_or(0).unsigned_abs());
    let most = counts.iter().copied().max();
    let scale = most.unwrap_or(0).unsigned_abs().max(1);
    let points = counts.iter().enumerate().map(|(x, count)| {
        let height = (count.unsigned_abs() * HIGH).div_ceil(scale);
        format!("{x},{}", HIGH.saturating_sub(height))
    });
    let points = points.collect::<Vec<_>>().join(" ");
    let last = counts.len().saturating_sub(1);
    Curve {
        name: SafeText(name).to_string(),
        count: counts.last().copied().unwrap_or(0),
        now: number(counts.last().copied()),
        before: number(counts.first().copied()),
        most: number(most),
        area: format!("0,{HIGH} {points} {last},{HIGH}"),
        points,
        bars: Bars::default(),
    }
}

/// Bars for each day: triggers up, stops down.
pub(super) fn bars(calls: &[Calls], days: &[Day]) -> Bars {
    let mut counts = vec![Sent::default(); days.len()];
    for calls in calls {
        counts[day_of(calls.at, days)].count(calls);
    }
    bars_of(days.iter().map(|day| day.date.clone()).zip(counts), 0)
}

/// The same, of what was sent on each of these days, on a scale on which so many fit at least.
pub(super) fn bars_of(days: impl Iterator<Item = (String, Sent)>, least: u64) -> Bars {
    let days: Vec<(String, Sent)> = days.collect();
    let heights = days.iter().map(|(_, sent)| sent.height());
    let most = heights.max().unwrap_or(0).max(least);
    let mut all = Sent::default();
    days.iter().for_each(|(_, sent)| all.add(sent));
    let days = days.into_iter().enumerate();
    let days = days.filter(|(_, (_, sent))| *sent != Sent::default());
    let days = days.map(|(place, (date, sent))| Bar {
        date,
        sent,
        parts: parts(place, &sent, most),
    });
    Bars {
        most: thousands(most),
        days: days.collect(),
        sent: all,
    }
}

fn parts(place: usize, sent: &Sent, most: u64) -> Vec<Part> {
    // However few, they are to be seen.
    let height = |count: u64| (count * HIGH).div_ceil(most.max(1));
    let part = |class, y, height| Part {
        class,
        x: place * 10 + 1,
        y,
        height,
    };
    let mut parts = Vec::new();
    let mut top = HIGH;
    for (class, count) in [
        ("come", sent.started),
        ("bad", sent.not_started),
        ("doubt", sent.uncertain),
    ] {
        top = top.saturating_sub(height(count));
        parts.push(part(class, top, height(count)));
    }
    let mut bottom = HIGH;
    for (class, count) in [("go", sent.stopped), ("bad", sent.not_stopped)] {
        parts.push(part(class, bottom, height(count)));
        bottom += height(count);
    }
    parts.retain(|part| part.height > 0);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn dates(first: Option<&str>, most: u16) -> (usize, String) {
        let now = at("2026-11-23T12:00:00Z");
        let days = days(first.map(at), now, &TimeZone::UTC, most);
        assert_eq!(days.last().unwrap().date, "2026-11-23");
        (days.len(), days[0].date.clone())
    }

    #[test]
    fn the_days_are_those_of_the_zone_also_where_the_clock_changes() {
        let zone = TimeZone::get("Europe/Amsterdam").unwrap();
        let first = at("2020-01-01T00:00:00Z");
        let days = days(Some(first), at("2026-11-23T22:59:59Z"), &zone, 90);
        assert_eq!(days.len(), 90);
        assert_eq!(days[89].date, "2026-11-23");
        assert_eq!(days[0].date, "2026-08-26");
        let mut dates = days.iter().map(|day| day.date.as_str());
        let changed = dates.position(|date| date == "2026-10-25").unwrap();
        let hours = (days[changed].end - days[changed - 1].end) / 3_600_000;
        assert_eq!(hours, 25);
    }

    #[test]
    fn no_day_before_the_record_began_is_drawn_but_always_a_week() {
        assert_eq!(dates(Some("2026-11-01T20:00:00Z"), 90).1, "2026-11-01");
        assert_eq!(dates(Some("2026-11-23T09:00:00Z"), 90).0, 7);
        assert_eq!(dates(Some("2027-11-23T09:00:00Z"), 90).0, 7);
        assert_eq!(dates(None, 90).0, 7);
        assert_eq!(dates(Some("2020-01-01T00:00:00Z"), 1).0, 1);
        assert_eq!(dates(Some("2023-01-01T00:00:00Z"), 1096).1, "2023-11-24");
    }

    #[test]
    fn a_curve_sums_up_what_came_and_went() {
        let zone = TimeZone::UTC;
        let now = at("2026-11-23T12:00:00Z");
        let days = days(None, now, &zone, 90);
        let step = |automation: &str, at: Timestamp, by| Step {
            automation: automation.to_owned(),
            at: at.as_millisecond(),
            by,
        };
        let steps = [
            step("a", overview_from(now, &zone, 90), 10),
            step("a", at("2026-11-22T23:45:00Z"), -4),
            step("b", at("2026-11-23T00:00:00Z"), 7),
        ];
        let curves = curves(&steps, &[], &days);
        let told: Vec<_> = curves
            .iter()
            .map(|curve| (curve.count, curve.name.as_str(), curve.before.as_str()))
            .collect();
        assert_eq!(told, [(7, "b", "0"), (6, "a", "10")]);
        assert_eq!(curves[1].points, "0,0 1,0 2,0 3,0 4,0 5,40 6,40");
        assert!(curves[1].bars.days.is_empty());
    }

    #[test]
    fn a_day_has_its_calls_by_what_came_of_them() {
        let now = at("2026-11-23T12:00:00Z");
        let days = days(None, now, &TimeZone::UTC, 90);
        let calls_of = |kind: &str, outcome: Option<&str>, count| Calls {
            automation: "a".to_owned(),
            at: at("2026-11-22T12:00:00Z").as_millisecond(),
            kind: kind.to_owned(),
            outcome: outcome.map(str::to_owned),
            count,
        };
        let calls = [
            calls_of("trigger", Some("active"), 1000),
            calls_of("trigger", Some("failed"), 1),
            calls_of("trigger", None, 2),
            calls_of("trigger", Some("not-carried-out"), 500),
            calls_of("stop", Some("stopped"), 4),
        ];
        let bars = bars(&calls, &days);
        let numbers = bars.sent.columns().map(|(_, number)| number);
        assert_eq!(numbers, ["1,000", "1", "2", "4", "0"]);
        assert_eq!(bars.most, "1,003");
        assert_eq!(bars.days.len(), 1);
        assert_eq!(bars.days[0].date, "2026-11-22");
        // However few, each is seen.
        let drawn = bars.days[0].parts.iter();
        let drawn: Vec<_> = drawn.map(|p| (p.class, p.x, p.y, p.height)).collect();
        assert_eq!(
            drawn,
            [
                ("come", 51, 0, 100),
                ("bad", 51, 0, 1),
                ("doubt", 51, 0, 1),
                ("go", 51, 100, 1)
            ]
        );
    }
}
