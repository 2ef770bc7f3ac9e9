//! Many changes of the record as one value: what one transaction writes, all of it or nothing.

use jiff::Timestamp;

use super::call::{ApplyStart, CallId, Change, Intent, Settlement};
use super::guarded::{GUARDED_DAY, SourceNote};
use super::participation::{IllegalMove, Key, Move, Participation, State, SuppressedBy, after};
use super::read::Listed;

use crate::clock::Clock;
use crate::digest::Digest;
use crate::id::{ContactId, ParticipationId, TriggerCode};

/// What one transaction writes, in the order of its fields.
#[derive(Debug, Clone, Default)]
pub(super) struct Batch {
    /// The time of it, in whole milliseconds.
    pub at: Timestamp,
    /// The time that was reckoned with, where it is yet to come.
    pub ahead: Option<Timestamp>,
    /// The run that begins or ends.
    pub run: Option<RunStep>,
    /// The saved plan that the run applies.
    pub claim: Option<String>,
    /// What an apply begins with. Nothing is sent before that is durable, so that all else has the new names.
    pub start: ApplyStart,
    /// Calls that are about to be sent.
    pub sent: Vec<(CallId, Intent)>,
    /// What came of calls.
    pub settled: Vec<(CallId, Settlement)>,
    /// Participations as they are to be.
    pub participations: Vec<Whole>,
    /// Participations whose ids are also another contact's, and the states that they are in by that.
    pub doubts: Vec<(Key, State)>,
    /// Those ids.
    pub doubted_ids: Vec<String>,
    /// Where participations are to stand. Each of them is on record, and at the most once in this list.
    pub states: Vec<StateChange>,
    /// Since when enrolments are gone, or that they are back.
    pub marks: Vec<(Key, Option<Timestamp>)>,
    /// How the sources are.
    pub sources: Vec<SourceNote>,
    /// Whether the guard's count of a day begins anew.
    pub counts_anew: bool,
    /// People of whom all is erased.
    pub forgotten: Vec<ContactId>,
    /// The serial that the record has from then on, where that is another one or the witness is to be renewed.
    pub serial: Option<u64>,
}

/// The beginning or the end of a run.
#[derive(Debug, Clone)]
pub(super) enum RunStep {
    /// It begins.
    Begin {
        /// The command.
        command: String,
        /// The digest of the configuration.
        config_digest: Option<String>,
        /// The Git revision of the configuration.
        git_revision: Option<String>,
        /// Where the run marks the record as its own: the host of the service, and the account there.
        mark: Option<(String, Option<Digest>)>,
    },
    /// It ends.
    End,
}

/// A participation as it is to be, all of it.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    pub key: Key,
    pub state: State,
    pub trigger_code: TriggerCode,
    pub ids: Vec<ParticipationId>,
    pub fields: Option<Digest>,
    pub detail: Option<String>,
    pub triggered_at: Option<Timestamp>,
}

impl Whole {
    /// What is on record once this is written over what was there.
    pub fn over(&self, at: Timestamp, before: Option<&Listed>) -> Listed {
        let before = before.map(|before| &before.participation);
        let tries = before.map_or(0, |before| before.tries);
        let gone_at = before.and_then(|before| before.gone_at);
        // Who has got onto a list that is required is no release.
        let is_released = |by: SuppressedBy| !by.is_required;
        let released_at =
            before.and_then(
                |before| match before.suppressed_by().is_some_and(is_released) {
                    true => self.triggered_at.or(before.released_at),
                    false => before.released_at,
                },
            );
        let a_day_ago = at.saturating_sub(GUARDED_DAY).unwrap_or(Timestamp::MIN);
        let of_day = |time: &Timestamp| *time > a_day_ago;
        Listed {
            participation: Participation {
                key: self.key.clone(),
                state: self.state,
                trigger_code: self.trigger_code.clone(),
                fields: self.fields,
                has_ids: !self.ids.is_empty(),
                detail: self.detail.clone(),
                triggered_at: self.triggered_at,
                left_at: None,
                // One that is no longer unknown to Spotler begins to count anew.
                tries: match self.is_try() {
                    true if before.is_some() => tries + 1,
                    is_first => u32::from(is_first),
                },
                gone_at: gone_at.filter(of_day),
                released_at: released_at.filter(of_day),
                triggered_as: None,
            },
            changed_at: at,
            ids: self.ids.clone(),
        }
    }

    /// Whether it is one more try to trigger a contact that Spotler does not know.
    pub fn is_try(&self) -> bool {
        self.state == State::Waiting
    }
}

