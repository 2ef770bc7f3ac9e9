//! Runs that end by time: `runs_for` and `again_after`.

mod common;

use common::{Repo, Spotler};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// An automation with these settings, and these contacts in it by name.
fn config(spotler: &Spotler, settings: &str, contacts: &[&str], more: &str) -> String {
    let enrol = match contacts {
        [] => String::new(),
        _ => format!("[[enrol]]\nautomation = \"check\"\ncontacts = {contacts:?}\n"),
    };
    format!(
        "[spotler]\nbase_url = {:?}\nrate = \"100000/s\"\n[automation.check]\ntrigger_code = \"check\"\n\
         {settings}\n{enrol}{more}",
        spotler.url()
    )
}

/// Today and so many days.
fn after(days: i64) -> String {
    (Timestamp::now() + SignedDuration::from_hours(24 * days)).to_string()
}

fn plan(repo: &Repo, days: i64) -> Value {
    let plan = ["plan", "--format", "json", "--now", &after(days)];
    repo.run(&plan).exits(0).json()
}

fn actions(repo: &Repo, days: i64) -> Vec<String> {
    let plan = ["plan", "--format", "json", "--now", &after(days)];
    repo.run(&plan).exits(0).actions()
}

fn apply(repo: &Repo, days: i64) {
    let apply = ["apply", "--yes", "--allow-large", "--now", &after(days)];
    repo.run(&apply).exits(0);
}

const NOTHING: [&str; 0] = [];
const CHECK: &str = "runs_for = \"21d\"\nagain_after = \"90d\"";

#[test]
fn who_stays_declared_is_triggered_again_once_again_after_has_passed_and_never_without_it() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler, CHECK, &["c-1"], ""));
    repo.apply().exits(0);
    assert_eq!(actions(&repo, 22), NOTHING);
    apply(&repo, 22);
    assert_eq!(repo.recorded(), ["check c-1 ended"]);
    assert_eq!(actions(&repo, 89), NOTHING);
    assert_eq!(actions(&repo, 91), ["trigger check c-1"]);
    // What is over stays over, whatever the setting becomes.
    repo.write("rollcall.toml", config(&spotler, "", &["c-1"], ""));
    assert_eq!(actions(&repo, 1000), NOTHING);
    repo.write("rollcall.toml", config(&spotler, "", &[], ""));
    assert_eq!(actions(&repo, 0), NOTHING);
    repo.write("rollcall.toml", config(&spotler, CHECK, &["c-1"], ""));
    apply(&repo, 91);
    assert_eq!(repo.recorded(), ["check c-1 active"]);
    assert_eq!(spotler.ledger().len(), 2);
}

#[test]
fn an_end_that_was_noted_by_a_clock_that_was_ahead_is_taken_back_until_it_has_come() {
    let spotler = Spotler::open();
    let declared = config(&spotler, CHECK, &["c-1"], "");
    let gone = config(&spotler, CHECK, &[], "");
    let repo = Repo::with(&declared);
    repo.apply().exits(0);
    apply(&repo, 22);
    assert_eq!(repo.recorded(), ["check c-1 ended"]);
    // It runs still, and is stopped where it is no longer declared.
    repo.write("rollcall.toml", &gone);
    assert_eq!(actions(&repo, 20), ["stop check c-1"]);
    assert_eq!(actions(&repo, 22), NOTHING);
    repo.write("rollcall.toml", &declared);
    assert_eq!(plan(&repo, 0)["summary"]["unchanged"], 1);
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["check c-1 active"]);
    // What a plan by that clock took for gone has come back.
    repo.write("rollcall.toml", &gone);
    apply(&repo, 22);
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["check c-1 stopped"]);
    assert_eq!(spotler.ledger().len(), 2);
}

#[test]
fn who_was_gone_after_the_end_is_a_new_enrolment_at_once_or_after_again_after() {
    for (settings, at_once) in [("runs_for = \"21d\"", true), (CHECK, false)] {
        let spotler = Spotler::open();
        let repo = Repo::with(&config(&spotler, settings, &["c-1"], ""));
        repo.apply().exits(0);
        repo.write("rollcall.toml", config(&spotler, settings, &[], ""));
        assert_eq!(actions(&repo, 20), ["stop check c-1"]);
        assert_eq!(actions(&repo, 22), NOTHING);
        apply(&repo, 22);
        assert_eq!(repo.recorded(), ["check c-1 ended"]);
        repo.write("rollcall.toml", config(&spotler, settings, &["c-1"], ""));
        let back = plan(&repo, 30);
        assert_eq!(!at_once, back["actions"].as_array().unwrap().is_empty());
        if !at_once {
            assert_eq!(back["held"][0]["state"], "ended");
        }
        assert_eq!(
            plan(&repo, 91)["actions"][0]["reason"],
            "declared again after its run had ended"
        );
    }
}

