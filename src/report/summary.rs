//! What came of an apply, by automation and outcome.

use std::collections::BTreeMap;
use std::io::{self, Write};

use comfy_table::{CellAlignment, Table};

use super::rows::{PlanView, subject};
use super::style::{self, SafeText, plural, thousands};
use super::tally::moved;
use crate::apply::{End, Outcome, Run};
use crate::plan::Action;

/// Failures beyond this many are counted and not listed.
const MOST_LISTED: usize = 20;

/// How many actions had each outcome.
#[derive(Default)]
pub(super) struct Outcomes<'a> {
    pub by_automation: BTreeMap<&'a str, BTreeMap<Outcome, u64>>,
    pub total: BTreeMap<Outcome, u64>,
}

impl<'a> Outcomes<'a> {
    /// Of those actions of a plan that are wanted.
    pub(super) fn of(view: PlanView<'a>, run: &Run, is_wanted: impl Fn(&Action) -> bool) -> Self {
        let mut all = Self::default();
        let actions = view.plan.actions.iter().enumerate();
        for (index, action) in actions.filter(|(_, action)| is_wanted(action)) {
            let outcome = run.outcome(index);
            let of = all.by_automation.entry(view.automation(action));
            *of.or_default().entry(outcome).or_default() += 1;
            *all.total.entry(outcome).or_default() += 1;
        }
        all
    }
}

