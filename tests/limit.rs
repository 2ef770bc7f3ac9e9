//! `[limit] per_contact`: how much mail one contact may get, over all automations.

mod common;

use common::{Repo, Spotler};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Automations in this order, each with these settings, and c-1 and c-2 in all of them.
fn config(spotler: &Spotler, automations: &[(&str, &str)], more: &str) -> String {
    let automations = automations.iter().map(|(name, settings)| {
        format!(
            "[automation.{name}]\ntrigger_code = \"{name}\"\n{settings}\n[[enrol]]\nautomation = \"{name}\"\n\
             contacts = [\"c-1\", \"c-2\"]\n"
        )
    });
    format!(
        "[spotler]\nbase_url = {:?}\nrate = \"100000/s\"\n[limit]\nper_contact = \"2/7d\"\n{}{more}",
        spotler.url(),
        automations.collect::<String>()
    )
}

fn in_days(days: i64) -> String {
    (Timestamp::now() + SignedDuration::from_hours(24 * days)).to_string()
}

fn planned(repo: &Repo, days: i64) -> (Vec<String>, Value) {
    let plan = repo
        .run(&["plan", "--format", "json", "--now", &in_days(days)])
        .exits(0);
    (plan.actions(), plan.json()["deferred"].clone())
}

#[test]
fn a_contact_gets_so_many_triggers_in_the_order_of_the_configuration_and_the_rest_later() {
    let spotler = Spotler::open();
    let order = [("z", ""), ("b", ""), ("a", "")];
    let repo = Repo::with(&config(&spotler, &order, ""));
    let (actions, deferred) = planned(&repo, 0);
    let wanted = [
        "trigger b c-1",
        "trigger z c-1",
        "trigger b c-2",
        "trigger z c-2",
    ];
    assert_eq!(actions, wanted);
    assert_eq!(deferred[0]["automation"], "a");
    let reason = deferred[0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("per_contact = \"2/7d\" (rollcall.toml:5) is reached"),
        "{reason}"
    );
    repo.apply().exits(0);
    assert_eq!(planned(&repo, 6).0, Vec::<String>::new());
    assert_eq!(planned(&repo, 8).0, ["trigger a c-1", "trigger a c-2"]);
    let said = repo.run(&["explain", "c-1"]).exits(0).stdout;
    assert!(said.contains("plan: deferred  per_contact"), "{said}");
    assert_eq!(spotler.ledger().len(), 4);
}

#[test]
fn service_mail_is_outside_the_limit_and_a_doubt_within_it() {
    let spotler = Spotler::open();
    let service = "kind = \"service\"";
    let repo = Repo::with(&config(
        &spotler,
        &[("a", ""), ("s", service), ("t", service)],
        "",
    ));
    spotler.fault(serde_json::json!([{ "fault": "reset-after", "times": 1 }]));
    repo.apply().exits(3);
    assert_eq!(spotler.ledger().len(), 6);
    let more = [
        ("a", ""),
        ("s", service),
        ("t", service),
        ("b", ""),
        ("c", ""),
    ];
    repo.write("rollcall.toml", config(&spotler, &more, ""));
    // One trigger of a is in doubt, and counts.
    assert_eq!(planned(&repo, 0).0, ["trigger b c-1", "trigger b c-2"]);
}

#[test]
fn a_trigger_counts_under_the_name_that_its_automation_has_now() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler, &[("a", ""), ("b", "")], ""));
    repo.apply().exits(0);
    let moved = "[[moved]]\nfrom = \"a\"\nto = \"n\"\n";
    let after = |settings| {
        let toml = config(&spotler, &[("n", settings), ("b", ""), ("c", "")], moved);
        repo.write(
            "rollcall.toml",
            toml.replace("trigger_code = \"n\"", "trigger_code = \"a\""),
        );
        planned(&repo, 0).0
    };
    assert_eq!(after(""), Vec::<String>::new());
    assert_eq!(
        after("kind = \"service\""),
        ["trigger c c-1", "trigger c c-2"]
    );
}

#[test]
fn what_the_limit_cannot_mean_is_an_error() {
    let spotler = Spotler::open();
    for limit in ["2", "0/7d", "2/7", "2/0d", "x/7d", "/7d"] {
        let toml = config(&spotler, &[("a", "")], "").replace("2/7d", limit);
        let said = Repo::with(&toml).run(&["validate"]).exits(1).stderr;
        assert!(
            said.contains("is not a number of triggers in a time"),
            "{limit}: {said}"
        );
    }
}
