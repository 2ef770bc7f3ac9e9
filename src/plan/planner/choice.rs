//! Which of a contact's enrolments are declared: by staying, by lot, by exclusion.

use super::Planner;
use crate::config::{Config, Lot};
use crate::failpoint::{Planted, is_planted};
use crate::participation::Participation;
use crate::plan::Displaced;
use crate::roster::{Class, Enrolment, Suppressions};

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

/// An enrolment of the contact under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// Its place in the roster, which refuses to grow beyond what a u32 counts.
    pub(super) place: u32,
    pub(super) enrolment: Enrolment<'a>,
    /// The place of what is on record of it, among all that is of the contact.
    pub(super) recorded: Option<usize>,
}

impl<'a> Planner<'a> {
    /// Looks up the enrolments of a contact, of which the first is at a place, each with what is on record of it: both are sorted
    /// by automation and occurrence. Returns where the next contact's begin.
    pub(super) fn look_up(&mut self, from: usize, recorded: &[Participation]) -> usize {
        self.candidates.clear();
        let (roster, mut at) = (self.roster, 0);
        let to = roster.of_contact(from).end;
        for place in from..to {
            let enrolment = roster.get(place);
            let order = |of: &Participation| self.order(enrolment, &of.key);
            while recorded.get(at).is_some_and(|of| order(of).is_gt()) {
                at += 1;
            }
            let is_same = recorded.get(at).is_some_and(|of| order(of).is_eq());
            // Who is not in does not stay.
            if enrolment.class == Class::Stays && !is_same && !is_planted(Planted::StaysComesIn) {
                continue;
            }
            self.candidates.push(Candidate {
                place: place as u32,
                enrolment,
                recorded: is_same.then_some(at),
            });
        }
        to
    }

    /// Leaves of a contact's enrolments those that are declared, at most one for an automation and occurrence: those by which it
    /// comes in, and where it is in already, those by which it stays.
    pub(super) fn choose(
        &mut self,
        recorded: &[Participation],
        suppressions: Option<Suppressions<'_>>,
    ) {
        self.note_lots(recorded, suppressions);
        let mut chosen = std::mem::take(&mut self.chosen);
        let key = |of: &Candidate<'a>| (of.enrolment.automation, of.enrolment.occurrence);
        for same in self.candidates.chunk_by(|a, b| key(a) == key(b)) {
            let first = &same[0];
            let on_record = first.recorded.map(|at| self.under_either(&recorded[at]));
            let comes_in = || {
                let stays = first.enrolment.class == Class::Stays;
                (!stays || is_planted(Planted::StaysComesIn)) && self.is_drawn(first.enrolment)
            };
            match on_record.filter(|of| of.is_in()) {
                // Where it was triggered with the fields of one of them, it has not changed.
                Some(of) => {
                    let mut same = same.iter();
                    let unchanged = same.find(|same| same.enrolment.fields == of.fields);
                    chosen.push(*unchanged.unwrap_or(first));
                }
                None => chosen.extend(comes_in().then_some(first)),
            }
        }
        self.exclude(&mut chosen);
        let mut left = chosen.iter().map(|of| of.place).peekable();
        for of in &self.candidates {
            let is_chosen = left.next_if_eq(&of.place).is_some();
            if is_chosen != (of.enrolment.class == Class::ComesIn) {
                self.plan.by_record.push(of.place);
            }
        }
        self.chosen = std::mem::replace(&mut self.candidates, chosen);
        self.chosen.clear();
    }

    /// Notes the automations that a contact is in under a lot: those that it does not leave now.
    pub(super) fn note_lots(
        &mut self,
        recorded: &[Participation],
        suppressions: Option<Suppressions<'_>>,
    ) {
        let mut holding = std::mem::take(&mut self.holding);
        holding.clear();
        if !self.lots.is_empty() {
            let of_record = |of: &Candidate<'_>| Some((of.recorded?, of.enrolment.automation));
            let mut declared = self.candidates.iter().filter_map(of_record).peekable();
            for (at, of) in recorded.iter().enumerate() {
                while declared.next_if(|(place, _)| *place < at).is_some() {}
                let stays = declared.peek().filter(|(place, _)| *place == at);
                let leaves_later = |of: &usize| self.config.automations[*of].leave_after.is_some();
                let gone = || self.by_name.get(of.key.automation.as_str()).copied();
                let automation = match stays {
                    Some((_, automation)) => Some(*automation),
                    None => gone().filter(leaves_later),
                };
                let is_held = |automation: &usize| {
                    !self.lots[*automation].is_empty()
                        && self.under_either(of).is_in()
                        && !self.is_suppressed(suppressions, &of.key)
                };
                holding.extend(automation.filter(is_held));
            }
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
    fn exclude(&mut self, chosen: &mut Vec<Candidate<'a>>) {
        if chosen.len() < 2 {
            return;
        }
        for (exclusive, place) in self.config.exclusives.iter().zip(0..) {
            let of = |candidate: &Candidate<'_>| candidate.enrolment.automation;
            // They are sorted by automation.
            let is_chosen = |of_it| chosen.binary_search_by_key(&of_it, of).is_ok();
            let Some(first) = exclusive.first(is_chosen) else {
                continue;
            };
            chosen.retain(|at| {
                let stays = of(at) == first
                    || !exclusive.automations.contains(&of(at))
                    || is_planted(Planted::ExclusionForgotten);
                if !stays {
                    self.plan.displaced.push(Displaced {
                        enrolment: at.place,
                        by: first as u32,
                        exclusive: place,
                    });
                }
                stays
            });
        }
    }

    /// What the contact is in under another id while nothing runs for certain under its own one, or else what is on record there.
    fn under_either<'r>(&'r self, recorded: &'r Participation) -> &'r Participation {
        let same = &self.elsewhere[self.places_elsewhere(&recorded.key)];
        let mut same = same.iter().map(|(of, _)| of);
        same.find(|of| of.is_in()).unwrap_or(recorded)
    }
}
