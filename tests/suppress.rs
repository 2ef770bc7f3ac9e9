//! Suppressed means stopped: whatever else is set, first of all, and also where the guard refuses the rest.

mod common;

use common::{Repo, Spotler};
use serde_json::json;

/// A configuration with these automations and enrolments by name, and these contacts suppressed.
fn config(
    url: &str,
    automations: &str,
    enrolments: &[(&str, &[&str])],
    suppressed: &[&str],
) -> String {
    let enrolments: String = enrolments
        .iter()
        .filter(|(_, contacts)| !contacts.is_empty())
        .map(|(name, contacts)| {
            format!("[[enrol]]\nautomation = {name:?}\ncontacts = {contacts:?}\n")
        })
        .collect();
    let suppress = match suppressed {
        [] => String::new(),
        contacts => format!("[[suppress]]\ncontacts = {contacts:?}\nreason = \"objected\"\n"),
    };
    format!(
        "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\nconcurrency = 1\n{automations}\n{enrolments}{suppress}"
    )
}

const CARE: &str = "[automation.care]\ntrigger_code = \"care\"";

/// So many contacts: `c-01`, `c-02` …
fn names(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("c-{n:02}")).collect()
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// Who is held as withheld, in a plan.
fn withheld(repo: &Repo) -> Vec<String> {
    let plan = repo.plan().json();
    let held = plan["held"].as_array().unwrap().iter();
    held.filter(|held| held["state"] == "withheld")
        .map(|held| {
            assert!(
                held["reason"]
                    .as_str()
                    .unwrap()
                    .starts_with("suppressed: objected (")
            );
            format!("{} {}", held["automation"], held["contact"]).replace('"', "")
        })
        .collect()
}

#[test]
fn what_was_let_go_is_stopped_when_its_contact_is_suppressed() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let keep = &format!("{CARE}\non_leave = \"keep\"");
    let repo = Repo::with(&config(&url, keep, &[("care", &["c-1"])], &[]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&url, keep, &[], &[]));
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["care c-1 let-go"]);
    repo.write("rollcall.toml", config(&url, keep, &[], &["c-1"]));
    let plan = repo.plan();
    assert_eq!(plan.actions(), ["stop care c-1"]);
    let reason = plan.json()["actions"][0]["reason"].clone();
    assert!(
        reason
            .as_str()
            .unwrap()
            .starts_with("suppressed: objected ("),
        "{reason}"
    );
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["care c-1 stopped"]);
    assert_eq!(spotler.running(), []);
    assert_eq!(repo.plan().actions(), [""; 0]);
}

#[test]
fn what_was_let_go_is_stopped_where_a_new_trigger_of_it_failed() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let keep = &format!("{CARE}\non_leave = \"keep\"");
    let declared: &[(&str, &[&str])] = &[("care", &["c-1"])];
    let repo = Repo::with(&config(&url, keep, declared, &[]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&url, keep, &[], &[]));
    repo.apply().exits(0);
    // Declared again, and not triggered: the first run of it goes on at Spotler.
    repo.write("rollcall.toml", config(&url, keep, declared, &[]));
    spotler.fault(json!([{ "fault": "revoked" }]));
    repo.apply().exits(3);
    assert_eq!(repo.recorded(), ["care c-1 let-go"]);
    spotler.fault(json!([]));
    spotler.put("unknown", &json!(["c-1"]));
    repo.apply();
    assert_eq!(repo.recorded(), ["care c-1 let-go"]);
    spotler.put("unknown", &json!([]));
    repo.write("rollcall.toml", config(&url, keep, declared, &["c-1"]));
    assert_eq!(repo.plan().actions(), ["stop care c-1"]);
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["care c-1 stopped"]);
}

#[test]
fn all_behind_one_code_are_stopped_when_their_contact_is_suppressed() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let two = &format!("{CARE}\n[automation.vip]\ntrigger_code = \"CARE\"\nleave_after = \"48h\"");
    let both: &[(&str, &[&str])] = &[("care", &["c-1"]), ("vip", &["c-1"])];
    let repo = Repo::with(&config(&url, two, both, &[]));
    // What was adopted has no id to be stopped by alone.
    repo.run(&["adopt", "--yes"]).exits(0);
    repo.write("rollcall.toml", config(&url, two, both, &["c-1"]));
    let stops = ["stop care c-1", "stop vip c-1"];
    assert_eq!(repo.plan().actions(), stops);
    let part = ["plan", "--format", "json", "--automation", "care"];
    assert_eq!(repo.run(&part).exits(0).actions(), stops[..1]);
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["care c-1 stopped", "vip c-1 stopped"]);
}

