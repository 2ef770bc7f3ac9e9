//! Configuration + rows → enrolments: who should be in which automation.
//!
//! Rows are streamed and conditions are compiled once. What is kept of an enrolment is some thirty bytes over one arena
//! of texts, so that a roster of millions fits in memory; its fields are rendered again when they are sent.

mod absence;
mod blocks;
mod build;
mod cell;
mod condition;
mod fields;
mod index;
#[cfg(test)]
mod tests;

pub use build::build;
pub use fields::FieldError;

use crate::config::Config;
use crate::digest::{Digest, Hasher};
use crate::field::{self, FieldValue};
use crate::source::{RowId, Table};
use fields::Plans;
use index::RowIndex;

/// All enrolments that a configuration and its sources add up to, sorted by contact, automation and occurrence.
#[derive(Debug)]
pub struct Roster {
    text: String,
    entries: Vec<Entry>,
    digests: Vec<Digest>,
    /// By the configuration's sources.
    sources: Vec<Opened>,
    plans: Plans,
}

/// A source that was read.
#[derive(Debug)]
struct Opened {
    table: Table,
    index: RowIndex,
}

/// One enrolment, in little room.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where its contact's id begins in the text; the occurrence follows it.
    start: u32,
    contact: u16,
    /// The occurrence's length; 0 is none.
    occurrence: u16,
    automation: u16,
    block: u16,
    /// The place of its fields' digest, from 1; 0 is no fields.
    fields: u32,
    /// Its row; meaningless without a source.
    row: RowId,
}

/// An enrolment: this contact should be in this automation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enrolment<'r> {
    /// The person.
    pub contact: &'r str,
    /// The automation, as an index into [`Config::automations`].
    pub automation: usize,
    /// The occurrence, where the automation repeats.
    pub occurrence: Option<&'r str>,
    /// The digest of its fields; `None` where it has none.
    pub fields: Option<Digest>,
    /// The `[[enrol]]` block that declares it, as an index into [`Config::enrols`]; the first, where there are several.
    pub block: usize,
}

impl Roster {
    /// How many enrolments there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// An enrolment by its place, which is below [`Roster::len`].
    pub fn get(&self, place: usize) -> Enrolment<'_> {
        self.view(&self.entries[place])
    }

    /// All enrolments, in order.
    pub fn enrolments(&self) -> impl Iterator<Item = Enrolment<'_>> {
        self.entries.iter().map(|entry| self.view(entry))
    }

    fn view(&self, entry: &Entry) -> Enrolment<'_> {
        let (contact, occurrence) = texts(&self.text, entry);
        Enrolment {
            contact,
            automation: usize::from(entry.automation),
            occurrence,
            fields: digest_of(&self.digests, entry),
            block: usize::from(entry.block),
        }
    }

    /// How many enrolments each automation has, by [`Config::automations`].
    pub fn sizes(&self, config: &Config) -> Vec<u64> {
        let mut sizes = vec![0; config.automations.len()];
        for entry in &self.entries {
            sizes[usize::from(entry.automation)] += 1;
        }
        sizes
    }

    /// The digest of all enrolments with their fields: it changes when any of them does.
    pub fn digest(&self, config: &Config) -> Digest {
        let mut hasher = Hasher::new();
        for enrolment in self.enrolments() {
            hasher
                .part(enrolment.contact)
                .part(config.automations[enrolment.automation].name.as_str())
                .part(enrolment.occurrence.unwrap_or_default());
            if let Some(digest) = enrolment.fields {
                hasher.part(digest.as_bytes());
            }
        }
        hasher.finish()
    }

    /// The fields of the enrolment at a place, rendered again from its row.
    ///
    /// # Errors
    /// That the row cannot be read any more, or now gives other fields than the plan was made with.
    pub fn fields(&self, config: &Config, place: usize) -> Result<Vec<FieldValue>, FieldError> {
        let entry = &self.entries[place];
        let enrolment = self.view(entry);
        let Some(planned) = enrolment.fields else {
            return Ok(Vec::new());
        };
        let enrol = &config.enrols[enrolment.block];
        let rendered = match enrol.source {
            Some(source) => {
                let mut lookup = self.sources[source].table.lookup();
                let row = lookup.row(entry.row)?;
                self.plans.render(config, &enrolment, &|column| {
                    row.cells.get(column).map(str::to_owned)
                })?
            }
            None => self.plans.render_declared(config, &enrolment)?,
        };
        if field::digest(&rendered) == Some(planned) {
            Ok(rendered)
        } else {
            Err(FieldError::Changed)
        }
    }
}

fn texts<'t>(text: &'t str, entry: &Entry) -> (&'t str, Option<&'t str>) {
    let start = entry.start as usize;
    let middle = start + usize::from(entry.contact);
    let occurrence = &text[middle..middle + usize::from(entry.occurrence)];
    (
        &text[start..middle],
        (!occurrence.is_empty()).then_some(occurrence),
    )
}

fn digest_of(digests: &[Digest], entry: &Entry) -> Option<Digest> {
    let place = (entry.fields as usize).checked_sub(1)?;
    digests.get(place).copied()
}
