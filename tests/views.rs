//! The ways in which a plan is shown besides text: JSON for programs, Markdown for a merge request, a diff.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use common::{Repo, Spotler};
use serde_json::{Value, json};

const CODE: &str = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";

fn config(url: &str, more: &str) -> String {
    format!(
        "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\nconcurrency = 4\n{more}\n[source.crm]\ncsv = \"crm.csv\"\n\
         contact = \"id\"\n[automation.customers]\ntrigger_code = {CODE:?}\n[automation.winback]\ntrigger_code = \"code-b\"\n\
         [[enrol]]\nautomation = \"customers\"\nsource = \"crm\"\nwhere.status = \"customer\"\n\
         [[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\nwhere.status = \"gone\"\n"
    )
}

fn crm(rows: impl IntoIterator<Item = (impl AsRef<str>, &'static str)>) -> String {
    let mut text = "id,status\n".to_owned();
    for (id, status) in rows {
        let id = id.as_ref().replace('"', "\"\"");
        text.push_str(&format!("\"{id}\",{status}\n"));
    }
    text
}

/// Ten customers on record; one goes, one comes back as an ex-customer, one is new, and one is in doubt.
fn changed(spotler: &Spotler) -> Repo {
    let repo = Repo::with(&config(&spotler.url(), ""));
    let rows = |range: std::ops::Range<u32>| range.map(|n| (format!("c-{n:02}"), "customer"));
    repo.write("crm.csv", crm(rows(0..10)));
    repo.apply().exits(0);
    spotler.fault(json!([{ "fault": "reset-after", "contact": "c-99" }]));
    repo.write(
        "crm.csv",
        crm(rows(0..10).chain([("c-99".to_owned(), "customer")])),
    );
    repo.apply().exits(3);
    spotler.fault(json!([]));
    let rows = rows(0..12).filter(|(id, _)| id != "c-03");
    let rows = rows.map(|(id, status)| match id.as_str() {
        "c-05" => (id, "gone"),
        _ => (id, status),
    });
    repo.write(
        "crm.csv",
        crm(rows.chain([("c-99".to_owned(), "customer")])),
    );
    repo
}

const NOW: [&str; 2] = ["--now", "2026-11-23T09:00:00Z"];

fn stable(text: &str, plan: &Value) -> String {
    let digest = plan["config_digest"].as_str().unwrap();
    let serial = plan["record_serial"].to_string();
    let text = text.replace(digest, "DIGEST");
    let id = plan["record"]["id"].as_str().unwrap();
    let text = text.replace(id, "RECORD");
    let text = text.replace(&format!("serial {serial}"), "serial N");
    let text = text.replace(&format!("serial\": {serial}"), "serial\": 0");
    // When the trigger in doubt was sent.
    let mut words: Vec<&str> = text.split(' ').collect();
    for word in &mut words {
        let is_time = word.len() == 20 && word.ends_with('Z') && *word != NOW[1];
        if is_time {
            *word = "TIME";
        }
    }
    words.join(" ")
}

#[test]
fn markdown_has_the_figures_first_and_the_rest_folded() {
    let spotler = Spotler::open();
    let repo = changed(&spotler);
    let json = repo.plan().json();
    let shown = repo
        .run(&[&["plan", "--format", "markdown"], &NOW[..]].concat())
        .exits(0);
    insta::assert_snapshot!("markdown", stable(&shown.stdout, &json));
}

#[test]
fn a_diff_shows_the_rosters_before_and_after() {
    let spotler = Spotler::open();
    let repo = changed(&spotler);
    let json = repo.plan().json();
    let shown = repo.run(&["plan", "--diff"]).exits(0);
    insta::assert_snapshot!("diff", stable(&shown.stdout, &json));
    assert!(
        shown.stderr.contains("Plan: 3 to trigger, 2 to stop"),
        "{}",
        shown.stderr
    );
    assert_eq!(repo.run(&["plan", "--diff", "--quiet"]).exits(0).stderr, "");
    let coloured = repo.run(&["plan", "--diff", "--color", "always"]).exits(0);
    assert!(
        coloured.stdout.contains("\u{1b}[31m-c-03  customers"),
        "{:?}",
        coloured.stdout
    );
    repo.run(&["plan", "--diff", "--format", "json"]).exits(1);
    let part = repo.run(&["plan", "--diff", "--contact", "c-05"]).exits(0);
    let lines: Vec<_> = part.stdout.lines().skip(2).collect();
    assert_eq!(lines, ["@@ -1 +1 @@", "-c-05  customers", "+c-05  winback"]);
    repo.apply().exits(0);
    assert_eq!(repo.run(&["plan", "--diff"]).exits(0).stdout, "");
}

/// Applies a unified diff to the lines of a text.
fn patched(old: &[String], diff: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut next = 0;
    for line in diff.lines().skip(2) {
        if let Some(rest) = line.strip_prefix("@@ -") {
            let start = rest
                .split([',', ' '])
                .next()
                .unwrap()
                .parse::<usize>()
                .unwrap();
            let none = rest.split(' ').next().unwrap().ends_with(",0");
            let to = if none { start } else { start - 1 };
            out.extend_from_slice(&old[next..to]);
            next = to;
            continue;
        }
        let (sign, text) = line.split_at(1);
        if sign != "+" {
            assert_eq!(old[next], text);
            next += 1;
        }
        if sign != "-" {
            out.push(text.to_owned());
        }
    }
    out.extend_from_slice(&old[next..]);
    out
}

#[test]
fn a_diff_takes_the_record_to_what_an_apply_makes_of_it() {
    let spotler = Spotler::open();
    let repo = changed(&spotler);
    let running = || -> Vec<String> {
        let list = repo.run(&["record", "list", "--format", "json"]).json();
        let list = list["participations"].as_array().unwrap().iter();
        let list = list.filter(|p| ["active", "uncertain"].contains(&p["state"].as_str().unwrap()));
        list.map(|p| {
            format!(
                "{}  {}",
                p["contact"].as_str().unwrap(),
                p["automation"].as_str().unwrap()
            )
        })
        .collect()
    };
    let before = running();
    let diff = repo.run(&["plan", "--diff"]).exits(0).stdout;
    repo.apply().exits(0);
    let mut after = running();
    after.sort();
    assert_eq!(patched(&before, &diff), after);
}

/// What might be taken for markup, in ids that are allowed.
const HOSTILE: [&str; 13] = [
    "@all",
    "```",
    "`````` x",
    "</details>",
    "<script>alert(1)</script>",
    "[a](https://example.com)",
    "![a](https://example.com/b.png)",
    "https://example.com",
    "a|b|c",
    "#1 !2 ~3 $4",
    "/close",
    "&lt;b&gt; *x* _y_ ~~z~~",
    "--- \\` \\",
];

#[test]
fn nothing_that_an_id_holds_is_markup_in_a_comment() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "").replace("customers", "a|b`c<b>@all"));
    repo.write("rollcall.toml", {
        let toml = config(&spotler.url(), "");
        let toml = toml.replace("[automation.customers]", "[automation.\"a|b`c<b>@all\"]");
        toml.replace("\"customers\"", "\"a|b`c<b>@all\"")
    });
    repo.write("crm.csv", crm(HOSTILE.map(|id| (id, "customer"))));
    let text = repo.run(&["plan", "--format", "markdown"]).exits(0).stdout;
    // Outside blocks and spans of code stands nothing but what is the same for every plan.
    let (mut is_code, mut outside) = (false, String::new());
    let mut inside = 0;
    for line in text.lines() {
        if line.starts_with("```") {
            assert!(["```diff", "```text", "```"].contains(&line), "{line}");
            is_code = !is_code;
        } else if is_code {
            assert!(line.starts_with(['+', '-', '!', '~']), "{line}");
            inside += 1;
        } else {
            let spans = line.split('`').enumerate();
            outside.extend(spans.filter(|(n, _)| n % 2 == 0).map(|(_, text)| text));
            outside.push('\n');
        }
    }
    assert!(!is_code);
    assert_eq!(inside, HOSTILE.len());
    for word in ["@", "example", "script", "close", "|b", "<b"] {
        assert!(!outside.contains(word), "{outside}");
    }
    assert!(
        text.contains(r"| `a\u{7c}b\u{60}c<b>@all` | 13 |"),
        "{text}"
    );
}

