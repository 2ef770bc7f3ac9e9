//! A record in PostgreSQL, through the binary. Where there is no server, each test says that it is skipped.
#![cfg(unix)]

mod common;

use common::postgres::{self, Cutter, PASSWORD, Server, Session};
use common::{Repo, Spotler};

const CONFIG: &str = r#"
[spotler]
base_url = "sandbox"

[record]
url = "$ROLLCALL_RECORD_URL"

[automation.welcome]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"

[[enrol]]
automation = "welcome"
contacts = ["crm-1", "crm-2", "crm-3"]
"#;

/// A repository whose record is in a database.
fn repo(url: &str) -> Repo {
    Repo::with(CONFIG)
        .without_new_record()
        .env("ROLLCALL_RECORD_URL", url)
}

/// Says that nothing a run printed holds the password.
fn keeps_quiet(repo: &Repo, args: &[&str], code: i32) -> String {
    let done = repo.run(args).exits(code);
    let said = format!("{}{}", done.stdout, done.stderr);
    assert!(!said.contains(PASSWORD), "{said}");
    said
}

#[test]
fn a_record_in_a_database_is_like_one_in_a_file() {
    let Some(server) = Server::shared() else {
        return;
    };
    let url = server.database();
    let repo = repo(&url);
    let said = keeps_quiet(&repo, &["plan"], 0);
    assert!(said.contains("3 to trigger"), "{said}");
    let said = keeps_quiet(&repo, &["apply", "--yes"], 0);
    assert!(said.contains("Began the record"), "{said}");
    assert!(said.contains("(schema rollcall)"), "{said}");
    let said = keeps_quiet(&repo, &["apply", "--yes"], 0);
    assert!(said.starts_with("Nothing to do."), "{said}");
    assert_eq!(repo.recorded().len(), 3);
    repo.write("rollcall.toml", CONFIG.replace("\"crm-1\", ", ""));
    assert_eq!(repo.plan().actions(), ["stop welcome crm-1"]);
    repo.apply().exits(0);
    assert_eq!(
        repo.recorded(),
        [
            "welcome crm-1 stopped",
            "welcome crm-2 active",
            "welcome crm-3 active"
        ]
    );
    let history = keeps_quiet(&repo, &["history"], 0);
    assert_eq!(
        history
            .lines()
            .filter(|line| line.contains("crm-1"))
            .count(),
        2,
        "{history}"
    );
    keeps_quiet(&repo, &["record", "show"], 0);
    keeps_quiet(&repo, &["report", "--html", "report.html"], 0);
    keeps_quiet(&repo, &["record", "forget", "crm-1", "--yes"], 0);
    assert_eq!(repo.recorded().len(), 2);
    // Another schema is another record.
    let other = CONFIG.replace("[record]", "[record]\nschema = \"other\"");
    repo.write("rollcall.toml", other);
    let said = keeps_quiet(&repo, &["plan"], 0);
    assert!(said.contains("3 to trigger"), "{said}");
}

/// One that is not is two messages, which a pool may give to two sessions: then the statement of another run is carried out.
#[test]
fn every_statement_is_part_of_a_transaction() {
    let Some(server) = Server::shared() else {
        return;
    };
    let url = server.database();
    let pool = Cutter::before(&url);
    let repo = repo(&pool.url(&url));
    keeps_quiet(&repo, &["apply", "--yes"], 0);
    repo.write("rollcall.toml", CONFIG.replace("\"crm-1\", ", ""));
    for command in [
        &["plan"][..],
        &["apply", "--yes"],
        &["apply", "--yes"],
        &["history"],
        &["record", "list"],
        &["record", "show"],
        &["record", "show", "crm-1"],
        &["record", "export", "--format", "csv"],
        &["report", "--html", "report.html"],
        &["explain", "crm-2"],
        &["record", "forget", "crm-1", "--yes"],
        &["record", "move", "sqlite:elsewhere.db", "--yes"],
    ] {
        keeps_quiet(&repo, command, 0);
        assert!(!pool.is_loose(), "{command:?}");
    }
}

