//! Completions and manual pages.
#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Repo, Spotler};
use serde_json::json;

/// What bash completes after these words, the last of which is being typed.
fn completed(words: &[&str]) -> Vec<String> {
    completed_in(Path::new("."), words)
}

/// The same, in a folder.
fn completed_in(here: &Path, words: &[&str]) -> Vec<String> {
    let script = r#"
        source <(rollcall completions bash)
        function_name=$(complete -p rollcall | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        "$function_name" rollcall "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let folder = Path::new(env!("CARGO_BIN_EXE_rollcall")).parent().unwrap();
    let mut path = vec![folder.to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let output = Command::new("bash")
        .args(["--norc", "-c", script, "bash"])
        .args(words)
        .current_dir(here)
        .env_remove("ROLLCALL_CONFIG")
        .env("PATH", std::env::join_paths(path).unwrap())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    stdout.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    assert_eq!(completed(&["rollcall", "ap"]), ["apply"]);
    assert_eq!(completed(&["rollcall", "record", "fo"]), ["forget"]);
    assert_eq!(
        completed(&["rollcall", "plan", "--det"]),
        ["--detailed-exitcode"]
    );
    assert_eq!(
        completed(&["rollcall", "resolve", "--as", ""]),
        ["active", "not-sent"]
    );
}

#[test]
fn every_shell_has_completions_and_another_is_a_usage_error() {
    let repo = Repo::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = repo.run(&["completions", shell]).exits(0);
        assert!(done.stdout.contains("allow-large"), "{shell}");
    }
    repo.run(&["completions", "tcsh"]).exits(1);
}

/// A repository with two on record, one of whom is in doubt, and one who is declared by name.
fn on_record() -> (Spotler, Repo) {
    let spotler = Spotler::open();
    let url = spotler.url();
    let repo = Repo::with(&format!(
        "[spotler]\nbase_url = {url:?}\n[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
         [automation.welcome]\ntrigger_code = \"code-w\"\n[automation.winback]\ntrigger_code = \"code-b\"\n\
         [[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n[contact.crm-30]\nstatus = \"gone\"\n"
    ));
    repo.write("crm.csv", "id\ncrm-10\ncrm-20\n");
    spotler.fault(json!([{ "fault": "reset-after", "contact": "crm-20" }]));
    repo.apply().exits(3);
    (spotler, repo)
}

#[test]
fn bash_completes_the_names_of_the_configuration_and_contacts_on_record() {
    let (_spotler, repo) = on_record();
    let complete = |words: &[&str]| {
        let mut found = completed_in(repo.path(), &[&["rollcall"], words].concat());
        found.sort();
        found
    };
    for command in [&["plan"][..], &["history"], &["record", "list"]] {
        let words = [command, &["--automation", "w"]].concat();
        assert_eq!(complete(&words), ["welcome", "winback"]);
    }
    assert_eq!(complete(&["plan", "--allow-shrink", ""]), ["crm"]);
    assert_eq!(
        complete(&["explain", "crm-"]),
        ["crm-10", "crm-20", "crm-30"]
    );
    assert_eq!(complete(&["history", "crm-1"]), ["crm-10"]);
    assert_eq!(complete(&["resolve", "--as", "active", "crm-"]), ["crm-20"]);
    assert_eq!(complete(&["record", "list", "--state", "act"]), ["active"]);
    assert_eq!(complete(&["init", "--example", "life"]), ["lifecycle"]);
    // From elsewhere, by the words that were typed.
    let config = repo.path().to_str().unwrap();
    let words = [
        "rollcall",
        "--config",
        config,
        "plan",
        "--automation",
        "wel",
    ];
    assert_eq!(completed(&words), ["welcome"]);
}

#[test]
fn completions_write_nothing_and_never_fail() {
    let (_spotler, repo) = on_record();
    let state = || -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(repo.file("state"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (
                    entry.file_name().into_string().unwrap(),
                    fs::read(entry.path()).unwrap(),
                )
            })
            .collect();
        files.sort();
        files
    };
    let before = state();
    completed_in(repo.path(), &["rollcall", "explain", "crm-"]);
    assert!(state() == before);
    // A record that is none, a configuration that is broken, and one that is not there.
    for name in ["rollcall.db", "rollcall.db-wal"] {
        repo.write(&format!("state/{name}"), "not a record");
    }
    assert_eq!(
        completed_in(repo.path(), &["rollcall", "explain", "crm-"]),
        ["crm-30"]
    );
    repo.write("rollcall.toml", "[spotler\n");
    for words in [
        &["rollcall", "explain", "crm-"][..],
        &["rollcall", "plan", "--automation", "w"],
    ] {
        assert_eq!(completed_in(repo.path(), words), [""]);
    }
    fs::remove_file(repo.file("rollcall.toml")).unwrap();
    assert_eq!(completed_in(repo.path(), &["rollcall", "ap"]), ["apply"]);
}

#[test]
fn help_begins_with_examples_and_ends_with_what_all_commands_take() {
    let repo = Repo::new();
    for command in ["plan", "apply", "init", "history", "explain"] {
        let help = repo.run(&[command, "-h"]).exits(0).stdout;
        let at = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text}: {help}"));
        let example = format!("\n  rollcall {command}");
        let parts = [
            "\nExamples:\n",
            &example,
            "\nUsage:",
            "\nOptions:\n",
            "\nCommon options:\n",
        ];
        assert!(parts.map(at).is_sorted(), "{help}");
        assert!(
            at("--config <DIR|FILE>") > at("\nCommon options:\n"),
            "{help}"
        );
        let page = repo.run(&["man", "pages"]).exits(0);
        assert!(page.stdout.contains("wrote"));
        let page = fs::read_to_string(repo.file(&format!("pages/rollcall-{command}.1"))).unwrap();
        let sections =
            [".SH SYNOPSIS", ".SH EXAMPLES", ".SH OPTIONS"].map(|name| page.find(name).unwrap());
        assert!(sections.is_sorted(), "{page}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let repo = Repo::new();
    let main = repo.run(&["man"]).exits(0).stdout;
    repo.run(&["man", "pages/man1"]).exits(0);
    let pages: Vec<String> = fs::read_dir(repo.file("pages/man1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["rollcall.1", "rollcall-plan.1", "rollcall-record-forget.1"] {
        assert!(pages.iter().any(|name| name == page), "{page}: {pages:?}");
    }
    assert_eq!(
        fs::read_to_string(repo.file("pages/man1/rollcall.1")).unwrap(),
        main
    );
    for command in ["plan", "apply", "record"] {
        assert!(
            main.contains(&format!("rollcall\\-{command}(1)")),
            "{command}"
        );
    }
    // A name, a section, a date, a source, a manual: readers of pages go by the place.
    let title = main.lines().find(|line| line.starts_with(".TH")).unwrap();
    let source = format!("\"rollcall {}\"", env!("CARGO_PKG_VERSION"));
    assert_eq!(title, format!(".TH rollcall 1 \" \" {source} Rollcall"));
}

#[test]
fn pages_that_cannot_be_written_are_reported_by_their_folder() {
    let repo = Repo::new();
    repo.write("taken", "");
    let done = repo.run(&["man", "taken/man1"]).exits(1);
    assert!(done.stderr.contains("taken/man1"), "{}", done.stderr);
}
