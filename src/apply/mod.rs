//! Plan → calls → outcomes.
//!
//! Every attempt is written to the record before its first byte leaves, and its outcome before it is reported. What
//! happens is reported as [`Event`]s; nothing is drawn here.

mod account;
mod caller;
mod gate;
mod meaning;
mod outcome;
mod worker;

pub use caller::{Caller, MaySend};
pub use gate::{End, Limits};
pub use outcome::{Event, Outcome, Run, Settled};

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::id::{AutomationName, TriggerCode};
use crate::participation::{Key, Move, State, SuppressedBy};
use crate::plan::{Action, Plan};
use crate::record::{Change, Journal, JournalError, SAME_IDS};
use crate::roster::Roster;
use account::Account;
use gate::Gate;
use worker::Worker;

/// All that an apply needs.
pub struct Job {
    /// What to do.
    pub plan: Arc<Plan>,
    /// Which part of it: where the guard refuses the rest, the stops of suppressed contacts are sent alone.
    pub part: Part,
    /// The enrolments that the plan's triggers are of.
    pub roster: Arc<Roster<'static>>,
    /// The configuration that both were made from.
    pub config: &'static Config,
    /// Spotler.
    pub caller: Arc<dyn Caller>,
    /// The way to write to the record.
    pub journal: Journal,
    /// How calls may be made.
    pub limits: Limits,
    /// When no more triggers are to be sent, or stops.
    pub closing: Closing,
    /// Cancelled when nothing new is to be sent: Ctrl-C or SIGTERM.
    pub interrupt: CancellationToken,
}

/// When the window for triggers closes, and when freezes begin: from then on nothing more is sent that has to wait.
#[derive(Debug, Default)]
pub struct Closing {
    /// When the window closes, which service mail does not keep to.
    pub window: Option<Instant>,
    /// When the triggers of each automation are frozen; empty where none will be.
    pub triggers: Vec<Option<Instant>>,
    /// The same of stops; the last one is of automations that are gone from the configuration.
    pub stops: Vec<Option<Instant>>,
}

/// What part of a plan is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The stops of suppressed contacts, and nothing else.
    StopsOfSuppressed,
}

/// Applies a plan.
///
/// Stops of suppressed contacts go first. Actions of one contact go one after the other, in the plan's order; different
/// contacts go side by side. Events are sent to `events`; when nobody reads them, the apply waits.
///
/// # Errors
/// That what needs no call could not be written to the record; nothing was sent then. All that happens later is in the
/// [`Run`].
pub async fn run(mut job: Job, events: mpsc::Sender<Event>) -> Result<Run, JournalError> {
    job.caller = job.caller.only_while(Arc::new(job.journal.freshness()));
    if job.part == Part::Whole {
        note(&job).await?;
    }
    let concurrency = job.limits.concurrency;
    let settled = vec![None; job.plan.actions.len()];
    let shared = Arc::new(Shared {
        gate: Gate::new(job.limits.clone()),
        account: Account::default(),
        cursor: Mutex::default(),
        parked: Mutex::default(),
        halted: Mutex::default(),
        halted_stops: Mutex::default(),
        mixed: Mutex::default(),
        settled: Mutex::new(settled),
        job,
    });
    let ending = tokio::spawn(report_the_end(shared.clone(), events.clone()));
    let workers: Vec<_> = (0..concurrency)
        .map(|_| tokio::spawn(Worker::new(shared.clone(), events.clone()).run()))
        .collect();
    let interrupt = tokio::spawn({
        let shared = shared.clone();
        async move {
            shared.job.interrupt.cancelled().await;
            shared.gate.end(End::Interrupted);
        }
    });
    for worker in workers {
        if let Err(error) = worker.await {
            // A bug in a worker: what it had under way stays open in the record, and so is known to be in doubt.
            shared.gate.end(End::Record {
                detail: format!("a worker failed: {error}"),
            });
        }
    }
    // Each holds what is shared until it has ended.
    interrupt.abort();
    let _ = interrupt.await;
    if shared.gate.why_ended().is_none() {
        ending.abort();
    }
    let _ = ending.await;
    for (action, settled) in shared.left_parked() {
        lock(&shared.settled)[action] = Some(settled.clone());
        // Where nobody listens any more, the record still knows.
        let _ = events.send(Event::Settled { action, settled }).await;
    }
    let mut settled = std::mem::take(&mut *lock(&shared.settled));
    for key in lock(&shared.mixed).iter() {
        if let Some(action) = shared.trigger_of(key) {
            settled[action] = Some(worker::mixed_up());
        }
    }
    Ok(Run {
        settled,
        end: shared.gate.why_ended(),
        strangers: shared.account.strangers(),
    })
}

