//! Sources that ran dry or were cut short since the last apply, and what a plan would do because of that.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::lists::{self, blocks};
use super::{Action, NotAlone, Plan, Stop, StopScope, WhyStop};
use crate::config::{Config, Diagnostic, Suppression};
use crate::id::{AutomationName, ContactId, TriggerCode};
use crate::participation::{Key, Move, Over, State};
use crate::record::AppliedSource;
use crate::roster::{Enrolment, Roster, SourceRead, drawing_on};
use crate::text::plural;

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
    /// How many that have ended would be taken for gone, or for suppressed: declared again, they would be triggered as anybody new.
    pub over: u64,
    /// How many ids would become those of another person, where it says who is one.
    pub merged: u64,
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
    /// Which people are missing from a source cannot be known: whoever goes from an automation that draws on it counts, but
    /// for those who are suppressed. Who is triggered, or stopped to be triggered again, counts where the enrolment comes from
    /// the source itself.
    pub(super) fn all(
        plan: &Plan,
        config: &Config,
        roster: &Roster<'_>,
        applied: &BTreeMap<String, AppliedSource>,
    ) -> Vec<Self> {
        let doubted = Doubted::new(plan, config, roster, applied);
        let all = roster.sources().filter_map(|read| {
            let how = how_ended(&read, applied)?;
            let drawing = drawing_on(config, &read.source.name);
            let draws = |source: usize| drawing.contains(config.sources[source].name.as_str());
            // Whom it says to be one person is not known, so that anybody may be concerned.
            let mut merges = config.merges.iter().filter_map(|merged| merged.listed());
            let has_merges = merges.any(|listed| draws(listed.source));
            let is_from_it = |enrolment: Enrolment<'_>| {
                has_merges || config.enrols[enrolment.block].source.is_some_and(draws)
            };
            let lists = || {
                let blocks = config.suppressions.iter();
                blocks.filter(|of| is_one_of(of, &drawing))
            };
            // Who is missing from a list cannot be known either.
            let may_be_due_to_it = |enrolment: Enrolment<'_>| {
                let automation = Some(enrolment.automation);
                is_from_it(enrolment) || lists().any(|list| list.holds_in(automation))
            };
            let drawn = config.enrols.iter();
            let drawn = drawn.filter(|enrol| enrol.source.is_some_and(draws));
            let automations: HashSet<usize> = match has_merges {
                true => (0..config.automations.len()).collect(),
                false => drawn.flat_map(|enrol| enrol.automations.clone()).collect(),
            };
            let (leaving, gone) = leaving(plan, config, roster, &automations, is_from_it);
            let (stops, ends) = doubtful(plan, config, roster, (&drawing, &doubted));
            let merged = if has_merges { plan.merged.len() } else { 0 };
            let of = Self {
                source: read.source.name.clone(),
                how,
                triggers: triggers(plan, roster, may_be_due_to_it),
                leaving: leaving + stops,
                over: gone + ends,
                merged: merged as u64,
            };
            (of.triggers + of.leaving + of.over + of.merged > 0).then_some(of)
        });
        all.collect()
    }
}

/// In which way a source is not whole that was so when a plan made from it was last applied.
fn how_ended(read: &SourceRead<'_>, applied: &BTreeMap<String, AppliedSource>) -> Option<HowEnded> {
    let before = applied.get(&read.source.name)?;
    match read.rows {
        0 if before.rows > 0 => Some(HowEnded::Dry { had: before.rows }),
        0 => None,
        _ if before.ends_with_line_end == Some(true) && !read.ends_with_line_end => {
            Some(HowEnded::Cut)
        }
        _ => None,
    }
}

/// Every source that is not whole, and in which way.
pub fn not_whole(
    roster: &Roster<'_>,
    applied: &BTreeMap<String, AppliedSource>,
) -> Vec<Diagnostic> {
    let ended =
        roster.sources().filter_map(|read| {
            let how = how_ended(&read, applied)?;
            let source = read.source;
            let message = format!("source {} {how}", source.name);
            Some(Diagnostic::at(source.place.clone(), message).help(
                "make the export again; or if this one is right, apply it with --allow-large",
            ))
        });
    ended.collect()
}

