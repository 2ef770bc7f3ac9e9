//! What the journal does with requests: takes all that wait and writes them in one transaction, so that durability costs one
//! flush for many calls.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::batch::{Batch, RunStep, StateChange, Whole};
use super::call::{CallId, CallKind, CallOutcome, Intent, Settlement};
use super::error::{JournalError, RecordError};
use super::freshness::Freshness;
use super::journal::{Answer, Journal, Request, Write};
use super::participation::{IllegalMove, Key, Move, State, StopOutcome, TriggerOutcome, after};
use super::store::Lease;
use crate::clock::Clock;
use crate::failpoint::{Planted, fail_point, is_planted};
use crate::id::ParticipationId;
use crate::threads;

/// So many requests are written in one transaction at the most.
const BATCH: usize = 512;

/// How often a sign of life is given where nothing else is written.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The detail of two participations of different contacts with the same `automationContactId`s. Whose they are cannot be
/// told, so both are in doubt, and neither is stopped by them.
pub const SAME_IDS: &str = "Spotler gave the same automationContactId to another contact";

/// Other contacts' participations with the same ids, by the call that brought these.
type Mixups = Vec<(CallId, Vec<Key>)>;

/// Writes what the journal is asked to.
pub(super) struct Writer {
    lease: Box<dyn Lease>,
    clock: Clock,
    freshness: Arc<Freshness>,
    serial: u64,
    next_call: i64,
    /// The calls under way, and when they were sent.
    open: HashMap<CallId, (Intent, Timestamp)>,
    /// Lists of ids that came for two contacts once: whoever gets them again is in doubt too.
    doubted_ids: HashSet<String>,
}

impl Writer {
    /// One for a lease that was last renewed at a time since this machine was started, by a clock.
    pub async fn new(
        mut lease: Box<dyn Lease>,
        clock: Clock,
        serial: u64,
        renewed: Duration,
    ) -> Result<Self, RecordError> {
        let view = lease.view();
        let (CallId(last), doubted) = (view.last_call().await?, view.doubted_ids().await?);
        Ok(Self {
            lease,
            freshness: Arc::new(Freshness::since(renewed, clock.clone())),
            clock,
            serial,
            next_call: last + 1,
            open: HashMap::new(),
            doubted_ids: doubted.into_iter().collect(),
        })
    }

    /// How many calls were ever made by the record.
    pub fn calls_before(&self) -> u64 {
        u64::try_from(self.next_call - 1).unwrap_or(0)
    }

    /// Begins to write, on a thread of its own where there are several: whatever else keeps the others busy, there is a sign of
    /// life. It ends, and says how, when the last clone of the journal is gone.
    pub fn spawn(self) -> io::Result<(Journal, oneshot::Receiver<Result<(), JournalError>>)> {
        let (sender, requests) = mpsc::unbounded_channel();
        let (ends, ended) = oneshot::channel();
        let journal = Journal {
            requests: sender,
            freshness: self.freshness.clone(),
        };
        // Who no longer waits for it need not know how it ended.
        let run = async move { drop(ends.send(self.run(requests).await)) };
        if threads::is_alone() {
            tokio::spawn(run);
            return Ok((journal, ended));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || runtime.block_on(run))?;
        Ok((journal, ended))
    }

    async fn run(
        mut self,
        mut requests: mpsc::UnboundedReceiver<Request>,
    ) -> Result<(), JournalError> {
        self.lease.moves();
        let mut group = Vec::new();
        loop {
            match timeout(HEARTBEAT, requests.recv_many(&mut group, BATCH)).await {
                Ok(0) => break,
                Ok(_) => self.write(group.drain(..)).await,
                // One that failed is noticed by the next transaction, which checks the lock itself.
                Err(_) => drop(self.commit(&mut Batch::now(&self.clock)).await),
            }
        }
        let mut end = Batch {
            run: Some(RunStep::End),
            ..Batch::now(&self.clock)
        };
        // Where that cannot be written, the run was cut short.
        let _ = self.commit(&mut end).await;
        self.lease.release().await
    }