#[test]
fn a_stop_of_a_suppressed_contact_that_failed_is_tried_again() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let keep = &format!("{CARE}\non_leave = \"keep\"");
    let repo = Repo::with(&config(&url, keep, &[("care", &["c-1"])], &[]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&url, keep, &[], &[]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&url, keep, &[], &["c-1"]));
    for fault in ["revoked", "error-before"] {
        spotler.fault(json!([{ "fault": fault }]));
        repo.apply().exits(3);
        assert_eq!(repo.plan().actions(), ["stop care c-1"], "{fault}");
    }
    spotler.fault(json!([]));
    repo.apply().exits(0);
    assert_eq!(spotler.running(), []);
}

#[test]
fn a_stop_of_a_let_go_participation_that_was_killed_is_a_doubt() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let keep = &format!("{CARE}\non_leave = \"keep\"");
    let repo = Repo::with(&config(&url, keep, &[("care", &["c-1"])], &[]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&url, keep, &[], &[]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&url, keep, &[], &["c-1"]));
    let killed = repo
        .command(&["apply", "--yes"])
        .env("ROLLCALL_FAILPOINT", "send:before")
        .output()
        .unwrap();
    assert!(!killed.status.success());
    assert_eq!(repo.recorded(), ["care c-1 stop-uncertain"]);
    repo.apply();
    assert_eq!(repo.recorded(), ["care c-1 stopped"]);
    assert_eq!(spotler.running(), []);
}

#[test]
fn stops_of_suppressed_contacts_go_first() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let before = config(&url, CARE, &[("care", &["a-1", "m-1", "z-1"])], &[]);
    let repo = Repo::with(&before);
    repo.apply().exits(0);
    repo.write(
        "rollcall.toml",
        config(&url, CARE, &[("care", &["m-1", "n-1", "z-1"])], &["z-1"]),
    );
    let actions = ["stop care a-1", "trigger care n-1", "stop care z-1"];
    assert_eq!(repo.plan().actions(), actions);
    repo.apply().exits(0);
    assert_eq!(
        spotler.ledger()[3..],
        ["stop care z-1", "stop care a-1", "trigger care n-1"]
    );
}

/// Thirty in `care`, of whom all but five go, and one is suppressed: the guard refuses.
fn refused(spotler: &Spotler) -> (Repo, String) {
    let url = spotler.url();
    let names = names(30);
    let all = texts(&names);
    let repo = Repo::with(&config(&url, CARE, &[("care", &all)], &[]));
    repo.apply().exits(0);
    let now = config(&url, CARE, &[("care", &all[..5])], &["c-30"]);
    repo.write("rollcall.toml", &now);
    (repo, now)
}

#[test]
fn where_the_guard_refuses_those_who_are_suppressed_are_stopped_all_the_same() {
    let spotler = Spotler::open();
    let (repo, _) = refused(&spotler);
    let done = repo.apply().exits(4);
    assert_eq!(spotler.running().len(), 29);
    assert_eq!(spotler.ledger()[30..], ["stop care c-30"]);
    let outcomes = done.json()["actions"].as_array().unwrap().clone();
    let of = |contact: &str| {
        let action = outcomes.iter().find(|a| a["contact"] == contact).unwrap();
        action["outcome"].clone()
    };
    assert_eq!(
        (of("c-30"), of("c-29")),
        (json!("stopped"), json!("not-sent"))
    );
    assert!(
        done.stderr.contains(
            "nothing of this plan was sent but the stops of suppressed contacts: 1 stopped."
        ),
        "{}",
        done.stderr
    );
    // It is done, and the rest is refused for its own sake.
    let again = repo.run(&["apply", "--yes"]).exits(4);
    assert!(
        again
            .stderr
            .contains("nothing was sent and nothing was written"),
        "{}",
        again.stderr
    );
    assert!(
        !again.stderr.contains("of suppressed contacts:"),
        "{}",
        again.stderr
    );
    repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
    assert_eq!(spotler.running().len(), 5);
}

#[test]
fn a_refusal_sends_nothing_where_nobody_says_yes() {
    let spotler = Spotler::open();
    let (repo, _) = refused(&spotler);
    let done = repo.run(&["apply"]).exits(4);
    assert!(done.stderr.contains("--yes"), "{}", done.stderr);
    assert_eq!(spotler.running().len(), 30);
}

