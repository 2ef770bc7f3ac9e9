//! What a plan does not trigger now, and will by itself later: outside the window, or beyond a ramp.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Action, Held, Plan, StopScope, Trigger, WhyRenewed, WhyStop, WhyTrigger};
use crate::config::{Automation, Config, Limit, Window};
use crate::failpoint::{Planted, is_planted};
use crate::id::{AutomationName, ContactId, TriggerCode};
use crate::participation::Participation;
use crate::roster::Roster;
use crate::text::plural;

/// A trigger that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Deferred {
    /// The trigger.
    pub trigger: Trigger,
    /// Why it waits.
    pub why: WhyDeferred,
    /// When the first apply may send it, where that is known; `None` is the next one.
    pub until: Option<Timestamp>,
}

/// Why a trigger waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyDeferred {
    /// A freeze holds, by its place among [`Config::freezes`].
    Frozen(usize),
    /// The window for triggers is closed.
    Window,
    /// The contact has had as many triggers as `[limit] per_contact` allows.
    PerContact {
        /// How many it has had, those of this plan among them.
        had: usize,
    },
    /// The automation's `max_per_run` is reached.
    PerRun,
    /// The automation's `max_per_day` is reached.
    PerDay {
        /// How many were sent that day before this plan.
        sent: u64,
    },
}

/// What was triggered before a plan, and carried out or may have been.
#[derive(Debug, Default)]
pub struct Sent {
    /// How many triggers of each automation on the [`day`] of the plan.
    pub on_the_day: BTreeMap<AutomationName, u64>,
    /// When each contact was triggered within the time of `[limit] per_contact`, service mail apart.
    pub of_contacts: HashMap<String, Vec<Timestamp>>,
}

/// The calendar day of a time, from its beginning to that of the next.
pub fn day(now: Timestamp, zone: &TimeZone) -> (Timestamp, Timestamp) {
    let start = now.to_zoned_datetime(zone.clone()).start_of_day();
    let next = start
        .as_ref()
        .ok()
        .and_then(|start| start.tomorrow().ok()?.start_of_day().ok());
    (
        start.map_or(Timestamp::MIN, |start| start.timestamp()),
        next.map_or(Timestamp::MAX, |next| next.timestamp()),
    )
}

impl Plan {
    /// Takes out of the actions what is not to be triggered now: first what is frozen, which counts for no limit, then what is beyond
    /// the limit of a contact, then beyond a ramp.
    ///
    /// Who was never tried goes first, in the order of the plan; behind them those whose trigger failed, who was tried
    /// longest ago first. So those that fail again and again do not keep the others waiting.
    pub fn defer(&mut self, config: &Config, roster: &Roster<'_>, sent: &Sent, now: Timestamp) {
        let is_frozen = self.defer_frozen(config, roster, now);
        let window = config.window.as_ref();
        let closed = window.filter(|window| window.closes_at(now).is_none());
        let closed = closed.map(|window| (WhyDeferred::Window, window.opens_at(now)));
        let mut waits = self.beyond_contacts(config, roster, &sent.of_contacts, now);
        for (index, automation) in config.automations.iter().enumerate() {
            let window = window.filter(|_| !automation.is_service());
            if window.is_some() && closed.is_some() {
                continue;
            }
            let sent = sent.on_the_day.get(&automation.name).copied().unwrap_or(0);
            let Some(ramp) = Ramp::of(automation, sent) else {
                continue;
            };
            let mut places = self.triggers_of(index, roster);
            places.retain(|place| !waits.contains_key(place));
            if (places.len() as u64) <= ramp.least() {
                continue;
            }
            places.sort_by_key(|&place| self.turn(place));
            let tomorrow = || {
                let (_, tomorrow) = day(now, &config.zone);
                window.map_or(Some(tomorrow), |window| window.opens_at(tomorrow))
            };
            for (turn, place) in places.into_iter().enumerate() {
                if let Some(why) = ramp.stops_at(turn as u64) {
                    let until = match why {
                        WhyDeferred::PerDay { .. } => tomorrow(),
                        _ => None,
                    };
                    waits.insert(place, (why, until));
                }
            }
        }
        if closed.is_some() || !waits.is_empty() {
            self.take(config, roster, |place, trigger| {
                let waits = waits.get(&place).copied();
                waits.or_else(|| closed.filter(|_| !trigger.is_of_service(config, roster)))
            });
        }
        if is_frozen {
            self.deferred.sort_by_key(|of| of.trigger.enrolment);
        }
    }

