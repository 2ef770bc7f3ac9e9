//! Resolving: a person settles uncertain triggers.

use std::collections::{HashMap, HashSet};

use super::{Engine, Error};
use crate::id::{AutomationName, ContactId};
use crate::participation::{Key, Move, Participation, State};
use crate::record::{Change, RecordError, Selection, Writing};

/// Which uncertain triggers are meant.
#[derive(Debug, Clone, Default)]
pub struct Uncertain {
    /// Only of these contacts; of all where it is empty.
    pub contacts: Vec<ContactId>,
    /// Only in this automation.
    pub automation: Option<AutomationName>,
}

impl Engine {
    /// The uncertain triggers that are meant.
    ///
    /// # Errors
    /// That the record may be another one, or a contact that was named has none: the name may be wrong, and then somebody else
    /// stays in doubt.
    pub async fn uncertain(&self, which: &Uncertain) -> Result<Vec<Participation>, Error> {
        let checked = self.check().await?;
        checked.refuse("Nothing was settled.")?;
        self.refuse_missing(&checked, "settled")?;
        let which = &self.with_other_ids(which).await?;
        let found = self.find_uncertain(which).await?;
        let has_none = |contact: &&ContactId| found.iter().all(|of| of.key.contact != **contact);
        if let Some(contact) = which.contacts.iter().find(has_none) {
            return Err(Error::NotUncertain(contact.clone()));
        }
        // An automation that is gone from the configuration may still be on record.
        if found.is_empty() {
            self.check_names(
                "automation",
                which.automation.as_ref().map(|of| of.as_str()),
            )?;
        }
        Ok(found)
    }

    /// The same, of contacts by the ids under which the record has them.
    async fn with_other_ids(&self, which: &Uncertain) -> Result<Uncertain, RecordError> {
        let mut meant = which.clone();
        if meant.contacts.is_empty() {
            return Ok(meant);
        }
        let merged: HashMap<ContactId, ContactId> =
            self.record.merged().await?.into_iter().collect();
        let found = self.find_uncertain(which).await?;
        for contact in &mut meant.contacts {
            if let Some(kept) = merged.get(contact)
                && found.iter().all(|of| of.key.contact != *contact)
            {
                *contact = kept.clone();
            }
        }
        Ok(meant)
    }

    async fn find_uncertain(&self, which: &Uncertain) -> Result<Vec<Participation>, RecordError> {
        let selection = Selection {
            state: Some(State::Uncertain),
            ..Selection::default()
        };
        let contacts = &which.contacts;
        let wanted = which.automation.as_ref();
        let is_meant =
            |name: &AutomationName| wanted.is_none_or(|wanted| self.config.is_called(name, wanted));
        let found = self.record.list(selection).await?.into_iter();
        let found = found.map(|listed| listed.participation);
        let found = found.filter(|of| is_meant(&of.key.automation));
        let found = found.filter(|of| contacts.is_empty() || contacts.contains(&of.key.contact));
        Ok(found.collect())
    }

    /// Settles what was shown, and only as far as it is still so. Returns how many were settled.
    ///
    /// # Errors
    /// That the record cannot be read or written.
    pub async fn resolve(
        &self,
        which: &Uncertain,
        shown: &[Participation],
        transition: Move,
        writing: &Writing,
    ) -> Result<usize, Error> {
        let shown: HashSet<&Key> = shown.iter().map(|of| &of.key).collect();
        let which = self.with_other_ids(which).await?;
        let mut now = self.find_uncertain(&which).await?;
        now.retain(|participation| shown.contains(&participation.key));
        let count = now.len();
        let changes = now.into_iter().map(|participation| Change {
            before: Some(participation.state),
            transition,
            trigger_code: participation.trigger_code,
            fields: participation.fields,
            key: participation.key,
        });
        writing.journal().change(changes.collect()).await?;
        Ok(count)
    }
}
