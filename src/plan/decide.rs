//! The table 'How a plan is made' of the product's contract: one declared or recorded thing in, one decision out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::OnChange;
use crate::digest::Digest;
use crate::failpoint::{Planted, is_planted};
use crate::id::TriggerCode;
use crate::participation::{Over, Participation, State, SuppressedBy};

/// What is declared, as far as the decision needs it.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// The automation's trigger code now.
    pub trigger_code: &'a TriggerCode,
    /// The digest of the fields now.
    pub fields: Option<Digest>,
    /// Whether a participation goes on where its fields change, or is triggered again.
    pub on_change: OnChange,
    /// Whether Spotler itself refuses a second trigger.
    pub second_trigger_is_harmless: bool,
    /// How long after a trigger no other one is sent.
    pub cooldown: Option<Duration>,
    /// Whether runs end by time.
    pub ends: bool,
    /// How long after a trigger a run that has ended is triggered again.
    pub again_after: Option<Duration>,
    /// The time to reckon with.
    pub now: Timestamp,
}

/// What becomes of a participation whose enrolment goes.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// `on_leave = "keep"`.
    pub keep: bool,
    /// How long it must be gone.
    pub after: Option<Duration>,
    /// The time to reckon with.
    pub now: Timestamp,
}

/// What to do about one (automation, contact, occurrence).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send a trigger.
    Trigger(WhyTrigger),
    /// Send a stop.
    Stop(WhyStop),
    /// Stop it, and once that is certain trigger it.
    StopThenTrigger(WhyRenewed),
    /// Stop it now and trigger it later: it left, the stop is in doubt, it is declared again, and it was triggered
    /// lately.
    StopThenHold(WhyHeld),
    /// Take note that it runs out by itself.
    LetGo,
    /// It was let go, still runs, and is declared again: it goes on, in doubt where it was.
    GoOn {
        /// Whether nobody knows if its trigger was carried out.
        in_doubt: bool,
    },
    /// It has ended, and is over by this.
    Over(Over),
    /// Wait: it is gone since then, and is stopped or let go at that time if it does not come back.
    Leaving {
        /// Since when.
        since: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// Do nothing, and say why.
    Hold(WhyHeld),
    /// It is as declared.
    Unchanged,
    /// Its contact is suppressed: it is not triggered, and that is recorded.
    Withhold,
    /// Neither declared nor running.
    Nothing,
}

/// Why a trigger is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyTrigger {
    /// Never seen before.
    New,
    /// It was stopped and is declared again.
    Returned,
    /// It was let go and is declared again.
    ReturnedAfterLetGo,
    /// It has ended, and `again_after` has passed since its trigger.
    Again,
    /// It was withheld or stopped, since its contact was suppressed.
    Released,
    /// It was withheld or stopped, since its contact was not on a list that is required, and now it is.
    Listed,
    /// The last trigger failed; trying again may help.
    TryAgain,
    /// The last trigger failed for good, and the fields changed since.
    FieldsChanged,
    /// The last trigger failed for good, and the trigger code changed since.
    CodeChanged,
    /// The last trigger is in doubt, and a second one does no harm.
    Harmless,
    /// It follows a stop, and is sent once that is certain.
    AfterStop(WhyRenewed),
}

/// Why a participation is stopped and triggered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyRenewed {
    /// It left, the stop is in doubt, and it is declared again.
    Returned,
    /// Its fields have changed (`on_change = "retrigger"`).
    FieldsChanged,
}

/// Why a stop is sent, besides that the enrolment is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyStop {
    /// The enrolment is gone.
    NotDeclared,
    /// Its contact is one person with another one, who is in it too.
    Merged,
    /// The enrolment is gone, and an earlier stop failed or is in doubt.
    Again,
    /// Its contact is suppressed.
    Suppressed,
    /// It is declared, and is triggered again after it.
    Renewed(WhyRenewed),
}

/// Why nothing is done about something declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyHeld {
    /// A trigger was sent, and nobody knows whether it was carried out.
    Uncertain,
    /// A participation limit was reached.
    Refused,
    /// The last trigger failed for good, and nothing changed since.
    FailedForGood,
    /// Spotler did not know the contact, and it is not time yet to try again.
    Waiting {
        /// Until when.
        until: Timestamp,
    },
    /// It was triggered so lately that it waits.
    Cooling {
        /// Until when.
        until: Timestamp,
    },
    /// It has ended and was gone, and `again_after` has not passed since its trigger.
    TooSoon {
        /// Until when.
        until: Timestamp,
    },
    /// Its fields have changed, and it was triggered so lately that it goes on with the old ones until then.
    ChangeCooling {
        /// Until when.
        until: Timestamp,
    },
}

