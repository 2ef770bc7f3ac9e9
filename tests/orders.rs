//! Random orders that appear, change and leave, with faults all along: after each settled apply, what runs in the
//! sandbox is what is declared, occurrence by occurrence, and nothing was carried out twice.
//!
//! A short run is part of the tests. A longer one: `ROLLCALL_CASES=500 cargo test --release --test orders`

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Repo, Spotler};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rollcall::sandbox::{Options, Publication, Setting, Trigger};
use serde_json::{Value, json};

const CONTACTS: u8 = 3;
const ORDERS: u8 = 3;
/// What an order's note may be: a field that changes.
const NOTES: u8 = 2;

/// The automations, which are named like their codes, and the statuses that each wants.
const AUTOMATIONS: [(&str, &[u8]); 5] = [
    ("kept", &[1]),
    ("mixed", &[0, 1]),
    ("orders", &[1, 2]),
    ("plain", &[2]),
    ("retold", &[1, 2]),
];

/// The one that is triggered again when a field has changed.
const RETOLD: &str = "retold";

/// One day: the orders with their status and note, what goes wrong, and whether doubts are settled at its end.
#[derive(Debug, Clone)]
struct Day {
    orders: BTreeMap<(u8, u8), (u8, u8)>,
    wrong: Wrong,
    seed: u64,
    resolves: bool,
}

#[derive(Debug, Clone, Copy)]
enum Wrong {
    Nothing,
    /// Calls are turned away, and tried again.
    Waits,
    /// Nobody knows whether triggers arrived.
    Triggers,
    /// Nobody knows whether stops arrived.
    Stops,
    Everything,
}

impl Wrong {
    fn rules(self) -> Value {
        let share =
            |kind: &str, fault: &str| json!({ "kind": kind, "fault": fault, "probability": 0.2 });
        let waits = vec![
            json!({ "fault": "limit", "retry_after": "0", "probability": 0.2 }),
            json!({ "fault": "unavailable", "retry_after": "0", "probability": 0.1 }),
            json!({ "fault": "number-id", "probability": 0.3 }),
        ];
        let triggers = vec![
            share("trigger", "reset-after"),
            share("trigger", "error-before"),
            share("trigger", "truncated"),
        ];
        // Each costs a wait of half a second.
        let stops = vec![
            json!({ "kind": "stop-one", "fault": "reset-after", "times": 1 }),
            json!({ "kind": "stop", "fault": "error-before", "times": 1 }),
        ];
        Value::from(match self {
            Wrong::Nothing => Vec::new(),
            Wrong::Waits => waits,
            Wrong::Triggers => triggers,
            Wrong::Stops => stops,
            Wrong::Everything => [waits, triggers, stops].concat(),
        })
    }
}

fn day() -> impl Strategy<Value = Day> {
    let order = (0..CONTACTS, 0..ORDERS);
    let orders = prop::collection::btree_map(order, (0..4_u8, 0..NOTES), 0..9);
    let wrong = prop_oneof![
        Just(Wrong::Nothing),
        Just(Wrong::Waits),
        Just(Wrong::Triggers),
        Just(Wrong::Stops),
        Just(Wrong::Everything),
    ];
    (orders, wrong, any::<u64>(), any::<bool>()).prop_map(|(orders, wrong, seed, resolves)| Day {
        orders,
        wrong,
        seed,
        resolves,
    })
}

/// Automation, contact, occurrence.
type Key = (String, String, Option<String>);

fn key(automation: &str, contact: u8, order: u8) -> Key {
    let occurrence = (automation != "plain").then(|| format!("o-{order}"));
    (automation.to_owned(), format!("c-{contact}"), occurrence)
}

/// What is declared on a day, each with its note.
fn declared(day: &Day) -> BTreeMap<Key, u8> {
    let orders = day.orders.iter();
    let keys = orders.flat_map(|((contact, order), (status, note))| {
        let wanted = AUTOMATIONS
            .iter()
            .filter(|(_, wanted)| wanted.contains(status));
        wanted.map(|(name, _)| (key(name, *contact, *order), *note))
    });
    keys.collect()
}

