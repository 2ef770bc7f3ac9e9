//! Why the enrolment of a participation is gone, in words.

use super::Roster;
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

/// Why blocks leave a participation out.
#[derive(Debug, Default)]
struct Misses {
    /// The fewest conditions that keep a row out, with what the row holds.
    nearest: Option<Vec<String>>,
    /// What was found in each source, and of the declared contacts (`None`).
    found: Vec<(Option<usize>, Found)>,
}

impl Misses {
    fn add(&mut self, verdict: &Verdict<'_, '_>, occurrence: Option<&str>) {
        let source = verdict.block.enrol.source;
        let is_named = !verdict.block.leaves_out(verdict.contact);
        let found = match (verdict.cells, verdict.target.occurrence) {
            (None, _) => Found::Nothing,
            // Whom a block does not name it asks for no attributes.
            _ if source.is_none() && !is_named => Found::Participation,
            (Some(cells), Some(column)) if cells.text(column).as_deref() != occurrence => {
                Found::OtherOccurrences
            }
            _ => Found::Participation,
        };
        // All blocks of one source look for the same in it; of the declared contacts, each draws on its own.
        let is_known =
            |(of, known): &&mut (_, Found)| *of == source && (source.is_some() || *known == found);
        match self.found.iter_mut().find(is_known) {
            Some((_, known)) => *known = found.max(*known),
            None => self.found.push((source, found)),
        }
        if let (Found::Participation, true, Some(cells)) = (found, is_named, verdict.cells) {
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
    }
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
        let mut places: hashbrown::HashMap<(&str, usize), Vec<usize>> = Default::default();
        let mut asked = Asked::new();
        let mut misses: Vec<Misses> = undeclared.iter().map(|_| Misses::default()).collect();
        for (place, of) in undeclared.iter().enumerate() {
            if self.standing_reason(of).is_none() {
                let places = places.entry((of.contact, of.automation)).or_default();
                if places.is_empty() {
                    asked.entry(of.contact).or_default().push(of.automation);
                }
                places.push(place);
            }
        }
        self.judge(&asked, |verdict| {
            for &place in &places[&(verdict.contact, verdict.target.automation)] {
                misses[place].add(&verdict, undeclared[place].occurrence);
            }
        })?;
        let reasons = undeclared.iter().zip(misses).map(|(of, misses)| {
            let standing = self.standing_reason(of);
            standing.unwrap_or_else(|| self.nearest_miss(of, misses))
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
