//! Every answer and every fault has the outcome that the contract's table says.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Repo, Spotler};
use rollcall::sandbox::{Options, Setting, Trigger};
use serde_json::{Value, json};

const CODE: &str = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";

/// A repository that enrols contacts by name in one automation.
fn config(spotler: &Spotler, more: &str, contacts: &[&str]) -> String {
    let enrol = match contacts {
        [] => String::new(),
        contacts => format!("[[enrol]]\nautomation = \"welcome\"\ncontacts = {contacts:?}\n"),
    };
    format!(
        "[spotler]\nbase_url = {:?}\nrate = \"100000/s\"\nconcurrency = 4\ntimeout = \"1s\"\n[automation.welcome]\n\
         trigger_code = {CODE:?}\n{more}\n{enrol}",
        spotler.url()
    )
}

fn apply(repo: &Repo) -> common::Done {
    repo.run(&["apply", "--yes", "--format", "json", "--retry-for", "2s"])
}

/// What one trigger comes to under a fault: exit code, outcome, how often it was carried out, and what the record says.
fn trigger_under(rule: Value) -> (i32, String, usize, Vec<String>) {
    let spotler = Spotler::open();
    spotler.fault(json!([rule]));
    let repo = Repo::with(&config(&spotler, "", &["c-1"]));
    let done = apply(&repo);
    let outcome = done.json()["actions"][0]["outcome"]
        .as_str()
        .unwrap()
        .to_owned();
    (
        done.code.unwrap(),
        outcome,
        spotler.ledger().len(),
        repo.recorded(),
    )
}

#[test]
fn each_fault_of_a_trigger_has_its_outcome() {
    let active = ("active", "welcome c-1 active");
    let uncertain = ("uncertain", "welcome c-1 uncertain");
    let failed = ("failed", "welcome c-1 failed");
    for (rule, (outcome, recorded), carried_out) in [
        (json!({ "fault": "slow", "ms": 200 }), active, 1),
        (json!({ "fault": "limit", "times": 1 }), active, 1),
        (
            json!({ "fault": "limit", "retry_after": "1", "times": 1 }),
            active,
            1,
        ),
        (
            json!({ "fault": "limit", "retry_after": "Thu, 01 Jan 1970 00:00:00 GMT", "times": 1 }),
            active,
            1,
        ),
        (
            json!({ "fault": "unavailable", "retry_after": "1", "times": 1 }),
            uncertain,
            0,
        ),
        (json!({ "fault": "limit", "retry_after": "60" }), failed, 0),
        (json!({ "fault": "unavailable" }), uncertain, 0),
        (json!({ "fault": "error-before" }), uncertain, 0),
        (json!({ "fault": "error-after" }), uncertain, 1),
        (json!({ "fault": "reset-before" }), uncertain, 0),
        (json!({ "fault": "reset-after" }), uncertain, 1),
        (json!({ "fault": "cut" }), uncertain, 1),
        (json!({ "fault": "html" }), uncertain, 1),
        (json!({ "fault": "truncated" }), uncertain, 1),
        (json!({ "fault": "wrong-types" }), uncertain, 1),
        (json!({ "fault": "unknown-result" }), uncertain, 1),
        (json!({ "fault": "number-id" }), active, 1),
        (json!({ "fault": "odd-id" }), active, 1),
        (json!({ "fault": "enormous" }), uncertain, 1),
        (json!({ "fault": "hang-before" }), uncertain, 0),
        (json!({ "fault": "hang-after" }), uncertain, 1),
        (json!({ "fault": "revoked" }), failed, 0),
        (
            json!({ "fault": "echo" }),
            ("failed-for-good", "welcome c-1 failed-for-good"),
            0,
        ),
    ] {
        let name = rule.to_string();
        let code = if outcome == "active" { 0 } else { 3 };
        let expected = (
            code,
            outcome.to_owned(),
            carried_out,
            vec![recorded.to_owned()],
        );
        assert_eq!(trigger_under(rule), expected, "{name}");
    }
}