/// The names of the sources that are not whole, and of those that ask them.
fn ended<'c>(
    config: &'c Config,
    roster: &Roster<'_>,
    applied: &BTreeMap<String, AppliedSource>,
) -> Drawing<'c> {
    let sources = roster.sources();
    let ended = sources.filter(|read| how_ended(read, applied).is_some());
    ended
        .flat_map(|read| drawing_on(config, &read.source.name))
        .collect()
}

/// Names of sources.
type Drawing<'c> = hashbrown::HashSet<&'c str>;

/// Whether a block is a list of one of these sources.
fn is_one_of(of: &Suppression, sources: &Drawing<'_>) -> bool {
    of.source
        .as_deref()
        .is_some_and(|source| sources.contains(source))
}

/// The lists that may be wrong: for anybody, or for some.
struct Doubted<'r> {
    /// Those that are not whole.
    ended: Drawing<'r>,
    /// Those that have somebody in other letters.
    otherwise: lists::Otherwise<'r>,
}

impl<'r> Doubted<'r> {
    fn new(
        plan: &Plan,
        config: &'r Config,
        roster: &'r Roster<'_>,
        applied: &BTreeMap<String, AppliedSource>,
    ) -> Self {
        Self {
            ended: ended(config, roster, applied),
            otherwise: lists::required_otherwise(plan, config, roster),
        }
    }

    /// Whether a block may keep a contact out by mistake.
    fn has(&self, of: &Suppression, contact: &str) -> bool {
        is_one_of(of, &self.ended)
            || lists::in_other_letters(&self.otherwise, of, contact).is_some()
    }
}

/// How many stops that may be wrong come of the lists of a source, and how many of who has ended are suppressed by these alone.
fn doubtful(
    plan: &Plan,
    config: &Config,
    roster: &Roster<'_>,
    (drawing, doubted): (&Drawing<'_>, &Doubted<'_>),
) -> (u64, u64) {
    let is_of_it = |of: &&Suppression| is_one_of(of, drawing);
    let is_it = |action: &&Action| match action {
        Action::Stop(stop) if stop.not_alone == Some(NotAlone::Doubtful) => {
            let key = &stop.participation.key;
            blocks(key.contact.as_str(), &key.automation, config, roster).any(|of| is_of_it(&of))
        }
        _ => false,
    };
    let stops = plan.actions.iter().filter(is_it);
    let ends = plan.turns.iter();
    let ends = ends.filter(|turn| matches!(turn.transition, Move::End(Over::Suppressed(_))));
    let ends = ends.filter(|turn| {
        let (contact, automation, _) = turn.of(config, roster);
        let blocks: Vec<_> = blocks(contact, automation, config, roster).collect();
        blocks.iter().any(is_of_it) && blocks.iter().all(|of| doubted.has(of, contact))
    });
    (stops.count() as u64, ends.count() as u64)
}

impl Plan {
    /// Marks the stops of suppressed contacts that lists alone cause which have run dry or were cut since the last apply, or which
    /// have the contact in other letters: these are not sent where the guard refuses.
    pub fn doubt_lists(
        &mut self,
        config: &Config,
        roster: &Roster<'_>,
        applied: &BTreeMap<String, AppliedSource>,
    ) {
        let doubted = Doubted::new(self, config, roster, applied);
        if doubted.ended.is_empty() && doubted.otherwise.is_empty() {
            return;
        }
        for action in &mut self.actions {
            let Action::Stop(stop) = action else { continue };
            if stop.why != WhyStop::Suppressed {
                continue;
            }
            let key = &stop.participation.key;
            let of = blocks(key.contact.as_str(), &key.automation, config, roster);
            let mut blocks = of.peekable();
            let is_doubtful =
                blocks.peek().is_some() && blocks.all(|of| doubted.has(of, key.contact.as_str()));
            drop(blocks);
            if is_doubtful {
                stop.not_alone = Some(NotAlone::Doubtful);
            }
        }
        self.spare_doubtful();
    }

