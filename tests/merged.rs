//! Two ids, one person.

mod common;

use common::{Repo, Spotler};
use rollcall::sandbox::Options;
use serde_json::json;

const CODE: &str = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11";

fn config(spotler: &Spotler, contacts: &[&str]) -> String {
    let enrol = match contacts {
        [] => String::new(),
        contacts => format!("[[enrol]]\nautomation = \"welcome\"\ncontacts = {contacts:?}\n"),
    };
    format!(
        "[spotler]\nbase_url = {:?}\nrate = \"100000/s\"\n[guard]\nmax_stops = 100\n\
         [automation.welcome]\ntrigger_code = {CODE:?}\n{enrol}",
        spotler.url()
    )
}

/// A record where old-1 was triggered, and is new-1 since. Nobody is declared any more.
fn merged(spotler: &Spotler) -> Repo {
    let repo = Repo::with(&config(spotler, &["c-1", "old-1"]));
    repo.apply().exits(0);
    repo.merge("old-1", "new-1");
    assert_eq!(
        repo.recorded(),
        ["welcome c-1 active", "welcome new-1 active"]
    );
    repo.write("rollcall.toml", config(spotler, &[]));
    repo
}

#[test]
fn a_stop_goes_to_the_id_that_was_triggered() {
    let spotler = Spotler::start(Options::default());
    let repo = merged(&spotler);
    let done = repo.apply().exits(0);
    assert_eq!(
        done.actions(),
        [
            "stop welcome c-1 -> stopped",
            "stop welcome new-1 -> stopped"
        ]
    );
    assert!(spotler.ledger().contains(&format!("stop {CODE} old-1")));
    assert_eq!(spotler.running(), []);
    assert_eq!(
        repo.recorded(),
        ["welcome c-1 stopped", "welcome new-1 stopped"]
    );
}

