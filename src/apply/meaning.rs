//! The table of answers of the product's contract: what an answer makes of a call, and what follows from it.

use super::gate::{End, Return};
use super::outcome::{Outcome, Settled};
use crate::participation::{StopOutcome, TriggerOutcome};
use crate::record::{CallOutcome, Settlement};
use crate::spotler::{CallError, Entry, StopAnswer, TriggerAnswer};

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    pub outcome: CallOutcome,
    pub detail: Option<String>,
    pub http_status: Option<u16>,
    pub entries: Vec<Entry>,
    /// What the gate learns from the answer.
    pub returned: Return,
    /// What it says of the account.
    pub sign: Sign,
    pub then: Then,
}

/// What an answer says of the account that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It knows the contact.
    Known,
    /// It does not know the contact.
    Unknown,
    /// Neither: the answer is about something else, or there is none that can be read.
    Nothing,
    /// Nothing at all: the call was not carried out, and says no more than one that was not made.
    NotCarriedOut,
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    /// The action is over.
    Over,
    /// It is tried again when the gate lets it.
    Again,
    /// It is tried again after a wait of its own: a stop whose answer was lost.
    AgainByItself,
    /// The action is over, and no more calls of its kind and its automation are made.
    Halt,
    /// It is put aside until the account is seen to know any contact at all: a stop of one that it does not know.
    Park,
    /// The action is over, and so is the run.
    End(End),
}

impl Meaning {
    fn answered(outcome: CallOutcome, detail: Option<String>, http_status: u16) -> Self {
        Self {
            outcome,
            detail,
            http_status: Some(http_status),
            entries: Vec::new(),
            returned: Return::Answered,
            sign: Sign::Nothing,
            then: Then::Over,
        }
    }

    pub(super) fn sign(self, sign: Sign) -> Self {
        Self { sign, ..self }
    }

    pub(super) fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    fn with(self, entries: Vec<Entry>) -> Self {
        Self { entries, ..self }
    }

    /// What a trigger's answer means.
    pub(super) fn of_trigger(answer: Result<TriggerAnswer, CallError>) -> Self {
        use TriggerOutcome as T;
        let trigger = CallOutcome::Trigger;
        match answer {
            Ok(TriggerAnswer::Started(entries)) => {
                let odd: Vec<&str> = entries
                    .iter()
                    .filter(|entry| !entry.is_ok())
                    .map(|entry| entry.result.as_str())
                    .collect();
                let detail = (!odd.is_empty()).then(|| format!("in part: {}", odd.join(", ")));
                Self::answered(trigger(T::Active), detail, 200)
                    .with(entries)
                    .sign(Sign::Known)
            }
            Ok(TriggerAnswer::LimitReached(entries)) => {
                let detail = Some("PARTICIPATION_LIMIT_REACHED".to_owned());
                Self::answered(trigger(T::Refused), detail, 417)
                    .with(entries)
                    .sign(Sign::Known)
            }
            Ok(TriggerAnswer::Inactive(entries)) => {
                let detail = Some("AUTOMATION_INACTIVE".to_owned());
                Self::answered(trigger(T::Failed), detail, 417)
                    .with(entries)
                    .sign(Sign::Known)
                    .then(Then::Halt)
            }
            Ok(TriggerAnswer::NotTriggered(complaint)) => {
                let detail = Some(complaint.to_string());
                Self::answered(trigger(T::Failed), detail, complaint.status)
            }
            Ok(TriggerAnswer::UnknownTrigger(complaint)) => {
                let detail = match &complaint.error_type {
                    Some(word) => word.clone(),
                    None => format!("{complaint} without a reason (is base_url right?)"),
                };
                Self::answered(trigger(T::Failed), Some(detail), complaint.status).then(Then::Halt)
            }
            Ok(TriggerAnswer::UnknownContact(complaint)) => {
                let detail = complaint.error_type.clone();
                Self::answered(trigger(T::Waiting), detail, complaint.status).sign(Sign::Unknown)
            }
            Ok(TriggerAnswer::Rejected(complaint)) => {
                let detail = Some(complaint.to_string());
                Self::answered(trigger(T::FailedForGood), detail, complaint.status)
            }
            Err(error) => Self::of_error(
                error,
                trigger(T::Failed),
                trigger(T::NotCarriedOut),
                trigger(T::Uncertain),
                Then::Over,
            ),
        }
    }

    /// What a stop's answer means. That the contact is not known means that nothing runs for it, but only from an account
    /// that is seen to know any contact at all.
    pub(super) fn of_stop(answer: Result<StopAnswer, CallError>, knows_any: bool) -> Self {
        use StopOutcome as S;
        let stop = CallOutcome::Stop;
        match answer {
            Ok(StopAnswer::Stopped { already }) => Self::answered(
                stop(S::Stopped),
                already.clone(),
                if already.is_some() { 404 } else { 200 },
            )
            .sign(Sign::Known),
            Ok(StopAnswer::UnknownContact(complaint)) => {
                let detail = complaint.error_type.clone();
                let (outcome, then) = match knows_any {
                    true => (S::Stopped, Then::Over),
                    false => (S::Failed, Then::Park),
                };
                Self::answered(stop(outcome), detail, complaint.status)
                    .sign(Sign::Unknown)
                    .then(then)
            }
            Ok(StopAnswer::UnknownTrigger(complaint)) => {
                let detail = complaint.error_type.clone();
                Self::answered(stop(S::Failed), detail, complaint.status).then(Then::Halt)
            }
            Ok(StopAnswer::Rejected(complaint)) => {
                let detail = Some(complaint.to_string());
                Self::answered(stop(S::Failed), detail, complaint.status)
            }
            Err(error) => Self::of_error(
                error,
                stop(S::Failed),
                stop(S::NotCarriedOut),
                stop(S::Uncertain),
                Then::AgainByItself,
            ),
        }
    }

