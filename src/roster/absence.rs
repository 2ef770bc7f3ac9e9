//! Why a contact is not in an automation, in words.

use hashbrown::HashMap;

use super::block::Block;
use super::cell::{Cells, SourceCells};
use super::select::draws_on;
use super::{Opened, Roster};
use crate::source::{RowAt, RowBuffer, RowId, SourceError};

/// A participation whose enrolment is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gone<'k> {
    /// The person.
    pub contact: &'k str,
    /// The automation, as an index into [`Config::automations`](crate::config::Config::automations).
    pub automation: usize,
    /// The occurrence, if the participation has one.
    pub occurrence: Option<&'k str>,
}

/// What a block says of a contact and one of its automations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockVerdict {
    /// The block, as an index into [`Config::enrols`](crate::config::Config::enrols).
    pub block: usize,
    /// The automation, as an index into [`Config::automations`](crate::config::Config::automations).
    pub automation: usize,
    /// The source's row that it is about; `None` for a declared contact, and where there is no row.
    pub row: Option<RowAt>,
    /// The occurrence that the row gives.
    pub occurrence: Option<String>,
    /// Why the contact is not in; empty if it is, unless it is suppressed.
    pub out: Vec<String>,
}

/// Why a block leaves a contact out.
#[derive(Debug, Default)]
struct Misses {
    /// The fewest conditions that kept a row out, with what was found.
    nearest: Option<Vec<String>>,
    /// The places of blocks that name contacts, and not this one.
    unnamed: Vec<String>,
    /// Where nothing is found of the contact, or of the occurrence, in the order of the blocks.
    missing: Vec<String>,
}

impl Misses {
    fn conditions(&mut self, failures: Vec<String>) {
        let fewest = self.nearest.as_ref().map_or(usize::MAX, Vec::len);
        if (1..fewest).contains(&failures.len()) {
            self.nearest = Some(failures);
        }
    }

    /// The nearest miss. Not being named counts as one condition.
    fn reason(mut self) -> String {
        match self.nearest {
            Some(nearest) if nearest.len() == 1 || self.unnamed.is_empty() => {
                return nearest.join("; ");
            }
            Some(_) => self.missing.clear(),
            None => {}
        }
        if !self.unnamed.is_empty() {
            let unnamed = self.unnamed.join(" or ");
            self.missing.push(format!("no longer named in {unnamed}"));
        }
        if self.missing.is_empty() {
            return "no longer declared".to_owned();
        }
        self.missing.join("; ")
    }
}

impl<'c> Roster<'c> {
    /// Why each of these participations is not declared any more, in their order.
    ///
    /// `status is "ex-customer", wanted "customer"`, `not in source crm any more`,
    /// `suppressed: objected to marketing (lifecycle/customers.toml:30)`. It costs one pass over a small index and the
    /// reading of these contacts' rows.
    ///
    /// # Errors
    /// If a source cannot be read again.
    pub fn absence(&self, gone: &[Gone<'_>]) -> Result<Vec<String>, SourceError> {
        let mut misses: Vec<Misses> = gone.iter().map(|_| Misses::default()).collect();
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, key) in gone.iter().enumerate() {
            if self.config.suppression(key.contact).is_none() {
                places.entry(key.contact).or_default().push(place);
            }
        }
        for (source, opened) in self.sources.iter().enumerate() {
            let Some(opened) = opened else { continue };
            self.source_misses(source, opened, gone, &places, &mut misses)?;
        }
        for (contact, places) in &places {
            self.declared_misses(contact, gone, places, &mut misses);
        }
        let reasons = gone.iter().zip(misses).map(|(key, misses)| {
            let reason = self.standing_reason(key);
            reason.unwrap_or_else(|| misses.reason())
        });
        Ok(reasons.collect())
    }

    /// A reason that no row has a part in.
    fn standing_reason(&self, key: &Gone<'_>) -> Option<String> {
        if let Some(suppression) = self.config.suppression(key.contact) {
            return Some(suppression.to_string());
        }
        let enrols = &self.config.enrols;
        if !enrols
            .iter()
            .any(|enrol| enrol.automations.contains(&key.automation))
        {
            return Some("no [[enrol]] block names this automation any more".to_owned());
        }
        let repeat_by = &self.config.automations[key.automation].repeat_by;
        match (repeat_by, key.occurrence) {
            (Some(column), None) => Some(format!(
                "the automation repeats by {column} now, and this participation has no occurrence"
            )),
            (None, Some(occurrence)) => Some(format!(
                "the automation does not repeat any more, and this participation is of occurrence {occurrence}"
            )),
            _ => None,
        }
    }

