//! A signal, whenever it comes: before anything is begun nothing is done, and what is begun is finished.
#![cfg(unix)]

mod common;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};

use common::{Repo, Spotler};
use serde_json::json;

/// All signals that end a run. Tests that are started with `nohup` pass on that SIGHUP is ignored, and say so.
fn signals() -> Vec<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap());
    if ignored & 1 == 0 {
        return vec!["INT", "TERM", "HUP", "QUIT"];
    }
    eprintln!("skipped SIGHUP, which is ignored here");
    vec!["INT", "TERM", "QUIT"]
}

fn config(spotler: &Spotler, count: usize) -> String {
    let names: Vec<String> = (0..count).map(|n| format!("c-{n:05}")).collect();
    format!(
        "[spotler]\nbase_url = {:?}\nconcurrency = 2\nrate = \"100000/s\"\n[guard]\nmax_triggers = 100000\n\
         [automation.welcome]\ntrigger_code = \"w\"\n[[enrol]]\nautomation = \"welcome\"\ncontacts = {names:?}\n",
        spotler.url()
    )
}

fn send(signal: &str, to: &Child) {
    let status = Command::new("kill")
        .args([format!("-{signal}"), to.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// Waits until a program shows that it has come somewhere.
fn wait_for(child: &mut Child, text: &str) {
    let stdout = child.stdout.as_mut().unwrap();
    let (mut shown, mut byte) = (Vec::new(), [0]);
    while !shown.ends_with(text.as_bytes()) {
        assert_eq!(stdout.read(&mut byte).unwrap(), 1, "it ended before");
        shown.extend(byte);
    }
}

#[track_caller]
fn ended(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    stderr
}

/// A program in place of `git` that says that it was asked, and then hangs.
fn hanging_git(repo: &Repo) -> String {
    let path = repo.file("bin/git");
    // It is asked only where there is something of it.
    repo.write(".git/HEAD", "");
    repo.write(
        "bin/git",
        // It ends with the run that started it.
        "#!/bin/sh\necho asked > asked\nwhile kill -0 $PPID; do sleep 0.1; done\n",
    );
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    let mkfifo = Command::new("mkfifo").arg(repo.file("asked")).status();
    assert!(mkfifo.unwrap().success());
    let path = std::env::var("PATH").unwrap();
    format!("{}:{path}", repo.file("bin").display())
}

#[test]
fn before_the_first_call_nothing_is_done() {
    let spotler = Spotler::open();
    for signal in signals() {
        for command in [
            &[
                "apply",
                "--yes",
                "--new-record",
                "--metrics",
                "rollcall.prom",
            ][..],
            &["adopt", "--yes", "--new-record"],
        ] {
            let repo = Repo::with(&config(&spotler, 3));
            let path = hanging_git(&repo);
            let mut child = repo.command(command);
            child
                .env("PATH", path)
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
            let child = child.spawn().unwrap();
            // A pipe that is opened to read waits for who writes.
            std::fs::read(repo.file("asked")).unwrap();
            send(signal, &child);
            let stderr = ended(&child.wait_with_output().unwrap(), 1);
            let told = format!("Interrupted by SIG{signal}");
            assert!(stderr.contains(&told), "{stderr}");
            assert!(!repo.file("state/rollcall.db").exists());
            if command[0] == "apply" {
                let metrics = std::fs::read_to_string(repo.file("rollcall.prom")).unwrap();
                assert!(
                    metrics.contains("rollcall_last_run_exit_code 1\n"),
                    "{metrics}"
                );
            }
        }
    }
    assert_eq!(spotler.calls(), 0);
}

#[test]
fn while_it_waits_for_the_lock_nothing_is_done() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "slow", "ms": 3000, "times": 1 }]));
    let repo = Repo::with(&config(&spotler, 1));
    let holder = repo.spawn(&["apply", "--yes", "--new-record"]);
    spotler.wait_for_calls(1);
    repo.write("rollcall.toml", config(&spotler, 2));
    for signal in signals() {
        let mut waiting = repo.spawn(&["apply", "--yes", "--lock-timeout", "1h"]);
        wait_for(&mut waiting, "to trigger");
        send(signal, &waiting);
        ended(&waiting.wait_with_output().unwrap(), 1);
    }
    ended(&holder.wait_with_output().unwrap(), 0);
    assert_eq!(spotler.ledger().len(), 1);
}

