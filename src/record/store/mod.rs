//! Where a record lies. What stands above decides what is written; what stands below is the only place that knows SQL.

pub(super) mod carry;
#[cfg(test)]
mod memory;
mod names;
mod nowhere;
mod passing;
mod postgres;
mod rows;
mod sqlite;
mod watch;
mod world;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::batch::Batch;
use super::call::CallId;
use super::error::{Holder, JournalError, LockError, RecordError};
use super::guarded::{AppliedSource, AppliedWith};
use super::identity::{Found, Witness};
use super::overview::Overview;
use super::participation::{Key, State};
use super::read::{Call, Listed, Moved};
use super::recovery::OpenCall;
use super::writing::LockRequest;
use crate::id::{AutomationName, ContactId};
use crate::location::Location;

use carry::{Row, Table};
#[cfg(test)]
pub(crate) use memory::{Disk, Fate, Memory};
use nowhere::Nowhere;
pub(super) use passing::Passing;
use postgres::Postgres;
use sqlite::Sqlite;
pub(crate) use sqlite::contacts_like;
use watch::Watch;

/// The store at a place.
pub(super) fn at(location: &Location) -> Arc<dyn Store> {
    match location {
        Location::File(path) => Arc::new(Sqlite::at(path)),
        Location::Database(database) => Arc::new(Postgres::at(database.clone())),
        Location::Unset(variable) => Arc::new(Nowhere::new(variable)),
    }
}

/// Where a record lies, whether or not there is one yet.
#[async_trait]
pub(super) trait Store: Debug + Send + Sync {
    /// Its place, for messages.
    fn path(&self) -> &Path;

    /// What is known beside the record of how far it was, even where it is gone.
    fn witness(&self) -> Option<Witness>;

    /// The record as it is at this moment; what is written later is not seen. `None` where there is none. One of an older
    /// schema is brought up to date first.
    async fn read(&self) -> Result<Option<Box<dyn View>>, RecordError>;

    /// Waits for the lock of the record and takes it, also from a holder that is gone. Where there is no record, one is made
    /// if the request says so.
    async fn acquire(&self, request: &LockRequest) -> Result<Acquired, LockError>;

    /// Takes the lock away from a holder that is gone without a trace, or that hangs.
    async fn unlock(&self, holder: &Holder) -> Result<(), LockError>;
}

/// A record that is locked.
pub(super) struct Acquired {
    /// The way to write to it.
    pub lease: Box<dyn Lease>,
    /// Whether it was made just now.
    pub is_made: bool,
}

/// The lock of a record, and the way to write to it for as long as it is held.
#[async_trait]
pub(super) trait Lease: Send {
    /// Says that it is used from now on by the runtime of this thread alone.
    fn moves(&mut self) {}

    /// What is on record. What this lease commits later is seen.
    fn view(&mut self) -> &mut dyn View;

    /// Writes a batch in one transaction, all or nothing, and gives a sign of life. It is durable when this returns.
    ///
    /// # Errors
    /// That somebody else has taken the lock, or why nothing could be written.
    async fn commit(&mut self, batch: &Batch) -> Result<(), JournalError>;

    /// Makes sure that nothing is left of what was erased. Returns whether that could be done now: not while somebody else
    /// still reads it.
    async fn wipe(&mut self) -> Result<bool, JournalError>;

    /// The rows of a table behind one, in the order of its key: none, where there are no more. A record in memory is not carried
    /// anywhere, which goes for the next three too.
    async fn rows(&mut self, _: &Table, _behind: Option<&Row>) -> Result<Vec<Row>, JournalError> {
        Err(JournalError::Closed)
    }

    /// Writes rows into a table that does not have them.
    async fn fill(&mut self, _: &Table, _rows: &[Row]) -> Result<(), JournalError> {
        Err(JournalError::Closed)
    }

    /// Takes all rows away.
    async fn empty(&mut self) -> Result<(), JournalError> {
        Err(JournalError::Closed)
    }