/// A time and a span after it, as far as the calendar goes.
pub(super) fn plus(at: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span)
        .and_then(|span| at.checked_add(span))
        .unwrap_or(Timestamp::MAX)
}

/// Decides about something that is declared.
pub fn declared(declared: Declared<'_>, recorded: Option<&Participation>) -> Decision {
    let decision = by_state(declared, recorded);
    // Only what ran before can flap; a trigger that failed never reached anybody.
    let ran = matches!(
        decision,
        Decision::Trigger(
            WhyTrigger::Returned
                | WhyTrigger::ReturnedAfterLetGo
                | WhyTrigger::Released
                | WhyTrigger::Again
        )
    );
    let waits = ran || matches!(decision, Decision::StopThenTrigger(_));
    let triggered_at = recorded.and_then(|recorded| recorded.triggered_at);
    let cooling = declared.cooldown.zip(triggered_at).filter(|_| waits);
    let until = cooling.map(|(cooldown, at)| plus(at, cooldown));
    match (until.filter(|until| *until > declared.now), decision) {
        (None, decision) => decision,
        (Some(until), Decision::StopThenTrigger(WhyRenewed::Returned)) => {
            Decision::StopThenHold(WhyHeld::Cooling { until })
        }
        // Stopped now, it would get neither the old steps nor the new ones for a while.
        (Some(until), Decision::StopThenTrigger(WhyRenewed::FieldsChanged)) => {
            Decision::Hold(WhyHeld::ChangeCooling { until })
        }
        (Some(until), _) => Decision::Hold(WhyHeld::Cooling { until }),
    }
}

fn by_state(declared: Declared<'_>, recorded: Option<&Participation>) -> Decision {
    let Some(recorded) = recorded else {
        return Decision::Trigger(WhyTrigger::New);
    };
    let same_code = || recorded.trigger_code == *declared.trigger_code;
    match recorded.state {
        State::Stopped if recorded.is_suppressed() => Decision::Trigger(WhyTrigger::Released),
        State::Stopped => Decision::Trigger(WhyTrigger::Returned),
        // What was refused never ran. The record has no place for what runs under another id beside what would be triggered now.
        State::LetGo
            if (declared.ends || recorded.triggered_as.is_some())
                && recorded.let_go_from() != Some(State::Refused)
                && !is_planted(Planted::LetGoTriggered) =>
        {
            let in_doubt = recorded.let_go_from().is_some();
            Decision::GoOn { in_doubt }
        }
        State::LetGo => Decision::Trigger(WhyTrigger::ReturnedAfterLetGo),
        State::Ended => has_ended(declared, recorded),
        State::Active | State::StopFailed
            if declared.on_change == OnChange::Retrigger && recorded.fields != declared.fields =>
        {
            Decision::StopThenTrigger(WhyRenewed::FieldsChanged)
        }
        // A stop that failed was not carried out: the participation goes on, as is now wanted again.
        State::Active | State::StopFailed => Decision::Unchanged,
        State::Failed => Decision::Trigger(WhyTrigger::TryAgain),
        State::Waiting => match next_try(recorded) {
            // A try that is yet to come was noted by a clock that was ahead.
            Some((at, until)) if until > declared.now && at <= plus(declared.now, LONGEST_WAIT) => {
                Decision::Hold(WhyHeld::Waiting { until })
            }
            _ => Decision::Trigger(WhyTrigger::TryAgain),
        },
        State::Withheld => Decision::Trigger(WhyTrigger::Released),
        State::FailedForGood if !same_code() => Decision::Trigger(WhyTrigger::CodeChanged),
        State::FailedForGood if recorded.fields != declared.fields => {
            Decision::Trigger(WhyTrigger::FieldsChanged)
        }
        State::FailedForGood => Decision::Hold(WhyHeld::FailedForGood),
        State::Refused => Decision::Hold(WhyHeld::Refused),
        // Spotler's own limit guards the publications behind one code, not those behind another.
        State::Uncertain | State::Triggering
            if (declared.second_trigger_is_harmless || is_planted(Planted::DoubtResent))
                && same_code()
                // Spotler guards each contact by itself.
                && recorded.triggered_as.is_none() =>
        {
            Decision::Trigger(WhyTrigger::Harmless)
        }
        State::Uncertain | State::Triggering => Decision::Hold(WhyHeld::Uncertain),
        State::Stopping | State::StopUncertain => Decision::StopThenTrigger(WhyRenewed::Returned),
    }
}

