//! Adding a roster up: sources are read side by side, then all is sorted and made unique.

use std::collections::HashSet;

use jiff::Timestamp;

use super::blocks::{Block, Target, declared_cells};
use super::cell::{Cells, SourceCells};
use super::condition::Clock;
use super::fields::{FieldError, Plans};
use super::index::RowIndex;
use super::{Enrolment, Entry, Opened, Roster, digest_of, texts};
use crate::config::{Config, Diagnostic, Problems};
use crate::digest::Digest;
use crate::field;
use crate::id;
use crate::source::{RowAt, RowId, SourceError, Table, quoted};

/// So many problems of one source are told; the others are counted.
const MOST_PROBLEMS: usize = 20;

/// Adds up the roster of a configuration, reading all its sources.
///
/// # Errors
/// Every problem of every source: with the file itself, with rows, with columns that the configuration names, with
/// fields.
pub fn build(config: &Config, now: Timestamp) -> Result<Roster, Problems> {
    let mut problems = Vec::new();
    if config.automations.len() > usize::from(u16::MAX)
        || config.enrols.len() > usize::from(u16::MAX)
    {
        problems.push(Diagnostic::nowhere(
            "there are more than 65,535 automations or [[enrol]] blocks",
        ));
        return Err(all(config, problems));
    }
    let tables = open(config, now, &mut problems);
    let clock = Clock {
        now,
        zone: &config.zone,
    };
    let mut blocks: Vec<Vec<Block<'_>>> = config.sources.iter().map(|_| Vec::new()).collect();
    for (index, enrol) in config.enrols.iter().enumerate() {
        if let Some(source) = enrol.source
            && let Some(table) = &tables[source]
        {
            blocks[source].push(Block::sourced(config, index, table, &clock, &mut problems));
        }
    }
    let plans = Plans::new(config, &tables, &mut problems);
    if !problems.is_empty() {
        return Err(all(config, problems));
    }
    let tables: Vec<Table> = tables.into_iter().flatten().collect();

    let mut parts: Vec<Part> = std::thread::scope(|scope| {
        let threads: Vec<_> = tables
            .iter()
            .zip(&blocks)
            .map(|(table, blocks)| {
                let plans = &plans;
                scope.spawn(move || read_source(config, table, blocks, plans))
            })
            .collect();
        let joined = threads.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Part {
                problems: vec![Diagnostic::nowhere(
                    "a source could not be read: its reader failed",
                )],
                ..Part::default()
            })
        });
        joined.collect()
    });
    parts.push(read_declared(config, &clock, &plans));
    let mut indices = Vec::new();
    for part in &mut parts {
        problems.append(&mut part.problems);
        indices.push(std::mem::take(&mut part.index));
    }
    if !problems.is_empty() {
        return Err(all(config, problems));
    }
    let sources = tables
        .into_iter()
        .zip(indices)
        .map(|(table, index)| Opened { table, index })
        .collect();
    let mut roster = join(parts, sources, plans)
        .map_err(|TooLarge| all(config, vec![TooLarge::diagnostic()]))?;
    let problems = roster.sort_and_make_unique(config);
    match problems.is_empty() {
        true => Ok(roster),
        false => Err(all(config, problems)),
    }
}

fn all(config: &Config, list: Vec<Diagnostic>) -> Problems {
    Problems {
        list,
        files: config.files.clone(),
    }
}

fn of_source(error: &SourceError) -> Diagnostic {
    Diagnostic::nowhere(error.to_string()).help(error.help())
}

fn open(config: &Config, now: Timestamp, problems: &mut Vec<Diagnostic>) -> Vec<Option<Table>> {
    config
        .sources
        .iter()
        .map(|source| {
            let table = Table::open(source).and_then(|table| table.check_age(now).map(|()| table));
            table.map_err(|error| problems.push(of_source(&error))).ok()
        })
        .collect()
}

/// What one source, or the declared contacts, add.
#[derive(Default)]
struct Part {
    text: String,
    entries: Vec<Entry>,
    digests: Vec<Digest>,
    index: RowIndex,
    problems: Vec<Diagnostic>,
    uncounted: usize,
}

