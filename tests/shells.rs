//! Completions and manual pages.
#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::Repo;

/// What bash completes after these words, the last of which is being typed.
fn completed(words: &[&str]) -> Vec<String> {
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
