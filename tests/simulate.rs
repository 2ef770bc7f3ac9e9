//! `rollcall simulate`: the rules tried on the past, or on days to come, before they meet people.

mod common;

use std::fs;
use std::process::Command;

use common::Repo;
use serde_json::{Value, json};

const CODE: &str = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f1";

/// A source `crm` with `id`, `born`, `joined` and `status`, and an automation of each of these names and settings.
fn rules(automations: &[(&str, &str)], more: &str) -> String {
    let automations = automations.iter().zip(0..).map(|((name, settings), n)| {
        format!("[automation.{name}]\ntrigger_code = \"{CODE}{n}\"\n{settings}\n")
    });
    format!(
        "{}[source.crm]\ncsv = \"exports/crm.csv\"\ncontact = \"id\"\n{more}",
        automations.collect::<String>()
    )
}

fn csv(rows: &[&str]) -> String {
    format!("id,born,joined,status\n{}\n", rows.join("\n"))
}

const NEW: &str =
    "[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhere.joined = { within = \"2d\" }\n";
const CUSTOMER: &str =
    "[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhere.status = \"customer\"\n";

fn simulated(repo: &Repo, args: &[&str]) -> Value {
    let args = [&["simulate", "--format", "json"], args].concat();
    repo.run(&args).exits(0).json()
}

/// What was triggered and stopped on each day.
fn by_day(tried: &Value) -> Vec<(String, u64, u64)> {
    let days = tried["days"].as_array().unwrap().iter();
    let days = days.map(|day| {
        let number = |key: &str| day[key].as_u64().unwrap();
        let date = day["date"].as_str().unwrap().to_owned();
        (date, number("trigger"), number("stop"))
    });
    days.filter(|(_, trigger, stop)| trigger + stop > 0)
        .collect()
}

fn day(date: &str, trigger: u64, stop: u64) -> (String, u64, u64) {
    (date.to_owned(), trigger, stop)
}

#[test]
fn days_to_come_are_tried_on_todays_export_and_nothing_is_sent_or_written() {
    let repo = Repo::with(&rules(&[("welcome", "")], NEW));
    let rows = ["c-1,,2026-03-01,", "c-2,,2026-03-02,", "c-3,,2026-03-03,"];
    repo.write("exports/crm.csv", csv(&rows));
    let args = [
        "simulate",
        "--from",
        "2026-03-01",
        "--to",
        "2026-03-07",
        "--format",
        "json",
    ];
    let done = repo
        .command(&args)
        .env_remove("SPOTLER_CONSUMER_KEY")
        .output()
        .unwrap();
    assert!(done.status.success());
    let tried: Value = serde_json::from_slice(&done.stdout).unwrap();
    // c-1 counts as active already: it is declared on the first day.
    assert_eq!(tried["adopted"], 1);
    let wanted = [
        day("2026-03-02", 1, 0),
        day("2026-03-03", 1, 0),
        day("2026-03-04", 0, 1),
        day("2026-03-05", 0, 1),
        day("2026-03-06", 0, 1),
    ];
    assert_eq!(by_day(&tried), wanted);
    let summary = json!({ "trigger": 2, "stop": 3, "let_go": 0, "people": 2, "refused": 0, "not_planned": 0 });
    assert_eq!(tried["summary"], summary);
    let first = simulated(
        &repo,
        &[
            "--first-day",
            "trigger",
            "--from",
            "2026-03-01",
            "--to",
            "2026-03-01",
        ],
    );
    assert_eq!(by_day(&first), [day("2026-03-01", 1, 0)]);
    assert!(!repo.file("state").exists());
}

#[test]
fn each_day_has_the_newest_export_until_then() {
    let repo = Repo::with(&rules(&[("welcome", "")], CUSTOMER));
    repo.write("exports/crm.csv", csv(&["c-9,,,customer"]));
    repo.write("archive/2026-01-05/crm.csv", csv(&["c-1,,,customer"]));
    repo.write("archive/2026-01-05/orders.csv", "not ours\n");
    repo.write(
        "archive/2026-01-07/crm.csv",
        csv(&["c-1,,,customer", "c-2,,,customer"]),
    );
    repo.write("archive/2026-01-09/crm.csv", csv(&["c-2,,,customer"]));
    let tried = simulated(&repo, &["--exports", "archive/*/*.csv"]);
    assert_eq!(
        (&tried["from"], &tried["to"]),
        (&json!("2026-01-05"), &json!("2026-01-09"))
    );
    assert_eq!(
        by_day(&tried),
        [day("2026-01-07", 1, 0), day("2026-01-09", 0, 1)]
    );
    assert_eq!(tried["sources"], json!([{ "source": "crm", "exports": 3 }]));

    repo.write("flat/crm-20260105.csv", csv(&["c-1,,,customer"]));
    repo.write(
        "flat/crm-20260106.csv",
        csv(&["c-1,,,customer", "c-2,,,customer"]),
    );
    let flat = simulated(&repo, &["--exports", "flat/*.csv"]);
    assert_eq!(by_day(&flat), [day("2026-01-06", 1, 0)]);
}

