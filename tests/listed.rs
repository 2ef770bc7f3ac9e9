//! What Spotler lists: `automations`, and `init --from-spotler`.

mod common;

use common::{Repo, Spotler};
use rollcall::sandbox::{Options, Publication, Setting, Trigger};
use serde_json::json;

fn spotler() -> Spotler {
    let mut both = Trigger::new("Welcome", "code-2", Setting::Once);
    both.publications.push(Publication::default());
    Spotler::start(Options {
        triggers: vec![
            Trigger::new("Customer lifecycle", "code-1", Setting::Unlimited),
            both,
            Trigger::new("Winback", "code-3", Setting::Unlimited),
        ],
        inactive: vec!["code-3".to_owned()],
        ..Options::default()
    })
}

fn config(url: &str) -> String {
    format!(
        r#"
[spotler]
base_url = "{url}"

[automation.customer]
trigger_code = "code-1"

[automation.customer-again]
trigger_code = "code-1"

[automation.winback]
trigger_code = "code-3"

[automation.unknown]
trigger_code = "code-4"
"#
    )
}

#[test]
fn what_is_listed_stands_beside_what_is_configured() {
    let spotler = spotler();
    let repo = Repo::with(&config(&spotler.url()));
    let json = repo
        .run(&["automations", "--format", "json"])
        .exits(0)
        .json();
    let short: Vec<_> = json["automations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            json!([
                row["trigger_code"],
                row["configured"],
                row["active"],
                row["remarks"]
            ])
        })
        .collect();
    assert_eq!(
        json!(short),
        json!([
            [
                "code-1",
                ["customer", "customer-again"],
                true,
                ["configured more than once"]
            ],
            ["code-2", [], true, ["not configured"]],
            ["code-2", [], true, ["not configured"]],
            [
                "code-3",
                ["winback"],
                false,
                ["inactive: its triggers fail"]
            ],
            [
                "code-4",
                ["unknown"],
                null,
                ["Spotler does not list this trigger code"]
            ],
        ])
    );
    let text = repo.run(&["automations"]).exits(0).stdout;
    insta::assert_snapshot!("automations", text);
}

#[test]
fn a_new_repository_gets_a_block_for_each_listed_trigger() {
    let spotler = spotler();
    let repo = Repo::new();
    let url = spotler.url();
    let done = repo
        .run(&["init", "--from-spotler", "--base-url", &url, "new"])
        .exits(0);
    assert!(
        done.stdout.contains("Nobody is enrolled yet"),
        "{}",
        done.stdout
    );
    let text = std::fs::read_to_string(repo.file("new/automations.toml")).unwrap();
    insta::assert_snapshot!("from_spotler", text);
    let plan = repo.run(&["--config", "new", "plan"]).exits(0);
    assert_eq!(
        plan.stdout,
        "Nothing to do. 0 participations as declared.\n"
    );
    let again = repo.run(&["init", "--from-spotler", "new"]).exits(0);
    assert_eq!(
        again.stdout,
        "Every external trigger that Spotler lists is configured already.\n"
    );
}

#[test]
fn a_configuration_that_is_there_gets_what_it_lacks() {
    let spotler = spotler();
    let repo = Repo::with(&config(&spotler.url()));
    let done = repo.run(&["init", "--from-spotler"]).exits(0);
    assert!(
        done.stdout.contains("include = [\"automations.toml\"]"),
        "{}",
        done.stdout
    );
    let text = std::fs::read_to_string(repo.file("automations.toml")).unwrap();
    assert!(
        text.contains("[automation.welcome]\ntrigger_code = \"code-2\""),
        "{text}"
    );
    assert!(
        !text.contains("code-1") && !text.contains("code-3"),
        "{text}"
    );
    let done = repo.run(&["init", "--from-spotler"]).exits(1);
    assert!(
        done.stderr.contains("already holds automations.toml"),
        "{}",
        done.stderr
    );
}

