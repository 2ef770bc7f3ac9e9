//! What a roster is not made from.

use crate::config::{Span, Test, Value};
use crate::number::Number;
use crate::roster::check;
use crate::roster::testing::*;

#[test]
fn an_occurrence_that_is_empty_or_bad_is_refused_where_the_row_is_in() {
    let world = World::new(&["reviews"])
        .repeat_by(0, "order")
        .csv(
            "orders",
            "id,order,state\nc-1,,done\nc-2, 7,done\nc-3,,open\n",
        )
        .contact(
            "c-4",
            &[("order", text("x\u{1b}")), ("state", text("done"))],
        )
        .contact("c-5", &[("state", text("done"))])
        .enrol(block(&[0], Some(0)).is("state", &["done"]))
        .enrol(block(&[0], None));
    assert_eq!(
        world.problems(),
        [
            "source orders: exports/orders.csv, row 2: column order, the `repeat_by` of automation reviews, is empty",
            "source orders: exports/orders.csv, row 3: column order, the `repeat_by` of automation reviews, holds \" 7\", \
             and it has white space at its start or end",
            "contact c-4: column order, the `repeat_by` of automation reviews, holds \"x\\u{1b}\", and it holds the \
             control character U+001B",
            "contact c-5: column order, the `repeat_by` of automation reviews, is empty",
        ]
    );
}

#[test]
fn a_cell_that_cannot_be_read_is_reported_once_even_where_the_row_is_out_anyway() {
    let recent = || Test::Within(Span::Days(30));
    let world = World::new(&["customers"])
        .csv(
            "crm",
            "id,status,last\nc-1,x,\nc-2,x,yesterday\nc-3,customer,2026-11-20\n",
        )
        .enrol(
            block(&[0], Some(0))
                .is("status", &["customer"])
                .when("last", recent()),
        )
        .enrol(
            block(&[0], Some(0))
                .only(&["c-3"])
                .when("last", Test::Exists(true)),
        );
    assert_eq!(
        world.problems(),
        [
            "source crm: exports/crm.csv, row 3: column last holds \"yesterday\", which is not a date, as \
          lifecycle/customers.toml:12 wants it"
        ]
    );
    let problems = world.build().map(drop).unwrap_err();
    assert_eq!(
        problems.list[0].help.as_deref(),
        Some(
            "write dates as 2025-03-01 or 2025-03-01T12:00:00Z, and leave the cell empty if there is none"
        )
    );
}

#[test]
fn an_attribute_of_another_type_than_its_condition_is_refused() {
    let world = World::new(&["customers"])
        .contact("c-1", &[("age", text("40"))])
        .contact(
            "c-2",
            &[("age", Value::Decimal(Number::parse("40.5").unwrap()))],
        )
        .enrol(block(&[0], None).when("age", Test::Min(Value::Integer(40))));
    assert_eq!(
        world.problems(),
        [
            "contact c-1: column age holds \"40\", which is not a number, as lifecycle/customers.toml:11 wants it"
        ]
    );
}

#[test]
fn an_attribute_that_is_not_text_is_refused_by_a_condition_on_text() {
    let world = World::new(&["customers"])
        .contact("c-1", &[("age", Value::Integer(40))])
        .enrol(block(&[0], None).is("age", &["40"]));
    assert_eq!(
        world.problems(),
        [
            "contact c-1: column age holds \"40\", which is not text, as lifecycle/customers.toml:11 wants it"
        ]
    );
}

#[test]
fn a_cell_that_many_blocks_cannot_read_is_reported_once() {
    let older = |age| block(&[0], Some(0)).when("age", Test::Min(Value::Integer(age)));
    let world = World::new(&["customers"])
        .csv("crm", "id,age\nc-1,x\nc-2,50\n")
        .enrol(older(40))
        .enrol(older(60));
    assert_eq!(
        world.problems(),
        [
            "source crm: exports/crm.csv, row 2: column age holds \"x\", which is not a number, as \
             lifecycle/customers.toml:11 wants it"
        ]
    );
}

