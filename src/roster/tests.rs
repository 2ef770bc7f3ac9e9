//! What a roster holds, and what it refuses.

use super::testing::*;
use super::*;
use crate::config::{FieldTemplate, Span, Test, Value};
use crate::field::FieldContent;

const CRM: &str = "id,status,country\n\
    c-2,customer,NL\n\
    c-1,prospect,BE\n\
    c-3,ex-customer,DE\n\
    c-4,customer,DE\n";

#[test]
fn rows_are_enrolled_where_every_condition_of_a_block_holds() {
    let world = World::new(&["customers", "vips", "winback"])
        .csv("crm", CRM)
        .enrol(block(&[2], Some(0)).is("status", &["ex-customer"]))
        .enrol(
            block(&[1, 0], Some(0))
                .is("status", &["customer"])
                .is("country", &["NL", "BE"]),
        );
    assert_eq!(
        world.enrolled(),
        ["c-2/customers", "c-2/vips", "c-3/winback"]
    );
    assert_eq!(world.roster().sizes(), [1, 1, 1]);
    assert_eq!(world.roster().len(), 3);
}

#[test]
fn a_block_with_source_contacts_and_conditions_wants_all_of_them() {
    let world = World::new(&["customers"]).csv("crm", CRM).enrol(
        block(&[0], Some(0))
            .only(&["c-2", "c-3", "c-9"])
            .is("status", &["customer"]),
    );
    assert_eq!(world.enrolled(), ["c-2/customers"]);
}

#[test]
fn a_contact_in_several_rows_is_enrolled_once_if_any_row_matches() {
    let world = World::new(&["customers"])
        .csv("crm", "id,status\nb,no\na,yes\nb,yes\na,yes\na,no\n")
        .enrol(block(&[0], Some(0)).is("status", &["yes"]));
    assert_eq!(world.enrolled(), ["a/customers", "b/customers"]);
}

#[test]
fn the_first_block_in_the_file_is_the_one_that_declares_an_enrolment() {
    let world = World::new(&["customers"])
        .csv("crm", "id,status\nc-1,customer\n")
        .csv("web", "id\nc-1\nc-2\n")
        .enrol(block(&[0], None).only(&["c-2"]))
        .enrol(block(&[0], Some(1)))
        .enrol(block(&[0], Some(0)));
    let roster = world.roster();
    let blocks: Vec<_> = roster.enrolments().map(|e| (e.contact, e.block)).collect();
    assert_eq!(blocks, [("c-1", 1), ("c-2", 0)]);
}

#[test]
fn declared_contacts_are_enrolled_by_their_typed_attributes() {
    let old = Test::OlderThan(Span::Days(365));
    let world = World::new(&["winback"])
        .contact(
            "c-1",
            &[("status", text("ex")), ("last", date("2025-03-01"))],
        )
        .contact(
            "c-2",
            &[
                ("status", text("ex")),
                ("last", moment("2026-11-01T10:00:00Z")),
            ],
        )
        .contact("c-3", &[("status", text("ex"))])
        .contact("c-4", &[("last", date("2025-03-01"))])
        .enrol(block(&[0], None).is("status", &["ex"]).when("last", old));
    assert_eq!(world.enrolled(), ["c-1/winback"]);
}

#[test]
fn contacts_are_enrolled_by_name_with_or_without_a_table() {
    let world = World::new(&["vips"])
        .contact("c-1", &[("status", text("ex"))])
        .contact("c-2", &[])
        .enrol(block(&[0], None).only(&["c-1", "c-9"]));
    assert_eq!(world.enrolled(), ["c-1/vips", "c-9/vips"]);
    let all = World::new(&["vips"])
        .contact("c-1", &[])
        .enrol(block(&[0], None))
        .enrol(block(&[0], None).only(&["c-9"]));
    assert_eq!(all.enrolled(), ["c-1/vips", "c-9/vips"]);
}

#[test]
fn a_suppressed_contact_is_in_nothing() {
    let world = World::new(&["customers"])
        .csv("crm", "id\nc-1\nc-2\n")
        .suppress("c-1", None)
        .suppress("c-3", None)
        .enrol(block(&[0], Some(0)))
        .enrol(block(&[0], None).only(&["c-3", "c-4"]));
    assert_eq!(world.enrolled(), ["c-2/customers", "c-4/customers"]);
}

