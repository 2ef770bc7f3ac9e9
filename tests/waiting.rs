//! A contact that Spotler does not know yet waits, and an account that knows nobody is noticed.

mod common;

use common::{Done, Repo, Spotler};
use jiff::{SignedDuration, Timestamp};
use rollcall::sandbox::{Options, Setting, Trigger};
use serde_json::{Value, json};

const CODE: &str = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";

fn config(spotler: &Spotler, contacts: &[String]) -> String {
    let enrol = match contacts {
        [] => String::new(),
        contacts => format!("[[enrol]]\nautomation = \"welcome\"\ncontacts = {contacts:?}\n"),
    };
    format!(
        "[spotler]\nbase_url = {:?}\nrate = \"100000/s\"\nconcurrency = 2\n[guard]\nmax_stops = \"100%\"\n\
         [automation.welcome]\ntrigger_code = {CODE:?}\n{enrol}",
        spotler.url()
    )
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("c-{n:02}")).collect()
}

fn count(done: &Done, end: &str) -> usize {
    let actions = done.actions();
    actions.iter().filter(|line| line.ends_with(end)).count()
}

fn plan_at(repo: &Repo, at: Timestamp) -> Done {
    repo.run(&["plan", "--format", "json", "--now", &at.to_string()])
        .exits(0)
}

/// The next time at which the only one who waits is tried again, as the plan says it.
fn next_try(repo: &Repo, at: Timestamp) -> Timestamp {
    let json = plan_at(repo, at).json();
    assert_eq!(json["held"][0]["state"], "waiting", "{json}");
    let reason = json["held"][0]["reason"].as_str().unwrap();
    let (_, rest) = reason.split_once("it is tried again from ").unwrap();
    rest.strip_suffix(" on").unwrap().parse().unwrap()
}

#[test]
fn who_is_not_known_yet_waits_without_a_failure_and_is_tried_ever_more_rarely() {
    let spotler = Spotler::start(Options {
        unknown_contacts: vec!["c-00".to_owned()],
        ..Options::default()
    });
    let repo = Repo::with(&config(&spotler, &names(2)));
    let done = repo.apply().exits(0);
    assert_eq!(
        done.actions(),
        [
            "trigger welcome c-00 -> waiting",
            "trigger welcome c-01 -> active"
        ]
    );
    let minutes = |minutes: i64| SignedDuration::from_secs(60 * minutes);
    let calls = spotler.calls();
    for wait in [15, 30, 60, 120] {
        // Until then nothing is done.
        let now = Timestamp::now();
        assert_eq!(repo.apply().exits(0).actions(), [""; 0]);
        let next = next_try(&repo, now);
        let off = next.duration_since(now + minutes(wait)).abs();
        assert!(off < minutes(1), "{next} is not {wait} minutes after {now}");
        let before = plan_at(&repo, next - minutes(1));
        assert_eq!(before.actions(), [""; 0]);
        // What is sent is dated by the real clock, whatever the plan reckons with.
        let due = next + minutes(1);
        assert_eq!(
            plan_at(&repo, due).json()["actions"][0]["reason"],
            "Spotler did not know the contact at the last try; it is time for the next one"
        );
        let at = due.to_string();
        let done = repo.run(&["apply", "--yes", "--format", "json", "--now", &at]);
        let waits = ["trigger welcome c-00 -> waiting"];
        assert_eq!(done.exits(0).actions(), waits);
    }
    assert_eq!(spotler.calls(), calls + 4);
    spotler.put("unknown", &json!([]));
    let at = (next_try(&repo, Timestamp::now()) + minutes(1)).to_string();
    repo.run(&["apply", "--yes", "--now", &at]).exits(0);
    assert_eq!(
        repo.recorded(),
        ["welcome c-00 active", "welcome c-01 active"]
    );
}

#[test]
fn who_waits_and_is_no_longer_declared_needs_nothing() {
    let spotler = Spotler::start(Options {
        unknown_contacts: vec!["c-00".to_owned()],
        ..Options::default()
    });
    let repo = Repo::with(&config(&spotler, &names(2)));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&spotler, &names(2)[1..]));
    assert_eq!(repo.plan().actions(), [""; 0]);
}

