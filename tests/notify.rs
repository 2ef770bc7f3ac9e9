//! `[notify]`: people are told that an apply did not end well, once, and without anybody's id.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use common::{Repo, Spotler};
use serde_json::{Value, json};

const HUSH: &str = "hush-4711";

/// A webhook on this machine.
struct Hook {
    url: String,
    came: Receiver<String>,
}

impl Hook {
    /// One that answers with this status, or with `None` never.
    fn answering(status: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/{HUSH}", listener.local_addr().unwrap());
        let (sender, came) = channel();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                sender.send(body(&stream)).unwrap();
                match status {
                    Some(status) => {
                        let answer = format!(
                            "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                        );
                        stream.write_all(answer.as_bytes()).unwrap();
                    }
                    None => kept.push(stream),
                }
            }
        });
        Self { url, came }
    }

    fn open() -> Self {
        Self::answering(Some(200))
    }

    /// What was said since the last time it was asked.
    fn said(&self) -> Vec<String> {
        let bodies = self.came.try_iter();
        bodies
            .map(|body| {
                let body: Value = serde_json::from_str(&body).unwrap();
                let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
                assert_eq!(keys, ["text"]);
                body["text"].as_str().unwrap().to_owned()
            })
            .collect()
    }
}

/// The body of a request.
fn body(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

fn config(url: &str, head: &str, contacts: &[&str]) -> String {
    format!(
        "[spotler]\nbase_url = {url:?}\n[notify]\nurl = \"$ROLLCALL_WEBHOOK\"\n{head}\n[automation.welcome]\n\
         trigger_code = \"w-1\"\n[[enrol]]\nautomation = \"welcome\"\ncontacts = {contacts:?}\n"
    )
}

fn repo(hook: &Hook, text: &str) -> Repo {
    Repo::with(text).env("ROLLCALL_WEBHOOK", &hook.url)
}

const GUARD: &str = "[guard]\nmax_triggers = 1";

#[test]
fn a_refusal_of_the_guard_is_said_once_until_all_is_well_again() {
    let (spotler, hook) = (Spotler::open(), Hook::open());
    let three = config(&spotler.url(), GUARD, &["crm-1", "crm-2", "crm-3"]);
    let repo = repo(&hook, &three);
    repo.apply().exits(4);
    let said = hook.said();
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("too many triggers: 3"), "{said:?}");
    assert!(said[0].contains("--allow-large"), "{said:?}");
    assert!(!said[0].contains("crm-"), "{said:?}");
    repo.apply().exits(4);
    assert_eq!(hook.said(), Vec::<String>::new());
    // What is well is not said, and makes the same refusal news.
    repo.write("rollcall.toml", config(&spotler.url(), GUARD, &["crm-1"]));
    repo.apply().exits(0);
    assert_eq!(hook.said(), Vec::<String>::new());
    let four = ["crm-1", "crm-2", "crm-3", "crm-4"];
    repo.write("rollcall.toml", config(&spotler.url(), GUARD, &four));
    repo.apply().exits(4);
    assert_eq!(hook.said().len(), 1);
}

#[test]
fn failures_are_said_when_they_are_news_and_doubts_always() {
    let (spotler, hook) = (Spotler::open(), Hook::open());
    let repo = repo(&hook, &config(&spotler.url(), "", &["crm-1"]));
    spotler.fault(json!([{ "fault": "revoked" }]));
    repo.apply().exits(3);
    let said = hook.said();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("Spotler refused the credentials"),
        "{said:?}"
    );
    repo.apply().exits(3);
    assert_eq!(hook.said(), Vec::<String>::new());
    spotler.fault(json!([{ "fault": "reset-after" }]));
    repo.apply().exits(3);
    repo.write(
        "rollcall.toml",
        config(&spotler.url(), "", &["crm-1", "crm-2"]),
    );
    repo.apply().exits(3);
    let said = hook.said();
    assert_eq!(said.len(), 2);
    for text in &said {
        assert!(text.contains("- welcome: 1 uncertain"), "{said:?}");
        assert!(!text.contains("crm-"), "{said:?}");
    }
}

#[test]
fn errors_are_said_too_also_where_neither_configuration_nor_record_can_be_read() {
    let (spotler, hook) = (Spotler::open(), Hook::open());
    let good = config(&spotler.url(), "", &["crm-1"]);
    let repo = repo(&hook, &good);
    repo.apply().exits(0);
    for (wrong, says) in [
        (good.replace("contacts", "kontacts"), "rollcall.toml:"),
        (good.replace("[[enrol]]", "[[enrol"), "rollcall.toml:"),
        (
            good.clone() + "[[expect]]\ncontact = \"crm-1\"\nnot_in = \"welcome\"\n",
            "rollcall.toml:",
        ),
    ] {
        repo.write("rollcall.toml", &wrong);
        repo.apply().exits(1);
        let said = hook.said();
        assert_eq!(said.len(), 1, "{wrong}");
        assert!(said[0].contains(says), "{said:?}");
        assert!(!said[0].contains("crm-1"), "{said:?}");
        repo.apply().exits(1);
        assert_eq!(hook.said(), Vec::<String>::new());
    }
    repo.write("rollcall.toml", &good);
    repo.write(
        "state/rollcall.db",
        "not a database at all, but a text of some length",
    );
    repo.apply().exits(1);
    let said = hook.said();
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("The record cannot be used"), "{said:?}");
    repo.apply().exits(1);
    assert_eq!(hook.said(), Vec::<String>::new());
}

