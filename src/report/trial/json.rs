//! Rules that were tried, as JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{FirstDay, Trial, TrialCounts};

#[derive(Serialize)]
struct TrialJson<'a> {
    format_version: u32,
    #[serde(flatten)]
    body: Body<'a>,
}

#[derive(Serialize)]
pub(super) struct Body<'a> {
    from: String,
    to: String,
    at: Vec<String>,
    zone: &'a str,
    sources: Vec<SourceJson<'a>>,
    first_day: &'static str,
    adopted: u64,
    unattended: bool,
    applies: u64,
    summary: Summary,
    automations: Vec<SumJson<'a>>,
    days: Vec<DayJson<'a>>,
    held_back: Vec<HeldJson<'a>>,
    refused: Vec<RefusedJson<'a>>,
    not_planned: Vec<NotPlannedJson<'a>>,
    people_by_triggers: BTreeMap<u64, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    most: Option<Vec<MostJson<'a>>>,
}

#[derive(Serialize)]
struct SourceJson<'a> {
    source: &'a str,
    exports: Option<u64>,
}

#[derive(Serialize)]
struct Summary {
    trigger: u64,
    stop: u64,
    let_go: u64,
    people: u64,
    refused: usize,
    not_planned: usize,
}

#[derive(Serialize)]
struct SumJson<'a> {
    automation: &'a str,
    trigger: u64,
    stop: u64,
    let_go: u64,
    running: u64,
    most_on_a_day: u64,
    most_on: Option<String>,
}

#[derive(Serialize)]
struct DayJson<'a> {
    date: String,
    trigger: u64,
    stop: u64,
    let_go: u64,
    running: u64,
    automations: BTreeMap<&'a str, CountsJson>,
}

#[derive(Serialize)]
struct CountsJson {
    trigger: u64,
    stop: u64,
    let_go: u64,
    running: u64,
}

#[derive(Serialize)]
struct HeldJson<'a> {
    automation: &'a str,
    by: &'static str,
    people: u64,
    missed: u64,
    times: u64,
}

#[derive(Serialize)]
struct RefusedJson<'a> {
    at: String,
    reasons: &'a [String],
    done: bool,
}

#[derive(Serialize)]
struct NotPlannedJson<'a> {
    at: String,
    problem: Option<&'a str>,
    problems: u64,
}

#[derive(Serialize)]
struct MostJson<'a> {
    contact: &'a str,
    trigger: u64,
}

impl From<TrialCounts> for CountsJson {
    fn from(of: TrialCounts) -> Self {
        Self {
            trigger: of.trigger,
            stop: of.stop,
            let_go: of.let_go,
            running: of.running,
        }
    }
}

impl<'a> From<&'a Trial> for Body<'a> {
    fn from(trial: &'a Trial) -> Self {
        let all = trial.all();
        let time = |at: jiff::Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let names = || trial.automations.iter().map(|of| of.automation.as_str());
        let days = trial.days.iter().map(|day| {
            let all = day.all();
            let counts = day.automations.iter().map(|of| CountsJson::from(*of));
            DayJson {
                date: day.date.to_string(),
                trigger: all.trigger,
                stop: all.stop,
                let_go: all.let_go,
                running: all.running,
                automations: names().zip(counts).collect(),
            }
        });
        let sums = trial.automations.iter().map(|of| SumJson {
            automation: &of.automation,
            trigger: of.trigger,
            stop: of.stop,
            let_go: of.let_go,
            running: of.running,
            most_on_a_day: of.most,
            most_on: of.most_on.map(|date| date.to_string()),
        });
        let held = trial.held_back.iter().map(|of| HeldJson {
            automation: &of.automation,
            by: of.by.as_str(),
            people: of.people,
            missed: of.missed,
            times: of.times,
        });
        let refused = trial.refused.iter().map(|of| RefusedJson {
            at: time(of.at),
            reasons: &of.reasons,
            done: of.done,
        });
        let not_planned = trial.not_planned.iter().map(|of| NotPlannedJson {
            at: time(of.at),
            problem: of.problem.as_deref(),
            problems: of.problems,
        });
        let most = trial.most.iter().map(|of| MostJson {
            contact: &of.contact,
            trigger: of.trigger,
        });
        let sources = trial.sources.iter().map(|of| SourceJson {
            source: &of.source,
            exports: of.exports,
        });
        let at = trial.at.iter().map(|at| at.strftime("%H:%M").to_string());
        Self {
            from: trial.from.to_string(),
            to: trial.to.to_string(),
            at: at.collect(),
            zone: &trial.zone,
            sources: sources.collect(),
            first_day: match trial.first_day {
                FirstDay::Adopt => "adopt",
                FirstDay::Trigger => "trigger",
            },
            adopted: trial.adopted,
            unattended: trial.is_unattended,
            applies: trial.applies,
            summary: Summary {
                trigger: all.trigger,
                stop: all.stop,
                let_go: all.let_go,
                people: trial.people,
                refused: trial.refused.len(),
                not_planned: trial.not_planned.len(),
            },
            automations: sums.collect(),
            days: days.collect(),
            held_back: held.collect(),
            refused: refused.collect(),
            not_planned: not_planned.collect(),
            people_by_triggers: trial.by_count.clone(),
            most: trial.has_names.then(|| most.collect()),
        }
    }
}

/// Writes what came of rules that were tried.
///
/// # Errors
/// What the writer says.
pub fn trial_json(out: &mut impl Write, trial: &Trial) -> io::Result<()> {
    let document = TrialJson {
        format_version: 1,
        body: trial.into(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}
