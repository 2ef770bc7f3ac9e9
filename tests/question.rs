//! What `apply` shows before it asks, and what it applies of a part.
#![cfg(target_os = "linux")]

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::{Repo, Spotler};

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
    let command = repo.command(&["apply", "--new-record"]);
    let program = command.get_program().to_str().unwrap();
    let mut script = Command::new("script");
    script
        .args(["-qec", &format!("{program} {args}"), "/dev/null"])
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
    ] {
        let shown = run_on_a_terminal(&repo, args, "");
        assert!(shown.contains(next), "{args}: {shown}");
        let quiet = run_on_a_terminal(&repo, &format!("{args} -q"), "");
        assert!(!quiet.contains("Next:"), "{args}: {quiet}");
        let words: Vec<&str> = args.split(' ').collect();
        let done = repo.run(&words).exits(0);
        assert!(!(done.stdout + &done.stderr).contains("Next:"), "{args}");
    }
}
