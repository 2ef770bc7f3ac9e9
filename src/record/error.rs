//! What can go wrong with the record.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::host;
use super::identity::Doubt;
use super::participation::IllegalMove;

/// Why the record cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file or its folder cannot be made or opened.
    #[error("The record {} cannot be opened: {error}. Nothing was sent.", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// What has the name of the record is not a file.
    #[error(
        "The record {} is {what}, and must be a file. Nothing was sent and nothing was written. Correct `[record] url`: it \
         names the file itself, such as \"sqlite:state/rollcall.db\".",
        path.display()
    )]
    NotAFile {
        /// Its path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A symbolic link leads into a folder that is missing.
    #[error(
        "The record is a symbolic link to {}, whose folder is not there, so no record was begun. Nothing was sent and \
         nothing was written. Mount its disk; or if there was never a record, make the folder first.",
        path.display()
    )]
    NoFolder {
        /// Where the link leads.
        path: PathBuf,
    },
    /// There is no record, and nobody said that this is its first day.
    #[error(
        "There is no record at {}. Nothing was sent and nothing was written. If there was one, put it back, or correct \
         `[record] url`. On the first day begin one with `rollcall apply --new-record`.",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Nobody said where it is.
    #[error(
        "`[record] url` uses the environment variable {variable}, which is not set. Nothing was sent and nothing \
         was written. Set it to the URL of the record."
    )]
    Unset {
        /// The variable.
        variable: String,
    },
    /// It was carried to another place.
    #[error(
        "The record {} was moved to {to}, and is closed. Nothing was sent and nothing was written. Correct `[record] url`.",
        path.display()
    )]
    Moved {
        /// Where it was.
        path: PathBuf,
        /// Where it is.
        to: String,
    },
    /// It is being filled with another one.
    #[error(
        "The record {} is an incomplete copy: a `rollcall record move` to it ended early, or is under way. Nothing was \
         sent and nothing was written. Start the move again from the old record.",
        path.display()
    )]
    NotWhole {
        /// Where it is.
        path: PathBuf,
    },
    /// Somebody said that this is the first day, and it is not.
    #[error(
        "--new-record begins a new record, but {} has something in it already. Nothing was sent and nothing was written. Run it \
         without --new-record.",
        path.display()
    )]
    NotFirst {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error(
        "{} is not a record of Rollcall ({what}). It was left as it is and nothing was sent. Check `[record] url`, or \
         restore the record from a backup.",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What tells.
        what: String,
    },
    /// The file was made by a newer Rollcall.
    #[error(
        "The record {} was made by a newer Rollcall (schema {found}; this one knows {known}). It was left as it is and \
         nothing was sent. Upgrade this Rollcall.",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// The file has an older schema, and another run keeps it from being migrated.
    #[error(
        "The record {} has the older schema {found} (this Rollcall knows {known}) and cannot be migrated while another \
         run works on it. Try again when that run has ended.",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// It may not be the right one.
    #[error(
        "The record {} may not be the right one. Nothing was sent and nothing was written.\n{}{would}{}",
        path.display(),
        listed(doubts),
        way_on(doubts)
    )]
    Doubtful {
        /// The file.
        path: PathBuf,
        /// What speaks against it. Not empty.
        doubts: Vec<Doubt>,
        /// What would have been done by it, as a line; empty where that is not known.
        would: String,
    },
    /// What it lies in says no.
    #[error("The record {} cannot be {doing}: {what}.", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What was being done to it.
        doing: &'static str,
        /// What is said.
        what: String,
    },
    /// A transaction was cut short, and is still to be rolled back by who may write.
    #[error(
        "The record {} cannot be read: a run was killed while it wrote to it, and it is read-only; check the permissions \
         of the file and its folder.",
        path.display()
    )]
    HalfWritten {
        /// The file.
        path: PathBuf,
    },
    /// A row cannot be understood.
    #[error(
        "The record {} holds something that Rollcall did not write: {what}. Restore it from a backup; nothing was sent.",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: String,
    },
}

/// What speaks against a record, each on a line of its own.
fn listed(doubts: &[Doubt]) -> String {
    doubts.iter().map(|doubt| format!("- {doubt}\n")).collect()
}

