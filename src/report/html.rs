//! A plan as one file for a browser, that needs nothing besides itself.
//!
//! The rows of its table stand in it as JSON, which the page shows a hundred at a time. They are written one by one, so that
//! a large plan takes no memory.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::fmt;
use std::io::{self, Write};

use askama::Template;
use serde::Serialize;
use serde_json::ser::Formatter;

use super::against::{AgainstRow, AgainstView};
use super::applied::Applied;
use super::moment::moment;
use super::rows::{PlanView, subject};
use super::style::{SafeText, thousands};
use super::tally::{Counts, merged_lines, moved_lines, sentence, tally};
use crate::apply::Outcome;

/// The most actions that are in the page; the rest are counted.
const MOST_ACTIONS: usize = 100_000;

/// The most of each kind of what waits.
const MOST_OTHERS: usize = 10_000;

/// The most automations that have a bar.
const MOST_BARS: usize = 500;

/// So many reasons of each automation and kind are listed, those of the most rows; the others are counted.
const MOST_REASONS: usize = 5;

/// So many different reasons of each automation and kind are told apart.
const MOST_COUNTED: usize = 10_000;

/// Ids of more characters are broken into lines.
const LONGEST_ID: usize = 40;

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
    /// When it was made for, for programs and for people.
    now: (String, String),
    all_new: bool,
    problems: Vec<String>,
    guard: Vec<String>,
    frozen: Vec<String>,
    moved: Vec<String>,
    merged: Vec<String>,
    more_merged: usize,
    automations: Vec<Bar>,
    more_automations: usize,
    list: Option<List<'a>>,
}

/// The table of rows, and what stands above it.
struct List<'a> {
    title: &'static str,
    total: usize,
    cut: Vec<String>,
    /// The command that shows what is cut.
    shows_all: &'static str,
    kinds: &'static [&'static str],
    groups: Vec<Group>,
    first: Vec<Row>,
    rows: Rows<'a>,
}

/// An automation with the reasons of its rows.
struct Group {
    automation: String,
    reasons: Vec<Reason>,
}

/// Why, and for how many rows of a kind.
struct Reason {
    kind: &'static str,
    count: String,
    text: String,
    place: String,
    /// Whether these are the reasons that are only counted.
    is_rest: bool,
}

#[derive(Template)]
#[template(path = "against.html")]
struct AgainstPage<'a> {
    against: String,
    commit: &'a str,
    sentence: String,
    automations: Vec<Numbers>,
    list: Option<List<'a>>,
}

/// An automation with how many come in and go out.
struct Numbers {
    name: String,
    comes: String,
    goes: String,
    parts: Vec<Part>,
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

/// The classes of a word for what a row is about.
fn kind_class(kind: &str) -> String {
    format!("kind is-{}", kind.replace(' ', "-"))
}

impl Row {
    fn automation(&self) -> SafeText<'_> {
        SafeText(&self.automation)
    }
}

/// The class of an id, which stays on one line unless it is longer than any screen is wide.
pub(super) fn id_class(text: &str) -> &'static str {
    match text.chars().count() {
        ..=LONGEST_ID => "id",
        _ => "id long",
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
            "{} {what}; the first {} of them are in the table.",
            thousands(all as u64),
            thousands(most as u64)
        )
    });
    let names: Vec<&str> = tally.keys().copied().collect();
    let rows = |is_cut| plan_rows(view, is_cut);
    let total = plan.actions.len() + plan.deferred.len() + plan.let_go.len() + plan.held.len();
    let list =
        (total > 0 && !names_nobody).then(|| List::new(&KINDS, names, rows, total, cut.collect()));
    let most = tally.values().map(|counts| width(*counts)).max();
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
        now: (
            view.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            moment(view.now, &view.config.zone),
        ),
        guard: view
            .guard
            .breaches
            .iter()
            .map(|breach| SafeText(&breach.words(names_nobody)).to_string())
            .collect(),
        frozen: view.freezes().collect(),
        merged: merged_lines(plan)
            .take(if names_nobody { 0 } else { MOST_OTHERS })
            .map(|line| SafeText(&line).to_string())
            .collect(),
        more_merged: plan.merged.len().saturating_sub(MOST_OTHERS),
        moved: moved_lines(plan)
            .map(|line| SafeText(&line).to_string())
            .collect(),
        automations: tally
            .iter()
            .take(MOST_BARS)
            .map(|(name, counts)| bar(name, *counts, most.unwrap_or(0)))
            .collect(),
        more_automations: tally.len().saturating_sub(MOST_BARS),
        list,
    };
    page.write_into(out)
}

