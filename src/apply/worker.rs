//! One of the workers of an apply: takes a contact's actions, makes their calls, writes both to the record.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::account::refusal;
use super::gate::{End, Return, waits};
use super::meaning::{Meaning, Sign, Then};
use super::outcome::{Event, Outcome, Settled};
use super::{Parked, Shared, lock};
use crate::id::{AutomationName, ParticipationId, TriggerCode};
use crate::participation::{Before, Key, Participation, State, StopOutcome};
use crate::plan::{Action, Stop, StopScope, Trigger, WhyRenewed, WhyStop, WhyTrigger};
use crate::record::{CallKind, CallOutcome, Durable, Intent, JournalError, SAME_IDS};
use crate::spotler::StopAnswer;

/// How often a stop is tried again whose answer was lost, at the most.
const STOP_TRIES: usize = 5;

/// How long a stop whose answer was lost waits before it is tried again for the first time.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// A worker.
pub(super) struct Worker {
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
    /// What came of the last actions, until it is durable and told.
    unreported: Option<Unreported>,
    /// What the stops of the contact under way came to, once that is known.
    stopped: Option<Stopped>,
}

/// What a contact's stops came to, which its triggers depend on.
#[derive(Default)]
struct Stopped {
    /// The participations of which the stop did its work.
    certain: HashSet<Key>,
    /// The trigger codes behind which a stop of all is not certain.
    in_doubt: HashSet<TriggerCode>,
}

/// What came of an action.
struct Done {
    settled: Settled,
    /// That it is on record, where that is not certain yet, and what is reported about it where it cannot be written.
    durable: Option<(Durable<Option<Vec<Key>>>, Outcome)>,
    /// Whether it is put aside, to be done again once the account is seen to know any contact.
    is_parked: bool,
}

impl From<Settled> for Done {
    fn from(settled: Settled) -> Self {
        Self {
            settled,
            durable: None,
            is_parked: false,
        }
    }
}

/// What came of actions that one call was for.
struct Unreported {
    actions: Range<usize>,
    done: Done,
}

/// Why an attempt has no outcome on record.
enum Broken {
    /// Nothing was sent, since it has to wait by now: why.
    Closed(&'static str),
    /// Nothing was sent, since no more such calls are made in this run.
    Halted(String),
    /// Nothing was sent.
    BeforeSending(End),
    /// It was sent, and stays open in the record.
    AfterSending(End),
}

impl Broken {
    /// What is reported about it.
    fn settled(self, doubt: Outcome) -> Settled {
        match self {
            Broken::Closed(why) => closed(why),
            Broken::Halted(why) => Settled::because(Outcome::NotSent, why),
            Broken::BeforeSending(end) => Settled::because(Outcome::NotSent, end.to_string()),
            Broken::AfterSending(end) => Settled::because(doubt, end.to_string()),
        }
    }
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, events: mpsc::Sender<Event>) -> Self {
        Self {
            shared,
            events,
            unreported: None,
            stopped: None,
        }
    }

    pub(super) async fn run(mut self) {
        let shared = self.shared.clone();
        while shared.gate.why_ended().is_none() {
            let Some(actions) = shared.next_contact() else {
                break;
            };
            self.stopped = None;
            let mut index = actions.start;
            while index < actions.end && shared.gate.why_ended().is_none() {
                // Of one contact, what comes next may depend on what came of this.
                if index > actions.start {
                    self.report_last().await;
                }
                let (done, behind) = match &shared.job.plan.actions[index] {
                    Action::Stop(stop) => self.stops(index, stop, actions.end).await,
                    Action::Trigger(trigger) => (self.trigger(index, trigger).await, index + 1),
                };
                // Where nothing was sent, what came of the actions before is not told yet.
                self.report_last().await;
                let is_parked = done.is_parked;
                let stops = index..behind;
                self.unreported = Some(Unreported {
                    actions: stops,
                    done,
                });
                if is_parked && self.park(actions.end).await {
                    break;
                }
                index = behind;
            }
        }
        self.report_last().await;
    }

    /// Puts aside what is left of a contact, up to `end`, once what came of it so far is durable. Returns whether it did
    /// so.
    async fn park(&mut self, end: usize) -> bool {
        self.wait_for_last().await;
        if self.shared.gate.why_ended().is_some() {
            return false;
        }
        let Some(Unreported { actions, done }) = self.unreported.take() else {
            return false;
        };
        lock(&self.shared.parked).push(Parked {
            actions: actions.start..end,
            behind: actions.end,
            settled: done.settled,
        });
        true
    }

