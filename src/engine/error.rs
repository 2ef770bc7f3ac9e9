//! Why a verb does not do its work.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use super::git::GitError;
use crate::base_url::BaseUrlError;
use crate::config::Problems;
use crate::id::{AutomationName, ContactId, IdError};
use crate::plan::saved::{SavedError, Stale};
use crate::plan::{Breach, Guard};
use crate::record::{CarryError, JournalError, LockError, RecordError};
use crate::sandbox::SandboxError;
use crate::source::SourceError;
use crate::spotler::{CallError, ClientError};
use crate::text::SafeText;

/// Why a verb does not do its work, in whole sentences.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration or its sources are not right.
    #[error("{}", .0.render(false, 100))]
    Problems(Box<Problems>),
    /// A contact or an occurrence is not an id that can be kept.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A source cannot be read again.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The record cannot be read, or may not be the right one.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The record cannot be locked.
    #[error(transparent)]
    Lock(Box<LockError>),
    /// The record is not carried to another place.
    #[error(transparent)]
    Carry(#[from] Box<CarryError>),
    /// The record cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The record cannot be read for a plan.
    #[error("No plan was made: {0}")]
    NotPlanned(RecordError),
    /// The record was here and is gone; the path, and what it means.
    #[error(
        "There is no record at {0}, so everybody who is declared counts as new. Nothing was sent and nothing was written.\n{1}"
    )]
    Lost(String, String),
    /// There is no record to change anything in; where it would be, and what cannot be done.
    #[error(
        "There is no record at {0}, so nothing in it can be {1}. Put it back, or correct `[record] url`."
    )]
    NoRecord(String, &'static str),
    /// The system gives no thread; for what.
    #[error("The system gives no thread for the {0}: {1}")]
    NoThread(&'static str, io::Error),
    /// The system gives no way to make calls.
    #[error("No calls can be made on this system: {0}")]
    NoRuntime(io::Error),
    /// There are no credentials.
    #[error("{0}")]
    Credentials(String),
    /// The HTTP library refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The built-in sandbox cannot start.
    #[error("The built-in sandbox cannot start, and nothing was sent: {0}")]
    Sandbox(SandboxError),
    /// The address of the sandbox is none that can be asked.
    #[error("The address of the built-in sandbox {0}. Nothing was sent.")]
    Address(#[from] BaseUrlError),
    /// The list of automations cannot be had.
    #[error("{}", not_listed(.0))]
    NotListed(CallError),
    /// A name is not configured: of what kind, the name, and the one that was probably meant.
    #[error("There is no {0} {1} in the configuration.{near}", near = did_you_mean(.2))]
    Unknown(&'static str, String, Option<String>),
    /// Neither the record nor the configuration has an automation of this name; the one that was probably meant.
    #[error(
        "There is no automation {} on record or in the configuration.{near}",
        SafeText(.0), near = did_you_mean(.1)
    )]
    NoAutomation(String, Option<String>),
    /// Nobody has a contact of this id; the one that was probably meant.
    #[error(
        "There is no contact {} on record, and neither a source nor a file has one: is the id right?{near}",
        SafeText(.0), near = did_you_mean(.1)
    )]
    Nobody(String, Option<String>),
    /// There are no rules of another revision.
    #[error("{0} Nothing was compared.")]
    Git(GitError),
    /// A plan cannot be saved.
    #[error("The plan cannot be saved to {}: {}", .0.display(), .1)]
    NotSaved(PathBuf, io::Error),
    /// A saved plan is not applied.
    #[error("The saved plan {} is not applied, and nothing was sent: {}", .0.display(), .1)]
    NotApplied(PathBuf, Box<NotApplied>),
    /// The configuration is another one than the plan was made from.
    #[error(
        "The configuration has changed since it was read, while another run worked on the record. Nothing was sent. Run it \
         again."
    )]
    OtherConfiguration,
    /// The plan that is made under the lock is another one than the one that was shown.
    #[error("The record has changed since the plan was made. Nothing was sent. Plan again.")]
    OtherPlan,
    /// The guard refuses the plan.
    #[error("The guard refuses the plan, and nothing was sent: {}", breaches(.0))]
    Refused(Box<Guard>),
    /// An apply broke down, which is a fault in Rollcall.
    #[error("The apply failed: {0}")]
    Broken(tokio::task::JoinError),
    /// An automation has another name, and adopting its people anew would stop them; the name then, and the name now.
    #[error(
        "{from} has become {to}, which has its trigger code. Nobody was adopted: the people of {from} would be on record \
         twice, and the next apply would stop them. Write [[moved]] with from = \"{from}\" and to = \"{to}\" to keep their \
         participations, and then adopt the others."
    )]
    Renamed {
        /// The name on record.
        from: AutomationName,
        /// The name in the configuration.
        to: AutomationName,
    },
    /// Nobody is enrolled who could be adopted: the contact that was asked for, if one was.
    #[error("{}", not_enrolled(.0.as_ref()))]
    NotEnrolled(Option<ContactId>),
    /// A contact that was named has nothing to settle.
    #[error(
        "{} has no uncertain trigger there; nothing was settled. Is the id right? `rollcall record list --state uncertain` \
         shows who has one.",
        SafeText(.0.as_str())
    )]
    NotUncertain(ContactId),
    /// A contact that is to be forgotten is still declared: in which automations.
    #[error(
        "{} is still declared in {}, so nothing was erased: the next apply would trigger it as new. First remove the \
         contact from the source or the rule, and apply to stop it; or add it to [[suppress]].",
        SafeText(.0.as_str()), SafeText(.1)
    )]
    StillDeclared(ContactId, String),
}

