//! `[[merged]]` in a plan: what is on record under one id of a person counts under the id that the person keeps.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use super::moves::Moves;
use crate::failpoint::{Planted, is_planted};
use crate::id::ContactId;
use crate::participation::{Key, Participation, State};
use crate::record::{self, Merge, Merges};

/// The people who have two ids, and what is on record under those that they do not keep.
#[derive(Debug, Default)]
pub struct Merged {
    /// Each id that is another one's, and the id that the person keeps. No id that is kept is among the first.
    pub ids: HashMap<ContactId, ContactId>,
    /// The pairs that the record has already.
    pub done: HashMap<ContactId, ContactId>,
    /// What is on record under the first ones, sorted by contact.
    pub on_record: Vec<Participation>,
}

/// How many participations take another id, by the id before and the one after.
type Counts = BTreeMap<(ContactId, ContactId), u64>;

impl Merged {
    /// The ids of people, and what is on record under those that are not kept, by the one that is.
    pub(super) fn by_person(self) -> (Ids, BTreeMap<ContactId, Vec<Participation>>) {
        let mut waiting: BTreeMap<ContactId, Vec<Participation>> = BTreeMap::new();
        for of in self.on_record {
            if let Some(to) = self.ids.get(&of.key.contact) {
                waiting.entry(to.clone()).or_default().push(of);
            }
        }
        let ids = Ids {
            ids: self.ids,
            done: self.done,
            all: OnceLock::new(),
        };
        (ids, waiting)
    }
}

/// The ids of people who have two.
#[derive(Debug)]
pub(super) struct Ids {
    ids: HashMap<ContactId, ContactId>,
    done: HashMap<ContactId, ContactId>,
    /// All ids of each person, by the one that is kept, which is the last of them; made where it is asked for.
    all: OnceLock<HashMap<ContactId, Arc<[ContactId]>>>,
}

impl Ids {
    /// Adds to what the record is to write the ids whose person has got another one since.
    pub(super) fn finish(self, merges: &mut Merges) {
        let known: HashSet<&ContactId> = merges.ids.iter().map(|(from, _)| from).collect();
        let more = self.done.iter().filter_map(|(from, to)| {
            let now = self.ids.get(from)?;
            (now != to && !known.contains(from)).then(|| (from.clone(), now.clone()))
        });
        let more: Vec<_> = more.collect();
        merges.ids.extend(more);
        merges.ids.sort();
        if is_planted(Planted::MergeNotWritten) {
            merges.rows.clear();
        }
    }
}

/// The merges while a part of a plan is being made.
#[derive(Debug)]
pub(super) struct Merging<'a> {
    people: &'a Ids,
    /// What is still to be merged, by the id that the person keeps.
    pub(super) waiting: BTreeMap<ContactId, Vec<Participation>>,
    /// How many participations are merged, by the id before and the one after.
    counts: Counts,
    /// What the record is to write.
    merges: Merges,
    /// The places of its rows, by what comes of each.
    rows: HashMap<Key, usize>,
}

impl<'a> Merging<'a> {
    pub(super) fn new(people: &'a Ids) -> Self {
        Self {
            people,
            waiting: BTreeMap::new(),
            counts: Counts::new(),
            merges: Merges::default(),
            rows: HashMap::new(),
        }
    }

    /// Whether an id is another one's: what is on record of it comes with that one.
    pub(super) fn is_merged(&self, contact: &ContactId) -> bool {
        let ids = &self.people.ids;
        !ids.is_empty() && ids.contains_key(contact)
    }

    /// All ids of a person, sorted, and the one that is kept as the last.
    pub(super) fn ids(&self, kept: &ContactId) -> Arc<[ContactId]> {
        let people = self.people;
        let all = people.all.get_or_init(|| {
            let mut all: HashMap<ContactId, Vec<ContactId>> = HashMap::new();
            for (id, kept) in &people.ids {
                all.entry(kept.clone()).or_default().push(id.clone());
            }
            let all = all.into_iter().map(|(kept, mut ids)| {
                ids.sort();
                ids.push(kept.clone());
                (kept, Arc::from(ids))
            });
            all.collect()
        });
        let ids = all.get(kept).cloned();
        ids.unwrap_or_else(|| Arc::from([kept.clone()]))
    }