/// Writes what needs no call: what is let go, what is withheld, and which enrolments went or came back.
async fn note(job: &Job) -> Result<(), JournalError> {
    // Who runs still by this clock may be let go.
    for chunk in job.plan.turns.chunks(1000) {
        let changes = chunk.iter().filter_map(|turn| {
            let (key, trigger_code) = turn.key(job.config, &job.roster)?;
            Some(Change {
                key,
                before: Some(turn.before),
                transition: turn.transition,
                trigger_code,
                fields: None,
            })
        });
        job.journal.change(changes.collect()).await?;
    }
    for chunk in job.plan.let_go.chunks(1000) {
        let changes = chunk.iter().map(|let_go| Change {
            key: let_go.participation.key.clone(),
            before: Some(let_go.participation.state),
            transition: Move::LetGo,
            trigger_code: let_go.participation.trigger_code.clone(),
            fields: let_go.participation.fields,
        });
        job.journal.change(changes.collect()).await?;
    }
    for chunk in job.plan.marks.chunks(1000) {
        let marks = chunk.iter().map(|mark| (mark.key.clone(), mark.left_at));
        job.journal.mark(marks.collect()).await?;
    }
    for chunk in job.plan.unlisted.chunks(1000) {
        let changes = chunk.iter().map(|(key, trigger_code)| Change {
            key: key.clone(),
            before: Some(State::Withheld),
            transition: Move::Withhold(SuppressedBy::default()),
            trigger_code: trigger_code.clone(),
            fields: None,
        });
        job.journal.change(changes.collect()).await?;
    }
    let news: Vec<_> = job
        .plan
        .withheld
        .iter()
        .filter(|of| of.is_to_be_noted())
        .collect();
    for chunk in news.chunks(1000) {
        let changes = chunk.iter().map(|withheld| Change {
            key: withheld.key.clone(),
            before: withheld.before,
            transition: Move::Withhold(withheld.by),
            trigger_code: withheld.trigger_code.clone(),
            fields: None,
        });
        job.journal.change(changes.collect()).await?;
    }
    Ok(())
}

async fn report_the_end(shared: Arc<Shared>, events: mpsc::Sender<Event>) {
    let end = shared.gate.ended().await;
    let _ = events.send(Event::Ending(end)).await;
}

/// What the workers share.
struct Shared {
    job: Job,
    gate: Gate,
    account: Account,
    /// What nobody has taken yet.
    cursor: Mutex<Cursor>,
    parked: Mutex<Vec<Parked>>,
    /// Automations of which no more triggers are sent in this run, and why. By index.
    halted: Mutex<HashMap<usize, String>>,
    /// Automations of which no more stops are sent in this run, and why: by the name and the code on record.
    halted_stops: Mutex<HashMap<(AutomationName, TriggerCode), String>>,
    settled: Mutex<Vec<Option<Settled>>>,
    /// Whose ids another contact was given too: what was reported of them before is in doubt.
    mixed: Mutex<Vec<Key>>,
}

/// Actions that wait until the account is seen to know any contact.
struct Parked {
    /// What is left of one contact.
    actions: Range<usize>,
    /// Where the stops end whose call could not be made, or said nothing.
    behind: usize,
    /// What is reported about these where it stays so.
    settled: Settled,
}

/// The next action, and whether the contacts of whom anything is suppressed, who go first, have all been taken.
#[derive(Default)]
struct Cursor {
    next: usize,
    is_behind_suppressed: bool,
}