    /// Tells what came of the last actions, when it is durable.
    async fn report_last(&mut self) {
        self.wait_for_last().await;
        let Some(Unreported { actions, done }) = self.unreported.take() else {
            return;
        };
        for action in actions {
            let settled = done.settled.clone();
            lock(&self.shared.settled)[action] = Some(settled.clone());
            self.send(Event::Settled { action, settled }).await;
        }
    }

    /// Waits until what came of the last actions is durable. May be given up and begun again.
    async fn wait_for_last(&mut self) {
        if let Some(Unreported { done, .. }) = &mut self.unreported
            && let Some((durable, doubt)) = &mut done.durable
        {
            let result = durable.ready().await;
            let doubt = *doubt;
            done.durable = None;
            match result {
                Ok(None) => {}
                Ok(Some(others)) => {
                    self.shared.mixed_up(&others);
                    done.settled = mixed_up();
                }
                Err(error) => {
                    let end = record_failed(&self.shared, &error);
                    done.settled = Broken::AfterSending(end).settled(doubt);
                }
            }
        }
    }

    async fn send(&self, event: Event) {
        // Where nobody listens any more, the record still knows.
        let _ = self.events.send(event).await;
    }

    /// Makes one call, once: passes the gate, writes what is about to be sent, sends it, writes what came of it. That is
    /// on its way to the record then, before anything else that this worker asks of it. `check` says why it is not to be
    /// made after all.
    ///
    /// # Errors
    /// Why nothing was sent.
    async fn attempt<F>(
        &mut self,
        intent: Intent,
        check: impl Fn() -> Result<(), Broken>,
        is_part: bool,
        send: impl FnOnce() -> F,
    ) -> Result<(Meaning, Durable<Option<Vec<Key>>>), Broken>
    where
        F: Future<Output = Meaning>,
    {
        let shared = self.shared.clone();
        let permit = {
            let enter = shared.gate.enter();
            tokio::pin!(enter);
            // Where the gate is open, the outcome of the call before and this intent become durable together.
            let permit = tokio::select! {
                biased;
                permit = &mut enter => Some(permit),
                () = self.wait_for_last(), if self.unreported.is_some() => None,
            };
            match permit {
                Some(permit) => permit,
                None => {
                    self.report_last().await;
                    enter.await
                }
            }
        };
        let permit = permit.map_err(Broken::BeforeSending)?;
        // Asked after the wait at the gate, which may be long.
        if let Err(broken) = check() {
            shared.gate.give_back(permit);
            return Err(broken);
        }
        let kind = intent.kind;
        let was_waiting =
            (intent.affected.iter()).all(|(_, before)| *before == Some(State::Waiting));
        let call = match shared.job.journal.intend(intent).await {
            Ok(call) => call,
            Err(error) => {
                shared.gate.give_back(permit);
                return Err(Broken::BeforeSending(record_failed(&shared, &error)));
            }
        };
        // It was asked for before the intent, so it is known.
        self.report_last().await;
        // The process may have been stopped meanwhile. Right before the first byte it is looked at once more.
        if let Err(error) = shared.job.journal.hold().await {
            shared.gate.give_back(permit);
            return Err(Broken::BeforeSending(record_failed(&shared, &error)));
        }
        crate::failpoint::fail_point("send:before");
        let mut meaning = send().await;
        crate::failpoint::fail_point("send:after");
        if let Then::End(end) = &meaning.then {
            // Before the permit is given back, so that nothing slips through the gate in between.
            shared.gate.end(end.clone());
        }
        let is_news = shared.account.note(kind, &meaning, was_waiting);
        let again = shared.gate.leave(permit, meaning.returned.clone());
        if is_news {
            self.send(Event::NobodyKnown(kind)).await;
        }
        if meaning.then == Then::Again && !again {
            meaning = match shared.gate.why_ended() {
                Some(End::Unavailable { .. }) => meaning.given_up(),
                // The run ended for another reason: it is as if the call had not been made.
                _ => meaning.then(Then::Over),
            };
        }
        if is_part && matches!(meaning.then, Then::Over) {
            meaning = meaning.into_part();
        }
        let durable = shared.job.journal.settle(call, meaning.settlement());
        Ok((meaning, durable))
    }

    /// Waits until what came of a call is durable. Where it cannot be written, the call stays open in the record, so that
    /// the next run knows that it is in doubt.
    async fn durably(&self, durable: Durable<Option<Vec<Key>>>) -> Result<(), Broken> {
        let result = durable.wait().await;
        result
            .map(drop)
            .map_err(|error| Broken::AfterSending(record_failed(&self.shared, &error)))
    }

