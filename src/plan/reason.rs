//! The reasons of a plan, in words.

use jiff::Timestamp;

use super::decide::WhyHeld;
use super::{NotAlone, Stop, Trigger, WhyRenewed, WhyStop, WhyTrigger};
use crate::participation::{Participation, State, UNDER_WAY};

impl Trigger {
    /// Why it is sent.
    pub fn reason(&self) -> String {
        let detail = match &self.detail {
            Some(detail) => format!(" ({detail})"),
            None => String::new(),
        };
        match self.why {
            WhyTrigger::New => "new".to_owned(),
            WhyTrigger::Returned if self.before == Some(State::Ended) => {
                "declared again after its run had ended".to_owned()
            }
            WhyTrigger::Returned => "declared again after it was stopped".to_owned(),
            WhyTrigger::Again => {
                "its run has ended, and `again_after` has passed since its trigger".to_owned()
            }
            WhyTrigger::ReturnedAfterLetGo => "declared again after it was let go".to_owned(),
            WhyTrigger::Released => "no longer suppressed".to_owned(),
            WhyTrigger::Listed => "now on the list that [[require]] asks for".to_owned(),
            WhyTrigger::TryAgain if self.before == Some(State::Waiting) => {
                "Spotler did not know the contact at the last try; it is time for the next one".to_owned()
            }
            // A person said so, or an answer that gave no reason.
            WhyTrigger::TryAgain if self.detail.is_none() => {
                "the last trigger was not carried out; worth trying again".to_owned()
            }
            WhyTrigger::TryAgain => format!("the last trigger failed{detail}; worth trying again"),
            WhyTrigger::FieldsChanged => {
                format!("the last trigger failed{detail}; its fields have changed since")
            }
            WhyTrigger::CodeChanged => {
                format!(
                    "the last trigger failed{detail}; the automation's trigger code has changed since"
                )
            }
            WhyTrigger::Harmless => {
                "the last trigger is uncertain; the automation's participation setting makes a second one harmless"
                    .to_owned()
            }
            WhyTrigger::AfterStop(why) => {
                format!("{}; sent once the stop before it is certain", renewed(why))
            }
        }
    }
}

impl Stop {
    /// Why it is sent.
    pub fn full_reason(&self) -> String {
        if self.not_alone == Some(NotAlone::ReachesOthers) {
            return format!(
                "{}; no id is on record to stop it alone, so it is sent with the other stops behind its trigger code or, where the \
                 guard refuses those, not at all",
                self.reason
            );
        }
        let earlier = match (self.why, self.participation.state) {
            (WhyStop::NotDeclared | WhyStop::Merged, _) => return self.reason.to_string(),
            (WhyStop::Renewed(WhyRenewed::Returned), _) => {
                return "the last stop is uncertain, and it is declared again".to_owned();
            }
            (WhyStop::Renewed(why @ WhyRenewed::FieldsChanged), _) => {
                return format!("{}; triggered again with the new ones", renewed(why));
            }
            (WhyStop::Again | WhyStop::Suppressed, State::StopFailed) => "failed",
            (WhyStop::Suppressed, State::StopUncertain | State::Stopping) => "is uncertain",
            (WhyStop::Suppressed, _) => return self.reason.to_string(),
            (WhyStop::Again, _) => "is uncertain",
        };
        let detail = match &self.participation.detail {
            Some(detail) => format!(" ({detail})"),
            None => String::new(),
        };
        format!("{}; the last stop {earlier}{detail}", self.reason)
    }
}

fn renewed(why: WhyRenewed) -> &'static str {
    match why {
        WhyRenewed::Returned => "declared again",
        WhyRenewed::FieldsChanged => "its fields have changed",
    }
}

/// Why something declared is held.
pub(super) fn held(why: WhyHeld, recorded: &Participation) -> String {
    let detail = recorded.detail.as_deref();
    match why {
        WhyHeld::Uncertain if detail.is_some_and(|detail| detail.starts_with(UNDER_WAY)) => {
            format!(
                "a trigger was sent{} and is {}",
                when(recorded),
                detail.unwrap_or(UNDER_WAY)
            )
        }
        WhyHeld::Uncertain => format!(
            "a trigger was sent{} and nobody knows whether it was carried out; settle it with `rollcall resolve`",
            when(recorded)
        ),
        WhyHeld::Refused => format!(
            "Spotler refused the trigger{}: {}",
            when(recorded),
            detail.unwrap_or("a participation limit was reached")
        ),
        WhyHeld::FailedForGood => format!(
            "the trigger{} failed for good ({}), and neither its fields nor its automation have changed since; correct in the \
             configuration what Spotler complains about, and it is tried again",
            when(recorded),
            detail.unwrap_or("no reason was given")
        ),
        WhyHeld::Waiting { until } => format!(
            "Spotler did not know the contact when it was tried{}{}; it is tried again from {} on",
            when(recorded),
            match recorded.tries {
                0 | 1 => String::new(),
                tries => format!(" ({tries} tries so far)"),
            },
            time(until)
        ),
        WhyHeld::Cooling { until } => format!(
            "it was triggered or adopted{}; its cooldown ends at {}",
            when(recorded),
            time(until)
        ),
        WhyHeld::TooSoon { until } => format!(
            "its run has ended, and it was gone; it was triggered or adopted{}, and is triggered again from {} on \
             (`again_after`)",
            when(recorded),
            time(until)
        ),
        WhyHeld::ChangeCooling { until } => format!(
            "its fields have changed, and it was triggered or adopted{}; it goes on with the old ones until its cooldown ends at {}",
            when(recorded),
            time(until)
        ),
    }
}

/// Why something that is gone is not stopped, or let go, yet.
pub(super) fn leaving(since: Timestamp, until: Timestamp, keep: bool) -> String {
    format!(
        "it is no longer declared since {}; it is {} from {} on, unless it comes back",
        time(since),
        if keep { "let go" } else { "stopped" },
        time(until)
    )
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn when(recorded: &Participation) -> String {
    match recorded.triggered_at {
        Some(at) => format!(" at {}", time(at)),
        None => String::new(),
    }
}

/// Why something without an id, of a contact who may be suppressed, cannot be stopped while others stay.
pub(super) fn cannot_stop_alone(is_suppressed: bool) -> String {
    let advice = match is_suppressed {
        true => {
            "; it is stopped once the contact is suppressed in those too, or they are no longer declared"
        }
        false => "",
    };
    format!(
        "no id is on record to stop it alone, and the call that stops all would also stop other participations of the contact \
         with the same trigger code{advice}"
    )
}