/// Writes a change of rules; where it is to name nobody, without its rows.
///
/// # Errors
/// What the writer says.
pub fn against_html(
    out: &mut impl Write,
    view: AgainstView<'_>,
    names_nobody: bool,
) -> io::Result<()> {
    const KINDS: [&str; 2] = ["in", "out"];
    let tally = view.tally();
    let total = view.rows.len();
    let cut = (total > MOST_ACTIONS).then(|| {
        let (all, most) = (thousands(total as u64), thousands(MOST_ACTIONS as u64));
        format!("{all} enrolments; the first {most} of them are in the table.")
    });
    let rows = |is_cut| {
        let row = move |of: &AgainstRow<'_>| Row {
            kind: KINDS[usize::from(!of.comes_in)],
            subject: SafeText(&subject(of.contact, of.occurrence)).to_string(),
            automation: of.automation.to_owned(),
            reason: SafeText(of.reason).to_string(),
            place: SafeText(&view.place(of)).to_string(),
        };
        let rows = view
            .rows
            .iter()
            .take(most_of(MOST_ACTIONS, is_cut))
            .map(row);
        Box::new(rows) as Box<dyn Iterator<Item = Row> + '_>
    };
    let names: Vec<&str> = tally.keys().copied().collect();
    let cut = cut.into_iter().collect();
    let list = (total > 0 && !names_nobody).then(|| List::new(&KINDS, names, rows, total, cut));
    let most = tally.values().map(|of| of.comes + of.goes).max();
    let numbers = tally.iter().take(MOST_BARS).map(|(name, of)| Numbers {
        name: SafeText(name).to_string(),
        comes: thousands(of.comes),
        goes: thousands(of.goes),
        parts: parts([("come", of.comes), ("go", of.goes)], most.unwrap_or(0)),
    });
    let page = AgainstPage {
        against: SafeText(view.against).to_string(),
        commit: view.short(),
        sentence: view.sentence(),
        automations: numbers.collect(),
        list: list.map(|list| List {
            title: "Who comes in, and who goes out",
            shows_all: "rollcall plan --all --against",
            ..list
        }),
    };
    page.write_into(out)
}

#[derive(Template)]
#[template(path = "applied.html")]
struct AppliedPage<'a> {
    start: &'static str,
    rest: &'static str,
    numbers: String,
    end: Option<String>,
    digest: String,
    made_for: (String, String),
    guard: Vec<String>,
    columns: Vec<&'static str>,
    automations: Vec<(String, Vec<(&'static str, String)>)>,
    list: Option<List<'a>>,
}

/// Writes what an apply did.
///
/// # Errors
/// What the writer says.
pub fn applied_html(out: &mut impl Write, applied: Applied<'_>) -> io::Result<()> {
    static KINDS: [&str; Outcome::ALL.len()] = {
        let mut words = [""; Outcome::ALL.len()];
        let mut place = 0;
        while place < words.len() {
            words[place] = Outcome::ALL[place].as_str();
            place += 1;
        }
        words
    };
    let (start, rest) = applied.verdict();
    let outcomes = applied.outcomes();
    let (columns, automations) = applied.table();
    let names: Vec<&str> = outcomes.by_automation.keys().copied().collect();
    let total = outcomes.total.values().sum::<u64>() as usize;
    let list = applied.view.filter(|_| total > 0).map(|view| {
        let cut = (total > MOST_ACTIONS).then(|| {
            let (all, most) = (thousands(total as u64), thousands(MOST_ACTIONS as u64));
            format!("{all} actions; the first {most} of them are in the table.")
        });
        let rows = move |is_cut| applied_rows(view, applied).take(most_of(MOST_ACTIONS, is_cut));
        List {
            title: "What was done",
            shows_all: "rollcall history",
            ..List::new(&KINDS, names, rows, total, cut.into_iter().collect())
        }
    });
    let refused = applied.view.filter(|_| applied.exit_code == 4);
    let breaches = refused.into_iter().flat_map(|view| &view.guard.breaches);
    let page = AppliedPage {
        start,
        rest,
        numbers: applied.numbers(),
        end: (applied.run.end.as_ref()).map(|end| SafeText(&end.to_string()).to_string()),
        digest: (applied.view).map_or_else(String::new, |view| view.config.digest.to_string()),
        made_for: applied.view.map_or_else(Default::default, |view| {
            let at = view.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            (at, moment(view.now, &view.config.zone))
        }),
        guard: breaches
            .map(|breach| SafeText(&breach.to_string()).to_string())
            .collect(),
        automations: (automations.into_iter())
            .map(|(name, counts)| {
                let cells = columns.iter().copied();
                let cells = cells.zip(counts.into_iter().map(thousands));
                (SafeText(name).to_string(), cells.collect())
            })
            .collect(),
        columns,
        list,
    };
    page.write_into(out)
}

/// The actions of an apply, each with what came of it.
fn applied_rows<'a>(
    view: PlanView<'a>,
    applied: Applied<'a>,
) -> impl Iterator<Item = Row> + use<'a> {
    let actions = view.plan.actions.iter().enumerate();
    let sent = actions.filter(move |(_, action)| applied.is_to_be_sent(action));
    sent.map(move |(index, action)| {
        let row = view.row(action);
        let settled = applied.run.settled.get(index).and_then(Option::as_ref);
        let detail = settled.and_then(|settled| settled.detail.as_deref());
        let detail = detail.map_or_else(String::new, |detail| format!("; {detail}"));
        Row {
            kind: applied.run.outcome(index).as_str(),
            subject: SafeText(&subject(row.contact, row.occurrence)).to_string(),
            automation: row.automation.to_owned(),
            reason: SafeText(&format!("{}: {}{detail}", row.action, row.reason)).to_string(),
            place: SafeText(&row.declared_at.unwrap_or_default()).to_string(),
        }
    })
}

