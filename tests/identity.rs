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
        refused(repo.run(command), &["Run it without --new-record"]);
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

/// What a repository that was carried to another machine has there.
fn copied(repo: &Repo, name: &str, text: &str) -> Repo {
    let other = Repo::with(text).without_new_record();
    other.write("state/rollcall.db", fs::read(repo.file(name)).unwrap());
    other
}

/// Adds one more to those who are declared.
fn one_more(repo: &Repo, spotler: &Spotler) {
    let more = config(&spotler.url()).replace("\"c-25\"", "\"c-25\", \"c-26\"");
    repo.write("rollcall.toml", more);
}

#[test]
fn a_backup_that_is_put_back_is_an_old_record() {
    let (repo, spotler) = after_the_first_day();
    let file = repo.file("state/rollcall.db");
    let backup = fs::read(&file).unwrap();
    one_more(&repo, &spotler);
    repo.run(&["apply", "--yes"]).exits(0);
    // Into the same file, as `cp` does.
    fs::write(&file, &backup).unwrap();
    for command in WRITERS {
        refused(
            repo.run(command),
            &["It is older than", "rollcall record accept"],
        );
    }
    let told = repo.run(&["apply", "--yes"]).stderr;
    assert!(told.contains("1 trigger and 0 stops"), "{told}");
    // As another file, as a backup that is moved into place is.
    fs::remove_file(&file).unwrap();
    fs::write(&file, &backup).unwrap();
    refused(
        repo.run(&["apply", "--yes"]),
        &["It is older than", "It is not in the file"],
    );
    assert_eq!(spotler.calls(), 26);
}

#[test]
fn a_record_without_the_log_of_a_killed_run_is_an_old_one() {
    for point in ["send:before", "outcome:after"] {
        let (repo, spotler) = after_the_first_day();
        one_more(&repo, &spotler);
        let mut killed = repo.command(&["apply", "--yes"]);
        let killed = killed.env("ROLLCALL_FAILPOINT", point).status().unwrap();
        assert!(!killed.success());
        for name in ["state/rollcall.db-wal", "state/rollcall.db-shm"] {
            fs::remove_file(repo.file(name)).unwrap();
        }
        refused(repo.run(&["apply", "--yes"]), &["It is older than", "-wal"]);
    }
}

#[test]
fn a_record_is_whole_without_its_log_after_a_clean_end() {
    let (repo, _spotler) = after_the_first_day();
    let log = fs::metadata(repo.file("state/rollcall.db-wal"));
    assert!(log.is_err() || log.is_ok_and(|log| log.len() == 0));
}

#[test]
fn a_copy_is_not_the_record() {
    let (repo, spotler) = after_the_first_day();
    let copy = copied(&repo, "state/rollcall.db", &config(&spotler.url()));
    for command in WRITERS {
        refused(
            copy.run(command),
            &["It is not in the file", "rollcall record accept"],
        );
    }
    // Reading goes on, and says so.
    let plan = copy.run(&["plan", "--format", "json"]).exits(0);
    assert!(
        plan.stderr.contains("may not be the right one"),
        "{}",
        plan.stderr
    );
    let problems = &plan.json()["record"]["problems"];
    assert!(
        problems[0].as_str().unwrap().contains("copied"),
        "{problems}"
    );
    for command in [
        &["record", "list"][..],
        &["record", "show", "c-1"],
        &["record", "show"],
        &["record", "export"],
        &["history"],
        &["explain", "c-1"],
        &["plan"],
    ] {
        let done = copy.run(command).exits(0);
        assert!(
            done.stderr.contains("may not be the right one"),
            "{command:?}"
        );
    }
    let done = copy.run(&["record", "accept"]).exits(1);
    assert!(
        done.stderr.contains("no terminal to ask on"),
        "{}",
        done.stderr
    );
    let accepted = copy.run(&["record", "accept", "--yes"]).exits(0).stdout;
    assert!(accepted.contains("rollcall adopt --contact"), "{accepted}");
    copy.run(&["apply", "--yes"]).exits(0);
    let plan = copy.run(&["plan", "--format", "json"]).exits(0);
    assert_eq!(plan.json()["record"]["problems"], serde_json::json!([]));
    let again = copy.run(&["record", "accept", "--yes"]).exits(0).stdout;
    assert!(again.contains("Nothing speaks against"), "{again}");
    // The one that it was copied from is none the worse.
    repo.run(&["apply", "--yes"]).exits(0);
    assert_eq!(spotler.calls(), 25);
}

