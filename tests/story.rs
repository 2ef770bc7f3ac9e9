//! Stories: weeks of random configurations, exports, faults and kills, lived by the built binary and by a model beside it.
//!
//! Every day the plan must be the model's, what came of it must be one of the ends that the contract allows, and the
//! sandbox's ledger must agree with the record: nobody was triggered twice, nobody is lost, each doubt has a name.
//!
//! A thousand days are part of the tests. More: `ROLLCALL_DAYS=10000 ROLLCALL_SEED=1 cargo test --release --test story`.
//! A story that fails prints its seed; `ROLLCALL_SEED=… ROLLCALL_DAYS=12` tells it again.

mod common;
#[path = "story/draw.rs"]
mod draw;
#[path = "story/model.rs"]
#[allow(dead_code, reason = "merges are the month's")]
mod model;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Done, Repo, Spotler};
use draw::{CONTACTS, DOUBTS, Scene, Trouble};
use jiff::{SignedDuration, Timestamp};
use model::{Entry, Key, Plan, Record, State};
use serde_json::{Value, json};

/// A story has so many days.
const DAYS: usize = 12;

/// Where a run is killed, and how often it comes there on a day of a story.
const KILLS: [(&str, usize); 6] = [
    ("intent:before", 3),
    ("intent:after", 3),
    ("send:before", 6),
    ("send:after", 6),
    ("outcome:before", 3),
    ("outcome:after", 3),
];

struct Story<'a> {
    spotler: &'a Spotler,
    repo: Repo,
    scene: Scene,
    began: Timestamp,
    record: Record,
    runs: usize,
    /// How many plans were compared with the model's.
    compared: Cell<usize>,
    /// The run behind which the guard's count began, how much was triggered since then, and how much went.
    counted: usize,
    day: (usize, usize),
    /// How much of the ledger was read.
    read: usize,
    /// Whose each participation is that Spotler started.
    owners: BTreeMap<String, Key>,
    /// Participations that were let go and are no longer on record.
    forgotten: BTreeSet<String>,
    /// Whether a call was left open by a run that was killed.
    is_open: bool,
}

/// What is on record of a key.
#[derive(Debug)]
struct Seen {
    state: State,
    ids: BTreeSet<String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn key(item: &Value) -> Key {
    Key {
        contact: text(&item["contact"]),
        automation: text(&item["automation"]),
        occurrence: item["occurrence"].as_str().map(str::to_owned),
    }
}

/// The items of a list in a document, which may be missing.
fn list<'a>(document: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    document[name].as_array().into_iter().flatten()
}

fn keys(document: &Value, name: &str) -> BTreeSet<Key> {
    list(document, name).map(key).collect()
}

fn actions(document: &Value) -> Vec<(bool, Key)> {
    let actions = list(document, "actions");
    let actions: Vec<(bool, Key)> = actions
        .map(|action| (action["action"] == "trigger", key(action)))
        .collect();
    actions
}

impl<'a> Story<'a> {
    fn new(seed: u64, spotler: &'a Spotler) -> Self {
        spotler.put("reset", &Value::Null);
        // Ten minutes are one to a story, whose clock goes in steps of fifty.
        let began = Timestamp::now().as_second() / 600 * 600;
        let began = Timestamp::from_second(began).unwrap();
        Self {
            spotler,
            repo: Repo::new(),
            scene: Scene::new(seed, began),
            began,
            record: Record::new(),
            runs: 0,
            compared: Cell::new(0),
            counted: 0,
            day: (0, 0),
            read: 0,
            owners: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            is_open: false,
        }
    }

    fn now(&self) -> String {
        let since = SignedDuration::from_mins(self.scene.now);
        (self.began + since).to_string()
    }

