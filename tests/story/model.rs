//! A second Rollcall, written from its contract alone: small, slow, and apart from the code.
//!
//! Times are minutes since a story began.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sha2::{Digest, Sha256};

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
    /// `kind = "service"`.
    pub is_service: bool,
    pub cooldown: Option<Minutes>,
    pub leave_after: Option<Minutes>,
    pub runs_for: Option<Minutes>,
    pub again_after: Option<Minutes>,
    pub per_run: Option<usize>,
    pub per_day: Option<usize>,
}

/// A part of all contacts: by the name of the lot, from so many per cent to so many.
pub type Lot = (String, u32, u32);

/// What one row makes of its contact by one `[[enrol]]` block. Of one key, all have the same fields.
#[derive(Debug, Clone)]
pub struct Offer {
    pub key: Key,
    pub fields: String,
    /// Whether `where` and `stay` hold.
    pub comes_in: bool,
    /// Whether `stay` holds.
    pub stays: bool,
    pub lot: Option<Lot>,
}

/// All that is configured and exported at a time.
#[derive(Debug, Default)]
pub struct World {
    pub now: Minutes,
    pub automations: BTreeMap<String, Automation>,
    /// The names of the automations in the order of the configuration.
    pub order: Vec<String>,
    pub offers: Vec<Offer>,
    /// The lots of each automation's blocks.
    pub lots: BTreeMap<String, Vec<Lot>>,
    /// `[[exclusive]]`.
    pub exclusives: Vec<Vec<String>>,
    /// `[limit] per_contact`: so many in so long.
    pub per_contact: Option<(usize, Minutes)>,
    /// When each contact was triggered in which automation, where that was carried out or may have been.
    pub had: Vec<(String, String, Minutes)>,
    /// Who is suppressed in every automation, also in those that are gone.
    pub suppressed: BTreeSet<String>,
    /// Who is suppressed in which automation, by lists of objections and of consents.
    pub suppressed_in: BTreeSet<(String, String)>,
    /// The automations in a freeze, in which triggers wait.
    pub frozen: BTreeSet<String>,
    /// `max_triggers` and `max_stops`.
    pub limit: usize,
    pub is_window_open: bool,
    /// How many triggers of each automation were carried out, or may have been, on the day of now.
    pub sent: BTreeMap<String, usize>,
    /// `[[merged]]`: each id that its person does not keep, and the one that is kept. All else that is declared is of ids that
    /// are kept.
    pub ids: BTreeMap<String, String>,
}

impl World {
    /// The id that a person keeps.
    pub fn kept<'a>(&'a self, id: &'a String) -> &'a String {
        self.ids.get(id).unwrap_or(id)
    }

    /// The key under the id that its person keeps.
    pub fn person(&self, key: &Key) -> Key {
        Key {
            contact: self.kept(&key.contact).clone(),
            ..key.clone()
        }
    }

    /// What is on record of a person's key, by whatever id: by the one that is kept first.
    fn rows<'r>(&self, record: &'r Record, key: &Key) -> Vec<(&'r Key, &'r Entry)> {
        let of = record.iter().filter(|(of, _)| self.person(of) == *key);
        let (own, others): (Vec<_>, Vec<_>) = of.partition(|(of, _)| *of == key);
        own.into_iter().chain(others).collect()
    }

    pub fn is_suppressed(&self, key: &Key) -> bool {
        let here = (key.contact.clone(), key.automation.clone());
        self.suppressed.contains(&key.contact) || self.suppressed_in.contains(&here)
    }
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
    Ended,
}

use State::*;

/// Why what has ended is over, so that to be declared is a new enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Gone,
    Suppressed,
}

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
    /// When that was.
    pub tried: Option<Minutes>,
    /// How often in a row Spotler did not know the contact.
    pub unknown: u32,
    /// Since when it is gone.
    pub left: Option<Minutes>,
    /// What it was when it was let go.
    pub was: State,
    /// Why it is over, where it has ended and is.
    pub over: Option<Over>,
    /// The id that it was triggered under, where its person has another one since.
    pub under: Option<String>,
}