#[test]
fn exports_that_nobody_can_place_are_errors_that_say_what_to_type() {
    let repo = Repo::with(&rules(&[("welcome", "")], CUSTOMER));
    repo.write("exports/crm.csv", csv(&["c-9,,,customer"]));
    repo.write("archive/2026-01-05/crm.csv", csv(&["c-1,,,customer"]));
    repo.write("archive/2026-01-05/people.csv", csv(&["c-1,,,customer"]));
    repo.write("archive/crm.csv", csv(&["c-1,,,customer"]));
    let said = |args: &[&str]| repo.run(&[&["simulate"], args].concat()).exits(1).stderr;
    for (args, wanted) in [
        (
            &["--exports", "archive/*/none.csv"][..],
            "there is no such file",
        ),
        (
            &["--exports", "archive/*.csv"],
            "there is no date in the part of its path that varies",
        ),
        (
            &["--exports", "archive/*/people.csv"],
            "--exports crm='archive/*/people.csv'",
        ),
        (
            &["--exports", "crn=archive/*/people.csv"],
            "Did you mean crm?",
        ),
        (
            &["--exports", "crm=archive/*/*.csv"],
            "are both the export of crm of 2026-01-05",
        ),
        (
            &["--exports", "archive/*/crm.csv", "--from", "2026-01-01"],
            "--from 2026-01-05",
        ),
        (
            &["--from", "2026-01-02", "--to", "2026-01-01"],
            "is before --from",
        ),
        (
            &["--from", "2026-01-02", "--to", "2206-01-01"],
            "is one of them mistyped?",
        ),
    ] {
        let said = said(args);
        assert!(said.contains(wanted), "{args:?}\n{said}");
    }
}

#[test]
fn a_database_is_not_asked_and_may_be_given_as_exports() {
    let toml = rules(&[("welcome", "")], CUSTOMER);
    let database = "database = \"$SHOP\"\nquery = \"select 1\"";
    let repo = Repo::with(&toml.replace("csv = \"exports/crm.csv\"", database));
    let said = repo.run(&["simulate"]).exits(1).stderr;
    assert!(said.contains("--exports crm='archive/*/crm.csv'"), "{said}");
    repo.write("archive/2026-01-05/crm.csv", csv(&["c-1,,,customer"]));
    let tried = simulated(
        &repo,
        &["--exports", "archive/*/crm.csv", "--first-day", "trigger"],
    );
    assert_eq!(tried["summary"]["trigger"], 1);
}

#[test]
fn whom_a_rule_holds_back_is_counted_and_who_never_got_it_too() {
    let rules = rules(
        &[
            ("birthday", "runs_for = \"5d\""),
            ("welcome", "max_per_day = 1\ncooldown = \"3d\""),
            ("winback", ""),
        ],
        &format!(
            "[window]\ntriggers = \"Mon-Fri 08:00-18:00 UTC\"\n[[exclusive]]\nautomations = [\"welcome\", \"winback\"]\n{CUSTOMER}\
             [[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\nwhere.status = {{ exists = true }}\n\
             [[enrol]]\nautomation = \"birthday\"\nsource = \"crm\"\nwhere.born = {{ anniversary_within_next = \"0d\" }}\n"
        ),
    );
    let repo = Repo::with(&rules);
    // 10 January 2026 is a Saturday.
    let rows = [
        "c-1,1980-01-10,,",
        "c-2,1980-01-09,,",
        "c-3,,,customer",
        "c-4,,,customer",
    ];
    repo.write("exports/crm.csv", csv(&rows));
    let args = [
        "--first-day",
        "trigger",
        "--from",
        "2026-01-09",
        "--to",
        "2026-01-12",
    ];
    let tried = simulated(&repo, &args);
    assert_eq!(
        tried["held_back"],
        json!([
            { "automation": "birthday", "by": "window", "people": 1, "missed": 1, "times": 1 },
            { "automation": "welcome", "by": "window", "people": 1, "missed": 0, "times": 2 },
            { "automation": "welcome", "by": "max_per_day", "people": 1, "missed": 0, "times": 1 },
            { "automation": "winback", "by": "exclusive", "people": 2, "missed": 2, "times": 8 },
        ])
    );
}

