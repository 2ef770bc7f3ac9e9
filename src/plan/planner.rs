//! The walk along the roster and the record, contact by contact.

mod choice;
mod elsewhere;
mod figures;
mod parts;
mod stops;
mod suppressed;

use std::cmp::Ordering;
use std::iter::Peekable;
use std::sync::Arc;

use hashbrown::HashMap;
use jiff::Timestamp;

use super::decide::{self, Decision, Declared, Leave, WhyRenewed, WhyStop, WhyTrigger};
use super::identity::Went;
use super::merges::{Ids, Merged, Merging};
use super::moves::Moves;
use super::reason;
use super::{
    Action, FROZEN, Figures, Filter, Held, LEAVING, LetGo, Mark, Plan, Trigger, Turn, Turned,
    suppressed_by,
};
use crate::config::{Automation, Config, Lot, OnLeave};
use crate::id::{AutomationName, ContactId};
use crate::participation::{GONE, Key, Move, Over, Participation, State, SuppressedBy};
use crate::roster::{Enrolment, Roster, Suppressions};
use choice::Candidate;
use elsewhere::Goes;
use parts::{Part, Whole};

/// A stop, before it is known which call it takes.
struct Pending {
    participation: Participation,
    why: WhyStop,
    /// The enrolment of which a trigger follows, if any.
    trigger: Option<u32>,
}

/// What all parts of a plan are made from.
struct Given<'a> {
    config: &'a Config,
    by_name: HashMap<&'a str, usize>,
    roster: &'a Roster<'a>,
    filter: &'a Filter,
    now: Timestamp,
    /// After which time the guard counts what was done.
    since: Timestamp,
    moves: Moves,
    people: Ids,
    /// The lots of the blocks of each automation; empty where there are none at all.
    lots: Vec<Vec<&'a Lot>>,
    /// Whether runs of any automation end by time.
    ends: bool,
    /// Whether a freeze keeps stops back now.
    freezes_stops: bool,
    /// The blocks of suppressions, by what they are known by on record.
    blocks: HashMap<SuppressedBy, usize>,
}

/// The state of a merge of one part.
struct Planner<'a> {
    config: &'a Config,
    by_name: &'a HashMap<&'a str, usize>,
    roster: &'a Roster<'a>,
    filter: &'a Filter,
    now: Timestamp,
    since: Timestamp,
    lots: &'a [Vec<&'a Lot>],
    ends: bool,
    freezes_stops: bool,
    blocks: &'a HashMap<SuppressedBy, usize>,
    /// Where the part's enrolments end in the roster.
    end: usize,
    moves: Moves,
    merging: Merging<'a>,
    /// What is stopped under an id that is not kept.
    twice: Vec<Action>,
    /// What the contact under way is in under another id while nothing runs for certain under its own one, and how
    /// that goes: sorted by automation and occurrence. Empty in between.
    elsewhere: Vec<(Participation, Goes)>,
    /// What may run of the contact under way beside what runs under its own id: sorted by automation and occurrence. Empty in
    /// between.
    beside: Vec<Participation>,
    /// What the time does to what is on record of the contact under way, in its order: the state before, and what happens. Empty
    /// where runs do not end.
    timed: Vec<Option<(State, Move)>>,
    /// The same of the participation under way, until it is known what else happens to it.
    passed: Option<(State, Move)>,
    /// What is withheld and not planned yet.
    withheld: Peekable<Box<dyn Iterator<Item = Enrolment<'a>> + 'a>>,
    /// The stops of the contact under way, until it is known which calls they take.
    stops: Vec<Pending>,
    /// The enrolments of the contact under way: in the end, those that are declared.
    candidates: Vec<Candidate<'a>>,
    /// Those that are chosen of them, while that goes on; empty in between.
    chosen: Vec<Candidate<'a>>,
    /// The automations that the contact under way, or the one before it, is in under a lot.
    holding: Vec<usize>,
    /// What the guard counts, by automation.
    figures: HashMap<AutomationName, Figures>,
    plan: Plan,
}

