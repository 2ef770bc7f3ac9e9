//! What people do to the record, and what happens to its file.

mod common;

use std::io::Write;
use std::process::Stdio;

use common::{Repo, Spotler};
use serde_json::json;

const CODE: &str = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";

fn config(url: &str, more: &str, contacts: &[&str]) -> String {
    let enrol = match contacts {
        [] => String::new(),
        contacts => format!("[[enrol]]\nautomation = \"welcome\"\ncontacts = {contacts:?}\n"),
    };
    format!(
        "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\nconcurrency = 4\n[automation.welcome]\n\
         trigger_code = {CODE:?}\n{more}\n{enrol}"
    )
}

#[test]
fn adopted_enrolments_are_active_and_nobody_is_mailed() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1", "c-2", "c-3"]));
    repo.run(&["adopt"]).exits(1);
    let typo = repo.run(&["adopt", "--contact", "c-9", "--yes"]).exits(1);
    assert!(
        typo.stderr.contains("c-9 is not enrolled"),
        "{}",
        typo.stderr
    );
    assert!(!repo.has_state());
    let one = repo.run(&["adopt", "--contact", "c-2", "--yes"]).exits(0);
    assert!(
        one.stdout.contains("adopt  c-2 / welcome"),
        "{}",
        one.stdout
    );
    assert_eq!(
        repo.plan().actions(),
        ["trigger welcome c-1", "trigger welcome c-3"]
    );
    repo.run(&["adopt", "--yes"]).exits(0);
    assert_eq!(repo.plan().actions(), [""; 0]);
    assert_eq!(spotler.calls(), 0);
    // What was adopted is stopped like any other when it leaves.
    repo.write("rollcall.toml", config(&spotler.url(), "", &["c-1", "c-2"]));
    repo.apply().exits(0);
    assert_eq!(spotler.calls(), 1);
    assert_eq!(repo.recorded()[2], "welcome c-3 stopped");
}

#[test]
fn an_uncertain_trigger_is_settled_by_a_person() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "reset-after" }]));
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1", "c-2", "c-3"]));
    repo.apply().exits(3);
    spotler.fault(json!([]));
    repo.run(&["resolve", "--as", "active"]).exits(1);
    repo.run(&["resolve", "--as", "nonsense", "--yes"]).exits(1);
    let typo = ["resolve", "c-1", "c-9", "--as", "active", "--yes"];
    let refused = repo.run(&typo).exits(1);
    assert!(
        refused.stderr.contains("c-9 has no uncertain trigger"),
        "{}",
        refused.stderr
    );
    assert_eq!(repo.recorded()[0], "welcome c-1 uncertain");
    repo.run(&["resolve", "c-1", "--as", "active", "--yes"])
        .exits(0);
    repo.run(&["resolve", "--as", "not-sent", "--yes"]).exits(0);
    assert_eq!(
        repo.recorded(),
        [
            "welcome c-1 active",
            "welcome c-2 failed",
            "welcome c-3 failed"
        ]
    );
    assert_eq!(
        repo.plan().actions(),
        ["trigger welcome c-2", "trigger welcome c-3"]
    );
    let nothing = repo.run(&["resolve", "--as", "active", "--yes"]).exits(0);
    assert_eq!(nothing.stdout, "Nothing is uncertain.\n");
}

#[test]
fn history_has_every_call_with_its_configuration() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    let digest = repo.plan().json()["config_digest"].clone();
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&spotler.url(), "", &[]));
    repo.apply().exits(0);
    let json = repo
        .run(&["history", "c-1", "--format", "json"])
        .exits(0)
        .json();
    let calls = json["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["call"], "trigger");
    assert_eq!(calls[0]["outcome"], "active");
    assert_eq!(calls[0]["config_digest"], digest);
    assert_eq!(calls[1]["call"], "stop");
    assert_eq!(calls[1]["outcome"], "stopped");
    assert_ne!(calls[1]["config_digest"], digest);
}

/// Suppresses a contact, and says what the configuration was before.
fn suppress(repo: &Repo, contact: &str) -> String {
    let toml = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let more = format!("{toml}[[suppress]]\ncontacts = [{contact:?}]\n");
    repo.write("rollcall.toml", more);
    toml
}

#[test]
fn who_is_still_declared_is_not_forgotten() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1", "c-2"]));
    repo.apply().exits(0);
    let forget = || repo.run(&["record", "forget", "c-1", "--yes"]);
    let refused = forget().exits(1);
    assert_eq!(refused.stdout, "");
    for says in [
        "c-1 is still declared in welcome",
        "nothing was erased",
        "[[suppress]]",
    ] {
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
    }
    // Nor where that cannot be known.
    let toml = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let rest = toml.replace("\"c-1\", ", "");
    let source = "[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n";
    repo.write("rollcall.toml", format!("{rest}{source}"));
    repo.write("crm.csv", "id,name\nc-3,x,y\n");
    let refused = forget().exits(1);
    for says in ["in row 2", "nothing was erased", "[[suppress]]"] {
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
    }
    assert_eq!(repo.recorded().len(), 2);
    // Who is neither declared nor to be is, and who is suppressed too, at once.
    let unsuppressed = suppress(&repo, "c-1");
    forget().exits(0);
    assert_eq!(repo.recorded(), ["welcome c-2 active"]);
    repo.write("rollcall.toml", unsuppressed);
    repo.write("crm.csv", "id,name\nc-3,x\n");
    repo.run(&["apply", "--yes"]).exits(0);
    repo.write("crm.csv", "id,name\nc-4,x\n");
    repo.run(&["record", "forget", "c-3", "--yes"]).exits(0);
    assert_eq!(repo.recorded(), ["welcome c-2 active"]);
}

