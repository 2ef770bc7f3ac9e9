//! Why the enrolment of a participation is gone, in words.

use hashbrown::HashMap;

use super::Roster;
use super::cell::Cells;
use super::verdict::{Asked, FEW, Verdict};
use crate::source::SourceError;

/// A participation that is not declared any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Undeclared<'k> {
    /// The person.
    pub contact: &'k str,
    /// The automation, as an index into [`Config::automations`](crate::config::Config::automations).
    pub automation: usize,
    /// The occurrence, if the participation has one.
    pub occurrence: Option<&'k str>,
}

/// What is found of a participation's contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Nothing,
    OtherOccurrences,
    Participation,
}

/// What was found in each source, and of the declared contacts (`None`).
type InSources = Vec<(Option<usize>, Found)>;

/// Takes note of what was found. All blocks of one source look for the same in it; of the declared contacts, each draws on its
/// own.
fn note(list: &mut InSources, source: Option<usize>, found: Found) {
    let is_known =
        |(of, known): &&mut (_, Found)| *of == source && (source.is_some() || *known == found);
    match list.iter_mut().find(is_known) {
        Some((_, known)) => *known = found.max(*known),
        None => list.push((source, found)),
    }
}

/// Why blocks leave a participation out.
#[derive(Debug, Default)]
struct Misses {
    /// The fewest conditions that keep a row out, with what the row holds.
    nearest: Option<Vec<String>>,
    found: InSources,
}

impl Misses {
    /// Adds a verdict on a row of the participation itself.
    fn add(&mut self, verdict: &Verdict<'_, '_>, cells: &dyn Cells) {
        note(
            &mut self.found,
            verdict.block.enrol.source,
            Found::Participation,
        );
        if verdict.block.leaves_out(verdict.contact) {
            return;
        }
        let mut failures = verdict.block.stay_failures(cells);
        // Who is on the way out comes back by `where`.
        if failures.is_empty() {
            failures = verdict.block.failures(verdict.contact, cells);
        }
        let fewest = self.nearest.as_ref().map_or(usize::MAX, Vec::len);
        if (1..fewest).contains(&failures.len()) {
            self.nearest = Some(failures);
        }
    }

    /// The same with what was found of the contact, whatever the occurrence.
    fn with(mut self, of_all: &InSources) -> Self {
        let is_declared = self.found.iter().any(|(source, _)| source.is_none());
        let own = std::mem::replace(&mut self.found, of_all.clone());
        // The declared contact is one row, which is of the participation or of another one.
        self.found
            .retain(|of| !is_declared || *of != (None, Found::OtherOccurrences));
        for (source, found) in own {
            note(&mut self.found, source, found);
        }
        self
    }
}

/// The participations of a contact in an automation.
#[derive(Default)]
struct OfOne {
    /// Their places, sorted by occurrence.
    places: Vec<usize>,
    /// What was found of the contact, whatever the occurrence.
    found: InSources,
}

