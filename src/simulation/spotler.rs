//! A simulated Spotler: it carries calls out at once, late, or not at all, and its answers come, are lost, or are another's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::faults::Life;
use super::world::{A_WHILE, RUNS_FOR, Rules};
use crate::apply::{Caller, MaySend};
use crate::field::FieldValue;
use crate::id::{ContactId, ParticipationId, TriggerCode};
use crate::participation::{Key, State};
use crate::record::{CallKind, Fate};
use crate::spotler::{CallError, Complaint, Entry, StopAnswer, TriggerAnswer};

/// A participation that was carried out.
#[derive(Debug, Clone)]
pub struct Started {
    pub key: Key,
    /// The id that Spotler has its contact by.
    pub contact: ContactId,
    pub code: TriggerCode,
    pub id: ParticipationId,
    pub is_running: bool,
    /// Whether a stop of it was carried out while it was on its way.
    pub is_late: bool,
    pub sent_at: Timestamp,
}

/// What Spotler knows.
#[derive(Debug, Default)]
pub struct Spotler {
    pub started: Vec<Started>,
    pub unknown: BTreeSet<String>,
    /// The ids that Spotler merged with another one, and no longer knows.
    pub merged: BTreeSet<ContactId>,
    pub inactive: BTreeSet<String>,
    /// Calls that are still to be carried out.
    pub late: Vec<Key>,
    /// The stops that were carried out.
    pub stops: Vec<Call>,
    rules: Rules,
}

/// A call on its way.
#[derive(Debug, Clone)]
pub struct Call {
    pub kind: CallKind,
    pub code: TriggerCode,
    pub contact: ContactId,
    pub key: Key,
    pub participation: Option<ParticipationId>,
    /// The exports that it may have been made from.
    pub versions: (usize, usize),
    pub sent_at: Timestamp,
    /// How many stops had been carried out by then.
    pub stops_before: usize,
    /// How many triggers had been.
    pub triggers_before: usize,
}

/// What comes back, where anything does.
enum Answer {
    Trigger(TriggerAnswer),
    Stop(StopAnswer),
}

fn complaint(status: u16, word: &str) -> Complaint {
    Complaint {
        status,
        error_type: Some(word.to_owned()),
    }
}

