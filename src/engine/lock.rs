//! The lock of the record, and what an earlier run left open under it.

use std::time::Duration;

use super::git::git_revision;
use super::{Engine, Error, Event};
use crate::record::{LeftOpen, LockRequest, Purpose, Writing};

impl Engine {
    /// Takes the lock of the record, to write to it, and settles as uncertain what an earlier run left open.
    ///
    /// # Errors
    /// Who holds the lock, or what is wrong with the record.
    pub async fn write(
        &self,
        command: &str,
        timeout: Duration,
        purpose: Purpose,
        may_begin: bool,
    ) -> Result<Writing, Error> {
        let request = LockRequest {
            command: command.to_owned(),
            timeout,
            config_digest: Some(self.config.digest.to_string()),
            git_revision: match self.is_trial {
                true => None,
                false => git_revision(&self.config.root).await,
            },
            expected: self.expected(),
            purpose,
            may_begin,
        };
        let tell = |calls: &[LeftOpen]| self.emit(Event::LeftOpen(calls));
        let writing = Writing::begin(&self.record, request, tell).await?;
        if writing.begun().is_made {
            self.emit(Event::Begun(writing.begun().id));
        }
        Ok(writing)
    }

    /// Settles what an earlier run left open, where one did. What has no answer yet in a run that is at work is waited for as
    /// long as for the lock.
    ///
    /// # Errors
    /// Who holds the lock, or what is wrong with the record.
    pub async fn recover(&self, timeout: Duration) -> Result<(), Error> {
        if self.record.has_open_calls().await? {
            let writing = self.write("apply", timeout, Purpose::Act, false).await?;
            writing.end().await?;
        }
        Ok(())
    }
}