    /// Lets no call for somebody suppressed stop with it what a doubtful list alone would stop.
    fn spare_doubtful(&mut self) {
        fn calls(stop: &Stop) -> impl Iterator<Item = (ContactId, TriggerCode)> {
            let ids = std::iter::once(stop.sent_to()).chain(stop.instead());
            ids.map(|id| (id.clone(), stop.participation.trigger_code.clone()))
        }
        let stops = self.actions.iter().filter_map(|action| match action {
            Action::Stop(stop) if stop.not_alone == Some(NotAlone::Doubtful) => Some(calls(stop)),
            _ => None,
        });
        let doubtful: HashSet<_> = stops.flatten().collect();
        for action in &mut self.actions {
            let Action::Stop(stop) = action else { continue };
            let reaches_all = stop.is_of_suppressed() && stop.scope == StopScope::All;
            if !reaches_all || !calls(stop).any(|call| doubtful.contains(&call)) {
                continue;
            }
            match stop.participation.can_be_stopped_alone() {
                true => stop.scope = StopScope::One,
                false => stop.not_alone = Some(NotAlone::ReachesOthers),
            }
        }
    }
}

fn triggers(plan: &Plan, roster: &Roster<'_>, is_from_it: impl Fn(Enrolment<'_>) -> bool) -> u64 {
    let now = plan.actions.iter().filter_map(|action| match action {
        Action::Trigger(trigger) => Some(trigger),
        Action::Stop(_) => None,
    });
    let later = plan.deferred.iter().map(|deferred| &deferred.trigger);
    now.chain(later)
        .filter(|trigger| is_from_it(roster.get(trigger.enrolment as usize)))
        .count() as u64
}

/// How many go from the automations that draw on a source, and how many that have ended.
fn leaving(
    plan: &Plan,
    config: &Config,
    roster: &Roster<'_>,
    automations: &HashSet<usize>,
    is_from_it: impl Fn(Enrolment<'_>) -> bool,
) -> (u64, u64) {
    let names: HashMap<&AutomationName, usize> = automations
        .iter()
        .filter_map(|automation| Some((&config.automations.get(*automation)?.name, *automation)))
        .collect();
    let is_renewed_by_it = |key: &Key| {
        let automation = names.get(&key.automation)?;
        let occurrence = key
            .occurrence
            .as_ref()
            .map(|occurrence| occurrence.as_str());
        roster
            .find(key.contact.as_str(), *automation, occurrence)
            .map(&is_from_it)
    };
    let stops = plan.actions.iter().filter_map(|action| match action {
        Action::Stop(stop) => {
            let key = &stop.participation.key;
            (stop.leaves() || is_renewed_by_it(key) == Some(true)).then_some(key)
        }
        Action::Trigger(_) => None,
    });
    let let_go = plan.let_go.iter().map(|let_go| &let_go.participation.key);
    let marks = plan.marks.iter().filter(|mark| mark.left_at.is_some());
    let begin = marks.map(|mark| &mark.key);
    let keys = stops.chain(let_go).chain(begin);
    let is_of_it = |contact: &str, name: &AutomationName| {
        names.get(name).is_some_and(|automation| {
            let suppression = roster.suppression(contact, Some(*automation));
            suppression.is_none()
        })
    };
    let leaving = keys.filter(|key| is_of_it(key.contact.as_str(), &key.automation));
    // Who was let go before has not gone because of it.
    let ends = (plan.turns.iter())
        .filter(|turn| turn.transition == Move::End(Over::Gone) && turn.before != State::LetGo);
    let over = ends.filter(|turn| {
        let (contact, name, _) = turn.of(config, roster);
        is_of_it(contact, name)
    });
    (leaving.count() as u64, over.count() as u64)
}

impl fmt::Display for HowEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dry { had } => write!(f, "has no rows, and had {had} at the last apply"),
            Self::Cut => f.write_str(
                "ends in the middle of a line, and ended with a line end at the last apply: it may be cut short, and its last \
                 row may be wrong",
            ),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            how,
            triggers,
            leaving,
            over,
            merged,
        } = self;
        write!(
            f,
            "source {source} {how}; in the automations that use it, {triggers} would be triggered and {leaving} stopped or let go"
        )?;
        if *over > 0 {
            write!(f, ", and {over} that have ended taken for gone")?;
        }
        if *merged > 0 {
            write!(f, ", and {} merged", plural(*merged, "id"))?;
        }
        f.write_str(" (make the export again)")
    }
}
