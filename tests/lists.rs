//! What is read by people: `record list`, `record export`, `history`, `explain` and `validate`, in columns, in colour, and
//! in the part that was asked for.

mod common;

use common::{Repo, Spotler};
use serde_json::{Value, json};

/// A welcome that ran out for one, in doubt for another, and a customer automation with occurrences.
fn repo(spotler: &Spotler) -> Repo {
    let url = spotler.url();
    let repo = Repo::with(&format!(
        "[spotler]\nbase_url = {url:?}\n[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
         [automation.welcome]\ntrigger_code = \"3c1f6d2e-7a48-4b0d-9c55-8e2f1a6b7d10\"\n\
         [automation.product-review]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\nrepeat_by = \"order\"\n\
         [[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n\
         [[enrol]]\nautomation = \"product-review\"\nsource = \"crm\"\nwhere.order = {{ exists = true }}\n\
         [guard]\nmax_stops = \"100%\"\n"
    ));
    repo.write("crm.csv", "id,order\ncrm-1,o-1\ncrm-2,\ncrm-3-long-id,\n");
    spotler.fault(json!([{ "fault": "reset-after", "contact": "crm-2" }]));
    repo.apply().exits(3);
    spotler.fault(json!([]));
    repo.write("crm.csv", "id,order\ncrm-1,o-1\ncrm-2,\n");
    repo.apply().exits(0);
    repo
}

/// A table without its times and ids, which are others in every run.
fn cells(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines();
    let is_fixed = |word: &&str| !word.ends_with('Z') && !word.starts_with("10000");
    lines
        .map(|line| line.split_whitespace().filter(is_fixed).collect())
        .collect()
}

#[test]
fn participations_stand_in_columns_under_a_header() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    let list = repo.run(&["record", "list"]).exits(0).stdout;
    let contacts: Vec<usize> = list
        .lines()
        .map(|line| line.find("contact").or(line.find("crm-")).unwrap())
        .collect();
    assert_eq!(contacts, vec![contacts[0]; 5], "{list}");
    assert_eq!(
        cells(&list.replace("the connection broke", "\n"))[..4],
        [
            vec![
                "state",
                "since",
                "contact",
                "automation",
                "ids",
                "at",
                "Spotler",
                "detail"
            ],
            vec!["active", "crm-1", "/", "o-1", "product-review"],
            vec!["active", "crm-1", "welcome"],
            vec!["uncertain", "crm-2", "welcome"],
        ],
        "{list}"
    );
    assert!(list.lines().all(|line| line == line.trim_end()), "{list}");
    // A cron job that lists nothing sends no mail.
    let none = repo.run(&["record", "list", "--state", "let-go"]).exits(0);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", ""));
}

#[test]
fn calls_stand_in_columns_with_who_made_them() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    let shown = repo.run(&["history", "crm-3-long-id"]).exits(0).stdout;
    let rows = cells(&shown);
    assert_eq!(
        rows[0],
        [
            "sent",
            "call",
            "contact",
            "automation",
            "outcome",
            "by",
            "config",
            "revision",
            "detail"
        ]
    );
    let start = |row: &[&str]| row[..5].join(" ");
    assert_eq!(
        start(&rows[1]),
        "trigger crm-3-long-id welcome active apply"
    );
    assert_eq!(start(&rows[2]), "stop crm-3-long-id welcome stopped apply");
}

#[test]
fn states_and_outcomes_have_colours_where_they_are_wanted() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    for (args, wanted) in [
        (&["record", "list"][..], "\u{1b}[32mactive"),
        (&["record", "list"], "\u{1b}[33muncertain"),
        (&["record", "list"], "\u{1b}[2mstopped"),
        (&["history"], "\u{1b}[33muncertain"),
        (&["explain", "crm-1"], "\u{1b}[32min\u{1b}"),
        (&["explain", "crm-1"], "record: \u{1b}[32mactive"),
        (&["validate"], "\u{1b}[32mThe configuration is valid:"),
    ] {
        let coloured = [args, &["--color", "always"]].concat();
        let shown = repo.run(&coloured).exits(0).stdout;
        assert!(shown.contains(wanted), "{shown:?}");
        let plain = repo.run(args).exits(0).stdout;
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
    }
}

#[test]
fn explain_aligns_its_blocks_and_validate_its_numbers() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    let toml = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let blocks = "[[enrol]]\nautomation = \"welcome\"\ncontacts = [\"crm-9\"]\n".repeat(90);
    repo.write("rollcall.toml", toml + &blocks);
    let shown = repo.run(&["explain", "crm-2"]).exits(0).stdout;
    let reasons: Vec<_> = shown
        .lines()
        .filter_map(|line| line.find("not named"))
        .collect();
    assert!(reasons.len() > 80, "{shown}");
    assert!(reasons.iter().all(|at| *at == reasons[0]), "{shown}");
    let sizes = repo.run(&["validate"]).exits(0).stdout;
    let ends: Vec<_> = sizes.lines().skip(2).map(str::len).collect();
    assert_eq!(ends, vec![ends[0]; 3], "{sizes}");
}

