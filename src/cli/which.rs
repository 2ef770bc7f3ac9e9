//! Which record a command works with: what is expected of it, what is told of it, and what is refused.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::anyhow;

use super::CommandError;
use super::output::Output;
use super::prepare;
use crate::config::{Base, Config};
use crate::id::RecordId;
use crate::record::{Begun, Doubt, Examined, Expected, Record, RecordError};
use crate::report::SafeText;
use crate::sandbox::{SANDBOX_KEY, SANDBOX_SECRET};
use crate::spotler::Credentials;

/// The folders of a checkout that a runner throws away, by the variables that name them.
const CHECKOUTS: [&str; 2] = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"];

/// What the configuration and the environment expect of the record.
pub(super) fn expected(config: &Config) -> Expected {
    let key = match &config.spotler.base {
        Base::Sandbox => Some(Credentials::new(SANDBOX_KEY, SANDBOX_SECRET).key_digest()),
        // Who only plans has none.
        Base::Url(_) => {
            let credentials = prepare::credentials().as_ref();
            credentials.ok().map(Credentials::key_digest)
        }
    };
    Expected {
        id: config.record.id,
        host: config.spotler.base.host(),
        key,
    }
}

/// Looks at which record it is.
///
/// # Errors
/// Why it cannot be read.
pub(super) async fn check(
    config: &'static Config,
    record: &Record,
) -> Result<Checked, RecordError> {
    let examined = record.examine(&expected(config)).await?;
    Ok(Checked { config, examined })
}

/// Looks at which record it is that is about to be shown, and warns where there is none, or it may not be the right one.
///
/// # Errors
/// Why it cannot be read.
pub(super) async fn warn(
    config: &'static Config,
    record: &Record,
    output: &Output,
) -> Result<Checked, RecordError> {
    let checked = check(config, record).await?;
    if checked.is_missing() && !checked.is_exempt() {
        output.warn(|out| {
            let path = config.record_shown();
            writeln!(out, "warning: There is no record at {path}.")?;
            checked
                .lost()
                .map_or(Ok(()), |lost| writeln!(out, "{lost}"))
        });
    }
    checked.warn(output);
    Ok(checked)
}

/// A record that was looked at.
#[derive(Clone)]
pub(super) struct Checked {
    config: &'static Config,
    examined: Examined,
}

impl Checked {
    /// Whether there is none.
    pub(super) fn is_missing(&self) -> bool {
        self.examined.found.is_none()
    }

    /// Whether a missing one says nothing: the built-in sandbox's.
    pub(super) fn is_exempt(&self) -> bool {
        self.config.spotler.base == Base::Sandbox
    }

    /// Whether a run should write to it for that alone: so that a wrong one is not taken for it later.
    pub(super) fn lacks_marks(&self) -> bool {
        self.examined.lacks_marks
    }

    /// What is told of a record that was here and is gone.
    pub(super) fn lost(&self) -> Option<String> {
        let gone = self.examined.gone.filter(|_| !self.is_exempt());
        let (id, serial) = gone.filter(|(_, serial)| *serial > 0)?;
        Some(format!(
            "A record {id} with serial {serial} was here and is gone: restore its newest copy. --new-record begins no other \
             in its place, since that would trigger everybody again. If it is really to begin anew, delete the file first \
             that knows of it: {}.lock",
            self.examined.path.display()
        ))
    }

    /// Its id.
    pub(super) fn id(&self) -> Option<RecordId> {
        self.examined.found.as_ref().map(|found| found.id)
    }

    /// What is found of it, and what speaks against it.
    pub(super) fn examined(&self) -> &Examined {
        &self.examined
    }

    /// What an apply would refuse it for, in sentences.
    pub(super) fn problems(&self) -> Vec<String> {
        if self.is_missing() && !self.is_exempt() {
            let path = self.config.record_shown();
            return vec![format!(
                "There is no record at {path}: all who are declared count as new."
            )];
        }
        self.examined.doubts.iter().map(Doubt::to_string).collect()
    }

    /// Warns of all that an apply would refuse, besides that there is no record, and of what is unsafe about it.
    pub(super) fn warn(&self, output: &Output) {
        let mut text = String::new();
        let path = self.config.record_shown();
        if !self.examined.doubts.is_empty() {
            let _ = writeln!(
                text,
                "warning: The record {path} may not be the right one; an apply would refuse it."
            );
            for doubt in &self.examined.doubts {
                let _ = writeln!(text, "- {}", SafeText(&doubt.to_string()));
            }
            let _ = match self.examined.doubts.iter().all(Doubt::can_be_accepted) {
                true => writeln!(text, "See `rollcall record accept`.\n"),
                false => writeln!(
                    text,
                    "Put this right first; `rollcall record accept` cannot settle all of it.\n"
                ),
            };
        }
        text.push_str(&self.surroundings());
        if !text.is_empty() {
            output.warn(|out| write!(out, "{text}"));
        }
    }

