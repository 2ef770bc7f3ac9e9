//! Config + rows → enrolments: conditions, suppression, fields.
//!
//! [`build`] reads every source that an `[[enrol]]` block draws on once, from start to end, and keeps of each enrolment
//! a few numbers and the digest of its fields. [`build_for`] does so for one contact alone. Field values are personal data: they are made again, from the row, when
//! they are sent ([`Roster::fields`]).

mod absence;
mod block;
mod build;
mod cell;
mod columns;
mod condition;
mod dispatch;
mod doubts;
mod entries;
mod exclusive;
mod expect;
mod explain;
mod fields;
mod guess;
mod merged;
mod narrow;
mod open;
mod problems;
mod reading;
mod render;
mod select;
mod shrink;
mod suppressed;
mod template;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verdict;
mod writing;

pub use absence::Undeclared;
pub use build::{Past, build, build_for, check, check_rules};
pub use entries::Class;
pub use exclusive::goes_first;
pub use explain::BlockVerdict;
pub use merged::People;
pub use open::drawing_on;
pub use suppressed::Suppressions;

use std::ops::Range;

use hashbrown::{HashMap, HashSet};
use jiff::Timestamp;

use block::Block;
use entries::{Entries, Entry};
use fields::{For, Templates};
use reading::Reading;
use render::NoFields;
use select::Declared;
use suppressed::Suppressed;

use crate::config::{Config, Diagnostic, Source};
use crate::digest::{Digest, Hasher};
use crate::field::{self, FieldValue};
use crate::id::{AutomationName, ContactId, IdError, Occurrence};
use crate::participation::Key;
use crate::source::{SourceError, Table};

/// All enrolments that a configuration and its sources add up to.
#[derive(Debug)]
pub struct Roster<'c> {
    config: &'c Config,
    templates: Templates<'c>,
    /// As [`Config::enrols`].
    blocks: Vec<Block<'c>>,
    /// As [`Config::sources`]; those that no block draws on are not opened.
    sources: Vec<Option<Table>>,
    declared: Declared<'c>,
    people: People,
    entries: Entries,
    withheld: Entries,
    suppressed: Suppressed<'c>,
    more_rows: MoreRows,
    sizes: Vec<usize>,
    /// Whether the record has a say in who is declared.
    needs_record: bool,
    warnings: Vec<Diagnostic>,
    /// For each source, the condition that a plan leaves to its database.
    conditions: Vec<Option<String>>,
}

/// The rows behind the first of the enrolments that several rows make together, by automation, block and first row.
type MoreRows = HashMap<(u32, u32, u64), Vec<u64>>;

/// A declared enrolment: this contact should be in this automation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enrolment<'r> {
    /// The person.
    pub contact: &'r str,
    /// The automation, as an index into [`Config::automations`].
    pub automation: usize,
    /// The occurrence; `None` where the automation does not repeat.
    pub occurrence: Option<&'r str>,
    /// The digest of its fields; `None` where it has none.
    pub fields: Option<Digest>,
    /// The block that declares it, the first if several do, as an index into [`Config::enrols`].
    pub block: usize,
    /// What it takes for it to be declared.
    pub class: Class,
    row: u64,
}

impl Enrolment<'_> {
    /// The participation that it is of.
    ///
    /// # Errors
    /// That an id is none; a roster takes no such.
    pub fn key(&self, config: &Config) -> Result<Key, IdError> {
        Ok(Key {
            contact: ContactId::new(self.contact)?,
            automation: config.automations[self.automation].name.clone(),
            occurrence: self.occurrence.map(Occurrence::new).transpose()?,
        })
    }
}

/// A source as it was read.
#[derive(Debug, Clone, Copy)]
pub struct SourceRead<'c> {
    /// Which.
    pub source: &'c Source,
    /// How many rows it has, without its header.
    pub rows: u64,
    /// When its file was last written, where the system knows.
    pub written: Option<Timestamp>,
    /// Whether its file ends with a line end.
    pub ends_with_line_end: bool,
}

/// The fields of an enrolment cannot be made again.
#[derive(Debug, thiserror::Error)]
pub enum FieldError {
    /// The source's row cannot be read again.
    #[error(
        "the fields of contact {contact} in automation {automation} could not be read again, and nothing was sent for it: {error}"
    )]
    Unreadable {
        /// The person.
        contact: String,
        /// The automation.
        automation: AutomationName,
        /// Why.
        error: SourceError,
    },
    /// The row can be read, and gives other fields than when it was planned.
    #[error(
        "the fields of contact {contact} in automation {automation} are not those that were planned, and nothing was sent for it: its row was changed in place after it was read; plan again"
    )]
    Changed {
        /// The person.
        contact: String,
        /// The automation.
        automation: AutomationName,
    },
}

/// How the cells of a source are read.
fn reading(config: &Config, source: usize) -> Reading<'_> {
    Reading {
        zone: &config.zone,
        notation: &config.sources[source].notation,
    }
}