#[test]
fn an_uncertain_trigger_is_never_sent_again_by_itself() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "reset-after", "times": 1 }]));
    let repo = Repo::with(&config(&spotler, "", &["c-1"]));
    apply(&repo).exits(3);
    for _ in 0..3 {
        let done = apply(&repo).exits(0);
        assert_eq!(done.json()["held"][0]["state"], "uncertain");
    }
    assert_eq!(spotler.ledger().len(), 1);
    // When its enrolment goes, it is stopped, as it may be running.
    repo.write("rollcall.toml", config(&spotler, "", &[]));
    assert_eq!(
        apply(&repo).exits(0).actions(),
        ["stop welcome c-1 -> stopped"]
    );
    assert_eq!(spotler.running(), []);
}

#[test]
fn an_uncertain_trigger_is_sent_again_where_that_is_harmless() {
    let spotler = Spotler::start(Options {
        triggers: vec![Trigger::new("Welcome", CODE, Setting::Once)],
        ..Options::default()
    });
    spotler.fault(json!([{ "fault": "reset-after", "times": 1 }]));
    let repo = Repo::with(&config(&spotler, "participation = \"once\"", &["c-1"]));
    apply(&repo).exits(3);
    let again = apply(&repo).exits(3);
    assert_eq!(again.actions(), ["trigger welcome c-1 -> refused"]);
    assert_eq!(spotler.ledger().len(), 1, "carried out once");
    let held = repo.plan().json();
    assert_eq!(held["held"][0]["state"], "refused");
    assert_eq!(held["actions"], json!([]));
}

#[test]
fn what_may_succeed_is_tried_again() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "limit", "retry_after": "60" }]));
    let repo = Repo::with(&config(&spotler, "", &["c-1"]));
    apply(&repo).exits(3);
    assert_eq!(repo.plan().actions(), ["trigger welcome c-1"]);
    spotler.fault(json!([]));
    apply(&repo).exits(0);
    assert_eq!(repo.recorded(), ["welcome c-1 active"]);
}

#[test]
fn a_503_is_a_doubt_and_makes_all_calls_wait() {
    for retry_after in [None, Some("1")] {
        let spotler = Spotler::open();
        spotler.fault(json!([
            { "fault": "unavailable-after", "retry_after": retry_after, "kind": "trigger", "times": 1 }
        ]));
        let names = ["c-1", "c-2", "c-3", "c-4", "c-5", "c-6"];
        let toml = config(&spotler, "", &names);
        let repo = Repo::with(&toml.replace("concurrency = 4", "concurrency = 2"));
        let done = apply(&repo).exits(3);
        let count = |end: &str| {
            done.actions()
                .iter()
                .filter(|line| line.ends_with(end))
                .count()
        };
        assert_eq!((count("-> uncertain"), count("-> active")), (1, 5));
        assert_eq!(spotler.ledger().len(), 6, "nobody twice");
        assert!(
            done.stderr
                .contains("before calling Spotler again (HTTP 503)"),
            "{}",
            done.stderr
        );
        apply(&repo).exits(0);
        assert_eq!(spotler.ledger().len(), 6, "nobody twice");
    }
}

#[test]
fn a_stop_that_meets_a_503_is_asked_for_again() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler, "", &["c-1"]));
    apply(&repo).exits(0);
    spotler.fault(json!([{ "fault": "unavailable-after", "retry_after": "1", "times": 1 }]));
    repo.write("rollcall.toml", config(&spotler, "", &[]));
    assert_eq!(
        apply(&repo).exits(0).actions(),
        ["stop welcome c-1 -> stopped"]
    );
}

