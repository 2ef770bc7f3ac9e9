//! Random configurations and records: the plan is the one that a naive model makes, and applying it leaves nothing to do.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Repo, Spotler};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rollcall::sandbox::Options;

/// One row of the table of contacts.
#[derive(Debug, Clone)]
struct Row {
    contact: u8,
    status: u8,
    order: u8,
}

/// One configuration with its table.
#[derive(Debug, Clone)]
struct World {
    rows: Vec<Row>,
    /// Which statuses each block wants: of `plain`, `kept` and `repeated`.
    wanted: [BTreeSet<u8>; 3],
    /// Contacts enrolled in `plain` by name.
    named: BTreeSet<u8>,
    suppressed: BTreeSet<u8>,
    /// Contacts that Spotler does not know at that time.
    unknown: BTreeSet<u8>,
}

type Key = (String, &'static str, Option<String>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Active,
    Stopped,
    LetGo,
    Waiting,
}

const NAMES: [&str; 3] = ["kept", "plain", "repeated"];

fn world() -> impl Strategy<Value = World> {
    let row = (0..8_u8, 0..4_u8, 0..3_u8).prop_map(|(contact, status, order)| Row {
        contact,
        status,
        order,
    });
    let set = |most| prop::collection::btree_set(0..4_u8, 0..=most);
    let few = || prop::collection::btree_set(0..8_u8, 0..2);
    (
        prop::collection::vec(row, 0..12),
        [set(2), set(3), set(3)],
        few(),
        few(),
        few(),
    )
        .prop_map(|(rows, wanted, named, suppressed, unknown)| World {
            rows,
            wanted,
            named,
            suppressed,
            unknown,
        })
}

fn contact(number: u8) -> String {
    format!("c-{number}")
}

fn write(repo: &Repo, world: &World, url: &str) {
    // One who is nowhere: an export without any row would be refused.
    let mut csv = "id,status,order\nnobody,none,none\n".to_owned();
    for row in &world.rows {
        csv.push_str(&format!(
            "c-{},s{},o-{}\n",
            row.contact, row.status, row.order
        ));
    }
    repo.write("crm.csv", csv);
    let list = |prefix: &str, set: &BTreeSet<u8>| {
        let quoted: Vec<String> = set.iter().map(|n| format!("\"{prefix}{n}\"")).collect();
        format!("[{}]", quoted.join(", "))
    };
    let mut toml = format!(
        "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\n[guard]\nmax_stops = \"100%\"\n\
         [automation.plain]\ntrigger_code = \"plain\"\n\
         [automation.kept]\ntrigger_code = \"kept\"\non_leave = \"keep\"\n\
         [automation.repeated]\ntrigger_code = \"repeated\"\nrepeat_by = \"order\"\n\
         [source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n"
    );
    for (name, wanted) in NAMES.iter().zip(&world.wanted) {
        if !wanted.is_empty() {
            toml.push_str(&format!(
                "[[enrol]]\nautomation = \"{name}\"\nsource = \"crm\"\nwhere.status = {}\n",
                list("s", wanted)
            ));
        }
    }
    if !world.named.is_empty() {
        toml.push_str(&format!(
            "[[enrol]]\nautomation = \"plain\"\ncontacts = {}\n",
            list("c-", &world.named)
        ));
    }
    if !world.suppressed.is_empty() {
        toml.push_str(&format!(
            "[[suppress]]\ncontacts = {}\n",
            list("c-", &world.suppressed)
        ));
    }
    repo.write("rollcall.toml", toml);
}

/// What is declared, and what would be if its contact were not suppressed.
fn declared(world: &World) -> (BTreeSet<Key>, BTreeSet<Key>) {
    let mut keys = BTreeSet::new();
    for row in &world.rows {
        for (name, wanted) in NAMES.into_iter().zip(&world.wanted) {
            if wanted.contains(&row.status) {
                let occurrence = (name == "repeated").then(|| format!("o-{}", row.order));
                keys.insert((contact(row.contact), name, occurrence));
            }
        }
    }
    for number in &world.named {
        keys.insert((contact(*number), "plain", None));
    }
    keys.into_iter()
        .partition(|(c, ..)| !world.suppressed.iter().any(|n| contact(*n) == *c))
}

