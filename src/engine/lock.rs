//! The lock of the record, and what an earlier run left open under it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Engine, Error, Event};
use crate::record::{LockRequest, Purpose, Writing};
use crate::threads;

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
        let writing = Writing::begin(&self.record, request).await?;
        if writing.begun().is_made {
            self.emit(Event::Begun(writing.begun().id));
        }
        if !writing.left_open().is_empty() {
            self.emit(Event::LeftOpen(writing.left_open()));
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

/// What Git needs of the environment: to be found, and to find its own settings. Nothing else is passed on, least of all the
/// credentials.
const FOR_GIT: [&str; 6] = [
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "USERPROFILE",
    "SystemRoot",
    "LANG",
];

/// The Git revision of the configuration, if it is in a repository.
async fn git_revision(root: &Path) -> Option<String> {
    // A program is not started to say that there is none.
    root.ancestors()
        .find(|folder| folder.join(".git").exists())?;
    let value = |name| Some((name, std::env::var_os(name)?));
    let mut command = Command::new("git");
    command
        .env_clear()
        .envs(FOR_GIT.into_iter().filter_map(value))
        .arg("-C")
        .arg(root)
        .args(["rev-parse", "HEAD"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    // Apart, so that a signal is heard where Git hangs.
    let output = threads::apart("git", move || command.output());
    let output = output.await.ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let revision = text.trim();
    (output.status.success() && revision.len() >= 40).then(|| revision.to_owned())
}