#[test]
fn a_comment_is_never_too_long_and_counts_what_it_leaves_out() {
    let spotler = Spotler::open();
    let mut toml = config(&spotler.url(), "[guard]\nmax_triggers = 1");
    for n in 0..600 {
        toml.push_str(&format!(
            "[automation.\"{}-{n}\"]\ntrigger_code = \"0b8f9a52-6d0c-4f1c-8f53-{n:012}\"\nmax_triggers = 0\n",
            "é".repeat(40)
        ));
        toml.push_str(&format!(
            "[[enrol]]\nautomation = \"{}-{n}\"\ncontacts = [\"x\"]\n",
            "é".repeat(40)
        ));
    }
    let repo = Repo::with(&toml);
    let long = "😀".repeat(250);
    let rows = (0..3000).map(|n| (format!("{long}-{n}"), "customer"));
    repo.write("crm.csv", crm(rows));
    let done = repo.run(&["plan", "--format", "markdown"]).exits(0);
    let length = done.stdout.encode_utf16().count();
    assert!((50_000..=65_536).contains(&length), "{length}");
    let fences = done.stdout.lines().filter(|line| line.starts_with("```"));
    assert_eq!(fences.count() % 2, 0);
    assert!(done.stdout.ends_with(".\n") && done.stdout.contains("record serial"));
    let shown = done
        .stdout
        .lines()
        .filter(|line| line.starts_with("+ "))
        .count();
    assert!(shown > 20);
    let left = 3600 - shown;
    let more = format!(
        "… and {},{:03} more; `rollcall plan --all` shows all.",
        left / 1000,
        left % 1000
    );
    assert!(done.stdout.contains(&more), "{more}");
    assert!(done.stdout.contains("more automations.") || done.stdout.contains("more automation."));
}

