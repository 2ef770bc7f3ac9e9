//! Two ids of one person: what becomes of the participations of one where the other has some too.

use jiff::Timestamp;

use super::participation::{Key, Over, Participation, State};
use crate::id::ContactId;

/// What the record writes of people who have two ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merges {
    /// Ids, and the id that each of them is another one of: from now on, whatever was on record of it.
    pub ids: Vec<(ContactId, ContactId)>,
    /// What takes another id, or takes over what was on record under another one.
    pub rows: Vec<Merge>,
}

impl Merges {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.rows.is_empty()
    }
}

/// One participation that goes on under the id that a person keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The participation as it is on record.
    pub of: Key,
    /// The id that the person keeps.
    pub to: ContactId,
    /// Those that it takes the place of, under other ids.
    pub over: Vec<Key>,
    /// The later times of both, so that nothing that was sent is forgotten.
    pub triggered_at: Option<Timestamp>,
    /// When either was stopped or let go last.
    pub gone_at: Option<Timestamp>,
    /// When either was last released.
    pub released_at: Option<Timestamp>,
    /// What it was on record, and how it is over, where it has ended by now: by the time of its own trigger, which is not on
    /// record any more after this.
    pub ended: Option<(State, Over)>,
}

/// Makes one of the participation of an id that is merged and that of the id that the person keeps, in the same automation and
/// occurrence. `None` where both may run at Spotler by the state that each is in by now, or the one is in doubt and the other has
/// ended: then each stays under its own id.
pub fn merge(
    from: &Participation,
    to: &ContactId,
    other: Option<&Participation>,
    state: impl Fn(&Participation) -> State,
) -> Option<(Merge, Participation)> {
    let may_run = |of: &Participation| state(of).may_run_at_spotler();
    let both_run = |other: &Participation| may_run(from) && may_run(other);
    // Whatever comes of a doubt, what has ended tells whether, and from when on, anything is triggered again.
    let is_beside = |one: &Participation, other: &Participation| {
        one.state.is_in_doubt() && state(other) == State::Ended
    };
    if other
        .is_some_and(|other| both_run(other) || is_beside(from, other) || is_beside(other, from))
    {
        return None;
    }
    // Who has ended under either id and was there all along is in.
    let rank = |of: &Participation| (state(of).weight(), of.is_in(), of.triggered_at);
    let (winner, loser) = match other {
        Some(other) if rank(other) >= rank(from) => (other, Some(from)),
        other => (from, other),
    };
    let later =
        |time: fn(&Participation) -> Option<Timestamp>| time(winner).max(loser.and_then(time));
    // The time of a trigger that reached nobody begins no cooldown.
    let sent = |of: &Participation| of.triggered_at.filter(|_| !of.state.reached_nobody());
    let merge = Merge {
        of: winner.key.clone(),
        to: to.clone(),
        over: loser.map(|loser| loser.key.clone()).into_iter().collect(),
        triggered_at: winner.triggered_at.max(loser.and_then(sent)),
        gone_at: later(|of| of.gone_at),
        released_at: later(|of| of.released_at),
        ended: (state(winner) == State::Ended && winner.state != State::Ended)
            .then(|| (winner.state, winner.over_by_time())),
    };
    let mut whole = winner.clone();
    merge.write_over(&mut whole);
    Some((merge, whole))
}

impl Merge {
    /// Writes it over what is on record.
    pub fn write_over(&self, of: &mut Participation) {
        if of.key.contact != self.to {
            let before = of.triggered_as.take();
            let before = before.unwrap_or_else(|| of.key.contact.clone());
            of.triggered_as = Some(before).filter(|id| *id != self.to);
            of.key.contact = self.to.clone();
        }
        of.triggered_at = self.triggered_at;
        of.gone_at = self.gone_at;
        of.released_at = self.released_at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{AutomationName, TriggerCode};

    fn id(text: &str) -> ContactId {
        ContactId::new(text).unwrap()
    }

    fn of(contact: &str, state: State, second: i64) -> Participation {
        Participation {
            key: Key {
                contact: id(contact),
                automation: AutomationName::new("a").unwrap(),
                occurrence: None,
            },
            state,
            trigger_code: TriggerCode::new("code").unwrap(),
            fields: None,
            has_ids: true,
            detail: None,
            triggered_at: Some(Timestamp::from_second(second).unwrap()),
            left_at: None,
            tries: 0,
            gone_at: None,
            released_at: None,
            triggered_as: None,
        }
    }

    fn merged(old: (State, i64), new: Option<(State, i64)>) -> Option<String> {
        let old = of("old", old.0, old.1);
        let new = new.map(|(state, second)| of("new", state, second));
        let (_, whole) = merge(&old, &id("new"), new.as_ref(), |of| of.state)?;
        let as_other = whole.triggered_as.map(|id| format!(" as {id}"));
        Some(format!(
            "{} {}{} at {}",
            whole.key.contact,
            whole.state,
            as_other.unwrap_or_default(),
            whole.triggered_at.unwrap().as_second()
        ))
    }

    #[test]
    fn what_runs_goes_on_under_the_id_that_the_person_keeps() {
        use State::{Active, Failed, LetGo, Stopped, Uncertain, Waiting, Withheld};
        let one = |old, new| merged((old, 1), Some((new, 2)));
        assert_eq!(merged((Active, 1), None).unwrap(), "new active as old at 1");
        assert_eq!(one(Active, Stopped).unwrap(), "new active as old at 2");
        assert_eq!(one(Stopped, Active).unwrap(), "new active at 2");
        assert_eq!(
            one(Uncertain, Withheld).unwrap(),
            "new uncertain as old at 2"
        );
        // What was sent to one counts for the other; what reached nobody does not.
        assert_eq!(one(Stopped, Waiting).unwrap(), "new stopped as old at 1");
        assert_eq!(one(Failed, Stopped).unwrap(), "new stopped at 2");
        let earlier = merged((Stopped, 5), Some((Stopped, 2)));
        assert_eq!(earlier.unwrap(), "new stopped as old at 5");
        // Nobody can say which of the two goes on.
        for (old, new) in [(Active, Active), (Uncertain, Active), (LetGo, Active)] {
            assert_eq!(one(old, new), None);
        }
    }
}
