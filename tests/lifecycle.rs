//! The main job: a customer becomes an ex-customer.

mod common;

use common::{Repo, Spotler};

const CONFIG: &str = r#"
[spotler]
base_url = "sandbox"
rate = "10000/s"

[automation.customer-lifecycle]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"
participation = "once-while-running"

[automation.winback]
trigger_code = "c2a4e7d0-93b1-4f6e-8a57-1d0b6e9f4c33"

[source.crm]
csv = "crm.csv"
contact = "id"

[[enrol]]
automation = "customer-lifecycle"
source = "crm"
where.status = "customer"

[[enrol]]
automation = "winback"
source = "crm"
where.status = "ex-customer"
"#;

fn repo() -> Repo {
    let repo = Repo::with(CONFIG);
    repo.write(
        "crm.csv",
        "id,status\nc-1,customer\nc-2,customer\nc-3,ex-customer\nc-4,prospect\n",
    );
    repo
}

#[test]
fn what_is_declared_is_triggered_once() {
    let repo = repo();
    let all = [
        "trigger customer-lifecycle c-1",
        "trigger customer-lifecycle c-2",
        "trigger winback c-3",
    ];
    assert_eq!(repo.plan().actions(), all);
    assert!(!repo.has_state(), "a plan writes nothing");
    repo.apply().exits(0);
    let again = repo.run(&["apply", "--yes"]).exits(0);
    assert_eq!(
        again.stdout,
        "Nothing to do. 3 participations as declared.\n"
    );
    let memory = std::fs::read_to_string(repo.file("state/rollcall.db.sandbox.jsonl")).unwrap();
    assert_eq!(memory.lines().count(), 3);
}

#[test]
fn a_customer_becomes_an_ex_customer_stop_first_with_the_reason_in_words() {
    let repo = repo();
    repo.apply().exits(0);
    let crm = std::fs::read_to_string(repo.file("crm.csv")).unwrap();
    repo.write("crm.csv", crm.replace("c-1,customer", "c-1,ex-customer"));
    let plan = repo.plan();
    assert_eq!(
        plan.actions(),
        ["stop customer-lifecycle c-1", "trigger winback c-1"]
    );
    let json = plan.json();
    assert_eq!(
        json["actions"][0]["reason"],
        "status is \"ex-customer\", wanted \"customer\""
    );
    assert_eq!(json["actions"][0]["declared_at"], serde_json::Value::Null);
    assert_eq!(json["actions"][1]["reason"], "new");
    assert_eq!(json["actions"][1]["declared_at"], "rollcall.toml:22");
    assert_eq!(
        json["summary"],
        serde_json::json!({ "trigger": 1, "stop": 1, "held": 0, "unchanged": 2 })
    );
    let applied = repo.apply().exits(0);
    assert_eq!(
        applied.actions(),
        [
            "stop customer-lifecycle c-1 -> stopped",
            "trigger winback c-1 -> active"
        ]
    );
    let memory = std::fs::read_to_string(repo.file("state/rollcall.db.sandbox.jsonl")).unwrap();
    let last: Vec<_> = memory
        .lines()
        .skip(3)
        .map(|line| line.contains("\"stop\""))
        .collect();
    assert_eq!(last, [true, false], "the stop goes first");
    assert_eq!(repo.plan().actions(), [""; 0]);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let repo = repo();
    repo.apply().exits(0);
    repo.write("crm.csv", "id,status\nc-3,customer\nc-2,ex-customer\n");
    let args = ["plan", "--format", "json", "--now", "2026-11-23T09:00:00Z"];
    let first = repo.run(&args).exits(0).stdout;
    assert!(first.contains("\"now\": \"2026-11-23T09:00:00Z\""));
    for _ in 0..5 {
        assert_eq!(repo.run(&args).stdout, first);
    }
}

#[test]
fn detailed_exitcode_tells_changes_apart() {
    let repo = repo();
    repo.run(&["plan", "--detailed-exitcode"]).exits(2);
    repo.apply().exits(0);
    repo.run(&["plan", "--detailed-exitcode"]).exits(0);
    repo.run(&["plan", "--no-such-option"]).exits(1);
    repo.run(&["--help"]).exits(0);
}

