//! `[[expect]]`: tests for the rules.

use std::collections::HashSet;

use super::diagnostic::Place;
use super::enrol::{Known, automations, contact_id};
use super::reader::{Item, Table};
use crate::id::ContactId;

/// Something that is to hold of the roster.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    /// What.
    pub what: Expectation,
    /// Where it is written.
    pub place: Place,
}

/// What is to hold of the roster.
#[derive(Debug, Clone, PartialEq)]
pub enum Expectation {
    /// Of a contact.
    Contact {
        /// The contact.
        contact: ContactId,
        /// The automations that it is to be in, as indices into [`Config::automations`](super::Config::automations).
        inside: Vec<usize>,
        /// Those that it is not to be in.
        outside: Vec<usize>,
    },
    /// Of an automation's number of enrolments.
    Size {
        /// The automation, as an index into [`Config::automations`](super::Config::automations).
        automation: usize,
        /// At least so many.
        min: u64,
        /// At most so many, where that is set.
        max: Option<u64>,
    },
}

pub(super) fn expect(table: Table<'_>, known: &Known<'_>) -> Option<Expect> {
    let place = table.place();
    let (contact, automation) = (table.get("contact"), table.get("automation"));
    let (inside, outside, size) = (table.get("in"), table.get("not_in"), table.get("size"));
    let (span, ctx) = (table.span.clone(), table.ctx);
    table.finish();
    let what = match (contact, automation, &inside, &outside, &size) {
        (Some(contact), None, Some(_), _, None) | (Some(contact), None, _, Some(_), None) => {
            let list = |item: Option<Item<'_>>| {
                item.map(|item| automations(&item, known))
                    .unwrap_or_default()
            };
            let both = outside.clone();
            let (inside, outside) = (list(inside), list(outside));
            if let Some(item) = both
                && let unwanted = outside.iter().collect::<HashSet<_>>()
                && let Some(index) = inside.iter().find(|index| unwanted.contains(index))
            {
                let name = &known.automations[*index].name;
                item.wrong(
                    format!("the contact is expected in {name} and not in it"),
                    "keep it in one of `in` and `not_in`",
                );
            }
            let text = contact.text("a contact's id");
            let id = text
                .and_then(|text| contact_id(text, |message, help| contact.wrong(message, help)));
            Expectation::Contact {
                contact: id?,
                inside,
                outside,
            }
        }
        (None, Some(automation), None, None, Some(size)) => {
            let (min, max) = bounds(size)?;
            let name = automation.text("the name of an automation")?;
            Expectation::Size {
                automation: known.automation(name, &automation)?,
                min,
                max,
            }
        }
        _ => {
            ctx.problem(
                span,
                "[[expect]] must expect one thing",
                "write contact = \"…\" with `in` or `not_in` or both, or automation = \"…\" with `size`",
            );
            return None;
        }
    };
    Some(Expect { what, place })
}

/// Reads `size`.
fn bounds(item: &Item<'_>) -> Option<(u64, Option<u64>)> {
    const EXAMPLE: &str = "{ min = 10, max = 500 }";
    let table = item.table("`size`")?;
    let (min, max) = (table.get("min"), table.get("max"));
    table.finish();
    if min.is_none() && max.is_none() {
        item.wrong(
            "`size` has neither `min` nor `max`",
            format!("write {EXAMPLE}"),
        );
        return None;
    }
    let count = |item: Option<Item<'_>>| match item {
        Some(item) => item.count("a number, such as 10").map(Some),
        None => Some(None),
    };
    let (min, max) = (count(min)?.unwrap_or(0), count(max)?);
    if max.is_some_and(|max| max < min) {
        item.wrong(
            "`min` is more than `max`, so no size fits",
            format!("write {EXAMPLE}"),
        );
        return None;
    }
    Some((min, max))
}