impl Spotler {
    pub fn of(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Whatever ran for as long as its automation does has ended.
    pub fn end(&mut self, now: Timestamp) {
        let runs_for = SignedDuration::from_secs(RUNS_FOR);
        for of in self.started.iter_mut().filter(|_| self.rules.ends) {
            of.is_running &= of.code.as_str() != "code-a" || of.sent_at + runs_for > now;
        }
    }

    /// Spotler makes one contact of two.
    pub fn merge(&mut self, from: &ContactId, to: &ContactId) {
        self.merged.insert(from.clone());
        for of in self.started.iter_mut().filter(|of| of.contact == *from) {
            of.contact = to.clone();
        }
    }

    fn knows(&self, contact: &ContactId) -> bool {
        !self.unknown.contains(contact.as_str()) && !self.merged.contains(contact)
    }

    /// How often a participation runs.
    pub fn running(&self, key: &Key) -> usize {
        let runs = |of: &&Started| of.key == *key && of.is_running;
        self.started.iter().filter(runs).count()
    }

    fn trigger(&mut self, call: &Call) -> (TriggerAnswer, bool) {
        let code = call.code.as_str();
        let entry = |participation, result: &str| Entry {
            participation,
            automation_id: None,
            result: result.to_owned(),
        };
        if !self.knows(&call.contact) {
            let complaint = complaint(404, "CONTACT_NOTFOUND");
            return (TriggerAnswer::UnknownContact(complaint), false);
        }
        if self.inactive.contains(code) {
            let entries = vec![entry(None, "AUTOMATION_INACTIVE")];
            return (TriggerAnswer::Inactive(entries), false);
        }
        let mut before = self
            .started
            .iter()
            .filter(|of| of.code == call.code && of.contact == call.contact);
        let is_limited = match code {
            "code-b" => before.any(|of| of.is_running),
            "code-c" => before.next().is_some(),
            _ => false,
        };
        if is_limited {
            let entries = vec![entry(None, "PARTICIPATION_LIMIT_REACHED")];
            return (TriggerAnswer::LimitReached(entries), false);
        }
        let id = ParticipationId::new(format!("p-{}", self.started.len())).unwrap();
        let is_same = |stop: &Call| {
            let is_of_all = stop.participation.is_none();
            is_of_all && stop.code == call.code && stop.contact == call.contact
        };
        let is_late = self.stops[call.stops_before..].iter().any(is_same);
        self.started.push(Started {
            key: call.key.clone(),
            contact: call.contact.clone(),
            code: call.code.clone(),
            id: id.clone(),
            is_running: true,
            is_late,
            sent_at: call.sent_at,
        });
        let entries = vec![entry(Some(id), "OK")];
        (TriggerAnswer::Started(entries), true)
    }

    fn stop(&mut self, call: &Call) -> StopAnswer {
        if !self.knows(&call.contact) {
            return StopAnswer::UnknownContact(complaint(404, "CONTACT_NOTFOUND"));
        }
        self.stops.push(call.clone());
        let mut any = false;
        for of in &mut self.started {
            let is_meant = of.code == call.code
                && of.contact == call.contact
                && call.participation.as_ref().is_none_or(|id| *id == of.id);
            any |= is_meant && of.is_running;
            of.is_running &= !is_meant;
        }
        let already = (!any).then(|| "CAMPAIGN_NOTFOUND".to_owned());
        StopAnswer::Stopped { already }
    }
}

/// The line of one run to Spotler.
pub struct Line {
    pub life: Arc<Life>,
    pub may_send: Option<MaySend>,
}

impl Line {
    async fn call(
        &self,
        kind: CallKind,
        code: &TriggerCode,
        contact: &ContactId,
        participation: Option<&ParticipationId>,
    ) -> Result<Answer, CallError> {
        let (life, world) = (&self.life, &self.life.world);
        life.step("connect").await;
        let (is_bad, fault, long) = {
            let mut random = world.random();
            let is_bad = random.u32(..1000) < world.weather().call;
            (is_bad, random.u32(..10), random.u64(..40_000))
        };
        let fault = if is_bad { fault } else { 10 };
        if fault == 0 {
            return Err(CallError::NotSent("connection refused".to_owned()));
        }
        if self.may_send.as_ref().is_some_and(|may_send| !may_send()) {
            return Err(CallError::NotSent("the lock is to be renewed".to_owned()));
        }
        // Its first byte leaves here.
        let Some(call) = world.sent(life, kind, code, contact, participation) else {
            return Err(CallError::Doubtful("the law is broken".to_owned()));
        };
        life.step("sent").await;
        let long = Duration::from_millis(long);
        let doubt = |what: &str| Err(CallError::Doubtful(what.to_owned()));
        let unavailable = Err(CallError::Unavailable {
            status: 503,
            retry_after: Some(Duration::from_secs(2)),
        });
        match fault {
            1 => Err(CallError::Limited {
                status: 429,
                retry_after: None,
            }),
            2 => {
                sleep(long).await;
                doubt("time-out; it never arrived")
            }
            3 => {
                world.carry_out(&call);
                sleep(long).await;
                doubt("time-out; its answer was lost")
            }
            4 => {
                world.carry_out_late(call, long);
                sleep(long / 3).await;
                doubt("time-out; it is carried out later")
            }
            5 => unavailable,
            6 => {
                world.carry_out(&call);
                unavailable
            }
            7 => {
                world.carry_out(&call);
                doubt("an answer that cannot be read")
            }
            8 if kind == CallKind::Trigger => {
                // The answer to the last one comes once more.
                let last = life.last.lock().unwrap().clone();
                let answer = world.carry_out(&call);
                life.step("answered").await;
                match last.filter(|(of, _)| *of != call.key.contact) {
                    Some((_, entries)) => Ok(Answer::Trigger(TriggerAnswer::Started(entries))),
                    None => Ok(answer),
                }
            }
            _ => {
                let answer = world.carry_out(&call);
                if let Answer::Trigger(TriggerAnswer::Started(entries)) = &answer {
                    let last = (call.key.contact.clone(), entries.clone());
                    *life.last.lock().unwrap() = Some(last);
                }
                life.step("answered").await;
                Ok(answer)
            }
        }
    }
}

impl super::world::World {
    /// Carries a call out.
    fn carry_out(&self, call: &Call) -> Answer {
        self.tell(|| format!("carried out: {call:?}"));
        if call.kind == CallKind::Stop {
            let is_of_it = |of: &Started| of.code == call.code && of.contact == call.contact;
            let is_late = self.spotler().started[call.triggers_before..]
                .iter()
                .any(is_of_it);
            if is_late {
                self.law().stopped_late(&call.key);
            }
            return Answer::Stop(self.spotler().stop(call));
        }
        self.spotler().end(self.now() + A_WHILE);
        let started = self.spotler().started.clone();
        // What was let go under another id runs out beside what is declared.
        let runs_out = |key: &Key| {
            let standing = self.memory.triggered_as(key);
            *key != call.key && standing.is_some_and(|of| of.state == State::LetGo)
        };
        let running = started.into_iter().filter(|of| of.is_running);
        let running = running.map(|of| of.key).filter(|key| !runs_out(key));
        let running: Vec<Key> = running.collect();
        let (answer, is_started) = self.spotler().trigger(call);
        if is_started {
            self.law().started(call, &running);
            if self.spotler().started.last().is_some_and(|of| of.is_late) {
                self.law().triggered_late(&call.key);
            }
        }
        Answer::Trigger(answer)
    }