impl Shared {
    /// Takes the next contact's actions; behind the last one, those that were put aside, once they can be done. Where stops of
    /// suppressed contacts are sent alone, it takes those of a contact that follow one another.
    fn next_contact(&self) -> Option<Range<usize>> {
        let actions = &self.job.plan.actions;
        let mut cursor = lock(&self.cursor);
        loop {
            let is_behind = cursor.is_behind_suppressed;
            let from = cursor.next;
            if from == actions.len() {
                if !is_behind && self.job.part == Part::Whole {
                    *cursor = Cursor {
                        next: 0,
                        is_behind_suppressed: true,
                    };
                    continue;
                }
                let mut parked = lock(&self.parked);
                return parked
                    .pop_if(|_| self.account.knows_any())
                    .map(|parked| parked.actions);
            }
            let contact = self.contact(&actions[from]);
            let is_next = |action: &&Action| {
                let is_of_part = self.job.part == Part::Whole
                    || action.is_of_suppressed() == actions[from].is_of_suppressed();
                is_of_part && self.contact(action) == contact
            };
            let to = from + actions[from..].iter().take_while(is_next).count();
            cursor.next = to;
            let is_of_suppressed = actions[from..to].iter().any(Action::is_of_suppressed);
            if is_of_suppressed != is_behind {
                return Some(from..to);
            }
        }
    }

    /// Takes note that an answer was not for its call: these participations have the same ids.
    fn mixed_up(&self, others: &[Key]) {
        lock(&self.mixed).extend_from_slice(others);
        // What may have an answer left over is not used again.
        self.job.caller.forget_connections();
        self.gate.mixed_up(SAME_IDS);
    }

    /// The place of the trigger of a participation.
    fn trigger_of(&self, key: &Key) -> Option<usize> {
        let occurrence = key.occurrence.as_ref().map(|o| o.as_str());
        self.job.plan.actions.iter().position(|action| {
            let Action::Trigger(trigger) = action else {
                return false;
            };
            let enrolment = self.job.roster.get(trigger.enrolment as usize);
            let automation = &self.job.config.automations[enrolment.automation];
            enrolment.contact == key.contact.as_str()
                && automation.name == key.automation
                && enrolment.occurrence == occurrence
        })
    }

    /// What is reported about the actions that were put aside and stay undone.
    fn left_parked(&self) -> Vec<(usize, Settled)> {
        let parked = std::mem::take(&mut *lock(&self.parked));
        let reported = parked.into_iter().flat_map(|parked| {
            let Parked {
                actions,
                behind,
                settled,
            } = parked;
            let waits = "the stop before it is not certain";
            actions.map(move |action| match action < behind {
                true => (action, settled.clone()),
                false => (action, Settled::because(Outcome::NotSent, waits)),
            })
        });
        reported.collect()
    }

    /// Why triggers of an automation have to wait by now, where they do.
    fn waits(&self, automation: usize) -> Option<&'static str> {
        let (closing, config) = (&self.job.closing, self.job.config);
        let window = closing
            .window
            .filter(|_| !config.automations[automation].is_service());
        if is_over(window) {
            return Some("the window for triggers closed during the run");
        }
        let frozen = closing.triggers.get(automation).copied().flatten();
        is_over(frozen).then_some(FROZEN_MEANWHILE)
    }

    /// The same of stops, of an automation by its name.
    fn stops_wait(&self, automation: &AutomationName) -> Option<&'static str> {
        let stops = &self.job.closing.stops;
        if stops.is_empty() {
            return None;
        }
        let mut automations = self.job.config.automations.iter();
        let place = automations.position(|of| of.name == *automation);
        let until = stops.get(place.unwrap_or(stops.len() - 1)).copied();
        is_over(until.flatten()).then_some(FROZEN_MEANWHILE)
    }

    fn contact<'a>(&'a self, action: &'a Action) -> &'a str {
        match action {
            Action::Stop(stop) => stop.participation.key.contact.as_str(),
            Action::Trigger(trigger) => self.job.roster.get(trigger.enrolment as usize).contact,
        }
    }
}

const FROZEN_MEANWHILE: &str = "a freeze began during the run";

fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics while it holds one of these.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