#[test]
fn a_person_who_is_forgotten_is_nowhere_in_the_files() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["unforgettable-1", "c-2"]));
    repo.apply().exits(0);
    suppress(&repo, "unforgettable-1");
    repo.run(&["record", "forget", "unforgettable-1"]).exits(1);
    repo.run(&["record", "forget", "unforgettable-1", "--yes"])
        .exits(0);
    for entry in std::fs::read_dir(repo.file("state")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(15).any(|window| window == b"unforgettable-1");
        assert!(!found, "{}", path.display());
    }
    let show = repo.run(&["record", "show", "unforgettable-1"]).exits(0);
    assert_eq!(show.stdout, "Nothing is on record for unforgettable-1.\n");
    assert_eq!(repo.recorded(), ["welcome c-2 active"]);
}

#[test]
fn who_cannot_be_wiped_from_the_log_is_not_said_to_be_erased() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["unforgettable-1", "c-2"]));
    repo.apply().exits(0);
    suppress(&repo, "unforgettable-1");
    let forget = || repo.run(&["record", "forget", "unforgettable-1", "--yes"]);
    let done = repo.while_read(forget).exits(3);
    assert!(
        done.stderr
            .contains("rollcall.db-wal next to it still holds"),
        "{}",
        done.stderr
    );
    assert!(!done.stdout.contains("Erased."), "{}", done.stdout);
    // With the record to itself, the next command that writes leaves nothing.
    repo.write("rollcall.toml", config(&spotler.url(), "", &["c-2", "c-3"]));
    repo.apply().exits(0);
    for entry in std::fs::read_dir(repo.file("state")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(15).any(|window| window == b"unforgettable-1"));
    }
}

#[test]
fn an_export_holds_no_formula() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["=HYPERLINK(1)", "c-2"]));
    repo.apply().exits(0);
    let csv = repo.run(&["record", "export"]).exits(0).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("contact,automation,occurrence,state,"));
    assert!(
        lines[1].starts_with("'=HYPERLINK(1),welcome,,active,"),
        "{csv}"
    );
    let json = repo
        .run(&["record", "export", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(json["participations"][0]["contact"], "=HYPERLINK(1)");
}

#[test]
fn who_left_and_comes_back_cools_down() {
    let spotler = Spotler::open();
    let more = "cooldown = \"30d\"";
    let repo = Repo::with(&config(&spotler.url(), more, &["c-1"]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&spotler.url(), more, &[]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&spotler.url(), more, &["c-1"]));
    let plan = repo.plan();
    assert_eq!(plan.actions(), [""; 0]);
    let held = &plan.json()["held"][0];
    assert_eq!(held["state"], "cooling");
    assert!(
        held["reason"]
            .as_str()
            .unwrap()
            .contains("its cooldown ends at "),
        "{held}"
    );
    repo.apply().exits(0);
    let later = ["plan", "--format", "json", "--now", "2099-01-01"];
    assert_eq!(repo.run(&later).exits(0).actions(), ["trigger welcome c-1"]);
}

#[test]
fn who_was_adopted_cools_down_like_who_was_triggered() {
    let spotler = Spotler::open();
    let more = "cooldown = \"30d\"";
    let repo = Repo::with(&config(&spotler.url(), more, &["c-1"]));
    repo.run(&["adopt", "--yes"]).exits(0);
    repo.write("rollcall.toml", config(&spotler.url(), more, &[]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&spotler.url(), more, &["c-1"]));
    let plan = repo.plan();
    assert_eq!(plan.actions(), [""; 0]);
    assert_eq!(plan.json()["held"][0]["state"], "cooling");
}

#[test]
fn a_cooldown_counts_from_when_the_call_was_sent_and_not_from_its_answer() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "slow", "ms": 1200 }]));
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    repo.apply().exits(0);
    let shown = repo.run(&["record", "show", "c-1", "--format", "json"]);
    let json = shown.exits(0).json();
    let sent = &json["calls"][0]["sent_at"];
    assert_eq!(&json["participations"][0]["triggered_at"], sent);
    assert_ne!(&json["participations"][0]["changed_at"], sent);
}

#[test]
fn a_run_that_the_guard_refuses_does_not_begin_to_count_who_leaves() {
    let spotler = Spotler::open();
    let with = |contacts: &[&str], guard: &str| {
        let more = "leave_after = \"48h\"\n[automation.other]\ntrigger_code = \"other-code\"";
        let other = "[[enrol]]\nautomation = \"other\"\ncontacts = [\"c-8\", \"c-9\"]\n";
        let toml = config(&spotler.url(), more, contacts);
        format!("{toml}{other}[guard]\n{guard}\n")
    };
    let repo = Repo::with(&with(&["c-1"], "").replace("\"c-8\", \"c-9\"", "\"c-8\""));
    let run = |now: &str| repo.run(&["apply", "--yes", "--format", "json", "--now", now]);
    run("2030-01-01T00:00:00Z").exits(0);
    repo.write("rollcall.toml", with(&[], "max_triggers = 0"));
    run("2030-01-02T00:00:00Z").exits(4);
    repo.write("rollcall.toml", with(&[], ""));
    let left = run("2030-01-03T00:00:00Z").exits(0).json();
    let reason = left["held"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("since 2030-01-03T00:00:00Z"), "{reason}");
}