#[test]
fn a_repeating_automation_has_an_enrolment_for_each_occurrence() {
    let world = World::new(&["reviews", "welcome"])
        .repeat_by(0, "order")
        .csv("orders", "id,order\nc-1,o-2\nc-1,o-10\nc-2,o-3\nc-1,o-2\n")
        .contact("c-1", &[("order", Value::Integer(7))])
        .enrol(block(&[0, 1], Some(0)))
        .enrol(block(&[0], None));
    assert_eq!(
        world.enrolled(),
        [
            "c-1/reviews/7",
            "c-1/reviews/o-10",
            "c-1/reviews/o-2",
            "c-1/welcome",
            "c-2/reviews/o-3",
            "c-2/welcome"
        ]
    );
}

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
            "source orders: exports/orders.csv, row 2: column order is empty, by which automation reviews repeats",
            "source orders: exports/orders.csv, row 3: column order, by which automation reviews repeats, holds \" 7\", \
             and it has white space at its start or end",
            "contact c-4: column order, by which automation reviews repeats, holds \"x\\u{1b}\", and it holds the \
             control character U+001B",
            "contact c-5: column order is empty, by which automation reviews repeats",
        ]
    );
}

#[test]
fn a_cell_that_cannot_be_read_is_told_once_even_where_the_row_is_out_anyway() {
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
            "write dates as 2025-03-01 or 2025-03-01T12:00:00Z, and leave the cell empty where there is none"
        )
    );
}

#[test]
fn an_attribute_of_another_type_than_its_condition_is_refused() {
    let world = World::new(&["customers"])
        .contact("c-1", &[("age", text("40"))])
        .contact("c-2", &[("age", Value::Float(40.5))])
        .enrol(block(&[0], None).when("age", Test::Min(Value::Integer(40))));
    assert_eq!(
        world.problems(),
        [
            "contact c-1: column age holds \"40\", which is not a number, as lifecycle/customers.toml:11 wants it"
        ]
    );
}

