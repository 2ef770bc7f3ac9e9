//! Participations, and the one state machine of their lives.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::digest::Digest;
use crate::id::{AutomationName, ContactId, Occurrence, TriggerCode};

/// What a participation is of: this contact, in this automation, for this occurrence.
///
/// Keys sort by contact, then automation, then occurrence: the order of a plan and of the record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The person.
    pub contact: ContactId,
    /// The automation, by its name in the configuration.
    pub automation: AutomationName,
    /// The occurrence; `None` where the automation does not repeat.
    pub occurrence: Option<Occurrence>,
}

impl Key {
    /// The automation and the occurrence, by whatever id of a person.
    pub fn run(&self) -> (&AutomationName, Option<&Occurrence>) {
        (&self.automation, self.occurrence.as_ref())
    }

    /// Whether it is of the same automation and occurrence, by whatever id of a person.
    pub fn is_same_run(&self, other: &Self) -> bool {
        self.run() == other.run()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.contact, self.automation)?;
        match &self.occurrence {
            Some(occurrence) => write!(f, " / {occurrence}"),
            None => Ok(()),
        }
    }
}

/// What the record knows of one participation, as far as planning needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participation {
    /// What it is of.
    pub key: Key,
    /// Where it stands.
    pub state: State,
    /// The code it was triggered with. It may no longer be the one in the configuration; a stop goes to this one.
    pub trigger_code: TriggerCode,
    /// The digest of the fields that were sent with the trigger; `None` where there were none.
    pub fields: Option<Digest>,
    /// Whether there is an `automationContactId` to stop it by alone.
    pub has_ids: bool,
    /// Why it stands there, in the words of the wire: an `errorType`, a status, `PARTICIPATION_LIMIT_REACHED`.
    pub detail: Option<String>,
    /// When its last trigger was sent, or when it was adopted.
    pub triggered_at: Option<Timestamp>,
    /// When its enrolment was first seen gone, where it is still to be stopped. Of what ended by a clock that was ahead: what
    /// that clock said.
    pub left_at: Option<Timestamp>,
    /// How many triggers in a row found that Spotler does not know the contact.
    pub tries: u32,
    /// When it was last stopped or let go, or began to leave, by the real clock.
    pub gone_at: Option<Timestamp>,
    /// When it was last triggered after a suppression had kept it from running; not kept for longer than the guard counts.
    pub released_at: Option<Timestamp>,
    /// The id that it was triggered under, where the contact has another one since: a stop goes there.
    pub triggered_as: Option<ContactId>,
}

impl Participation {
    /// Whether it is in its automation, so that `stay` is enough to stay.
    pub fn is_in(&self) -> bool {
        self.state.is_in() || self.has_ended_declared()
    }

    /// The id that was triggered.
    pub fn sent_to(&self) -> &ContactId {
        self.triggered_as.as_ref().unwrap_or(&self.key.contact)
    }

    /// Whether it ended by time and its enrolment was there all along: to be declared is no new enrolment.
    pub fn has_ended_declared(&self) -> bool {
        let is_gone = || self.detail.as_deref() == Some(GONE);
        self.state == State::Ended && !is_gone() && !self.is_suppressed()
    }

    /// Whether it ends by time: it ran for certain, also where it was let go or a stop of it failed.
    pub fn ends_by_time(&self) -> bool {
        match self.state {
            State::Active | State::StopFailed => true,
            State::LetGo => self.let_go_from().is_none(),
            _ => false,
        }
    }

    /// How it is over once it has ended by time: who was let go had left before.
    pub fn over_by_time(&self) -> Over {
        match self.state {
            State::LetGo => Over::Gone,
            _ => Over::Declared,
        }
    }

    /// When it ends, or has ended, by time, where runs last for `runs_for`.
    pub fn ends_at(&self, runs_for: Option<Duration>) -> Option<Timestamp> {
        let ends = self.ends_by_time() || self.state == State::Ended;
        let (at, span) = self.triggered_at.zip(runs_for).filter(|_| ends)?;
        let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        Some(at.checked_add(span).unwrap_or(Timestamp::MAX))
    }

    /// Whether it has run for as long as runs last, by then; `None` where it does not end by time. A plan asks it of a million.
    fn has_run_out(&self, runs_for: Option<Duration>, now: Timestamp) -> Option<bool> {
        let ends = self.ends_by_time() || self.state == State::Ended;
        let (at, span) = self.triggered_at.zip(runs_for).filter(|_| ends)?;
        let ran = Duration::try_from(now.duration_since(at));
        Some(ran.is_ok_and(|ran| ran >= span))
    }

