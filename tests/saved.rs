//! Saved plans: exactly that or nothing, and never twice.

mod common;

use std::fs;
use std::process::Stdio;

use common::{Done, Repo, Spotler};
use serde_json::{Value, json};

fn config(url: &str, more: &str) -> String {
    format!(
        "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\nconcurrency = 4\n{more}\n[automation.welcome]\n\
         trigger_code = \"code-w\"\nfields.company = \"{{{{ company }}}}\"\n[automation.winback]\n\
         trigger_code = \"code-b\"\n[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
         [[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhere.status = \"new\"\n\
         [[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\nwhere.status = \"gone\"\n"
    )
}

const CRM: &str = "id,status,company\nc-1,new,Acme\nc-2,new,Bolt\nc-3,gone,Confidential BV\n";

fn repo(spotler: &Spotler) -> Repo {
    let repo = Repo::with(&config(&spotler.url(), ""));
    repo.write("crm.csv", CRM);
    repo
}

fn save(repo: &Repo) {
    repo.run(&["plan", "--out", "plan.json"]).exits(0);
}

fn apply(repo: &Repo) -> Done {
    repo.run(&["apply", "plan.json", "--yes", "--format", "json"])
}

/// That a plan is refused with this word, and nothing was sent since there were so many calls.
#[track_caller]
fn refused(done: Done, word: &str, spotler: &Spotler, calls: u64) {
    let done = done.exits(1);
    let told = done.stderr.replace("\n  ", " ");
    assert!(told.contains(word), "{told}");
    assert!(
        told.contains("is not applied, and nothing was sent"),
        "{told}"
    );
    assert!(told.contains("plan.json"), "{told}");
    assert_eq!(spotler.calls(), calls);
}

#[test]
fn a_saved_plan_is_what_plan_shows_and_what_apply_does() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    let shown = repo
        .run(&[
            "plan",
            "--out",
            "plan.json",
            "--format",
            "json",
            "--now",
            "2026-11-23T09:00:00.7Z",
        ])
        .exits(0);
    assert!(!repo.has_state(), "a plan writes nothing else");
    let saved = fs::read_to_string(repo.file("plan.json")).unwrap();
    let mut lines: Vec<&str> = saved.lines().collect();
    let extra = lines.remove(2);
    assert!(extra.starts_with("  \"saved\": {\"plan\":"), "{extra}");
    assert_eq!(lines, shown.stdout.lines().collect::<Vec<_>>());
    let document: Value = serde_json::from_str(&saved).unwrap();
    assert_eq!(document["actions"].as_array().unwrap().len(), 3);
    assert!(
        !saved.contains("Confidential") && !saved.contains("Acme"),
        "{saved}"
    );
    let done = apply(&repo).exits(0);
    assert_eq!(
        done.actions(),
        [
            "trigger welcome c-1 -> active",
            "trigger welcome c-2 -> active",
            "trigger winback c-3 -> active"
        ]
    );
    assert!(
        done.stderr
            .contains("This plan was saved less than a minute ago"),
        "{}",
        done.stderr
    );
    assert_eq!(repo.plan().actions(), [""; 0]);
}

#[cfg(unix)]
#[test]
fn a_saved_plan_is_for_its_owner_alone_and_replaces_the_one_before_it() {
    use std::os::unix::fs::PermissionsExt;
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    save(&repo);
    save(&repo);
    let mode = fs::metadata(repo.file("plan.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let names: Vec<_> = fs::read_dir(repo.path()).unwrap().collect();
    assert_eq!(names.len(), 3, "{names:?}");
    repo.run(&["plan", "--out", "no/such/folder/plan.json"])
        .exits(1);
    repo.run(&["plan", "--out", "."]).exits(1);
}

#[test]
fn it_is_applied_once_also_where_nothing_came_of_it() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    spotler.fault(json!([{ "fault": "limit", "retry_after": "60" }]));
    save(&repo);
    let args = ["apply", "plan.json", "--yes", "--retry-for", "0s"];
    repo.run(&args).exits(3);
    assert!(spotler.ledger().is_empty());
    spotler.fault(json!([]));
    let calls = spotler.calls();
    refused(apply(&repo), "It was applied at", &spotler, calls);
}

#[test]
fn one_with_nothing_to_do_does_nothing_however_often() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    repo.apply().exits(0);
    save(&repo);
    for _ in 0..2 {
        assert_eq!(apply(&repo).exits(0).actions(), [""; 0]);
    }
    assert_eq!(spotler.calls(), 3);
}

#[test]
fn of_two_applies_side_by_side_one_applies_it() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "slow", "ms": 50 }]));
    let repo = repo(&spotler);
    save(&repo);
    let args = ["apply", "plan.json", "--yes", "--lock-timeout", "1m"];
    let runs: Vec<_> = (0..3)
        .map(|_| {
            let mut command = repo.command(&args);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut codes: Vec<_> = runs
        .into_iter()
        .map(|run| run.wait_with_output().unwrap().status.code().unwrap())
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 1, 1]);
    assert_eq!(spotler.calls(), 3);
}