#[test]
fn who_was_let_go_and_comes_back_within_the_run_goes_on_without_a_call() {
    let settings = "runs_for = \"21d\"\non_leave = \"keep\"";
    let spotler = Spotler::open();
    let declared = config(&spotler, settings, &["c-1"], "");
    let gone = config(&spotler, settings, &[], "");
    let repo = Repo::with(&declared);
    repo.apply().exits(0);
    repo.write("rollcall.toml", &gone);
    apply(&repo, 1);
    assert_eq!(repo.recorded(), ["check c-1 let-go"]);
    repo.write("rollcall.toml", &declared);
    assert_eq!(plan(&repo, 2)["summary"]["unchanged"], 1);
    apply(&repo, 2);
    assert_eq!(repo.recorded(), ["check c-1 active"]);
    repo.write("rollcall.toml", &gone);
    apply(&repo, 3);
    repo.write("rollcall.toml", &declared);
    assert_eq!(actions(&repo, 22), ["trigger check c-1"]);
    assert_eq!(spotler.ledger().len(), 1);
}

#[test]
fn who_is_suppressed_when_the_run_is_over_is_not_stopped_and_is_a_release_later() {
    let spotler = Spotler::open();
    let list = "[[suppress]]\ncontacts = [\"c-1\"]\nreason = \"objected\"\n";
    let settings = "runs_for = \"21d\"";
    let repo = Repo::with(&config(&spotler, settings, &["c-1"], ""));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&spotler, settings, &["c-1"], list));
    assert_eq!(actions(&repo, 20), ["stop check c-1"]);
    assert_eq!(actions(&repo, 22), NOTHING);
    apply(&repo, 22);
    assert_eq!(repo.recorded(), ["check c-1 ended"]);
    let none = "[guard]\nmax_released = 0\n";
    repo.write("rollcall.toml", config(&spotler, settings, &["c-1"], none));
    let released = plan(&repo, 23);
    assert_eq!(released["actions"][0]["action"], "trigger");
    assert_eq!(released["guard"]["refused"], true);
}

#[test]
fn a_renamed_automation_mails_nobody_again_whose_run_has_ended() {
    let spotler = Spotler::open();
    let toml = config(&spotler, "runs_for = \"21d\"", &["c-1"], "");
    let repo = Repo::with(&toml);
    repo.apply().exits(0);
    repo.write(
        "rollcall.toml",
        toml.replace("check", "inquiry")
            .replace("\"inquiry\"\nruns", "\"check\"\nruns"),
    );
    assert_eq!(plan(&repo, 22)["guard"]["refused"], true);
    apply_refused(&repo, 22);
}

fn apply_refused(repo: &Repo, days: i64) {
    repo.run(&["apply", "--yes", "--now", &after(days)])
        .exits(4);
}

#[test]
fn a_doubt_does_not_end_by_time() {
    let spotler = Spotler::open();
    let settings = "runs_for = \"21d\"\nagain_after = \"21d\"";
    let repo = Repo::with(&config(&spotler, settings, &["c-1"], ""));
    spotler.fault(serde_json::json!([{ "fault": "reset-after", "times": 1 }]));
    repo.apply().exits(3);
    assert_eq!(plan(&repo, 99)["held"][0]["state"], "uncertain");
    repo.write("rollcall.toml", config(&spotler, settings, &[], ""));
    assert_eq!(actions(&repo, 99), ["stop check c-1"]);
}

