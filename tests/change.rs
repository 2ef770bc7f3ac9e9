//! Fields that change while a participation is active, and products from several rows.

mod common;

use common::{Repo, Spotler};
use serde_json::json;

fn repo(spotler: &Spotler, settings: &str) -> Repo {
    let url = spotler.url();
    let repo = Repo::with(&format!(
        r#"
[spotler]
base_url = "{url}"
rate = "10000/s"

[automation.welcome]
trigger_code = "code-1"
{settings}

[automation.welcome.fields]
company = "{{{{ company }}}}"

[source.crm]
csv = "crm.csv"
contact = "id"

[[enrol]]
automation = "welcome"
source = "crm"
"#
    ));
    repo.write("crm.csv", "id,company,order\nc-1,One,o-1\nc-2,Two,o-2\n");
    repo.apply().exits(0);
    repo
}

#[test]
fn changed_fields_are_ignored_unless_the_automation_says_otherwise() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, "");
    repo.write("crm.csv", "id,company,order\nc-1,Uno,o-1\nc-2,Two,o-2\n");
    assert_eq!(repo.plan().actions(), [""; 0]);
}

#[test]
fn changed_fields_stop_a_participation_and_trigger_it_with_the_new_ones() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, "on_change = \"retrigger\"");
    repo.write("crm.csv", "id,company,order\nc-1,Uno,o-1\nc-2,Two,o-2\n");
    let plan = repo.plan();
    assert_eq!(plan.actions(), ["stop welcome c-1", "trigger welcome c-1"]);
    let plan = plan.json();
    assert_eq!(
        plan["actions"][0]["reason"],
        "its fields have changed; triggered again with the new ones"
    );
    assert_eq!(
        plan["actions"][1]["reason"],
        "its fields have changed; sent once the stop before it is certain"
    );
    repo.apply().exits(0);
    assert_eq!(
        spotler.ledger()[2..],
        ["stop code-1 c-1", "trigger code-1 c-1"]
    );
    assert_eq!(repo.plan().actions(), [""; 0]);
    assert_eq!(spotler.running().len(), 2);
}

#[test]
fn nothing_is_triggered_again_where_the_stop_before_it_is_not_certain() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, "on_change = \"retrigger\"");
    repo.write("crm.csv", "id,company,order\nc-1,Uno,o-1\nc-2,Two,o-2\n");
    spotler.fault(json!([{ "fault": "revoked", "kind": "stop" }]));
    repo.apply().exits(3);
    assert_eq!(spotler.ledger().len(), 2);
    spotler.fault(json!([]));
    repo.apply().exits(0);
    assert_eq!(
        spotler.ledger()[2..],
        ["stop code-1 c-1", "trigger code-1 c-1"]
    );
    assert_eq!(repo.plan().actions(), [""; 0]);
}

#[test]
fn a_change_within_the_cooldown_waits_and_the_participation_goes_on() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, "on_change = \"retrigger\"\ncooldown = \"30d\"");
    repo.write("crm.csv", "id,company,order\nc-1,Uno,o-1\nc-2,Two,o-2\n");
    let plan = repo.plan().json();
    assert_eq!(plan["actions"], json!([]));
    assert_eq!(plan["held"][0]["state"], "cooling");
    let reason = plan["held"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("goes on with the old ones"), "{reason}");
    let later = repo
        .run(&["plan", "--format", "json", "--now", "2126-01-01"])
        .exits(0);
    assert_eq!(later.actions(), ["stop welcome c-1", "trigger welcome c-1"]);
}

#[test]
fn of_several_occurrences_only_the_one_that_changed_is_renewed() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, "on_change = \"retrigger\"\nrepeat_by = \"order\"");
    let crm = "id,company,order\nc-1,One,o-1\nc-1,One,o-9\nc-2,Two,o-2\n";
    repo.write("crm.csv", crm);
    repo.apply().exits(0);
    repo.write("crm.csv", crm.replace("One,o-1", "Uno,o-1"));
    assert_eq!(
        repo.plan().actions(),
        ["stop welcome c-1 / o-1", "trigger welcome c-1 / o-1"]
    );
    repo.apply().exits(0);
    assert_eq!(
        spotler.ledger()[3..],
        ["stop code-1 c-1", "trigger code-1 c-1"]
    );
    assert_eq!(spotler.running().len(), 3);
    assert_eq!(repo.plan().actions(), [""; 0]);
}

const CARTS: &str = r#"
[spotler]
base_url = "URL"
rate = "10000/s"

[automation.cart]
trigger_code = "code-1"
repeat_by = "cart"
on_change = "retrigger"

[automation.cart.fields]
voucher = "{{ voucher }}"
productlist = { type = "productlist", values = "{{ sku }}", separator = "|", each_row = true }

[source.carts]
csv = "carts.csv"
contact = "id"

[[enrol]]
automation = "cart"
source = "carts"
"#;

#[test]
fn the_rows_of_one_occurrence_make_one_list_of_products() {
    let spotler = Spotler::open();
    let repo = Repo::with(&CARTS.replace("URL", &spotler.url()));
    let rows = "id,cart,sku,voucher\nc-1,k-1,sku-1,V\nc-2,k-2,sku-9,V\nc-1,k-1,sku-2 | sku-1,V\nc-1,k-3,sku-3,W\n";
    repo.write("carts.csv", rows);
    let applied = repo.apply().exits(0);
    assert_eq!(
        applied.actions(),
        [
            "trigger cart c-1 / k-1 -> active",
            "trigger cart c-1 / k-3 -> active",
            "trigger cart c-2 / k-2 -> active",
        ]
    );
    assert_eq!(repo.plan().actions(), [""; 0]);
    // Another product in the cart is another list; a product that is in it already is not.
    repo.write("carts.csv", rows.to_owned() + "c-2,k-2,sku-9,V\n");
    assert_eq!(repo.plan().actions(), [""; 0]);
    repo.write("carts.csv", rows.to_owned() + "c-2,k-2,sku-8,V\n");
    assert_eq!(
        repo.plan().actions(),
        ["stop cart c-2 / k-2", "trigger cart c-2 / k-2"]
    );
}

#[test]
fn rows_of_one_occurrence_that_differ_in_another_field_are_an_error() {
    let repo = Repo::with(&CARTS.replace("URL", "http://localhost:1"));
    repo.write(
        "carts.csv",
        "id,cart,sku,voucher\nc-1,k-1,sku-1,MARKER-1\nc-1,k-1,sku-2,MARKER-2\n",
    );
    let done = repo.run(&["validate"]).exits(1);
    assert!(
        done.stderr.contains(
            "contact c-1 is enrolled in cart, occurrence k-1, twice, with different fields"
        ),
        "{}",
        done.stderr
    );
    assert!(!done.stderr.contains("MARKER"), "{}", done.stderr);
}
