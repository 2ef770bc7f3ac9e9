//! Adopting: enrolments are taken into the record as active without being triggered.

use super::sources::{self, Noting};
use super::{Engine, Error, Planned};
use crate::id::{ContactId, IdError, Occurrence};
use crate::participation::{Key, Move};
use crate::plan::{Action, Filter, Trigger, WhyTrigger};
use crate::record::{Change, Writing};

/// What can be adopted.
pub struct Adoption {
    planned: Planned,
    /// Their places in the roster, of which there may be millions.
    enrolments: Vec<u32>,
}

impl Adoption {
    /// How many enrolments there are.
    pub fn count(&self) -> usize {
        self.enrolments.len()
    }

    /// The enrolments, in the order of the plan.
    ///
    /// # Errors
    /// That an id in the roster is none.
    pub fn keys(&self) -> impl Iterator<Item = Result<Key, IdError>> {
        let enrolments = self.enrolments.iter();
        enrolments.map(|&enrolment| key(&self.planned, enrolment))
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
    /// That no plan can be made, or an automation was renamed.
    pub async fn adoption(&self, filter: Filter) -> Result<Adoption, Error> {
        let scope = self.scope(filter, &[]);
        let (roster, snapshot) = self.roster(scope.now).await?;
        self.check_expected(&roster, Vec::new()).await?;
        let planned = self.merge(roster, snapshot, scope, false).await?;
        Self::adoption_of(planned)
    }

    /// What a plan would trigger of which nothing was deferred.
    pub(super) fn adoption_of(planned: Planned) -> Result<Adoption, Error> {
        if let Some((from, to)) = planned.guard.renamed() {
            let (from, to) = (from.clone(), to.clone());
            return Err(Error::Renamed { from, to });
        }
        let enrolments = adoptable(&planned).map(|trigger| trigger.enrolment);
        Ok(Adoption {
            enrolments: enrolments.collect(),
            planned,
        })
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
        let mut shown = adoption.enrolments.clone();
        shown.sort_unstable();
        let Planned { roster, scope, .. } = &adoption.planned;
        let planned = self.plan_of(roster.clone(), scope.clone(), false).await?;
        let is_shown = |trigger: &&Trigger| shown.binary_search(&trigger.enrolment).is_ok();
        let changes = adoptable(&planned).filter(is_shown);
        let changes = changes.map(|trigger| change(&planned, trigger));
        let changes: Vec<Change> = changes.collect::<Result<_, _>>()?;
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

/// What a plan would trigger and can be adopted. What is in doubt is for `resolve` to settle.
fn adoptable(planned: &Planned) -> impl Iterator<Item = &Trigger> {
    let triggers = planned
        .plan
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Trigger(trigger) => Some(trigger),
            Action::Stop(_) => None,
        });
    let is_open = |why: &_| matches!(why, WhyTrigger::Harmless | WhyTrigger::AfterStop(_));
    triggers.filter(move |trigger| !is_open(&trigger.why))
}

fn key(planned: &Planned, enrolment: u32) -> Result<Key, IdError> {
    let enrolment = planned.roster.get(enrolment as usize);
    Ok(Key {
        contact: ContactId::new(enrolment.contact)?,
        automation: planned.config.automations[enrolment.automation]
            .name
            .clone(),
        occurrence: enrolment.occurrence.map(Occurrence::new).transpose()?,
    })
}

fn change(planned: &Planned, trigger: &Trigger) -> Result<Change, IdError> {
    let enrolment = planned.roster.get(trigger.enrolment as usize);
    Ok(Change {
        key: key(planned, trigger.enrolment)?,
        before: trigger.before,
        transition: Move::Adopt,
        trigger_code: planned.config.automations[enrolment.automation]
            .trigger_code
            .clone(),
        fields: enrolment.fields,
    })
}