#[test]
fn what_is_wrong_with_the_way_to_the_record_is_one_sentence_without_the_password() {
    let Some(server) = Server::shared() else {
        return;
    };
    let url = server.database();
    postgres::run(
        &url,
        "CREATE ROLE nobody_here LOGIN PASSWORD 'hush-hush'; CREATE SCHEMA taken; CREATE TABLE taken.x (y int)",
    );
    let (_, rest) = url.split_once('@').unwrap();
    let (host, database) = rest.split_once('/').unwrap();
    for (url, schema, expected) in [
        (
            format!("postgres://postgres:wrong-{PASSWORD}@{host}/{database}"),
            "rollcall",
            "the user or the password is wrong",
        ),
        (
            format!("postgres://postgres:{PASSWORD}@{host}/nowhere"),
            "rollcall",
            "there is no such database",
        ),
        (
            format!("postgres://postgres:{PASSWORD}@127.0.0.1:1/{database}"),
            "rollcall",
            "the server cannot be reached",
        ),
        (
            format!("postgres://postgres:{PASSWORD}@{host}/{database}?sslmode=verify-full"),
            "rollcall",
            "the connection cannot be secured",
        ),
        (
            format!("postgres://nobody_here:{PASSWORD}@{host}/{database}"),
            "rollcall",
            "the role lacks a permission",
        ),
        (
            url.clone(),
            "taken",
            "is not a record of Rollcall (the schema has tables of another program)",
        ),
        (
            format!("{url}?channel_binding=require"),
            "rollcall",
            "the parameter \"channel_binding\"",
        ),
    ] {
        let repo = repo(&url);
        repo.write(
            "rollcall.toml",
            CONFIG.replace("[record]", &format!("[record]\nschema = \"{schema}\"")),
        );
        let said = keeps_quiet(&repo, &["apply", "--yes", "--new-record"], 1);
        assert!(said.contains(expected), "{url}: {said}");
    }
}

/// A repository with a sandbox beside it, whose record is in a database.
fn repo_of(spotler: &Spotler, url: &str, contacts: usize) -> Repo {
    let repo = Repo::new().env("ROLLCALL_RECORD_URL", url);
    declare(&repo, spotler, contacts);
    repo
}

fn declare(repo: &Repo, spotler: &Spotler, contacts: usize) {
    let contacts: Vec<String> = (0..contacts).map(|number| format!("c-{number}")).collect();
    let toml = CONFIG
        .replace(
            "\"sandbox\"",
            &format!("{:?}\nrate = \"100000/s\"\nconcurrency = 2", spotler.url()),
        )
        .replace(
            "[\"crm-1\", \"crm-2\", \"crm-3\"]",
            &format!("{contacts:?}"),
        );
    repo.write("rollcall.toml", toml);
}

/// How often each contact was triggered, at the most.
fn most_triggers(spotler: &Spotler) -> usize {
    let ledger = spotler.ledger();
    let times = |line: &String| ledger.iter().filter(|other| *other == line).count();
    ledger.iter().map(times).max().unwrap_or(0)
}

#[test]
fn whichever_commit_has_no_answer_nobody_is_triggered_twice_and_nobody_is_lost() {
    let Some(server) = Server::shared() else {
        return;
    };
    for reaches in [true, false] {
        for after in 0.. {
            let url = server.database();
            let cutter = Cutter::before(&url);
            let spotler = Spotler::open();
            let repo = repo_of(&spotler, &cutter.url(&url), 3);
            cutter.cut(after, reaches);
            let done = repo.apply();
            // What is cut off before the run began ends it; later it goes on by another connection.
            let is_begun = after > 0;
            assert_eq!(
                done.code,
                Some(if is_begun { 0 } else { 1 }),
                "{after} {}",
                done.stderr
            );
            if !is_begun {
                repo.apply().exits(0);
            }
            assert_eq!(spotler.ledger().len(), 3, "{after} {reaches}");
            assert_eq!(most_triggers(&spotler), 1, "{after} {reaches}");
            assert!(
                repo.recorded().iter().all(|of| of.ends_with(" active")),
                "{after} {reaches}"
            );
            if !cutter.has_cut() {
                assert!(after > 3, "only {after} commits were cut off");
                break;
            }
        }
    }
}

