//! What one would type after a command: the one place that knows it. Only a person at a terminal is told.

use std::path::Path;

use super::args::{Command, Format, Part, PlanFormat, RecordCommand, RosterFormat, TrialFormat};
use super::{CommandError, Exit};
use crate::apply::{Outcome, Run};
use crate::engine::{Explained, Planned};
use crate::id::ContactId;
use crate::record::Listed;

/// What went before.
pub(super) enum After<'a> {
    /// A command failed.
    Error(&'a CommandError),
    /// A command ended so. Those that have found something that decides say so themselves, by one of the others.
    Command(&'a Command, Exit),
    /// A plan was shown as text.
    Plan(&'a Planned, &'a Part),
    /// An apply ended, or found that triggers are in doubt.
    Applied {
        run: Option<&'a Run>,
        exit: Exit,
        in_doubt: bool,
    },
    /// A contact was explained as text.
    Explained(&'a ContactId, &'a Explained),
    /// Participations were shown as text: of a contact or of many, and whether a trigger among them is in doubt.
    Shown(Option<&'a ContactId>, bool),
    /// Spotler lists triggers that the configuration does not have: the one of this folder, where another than this is meant.
    NotConfigured(Option<&'a Path>),
}

/// Whether a trigger among these is in doubt.
pub(super) fn in_doubt<'a>(listed: impl IntoIterator<Item = &'a Listed>) -> bool {
    let mut states = listed.into_iter().map(|of| of.participation.state);
    states.any(|state| state.is_doubtful_trigger())
}

/// A contact that the reader is to put in.
const CONTACT: &str = "CONTACT";

impl After<'_> {
    /// The line that says it, where there is something to type.
    pub fn line(&self, config: Option<&str>) -> Option<String> {
        let (mut when, mut config) = ("", config);
        let words: Vec<&str> = match self {
            After::Error(CommandError::Problems(_)) => {
                when = ", once this is corrected";
                vec!["validate"]
            }
            After::Error(CommandError::Other(_)) => return None,
            After::Command(command, Exit::Fine | Exit::Pending) => after(command)?,
            After::Command(..) => return None,
            After::Plan(
                _,
                Part {
                    contact: Some(contact),
                    ..
                },
            ) => vec!["explain", contact.as_str()],
            After::Plan(planned, _) if planned.guard.refuses() => return None,
            After::Plan(planned, part) if !planned.plan.is_empty() => {
                let automation = part.automation().map(|name| ["--automation", name]);
                ["apply"]
                    .into_iter()
                    .chain(automation.into_iter().flatten())
                    .collect()
            }
            After::Plan(planned, _) => {
                let mut held = planned.plan.held.iter();
                held.any(|of| of.before.is_doubtful_trigger())
                    .then(uncertain)?
            }
            After::Applied { in_doubt: true, .. } => uncertain(),
            After::Applied { run, exit, .. } => match (exit, run) {
                (Exit::Fine, Some(run)) if !run.settled.is_empty() => {
                    vec!["history", "--since", "1h"]
                }
                (Exit::Incomplete, _) => vec!["plan"],
                _ => return None,
            },
            After::Explained(contact, explained) if in_doubt(&explained.listed) => {
                return After::Shown(Some(contact), true).line(config);
            }
            After::Explained(contact, explained) => match explained.listed.is_empty() {
                _ if !explained.view().plan.is_empty() => {
                    vec!["plan", "--contact", contact.as_str()]
                }
                true => return None,
                false => vec!["history", contact.as_str()],
            },
            After::Shown(contact, true) => {
                when = ", where Spotler carried it out (else --as not-sent)";
                let contact = contact.map_or(CONTACT, ContactId::as_str);
                vec!["resolve", "--as", "active", contact]
            }
            After::Shown(contact, false) => {
                vec!["explain", contact.map_or(CONTACT, ContactId::as_str)]
            }
            After::NotConfigured(root) => {
                config = None;
                let root = root.map(|root| root.to_str()).into_iter();
                ["init", "--from-spotler"]
                    .into_iter()
                    .map(Some)
                    .chain(root)
                    .collect::<Option<_>>()?
            }
        };
        let config = config.map(|config| ["--config", config]);
        let words = words.into_iter().chain(config.into_iter().flatten());
        let words: Vec<String> = words.map(typed).collect();
        Some(format!("Next{when}: rollcall {}", words.join(" ")))
    }
}

/// What comes after a command that went well, where that depends on nothing that it found.
fn after(command: &Command) -> Option<Vec<&'static str>> {
    use RecordCommand::{Accept, Move, Show, Unlock};
    let words = match command {
        Command::Validate(_) | Command::Adopt(_) | Command::Resolve(_) => vec!["plan"],
        Command::Record(Accept(_) | Unlock(_)) => vec!["plan"],
        Command::Roster(args) if args.format == RosterFormat::Text => vec!["plan"],
        Command::Simulate(args) if args.format == TrialFormat::Text => vec!["plan"],
        Command::Plan(args) if args.against.is_some() && args.format == PlanFormat::Text => {
            vec!["plan"]
        }
        Command::Record(Show(args)) if args.contact.is_none() && args.format == Format::Text => {
            vec!["record", "list"]
        }
        Command::Record(Move(_)) => vec!["record", "show"],
        _ => return None,
    };
    Some(words)
}

/// Who is in doubt.
fn uncertain() -> Vec<&'static str> {
    vec!["record", "list", "--state", "uncertain"]
}

/// A word as a shell takes it.
fn typed(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Whether a run left a trigger in doubt.
pub(super) fn run_in_doubt(run: &Run) -> bool {
    (0..run.settled.len()).any(|place| run.outcome(place) == Outcome::Uncertain)
}

#[cfg(test)]
mod tests {
    use super::typed;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_take_it_apart() {
        for (word, shown) in [("crm-1", "crm-1"), ("a b", "'a b'"), ("o'x", r"'o'\''x'")] {
            assert_eq!(typed(word), shown);
        }
    }
}
