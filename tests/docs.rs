//! The documentation is true: every command is run, in order, what a page shows is what is printed, and what can be
//! generated from the code is.
//!
//! `ROLLCALL_DOCS=write` writes what is out of date anew.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::Repo;
use common::page::{self, Followed};
use rollcall::apply::Outcome;
use rollcall::participation::State;

/// How many blocks may be passed over, in all pages together.
const NOT_RUN: usize = 20;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md, and all pages below docs.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

fn name(page: &Path) -> String {
    page.strip_prefix(root()).unwrap().display().to_string()
}

/// Holds a file against what it should be, or writes that.
fn hold(path: &Path, wanted: &str) {
    let there = fs::read_to_string(path).unwrap_or_default();
    if there == wanted {
        return;
    }
    if std::env::var("ROLLCALL_DOCS").is_ok_and(|what| what == "write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(path, wanted).unwrap();
    }
    let diff = similar(&there, wanted);
    panic!(
        "{} is out of date; ROLLCALL_DOCS=write cargo test --test docs writes it anew\n{diff}",
        name(path)
    );
}

/// The lines in which two texts differ.
fn similar(there: &str, wanted: &str) -> String {
    let only = |a: &str, b: &str, sign: char| -> String {
        let lines = a
            .lines()
            .filter(|line| !b.lines().any(|other| other == *line));
        lines.map(|line| format!("{sign} {line}\n")).collect()
    };
    only(there, wanted, '-') + &only(wanted, there, '+')
}

#[test]
fn every_page_does_what_it_says() {
    let mut total = Followed::default();
    for path in pages() {
        let text = fs::read_to_string(&path).unwrap();
        let repo = Repo::new();
        page::copy(&root().join("examples"), &repo.file("examples"));
        let done = page::follow(&name(&path), &text, &repo);
        if let Some(wanted) = &done.rewritten {
            hold(&path, wanted);
        }
        total.run += done.run;
        total.compared += done.compared;
        total.written += done.written;
        total.not_run += done.not_run;
    }
    assert!(total.not_run <= NOT_RUN, "{total:?}");
    assert!(
        total.run >= 30 && total.compared >= 20 && total.written >= 8,
        "{total:?}"
    );
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    for path in pages() {
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1) {
            let target = target.split(')').next().unwrap();
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            if file.starts_with("http") {
                continue;
            }
            let linked = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let at = name(&path);
            assert!(linked.exists(), "{at}: {target} is not there");
            if !anchor.is_empty() {
                let page = fs::read_to_string(&linked).unwrap();
                let mut headings = page.lines().filter(|line| line.starts_with('#'));
                assert!(
                    headings.any(|line| slug(line) == anchor),
                    "{at}: {target}: no such heading"
                );
            }
        }
    }
}

/// The anchor of a heading, as GitHub and GitLab make it.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_page_is_listed() {
    let index = fs::read_to_string(root().join("docs/README.md")).unwrap();
    for path in pages()
        .iter()
        .filter(|path| path.starts_with(root().join("docs")))
    {
        let name = path
            .strip_prefix(root().join("docs"))
            .unwrap()
            .display()
            .to_string();
        assert!(
            name == "README.md" || index.contains(&format!("({name})")),
            "{name}"
        );
    }
}

#[test]
fn the_readme_is_short() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(text.lines().count() <= 150);
}

#[test]
fn the_reference_of_commands_is_their_own_help() {
    let path = root().join("docs/reference/commands.md");
    let mut text = String::from(
        "# Commands\n\nThe help of each command. `rollcall COMMAND --help` prints it too, with the options that all \
         commands take.\n",
    );
    let repo = Repo::new();
    command(&repo, &[], &mut text);
    hold(&path, &text);
}

/// Writes a command's help, and that of the commands below it.
fn command(repo: &Repo, words: &[&str], text: &mut String) {
    let mut args = words.to_vec();
    args.push("--help");
    let help = repo.run(&args).exits(0).stdout;
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let heading = ["rollcall"]
        .iter()
        .chain(words)
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    text.push_str(&format!("\n## `{heading}`\n\n```help\n"));
    let is_root = words.is_empty();
    for paragraph in options(&lines) {
        let is_common = [
            "--config",
            "--now",
            "--log-format",
            "--verbose",
            "--quiet",
            "--color",
            "--help",
            "--version",
        ]
        .iter()
        .any(|option| {
            paragraph[0]
                .split([' ', ','])
                .any(|word| word.trim_end_matches("...") == *option)
        });
        if is_root || !is_common {
            for line in paragraph {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    while text.ends_with('\n') || text.ends_with("Options:") {
        let end = text
            .trim_end_matches('\n')
            .trim_end_matches("Options:")
            .len();
        text.truncate(end);
    }
    text.push_str("\n```\n");
    let below = lines
        .iter()
        .skip_while(|line| **line != "Commands:")
        .skip(1);
    for line in below.take_while(|line| !line.is_empty()) {
        let word = line
            .strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '));
        if let Some(word) = word.and_then(|rest| rest.split(' ').next())
            && word != "help"
        {
            let words: Vec<&str> = words.iter().copied().chain([word]).collect();
            command(repo, &words, text);
        }
    }
}

/// Cuts a help text before each option.
fn options<'a>(lines: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut parts: Vec<Vec<&str>> = vec![Vec::new()];
    for line in lines {
        let indent = line.len() - line.trim_start().len();
        if indent <= 6 && line.trim_start().starts_with('-') {
            parts.push(Vec::new());
        }
        parts.last_mut().unwrap().push(line);
    }
    parts
}

/// The words of the first column of a page's table below a heading.
fn words(page: &str, heading: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let below = text.lines().skip_while(|line| *line != heading).skip(1);
    let rows = below.take_while(|line| !line.starts_with('#'));
    rows.filter_map(|row| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect()
}

#[test]
fn every_state_and_every_outcome_is_listed() {
    let page = "docs/reference/states.md";
    assert_eq!(words(page, "## States"), State::ALL.map(State::as_str));
    assert_eq!(
        words(page, "## Outcomes"),
        Outcome::ALL.map(Outcome::as_str)
    );
}
