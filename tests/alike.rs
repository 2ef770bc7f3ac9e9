//! The same rows give the same enrolments wherever they lie, whether their database leaves rows out or not.
#![cfg(unix)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::sql::Sql;
use common::{Repo, mariadb, postgres};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

const TEXTS: [&str; 14] = [
    "a", "A", "a ", " a", "b", "é", "E\u{301}", "ß", "o'b", "\\", "a\\'b", "%", "1", "",
];
const NUMBERS: [&str; 9] = [
    "0",
    "1",
    "-1",
    "0.1",
    "0.10",
    "12.50",
    "0.1000000000000000000055",
    "9007199254740993",
    "-0.5",
];
const DAYS: [&str; 6] = [
    "2026-03-01",
    "2025-03-01",
    "2026-02-28",
    "2026-03-29",
    "2024-02-29",
    "2020-01-01",
];
const TIMES: [&str; 5] = [
    "2026-03-01T00:00:00",
    "2026-02-28T23:30:00",
    "2026-03-29T02:30:00",
    "2025-03-01T12:00:00",
    "2026-03-02T22:59:59",
];
/// The columns: for the three databases, their types.
const COLUMNS: [(&str, [&str; 3]); 7] = [
    ("id", ["text", "varchar(40) collate utf8mb4_bin", "text"]),
    (
        "status",
        ["text", "varchar(40) character set utf8mb4", "text"],
    ),
    (
        "Order \"Total\"",
        ["numeric(40,22)", "decimal(40,22)", "text"],
    ),
    ("n", ["bigint", "bigint", "integer"]),
    ("vip", ["boolean", "boolean", "boolean"]),
    ("day", ["date", "date", "text"]),
    ("at", ["timestamp", "datetime", "text"]),
];

/// A cell of a column, as a file has it.
fn cell(random: &mut StdRng, column: usize, row: usize) -> String {
    let none = column > 0 && random.random_ratio(1, 6);
    match column {
        _ if none => String::new(),
        0 => format!("c-{}", row / 2),
        1 => (*TEXTS.choose(random).unwrap()).to_owned(),
        2 => (*NUMBERS.choose(random).unwrap()).to_owned(),
        3 => random.random_range(-2..3).to_string(),
        4 => random.random::<bool>().to_string(),
        5 => (*DAYS.choose(random).unwrap()).to_owned(),
        _ => (*TIMES.choose(random).unwrap()).to_owned(),
    }
}

/// A condition on a column.
fn condition(random: &mut StdRng, column: usize) -> String {
    let value = |random: &mut StdRng| loop {
        let cell = cell(random, column, 0);
        match column {
            _ if cell.trim().is_empty() => {}
            0 | 1 => return format!("'''{cell}'''"),
            _ => return cell,
        }
    };
    let (one, two) = (value(random), value(random));
    let is_range = matches!(column, 2 | 3 | 5 | 6);
    let is_time = matches!(column, 5 | 6);
    match random.random_range(0..10) {
        0 => format!("{{ exists = {} }}", random.random::<bool>()),
        1 => format!("{{ not = {one} }}"),
        2 => format!("[{one}, {two}]"),
        3 if is_range && !is_time => format!("{{ min = {one} }}"),
        4 if is_range && !is_time => format!("{{ max = {one} }}"),
        3 if is_time => format!("{{ after = {one} }}"),
        4 if is_time => format!("{{ before = {one} }}"),
        5 if is_time => format!("{{ within = \"{}d\" }}", random.random_range(0..400)),
        6 if is_time => format!("{{ older_than = \"{}d\" }}", random.random_range(0..400)),
        7 if is_time => format!("{{ within_next = \"{}d\" }}", random.random_range(0..400)),
        8 if is_time => format!(
            "{{ anniversary_within_next = \"{}d\" }}",
            random.random_range(0..99)
        ),
        _ => one,
    }
}

fn key(name: &str) -> String {
    format!("{name:?}")
}

fn literal(cell: &str, column: usize, backslashes: bool) -> String {
    match column {
        _ if cell.is_empty() && column != 1 => "null".to_owned(),
        4 => cell.to_owned(),
        _ => {
            let cell = cell.replace('\'', "''");
            format!(
                "'{}'",
                if backslashes {
                    cell.replace('\\', "\\\\")
                } else {
                    cell
                }
            )
        }
    }
}

fn script(rows: &[Vec<String>], which: usize) -> String {
    let quote = |name: &str| match which {
        1 => format!("`{name}`"),
        _ => format!("\"{}\"", name.replace('"', "\"\"")),
    };
    let columns = COLUMNS.map(|(name, types)| format!("{} {}", quote(name), types[which]));
    let mut script = format!("CREATE TABLE t ({});", columns.join(", "));
    for row in rows {
        let cells = row.iter().enumerate();
        let cells: Vec<String> = cells
            .map(|(column, cell)| literal(cell, column, which == 1))
            .collect();
        script += &format!("INSERT INTO t VALUES ({});", cells.join(", "));
    }
    script
}

