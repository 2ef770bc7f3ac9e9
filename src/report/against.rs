//! The effect of a change of rules: who comes in and who goes out, in every format.

use std::collections::BTreeMap;
use std::io::{self, Write};

use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::grouped::{Kind, Row, Shown, groups};
use super::markdown::{TITLE, code, folded};
use super::rows::subject;
use super::style::{self, SafeText, thousands};

/// What the folded rows of a comment may take: the plan behind them has the rest.
const MOST_OF_ROWS: usize = 24_000;

/// The most automations in the table of a comment.
const MOST_AUTOMATIONS: usize = 100;

/// A change of rules with everything that is shown of it.
#[derive(Clone, Copy)]
pub struct AgainstView<'a> {
    /// The revision, as it was typed.
    pub against: &'a str,
    /// Its commit.
    pub commit: &'a str,
    /// Who comes in and who goes out, in this order.
    pub rows: &'a [AgainstRow<'a>],
}

/// An enrolment that one of the two has.
pub struct AgainstRow<'a> {
    /// Whether it comes in; else it goes out.
    pub comes_in: bool,
    /// The automation's name.
    pub automation: &'a str,
    /// The contact's id.
    pub contact: &'a str,
    /// The occurrence, if it is of one.
    pub occurrence: Option<&'a str>,
    /// Why.
    pub reason: &'a str,
    /// File and line of the block that declares it.
    pub declared_at: &'a str,
}

/// How many come in and go out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Numbers {
    pub comes: u64,
    pub goes: u64,
}

impl<'a> AgainstView<'a> {
    /// The figures of each automation in which anybody comes or goes.
    pub(super) fn tally(self) -> BTreeMap<&'a str, Numbers> {
        let mut all: BTreeMap<&str, Numbers> = BTreeMap::new();
        for row in self.rows {
            let of = all.entry(row.automation).or_default();
            match row.comes_in {
                true => of.comes += 1,
                false => of.goes += 1,
            }
        }
        all
    }

    pub(super) fn numbers(self) -> Numbers {
        let comes = self.rows.iter().filter(|row| row.comes_in).count() as u64;
        Numbers {
            comes,
            goes: self.rows.len() as u64 - comes,
        }
    }

    /// It in one sentence.
    pub(super) fn sentence(self) -> String {
        let Numbers { comes, goes } = self.numbers();
        if self.rows.is_empty() {
            return "nobody comes in and nobody goes out.".to_owned();
        }
        let verb = |count, one, many| if count == 1 { one } else { many };
        format!(
            "{} {} in, {} {} out.",
            thousands(comes),
            verb(comes, "comes", "come"),
            thousands(goes),
            verb(goes, "goes", "go")
        )
    }

    /// The commit, as short as people know it.
    pub(super) fn short(self) -> &'a str {
        self.commit.get(..12).unwrap_or(self.commit)
    }

    /// Where the block of a row stands.
    pub(super) fn place(self, row: &AgainstRow<'_>) -> String {
        match row.comes_in {
            true => row.declared_at.to_owned(),
            false => format!("{} at {}", row.declared_at, self.against),
        }
    }
}

const IN: Kind = Kind {
    sign: "+ ",
    word: "in ",
    style: style::ADDED,
    phrase: "in",
};

const OUT: Kind = Kind {
    sign: "- ",
    word: "out",
    style: style::REMOVED,
    phrase: "out",
};

/// Writes it as text.
///
/// # Errors
/// What the writer says.
pub fn against_text(out: &mut impl Write, view: AgainstView<'_>, shown: Shown) -> io::Result<()> {
    if shown != Shown::Summary && !view.rows.is_empty() {
        let rows = view.rows.iter().map(|row| Row {
            kind: if row.comes_in { IN } else { OUT },
            automation: row.automation,
            contact: row.contact,
            occurrence: row.occurrence,
            reason: row.reason.to_owned(),
            place: Some(view.place(row)),
        });
        groups(out, rows, shown, true)?;
        writeln!(out)?;
    }
    if !view.rows.is_empty() {
        let mut table = Table::new();
        table.load_style(style::PLAIN_TABLE);
        table.set_header(["automation", "in", "out"]);
        for (automation, of) in view.tally() {
            let safe = SafeText(automation).to_string();
            table.add_row([safe, thousands(of.comes), thousands(of.goes)]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for line in table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        writeln!(out)?;
    }
    let (on, off) = (style::STRONG.render(), style::STRONG.render_reset());
    writeln!(
        out,
        "{on}The rules against {} ({}):{off} {}",
        SafeText(view.against),
        view.short(),
        view.sentence()
    )
}

#[derive(Serialize)]
struct ChangeJson<'a> {
    automation: &'a str,
    contact: &'a str,
    occurrence: Option<&'a str>,
    reason: &'a str,
    declared_at: &'a str,
}

#[derive(Serialize)]
struct AutomationJson<'a> {
    automation: &'a str,
    r#in: u64,
    out: u64,
}