#[test]
fn one_doubt_ends_no_run_where_calls_go_one_after_the_other() {
    let spotler = Spotler::open();
    let toml = |names: &[&str]| {
        config(&spotler, "[guard]\nmax_stops = 9", names)
            .replace("concurrency = 4", "concurrency = 1")
    };
    let repo = Repo::with(&toml(&["c-1", "c-2"]));
    spotler.fault(json!([{ "fault": "error-before", "times": 1 }]));
    assert_eq!(
        apply(&repo).exits(3).actions(),
        [
            "trigger welcome c-1 -> uncertain",
            "trigger welcome c-2 -> active"
        ]
    );
    spotler.fault(json!([{ "fault": "error-before", "kind": "stop", "times": 1 }]));
    repo.write("rollcall.toml", toml(&["c-1"]));
    assert_eq!(
        apply(&repo).exits(0).actions(),
        ["stop welcome c-2 -> stopped"]
    );
}

#[test]
fn a_wait_beyond_what_a_run_waits_for_ends_it_at_once() {
    for retry_after in ["99999999999999999999999", "120, 120"] {
        let spotler = Spotler::open();
        spotler.fault(json!([{ "fault": "limit", "retry_after": retry_after }]));
        let repo = Repo::with(&config(&spotler, "", &["c-1"]));
        let done = apply(&repo).exits(3);
        assert_ne!(done.json()["ended_early"], Value::Null);
        assert_eq!(spotler.calls(), 1, "{retry_after}");
    }
}

#[test]
fn an_inactive_automation_costs_few_calls_and_the_others_go_on() {
    let mut inactive = Trigger::new("Welcome", CODE, Setting::Unlimited);
    inactive.publications[0].active = false;
    let other = "c2a4e7d0-93b1-4f6e-8a57-1d0b6e9f4c33";
    let spotler = Spotler::start(Options {
        triggers: vec![inactive, Trigger::new("Other", other, Setting::Unlimited)],
        ..Options::default()
    });
    let names: Vec<String> = (0..40).map(|n| format!("c-{n:02}")).collect();
    let contacts: Vec<&str> = names.iter().map(String::as_str).collect();
    let more = format!("[automation.other]\ntrigger_code = {other:?}");
    let toml =
        config(&spotler, &more, &contacts).replace("\"welcome\"\n", "[\"welcome\", \"other\"]\n");
    let repo = Repo::with(&toml);
    let done = apply(&repo).exits(3);
    let actions = done.actions();
    let count = |end: &str| {
        actions
            .iter()
            .filter(|action| action.ends_with(end))
            .count()
    };
    assert_eq!(count("-> active"), 40);
    assert!((1..=4).contains(&count("-> failed")), "{actions:?}");
    assert_eq!(spotler.ledger().len(), 40);
    assert!(spotler.calls() <= 44, "{}", spotler.calls());
}

#[test]
fn a_fault_that_hits_everything_costs_at_most_as_many_calls_as_may_be_under_way() {
    for fault in [
        "revoked",
        "error-before",
        "error-after",
        "reset-before",
        "html",
        "hang-after",
    ] {
        let spotler = Spotler::open();
        spotler.fault(json!([{ "fault": fault }]));
        let names: Vec<String> = (0..50).map(|n| format!("c-{n:02}")).collect();
        let contacts: Vec<&str> = names.iter().map(String::as_str).collect();
        let repo = Repo::with(&config(&spotler, "", &contacts));
        let done = apply(&repo).exits(3);
        assert!(spotler.calls() <= 4, "{fault}: {}", spotler.calls());
        assert_ne!(done.json()["ended_early"], Value::Null, "{fault}");
    }
}

#[test]
fn a_service_that_is_down_is_waited_for_and_loses_nothing() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler, "", &["c-1", "c-2"]));
    spotler.post("down/600");
    let done = repo.run(&["apply", "--yes", "--format", "json", "--retry-for", "60s"]);
    assert_eq!(
        done.exits(0).actions(),
        [
            "trigger welcome c-1 -> active",
            "trigger welcome c-2 -> active"
        ]
    );
    assert_eq!(spotler.ledger().len(), 2);
}

