//! The walk along the roster and the record, contact by contact.

mod choice;
mod figures;

use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use jiff::Timestamp;

use super::behind::Behind;
use super::decide::{self, Decision, Declared, Leave, WhyRenewed, WhyStop, WhyTrigger};
use super::merges::{Merged, Merging};
use super::moves::Moves;
use super::reason;
use super::{
    Action, FROZEN, Figures, Filter, Held, LEAVING, LetGo, Mark, NotAlone, Plan, Stop, StopScope,
    Trigger, Turn, Withheld, suppressed_by,
};
use crate::config::{Config, Lot, OnLeave};
use crate::failpoint::{Planted, is_planted};
use crate::id::{AutomationName, ContactId, Occurrence};
use crate::participation::{GONE, Key, Move, Over, Participation, State, SuppressedBy};
use crate::roster::{Enrolment, Roster, Suppressions};

/// A stop, before it is known which call it takes.
struct Pending {
    participation: Participation,
    why: WhyStop,
    /// The enrolment of which a trigger follows, if any.
    trigger: Option<usize>,
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
    /// What is stopped under an id that is not kept.
    twice: Vec<Action>,
    /// What the contact under way is in under another id while nothing runs for certain under its own one, and whether that is
    /// declared: sorted by automation and occurrence. Empty in between.
    elsewhere: Vec<(Participation, bool)>,
    /// Where the plan's turns are that were noted of the contact under way because of the time, sorted by key.
    timed: Range<usize>,
    /// What is withheld and not planned yet.
    withheld: Peekable<Box<dyn Iterator<Item = Enrolment<'a>> + 'a>>,
    /// The stops of the contact under way, until it is known which calls they take.
    stops: Vec<Pending>,
    /// The enrolments of the contact under way; empty in between.
    declared: Vec<usize>,
    /// The lots of the blocks of each automation; empty where there are none at all.
    lots: Vec<Vec<&'a Lot>>,
    /// The automations that the contact under way, or the one before it, is in under a lot.
    holding: Vec<usize>,
    /// Whether runs of any automation end by time.
    ends: bool,
    /// Whether a freeze keeps stops back now.
    freezes_stops: bool,
    /// The blocks of suppressions, by what they are known by on record.
    blocks: HashMap<SuppressedBy, usize>,
    /// What the guard counts, by automation.
    figures: HashMap<AutomationName, Figures>,
    plan: Plan,
}

/// Walks along both; see [`Plan::build_merged`].
///
/// # Errors
/// The first error of `recorded`.
pub(super) fn plan<E>(
    config: &Config,
    roster: &Roster<'_>,
    recorded: impl IntoIterator<Item = Result<Participation, E>>,
    filter: &Filter,
    (now, since): (Timestamp, Timestamp),
    moves: Vec<(AutomationName, AutomationName)>,
    merged: Merged,
) -> Result<Plan, E> {
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
        twice: Vec::new(),
        elsewhere: Vec::new(),
        timed: 0..0,
        withheld: (Box::new(roster.withheld()) as Box<dyn Iterator<Item = _>>).peekable(),
        stops: Vec::new(),
        declared: Vec::new(),
        lots: choice::lots(config),
        holding: Vec::new(),
        ends: config.automations.iter().any(|of| of.runs_for.is_some()),
        freezes_stops: config.freezes_at(now).any(|freeze| freeze.all),
        blocks: (config.suppressions.iter().map(suppressed_by).zip(0..)).collect(),
        figures: HashMap::new(),
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
        planner.withheld.next();
        planner.withhold(next, None);
    }
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
    (plan.merged, plan.merges) = planner.merging.finish();
    if !planner.twice.is_empty() {
        put_in(&mut plan.actions, planner.twice, roster);
    }
    plan.gone.sort();
    plan.displaced.sort_unstable();
    // Those of suppressed contacts come when the next one with anything on record does.
    plan.withheld.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(plan)
}

