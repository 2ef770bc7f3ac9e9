//! Plans and runs as JSON, as `product.md` describes it: one action a line, the same input the same bytes.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use super::applied::Applied;
use super::rows::{ActionRow, PlanView};
use super::tally::tally;
use crate::apply::{Run, Settled};
use crate::id::{AutomationName, ContactId, Occurrence};
use crate::participation::State;
use crate::plan::saved::{FORMAT_VERSION, SavedPlan};
use crate::plan::{LEAVING, Plan};

#[derive(Serialize)]
struct ActionJson<'a> {
    action: &'a str,
    automation: &'a str,
    contact: &'a str,
    occurrence: Option<&'a str>,
    reason: &'a str,
    declared_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct HeldJson<'a> {
    automation: &'a AutomationName,
    contact: &'a ContactId,
    occurrence: Option<&'a Occurrence>,
    state: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct DeferredJson<'a> {
    automation: &'a str,
    contact: &'a str,
    occurrence: Option<&'a str>,
    reason: &'a str,
    until: Option<String>,
}

#[derive(Serialize)]
struct FreezeJson<'a> {
    automation: Option<Vec<&'a AutomationName>>,
    from: Option<String>,
    until: Option<String>,
    all: bool,
    reason: Option<&'a str>,
    declared_at: String,
}

#[derive(Serialize)]
struct MovedJson<'a> {
    from: &'a AutomationName,
    to: &'a AutomationName,
    participations: u64,
}

#[derive(Serialize)]
struct AutomationJson<'a> {
    automation: &'a str,
    trigger: u64,
    stop: u64,
    deferred: u64,
    let_go: u64,
    held: u64,
    running: u64,
}

#[derive(Serialize)]
struct MergedJson<'a> {
    from: &'a ContactId,
    to: &'a ContactId,
    participations: u64,
}

#[derive(Serialize)]
struct SummaryJson {
    trigger: u64,
    stop: u64,
    #[serde(skip_serializing_if = "is_zero")]
    deferred: u64,
    #[serde(skip_serializing_if = "is_zero")]
    let_go: u64,
    held: u64,
    unchanged: u64,
}

#[derive(Serialize)]
struct GuardJson {
    refused: bool,
    reasons: Vec<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Serialize)]
struct SavedJson<'a> {
    plan: &'a str,
    rollcall: &'a str,
    saved_at: String,
    record: Option<&'a str>,
    roster_digest: &'a str,
    automation: Option<&'a AutomationName>,
    contact: Option<&'a ContactId>,
}

#[derive(Serialize)]
struct RecordJson<'a> {
    id: Option<&'a str>,
    problems: &'a [String],
}

/// Writes a plan.
///
/// # Errors
/// What the writer says.
pub fn plan_json(out: &mut impl Write, view: PlanView<'_>) -> io::Result<()> {
    document(out, "{ ", view, None, None)
}

/// Writes the figures of a plan alone.
///
/// # Errors
/// What the writer says.
pub fn plan_summary_json(out: &mut impl Write, view: PlanView<'_>) -> io::Result<()> {
    head(out, "{ ", view)?;
    let id = view.record_id.map(|id| id.to_string());
    let record = RecordJson {
        id: id.as_deref(),
        problems: view.problems,
    };
    write!(out, "  \"record\": ")?;
    to_json(out, &record)?;
    write!(out, ",\n  \"automations\": ")?;
    let tally = tally(view).into_iter();
    let reported = tally.filter(|(_, counts)| counts.is_reported());
    list(out, reported, |out, (automation, counts)| {
        to_json(
            out,
            &AutomationJson {
                automation,
                trigger: counts.trigger,
                stop: counts.stop,
                deferred: counts.deferred,
                let_go: counts.let_go,
                held: counts.held,
                running: counts.running,
            },
        )
    })?;
    frozen(out, view)?;
    write!(out, "  \"summary\": ")?;
    to_json(out, &summary(view.plan))?;
    write!(out, ",\n  \"guard\": ")?;
    to_json(out, &guard(view, true))?;
    writeln!(out, " }}")
}

/// Writes a plan with what is needed to apply it.
///
/// # Errors
/// What the writer says.
pub fn saved_json(out: &mut impl Write, view: PlanView<'_>, saved: &SavedPlan) -> io::Result<()> {
    document(out, "{ ", view, Some(saved), None)
}