#[test]
fn what_an_accepted_record_replaced_is_an_old_one_from_then_on() {
    let (repo, spotler) = after_the_first_day();
    let file = repo.file("state/rollcall.db");
    let old = fs::read(&file).unwrap();
    one_more(&repo, &spotler);
    repo.run(&["apply", "--yes"]).exits(0);
    let new = fs::read(&file).unwrap();
    fs::write(&file, old).unwrap();
    repo.run(&["record", "accept", "--yes"]).exits(0);
    repo.run(&["adopt", "--contact", "c-26", "--yes"]).exits(0);
    repo.run(&["apply", "--yes"]).exits(0);
    fs::write(&file, new).unwrap();
    refused(repo.run(&["apply", "--yes"]), &["It is older than"]);
    assert_eq!(spotler.calls(), 26);
}

#[test]
fn another_record_in_the_same_place_is_not_the_record() {
    let (repo, spotler) = after_the_first_day();
    let (other, _) = after_the_first_day();
    let there = fs::read(other.file("state/rollcall.db")).unwrap();
    fs::write(repo.file("state/rollcall.db"), there).unwrap();
    refused(repo.run(&["apply", "--yes"]), &["Another record was here"]);
    assert_eq!(spotler.calls(), 25);
}

#[test]
fn a_lock_file_that_is_missing_or_empty_says_nothing() {
    let (repo, spotler) = after_the_first_day();
    let witness = repo.file("state/rollcall.db.lock");
    let said = fs::read_to_string(&witness).unwrap();
    for spoil in ["", "recor", &said[1..]] {
        fs::write(&witness, spoil).unwrap();
        repo.run(&["resolve", "--as", "active", "--yes"]).exits(0);
        one_more(&repo, &spotler);
        repo.run(&["apply", "--yes"]).exits(0);
        repo.write("rollcall.toml", config(&spotler.url()));
        repo.run(&["apply", "--yes"]).exits(0);
        assert_ne!(fs::read_to_string(&witness).unwrap(), spoil);
    }
    fs::remove_file(&witness).unwrap();
    repo.run(&["apply", "--yes"]).exits(0);
}

#[test]
fn a_record_belongs_to_one_account() {
    let (repo, spotler) = after_the_first_day();
    let other = repo.env("SPOTLER_CONSUMER_KEY", "another-key");
    for command in WRITERS {
        refused(
            other.run(command),
            &[
                "another consumer key",
                "25 running participations",
                "rollcall record accept",
            ],
        );
    }
    let told = other.run(&["plan"]).exits(0).stderr;
    assert!(
        told.contains("another consumer key") && !told.contains("another-key"),
        "{told}"
    );
    let bytes = fs::read(other.file("state/rollcall.db")).unwrap();
    let key = rollcall::sandbox::SANDBOX_KEY.as_bytes();
    let accepted = other.run(&["record", "accept", "--yes"]).exits(0);
    assert!(!accepted.stdout.contains("another-key"));
    other.run(&["adopt", "--yes"]).exits(0);
    assert!(key.len() < 8 || !bytes.windows(key.len()).any(|part| part == key));
    assert_eq!(spotler.calls(), 25);
}

#[test]
fn a_plan_needs_no_credentials_to_say_which_record_it_is() {
    let (repo, _spotler) = after_the_first_day();
    let mut plan = repo.command(&["plan", "--format", "json"]);
    plan.env_remove("SPOTLER_CONSUMER_KEY")
        .env_remove("SPOTLER_CONSUMER_SECRET");
    let plan = plan.output().unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(plan["record"]["problems"], serde_json::json!([]));
}

