//! What a system may do to a run, and what a run must not give away.
#![cfg(unix)]

mod common;

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use common::{Repo, Spotler};
use rollcall::sandbox;

fn config(base_url: &str, contacts: usize) -> String {
    let names: Vec<String> = (0..contacts).map(|n| format!("c-{n:05}")).collect();
    format!(
        "[spotler]\nbase_url = {base_url:?}\n[guard]\nmax_triggers = 100000\n[automation.welcome]\n\
         trigger_code = \"w\"\n[[enrol]]\nautomation = \"welcome\"\ncontacts = {names:?}\n"
    )
}

fn executable(repo: &Repo, name: &str, text: &str) {
    repo.write(name, text);
    let path = repo.file(name);
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn git_gets_no_more_of_the_environment_than_it_needs() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), 1));
    // Git is asked only where a folder says that there is a repository.
    repo.write(".git/HEAD", "");
    executable(&repo, "bin/git", "#!/bin/sh\n/usr/bin/env > environment\n");
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", repo.file("bin").display());
    let mut command = repo.command(&["apply", "--yes", "--new-record"]);
    command.env("PATH", path).env("ROLLCALL_WEBHOOK", "hush");
    assert!(command.output().unwrap().status.success());
    let environment = std::fs::read_to_string(repo.file("environment")).unwrap();
    assert!(environment.contains("PATH="), "{environment}");
    for secret in ["SPOTLER", "ROLLCALL", "hush", sandbox::SANDBOX_SECRET] {
        let words = environment.lines().filter(|line| !line.starts_with("PWD="));
        let mut words = words.filter(|line| line.contains(secret));
        assert_eq!(words.next(), None, "{secret}");
    }
}

#[test]
fn an_output_that_is_full_and_does_not_wait_is_waited_for() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), 20_000));
    for args in [&["plan", "--all"][..], &["plan", "--format", "json"]] {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        writer.set_nonblocking(true).unwrap();
        let mut command = repo.command(args);
        command.stdout(Stdio::from(OwnedFd::from(writer)));
        let mut child = command.spawn().unwrap();
        // The other end of the pair is the child's alone.
        drop(command);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(text.contains("c-19999"), "it was cut");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn it_leaves_no_core_dump() {
    let mut other = Command::new("sh");
    let folder = tempfile::tempdir().unwrap();
    other
        .args(["-c", "ulimit -c unlimited; kill -ABRT $$"])
        .current_dir(folder.path());
    if !other.status().unwrap().core_dumped() {
        println!("skipped: this system dumps no core at all");
        return;
    }
    let spotler = Spotler::open();
    spotler.fault(serde_json::json!([{ "fault": "slow", "ms": 60_000 }]));
    let repo = Repo::with(&config(&spotler.url(), 1));
    let mut apply = repo.command_under("ulimit -c unlimited", &["apply", "--yes", "--new-record"]);
    let mut apply = apply.spawn().unwrap();
    spotler.wait_for_calls(1);
    let kill = Command::new("kill")
        .args(["-ABRT", &apply.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    assert!(!apply.wait().unwrap().core_dumped());
}

#[test]
fn a_time_beyond_all_clocks_is_for_ever() {
    let repo = Repo::with(&config("sandbox", 1));
    let longest = "18446744073709551615s";
    repo.run(&[
        "apply",
        "--yes",
        "--lock-timeout",
        longest,
        "--retry-for",
        longest,
    ])
    .exits(0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_thread_that_cannot_be_made_is_an_error_and_no_hang() {
    // Root may have as many as there are; so somebody else is asked, of whom there is no other program.
    const NOBODY: &str = "54321";
    let as_nobody = |limit: usize, args: &[&str]| {
        let mut command = Command::new("timeout");
        command
            .args(["60", "prlimit", &format!("--nproc={limit}")])
            .args(["setpriv", "--reuid", NOBODY, "--clear-groups"])
            .args(args);
        command
    };
    let repo = Repo::with(&config("sandbox", 3));
    let program = repo.file("rollcall");
    std::fs::copy(env!("CARGO_BIN_EXE_rollcall"), &program).unwrap();
    std::fs::set_permissions(repo.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let program = program.to_str().unwrap();
    let is_allowed = as_nobody(1000, &[program, "--version"]).output();
    if !is_allowed.is_ok_and(|output| output.status.success()) {
        println!("skipped: this system lets nobody else run the program");
        return;
    }
    let mut refused = 0;
    for limit in 1..40 {
        let output = as_nobody(limit, &[program, "apply", "--yes"])
            .current_dir(repo.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked"), "{limit}: {stderr}");
        match output.status.code() {
            Some(0) => break,
            // 126: not even the programs before it.
            Some(1 | 126) => refused += 1,
            code => panic!("{limit}: {code:?} {stderr}"),
        }
    }
    assert!(refused > 1);
    let state = std::fs::read_dir(repo.file("state")).unwrap();
    assert!(state.count() > 0, "in the end there were enough");
}