    /// Writes all requests of a group in one transaction, and answers them.
    async fn write(&mut self, group: impl Iterator<Item = Request>) {
        let mut batch = Batch::now(&self.clock);
        let mut replies = Vec::new();
        let mut rest = Vec::new();
        // Who no longer waits for an answer needs none.
        for request in group {
            match request {
                Request::Intend(intent, reply) => match check_intent(&intent) {
                    Ok(()) => {
                        let id = CallId(self.next_call);
                        self.next_call += 1;
                        batch.sent.push((id, intent));
                        replies.push(Reply::Intended(id, reply));
                    }
                    Err(error) => drop(reply.send(Err(error.into()))),
                },
                Request::Settle(id, settlement, reply) => {
                    match self.settle(id, settlement, &mut batch) {
                        Ok(()) => replies.push(Reply::Settled(id, reply)),
                        Err(error) => drop(reply.send(Err(error))),
                    }
                }
                Request::Write(write, reply) => match add(write, &mut batch) {
                    Ok(()) => replies.push(Reply::Done(reply)),
                    Err(error) => drop(reply.send(Err(error.into()))),
                },
                request => rest.push(request),
            }
        }
        if is_planted(Planted::IntentAfterSend) {
            let told = replies.drain(..);
            told.for_each(|reply: Reply| reply.give(&Ok(Mixups::new())));
            drop(self.commit_calls(batch).await);
        } else if !replies.is_empty() {
            let result = self.commit_calls(batch).await;
            for reply in replies {
                reply.give(&result);
            }
        }
        for request in rest {
            match request {
                Request::Ids(key, reply) => drop(reply.send(self.ids(&key).await)),
                Request::Claim(plan, serial, reply) => {
                    drop(reply.send(self.claim(plan, serial).await));
                }
                Request::Wipe(reply) => drop(reply.send(self.lease.wipe().await)),
                _ => {}
            }
        }
    }

    /// Writes a batch of calls, of what came of them, and of whatever else.
    async fn commit_calls(&mut self, mut batch: Batch) -> Result<Mixups, JournalError> {
        let at = batch.at;
        let written = match self.doubt_same_ids(&mut batch).await {
            Ok(mixups) => self.commit(&mut batch).await.map(|()| mixups),
            Err(error) => Err(error),
        };
        if written.is_err() {
            // Nobody knows whether these are on record. What comes with them for somebody else is not theirs for certain.
            let ids = batch.settled.iter().map(|(_, settlement)| &settlement.ids);
            let ids = ids.filter(|ids| !ids.is_empty());
            self.doubted_ids.extend(ids.map(|ids| ids_json(ids)));
            return written;
        }
        let Batch { sent, settled, .. } = batch;
        for (id, _) in &settled {
            self.open.remove(id);
        }
        let sent = sent.into_iter().map(|(id, intent)| (id, (intent, at)));
        self.open.extend(sent);
        written
    }

    /// Writes a batch.
    async fn commit(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        let points = [
            (batch.claim.is_some(), "claim"),
            (!batch.start.moves.is_empty(), "moves"),
            (!batch.start.merges.is_empty(), "merges"),
            (!batch.sent.is_empty(), "intent"),
            (!batch.settled.is_empty(), "outcome"),
        ];
        let fail = |when: &str| {
            for (_, name) in points.iter().filter(|(is_in, _)| *is_in) {
                fail_point(&format!("{name}:{when}"));
            }
        };
        if batch.is_change() {
            batch.serial = Some(self.serial + 1);
        }
        // Where a commit fails, it may be on record all the same, or come there yet: no other batch has its serial.
        self.serial = batch.serial.unwrap_or(self.serial);
        let begun = (self.clock.uptime)();
        fail("before");
        self.lease.commit(batch).await?;
        self.freshness.renew(begun);
        fail("after");
        Ok(())
    }

    /// Notes that this run applies a saved plan, where the serial is the one that the plan was made at.
    ///
    /// The serial grows, whatever comes of the plan: so no plan that was saved before is applied after it, itself least of
    /// all, and not even where nothing else in the record changes.
    async fn claim(&mut self, plan: String, serial: u64) -> Result<u64, JournalError> {
        let found = self.serial;
        let mut batch = Batch {
            claim: (found == serial).then_some(plan),
            ..Batch::now(&self.clock)
        };
        self.commit(&mut batch).await?;
        Ok(found)
    }