    /// What is unsafe about where it is.
    fn surroundings(&self) -> String {
        let mut text = String::new();
        let path = self.config.record_shown();
        if self.examined.is_exposed {
            let _ = writeln!(
                text,
                "warning: Others can read the record {path}, which holds the ids of people: chmod go= {path}*\n"
            );
        }
        let is_in = |folder: &str| {
            let folder = Path::new(folder).canonicalize();
            folder.is_ok_and(|folder| self.examined.path.starts_with(folder))
        };
        let checkout = CHECKOUTS
            .into_iter()
            .find(|name| std::env::var(name).is_ok_and(|folder| is_in(&folder)));
        if let Some(name) = checkout {
            let _ = writeln!(
                text,
                "warning: The record {path} is in the checkout of this runner (${name}), where the next job may have none of \
                 it. Put it on a disk that stays: [record] url = \"sqlite:///var/lib/rollcall/rollcall.db\"\n"
            );
        }
        text
    }

    /// Refuses a record that may not be the right one. `would` says what would have been done by it.
    ///
    /// # Errors
    /// What speaks against it.
    pub(super) fn refuse(&self, would: &str) -> Result<(), CommandError> {
        if self.examined.doubts.is_empty() {
            return Ok(());
        }
        let error = RecordError::Doubtful {
            path: self.examined.path.clone(),
            doubts: self.examined.doubts.clone(),
            would: format!("{would}\n"),
        };
        Err(anyhow::Error::from(error).into())
    }
}

/// How a record is begun where there is none.
pub(super) struct Beginning<'a> {
    checked: &'a Checked,
    is_first_day: bool,
}

impl<'a> Beginning<'a> {
    /// Checks that the record is the right one, or that there is none and one may be begun: somebody says that this is the
    /// first day, it is the built-in sandbox's, or the question can be asked. `would` says what the command would do.
    ///
    /// # Errors
    /// That the record is missing, or may be another one; or that this is not the first day.
    pub(super) async fn check(
        checked: &'a Checked,
        record: &Record,
        (command, is_first_day, may_ask): (&str, bool, bool),
        would: &str,
    ) -> Result<Self, CommandError> {
        checked.refuse(would)?;
        if is_first_day && !record.is_blank().await.map_err(anyhow::Error::from)? {
            let path = record.path().to_owned();
            return Err(anyhow::Error::from(RecordError::NotFirst { path }).into());
        }
        if let Some(lost) = checked.lost() {
            return Err(anyhow!(
                "There is no record at {}, so that all who are declared count as new. Nothing was sent and nothing was \
                 written.\n{would}\n{lost}",
                checked.config.record_shown()
            )
            .into());
        }
        let beginning = Self {
            checked,
            is_first_day,
        };
        if beginning.is_question() && !may_ask {
            return Err(anyhow!(
                "There is no record at {}, so that all who are declared count as new. Nothing was sent and nothing was \
                 written.\n{would}\nWhere there was a record, put it back, or correct `[record] url`. On the first day, \
                 begin one: rollcall {command} --new-record",
                checked.config.record_shown()
            )
            .into());
        }
        Ok(beginning)
    }

    fn is_question(&self) -> bool {
        self.checked.is_missing() && !self.is_first_day && !self.checked.is_exempt()
    }

    /// Asks whether a record is to be begun, where that is not said.
    ///
    /// # Errors
    /// That it is not.
    pub(super) async fn ask(&self, output: &Output) -> Result<(), CommandError> {
        if !self.is_question() {
            return Ok(());
        }
        let question = format!(
            "There is no record at {}: all who are declared count as new. Is this the first day, so that one is to be \
             begun?",
            self.checked.config.record_shown()
        );
        output.ask(&question, false).await
    }

    /// Whether the run begins a record, once it is not refused and all is asked.
    pub(super) fn is_meant(&self) -> bool {
        self.checked.is_missing()
    }
}

/// Says which record was begun, and how to pin it.
pub(super) fn tell_begun(config: &Config, begun: Begun, output: &Output) {
    // The document of an apply has it for programs.
    if !begun.is_made || output.is_log() {
        return;
    }
    let (path, id) = (config.record_shown(), begun.id);
    output.notice(|out| {
        writeln!(out, "Began the record {id} at {path}.")?;
        match config.record.id {
            None if config.spotler.base != Base::Sandbox => writeln!(
                out,
                "So that no other is ever taken for it, write under [record]: id = \"{id}\""
            ),
            _ => Ok(()),
        }
    });
}