/// Puts stops in their places among actions, which are sorted by contact: they were planned together with what is on record of
/// their person, under another id.
fn put_in(actions: &mut Vec<Action>, mut stops: Vec<Action>, roster: &Roster<'_>) {
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

impl<'a> Planner<'a> {
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
        let by_now = |of: &Participation| {
            let index = self.by_name.get(of.key.automation.as_str());
            let runs_for = index.and_then(|index| self.config.automations[*index].runs_for);
            of.state_at(runs_for, self.now)
        };
        let (mut twice, ended) = (self.merging).make(contact, &mut self.moves, group, by_now);
        group.sort_by(|a, b| a.key.run().cmp(&b.key.run()));
        self.end(&mut twice, |_| false);
        let first_turn = self.plan.turns.len();
        self.end(group, |of| ended.contains(&of.key));
        self.timed = first_turn..self.plan.turns.len();
        self.find_elsewhere(&twice, group);
        let first_action = self.plan.actions.len();
        if next < self.roster.len() && order.is_eq() {
            next = self.contact(next, group);
        } else {
            self.note_lots(group, &[]);
            self.merge(&[], group);
        }
        self.stop_twice(contact, &twice, group, first_action);
        self.elsewhere.clear();
        self.timed = 0..0;
        group.clear();
        next
    }

    /// Finds what the contact is in under another id while nothing runs for certain under its own one. The group is sorted by
    /// automation and occurrence.
    fn find_elsewhere(&mut self, twice: &[Participation], group: &[Participation]) {
        let mut found: Vec<&Participation> = twice.iter().filter(|of| of.state.is_in()).collect();
        found.sort_by(|a, b| a.key.run().cmp(&b.key.run()));
        for same in found.chunk_by(|a, b| a.key.is_same_run(&b.key)) {
            let own = group.binary_search_by(|own| own.key.run().cmp(&same[0].key.run()));
            if own.is_ok_and(|own| group[own].state.runs_for_certain()) {
                continue;
            }
            // Beside what runs for certain, nothing else of them goes on.
            let certain = same.iter().position(|of| of.state.runs_for_certain());
            let same = certain.map_or(same, |at| &same[at..=at]);
            let same = same.iter().map(|of| ((*of).clone(), false));
            self.elsewhere.extend(same);
        }
    }

    /// Stops what may run under an id that is not kept beside what runs under the one that is. By its own id where it has one, since
    /// Spotler may know both by one contact; the call that stops all goes to the id that it was triggered under alone.
    fn stop_twice(
        &mut self,
        contact: &ContactId,
        twice: &[Participation],
        group: &[Participation],
        first_action: usize,
    ) {
        if twice.is_empty() || is_planted(Planted::TwiceNotStopped) {
            return;
        }
        let suppressions = self.roster.suppressions(contact.as_str());
        let mut stops = Vec::new();
        for of in twice {
            let is_suppressed = self.is_suppressed(suppressions, &of.key);
            self.count(of, is_suppressed);
            let from = self.place_elsewhere(&of.key);
            let same = from.map_or(&[][..], |from| &self.elsewhere[from..]);
            let mut same = same
                .iter()
                .take_while(|(it, _)| it.key.is_same_run(&of.key));
            let elsewhere = same.find(|(it, _)| it.key == of.key);
            let why = match elsewhere.map(|(_, is_declared)| *is_declared) {
                _ if !of.state.may_run_at_spotler() => None,
                _ if is_suppressed => Some(WhyStop::Suppressed),
                _ if of.state == State::LetGo => None,
                Some(true) => None,
                // It is not in it under the id that it keeps, so that this one goes as any other.
                Some(false) => {
                    self.gone(of);
                    self.stops.pop().map(|stop| stop.why)
                }
                None if self.freeze(of) => None,
                None => Some(WhyStop::Merged),
            };
            stops.extend(why.map(|why| (of, why)));
        }
        let called = |of: &Participation| {
            let id = of.triggered_as.as_ref().unwrap_or(&of.key.contact);
            (id.clone(), of.trigger_code.clone())
        };
        // Stops of who is suppressed may be sent without the others.
        let (mut goes_on, mut may_stay) = (HashSet::new(), HashSet::new());
        {
            let planned = self.plan.actions[first_action..].iter();
            let planned = planned.filter_map(|action| match action {
                Action::Stop(stop) => Some((&stop.participation.key, stop.why)),
                Action::Trigger(_) => None,
            });
            let twice_stopped = stops.iter().map(|(of, why)| (&of.key, *why));
            let stopped: HashMap<&Key, WhyStop> = planned.chain(twice_stopped).collect();
            let running = group.iter().chain(twice);
            for of in running.filter(|of| of.state.may_run_at_spotler()) {
                let automation = of.key.automation.as_str();
                let is_of_part = self.filter.lets_through(contact.as_str(), automation);
                match stopped.get(&of.key) {
                    Some(WhyStop::Suppressed) => {}
                    Some(_) if is_of_part => _ = may_stay.insert(called(of)),
                    _ => _ = goes_on.insert(called(of)),
                }
            }
        }
        for (of, why) in stops {
            let is_suppressed = why == WhyStop::Suppressed;
            let id = called(of);
            let is_hit = goes_on.contains(&id) || is_suppressed && may_stay.contains(&id);
            let (scope, instead) = match of.can_be_stopped_alone() {
                true => (StopScope::One, Some(contact.clone())),
                false if is_hit => {
                    let state = of.state.as_str();
                    self.hold(of, state, reason::cannot_stop_alone(is_suppressed));
                    continue;
                }
                false => (StopScope::All, None),
            };
            self.twice.push(Action::Stop(Box::new(Stop {
                why,
                scope,
                reason: match why {
                    WhyStop::NotDeclared => Arc::default(),
                    _ => Arc::from(format!("merged with {contact}, who is in it too")),
                },
                instead,
                suppressed_by: is_suppressed.then(|| self.by(contact.as_str(), &of.key)),
                not_alone: None,
                participation: of.clone(),
            })));
        }
    }

    /// The place of what the contact under way is in under another id while nothing runs for certain under its own one.
    fn place_elsewhere(&self, key: &Key) -> Option<usize> {
        let is_before = |(of, _): &(Participation, bool)| of.key.run() < key.run();
        let place = self.elsewhere.partition_point(is_before);
        let found = self.elsewhere.get(place)?;
        found.0.key.is_same_run(key).then_some(place)
    }

    /// Takes for ended what ran for as long as its automation does, and for running what ended by a clock that was ahead.
    fn end(&mut self, group: &mut [Participation], has_ended: impl Fn(&Participation) -> bool) {
        if !self.ends {
            return;
        }
        for of in group {
            let is_ahead = of.state == State::Ended && of.left_at.is_some();
            if !is_ahead && !of.ends_by_time() {
                continue;
            }
            let index = self.by_name.get(of.key.automation.as_str());
            let runs_for = index.and_then(|index| self.config.automations[*index].runs_for);
            match of.state_at(runs_for, self.now) {
                _ if has_ended(of) && of.state != State::Ended => {}
                state if state == of.state => continue,
                State::Active => {
                    self.turn(of, Move::GoOn);
                    (of.state, of.detail, of.left_at) = (State::Active, None, None);
                    continue;
                }
                _ => {}
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
        let noted = &mut self.plan.turns[self.timed.clone()];
        match noted.binary_search_by(|turn| turn.key.cmp(&of.key)) {
            Ok(place) => noted[place].transition = transition,
            Err(_) => self.plan.turns.push(Turn {
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

    /// Merges one contact's enrolments and participations, both sorted by automation and occurrence.
    fn merge(&mut self, declared: &[usize], recorded: &[Participation]) {
        let first_action = self.plan.actions.len();
        let mut declared_after = declared;
        let contact = recorded.first().map(|first| &first.key.contact);
        let suppressions = contact.and_then(|of| self.roster.suppressions(of.as_str()));
        let mut withheld = match (contact, suppressions) {
            (Some(contact), Some(_)) => self.withheld_of(contact),
            _ => Vec::new(),
        };
        // Whom a lot leaves out is not withheld.
        withheld.retain(|enrolment| self.is_drawn(*enrolment));
        let mut withheld = withheld.drain(..).peekable();
        for participation in recorded {
            let key = &participation.key;
            let is_suppressed = self.is_suppressed(suppressions, key);
            self.count(participation, is_suppressed);
            if is_suppressed {
                // Both are sorted by automation and occurrence.
                while let Some(next) = withheld.next_if(|next| self.order(*next, key).is_lt()) {
                    self.withhold(next, None);
                }
                let enrolment = withheld.next_if(|next| self.is_same(*next, key));
                self.suppressed(participation, enrolment);
                continue;
            }
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
        for enrolment in withheld {
            self.withhold(enrolment, None);
        }
        self.stops(declared, recorded);
        self.count_reshaped(first_action..self.plan.actions.len(), recorded);
        self.count_released(first_action, recorded, suppressions);
        // Stops come first, and are sorted by automation and occurrence already; so are enrolments in the roster.
        self.plan.actions[first_action..].sort_by_key(|action| match action {
            Action::Stop(_) => None,
            Action::Trigger(trigger) => Some(trigger.enrolment),
        });
    }

    /// Whether a contact is suppressed in the automation of a participation.
    fn is_suppressed(&self, suppressions: Option<Suppressions<'_>>, key: &Key) -> bool {
        suppressions.is_some_and(|suppressions| {
            let automation = self.by_name.get(key.automation.as_str()).copied();
            suppressions.of(automation).is_some()
        })
    }

    /// By what a contact is suppressed in the automation of a participation.
    fn by(&self, contact: &str, key: &Key) -> SuppressedBy {
        let automation = self.by_name.get(key.automation.as_str()).copied();
        let suppression = self.roster.suppression(contact, automation);
        suppression.map(suppressed_by).unwrap_or_default()
    }

    /// Whether the list that a contact was not on is still required in its automation: who is suppressed there no longer has
    /// got onto it.
    fn is_required(&self, recorded: &Participation) -> bool {
        let by = recorded.suppressed_by().filter(|by| by.is_required);
        let block = by.and_then(|by| self.blocks.get(&by));
        block.is_some_and(|block| {
            let automation = self.by_name.get(recorded.key.automation.as_str());
            self.config.suppressions[*block].holds_in(automation.copied())
        })
    }

    /// Takes what is withheld of a contact. Those who sort before have nothing on record, and are withheld.
    fn withheld_of(&mut self, contact: &ContactId) -> Vec<Enrolment<'a>> {
        let mut of_it = Vec::new();
        while let Some(enrolment) = self
            .withheld
            .next_if(|next| next.contact <= contact.as_str())
        {
            match enrolment.contact == contact.as_str() {
                true => of_it.push(enrolment),
                false => self.withhold(enrolment, None),
            }
        }
        of_it
    }

    /// Plans a participation of whom is suppressed in its automation: what may run is stopped, and what is declared is
    /// withheld.
    fn suppressed(&mut self, participation: &Participation, enrolment: Option<Enrolment<'_>>) {
        let before = Some(participation.state);
        let by = self.by(participation.key.contact.as_str(), &participation.key);
        match (
            decide::suppressed(enrolment.is_some(), before, by),
            enrolment,
        ) {
            (Decision::Stop(why), _) => self.stops.push(Pending {
                participation: participation.clone(),
                why,
                trigger: None,
            }),
            (Decision::Withhold, Some(enrolment)) => {
                self.withhold(enrolment, Some(participation));
            }
            (Decision::Over(over), enrolment)
                if !participation.is_suppressed()
                    && (enrolment.is_some() || participation.has_ended_declared()) =>
            {
                self.turn(participation, Move::End(over));
            }
            _ => {}
        }
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

    /// Whether it belongs to the part of the plan that is wanted.
    fn is_wanted(&self, key: &Key) -> bool {
        self.filter
            .lets_through(key.contact.as_str(), key.automation.as_str())
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
        let decision = decide::declared(declared, recorded);
        // Active under either id is active: nothing is triggered beside what goes on under another one.
        if let Some(recorded) = recorded
            && self.place_elsewhere(&recorded.key).is_some()
        {
            match decision {
                // It is active under both, and the other one is stopped.
                Decision::GoOn { in_doubt: false } => {
                    let is_same = |of: &Participation| of.key.is_same_run(&recorded.key);
                    self.elsewhere.retain(|(of, _)| !is_same(of));
                }
                Decision::GoOn { in_doubt: true } => _ = self.stays_elsewhere(recorded),
                _ => {
                    let is_held = self.stays_elsewhere(recorded);
                    return self.stays_beside(recorded, is_held);
                }
            }
        }
        match decision {
            Decision::Unchanged => {
                let name = automation.name.as_str();
                if self.filter.lets_through(enrolment.contact, name) {
                    self.plan.unchanged += 1;
                }
            }
            Decision::Trigger(mut why) => {
                if let Some(recorded) = recorded {
                    self.count_again(recorded, &why);
                    if why == WhyTrigger::Released && self.is_required(recorded) {
                        why = WhyTrigger::Listed;
                    }
                    let was_required = || recorded.suppressed_by().is_some_and(|by| by.is_required);
                    let is_withheld = recorded.state == State::Withheld;
                    if why == WhyTrigger::Released && is_withheld && was_required() {
                        let unlisted = (recorded.key.clone(), recorded.trigger_code.clone());
                        self.plan.unlisted.push(unlisted);
                    }
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
            Decision::StopThenTrigger(WhyRenewed::Returned) | Decision::StopThenHold(_)
                if recorded.is_some_and(|recorded| self.freeze(recorded)) => {}
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

    /// Takes for declared what goes on under other ids. Whether anything of it is held.
    fn stays_elsewhere(&mut self, recorded: &Participation) -> bool {
        let before = self.plan.held.len();
        let is_same = |of: &Participation| of.key.is_same_run(&recorded.key);
        for (of, is_declared) in self.elsewhere.iter_mut().filter(|(of, _)| is_same(of)) {
            *is_declared = true;
            if of.left_at.is_some() {
                self.plan.marks.push(Mark {
                    key: of.key.clone(),
                    left_at: None,
                });
            }
            let why = match of.state {
                State::Refused => decide::WhyHeld::Refused,
                state if state.is_doubtful_trigger() => decide::WhyHeld::Uncertain,
                _ => continue,
            };
            let held = Held::of(of, of.state.as_str(), reason::held(why, of));
            self.plan.held.push(held);
        }
        self.plan.held.len() > before
    }

    /// Plans what is declared and does not run for certain, beside what goes on under other ids: a doubt of it stays, and where a
    /// stop of it is in doubt, it is stopped again.
    fn stays_beside(&mut self, recorded: &Participation, is_held: bool) {
        match recorded.state {
            state if state.is_doubtful_trigger() => {
                let why = reason::held(decide::WhyHeld::Uncertain, recorded);
                self.hold(recorded, State::Uncertain.as_str(), why);
            }
            state if state.is_doubtful_stop() => {
                if !self.freeze(recorded) {
                    self.stops.push(Pending {
                        participation: recorded.clone(),
                        why: WhyStop::Renewed(WhyRenewed::Returned),
                        trigger: None,
                    });
                }
            }
            _ => self.plan.unchanged += u64::from(!is_held && self.is_wanted(&recorded.key)),
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
        let decision = decide::gone(recorded, leave);
        let goes = matches!(
            decision,
            Decision::Stop(_) | Decision::LetGo | Decision::Leaving { .. }
        );
        if goes && self.freeze(recorded) {
            return;
        }
        match decision {
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
            let place = pending.binary_search_by(|stop| stop.participation.key.cmp(&of.key));
            // Where it is suppressed it does not stay, whatever part of it is planned here.
            let is_stopped =
                place.is_ok_and(|at| is_of_part || pending[at].why == WhyStop::Suppressed);
            of.state.may_run_at_spotler() && !is_stopped
        };
        let code_of =
            |enrolment: Enrolment<'_>| &config.automations[enrolment.automation].trigger_code;
        let staying = recorded.iter().filter(|of| stays_running(of));
        let staying: Behind<'_> = staying.map(|of| &of.trigger_code).collect();
        let coming = declared.iter().map(|index| code_of(roster.get(*index)));
        let coming: Behind<'_> = coming.collect();
        let others = pending.iter().filter(|of| of.why != WhyStop::Suppressed);
        let others: Behind<'_> = others.map(|of| &of.participation.trigger_code).collect();
        let mut declared = declared.iter().map(|index| roster.get(*index)).peekable();
        for stop in &pending {
            let this = &stop.participation;
            let code = &this.trigger_code;
            let stays = staying.has_other(code, stays_running(this));
            while declared
                .next_if(|next| self.order(*next, &this.key).is_lt())
                .is_some()
            {}
            let is_declared_behind_it = declared
                .peek()
                .is_some_and(|next| self.is_same(*next, &this.key) && code_of(*next) == code);
            let comes = coming.has_other(code, is_declared_behind_it);
            // Where the guard refuses, a stop of somebody suppressed is sent without the others.
            let may_stay = stop.why == WhyStop::Suppressed && others.has_other(code, false);
            let scope = match this.can_be_stopped_alone() {
                true if stays || comes || may_stay => StopScope::One,
                false if stays => {
                    let why = reason::cannot_stop_alone(stop.why == WhyStop::Suppressed);
                    self.hold(this, this.state.as_str(), why);
                    continue;
                }
                _ => StopScope::All,
            };
            let reaches_others = may_stay && scope == StopScope::All;
            self.plan.actions.push(Action::Stop(Box::new(Stop {
                participation: this.clone(),
                why: stop.why,
                scope,
                reason: Arc::default(),
                instead: this
                    .triggered_as
                    .is_some()
                    .then(|| this.key.contact.clone()),
                suppressed_by: (stop.why == WhyStop::Suppressed)
                    .then(|| self.by(this.key.contact.as_str(), &this.key)),
                not_alone: reaches_others.then_some(NotAlone::ReachesOthers),
            })));
            if let (Some(index), WhyStop::Renewed(why)) = (stop.trigger, stop.why) {
                self.trigger(index, Some(this), WhyTrigger::AfterStop(why));
            }
        }
    }

    fn withhold(&mut self, enrolment: Enrolment<'_>, recorded: Option<&Participation>) {
        let automation = &self.config.automations[enrolment.automation];
        // Both were checked when they were read.
        let Ok(contact) = ContactId::new(enrolment.contact) else {
            return;
        };
        let Ok(occurrence) = enrolment.occurrence.map(Occurrence::new).transpose() else {
            return;
        };
        let suppression = self
            .roster
            .suppression(enrolment.contact, Some(enrolment.automation));
        self.plan.withheld.push(Withheld {
            key: Key {
                contact,
                automation: automation.name.clone(),
                occurrence,
            },
            before: recorded.map(|recorded| recorded.state),
            trigger_code: automation.trigger_code.clone(),
            reason: suppression.map_or_else(String::new, ToString::to_string),
            by: suppression.map(suppressed_by).unwrap_or_default(),
            noted: recorded.and_then(Participation::suppressed_by),
        });
    }

    /// Holds what a freeze keeps from going; whether one does.
    fn freeze(&mut self, recorded: &Participation) -> bool {
        if !self.freezes_stops {
            return false;
        }
        let automation = self.by_name.get(recorded.key.automation.as_str());
        let config = self.config;
        let Some(frozen) = config.frozen(automation.copied(), true, self.now) else {
            return false;
        };
        self.hold(recorded, FROZEN, frozen.freeze.why(&config.zone));
        true
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