    /// Takes out the triggers that a freeze keeps back; whether there is one.
    fn defer_frozen(&mut self, config: &Config, roster: &Roster<'_>, now: Timestamp) -> bool {
        if config.freezes_at(now).next().is_none() {
            return false;
        }
        let frozen: Vec<_> = (config.automations.iter().enumerate())
            .map(|(index, automation)| {
                let frozen = config.frozen(Some(index), false, now)?;
                let window = config.window.as_ref().filter(|_| !automation.is_service());
                let until = frozen.until;
                let until = window.map_or(until, |window| window.opens_at(until?));
                Some((WhyDeferred::Frozen(frozen.place), until))
            })
            .collect();
        self.take(config, roster, |_, trigger| {
            frozen[roster.get(trigger.enrolment as usize).automation]
        });
        true
    }

    /// Who is to be triggered in an automation that counts for `[limit] per_contact`, one after the other.
    pub fn limited<'r>(&self, config: &Config, roster: &'r Roster<'_>) -> Vec<&'r str> {
        let triggers = self.actions.iter().filter_map(|action| match action {
            Action::Trigger(trigger) => Some(roster.get(trigger.enrolment as usize)),
            Action::Stop(_) => None,
        });
        let limited = triggers.filter(|of| !config.automations[of.automation].is_service());
        let mut contacts: Vec<&str> = limited.map(|of| of.contact).collect();
        contacts.dedup();
        contacts
    }

    /// The triggers beyond what each contact may have, and from when on they are not. Who comes first is the order of the
    /// automations in the configuration.
    fn beyond_contacts(
        &self,
        config: &Config,
        roster: &Roster<'_>,
        had: &HashMap<String, Vec<Timestamp>>,
        now: Timestamp,
    ) -> BTreeMap<usize, (WhyDeferred, Option<Timestamp>)> {
        let mut waits = BTreeMap::new();
        let limit = config.per_contact.as_ref();
        let Some(limit) = limit.filter(|_| !is_planted(Planted::LimitForgotten)) else {
            return waits;
        };
        let span = SignedDuration::try_from(limit.span).unwrap_or(SignedDuration::MAX);
        // The actions are sorted by contact.
        let mut of_one: Vec<(usize, usize)> = Vec::new();
        let mut last = None;
        let mut settle = |contact: Option<&str>, of_one: &mut Vec<(usize, usize)>| {
            let Some(contact) = contact else { return };
            let mut times = had.get(contact).cloned().unwrap_or_default();
            times.sort_unstable();
            of_one.sort_unstable();
            for (_, place) in of_one.drain(..) {
                let had = times.len();
                match had.checked_sub(limit.count) {
                    None => times.push(now),
                    Some(first) => {
                        let until = times[first].checked_add(span).ok();
                        waits.insert(place, (WhyDeferred::PerContact { had }, until));
                    }
                }
            }
        };
        for (place, action) in self.actions.iter().enumerate() {
            let Action::Trigger(trigger) = action else {
                continue;
            };
            let enrolment = roster.get(trigger.enrolment as usize);
            let automation = &config.automations[enrolment.automation];
            if automation.is_service() {
                continue;
            }
            if last != Some(enrolment.contact) {
                settle(last, &mut of_one);
                last = Some(enrolment.contact);
            }
            of_one.push((automation.order, place));
        }
        settle(last, &mut of_one);
        waits
    }

    /// Lets what a part of a plan triggers wait as it does in the plan of all and its roster: whose turn it is by a ramp is
    /// not seen in a part.
    pub fn defer_as_in(
        &mut self,
        (whole, all): (&Plan, &Roster<'_>),
        config: &Config,
        roster: &Roster<'_>,
    ) {
        let key = |roster: &Roster<'_>, trigger: &Trigger| {
            let enrolment = roster.get(trigger.enrolment as usize);
            let occurrence = enrolment.occurrence.map(str::to_owned);
            (
                enrolment.contact.to_owned(),
                enrolment.automation,
                occurrence,
            )
        };
        let waits: BTreeMap<usize, _> = (self.actions.iter().enumerate())
            .filter_map(|(place, action)| match action {
                Action::Trigger(trigger) => {
                    let wanted = key(roster, trigger);
                    let same = |deferred: &&Deferred| key(all, &deferred.trigger) == wanted;
                    let deferred = whole.deferred.iter().find(same)?;
                    Some((place, (deferred.why, deferred.until)))
                }
                Action::Stop(_) => None,
            })
            .collect();
        self.take(config, roster, |place, _| waits.get(&place).copied());
    }