/// Walks along both; see [`Plan::build`].
///
/// # Errors
/// An error of `recorded`.
pub(super) fn plan<I, R, E>(
    config: &Config,
    roster: &Roster<'_>,
    recorded: I,
    filter: &Filter,
    (now, since): (Timestamp, Timestamp),
    moves: Vec<(AutomationName, AutomationName)>,
    merged: Merged,
) -> Result<Plan, E>
where
    I: Iterator<Item = Result<(ContactId, R), E>> + Send,
    R: Iterator<Item = Result<Participation, E>> + Send,
    E: Send,
{
    let automations = config.automations.iter().enumerate();
    let (people, waiting) = merged.by_person();
    let given = Given {
        config,
        by_name: automations.map(|(ix, a)| (a.name.as_str(), ix)).collect(),
        roster,
        filter,
        now,
        since,
        moves: Moves::new(moves),
        people,
        lots: choice::lots(config),
        ends: config.automations.iter().any(|of| of.runs_for.is_some()),
        freezes_stops: config.freezes_at(now).any(|freeze| freeze.all),
        blocks: (config.suppressions.iter().map(suppressed_by).zip(0..)).collect(),
    };
    let mut plan = parts::plan(&given, recorded, waiting)?;
    let figures = plan.figures.iter();
    let running = figures.filter(|(_, figures)| figures.running > 0);
    plan.running = running
        .map(|(name, figures)| (name.clone(), figures.running))
        .collect();
    plan.counted_since = since;
    plan.moves = given.moves.steps;
    given.people.finish(&mut plan.merges);
    plan.gone.sort();
    plan.displaced.sort_unstable();
    // Those of suppressed contacts come when the next one with anything on record does.
    plan.withheld.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(plan)
}

impl<'a> Planner<'a> {
    fn new<R>(given: &'a Given<'a>, part: &Part<R>) -> Self {
        let withheld = given.roster.withheld_at(part.withheld.clone());
        Self {
            config: given.config,
            by_name: &given.by_name,
            roster: given.roster,
            filter: given.filter,
            now: given.now,
            since: given.since,
            lots: &given.lots,
            ends: given.ends,
            freezes_stops: given.freezes_stops,
            blocks: &given.blocks,
            end: part.enrolments.end,
            moves: given.moves.clone(),
            merging: Merging::new(&given.people),
            twice: Vec::new(),
            elsewhere: Vec::new(),
            beside: Vec::new(),
            timed: Vec::new(),
            passed: None,
            withheld: (Box::new(withheld) as Box<dyn Iterator<Item = _>>).peekable(),
            stops: Vec::new(),
            candidates: Vec::new(),
            chosen: Vec::new(),
            holding: Vec::new(),
            figures: HashMap::new(),
            plan: Plan::default(),
        }
    }

    /// Plans a part.
    fn plan<R, E>(mut self, part: Part<R>) -> Result<Whole, E>
    where
        R: Iterator<Item = Result<Participation, E>>,
    {
        self.merging.waiting = part.waiting;
        let mut next = part.enrolments.start;
        let mut group: Vec<Participation> = Vec::new();
        for participation in part.recorded.into_iter().flatten() {
            let participation = participation?;
            if self.merging.is_merged(&participation.key.contact) {
                continue;
            }
            if group
                .first()
                .is_some_and(|first| first.key.contact != participation.key.contact)
            {
                next = self.up_to(next, &mut group);
            }
            group.push(participation);
        }
        next = self.up_to(next, &mut group);
        while let Some(contact) = self.merging.next_before(None) {
            next = self.group(next, &contact, &mut group);
        }
        while next < self.end {
            next = self.contact(next, &[], None);
        }
        while let Some(next) = self.withheld.next() {
            self.withhold(next, None);
        }
        let mut plan = self.plan;
        plan.figures = self.figures.into_iter().collect();
        plan.moved = self.moves.counts;
        (plan.merged, plan.merges) = self.merging.done();
        let twice = self.twice;
        Ok(Whole { plan, twice })
    }
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
        while next < self.end {
            order = self.roster.contact(next).cmp(contact.as_str());
            if order.is_ge() {
                break;
            }
            next = self.contact(next, &[], None);
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
        twice.sort_by(|a, b| a.key.cmp(&b.key));
        self.end(&mut twice, |_| false);
        let timed = std::mem::take(&mut self.timed);
        self.end(group, |of| ended.contains(&of.key));
        self.find_elsewhere(&twice, group);
        let suppressions = self.roster.suppressions(contact.as_str());
        let beside = twice.iter().filter(|of| of.state.may_run_at_spotler());
        self.beside.extend(beside.cloned());
        self.beside.sort_by(|a, b| a.key.run().cmp(&b.key.run()));
        let first_action = self.plan.actions.len();
        if next < self.end && order.is_eq() {
            next = self.contact(next, group, suppressions);
        } else {
            self.candidates.clear();
            self.note_lots(group, suppressions);
            self.merge(group, suppressions);
        }
        self.stop_twice((contact, suppressions), &twice, timed, group, first_action);
        self.elsewhere.clear();
        self.beside.clear();
        self.timed.clear();
        group.clear();
        next
    }

