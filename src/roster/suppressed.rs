//! Who is suppressed in which automation: the one place that says so.

use hashbrown::{HashMap, HashSet};

use super::Roster;
use super::merged::People;
use crate::config::{Config, Suppression};
use crate::failpoint::{Planted, is_planted};
use crate::id::{ContactId, folded};

/// The contacts on the lists of suppressions.
#[derive(Debug)]
pub(super) struct Suppressed<'c> {
    config: &'c Config,
    /// The place of each in `sets`.
    contacts: HashMap<Box<str>, u32>,
    /// The first one is of those who are on no list.
    sets: Vec<Set>,
    /// The set of those who are in one, and on one list more.
    next: HashMap<(u32, usize), u32>,
}

/// Some lists, and what it means to be on these and no others.
#[derive(Debug, Default)]
struct Set {
    /// The blocks, as indices into [`Config::suppressions`], sorted.
    blocks: Vec<usize>,
    /// The blocks that keep its contacts out, for each of [`Config::automations`], those that suppress first; the last ones are
    /// of any other automation. Empty where there are none at all.
    by_automation: Vec<Box<[usize]>>,
}

/// In which automations a contact is suppressed, where it is in any.
#[derive(Debug, Clone, Copy)]
pub struct Suppressions<'r> {
    config: &'r Config,
    set: &'r Set,
}

impl<'r> Suppressions<'r> {
    /// The block that keeps it out of an automation of the configuration, or of one that is gone from it (`None`).
    pub fn of(self, automation: Option<usize>) -> Option<&'r Suppression> {
        self.all(automation).next()
    }

    /// A block that keeps it out of any automation at all.
    pub fn any(self) -> Option<&'r Suppression> {
        let mut blocks = self.set.by_automation.iter().rev().flatten();
        blocks.next().map(|block| &self.config.suppressions[*block])
    }

    /// All blocks that keep it out of an automation.
    pub fn all(self, automation: Option<usize>) -> impl Iterator<Item = &'r Suppression> {
        let list = &self.set.by_automation;
        let index = automation.unwrap_or(list.len().saturating_sub(1));
        let blocks = list.get(index).into_iter().flatten();
        blocks.map(|block| &self.config.suppressions[*block])
    }
}

impl<'c> Suppressed<'c> {
    pub(super) fn new(config: &'c Config, people: &People) -> Self {
        let mut suppressed = Self {
            config,
            contacts: HashMap::new(),
            sets: vec![Set::new(config, Vec::new())],
            next: HashMap::new(),
        };
        for (contact, blocks) in &config.suppressed {
            for block in blocks {
                suppressed.add(people, contact.as_str(), *block);
            }
        }
        suppressed
    }

    /// Puts a contact on the list of a block: the person, by whatever id.
    pub(super) fn add(&mut self, people: &People, contact: &str, block: usize) {
        let kept = people.kept(contact);
        if kept != contact && !is_planted(Planted::ObjectionOfOneId) {
            self.put(kept, block);
        }
        self.put(contact, block);
    }

    fn put(&mut self, contact: &str, block: usize) {
        let from = self.contacts.get(contact).copied().unwrap_or(0);
        let to = match self.next.get(&(from, block)) {
            Some(to) => *to,
            None => {
                let to = self.with(from, block);
                self.next.insert((from, block), to);
                to
            }
        };
        match self.contacts.get_mut(contact) {
            Some(place) => *place = to,
            None => _ = self.contacts.insert(contact.into(), to),
        }
    }

    /// The place of a set with one block more.
    fn with(&mut self, from: u32, block: usize) -> u32 {
        let mut blocks = self.sets[from as usize].blocks.clone();
        if let Err(place) = blocks.binary_search(&block) {
            blocks.insert(place, block);
        }
        let known = self.sets.iter().position(|set| set.blocks == blocks);
        let place = known.unwrap_or_else(|| {
            self.sets.push(Set::new(self.config, blocks));
            self.sets.len() - 1
        });
        // There are no more sets than contacts, which fit into memory.
        u32::try_from(place).unwrap_or(0)
    }

    /// In which automations a contact is suppressed; `None` where it is in none. It costs one look-up, or none where there
    /// are no lists.
    pub(super) fn find(&self, contact: &str) -> Option<Suppressions<'_>> {
        let place = match self.contacts.is_empty() {
            true => 0,
            false => self.contacts.get(contact).copied().unwrap_or(0),
        };
        let set = &self.sets[place as usize];
        let config = self.config;
        (!set.by_automation.is_empty()).then_some(Suppressions { config, set })
    }

    /// Everybody on a list, with the blocks whose lists these are.
    pub(super) fn contacts(&self) -> impl Iterator<Item = (&str, &[usize])> {
        let contacts = self.contacts.iter();
        contacts.map(|(contact, place)| (&**contact, &*self.sets[*place as usize].blocks))
    }
}

