//! The examples do what their READMEs say: each command is run, in order, and each line that is said to be printed is.
#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;

use common::Repo;
use common::page::{blocks, copy};
use common::postgres::Server;

/// Runs a README's commands in a copy of the examples.
fn follow(example: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("examples").join(example).join("README.md")).unwrap();
    assert!(page.lines().count() <= 50, "{example}: more than a screen");
    let repo = Repo::new();
    copy(&root.join("examples"), &repo.file("examples"));
    let binary = Path::new(env!("CARGO_BIN_EXE_rollcall"));
    let mut path = vec![binary.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let path = std::env::join_paths(path).unwrap();
    let (mut commands, mut lines) = (0, 0);
    let mut printed = String::new();
    for block in blocks(&page) {
        if block.not_run.is_some() {
            continue;
        }
        if block.language == "sh" {
            printed.clear();
            for command in block.text.lines() {
                // Credentials are for no example.
                let mut shell = std::process::Command::new("sh");
                let shell = shell
                    .args(["-c", command])
                    .current_dir(repo.path())
                    .env_clear();
                let output = shell.env("PATH", &path).output().unwrap();
                let stderr = String::from_utf8(output.stderr).unwrap();
                assert!(output.status.success(), "{example}: {command}\n{stderr}");
                printed.push_str(&String::from_utf8(output.stdout).unwrap());
                commands += 1;
            }
            continue;
        }
        // The lines come in this order, with others between.
        let mut rest = printed.as_str();
        for line in block.text.lines() {
            let at = rest.find(line);
            let at = at.unwrap_or_else(|| panic!("{example}: not printed: {line}\n{printed}"));
            rest = &rest[at + line.len()..];
            lines += 1;
        }
    }
    assert!(
        commands >= 3 && lines >= 4,
        "{example}: {commands}, {lines}"
    );
}

#[test]
fn every_example_does_what_its_readme_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let list = fs::read_to_string(folder.join("../README.md")).unwrap();
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("rollcall.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 4, "{names:?}");
    for name in &names {
        assert!(list.contains(&format!("(examples/{name})")), "{name}");
        follow(name);
    }
}

#[test]
fn the_example_with_a_database_gives_the_same_plan_from_a_server() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/from-database");
    let script = fs::read_to_string(root.join("shop.sql")).unwrap();
    let plan = |repo: &Repo, config: &str| {
        let args = [
            "--config",
            config,
            "plan",
            "--now",
            "2026-11-23",
            "--format",
            "json",
        ];
        repo.run(&args).exits(0).json()["actions"].clone()
    };
    let repo = Repo::new();
    copy(&root, &repo.file(""));
    let shipped = plan(&repo, "rollcall.toml");
    assert_eq!(shipped.as_array().unwrap().len(), 3);
    // The file is what the script makes.
    fs::remove_file(repo.file("shop.db")).unwrap();
    common::sql::Sql::open(&repo.file("shop.db")).run(&script);
    assert_eq!(plan(&repo, "rollcall.toml"), shipped);
    let Some(server) = Server::shared() else {
        return;
    };
    let url = server.database();
    common::postgres::run(&url, &script);
    let repo = repo.env("SHOP_DATABASE_URL", &url);
    assert_eq!(plan(&repo, "server.toml"), shipped);
}