impl Part {
    fn problem(&mut self, make: impl FnOnce() -> Diagnostic) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(make());
        } else {
            self.uncounted += 1;
        }
    }

    /// Adds an enrolment. `start` is where the contact's id begins in the text, if it is there already.
    fn push(
        &mut self,
        start: &mut Option<u32>,
        enrolment: &Enrolment<'_>,
        row: RowId,
    ) -> Result<(), TooLarge> {
        let begin = match (*start, enrolment.occurrence) {
            (Some(start), None) => start,
            (_, occurrence) => {
                let begin = u32::try_from(self.text.len()).map_err(|_| TooLarge)?;
                self.text.push_str(enrolment.contact);
                match occurrence {
                    None => *start = Some(begin),
                    Some(occurrence) => self.text.push_str(occurrence),
                }
                begin
            }
        };
        let fields = match enrolment.fields {
            None => 0,
            Some(digest) => {
                self.digests.push(digest);
                u32::try_from(self.digests.len()).map_err(|_| TooLarge)?
            }
        };
        // Ids are at most id::MAX_LEN bytes long, and blocks and automations were counted.
        let short = |number: usize| u16::try_from(number).map_err(|_| TooLarge);
        self.entries.push(Entry {
            start: begin,
            contact: short(enrolment.contact.len())?,
            occurrence: short(enrolment.occurrence.map_or(0, str::len))?,
            automation: short(enrolment.automation)?,
            block: short(enrolment.block)?,
            fields,
            row,
        });
        Ok(())
    }
}

/// There are more enrolments than can be counted.
struct TooLarge;

impl TooLarge {
    fn diagnostic() -> Diagnostic {
        Diagnostic::nowhere("the roster is too large: its ids add up to more than 4 GiB")
    }
}

