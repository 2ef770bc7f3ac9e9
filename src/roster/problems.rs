//! Problems with rows, as diagnostics, and no more of them than somebody wants to read.

use super::fields::FieldIssue;
use super::select::RowIssue;
use crate::config::{Diagnostic, Place};
use crate::id::IdError;
use crate::source::SourceError;

/// The most problems of one source that are told one by one.
pub(super) const MOST: usize = 20;

/// The first problems of a source, and how many more there are.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) list: Vec<Diagnostic>,
    more: usize,
}

impl Report {
    /// Adds what a source says of itself.
    pub(super) fn source(&mut self, error: &SourceError) {
        self.add(|| {
            let at = error.place().cloned();
            plain(error.to_string(), at, error.help().into_owned())
        });
    }

    /// Adds what is wrong with a row; `subject` names it.
    pub(super) fn row(
        &mut self,
        issue: &RowIssue<'_>,
        at: Option<Place>,
        subject: impl FnOnce() -> String,
    ) {
        self.add(|| {
            let (sentence, help) = issue.words();
            plain(format!("{}: {sentence}", subject()), at, help)
        });
    }

    fn add(&mut self, problem: impl FnOnce() -> Diagnostic) {
        if self.list.len() < MOST {
            self.list.push(problem());
        } else {
            self.more += 1;
        }
    }

    /// Says how many there are beyond those told.
    pub(super) fn finish(&mut self, subject: &str) {
        self.list.extend(more(subject, self.more));
    }
}

/// That there are more problems than were told.
pub(super) fn more(subject: &str, count: usize) -> Option<Diagnostic> {
    let plural = if count == 1 { "problem" } else { "problems" };
    (count > 0).then(|| {
        plain(
            format!("{subject}: and {count} more {plural} like these"),
            None,
            "the rest is told when these are mended".to_owned(),
        )
    })
}

/// A problem with one place, or none.
pub(super) fn plain(message: String, at: Option<Place>, help: String) -> Diagnostic {
    Diagnostic {
        message,
        at,
        label: None,
        related: Vec::new(),
        help: Some(help),
    }
}

impl RowIssue<'_> {
    /// What is wrong, to follow the name of the row, and what to do.
    fn words(&self) -> (String, String) {
        match self {
            RowIssue::Unreadable(issue) => (issue.sentence(), issue.help().to_owned()),
            RowIssue::Occurrence {
                automation,
                column,
                why: IdError::Empty,
                ..
            } => (
                format!("column {column} is empty, by which automation {automation} repeats"),
                "fill it in, or leave such rows out with a `where`".to_owned(),
            ),
            RowIssue::Occurrence {
                automation,
                column,
                shown,
                why,
            } => (
                format!(
                    "column {column}, by which automation {automation} repeats, holds {shown}, and {why}"
                ),
                "occurrences follow the same rules as contacts' ids".to_owned(),
            ),
            RowIssue::Field {
                automation,
                block,
                issue: FieldIssue { field, why },
            } => (
                format!(
                    "field {} ({}) of automation {automation} (enrolled at {block}) cannot be made: {why}",
                    field.name, field.place
                ),
                "mend the field's template or the row, or leave such rows out with a `where`"
                    .to_owned(),
            ),
            RowIssue::Full => (
                "the ids of all enrolments up to here are longer than 4 GiB".to_owned(),
                "split the configuration into several, each with a record of its own".to_owned(),
            ),
        }
    }
}
