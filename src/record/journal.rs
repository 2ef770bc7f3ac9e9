//! The journal: what is about to be sent is durable before its first byte leaves, and what came of it before it is told.
//!
//! One thread owns the connection that writes. It takes all requests that wait and writes them in one transaction, so that
//! durability costs one flush for many calls. It speaks to SQLite without any layer in between: a layer that passes every
//! statement to a thread of its own costs more than the statement.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::counts::SourceNote;
use super::error::{JournalError, LockError, RecordError, explain_native};
use super::file_id::FileId;
use super::guarded::{AppliedWith, count_anew, make_moves, set_moved, upsert_applied};
use super::identity::{self, Found};
use super::lease::{self, Lease};
use super::lock::{self, Acquired, Lock, LockRequest};
use super::mixup::{self, Mixups};
use super::names::Names;
use super::open::beside;
use super::participation::{
    Before, Key, Move, SUPPRESSED, State, StopOutcome, TriggerOutcome, after,
};
use super::plans;
use super::read::read_ids_of;
use super::recover::{self, LeftOpen};
use super::write::{
    ParticipationRow, StateRow, delete_contacts, insert_intents, update_calls, update_marks,
    update_states, upsert_participations, upsert_sources,
};
use crate::digest::Digest;
use crate::failpoint::fail_point;
use crate::id::{AutomationName, ContactId, ParticipationId, RecordId, TriggerCode};

/// So many requests are written in one transaction at the most.
const BATCH: usize = 512;

/// How long to wait for a reader that keeps the log from being emptied.
const WIPE_PATIENCE: Duration = Duration::from_secs(5);

/// How often the lock's heartbeat is renewed where nothing else writes.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How many pages (4 KiB each) the log may grow to before it is written back.
const CHECKPOINT_PAGES: i64 = 8_192;

/// What kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// A trigger.
    Trigger,
    /// A stop.
    Stop,
}

impl CallKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            CallKind::Trigger => "trigger",
            CallKind::Stop => "stop",
        }
    }
}

/// A call that is about to be sent.
#[derive(Debug, Clone)]
pub struct Intent {
    /// What kind.
    pub kind: CallKind,
    /// What it is for, with the states before it: one for a trigger, and one or several of one contact and automation
    /// for a stop. Never empty.
    pub affected: Vec<(Key, Before)>,
    /// Whether it stops all of the contact's participations in the automation.
    pub all: bool,
    /// The trigger code that it goes to.
    pub trigger_code: TriggerCode,
    /// The one participation that it stops, where it is for one.
    pub participation: Option<ParticipationId>,
    /// The digest of the fields that are sent.
    pub fields: Option<Digest>,
    /// Whether it stops what is of a suppressed contact, which is kept: who is suppressed no longer is released.
    pub of_suppressed: bool,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// Of a trigger.
    Trigger(TriggerOutcome),
    /// Of a stop.
    Stop(StopOutcome),
    /// Of a stop that is one of several for the same participation, and not the last: the participation is not stopped
    /// by it, and where the part is, no longer as it was.
    PartOfStop(StopOutcome),
}

impl CallOutcome {
    /// The word for it, in the history.
    pub fn as_str(self) -> &'static str {
        match self {
            CallOutcome::Trigger(outcome) => match outcome {
                TriggerOutcome::Active => "active",
                TriggerOutcome::Refused => "refused",
                TriggerOutcome::Failed => "failed",
                TriggerOutcome::FailedForGood => "failed-for-good",
                TriggerOutcome::Waiting => "waiting",
                TriggerOutcome::Uncertain => "uncertain",
                TriggerOutcome::NotCarriedOut => "not-carried-out",
            },
            CallOutcome::Stop(outcome) | CallOutcome::PartOfStop(outcome) => match outcome {
                StopOutcome::Stopped => "stopped",
                StopOutcome::Failed => "stop-failed",
                StopOutcome::Uncertain => "stop-uncertain",
                StopOutcome::NotCarriedOut => "not-carried-out",
            },
        }
    }
}