/// Decides about something declared that has ended.
fn has_ended(declared: Declared<'_>, recorded: &Participation) -> Decision {
    let triggered_at = recorded.triggered_at.unwrap_or(Timestamp::MIN);
    let until = (declared.again_after).map(|again_after| plus(triggered_at, again_after));
    let is_due =
        until.is_none_or(|until| until <= declared.now || is_planted(Planted::AgainTooSoon));
    match until {
        _ if recorded.has_ended_declared() => match until {
            Some(_) if is_due => Decision::Trigger(WhyTrigger::Again),
            _ => Decision::Unchanged,
        },
        Some(until) if !is_due => Decision::Hold(WhyHeld::TooSoon { until }),
        _ if recorded.is_suppressed() => Decision::Trigger(WhyTrigger::Released),
        _ => Decision::Trigger(WhyTrigger::Returned),
    }
}

/// How long a contact that Spotler does not know waits for its second try; each wait is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_secs(15 * 60);

/// The longest of these waits.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// When a contact that Spotler did not know was last tried, and when it is to be tried again.
fn next_try(recorded: &Participation) -> Option<(Timestamp, Timestamp)> {
    let at = recorded.triggered_at?;
    let doublings = recorded.tries.saturating_sub(1);
    let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(doublings));
    Some((at, plus(at, wait.min(LONGEST_WAIT))))
}

/// Decides about something of a suppressed contact, which is declared or on record, whatever else says so.
pub fn suppressed(is_declared: bool, recorded: Option<State>, by: SuppressedBy) -> Decision {
    match recorded {
        Some(state) if state.may_run_at_spotler() => Decision::Stop(WhyStop::Suppressed),
        Some(State::Ended) => Decision::Over(Over::Suppressed(by)),
        _ if is_declared => Decision::Withhold,
        _ => Decision::Nothing,
    }
}

