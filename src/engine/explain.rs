//! Explaining: of one contact, what each block says of it, what the record says, and what a plan would do.

use std::collections::HashSet;

use jiff::Timestamp;

use super::plan::give_reasons;
use super::{Engine, Error};
use crate::config::{Config, Diagnostic};
use crate::id::ContactId;
use crate::plan::{self, Action, Filter, Guard, Merged, Plan};
use crate::record::Listed;
use crate::report::PlanView;
use crate::roster::{BlockVerdict, Roster};

/// All there is to know of a contact.
pub struct Explained {
    config: &'static Config,
    now: Timestamp,
    /// The contact's own enrolments, and its own part of the plan, which no guard refuses.
    roster: Roster<'static>,
    plan: Plan,
    guard: Guard,
    /// What each block says of each of its rows.
    pub verdicts: Vec<BlockVerdict>,
    /// What is on record of it, under the names that automations have after the moves that are to be made.
    pub listed: Vec<Listed>,
    /// What sources have lost since the last apply: a plan of all is refused because of it.
    pub lost: Vec<Diagnostic>,
}

impl Explained {
    /// Whether the contact is on the list of a suppression.
    pub fn is_listed(&self, contact: &ContactId) -> bool {
        let mut listed = self.roster.suppressed_contacts();
        listed.any(|of| of == contact.as_str())
    }

    /// What is reported about the contact's part of the plan.
    pub fn view(&self) -> PlanView<'_> {
        PlanView {
            plan: &self.plan,
            guard: &self.guard,
            config: self.config,
            roster: &self.roster,
            record_serial: 0,
            now: self.now,
            is_first: false,
            record_id: None,
            problems: &[],
        }
    }
}

impl Engine {
    /// Explains a contact.
    ///
    /// # Errors
    /// What is wrong with the sources or the record.
    pub async fn explain(&self, contact: &ContactId) -> Result<Explained, Error> {
        let (config, now) = (self.config, self.now());
        let roster = self.roster_of(contact, now).await?;
        let people = roster.people();
        let mut listed: Vec<Listed> = Vec::new();
        let mut known = HashSet::new();
        for id in people.ids(contact.as_str()) {
            let Ok(id) = ContactId::new(id) else { continue };
            for of in self.participations(&id).await? {
                if known.insert(of.participation.key.clone()) {
                    listed.push(of);
                }
            }
        }
        let moves = config.steps_of_moves(&self.record.moved().await?);
        let ids = people.others();
        let mut merged = Merged {
            ids: ids.map(|(id, kept)| (id.clone(), kept.clone())).collect(),
            done: self.record.merged().await?.into_iter().collect(),
            on_record: Vec::new(),
        };
        let all = listed.iter().map(|of| of.participation.clone());
        let (recorded, mut others): (Vec<_>, Vec<_>) =
            all.partition(|of| !merged.ids.contains_key(&of.key.contact));
        others.sort_by(|a, b| a.key.cmp(&b.key));
        merged.on_record = others;
        let filter = Filter {
            contact: ContactId::new(people.kept(contact.as_str())).ok(),
            automation: None,
        };
        let times = (now, Timestamp::MAX);
        let Ok(mut plan) = Plan::build(
            config,
            &roster,
            plan::parts(recorded),
            &filter,
            times,
            moves,
            merged,
        );
        give_reasons(config, &roster, &mut plan)?;
        // What is about to be moved is reported under its new name.
        for listed in &mut listed {
            let name = &mut listed.participation.key.automation;
            if let Some((_, to)) = plan.moved.keys().find(|(from, _)| from == name) {
                *name = to.clone();
            }
        }
        if waits_for_others(config, &roster, &plan) {
            let scope = self.scope(Filter::default(), &[]);
            let (all, snapshot) = self.roster(scope.now).await?;
            let whole = self.merge(all, snapshot, scope, true).await?;
            plan.defer_as_in((&whole.plan, &whole.roster), config, &roster);
        } else {
            let sent = self.sent(now, &roster, &plan).await?;
            plan.defer(config, &roster, &sent, now);
        }
        Ok(Explained {
            verdicts: roster.explain(contact.as_str())?,
            lost: self.not_whole(&roster).await?,
            guard: Guard::default(),
            config,
            now,
            roster,
            plan,
            listed,
        })
    }

    /// Whether anything at all is known of a contact.
    pub fn knows(&self, contact: &ContactId, verdicts: &[BlockVerdict], listed: &[Listed]) -> bool {
        let mut verdicts = verdicts.iter();
        !listed.is_empty()
            || self.config.contacts.contains_key(contact)
            || self.config.suppressed.contains_key(contact)
            || verdicts.any(|verdict| verdict.row.is_some() || verdict.out.is_empty())
    }
}

/// Whether it triggers in an automation with a ramp, where it depends on all others when a contact has its turn.
fn waits_for_others(config: &Config, roster: &Roster<'_>, plan: &Plan) -> bool {
    plan.actions.iter().any(|action| match action {
        Action::Trigger(trigger) => {
            let enrolment = roster.get(trigger.enrolment as usize);
            let automation = &config.automations[enrolment.automation];
            automation.max_per_run.is_some() || automation.max_per_day.is_some()
        }
        Action::Stop(_) => false,
    })
}