#[derive(Serialize)]
struct SummaryJson {
    r#in: u64,
    out: u64,
}

/// Writes it as JSON; where it is to name nobody, with the figures of each automation in place of the lists.
///
/// # Errors
/// What the writer says.
pub fn against_json(
    out: &mut impl Write,
    view: AgainstView<'_>,
    names_nobody: bool,
) -> io::Result<()> {
    write!(out, "{{ \"format_version\": 1,\n  \"against\": ")?;
    serde_json::to_writer(&mut *out, view.against)?;
    write!(out, ", \"revision\": ")?;
    serde_json::to_writer(&mut *out, view.commit)?;
    if names_nobody {
        let tally = view.tally().into_iter();
        let list = tally.map(|(automation, of)| AutomationJson {
            automation,
            r#in: of.comes,
            out: of.goes,
        });
        list_of(out, "automations", list)?;
    } else {
        for (name, comes_in) in [("in", true), ("out", false)] {
            let rows = view.rows.iter().filter(|row| row.comes_in == comes_in);
            let list = rows.map(|row| ChangeJson {
                automation: row.automation,
                contact: row.contact,
                occurrence: row.occurrence,
                reason: row.reason,
                declared_at: row.declared_at,
            });
            list_of(out, name, list)?;
        }
    }
    write!(out, ",\n  \"summary\": ")?;
    let Numbers { comes, goes } = view.numbers();
    serde_json::to_writer(
        &mut *out,
        &SummaryJson {
            r#in: comes,
            out: goes,
        },
    )?;
    writeln!(out, " }}")
}

/// Writes a list, one item a line.
fn list_of(
    out: &mut impl Write,
    name: &str,
    items: impl Iterator<Item = impl Serialize>,
) -> io::Result<()> {
    write!(out, ",\n  \"{name}\": [")?;
    let mut before = "\n    ";
    for item in items {
        out.write_all(before.as_bytes())?;
        serde_json::to_writer(&mut *out, &item)?;
        before = ",\n    ";
    }
    out.write_all(if before.starts_with(',') { b" ]" } else { b"]" })
}

/// It as a part of a comment, which [`plan_markdown`](super::plan_markdown) goes on from.
pub fn against_markdown(view: AgainstView<'_>, names_nobody: bool) -> String {
    let mut text = format!(
        "#### Effect of the rules\n\nAgainst {} (`{}`), on the same exports: **{}**\n\n",
        code(view.against),
        view.short(),
        view.sentence()
    );
    let tally = view.tally();
    if !tally.is_empty() {
        text.push_str("| automation | in | out |\n|:--|--:|--:|\n");
    }
    for (automation, of) in tally.iter().take(MOST_AUTOMATIONS) {
        let (comes, goes) = (thousands(of.comes), thousands(of.goes));
        text.push_str(&format!("| {} | {comes} | {goes} |\n", code(automation)));
    }
    if !tally.is_empty() {
        text.push('\n');
    }
    if tally.len() > MOST_AUTOMATIONS {
        let more = thousands((tally.len() - MOST_AUTOMATIONS) as u64);
        text.push_str(&format!("… and {more} more automations.\n\n"));
    }
    if !names_nobody {
        let rows = view.rows.iter().map(|row| {
            let sign = if row.comes_in { "+ in " } else { "- out" };
            let of = subject(row.contact, row.occurrence);
            let (automation, reason, place) = (row.automation, row.reason, view.place(row));
            format!("{sign}  {of}  {automation}  {reason}  ({place})")
        });
        let title = "Who comes in, and who goes out";
        text.push_str(&folded(title, rows, view.rows.len(), MOST_OF_ROWS));
    }
    text
}

/// Writes the part of a comment as one by itself, where there is no plan to show; and why.
///
/// # Errors
/// What the writer says.
pub fn against_comment(out: &mut dyn Write, part: &str, why_no_plan: &str) -> io::Result<()> {
    write!(out, "{TITLE}\n\n{part}{why_no_plan}\n")
}
