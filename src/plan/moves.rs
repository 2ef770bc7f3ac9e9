//! `[[moved]]` in a plan: what is on record under an old name counts under the new one.

use std::collections::BTreeMap;

use crate::id::AutomationName;
use crate::participation::Participation;

/// The moves of a configuration, and how many participations each of them takes along.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// From one name to another, to be made one after the other.
    pub(super) steps: Vec<(AutomationName, AutomationName)>,
    /// How many take another name, by the name before and the name after.
    pub(super) counts: BTreeMap<(AutomationName, AutomationName), u64>,
}

impl Moves {
    pub(super) fn new(steps: Vec<(AutomationName, AutomationName)>) -> Self {
        Self {
            steps,
            counts: BTreeMap::new(),
        }
    }

    /// Moves the participations of one contact, as the record does it.
    pub(super) fn make(&mut self, group: &mut Vec<Participation>) {
        let moves = |of: &Participation| {
            let name = &of.key.automation;
            self.steps.iter().any(|(from, _)| from == name)
        };
        if !group.iter().any(moves) {
            return;
        }
        // With the name before.
        let mut list: Vec<(AutomationName, Participation)> = group
            .drain(..)
            .map(|of| (of.key.automation.clone(), of))
            .collect();
        for (from, to) in &self.steps {
            for place in (0..list.len()).rev() {
                let of = &list[place].1;
                if of.key.automation != *from {
                    continue;
                }
                let other = list.iter().position(|(_, other)| {
                    other.key.automation == *to && other.key.occurrence == of.key.occurrence
                });
                match other {
                    None => list[place].1.key.automation = to.clone(),
                    Some(other) if of.state.is_running() && !list[other].1.state.is_running() => {
                        list[place].1.key.automation = to.clone();
                        list.remove(other);
                    }
                    // It stays under the name that it has.
                    Some(_) => {}
                }
            }
        }
        for (before, of) in list {
            if before != of.key.automation {
                let moved = (before, of.key.automation.clone());
                *self.counts.entry(moved).or_insert(0) += 1;
            }
            group.push(of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ContactId, TriggerCode};
    use crate::participation::{Key, State};

    fn name(text: &str) -> AutomationName {
        AutomationName::new(text).unwrap()
    }

    fn of(automation: &str, state: State) -> Participation {
        Participation {
            key: Key {
                contact: ContactId::new("crm-1").unwrap(),
                automation: name(automation),
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

    fn moved(steps: &[(&str, &str)], group: &[(&str, State)]) -> Vec<String> {
        let steps = steps.iter().map(|(from, to)| (name(from), name(to)));
        let mut moves = Moves::new(steps.collect());
        let mut group: Vec<_> = group.iter().map(|(name, state)| of(name, *state)).collect();
        moves.make(&mut group);
        let list = group.iter();
        let mut list: Vec<_> = list
            .map(|of| format!("{} {}", of.key.automation, of.state))
            .collect();
        list.sort();
        list
    }

    #[test]
    fn names_are_swapped_in_steps() {
        let swap = [("a", "t"), ("b", "a"), ("t", "b")];
        let group = [("a", State::Active), ("b", State::Stopped)];
        assert_eq!(moved(&swap, &group), ["a stopped", "b active"]);
    }

    #[test]
    fn who_is_under_both_names_keeps_the_one_that_runs() {
        let step = [("old", "new")];
        let both = |old, new| moved(&step, &[("old", old), ("new", new)]);
        assert_eq!(both(State::Active, State::Stopped), ["new active"]);
        assert_eq!(
            both(State::Stopped, State::Active),
            ["new active", "old stopped"]
        );
        assert_eq!(
            both(State::Active, State::Active),
            ["new active", "old active"]
        );
    }
}