    /// Tells that all calls wait, if they do.
    async fn report_pause(&self, meaning: &Meaning) {
        let (Return::TurnedAway { detail, .. } | Return::Unavailable { detail, .. }) =
            &meaning.returned
        else {
            return;
        };
        if let Some(wait) = self.shared.gate.news_of_pause() {
            self.send(Event::Paused {
                wait,
                detail: detail.clone(),
            })
            .await;
        }
    }
}

/// What is reported about what has to wait by now.
fn closed(why: &str) -> Settled {
    Settled::because(Outcome::Deferred, why)
}

/// What is reported about a trigger whose answer may have been another's.
pub(super) fn mixed_up() -> Settled {
    Settled::because(Outcome::Uncertain, SAME_IDS)
}

/// Ends the run, since the record cannot be written.
fn record_failed(shared: &Shared, error: &JournalError) -> End {
    let end = End::Record {
        detail: error.to_string(),
    };
    shared.gate.end(end.clone());
    end
}

/// Triggers.
impl Worker {
    async fn trigger(&mut self, index: usize, trigger: &Trigger) -> Done {
        let not_sent = |why: String| Settled::because(Outcome::NotSent, why).into();
        let shared = self.shared.clone();
        let job = &shared.job;
        let enrolment = job.roster.get(trigger.enrolment as usize);
        let automation = &job.config.automations[enrolment.automation];
        let key = match enrolment.key(job.config) {
            Ok(key) => key,
            Err(error) => return not_sent(error.to_string()),
        };
        let stopped = self.stopped.get_or_insert_with(|| shared.stopped(index));
        let mut before = trigger.before;
        let mut may_wait = true;
        let waits = || shared.waits(enrolment.automation);
        if let WhyTrigger::AfterStop(why) = trigger.why {
            match stopped.certain.contains(&key) {
                true => before = Some(State::Stopped),
                false => {
                    return match waits() {
                        Some(why) => closed(why).into(),
                        None => not_sent("the stop before it is not certain".to_owned()),
                    };
                }
            }
            // It was stopped for the sake of this trigger: nobody is left stopped until the window opens again.
            may_wait = why != WhyRenewed::FieldsChanged;
        }
        let waits = || waits().filter(|_| may_wait);
        if let Some(why) = waits() {
            return closed(why).into();
        }
        // It may still be carried out, and would stop what is triggered behind that code now.
        if stopped.in_doubt.contains(&automation.trigger_code) {
            return not_sent(
                "the stop of everything with the same trigger code is not certain".to_owned(),
            );
        }
        let fields = match job.roster.fields(&enrolment) {
            Ok(fields) => fields,
            Err(error) => return not_sent(error.to_string()),
        };
        let check = || match lock(&shared.halted).get(&enrolment.automation) {
            Some(why) => Err(Broken::Halted(why.clone())),
            None if shared.account.refuses(CallKind::Trigger) => {
                Err(Broken::Halted(refusal(CallKind::Trigger)))
            }
            None => waits().map_or(Ok(()), |why| Err(Broken::Closed(why))),
        };
        loop {
            if let Err(broken) = check() {
                return broken.settled(Outcome::Uncertain).into();
            }
            let intent = Intent {
                kind: CallKind::Trigger,
                affected: vec![(key.clone(), before)],
                all: false,
                trigger_code: automation.trigger_code.clone(),
                participation: None,
                fields: enrolment.fields,
                of_suppressed: None,
            };
            let (code, contact) = (&automation.trigger_code, &key.contact);
            let attempt = self.attempt(intent, check, false, || async {
                Meaning::of_trigger(job.caller.trigger(code, contact, &fields).await)
            });
            let (meaning, durable) = match attempt.await {
                Ok(attempt) => attempt,
                Err(broken) => return broken.settled(Outcome::Uncertain).into(),
            };
            self.report_pause(&meaning).await;
            if meaning.then == Then::Again {
                if let Err(broken) = self.durably(durable).await {
                    return broken.settled(Outcome::Uncertain).into();
                }
                continue;
            }
            if meaning.then == Then::Halt {
                self.halt(enrolment.automation, &meaning).await;
            }
            return Done {
                settled: meaning.settled(),
                durable: Some((durable, Outcome::Uncertain)),
                is_parked: false,
            };
        }
    }

    /// Sends no more triggers of an automation in this run.
    async fn halt(&self, automation: usize, meaning: &Meaning) {
        let why = meaning.detail.clone().unwrap_or_default();
        let not_sent = format!("not sent after {why}");
        let known = lock(&self.shared.halted).insert(automation, not_sent);
        if known.is_none() {
            let automation = self.shared.job.config.automations[automation].name.clone();
            self.report_halted(CallKind::Trigger, automation, why).await;
        }
    }

