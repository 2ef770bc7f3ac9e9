//! The law, held against what Spotler carried out: nobody twice, nobody lost, each doubt named, nothing sent without a durable
//! intent, nothing by a run whose lock was taken over.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::spotler::{Call, Spotler};
use super::world::{AGAIN_AFTER, MOST, Rules, SPAN};
use crate::apply::Outcome;
use crate::id::{ContactId, ParticipationId};
use crate::participation::{Key, State};
use crate::record::{CallId, LeftOpen, Memory};

/// What the rules make of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its person objected.
    Suppressed,
    /// Its person is not on the list of consents.
    Unlisted,
    /// It is declared where it is in already.
    Stays,
    /// It is declared.
    ComesIn,
}

impl Standing {
    fn is_declared(self) -> bool {
        matches!(self, Self::Stays | Self::ComesIn)
    }
}

/// What is declared or suppressed: the values of the fields count where a change of them is a new declaration. All is of the
/// ids that people keep.
pub type Standings = BTreeMap<Key, (Standing, String)>;

/// One of the declarations of a key, by its place.
type Declaration = (Key, usize);

/// What was declared when, and what was found to be against the law.
#[derive(Debug, Default)]
pub struct Law {
    pub version: usize,
    now: Standings,
    rules: Rules,
    /// The ids that are other ones of the same people, and since when.
    people: BTreeMap<ContactId, (ContactId, usize)>,
    /// What the rules made of each key, and since when.
    standings: BTreeMap<Key, Vec<(usize, Option<Standing>)>>,
    /// When the declarations of each key began and ended: one that is gone and comes back is a new one.
    history: BTreeMap<Key, Vec<(usize, bool)>>,
    /// Declarations that were carried out, and from which version on a run can know that.
    used: BTreeMap<Declaration, (Timestamp, usize)>,
    /// Declarations that go on under the id that their person keeps, and since when.
    goes_on: BTreeMap<Declaration, (Declaration, usize)>,
    /// When each contact's triggers were sent that were carried out.
    sent: BTreeMap<ContactId, Vec<Timestamp>>,
    /// Each by its run: a replica may number another call like one that was lost.
    announced: BTreeSet<(String, CallId)>,
    /// Those of them that may have been another one of the same person.
    exchanged: BTreeSet<(String, CallId)>,
    /// Of these a person said what is not so, or a call was carried out behind a later one: nobody can know.
    forgiven: BTreeSet<Key>,
    /// How often a person said that a trigger was not sent.
    may_repeat: BTreeMap<Key, usize>,
    /// The calls that were left open, and that a run told of.
    named: BTreeSet<(CallId, String)>,
    /// What ever was on record as running without an id.
    nameless: BTreeSet<Key>,
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

    /// The id that a person keeps, by all that was said up to a version.
    pub fn kept(&self, contact: &ContactId, version: usize) -> ContactId {
        let mut at = contact;
        while let Some((to, since)) = self.people.get(at)
            && *since <= version
        {
            at = to;
        }
        at.clone()
    }

    /// The same of a key.
    fn person(&self, key: &Key, version: usize) -> Key {
        Key {
            contact: self.kept(&key.contact, version),
            ..key.clone()
        }
    }

    /// Whether two ids are of one person now.
    pub fn are_one(&self, one: &ContactId, other: &ContactId) -> bool {
        one == other || self.kept(one, self.version) == self.kept(other, self.version)
    }

    fn is_forgiven(&self, key: &Key) -> bool {
        self.forgiven.iter().any(|of| {
            of.automation == key.automation
                && of.occurrence == key.occurrence
                && self.are_one(&of.contact, &key.contact)
        })
    }

    /// The exports or the configuration change. Among the ids that are other ones, there may be new ones.
    pub fn declare(&mut self, now: Standings, people: &BTreeMap<ContactId, ContactId>) {
        self.version += 1;
        let before = std::mem::replace(&mut self.now, now);
        for (from, to) in people {
            let since = || (to.clone(), self.version);
            self.people.entry(from.clone()).or_insert_with(since);
        }
        let keys: BTreeSet<Key> = self.now.keys().chain(before.keys()).cloned().collect();
        let declared = |standings: &Standings, key: &Key| {
            let of = standings.get(key).filter(|(of, _)| of.is_declared());
            of.map(|(_, value)| value.clone())
        };
        for key in &keys {
            let standing = self.now.get(key).map(|(standing, _)| *standing);
            let since = self.standings.entry(key.clone()).or_default();
            since.push((self.version, standing));
            let now = declared(&self.now, key);
            if now != declared(&before, key) {
                let history = self.history.entry(key.clone()).or_default();
                history.push((self.version, now.is_some()));
            }
        }
        for key in &keys {
            let kept = self.person(key, self.version);
            let value = declared(&before, key);
            if kept == *key || value.is_none() || value != declared(&self.now, &kept) {
                continue;
            }
            // Where the person was in it under the id that is kept as well, with another value, that one changes.
            if declared(&before, &kept).is_some_and(|of| Some(of) != value) {
                continue;
            }
            let place = |of: &Key, from_end| (of.clone(), self.history[of].len() - from_end);
            let (old, new) = (place(key, 2), place(&kept, 1));
            if let Some((at, _)) = self.used.get(&old).copied() {
                self.uses(&new, at, self.version);
            }
            self.goes_on.insert(old, (new, self.version));
        }
    }

