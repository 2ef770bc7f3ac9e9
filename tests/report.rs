//! The page about the record: its figures are those of the record, whatever is on it, and nobody is named in it.

mod common;

use std::fs;

use common::broken::History;
use common::{Repo, Spotler};
use serde_json::json;

const CONFIG: &str = r#"
[spotler]
base_url = "sandbox"
rate = "100000/s"
[source.crm]
csv = "crm.csv"
contact = "id"
[guard]
max_stops = "100%"
[automation.customers]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"
[[enrol]]
automation = "customers"
source = "crm"
where.status = "customer"
"#;

/// A repository with these contacts as customers.
fn repo(toml: &str, range: std::ops::Range<u32>) -> Repo {
    let repo = Repo::with(toml);
    customers(&repo, range);
    repo
}

fn customers(repo: &Repo, range: std::ops::Range<u32>) {
    let rows: String = range.map(|n| format!("person-{n:02},customer\n")).collect();
    repo.write("crm.csv", format!("id,status\n{rows}"));
}

#[track_caller]
fn report(repo: &Repo, args: &[&str]) -> String {
    let done = repo
        .run(&[&["report", "--html", "report.html"], args].concat())
        .exits(0);
    assert_eq!(done.stdout, "");
    let page = fs::read_to_string(repo.file("report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    for word in ["<script", "http:", "https:", "url(", "person-"] {
        assert!(!page.contains(word), "{word}");
    }
    page
}

/// The cells of the tables and of the figures at the head of a page, a row a line.
fn told(page: &str) -> Vec<String> {
    let rows = page.split("<tr>").skip(1);
    let rows = rows.filter_map(|row| Some(row.split_once("</tr>")?.0));
    let facts = page.split("<dl").nth(1).unwrap().split("</dl>").next();
    let facts = facts.unwrap().split("<div>").skip(1);
    let texts = facts.chain(rows).map(|row| {
        let cells = row.split('>').map(|part| part.split('<').next().unwrap());
        let cells: Vec<_> = cells.filter(|cell| !cell.trim().is_empty()).collect();
        cells.join(" | ")
    });
    texts.collect()
}

/// What an automation's curve says in words.
fn curve(page: &str, automation: &str) -> String {
    let start = format!("aria-label=\"{automation}: ");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("{page}"));
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn a_record_that_is_not_there_yet_has_a_page_too() {
    let repo = repo(CONFIG, 0..1);
    let page = report(&repo, &[]);
    assert!(page.contains("Nothing is on record yet."), "{page}");
    assert!(!repo.has_state(), "to read makes no record");
    // A record on which nothing is.
    customers(&repo, 0..0);
    repo.apply().exits(0);
    let page = report(&repo, &[]);
    assert!(page.contains("Nothing was sent."), "{page}");
    assert!(page.contains("All participations are as they should be."));
}

#[test]
fn the_figures_are_those_of_the_record() {
    let spotler = Spotler::open();
    let toml = CONFIG.replace("\"sandbox\"", &format!("{:?}", spotler.url()));
    let repo = repo(&toml, 0..20);
    spotler.fault(json!([
        { "fault": "reset-after", "contact": "person-03" },
        { "fault": "error-before", "contact": "person-04" },
    ]));
    repo.apply().exits(3);
    spotler.fault(json!([]));
    // Five leave, and come back.
    customers(&repo, 0..15);
    repo.apply().exits(0);
    customers(&repo, 0..20);
    repo.apply().exits(0);
    let page = report(&repo, &[]);
    let active = repo.recorded();
    let active = active
        .iter()
        .filter(|line| line.ends_with(" active") || line.ends_with(" uncertain"));
    let active = active.count();
    let told = told(&page);
    assert_eq!(told[0], format!("Active, or in doubt, now | {active}"));
    assert!(curve(&page, "customers").contains(&format!(", {active} on ")));
    let history = repo.run(&["history", "--format", "json"]).json();
    let calls = history["calls"].as_array().unwrap();
    let of = |kind: &str, outcome: &str| {
        let found = calls.iter();
        let found = found.filter(|call| call["call"] == kind && call["outcome"] == outcome);
        found.count().to_string()
    };
    let started = of("trigger", "active");
    assert!(told[1].ends_with(&format!(" | {started}")), "{told:?}");
    assert!(told[2].ends_with(" | 5"), "{told:?}");
    let day = told
        .iter()
        .find(|row| row.split(" | ").count() == 6 && row.starts_with("20"));
    let numbers: Vec<_> = day.unwrap().split(" | ").skip(1).collect();
    let not_started = calls.len()
        - [&started, "5"]
            .map(|n| n.parse().unwrap())
            .iter()
            .sum::<usize>();
    let uncertain: usize = of("trigger", "uncertain").parse().unwrap();
    assert_eq!(
        numbers,
        [
            started.as_str(),
            &(not_started - uncertain).to_string(),
            &uncertain.to_string(),
            "5",
            "0"
        ]
    );
    // Three runs, the last one first.
    let runs = told.iter().filter(|row| row.contains(" | apply | "));
    assert_eq!(runs.count(), 3, "{told:?}");
}

/// A record as Rollcall makes it, without anything on it.
fn empty_record() -> (Repo, History) {
    let repo = repo(CONFIG, 0..1);
    repo.apply().exits(0);
    let history = History::empty(&repo);
    (repo, history)
}

/// How many ran at the end of each day, from the points of a curve.
fn heights(page: &str) -> Vec<u64> {
    let points = page.split("class=\"line\" points=\"").nth(1).unwrap();
    let points = points.split('"').next().unwrap().split(' ');
    let heights =
        points.map(|point| 100 - point.split(',').nth(1).unwrap().parse::<u64>().unwrap());
    heights.collect()
}

#[test]
fn a_participation_counts_from_its_trigger_to_its_end_each_time_that_it_ran() {
    let (repo, history) = empty_record();
    let day = |n: u32| format!("2026-11-{n:02}T10:00:00Z");
    // Runs all the time.
    history.called("trigger", "person-a", &day(1), Some("active"));
    history.stands("person-a", "active", &day(1), &day(1));
    // Ran from the 3rd to the 5th, and from the 8th on; a stop in between that found nothing changes nothing.
    history.called("trigger", "person-b", &day(3), Some("active"));
    history.called("stop", "person-b", &day(4), Some("stop-failed"));
    history.called("stop", "person-b", &day(5), Some("stopped"));
    history.called("stop", "person-b", &day(6), Some("stopped"));
    history.called("trigger", "person-b", &day(8), Some("uncertain"));
    history.stands("person-b", "uncertain", &day(8), &day(8));
    // Ran from the 2nd to the 4th; then a trigger failed.
    history.called("trigger", "person-c", &day(2), Some("active"));
    history.called("stop", "person-c", &day(4), Some("stopped"));
    history.called("trigger", "person-c", &day(7), Some("failed"));
    history.stands("person-c", "failed", &day(7), &day(7));
    // Never ran.
    history.called("trigger", "person-d", &day(2), Some("failed-for-good"));
    history.stands("person-d", "failed-for-good", &day(2), &day(2));
    // Ran on the 6th alone, until let go.
    history.called("trigger", "person-e", &day(6), Some("active"));
    history.stands("person-e", "let-go", &day(6), &day(9));
    // Runs on while it could not be stopped.
    history.called("trigger", "person-f", &day(9), Some("active"));
    history.called("stop", "person-f", &day(10), Some("stop-failed"));
    history.stands("person-f", "stop-failed", &day(9), &day(10));
    // Its trigger is under way.
    history.called("trigger", "person-g", &day(10), None);
    let page = report(&repo, &["--now", "2026-11-10T12:00:00Z", "--days", "10"]);
    let most = 3.0;
    let counts = heights(&page)
        .into_iter()
        .map(|height| (height as f64 * most / 100.0) as u64);
    //                                        1  2  3  4  5  6  7  8  9  10
    assert_eq!(counts.collect::<Vec<_>>(), [1, 2, 3, 2, 1, 2, 2, 3, 3, 3]);
    assert_eq!(
        curve(&page, "customers"),
        "1 on 2026-11-01, 3 on 2026-11-10, at the most 3"
    );
    let told = told(&page);
    let trouble = |state: &str| {
        told.iter()
            .any(|row| row.starts_with(&format!("customers | {state} |")))
    };
    for state in ["failed", "failed-for-good", "uncertain", "stop-failed"] {
        assert!(trouble(state), "{state}: {told:?}");
    }
    assert!(page.contains("no answer is on record yet, or its run ended early"));
    // As it was on the 4th, and from the 4th on.
    let then = report(&repo, &["--now", "2026-11-04T12:00:00Z", "--days", "4"]);
    assert_eq!(
        curve(&then, "customers"),
        "1 on 2026-11-01, 2 on 2026-11-04, at the most 3"
    );
    let later = report(&repo, &["--now", "2026-11-10T12:00:00Z", "--days", "7"]);
    assert_eq!(
        curve(&later, "customers"),
        "2 on 2026-11-04, 3 on 2026-11-10, at the most 3"
    );
}

#[test]
fn three_years_are_one_page() {
    let (repo, history) = empty_record();
    history.three_years("2023-11-20T09:00:00Z");
    let now = ["--now", "2026-08-16T09:00:00Z"];
    let page = report(&repo, &now);
    assert!(
        page.contains("From 2026-05-19 to 2026-08-16 09:00"),
        "{page}"
    );
    // Two more a day, one of which goes again: what is older is in the first day.
    let words = curve(&page, "customers");
    assert_eq!(
        words,
        "1,012 on 2026-05-19, 1,100 on 2026-08-16, at the most 1,100"
    );
    let all = report(&repo, &[&now[..], &["--days", "3660"]].concat());
    assert!(
        all.contains("From 2023-11-14 to 2026-08-16"),
        "begins as the record does"
    );
    assert_eq!(told(&all)[1], "Triggered since 2023-11-14 | 2,000");
    assert!(all.len() < 1_000_000, "{}", all.len());
}

#[test]
fn a_report_that_cannot_be_written_leaves_the_old_one() {
    let repo = repo(CONFIG, 0..3);
    repo.apply().exits(0);
    report(&repo, &[]);
    let before = fs::read(repo.file("report.html")).unwrap();
    fs::write(repo.file("state/rollcall.db"), "not a record").unwrap();
    let done = repo.run(&["report", "--html", "report.html"]).exits(1);
    assert!(
        done.stderr.contains("No report was written"),
        "{}",
        done.stderr
    );
    assert_eq!(fs::read(repo.file("report.html")).unwrap(), before);
    let done = repo
        .run(&["report", "--html", "no/such/folder.html"])
        .exits(1);
    assert!(
        done.stderr.contains("no/such/folder.html"),
        "{}",
        done.stderr
    );
    repo.run(&["report"]).exits(1);
    repo.run(&["report", "--html", "x.html", "--days", "1"])
        .exits(1);
}