/// The id that `record show` prints.
fn id(repo: &Repo) -> String {
    let shown = repo
        .run(&["record", "show", "--format", "json"])
        .exits(0)
        .json();
    shown["record"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_first_apply_says_which_record_it_began() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url())).without_new_record();
    let plan = repo.run(&["plan", "--format", "json"]).exits(0).json();
    assert_eq!(plan["record"]["id"], serde_json::Value::Null);
    let told = repo
        .run(&["apply", "--yes", "--new-record"])
        .exits(0)
        .stderr;
    let id = id(&repo);
    assert!(told.contains(&id), "{id} is not said:\n{told}");
    for command in [&["record", "show"][..], &["record", "show", "c-1"]] {
        let shown = repo.run(command).exits(0).stdout;
        assert!(shown.contains(&id), "{shown}");
    }
    let plan = repo.run(&["plan", "--format", "json"]).exits(0).json();
    assert_eq!(
        plan["record"],
        serde_json::json!({ "id": id, "problems": [] })
    );
}

#[test]
fn a_repository_may_belong_to_one_record() {
    let (repo, spotler) = after_the_first_day();
    let pinned = |id: &str| format!("{}[record]\nid = {id:?}\n", config(&spotler.url()));
    repo.write("rollcall.toml", pinned(&id(&repo).to_uppercase()));
    repo.run(&["apply", "--yes"]).exits(0);
    let other = "0b6f1c2e-8d1f-4c4a-9a30-5f0e8b1c7f1d";
    repo.write("rollcall.toml", pinned(other));
    for command in WRITERS {
        refused(repo.run(command), &["`[record] id`", other]);
    }
    refused(
        repo.run(&["record", "accept", "--yes"]),
        &["`[record] id`", "cannot settle"],
    );
    repo.run(&["plan"]).exits(0);
    repo.write("rollcall.toml", pinned("not an id"));
    refused(repo.run(&["plan"]), &["rollcall record show"]);
    // A record that is begun gets the id that is wanted.
    repo.write("rollcall.toml", pinned(other));
    fs::remove_dir_all(repo.file("state")).unwrap();
    repo.run(&["adopt", "--yes", "--new-record"]).exits(0);
    assert_eq!(id(&repo), other);
}

#[test]
fn init_says_which_record_its_repository_belongs_to() {
    let repo = Repo::new().without_new_record();
    let told = repo.run(&["init"]).exits(0).stdout;
    repo.run(&["apply", "--yes"]).exits(0);
    assert!(told.contains(&id(&repo)), "{told}");
}

#[cfg(unix)]
#[test]
fn a_link_to_a_record_has_the_lock_of_the_file_itself() {
    let (repo, spotler) = after_the_first_day();
    let link = |to: &str| std::os::unix::fs::symlink(to, repo.file("linked.db")).unwrap();
    link("state/rollcall.db");
    let url = format!("sqlite:{}", repo.file("linked.db").display());
    let linked = config(&spotler.url()) + &format!("[record]\nurl = {url:?}\n");
    repo.write("rollcall.toml", linked);
    repo.run(&["apply", "--yes"]).exits(0);
    let names = fs::read_dir(repo.path()).unwrap();
    let names: Vec<String> = names
        .map(|of| of.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        !names
            .iter()
            .any(|name| name.starts_with("linked.db") && name != "linked.db"),
        "{names:?}"
    );
    assert!(repo.file("state/rollcall.db.lock").exists());
    // A link to a disk that is not there begins nothing.
    fs::remove_file(repo.file("linked.db")).unwrap();
    link("unmounted/rollcall.db");
    let told = "linked.db (a symbolic link to unmounted/rollcall.db, which is not there)";
    refused(repo.run(&["apply", "--yes"]), &["There is no record", told]);
    let planned = repo.run(&["plan"]).exits(0);
    assert!(planned.stderr.contains(told), "{}", planned.stderr);
    let first_day = ["apply", "--yes", "--new-record"];
    let calls = spotler.calls();
    let told = repo.run(&first_day).exits(1).stderr;
    assert!(told.contains("whose folder is not there"), "{told}");
    assert_eq!(spotler.calls(), calls);
    assert!(!repo.file("unmounted").exists());
    // Where its folder is there, that is where the record is begun.
    fs::create_dir(repo.file("unmounted")).unwrap();
    repo.run(&first_day).exits(0);
    assert!(repo.file("unmounted/rollcall.db").is_file());
}

