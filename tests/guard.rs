//! Nobody is mailed again, and nobody stopped in the mass, by accident: what the guard refuses, and how one goes on.

mod common;

use common::{Done, Repo, Spotler};

const CODE: &str = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";

/// A configuration with one automation, `welcome`, whose contacts are the rows of `crm.csv`.
struct Setup {
    spotler: Spotler,
    repo: Repo,
    head: String,
    automation: String,
    tail: String,
}

impl Setup {
    fn new() -> Self {
        let setup = Self {
            spotler: Spotler::open(),
            repo: Repo::new(),
            head: String::new(),
            automation: format!("[automation.welcome]\ntrigger_code = \"{CODE}\"\n"),
            tail: "[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
                   [[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n"
                .to_owned(),
        };
        setup.write();
        setup
    }

    fn head(mut self, head: &str) -> Self {
        self.head = head.to_owned();
        self.write();
        self
    }

    fn automation(mut self, more: &str) -> Self {
        self.automation.push_str(more);
        self.write();
        self
    }

    fn write(&self) {
        let url = self.spotler.url();
        self.repo.write(
            "rollcall.toml",
            format!(
                "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\nconcurrency = 16\n{}\n{}{}",
                self.head, self.automation, self.tail
            ),
        );
    }

    /// Writes the configuration with something in it replaced.
    fn rewrite(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.repo.file("rollcall.toml")).unwrap();
        assert!(text.contains(from), "{from}");
        self.repo.write("rollcall.toml", text.replace(from, to));
    }

    fn rows(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) {
        let rows: Vec<String> = ids
            .into_iter()
            .map(|id| format!("{}\n", id.as_ref()))
            .collect();
        self.repo.write("crm.csv", format!("id\n{}", rows.concat()));
    }

    /// An apply that may do anything; the guard's count begins anew.
    fn allowed(&self) -> Done {
        self.repo.run(&["apply", "--yes", "--allow-large"]).exits(0)
    }

    fn applies(&self) {
        self.repo.apply().exits(0);
    }

    /// An apply that the guard refuses, and for what. Nothing is sent by it.
    #[track_caller]
    fn refuses(&self, reason: &str) -> Done {
        let calls = self.spotler.calls();
        let done = self.repo.apply().exits(4);
        assert!(done.stderr.contains(reason), "{}", done.stderr);
        assert_eq!(self.spotler.calls(), calls);
        done
    }
}

fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("crm-{n}")).collect()
}

#[test]
fn many_small_cuts_count_as_the_large_one_that_they_are() {
    let setup = Setup::new();
    setup.rows(ids(0..100));
    setup.allowed();
    setup.rows(ids(0..85));
    setup.applies();
    setup.rows(ids(0..72));
    setup.refuses(
        "too many stops in welcome: 28.0% (28 of 100, with 15 stopped, let go or leaving in the last 24 hours) is over 20% \
         (max_stops, the default)",
    );
    // A plan that stops nobody is not refused for what was done before.
    setup.rows(ids(0..85));
    setup.applies();
    let mut more = ids(0..85);
    more.push("crm-new".to_owned());
    setup.rows(more);
    setup.applies();
    // What is allowed begins the count anew.
    setup.rows(ids(0..60));
    setup.refuses("41 of 101");
    setup.allowed();
    setup.rows(ids(0..50));
    setup.applies();
}

#[test]
fn the_count_begins_anew_also_where_all_that_is_allowed_waits() {
    let window = "[guard]\nmax_triggers = 3\n[window]\ntriggers = \"Mon 08:00-18:00\"";
    let setup = Setup::new().head(window);
    let monday = ["--now", "2026-11-23T09:00:00Z"];
    let sunday = ["--now", "2026-11-22T09:00:00Z"];
    let apply = |more: &[&str]| setup.repo.run(&[&["apply", "--yes"], more].concat());
    setup.rows(ids(0..2));
    apply(&monday).exits(0);
    setup.rows(ids(0..4));
    apply(&sunday).exits(4);
    apply(&[&sunday[..], &["--allow-large"]].concat()).exits(0);
    assert_eq!(setup.spotler.calls(), 2);
    apply(&monday).exits(0);
    assert_eq!(setup.spotler.calls(), 4);
}

#[test]
fn the_day_goes_by_the_clock_whatever_time_is_planned_for() {
    let setup = Setup::new();
    setup.rows(ids(0..100));
    setup.allowed();
    setup.rows(ids(0..85));
    setup.applies();
    setup.rows(ids(0..72));
    let later = ["apply", "--yes", "--now", "2099-01-01T00:00:00Z"];
    let done = setup.repo.run(&later).exits(4);
    assert!(done.stderr.contains("28 of 100"), "{}", done.stderr);
}

#[test]
fn triggers_count_for_a_day_and_one_person_counts_once() {
    let setup = Setup::new().head("[guard]\nmax_triggers = 10");
    setup.rows(ids(0..8));
    // Each is tried twice.
    setup
        .spotler
        .fault(serde_json::json!([{ "fault": "limit", "retry_after": "0", "times": 8 }]));
    setup.applies();
    setup.rows(ids(0..10));
    setup.applies();
    setup.rows(ids(0..11));
    setup.refuses(
        "too many triggers: 11, with 10 triggered in the last 24 hours, the limit is 10 (max_triggers at rollcall.toml:",
    );
    // Who is adopted is not triggered, and the count begins anew.
    setup.repo.run(&["adopt", "--yes"]).exits(0);
    setup.rows(ids(0..21));
    setup.applies();
    setup.rows(ids(0..22));
    setup.refuses("11, with 10 triggered in the last 24 hours");
}