#[test]
fn a_plan_can_be_narrowed() {
    let repo = repo();
    let plan = |args: &[&str]| {
        let args = [&["plan", "--format", "json"], args].concat();
        repo.run(&args).exits(0).actions()
    };
    assert_eq!(plan(&["--automation", "winback"]), ["trigger winback c-3"]);
    assert_eq!(
        plan(&["--contact", "c-2"]),
        ["trigger customer-lifecycle c-2"]
    );
    let unknown = repo.run(&["plan", "--automation", "winbak"]).exits(1);
    assert!(
        unknown.stderr.contains("Did you mean winback?"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn without_a_terminal_apply_needs_yes() {
    let repo = repo();
    let refused = repo.run(&["apply"]).exits(1);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    assert!(!repo.has_state());
}

#[test]
fn a_suppressed_contact_is_stopped_whatever_else_says_so() {
    let repo = repo();
    repo.apply().exits(0);
    repo.write(
        "rollcall.toml",
        format!("{CONFIG}\n[[suppress]]\ncontacts = [\"c-1\"]\nreason = \"objected\"\n"),
    );
    let plan = repo.plan();
    assert_eq!(plan.actions(), ["stop customer-lifecycle c-1"]);
    assert_eq!(
        plan.json()["actions"][0]["reason"],
        "suppressed: objected (rollcall.toml:27)"
    );
}

#[test]
fn an_automation_that_is_gone_is_stopped_by_the_code_on_record() {
    let spotler = Spotler::open();
    let config = CONFIG.replace("\"sandbox\"", &format!("{:?}", spotler.url()));
    let repo = Repo::with(&config);
    repo.write("crm.csv", "id,status\nc-1,customer\nc-2,ex-customer\n");
    repo.apply().exits(0);
    let start = config.find("[automation.winback]").unwrap();
    let end = config.find("[source.crm]").unwrap();
    let without = format!("{}{}", &config[..start], &config[end..]);
    let cut = without.rfind("[[enrol]]").unwrap();
    repo.write("rollcall.toml", &without[..cut]);
    let plan = repo.plan();
    assert_eq!(plan.actions(), ["stop winback c-2"]);
    repo.apply().exits(0);
    assert_eq!(
        spotler.ledger().last().unwrap(),
        "stop c2a4e7d0-93b1-4f6e-8a57-1d0b6e9f4c33 c-2"
    );
}

#[test]
fn the_guard_refuses_what_is_too_large_and_only_allow_large_lets_it_through() {
    let repo = Repo::with(&format!("[guard]\nmax_triggers = 2\n{CONFIG}"));
    repo.write(
        "crm.csv",
        "id,status\nc-1,customer\nc-2,customer\nc-3,customer\n",
    );
    let plan = repo.plan().json();
    assert_eq!(plan["guard"]["refused"], true);
    let reason = "too many triggers: 3, the limit is 2 (max_triggers at rollcall.toml:2)";
    assert_eq!(plan["guard"]["reasons"][0], reason);
    repo.apply().exits(4);
    assert!(!repo.has_state());
    repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
}

#[test]
fn the_guard_counts_stops_by_share_from_twenty_on() {
    let repo = Repo::with(CONFIG);
    let rows = |count: usize| -> String {
        let rows = (0..count).map(|n| format!("c-{n:02},customer\n"));
        std::iter::once("id,status\n".to_owned())
            .chain(rows)
            .collect()
    };
    repo.write("crm.csv", rows(20));
    repo.apply().exits(0);
    repo.write("crm.csv", rows(15));
    let refused = repo.apply().exits(4);
    assert!(
        refused.stderr.contains("25.0% (5 of 20) is over 20%"),
        "{}",
        refused.stderr
    );
    repo.write("crm.csv", rows(16));
    repo.apply().exits(0);
    // Sixteen are left, of twenty that ran when the day began.
    repo.write("crm.csv", rows(1));
    let refused = repo.apply().exits(4);
    assert!(
        refused.stderr.contains("(19 of 20, with 4 "),
        "{}",
        refused.stderr
    );
    // Fewer than twenty are too few for a share to mean anything.
    repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
    repo.write("crm.csv", "id,status\nc-00,prospect\n");
    repo.apply().exits(0);
}

#[test]
fn an_included_file_is_named_in_the_plan() {
    let repo = Repo::with(&format!("include = [\"more/*.toml\"]\n{CONFIG}"));
    repo.write("crm.csv", "id,status\n");
    repo.write(
        "more/a.toml",
        "# one\n[[enrol]]\nautomation = \"winback\"\ncontacts = [\"x-1\"]\n",
    );
    let plan = repo.plan().json();
    assert_eq!(plan["actions"][0]["declared_at"], "more/a.toml:2");
}

#[test]
fn init_gives_a_repository_that_runs() {
    let repo = Repo::new();
    repo.run(&["init", "new"]).exits(0);
    repo.run(&["--config", "new", "validate"]).exits(0);
    repo.run(&["--config", "new", "apply", "--yes"]).exits(0);
    let again = repo.run(&["init", "new"]).exits(1);
    assert!(
        again.stderr.contains("nothing was written"),
        "{}",
        again.stderr
    );
}

#[test]
fn who_has_no_credentials_is_told_those_of_a_local_sandbox() {
    let local = "[spotler]\nbase_url = \"http://127.0.0.1:1\"\n";
    let live = "[spotler]\nbase_url = \"https://spotler.example\"\n";
    for (toml, is_local) in [(local, true), (live, false)] {
        let repo = Repo::with(toml).env("SPOTLER_CONSUMER_KEY", "");
        let said = repo.run(&["automations"]).exits(1).stderr;
        assert!(said.contains("SPOTLER_CONSUMER_KEY"), "{said}");
        let told = "`rollcall sandbox` takes SPOTLER_CONSUMER_KEY=sandbox SPOTLER_CONSUMER_SECRET=sandbox.";
        assert_eq!(said.contains(told), is_local, "{said}");
    }
}

#[test]
fn an_example_can_be_had_without_a_checkout() {
    let repo = Repo::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for entry in std::fs::read_dir(&root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !root.join(&name).join("rollcall.toml").exists() {
            continue;
        }
        repo.run(&["init", "--example", &name, &name]).exits(0);
        repo.run(&["--config", &name, "plan"]).exits(0);
        // All of it, and nothing that an apply left behind.
        let mut wanted = files(&root.join(&name));
        wanted.retain(|path| !path.starts_with("state"));
        wanted.push(".gitignore".into());
        wanted.sort();
        assert_eq!(files(&repo.file(&name)), wanted);
        let page = std::fs::read_to_string(repo.file(&name).join("README.md")).unwrap();
        for elsewhere in ["examples", "](../", "--config ."] {
            assert!(!page.contains(elsewhere), "{elsewhere}: {page}");
        }
    }
    repo.run(&["--config", "lifecycle", "apply", "--yes"])
        .exits(0);
    let slip = repo.run(&["init", "--example", "livecycle", "x"]).exits(1);
    for said in [
        "abandoned-cart, dormant, from-database, lifecycle",
        "'lifecycle'",
    ] {
        assert!(slip.stderr.contains(said), "{}", slip.stderr);
    }
    assert!(!repo.file("x").exists());
}

/// The files below a folder, by their paths there, sorted.
fn files(root: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path.strip_prefix(root).unwrap().to_owned()),
            }
        }
    }
    files.sort();
    files
}

