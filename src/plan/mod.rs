//! Enrolments × participations → [`Plan`].
//!
//! Both sides come sorted by contact, so that a plan is a merge of two streams: neither the record nor a list of all
//! enrolments with their texts is ever held in memory a second time. Nothing here reads or writes anything.

mod behind;
mod decide;
mod defer;
mod ends;
mod guard;
mod identity;
mod merges;
mod moves;
mod reason;
pub mod saved;
#[cfg(test)]
mod tests;
mod window;

pub use decide::{WhyRenewed, WhyStop, WhyTrigger};
pub use defer::{Deferred, Sent, WhyDeferred, day};
pub use ends::{Ended, HowEnded};
pub use guard::{Breach, Guard, Whose};
pub use identity::{Changed, Found, Reapplied, SamePeople, applied_with};
pub use merges::Merged;

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::iter::Peekable;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::{Config, Lot, OnLeave};
use crate::id::{AutomationName, ContactId, Occurrence, TriggerCode};
use crate::participation::{Before, GONE, Key, Move, Over, Participation, State};
use crate::record::Merges;
use crate::roster::{Class, Enrolment, Roster, goes_first};
use behind::Behind;
use decide::{Decision, Declared, Leave};
use identity::Identities;
use merges::Merging;
use moves::Moves;

/// What has to happen so that the participations are as declared.
#[derive(Debug, Default)]
pub struct Plan {
    /// Sorted by contact, stops before triggers, then by automation and occurrence.
    pub actions: Vec<Action>,
    /// Triggers that wait for the window or by a ramp, once [`Plan::defer`] was asked. Sorted like the actions.
    pub deferred: Vec<Deferred>,
    /// Participations that will be left to run out; no call is made. In the order of the record.
    pub let_go: Vec<LetGo>,
    /// Declared, and nothing is done about it. Sorted like the actions.
    pub held: Vec<Held>,
    /// Declared, and not triggered since the contact is suppressed. Sorted like the actions.
    pub withheld: Vec<Withheld>,
    /// Participations that have ended, or that go on after they were let go; no call is made.
    pub turns: Vec<Turn>,
    /// What is to be noted of enrolments that went or came back, for `leave_after`; no call is made.
    pub marks: Vec<Mark>,
    /// The places of the enrolments of which the record says otherwise than the roster alone: those who stay, though they would not
    /// come in. Sorted.
    pub by_record: Vec<u32>,
    /// Enrolments that are not declared, since another automation goes first. In the order of the roster.
    pub displaced: Vec<Displaced>,
    /// How many enrolments are as declared.
    pub unchanged: u64,
    /// How many participations run or may run, by automation: what the guard's percentages are of.
    pub running: BTreeMap<AutomationName, u64>,
    /// What the guard counts besides, by automation.
    pub figures: BTreeMap<AutomationName, Figures>,
    /// How many participations take another name, by the name before and the name after.
    pub moved: BTreeMap<(AutomationName, AutomationName), u64>,
    /// The moves that these come of, in steps.
    pub moves: Vec<(AutomationName, AutomationName)>,
    /// What the record is to write of people who have two ids.
    pub merges: Merges,
    /// After which time the guard counts what was done.
    counted_since: Timestamp,
    /// Who runs, or ran within the guard's day, and is not declared.
    gone: Identities,
    /// Who is on record as withheld, or as stopped since suppressed, and is triggered by this plan or was within the guard's
    /// day: `true` for these. Sorted by contact.
    released: Vec<(ContactId, bool)>,
    /// How many run in automations that have got a `repeat_by`, or lost it, and are triggered in them as new.
    pub reshaped: BTreeMap<AutomationName, u64>,
    /// When the enrolments that are tried again were tried last, in the order of the roster; only of automations with a
    /// ramp, whose turns it decides.
    tried: Vec<(u32, Timestamp)>,
}

/// What the guard counts of one automation, besides what its plan does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many participations run or may run.
    pub running: u64,
    /// How many were triggered within the guard's day, or may have been.
    pub triggered: u64,
    /// How many were stopped or let go within that day, or began to leave.
    pub gone: u64,
    /// How many of those were of contacts that are suppressed.
    pub gone_suppressed: u64,
    /// How many of those who are gone run no more.
    pub over: u64,
    /// How many begin to leave by this plan.
    pub leaving: u64,
    /// How many are triggered again by this plan who were stopped or let go within that day.
    pub returning: u64,
}

/// One thing that a plan will do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Stop a participation.
    Stop(Box<Stop>),
    /// Send a trigger.
    Trigger(Trigger),
}

/// A trigger. The enrolment is kept by its place in the roster, as there may be millions of these.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// The place of its enrolment in the roster.
    pub enrolment: u32,
    /// The state on record before it.
    pub before: Option<State>,
    /// Why.
    pub why: WhyTrigger,
    /// Why the trigger before this one failed, in the words of the wire.
    pub detail: Option<Box<str>>,
}

/// A stop.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    /// What is on record.
    pub participation: Participation,
    /// Why.
    pub why: WhyStop,
    /// Which call.
    pub scope: StopScope,
    /// Why the enrolment is gone, in words; empty until [`Plan::give_reasons`].
    pub reason: Arc<str>,
    /// The other id of the person, which is tried where Spotler does not know the one that was triggered.
    pub instead: Option<ContactId>,
}

impl Stop {
    /// The id that Spotler knows it by.
    pub fn sent_to(&self) -> &ContactId {
        let of = &self.participation;
        of.triggered_as.as_ref().unwrap_or(&of.key.contact)
    }

    /// Whether the enrolment is gone, so that there is a reason to give.
    fn leaves(&self) -> bool {
        !matches!(self.why, WhyStop::Renewed(_) | WhyStop::Merged)
    }

    /// Whether it is one of a suppressed contact: these go first, and also where the guard refuses all others.
    pub fn is_of_suppressed(&self) -> bool {
        self.why == WhyStop::Suppressed
    }
}

/// Which call stops a participation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopScope {
    /// The one that stops all participations of the contact: no other occurrence stays.
    All,
    /// The one that stops one participation, for each `automationContactId` on record.
    One,
}

