//! What the sandbox believes the world to be: automations, contacts, participations, and what it did.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::memory::{Deed, Memory};

/// A publication's participation setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// Each trigger starts another participation.
    #[default]
    Unlimited,
    /// No second one while the first runs.
    OnceWhileRunning,
    /// Never a second one.
    Once,
    /// No second one within three months.
    WaitingPeriod,
}

/// A published automation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// How often a contact may take part.
    #[serde(default)]
    pub setting: Setting,
    /// Whether it is active.
    #[serde(default = "yes")]
    pub active: bool,
}

fn yes() -> bool {
    true
}

/// An external trigger, and what it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// The automation's name.
    pub name: String,
    /// The trigger's code.
    pub code: String,
    /// The published automations that it starts; never empty.
    pub publications: Vec<Publication>,
}

impl Trigger {
    /// An external trigger that starts one active publication.
    pub fn new(name: impl Into<String>, code: impl Into<String>, setting: Setting) -> Self {
        Self {
            name: name.into(),
            code: code.into(),
            publications: vec![Publication {
                setting,
                active: true,
            }],
        }
    }
}

/// One run of a publication for a contact.
#[derive(Debug, Clone)]
struct Participation {
    id: u64,
    publication: usize,
    is_running: bool,
    started_at: i64,
}

/// What a publication says to a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Started { id: String, publication: String },
    Inactive { publication: String },
    LimitReached { publication: String },
}

/// What the world says to a trigger.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Triggered {
    UnknownTrigger,
    UnknownContact,
    Entries(Vec<Entry>),
}

/// What the world says to a stop.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    UnknownTrigger,
    UnknownContact,
    UnknownParticipation,
    NotRunning,
    Done,
}

/// Three months, in seconds.
const WAITING_PERIOD: i64 = 90 * 86_400;

#[derive(Debug, Default)]
pub(super) struct World {
    triggers: HashMap<String, Trigger>,
    /// No triggers were given: any code is an active, unlimited automation.
    is_open: bool,
    unknown: HashSet<String>,
    participations: HashMap<(String, String), Vec<Participation>>,
    next_id: u64,
    pub memory: Memory,
}

impl World {
    pub(super) fn new(triggers: Vec<Trigger>, unknown: Vec<String>, mut memory: Memory) -> Self {
        let mut world = Self {
            next_id: 1,
            ..Self::default()
        };
        for deed in memory.take_past() {
            world.replay(&deed);
        }
        world.memory = memory;
        world.set_triggers(triggers);
        world.unknown = unknown.into_iter().collect();
        world
    }

    pub(super) fn set_triggers(&mut self, triggers: Vec<Trigger>) {
        self.is_open = triggers.is_empty();
        self.triggers = triggers.into_iter().map(|t| (t.code.clone(), t)).collect();
    }

    pub(super) fn set_unknown(&mut self, contacts: Vec<String>) {
        self.unknown = contacts.into_iter().collect();
    }

    pub(super) fn triggers(&self) -> Vec<&Trigger> {
        let mut triggers: Vec<_> = self.triggers.values().collect();
        triggers.sort_by(|a, b| (&a.name, &a.code).cmp(&(&b.name, &b.code)));
        triggers
    }

    pub(super) fn knows(&self, contact: &str) -> bool {
        !self.unknown.contains(contact)
    }

    fn publications(&self, code: &str) -> Option<Vec<Publication>> {
        match self.triggers.get(code) {
            Some(trigger) => Some(trigger.publications.clone()),
            None if self.is_open => Some(vec![Publication {
                setting: Setting::Unlimited,
                active: true,
            }]),
            None => None,
        }
    }

