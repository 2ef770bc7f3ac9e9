//! Months: thirty days of random rules and exports, lived by the engine by a clock of its own and by the model beside it.
//!
//! What the story has not: people who get another id or turn out to have two, lists of objections and of consents, runs that end,
//! staying, lots, exclusion, limits of contacts, service mail, and time that passes for the record too. Every day the plan must be
//! the model's, and so must the record be when it was applied.
//!
//! Thirty months are part of the tests. More: `ROLLCALL_MONTHS=1000 ROLLCALL_SEED=1 cargo test --release --test month`.

#[path = "story/model.rs"]
#[allow(dead_code, reason = "the guard is the story's")]
mod model;
#[path = "month/scene.rs"]
mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use model::{Entry, Key, Minutes, Over, Plan, Record, State};
use rollcall::apply::{Caller, MaySend, Outcome, Part, Run};
use rollcall::engine::{ApplyOptions, Clock, Engine, Planned, Uncertain};
use rollcall::field::FieldValue;
use rollcall::id::{ContactId, ParticipationId, TriggerCode};
use rollcall::participation::{Move, State as Recorded};
use rollcall::plan::Filter;
use rollcall::record::{self, Purpose, Selection};
use rollcall::spotler::{CallError, Complaint, Credentials, Entry as Answer};
use rollcall::spotler::{StopAnswer, TriggerAnswer};
use rollcall::{config, report};
use scene::{Fault, Scene};
use serde_json::Value;

const DAYS: usize = 30;

/// A Spotler, of which each contact's triggers come to what the day says.
#[derive(Default)]
struct Spotler {
    faults: BTreeMap<String, Fault>,
    /// Code and contact of each trigger that was carried out, since somebody asked.
    carried_out: Vec<(String, String)>,
    /// The same of the stops that were sent.
    stops: BTreeSet<(String, String)>,
    started: usize,
}

#[derive(Clone)]
struct Line(Arc<Mutex<Spotler>>);

impl Caller for Line {
    fn trigger<'a>(
        &'a self,
        code: &'a TriggerCode,
        contact: &'a ContactId,
        _: &'a [FieldValue],
    ) -> BoxFuture<'a, Result<TriggerAnswer, CallError>> {
        let mut spotler = self.0.lock().unwrap();
        let complaint = |status, word: &str| Complaint {
            status,
            error_type: Some(word.to_owned()),
        };
        let fault = spotler.faults.get(contact.as_str()).copied();
        let is_carried_out = matches!(fault, None | Some(Fault::After));
        if is_carried_out {
            let whose = (code.as_str().to_owned(), contact.as_str().to_owned());
            spotler.carried_out.push(whose);
            spotler.started += 1;
        }
        let entry = |participation, result: &str| Answer {
            participation,
            automation_id: None,
            result: result.to_owned(),
        };
        let id = ParticipationId::new(format!("p-{}", spotler.started)).unwrap();
        let answer = match fault {
            None => Ok(TriggerAnswer::Started(vec![entry(Some(id), "OK")])),
            Some(Fault::Before | Fault::After) => Err(CallError::Doubtful("time-out".to_owned())),
            Some(Fault::Limit) => {
                let entry = entry(None, "PARTICIPATION_LIMIT_REACHED");
                Ok(TriggerAnswer::LimitReached(vec![entry]))
            }
            Some(Fault::Unknown) => Ok(TriggerAnswer::UnknownContact(complaint(
                404,
                "CONTACT_NOTFOUND",
            ))),
            Some(Fault::Rejects) => Ok(TriggerAnswer::Rejected(complaint(400, "INVALID_FIELD"))),
        };
        Box::pin(async { answer })
    }

    fn stop<'a>(
        &'a self,
        code: &'a TriggerCode,
        contact: &'a ContactId,
        _: Option<&'a ParticipationId>,
    ) -> BoxFuture<'a, Result<StopAnswer, CallError>> {
        let mut spotler = self.0.lock().unwrap();
        let whose = (code.as_str().to_owned(), contact.as_str().to_owned());
        spotler.stops.insert(whose);
        let answer = match spotler.faults.get(contact.as_str()) {
            Some(Fault::Before | Fault::After) => Err(CallError::Doubtful("time-out".to_owned())),
            _ => Ok(StopAnswer::Stopped { already: None }),
        };
        Box::pin(async { answer })
    }

    fn forget_connections(&self) {}

    fn only_while(&self, _: MaySend) -> Arc<dyn Caller> {
        Arc::new(self.clone())
    }
}