    /// Closes the record, since it is somewhere else from now on, or opens it.
    async fn close(&mut self, _moved_to: Option<&str>) -> Result<(), JournalError> {
        Err(JournalError::Closed)
    }

    /// Gives the lock back. Where that fails, the next run takes it over.
    ///
    /// # Errors
    /// That the record was deleted or replaced meanwhile.
    async fn release(self: Box<Self>) -> Result<(), JournalError>;
}

/// Participations, sorted by contact.
pub(super) type Page = Box<dyn Iterator<Item = Result<Listed, RecordError>> + Send>;

/// What can be asked of a record.
#[async_trait]
pub(super) trait View: Send {
    /// What is found of the record itself, without its witness.
    async fn about(&mut self) -> Result<Found, RecordError>;

    /// What the guard and the `[[moved]]` blocks need.
    async fn standing(&mut self) -> Result<Applied, RecordError>;

    /// The next page of all participations, sorted by contact (bytewise); a contact is on one page. `is_whole` asks for what
    /// only lists show, too.
    async fn next_page(&mut self, is_whole: bool) -> Result<Option<Page>, RecordError>;

    /// All participations of contacts.
    async fn of_contacts(&mut self, contacts: &[ContactId]) -> Result<Page, RecordError>;

    /// One participation, where it is on record.
    async fn of_key(&mut self, key: &Key) -> Result<Option<Listed>, RecordError>;

    /// The participations with any of these lists of ids, each as a JSON array.
    async fn with_ids(&mut self, ids: &[String]) -> Result<Page, RecordError>;

    /// The lists of ids that came for two contacts once, each as a JSON array.
    async fn doubted_ids(&mut self) -> Result<Vec<String>, RecordError>;

    /// The calls without an outcome.
    async fn open_calls(&mut self) -> Result<Vec<OpenCall>, RecordError>;

    /// The next calls of contacts, or of all, behind one; the oldest first. None where there are no more.
    async fn calls(
        &mut self,
        contacts: Option<&[ContactId]>,
        behind: CallId,
    ) -> Result<Vec<(CallId, Call)>, RecordError>;

    /// The number of the last call.
    async fn last_call(&mut self) -> Result<CallId, RecordError>;

    /// Who holds the lock.
    async fn holder(&mut self) -> Result<Option<Holder>, RecordError>;

    /// How many participations there are, by automation and state.
    async fn states(&mut self) -> Result<BTreeMap<(AutomationName, State), u64>, RecordError>;

    /// How many triggers of each automation were sent between two times, and carried out or in doubt.
    async fn sent(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<AutomationName, u64>, RecordError>;

    /// The triggers of some contacts since a time that were carried out or are in doubt: whose, of which automation, and when.
    async fn triggers(
        &mut self,
        contacts: &[ContactId],
        since: Timestamp,
    ) -> Result<Vec<(String, AutomationName, Timestamp)>, RecordError>;

    /// The sources as they were when plans made from them were last applied, by name.
    async fn sources(&mut self) -> Result<BTreeMap<String, AppliedSource>, RecordError>;

    /// When the saved plan of this id was applied, if it was.
    async fn applied_at(&mut self, plan: &str) -> Result<Option<Timestamp>, RecordError>;

    /// The record from one time to another, in figures.
    async fn overview(&mut self, from: Timestamp, to: Timestamp) -> Result<Overview, RecordError>;
}

/// With what the record was last applied.
#[derive(Debug, Clone, Default)]
pub(super) struct Applied {
    /// From when on the guard counts.
    pub counted_from: Option<Timestamp>,
    /// What each automation was applied with.
    pub with: BTreeMap<AutomationName, AppliedWith>,
    /// The `[[moved]]` blocks: from and to.
    pub moved: Moved,
    /// The ids whose participations are another id's now.
    pub merged: Vec<(ContactId, ContactId)>,
}
