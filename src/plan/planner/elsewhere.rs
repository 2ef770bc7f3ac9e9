//! What is on record of a person under another id than the one that is kept, and may run there: what is stopped.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::Planner;
use crate::failpoint::{Planted, is_planted};
use crate::id::{ContactId, TriggerCode};
use crate::participation::{Key, Move, Participation, State};
use crate::plan::decide::{WhyHeld, WhyRenewed, WhyStop};
use crate::plan::{Action, Held, Mark, Stop, StopScope, reason};
use crate::roster::{Roster, Suppressions};

/// How that goes on which a person is in under another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    /// As whatever is not declared.
    Undeclared,
    /// As what is declared.
    Declared,
    /// Not at all, since the person is in it under the id that is kept.
    Displaced,
}

/// Runs that go on.
#[derive(Default)]
struct GoingOn<'p> {
    /// By which id and code Spotler knows them.
    called: HashSet<(&'p ContactId, &'p TriggerCode)>,
    /// Behind which codes there are any.
    behind: HashSet<&'p TriggerCode>,
}

fn called(of: &Participation) -> (&ContactId, &TriggerCode) {
    (of.sent_to(), &of.trigger_code)
}

/// Puts stops in their places among actions, which are sorted by contact: they were planned together with what is on record of
/// their person, under another id.
pub(super) fn put_in(actions: &mut Vec<Action>, mut stops: Vec<Action>, roster: &Roster<'_>) {
    fn contact<'p>(action: &'p Action, roster: &'p Roster<'_>) -> &'p str {
        match action {
            Action::Stop(stop) => stop.participation.key.contact.as_str(),
            Action::Trigger(trigger) => roster.get(trigger.enrolment as usize).contact,
        }
    }
    stops.sort_by(|a, b| contact(a, roster).cmp(contact(b, roster)));
    let mut all = Vec::with_capacity(actions.len() + stops.len());
    let mut stops = stops.into_iter().peekable();
    for action in std::mem::take(actions) {
        let of = contact(&action, roster);
        while let Some(stop) = stops.next_if(|stop| contact(stop, roster) < of) {
            all.push(stop);
        }
        all.push(action);
    }
    all.extend(stops);
    *actions = all;
}

