//! Adopting: enrolments are taken into the record as active without being triggered.

use std::collections::HashSet;

use super::sources::{self, Noting};
use super::{Engine, Error, Planned};
use crate::id::{ContactId, IdError, Occurrence};
use crate::participation::{Key, Move};
use crate::plan::{Action, Filter, WhyTrigger};
use crate::record::{Change, Writing};

/// What can be adopted.
pub struct Adoption {
    planned: Planned,
    changes: Vec<Change>,
}

impl Adoption {
    /// The enrolments.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Key> {
        self.changes.iter().map(|change| &change.key)
    }

    /// The plan that would trigger them.
    pub fn planned(&self) -> &Planned {
        &self.planned
    }
}

impl Engine {
    /// What of a part can be adopted: what a plan would trigger.
    ///
    /// # Errors
    /// That no plan can be made, an automation was renamed, or an id in the roster is none.
    pub async fn adoption(&self, filter: Filter) -> Result<Adoption, Error> {
        let scope = self.scope(filter, &[]);
        let roster = self.roster(scope.now).await?;
        self.check_expected(&roster, Vec::new()).await?;
        let planned = self.plan_of(roster, scope, false).await?;
        if let Some((from, to)) = planned.guard.renamed() {
            let (from, to) = (from.clone(), to.clone());
            return Err(Error::Renamed { from, to });
        }
        let changes = changes(&planned)?;
        Ok(Adoption { planned, changes })
    }

    /// Checks that anybody is enrolled in the part, adopted or not.
    ///
    /// # Errors
    /// That nobody is: the id may be wrong.
    pub fn check_enrolled(&self, adoption: &Adoption) -> Result<(), Error> {
        let Planned { roster, scope, .. } = &adoption.planned;
        let is_any = roster.enrolments().any(|enrolment| {
            let automation = &self.config.automations[enrolment.automation].name;
            let filter = &scope.filter;
            filter.lets_through(enrolment.contact, automation.as_str())
        });
        match is_any {
            true => Ok(()),
            false => Err(Error::NotEnrolled(scope.filter.contact.clone())),
        }
    }

    /// Adopts what was shown, as far as it is still to be: another run may have triggered some of it meanwhile. Returns how many
    /// were adopted.
    ///
    /// # Errors
    /// That the record cannot be read or written.
    pub async fn adopt(&self, adoption: &Adoption, writing: &Writing) -> Result<usize, Error> {
        let shown: HashSet<&Key> = adoption.keys().collect();
        let Planned { roster, scope, .. } = &adoption.planned;
        let planned = self.plan_of(roster.clone(), scope.clone(), false).await?;
        let mut changes = changes(&planned)?;
        changes.retain(|change| shown.contains(&change.key));
        let count = changes.len();
        let notes = sources::notes(roster, &planned.applied_sources, Noting::Adopted);
        let journal = writing.journal();
        journal.change(changes).await?;
        // From here on an export that runs dry is known to have had rows.
        journal.sources(notes).await?;
        // What was adopted was not triggered, and is meant.
        journal.count_anew().await?;
        Ok(count)
    }
}

/// What a plan would trigger, as adoptions. What is in doubt is for `resolve` to settle.
fn changes(planned: &Planned) -> Result<Vec<Change>, IdError> {
    let mut changes = Vec::new();
    for action in &planned.plan.actions {
        let Action::Trigger(trigger) = action else {
            continue;
        };
        if matches!(trigger.why, WhyTrigger::Harmless | WhyTrigger::AfterStop(_)) {
            continue;
        }
        let enrolment = planned.roster.get(trigger.enrolment as usize);
        let automation = &planned.config.automations[enrolment.automation];
        changes.push(Change {
            key: Key {
                contact: ContactId::new(enrolment.contact)?,
                automation: automation.name.clone(),
                occurrence: enrolment.occurrence.map(Occurrence::new).transpose()?,
            },
            before: trigger.before,
            mv: Move::Adopt,
            trigger_code: automation.trigger_code.clone(),
            fields: enrolment.fields,
        });
    }
    Ok(changes)
}
