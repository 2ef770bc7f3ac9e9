//! What the stand-in knows, and what each call does to it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use jiff::Timestamp;
use serde::Serialize;

use super::answer::{Answer, Id, ListedAutomation, ListedTrigger, PublicationResult, TriggerBody};
use super::call::{Call, Fields};
use super::journal::Journal;
use super::ledger::{Deed, LedgerEntry, Standing, Touched};
use super::memory::{self, Memory};
use super::options::{Contacts, Publication, Setting, Trigger};

/// Automations, contacts, and what has happened to them.
pub(super) struct World {
    automations: BTreeMap<String, Known>,
    /// Their codes as they were first written, by the same in small letters: case says nothing.
    written: HashMap<String, String>,
    /// Whether a code that is not among the automations is one all the same.
    open: bool,
    inactive: HashSet<String>,
    unknown: Contacts,
    memory: Memory,
    journal: Option<Journal>,
}

/// How an answer writes the ids of participations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdStyle {
    /// Digits, in a string.
    Plain,
    /// A JSON number.
    Number,
    /// With characters around it that mean something in a URL.
    Odd,
}

const ODD_START: &str = "+";
const ODD_END: &str = "/=";

/// What a trigger code starts: publications with their ids.
struct Known {
    name: String,
    publications: Vec<(String, Publication)>,
}

impl From<Trigger> for Known {
    fn from(trigger: Trigger) -> Self {
        let ids = (0..).map(|index| trigger.id(index));
        let publications = ids.zip(trigger.publications.iter().cloned()).collect();
        Self {
            name: trigger.name,
            publications,
        }
    }
}

impl World {
    /// A world with a memory, and the file that keeps it.
    pub fn new(
        triggers: Vec<Trigger>,
        inactive: Vec<String>,
        unknown_contacts: Vec<String>,
        memory: Memory,
        journal: Option<Journal>,
    ) -> Self {
        let mut world = Self {
            automations: BTreeMap::new(),
            written: HashMap::new(),
            open: true,
            inactive: inactive.into_iter().collect(),
            unknown: Contacts::new(unknown_contacts),
            memory,
            journal,
        };
        world.set_triggers(triggers);
        world
    }

    /// Replaces the automations. Where a code is there twice, the first counts.
    pub fn set_triggers(&mut self, triggers: Vec<Trigger>) {
        self.open = triggers.is_empty();
        self.automations.clear();
        self.written.clear();
        for trigger in triggers {
            self.add(trigger);
        }
    }

    /// Replaces the contacts that are not known.
    pub fn set_unknown(&mut self, contacts: Vec<String>) {
        self.unknown = Contacts::new(contacts);
    }