#[test]
fn a_refusal_tells_of_a_suppressed_contact_who_could_not_be_stopped() {
    let spotler = Spotler::open();
    let (repo, _) = refused(&spotler);
    spotler.fault(json!([{ "fault": "revoked" }]));
    let done = repo.run(&["apply", "--yes"]).exits(4);
    assert!(done.stderr.contains("1 not stopped"), "{}", done.stderr);
    spotler.fault(json!([]));
    repo.run(&["apply", "--yes"]).exits(4);
    assert_eq!(spotler.running().len(), 29);
}

#[test]
fn a_refusal_that_is_killed_while_it_stops_is_a_doubt_like_any_other() {
    let spotler = Spotler::open();
    let (repo, _) = refused(&spotler);
    let killed = repo
        .command(&["apply", "--yes"])
        .env("ROLLCALL_FAILPOINT", "send:after")
        .output()
        .unwrap();
    assert_eq!(killed.status.code(), None);
    let state = |repo: &Repo| repo.recorded().last().unwrap().clone();
    assert_eq!(state(&repo), "care c-30 stop-uncertain");
    repo.run(&["apply", "--yes"]).exits(4);
    assert_eq!(state(&repo), "care c-30 stopped");
    assert_eq!(spotler.running().len(), 29);
}

#[test]
fn a_refusal_stops_also_who_takes_the_new_name_of_an_automation() {
    let spotler = Spotler::open();
    let (repo, now) = refused(&spotler);
    let renamed = now
        .replace("[automation.care]", "[automation.help]")
        .replace("automation = \"care\"", "automation = \"help\"");
    let moved = "[[moved]]\nfrom = \"care\"\nto = \"help\"\n";
    repo.write("rollcall.toml", format!("{renamed}{moved}"));
    repo.run(&["apply", "--yes"]).exits(4);
    assert_eq!(repo.recorded().last().unwrap(), "help c-30 stopped");
    assert_eq!(spotler.running().len(), 29);
}

#[test]
fn a_saved_plan_that_the_guard_refuses_stops_those_who_are_suppressed() {
    let spotler = Spotler::open();
    let (repo, _) = refused(&spotler);
    repo.run(&["plan", "--out", "saved.json"]).exits(0);
    repo.run(&["apply", "--yes", "saved.json"]).exits(4);
    assert_eq!(spotler.running().len(), 29);
    // The record has changed since.
    repo.run(&["apply", "--yes", "--allow-large", "saved.json"])
        .exits(1);
}

#[test]
fn stops_of_suppressed_contacts_have_the_limit_to_themselves() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let names = names(30);
    let all = texts(&names);
    let repo = Repo::with(&config(&url, CARE, &[("care", &all)], &[]));
    repo.apply().exits(0);
    // Each is a sixth of them, and both together a third.
    let now = config(&url, CARE, &[("care", &all[..25])], &all[..5]);
    repo.write("rollcall.toml", now);
    repo.apply().exits(0);
    assert_eq!(spotler.running().len(), 20);
}

#[test]
fn too_many_suppressed_contacts_at_once_are_refused() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let names = names(30);
    let all = texts(&names);
    let repo = Repo::with(&config(&url, CARE, &[("care", &all)], &[]));
    repo.apply().exits(0);
    repo.write(
        "rollcall.toml",
        config(&url, CARE, &[("care", &all)], &all[..10]),
    );
    let refused = repo.apply().exits(4);
    assert!(
        refused
            .stderr
            .contains("too many stops of suppressed contacts"),
        "{}",
        refused.stderr
    );
    assert_eq!(spotler.running().len(), 30);
    repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
    assert_eq!(spotler.running().len(), 20);
}

