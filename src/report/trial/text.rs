//! Rules that were tried, as text for people.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table};
use jiff::civil::Date;

use super::{HoldsBack, Trial, TrialCounts};
use crate::report::style::{self, PLAIN_TABLE, SafeText, plural, thousands};

/// With more days than these, the table has a line for each month.
const MOST_DAYS: usize = 31;

/// So many refusals are shown, and so many applies that planned nothing.
const SHOWN: usize = 10;

/// How wide the longest bar is.
const WIDE: u64 = 30;

/// Writes what came of rules that were tried.
///
/// # Errors
/// What the writer says.
pub fn trial_text(out: &mut impl Write, trial: &Trial) -> io::Result<()> {
    let (on, off) = (style::STRONG.render(), style::STRONG.render_reset());
    writeln!(out, "{on}{}{off}", trial.title())?;
    if !trial.sources.is_empty() {
        writeln!(out, "Read: {}.", trial.read().join(", "))?;
    }
    writeln!(out, "{}\n", trial.beginning())?;
    sums(out, trial)?;
    spans(out, trial)?;
    held_back(out, trial)?;
    refused(out, trial)?;
    not_planned(out, trial)?;
    most(out, trial)?;
    sum(out, trial)
}

pub(super) fn table(
    out: &mut impl Write,
    header: &[&str],
    rows: Vec<Vec<String>>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(PLAIN_TABLE);
    table.set_header(header.iter().copied());
    table.add_rows(rows);
    let numbers = |name: &str| !matches!(name, "automation" | "by" | "" | "day" | "month");
    for (column, name) in table.column_iter_mut().zip(header) {
        if numbers(name) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out)
}

fn sums(out: &mut impl Write, trial: &Trial) -> io::Result<()> {
    let rows = trial.automations.iter().map(|of| {
        let most = of
            .most_on
            .map(|date| format!("{} on {date}", thousands(of.most)));
        vec![
            SafeText(&of.automation).to_string(),
            thousands(of.trigger),
            thousands(of.stop),
            thousands(of.let_go),
            thousands(of.running),
            most.unwrap_or_default(),
        ]
    });
    let header = [
        "automation",
        "triggers",
        "stops",
        "let go",
        "running at the end",
        "most triggers on a day",
    ];
    table(out, &header, rows.collect())
}

fn spans(out: &mut impl Write, trial: &Trial) -> io::Result<()> {
    let has_months = trial.days.len() > MOST_DAYS;
    let name = |date: Date| match has_months {
        true => date.strftime("%Y-%m").to_string(),
        false => date.strftime("%Y-%m-%d %a").to_string(),
    };
    let mut spans: Vec<(String, TrialCounts)> = Vec::new();
    for day in &trial.days {
        let (name, of) = (name(day.date), day.all());
        match spans.last_mut() {
            Some((last, counts)) if *last == name => {
                counts.trigger += of.trigger;
                counts.stop += of.stop;
                counts.let_go += of.let_go;
            }
            _ => spans.push((name, of)),
        }
    }
    let most = spans.iter().map(|(_, of)| of.trigger).max().unwrap_or(0);
    let rows = spans.into_iter().map(|(name, of)| {
        let bar = (of.trigger * WIDE).div_ceil(most.max(1));
        vec![
            name,
            thousands(of.trigger),
            thousands(of.stop),
            "█".repeat(usize::try_from(bar).unwrap_or(0)),
        ]
    });
    let first = if has_months { "month" } else { "day" };
    table(out, &[first, "triggers", "stops", ""], rows.collect())
}

fn held_back(out: &mut impl Write, trial: &Trial) -> io::Result<()> {
    if trial.held_back.is_empty() {
        return Ok(());
    }
    let rows = trial.held_back.iter().map(|of| {
        vec![
            SafeText(&of.automation).to_string(),
            of.by.as_str().to_owned(),
            thousands(of.people),
            thousands(of.missed),
            thousands(of.times),
        ]
    });
    writeln!(out, "Held back, for a while or for good:")?;
    let rows = rows.collect();
    table(
        out,
        &["automation", "by", "people", "not done later", "times"],
        rows,
    )?;
    if trial
        .held_back
        .iter()
        .any(|of| of.by == HoldsBack::LeaveAfter)
    {
        writeln!(out, "What leave_after holds back are stops.\n")?;
    }
    Ok(())
}

fn refused(out: &mut impl Write, trial: &Trial) -> io::Result<()> {
    if trial.refused.is_empty() {
        return Ok(());
    }
    let (on, off) = (style::ATTENTION.render(), style::ATTENTION.render_reset());
    writeln!(out, "{on}The guard would have refused:{off}")?;
    for of in trial.refused.iter().take(SHOWN) {
        let at = of.at.strftime("%Y-%m-%d %H:%M UTC");
        writeln!(out, "  {at}  {}", SafeText(&of.reasons.join("; ")))?;
    }
    more(out, trial.refused.len())
}

fn not_planned(out: &mut impl Write, trial: &Trial) -> io::Result<()> {
    if trial.not_planned.is_empty() {
        return Ok(());
    }
    let (on, off) = (style::ATTENTION.render(), style::ATTENTION.render_reset());
    writeln!(
        out,
        "{on}Nothing could be planned, and so nothing was done:{off}"
    )?;
    for of in trial.not_planned.iter().take(SHOWN) {
        let at = of.at.strftime("%Y-%m-%d %H:%M UTC");
        let others = of.problems - 1;
        match &of.problem {
            Some(problem) if others > 0 => {
                let others = thousands(others);
                writeln!(out, "  {at}  {}, and {others} more", SafeText(problem))
            }
            Some(problem) => writeln!(out, "  {at}  {}", SafeText(problem)),
            None => {
                writeln!(out, "  {at}  {}", plural(of.problems, "mistake"))
            }
        }?;
    }
    more(out, trial.not_planned.len())
}

fn more(out: &mut impl Write, count: usize) -> io::Result<()> {
    if let Some(more @ 1..) = count.checked_sub(SHOWN) {
        writeln!(out, "  and {} more", thousands(more as u64))?;
    }
    writeln!(out)
}

fn most(out: &mut impl Write, trial: &Trial) -> io::Result<()> {
    if trial.by_count.is_empty() {
        return Ok(());
    }
    let shown = trial.by_count.iter().take(SHOWN);
    let shown = shown
        .map(|(times, people)| format!("{} for {}", thousands(*times), plural(*people, "contact")));
    let more: u64 = trial.by_count.values().skip(SHOWN).sum();
    let more = (more > 0).then(|| format!("more for {}", thousands(more)));
    let shown: Vec<String> = shown.chain(more).collect();
    writeln!(out, "Triggers for one contact: {}", shown.join(", "))?;
    for of in &trial.most {
        let contact = SafeText(&of.contact);
        writeln!(out, "  {:>4}  {contact}", thousands(of.trigger))?;
    }
    writeln!(out)
}

fn sum(out: &mut impl Write, trial: &Trial) -> io::Result<()> {
    let (on, off) = (style::STRONG.render(), style::STRONG.render_reset());
    let all = trial.all();
    let applies = match trial.applies {
        1 => "1 apply".to_owned(),
        count => format!("{} applies", thousands(count)),
    };
    writeln!(
        out,
        "{on}In {applies}:{off} {} to {}, {}, {} let go. Nothing was sent, and no record was read or written.",
        plural(all.trigger, "trigger"),
        plural(trial.people, "contact"),
        plural(all.stop, "stop"),
        thousands(all.let_go),
    )
}
