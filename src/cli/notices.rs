//! What several commands say beside their results: of the record, and of what an earlier run left open.

use std::io::{self, Write};
use std::path::Path;

use anyhow::anyhow;

use super::output::Output;
use super::{CommandError, Session};
use crate::config::{Base, Config};
use crate::engine::{Beginning, Checked, Event, Planned};
use crate::id::RecordId;
use crate::record::{Doubt, LeftOpen, RecordError};
use crate::report::{SafeText, plural};

/// The folders of a checkout that a runner throws away, by the variables that name them.
const CHECKOUTS: [&str; 2] = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"];

/// So many calls that were left open are reported by name.
const MOST_NAMED: usize = 20;

/// Tells what happens while a verb is at work.
pub(super) fn event(event: &Event<'_>, config: &Config, output: Output) {
    match event {
        // The document of an apply has it for programs.
        Event::Begun(_) if output.is_log() => {}
        Event::Begun(id) => output.notice(|out| begun(out, *id, config)),
        Event::LeftOpen(calls) => output.always(|out| left_open(out, calls)),
    }
}

/// Says which record was begun, and how to pin it.
fn begun(out: &mut dyn Write, id: RecordId, config: &Config) -> io::Result<()> {
    writeln!(out, "Began the record {id} at {}.", config.record_shown())?;
    if config.record.id.is_some() || config.spotler.base == Base::Sandbox {
        return Ok(());
    }
    writeln!(
        out,
        "So that no other record is ever mistaken for it, write under [record]: id = \"{id}\""
    )
}

fn left_open(out: &mut dyn Write, calls: &[LeftOpen]) -> io::Result<()> {
    let (were, them) = match calls.len() {
        1 => ("a call was".to_owned(), "it"),
        count => (format!("{count} calls were"), "them"),
    };
    writeln!(
        out,
        "An earlier run ended early while {were} under way, and nobody knows whether Spotler carried {them} out:"
    )?;
    for call in calls.iter().take(MOST_NAMED) {
        let occurrence = call.occurrence.as_deref();
        let occurrence = occurrence.map_or(String::new(), |text| format!(" / {text}"));
        let of = format!("{} / {}{occurrence}", call.contact, call.automation);
        writeln!(out, "  {:<7}  {}", call.kind, SafeText(&of))?;
    }
    if calls.len() > MOST_NAMED {
        let more = calls.len() - MOST_NAMED;
        writeln!(
            out,
            "  … and {more} more; `rollcall record list` has them all"
        )?;
    }
    if calls.iter().any(|call| call.kind == "trigger") {
        writeln!(
            out,
            "Rollcall does not send a trigger in doubt again: check in Spotler whether the contact takes part, then type \
             `rollcall resolve --as active CONTACT` or `rollcall resolve --as not-sent CONTACT`."
        )?;
    }
    if calls.iter().any(|call| call.kind == "stop") {
        writeln!(out, "The next apply sends a stop in doubt again.")?;
    }
    Ok(())
}

impl Session {
    /// Looks at which record it is that is about to be shown, and warns where there is none, or it may not be the right one.
    pub(super) async fn check_shown(&self) -> Result<Checked, RecordError> {
        let checked = self.engine.check().await?;
        if checked.is_missing() && !checked.is_exempt() {
            self.output.warn(|out| {
                let path = self.engine.config().record_shown();
                writeln!(out, "warning: There is no record at {path}.")?;
                let mut lost = checked.lost().into_iter();
                lost.try_for_each(|lost| writeln!(out, "{lost}"))
            });
        }
        self.warn(&checked);
        Ok(checked)
    }

    /// Warns of all that an apply would refuse, besides that there is no record, and of what is unsafe about it.
    pub(super) fn warn(&self, checked: &Checked) {
        let config = self.engine.config();
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = doubts(&mut text, checked, config)
            .and_then(|()| surroundings(&mut text, checked, config));
        if !text.is_empty() {
            self.output.warn(|out| out.write_all(&text));
        }
    }