#[test]
fn a_run_that_cannot_reach_the_database_sends_nothing_more() {
    let Some(server) = Server::start() else {
        return;
    };
    let spotler = Spotler::open();
    spotler.fault(serde_json::json!([{ "fault": "slow", "ms": 300 }]));
    let url = server.database();
    let repo = repo_of(&spotler, &url, 40);
    let mut command = repo.command(&["apply", "--yes"]);
    command
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
    let mut run = spotler.start_run(command);
    spotler.wait_for_calls(4);
    server.stop();
    // It may not be there for longer than the run waits for it; here it comes back in time.
    let calls = spotler.calls_ever();
    assert!(calls <= 8, "{calls}");
    server.go_on();
    assert_eq!(spotler.end_of(&mut run).code(), Some(0));
    assert_eq!((spotler.ledger().len(), most_triggers(&spotler)), (40, 1));
    assert_eq!(repo.recorded().len(), 40);
}

#[test]
fn a_server_that_dies_in_mid_apply_triggers_nobody_twice() {
    let Some(server) = Server::start() else {
        return;
    };
    let spotler = Spotler::open();
    let url = server.database();
    let repo = repo_of(&spotler, &url, 300);
    let mut command = repo.command(&["apply", "--yes"]);
    command
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
    let mut run = spotler.start_run(command);
    for calls in [20, 80, 160] {
        spotler.wait_for_calls(calls);
        server.kill();
    }
    assert_eq!(spotler.end_of(&mut run).code(), Some(0));
    assert_eq!((spotler.ledger().len(), most_triggers(&spotler)), (300, 1));
    assert!(repo.recorded().iter().all(|of| of.ends_with(" active")));
}

#[test]
fn sessions_that_are_ended_one_after_the_other_end_no_run() {
    let Some(server) = Server::shared() else {
        return;
    };
    let spotler = Spotler::open();
    // Slow enough that there are sessions to end.
    spotler.fault(serde_json::json!([{ "fault": "slow", "ms": 20 }]));
    let url = server.database();
    let repo = repo_of(&spotler, &url, 600);
    let mut command = repo.command(&["apply", "--yes"]);
    command
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
    let mut run = spotler.start_run(command);
    let mut ended = 0;
    for calls in (10..580).step_by(10) {
        spotler.wait_for_calls(calls);
        ended += postgres::end_sessions(server.url(), &url);
    }
    assert_eq!(spotler.end_of(&mut run).code(), Some(0));
    assert!(ended >= 5, "{ended}");
    assert_eq!((spotler.ledger().len(), most_triggers(&spotler)), (600, 1));
    assert!(repo.recorded().iter().all(|of| of.ends_with(" active")));
}

