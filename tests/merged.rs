//! Two ids, one person.

mod common;

use common::{Repo, Spotler};
use rollcall::sandbox::Options;
use serde_json::json;

const CODE: &str = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";

fn config(spotler: &Spotler, contacts: &[&str]) -> String {
    let enrol = match contacts {
        [] => String::new(),
        contacts => format!("[[enrol]]\nautomation = \"welcome\"\ncontacts = {contacts:?}\n"),
    };
    format!(
        "[spotler]\nbase_url = {:?}\nrate = \"100000/s\"\n[guard]\nmax_stops = 100\n\
         [automation.welcome]\ntrigger_code = {CODE:?}\n{enrol}",
        spotler.url()
    )
}

/// A record where old-1 was triggered, and is new-1 since. Nobody is declared any more.
fn merged(spotler: &Spotler) -> Repo {
    let repo = Repo::with(&config(spotler, &["c-1", "old-1"]));
    repo.apply().exits(0);
    repo.merge("old-1", "new-1");
    assert_eq!(
        repo.recorded(),
        ["welcome c-1 active", "welcome new-1 active"]
    );
    repo.write("rollcall.toml", config(spotler, &[]));
    repo
}

#[test]
fn a_stop_goes_to_the_id_that_was_triggered() {
    let spotler = Spotler::start(Options::default());
    let repo = merged(&spotler);
    let done = repo.apply().exits(0);
    assert_eq!(
        done.actions(),
        [
            "stop welcome c-1 -> stopped",
            "stop welcome new-1 -> stopped"
        ]
    );
    assert!(spotler.ledger().contains(&format!("stop {CODE} old-1")));
    assert_eq!(spotler.running(), []);
    assert_eq!(
        repo.recorded(),
        ["welcome c-1 stopped", "welcome new-1 stopped"]
    );
}

#[test]
fn where_spotler_does_not_know_that_id_a_stop_goes_to_the_new_one() {
    let spotler = Spotler::start(Options::default());
    let repo = merged(&spotler);
    spotler.put("unknown", &json!(["old-1"]));
    let calls = spotler.calls();
    repo.apply().exits(0);
    // One for c-1, and two for the ids of one person.
    assert_eq!(spotler.calls(), calls + 3);
    assert_eq!(
        repo.recorded(),
        ["welcome c-1 stopped", "welcome new-1 stopped"]
    );
    let history = repo.run(&["history", "new-1", "--format", "json"]).json();
    let outcomes: Vec<_> = (history["calls"].as_array().unwrap().iter())
        .map(|call| call["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["active", "not-carried-out", "stopped"]);
}

#[test]
fn either_id_shows_and_erases_the_person() {
    let spotler = Spotler::start(Options::default());
    let repo = merged(&spotler);
    for id in ["old-1", "new-1"] {
        let show = repo.run(&["record", "show", id, "--format", "json"]).json();
        assert_eq!(show["participations"][0]["contact"], "new-1");
        assert_eq!(show["calls"][0]["contact"], "old-1");
        let history = repo.run(&["history", id, "--format", "json"]).json();
        assert_eq!(history["calls"].as_array().unwrap().len(), 1);
    }
    repo.run(&["record", "forget", "old-1", "--yes"]).exits(0);
    assert_eq!(repo.recorded(), ["welcome c-1 active"]);
    let history = repo.run(&["history", "new-1", "--format", "json"]).json();
    assert_eq!(history["calls"], json!([]));
}
