//! A record in PostgreSQL, through the binary. Where there is no server, each test says that it is skipped.
#![cfg(unix)]

mod common;

use common::Repo;
use common::postgres::{self, PASSWORD, Server};

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
            "the role may not do that",
        ),
        (
            url.clone(),
            "taken",
            "is not a record of Rollcall (the schema has tables of something else)",
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