#[test]
fn an_enrolment_must_be_gone_for_as_long_as_leave_after_says() {
    let spotler = Spotler::open();
    let more = "leave_after = \"48h\"";
    let repo = Repo::with(&config(&spotler.url(), more, &["c-1"]));
    let apply = |now: &str| {
        repo.run(&["apply", "--yes", "--format", "json", "--now", now])
            .exits(0)
    };
    apply("2030-01-01T00:00:00Z");
    repo.write("rollcall.toml", config(&spotler.url(), more, &[]));
    let left = apply("2030-01-02T00:00:00Z").json();
    assert_eq!(left["held"][0]["state"], "leaving");
    let reason = left["held"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("since 2030-01-02T00:00:00Z"), "{reason}");
    assert!(
        reason.starts_with("no [[enrol]] block names"),
        "why it is gone: {reason}"
    );
    assert!(reason.contains("from 2030-01-04T00:00:00Z on"), "{reason}");
    assert_eq!(apply("2030-01-03T23:59:59Z").actions(), [""; 0]);
    // It comes back, and so the time begins anew when it goes again.
    repo.write("rollcall.toml", config(&spotler.url(), more, &["c-1"]));
    assert_eq!(apply("2030-01-04T00:00:00Z").actions(), [""; 0]);
    repo.write("rollcall.toml", config(&spotler.url(), more, &[]));
    assert_eq!(apply("2030-01-05T00:00:00Z").actions(), [""; 0]);
    assert_eq!(apply("2030-01-06T12:00:00Z").actions(), [""; 0]);
    assert_eq!(
        apply("2030-01-07T00:00:00Z").actions(),
        ["stop welcome c-1 -> stopped"]
    );
}

#[test]
fn foreign_damaged_and_newer_files_are_refused_and_left_as_they_are() {
    let repo = Repo::with(&config("sandbox", "", &["c-1"]));
    let foreign = |text: &[u8], says: &str| {
        repo.write("state/rollcall.db", text);
        for args in [&["plan"][..], &["apply", "--yes"], &["record", "list"]] {
            let done = repo.run(args).exits(1);
            assert!(done.stderr.contains(says), "{args:?}: {}", done.stderr);
        }
        assert_eq!(std::fs::read(repo.file("state/rollcall.db")).unwrap(), text);
        assert!(!repo.file("state/rollcall.db.sandbox.jsonl").exists());
        std::fs::remove_dir_all(repo.file("state")).unwrap();
    };
    foreign(b"this is a text and no database, long enough to have a header of a hundred bytes in it, and then some more of it", "is not a record of Rollcall");
    let mut damaged = b"SQLite format 3\0".to_vec();
    damaged.resize(8192, 0x5a);
    foreign(&damaged, "is not a record of Rollcall");
}

#[test]
#[cfg(unix)]
fn a_record_that_may_not_be_written_is_said_so() {
    use std::os::unix::fs::PermissionsExt;
    let repo = Repo::with(&config("sandbox", "", &["c-1"]));
    repo.apply().exits(0);
    let mode = |path: &str| {
        std::fs::metadata(repo.file(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("state/rollcall.db"), 0o600);
    assert_eq!(mode("state/rollcall.db.sandbox.jsonl"), 0o600);
}

#[test]
fn two_applies_at_once_take_turns() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "slow", "ms": 300 }]));
    let names: Vec<String> = (0..12).map(|n| format!("c-{n:02}")).collect();
    let contacts: Vec<&str> = names.iter().map(String::as_str).collect();
    let repo = Repo::with(&config(&spotler.url(), "", &contacts));
    let args = ["apply", "--yes", "--lock-timeout", "60s"];
    let both = [repo.spawn(&args), repo.spawn(&args)];
    for child in both {
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(spotler.ledger().len(), 12, "nobody was triggered twice");
}

#[test]
fn who_does_not_wait_is_reported_who_holds_the_lock() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "slow", "ms": 1500 }]));
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    let mut first = repo.spawn(&["apply", "--yes"]);
    // The first call has come in, so the first run holds the lock.
    spotler.wait_for_calls(1);
    let pid = first.id();
    let second = repo.run(&["apply", "--yes"]).exits(1);
    let readers = [&["record", "list"][..], &["history"], &["plan"]];
    let read = readers.map(|args| repo.run(args).exits(0).stdout);
    let unlock = repo.run(&["record", "unlock"]).exits(1);
    // Who waits finds all of it answered.
    let third = repo.run(&["apply", "--yes", "--lock-timeout", "60s"]);
    assert!(first.wait().unwrap().success());
    let third = third.exits(0);
    assert!(third.stdout.starts_with("Nothing to do"), "{third:?}");
    assert_eq!(third.stderr, "");
    for told in [&second.stderr, &unlock.stdout] {
        assert!(told.contains(&format!("process {pid} on ")), "{told}");
        assert!(told.contains(&format!("kill {pid}")), "{told}");
    }
    assert!(second.stderr.contains("--lock-timeout"), "{second:?}");
    for told in read {
        let under_way = format!("under way in a run that is at work (process {pid} on ");
        assert!(told.contains(&under_way), "{told}");
        assert!(!told.contains("resolve"), "{told}");
    }
    assert_eq!(spotler.ledger().len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn who_has_only_just_taken_the_lock_is_not_called_process_0() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&spotler.url(), "", &["c-1", "c-2"]));
    let lock = std::fs::File::open(repo.file("state/rollcall.db.lock")).unwrap();
    lock.lock().unwrap();
    let told = repo.apply().exits(1).stderr;
    assert!(told.contains("that has only just begun"), "{told}");
}

