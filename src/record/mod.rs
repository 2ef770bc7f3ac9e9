//! The record: participations, the journal of every call, the lock. What stands here says what is written and what it means;
//! `store` is the only place that knows where it lies.

mod batch;
mod call;
mod carry;
mod error;
mod freshness;
mod guarded;
mod host;
mod identity;
mod journal;
mod merged;
mod overview;
pub mod participation;
mod read;
mod recovery;
mod store;
#[cfg(test)]
mod tests;
mod writer;
mod writing;

pub use call::{ApplyStart, CallId, CallKind, CallOutcome, Change, Intent, OUTCOMES, Settlement};
pub use carry::{Carried, CarryError};
pub use error::{Holder, JournalError, LockError, RecordError};
pub use guarded::{AppliedSource, AppliedWith, GUARDED_DAY, SourceNote, counted_since};
pub use identity::{Doubt, Elsewhere, Examined, Expected, Found};
pub use journal::{Durable, Journal};
pub use merged::{Merge, Merges, merge};
pub use overview::{Calls, Failure, Overview, RecordedRun, Step, Trouble};
pub use read::{
    Call, History, Listed, Listing, Moved, Participations, Record, Selection, Snapshot, Standing,
};
pub use recovery::LeftOpen;
pub(crate) use store::contacts_like;
#[cfg(test)]
pub(crate) use store::{Disk, Fate, Memory};

pub use writer::SAME_IDS;
pub use writing::{Begun, LockRequest, Purpose, Writing};