fn write(repo: &Repo, day: &Day, url: &str) {
    // One who is nowhere: an export without any row would be refused.
    let mut csv = "id,order,status,note\nnobody,none,none,none\n".to_owned();
    for ((contact, order), (status, note)) in &day.orders {
        csv.push_str(&format!("c-{contact},o-{order},s{status},n{note}\n"));
    }
    repo.write("orders.csv", csv);
    let mut toml = format!(
        "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\n[guard]\nmax_stops = \"100%\"\n\
         [source.shop]\ncsv = \"orders.csv\"\ncontact = \"id\"\n"
    );
    for (name, wanted) in AUTOMATIONS {
        toml.push_str(&format!("[automation.{name}]\ntrigger_code = \"{name}\"\n"));
        if name != "plain" {
            toml.push_str(
                "repeat_by = \"order\"\nfields.note = \"{{ note }}\"\nfields.order = \"{{ occurrence }}\"\n",
            );
        }
        if name == "kept" {
            toml.push_str("on_leave = \"keep\"\n");
        }
        if name == RETOLD {
            toml.push_str("on_change = \"retrigger\"\n");
        }
        let wanted: Vec<String> = wanted.iter().map(|status| format!("s{status}")).collect();
        toml.push_str(&format!(
            "[[enrol]]\nautomation = \"{name}\"\nsource = \"shop\"\nwhere.status = {wanted:?}\n"
        ));
    }
    repo.write("rollcall.toml", toml);
}

/// What the sandbox carried out, told apart by the fields that came along.
struct Truth {
    /// How often each was triggered.
    triggered: BTreeMap<Key, usize>,
    /// The note that each was triggered with the last time.
    notes: BTreeMap<Key, u8>,
    /// The participations of each that run.
    running: BTreeMap<Key, BTreeSet<String>>,
}