    /// The places of the triggers of an automation.
    fn triggers_of(&self, automation: usize, roster: &Roster<'_>) -> Vec<usize> {
        let actions = self.actions.iter().enumerate();
        actions
            .filter(|(_, action)| match action {
                Action::Trigger(trigger) => {
                    roster.get(trigger.enrolment as usize).automation == automation
                }
                Action::Stop(_) => false,
            })
            .map(|(place, _)| place)
            .collect()
    }

    /// When it is a trigger's turn: by the last try that failed, if any, and then by its place.
    fn turn(&self, place: usize) -> (Option<Timestamp>, usize) {
        let tried = match &self.actions[place] {
            Action::Trigger(trigger) => self
                .tried
                .binary_search_by_key(&trigger.enrolment, |(enrolment, _)| *enrolment)
                .ok()
                .map(|found| self.tried[found].1),
            Action::Stop(_) => None,
        };
        (tried, place)
    }

    /// Defers the triggers of which `wait` says so, and with them the stops of what is only renewed: until then it goes
    /// on as it is.
    fn take(
        &mut self,
        config: &Config,
        roster: &Roster<'_>,
        wait: impl Fn(usize, &Trigger) -> Option<(WhyDeferred, Option<Timestamp>)>,
    ) {
        let mut renewed = HashSet::new();
        let mut actions = Vec::with_capacity(self.actions.len());
        for (place, action) in std::mem::take(&mut self.actions).into_iter().enumerate() {
            let waits = match &action {
                Action::Trigger(trigger) => wait(place, trigger),
                Action::Stop(_) => None,
            };
            match (action, waits) {
                (Action::Trigger(trigger), Some((why, until))) => {
                    if trigger.why == WhyTrigger::AfterStop(WhyRenewed::FieldsChanged) {
                        let of = roster.get(trigger.enrolment as usize);
                        let name = config.automations[of.automation].name.as_str();
                        renewed.insert((of.contact, name, of.occurrence));
                    }
                    self.deferred.push(Deferred {
                        trigger,
                        why,
                        until,
                    });
                }
                (action, _) => actions.push(action),
            }
        }
        if !renewed.is_empty() {
            let mut goes_on: HashMap<ContactId, HashSet<TriggerCode>> = HashMap::new();
            actions.retain(|action| match action {
                Action::Stop(stop) if stop.why == WhyStop::Renewed(WhyRenewed::FieldsChanged) => {
                    let Participation {
                        key, trigger_code, ..
                    } = &stop.participation;
                    let occurrence = key.occurrence.as_ref().map(|o| o.as_str());
                    let waits = renewed.contains(&(
                        key.contact.as_str(),
                        key.automation.as_str(),
                        occurrence,
                    ));
                    if waits {
                        let codes = goes_on.entry(key.contact.clone()).or_default();
                        codes.insert(trigger_code.clone());
                    }
                    !waits
                }
                _ => true,
            });
            self.spare(&goes_on, config, roster, &mut actions);
        }
        self.actions = actions;
    }

