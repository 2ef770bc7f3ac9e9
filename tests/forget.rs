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

/// What an export says of who is declared is right only if it is whole.
#[test]
fn nobody_is_forgotten_while_a_source_has_lost_what_it_had() {
    let spotler = Spotler::open();
    let repo = Repo::with(&format!(
        "[spotler]\nbase_url = {:?}\n[automation.welcome]\ntrigger_code = \"w-1\"\n[source.crm]\ncsv = \"crm.csv\"\n\
         contact = \"id\"\nmax_shrink = \"50%\"\n[source.consents]\ncsv = \"consents.csv\"\ncontact = \"id\"\n[[enrol]]\n\
         automation = \"welcome\"\nsource = \"crm\"\n[[require]]\nsource = \"consents\"\n",
        spotler.url()
    ));
    let rows = |count: usize| {
        let rows = (1..=count).map(|n| format!("c-{n:02}\n"));
        format!("id\n{}", rows.collect::<String>())
    };
    let (all, cut) = (rows(10), rows(9).trim_end_matches("9\n").to_owned());
    repo.write("crm.csv", &all);
    repo.write("consents.csv", &all);
    repo.apply().exits(0);
    for (file, lost, says) in [
        ("crm.csv", "id\n", "source crm has no rows, and had 10"),
        ("crm.csv", &rows(4), "source crm has 4 rows, and had 10"),
        ("crm.csv", &cut, "source crm ends in the middle of a line"),
        (
            "consents.csv",
            "id\n",
            "source consents has no rows, and had 10",
        ),
    ] {
        repo.write(file, lost);
        for args in [&[][..], &["--stop"]] {
            let args = [&["record", "forget", "c-10", "--yes"], args].concat();
            let refused = repo.run(&args).exits(1).stderr;
            assert!(refused.contains(says), "{refused}");
            assert!(refused.contains("nothing was erased"), "{refused}");
        }
        let explained = repo.run(&["explain", "c-10"]).exits(0).stderr;
        assert!(explained.contains(says), "{explained}");
        repo.write(file, &all);
    }
    repo.write("crm.csv", rows(3) + "new\n");
    // What an apply has accepted is so.
    repo.run(&["apply", "--yes", "--allow-shrink", "crm", "--allow-large"])
        .exits(0);
    repo.run(&["record", "forget", "c-10", "--yes"]).exits(0);
    assert_eq!(spotler.calls(), 10 + 7);
}
