//! Why a contact is not in.

use crate::config::{Span, Test};
use crate::roster::Undeclared;
use crate::roster::testing::*;

fn reasons(world: &World, gone: &[(&str, usize, Option<&str>)]) -> Vec<String> {
    let gone: Vec<_> = gone
        .iter()
        .map(|&(contact, automation, occurrence)| Undeclared {
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
fn of_many_blocks_a_dozen_are_listed_and_the_others_counted() {
    let mut world = World::new(&["vips"]);
    for _ in 0..20 {
        world = world.enrol(block(&[0], None).only(&["c-2"]));
    }
    let reasons = reasons(&world, &[("c-1", 0, None)]);
    assert!(
        reasons[0].starts_with("no longer named in lifecycle/customers.toml:10 or "),
        "{reasons:?}"
    );
    assert!(
        reasons[0].ends_with("lifecycle/customers.toml:120 or 8 other blocks"),
        "{reasons:?}"
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
