//! The journal: what is about to be sent is durable before its first byte leaves, and its outcome before it is reported.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::call::{ApplyStart, CallId, Change, Intent, Settlement};
use super::error::JournalError;
use super::freshness::Freshness;
use super::guarded::SourceNote;
use super::participation::Key;
use crate::id::{ContactId, ParticipationId};

/// The way to write to the record; held by one run at a time.
#[derive(Clone)]
pub struct Journal {
    pub(super) requests: mpsc::UnboundedSender<Request>,
    pub(super) freshness: Arc<Freshness>,
}

/// Where the answer to a request goes.
pub(super) type Answer<T> = oneshot::Sender<Result<T, JournalError>>;

/// What is asked of the writer.
pub(super) enum Request {
    Intend(Intent, Answer<CallId>),
    Settle(CallId, Settlement, Answer<Option<Vec<Key>>>),
    Write(Write, Answer<()>),
    Claim(String, u64, Answer<u64>),
    Ids(Key, Answer<Vec<ParticipationId>>),
    Wipe(Answer<bool>),
}

/// What is written without a call.
pub(super) enum Write {
    Change(Vec<Change>),
    Mark(Vec<(Key, Option<Timestamp>)>),
    Sources(Vec<SourceNote>),
    Begin(ApplyStart),
    CountAnew,
    Forget(ContactId),
    /// Nothing but a sign of life.
    Nothing,
}

/// What came of a request, once it is durable.
#[must_use]
pub struct Durable<T>(oneshot::Receiver<Result<T, JournalError>>);

impl<T> Durable<T> {
    /// Waits for it.
    ///
    /// # Errors
    /// Why it is not on record.
    pub async fn wait(mut self) -> Result<T, JournalError> {
        self.ready().await
    }

    /// The same; it may be given up and begun again, until it has been answered.
    ///
    /// # Errors
    /// Why it is not on record.
    pub async fn ready(&mut self) -> Result<T, JournalError> {
        (&mut self.0).await.map_err(|_| JournalError::Closed)?
    }
}

impl Journal {
    fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Durable<T> {
        let (sender, receiver) = oneshot::channel();
        // Where the writer is gone, so is the other end of the answer.
        let _ = self.requests.send(request(sender));
        Durable(receiver)
    }

    async fn write(&self, write: Write) -> Result<(), JournalError> {
        self.ask(|reply| Request::Write(write, reply)).wait().await
    }

    /// Writes that a call is about to be sent. It is durable when this returns.
    ///
    /// # Errors
    /// Why it is not on record; the call must not be sent then.
    pub async fn intend(&self, intent: Intent) -> Result<CallId, JournalError> {
        self.ask(|reply| Request::Intend(intent, reply))
            .wait()
            .await
    }

    /// Says whether the lock was renewed so lately that a call may be begun. To be asked right before its first byte.
    pub fn freshness(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let freshness = self.freshness.clone();
        move || freshness.is_fresh()
    }

    /// Makes sure that the lock is held, and will be for as long as it takes to begin a call: it is renewed where it was not
    /// for a while, because the process was stopped or the machine slept.
    ///
    /// # Errors
    /// That it was lost; nothing may be sent then.
    pub async fn hold(&self) -> Result<(), JournalError> {
        while !self.freshness.is_fresh() {
            self.write(Write::Nothing).await?;
        }
        Ok(())
    }

    /// Writes what came of a call. It is on its way when this returns, before anything that is asked for later, and durable
    /// when that is waited for. Where it fails, the call stays open on record, and so is in doubt.
    ///
    /// What it gives, where another contact was given the same ids, are the participations that have them still: they and
    /// this one are in doubt now.
    pub fn settle(&self, call: CallId, settlement: Settlement) -> Durable<Option<Vec<Key>>> {
        self.ask(|reply| Request::Settle(call, settlement, reply))
    }

    /// Writes changes that need no call, all or none. They are durable when this returns.
    ///
    /// # Errors
    /// Why none of them is on record.
    pub async fn change(&self, changes: Vec<Change>) -> Result<(), JournalError> {
        self.write(Write::Change(changes)).await
    }

    /// Notes since when enrolments are gone, or that they are back. It is durable when this returns.
    ///
    /// # Errors
    /// Why none of it is on record.
    pub async fn mark(&self, marks: Vec<(Key, Option<Timestamp>)>) -> Result<(), JournalError> {
        self.write(Write::Mark(marks)).await
    }

    /// Notes how the sources are of which a plan is applied. It is durable when this returns.
    ///
    /// # Errors
    /// Why none of it is on record.
    pub async fn sources(&self, sources: Vec<SourceNote>) -> Result<(), JournalError> {
        self.write(Write::Sources(sources)).await
    }

    /// Writes what an apply begins with, all or nothing. It is durable when this returns.
    ///
    /// # Errors
    /// Why none of it is on record; nothing must be sent then.
    pub async fn begin(&self, start: ApplyStart) -> Result<(), JournalError> {
        self.write(Write::Begin(start)).await
    }

    /// Lets the guard's count of a day begin anew. It is durable when this returns.
    ///
    /// # Errors
    /// Why it is not on record.
    pub async fn count_anew(&self) -> Result<(), JournalError> {
        self.write(Write::CountAnew).await
    }

    /// Notes that this run applies a saved plan, which was made when the record had this serial. It is durable when this
    /// returns the same serial. Where it returns another one, the record has changed since: nothing is noted then, and the
    /// plan must not be applied.
    ///
    /// # Errors
    /// Why it is not on record; the plan must not be applied then.
    pub async fn claim(&self, plan: String, serial: u64) -> Result<u64, JournalError> {
        self.ask(|reply| Request::Claim(plan, serial, reply))
            .wait()
            .await
    }

    /// The ids that Spotler gave to a participation, as they are once all is written that was asked for before.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn ids(&self, key: Key) -> Result<Vec<ParticipationId>, JournalError> {
        self.ask(|reply| Request::Ids(key, reply)).wait().await
    }

    /// Erases all that is on record of a person, from the file too; the log beside it needs [`Journal::wipe`].
    ///
    /// # Errors
    /// Why nothing was erased.
    pub async fn forget(&self, contact: ContactId) -> Result<(), JournalError> {
        self.write(Write::Forget(contact)).await
    }

    /// Empties the log beside the record's file, which holds what was deleted lately. Returns whether that could be done:
    /// not while another program reads what it holds.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn wipe(&self) -> Result<bool, JournalError> {
        self.ask(Request::Wipe).wait().await
    }
}