#[test]
fn who_is_let_go_counts_for_a_day() {
    let setup = Setup::new().automation("on_leave = \"keep\"\n");
    setup.rows(ids(0..100));
    setup.allowed();
    setup.rows(ids(0..85));
    setup.applies();
    setup.rows(ids(0..72));
    setup.refuses("28 of 100");
}

#[test]
fn leaving_counts_when_it_begins_and_not_again_when_it_is_over() {
    let setup = Setup::new().automation("leave_after = \"48h\"\n");
    let at = |day: u32| {
        let now = format!("2030-01-{day:02}T00:00:00Z");
        setup.repo.run(&["apply", "--yes", "--now", &now])
    };
    setup.rows(ids(0..100));
    setup.allowed();
    setup.rows(ids(0..72));
    let done = at(1).exits(4);
    assert!(
        done.stderr.contains("28.0% (28 of 100) is over 20%"),
        "{}",
        done.stderr
    );
    setup.rows(ids(0..85));
    at(1).exits(0);
    setup.rows(ids(0..72));
    let done = at(1).exits(4);
    assert!(
        done.stderr
            .contains("28 of 100, with 15 stopped, let go or leaving in the last 24 hours"),
        "{}",
        done.stderr
    );
    // Who is back was not stopped, and is not counted.
    setup.rows(ids(0..100));
    at(1).exits(0);
    setup.rows(ids(0..81));
    at(2).exits(0);
    // Their time is over, and they are stopped without being counted again.
    at(5).exits(0);
    let stopped = setup
        .spotler
        .ledger()
        .iter()
        .filter(|line| line.starts_with("stop"))
        .count();
    assert_eq!(stopped, 19);
    setup.rows(ids(0..80));
    at(5).exits(0);
    setup.rows(ids(0..79));
    let done = at(5).exits(4);
    assert!(done.stderr.contains("21 of 100"), "{}", done.stderr);
}

#[test]
fn fifty_automations_of_nineteen_people_are_950_people() {
    let mut setup = Setup::new();
    let many = |count: usize| -> String {
        (0..50)
            .map(|n| {
                format!(
                    "[automation.a{n:02}]\ntrigger_code = \"code-{n:02}\"\n[[enrol]]\nautomation = \"a{n:02}\"\n\
                     contacts = {:?}\n",
                    ids(0..count)
                )
            })
            .collect()
    };
    setup.rows(ids(0..1));
    setup.automation.push_str(&many(4));
    setup.write();
    setup.applies();
    setup.automation = setup
        .automation
        .split("[automation.a00]")
        .next()
        .unwrap()
        .to_owned();
    setup.automation.push_str(&many(3));
    setup.write();
    setup.refuses(
        "too many stops of all automations together: 24.9% (50 of 201) is over 20% (max_stops, the default)",
    );
}

#[test]
fn an_export_that_is_cut_and_then_whole_again_mails_nobody_again() {
    let setup = Setup::new();
    setup.rows(ids(0..100));
    setup.allowed();
    setup.rows(ids(0..81));
    setup.applies();
    setup.rows(ids(0..100));
    setup.refuses(
        "38.0% (38 of 100, with 19 stopped, let go or leaving in the last 24 hours and 19 of them who would be triggered \
         again)",
    );
}

#[test]
fn a_changed_template_does_not_mail_everybody_again_whatever_max_stops_is() {
    let setup = Setup::new()
        .head("[guard]\nmax_stops = \"100%\"")
        .automation("on_change = \"retrigger\"\nfields.a = \"one\"\n");
    setup.rows(ids(0..100));
    setup.allowed();
    setup.rewrite("\"one\"", "\"two\"");
    setup.refuses(
        "too many in welcome would be stopped and triggered again because their fields have changed: 100.0% (100 of 100)",
    );
    setup.allowed();
}

#[test]
fn another_contact_column_is_refused_below_twenty_people_too() {
    for more in ["", "leave_after = \"48h\"\n", "on_leave = \"keep\"\n"] {
        let setup = Setup::new().automation(more);
        setup
            .repo
            .write("crm.csv", "id,email\n1,a@x\n2,b@x\n3,c@x\n");
        setup.applies();
        setup.rewrite("contact = \"id\"", "contact = \"email\"");
        setup.refuses(
            "welcome was last applied with `contact = \"id\"` in source crm, and now it is \"email\": 3 would be triggered as \
             new, while 3 on record are no longer declared",
        );
        // The way on.
        setup
            .repo
            .run(&["adopt", "--automation", "welcome", "--yes"])
            .exits(0);
        setup.applies();
        let triggers = setup
            .spotler
            .ledger()
            .iter()
            .filter(|line| line.starts_with("trigger"))
            .count();
        assert_eq!(triggers, 3);
    }
}