#[test]
fn a_page_holds_every_action_and_nothing_that_leaves_its_place() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "[guard]\nmax_triggers = 1"));
    let ids = HOSTILE
        .into_iter()
        .chain(["</script><img src=x onerror=alert(1)>"]);
    repo.write("crm.csv", crm(ids.map(|id| (id, "customer"))));
    let page = repo.run(&["plan", "--format", "html"]).exits(0).stdout;
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert_eq!(page.matches("</script>").count(), 2);
    for tag in ["<img", "<link", "<a ", "<b>", "<iframe"] {
        assert!(!page.contains(tag), "{tag}");
    }
    let (_, rest) = page
        .split_once("<script type=\"application/json\" id=\"rows\">")
        .unwrap();
    let data: Value = serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap();
    let actions = repo.plan().json();
    let wanted: Vec<_> = actions["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["contact"].as_str().unwrap())
        .collect();
    let found: Vec<_> = data["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[1].as_str().unwrap())
        .collect();
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(*found, wanted);
    }
    assert!(page.contains("The guard refuses to apply this plan"));
}

/// What is a contract with programs: every key, in this order.
#[test]
fn the_json_of_plan_and_apply_is_as_it_was() {
    let spotler = Spotler::open();
    let repo = changed(&spotler);
    let plan = repo
        .run(&[&["plan", "--format", "json"], &NOW[..]].concat())
        .exits(0);
    let document = plan.json();
    insta::assert_snapshot!("plan.json", stable(&plan.stdout, &document));
    spotler.fault(json!([{ "fault": "error-after", "contact": "c-11" }]));
    let applied = repo
        .run(&[&["apply", "--yes", "--format", "json"], &NOW[..]].concat())
        .exits(3);
    insta::assert_snapshot!("apply.json", stable(&applied.stdout, &document));
}

