//! The same people under another name: who would be triggered, compared with who is on record and no longer declared.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher};

use super::lists::{blocks, in_other_letters, required_otherwise, suppressed};
use super::{Action, Plan, Trigger};
use crate::config::{Config, Enrol};
use crate::id::{AutomationName, ContactId, folded};
use crate::participation::{Move, Over, Participation};
use crate::record::AppliedWith;
use crate::roster::Roster;

/// Participations by whom they are of: a few bytes each, as there may be millions.
#[derive(Debug, Default)]
pub(super) struct Identities {
    list: Vec<Identity>,
    automations: Vec<AutomationName>,
}

/// Whom a participation is of, in a form in which other writings of it are the same.
#[derive(Debug)]
struct Identity {
    /// Of trigger code and contact.
    person: u64,
    /// 0 is none.
    occurrence: u64,
    contact: ContactId,
    /// Its place in [`Identities::automations`].
    automation: u32,
    went: Went,
}

/// When somebody went who is not declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    /// By this plan.
    Now,
    /// Within the guard's day; or now, for want of a consent.
    Lately,
    /// Before that, and would be held if declared again: by a cooldown, or until `again_after`.
    Long,
}

impl Identities {
    pub(super) fn add(&mut self, of: &Participation, went: Went) {
        let automation = self.place(&of.key.automation);
        let occurrence = of.key.occurrence.as_ref().map(|o| o.as_str());
        self.list.push(Identity {
            person: person(&code(of.trigger_code.as_str()), of.key.contact.as_str()),
            occurrence: occurrence.map_or(0, occurrence_of),
            contact: of.key.contact.clone(),
            automation,
            went,
        });
    }

    /// Adds all of others.
    pub(super) fn append(&mut self, others: Identities) {
        let places: Vec<u32> = (others.automations.iter())
            .map(|name| self.place(name))
            .collect();
        self.list.extend(others.list.into_iter().map(|of| Identity {
            automation: places[of.automation as usize],
            ..of
        }));
    }

    /// The place of an automation.
    fn place(&mut self, name: &AutomationName) -> u32 {
        let place = self.automations.iter().position(|known| known == name);
        let place = place.unwrap_or_else(|| {
            self.automations.push(name.clone());
            self.automations.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// To be called once all are added.
    pub(super) fn sort(&mut self) {
        self.list.sort_by_key(|identity| identity.person);
    }

    fn of(&self, person: u64) -> impl Iterator<Item = (&Identity, &AutomationName)> {
        let start = self.list.partition_point(|of| of.person < person);
        self.list[start..]
            .iter()
            .take_while(move |of| of.person == person)
            .filter_map(|of| Some((of, self.automations.get(of.automation as usize)?)))
    }

    /// How many go from an automation.
    fn count(&self, name: &AutomationName) -> u64 {
        let Some(place) = self.automations.iter().position(|known| known == name) else {
            return 0;
        };
        let of = |of: &&Identity| of.went == Went::Now && of.automation as usize == place;
        self.list.iter().filter(of).count() as u64
    }
}

/// A trigger code, which is the same in capitals.
fn code(code: &str) -> DefaultHasher {
    let mut hasher = DefaultHasher::new();
    for byte in code.bytes() {
        hasher.write_u8(byte.to_ascii_lowercase());
    }
    hasher.write_u8(0);
    hasher
}

fn person(code: &DefaultHasher, contact: &str) -> u64 {
    let mut hasher = code.clone();
    hasher.write(folded(contact).as_bytes());
    hasher.finish()
}

fn occurrence_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(folded(text).as_bytes());
    hasher.finish().max(1)
}

/// What tells that people who would be triggered are on record already.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SamePeople {
    /// They leave one automation for another with the same trigger code; most likely it has another name.
    Renamed {
        /// The name on record.
        from: AutomationName,
        /// The name now.
        to: AutomationName,
        /// Whether the one on record is still configured, with that trigger code.
        is_configured: bool,
    },
    /// Their ids, or their occurrences, are written in another way.
    Rewritten {
        /// Which automation.
        automation: AutomationName,
    },
    /// They are suppressed under another writing of their ids.
    Suppressed,
    /// They would be stopped, or taken for suppressed, and are on the list of a `[[require]]` under another writing of their ids.
    Required,
}

/// How many they are, with one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How many would be triggered; or stopped, where they are on a list that is required.
    pub count: u64,
    /// The id of one of them on record, or as it is on a list.
    pub was: String,
    /// The id that would be triggered, or stopped.
    pub now: String,
}