/// Two of a hundred come each day, and on the third day all others go.
fn guarded() -> Repo {
    let repo = Repo::with(&rules(&[("welcome", "")], CUSTOMER));
    let rows = |from: u32, to: u32| {
        let rows: Vec<String> = (from..to)
            .map(|n| format!("c-{n},1980-05-05,,customer"))
            .collect();
        csv(&rows.iter().map(String::as_str).collect::<Vec<_>>())
    };
    repo.write("exports/crm.csv", rows(0, 100));
    repo.write("archive/2026-01-01/crm.csv", rows(0, 100));
    repo.write("archive/2026-01-02/crm.csv", rows(0, 102));
    repo.write("archive/2026-01-03/crm.csv", rows(100, 104));
    repo.write(
        "archive/2026-01-04/crm.csv",
        "id,born,joined,status\nc-1,x\n",
    );
    repo.write("archive/2026-01-05/crm.csv", rows(0, 106));
    repo
}

#[test]
fn what_the_guard_refuses_is_noted_and_done_or_left_undone() {
    let repo = guarded();
    let exports = ["--exports", "archive/*/crm.csv"];
    let tried = simulated(&repo, &exports);
    assert_eq!(
        by_day(&tried),
        [
            day("2026-01-02", 2, 0),
            day("2026-01-03", 2, 100),
            day("2026-01-05", 102, 0)
        ]
    );
    let refused = &tried["refused"];
    assert_eq!(refused.as_array().unwrap().len(), 1);
    assert_eq!(refused[0]["at"], "2026-01-03T09:00:00Z");
    assert_eq!(refused[0]["done"], true);
    assert!(
        refused[0]["reasons"][0]
            .as_str()
            .unwrap()
            .contains("too many stops")
    );
    assert_eq!(tried["not_planned"][0]["at"], "2026-01-04T09:00:00Z");

    let alone = simulated(&repo, &[&exports[..], &["--unattended"]].concat());
    assert_eq!(
        by_day(&alone),
        [day("2026-01-02", 2, 0), day("2026-01-05", 4, 0)]
    );
    assert_eq!(alone["refused"][0]["done"], false);
}

#[test]
fn it_reads_well() {
    let repo = guarded();
    let done = repo
        .run(&["simulate", "--exports", "archive/*/crm.csv"])
        .exits(0);
    insta::assert_snapshot!(done.stdout);
}

#[test]
fn a_summary_names_nobody_and_nothing_shows_a_cell() {
    let repo = guarded();
    for format in ["text", "json"] {
        let args = [
            &["simulate", "--exports", "archive/*/crm.csv", "--first-day"],
            &["trigger", "--format", format][..],
        ];
        let args = args.concat();
        let named = repo.run(&args).exits(0);
        assert!(named.stdout.contains("c-10\"") || named.stdout.contains("c-10\n"));
        let summary = repo.run(&[&args[..], &["--summary"]].concat()).exits(0);
        let said = format!("{}{}", summary.stdout, summary.stderr);
        assert!(!said.contains("c-"), "{said}");
        assert!(!named.stdout.contains("1980"));
    }
}

#[test]
fn a_mistake_of_one_day_is_told_without_the_cell() {
    let born = "where.born = { before = 2000-01-01 }\n";
    let repo = Repo::with(&rules(&[("welcome", "")], &format!("{CUSTOMER}{born}")));
    repo.write("exports/crm.csv", csv(&[]));
    repo.write(
        "archive/2026-01-01/crm.csv",
        csv(&["c-1,1980-01-01,,customer"]),
    );
    repo.write(
        "archive/2026-01-02/crm.csv",
        csv(&["c-1,\"a \"\"secret\"\" one\",,customer"]),
    );
    let tried = simulated(&repo, &["--exports", "archive/*/crm.csv"]);
    let problem = tried["not_planned"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("column born holds \"…\""), "{problem}");
    assert!(!tried.to_string().contains("secret"));
}

#[test]
fn what_is_wrong_on_every_day_is_an_error() {
    let repo = Repo::with(&rules(&[("welcome", "")], CUSTOMER));
    repo.write("exports/crm.csv", "id,born\nc-1,x\n");
    let said = repo.run(&["simulate"]).exits(1).stderr;
    assert!(said.contains("status"), "{said}");
    fs::remove_file(repo.file("exports/crm.csv")).unwrap();
    repo.run(&["simulate"]).exits(1);
}