impl Roster<'_> {
    /// Why each of these participations is not declared any more, in their order.
    ///
    /// `status is "ex-customer", wanted "customer"`, `not in source crm any more`,
    /// `suppressed: objected to marketing (lifecycle/customers.toml:30)`. It costs one pass over a small index and the
    /// reading of these contacts' rows.
    ///
    /// # Errors
    /// If a source cannot be read again.
    pub fn absence(&self, undeclared: &[Undeclared<'_>]) -> Result<Vec<String>, SourceError> {
        let mut all: Vec<OfOne> = Vec::new();
        let mut by_key: HashMap<(&str, usize), usize> = HashMap::new();
        let mut asked = Asked::new();
        let mut misses: Vec<Misses> = undeclared.iter().map(|_| Misses::default()).collect();
        for (place, of) in undeclared.iter().enumerate() {
            if self.standing_reason(of).is_none() {
                let key = (of.contact, of.automation);
                let of_one = *by_key.entry(key).or_insert_with(|| {
                    asked.entry(of.contact).or_default().push(of.automation);
                    all.push(OfOne::default());
                    all.len() - 1
                });
                all[of_one].places.push(place);
            }
        }
        for of_one in &mut all {
            of_one
                .places
                .sort_by_key(|place| undeclared[*place].occurrence);
        }
        self.judge(&asked, |verdict| {
            let of_one = &mut all[by_key[&(verdict.contact, verdict.target.automation)]];
            let source = verdict.block.enrol.source;
            let is_named = !verdict.block.leaves_out(verdict.contact);
            let Some(cells) = verdict.cells else {
                return note(&mut of_one.found, source, Found::Nothing);
            };
            // Whom a block does not name it asks for no attributes.
            if source.is_none() && !is_named {
                return note(&mut of_one.found, source, Found::Participation);
            }
            let places = match verdict.target.occurrence {
                None => &of_one.places[..],
                Some(column) => {
                    let text = cells.text(column);
                    let places = &of_one.places;
                    let of = |place: &usize| undeclared[*place].occurrence.cmp(&text.as_deref());
                    let from = places.partition_point(|place| of(place).is_lt());
                    let to = places.partition_point(|place| of(place).is_le());
                    if to - from < places.len() {
                        note(&mut of_one.found, source, Found::OtherOccurrences);
                    }
                    &places[from..to]
                }
            };
            for place in places {
                misses[*place].add(&verdict, cells);
            }
        })?;
        let reasons = undeclared.iter().zip(misses).map(|(of, misses)| {
            self.standing_reason(of).unwrap_or_else(|| {
                let of_one = &all[by_key[&(of.contact, of.automation)]];
                self.nearest_miss(of, misses.with(&of_one.found))
            })
        });
        Ok(reasons.collect())
    }

    /// A reason that no row has a part in.
    fn standing_reason(&self, of: &Undeclared<'_>) -> Option<String> {
        if let Some(suppression) = self.suppression(of.contact, Some(of.automation)) {
            return Some(suppression.to_string());
        }
        let mut enrols = self.config.enrols.iter();
        if !enrols.any(|enrol| enrol.automations.contains(&of.automation)) {
            return Some("no [[enrol]] block names this automation any more".to_owned());
        }
        let repeat_by = &self.config.automations[of.automation].repeat_by;
        match (repeat_by, of.occurrence) {
            (Some(column), None) => Some(format!(
                "the automation repeats by {column} now, and this participation has no occurrence"
            )),
            (None, Some(occurrence)) => Some(format!(
                "the automation does not repeat any more, and this participation is of occurrence {occurrence}"
            )),
            _ => None,
        }
    }

    /// The fewest conditions that do not hold. Not being named counts as one condition.
    fn nearest_miss(&self, of: &Undeclared<'_>, misses: Misses) -> String {
        let nearest = misses.nearest.unwrap_or_default();
        if nearest.len() == 1 {
            return nearest.join("; ");
        }
        let is_found = |source: Option<usize>| {
            source.is_none() || misses.found.contains(&(source, Found::Participation))
        };
        let mut unnamed: Vec<_> = self
            .blocks
            .iter()
            .filter(|block| {
                block.enrol.automations.contains(&of.automation)
                    && is_found(block.enrol.source)
                    && block.leaves_out(of.contact)
            })
            .map(|block| {
                (
                    block.enrol.source.is_none(),
                    block.enrol.source,
                    &block.enrol.place,
                )
            })
            .collect();
        if unnamed.is_empty() && !nearest.is_empty() {
            return nearest.join("; ");
        }
        let mut reasons = Vec::new();
        if nearest.is_empty() {
            let found = misses.found.into_iter();
            reasons.extend(found.filter_map(|(source, found)| self.not_found(of, source, found)));
        }
        if !unnamed.is_empty() {
            unnamed.sort_by_key(|(is_declared, source, _)| (*is_declared, *source));
            let mut places: Vec<String> = unnamed
                .iter()
                .map(|(.., place)| place.to_string())
                .collect();
            if places.len() > FEW {
                places.truncate(FEW);
                places.push(format!("{} other blocks", unnamed.len() - FEW));
            }
            reasons.push(format!("no longer named in {}", places.join(" or ")));
        }
        match reasons.is_empty() {
            true => "no longer declared".to_owned(),
            false => reasons.join("; "),
        }
    }

    fn not_found(
        &self,
        of: &Undeclared<'_>,
        source: Option<usize>,
        found: Found,
    ) -> Option<String> {
        let source = source.map(|source| &self.config.sources[source].name);
        Some(match (found, source, of.occurrence) {
            (Found::Participation, ..) => return None,
            (Found::OtherOccurrences, Some(source), Some(occurrence)) => {
                format!("occurrence {occurrence} is not in source {source} any more")
            }
            (Found::OtherOccurrences, None, Some(occurrence)) => {
                format!("occurrence {occurrence} is not declared any more")
            }
            (_, Some(source), _) => format!("not in source {source} any more"),
            (_, None, _) => format!("no [contact.{}] any more", of.contact),
        })
    }
}