#[test]
fn a_stop_is_asked_for_again_until_it_is_certain() {
    for fault in ["error-before", "error-after", "reset-after", "hang-before"] {
        let spotler = Spotler::open();
        let repo = Repo::with(&config(&spotler, "", &["c-1"]));
        apply(&repo).exits(0);
        spotler.fault(json!([{ "fault": fault, "kind": "stop", "times": 2 }]));
        repo.write("rollcall.toml", config(&spotler, "", &[]));
        let done = apply(&repo).exits(0);
        assert_eq!(done.actions(), ["stop welcome c-1 -> stopped"], "{fault}");
        assert_eq!(spotler.running(), [], "{fault}");
        assert_eq!(repo.recorded(), ["welcome c-1 stopped"], "{fault}");
    }
}

#[test]
fn stops_in_an_outage_cost_at_most_as_many_calls_as_may_be_under_way() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler, "", &["c-1", "c-2", "c-3"]));
    apply(&repo).exits(0);
    let before = spotler.calls();
    spotler.fault(json!([{ "fault": "error-before" }]));
    repo.write("rollcall.toml", config(&spotler, "", &[]));
    let done = apply(&repo).exits(3);
    assert!(spotler.calls() - before <= 4, "{}", done.stderr);
    spotler.fault(json!([]));
    apply(&repo).exits(0);
    assert_eq!(spotler.running(), []);
}

#[test]
fn a_stop_of_all_is_of_all_behind_its_code_though_the_run_ends_before_it_comes_to_them() {
    let spotler = Spotler::open();
    let automations = [("one", "code"), ("other", "else"), ("two", "CODE")];
    let automations = automations
        .map(|(name, code)| format!("[automation.{name}]\ntrigger_code = {code:?}\n"))
        .concat();
    let url = spotler.url();
    let toml = format!("[spotler]\nbase_url = {url:?}\n{automations}");
    let enrol = "[[enrol]]\nautomation = [\"one\", \"other\", \"two\"]\ncontacts = [\"c-1\"]\n";
    let repo = Repo::with(&format!("{toml}{enrol}"));
    apply(&repo).exits(0);
    repo.write("rollcall.toml", toml);
    spotler.fault(json!([{ "fault": "revoked", "code": "else" }]));
    apply(&repo).exits(3);
    assert_eq!(spotler.running(), [("c-1".to_owned(), "else".to_owned())]);
    let states = [
        "one c-1 stopped",
        "other c-1 stop-failed",
        "two c-1 stopped",
    ];
    assert_eq!(repo.recorded(), states);
}

#[test]
fn a_doubtful_stop_is_settled_before_the_contact_is_triggered_again() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler, "", &["c-1"]));
    apply(&repo).exits(0);
    spotler.fault(json!([{ "fault": "error-before", "kind": "stop" }]));
    repo.write("rollcall.toml", config(&spotler, "", &[]));
    apply(&repo).exits(3);
    assert_eq!(repo.recorded(), ["welcome c-1 stop-uncertain"]);
    repo.write("rollcall.toml", config(&spotler, "", &["c-1"]));
    // As long as the stop cannot be made certain, nothing is triggered.
    let done = apply(&repo).exits(3);
    assert!(
        done.actions()[1].ends_with("-> not-sent"),
        "{:?}",
        done.actions()
    );
    spotler.fault(json!([]));
    let done = apply(&repo).exits(0);
    assert_eq!(
        done.actions(),
        [
            "stop welcome c-1 -> stopped",
            "trigger welcome c-1 -> active"
        ]
    );
    assert_eq!(spotler.running().len(), 1);
}

#[test]
fn five_per_cent_of_limited_calls_lose_nothing() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "limit", "probability": 0.05, "retry_after": "0" }]));
    let names: Vec<String> = (0..300).map(|n| format!("c-{n:03}")).collect();
    let contacts: Vec<&str> = names.iter().map(String::as_str).collect();
    let repo = Repo::with(&config(&spotler, "", &contacts));
    apply(&repo).exits(0);
    assert_eq!(spotler.ledger().len(), 300);
    assert!(spotler.calls() > 300);
    let history = repo.run(&["history", "--format", "json"]).exits(0).json();
    let calls = history["calls"].as_array().unwrap();
    assert_eq!(
        calls.len() as u64,
        spotler.calls(),
        "every attempt is on record"
    );
}