fn read_source(config: &Config, table: &Table, blocks: &[Block<'_>], plans: &Plans) -> Part {
    let mut part = Part::default();
    let mut rows = match table.rows() {
        Ok(rows) => rows,
        Err(error) => {
            part.problems.push(of_source(&error));
            return part;
        }
    };
    let suppressed: HashSet<&str> = config.suppressed.keys().map(|id| id.as_str()).collect();
    loop {
        let mut found = Vec::new();
        let done = match rows.read() {
            None => true,
            Some(Err(error)) => {
                part.problem(|| of_source(&error));
                false
            }
            Some(Ok(row)) => {
                part.index.push(row.contact, row.id);
                if suppressed.is_empty() || !suppressed.contains(row.contact) {
                    let cells = SourceCells {
                        cells: row.cells,
                        zone: &config.zone,
                    };
                    let cell = |column| row.cells.get(column).map(str::to_owned);
                    found = enrol_row(
                        config,
                        &mut part,
                        blocks,
                        plans,
                        row.contact,
                        row.id,
                        &cells,
                        &|e| plans.render(config, e, &cell),
                    );
                }
                false
            }
        };
        if !found.is_empty() {
            let at = rows.at();
            for wrong in found {
                part.problem(|| wrong.diagnostic(table, at));
            }
        }
        if done {
            break;
        }
    }
    if part.uncounted > 0 {
        let more = format!("{table} has {} more problems like these", part.uncounted);
        part.problems.push(Diagnostic::nowhere(more));
    }
    part
}

/// What is wrong with a row that is well-formed.
enum Wrong {
    Cell {
        sentence: String,
        help: &'static str,
    },
    Occurrence {
        column: String,
        why: String,
    },
    Field {
        automation: String,
        error: FieldError,
        block: String,
    },
    TooLarge,
}

impl Wrong {
    fn diagnostic(self, of: &dyn std::fmt::Display, at: RowAt) -> Diagnostic {
        match self {
            Wrong::Cell { sentence, help } => {
                Diagnostic::nowhere(format!("{of}: in {at}, {sentence}")).help(help)
            }
            Wrong::Occurrence { column, why } => Diagnostic::nowhere(format!(
                "{of}: in {at}, column {column} cannot tell occurrences apart: {why}"
            ))
            .help("every row that matches needs an id of its own there, such as an order number"),
            Wrong::Field {
                automation,
                error,
                block,
            } => Diagnostic::nowhere(format!(
                "{of}: in {at}, {error} (automation {automation}, block {block})"
            ))
            .help("the value is not shown, as it is personal; look at the row"),
            Wrong::TooLarge => TooLarge::diagnostic(),
        }
    }
}

/// Tests all blocks on one row and adds what it enrols. Returns what is wrong with it.
#[allow(
    clippy::too_many_arguments,
    reason = "a row in all its parts, on the hottest path"
)]
fn enrol_row<C: Cells>(
    config: &Config,
    part: &mut Part,
    blocks: &[Block<'_>],
    plans: &Plans,
    contact: &str,
    row: RowId,
    cells: &C,
    render: &dyn Fn(&Enrolment<'_>) -> Result<Vec<field::FieldValue>, FieldError>,
) -> Vec<Wrong> {
    let mut found = Vec::new();
    let mut start = None;
    for block in blocks {
        if !block.names(contact) {
            continue;
        }
        match block.holds(cells) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(issue) => {
                found.push(Wrong::Cell {
                    sentence: issue.sentence(),
                    help: issue.help(),
                });
                continue;
            }
        }
        for target in &block.targets {
            let result = enrol_target(
                config, part, block, target, plans, contact, row, cells, render, &mut start,
            );
            found.extend(result.err());
        }
    }
    found
}

#[allow(
    clippy::too_many_arguments,
    reason = "a row in all its parts, on the hottest path"
)]
fn enrol_target<C: Cells>(
    config: &Config,
    part: &mut Part,
    block: &Block<'_>,
    target: &Target,
    plans: &Plans,
    contact: &str,
    row: RowId,
    cells: &C,
    render: &dyn Fn(&Enrolment<'_>) -> Result<Vec<field::FieldValue>, FieldError>,
    start: &mut Option<u32>,
) -> Result<(), Wrong> {
    let automation = &config.automations[target.automation];
    let text = target
        .occurrence
        .map(|column| cells.text(column).unwrap_or_default());
    if let Some(text) = &text {
        id::check(text).map_err(|why| Wrong::Occurrence {
            column: automation.repeat_by.clone().unwrap_or_default(),
            why: match why {
                id::IdError::Empty => why.to_string(),
                why => format!("it holds {}, and {why}", quoted(text)),
            },
        })?;
    }
    let mut enrolment = Enrolment {
        contact,
        automation: target.automation,
        occurrence: text.as_deref(),
        fields: None,
        block: block.index,
    };
    if plans.has(block.index, target.automation) {
        let fields = render(&enrolment).map_err(|error| Wrong::Field {
            automation: automation.name.to_string(),
            error,
            block: block.enrol.place.to_string(),
        })?;
        enrolment.fields = field::digest(&fields);
    }
    part.push(start, &enrolment, row)
        .map_err(|TooLarge| Wrong::TooLarge)
}

/// Adds what blocks without a source enrol.
fn read_declared(config: &Config, clock: &Clock<'_>, plans: &Plans) -> Part {
    let mut part = Part::default();
    for (index, enrol) in config.enrols.iter().enumerate() {
        if enrol.source.is_some() {
            continue;
        }
        let (block, columns) = Block::declared(config, index, clock);
        let contacts: Vec<&str> = match &enrol.contacts {
            Some(contacts) => contacts.iter().map(|id| id.as_str()).collect(),
            None => config.contacts.keys().map(|id| id.as_str()).collect(),
        };
        for contact in contacts {
            if config.suppressed.contains_key(contact) {
                continue;
            }
            let cells = declared_cells(config, contact, &columns);
            let blocks = std::slice::from_ref(&block);
            let found = enrol_row(
                config,
                &mut part,
                blocks,
                plans,
                contact,
                RowId(0),
                &cells,
                &|e| plans.render_declared(config, e),
            );
            for wrong in found {
                let at = config
                    .contacts
                    .get(contact)
                    .map_or_else(|| enrol.place.clone(), |declared| declared.place.clone());
                let message = match wrong {
                    Wrong::Cell { sentence, .. } => format!("contact {contact}: {sentence}"),
                    Wrong::Occurrence { column, why } => format!(
                        "contact {contact}: `{column}` cannot tell occurrences apart: {why}"
                    ),
                    Wrong::Field {
                        automation, error, ..
                    } => format!("contact {contact}: {error} (automation {automation})"),
                    Wrong::TooLarge => "the roster is too large".to_owned(),
                };
                part.problem(|| {
                    Diagnostic::at(at, message)
                        .related(enrol.place.clone(), "enrolled by this block")
                });
            }
        }
    }
    part
}

fn join(parts: Vec<Part>, sources: Vec<Opened>, plans: Plans) -> Result<Roster, TooLarge> {
    let mut parts = parts.into_iter();
    let first = parts.next().unwrap_or_default();
    let (mut text, mut entries, mut digests) = (first.text, first.entries, first.digests);
    for part in parts {
        let (by, fields_by) = (text.len(), digests.len());
        text.push_str(&part.text);
        digests.extend(part.digests);
        for mut entry in part.entries {
            let shifted = u32::try_from(entry.start as usize + by);
            entry.start = shifted.map_err(|_| TooLarge)?;
            if entry.fields > 0 {
                let shifted = u32::try_from(entry.fields as usize + fields_by);
                entry.fields = shifted.map_err(|_| TooLarge)?;
            }
            entries.push(entry);
        }
    }
    if u32::try_from(entries.len()).is_err() {
        return Err(TooLarge);
    }
    Ok(Roster {
        text,
        entries,
        digests,
        sources,
        plans,
    })
}

impl Roster {
    /// Sorts, and keeps one of each enrolment: the one of the first block. Where their fields differ, that is a problem.
    fn sort_and_make_unique(&mut self, config: &Config) -> Vec<Diagnostic> {
        let text = &self.text;
        let key = |entry: &Entry| (texts(text, entry), entry.automation, entry.block, entry.row);
        let order = |a: &Entry, b: &Entry| {
            let ((contact_a, occurrence_a), automation_a, block_a, row_a) = key(a);
            let ((contact_b, occurrence_b), automation_b, block_b, row_b) = key(b);
            contact_a
                .cmp(contact_b)
                .then_with(|| automation_a.cmp(&automation_b))
                .then_with(|| occurrence_a.cmp(&occurrence_b))
                .then_with(|| block_a.cmp(&block_b))
                .then_with(|| row_a.cmp(&row_b))
        };
        if !self.entries.is_sorted_by(|a, b| order(a, b).is_le()) {
            self.entries.sort_unstable_by(order);
        }
        let mut differ: Vec<(Entry, Entry)> = Vec::new();
        let digests = &self.digests;
        let is_same =
            |a: &Entry, b: &Entry| a.automation == b.automation && texts(text, a) == texts(text, b);
        self.entries.dedup_by(|next, kept| {
            let same = is_same(next, kept);
            if same
                && digest_of(digests, next) != digest_of(digests, kept)
                && differ.len() < MOST_PROBLEMS
            {
                differ.push((*kept, *next));
            }
            same
        });
        differ
            .iter()
            .map(|(kept, next)| self.differing(config, kept, next))
            .collect()
    }

    fn differing(&self, config: &Config, kept: &Entry, next: &Entry) -> Diagnostic {
        let (one, other) = (self.view(kept), self.view(next));
        let from = |entry: &Entry, enrolment: &Enrolment<'_>| {
            let enrol = &config.enrols[enrolment.block];
            match enrol.source {
                Some(source) => {
                    let opened = &self.sources[source];
                    let number = opened.index.number(entry.row).unwrap_or(0);
                    format!("{} of {}", opened.table.at(number, entry.row), opened.table)
                }
                None => "the declared contact".to_owned(),
            }
        };
        let occurrence = one
            .occurrence
            .map_or_else(String::new, |o| format!(" (occurrence {o})"));
        let places = (
            &config.enrols[one.block].place,
            &config.enrols[other.block].place,
        );
        let diagnostic = Diagnostic::at(
            places.0.clone(),
            format!(
                "contact {}{occurrence} is enrolled in {} twice, with different fields: by {} and by {}",
                one.contact,
                config.automations[one.automation].name,
                from(kept, &one),
                from(next, &other)
            ),
        )
        .help("one trigger can send one set of fields: make the rows agree, or tell them apart with repeat_by");
        if places.0 == places.1 {
            diagnostic
        } else {
            diagnostic.related(places.1.clone(), "and by this block")
        }
    }
}
