//! What `apply` shows before it asks, and what it applies of a part.
#![cfg(target_os = "linux")]

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::{Repo, Spotler};
use rollcall::sandbox::{Options, Setting, Trigger};

fn config(url: &str, rest: &str) -> String {
    format!("[spotler]\nbase_url = {url:?}\n{rest}")
}

const TWO: &str = "[automation.welcome]\ntrigger_code = \"w-1\"\n[automation.winback]\ntrigger_code = \"b-1\"\n\
                   [[enrol]]\nautomation = [\"welcome\", \"winback\"]\ncontacts = [\"crm-1\"]\n";

/// What a terminal shows of an apply, where its question is answered so.
fn on_a_terminal(repo: &Repo, answer: &str) -> String {
    run_on_a_terminal(repo, "apply --new-record", answer)
}

fn run_on_a_terminal(repo: &Repo, args: &str, answer: &str) -> String {
    run_on_a_terminal_of(100, repo, args, answer)
}

fn run_on_a_terminal_of(columns: usize, repo: &Repo, args: &str, answer: &str) -> String {
    let command = repo.command(&["apply", "--new-record"]);
    let program = command.get_program().to_str().unwrap();
    let mut script = Command::new("script");
    script
        .args([
            "-qec",
            &format!("stty cols {columns}; {program} {args}"),
            "/dev/null",
        ])
        .current_dir(repo.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let mut child = script.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{answer}").unwrap();
    let shown = child.wait_with_output().unwrap().stdout;
    drop(input);
    String::from_utf8(shown).unwrap()
}

#[test]
fn the_question_shows_where_it_goes_and_how_much() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), TWO));
    let shown = on_a_terminal(&repo, "no");
    assert!(shown.contains("a sandbox on this machine"), "{shown}");
    assert!(
        shown.contains("Record: state/rollcall.db, to be begun"),
        "{shown}"
    );
    assert!(
        shown.contains("It sends 2 triggers and 0 stops."),
        "{shown}"
    );
    assert!(!shown.contains("LIVE"), "{shown}");
    assert!(shown.contains("Not done."), "{shown}");
    assert_eq!(spotler.calls(), 0);
    let shown = on_a_terminal(&repo, "yes");
    assert!(shown.contains("2 triggered"), "{shown}");
    let live = Repo::with(&config("https://spotler.invalid/x", TWO));
    let shown = on_a_terminal(&live, "no");
    assert!(shown.contains("This goes to spotler.invalid"), "{shown}");
    assert!(shown.contains("LIVE"), "{shown}");
    let built_in = Repo::with(&config("sandbox", TWO));
    let shown = on_a_terminal(&built_in, "no");
    assert!(
        shown.contains("This goes to the built-in sandbox"),
        "{shown}"
    );
}

#[test]
fn one_automation_can_be_applied_alone() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), TWO));
    let part = |name| repo.run(&["apply", "-y", "--format", "json", "--automation", name]);
    let applied = part("winback").exits(0);
    assert_eq!(applied.actions(), ["trigger winback crm-1 -> active"]);
    assert_eq!(spotler.ledger(), ["trigger b-1 crm-1"]);
    assert_eq!(repo.plan().actions(), ["trigger welcome crm-1"]);
    let wrong = part("winbck").exits(1).stderr;
    assert!(wrong.contains("Did you mean winback?"), "{wrong}");
    // It hides neither a stop of another one from the guard, nor who is the same under another name.
    let renamed = TWO
        .replace("[automation.winback]", "[automation.back]")
        .replace("\"winback\"", "\"back\"");
    repo.write("rollcall.toml", config(&spotler.url(), &renamed));
    let refused = part("back").exits(4);
    assert!(refused.stderr.contains("[[moved]]"), "{}", refused.stderr);
    assert_eq!(spotler.calls(), 1);
    repo.run(&["plan", "--out", "saved.plan"]).exits(0);
    repo.run(&["apply", "saved.plan", "-y", "--automation", "back"])
        .exits(1);
}

