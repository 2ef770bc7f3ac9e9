//! Runs that nobody watches: metrics, a log for programs, and silence where nothing happened.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Done, Repo, Spotler};
use rollcall::sandbox::Options;
use serde_json::{Value, json};

const DOCS: &str = include_str!("../docs/unattended.md");

fn config(url: &str, head: &str, contacts: &[&str]) -> String {
    let enrol = match contacts {
        [] => String::new(),
        contacts => format!("[[enrol]]\nautomation = \"welcome\"\ncontacts = {contacts:?}\n"),
    };
    format!(
        "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\nconcurrency = 4\n{head}\n[automation.welcome]\n\
         trigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\n{enrol}"
    )
}

/// The rows of a table of the documentation, by their first cell: what stands in backticks in each cell.
fn table(heading: &str) -> BTreeMap<String, Vec<Vec<String>>> {
    let lines = DOCS.lines().skip_while(|line| !line.starts_with(heading));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let words = |cell: &str| -> Vec<String> {
            let parts = cell.split('`').skip(1).step_by(2);
            parts.map(str::to_owned).collect()
        };
        let mut cells = row.trim_matches('|').split('|');
        let name = words(cells.next().unwrap()).remove(0);
        (name, cells.map(words).collect())
    })
    .collect()
}

type Labels = BTreeMap<String, String>;

/// Reads the Prometheus text format, version 0.0.4, and refuses what is not of it.
fn read_metrics(text: &str) -> BTreeMap<String, Vec<(Labels, f64)>> {
    assert!(text.ends_with('\n'));
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut all: BTreeMap<String, Vec<(Labels, f64)>> = BTreeMap::new();
    let (mut helped, mut typed) = (BTreeSet::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(is_name(name) && !help.is_empty(), "{line}");
            assert!(helped.insert(name.to_owned()), "a second help: {line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(kind, "gauge");
            assert!(helped.contains(name) && !all.contains_key(name), "{line}");
            name.clone_into(&mut typed);
        } else {
            let (labelled, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = match labelled.split_once('{') {
                None => (labelled, Labels::new()),
                Some((name, rest)) => (name, read_labels(rest.strip_suffix('}').unwrap())),
            };
            assert_eq!(name, typed, "{line}: samples of one metric stand together");
            let samples = all.entry(name.to_owned()).or_default();
            assert!(samples.iter().all(|(other, _)| *other != labels), "{line}");
            samples.push((labels, value.parse().unwrap()));
        }
    }
    all
}

fn read_labels(text: &str) -> Labels {
    let mut labels = Labels::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap();
        let mut chars = value.char_indices();
        let mut out = String::new();
        let end = loop {
            match chars.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => out.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    c => panic!("\\{c}"),
                }),
                (_, c) => out.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), out).is_none());
        rest = &value[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    labels
}

fn metrics(repo: &Repo) -> BTreeMap<String, Vec<(Labels, f64)>> {
    read_metrics(&std::fs::read_to_string(repo.file("rollcall.prom")).unwrap())
}

fn value(
    metrics: &BTreeMap<String, Vec<(Labels, f64)>>,
    name: &str,
    labels: &[(&str, &str)],
) -> f64 {
    let wanted = |(found, _): &&(Labels, f64)| {
        labels
            .iter()
            .all(|(label, value)| found.get(*label).is_some_and(|found| found == value))
    };
    metrics[name].iter().find(wanted).unwrap().1
}