    fn args<'b>(&self, args: &[&'b str], now: &'b str) -> Vec<&'b str> {
        [args, &["--now", now]].concat()
    }

    fn run(&self, args: &[&str]) -> Done {
        let now = self.now();
        self.repo.run(&self.args(args, &now))
    }

    fn day(&mut self) {
        self.scene.next_day();
        for (name, text) in self.scene.files(&self.spotler.url()) {
            self.repo.write(name, text);
        }
        let trouble = self.scene.trouble();
        self.spotler
            .put("automations", &json!(self.scene.listed(&trouble)));
        self.spotler.put("unknown", &json!(self.scene.unknown));
        let seed = self.scene.below(1000);
        let faults = json!({ "seed": seed, "rules": trouble.rules() });
        self.spotler.put("faults", &faults);
        let died = self.scene.chance(0.1) && self.kill(&trouble);
        if self.scene.chance(0.3) {
            self.plan();
        }
        // What a run has begun is not left for another day.
        if !self.apply(&trouble, died) {
            return;
        }
        if self.scene.chance(0.3) {
            self.resolve();
        }
        if self.scene.chance(0.05) {
            self.adopt();
        }
    }

    /// The plan of the binary, compared with the model's.
    fn plan(&mut self) -> Plan {
        let document = self.run(&["plan", "--format", "json"]).exits(0).json();
        let plan = self.compared(&document, &self.sent());
        if self.scene.chance(0.3) {
            self.plans_one_alone(&plan);
        }
        plan
    }

    /// The model's plan, once it was compared with the one in a document.
    fn compared(&self, document: &Value, sent: &BTreeMap<String, usize>) -> Plan {
        let deferred = keys(document, "deferred");
        let world = self.scene.world(sent);
        let record = self.moved(&self.record);
        let mut plan = model::plan(&world, &record, |key| !deferred.contains(key));
        self.same("actions", actions(document), plan.actions(), |(_, key)| key);
        self.same("deferred", deferred, plan.deferred.clone(), |key| key);
        self.same(
            "let go",
            keys(document, "let_go"),
            plan.let_go.clone(),
            |key| key,
        );
        let held = list(document, "held").map(|held| (key(held), text(&held["state"])));
        let expected = plan
            .held
            .iter()
            .map(|(key, why)| (key.clone(), (*why).to_owned()));
        let (held, expected): (BTreeSet<_>, BTreeSet<_>) = (held.collect(), expected.collect());
        self.same("held", held, expected, |(key, _)| key);
        plan.is_refused = document["guard"]["refused"] == true;
        let counts = |entry: &Entry| {
            let is_on_record = entry.state.may_run() || entry.state == State::Stopped;
            let is_of_day = entry.reached.is_some() && entry.run > Some(self.counted);
            is_on_record && is_of_day && entry.state != State::Refused
        };
        let (may, must) = plan.guard(&world, &record, self.day, counts);
        assert!(may || !plan.is_refused, "refused: {}", document["guard"]);
        assert!(
            plan.is_refused || !must,
            "not refused: {} at {}, {:?}",
            document["actions"],
            world.limit,
            self.day
        );
        self.compared.update(|so_many| so_many + 1);
        plan
    }

    /// Asserts that a list of the plan is the model's, and tells of those that differ.
    fn same<T, L>(&self, name: &str, found: L, expected: L, key: impl Fn(&T) -> &Key)
    where
        T: std::fmt::Debug + PartialEq,
        L: PartialEq + IntoIterator<Item = T> + Clone,
    {
        if found == expected {
            return;
        }
        let (found, expected) = (
            found.into_iter().collect::<Vec<_>>(),
            expected.into_iter().collect::<Vec<_>>(),
        );
        let mut odd = String::new();
        for (whose, these, those) in [("binary", &found, &expected), ("model", &expected, &found)] {
            for one in these.iter().filter(|one| !those.contains(one)) {
                let contact = &key(one).contact;
                let record = self
                    .record
                    .iter()
                    .filter(|(key, _)| key.contact == *contact);
                let record: Vec<_> = record.collect();
                let history = self.run(&["history", contact]).stdout;
                odd.push_str(&format!(
                    "only the {whose} has {one:?}\n{record:#?}\n{history}"
                ));
            }
        }
        let world = self.scene.world(&BTreeMap::new());
        panic!("{name} differ at {}: {odd}{world:#?}", self.now());
    }

    /// How many triggers of each automation were carried out, or may have been.
    fn sent(&self) -> BTreeMap<String, usize> {
        let mut sent = BTreeMap::new();
        let mut has_ramp = self.scene.slots.iter().map(|slot| slot.automation.per_day);
        if has_ramp.any(|ramp| ramp.is_some()) && !self.record.is_empty() {
            let counts = [Value::Null, "active".into(), "uncertain".into()];
            for call in self.history() {
                if call["call"] == "trigger" && counts.contains(&call["outcome"]) {
                    let name = text(&call["automation"]);
                    let moves = self.scene.moves();
                    let name = moves.fold(name, |name, (from, to)| match name == from {
                        true => to.to_owned(),
                        false => name,
                    });
                    *sent.entry(name).or_insert(0) += 1;
                }
            }
        }
        sent
    }

    /// The plan for one contact is what the plan for all has of it.
    fn plans_one_alone(&mut self, plan: &Plan) {
        let contact = self.scene.somebody();
        let alone = self
            .run(&["plan", "--format", "json", "--contact", &contact])
            .exits(0)
            .json();
        let mut all = plan.actions();
        all.retain(|(_, key)| key.contact == contact);
        assert_eq!(actions(&alone), all, "the plan for {contact} alone");
    }

    /// Applies, and where the guard refuses that, maybe with `--allow-large`. Returns whether it was not refused in the end.
    fn apply(&mut self, trouble: &Trouble, insists: bool) -> bool {
        let args = ["apply", "--yes", "--format", "json", "--retry-for", "2s"];
        let sent = self.sent();
        let done = self.run(&args);
        let document = done.json();
        let mut plan = self.compared(&document, &sent);
        if !plan.is_refused {
            self.check(&plan, &done, trouble);
            return true;
        }
        // Nothing is done then but what cannot wait. What a run that died has left open is reported all the same.
        assert_eq!(done.code, Some(4), "{}", done.stderr);
        let finds_doubt = std::mem::take(&mut self.is_open);
        assert_eq!(
            done.stderr.contains("ended early while"),
            finds_doubt,
            "{}",
            done.stderr
        );
        plan.stops
            .retain(|key, _| self.scene.suppressed.contains(&key.contact));
        let urgent = Plan {
            is_refused: true,
            stops: plan.stops,
            ..Plan::default()
        };
        // Where they are too many by themselves, they are not sent either.
        let is_limited = self.scene.limit < CONTACTS;
        self.settle(&urgent, trouble, &BTreeSet::new(), is_limited);
        let is_meant = insists || self.scene.chance(0.7);
        if is_meant {
            let sent = self.sent();
            let done = self.run(&[&args[..], &["--allow-large"]].concat());
            let mut plan = self.compared(&done.json(), &sent);
            plan.is_refused = false;
            self.check(&plan, &done, trouble);
            self.count_anew();
        }
        is_meant
    }

    fn count_anew(&mut self) {
        (self.counted, self.day) = (self.runs, (0, 0));
    }

    /// Checks how an apply ended.
    fn check(&mut self, plan: &Plan, done: &Done, trouble: &Trouble) {
        let document = done.json();
        let good = ["active", "stopped", "waiting", "deferred"];
        let outcomes = list(&document, "actions").map(|action| {
            (
                action["action"] == "trigger",
                key(action),
                text(&action["outcome"]),
            )
        });
        let mut outcomes: Vec<_> = outcomes.collect();
        let is_good = outcomes
            .iter()
            .all(|(_, _, outcome)| good.contains(&&**outcome))
            && document["ended_early"].is_null();
        outcomes.retain(|(_, _, outcome)| !["not-sent", "deferred"].contains(&&**outcome));
        let record = self.moved(&self.record);
        // Where Spotler knows nobody whom a run is about, it is probably another account.
        let knows_nobody = (outcomes.iter())
            .all(|(_, key, _)| self.scene.unknown.contains(&key.contact))
            && (outcomes.iter()).any(|(_, key, _)| {
                let entry = record.get(key);
                entry.is_none_or(|entry| entry.state != State::Waiting)
            });
        let finds_doubt = std::mem::take(&mut self.is_open);
        let code = match is_good && !finds_doubt && !knows_nobody {
            true => 0,
            false => 3,
        };
        let is_odd = knows_nobody && trouble.is_far_reaching();
        assert!(
            done.code == Some(code) || is_odd,
            "{:?}, not {code}: {}\n{}",
            done.code,
            done.stdout,
            done.stderr
        );
        let tried = outcomes.into_iter().filter(|(is_trigger, ..)| *is_trigger);
        self.settle(
            plan,
            trouble,
            &tried.map(|(_, key, _)| key).collect(),
            false,
        );
    }

    fn history(&self) -> Vec<Value> {
        let history = self.run(&["history", "--format", "json"]).exits(0).json();
        list(&history, "calls").cloned().collect()
    }

    /// Starts an apply and lets it die. Returns whether it did.
    fn kill(&mut self, trouble: &Trouble) -> bool {
        let mut plan = self.plan();
        plan.is_refused = false;
        let before = self.history().len();
        let (point, most) = self.scene.pick(&KILLS);
        let time = 1 + self.scene.below(most);
        let now = self.now();
        let args = [
            "apply",
            "--yes",
            "--quiet",
            "--allow-large",
            "--retry-for",
            "2s",
        ];
        let args = self.args(&args, &now);
        let mut command = self.repo.command(&args);
        let done = command
            .env("ROLLCALL_FAILPOINT", format!("{point}:{time}"))
            .output()
            .unwrap();
        let died = done.status.code().is_none();
        let history = self.history();
        let tried = history[before..]
            .iter()
            .filter(|call| call["call"] == "trigger");
        self.settle(&plan, trouble, &tried.map(key).collect(), died);
        if !died {
            self.counted = self.runs;
        }
        self.is_open |= history.iter().any(|call| call["outcome"].is_null());
        died
    }

    fn seen(&self) -> BTreeMap<Key, Seen> {
        let json = self
            .run(&["record", "list", "--format", "json"])
            .exits(0)
            .json();
        let seen = list(&json, "participations").map(|item| {
            let state = serde_json::from_value(item["state"].clone()).unwrap();
            let ids = list(item, "automation_contact_ids").map(text).collect();
            (key(item), Seen { state, ids })
        });
        seen.collect()
    }

    /// Reads what an apply carried out: how often each was triggered, and with which ids.
    fn ledger(&mut self) -> BTreeMap<Key, Vec<BTreeSet<String>>> {
        let world = self.scene.world(&BTreeMap::new());
        let digest = |fields: &String| {
            let fields = json!([{ "name": "story", "type": "STRING", "value": fields }]);
            blake3::hash(fields.to_string().as_bytes()).to_hex()[..32].to_owned()
        };
        let of_digest: BTreeMap<(String, String), &Key> = (world.offers.iter())
            .map(|of| ((of.key.contact.clone(), digest(&of.fields)), &of.key))
            .collect();
        let mut triggered: BTreeMap<Key, Vec<BTreeSet<String>>> = BTreeMap::new();
        for line in self
            .spotler
            .get(&format!("ledger?after={}", self.read))
            .lines()
        {
            self.read += 1;
            let deed: Value = serde_json::from_str(line).unwrap();
            if deed["kind"] == "trigger" {
                let whose = (text(&deed["contact"]), text(&deed["digest"]));
                let key = of_digest[&whose].clone();
                let ids: BTreeSet<String> = list(&deed, "participations")
                    .map(|one| text(&one["automationContactId"]))
                    .collect();
                for id in &ids {
                    self.owners.insert(id.clone(), key.clone());
                }
                triggered.entry(key).or_default().push(ids);
            } else {
                // For one contact stops go before triggers.
                let mut keys = triggered.keys();
                let is_late = keys.any(|key| deed["contact"] == *key.contact);
                assert!(!is_late, "stopped behind a trigger: {line}");
            }
        }
        triggered
    }

    /// What is known of keys, by the names that they have now.
    fn moved<T: Clone>(&self, of: &BTreeMap<Key, T>) -> BTreeMap<Key, T> {
        let mut of = of.clone();
        for (from, to) in self.scene.moves() {
            let keys = of.into_iter().map(|(mut key, value)| {
                if key.automation == from {
                    key.automation = to.to_owned();
                }
                (key, value)
            });
            of = keys.collect();
        }
        of
    }

    /// Holds what an apply did against the contract, and goes on from there. `tried` are those of whom a trigger was sent.
    fn settle(&mut self, plan: &Plan, trouble: &Trouble, tried: &BTreeSet<Key>, died: bool) {
        self.runs += 1;
        self.day.0 += tried.len();
        self.day.1 += plan.stops.len() + plan.let_go.len() + plan.leaving.len();
        let triggered = self.ledger();
        let seen = self.seen();
        let has_old_name = |name: &str| seen.keys().any(|key| key.automation == name);
        let is_moved = !self.scene.moves().any(|(from, _)| has_old_name(from));
        assert!(is_moved || died || plan.is_refused, "names were not moved");
        if is_moved {
            self.record = self.moved(&self.record);
            let owners = self.owners.iter().map(|(id, key)| {
                let moved = self.moved(&BTreeMap::from([(key.clone(), ())]));
                (id.clone(), moved.into_keys().next().unwrap())
            });
            self.owners = owners.collect();
        }
        self.note(plan, &seen, died);
        let keys: BTreeSet<Key> = self.record.keys().chain(seen.keys()).cloned().collect();
        for key in &keys {
            let before = self.record.get(key).map(|entry| entry.state);
            let after = seen.get(key).map(|seen| seen.state);
            let ids = triggered.get(key).map_or(&[][..], Vec::as_slice);
            let may = self.ends(key, plan, trouble, ids.len(), died);
            let story = || {
                let history = self.run(&["history", &key.contact]).stdout;
                format!(
                    "{key:?}: {before:?} -> {after:?} of {may:?}; carried out {ids:?}; {trouble:?}\n{history}"
                )
            };
            assert!(
                ids.len() <= usize::from(tried.contains(key)),
                "carried out too often: {}",
                story()
            );
            assert!(
                may.contains(&after),
                "not as the contract says: {}",
                story()
            );
            let Some(after) = after else { continue };
            if tried.contains(key) {
                if after == State::Active {
                    assert_eq!(ids, [plain(&seen[key].ids)], "{}", story());
                }
                self.enter(plan, key, after, ids);
            } else if let Some(entry) = self.record.get_mut(key)
                && entry.state != after
            {
                (entry.state, entry.left) = (after, None);
            }
        }
        self.law(&seen);
    }

    /// Notes what a plan does without a call.
    fn note(&mut self, plan: &Plan, seen: &BTreeMap<Key, Seen>, died: bool) {
        let has_become =
            |key: &Key, state| !died || seen.get(key).is_some_and(|seen| seen.state == state);
        for key in plan
            .let_go
            .iter()
            .filter(|key| has_become(key, State::LetGo))
        {
            let entry = self.record.get_mut(key).unwrap();
            entry.was = entry.state;
            (entry.state, entry.left) = (State::LetGo, None);
        }
        for key in plan
            .withheld
            .iter()
            .filter(|key| has_become(key, State::Withheld))
        {
            let entry = self.record.entry(key.clone()).or_default();
            entry.state = State::Withheld;
        }
        // A run that died is run again at the same time, so that it is all the same whether it noted this.
        let is_noted = !died && !plan.is_refused;
        for (key, entry) in self.record.iter_mut().filter(|_| is_noted) {
            let is_declared =
                plan.declared.contains_key(key) && !self.scene.suppressed.contains(&key.contact);
            let left = plan.leaving.get(key).copied().or(entry.left);
            entry.left = left.filter(|_| !is_declared);
        }
    }

    /// Notes what came of a trigger.
    fn enter(&mut self, plan: &Plan, key: &Key, state: State, ids: &[BTreeSet<String>]) {
        let world = self.scene.world(&BTreeMap::new());
        let before = self.record.get(key);
        let is_let_go = before.is_some_and(|entry| entry.state == State::LetGo);
        if is_let_go && matches!(state, State::Failed | State::FailedForGood | State::Waiting) {
            // What runs out goes on to.
            return;
        }
        if is_let_go {
            // What was let go and runs on is no longer known.
            let ids = self
                .owners
                .iter()
                .filter(|(id, owner)| *owner == key && !ids.iter().any(|ids| ids.contains(*id)));
            self.forgotten.extend(ids.map(|(id, _)| id.clone()));
        }
        if let Some(State::Uncertain) = before.map(|entry| entry.state)
            && state == State::Uncertain
            && !self.may_have_gone(key)
        {
            // The earlier doubt stays as it was, and with it the time by which its turn comes.
            return;
        }
        let entry = Entry {
            state,
            code: world.automations[&key.automation].code.clone(),
            fields: plan.declared[key].clone(),
            ids: match state {
                State::Active => ids[0].clone(),
                _ => BTreeSet::new(),
            },
            reached: match state {
                State::Active | State::Uncertain => Some(0),
                // Spotler itself sees to it that nobody is reached too soon.
                State::Refused => None,
                _ => before.and_then(|entry| entry.reached),
            },
            run: Some(self.runs),
            unknown: match state {
                State::Waiting => 1 + before.map_or(0, |entry| entry.unknown),
                _ => 0,
            },
            ..Entry::default()
        };
        self.record.insert(key.clone(), entry);
    }

    /// Whether the last trigger of a participation may have been carried out, by its answer.
    fn may_have_gone(&self, key: &Key) -> bool {
        let calls = self.history();
        let mut calls = calls.iter().filter(|call| {
            call["call"] == "trigger"
                && call["contact"] == *key.contact
                && call["automation"] == *key.automation
                && call["occurrence"].as_str() == key.occurrence.as_deref()
        });
        let last = calls.next_back().unwrap();
        last["outcome"].is_null() || last["outcome"] == "uncertain"
    }

    /// The states in which a participation may be after an apply.
    fn ends(
        &self,
        key: &Key,
        plan: &Plan,
        trouble: &Trouble,
        carried_out: usize,
        died: bool,
    ) -> Vec<Option<State>> {
        let before = self.record.get(key).map(|entry| entry.state);
        let (is_trigger, is_stop) = (plan.triggers.contains(key), plan.stops.contains_key(key));
        let may_be_left_out = carried_out == 0
            && (died || trouble.is_far_reaching() || !self.scene.unknown.is_empty());
        let mut ends = Vec::new();
        if is_trigger {
            ends = self.ends_of_trigger(key, trouble, carried_out, died);
        }
        if is_stop && (!is_trigger || may_be_left_out) {
            ends.extend(self.ends_of_stop(key, trouble, died));
        }
        let mut ends: Vec<_> = ends.into_iter().map(Some).collect();
        if !(is_trigger || is_stop) || may_be_left_out {
            ends.push(before);
        }
        ends
    }

    /// The states that a trigger may come to, by the table of answers.
    fn ends_of_trigger(
        &self,
        key: &Key,
        trouble: &Trouble,
        carried_out: usize,
        died: bool,
    ) -> Vec<State> {
        let world = self.scene.world(&BTreeMap::new());
        let code = world.automations[&key.automation].code.to_lowercase();
        let natural = match () {
            _ if carried_out > 0 => Some(State::Active),
            _ if trouble.missing.contains(&code) => Some(State::Failed),
            _ if self.scene.unknown.contains(&key.contact) => Some(State::Waiting),
            _ if trouble.inactive.contains(&code) => Some(State::Failed),
            _ => self.scene.is_limited(&code).then_some(State::Refused),
        };
        let mut ends = match trouble.triggers.get(&key.contact).copied() {
            // The status of a refusal says enough, whatever stands below it.
            Some("html" | "truncated" | "unknown-result") if carried_out == 0 => natural
                .into_iter()
                .chain([State::Uncertain, State::Failed])
                .collect(),
            Some(fault) if DOUBTS.contains(&fault) => vec![State::Uncertain],
            Some("echo") => vec![State::FailedForGood],
            Some("revoked") => vec![State::Failed],
            _ => natural.into_iter().collect(),
        };
        let was_doubt = self
            .record
            .get(key)
            .is_some_and(|entry| entry.state == State::Uncertain);
        if was_doubt {
            // That the second one failed says nothing of the first.
            ends.retain(|end| matches!(end, State::Active | State::Refused));
        }
        if was_doubt || died {
            ends.push(State::Uncertain);
        }
        ends
    }

    /// The states that a stop may come to.
    fn ends_of_stop(&self, key: &Key, trouble: &Trouble, died: bool) -> Vec<State> {
        let entry = &self.record[key];
        let failed = match entry.state {
            State::Active => State::StopFailed,
            state => state,
        };
        let mut ends = match trouble.stops.get(&key.contact).copied() {
            Some("echo") => vec![failed],
            Some(fault) if DOUBTS.contains(&fault) => vec![State::Stopped, State::StopUncertain],
            _ => vec![State::Stopped],
        };
        if trouble.missing.contains(&entry.code.to_lowercase())
            || self.scene.unknown.contains(&key.contact)
        {
            ends.push(failed);
        }
        if died {
            ends.extend([State::Stopped, State::StopUncertain]);
        }
        if entry.ids.len() > 1 && trouble.is_far_reaching() {
            // One of several may have been stopped before the run ended.
            ends.push(State::StopUncertain);
        }
        ends
    }

    /// The ids of the participations that run at Spotler.
    fn running(&self) -> BTreeSet<String> {
        let list: Vec<Value> = serde_json::from_str(&self.spotler.get("participations")).unwrap();
        list.iter()
            .map(|one| text(&one["automationContactId"]))
            .collect()
    }

    /// Nobody is lost: what runs is on record as what runs, or may run; and what is active there runs.
    fn law(&mut self, seen: &BTreeMap<Key, Seen>) {
        let running = self.running();
        for id in &running {
            let key = &self.owners[id];
            let state = seen.get(key).map(|seen| seen.state);
            if self.scene.unknown.contains(&key.contact) && !state.is_some_and(State::may_run) {
                // Whom Spotler no longer knows it no longer mails.
                self.forgotten.insert(id.clone());
            }
            if self.forgotten.contains(id) {
                continue;
            }
            let story = || {
                format!(
                    "{key:?} {id}\n{}",
                    self.run(&["history", &key.contact]).stdout
                )
            };
            assert!(
                state.is_some_and(State::may_run),
                "it runs and is {state:?}: {}",
                story()
            );
            let ids = &self.record[key].ids;
            let is_known = state != Some(State::Active) || ids.is_empty() || ids.contains(id);
            assert!(is_known, "it runs beside {ids:?}: {}", story());
        }
        for (key, entry) in &self.record {
            let is_kept = entry.state != State::Active || entry.ids.is_subset(&running);
            let story = || self.run(&["history", &key.contact]).stdout;
            assert!(
                is_kept,
                "{key:?} is active, and stopped at Spotler\n{}",
                story()
            );
        }
    }

    /// A person looks doubts up at Spotler, where all of a contact in an automation are the same.
    fn resolve(&mut self) {
        let running = self.running();
        let mut doubts: BTreeMap<(String, String), BTreeMap<Key, bool>> = BTreeMap::new();
        for (key, entry) in &self.record {
            if entry.state == State::Uncertain {
                let mut ids = self.owners.iter().filter(|(_, owner)| *owner == key);
                let runs = ids.any(|(id, _)| running.contains(id) && !self.forgotten.contains(id));
                let whose = (key.automation.clone(), key.contact.clone());
                doubts.entry(whose).or_default().insert(key.clone(), runs);
            }
        }
        for ((automation, contact), keys) in doubts {
            let truths: BTreeSet<bool> = keys.values().copied().collect();
            if truths.len() > 1 {
                continue;
            }
            let (word, state) = match truths.contains(&true) {
                true => ("active", State::Active),
                false => ("not-sent", State::Failed),
            };
            let args = [
                "resolve",
                &contact,
                "--automation",
                &automation,
                "--as",
                word,
                "--yes",
            ];
            self.run(&args).exits(0);
            for key in keys.keys() {
                let entry = self.record.get_mut(key).unwrap();
                entry.state = state;
                if state == State::Failed {
                    entry.reached = None;
                }
            }
        }
    }

    /// A person says that somebody is in an automation already.
    fn adopt(&mut self) {
        let contact = self.scene.somebody();
        let mut world = self.scene.world(&BTreeMap::new());
        world.is_window_open = true;
        for automation in world.automations.values_mut() {
            (automation.per_run, automation.per_day) = (None, None);
        }
        let plan = model::plan(&world, &self.record, |_| true);
        let mut keys = plan.triggers;
        keys.retain(|key| key.contact == contact);
        // What cannot be adopted but would be triggered is another matter.
        let state = |key: &Key| self.record.get(key).map(|entry| entry.state);
        keys.retain(|key| {
            !state(key).is_some_and(|state| state.may_run() && state != State::LetGo)
        });
        if keys.is_empty() {
            return;
        }
        self.run(&["adopt", "--contact", &contact, "--yes"])
            .exits(0);
        self.count_anew();
        for key in keys {
            if self
                .record
                .get(&key)
                .is_some_and(|e| e.state == State::LetGo)
            {
                let theirs = self.owners.iter().filter(|(_, owner)| **owner == key);
                self.forgotten.extend(theirs.map(|(id, _)| id.clone()));
            }
            let entry = Entry {
                state: State::Active,
                code: world.automations[&key.automation].code.clone(),
                fields: plan.declared[&key].clone(),
                ids: BTreeSet::new(),
                reached: Some(0),
                run: None,
                ..Entry::default()
            };
            self.record.insert(key, entry);
        }
    }
}