/// The triggers of a plan, those that wait among them.
pub(super) fn triggers(plan: &Plan) -> impl Iterator<Item = &Trigger> {
    let now = plan.actions.iter().filter_map(|action| match action {
        Action::Trigger(trigger) => Some(trigger),
        Action::Stop(_) => None,
    });
    now.chain(plan.deferred.iter().map(|deferred| &deferred.trigger))
}

/// Finds who would be triggered and is on record as somebody else.
pub(super) fn same_people(
    plan: &Plan,
    config: &Config,
    roster: &Roster<'_>,
) -> BTreeMap<SamePeople, Found> {
    let mut all: BTreeMap<SamePeople, Found> = BTreeMap::new();
    let otherwise = required_otherwise(plan, config, roster);
    let mut required = BTreeMap::new();
    for (contact, automation) in suppressed(plan, config, roster) {
        if !otherwise.contains_key(contact) {
            continue;
        }
        let blocks = blocks(contact, automation, config, roster);
        let listed = blocks.map(|of| in_other_letters(&otherwise, of, contact));
        let listed: Option<Vec<_>> = listed.collect();
        if let Some(was) = listed.and_then(|listed| listed.first().copied()) {
            required.insert(contact, was);
        }
    }
    if let Some((now, was)) = required.first_key_value() {
        let found = Found {
            count: required.len() as u64,
            was: (*was).to_owned(),
            now: (*now).to_owned(),
        };
        all.insert(SamePeople::Required, found);
    }
    let mut suppressed: HashMap<_, Vec<&str>> = HashMap::new();
    if roster.suppressed_contacts().next().is_some() {
        let contacts = triggers(plan).map(|of| roster.get(of.enrolment as usize).contact);
        let ids = contacts.flat_map(|contact| roster.people().ids(contact));
        let forms: HashSet<_> = ids.map(folded).collect();
        for contact in roster.suppressed_contacts() {
            let form = folded(contact);
            if forms.contains(&form) {
                suppressed.entry(form).or_default().push(contact);
            }
        }
    }
    let doubles = doubles(plan, roster);
    if plan.gone.list.is_empty() && suppressed.is_empty() && doubles.is_empty() {
        return all;
    }
    let codes: Vec<DefaultHasher> = config
        .automations
        .iter()
        .map(|automation| code(automation.trigger_code.as_str()))
        .collect();
    let is_configured = |name: &AutomationName, to: usize| {
        let wanted = config.automations[to].trigger_code.as_str();
        config.automations.iter().any(|automation| {
            let code = automation.trigger_code.as_str();
            automation.name == *name && code.eq_ignore_ascii_case(wanted)
        })
    };
    for trigger in triggers(plan) {
        let enrolment = roster.get(trigger.enrolment as usize);
        let automation = &config.automations[enrolment.automation];
        let mut found = |what, was: &str| {
            let found = all.entry(what).or_insert_with(|| Found {
                count: 0,
                was: was.to_owned(),
                now: enrolment.contact.to_owned(),
            });
            found.count += 1;
        };
        if !suppressed.is_empty() {
            let is_suppressed = |other: &&&str| {
                let suppression = roster.suppression(other, Some(enrolment.automation));
                suppression.is_some_and(|of| !of.is_required)
            };
            let ids = roster.people().ids(enrolment.contact);
            let mut others = ids.filter_map(|id| suppressed.get(&folded(id))).flatten();
            if let Some(other) = others.find(is_suppressed) {
                found(SamePeople::Suppressed, other);
            }
        }
        if let Some(double) = doubles.get(&(enrolment.contact, enrolment.automation)) {
            let automation = automation.name.clone();
            found(SamePeople::Rewritten { automation }, double);
            continue;
        }
        if plan.gone.list.is_empty() {
            continue;
        }
        let occurrence = enrolment.occurrence.map_or(0, occurrence_of);
        let code = &codes[enrolment.automation];
        // A list of merges may write an id in other letters than the record has it in.
        let ids = roster.people().ids(enrolment.contact);
        let mut of_person = ids.flat_map(|id| plan.gone.of(person(code, id)));
        let same = of_person.find_map(|(of, name)| {
            let is_same_contact = of.contact.as_str() == enrolment.contact;
            // What is on record under another id, as the list has it, is looked at where the two are merged.
            if !is_same_contact && roster.people().kept(of.contact.as_str()) == enrolment.contact {
                return None;
            }
            let both = of.occurrence != 0 && occurrence != 0;
            let is_same_occurrence = !both || of.occurrence == occurrence;
            let is_same_automation = *name == automation.name;
            let is_configured = is_configured(name, enrolment.automation);
            let what = match (is_same_contact, is_same_automation) {
                _ if !is_same_occurrence => return None,
                // A cooldown in one automation holds nobody in another.
                _ if of.went == Went::Long && is_configured && !is_same_automation => return None,
                // What repeats now and did not before, or the other way round, is counted by itself.
                (true, true) if !both => return None,
                (true, false) => SamePeople::Renamed {
                    from: name.clone(),
                    to: automation.name.clone(),
                    is_configured,
                },
                _ => SamePeople::Rewritten {
                    automation: automation.name.clone(),
                },
            };
            Some((what, of))
        });
        if let Some((what, of)) = same {
            found(what, of.contact.as_str());
        }
    }
    all
}

