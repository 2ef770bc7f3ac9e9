//! `explain`: of one contact, for every automation, in or out and why.

mod common;

use common::{Repo, Spotler};
use serde_json::{Value, json};

const CONFIG: &str = r#"
[spotler]
base_url = "URL"
rate = "10000/s"

[automation.customer]
trigger_code = "code-1"

[automation.customer.fields]
company = "{{ company }}"

[automation.review]
trigger_code = "code-2"
repeat_by = "order"

[automation.unused]
trigger_code = "code-3"

[automation.winback]
trigger_code = "code-4"
leave_after = "48h"

[source.crm]
csv = "crm.csv"
contact = "id"

[[enrol]]
automation = "customer"
source = "crm"
where.status = "customer"
where.country = ["NL", "BE"]

[[enrol]]
automation = "review"
source = "crm"
where.order.exists = true

[[enrol]]
automation = "winback"
source = "crm"
where.status = "ex-customer"

[[suppress]]
contacts = ["c-9"]
reason = "objected to marketing"
"#;

fn repo(spotler: &Spotler) -> Repo {
    let repo = Repo::with(&CONFIG.replace("URL", &spotler.url()));
    repo.write(
        "crm.csv",
        "id,status,country,company,order\n\
         c-1,customer,NL,One,o-1\nc-1,customer,NL,One,o-2\nc-2,ex-customer,NL,Two,\nc-9,customer,NL,Nine,\n",
    );
    repo.apply().exits(0);
    repo
}

#[test]
fn each_automation_is_explained_by_blocks_conditions_record_and_plan() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    repo.write(
        "crm.csv",
        "id,status,country,company,order\n\
         c-1,customer,DE,Uno,o-2\nc-2,customer,NL,Two,\n",
    );
    let at = ["--now", "2126-01-01T00:00:00Z"];
    let explain = |contact: &str| {
        repo.run(&["explain", contact, at[0], at[1]])
            .exits(0)
            .stdout
    };
    // The times are those of the run, so they are cut out.
    let shown = |text: String| {
        let mut words = Vec::new();
        for word in text.split(' ') {
            words.push(match word.contains('T') && word.contains('Z') {
                true => "TIME".to_owned() + word.split_once('Z').unwrap().1,
                false => word.to_owned(),
            });
        }
        words.join(" ")
    };
    insta::assert_snapshot!("changed", shown(explain("c-1")));
    insta::assert_snapshot!("leaving", shown(explain("c-2")));
    insta::assert_snapshot!("suppressed", shown(explain("c-9")));
    insta::assert_snapshot!("unknown", shown(explain("c-404")));
}

#[test]
fn a_program_can_read_it() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    let json = repo
        .run(&["explain", "c-1", "--format", "json"])
        .exits(0)
        .json();
    let automations = json["automations"].as_array().unwrap();
    let named = |name: &str| -> &Value {
        let of = |a: &&Value| a["automation"] == name;
        automations.iter().find(of).unwrap()
    };
    assert_eq!(named("customer")["in"], true);
    assert_eq!(named("customer")["record"][0]["state"], "active");
    assert_eq!(named("customer")["record"][0]["fields_changed"], false);
    assert_eq!(named("customer")["plan"], json!([]));
    let blocks = &named("review")["blocks"];
    assert_eq!(blocks[0]["occurrence"], "o-1");
    assert_eq!(blocks[1]["row"], 3);
    assert_eq!(named("unused")["blocks"], json!([]));
    assert_eq!(
        named("winback")["blocks"][0]["reasons"],
        json!(["status is \"customer\", wanted \"ex-customer\""])
    );
}