impl<'c> Roster<'c> {
    /// Whose ids are whose. All enrolments are of ids that are kept.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// What is likely a slip in how ids are written.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// One in which nobody is declared, for what is stopped whoever is.
    pub fn of_nobody(config: &'c Config) -> Self {
        let people = People::default();
        Self {
            config,
            templates: Templates::none(),
            blocks: Vec::new(),
            sources: Vec::new(),
            declared: Declared::new(config, &people),
            entries: Entries::default(),
            suppressed: Suppressed::new(config, &people),
            people,
            withheld: Entries::default(),
            more_rows: MoreRows::default(),
            sizes: vec![0; config.automations.len()],
            needs_record: false,
            warnings: Vec::new(),
            conditions: Vec::new(),
        }
    }

    /// Every enrolment by which somebody comes in, by contact, automation name and occurrence, each compared byte by byte.
    pub fn enrolments(&self) -> impl Iterator<Item = Enrolment<'_>> {
        self.all()
            .filter(|enrolment| enrolment.class == Class::ComesIn)
    }

    /// Every enrolment, also those that the record must decide on.
    fn all(&self) -> impl ExactSizeIterator<Item = Enrolment<'_>> {
        let entries = self.entries.list().iter();
        entries.map(|entry| self.enrolment(entry))
    }

    /// Whether it takes the record to tell who is declared. If not, all come in.
    pub fn needs_record(&self) -> bool {
        self.needs_record
    }

    /// An enrolment of any class by its place in that order, which is below [`Roster::len`]. Those of one contact, automation and
    /// occurrence stand together, by class.
    pub fn get(&self, place: usize) -> Enrolment<'_> {
        self.enrolment(&self.entries.list()[place])
    }

    /// The contact of the enrolment at a place.
    pub fn contact(&self, place: usize) -> &str {
        self.entries.contact(&self.entries.list()[place])
    }

    /// How many enrolments are of contacts that sort before this one, and how many that are withheld.
    pub fn before(&self, contact: &str) -> (usize, usize) {
        let before = |of: &Entries| {
            let list = of.list();
            list.partition_point(|entry| of.contact(entry) < contact)
        };
        (before(&self.entries), before(&self.withheld))
    }

    /// The places of all enrolments of the contact that has one at a place.
    pub fn of_contact(&self, place: usize) -> Range<usize> {
        self.entries.of_contact(place)
    }

    /// How many enrolments of any class there are.
    pub fn len(&self) -> usize {
        self.entries.list().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The enrolment of a contact in an automation, if there is one: the one by which it comes in, or else stays.
    pub fn find(
        &self,
        contact: &str,
        automation: usize,
        occurrence: Option<&str>,
    ) -> Option<Enrolment<'_>> {
        let contact = self.people.kept(contact);
        let wanted = (contact, automation, occurrence.unwrap_or_default());
        let list = self.entries.list();
        let key = |enrolment: &Enrolment<'_>| {
            let occurrence = enrolment.occurrence.unwrap_or_default();
            (enrolment.contact, enrolment.automation, occurrence) == wanted
        };
        let first = list.partition_point(|entry| {
            let enrolment = self.enrolment(entry);
            let occurrence = enrolment.occurrence.unwrap_or_default();
            (enrolment.contact, enrolment.automation, occurrence) < wanted
        });
        let first = list.get(first).map(|entry| self.enrolment(entry));
        first.filter(key)
    }

    /// Every enrolment that is withheld, since its contact is suppressed, in the same order. They are not among the
    /// [`Roster::enrolments`], and have no fields.
    pub fn withheld(&self) -> impl ExactSizeIterator<Item = Enrolment<'_>> {
        self.withheld_at(0..self.withheld.list().len())
    }

    /// Those of them at some places.
    pub fn withheld_at(
        &self,
        places: Range<usize>,
    ) -> impl ExactSizeIterator<Item = Enrolment<'_>> {
        let entries = self.withheld.list()[places].iter();
        entries.map(|entry| self.withheld.enrolment(entry))
    }

    /// Every enrolment that a lot leaves out, of contacts that come in by no part of its name: the control group. In the same order.
    pub fn left_out_by_lot(&self) -> impl Iterator<Item = Enrolment<'_>> {
        let list = self.entries.list();
        let is_of_one = |a: &Entry, b: &Entry| self.entries.contact(a) == self.entries.contact(b);
        let comes_in = |of: &Enrolment<'_>| of.class == Class::ComesIn;
        let lot = |of: &Enrolment<'_>| {
            let lot = self.config.enrols[of.block].lot.as_ref();
            lot.map(|lot| lot.name.as_str())
        };
        list.chunk_by(is_of_one).flat_map(move |of_one| {
            let all = || of_one.iter().map(|entry| self.enrolment(entry));
            let names: HashSet<&str> = all().filter(comes_in).filter_map(|of| lot(&of)).collect();
            // Of those in one automation and occurrence, one that comes in stands first.
            let same = |a: &Entry, b: &Entry| {
                let (a, b) = (self.enrolment(a), self.enrolment(b));
                (a.automation, a.occurrence) == (b.automation, b.occurrence)
            };
            let left_out = of_one
                .chunk_by(same)
                .filter(|same| same[0].class() != Class::ComesIn);
            let left_out = left_out.flatten().map(|entry| self.enrolment(entry));
            let left_out = left_out.filter(|of| of.class == Class::LeftOut);
            let left_out = left_out.filter(|of| lot(of).is_none_or(|name| !names.contains(name)));
            left_out.collect::<Vec<_>>()
        })
    }

    /// How many come into each automation, as [`Config::automations`].
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The sources that were read, in the order of [`Config::sources`].
    pub fn sources(&self) -> impl Iterator<Item = SourceRead<'c>> {
        let sources = self.config.sources.iter().zip(&self.sources);
        sources.filter_map(|(source, table)| {
            let table = table.as_ref()?;
            Some(SourceRead {
                source,
                rows: table.len(),
                written: table.written(),
                ends_with_line_end: table.ends_with_line_end(),
            })
        })
    }

    /// The digest of all enrolments, their fields' digests among them. It does not depend on where the configuration
    /// declares them.
    pub fn digest(&self) -> Digest {
        const CHUNK: usize = 64 * 1024;
        let mut hasher = Hasher::new();
        let mut chunk = Vec::with_capacity(2 * CHUNK);
        let part = |chunk: &mut Vec<u8>, bytes: &[u8]| {
            chunk.extend((bytes.len() as u64).to_le_bytes());
            chunk.extend(bytes);
        };
        for enrolment in self.all() {
            if enrolment.class != Class::ComesIn {
                // No part is so long.
                chunk.extend((u64::MAX - enrolment.class as u64).to_le_bytes());
            }
            let automation = &self.config.automations[enrolment.automation].name;
            part(&mut chunk, enrolment.contact.as_bytes());
            part(&mut chunk, automation.as_str().as_bytes());
            part(
                &mut chunk,
                enrolment.occurrence.unwrap_or_default().as_bytes(),
            );
            let fields = enrolment.fields.as_ref().map(Digest::as_bytes);
            part(&mut chunk, fields.map_or(&[][..], |digest| digest));
            if chunk.len() >= CHUNK {
                hasher.part(&chunk);
                chunk.clear();
            }
        }
        hasher.part(&chunk).finish()
    }

    /// Makes the fields of an enrolment again, to be sent now and kept nowhere. May be called from several threads.
    ///
    /// # Errors
    /// If the source cannot be read any more, or its row has changed since.
    pub fn fields(&self, enrolment: &Enrolment<'_>) -> Result<Vec<FieldValue>, FieldError> {
        // Of who only stays, no digest may be known.
        let has_none = enrolment.class == Class::ComesIn
            || self
                .fields_of(enrolment.block, enrolment.automation)
                .is_none();
        if enrolment.fields.is_none() && has_none {
            return Ok(Vec::new());
        }
        let automation = &self.config.automations[enrolment.automation].name;
        let whom = For {
            contact: enrolment.contact,
            automation: automation.as_str(),
            occurrence: enrolment.occurrence,
        };
        // Neither outgrows a u32: they were kept as such.
        let of = (
            enrolment.automation as u32,
            enrolment.block as u32,
            enrolment.row,
        );
        let more = self.more_rows.get(&of).into_iter().flatten().copied();
        let rows = std::iter::once(enrolment.row).chain(more);
        let fields = match self.render(enrolment.block, enrolment.automation, whom, rows) {
            Ok(fields)
                if enrolment.fields.is_none() || field::digest(&fields) == enrolment.fields =>
            {
                Some(fields)
            }
            Ok(_) | Err(NoFields::Changed | NoFields::Differs(_)) => None,
            Err(NoFields::Unreadable(error)) => {
                return Err(FieldError::Unreadable {
                    contact: enrolment.contact.to_owned(),
                    automation: automation.clone(),
                    error,
                });
            }
        };
        fields.ok_or_else(|| FieldError::Changed {
            contact: enrolment.contact.to_owned(),
            automation: automation.clone(),
        })
    }

    /// The conditions that a plan leaves to databases, each with the name of its source, as they are written there.
    pub fn conditions(&self) -> impl Iterator<Item = (&'c str, &str)> {
        let sources = self.config.sources.iter().zip(&self.conditions);
        sources
            .filter_map(|(source, condition)| Some((source.name.as_str(), condition.as_deref()?)))
    }

    fn enrolment(&self, entry: &Entry) -> Enrolment<'_> {
        self.entries.enrolment(entry)
    }

    /// How the cells of a source are read.
    fn reading(&self, source: usize) -> Reading<'c> {
        reading(self.config, source)
    }
}
