//! Enrolments × participations → [`Plan`].
//!
//! Both sides come sorted by contact, so that a plan is a merge of two streams: neither the record nor a list of all
//! enrolments with their texts is ever held in memory a second time. Nothing here reads or writes anything.

mod behind;
mod decide;
mod defer;
mod ends;
mod freeze;
mod guard;
mod identity;
mod lists;
mod merges;
mod moves;
mod planner;
mod reason;
pub mod saved;
#[cfg(test)]
mod tests;
mod window;

pub use decide::{WhyRenewed, WhyStop, WhyTrigger};
pub use defer::{Deferred, Sent, WhyDeferred, day};
pub use ends::{Ended, HowEnded, not_whole};
pub use freeze::{FROZEN, Frozen};
pub use guard::{Breach, Guard, Whose};
pub use identity::{Changed, Found, Reapplied, SamePeople, applied_with};
pub use merges::Merged;

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::{Config, Suppression};
use crate::failpoint::{Planted, is_planted};
use crate::id::{AutomationName, ContactId, TriggerCode};
use crate::participation::{Before, Key, Move, Over, Participation, State, SuppressedBy};
use crate::record::Merges;
use crate::roster::{Class, Roster, goes_first};
use identity::Identities;

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
    /// Those on record as withheld for a list that was required and is so no longer: that is noted before they are triggered.
    pub unlisted: Vec<(Key, TriggerCode)>,
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
    /// How many participations take another id of the same person, by the id before and the one after.
    pub merged: BTreeMap<(ContactId, ContactId), u64>,
    /// What the record is to write of people who have two ids.
    pub merges: Merges,
    /// After which time the guard counts what was done.
    counted_since: Timestamp,
    /// Who is not declared, and runs, ran within the guard's day, or would be held if declared again.
    gone: Identities,
    /// Who is on record as withheld, or as stopped since suppressed, and is triggered by this plan or was within the guard's
    /// day: `true` for these. Sorted by contact.
    released: Vec<(ContactId, bool)>,
    /// Those whom a block released that has a limit of its own, as an index into [`Config::suppressions`]. Sorted by contact.
    released_by: Vec<(ContactId, usize)>,
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
    /// How many have ended while they were declared.
    pub ended: u64,
    /// How many of these are taken for gone or suppressed by this plan.
    pub ended_gone: u64,
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
    /// The ids of the person that the call may go to; the one that is kept is the last. See [`Self::instead`].
    pub ids: Arc<[ContactId]>,
    /// By what its contact is suppressed, where that is why.
    pub suppressed_by: Option<SuppressedBy>,
    /// Why it is not sent where the guard refuses the others, although its contact is suppressed.
    pub not_alone: Option<NotAlone>,
}

/// Why a stop of a suppressed contact is sent with all others or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAlone {
    /// The lists that suppress its contact have all run dry or were cut, so that it may be wrong.
    Doubtful,
    /// Its call also stops what the guard may keep.
    ReachesOthers,
}

impl Stop {
    /// The id that Spotler knows it by.
    pub fn sent_to(&self) -> &ContactId {
        match is_planted(Planted::StopToKeptId) {
            true => &self.participation.key.contact,
            false => self.participation.sent_to(),
        }
    }

    /// The ids that are tried one by one where Spotler does not know the one that was triggered: it may have made one contact of
    /// any two.
    pub fn instead(&self) -> impl Iterator<Item = &ContactId> {
        let sent_to = self.participation.sent_to();
        self.ids.iter().filter(move |id| *id != sent_to)
    }

    /// Whether the enrolment is gone, so that there is a reason to give.
    fn leaves(&self) -> bool {
        !matches!(self.why, WhyStop::Renewed(_) | WhyStop::Merged)
    }

    /// Whether it is one of a suppressed contact: these go first, and also where the guard refuses all others.
    pub fn is_of_suppressed(&self) -> bool {
        self.why == WhyStop::Suppressed && self.not_alone.is_none()
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
    /// By what it is suppressed.
    pub by: SuppressedBy,
    /// By what it is withheld on record.
    noted: Option<SuppressedBy>,
}

impl Withheld {
    /// Whether it is yet to be recorded.
    pub fn is_news(&self) -> bool {
        self.before != Some(State::Withheld)
    }