impl Planner<'_> {
    /// Finds what the contact is in, or was until it ended, under another id while nothing runs for certain under its own one; and
    /// the stops in doubt there, where it has ended under its own one. The group is sorted by automation and occurrence.
    pub(super) fn find_elsewhere(&mut self, twice: &[Participation], group: &[Participation]) {
        let counts = |of: &&Participation| of.state.needs_an_end() || of.state == State::Ended;
        let mut found: Vec<&Participation> = twice.iter().filter(counts).collect();
        found.sort_by(|a, b| a.key.run().cmp(&b.key.run()));
        for same in found.chunk_by(|a, b| a.key.is_same_run(&b.key)) {
            let own = group.binary_search_by(|own| own.key.run().cmp(&same[0].key.run()));
            let own = own.ok().map(|own| group[own].state);
            if own.is_some_and(State::runs_for_certain) {
                continue;
            }
            // Beside what runs for certain, nothing else of them goes on.
            let certain = same.iter().position(|of| of.state.runs_for_certain());
            let same = certain.map_or(same, |at| &same[at..=at]).iter();
            let same = same
                .filter(|of| own == Some(State::Ended) || !of.state.is_doubtful_stop())
                .map(|of| ((*of).clone(), Goes::Undeclared));
            self.elsewhere.extend(same);
        }
    }

    /// Stops what may run under an id that is not kept beside what runs under the one that is. By its own id where it has one, since
    /// Spotler may know both by one contact; the call that stops all goes to the id that it was triggered under alone where anything
    /// else goes on. Notes what the time does there, and what has ended and is over.
    pub(super) fn stop_twice(
        &mut self,
        (contact, suppressions): (&ContactId, Option<Suppressions<'_>>),
        twice: &[Participation],
        timed: Vec<Option<(State, Move)>>,
        group: &[Participation],
        first_action: usize,
    ) {
        if twice.is_empty() || is_planted(Planted::TwiceNotStopped) {
            return;
        }
        let mut stops = Vec::new();
        let mut timed = timed.into_iter();
        for of in twice {
            self.passed = timed.next().flatten();
            let is_suppressed = self.is_suppressed(suppressions, &of.key);
            self.count(of, is_suppressed);
            let why = self.why_stopped_twice(of, is_suppressed);
            self.pass(of, None);
            stops.extend(why.map(|why| (of, why)));
        }
        let all = group.iter().chain(twice);
        let [goes_on, may_stay] = self.going_on(contact, all, &stops, first_action);
        for (of, why) in stops {
            let is_suppressed = why == WhyStop::Suppressed;
            let is_hit = |is_hit: fn(&GoingOn<'_>, &Participation) -> bool| {
                is_hit(&goes_on, of) || is_suppressed && is_hit(&may_stay, of)
            };
            let (scope, ids) = match of.can_be_stopped_alone() {
                true => (StopScope::One, self.merging.ids(contact)),
                false if is_hit(|on, of| on.called.contains(&called(of))) => {
                    let state = of.state.as_str();
                    self.hold(of, state, reason::cannot_stop_alone(is_suppressed));
                    continue;
                }
                // Spotler may have made one contact of another id and that under which it goes on.
                false if is_hit(|on, of| on.behind.contains(&of.trigger_code)) => {
                    (StopScope::All, Arc::default())
                }
                false => (StopScope::All, self.merging.ids(contact)),
            };
            self.twice.push(Action::Stop(Box::new(Stop {
                why,
                scope,
                reason: match why {
                    WhyStop::Merged => {
                        Arc::from(format!("merged with {contact}, who is in it too"))
                    }
                    _ => Arc::default(),
                },
                ids,
                suppressed_by: is_suppressed.then(|| self.by(contact.as_str(), &of.key)),
                not_alone: None,
                participation: of.clone(),
            })));
        }
    }

    /// Why something under an id that is not kept is stopped, if it is.
    fn why_stopped_twice(&mut self, of: &Participation, is_suppressed: bool) -> Option<WhyStop> {
        let same = &self.elsewhere[self.places_elsewhere(&of.key)];
        let elsewhere = same.iter().find(|(it, _)| it.key == of.key);
        // All of them are declared, or none.
        let is_gone = same.iter().any(|(_, goes)| *goes == Goes::Undeclared);
        match elsewhere.map(|(_, goes)| *goes) {
            _ if of.has_ended_declared() => {
                match is_suppressed {
                    true => self.suppressed(of, None),
                    false if is_gone => self.gone(of),
                    false => {}
                }
                None
            }
            _ if !of.state.may_run_at_spotler() => None,
            _ if is_suppressed => Some(WhyStop::Suppressed),
            _ if of.state == State::LetGo => None,
            Some(Goes::Declared) if of.state.is_doubtful_stop() => {
                (!self.freeze(of)).then_some(WhyStop::Renewed(WhyRenewed::Returned))
            }
            Some(Goes::Declared) => None,
            // It is not in it under the id that it keeps, so that this one goes as any other.
            Some(Goes::Undeclared) => {
                self.gone(of);
                self.stops.pop().map(|stop| stop.why)
            }
            _ if self.freeze(of) => None,
            _ => Some(WhyStop::Merged),
        }
    }

    /// What goes on of a contact whatever is stopped, or comes; and what goes on where the stops of who is suppressed are sent
    /// without the others.
    fn going_on<'p>(
        &self,
        contact: &ContactId,
        all: impl Iterator<Item = &'p Participation>,
        stops: &[(&Participation, WhyStop)],
        first_action: usize,
    ) -> [GoingOn<'p>; 2]
    where
        Self: 'p,
    {
        let [mut goes_on, mut may_stay] = [GoingOn::default(), GoingOn::default()];
        let twice_stopped = stops.iter().map(|(of, why)| (&of.key, *why));
        let mut stopped: HashMap<&Key, WhyStop> = twice_stopped.collect();
        for action in &self.plan.actions[first_action..] {
            match action {
                Action::Stop(stop) => _ = stopped.insert(&stop.participation.key, stop.why),
                Action::Trigger(trigger) => {
                    let enrolment = self.roster.get(trigger.enrolment as usize);
                    let automation = &self.config.automations[enrolment.automation];
                    goes_on.behind.insert(&automation.trigger_code);
                }
            }
        }
        for of in all.filter(|of| of.state.may_run_at_spotler()) {
            let automation = of.key.automation.as_str();
            let is_of_part = self.filter.lets_through(contact.as_str(), automation);
            let on = match stopped.get(&of.key) {
                Some(WhyStop::Suppressed) => continue,
                Some(_) if is_of_part => &mut may_stay,
                _ => &mut goes_on,
            };
            on.called.insert(called(of));
            on.behind.insert(&of.trigger_code);
        }
        [goes_on, may_stay]
    }

    /// The places of what the contact under way is in under other ids while nothing runs for certain under its own one.
    pub(super) fn places_elsewhere(&self, key: &Key) -> Range<usize> {
        // Few have two ids.
        if self.elsewhere.is_empty() {
            return 0..0;
        }
        let first = self
            .elsewhere
            .partition_point(|(of, _)| of.key.run() < key.run());
        let same = self.elsewhere[first..].iter();
        let same = same.take_while(|(of, _)| of.key.is_same_run(key));
        first..first + same.count()
    }

    /// Whether anything of the contact under way is to be stopped under another id, beside what runs under its own one.
    pub(super) fn runs_beside(&self, key: &Key) -> bool {
        let first = self.beside.partition_point(|of| of.key.run() < key.run());
        let same = self.beside[first..].iter();
        let mut same = same.take_while(|of| of.key.is_same_run(key));
        same.any(|of| of.state.needs_an_end())
    }

    /// The ids under which anything of the contact under way goes on, and its code.
    pub(super) fn stays_under(&self) -> HashSet<(ContactId, TriggerCode)> {
        let elsewhere = self.elsewhere.iter();
        let elsewhere = elsewhere.filter(|(of, goes)| *goes == Goes::Declared && of.state.is_in());
        let let_go = self.beside.iter().filter(|of| of.state == State::LetGo);
        let stays = elsewhere.map(|(of, _)| of).chain(let_go);
        stays
            .map(|of| (of.sent_to().clone(), of.trigger_code.clone()))
            .collect()
    }

    /// Takes for declared what goes on under other ids. Whether anything of it is held.
    pub(super) fn stays_elsewhere(&mut self, recorded: &Participation) -> bool {
        let before = self.plan.held.len();
        let same = self.places_elsewhere(&recorded.key);
        for (of, goes) in &mut self.elsewhere[same] {
            *goes = Goes::Declared;
            // Of what has ended, that is the time of the clock that said so.
            if of.left_at.is_some() && of.state != State::Ended {
                self.plan.marks.push(Mark {
                    key: of.key.clone(),
                    left_at: None,
                });
            }
            let why = match of.state {
                State::Refused => WhyHeld::Refused,
                state if state.is_doubtful_trigger() => WhyHeld::Uncertain,
                _ => continue,
            };
            let held = Held::of(of, of.state.as_str(), reason::held(why, of));
            self.plan.held.push(held);
        }
        self.plan.held.len() > before
    }
}