/// Writes a plan with what came of each of its actions.
///
/// # Errors
/// What the writer says.
pub fn run_json(out: &mut impl Write, view: PlanView<'_>, run: &Run) -> io::Result<()> {
    document(out, "{ ", view, None, Some(run))
}

/// Writes what an apply did: its exit code, and the plan with what came of each of its actions, where there was a plan.
///
/// # Errors
/// What the writer says.
pub fn applied_json(out: &mut impl Write, applied: Applied<'_>) -> io::Result<()> {
    let start = format!("{{ \"exit_code\": {},\n  ", applied.exit_code);
    match applied.view {
        Some(view) => document(out, &start, view, None, Some(applied.run)),
        None => writeln!(
            out,
            "{start}\"format_version\": {FORMAT_VERSION},\n  \"actions\": [] }}"
        ),
    }
}

/// Why an enrolment is gone. A condition may be on a cell that is a field as well, and no field is ever written down: a saved
/// plan does not say it.
fn why_gone<'a>(saved: Option<&SavedPlan>, reason: &'a str) -> &'a str {
    match saved {
        Some(_) => "no longer declared",
        None => reason,
    }
}

fn document(
    out: &mut impl Write,
    start: &str,
    view: PlanView<'_>,
    saved: Option<&SavedPlan>,
    run: Option<&Run>,
) -> io::Result<()> {
    head(out, start, view)?;
    if let Some(saved) = saved {
        write!(out, "  \"saved\": ")?;
        to_json(
            out,
            &SavedJson {
                plan: &saved.id,
                rollcall: &saved.rollcall,
                saved_at: second(saved.saved_at),
                record: saved.record.as_deref(),
                roster_digest: &saved.roster_digest,
                automation: saved.filter.automation.as_ref(),
                contact: saved.filter.contact.as_ref(),
            },
        )?;
        writeln!(out, ",")?;
    }
    let id = view.record_id.map(|id| id.to_string());
    let record = match saved {
        Some(saved) => RecordJson {
            id: saved.record.as_deref(),
            problems: &saved.problems,
        },
        None => RecordJson {
            id: id.as_deref(),
            problems: view.problems,
        },
    };
    write!(out, "  \"record\": ")?;
    to_json(out, &record)?;
    write!(out, ",\n  \"actions\": ")?;
    let actions = view.rows().enumerate();
    list(out, actions, |out, (index, mut row)| {
        if row.action == "stop" {
            row.reason = why_gone(saved, &row.reason).to_owned();
        }
        let settled = run.map(|run| {
            let none = Settled::plain(crate::apply::Outcome::NotSent);
            run.settled.get(index).cloned().flatten().unwrap_or(none)
        });
        action(out, &row, settled.as_ref())
    })?;
    if saved.is_none() {
        frozen(out, view)?;
    }
    if !view.plan.deferred.is_empty() {
        write!(out, "  \"deferred\": ")?;
        list(out, view.deferred(), |out, row| {
            to_json(
                out,
                &DeferredJson {
                    automation: row.automation,
                    contact: row.contact,
                    occurrence: row.occurrence,
                    reason: &row.reason,
                    until: row.until.map(second),
                },
            )
        })?;
    }
    write!(out, "  \"held\": ")?;
    let held = view.plan.held.iter();
    let held = held.map(|held| (&held.key, held.state, &held.reason));
    let withheld = view.plan.withheld.iter();
    let withheld = withheld.map(|of| (&of.key, State::Withheld.as_str(), &of.reason));
    let mut all: Vec<_> = held.chain(withheld).collect();
    all.sort_by_key(|(key, ..)| *key);
    list(out, all, |out, (key, state, reason)| {
        to_json(
            out,
            &HeldJson {
                automation: &key.automation,
                contact: &key.contact,
                occurrence: key.occurrence.as_ref(),
                state,
                reason: match state {
                    LEAVING => why_gone(saved, reason),
                    _ => reason,
                },
            },
        )
    })?;
    if !view.plan.let_go.is_empty() {
        write!(out, "  \"let_go\": ")?;
        list(out, &view.plan.let_go, |out, let_go| {
            to_json(
                out,
                &HeldJson {
                    automation: &let_go.participation.key.automation,
                    contact: &let_go.participation.key.contact,
                    occurrence: let_go.participation.key.occurrence.as_ref(),
                    state: let_go.participation.state.as_str(),
                    reason: why_gone(saved, &let_go.reason),
                },
            )
        })?;
    }
    if !view.plan.moved.is_empty() {
        write!(out, "  \"moved\": ")?;
        list(out, &view.plan.moved, |out, ((from, to), count)| {
            to_json(
                out,
                &MovedJson {
                    from,
                    to,
                    participations: *count,
                },
            )
        })?;
    }
    if !view.plan.merged.is_empty() {
        write!(out, "  \"merged\": ")?;
        list(out, &view.plan.merged, |out, ((from, to), count)| {
            to_json(
                out,
                &MergedJson {
                    from,
                    to,
                    participations: *count,
                },
            )
        })?;
    }
    write!(out, "  \"summary\": ")?;
    to_json(out, &summary(view.plan))?;
    write!(out, ",\n  \"guard\": ")?;
    to_json(out, &guard(view, false))?;
    if let Some(run) = run {
        write!(out, ",\n  \"ended_early\": ")?;
        to_json(out, &run.end.as_ref().map(ToString::to_string))?;
        if let Some(warning) = run.warning() {
            write!(out, ",\n  \"warning\": ")?;
            to_json(out, &warning)?;
        }
    }
    writeln!(out, " }}")
}