impl Entry {
    /// Whether it is in: `stay` is enough to stay.
    fn is_in(&self) -> bool {
        match self.state {
            Active | Uncertain | Refused | StopFailed => true,
            Ended => self.over.is_none(),
            _ => false,
        }
    }

    fn is_in_doubt(&self) -> bool {
        matches!(self.state, Uncertain | StopUncertain)
    }

    /// What counts of two that are not both running: what is in or may run, then what ran, then what was to run; the later one of
    /// the like. What was sent to either counts.
    fn or(self, other: Entry) -> Entry {
        let rank = |of: &Entry| {
            let weight = match of.state {
                state if state.may_run() => 6,
                Ended => 5,
                Stopped => 4,
                Withheld => 3,
                FailedForGood => 2,
                Waiting => 1,
                _ => 0,
            };
            (weight, of.is_in(), of.tried.max(of.reached))
        };
        let (first, second) = match rank(&self) >= rank(&other) {
            true => (self, other),
            false => (other, self),
        };
        Entry {
            reached: first.reached.max(second.reached),
            run: first.run.max(second.reached.and(second.run)),
            ..first
        }
    }

    /// What it is once its time is over: doubts do not end by time.
    fn ended(&self, automation: Option<&Automation>, now: Minutes) -> Option<Entry> {
        let runs_for = automation?.runs_for?;
        let ran = match self.state {
            Active | StopFailed => true,
            LetGo => self.was == Active,
            _ => false,
        };
        (ran && self.reached? + runs_for <= now).then(|| Entry {
            state: Ended,
            over: (self.state == LetGo).then_some(Over::Gone),
            ..self.clone()
        })
    }
}

pub type Record = BTreeMap<Key, Entry>;

/// Ends what is over by time, and makes what is on record of an id that of the one that its person keeps. Where both may run,
/// each stays under its own id.
pub fn merge(world: &World, record: &mut Record) {
    for (key, entry) in record.iter_mut() {
        if let Some(ended) = entry.ended(world.automations.get(&key.automation), world.now) {
            *entry = ended;
        }
    }
    let keys: Vec<Key> = record.keys().cloned().collect();
    for key in keys {
        let person = world.person(&key);
        let own = record.get(&person);
        let from = &record[&key];
        let both_run = own.is_some_and(|own| from.state.may_run() && own.state.may_run());
        // What has ended tells when anything is triggered again, whatever comes of a doubt.
        let is_beside = |one: &Entry, other: &Entry| one.is_in_doubt() && other.state == Ended;
        let is_beside = own.is_some_and(|own| is_beside(from, own) || is_beside(own, from));
        if person == key || both_run || is_beside {
            continue;
        }
        let own = record.remove(&person);
        let mut entry = record.remove(&key).unwrap();
        entry.under.get_or_insert(key.contact);
        let whole = match own {
            None => entry,
            Some(own) => own.or(entry),
        };
        record.insert(person, whole);
    }
}