#[test]
fn who_is_declared_and_suppressed_is_withheld_on_record_without_a_question() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let enrolments: &[(&str, &[&str])] = &[("care", &["c-1", "c-2"])];
    let repo = Repo::with(&config(&url, CARE, enrolments, &["c-2"]));
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["care c-1 active", "care c-2 withheld"]);
    assert_eq!(withheld(&repo), ["care c-2"]);
    repo.write(
        "rollcall.toml",
        config(&url, CARE, enrolments, &["c-1", "c-2"]),
    );
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["care c-1 stopped", "care c-2 withheld"]);
    // What is stopped by now is withheld from the next apply on, which asks nothing for that.
    let noted = repo.run(&["apply"]).exits(0);
    assert_eq!(
        noted.stdout,
        "Nothing to do. 0 participations as declared, 2 withheld.\n"
    );
    assert!(
        noted.stderr.contains("1 is now on record as withheld"),
        "{}",
        noted.stderr
    );
    assert_eq!(repo.recorded(), ["care c-1 withheld", "care c-2 withheld"]);
    assert_eq!(withheld(&repo), ["care c-1", "care c-2"]);
    let quiet = repo.run(&["apply", "--yes", "--quiet"]).exits(0);
    assert_eq!((quiet.stdout, quiet.stderr), (String::new(), String::new()));
    let explained = repo.run(&["explain", "c-2"]).exits(0).stdout;
    assert!(explained.contains("record: withheld"), "{explained}");
    assert_eq!(spotler.ledger().len(), 2);
}

#[test]
fn every_occurrence_is_withheld_by_itself() {
    let spotler = Spotler::open();
    let toml = format!(
        "[spotler]\nbase_url = {:?}\n[automation.review]\ntrigger_code = \"review\"\nrepeat_by = \"order\"\n\
         [automation.review.fields]\nname = \"{{{{ name }}}}\"\n\
         [source.orders]\ncsv = \"orders.csv\"\ncontact = \"id\"\n[[enrol]]\nautomation = \"review\"\nsource = \"orders\"\n\
         [[suppress]]\ncontacts = [\"c-1\"]\nreason = \"objected\"\n",
        spotler.url()
    );
    let repo = Repo::with(&toml);
    // What would be sent to who is suppressed is of no interest, nor whether it could be.
    repo.write(
        "orders.csv",
        "id,order,name\nc-1,o-2,a\nc-1,o-1,b\nc-1,o-1,c\nc-1,,d\nc-2,o-1,e\n",
    );
    repo.apply().exits(0);
    assert_eq!(
        repo.recorded(),
        [
            "review c-1 / o-1 withheld",
            "review c-1 / o-2 withheld",
            "review c-2 / o-1 active"
        ]
    );
    assert_eq!(withheld(&repo).len(), 2);
}

#[test]
fn who_is_suppressed_no_longer_is_triggered_and_the_plan_says_why() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let enrolments: &[(&str, &[&str])] = &[("care", &["c-1"])];
    let repo = Repo::with(&config(&url, CARE, enrolments, &["c-1"]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&url, CARE, enrolments, &[]));
    let plan = repo.plan();
    assert_eq!(plan.actions(), ["trigger care c-1"]);
    assert_eq!(plan.json()["actions"][0]["reason"], "no longer suppressed");
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["care c-1 active"]);
    assert_eq!(repo.plan().actions(), [""; 0]);
}

#[test]
fn a_cooldown_outlives_a_suppression() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let cooling = &format!("{CARE}\ncooldown = \"30d\"");
    let enrolments: &[(&str, &[&str])] = &[("care", &["c-1"])];
    let repo = Repo::with(&config(&url, cooling, enrolments, &[]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&url, cooling, enrolments, &["c-1"]));
    repo.apply().exits(0);
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["care c-1 withheld"]);
    repo.write("rollcall.toml", config(&url, cooling, enrolments, &[]));
    let plan = repo.plan();
    assert_eq!(plan.actions(), [""; 0]);
    assert_eq!(plan.json()["held"][0]["state"], "cooling");
}

#[test]
fn a_failed_trigger_of_who_is_suppressed_is_not_tried_again() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let enrolments: &[(&str, &[&str])] = &[("care", &["c-1"])];
    let cooling = &format!("{CARE}\ncooldown = \"30d\"");
    let repo = Repo::with(&config(&url, cooling, enrolments, &[]));
    spotler.fault(json!([{ "fault": "revoked" }]));
    repo.apply().exits(3);
    spotler.fault(json!([]));
    repo.write("rollcall.toml", config(&url, cooling, enrolments, &["c-1"]));
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["care c-1 withheld"]);
    repo.write("rollcall.toml", config(&url, cooling, enrolments, &[]));
    assert_eq!(repo.plan().actions(), ["trigger care c-1"]);
}