    /// The ids that Spotler gave to a participation.
    async fn ids(&mut self, key: &Key) -> Result<Vec<ParticipationId>, JournalError> {
        let listed = self.lease.view().of_key(key).await?;
        Ok(listed.map_or_else(Vec::new, |listed| listed.ids))
    }

    /// Adds what a settlement changes.
    fn settle(
        &self,
        id: CallId,
        settlement: Settlement,
        batch: &mut Batch,
    ) -> Result<(), JournalError> {
        let (intent, sent_at) = self.open.get(&id).ok_or(JournalError::Closed)?;
        for (key, before) in &intent.affected {
            let (from, transition) = match settlement.outcome {
                CallOutcome::Trigger(outcome) => {
                    (State::Triggering, Move::Triggered(outcome, *before))
                }
                CallOutcome::Stop(outcome) => (State::Stopping, Move::Stopped(outcome, *before)),
                // A part of it is stopped, so that it neither runs as it did nor is stopped.
                CallOutcome::PartOfStop(StopOutcome::Stopped) => (
                    State::Stopping,
                    Move::Stopped(StopOutcome::Uncertain, *before),
                ),
                CallOutcome::PartOfStop(_) => continue,
            };
            // As before the call, so there is nothing to write.
            let Some(state) = after(Some(from), transition)? else {
                continue;
            };
            let is_trigger = from == State::Triggering;
            if is_trigger && is_planted(Planted::OutcomeLost) {
                continue;
            }
            // A stop that changed nothing, or a trigger that was not carried out and left an earlier doubt, or what runs out, as
            // it was. A trigger that fails as the one before it did was sent with fields and a code of its own, which the next
            // plan compares; and one that may have been carried out is a doubt of its own.
            let is_new = match settlement.outcome {
                CallOutcome::Trigger(TriggerOutcome::Uncertain) => true,
                CallOutcome::Trigger(TriggerOutcome::NotCarriedOut) => false,
                CallOutcome::Trigger(_) => !matches!(state, State::Uncertain | State::LetGo),
                CallOutcome::Stop(_) | CallOutcome::PartOfStop(_) => false,
            };
            if Some(state) == *before && !is_new {
                continue;
            }
            let detail = settlement.detail.clone();
            match is_trigger {
                true => batch.participations.push(Whole {
                    key: key.clone(),
                    state,
                    trigger_code: intent.trigger_code.clone(),
                    ids: settlement.ids.clone(),
                    fields: intent.fields,
                    detail,
                    triggered_at: Some(*sent_at),
                }),
                false => {
                    let detail = match intent.of_suppressed {
                        Some(by) if state == State::Stopped => Some(by.to_string()),
                        _ => detail,
                    };
                    let change = StateChange::new(key.clone(), *before, state, detail);
                    batch.states.push(change);
                }
            }
        }
        batch.settled.push((id, settlement));
        Ok(())
    }