#[test]
fn the_same_rows_give_the_same_enrolments_wherever_they_lie() {
    let (Some(server), Some(maria)) = (postgres::Server::shared(), mariadb::Server::shared())
    else {
        return;
    };
    let rounds = std::env::var("ROLLCALL_ROUNDS").map_or(4, |rounds| rounds.parse().unwrap());
    let first = std::env::var("ROLLCALL_SEED").map_or(1, |seed| seed.parse().unwrap());
    let (mut declared, mut left) = (0, 0);
    for seed in first..first + rounds {
        let random = &mut StdRng::seed_from_u64(seed);
        let rows: Vec<Vec<String>> = (0..40)
            .map(|row| {
                (0..COLUMNS.len())
                    .map(|column| cell(random, column, row))
                    .collect()
            })
            .collect();
        let (pg, my) = (server.database(), maria.database());
        postgres::run(&pg, &script(&rows, 0));
        mariadb::run(&my, &script(&rows, 1));
        let mut blocks: Vec<String> = Vec::new();
        for _ in 0..12 {
            let columns: BTreeSet<usize> = (0..2)
                .map(|_| random.random_range(0..COLUMNS.len()))
                .collect();
            let conditions = columns.iter().map(|column| {
                format!(
                    "where.{} = {}\n",
                    key(COLUMNS[*column].0),
                    condition(random, *column)
                )
            });
            blocks.push(conditions.collect());
        }
        let places = ["file", "postgres", "mariadb", "sqlite"];
        let mut config =
            "[spotler]\nbase_url = \"sandbox\"\n[time]\nzone = \"Europe/Amsterdam\"\n".to_owned();
        // Each block has sources of its own, so that no other wants their rows.
        let names = || {
            let pairs = (0..blocks.len()).flat_map(|number| places.map(|place| (place, number)));
            pairs.map(|(place, number)| (place, number, format!("{place}-{number}")))
        };
        for (place, number, name) in names() {
            let rows = match place {
                "file" => "csv = \"t.csv\"\n".to_owned(),
                place => format!(
                    "database = \"${}\"\nquery = \"select * from t\"\n",
                    place.to_uppercase()
                ),
            };
            config += &format!(
                "[source.{name}]\n{rows}contact = \"id\"\nmin_rows = 40\n\
                 [automation.{name}]\ntrigger_code = \"{name}\"\n\
                 [[enrol]]\nautomation = \"{name}\"\nsource = \"{name}\"\n{}",
                blocks[number]
            );
        }
        let repo = Repo::with(&config)
            .env("POSTGRES", &pg)
            .env("MARIADB", &my)
            .env("SQLITE", "sqlite:t.db");
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(COLUMNS.map(|(name, _)| name)).unwrap();
        rows.iter().for_each(|row| csv.write_record(row).unwrap());
        repo.write("t.csv", csv.into_inner().unwrap());
        Sql::open(&repo.file("t.db")).run(&script(&rows, 2));
        let enrolments = || {
            let args = [
                "roster",
                "--format",
                "json",
                "--now",
                "2026-03-29T12:00:00Z",
            ];
            let json = repo.run(&args).exits(0).json();
            let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for of in json["enrolments"].as_array().unwrap() {
                let name = of["automation"].as_str().unwrap().to_owned();
                found
                    .entry(name)
                    .or_default()
                    .push(of["contact"].to_string());
            }
            found
        };
        let narrowed = enrolments();
        // A query over a source wants all of its rows.
        for (_, _, name) in names() {
            config += &format!(
                "[source.all-{name}]\nfrom = [\"{name}\"]\nquery = 'select id from \"{name}\"'\ncontact = \"id\"\n"
            );
        }
        let shown = repo.run(&["explain", "c-0"]).exits(0).stdout;
        repo.write("rollcall.toml", &config);
        left += shown.matches("asks the database").count();
        let all = repo.run(&["explain", "c-0"]).exits(0).stdout;
        assert!(!all.contains("asks the database"), "{all}");
        assert_eq!(enrolments(), narrowed, "ROLLCALL_SEED={seed}\n{shown}");
        for (number, block) in blocks.iter().enumerate() {
            let of = |place: &str| narrowed.get(&format!("{place}-{number}"));
            for place in &places[1..] {
                assert_eq!(
                    of(place),
                    of("file"),
                    "ROLLCALL_SEED={seed}, {place}: {block}"
                );
            }
            declared += of("file").map_or(0, Vec::len);
        }
    }
    assert!(declared > 0 && left > 0);
    println!("{rounds} rounds: {declared} enrolments of each, {left} conditions left to databases");
}

