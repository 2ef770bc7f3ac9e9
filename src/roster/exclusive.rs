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
        let mut of_automation = vec![Vec::new(); self.config.automations.len()];
        for (place, exclusive) in self.config.exclusives.iter().enumerate() {
            for automation in &exclusive.automations {
                of_automation[*automation].push(place);
            }
        }
        let comes_in = |entry: &Entry| entry.class() == Class::ComesIn;
        // Of each exclusive, whose enrolment was the last.
        let mut last = vec![None; self.config.exclusives.len()];
        let mut several = Vec::new();
        for (place, entry) in self.entries.list().iter().enumerate() {
            if !comes_in(entry) {
                continue;
            }
            for exclusive in &of_automation[entry.automation as usize] {
                let contact = Some(entry.contact());
                if std::mem::replace(&mut last[*exclusive], contact) == contact {
                    several.push(place);
                }
            }
        }
        let mut end = 0;
        for place in several {
            if place < end {
                continue;
            }
            let of_contact = self.entries.of_contact(place);
            for exclusive in &self.config.exclusives {
                let comes_in = |place: &usize| comes_in(&self.entries.list()[*place]);
                let places = |of| self.of_automation(of_contact.clone(), of);
                let first = exclusive.first(|of| places(of).any(|at| comes_in(&at)));
                let others = exclusive.automations.iter();
                let others = others.filter(|of| first.is_some_and(|first| **of != first));
                let others = others.flat_map(|of| places(*of));
                let displaced: Vec<usize> = others.filter(comes_in).collect();
                for place in displaced {
                    self.entries.displace(place);
                }
            }
            end = of_contact.end;
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