#[test]
fn a_terminal_shows_what_to_type_next_and_a_program_does_not_see_it() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), TWO));
    for (args, next) in [
        ("validate", "Next: rollcall plan"),
        ("plan", "Next: rollcall apply"),
        (
            "plan --automation winback",
            "Next: rollcall apply --automation winback",
        ),
        ("plan --contact crm-1", "Next: rollcall explain crm-1"),
        ("explain crm-1", "Next: rollcall plan --contact crm-1"),
        ("roster", "Next: rollcall plan"),
        ("simulate", "Next: rollcall plan"),
    ] {
        let shown = run_on_a_terminal(&repo, args, "");
        assert!(shown.contains(next), "{args}: {shown}");
        let quiet = run_on_a_terminal(&repo, &format!("{args} -q"), "");
        assert!(!quiet.contains("Next:"), "{args}: {quiet}");
        let words: Vec<&str> = args.split(' ').collect();
        let done = repo.run(&words).exits(0);
        assert!(!(done.stdout + &done.stderr).contains("Next:"), "{args}");
    }
    for args in ["roster", "simulate", "plan"] {
        let shown = run_on_a_terminal(&repo, &format!("{args} --format json"), "");
        assert!(!shown.contains("Next"), "{args}: {shown}");
    }
}

#[test]
fn what_to_type_next_follows_from_what_was_found() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), TWO));
    let ends = |args: &str, next: &str| {
        let shown = run_on_a_terminal(&repo, args, "");
        let last = shown.trim_end().lines().last().unwrap_or_default();
        assert_eq!(last, next, "{args}: {shown}");
    };
    // A trigger in doubt is to be settled.
    let settle =
        "Next, where Spotler carried it out (else --as not-sent): rollcall resolve --as active";
    spotler.fault(serde_json::json!([{ "fault": "reset-after" }]));
    let uncertain = "Next: rollcall record list --state uncertain";
    ends("apply -y --new-record --automation winback", uncertain);
    ends("plan --automation winback", uncertain);
    ends(
        "record list --state uncertain",
        &format!("{settle} CONTACT"),
    );
    ends("record show crm-1", &format!("{settle} crm-1"));
    ends("explain crm-1", &format!("{settle} crm-1"));
    ends("history crm-1", "Next: rollcall explain crm-1");
    ends("resolve --as active -y", "Next: rollcall plan");
    spotler.fault(serde_json::json!([]));
    ends("apply -y", "Next: rollcall history --since 1h");
    ends("explain crm-1", "Next: rollcall history crm-1");
    ends("record list", "Next: rollcall explain CONTACT");
    ends("record show", "Next: rollcall record list");
    let lists = Options {
        triggers: vec![Trigger::new("Winback", "b-2", Setting::Once)],
        ..Options::default()
    };
    let lists = Spotler::start(lists);
    repo.write("rollcall.toml", config(&lists.url(), TWO));
    ends("automations", "Next: rollcall init --from-spotler");
    // What a configuration lacks is to be corrected first.
    repo.write("rollcall.toml", config(&spotler.url(), "[guart]\n"));
    let corrected = "Next, once this is corrected: rollcall validate";
    for args in ["validate", "plan", "apply -y", "record list"] {
        ends(args, corrected);
    }
}

#[test]
fn lists_fit_on_a_narrow_terminal() {
    let codes = [
        ("welcome", "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"),
        ("customer-lifecycle", "c2a4e7d0-93b1-4f6e-8a57-1d0b6e9f4c33"),
    ];
    let listed = |(name, code): (&str, &str)| {
        Trigger::new(format!("{name} of customers"), code, Setting::Once)
    };
    let spotler = Spotler::start(Options {
        triggers: codes.into_iter().map(listed).collect(),
        inactive: vec![codes[1].1.to_owned()],
        ..Options::default()
    });
    let blocks = codes.map(|(name, code)| {
        format!(
            "[automation.{name}]\ntrigger_code = \"{code}\"\n[[enrol]]\nautomation = \"{name}\"\ncontacts = [\"crm-2026-0001\"]\n"
        )
    });
    let repo = Repo::with(&config(&spotler.url(), &blocks.concat()));
    repo.apply().exits(3);
    for columns in [60, 80] {
        for args in [
            "history",
            "record list",
            "record show crm-2026-0001",
            "explain crm-2026-0001",
            "automations",
            "validate",
        ] {
            let shown = run_on_a_terminal_of(columns, &repo, args, "");
            let plain = anstream::adapter::strip_str(&shown).to_string();
            for line in plain.lines() {
                assert!(
                    line.chars().count() <= columns,
                    "{args}, {columns}: {plain}"
                );
            }
            // Whatever else yields, these stay in one piece.
            let id = if args == "automations" {
                codes[0].1
            } else {
                "customer-lifecycle"
            };
            assert!(plain.contains(id), "{args}, {columns}: {plain}");
        }
    }
    let wide = run_on_a_terminal_of(120, &repo, "history", "");
    assert!(
        wide.contains("revision") && wide.contains("config"),
        "{wide}"
    );
    let narrow = run_on_a_terminal_of(80, &repo, "history", "");
    assert!(!narrow.contains("revision"), "{narrow}");
}
