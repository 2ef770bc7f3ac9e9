//! `[[expect]]`: whether the roster is as its authors say that it must be.

use super::problems::{MOST, more};
use super::verdict::{Asked, FEW};
use super::{Class, Enrolment, Roster};
use crate::config::{Diagnostic, Expect, Expectation, Place};
use crate::source::{Lines, SourceError};

/// What is not as expected.
enum Failed<'c> {
    Size { automation: usize, limit: String },
    Out { contact: &'c str, automation: usize },
    In { contact: &'c str, automation: usize },
}

impl<'c> Roster<'c> {
    /// Every expectation that does not hold, with what was found and why.
    ///
    /// # Errors
    /// If a source cannot be read again to say why.
    pub fn failed_expectations(&self) -> Result<Vec<Diagnostic>, SourceError> {
        let mut failed = Vec::new();
        for Expect { what, place } in &self.config.expects {
            failed.extend(self.failed(what).into_iter().map(|failed| (place, failed)));
        }
        let mut list = Vec::new();
        for (place, failed) in failed.iter().take(MOST) {
            list.push(self.diagnostic(place, failed)?);
        }
        list.extend(more("the expectations", failed.len() - list.len()));
        Ok(list)
    }

    fn failed(&self, what: &'c Expectation) -> Vec<Failed<'c>> {
        match what {
            Expectation::Size {
                automation,
                min,
                max,
            } => {
                let size = self.sizes[*automation] as u64;
                let limit = match max {
                    _ if size < *min => format!("at least {min}"),
                    Some(max) if size > *max => format!("at most {max}"),
                    _ => return Vec::new(),
                };
                let automation = *automation;
                vec![Failed::Size { automation, limit }]
            }
            Expectation::Contact {
                contact,
                inside,
                outside,
            } => {
                let contact = contact.as_str();
                let is_in = |automation: &usize| self.any_of(contact, *automation).is_some();
                let out = inside.iter().copied().filter(|of| !is_in(of));
                let out = out.map(|automation| Failed::Out {
                    contact,
                    automation,
                });
                let within = outside.iter().copied().filter(is_in);
                let within = within.map(|automation| Failed::In {
                    contact,
                    automation,
                });
                out.chain(within).collect()
            }
        }
    }

    fn diagnostic(&self, place: &Place, failed: &Failed<'_>) -> Result<Diagnostic, SourceError> {
        let name = |automation: usize| &self.config.automations[automation].name;
        let at = |message: String| Diagnostic::at(place.clone(), message);
        Ok(match *failed {
            Failed::Size {
                automation,
                ref limit,
            } => at(format!(
                "{} is expected to have {limit} enrolments, and has {}",
                name(automation),
                self.sizes[automation]
            ))
            .help("fix the rules or their sources, or change what is expected"),
            Failed::Out {
                contact,
                automation,
            } => at(format!(
                "contact {contact} is expected in {}, and is not in it",
                name(automation)
            ))
            .help(self.why_out(contact, automation)?),
            Failed::In {
                contact,
                automation,
            } => {
                let diagnostic = at(format!(
                    "contact {contact} is not expected in {}, and is in it",
                    name(automation)
                ));
                let enrolment = self.any_of(contact, automation);
                let block = enrolment.map(|enrolment| &self.config.enrols[enrolment.block]);
                let related = block.map(|block| (block.place.clone(), "enrolled here".to_owned()));
                Diagnostic {
                    related: related.into_iter().collect(),
                    ..diagnostic
                }
                .help("fix the rules or their sources, or change what is expected")
            }
        })
    }

    /// The first enrolment by which a contact comes into an automation, of whatever occurrence.
    pub(super) fn any_of<'r>(
        &'r self,
        contact: &'r str,
        automation: usize,
    ) -> Option<Enrolment<'r>> {
        let mut of_it = self.of(contact, automation);
        of_it.find(|of| of.class == Class::ComesIn)
    }

    /// The enrolments of a contact in an automation, of whatever class and occurrence.
    pub(super) fn of<'r>(
        &'r self,
        contact: &'r str,
        automation: usize,
    ) -> impl Iterator<Item = Enrolment<'r>> {
        let contact = self.people.kept(contact);
        let list = self.entries.list();
        let first = list.partition_point(|entry| {
            let enrolment = self.enrolment(entry);
            (enrolment.contact, enrolment.automation) < (contact, automation)
        });
        let from_it = list[first..].iter().map(|entry| self.enrolment(entry));
        from_it.take_while(move |of| of.contact == contact && of.automation == automation)
    }

    /// Why a contact is not in an automation: what each block says of it.
    fn why_out(&self, contact: &str, automation: usize) -> Result<String, SourceError> {
        let contact = self.people.kept(contact);
        if let Some(suppression) = self.suppression(contact, Some(automation)) {
            return Ok(format!("it is {suppression}"));
        }
        if let Some(displaced) = self.displaced_by(contact, automation) {
            return Ok(displaced);
        }
        let mut count = 0;
        let mut words = Vec::new();
        let mut lines = Lines::default();
        self.judge(&Asked::from([(contact, vec![automation])]), |verdict| {
            count += 1;
            if words.len() < FEW {
                let row = verdict.row;
                let row = row.map(|(table, number, id)| table.at(number, id, &mut lines));
                let row = row.map_or_else(String::new, |row| format!(", {row}"));
                let place = &verdict.block.enrol.place;
                let reasons = verdict.reasons(self).join("; ");
                let index = verdict.block.index;
                words.push((index, format!("the block at {place}{row}: {reasons}")));
            }
        })?;
        words.sort_by_key(|(block, _)| *block);
        let mut words: Vec<String> = words.into_iter().map(|(_, words)| words).collect();
        if count > FEW {
            words.push(format!(
                "and {} more blocks or rows do not match",
                count - FEW
            ));
        }
        Ok(match words.is_empty() {
            true => "no [[enrol]] block names this automation".to_owned(),
            false => words.join("; "),
        })
    }
}
