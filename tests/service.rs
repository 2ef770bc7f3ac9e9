//! A record is of one service: what was sent to another one counts for nothing there.

mod common;

use common::{Done, Repo, Spotler};

const REAL: &str = "https://restapi.mailplus.nl/integrationservice-1.1.0";

fn config(url: &str, record: &str) -> String {
    format!(
        "[spotler]\nbase_url = {url:?}\n{record}\n[automation.welcome]\ntrigger_code = \"code-w\"\n\
         [[enrol]]\nautomation = \"welcome\"\ncontacts = [\"c-1\"]\n"
    )
}

/// Notes another service on the record.
fn of_another(repo: &Repo, host: &str) {
    let connection = rusqlite::Connection::open(repo.file("state/rollcall.db")).unwrap();
    let noted = connection.execute("UPDATE meta SET service = ?", [host]);
    assert_eq!(noted, Ok(1));
}

#[track_caller]
fn refused(done: Done) -> String {
    let done = done.exits(1);
    assert!(
        done.stderr.contains("[record] url"),
        "what to do is not said: {}",
        done.stderr
    );
    assert_eq!(done.stdout, "");
    done.stderr
}

#[test]
fn what_was_sent_to_a_sandbox_does_not_count_at_spotler() {
    let repo = Repo::with(&config("sandbox", ""));
    repo.apply().exits(0);
    let before = repo.recorded();
    repo.write("rollcall.toml", config(REAL, ""));
    for args in [
        &["plan"][..],
        &["apply", "--yes"],
        &["adopt", "--yes"],
        &["plan", "--contact", "c-1"],
    ] {
        let told = refused(repo.run(args));
        assert!(told.contains("restapi.mailplus.nl,"), "{told}");
        assert!(told.contains("this machine"), "{told}");
        // No sandbox becomes a real service.
        assert!(!told.contains("moved_from"), "{told}");
    }
    // To look at it and to erase people from it are allowed for ever.
    assert_eq!(repo.recorded(), before);
    repo.run(&["record", "forget", "c-1", "--yes"]).exits(0);
    // Now there is nothing on it that could be taken for something else.
    let plan = repo.plan().exits(0);
    assert_eq!(plan.actions(), ["trigger welcome c-1"]);
}

#[test]
fn all_sandboxes_of_a_machine_are_one() {
    let repo = Repo::with(&config("sandbox", ""));
    repo.apply().exits(0);
    let spotler = Spotler::open();
    for url in [
        spotler.url(),
        spotler.url().replace("127.0.0.1", "localhost"),
    ] {
        repo.write("rollcall.toml", config(&url, ""));
        repo.apply().exits(0);
        assert!(repo.plan().exits(0).actions().is_empty());
    }
    assert_eq!(spotler.calls(), 0);
}

#[test]
fn a_service_may_move_where_the_configuration_says_so() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), ""));
    repo.apply().exits(0);
    of_another(&repo, "old.example");
    let told = refused(repo.run(&["plan"]));
    assert!(told.contains("moved_from = \"old.example\""), "{told}");
    let moved = "[record]\nmoved_from = \"old.example\"";
    repo.write("rollcall.toml", config(&spotler.url(), moved));
    assert!(repo.plan().exits(0).actions().is_empty());
    let more = config(&spotler.url(), moved).replace("\"c-1\"", "\"c-1\", \"c-2\"");
    repo.write("rollcall.toml", &more);
    repo.apply().exits(0);
    // From then on it is of the new one, with or without the line.
    repo.write("rollcall.toml", more.replace(moved, ""));
    assert!(repo.plan().exits(0).actions().is_empty());
    assert_eq!(spotler.calls(), 2);
}

#[test]
fn what_only_failed_at_a_host_binds_nobody_to_it() {
    let spotler = Spotler::open();
    spotler.fault(serde_json::json!([{ "fault": "limit", "retry_after": "60" }]));
    let repo = Repo::with(&config(&spotler.url(), ""));
    repo.run(&["apply", "--yes", "--retry-for", "0s"]).exits(3);
    assert_eq!(repo.recorded(), ["welcome c-1 failed"]);
    of_another(&repo, "mistyped.example");
    spotler.fault(serde_json::json!([]));
    repo.apply().exits(0);
    assert_eq!(repo.recorded(), ["welcome c-1 active"]);
}

#[test]
fn that_there_is_no_record_is_told_where_it_matters() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), ""));
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
