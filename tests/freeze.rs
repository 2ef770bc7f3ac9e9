//! `[[freeze]]`: what waits, until when, and that every plan says why.

mod common;

use common::{Done, Repo, Spotler};
use serde_json::json;

const REASON: &str = "the shop is closed";

/// Two automations, and who is in them by the contacts of each.
fn config(url: &str, freeze: &str, welcome: &[&str], winback: &[&str]) -> String {
    let enrol = |name: &str, contacts: &[&str]| match contacts {
        [] => String::new(),
        _ => format!("[[enrol]]\nautomation = \"{name}\"\ncontacts = {contacts:?}\n"),
    };
    format!(
        "[spotler]\nbase_url = {url:?}\n[time]\nzone = \"Europe/Amsterdam\"\n[guard]\nmax_stops = 100\n{freeze}\n\
         [automation.welcome]\ntrigger_code = \"w-1\"\n[automation.winback]\ntrigger_code = \"b-1\"\n{}{}",
        enrol("welcome", welcome),
        enrol("winback", winback)
    )
}

fn freeze(lines: &str) -> String {
    format!("[[freeze]]\nreason = {REASON:?}\n{lines}\n")
}

/// Who waits, in short: `welcome c-1 until 2026-…`.
#[track_caller]
fn deferred(done: &Done) -> Vec<String> {
    let json = done.json();
    let list = json["deferred"].as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("further notice").to_owned();
    list.iter()
        .map(|of| {
            assert!(text(&of["reason"]).starts_with("frozen "), "{of}");
            format!(
                "{} {} until {}",
                text(&of["automation"]),
                text(&of["contact"]),
                text(&of["until"])
            )
        })
        .collect()
}

/// Who is held by a freeze.
fn held(done: &Done) -> Vec<String> {
    let json = done.json();
    let held = json["held"].as_array().unwrap().iter();
    let held = held.filter(|of| of["state"] == "frozen");
    held.map(|of| {
        format!(
            "{} {}",
            of["automation"].as_str().unwrap(),
            of["contact"].as_str().unwrap()
        )
    })
    .collect()
}

#[test]
fn triggers_wait_and_stops_go_on() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"], &[]));
    repo.apply().exits(0);
    let december = freeze("from = 2026-12-24\nuntil = 2026-12-26");
    repo.write(
        "rollcall.toml",
        config(&spotler.url(), &december, &["c-2"], &["c-1"]),
    );
    let now = ["--format", "json", "--now", "2026-12-25T12:00:00Z"];
    let plan = repo.run(&[&["plan"], &now[..]].concat()).exits(0);
    assert_eq!(plan.actions(), ["stop welcome c-1"]);
    let waiting = [
        "winback c-1 until 2026-12-26T23:00:00Z",
        "welcome c-2 until 2026-12-26T23:00:00Z",
    ];
    assert_eq!(deferred(&plan), waiting);
    let applied = repo.run(&[&["apply", "--yes"], &now[..]].concat()).exits(0);
    assert_eq!(applied.actions(), ["stop welcome c-1 -> stopped"]);
    assert_eq!(deferred(&applied), waiting);
    assert_eq!(spotler.ledger().len(), 2);
    // Who waits is pending.
    repo.run(&["plan", "--detailed-exitcode", "--now", now[3]])
        .exits(2);
}