fn truth(spotler: &Spotler) -> Truth {
    let mut by_digest = BTreeMap::new();
    for (order, note) in (0..ORDERS).flat_map(|order| (0..NOTES).map(move |note| (order, note))) {
        let fields = json!([
            { "name": "note", "type": "STRING", "value": format!("n{note}") },
            { "name": "order", "type": "STRING", "value": format!("o-{order}") },
        ]);
        let digest = blake3::hash(fields.to_string().as_bytes()).to_hex()[..32].to_owned();
        by_digest.insert(digest, (format!("o-{order}"), note));
    }
    let (mut triggered, mut of_id) = (BTreeMap::new(), BTreeMap::new());
    let mut notes = BTreeMap::new();
    for line in spotler.get("ledger").lines() {
        let deed: Value = serde_json::from_str(line).unwrap();
        if deed["kind"] != "trigger" {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let fields = deed
            .get("digest")
            .map(|digest| by_digest[&text(digest)].clone());
        let occurrence = fields.as_ref().map(|(order, _)| order.clone());
        let key: Key = (text(&deed["code"]), text(&deed["contact"]), occurrence);
        notes.extend(fields.map(|(_, note)| (key.clone(), note)));
        *triggered.entry(key.clone()).or_insert(0) += 1;
        for participation in deed["participations"].as_array().unwrap() {
            of_id.insert(text(&participation["automationContactId"]), key.clone());
        }
    }
    let mut running: BTreeMap<Key, BTreeSet<String>> = BTreeMap::new();
    let list: Vec<Value> = serde_json::from_str(&spotler.get("participations")).unwrap();
    for participation in list {
        let id = participation["automationContactId"]
            .as_str()
            .unwrap()
            .to_owned();
        running.entry(of_id[&id].clone()).or_default().insert(id);
    }
    Truth {
        triggered,
        notes,
        running,
    }
}

/// The record: state and ids.
fn recorded(repo: &Repo) -> BTreeMap<Key, (String, BTreeSet<String>)> {
    let json = repo
        .run(&["record", "list", "--format", "json"])
        .exits(0)
        .json();
    let list = json["participations"].as_array().unwrap().iter();
    list.map(|item| {
        let text = |name: &str| item[name].as_str().unwrap().to_owned();
        let occurrence = item["occurrence"].as_str().map(str::to_owned);
        let ids = item["automation_contact_ids"].as_array().unwrap().iter();
        let ids = ids.map(|id| id.as_str().unwrap().to_owned()).collect();
        (
            (text("automation"), text("contact"), occurrence),
            (text("state"), ids),
        )
    })
    .collect()
}

/// Applies until nothing is left to do but what only a person can settle.
fn settle(repo: &Repo, spotler: &Spotler, day: &Day) {
    let faults = |rules: Value| spotler.put("faults", &json!({ "seed": day.seed, "rules": rules }));
    faults(day.wrong.rules());
    for attempt in 0..40 {
        if attempt == 30 {
            faults(json!([]));
        }
        let done = repo.run(&["apply", "--yes", "--quiet"]);
        assert!(matches!(done.code, Some(0 | 3)), "{}", done.stderr);
        if repo.plan().actions().is_empty() {
            faults(json!([]));
            return;
        }
    }
    panic!("it does not settle: {:?}", repo.plan().actions());
}

/// Settles what is uncertain, as it is in truth, where all of a contact in an automation are the same.
fn resolve(repo: &Repo, truth: &Truth) {
    let mut doubts: BTreeMap<(String, String), BTreeSet<bool>> = BTreeMap::new();
    for (key, (state, _)) in recorded(repo) {
        if state == "uncertain" {
            let runs = truth.running.contains_key(&key);
            doubts.entry((key.0, key.1)).or_default().insert(runs);
        }
    }
    for ((automation, contact), truths) in doubts {
        if truths.len() == 1 {
            let word = if truths.contains(&true) {
                "active"
            } else {
                "not-sent"
            };
            let args = [
                "--as",
                word,
                "--automation",
                &automation,
                "--contact",
                &contact,
                "--yes",
            ];
            repo.run(&[&["resolve"][..], &args].concat()).exits(0);
        }
    }
}

/// Checks the sandbox and the record against what is declared.
fn check(
    repo: &Repo,
    truth: &Truth,
    declared: &BTreeMap<Key, u8>,
    times: &BTreeMap<Key, usize>,
) -> Result<(), TestCaseError> {
    let none = BTreeSet::new();
    let record = recorded(repo);
    let plan = repo.plan().json();
    let held: BTreeMap<Key, &str> = plan["held"]
        .as_array()
        .unwrap()
        .iter()
        .map(|held| {
            let text = |name: &str| held[name].as_str().unwrap();
            let occurrence = held["occurrence"].as_str().map(str::to_owned);
            (
                (
                    text("automation").to_owned(),
                    text("contact").to_owned(),
                    occurrence,
                ),
                text("reason"),
            )
        })
        .collect();
    for key in declared.keys().chain(truth.triggered.keys()) {
        // Every time that it was declared anew, it may be triggered once.
        let triggered = truth.triggered.get(key).copied().unwrap_or(0);
        let may = times.get(key).copied().unwrap_or(0);
        prop_assert!(
            triggered <= may,
            "{key:?} was carried out {triggered} times for {may}"
        );
    }
    for (key, note) in declared {
        let running = truth.running.get(key).unwrap_or(&none);
        let (state, ids) = &record[key];
        match state.as_str() {
            "active" if ids.is_empty() => prop_assert!(!running.is_empty(), "{key:?} does not run"),
            // What was let go may still run beside it.
            "active" if key.0 == "kept" => prop_assert!(ids.is_subset(running), "{key:?}"),
            "active" => prop_assert_eq!(running, ids, "{:?}", key),
            "uncertain" => {
                prop_assert!(held[key].contains("rollcall resolve"), "{key:?}: {held:?}")
            }
            other => prop_assert!(false, "{key:?} is {other}"),
        }
        if key.0 == RETOLD && state == "active" && !held.contains_key(key) {
            prop_assert_eq!(truth.notes.get(key), Some(note), "{:?}", key);
        }
    }
    for (key, running) in &truth.running {
        if declared.contains_key(key) || key.0 == "kept" || running.is_empty() {
            continue;
        }
        // It left and runs on: only where no id is known to stop it by, and another one stays. The plan says so.
        let (state, ids) = &record[key];
        prop_assert!(ids.is_empty(), "{key:?} is {state}, has {ids:?} and runs");
        let why = held.get(key).copied().unwrap_or_default();
        prop_assert!(
            why.contains("no id on record to stop it by alone"),
            "{key:?} is {state}: {why}"
        );
        let others = declared
            .keys()
            .chain(truth.running.keys())
            .chain(held.keys());
        let stays = others
            .filter(|other| (&other.0, &other.1) == (&key.0, &key.1))
            .any(|other| other != key);
        prop_assert!(stays, "{key:?} could be stopped with all");
    }
    Ok(())
}

#[test]
fn after_each_settled_apply_what_runs_is_what_is_declared() {
    let cases = std::env::var("ROLLCALL_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    let config = Config {
        cases: cases.unwrap_or(8),
        failure_persistence: None,
        max_shrink_iters: 20,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let publication = |active, setting| Publication {
        id: None,
        active,
        setting,
    };
    let triggers = AUTOMATIONS.map(|(name, _)| match name {
        // The first order of a contact starts two of these, the others one.
        "mixed" => Trigger {
            publications: vec![
                publication(true, Setting::Unlimited),
                publication(false, Setting::Unlimited),
                publication(true, Setting::OnceWhileRunning),
            ],
            ..Trigger::new(name, name, Setting::Unlimited)
        },
        _ => Trigger::new(name, name, Setting::Unlimited),
    });
    let spotler = Spotler::start(Options {
        triggers: triggers.to_vec(),
        ..Options::default()
    });
    let days = prop::collection::vec(day(), 5);
    let result = runner.run(&days, |days| {
        let repo = Repo::new();
        spotler.put("reset", &Value::Null);
        let (mut before, mut times) = (BTreeMap::new(), BTreeMap::new());
        for day in &days {
            let now = declared(day);
            for (key, note) in &now {
                let is_new = match before.get(key) {
                    None => true,
                    Some(last) => key.0 == RETOLD && last != note,
                };
                *times.entry(key.clone()).or_insert(0) += usize::from(is_new);
            }
            write(&repo, day, &spotler.url());
            settle(&repo, &spotler, day);
            check(&repo, &truth(&spotler), &now, &times)?;
            if day.resolves {
                resolve(&repo, &truth(&spotler));
                settle(
                    &repo,
                    &spotler,
                    &Day {
                        wrong: Wrong::Nothing,
                        ..day.clone()
                    },
                );
                check(&repo, &truth(&spotler), &now, &times)?;
            }
            before = now;
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn what_several_publications_answer_is_recorded_entry_by_entry_and_all_of_it_is_stopped() {
    let spotler = Spotler::start(Options {
        triggers: vec![Trigger {
            publications: vec![
                Publication::default(),
                Publication {
                    active: false,
                    ..Publication::default()
                },
                Publication {
                    setting: Setting::OnceWhileRunning,
                    ..Publication::default()
                },
            ],
            ..Trigger::new("Orders", "orders", Setting::Unlimited)
        }],
        ..Options::default()
    });
    let repo = Repo::new();
    let with = |orders: &[&str]| {
        let rows: String = orders
            .iter()
            .map(|order| format!("c-1,{order}\n"))
            .collect();
        repo.write("orders.csv", format!("id,order\nnobody,none\n{rows}"));
        repo.write(
            "rollcall.toml",
            format!(
                "[spotler]\nbase_url = {:?}\n[automation.orders]\ntrigger_code = \"orders\"\nrepeat_by = \"order\"\n\
                 [source.shop]\ncsv = \"orders.csv\"\ncontact = \"id\"\n\
                 [[enrol]]\nautomation = \"orders\"\nsource = \"shop\"\nwhere.order = {{ not = \"none\" }}\n",
                spotler.url()
            ),
        );
        repo.apply().exits(0).actions()
    };
    with(&["o-1", "o-2"]);
    assert_eq!(spotler.running().len(), 3);

    let calls = repo
        .run(&["history", "c-1", "--format", "json"])
        .exits(0)
        .json();
    let words = |call: usize| -> Vec<&str> {
        let entries = calls["calls"][call]["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["result"].as_str().unwrap())
            .collect()
    };
    assert_eq!(words(0), ["OK", "AUTOMATION_INACTIVE", "OK"]);
    assert_eq!(
        words(1),
        ["OK", "AUTOMATION_INACTIVE", "PARTICIPATION_LIMIT_REACHED"]
    );
    for command in [
        &["history", "c-1"][..],
        &["history"],
        &["record", "show", "c-1"],
    ] {
        let text = repo.run(command).exits(0).stdout;
        let entries = text.lines().filter(|line| !line.contains("in part"));
        let count = |word: &str| {
            let lines = entries.clone();
            lines.filter(|line| line.contains(word)).count()
        };
        assert_eq!(count(": OK  ["), 3, "{text}");
        assert_eq!(count(": AUTOMATION_INACTIVE"), 2, "{text}");
        assert_eq!(count(": PARTICIPATION_LIMIT_REACHED"), 1, "{text}");
    }

    // Both participations of the one are stopped by their ids; that of the other runs on.
    assert_eq!(with(&["o-2"]), ["stop orders c-1 / o-1 -> stopped"]);
    assert_eq!(spotler.running().len(), 1);
    assert_eq!(with(&[]), ["stop orders c-1 / o-2 -> stopped"]);
    assert_eq!(spotler.running(), []);
}

#[test]
fn others_are_never_stopped_because_of_one_that_is_uncertain() {
    let spotler = Spotler::open();
    let repo = Repo::new();
    let plan = |orders: &[&str]| {
        let rows: String = orders
            .iter()
            .map(|order| format!("c-1,{order}\n"))
            .collect();
        repo.write("orders.csv", format!("id,order\nnobody,none\n{rows}"));
        repo.write(
            "rollcall.toml",
            format!(
                "[spotler]\nbase_url = {:?}\n\
                 [automation.orders]\ntrigger_code = \"orders\"\nrepeat_by = \"order\"\n\
                 [source.shop]\ncsv = \"orders.csv\"\ncontact = \"id\"\n\
                 [[enrol]]\nautomation = \"orders\"\nsource = \"shop\"\nwhere.order = {{ not = \"none\" }}\n",
                spotler.url()
            ),
        );
        repo.plan()
    };
    // The first of two arrives, and nobody knows.
    spotler.fault(json!([{ "fault": "reset-after", "times": 1 }]));
    plan(&["o-1", "o-2"]);
    repo.apply().exits(3);
    let states = ["orders c-1 / o-1 uncertain", "orders c-1 / o-2 active"];
    assert_eq!(repo.recorded(), states);

    // It leaves and the other stays: nothing is done, and the plan says why in every form.
    let held = plan(&["o-2"]);
    assert_eq!(held.actions(), [""; 0]);
    assert_eq!(held.json()["held"][0]["occurrence"], "o-1");
    let text = repo.run(&["plan"]).exits(0).stdout;
    assert!(
        text.contains("! uncertain  c-1 / o-1  orders  there is no id on record"),
        "{text}"
    );
    repo.apply().exits(0);
    assert_eq!(spotler.running().len(), 2);

    // The other leaves too, and it comes back: the other alone is stopped.
    assert_eq!(plan(&["o-1"]).actions(), ["stop orders c-1 / o-2"]);
    // Both leave: one call stops all.
    assert_eq!(
        plan(&[]).actions(),
        ["stop orders c-1 / o-1", "stop orders c-1 / o-2"]
    );
    repo.apply().exits(0);
    assert_eq!(spotler.running(), []);
    assert_eq!(
        spotler
            .ledger()
            .iter()
            .filter(|line| line.starts_with("stop"))
            .count(),
        1
    );
}