#[test]
fn where_spotler_does_not_know_that_id_a_stop_goes_to_the_new_one() {
    let spotler = Spotler::start(Options::default());
    let repo = merged(&spotler);
    spotler.put("unknown", &json!(["old-1"]));
    let calls = spotler.calls();
    repo.apply().exits(0);
    // One for c-1, and two for the ids of one person.
    assert_eq!(spotler.calls(), calls + 3);
    assert_eq!(
        repo.recorded(),
        ["welcome c-1 stopped", "welcome new-1 stopped"]
    );
    let history = repo.run(&["history", "new-1", "--format", "json"]).json();
    let outcomes: Vec<_> = (history["calls"].as_array().unwrap().iter())
        .map(|call| call["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["active", "not-carried-out", "stopped"]);
}

#[test]
fn either_id_shows_and_erases_the_person() {
    let spotler = Spotler::start(Options::default());
    let repo = merged(&spotler);
    for id in ["old-1", "new-1"] {
        let show = repo.run(&["record", "show", id, "--format", "json"]).json();
        assert_eq!(show["participations"][0]["contact"], "new-1");
        assert_eq!(show["calls"][0]["contact"], "old-1");
        let history = repo.run(&["history", id, "--format", "json"]).json();
        assert_eq!(history["calls"].as_array().unwrap().len(), 1);
    }
    repo.run(&["record", "forget", "old-1", "--yes"]).exits(0);
    assert_eq!(repo.recorded(), ["welcome c-1 active"]);
    let history = repo.run(&["history", "new-1", "--format", "json"]).json();
    assert_eq!(history["calls"], json!([]));
}

/// A repository with sources and blocks of its own.
struct Case {
    spotler: Spotler,
    repo: Repo,
    settings: String,
}

const WELCOME: &str = "[automation.welcome]\ntrigger_code = \"code-w\"\n";
const CRM: &str = "[source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
                   [[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\n";
const MERGES: &str = "[source.merges]\ncsv = \"merges.csv\"\n\
                      [[merged]]\nsource = \"merges\"\nfrom = \"old\"\nto = \"new\"\n";

impl Case {
    /// The settings are written once the record has what the first ones make of it.
    fn with(settings: &str) -> Self {
        let spotler = Spotler::start(Options::default());
        let case = Self {
            repo: Repo::new(),
            settings: settings.to_owned(),
            spotler,
        };
        case.set("");
        case
    }

    /// Writes the settings, and more of them.
    fn set(&self, more: &str) {
        let url = self.spotler.url();
        let text = format!(
            "[spotler]\nbase_url = {url:?}\nrate = \"100000/s\"\n{}{more}",
            self.settings
        );
        self.repo.write("rollcall.toml", text);
    }

    fn crm(&self, ids: &[&str]) {
        self.repo
            .write("crm.csv", format!("id\n{}\n", ids.join("\n")));
    }

    fn list(&self, pairs: &[(&str, &str)]) {
        let rows: String = pairs
            .iter()
            .map(|(old, new)| format!("{old},{new}\n"))
            .collect();
        self.repo.write("merges.csv", format!("old,new\n{rows}"));
    }

    /// What a plan would do.
    fn plan(&self) -> Vec<String> {
        self.repo.plan().exits(0).actions()
    }

    /// What an apply did.
    fn apply(&self) -> Vec<String> {
        self.repo.apply().exits(0).actions()
    }

    /// The triggers that Spotler ever carried out.
    fn triggers(&self) -> Vec<String> {
        let mut ledger = self.spotler.ledger();
        ledger.retain(|line| line.starts_with("trigger"));
        ledger
    }

    /// Merges that a plan would make.
    fn merges(&self) -> Vec<String> {
        let plan = self.repo.plan().json();
        let merged = plan["merged"].as_array().cloned().unwrap_or_default();
        let line = |of: &serde_json::Value| {
            format!("{} > {}: {}", of["from"], of["to"], of["participations"]).replace('"', "")
        };
        merged.iter().map(line).collect()
    }
}

fn by_name(from: &[&str], to: &str) -> String {
    format!("[[merged]]\nfrom = {from:?}\nto = {to:?}\n")
}

fn with_list() -> Case {
    Case::with(&format!("{WELCOME}{CRM}{MERGES}"))
}

#[test]
fn what_is_on_record_becomes_that_of_the_id_that_is_kept_and_stays_so() {
    let case = with_list();
    case.crm(&["old-1", "other"]);
    case.list(&[]);
    case.apply();
    // The CRM has merged two customers.
    case.crm(&["new-1", "other"]);
    case.list(&[("old-1", "new-1")]);
    assert_eq!(case.plan(), [""; 0]);
    assert_eq!(case.merges(), ["old-1 > new-1: 1"]);
    case.repo.run(&["plan", "--detailed-exitcode"]).exits(2);
    assert_eq!(case.apply(), [""; 0]);
    assert_eq!(
        case.repo.recorded(),
        ["welcome new-1 active", "welcome other active"]
    );
    case.repo.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert_eq!(case.merges(), [""; 0]);
    // The list forgets it, or says something else, and so do the rows: nobody is mailed again.
    for list in [&[][..], &[("old-1", "third")], &[("new-1", "old-1")]] {
        case.list(list);
        for rows in [["old-1", "other"], ["new-1", "other"]] {
            case.crm(&rows);
            assert_eq!(case.plan(), [""; 0], "{list:?} {rows:?}");
        }
    }
    case.repo.write("rollcall.toml", {
        let url = case.spotler.url();
        format!("[spotler]\nbase_url = {url:?}\n{WELCOME}{CRM}")
    });
    case.crm(&["old-1", "other"]);
    assert_eq!(case.plan(), [""; 0]);
    assert_eq!(case.triggers().len(), 2);
}

#[test]
fn what_was_let_go_under_another_id_goes_on_and_can_still_be_stopped() {
    let keep = "on_leave = \"keep\"\n";
    let case = Case::with(&format!("{WELCOME}{keep}{CRM}{MERGES}"));
    case.crm(&["old-1", "other"]);
    case.list(&[]);
    case.apply();
    case.crm(&["other"]);
    case.list(&[("old-1", "new-1")]);
    case.apply();
    assert_eq!(
        case.repo.recorded(),
        ["welcome new-1 let-go", "welcome other active"]
    );
    // What runs under the old id would be on no record any more.
    case.crm(&["new-1", "other"]);
    assert_eq!(case.apply(), [""; 0]);
    assert_eq!(
        case.repo.recorded(),
        ["welcome new-1 active", "welcome other active"]
    );
    case.set("[[suppress]]\ncontacts = [\"new-1\"]\n");
    assert_eq!(case.apply(), ["stop welcome new-1 -> stopped"]);
    assert_eq!(case.spotler.running().len(), 1);
}

#[test]
fn only_merges_of_what_is_on_record_count() {
    let case = Case::with(&format!("[guard]\nmax_merges = 0\n{WELCOME}{CRM}{MERGES}"));
    case.crm(&["new-1"]);
    case.list(&[("old-1", "new-1"), ("old-2", "new-2")]);
    assert_eq!(case.apply(), ["trigger welcome new-1 -> active"]);
    case.repo.run(&["plan", "--detailed-exitcode"]).exits(0);
    assert_eq!(case.merges(), [""; 0]);
}

#[test]
fn more_merges_than_max_merges_are_refused() {
    let case = with_list();
    case.crm(&["old-1", "old-2"]);
    case.list(&[]);
    case.apply();
    case.crm(&["new-1", "new-2"]);
    case.list(&[("old-1", "new-1"), ("old-2", "new-2")]);
    case.set("[guard]\nmax_merges = 1\n");
    let done = case.repo.apply().exits(4);
    assert!(
        done.stderr.contains(
            "too many merges: what is on record of 2 ids would become another id's for good, the limit is 1"
        ) && done.stderr.contains("(max_merges at rollcall.toml:"),
        "{}",
        done.stderr
    );
    assert_eq!(
        case.repo.recorded(),
        ["welcome old-1 active", "welcome old-2 active"]
    );
    case.repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
    assert_eq!(
        case.repo.recorded(),
        ["welcome new-1 active", "welcome new-2 active"]
    );
}

#[test]
fn rows_of_the_old_id_count_where_there_are_none_of_the_new_one() {
    let case = Case::with(&format!(
        "{WELCOME}[automation.welcome.fields]\nname = \"{{{{ name }}}}\"\n[automation.vip]\ntrigger_code = \"code-v\"\n\
         {CRM}where.status = \"in\"\n\
         [source.orders]\ncsv = \"orders.csv\"\ncontact = \"no\"\n[[enrol]]\nautomation = \"vip\"\nsource = \"orders\"\n{MERGES}"
    ));
    // Where both have rows, those of the old one are left out, though they would match and have other fields.
    case.repo.write(
        "crm.csv",
        "id,status,name\nold-1,in,Old\nnew-1,out,New\nold-2,in,Two\nold-3,in,X\nnew-3,in,Y\n",
    );
    case.repo.write("orders.csv", "no\nold-1\nold-2\n");
    case.list(&[("old-1", "new-1"), ("old-2", "new-2"), ("old-3", "new-3")]);
    assert_eq!(
        case.apply(),
        [
            "trigger vip new-1 -> active",
            "trigger vip new-2 -> active",
            "trigger welcome new-2 -> active",
            "trigger welcome new-3 -> active",
        ]
    );
    let explained = case.repo.run(&["explain", "old-2", "--fields"]).exits(0);
    assert!(explained.stdout.contains("Two"), "{}", explained.stdout);
}

#[test]
fn who_runs_under_both_ids_is_stopped_under_the_old_one() {
    let case = with_list();
    case.crm(&["old-1", "new-1"]);
    case.list(&[]);
    case.apply();
    case.list(&[("old-1", "new-1")]);
    case.crm(&["new-1"]);
    assert_eq!(case.apply(), ["stop welcome old-1 -> stopped"]);
    assert_eq!(case.spotler.running().len(), 1);
    assert_eq!(case.plan(), [""; 0]);
    case.repo.run(&["plan", "--detailed-exitcode"]).exits(0);
    // Nothing of the person is left to stop or trigger under the old one.
    case.list(&[]);
    case.crm(&["old-1"]);
    assert_eq!(case.plan(), [""; 0]);
}

#[test]
fn a_stop_under_the_old_id_that_failed_is_tried_again_where_nothing_runs_under_the_new_one() {
    let case = with_list();
    case.crm(&["old-1", "new-1"]);
    case.list(&[]);
    case.apply();
    case.list(&[("old-1", "new-1")]);
    case.set("[[suppress]]\ncontacts = [\"new-1\"]\nreason = \"objected\"\n");
    let fault = json!([{ "fault": "revoked", "contact": "old-1" }]);
    case.spotler.fault(fault);
    case.repo.apply().exits(3);
    assert_eq!(case.spotler.running().len(), 1);
    case.spotler.fault(json!([]));
    case.repo.apply().exits(0);
    assert_eq!(case.spotler.running(), []);
    assert_eq!(case.plan(), [""; 0]);
}

/// The person was let go under the new id and is active under the old one, and both are merged. The rows of the new one have
/// this status from now on.
fn let_go_under_the_new_id(settings: &str, status: &str) -> Case {
    let case = Case::with(&format!(
        "[guard]\nmax_stops = 100\n{WELCOME}on_leave = \"keep\"\n{settings}{CRM}\
         where.status = \"in\"\nstay.phase = \"open\"\n{MERGES}"
    ));
    let rows = |text: &str| {
        case.repo
            .write("crm.csv", format!("id,status,phase\n{text}"))
    };
    rows("old-1,in,open\nnew-1,in,open\n");
    case.list(&[]);
    case.apply();
    rows("old-1,in,open\nnew-1,in,closed\n");
    case.apply();
    case.list(&[("old-1", "new-1")]);
    rows(&format!("new-1,{status}\nother,out,open\n"));
    case
}

#[test]
fn who_is_active_under_the_old_id_alone_is_not_triggered_and_stays_and_goes_as_anybody() {
    // Declared, or declared to whom is in alone.
    for status in ["in,open", "out,open"] {
        let case = let_go_under_the_new_id("", status);
        assert_eq!(case.plan(), [""; 0], "{status}");
        case.apply();
        assert_eq!(case.repo.plan().json()["summary"]["unchanged"], 1);
        assert_eq!(case.spotler.ledger().len(), 2, "{status}");
    }
    // Not declared: it runs out, as `on_leave` says.
    let case = let_go_under_the_new_id("", "in,closed");
    assert_eq!(case.apply(), [""; 0]);
    assert_eq!(
        case.repo.recorded(),
        ["welcome new-1 let-go", "welcome old-1 let-go"]
    );
    assert_eq!(case.spotler.ledger().len(), 2);
}

#[test]
fn who_was_active_under_the_old_id_until_it_ended_is_triggered_again_by_again_after_alone() {
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 23);
    for (again, expected) in [
        ("", ""),
        ("again_after = \"22d\"\n", "trigger welcome new-1"),
    ] {
        let settings = format!("runs_for = \"21d\"\n{again}");
        let case = let_go_under_the_new_id(&settings, "in,open");
        let plan = ["plan", "--format", "json", "--now", &now.to_string()];
        let plan = case.repo.run(&plan).exits(0);
        assert_eq!(plan.actions().concat(), expected);
    }
}

#[test]
fn who_is_suppressed_under_either_id_is_suppressed_under_both() {
    for suppressed in ["old-1", "new-1"] {
        let case = with_list();
        case.crm(&["old-1", "new-2"]);
        case.list(&[]);
        case.apply();
        case.list(&[("old-1", "new-1"), ("old-2", "new-2")]);
        let other = suppressed.replace('1', "2");
        case.set(&format!(
            "[[suppress]]\ncontacts = [{suppressed:?}, {other:?}]\nreason = \"objected\"\n"
        ));
        case.crm(&["new-1", "new-2", "new-3"]);
        assert_eq!(
            case.repo.plan().exits(0).actions(),
            [
                "stop welcome new-1",
                "stop welcome new-2",
                "trigger welcome new-3"
            ]
        );
        let apply = case.repo.run(&["apply", "--yes", "--format", "json"]);
        apply.exits(0);
        let stopped: Vec<String> = case.spotler.ledger();
        assert!(
            stopped.contains(&"stop code-w old-1".to_owned()),
            "{stopped:?}"
        );
        assert_eq!(
            case.repo.recorded(),
            [
                "welcome new-1 stopped",
                "welcome new-2 stopped",
                "welcome new-3 active"
            ]
        );
    }
}

#[test]
fn a_refusal_stops_who_is_suppressed_by_another_id() {
    let case = with_list();
    case.crm(&["old-1"]);
    case.list(&[]);
    case.apply();
    case.list(&[("old-1", "new-1")]);
    case.crm(&["new-2", "new-3"]);
    case.set("[guard]\nmax_triggers = 1\n[[suppress]]\ncontacts = [\"new-1\"]\n");
    let done = case.repo.apply().exits(4);
    assert!(
        done.stderr.contains(
            "These stops needed the ids that people keep, so these are on record already: 1 merged."
        ),
        "{}",
        done.stderr
    );
    assert!(
        case.spotler
            .ledger()
            .contains(&"stop code-w old-1".to_owned())
    );
    assert_eq!(case.repo.recorded(), ["welcome new-1 stopped"]);
}

#[test]
fn cooldown_and_doubts_carry_over() {
    let case = Case::with(&format!("{WELCOME}cooldown = \"30d\"\n{CRM}{MERGES}"));
    case.crm(&["old-1", "old-2"]);
    case.list(&[]);
    case.spotler.fault(json!([
        { "kind": "trigger", "contact": "old-2", "fault": "reset-after" }
    ]));
    case.repo.apply().exits(3);
    assert_eq!(case.repo.recorded()[1], "welcome old-2 uncertain");
    // The one is stopped and cooling, the other in doubt: also under their new ids.
    case.repo.write("crm.csv", "id\nold-2\n");
    case.apply();
    case.crm(&["new-1", "new-2"]);
    case.list(&[("old-1", "new-1"), ("old-2", "new-2")]);
    let plan = case.repo.plan().exits(0);
    assert_eq!(plan.actions(), [""; 0]);
    let held = plan.json()["held"].clone();
    let held: Vec<String> = (held.as_array().unwrap().iter())
        .map(|of| format!("{} {}", of["contact"], of["state"]).replace('"', ""))
        .collect();
    assert_eq!(held, ["new-1 cooling", "new-2 uncertain"]);
    case.apply();
    assert_eq!(
        case.repo.recorded(),
        ["welcome new-1 stopped", "welcome new-2 uncertain"]
    );
    assert_eq!(case.plan(), [""; 0]);
    case.repo
        .run(&["resolve", "--as", "active", "--contact", "old-2", "--yes"])
        .exits(0);
    assert_eq!(case.repo.recorded()[1], "welcome new-2 active");
}

#[test]
fn a_limit_counts_what_was_sent_to_either_id() {
    let case = Case::with(&format!(
        "{WELCOME}[automation.vip]\ntrigger_code = \"code-v\"\n[limit]\nper_contact = \"1/7d\"\n{CRM}\
         [source.orders]\ncsv = \"orders.csv\"\ncontact = \"no\"\n[[enrol]]\nautomation = \"vip\"\nsource = \"orders\"\n{MERGES}"
    ));
    case.crm(&["old-1"]);
    case.repo.write("orders.csv", "no\nsomebody\n");
    case.list(&[]);
    case.apply();
    case.list(&[("old-1", "new-1")]);
    case.crm(&["new-1"]);
    case.repo.write("orders.csv", "no\nsomebody\nnew-1\n");
    let plan = case.repo.plan().exits(0);
    assert_eq!(plan.actions(), [""; 0]);
    assert_eq!(plan.json()["deferred"][0]["contact"], "new-1");
    case.apply();
    assert_eq!(case.repo.plan().json()["deferred"][0]["contact"], "new-1");
}

#[test]
fn chains_are_followed() {
    let case = with_list();
    case.crm(&["a"]);
    case.list(&[]);
    case.apply();
    case.list(&[("b", "c"), ("a", "b")]);
    assert_eq!(case.merges(), ["a > c: 1"]);
    assert_eq!(case.plan(), [""; 0]);
    case.apply();
    // A merge that was made goes on to where the list leads from there.
    case.list(&[("c", "d")]);
    assert_eq!(case.merges(), ["c > d: 1"]);
    case.apply();
    case.list(&[]);
    assert_eq!(case.repo.recorded(), ["welcome d active"]);
    assert_eq!(case.plan(), [""; 0]);
    case.crm(&["d"]);
    assert_eq!(case.plan(), [""; 0]);
}

#[test]
fn where_spotler_does_not_know_the_first_id_of_a_chain_a_stop_tries_each_of_the_others() {
    let case = with_list();
    case.crm(&["a", "z"]);
    case.list(&[]);
    case.apply();
    case.list(&[("b", "c"), ("a", "b")]);
    case.crm(&["z"]);
    // Spotler may have made one contact of a and b, and none of that and c.
    case.spotler.put("unknown", &json!(["a"]));
    let calls = case.spotler.calls();
    case.apply();
    assert_eq!(case.spotler.calls(), calls + 3);
    let history = case.repo.run(&["history", "c", "--format", "json"]).json();
    let outcomes: Vec<_> = (history["calls"].as_array().unwrap().iter())
        .map(|call| call["outcome"].as_str().unwrap())
        .collect();
    let tried = ["active", "not-carried-out", "not-carried-out", "stopped"];
    assert_eq!(outcomes, tried);
    let recorded = ["welcome c stopped", "welcome z active"];
    assert_eq!(case.repo.recorded(), recorded);
}

#[test]
fn a_circle_and_two_targets_for_one_id_are_errors_that_show_both() {
    let case = with_list();
    case.crm(&["a"]);
    let refused = |pairs: &[(&str, &str)], more: &str| {
        case.list(pairs);
        case.set(more);
        case.repo.run(&["validate"]).exits(1);
        let done = case.repo.run(&["plan"]).exits(1);
        let words = done.stderr.split_whitespace().filter(|word| *word != "│");
        words.collect::<Vec<_>>().join(" ")
    };
    let two = refused(&[("a", "b"), ("a", "c")], "");
    assert!(
        two.contains(
            "a is merged with two ids: with b (source merges: merges.csv, row 2), and with c (source merges: merges.csv, row 3)"
        ),
        "{two}"
    );
    let circle = refused(&[("a", "b")], &by_name(&["b"], "a"));
    assert!(
        circle.contains("these ids are merged in a circle: a → b → a (source merges: merges.csv, row 2; rollcall.toml:"),
        "{circle}"
    );
    let own = refused(&[("a", "a")], "");
    assert!(own.contains("in a circle: a → a"), "{own}");
    let empty = refused(&[("", "b"), ("", "c")], "");
    assert!(
        empty.contains("column old, which [[merged]] reads, is empty; all 2 rows are so"),
        "{empty}"
    );
    // Nor does a merge that was made hide one.
    case.list(&[("a", "z")]);
    case.set("");
    case.repo.apply().exits(0);
    case.repo.apply().exits(0);
    let hidden = refused(&[("a", "b"), ("b", "a")], "");
    assert!(hidden.contains("in a circle: a → b → a"), "{hidden}");
    case.set("");
    // The same pair twice is none.
    case.list(&[("a", "b"), ("a", "b")]);
    case.set(&by_name(&["a"], "b"));
    case.repo.run(&["validate"]).exits(0);
}

#[test]
fn an_old_id_that_was_never_on_record_is_kept_from_it_by_the_list_alone() {
    let case = with_list();
    case.crm(&["old-1", "new-1"]);
    case.list(&[("old-1", "new-1")]);
    assert_eq!(case.apply(), ["trigger welcome new-1 -> active"]);
    assert_eq!(case.plan(), [""; 0]);
    case.list(&[("else", "other")]);
    assert_eq!(case.plan(), ["trigger welcome old-1"]);
}

#[test]
fn ids_that_are_named_are_read_as_those_that_are_kept() {
    let case = Case::with(&format!(
        "{WELCOME}[automation.vip]\ntrigger_code = \"code-v\"\n\
         [source.crm]\ncsv = \"crm.csv\"\ncontact = \"id\"\n\
         [[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\ncontacts = [\"old-1\", \"old-2\"]\n\
         [[enrol]]\nautomation = \"vip\"\nwhere.level = \"gold\"\n[contact.old-3]\nlevel = \"gold\"\n\
         [[enrol]]\nautomation = \"vip\"\ncontacts = [\"old-1\", \"new-1\"]\n\
         [[expect]]\ncontact = \"old-1\"\nin = [\"welcome\", \"vip\"]\n{MERGES}"
    ));
    case.crm(&["new-1", "old-2", "new-3"]);
    case.list(&[("old-1", "new-1"), ("old-2", "new-2"), ("old-3", "new-3")]);
    assert_eq!(
        case.apply(),
        [
            "trigger vip new-1 -> active",
            "trigger welcome new-1 -> active",
            "trigger welcome new-2 -> active",
            "trigger vip new-3 -> active",
        ]
    );
    let part = case
        .repo
        .run(&["roster", "--contact", "old-1", "--format", "csv"]);
    assert_eq!(part.exits(0).stdout.lines().count(), 3);
    for id in ["old-1", "new-1"] {
        let explained = case.repo.run(&["explain", id, "--format", "json"]).exits(0);
        let text = &explained.stdout;
        assert!(text.contains("\"active\""), "{text}");
        assert_eq!(
            explained.json()["merged"],
            serde_json::json!(["new-1", "old-1"])
        );
    }
    let explained = case.repo.run(&["explain", "old-1"]).exits(0).stdout;
    let begin = "old-1\none person with new-1 ([[merged]]), who keeps the id new-1\n";
    assert!(explained.starts_with(begin), "{explained}");
    assert!(
        explained.contains("record: active  as new-1  since"),
        "{explained}"
    );
}

#[test]
fn queries_and_the_record_in_them_have_the_ids_that_are_kept() {
    let case = Case::with(&format!(
        "{WELCOME}[automation.vip]\ntrigger_code = \"code-v\"\n{CRM}\
         [source.again]\nfrom = [\"crm\"]\ncontact = \"contact\"\n\
         query = \"select contact from record where automation = 'welcome' and contact in ('new-1', 'third')\"\n\
         [[enrol]]\nautomation = \"vip\"\nsource = \"again\"\n\
         [source.all]\nfrom = [\"crm\"]\ncontact = \"id\"\nquery = \"select id from crm where id = 'old-2'\"\n\
         [[enrol]]\nautomation = \"vip\"\nsource = \"all\"\n{MERGES}"
    ));
    let toml = std::fs::read_to_string(case.repo.file("rollcall.toml")).unwrap();
    let toml = toml.replace("csv = \"crm.csv\"\n", "csv = \"crm.csv\"\nmin_rows = 1\n");
    case.repo.write("rollcall.toml", toml);
    case.crm(&["old-1", "third"]);
    case.list(&[]);
    case.apply();
    assert_eq!(case.plan(), ["trigger vip third"]);
    case.apply();
    case.crm(&["new-1", "third", "old-2"]);
    case.list(&[("old-1", "new-1"), ("old-2", "new-2")]);
    let wanted = [
        "trigger vip new-1 -> active",
        "trigger vip new-2 -> active",
        "trigger welcome new-2 -> active",
    ];
    assert_eq!(case.apply(), wanted);
    case.list(&[]);
    case.crm(&["new-1", "third", "new-2"]);
    assert_eq!(case.plan(), ["stop vip new-2"]);
}

#[test]
fn a_list_may_have_conditions_and_is_protected_as_others_are() {
    let case = Case::with(&format!(
        "{WELCOME}{CRM}[source.merges]\ncsv = \"merges.csv\"\nmin_rows = 1\nmax_shrink = \"50%\"\n\
         [[merged]]\nsource = \"merges\"\nfrom = \"old\"\nto = \"new\"\nwhere.kind = \"merge\"\n"
    ));
    case.crm(&["old-1", "old-2"]);
    case.repo.write(
        "merges.csv",
        "old,new,kind\nold-1,new-1,merge\nold-2,new-2,split\n,,none\n",
    );
    assert_eq!(
        case.apply(),
        [
            "trigger welcome new-1 -> active",
            "trigger welcome old-2 -> active"
        ]
    );
    case.repo
        .write("merges.csv", "old,new,kind\nold-1,new-1,merge\n");
    let shrunk = case.repo.run(&["plan"]).exits(1);
    assert!(shrunk.stderr.contains("max_shrink"), "{}", shrunk.stderr);
    case.repo.write("merges.csv", "old,new,kind\n");
    let short = case.repo.run(&["plan"]).exits(1);
    assert!(short.stderr.contains("min_rows"), "{}", short.stderr);
    // An enrolment needs to know whom its rows are of.
    case.set("[[enrol]]\nautomation = \"welcome\"\nsource = \"merges\"\n");
    let wrong = case.repo.run(&["validate"]).exits(1);
    assert!(
        wrong.stderr.contains("[source.merges] has no `contact`"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_list_that_ran_dry_makes_nobody_two_people() {
    let case = with_list();
    case.crm(&["old-1", "new-1"]);
    case.list(&[("old-1", "new-1")]);
    case.apply();
    case.repo.write("merges.csv", "old,new\n");
    let done = case.repo.apply().exits(4);
    assert!(
        done.stderr
            .contains("source merges has no rows, and had 1 at the last apply"),
        "{}",
        done.stderr
    );
    assert_eq!(case.triggers().len(), 1);
}

#[test]
fn a_list_that_was_cut_merges_nobody() {
    let case = with_list();
    case.crm(&["old-1", "old-2", "new-1", "new-2"]);
    case.list(&[("old-1", "new-1")]);
    case.apply();
    // The last row was to say new-22.
    case.repo
        .write("merges.csv", "old,new\nold-1,new-1\nold-2,new-2");
    let refused = case.repo.apply().exits(4).stderr;
    let told = refused.replace("\n  ", " ");
    assert!(
        told.contains("source merges ends in the middle of a line"),
        "{told}"
    );
    assert!(told.contains("1 id merged"), "{told}");
    case.list(&[("old-1", "new-1"), ("old-2", "new-22")]);
    case.apply();
    assert!(
        case.repo
            .recorded()
            .contains(&"welcome new-2 active".to_owned())
    );
}

#[test]
fn what_a_merge_explains_is_not_the_same_people_under_another_name() {
    let case = with_list();
    case.crm(&["00012", "c-2"]);
    case.list(&[]);
    case.apply();
    case.crm(&["12", "C-2", "c-3"]);
    case.repo.apply().exits(4);
    case.list(&[("00012", "12"), ("c-2", "C-2")]);
    assert_eq!(case.apply(), ["trigger welcome c-3 -> active"]);
}

#[test]
fn a_saved_plan_makes_the_merges_that_it_shows() {
    let case = with_list();
    case.crm(&["old-1"]);
    case.list(&[]);
    case.apply();
    case.crm(&["new-1", "new-2"]);
    case.list(&[("old-1", "new-1")]);
    case.repo.run(&["plan", "--out", "plan.json"]).exits(0);
    let done = case.repo.run(&["apply", "plan.json", "--yes"]).exits(0);
    assert!(
        done.stdout.contains("Applied: 1 triggered, 1 merged."),
        "{}",
        done.stdout
    );
    assert_eq!(
        case.repo.recorded(),
        ["welcome new-1 active", "welcome new-2 active"]
    );
    case.repo.run(&["apply", "plan.json", "--yes"]).exits(1);
}

#[test]
fn a_plan_shows_merges_in_every_form() {
    let case = with_list();
    case.crm(&["old-1"]);
    case.list(&[]);
    case.apply();
    case.crm(&["new-1"]);
    case.list(&[("old-1", "new-1")]);
    let line = "old-1 is new-1 now: 1 participation";
    for format in ["text", "markdown", "html"] {
        let plan = case.repo.run(&["plan", "--format", format]).exits(0).stdout;
        assert!(plan.contains(line), "{format}: {plan}");
        assert!(plan.contains("1 to merge"), "{format}: {plan}");
    }
    // A summary names nobody.
    let plan = case.repo.run(&["plan", "--summary"]).exits(0).stdout;
    assert!(
        !plan.contains("old-1") && plan.contains("1 to merge"),
        "{plan}"
    );
}

#[test]
fn a_block_says_what_it_needs() {
    let case = Case::with(WELCOME);
    for (block, wanted) in [
        ("from = \"a\"\nto = \"b\"", "this block has no `source`"),
        ("from = []\nto = \"b\"", "`from` names nobody"),
        ("from = [\"a\"]", "[[merged]] has no `to`"),
        ("to = \"b\"", "[[merged]] has no `from`"),
        (
            "from = [\"a\"]\nto = \"b\"\nwhere.x = \"y\"",
            "`where` is for a `source`",
        ),
        (
            "source = \"none\"\nfrom = \"a\"\nto = \"b\"",
            "no source \"none\"",
        ),
        (
            "source = \"m\"\nfrom = [\"a\"]\nto = \"b\"",
            "`from` names ids, and this block has a `source`",
        ),
    ] {
        case.set(&format!(
            "[source.m]\ncsv = \"m.csv\"\ncontact = \"c\"\n[[merged]]\n{block}\n"
        ));
        let done = case.repo.run(&["validate", "--no-sources"]).exits(1);
        assert!(done.stderr.contains(wanted), "{block}: {}", done.stderr);
    }
    case.repo.write("m.csv", "old,new\n");
    case.set(
        "[source.m]\ncsv = \"m.csv\"\n[[merged]]\nsource = \"m\"\nfrom = \"od\"\nto = \"new\"\n",
    );
    let done = case.repo.run(&["validate"]).exits(1);
    assert!(
        done.stderr.contains("`od` is not a column of source m")
            && done.stderr.contains("did you mean `old`?"),
        "{}",
        done.stderr
    );
}