#[test]
fn one_of_several_is_stopped_by_its_id_whatever_letters_that_has() {
    let spotler = Spotler::open();
    spotler.fault(json!([{ "fault": "odd-id" }]));
    let toml = config(&spotler, "repeat_by = \"order\"", &[]).replace("welcome", "review");
    let source = "[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n[[enrol]]\nautomation = \"review\"\n\
                  source = \"crm\"\n";
    let repo = Repo::with(&format!("{toml}{source}"));
    repo.write("crm.csv", "id,order\nc-1,a\nc-1,b\n");
    apply(&repo).exits(0);
    repo.write("crm.csv", "id,order\nc-1,b\n");
    let done = apply(&repo).exits(0);
    assert_eq!(done.actions(), ["stop review c-1 / a -> stopped"]);
    assert_eq!(spotler.running().len(), 1, "the one that stays goes on");
}

/// A server that finds every call wrong, and says so with this `errorType`. Returns its URL and how many calls came in.
fn refusing(error_type: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.ends_with(b"}") {
                match stream.read(&mut buffer).unwrap() {
                    0 => break,
                    count => request.extend_from_slice(&buffer[..count]),
                }
            }
            counter.fetch_add(1, Ordering::SeqCst);
            let body = format!("{{\"errorType\":\"{error_type}\"}}");
            let head = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length:";
            write!(stream, "{head} {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    (url, calls)
}

#[test]
fn a_400_that_refuses_the_credentials_ends_the_run_and_holds_nobody_for_good() {
    let names: Vec<String> = (0..50).map(|n| format!("c-{n:02}")).collect();
    for (word, outcome, told) in [
        (
            "NOT_AUTHORIZED",
            " failed",
            "Spotler refused the credentials",
        ),
        (
            "AUTH_NOT_FOUND",
            " failed",
            "Spotler refused the credentials",
        ),
        (
            "BACKEND_EXCEPTION",
            " uncertain",
            "with concurrency = 4 a run stops there",
        ),
    ] {
        let (url, calls) = refusing(word);
        let repo = Repo::with(&format!(
            "[spotler]\nbase_url = {url:?}\nconcurrency = 4\n[automation.welcome]\ntrigger_code = {CODE:?}\n\
             [[enrol]]\nautomation = \"welcome\"\ncontacts = {names:?}\n"
        ));
        let done = repo.run(&["apply", "--yes"]).exits(3);
        assert!(calls.load(Ordering::SeqCst) <= 4, "{word}");
        assert!(done.stdout.contains(told), "{word}: {}", done.stdout);
        let recorded = repo.recorded();
        assert!(!recorded.is_empty(), "{word}");
        assert!(
            recorded.iter().all(|line| line.ends_with(outcome)),
            "{word}: {recorded:?}"
        );
    }
}

#[test]
fn what_fails_for_good_again_with_other_fields_waits_for_the_next_change() {
    let (url, _) = refusing("INVALID_PARAMS");
    let with = |company: &str| {
        format!(
            "[spotler]\nbase_url = {url:?}\n[automation.welcome]\ntrigger_code = {CODE:?}\n\
             fields.company = {company:?}\n[[enrol]]\nautomation = \"welcome\"\ncontacts = [\"c-1\"]\n"
        )
    };
    let repo = Repo::with(&with("one"));
    let failed = ["trigger welcome c-1 -> failed-for-good"];
    assert_eq!(apply(&repo).exits(3).actions(), failed);
    let plan = repo.plan();
    assert_eq!(plan.actions(), [""; 0]);
    let reason = plan.json()["held"][0]["reason"].to_string();
    assert!(reason.contains("correct in the configuration"), "{reason}");
    repo.write("rollcall.toml", with("two"));
    assert_eq!(apply(&repo).exits(3).actions(), failed);
    assert_eq!(
        repo.plan().actions(),
        [""; 0],
        "it was sent with these fields"
    );
}

/// How a server answers triggers.
#[derive(Clone, Copy)]
enum Stray {
    /// Each answer twice, both in one piece.
    AtOnce,
    /// The answer before once more, in place of the one for this call; that one comes behind it.
    Before,
    /// Always the same answer.
    Cached,
}

/// A server that mixes its answers up; it carries every call out. Returns its URL and the contacts in their order.
fn mixing_up(stray: Stray) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let contacts = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = contacts.clone();
    let serve = move |mut stream: std::net::TcpStream| {
        let mut buffer = [0; 4096];
        let mut before: Option<String> = None;
        loop {
            let mut request = Vec::new();
            // The body of these requests ends with the only closing brace.
            while !request.ends_with(b"}") {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(count) => request.extend_from_slice(&buffer[..count]),
                }
            }
            let text = String::from_utf8(request).unwrap();
            let body: Value = serde_json::from_str(text.split("\r\n\r\n").last().unwrap()).unwrap();
            let mut contacts = seen.lock().unwrap();
            contacts.push(body["externalContactId"].as_str().unwrap().to_owned());
            let id = match stray {
                Stray::Cached => 1,
                _ => contacts.len(),
            };
            drop(contacts);
            let body = format!(
                "{{\"result\":\"OK\",\"publishedAutomationResults\":[{{\"automationContactId\":\"a{id}\",\"result\":\"OK\"}}]}}"
            );
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let sent = match (stray, &before) {
                (Stray::AtOnce, _) => answer.repeat(2),
                (Stray::Before, Some(before)) => format!("{before}{answer}"),
                _ => answer.clone(),
            };
            before = Some(answer);
            if stream.write_all(sent.as_bytes()).is_err() {
                return;
            }
        }
    };
    // One connection after the other: so answers come in the order of the calls.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap());
        }
    });
    (url, contacts)
}