#[test]
fn another_source_in_place_of_one_is_refused() {
    let setup = Setup::new();
    setup.rows(ids(0..3));
    setup.applies();
    setup.repo.write("erp.csv", "id\nerp-1\nerp-2\n");
    setup.rewrite(
        "[source.crm]\ncsv = \"crm.csv\"",
        "[source.erp]\ncsv = \"erp.csv\"",
    );
    setup.rewrite("source = \"crm\"", "source = \"erp\"");
    setup
        .refuses("welcome was last applied with source crm, and now it has source erp: 2 would be");
    // One more source is no change of it.
    setup.write();
    let text = std::fs::read_to_string(setup.repo.file("rollcall.toml")).unwrap();
    setup.repo.write(
        "rollcall.toml",
        format!(
            "{text}[source.erp]\ncsv = \"erp.csv\"\ncontact = \"id\"\n[[enrol]]\nautomation = \"welcome\"\nsource = \"erp\"\n"
        ),
    );
    setup.rows(ids(0..2));
    setup.applies();
}

#[test]
fn another_column_of_occurrences_is_refused() {
    let setup = Setup::new().automation("repeat_by = \"order\"\n");
    setup
        .repo
        .write("crm.csv", "id,order,invoice\n1,o-1,i-1\n2,o-2,i-2\n");
    setup.applies();
    setup.rewrite("repeat_by = \"order\"", "repeat_by = \"invoice\"");
    setup.refuses(
        "welcome was last applied with `repeat_by = \"order\"`, and now it is \"invoice\": 2 would be triggered",
    );
}

#[test]
fn what_an_automation_was_applied_with_is_kept_when_nothing_else_is_to_be_done() {
    let setup = Setup::new();
    setup.repo.write("crm.csv", "id,old,new\n1,1,a\n2,2,b\n");
    setup.applies();
    setup.rewrite("contact = \"id\"", "contact = \"old\"");
    let done = setup.repo.run(&["apply", "--yes"]).exits(0);
    assert!(done.stdout.contains("Nothing to do"), "{}", done.stdout);
    setup.rewrite("contact = \"old\"", "contact = \"new\"");
    setup.refuses("`contact = \"old\"` in source crm, and now it is \"new\"");
}

#[test]
fn a_few_ids_that_changed_their_writing_are_refused() {
    for (was, now) in [
        ("crm-7", "CRM-7"),
        ("302", "00302"),
        ("1041", "1041.0"),
        ("302", "=\"00302\""),
        ("7", "\u{ff17}"),
    ] {
        for more in ["", "leave_after = \"48h\"\n", "on_leave = \"keep\"\n"] {
            let setup = Setup::new().automation(more);
            setup.rows(["x-1", was]);
            setup.applies();
            // As CSV writes a quote.
            let quoted = format!("\"{}\"", now.replace('"', "\"\""));
            setup.rows(["x-1", &quoted]);
            setup.refuses(&format!(
                "1 contact would be triggered again in welcome, where their ids are written differently: {now} is on record as {was}"
            ));
        }
    }
    // Where both are there, they are two.
    let setup = Setup::new();
    setup.rows(["crm-7"]);
    setup.applies();
    setup.rows(["crm-7", "crm-007"]);
    setup.applies();
}

#[test]
fn who_went_long_ago_and_would_be_held_is_not_triggered_under_another_writing_or_name() {
    let begin = |settings: &str| {
        let setup = Setup::new().automation(settings);
        setup.rows(["c-1", "x-1"]);
        setup.applies();
        setup.rows(["x-1"]);
        let large = ["apply", "--yes", "--allow-large"];
        setup.repo.run(&large).exits(0);
        // From here on the day before does not count.
        setup.rows(["x-1", "x-2"]);
        setup.repo.run(&large).exits(0);
        setup
    };
    let says = "1 contact would be triggered again in welcome, where their ids are written differently: C-1 is on record as c-1";
    // What was let go goes on.
    let setup = begin("runs_for = \"21d\"\non_leave = \"keep\"\n");
    setup.rows(["x-1", "x-2", "C-1"]);
    setup.refuses(says);
    let setup = begin("cooldown = \"30d\"\non_leave = \"keep\"\n");
    setup.rows(["x-1", "x-2", "C-1"]);
    setup.refuses(says);
    let setup = begin("cooldown = \"30d\"\n");
    setup.rows(["x-1", "x-2", "c-1"]);
    setup.applies();
    setup.rows(["x-1", "x-2", "C-1"]);
    setup.refuses(says);
    // Who would not be held is a new enrolment, whatever the letters are.
    let setup = begin("");
    setup.rows(["x-1", "x-2", "C-1"]);
    setup.applies();
}