#[test]
fn a_folder_is_not_taken_for_a_record() {
    let (repo, spotler) = after_the_first_day();
    let calls = spotler.calls();
    fs::remove_file(repo.file("state/rollcall.db")).unwrap();
    fs::create_dir(repo.file("state/rollcall.db")).unwrap();
    let readers: [&[&str]; 3] = [&["plan"], &["record", "list"], &["record", "unlock"]];
    let begins: &[&str] = &["apply", "--yes", "--new-record"];
    for command in WRITERS.into_iter().chain(readers).chain([begins]) {
        refused(
            repo.run(command),
            &[
                "rollcall.db is a folder, and must be a file",
                "[record] url",
            ],
        );
    }
    assert_eq!(spotler.calls(), calls);
}

#[test]
fn a_record_with_two_names_is_refused() {
    let (repo, spotler) = after_the_first_day();
    let (file, second) = (repo.file("state/rollcall.db"), repo.file("state/second.db"));
    fs::hard_link(&file, &second).unwrap();
    for command in WRITERS {
        refused(repo.run(command), &["2 names"]);
    }
    refused(repo.run(&["record", "accept", "--yes"]), &["2 names"]);
    fs::remove_file(&second).unwrap();
    repo.run(&["apply", "--yes"]).exits(0);
    assert_eq!(spotler.calls(), 25);
}

#[test]
fn a_person_is_not_erased_where_that_would_hide_that_a_record_is_old() {
    let (repo, spotler) = after_the_first_day();
    let file = repo.file("state/rollcall.db");
    let backup = fs::read(&file).unwrap();
    one_more(&repo, &spotler);
    repo.run(&["apply", "--yes"]).exits(0);
    fs::write(&file, &backup).unwrap();
    let toml = fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let suppress = "[[suppress]]\ncontacts = [\"c-1\", \"c-2\", \"c-3\", \"c-4\"]\n";
    repo.write("rollcall.toml", format!("{toml}{suppress}"));
    for contact in ["c-1", "c-2", "c-3", "c-4"] {
        let done = repo.run(&["record", "forget", contact, "--yes"]).exits(1);
        assert!(done.stderr.contains("It is older than"), "{}", done.stderr);
    }
    refused(repo.run(&["apply", "--yes"]), &["It is older than"]);
}

#[cfg(unix)]
#[test]
fn a_record_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let (repo, _spotler) = after_the_first_day();
    let file = repo.file("state/rollcall.db");
    for (mode, is_warned) in [(0o600, false), (0o640, true), (0o604, true)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        for command in [
            &["plan"][..],
            &["apply", "--yes", "--quiet"],
            &["record", "list"],
        ] {
            let told = repo.run(command).exits(0).stderr;
            assert_eq!(
                told.contains("Others can read"),
                is_warned,
                "{command:?}: {told}"
            );
        }
    }
}

#[test]
fn a_record_in_a_runners_checkout_is_warned_of() {
    for variable in ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"] {
        let (repo, spotler) = after_the_first_day();
        let here = repo.path().to_str().unwrap().to_owned();
        let repo = repo.env(variable, &here);
        for command in [&["plan"][..], &["apply", "--yes", "--quiet"]] {
            let told = repo.run(command).exits(0).stderr;
            assert!(told.contains(variable), "{told}");
        }
        let outside = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", outside.path().join("r.db").display());
        repo.write(
            "rollcall.toml",
            config(&spotler.url()) + &format!("[record]\nurl = {url:?}\n"),
        );
        let told = repo
            .run(&["adopt", "--yes", "--new-record"])
            .exits(0)
            .stderr;
        assert!(!told.contains(variable), "{told}");
    }
}