/// Writes the summary of a run.
///
/// # Errors
/// What the writer says.
pub fn run_summary(out: &mut impl Write, view: PlanView<'_>, run: &Run) -> io::Result<()> {
    let Outcomes {
        by_automation: counts,
        total,
    } = Outcomes::of(view, run, |_| true);
    let bad = (0..view.plan.actions.len()).filter(|index| is_bad(run, *index));
    let bad: Vec<usize> = bad.collect();
    list_bad(out, view, run, &bad)?;
    if !view.plan.actions.is_empty() {
        let columns: Vec<Outcome> = Outcome::ALL
            .into_iter()
            .filter(|outcome| total.contains_key(outcome))
            .collect();
        let mut table = Table::new();
        table.load_style(style::PLAIN_TABLE);
        let header = columns.iter().map(|outcome| outcome.as_str());
        table.set_header(std::iter::once("automation").chain(header));
        for (automation, counts) in &counts {
            let cells = columns
                .iter()
                .map(|outcome| thousands(counts.get(outcome).copied().unwrap_or(0)));
            table.add_row(std::iter::once((*automation).to_owned()).chain(cells));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for line in table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        writeln!(out)?;
    }
    ended(out, run)?;
    if let Some(warning) = run.warning() {
        let (on, off) = (style::ATTENTION.render(), style::ATTENTION.render_reset());
        writeln!(out, "{on}Another account?{off} {warning}.")?;
    }
    let (on, off) = (style::STRONG.render(), style::STRONG.render_reset());
    let mut words = words(&total);
    if !view.plan.let_go.is_empty() {
        words.push(format!(
            "{} let go",
            thousands(view.plan.let_go.len() as u64)
        ));
    }
    match moved(view.plan) {
        0 => {}
        count => words.push(format!("{} moved", thousands(count))),
    }
    match view.plan.merged.len() as u64 {
        0 => {}
        count => words.push(format!("{} merged", thousands(count))),
    }
    writeln!(out, "{on}Applied:{off} {}.", words.join(", "))?;
    let doubts = total.get(&Outcome::Uncertain).copied().unwrap_or(0);
    if doubts > 0 {
        writeln!(
            out,
            "{} may or may not have been carried out and will not be sent again by itself: look at them in Spotler, \
             then settle them with `rollcall resolve`.",
            plural(doubts, "trigger")
        )?;
    }
    Ok(())
}

/// Writes what came of the stops of suppressed contacts, where the guard refused the rest of a plan.
///
/// # Errors
/// What the writer says.
pub fn refused_summary(out: &mut dyn Write, view: PlanView<'_>, run: &Run) -> io::Result<()> {
    let mut total: BTreeMap<Outcome, u64> = BTreeMap::new();
    let mut bad = Vec::new();
    let actions = view.plan.actions.iter().enumerate();
    for (index, _) in actions.filter(|(_, action)| action.is_of_suppressed()) {
        *total.entry(run.outcome(index)).or_default() += 1;
        if is_bad(run, index) {
            bad.push(index);
        }
    }
    writeln!(
        out,
        "nothing of this plan was sent but the stops of suppressed contacts: {}.",
        words(&total).join(", ")
    )?;
    let moved: u64 = view.plan.moved.values().sum();
    if moved > 0 {
        writeln!(
            out,
            "These stops needed the new names of [[moved]], so these are on record already: {} moved.",
            thousands(moved)
        )?;
    }
    let merged = view.plan.merges_of_suppressed().ids.len() as u64;
    if merged > 0 {
        writeln!(
            out,
            "These stops needed the ids that people keep, so these are on record already: {} merged.",
            thousands(merged)
        )?;
    }
    let mut out = out;
    list_bad(&mut out, view, run, &bad)?;
    ended(&mut out, run)
}

/// How many had each outcome, in words.
pub(super) fn words(total: &BTreeMap<Outcome, u64>) -> Vec<String> {
    let counts = total.iter();
    counts
        .map(|(outcome, count)| format!("{} {}", thousands(*count), in_words(*outcome)))
        .collect()
}

/// Whether what came of an action is to be told by itself. What was not sent because the run ended is counted; why it ended
/// is reported once.
fn is_bad(run: &Run, index: usize) -> bool {
    let outcome = run.outcome(index);
    let is_reported = outcome == Outcome::NotSent && run.end.is_some();
    let is_settled = run.settled.get(index).is_some_and(Option::is_some);
    !outcome.is_good() && is_settled && !is_reported
}

/// Says why a run ended before its end, if it did.
fn ended(out: &mut impl Write, run: &Run) -> io::Result<()> {
    let Some(end) = &run.end else { return Ok(()) };
    let (on, off) = (style::ATTENTION.render(), style::ATTENTION.render_reset());
    write!(out, "{on}Ended early:{off} {end}.")?;
    match end {
        // It says itself what is on record, which may be nothing.
        End::Record { .. } => writeln!(out),
        _ => writeln!(
            out,
            " Calls under way were recorded; the next apply goes on from here."
        ),
    }
}

fn in_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Active => "triggered",
        Outcome::Stopped => "stopped",
        Outcome::Refused => "refused",
        Outcome::Failed => "failed",
        Outcome::FailedForGood => "failed for good",
        Outcome::Waiting => "waiting",
        Outcome::Uncertain => "uncertain",
        Outcome::StopFailed => "not stopped",
        Outcome::StopUncertain => "with the stop uncertain",
        Outcome::Deferred => "deferred",
        Outcome::NotSent => "not sent",
    }
}

fn list_bad(out: &mut impl Write, view: PlanView<'_>, run: &Run, bad: &[usize]) -> io::Result<()> {
    if bad.is_empty() {
        return Ok(());
    }
    for &index in bad.iter().take(MOST_LISTED) {
        let row = view.row(&view.plan.actions[index]);
        let detail = run.settled[index]
            .as_ref()
            .and_then(|settled| settled.detail.as_deref())
            .unwrap_or("no reason was given");
        let (on, off) = (style::ATTENTION.render(), style::ATTENTION.render_reset());
        writeln!(
            out,
            "{on}! {}{off}  {} {}  {}  {}",
            run.outcome(index),
            row.action,
            subject(row.contact, row.occurrence),
            SafeText(row.automation),
            SafeText(detail)
        )?;
    }
    if bad.len() > MOST_LISTED {
        writeln!(
            out,
            "… and {} more; `rollcall record list` has them all.",
            thousands((bad.len() - MOST_LISTED) as u64)
        )?;
    }
    writeln!(out)
}