    /// Whether it ended by a clock that was ahead, and runs by this one, where runs last for `runs_for`.
    pub fn runs_again(&self, runs_for: Option<Duration>, now: Timestamp) -> bool {
        self.state == State::Ended
            && self.left_at.is_some_and(|at| at > now)
            && self.has_run_out(runs_for, now) == Some(false)
    }

    /// What it is by now, where runs last for `runs_for`: what ran for so long has ended, and what ended by a clock that was
    /// ahead runs.
    pub fn state_at(&self, runs_for: Option<Duration>, now: Timestamp) -> State {
        match self.has_run_out(runs_for, now) {
            _ if self.runs_again(runs_for, now) => State::Active,
            Some(true) => State::Ended,
            _ => self.state,
        }
    }

    /// What it was when it was let go, where that is not active.
    pub fn let_go_from(&self) -> Option<State> {
        let word = self
            .detail
            .as_deref()
            .filter(|_| self.state == State::LetGo);
        word.map(|word| word.parse().unwrap_or(State::Uncertain))
    }

    /// Whether it does not run because its contact was suppressed.
    pub fn is_suppressed(&self) -> bool {
        self.suppressed_by().is_some()
    }

    /// By what its contact was suppressed, where it does not run because of that.
    pub fn suppressed_by(&self) -> Option<SuppressedBy> {
        let detail = self.detail.as_deref();
        match self.state {
            State::Withheld => Some(detail.and_then(SuppressedBy::read).unwrap_or_default()),
            State::Stopped | State::Ended => SuppressedBy::read(detail?),
            _ => None,
        }
    }

    /// Why it stands there, as it is shown to people and programs.
    pub fn shown_detail(&self) -> Option<&str> {
        match self.state {
            State::Withheld => None,
            _ if self.is_suppressed() => Some(SUPPRESSED),
            _ => self.detail.as_deref(),
        }
    }

    /// Whether an id is on record that stops it alone. Where its trigger is in doubt or was refused, the ids are of an earlier
    /// run.
    pub fn can_be_stopped_alone(&self) -> bool {
        self.has_ids && !self.state.is_doubtful_trigger() && self.state != State::Refused
    }
}

/// How the detail of a participation begins of which a run has a call under way.
pub const UNDER_WAY: &str = "under way in a run that is at work";

/// The detail of what was stopped since its contact is suppressed.
pub const SUPPRESSED: &str = "suppressed";

/// By what a contact is suppressed, as the record keeps it in the detail: a block of the configuration, by what it is known by.
/// By default it is not known which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SuppressedBy {
    /// Whether it was not on a list that is required.
    pub is_required: bool,
    /// The block; 0 is not known.
    pub block: u64,
}

/// What a detail holds that says so of a list that is required.
const BY_REQUIRED: &str = "suppressed by require ";

impl SuppressedBy {
    fn read(detail: &str) -> Option<Self> {
        let rest = detail.strip_prefix(SUPPRESSED)?;
        let block = rest.rsplit(' ').next().unwrap_or_default();
        Some(Self {
            is_required: detail.starts_with(BY_REQUIRED),
            block: u64::from_str_radix(block, 16).unwrap_or(0),
        })
    }
}

impl fmt::Display for SuppressedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_required, self.block) {
            (true, block) => write!(f, "{BY_REQUIRED}{block:016x}"),
            (false, 0) => f.write_str(SUPPRESSED),
            (false, block) => write!(f, "{SUPPRESSED} by suppress {block:016x}"),
        }
    }
}

/// The detail of what has ended and whose enrolment is gone, or was before.
pub const GONE: &str = "no longer declared";

/// Why what has ended is over, so that to be declared again is a new enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Over {
    /// It is not: the enrolment is still there.
    Declared,
    /// The enrolment is gone, or was.
    Gone,
    /// The contact is suppressed.
    Suppressed(SuppressedBy),
}

