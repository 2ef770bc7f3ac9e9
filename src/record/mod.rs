//! The record: participations, the journal of every call, the lock. The only place that knows SQL.

mod counts;
mod error;
mod file_id;
mod guarded;
mod identity;
mod journal;
mod lease;
mod lock;
mod mixup;
mod names;
mod open;
mod overview;
pub mod participation;
mod plans;
mod process;
mod read;
mod recover;
mod stream;
mod witness;
mod write;

pub use counts::{AppliedSource, SourceNote};
pub use error::{Holder, JournalError, LockError, RecordError};
pub use guarded::{AppliedWith, GUARDED_DAY, counted_since};
pub use identity::{Doubt, Examined, Expected, Found};
pub use journal::{
    ApplyStart, Begun, CallId, CallKind, CallOutcome, Change, Durable, Intent, Journal, Settlement,
    Writing,
};
pub use lock::{LockRequest, Purpose, unlock};
pub use mixup::SAME_IDS;
pub use overview::{Calls, Failure, Overview, RunTold, Step, Trouble};
pub use plans::Standing;
pub use read::{Call, Listed, Listing, Record, Selection, Snapshot};
pub use recover::LeftOpen;
pub use stream::Participations;
