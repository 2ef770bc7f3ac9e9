//! One of the workers of an apply: takes a contact's actions, makes their calls, writes both to the record.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::gate::{End, Return, waits};
use super::meaning::{Meaning, Then};
use super::outcome::{Event, Outcome, Settled};
use super::{Shared, lock};
use crate::id::{ContactId, Occurrence, ParticipationId};
use crate::participation::{Before, Key, State};
use crate::plan::{Action, Stop, StopScope, Trigger, WhyTrigger};
use crate::record::{CallKind, Intent, JournalError};

/// How often a stop is tried again whose answer was lost, at the most.
const STOP_TRIES: usize = 5;

/// A worker.
pub(super) struct Worker {
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
}

/// Why an attempt has no outcome on record.
enum Broken {
    /// Nothing was sent.
    BeforeSending(End),
    /// It was sent, and stays open in the record.
    AfterSending(End),
}

impl Broken {
    /// What is told of it.
    fn settled(self, doubt: Outcome) -> Settled {
        match self {
            Broken::BeforeSending(end) => Settled::because(Outcome::NotSent, end.to_string()),
            Broken::AfterSending(end) => Settled::because(doubt, end.to_string()),
        }
    }
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, events: mpsc::Sender<Event>) -> Self {
        Self { shared, events }
    }

    pub(super) async fn run(self) {
        while self.shared.gate.why_ended().is_none() {
            let Some(actions) = self.shared.next_contact() else {
                return;
            };
            let mut index = actions.start;
            while index < actions.end && self.shared.gate.why_ended().is_none() {
                index = match &self.shared.job.plan.actions[index] {
                    Action::Stop(stop) => self.stops(index, stop, actions.end).await,
                    Action::Trigger(trigger) => {
                        let settled = self.trigger(index, trigger).await;
                        self.tell(index, settled).await;
                        index + 1
                    }
                };
            }
        }
    }

    /// Tells what came of an action.
    async fn tell(&self, action: usize, settled: Settled) {
        lock(&self.shared.settled)[action] = Some(settled.clone());
        self.send(Event::Settled { action, settled }).await;
    }

    async fn send(&self, event: Event) {
        // Where nobody listens any more, the record still knows.
        let _ = self.events.send(event).await;
    }

    /// Makes one call, once: passes the gate, writes what is about to be sent, sends it, writes what came of it.
    ///
    /// # Errors
    /// Why nothing was sent, or that what came of it is not on record.
    async fn attempt<F>(
        &self,
        intent: Intent,
        is_part: bool,
        send: impl FnOnce() -> F,
    ) -> Result<Meaning, Broken>
    where
        F: Future<Output = Meaning>,
    {
        let shared = &*self.shared;
        let pass = shared.gate.enter().await.map_err(Broken::BeforeSending)?;
        let call = match shared.job.journal.intend(intent).await {
            Ok(call) => call,
            Err(error) => {
                shared.gate.give_back(pass);
                return Err(Broken::BeforeSending(self.record_failed(&error)));
            }
        };
        crate::failpoint::fail_point("send:before");
        let mut meaning = send().await;
        crate::failpoint::fail_point("send:after");
        if let Then::End(end) = &meaning.then {
            // Before the pass is given back, so that nothing slips through the gate in between.
            shared.gate.end(end.clone());
        }
        let again = shared.gate.leave(pass, meaning.returned.clone());
        if meaning.then == Then::Again && !again {
            meaning = meaning.given_up();
        }
        if is_part && matches!(meaning.then, Then::Over) {
            meaning = meaning.into_part();
        }
        // Where this fails, the call stays open in the record, so that the next run knows that it is in doubt.
        match shared.job.journal.settle(call, meaning.settlement()).await {
            Ok(()) => Ok(meaning),
            Err(error) => Err(Broken::AfterSending(self.record_failed(&error))),
        }
    }

    fn record_failed(&self, error: &JournalError) -> End {
        let end = End::Record {
            detail: error.to_string(),
        };
        self.shared.gate.end(end.clone());
        end
    }

    /// Tells that all calls wait, if they do.
    async fn tell_pause(&self, meaning: &Meaning) {
        let Return::TurnedAway { detail, .. } = &meaning.returned else {
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

/// Triggers.
impl Worker {
    async fn trigger(&self, index: usize, trigger: &Trigger) -> Settled {
        let not_sent = |why: String| Settled::because(Outcome::NotSent, why);
        let job = &self.shared.job;
        let enrolment = job.roster.get(trigger.enrolment as usize);
        let automation = &job.config.automations[enrolment.automation];
        let mut before = trigger.before;
        if matches!(trigger.why, WhyTrigger::AfterStop(_)) {
            if !self.was_stopped(index) {
                return not_sent("the stop before it is not certain".to_owned());
            }
            before = Some(State::Stopped);
        }
        let key = match key(enrolment.contact, enrolment.occurrence, &automation.name) {
            Ok(key) => key,
            Err(error) => return not_sent(error.to_string()),
        };
        let fields = match job.roster.fields(&enrolment) {
            Ok(fields) => fields,
            Err(error) => return not_sent(error.to_string()),
        };
        loop {
            if let Some(why) = lock(&self.shared.halted).get(&enrolment.automation) {
                return not_sent(why.clone());
            }
            let intent = Intent {
                kind: CallKind::Trigger,
                affected: vec![(key.clone(), before)],
                all: false,
                trigger_code: automation.trigger_code.clone(),
                participation: None,
                fields: enrolment.fields,
            };
            let (code, contact) = (&automation.trigger_code, &key.contact);
            let attempt = self.attempt(intent, false, || async {
                Meaning::of_trigger(job.client.trigger(code, contact, &fields).await)
            });
            match attempt.await {
                Err(broken) => return broken.settled(Outcome::Uncertain),
                Ok(meaning) if meaning.then == Then::Again => self.tell_pause(&meaning).await,
                Ok(meaning) => {
                    if meaning.then == Then::Halt {
                        self.halt(enrolment.automation, &meaning).await;
                    }
                    return meaning.settled();
                }
            }
        }
    }

    /// Sends no more triggers of an automation in this run.
    async fn halt(&self, automation: usize, meaning: &Meaning) {
        let why = meaning.detail.clone().unwrap_or_default();
        let is_news = lock(&self.shared.halted)
            .insert(automation, format!("not sent after {why}"))
            .is_none();
        if is_news {
            let automation = self.shared.job.config.automations[automation].name.clone();
            self.send(Event::Halted {
                automation,
                detail: why,
            })
            .await;
        }
    }

    /// Whether the stop of the same participation, earlier in the plan, did its work.
    fn was_stopped(&self, trigger: usize) -> bool {
        let actions = &self.shared.job.plan.actions;
        let Action::Trigger(of) = &actions[trigger] else {
            return false;
        };
        let enrolment = self.shared.job.roster.get(of.enrolment as usize);
        let automation = &self.shared.job.config.automations[enrolment.automation].name;
        let stop = (0..trigger).rev().find(|&index| {
            matches!(&actions[index], Action::Stop(stop)
                if stop.participation.key.contact.as_str() == enrolment.contact
                    && stop.participation.key.automation == *automation
                    && stop.participation.key.occurrence.as_ref().map(|o| o.as_str()) == enrolment.occurrence)
        });
        let settled = lock(&self.shared.settled);
        stop.and_then(|index| settled[index].as_ref())
            .is_some_and(|settled| settled.outcome == Outcome::Stopped)
    }
}

fn key(
    contact: &str,
    occurrence: Option<&str>,
    automation: &crate::id::AutomationName,
) -> Result<Key, crate::id::IdError> {
    Ok(Key {
        contact: ContactId::new(contact)?,
        automation: automation.clone(),
        occurrence: occurrence.map(Occurrence::new).transpose()?,
    })
}

/// Stops.
impl Worker {
    /// Makes the stop at `index`, together with those behind it that the same call is for. Returns the place behind
    /// them.
    async fn stops(&self, index: usize, stop: &Stop, end: usize) -> usize {
        if stop.scope == StopScope::One {
            let settled = self.stop_by_ids(stop).await;
            self.tell(index, settled).await;
            return index + 1;
        }
        let of_same_call = self.shared.job.plan.actions[index..end]
            .iter()
            .map_while(|action| match action {
                Action::Stop(next) => Some(next),
                Action::Trigger(_) => None,
            })
            .take_while(|next| {
                next.scope == StopScope::All
                    && next.participation.key.automation == stop.participation.key.automation
                    && next.participation.trigger_code == stop.participation.trigger_code
            });
        let affected: Vec<(Key, Before)> = of_same_call
            .map(|next| {
                let participation = &next.participation;
                (participation.key.clone(), Some(participation.state))
            })
            .collect();
        let behind = index + affected.len();
        let settled = self.stop_once(stop, affected, None, false).await;
        for index in index..behind {
            self.tell(index, settled.clone()).await;
        }
        behind
    }

    /// Stops a participation by each of its ids.
    async fn stop_by_ids(&self, stop: &Stop) -> Settled {
        let key = &stop.participation.key;
        let ids = match self.shared.job.record.ids(key).await {
            Ok(ids) => ids,
            Err(error) => return Settled::because(Outcome::NotSent, error.to_string()),
        };
        let Some((last, rest)) = ids.split_last() else {
            return Settled::because(
                Outcome::NotSent,
                "there is no id on record to stop it by, and other occurrences of the contact stay"
                    .to_owned(),
            );
        };
        let mut affected = vec![(key.clone(), Some(stop.participation.state))];
        for id in rest {
            let settled = self.stop_once(stop, affected.clone(), Some(id), true).await;
            if settled.outcome != Outcome::Stopped {
                // The next run begins with the first id again.
                return settled;
            }
            for (_, before) in &mut affected {
                *before = Some(State::StopUncertain);
            }
        }
        self.stop_once(stop, affected, Some(last), false).await
    }

    async fn stop_once(
        &self,
        stop: &Stop,
        affected: Vec<(Key, Before)>,
        participation: Option<&ParticipationId>,
        is_part: bool,
    ) -> Settled {
        let job = &self.shared.job;
        let code = &stop.participation.trigger_code;
        let contact = &stop.participation.key.contact;
        let mut affected = affected;
        let mut waits = waits().take(STOP_TRIES);
        let mut doubted = false;
        loop {
            let intent = Intent {
                kind: CallKind::Stop,
                affected: affected.clone(),
                all: participation.is_none(),
                trigger_code: code.clone(),
                participation: participation.cloned(),
                fields: None,
            };
            let is_doubted = doubted;
            let attempt = self.attempt(intent, is_part, || async {
                let answer = job.client.stop(code, contact, participation).await;
                Meaning::of_stop(answer, is_doubted)
            });
            let meaning = match attempt.await {
                Ok(meaning) => meaning,
                Err(broken) => return broken.settled(Outcome::StopUncertain),
            };
            match meaning.then {
                Then::Again => self.tell_pause(&meaning).await,
                Then::AgainByItself => {
                    // The doubt is on record; a stop is idempotent, so it is asked for again.
                    doubted = true;
                    for (_, before) in &mut affected {
                        *before = Some(State::StopUncertain);
                    }
                    let Some(wait) = waits.next() else {
                        return meaning.settled();
                    };
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        _ = self.shared.gate.ended() => return meaning.settled(),
                    }
                }
                Then::Over | Then::Halt | Then::End(_) => return meaning.settled(),
            }
        }
    }
}
