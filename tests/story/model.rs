//! A second Rollcall, written from its contract alone: small, slow, and apart from the code.
//!
//! Times are minutes since a story began. What is sent is dated by the real clock, and a story takes seconds, so all that
//! was ever sent was sent at 0.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

pub type Minutes = i64;

/// What a participation is of. Sorted as a plan is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub contact: String,
    pub automation: String,
    pub occurrence: Option<String>,
}

/// What is configured of an automation.
#[derive(Debug, Clone)]
pub struct Automation {
    pub code: String,
    /// `participation = "once"`.
    pub once: bool,
    /// `on_leave = "keep"`.
    pub keeps: bool,
    /// `on_change = "retrigger"`.
    pub retriggers: bool,
    pub cooldown: Option<Minutes>,
    pub leave_after: Option<Minutes>,
    pub per_run: Option<usize>,
    pub per_day: Option<usize>,
}

/// All that is declared at a time.
#[derive(Debug)]
pub struct World {
    pub now: Minutes,
    pub automations: BTreeMap<String, Automation>,
    /// Who is declared, whether suppressed or not, with the fields.
    pub declared: BTreeMap<Key, String>,
    pub suppressed: BTreeSet<String>,
    /// `max_triggers` and `max_stops`.
    pub limit: usize,
    pub is_window_open: bool,
    /// How many triggers of each automation were carried out, or may have been, on the day of now.
    pub sent: BTreeMap<String, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Active,
    Refused,
    Failed,
    FailedForGood,
    Waiting,
    #[default]
    Withheld,
    #[serde(alias = "triggering")]
    Uncertain,
    StopFailed,
    #[serde(alias = "stopping")]
    StopUncertain,
    Stopped,
    LetGo,
}

use State::*;

impl State {
    /// Whether something runs at Spotler, or may run there.
    pub fn may_run(self) -> bool {
        matches!(
            self,
            Active | Refused | Uncertain | StopFailed | StopUncertain | LetGo
        )
    }
}

/// What is on record of a key.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    pub state: State,
    pub code: String,
    pub fields: String,
    pub ids: BTreeSet<String>,
    /// When the last trigger was sent that was carried out, or is in doubt.
    pub reached: Option<Minutes>,
    /// The run that sent the last trigger, counted from the first.
    pub run: Option<usize>,
    /// How often in a row Spotler did not know the contact.
    pub unknown: u32,
    /// Since when it is gone.
    pub left: Option<Minutes>,
}

pub type Record = BTreeMap<Key, Entry>;

/// How a participation is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// By the call that stops all of the contact behind the code.
    All,
    /// By one call for each id.
    Each,
}