#[test]
fn a_record_that_is_elsewhere_than_before_is_refused_until_somebody_accepts_it() {
    let Some(server) = Server::shared() else {
        return;
    };
    let url = server.database();
    let (_, name) = url.rsplit_once('/').unwrap();
    let repo = repo(&url);
    keeps_quiet(&repo, &["apply", "--yes", "--new-record"], 0);
    // A copy of the database.
    server.sql(&format!("DROP DATABASE IF EXISTS {name}_copy"));
    server.sql(&format!("CREATE DATABASE {name}_copy TEMPLATE {name}"));
    let copy = self::repo(&server.url_of(&format!("{name}_copy")));
    let said = keeps_quiet(&copy, &["apply", "--yes"], 1);
    assert!(
        said.contains("it is in another database of the server"),
        "{said}"
    );
    assert_eq!(
        copy.plan().json()["record"]["problems"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    postgres::restore_a_dump(&url);
    let said = keeps_quiet(&repo, &["apply", "--yes"], 1);
    assert!(said.contains("its tables are new ones"), "{said}");
    // A server that went over to a replica.
    let said = keeps_quiet(&repo, &["record", "accept", "--yes"], 0);
    assert!(said.contains("Accepted."), "{said}");
    keeps_quiet(&repo, &["apply", "--yes"], 0);
    postgres::note_other_server(&url, 1, None);
    let said = keeps_quiet(&repo, &["apply", "--yes"], 1);
    assert!(said.contains("the server switched to a replica"), "{said}");
    postgres::note_other_server(&url, -1, Some("7"));
    let said = keeps_quiet(&repo, &["apply", "--yes"], 1);
    assert!(said.contains("it is on another server"), "{said}");
}

#[test]
fn a_replica_that_was_promoted_is_refused_until_somebody_accepts_it() {
    let Some(server) = Server::start() else {
        return;
    };
    let spotler = Spotler::open();
    let url = server.database();
    let repo = repo_of(&spotler, &url, 3);
    repo.apply().exits(0);
    let replica = server.replica();
    declare(&repo, &spotler, 4);
    repo.apply().exits(0);
    assert_eq!(spotler.ledger().len(), 4);
    server.stop();
    replica.promote();
    // The same repository with its record where the server is now, which lacks what was committed last.
    let (_, name) = url.rsplit_once('/').unwrap();
    let repo = repo.env("ROLLCALL_RECORD_URL", &replica.url_of(name));
    assert_eq!(repo.plan().actions(), ["trigger welcome c-3"]);
    for _ in 0..2 {
        let said = keeps_quiet(&repo, &["apply", "--yes"], 1);
        assert!(said.contains("the server switched to a replica"), "{said}");
    }
    assert_eq!(spotler.ledger().len(), 4);
    keeps_quiet(&repo, &["record", "accept", "--yes"], 0);
    repo.apply().exits(0);
    // Whoever accepts it was told that the last commits may be missing.
    assert_eq!(spotler.ledger().len(), 5);
    assert_eq!(repo.recorded().len(), 4);
}

#[test]
fn a_role_that_may_only_read_plans_and_does_not_apply() {
    let Some(server) = Server::shared() else {
        return;
    };
    let url = server.database();
    keeps_quiet(&repo(&url), &["apply", "--yes", "--new-record"], 0);
    postgres::run(
        &url,
        "DROP ROLE IF EXISTS rollcall_reader; CREATE ROLE rollcall_reader LOGIN PASSWORD 'hush-hush'; \
         GRANT USAGE ON SCHEMA rollcall TO rollcall_reader; \
         GRANT SELECT ON ALL TABLES IN SCHEMA rollcall TO rollcall_reader",
    );
    let repo = repo(&url.replace("postgres:hush", "rollcall_reader:hush"));
    let said = keeps_quiet(&repo, &["plan"], 0);
    assert!(said.contains("Nothing to do"), "{said}");
    keeps_quiet(&repo, &["record", "show"], 0);
    repo.write("rollcall.toml", CONFIG.replace("\"crm-1\", ", ""));
    let said = keeps_quiet(&repo, &["apply", "--yes"], 1);
    assert!(said.contains("the role lacks a permission"), "{said}");
    postgres::run(
        &url,
        "DROP OWNED BY rollcall_reader; DROP ROLE rollcall_reader",
    );
}

#[test]
fn a_lease_is_kept_for_a_minute_after_the_last_sign_of_life_by_the_clock_of_the_server() {
    let Some(server) = Server::shared() else {
        return;
    };
    let spotler = Spotler::open();
    let url = server.database();
    let repo = repo_of(&spotler, &url, 1);
    repo.apply().exits(0);
    declare(&repo, &spotler, 2);
    postgres::lock_elsewhere(&url, "50 seconds");
    let said = keeps_quiet(&repo, &["apply", "--yes"], 1);
    assert!(said.contains("process 4711 on runner-7"), "{said}");
    postgres::lock_elsewhere(&url, "61 seconds");
    keeps_quiet(&repo, &["apply", "--yes"], 0);
    postgres::lock_elsewhere(&url, "1 second");
    keeps_quiet(&repo, &["record", "unlock", "--yes"], 0);
    keeps_quiet(&repo, &["apply", "--yes"], 0);
    assert_eq!(spotler.ledger().len(), 2);
}

/// A run in a world of its own, with other processes and another host name, as on another machine.
fn elsewhere(command: &std::process::Command) -> std::process::Command {
    let mut apart = std::process::Command::new("unshare");
    apart.args([
        "--pid",
        "--fork",
        "--uts",
        "--mount-proc",
        "--kill-child",
        "sh",
        "-c",
    ]);
    apart.arg("hostname elsewhere-$$ 2>/dev/null; exec \"$0\" \"$@\"");
    apart.arg(command.get_program()).args(command.get_args());
    apart.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => apart.env(name, value),
            None => apart.env_remove(name),
        };
    }
    apart
}