struct Month {
    folder: tempfile::TempDir,
    scene: Scene,
    spotler: Arc<Mutex<Spotler>>,
    record: Record,
    runs: usize,
    /// The triggers that were carried out or may have been.
    had: Vec<(String, String, Minutes)>,
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

fn keys(document: &Value, name: &str) -> BTreeSet<Key> {
    let list = document[name].as_array().into_iter().flatten();
    list.map(key).collect()
}

fn of_record(of: &record::participation::Key) -> Key {
    Key {
        contact: of.contact.as_str().to_owned(),
        automation: of.automation.as_str().to_owned(),
        occurrence: of.occurrence.as_ref().map(|of| of.as_str().to_owned()),
    }
}

fn began() -> Timestamp {
    "2027-03-01T00:00:00Z".parse().unwrap()
}

impl Month {
    fn new(seed: u64) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        Self {
            folder: folder.unwrap(),
            scene: Scene::new(seed),
            spotler: Arc::default(),
            record: Record::new(),
            runs: 0,
            had: Vec::new(),
        }
    }

    fn engine(&self) -> Engine {
        for (name, text) in self.scene.files() {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }
        let file = self.folder.path().join("rollcall.toml");
        let config = config::load(&file).unwrap_or_else(|error| panic!("{error:?}"));
        let config = Box::leak(Box::new(config));
        let now = began() + SignedDuration::from_mins(self.scene.now);
        let clock = Clock {
            real: Arc::new(move || now),
            ..Clock::system()
        };
        let record = record::Record::of(&config.record.at).by(clock.clone());
        let credentials = || Ok(Credentials::new("key", "hush"));
        let spotler = Arc::new(Line(self.spotler.clone()));
        Engine::new(config, clock, credentials, |_| {}).with(record, spotler)
    }

    async fn day(&mut self) {
        self.scene.next_day();
        let faults = self.scene.faults();
        self.spotler.lock().unwrap().faults.clone_from(&faults);
        let before: BTreeSet<String> = self.record.keys().map(|of| of.contact.clone()).collect();
        let world = self.scene.world(&self.had);
        model::merge(&world, &mut self.record);
        let engine = self.engine();
        let scope = engine.scope(Filter::default(), &[]);
        let planned = engine.plan(scope).await.unwrap();
        let plan = self.compared(&planned);
        let options = ApplyOptions {
            may_begin: true,
            allow_large: true,
            retry_for: Duration::ZERO,
            ..ApplyOptions::default()
        };
        let applying = engine.begin(planned.clone(), None, options).await.unwrap();
        let run = applying
            .run(Part::Whole, Default::default(), |_| {})
            .await
            .unwrap();
        self.settle(&plan, &planned, &run, &faults);
        self.same_record(&engine, "the apply").await;
        self.scene.settled(before);
        if self.scene.resolves() {
            self.resolve(&engine).await;
            self.same_record(&engine, "doubts were settled").await;
        }
    }

    /// The model's plan, once it was compared with the engine's.
    fn compared(&self, planned: &Planned) -> Plan {
        let mut json = Vec::new();
        report::plan_json(&mut json, planned.view()).unwrap();
        let document: Value = serde_json::from_slice(&json).unwrap();
        let deferred = keys(&document, "deferred");
        let world = self.scene.world(&self.had);
        let plan = model::plan(&world, &self.record, |key| !deferred.contains(key));
        let actions = document["actions"].as_array().unwrap().iter();
        let actions: Vec<_> = actions
            .map(|action| (action["action"] == "trigger", key(action)))
            .collect();
        let held = document["held"].as_array().unwrap().iter();
        let held: BTreeSet<_> = held.map(|held| (key(held), text(&held["state"]))).collect();
        let of_model = plan.held.iter();
        let of_model: BTreeSet<_> = of_model
            .map(|(key, why)| (key.clone(), (*why).to_owned()))
            .collect();
        self.same("actions", &actions, &plan.actions());
        self.same("held", &held, &of_model);
        self.same("deferred", &deferred, &plan.deferred);
        self.same("let go", &keys(&document, "let_go"), &plan.let_go);
        plan
    }