/// How long the bar of an automation is.
fn width(counts: Counts) -> u64 {
    counts.stays() + counts.comes() + counts.goes()
}

fn bar(name: &str, counts: Counts, most: u64) -> Bar {
    let numbers = [
        ("stay", counts.stays()),
        ("come", counts.comes()),
        ("go", counts.goes()),
    ];
    Bar {
        name: SafeText(name).to_string(),
        stay: thousands(counts.stays()),
        come: thousands(counts.comes()),
        go: thousands(counts.goes()),
        deferred: thousands(counts.deferred),
        held: thousands(counts.held),
        parts: parts(numbers, most),
    }
}

/// The parts of a bar, of which the longest takes the whole width.
fn parts<const N: usize>(numbers: [(&'static str, u64); N], most: u64) -> Vec<Part> {
    let mut x = 0;
    let parts = numbers.map(|(class, count)| {
        // However few, they are to be seen.
        let width = (count * 1000)
            .div_ceil(most.max(1))
            .max(if count > 0 { 4 } else { 0 });
        let part = Part { class, x, width };
        x += width;
        part
    });
    parts.into_iter().filter(|part| part.width > 0).collect()
}

impl<'a> List<'a> {
    /// From what makes the rows: those that are in the page, or all of them.
    fn new<I: Iterator<Item = Row> + 'a>(
        kinds: &'static [&'static str],
        names: Vec<&'a str>,
        rows: impl Fn(bool) -> I + 'a,
        total: usize,
        cut: Vec<String>,
    ) -> Self {
        Self {
            title: "Actions, and what waits",
            total,
            cut,
            shows_all: "rollcall plan --all",
            kinds,
            groups: groups(rows(false)),
            first: rows(true).take(FIRST).collect(),
            rows: Rows {
                kinds,
                automations: names,
                all: Box::new(move || Box::new(rows(true))),
            },
        }
    }
}

/// Rows by automation, kind and reason.
fn groups(rows: impl Iterator<Item = Row>) -> Vec<Group> {
    type Counts = (HashMap<(String, String), u64>, u64);
    let mut counts: BTreeMap<String, BTreeMap<&str, Counts>> = BTreeMap::new();
    for row in rows {
        let of = match counts.get_mut(&row.automation) {
            Some(of) => of,
            None => counts.entry(row.automation).or_default(),
        };
        let (reasons, others) = of.entry(row.kind).or_default();
        let is_full = reasons.len() == MOST_COUNTED;
        match reasons.entry((row.reason, row.place)) {
            Entry::Occupied(of) => *of.into_mut() += 1,
            Entry::Vacant(_) if is_full => *others += 1,
            Entry::Vacant(of) => _ = of.insert(1),
        }
    }
    let groups = counts.into_iter().take(MOST_BARS).map(|(name, kinds)| {
        let kinds = kinds.into_iter();
        Group {
            automation: SafeText(&name).to_string(),
            reasons: kinds
                .flat_map(|(kind, (of, others))| reasons(kind, of, others))
                .collect(),
        }
    });
    groups.collect()
}