#[test]
fn a_run_that_is_frozen_is_fenced_by_unlock() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    repo.apply().exits(0);
    let people: Vec<String> = (1..=30).map(|number| format!("c-{number}")).collect();
    let mut people: Vec<&str> = people.iter().map(String::as_str).collect();
    repo.write("rollcall.toml", config(&spotler.url(), "", &people));
    spotler.fault(json!([{ "fault": "slow", "ms": 1000 }]));
    let frozen = repo.spawn(&["apply", "--yes"]);
    // As many as go side by side: nothing is written until they are answered.
    spotler.wait_for_calls(9);
    let signal = |name: &str| {
        let mut kill = std::process::Command::new("kill");
        let pid = frozen.id().to_string();
        assert!(kill.args([name, &pid]).status().unwrap().success());
    };
    signal("-STOP");
    spotler.fault(json!([]));
    repo.apply().exits(1);
    let told = repo.run(&["record", "unlock", "--yes"]).exits(0).stdout;
    assert!(
        told.contains(&format!("kill {}", frozen.id())) && told.contains("Unlocked"),
        "{told}"
    );
    // The next run has the lock, though the system's is still with the frozen one.
    people.push("c-31");
    repo.write("rollcall.toml", config(&spotler.url(), "", &people));
    repo.apply().exits(3);
    signal("-CONT");
    let output = frozen.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{told}");
    let told = told + &String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("was lost to another run"), "{told}");
    assert!(
        !told.contains("..") && !told.contains("goes on from here"),
        "{told}"
    );
    repo.apply().exits(0);
    let mut ledger = spotler.ledger();
    ledger.sort();
    let all = ledger.len();
    ledger.dedup();
    assert_eq!(ledger.len(), all, "somebody was triggered twice");
}

#[test]
#[cfg(unix)]
fn an_interrupted_apply_finishes_what_is_under_way() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "slow", "ms": 400 }]));
    let names: Vec<String> = (0..50).map(|n| format!("c-{n:02}")).collect();
    let contacts: Vec<&str> = names.iter().map(String::as_str).collect();
    let repo = Repo::with(&config(&spotler.url(), "", &contacts));
    for signal in ["INT", "TERM"] {
        let before = spotler.calls();
        let child = repo.spawn(&["apply", "--yes"]);
        spotler.wait_for_calls(before + 1);
        let kill = std::process::Command::new("kill")
            .args([format!("-{signal}"), child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains("interrupted by a signal"), "{stderr}");
        let recorded = repo.recorded();
        assert_eq!(recorded.len(), spotler.ledger().len());
        assert!(
            recorded.iter().all(|line| line.ends_with(" active")),
            "{recorded:?}"
        );
    }
}

#[test]
fn an_interrupted_apply_of_ten_thousand_starts_nothing_more_and_records_every_outcome() {
    const UNDER_WAY: u64 = 32;
    let spotler = Spotler::open();
    spotler.put(
        "faults",
        &json!({ "seed": 7, "rules": [
            { "fault": "hang-before", "probability": 0.1 },
            { "fault": "slow", "ms": 20 },
        ] }),
    );
    let repo = Repo::with(&format!(
        "[spotler]\nbase_url = {:?}\nrate = \"100000/s\"\nconcurrency = {UNDER_WAY}\ntimeout = \"2s\"\n\
         [guard]\nmax_triggers = 10000\n[automation.welcome]\ntrigger_code = {CODE:?}\n\
         [source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n",
        spotler.url()
    ));
    let ids: String = (0..10_000).map(|n| format!("c-{n:05}\n")).collect();
    repo.write("crm.csv", format!("id\n{ids}"));
    let mut child = repo
        .command(&["apply", "--yes", "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    spotler.wait_for_calls(100);
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    // It ends, though calls are never answered: so it has waited for their time-out and no longer.
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let calls = spotler.calls();
    assert!(calls < 5_000, "{calls} calls");
    let recorded = repo.recorded();
    assert_eq!(recorded.len() as u64, calls);
    let active = recorded.iter().filter(|line| line.ends_with(" active"));
    let uncertain = recorded.iter().filter(|line| line.ends_with(" uncertain"));
    assert_eq!(active.clone().count(), spotler.ledger().len());
    assert_eq!(active.count() + uncertain.count(), recorded.len());
}

#[test]
fn a_terminal_escape_in_the_configuration_never_reaches_a_terminal() {
    let repo = Repo::new();
    let mut toml = config("sandbox", "", &[]).into_bytes();
    toml.write_all(b"[[enrol]]\nautomation = \"welcome\"\ncontacts = [\"a\\u001b[31mred\"]\n")
        .unwrap();
    repo.write("rollcall.toml", toml);
    let done = repo.run(&["plan"]).exits(1);
    assert!(!done.stderr.contains('\u{1b}'), "{:?}", done.stderr);
    assert!(done.stderr.contains("U+001B"), "{}", done.stderr);
}

#[test]
fn what_takes_no_room_in_an_older_id_is_seen_in_every_list_and_can_be_stopped() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    repo.apply().exits(0);
    // An older Rollcall took such ids.
    repo.rename_all_contacts("c\u{200b}1");
    for command in [
        &["record", "list"][..],
        &["record", "show", "c\u{200b}1"],
        &["history"],
        &["plan"],
    ] {
        let shown = repo.run(command).exits(0).stdout;
        assert!(!shown.contains('\u{200b}'), "{shown:?}");
        assert!(shown.contains("c\\u{200b}1"), "{shown:?}");
    }
    assert_eq!(repo.plan().actions()[1], "stop welcome c\u{200b}1");
}

const REPEATED: &str = "[automation.reviews]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\n\
                        repeat_by = \"order\"\n";

/// A repository with a repeating automation.
fn repeating(spotler: &Spotler, more: &str) -> Repo {
    let toml = format!(
        "[spotler]\nbase_url = {:?}\nrate = \"100000/s\"\n{REPEATED}{more}\n[source.crm]\ncsv = \"crm.csv\"\n\
         contact = \"id\"\n[[enrol]]\nautomation = \"reviews\"\nsource = \"crm\"\nwhere.order = {{ not = \"none\" }}\n",
        spotler.url()
    );
    Repo::with(&toml)
}

#[test]
fn an_occurrence_that_only_waits_to_leave_is_not_stopped_with_another() {
    let spotler = Spotler::open();
    let repo = repeating(&spotler, "leave_after = \"48h\"");
    let apply = |now: &str| {
        repo.run(&["apply", "--yes", "--format", "json", "--now", now])
            .exits(0)
    };
    repo.write("crm.csv", "id,order\nc-1,a\nc-1,b\n");
    apply("2030-01-01T00:00:00Z");
    repo.write("crm.csv", "id,order\nc-1,b\n");
    apply("2030-01-02T00:00:00Z");
    repo.write("crm.csv", "id,order\nnobody,none\n");
    apply("2030-01-03T12:00:00Z");
    let done = apply("2030-01-04T00:00:00Z");
    assert_eq!(done.actions(), ["stop reviews c-1 / a -> stopped"]);
    assert_eq!(
        spotler.running().len(),
        1,
        "b still runs, and may come back"
    );
}

#[test]
fn a_renamed_automation_does_not_stop_what_its_new_name_started() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    repo.apply().exits(0);
    spotler.fault(json!([{ "fault": "error-before", "kind": "stop-one" }]));
    let renamed = config(&spotler.url(), "", &["c-1"]).replace("welcome", "hello");
    repo.write("rollcall.toml", &renamed);
    // Who was declared once would be mailed twice: that must be meant.
    let refused = repo.apply().exits(4);
    let told =
        "welcome has become hello, which has its trigger code: 1 contact on record in welcome";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
    assert_eq!(spotler.calls(), 1);
    let meant = ["apply", "--yes", "--allow-large"];
    repo.run(&meant).exits(3);
    spotler.fault(json!([]));
    repo.run(&meant).exits(0);
    assert_eq!(repo.recorded(), ["hello c-1 active", "welcome c-1 stopped"]);
    assert_eq!(spotler.running().len(), 1);
    assert_eq!(repo.plan().actions(), [""; 0]);
}