    /// Asserts that a list is the model's, and tells of those that differ.
    fn same<T>(&self, what: &str, found: &T, expected: &T)
    where
        T: PartialEq + Clone + IntoIterator<Item: PartialEq + std::fmt::Debug>,
    {
        if found == expected {
            return;
        }
        let [found, expected] =
            [found, expected].map(|list| list.clone().into_iter().collect::<Vec<_>>());
        let only = |these: &[T::Item], those: &[T::Item]| {
            let odd = these.iter().filter(|one| !those.contains(one));
            odd.map(|one| format!("{one:?}\n")).collect::<String>()
        };
        let world = self.scene.world(&self.had);
        panic!(
            "{what} differ at {}: only the engine has\n{}and only the model\n{}{:#?}\n{:?}\n{:?}\n{}{}",
            self.scene.now,
            only(&found, &expected),
            only(&expected, &found),
            self.record,
            self.had,
            world.offers,
            self.scene.files()[0].1,
            self.scene.files()[1].1,
        );
    }

    /// Notes what a plan and its calls come to, by the contract.
    fn settle(
        &mut self,
        plan: &Plan,
        planned: &Planned,
        run: &Run,
        faults: &BTreeMap<String, Fault>,
    ) {
        self.runs += 1;
        let world = self.scene.world(&self.had);
        for key in &plan.let_go {
            let entry = self.record.get_mut(key).unwrap();
            entry.was = entry.state;
            (entry.state, entry.left) = (State::LetGo, None);
        }
        for (key, over) in &plan.ended {
            let entry = self.record.get_mut(key).unwrap();
            (entry.state, entry.over, entry.left) = (State::Ended, *over, None);
        }
        for (key, state) in &plan.goes_on {
            self.record.get_mut(key).unwrap().state = *state;
        }
        for key in &plan.withheld {
            let entry = self.record.entry(key.clone()).or_default();
            entry.state = State::Withheld;
        }
        for (key, entry) in &mut self.record {
            let person = world.person(key);
            let is_declared = plan.declared.contains_key(&person) && !world.is_suppressed(&person);
            let left = plan.leaving.get(key).copied().or(entry.left);
            entry.left = left.filter(|_| !is_declared);
        }
        let mut expected: Vec<(String, String)> = Vec::new();
        let mut stops = BTreeSet::new();
        for (place, (is_trigger, key)) in plan.actions().into_iter().enumerate() {
            let outcome = run.outcome(place);
            let fault = faults.get(&key.contact).copied();
            if outcome == Outcome::NotSent {
                // Behind a doubt, no more may be sent for a while.
                let is_excused = faults
                    .values()
                    .any(|f| matches!(f, Fault::Before | Fault::After));
                assert!(is_excused, "{key:?} was not sent: {run:?}");
                continue;
            }
            if !is_trigger {
                let entry = self.record.get_mut(&key).unwrap();
                let id = model::called(&key, entry).to_owned();
                entry.state = match faults.get(&id) {
                    Some(Fault::Before | Fault::After) => State::StopUncertain,
                    _ => State::Stopped,
                };
                entry.left = None;
                stops.insert((entry.code.clone(), id));
                continue;
            }
            let code = world.automations[&key.automation].code.clone();
            if matches!(fault, None | Some(Fault::After)) {
                expected.push((code.clone(), key.contact.clone()));
            }
            if matches!(fault, None | Some(Fault::After | Fault::Before)) {
                let whose = (key.contact.clone(), key.automation.clone());
                self.had.push((whose.0, whose.1, self.scene.now));
            }
            self.enter(plan, &key, &code, fault);
        }
        expected.sort();
        let carried_out = std::mem::take(&mut self.spotler.lock().unwrap().carried_out);
        let mut carried_out: Vec<_> = carried_out;
        carried_out.sort();
        assert_eq!(carried_out, expected, "{:?}", planned.view().now);
        let sent = std::mem::take(&mut self.spotler.lock().unwrap().stops);
        assert_eq!(sent, stops, "{:?}", planned.view().now);
    }

