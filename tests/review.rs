//! What a review of a change shows: numbers that name nobody, the first of many, and a reason once.

mod common;

use common::Repo;

const CONFIG: &str = r#"
[spotler]
base_url = "sandbox"
[source.crm]
csv = "crm.csv"
contact = "id"
[automation.welcome]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"
[automation.winback]
trigger_code = "1b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"
[[enrol]]
automation = "welcome"
source = "crm"
where.status = "prospect"
[[enrol]]
automation = "winback"
source = "crm"
where.status = "gone"
"#;

/// A repository of prospects, and one who is gone.
fn prospects(count: u32) -> Repo {
    let repo = Repo::with(CONFIG);
    let rows: String = (0..count)
        .map(|n| format!("crm-{n:03},prospect\n"))
        .collect();
    repo.write("crm.csv", format!("id,status\n{rows}crm-gone,gone\n"));
    repo
}

/// Asserts that a run shows no contact and no cell, in either stream.
#[track_caller]
fn names_nobody(done: &common::Done) {
    for text in [&done.stdout, &done.stderr] {
        assert!(!text.contains("crm-"), "{text}");
        assert!(!text.contains("prospect"), "{text}");
    }
}

#[test]
fn a_summary_names_nobody_in_any_format() {
    let repo = prospects(30);
    repo.run(&["apply", "--yes"]).exits(0);
    repo.write(
        "crm.csv",
        "id,status\ncrm-000,prospect\ncrm-1042,gone\nCRM-GONE,gone\n",
    );
    for format in ["text", "json", "markdown", "html"] {
        for more in [
            &["-v"][..],
            &["--log-format", "json"],
            &["--contact", "nobody"],
        ] {
            let args = [&["plan", "--summary", "--format", format], more].concat();
            let done = repo.run(&args).exits(0);
            names_nobody(&done);
            if more != ["--contact", "nobody"] {
                assert!(done.stdout.contains("winback"), "{}", done.stdout);
            }
        }
    }
    let json = repo
        .run(&["plan", "--summary", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(json["summary"]["trigger"], 2);
    assert_eq!(json["automations"][0]["automation"], "welcome");
    assert_eq!(json["automations"][0]["stop"], 29);
    assert_eq!(json["guard"]["refused"], true);
    assert!(json.get("actions").is_none(), "{json}");
    // The one who is written differently is named without it.
    let text = repo.run(&["plan"]).exits(0).stdout;
    assert!(text.contains("CRM-GONE is on record as crm-gone"), "{text}");
}

#[test]
fn a_summary_says_of_problems_how_many_there_are_and_where() {
    let repo = prospects(1);
    let numbers =
        "[[enrol]]\nautomation = \"winback\"\nsource = \"crm\"\nwhere.status = { min = 3 }\n";
    let contact = "[[enrol]]\nautomation = \"welcome\"\ncontacts = [\"crm-1\", 7]\n";
    for (more, place) in [(numbers, "1 problem"), (contact, "rollcall.toml:21")] {
        repo.write("rollcall.toml", format!("{CONFIG}{more}"));
        for log in ["text", "json"] {
            let done = repo
                .run(&["plan", "--summary", "--log-format", log])
                .exits(1);
            names_nobody(&done);
            assert_eq!(done.stdout, "");
            assert!(done.stderr.contains(place), "{}", done.stderr);
        }
    }
    // A warning of how an id is written.
    repo.write("rollcall.toml", CONFIG);
    repo.write("crm.csv", "id,status\n#N/A,prospect\n");
    let done = repo.run(&["plan", "--summary"]).exits(0);
    names_nobody(&done);
    assert!(done.stderr.contains("1 warning"), "{}", done.stderr);
    assert!(!done.stderr.contains("#N/A"), "{}", done.stderr);
}

#[test]
fn a_long_plan_shows_the_first_twenty_of_each_automation_and_kind() {
    let repo = prospects(332);
    let done = repo.run(&["plan"]).exits(0);
    let signs = done.stdout.lines().filter(|line| line.starts_with('+'));
    assert_eq!(signs.count(), 21, "{}", done.stdout);
    assert!(
        done.stdout.contains("… and 312 more; --all shows all\n"),
        "{}",
        done.stdout
    );
    let shared = "welcome, 332 to trigger: new  (rollcall.toml:11)\n+ trigger  crm-000   welcome\n";
    assert!(done.stdout.contains(shared), "{}", done.stdout);
    assert!(
        done.stdout
            .contains("+ trigger  crm-gone  winback  new  (rollcall.toml:15)\n")
    );
    let all = repo.run(&["plan", "--all"]).exits(0).stdout;
    assert_eq!(
        all.lines().filter(|line| line.starts_with('+')).count(),
        333
    );
    assert!(!all.contains("more;"), "{all}");
    let shown = repo.run(&["apply"]).exits(1).stdout;
    assert!(
        shown.contains("… and 312 more; `rollcall plan --all` shows all\n"),
        "{shown}"
    );
    repo.run(&["plan", "--all", "--summary"]).exits(1);
}

#[test]
fn what_is_held_and_waits_is_summarised_too() {
    let repo = prospects(60);
    repo.run(&["apply", "--yes"]).exits(0);
    let leaving = CONFIG.replace(
        "[automation.welcome]\n",
        "[automation.welcome]\nleave_after = \"2d\"\n",
    );
    repo.write("rollcall.toml", leaving);
    repo.write("crm.csv", "id,status\ncrm-gone,gone\n");
    let text = repo.run(&["plan", "--now", "2036-01-01"]).exits(0).stdout;
    let held = text.lines().filter(|line| line.starts_with("! leaving"));
    assert_eq!(held.count(), 20, "{text}");
    assert!(
        text.contains("welcome, 60 leaving: not in source crm any more; "),
        "{text}"
    );
    assert!(text.contains("… and 40 more; --all shows all\n"), "{text}");
}