/// Ids without what a fault puts around them.
fn plain(ids: &BTreeSet<String>) -> BTreeSet<String> {
    let digits = |id: &String| id.chars().filter(char::is_ascii_digit).collect();
    ids.iter().map(digits).collect()
}

/// Says which story failed, and on which day.
struct Bookmark<'a> {
    seed: u64,
    day: usize,
    /// The next story, which is not to be reported then.
    next: &'a AtomicUsize,
}

impl Drop for Bookmark<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, day, next } = self;
            next.store(usize::MAX / 2, Ordering::SeqCst);
            eprintln!(
                "story {seed} fails on day {day}: ROLLCALL_SEED={seed} ROLLCALL_DAYS={day} cargo test --test story"
            );
        }
    }
}

fn number(name: &str, default: usize) -> usize {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn the_model_and_the_binary_live_a_thousand_days_alike() {
    let days = number("ROLLCALL_DAYS", 1000);
    let first = number("ROLLCALL_SEED", 1);
    let stories = days.div_ceil(DAYS);
    let (next, compared) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let tell = || {
        let spotler = Spotler::open();
        loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            if number >= stories {
                return;
            }
            let seed = (first + number) as u64;
            let mut bookmark = Bookmark {
                seed,
                day: 0,
                next: &next,
            };
            let mut story = Story::new(seed, &spotler);
            for day in 1..=DAYS.min(days) {
                bookmark.day = day;
                story.day();
            }
            compared.fetch_add(story.compared.get(), Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(tell);
        }
    });
    let days = stories * DAYS.min(days);
    println!(
        "{days} days of the stories from {first} to {}, {} plans compared",
        first + stories - 1,
        compared.into_inner()
    );
}