    /// Notes what came of a trigger.
    fn enter(&mut self, plan: &Plan, key: &Key, code: &str, fault: Option<Fault>) {
        let before = self.record.get(key);
        let was = before.map(|entry| entry.state);
        let state = match fault {
            None => State::Active,
            Some(Fault::Before | Fault::After) => State::Uncertain,
            Some(Fault::Limit) => State::Refused,
            Some(Fault::Unknown) => State::Waiting,
            Some(Fault::Rejects) => State::FailedForGood,
        };
        let failed = matches!(state, State::Waiting | State::FailedForGood);
        if failed && matches!(was, Some(State::LetGo | State::Uncertain)) {
            // That it failed says nothing of the one before.
            return;
        }
        let now = self.scene.now;
        let entry = Entry {
            state,
            code: code.to_owned(),
            fields: plan.declared[key].clone(),
            ids: match state {
                State::Active => BTreeSet::from(["any".to_owned()]),
                _ => BTreeSet::new(),
            },
            reached: match state {
                State::Active | State::Uncertain => Some(now),
                State::Refused => None,
                _ => before.and_then(|entry| entry.reached),
            },
            run: Some(self.runs),
            tried: Some(now),
            unknown: match state {
                State::Waiting => 1 + before.map_or(0, |entry| entry.unknown),
                _ => 0,
            },
            ..Entry::default()
        };
        self.record.insert(key.clone(), entry);
    }

    /// The record is the model's.
    async fn same_record(&self, engine: &Engine, after: &str) {
        let listed = engine.record().list(Selection::default()).await.unwrap();
        let world = self.scene.world(&self.had);
        // What ran under an id that is not kept, and is over, may stay there.
        let is_shown = |key: &Key, may_run: bool| may_run || world.person(key) == *key;
        let listed: BTreeMap<Key, String> = (listed.iter())
            .map(|of| &of.participation)
            .map(|of| (of_record(&of.key), of))
            .filter(|(key, of)| {
                is_shown(
                    key,
                    of.state.may_run_at_spotler() || of.has_ended_declared(),
                )
            })
            .map(|(key, of)| {
                let over = match of.state {
                    _ if of.has_ended_declared() => " declared",
                    Recorded::Ended if of.is_suppressed() => " suppressed",
                    Recorded::Ended => " gone",
                    _ => "",
                };
                (key, format!("{}{over}", of.state))
            })
            .collect();
        let record = self.record.iter();
        let is_declared = |of: &Entry| of.state == State::Ended && of.over.is_none();
        let record = record
            .filter(|(key, entry)| is_shown(key, entry.state.may_run() || is_declared(entry)));
        let expected = record.map(|(key, entry)| {
            let over = match entry.over {
                _ if entry.state != State::Ended => "",
                None => " declared",
                Some(Over::Suppressed) => " suppressed",
                Some(Over::Gone) => " gone",
            };
            (key.clone(), format!("{}{over}", entry.state.word()))
        });
        self.same(
            &format!("records after {after}"),
            &listed,
            &expected.collect(),
        );
    }

    /// A person says of each doubt that it was carried out, or that it was not.
    async fn resolve(&mut self, engine: &Engine) {
        let which = Uncertain::default();
        let shown = engine.uncertain(&which).await.unwrap();
        let timeout = Duration::from_secs(1);
        let writing = engine
            .write("resolve", timeout, Purpose::Act, false)
            .await
            .unwrap();
        for (place, of) in shown.iter().enumerate() {
            let transition = match place % 2 {
                0 => Move::ResolveActive,
                _ => Move::ResolveNotSent,
            };
            let one = std::slice::from_ref(of);
            engine
                .resolve(&which, one, transition, &writing)
                .await
                .unwrap();
            let entry = self.record.get_mut(&of_record(&of.key)).unwrap();
            entry.state = State::Active;
            if transition == Move::ResolveNotSent {
                // It counts for limits all the same, since a person may err.
                (entry.state, entry.reached) = (State::Failed, None);
            }
        }
        writing.end().await.unwrap();
    }
}

/// Says which month failed, and on which day.
struct Bookmark<'a>(u64, usize, &'a AtomicUsize);

impl Drop for Bookmark<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed, day, next) = self;
            next.store(usize::MAX / 2, Ordering::SeqCst);
            eprintln!(
                "month {seed} fails on day {day}: ROLLCALL_SEED={seed} ROLLCALL_MONTHS=1 cargo test --test month"
            );
        }
    }
}

fn number(name: &str, default: usize) -> usize {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn the_model_and_the_engine_live_thirty_months_alike() {
    let (months, first) = (number("ROLLCALL_MONTHS", 30), number("ROLLCALL_SEED", 1));
    let next = AtomicUsize::new(0);
    let live = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            if number >= months {
                return;
            }
            let seed = (first + number) as u64;
            let mut bookmark = Bookmark(seed, 0, &next);
            let mut month = Month::new(seed);
            for day in 1..=DAYS {
                bookmark.1 = day;
                runtime.block_on(month.day());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(live);
        }
    });
}