#[test]
fn a_list_of_merges_that_writes_an_id_in_other_letters_triggers_nobody_again() {
    let merged = "[source.merged]\ncsv = \"merged.csv\"\n[[merged]]\nsource = \"merged\"\nfrom = \"old\"\nto = \"new\"\n";
    for from in ["C-17", "c-017"] {
        let setup = Setup::new().head(merged);
        setup.repo.write("merged.csv", "old,new\n");
        setup.rows(["c-17", "x-1"]);
        setup.applies();
        setup.rows(["c-9001", "x-1"]);
        setup
            .repo
            .write("merged.csv", format!("old,new\n{from},c-9001\n"));
        setup.refuses(
            "1 contact would be triggered again in welcome, where their ids are written differently: c-9001 is on record as c-17",
        );
        // As long as the export has both.
        setup.rows(["c-17", "c-9001", "x-1"]);
        setup.refuses("written differently: c-9001 is on record as c-17");
        setup.repo.write("merged.csv", "old,new\nc-17,c-9001\n");
        setup.applies();
    }
    let setup = Setup::new().head(&format!("{merged}[[suppress]]\ncontacts = [\"c-17\"]\n"));
    setup.repo.write("merged.csv", "old,new\nC-17,c-9001\n");
    setup.rows(["c-9001", "x-1"]);
    setup.refuses("c-9001 is suppressed as c-17");
}

#[test]
fn an_export_and_a_list_of_consents_that_both_changed_their_writing_mail_nobody_again() {
    let require =
        "[source.list]\ncsv = \"list.csv\"\ncontact = \"id\"\n[[require]]\nsource = \"list\"\n";
    let setup = Setup::new().head(require);
    let rows = |ids: [&str; 2]| {
        setup.rows(ids);
        setup
            .repo
            .write("list.csv", format!("id\n{}\n{}\n", ids[0], ids[1]));
    };
    rows(["c-1", "x-1"]);
    setup.applies();
    rows(["C-1", "x-1"]);
    setup.refuses("where their ids are written differently: C-1 is on record as c-1");
    assert_eq!(setup.repo.recorded().len(), 2);
}

#[test]
fn a_filter_does_not_hide_who_changed_their_writing() {
    let setup = Setup::new();
    setup.rows(["302", "x-1"]);
    setup.applies();
    setup.rows(["00302", "x-1"]);
    let plan = |args: &[&str]| {
        let done = setup
            .repo
            .run(&[&["plan", "--format", "json"], args].concat());
        done.exits(0).json()["guard"]["reasons"].to_string()
    };
    assert!(plan(&["--contact", "00302"]).contains("on record as 302"));
    assert!(plan(&["--contact", "302"]).contains("[]"));
}

#[test]
fn an_order_that_changed_its_writing_is_refused() {
    let setup = Setup::new().automation("repeat_by = \"order\"\n");
    setup.repo.write("crm.csv", "id,order\nc-1,A-7\nc-2,B-1\n");
    setup.applies();
    setup
        .repo
        .write("crm.csv", "id,order\nc-1,a-007\nc-2,B-2\n");
    setup.refuses(
        "1 contact would be triggered again in welcome, where their ids are written differently: an occurrence of c-1 is on record",
    );
}

#[test]
fn who_is_suppressed_under_one_writing_is_not_triggered_under_another() {
    let setup = Setup::new().head("[[suppress]]\ncontacts = [\"00302\"]\n");
    setup.rows(["x-1", "302"]);
    setup.refuses(
        "1 suppressed contact would be triggered under an id that is written differently: 302 is suppressed as 00302",
    );
}

#[test]
fn a_renamed_automation_mails_nobody_again_whatever_is_on_record() {
    let renamed = |setup: &Setup| {
        setup.rewrite("[automation.welcome]", "[automation.hello]");
        setup.rewrite("automation = \"welcome\"", "automation = \"hello\"");
    };
    let reason = "welcome has become hello, which has its trigger code: 2 contacts on record in welcome would be triggered again \
                  (if only the name is new, write [[moved]] with from = \"welcome\" and to = \"hello\", and nobody is)";
    // Triggered.
    let setup = Setup::new();
    setup.rows(ids(0..2));
    setup.applies();
    renamed(&setup);
    setup.refuses(reason);
    // A trigger code in capitals is the same code.
    setup.rewrite(CODE, &CODE.to_uppercase());
    setup.refuses(reason);
    // A part of the plan.
    for part in [["--automation", "hello"], ["--contact", "crm-1"]] {
        let done = setup
            .repo
            .run(&[&["plan", "--format", "json"], &part[..]].concat());
        let reasons = done.exits(0).json()["guard"]["reasons"].to_string();
        assert!(reasons.contains("welcome has become hello"), "{reasons}");
    }
    // Adopted.
    let setup = Setup::new();
    setup.rows(ids(0..2));
    setup.repo.run(&["adopt", "--yes"]).exits(0);
    renamed(&setup);
    setup.refuses(reason);
    // In doubt.
    let setup = Setup::new();
    setup
        .spotler
        .fault(serde_json::json!([{ "fault": "reset-after" }]));
    setup.rows(ids(0..2));
    setup.repo.apply().exits(3);
    setup.spotler.fault(serde_json::json!([]));
    renamed(&setup);
    setup.refuses(reason);
    // Settled as active.
    setup
        .repo
        .run(&["resolve", "--as", "active", "--yes"])
        .exits(0);
    setup.refuses(reason);
}