    /// Sends no more stops of an automation in this run.
    async fn halt_stops(&self, stop: &Stop, meaning: &Meaning) {
        let why = meaning.detail.clone().unwrap_or_default();
        let not_sent = format!("not sent after {why}");
        let known = lock(&self.shared.halted_stops).insert(called(stop), not_sent);
        if known.is_none() {
            let automation = stop.participation.key.automation.clone();
            self.report_halted(CallKind::Stop, automation, why).await;
        }
    }

    async fn report_halted(&self, kind: CallKind, automation: AutomationName, detail: String) {
        self.send(Event::Halted {
            kind,
            automation,
            detail,
        })
        .await;
    }
}

impl Shared {
    /// What the stops of a contact came to, by the place of its first trigger: they all come before.
    fn stopped(&self, trigger: usize) -> Stopped {
        let actions = &self.job.plan.actions;
        let contact = self.contact(&actions[trigger]);
        let before = (0..trigger).rev();
        let of_it = before.take_while(|index| self.contact(&actions[*index]) == contact);
        let settled = lock(&self.settled);
        let mut stopped = Stopped::default();
        for index in of_it {
            let Action::Stop(stop) = &actions[index] else {
                continue;
            };
            let participation = &stop.participation;
            let outcome = settled[index].as_ref().map(|settled| settled.outcome);
            if outcome == Some(Outcome::Stopped) {
                stopped.certain.insert(participation.key.clone());
            } else if stop.scope == StopScope::All {
                stopped.in_doubt.insert(participation.trigger_code.clone());
            }
        }
        stopped
    }
}

/// What a stop's call goes by besides its contact.
fn called(stop: &Stop) -> (AutomationName, TriggerCode) {
    let participation = &stop.participation;
    (
        participation.key.automation.clone(),
        participation.trigger_code.clone(),
    )
}

/// The participation of an action that the call of a stop of all is for as well.
fn of_same_call<'a>(stop: &Stop, action: &'a Action) -> Option<&'a Participation> {
    match action {
        Action::Stop(next)
            if next.scope == StopScope::All
                && next.participation.trigger_code == stop.participation.trigger_code
                && next.sent_to() == stop.sent_to() =>
        {
            Some(&next.participation)
        }
        _ => None,
    }
}

impl Worker {
    /// Makes the stop at `index`, together with those behind it that the same call is for. Returns the place behind
    /// them.
    async fn stops(&mut self, index: usize, stop: &Stop, end: usize) -> (Done, usize) {
        if stop.scope == StopScope::One {
            return (self.stop_by_ids(stop).await, index + 1);
        }
        let shared = self.shared.clone();
        let of_same_call = |action| of_same_call(stop, action);
        let actions = &shared.job.plan.actions[index..end];
        let behind = index + actions.iter().map_while(of_same_call).count();
        // Those that other stops stand before are stopped by it as well, whether or not the run comes to them.
        let affected = actions.iter().filter_map(of_same_call);
        let affected = affected
            .map(|of| (of.key.clone(), Some(of.state)))
            .collect();
        (self.stop_once(stop, affected, None, false).await, behind)
    }

    /// Stops a participation by each of its ids.
    async fn stop_by_ids(&mut self, stop: &Stop) -> Done {
        let key = &stop.participation.key;
        let ids = match self.shared.job.journal.ids(key.clone()).await {
            Ok(ids) => ids,
            Err(error) => return Settled::because(Outcome::NotSent, error.to_string()).into(),
        };
        let Some((last, rest)) = ids.split_last() else {
            return Settled::because(
                Outcome::NotSent,
                "no id is on record to stop it, and other occurrences of the contact stay"
                    .to_owned(),
            )
            .into();
        };
        let mut affected = vec![(key.clone(), Some(stop.participation.state))];
        for id in rest {
            let mut done = self.stop_once(stop, affected.clone(), Some(id), true).await;
            if let Some((durable, doubt)) = done.durable.take()
                && let Err(broken) = self.durably(durable).await
            {
                return broken.settled(doubt).into();
            }
            if done.settled.outcome != Outcome::Stopped {
                // The next run begins with the first id again.
                return done;
            }
            for (_, before) in &mut affected {
                *before = Some(State::StopUncertain);
            }
        }
        self.stop_once(stop, affected, Some(last), false).await
    }