#[test]
fn of_many_problems_twenty_are_told_and_the_others_counted() {
    let rows: String = (0..50).map(|n| format!("c-{n},x\n")).collect();
    let world = World::new(&["customers"])
        .csv("crm", &format!("id,age\n{rows},1\n"))
        .csv("web", "id\n a\n")
        .enrol(block(&[0], Some(0)).when("age", Test::Min(Value::Integer(40))))
        .enrol(block(&[0], Some(1)));
    let problems = world.problems();
    assert_eq!(problems.len(), 22);
    assert!(
        problems[19].starts_with("source crm: exports/crm.csv, row 21: column age holds \"x\"")
    );
    assert_eq!(
        problems[20],
        "source crm: exports/crm.csv: and 31 more problems like these"
    );
    assert!(
        problems[21].starts_with("source web: exports/web.csv has \" a\" as the contact in row 2")
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
fn a_source_that_cannot_be_used_is_told_at_its_place_and_the_others_are_still_checked() {
    let mut world = World::new(&["customers"])
        .csv("crm", "")
        .csv("web", "id\n a\n")
        .csv("old", "ids\n")
        .enrol(block(&[0], Some(0)))
        .enrol(block(&[0], Some(1)));
    world.config.sources[1].min_rows = Some(5);
    let problems = world.build().map(drop).unwrap_err().list;
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert_eq!(
        problems[0].message,
        "source crm: exports/crm.csv is empty: it has no header row with the names of the columns"
    );
    assert_eq!(problems[0].at, Some(root_place(100)));
    assert_eq!(
        problems[2].message,
        "source web: exports/web.csv has 1 rows, fewer than min_rows = 5"
    );

    let checked = check(&world.config, now()).unwrap_err().list;
    assert_eq!(checked.len(), 4);
    assert_eq!(
        checked[1].message,
        "source old: exports/old.csv has no column \"id\", which should hold the contacts"
    );
    assert_eq!(checked[1].help.as_deref(), Some("did you mean \"ids\"?"));
}

#[test]
fn fields_are_rendered_from_the_row_with_the_blocks_own_over_the_automations() {
    let world = World::new(&["reviews"])
        .repeat_by(0, "order")
        .fields(
            0,
            vec![
                string("company", "{{ company }}"),
                string("greeting", "from the automation"),
                field(
                    "link",
                    FieldTemplate::Url("https://shop.example/{{ order }}".to_owned()),
                ),
            ],
        )
        .csv("crm", "id,order,company,contact\nc-1,o-1,<De & Vries>,x\n")
        .enrol(block(&[0], Some(0)).fields(vec![
            string(
                "greeting",
                "{{ contact }} {{ automation }} {{ occurrence }}\n",
            ),
            field(
                "productlist",
                FieldTemplate::Products(vec!["{{ order }}".to_owned(), "b".to_owned()]),
            ),
        ]));
    let roster = world.roster();
    let enrolment = roster.enrolments().next().unwrap();
    let fields = roster.fields(&enrolment).unwrap();
    let content: Vec<_> = fields.into_iter().map(|f| (f.name, f.content)).collect();
    let wanted = [
        ("company", FieldContent::String("<De & Vries>".to_owned())),
        (
            "greeting",
            FieldContent::String("c-1 reviews o-1\n".to_owned()),
        ),
        (
            "link",
            FieldContent::Url("https://shop.example/o-1".to_owned()),
        ),
        (
            "productlist",
            FieldContent::Products(vec!["o-1".to_owned(), "b".to_owned()]),
        ),
    ];
    assert!(content == wanted.map(|(name, content)| (name.to_owned(), content)));
}

#[test]
fn attributes_are_rendered_as_their_text() {
    let world = World::new(&["a"])
        .fields(
            0,
            vec![string(
                "f",
                "{{ b }} {{ d }} {{ i }} {{ m }} {{ n }} {{ t }}",
            )],
        )
        .contact(
            "c-1",
            &[
                ("b", Value::Boolean(true)),
                ("d", date("2025-03-01")),
                ("i", Value::Integer(-7)),
                ("m", moment("2025-03-01T12:00:00Z")),
                ("n", Value::Float(1.5)),
                ("t", text("")),
            ],
        )
        .enrol(block(&[0], None));
    let roster = world.roster();
    let enrolment = roster.enrolments().next().unwrap();
    let fields = roster.fields(&enrolment).unwrap();
    let wanted = "true 2025-03-01 -7 2025-03-01T12:00:00Z 1.5 ".to_owned();
    assert!(fields[0].content == FieldContent::String(wanted));
}

#[test]
fn a_field_that_cannot_be_made_is_refused_and_its_value_is_never_shown() {
    let url = FieldTemplate::Url("{{ secret }}".to_owned());
    let world = World::new(&["a"])
        .fields(
            0,
            vec![field("link", url), string("sum", "{{ secret | abs }}")],
        )
        .csv("crm", "id,secret\nc-1,MARKER\nc-2,https://MARKER.example\n")
        .contact("c-3", &[("secret", text("MARKER"))])
        .contact("c-4", &[("other", text("MARKER"))])
        .enrol(block(&[0], Some(0)))
        .enrol(block(&[0], None));
    let problems = world.build().map(drop).unwrap_err().list;
    assert!(!format!("{problems:?}").contains("MARKER"), "{problems:#?}");
    let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "source crm: exports/crm.csv, row 2: field link (rollcall.toml:50) of automation a (enrolled at \
             lifecycle/customers.toml:10) cannot be made: its value is not an absolute http or https URL",
            "source crm: exports/crm.csv, row 3: field sum (rollcall.toml:50) of automation a (enrolled at \
             lifecycle/customers.toml:10) cannot be made: its template failed: invalid operation",
            "contact c-3: field link (rollcall.toml:50) of automation a (enrolled at lifecycle/customers.toml:20) \
             cannot be made: its value is not an absolute http or https URL",
            "contact c-4: field link (rollcall.toml:50) of automation a (enrolled at lifecycle/customers.toml:20) \
             cannot be made: there is no attribute secret",
        ]
    );
}

#[test]
fn one_enrolment_with_different_fields_is_refused_with_both_places() {
    let world = World::new(&["a"])
        .fields(0, vec![string("company", "{{ company }}")])
        .csv(
            "crm",
            "id,company\nc-1,MARKER-1\nc-2,same\nc-1,MARKER-2\nc-2,same\n",
        )
        .contact("c-2", &[("company", text("MARKER-3"))])
        .enrol(block(&[0], Some(0)))
        .enrol(block(&[0], None));
    let problems = world.build().map(drop).unwrap_err().list;
    assert!(!format!("{problems:?}").contains("MARKER"));
    let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "contact c-1 is enrolled in a twice, with different fields: from source crm: exports/crm.csv, row 2 and \
             from source crm: exports/crm.csv, row 4",
            "contact c-2 is enrolled in a twice, with different fields: from source crm: exports/crm.csv, row 3 and \
             from the declared contact (rollcall.toml:200)",
        ]
    );
    assert_eq!(problems[1].at, Some(place(10)));
    assert_eq!(problems[1].related[0].0, place(20));
}