#[test]
fn one_that_was_killed_on_the_way_is_not_taken_up_again() {
    for point in ["claim:before", "claim:after", "intent:after"] {
        let spotler = Spotler::open();
        let repo = repo(&spotler);
        save(&repo);
        fs::rename(repo.file("plan.json"), repo.file("twin.json")).unwrap();
        save(&repo);
        let mut command = repo.command(&["apply", "plan.json", "--yes"]);
        command.env("ROLLCALL_FAILPOINT", point);
        assert!(command.output().unwrap().status.code().is_none(), "{point}");
        if point == "claim:before" {
            // Not even the claim is on record, so it was not begun.
            apply(&repo).exits(0);
            assert_eq!(spotler.calls(), 3);
        } else {
            let again = apply(&repo);
            // The calls that were under way are a doubt, which the first run that finds it ends with.
            let again = again.exits(if point == "intent:after" { 3 } else { 1 });
            assert!(
                again.stderr.contains("It was applied at"),
                "{}",
                again.stderr
            );
            assert_eq!(spotler.calls(), 0);
            // Nor is another one of the same moment, though no participation has changed since.
            fs::rename(repo.file("twin.json"), repo.file("plan.json")).unwrap();
            refused(apply(&repo), "The record has changed", &spotler, 0);
        }
    }
}

#[test]
fn whatever_has_changed_since_is_reported_and_nothing_is_done() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    save(&repo);
    repo.write("crm.csv", CRM.replace("Acme", "Acme BV"));
    refused(apply(&repo), "The roster has changed", &spotler, 0);
    repo.write("crm.csv", CRM.replace("c-2,new", "c-2,gone"));
    refused(apply(&repo), "The roster has changed", &spotler, 0);
    repo.write("crm.csv", CRM);
    repo.write("rollcall.toml", config(&spotler.url(), "# a comment"));
    refused(apply(&repo), "The configuration has changed", &spotler, 0);
    repo.write("rollcall.toml", config(&spotler.url(), ""));
    assert!(
        !repo.has_state(),
        "all this was noticed before the record was locked"
    );
    repo.run(&["apply", "--yes"]).exits(0);
    refused(apply(&repo), "The record has changed", &spotler, 3);
    save(&repo);
    fs::remove_dir_all(repo.file("state")).unwrap();
    refused(apply(&repo), "another record", &spotler, 3);
    let other = Repo::with(&config(&spotler.url(), ""));
    other.write("crm.csv", CRM);
    other.run(&["adopt", "--yes"]).exits(0);
    fs::copy(repo.file("plan.json"), other.file("plan.json")).unwrap();
    refused(apply(&other), "another record", &spotler, 3);
}

#[test]
fn what_was_written_into_it_by_hand_is_not_applied() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    save(&repo);
    let saved = fs::read_to_string(repo.file("plan.json")).unwrap();
    let line = saved.lines().find(|line| line.contains("c-2")).unwrap();
    for (changed, word) in [
        (saved.replace("c-2", "c-9"), "not the plan that"),
        (
            saved.replace("\"reason\":\"new\"", "\"reason\":\"other\""),
            "not the plan that",
        ),
        (
            saved
                .replace(line, "")
                .replace("\"trigger\":3", "\"trigger\":2"),
            "not the plan that",
        ),
        (saved.replace('\n', "\r\n"), "not the plan that"),
        (format!("{saved} "), "not the plan that"),
        (saved.replace(line, ""), "its summary has another number"),
        (
            saved.replace("\"format_version\": 1", "\"format_version\": 2"),
            "a newer Rollcall",
        ),
        (saved[..saved.len() / 2].to_owned(), "It is damaged"),
        (String::new(), "It is damaged"),
        (repo.plan().stdout, "plan --out FILE"),
    ] {
        assert_ne!(changed, saved);
        repo.write("plan.json", changed);
        refused(apply(&repo), word, &spotler, 0);
    }
    assert!(!repo.has_state());
    fs::remove_file(repo.file("plan.json")).unwrap();
    refused(apply(&repo), "cannot be read", &spotler, 0);
    repo.write("plan.json", saved);
    apply(&repo).exits(0);
}

#[test]
fn it_asks_and_obeys_the_guard_like_any_other() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "[guard]\nmax_triggers = 2"));
    repo.write("crm.csv", CRM);
    save(&repo);
    repo.run(&["apply", "plan.json", "--yes"]).exits(4);
    repo.run(&["apply", "plan.json", "--allow-large"]).exits(1);
    assert_eq!(spotler.calls(), 0);
    repo.run(&["apply", "plan.json", "--yes", "--allow-large"])
        .exits(0);
    assert_eq!(spotler.calls(), 3);
}

