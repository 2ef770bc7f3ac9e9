//! `[[exclusive]]`: a contact is in one of these automations at most, in the first that declares it.

mod common;

use common::{Repo, Spotler};
use serde_json::json;

const CONFIG: &str = r#"
[spotler]
base_url = "URL"
rate = "10000/s"

[guard]
max_stops = "100%"

[automation.newsletter]
trigger_code = "code-n"

[automation.winback]
trigger_code = "code-w"

[source.crm]
csv = "crm.csv"
contact = "id"

[[enrol]]
automation = "newsletter"
source = "crm"
where.newsletter = "yes"

[[enrol]]
automation = "winback"
source = "crm"
where.status = "lost"
stay.status = ["lost", "doubtful"]

[[exclusive]]
automations = ["winback", "newsletter"]
"#;

fn repo(spotler: &Spotler, rows: &str) -> Repo {
    let repo = Repo::with(&CONFIG.replace("URL", &spotler.url()));
    write(&repo, rows);
    repo
}

fn write(repo: &Repo, rows: &str) {
    repo.write("crm.csv", format!("id,newsletter,status\n{rows}"));
}

#[test]
fn the_first_that_declares_a_contact_displaces_the_others() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, "c-1,yes,\nc-2,yes,lost\n");
    let done = repo.apply().exits(0);
    assert_eq!(
        done.actions(),
        [
            "trigger newsletter c-1 -> active",
            "trigger winback c-2 -> active"
        ]
    );
    write(&repo, "c-1,yes,lost\nc-2,yes,lost\n");
    let plan = repo.plan();
    assert_eq!(
        plan.actions(),
        ["stop newsletter c-1", "trigger winback c-1"]
    );
    let reason = "winback goes first ([[exclusive]] at rollcall.toml:30)";
    assert_eq!(plan.json()["actions"][0]["reason"], reason);
    let explained = repo.run(&["explain", "c-1"]).exits(0).stdout;
    let out = format!("\n  left out: {reason}, whatever the blocks above say\n");
    assert!(explained.contains(&out), "{explained}");
    repo.apply().exits(0);
    // It stays in the first, though it would not come in, and so not in the second.
    write(&repo, "c-1,yes,doubtful\nc-2,yes,\n");
    assert_eq!(
        repo.plan().actions(),
        ["stop winback c-2", "trigger newsletter c-2"]
    );
    assert_eq!(repo.plan().json()["summary"]["unchanged"], 1);
}

#[test]
fn whose_trigger_fails_in_the_first_stays_there() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, "c-1,yes,lost\n");
    spotler.fault(json!([{ "fault": "limit", "retry_after": "60" }]));
    repo.run(&["apply", "--yes", "--retry-for", "0s"]);
    spotler.fault(json!([]));
    assert_eq!(repo.plan().actions(), ["trigger winback c-1"]);
}

#[test]
fn without_a_record_it_goes_by_who_comes_in() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, "c-1,yes,\nc-2,yes,lost\n");
    let list = |left_out: &[&str]| {
        let args = [&["roster", "--format", "csv"], left_out].concat();
        repo.run(&args).exits(0).stdout
    };
    let declared = list(&[]);
    assert!(declared.contains("c-2,winback"), "{declared}");
    assert!(!declared.contains("c-2,newsletter"), "{declared}");
    let left_out = list(&["--left-out", "exclusive"]);
    assert!(
        left_out.contains(
            "c-2,newsletter,,rollcall.toml:19,exclusive,winback goes first,rollcall.toml:30"
        ),
        "{left_out}"
    );
    // Where it is in two of these, the block that leaves it out is named.
    let other = "[automation.late]\ntrigger_code = \"code-l\"\n\
                 [[exclusive]]\nautomations = [\"newsletter\", \"late\"]\n[[exclusive]]\n";
    let config = CONFIG.replace("URL", &spotler.url());
    repo.write("rollcall.toml", config.replace("[[exclusive]]\n", other));
    let left_out = list(&["--left-out", "exclusive"]);
    assert!(
        left_out.contains("winback goes first,rollcall.toml:34"),
        "{left_out}"
    );
    repo.write(
        "rollcall.toml",
        config.clone() + "[[expect]]\ncontact = \"c-2\"\nin = \"newsletter\"\n",
    );
    let failed = repo.run(&["validate"]).exits(1);
    assert!(
        failed.stderr.contains("winback goes first"),
        "{}",
        failed.stderr
    );
    repo.write(
        "rollcall.toml",
        config.replace("[\"winback\", \"newsletter\"]", "\"winback\""),
    );
    let alone = repo.run(&["validate"]).exits(1);
    assert!(
        alone.stderr.contains("one automation excludes no other"),
        "{}",
        alone.stderr
    );
    let service = config.replace("\"code-w\"", "\"code-w\"\nkind = \"service\"");
    repo.write("rollcall.toml", service);
    let service = repo.run(&["validate"]).exits(1).stderr;
    assert!(service.contains("winback is service mail"), "{service}");
}
