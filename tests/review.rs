//! What a review of a change shows: numbers that name nobody, the first of many, and a reason once.

mod common;

use std::fs;
use std::process::Command;

use common::Repo;
use serde_json::json;

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

/// Runs Git in a repository, without what the user has set.
fn git(repo: &Repo, args: &[&str]) {
    let done = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
        .args([
            "-c",
            "init.defaultBranch=main",
            "-c",
            "commit.gpgSign=false",
        ])
        .args(args)
        .current_dir(repo.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(done.status.success(), "{args:?}: {done:?}");
}

/// A repository whose rules are committed, and changed since: prospects come in elsewhere, those who are gone go out, and one
/// is suppressed no more.
fn changed() -> Repo {
    let repo = Repo::with(&format!("include = [\"rules/*.toml\"]\n{CONFIG}"));
    let suppressed = "[[suppress]]\ncontacts = [\"crm-3\"]\n";
    repo.write("rules/suppressed.toml", suppressed);
    repo.write("data/crm.csv", "");
    repo.write(
        "crm.csv",
        "id,status\ncrm-1,prospect\ncrm-2,gone\ncrm-3,prospect\ncrm-4,lead\n",
    );
    repo.write(".gitignore", "crm.csv\nstate/\n");
    git(&repo, &["init"]);
    git(&repo, &["add", "."]);
    git(&repo, &["commit", "-m", "first"]);
    let toml = CONFIG.replace("\"prospect\"", "[\"prospect\", \"lead\"]");
    let toml = toml.replace("where.status = \"gone\"", "where.status = \"never\"");
    repo.write(
        "rollcall.toml",
        format!("include = [\"rules/*.toml\"]\n{toml}"),
    );
    repo.write(
        "rules/suppressed.toml",
        suppressed.replace("crm-3", "crm-9"),
    );
    repo
}

#[test]
fn a_change_of_rules_is_compared_on_the_same_exports() {
    let repo = changed()
        .env("SPOTLER_CONSUMER_KEY", "")
        .env("SPOTLER_CONSUMER_SECRET", "");
    let json = repo
        .run(&["plan", "--against", "HEAD", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(json["format_version"], 1);
    assert_eq!(json["against"], "HEAD");
    assert_eq!(json["summary"], json!({ "in": 2, "out": 1 }));
    let entry = |contact: &str, reason: &str, place: &str| {
        let automation = if contact == "crm-2" {
            "winback"
        } else {
            "welcome"
        };
        json!({ "automation": automation, "contact": contact, "occurrence": null, "reason": reason, "declared_at": place })
    };
    let come = [
        entry("crm-3", "no longer suppressed", "rollcall.toml:12"),
        entry("crm-4", "new", "rollcall.toml:12"),
    ];
    assert_eq!(json["in"], json!(come));
    let gone = entry(
        "crm-2",
        "status is \"gone\", wanted \"never\"",
        "rollcall.toml:16",
    );
    assert_eq!(json["out"], json!([gone]));
    assert!(!repo.has_state());
    let text = repo.run(&["plan", "--against", "HEAD"]).exits(0).stdout;
    assert!(
        text.contains("+ in   crm-4  welcome  new  (rollcall.toml:12)\n"),
        "{text}"
    );
    assert!(text.contains("2 come in, 1 goes out."), "{text}");
    let part = |more: &[&str]| {
        let args = [&["plan", "--against", "main", "--format", "json"], more].concat();
        repo.run(&args).exits(0).json()["summary"].clone()
    };
    assert_eq!(
        part(&["--automation", "winback"]),
        json!({ "in": 0, "out": 1 })
    );
    assert_eq!(part(&["--contact", "crm-4"]), json!({ "in": 1, "out": 0 }));
    let pending = ["plan", "--against", "HEAD", "--detailed-exitcode"];
    repo.run(&pending).exits(2);
    git(&repo, &["commit", "-a", "-m", "second"]);
    repo.run(&pending).exits(0);
}

#[test]
fn a_comparison_can_name_nobody_in_any_format() {
    let repo = changed();
    for format in ["text", "json", "markdown", "html"] {
        let done = repo
            .run(&["plan", "--against", "HEAD", "--summary", "--format", format])
            .exits(0);
        names_nobody(&done);
        assert!(done.stdout.contains("winback"), "{}", done.stdout);
        let named = repo
            .run(&["plan", "--against", "HEAD", "--format", format])
            .exits(0);
        assert!(named.stdout.contains("crm-4"), "{}", named.stdout);
    }
}

#[test]
fn a_comment_has_the_effect_of_the_rules_and_what_the_next_apply_would_do() {
    let repo = changed();
    let comment = ["plan", "--against", "HEAD", "--format", "markdown"];
    let alone = repo.run(&comment).exits(0).stdout;
    assert!(alone.starts_with("### Rollcall\n\n#### Effect of the rules\n\nAgainst `HEAD` (`"));
    assert!(alone.contains("There is no record here"), "{alone}");
    let toml = fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let elsewhere = format!("{toml}[record]\nurl = \"$ROLLCALL_RECORD_URL\"\n");
    repo.write("rollcall.toml", elsewhere);
    let unset = repo.run(&comment).exits(0).stdout;
    assert!(unset.contains("There is no record here"), "{unset}");
    repo.write("rollcall.toml", toml);
    repo.run(&["apply", "--yes"]).exits(0);
    repo.write(
        "crm.csv",
        "id,status\ncrm-1,other\ncrm-3,prospect\ncrm-4,lead\n",
    );
    let both = repo.run(&comment).exits(0).stdout;
    assert!(both.contains("**2 come in, 0 go out.**"), "{both}");
    assert!(
        both.contains("#### What the next apply would do\n\n**Plan:** 0 to trigger, 1 to stop"),
        "{both}"
    );
}

#[test]
fn what_cannot_be_compared_is_said() {
    let repo = changed();
    let says = |rev: &str, words: &[&str]| {
        let done = repo.run(&["plan", &format!("--against={rev}")]).exits(1);
        for word in words {
            assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
        }
        assert_eq!(done.stdout, "");
    };
    says("nowhere", &["There is no revision nowhere"]);
    says("--output=x", &["There is no revision --output=x"]);
    git(&repo, &["rm", "-q", "--cached", "rollcall.toml"]);
    git(&repo, &["commit", "-m", "none"]);
    says("HEAD", &["At HEAD there is no rollcall.toml"]);
    let broken = format!("{CONFIG}[automation.x]\ntrigger_kode = \"x\"\n");
    let toml = fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    repo.write("rollcall.toml", broken);
    git(&repo, &["add", "."]);
    git(&repo, &["commit", "-m", "broken"]);
    repo.write("rollcall.toml", &toml);
    says("HEAD", &["HEAD:rollcall.toml:19", "trigger_kode"]);
    let other = toml.replace("where.status", "where.state");
    repo.write("rollcall.toml", other);
    git(&repo, &["add", "."]);
    git(&repo, &["commit", "-m", "other column"]);
    repo.write("rollcall.toml", &toml);
    says("HEAD", &["HEAD:rollcall.toml", "state"]);
    let summary = repo
        .run(&["plan", "--against", "HEAD", "--summary"])
        .exits(1);
    names_nobody(&summary);
    fs::remove_dir_all(repo.file(".git")).unwrap();
    says("HEAD", &["is not in a Git repository"]);
    for other in ["--diff", "--out=plan.json"] {
        repo.run(&["plan", "--against", "HEAD", other]).exits(1);
    }
    let missing = repo
        .command(&["plan", "--against", "HEAD"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(said.contains("`git` cannot be started"), "{said}");
}

#[test]
#[cfg(unix)]
fn git_gets_no_secret() {
    use std::os::unix::fs::PermissionsExt;
    let repo = changed();
    let script =
        "#!/bin/sh\nenv >>\"$HOME/env\"\nexec /usr/bin/env -i PATH=/usr/bin:/bin git \"$@\"\n";
    repo.write("bin/git", script);
    fs::set_permissions(repo.file("bin/git"), fs::Permissions::from_mode(0o755)).unwrap();
    let done = repo
        .command(&["plan", "--against", "HEAD"])
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", repo.file("bin").display()),
        )
        .env("HOME", repo.path())
        .env("SPOTLER_CONSUMER_SECRET", "geheim")
        .env("SHOP_DATABASE_URL", "postgres://geheim@db/shop")
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let env = fs::read_to_string(repo.file("env")).unwrap();
    assert!(env.contains("PATH=") && !env.contains("geheim"), "{env}");
}

#[test]
fn rules_in_a_folder_of_a_repository_are_found_and_a_new_name_is_nobody_new() {
    let repo = Repo::new();
    repo.write("mail/rollcall.toml", CONFIG);
    repo.write("mail/crm.csv", "id,status\ncrm-1,prospect\ncrm-2,gone\n");
    git(&repo, &["init"]);
    git(&repo, &["add", "."]);
    git(&repo, &["commit", "-m", "first"]);
    // What is committed of an export is not what is compared.
    repo.write("mail/crm.csv", "id,status\ncrm-1,prospect\ncrm-3,gone\n");
    let toml = CONFIG.replace("winback", "regain");
    let moved = "[[moved]]\nfrom = \"winback\"\nto = \"regain\"\n";
    repo.write("mail/rollcall.toml", format!("{toml}{moved}"));
    let args = [
        "plan",
        "--config",
        "mail",
        "--against",
        "HEAD",
        "--format",
        "json",
    ];
    let json = repo.run(&args).exits(0).json();
    assert_eq!(json["summary"], json!({ "in": 0, "out": 0 }));
    repo.write("mail/rollcall.toml", toml);
    let json = repo.run(&args).exits(0).json();
    assert_eq!(json["out"][0]["contact"], "crm-3");
    assert_eq!(
        json["out"][0]["reason"],
        "the automation is gone from the configuration"
    );
}

#[test]
fn a_report_counts_who_was_let_go_of_each_automation() {
    let repo = prospects(2);
    let toml = fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    repo.write(
        "rollcall.toml",
        toml.replace(
            "[automation.welcome]",
            "[automation.welcome]\non_leave = \"keep\"",
        ),
    );
    repo.run(&["apply", "--yes"]).exits(0);
    repo.write(
        "crm.csv",
        "id,status\ncrm-000,prospect\ncrm-001,other\ncrm-gone,other\n",
    );
    repo.run(&["apply", "--yes", "--allow-large", "--report", "apply.md"])
        .exits(0);
    let text = fs::read_to_string(repo.file("apply.md")).unwrap();
    assert!(text.contains("| automation | stopped | let go |"), "{text}");
    assert!(text.contains("| `welcome` | 0 | 1 |"), "{text}");
    assert!(text.contains("| `winback` | 1 | 0 |"), "{text}");
}

#[test]
fn an_apply_reports_what_was_done_to_a_file() {
    let repo = prospects(2);
    repo.run(&["apply", "--yes", "--report", "apply.md"])
        .exits(0);
    let text = fs::read_to_string(repo.file("apply.md")).unwrap();
    assert!(
        text.contains("**Done.**") && text.contains("3 triggered."),
        "{text}"
    );
    assert!(text.contains("| `welcome` | 2 |"), "{text}");
    assert!(!text.contains("crm-"), "{text}");
    repo.run(&["apply", "--yes", "--report", "apply.md"])
        .exits(0);
    let text = fs::read_to_string(repo.file("apply.md")).unwrap();
    assert!(text.contains("**Nothing to do.**"), "{text}");
    repo.write(
        "crm.csv",
        "id,status\ncrm-000,gone\ncrm-001,prospect\ncrm-gone,gone\n",
    );
    repo.run(&["apply", "--yes", "--report", "apply.json"])
        .exits(0);
    let text = fs::read_to_string(repo.file("apply.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["exit_code"], 0);
    assert_eq!(json["actions"][0]["outcome"], "stopped");
    assert_eq!(json["summary"]["trigger"], 1);
    repo.write(
        "crm.csv",
        "id,status\ncrm-000,gone\ncrm-7,prospect\ncrm-gone,gone\n",
    );
    repo.run(&["apply", "--yes", "--report", "apply.HTML"])
        .exits(0);
    let page = fs::read_to_string(repo.file("apply.HTML")).unwrap();
    assert!(page.contains("crm-7") && page.contains("active"), "{page}");
}

#[test]
fn a_report_is_never_one_of_an_earlier_run() {
    let repo = prospects(2);
    let apply = |name: &str, code: i32| {
        repo.run(&["apply", "--yes", "--report", name]).exits(code);
        fs::read_to_string(repo.file(name)).unwrap()
    };
    for name in ["r.md", "r.html", "r.json"] {
        assert!(apply(name, 0).contains(if name == "r.json" {
            "\"exit_code\": 0"
        } else {
            "Rollcall apply"
        }));
    }
    // The guard refuses it.
    repo.write(
        "rollcall.toml",
        format!("{CONFIG}[guard]\nmax_triggers = 0\n"),
    );
    repo.write("crm.csv", "id,status\ncrm-9,prospect\n");
    let text = apply("r.md", 4);
    assert!(
        text.contains("**Refused by the guard.**") && text.contains("too many triggers"),
        "{text}"
    );
    assert!(apply("r.html", 4).contains("The guard refused this plan"));
    assert!(apply("r.json", 4).contains("\"exit_code\": 4"));
    // The configuration is broken.
    repo.write("rollcall.toml", "[spotler");
    assert!(apply("r.md", 1).contains("**Failed.** Nothing was sent"));
    assert!(apply("r.html", 1).contains("Failed."));
    assert!(apply("r.json", 1).contains("\"exit_code\": 1"));
    // It never comes to that, as the metrics cannot be written.
    repo.write("r.md", "<!-- Rollcall apply -->\nearlier\n");
    repo.run(&["apply", "--yes", "--report", "r.md", "--metrics", "crm.csv"])
        .exits(1);
    let text = fs::read_to_string(repo.file("r.md")).unwrap();
    assert!(text.contains("**Failed.** Nothing was sent"), "{text}");
    assert!(!text.contains("earlier"), "{text}");
}

#[test]
fn a_report_of_another_ending_or_in_the_place_of_another_file_is_an_error_before_anything_is_done()
{
    let repo = prospects(2);
    for name in ["apply.txt", "apply", "nowhere/apply.md"] {
        let done = repo.run(&["apply", "--yes", "--report", name]).exits(1);
        assert!(
            done.stderr
                .contains("Nothing was sent and nothing was written"),
            "{}",
            done.stderr
        );
        assert!(!repo.file(name).exists());
    }
    repo.write("notes.md", "# Mine\n");
    repo.run(&["apply", "--yes", "--report", "notes.md"])
        .exits(1);
    assert_eq!(
        fs::read_to_string(repo.file("notes.md")).unwrap(),
        "# Mine\n"
    );
    assert!(!repo.has_state());
}