/// Decides about something that is on record and not declared.
pub fn gone(recorded: &Participation, leave: Leave) -> Decision {
    match recorded.state {
        State::Active | State::Uncertain | State::Triggering | State::Refused => {
            // Nothing is gone since a time that is yet to come: the clock was ahead when that was noted.
            let since = recorded.left_at.unwrap_or(leave.now).min(leave.now);
            match leave.after.map(|after| plus(since, after)) {
                Some(until) if until > leave.now => Decision::Leaving { since, until },
                _ if leave.keep => Decision::LetGo,
                _ => Decision::Stop(WhyStop::NotDeclared),
            }
        }
        State::StopFailed | State::StopUncertain | State::Stopping => {
            Decision::Stop(WhyStop::Again)
        }
        State::Ended if recorded.has_ended_declared() => Decision::Over(Over::Gone),
        State::Failed
        | State::FailedForGood
        | State::Waiting
        | State::Withheld
        | State::Stopped
        | State::LetGo
        | State::Ended => Decision::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Hasher;
    use crate::id::{AutomationName, ContactId};
    use crate::participation::Key;
    use jiff::Timestamp;

    fn recorded(state: State) -> Participation {
        Participation {
            key: Key {
                contact: ContactId::new("crm-1").unwrap(),
                automation: AutomationName::new("welcome").unwrap(),
                occurrence: None,
            },
            state,
            trigger_code: TriggerCode::new("code").unwrap(),
            fields: None,
            has_ids: true,
            detail: None,
            triggered_at: None,
            left_at: None,
            tries: 0,
            gone_at: None,
            released_at: None,
            triggered_as: None,
        }
    }

    fn decide(state: State, code: &str, fields: Option<Digest>, harmless: bool) -> Decision {
        declared(
            Declared {
                trigger_code: &TriggerCode::new(code).unwrap(),
                fields,
                on_change: OnChange::Ignore,
                second_trigger_is_harmless: harmless,
                cooldown: None,
                ends: false,
                again_after: None,
                now: Timestamp::UNIX_EPOCH,
            },
            Some(&recorded(state)),
        )
    }

    #[test]
    fn what_is_declared_and_not_running_is_triggered() {
        for state in [State::Stopped, State::LetGo, State::Failed] {
            assert!(
                matches!(decide(state, "code", None, false), Decision::Trigger(_)),
                "{state}"
            );
        }
    }

    #[test]
    fn what_is_declared_and_active_is_left_alone_even_if_its_code_changed() {
        for code in ["code", "other"] {
            assert_eq!(decide(State::Active, code, None, true), Decision::Unchanged);
        }
    }

    #[test]
    fn an_uncertain_trigger_is_held_unless_a_second_one_is_harmless_at_the_same_code() {
        let held = Decision::Hold(WhyHeld::Uncertain);
        assert_eq!(decide(State::Uncertain, "code", None, false), held);
        assert_eq!(decide(State::Uncertain, "other", None, true), held);
        assert_eq!(
            decide(State::Uncertain, "code", None, true),
            Decision::Trigger(WhyTrigger::Harmless)
        );
    }

    #[test]
    fn what_failed_for_good_is_held_until_its_fields_or_code_change() {
        let digest = Some(Hasher::new().part("x").finish());
        assert_eq!(
            decide(State::FailedForGood, "code", None, false),
            Decision::Hold(WhyHeld::FailedForGood)
        );
        assert_eq!(
            decide(State::FailedForGood, "code", digest, false),
            Decision::Trigger(WhyTrigger::FieldsChanged)
        );
        assert_eq!(
            decide(State::FailedForGood, "other", None, false),
            Decision::Trigger(WhyTrigger::CodeChanged)
        );
    }

    #[test]
    fn a_contact_that_is_not_known_is_tried_ever_more_rarely_and_once_a_day_at_least() {
        const MINUTE: Duration = Duration::from_secs(60);
        let at = day(10);
        let decide = |tries, now| {
            let recorded = Participation {
                tries,
                triggered_at: Some(at),
                ..recorded(State::Waiting)
            };
            let code = TriggerCode::new("code").unwrap();
            let wanted = Declared {
                trigger_code: &code,
                fields: None,
                on_change: OnChange::Ignore,
                second_trigger_is_harmless: false,
                cooldown: Some(30 * DAY),
                ends: false,
                again_after: None,
                now,
            };
            declared(wanted, Some(&recorded))
        };
        for (tries, minutes) in [
            (0, 15),
            (1, 15),
            (2, 30),
            (3, 60),
            (7, 960),
            (8, 1440),
            (9, 1440),
            (u32::MAX, 1440),
        ] {
            let until = plus(at, minutes * MINUTE);
            let before = until - jiff::SignedDuration::from_millis(1);
            let held = Decision::Hold(WhyHeld::Waiting { until });
            assert_eq!(decide(tries, before), held, "{tries}");
            let due = Decision::Trigger(WhyTrigger::TryAgain);
            assert_eq!(decide(tries, until), due, "{tries}");
            // The last try was noted by a clock that was two days ahead.
            assert_eq!(
                decide(tries, day(8) - jiff::SignedDuration::from_secs(1)),
                due
            );
        }
    }

    #[test]
    fn refused_is_held_for_ever() {
        assert_eq!(
            decide(State::Refused, "other", None, true),
            Decision::Hold(WhyHeld::Refused)
        );
    }

    #[test]
    fn a_doubtful_stop_is_settled_before_a_new_trigger() {
        assert_eq!(
            decide(State::StopUncertain, "code", None, true),
            Decision::StopThenTrigger(WhyRenewed::Returned)
        );
    }

    #[test]
    fn a_running_one_whose_fields_changed_is_renewed_only_where_that_is_wanted_and_after_its_cooldown()
     {
        let old = Some(Hasher::new().part("x").finish());
        let new = Some(Hasher::new().part("y").finish());
        let decide = |state, on_change, fields, now| {
            let mut recorded = recorded(state);
            recorded.fields = old;
            recorded.triggered_at = Some(day(10));
            let code = TriggerCode::new("code").unwrap();
            let wanted = Declared {
                trigger_code: &code,
                fields,
                on_change,
                second_trigger_is_harmless: false,
                cooldown: Some(30 * DAY),
                ends: false,
                again_after: None,
                now,
            };
            declared(wanted, Some(&recorded))
        };
        let renewed = Decision::StopThenTrigger(WhyRenewed::FieldsChanged);
        let until = day(40);
        let held = Decision::Hold(WhyHeld::ChangeCooling { until });
        for state in [State::Active, State::StopFailed] {
            for fields in [new, None] {
                assert_eq!(decide(state, OnChange::Retrigger, fields, day(40)), renewed);
                assert_eq!(decide(state, OnChange::Retrigger, fields, day(39)), held);
                assert_eq!(
                    decide(state, OnChange::Ignore, fields, day(40)),
                    Decision::Unchanged
                );
            }
            assert_eq!(
                decide(state, OnChange::Retrigger, old, day(40)),
                Decision::Unchanged
            );
        }
    }

    fn gone_from(state: State, keep: bool) -> Decision {
        let leave = Leave {
            keep,
            after: None,
            now: Timestamp::UNIX_EPOCH,
        };
        gone(&recorded(state), leave)
    }

    #[test]
    fn what_is_gone_is_stopped_or_let_go() {
        for state in [State::Active, State::Uncertain, State::Refused] {
            assert_eq!(
                gone_from(state, false),
                Decision::Stop(WhyStop::NotDeclared)
            );
            assert_eq!(gone_from(state, true), Decision::LetGo, "{state}");
        }
        for state in [State::StopFailed, State::StopUncertain] {
            assert_eq!(gone_from(state, true), Decision::Stop(WhyStop::Again));
        }
        for state in [
            State::Failed,
            State::FailedForGood,
            State::Stopped,
            State::LetGo,
        ] {
            assert_eq!(gone_from(state, false), Decision::Nothing, "{state}");
        }
    }

    #[test]
    fn who_is_suppressed_is_stopped_or_withheld_and_never_triggered() {
        for state in State::ALL {
            let stop = Decision::Stop(WhyStop::Suppressed);
            let (declared, gone) = match state {
                State::Triggering
                | State::Active
                | State::Refused
                | State::Uncertain
                | State::Stopping
                | State::StopFailed
                | State::StopUncertain
                | State::LetGo => (stop.clone(), stop),
                State::Failed
                | State::FailedForGood
                | State::Waiting
                | State::Withheld
                | State::Stopped => (Decision::Withhold, Decision::Nothing),
                State::Ended => {
                    let over = Decision::Over(Over::Suppressed(SuppressedBy::default()));
                    (over.clone(), over)
                }
            };
            assert_eq!(
                suppressed(true, Some(state), SuppressedBy::default()),
                declared,
                "{state}"
            );
            assert_eq!(
                suppressed(false, Some(state), SuppressedBy::default()),
                gone,
                "{state}"
            );
        }
        assert_eq!(
            suppressed(true, None, SuppressedBy::default()),
            Decision::Withhold
        );
    }

    fn day(number: i64) -> Timestamp {
        Timestamp::from_second(number * 86_400).unwrap()
    }

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn who_was_triggered_lately_cools_down_to_the_second() {
        let returns = |state, now| {
            let mut recorded = recorded(state);
            recorded.triggered_at = Some(day(10));
            let code = TriggerCode::new("code").unwrap();
            let declared_now = Declared {
                trigger_code: &code,
                fields: None,
                on_change: OnChange::Ignore,
                second_trigger_is_harmless: false,
                cooldown: Some(30 * DAY),
                ends: false,
                again_after: None,
                now,
            };
            declared(declared_now, Some(&recorded))
        };
        let until = day(40);
        let held = Decision::Hold(WhyHeld::Cooling { until });
        assert_eq!(returns(State::Stopped, day(39)), held);
        assert_eq!(returns(State::Withheld, day(39)), held);
        assert_eq!(returns(State::LetGo, day(39)), held);
        assert_eq!(
            returns(State::Stopped, day(40)),
            Decision::Trigger(WhyTrigger::Returned)
        );
        assert_eq!(
            returns(State::StopUncertain, day(39)),
            Decision::StopThenHold(WhyHeld::Cooling { until })
        );
        // A failed trigger reached nobody.
        assert_eq!(
            returns(State::Failed, day(11)),
            Decision::Trigger(WhyTrigger::TryAgain)
        );
    }

    #[test]
    fn what_is_gone_leaves_only_after_it_was_gone_for_long_enough() {
        let leaves = |left_at, now| {
            let mut recorded = recorded(State::Active);
            recorded.left_at = left_at;
            let leave = Leave {
                keep: false,
                after: Some(2 * DAY),
                now,
            };
            gone(&recorded, leave)
        };
        let (since, until) = (day(5), day(7));
        assert_eq!(leaves(None, day(5)), Decision::Leaving { since, until });
        assert_eq!(
            leaves(Some(day(5)), day(6)),
            Decision::Leaving { since, until }
        );
        assert_eq!(
            leaves(Some(day(5)), day(7)),
            Decision::Stop(WhyStop::NotDeclared)
        );
    }
}
