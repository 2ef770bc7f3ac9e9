//! The law, held against what Spotler carried out: nobody twice, nobody lost, each doubt named, nothing sent without a durable
//! intent, nothing by a run whose lock was taken over.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::spotler::{Call, Spotler};
use super::world::{AGAIN_AFTER, MOST, Rules, SPAN};
use crate::apply::Outcome;
use crate::id::{ContactId, ParticipationId};
use crate::participation::{Key, State};
use crate::record::{CallId, Memory};

/// What is declared: the values of the fields count where a change of them is a new declaration.
pub type Declared = BTreeMap<Key, String>;

/// What was declared when, and what was found to be against the law.
#[derive(Debug, Default)]
pub struct Law {
    pub version: usize,
    now: Declared,
    rules: Rules,
    /// Who comes in: who is declared and does not stays in only.
    come_in: BTreeMap<Key, Vec<(usize, bool)>>,
    /// When the declarations of each key began and ended: one that is gone and comes back is a new one.
    history: BTreeMap<Key, Vec<(usize, bool)>>,
    /// Declarations that were carried out.
    used: BTreeMap<(Key, usize), Timestamp>,
    /// When each contact's triggers were sent that were carried out.
    sent: BTreeMap<ContactId, Vec<Timestamp>>,
    /// Each by its run: a replica may number another call like one that was lost.
    announced: BTreeSet<(String, CallId)>,
    /// Of these a person said what is not so, or a call was carried out behind a later one: nobody can know.
    forgiven: BTreeSet<Key>,
    /// How often a person said that a trigger was not sent.
    may_repeat: BTreeMap<Key, usize>,
    /// How many calls that were left open were reported, or found by a run that was killed before it could tell.
    pub named: usize,
    pub broken: Option<String>,
}

