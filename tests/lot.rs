//! Lots: a part of all contacts, drawn by a name and the contact's id; who is in is not asked again.

mod common;

use common::{Repo, Spotler};

/// A configuration with these blocks: an automation, its lot, and what else is in the block.
fn config(spotler: &Spotler, blocks: &[(&str, &str)]) -> String {
    let automations =
        ["a", "b"].map(|name| format!("[automation.{name}]\ntrigger_code = \"code-{name}\"\n"));
    let blocks = blocks.iter().map(|(automation, lot)| {
        format!("[[enrol]]\nautomation = {automation:?}\nsource = \"crm\"\nlot = {{ name = \"test\", {lot} }}\n")
    });
    format!(
        "[spotler]\nbase_url = {:?}\nrate = \"10000/s\"\n[guard]\nmax_stops = \"100%\"\n{}\n[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n{}",
        spotler.url(),
        automations.concat(),
        blocks.collect::<String>()
    )
}

const COUNT: usize = 200;

fn repo(config: &str) -> Repo {
    let repo = Repo::with(config);
    let rows = (0..COUNT).map(|n| format!("c-{n:03}\n"));
    repo.write("crm.csv", format!("id\n{}", rows.collect::<String>()));
    repo
}

/// Who is in an automation, by the record.
fn of(repo: &Repo, automation: &str) -> Vec<String> {
    let recorded = repo.recorded().into_iter();
    let active = recorded.filter_map(|line| {
        let contact = line.strip_prefix(automation)?.strip_suffix(" active")?;
        Some(contact.trim().to_owned())
    });
    active.collect()
}

#[test]
fn two_parts_are_a_test_and_what_is_between_them_the_control_group() {
    let spotler = Spotler::open();
    let parts = [
        ("a", "from = \"0%\", to = \"45%\""),
        ("b", "from = \"45%\", to = \"90%\""),
    ];
    let repo = repo(&config(&spotler, &parts));
    repo.apply().exits(0);
    let (a, b) = (of(&repo, "a"), of(&repo, "b"));
    let left_out = repo.run(&[
        "roster",
        "--left-out",
        "lot",
        "--automation",
        "a",
        "--format",
        "json",
    ]);
    let left_out = left_out.exits(0).json()["left_out"].clone();
    let left_out = left_out.as_array().unwrap();
    assert_eq!(a.len() + b.len() + left_out.len(), COUNT);
    assert!(a.len() > 60 && b.len() > 60 && (5..40).contains(&left_out.len()));
    assert_eq!(left_out[0]["left_out"]["by"], "lot");
    let contact = left_out[0]["contact"].as_str().unwrap();
    let explained = repo.run(&["explain", contact]).exits(0).stdout;
    assert!(explained.contains("wanted 45% to 90%"), "{explained}");
}

/// All who are below a bound are to be in a, and the others in b.
fn two_parts(spotler: &Spotler, bound: &str) -> String {
    let a = format!("from = \"0%\", to = {bound:?}");
    let b = format!("from = {bound:?}, to = \"100%\"");
    config(spotler, &[("a", &a), ("b", &b)])
}

#[test]
fn to_change_a_part_moves_nobody() {
    let spotler = Spotler::open();
    let parts = |bound: &str| two_parts(&spotler, bound);
    let repo = repo(&parts("50%"));
    repo.apply().exits(0);
    let before = of(&repo, "a");
    for bound in ["1%", "99%"] {
        repo.write("rollcall.toml", parts(bound));
        let plan = repo.plan();
        assert!(plan.actions().is_empty(), "{bound}");
        assert_eq!(plan.json()["summary"]["unchanged"], COUNT);
    }
    repo.write("rollcall.toml", parts("1%"));
    let gone = &before[0];
    let explained = repo.run(&["explain", gone, "--format", "json"]).exits(0);
    let b = &explained.json()["automations"][1];
    assert_eq!((&b["automation"], &b["in"]), (&"b".into(), &false.into()));
    let reason = "in a under another part of lot test, and so in no other part";
    assert_eq!(b["blocks"][0]["reasons"][0], reason);
    // Who goes and comes back draws by the new parts.
    let rows = std::fs::read_to_string(repo.file("crm.csv")).unwrap();
    repo.write("crm.csv", rows.replace(&format!("{gone}\n"), ""));
    repo.apply().exits(0);
    repo.write("crm.csv", rows);
    assert_eq!(repo.plan().actions(), [format!("trigger b {gone}")]);
}

#[test]
fn parts_that_overlap_are_an_error_and_the_same_part_is_shared() {
    let spotler = Spotler::open();
    let check = |other: &str| {
        let parts = [("a", "from = \"0%\", to = \"50%\""), ("b", other)];
        repo(&config(&spotler, &parts)).run(&["validate"])
    };
    check("from = \"0%\", to = \"50%\"").exits(0);
    check("from = \"50%\", to = \"100%\"").exits(0);
    let overlap = check("from = \"49.9%\", to = \"100%\"").exits(1);
    assert!(
        overlap.stderr.contains("two parts of lot test overlap"),
        "{}",
        overlap.stderr
    );
    check("from = \"60%\", to = \"60%\"").exits(1);
    check("from = \"60%\", to = \"101%\"").exits(1);
}

#[test]
fn a_block_without_a_lot_takes_whoever_is_in_under_another_part() {
    let spotler = Spotler::open();
    let parts = [
        ("a", "from = \"0%\", to = \"50%\""),
        ("b", "from = \"50%\", to = \"100%\""),
    ];
    let lots = config(&spotler, &parts);
    let repo = repo(&lots);
    repo.apply().exits(0);
    let moved = lots.replace("50%", "1%");
    let all = "[[enrol]]\nautomation = \"b\"\nsource = \"crm\"\n";
    repo.write("rollcall.toml", moved.clone() + all);
    assert_eq!(
        repo.plan().json()["summary"]["trigger"],
        of(&repo, "a").len()
    );
    repo.write("rollcall.toml", moved);
    assert!(repo.plan().actions().is_empty());
}

#[test]
fn whom_a_lot_leaves_out_is_not_withheld() {
    let spotler = Spotler::open();
    let parts = |bound: &str| two_parts(&spotler, bound);
    let repo = repo(&parts("50%"));
    repo.apply().exits(0);
    let contact = &of(&repo, "a")[0];
    let suppressed =
        |of: &str| format!("[[suppress]]\ncontacts = [{contact:?}]\nautomation = {of:?}\n");
    // In a, and so in no other part: nothing would be triggered in b without the suppression either.
    repo.write("rollcall.toml", parts("1%") + &suppressed("b"));
    let plan = repo.plan().json();
    assert_eq!(
        (
            plan["held"].to_string().as_str(),
            &plan["summary"]["unchanged"]
        ),
        ("[]", &COUNT.into())
    );
    // Who is suppressed in a does not stay there, whatever `leave_after` says, and draws by the new parts.
    let later = parts("1%").replace("code-a\"", "code-a\"\nleave_after = \"48h\"");
    repo.write("rollcall.toml", later + &suppressed("a"));
    let moved = [format!("stop a {contact}"), format!("trigger b {contact}")];
    assert_eq!(repo.plan().actions(), moved);
}