#[test]
fn what_is_under_way_is_finished() {
    for signal in signals() {
        let spotler = Spotler::open();
        spotler.fault(json!([{ "fault": "slow", "ms": 300 }]));
        let repo = Repo::with(&config(&spotler, 50));
        let child = repo.spawn(&["apply", "--yes", "--new-record"]);
        spotler.wait_for_calls(1);
        send(signal, &child);
        // Another one changes nothing.
        send(signal, &child);
        ended(&child.wait_with_output().unwrap(), 3);
        let recorded = repo.recorded();
        assert_eq!(recorded.len(), spotler.ledger().len());
        assert!(recorded.len() < 50);
        assert!(
            recorded.iter().all(|line| line.ends_with(" active")),
            "{recorded:?}"
        );
    }
}

#[test]
fn a_plan_that_nobody_reads_to_its_end_can_be_given_up() {
    let spotler = Spotler::open();
    let mut config = config(&spotler, 20);
    // Of each automation the first twenty are shown.
    let names: Vec<String> = (0..300).map(|n| format!("automation-{n:03}")).collect();
    for name in &names {
        config += &format!("[automation.{name}]\ntrigger_code = \"code-{name}\"\n");
    }
    let all: Vec<String> = (0..20).map(|n| format!("c-{n:05}")).collect();
    config += &format!("[[enrol]]\nautomation = {names:?}\ncontacts = {all:?}\n");
    let repo = Repo::with(&config);
    let mut child = repo.spawn(&["apply", "--yes", "--new-record"]);
    wait_for(&mut child, "c-00001");
    // Nobody reads on, and the pipe holds but a part of it.
    send("TERM", &child);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(spotler.calls(), 0);
    assert!(!repo.has_state());
}

#[test]
fn nohup_keeps_its_word() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "slow", "ms": 300 }]));
    let repo = Repo::with(&config(&spotler, 3));
    let template = repo.command(&["apply", "--yes", "--new-record"]);
    let mut nohup = Command::new("nohup");
    nohup
        .arg(template.get_program())
        .args(template.get_args())
        .current_dir(repo.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => nohup.env(name, value),
            None => nohup.env_remove(name),
        };
    }
    let child = nohup.spawn().unwrap();
    spotler.wait_for_calls(1);
    send("HUP", &child);
    ended(&child.wait_with_output().unwrap(), 0);
    assert_eq!(spotler.ledger().len(), 3);
}

#[test]
#[cfg(target_os = "linux")]
fn as_process_1_it_hears_signals_too() {
    let unshare = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child"]).args(args);
        command
    };
    if !unshare(&["true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        println!("skipped: this system lets nobody begin a PID namespace");
        return;
    }
    let spotler = Spotler::open();
    for signal in signals() {
        let repo = Repo::with(&config(&spotler, 3));
        let path = hanging_git(&repo);
        let template = repo.command(&["apply", "--yes", "--new-record"]);
        let program = template.get_program().to_str().unwrap();
        let mut command = unshare(&[program]);
        command.args(template.get_args()).current_dir(repo.path());
        for (name, value) in template.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("PATH", path).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let outer = command.spawn().unwrap();
        std::fs::read(repo.file("asked")).unwrap();
        let children = format!("/proc/{0}/task/{0}/children", outer.id());
        let first = std::fs::read_to_string(children).unwrap();
        let status = Command::new("kill")
            .args([format!("-{signal}"), first.trim().to_owned()])
            .status();
        assert!(status.unwrap().success());
        ended(&outer.wait_with_output().unwrap(), 1);
    }
    assert_eq!(spotler.calls(), 0);
}