#[test]
fn git_keeps_out_the_record_and_exports_but_those_of_an_example() {
    let repo = Repo::new();
    let git = |folder: &str, args: &[&str]| {
        let mut git = std::process::Command::new("git");
        let output = git
            .args(args)
            .current_dir(repo.file(folder))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    repo.write("new/.gitignore", "/tmp/\n/state/");
    repo.run(&["init", "new"]).exits(0);
    repo.run(&["init", "--example", "lifecycle", "example"])
        .exits(0);
    for (folder, wanted) in [("new", vec![]), ("example", vec!["exports/crm.csv"])] {
        repo.run(&["--config", folder, "apply", "--yes"]).exits(0);
        let left = [
            "exports/other.csv",
            "next.plan",
            ".rollcall.notified",
            "state/rollcall.db.notified",
            ".rollcall-a.tmp",
        ];
        for name in left {
            repo.write(&format!("{folder}/{name}"), "id\n");
        }
        git(folder, &["init", "--quiet"]);
        git(folder, &["add", "."]);
        let listed = git(folder, &["ls-files"]);
        assert!(listed.contains("rollcall.toml"), "{listed}");
        let kept: Vec<_> = listed
            .lines()
            .filter(|path| {
                left.contains(path) || path.starts_with("exports") || path.starts_with("state")
            })
            .collect();
        assert_eq!(kept, wanted, "{listed}");
    }
    let lines = std::fs::read_to_string(repo.file("new/.gitignore")).unwrap();
    assert_eq!(lines, "/tmp/\n/state/\n/exports/\n*.plan\n.rollcall*\n");
}

#[test]
fn automations_shows_what_spotler_lists_beside_what_is_configured() {
    let repo = repo();
    let json = repo
        .run(&["automations", "--format", "json"])
        .exits(0)
        .json();
    let names: Vec<_> = json["automations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["configured"][0].as_str().unwrap(),
                row["active"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(names, [("customer-lifecycle", true), ("winback", true)]);
}

#[test]
fn a_sandbox_that_forgot_everything_gives_no_id_again() {
    let repo = repo();
    for rows in ["c-1,customer\n", "c-1,customer\nc-2,customer\n"] {
        let mut sandbox = repo.spawn(&["sandbox", "--listen", "127.0.0.1:0"]);
        let mut line = String::new();
        let mut out = std::io::BufReader::new(sandbox.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        let url = line.strip_prefix("base_url = ").unwrap().trim();
        repo.write("rollcall.toml", CONFIG.replace("\"sandbox\"", url));
        repo.write("crm.csv", format!("id,status\n{rows}"));
        let done = repo.run(&["apply", "--yes"]);
        sandbox.kill().unwrap();
        sandbox.wait().unwrap();
        done.exits(0);
    }
}

#[test]
fn a_sandbox_says_once_why_it_cannot_listen() {
    let repo = repo();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = repo.run(&["sandbox", "--listen", &address]).exits(1).stderr;
    assert!(
        said.ends_with("end the program that listens there.\n"),
        "{said}"
    );
}