#[test]
fn an_account_that_knows_nobody_costs_few_triggers_and_is_reported_of() {
    let spotler = Spotler::start(Options {
        unknown_contacts: vec!["c-*".to_owned()],
        ..Options::default()
    });
    let repo = Repo::with(&config(&spotler, &names(40)));
    let done = repo.apply().exits(3);
    assert!((10..=11).contains(&spotler.calls()), "{}", spotler.calls());
    assert_eq!(count(&done, "-> waiting") as u64, spotler.calls());
    assert_eq!(count(&done, "-> not-sent"), 40 - count(&done, "-> waiting"));
    let warning = done.json()["warning"].as_str().unwrap().to_owned();
    assert!(warning.contains("probably another account"), "{warning}");
    assert!(
        done.stderr.contains("This run sends no more triggers"),
        "{}",
        done.stderr
    );
    // One contact alone may well be new.
    let repo = Repo::with(&config(&spotler, &names(1)));
    let done = repo.run(&["apply", "--yes"]).exits(3);
    let told = "the contact of the only call of this run. If it should, it may be another account";
    assert!(done.stdout.contains(told), "{}", done.stdout);
    // As text, too, and where there are few.
    let repo = Repo::with(&config(&spotler, &names(3)));
    let done = repo.run(&["apply", "--yes"]).exits(3);
    assert!(
        done.stdout.contains("probably another account"),
        "{}",
        done.stdout
    );
}

#[test]
fn who_waits_alone_is_no_news_the_second_time() {
    let spotler = Spotler::start(Options {
        unknown_contacts: vec!["c-*".to_owned()],
        ..Options::default()
    });
    let repo = Repo::with(&config(&spotler, &names(1)));
    repo.apply().exits(3);
    let later = Timestamp::now() + SignedDuration::from_mins(20);
    let args = [
        "apply",
        "--yes",
        "--format",
        "json",
        "--now",
        &later.to_string(),
    ];
    let done = repo.run(&args).exits(0);
    assert_eq!(done.actions(), ["trigger welcome c-00 -> waiting"]);
    assert_eq!(done.json()["warning"], Value::Null);
}

#[test]
fn one_contact_that_is_known_makes_the_others_go_on() {
    let mut unknown = names(40);
    unknown.remove(3);
    let spotler = Spotler::start(Options {
        unknown_contacts: unknown,
        ..Options::default()
    });
    let repo = Repo::with(&config(&spotler, &names(40)));
    let done = repo.apply().exits(0);
    assert_eq!(count(&done, "-> waiting"), 39);
    assert_eq!(count(&done, "-> active"), 1);
}

/// A repository of which everybody is active, and a Spotler that no longer knows some of them.
fn forgotten(active: usize, known: &[&str]) -> (Spotler, Repo) {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler, &names(active)));
    repo.apply().exits(0);
    let mut unknown = names(active);
    unknown.retain(|name| !known.contains(&name.as_str()));
    spotler.put("unknown", &json!(unknown));
    (spotler, repo)
}

#[test]
fn a_stop_of_who_is_not_known_counts_only_beside_a_good_answer() {
    for known in ["c-00", "c-02"] {
        let (spotler, repo) = forgotten(3, &[known]);
        repo.write("rollcall.toml", config(&spotler, &[]));
        let done = repo.apply().exits(0);
        assert_eq!(
            count(&done, "-> stopped"),
            3,
            "{known}: {:?}",
            done.actions()
        );
        let stopped = names(3).map_to(|name| format!("welcome {name} stopped"));
        assert_eq!(repo.recorded(), stopped);
    }
    let (spotler, repo) = forgotten(3, &[]);
    repo.write("rollcall.toml", config(&spotler, &[]));
    for _ in 0..2 {
        let done = repo.apply().exits(3);
        assert_eq!(count(&done, "-> stop-failed"), 3);
        assert_eq!(repo.recorded().len(), 3);
        assert!(
            repo.recorded()
                .iter()
                .all(|line| line.ends_with("stop-failed"))
        );
        let warning = done.json()["warning"].as_str().unwrap().to_owned();
        assert!(warning.contains("probably another account"), "{warning}");
    }
    // They are stopped once the account is the right one again.
    spotler.put("unknown", &json!([]));
    repo.apply().exits(0);
    assert_eq!(spotler.running(), []);
}

