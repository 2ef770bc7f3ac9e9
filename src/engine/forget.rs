//! Forgetting: a person is erased from the record.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::apply::carry_out;
use super::{Engine, Error};
use crate::apply::{Closing, Job, Limits, Outcome, Part};
use crate::id::ContactId;
use crate::plan::{Action, Plan, Stop, StopScope, WhyStop};
use crate::record::{Call, Listed, RecordError, Selection, Writing};
use crate::roster::Roster;

/// For how long stops are tried again that did not reach Spotler.
const RETRY_FOR: Duration = Duration::from_secs(60);

/// What the record has of a contact.
pub struct Remembered {
    /// The participations, sorted by automation and occurrence.
    pub participations: Vec<Listed>,
    /// How many calls were made.
    pub calls: u64,
    /// Why it is suppressed, where it is, in some automations at least.
    pub suppressed: Option<String>,
}

impl Engine {
    /// The participations of a contact, sorted by automation and occurrence.
    ///
    /// # Errors
    /// Why the record cannot be read.
    pub async fn participations(&self, contact: &ContactId) -> Result<Vec<Listed>, RecordError> {
        let selection = Selection {
            contact: Some(contact.clone()),
            ..Selection::default()
        };
        self.record.list(selection).await
    }

    /// What there is to forget of a contact; `None` where there is nothing.
    ///
    /// # Errors
    /// That there is no record, that the next apply would trigger the contact again, or what keeps this from being known.
    pub async fn remembered(&self, contact: &ContactId) -> Result<Option<Remembered>, Error> {
        self.refuse_missing(&self.check().await?, "erased")?;
        let participations = self.participations(contact).await?;
        let calls = self.record.calls(Some(contact)).await?;
        let calls: Vec<Call> = calls.collect::<Result<_, _>>()?;
        if participations.is_empty() && calls.is_empty() {
            return Ok(None);
        }
        let mut suppressed = None;
        for id in self.record.same_person(contact).await? {
            // Who is suppressed by name may be forgotten whatever the sources say.
            let by_name = self.config.suppressed_everywhere(&id);
            let of_it = match by_name {
                Some(suppression) => Some(suppression.to_string()),
                None => self.check_undeclared(&id).await?,
            };
            suppressed = suppressed.or(of_it);
        }
        Ok(Some(Remembered {
            participations,
            calls: calls.len() as u64,
            suppressed,
        }))
    }

    /// Returns why it is suppressed, where it is.
    async fn check_undeclared(&self, contact: &ContactId) -> Result<Option<String>, Error> {
        let roster = self.roster_of(contact, self.now()).await?;
        self.check_whole(&roster).await?;
        let name = |automation: usize| self.config.automations[automation].name.as_str();
        let declared = roster.enrolments().map(|of| name(of.automation));
        let declared: Vec<&str> = declared.collect::<BTreeSet<_>>().into_iter().collect();
        match declared.is_empty() {
            true => {
                let suppressions = roster.suppressions(contact.as_str());
                Ok(suppressions
                    .and_then(|of| of.any())
                    .map(ToString::to_string))
            }
            false => Err(Error::StillDeclared(contact.clone(), declared.join(", "))),
        }
    }

    /// Stops all that runs of a contact at Spotler, or may run, under all ids that it has on record. Returns whether all
    /// of it is stopped for certain.
    ///
    /// # Errors
    /// That there are no credentials, or that the record cannot be read or written.
    pub async fn stop_all(
        &self,
        contact: &ContactId,
        writing: &Writing,
        interrupt: CancellationToken,
    ) -> Result<bool, Error> {
        let mut actions = Vec::new();
        let ids = self.record.same_person(contact).await?;
        for id in &ids {
            let others = ids.iter().filter(|other| *other != id);
            let of_id: Arc<[ContactId]> = others.chain([id]).cloned().collect();
            for Listed { participation, .. } in self.participations(id).await? {
                if !participation.state.may_run_at_spotler() {
                    continue;
                }
                actions.push(Action::Stop(Box::new(Stop {
                    participation,
                    // Like one of somebody who objected: it waits for nothing.
                    why: WhyStop::Suppressed,
                    suppressed_by: None,
                    not_alone: None,
                    scope: StopScope::All,
                    reason: Arc::from("to be forgotten"),
                    ids: of_id.clone(),
                })));
            }
        }
        if actions.is_empty() {
            return Ok(true);
        }
        let count = actions.len();
        let mut plan = Plan::default();
        plan.actions.extend(actions);
        let line = self.line(writing.calls_before()).await?;
        let config = self.config;
        let job = Job {
            plan: Arc::new(plan),
            part: Part::Whole,
            roster: Arc::new(Roster::of_nobody(config)),
            config,
            caller: line.caller.clone(),
            journal: writing.journal(),
            limits: Limits {
                concurrency: config.spotler.concurrency,
                rate: config.spotler.rate,
                retry_for: RETRY_FOR,
            },
            closing: Closing::default(),
            interrupt,
        };
        let run = carry_out(job, |_| ()).await;
        line.close().await;
        let run = run?;
        Ok((0..count).all(|place| run.outcome(place) == Outcome::Stopped))
    }

    /// Erases a contact from the record, under all ids that it has there. Returns whether nothing of it is left in the record's files: another program that reads
    /// them keeps it there.
    ///
    /// # Errors
    /// That the record cannot be written.
    pub async fn forget(&self, contact: &ContactId, writing: &Writing) -> Result<bool, Error> {
        let journal = writing.journal();
        for id in self.record.same_person(contact).await? {
            journal.forget(id).await?;
        }
        Ok(journal.wipe().await?)
    }
}
