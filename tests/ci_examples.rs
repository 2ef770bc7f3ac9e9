//! The commands in the examples for CI, cron and the like are commands of Rollcall, and do their work.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::Repo;

/// The files, and how many commands each has.
const FILES: [(&str, usize); 6] = [
    ("github/plan.yml", 1),
    ("github/apply.yml", 1),
    ("gitlab/.gitlab-ci.yml", 2),
    ("crontab", 5),
    ("systemd/rollcall.service", 1),
    ("kubernetes/cronjob.yaml", 2),
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
            // What is printed, or removed, is no command.
            if part.contains("printf") {
                return None;
            }
            let args = args.split(['>', '|', '&']).next().unwrap();
            Some(args.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

/// Puts the rules of a repository under Git.
fn commit(repo: &Repo) {
    for args in [
        &["init", "-q"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "commit",
            "-qm",
            "first",
        ],
    ] {
        let git = Command::new("git")
            .args(args)
            .current_dir(repo.path())
            .status();
        assert!(git.unwrap().success(), "{args:?}");
    }
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
        for (option, path) in [
            ("--config", "."),
            ("--metrics", "rollcall.prom"),
            ("--report", "apply.md"),
            ("--against", "HEAD"),
        ] {
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
        commit(&repo);
        run(name, count, &repo);
    }
}

/// The shell of a step, by its name.
fn script(text: &str, first: &str) -> String {
    let lines = text.lines().skip_while(|line| line.trim() != first);
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = lines.collect();
    let deep = indent(lines[0]);
    let lines = lines
        .iter()
        .take_while(|line| line.is_empty() || indent(line) >= deep);
    lines
        .map(|line| line.get(deep..).unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
#[cfg(unix)]
fn a_broken_configuration_replaces_the_plan_in_the_comment_and_nobody_is_named() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci");
    for (name, at) in [
        ("github/plan.yml", "RUNNER_TEMP"),
        ("gitlab/.gitlab-ci.yml", "CI_API"),
    ] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let script = script(&text, "status=0");
        let repo = Repo::new();
        repo.run(&["init"]).exits(0);
        commit(&repo);
        let work = tempfile::tempdir().unwrap();
        // A forge that knows no comment yet.
        repo.write("bin/curl", "#!/bin/sh\ncat >/dev/null\necho '[]'\n");
        repo.write("bin/jq", "#!/bin/sh\ncat >/dev/null\n");
        let binary = Path::new(env!("CARGO_BIN_EXE_rollcall")).parent().unwrap();
        let run = || {
            Command::new("bash")
                .args(["-eo", "pipefail", "-c", &script])
                .current_dir(repo.path())
                .env(
                    "PATH",
                    format!(
                        "{}:{}:/usr/bin:/bin",
                        repo.file("bin").display(),
                        binary.display()
                    ),
                )
                .env("RUNNER_TEMP", work.path())
                .env("BASE", "HEAD")
                .env("CI_MERGE_REQUEST_DIFF_BASE_SHA", "HEAD")
                .env("COMMIT", "1a2b3c")
                .env("CI_COMMIT_SHA", "1a2b3c")
                .output()
                .unwrap()
        };
        let plan = match at {
            "RUNNER_TEMP" => work.path().join("plan.md"),
            _ => repo.file("plan.md"),
        };
        fs::set_permissions(
            repo.file("bin/curl"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        fs::set_permissions(
            repo.file("bin/jq"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let done = run();
        assert!(done.status.success(), "{name}: {done:?}");
        let comment = fs::read_to_string(&plan).unwrap();
        assert!(
            comment.contains("Effect of the rules") && comment.ends_with("Commit `1a2b3c`.\n"),
            "{comment}"
        );
        assert!(!comment.contains("crm-"), "{comment}");
        repo.write("rollcall.toml", "[spotler");
        assert_eq!(run().status.code(), Some(1), "{name}");
        let comment = fs::read_to_string(&plan).unwrap();
        let start = "### Rollcall\n\n**There is no plan of this commit:**";
        assert!(comment.starts_with(start), "{comment}");
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
        commit(&repo);
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