/// Where a participation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// A trigger is about to be sent or under way. Where the run that sent it is gone, this is a doubt
    /// ([`State::Uncertain`]).
    Triggering,
    /// Spotler started it, and nothing has stopped it.
    Active,
    /// Spotler refused the trigger: a participation limit was reached.
    Refused,
    /// The trigger failed and was not carried out; trying again may help.
    Failed,
    /// The trigger failed and was not carried out; it will fail again unless fields or automation change.
    FailedForGood,
    /// Spotler does not know the contact yet. The trigger is tried again later by itself.
    Waiting,
    /// It is declared, and not triggered because the contact is suppressed.
    Withheld,
    /// A trigger was sent, and nobody knows whether it was carried out.
    Uncertain,
    /// A stop is about to be sent or under way. Where the run that sent it is gone, this is a doubt
    /// ([`State::StopUncertain`]).
    Stopping,
    /// A stop failed and was not carried out: the participation goes on.
    StopFailed,
    /// A stop was sent, and nobody knows whether it was carried out.
    StopUncertain,
    /// It was stopped.
    Stopped,
    /// The enrolment went and the participation was left to run out (`on_leave = "keep"`).
    LetGo,
    /// It ran for longer than its automation does (`runs_for`), so that nothing of it is left to stop.
    Ended,
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [State; 14] = [
        State::Triggering,
        State::Active,
        State::Refused,
        State::Failed,
        State::FailedForGood,
        State::Waiting,
        State::Withheld,
        State::Uncertain,
        State::Stopping,
        State::StopFailed,
        State::StopUncertain,
        State::Stopped,
        State::LetGo,
        State::Ended,
    ];

    /// The word for it, in the record, in JSON and in text.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Triggering => "triggering",
            State::Active => "active",
            State::Refused => "refused",
            State::Failed => "failed",
            State::FailedForGood => "failed-for-good",
            State::Waiting => "waiting",
            State::Withheld => "withheld",
            State::Uncertain => "uncertain",
            State::Stopping => "stopping",
            State::StopFailed => "stop-failed",
            State::StopUncertain => "stop-uncertain",
            State::Stopped => "stopped",
            State::LetGo => "let-go",
            State::Ended => "ended",
        }
    }

    /// Whether Spotler has, or may have, a running participation behind it that Rollcall knows of. These are what
    /// "active" counts in the guard's percentages.
    pub fn is_running(self) -> bool {
        self.runs_for_certain() || self.is_doubtful_trigger() || self.is_doubtful_stop()
    }

    /// Whether it runs at Spotler for certain: no trigger and no stop of it is in doubt.
    pub fn runs_for_certain(self) -> bool {
        matches!(self, State::Active | State::StopFailed)
    }

    /// Whether it is in its automation, so that `stay` is enough to stay: it runs or may run, or made a limit refuse the
    /// trigger, and no stop is under way that Spotler may have carried out.
    pub fn is_in(self) -> bool {
        self.needs_an_end() && !self.is_doubtful_stop()
    }

    /// Whether anything of it may run at Spotler, also what Rollcall does not count: what was let go, and what made a
    /// limit refuse the trigger.
    pub fn may_run_at_spotler(self) -> bool {
        self.needs_an_end() || self == State::LetGo
    }

    /// Whether it is still to be ended where its enrolment goes: what runs, and what made a limit refuse the trigger.
    pub fn needs_an_end(self) -> bool {
        self.is_running() || self == State::Refused
    }

    /// Whether it ran and is over: it was stopped, let go, or ended by time.
    pub fn is_over(self) -> bool {
        matches!(self, State::Stopped | State::LetGo | State::Ended)
    }

    /// Whether nobody knows if its last trigger was carried out.
    pub fn is_doubtful_trigger(self) -> bool {
        matches!(self, State::Uncertain | State::Triggering)
    }

    /// Whether nobody knows if its last stop was carried out.
    pub fn is_doubtful_stop(self) -> bool {
        matches!(self, State::StopUncertain | State::Stopping)
    }

    /// Whether nobody knows what came of its last call.
    pub fn is_in_doubt(self) -> bool {
        self.is_doubtful_trigger() || self.is_doubtful_stop()
    }

    /// Whether a stop may be sent.
    pub fn may_be_stopped(self) -> bool {
        after(Some(self), Move::SendStop).is_ok()
    }

    /// Whether anything of it may ever have run at Spotler.
    pub fn may_have_run(self) -> bool {
        use State::{Failed, FailedForGood, Waiting, Withheld};
        !matches!(self, Failed | FailedForGood | Waiting | Withheld)
    }

    /// Whether its last trigger was not carried out, so that it reached nobody. When it goes on to another state, the time
    /// of that trigger is no longer of use: no cooldown begins with it.
    pub fn reached_nobody(self) -> bool {
        matches!(
            self,
            State::Refused | State::Failed | State::FailedForGood | State::Waiting
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no [`State`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a state of a participation")]
pub struct UnknownState(String);

impl State {
    /// How much a participation weighs against one of the same person under another id: what may run, then what ran, then
    /// what was to run.
    pub fn weight(self) -> u8 {
        match self {
            state if state.is_running() => 8,
            State::Refused => 7,
            State::LetGo => 6,
            State::Ended => 5,
            State::Stopped => 4,
            State::Withheld => 3,
            State::FailedForGood => 2,
            State::Waiting => 1,
            _ => 0,
        }
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| UnknownState(word.to_owned()))
    }
}

/// What can happen to a participation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// A trigger is about to be sent.
    SendTrigger,
    /// What came of the trigger under way, and the state before it was sent.
    Triggered(TriggerOutcome, Before),
    /// A stop is about to be sent.
    SendStop,
    /// What came of the stop under way, and the state before it was sent.
    Stopped(StopOutcome, Before),
    /// The enrolment is gone, and the participation is left to run out.
    LetGo,
    /// It was let go, is declared again, and still runs; or it ended by a clock that was ahead.
    GoOn,
    /// It was let go while its trigger was in doubt, and is declared again.
    DoubtAgain,
    /// It ran for as long as its automation does, or is found over after that.
    End(Over),
    /// The contact is suppressed, and the enrolment would otherwise be triggered; or it still is, by something else.
    Withhold(SuppressedBy),
    /// The answer that said so was probably not for its call.
    Doubt,
    /// A person says that it is active; nothing is sent (`adopt`).
    Adopt,
    /// A person settles an uncertain trigger: it was carried out.
    ResolveActive,
    /// A person settles an uncertain trigger: it was not carried out.
    ResolveNotSent,
}

impl Move {
    /// What is on record besides the state, by a move without a call.
    pub fn detail(self, before: Before) -> Option<String> {
        match (self, before) {
            (Move::End(Over::Gone), _) => Some(GONE.to_owned()),
            (Move::End(Over::Suppressed(by)), _) => Some(by.to_string()),
            (Move::Withhold(by), _) if by != SuppressedBy::default() => Some(by.to_string()),
            (Move::LetGo, Some(state @ (State::Uncertain | State::Refused))) => {
                Some(state.as_str().to_owned())
            }
            _ => None,
        }
    }
}

/// What came of one trigger call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TriggerOutcome {
    /// At least one participation started.
    Active,
    /// A participation limit was reached; nothing started.
    Refused,
    /// Not carried out; trying again may help.
    Failed,
    /// Not carried out; trying again will not help.
    FailedForGood,
    /// Not carried out: Spotler does not know the contact yet.
    Waiting,
    /// Nobody knows.
    Uncertain,
    /// The call never left, or was turned away unread (429). The participation is as it was before.
    NotCarriedOut,
}