#[test]
fn what_cannot_be_stopped_alone_is_held_and_not_tried_for_ever() {
    let spotler = Spotler::open();
    let repo = repeating(&spotler, "");
    repo.write("crm.csv", "id,order\nc-1,a\nc-1,b\n");
    repo.run(&["adopt", "--yes"]).exits(0);
    repo.write("crm.csv", "id,order\nc-1,b\n");
    let plan = repo.plan();
    assert_eq!(plan.actions(), [""; 0]);
    let reason = plan.json()["held"][0]["reason"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(reason.contains("no id is on record"), "{reason}");
    // When none stays, the call that stops all needs no id.
    repo.write("crm.csv", "id,order\nnobody,none\n");
    repo.apply().exits(0);
    assert_eq!(
        repo.recorded(),
        ["reviews c-1 / a stopped", "reviews c-1 / b stopped"]
    );
}

#[test]
fn a_kill_while_one_code_is_stopped_says_nothing_of_what_runs_behind_another() {
    let spotler = Spotler::open();
    let repo = repeating(&spotler, "");
    repo.write("crm.csv", "id,order\nc-1,a\n");
    repo.apply().exits(0);
    let toml = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let other = "11111111-8a53-4a0e-9d55-0f5b7c1f9d10";
    let toml = toml.replace("5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10", other);
    repo.write("rollcall.toml", toml);
    repo.write("crm.csv", "id,order\nc-1,a\nc-1,b\n");
    repo.apply().exits(0);
    repo.write("crm.csv", "id,order\nc-1,b\n");
    let mut killed = repo.command(&["apply", "--yes"]);
    killed.env("ROLLCALL_FAILPOINT", "send:before");
    assert_eq!(killed.output().unwrap().status.code(), None);
    assert_eq!(repo.plan().actions(), ["stop reviews c-1 / a"]);
    // It is stopped, and that there was a doubt is reported.
    let done = repo.apply().exits(3);
    assert_eq!(done.actions(), ["stop reviews c-1 / a -> stopped"]);
    assert_eq!(
        repo.recorded(),
        ["reviews c-1 / a stopped", "reviews c-1 / b active"]
    );
    assert_eq!(repo.plan().actions(), [""; 0]);
}

#[test]
fn a_repeat_by_that_is_added_or_taken_out_triggers_nobody_again_unless_that_is_meant() {
    let spotler = Spotler::open();
    let repo = repeating(&spotler, "leave_after = \"48h\"");
    let repeats = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let plain = repeats.replace("repeat_by = \"order\"\n", "");
    repo.write("crm.csv", "id,order\nc-1,a\nc-2,b\n");
    for (before, now) in [(&plain, &repeats), (&repeats, &plain)] {
        repo.write("rollcall.toml", before);
        repo.apply().exits(0);
        let calls = spotler.calls();
        repo.write("rollcall.toml", now);
        let refused = repo.apply().exits(4);
        let told = "the `repeat_by` of reviews was added or removed: 2 contacts who are in it would be triggered again";
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
        assert_eq!(spotler.calls(), calls);
        repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
        // Those that wait to leave are not counted again, whatever else comes.
        repo.write("crm.csv", "id,order\nc-1,a\nc-1,z\nc-2,b\nc-3,c\n");
        repo.apply().exits(0);
        repo.write("crm.csv", "id,order\nc-1,a\nc-2,b\n");
        std::fs::remove_dir_all(repo.file("state")).unwrap();
    }
}

#[test]
fn a_repeat_by_that_comes_and_goes_again_triggers_nobody_again_either() {
    let spotler = Spotler::open();
    let repo = repeating(&spotler, "");
    let repeats = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let plain = repeats.replace("repeat_by = \"order\"\n", "");
    repo.write("crm.csv", "id,order\nc-1,a\n");
    repo.write("rollcall.toml", &plain);
    repo.apply().exits(0);
    repo.write("rollcall.toml", &repeats);
    repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
    assert_eq!(
        repo.recorded(),
        ["reviews c-1 stopped", "reviews c-1 / a active"]
    );
    repo.write("rollcall.toml", &plain);
    repo.apply().exits(4);
}

#[test]
fn what_is_let_go_is_gone_for_as_long_as_leave_after_says() {
    let spotler = Spotler::open();
    let more = "leave_after = \"48h\"\non_leave = \"keep\"";
    let repo = Repo::with(&config(&spotler.url(), more, &["c-1"]));
    let apply = |now: &str| {
        let run = ["apply", "--yes", "--format", "json", "--now", now];
        repo.run(&run).exits(0).json()
    };
    apply("2030-01-01T00:00:00Z");
    repo.write("rollcall.toml", config(&spotler.url(), more, &[]));
    let left = apply("2030-01-02T00:00:00Z");
    let reason = left["held"][0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("it is let go from 2030-01-04T00:00:00Z on"),
        "{reason}"
    );
    // It was only missing for a while, and is not triggered again.
    repo.write("rollcall.toml", config(&spotler.url(), more, &["c-1"]));
    apply("2030-01-03T00:00:00Z");
    repo.write("rollcall.toml", config(&spotler.url(), more, &[]));
    apply("2030-01-04T00:00:00Z");
    apply("2030-01-06T00:00:00Z");
    assert_eq!(repo.recorded(), ["welcome c-1 let-go"]);
    assert_eq!(spotler.calls(), 1);
}

#[test]
fn a_clock_that_was_ahead_once_keeps_nobody_from_leaving() {
    let spotler = Spotler::open();
    let more = "leave_after = \"48h\"";
    let repo = Repo::with(&config(&spotler.url(), more, &["c-1"]));
    let apply = |now: &str| {
        repo.run(&["apply", "--yes", "--format", "json", "--now", now])
            .exits(0)
    };
    apply("2030-01-01T00:00:00Z");
    repo.write("rollcall.toml", config(&spotler.url(), more, &[]));
    apply("2035-01-01T00:00:00Z");
    let left = apply("2030-01-02T00:00:00Z").json();
    let reason = left["held"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("from 2030-01-04T00:00:00Z on"), "{reason}");
    assert_eq!(
        apply("2030-01-04T00:00:00Z").actions(),
        ["stop welcome c-1 -> stopped"]
    );
}

#[cfg(unix)]
#[test]
fn a_record_that_is_taken_away_ends_the_run_that_writes_to_it() {
    let spotler = Spotler::open();
    let names: Vec<String> = (0..200).map(|n| format!("c-{n:03}")).collect();
    let contacts: Vec<&str> = names.iter().map(String::as_str).collect();
    let toml = config(&spotler.url(), "", &contacts).replace("100000/s", "50/s");
    let repo = Repo::with(&toml);
    let child = repo.spawn(&["apply", "--yes"]);
    spotler.wait_for_calls(3);
    std::fs::remove_dir_all(repo.file("state")).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("was deleted, cut or replaced"), "{told}");
    assert!(spotler.calls() < 200);
}