    /// Whether the record does not say so yet, or says that it is by something else.
    pub fn is_to_be_noted(&self) -> bool {
        self.is_news() || self.noted != Some(self.by)
    }
}

/// By what a block suppresses, as the record keeps it.
fn suppressed_by(block: &Suppression) -> SuppressedBy {
    SuppressedBy {
        is_required: block.is_required,
        block: block.identity,
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
    of: Turned,
    /// The state on record.
    pub before: State,
    /// What happens to it.
    pub transition: Move,
}

/// Which participation it is.
#[derive(Debug, Clone, PartialEq)]
enum Turned {
    /// That of an enrolment, by its place in the roster, as there may be millions of these.
    Enrolment(u32),
    /// Any other one, with its trigger code.
    Other(Box<(Key, TriggerCode)>),
}

impl Turn {
    /// Its contact, automation and occurrence.
    pub fn of<'t>(
        &'t self,
        config: &'t Config,
        roster: &'t Roster<'_>,
    ) -> (&'t str, &'t AutomationName, Option<&'t str>) {
        match &self.of {
            Turned::Enrolment(place) => {
                let of = roster.get(*place as usize);
                let automation = &config.automations[of.automation].name;
                (of.contact, automation, of.occurrence)
            }
            Turned::Other(other) => {
                let key = &other.0;
                let occurrence = key.occurrence.as_ref().map(|o| o.as_str());
                (key.contact.as_str(), &key.automation, occurrence)
            }
        }
    }

    /// The same as it is on record, with its trigger code; `None` where the roster has an id that is none, which it refuses.
    pub fn key(&self, config: &Config, roster: &Roster<'_>) -> Option<(Key, TriggerCode)> {
        match &self.of {
            Turned::Enrolment(place) => {
                let of = roster.get(*place as usize);
                let code = &config.automations[of.automation].trigger_code;
                Some((of.key(config).ok()?, code.clone()))
            }
            Turned::Other(other) => Some((**other).clone()),
        }
    }

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
            Move::End(Over::Suppressed(_)) => {
                "it ran for as long as `runs_for` says, and is suppressed"
            }
            _ if self.before == State::Ended => {
                "it runs still: its end was noted by a clock that was ahead"
            }
            _ => "it was let go, is declared again, and still runs",
        }
    }
}

/// Participations that are at hand, sorted by contact, as [`Plan::build`] takes them: each contact is a part.
pub fn parts(
    recorded: Vec<Participation>,
) -> impl Iterator<
    Item = Result<
        (
            ContactId,
            impl Iterator<Item = Result<Participation, Infallible>>,
        ),
        Infallible,
    >,
> {
    let mut recorded = recorded.into_iter().peekable();
    std::iter::from_fn(move || {
        let first = recorded.next()?;
        let from = first.key.contact.clone();
        let mut part = vec![Ok(first)];
        while let Some(of) = recorded.next_if(|of| of.key.contact == from) {
            part.push(Ok(of));
        }
        Some(Ok((from, part.into_iter())))
    })
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
    /// Merges the roster with the participations on record, which come in parts, each with the contact that it begins with: all are
    /// sorted by contact (bytewise), and nobody is in two. `since` is after which time the guard counts what was done, by the real
    /// clock; `moves` are the moves that are to be made, in steps; `merged` are the people who have two ids, whom the roster has
    /// under the one that they keep.
    ///
    /// The plan is of all, for what is deferred or refused depends on others too; [`Plan::narrow`] cuts the wanted part out
    /// of it. What is as declared is counted in that part alone, and a stop of it does not rely on what goes outside it.
    ///
    /// # Errors
    /// An error of `recorded`.
    pub fn build<I, R, E>(
        config: &Config,
        roster: &Roster<'_>,
        recorded: I,
        filter: &Filter,
        (now, since): (Timestamp, Timestamp),
        moves: Vec<(AutomationName, AutomationName)>,
        merged: Merged,
    ) -> Result<Self, E>
    where
        I: Iterator<Item = Result<(ContactId, R), E>> + Send,
        R: Iterator<Item = Result<Participation, E>> + Send,
        E: Send,
    {
        planner::plan(
            config,
            roster,
            recorded,
            filter,
            (now, since),
            moves,
            merged,
        )
    }

    /// Cuts a part out of a plan that was made for it.
    pub fn narrow(&mut self, filter: &Filter, config: &Config, roster: &Roster<'_>) {
        if filter.is_everything() {
            return;
        }
        let of_key = |key: &Key| {
            let contact = roster.people().kept(key.contact.as_str());
            filter.lets_through(contact, key.automation.as_str())
        };
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
        self.turns.retain(|turn| {
            let (contact, automation, _) = turn.of(config, roster);
            filter.lets_through(roster.people().kept(contact), automation.as_str())
        });
        self.unlisted.retain(|(key, _)| of_key(key));
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
            && self.merged.is_empty()
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
            || !self.merges.is_empty()
            || !self.unlisted.is_empty()
            || self.withheld.iter().any(Withheld::is_to_be_noted)
    }

    /// How many stops of suppressed contacts it holds.
    pub fn stops_of_suppressed(&self) -> u64 {
        let actions = self.actions.iter();
        actions.filter(|action| action.is_of_suppressed()).count() as u64
    }

    /// What the record is to write of the suppressed contacts of whom anything is stopped, and who have two ids.
    pub fn merges_of_suppressed(&self) -> Merges {
        let mut merges = self.merges.clone();
        if merges.is_empty() {
            return merges;
        }
        let stopped = self.actions.iter().filter_map(|action| match action {
            Action::Stop(stop) if stop.is_of_suppressed() => Some(&stop.participation.key.contact),
            _ => None,
        });
        let stopped: HashSet<&ContactId> = stopped.collect();
        merges.ids.retain(|(_, to)| stopped.contains(to));
        merges.rows.retain(|merge| stopped.contains(&merge.to));
        merges
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

    /// Whether it notes each end that another plan of the same roster and record notes.
    pub fn ends_the_same(&self, other: &Plan) -> bool {
        let mut turns = self.turns.iter();
        let mut ends = (other.turns.iter()).filter(|turn| matches!(turn.transition, Move::End(_)));
        ends.all(|wanted| {
            turns.any(|turn| (&turn.of, turn.transition) == (&wanted.of, wanted.transition))
        })
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