#[test]
fn what_cannot_be_meant_is_an_error_and_what_does_nothing_a_warning() {
    let spotler = Spotler::open();
    for (settings, code, said) in [
        (
            "runs_for = \"21d\"\nagain_after = \"20d\"",
            1,
            "is shorter than `runs_for`",
        ),
        ("runs_for = \"0d\"", 1, "every run would be over at once"),
        (
            "again_after = \"20d\"",
            0,
            "does nothing: without `runs_for`",
        ),
    ] {
        let repo = Repo::with(&config(&spotler, settings, &["c-1"], ""));
        let done = repo.run(&["validate"]).exits(code);
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
}

#[test]
fn a_source_that_ran_dry_makes_nobody_over_who_has_ended() {
    let never = "runs_for = \"21d\"";
    let with = |spotler: &Spotler, more: &str| {
        let crm = "[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
                   [[enrol]]\nautomation = \"check\"\nsource = \"crm\"\n";
        config(spotler, never, &[], &format!("{crm}{more}"))
    };
    let list = "[source.list]\ncsv = \"list.csv\"\ncontact = \"id\"\n\
                [[require]]\nsource = \"list\"\n";
    for (file, more) in [("crm.csv", ""), ("list.csv", list)] {
        let spotler = Spotler::open();
        let repo = Repo::with(&with(&spotler, more));
        let rows = "id\nc-1\nc-2\n";
        repo.write("crm.csv", rows);
        repo.write("list.csv", rows);
        repo.apply().exits(0);
        apply(&repo, 22);
        let recorded = repo.recorded();
        assert_eq!(recorded, ["check c-1 ended", "check c-2 ended"], "{file}");
        // Once it is whole again, they would all come as new enrolments, or as released.
        repo.write(file, "id\n");
        let now = after(23);
        let refused = repo.run(&["apply", "--yes", "--now", &now]).exits(4);
        let says = "has no rows, and had 2 at the last apply";
        assert!(refused.stderr.contains(says), "{file}: {}", refused.stderr);
        let told = refused.stderr.replace("\n  ", " ");
        let says = "0 stopped or let go, and 2 that have ended taken for gone";
        assert!(told.contains(says), "{file}: {told}");
        repo.write(file, rows);
        apply(&repo, 24);
        assert_eq!(actions(&repo, 25), NOTHING, "{file}");
        assert_eq!(spotler.ledger().len(), 2, "{file}");
    }
}

#[test]
fn a_plan_that_was_saved_for_a_time_to_come_ends_nothing_before_that() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler, CHECK, &["c-1"], ""));
    repo.apply().exits(0);
    repo.run(&["plan", "--out", "plan.json", "--now", &after(22)])
        .exits(0);
    let refused = repo.run(&["apply", "plan.json", "--yes"]).exits(1);
    assert!(
        refused.stderr.contains("nothing was sent"),
        "{}",
        refused.stderr
    );
    assert_eq!(repo.recorded(), ["check c-1 active"]);
    let then = ["apply", "plan.json", "--yes", "--now", &after(23)];
    repo.run(&then).exits(0);
    assert_eq!(repo.recorded(), ["check c-1 ended"]);
}

#[test]
fn few_of_those_who_have_ended_may_be_taken_for_gone_or_suppressed_at_once() {
    let spotler = Spotler::open();
    let names: Vec<String> = (1..=30).map(|number| format!("c-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let never = "runs_for = \"21d\"";
    let of = |names: &[&str], more: &str| config(&spotler, never, names, more);
    let repo = Repo::with(&of(&names, ""));
    repo.apply().exits(0);
    apply(&repo, 22);
    let everybody = "[[suppress]]\ncontacts = \"c-*\"\n";
    let everybody = everybody.replace("\"c-*\"", &format!("{names:?}"));
    for wrong in [of(&names[..1], ""), of(&names, &everybody)] {
        repo.write("rollcall.toml", wrong);
        let refused = repo
            .run(&["apply", "--yes", "--now", &after(23)])
            .exits(4)
            .stderr
            .replace("\n  ", " ");
        let says = "too many who have ended in check would be taken for gone or suppressed: ";
        assert!(refused.contains(says), "{refused}");
        // It is mended: nobody comes as anybody new.
        repo.write("rollcall.toml", of(&names, ""));
        apply(&repo, 24);
        assert_eq!(actions(&repo, 25), NOTHING);
    }
    // A few may go, as may a few who run.
    repo.write("rollcall.toml", of(&names[..25], ""));
    let few = ["apply", "--yes", "--now", &after(24)];
    repo.run(&few).exits(0);
    assert_eq!(spotler.ledger().len(), 30);
}

#[test]
fn a_freeze_of_all_keeps_those_who_have_ended_from_being_taken_for_gone() {
    let spotler = Spotler::open();
    let never = "runs_for = \"21d\"";
    let declared = config(&spotler, never, &["c-1"], "");
    let repo = Repo::with(&declared);
    repo.apply().exits(0);
    apply(&repo, 22);
    let frozen = "[[freeze]]\nall = true\nreason = \"the CRM moves\"\n";
    repo.write("rollcall.toml", config(&spotler, never, &[], frozen));
    apply(&repo, 23);
    repo.write("rollcall.toml", declared);
    assert_eq!(actions(&repo, 24), NOTHING);
}
