//! Windows, ramps and limits of single automations: what is not triggered now, and what not at all.

mod common;

use common::{Done, Repo, Spotler};
use rollcall::sandbox::Options;
use serde_json::json;

const CODE: &str = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("c-{n:02}")).collect()
}

fn config(url: &str, head: &str, automation: &str, contacts: &[String]) -> String {
    let enrol = match contacts {
        [] => String::new(),
        contacts => format!("[[enrol]]\nautomation = \"welcome\"\ncontacts = {contacts:?}\n"),
    };
    format!(
        "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\nconcurrency = 1\n{head}\n[automation.welcome]\n\
         trigger_code = {CODE:?}\n{automation}\n{enrol}"
    )
}

/// Deferred triggers in short: `c-01 until 2026-…`.
fn deferred(done: &Done) -> Vec<String> {
    let json = done.json();
    let list = json["deferred"].as_array().cloned().unwrap_or_default();
    assert_eq!(
        json["summary"]["deferred"].as_u64().unwrap_or(0),
        list.len() as u64
    );
    list.iter()
        .map(|entry| {
            let until = entry["until"].as_str().unwrap_or("the next run");
            format!("{} until {until}", entry["contact"].as_str().unwrap())
        })
        .collect()
}

/// A zone where it is about noon now, so that no test runs over midnight.
fn zone_of_noon() -> String {
    let hour = jiff::Timestamp::now().strftime("%H").to_string();
    let east: i8 = 12 - hour.parse::<i8>().unwrap();
    format!("Etc/GMT{}{}", if east > 0 { '-' } else { '+' }, east.abs())
}

const OFFICE: &str = "[window]\ntriggers = \"Mon-Fri 08:00-18:00 Europe/Amsterdam\"";
// Monday, in winter.
const DAY: &str = "2026-11-23T12:00:00Z";
const NIGHT: &str = "2026-11-23T19:00:00Z";

#[test]
fn at_night_it_stops_and_does_not_trigger_and_says_when_it_will() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), OFFICE, "", &names(2)));
    let apply = |now| repo.run(&["apply", "--yes", "--format", "json", "--now", now]);
    apply(DAY).exits(0);
    let changed = config(&spotler.url(), OFFICE, "", &names(3)[1..]);
    repo.write("rollcall.toml", &changed);
    let plan = repo.run(&["plan", "--format", "json", "--now", NIGHT]);
    assert_eq!(plan.actions(), ["stop welcome c-01"]);
    assert_eq!(deferred(&plan), ["c-03 until 2026-11-24T07:00:00Z"]);
    let night = apply(NIGHT).exits(0);
    assert_eq!(night.actions(), ["stop welcome c-01 -> stopped"]);
    assert_eq!(deferred(&night), ["c-03 until 2026-11-24T07:00:00Z"]);
    assert_eq!(spotler.calls(), 3);
    let text = repo
        .run(&["apply", "--yes", "--now", NIGHT])
        .exits(0)
        .stdout;
    insta::assert_snapshot!("at_night", text);
    let silent = repo.run(&["apply", "--yes", "-q", "--now", NIGHT]).exits(0);
    assert_eq!((silent.stdout.as_str(), silent.stderr.as_str()), ("", ""));
    repo.run(&["plan", "--detailed-exitcode", "--now", NIGHT])
        .exits(2);
    assert_eq!(spotler.calls(), 3);
    let day = apply("2026-11-24T07:00:00Z").exits(0);
    assert_eq!(day.actions(), ["trigger welcome c-03 -> active"]);
    assert_eq!(day.json().get("deferred"), None);
}

#[test]
fn an_apply_that_runs_into_the_end_of_the_window_defers_the_rest() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), OFFICE, "", &names(4)));
    // Each answer takes longer than the window is still open.
    spotler.fault(json!([{ "fault": "slow", "ms": 1500 }]));
    let now = "2026-11-23T16:59:59Z";
    let done = repo
        .run(&["apply", "--yes", "--format", "json", "--now", now])
        .exits(0);
    let actions = done.actions();
    let sent = spotler.ledger().len();
    assert!(sent <= 1, "{actions:?}");
    for (place, action) in actions.iter().enumerate() {
        let outcome = if place < sent { "active" } else { "deferred" };
        assert!(action.ends_with(outcome), "{actions:?}");
    }
    assert_eq!(repo.recorded().len(), sent);
}