/// Writes what is frozen, where anything is.
fn frozen(out: &mut impl Write, view: PlanView<'_>) -> io::Result<()> {
    let mut freezes = view.config.freezes_at(view.now).peekable();
    if freezes.peek().is_some() {
        write!(out, "  \"frozen\": ")?;
        list(out, freezes, |out, freeze| {
            let names = freeze.automations.as_ref().map(|list| {
                let names = list.iter().map(|of| &view.config.automations[*of].name);
                names.collect()
            });
            to_json(
                out,
                &FreezeJson {
                    automation: names,
                    from: freeze.from.map(second),
                    until: freeze.until.map(second),
                    all: freeze.all,
                    reason: freeze.reason.as_deref(),
                    declared_at: freeze.place.to_string(),
                },
            )
        })?;
    }
    Ok(())
}

/// How every document of a plan begins.
fn head(out: &mut impl Write, start: &str, view: PlanView<'_>) -> io::Result<()> {
    writeln!(
        out,
        "{start}\"format_version\": {FORMAT_VERSION},\n  \"config_digest\": \"{}\", \"record_serial\": {}, \"now\": \"{}\",",
        view.config.digest,
        view.record_serial,
        second(view.now),
    )
}

fn guard(view: PlanView<'_>, names_nobody: bool) -> GuardJson {
    let breaches = view.guard.breaches.iter();
    GuardJson {
        refused: view.guard.refuses(),
        reasons: breaches.map(|of| of.words(names_nobody)).collect(),
    }
}

fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn summary(plan: &Plan) -> SummaryJson {
    let trigger = plan.triggers();
    SummaryJson {
        trigger,
        stop: plan.actions.len() as u64 - trigger,
        deferred: plan.deferred.len() as u64,
        let_go: plan.let_go.len() as u64,
        held: (plan.held.len() + plan.withheld.len()) as u64,
        unchanged: plan.unchanged,
    }
}

fn action(out: &mut impl Write, row: &ActionRow<'_>, settled: Option<&Settled>) -> io::Result<()> {
    to_json(
        out,
        &ActionJson {
            action: row.action,
            automation: row.automation,
            contact: row.contact,
            occurrence: row.occurrence,
            reason: &row.reason,
            declared_at: row.declared_at.as_deref(),
            outcome: settled.map(|s| s.outcome.as_str()),
            detail: settled.and_then(|s| s.detail.as_deref()),
        },
    )
}

/// Writes a list, one item a line, with a comma behind it.
fn list<W: Write, T>(
    out: &mut W,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut W, T) -> io::Result<()>,
) -> io::Result<()> {
    let mut items = items.into_iter();
    let Some(first) = items.next() else {
        return out.write_all(b"[],\n");
    };
    out.write_all(b"[\n    ")?;
    write(out, first)?;
    for item in items {
        out.write_all(b",\n    ")?;
        write(out, item)?;
    }
    out.write_all(b" ],\n")
}

fn to_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(out, value).map_err(io::Error::from)
}