#[derive(Debug, Default)]
pub struct Plan {
    pub stops: BTreeMap<Key, Call>,
    pub triggers: BTreeSet<Key>,
    pub deferred: BTreeSet<Key>,
    pub let_go: BTreeSet<Key>,
    pub withheld: BTreeSet<Key>,
    /// What waits to leave, and since when.
    pub leaving: BTreeMap<Key, Minutes>,
    /// Which, and the word for why.
    pub held: BTreeSet<(Key, &'static str)>,
    /// Whether the guard refuses it, as the binary says.
    pub is_refused: bool,
}

/// The plan. `goes_first` breaks ties between triggers that were tried last in the same run.
pub fn plan(world: &World, record: &Record, goes_first: impl Fn(&Key) -> bool) -> Plan {
    let mut plan = Plan::default();
    let (mut stops, mut triggers, mut renewals) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let keys: BTreeSet<&Key> = world.declared.keys().chain(record.keys()).collect();
    for key in keys.into_iter().cloned() {
        let entry = record.get(&key);
        let automation = world.automations.get(&key.automation);
        let declared = world.declared.get(&key).zip(automation);
        if world.suppressed.contains(&key.contact) {
            match entry.map(|entry| entry.state) {
                Some(state) if state.may_run() => _ = stops.insert(key),
                _ if declared.is_some() => {
                    plan.held.insert((key.clone(), "withheld"));
                    plan.withheld.insert(key);
                }
                _ => {}
            }
            continue;
        }
        let Some(entry) = entry else {
            triggers.insert(key);
            continue;
        };
        let Some((fields, automation)) = declared else {
            let since = entry.left.unwrap_or(world.now);
            let wait = automation.and_then(|automation| automation.leave_after);
            match entry.state {
                Active | Uncertain | Refused if since + wait.unwrap_or(0) > world.now => {
                    plan.held.insert((key.clone(), "leaving"));
                    plan.leaving.insert(key, since);
                }
                Active | Uncertain | Refused if automation.is_some_and(|a| a.keeps) => {
                    plan.let_go.insert(key);
                }
                Active | Uncertain | Refused | StopFailed | StopUncertain => {
                    stops.insert(key);
                }
                Failed | FailedForGood | Waiting | Withheld | Stopped | LetGo => {}
            }
            continue;
        };
        let is_same_code = entry.code.eq_ignore_ascii_case(&automation.code);
        let is_changed = entry.fields != *fields;
        let cools = (automation.cooldown.zip(entry.reached))
            .is_some_and(|(cooldown, reached)| reached + cooldown > world.now);
        let mut hold = |why| _ = plan.held.insert((key.clone(), why));
        match entry.state {
            Active | StopFailed if automation.retriggers && is_changed => match cools {
                true => hold("cooling"),
                false => {
                    stops.insert(key.clone());
                    renewals.insert(key.clone());
                    triggers.insert(key);
                }
            },
            Active | StopFailed => {}
            StopUncertain => {
                stops.insert(key.clone());
                match cools {
                    true => hold("cooling"),
                    false => _ = triggers.insert(key),
                }
            }
            Stopped | LetGo | Withheld if cools => hold("cooling"),
            Stopped | LetGo | Withheld | Failed => _ = triggers.insert(key),
            Waiting if (15 << (entry.unknown - 1).min(7)).min(24 * 60) > world.now => {
                hold("waiting");
            }
            Waiting => _ = triggers.insert(key),
            FailedForGood if is_same_code && !is_changed => hold("failed-for-good"),
            FailedForGood => _ = triggers.insert(key),
            Refused => hold("refused"),
            Uncertain if automation.once && is_same_code => _ = triggers.insert(key),
            Uncertain => hold("uncertain"),
        }
    }
    plan.settle_stops(record, &mut stops, &mut triggers);
    plan.deferred = deferred(world, record, &triggers, goes_first);
    plan.triggers = &triggers - &plan.deferred;
    // What is renewed later goes on until then, and so may keep another from being stopped by the call for all.
    stops.retain(|key| !(renewals.contains(key) && plan.deferred.contains(key)));
    let mut triggers = std::mem::take(&mut plan.triggers);
    plan.settle_stops(record, &mut stops, &mut triggers);
    plan.triggers = triggers;
    plan
}

/// Which call stops each; none where there is none that reaches it alone.
fn calls(record: &Record, stops: &BTreeSet<Key>) -> BTreeMap<Key, Call> {
    let call = |key: &Key| {
        let entry = &record[key];
        let stays = record.iter().any(|(other, others)| {
            other.contact == key.contact
                && others.code.eq_ignore_ascii_case(&entry.code)
                && others.state.may_run()
                && !stops.contains(other)
        });
        let is_known = matches!(entry.state, Active | StopFailed | StopUncertain | LetGo)
            && !entry.ids.is_empty();
        match stays {
            false => Some(Call::All),
            true => is_known.then_some(Call::Each),
        }
    };
    let calls = stops
        .iter()
        .filter_map(|key| Some((key.clone(), call(key)?)));
    calls.collect()
}

/// Which triggers wait for the window or by a ramp. Who was never tried goes first, who failed longest ago comes next.
fn deferred(
    world: &World,
    record: &Record,
    triggers: &BTreeSet<Key>,
    goes_first: impl Fn(&Key) -> bool,
) -> BTreeSet<Key> {
    let mut deferred = BTreeSet::new();
    for (name, automation) in &world.automations {
        let mut turns: Vec<&Key> = triggers.iter().filter(|k| k.automation == *name).collect();
        turns.sort_by_key(|key| {
            let entry = record.get(key);
            let tried =
                entry.filter(|e| matches!(e.state, Failed | FailedForGood | Waiting | Uncertain));
            let tried = tried.and_then(|entry| entry.run);
            (tried, tried.is_some() && !goes_first(key))
        });
        let sent = world.sent.get(name).copied().unwrap_or(0);
        let day = automation.per_day.map(|most| most.saturating_sub(sent));
        let room = automation.per_run.into_iter().chain(day).min();
        let room = match world.is_window_open {
            true => room.unwrap_or(usize::MAX),
            false => 0,
        };
        deferred.extend(turns.into_iter().skip(room).cloned());
    }
    deferred
}

fn word(state: State) -> &'static str {
    match state {
        Active => "active",
        Refused => "refused",
        Failed => "failed",
        FailedForGood => "failed-for-good",
        Waiting => "waiting",
        Withheld => "withheld",
        Uncertain => "uncertain",
        StopFailed => "stop-failed",
        StopUncertain => "stop-uncertain",
        Stopped => "stopped",
        LetGo => "let-go",
    }
}