    /// Carries out a trigger. `fields` is what may be kept of its fields.
    pub(super) fn trigger(
        &mut self,
        code: &str,
        contact: &str,
        fields: Vec<String>,
        now: i64,
    ) -> std::io::Result<Triggered> {
        let Some(publications) = self.publications(code) else {
            return Ok(Triggered::UnknownTrigger);
        };
        if !self.knows(contact) {
            return Ok(Triggered::UnknownContact);
        }
        let key = (contact.to_owned(), code.to_owned());
        let there = self.participations.entry(key).or_default();
        let mut entries = Vec::new();
        let mut ids = Vec::new();
        for (index, publication) in publications.iter().enumerate() {
            let name = format!("{code}-{}", index + 1);
            let mut own = there.iter().filter(|p| p.publication == index);
            let is_full = match publication.setting {
                Setting::Unlimited => false,
                Setting::OnceWhileRunning => own.any(|p| p.is_running),
                Setting::Once => own.next().is_some(),
                Setting::WaitingPeriod => own.any(|p| now - p.started_at < WAITING_PERIOD),
            };
            entries.push(if !publication.active {
                Entry::Inactive { publication: name }
            } else if is_full {
                Entry::LimitReached { publication: name }
            } else {
                let id = self.next_id;
                self.next_id += 1;
                there.push(Participation {
                    id,
                    publication: index,
                    is_running: true,
                    started_at: now,
                });
                ids.push(id);
                Entry::Started {
                    id: id.to_string(),
                    publication: name,
                }
            });
        }
        if !ids.is_empty() {
            self.memory.note(Deed {
                seq: 0,
                at: now,
                kind: "trigger".to_owned(),
                code: code.to_owned(),
                contact: contact.to_owned(),
                ids,
                fields,
            })?;
        }
        Ok(Triggered::Entries(entries))
    }

    /// Carries out a stop: of one participation, or of all.
    pub(super) fn stop(
        &mut self,
        code: &str,
        contact: &str,
        id: Option<&str>,
        now: i64,
    ) -> std::io::Result<Stopped> {
        if self.publications(code).is_none() {
            return Ok(Stopped::UnknownTrigger);
        }
        if !self.knows(contact) {
            return Ok(Stopped::UnknownContact);
        }
        let key = (contact.to_owned(), code.to_owned());
        let there = self.participations.entry(key).or_default();
        let is_meant = |p: &Participation| id.is_none_or(|id| p.id.to_string() == id);
        if id.is_some() && !there.iter().any(is_meant) {
            return Ok(Stopped::UnknownParticipation);
        }
        let mut ids = Vec::new();
        for participation in there.iter_mut().filter(|p| is_meant(p) && p.is_running) {
            participation.is_running = false;
            ids.push(participation.id);
        }
        if ids.is_empty() {
            return Ok(Stopped::NotRunning);
        }
        self.memory.note(Deed {
            seq: 0,
            at: now,
            kind: "stop".to_owned(),
            code: code.to_owned(),
            contact: contact.to_owned(),
            ids,
            fields: Vec::new(),
        })?;
        Ok(Stopped::Done)
    }

    /// Lets every running participation pass all its steps.
    pub(super) fn finish_all(&mut self, now: i64) -> std::io::Result<u64> {
        let mut finished = Vec::new();
        for ((contact, code), list) in &mut self.participations {
            let mut ids = Vec::new();
            for participation in list.iter_mut().filter(|p| p.is_running) {
                participation.is_running = false;
                ids.push(participation.id);
            }
            if !ids.is_empty() {
                finished.push((contact.clone(), code.clone(), ids));
            }
        }
        let count = finished.iter().map(|(_, _, ids)| ids.len() as u64).sum();
        for (contact, code, ids) in finished {
            self.memory.note(Deed {
                seq: 0,
                at: now,
                kind: "finish".to_owned(),
                code,
                contact,
                ids,
                fields: Vec::new(),
            })?;
        }
        Ok(count)
    }

    /// Forgets all participations, as if all were over long ago. The ledger stays.
    pub(super) fn forget_participations(&mut self) {
        self.participations.clear();
    }

    /// All running participations, as (contact, code, id).
    pub(super) fn running(&self) -> Vec<(String, String, u64)> {
        let mut list: Vec<_> = self
            .participations
            .iter()
            .flat_map(|((contact, code), list)| {
                let running = list.iter().filter(|p| p.is_running);
                running.map(|p| (contact.clone(), code.clone(), p.id))
            })
            .collect();
        list.sort();
        list
    }