    /// Notes that a declaration was carried out, also under the id that its person keeps.
    fn uses(&mut self, declaration: &Declaration, at: Timestamp, since: usize) {
        let mut next = Some((declaration.clone(), since));
        while let Some((of, since)) = next {
            let other = self.goes_on.get(&of).cloned();
            next = other.map(|(other, version)| (other, version.max(since)));
            let (last, first) = self.used.entry(of).or_insert((at, since));
            (*last, *first) = (at.max(*last), since.min(*first));
        }
    }

    /// Whether a call of a run has left.
    pub fn is_announced(&self, run: &str, call: CallId) -> bool {
        self.announced.contains(&(run.to_owned(), call))
    }

    /// Whether a call that has left may have been another one of the same person.
    pub fn may_be_other(&self, run: &str, call: CallId) -> bool {
        self.exchanged.contains(&(run.to_owned(), call))
    }

    /// The other one leaves.
    pub fn announced_again(&mut self, call: &(String, CallId)) {
        self.exchanged.remove(call);
    }

    /// A call leaves. It must have been announced, for it alone; or it was another one of the same person.
    pub fn announced(&mut self, call: (String, CallId), is_either: bool, what: &str) {
        if is_either {
            self.exchanged.insert(call.clone());
        }
        if !self.announced.insert(call) {
            self.broke(format!("{what} was sent twice for one intent"));
        }
    }

    /// A trigger was carried out: the first for a declaration that its run may have read, or after `again_after`; of somebody
    /// who comes in, under the id that the person keeps, as often as the limit of a person says, and not beside a run that has not
    /// ended, nor beside one under another id. `running` is what runs already.
    pub fn started(&mut self, call: &Call, running: &[Key]) {
        let (from, to) = call.versions;
        let again_after = SignedDuration::from_secs(AGAIN_AFTER);
        let key = &call.key;
        let automation = key.automation.as_str();
        let has_ends = self.rules.ends && automation == "a";
        let history = self.history.get(key).map_or(&[][..], Vec::as_slice);
        let ends = |at: usize| history.get(at + 1).map_or(usize::MAX, |(next, _)| *next);
        let mut meant = (0..history.len())
            .filter(|at| history[*at].1 && history[*at].0 <= to && ends(*at) > from);
        let new = meant.find(|at| match self.used.get(&(key.clone(), *at)) {
            // It goes on from another id that the run did not know of.
            Some((_, since)) if *since > from => true,
            Some((last, _)) => has_ends && *last + again_after <= call.sent_at,
            None => true,
        });
        let standings = self.standings.get(key).map_or(&[][..], Vec::as_slice);
        let until = |at: usize| standings.get(at + 1).map_or(usize::MAX, |(next, _)| *next);
        let read = (0..standings.len()).filter(|at| standings[*at].0 <= to && until(*at) > from);
        let read: Vec<Option<Standing>> = read.map(|at| standings[at].1).collect();
        let is_service = self.rules.service && automation == "d";
        let sent = self.sent.entry(key.contact.clone()).or_default();
        if !is_service {
            sent.push(call.sent_at);
        }
        let span = SignedDuration::from_secs(SPAN);
        let of_person = |contact: &ContactId| self.kept(contact, from) == key.contact;
        let sent = self.sent.iter().filter(|(contact, _)| of_person(contact));
        let sent = sent.flat_map(|(_, times)| times);
        let since = sent.filter(|at| **at + span > call.sent_at).count();
        let is_same = |of: &ContactId| self.are_one(of, &key.contact);
        let is_known = !self.forgiven.iter().any(|of| is_same(&of.contact))
            && !self.may_repeat.keys().any(|of| is_same(&of.contact));
        let mut runs = running.iter();
        let is_beside = runs.any(|of| {
            let is_other = of.contact != key.contact && automation != "a";
            (has_ends || is_other) && self.person(of, from) == *key
        });
        let mut broken = Vec::new();
        if self.kept(&key.contact, from) != key.contact {
            broken.push("was triggered under an id that its person does not keep");
        }
        if !read.contains(&Some(Standing::ComesIn)) {
            broken.push(match read.last() {
                Some(Some(Standing::Suppressed)) => "was triggered, and is suppressed",
                Some(Some(Standing::Unlisted)) => "was triggered, and is on no list of consents",
                _ => "was triggered, and does not come in",
            });
        }
        if self.rules.limits && since > MOST && is_known && !is_service {
            broken.push("was triggered beyond the limit of its contact");
        }
        if is_beside && is_known {
            broken.push("was triggered beside a run that has not ended");
        }
        match new {
            Some(at) => self.uses(&(key.clone(), at), call.sent_at, 0),
            None => {
                let version = self.version;
                let person = self.person(key, version);
                let other = self
                    .may_repeat
                    .keys()
                    .find(|of| self.may_repeat[*of] > 0 && self.person(of, version) == person);
                match other.cloned().and_then(|of| self.may_repeat.get_mut(&of)) {
                    Some(times) => *times -= 1,
                    None => broken.push("was triggered twice for one declaration"),
                }
            }
        }
        if let Some(what) = broken.first() {
            self.broke(format!("{key} {what}"));
        }
    }