/// A participation that is left to run out.
#[derive(Debug, Clone, PartialEq)]
pub struct LetGo {
    /// What is on record.
    pub participation: Participation,
    /// Why the enrolment is gone, in words; empty until [`Plan::give_reasons`].
    pub reason: Arc<str>,
}

/// The state of what is gone and waits to be stopped.
pub const LEAVING: &str = "leaving";

/// A thing about which nothing is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Which.
    pub key: Key,
    /// The state on record, `cooling` or `leaving`.
    pub state: &'static str,
    /// The state on record.
    pub before: State,
    /// Why nothing is done.
    pub reason: String,
}

impl Trigger {
    /// Whether its mail is such that people must get it.
    pub fn is_of_service(&self, config: &Config, roster: &Roster<'_>) -> bool {
        let enrolment = roster.get(self.enrolment as usize);
        config.automations[enrolment.automation].is_service()
    }
}

/// An enrolment that is not triggered, since its contact is suppressed.
#[derive(Debug, Clone, PartialEq)]
pub struct Withheld {
    /// Which.
    pub key: Key,
    /// The state on record.
    pub before: Before,
    /// The automation's trigger code.
    pub trigger_code: TriggerCode,
    /// Why the contact is suppressed, and where that stands.
    pub reason: String,
}

impl Withheld {
    /// Whether it is yet to be recorded.
    pub fn is_news(&self) -> bool {
        self.before != Some(State::Withheld)
    }
}

impl Held {
    fn of(recorded: &Participation, state: &'static str, reason: String) -> Self {
        Self {
            key: recorded.key.clone(),
            state,
            before: recorded.state,
            reason,
        }
    }
}

/// An enrolment that is not declared, since another automation goes first by an `[[exclusive]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Displaced {
    /// Its place in the roster.
    pub enrolment: u32,
    /// The automation that goes first, as an index into [`Config::automations`].
    pub by: u32,
    /// The block that says so, as an index into [`Config::exclusives`].
    pub exclusive: u32,
}

impl Displaced {
    /// Why, in words.
    pub fn reason(&self, config: &Config) -> String {
        goes_first(
            config,
            self.by as usize,
            &config.exclusives[self.exclusive as usize],
        )
    }
}

/// That an enrolment is seen gone, or back.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Which.
    pub key: Key,
    /// Since when it is gone; `None` where it is back.
    pub left_at: Option<Timestamp>,
}

/// What is to be noted of a participation, without a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Which.
    pub key: Key,
    /// The state on record.
    pub before: State,
    /// What happens to it.
    pub transition: Move,
    /// Its trigger code.
    pub trigger_code: TriggerCode,
}

impl Turn {
    /// The word for it.
    pub fn kind(&self) -> &'static str {
        match self.transition {
            Move::End(_) => "ended",
            _ => "goes on",
        }
    }

    /// Why.
    pub fn reason(&self) -> &'static str {
        match self.transition {
            Move::End(Over::Declared) => "it ran for as long as `runs_for` says",
            Move::End(Over::Gone) => {
                "it ran for as long as `runs_for` says, and is no longer declared"
            }
            Move::End(Over::Suppressed) => {
                "it ran for as long as `runs_for` says, and is suppressed"
            }
            _ => "it was let go, is declared again, and still runs",
        }
    }
}

/// What part of a plan is wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this automation.
    pub automation: Option<AutomationName>,
    /// Only this contact.
    pub contact: Option<ContactId>,
}

impl Action {
    /// The word for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::Stop(_) => "stop",
            Action::Trigger(_) => "trigger",
        }
    }

    /// Whether it is a stop of a suppressed contact.
    pub fn is_of_suppressed(&self) -> bool {
        matches!(self, Action::Stop(stop) if stop.is_of_suppressed())
    }

    fn does_the_same(&self, other: &Action) -> bool {
        match (self, other) {
            (Action::Trigger(a), Action::Trigger(b)) => a.enrolment == b.enrolment,
            (Action::Stop(a), Action::Stop(b)) => {
                a.scope == b.scope && a.participation.key == b.participation.key
            }
            _ => false,
        }
    }
}

impl Filter {
    /// Whether all of a plan is wanted.
    pub fn is_everything(&self) -> bool {
        self.automation.is_none() && self.contact.is_none()
    }

    /// Whether it is of that part.
    pub fn lets_through(&self, contact: &str, automation: &str) -> bool {
        self.contact.as_ref().is_none_or(|c| c.as_str() == contact)
            && self
                .automation
                .as_ref()
                .is_none_or(|a| a.as_str() == automation)
    }
}

impl Plan {
    /// Merges the roster with the participations on record, which come sorted by contact (bytewise). `since` is after which
    /// time the guard counts what was done, by the real clock; `moves` are the moves that are to be made, in steps.
    ///
    /// The plan is of all, for what is deferred or refused depends on others too; [`Plan::narrow`] cuts the wanted part out
    /// of it. What is as declared is counted in that part alone, and a stop of it does not rely on what goes outside it.
    ///
    /// # Errors
    /// The first error of `recorded`.
    pub fn build<E>(
        config: &Config,
        roster: &Roster<'_>,
        recorded: impl IntoIterator<Item = Result<Participation, E>>,
        filter: &Filter,
        now: Timestamp,
        since: Timestamp,
        moves: Vec<(AutomationName, AutomationName)>,
    ) -> Result<Self, E> {
        let merged = Merged::default();
        Self::build_merged(
            config,
            roster,
            recorded,
            filter,
            (now, since),
            moves,
            merged,
        )
    }