#[test]
fn a_run_that_was_frozen_beyond_its_lease_sends_nothing_more() {
    let Some(server) = Server::shared() else {
        return;
    };
    let may = std::process::Command::new("unshare")
        .args(["--pid", "--fork", "--uts", "true"])
        .status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: worlds of their own are not allowed here");
        return;
    }
    let spotler = Spotler::open();
    spotler.fault(serde_json::json!([{ "fault": "slow", "ms": 300 }]));
    let url = server.database();
    let repo = repo_of(&spotler, &url, 30);
    let signal = |signal: &str| {
        // Not this shell itself.
        let of = format!("kill -{signal} $(pgrep -f '[a]pply --yes --lock-timeout 7s')");
        assert!(
            std::process::Command::new("sh")
                .args(["-c", &of])
                .status()
                .unwrap()
                .success()
        );
    };
    let quiet = |args: &[&str]| {
        let mut command = elsewhere(&repo.command(args));
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        command
    };
    let mut frozen = spotler.start_run(quiet(&["apply", "--yes", "--lock-timeout", "7s"]));
    spotler.wait_for_calls(10);
    signal("STOP");
    // It is alive there, but here nobody can see that: only its lease counts.
    let said = keeps_quiet(&repo, &["apply", "--yes"], 1);
    assert!(said.contains("on elsewhere-"), "{said}");
    postgres::let_a_minute_pass(&url);
    spotler.fault(serde_json::json!([]));
    let done = repo.run(&["apply", "--yes"]).exits(3);
    assert!(
        done.stderr.contains("An earlier run ended early"),
        "{}",
        done.stderr
    );
    signal("CONT");
    assert_eq!(spotler.end_of(&mut frozen).code(), Some(3));
    assert_eq!(most_triggers(&spotler), 1);
    assert_eq!(repo.recorded().len(), 30);
    let known = repo
        .recorded()
        .iter()
        .filter(|of| of.ends_with(" active"))
        .count();
    assert!(spotler.ledger().len() >= known, "{known}");
    assert!(repo.plan().actions().is_empty());
}

#[test]
fn a_pool_may_stand_before_the_server_and_share_its_sessions() {
    use std::os::unix::process::CommandExt;
    let Some(server) = Server::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let config = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         auth_type = plain\nauth_file = {folder}/users\npool_mode = transaction\ndefault_pool_size = 2\n\
         unix_socket_dir =\n",
        server.port(),
        folder = folder.path().display()
    );
    std::fs::write(folder.path().join("pgbouncer.ini"), config).unwrap();
    std::fs::write(
        folder.path().join("users"),
        format!("\"postgres\" \"{PASSWORD}\"\n"),
    )
    .unwrap();
    let mut pool = std::process::Command::new("pgbouncer");
    pool.arg("-q").arg(folder.path().join("pgbouncer.ini"));
    let is_root = std::process::Command::new("id")
        .arg("-u")
        .output()
        .unwrap()
        .stdout
        == b"0\n";
    if is_root {
        for file in ["", "pgbouncer.ini", "users"] {
            std::os::unix::fs::chown(folder.path().join(file), Some(65534), Some(65534)).unwrap();
        }
        pool.uid(65534).gid(65534);
    }
    pool.stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let Ok(pool) = pool.spawn() else {
        eprintln!("skipped: there is no pgbouncer here");
        return;
    };
    let mut pool = Ended(pool);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            pool.0.try_wait().unwrap().is_none(),
            "the pool does not start"
        );
    }
    let spotler = Spotler::open();
    let url = server.database();
    let (_, name) = url.rsplit_once('/').unwrap();
    let pooled = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/{name}");
    let repo = repo_of(&spotler, &pooled, 50);
    // Two runs at once on two sessions: one of them waits.
    let args = ["apply", "--yes", "--lock-timeout", "60s"];
    repo.run(&["apply", "--yes"]).exits(0);
    declare(&repo, &spotler, 100);
    let quiet = || {
        let mut command = repo.command(&args);
        command.stdout(std::process::Stdio::null());
        command
    };
    let mut runs = [spotler.start_run(quiet()), spotler.start_run(quiet())];
    for run in &mut runs {
        assert_eq!(spotler.end_of(run).code(), Some(0));
    }
    assert_eq!((spotler.ledger().len(), most_triggers(&spotler)), (100, 1));
    assert_eq!(repo.recorded().len(), 100);
    keeps_quiet(&repo, &["record", "forget", "c-1", "--yes"], 1);
}

