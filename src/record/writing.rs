//! Beginning to write: the lock is taken, the record is the right one, and what a run before left open is settled.

use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;

use super::batch::{Batch, RunStep};
use super::error::{JournalError, LockError, RecordError};
use super::identity::{self, Doubt, Expected, Found};
use super::journal::Journal;
use super::read::{Record, open_calls};
use super::recovery::LeftOpen;
use super::store::{Acquired, Lease};
use super::writer::Writer;
use crate::failpoint::fail_point;
use crate::id::RecordId;

/// Who wants to write, and for how long to wait for it.
#[derive(Debug, Clone)]
pub struct LockRequest {
    /// The command, for those who wait.
    pub command: String,
    /// How long to wait for another holder.
    pub timeout: Duration,
    /// The digest of the configuration that the run works by.
    pub config_digest: Option<String>,
    /// The Git revision of the configuration, if there is one.
    pub git_revision: Option<String>,
    /// What it expects of the record.
    pub expected: Expected,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether a record is begun where there is none. Where nobody said so, one that is not there was lost.
    pub may_begin: bool,
}

/// What a run writes for, and so which doubts about the record it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To act by the record. It must be the one that the last such run wrote; it is marked as that.
    Act,
    /// To erase a person, from whatever record that is. Only a doubt that would be hidden by writing is refused.
    Erase,
    /// To settle these doubts, which somebody has seen.
    Accept(Vec<Doubt>),
    /// To carry a record: one that is made for it is no record before it is whole.
    Carry,
}

impl Purpose {
    /// The doubts that keep the run from writing.
    fn refused(&self, mut doubts: Vec<Doubt>) -> Vec<Doubt> {
        match self {
            Purpose::Act | Purpose::Carry => {}
            Purpose::Accept(seen) if *seen == doubts => doubts.clear(),
            Purpose::Accept(_) => {}
            Purpose::Erase => doubts.retain(Doubt::is_hidden_by_writing),
        }
        doubts
    }
}

/// The lock and the thread behind a [`Journal`].
pub struct Writing {
    journal: Journal,
    begun: Begun,
    ended: oneshot::Receiver<Result<(), JournalError>>,
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
    /// Those calls are told of before that is written: a commit of which nobody knows may arrive yet, and then no later run finds
    /// them open.
    ///
    /// # Errors
    /// Who holds the lock, or what is wrong with the record.
    pub async fn begin(
        record: &Record,
        request: LockRequest,
        tell: impl FnOnce(&[LeftOpen]) + Send,
    ) -> Result<Self, LockError> {
        let Acquired { mut lease, is_made } = record.store.acquire(&request).await?;
        let renewed = (record.clock.uptime)();
        let found = match start(record, lease.as_mut(), request, tell).await {
            Ok(found) => found,
            Err(error) => {
                let _ = lease.release().await;
                return Err(error);
            }
        };
        let writer = Writer::new(lease, record.clock.clone(), found.serial, renewed).await?;
        let calls_before = writer.calls_before();
        let (journal, ended) = writer.spawn().map_err(|error| RecordError::Io {
            path: record.path().to_owned(),
            error,
        })?;
        let begun = Begun {
            id: found.id,
            is_made,
        };
        Ok(Self {
            journal,
            ended,
            begun,
            calls_before,
        })
    }

    /// How many calls were ever made by the record.
    pub fn calls_before(&self) -> u64 {
        self.calls_before
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

/// Makes sure that the record is the right one for what is to be written, settles what is open, and notes that the run
/// begins.
async fn start(
    record: &Record,
    lease: &mut dyn Lease,
    request: LockRequest,
    tell: impl FnOnce(&[LeftOpen]) + Send,
) -> Result<Found, LockError> {
    let path = record.path();
    let witness = record.store.witness();
    let expected = &request.expected;
    let (mut found, doubts) = identity::examine(path, lease.view(), witness, expected).await?;
    let doubts = request.purpose.refused(doubts);
    if !doubts.is_empty() {
        let (path, would) = (path.to_owned(), String::new());
        return Err(RecordError::Doubtful {
            path,
            doubts,
            would,
        }
        .into());
    }
    let (recovered, left_open) = recover(lease, &mut found, record).await?;
    if !left_open.is_empty() {
        tell(&left_open);
    }
    if matches!(request.purpose, Purpose::Accept(_)) {
        found.serial = found.serial.max(found.accepted_serial());
    }
    // From whatever record a person is erased, it is not the right one by that.
    let is_marked = request.purpose != Purpose::Erase;
    let mark = is_marked.then(|| (expected.host().to_owned(), expected.account(found.id)));
    let run = RunStep::Begin {
        command: request.command,
        config_digest: request.config_digest,
        git_revision: request.git_revision,
        mark,
    };
    let begin = Batch {
        run: Some(run),
        serial: Some(found.serial),
        ..recovered
    };
    commit(lease, &begin, path).await?;
    if !left_open.is_empty() {
        fail_point("recover:after");
    }
    Ok(found)
}

/// Settles all open calls as in doubt: what is to be written, and which they are.
async fn recover(
    lease: &mut dyn Lease,
    found: &mut Found,
    record: &Record,
) -> Result<(Batch, Vec<LeftOpen>), LockError> {
    let clock = &record.clock;
    let open = open_calls(lease.view(), clock).await?;
    if open.is_empty() {
        return Ok((Batch::now(clock), Vec::new()));
    }
    let on_record = lease.view().of_contacts(&open.contacts()).await?;
    let (batch, left) = open.settle(on_record.collect::<Result<_, _>>()?, clock);
    tracing::warn!(
        event = "recovered",
        calls = left.len(),
        "an earlier run ended early; its open calls are uncertain now"
    );
    found.serial += 1;
    fail_point("recover:before");
    Ok((batch, left))
}

async fn commit(lease: &mut dyn Lease, batch: &Batch, path: &Path) -> Result<(), LockError> {
    let doing = "written";
    lease.commit(batch).await.map_err(|error| match error {
        JournalError::LockLost => LockError::Lost,
        JournalError::Store(what) => RecordError::Store {
            path: path.to_owned(),
            doing,
            what,
        }
        .into(),
        error => RecordError::Store {
            path: path.to_owned(),
            doing,
            what: error.to_string(),
        }
        .into(),
    })
}
