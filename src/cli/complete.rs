//! What a shell offers while somebody types a value: the names of the configuration, and contacts on record. It reads files
//! alone, takes no lock and writes nothing; where anything is wrong, it offers nothing.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;

use super::help;
use crate::config::{self, Config};
use crate::location::Location;
use crate::participation::State;
use crate::record;

/// So many contacts are offered at the most.
const MOST: u32 = 200;

/// What a shell sets to ask for completions.
pub(super) const VARIABLE: &str = "ROLLCALL_COMPLETE";

/// Answers a shell that asks what could be typed next, and ends the process then.
pub fn complete() {
    let completions = CompleteEnv::with_factory(help::command);
    completions.var(VARIABLE).completer("rollcall").complete();
}

/// The automations of the configuration.
pub(super) fn automations() -> Vec<CompletionCandidate> {
    let config = configuration();
    let automations = config.iter().flat_map(|config| &config.automations);
    candidates(automations.map(|of| of.name.as_str()))
}

/// The sources of the configuration.
pub(super) fn sources() -> Vec<CompletionCandidate> {
    let config = configuration();
    let sources = config.iter().flat_map(|config| &config.sources);
    candidates(sources.map(|of| of.name.as_str()))
}

/// Contacts on record, or declared by name, that begin like this.
pub(super) fn contacts(current: &OsStr) -> Vec<CompletionCandidate> {
    contacts_in(current, None)
}

/// Contacts on record whose trigger is in doubt.
pub(super) fn contacts_in_doubt(current: &OsStr) -> Vec<CompletionCandidate> {
    contacts_in(current, Some(State::Uncertain))
}

fn contacts_in(current: &OsStr, state: Option<State>) -> Vec<CompletionCandidate> {
    let (Some(config), Some(current)) = (configuration(), current.to_str()) else {
        return Vec::new();
    };
    let mut found = match &config.record.at {
        Location::File(path) => recorded(path.clone(), current.to_owned(), state),
        // To ask a server takes time.
        _ => Vec::new(),
    };
    if state.is_none() {
        let declared = config.contacts.keys().map(|contact| contact.as_str());
        found.extend(
            declared
                .filter(|of| of.starts_with(current))
                .map(str::to_owned),
        );
    }
    found.sort();
    found.dedup();
    candidates(found.iter().map(String::as_str))
}

fn recorded(path: PathBuf, begin: String, state: Option<State>) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return Vec::new();
    };
    runtime.block_on(record::contacts_like(&path, &begin, state, MOST))
}

/// What shells take as one word as it is.
fn candidates<'a>(names: impl Iterator<Item = &'a str>) -> Vec<CompletionCandidate> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.:@+/,%".contains(c);
    names
        .filter(|name| name.chars().all(is_plain))
        .map(CompletionCandidate::new)
        .collect()
}

/// The configuration that the words typed so far name, if it is right.
fn configuration() -> Option<Config> {
    let here = std::env::current_dir().ok()?;
    let named = typed().or_else(|| std::env::var_os("ROLLCALL_CONFIG"));
    let file = config::find(named.map(PathBuf::from).as_deref(), &here).ok()?;
    config::load(&file).ok()
}

/// The value of `--config` among the words that were typed.
fn typed() -> Option<OsString> {
    let mut words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    while let Some(word) = words.next() {
        if word == "--config" {
            return words.next();
        }
        if let Some(named) = word
            .to_str()
            .and_then(|word| word.strip_prefix("--config="))
        {
            return Some(named.into());
        }
    }
    None
}
