//! The record as a page for those who own the automations: how many take part, what was sent, what went wrong.

use std::io::{self, Write};

use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::chart::{Bars, Curve, bars, curves, days};
use super::html::id_class;
use super::moment::{moment, short_moment};
use super::style::{SafeText, thousands};
use crate::record::{Overview, RecordedRun};

/// The most automations that have a curve.
const MOST_CURVES: usize = 24;

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    now: String,
    zone: String,
    first: String,
    last: String,
    running: String,
    started: String,
    stopped: String,
    waiting: String,
    /// How wide the drawings are.
    width: usize,
    curves: Vec<Curve>,
    more_curves: usize,
    bars: Bars,
    troubles: Vec<TroubleRow>,
    failures: Vec<FailureRow>,
    runs: Vec<RunRow>,
}

struct TroubleRow {
    automation: String,
    state: String,
    what: &'static str,
    detail: String,
    count: String,
}

struct FailureRow {
    automation: String,
    call: String,
    outcome: String,
    detail: String,
    count: String,
    last: String,
}

struct RunRow {
    command: String,
    at: String,
    took: String,
    calls: String,
    revision: String,
}

/// Writes the page about a record, with at most so many days up to now in its drawings.
///
/// # Errors
/// What the writer says.
pub fn overview_html(
    out: &mut impl Write,
    overview: &Overview,
    now: Timestamp,
    zone: &TimeZone,
    most_days: u16,
) -> io::Result<()> {
    let days = days(overview.began, now, zone, most_days);
    let bars = bars(&overview.calls, &days);
    let [started, _, _, stopped, _] = bars.sent.columns().map(|(_, number)| number);
    let mut curves = curves(&overview.steps, &overview.calls, &days);
    let running: i64 = curves.iter().map(|curve| curve.count).sum();
    let more_curves = curves.len().saturating_sub(MOST_CURVES);
    curves.truncate(MOST_CURVES);
    let waiting: i64 = overview.troubles.iter().map(|trouble| trouble.count).sum();
    let page = Page {
        now: moment(now, zone),
        zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        first: days.first().map(|day| day.date.clone()).unwrap_or_default(),
        last: days.last().map(|day| day.date.clone()).unwrap_or_default(),
        running: number(running),
        started,
        stopped,
        waiting: number(waiting),
        width: days.len(),
        curves,
        more_curves,
        bars,
        troubles: troubles(overview),
        failures: failures(overview, zone),
        runs: overview.runs.iter().map(|run| run_row(run, zone)).collect(),
    };
    page.write_into(out)
}

fn troubles(overview: &Overview) -> Vec<TroubleRow> {
    let rows = overview.troubles.iter().map(|trouble| TroubleRow {
        automation: SafeText(&trouble.automation).to_string(),
        state: SafeText(&trouble.state).to_string(),
        what: match trouble.state.as_str() {
            "uncertain" => "Look at them in Spotler, then settle them with `rollcall resolve`.",
            "refused" => "Spotler's own limit: they took part before.",
            "failed" => "The next apply tries them again.",
            "failed-for-good" => "Tried again once their fields or the automation change.",
            _ => "The next apply stops them again.",
        },
        detail: reason(trouble.detail.as_deref()),
        count: number(trouble.count),
    });
    rows.collect()
}

fn failures(overview: &Overview, zone: &TimeZone) -> Vec<FailureRow> {
    let rows = overview.failures.iter().map(|failure| FailureRow {
        automation: SafeText(&failure.automation).to_string(),
        call: SafeText(&failure.kind).to_string(),
        outcome: SafeText(&failure.outcome).to_string(),
        detail: reason(failure.detail.as_deref()),
        count: number(failure.count),
        last: Timestamp::from_millisecond(failure.last)
            .map(|at| short_moment(at, zone))
            .unwrap_or_default(),
    });
    rows.collect()
}

fn run_row(run: &RecordedRun, zone: &TimeZone) -> RunRow {
    let calls = run.calls.iter();
    let calls = calls.map(|(outcome, count)| format!("{} {}", number(*count), SafeText(outcome)));
    let calls = calls.collect::<Vec<_>>().join(", ");
    RunRow {
        command: SafeText(&run.command).to_string(),
        at: short_moment(run.started_at, zone),
        took: match run.ended_at {
            Some(end) => took(end.duration_since(run.started_at).as_millis()),
            None => "not ended".to_owned(),
        },
        calls: match calls.is_empty() {
            true => "none".to_owned(),
            false => calls,
        },
        revision: run
            .git_revision
            .as_deref()
            .map(|revision| SafeText(&revision.chars().take(12).collect::<String>()).to_string())
            .unwrap_or_default(),
    }
}

fn took(milliseconds: i128) -> String {
    match milliseconds.unsigned_abs() {
        ms @ 0..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        ms => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
    }
}

fn reason(detail: Option<&str>) -> String {
    SafeText(detail.unwrap_or("no reason was given")).to_string()
}

fn number(count: i64) -> String {
    thousands(count.unsigned_abs())
}