#[test]
fn names_that_are_swapped_without_a_word_are_refused() {
    let setup = Setup::new().automation(
        "[automation.other]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\n\
         [[enrol]]\nautomation = \"other\"\ncontacts = [\"o-1\"]\n",
    );
    setup.rows(["w-1"]);
    setup.applies();
    for (from, to) in [
        ("[automation.welcome]", "[automation.x]"),
        ("[automation.other]", "[automation.welcome]"),
        ("[automation.x]", "[automation.other]"),
        ("= \"welcome\"", "= \"x\""),
        ("= \"other\"", "= \"welcome\""),
        ("= \"x\"", "= \"other\""),
    ] {
        setup.rewrite(from, to);
    }
    setup.refuses("welcome has become other");
    // With two blocks, nobody is triggered.
    let text = std::fs::read_to_string(setup.repo.file("rollcall.toml")).unwrap();
    setup.repo.write(
        "rollcall.toml",
        format!(
            "{text}[[moved]]\nfrom = \"welcome\"\nto = \"other\"\n[[moved]]\nfrom = \"other\"\nto = \"welcome\"\n"
        ),
    );
    setup.applies();
    assert_eq!(
        setup.repo.recorded(),
        ["welcome o-1 active", "other w-1 active"]
    );
    // The blocks may stay: they are done, also where others are to be triggered.
    setup.rows(["w-1", "w-2"]);
    for calls in [3, 3] {
        setup.applies();
        assert_eq!(setup.spotler.calls(), calls);
    }
    setup.repo.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert_eq!(
        setup.repo.recorded(),
        ["welcome o-1 active", "other w-1 active", "other w-2 active"]
    );
}

#[test]
fn blocks_that_were_there_from_the_first_day_move_nobody() {
    let setup = Setup::new().automation(
        "[automation.other]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\n\
         [[enrol]]\nautomation = \"other\"\ncontacts = [\"o-1\"]\n\
         [[moved]]\nfrom = \"welcome\"\nto = \"other\"\n[[moved]]\nfrom = \"other\"\nto = \"welcome\"\n",
    );
    setup.rows(["w-1"]);
    for _ in 0..2 {
        setup.applies();
        assert_eq!(setup.spotler.calls(), 2);
    }
    setup.repo.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert_eq!(setup.spotler.calls(), 2);
}

