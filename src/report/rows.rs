//! A plan as rows of words: what every format of it is made from.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::config::Config;
use crate::id::RecordId;
use crate::plan::{Action, Guard, Plan};
use crate::roster::Roster;
use crate::text::SafeText;

/// A plan with everything that is shown of it.
#[derive(Clone, Copy)]
pub struct PlanView<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What the guard says of it.
    pub guard: &'a Guard,
    /// The configuration that it was made from.
    pub config: &'a Config,
    /// The enrolments that it was made from.
    pub roster: &'a Roster<'a>,
    /// The serial number of the record that it was made from.
    pub record_serial: u64,
    /// The time that it was made for.
    pub now: Timestamp,
    /// Whether there is no record yet.
    pub is_first: bool,
    /// Which record it is; `None` where there is none.
    pub record_id: Option<RecordId>,
    /// What an apply would refuse the record for.
    pub problems: &'a [String],
}

impl PlanView<'_> {
    /// Whether everybody who is declared counts as new since there is no record: one that was lost looks the same.
    pub fn makes_all_new(&self) -> bool {
        self.is_first && self.plan.triggers() > 0
    }
}

/// One action in words.
pub struct ActionRow<'a> {
    /// `stop` or `trigger`.
    pub action: &'static str,
    /// The automation's name.
    pub automation: &'a str,
    /// The contact's id.
    pub contact: &'a str,
    /// The occurrence, if it is of one.
    pub occurrence: Option<&'a str>,
    /// Why.
    pub reason: String,
    /// File and line of the `[[enrol]]` block; `None` for a stop.
    pub declared_at: Option<String>,
}

/// A trigger that waits, in words.
pub struct DeferredRow<'a> {
    /// The automation's name.
    pub automation: &'a str,
    /// The contact's id.
    pub contact: &'a str,
    /// The occurrence, if it is of one.
    pub occurrence: Option<&'a str>,
    /// Why it waits.
    pub reason: String,
    /// When the first apply may send it, where that is known.
    pub until: Option<Timestamp>,
}

impl<'a> PlanView<'a> {
    /// Every trigger that waits, in the plan's order.
    pub fn deferred(self) -> impl Iterator<Item = DeferredRow<'a>> {
        self.plan.deferred.iter().map(move |deferred| {
            let enrolment = self.roster.get(deferred.trigger.enrolment as usize);
            let automation = &self.config.automations[enrolment.automation];
            DeferredRow {
                automation: automation.name.as_str(),
                contact: enrolment.contact,
                occurrence: enrolment.occurrence,
                reason: deferred.reason(self.config, automation),
                until: deferred.until,
            }
        })
    }

    /// The freezes that hold, each in a sentence.
    pub fn freezes(self) -> impl Iterator<Item = String> {
        let freezes = self.config.freezes_at(self.now);
        freezes.map(move |freeze| freeze.sentence(self.config))
    }

    /// The automations of the triggers that wait, without the cost of their words.
    pub fn deferred_automations(self) -> impl Iterator<Item = &'a str> {
        self.plan.deferred.iter().map(move |deferred| {
            let enrolment = self.roster.get(deferred.trigger.enrolment as usize);
            self.config.automations[enrolment.automation].name.as_str()
        })
    }

    /// Every action, in the plan's order.
    pub fn rows(self) -> impl Iterator<Item = ActionRow<'a>> {
        self.plan.actions.iter().map(move |action| self.row(action))
    }

    /// An action in words.
    pub fn row(self, action: &'a Action) -> ActionRow<'a> {
        match action {
            Action::Stop(stop) => {
                let key = &stop.participation.key;
                ActionRow {
                    action: "stop",
                    automation: key.automation.as_str(),
                    contact: key.contact.as_str(),
                    occurrence: key.occurrence.as_ref().map(|o| o.as_str()),
                    reason: stop.full_reason(),
                    declared_at: None,
                }
            }
            Action::Trigger(trigger) => {
                let enrolment = self.roster.get(trigger.enrolment as usize);
                ActionRow {
                    action: "trigger",
                    automation: self.config.automations[enrolment.automation].name.as_str(),
                    contact: enrolment.contact,
                    occurrence: enrolment.occurrence,
                    reason: trigger.reason(),
                    declared_at: self
                        .config
                        .enrols
                        .get(enrolment.block)
                        .map(|block| block.place.to_string()),
                }
            }
        }
    }

    /// The automation that an action is of, without the cost of its words.
    pub fn automation(self, action: &'a Action) -> &'a str {
        match action {
            Action::Stop(stop) => stop.participation.key.automation.as_str(),
            Action::Trigger(trigger) => {
                let enrolment = self.roster.get(trigger.enrolment as usize);
                self.config.automations[enrolment.automation].name.as_str()
            }
        }
    }
}

/// What a row, or anything like it, is of: the contact, and the occurrence behind a slash. A contact whose id has such a
/// slash itself is quoted, so that it is not taken for another one's occurrence.
pub(super) fn subject<'a>(contact: &'a str, occurrence: Option<&str>) -> Cow<'a, str> {
    let quoted = contact.contains(" / ").then(|| format!("{contact:?}"));
    let contact = quoted.map_or(Cow::Borrowed(contact), Cow::Owned);
    let subject = match occurrence {
        Some(occurrence) => Cow::Owned(format!("{contact} / {occurrence}")),
        None => contact,
    };
    // What cannot be seen is not ASCII.
    match subject.is_ascii() {
        true => subject,
        false => Cow::Owned(SafeText(&subject).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_never_taken_for_an_occurrence_of_another() {
        assert_eq!(subject("a", Some("b")), "a / b");
        assert_eq!(subject("a / b", None), "\"a / b\"");
        assert_eq!(subject("a / b", Some("c")), "\"a / b\" / c");
        assert_eq!(subject("a/b", None), "a/b");
    }
}