impl Set {
    fn new(config: &Config, on: Vec<usize>) -> Self {
        let automations = (0..config.automations.len()).map(Some).chain([None]);
        let by_automation = automations.map(|automation| {
            let blocks = config.suppressions.iter().enumerate();
            let blocks = blocks.filter(|(index, block)| {
                let is_on = on.binary_search(index).is_ok();
                let is_forgotten = match block.is_required {
                    true => is_planted(Planted::ConsentForgotten),
                    false => is_planted(Planted::ObjectionForgotten) && block.list.is_some(),
                };
                is_on != block.is_required && block.holds_in(automation) && !is_forgotten
            });
            let mut blocks: Vec<usize> = blocks.map(|(index, _)| index).collect();
            blocks.sort_by_key(|block| config.suppressions[*block].is_required);
            blocks.into_boxed_slice()
        });
        let mut by_automation: Vec<_> = by_automation.collect();
        if by_automation.iter().all(|blocks| blocks.is_empty()) {
            by_automation.clear();
        }
        Self {
            blocks: on,
            by_automation,
        }
    }
}

impl Roster<'_> {
    /// In which automations a contact is suppressed; `None` where it is in none.
    pub fn suppressions(&self, contact: &str) -> Option<Suppressions<'_>> {
        self.suppressed.find(self.people.kept(contact))
    }

    /// The block that keeps a contact out of an automation of the configuration, or of one that is gone from it (`None`).
    /// It is asked nowhere else who is suppressed.
    pub fn suppression(&self, contact: &str, automation: Option<usize>) -> Option<&Suppression> {
        self.suppressions(contact)?.of(automation)
    }

    /// Who of these contacts is on the list of a `[[require]]` under an id in other letters: with each such list, and the id.
    pub fn required_in_other_letters<'c>(
        &self,
        contacts: impl Iterator<Item = &'c str>,
    ) -> HashMap<String, Vec<(&Suppression, &str)>> {
        let mut found: HashMap<String, Vec<_>> = HashMap::new();
        let mut forms: HashMap<_, Vec<&str>> = HashMap::new();
        let contacts: HashSet<&str> = contacts.collect();
        for contact in contacts {
            for id in self.people.ids(contact) {
                forms.entry(folded(id)).or_default().push(contact);
            }
        }
        if forms.is_empty() {
            return found;
        }
        for (listed, blocks) in self.suppressed.contacts() {
            let Some(contacts) = forms.get(&folded(listed)) else {
                continue;
            };
            // Where both are declared, they are two.
            let is_declared = self.has(listed);
            let blocks = blocks.iter().map(|block| &self.config.suppressions[*block]);
            for block in blocks.filter(|block| block.is_required) {
                let are_one = |contact: &&&str| !is_declared || !self.has(contact);
                for contact in contacts.iter().filter(are_one) {
                    let lists = found.entry_ref(*contact).or_default();
                    lists.push((block, listed));
                }
            }
        }
        found
    }

    /// Whether anything is declared for a contact.
    fn has(&self, contact: &str) -> bool {
        [&self.entries, &self.withheld].iter().any(|entries| {
            let of = |entry: &_| entries.enrolment(entry).contact;
            let list = entries.list();
            let place = list.partition_point(|entry| of(entry) < contact);
            list.get(place).is_some_and(|entry| of(entry) == contact)
        })
    }

    /// Everybody on the list of any `[[suppress]]`.
    pub fn suppressed_contacts(&self) -> impl Iterator<Item = &str> {
        let suppresses = |block: &usize| !self.config.suppressions[*block].is_required;
        let contacts = self.suppressed.contacts();
        let contacts = contacts.filter(move |(_, blocks)| blocks.iter().any(suppresses));
        contacts.map(|(contact, _)| contact)
    }
}

impl Config {
    /// The block that suppresses a contact by name in every automation, those among them that are gone.
    pub fn suppressed_everywhere(&self, contact: &ContactId) -> Option<&Suppression> {
        let blocks = self.suppressed.get(contact)?.iter();
        let mut blocks = blocks.map(|block| &self.suppressions[*block]);
        blocks.find(|block| block.automations.is_none())
    }
}