    /// A trigger was carried out behind the stop of it: nobody can know of it.
    pub fn triggered_late(&mut self, key: &Key) {
        self.forgiven.insert(key.clone());
    }

    /// A stop was carried out behind whatever came after it.
    pub fn stopped_late(&mut self, key: &Key) {
        // It stops all of the contact behind the code: whoever is in one automation of it.
        let of = |other: &&Key| {
            other.automation == key.automation && self.are_one(&other.contact, &key.contact)
        };
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
        let state = memory.standing(key).map(|of| of.state);
        let fits = match outcome {
            // Its ids may have come for somebody else since.
            Outcome::Active => matches!(state, Some(State::Active | State::Uncertain)),
            Outcome::Stopped => state == Some(State::Stopped),
            Outcome::Refused => matches!(state, Some(State::Refused | State::Uncertain)),
            // That it failed says nothing of the one that was let go in doubt.
            Outcome::Waiting => {
                matches!(
                    state,
                    Some(State::Waiting | State::Uncertain | State::LetGo)
                )
            }
            // A disk may have kept what it said that it did not: then more is known than the doubt that is reported.
            _ => true,
        };
        if !fits {
            self.broke(format!(
                "{key} was told to be {outcome}, and is on record as {state:?}"
            ));
        }
    }

    /// Whoever runs at Spotler is on record as that, or as a doubt: under the id that was triggered, or as what was triggered
    /// under it.
    pub fn nobody_is_lost(&mut self, spotler: &Spotler, memory: &Memory) {
        let is_open = |key: &Key| memory.is_open(key);
        // An answer for another call is found where that call's own answer is on record, and otherwise nobody can know.
        let has_others = |key: &Key, id: &ParticipationId| {
            let mut started = spotler.started.iter();
            let owner = started.find(|of| of.id == *id).map(|of| &of.key);
            let is_own = |of: &Key| of.is_same_run(key) && self.are_one(&of.contact, &key.contact);
            owner.is_some_and(|owner| match memory.triggered_as(owner) {
                _ if is_own(owner) => false,
                Some(of) => is_open(&of.key) || !of.ids.contains(id),
                None => is_open(owner),
            })
        };
        let is_mistaken = |key: &&Key| {
            let standing = memory.standing(key);
            standing.is_some_and(|of| of.ids.iter().any(|id| has_others(key, id)))
        };
        let mistaken: Vec<Key> = self.history.keys().filter(is_mistaken).cloned().collect();
        self.forgiven.extend(mistaken);
        let started = spotler.started.iter().enumerate();
        for (place, of) in started.filter(|(_, of)| of.is_running) {
            let standing = memory.triggered_as(&of.key);
            let state = standing.as_ref().map(|of| of.state);
            let is_open = standing.as_ref().is_some_and(|of| is_open(&of.key)) || is_open(&of.key);
            let is_known = state.is_some_and(State::may_run_at_spotler) || is_open;
            // It was let go and triggered again: the record has one place for both.
            let mut later = spotler.started[place + 1..].iter();
            let is_let_go =
                of.key.automation.as_str() == "a" && later.any(|later| later.key == of.key);
            let is_forgotten = is_let_go && state == Some(State::Stopped);
            // Spotler has made one contact of two, where only an id tells this run from the other one.
            let is_mixed =
                spotler.merged.contains(&of.key.contact) && self.nameless.contains(&of.key);
            if is_forgotten || is_mixed {
                self.forgiven.insert(of.key.clone());
            }
            if self.is_forgiven(&of.key) {
                continue;
            }
            if !is_known {
                self.broke(format!("{} runs and is on record as {state:?}", of.key));
            }
            if let Some(standing) = standing
                && standing.state == State::Active
                && spotler.running(&of.key) == 1
                && !standing.ids.is_empty()
                && !standing.ids.contains(&of.id)
            {
                let ids = standing.ids;
                self.broke(format!("{} is on record with the ids {ids:?}", of.key));
            }
        }
    }

