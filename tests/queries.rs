//! A query over other sources, and over the record: what a join says, what is refused, and what is told of it.

mod common;

use common::{Done, Repo};

const CONFIG: &str = "[spotler]\nbase_url = \"sandbox\"\n[time]\nzone = \"Europe/Amsterdam\"\n\
    [automation.welcome]\ntrigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\n\
    [automation.winback]\ntrigger_code = \"5f0e8b1c-8a53-4a0e-9d55-0f5b7c1f9d10\"\n\
    [source.crm]\ncsv = \"crm.csv\"\ncontact = \"customer_no\"\nmin_rows = 1\n\
    [source.orders]\ncsv = \"orders.csv\"\ncontact = \"customer_no\"\nmin_rows = 1\n";

const CRM: &str =
    "customer_no,status,household\nc1,customer,h1\nc2,customer,h1\nc3,prospect,h2\nc4,customer, \n";
const ORDERS: &str = "order_id,customer_no,order_date,amount\no1,c1,2026-01-10,10.50\no2,c1,2026-03-01,9\no3,c3,2025-02-01,100\n";

/// A repository with a query, and a block that enrols from it in `winback`.
fn repo(query: &str, more: &str) -> Repo {
    let source = format!(
        "[source.dormant]\nfrom = [\"crm\", \"orders\"]\nquery = '''{query}'''\ncontact = \"customer_no\"\n"
    );
    let enrol = "[[enrol]]\nautomation = \"winback\"\nsource = \"dormant\"\n";
    let repo = Repo::with(&format!("{CONFIG}{source}{enrol}{more}\n"));
    repo.write("crm.csv", CRM);
    repo.write("orders.csv", ORDERS);
    repo
}