#[test]
fn the_metrics_tell_what_came_of_a_run() {
    let spotler = Spotler::open();
    let welcome = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";
    spotler.fault(json!([{ "fault": "echo", "code": welcome, "contact": "c-2" }]));
    let source = "[source.\"a \\\"b\\\"\"]\ncsv = \"crm.csv\"\ncontact = \"id\"\n[[enrol]]\nautomation = \"welcome\"\nsource = \"a \\\"b\\\"\"\n";
    let head = format!(
        "{source}[automation.other]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\nmax_per_run = 1\n[[enrol]]\nautomation = \"other\"\ncontacts = [\"c-1\", \"c-2\", \"c-3\"]\n"
    );
    let repo = Repo::with(&config(&spotler.url(), &head, &[]));
    repo.write("crm.csv", "id\nc-1\nc-2\n");
    let args = ["apply", "--yes", "--metrics", "rollcall.prom"];
    repo.run(&args).exits(3);
    let found = metrics(&repo);
    assert_eq!(value(&found, "rollcall_last_run_exit_code", &[]), 3.0);
    assert!(!found.contains_key("rollcall_last_success_timestamp_seconds"));
    let actions = |automation, outcome| {
        let labels = [
            ("automation", automation),
            ("outcome", outcome),
            ("action", "trigger"),
        ];
        value(&found, "rollcall_last_run_actions", &labels)
    };
    assert_eq!(actions("welcome", "active"), 1.0);
    assert_eq!(actions("welcome", "failed-for-good"), 1.0);
    assert_eq!(actions("other", "active"), 1.0);
    let of = |name, automation| value(&found, name, &[("automation", automation)]);
    assert_eq!(of("rollcall_deferred", "other"), 2.0);
    assert_eq!(of("rollcall_deferred", "welcome"), 0.0);
    assert_eq!(of("rollcall_held", "welcome"), 0.0);
    let uncertain = [("automation", "welcome"), ("state", "uncertain")];
    assert_eq!(value(&found, "rollcall_participations", &uncertain), 0.0);
    let failed = [("automation", "welcome"), ("state", "failed-for-good")];
    assert_eq!(value(&found, "rollcall_participations", &failed), 1.0);
    let source = [("source", "a \"b\"")];
    assert_eq!(value(&found, "rollcall_source_rows", &source), 2.0);
    assert!(value(&found, "rollcall_source_age_seconds", &source) < 3600.0);
    // Nothing of a person is in it, and the documentation has every name and label.
    let text = std::fs::read_to_string(repo.file("rollcall.prom")).unwrap();
    assert!(!text.contains("c-1"), "{text}");
    let documented = table("| metric |");
    for (name, samples) in &found {
        let labels: BTreeSet<&String> = samples[0].0.keys().collect();
        assert_eq!(labels, documented[name][0].iter().collect(), "{name}");
    }
    let missing: Vec<_> = documented
        .keys()
        .filter(|name| !found.contains_key(*name))
        .collect();
    assert_eq!(missing, ["rollcall_last_success_timestamp_seconds"]);
}

#[test]
fn a_run_that_fails_writes_them_too_and_keeps_the_last_success() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    let args = ["apply", "--yes", "-q", "--metrics", "rollcall.prom"];
    repo.run(&args).exits(0);
    let success = |repo: &Repo| {
        value(
            &metrics(repo),
            "rollcall_last_success_timestamp_seconds",
            &[],
        )
    };
    let first = success(&repo);
    assert!(first > 1.7e9);
    let right = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    repo.write("rollcall.toml", format!("{right}\nnonsense = 1\n"));
    for _ in 0..2 {
        repo.run(&args).exits(1);
        assert_eq!(success(&repo), first);
        let found = metrics(&repo);
        assert_eq!(value(&found, "rollcall_last_run_exit_code", &[]), 1.0);
        assert!(!found.contains_key("rollcall_participations"));
    }
    repo.write(
        "rollcall.toml",
        format!(
            "[guard]\nmax_stops = 0\n{}",
            config(&spotler.url(), "", &[])
        ),
    );
    repo.run(&args).exits(4);
    assert_eq!(success(&repo), first);
    repo.write("rollcall.toml", right);
    // Nothing is to be done, and that is a success.
    let done = repo.run(&args).exits(0);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("", ""));
    assert!(success(&repo) > first);
}

#[test]
fn metrics_that_cannot_be_written_are_reported_before_anything_is_done() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    for path in ["nowhere/rollcall.prom", "."] {
        let done = repo.run(&["apply", "--yes", "--metrics", path]).exits(1);
        assert!(done.stderr.contains("Nothing was sent"), "{}", done.stderr);
    }
    assert!(!repo.has_state());
    assert_eq!(spotler.calls(), 0);
}