#[test]
fn deferred_and_let_go_are_keys_of_their_own_where_there_are_any() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), ""));
    repo.write("crm.csv", crm([("c-1", "customer")]));
    repo.apply().exits(0);
    let window = "[window]\ntriggers = \"Mon-Fri 08:00-18:00 UTC\"";
    let toml = config(&spotler.url(), window);
    repo.write(
        "rollcall.toml",
        toml.replace(
            "[automation.winback]",
            "on_leave = \"keep\"\n[automation.winback]",
        ),
    );
    repo.write("crm.csv", crm([("c-1", "gone")]));
    let at = ["--now", "2026-11-22T09:00:00Z"];
    let run = |args: &[&str]| repo.run(&[args, &at].concat()).exits(0).stdout;
    let plan = run(&["plan", "--format", "json"]);
    let document: Value = serde_json::from_str(&plan).unwrap();
    insta::assert_snapshot!("waiting.json", stable(&plan, &document));
    insta::assert_snapshot!(
        "waiting.md",
        stable(&run(&["plan", "--format", "markdown"]), &document)
    );
    insta::assert_snapshot!("waiting.diff", stable(&run(&["plan", "--diff"]), &document));
}

/// Every exit code of the contract, by a command that ends with it.
#[test]
fn the_exit_codes_are_as_they_were() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "[guard]\nmax_triggers = 2"));
    repo.write(
        "crm.csv",
        crm([("c-1", "customer"), ("c-2", "customer"), ("c-3", "gone")]),
    );
    let ends = |args: &[&str], code| drop(repo.run(args).exits(code));
    ends(&["validate"], 0);
    ends(&["plan"], 0);
    ends(&["plan", "--detailed-exitcode"], 2);
    for format in ["text", "json", "markdown", "html"] {
        ends(&["plan", "--detailed-exitcode", "--format", format], 2);
    }
    ends(&["plan", "--detailed-exitcode", "--diff"], 2);
    ends(&["plan", "--format", "yaml"], 1);
    ends(&["apply", "--yes"], 4);
    ends(&["apply"], 4);
    ends(&["apply", "--allow-large"], 1);
    spotler.fault(json!([{ "fault": "reset-after", "contact": "c-1" }]));
    ends(&["apply", "--yes", "--allow-large"], 3);
    spotler.fault(json!([]));
    ends(&["apply", "--yes"], 0);
    ends(&["plan", "--detailed-exitcode"], 0);
    ends(&["no-such-command"], 1);
    fs::remove_file(repo.file("crm.csv")).unwrap();
    ends(&["plan", "--detailed-exitcode"], 1);
}

/// Two plans of the same moment are the same to the byte in every format, whoever reads them.
#[test]
fn every_format_gives_the_same_bytes_again() {
    let spotler = Spotler::open();
    let repo = changed(&spotler);
    let mut all: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for _ in 0..2 {
        for format in ["text", "json", "markdown", "html"] {
            let mut command = repo.command(&[&["plan", "--format", format], &NOW[..]].concat());
            let output = command.stderr(Stdio::null()).output().unwrap().stdout;
            let before = all.insert(format, output.clone());
            assert!(before.is_none_or(|before| before == output), "{format}");
        }
    }
}

#[test]
fn what_a_lost_record_looks_like_is_said_in_every_view() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), ""));
    repo.write("crm.csv", crm([("c-1", "customer")]));
    let says = |format: &str| {
        let plan = repo.run(&["plan", "--format", format]).exits(0);
        plan.stdout
            .contains("There is no record yet: everybody who is declared counts as new.")
    };
    assert!(says("markdown") && says("html"));
    repo.apply().exits(0);
    repo.write("crm.csv", crm([("c-1", "customer"), ("c-2", "customer")]));
    assert!(!says("markdown") && !says("html"));
}

#[test]
fn a_program_reads_why_the_guard_refused() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "[guard]\nmax_triggers = 0"));
    repo.write("crm.csv", crm([("c-1", "customer")]));
    let refused = repo.apply().exits(4);
    assert_eq!(refused.actions(), ["trigger customers c-1 -> not-sent"]);
    let guard = &refused.json()["guard"];
    assert_eq!(guard["refused"], true);
    assert_eq!(guard["reasons"].as_array().unwrap().len(), 1);
    assert_eq!(spotler.calls(), 0);
}