#[test]
fn what_is_wrong_in_many_rows_is_told_once() {
    let rows: String = (0..50).map(|n| format!("c-{n},x{n}\n")).collect();
    let world = World::new(&["customers"])
        .csv("crm", &format!("id,age\n{rows},1\n"))
        .csv("web", "id\n a\n b\n")
        .enrol(block(&[0], Some(0)).when("age", Test::Min(Value::Integer(40))))
        .enrol(block(&[0], Some(1)));
    let problems = world.problems();
    assert_eq!(
        problems,
        [
            "source crm: exports/crm.csv: column age holds what is not a number in 50 rows, as lifecycle/customers.toml:11 \
             wants it: \"x0\" in row 2, \"x1\" in row 3, \"x2\" in row 4, …",
            "source crm: exports/crm.csv names no contact in row 52: column id is empty",
            "source web: exports/web.csv has \" a\" as the contact in row 2, column id, and it has white space at its start \
             or end; all 2 rows are so: row 2, row 3",
        ]
    );
}

#[test]
fn a_column_that_the_source_does_not_have_is_refused_where_it_is_named() {
    let world = World::new(&["customers", "reviews"])
        .repeat_by(1, "order_id")
        .fields(
            0,
            vec![string(
                "company",
                "{{ compny }} {{ contact }} {{ occurrence }}",
            )],
        )
        .csv("crm", "id,status,company\nc-1,customer,x\n")
        .csv("gone", "id\n")
        .enrol(
            block(&[0], Some(0))
                .is("statsu", &["customer"])
                .is("country", &["NL"]),
        )
        .enrol(block(&[1], Some(0)));
    let problems = world.build().map(drop).unwrap_err().list;
    let told: Vec<_> = problems
        .iter()
        .map(|p| {
            (
                p.message.as_str(),
                p.at.as_ref().unwrap().to_string(),
                p.help.as_deref().unwrap(),
            )
        })
        .collect();
    let at = |line| format!("lifecycle/customers.toml:{line}");
    let field = || "rollcall.toml:50".to_owned();
    assert_eq!(told.len(), 5);
    for problem in [
        (
            "`statsu` is not a column of source crm",
            at(11),
            "did you mean `status`?",
        ),
        (
            "`country` is not a column of source crm",
            at(12),
            "there are id, status, company",
        ),
        (
            "field company names `compny`, which is not a column of source crm",
            field(),
            "did you mean `company`?",
        ),
        (
            "field company names an occurrence, and there is none",
            field(),
            "give the automation a `repeat_by`, or leave the occurrence out",
        ),
        (
            "automation reviews repeats by `order_id`, which is not a column of source crm",
            at(20),
            "there are id, status, company",
        ),
    ] {
        assert!(told.contains(&problem), "{problem:?} in {told:#?}");
    }
}

#[test]
fn a_source_that_cannot_be_used_is_reported_at_its_place_and_the_others_are_still_checked() {
    let mut world = World::new(&["customers"])
        .csv("crm", "")
        .csv("web", "id\n a\n")
        .csv("old", "ids\n")
        .enrol(block(&[0], Some(0)))
        .enrol(block(&[0], Some(1)));
    world.config.sources[1].min_rows = Some(crate::config::Limit {
        value: 5,
        place: None,
    });
    let problems = world.build().map(drop).unwrap_err().list;
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert_eq!(
        problems[0].message,
        "source crm: exports/crm.csv is empty: it has no header row with the names of the columns"
    );
    assert_eq!(problems[0].at, Some(root_place(100)));
    assert_eq!(
        problems[2].message,
        "source web: exports/web.csv has fewer rows than min_rows = 5: 1"
    );

    let checked = check(
        &world.config,
        now(),
        crate::source::Recorded::Empty("a test has none"),
    )
    .unwrap_err()
    .list;
    assert_eq!(checked.len(), 4);
    assert_eq!(
        checked[1].message,
        "source old: exports/old.csv has no column \"id\", which should hold the contacts"
    );
    assert_eq!(checked[1].help.as_deref(), Some("did you mean \"ids\"?"));
}