    /// Takes for ended what ran for as long as its automation does, and for running what ended by a clock that was ahead.
    fn end(&mut self, group: &mut [Participation], has_ended: impl Fn(&Participation) -> bool) {
        self.timed.clear();
        if self.ends {
            for of in group {
                let (before, has_ended) = (of.state, has_ended(of));
                let transition = self.end_one(of, has_ended);
                self.timed.push(transition.map(|of| (before, of)));
            }
        }
    }

    /// The same of one, which may have ended by a time of its own.
    fn end_one(&self, of: &mut Participation, has_ended: bool) -> Option<Move> {
        let is_ahead = of.state == State::Ended && of.left_at.is_some();
        if !is_ahead && !of.ends_by_time() {
            return None;
        }
        let index = self.by_name.get(of.key.automation.as_str());
        let runs_for = index.and_then(|index| self.config.automations[*index].runs_for);
        match of.state_at(runs_for, self.now) {
            _ if has_ended && of.state != State::Ended => {}
            state if state == of.state => return None,
            State::Active => {
                (of.state, of.detail, of.left_at) = (State::Active, None, None);
                return Some(Move::GoOn);
            }
            _ => {}
        }
        let over = of.over_by_time();
        of.state = State::Ended;
        of.detail = (over == Over::Gone).then(|| GONE.to_owned());
        Some(Move::End(over))
    }

    /// Notes what happens to a participation without a call, in place of what the time does to it.
    fn turn(&mut self, of: &Participation, transition: Move) {
        let before = self.passed.map_or(of.state, |(before, _)| before);
        self.passed = Some((before, transition));
        self.pass(of, None);
    }

    /// Notes what the time does to a participation, of which this may be the enrolment.
    fn pass(&mut self, of: &Participation, enrolment: Option<u32>) {
        let Some((before, transition)) = self.passed.take() else {
            return;
        };
        self.plan.turns.push(Turn {
            of: match enrolment {
                Some(place) => Turned::Enrolment(place),
                None => Turned::Other(Box::new((of.key.clone(), of.trigger_code.clone()))),
            },
            before,
            transition,
        });
    }

    /// Plans the contact whose enrolments begin at `from`. Returns where the next contact's begin.
    fn contact(
        &mut self,
        from: usize,
        recorded: &[Participation],
        suppressions: Option<Suppressions<'_>>,
    ) -> usize {
        let to = self.look_up(from, recorded);
        if self.roster.needs_record() {
            self.choose(recorded, suppressions);
        }
        self.merge(recorded, suppressions);
        to
    }

