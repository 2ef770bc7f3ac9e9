//! The rosters before and after as a unified diff.
//!
//! Both are sorted in the same way, so that a merge of the enrolments with the plan gives the difference: no algorithm has
//! to search for it, which at a million lines with many changes takes hours. Memory is that of one contact, and of the
//! hunks' places.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::rows::{PlanView, subject};
use super::style::{self, SafeText};
use super::tally::runs_already;
use crate::plan::{Action, Filter};

/// How many unchanged lines stand around a change.
const CONTEXT: u64 = 3;

/// Where lines are: `@@ -1,7 +1,6 @@`.
const PLACE: Style = AnsiColor::Cyan.on_default();

/// Writes what runs, or may run, before the plan and after it, as far as the filter lets it through: one line each, by
/// contact.
///
/// What is deferred counts as if it were triggered now.
///
/// # Errors
/// What the writer says.
pub fn plan_diff(out: &mut impl Write, view: PlanView<'_>, filter: &Filter) -> io::Result<()> {
    let mut hunks = Hunks::default();
    // A walk that writes nothing does not fail.
    walk(view, filter, |sign, _, _| {
        hunks.line(sign);
        Ok(())
    })?;
    let hunks = hunks.end();
    if hunks.is_empty() {
        return Ok(());
    }
    let (on, off) = (style::STRONG.render(), style::STRONG.render_reset());
    writeln!(out, "{on}--- before (record serial {})", view.record_serial)?;
    writeln!(out, "+++ after (configuration {}){off}", view.config.digest)?;
    let mut hunks = hunks.into_iter().peekable();
    let mut number = 0;
    walk(view, filter, |sign, (contact, occurrence), automation| {
        let here = number;
        number += 1;
        while hunks.next_if(|hunk| hunk.end <= here).is_some() {}
        let Some(hunk) = hunks.peek().filter(|hunk| hunk.start <= here) else {
            return Ok(());
        };
        if hunk.start == here {
            let (on, off) = (PLACE.render(), PLACE.render_reset());
            let (old, new) = (hunk.old, hunk.new);
            writeln!(out, "{on}@@ -{old} +{new} @@{off}")?;
        }
        let of = subject(contact, occurrence);
        let (of, automation) = (SafeText(&of), SafeText(automation));
        let colour = match sign {
            Sign::Same => return writeln!(out, " {of}  {automation}"),
            Sign::Gone => style::REMOVED,
            Sign::New => style::ADDED,
        };
        let (on, off) = (colour.render(), colour.render_reset());
        let sign = if sign == Sign::Gone { '-' } else { '+' };
        writeln!(out, "{on}{sign}{of}  {automation}{off}")
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Same,
    Gone,
    New,
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
    mut each: impl FnMut(Sign, Of<'a>, &'a str) -> io::Result<()>,
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
                    each(Sign::Gone, of, automation)?;
                    each(Sign::New, of, automation)?;
                }
                (true, true) => each(Sign::Same, of, automation)?,
                (true, false) => each(Sign::Gone, of, automation)?,
                (false, true) => each(Sign::New, of, automation)?,
                (false, false) => {}
            }
        }
    }
}

/// Lines of one side: the first, from 1, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lines {
    first: u64,
    count: u64,
}

impl std::fmt::Display for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.count {
            // No lines are said to stand behind the line before them.
            0 => write!(f, "{},0", self.first - 1),
            1 => write!(f, "{}", self.first),
            count => write!(f, "{},{count}", self.first),
        }
    }
}

/// Changes that stand together, with the unchanged lines around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hunk {
    /// Its lines by their number in both rosters merged, from 0; the end is not of it.
    start: u64,
    end: u64,
    old: Lines,
    new: Lines,
}

/// Works out hunks from the signs of all lines, one after the other.
#[derive(Default)]
struct Hunks {
    done: Vec<Hunk>,
    /// How many lines there were of all, and of each side.
    all: u64,
    old: u64,
    new: u64,
    /// How many unchanged lines there were since the last change.
    same: u64,
}

impl Hunks {
    fn line(&mut self, sign: Sign) {
        if sign != Sign::Same {
            self.change();
        }
        self.all += 1;
        self.old += u64::from(sign != Sign::New);
        self.new += u64::from(sign != Sign::Gone);
        match sign {
            Sign::Same => self.same += 1,
            _ => self.same = 0,
        }
        if let Some(hunk) = self.done.last_mut()
            && self.same <= CONTEXT
        {
            hunk.end = self.all;
            hunk.old.count = self.old + 1 - hunk.old.first;
            hunk.new.count = self.new + 1 - hunk.new.first;
        }
    }

    /// Begins a hunk, unless the last one reaches to here.
    fn change(&mut self) {
        if !self.done.is_empty() && self.same <= 2 * CONTEXT {
            return;
        }
        let before = self.same.min(CONTEXT);
        let lines = |first| Lines { first, count: 0 };
        self.done.push(Hunk {
            start: self.all - before,
            end: self.all,
            old: lines(self.old - before + 1),
            new: lines(self.new - before + 1),
        });
    }

    fn end(self) -> Vec<Hunk> {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signs() -> impl Strategy<Value = Vec<Sign>> {
        let sign = prop_oneof![8 => Just(Sign::Same), 1 => Just(Sign::Gone), 1 => Just(Sign::New)];
        proptest::collection::vec(sign, 0..80)
    }

    proptest! {
        /// Every line is another one, so there is one difference only, and a library that searches for it finds the same
        /// hunks.
        #[test]
        fn the_hunks_are_those_that_a_search_finds(signs in signs()) {
            let (mut old, mut new, mut hunks) = (String::new(), String::new(), Hunks::default());
            for (number, sign) in signs.iter().enumerate() {
                hunks.line(*sign);
                if *sign != Sign::New {
                    old.push_str(&format!("line {number}\n"));
                }
                if *sign != Sign::Gone {
                    new.push_str(&format!("line {number}\n"));
                }
            }
            let ours: Vec<_> = hunks
                .end()
                .iter()
                .map(|hunk| format!("@@ -{} +{} @@", hunk.old, hunk.new))
                .collect();
            let found = similar::TextDiff::from_lines(&old, &new);
            let found = found.unified_diff().to_string();
            let found: Vec<_> = found.lines().filter(|line| line.starts_with("@@")).collect();
            prop_assert_eq!(ours, found);
        }
    }
}