/// What came of a call, with what is kept of the answer.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// What came of it.
    pub outcome: CallOutcome,
    /// The HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// Why, in the words of the wire.
    pub detail: Option<String>,
    /// What each published automation answered, as a JSON array.
    pub entries: Option<String>,
    /// The participations that started.
    pub ids: Vec<ParticipationId>,
}

/// A change of a participation without a call.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which participation.
    pub key: Key,
    /// The state before.
    pub before: Before,
    /// What happens to it.
    pub mv: Move,
    /// Its trigger code.
    pub trigger_code: TriggerCode,
    /// The digest of its fields, where they are known.
    pub fields: Option<Digest>,
}

/// What an apply begins with.
#[derive(Debug, Clone, Default)]
pub struct ApplyStart {
    /// Participations that take another name, in steps from one name to another, in this order.
    pub moves: Vec<(AutomationName, AutomationName)>,
    /// What automations are applied with.
    pub applied: Vec<(AutomationName, AppliedWith)>,
    /// The `[[moved]]` blocks that are applied, from and to, where they are others than at the last apply.
    pub moved: Option<Vec<(AutomationName, AutomationName)>>,
}

impl ApplyStart {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.applied.is_empty() && self.moved.is_none()
    }
}

/// The number of a call on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub(super) i64);

/// The way to write to the record; held by one run at a time.
#[derive(Clone)]
pub struct Journal {
    requests: mpsc::Sender<Request>,
    lease: Arc<Lease>,
}

enum Request {
    Intend(Intent, oneshot::Sender<Result<CallId, JournalError>>),
    Settle(
        CallId,
        Settlement,
        oneshot::Sender<Result<Option<Vec<Key>>, JournalError>>,
    ),
    Change(Vec<Change>, oneshot::Sender<Result<(), JournalError>>),
    Mark(
        Vec<(Key, Option<Timestamp>)>,
        oneshot::Sender<Result<(), JournalError>>,
    ),
    Sources(Vec<SourceNote>, oneshot::Sender<Result<(), JournalError>>),
    Begin(ApplyStart, oneshot::Sender<Result<(), JournalError>>),
    CountAnew(oneshot::Sender<Result<(), JournalError>>),
    Forget(ContactId, oneshot::Sender<Result<(), JournalError>>),
    Ids(
        Key,
        oneshot::Sender<Result<Vec<ParticipationId>, JournalError>>,
    ),
    Wipe(oneshot::Sender<Result<bool, JournalError>>),
    Claim(String, u64, oneshot::Sender<Result<u64, JournalError>>),
    Renew(oneshot::Sender<Result<(), JournalError>>),
    Deliver(UnboundedSender<Answers>),
}

/// The lock and the thread behind a [`Journal`].
pub struct Writing {
    journal: Journal,
    begun: Begun,
    ended: oneshot::Receiver<Result<(), JournalError>>,
    left_open: Vec<LeftOpen>,
    calls_before: u64,
}

/// Which record is written to.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    /// Its id.
    pub id: RecordId,
    /// Whether it was made just now.
    pub is_made: bool,
}

