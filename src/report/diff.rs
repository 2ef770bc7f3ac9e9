//! The rosters before and after as a unified diff.
//!
//! Both are sorted in the same way, so a merge of the enrolments with the plan gives the difference: no algorithm has to
//! search for it, which takes hours for a million lines with many changes. `similar` makes the hunks of it. Only the
//! changes are kept in memory, not the lines.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use similar::algorithms::{Capture, DiffHook, Replace};
use similar::udiff::UnifiedHunkHeader;
use similar::{ChangeTag, DiffOp};

use super::rows::{PlanView, subject};
use super::style::{self, SafeText};
use super::tally::runs_already;
use crate::plan::{Action, Filter};

/// How many unchanged lines stand around a change.
const CONTEXT: usize = 3;

/// The colour of `@@ -1,7 +1,6 @@`.
const HEADER: Style = AnsiColor::Cyan.on_default();

/// Writes what runs, or may run, before the plan and after it, as far as the filter lets it through: one line each, by
/// contact.
///
/// What is deferred counts as if it were triggered now.
///
/// # Errors
/// What the writer says.
pub fn plan_diff(out: &mut impl Write, view: PlanView<'_>, filter: &Filter) -> io::Result<()> {
    let mut changes = Replace::new(Capture::new());
    let mut line = Line::default();
    walk(view, filter, |tag, _, _| {
        let Ok(()) = match tag {
            ChangeTag::Equal => changes.equal(line.old, line.new, 1),
            ChangeTag::Delete => changes.delete(line.old, 1, line.new),
            ChangeTag::Insert => changes.insert(line.old, line.new, 1),
        };
        line.pass(tag);
        Ok(())
    })?;
    let Ok(()) = changes.finish();
    let hunks = changes.into_inner().into_grouped_ops(CONTEXT);
    if hunks.is_empty() {
        return Ok(());
    }
    let (on, off) = (style::STRONG.render(), style::STRONG.render_reset());
    writeln!(out, "{on}--- before (record serial {})", view.record_serial)?;
    writeln!(out, "+++ after (configuration {}){off}", view.config.digest)?;
    let mut hunks = hunks.iter().map(|ops| Hunk::new(ops)).peekable();
    let mut line = Line::default();
    walk(view, filter, |tag, (contact, occurrence), automation| {
        let here = line;
        line.pass(tag);
        while hunks.next_if(|hunk| hunk.end <= here).is_some() {}
        let Some(hunk) = hunks.peek().filter(|hunk| hunk.start <= here) else {
            return Ok(());
        };
        if hunk.start == here {
            let (on, off) = (HEADER.render(), HEADER.render_reset());
            writeln!(out, "{on}{}{off}", hunk.header)?;
        }
        let of = subject(contact, occurrence);
        let (of, automation) = (SafeText(&of), SafeText(automation));
        let colour = match tag {
            ChangeTag::Equal => return writeln!(out, " {of}  {automation}"),
            ChangeTag::Delete => style::REMOVED,
            ChangeTag::Insert => style::ADDED,
        };
        let (on, off) = (colour.render(), colour.render_reset());
        writeln!(out, "{on}{tag}{of}  {automation}{off}")
    })
}

/// How many lines of each side come before a line. They only grow, so the order is that of the diff.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    old: usize,
    new: usize,
}

impl Line {
    fn pass(&mut self, tag: ChangeTag) {
        self.old += usize::from(tag != ChangeTag::Insert);
        self.new += usize::from(tag != ChangeTag::Delete);
    }
}

/// Changes that stand together, with the unchanged lines around them.
struct Hunk {
    header: UnifiedHunkHeader,
    start: Line,
    /// The first line behind the hunk.
    end: Line,
}

impl Hunk {
    fn new(ops: &[DiffOp]) -> Self {
        let (first, last) = (ops[0], ops[ops.len() - 1]);
        Self {
            header: UnifiedHunkHeader::new(ops),
            start: Line {
                old: first.old_range().start,
                new: first.new_range().start,
            },
            end: Line {
                old: last.old_range().end,
                new: last.new_range().end,
            },
        }
    }
}

/// A contact and an occurrence.
type Of<'a> = (&'a str, Option<&'a str>);