#[test]
fn service_mail_does_not_wait_for_the_window_and_keeps_to_its_ramp() {
    let spotler = Spotler::open();
    let receipt =
        "kind = \"service\"\nmax_per_run = 2\n[automation.receipt]\ntrigger_code = \"r-1\"";
    let marketing = "[[enrol]]\nautomation = \"receipt\"\ncontacts = [\"c-01\"]\n[[enrol]]";
    let text = config(&spotler.url(), OFFICE, receipt, &names(3));
    let repo = Repo::with(&text.replacen("[[enrol]]", marketing, 1));
    let night = ["--format", "json", "--now", NIGHT];
    let applied = repo
        .run(&[&["apply", "--yes"], &night[..]].concat())
        .exits(0);
    assert_eq!(
        applied.actions(),
        [
            "trigger welcome c-01 -> active",
            "trigger welcome c-02 -> active"
        ]
    );
    assert_eq!(
        deferred(&applied),
        ["c-01 until 2026-11-24T07:00:00Z", "c-03 until the next run"]
    );
    repo.write("rollcall.toml", text.replace("service", "newsletter"));
    let wrong = repo.run(&["validate"]).exits(1).stderr;
    assert!(wrong.contains("\"marketing\" or \"service\""), "{wrong}");
}

#[test]
fn a_saved_plan_of_service_mail_alone_is_applied_at_night() {
    let spotler = Spotler::open();
    let text = config(&spotler.url(), OFFICE, "kind = \"service\"", &names(1));
    let repo = Repo::with(&text);
    repo.run(&["plan", "--out", "day.plan", "--now", DAY])
        .exits(0);
    let applied = repo.run(&[
        "apply", "day.plan", "--yes", "--format", "json", "--now", NIGHT,
    ]);
    assert_eq!(
        applied.exits(0).actions(),
        ["trigger welcome c-01 -> active"]
    );
}

#[test]
fn a_ramp_sends_so_many_a_run_in_the_order_of_the_plan() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", "max_per_run = 2", &names(5)));
    assert_eq!(
        deferred(&repo.plan()),
        names(5)[2..]
            .iter()
            .map(|name| format!("{name} until the next run"))
            .collect::<Vec<_>>()
    );
    for expected in [&names(5)[..2], &names(5)[2..4], &names(5)[4..]] {
        let expected: Vec<String> = expected
            .iter()
            .map(|name| format!("trigger welcome {name} -> active"))
            .collect();
        assert_eq!(repo.apply().exits(0).actions(), expected);
    }
    assert_eq!(spotler.ledger().len(), 5);
}

#[test]
fn those_that_fail_again_and_again_do_not_keep_the_others_waiting() {
    let spotler = Spotler::start(Options {
        unknown_contacts: vec!["c-01".to_owned(), "c-02".to_owned()],
        ..Options::default()
    });
    let repo = Repo::with(&config(&spotler.url(), "", "max_per_run = 2", &names(6)));
    repo.apply().exits(3);
    // By then all who wait may be tried again.
    let later = in_twenty_minutes();
    let apply = || repo.run(&["apply", "--yes", "--format", "json", "--now", &later]);
    for actions in [
        [
            "trigger welcome c-03 -> active",
            "trigger welcome c-04 -> active",
        ],
        [
            "trigger welcome c-05 -> active",
            "trigger welcome c-06 -> active",
        ],
        [
            "trigger welcome c-01 -> waiting",
            "trigger welcome c-02 -> waiting",
        ],
    ] {
        assert_eq!(apply().exits(0).actions(), actions);
    }
}

/// When who is not known to Spotler now is tried again.
fn in_twenty_minutes() -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_mins(20)).to_string()
}

#[test]
fn a_day_takes_so_many_and_what_is_in_doubt_counts() {
    let spotler = Spotler::start(Options {
        unknown_contacts: vec!["c-02".to_owned()],
        ..Options::default()
    });
    spotler.fault(json!([{ "fault": "reset-after", "calls": [3] }]));
    let zone = format!("[time]\nzone = {:?}", zone_of_noon());
    let repo = Repo::with(&config(&spotler.url(), &zone, "max_per_day = 3", &names(5)));
    repo.apply().exits(3);
    spotler.fault(json!([]));
    // One is active, one was not carried out, one is in doubt: there is room for one more.
    let later = in_twenty_minutes();
    let again = repo.run(&["apply", "--yes", "--format", "json", "--now", &later]);
    let again = again.exits(0);
    assert_eq!(again.actions(), ["trigger welcome c-04 -> active"]);
    let waiting = deferred(&again);
    assert_eq!(waiting.len(), 2);
    assert!(waiting[0].starts_with("c-02 until 2"), "{waiting:?}");
    assert_eq!(repo.apply().exits(0).actions(), [""; 0]);
    let later = ["plan", "--format", "json", "--now", "2099-01-01"];
    assert_eq!(repo.run(&later).exits(0).actions().len(), 2);
}

