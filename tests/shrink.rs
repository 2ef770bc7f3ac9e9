//! A source that lost its rows is refused, and how many it had is on record, in older records too.

mod common;

use common::{Repo, Spotler};

fn config(url: &str, max_shrink: &str) -> String {
    format!(
        "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\n[automation.welcome]\n\
         trigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\n[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
         {max_shrink}\n[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhere.status = \"new\"\n"
    )
}

/// So many rows, of which two are enrolled.
fn rows(count: usize) -> String {
    let rows = (1..=count).map(|n| format!("c-{n},{}\n", if n <= 2 { "new" } else { "old" }));
    format!("id,status\n{}", rows.collect::<String>())
}

#[test]
fn a_source_that_lost_its_rows_is_refused_and_nothing_is_planned_from_it() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "max_shrink = \"30%\""));
    repo.write("crm.csv", rows(10));
    repo.apply().exits(0);
    // To the row: three of ten are 30%, and may go.
    repo.write("crm.csv", rows(7));
    repo.plan();
    repo.write("crm.csv", rows(6));
    for args in [&["plan"][..], &["apply", "--yes"]] {
        let done = repo.run(args).exits(1);
        let says = "source crm has 6 rows, and had 10 at the last apply (";
        assert!(done.stderr.contains(says), "{}", done.stderr);
        let says = "40.0% fewer, which is more than max_shrink = 30% allows";
        let plain = done.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(plain.replace("│ ", "").contains(says), "{}", done.stderr);
        assert!(done.stderr.contains("rollcall.toml:9"), "{}", done.stderr);
        assert!(plain.contains("--allow-shrink crm"), "{}", done.stderr);
    }
    repo.run(&["validate"]).exits(0);
    repo.run(&["plan", "--allow-shrink", "crmm"]).exits(1);
    repo.run(&["plan", "--allow-shrink", "crm"]).exits(0);
    // Nothing is to be done; it is noted all the same, and then it is right.
    repo.run(&["apply", "--yes", "--allow-shrink", "crm"])
        .exits(0);
    repo.plan();
    assert_eq!(spotler.calls(), 2);
}

#[test]
fn an_apply_with_nothing_to_do_notes_the_rows_too() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "max_shrink = \"50%\""));
    repo.write("crm.csv", rows(4));
    repo.apply().exits(0);
    repo.write("crm.csv", rows(20));
    repo.run(&["apply", "--yes", "-q"]).exits(0);
    repo.write("crm.csv", rows(9));
    repo.run(&["plan"]).exits(1);
}

#[test]
fn a_run_that_applies_nothing_notes_nothing() {
    let spotler = Spotler::open();
    let text = config(&spotler.url(), "max_shrink = \"50%\"");
    let repo = Repo::with(&text);
    repo.write("crm.csv", rows(20));
    repo.apply().exits(0);
    // Refused by the guard.
    repo.write("rollcall.toml", format!("[guard]\nmax_stops = 0\n{text}"));
    repo.write("crm.csv", rows(15).replace("new", "old"));
    repo.apply().exits(4);
    repo.write("rollcall.toml", text);
    repo.write("crm.csv", rows(9));
    let done = repo.run(&["plan"]).exits(1);
    assert!(done.stderr.contains("had 20"), "{}", done.stderr);
}

#[test]
fn an_older_record_is_migrated_and_keeps_all() {
    let spotler = Spotler::open();
    let repo = Repo::with(&config(&spotler.url(), "max_shrink = \"30%\""));
    repo.write("crm.csv", rows(10));
    repo.apply().exits(0);
    repo.write("crm.csv", rows(10).replace("c-1,new", "c-1,old"));
    repo.apply().exits(0);
    let all = |repo: &Repo| {
        let history = repo.run(&["history", "--format", "json"]).exits(0).stdout;
        let serial = repo.plan().json()["record_serial"].clone();
        (
            repo.run(&["record", "export"]).exits(0).stdout,
            history,
            serial,
        )
    };
    let before = all(&repo);
    repo.make_older(1);
    // Nothing is known of the source: it is not refused, and noted by the next apply.
    repo.write("crm.csv", rows(2).replace("c-1,new", "c-1,old"));
    assert_eq!(all(&repo), before);
    repo.apply().exits(0);
    repo.write("crm.csv", rows(1).replace("c-1,new", "c-1,old"));
    let done = repo.run(&["plan"]).exits(1);
    assert!(done.stderr.contains("had 2"), "{}", done.stderr);
    assert_eq!(spotler.calls(), 3);
}