#[test]
fn forget_says_that_what_was_let_go_runs_on() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let keep = &format!("{CARE}\non_leave = \"keep\"");
    let repo = Repo::with(&config(&url, keep, &[("care", &["c-1"])], &[]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&url, keep, &[], &[]));
    repo.apply().exits(0);
    let forgotten = repo.run(&["record", "forget", "c-1", "--yes"]).exits(0);
    assert!(
        forgotten.stdout.contains("These go on at Spotler")
            && forgotten.stdout.contains("care (let-go)"),
        "{}",
        forgotten.stdout
    );
}

/// Two automations and these blocks.
fn blocks(url: &str, more: &str) -> String {
    format!(
        "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\nconcurrency = 1\n{CARE}\n[automation.bills]\n\
         trigger_code = \"bills\"\nkind = \"service\"\n{more}"
    )
}

const BOTH: &str = "[[enrol]]\nautomation = [\"bills\", \"care\"]\ncontacts = [\"c-1\", \"c-2\"]\n";

#[test]
fn a_block_holds_in_the_automations_that_it_names_and_in_those_of_its_kind() {
    for limit in ["automation = \"care\"", "kind = \"marketing\""] {
        let spotler = Spotler::open();
        let url = spotler.url();
        let suppress =
            format!("[[suppress]]\ncontacts = [\"c-1\"]\nreason = \"objected\"\n{limit}\n");
        let repo = Repo::with(&blocks(&url, &format!("{BOTH}{suppress}")));
        let plan = repo.plan();
        let triggers = ["trigger bills c-1", "trigger bills c-2", "trigger care c-2"];
        assert_eq!(plan.actions(), triggers, "{limit}");
        assert_eq!(withheld(&repo), ["care c-1"]);
        repo.apply().exits(0);
        let recorded = [
            "bills c-1 active",
            "care c-1 withheld",
            "bills c-2 active",
            "care c-2 active",
        ];
        assert_eq!(repo.recorded(), recorded);
        let explained = repo.run(&["explain", "c-1"]).exits(0).stdout;
        let line = "\n  suppressed by rollcall.toml:13: objected, whatever the blocks above say\n";
        assert!(
            explained.contains(line) && explained.contains("bills: in\n"),
            "{explained}"
        );
        assert_eq!(repo.plan().actions(), [""; 0]);
    }
}

#[test]
fn kind_and_automation_must_both_hold() {
    let spotler = Spotler::open();
    let both = "[[suppress]]\ncontacts = [\"c-1\"]\nautomation = [\"bills\", \"care\"]\nkind = \"service\"\n";
    let repo = Repo::with(&blocks(&spotler.url(), &format!("{BOTH}{both}")));
    let triggers = ["trigger care c-1", "trigger bills c-2", "trigger care c-2"];
    assert_eq!(repo.plan().actions(), triggers);
    let nowhere = both.replace("\"bills\", ", "");
    repo.write(
        "rollcall.toml",
        blocks(&spotler.url(), &format!("{BOTH}{nowhere}")),
    );
    let wrong = repo.run(&["validate"]).exits(1);
    assert!(
        wrong.stderr.contains("so it holds nowhere"),
        "{}",
        wrong.stderr
    );
    let unknown = both
        .replace("\"bills\"", "\"bill\"")
        .replace("\"service\"", "\"servce\"");
    repo.write(
        "rollcall.toml",
        blocks(&spotler.url(), &format!("{BOTH}{unknown}")),
    );
    let wrong = repo.run(&["validate"]).exits(1).stderr;
    assert!(
        wrong.contains("did you mean \"bills\"?") && wrong.contains("did you mean \"service\"?"),
        "{wrong}"
    );
}

#[test]
fn who_is_suppressed_in_one_automation_only_is_stopped_there_and_goes_on_elsewhere() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let care = BOTH.replace("\"bills\", ", "");
    let repo = Repo::with(&blocks(&url, &care));
    repo.apply().exits(0);
    let objected = "[[suppress]]\ncontacts = [\"c-2\"]\nautomation = \"care\"\n";
    repo.write("rollcall.toml", blocks(&url, &format!("{BOTH}{objected}")));
    let actions = ["trigger bills c-1", "stop care c-2", "trigger bills c-2"];
    assert_eq!(repo.plan().actions(), actions);
    repo.apply().exits(0);
    // Who has a stop as suppressed goes first, with all that is to be done of them.
    let sent = ["stop care c-2", "trigger bills c-2", "trigger bills c-1"];
    assert_eq!(spotler.ledger()[2..], sent);
    repo.apply().exits(0);
    let recorded = [
        "bills c-1 active",
        "care c-1 active",
        "bills c-2 active",
        "care c-2 withheld",
    ];
    assert_eq!(repo.recorded(), recorded);
}

