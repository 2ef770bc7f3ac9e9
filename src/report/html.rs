//! A plan as one file for a browser, that needs nothing besides itself.
//!
//! The rows of its table stand in it as JSON, which the page shows a hundred at a time. They are written one by one, so that
//! a large plan takes no memory.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};

use askama::Template;
use serde::Serialize;
use serde_json::ser::Formatter;

use super::rows::{PlanView, subject};
use super::style::{SafeText, thousands};
use super::tally::{Counts, moved_lines, sentence, tally};

/// The most actions that are in the page; the rest are counted.
const MOST_ACTIONS: usize = 100_000;

/// The most of each kind of what waits.
const MOST_OTHERS: usize = 10_000;

/// The most automations that have a bar.
const MOST_BARS: usize = 500;

/// So many rows are there without JavaScript.
const FIRST: usize = 100;

/// What a row is about.
const KINDS: [&str; 5] = ["trigger", "stop", "deferred", "let go", "held"];

#[derive(Template)]
#[template(path = "plan.html")]
struct Page<'a> {
    start: &'static str,
    rest: String,
    digest: String,
    serial: u64,
    now: String,
    all_new: bool,
    problems: Vec<String>,
    guard: Vec<String>,
    frozen: Vec<String>,
    moved: Vec<String>,
    automations: Vec<Bar>,
    more_automations: usize,
    total: usize,
    names_nobody: bool,
    cut: Vec<String>,
    kinds: [&'static str; 5],
    first: Vec<Row>,
    rows: Rows<'a>,
}

/// An automation with who stays, comes and goes.
struct Bar {
    name: String,
    stay: String,
    come: String,
    go: String,
    deferred: String,
    held: String,
    parts: Vec<Part>,
}

/// A part of a bar, in thousandths of its length.
struct Part {
    class: &'static str,
    x: u64,
    width: u64,
}

/// A row of the table. All of it can be shown as it is, but for the automation, which is as it is found by.
struct Row {
    kind: &'static str,
    subject: String,
    automation: String,
    reason: String,
    place: String,
}

impl Row {
    fn class(&self) -> String {
        format!("is-{}", self.kind.replace(' ', "-"))
    }

    fn automation(&self) -> SafeText<'_> {
        SafeText(&self.automation)
    }
}

/// Writes a plan; where it is to name nobody, without its rows.
///
/// # Errors
/// What the writer says.
pub fn plan_html(out: &mut impl Write, view: PlanView<'_>, names_nobody: bool) -> io::Result<()> {
    let plan = view.plan;
    let (start, rest) = sentence(plan);
    let tally = tally(view);
    let cut = [
        ("actions", plan.actions.len(), MOST_ACTIONS),
        ("deferred triggers", plan.deferred.len(), MOST_OTHERS),
        ("participations to let go", plan.let_go.len(), MOST_OTHERS),
        ("held enrolments", plan.held.len(), MOST_OTHERS),
    ];
    let cut = cut.into_iter().filter(|(_, all, most)| all > most);
    let cut = cut.map(|(what, all, most)| {
        format!(
            "{} {what}; the first {} of them are here. `rollcall plan` shows all.",
            thousands(all as u64),
            thousands(most as u64)
        )
    });
    let places = tally.keys().enumerate();
    let rows = Rows {
        view,
        automations: places.map(|(place, name)| (*name, place)).collect(),
    };
    let page = Page {
        start,
        rest,
        digest: view.config.digest.to_string(),
        serial: view.record_serial,
        all_new: view.makes_all_new(),
        problems: view
            .problems
            .iter()
            .filter(|_| view.record_id.is_some())
            .map(|problem| SafeText(problem).to_string())
            .collect(),
        now: view.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        guard: view
            .guard
            .breaches
            .iter()
            .map(|breach| SafeText(&breach.words(names_nobody)).to_string())
            .collect(),
        frozen: view.freezes().collect(),
        moved: moved_lines(plan)
            .map(|line| SafeText(&line).to_string())
            .collect(),
        automations: tally
            .iter()
            .take(MOST_BARS)
            .map(|(name, counts)| bar(name, *counts))
            .collect(),
        more_automations: tally.len().saturating_sub(MOST_BARS),
        total: plan.actions.len() + plan.deferred.len() + plan.let_go.len() + plan.held.len(),
        names_nobody,
        cut: cut.collect(),
        kinds: KINDS,
        first: match names_nobody {
            true => Vec::new(),
            false => rows.all().take(FIRST).collect(),
        },
        rows,
    };
    page.write_into(out)
}