#[test]
fn a_kill_while_the_record_is_made_leaves_nothing_to_stumble_over() {
    for point in [
        "migrate:before",
        "migrate:after",
        "make:before",
        "make:after",
    ] {
        let repo = Repo::with(&config("sandbox")).without_new_record();
        let mut killed = repo.command(&["apply", "--yes"]);
        killed.env("ROLLCALL_FAILPOINT", point);
        assert!(!killed.output().unwrap().status.success(), "{point}");
        repo.run(&["plan"]).exits(0);
        repo.run(&["apply", "--yes"]).exits(0);
        assert_eq!(repo.recorded().len(), 25);
        assert!(!repo.file("state/rollcall.db.new").exists());
    }
}

#[test]
fn a_record_of_the_version_before_is_taken_as_it_is_and_marked() {
    for schema in 1..=4 {
        let (repo, spotler) = after_the_first_day();
        repo.make_older(schema);
        let plan = repo.plan();
        assert_eq!(plan.json()["record"]["problems"], serde_json::json!([]));
        one_more(&repo, &spotler);
        repo.run(&["apply", "--yes"]).exits(0);
        assert_eq!(spotler.calls(), 26);
        let copy = copied(&repo, "state/rollcall.db", &config(&spotler.url()));
        refused(copy.run(&["apply", "--yes"]), &["It is not in the file"]);
        let other = repo.env("SPOTLER_CONSUMER_KEY", "another-key");
        refused(other.run(&["apply", "--yes"]), &["another consumer key"]);
    }
}

#[test]
fn a_record_that_is_cut_or_deleted_while_it_is_written_ends_the_run() {
    type Spoil = fn(&std::path::Path);
    let spoils: [Spoil; 4] = [
        |file| fs::remove_file(file).unwrap(),
        |file| fs::write(file, "").unwrap(),
        |file| {
            fs::File::options()
                .write(true)
                .open(file)
                .unwrap()
                .set_len(4096)
                .unwrap()
        },
        |file| {
            let copy = file.with_extension("copy");
            fs::copy(file, &copy).unwrap();
            fs::rename(copy, file).unwrap();
        },
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let spotler = Spotler::open();
        let people: Vec<String> = (1..=500).map(|number| format!("\"d-{number}\"")).collect();
        let toml = config(&spotler.url()).replace("[spotler]\n", "[spotler]\nrate = \"100/s\"\n");
        let repo = Repo::with(&toml.replace("\"c-1\"", &people.join(", "))).without_new_record();
        let child = repo.spawn(&["apply", "--yes", "--new-record", "--metrics", "m.prom"]);
        spotler.wait_for_calls(3);
        spoil(&repo.file("state/rollcall.db"));
        let calls = spotler.calls();
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{number}: {told}");
        assert!(
            told.contains("deleted, cut or replaced"),
            "{number}: {told}"
        );
        // What was on record before that may still be under way.
        assert!(
            spotler.calls() <= calls + 16,
            "{number}: {} after {calls}",
            spotler.calls()
        );
        // What cannot be counted is not told as none.
        let metrics = fs::read_to_string(repo.file("m.prom")).unwrap();
        let is_whole = number == 3;
        assert_eq!(
            metrics.contains("rollcall_participations{"),
            is_whole,
            "{metrics}"
        );
        // What is left of it is not taken for a record.
        let again = repo.run(&["apply", "--yes"]);
        assert_eq!(
            again.code,
            Some(1),
            "{number}: {} {}",
            again.stdout,
            again.stderr
        );
    }
}

#[test]
fn a_record_that_an_older_version_was_killed_in_making_is_made_anew() {
    let repo = Repo::with(&config("sandbox")).without_new_record();
    repo.leave_half_made_record();
    repo.run(&["plan"]).exits(0);
    repo.run(&["apply", "--yes"]).exits(0);
    assert_eq!(repo.recorded().len(), 25);
}