#[test]
fn a_day_counts_whole_in_the_zone_and_a_time_to_the_second() {
    let spotler = Spotler::open();
    let waits = |lines: &str, now: &str| {
        let repo = Repo::with(&config(&spotler.url(), &freeze(lines), &["c-1"], &[]));
        let plan = repo.run(&["plan", "--format", "json", "--now", now]);
        plan.exits(0).json()["summary"]["trigger"] == 0
    };
    for (lines, before, first, last, after) in [
        // Winter: an hour ahead of UTC.
        (
            "from = 2026-12-24\nuntil = 2026-12-26",
            "2026-12-23T22:59:59Z",
            "2026-12-23T23:00:00Z",
            "2026-12-26T22:59:59Z",
            "2026-12-26T23:00:00Z",
        ),
        // The night in which summer time begins, and the one in which it ends.
        (
            "from = 2026-03-29\nuntil = 2026-03-29",
            "2026-03-28T22:59:59Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T21:59:59Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            "from = 2026-10-25\nuntil = 2026-10-25",
            "2026-10-24T21:59:59Z",
            "2026-10-24T22:00:00Z",
            "2026-10-25T22:59:59Z",
            "2026-10-25T23:00:00Z",
        ),
        (
            "from = 2026-12-24T18:00:00\nuntil = 2026-12-27T08:00:00Z",
            "2026-12-24T16:59:59Z",
            "2026-12-24T17:00:00Z",
            "2026-12-27T07:59:59Z",
            "2026-12-27T08:00:00Z",
        ),
    ] {
        assert!(!waits(lines, before), "{lines} {before}");
        assert!(waits(lines, first), "{lines} {first}");
        assert!(waits(lines, last), "{lines} {last}");
        assert!(!waits(lines, after), "{lines} {after}");
    }
    assert!(waits("", "2026-01-01T00:00:00Z"));
    assert!(waits("from = 2026-06-01", "2031-01-01T00:00:00Z"));
    assert!(!waits("from = 2026-06-01", "2026-05-01T00:00:00Z"));
    assert!(waits("until = 2026-06-01", "1999-01-01T00:00:00Z"));
    assert!(!waits("until = 2026-06-01", "2026-06-02T00:00:00Z"));
}

#[test]
fn it_is_of_one_automation_or_several_and_the_longest_counts() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let plan = |freezes: &str| {
        let repo = Repo::with(&config(&url, freezes, &["c-1"], &["c-1"]));
        repo.run(&["plan", "--format", "json", "--now", "2026-12-25T12:00:00Z"])
            .exits(0)
    };
    let one = plan(&freeze("automation = \"winback\""));
    assert_eq!(one.actions(), ["trigger welcome c-1"]);
    assert_eq!(deferred(&one), ["winback c-1 until further notice"]);
    let both = plan(&freeze("automation = [\"winback\", \"welcome\"]"));
    assert_eq!(both.actions(), Vec::<String>::new());
    let chain = [
        "until = 2026-12-26T00:00:00Z",
        "from = 2026-12-26T00:00:00Z\nuntil = 2026-12-28T00:00:00Z\nautomation = \"winback\"",
        "until = 2026-12-25T18:00:00Z",
    ];
    assert_eq!(
        deferred(&plan(&chain.map(freeze).concat())),
        [
            "welcome c-1 until 2026-12-26T00:00:00Z",
            "winback c-1 until 2026-12-28T00:00:00Z"
        ]
    );
    let window = "[window]\ntriggers = \"Mon-Fri 08:00-18:00 UTC\"\n";
    let behind = window.to_owned() + &freeze("until = 2026-12-25");
    assert_eq!(
        deferred(&plan(&behind))[0],
        "welcome c-1 until 2026-12-28T08:00:00Z"
    );
}

