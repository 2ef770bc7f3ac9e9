//! A source on a server says what it says in a file, and what goes wrong on the way ends the run before anything is planned.
#![cfg(unix)]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use common::sql::Sql;
use common::{Done, Repo, mariadb, postgres};

const CONFIG: &str = "[spotler]\nbase_url = \"sandbox\"\n[time]\nzone = \"Europe/Amsterdam\"\n\
    [automation.welcome]\ntrigger_code = \"0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11\"\n";

/// A repository whose source is a query of a database.
fn repo(url: &str, query: &str, more: &str) -> Repo {
    let source = format!(
        "[source.shop]\ndatabase = \"$SHOP_DATABASE_URL\"\ncontact = \"id\"\nquery = '''{query}'''\n"
    );
    let enrol = "[[enrol]]\nautomation = \"welcome\"\nsource = \"shop\"\n";
    Repo::with(&format!("{CONFIG}{source}{enrol}{more}\n")).env("SHOP_DATABASE_URL", url)
}

/// What was said, on one line and without the frame of a terminal's.
fn plain(done: &Done) -> String {
    let text = done.stderr.replace(['│', '×'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One table on each server, with the types that it has, and what its cells are as text.
const TYPES: [(&str, &str, &str, &str, &str); 13] = [
    ("t", "text", "text", "text", "' Jan \"de\" Boer, €'"),
    ("c", "char(6)", "char(6)", "text", "'NL'"),
    ("i", "bigint", "bigint", "integer", "-12"),
    (
        "d",
        "numeric(20,2)",
        "decimal(20,2)",
        "text",
        "'123456789012345678.50'",
    ),
    ("f", "double precision", "double", "real", "0.1"),
    ("g", "real", "float", "real", "16777216"),
    ("b", "boolean", "boolean", "boolean", "true"),
    ("y", "date", "date", "text", "'2025-03-01'"),
    (
        "l",
        "timestamp",
        "datetime(6)",
        "text",
        "'2025-03-01 12:00:00.5'",
    ),
    ("u", "bytea", "blob", "blob", "'crm'"),
    ("n", "text", "text", "text", "null"),
    ("e", "text", "text", "text", "''"),
    (
        "m",
        "timestamptz",
        "timestamp null",
        "text",
        "'2025-07-01 12:00:00'",
    ),
];

const TEXTS: [&str; 13] = [
    " Jan \"de\" Boer, €",
    "NL",
    "-12",
    "123456789012345678.50",
    "0.1",
    "16777216",
    "true",
    "2025-03-01",
    "2025-03-01T12:00:00.5",
    "crm",
    "",
    "",
    "2025-07-01T12:00:00Z",
];

/// The statements that make the table with types of this place.
fn table(types: impl Fn(&(&str, &str, &str, &str, &str)) -> String) -> String {
    let columns: Vec<String> = TYPES
        .iter()
        .map(|of| format!("{} {}", of.0, types(of)))
        .collect();
    let values: Vec<&str> = TYPES.iter().map(|of| of.4).collect();
    format!(
        "CREATE TABLE shop (id varchar(20), {}); INSERT INTO shop VALUES ('c1', {});",
        columns.join(", "),
        values.join(", ")
    )
}

fn has_texts(url: &str, query: &str, file: impl FnOnce(&Repo)) {
    // What is absent has no place in a template of its own.
    let there = || TYPES.iter().zip(TEXTS).filter(|(_, text)| !text.is_empty());
    let template: Vec<String> = there()
        .map(|((name, ..), _)| format!("[{{{{ {name} }}}}]"))
        .collect();
    let more = format!(
        "where.n = {{ exists = false }}\nwhere.e = {{ exists = false }}\nwhere.b = true\nwhere.i = -12\n\
         where.y = 2025-03-01\nwhere.l = {{ min = 2025-03-01T12:00:00, max = 2025-03-01T12:00:01 }}\n\
         where.m = 2025-07-01T12:00:00Z\nwhere.f = 0.1\nfields.all = '{}'",
        template.join("")
    );
    let repo = repo(url, query, &more);
    file(&repo);
    repo.apply().exits(0);
    // The same from a file gives the same digest of fields: nothing is to be done.
    let header: Vec<&str> = TYPES.iter().map(|of| of.0).collect();
    let cells: Vec<String> = TEXTS
        .iter()
        .map(|text| format!("\"{}\"", text.replace('"', "\"\"")))
        .collect();
    repo.write(
        "shop.csv",
        format!("id,{}\nc1,{}\n", header.join(","), cells.join(",")),
    );
    let config = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
    let start = config.find("database = ").unwrap();
    let end = config.find("contact = ").unwrap();
    let query = config.find("query = ").unwrap();
    let query_end = config.find("[[enrol]]").unwrap();
    let of_file = format!(
        "{}csv = \"shop.csv\"\n{}{}",
        &config[..start],
        &config[end..query],
        &config[query_end..]
    );
    repo.write(
        "rollcall.toml",
        of_file.replace("trigger_code", "on_change = \"retrigger\"\ntrigger_code"),
    );
    assert_eq!(repo.plan().actions(), [""; 0]);
}

#[test]
fn a_type_has_the_same_text_in_every_database_and_in_a_file() {
    has_texts("sqlite:shop.db", "select * from shop", |repo| {
        let script = table(|of| of.3.to_owned()).replace("'crm'", "x'63726d'");
        let texts = script.replace("01 12:00:00.5", "01T12:00:00.5");
        Sql::open(&repo.file("shop.db"))
            .run(&texts.replace("'2025-07-01 12:00:00'", "'2025-07-01T12:00:00Z'"));
    });
    if let Some(server) = postgres::Server::shared() {
        let url = server.database();
        postgres::run(
            &url,
            &format!("SET timezone = 'UTC'; {}", table(|of| of.1.to_owned())),
        );
        has_texts(&url, "select * from shop", |_| ());
    }
    if let Some(server) = mariadb::Server::shared() {
        let url = server.database();
        mariadb::run(
            &url,
            &format!("SET time_zone = '+00:00'; {}", table(|of| of.2.to_owned())),
        );
        has_texts(&url, "select * from shop", |_| ());
    }
}

/// The URL of a database with a table on each server that is there.
fn databases() -> Vec<String> {
    let script = "CREATE TABLE shop (id varchar(20), status varchar(20)); \
                  INSERT INTO shop VALUES ('c1', 'customer'), ('c2', null), ('c3', 'Customer')";
    let postgres = postgres::Server::shared().map(|server| {
        let url = server.database();
        postgres::run(&url, script);
        url
    });
    let mariadb = mariadb::Server::shared().map(|server| {
        let url = server.database();
        mariadb::run(&url, script);
        url
    });
    postgres.into_iter().chain(mariadb).collect()
}

#[test]
fn a_query_enrols_whom_its_rows_say() {
    for url in databases() {
        for (query, wanted) in [
            (
                "select * from shop where status = 'customer' -- done",
                &["c1"][..],
            ),
            ("select id, status from shop;\n", &["c1"]),
            ("with s as (select * from shop) select * from s", &["c1"]),
        ] {
            let repo = repo(&url, query, "where.status = \"customer\"");
            let wanted: Vec<String> = wanted
                .iter()
                .map(|id| format!("trigger welcome {id}"))
                .collect();
            assert_eq!(repo.plan().actions(), wanted, "{query}");
        }
    }
}

#[test]
fn a_query_that_writes_or_is_several_changes_nothing_and_is_an_error() {
    for url in databases() {
        let is_mysql = url.starts_with("mysql");
        for query in [
            "delete from shop",
            "select 1 as id; delete from shop",
            "select 1 as id) as q; delete from shop where id in (select id from shop",
            "update shop set status = 'x'",
            "insert into shop values ('c4', 'customer')",
            "drop table shop",
            "with gone as (delete from shop returning *) select * from gone",
        ] {
            let done = repo(&url, query, "").run(&["plan"]).exits(1);
            let said = plain(&done);
            assert!(
                said.contains("source shop: $SHOP_DATABASE_URL does not take the query"),
                "{query}: {said}"
            );
            assert!(!said.contains("hush"), "{said}");
            let count = "SELECT concat(count(*), '') FROM shop";
            let left = match is_mysql {
                true => mariadb::run(&url, count),
                false => postgres::run(&url, count),
            };
            assert_eq!(left, ["3"], "{query}");
        }
    }
}

#[test]
fn an_error_that_a_function_of_the_database_makes_of_a_cell_does_not_show_it() {
    let Some(server) = postgres::Server::shared() else {
        return;
    };
    let url = server.database();
    let script = "CREATE TABLE shop (id text); INSERT INTO shop VALUES ('Zq7GeheimWx'); \
                  CREATE FUNCTION complain(id text) RETURNS text LANGUAGE plpgsql AS \
                  $$ BEGIN RAISE EXCEPTION 'bad cell %', id; END $$";
    postgres::run(&url, script);
    for query in [
        "select complain(id) as id from shop",
        "select id::int as id from shop",
    ] {
        let done = repo(&url, query, "").run(&["plan"]).exits(1);
        assert!(
            plain(&done).contains("does not take the query"),
            "{}",
            done.stderr
        );
        assert!(
            !format!("{}{}", done.stdout, done.stderr).contains("Zq7GeheimWx"),
            "{query}"
        );
    }
}

#[test]
fn what_is_wrong_is_told_in_one_sentence_and_no_secret_is() {
    for url in databases() {
        let (slow, name) = match url.starts_with("mysql") {
            true => ("select sleep(30) as id", "mysql"),
            false => ("select pg_sleep(30)::text as id", "postgres"),
        };
        let other = url.rsplit_once('/').unwrap().0;
        let port = url.rsplit_once(':').unwrap().1.split('/').next().unwrap();
        for (url, query, says) in [
            (
                url.clone(),
                "select status from shop",
                "has no column \"id\", which should hold the contacts",
            ),
            (
                url.clone(),
                "select id, nobody from shop",
                "does not take the query: ",
            ),
            (
                url.clone(),
                "select id, status, id as status from shop",
                "gives two columns named \"status\"",
            ),
            (
                url.clone(),
                "select id, status from nowhere",
                "does not take the query: ",
            ),
            (
                url.clone(),
                slow,
                "did not give all rows within timeout = 1 second",
            ),
            (
                url.replace("hush-hush", "hush-not"),
                "select 1",
                "does not let the user in",
            ),
            (
                format!("{other}/nowhere_hush"),
                "select 1",
                "does not take the query: ",
            ),
            (
                url.replace(&format!(":{port}/"), ":1/"),
                "select 1",
                "cannot be reached",
            ),
        ] {
            let repo = repo(&url, query, "");
            let config = std::fs::read_to_string(repo.file("rollcall.toml")).unwrap();
            repo.write(
                "rollcall.toml",
                config.replace("contact = \"id\"", "contact = \"id\"\ntimeout = \"1s\""),
            );
            let done = repo.run(&["plan"]).exits(1);
            let said = plain(&done);
            assert!(
                said.contains(says) && said.contains("$SHOP_DATABASE_URL"),
                "{name} {query}: {said}"
            );
            assert!(!said.contains("hush-"), "{said}");
            assert!(done.stdout.is_empty(), "{}", done.stdout);
        }
    }
}

/// Stands between a run and a server, and ends the connection once so many bytes have come from there.
fn cut_off(url: &str, after: usize) -> String {
    let (user, rest) = url.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = server.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let (mut bytes, mut left) = ([0; 4096], after);
            while let Ok(len @ 1..) = server.read(&mut bytes)
                && left > 0
            {
                let len = len.min(left);
                left -= len;
                if client.write_all(&bytes[..len]).is_err() {
                    break;
                }
            }
            let _ = client.shutdown(std::net::Shutdown::Both);
            let _ = server.shutdown(std::net::Shutdown::Both);
        }
    });
    format!("{user}@127.0.0.1:{port}/{database}")
}

#[test]
fn a_server_that_goes_away_among_the_rows_ends_the_run() {
    for url in databases() {
        let query = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 900) \
                     select concat('c', i) as id, 'some text that is long enough' as t from n";
        assert_eq!(repo(&url, query, "").plan().actions().len(), 900);
        for after in [9_000, 20_000] {
            let done = repo(&cut_off(&url, after), query, "")
                .run(&["plan"])
                .exits(1);
            let said = plain(&done);
            assert!(
                said.contains("$SHOP_DATABASE_URL ended the connection before all rows were there"),
                "{said}"
            );
            assert!(done.stdout.is_empty(), "{}", done.stdout);
        }
    }
}