    fn carry_out_late(self: &Arc<Self>, call: Call, after: Duration) {
        let world = self.clone();
        self.spotler().late.push(call.key.clone());
        tokio::spawn(async move {
            sleep(after).await;
            let is_this = |key: &Key| *key == call.key;
            let at = world.spotler().late.iter().position(is_this);
            at.map(|at| world.spotler().late.remove(at));
            if call.kind == CallKind::Stop {
                world.law().stopped_late(&call.key);
            }
            world.carry_out(&call);
        });
    }
}

impl Caller for Line {
    fn trigger<'a>(
        &'a self,
        code: &'a TriggerCode,
        contact: &'a ContactId,
        _: &'a [FieldValue],
    ) -> BoxFuture<'a, Result<TriggerAnswer, CallError>> {
        Box::pin(async move {
            match self.call(CallKind::Trigger, code, contact, None).await? {
                Answer::Trigger(answer) => Ok(answer),
                Answer::Stop(_) => Err(CallError::Doubtful("a stop's answer".to_owned())),
            }
        })
    }

    fn stop<'a>(
        &'a self,
        code: &'a TriggerCode,
        contact: &'a ContactId,
        participation: Option<&'a ParticipationId>,
    ) -> BoxFuture<'a, Result<StopAnswer, CallError>> {
        Box::pin(async move {
            match self
                .call(CallKind::Stop, code, contact, participation)
                .await?
            {
                Answer::Stop(answer) => Ok(answer),
                Answer::Trigger(_) => Err(CallError::Doubtful("a trigger's answer".to_owned())),
            }
        })
    }

    fn forget_connections(&self) {
        *self.life.last.lock().unwrap() = None;
    }

    fn only_while(&self, may_send: MaySend) -> Arc<dyn Caller> {
        Arc::new(Line {
            life: self.life.clone(),
            may_send: Some(may_send),
        })
    }
}