#[test]
fn with_all_stops_and_letting_go_and_leaving_wait_but_not_for_the_suppressed() {
    let spotler = Spotler::open();
    let extra = "[automation.keep]\ntrigger_code = \"k-1\"\non_leave = \"keep\"\n[automation.later]\n\
                 trigger_code = \"l-1\"\nleave_after = \"48h\"\n";
    let declared = "[[enrol]]\nautomation = [\"keep\", \"later\"]\ncontacts = [\"c-1\"]\n";
    let config = |freeze: &str, declared: &str, welcome: &[&str]| {
        config(&spotler.url(), freeze, welcome, &[]) + extra + declared
    };
    let repo = Repo::with(&config("", declared, &["c-1", "c-2"]));
    repo.apply().exits(0);
    let before = repo.run(&["record", "show", "--format", "json"]).json()["serial"].clone();
    let frozen = freeze("all = true");
    repo.write("rollcall.toml", config(&frozen, "", &[]));
    let applied = repo.apply().exits(0);
    assert_eq!(applied.actions(), Vec::<String>::new());
    assert_eq!(
        held(&applied),
        ["keep c-1", "later c-1", "welcome c-1", "welcome c-2"]
    );
    let after = repo.run(&["record", "show", "--format", "json"]).json()["serial"].clone();
    assert_eq!(before, after, "nothing began to leave");
    let objected = "[[suppress]]\ncontacts = [\"c-1\"]\n";
    repo.write("rollcall.toml", config(&frozen, objected, &[]));
    let applied = repo.apply().exits(0);
    assert_eq!(
        applied.actions(),
        [
            "stop keep c-1 -> stopped",
            "stop later c-1 -> stopped",
            "stop welcome c-1 -> stopped"
        ]
    );
    assert_eq!(held(&applied), ["welcome c-2"]);
    // Without `all`, what is gone goes; of an automation that is gone from the configuration too.
    let gone = config("", "", &[]).replace("[automation.welcome]\ntrigger_code = \"w-1\"", "");
    repo.write("rollcall.toml", gone.clone() + &frozen);
    assert_eq!(held(&repo.apply().exits(0)), ["welcome c-2"]);
    repo.write("rollcall.toml", gone + &freeze(""));
    assert_eq!(
        repo.apply().exits(0).actions(),
        ["stop welcome c-2 -> stopped"]
    );
}

#[test]
fn every_plan_says_why_also_where_there_is_nothing_to_do() {
    let spotler = Spotler::open();
    let frozen = freeze("until = 2026-12-26\nautomation = \"winback\"");
    let repo = Repo::with(&config(&spotler.url(), &frozen, &["c-1"], &[]));
    let now = ["--now", "2026-12-25T12:00:00Z"];
    repo.run(&[&["apply", "--yes"], &now[..]].concat()).exits(0);
    let says = "Triggers of winback wait until Sun 2026-12-27 at 00:00 Europe/Amsterdam: the shop is closed \
                (rollcall.toml:7)";
    for shown in [
        &["plan"][..],
        &["plan", "--diff"],
        &["plan", "--summary"],
        &["plan", "--format", "markdown"],
        &["plan", "--format", "html"],
        &["apply", "--yes"],
    ] {
        let done = repo.run(&[shown, &now[..]].concat()).exits(0);
        let all = done.stdout + &done.stderr;
        assert!(all.contains(says), "{shown:?} {all}");
    }
    for command in [&["plan"][..], &["apply", "--yes"]] {
        let done = repo.run(&[command, &["--format", "json"], &now[..]].concat());
        assert_eq!(
            done.json()["frozen"],
            json!([{
                "automation": ["winback"],
                "from": null,
                "until": "2026-12-26T23:00:00Z",
                "all": false,
                "reason": REASON,
                "declared_at": "rollcall.toml:7"
            }])
        );
    }
    let over = repo.run(&["plan", "--format", "json", "--now", "2026-12-27T00:00:00Z"]);
    assert_eq!(over.json().get("frozen"), None);
    let quiet = repo.run(&[&["apply", "--yes", "-q"], &now[..]].concat());
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let explained = repo.run(&[&["explain", "c-1"], &now[..]].concat()).exits(0);
    let says = "frozen until Sun 2026-12-27 at 00:00 Europe/Amsterdam: the shop is closed (rollcall.toml:7)";
    assert_eq!(
        explained.stdout.matches(says).count(),
        1,
        "{}",
        explained.stdout
    );
}

#[test]
fn service_mail_waits_too_and_who_is_frozen_in_the_first_stays_there() {
    let spotler = Spotler::open();
    let service = freeze("").to_owned();
    let text = config(&spotler.url(), &service, &["c-1"], &[]);
    let repo = Repo::with(&text.replace("\"w-1\"", "\"w-1\"\nkind = \"service\""));
    assert_eq!(repo.plan().actions(), Vec::<String>::new());
    let exclusive = "[[exclusive]]\nautomations = [\"winback\", \"welcome\"]\n";
    let frozen = exclusive.to_owned() + &freeze("automation = \"winback\"");
    let repo = Repo::with(&config(&spotler.url(), &frozen, &["c-1"], &["c-1"]));
    let plan = repo.plan();
    assert_eq!(plan.actions(), Vec::<String>::new());
    assert_eq!(deferred(&plan), ["winback c-1 until further notice"]);
}