#[test]
fn a_moved_automation_keeps_its_participations() {
    let mut setup = Setup::new();
    setup.rows(ids(0..3));
    setup.applies();
    setup.automation = setup.automation.replace("welcome", "hello");
    setup.tail = setup.tail.replace("\"welcome\"", "\"hello\"");
    setup
        .tail
        .push_str("[[moved]]\nfrom = \"welcome\"\nto = \"hello\"\n");
    setup.write();
    let plan = setup
        .repo
        .run(&["plan", "--format", "json", "--detailed-exitcode"])
        .exits(2)
        .json();
    assert_eq!(
        plan["moved"],
        serde_json::json!([{ "from": "welcome", "to": "hello", "participations": 3 }])
    );
    assert_eq!(plan["summary"]["unchanged"], 3);
    let text = setup.repo.run(&["plan"]).exits(0).stdout;
    assert!(
        text.contains(
            "Moved to a new name, without a call:\n  welcome is hello now: 3 participations\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("0 to trigger, 0 to stop, 3 to move, 3 unchanged"),
        "{text}"
    );
    for format in ["markdown", "html"] {
        let page = setup
            .repo
            .run(&["plan", "--format", format])
            .exits(0)
            .stdout;
        assert!(
            page.contains("welcome is hello now: 3 participations"),
            "{page}"
        );
    }
    let explained = setup.repo.run(&["explain", "crm-1"]).exits(0).stdout;
    assert!(!explained.contains("welcome"), "{explained}");
    // A saved plan holds them too.
    setup.repo.run(&["plan", "--out", "plan.json"]).exits(0);
    let done = setup.repo.run(&["apply", "plan.json", "--yes"]).exits(0);
    assert!(done.stdout.contains("Applied: 3 moved."), "{}", done.stdout);
    assert_eq!(
        setup.repo.recorded(),
        [
            "hello crm-0 active",
            "hello crm-1 active",
            "hello crm-2 active"
        ]
    );
    // The history keeps the name by which the calls were made.
    let history = setup.repo.run(&["history", "crm-1"]).exits(0).stdout;
    assert!(history.contains("welcome"), "{history}");
    // A block whose work is done does no harm.
    setup.repo.run(&["plan", "--detailed-exitcode"]).exits(0);
    setup.applies();
    assert_eq!(setup.spotler.calls(), 3);
    setup.rows(ids(0..2));
    setup.applies();
    assert_eq!(
        setup.spotler.ledger().last().unwrap(),
        &format!("stop {CODE} crm-2")
    );
}

#[test]
fn who_runs_under_another_name_is_not_adopted_for_the_next_apply_to_stop() {
    let mut setup = Setup::new();
    setup.rows(ids(0..3));
    setup.applies();
    setup.automation = setup.automation.replace("welcome", "hello");
    setup.tail = setup.tail.replace("\"welcome\"", "\"hello\"");
    setup.write();
    let told = setup.repo.run(&["adopt", "--yes"]).exits(1).stderr;
    let advice = "[[moved]] with from = \"welcome\" and to = \"hello\"";
    assert!(told.contains(advice), "{told}");
    assert_eq!(
        setup.repo.recorded()[..1],
        ["welcome crm-0 active".to_owned()]
    );
    setup.refuses(advice);
    // As advised.
    setup.head = "[[moved]]\nfrom = \"welcome\"\nto = \"hello\"\n".to_owned();
    setup.write();
    setup.rows(ids(0..4));
    setup.repo.run(&["adopt", "--yes"]).exits(0);
    setup.applies();
    assert_eq!(setup.repo.recorded().len(), 4);
    assert_eq!(setup.spotler.calls(), 3);
}

#[test]
fn a_doubt_is_settled_by_the_new_name_too_before_the_move_is_made() {
    let mut setup = Setup::new();
    setup.rows(ids(0..2));
    setup
        .spotler
        .fault(serde_json::json!([{ "fault": "reset-after" }]));
    setup.repo.apply().exits(3);
    setup.spotler.fault(serde_json::json!([]));
    setup.head = "[[moved]]\nfrom = \"welcome\"\nto = \"hello\"\n".to_owned();
    setup.automation = setup.automation.replace("welcome", "hello");
    setup.tail = setup.tail.replace("welcome", "hello");
    setup.write();
    // As a plan shows them.
    let held = setup.repo.plan().json()["held"].to_string();
    assert!(held.contains("hello"), "{held}");
    let resolve = ["resolve", "--as", "active", "--automation", "hello"];
    setup
        .repo
        .run(&[&resolve[..], &["crm-0", "--yes"]].concat())
        .exits(0);
    assert_eq!(
        setup.repo.recorded(),
        ["welcome crm-0 active", "welcome crm-1 uncertain"]
    );
}

#[test]
fn a_move_goes_with_what_else_is_to_be_done_and_follows_chains() {
    let mut setup = Setup::new();
    setup.rows(ids(0..3));
    setup.applies();
    setup.automation = setup.automation.replace("welcome", "hi");
    setup.tail = setup.tail.replace("\"welcome\"", "\"hi\"");
    setup.tail.push_str(
        "[[moved]]\nfrom = \"welcome\"\nto = \"hello\"\n[[moved]]\nfrom = \"hello\"\nto = \"hi\"\n",
    );
    setup.write();
    setup.rows(ids(1..4));
    assert_eq!(
        setup.repo.plan().actions(),
        ["stop hi crm-0", "trigger hi crm-3"]
    );
    setup.applies();
    assert_eq!(
        setup.repo.recorded(),
        [
            "hi crm-0 stopped",
            "hi crm-1 active",
            "hi crm-2 active",
            "hi crm-3 active"
        ]
    );
    // The day's count goes along.
    assert_eq!(setup.spotler.calls(), 5);
}

#[test]
fn a_move_that_is_cut_short_is_made_whole_by_the_next_run() {
    for point in ["moves:before", "moves:after", "intent:after", "send:after"] {
        let mut setup = Setup::new();
        setup.rows(ids(0..3));
        setup.applies();
        setup.automation = setup.automation.replace("welcome", "hello");
        setup.tail = setup.tail.replace("\"welcome\"", "\"hello\"");
        setup
            .tail
            .push_str("[[moved]]\nfrom = \"welcome\"\nto = \"hello\"\n");
        setup.write();
        setup.rows(ids(0..4));
        let mut killed = setup.repo.command(&["apply", "--yes"]);
        killed.env("ROLLCALL_FAILPOINT", point);
        assert!(!killed.output().unwrap().status.success(), "{point}");
        setup.repo.apply();
        let recorded = setup.repo.recorded();
        assert_eq!(recorded.len(), 4, "{point}");
        assert!(
            recorded.iter().all(|line| line.starts_with("hello ")),
            "{recorded:?}"
        );
        let triggers = setup.spotler.ledger();
        for id in ids(0..4) {
            let of = triggers
                .iter()
                .filter(|line| line.ends_with(&format!(" {id}")))
                .count();
            assert!(of <= 1, "{point}: {triggers:?}");
        }
    }
}

#[test]
fn a_move_from_what_is_configured_or_to_what_is_not_is_an_error() {
    let setup = Setup::new();
    setup.rows(ids(0..1));
    for (from, to, problem) in [
        (
            "old",
            "hello",
            "there is no automation \"hello\" to move to",
        ),
        ("welcome", "hello", "welcome is still configured"),
        ("hello", "hello", "it moves to itself"),
        ("welcome", "welcome", "it moves to itself"),
        ("old", "welcom", "did you mean \"welcome\"?"),
    ] {
        setup.write();
        let text = std::fs::read_to_string(setup.repo.file("rollcall.toml")).unwrap();
        let moved = format!("[[moved]]\nfrom = \"{from}\"\nto = \"{to}\"\n");
        setup.repo.write("rollcall.toml", format!("{text}{moved}"));
        let done = setup.repo.run(&["validate"]).exits(1);
        assert!(done.stderr.contains(problem), "{}", done.stderr);
    }
    let setup = setup.automation("[automation.other]\ntrigger_code = \"other\"\n");
    let text = std::fs::read_to_string(setup.repo.file("rollcall.toml")).unwrap();
    let moved = "[[moved]]\nfrom = \"other\"\nto = \"welcome\"\n";
    setup.repo.write("rollcall.toml", format!("{text}{moved}"));
    let done = setup.repo.run(&["validate"]).exits(1);
    assert!(
        done.stderr.contains("other is still configured"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_limit_of_its_own_counts_for_that_automation_alone() {
    let setup = Setup::new().automation(
        "max_stops = \"100%\"\n[automation.other]\ntrigger_code = \"other\"\n\
         [[enrol]]\nautomation = \"other\"\ncontacts = [\"o-1\"]\n",
    );
    setup.rows(ids(0..30));
    setup.allowed();
    setup.rows(ids(0..1));
    setup.applies();
}

#[test]
fn an_objections_list_that_went_missing_mails_nobody() {
    // Of those who were never triggered, and of those who were stopped a moment ago.
    for is_triggered_before in [false, true] {
        let mut setup = Setup::new();
        setup.rows(ids(0..100));
        if is_triggered_before {
            setup.allowed();
        }
        let list = |setup: &mut Setup, count: usize| {
            setup.head = match count {
                0 => String::new(),
                count => format!("[[suppress]]\ncontacts = {:?}\n", ids(0..count)),
            };
            setup.write();
        };
        list(&mut setup, 11);
        setup.allowed();
        list(&mut setup, 0);
        setup.refuses(
            "too many people would be triggered whose suppression is gone: 11, the limit is 10; check whether a [[suppress]] or a \
             [[require]] is missing, or holds for fewer now (max_released, the default)",
        );
        // A few are let through: somebody took their objection back.
        list(&mut setup, 1);
        setup.applies();
        let of_one = |id: &str| {
            let line = format!("trigger {CODE} {id}");
            setup
                .spotler
                .ledger()
                .iter()
                .filter(|found| **found == line)
                .count()
        };
        assert_eq!(of_one("crm-0"), usize::from(is_triggered_before));
        assert_eq!(of_one("crm-5"), 1 + usize::from(is_triggered_before));
    }
}

#[test]
fn stops_of_suppressed_contacts_have_a_limit_to_themselves() {
    let mut setup = Setup::new();
    setup.rows(ids(0..30));
    setup.allowed();
    setup.head = format!("[[suppress]]\ncontacts = {:?}\n", ids(0..7));
    setup.write();
    let done = setup.repo.apply().exits(4);
    assert!(
        done.stderr
            .contains("too many stops of suppressed contacts: 23.3% (7 of 30) is over 20%"),
        "{}",
        done.stderr
    );
    // They do not count among the others.
    setup.head = format!("[[suppress]]\ncontacts = {:?}\n", ids(0..5));
    setup.write();
    setup.rows(ids(0..25));
    setup.applies();
}

/// A configuration of automations that enrol contacts by name, behind `CODE` or another trigger code.
fn listed(setup: &mut Setup, head: &str, automations: &[(&str, &str, Vec<String>)]) {
    setup.head = head.to_owned();
    setup.automation = automations
        .iter()
        .map(|(name, code, contacts)| {
            format!(
                "[automation.{name}]\ntrigger_code = {code:?}\n\
                 [[enrol]]\nautomation = {name:?}\ncontacts = {contacts:?}\n"
            )
        })
        .collect();
    setup.tail = String::new();
    setup.write();
}

#[test]
fn who_leaves_one_automation_is_not_mailed_by_another_with_its_code_though_somebody_stays() {
    let mut setup = Setup::new();
    listed(&mut setup, "", &[("care", CODE, ids(0..10))]);
    setup.applies();
    let stays = || vec!["zz".to_owned()];
    let both = [("care", CODE, stays()), ("neu", CODE, ids(0..10))];
    listed(&mut setup, "", &both);
    setup.refuses(
        "10 contacts on record in care, and no longer declared in it, would be triggered again in neu, which has its trigger \
         code (if only the name is new, write [[moved]] with from = \"care\" and to = \"neu\", remove [automation.care], \
         and nobody is; if people should move from one to the other, --allow-large mails them again)",
    );
    // Nor after they left.
    listed(&mut setup, "", &[("care", CODE, stays())]);
    setup.applies();
    listed(&mut setup, "", &both);
    setup.refuses("10 contacts on record in care, and no longer declared in it,");
    // Where nobody leaves, people come.
    let more = [
        ("care", CODE, stays()),
        ("neu", CODE, vec!["new".to_owned()]),
    ];
    listed(&mut setup, "", &more);
    setup.applies();
}

#[test]
fn who_is_released_into_another_automation_counts_too() {
    let suppressed =
        |of: std::ops::Range<usize>| format!("[[suppress]]\ncontacts = {:?}\n", ids(of));
    let news = |count: usize| {
        [
            ("care", "care", ids(15..40)),
            ("news", "news", ids(0..count)),
        ]
    };
    let mut setup = Setup::new();
    listed(
        &mut setup,
        &suppressed(0..15),
        &[("care", "care", ids(0..40))],
    );
    setup.applies();
    listed(&mut setup, "", &news(15));
    setup.refuses(
        "too many people would be triggered whose suppression is gone: 15, the limit is 10",
    );
    // In two steps.
    listed(&mut setup, &suppressed(8..15), &news(15));
    setup.applies();
    listed(&mut setup, "", &news(15));
    setup.refuses(
        "whose suppression is gone: 15, with 8 triggered in the last 24 hours, the limit is 10",
    );
    setup.allowed();
    // Who was released is like anybody else.
    let more = [
        ("care", "care", ids(15..40)),
        ("news", "news", ids(0..15)),
        ("third", "third", ids(0..15)),
    ];
    listed(&mut setup, "", &more);
    setup.applies();
}

#[test]
fn who_is_released_in_two_steps_counts_by_the_day() {
    // Of those who were withheld, and of those who were stopped.
    for is_triggered_before in [false, true] {
        let mut setup = Setup::new();
        let suppressed = |setup: &mut Setup, of: std::ops::Range<usize>| {
            setup.head = format!("[[suppress]]\ncontacts = {:?}\n", ids(of));
            setup.write();
        };
        setup.rows(ids(0..100));
        if is_triggered_before {
            setup.allowed();
        }
        suppressed(&mut setup, 0..15);
        setup.allowed();
        suppressed(&mut setup, 8..15);
        setup.applies();
        setup.head.clear();
        setup.write();
        setup.refuses(
            "whose suppression is gone: 15, with 8 triggered in the last 24 hours, the limit is 10",
        );
        // Who is suppressed and released once more is one person.
        suppressed(&mut setup, 0..15);
        setup.allowed();
        suppressed(&mut setup, 10..15);
        setup.applies();
        // What was allowed is not counted again.
        setup.head.clear();
        setup.write();
        setup.allowed();
        setup.rows(ids(0..101));
        setup.applies();
    }
}

#[test]
fn one_who_runs_and_is_suppressed_under_another_writing_is_reported_of() {
    let mut setup = Setup::new();
    let is_told = |setup: &Setup, text: &str| {
        for command in [&["validate"][..], &["plan"], &["apply", "--yes"]] {
            let done = setup.repo.run(command).exits(0);
            let told = done.stderr.replace(['│', '×'], " ");
            let told: Vec<&str> = told.split_whitespace().collect();
            let told = told.join(" ");
            assert!(told.contains(text), "{command:?}: {told}");
            assert!(
                told.contains("302 is not suppressed, and runs or is triggered"),
                "{told}"
            );
        }
    };
    setup.rows(["302", "x-1"]);
    setup.applies();
    setup.head = "[[suppress]]\ncontacts = [\"00302\"]\n".to_owned();
    setup.write();
    is_told(
        &setup,
        "no source has the suppressed contact 00302, and 302 is (",
    );
    // The source has both.
    setup.rows(["302", "00302", "x-1"]);
    is_told(
        &setup,
        "is written almost like the suppressed contact 00302",
    );
    // It is enrolled by name.
    let mut setup = Setup::new();
    let named = [("care", CODE, vec!["302".to_owned()])];
    listed(&mut setup, "", &named);
    setup.applies();
    listed(&mut setup, "[[suppress]]\ncontacts = [\"00302\"]\n", &named);
    is_told(
        &setup,
        "no source has the suppressed contact 00302, and 302 is (declared here)",
    );
}

#[test]
fn who_left_before_is_not_taken_for_one_who_goes_with_the_old_source() {
    let setup = Setup::new();
    setup.rows(ids(0..3));
    setup.applies();
    setup.rows(ids(0..2));
    setup.applies();
    setup.rewrite("[source.crm]", "[source.crm2]");
    setup.rewrite("source = \"crm\"", "source = \"crm2\"");
    setup.rows(["crm-0", "crm-1", "crm-new"]);
    setup.applies();
}

#[test]
fn another_source_without_rows_stops_nobody() {
    for more in ["", "leave_after = \"48h\"\n", "on_leave = \"keep\"\n"] {
        let setup = Setup::new().automation(more);
        setup.rows(ids(0..3));
        setup.applies();
        setup.rewrite(
            "[source.crm]\ncsv = \"crm.csv\"",
            "[source.crm2]\ncsv = \"crm2.csv\"",
        );
        setup.rewrite("source = \"crm\"", "source = \"crm2\"");
        setup.repo.write("crm2.csv", "id\n");
        let done = setup.refuses(
            "welcome was last applied with source crm, and now it has source crm2, which has no rows: 3 on record are no longer \
             declared",
        );
        assert!(!done.stderr.contains("raise the limit"), "{}", done.stderr);
        setup.allowed();
    }
}

#[test]
fn adopted_ids_in_another_writing_go_on_as_is_advised() {
    let setup = Setup::new();
    let written = |zeros: &str| {
        (100..125)
            .map(|n| format!("{zeros}{n}"))
            .collect::<Vec<_>>()
    };
    setup.rows(written(""));
    setup.applies();
    setup.rows(written("00"));
    let done = setup.refuses("25 contacts would be triggered again in welcome");
    let advice = "`rollcall adopt --automation welcome`, which triggers nobody; the next apply then stops the old ones, and may \
                  take --allow-large";
    assert!(done.stderr.contains(advice), "{}", done.stderr);
    setup
        .repo
        .run(&["adopt", "--automation", "welcome", "--yes"])
        .exits(0);
    setup.refuses("too many stops in welcome");
    setup.allowed();
}
