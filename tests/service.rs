//! A record is of one service: what was sent to another one counts for nothing there.

mod common;

use common::{Repo, Spotler};

const REAL: &str = "https://restapi.mailplus.nl/integrationservice-1.1.0";

fn config(url: &str) -> String {
    format!(
        "[spotler]\nbase_url = {url:?}\n\n[automation.welcome]\ntrigger_code = \"code-w\"\n\
         [[enrol]]\nautomation = \"welcome\"\ncontacts = [\"c-1\"]\n"
    )
}

#[test]
fn what_was_sent_to_a_sandbox_does_not_count_at_spotler() {
    let repo = Repo::with(&config("sandbox"));
    repo.apply().exits(0);
    let before = repo.recorded();
    repo.write("rollcall.toml", config(REAL));
    for args in [&["apply", "--yes"][..], &["adopt", "--yes"]] {
        let done = repo.run(args).exits(1);
        for part in ["restapi.mailplus.nl,", "this machine", "`[record] url`"] {
            assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
        }
        assert_eq!(done.stdout, "");
    }
    // To look at it and to erase people from it are allowed for ever.
    let plan = repo.plan().exits(0);
    assert!(plan.stderr.contains("this machine"), "{}", plan.stderr);
    assert_eq!(repo.recorded(), before);
    let suppress = "[[suppress]]\ncontacts = [\"c-1\"]\n";
    repo.write("rollcall.toml", config(REAL) + suppress);
    repo.run(&["record", "forget", "c-1", "--yes"]).exits(0);
    repo.write("rollcall.toml", config(REAL));
    // Now there is nothing on it that could be taken for something else.
    let plan = repo.plan().exits(0);
    assert_eq!(plan.actions(), ["trigger welcome c-1"]);
    assert!(!plan.stderr.contains("this machine"), "{}", plan.stderr);
}

#[test]
fn all_sandboxes_of_a_machine_are_one() {
    let repo = Repo::with(&config("sandbox"));
    repo.apply().exits(0);
    let spotler = Spotler::open();
    for url in [
        spotler.url(),
        spotler.url().replace("127.0.0.1", "localhost"),
    ] {
        repo.write("rollcall.toml", config(&url));
        repo.apply().exits(0);
        assert!(repo.plan().exits(0).actions().is_empty());
    }
    assert_eq!(spotler.calls(), 0);
}

#[test]
fn a_service_may_move_where_somebody_says_so() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url()));
    repo.apply().exits(0);
    repo.note_service("old.example");
    let told = repo.apply().exits(1).stderr;
    assert!(
        told.contains("old.example") && told.contains("rollcall record accept"),
        "{told}"
    );
    let shown = repo.run(&["record", "accept", "--yes"]).exits(0).stdout;
    assert!(shown.contains("old.example"), "{shown}");
    let more = config(&spotler.url()).replace("\"c-1\"", "\"c-1\", \"c-2\"");
    repo.write("rollcall.toml", &more);
    repo.apply().exits(0);
    assert_eq!(spotler.calls(), 2);
}

#[test]
fn the_setting_that_said_so_once_names_what_does_now() {
    let repo = Repo::with(&(config("sandbox") + "[record]\nmoved_from = \"old.example\"\n"));
    let told = repo.run(&["plan"]).exits(1).stderr;
    assert!(told.contains("rollcall record accept"), "{told}");
}

#[test]
fn what_only_failed_at_a_host_binds_nobody_to_it() {
    let spotler = Spotler::open();
    spotler.fault(serde_json::json!([{ "fault": "limit", "retry_after": "60" }]));
    let repo = Repo::with(&config(&spotler.url()));
    repo.run(&["apply", "--yes", "--retry-for", "0s"]).exits(3);
    assert_eq!(repo.recorded(), ["welcome c-1 failed"]);
    repo.note_service("mistyped.example");
    spotler.fault(serde_json::json!([]));
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["welcome c-1 active"]);
}

#[test]
fn that_there_is_no_record_is_reported_where_it_matters() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url()));
    let told = "There is no record at state/rollcall.db yet";
    for args in [&["plan"][..], &["apply", "--yes", "--quiet"]] {
        let done = repo.run(args).exits(0);
        assert!(done.stderr.contains(told), "{}", done.stderr);
    }
    for args in [&["plan"][..], &["apply", "--yes", "--quiet"]] {
        let done = repo.run(args).exits(0);
        assert!(!done.stderr.contains(told), "{}", done.stderr);
    }
}