/// The id that Spotler knows a participation by.
pub fn called<'r>(key: &'r Key, entry: &'r Entry) -> &'r str {
    entry.under.as_ref().unwrap_or(&key.contact)
}

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
    /// Who is declared, with the fields; of those who are suppressed, who would be triggered or be left alone.
    pub declared: BTreeMap<Key, String>,
    /// What has ended, and whether it is over by that.
    pub ended: BTreeMap<Key, Option<Over>>,
    /// What was let go and goes on: in which state.
    pub goes_on: BTreeMap<Key, State>,
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
    let mut record = record.clone();
    for (key, entry) in &mut record {
        if let Some(ended) = entry.ended(world.automations.get(&key.automation), world.now) {
            plan.ended.insert(key.clone(), ended.over);
            *entry = ended;
        }
    }
    let record = &record;
    let all = declared(world, record);
    let (mut stops, mut triggers, mut renewals) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let recorded = record.keys().map(|key| world.person(key));
    let keys: BTreeSet<Key> = all.keys().cloned().chain(recorded).collect();
    for key in keys {
        let rows = world.rows(record, &key);
        let entry = record.get(&key);
        let automation = world.automations.get(&key.automation);
        let declared = all.get(&key).zip(automation);
        if world.is_suppressed(&key) {
            let running = rows.iter().filter(|(_, entry)| entry.state.may_run());
            stops.extend(running.map(|(key, _)| (*key).clone()));
            for (other, row) in rows.iter().filter(|(of, _)| **of != key) {
                if row.state == Ended && row.over.is_none() {
                    plan.ended.insert((*other).clone(), Some(Over::Suppressed));
                }
            }
            match entry.map(|entry| entry.state) {
                Some(state) if state.may_run() => {}
                Some(Ended) => {
                    let over = entry.and_then(|entry| entry.over);
                    // Who was gone before, and still is, was not stopped by it.
                    if over.is_none() || declared.is_some() {
                        plan.ended.insert(key, Some(Over::Suppressed));
                    }
                }
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
        // What was refused never ran.
        let goes_on = |automation: &Automation| {
            let is_known = automation.runs_for.is_some() || entry.under.is_some();
            entry.state == LetGo && is_known && entry.was != Refused
        };
        let goes_on = declared.is_some_and(|(_, automation)| goes_on(automation));
        // Active under either is active: the one that runs for certain, under the id that is kept first.
        let runs = rows.iter().find(|(of, row)| {
            let runs = matches!(row.state, Active | StopFailed);
            runs || goes_on && **of == key && row.was == Active
        });
        let runs = runs.map(|(of, _)| *of);
        let mut is_elsewhere = false;
        for (other, row) in rows.iter().copied().filter(|(of, _)| **of != key) {
            match row.state {
                LetGo => {}
                Ended if row.over.is_none() && declared.is_none() => {
                    plan.leave(world, other, row, &mut stops)
                }
                Ended => is_elsewhere = true,
                state if !state.may_run() => {}
                // What runs beside it is stopped, whatever becomes of it.
                _ if runs.is_some_and(|of| of != other) => _ = stops.insert(other.clone()),
                StopUncertain => _ = stops.insert(other.clone()),
                _ if declared.is_none() => plan.leave(world, other, row, &mut stops),
                // As long as nothing runs for certain, nothing is stopped, so that nobody is lost.
                state => {
                    is_elsewhere = true;
                    let is_held = matches!(state, Uncertain | Refused);
                    plan.held
                        .extend(is_held.then(|| (other.clone(), state.word())));
                }
            }
        }
        let Some((fields, automation)) = declared else {
            plan.leave(world, &key, entry, &mut stops);
            continue;
        };
        let is_same_code = entry.code.eq_ignore_ascii_case(&automation.code);
        let is_changed = entry.fields != *fields;
        let cools = (automation.cooldown.zip(entry.reached))
            .is_some_and(|(cooldown, reached)| reached + cooldown > world.now);
        let runs_beside = rows
            .iter()
            .any(|(of, row)| **of != key && row.state.may_run() && row.state != LetGo);
        let mut hold = |why| _ = plan.held.insert((key.clone(), why));
        match entry.state {
            LetGo if goes_on => {
                if entry.was == Uncertain {
                    hold("uncertain");
                }
                plan.goes_on.insert(key.clone(), entry.was);
            }
            // The person is in, and nothing is sent but a stop of which nobody knows.
            Uncertain if is_elsewhere => hold("uncertain"),
            StopUncertain if is_elsewhere => _ = stops.insert(key),
            LetGo | Refused if is_elsewhere => {}
            Active | StopFailed if automation.retriggers && is_changed => match cools {
                true => hold("cooling"),
                // What runs under another id is stopped first.
                false if runs_beside => {}
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
            Ended => {
                let since = entry.reached.unwrap_or(0);
                let is_due = |after: Minutes| since + after <= world.now;
                match (entry.over, automation.again_after.map(is_due)) {
                    (None, None | Some(false)) => {}
                    (Some(_), Some(false)) => hold("ended"),
                    _ if cools => hold("cooling"),
                    _ if runs_beside => {}
                    _ => _ = triggers.insert(key),
                }
            }
            Stopped | LetGo | Withheld if cools => hold("cooling"),
            Stopped | LetGo | Withheld | Failed => _ = triggers.insert(key),
            Waiting
                if entry.tried.unwrap_or(0) + (15 << (entry.unknown - 1).min(7)).min(24 * 60)
                    > world.now =>
            {
                hold("waiting");
            }
            Waiting => _ = triggers.insert(key),
            FailedForGood if is_same_code && !is_changed => hold("failed-for-good"),
            FailedForGood => _ = triggers.insert(key),
            Refused => hold("refused"),
            // Spotler guards each contact by itself.
            Uncertain if automation.once && is_same_code && entry.under.is_none() => {
                _ = triggers.insert(key)
            }
            Uncertain => hold("uncertain"),
        }
    }
    plan.declared = all;
    plan.settle_stops(world, record, &mut stops, &mut triggers);
    plan.deferred = deferred(world, record, &triggers, goes_first);
    plan.triggers = &triggers - &plan.deferred;
    // What is renewed later goes on until then, and so may keep another from being stopped by the call for all.
    stops.retain(|key| !(renewals.contains(key) && plan.deferred.contains(key)));
    let mut triggers = std::mem::take(&mut plan.triggers);
    plan.settle_stops(world, record, &mut stops, &mut triggers);
    plan.triggers = triggers;
    plan
}

/// What a contact draws by the name of a lot, over 2⁶⁴.
fn draw(name: &str, contact: &str) -> u128 {
    let hash = Sha256::digest([name.as_bytes(), &[0], contact.as_bytes()].concat());
    u64::from_be_bytes(hash[..8].try_into().unwrap()).into()
}

fn takes((name, from, to): &Lot, contact: &str) -> bool {
    let share = draw(name, contact) * 100;
    (u128::from(*from) << 64..u128::from(*to) << 64).contains(&share)
}

/// Who is declared: by where and stay, by lot, and by exclusion, in this order. Who is suppressed does not stay, and is in no
/// automation that could exclude another.
fn declared(world: &World, record: &Record) -> BTreeMap<Key, String> {
    let contacts: BTreeSet<&str> = world
        .offers
        .iter()
        .map(|of| of.key.contact.as_str())
        .collect();
    let mut all = BTreeMap::new();
    for contact in contacts {
        // In under either id is in.
        let is_in = |key: &Key| {
            let mut rows = world.rows(record, key).into_iter();
            !world.is_suppressed(key) && rows.any(|(_, entry)| entry.is_in())
        };
        let offers: Vec<&Offer> = (world.offers.iter())
            .filter(|of| {
                of.key.contact == contact && world.automations.contains_key(&of.key.automation)
            })
            .collect();
        let stays = |key: &Key| offers.iter().any(|of| of.key == *key && of.stays);
        // The automations with lots that the contact is in, and does not leave now.
        let leaves_later = |name: &String| world.automations[name].leave_after.is_some();
        let holds: BTreeSet<&String> = (record.keys())
            .filter(|key| key.contact == contact && is_in(key))
            .filter(|key| {
                world
                    .lots
                    .get(&key.automation)
                    .is_some_and(|lots| !lots.is_empty())
            })
            .filter(|key| world.automations.contains_key(&key.automation))
            .filter(|key| stays(key) || leaves_later(&key.automation))
            .map(|key| &key.automation)
            .collect();
        let may_come_in = |of: &&&Offer| match &of.lot {
            _ if !of.comes_in => false,
            None => true,
            Some(_) if holds.contains(&of.key.automation) => true,
            Some(lot) => {
                let is_elsewhere = holds.iter().any(|name| {
                    let mut parts = world.lots[*name].iter().filter(|other| other.0 == lot.0);
                    let first = parts.next();
                    first.is_some_and(|first| first != lot) && parts.all(|other| other != lot)
                });
                takes(lot, contact) && !is_elsewhere
            }
        };
        let mut theirs: BTreeMap<Key, String> = (offers.iter())
            .filter(|of| match is_in(&of.key) {
                true => of.stays,
                false => may_come_in(of),
            })
            .map(|of| (of.key.clone(), of.fields.clone()))
            .collect();
        for exclusive in &world.exclusives {
            let is_here =
                |key: &Key, name: &str| key.automation == name && !world.is_suppressed(key);
            let has = |name: &&String| theirs.keys().any(|key| is_here(key, name));
            let Some(first) = exclusive.iter().find(has).cloned() else {
                continue;
            };
            theirs.retain(|key, _| {
                key.automation == first
                    || !exclusive.contains(&key.automation)
                    || world.is_suppressed(key)
            });
        }
        all.extend(theirs);
    }
    all
}

/// Which triggers wait by the limit of each contact. The order among them is that of the configuration.
fn beyond_contacts(world: &World, triggers: &BTreeSet<Key>) -> BTreeSet<Key> {
    let Some((most, span)) = world.per_contact else {
        return BTreeSet::new();
    };
    let is_counted = |name: &str| world.automations.get(name).is_none_or(|of| !of.is_service);
    let place = |key: &Key| world.order.iter().position(|name| *name == key.automation);
    let mut turns: Vec<&Key> = triggers
        .iter()
        .filter(|key| is_counted(&key.automation))
        .collect();
    turns.sort_by_key(|key| place(key));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (contact, automation, at) in &world.had {
        if is_counted(automation) && at + span > world.now {
            *counts.entry(world.kept(contact)).or_default() += 1;
        }
    }
    turns.retain(|key| {
        let count = counts.entry(&key.contact).or_default();
        *count += 1;
        *count > most
    });
    turns.into_iter().cloned().collect()
}

/// Which call stops each; none where there is none that reaches it alone.
fn calls(world: &World, record: &Record, stops: &BTreeSet<Key>) -> BTreeMap<Key, Call> {
    let call = |key: &Key| {
        let entry = &record[key];
        // It goes to the id that was triggered; of what became another id's, to that one where Spotler does not know the first.
        let reaches = |other: &Key, others: &Entry| {
            let is_own = world.kept(&key.contact) == &key.contact;
            called(other, others) == called(key, entry) || is_own && other.contact == key.contact
        };
        let stays = record.iter().any(|(other, others)| {
            reaches(other, others)
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
    // What is frozen takes no place of a limit or a ramp.
    let (mut deferred, triggers): (BTreeSet<Key>, BTreeSet<Key>) =
        (triggers.iter().cloned()).partition(|key| world.frozen.contains(&key.automation));
    deferred.extend(beyond_contacts(world, &triggers));
    for (name, automation) in &world.automations {
        let is_of_it = |key: &&Key| key.automation == *name && !deferred.contains(*key);
        let mut turns: Vec<&Key> = triggers.iter().filter(is_of_it).collect();
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
        let room = match world.is_window_open || automation.is_service {
            true => room.unwrap_or(usize::MAX),
            false => 0,
        };
        let waits: Vec<Key> = turns.into_iter().skip(room).cloned().collect();
        deferred.extend(waits);
    }
    deferred
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
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
            Ended => "ended",
        }
    }
}

impl Plan {
    /// Lets go what is not declared, at its time: stopped or let go, or leaving until then.
    fn leave(&mut self, world: &World, key: &Key, entry: &Entry, stops: &mut BTreeSet<Key>) {
        let automation = world.automations.get(&key.automation);
        let since = entry.left.unwrap_or(world.now);
        let wait = automation.and_then(|automation| automation.leave_after);
        match entry.state {
            Active | Uncertain | Refused if since + wait.unwrap_or(0) > world.now => {
                self.held.insert((key.clone(), "leaving"));
                self.leaving.insert(key.clone(), since);
            }
            Active | Uncertain | Refused if automation.is_some_and(|a| a.keeps) => {
                self.let_go.insert(key.clone());
            }
            Active | Uncertain | Refused | StopFailed | StopUncertain => {
                stops.insert(key.clone());
            }
            Ended if entry.over.is_none() => _ = self.ended.insert(key.clone(), Some(Over::Gone)),
            Failed | FailedForGood | Waiting | Withheld | Stopped | LetGo | Ended => {}
        }
    }

    /// Finds the call for each stop, and holds what no call reaches alone.
    fn settle_stops(
        &mut self,
        world: &World,
        record: &Record,
        stops: &mut BTreeSet<Key>,
        triggers: &mut BTreeSet<Key>,
    ) {
        self.stops = calls(world, record, stops);
        for key in stops.iter().filter(|key| !self.stops.contains_key(key)) {
            self.held.insert((key.clone(), record[key].state.word()));
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
                && !world.is_suppressed(key)
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
                    && !self.declared.contains_key(other)
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