fn contacts(list: &Value) -> Vec<String> {
    let rows = list.as_object().unwrap().values().next().unwrap();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| {
        format!(
            "{} {}",
            row["contact"].as_str().unwrap(),
            row["automation"].as_str().unwrap()
        )
    })
    .collect()
}

#[test]
fn a_part_can_be_asked_for() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    let ask = |command: &[&str], filter: &[&str]| {
        let args = [command, &["--format", "json"], filter].concat();
        contacts(&repo.run(&args).exits(0).json())
    };
    let (list, export) = (&["record", "list"][..], &["record", "export"][..]);
    let history = &["history"][..];
    for command in [list, export] {
        assert_eq!(ask(command, &["--state", "uncertain"]), ["crm-2 welcome"]);
        assert_eq!(
            ask(command, &["--automation", "product-review"]),
            ["crm-1 product-review"]
        );
        assert_eq!(
            ask(command, &["--limit", "2"]),
            ["crm-1 product-review", "crm-1 welcome"]
        );
        assert_eq!(ask(command, &["--since", "1d"]).len(), 4);
        assert!(ask(command, &["--since", "2999-01-01"]).is_empty());
        assert!(ask(command, &["--since", "1h", "--now", "2999-01-01"]).is_empty());
    }
    let more = repo.run(&["record", "list", "--limit", "2"]).exits(0);
    assert_eq!(more.stdout.lines().count(), 3);
    assert!(more.stderr.contains("There are more"), "{}", more.stderr);
    assert_eq!(ask(history, &["--state", "uncertain"]), ["crm-2 welcome"]);
    assert_eq!(
        ask(history, &["--automation", "product-review"]),
        ["crm-1 product-review"]
    );
    // The last ones, still the oldest first.
    assert_eq!(ask(history, &["--limit", "1"]), ["crm-3-long-id welcome"]);
    assert_eq!(ask(history, &["--since", "1d"]).len(), 5);
    assert!(ask(history, &["--since", "2999-01-01T00:00:00Z"]).is_empty());
    let csv = repo
        .run(&["record", "export", "--state", "stopped"])
        .exits(0);
    assert_eq!(csv.stdout.lines().count(), 2);
    for wrong in [["--since", "yesterday"], ["--limit", "-1"]] {
        repo.run(&[list, &wrong[..]].concat()).exits(1);
    }
}

#[test]
fn a_name_that_nobody_has_is_an_error_with_the_one_that_was_meant() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    for (args, wanted) in [
        (&["--automation", "welcom"][..], "Did you mean welcome?"),
        (&["--state", "unsertain"], "'uncertain'"),
    ] {
        for command in [&["record", "list"][..], &["record", "export"], &["history"]] {
            let said = repo.run(&[command, args].concat()).exits(1);
            assert!(said.stderr.contains(wanted), "{}", said.stderr);
            assert_eq!(said.stdout, "");
        }
    }
    let meant = "Did you mean crm-3-long-id?";
    for args in [
        &["record", "list", "--contact", "crm-3-long-di"][..],
        &["history", "crm-3-long-di"],
    ] {
        let said = repo.run(args).exits(1).stderr;
        assert!(said.contains(meant), "{said}");
    }
    // A program gets its document, as ever.
    let args = ["history", "crm-3-long-di", "--format", "json"];
    let document = repo.run(&args).exits(0);
    assert_eq!(document.json(), json!({ "calls": [] }));
    assert!(document.stderr.contains(meant), "{}", document.stderr);
    // Who is declared and was never triggered is somebody, of whom there is nothing to show.
    repo.write("crm.csv", "id,order\ncrm-1,o-1\ncrm-2,\ncrm-7,\n");
    let nothing = repo.run(&["history", "crm-7"]).exits(0);
    assert_eq!(nothing.stdout, "");
    // Where the sources cannot be read, nobody knows.
    std::fs::remove_file(repo.file("crm.csv")).unwrap();
    repo.run(&["history", "crm-8"]).exits(0);
    repo.run(&["history", "crm-1"]).exits(0);
}

#[test]
fn an_automation_that_is_gone_is_still_on_record() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    let toml = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let (before, _) = toml.split_once("[automation.product-review]").unwrap();
    let moved = "[automation.hello]\ntrigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\n[[moved]]\nfrom = \"welcome\"\nto = \"hello\"\n";
    let before = before.replace("[automation.welcome]", "[automation.other]");
    repo.write("rollcall.toml", before + moved);
    let ask = |command: &[&str], name: &str| {
        let args = [command, &["--format", "json", "--automation", name]].concat();
        contacts(&repo.run(&args).exits(0).json()).len()
    };
    assert_eq!(ask(&["record", "list"], "product-review"), 1);
    // Under the new name, also what was done under the old one.
    assert_eq!(ask(&["history"], "hello"), 4);
    assert_eq!(ask(&["history"], "welcome"), 4);
}
