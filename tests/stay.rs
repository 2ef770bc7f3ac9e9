//! Staying is not coming in: who is in an automation stays by `stay` alone, others come in by `where` and `stay`.

mod common;

use common::{Repo, Spotler};
use rollcall::sandbox::Options;

const CONFIG: &str = r#"
[spotler]
base_url = "URL"
rate = "10000/s"

[automation.welcome]
trigger_code = "code-1"

[source.crm]
csv = "crm.csv"
contact = "id"

[[enrol]]
automation = "welcome"
source = "crm"
where.signed_up = { within = "7d" }
stay.status = { not = ["customer", "objected"] }
"#;

const FIRST: &str = "2026-03-01T09:00:00Z";
const LATER: &str = "2026-03-20T09:00:00Z";

fn repo(spotler: &Spotler) -> Repo {
    let repo = Repo::with(&CONFIG.replace("URL", &spotler.url()));
    repo.write(
        "crm.csv",
        "id,signed_up,status\nc-1,2026-02-27,new\nc-2,2026-02-27,customer\nc-3,2026-01-01,new\n",
    );
    repo
}

fn actions(repo: &Repo, now: &str) -> Vec<String> {
    let plan = repo.run(&["plan", "--format", "json", "--now", now]);
    plan.exits(0).actions()
}

fn apply(repo: &Repo, now: &str) {
    repo.run(&["apply", "--yes", "--now", now]).exits(0);
}

#[test]
fn nobody_comes_in_only_to_go_again_and_who_is_in_stays_by_stay_alone() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    assert_eq!(actions(&repo, FIRST), ["trigger welcome c-1"]);
    apply(&repo, FIRST);
    // The sign-up of c-1 is long ago by now.
    let plan = repo
        .run(&["plan", "--format", "json", "--now", LATER])
        .json();
    assert_eq!(plan["summary"]["unchanged"], 1);
    assert_eq!(plan["summary"]["stop"], 0);
    let diff = repo.run(&["plan", "--diff", "--now", LATER]).exits(0);
    assert!(!diff.stdout.contains("c-1"), "{}", diff.stdout);

    repo.write("crm.csv", "id,signed_up,status\nc-1,2026-02-27,customer\n");
    let plan = repo
        .run(&["plan", "--format", "json", "--now", LATER])
        .exits(0);
    assert_eq!(plan.actions(), ["stop welcome c-1"]);
    let reason = &plan.json()["actions"][0]["reason"];
    assert_eq!(
        reason,
        "status is \"customer\", wanted anything but \"customer\" or \"objected\""
    );
    apply(&repo, LATER);
    // Once out, it comes in by `where` alone.
    repo.write("crm.csv", "id,signed_up,status\nc-1,2026-02-27,new\n");
    assert!(actions(&repo, LATER).is_empty());
    assert_eq!(actions(&repo, FIRST), ["trigger welcome c-1"]);
}

#[test]
fn no_row_at_all_is_gone() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    apply(&repo, FIRST);
    repo.write("crm.csv", "id,signed_up,status\nc-9,2026-01-01,new\n");
    assert_eq!(actions(&repo, LATER), ["stop welcome c-1"]);
}

#[test]
fn who_may_be_in_stays_and_whom_spotler_does_not_know_has_to_come_in() {
    let spotler = Spotler::open();
    let uncertain = repo(&spotler);
    spotler.fault(serde_json::json!([{ "fault": "reset-after", "times": 1 }]));
    let done = uncertain.run(&["apply", "--yes", "--now", FIRST]);
    done.exits(3);
    let plan = uncertain.run(&["plan", "--format", "json", "--now", LATER]);
    let plan = plan.exits(0).json();
    assert_eq!(plan["held"][0]["state"], "uncertain");
    assert_eq!(plan["summary"]["stop"], 0);

    let spotler = Spotler::start(Options {
        unknown_contacts: vec!["c-1".to_owned()],
        ..Options::default()
    });
    let waiting = repo(&spotler);
    let _ = waiting.run(&["apply", "--yes", "--now", FIRST]);
    assert_eq!(waiting.recorded(), ["welcome c-1 waiting"]);
    let plan = waiting.run(&["plan", "--format", "json", "--now", LATER]);
    let plan = plan.exits(0).json();
    assert_eq!(
        (
            plan["summary"]["trigger"].clone(),
            plan["summary"]["held"].clone()
        ),
        (0.into(), 0.into())
    );
}

#[test]
fn who_is_expected_in_is_who_comes_in() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    let expect = |contact: &str, list: &str| {
        let config = CONFIG.replace("URL", &spotler.url());
        let expect = format!("\n[[expect]]\ncontact = {contact:?}\n{list} = \"welcome\"\n");
        repo.write("rollcall.toml", config + &expect);
        repo.run(&["validate", "--now", FIRST])
    };
    expect("c-1", "in").exits(0);
    expect("c-3", "not_in").exits(0);
    let failed = expect("c-2", "in").exits(1);
    let why = "status is \"customer\", wanted anything but";
    assert!(failed.stderr.contains(why), "{}", failed.stderr);
}

#[test]
fn it_is_explained_and_expected_and_listed_by_who_comes_in() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    apply(&repo, FIRST);
    let explain = |contact| {
        let explained = repo.run(&["explain", contact, "--now", LATER]).exits(0);
        explained.stdout
    };
    let inside = explain("c-1");
    assert!(inside.contains("welcome: in"), "{inside}");
    assert!(inside.contains("  in since 20"), "{inside}");
    assert!(inside.contains(", stays by `status`"), "{inside}");
    let outside = explain("c-3");
    assert!(outside.contains("welcome: out"), "{outside}");
    assert!(
        outside.contains("signed_up is 2026-01-01, wanted"),
        "{outside}"
    );

    let listed = repo
        .run(&["roster", "--format", "json", "--now", LATER])
        .exits(0);
    assert_eq!(listed.json()["enrolments"], serde_json::json!([]));
}

#[test]
fn a_stay_names_columns_that_are_there() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    let config = CONFIG.replace("stay.status", "stay.statu");
    repo.write("rollcall.toml", config.replace("URL", &spotler.url()));
    let refused = repo.run(&["validate"]).exits(1);
    assert!(
        refused.stderr.contains("did you mean `status`?"),
        "{}",
        refused.stderr
    );
}
