//! A plan as text for people: one line an action, a table of automations, one line of sum.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table};
use unicode_width::UnicodeWidthStr;

use super::rows::{PlanView, subject};
use super::style::{self, SafeText, pad, thousands};
use super::tally::{moved_lines, sentence, tally};
use crate::plan::{Action, Plan};

/// Columns grow no wider than this to keep the lines aligned.
const WIDEST: usize = 40;

/// Writes a plan. Colours are for the writer to take out where they are not wanted.
///
/// # Errors
/// What the writer says.
pub fn plan_text(out: &mut impl Write, view: PlanView<'_>) -> io::Result<()> {
    let plan = view.plan;
    moved(out, plan)?;
    actions(out, view)?;
    if !plan.let_go.is_empty() {
        writeln!(
            out,
            "Let go without a call; they run to their end by themselves:"
        )?;
        for let_go in &plan.let_go {
            let key = &let_go.participation.key;
            writeln!(
                out,
                "  {}  {}  {}",
                subject(
                    key.contact.as_str(),
                    key.occurrence.as_ref().map(|o| o.as_str())
                ),
                key.automation,
                SafeText(&let_go.reason)
            )?;
        }
        writeln!(out)?;
    }
    deferred(out, view)?;
    held(out, plan)?;
    if !plan.actions.is_empty() || !plan.let_go.is_empty() || !plan.deferred.is_empty() {
        table(out, view)?;
    }
    plan_sum(out, view)
}

fn moved(out: &mut impl Write, plan: &Plan) -> io::Result<()> {
    if plan.moved.is_empty() {
        return Ok(());
    }
    writeln!(out, "Moved to a new name, without a call:")?;
    for line in moved_lines(plan) {
        writeln!(out, "  {}", SafeText(&line))?;
    }
    writeln!(out)
}

fn actions(out: &mut impl Write, view: PlanView<'_>) -> io::Result<()> {
    let (mut contacts, mut automations) = (0, 0);
    for action in &view.plan.actions {
        let (contact, occurrence) = match action {
            Action::Stop(stop) => {
                let key = &stop.participation.key;
                (
                    key.contact.as_str(),
                    key.occurrence.as_ref().map(|o| o.as_str()),
                )
            }
            Action::Trigger(trigger) => {
                let enrolment = view.roster.get(trigger.enrolment as usize);
                (enrolment.contact, enrolment.occurrence)
            }
        };
        let wide = contact.width() + occurrence.map_or(0, |o| o.width() + 3);
        contacts = contacts.max(wide.min(WIDEST));
        automations = automations.max(view.automation(action).width().min(WIDEST));
    }
    for row in view.rows() {
        let (sign, colour) = match row.action {
            "stop" => ('-', style::REMOVED),
            _ => ('+', style::ADDED),
        };
        let (on, off) = (colour.render(), colour.render_reset());
        write!(
            out,
            "{on}{sign} {:<7}{off}  {}  {}  {}",
            row.action,
            pad(&subject(row.contact, row.occurrence), contacts),
            pad(&SafeText(row.automation).to_string(), automations),
            SafeText(&row.reason)
        )?;
        if let Some(place) = row.declared_at {
            let (on, off) = (style::DIMMED.render(), style::DIMMED.render_reset());
            write!(out, "  {on}({place}){off}")?;
        }
        writeln!(out)?;
    }
    if !view.plan.actions.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

fn deferred(out: &mut impl Write, view: PlanView<'_>) -> io::Result<()> {
    if view.plan.deferred.is_empty() {
        return Ok(());
    }
    writeln!(out, "Deferred; a later apply triggers these:")?;
    for row in view.deferred() {
        writeln!(
            out,
            "~ {}  {}  {}",
            subject(row.contact, row.occurrence),
            SafeText(row.automation),
            SafeText(&row.reason)
        )?;
    }
    writeln!(out)
}

fn held(out: &mut impl Write, plan: &Plan) -> io::Result<()> {
    if plan.held.is_empty() {
        return Ok(());
    }
    let (on, off) = (style::ATTENTION.render(), style::ATTENTION.render_reset());
    writeln!(out, "Held; nothing is done about these:")?;
    for held in &plan.held {
        let key = &held.key;
        writeln!(
            out,
            "{on}! {}{off}  {}  {}  {}",
            held.state,
            subject(
                key.contact.as_str(),
                key.occurrence.as_ref().map(|o| o.as_str())
            ),
            key.automation,
            SafeText(&held.reason)
        )?;
    }
    writeln!(out)
}

fn table(out: &mut impl Write, view: PlanView<'_>) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(style::PLAIN_TABLE);
    let mut header = vec![
        "automation",
        "trigger",
        "stop",
        "let go",
        "held",
        "running now",
    ];
    let has_deferred = !view.plan.deferred.is_empty();
    if has_deferred {
        header.insert(3, "deferred");
    }
    table.set_header(header);
    for (automation, counts) in tally(view) {
        if !counts.is_reported() {
            continue;
        }
        let mut cells = vec![
            automation.to_owned(),
            thousands(counts.trigger),
            thousands(counts.stop),
            thousands(counts.let_go),
            thousands(counts.held),
            thousands(counts.running),
        ];
        if has_deferred {
            cells.insert(3, thousands(counts.deferred));
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out)
}

/// Writes what the guard says of a plan, and its line of sum.
///
/// # Errors
/// What the writer says.
pub fn plan_sum(out: &mut impl Write, view: PlanView<'_>) -> io::Result<()> {
    let breaches = &view.guard.breaches;
    if !breaches.is_empty() {
        let (on, off) = (style::ATTENTION.render(), style::ATTENTION.render_reset());
        writeln!(out, "{on}The guard refuses to apply this plan:{off}")?;
        for breach in breaches {
            writeln!(out, "  {}", SafeText(&breach.to_string()))?;
        }
        writeln!(
            out,
            "  Check that this is what you want; then {}.\n",
            view.guard.way_on()
        )?;
    }
    let (on, off) = (style::STRONG.render(), style::STRONG.render_reset());
    let (start, rest) = sentence(view.plan);
    writeln!(out, "{on}{start}{off} {rest}")
}
