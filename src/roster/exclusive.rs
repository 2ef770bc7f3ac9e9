//! `[[exclusive]]`, as far as it can be decided without the record: by who comes in.

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
        let mut displaced = Vec::new();
        let mut start = 0;
        while start < self.len() {
            let end = start + self.of_contact(start);
            let list = self.entries.list();
            let of = |place: usize| list[place].automation as usize;
            let comes_in = |displaced: &[usize], place: usize| {
                list[place].class() == Class::ComesIn && !displaced.contains(&place)
            };
            for exclusive in &self.config.exclusives {
                let first = exclusive.first(|automation| {
                    (start..end).any(|at| of(at) == automation && comes_in(&displaced, at))
                });
                let Some(first) = first else { continue };
                for place in start..end {
                    let is_other = of(place) != first && exclusive.automations.contains(&of(place));
                    if is_other && comes_in(&displaced, place) {
                        displaced.push(place);
                    }
                }
            }
            for place in displaced.drain(..) {
                self.entries.displace(place);
            }
            start = end;
        }
    }

    /// How many enrolments the contact has whose first is at a place.
    fn of_contact(&self, start: usize) -> usize {
        let list = &self.entries.list()[start..];
        let contact = self.entries.contact(&list[0]);
        list.iter()
            .take_while(|entry| self.entries.contact(entry) == contact)
            .count()
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
