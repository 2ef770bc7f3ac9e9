//! Several participations of one contact: what each answer said, and who is stopped with whom.

mod common;

use common::{Repo, Spotler};
use rollcall::sandbox::{Options, Publication, Setting, Trigger};
use serde_json::json;

#[test]
fn what_several_publications_answer_is_recorded_entry_by_entry_and_all_of_it_is_stopped() {
    let spotler = Spotler::start(Options {
        triggers: vec![Trigger {
            publications: vec![
                Publication::default(),
                Publication {
                    active: false,
                    ..Publication::default()
                },
                Publication {
                    setting: Setting::OnceWhileRunning,
                    ..Publication::default()
                },
            ],
            ..Trigger::new("Orders", "orders", Setting::Unlimited)
        }],
        ..Options::default()
    });
    let repo = Repo::new();
    let with = |orders: &[&str]| {
        let rows: String = orders
            .iter()
            .map(|order| format!("c-1,{order}\n"))
            .collect();
        repo.write("orders.csv", format!("id,order\nnobody,none\n{rows}"));
        repo.write(
            "rollcall.toml",
            format!(
                "[spotler]\nbase_url = {:?}\n[automation.orders]\ntrigger_code = \"orders\"\nrepeat_by = \"order\"\n\
                 [source.shop]\ncsv = \"orders.csv\"\ncontact = \"id\"\n\
                 [[enrol]]\nautomation = \"orders\"\nsource = \"shop\"\nwhere.order = {{ not = \"none\" }}\n",
                spotler.url()
            ),
        );
        repo.apply().exits(0).actions()
    };
    with(&["o-1", "o-2"]);
    assert_eq!(spotler.running().len(), 3);

    let calls = repo
        .run(&["history", "c-1", "--format", "json"])
        .exits(0)
        .json();
    let words = |call: usize| -> Vec<&str> {
        let entries = calls["calls"][call]["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["result"].as_str().unwrap())
            .collect()
    };
    assert_eq!(words(0), ["OK", "AUTOMATION_INACTIVE", "OK"]);
    assert_eq!(
        words(1),
        ["OK", "AUTOMATION_INACTIVE", "PARTICIPATION_LIMIT_REACHED"]
    );
    for command in [
        &["history", "c-1"][..],
        &["history"],
        &["record", "show", "c-1"],
    ] {
        let text = repo.run(command).exits(0).stdout;
        let entries = text.lines().filter(|line| !line.contains("in part"));
        let count = |word: &str| {
            let lines = entries.clone();
            lines.filter(|line| line.contains(word)).count()
        };
        assert_eq!(count(": OK  ["), 3, "{text}");
        assert_eq!(count(": AUTOMATION_INACTIVE"), 2, "{text}");
        assert_eq!(count(": PARTICIPATION_LIMIT_REACHED"), 1, "{text}");
    }

    // Both participations of the one are stopped by their ids; that of the other runs on.
    assert_eq!(with(&["o-2"]), ["stop orders c-1 / o-1 -> stopped"]);
    assert_eq!(spotler.running().len(), 1);
    assert_eq!(with(&[]), ["stop orders c-1 / o-2 -> stopped"]);
    assert_eq!(spotler.running(), []);
}

#[test]
fn others_are_never_stopped_because_of_one_that_is_uncertain() {
    let spotler = Spotler::open();
    let repo = Repo::new();
    let plan = |orders: &[&str]| {
        let rows: String = orders
            .iter()
            .map(|order| format!("c-1,{order}\n"))
            .collect();
        repo.write("orders.csv", format!("id,order\nnobody,none\n{rows}"));
        repo.write(
            "rollcall.toml",
            format!(
                "[spotler]\nbase_url = {:?}\n\
                 [automation.orders]\ntrigger_code = \"orders\"\nrepeat_by = \"order\"\n\
                 [source.shop]\ncsv = \"orders.csv\"\ncontact = \"id\"\n\
                 [[enrol]]\nautomation = \"orders\"\nsource = \"shop\"\nwhere.order = {{ not = \"none\" }}\n",
                spotler.url()
            ),
        );
        repo.plan()
    };
    // The first of two arrives, and nobody knows.
    spotler.fault(json!([{ "fault": "reset-after", "times": 1 }]));
    plan(&["o-1", "o-2"]);
    repo.apply().exits(3);
    let states = ["orders c-1 / o-1 uncertain", "orders c-1 / o-2 active"];
    assert_eq!(repo.recorded(), states);

    // It leaves and the other stays: nothing is done, and the plan says why in every form.
    let held = plan(&["o-2"]);
    assert_eq!(held.actions(), [""; 0]);
    assert_eq!(held.json()["held"][0]["occurrence"], "o-1");
    let text = repo.run(&["plan"]).exits(0).stdout;
    assert!(
        text.contains("! uncertain  c-1 / o-1  orders  no id is on record"),
        "{text}"
    );
    repo.apply().exits(0);
    assert_eq!(spotler.running().len(), 2);

    // The other leaves too, and it comes back: the other alone is stopped.
    assert_eq!(plan(&["o-1"]).actions(), ["stop orders c-1 / o-2"]);
    // Both leave: one call stops all.
    assert_eq!(
        plan(&[]).actions(),
        ["stop orders c-1 / o-1", "stop orders c-1 / o-2"]
    );
    repo.apply().exits(0);
    assert_eq!(spotler.running(), []);
    assert_eq!(
        spotler
            .ledger()
            .iter()
            .filter(|line| line.starts_with("stop"))
            .count(),
        1
    );
}

#[test]
fn an_occurrence_stays_the_same_however_the_value_is_written_in_toml() {
    let repo = Repo::with(
        "[spotler]\nbase_url = \"http://127.0.0.1:9\"\n[time]\nzone = \"Europe/Amsterdam\"\n\
         [automation.visit]\ntrigger_code = \"visit\"\nrepeat_by = \"at\"\nfields.at = \"{{ at }}\"\n\
         [automation.price]\ntrigger_code = \"price\"\nrepeat_by = \"price\"\n\
         [contact.c-1]\nat = 2026-12-01T09:30:00\nprice = 12.50\n\
         [[enrol]]\nautomation = [\"visit\", \"price\"]\ncontacts = [\"c-1\"]\n",
    );
    let plan = repo.run(&["plan", "--format", "json"]).exits(0).json();
    let occurrences: Vec<&str> = plan["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| action["occurrence"].as_str().unwrap())
        .collect();
    assert_eq!(occurrences, ["12.5", "2026-12-01T08:30:00Z"]);
}