#[test]
fn a_part_is_saved_and_applied_as_that_part() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    repo.run(&["plan", "--out", "plan.json", "--automation", "winback"])
        .exits(0);
    assert_eq!(
        apply(&repo).exits(0).actions(),
        ["trigger winback c-3 -> active"]
    );
    repo.run(&["plan", "--out", "plan.json", "--contact", "c-2"])
        .exits(0);
    assert_eq!(
        apply(&repo).exits(0).actions(),
        ["trigger welcome c-2 -> active"]
    );
    assert_eq!(repo.plan().actions(), ["trigger welcome c-1"]);
}

#[test]
fn it_reckons_with_the_time_for_which_it_was_made() {
    let spotler = Spotler::open();
    let toml = format!(
        "[spotler]\nbase_url = {:?}\n[automation.welcome]\ntrigger_code = \"code-w\"\n\
         [[enrol]]\nautomation = \"welcome\"\nwhere.since = {{ within = \"1d\" }}\n\
         [contact.c-1]\nsince = 2026-11-20\n",
        spotler.url()
    );
    let repo = Repo::with(&toml);
    repo.run(&["plan", "--out", "plan.json", "--now", "2026-11-20"])
        .exits(0);
    let at = |now| {
        repo.run(&[
            "apply",
            "plan.json",
            "--yes",
            "--format",
            "json",
            "--now",
            now,
        ])
    };
    // By then that day has passed, and nobody is declared.
    let late = at("2026-11-23T09:00:00Z");
    refused(late, "not all of it would be done", &spotler, 0);
    let done = at("2026-11-20T09:00:00Z").exits(0);
    assert_eq!(done.actions(), ["trigger welcome c-1 -> active"]);
}

#[test]
fn an_export_that_is_too_old_by_now_is_refused() {
    let spotler = Spotler::open();
    let toml = config(&spotler.url(), "")
        .replace("contact = \"id\"", "contact = \"id\"\nmax_age = \"36h\"");
    let repo = Repo::with(&toml);
    repo.write("crm.csv", CRM);
    save(&repo);
    let apply = [
        "apply",
        "plan.json",
        "--yes",
        "--now",
        "2099-01-01T00:00:00Z",
    ];
    repo.run(&apply).exits(1);
    assert_eq!(spotler.calls(), 0);
}

#[test]
fn a_plan_for_another_day_does_not_pass_by_what_a_day_takes() {
    let spotler = Spotler::open();
    let toml = config(&spotler.url(), "").replace("\"code-w\"", "\"code-w\"\nmax_per_day = 1");
    let repo = Repo::with(&toml);
    repo.write("crm.csv", CRM);
    repo.run(&["apply", "--yes"]).exits(0);
    let calls = spotler.calls();
    let tomorrow = jiff::Timestamp::now() + std::time::Duration::from_secs(86_400);
    repo.run(&["plan", "--out", "plan.json", "--now", &tomorrow.to_string()])
        .exits(0);
    refused(apply(&repo), "not all of it would be done", &spotler, calls);
}

#[test]
fn neither_the_record_nor_an_export_is_overwritten() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    repo.apply().exits(0);
    for name in ["state/rollcall.db", "crm.csv", "rollcall.toml"] {
        let before = fs::read(repo.file(name)).unwrap();
        for args in [
            ["plan", "--out", name],
            ["report", "--html", name],
            ["apply", "--yes", &format!("--metrics={name}")],
        ] {
            let done = repo.run(&args).exits(1);
            assert!(
                done.stderr.contains("a file of another kind"),
                "{}",
                done.stderr
            );
            assert_eq!(fs::read(repo.file(name)).unwrap(), before, "{args:?}");
        }
    }
}

#[test]
fn its_triggers_keep_to_the_window() {
    let spotler = Spotler::open();
    let window = "[window]\ntriggers = \"Mon-Fri 08:00-18:00 UTC\"";
    let repo = Repo::with(&config(&spotler.url(), window));
    repo.write("crm.csv", CRM);
    let at = |args: &[&str], now| repo.run(&[args, &["--now", now]].concat());
    at(&["plan", "--out", "plan.json"], "2026-11-20T17:00:00Z").exits(0);
    let apply = ["apply", "plan.json", "--yes"];
    let night = at(&apply, "2026-11-20T22:00:00Z");
    refused(night, "2026-11-23T08:00:00Z", &spotler, 0);
    at(&apply, "2026-11-23T09:00:00Z").exits(0);
    assert_eq!(spotler.calls(), 3);
    // One that was made at night holds no triggers, and is applied as it was reviewed.
    repo.write("crm.csv", CRM.replace("c-1,new", "c-1,gone"));
    at(&["plan", "--out", "plan.json"], "2026-11-23T22:00:00Z").exits(0);
    at(&apply, "2026-11-24T09:00:00Z").exits(0);
    assert_eq!(spotler.calls(), 4);
    assert!(spotler.ledger()[3].starts_with("stop code-w c-1"));
}