impl Plan {
    /// Finds the call for each stop, and holds what no call reaches alone.
    fn settle_stops(
        &mut self,
        record: &Record,
        stops: &mut BTreeSet<Key>,
        triggers: &mut BTreeSet<Key>,
    ) {
        self.stops = calls(record, stops);
        for key in stops.iter().filter(|key| !self.stops.contains_key(key)) {
            self.held.insert((key.clone(), word(record[key].state)));
            triggers.remove(key);
        }
        stops.retain(|key| self.stops.contains_key(key));
    }

    /// The actions in the contract's order: by contact, stops before triggers, then by automation and occurrence.
    pub fn actions(&self) -> Vec<(bool, Key)> {
        let stops = self.stops.keys().map(|key| (false, key.clone()));
        let triggers = self.triggers.iter().map(|key| (true, key.clone()));
        let mut actions: Vec<_> = stops.chain(triggers).collect();
        actions.sort_by(|(a, key), (b, other)| {
            (&key.contact, a, key).cmp(&(&other.contact, b, other))
        });
        actions
    }

    /// Whether the guard may refuse it, and whether it must. `day` is how much was triggered, and how much went, since its
    /// count began; `counts` says which of these are on record as triggered since then.
    pub fn guard(
        &self,
        world: &World,
        record: &Record,
        day: (usize, usize),
        counts: impl Fn(&Entry) -> bool,
    ) -> (bool, bool) {
        let triggers = self.triggers.len() + self.deferred.len();
        let gone = || {
            self.stops
                .keys()
                .chain(&self.let_go)
                .chain(self.leaving.keys())
        };
        let is_new = |key: &&Key| {
            let entry = &record[*key];
            matches!(entry.state, Active | Uncertain | Refused)
                && entry.left.is_none()
                && !world.suppressed.contains(&key.contact)
        };
        // A trigger in doubt and the one that is tried in its place are counted once.
        let is_once = |key: &Key| !self.triggers.contains(key) && !self.deferred.contains(key);
        let triggered = (record.iter()).filter(|(key, entry)| is_once(key) && counts(entry));
        let triggered = triggered.count();
        // Many who are triggered again are refused whatever the limits.
        let is_renewed = |key: &Key| (record.get(key)).is_some_and(|entry| entry.state == Active);
        let mut may = (self.triggers.iter().chain(&self.deferred)).any(is_renewed)
            || triggers > 0 && triggers + day.0 > world.limit
            || gone().count() + triggers + day.1 > world.limit;
        let mut must = triggers > 0 && triggers + triggered > world.limit
            || gone().filter(is_new).count() > world.limit;
        // So are those who are on record and no longer declared, and would be triggered under another name.
        for key in self.triggers.iter().chain(&self.deferred) {
            let code = &world.automations[&key.automation].code;
            for (other, entry) in record {
                let is_same_code = entry.code.eq_ignore_ascii_case(code);
                if other.contact == key.contact
                    && is_same_code
                    && !world.declared.contains_key(other)
                {
                    let is_gone = !world.automations.contains_key(&other.automation);
                    may = true;
                    must |= is_gone
                        && self.stops.contains_key(other)
                        && other.occurrence == key.occurrence;
                }
            }
        }
        (may || must, must)
    }
}