    /// That nothing runs at Spotler by the one id of a person, where another one is tried next: nothing was carried out.
    pub(super) fn of_other_id(detail: Option<String>, http_status: u16) -> Self {
        let outcome = CallOutcome::Stop(StopOutcome::NotCarriedOut);
        Self::answered(outcome, detail, http_status)
    }

    /// Whether it is of a call that is made again for another id.
    pub(super) fn is_of_other_id(&self) -> bool {
        let not_carried_out = matches!(
            self.outcome,
            CallOutcome::Stop(StopOutcome::NotCarriedOut)
                | CallOutcome::PartOfStop(StopOutcome::NotCarriedOut)
        );
        not_carried_out && self.then == Then::Over && self.returned == Return::Answered
    }

    fn of_error(
        error: CallError,
        failed: CallOutcome,
        not_carried_out: CallOutcome,
        uncertain: CallOutcome,
        after_doubt: Then,
    ) -> Self {
        let turned_away = |detail: String, wait, http_status| Self {
            outcome: not_carried_out,
            detail: Some(detail.clone()),
            http_status,
            entries: Vec::new(),
            returned: Return::TurnedAway { wait, detail },
            sign: Sign::NotCarriedOut,
            then: Then::Again,
        };
        let doubt = |detail, http_status, returned| Self {
            outcome: uncertain,
            detail: Some(detail),
            http_status,
            entries: Vec::new(),
            returned,
            sign: Sign::Nothing,
            then: after_doubt,
        };
        match error {
            CallError::NotSent(detail) => turned_away(detail, None, None),
            CallError::Limited {
                status,
                retry_after,
            } => turned_away(format!("HTTP {status}"), retry_after, Some(status)),
            CallError::Unauthorized(complaint) => {
                let detail = complaint.to_string();
                Self::answered(failed, Some(detail.clone()), complaint.status)
                    .then(Then::End(End::Unauthorized { detail }))
            }
            CallError::Doubtful(detail) => doubt(detail.clone(), None, Return::Doubt(detail)),
            CallError::Unavailable {
                status,
                retry_after: wait,
            } => {
                let detail = format!("HTTP {status}");
                let returned = Return::Unavailable {
                    wait,
                    detail: detail.clone(),
                };
                doubt(detail, Some(status), returned)
            }
        }
    }

    /// The same, where it is not tried again any more: what was turned away for too long failed.
    pub(super) fn given_up(self) -> Self {
        let outcome = match self.outcome {
            CallOutcome::Trigger(_) => CallOutcome::Trigger(TriggerOutcome::Failed),
            CallOutcome::Stop(_) | CallOutcome::PartOfStop(_) => {
                CallOutcome::Stop(StopOutcome::Failed)
            }
        };
        Self {
            outcome,
            then: Then::Over,
            ..self
        }
    }

    /// The same, as one of several stops of a participation that leaves it as it is.
    pub(super) fn into_part(self) -> Self {
        let outcome = match self.outcome {
            CallOutcome::Stop(outcome) => CallOutcome::PartOfStop(outcome),
            other => other,
        };
        Self { outcome, ..self }
    }

    /// What the record keeps of it.
    pub(super) fn settlement(&self) -> Settlement {
        // Texts and lists of texts always are JSON.
        let entries = (!self.entries.is_empty())
            .then(|| serde_json::to_string(&self.entries).ok())
            .flatten();
        Settlement {
            outcome: self.outcome,
            http_status: self.http_status,
            detail: self.detail.clone(),
            entries,
            ids: self
                .entries
                .iter()
                .filter(|entry| entry.is_ok())
                .filter_map(|entry| entry.participation.clone())
                .collect(),
        }
    }

    /// What is reported about it.
    pub(super) fn settled(&self) -> Settled {
        let outcome = match self.outcome {
            CallOutcome::Trigger(outcome) => match outcome {
                TriggerOutcome::Active => Outcome::Active,
                TriggerOutcome::Refused => Outcome::Refused,
                TriggerOutcome::Failed => Outcome::Failed,
                TriggerOutcome::FailedForGood => Outcome::FailedForGood,
                TriggerOutcome::Waiting => Outcome::Waiting,
                TriggerOutcome::Uncertain => Outcome::Uncertain,
                TriggerOutcome::NotCarriedOut => Outcome::NotSent,
            },
            CallOutcome::Stop(outcome) | CallOutcome::PartOfStop(outcome) => match outcome {
                StopOutcome::Stopped => Outcome::Stopped,
                StopOutcome::Failed => Outcome::StopFailed,
                StopOutcome::Uncertain => Outcome::StopUncertain,
                StopOutcome::NotCarriedOut => Outcome::NotSent,
            },
        };
        Settled {
            outcome,
            detail: self.detail.as_deref().map(Box::from),
        }
    }
}