    /// Makes no call for all that would stop what goes on behind these codes: what has an id is stopped by it, and what has
    /// none is held, and not triggered again either.
    fn spare(
        &mut self,
        goes_on: &HashMap<ContactId, HashSet<TriggerCode>>,
        config: &Config,
        roster: &Roster<'_>,
        actions: &mut Vec<Action>,
    ) {
        let before = self.held.len();
        actions.retain_mut(|action| match action {
            Action::Stop(stop) if stop.scope == StopScope::All => {
                let of = &stop.participation;
                let codes = goes_on.get(&of.key.contact);
                if !codes.is_some_and(|codes| codes.contains(&of.trigger_code)) {
                    return true;
                }
                stop.scope = StopScope::One;
                let is_stopped = of.can_be_stopped_alone();
                if !is_stopped {
                    let why = super::reason::cannot_stop_alone(stop.why == WhyStop::Suppressed);
                    self.held.push(Held::of(of, of.state.as_str(), why));
                }
                is_stopped
            }
            Action::Stop(_) => true,
            // A contact's stops come before its triggers.
            Action::Trigger(trigger) => {
                let of = roster.get(trigger.enrolment as usize);
                let automation = &config.automations[of.automation].name;
                let held = self.held[before..].iter().rev().map(|held| &held.key);
                let mut held = held.take_while(|key| key.contact.as_str() == of.contact);
                !held.any(|key| {
                    key.automation == *automation
                        && key.occurrence.as_ref().map(|o| o.as_str()) == of.occurrence
                })
            }
        });
        self.held.sort_by(|a, b| a.key.contact.cmp(&b.key.contact));
    }
}

/// How many triggers of an automation may be sent now.
struct Ramp {
    per_run: Option<u64>,
    /// What is left of the day, and how many were sent before.
    per_day: Option<(u64, u64)>,
}

impl Ramp {
    fn of(automation: &Automation, sent: u64) -> Option<Self> {
        let value = |limit: &Option<Limit<u64>>| limit.as_ref().map(|limit| limit.value);
        let ramp = Self {
            per_run: value(&automation.max_per_run),
            per_day: value(&automation.max_per_day).map(|limit| (limit.saturating_sub(sent), sent)),
        };
        (ramp.per_run.is_some() || ramp.per_day.is_some()).then_some(ramp)
    }

    fn least(&self) -> u64 {
        let left = self.per_day.map_or(u64::MAX, |(left, _)| left);
        left.min(self.per_run.unwrap_or(u64::MAX))
    }

    /// Which limit a trigger is beyond, whose turn is behind so many others.
    fn stops_at(&self, turn: u64) -> Option<WhyDeferred> {
        match (self.per_day, self.per_run) {
            (Some((left, sent)), _) if turn >= left => Some(WhyDeferred::PerDay { sent }),
            (_, Some(limit)) if turn >= limit => Some(WhyDeferred::PerRun),
            _ => None,
        }
    }
}

impl Deferred {
    /// Why it waits, and until when.
    pub fn reason(&self, config: &Config, automation: &Automation) -> String {
        match self.why {
            WhyDeferred::Frozen(place) => config.freezes[place].why(&config.zone),
            WhyDeferred::Window => match &config.window {
                Some(window) => outside(window, self.until),
                None => String::new(),
            },
            WhyDeferred::PerContact { had } => match &config.per_contact {
                Some(limit) => format!(
                    "per_contact = {:?} ({}) is reached: {} in that time, this plan included",
                    limit.shown,
                    limit.place,
                    plural(had as u64, "trigger")
                ),
                None => String::new(),
            },
            WhyDeferred::PerRun => {
                let limit = limit_text("max_per_run", automation.max_per_run.as_ref());
                format!("{limit} is reached; the next apply goes on")
            }
            WhyDeferred::PerDay { sent } => {
                let limit = limit_text("max_per_day", automation.max_per_day.as_ref());
                match sent {
                    0 => format!("{limit} is reached"),
                    sent => format!("{limit} is reached, with {sent} sent that day before"),
                }
            }
        }
    }
}

/// That the window is closed, and when it opens by its own clock.
fn outside(window: &Window, until: Option<Timestamp>) -> String {
    let place = &window.place;
    let opens = until.zip(window.hours.first()).map(|(until, hours)| {
        let local = until.to_zoned_datetime(hours.zone.clone());
        let zone = hours.zone.iana_name().unwrap_or("UTC");
        format!(
            ", which opens on {} {zone}",
            local.strftime("%a %Y-%m-%d at %H:%M")
        )
    });
    format!(
        "outside the window for triggers ({place}){}",
        opens.unwrap_or_default()
    )
}

fn limit_text(name: &str, limit: Option<&Limit<u64>>) -> String {
    match limit {
        Some(Limit {
            value,
            place: Some(place),
        }) => format!("{name} = {value} ({place})"),
        Some(Limit { value, .. }) => format!("{name} = {value}"),
        None => name.to_owned(),
    }
}