/// Who would be triggered and is declared there as somebody else too, whose id a list of merges writes in other letters.
fn doubles<'r>(plan: &Plan, roster: &'r Roster<'_>) -> HashMap<(&'r str, usize), &'r str> {
    let mut doubles = HashMap::new();
    let mut forms: HashMap<_, &str> = HashMap::new();
    for trigger in triggers(plan) {
        let contact = roster.get(trigger.enrolment as usize).contact;
        // The first is the one that is kept.
        let others = roster.people().ids(contact).skip(1);
        forms.extend(others.map(|id| (folded(id), contact)));
    }
    if forms.is_empty() {
        return doubles;
    }
    for enrolment in roster.enrolments() {
        if let Some(contact) = forms.get(&folded(enrolment.contact))
            && roster.people().kept(enrolment.contact) != *contact
        {
            doubles.insert((*contact, enrolment.automation), enrolment.contact);
        }
    }
    doubles
}

/// What an automation has been given in place of what it was last applied with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// Another column has the contacts' ids.
    Contact {
        /// The source.
        source: String,
        /// The column then.
        before: String,
        /// The column now.
        now: String,
    },
    /// Its contacts come from another source.
    Source {
        /// The source then.
        before: String,
        /// The source now.
        now: String,
    },
    /// Another column tells occurrences apart.
    RepeatBy {
        /// The column then.
        before: String,
        /// The column now.
        now: String,
    },
}

/// What each automation of a configuration is applied with, in the order of the configuration.
pub fn applied_with(config: &Config) -> Vec<(AutomationName, AppliedWith)> {
    let with = |(place, automation): (usize, &crate::config::Automation)| {
        let blocks = |enrol: &&Enrol| enrol.automations.contains(&place);
        let sources = config.enrols.iter().filter(blocks).filter_map(|enrol| {
            let source = config.sources.get(enrol.source?)?;
            Some((source.name.clone(), source.contact.clone()?))
        });
        let with = AppliedWith {
            sources: sources.collect(),
            repeat_by: automation.repeat_by.clone(),
        };
        (automation.name.clone(), with)
    };
    config.automations.iter().enumerate().map(with).collect()
}

