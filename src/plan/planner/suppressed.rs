//! What becomes of who is suppressed: what may run is stopped, and what is declared is withheld.

use super::{Pending, Planner};
use crate::id::ContactId;
use crate::participation::{Key, Move, Participation, SuppressedBy};
use crate::plan::decide::{self, Decision};
use crate::plan::{Withheld, suppressed_by};
use crate::roster::{Enrolment, Suppressions};

impl<'a> Planner<'a> {
    /// Takes what is withheld of a contact. Those who sort before have nothing on record, and are withheld.
    pub(super) fn withheld_of(&mut self, contact: &ContactId) -> Vec<Enrolment<'a>> {
        let mut of_it = Vec::new();
        while let Some(enrolment) = self
            .withheld
            .next_if(|next| next.contact <= contact.as_str())
        {
            match enrolment.contact == contact.as_str() {
                true => of_it.push(enrolment),
                false => self.withhold(enrolment, None),
            }
        }
        of_it
    }

    /// Plans a participation of whom is suppressed in its automation: what may run is stopped, and what is declared is
    /// withheld.
    pub(super) fn suppressed(
        &mut self,
        participation: &Participation,
        enrolment: Option<Enrolment<'_>>,
    ) {
        let before = Some(participation.state);
        let by = self.by(participation.key.contact.as_str(), &participation.key);
        match (
            decide::suppressed(enrolment.is_some(), before, by),
            enrolment,
        ) {
            (Decision::Stop(why), _) => self.stops.push(Pending {
                participation: participation.clone(),
                why,
                trigger: None,
            }),
            (Decision::Withhold, Some(enrolment)) => {
                self.withhold(enrolment, Some(participation));
            }
            (Decision::Over(over), enrolment)
                if !participation.is_suppressed()
                    && (enrolment.is_some() || participation.has_ended_declared()) =>
            {
                self.count_ended_gone(participation);
                self.turn(participation, Move::End(over));
            }
            _ => {}
        }
    }

    /// Whether a contact is suppressed in the automation of a participation.
    pub(super) fn is_suppressed(&self, suppressions: Option<Suppressions<'_>>, key: &Key) -> bool {
        suppressions.is_some_and(|suppressions| {
            let automation = self.by_name.get(key.automation.as_str()).copied();
            suppressions.of(automation).is_some()
        })
    }

    /// By what a contact is suppressed in the automation of a participation.
    pub(super) fn by(&self, contact: &str, key: &Key) -> SuppressedBy {
        let automation = self.by_name.get(key.automation.as_str()).copied();
        let suppression = self.roster.suppression(contact, automation);
        suppression.map(suppressed_by).unwrap_or_default()
    }

    /// Whether the list that a contact was not on is still required in its automation: who is suppressed there no longer has
    /// got onto it.
    pub(super) fn is_required(&self, recorded: &Participation) -> bool {
        let by = recorded.suppressed_by().filter(|by| by.is_required);
        let block = by.and_then(|by| self.blocks.get(&by));
        block.is_some_and(|block| {
            let automation = self.by_name.get(recorded.key.automation.as_str());
            self.config.suppressions[*block].holds_in(automation.copied())
        })
    }

    pub(super) fn withhold(&mut self, enrolment: Enrolment<'_>, recorded: Option<&Participation>) {
        let automation = &self.config.automations[enrolment.automation];
        // The ids were checked when they were read.
        let Ok(key) = enrolment.key(self.config) else {
            return;
        };
        let suppression = self
            .roster
            .suppression(enrolment.contact, Some(enrolment.automation));
        self.plan.withheld.push(Withheld {
            key,
            before: recorded.map(|recorded| recorded.state),
            trigger_code: automation.trigger_code.clone(),
            reason: suppression.map_or_else(String::new, ToString::to_string),
            by: suppression.map(suppressed_by).unwrap_or_default(),
            noted: recorded.and_then(Participation::suppressed_by),
        });
    }
}
