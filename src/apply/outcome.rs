//! The outcomes of actions, and the events while they run.

use std::fmt;

use super::gate::End;
use crate::id::AutomationName;
use crate::record::CallKind;

/// What came of one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Triggered: at least one participation started.
    Active,
    /// Stopped, or it already was.
    Stopped,
    /// Spotler refused the trigger: a participation limit was reached.
    Refused,
    /// A trigger failed and was not carried out; trying again may help.
    Failed,
    /// A trigger failed and was not carried out; trying again will not help.
    FailedForGood,
    /// Spotler does not know the contact yet; a later apply tries the trigger again.
    Waiting,
    /// A trigger was sent, and nobody knows whether it was carried out.
    Uncertain,
    /// A stop failed and was not carried out.
    StopFailed,
    /// A stop was sent, and nobody knows whether it was carried out.
    StopUncertain,
    /// A trigger or a stop was not sent, since the window closed or a freeze began during the run; a later apply sends it.
    Deferred,
    /// Nothing was sent, or nothing that was carried out; the record is as before.
    NotSent,
}

impl Outcome {
    /// Every outcome, the good ones first.
    pub const ALL: [Outcome; 11] = [
        Outcome::Active,
        Outcome::Stopped,
        Outcome::Refused,
        Outcome::Failed,
        Outcome::FailedForGood,
        Outcome::Waiting,
        Outcome::Uncertain,
        Outcome::StopFailed,
        Outcome::StopUncertain,
        Outcome::Deferred,
        Outcome::NotSent,
    ];

    /// The word for it, in text and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Active => "active",
            Outcome::Stopped => "stopped",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
            Outcome::FailedForGood => "failed-for-good",
            Outcome::Waiting => "waiting",
            Outcome::Uncertain => "uncertain",
            Outcome::StopFailed => "stop-failed",
            Outcome::StopUncertain => "stop-uncertain",
            Outcome::Deferred => "deferred",
            Outcome::NotSent => "not-sent",
        }
    }

    /// Whether the action did what it was for, or waits as it is to.
    pub fn is_good(self) -> bool {
        matches!(
            self,
            Outcome::Active | Outcome::Stopped | Outcome::Waiting | Outcome::Deferred
        )
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An outcome with its reason, in the words of the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// What came of it.
    pub outcome: Outcome,
    /// Why, where that is not plain: an `errorType`, a status, a time-out.
    pub detail: Option<Box<str>>,
}

impl Settled {
    /// An outcome that needs no explanation.
    pub fn plain(outcome: Outcome) -> Self {
        Self {
            outcome,
            detail: None,
        }
    }

    /// An outcome with its reason.
    pub fn because(outcome: Outcome, detail: impl Into<Box<str>>) -> Self {
        Self {
            outcome,
            detail: Some(detail.into()),
        }
    }
}

/// What happens during an apply, in the order in which it happens. Each is durable in the record before it is reported.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An action came to its end.
    Settled {
        /// Its place in the plan.
        action: usize,
        /// What came of it.
        settled: Settled,
    },
    /// All calls wait: Spotler limits them or cannot be reached.
    Paused {
        /// For how long.
        wait: std::time::Duration,
        /// What was said.
        detail: String,
    },
    /// No more calls of a kind are made for an automation in this run.
    Halted {
        /// Which kind.
        kind: CallKind,
        /// Which automation.
        automation: AutomationName,
        /// Why.
        detail: String,
    },
    /// No more calls of a kind are made in this run: Spotler knew none of the contacts so far.
    NobodyKnown(CallKind),
    /// Nothing more is sent in this run; what is under way is finished.
    Ending(End),
}

/// What came of a whole apply.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// What came of each action, in the plan's order; `None` where it was not begun.
    pub settled: Vec<Option<Settled>>,
    /// Why it ended before its end, if it did.
    pub end: Option<End>,
    /// How many contacts were asked for, where Spotler knew none of them: it is probably another account.
    pub strangers: Option<usize>,
}

impl Run {
    /// What came of the action at a place of the plan.
    pub fn outcome(&self, action: usize) -> Outcome {
        self.settled
            .get(action)
            .and_then(Option::as_ref)
            .map_or(Outcome::NotSent, |settled| settled.outcome)
    }

    /// What the answers say of the account as a whole, where that is to be reported.
    pub fn warning(&self) -> Option<String> {
        // One contact alone may well be new there, or gone from it.
        let (contacts, is_it) = match self.strangers? {
            1 => (
                "the contact of the only call".to_owned(),
                "If it should, it may be",
            ),
            count => (
                format!("any of the contacts of all {count} calls"),
                "It is probably",
            ),
        };
        Some(format!(
            "Spotler did not know {contacts} of this run. {is_it} another account, or a key whose external id is another \
             field of the contacts: check SPOTLER_CONSUMER_KEY and base_url"
        ))
    }

    /// Whether every action did what it was for.
    pub fn is_good(&self) -> bool {
        self.end.is_none()
            && self.strangers.is_none()
            && (0..self.settled.len()).all(|action| self.outcome(action).is_good())
    }
}
