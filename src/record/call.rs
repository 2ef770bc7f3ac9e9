//! Calls: what is about to be sent, and what came of it.

use super::guarded::AppliedWith;
use super::merged::Merges;
use super::participation::{Before, Key, Move, StopOutcome, SuppressedBy, TriggerOutcome};
use crate::digest::Digest;
use crate::id::{AutomationName, ParticipationId, TriggerCode};

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
    /// By what its contact is suppressed, where it is stopped for that, which is kept: who is suppressed no longer is released.
    pub of_suppressed: Option<SuppressedBy>,
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

/// The words of [`CallOutcome`].
pub const OUTCOMES: [&str; 10] = [
    "active",
    "refused",
    "failed",
    "failed-for-good",
    "waiting",
    "uncertain",
    "stopped",
    "stop-failed",
    "stop-uncertain",
    "not-carried-out",
];

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
    pub transition: Move,
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
    /// People who have two ids; under the names of automations after the moves.
    pub merges: Merges,
}

impl ApplyStart {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty()
            && self.applied.is_empty()
            && self.moved.is_none()
            && self.merges.is_empty()
    }
}

/// The number of a call on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub(super) i64);