#[test]
fn nothing_is_written_where_spotler_cannot_be_asked() {
    let repo = Repo::new();
    for (url, said) in [
        ("http://spotler.example", "credentials would be sent"),
        ("http://127.0.0.1:1", "Spotler cannot be reached"),
    ] {
        let args = ["init", "--from-spotler", "--base-url", url, "new"];
        let done = repo.run(&args).exits(1);
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
    let repo = repo.env("SPOTLER_CONSUMER_KEY", "");
    let done = repo.run(&["init", "--from-spotler", "new"]).exits(1);
    assert!(
        done.stderr.contains("SPOTLER_CONSUMER_KEY"),
        "{}",
        done.stderr
    );
    assert!(!repo.file("new").exists());
}

#[test]
fn a_list_is_read_in_both_spellings_and_its_fields_are_held_against_those_that_are_sent() {
    let list = json!([
        { "encryptedId": "a1", "name": "Customer", "active": true,
          "fields": [{ "name": "company", "type": "STRING" }, { "name": "cart", "type": "URL" },
                     { "name": "vat", "type": "string" }],
          "triggers": [{ "encryptedId": "code-1", "name": "start" }] },
        { "id": 7, "name": "Winback", "active": "true",
          "triggers": [{ "id": 5, "triggerCode": "code-3", "name": "start", "encryptedId": "e-3" }] }
    ]);
    let url = answering(list.to_string());
    let repo = Repo::with(&format!(
        "[spotler]\nbase_url = {url:?}\n[automation.customer]\ntrigger_code = \"code-1\"\nfields = {{ Company = \"x\", cart = \"x\", vat = \"x\" }}\n\
         [automation.winback]\ntrigger_code = \"code-3\"\n"
    ));
    let json = repo
        .run(&["automations", "--format", "json"])
        .exits(0)
        .json();
    let rows = json["automations"].as_array().unwrap().iter();
    let short: Vec<_> = rows
        .map(|row| {
            json!([
                row["trigger_code"],
                row["configured"],
                row["active"],
                row["remarks"]
            ])
        })
        .collect();
    assert_eq!(
        json!(short),
        json!([
            [
                "code-1",
                ["customer"],
                true,
                [
                    "Spotler lists no field Company (did you mean company?)",
                    "its field cart is URL at Spotler, and sent as STRING",
                    "its field company is not sent"
                ]
            ],
            ["code-3", ["winback"], true, []]
        ])
    );
}

#[test]
fn dates_of_publications_are_held_against_today() {
    let listed = |code: &str, publications: serde_json::Value| {
        json!({ "id": code, "name": code, "publications": publications,
                "triggers": [{ "triggerCode": code, "name": "start" }] })
    };
    let dates = |start: &str, end: &str| json!({ "startDate": start, "endDate": end });
    let open = json!({ "startDate": "2026-01-01" });
    let cases = [
        (json!([]), json!([])),
        (
            json!([dates("2026-01-01", "2026-11-22")]),
            json!(["its publication ended on 2026-11-22: its triggers fail"]),
        ),
        (
            json!([dates("2026-01-01", "2026-11-23")]),
            json!(["its publication ends on 2026-11-23"]),
        ),
        (
            json!([dates("2026-12-01", "2026-12-31")]),
            json!(["its publication starts on 2026-12-01: until then its triggers fail"]),
        ),
        (json!([dates("2026-01-01", "2026-11-22"), open]), json!([])),
        (json!([dates("", "soon")]), json!([])),
    ];
    let codes: Vec<String> = (0..cases.len())
        .map(|place| format!("code-{place}"))
        .collect();
    let list = codes
        .iter()
        .zip(&cases)
        .map(|(code, (dates, _))| listed(code, dates.clone()));
    let url = answering(json!(list.collect::<Vec<_>>()).to_string());
    let blocks = codes
        .iter()
        .map(|code| format!("[automation.{code}]\ntrigger_code = {code:?}\n"));
    let repo = Repo::with(&format!(
        "[spotler]\nbase_url = {url:?}\n{}",
        blocks.collect::<String>()
    ));
    let now = [
        "automations",
        "--format",
        "json",
        "--now",
        "2026-11-23T09:00:00Z",
    ];
    let json = repo.run(&now).exits(0).json();
    let found = json["automations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["remarks"].clone());
    let wanted = cases.map(|(_, remarks)| remarks);
    assert_eq!(found.collect::<Vec<_>>(), wanted);
}

/// The address of a server that answers everything with this.
fn answering(body: String) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            use std::io::{BufRead, BufReader, Write};
            let mut stream = stream.unwrap();
            let lines = BufReader::new(&stream).lines();
            lines
                .take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()))
                .count();
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    url
}