#[test]
fn where_the_guard_refuses_only_the_stop_of_the_suppressed_participation_is_sent() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let care = BOTH.replace("\"bills\", ", "");
    let repo = Repo::with(&blocks(&url, &care));
    repo.apply().exits(0);
    let objected =
        "[[suppress]]\ncontacts = [\"c-2\"]\nautomation = \"care\"\n[guard]\nmax_triggers = 0\n";
    repo.write("rollcall.toml", blocks(&url, &format!("{BOTH}{objected}")));
    repo.apply().exits(4);
    assert_eq!(spotler.ledger()[2..], ["stop care c-2"]);
    assert_eq!(repo.recorded(), ["care c-1 active", "care c-2 stopped"]);
}

/// An automation behind the trigger code of care, of which the guard lets nobody be stopped.
const VIP: &str = "[automation.vip]\ntrigger_code = \"CARE\"\nmax_stops = 0\n";
const OBJECTED: &str = "[[suppress]]\ncontacts = [\"c-1\"]\nautomation = \"care\"\n";

fn enrol(automation: &str) -> String {
    format!("[[enrol]]\nautomation = {automation:?}\ncontacts = [\"c-1\"]\n")
}

#[test]
fn a_stop_of_a_suppressed_participation_reaches_no_other_that_the_guard_keeps() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let both = format!("{VIP}{}{}", enrol("care"), enrol("vip"));
    let repo = Repo::with(&blocks(&url, &both));
    repo.apply().exits(0);
    let rest = format!("{VIP}{}{OBJECTED}", enrol("care"));
    repo.write("rollcall.toml", blocks(&url, &rest));
    repo.apply().exits(4);
    assert_eq!(repo.recorded(), ["care c-1 stopped", "vip c-1 active"]);
    // Spotler stopped what the record says, and no more: by the id of one participation.
    let history = repo.run(&["history", "--format", "json"]).exits(0).json();
    let last = history["calls"].as_array().unwrap().last().unwrap().clone();
    assert!(last["automation_contact_id"].is_string(), "{last}");
}

#[test]
fn a_stop_that_reaches_what_the_guard_keeps_is_not_sent_without_the_rest() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let both = format!("{VIP}{}{}", enrol("care"), enrol("vip"));
    let repo = Repo::with(&blocks(&url, &both));
    // What was adopted has no id to be stopped by alone.
    repo.run(&["adopt", "--yes"]).exits(0);
    let rest = format!("{VIP}{}{OBJECTED}", enrol("care"));
    repo.write("rollcall.toml", blocks(&url, &rest));
    let plan = repo.plan();
    assert_eq!(plan.actions(), ["stop care c-1", "stop vip c-1"]);
    let reason = plan.json()["actions"][0]["reason"].to_string();
    assert!(
        reason.contains("no id is on record to stop it alone"),
        "{reason}"
    );
    repo.apply().exits(4);
    assert_eq!(repo.recorded(), ["care c-1 active", "vip c-1 active"]);
    assert_eq!(spotler.calls(), 0);
    repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
    assert_eq!(repo.recorded(), ["care c-1 stopped", "vip c-1 stopped"]);
    // Where the other one stays declared, it is held, and the plan says what to do.
    repo.write("rollcall.toml", blocks(&url, &both));
    repo.run(&["adopt", "--yes"]).exits(0);
    repo.write("rollcall.toml", blocks(&url, &format!("{both}{OBJECTED}")));
    let held = repo.plan().json()["held"][0]["reason"].to_string();
    assert!(held.contains("suppressed in those too"), "{held}");
}

#[test]
fn who_is_still_suppressed_elsewhere_is_no_release() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let objected =
        "[[suppress]]\ncontacts = [\"c-1\"]\nautomation = \"care\"\n[guard]\nmax_released = 0\n";
    let care = BOTH.replace("\"bills\", ", "");
    let repo = Repo::with(&blocks(&url, &format!("{care}{objected}")));
    repo.apply().exits(0);
    repo.write("rollcall.toml", blocks(&url, &format!("{BOTH}{objected}")));
    repo.apply().exits(0);
    let last = spotler.ledger();
    assert_eq!(last[1..], ["trigger bills c-1", "trigger bills c-2"]);
}
