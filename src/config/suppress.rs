//! `[[suppress]]`: who is in no automation, or not in some, whatever else says so.

use std::fmt;

use super::automation::{choice_of, kinds};
use super::diagnostic::Place;
use super::enrol::{Known, automations, contacts};
use super::model::Kind;
use super::reader::Table;
use crate::id::ContactId;
use crate::text::SafeText;

/// A `[[suppress]]` block.
#[derive(Debug, Clone)]
pub struct Suppression {
    /// Whether it holds in each of [`Config::automations`](super::Config::automations); `None` is in all, those among them
    /// that are gone from the configuration.
    pub automations: Option<Vec<bool>>,
    /// Why.
    pub reason: Option<String>,
    /// Where.
    pub place: Place,
}

impl Suppression {
    /// Whether it holds in an automation of the configuration, or in one that is gone from it (`None`).
    pub fn holds_in(&self, automation: Option<usize>) -> bool {
        match (&self.automations, automation) {
            (None, _) => true,
            (Some(automations), Some(index)) => automations.get(index) == Some(&true),
            (Some(_), None) => false,
        }
    }
}

impl fmt::Display for Suppression {
    /// Why somebody is in no automation: `suppressed: objected to marketing (lifecycle/customers.toml:30)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("suppressed")?;
        if let Some(reason) = &self.reason {
            write!(f, ": {}", SafeText(reason))?;
        }
        write!(f, " ({})", self.place)
    }
}

/// Reads a block, with the contacts that it names.
pub(super) fn suppress(table: Table<'_>, known: &Known<'_>) -> (Vec<ContactId>, Suppression) {
    let place = table.place();
    let contacts = table
        .require("contacts", "add contacts = [\"…\"]")
        .map(|item| contacts(&item))
        .unwrap_or_default();
    let automations = holds_in(&table, known);
    let reason = table
        .get("reason")
        .and_then(|item| item.text("a reason in a few words"))
        .map(str::to_owned);
    table.finish();
    let suppression = Suppression {
        automations,
        reason,
        place,
    };
    (contacts, suppression)
}

/// The automations in which a block holds: those that it names, and of these those of its kind.
fn holds_in(table: &Table<'_>, known: &Known<'_>) -> Option<Vec<bool>> {
    let named = table
        .get("automation")
        .map(|item| (automations(&item, known), item));
    let kind: Option<Kind> = choice_of(table, "kind", &kinds());
    if named.is_none() && kind.is_none() {
        return None;
    }
    let holds = known.automations.iter().enumerate().map(|(index, of)| {
        let is_named = named
            .as_ref()
            .is_none_or(|(named, _)| named.contains(&index));
        is_named && kind.is_none_or(|kind| kind == of.kind)
    });
    let holds: Vec<bool> = holds.collect();
    if let Some((named, item)) = named
        && !named.is_empty()
        && !holds.contains(&true)
    {
        item.wrong(
            "no automation that this block names is of its `kind`, so it holds nowhere",
            "both must hold: name automations of this kind, or remove one of the two settings",
        );
    }
    Some(holds)
}