    /// Merges one contact's declared enrolments and its participations, both sorted by automation and occurrence.
    fn merge(&mut self, recorded: &[Participation], suppressions: Option<Suppressions<'_>>) {
        let declared = std::mem::take(&mut self.candidates);
        let first_action = self.plan.actions.len();
        let mut declared_after = declared.iter().peekable();
        let contact = recorded.first().map(|first| &first.key.contact);
        let mut withheld = match (contact, suppressions) {
            (Some(contact), Some(_)) => self.withheld_of(contact),
            _ => Vec::new(),
        };
        // Whom a lot leaves out is not withheld.
        withheld.retain(|enrolment| self.is_drawn(*enrolment));
        let mut withheld = withheld.drain(..).peekable();
        for (place, participation) in recorded.iter().enumerate() {
            let key = &participation.key;
            self.passed = self.timed.get(place).copied().flatten();
            let is_suppressed = self.is_suppressed(suppressions, key);
            self.count(participation, is_suppressed);
            if is_suppressed {
                // Both are sorted by automation and occurrence.
                while let Some(next) = withheld.next_if(|next| self.order(*next, key).is_lt()) {
                    self.withhold(next, None);
                }
                let enrolment = withheld.next_if(|next| self.is_same(*next, key));
                let automation = self.by_name.get(key.automation.as_str()).copied();
                let by = suppressions.and_then(|of| of.of(automation));
                // A list that is required may have changed how it writes ids with the export.
                if enrolment.is_none() && by.is_some_and(|of| of.is_required) {
                    self.note_gone(participation, Went::Lately);
                }
                self.suppressed(participation, enrolment);
                self.pass(participation, None);
                continue;
            }
            let is_new = |next: &&Candidate<'_>| next.recorded.is_none_or(|of| of < place);
            while let Some(next) = declared_after.next_if(is_new) {
                self.declared(next, None);
            }
            let enrolment = declared_after.next_if(|next| next.recorded == Some(place));
            if let Some(enrolment) = enrolment {
                self.declared(enrolment, Some(participation));
            }
            if enrolment.is_none() {
                self.gone(participation);
            }
            self.pass(participation, enrolment.map(|of| of.place));
        }
        for new in declared_after {
            self.declared(new, None);
        }
        for enrolment in withheld {
            self.withhold(enrolment, None);
        }
        self.stops(&declared, recorded);
        self.count_reshaped(first_action..self.plan.actions.len(), recorded);
        self.count_released(first_action, recorded, suppressions);
        // Stops come first, and are sorted by automation and occurrence already; so are enrolments in the roster.
        self.plan.actions[first_action..].sort_by_key(|action| match action {
            Action::Stop(_) => None,
            Action::Trigger(trigger) => Some(trigger.enrolment),
        });
        self.candidates = declared;
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

    fn declared(&mut self, declared: &Candidate<'a>, recorded: Option<&Participation>) {
        let (place, enrolment) = (declared.place, declared.enrolment);
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
            && !self.places_elsewhere(&recorded.key).is_empty()
        {
            match decision {
                // It is active under both, and the other one is stopped.
                Decision::GoOn { in_doubt: false } => {
                    let same = self.places_elsewhere(&recorded.key);
                    for (_, goes) in &mut self.elsewhere[same] {
                        *goes = Goes::Displaced;
                    }
                }
                Decision::GoOn { in_doubt: true } => _ = self.stays_elsewhere(recorded),
                // It has ended, and waits as if nothing were in doubt.
                Decision::Hold(_) if recorded.state == State::Ended => {
                    self.stays_elsewhere(recorded);
                }
                _ => {
                    let is_held = self.stays_elsewhere(recorded);
                    return self.stays_beside(recorded, is_held);
                }
            }
        }
        match decision {
            // Once it does not run under another id any more.
            Decision::StopThenTrigger(WhyRenewed::FieldsChanged)
                if recorded.is_some_and(|of| self.runs_beside(&of.key)) =>
            {
                self.plan.unchanged +=
                    u64::from(recorded.is_some_and(|of| self.is_wanted(&of.key)));
            }
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
                self.trigger(place, recorded, why);
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
                        trigger: Some(place),
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

    fn trigger(&mut self, place: u32, recorded: Option<&Participation>, why: WhyTrigger) {
        let detail = match why {
            WhyTrigger::TryAgain | WhyTrigger::FieldsChanged | WhyTrigger::CodeChanged => {
                recorded.and_then(|r| r.detail.as_deref()).map(Box::from)
            }
            _ => None,
        };
        let automation = &self.config.automations[self.roster.get(place as usize).automation];
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
            self.plan.tried.push((place, at));
        }
        self.plan.actions.push(Action::Trigger(Trigger {
            enrolment: place,
            before: recorded.map(|r| r.state),
            why,
            detail,
        }));
    }

    /// Whether what is over would be held if it were declared again, here or where this automation has another name now.
    fn would_wait(&self, recorded: &Participation) -> bool {
        let Some(at) = recorded.triggered_at else {
            return false;
        };
        let is = |states: &[State]| states.contains(&recorded.state);
        if !is(&[State::Stopped, State::Ended, State::LetGo, State::Withheld]) {
            return false;
        }
        let holds = |automation: &Automation| {
            let again_after = automation.again_after.filter(|_| is(&[State::Ended]));
            // What was let go goes on, until it ends.
            let goes_on = automation.runs_for.filter(|_| is(&[State::LetGo]));
            let times = [automation.cooldown, again_after, goes_on];
            let mut times = times.into_iter().flatten();
            times.any(|time| decide::plus(at, time) > self.now)
        };
        match self.by_name.get(recorded.key.automation.as_str()) {
            Some(index) => holds(&self.config.automations[*index]),
            None => {
                let code = recorded.trigger_code.as_str();
                let is_it = |of: &&Automation| of.trigger_code.as_str().eq_ignore_ascii_case(code);
                self.config.automations.iter().filter(is_it).any(holds)
            }
        }
    }

    /// Notes who goes, so that nobody comes in their place who is the same person. `now` is how one counts who runs.
    fn note_gone(&mut self, recorded: &Participation, now: Went) {
        // What is not asked for is gone all the same.
        let runs = recorded.state.needs_an_end() || recorded.has_ended_declared();
        let went = match self.went(recorded) {
            _ if runs => Some(now),
            true => Some(Went::Lately),
            false => self.would_wait(recorded).then_some(Went::Long),
        };
        if let Some(went) = went {
            self.plan.gone.add(recorded, went);
        }
    }

    fn gone(&mut self, recorded: &Participation) {
        self.note_gone(recorded, Went::Now);
        let key = &recorded.key;
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
            Decision::Stop(_) | Decision::LetGo | Decision::Leaving { .. } | Decision::Over(_)
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
            Decision::Over(over) => {
                self.count_ended_gone(recorded);
                self.turn(recorded, Move::End(over));
            }
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