#[test]
fn a_row_that_was_changed_in_place_is_not_sent() {
    let world = World::new(&["a"])
        .fields(0, vec![string("company", "{{ company }}")])
        .csv("crm", "id,company\nc-1,one\nc-2,two\n")
        .enrol(block(&[0], Some(0)));
    let roster = world.roster();
    let enrolments: Vec<_> = roster.enrolments().collect();
    world.write("crm", "id,company\nc-1,One\nc-2,two\n");
    let error = roster.fields(&enrolments[0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the fields of contact c-1 in automation a are not those that were planned, and nothing was sent for it: its \
         row was changed in place after it was read; plan again"
    );
    assert!(roster.fields(&enrolments[1]).is_ok());
    world.write("crm", "id,company\n");
    let error = roster.fields(&enrolments[1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the fields of contact c-2 in automation a could not be read again, and nothing was sent for it: source crm: \
         exports/crm.csv was changed in place after it was opened"
    );
}

#[test]
fn the_digest_is_of_what_is_declared_not_of_where() {
    let world = |csv: &str, more: bool| {
        let world = World::new(&["a", "b"])
            .fields(0, vec![string("company", "{{ company }}")])
            .csv("crm", csv)
            .enrol(block(&[0], Some(0)));
        let world = if more {
            world.enrol(block(&[1], Some(0)).only(&["c-1"]))
        } else {
            world
        };
        world.roster().digest()
    };
    let digest = world("id,company\nc-1,x\nc-2,y\n", false);
    assert_eq!(
        digest,
        world("id,other,company\nc-2,,y\nc-1,,x\nc-1,,x\n", false)
    );
    assert_ne!(digest, world("id,company\nc-1,x\nc-2,z\n", false));
    assert_ne!(digest, world("id,company\nc-1,x\n", false));
    assert_ne!(digest, world("id,company\nc-1,x\nc-2,y\n", true));
}

#[test]
fn fields_are_made_from_many_threads_at_once() {
    let rows: String = (100..400).map(|n| format!("c-{n},company {n}\n")).collect();
    let world = World::new(&["a"])
        .fields(0, vec![string("company", "{{ company }}")])
        .csv("crm", &format!("id,company\n{rows}"))
        .enrol(block(&[0], Some(0)));
    let roster = world.roster();
    let all = || {
        for (enrolment, number) in roster.enrolments().zip(100..) {
            let fields = roster.fields(&enrolment).unwrap();
            assert!(fields[0].content == FieldContent::String(format!("company {number}")));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(all);
        }
    });
}

fn reasons(world: &World, gone: &[(&str, usize, Option<&str>)]) -> Vec<String> {
    let gone: Vec<_> = gone
        .iter()
        .map(|&(contact, automation, occurrence)| Gone {
            contact,
            automation,
            occurrence,
        })
        .collect();
    world.roster().absence(&gone).unwrap()
}

#[test]
fn the_reason_of_an_absence_is_the_nearest_miss() {
    let world = World::new(&["customers", "dormant", "nobody", "vips", "winback"])
        .csv(
            "crm",
            "id,status,country,last\nc-1,ex-customer,NL,\nc-2,prospect,DE,\nc-3,ex,NL,2026-11-01\n",
        )
        .contact("c-4", &[("status", text("prospect"))])
        .suppress("c-9", Some("objected to marketing"))
        .suppress("c-8", None)
        .enrol(
            block(&[0], Some(0))
                .is("status", &["customer"])
                .is("country", &["NL", "BE"]),
        )
        .enrol(
            block(&[0], Some(0))
                .is("status", &["customer"])
                .is("country", &["DE"]),
        )
        .enrol(
            block(&[4], Some(0))
                .is("status", &["ex"])
                .when("last", Test::OlderThan(Span::Days(365))),
        )
        .enrol(block(&[3], None).only(&["c-5"]))
        .enrol(
            block(&[3], Some(0))
                .is("status", &["x"])
                .is("country", &["x"]),
        )
        .enrol(block(&[1], None).is("status", &["customer"]));
    let cases = [
        (
            ("c-1", 0, None),
            "status is \"ex-customer\", wanted \"customer\"",
        ),
        (
            ("c-2", 0, None),
            "status is \"prospect\", wanted \"customer\"",
        ),
        (("c-7", 0, None), "not in source crm any more"),
        (
            ("c-3", 4, None),
            "last is 2026-11-01, wanted older than 365 days",
        ),
        (
            ("c-1", 4, None),
            "status is \"ex-customer\", wanted \"ex\"; last is empty, wanted older than 365 days",
        ),
        (
            ("c-1", 3, None),
            "no longer named in lifecycle/customers.toml:40",
        ),
        (
            ("c-7", 3, None),
            "not in source crm any more; no longer named in lifecycle/customers.toml:40",
        ),
        (
            ("c-4", 1, None),
            "status is \"prospect\", wanted \"customer\"",
        ),
        (("c-7", 1, None), "no [contact.c-7] any more"),
        (
            ("c-1", 2, None),
            "no [[enrol]] block names this automation any more",
        ),
        (
            ("c-9", 0, None),
            "suppressed: objected to marketing (lifecycle/customers.toml:30)",
        ),
        (("c-8", 3, None), "suppressed (lifecycle/customers.toml:30)"),
        (
            ("c-1", 0, Some("o-1")),
            "the automation does not repeat any more, and this participation is of occurrence o-1",
        ),
    ];
    let found = reasons(&world, &cases.map(|(gone, _)| gone));
    for (found, (gone, says)) in found.iter().zip(&cases) {
        assert_eq!(found, says, "{gone:?}");
    }
}

#[test]
fn the_reason_of_an_occurrence_is_that_of_its_row() {
    let world = World::new(&["reviews"])
        .repeat_by(0, "order")
        .csv(
            "orders",
            "id,order,state\nc-1,o-1,returned\nc-1,o-2,done\nc-2,o-7,returned\n",
        )
        .enrol(block(&[0], Some(0)).is("state", &["done"]));
    assert_eq!(
        reasons(
            &world,
            &[
                ("c-1", 0, Some("o-1")),
                ("c-1", 0, Some("o-7")),
                ("c-3", 0, Some("o-1")),
                ("c-1", 0, None)
            ]
        ),
        [
            "state is \"returned\", wanted \"done\"",
            "occurrence o-7 is not in source orders any more",
            "not in source orders any more",
            "the automation repeats by order now, and this participation has no occurrence",
        ]
    );
}

#[test]
fn every_block_explains_why_a_contact_is_in_or_out() {
    let world = World::new(&["reviews", "vips"])
        .repeat_by(0, "order")
        .csv(
            "orders",
            "id,order,state\nc-1,o-1,returned\nc-2,o-3,done\nc-1,o-2,done\n",
        )
        .contact("c-2", &[])
        .enrol(block(&[0], Some(0)).is("state", &["done"]))
        .enrol(block(&[1], None).only(&["c-2"]))
        .enrol(block(&[1], None));
    let shown = |contact: &str| -> Vec<String> {
        let verdicts = world.roster().explain(contact).unwrap();
        let words = verdicts.into_iter().map(|v| {
            let row = v.row.map(|row| row.to_string());
            let occurrence = v.occurrence.as_deref().unwrap_or("-");
            let (row, out) = (row.as_deref().unwrap_or("-"), v.out.join("; "));
            format!(
                "block {}, automation {}, {row}, {occurrence}: {out}",
                v.block, v.automation
            )
        });
        words.collect()
    };
    assert_eq!(
        shown("c-1"),
        [
            "block 0, automation 0, row 2, o-1: state is \"returned\", wanted \"done\"",
            "block 0, automation 0, row 4, o-2: ",
            "block 1, automation 1, -, -: not named in lifecycle/customers.toml:20",
            "block 2, automation 1, -, -: no [contact.c-1]",
        ]
    );
    assert_eq!(
        shown("c-2"),
        [
            "block 0, automation 0, row 3, o-3: ",
            "block 1, automation 1, -, -: ",
            "block 2, automation 1, -, -: ",
        ]
    );
}