#[test]
fn what_is_frozen_counts_for_no_limit_of_a_contact() {
    let spotler = Spotler::open();
    let frozen =
        "[limit]\nper_contact = \"1/7d\"\n".to_owned() + &freeze("automation = \"welcome\"");
    let repo = Repo::with(&config(&spotler.url(), &frozen, &["c-1"], &["c-1"]));
    let plan = repo.plan();
    assert_eq!(plan.actions(), ["trigger winback c-1"]);
    assert_eq!(deferred(&plan), ["welcome c-1 until further notice"]);
}

#[test]
fn what_cannot_be_meant_is_an_error() {
    let spotler = Spotler::open();
    for (lines, says) in [
        (
            "from = 2026-12-26\nuntil = 2026-12-24",
            "`until` is before `from`",
        ),
        (
            "from = 2026-12-26T00:00:00Z\nuntil = 2026-12-26T00:00:00Z",
            "`until` is before `from`",
        ),
        ("from = \"2026-12-26\"", "without quotes"),
        ("automation = \"winbck\"", "winback"),
        ("automation = []", "`automation` is empty"),
        ("untill = 2026-12-26", "did you mean `until`"),
    ] {
        let repo = Repo::with(&config(&spotler.url(), &freeze(lines), &["c-1"], &[]));
        let wrong = repo.run(&["validate"]).exits(1).stderr;
        assert!(wrong.contains(says), "{lines}\n{wrong}");
    }
    let repo = Repo::with(&config(
        &spotler.url(),
        &freeze("from = 2026-12-26\nuntil = 2026-12-26"),
        &["c-1"],
        &[],
    ));
    repo.run(&["validate"]).exits(0);
}

#[test]
fn a_saved_plan_waits_for_the_end_of_a_freeze() {
    let spotler = Spotler::open();
    let frozen = freeze("from = 2026-12-24\nuntil = 2026-12-26");
    let repo = Repo::with(&config(&spotler.url(), &frozen, &["c-1"], &[]));
    repo.run(&[
        "plan",
        "--out",
        "saved.plan",
        "--now",
        "2026-12-23T12:00:00Z",
    ])
    .exits(0);
    let apply = |now| repo.run(&["apply", "saved.plan", "--yes", "--now", now]);
    let refused = apply("2026-12-25T12:00:00Z").exits(1);
    assert!(
        refused.stderr.contains("the shop is closed"),
        "{}",
        refused.stderr
    );
    assert_eq!(spotler.calls(), 0);
    apply("2026-12-27T12:00:00Z").exits(0);
    assert_eq!(spotler.ledger(), ["trigger w-1 c-1"]);
}

#[test]
fn a_freeze_that_begins_during_a_run_holds_from_then_on() {
    let spotler = Spotler::open();
    let frozen = freeze("from = 2026-12-24T12:00:00Z\nall = true");
    let one_by_one = |freeze: &str, welcome: &[&str], winback: &[&str]| {
        config(&spotler.url(), freeze, welcome, winback)
            .replace("[time]", "concurrency = 1\nrate = \"100000/s\"\n[time]")
    };
    let repo = Repo::with(&one_by_one("", &["c-1", "c-2", "c-3"], &[]));
    repo.apply().exits(0);
    repo.write(
        "rollcall.toml",
        one_by_one(&frozen, &[], &["c-4", "c-5", "c-6"]),
    );
    // Each answer takes longer than it is until the freeze.
    spotler.fault(json!([{ "fault": "slow", "ms": 1500 }]));
    let before = spotler.ledger().len();
    let now = "2026-12-24T11:59:59Z";
    let done = repo.run(&["apply", "--yes", "--format", "json", "--now", now]);
    let done = done.exits(0);
    let sent = spotler.ledger().len() - before;
    assert!(sent <= 1, "{:?}", done.actions());
    for action in done.actions().iter().skip(1) {
        assert!(action.ends_with("-> deferred"), "{:?}", done.actions());
    }
}
