//! Which of a contact's enrolments are declared: by staying, by lot, by exclusion.

use super::Planner;
use crate::config::{Config, Lot};
use crate::failpoint::{Planted, is_planted};
use crate::participation::Participation;
use crate::plan::Displaced;
use crate::roster::{Class, Enrolment};

/// The lots of the blocks of each automation; empty where there are none at all.
pub(super) fn lots(config: &Config) -> Vec<Vec<&Lot>> {
    if config.enrols.iter().all(|enrol| enrol.lot.is_none()) {
        return Vec::new();
    }
    let mut lots = vec![Vec::new(); config.automations.len()];
    for enrol in &config.enrols {
        for automation in &enrol.automations {
            lots[*automation].extend(&enrol.lot);
        }
    }
    lots
}

impl Planner<'_> {
    /// Chooses of a contact's enrolments those that are declared, at most one for an automation and occurrence: those by which it
    /// comes in, and where it is in already, those by which it stays.
    pub(super) fn choose(
        &mut self,
        of: std::ops::Range<usize>,
        recorded: &[Participation],
        to: &mut Vec<usize>,
    ) {
        let mut next = of.start;
        while next < of.end {
            let (start, first) = (next, self.roster.get(next));
            let key = (first.automation, first.occurrence);
            next += 1;
            while next < of.end
                && let other = self.roster.get(next)
                && (other.automation, other.occurrence) == key
            {
                next += 1;
            }
            match self.is_in(first, recorded) {
                // Where it was triggered with the fields of one of them, it has not changed.
                Some(recorded) => {
                    let mut all = start..next;
                    let same = |place: &usize| self.roster.get(*place).fields == recorded.fields;
                    to.push(all.find(same).unwrap_or(start));
                }
                None if first.class == Class::Stays && !is_planted(Planted::StaysComesIn) => {}
                None => to.push(start),
            }
        }
        self.draw(recorded, to);
        self.exclude(to);
        let mut chosen = to.iter().copied().peekable();
        for place in of {
            let is_chosen = chosen.next_if_eq(&place).is_some();
            if is_chosen != (self.roster.get(place).class == Class::ComesIn) {
                // A roster refuses to grow beyond what a u32 counts.
                self.plan.by_record.push(place as u32);
            }
        }
    }

    /// Takes out again who is not in and is left out by lot.
    fn draw(&mut self, recorded: &[Participation], chosen: &mut Vec<usize>) {
        self.note_lots(recorded, chosen);
        chosen.retain(|place| {
            let enrolment = self.roster.get(*place);
            self.is_in(enrolment, recorded).is_some() || self.is_drawn(enrolment)
        });
    }

    /// Notes the automations that a contact is in under a lot: those that it does not leave now.
    pub(super) fn note_lots(&mut self, recorded: &[Participation], chosen: &[usize]) {
        let mut holding = std::mem::take(&mut self.holding);
        holding.clear();
        if let (Some(first), false) = (recorded.first(), self.lots.is_empty()) {
            let suppressions = self.roster.suppressions(first.key.contact.as_str());
            holding.extend(recorded.iter().filter_map(|of| {
                let automation = *self.by_name.get(of.key.automation.as_str())?;
                let stays = || {
                    let leaves_later = self.config.automations[automation].leave_after.is_some();
                    let order = |place: &usize| self.order(self.roster.get(*place), &of.key);
                    leaves_later || chosen.binary_search_by(order).is_ok()
                };
                let is_held = self.under_either(of).is_in()
                    && !self.lots[automation].is_empty()
                    && !self.is_suppressed(suppressions, &of.key)
                    && stays();
                is_held.then_some(automation)
            }));
            // All occurrences of an automation stand together.
            holding.dedup();
        }
        self.holding = holding;
    }

    /// Whether a lot takes a contact that is not in. Who is in an automation under a lot comes into no other part of that name, and
    /// is not asked again for other occurrences.
    pub(super) fn is_drawn(&self, enrolment: Enrolment<'_>) -> bool {
        let Some(lot) = &self.config.enrols[enrolment.block].lot else {
            return true;
        };
        let is_other = |of: &usize| {
            let parts = self.lots[*of].iter();
            let mut parts = parts.filter(|of| of.name == lot.name).peekable();
            parts.peek().is_some() && parts.all(|of| of.part != lot.part)
        };
        is_planted(Planted::LotForgotten)
            || self.holding.contains(&enrolment.automation)
            || (enrolment.class != Class::LeftOut && !self.holding.iter().any(is_other))
    }

    /// Leaves a contact in the first automation of each `[[exclusive]]` that declares it.
    pub(super) fn exclude(&mut self, chosen: &mut Vec<usize>) {
        for (exclusive, place) in self.config.exclusives.iter().zip(0..) {
            let of = |place: usize| self.roster.get(place).automation;
            // They are sorted by automation.
            let is_chosen = |of_it| chosen.binary_search_by_key(&of_it, |at| of(*at)).is_ok();
            let Some(first) = exclusive.first(is_chosen) else {
                continue;
            };
            chosen.retain(|at| {
                let stays = of(*at) == first
                    || !exclusive.automations.contains(&of(*at))
                    || is_planted(Planted::ExclusionForgotten);
                if !stays {
                    self.plan.displaced.push(Displaced {
                        enrolment: *at as u32,
                        by: first as u32,
                        exclusive: place,
                    });
                }
                stays
            });
        }
    }

    /// What is on record of an enrolment whose contact is in.
    pub(super) fn is_in<'r>(
        &'r self,
        enrolment: Enrolment<'_>,
        recorded: &'r [Participation],
    ) -> Option<&'r Participation> {
        let place = recorded.binary_search_by(|of| self.order(enrolment, &of.key).reverse());
        let recorded = self.under_either(&recorded[place.ok()?]);
        recorded.is_in().then_some(recorded)
    }

    /// What the contact is in under another id while nothing runs for certain under its own one, or else what is on record there.
    fn under_either<'r>(&'r self, recorded: &'r Participation) -> &'r Participation {
        let same = &self.elsewhere[self.places_elsewhere(&recorded.key)];
        let mut same = same.iter().map(|(of, _)| of);
        same.find(|of| of.is_in()).unwrap_or(recorded)
    }
}