/// The plan of the naive model, in short, and the record after it was applied.
fn expected(world: &World, record: &BTreeMap<Key, State>) -> (Vec<String>, BTreeMap<Key, State>) {
    let (declared, withheld) = declared(world);
    let mut after = record.clone();
    for key in &withheld {
        // Who was waited for and is withheld is as new when the suppression goes.
        if record.get(key) == Some(&State::Waiting) {
            after.remove(key);
        }
    }
    let mut actions: Vec<(String, bool, &str, Option<String>)> = Vec::new();
    for key in &declared {
        // Who waits is tried again later than this test takes.
        if !matches!(record.get(key), Some(State::Active | State::Waiting)) {
            actions.push((key.0.clone(), true, key.1, key.2.clone()));
            let is_unknown = world.unknown.iter().any(|n| contact(*n) == key.0);
            after.insert(
                key.clone(),
                if is_unknown {
                    State::Waiting
                } else {
                    State::Active
                },
            );
        }
    }
    for (key, state) in record {
        // Who is suppressed is not let go but stopped, also what was let go before.
        let is_suppressed = world.suppressed.iter().any(|n| contact(*n) == key.0);
        let may_run = *state == State::Active || (is_suppressed && *state == State::LetGo);
        if may_run && !declared.contains(key) {
            if key.1 == "kept" && !is_suppressed {
                after.insert(key.clone(), State::LetGo);
            } else {
                actions.push((key.0.clone(), false, key.1, key.2.clone()));
                after.insert(key.clone(), State::Stopped);
            }
        }
    }
    actions.sort();
    let words = actions
        .into_iter()
        .map(|(contact, is_trigger, name, occurrence)| {
            let kind = if is_trigger { "trigger" } else { "stop" };
            let occurrence = occurrence.map_or(String::new(), |o| format!(" / {o}"));
            format!("{kind} {name} {contact}{occurrence}")
        });
    (words.collect(), after)
}

#[test]
fn two_hundred_random_plans_are_those_of_a_naive_model_and_leave_nothing_to_do() {
    let worlds = prop::collection::vec(world(), 5);
    let mut runner = TestRunner::new(Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    });
    let spotler = Spotler::start(Options::default());
    runner
        .run(&worlds, |worlds| {
            let repo = Repo::new();
            spotler.put("reset", &serde_json::Value::Null);
            let mut record = BTreeMap::new();
            for world in &worlds {
                let mut world = world.clone();
                // Spotler does not forget whom it mails.
                world
                    .unknown
                    .retain(|n| !record.keys().any(|key: &Key| key.0 == contact(*n)));
                let world = &world;
                write(&repo, world, &spotler.url());
                let unknown: Vec<String> = world.unknown.iter().map(|n| contact(*n)).collect();
                spotler.put("unknown", &unknown.into());
                let (actions, after) = expected(world, &record);
                prop_assert_eq!(repo.plan().actions(), actions);
                let applied = repo.apply();
                prop_assert!(matches!(applied.code, Some(0 | 3)), "{}", applied.stderr);
                let left = repo.plan().actions();
                prop_assert!(left.is_empty(), "{left:?} {}", applied.stdout);
                prop_assert_eq!(left, expected(world, &after).0);
                let mut running: Vec<_> = after
                    .iter()
                    .filter(|(key, state)| {
                        **state == State::Active || (**state == State::LetGo && key.1 == "kept")
                    })
                    .map(|(key, _)| (key.0.clone(), key.1.to_owned()))
                    .collect();
                running.sort();
                let mut real = spotler.running();
                real.sort();
                // What was let go runs out by itself, and what returned after that runs twice.
                running.dedup();
                real.dedup();
                prop_assert_eq!(real, running);
                record = after;
            }
            Ok(())
        })
        .unwrap();
}
