//! A plan that had nothing to do is not made again, and nothing that matters to it may change unnoticed.

mod common;

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use common::{Done, Repo, Spotler};

fn config(url: &str, more: &str) -> String {
    format!(
        "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\n[automation.welcome]\n\
         trigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\n[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
         max_age = \"36h\"\n[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhere.status = \"new\"\n{more}\n"
    )
}

const ROWS: &str = "id,status,since\nc-1,new,2026-03-01\nc-2,old,2026-03-01\n";

/// Writes the export as it would be an hour after it was made.
fn export(repo: &Repo, rows: &str) {
    repo.write("crm.csv", rows);
    age(repo, Duration::from_secs(3600));
}

fn age(repo: &Repo, age: Duration) {
    let file = File::options()
        .write(true)
        .open(repo.file("crm.csv"))
        .unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn memo(repo: &Repo) -> PathBuf {
    repo.file("state/rollcall.db.memo.json")
}

/// Whether the plan is taken from the memo.
#[track_caller]
fn is_recalled(repo: &Repo, args: &[&str]) -> bool {
    with_false_memo(repo, &[&["--format", "json"], args].concat()).json()["summary"]["unchanged"]
        == 777
}

/// A plan, which tells of 777 participations where it is taken from the memo.
#[track_caller]
fn with_false_memo(repo: &Repo, args: &[&str]) -> Done {
    let text = std::fs::read_to_string(memo(repo)).unwrap();
    assert!(text.contains("\"unchanged\":1"), "{text}");
    std::fs::write(
        memo(repo),
        text.replace("\"unchanged\":1", "\"unchanged\":777"),
    )
    .unwrap();
    let done = repo.run(&[&["plan"], args].concat()).exits(0);
    std::fs::write(memo(repo), text).unwrap();
    done
}

/// A repository of which everything is applied, and a plan with nothing to do is remembered.
fn settled(spotler: &Spotler, more: &str) -> Repo {
    let repo = Repo::with(&config(&spotler.url(), more));
    export(&repo, ROWS);
    repo.apply().exits(0);
    repo.run(&["plan", "--now", "2026-11-23T09:00:00Z"])
        .exits(0);
    repo
}

const THE_DAY: &[&str] = &["--now", "2026-11-23T20:00:00Z"];

#[test]
fn where_everything_is_the_same_the_plan_is_not_made_again() {
    let spotler = Spotler::open();
    let repo = settled(&spotler, "");
    let anew = repo.run(&["plan", "--format", "json", "--contact", "c-1"]);
    assert_eq!(anew.exits(0).json()["summary"]["unchanged"], 1);
    assert!(is_recalled(&repo, THE_DAY));
    let recalled = repo.run(&[&["plan", "--format", "json"], THE_DAY].concat());
    std::fs::remove_file(memo(&repo)).unwrap();
    let anew = repo.run(&[&["plan", "--format", "json"], THE_DAY].concat());
    assert_eq!(recalled.exits(0).stdout, anew.exits(0).stdout);
}

#[test]
fn a_new_export_with_the_same_content_is_the_same() {
    let spotler = Spotler::open();
    let repo = settled(&spotler, "");
    repo.write("crm.csv", ROWS);
    assert!(is_recalled(&repo, THE_DAY));
}

#[test]
fn other_content_of_the_same_length_and_time_is_noticed() {
    let spotler = Spotler::open();
    let repo = settled(&spotler, "");
    let written = std::fs::metadata(repo.file("crm.csv"))
        .unwrap()
        .modified()
        .unwrap();
    repo.write("crm.csv", ROWS.replace("c-2", "c-3"));
    let file = File::options().write(true).open(repo.file("crm.csv"));
    file.unwrap().set_modified(written).unwrap();
    assert!(!is_recalled(&repo, THE_DAY));
    repo.write("crm.csv", ROWS.replace("old", "new"));
    assert_eq!(repo.plan().actions(), ["trigger welcome c-2"]);
}

#[test]
fn another_day_configuration_or_part_is_planned_anew() {
    let spotler = Spotler::open();
    let repo = settled(&spotler, "");
    assert!(!is_recalled(&repo, &["--now", "2026-11-24T00:00:00Z"]));
    assert!(!is_recalled(
        &repo,
        &[THE_DAY, &["--contact", "c-1"]].concat()
    ));
    repo.write("rollcall.toml", config(&spotler.url(), "# a word"));
    assert!(!is_recalled(&repo, THE_DAY));
}

#[test]
fn a_record_that_was_written_to_or_went_its_own_way_is_noticed() {
    let spotler = Spotler::open();
    let repo = settled(&spotler, "");
    let copy = std::fs::read(repo.file("state/rollcall.db")).unwrap();
    let text = std::fs::read(memo(&repo)).unwrap();
    repo.run(&["record", "forget", "c-1", "--yes"]).exits(0);
    let plan = [&["plan", "--format", "json"], THE_DAY].concat();
    let forgotten = repo.run(&plan).exits(0);
    assert_eq!(forgotten.actions(), ["trigger welcome c-1"]);
    // The copy goes on from where it was, and comes to the same numbers by another way.
    std::fs::write(repo.file("state/rollcall.db"), copy).unwrap();
    assert!(is_recalled(&repo, THE_DAY));
    export(&repo, &ROWS.replace("c-1", "c-4"));
    repo.apply().exits(0);
    export(&repo, ROWS);
    std::fs::write(memo(&repo), text).unwrap();
    assert!(!repo.run(&plan).exits(0).actions().is_empty());
}

#[test]
fn an_export_that_has_become_too_old_is_refused() {
    let spotler = Spotler::open();
    let repo = settled(&spotler, "");
    age(&repo, Duration::from_secs(37 * 3600));
    repo.run(&["plan"]).exits(1);
}

#[test]
fn what_was_written_to_just_now_or_counts_in_hours_is_not_remembered() {
    let spotler = Spotler::open();
    let repo = settled(&spotler, "where.since = { older_than = \"48h\" }");
    assert!(!memo(&repo).exists());
    repo.write("rollcall.toml", config(&spotler.url(), ""));
    repo.write("crm.csv", ROWS);
    age(&repo, Duration::ZERO);
    repo.run(&["plan"]).exits(0);
    assert!(!memo(&repo).exists());
}

#[test]
fn a_plan_with_something_to_do_is_not_remembered() {
    let spotler = Spotler::open();
    let repo = settled(&spotler, "");
    std::fs::remove_file(memo(&repo)).unwrap();
    repo.write(
        "rollcall.toml",
        config(
            &spotler.url(),
            "[[enrol]]\nautomation = \"other\"\ncontacts = [\"c-9\"]\n[automation.other]\n\
             trigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\n",
        ),
    );
    let plan = repo.plan();
    assert!(!plan.actions().is_empty());
    assert!(!memo(&repo).exists());
}

#[test]
fn a_record_that_does_not_exist_yet_is_not_made_by_a_plan() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), ""));
    export(&repo, &ROWS.replace("new", "old"));
    repo.run(&["plan"]).exits(0);
    assert!(!repo.file("state").exists());
}

#[test]
fn of_people_it_holds_nothing_and_nonsense_in_it_does_no_harm() {
    let spotler = Spotler::open();
    let repo = settled(&spotler, "");
    let text = std::fs::read_to_string(memo(&repo)).unwrap();
    assert!(!text.contains("c-1") && !text.contains("new"), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(memo(&repo)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::write(memo(&repo), "{").unwrap();
    let done = repo.run(&["plan", "--format", "json"]).exits(0);
    assert_eq!(done.json()["summary"]["unchanged"], 1);
}

#[test]
fn what_is_made_from_the_enrolments_too_is_not_made_from_the_memo() {
    let spotler = Spotler::open();
    let repo = settled(&spotler, "");
    for args in [
        &["--diff"][..],
        &["--format", "markdown"],
        &["--format", "html"],
    ] {
        let shown = with_false_memo(&repo, &[THE_DAY, args].concat());
        assert!(!shown.stdout.contains("777"), "{args:?}");
        assert!(!shown.stderr.contains("777"), "{args:?}");
    }
    let save = [THE_DAY, &["--out", "plan.json"]].concat();
    assert!(!is_recalled(&repo, &save));
    repo.run(&["apply", "plan.json", "--yes"]).exits(0);
}