    /// A run tells of calls that were left open.
    pub fn names(&mut self, calls: &[LeftOpen]) {
        let calls = calls.iter();
        self.named
            .extend(calls.map(|of| (of.id, of.contact.clone())));
    }

    /// Notes what is on record as running without an id.
    pub fn note_nameless(&mut self, memory: &Memory) {
        let is_nameless = |key: &&Key| {
            let of = memory.standing(key);
            of.is_some_and(|of| of.state.may_run_at_spotler() && of.ids.is_empty())
        };
        let nameless = self.history.keys().filter(is_nameless).cloned();
        self.nameless.extend(nameless.collect::<Vec<_>>());
    }

    /// Calls that were left open were told of, before they are on record as doubts.
    pub fn each_doubt_is_named(&mut self, memory: &Memory) {
        for (id, contact) in memory.left_open() {
            if !self.named.contains(&(id, contact.to_string())) {
                self.broke(format!(
                    "a call of {contact} was left open, and nobody was told of it"
                ));
            }
        }
    }

    /// Once all is well again, whoever is declared runs once under whatever id, and nobody else does.
    pub fn all_is_as_declared(&mut self, spotler: &Spotler, memory: &Memory) {
        let mut people: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
        for key in self.history.keys() {
            let ids = people.entry(self.person(key, self.version)).or_default();
            ids.push(key.clone());
        }
        for (key, ids) in people {
            let of = memory.standing(&key);
            let state = of.as_ref().map(|of| of.state);
            // One of several occurrences cannot be stopped without an id.
            let has_none = |id: &Key| {
                let of = memory.standing(id);
                of.is_some_and(|of| of.state.may_run_at_spotler() && of.ids.is_empty())
            };
            let has_no_id = key.occurrence.is_some() && ids.iter().chain([&key]).any(has_none);
            let keeps = key.automation.as_str() == "a";
            let runs: usize = ids.iter().map(|key| spotler.running(key)).sum();
            let standing = self.now.get(&key).map(|(standing, _)| *standing);
            let is_declared = standing.is_some_and(Standing::is_declared);
            let comes_in = standing == Some(Standing::ComesIn);
            // Who only stays is in, or is not; and who is beyond a limit waits.
            let may_be_out = is_declared && runs == 0 && (!comes_in || self.rules.limits);
            let fits = match state {
                // Who objected or has no consent is stopped whatever else says so.
                _ if standing.is_some() && !is_declared => runs == 0,
                // It has ended, and whoever is still declared is triggered again later.
                Some(State::Ended) => runs == 0,
                Some(State::Active) if keeps && self.rules.ends && is_declared => runs <= 1,
                // Spotler starts it for one contact no more than once, or not beside another.
                Some(State::Refused) => is_declared,
                // What was let go under one id runs out beside what is active under another one.
                Some(State::LetGo) => {
                    let active =
                        |id: &Key| memory.standing(id).is_some_and(|of| of.state.is_running());
                    !is_declared || ids.iter().any(active)
                }
                Some(State::Active) if has_no_id => runs > 0,
                // What was let go runs out beside the next one.
                Some(State::Active) => is_declared && (runs == 1 || keeps && runs > 0),
                Some(State::StopUncertain) if has_no_id => true,
                // What was not stopped goes on as it is declared again.
                Some(State::StopFailed) if is_declared && runs == 1 => true,
                _ => !is_declared && runs == 0 || may_be_out,
            };
            if !fits && !self.is_forgiven(&key) {
                self.broke(format!(
                    "{key}, declared: {is_declared}, runs {runs} times and is {state:?} in the end"
                ));
            }
        }
    }
}