    /// The same, of people of whom some have two ids. The roster has them under the one that they keep.
    ///
    /// # Errors
    /// The first error of `recorded`.
    pub fn build_merged<E>(
        config: &Config,
        roster: &Roster<'_>,
        recorded: impl IntoIterator<Item = Result<Participation, E>>,
        filter: &Filter,
        (now, since): (Timestamp, Timestamp),
        moves: Vec<(AutomationName, AutomationName)>,
        merged: Merged,
    ) -> Result<Self, E> {
        let mut planner = Planner {
            config,
            by_name: config
                .automations
                .iter()
                .enumerate()
                .map(|(ix, a)| (a.name.as_str(), ix))
                .collect(),
            roster,
            filter,
            now,
            since,
            moves: Moves::new(moves),
            merging: Merging::new(merged),
            has_twice: false,
            withheld: (Box::new(roster.withheld()) as Box<dyn Iterator<Item = _>>).peekable(),
            stops: Vec::new(),
            declared: Vec::new(),
            lots: lots(config),
            holding: Vec::new(),
            ends: config.automations.iter().any(|of| of.runs_for.is_some()),
            figures: hashbrown::HashMap::new(),
            plan: Plan::default(),
        };
        let mut next = 0;
        let mut group: Vec<Participation> = Vec::new();
        for participation in recorded {
            let participation = participation?;
            if planner.merging.is_merged(&participation.key.contact) {
                continue;
            }
            if group
                .first()
                .is_some_and(|first| first.key.contact != participation.key.contact)
            {
                next = planner.up_to(next, &mut group);
            }
            group.push(participation);
        }
        next = planner.up_to(next, &mut group);
        while let Some(contact) = planner.merging.next_before(None) {
            next = planner.group(next, &contact, &mut group);
        }
        while next < roster.len() {
            next = planner.contact(next, &[]);
        }
        while let Some(next) = planner.withheld.peek().copied() {
            planner.suppressed(next.contact, &[]);
        }
        let has_twice = planner.has_twice;
        let mut plan = planner.plan;
        let figures = planner.figures.iter();
        let running = figures.filter(|(_, figures)| figures.running > 0);
        plan.running = running
            .map(|(name, figures)| (name.clone(), figures.running))
            .collect();
        plan.figures = planner.figures.into_iter().collect();
        plan.counted_since = since;
        plan.moved = planner.moves.counts;
        plan.moves = planner.moves.steps;
        plan.merges = planner.merging.finish();
        if has_twice {
            // A stop under an id that is not kept is planned together with what is on record of the person.
            let contact = |action: &Action| match action {
                Action::Stop(stop) => stop.participation.key.contact.as_str().to_owned(),
                Action::Trigger(trigger) => {
                    roster.get(trigger.enrolment as usize).contact.to_owned()
                }
            };
            plan.actions.sort_by_cached_key(contact);
        }
        plan.gone.sort();
        plan.displaced.sort_unstable();
        // Those of suppressed contacts come when the next one with anything on record does.
        plan.withheld.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(plan)
    }

    /// Cuts a part out of a plan that was made for it.
    pub fn narrow(&mut self, filter: &Filter, config: &Config, roster: &Roster<'_>) {
        if filter.is_everything() {
            return;
        }
        let of_key = |key: &Key| filter.lets_through(key.contact.as_str(), key.automation.as_str());
        let of_trigger = |trigger: &Trigger| {
            let enrolment = roster.get(trigger.enrolment as usize);
            let automation = &config.automations[enrolment.automation].name;
            filter.lets_through(enrolment.contact, automation.as_str())
        };
        self.actions.retain(|action| match action {
            Action::Stop(stop) => of_key(&stop.participation.key),
            Action::Trigger(trigger) => of_trigger(trigger),
        });
        self.deferred
            .retain(|deferred| of_trigger(&deferred.trigger));
        self.let_go
            .retain(|let_go| of_key(&let_go.participation.key));
        self.held.retain(|held| of_key(&held.key));
        self.withheld.retain(|withheld| of_key(&withheld.key));
        self.marks.retain(|mark| of_key(&mark.key));
        self.turns.retain(|turn| of_key(&turn.key));
    }

    /// Whether the enrolment at a place in the roster is declared.
    pub fn declares(&self, place: usize, roster: &Roster<'_>) -> bool {
        let is_by_record = self.by_record.binary_search(&(place as u32)).is_ok();
        (roster.get(place).class == Class::ComesIn) != is_by_record
    }

    /// By what an enrolment of a contact is displaced, where it is.
    pub fn displaced(
        &self,
        roster: &Roster<'_>,
        contact: &str,
        automation: usize,
        occurrence: Option<&str>,
    ) -> Option<&Displaced> {
        let place = self.displaced.binary_search_by(|of| {
            let of = roster.get(of.enrolment as usize);
            (of.contact, of.automation, of.occurrence).cmp(&(contact, automation, occurrence))
        });
        place.ok().map(|place| &self.displaced[place])
    }

    /// Whether applying it now would change anything.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
            && self.let_go.is_empty()
            && self.moved.is_empty()
            && self.merges.is_empty()
    }

    /// Whether there is nothing to do, to hold, to withhold, to defer or to note either.
    pub fn is_nothing(&self) -> bool {
        self.is_empty()
            && self.held.is_empty()
            && self.withheld.is_empty()
            && self.deferred.is_empty()
            && self.marks.is_empty()
            && self.turns.is_empty()
    }

    /// Whether applying it would write something to the record although it is empty.
    pub fn has_news(&self) -> bool {
        !self.marks.is_empty()
            || !self.turns.is_empty()
            || self.withheld.iter().any(Withheld::is_news)
    }

    /// How many stops of suppressed contacts it holds.
    pub fn stops_of_suppressed(&self) -> u64 {
        let actions = self.actions.iter();
        actions.filter(|action| action.is_of_suppressed()).count() as u64
    }

    /// Whether it does the same as another plan, by whatever states on record it came to that.
    pub fn does_the_same(&self, other: &Plan) -> bool {
        self.actions.len() == other.actions.len()
            && self.let_go.len() == other.let_go.len()
            && self.moved == other.moved
            && self.merges == other.merges
            && self.covers(other)
    }

    /// Whether it does all that another plan of the same roster does, and maybe more.
    pub fn covers(&self, other: &Plan) -> bool {
        // Both have the same order, so that one walk finds all of the other in this one.
        let mut actions = self.actions.iter();
        let mut let_go = self.let_go.iter();
        other
            .actions
            .iter()
            .all(|wanted| actions.any(|action| action.does_the_same(wanted)))
            && other
                .let_go
                .iter()
                .all(|wanted| let_go.any(|item| item.participation.key == wanted.participation.key))
    }

    /// How many triggers it holds.
    pub fn triggers(&self) -> u64 {
        self.actions
            .iter()
            .filter(|action| matches!(action, Action::Trigger(_)))
            .count() as u64
    }

    /// How many stops it holds.
    pub fn stops(&self) -> u64 {
        self.actions.len() as u64 - self.triggers()
    }

    /// The keys of what leaves, stops first, then what is let go, then what waits to leave, for [`Plan::give_reasons`].
    pub fn leaving(&self) -> Vec<Key> {
        let stops = self.actions.iter().filter_map(|action| match action {
            Action::Stop(stop) if stop.leaves() => Some(&stop.participation.key),
            _ => None,
        });
        let waiting = self.held.iter().filter(|held| held.state == LEAVING);
        stops
            .chain(self.let_go.iter().map(|let_go| &let_go.participation.key))
            .chain(waiting.map(|held| &held.key))
            .cloned()
            .collect()
    }

    /// Puts the reasons why the enrolments are gone, in the order of [`Plan::leaving`].
    pub fn give_reasons(&mut self, reasons: impl IntoIterator<Item = Arc<str>>) {
        let mut reasons = reasons.into_iter();
        let stops = self.actions.iter_mut().filter_map(|action| match action {
            Action::Stop(stop) if stop.leaves() => Some(&mut stop.reason),
            _ => None,
        });
        let let_go = self.let_go.iter_mut().map(|let_go| &mut let_go.reason);
        for (place, reason) in stops.chain(let_go).zip(&mut reasons) {
            *place = reason;
        }
        let waiting = self.held.iter_mut().filter(|held| held.state == LEAVING);
        for (held, reason) in waiting.zip(reasons) {
            // Until when it waits is in its place already.
            held.reason = format!("{reason}; {}", held.reason);
        }
    }
}

