//! A source in a database says what a file with the same rows says, and what is wrong with it is told in one sentence.

mod common;

use common::sql::Sql;
use common::{Done, Repo};

const AUTOMATION: &str = "[spotler]\nbase_url = \"sandbox\"\n[automation.welcome]\ntrigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\n";

/// A repository that enrols by a condition from a query of a database.
fn repo(settings: &str, condition: &str) -> Repo {
    let source =
        format!("[source.shop]\ndatabase = \"$SHOP_DATABASE_URL\"\ncontact = \"id\"\n{settings}\n");
    let enrol = format!("[[enrol]]\nautomation = \"welcome\"\nsource = \"shop\"\n{condition}\n");
    Repo::with(&format!("{AUTOMATION}{source}{enrol}"))
}

/// The same with a SQLite file, of which the variable tells.
fn with_file(settings: &str, condition: &str, tables: &str) -> Repo {
    let repo = repo(settings, condition).env("SHOP_DATABASE_URL", "sqlite:shop.db");
    Sql::open(&repo.file("shop.db")).run(tables);
    repo
}

/// What was said, on one line and without the frame of a terminal's.
fn plain(done: &Done) -> String {
    let text = done.stderr.replace(['│', '×'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

const CUSTOMERS: &str = "CREATE TABLE customers (id TEXT, status TEXT, revenue REAL, vip BOOLEAN, last_order TEXT);
    INSERT INTO customers VALUES ('c1', 'customer', 12.5, 1, '2026-01-01'), ('c2', 'prospect', 3, 0, NULL),
        ('c3', 'customer', NULL, NULL, ''), ('c4', NULL, 1e21, 1, '2020-02-03T10:00:00Z')";

const ALL: &str = "query = \"select * from customers\"";

#[test]
fn a_query_of_a_file_enrols_whom_its_rows_say() {
    for (condition, wanted) in [
        ("", &["c1", "c2", "c3", "c4"][..]),
        ("where.status = \"customer\"", &["c1", "c3"]),
        ("where.status = { exists = false }", &["c4"]),
        ("where.status = { not = \"customer\" }", &["c2", "c4"]),
        ("where.revenue = 12.5", &["c1"]),
        ("where.revenue = 3", &["c2"]),
        ("where.revenue = { min = 4 }", &["c1", "c4"]),
        ("where.vip = true", &["c1", "c4"]),
        ("where.vip = { exists = false }", &["c3"]),
        ("where.last_order = { before = 2026-01-01 }", &["c4"]),
        ("where.last_order = { exists = false }", &["c2", "c3"]),
    ] {
        let repo = with_file(ALL, condition, CUSTOMERS);
        let wanted: Vec<String> = wanted
            .iter()
            .map(|id| format!("trigger welcome {id}"))
            .collect();
        assert_eq!(repo.plan().actions(), wanted, "{condition}");
    }
}

#[test]
fn a_query_is_read_once_and_what_is_sent_is_what_was_read() {
    let repo = with_file(
        ALL,
        "fields.revenue = \"{{ revenue }}\"\nwhere.vip = true",
        CUSTOMERS,
    );
    let said = repo.apply().exits(0).actions();
    assert_eq!(
        said,
        [
            "trigger welcome c1 -> active",
            "trigger welcome c4 -> active"
        ]
    );
    assert_eq!(repo.plan().actions(), [""; 0]);
    let explained = repo.run(&["explain", "c2"]).exits(0);
    assert!(
        explained.stdout.contains("vip is false, wanted true"),
        "{}",
        explained.stdout
    );
}

#[test]
fn a_query_that_writes_or_is_several_changes_nothing_and_is_an_error() {
    for (query, says) in [
        (
            "delete from customers returning *",
            "does not take the query, which begins with \"delete\"",
        ),
        (
            "select 1; delete from customers",
            "does not take the query, which has several statements",
        ),
        (
            "select 1) ; delete from customers where (1",
            "parenthesis that does not end",
        ),
        (
            "select * from customers where id = :today",
            "wants a value for :today",
        ),
        ("pragma user_version = 7", "begins with \"pragma\""),
    ] {
        let repo = with_file(
            &format!("query = \"{}\"", query.replace('"', "\\\"")),
            "",
            CUSTOMERS,
        );
        let done = repo.run(&["plan"]).exits(1);
        assert!(plain(&done).contains(says), "{query}: {}", done.stderr);
        let left = Sql::open(&repo.file("shop.db")).texts("SELECT count(*) || '' FROM customers");
        assert_eq!(left, ["4"], "{query}");
    }
}

#[test]
fn what_is_wrong_with_a_query_is_told_in_one_sentence() {
    for (query, says) in [
        (
            "select * from nowhere",
            "source shop: $SHOP_DATABASE_URL does not take the query: no such table: nowhere",
        ),
        (
            "select nobody from customers",
            "$SHOP_DATABASE_URL asks for column \"nobody\", which there is not",
        ),
        (
            "select status from customers",
            "$SHOP_DATABASE_URL has no column \"id\", which should hold the contacts",
        ),
        (
            "select id, status, revenue as status from customers",
            "$SHOP_DATABASE_URL gives two columns named \"status\"",
        ),
        (
            "select id, 1 as '' from customers",
            "$SHOP_DATABASE_URL has \"\" as the name of column number 2, and it is empty",
        ),
        (
            "select null as id",
            "$SHOP_DATABASE_URL names no contact in row 1: column id is empty",
        ),
        (
            "select 'c' || char(10) as id",
            "as the contact in row 1, column id, and it holds the control character",
        ),
        (
            "select 'c1' as id, x'ff' as b",
            "gives bytes that are no text in row 1, column b",
        ),
        (
            "select 'c1' as id, 'a' || char(0) as b",
            "holds a NUL byte in row 1, column b",
        ),
    ] {
        let repo = with_file(&format!("query = '''{query}'''"), "", CUSTOMERS);
        let done = repo.run(&["plan"]).exits(1);
        assert!(plain(&done).contains(says), "{query}: {}", done.stderr);
        assert!(done.stdout.is_empty() && !repo.has_state());
    }
}

#[test]
fn a_file_that_is_not_there_or_is_something_else_is_refused() {
    let repo = repo(ALL, "").env("SHOP_DATABASE_URL", "sqlite:shop.db");
    assert!(plain(&repo.run(&["plan"]).exits(1)).contains("$SHOP_DATABASE_URL does not exist"));
    assert!(!repo.file("shop.db").exists());
    repo.write("shop.db", "");
    assert!(plain(&repo.run(&["plan"]).exits(1)).contains("is not a database of SQLite"));
    repo.write("shop.db", "id,status\nc1,customer\n".repeat(100));
    assert!(plain(&repo.run(&["plan"]).exits(1)).contains("is not a database of SQLite"));
}

#[test]
fn a_variable_that_says_nothing_is_told_and_validates_without_sources() {
    let repo = repo(ALL, "");
    let done = repo.run(&["plan"]).exits(1);
    assert!(
        plain(&done).contains("source shop: $SHOP_DATABASE_URL is not set"),
        "{}",
        done.stderr
    );
    assert!(plain(&done).contains("set SHOP_DATABASE_URL to a URL"));
}

#[test]
fn what_the_file_may_not_hold_is_refused_and_never_shown() {
    for (database, says) in [
        (
            "postgres://me:hush@db.example/shop",
            "`database` holds a password, which does not belong in a file",
        ),
        (
            "mysql://me:hush@db.example/shop",
            "`database` holds a password, which does not belong in a file",
        ),
        (
            "oracle://me:hush@db.example/shop",
            "begins with none of `postgres:`, `mysql:` and `sqlite:`",
        ),
        (
            "mysql://db.example/shop?allowLoadLocalInfile=true",
            "which is not known here; known are socket",
        ),
        ("$9", "does not name an environment variable"),
    ] {
        let source = format!(
            "[source.shop]\ndatabase = \"{database}\"\nquery = \"select 1\"\ncontact = \"id\"\n"
        );
        let repo = Repo::with(&source);
        let done = repo.run(&["validate"]).exits(1);
        assert!(plain(&done).contains(says), "{database}: {}", done.stderr);
        let repo = Repo::with(&source.replace(database, "$SHOP")).env("SHOP", database);
        let done = repo.run(&["validate"]).exits(1);
        assert!(!done.stderr.contains("hush"), "{database}: {}", done.stderr);
    }
}

#[test]
fn settings_of_files_are_refused_for_a_query() {
    for setting in [
        "max_age = \"1d\"",
        "delimiter = \";\"",
        "dates = \"%d\"",
        "csv = \"x.csv\"",
        "from = [\"shop\"]",
    ] {
        let repo = with_file(&format!("{ALL}\n{setting}"), "", CUSTOMERS);
        let done = repo.run(&["validate"]).exits(1);
        let key = setting.split(' ').next().unwrap();
        assert!(
            plain(&done).contains(&format!("`{key}`")),
            "{setting}: {}",
            done.stderr
        );
    }
}

#[test]
fn a_query_with_too_few_rows_is_refused() {
    let repo = with_file(&format!("{ALL}\nmin_rows = 5"), "", CUSTOMERS);
    let done = repo.run(&["plan"]).exits(1);
    assert!(
        plain(&done).contains("$SHOP_DATABASE_URL has fewer rows than min_rows = 5: 4"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_query_that_has_lost_its_rows_is_refused() {
    let repo = with_file(&format!("{ALL}\nmax_shrink = \"30%\""), "", CUSTOMERS);
    repo.apply().exits(0);
    Sql::open(&repo.file("shop.db")).run("DELETE FROM customers WHERE id > 'c2'");
    let done = repo.run(&["plan"]).exits(1);
    assert!(
        plain(&done).contains("source shop has 2 rows, and had 4 at the last apply"),
        "{}",
        done.stderr
    );
}

#[test]
fn why_somebody_is_out_is_asked_of_the_database_that_left_the_row_out() {
    let repo = with_file(
        "query = \"select * from customers\"",
        "where.status = \"customer\"\n",
        CUSTOMERS,
    );
    let shown = repo.run(&["explain", "c2"]).exits(0).stdout;
    let asked = "a plan asks the database of source shop for the rows where ((typeof(\"status\")";
    assert!(shown.contains(asked), "{shown}");
    repo.apply().exits(0);
    Sql::open(&repo.file("shop.db")).run("UPDATE customers SET status = 'gone' WHERE id = 'c1'");
    let said = repo.run(&["plan", "--format", "json"]).exits(0).json();
    assert_eq!(
        said["actions"][0]["reason"],
        "status is \"gone\", wanted \"customer\""
    );
    Sql::open(&repo.file("shop.db")).run("DELETE FROM customers WHERE id = 'c1'");
    let said = repo.run(&["plan", "--format", "json"]).exits(0).json();
    assert_eq!(said["actions"][0]["reason"], "not in source shop any more");
}

#[test]
fn a_name_in_double_quotes_that_is_none_is_no_text() {
    let query = "query = 'select id, \"staus\" as status from customers'";
    let done = with_file(query, "", CUSTOMERS).run(&["plan"]).exits(1);
    let wanted = "asks for column \"staus\", which there is not";
    assert!(plain(&done).contains(wanted), "{}", done.stderr);
    let query = "query = 'select \"id\", \"rowid\" as n from \"customers\" as \"c d\"'";
    with_file(query, "", CUSTOMERS).run(&["plan"]).exits(0);
}

#[test]
fn a_query_that_takes_too_long_is_given_up() {
    let query = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) as id from n";
    let repo = with_file(
        &format!("query = \"{query}\"\ntimeout = \"1s\""),
        "",
        CUSTOMERS,
    );
    let done = repo.run(&["plan"]).exits(1);
    let said = plain(&done);
    assert!(
        said.contains("$SHOP_DATABASE_URL did not give all rows within timeout = 1 second"),
        "{said}"
    );
    assert!(said.contains("[source.shop]"), "{said}");
}