/// By hand, as its message is in that of the error already and would be said twice as its source.
impl From<GitError> for Error {
    fn from(error: GitError) -> Self {
        Self::Git(error)
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Error::Problems(Box::new(problems))
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        Error::Lock(Box::new(error))
    }
}

/// Why a saved plan is not applied.
#[derive(Debug, thiserror::Error)]
pub enum NotApplied {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] SavedError),
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Things are no longer as they were.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// Its triggers may not be sent now; when they may be.
    #[error(
        "It has triggers, and the window for triggers is closed. {}, or plan again to do now what is possible now.",
        apply_it(.0)
    )]
    WindowClosed(Option<Timestamp>),
    /// A freeze holds: why.
    #[error("{}", frozen(.0))]
    Frozen(String),
}

/// What a freeze keeps back of a saved plan.
fn frozen(why: &str) -> String {
    format!(
        "It has actions that wait now: {why}. Apply it when the freeze is over, or plan again to do now what is possible now."
    )
}

fn breaches(guard: &Guard) -> String {
    let breaches: Vec<String> = guard.breaches.iter().map(Breach::to_string).collect();
    breaches.join("; ")
}

fn apply_it(opens: &Option<Timestamp>) -> String {
    match opens {
        Some(at) => format!("Apply it from {} on", at.strftime("%Y-%m-%dT%H:%M:%SZ")),
        None => "Apply it when the window opens".to_owned(),
    }
}

fn did_you_mean(near: &Option<String>) -> String {
    let help = |near| format!(" Did you mean {near}?");
    near.as_ref().map_or_else(String::new, help)
}

fn not_enrolled(contact: Option<&ContactId>) -> String {
    match contact {
        None => "Nobody is enrolled there, so there is nothing to adopt.".to_owned(),
        Some(contact) => format!(
            "{0} is not enrolled there, so there is nothing to adopt. Is the id right? `rollcall explain {0}` says why.",
            SafeText(contact.as_str())
        ),
    }
}

fn not_listed(error: &CallError) -> String {
    match error {
        CallError::NotSent(why) => format!("Spotler cannot be reached: {why}."),
        CallError::Limited { status, .. } => {
            format!("Spotler limits the calls (HTTP {status}). Try again later.")
        }
        CallError::Unavailable { status, .. } => {
            format!("Spotler is not available (HTTP {status}). Try again later.")
        }
        CallError::Unauthorized(complaint) => format!(
            "Spotler refused the credentials ({complaint}). Check SPOTLER_CONSUMER_KEY and SPOTLER_CONSUMER_SECRET."
        ),
        CallError::Doubtful(why) => format!(
            "Spotler gave no list of automations: {why}. The path of this call is a guess; correct it with `list` \
             in [spotler.paths]."
        ),
    }
}
