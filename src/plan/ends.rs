//! Sources that ran dry or were cut short since the last apply, and what a plan would do because of that.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::{Action, Plan};
use crate::config::Config;
use crate::id::AutomationName;
use crate::participation::Key;
use crate::record::AppliedSource;
use crate::roster::Roster;

/// A source that is not whole, and what would be done because of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its name.
    pub source: String,
    /// What is wrong with it.
    pub how: HowEnded,
    /// How many would be triggered.
    pub triggers: u64,
    /// How many would be stopped or let go, or begin to leave.
    pub leaving: u64,
}

/// In which way a source is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HowEnded {
    /// It has no rows.
    Dry {
        /// How many it had.
        had: u64,
    },
    /// Its file does not end with a line end any more.
    Cut,
}

impl Ended {
    /// Every source that is not whole and because of which the plan would do anything. `applied` is how sources were when a
    /// plan made from them was last applied.
    ///
    /// Which people are missing from a source, or are another's in its last row, cannot be known: whatever is done in an
    /// automation that draws on it counts, but for those who are suppressed.
    pub(super) fn all(
        plan: &Plan,
        config: &Config,
        roster: &Roster<'_>,
        applied: &BTreeMap<String, AppliedSource>,
    ) -> Vec<Self> {
        let ended = roster.sources().filter_map(|read| {
            let before = applied.get(&read.source.name)?;
            let how = match read.rows {
                0 if before.rows > 0 => HowEnded::Dry { had: before.rows },
                0 => return None,
                _ if before.ends_with_line_end == Some(true) && !read.ends_with_line_end => {
                    HowEnded::Cut
                }
                _ => return None,
            };
            let drawn = config.enrols.iter().filter(|enrol| {
                let source = enrol.source.and_then(|source| config.sources.get(source));
                source.is_some_and(|source| source.name == read.source.name)
            });
            let automations: HashSet<usize> =
                drawn.flat_map(|enrol| enrol.automations.clone()).collect();
            let ended = Self {
                source: read.source.name.clone(),
                how,
                triggers: triggers(plan, roster, &automations),
                leaving: leaving(plan, config, &automations),
            };
            (ended.triggers + ended.leaving > 0).then_some(ended)
        });
        ended.collect()
    }
}

fn triggers(plan: &Plan, roster: &Roster<'_>, automations: &HashSet<usize>) -> u64 {
    let now = plan.actions.iter().filter_map(|action| match action {
        Action::Trigger(trigger) => Some(trigger),
        Action::Stop(_) => None,
    });
    let later = plan.deferred.iter().map(|deferred| &deferred.trigger);
    let is_of_it = |enrolment: u32| {
        let automation = roster.get(enrolment as usize).automation;
        automations.contains(&automation)
    };
    now.chain(later)
        .filter(|trigger| is_of_it(trigger.enrolment))
        .count() as u64
}

fn leaving(plan: &Plan, config: &Config, automations: &HashSet<usize>) -> u64 {
    let names: HashSet<&AutomationName> = automations
        .iter()
        .filter_map(|automation| Some(&config.automations.get(*automation)?.name))
        .collect();
    let is_of_it = |key: &&Key| {
        names.contains(&key.automation) && !config.suppressed.contains_key(&key.contact)
    };
    let stops = plan.actions.iter().filter_map(|action| match action {
        Action::Stop(stop) => Some(&stop.participation.key),
        Action::Trigger(_) => None,
    });
    let let_go = plan.let_go.iter().map(|let_go| &let_go.participation.key);
    let marks = plan.marks.iter().filter(|mark| mark.left_at.is_some());
    let begin = marks.map(|mark| &mark.key);
    stops.chain(let_go).chain(begin).filter(is_of_it).count() as u64
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            how,
            triggers,
            leaving,
        } = self;
        match how {
            HowEnded::Dry { had } => write!(
                f,
                "source {source} has no rows, and had {had} when it was last applied"
            )?,
            HowEnded::Cut => write!(
                f,
                "source {source} stops in mid-line, and ended with a line end when it was last applied: it may be cut short, and \
                 its last row be another's"
            )?,
        }
        write!(
            f,
            "; in the automations that draw on it, {triggers} would be triggered and {leaving} stopped or let go (make the export \
             again)"
        )
    }
}