    fn replay(&mut self, deed: &Deed) {
        let key = (deed.contact.clone(), deed.code.clone());
        let there = self.participations.entry(key).or_default();
        for (index, id) in deed.ids.iter().enumerate() {
            self.next_id = self.next_id.max(id + 1);
            if deed.kind == "trigger" {
                there.push(Participation {
                    id: *id,
                    publication: index,
                    is_running: true,
                    started_at: deed.at,
                });
            } else if let Some(participation) = there.iter_mut().find(|p| p.id == *id) {
                participation.is_running = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(setting: Setting) -> World {
        let triggers = vec![Trigger::new("Welcome", "code", setting)];
        World::new(triggers, vec!["stranger".into()], Memory::default())
    }

    fn trigger(world: &mut World, now: i64) -> Vec<Entry> {
        match world.trigger("code", "c", vec![], now).unwrap() {
            Triggered::Entries(entries) => entries,
            other => panic!("{other:?}"),
        }
    }

    fn starts(world: &mut World, now: i64) -> bool {
        matches!(trigger(world, now)[..], [Entry::Started { .. }])
    }

    #[test]
    fn participation_settings_are_honoured() {
        let mut unlimited = world(Setting::Unlimited);
        assert!(starts(&mut unlimited, 0) && starts(&mut unlimited, 0));
        let mut once = world(Setting::Once);
        assert!(starts(&mut once, 0) && !starts(&mut once, 0));
        assert_eq!(once.stop("code", "c", None, 0).unwrap(), Stopped::Done);
        assert!(!starts(&mut once, 0));
        let mut running = world(Setting::OnceWhileRunning);
        assert!(starts(&mut running, 0) && !starts(&mut running, 0));
        running.finish_all(0).unwrap();
        assert!(starts(&mut running, 0));
        let mut waiting = world(Setting::WaitingPeriod);
        assert!(starts(&mut waiting, 0) && !starts(&mut waiting, 10));
        assert!(starts(&mut waiting, WAITING_PERIOD));
    }

    #[test]
    fn a_code_that_starts_several_publications_answers_for_each() {
        let mut world = world(Setting::Once);
        let mut trigger_ = Trigger::new("Two", "code", Setting::Unlimited);
        trigger_.publications.push(Publication {
            setting: Setting::Unlimited,
            active: false,
        });
        world.set_triggers(vec![trigger_]);
        let entries = trigger(&mut world, 0);
        assert!(matches!(
            entries[..],
            [Entry::Started { .. }, Entry::Inactive { .. }]
        ));
    }

    #[test]
    fn one_of_several_can_be_stopped_alone() {
        let mut world = world(Setting::Unlimited);
        let Entry::Started { id, .. } = trigger(&mut world, 0)[0].clone() else {
            panic!("it did not start");
        };
        trigger(&mut world, 0);
        assert_eq!(
            world.stop("code", "c", Some(&id), 0).unwrap(),
            Stopped::Done
        );
        assert_eq!(
            world.stop("code", "c", Some(&id), 0).unwrap(),
            Stopped::NotRunning
        );
        assert_eq!(
            world.stop("code", "c", Some("999"), 0).unwrap(),
            Stopped::UnknownParticipation
        );
        assert_eq!(world.running().len(), 1);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let mut world = world(Setting::Unlimited);
        assert_eq!(
            world.trigger("other", "c", vec![], 0).unwrap(),
            Triggered::UnknownTrigger
        );
        assert_eq!(
            world.trigger("code", "stranger", vec![], 0).unwrap(),
            Triggered::UnknownContact
        );
        assert_eq!(
            world.stop("other", "c", None, 0).unwrap(),
            Stopped::UnknownTrigger
        );
        assert_eq!(
            world.stop("code", "stranger", None, 0).unwrap(),
            Stopped::UnknownContact
        );
        assert_eq!(
            world.stop("code", "c", None, 0).unwrap(),
            Stopped::NotRunning
        );
    }
}