/// A program that ends with the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_record_is_moved_both_ways_and_closed_where_it_was() {
    let Some(server) = Server::shared() else {
        return;
    };
    let url = server.database();
    let repo = repo(&url);
    let at = |place: &str| {
        repo.write(
            "rollcall.toml",
            CONFIG.replace("$ROLLCALL_RECORD_URL", place),
        )
    };
    at("sqlite:first.db");
    keeps_quiet(&repo, &["apply", "--yes", "--new-record"], 0);
    at("sqlite:first.db");
    let text = CONFIG
        .replace("$ROLLCALL_RECORD_URL", "sqlite:first.db")
        .replace("\"crm-1\", ", "");
    repo.write("rollcall.toml", text);
    keeps_quiet(&repo, &["apply", "--yes"], 0);
    at("sqlite:first.db");
    let seen = || {
        let show = repo
            .run(&["record", "show", "--format", "json"])
            .exits(0)
            .json();
        let export = repo
            .run(&["record", "export", "--format", "json"])
            .exits(0)
            .json();
        let history = repo.run(&["history", "--format", "json"]).exits(0).json();
        (show["record"]["id"].clone(), export, history)
    };
    let before = seen();
    for (from, to) in [
        ("sqlite:first.db", "$ROLLCALL_RECORD_URL"),
        ("$ROLLCALL_RECORD_URL", "sqlite:second.db"),
        ("sqlite:second.db", "sqlite:third.db"),
    ] {
        at(from);
        let said = keeps_quiet(&repo, &["record", "move", to, "--yes"], 0);
        assert!(said.contains("the same in both"), "{said}");
        let said = keeps_quiet(&repo, &["apply", "--yes"], 1);
        assert!(
            said.contains("was moved to") && said.contains("is closed"),
            "{said}"
        );
        keeps_quiet(
            &repo,
            &["record", "move", "sqlite:elsewhere.db", "--yes"],
            1,
        );
        at(to);
        assert_eq!(seen(), before, "{to}");
        assert_eq!(repo.plan().actions(), ["trigger welcome crm-1"]);
    }
    // Where there is one already, none is carried.
    at("sqlite:third.db");
    let other = self::repo(&server.database());
    keeps_quiet(&other, &["apply", "--yes", "--new-record"], 0);
    keeps_quiet(
        &other,
        &[
            "record",
            "move",
            &format!("sqlite://{}", repo.file("third.db").display()),
            "--yes",
        ],
        1,
    );
    assert_eq!(seen(), before);
    keeps_quiet(&repo, &["apply", "--yes"], 0);
    assert_eq!(repo.recorded().len(), 3);
    let said = keeps_quiet(
        &repo,
        &[
            "record",
            "move",
            &format!("postgres://me:{}@db.example/x", "other"),
            "--yes",
        ],
        1,
    );
    assert!(said.contains("it holds a password"), "{said}");
}

#[test]
fn a_move_that_is_cut_short_goes_on_and_there_is_never_more_than_one_record() {
    let Some(server) = Server::shared() else {
        return;
    };
    for reaches in [true, false] {
        for after in (usize::from(reaches)..).step_by(2) {
            let url = server.database();
            let cutter = Cutter::before(&url);
            let spotler = Spotler::open();
            let repo = repo_of(&spotler, &cutter.url(&url), 2).without_new_record();
            let config = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
            let at = |place: &str| {
                repo.write(
                    "rollcall.toml",
                    config.replace("$ROLLCALL_RECORD_URL", place),
                )
            };
            at("sqlite:first.db");
            keeps_quiet(&repo, &["apply", "--yes", "--new-record"], 0);
            cutter.cut(after, reaches);
            let done = repo.run(&["record", "move", "$ROLLCALL_RECORD_URL", "--yes"]);
            let can_plan = |place: &str| {
                at(place);
                repo.run(&["apply", "--yes"]).code == Some(0)
            };
            let both = [
                can_plan("sqlite:first.db"),
                can_plan("$ROLLCALL_RECORD_URL"),
            ];
            assert_ne!(both, [true, true], "{after} {reaches}");
            if done.code != Some(0) && both != [false, true] {
                at("sqlite:first.db");
                keeps_quiet(
                    &repo,
                    &["record", "move", "$ROLLCALL_RECORD_URL", "--yes"],
                    0,
                );
            }
            at("$ROLLCALL_RECORD_URL");
            let said = keeps_quiet(&repo, &["apply", "--yes"], 0);
            assert!(said.contains("Nothing to do."), "{said}");
            assert_eq!(spotler.ledger().len(), 2, "{after} {reaches}");
            if !cutter.has_cut() {
                assert!(after > 5, "{after}");
                break;
            }
        }
    }
}

