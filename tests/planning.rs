//! The finer points of the table of plans: codes, doubts, cooldowns, turns and order.

mod common;

use common::{Repo, Spotler};
use rollcall::sandbox::{Options, Setting, Trigger};
use serde_json::json;

/// A configuration with these automations, and these enrolments by name: `("welcome", &["c-1"])`.
fn config(url: &str, automations: &str, enrolments: &[(&str, &[&str])]) -> String {
    let enrolments: String = enrolments
        .iter()
        .filter(|(_, contacts)| !contacts.is_empty())
        .map(|(name, contacts)| {
            format!("[[enrol]]\nautomation = {name:?}\ncontacts = {contacts:?}\n")
        })
        .collect();
    format!("[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\n{automations}\n{enrolments}")
}

/// A repeating automation over a table of orders.
fn orders(url: &str, more: &str) -> String {
    format!(
        "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\n\
         [automation.review]\ntrigger_code = \"review\"\nrepeat_by = \"order\"\n{more}\n\
         [source.orders]\ncsv = \"orders.csv\"\ncontact = \"id\"\n\
         [[enrol]]\nautomation = \"review\"\nsource = \"orders\"\n"
    )
}

fn write_orders(repo: &Repo, rows: &[&str]) {
    repo.write("orders.csv", format!("id,order\n{}\n", rows.join("\n")));
}

#[test]
fn codes_that_differ_in_case_alone_are_one_code_when_a_stop_is_made() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let two =
        "[automation.care]\ntrigger_code = \"ab-1\"\n[automation.vip]\ntrigger_code = \"AB-1\"";
    let repo = Repo::with(&config(&url, two, &[("care", &["c-1"]), ("vip", &["c-1"])]));
    repo.apply().exits(0);
    assert_eq!(spotler.running().len(), 2);
    repo.write("rollcall.toml", config(&url, two, &[("vip", &["c-1"])]));
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["care c-1 stopped", "vip c-1 active"]);
    assert_eq!(spotler.running().len(), 1, "the other one runs on");
}