    /// The next person of whom something is to be merged, where that one sorts before a contact, or any where there is none.
    pub(super) fn next_before(&self, contact: Option<&ContactId>) -> Option<ContactId> {
        let (next, _) = self.waiting.first_key_value()?;
        contact
            .is_none_or(|contact| next < contact)
            .then(|| next.clone())
    }

    /// Merges into the participations of one contact those of its other ids, by the state that each is in by now. Returns what may
    /// run at Spotler under an id that is not kept, beside what may run under the one that is; and what has ended by now, by the time
    /// of its own trigger.
    pub(super) fn make(
        &mut self,
        contact: &ContactId,
        moves: &mut Moves,
        group: &mut Vec<Participation>,
        state: impl Fn(&Participation) -> State,
    ) -> (Vec<Participation>, HashSet<Key>) {
        let (mut twice, mut ended) = (Vec::new(), HashSet::new());
        if self.waiting.is_empty() {
            return (twice, ended);
        }
        let mut waiting = self.waiting.remove(contact).unwrap_or_default();
        if waiting.is_empty() {
            return (twice, ended);
        }
        let run = |key: &Key| (key.automation.clone(), key.occurrence.clone());
        let places = group.iter().map(|of| run(&of.key)).zip(0..);
        let mut places: HashMap<_, usize> = places.collect();
        for of_id in waiting.chunk_by_mut(|a, b| a.key.contact == b.key.contact) {
            let id = of_id[0].key.contact.clone();
            let is_done = self.people.done.get(&id) == Some(contact);
            let mut of_id = of_id.to_vec();
            let count = of_id.len() as u64;
            moves.make(&mut of_id);
            for from in of_id {
                let run = run(&from.key);
                let other = places.get(&run).copied();
                let by_now = |of: &Participation| match ended.contains(&of.key) {
                    true => State::Ended,
                    false => state(of),
                };
                match record::merge(&from, contact, other.map(|at| &group[at]), by_now) {
                    None => twice.push(from),
                    Some((merge, whole)) => {
                        let winner = match other {
                            Some(at) if merge.of == group[at].key => &group[at],
                            _ => &from,
                        };
                        match by_now(winner) {
                            State::Ended => _ = ended.insert(whole.key.clone()),
                            _ => _ = ended.remove(&whole.key),
                        }
                        self.add(merge, &whole);
                        match other {
                            Some(at) => group[at] = whole,
                            None => {
                                places.insert(run, group.len());
                                group.push(whole);
                            }
                        }
                    }
                }
            }
            if !is_done {
                self.counts.insert((id.clone(), contact.clone()), count);
                self.merges.ids.push((id, contact.clone()));
            }
        }
        (twice, ended)
    }

    /// Adds a merge. Where a person has more than two ids, each row is written once, over all the others.
    fn add(&mut self, mut merge: Merge, whole: &Participation) {
        let rows = &mut self.merges.rows;
        let before = self.rows.get(&whole.key).copied();
        match before {
            None => {
                self.rows.insert(whole.key.clone(), rows.len());
                rows.push(merge);
            }
            // What goes on is the one that went on before.
            Some(at) if merge.of == whole.key => {
                merge.of = rows[at].of.clone();
                merge.over.append(&mut rows[at].over);
                rows[at] = merge;
            }
            Some(at) => {
                merge.over.retain(|over| *over != whole.key);
                merge.over.push(rows[at].of.clone());
                merge.over.append(&mut rows[at].over);
                rows[at] = merge;
            }
        }
    }

    /// How many participations are merged, and what the record is to write.
    pub(super) fn done(self) -> (Counts, Merges) {
        (self.counts, self.merges)
    }
}

#[cfg(test)]
mod tests;
