//! What `plan --summary` says of problems: how many there are and where. Their words may hold ids and cells of rows.

use std::collections::BTreeSet;

use anyhow::anyhow;

use super::CommandError;
use super::notices::count;
use super::output::Output;
use crate::config::Diagnostic;
use crate::engine;

/// Says how many warnings there are.
pub(super) fn warnings(output: Output, list: &[Diagnostic]) {
    if !list.is_empty() {
        let (count, places) = (count(list.len(), "warning"), places(list));
        output.notice(|out| {
            writeln!(
                out,
                "{count}{places}; a plan without --summary shows what they are."
            )
        });
    }
}

/// An error without the words of what may hold an id or a cell.
pub(super) fn error(error: CommandError) -> CommandError {
    match error {
        CommandError::Problems(problems) => {
            let (count, places) = (
                count(problems.list.len(), "problem"),
                places(&problems.list),
            );
            anyhow!(
                "No plan was made: the configuration and its sources have {count}{places}. A plan without --summary shows \
                 what is wrong."
            )
            .into()
        }
        CommandError::Other(other) => match other.downcast_ref() {
            Some(engine::Error::Source(_) | engine::Error::Id(_)) => anyhow!(
                "No plan was made: a source cannot be read. A plan without --summary shows why."
            )
            .into(),
            _ => CommandError::Other(other),
        },
    }
}

/// The places in files of what is in one.
fn places(list: &[Diagnostic]) -> String {
    const MOST: usize = 10;
    let places = list.iter().filter_map(|of| of.at.as_ref());
    let places: BTreeSet<_> = places.map(|at| (&at.file, at.line)).collect();
    let more = if places.len() > MOST { ", …" } else { "" };
    let shown = places.iter().take(MOST);
    let shown: Vec<String> = shown.map(|(file, line)| format!("{file}:{line}")).collect();
    match shown.is_empty() {
        true => String::new(),
        false => format!(" ({}{more})", shown.join(", ")),
    }
}