#[test]
fn the_values_of_fields_are_shown_where_somebody_asks_for_them_and_on_standard_output_alone() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    let without = repo.run(&["explain", "c-1"]).exits(0);
    assert!(!without.stdout.contains("One"), "{}", without.stdout);
    let text = repo.run(&["explain", "c-1", "--fields", "-vv"]).exits(0);
    assert!(
        text.stdout.contains("\n  field company  One\n"),
        "{}",
        text.stdout
    );
    assert!(!text.stderr.contains("One"), "{}", text.stderr);
    let json = ["explain", "c-1", "--fields", "--format", "json"];
    let json = repo.run(&json).exits(0).json();
    let automations = json["automations"].as_array().unwrap();
    let customer = automations.iter().find(|of| of["automation"] == "customer");
    assert_eq!(
        customer.unwrap()["fields"],
        json!([{
            "occurrence": null,
            "values": [{ "name": "company", "type": "string", "value": "One" }]
        }])
    );
    // Nothing is sent for whoever is suppressed.
    let suppressed = repo.run(&["explain", "c-9", "--fields"]).exits(0);
    assert!(!suppressed.stdout.contains("Nine"), "{}", suppressed.stdout);
}

#[test]
fn an_automation_that_is_gone_from_the_configuration_is_explained_too() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    let (before, after) = CONFIG.split_once("[automation.winback]").unwrap();
    let rest = after.split_once("[source.crm]").unwrap().1;
    let blocks = rest.replace("automation = \"winback\"", "automation = \"unused\"");
    let config = format!("{before}[source.crm]{blocks}").replace("URL", &spotler.url());
    repo.write("rollcall.toml", config);
    let text = repo.run(&["explain", "c-2"]).exits(0).stdout;
    assert!(
        text.contains(
            "winback: out\n  the automation is gone from the configuration\n  record: active"
        ),
        "{text}"
    );
    assert!(
        text.contains("  plan: stop  the automation is gone"),
        "{text}"
    );
}

#[test]
fn what_waits_is_reported_to_wait_as_in_the_plan_of_all() {
    let spotler = Spotler::open();
    let text = |head: &str, automation: &str| {
        format!(
            "[spotler]\nbase_url = {:?}\n{head}\n[automation.welcome]\ntrigger_code = \"code-w\"\n{automation}\n\
             [[enrol]]\nautomation = \"welcome\"\ncontacts = [\"c-1\", \"c-2\", \"c-3\"]\n",
            spotler.url()
        )
    };
    let repo = Repo::new();
    let planned = |contact: &str| {
        let night = "2026-11-23T22:00:00Z";
        let args = ["explain", contact, "--format", "json", "--now", night];
        let plan = repo.run(&args).exits(0).json()["automations"][0]["plan"].clone();
        let [only] = &plan.as_array().unwrap()[..] else {
            panic!("{plan}");
        };
        (
            only["action"].as_str().unwrap().to_owned(),
            only["reason"].as_str().unwrap().to_owned(),
        )
    };
    repo.write("rollcall.toml", text("", "max_per_run = 2"));
    assert_eq!(planned("c-2").0, "trigger");
    let (action, reason) = planned("c-3");
    assert_eq!(action, "deferred");
    assert!(reason.contains("max_per_run"), "{reason}");
    repo.write(
        "rollcall.toml",
        text("[window]\ntriggers = \"Mon-Fri 08:00-18:00 UTC\"", ""),
    );
    let (action, reason) = planned("c-1");
    assert_eq!(action, "deferred");
    assert!(reason.contains("window"), "{reason}");
    let told = repo
        .run(&["explain", "c-1", "--now", "2026-11-23T22:00:00Z"])
        .exits(0)
        .stdout;
    assert!(told.contains("plan: deferred"), "{told}");
}

#[test]
fn a_plan_for_nobody_says_so() {
    let spotler = Spotler::open();
    let repo = repo(&spotler);
    let told = "is the id right?";
    for (contact, is_known) in [("nobdy", false), ("c-1", true), ("c-9", true)] {
        let done = repo.run(&["plan", "--contact", contact]).exits(0);
        assert_eq!(!done.stderr.contains(told), is_known, "{}", done.stderr);
    }
    repo.apply().exits(0);
    let done = repo.run(&["plan", "--contact", "c-1"]).exits(0);
    assert!(!done.stderr.contains(told), "{}", done.stderr);
}