/// A stop, before it is known which call it takes.
struct Pending {
    participation: Participation,
    why: WhyStop,
    /// The enrolment of which a trigger follows, if any.
    trigger: Option<usize>,
}

/// The lots of the blocks of each automation; empty where there are none at all.
fn lots(config: &Config) -> Vec<Vec<&Lot>> {
    if config.enrols.iter().all(|enrol| enrol.lot.is_none()) {
        return Vec::new();
    }
    let mut lots = vec![Vec::new(); config.automations.len()];
    for enrol in &config.enrols {
        for automation in &enrol.automations {
            lots[*automation].extend(&enrol.lot);
        }
    }
    lots
}

/// The state of a merge.
struct Planner<'a> {
    config: &'a Config,
    by_name: HashMap<&'a str, usize>,
    roster: &'a Roster<'a>,
    filter: &'a Filter,
    now: Timestamp,
    /// After which time the guard counts what was done.
    since: Timestamp,
    moves: Moves,
    merging: Merging,
    /// Whether anything is stopped under an id that is not kept.
    has_twice: bool,
    /// What is withheld and not planned yet.
    withheld: Peekable<Box<dyn Iterator<Item = Enrolment<'a>> + 'a>>,
    /// The stops of the contact under way, until it is known which calls they take.
    stops: Vec<Pending>,
    /// The enrolments of the contact under way; empty in between.
    declared: Vec<usize>,
    /// The lots of the blocks of each automation; empty where there are none at all.
    lots: Vec<Vec<&'a Lot>>,
    /// The automations that the contact under way is in under a lot; empty in between.
    holding: Vec<usize>,
    /// Whether runs of any automation end by time.
    ends: bool,
    /// What the guard counts, by automation.
    figures: hashbrown::HashMap<AutomationName, Figures>,
    plan: Plan,
}