    fn source_misses(
        &self,
        source: usize,
        Opened { table, index }: &Opened,
        gone: &[Gone<'_>],
        places: &HashMap<&str, Vec<usize>>,
        misses: &mut [Misses],
    ) -> Result<(), SourceError> {
        let blocks: Vec<&Block> = self.blocks_of(Some(source)).collect();
        let name = &self.config.sources[source].name;
        let mut seen = vec![Seen::Nothing; gone.len()];
        let mut buffer = RowBuffer::default();
        for (_, id) in index.find(places.keys().copied()) {
            let row = table.row(id, &mut buffer)?;
            let Some(places) = places.get(row.contact) else {
                continue;
            };
            let cells = SourceCells {
                cells: row.cells,
                zone: &self.config.zone,
            };
            for &place in places {
                let found = gone[place].occurrence.is_none()
                    || blocks
                        .iter()
                        .any(|block| gives(block, &gone[place], &cells));
                seen[place] = seen[place].max(if found { Seen::It } else { Seen::Others });
            }
            for (block, place) in pairs(&blocks, gone, places) {
                if gives(block, &gone[place], &cells) && !block.leaves_out(row.contact) {
                    misses[place].conditions(block.failures(&cells));
                }
            }
        }
        for places in places.values() {
            for (block, place) in pairs(&blocks, gone, places) {
                let key = &gone[place];
                let missing = match (seen[place], key.occurrence) {
                    (Seen::It, _) => {
                        if block.leaves_out(key.contact) {
                            misses[place].unnamed.push(block.enrol.place.to_string());
                        }
                        continue;
                    }
                    (Seen::Others, Some(occurrence)) => {
                        format!("occurrence {occurrence} is not in source {name} any more")
                    }
                    _ => format!("not in source {name} any more"),
                };
                if !misses[place].missing.contains(&missing) {
                    misses[place].missing.push(missing);
                }
            }
        }
        Ok(())
    }

    fn declared_misses(
        &self,
        contact: &str,
        gone: &[Gone<'_>],
        places: &[usize],
        misses: &mut [Misses],
    ) {
        let blocks: Vec<&Block> = self.blocks_of(None).collect();
        let row = self.declared.find(contact);
        let table = row.and_then(|row| self.declared.rows[row].1);
        let cells = self.declared.cells(table);
        for (block, place) in pairs(&blocks, gone, places) {
            let (key, misses) = (&gone[place], &mut misses[place]);
            if block.leaves_out(contact) {
                misses.unnamed.push(block.enrol.place.to_string());
            } else if !draws_on(block, table) {
                misses
                    .missing
                    .push(format!("no [contact.{contact}] any more"));
            } else if let (Some(occurrence), false) = (key.occurrence, gives(block, key, &cells)) {
                misses
                    .missing
                    .push(format!("occurrence {occurrence} is not declared any more"));
            } else {
                misses.conditions(block.failures(&cells));
            }
        }
    }

    /// What each block says of a contact, in their order: one verdict for each of its automations, and each row of the
    /// contact.
    ///
    /// # Errors
    /// If a source cannot be read again.
    pub fn explain(&self, contact: &str) -> Result<Vec<BlockVerdict>, SourceError> {
        let mut verdicts = Vec::new();
        let places = self.sources.iter().map(|opened| {
            let Some(Opened { table, index }) = opened else {
                return Vec::new();
            };
            table.places(index.find([contact]))
        });
        let places: Vec<Vec<(RowAt, RowId)>> = places.collect();
        for block in &self.blocks {
            let before = verdicts.len();
            let mut missing = String::new();
            if let Some(source) = block.enrol.source {
                missing = format!("not in source {}", self.config.sources[source].name);
                if let Some(Opened { table, .. }) = &self.sources[source] {
                    let mut buffer = RowBuffer::default();
                    for &(at, id) in &places[source] {
                        let row = table.row(id, &mut buffer)?;
                        if row.contact == contact {
                            let cells = SourceCells {
                                cells: row.cells,
                                zone: &self.config.zone,
                            };
                            verdicts.extend(judge(block, contact, Some(at), &cells));
                        }
                    }
                }
            } else {
                let row = self.declared.find(contact);
                let table = row.and_then(|row| self.declared.rows[row].1);
                if draws_on(block, table) {
                    verdicts.extend(judge(block, contact, None, &self.declared.cells(table)));
                } else {
                    missing = format!("no [contact.{contact}]");
                }
            }
            if verdicts.len() == before {
                verdicts.extend(block.targets.iter().map(|target| BlockVerdict {
                    block: block.index,
                    automation: target.automation,
                    row: None,
                    occurrence: None,
                    out: vec![missing.clone()],
                }));
            }
        }
        Ok(verdicts)
    }

    fn blocks_of(&self, source: Option<usize>) -> impl Iterator<Item = &Block<'c>> {
        self.blocks
            .iter()
            .filter(move |block| block.enrol.source == source)
    }
}

/// What was seen of a participation's contact in a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Nothing,
    /// Rows of other occurrences.
    Others,
    It,
}

/// Each block with each participation in an automation of its own.
fn pairs<'p, 'c>(
    blocks: &'p [&'p Block<'c>],
    gone: &'p [Gone<'p>],
    places: &'p [usize],
) -> impl Iterator<Item = (&'p Block<'c>, usize)> {
    blocks.iter().flat_map(move |block| {
        let enrols = |place: &usize| block.enrol.automations.contains(&gone[*place].automation);
        places
            .iter()
            .copied()
            .filter(enrols)
            .map(move |place| (*block, place))
    })
}

/// Whether a row gives a participation's occurrence in a block's automation.
fn gives(block: &Block<'_>, key: &Gone<'_>, cells: &dyn Cells) -> bool {
    let mut targets = block.targets.iter();
    let target = targets.find(|target| target.automation == key.automation);
    target.is_some_and(|target| match target.occurrence {
        None => true,
        Some(column) => cells.text(column).as_deref() == key.occurrence,
    })
}

fn judge(
    block: &Block<'_>,
    contact: &str,
    row: Option<RowAt>,
    cells: &dyn Cells,
) -> Vec<BlockVerdict> {
    let mut out = Vec::new();
    if block.leaves_out(contact) {
        out.push(format!("not named in {}", block.enrol.place));
    }
    out.extend(block.failures(cells));
    let verdict = |target: &super::block::Target<'_>| BlockVerdict {
        block: block.index,
        automation: target.automation,
        row,
        occurrence: target
            .occurrence
            .and_then(|column| cells.text(column))
            .filter(|text| !text.is_empty())
            .map(Into::into),
        out: out.clone(),
    };
    block.targets.iter().map(verdict).collect()
}