/// A certificate of an authority, and its key, for a name; and the authority's certificate.
fn certified(name: &str) -> (String, String, String) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new([name.to_owned()]).unwrap();
    let own = own.signed_by(&key, &authority).unwrap();
    (own.pem(), key.serialize_pem(), authority.pem())
}

#[test]
fn a_server_that_must_prove_who_it_is_is_believed_by_its_own_root_alone() {
    let Some(server) = Server::start() else {
        eprintln!("skipped: PostgreSQL is not installed here");
        return;
    };
    let (certificate, key, root) = certified("localhost");
    let (_, _, other_root) = certified("localhost");
    server.secure(&certificate, &key);
    server.lets_in("hostnossl all all all reject");
    let url = server.url_of("postgres").replace("127.0.0.1", "localhost");
    let by = |url: String| {
        let repo = repo(&url);
        repo.write("root.pem", &root);
        repo.write("other.pem", &other_root);
        repo
    };
    let verified = format!("{url}?sslmode=verify-full&sslrootcert=root.pem");
    let repo = by(verified.clone());
    keeps_quiet(&repo, &["apply", "--yes", "--new-record"], 0);
    assert_eq!(repo.recorded().len(), 3);
    for (url, expected) in [
        (
            verified.replace("root.pem", "other.pem"),
            "the connection cannot be secured",
        ),
        // The certificate says another name.
        (
            verified.replace("localhost", "127.0.0.1"),
            "the connection cannot be secured",
        ),
        (
            verified.replace("root.pem", "nowhere.pem"),
            "the file of `sslrootcert` cannot be read",
        ),
        (
            format!("{url}?sslmode=disable"),
            "the server does not allow this connection",
        ),
    ] {
        let said = keeps_quiet(&by(url.clone()), &["apply", "--yes"], 1);
        let told: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
        assert!(said.contains(expected), "{url}: {said}");
        assert_eq!(said.matches("error:").count(), 1, "{told:?}");
    }
}