impl Planner<'_> {
    /// Plans all contacts that are only declared and sort before the group's, and then the group's own. Returns the
    /// place of the next enrolment, and leaves the group empty.
    fn up_to(&mut self, mut next: usize, group: &mut Vec<Participation>) -> usize {
        let Some(first) = group.first() else {
            return next;
        };
        let contact = first.key.contact.clone();
        while let Some(other) = self.merging.next_before(Some(&contact)) {
            next = self.group(next, &other, &mut Vec::new());
        }
        self.group(next, &contact, group)
    }

    /// The same of one contact, of whom something is on record under this id or another one.
    fn group(
        &mut self,
        mut next: usize,
        contact: &ContactId,
        group: &mut Vec<Participation>,
    ) -> usize {
        let mut order = Ordering::Greater;
        while next < self.roster.len() {
            order = self.roster.get(next).contact.cmp(contact.as_str());
            if order.is_ge() {
                break;
            }
            next = self.contact(next, &[]);
        }
        // All are of one contact.
        self.moves.make(group);
        let twice = self.merging.make(contact, &mut self.moves, group);
        self.end(group);
        group.sort_by(|a, b| {
            let (a, b) = (&a.key, &b.key);
            let automations = a.automation.cmp(&b.automation);
            automations.then_with(|| a.occurrence.cmp(&b.occurrence))
        });
        if next < self.roster.len() && order.is_eq() {
            next = self.contact(next, group);
        } else if self.config.suppression(contact.as_str()).is_some() {
            self.suppressed(contact.as_str(), group);
        } else {
            self.merge(&[], group);
        }
        self.stop_twice(contact, twice, group);
        group.clear();
        next
    }

    /// Stops what may run under an id that is not kept, as it does under the one that is. By its own id where it has one, since
    /// Spotler may know both by one contact; the call that stops all goes to the id that it was triggered under alone.
    fn stop_twice(
        &mut self,
        contact: &ContactId,
        twice: Vec<Participation>,
        group: &[Participation],
    ) {
        let is_suppressed = self.config.suppression(contact.as_str()).is_some();
        for of in twice {
            self.count(&of);
            if of.state == State::LetGo && !is_suppressed {
                continue;
            }
            self.has_twice = true;
            let is_alone = of.can_be_stopped_alone();
            let is_hit = |other: &Participation| {
                other.triggered_as.as_ref() == Some(&of.key.contact)
                    && other.trigger_code == of.trigger_code
                    && other.state.may_run_at_spotler()
            };
            if !is_alone && !is_suppressed && group.iter().any(is_hit) {
                let state = of.state.as_str();
                self.hold(&of, state, reason::cannot_stop_alone());
                continue;
            }
            let (scope, instead) = match is_alone {
                true => (StopScope::One, Some(contact.clone())),
                false => (StopScope::All, None),
            };
            self.plan.actions.push(Action::Stop(Box::new(Stop {
                why: match is_suppressed {
                    true => WhyStop::Suppressed,
                    false => WhyStop::Merged,
                },
                scope,
                reason: Arc::from(format!("merged with {contact}, who is in it too")),
                instead,
                participation: of,
            })));
        }
    }

    /// Takes for ended what ran for as long as its automation does.
    fn end(&mut self, group: &mut [Participation]) {
        if !self.ends {
            return;
        }
        for of in group.iter_mut().filter(|of| of.ends_by_time()) {
            let index = self.by_name.get(of.key.automation.as_str());
            let runs_for = index.and_then(|index| self.config.automations[*index].runs_for);
            if of.ends_at(runs_for).is_none_or(|until| until > self.now) {
                continue;
            }
            let over = match of.state {
                State::LetGo => Over::Gone,
                _ => Over::Declared,
            };
            self.turn(of, Move::End(over));
            of.state = State::Ended;
            of.detail = (over == Over::Gone).then(|| GONE.to_owned());
        }
    }

    /// Notes what happens to a participation without a call, in place of what this plan noted of it before.
    fn turn(&mut self, of: &Participation, transition: Move) {
        let noted = self.plan.turns.iter_mut().rev();
        let mut noted = noted.take_while(|turn| turn.key.contact == of.key.contact);
        match noted.find(|turn| turn.key == of.key) {
            Some(turn) => turn.transition = transition,
            None => self.plan.turns.push(Turn {
                key: of.key.clone(),
                before: of.state,
                transition,
                trigger_code: of.trigger_code.clone(),
            }),
        }
    }

    /// Plans the contact whose enrolments begin at `from`. Returns where the next contact's begin.
    fn contact(&mut self, from: usize, recorded: &[Participation]) -> usize {
        let contact = self.roster.get(from).contact;
        let mut to = from + 1;
        while to < self.roster.len() && self.roster.get(to).contact == contact {
            to += 1;
        }
        let mut declared = std::mem::take(&mut self.declared);
        match self.roster.needs_record() {
            false => declared.extend(from..to),
            true => self.choose(from..to, recorded, &mut declared),
        }
        self.merge(&declared, recorded);
        declared.clear();
        self.declared = declared;
        to
    }

    /// Chooses of a contact's enrolments those that are declared, at most one for an automation and occurrence: those by which it
    /// comes in, and where it is in already, those by which it stays.
    fn choose(
        &mut self,
        of: std::ops::Range<usize>,
        recorded: &[Participation],
        to: &mut Vec<usize>,
    ) {
        let mut next = of.start;
        while next < of.end {
            let (start, first) = (next, self.roster.get(next));
            let key = (first.automation, first.occurrence);
            next += 1;
            while next < of.end
                && let other = self.roster.get(next)
                && (other.automation, other.occurrence) == key
            {
                next += 1;
            }
            match self.is_in(first, recorded) {
                // Where it was triggered with the fields of one of them, it has not changed.
                Some(recorded) => {
                    let mut all = start..next;
                    let same = |place: &usize| self.roster.get(*place).fields == recorded.fields;
                    to.push(all.find(same).unwrap_or(start));
                }
                None if first.class == Class::Stays => {}
                None => to.push(start),
            }
        }
        self.draw(recorded, to);
        self.exclude(to);
        let mut chosen = to.iter().copied().peekable();
        for place in of {
            let is_chosen = chosen.next_if_eq(&place).is_some();
            if is_chosen != (self.roster.get(place).class == Class::ComesIn) {
                // A roster refuses to grow beyond what a u32 counts.
                self.plan.by_record.push(place as u32);
            }
        }
    }

    /// Takes out again who is not in and is left out by lot. Who is in an automation under a lot comes into no other part of that
    /// name, and is not asked again for other occurrences.
    fn draw(&mut self, recorded: &[Participation], chosen: &mut Vec<usize>) {
        let mut holding = std::mem::take(&mut self.holding);
        if !self.lots.is_empty() {
            holding.extend(recorded.iter().filter_map(|of| {
                let automation = *self.by_name.get(of.key.automation.as_str())?;
                let stays = || {
                    let mut chosen = chosen.iter().map(|place| self.roster.get(*place));
                    let leaves_later = self.config.automations[automation].leave_after.is_some();
                    leaves_later || chosen.any(|enrolment| self.is_same(enrolment, &of.key))
                };
                let is_held = of.is_in() && !self.lots[automation].is_empty() && stays();
                is_held.then_some(automation)
            }));
        }
        chosen.retain(|place| {
            let enrolment = self.roster.get(*place);
            let lot = self.config.enrols[enrolment.block].lot.as_ref();
            let Some(lot) = lot.filter(|_| self.is_in(enrolment, recorded).is_none()) else {
                return true;
            };
            let is_other = |of: &usize| {
                let mut parts = self.lots[*of]
                    .iter()
                    .filter(|of| of.name == lot.name)
                    .peekable();
                parts.peek().is_some() && parts.all(|of| of.part != lot.part)
            };
            holding.contains(&enrolment.automation)
                || (enrolment.class != Class::LeftOut && !holding.iter().any(is_other))
        });
        holding.clear();
        self.holding = holding;
    }

    /// Leaves a contact in the first automation of each `[[exclusive]]` that declares it.
    fn exclude(&mut self, chosen: &mut Vec<usize>) {
        for (exclusive, place) in self.config.exclusives.iter().zip(0..) {
            let of = |place: usize| self.roster.get(place).automation;
            let Some(first) = exclusive.first(|of_it| chosen.iter().any(|at| of(*at) == of_it))
            else {
                continue;
            };
            chosen.retain(|at| {
                let stays = of(*at) == first || !exclusive.automations.contains(&of(*at));
                if !stays {
                    self.plan.displaced.push(Displaced {
                        enrolment: *at as u32,
                        by: first as u32,
                        exclusive: place,
                    });
                }
                stays
            });
        }
    }

    /// What is on record of an enrolment whose contact is in.
    fn is_in<'r>(
        &self,
        enrolment: Enrolment<'_>,
        recorded: &'r [Participation],
    ) -> Option<&'r Participation> {
        let place = recorded.binary_search_by(|of| self.order(enrolment, &of.key).reverse());
        let recorded = &recorded[place.ok()?];
        recorded.is_in().then_some(recorded)
    }

    /// Plans a suppressed contact, and those who are withheld and sort before: what may run is stopped, and what is declared
    /// is withheld.
    fn suppressed(&mut self, contact: &str, recorded: &[Participation]) {
        let mut declared = Vec::new();
        while let Some(enrolment) = self.withheld.next_if(|next| next.contact <= contact) {
            match enrolment.contact == contact {
                true => declared.push(enrolment),
                // Nothing is on record of it.
                false => self.withhold(enrolment, None),
            }
        }
        let mut on_record = vec![false; declared.len()];
        for participation in recorded {
            self.count(participation);
            let before = Some(participation.state);
            let same = |enrolment: &Enrolment<'_>| self.order(*enrolment, &participation.key);
            let place = declared.binary_search_by(same).ok();
            let enrolment = place.map(|place| {
                on_record[place] = true;
                declared[place]
            });
            match (decide::suppressed(enrolment.is_some(), before), enrolment) {
                (Decision::Stop(why), _) => self.stops.push(Pending {
                    participation: participation.clone(),
                    why,
                    trigger: None,
                }),
                (Decision::Withhold, Some(enrolment)) => self.withhold(enrolment, before),
                (Decision::Over(over), enrolment)
                    if !participation.is_suppressed()
                        && (enrolment.is_some() || participation.has_ended_declared()) =>
                {
                    self.turn(participation, Move::End(over));
                }
                _ => {}
            }
        }
        for (enrolment, _) in declared.into_iter().zip(on_record).filter(|(_, is)| !is) {
            self.withhold(enrolment, None);
        }
        self.stops(&[], recorded);
    }

    /// Merges one contact's enrolments and participations, both sorted by automation and occurrence.
    fn merge(&mut self, declared: &[usize], recorded: &[Participation]) {
        let first_action = self.plan.actions.len();
        let mut declared_after = declared;
        for participation in recorded {
            let key = &participation.key;
            self.count(participation);
            let mut is_declared = false;
            while let [next, after @ ..] = declared_after {
                let order = self.order(self.roster.get(*next), key);
                if order.is_gt() {
                    break;
                }
                is_declared = order.is_eq();
                self.declared(*next, is_declared.then_some(participation));
                declared_after = after;
                if is_declared {
                    break;
                }
            }
            if !is_declared {
                self.gone(participation);
            }
        }
        for index in declared_after {
            self.declared(*index, None);
        }
        self.stops(declared, recorded);
        self.count_reshaped(first_action..self.plan.actions.len(), recorded);
        self.count_released(first_action, recorded);
        // Stops come first, and are sorted by automation and occurrence already; so are enrolments in the roster.
        self.plan.actions[first_action..].sort_by_key(|action| match action {
            Action::Stop(_) => None,
            Action::Trigger(trigger) => Some(trigger.enrolment),
        });
    }

    fn name(&self, enrolment: Enrolment<'_>) -> &str {
        self.config.automations[enrolment.automation].name.as_str()
    }

    /// Which of an enrolment and a participation of the same contact comes first.
    fn order(&self, enrolment: Enrolment<'_>, key: &Key) -> Ordering {
        let occurrence = || key.occurrence.as_ref().map(|o| o.as_str());
        self.name(enrolment)
            .cmp(key.automation.as_str())
            .then_with(|| enrolment.occurrence.cmp(&occurrence()))
    }

    fn is_same(&self, enrolment: Enrolment<'_>, key: &Key) -> bool {
        self.order(enrolment, key).is_eq()
    }

    /// What is counted of an automation.
    fn figures(&mut self, name: &AutomationName) -> &mut Figures {
        self.figures.entry_ref(name).or_default()
    }

    /// Whether it was stopped or let go within the guard's day, or began to leave.
    fn went(&self, participation: &Participation) -> bool {
        participation.gone_at.is_some_and(|at| at > self.since)
    }

    /// Whether it belongs to the part of the plan that is wanted.
    fn is_wanted(&self, key: &Key) -> bool {
        self.filter
            .lets_through(key.contact.as_str(), key.automation.as_str())
    }

    /// Counts that something on record is triggered again, for the guard.
    fn count_again(&mut self, recorded: &Participation, why: &WhyTrigger) {
        if !self.is_wanted(&recorded.key) {
            return;
        }
        let went = self.went(recorded);
        let was_triggered = recorded.triggered_at.is_some_and(|at| at > self.since);
        let figures = self.figures(&recorded.key.automation);
        match why {
            WhyTrigger::Returned | WhyTrigger::ReturnedAfterLetGo if went => figures.returning += 1,
            // The trigger before it is in doubt; the two are counted once.
            WhyTrigger::Harmless if was_triggered => {
                figures.triggered = figures.triggered.saturating_sub(1);
            }
            _ => {}
        }
    }

    /// Counts what is on record of a participation, for the guard.
    fn count(&mut self, participation: &Participation) {
        let state = participation.state;
        let runs = state.is_running();
        let was_triggered = (runs || state.is_over())
            && participation.triggered_at.is_some_and(|at| at > self.since);
        let went = self.went(participation);
        let contact = participation.key.contact.as_str();
        let is_suppressed = went && self.config.suppression(contact).is_some();
        let figures = self.figures(&participation.key.automation);
        figures.running += u64::from(state.needs_an_end());
        figures.triggered += u64::from(was_triggered);
        figures.gone += u64::from(went);
        figures.gone_suppressed += u64::from(is_suppressed);
        figures.over += u64::from(went && !state.needs_an_end());
    }

    /// Counts who runs without an occurrence, or with one, in an automation that has got a `repeat_by`, or lost it, and is
    /// triggered in it as somebody who is not there.
    fn count_reshaped(&mut self, actions: std::ops::Range<usize>, recorded: &[Participation]) {
        let new_in: HashSet<usize> = self.plan.actions[actions]
            .iter()
            .filter_map(|action| match action {
                Action::Trigger(trigger) if trigger.before.is_none_or(State::is_over) => {
                    Some(self.roster.get(trigger.enrolment as usize).automation)
                }
                _ => None,
            })
            .collect();
        if new_in.is_empty() {
            return;
        }
        let mut found = Vec::new();
        for of_automation in recorded.chunk_by(|a, b| a.key.automation == b.key.automation) {
            let name = &of_automation[0].key.automation;
            let Some(index) = self.by_name.get(name.as_str()) else {
                continue;
            };
            let repeats = self.config.automations[*index].repeat_by.is_some();
            let running = of_automation.iter();
            let running = running.filter(|of| of.state.is_running() || of.has_ended_declared());
            let (meant, reshaped): (Vec<_>, Vec<_>) =
                running.partition(|of| of.key.occurrence.is_some() == repeats);
            // Where one of the new kind runs, that was meant, and the old one only waits to leave.
            if meant.is_empty() && new_in.contains(index) {
                found.extend(reshaped.iter().map(|of| of.key.automation.clone()));
            }
        }
        for automation in found {
            *self.plan.reshaped.entry(automation).or_insert(0) += 1;
        }
    }

    /// Counts a contact who is released from suppression, in whatever automation: by this plan, or within the guard's day. What
    /// a contact was withheld from stays on record; one who runs since before that day was released then.
    fn count_released(&mut self, first_action: usize, recorded: &[Participation]) {
        let was_released = |of: &Participation| of.released_at.is_some_and(|at| at > self.since);
        let mut released = recorded.iter().filter(|of| was_released(of));
        if let Some(of) = released.find(|of| !of.state.reached_nobody()) {
            let released = (of.key.contact.clone(), true);
            self.plan.released.push(released);
            return;
        }
        let mut suppressed = recorded.iter();
        let Some(suppressed) = suppressed.find(|of| of.is_suppressed() || was_released(of)) else {
            return;
        };
        let runs = |of: &&Participation| {
            matches!(
                of.state,
                State::Active | State::Triggering | State::Uncertain | State::Refused
            )
        };
        let is_of_day = |of: &Participation| of.triggered_at.is_some_and(|at| at > self.since);
        let mut running = recorded.iter().filter(runs).peekable();
        let runs = running.peek().is_some();
        let actions = &self.plan.actions[first_action..];
        let is_triggered = actions
            .iter()
            .any(|action| matches!(action, Action::Trigger(_)));
        if running.all(is_of_day) && (runs || is_triggered) {
            let released = (suppressed.key.contact.clone(), runs);
            self.plan.released.push(released);
        }
    }

    fn declared(&mut self, index: usize, recorded: Option<&Participation>) {
        let enrolment = self.roster.get(index);
        let automation = &self.config.automations[enrolment.automation];
        let declared = Declared {
            trigger_code: &automation.trigger_code,
            fields: enrolment.fields,
            on_change: automation.on_change,
            second_trigger_is_harmless: automation.participation.makes_second_trigger_harmless(),
            cooldown: automation.cooldown,
            ends: automation.runs_for.is_some(),
            again_after: automation.again_after,
            now: self.now,
        };
        if let Some(recorded) = recorded
            && recorded.left_at.is_some()
            && recorded.state != State::Ended
        {
            self.plan.marks.push(Mark {
                key: recorded.key.clone(),
                left_at: None,
            });
        }
        match decide::declared(declared, recorded) {
            Decision::Unchanged => {
                let name = automation.name.as_str();
                if self.filter.lets_through(enrolment.contact, name) {
                    self.plan.unchanged += 1;
                }
            }
            Decision::Trigger(why) => {
                if let Some(recorded) = recorded {
                    self.count_again(recorded, &why);
                }
                self.trigger(index, recorded, why);
            }
            Decision::Hold(why) => {
                if let Some(recorded) = recorded {
                    let state = match why {
                        decide::WhyHeld::Cooling { .. } | decide::WhyHeld::ChangeCooling { .. } => {
                            "cooling"
                        }
                        _ => recorded.state.as_str(),
                    };
                    self.hold(recorded, state, reason::held(why, recorded));
                }
            }
            Decision::StopThenTrigger(why) => {
                if let Some(recorded) = recorded {
                    self.stops.push(Pending {
                        participation: recorded.clone(),
                        why: WhyStop::Renewed(why),
                        trigger: Some(index),
                    });
                }
            }
            Decision::StopThenHold(why) => {
                if let Some(recorded) = recorded {
                    self.stops.push(Pending {
                        participation: recorded.clone(),
                        why: WhyStop::Renewed(WhyRenewed::Returned),
                        trigger: None,
                    });
                    self.hold(recorded, "cooling", reason::held(why, recorded));
                }
            }
            Decision::GoOn { in_doubt } => {
                if let Some(recorded) = recorded {
                    // It did not go after all, for the guard.
                    self.plan.marks.push(Mark {
                        key: recorded.key.clone(),
                        left_at: None,
                    });
                    match in_doubt {
                        true => {
                            self.turn(recorded, Move::DoubtAgain);
                            let why = decide::WhyHeld::Uncertain;
                            let state = State::Uncertain.as_str();
                            self.hold(recorded, state, reason::held(why, recorded));
                        }
                        false => {
                            self.turn(recorded, Move::GoOn);
                            self.plan.unchanged += u64::from(self.is_wanted(&recorded.key));
                        }
                    }
                }
            }
            // These are decisions about what is not declared, or suppressed.
            Decision::Stop(_)
            | Decision::LetGo
            | Decision::Leaving { .. }
            | Decision::Withhold
            | Decision::Over(_)
            | Decision::Nothing => {}
        }
    }

    fn trigger(&mut self, index: usize, recorded: Option<&Participation>, why: WhyTrigger) {
        let detail = match why {
            WhyTrigger::TryAgain | WhyTrigger::FieldsChanged | WhyTrigger::CodeChanged => {
                recorded.and_then(|r| r.detail.as_deref()).map(Box::from)
            }
            _ => None,
        };
        let automation = &self.config.automations[self.roster.get(index).automation];
        let has_ramp = automation.max_per_run.is_some() || automation.max_per_day.is_some();
        let was_tried = matches!(
            why,
            WhyTrigger::TryAgain
                | WhyTrigger::FieldsChanged
                | WhyTrigger::CodeChanged
                | WhyTrigger::Harmless
        );
        if has_ramp
            && was_tried
            && let Some(at) = recorded.and_then(|recorded| recorded.triggered_at)
        {
            self.plan.tried.push((index as u32, at));
        }
        self.plan.actions.push(Action::Trigger(Trigger {
            // A roster refuses to grow beyond what a u32 counts.
            enrolment: index as u32,
            before: recorded.map(|r| r.state),
            why,
            detail,
        }));
    }

    fn gone(&mut self, recorded: &Participation) {
        let key = &recorded.key;
        // What is not asked for is gone all the same.
        let runs = recorded.state.needs_an_end() || recorded.has_ended_declared();
        if runs || self.went(recorded) {
            self.plan.gone.add(recorded, runs);
        }
        let automation = self.by_name.get(key.automation.as_str()).copied();
        let of = automation.map(|index| &self.config.automations[index]);
        let leave = Leave {
            keep: of.is_some_and(|automation| automation.on_leave == OnLeave::Keep),
            after: of.and_then(|automation| automation.leave_after),
            now: self.now,
        };
        match decide::gone(recorded, leave) {
            Decision::Stop(why) => self.stops.push(Pending {
                participation: recorded.clone(),
                why,
                trigger: None,
            }),
            Decision::LetGo => self.let_go(recorded),
            Decision::Over(over) => self.turn(recorded, Move::End(over)),
            Decision::Leaving { since, until } => {
                if recorded.left_at.is_none() && !self.went(recorded) && self.is_wanted(key) {
                    self.figures(&key.automation).leaving += 1;
                }
                if recorded.left_at != Some(since) {
                    self.plan.marks.push(Mark {
                        key: recorded.key.clone(),
                        left_at: Some(since),
                    });
                }
                self.hold(recorded, LEAVING, reason::leaving(since, until, leave.keep));
            }
            _ => {}
        }
    }

    /// Decides which calls the contact's stops take.
    ///
    /// The call that stops all goes by trigger code, so it is right only where nothing else of the contact runs, or may
    /// run, behind the same code that is not stopped with it. Where another one only comes behind that code in this run,
    /// what has an id is stopped by it; what has none is stopped by the call for all, and the other one is triggered once
    /// that is certain.
    fn stops(&mut self, declared: &[usize], recorded: &[Participation]) {
        let pending = std::mem::take(&mut self.stops);
        if pending.is_empty() {
            return;
        }
        let Self {
            config,
            roster,
            filter,
            ..
        } = *self;
        // All are of one contact, and sorted by automation and occurrence.
        let stays_running = |of: &Participation| {
            let is_of_part =
                filter.lets_through(of.key.contact.as_str(), of.key.automation.as_str());
            let is_stopped = is_of_part
                && pending
                    .binary_search_by(|stop| stop.participation.key.cmp(&of.key))
                    .is_ok();
            of.state.may_run_at_spotler() && !is_stopped
        };
        let code_of =
            |enrolment: Enrolment<'_>| &config.automations[enrolment.automation].trigger_code;
        let staying = recorded.iter().filter(|of| stays_running(of));
        let staying: Behind<'_> = staying.map(|of| &of.trigger_code).collect();
        let coming = declared.iter().map(|index| code_of(roster.get(*index)));
        let coming: Behind<'_> = coming.collect();
        let mut declared = declared.iter().map(|index| roster.get(*index)).peekable();
        for stop in &pending {
            let this = &stop.participation;
            let code = &this.trigger_code;
            // Of a suppressed contact nothing stays, whatever part of it is planned here.
            let stays =
                stop.why != WhyStop::Suppressed && staying.has_other(code, stays_running(this));
            while declared
                .next_if(|next| self.order(*next, &this.key).is_lt())
                .is_some()
            {}
            let is_declared_behind_it = declared
                .peek()
                .is_some_and(|next| self.is_same(*next, &this.key) && code_of(*next) == code);
            let comes = coming.has_other(code, is_declared_behind_it);
            let scope = match this.can_be_stopped_alone() {
                true if stays || comes => StopScope::One,
                false if stays => {
                    self.hold(this, this.state.as_str(), reason::cannot_stop_alone());
                    continue;
                }
                _ => StopScope::All,
            };
            self.plan.actions.push(Action::Stop(Box::new(Stop {
                participation: this.clone(),
                why: stop.why,
                scope,
                reason: Arc::default(),
                instead: this
                    .triggered_as
                    .is_some()
                    .then(|| this.key.contact.clone()),
            })));
            if let (Some(index), WhyStop::Renewed(why)) = (stop.trigger, stop.why) {
                self.trigger(index, Some(this), WhyTrigger::AfterStop(why));
            }
        }
    }

    fn withhold(&mut self, enrolment: Enrolment<'_>, before: Before) {
        let automation = &self.config.automations[enrolment.automation];
        // Both were checked when they were read.
        let Ok(contact) = ContactId::new(enrolment.contact) else {
            return;
        };
        let Ok(occurrence) = enrolment.occurrence.map(Occurrence::new).transpose() else {
            return;
        };
        let suppression = self.config.suppression(enrolment.contact);
        self.plan.withheld.push(Withheld {
            key: Key {
                contact,
                automation: automation.name.clone(),
                occurrence,
            },
            before,
            trigger_code: automation.trigger_code.clone(),
            reason: suppression.map_or_else(String::new, ToString::to_string),
        });
    }

    fn let_go(&mut self, recorded: &Participation) {
        self.plan.let_go.push(LetGo {
            participation: recorded.clone(),
            reason: Arc::default(),
        });
    }

    fn hold(&mut self, recorded: &Participation, state: &'static str, reason: String) {
        self.plan.held.push(Held::of(recorded, state, reason));
    }
}