#[cfg(unix)]
#[test]
fn a_relative_path_does_not_lead_out_by_a_link_or_a_pattern() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(
        outside.path().join("evil.toml"),
        "[guard]\nmax_triggers = 1000\n",
    )
    .unwrap();
    std::fs::write(outside.path().join("crm.csv"), "id\n").unwrap();
    let name = outside.path().file_name().unwrap().to_str().unwrap();
    let source = "[source.crm]\ncontact = \"id\"\ncsv";
    for toml in [
        "include = [\"link/*.toml\"]".to_owned(),
        format!("include = [\".?/{name}/evil.toml\"]"),
        format!("{source} = \"link/crm.csv\""),
        format!("{source} = \"crm.csv\""),
        "[record]\nurl = \"sqlite:link/new/rollcall.db\"".to_owned(),
    ] {
        let repo = Repo::with(&toml);
        std::os::unix::fs::symlink(outside.path(), repo.file("link")).unwrap();
        let file = outside.path().join("crm.csv");
        std::os::unix::fs::symlink(&file, repo.file("crm.csv")).unwrap();
        let refused = repo.run(&["validate"]).exits(1);
        let told = "leads outside the configuration's folder by a link";
        assert!(refused.stderr.contains(told), "{toml}: {}", refused.stderr);
        // Whoever writes an absolute path means it.
        let absolute = toml.replace("link/", &format!("{}/", outside.path().display()));
        if absolute != toml {
            repo.write("rollcall.toml", absolute);
            repo.run(&["validate"]).exits(0);
        }
    }
}

#[test]
fn who_is_suppressed_is_stopped_at_once_whatever_else_is_set() {
    let spotler = Spotler::open();
    for more in ["leave_after = \"48h\"", "on_leave = \"keep\""] {
        let repo = Repo::with(&config(&spotler.url(), more, &["c-1"]));
        repo.apply().exits(0);
        let suppressed = "[[suppress]]\ncontacts = [\"c-1\"]\n";
        repo.write(
            "rollcall.toml",
            format!("{}{suppressed}", config(&spotler.url(), more, &["c-1"])),
        );
        assert_eq!(repo.plan().actions(), ["stop welcome c-1"], "{more}");
    }
}

#[test]
fn the_guard_counts_what_is_let_go_and_what_was_refused() {
    let names: Vec<String> = (0..30).map(|n| format!("c-{n:02}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let spotler = Spotler::open();
    let keep = "on_leave = \"keep\"";
    let repo = Repo::with(&config(&spotler.url(), keep, &all));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&spotler.url(), keep, &all[..5]));
    let refused = repo.apply().exits(4);
    assert!(refused.stderr.contains("(25 of 30)"), "{}", refused.stderr);
}