/// Where a participation is to stand that is on record.
#[derive(Debug, Clone)]
pub(super) struct StateChange {
    pub key: Key,
    pub state: State,
    pub detail: Option<String>,
    /// Whether its last trigger reached nobody, so that its time is of no more use.
    pub forgets_trigger: bool,
    /// Whether one that was leaving goes on to leave: a doubt about it was settled.
    pub goes_on_leaving: bool,
    /// Until when it may be taken back: it ended by a clock that was ahead.
    pub ended_ahead: Option<Timestamp>,
}

impl StateChange {
    pub fn new(key: Key, before: Option<State>, state: State, detail: Option<String>) -> Self {
        Self {
            key,
            state,
            detail,
            forgets_trigger: before.is_some_and(State::reached_nobody),
            goes_on_leaving: state == State::Active && before != Some(State::Ended),
            ended_ahead: None,
        }
    }

    /// Writes it over what is on record.
    pub fn write_over(&self, at: Timestamp, listed: &mut Listed) {
        let of = &mut listed.participation;
        listed.changed_at = at;
        of.state = self.state;
        of.detail.clone_from(&self.detail);
        // Who began to leave was counted then.
        if self.goes() && of.left_at.is_none() {
            of.gone_at = Some(at);
        }
        if !self.goes_on_leaving {
            of.left_at = self.ended_ahead;
        }
        if self.forgets_trigger {
            of.triggered_at = None;
        }
    }

    /// Whether it goes by this, for the guard: what ended by time did not.
    pub fn goes(&self) -> bool {
        self.state.is_over() && self.state != State::Ended
    }
}

impl Batch {
    /// An empty one of now.
    pub fn now(clock: &Clock) -> Self {
        let at = now(clock);
        Self {
            at,
            ahead: clock.pinned.filter(|pinned| *pinned > at),
            ..Self::default()
        }
    }

    /// Whether a participation changes, or a call may be sent: a record that does not know of that is an old one.
    pub fn is_change(&self) -> bool {
        !self.sent.is_empty()
            || !self.start.moves.is_empty()
            || !self.start.merges.is_empty()
            || !self.participations.is_empty()
            || !self.states.is_empty()
            || !self.marks.is_empty()
            || !self.forgotten.is_empty()
            || self.claim.is_some()
    }

    /// Adds changes that need no call: all or none of them.
    ///
    /// # Errors
    /// That the state machine does not allow one.
    pub fn change(&mut self, changes: Vec<Change>) -> Result<(), IllegalMove> {
        let states = changes
            .iter()
            .map(|change| after(change.before, change.transition))
            .collect::<Result<Vec<_>, _>>()?;
        for (change, state) in changes.into_iter().zip(states) {
            let Some(state) = state else { continue };
            // An adopted participation takes its code and fields from the configuration of now, and counts as triggered now:
            // the contact may have had its first mail a moment ago. Who is withheld had none.
            if change.before.is_none() || change.transition == Move::Adopt {
                self.participations.push(Whole {
                    key: change.key,
                    state,
                    trigger_code: change.trigger_code,
                    ids: Vec::new(),
                    fields: change.fields,
                    detail: change.transition.detail(change.before),
                    triggered_at: (change.transition == Move::Adopt).then_some(self.at),
                });
            } else {
                self.turn(change.key, change.before, state, change.transition);
            }
        }
        Ok(())
    }

    /// Adds what an apply begins with.
    ///
    /// # Errors
    /// That the state machine does not allow the end of something that is merged.
    pub fn begin(&mut self, start: ApplyStart) -> Result<(), IllegalMove> {
        for merge in &start.merges.rows {
            let Some((before, over)) = merge.ended else {
                continue;
            };
            let key = Key {
                contact: merge.to.clone(),
                ..merge.of.clone()
            };
            let end = Move::End(over);
            if let Some(state) = after(Some(before), end)? {
                self.turn(key, Some(before), state, end);
            }
        }
        self.start.moves.extend(start.moves);
        self.start.applied.extend(start.applied);
        self.start.merges.ids.extend(start.merges.ids);
        self.start.merges.rows.extend(start.merges.rows);
        self.start.moved = start.moved.or(self.start.moved.take());
        Ok(())
    }

    fn turn(&mut self, key: Key, before: Option<State>, state: State, transition: Move) {
        let detail = transition.detail(before);
        let mut row = StateChange::new(key, before, state, detail);
        row.ended_ahead = self.ahead.filter(|_| state == State::Ended);
        self.states.push(row);
    }
}

/// The time, as the record keeps it.
pub(super) fn now(clock: &Clock) -> Timestamp {
    time((clock.real)().as_millisecond())
}

/// A time on record, in milliseconds since 1970.
pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A count on record.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
