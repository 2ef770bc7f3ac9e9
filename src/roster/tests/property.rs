//! A roster against a model that is too simple to be wrong.
//!
//! Every cell of the model is a small number or absent. How a number is written into the table, and how a test on it is
//! written into the configuration, depends on the column's type alone.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::config::{Span, Test, Value};
use crate::number::Number;
use crate::roster::Undeclared;
use crate::roster::testing::*;

const CONTACTS: [&str; 8] = [
    "a",
    "ab",
    "b",
    "é",
    "long-prefix-1",
    "long-prefix-12",
    "long-prefix-2",
    "z z",
];
const COLUMNS: [&str; 4] = ["colour", "amount", "day", "flag"];
const AUTOMATIONS: [&str; 3] = ["plain", "repeating", "third"];
/// The number that stands for today in the column of days.
const TODAY: i64 = 5;

#[derive(Debug, Clone)]
struct Row {
    contact: &'static str,
    order: i64,
    cells: [Option<i64>; 4],
}

#[derive(Debug, Clone)]
enum ModelTest {
    Any(Vec<i64>),
    Not(Vec<i64>),
    Exists(bool),
    Min(i64),
    Max(i64),
    Before(i64),
    After(i64),
    Within(u32),
    OlderThan(u32),
}

#[derive(Debug, Clone)]
struct ModelBlock {
    automations: Vec<usize>,
    contacts: Option<Vec<&'static str>>,
    conditions: Vec<(usize, ModelTest)>,
}

impl ModelTest {
    fn holds(&self, cell: Option<i64>) -> bool {
        match (self, cell) {
            (ModelTest::Not(_) | ModelTest::Exists(false), None) => true,
            (_, None) => false,
            (ModelTest::Any(values), Some(n)) => values.contains(&n),
            (ModelTest::Not(values), Some(n)) => !values.contains(&n),
            (ModelTest::Exists(there), Some(_)) => *there,
            (ModelTest::Min(bound), Some(n)) => n >= *bound,
            (ModelTest::Max(bound), Some(n)) => n <= *bound,
            (ModelTest::Before(bound), Some(n)) => n < *bound,
            (ModelTest::After(bound), Some(n)) => n > *bound,
            (ModelTest::Within(days), Some(n)) => (TODAY - i64::from(*days)..=TODAY).contains(&n),
            (ModelTest::OlderThan(days), Some(n)) => n < TODAY - i64::from(*days),
        }
    }

    fn written(&self, column: usize) -> Test {
        let value = |n: &i64| value(column, *n);
        match self {
            ModelTest::Any(values) => Test::Any(values.iter().map(value).collect()),
            ModelTest::Not(values) => Test::Not(values.iter().map(value).collect()),
            ModelTest::Exists(there) => Test::Exists(*there),
            ModelTest::Min(bound) => Test::Min(value(bound)),
            ModelTest::Max(bound) => Test::Max(value(bound)),
            ModelTest::Before(bound) => Test::Before(value(bound)),
            ModelTest::After(bound) => Test::After(value(bound)),
            ModelTest::Within(days) => Test::Within(Span::Days(*days)),
            ModelTest::OlderThan(days) => Test::OlderThan(Span::Days(*days)),
        }
    }
}

fn value(column: usize, n: i64) -> Value {
    match COLUMNS[column] {
        "colour" => text(&format!("colour {n}")),
        "amount" if n % 2 == 0 => Value::Integer(n),
        "amount" => Value::Decimal(Number::from(n)),
        "day" => date(&format!("2026-11-{}", 18 + n)),
        _ => Value::Boolean(n == 1),
    }
}

fn written(column: usize, n: i64) -> String {
    match (COLUMNS[column], n) {
        ("colour", _) => format!("\"colour {n}\""),
        ("amount", 0 | 1) => format!("{n}.0"),
        ("amount", _) => n.to_string(),
        ("day", 0..3) => format!("2026-11-{}T13:00:00", 18 + n),
        ("day", _) => format!("2026-11-{}", 18 + n),
        (_, 1) => "True".to_owned(),
        _ => "false".to_owned(),
    }
}

/// The numbers that a column holds.
fn number(column: usize) -> std::ops::Range<i64> {
    match COLUMNS[column] {
        "flag" => 0..2,
        _ => 0..7,
    }
}

fn cell(column: usize) -> impl Strategy<Value = Option<i64>> {
    prop::option::weighted(0.8, number(column))
}

fn row() -> impl Strategy<Value = Row> {
    let cells = (cell(0), cell(1), cell(2), cell(3));
    (select(&CONTACTS[..]), 0..3_i64, cells).prop_map(|(contact, order, (a, b, c, d))| Row {
        contact,
        order,
        cells: [a, b, c, d],
    })
}