#[test]
fn a_newer_record_is_refused() {
    let repo = Repo::with(&config("sandbox", "", &["c-1"]));
    repo.apply().exits(0);
    repo.make_newer();
    repo.write("rollcall.toml", config("sandbox", "", &["c-1", "c-2"]));
    for args in [
        &["plan"][..],
        &["apply", "--yes"],
        &["record", "list"],
        &["adopt", "--yes"],
    ] {
        let done = repo.run(args).exits(1);
        assert!(
            done.stderr.contains("made by a newer Rollcall (schema 99"),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn another_programs_database_is_refused() {
    let repo = Repo::with(&config("sandbox", "", &["c-1"]));
    repo.put_foreign_database();
    let theirs = std::fs::read(repo.file("state/rollcall.db")).unwrap();
    for args in [&["plan"][..], &["apply", "--yes"]] {
        let done = repo.run(args).exits(1);
        assert!(
            done.stderr.contains("another program's SQLite file"),
            "{}",
            done.stderr
        );
    }
    // The commands read before they write; what writes looks for itself all the same.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let path = repo.file("state/rollcall.db");
    let holder = rollcall::record::Holder {
        holder: "x".to_owned(),
        host: "far-away.example".to_owned(),
        pid: 7,
        process: None,
        command: "apply".to_owned(),
        acquired_at: jiff::Timestamp::UNIX_EPOCH,
        heartbeat_at: jiff::Timestamp::UNIX_EPOCH,
    };
    let unlocked = runtime.block_on(rollcall::record::Record::at(&path).unlock(&holder));
    assert!(unlocked.is_err());
    let left = std::fs::read(repo.file("state/rollcall.db")).unwrap();
    assert!(left == theirs, "it was changed");
}

#[test]
fn the_clock_of_another_host_says_nothing_of_how_old_its_sign_of_life_is() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&spotler.url(), "", &["c-1", "c-2"]));
    // A moment ago, by a clock that is behind, that is ahead, that is a year away.
    for age in [5, 61, -3600, 31_536_000] {
        repo.lock_elsewhere(age);
        let refused = repo.apply().exits(1).stderr;
        assert!(
            refused.contains("process 7 on far-away.example"),
            "{refused}"
        );
        assert!(refused.contains("--lock-timeout"), "{refused}");
    }
    assert_eq!(spotler.ledger().len(), 1);
    // Where that machine will not come back, nobody has to wait.
    repo.run(&["record", "unlock"]).exits(1);
    repo.run(&["record", "unlock", "--yes"]).exits(0);
    let free = repo.run(&["record", "unlock", "--yes"]).exits(0);
    assert_eq!(free.stdout, "The record is not locked.\n");
    repo.apply().exits(0);
    assert_eq!(spotler.ledger().len(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_lives_is_not_taken_over_though_its_lock_file_is_gone() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&spotler.url(), "", &["c-1", "c-2"]));
    spotler.fault(json!([{ "fault": "slow", "ms": 60000 }]));
    let mut slow = repo.spawn(&["apply", "--yes"]);
    spotler.wait_for_calls(2);
    std::fs::remove_file(repo.file("state/rollcall.db.lock")).unwrap();
    let third = config(&spotler.url(), "", &["c-1", "c-2", "c-3"]);
    repo.write("rollcall.toml", third);
    let refused = repo.apply().exits(1).stderr;
    let process = format!("process {}", slow.id());
    assert!(refused.contains(&process), "{refused}");
    slow.kill().unwrap();
    slow.wait().unwrap();
    // Gone, it is: at once, and what it had under way is in doubt.
    spotler.fault(json!([]));
    repo.apply().exits(3);
    assert_eq!(spotler.calls(), 3);
    assert_eq!(
        repo.recorded(),
        [
            "welcome c-1 active",
            "welcome c-2 uncertain",
            "welcome c-3 active"
        ]
    );
}

#[test]
fn a_call_whose_time_is_over_right_before_its_first_byte_is_sent_once_and_later() {
    for moment in 1..=6 {
        let spotler = Spotler::open();
        let repo = Repo::with(&config(&spotler.url(), "", &["c-1", "c-2", "c-3"]));
        let late = format!("lease:over:{moment}");
        let done = repo.env("ROLLCALL_FAILPOINT", &late).apply().exits(0);
        assert_eq!(done.actions().len(), 3);
        let mut sent = spotler.ledger();
        sent.sort();
        sent.dedup();
        assert_eq!((sent.len(), spotler.calls()), (3, 3), "{moment}");
    }
}

#[test]
fn a_record_that_another_host_works_on_is_not_migrated_under_its_hands() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "", &["c-1"]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&spotler.url(), "", &["c-1", "c-2"]));
    let path = repo.file("state/rollcall.db");
    repo.forget_migrations();
    repo.lock_elsewhere(0);
    for args in [&["plan"][..], &["record", "list"], &["adopt", "--yes"]] {
        let done = repo.run(args).exits(1);
        let told = "cannot be migrated while another run works on it";
        assert!(done.stderr.contains(told), "{args:?}: {}", done.stderr);
    }
    // What writes looks for itself all the same.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let request = rollcall::record::LockRequest {
        command: "apply".to_owned(),
        timeout: std::time::Duration::ZERO,
        config_digest: None,
        git_revision: None,
        expected: rollcall::record::Expected::default(),
        purpose: rollcall::record::Purpose::Act,
        may_begin: false,
    };
    let record = rollcall::record::Record::at(&path);
    let begun = runtime.block_on(rollcall::record::Writing::begin(&record, request, |_| ()));
    let error = begun.err().map(|error| error.to_string());
    assert!(
        error
            .as_ref()
            .is_some_and(|e| e.contains("far-away.example")),
        "{error:?}"
    );
}

