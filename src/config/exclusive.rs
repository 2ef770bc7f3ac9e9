//! `[[exclusive]]`: automations of which a contact is in one at most.

use super::diagnostic::{Diagnostic, Place};
use super::enrol::{Known, automations};
use super::reader::Table;

/// `[[exclusive]]`.
#[derive(Debug, Clone)]
pub struct Exclusive {
    /// As indices into [`Config::automations`](super::Config::automations), the one that goes first at the start.
    pub automations: Vec<usize>,
    /// Where it is defined.
    pub place: Place,
}

impl Exclusive {
    /// Which of the automations that are declared goes first.
    pub fn first(&self, is_declared: impl Fn(usize) -> bool) -> Option<usize> {
        let mut automations = self.automations.iter().copied();
        automations.find(|automation| is_declared(*automation))
    }
}

pub(super) fn exclusive(table: Table<'_>, known: &Known<'_>) -> Option<Exclusive> {
    const ADVICE: &str =
        "write automations = [\"winback\", \"newsletter\"], the one that goes first at the start";
    let place = table.place();
    let item = table.require("automations", ADVICE);
    table.finish();
    let item = item?;
    let list = automations(&item, known);
    if item.array().is_none_or(|items| items.len() < 2) {
        item.wrong("one automation excludes no other", ADVICE);
    }
    for index in &list {
        let automation = &known.automations[*index];
        if automation.is_service() {
            let name = &automation.name;
            let message = format!(
                "{name} is service mail, which people must get, and another automation could keep it back"
            );
            item.ctx.sink.push(
                Diagnostic::at(item.place(), message)
                    .related(automation.place.clone(), "its `kind` is \"service\"")
                    .help("leave it out of the block, or remove its `kind`"),
            );
        }
    }
    Some(Exclusive {
        automations: list,
        place,
    })
}