fn condition() -> impl Strategy<Value = (usize, ModelTest)> {
    (0..4_usize).prop_flat_map(|column| {
        let some = || prop::collection::vec(number(column), 1..4);
        let one = || number(column);
        let common = prop_oneof![
            3 => some().prop_map(ModelTest::Any),
            2 => some().prop_map(ModelTest::Not),
            1 => any::<bool>().prop_map(ModelTest::Exists),
        ];
        let ordered = prop_oneof![
            one().prop_map(ModelTest::Min),
            one().prop_map(ModelTest::Max)
        ];
        let dated = prop_oneof![
            one().prop_map(ModelTest::Before),
            one().prop_map(ModelTest::After),
            (0..5_u32).prop_map(ModelTest::Within),
            (0..5_u32).prop_map(ModelTest::OlderThan),
        ];
        let test = match COLUMNS[column] {
            "amount" => prop_oneof![common, ordered].boxed(),
            "day" => prop_oneof![common, ordered, dated].boxed(),
            _ => common.boxed(),
        };
        test.prop_map(move |test| (column, test))
    })
}

fn model_block() -> impl Strategy<Value = ModelBlock> {
    let automations = subsequence(vec![0, 1, 2], 1..=3);
    let contacts = prop::option::weighted(0.3, subsequence(CONTACTS.to_vec(), 1..=5));
    let conditions = prop::collection::vec(condition(), 0..3);
    (automations, contacts, conditions).prop_map(|(automations, contacts, conditions)| ModelBlock {
        automations,
        contacts,
        conditions,
    })
}

/// Who should be enrolled, one by one.
fn model(rows: &[Row], blocks: &[ModelBlock], suppressed: &[&str]) -> Vec<String> {
    let mut enrolled = BTreeSet::new();
    for row in rows {
        for block in blocks {
            let named = block
                .contacts
                .as_ref()
                .is_none_or(|c| c.contains(&row.contact));
            let mut conditions = block.conditions.iter();
            let holds = conditions.all(|(column, test)| test.holds(row.cells[*column]));
            if named && holds && !suppressed.contains(&row.contact) {
                for &automation in &block.automations {
                    let occurrence = (automation == 1).then(|| format!("order {}", row.order));
                    enrolled.insert((row.contact, AUTOMATIONS[automation], occurrence));
                }
            }
        }
    }
    let keys = enrolled.iter();
    keys.map(|(contact, automation, occurrence)| shown(contact, automation, occurrence.as_deref()))
        .collect()
}

fn shown(contact: &str, automation: &str, occurrence: Option<&str>) -> String {
    match occurrence {
        Some(occurrence) => format!("{contact}/{automation}/{occurrence}"),
        None => format!("{contact}/{automation}"),
    }
}

fn world(rows: &[Row], blocks: &[ModelBlock], suppressed: &[&str]) -> World {
    let mut csv = format!("id,order,{}\n", COLUMNS.join(","));
    for row in rows {
        let cells = row.cells.iter().enumerate();
        let cell =
            |(column, n): (usize, &Option<i64>)| n.map_or(String::new(), |n| written(column, n));
        let cells: Vec<String> = cells.map(cell).collect();
        csv += &format!("{},order {},{}\n", row.contact, row.order, cells.join(","));
    }
    let mut world = World::new(&AUTOMATIONS)
        .repeat_by(1, "order")
        .csv("crm", &csv);
    for model in blocks {
        let mut block = block(&model.automations, Some(0));
        if let Some(contacts) = &model.contacts {
            block = block.only(contacts);
        }
        for (column, test) in &model.conditions {
            block = block.when(COLUMNS[*column], test.written(*column));
        }
        world = world.enrol(block);
    }
    for contact in suppressed {
        world = world.suppress(contact, None);
    }
    world
}

proptest! {
    #[test]
    fn a_roster_is_what_the_model_says(
        rows in prop::collection::vec(row(), 0..30),
        blocks in prop::collection::vec(model_block(), 0..5),
        suppressed in subsequence(CONTACTS.to_vec(), 0..=2),
    ) {
        let world = world(&rows, &blocks, &suppressed);
        prop_assert_eq!(world.enrolled(), model(&rows, &blocks, &suppressed));
    }

    #[test]
    fn whoever_is_out_has_a_reason_and_explanations_agree_with_the_roster(
        rows in prop::collection::vec(row(), 0..12),
        blocks in prop::collection::vec(model_block(), 0..4),
    ) {
        let world = world(&rows, &blocks, &[]);
        let roster = world.roster();
        let enrolled = enrolled(&roster);
        for contact in CONTACTS {
            let verdicts = roster.explain(contact).unwrap();
            // A roster of the contact alone says the same of it.
            let alone = world.roster_of(contact);
            prop_assert_eq!(&alone.explain(contact).unwrap(), &verdicts);
            let of_it = roster.enrolments().filter(|enrolment| enrolment.contact == contact);
            prop_assert_eq!(alone.enrolments().collect::<Vec<_>>(), of_it.collect::<Vec<_>>());
            for (automation, occurrence) in [(0, None), (1, Some("order 1")), (2, None)] {
                let is_in = enrolled.contains(&shown(contact, AUTOMATIONS[automation], occurrence));
                let explained = verdicts.iter().any(|verdict| {
                    verdict.automation == automation
                        && verdict.occurrence.as_deref() == occurrence
                        && verdict.out.is_empty()
                });
                prop_assert_eq!(explained, is_in);
                if !is_in {
                    let gone = Undeclared { contact, automation, occurrence };
                    let reasons = roster.absence(&[gone]).unwrap();
                    prop_assert_ne!(&reasons[0], "");
                    prop_assert_ne!(&reasons[0], "no longer declared");
                }
            }
        }
    }
}