#[test]
fn what_is_renewed_goes_on_as_it_is_until_it_may_be_triggered() {
    let spotler = Spotler::open();
    let text = |company: &str| {
        let more = format!(
            "on_change = \"retrigger\"\nfields.company = {company:?}\nparticipation = \"unlimited\""
        );
        config(&spotler.url(), OFFICE, &more, &names(1))
    };
    let repo = Repo::with(&text("one"));
    repo.run(&["apply", "--yes", "--now", DAY]).exits(0);
    repo.write("rollcall.toml", text("two"));
    let night = repo.run(&["plan", "--format", "json", "--now", NIGHT]);
    assert_eq!(night.actions(), [""; 0]);
    assert_eq!(deferred(&night), ["c-01 until 2026-11-24T07:00:00Z"]);
    let day = repo.run(&["plan", "--format", "json", "--now", DAY]);
    assert_eq!(day.actions(), ["stop welcome c-01", "trigger welcome c-01"]);
}

#[test]
fn a_window_that_closes_on_the_way_leaves_nobody_stopped() {
    let text = |url: &str, company: &str| {
        let more = format!(
            "on_change = \"retrigger\"\nfields.company = {company:?}\nparticipation = \"unlimited\""
        );
        config(url, OFFICE, &more, &names(2))
    };
    let both = |outcome: [&str; 2], name: &str| {
        [
            format!("stop welcome {name} -> {}", outcome[0]),
            format!("trigger welcome {name} -> {}", outcome[1]),
        ]
    };
    for (fault, may_send) in [
        // The wait at the gate is longer than the window is open.
        (
            json!({ "fault": "limit", "retry_after": "2", "times": 1 }),
            false,
        ),
        // So is the stop itself.
        (json!({ "fault": "slow", "ms": 1500, "kind": "stop" }), true),
    ] {
        let spotler = Spotler::open();
        let repo = Repo::with(&text(&spotler.url(), "one"));
        repo.run(&["apply", "--yes", "--now", DAY]).exits(0);
        repo.write("rollcall.toml", text(&spotler.url(), "two"));
        spotler.fault(json!([fault]));
        let apply = [
            "apply",
            "--yes",
            "--format",
            "json",
            "--now",
            "2026-11-23T16:59:59Z",
        ];
        let actions = repo.run(&apply).exits(0).actions();
        assert_eq!(actions.len(), 4, "{actions:?}");
        let mut renewed = 0;
        for (pair, name) in actions.chunks(2).zip(["c-01", "c-02"]) {
            if pair == both(["stopped", "active"], name) {
                renewed += 1;
            } else {
                assert_eq!(pair, both(["deferred", "deferred"], name));
            }
        }
        assert!(renewed <= usize::from(may_send), "{actions:?}");
        assert_eq!(
            repo.recorded(),
            ["welcome c-01 active", "welcome c-02 active"]
        );
        assert_eq!(spotler.running().len(), 2);
        assert_eq!(spotler.ledger().len(), 2 + 2 * renewed);
    }
}

#[test]
fn nobody_waits_to_be_adopted() {
    let spotler = Spotler::open();
    let ramp = "max_per_run = 1";
    let repo = Repo::with(&config(&spotler.url(), OFFICE, ramp, &names(3)));
    repo.run(&["adopt", "--yes", "--now", NIGHT]).exits(0);
    assert_eq!(repo.recorded().len(), 3);
}

#[test]
fn an_automation_with_limits_of_its_own_is_held_against_those() {
    let spotler = Spotler::open();
    let head = "[guard]\nmax_triggers = 2\nmax_stops = 2";
    let repo = Repo::with(&config(&spotler.url(), head, "", &names(4)));
    let refused = repo.run(&["apply", "--yes"]).exits(4);
    insta::assert_snapshot!("refused", refused.stderr);
    let own = "max_triggers = 4\nmax_stops = \"10%\"";
    repo.write(
        "rollcall.toml",
        config(&spotler.url(), head, own, &names(4)),
    );
    repo.apply().exits(0);
    // Too few to speak of a share.
    repo.write("rollcall.toml", config(&spotler.url(), head, own, &[]));
    repo.plan();
    let own = "max_triggers = 4\nmax_stops = 3";
    repo.write("rollcall.toml", config(&spotler.url(), head, own, &[]));
    let refused = repo.apply().exits(4);
    assert!(
        refused.stderr.contains(
            "too many stops in welcome: 4, the limit is 3 (max_stops at rollcall.toml:11)"
        ),
        "{}",
        refused.stderr
    );
    assert_eq!(spotler.calls(), 4);
}

#[test]
fn the_guard_counts_what_is_deferred() {
    let spotler = Spotler::open();
    let head = format!("{OFFICE}\n[guard]\nmax_triggers = 2");
    let repo = Repo::with(&config(&spotler.url(), &head, "max_per_run = 1", &names(4)));
    for now in [DAY, NIGHT] {
        let refused = repo.run(&["apply", "--yes", "--now", now]).exits(4);
        assert!(
            refused.stderr.contains("of them deferred), the limit is 2"),
            "{}",
            refused.stderr
        );
    }
    assert!(!repo.has_state());
    repo.run(&["apply", "--yes", "--allow-large", "--now", DAY])
        .exits(0);
    assert_eq!(spotler.calls(), 1);
}
