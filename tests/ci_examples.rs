//! The commands in the examples for CI, cron and the like are commands of Rollcall, and do their work.

mod common;

use std::fs;
use std::path::Path;

use common::Repo;

/// The files, and how many commands each has.
const FILES: [(&str, usize); 6] = [
    ("github/plan.yml", 1),
    ("github/apply.yml", 1),
    ("gitlab/.gitlab-ci.yml", 2),
    ("crontab", 5),
    ("systemd/rollcall.service", 1),
    ("kubernetes/cronjob.yaml", 1),
];

/// Those whose record is in PostgreSQL.
const ON_POSTGRES: [(&str, usize); 4] = [
    ("github/hosted-plan.yml", 1),
    ("github/hosted-apply.yml", 2),
    ("gitlab/hosted.gitlab-ci.yml", 3),
    ("kubernetes/postgres.yaml", 3),
];

/// The arguments of every run of Rollcall in a file.
fn commands(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines
        .flat_map(|line| line.split("&&"))
        .filter_map(|part| {
            if let Some(args) = part.strip_prefix("args: ") {
                return Some(serde_json::from_str(args).unwrap());
            }
            let (_, args) = part.split_once("rollcall ")?;
            let args = args.split(['>', '|', '&']).next().unwrap();
            Some(args.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

/// Runs every command of an example.
fn run(name: &str, count: usize, repo: &Repo) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci");
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let mut commands = commands(&text);
    assert_eq!(commands.len(), count, "{name}: {commands:?}");
    // The first day is the first.
    commands.sort_by_key(|command| !command.iter().any(|word| word == "--new-record"));
    for mut command in commands {
        // Their folders are not those of this machine.
        for (option, path) in [("--config", "."), ("--metrics", "rollcall.prom")] {
            if let Some(at) = command.iter().position(|word| word == option) {
                command[at + 1] = path.to_owned();
            }
        }
        let args: Vec<&str> = command.iter().map(String::as_str).collect();
        repo.run(&args).exits(0);
    }
}

#[test]
fn every_command_of_the_ci_examples_runs() {
    for (name, count) in FILES {
        let repo = Repo::new();
        repo.run(&["init"]).exits(0);
        run(name, count, &repo);
    }
}

#[test]
#[cfg(unix)]
fn those_on_postgres_run_against_a_server() {
    let Some(server) = common::postgres::Server::shared() else {
        return;
    };
    for (name, count) in ON_POSTGRES {
        let repo = Repo::new().env("ROLLCALL_RECORD_URL", &server.database());
        repo.run(&["init"]).exits(0);
        let toml = fs::read_to_string(repo.file("rollcall.toml")).unwrap();
        assert!(toml.contains("[record]\n"), "{toml}");
        let url = "[record]\nurl = \"$ROLLCALL_RECORD_URL\"\n";
        repo.write("rollcall.toml", toml.replace("[record]\n", url));
        run(name, count, &repo);
        assert!(!repo.file("state/rollcall.db").exists());
    }
}

#[test]
fn only_an_apply_gets_the_credentials() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci");
    let plan = fs::read_to_string(folder.join("github/plan.yml")).unwrap();
    assert!(!plan.contains("secrets."), "{plan}");
}
