//! Which record a verb works with, and whether that is the right one.

use super::{Engine, Error};
use crate::config::{Base, Config};
use crate::id::RecordId;
use crate::location::Location;
use crate::record::{Carried, Doubt, Examined, Expected, Record, RecordError};
use crate::spotler::Credentials;

impl Engine {
    /// What the configuration and the credentials expect of the record. Who only plans has no credentials.
    pub(super) fn expected(&self) -> Expected {
        let credentials = self.credentials().ok();
        Expected {
            id: self.config.record.id,
            host: self.config.spotler.base.host(),
            key: credentials.as_ref().map(Credentials::key_digest),
        }
    }

    /// Looks at which record it is.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn check(&self) -> Result<Checked, RecordError> {
        let config = self.config;
        let examined = self.record.examine(&self.expected()).await?;
        let mut checked = Checked {
            config,
            examined,
            problems: Vec::new(),
        };
        checked.problems = match checked.is_missing() && !checked.is_exempt() {
            true => vec![format!(
                "There is no record at {}: everybody who is declared counts as new.",
                config.record_shown()
            )],
            false => checked.doubts().iter().map(Doubt::to_string).collect(),
        };
        Ok(checked)
    }

    /// Carries the record to another place, and closes the old one for good.
    ///
    /// # Errors
    /// Why it was not carried.
    pub async fn carry(&self, to: &Location) -> Result<Carried, Error> {
        let carried = self.record.carry(&Record::of(to), &self.expected()).await;
        Ok(carried.map_err(Box::new)?)
    }

    /// Whether a record has to be begun, and whether that is meant. `would` says what the verb would have done.
    ///
    /// # Errors
    /// That the record may be another one, that one was lost, or that this is not the first day.
    pub async fn beginning(
        &self,
        checked: &Checked,
        is_first_day: bool,
        would: &str,
    ) -> Result<Beginning, Error> {
        checked.refuse(would)?;
        if is_first_day && !self.record.is_blank().await? {
            let path = self.record.path().to_owned();
            return Err(RecordError::NotFirst { path }.into());
        }
        self.refuse_lost(checked, would)?;
        Ok(match checked.is_missing() {
            false => Beginning::IsThere,
            true if is_first_day || checked.is_exempt() => Beginning::IsMeant,
            true => Beginning::IsToBeAsked,
        })
    }

    /// Takes no record that is missing for one that says nothing. `what` is what would be done in it, such as "settled".
    pub(super) fn refuse_missing(
        &self,
        checked: &Checked,
        what: &'static str,
    ) -> Result<(), Error> {
        match checked.is_missing() && !checked.is_exempt() {
            true => Err(Error::NoRecord(self.config.record_shown(), what)),
            false => Ok(()),
        }
    }

    /// Begins no other record in the place of one that was lost.
    pub(super) fn refuse_lost(&self, checked: &Checked, would: &str) -> Result<(), Error> {
        let path = self.config.record_shown();
        checked.lost().map_or(Ok(()), |lost| {
            Err(Error::Lost(path.to_string(), format!("{would}\n{lost}")))
        })
    }
}

/// Whether a record has to be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// No: there is one.
    IsThere,
    /// Yes: this is said to be the first day, or it is the built-in sandbox's.
    IsMeant,
    /// Only if a person says that this is the first day.
    IsToBeAsked,
}

/// A record that was looked at.
#[derive(Debug, Clone)]
pub struct Checked {
    config: &'static Config,
    /// What is found of it, and what speaks against it.
    pub examined: Examined,
    /// What an apply would refuse it for, in sentences.
    pub problems: Vec<String>,
}

impl Checked {
    /// Whether there is none.
    pub fn is_missing(&self) -> bool {
        self.examined.found.is_none()
    }

    /// Whether a missing one says nothing: the built-in sandbox's.
    pub fn is_exempt(&self) -> bool {
        self.config.spotler.base == Base::Sandbox
    }

    /// Its id.
    pub fn id(&self) -> Option<RecordId> {
        self.examined.found.as_ref().map(|found| found.id)
    }

    /// What speaks against it.
    pub fn doubts(&self) -> &[Doubt] {
        &self.examined.doubts
    }

    /// What is reported about a record that was here and is gone.
    pub fn lost(&self) -> Option<String> {
        let gone = self.examined.gone.filter(|_| !self.is_exempt());
        let (id, serial) = gone.filter(|(_, serial)| *serial > 0)?;
        Some(format!(
            "A record {id} with serial {serial} was here and is gone: restore its newest copy. --new-record does not begin \
             another one in its place, because that would trigger everybody again. If you really want a new one, first delete the file that knows the old one: {}.lock",
            self.examined.path.display()
        ))
    }

    /// Refuses a record that may not be the right one. `would` says what would have been done by it.
    ///
    /// # Errors
    /// What speaks against it.
    pub fn refuse(&self, would: &str) -> Result<(), RecordError> {
        if self.doubts().is_empty() {
            return Ok(());
        }
        Err(RecordError::Doubtful {
            path: self.examined.path.clone(),
            doubts: self.doubts().to_vec(),
            would: format!("{would}\n"),
        })
    }
}