/// The reasons of the most rows, and how many rows have others.
fn reasons(kind: &'static str, counts: HashMap<(String, String), u64>, others: u64) -> Vec<Reason> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    // A line that says "1 other" takes as much room as that one.
    let is_cut = others > 0 || counts.len() > MOST_REASONS + 1;
    let rest = counts.split_off(if is_cut {
        MOST_REASONS.min(counts.len())
    } else {
        counts.len()
    });
    let reason = |text, place, count, is_rest| Reason {
        kind,
        count: thousands(count),
        text,
        place,
        is_rest,
    };
    let (number, sum) = (
        rest.len() as u64,
        rest.iter().map(|(_, count)| count).sum::<u64>(),
    );
    let listed = counts.into_iter();
    let listed = listed.map(|((text, place), count)| reason(text, place, count, false));
    let more = if others > 0 { "more than " } else { "" };
    let rest = is_cut.then(|| {
        let text = format!("{more}{} other reasons", thousands(number));
        reason(text, String::new(), sum + others, true)
    });
    listed.chain(rest).collect()
}

/// How many rows of a kind are made.
fn most_of(most: usize, is_cut: bool) -> usize {
    if is_cut { most } else { usize::MAX }
}

/// The table as JSON that can stand in a page.
struct Rows<'a> {
    kinds: &'static [&'static str],
    automations: Vec<&'a str>,
    /// Makes the rows that are in the page.
    all: Box<dyn Fn() -> Box<dyn Iterator<Item = Row> + 'a> + 'a>,
}

/// The rows of a plan: those that are in the page, or all of them.
fn plan_rows<'a>(view: PlanView<'a>, is_cut: bool) -> impl Iterator<Item = Row> + use<'a> {
    let row = |kind, contact: &str, occurrence: Option<&str>, automation: &str, reason: &str| {
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
    let (actions, others) = (most_of(MOST_ACTIONS, is_cut), most_of(MOST_OTHERS, is_cut));
    let actions = view.rows().take(actions).map(move |of| Row {
        place: SafeText(&of.declared_at.unwrap_or_default()).to_string(),
        ..row(
            of.action,
            of.contact,
            of.occurrence,
            of.automation,
            &of.reason,
        )
    });
    let deferred = view.deferred().take(others).map(move |of| {
        row(
            "deferred",
            of.contact,
            of.occurrence,
            of.automation,
            &of.reason,
        )
    });
    let let_go = view.plan.let_go.iter().take(others);
    let let_go = let_go.map(move |of| of_key("let go", &of.participation.key, &of.reason));
    let held = view.plan.held.iter().take(others);
    let held = held.map(move |of| {
        let reason = format!("{}: {}", of.state, of.reason);
        of_key("held", &of.key, &reason)
    });
    actions.chain(deferred).chain(let_go).chain(held)
}

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.automations.iter();
        let names: Vec<_> = names.map(|name| SafeText(name).to_string()).collect();
        let places: HashMap<&str, usize> = self.automations.iter().copied().zip(0..).collect();
        let mut line = Vec::new();
        f.write_str("{\"kinds\":")?;
        json(f, &mut line, &self.kinds)?;
        f.write_str(",\"automations\":")?;
        json(f, &mut line, &names)?;
        f.write_str(",\"rows\":[")?;
        for (place, row) in (self.all)().enumerate() {
            f.write_str(if place == 0 { "\n" } else { ",\n" })?;
            let kind = self.kinds.iter().position(|kind| *kind == row.kind);
            let automation = places.get(row.automation.as_str());
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
    fn a_bar_is_as_long_as_it_has_people_and_its_parts_follow_each_other() {
        let counts = Counts {
            trigger: 3,
            stop: 1,
            running: 5,
            ..Counts::default()
        };
        let bar = bar("welcome", counts, 16);
        let parts: Vec<_> = bar.parts.iter().map(|p| (p.class, p.x, p.width)).collect();
        assert_eq!(
            parts,
            [("stay", 0, 250), ("come", 250, 188), ("go", 438, 63)]
        );
    }
}