/// What was said, on one line and without the frame of a terminal's.
fn plain(done: &Done) -> String {
    let text = done.stderr.replace(['│', '×'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn enrols(query: &str, more: &str, wanted: &[&str]) {
    let done = repo(query, more)
        .run(&["plan", "--format", "json", "--now", "2026-03-10T23:30:00Z"])
        .exits(0);
    let wanted: Vec<String> = wanted
        .iter()
        .map(|id| format!("trigger winback {id}"))
        .collect();
    assert_eq!(done.actions(), wanted, "{query}");
}

#[test]
fn an_export_that_was_cut_beneath_a_query_does_nothing() {
    let query = "select customer_no, status from crm where status <> 'prospect'";
    let repo = repo(query, "");
    repo.apply().exits(0);
    let (cut, _) = CRM.split_once("4,customer").unwrap();
    repo.write("crm.csv", format!("{cut}4,customer,h"));
    // Its last row is read as it stands.
    repo.apply().exits(0);
    repo.write("crm.csv", format!("{cut}44,customer,h"));
    let refused = plain(&repo.apply().exits(4));
    assert!(
        refused.contains("source crm ends in the middle of a line"),
        "{refused}"
    );
    repo.write("crm.csv", CRM);
    assert_eq!(repo.plan().exits(0).actions(), [""; 0]);
}

#[test]
fn who_is_no_longer_in_what_a_query_gives_is_stopped() {
    let query = "select customer_no, status from crm where status <> 'prospect'";
    for more in [
        "",
        "where.status = { exists = true }",
        "stay.status = \"customer\"",
    ] {
        let repo = repo(query, more);
        repo.apply().exits(0);
        repo.write("crm.csv", CRM.replace("c4,customer", "c4,prospect"));
        let stopped = repo.apply().exits(0).stdout;
        assert!(
            stopped.contains("not in source dormant any more"),
            "{more}: {stopped}"
        );
        assert_eq!(
            repo.recorded(),
            [
                "winback c1 active",
                "winback c2 active",
                "winback c4 stopped"
            ],
            "{more}"
        );
    }
}

#[test]
fn explain_shows_what_the_query_gave() {
    let query =
        "select customer_no, max(order_date) as last_order, count(*) as n from orders group by 1";
    let repo = repo(
        query,
        "where.last_order = { after = 2026-01-01 }\nwhere.n = { not = 9 }",
    );
    let said = repo.run(&["explain", "c1"]).exits(0).stdout;
    assert!(
        said.contains("the query gave last_order = 2026-03-01, n = 2\n"),
        "{said}"
    );
    let said = repo
        .run(&["explain", "c3", "--format", "json"])
        .exits(0)
        .json();
    let verdict = &said["automations"][1]["blocks"][0];
    assert_eq!(
        verdict["gave"],
        serde_json::json!({ "last_order": "2025-02-01", "n": "1" })
    );
    assert_eq!(verdict["in"], false);
}

#[test]
fn a_query_joins_counts_and_finds_the_last() {
    let last = "select c.customer_no, max(o.order_date) as last_order, count(o.order_id) as orders, \
                sum(o.amount) as revenue from crm c left join orders o using (customer_no) group by 1";
    enrols(last, "", &["c1", "c2", "c3", "c4"]);
    enrols(last, "where.last_order = { exists = false }", &["c2", "c4"]);
    enrols(
        last,
        "where.last_order = { older_than = \"100d\" }",
        &["c3"],
    );
    enrols(last, "where.orders = 2", &["c1"]);
    enrols(last, "where.revenue = 19.5", &["c1"]);
    enrols(last, "where.revenue = { min = 20 }", &["c3"]);
    let one = "select min(customer_no) as customer_no from crm where household is not null group by household";
    enrols(one, "", &["c1", "c3"]);
    // An absent cell is NULL, also one of white space alone.
    enrols(
        "select customer_no from crm where household is null",
        "",
        &["c4"],
    );
    // A cell is text.
    enrols(
        "select customer_no from orders where amount > '2'",
        "",
        &["c1"],
    );
}

#[test]
fn the_day_and_the_time_are_given() {
    // Half past eleven in the evening in UTC is the next day in Amsterdam.
    enrols(
        "select customer_no from crm where :today = '2026-03-11' and :now = '2026-03-10T23:30:00Z' and customer_no = 'c1';",
        "",
        &["c1"],
    );
    enrols(
        "select customer_no from orders where order_date > date(:today, '-30 days')",
        "",
        &["c1"],
    );
}

#[test]
fn a_query_over_a_query_is_fine_and_a_circle_is_not() {
    let more = |from: &str| {
        format!(
            "[source.second]\nfrom = [\"{from}\"]\nquery = \"select customer_no from {from}\"\ncontact = \"customer_no\"\nmin_rows = 1\n\
             [[enrol]]\nautomation = \"welcome\"\nsource = \"second\""
        )
    };
    let query = "select customer_no from crm where status = 'customer'";
    let mut done = repo(query, &more("dormant"));
    let text = std::fs::read_to_string(done.file("rollcall.toml")).unwrap();
    done.write(
        "rollcall.toml",
        text.replace("[source.dormant]", "[source.dormant]\nmin_rows = 1"),
    );
    assert_eq!(done.plan().actions().len(), 6);
    done = repo(query, &more("second"));
    let said = plain(&done.run(&["validate"]).exits(1));
    assert!(
        said.contains("source second asks itself: second → second"),
        "{said}"
    );
}

#[test]
fn what_a_query_may_not_be_is_told() {
    for (query, says) in [
        (
            "select customer_no, statsu from crm",
            "source dormant: its query asks for column \"statsu\", which there is not",
        ),
        (
            "select customer_no, statsu from crm",
            "did you mean \"status\"? crm has customer_no, status, household; orders has order_id",
        ),
        (
            "select c.order_id as customer_no from crm c",
            "asks for column \"c.order_id\"",
        ),
        (
            "select \"custmer_no\" as customer_no from crm",
            "asks for column \"custmer_no\", which there is not",
        ),
        (
            "select customer_no from crms",
            "its query asks \"crms\", which is not in `from`",
        ),
        (
            "select status from crm",
            "its query has no column \"customer_no\", which should hold the contacts",
        ),
        (
            "select customer_no, 1 as a, 2 as a from crm",
            "gives two columns named \"a\"",
        ),
        (
            "delete from crm",
            "`query` begins with \"delete\", and is not a `select`",
        ),
        ("select 1; select 2", "`query` has several statements"),
        ("select :yesterday", "`query` wants a value for :yesterday"),
        (
            "select null as customer_no",
            "its query names no contact in row 1: column customer_no is empty",
        ),
    ] {
        let done = repo(query, "").run(&["plan"]).exits(1);
        assert!(plain(&done).contains(says), "{query}: {}", done.stderr);
        assert!(done.stdout.is_empty());
    }
}

#[test]
fn a_query_that_takes_too_long_is_given_up() {
    let query = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) as customer_no from n";
    let repo = repo(query, "");
    let text = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let with = text.replace("[source.dormant]", "[source.dormant]\ntimeout = \"1s\"");
    repo.write("rollcall.toml", with);
    let said = plain(&repo.run(&["plan"]).exits(1));
    let wanted = "source dormant: its query did not give all rows within timeout = 1 second";
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn each_input_needs_min_rows_and_is_checked_first() {
    let query = "select customer_no from crm";
    let done = repo(query, "");
    let text = std::fs::read_to_string(done.file("rollcall.toml")).unwrap();
    done.write("rollcall.toml", text.replacen("min_rows = 1\n", "", 1));
    let said = plain(&done.run(&["validate"]).exits(1));
    assert!(
        said.contains("source crm is asked by source dormant, and has no `min_rows`"),
        "{said}"
    );
    for (name, content, says) in [
        (
            "crm.csv",
            "customer_no,status,household\n",
            "source crm: crm.csv has fewer rows than min_rows = 1: 0",
        ),
        (
            "orders.csv",
            "order_id,customer_no\no1\n",
            "source orders: orders.csv has another number of cells",
        ),
    ] {
        let done = repo(query, "");
        done.write(name, content);
        let done = done.run(&["plan"]).exits(1);
        assert!(plain(&done).contains(says), "{}", done.stderr);
        assert!(!plain(&done).contains("dormant"), "{}", done.stderr);
    }
    let unknown = repo(query, "");
    let text = std::fs::read_to_string(unknown.file("rollcall.toml")).unwrap();
    unknown.write("rollcall.toml", text.replace("\"orders\"]", "\"order\"]"));
    let said = plain(&unknown.run(&["validate"]).exits(1));
    assert!(
        said.contains("there is no source \"order\"") && said.contains("did you mean \"orders\"?"),
        "{said}"
    );
}

#[test]
fn an_input_that_has_lost_its_rows_refuses_the_query() {
    let repo = repo(
        "select customer_no from crm where household is not null",
        "",
    );
    let text = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    repo.write(
        "rollcall.toml",
        text.replacen("min_rows = 1\n", "min_rows = 1\nmax_shrink = \"30%\"\n", 1),
    );
    repo.apply().exits(0);
    repo.write("crm.csv", "customer_no,status,household\nc1,customer,h1\n");
    let said = plain(&repo.run(&["plan"]).exits(1));
    assert!(
        said.contains("source crm has 1 row, and had 4 at the last apply"),
        "{said}"
    );
}

const OF_RECORD: &str = "[source.again]\nfrom = []\nquery = '''\n\
    select contact from record where automation = 'welcome' and state = 'active' and triggered_at < :now\n\
    except select contact from record where automation = 'winback' and occurrence is null\n'''\ncontact = \"contact\"\n\
    [[enrol]]\nautomation = \"winback\"\nsource = \"again\"\n[[enrol]]\nautomation = \"welcome\"\nsource = \"crm\"\nwhere.status = \"customer\"\n";

#[test]
fn a_query_asks_the_record_as_it_was_when_the_plan_began() {
    let repo = Repo::with(&format!("{CONFIG}{OF_RECORD}"));
    repo.write("crm.csv", CRM);
    repo.write("orders.csv", ORDERS);
    let first = repo.run(&["plan", "--format", "json"]).exits(0);
    assert_eq!(
        first.actions(),
        [
            "trigger welcome c1",
            "trigger welcome c2",
            "trigger welcome c4"
        ]
    );
    assert!(
        plain(&first)
            .contains("source again asks the record, which is taken as empty: there is none yet"),
        "{}",
        first.stderr
    );
    repo.apply().exits(0);
    let later = repo
        .run(&["plan", "--format", "json", "--now", "2030-01-01T00:00:00Z"])
        .exits(0);
    assert_eq!(
        later.actions(),
        [
            "trigger winback c1",
            "trigger winback c2",
            "trigger winback c4"
        ]
    );
    assert!(
        !plain(&later).contains("taken as empty"),
        "{}",
        later.stderr
    );
    let validated = repo.run(&["validate"]).exits(0);
    assert!(
        plain(&validated).contains("which is taken as empty: `validate` reads no record"),
        "{}",
        validated.stderr
    );
}

#[test]
fn who_was_adopted_was_never_triggered() {
    let query = "select contact, automation, occurrence, state, triggered_at, stopped_at, ended_at from record";
    let config = OF_RECORD
        .split("'''")
        .enumerate()
        .map(|(place, part)| if place == 1 { query } else { part });
    let config = config.collect::<Vec<_>>().join("'''");
    let repo = Repo::with(&format!("{CONFIG}{config}").replace(
        "source = \"again\"\n",
        "source = \"again\"\nwhere.triggered_at = { exists = true }\nwhere.automation = \"welcome\"\nwhere.state = \"active\"\nwhere.stopped_at = { exists = false }\n",
    ));
    repo.write("crm.csv", CRM);
    repo.write("orders.csv", ORDERS);
    repo.run(&[
        "adopt",
        "--contact",
        "c1",
        "--automation",
        "welcome",
        "--yes",
    ])
    .exits(0);
    repo.apply().exits(0);
    assert_eq!(
        repo.plan().actions(),
        ["trigger winback c2", "trigger winback c4"]
    );
}

#[test]
fn a_record_that_apply_would_refuse_is_not_asked() {
    let repo = Repo::with(&format!("{CONFIG}{OF_RECORD}"));
    repo.write("crm.csv", CRM);
    repo.write("orders.csv", ORDERS);
    repo.apply().exits(0);
    // A copy is not the record.
    let bytes = std::fs::read(repo.file("state/rollcall.db")).unwrap();
    std::fs::write(repo.file("state/copy.db"), bytes).unwrap();
    std::fs::rename(repo.file("state/copy.db"), repo.file("state/rollcall.db")).unwrap();
    let done = repo.run(&["plan"]).exits(1);
    assert!(
        plain(&done).contains("rollcall record accept"),
        "{}",
        done.stderr
    );
    assert!(done.stdout.is_empty());
}

#[test]
fn no_source_may_take_the_name_of_the_record() {
    let config = CONFIG.replace("[source.orders]", "[source.Record]");
    let repo = Repo::with(&config);
    repo.write("crm.csv", CRM);
    repo.write("orders.csv", ORDERS);
    let said = plain(&repo.run(&["validate"]).exits(1));
    assert!(said.contains("a source cannot be called record"), "{said}");
}

#[test]
fn ids_of_inputs_that_only_the_normal_form_tells_apart_are_found() {
    let repo = repo("select 'c1' as customer_no", "");
    repo.write("crm.csv", format!("{CRM}caf\u{e9},customer,h3\n"));
    repo.write(
        "orders.csv",
        format!("{ORDERS}o4,cafe\u{301},2026-01-10,1\n"),
    );
    let said = plain(&repo.run(&["plan"]).exits(1));
    for at in [
        "source crm: crm.csv, row 6",
        "source orders: orders.csv, row 5",
    ] {
        assert!(said.contains(at), "{said}");
    }
}
