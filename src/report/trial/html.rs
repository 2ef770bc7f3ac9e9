//! Rules that were tried, as one file for a browser.

use std::collections::HashMap;
use std::io::{self, Write};

use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Trial;
use crate::report::chart::{Bar, Bars, Sent, bars_of};
use crate::report::html::id_class;
use crate::report::style::{SafeText, plural, thousands};

/// The most automations that have a drawing.
const MOST_AUTOMATIONS: usize = 24;

/// The most rows of a table.
const MOST_ROWS: usize = 200;

#[derive(Template)]
#[template(path = "trial.html")]
struct Page {
    title: String,
    first: String,
    last: String,
    /// How wide the drawings are.
    width: usize,
    sides: Vec<Side>,
}

/// What came of one set of rules.
struct Side {
    label: String,
    beginning: String,
    read: String,
    trigger: String,
    people: String,
    stop: String,
    refused_count: String,
    bars: Bars,
    each: Vec<Each>,
    more: usize,
    held: Vec<HeldRow>,
    refused: Vec<(String, String)>,
    by_count: Vec<(String, String)>,
    most: Vec<(String, String)>,
}

struct Each {
    name: String,
    trigger: String,
    stop: String,
    let_go: String,
    running: String,
    bars: Bars,
}

struct HeldRow {
    automation: String,
    by: &'static str,
    people: String,
    missed: String,
    times: String,
}

impl Page {
    /// What a day's bar is of.
    fn sent(&self, bar: &Bar) -> [(&'static str, String); 2] {
        let [started, _, _, stopped, _] = bar.sent.columns();
        [started, stopped]
    }
}

/// Writes what came of sets of rules, each with what it is called, beside each other: on the same days, and by the same scale.
///
/// # Errors
/// What the writer says.
pub fn trial_html(out: &mut impl Write, sides: &[(&str, &Trial)]) -> io::Result<()> {
    let Some((_, first)) = sides.first() else {
        return Ok(());
    };
    let days = sides.iter().flat_map(|(_, trial)| &trial.days);
    let all = days.map(|day| {
        let all = day.all();
        Sent::good(all.trigger, all.stop).height()
    });
    let most = all.max().unwrap_or(0);
    let scales = scales(sides);
    let page = Page {
        title: first.title(),
        first: first.from.to_string(),
        last: first.to.to_string(),
        width: first.days.len() * 10,
        sides: (sides.iter())
            .map(|(label, trial)| side(label, trial, most, &scales))
            .collect(),
    };
    page.write_into(out)
}

/// What the drawings of an automation have in common on all sides.
#[derive(Default)]
struct Scale {
    /// By this they are in order.
    trigger: u64,
    /// The longest bar.
    most: u64,
}

fn scales<'a>(sides: &[(&str, &'a Trial)]) -> HashMap<&'a str, Scale> {
    let mut scales: HashMap<&str, Scale> = HashMap::new();
    for (_, trial) in sides {
        for (place, of) in trial.automations.iter().enumerate() {
            let scale = scales.entry(&of.automation).or_default();
            scale.trigger += of.trigger;
            for day in &trial.days {
                let counts = day.automations[place];
                scale.most = scale.most.max(counts.trigger).max(counts.stop);
            }
        }
    }
    scales
}

fn side(label: &str, trial: &Trial, most: u64, scales: &HashMap<&str, Scale>) -> Side {
    let scale = |place: &usize| &scales[trial.automations[*place].automation.as_str()];
    let all = trial.all();
    let days = trial.days.iter().map(|day| {
        let all = day.all();
        (day.date.to_string(), Sent::good(all.trigger, all.stop))
    });
    let mut places: Vec<usize> = (0..trial.automations.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(scale(place).trigger));
    let more = places.len().saturating_sub(MOST_AUTOMATIONS);
    places.truncate(MOST_AUTOMATIONS);
    Side {
        label: SafeText(label).to_string(),
        beginning: trial.beginning(),
        read: trial.read().join(", "),
        trigger: thousands(all.trigger),
        people: thousands(trial.people),
        stop: thousands(all.stop),
        refused_count: thousands(trial.refused.len() as u64),
        bars: bars_of(days, most),
        each: (places.into_iter())
            .map(|place| each(trial, place, scale(&place).most))
            .collect(),
        more,
        held: held(trial),
        refused: refused(trial),
        by_count: (trial.by_count.iter().take(MOST_ROWS))
            .map(|(times, people)| (thousands(*times), thousands(*people)))
            .collect(),
        most: (trial.most.iter())
            .map(|of| (SafeText(&of.contact).to_string(), thousands(of.trigger)))
            .collect(),
    }
}

fn each(trial: &Trial, place: usize, most: u64) -> Each {
    let of = &trial.automations[place];
    let days = trial.days.iter().map(|day| {
        let counts = day.automations[place];
        (
            day.date.to_string(),
            Sent::good(counts.trigger, counts.stop),
        )
    });
    Each {
        name: SafeText(&of.automation).to_string(),
        trigger: thousands(of.trigger),
        stop: thousands(of.stop),
        let_go: thousands(of.let_go),
        running: thousands(of.running),
        bars: bars_of(days, most),
    }
}

fn held(trial: &Trial) -> Vec<HeldRow> {
    let rows = trial.held_back.iter().map(|of| HeldRow {
        automation: SafeText(&of.automation).to_string(),
        by: of.by.as_str(),
        people: thousands(of.people),
        missed: thousands(of.missed),
        times: thousands(of.times),
    });
    rows.collect()
}

fn refused(trial: &Trial) -> Vec<(String, String)> {
    let refused = trial.refused.iter();
    let refused = refused.map(|of| (of.at, of.reasons.join("; ")));
    let not_planned = trial.not_planned.iter().map(|of| {
        let problem = of.problem.clone();
        let problem = problem.unwrap_or_else(|| plural(of.problems, "mistake"));
        (of.at, format!("nothing was planned: {problem}"))
    });
    let mut rows: Vec<(Timestamp, String)> = refused.chain(not_planned).collect();
    rows.sort();
    let zone = TimeZone::get(&trial.zone).unwrap_or(TimeZone::UTC);
    let rows = rows.into_iter().take(MOST_ROWS);
    rows.map(|(at, why)| {
        let at = at.to_zoned_datetime(zone.clone());
        (
            at.strftime("%Y-%m-%d %H:%M").to_string(),
            SafeText(&why).to_string(),
        )
    })
    .collect()
}