impl Law {
    pub fn of(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    pub fn broke(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// The exports or the configuration change.
    pub fn declare(&mut self, declared: Declared, come_in: &BTreeSet<Key>) {
        self.version += 1;
        for key in declared.keys().chain(self.now.keys()) {
            let since = self.come_in.entry(key.clone()).or_default();
            since.push((self.version, come_in.contains(key)));
        }
        let keys: BTreeSet<&Key> = declared.keys().chain(self.now.keys()).collect();
        for key in keys {
            if declared.get(key) != self.now.get(key) {
                let is_declared = declared.contains_key(key);
                let history = self.history.entry(key.clone()).or_default();
                history.push((self.version, is_declared));
            }
        }
        self.now = declared;
    }

    /// A call leaves. It must have been announced, for it alone.
    pub fn announced(&mut self, call: (String, CallId), what: &str) {
        if !self.announced.insert(call) {
            self.broke(format!("{what} was sent twice for one intent"));
        }
    }

    /// A trigger was carried out: the first for a declaration that its run may have read, or after `again_after`; of somebody
    /// who comes in, as often as the limit of a contact says, and not beside a run that has not ended.
    pub fn started(&mut self, call: &Call, is_twice: bool) {
        let (from, to) = call.versions;
        let again_after = SignedDuration::from_secs(AGAIN_AFTER);
        let has_ends = self.rules.ends && call.key.automation.as_str() == "a";
        let key = &call.key;
        let history = self.history.get(key).map_or(&[][..], Vec::as_slice);
        let ends = |at: usize| history.get(at + 1).map_or(usize::MAX, |(next, _)| *next);
        let mut meant = (0..history.len())
            .filter(|at| history[*at].1 && history[*at].0 <= to && ends(*at) > from);
        let new = meant.find(|at| match self.used.get(&(key.clone(), *at)) {
            None => true,
            Some(last) => has_ends && *last + again_after <= call.sent_at,
        });
        let come_in = self.come_in.get(key).map_or(&[][..], Vec::as_slice);
        let until = |at: usize| come_in.get(at + 1).map_or(usize::MAX, |(next, _)| *next);
        let comes_in =
            (0..come_in.len()).any(|at| come_in[at].1 && come_in[at].0 <= to && until(at) > from);
        let sent = self.sent.entry(key.contact.clone()).or_default();
        sent.push(call.sent_at);
        let span = SignedDuration::from_secs(SPAN);
        let since = sent.iter().filter(|at| **at + span > call.sent_at).count();
        let is_known = !self.forgiven.iter().any(|of| of.contact == key.contact)
            && !self.may_repeat.keys().any(|of| of.contact == key.contact);
        let (is_beyond, is_beside) = (
            self.rules.limits && since > MOST && is_known,
            has_ends && is_twice && is_known,
        );
        if !comes_in {
            self.broke(format!("{key} was triggered, and does not come in"));
        }
        if is_beyond {
            self.broke(format!(
                "{key} was triggered beyond the limit of its contact"
            ));
        }
        if is_beside {
            self.broke(format!(
                "{key} was triggered beside a run that has not ended"
            ));
        }
        match new {
            Some(at) => _ = self.used.insert((key.clone(), at), call.sent_at),
            None => match self.may_repeat.get_mut(key) {
                Some(times) if *times > 0 => *times -= 1,
                _ => self.broke(format!("{key} was triggered twice for one declaration")),
            },
        }
    }

    /// A stop was carried out behind whatever came after it.
    pub fn stopped_late(&mut self, key: &Key) {
        // It stops all of the contact behind the code: whoever is in one automation of it.
        let of = |other: &&Key| other.contact == key.contact && other.automation == key.automation;
        let all: Vec<Key> = self.history.keys().filter(of).cloned().collect();
        self.forgiven.extend(all);
    }

    /// The server went over to a replica that does not know of so many triggers, and somebody accepts it as it is.
    pub fn lost(&mut self, keys: BTreeMap<Key, usize>) {
        for (key, triggers) in keys {
            *self.may_repeat.entry(key.clone()).or_default() += triggers;
            self.forgiven.insert(key);
        }
    }

    /// A run that had not seen yet that the server went over to a replica sent what it had announced before.
    pub fn sent_when_cut_off(&mut self, key: &Key) {
        self.forgiven.insert(key.clone());
    }

    /// A person settled a doubt.
    pub fn resolved(&mut self, key: &Key, as_active: bool, is_running: bool) {
        if !as_active {
            *self.may_repeat.entry(key.clone()).or_default() += 1;
        }
        if as_active != is_running {
            self.forgiven.insert(key.clone());
        }
    }

    /// What is reported about an action is on the disk before.
    pub fn told(&mut self, key: &Key, outcome: Outcome, memory: &Memory) {
        let state = memory.standing(key).map(|(state, _)| state);
        let fits = match outcome {
            // Its ids may have come for somebody else since.
            Outcome::Active => matches!(state, Some(State::Active | State::Uncertain)),
            Outcome::Stopped => state == Some(State::Stopped),
            Outcome::Refused => matches!(state, Some(State::Refused | State::Uncertain)),
            Outcome::Waiting => matches!(state, Some(State::Waiting | State::Uncertain)),
            // A disk may have kept what it said that it did not: then more is known than the doubt that is reported.
            _ => true,
        };
        if !fits {
            self.broke(format!(
                "{key} was told to be {outcome}, and is on record as {state:?}"
            ));
        }
    }

    /// Whoever runs at Spotler is on record as that, or as a doubt.
    pub fn nobody_is_lost(&mut self, spotler: &mut Spotler, memory: &Memory) {
        // An answer for another call is found where that call's own answer is on record.
        let is_in_doubt = |id: &ParticipationId| {
            let mut started = spotler.started.iter();
            let owner = started.find(|of| of.id == *id).map(|of| &of.key);
            owner.is_some_and(|key| {
                let state = memory.standing(key).map(|(state, _)| state);
                memory.is_open(key) || state == Some(State::Uncertain)
            })
        };
        for of in spotler.started.iter().filter(|of| of.is_running) {
            let standing = memory.standing(&of.key);
            let state = standing.as_ref().map(|(state, _)| *state);
            let is_known = state.is_some_and(State::may_run_at_spotler) || memory.is_open(&of.key);
            // It was carried out behind the stop of it.
            let is_late = of.is_late && state == Some(State::Stopped);
            if is_late {
                self.forgiven.insert(of.key.clone());
            }
            if !is_known && !is_late && !self.forgiven.contains(&of.key) {
                self.broke(format!("{} runs and is on record as {state:?}", of.key));
            }
            if let Some((State::Active, ids)) = standing
                && spotler.running(&of.key) == 1
                && !ids.is_empty()
                && !ids.contains(&of.id)
                && !self.forgiven.contains(&of.key)
            {
                if ids.iter().any(is_in_doubt) {
                    self.forgiven.insert(of.key.clone());
                    continue;
                }
                self.broke(format!("{} is on record with the ids {ids:?}", of.key));
            }
        }
    }

    /// Calls that were left open were reported.
    pub fn each_doubt_is_named(&mut self, memory: &Memory, was_killed: bool) {
        let left = memory.left_open();
        if was_killed {
            self.named = self.named.max(left);
        } else if left > self.named {
            let named = self.named;
            self.broke(format!(
                "{left} calls were left open, and {named} were told of"
            ));
        }
    }

    /// Once all is well again, whoever is declared runs once, and nobody else does.
    pub fn all_is_as_declared(&mut self, spotler: &Spotler, memory: &Memory) {
        for key in self.history.keys().cloned().collect::<Vec<_>>() {
            let (state, ids) = memory.standing(&key).unzip();
            // One of several occurrences cannot be stopped without an id.
            let has_no_id = key.occurrence.is_some() && ids.is_some_and(|ids| ids.is_empty());
            let keeps = key.automation.as_str() == "a";
            let (runs, is_declared) = (spotler.running(&key), self.now.contains_key(&key));
            let last = self.come_in.get(&key).and_then(|since| since.last());
            let comes_in = last.is_some_and(|(_, comes_in)| *comes_in);
            // Who only stays is in, or is not; and who is beyond a limit waits.
            let may_be_out = is_declared && runs == 0 && (!comes_in || self.rules.limits);
            let fits = match state {
                // It has ended, and whoever is still declared is triggered again later.
                Some(State::Ended) => runs == 0,
                Some(State::Active) if keeps && self.rules.ends && is_declared => runs <= 1,
                // Spotler starts it for one contact no more than once, or not beside another.
                Some(State::Refused) => is_declared,
                Some(State::LetGo) => !is_declared,
                Some(State::Active) if has_no_id => runs > 0,
                // What was let go runs out beside the next one.
                Some(State::Active) => is_declared && (runs == 1 || keeps && runs > 0),
                _ => !is_declared && runs == 0 || may_be_out,
            };
            if !fits && !self.forgiven.contains(&key) {
                self.broke(format!(
                    "{key}, declared: {is_declared}, runs {runs} times and is {state:?} in the end"
                ));
            }
        }
    }
}
