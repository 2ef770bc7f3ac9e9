//! `[[exclusive]]`, as far as it can be decided without the record: by who comes in.

use std::ops::Range;

use super::entries::Entry;
use super::{Class, Enrolment, Roster};
use crate::config::{Config, Exclusive};

/// Why a contact is not declared in an automation: another one goes first.
pub fn goes_first(config: &Config, first: usize, exclusive: &Exclusive) -> String {
    let name = &config.automations[first].name;
    format!("{name} goes first ([[exclusive]] at {})", exclusive.place)
}

impl Roster<'_> {
    /// Displaces those who come into several automations of one `[[exclusive]]` from all of them but the first.
    pub(super) fn displace(&mut self) {
        if self.config.exclusives.is_empty() {
            return;
        }
        let mut start = 0;
        while start < self.len() {
            let end = self.end_of_contact(start);
            let comes_in = |place: &usize| self.entries.list()[*place].class() == Class::ComesIn;
            // Most come into one alone.
            let exclusives = match (start..end).filter(comes_in).nth(1) {
                None => &[][..],
                Some(_) => &self.config.exclusives,
            };
            for exclusive in exclusives {
                let comes_in =
                    |place: &usize| self.entries.list()[*place].class() == Class::ComesIn;
                let first = exclusive
                    .first(|of| self.of_automation(start..end, of).any(|at| comes_in(&at)));
                let others = exclusive
                    .automations
                    .iter()
                    .filter(|of| Some(**of) != first);
                let others = others.filter(|_| first.is_some());
                let others = others.flat_map(|of| self.of_automation(start..end, *of));
                let displaced: Vec<usize> = others.filter(comes_in).collect();
                for place in displaced {
                    self.entries.displace(place);
                }
            }
            start = end;
        }
    }

    /// Where among a contact's enrolments those in an automation are.
    fn of_automation(&self, contact: Range<usize>, automation: usize) -> Range<usize> {
        let list = &self.entries.list()[contact.clone()];
        let is_before = |entry: &Entry| (entry.automation as usize) < automation;
        let from = list.partition_point(is_before);
        let is_of_it = |entry: &Entry| entry.automation as usize == automation;
        let to = from + list[from..].partition_point(is_of_it);
        contact.start + from..contact.start + to
    }

    /// Every enrolment that another automation displaces, without the record. In the order of the enrolments.
    pub fn displaced(&self) -> impl Iterator<Item = Enrolment<'_>> {
        self.all()
            .filter(|enrolment| enrolment.class == Class::Displaced)
    }

    /// Why a contact that comes into an automation is not declared there, where another one goes first.
    pub fn displaced_by(&self, contact: &str, automation: usize) -> Option<String> {
        let by = self.displacing(contact, automation);
        by.map(|(first, exclusive)| goes_first(self.config, first, exclusive))
    }

    /// By which automation, as an index into [`Config::automations`], and by which block a contact that comes into an automation
    /// is not declared there.
    pub fn displacing(&self, contact: &str, automation: usize) -> Option<(usize, &Exclusive)> {
        let comes_in = |of: usize| self.any_of(contact, of).is_some();
        let mut list = self.of(contact, automation);
        list.find(|of| of.class == Class::Displaced)?;
        let mut exclusives = self.config.exclusives.iter();
        exclusives.find_map(|exclusive| {
            let first = exclusive.first(comes_in)?;
            let is_in_it = first != automation && exclusive.automations.contains(&automation);
            is_in_it.then_some((first, exclusive))
        })
    }
}