/// What a source says of rows in a database, where the database may leave rows out and where it may not.
fn said(url: &str, condition: &str) -> [String; 2] {
    let config = format!(
        "[spotler]\nbase_url = \"sandbox\"\n[source.shop]\ndatabase = \"$SHOP\"\nquery = \"select * from t\"\n\
         contact = \"id\"\nmin_rows = 1\n[automation.a]\ntrigger_code = \"a\"\n[[enrol]]\nautomation = \"a\"\n\
         source = \"shop\"\nwhere.a = {condition}\n"
    );
    let all =
        "[source.all]\nfrom = [\"shop\"]\nquery = \"select id from shop\"\ncontact = \"id\"\n";
    [config.clone(), format!("{config}{all}")].map(|config| {
        let repo = Repo::with(&config).env("SHOP", url);
        if let Some(script) = url.strip_prefix("sqlite:t.db?") {
            Sql::open(&repo.file("t.db")).run(script);
        }
        let repo = match url.starts_with("sqlite:") {
            true => repo.env("SHOP", "sqlite:t.db"),
            false => repo,
        };
        let done = repo.run(&["plan", "--format", "json", "--now", "2026-03-29T12:00:00Z"]);
        let plan = done.stdout.split("\"actions\"").nth(1).unwrap_or_default();
        let errors = done.stderr.lines().filter(|line| line.contains('×'));
        // Rows are numbered as they come.
        let errors = errors.collect::<String>();
        let words = errors
            .split(' ')
            .filter(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
        format!(
            "{:?} {plan} {}",
            done.code,
            words.collect::<Vec<_>>().join(" ")
        )
    })
}

#[test]
fn what_cannot_be_read_is_an_error_though_the_database_may_leave_rows_out() {
    let Some(server) = postgres::Server::shared() else {
        return;
    };
    let Some(maria) = mariadb::Server::shared() else {
        return;
    };
    let after = "{ after = 2026-01-01 }";
    let (before, old) = ("{ before = 2026-01-01 }", "{ older_than = \"30d\" }");
    let mut wrong = 0;
    for (is_maria, kind, cells, condition) in [
        (false, "numeric", "1), ('c-2', 'NaN'", "1"),
        (false, "date", "'2026-03-01'), ('c-2', 'infinity'", before),
        (
            false,
            "date",
            "'2026-03-01'), ('c-2', '-infinity'), ('c-3', 'infinity'",
            after,
        ),
        (
            false,
            "timestamp",
            "'2026-03-01'), ('c-2', '0044-03-15 BC'",
            after,
        ),
        (false, "date", "'2026-03-01'), ('c-2', '10000-01-01'", old),
        (
            false,
            "text",
            "'x'), ('caf\u{e9}', 'x'), ('cafe\u{301}', 'y'",
            "\"x\"",
        ),
        (false, "text", "'x'), ('', 'y'", "\"x\""),
        (false, "text", "'x'), (null, 'y'", "\"x\""),
        (false, "text", "'x'), (' c-2', 'y'", "\"x\""),
        (false, "text", "'x'), ('c\u{200b}', 'y'", "\"x\""),
        (true, "tinyint(1)", "1), ('c-2', 7", "true"),
        (true, "date", "'2026-03-01'), ('c-2', '0000-00-00'", after),
        (
            true,
            "datetime",
            "'2026-03-01'), ('c-2', '2020-00-15'",
            after,
        ),
        (true, "varchar(9)", "'x'), ('c\u{200b}', 'y'", "\"x\""),
        (true, "varchar(9)", "'x'), ('', 'y'", "\"x\""),
        (
            true,
            "varchar(9) character set latin1",
            "'x'), ('c-2', 'y'",
            "[\"x\", \"\u{416}\"]",
        ),
    ] {
        let id = if is_maria {
            "varchar(40) character set utf8mb4"
        } else {
            "text"
        };
        let script =
            format!("CREATE TABLE t (id {id}, a {kind}); INSERT INTO t VALUES ('c-1', {cells})");
        let url = match is_maria {
            true => {
                let url = maria.database();
                mariadb::run(&url, &format!("SET SESSION sql_mode = ''; {script}"));
                url
            }
            false => {
                let url = server.database();
                postgres::run(&url, &script);
                url
            }
        };
        let [narrowed, all] = said(&url, condition);
        assert_eq!(narrowed, all, "{script}: {condition}");
        wrong += usize::from(all.starts_with("Some(1)"));
    }
    for cells in [
        "'x'), ('caf\u{e9}', 'x'), ('cafe\u{301}', 'y'",
        "'x'), ('', 'y'",
        "'x'), (' c', 'y'",
    ] {
        let script =
            format!("CREATE TABLE t (id TEXT, a TEXT); INSERT INTO t VALUES ('c-1', {cells})");
        let [narrowed, all] = said(&format!("sqlite:t.db?{script}"), "\"x\"");
        assert_eq!(narrowed, all, "{script}");
        wrong += usize::from(all.starts_with("Some(1)"));
    }
    assert!(wrong > 15, "{wrong}");
}