/// What to do about doubts.
fn way_on(doubts: &[Doubt]) -> &'static str {
    match doubts.iter().all(Doubt::can_be_accepted) {
        true => {
            "Put the right record back; or, if this is the right one, confirm it: rollcall record accept"
        }
        false => "Correct this first; `rollcall record accept` cannot settle all of it.",
    }
}

/// Why the record cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds the lock.
    #[error(
        "{0} Nothing was sent. Wait for it with --lock-timeout 5m; {way}",
        way = way_past(.0)
    )]
    Held(Holder),
    /// It was taken by another run before this one began.
    #[error(
        "Another run took the lock of the record before this one began. Nothing was sent. Run this again when that run \
         has ended."
    )]
    Lost,
    /// The record itself.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// What to do about a holder that hangs, or is gone.
fn way_past(holder: &Holder) -> String {
    match (holder.is_here(), holder.pid) {
        // It has only just begun.
        (_, 0) => "a run that is alive ends by itself.".to_owned(),
        (true, pid) => {
            format!(
                "if it hangs, end it, and the next run takes over by itself: kill {pid}. If it cannot be ended, \
                 `rollcall record unlock` removes the lock."
            )
        }
        (false, _) => {
            "if that machine will not come back, `rollcall record unlock` removes the lock."
                .to_owned()
        }
    }
}

/// Who holds the lock of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Which run.
    pub holder: String,
    /// On which machine.
    pub host: String,
    /// Which process there.
    pub pid: u32,
    /// What tells that process from others that had or will have its number, where that is known.
    pub process: Option<String>,
    /// Doing what.
    pub command: String,
    /// Since when.
    pub acquired_at: Timestamp,
    /// When it last gave a sign of life.
    pub heartbeat_at: Timestamp,
}

impl Holder {
    /// Whether it is a process of this host that is still there, as far as the system tells.
    pub fn is_here(&self) -> bool {
        let is_alive = |process: &String| host::is_alive(self.pid, process);
        self.host == host::name() && self.process.as_ref().is_none_or(is_alive)
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It has the lock and did not get to write down who it is.
        if self.pid == 0 {
            let host = &self.host;
            return write!(
                f,
                "The record is locked by a run on {host} that has only just begun."
            );
        }
        write!(
            f,
            "The record is locked by `rollcall {}` (process {} on {}) since {}; its last sign of life was at {}.",
            self.command,
            self.pid,
            self.host,
            self.acquired_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            self.heartbeat_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
    }
}

/// Why nothing could be written to the record. Whatever it was is not in the record, not even in part.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// Another run has taken the lock.
    #[error(
        "The lock of the record was lost to another run; nothing more is sent. What was under way is uncertain in the \
         record."
    )]
    LockLost,
    /// The state machine refuses.
    #[error("The record refuses a change: {0}. This is a fault in Rollcall; please report it.")]
    Illegal(#[from] IllegalMove),
    /// What it lies in says no.
    #[error(
        "The record cannot be written: {0}. Nothing more is sent; what was under way is uncertain in the record."
    )]
    Store(String),
    /// The record's file is not there any more, or is another one.
    #[error(
        "The record at {} was deleted, cut or replaced while this run wrote to it. Nothing more is sent, and what this run \
         did may not be on record any more. Put the record back before the next apply: without it, nobody knows who was \
         triggered.",
        .0.display()
    )]
    RecordLost(PathBuf),
    /// The writer is gone.
    #[error("The writer of the record has ended; nothing more is sent.")]
    Closed,
}

/// How old a heartbeat must be for its holder to count as dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(60);

/// Something on record that cannot be understood.
pub(super) fn corrupt(path: &Path, what: impl Into<String>) -> RecordError {
    RecordError::Corrupt {
        path: path.to_owned(),
        what: what.into(),
    }
}

/// For those who write what they read.
impl From<RecordError> for std::io::Error {
    fn from(error: RecordError) -> Self {
        Self::other(error)
    }
}

impl From<RecordError> for JournalError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Store { what, .. } => JournalError::Store(what),
            error => JournalError::Store(error.to_string()),
        }
    }
}
