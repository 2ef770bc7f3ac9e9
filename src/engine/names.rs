//! Names that were typed: whether the record or the configuration has them, and which were probably meant.

use super::{Engine, Error};
use crate::config;
use crate::id::{AutomationName, ContactId};
use crate::record::{RecordError, Selection};

/// So many contacts on record are compared with one that nobody has.
const COMPARED: usize = 50_000;

impl Engine {
    /// Checks that the configuration, the record or one of its calls has an automation: one that has another name now keeps
    /// the old one in the history.
    ///
    /// # Errors
    /// That none of them has it, or that the record cannot be read.
    pub async fn check_automation(&self, name: &AutomationName) -> Result<(), Error> {
        let configured = self.config.automations.iter().map(|of| of.name.clone());
        let mut known: Vec<AutomationName> = configured.collect();
        if known.contains(name) {
            return Ok(());
        }
        let states = self.record.states().await?;
        known.extend(states.into_keys().map(|(name, _)| name));
        if known.contains(name) {
            return Ok(());
        }
        for call in self.record.calls(None).await? {
            if call?.automation == name.as_str() {
                return Ok(());
            }
        }
        let near = config::nearest(known.iter().map(AutomationName::as_str), name.as_str());
        Err(Error::NoAutomation(
            name.to_string(),
            near.map(str::to_owned),
        ))
    }

    /// Checks that somebody has a contact's id: the record, a file, or a source. Sources are only read where nothing else has
    /// it; where one cannot be read, nobody knows that it does not.
    ///
    /// # Errors
    /// That nobody has it, or that the record cannot be read.
    pub async fn check_contact(&self, contact: &ContactId) -> Result<(), Error> {
        let listed = self.participations(contact).await?;
        if self.knows(contact, &[], &listed) {
            return Ok(());
        }
        if let Some(call) = self.record.calls(Some(contact)).await?.next() {
            return Ok(call.map(|_| ())?);
        }
        let Ok(roster) = self.roster_of(contact, self.now()).await else {
            return Ok(());
        };
        let Ok(verdicts) = roster.explain(contact.as_str()) else {
            return Ok(());
        };
        if self.knows(contact, &verdicts, &[]) {
            return Ok(());
        }
        let listing = self.record.listing(Selection::default()).await?;
        let recorded = listing.map(|of| of.map(|of| of.participation.key.contact));
        let recorded = recorded
            .take(COMPARED)
            .collect::<Result<Vec<_>, RecordError>>()?;
        let known = self.config.contacts.keys().chain(&recorded);
        let near = config::nearest(known.map(ContactId::as_str), contact.as_str());
        Err(Error::Nobody(contact.to_string(), near.map(str::to_owned)))
    }
}