    /// Says at the top of a plan that the record is missing, or not certainly the right one: where one was lost, all count as
    /// new.
    pub(super) fn warn_first(&self, planned: &Planned, is_first_day: bool) {
        let record = &planned.record;
        if record.is_missing() && (planned.plan.triggers() > 0 || !record.is_exempt()) {
            self.output.warn(|out| {
                writeln!(
                    out,
                    "There is no record at {} yet: everybody who is declared counts as new.\n\
                     If there was one, restore it before you apply.",
                    self.engine.config().record_shown()
                )?;
                if !is_first_day && !record.is_exempt() {
                    writeln!(
                        out,
                        "On the first day, begin a new record: rollcall apply --new-record"
                    )?;
                }
                writeln!(out)
            });
        }
        self.warn(record);
    }

    /// Checks that the record is the right one, or that there is none and one may be begun: somebody says that this is the
    /// first day, it is the built-in sandbox's, or the question can be asked. `would` says what the command would do.
    pub(super) async fn check_beginning(
        &self,
        checked: &Checked,
        (command, is_first_day, is_answered): (&str, bool, bool),
        would: &str,
    ) -> Result<Beginning, CommandError> {
        let beginning = self.engine.beginning(checked, is_first_day, would).await?;
        if beginning == Beginning::IsToBeAsked && (is_answered || !Output::can_ask()) {
            return Err(anyhow!(
                "There is no record at {}, so everybody who is declared counts as new. Nothing was sent and nothing was \
                 written.\n{would}\nIf there was a record, put it back, or correct `[record] url`. On the first day, \
                 begin a new record: rollcall {command} --new-record",
                self.engine.config().record_shown()
            )
            .into());
        }
        Ok(beginning)
    }

    /// Asks whether a record is to be begun, where that is not said.
    pub(super) async fn ask_first_day(&self, beginning: Beginning) -> Result<(), CommandError> {
        if beginning != Beginning::IsToBeAsked {
            return Ok(());
        }
        let question = format!(
            "There is no record at {}: everybody who is declared counts as new. Is this the first day? Begin a new \
             record?",
            self.engine.config().record_shown()
        );
        self.output.ask(&question, false).await
    }
}

fn doubts(out: &mut dyn Write, checked: &Checked, config: &Config) -> io::Result<()> {
    if checked.doubts().is_empty() {
        return Ok(());
    }
    let path = config.record_shown();
    writeln!(
        out,
        "warning: The record {path} may not be the right one; an apply would refuse it."
    )?;
    for doubt in checked.doubts() {
        writeln!(out, "- {}", SafeText(&doubt.to_string()))?;
    }
    match checked.doubts().iter().all(Doubt::can_be_accepted) {
        true => writeln!(out, "See `rollcall record accept`.\n"),
        false => writeln!(
            out,
            "Correct this first; `rollcall record accept` cannot settle all of it.\n"
        ),
    }
}

/// What is unsafe about where the record is.
fn surroundings(out: &mut dyn Write, checked: &Checked, config: &Config) -> io::Result<()> {
    let path = config.record_shown();
    if checked.examined.is_exposed {
        writeln!(
            out,
            "warning: Others can read the record {path}, which holds the ids of people: chmod go= {path}*\n"
        )?;
    }
    let is_in = |folder: &str| {
        let folder = Path::new(folder).canonicalize();
        folder.is_ok_and(|folder| checked.examined.path.starts_with(folder))
    };
    let mut names = CHECKOUTS.into_iter();
    match names.find(|name| std::env::var(name).is_ok_and(|folder| is_in(&folder))) {
        None => Ok(()),
        Some(name) => writeln!(
            out,
            "warning: The record {path} is in the checkout of this runner (${name}), where the next job may have none of it. \
             Put it on a disk that stays: [record] url = \"sqlite:///var/lib/rollcall/rollcall.db\"\n"
        ),
    }
}

/// How many of something, in words.
pub(super) fn count(count: usize, thing: &str) -> String {
    plural(count as u64, thing)
}