#[test]
fn the_same_days_are_the_same_twice() {
    let repo = Repo::with(&rules(
        &[
            ("welcome", ""),
            ("birthday", "runs_for = \"5d\"\nagain_after = \"30d\""),
        ],
        &format!(
            "[limit]\nper_contact = \"1/7d\"\n{NEW}[[enrol]]\nautomation = \"birthday\"\nsource = \"crm\"\n\
             where.born = {{ anniversary_within_next = \"2d\" }}\n"
        ),
    ));
    let rows: Vec<String> = (0..300)
        .map(|n| {
            format!(
                "c-{n},1980-{:02}-{:02},2026-{:02}-{:02},",
                n % 12 + 1,
                n % 28 + 1,
                n % 11 + 1,
                n % 27 + 1
            )
        })
        .collect();
    repo.write(
        "exports/crm.csv",
        csv(&rows.iter().map(String::as_str).collect::<Vec<_>>()),
    );
    let args = [
        "simulate",
        "--from",
        "2026-01-01",
        "--to",
        "2026-02-09",
        "--at",
        "09:00",
        "--at",
        "15:30",
        "--format",
        "json",
    ];
    let (first, second) = (repo.run(&args).exits(0), repo.run(&args).exits(0));
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(first.json()["applies"], 80);
    assert!(first.json()["summary"]["trigger"].as_u64().unwrap() > 50);
}

fn git(repo: &Repo, day: &str, args: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
        .args([
            "-c",
            "init.defaultBranch=main",
            "-c",
            "commit.gpgSign=false",
        ])
        .args(args)
        .current_dir(repo.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_COMMITTER_DATE", format!("{day}T12:00:00Z"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{args:?}: {done:?}");
}

fn commit(repo: &Repo, day: &str) {
    git(repo, day, &["add", "."]);
    git(repo, day, &["commit", "-qm", day]);
}

#[test]
fn two_sets_of_rules_stand_beside_each_other() {
    let repo = Repo::with(&rules(&[("welcome", "")], NEW));
    let rows = ["c-1,,2026-03-02,", "c-2,,2026-03-03,", "c-3,,2026-03-03,"];
    repo.write("exports/crm.csv", csv(&rows));
    git(&repo, "2026-01-01", &["init", "-q"]);
    commit(&repo, "2026-01-01");
    let ramp = rules(&[("welcome", "max_per_day = 1")], NEW);
    repo.write("rollcall.toml", ramp);
    let args = [
        "--from",
        "2026-03-01",
        "--to",
        "2026-03-03",
        "--against",
        "HEAD",
    ];
    let both = simulated(&repo, &args);
    assert_eq!(both["against"], "HEAD");
    assert_eq!(
        by_day(&both["before"]),
        [day("2026-03-02", 1, 0), day("2026-03-03", 2, 0)]
    );
    assert_eq!(
        by_day(&both["after"]),
        [day("2026-03-02", 1, 0), day("2026-03-03", 1, 0)]
    );
    let text = repo.run(&[&["simulate"], &args[..]].concat()).exits(0);
    insta::assert_snapshot!(text.stdout);
    let page = [&["simulate", "--format", "html"], &args[..]].concat();
    let page = repo.run(&page).exits(0).stdout;
    assert!(page.contains("By the rules of HEAD") && page.contains("By those of the working tree"));
    let said = repo
        .run(&["simulate", "--against", "nowhere"])
        .exits(1)
        .stderr;
    assert!(said.contains("There is no revision nowhere"), "{said}");
}

#[test]
fn exports_that_are_kept_in_git_count_from_their_commit_on() {
    let repo = Repo::with(&rules(&[("welcome", "")], CUSTOMER));
    git(&repo, "2026-01-01", &["init", "-q"]);
    for (day, rows) in [
        ("2026-01-05", &["c-1,,,customer"][..]),
        ("2026-01-07", &["c-1,,,customer", "c-2,,,customer"]),
        ("2026-01-09", &["c-2,,,customer"]),
    ] {
        repo.write("exports/crm.csv", csv(rows));
        commit(&repo, day);
    }
    repo.write("exports/crm.csv", csv(&["c-9,,,customer"]));
    let tried = simulated(&repo, &["--rev", "HEAD"]);
    assert_eq!(tried["sources"], json!([{ "source": "crm", "exports": 3 }]));
    assert_eq!(
        by_day(&tried),
        [day("2026-01-07", 1, 0), day("2026-01-09", 0, 1)]
    );
    let later = simulated(&repo, &["--rev", "HEAD~1..HEAD"]);
    assert_eq!(later["from"], "2026-01-09");
    for (range, wanted) in [
        ("HEAD..HEAD", "No commit of HEAD..HEAD has changed"),
        ("--all", "No commit of --all has changed"),
        ("nowhere", "nowhere"),
    ] {
        let rev = format!("--rev={range}");
        let said = repo.run(&["simulate", &rev]).exits(1).stderr;
        assert!(said.contains(wanted), "{said}");
    }
}