fn bar(name: &str, counts: Counts) -> Bar {
    let parts = [
        ("stay", counts.stays()),
        ("come", counts.comes()),
        ("go", counts.goes()),
    ];
    let all = parts.iter().map(|(_, count)| count).sum::<u64>().max(1);
    let mut done = 0;
    let parts = parts.map(|(class, count)| {
        let x = done * 1000 / all;
        done += count;
        Part {
            class,
            x,
            width: done * 1000 / all - x,
        }
    });
    Bar {
        name: SafeText(name).to_string(),
        stay: thousands(counts.stays()),
        come: thousands(counts.comes()),
        go: thousands(counts.goes()),
        deferred: thousands(counts.deferred),
        held: thousands(counts.held),
        parts: parts.into_iter().filter(|part| part.width > 0).collect(),
    }
}

/// The table as JSON that can stand in a page.
struct Rows<'a> {
    view: PlanView<'a>,
    /// The places of the automations in their list.
    automations: HashMap<&'a str, usize>,
}

impl<'a> Rows<'a> {
    /// The rows that are in the page.
    fn all(&self) -> impl Iterator<Item = Row> + use<'a> {
        let view = self.view;
        let row =
            |kind, contact: &str, occurrence: Option<&str>, automation: &str, reason: &str| {
                let safe = |text: &str| SafeText(text).to_string();
                Row {
                    kind,
                    subject: safe(&subject(contact, occurrence)),
                    automation: automation.to_owned(),
                    reason: safe(reason),
                    place: String::new(),
                }
            };
        let of_key = move |kind, key: &crate::participation::Key, reason: &str| {
            let occurrence = key.occurrence.as_ref().map(|o| o.as_str());
            row(
                kind,
                key.contact.as_str(),
                occurrence,
                key.automation.as_str(),
                reason,
            )
        };
        let actions = view.rows().take(MOST_ACTIONS).map(move |of| Row {
            place: SafeText(&of.declared_at.unwrap_or_default()).to_string(),
            ..row(
                of.action,
                of.contact,
                of.occurrence,
                of.automation,
                &of.reason,
            )
        });
        let deferred = view.deferred().take(MOST_OTHERS).map(move |of| {
            row(
                "deferred",
                of.contact,
                of.occurrence,
                of.automation,
                &of.reason,
            )
        });
        let let_go = view.plan.let_go.iter().take(MOST_OTHERS);
        let let_go = let_go.map(move |of| of_key("let go", &of.participation.key, &of.reason));
        let held = view.plan.held.iter().take(MOST_OTHERS);
        let held = held.map(move |of| {
            let reason = format!("{}: {}", of.state, of.reason);
            of_key("held", &of.key, &reason)
        });
        actions.chain(deferred).chain(let_go).chain(held)
    }
}

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.automations.iter().collect();
        names.sort_by_key(|(_, place)| **place);
        let names = names.into_iter();
        let names: Vec<_> = names.map(|(name, _)| SafeText(name).to_string()).collect();
        let mut line = Vec::new();
        f.write_str("{\"kinds\":")?;
        json(f, &mut line, &KINDS)?;
        f.write_str(",\"automations\":")?;
        json(f, &mut line, &names)?;
        f.write_str(",\"rows\":[")?;
        for (place, row) in self.all().enumerate() {
            f.write_str(if place == 0 { "\n" } else { ",\n" })?;
            let kind = KINDS.iter().position(|kind| *kind == row.kind);
            let automation = self.automations.get(row.automation.as_str());
            let cells = (kind, &row.subject, automation, &row.reason, &row.place);
            json(f, &mut line, &cells)?;
        }
        f.write_str("\n]}")
    }
}

/// Writes JSON that neither ends the element of a page that it stands in, nor begins another.
fn json(f: &mut fmt::Formatter<'_>, line: &mut Vec<u8>, value: &impl Serialize) -> fmt::Result {
    line.clear();
    let mut serializer = serde_json::Serializer::with_formatter(&mut *line, InPage);
    value.serialize(&mut serializer).map_err(|_| fmt::Error)?;
    f.write_str(str::from_utf8(line).map_err(|_| fmt::Error)?)
}

/// Writes what means something in HTML as escapes of JSON.
struct InPage;

impl Formatter for InPage {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&']) {
            out.write_all(&rest.as_bytes()[..at])?;
            write!(out, "\\u{:04x}", rest.as_bytes()[at])?;
            rest = &rest[at + 1..];
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_page_cannot_leave_its_element() {
        struct Text(&'static str);
        impl fmt::Display for Text {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                json(f, &mut Vec::new(), &self.0)
            }
        }
        let text = "</script><!--\"\\&é\n";
        let safe = Text(text).to_string();
        assert_eq!(safe, r#""\u003c/script\u003e\u003c!--\"\\\u0026é\n""#);
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }

    #[test]
    fn a_bar_is_full_and_its_parts_follow_each_other() {
        let counts = Counts {
            trigger: 3,
            stop: 1,
            running: 5,
            ..Counts::default()
        };
        let bar = bar("welcome", counts);
        let parts: Vec<_> = bar.parts.iter().map(|p| (p.class, p.x, p.width)).collect();
        assert_eq!(
            parts,
            [("stay", 0, 500), ("come", 500, 375), ("go", 875, 125)]
        );
    }
}
