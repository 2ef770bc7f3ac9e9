//! Problems with rows, as diagnostics, and no more of them than somebody wants to read.

use std::hash::{BuildHasher, Hash};
use std::mem::discriminant;

use hashbrown::{DefaultHashBuilder, HashMap};

use super::fields::FieldIssue;
use super::guess::Guess;
use super::select::RowIssue;
use crate::config::{Diagnostic, Notation, Place};
use crate::id::IdError;
use crate::source::SourceError;
use crate::text::{plural, quoted};

/// The most problems of one source that are told.
pub(super) const MOST: usize = 20;

/// So many rows are named of those that have one problem.
const FEW: usize = 3;

/// The problems of a source's rows: what is wrong in many of them is one problem.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) list: Vec<Diagnostic>,
    hasher: DefaultHashBuilder,
    places: HashMap<u64, usize>,
    groups: Vec<Group>,
    /// How many problems are of kinds that are not told.
    more: usize,
}

/// One problem, of one row or of many.
#[derive(Debug)]
struct Group {
    /// As it is told of one row.
    one: Diagnostic,
    rows: u64,
    /// The first rows, each with its cell where that is shown.
    first: Vec<String>,
    /// As it is told of many rows, up to their number; without it, as of the first row.
    many: Option<(String, String)>,
    guess: Option<Guess>,
}

/// What a table is called, and how its cells are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// `source crm: exports/crm.csv`
    pub(super) name: &'a str,
    /// The source's name and how it writes its values, where it is one.
    pub(super) source: Option<(&'a str, &'a Notation)>,
}

impl Report {
    /// Adds what a source says of itself or of one of its rows.
    pub(super) fn source(&mut self, error: &SourceError) {
        let kind = self.hasher.hash_one(error.problem.kind());
        let first = error.problem.row().unwrap_or_default();
        self.add(kind, first, None, || Group {
            one: plain(
                error.to_string(),
                error.place().cloned(),
                error.help().into_owned(),
            ),
            rows: 0,
            first: Vec::new(),
            many: None,
            guess: None,
        });
    }

    /// Adds what is wrong with a row; `row` names it, behind the table's name.
    pub(super) fn row(
        &mut self,
        issue: &RowIssue<'_>,
        at: Option<Place>,
        subject: Subject<'_>,
        row: impl Fn() -> String,
    ) {
        let kind = self.hasher.hash_one(issue.kind());
        let (cell, many, guess) = match issue {
            RowIssue::Unreadable(issue) => (
                Some(issue.found.as_str()),
                Some(issue.of_many()),
                subject.source.map(|_| Guess::new(issue.kind)),
            ),
            _ => (None, None, None),
        };
        let known = self.places.get(&kind);
        let is_named = known.is_none_or(|place| self.groups[*place].first.len() < FEW);
        let first = match (is_named, cell) {
            (false, _) => String::new(),
            (true, None) => row(),
            (true, Some(cell)) => format!("{} in {}", quoted(cell), row()),
        };
        self.add(kind, first, cell, || {
            let (sentence, help) = issue.words();
            let of = match subject.source {
                Some(_) => format!("{}, {}", subject.name, row()),
                None => row(),
            };
            Group {
                one: plain(format!("{of}: {sentence}"), at, help),
                rows: 0,
                first: Vec::new(),
                many: many.map(|(before, behind)| (format!("{}: {before}", subject.name), behind)),
                guess,
            }
        });
    }

    fn add(&mut self, kind: u64, first: String, cell: Option<&str>, group: impl FnOnce() -> Group) {
        let place = match self.places.get(&kind) {
            Some(place) => *place,
            None if self.groups.len() == MOST => {
                self.more += 1;
                return;
            }
            None => {
                self.places.insert(kind, self.groups.len());
                self.groups.push(group());
                self.groups.len() - 1
            }
        };
        let group = &mut self.groups[place];
        group.rows += 1;
        if group.first.len() < FEW && !first.is_empty() {
            group.first.push(first);
        }
        if let (Some(guess), Some(cell)) = (&mut group.guess, cell) {
            guess.see(cell);
        }
    }

    /// Makes the list. `good` is how many rows have no problem that a source itself tells.
    pub(super) fn finish(&mut self, subject: Subject<'_>, good: u64) {
        for group in std::mem::take(&mut self.groups) {
            let mut problem = group.one;
            if group.rows > 1 {
                let rows = plural(group.rows, "row");
                let more = if group.rows > FEW as u64 { ", …" } else { "" };
                let first = group.first.join(", ") + more;
                problem.message = match group.many {
                    Some((before, behind)) => format!("{before} in {rows}{behind}: {first}"),
                    None if good == 0 => format!("{}; all {rows} are so: {first}", problem.message),
                    None => format!("{}; {rows} are so: {first}", problem.message),
                };
            }
            let advice = subject.source.and_then(|(name, notation)| {
                let guess = group.guess.as_ref()?;
                guess.advice(name, notation)
            });
            if let (Some(advice), Some(help)) = (advice, &mut problem.help) {
                *help = format!("{advice}; otherwise {help}");
            }
            self.list.push(problem);
        }
        self.list.extend(more(subject.name, self.more));
    }
}

/// That there are more problems than were reported.
pub(super) fn more(subject: &str, count: usize) -> Option<Diagnostic> {
    let plural = if count == 1 { "problem" } else { "problems" };
    (count > 0).then(|| {
        plain(
            format!("{subject}: and {count} more {plural} like these"),
            None,
            "fix these first; the rest is shown after that".to_owned(),
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
    /// What is the same where a problem is that of many rows.
    fn kind(&self) -> impl Hash {
        match self {
            RowIssue::Unreadable(issue) => (
                0,
                issue.condition.column.clone(),
                format!("{:?}", issue.kind),
            ),
            RowIssue::Occurrence {
                automation, why, ..
            } => (
                1,
                (*automation).to_owned(),
                format!("{:?}", discriminant(why)),
            ),
            RowIssue::Field {
                automation, issue, ..
            } => (
                2,
                format!("{automation} {}", issue.field.name),
                issue.why.clone(),
            ),
            RowIssue::Full => (3, String::new(), String::new()),
            RowIssue::Merged { column, why, .. } => {
                (4, (*column).to_owned(), format!("{:?}", discriminant(why)))
            }
        }
    }

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
                format!("column {column}, the `repeat_by` of automation {automation}, is empty"),
                "fill it in, or exclude such rows with a `where`".to_owned(),
            ),
            RowIssue::Occurrence {
                automation,
                column,
                shown,
                why,
            } => (
                format!(
                    "column {column}, the `repeat_by` of automation {automation}, holds {shown}, and {why}"
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
                "fix the field's template or the row, or exclude such rows with a `where`"
                    .to_owned(),
            ),
            RowIssue::Merged {
                column,
                why: IdError::Empty,
                ..
            } => (
                format!("column {column}, which [[merged]] reads, is empty"),
                format!(
                    "fill it in, or leave such rows out with where.{column} = {{ exists = true }}"
                ),
            ),
            RowIssue::Merged { column, shown, why } => (
                format!("column {column}, which [[merged]] reads, holds {shown}, and {why}"),
                "write the externalContactId by which Spotler knows the contact".to_owned(),
            ),
            RowIssue::Full => (
                "the ids of all enrolments so far are longer than 4 GiB in total".to_owned(),
                "split the configuration into several, each with its own record".to_owned(),
            ),
        }
    }
}