#[test]
#[cfg(unix)]
fn a_collector_of_another_user_may_read_them() {
    use std::os::unix::fs::PermissionsExt;
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    let narrow = repo.run_under(
        "umask 077",
        &["apply", "--yes", "--metrics", "rollcall.prom"],
    );
    narrow.exits(0);
    let mode = std::fs::metadata(repo.file("rollcall.prom"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);
}

/// Checks every line of the log against the documentation. Returns the events in their order.
fn events(done: &Done) -> Vec<String> {
    let documented = table("| event |");
    let lines = done.stderr.lines().map(|line| {
        let object: serde_json::Map<String, Value> = match serde_json::from_str(line) {
            Ok(object) => object,
            Err(error) => panic!("{error}: {line}"),
        };
        let event = object["event"].as_str().unwrap().to_owned();
        let [levels, fields] = &documented[&event][..] else {
            panic!("{event}");
        };
        assert!(levels.is_empty(), "levels are written plainly");
        let wanted: BTreeSet<&str> = ["timestamp", "level", "event", "message"]
            .into_iter()
            .chain(fields.iter().map(String::as_str))
            .collect();
        let found: BTreeSet<&str> = object.keys().map(String::as_str).collect();
        assert_eq!(found, wanted, "{line}");
        assert!(!object["message"].as_str().unwrap().is_empty(), "{line}");
        assert!(!line.contains("\\u001b"), "{line}");
        event
    });
    lines.collect()
}

#[test]
fn every_line_of_the_log_is_an_event_that_is_documented() {
    let spotler = Spotler::start(Options {
        unknown_contacts: vec!["d-*".to_owned()],
        ..Options::default()
    });
    let with = |head: &str, contacts: &[&str]| config(&spotler.url(), head, contacts);
    let repo = Repo::with(&with("", &["c-1"]));
    let json = ["--log-format", "json"];
    let run = |args: &[&str]| repo.run(&[args, &json].concat());
    let apply = ["apply", "--yes", "--format", "json"];
    // There is no record yet.
    assert_eq!(
        events(&run(&apply).exits(0)),
        ["plan", "warning", "finished"]
    );
    // Credentials that are revoked end the run; a limit makes all wait.
    repo.write("rollcall.toml", with("", &["c-1", "c-2"]));
    spotler.fault(json!([{ "fault": "revoked" }]));
    assert_eq!(
        events(&run(&apply).exits(3)),
        ["plan", "ending", "finished"]
    );
    spotler.fault(json!([{ "fault": "limit", "retry_after": "1", "times": 1 }]));
    assert_eq!(
        events(&run(&apply).exits(0)),
        ["plan", "paused", "finished"]
    );
    spotler.fault(json!([]));
    repo.write("rollcall.toml", with("", &["c-1", "c-2", "c-3"]));
    let debug = run(&["apply", "--yes", "--format", "json", "-vv"]).exits(0);
    assert_eq!(events(&debug), ["plan", "settled", "finished"]);
    // Another account knows nobody.
    let names: Vec<String> = (0..20).map(|number| format!("d-{number}")).collect();
    let mut strangers: Vec<&str> = names.iter().map(String::as_str).collect();
    strangers.extend(["c-1", "c-2", "c-3"]);
    repo.write("rollcall.toml", with("", &strangers));
    assert_eq!(
        events(&run(&apply).exits(3)),
        ["plan", "nobody-known", "finished"]
    );
    let four = ["c-1", "c-2", "c-3", "c-4"];
    repo.write("rollcall.toml", with("", &four));
    assert_eq!(
        events(&run(&["apply"]).exits(1)),
        ["plan", "error", "finished"]
    );
    // A kill leaves a call open, and that is reported once.
    let mut killed = repo.command(&apply);
    killed.env("ROLLCALL_FAILPOINT", "send:before");
    assert!(!killed.output().unwrap().status.success());
    let found = run(&apply).exits(3);
    let expected = ["lock-taken-over", "recovered", "error", "plan", "finished"];
    assert_eq!(events(&found), expected);
    assert_eq!(events(&run(&apply).exits(0)), ["plan", "finished"]);
    repo.run(&["resolve", "--as", "not-sent", "--yes"]).exits(0);
    repo.write("rollcall.toml", with("[guard]\nmax_triggers = 0", &four));
    assert_eq!(events(&run(&apply).exits(4)), ["plan", "error", "finished"]);
    assert_eq!(events(&run(&["apply", "--yes", "-q"]).exits(4)), ["error"]);
    let odd = config(&spotler.url(), "", &["c-1"]).replace("0b8f9a52-", "");
    repo.write("rollcall.toml", &odd);
    assert_eq!(events(&run(&["validate"]).exits(0)), ["problem"]);
    repo.write("rollcall.toml", "[spotlr]\n[gurd]\n");
    assert_eq!(events(&run(&["validate"]).exits(1)), ["problem", "problem"]);
    assert_eq!(
        events(&run(&apply).exits(1)),
        ["problem", "problem", "finished"]
    );
}

#[test]
fn the_built_in_sandbox_logs_events_too() {
    let repo = Repo::with(&config("sandbox", "", &["c-1"]));
    let done = repo
        .run(&[
            "apply",
            "--yes",
            "--format",
            "json",
            "-vv",
            "--log-format",
            "json",
        ])
        .exits(0);
    assert_eq!(
        events(&done),
        ["plan", "warning", "sandbox-call", "settled", "finished"]
    );
}

#[test]
fn quiet_is_silent_where_nothing_happened_and_only_there() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "reset-after" }]));
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    let quiet = ["apply", "--yes", "--quiet"];
    let first = repo.run(&quiet).exits(3);
    assert!(first.stdout.contains("uncertain"), "{}", first.stdout);
    spotler.fault(json!([]));
    // It is held from now on, which was reported.
    let again = repo.run(&quiet).exits(0);
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", ""));
    repo.write("rollcall.toml", config(&spotler.url(), "", &["c-1", "c-2"]));
    let news = repo.run(&quiet).exits(0);
    assert!(news.stdout.contains("trigger  c-2"), "{}", news.stdout);
    assert_eq!(news.stderr, "");
}