#[test]
fn a_run_whose_lock_was_taken_sends_nothing_more() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "slow", "ms": 500 }]));
    let names: Vec<String> = (0..40).map(|n| format!("c-{n:02}")).collect();
    let contacts: Vec<&str> = names.iter().map(String::as_str).collect();
    let repo = Repo::with(&config(&spotler.url(), "", &contacts));
    let child = repo.spawn(&["apply", "--yes"]);
    spotler.wait_for_calls(4);
    repo.steal_lock();
    let calls = spotler.calls();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("lock of the record was lost"), "{stderr}");
    // What was let through the gate before may still have been sent; nothing was after that.
    assert!(
        spotler.calls() <= calls + 4,
        "{} after {calls}",
        spotler.calls()
    );
    // The next run knows of every call that may have been made.
    spotler.fault(json!([]));
    repo.remove_lock();
    let done = repo.apply();
    assert!(matches!(done.code, Some(0 | 3)), "{}", done.stderr);
    let ledger = spotler.ledger();
    let unique: std::collections::BTreeSet<_> = ledger.iter().collect();
    assert_eq!(unique.len(), ledger.len(), "somebody was triggered twice");
}

#[test]
fn a_full_disk_loses_nothing() {
    let spotler = Spotler::open();
    let names: Vec<String> = (0..400).map(|n| format!("c-{n:03}")).collect();
    let contacts: Vec<&str> = names.iter().map(String::as_str).collect();
    let repo = Repo::with(&config(&spotler.url(), "", &[]));
    repo.write("rollcall.toml", config(&spotler.url(), "", &contacts[..1]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", config(&spotler.url(), "", &contacts));
    // No file may grow beyond so many blocks of a kibibyte: to SQLite that is a full disk.
    let script = format!(
        "trap '' XFSZ; ulimit -f 120; exec {} apply --yes",
        env!("CARGO_BIN_EXE_rollcall")
    );
    let mut shell = std::process::Command::new("bash");
    let template = repo.command(&[]);
    shell
        .args(["-c", &script])
        .current_dir(repo.path())
        .stdin(std::process::Stdio::null());
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let output = shell.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("The record cannot be written"), "{stderr}");
    let sent = spotler.ledger().len();
    assert!(sent < 400, "the disk was not full");
    // With room again, the next run goes on, and holds what it cannot know.
    let done = repo.apply();
    assert!(matches!(done.code, Some(0 | 3)), "{}", done.stderr);
    let ledger = spotler.ledger();
    let unique: std::collections::BTreeSet<_> = ledger.iter().collect();
    assert_eq!(unique.len(), ledger.len(), "somebody was triggered twice");
    let doubts = repo
        .recorded()
        .iter()
        .filter(|line| line.ends_with(" uncertain"))
        .count();
    assert!(
        ledger.len() + doubts >= 400,
        "{} and {doubts}",
        ledger.len()
    );
}

#[test]
#[cfg(unix)]
fn an_included_link_that_leads_nowhere_is_a_problem_and_not_passed_over() {
    let repo = Repo::with(&format!(
        "include = [\"more/*.toml\"]\n{}",
        config("sandbox", "", &["c-1"])
    ));
    repo.write(
        "more/good.toml",
        "[[enrol]]\nautomation = \"welcome\"\ncontacts = [\"c-2\"]\n",
    );
    repo.run(&["validate"]).exits(0);
    std::os::unix::fs::symlink("nowhere.toml", repo.file("more/lost.toml")).unwrap();
    let done = repo.run(&["plan"]).exits(1);
    assert!(done.stderr.contains("lost.toml"), "{}", done.stderr);
}

#[test]
#[cfg(unix)]
fn a_terminal_escape_in_a_files_name_never_reaches_a_terminal() {
    let repo = Repo::with(&format!(
        "include = [\"more/*.toml\"]\n{}",
        config("sandbox", "", &["c-1"])
    ));
    repo.write("more/\u{1b}[9mred.toml", "[guard]\nmax_trigger = 1\n");
    let done = repo.run(&["plan", "--color", "always"]).exits(1);
    // Where colours are wanted nothing is taken out on the way, so the file's own must not be there.
    assert!(!done.stderr.contains("\u{1b}[9m"), "{:?}", done.stderr);
    assert!(done.stderr.contains("red.toml"), "{}", done.stderr);
}

#[test]
fn a_list_is_sorted_by_name_in_whatever_order_the_record_came_to_know_them() {
    let spotler = Spotler::open();
    let repo = Repo::new();
    let blocks = |names: &[&str]| {
        let mut text = format!(
            "[spotler]\nbase_url = {:?}\nrate = \"100000/s\"\n",
            spotler.url()
        );
        for name in names {
            text.push_str(&format!(
                "[automation.{name}]\ntrigger_code = \"code-{name}\"\n\
                 [[enrol]]\nautomation = \"{name}\"\ncontacts = [\"c-2\", \"c-1\"]\n"
            ));
        }
        text
    };
    repo.write("rollcall.toml", blocks(&["zeta"]));
    repo.apply().exits(0);
    repo.write("rollcall.toml", blocks(&["zeta", "alpha"]));
    repo.apply().exits(0);
    let list = repo
        .run(&["record", "list", "--format", "json"])
        .exits(0)
        .json();
    let found: Vec<String> = list["participations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| {
            format!(
                "{} {}",
                of["contact"].as_str().unwrap(),
                of["automation"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(found, ["c-1 alpha", "c-1 zeta", "c-2 alpha", "c-2 zeta"]);
    let none = [
        "record",
        "list",
        "--format",
        "json",
        "--automation",
        "nobody",
    ];
    let none = repo.run(&none).exits(0).json();
    assert_eq!(none, serde_json::json!({ "participations": [] }));
}