#[test]
fn stops_end_where_nobody_is_known_and_go_on_behind_a_good_answer() {
    let (spotler, repo) = forgotten(40, &[]);
    let before = spotler.calls();
    repo.write("rollcall.toml", config(&spotler, &[]));
    let done = repo.apply().exits(3);
    assert!((10..=11).contains(&(spotler.calls() - before)));
    assert_eq!(
        count(&done, "-> not-sent"),
        40 - count(&done, "-> stop-failed")
    );
    assert!(
        done.stderr.contains("This run sends no more stops"),
        "{}",
        done.stderr
    );
    // The last one is a new contact, whom it knows: so it is the right account.
    let (spotler, repo) = forgotten(40, &[]);
    repo.write("rollcall.toml", config(&spotler, &["d-1".to_owned()]));
    let done = repo.apply().exits(0);
    assert_eq!(count(&done, "-> stopped"), 40);
}

#[test]
fn a_trigger_behind_a_stop_waits_for_it_too() {
    let spotler = Spotler::open();
    let renewed = |word: &str, contacts: &[String]| {
        let fields = format!("on_change = \"retrigger\"\nfields.word = \"{word}\"\n[[enrol]]");
        config(&spotler, contacts).replace("[[enrol]]", &fields)
    };
    let repo = Repo::with(&renewed("one", &names(1)));
    repo.apply().exits(0);
    spotler.put("unknown", &json!(names(1)));
    repo.write("rollcall.toml", renewed("two", &names(1)));
    let done = repo.apply().exits(3);
    assert_eq!(
        done.actions(),
        [
            "stop welcome c-00 -> stop-failed",
            "trigger welcome c-00 -> not-sent"
        ]
    );
    spotler.put("unknown", &json!([]));
    repo.apply().exits(0);
    assert_eq!(spotler.running().len(), 1);
}

#[test]
fn a_stop_behind_a_code_that_spotler_does_not_know_stops_nobody() {
    let known = |codes: &[&str]| {
        let triggers = codes
            .iter()
            .map(|code| Trigger::new(*code, *code, Setting::Unlimited));
        serde_json::to_value(triggers.collect::<Vec<_>>()).unwrap()
    };
    let other = "c2a4e7d0-93b1-4f6e-8a57-1d0b6e9f4c33";
    let spotler = Spotler::open();
    spotler.put("automations", &known(&[CODE, other]));
    let both = |contacts: &[String]| {
        let other = format!("[automation.other]\ntrigger_code = {other:?}\n[[enrol]]");
        config(&spotler, contacts)
            .replace("[[enrol]]", &other)
            .replace(
                "\"welcome\"\ncontacts",
                "[\"welcome\", \"other\"]\ncontacts",
            )
    };
    let repo = Repo::with(&both(&names(12)));
    repo.apply().exits(0);
    spotler.put("automations", &known(&[other]));
    let before = spotler.calls();
    repo.write("rollcall.toml", both(&[]));
    let done = repo.apply().exits(3);
    assert_eq!(
        count(&done, "-> stopped"),
        12,
        "those of the other code are stopped"
    );
    let failed = count(&done, "-> stop-failed");
    assert!((1..=2).contains(&failed), "{:?}", done.actions());
    assert_eq!(count(&done, "-> not-sent"), 12 - failed);
    assert!(spotler.calls() - before <= 14);
    assert!(
        done.stderr
            .contains("This run sends no more stops of welcome"),
        "{}",
        done.stderr
    );
    spotler.put("automations", &known(&[CODE, other]));
    repo.apply().exits(0);
    assert_eq!(spotler.running(), []);
}

/// Names, each written otherwise.
trait MapTo {
    fn map_to(&self, write: impl Fn(&str) -> String) -> Vec<String>;
}

impl MapTo for Vec<String> {
    fn map_to(&self, write: impl Fn(&str) -> String) -> Vec<String> {
        self.iter().map(|name| write(name)).collect()
    }
}