#[test]
fn an_answer_that_is_not_for_its_call_gives_nobody_the_id_of_another() {
    // An odd number: the last one has nobody beside it.
    let names: Vec<String> = (1..=7).map(|n| format!("c-{n}")).collect();
    for stray in [Stray::AtOnce, Stray::Before, Stray::Cached] {
        let (url, contacts) = mixing_up(stray);
        let repo = Repo::with(&format!(
            "[spotler]\nbase_url = {url:?}\nconcurrency = 1\nrate = \"100000/s\"\n[automation.welcome]\n\
             trigger_code = {CODE:?}\n[[enrol]]\nautomation = \"welcome\"\ncontacts = {names:?}\n"
        ));
        let mut codes = Vec::new();
        for _ in 0..7 {
            let done = apply(&repo);
            codes.push(done.code);
            if done.actions().is_empty() {
                break;
            }
        }
        let list = repo.run(&["record", "list", "--format", "json"]).json();
        let mut ids = std::collections::BTreeSet::new();
        let mut uncertain = 0;
        for (place, item) in list["participations"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
        {
            let own = item["automation_contact_ids"].as_array().unwrap();
            match item["state"].as_str().unwrap() {
                "active" => {
                    // Calls go in the order of the contacts, so the right one is known.
                    assert_eq!(own, &[json!(format!("a{}", place + 1))]);
                    assert!(
                        ids.insert(own[0].to_string()),
                        "two have the same id: {list}"
                    );
                }
                state => {
                    assert_eq!((state, own.len()), ("uncertain", 0), "{list}");
                    uncertain += 1;
                }
            }
        }
        match stray {
            Stray::AtOnce => assert_eq!(uncertain, 0, "{list}"),
            Stray::Before | Stray::Cached => {
                assert!(uncertain >= 2, "{list}");
                assert_eq!(codes[0], Some(3));
            }
        }
        assert_eq!(*contacts.lock().unwrap(), names, "each once");
    }
}