#[test]
fn a_file_that_cannot_be_written_is_said_too_and_the_other_one_is_written() {
    let (spotler, hook) = (Spotler::open(), Hook::open());
    let repo = repo(&hook, &config(&spotler.url(), "", &["crm-1"]));
    let apply = |metrics, report| {
        let args = ["apply", "--yes", "--metrics", metrics, "--report", report];
        repo.run(&args).exits(1)
    };
    let done = apply("no/rollcall.prom", "done.json");
    assert!(
        done.stderr.contains("The metrics cannot be written"),
        "{}",
        done.stderr
    );
    assert_eq!(hook.said().len(), 1);
    let report = std::fs::read_to_string(repo.file("done.json")).unwrap();
    assert!(report.contains("\"exit_code\": 1"), "{report}");
    let done = apply("rollcall.prom", "no/done.json");
    assert!(
        done.stderr.contains("The report cannot be written"),
        "{}",
        done.stderr
    );
    assert_eq!(hook.said().len(), 1);
    let metrics = std::fs::read_to_string(repo.file("rollcall.prom")).unwrap();
    assert!(
        metrics.contains("rollcall_last_run_exit_code 1"),
        "{metrics}"
    );
    apply("rollcall.prom", "no/done.json");
    assert_eq!(hook.said(), Vec::<String>::new());
    assert_eq!(spotler.calls(), 0);
}

#[test]
fn a_webhook_that_fails_changes_no_exit_code_and_is_tried_again() {
    let spotler = Spotler::open();
    let text = config(&spotler.url(), GUARD, &["crm-1", "crm-2"]);
    let refusing = Hook::answering(Some(500));
    let repo = repo(&refusing, &text);
    for _ in 0..2 {
        let done = repo.apply().exits(4);
        assert!(
            done.stderr.contains("it answered with HTTP 500"),
            "{}",
            done.stderr
        );
        assert_eq!(refusing.said().len(), 1);
    }
    let silent = Hook::answering(None);
    let repo = repo.env("ROLLCALL_WEBHOOK", &silent.url);
    let done = repo.apply().exits(4);
    assert!(
        done.stderr.contains("did not answer within 5 seconds"),
        "{}",
        done.stderr
    );
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let repo = repo.env("ROLLCALL_WEBHOOK", &format!("http://{gone}/{HUSH}"));
    let done = repo.run(&["apply", "--yes", "-vv"]).exits(4);
    assert!(
        done.stderr.contains("no connection could be made"),
        "{}",
        done.stderr
    );
    assert!(!(done.stdout + &done.stderr).contains(HUSH));
}

#[test]
fn its_address_is_a_secret_and_comes_from_the_environment() {
    let (spotler, hook) = (Spotler::open(), Hook::open());
    let text = config(&spotler.url(), GUARD, &["crm-1", "crm-2"]);
    let wrong = text.replace("$ROLLCALL_WEBHOOK", "https://hooks.example.org/hush-4711");
    let done = Repo::with(&wrong).run(&["validate"]).exits(1);
    assert!(done.stderr.contains("$ROLLCALL_WEBHOOK"), "{}", done.stderr);
    assert!(!done.stderr.contains(HUSH), "{}", done.stderr);
    // Also where the file is no TOML.
    let broken = wrong.replace("[[enrol]]", "[[enrol");
    let done = Repo::with(&broken).run(&["validate"]).exits(1);
    assert!(!done.stderr.contains(HUSH), "{}", done.stderr);
    let unset = Repo::with(&text).apply().exits(4);
    assert!(
        unset.stderr.contains("$ROLLCALL_WEBHOOK is not set"),
        "{}",
        unset.stderr
    );
    let insecure = Repo::with(&text).env("ROLLCALL_WEBHOOK", "http://hooks.example.org/hush-4711");
    let done = insecure.apply().exits(4);
    assert!(
        done.stderr
            .contains("is neither https nor http on this machine"),
        "{}",
        done.stderr
    );
    assert!(!done.stderr.contains(HUSH), "{}", done.stderr);
    // It is kept nowhere.
    let repo = repo(&hook, &text);
    repo.apply().exits(4);
    assert_eq!(hook.said().len(), 1);
    let mut folders = vec![repo.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let bytes = std::fs::read(&path).unwrap();
                    let holds = bytes
                        .windows(HUSH.len())
                        .any(|part| part == HUSH.as_bytes());
                    assert!(!holds, "{}", path.display());
                }
            }
        }
    }
}