#[test]
fn a_witness_that_is_lost_is_written_anew_where_nothing_else_is_to_be_done() {
    let (repo, spotler) = after_the_first_day();
    let (file, witness) = (
        repo.file("state/rollcall.db"),
        repo.file("state/rollcall.db.lock"),
    );
    let backup = fs::read(&file).unwrap();
    one_more(&repo, &spotler);
    repo.run(&["apply", "--yes"]).exits(0);
    let said = fs::read_to_string(&witness).unwrap();
    fs::remove_file(&witness).unwrap();
    let done = repo.run(&["apply", "--yes"]).exits(0);
    assert!(done.stdout.starts_with("Nothing to do"), "{}", done.stdout);
    assert_eq!(fs::read_to_string(&witness).unwrap(), said);
    fs::write(&file, &backup).unwrap();
    refused(repo.run(&["apply", "--yes"]), &["It is older than"]);
    assert_eq!(spotler.calls(), 26);
}

#[test]
fn a_record_without_marks_gets_them_where_nothing_else_is_to_be_done() {
    let (repo, spotler) = after_the_first_day();
    let file = repo.file("state/rollcall.db");
    for columns in [
        &["file_inode", "file_birth"][..],
        &["service"],
        &["account"],
    ] {
        repo.remove_marks(columns);
        repo.run(&["apply", "--yes"]).exits(0);
        assert!(repo.has_marks(), "{columns:?}");
    }
    // Once it has them, a run with nothing to do writes nothing.
    let before = fs::read(&file).unwrap();
    repo.run(&["apply", "--yes"]).exits(0);
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(spotler.calls(), 25);
}

#[test]
fn who_reads_where_there_is_no_record_is_reported_so() {
    let (repo, _spotler) = after_the_first_day();
    fs::remove_file(repo.file("state/rollcall.db")).unwrap();
    for command in [
        &["record", "list"][..],
        &["record", "export"],
        &["record", "show", "c-1"],
        &["history"],
        &["explain", "c-1"],
        &["report", "--html", "report.html"],
    ] {
        let told = repo.run(command).stderr;
        let said = "warning: There is no record at state/rollcall.db.\n";
        assert!(told.contains(said), "{command:?}: {told}");
    }
}

#[test]
fn nobody_is_said_to_be_erased_from_a_record_that_is_not_there() {
    let (repo, _spotler) = after_the_first_day();
    fs::remove_dir_all(repo.file("state")).unwrap();
    refused(
        repo.run(&["record", "forget", "c-1", "--yes"]),
        &["There is no record at state/rollcall.db, so nothing in it can be erased"],
    );
    assert!(!repo.has_state());
}

#[test]
fn a_record_that_was_lost_is_not_begun_anew_by_a_job() {
    let (repo, spotler) = after_the_first_day();
    let id = id(&repo);
    fs::remove_file(repo.file("state/rollcall.db")).unwrap();
    let gone = format!("A record {id} with serial ");
    for args in [
        &["apply", "--yes"][..],
        &["apply", "--yes", "--new-record"],
        &["adopt", "--yes", "--new-record"],
    ] {
        refused(repo.run(args), &[&gone, "rollcall.db.lock"]);
    }
    assert_eq!(spotler.calls(), 25);
    // A person may say so by hand.
    fs::remove_file(repo.file("state/rollcall.db.lock")).unwrap();
    repo.run(&["adopt", "--yes", "--new-record"]).exits(0);
    assert_eq!(repo.recorded().len(), 25);
}

#[test]
fn a_first_day_that_was_cut_short_may_be_begun_again() {
    for point in ["migrate:before", "make:before", "make:after"] {
        let spotler = Spotler::open();
        let repo = Repo::with(&config(&spotler.url())).without_new_record();
        let args = ["apply", "--yes", "--new-record"];
        let mut killed = repo.command(&args);
        let killed = killed.env("ROLLCALL_FAILPOINT", point).status().unwrap();
        assert!(!killed.success(), "{point}");
        repo.run(&args).exits(0);
        assert_eq!(spotler.calls(), 25, "{point}");
    }
}

#[test]
fn what_cannot_be_accepted_is_not_said_to_be() {
    let (repo, _spotler) = after_the_first_day();
    fs::hard_link(repo.file("state/rollcall.db"), repo.file("state/second.db")).unwrap();
    let told = repo.run(&["record", "list"]).exits(0).stderr;
    assert!(told.contains("cannot settle all of it"), "{told}");
    assert!(!told.contains("See `rollcall record accept`"), "{told}");
}