#[test]
fn a_code_that_is_written_in_another_case_changes_nothing() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let code = |code: &str| format!("[automation.care]\ntrigger_code = {code:?}");
    let repo = Repo::with(&config(&url, &code("ab-1"), &[("care", &["c-1"])]));
    repo.apply().exits(0);
    repo.write(
        "rollcall.toml",
        config(&url, &code("AB-1"), &[("care", &["c-1"])]),
    );
    assert_eq!(repo.plan().actions(), [""; 0]);
    let listed = repo
        .run(&["automations", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(listed["automations"].as_array().unwrap().len(), 1);
    assert_eq!(listed["automations"][0]["configured"], json!(["care"]));
}

#[test]
fn what_has_no_id_is_stopped_in_the_run_in_which_another_of_its_code_comes() {
    let spotler = Spotler::open();
    let repo = Repo::with(&orders(&spotler.url(), ""));
    write_orders(&repo, &["c-1,o-1"]);
    repo.run(&["adopt", "--yes"]).exits(0);
    write_orders(&repo, &["c-1,o-2"]);
    assert_eq!(
        repo.apply().exits(0).actions(),
        [
            "stop review c-1 / o-1 -> stopped",
            "trigger review c-1 / o-2 -> active"
        ]
    );
    assert_eq!(
        spotler.ledger(),
        ["trigger review c-1"],
        "nothing ran to be stopped"
    );
    assert_eq!(spotler.running().len(), 1);
    assert_eq!(repo.plan().actions(), [""; 0]);
}

#[test]
fn a_doubt_is_stopped_in_the_run_in_which_another_of_its_code_comes() {
    let spotler = Spotler::open();
    let repo = Repo::with(&orders(&spotler.url(), ""));
    write_orders(&repo, &["c-1,o-1"]);
    spotler.fault(json!([{ "fault": "reset-after", "times": 1 }]));
    repo.apply().exits(3);
    write_orders(&repo, &["c-1,o-2"]);
    repo.apply().exits(0);
    assert_eq!(
        repo.recorded(),
        ["review c-1 / o-1 stopped", "review c-1 / o-2 active"]
    );
    let ledger = [
        "trigger review c-1",
        "stop review c-1",
        "trigger review c-1",
    ];
    assert_eq!(spotler.ledger(), ledger);
}

#[test]
fn nothing_is_triggered_behind_a_code_while_the_stop_of_all_behind_it_is_not_certain() {
    let spotler = Spotler::open();
    let repo = Repo::with(&orders(&spotler.url(), ""));
    write_orders(&repo, &["c-1,o-1"]);
    repo.run(&["adopt", "--yes"]).exits(0);
    write_orders(&repo, &["c-1,o-2"]);
    spotler.fault(json!([{ "fault": "error-after", "kind": "stop" }]));
    assert_eq!(
        repo.apply().exits(3).actions(),
        [
            "stop review c-1 / o-1 -> stop-uncertain",
            "trigger review c-1 / o-2 -> not-sent"
        ]
    );
    spotler.fault(json!([]));
    repo.apply().exits(0);
    assert_eq!(
        repo.recorded(),
        ["review c-1 / o-1 stopped", "review c-1 / o-2 active"]
    );
    assert_eq!(spotler.running().len(), 1);
}

#[test]
fn what_has_no_id_is_held_while_another_of_its_code_stays() {
    let spotler = Spotler::open();
    let repo = Repo::with(&orders(&spotler.url(), ""));
    write_orders(&repo, &["c-1,o-1", "c-1,o-2"]);
    repo.run(&["adopt", "--yes"]).exits(0);
    write_orders(&repo, &["c-1,o-2", "c-1,o-3"]);
    let plan = repo.plan();
    assert_eq!(plan.actions(), ["trigger review c-1 / o-3"]);
    assert_eq!(plan.json()["held"][0]["occurrence"], "o-1");
}

#[test]
fn a_refused_trigger_begins_no_cooldown() {
    for on_leave in ["stop", "keep"] {
        let spotler = Spotler::start(Options {
            triggers: vec![Trigger::new("Care", "care", Setting::Once)],
            ..Options::default()
        });
        let url = spotler.url();
        let apply = |repo: &Repo| repo.run(&["apply", "--yes", "--format", "json"]);
        let automation = format!(
            "[automation.care]\ntrigger_code = \"care\"\ncooldown = \"30d\"\non_leave = {on_leave:?}"
        );
        // Another record has triggered it, so that it is refused here.
        let other = Repo::with(&config(&url, &automation, &[("care", &["c-1"])]));
        apply(&other).exits(0);
        let repo = Repo::with(&config(&url, &automation, &[("care", &["c-1"])]));
        apply(&repo).exits(3);
        assert_eq!(repo.recorded(), ["care c-1 refused"]);
        repo.write("rollcall.toml", config(&url, &automation, &[]));
        apply(&repo).exits(0);
        repo.write(
            "rollcall.toml",
            config(&url, &automation, &[("care", &["c-1"])]),
        );
        assert_eq!(repo.plan().actions(), ["trigger care c-1"], "{on_leave}");
    }
}

#[test]
fn a_doubtful_stop_of_a_refused_trigger_begins_no_cooldown_either() {
    let spotler = Spotler::start(Options {
        triggers: vec![Trigger::new("Care", "care", Setting::Once)],
        ..Options::default()
    });
    let url = spotler.url();
    let automation = "[automation.care]\ntrigger_code = \"care\"\ncooldown = \"30d\"";
    let declared = config(&url, automation, &[("care", &["c-1"])]);
    Repo::with(&declared).apply().exits(0);
    let repo = Repo::with(&declared);
    repo.apply().exits(3);
    repo.write("rollcall.toml", config(&url, automation, &[]));
    spotler.fault(json!([{ "fault": "error-after", "kind": "stop" }]));
    repo.apply().exits(3);
    assert_eq!(repo.recorded(), ["care c-1 stop-uncertain"]);
    repo.write("rollcall.toml", declared);
    assert_eq!(repo.plan().actions(), ["stop care c-1", "trigger care c-1"]);
}

#[test]
fn a_part_of_a_plan_defers_what_the_whole_defers() {
    let spotler = Spotler::open();
    let automation = "[automation.care]\ntrigger_code = \"care\"\nmax_per_run = 1";
    let repo = Repo::with(&config(
        &spotler.url(),
        automation,
        &[("care", &["c-1", "c-2"])],
    ));
    let plan = |contact: &str| {
        let args = ["plan", "--format", "json", "--contact", contact];
        repo.run(&args).exits(0)
    };
    assert_eq!(plan("c-1").actions(), ["trigger care c-1"]);
    assert_eq!(plan("c-1").json()["deferred"], json!(null));
    let second = plan("c-2");
    assert_eq!(second.actions(), [""; 0]);
    assert_eq!(second.json()["deferred"][0]["contact"], "c-2");
    assert_eq!(second.json()["summary"]["deferred"], 1);
}

#[test]
fn the_trigger_of_a_renewal_comes_in_the_order_of_the_automations() {
    let spotler = Spotler::open();
    let automations = "[automation.a]\ntrigger_code = \"a\"\non_change = \"retrigger\"\nfields.company = \"{{ company }}\"\n\
                       [automation.b]\ntrigger_code = \"b\"";
    let with = |company: &str| format!("{automations}\n[contact.c-1]\ncompany = {company:?}");
    let url = spotler.url();
    let repo = Repo::with(&config(&url, &with("One"), &[("a", &["c-1"])]));
    repo.apply().exits(0);
    repo.write(
        "rollcall.toml",
        config(&url, &with("Two"), &[("a", &["c-1"]), ("b", &["c-1"])]),
    );
    assert_eq!(
        repo.apply().exits(0).actions(),
        [
            "stop a c-1 -> stopped",
            "trigger a c-1 -> active",
            "trigger b c-1 -> active"
        ]
    );
}

#[test]
fn only_once_makes_a_second_trigger_harmless() {
    for (setting, expected) in [
        ("once", vec!["trigger care c-1"]),
        ("once-while-running", vec![]),
        ("unlimited", vec![]),
    ] {
        let spotler = Spotler::open();
        spotler.fault(json!([{ "fault": "reset-after", "times": 1 }]));
        let automation =
            format!("[automation.care]\ntrigger_code = \"care\"\nparticipation = {setting:?}");
        let repo = Repo::with(&config(&spotler.url(), &automation, &[("care", &["c-1"])]));
        repo.apply().exits(3);
        let plan = repo.plan();
        assert_eq!(plan.actions(), expected, "{setting}");
        if expected.is_empty() {
            assert_eq!(plan.json()["held"][0]["state"], "uncertain");
        }
    }
}

#[test]
fn settling_a_doubt_does_not_let_its_leaving_begin_anew() {
    let spotler = Spotler::open();
    let url = spotler.url();
    let care = "[automation.care]\ntrigger_code = \"care\"\nleave_after = \"48h\"";
    let repo = Repo::with(&config(&url, care, &[("care", &["c-1"])]));
    spotler.fault(json!([{ "fault": "reset-after" }]));
    repo.apply().exits(3);
    repo.write("rollcall.toml", config(&url, care, &[]));
    repo.run(&["apply", "--yes", "--now", "2100-01-01"])
        .exits(0);
    repo.run(&["resolve", "--as", "active", "--yes"]).exits(0);
    let plan = |now| repo.run(&["plan", "--format", "json", "--now", now]);
    assert_eq!(plan("2100-01-02").exits(0).actions(), [""; 0]);
    assert_eq!(plan("2100-01-03").exits(0).actions(), ["stop care c-1"]);
}

#[test]
fn nothing_that_is_renewed_later_is_stopped_with_another_now() {
    let spotler = Spotler::open();
    let two = |note: &str, most: u32| {
        format!(
            "[automation.care]\ntrigger_code = \"ab\"\n[automation.vip]\ntrigger_code = \"ab\"\n\
             on_change = \"retrigger\"\nfields.note = \"{note}\"\nmax_per_run = {most}"
        )
    };
    let url = spotler.url();
    let both = [("care", &["c-1"][..]), ("vip", &["c-1"])];
    let repo = Repo::with(&config(&url, &two("one", 1), &both));
    repo.run(&["adopt", "--automation", "care", "--yes"])
        .exits(0);
    repo.apply().exits(0);
    // It has no id, and the call for all would stop the other one, which goes on until its turn comes.
    let vip = [("vip", &["c-1"][..])];
    repo.write("rollcall.toml", config(&url, &two("two", 0), &vip));
    let plan = repo.plan();
    assert_eq!(plan.actions(), [""; 0]);
    assert_eq!(plan.json()["held"][0]["automation"], "care");
    assert_eq!(plan.json()["deferred"][0]["automation"], "vip");
    repo.write("rollcall.toml", config(&url, &two("two", 1), &vip));
    let all = ["stop care c-1", "stop vip c-1", "trigger vip c-1"];
    assert_eq!(repo.plan().actions(), all);
}