    async fn stop_once(
        &mut self,
        stop: &Stop,
        affected: Vec<(Key, Before)>,
        participation: Option<&ParticipationId>,
        is_part: bool,
    ) -> Done {
        const DOUBT: Outcome = Outcome::StopUncertain;
        let shared = self.shared.clone();
        let job = &shared.job;
        let code = &stop.participation.trigger_code;
        let mut contact = stop.sent_to();
        let mut instead = stop.instead().peekable();
        let mut is_first = true;
        let mut affected = affected;
        let mut waits = waits(FIRST_WAIT).take(STOP_TRIES);
        loop {
            let intent = Intent {
                kind: CallKind::Stop,
                affected: affected.clone(),
                all: participation.is_none(),
                trigger_code: code.clone(),
                participation: participation.cloned(),
                fields: None,
                of_suppressed: stop.suppressed_by,
            };
            // What is only renewed goes on as it is where it cannot be triggered again; what has begun is ended.
            let has_begun = affected
                .iter()
                .any(|(_, before)| *before == Some(State::StopUncertain));
            let name = &stop.participation.key.automation;
            let is_renewed = stop.why == WhyStop::Renewed(WhyRenewed::FieldsChanged);
            let has_to_wait = || {
                let mut automations = shared.job.config.automations.iter();
                let trigger = match is_renewed {
                    true => automations.position(|automation| automation.name == *name),
                    false => None,
                };
                let waits = trigger.and_then(|trigger| shared.waits(trigger));
                let may_wait = !has_begun && stop.why != WhyStop::Suppressed;
                let waits = waits.or_else(|| shared.stops_wait(name));
                waits.filter(|_| may_wait)
            };
            let check = || match lock(&shared.halted_stops).get(&called(stop)) {
                Some(why) => Err(Broken::Halted(why.clone())),
                None if let Some(why) = has_to_wait() => Err(Broken::Closed(why)),
                None => Ok(()),
            };
            if shared.account.refuses(CallKind::Stop) {
                return Done {
                    is_parked: true,
                    ..Settled::because(Outcome::NotSent, refusal(CallKind::Stop)).into()
                };
            }
            if let Err(broken) = check() {
                return broken.settled(DOUBT).into();
            }
            let has_other = instead.peek().is_some();
            // What a call that stops all found under one of the others may be another run of the person.
            let is_one_of_many = has_other && !is_first && participation.is_none();
            let is_part = is_part || is_one_of_many;
            let attempt = self.attempt(intent, check, is_part, || async {
                let answer = job.caller.stop(code, contact, participation).await;
                match answer {
                    Ok(StopAnswer::UnknownContact(of)) if has_other => {
                        Meaning::of_other_id(of.error_type, of.status)
                    }
                    // What Spotler does not know by the first id may be under any of the others.
                    Ok(StopAnswer::Stopped {
                        already: Some(already),
                    }) if has_other && !is_first => {
                        Meaning::of_other_id(Some(already), 404).sign(Sign::Known)
                    }
                    answer => Meaning::of_stop(answer, shared.account.knows_any()),
                }
            });
            let (meaning, durable) = match attempt.await {
                Ok(attempt) => attempt,
                Err(broken) => return broken.settled(DOUBT).into(),
            };
            let is_stopped = meaning.outcome == CallOutcome::PartOfStop(StopOutcome::Stopped);
            let goes_on = is_one_of_many && is_stopped;
            if has_other && (meaning.is_of_other_id() || goes_on) {
                if let Err(broken) = self.durably(durable).await {
                    return broken.settled(DOUBT).into();
                }
                for (_, before) in affected.iter_mut().filter(|_| goes_on) {
                    *before = Some(State::StopUncertain);
                }
                contact = instead.next().unwrap_or(contact);
                is_first = false;
                continue;
            }
            if !matches!(meaning.then, Then::Again | Then::AgainByItself) {
                if meaning.then == Then::Halt {
                    self.halt_stops(stop, &meaning).await;
                }
                return Done {
                    settled: meaning.settled(),
                    durable: Some((durable, DOUBT)),
                    is_parked: meaning.then == Then::Park,
                };
            }
            if let Err(broken) = self.durably(durable).await {
                return broken.settled(DOUBT).into();
            }
            self.report_pause(&meaning).await;
            if meaning.then == Then::Again {
                continue;
            }
            // The doubt is on record; a stop is idempotent, so it is asked for again.
            for (_, before) in &mut affected {
                *before = Some(State::StopUncertain);
            }
            let Some(wait) = waits.next() else {
                return meaning.settled().into();
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => {}
                _ = shared.gate.ended() => return meaning.settled().into(),
            }
        }
    }
}
