//! `roster`: who is declared, by which block, and whom a suppression leaves out.

mod common;

use common::Repo;
use serde_json::json;

const CONFIG: &str = r#"
[spotler]
base_url = "http://127.0.0.1:9"

[automation.customer]
trigger_code = "code-1"

[automation.review]
trigger_code = "code-2"
repeat_by = "order"

[source.crm]
csv = "crm.csv"
contact = "id"

[[enrol]]
automation = "customer"
source = "crm"
where.status = "customer"
fields.company = "{{ company }}"

[[enrol]]
automation = "review"
source = "crm"
where.order = { exists = true }

[[enrol]]
automation = "customer"
contacts = ["=named"]

[[suppress]]
contacts = ["c-9"]
reason = "objected to marketing"
"#;

fn repo() -> Repo {
    let repo = Repo::with(CONFIG);
    repo.write(
        "crm.csv",
        "id,status,order,company\nc-2,customer,,MARKER\nc-1,customer,o-1,MARKER\nc-1,customer,o-2,MARKER\nc-9,customer,o-9,MARKER\n",
    );
    repo
}

#[test]
fn all_who_are_declared_are_listed_with_their_blocks() {
    let repo = repo();
    let said = repo.run(&["roster"]).exits(0);
    assert_eq!(
        said.stdout,
        "=named  customer  (rollcall.toml:27)\n\
         c-1  customer  (rollcall.toml:16)\n\
         c-1  review  occurrence o-1  (rollcall.toml:22)\n\
         c-1  review  occurrence o-2  (rollcall.toml:22)\n\
         c-2  customer  (rollcall.toml:16)\n"
    );
    let csv = repo.run(&["roster", "--format", "csv", "--automation", "customer"]);
    assert_eq!(
        csv.exits(0).stdout,
        "contact,automation,occurrence,declared_at\n\
         '=named,customer,,rollcall.toml:27\n\
         c-1,customer,,rollcall.toml:16\n\
         c-2,customer,,rollcall.toml:16\n"
    );
    let of = ["roster", "--format", "json", "--contact", "c-1"];
    let document = repo.run(&of).exits(0).json();
    assert_eq!(
        document["enrolments"][1],
        json!({
            "contact": "c-1", "automation": "review", "occurrence": "o-1", "declared_at": "rollcall.toml:22"
        })
    );
    assert_eq!(document["enrolments"].as_array().unwrap().len(), 3);
    assert!(!repo.has_state());
    let nobody = repo.run(&["roster", "--contact", "c-3"]).exits(0);
    assert_eq!(nobody.stdout, "");
    assert!(nobody.stderr.contains("Nobody is declared."));
    repo.run(&["roster", "--automation", "custmer"]).exits(1);
}

#[test]
fn whom_a_suppression_leaves_out_is_listed_with_the_reason() {
    let repo = repo();
    let of = |format| ["roster", "--left-out", "suppress", "--format", format];
    assert_eq!(
        repo.run(&of("text")).exits(0).stdout,
        "c-9  customer  (rollcall.toml:16)  suppressed: objected to marketing (rollcall.toml:31)\n\
         c-9  review  occurrence o-9  (rollcall.toml:22)  suppressed: objected to marketing (rollcall.toml:31)\n"
    );
    let csv = repo.run(&of("csv")).exits(0).stdout;
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some("contact,automation,occurrence,declared_at,left_out_by,reason,left_out_at")
    );
    assert_eq!(
        lines.next(),
        Some("c-9,customer,,rollcall.toml:16,suppress,objected to marketing,rollcall.toml:31")
    );
    let document = repo.run(&of("json")).exits(0).json();
    assert_eq!(
        document["left_out"][0]["left_out"],
        json!({ "by": "suppress", "reason": "objected to marketing", "at": "rollcall.toml:31" })
    );
    let by_another = repo.run(&["roster", "--left-out", "require"]).exits(0);
    assert_eq!(by_another.stdout, "");
}