impl Writing {
    /// Takes the lock of a record, makes or migrates it, and settles as uncertain what an earlier run left open.
    ///
    /// # Errors
    /// Who holds the lock, or what is wrong with the record.
    pub async fn begin(path: &Path, request: LockRequest) -> Result<Self, LockError> {
        let (acquired, found) = lock::acquire_right(path, &request).await?;
        let Acquired {
            lock,
            mut connection,
            is_made,
        } = acquired;
        let left_open = recover::recover(path, &mut connection, &lock).await?;
        // Two connections of one process do not stand in each other's way; one is enough all the same.
        let _ = sqlx::Connection::close(connection).await;
        let begun = Begun {
            id: found.id,
            is_made,
        };
        let mut writer = Writer::begin(path, lock, &request, &found)?;
        let calls_before = u64::try_from(writer.next_call - 1).unwrap_or(0);
        let lease = writer.lease.clone();
        let (sender, receiver) = mpsc::channel();
        let (ends, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                writer.run(&receiver);
                // Who no longer waits for it need not know.
                let _ = ends.send(writer.finish());
            })
            .map_err(|error| RecordError::Io {
                path: path.to_owned(),
                error,
            })?;
        Ok(Self {
            journal: Journal {
                requests: sender,
                lease,
            },
            begun,
            ended,
            left_open,
            calls_before,
        })
    }

    /// How many calls were ever made by the record.
    pub fn calls_before(&self) -> u64 {
        self.calls_before
    }

    /// The calls that an earlier run left open, and that are in doubt now.
    pub fn left_open(&self) -> &[LeftOpen] {
        &self.left_open
    }

    /// The way to write.
    pub fn journal(&self) -> Journal {
        self.journal.clone()
    }

    /// Which record this is.
    pub fn begun(&self) -> Begun {
        self.begun
    }

    /// Waits until all is written, and gives the lock back. All clones of the journal must be gone.
    ///
    /// # Errors
    /// That the record was deleted or replaced meanwhile, so that nothing of the run is on record.
    pub async fn end(self) -> Result<(), JournalError> {
        let Self { journal, ended, .. } = self;
        drop(journal);
        // Where the thread failed, the lock goes with its process.
        ended.await.unwrap_or(Err(JournalError::Closed))
    }
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
    fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, JournalError>>) -> Request,
    ) -> Durable<T> {
        let (sender, receiver) = oneshot::channel();
        // Where the writer is gone, so is the other end of the answer.
        let _ = self.requests.send(request(sender));
        Durable(receiver)
    }

    /// Gives their answers to those who wait for them, as long as there is a journal. To be run beside them, on the same
    /// thread: what became durable together then wakes that thread once, and not once for each of them.
    pub fn deliver(&self) -> impl Future<Output = ()> + use<> {
        let (sender, mut answers) = unbounded_channel();
        // Where the writer is gone, so is the other end of the answers.
        let _ = self.requests.send(Request::Deliver(sender));
        async move {
            while let Some(answers) = answers.recv().await {
                answers.give();
            }
        }
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
        let lease = self.lease.clone();
        move || lease.is_fresh()
    }

    /// Makes sure that the lock is held, and will be for as long as it takes to begin a call: it is renewed where it was not
    /// for a while, because the process was stopped or the machine slept.
    ///
    /// # Errors
    /// That it was lost; nothing may be sent then.
    pub async fn hold(&self) -> Result<(), JournalError> {
        while !self.lease.is_fresh() {
            self.ask(Request::Renew).wait().await?;
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
        self.ask(|reply| Request::Change(changes, reply))
            .wait()
            .await
    }

    /// Notes since when enrolments are gone, or that they are back. It is durable when this returns.
    ///
    /// # Errors
    /// Why none of it is on record.
    pub async fn mark(&self, marks: Vec<(Key, Option<Timestamp>)>) -> Result<(), JournalError> {
        self.ask(|reply| Request::Mark(marks, reply)).wait().await
    }

    /// Notes how the sources are of which a plan is applied. It is durable when this returns.
    ///
    /// # Errors
    /// Why none of it is on record.
    pub async fn sources(&self, sources: Vec<SourceNote>) -> Result<(), JournalError> {
        self.ask(|reply| Request::Sources(sources, reply))
            .wait()
            .await
    }

    /// Writes what an apply begins with, all or nothing. It is durable when this returns.
    ///
    /// # Errors
    /// Why none of it is on record; nothing must be sent then.
    pub async fn begin(&self, start: ApplyStart) -> Result<(), JournalError> {
        self.ask(|reply| Request::Begin(start, reply)).wait().await
    }

    /// Lets the guard's count of a day begin anew. It is durable when this returns.
    ///
    /// # Errors
    /// Why it is not on record.
    pub async fn count_anew(&self) -> Result<(), JournalError> {
        self.ask(Request::CountAnew).wait().await
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
        self.ask(|reply| Request::Forget(contact, reply))
            .wait()
            .await
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

/// Answers one request.
enum Reply {
    /// That it is done.
    Done(oneshot::Sender<Result<(), JournalError>>),
    /// That a call is settled, and with whom it shares its ids.
    Settled(
        CallId,
        oneshot::Sender<Result<Option<Vec<Key>>, JournalError>>,
    ),
    /// That a call may be sent, and its number.
    Intended(CallId, oneshot::Sender<Result<CallId, JournalError>>),
}

impl Reply {
    fn give(self, result: &Result<Mixups, JournalError>) {
        let failed = |error: &JournalError| error.clone();
        let result = result.as_ref().map_err(failed);
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

/// The answers to what became durable together, or did not.
struct Answers {
    replies: Vec<Reply>,
    result: Result<Mixups, JournalError>,
}

impl Answers {
    fn give(self) {
        for reply in self.replies {
            reply.give(&self.result);
        }
    }
}

/// Which of the journal's own errors ends the writer for good.
struct Fenced;

struct Writer {
    connection: Connection,
    /// The files that it must stay in.
    files: Files,
    id: RecordId,
    serial: u64,
    lock: Lock,
    lease: Arc<Lease>,
    names: Names,
    run: i64,
    next_call: i64,
    /// The calls under way, and when they were sent, in milliseconds since 1970.
    open: HashMap<CallId, (Intent, i64)>,
    /// Who gives answers in place of this thread.
    delivery: Option<UnboundedSender<Answers>>,
}

/// The rows of one transaction.
#[derive(Default)]
struct Rows {
    intents: Vec<(CallId, Intent)>,
    settlements: Vec<(CallId, Settlement)>,
    participations: Vec<ParticipationRow>,
    states: Vec<StateRow>,
    marks: Vec<(Key, Option<Timestamp>)>,
    sources: Vec<SourceNote>,
    start: ApplyStart,
    counts_anew: bool,
    forgotten: Vec<ContactId>,
}

impl Writer {
    fn begin(
        path: &Path,
        lock: Lock,
        request: &LockRequest,
        found: &Found,
    ) -> Result<Self, RecordError> {
        let failed = |error| RecordError::native(path, "written", error);
        let leased = lock.leased;
        let connection = open(path).map_err(failed)?;
        if request.purpose.marks() {
            identity::mark(path, &connection, request, found).map_err(failed)?;
        }
        let names = Names::read(path, &connection)?;
        let next_call = connection
            .query_row("SELECT coalesce(max(id), 0) + 1 FROM call", [], |row| {
                row.get(0)
            })
            .map_err(failed)?;
        let inserted = connection.execute(
            "INSERT INTO run (command, started_at, host, pid, version, config_digest, git_revision) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                request.command,
                Timestamp::now().as_millisecond(),
                lock::this_host(),
                std::process::id(),
                env!("CARGO_PKG_VERSION"),
                request.config_digest,
                request.git_revision,
            ],
        );
        inserted.map_err(failed)?;
        let run = connection.last_insert_rowid();
        let serial: i64 = connection
            .query_row("SELECT serial FROM meta", [], |row| row.get(0))
            .map_err(failed)?;
        let serial = u64::try_from(serial).unwrap_or(0);
        lock.witness(found.id, serial);
        Ok(Self {
            connection,
            files: Files::of(path),
            id: found.id,
            serial,
            lock,
            lease: Arc::new(Lease::since(leased)),
            names,
            run,
            next_call,
            open: HashMap::new(),
            delivery: None,
        })
    }

    /// Writes what is asked for until nobody can ask any more.
    fn run(&mut self, requests: &mpsc::Receiver<Request>) {
        loop {
            match requests.recv_timeout(HEARTBEAT) {
                Ok(first) => {
                    let rest = requests.try_iter().take(BATCH - 1);
                    self.write(std::iter::once(first).chain(rest).collect());
                }
                // A failed heartbeat is noticed by the next transaction, which checks the lock itself.
                Err(RecvTimeoutError::Timeout) => {
                    let now = Timestamp::now().as_millisecond();
                    let _ = self.transaction(now, &Rows::default());
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Ends the run and gives the lock back. Where that fails, the next run takes it over.
    fn finish(mut self) -> Result<(), JournalError> {
        if let Err(error) = self.files.check() {
            // What is left of it is not written over.
            let config = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            let _ = self.connection.set_db_config(config, true);
            return Err(error);
        }
        let _ = self.connection.execute(
            "UPDATE run SET ended_at = ? WHERE id = ?",
            params![Timestamp::now().as_millisecond(), self.run],
        );
        // What the file has then needs no log beside it. Where somebody reads, the log stays.
        let _ = self.checkpoint(Duration::ZERO);
        self.lock.give_back(self.connection);
        Ok(())
    }

    /// Writes all requests of a batch in one transaction, and answers them.
    fn write(&mut self, batch: Vec<Request>) {
        let now = Timestamp::now().as_millisecond();
        let mut rows = Rows::default();
        let mut wipes = Vec::new();
        let mut claims = Vec::new();
        let mut questions = Vec::new();
        let mut replies: Vec<Reply> = Vec::with_capacity(batch.len());
        for request in batch {
            match request {
                Request::Intend(intent, reply) => match check_intent(&intent) {
                    Ok(()) => {
                        let id = CallId(self.next_call);
                        self.next_call += 1;
                        rows.intents.push((id, intent));
                        replies.push(Reply::Intended(id, reply));
                    }
                    Err(error) => {
                        let _ = reply.send(Err(error));
                    }
                },
                Request::Settle(id, settlement, reply) => {
                    match self.settle_rows(id, settlement, &mut rows) {
                        Ok(()) => replies.push(Reply::Settled(id, reply)),
                        Err(error) => {
                            let _ = reply.send(Err(error));
                        }
                    }
                }
                Request::Change(changes, reply) => match change_rows(changes, now, &mut rows) {
                    Ok(()) => replies.push(Reply::Done(reply)),
                    Err(error) => {
                        let _ = reply.send(Err(error));
                    }
                },
                Request::Mark(marks, reply) => {
                    rows.marks.extend(marks);
                    replies.push(Reply::Done(reply));
                }
                Request::Renew(reply) => replies.push(Reply::Done(reply)),
                Request::Ids(key, reply) => questions.push((key, reply)),
                Request::Deliver(sender) => self.delivery = Some(sender),
                Request::Wipe(reply) => wipes.push(reply),
                Request::Claim(plan, serial, reply) => claims.push((plan, serial, reply)),
                Request::Sources(sources, reply) => {
                    rows.sources.extend(sources);
                    replies.push(Reply::Done(reply));
                }
                Request::Begin(start, reply) => {
                    rows.start.moves.extend(start.moves);
                    rows.start.applied.extend(start.applied);
                    rows.start.moved = start.moved.or(rows.start.moved.take());
                    replies.push(Reply::Done(reply));
                }
                Request::CountAnew(reply) => {
                    rows.counts_anew = true;
                    replies.push(Reply::Done(reply));
                }
                Request::Forget(contact, reply) => {
                    rows.forgotten.push(contact);
                    replies.push(Reply::Done(reply));
                }
            }
        }
        if !replies.is_empty() {
            self.write_rows(now, rows, replies);
        }
        for (key, reply) in questions {
            let ids = read_ids_of(&self.connection, &key);
            // Who no longer waits for an answer needs none.
            let _ = reply.send(ids.map_err(|error| JournalError::Sql(explain_native(&error))));
        }
        for (plan, serial, reply) in claims {
            // Who no longer waits for an answer needs none.
            let _ = reply.send(self.claim(&plan, serial));
        }
        for reply in wipes {
            let result = self.checkpoint(WIPE_PATIENCE);
            // Who no longer waits for an answer needs none.
            let _ = reply.send(result.map_err(|error| JournalError::Sql(explain_native(&error))));
        }
    }

    fn write_rows(&mut self, now: i64, rows: Rows, replies: Vec<Reply>) {
        let result = self.transaction(now, &rows);
        if result.is_ok() {
            for (id, _) in &rows.settlements {
                self.open.remove(id);
            }
            let sent = rows.intents.into_iter();
            self.open
                .extend(sent.map(|(id, intent)| (id, (intent, now))));
        }
        let answers = Answers { replies, result };
        match &self.delivery {
            None => answers.give(),
            Some(delivery) => {
                if let Err(returned) = delivery.send(answers) {
                    // Who delivered is gone; who waits may still be there.
                    returned.0.give();
                }
            }
        }
    }

    fn claim(&mut self, plan: &str, serial: u64) -> Result<u64, JournalError> {
        let sql = |error| JournalError::Sql(explain_native(&error));
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sql)?;
        if !self.lock.proves(&tx).map_err(sql)? {
            return Err(JournalError::LockLost);
        }
        let found = plans::claim(&tx, self.run, plan, serial).map_err(sql)?;
        fail_point("claim:before");
        tx.commit().map_err(sql)?;
        if found == serial {
            self.serial += 1;
            self.lock.witness(self.id, self.serial);
        }
        fail_point("claim:after");
        Ok(found)
    }

    /// Writes the log back to the file and empties it, unless somebody reads what it holds for longer than that.
    fn checkpoint(&mut self, patience: Duration) -> rusqlite::Result<bool> {
        self.connection.busy_timeout(patience)?;
        // What was deleted is overwritten in the file (secure_delete) once the log is written back.
        let is_busy: i64 =
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(is_busy == 0)
    }

    /// Works out what a settlement changes.
    fn settle_rows(
        &self,
        id: CallId,
        settlement: Settlement,
        rows: &mut Rows,
    ) -> Result<(), JournalError> {
        let (intent, sent_at) = self.open.get(&id).ok_or(JournalError::Closed)?;
        for (key, before) in &intent.affected {
            let (from, mv, is_trigger) = match settlement.outcome {
                CallOutcome::Trigger(outcome) => {
                    (State::Triggering, Move::Triggered(outcome, *before), true)
                }
                CallOutcome::Stop(outcome) => {
                    (State::Stopping, Move::Stopped(outcome, *before), false)
                }
                // A part of it is stopped, so that it neither runs as it did nor is stopped.
                CallOutcome::PartOfStop(StopOutcome::Stopped) => {
                    let mv = Move::Stopped(StopOutcome::Uncertain, *before);
                    (State::Stopping, mv, false)
                }
                CallOutcome::PartOfStop(_) => continue,
            };
            let state = after(Some(from), mv)?;
            match state {
                // As before the call, so there is nothing to write.
                None => {}
                // A stop that changed nothing, or a trigger that left an earlier doubt as it was. A trigger that fails as
                // the one before it did was sent with fields and a code of its own, which the next plan compares.
                Some(state)
                    if Some(state) == *before
                        && (!is_trigger
                            || state == State::Uncertain
                            || settlement.outcome
                                == CallOutcome::Trigger(TriggerOutcome::NotCarriedOut)) => {}
                Some(state) if is_trigger => rows.participations.push(ParticipationRow {
                    key: key.clone(),
                    state,
                    trigger_code: intent.trigger_code.clone(),
                    ids: ids_json(&settlement.ids),
                    fields: intent.fields,
                    detail: settlement.detail.clone(),
                    triggered_at: Some(*sent_at),
                }),
                Some(state) => rows.states.push(StateRow {
                    key: key.clone(),
                    before: *before,
                    state,
                    detail: match intent.of_suppressed && state == State::Stopped {
                        true => Some(SUPPRESSED.to_owned()),
                        false => settlement.detail.clone(),
                    },
                }),
            }
        }
        rows.settlements.push((id, settlement));
        Ok(())
    }

    fn transaction(&mut self, now: i64, rows: &Rows) -> Result<Mixups, JournalError> {
        // SQLite would go on to write to a file that nobody can open any more.
        if let Err(error) = self.files.check() {
            self.names.rolled_back();
            return Err(error);
        }
        let begun = lease::now();
        let result = self.try_transaction(now, rows);
        match result {
            Ok(Ok(_)) => {
                self.names.committed();
                self.lease.renew(begun);
            }
            _ => self.names.rolled_back(),
        }
        match result {
            Ok(Ok(mixups)) => Ok(mixups),
            Ok(Err(Fenced)) => Err(JournalError::LockLost),
            Err(error) => Err(JournalError::Sql(explain_native(&error))),
        }
    }

    fn try_transaction(
        &mut self,
        now: i64,
        rows: &Rows,
    ) -> rusqlite::Result<Result<Mixups, Fenced>> {
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !self.lock.proves(&tx)? {
            return Ok(Err(Fenced));
        }
        let names = &mut self.names;
        // Nothing is sent before it is durable, so that all the other rows have the new names.
        make_moves(&tx, names, &rows.start.moves)?;
        upsert_applied(&tx, &rows.start.applied)?;
        if let Some(blocks) = &rows.start.moved {
            set_moved(&tx, blocks)?;
        }
        insert_intents(&tx, names, self.run, now, &rows.intents)?;
        update_calls(&tx, now, &rows.settlements)?;
        upsert_participations(&tx, names, now, &rows.participations)?;
        let mut mixups = Mixups::new();
        for (id, settlement) in &rows.settlements {
            if let (Some(ids), Some((intent, _))) = (ids_json(&settlement.ids), self.open.get(id))
                && let Some((key, _)) = intent.affected.first()
                && let Some(others) = mixup::find(&tx, names, &ids, key)?
            {
                mixups.push((*id, others));
            }
        }
        for (id, settlement) in &rows.settlements {
            if mixups.iter().any(|(mixed, _)| mixed == id)
                && let Some(ids) = ids_json(&settlement.ids)
            {
                mixup::doubt(&tx, now, *id, &ids)?;
            }
        }
        update_states(&tx, names, now, &rows.states)?;
        update_marks(&tx, names, now, &rows.marks)?;
        upsert_sources(&tx, now, &rows.sources)?;
        delete_contacts(&tx, &rows.forgotten)?;
        if rows.counts_anew {
            count_anew(&tx, now)?;
        }
        // A call that may be sent is a change too: a record that does not know of it is an old one.
        let is_changed = !rows.intents.is_empty()
            || !rows.start.moves.is_empty()
            || !rows.participations.is_empty()
            || !rows.states.is_empty()
            || !rows.marks.is_empty()
            || !rows.forgotten.is_empty();
        if is_changed {
            tx.prepare_cached("UPDATE meta SET serial = serial + 1")?
                .execute([])?;
        }
        if !rows.start.moves.is_empty() {
            fail_point("moves:before");
        }
        if !rows.intents.is_empty() {
            fail_point("intent:before");
        }
        if !rows.settlements.is_empty() {
            fail_point("outcome:before");
        }
        tx.commit()?;
        if is_changed {
            self.serial += 1;
            self.lock.witness(self.id, self.serial);
        }
        if !rows.start.moves.is_empty() {
            fail_point("moves:after");
        }
        if !rows.intents.is_empty() {
            fail_point("intent:after");
        }
        if !rows.settlements.is_empty() {
            fail_point("outcome:after");
        }
        Ok(Ok(mixups))
    }
}

/// The files of a record, which stay what they were when it was opened.
struct Files {
    path: PathBuf,
    wal: PathBuf,
    was: (Option<FileId>, Option<FileId>),
    /// The record only grows.
    len: u64,
}

impl Files {
    fn of(path: &Path) -> Self {
        let wal = beside(path, "-wal");
        Self {
            was: (FileId::of(path), FileId::of(&wal)),
            len: std::fs::metadata(path).map_or(0, |meta| meta.len()),
            path: path.to_owned(),
            wal,
        }
    }

    /// Checks that nobody deleted, replaced or cut the record meanwhile.
    fn check(&mut self) -> Result<(), JournalError> {
        let gone = || JournalError::Gone(self.path.clone());
        let meta = std::fs::metadata(&self.path).map_err(|_| gone())?;
        let now = (Some(FileId::from(&meta)), FileId::of(&self.wal));
        if now != self.was || meta.len() < self.len {
            return Err(gone());
        }
        self.len = meta.len();
        Ok(())
    }
}

/// Opens the journal's own connection to a record that is made, migrated and locked.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(super::open::BUSY)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "secure_delete", true)?;
    // A call must not be forgotten in a power cut: every commit is on the disk before it is believed.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Pages that change with every transaction are written back once for many of them.
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(connection)
}

fn check_intent(intent: &Intent) -> Result<(), JournalError> {
    let mv = match intent.kind {
        CallKind::Trigger => Move::SendTrigger,
        CallKind::Stop => Move::SendStop,
    };
    for (_, before) in &intent.affected {
        after(*before, mv)?;
    }
    Ok(())
}

fn change_rows(changes: Vec<Change>, now: i64, rows: &mut Rows) -> Result<(), JournalError> {
    // All are checked before any is taken.
    let states = changes
        .iter()
        .map(|change| after(change.before, change.mv))
        .collect::<Result<Vec<_>, _>>()?;
    for (change, state) in changes.into_iter().zip(states) {
        let Some(state) = state else { continue };
        // An adopted participation takes its code and fields from the configuration of now, and counts as triggered now:
        // the contact may have had its first mail a moment ago. Who is withheld had none.
        if change.before.is_none() || change.mv == Move::Adopt {
            rows.participations.push(ParticipationRow {
                key: change.key,
                state,
                trigger_code: change.trigger_code,
                ids: None,
                fields: change.fields,
                detail: None,
                triggered_at: (change.mv == Move::Adopt).then_some(now),
            });
        } else {
            rows.states.push(StateRow {
                key: change.key,
                before: change.before,
                state,
                detail: None,
            });
        }
    }
    Ok(())
}

fn ids_json(ids: &[ParticipationId]) -> Option<String> {
    (!ids.is_empty())
        .then(|| serde_json::to_string(ids).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::super::identity::Expected;
    use super::super::lock::Purpose;
    use super::*;

    #[tokio::test]
    async fn a_run_that_slept_too_long_sends_only_while_the_lock_is_still_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollcall.db");
        let request = LockRequest {
            command: "apply".to_owned(),
            timeout: Duration::ZERO,
            config_digest: None,
            git_revision: None,
            expected: Expected::default(),
            purpose: Purpose::Act,
            may_begin: true,
        };
        let writing = Writing::begin(&path, request).await.unwrap();
        let journal = writing.journal();
        let is_fresh = journal.freshness();
        let sleep = || journal.lease.renew(Duration::ZERO);
        // Where nobody took it meanwhile, it is renewed.
        sleep();
        journal.hold().await.unwrap();
        assert!(is_fresh());
        let thief = Connection::open(&path).unwrap();
        thief.busy_timeout(Duration::from_secs(5)).unwrap();
        let stolen = thief.execute("UPDATE lock SET holder = 'somebody else'", []);
        assert_eq!(stolen, Ok(1));
        sleep();
        assert!(matches!(journal.hold().await, Err(JournalError::LockLost)));
        assert!(!is_fresh());
    }
}
