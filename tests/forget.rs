//! `record forget --stop`: what runs is stopped first, or nobody is forgotten.

mod common;

use common::{Repo, Spotler};
use serde_json::json;

fn config(url: &str, contacts: &[&str]) -> String {
    format!(
        "[spotler]\nbase_url = {url:?}\n[automation.welcome]\ntrigger_code = \"w-1\"\n[automation.orders]\n\
         trigger_code = \"o-1\"\non_leave = \"keep\"\n[[enrol]]\nautomation = [\"welcome\", \"orders\"]\n\
         contacts = {contacts:?}\n"
    )
}

#[test]
fn what_runs_is_stopped_before_the_contact_is_forgotten_or_nothing_is() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), &["crm-1", "crm-2"]));
    repo.apply().exits(0);
    let forget = |args: &[&str]| {
        let all = [&["record", "forget", "crm-1", "--yes"], args].concat();
        repo.run(&all)
    };
    // Who is still declared is neither stopped nor forgotten.
    let refused = forget(&["--stop"]).exits(1).stderr;
    assert!(refused.contains("still declared"), "{refused}");
    assert_eq!(spotler.calls(), 2 * 2);
    // Nobody declares it any more, and no apply has stopped it yet.
    repo.write("rollcall.toml", config(&spotler.url(), &["crm-2"]));
    spotler.fault(json!([{ "fault": "revoked", "kind": "stop" }]));
    let failed = forget(&["--stop"]).exits(3);
    assert!(
        failed.stderr.contains("nothing was erased"),
        "{}",
        failed.stderr
    );
    assert_eq!(repo.recorded().len(), 4);
    spotler.fault(json!([]));
    let done = forget(&["--stop"]).exits(0);
    assert!(
        done.stdout.contains("These are stopped at Spotler first:"),
        "{}",
        done.stdout
    );
    assert!(done.stdout.ends_with("Erased.\n"), "{}", done.stdout);
    assert_eq!(
        repo.recorded(),
        ["orders crm-2 active", "welcome crm-2 active"]
    );
    let running = spotler.running();
    assert!(
        running.iter().all(|(contact, _)| contact == "crm-2"),
        "{running:?}"
    );
    repo.apply().exits(0);
    assert_eq!(spotler.running().len(), 2);
}