#[test]
fn four_days_give_the_same_plans_on_both_stores() {
    let Some(server) = Server::shared() else {
        return;
    };
    let config = r#"
[spotler]
base_url = "sandbox"
[source.crm]
csv = "crm.csv"
contact = "id"
[automation.lifecycle]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"
participation = "once-while-running"
on_change = "retrigger"
fields = { city = "{{ city }}" }
[automation.winback]
trigger_code = "c2a4e7d0-93b1-4f6e-8a57-1d0b6e9f4c33"
on_leave = "keep"
[automation.cart]
trigger_code = "5d1f0c3b-2a4e-4b7d-9c61-7e8a9b0c1d2e"
repeat_by = "cart"
[[enrol]]
automation = "lifecycle"
source = "crm"
where.status = "customer"
[[enrol]]
automation = "winback"
source = "crm"
where.status = "ex-customer"
[[enrol]]
automation = "cart"
source = "crm"
where.cart = { exists = true }
"#;
    let suppress = "[[suppress]]\ncontacts = [\"c-2\"]\nreason = \"objected\"\n";
    let days = [
        (
            "",
            "c-1,customer,Utrecht,\nc-2,customer,Gent,k-1\nc-3,ex-customer,Delft,\nÖ '\\4,customer,Ede,k-2\n",
        ),
        (
            "",
            "c-1,ex-customer,Utrecht,\nc-2,customer,Brugge,k-1\nc-3,customer,Delft,k-3\nÖ '\\4,customer,Ede,\n",
        ),
        (
            suppress,
            "c-1,ex-customer,Utrecht,\nc-2,customer,Brugge,k-1\nÖ '\\4,customer,Ede,k-4\n",
        ),
        (
            "",
            "c-1,customer,Utrecht,\nc-2,customer,Brugge,\nc-3,ex-customer,Delft,\nc-5,customer,Ede,k-5\n",
        ),
    ];
    let tell = |record: &str| {
        let repo = Repo::new().env("ROLLCALL_RECORD_URL", &server.database());
        let mut plans = Vec::new();
        for (day, (more, rows)) in days.iter().enumerate() {
            repo.write(
                "rollcall.toml",
                format!("{config}{more}[record]\nurl = \"{record}\"\n"),
            );
            repo.write("crm.csv", format!("id,status,city,cart\n{rows}"));
            for hour in ["09", "17"] {
                let now = format!("2026-11-2{day}T{hour}:00:00Z");
                let plan = repo
                    .run(&["plan", "--now", &now, "--format", "json"])
                    .exits(0);
                let json = plan.json();
                let (id, serial) = (&json["record"]["id"], &json["record_serial"]);
                let text = plan.stdout.replace(&id.to_string(), "ID");
                plans.push(text.replace(&format!("\"record_serial\": {serial}"), "SERIAL"));
                for form in ["text", "markdown"] {
                    let plan = repo.run(&["plan", "--now", &now, "--format", form]);
                    // How far it grows is a matter of how the calls fell into transactions.
                    let serial = format!("record serial {serial}");
                    plans.push(plan.exits(0).stdout.replace(&serial, "SERIAL"));
                }
                if hour == "09" {
                    repo.run(&["apply", "--yes", "--allow-large", "--now", &now])
                        .exits(0);
                }
            }
        }
        plans
    };
    let (file, database) = (
        tell("sqlite:state/rollcall.db"),
        tell("$ROLLCALL_RECORD_URL"),
    );
    for (file, database) in file.iter().zip(&database) {
        assert_eq!(file, database);
    }
    assert!(
        file.iter()
            .filter(|plan| plan.contains("\"action\""))
            .count()
            >= 4
    );
}

#[test]
fn that_what_was_erased_could_not_be_wiped_is_said() {
    let Some(server) = Server::shared() else {
        return;
    };
    let url = server.database();
    let repo = repo(&url);
    keeps_quiet(&repo, &["apply", "--yes", "--new-record"], 0);
    repo.write("rollcall.toml", CONFIG.replace("\"crm-1\", ", ""));
    keeps_quiet(&repo, &["apply", "--yes"], 0);
    let (_, name) = url.rsplit_once('/').unwrap();
    let mut other = Session::to(&url);
    // A vacuum keeps others out of it.
    other.run(&format!("ALTER DATABASE {name} SET lock_timeout = '100ms'"));
    other.run("BEGIN; LOCK TABLE rollcall.call IN SHARE UPDATE EXCLUSIVE MODE");
    let said = keeps_quiet(&repo, &["record", "forget", "crm-1", "--yes"], 0);
    assert!(said.contains("VACUUM rollcall.call failed"), "{said}");
    assert!(!said.contains("VACUUM rollcall.participation"), "{said}");
    assert_eq!(repo.recorded().len(), 2);
    drop(other);
    // To a role that may do all but that, the server only gives a hint.
    let writer = format!("rollcall_writer_{}", std::process::id());
    postgres::run(
        &url,
        &format!(
            "CREATE ROLE {writer} LOGIN PASSWORD 'hush-hush'; GRANT USAGE ON SCHEMA rollcall TO {writer}; \
             GRANT ALL ON ALL TABLES IN SCHEMA rollcall TO {writer}; \
             GRANT ALL ON ALL SEQUENCES IN SCHEMA rollcall TO {writer}"
        ),
    );
    repo.write(
        "rollcall.toml",
        CONFIG.replace("\"crm-1\", \"crm-2\", ", ""),
    );
    keeps_quiet(&repo, &["apply", "--yes"], 0);
    let repo = repo.env(
        "ROLLCALL_RECORD_URL",
        &url.replace("postgres:hush", &format!("{writer}:hush")),
    );
    let said = keeps_quiet(&repo, &["record", "forget", "crm-2", "--yes"], 0);
    assert!(
        said.contains("VACUUM rollcall.call failed: the role does not own the table"),
        "{said}"
    );
    postgres::run(&url, &format!("DROP OWNED BY {writer}; DROP ROLE {writer}"));
}
