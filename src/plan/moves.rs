//! `[[moved]]` in a plan: what is on record under an old name counts under the new one.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};

use crate::id::{AutomationName, Occurrence};
use crate::participation::Participation;

/// The moves of a configuration, and how many participations each of them takes along.
#[derive(Debug, Clone, Default)]
pub(super) struct Moves {
    /// From one name to another, to be made one after the other.
    pub(super) steps: Vec<(AutomationName, AutomationName)>,
    /// How many take another name, by the name before and the name after.
    pub(super) counts: BTreeMap<(AutomationName, AutomationName), u64>,
    /// The names that any of them is from.
    from: HashSet<AutomationName>,
}

impl Moves {
    pub(super) fn new(steps: Vec<(AutomationName, AutomationName)>) -> Self {
        Self {
            from: steps.iter().map(|(from, _)| from.clone()).collect(),
            steps,
            counts: BTreeMap::new(),
        }
    }

    /// Moves the participations of one contact, as the record does it.
    pub(super) fn make(&mut self, group: &mut Vec<Participation>) {
        let moves = |of: &Participation| self.from.contains(&of.key.automation);
        if self.from.is_empty() || !group.iter().any(moves) {
            return;
        }
        // The places of what each automation has, by occurrence.
        type Places = BTreeMap<Option<Occurrence>, usize>;
        let mut places: HashMap<AutomationName, Places> = HashMap::new();
        for (place, of) in group.iter().enumerate() {
            let of_name = places.entry(of.key.automation.clone()).or_default();
            of_name.insert(of.key.occurrence.clone(), place);
        }
        let is_running = |place: usize| group[place].state.is_running();
        let mut is_gone = vec![false; group.len()];
        for (from, to) in &self.steps {
            let Some(of_name) = places.remove(from) else {
                continue;
            };
            let mut staying = Places::new();
            let under_new = places.entry(to.clone()).or_default();
            for (occurrence, place) in of_name {
                match under_new.get(&occurrence) {
                    // It stays under the name that it has.
                    Some(other) if !is_running(place) || is_running(*other) => {
                        staying.insert(occurrence, place);
                    }
                    other => {
                        other.into_iter().for_each(|other| is_gone[*other] = true);
                        under_new.insert(occurrence, place);
                    }
                }
            }
            places.insert(from.clone(), staying);
        }
        for (name, of_name) in places {
            for place in of_name.into_values() {
                let before = &mut group[place].key.automation;
                if *before != name {
                    let moved = (std::mem::replace(before, name.clone()), name.clone());
                    *self.counts.entry(moved).or_insert(0) += 1;
                }
            }
        }
        let mut is_gone = is_gone.into_iter();
        group.retain(|_| !is_gone.next().unwrap_or_default());
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