    /// What has happened.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Forgets what has happened.
    ///
    /// # Errors
    /// What the system said when the memory's file was to be emptied.
    pub fn reset(&mut self) -> io::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.clear()?;
        }
        self.memory = self.memory.forgotten();
        Ok(())
    }

    /// Lets running participations pass all their steps: of a code, of a contact, or all. Gives their number.
    ///
    /// # Errors
    /// What the system said when this was to be written down.
    pub fn finish(
        &mut self,
        code: Option<&str>,
        contact: Option<&str>,
        now: Timestamp,
    ) -> io::Result<u64> {
        let wanted: Vec<usize> = self
            .memory
            .participations(0)
            .enumerate()
            .filter(|(_, p)| {
                p.state == Standing::Active
                    && code.is_none_or(|code| p.code == code)
                    && contact.is_none_or(|contact| p.contact == contact)
            })
            .map(|(index, _)| index)
            .collect();
        let mut finished = 0;
        for index in wanted {
            let Some(one) = self.memory.participations(index).next() else {
                break;
            };
            let touched = Touched {
                id: one.id,
                automation: one.automation,
            };
            let whose = (one.code.as_str(), one.contact.as_str());
            let entry = memory::entry(&self.memory, now, Deed::Finish, whose, vec![touched]);
            self.commit(&entry)?;
            finished += 1;
        }
        Ok(finished)
    }

    /// Carries a call out, and gives its answer. `ids` says how the answer writes its ids.
    pub fn perform(&mut self, call: &Call, now: Timestamp, ids: IdStyle) -> Answer {
        let code = &self.as_known(call.code());
        let done = match call {
            Call::Trigger {
                contact, fields, ..
            } => self.trigger((code, contact), fields, now, ids),
            Call::Stop { contact, .. } => self.stop((code, contact), now),
            Call::StopOne { contact, id, .. } => self.stop_one((code, contact), id, now),
            Call::List => Ok(self.list()),
            Call::Contact { contact } => Ok(self.contact(contact)),
        };
        done.unwrap_or_else(|error| {
            let message = format!(
                "The sandbox could not write its memory, so the call was not carried out: {error}"
            );
            Answer::error(500, "BACKEND_EXCEPTION", &message)
        })
    }

    fn trigger(
        &mut self,
        whose: (&str, &str),
        fields: &Fields,
        now: Timestamp,
        ids: IdStyle,
    ) -> io::Result<Answer> {
        let (code, contact) = whose;
        self.admit(code);
        let Some(known) = self.automations.get(code) else {
            return Ok(Answer::result(404, "TRIGGER_NOTFOUND"));
        };
        if self.unknown.contains(contact) {
            return Ok(Answer::result(404, "CONTACT_NOTFOUND"));
        }
        let code_active = !self.inactive.contains(code);
        let mut started = Vec::new();
        let mut results = Vec::with_capacity(known.publications.len());
        for (automation, publication) in &known.publications {
            let (id, result) = if !(code_active && publication.active) {
                (None, "AUTOMATION_INACTIVE")
            } else if !self
                .memory
                .may_start(publication.setting, automation, code, contact, now)
            {
                (None, "PARTICIPATION_LIMIT_REACHED")
            } else {
                let id = self.memory.next_id(started.len());
                started.push(Touched {
                    id: id.to_string(),
                    automation: automation.clone(),
                });
                (Some(id), "OK")
            };
            results.push(PublicationResult {
                automation_contact_id: id.map(|id| match ids {
                    IdStyle::Plain => Id::Text(id.to_string()),
                    IdStyle::Number => Id::Number(id),
                    IdStyle::Odd => Id::Text(format!("{ODD_START}{id}{ODD_END}")),
                }),
                automation_id: automation,
                result,
            });
        }
        let (status, result) = match started.is_empty() {
            true => (417, "NOT_TRIGGERED"),
            false => (200, "OK"),
        };
        let answer = Answer::json(
            status,
            &TriggerBody {
                result,
                published_automation_results: Some(results),
            },
        );
        if !started.is_empty() {
            let mut entry = memory::entry(&self.memory, now, Deed::Trigger, whose, started);
            entry.fields = fields.types.clone();
            entry.digest = fields.digest.clone();
            self.commit(&entry)?;
        }
        Ok(answer)
    }

    fn stop(&mut self, whose: (&str, &str), now: Timestamp) -> io::Result<Answer> {
        if let Some(refusal) = self.refuse_stop(whose) {
            return Ok(refusal);
        }
        let (code, contact) = whose;
        let running = self.memory.running(code, contact);
        if running.is_empty() {
            return Ok(if self.memory.knows(code, contact) {
                already_finished()
            } else {
                let message = "The automation was not triggered for the given contact.";
                Answer::error(400, "INVALID_STATE", message)
            });
        }
        let entry = memory::entry(&self.memory, now, Deed::Stop, whose, running);
        self.commit(&entry)?;
        Ok(Answer::empty(204))
    }

    fn stop_one(&mut self, whose: (&str, &str), id: &str, now: Timestamp) -> io::Result<Answer> {
        if let Some(refusal) = self.refuse_stop(whose) {
            return Ok(refusal);
        }
        let plain = id
            .strip_prefix(ODD_START)
            .and_then(|id| id.strip_suffix(ODD_END));
        match self.memory.find(whose.0, whose.1, plain.unwrap_or(id)) {
            None => {
                let message = "The given participation was not found.";
                Ok(Answer::error(404, "CAMPAIGN_NOTFOUND", message))
            }
            Some((one, Standing::Active)) => {
                let entry = memory::entry(&self.memory, now, Deed::Stop, whose, vec![one]);
                self.commit(&entry)?;
                Ok(Answer::empty(204))
            }
            Some(_) => Ok(already_finished()),
        }
    }

    /// The answer to a stop that names an unknown code or contact.
    fn refuse_stop(&mut self, (code, contact): (&str, &str)) -> Option<Answer> {
        self.admit(code);
        if !self.automations.contains_key(code) {
            let message = "The given trigger was not found.";
            Some(Answer::error(404, "TRIGGER_NOTFOUND", message))
        } else if self.unknown.contains(contact) {
            let message = "The given contact was not found.";
            Some(Answer::error(400, "CONTACT_NOT_FOUND", message))
        } else {
            None
        }
    }

    fn list(&self) -> Answer {
        let mut listed = Vec::new();
        for (code, known) in &self.automations {
            for (id, publication) in &known.publications {
                listed.push(ListedAutomation {
                    encrypted_id: id,
                    id,
                    name: &known.name,
                    active: publication.active && !self.inactive.contains(code),
                    triggers: vec![ListedTrigger {
                        encrypted_id: code,
                        trigger_code: code,
                        name: "External trigger",
                    }],
                });
            }
        }
        Answer::json(200, &listed)
    }

    fn contact(&self, contact: &str) -> Answer {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Contact<'a> {
            external_id: &'a str,
            properties: BTreeMap<&'a str, &'a str>,
        }
        if self.unknown.contains(contact) {
            let message = "The given contact was not found.";
            return Answer::error(404, "CONTACT_NOT_FOUND", message);
        }
        let found = Contact {
            external_id: contact,
            properties: BTreeMap::new(),
        };
        Answer::json(200, &found)
    }

    /// A code as it was first written: its case says nothing.
    fn as_known(&self, code: &str) -> String {
        let known = self.written.get(&code.to_ascii_lowercase());
        known.map_or(code, String::as_str).to_owned()
    }

    fn add(&mut self, trigger: Trigger) {
        let lower = trigger.code.to_ascii_lowercase();
        if let Entry::Vacant(entry) = self.written.entry(lower) {
            entry.insert(trigger.code.clone());
            self.automations
                .insert(trigger.code.clone(), trigger.into());
        }
    }

    /// Makes an automation of a code that nobody gave, where any may come.
    fn admit(&mut self, code: &str) {
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.open
            && !self.automations.contains_key(code)
            && (1..=64).contains(&code.len())
            && code.chars().all(safe)
        {
            self.add(Trigger::new(code, code, Setting::Unlimited));
        }
    }

    /// Writes an entry down and lets it happen, in this order: what cannot be written does not happen.
    fn commit(&mut self, entry: &LedgerEntry) -> io::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.append(entry)?;
        }
        self.memory.enter(entry).map_err(io::Error::other)
    }
}

fn already_finished() -> Answer {
    let message = "The automation was already finished for the given contact.";
    Answer::error(400, "INVALID_STATE", message)
}
