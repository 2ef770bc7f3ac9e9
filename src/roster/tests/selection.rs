//! Who is in a roster.

use crate::config::{Span, Test, Value};
use crate::roster::testing::*;

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
