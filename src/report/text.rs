//! A plan as text for people: one line an action, a table of automations, one line of sum.

use std::io::{self, Write};

use anstyle::Style;
use comfy_table::{CellAlignment, Table};

use super::grouped::{Kind, Row, Shown, groups};
use super::rows::PlanView;
use super::style::{self, SafeText, thousands};
use super::tally::{merged_lines, moved_lines, sentence, tally};
use crate::participation::Key;
use crate::plan::Plan;

/// So many ids that are merged are shown, unless all are asked for.
const MOST_MERGED: usize = 20;

/// Writes a plan. Colours are for the writer to take out where they are not wanted.
///
/// # Errors
/// What the writer says.
pub fn plan_text(out: &mut impl Write, view: PlanView<'_>, shown: Shown) -> io::Result<()> {
    let plan = view.plan;
    moved(out, plan)?;
    merged(out, plan, shown)?;
    if shown != Shown::Summary {
        details(out, view, shown)?;
    }
    let has_more = shown == Shown::Summary && !plan.held.is_empty();
    if has_more || !plan.actions.is_empty() || !plan.let_go.is_empty() || !plan.deferred.is_empty()
    {
        table(out, view)?;
    }
    sum(out, view, shown == Shown::Summary)
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

const STOP: Kind = Kind {
    sign: "- ",
    word: "stop   ",
    style: style::REMOVED,
    phrase: "to stop",
};

const TRIGGER: Kind = Kind {
    sign: "+ ",
    word: "trigger",
    style: style::ADDED,
    phrase: "to trigger",
};

const LET_GO: Kind = Kind {
    sign: "  ",
    word: "",
    style: Style::new(),
    phrase: "let go",
};

const DEFERRED: Kind = Kind {
    sign: "~ ",
    word: "",
    style: Style::new(),
    phrase: "deferred",
};

/// The ids that are merged: none of them in a summary, and the first of many.
fn merged(out: &mut impl Write, plan: &Plan, shown: Shown) -> io::Result<()> {
    if plan.merged.is_empty() {
        return Ok(());
    }
    let most = match shown {
        Shown::Summary => return Ok(()),
        Shown::First | Shown::FirstOfApply => MOST_MERGED,
        Shown::All => usize::MAX,
    };
    writeln!(
        out,
        "Merged with another id of the same person, without a call:"
    )?;
    for line in merged_lines(plan).take(most) {
        writeln!(out, "  {}", SafeText(&line))?;
    }
    if let more @ 1.. = plan.merged.len().saturating_sub(most) {
        writeln!(out, "  and {} more", thousands(more as u64))?;
    }
    writeln!(out)
}

/// Everything that a plan does or does not do, by automation and kind.
fn details(out: &mut impl Write, view: PlanView<'_>, shown: Shown) -> io::Result<()> {
    let plan = view.plan;
    let actions = view.rows().map(|row| Row {
        kind: match row.action {
            "stop" => STOP,
            _ => TRIGGER,
        },
        automation: row.automation,
        contact: row.contact,
        occurrence: row.occurrence,
        reason: row.reason,
        place: row.declared_at,
    });
    groups(out, actions, shown, true)?;
    if !plan.actions.is_empty() {
        writeln!(out)?;
    }
    if !plan.let_go.is_empty() {
        writeln!(
            out,
            "Let go without a call; they run to their end by themselves:"
        )?;
        let rows = plan.let_go.iter();
        let rows = rows.map(|of| of_key(LET_GO, &of.participation.key, of.reason.to_string()));
        groups(out, rows, shown, false)?;
        writeln!(out)?;
    }
    if !plan.deferred.is_empty() {
        writeln!(out, "Deferred; a later apply triggers these:")?;
        let rows = view.deferred().map(|row| Row {
            kind: DEFERRED,
            automation: row.automation,
            contact: row.contact,
            occurrence: row.occurrence,
            reason: row.reason,
            place: None,
        });
        groups(out, rows, shown, false)?;
        writeln!(out)?;
    }
    if !plan.held.is_empty() {
        writeln!(out, "Held; nothing is done about these:")?;
        let rows = plan.held.iter();
        let rows = rows.map(|held| of_key(held_as(held.state), &held.key, held.reason.clone()));
        groups(out, rows, shown, false)?;
        writeln!(out)?;
    }
    Ok(())
}

/// Says what is frozen, also where a plan would do nothing.
fn frozen(out: &mut impl Write, view: PlanView<'_>) -> io::Result<()> {
    let mut freezes = view.freezes().peekable();
    if freezes.peek().is_none() {
        return Ok(());
    }
    let (on, off) = (style::ATTENTION.render(), style::ATTENTION.render_reset());
    writeln!(out, "{on}Frozen:{off}")?;
    for freeze in freezes {
        writeln!(out, "  {freeze}")?;
    }
    writeln!(out)
}

fn of_key(kind: Kind, key: &Key, reason: String) -> Row<'_> {
    Row {
        kind,
        automation: key.automation.as_str(),
        contact: key.contact.as_str(),
        occurrence: key.occurrence.as_ref().map(|o| o.as_str()),
        reason,
        place: None,
    }
}

/// What is held in a state.
fn held_as(state: &'static str) -> Kind {
    Kind {
        sign: "! ",
        word: state,
        style: style::ATTENTION,
        phrase: state,
    }
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
    sum(out, view, false)
}

fn sum(out: &mut impl Write, view: PlanView<'_>, names_nobody: bool) -> io::Result<()> {
    frozen(out, view)?;
    let breaches = &view.guard.breaches;
    if !breaches.is_empty() {
        let (on, off) = (style::ATTENTION.render(), style::ATTENTION.render_reset());
        writeln!(out, "{on}The guard refuses to apply this plan:{off}")?;
        for breach in breaches {
            writeln!(out, "  {}", SafeText(&breach.words(names_nobody)))?;
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