/// What came of one stop call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopOutcome {
    /// It is stopped, or was already.
    Stopped,
    /// Not carried out.
    Failed,
    /// Nobody knows.
    Uncertain,
    /// The call never left, or was turned away unread (429). The participation is as it was before.
    NotCarriedOut,
}

/// The state before a call, which comes back if the call was not carried out. `None` is "not on record".
pub type Before = Option<State>;

/// A move that the state machine does not allow: a bug in Rollcall, or a record that was edited by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a participation that is {} cannot make the move {transition:?}", from.map_or("not on record", State::as_str))]
pub struct IllegalMove {
    /// The state it was in.
    pub from: Before,
    /// The move that was asked for.
    pub transition: Move,
}

/// The state machine: where a participation stands after a move, `None` meaning "not on record".
///
/// This is the only place that says which moves there are.
///
/// # Errors
/// [`IllegalMove`] where there is no such move.
pub fn after(from: Before, transition: Move) -> Result<Before, IllegalMove> {
    use Move as M;
    use State as S;
    let to = match (from, transition) {
        // Whether a trigger *should* be sent from an uncertain or refused state is the plan's to decide
        // (`participation = "once"` makes it harmless); that it never is from an active one is decided here.
        (
            None
            | Some(
                S::Stopped
                | S::LetGo
                | S::Ended
                | S::Failed
                | S::FailedForGood
                | S::Waiting
                | S::Withheld
                | S::Uncertain,
            ),
            M::SendTrigger,
        ) => S::Triggering,
        (Some(S::Triggering), M::Triggered(outcome, before)) => match outcome {
            TriggerOutcome::Active => S::Active,
            TriggerOutcome::Refused => S::Refused,
            TriggerOutcome::Uncertain => S::Uncertain,
            // That a second trigger failed says nothing of the first: the doubt stays.
            TriggerOutcome::Failed | TriggerOutcome::FailedForGood | TriggerOutcome::Waiting
                if before == Some(S::Uncertain) =>
            {
                S::Uncertain
            }
            // Nor of what runs out: where the contact is suppressed, it is stopped.
            TriggerOutcome::Failed | TriggerOutcome::FailedForGood | TriggerOutcome::Waiting
                if before == Some(S::LetGo) =>
            {
                S::LetGo
            }
            TriggerOutcome::Failed => S::Failed,
            TriggerOutcome::FailedForGood => S::FailedForGood,
            TriggerOutcome::Waiting => S::Waiting,
            TriggerOutcome::NotCarriedOut => return Ok(before),
        },
        (
            Some(
                S::Active
                | S::Uncertain
                | S::Refused
                | S::StopFailed
                | S::StopUncertain
                // What runs out by itself is stopped where its contact is suppressed.
                | S::LetGo,
            ),
            M::SendStop,
        ) => S::Stopping,
        (Some(S::Stopping), M::Stopped(outcome, before)) => match outcome {
            StopOutcome::Stopped => S::Stopped,
            StopOutcome::Uncertain => S::StopUncertain,
            StopOutcome::Failed if before == Some(S::Active) => S::StopFailed,
            // What was in doubt, or refused, is still so: the stop changed nothing.
            StopOutcome::Failed | StopOutcome::NotCarriedOut => return Ok(before),
        },
        (
            Some(S::Active | S::Uncertain | S::Refused | S::StopFailed | S::StopUncertain),
            M::LetGo,
        ) => S::LetGo,
        (Some(S::LetGo | S::Ended), M::GoOn) => S::Active,
        (Some(S::Active | S::StopFailed | S::LetGo | S::Ended), M::End(_)) => S::Ended,
        (Some(S::LetGo), M::DoubtAgain) | (Some(S::Active), M::Doubt) => S::Uncertain,
        (
            None | Some(S::Stopped | S::Failed | S::FailedForGood | S::Waiting | S::Withheld),
            M::Withhold(_),
        ) => S::Withheld,
        (
            None
            | Some(
                S::Stopped
                | S::LetGo
                | S::Ended
                | S::Failed
                | S::FailedForGood
                | S::Waiting
                | S::Withheld
                | S::Refused,
            ),
            M::Adopt,
        )
        | (Some(S::Uncertain), M::ResolveActive) => S::Active,
        // Not sent means that the enrolment is as new: worth trying again.
        (Some(S::Uncertain), M::ResolveNotSent) => S::Failed,
        (from, transition) => return Err(IllegalMove { from, transition }),
    };
    Ok(Some(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("asleep".parse::<State>().is_err());
    }

    #[test]
    fn an_active_participation_is_never_triggered() {
        for from in [
            State::Active,
            State::Triggering,
            State::Stopping,
            State::StopFailed,
            State::StopUncertain,
        ] {
            assert!(after(Some(from), Move::SendTrigger).is_err(), "{from}");
        }
    }

    #[test]
    fn a_call_that_was_not_carried_out_changes_nothing() {
        let before = Some(State::Stopped);
        assert_eq!(
            after(before, Move::SendTrigger),
            Ok(Some(State::Triggering))
        );
        assert_eq!(
            after(
                Some(State::Triggering),
                Move::Triggered(TriggerOutcome::NotCarriedOut, before)
            ),
            Ok(before)
        );
    }

    #[test]
    fn a_doubt_outlives_a_second_trigger_or_a_stop_that_failed() {
        let doubt = Some(State::Uncertain);
        for outcome in [
            TriggerOutcome::Failed,
            TriggerOutcome::FailedForGood,
            TriggerOutcome::Waiting,
        ] {
            assert_eq!(
                after(Some(State::Triggering), Move::Triggered(outcome, doubt)),
                Ok(doubt)
            );
        }
        assert_eq!(
            after(
                Some(State::Stopping),
                Move::Stopped(StopOutcome::Failed, doubt)
            ),
            Ok(doubt)
        );
    }

    #[test]
    fn an_outcome_needs_a_call() {
        let active = Move::Triggered(TriggerOutcome::Active, None);
        for from in State::ALL.into_iter().filter(|s| *s != State::Triggering) {
            assert!(after(Some(from), active).is_err());
        }
        let stopped = Move::Stopped(StopOutcome::Stopped, Some(State::Active));
        for from in State::ALL.into_iter().filter(|s| *s != State::Stopping) {
            assert!(after(Some(from), stopped).is_err());
        }
    }
}