/// Whether something runs before and after.
struct Runs {
    before: bool,
    after: bool,
    /// It runs before and after, and not in between.
    renewed: bool,
}

/// Passes every line of both rosters to `each`, by contact, automation and occurrence.
fn walk<'a>(
    view: PlanView<'a>,
    filter: &Filter,
    mut each: impl FnMut(ChangeTag, Of<'a>, &'a str) -> io::Result<()>,
) -> io::Result<()> {
    let plan = view.plan;
    let of_trigger = |enrolment: u32| {
        let enrolment = view.roster.get(enrolment as usize);
        let name = view.config.automations[enrolment.automation].name.as_str();
        (enrolment.contact, (name, enrolment.occurrence))
    };
    let of_key = |key: &'a crate::participation::Key| {
        let occurrence = key.occurrence.as_ref().map(|o| o.as_str());
        (key.contact.as_str(), (key.automation.as_str(), occurrence))
    };
    let mut enrolments = (0..view.roster.len() as u32)
        .filter(|place| plan.declares(*place as usize, view.roster))
        .map(of_trigger)
        .filter(|(contact, (automation, _))| filter.lets_through(contact, automation))
        .peekable();
    let mut held = plan
        .held
        .iter()
        .map(|held| (of_key(&held.key), held.before.is_running()))
        .peekable();
    let mut let_go = plan
        .let_go
        .iter()
        .map(|let_go| of_key(&let_go.participation.key))
        .peekable();
    let mut deferred = plan
        .deferred
        .iter()
        .map(|deferred| &deferred.trigger)
        .peekable();
    let mut actions = plan.actions.iter().peekable();
    let of_action = |action: &'a Action| match action {
        Action::Stop(stop) => of_key(&stop.participation.key),
        Action::Trigger(trigger) => of_trigger(trigger.enrolment),
    };
    let mut group: BTreeMap<(&str, Option<&str>), Runs> = BTreeMap::new();
    loop {
        let next = [
            enrolments.peek().map(|(contact, _)| *contact),
            held.peek().map(|((contact, _), _)| *contact),
            let_go.peek().map(|(contact, _)| *contact),
            deferred
                .peek()
                .map(|trigger| of_trigger(trigger.enrolment).0),
            actions.peek().map(|action| of_action(action).0),
        ];
        let Some(contact) = next.into_iter().flatten().min() else {
            return Ok(());
        };
        let runs = |before, after| Runs {
            before,
            after,
            renewed: false,
        };
        while let Some((_, key)) = enrolments.next_if(|next| next.0 == contact) {
            group.insert(key, runs(true, true));
        }
        while let Some(((_, key), is_running)) = held.next_if(|((c, _), _)| *c == contact) {
            group.insert(key, runs(is_running, is_running));
        }
        while let Some((_, key)) = let_go.next_if(|next| next.0 == contact) {
            group.insert(key, runs(true, false));
        }
        while let Some(trigger) = deferred.next_if(|next| of_trigger(next.enrolment).0 == contact) {
            let (_, key) = of_trigger(trigger.enrolment);
            group.insert(key, runs(runs_already(trigger), true));
        }
        while let Some(action) = actions.next_if(|next| of_action(next).0 == contact) {
            let (_, key) = of_action(action);
            match action {
                Action::Stop(_) => {
                    group.insert(key, runs(true, false));
                }
                // Stops come first, so a stop of the same is there already.
                Action::Trigger(trigger) => {
                    let stopped = group.get(&key).is_some_and(|runs| !runs.after);
                    let before = stopped || runs_already(trigger);
                    group.insert(
                        key,
                        Runs {
                            before,
                            after: true,
                            renewed: stopped,
                        },
                    );
                }
            }
        }
        for ((automation, occurrence), runs) in std::mem::take(&mut group) {
            let of = (contact, occurrence);
            match (runs.before, runs.after) {
                (true, true) if runs.renewed => {
                    each(ChangeTag::Delete, of, automation)?;
                    each(ChangeTag::Insert, of, automation)?;
                }
                (true, true) => each(ChangeTag::Equal, of, automation)?,
                (true, false) => each(ChangeTag::Delete, of, automation)?,
                (false, true) => each(ChangeTag::Insert, of, automation)?,
                (false, false) => {}
            }
        }
    }
}