/// What each automation was last applied with, under the names that they have after the plan's moves.
pub(super) fn last_applied(
    plan: &Plan,
    applied: &BTreeMap<AutomationName, AppliedWith>,
) -> BTreeMap<AutomationName, AppliedWith> {
    let mut applied = applied.clone();
    if !plan.moved.is_empty() {
        for (from, to) in &plan.moves {
            if let Some(with) = applied.remove(from) {
                applied.insert(to.clone(), with);
            }
        }
    }
    applied
}

/// An automation that triggers people since something of it was changed, while those whom it had go; or that only loses
/// them, since its new source has no rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reapplied {
    /// Which.
    pub automation: AutomationName,
    /// What was changed.
    pub changed: Changed,
    /// How many would be triggered; none where the new source has no rows.
    pub count: u64,
    /// How many are on record and no longer declared.
    pub gone: u64,
}

/// Finds the automations of which source, contact column or `repeat_by` were changed, and that would trigger people while
/// others go, or let them go for a new source without rows.
pub(super) fn reapplied(
    plan: &Plan,
    config: &Config,
    roster: &Roster<'_>,
    applied: &BTreeMap<AutomationName, AppliedWith>,
) -> Vec<Reapplied> {
    if applied.is_empty() || plan.gone.list.is_empty() {
        return Vec::new();
    }
    let applied = last_applied(plan, applied);
    let mut counts = vec![0; config.automations.len()];
    for trigger in triggers(plan) {
        counts[roster.get(trigger.enrolment as usize).automation] += 1;
    }
    let mut list = Vec::new();
    for ((name, now), count) in applied_with(config).into_iter().zip(counts) {
        let Some(before) = applied.get(&name) else {
            continue;
        };
        let Some(changed) = change(before, &now) else {
            continue;
        };
        let is_dry = || {
            let mut new = roster
                .sources()
                .filter(|read| {
                    let name = &read.source.name;
                    now.sources.contains_key(name) && !before.sources.contains_key(name)
                })
                .peekable();
            matches!(changed, Changed::Source { .. })
                && new.peek().is_some()
                && new.all(|read| read.rows == 0)
        };
        let gone = plan.gone.count(&name);
        if gone > 0 && (count > 0 || is_dry() && lets_go(plan, config, roster, &name)) {
            list.push(Reapplied {
                automation: name,
                changed,
                count,
                gone,
            });
        }
    }
    list
}

/// Whether a plan stops anybody in an automation whose contact is not suppressed, lets go of one, or notes one as gone.
fn lets_go(plan: &Plan, config: &Config, roster: &Roster<'_>, name: &AutomationName) -> bool {
    plan.actions.iter().any(|action| {
        matches!(action, Action::Stop(stop)
            if !stop.is_of_suppressed() && stop.participation.key.automation == *name)
    }) || plan
        .let_go
        .iter()
        .any(|let_go| let_go.participation.key.automation == *name)
        || plan
            .marks
            .iter()
            .any(|mark| mark.left_at.is_some() && mark.key.automation == *name)
        || plan.turns.iter().any(|turn| {
            turn.transition == Move::End(Over::Gone) && turn.of(config, roster).1 == name
        })
}

/// What was changed, where it can make the same people others. A source that comes or goes adds or takes away people; one
/// that comes in place of another may have the same ones under other ids.
fn change(before: &AppliedWith, now: &AppliedWith) -> Option<Changed> {
    for (source, column) in &before.sources {
        if let Some(other) = now.sources.get(source).filter(|other| *other != column) {
            return Some(Changed::Contact {
                source: source.clone(),
                before: column.clone(),
                now: other.clone(),
            });
        }
    }
    let names = |of: &AppliedWith| of.sources.keys().cloned().collect::<BTreeSet<_>>();
    let (had, has) = (names(before), names(now));
    if let (Some(before), Some(now)) = (had.difference(&has).next(), has.difference(&had).next()) {
        return Some(Changed::Source {
            before: before.clone(),
            now: now.clone(),
        });
    }
    match (&before.repeat_by, &now.repeat_by) {
        (Some(before), Some(now)) if before != now => Some(Changed::RepeatBy {
            before: before.clone(),
            now: now.clone(),
        }),
        // One that is added or taken out is seen by who is on record with an occurrence, or without.
        _ => None,
    }
}
