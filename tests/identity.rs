//! Which record is it? One that is lost, old, copied or of another account is never taken for one that says "nobody".

mod common;

use std::fs;

use common::{Done, Repo, Spotler};

/// Twenty-five people in one automation, at this service.
fn config(url: &str) -> String {
    let people: Vec<String> = (1..=25).map(|number| format!("\"c-{number}\"")).collect();
    format!(
        "[spotler]\nbase_url = {url:?}\n\n[automation.welcome]\ntrigger_code = \"code-w\"\n\n\
         [[enrol]]\nautomation = \"welcome\"\ncontacts = [{}]\n",
        people.join(", ")
    )
}

/// A repository after its first day, with the service that knows of it.
fn after_the_first_day() -> (Repo, Spotler) {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url())).without_new_record();
    repo.run(&["apply", "--yes", "--new-record"]).exits(0);
    assert_eq!(spotler.calls(), 25);
    (repo, spotler)
}

/// Asserts that nothing was done, and that it is said why and what to type.
#[track_caller]
fn refused(done: Done, said: &[&str]) {
    let done = done.exits(1);
    assert_eq!(done.stdout, "");
    for part in said {
        assert!(
            done.stderr.contains(part),
            "{part} is not said:\n{}",
            done.stderr
        );
    }
}

const WRITERS: [&[&str]; 3] = [
    &["apply", "--yes"],
    &["adopt", "--yes"],
    &["resolve", "--as", "active", "--yes"],
];

#[test]
fn a_record_that_is_lost_is_not_an_empty_one() {
    let (repo, spotler) = after_the_first_day();
    let file = repo.file("state/rollcall.db");
    let whole = fs::read(&file).unwrap();
    let losses: [(&str, &dyn Fn()); 4] = [
        ("the file deleted", &|| fs::remove_file(&file).unwrap()),
        ("the folder deleted", &|| {
            fs::remove_dir_all(repo.file("state")).unwrap()
        }),
        ("emptied", &|| repo.write("state/rollcall.db", "")),
        ("cut to a byte", &|| {
            repo.write("state/rollcall.db", &whole[..1])
        }),
    ];
    for (name, lose) in losses {
        lose();
        for command in WRITERS {
            eprintln!("{name}: {command:?}");
            refused(
                repo.run(command),
                &["There is no record at state/rollcall.db"],
            );
        }
        let told = repo.run(&["apply", "--yes"]).stderr;
        assert!(
            told.contains("25 triggers") && told.contains("--new-record"),
            "{told}"
        );
        repo.run(&["plan"]).exits(0);
    }
    assert_eq!(spotler.calls(), 25);
}

#[test]
fn a_record_is_not_begun_by_a_mistyped_url() {
    let (repo, spotler) = after_the_first_day();
    let wrong = config(&spotler.url()) + "[record]\nurl = \"sqlite:sate/rollcall.db\"\n";
    repo.write("rollcall.toml", wrong);
    refused(repo.run(&["apply", "--yes"]), &["sate/rollcall.db"]);
    assert!(!repo.file("sate").exists());
}

#[test]
fn a_second_first_day_is_an_error() {
    let (repo, spotler) = after_the_first_day();
    for command in [
        &["apply", "--yes", "--new-record"],
        &["adopt", "--yes", "--new-record"],
    ] {
        refused(repo.run(command), &["Leave --new-record out"]);
    }
    assert_eq!(spotler.calls(), 25);
}

#[test]
fn a_first_day_for_nobody_begins_a_record_all_the_same() {
    let spotler = Spotler::open();
    let automation = "[automation.welcome]\ntrigger_code = \"code-w\"\n";
    let toml = format!("[spotler]\nbase_url = {:?}\n{automation}", spotler.url());
    let repo = Repo::with(&toml).without_new_record();
    refused(repo.run(&["apply", "--yes"]), &["There is no record"]);
    repo.run(&["apply", "--yes", "--new-record"]).exits(0);
    repo.run(&["apply", "--yes", "--new-record"]).exits(0);
    repo.run(&["apply", "--yes"]).exits(0);
}

#[test]
fn the_built_in_sandbox_needs_no_word_for_its_first_day() {
    let repo = Repo::with(&config("sandbox")).without_new_record();
    repo.run(&["apply", "--yes"]).exits(0);
    assert_eq!(repo.recorded().len(), 25);
}
