//! What an apply did, as a file: for the summary of a job, for a browser, for a program.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::markdown::code;
use super::rows::PlanView;
use super::style::{plural, thousands};
use super::summary::{Outcomes, words};
use crate::apply::{Outcome, Run};
use crate::plan::Action;

/// How an apply ended.
#[derive(Clone, Copy)]
pub struct Applied<'a> {
    /// Its exit code.
    pub exit_code: u8,
    /// The plan, where there was one.
    pub view: Option<PlanView<'a>>,
    /// What came of it; nothing, where nothing was sent.
    pub run: &'a Run,
}

impl<'a> Applied<'a> {
    /// How it ended: a few words, and what they mean.
    pub(super) fn verdict(self) -> (&'static str, &'static str) {
        let has_plan = self.view.is_some_and(|view| !view.plan.is_empty());
        match self.exit_code {
            0 if has_plan => ("Done.", "The whole plan was carried out."),
            0 => ("Nothing to do.", "All is as declared."),
            3 => (
                "Not all was done.",
                "Some actions failed or are uncertain, or a call of an earlier run is in doubt: the log of the run says which.",
            ),
            4 => (
                "Refused by the guard.",
                "Nothing was sent but the stops of suppressed contacts.",
            ),
            _ => ("Failed.", "Nothing was sent: the log of the run says why."),
        }
    }

    /// What came of the actions that were to be sent.
    pub(super) fn outcomes(self) -> Outcomes<'a> {
        match self.view {
            Some(view) => Outcomes::of(view, self.run, |action| self.is_to_be_sent(action)),
            None => Outcomes::default(),
        }
    }

    /// Whether an action was to be sent: where the guard refused the plan, the stops of suppressed contacts alone are.
    pub(super) fn is_to_be_sent(self, action: &Action) -> bool {
        self.exit_code != 4 || action.is_of_suppressed()
    }

    /// The automations of participations that were let go.
    fn let_go(self) -> Vec<&'a str> {
        let view = self.view.filter(|_| matches!(self.exit_code, 0 | 3));
        let gone = view.into_iter().flat_map(|view| &view.plan.let_go);
        gone.map(|of| of.participation.key.automation.as_str())
            .collect()
    }

    /// What was done as a table: its columns, and how many of each automation.
    pub(super) fn table(self) -> (Vec<&'static str>, BTreeMap<&'a str, Vec<u64>>) {
        let Outcomes {
            by_automation,
            total,
        } = self.outcomes();
        let mut columns: Vec<&str> = total.keys().map(|of| of.as_str()).collect();
        let numbers = |counts: BTreeMap<Outcome, u64>| {
            let count = |of| counts.get(of).copied().unwrap_or(0);
            total.keys().map(count).collect()
        };
        let rows = by_automation.into_iter();
        let mut rows: BTreeMap<&str, Vec<u64>> =
            rows.map(|(name, counts)| (name, numbers(counts))).collect();
        let gone = self.let_go();
        if !gone.is_empty() {
            columns.push("let go");
            rows.values_mut().for_each(|row| row.push(0));
        }
        for name in gone {
            let row = rows.entry(name).or_insert_with(|| vec![0; columns.len()]);
            row[columns.len() - 1] += 1;
        }
        (columns, rows)
    }

    /// How many had each outcome, in one sentence; nothing where there was nothing to do.
    pub(super) fn numbers(self) -> String {
        let mut words = words(&self.outcomes().total);
        let let_go = self.let_go().len();
        if let_go > 0 {
            words.push(format!("{} let go", thousands(let_go as u64)));
        }
        match words.is_empty() {
            true => String::new(),
            false => format!("{}.", words.join(", ")),
        }
    }
}

/// Writes it as Markdown: numbers and names of automations alone, as more people read the summary of a job than may read the
/// exports.
///
/// # Errors
/// What the writer says.
pub fn applied_markdown(out: &mut dyn Write, applied: Applied<'_>) -> io::Result<()> {
    let (start, rest) = applied.verdict();
    let numbers = applied.numbers();
    write!(
        out,
        "<!-- Rollcall apply -->\n### Rollcall apply\n\n**{start}** {rest}\n\n"
    )?;
    if !numbers.is_empty() {
        write!(out, "{numbers}\n\n")?;
    }
    let Some(view) = applied.view else {
        return Ok(());
    };
    if let Some(end) = &applied.run.end {
        writeln!(out, "It ended early: {}\n", code(&end.to_string()))?;
    }
    if view.guard.refuses() && applied.exit_code == 4 {
        for breach in &view.guard.breaches {
            writeln!(out, "- {}", code(&breach.words(true)))?;
        }
        writeln!(out)?;
    }
    let (columns, rows) = applied.table();
    if !columns.is_empty() {
        writeln!(out, "| automation | {} |", columns.join(" | "))?;
        writeln!(out, "|:--|{}", "--:|".repeat(columns.len()))?;
        for (automation, counts) in &rows {
            let cells: Vec<String> = counts.iter().copied().map(thousands).collect();
            writeln!(out, "| {} | {} |", code(automation), cells.join(" | "))?;
        }
        writeln!(out)?;
    }
    let held = view.plan.held.len() as u64;
    if held > 0 {
        writeln!(out, "{} held.\n", plural(held, "enrolment"))?;
    }
    writeln!(
        out,
        "Configuration `{}`, planned for {}.",
        view.config.digest,
        view.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
}