    /// Puts in doubt whatever has the same ids as another contact's participation: answers that were not for their call.
    async fn doubt_same_ids(&mut self, batch: &mut Batch) -> Result<Mixups, JournalError> {
        let new: HashSet<&[ParticipationId]> = batch
            .settled
            .iter()
            .map(|(_, settlement)| settlement.ids.as_slice())
            .filter(|ids| !ids.is_empty())
            .collect();
        if new.is_empty() {
            return Ok(Mixups::new());
        }
        let new: Vec<String> = new.into_iter().map(ids_json).collect();
        let on_record = self.lease.view().with_ids(&new).await?;
        let mut on_record = on_record.collect::<Result<Vec<_>, _>>()?;
        // What is written anew has other ids from now on.
        on_record.retain(|listed| {
            let key = &listed.participation.key;
            batch.participations.iter().all(|whole| whole.key != *key)
        });
        let mut having: HashMap<String, Vec<Key>> = HashMap::new();
        let now = batch.participations.iter().map(|of| (&of.ids, &of.key));
        let then = on_record.iter().map(|of| (&of.ids, &of.participation.key));
        for (ids, key) in then.chain(now).filter(|(ids, _)| !ids.is_empty()) {
            having.entry(ids_json(ids)).or_default().push(key.clone());
        }
        let mut mixups = Mixups::new();
        for (id, settlement) in &mut batch.settled {
            let own = self
                .open
                .get(id)
                .and_then(|(intent, _)| intent.affected.first());
            let (Some((own, _)), false) = (own, settlement.ids.is_empty()) else {
                continue;
            };
            let ids = ids_json(&settlement.ids);
            let others = having.get(&ids).into_iter().flatten();
            let others = others.filter(|key| key.contact != own.contact);
            let others: Vec<Key> = others.cloned().collect();
            if !others.is_empty() || self.doubted_ids.contains(&ids) {
                settlement.outcome = CallOutcome::Trigger(TriggerOutcome::Uncertain);
                settlement.detail = Some(SAME_IDS.to_owned());
                mixups.push((*id, others));
                batch.doubted_ids.push(ids);
            }
        }
        let is_mixed = |ids: &[ParticipationId]| batch.doubted_ids.contains(&ids_json(ids));
        // Where there is nothing to doubt, the state stays.
        let doubted = |state| {
            after(Some(state), Move::Doubt)
                .ok()
                .flatten()
                .unwrap_or(state)
        };
        let then = on_record.iter().filter(|of| is_mixed(&of.ids));
        let then = then.map(|of| {
            (
                of.participation.key.clone(),
                doubted(of.participation.state),
            )
        });
        batch.doubts = then.collect();
        for whole in &mut batch.participations {
            if is_mixed(&whole.ids) {
                whole.state = doubted(whole.state);
                whole.detail = Some(SAME_IDS.to_owned());
                whole.ids.clear();
            }
        }
        self.doubted_ids.extend(batch.doubted_ids.iter().cloned());
        Ok(mixups)
    }
}

/// Answers one request.
enum Reply {
    /// That it is done.
    Done(Answer<()>),
    /// That a call is settled, and with whom it shares its ids.
    Settled(CallId, Answer<Option<Vec<Key>>>),
    /// That a call may be sent, and its number.
    Intended(CallId, Answer<CallId>),
}

impl Reply {
    fn give(self, result: &Result<Mixups, JournalError>) {
        let result = result.as_ref().map_err(JournalError::clone);
        // Who no longer waits for an answer needs none.
        match self {
            Reply::Done(reply) => drop(reply.send(result.map(drop))),
            Reply::Intended(id, reply) => drop(reply.send(result.map(|_| id))),
            Reply::Settled(id, reply) => {
                let of = |mixups: &Mixups| {
                    let found = mixups.iter().find(|(call, _)| *call == id);
                    found.map(|(_, others)| others.clone())
                };
                drop(reply.send(result.map(of)));
            }
        }
    }
}

/// Ids as they stand on record.
pub(super) fn ids_json(ids: &[ParticipationId]) -> String {
    let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    // A list of texts can always be written.
    serde_json::to_string(&ids).unwrap_or_default()
}

fn check_intent(intent: &Intent) -> Result<(), IllegalMove> {
    let transition = match intent.kind {
        CallKind::Trigger => Move::SendTrigger,
        CallKind::Stop => Move::SendStop,
    };
    let mut affected = intent.affected.iter();
    affected.try_for_each(|(_, before)| after(*before, transition).map(drop))
}

fn add(write: Write, batch: &mut Batch) -> Result<(), IllegalMove> {
    match write {
        Write::Change(changes) => return batch.change(changes),
        Write::Mark(marks) => batch.marks.extend(marks),
        Write::Sources(sources) => batch.sources.extend(sources),
        Write::Begin(start) => return batch.begin(start),
        Write::CountAnew => batch.counts_anew = true,
        Write::Forget(contact) => batch.forgotten.push(contact),
        Write::Nothing => {}
    }
    Ok(())
}
