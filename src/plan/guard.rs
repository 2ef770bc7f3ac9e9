//! The guard: what keeps a plan from acting on thousands of people by accident.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::{Action, Plan};
use crate::config::{Config, Limit, Place, StopLimit};
use crate::id::{AutomationName, TriggerCode};
use crate::roster::Roster;

/// Automations with fewer running participations than this are too small for a percentage to mean anything.
pub const SMALLEST_FOR_PERCENT: u64 = 20;

/// What the guard says of a plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Guard {
    /// Every limit that the plan is beyond; empty where it may be applied.
    pub breaches: Vec<Breach>,
}

/// One limit that a plan is beyond.
#[derive(Debug, Clone, PartialEq)]
pub enum Breach {
    /// Too many triggers.
    Triggers {
        /// Of which automation; `None` is all without a limit of their own.
        automation: Option<AutomationName>,
        /// How many.
        count: u64,
        /// How many of them are deferred.
        deferred: u64,
        /// How many there may be.
        limit: u64,
        /// Where that is set.
        place: Option<Place>,
    },
    /// Too many stops.
    Stops {
        /// Of which automation; `None` is all without a limit of their own.
        automation: Option<AutomationName>,
        /// How many.
        count: u64,
        /// How many there may be.
        limit: u64,
        /// Where that is set.
        place: Option<Place>,
    },
    /// Too large a share of an automation's participations.
    Share {
        /// Which automation.
        automation: AutomationName,
        /// How many stops.
        count: u64,
        /// Of how many running participations.
        running: u64,
        /// How many per cent there may be.
        limit: f64,
        /// Where that is set.
        place: Option<Place>,
    },
    /// An automation got another name: who is in it is triggered again by the same trigger code.
    Renamed {
        /// The name on record, which is gone from the configuration.
        from: AutomationName,
        /// The name now.
        to: AutomationName,
        /// How many are stopped by the one and triggered by the other.
        count: u64,
    },
    /// An automation has got a `repeat_by`, or lost it: who is in it is triggered again as somebody new.
    Reshaped {
        /// Which automation.
        automation: AutomationName,
        /// How many run in it as they were declared before.
        count: u64,
    },
}

impl Guard {
    /// Holds a plan against the limits. An automation with a limit of its own is held against that alone, all others
    /// together against the general one.
    ///
    /// What is deferred counts as well: a window or a ramp spreads triggers, it does not make them meant.
    pub fn check(plan: &Plan, config: &Config, roster: &Roster<'_>) -> Self {
        let mut breaches = Vec::new();
        triggers(plan, config, roster, &mut breaches);
        stops(plan, config, &mut breaches);
        renames(plan, config, roster, &mut breaches);
        breaches.extend(plan.reshaped.iter().map(|(name, count)| Breach::Reshaped {
            automation: name.clone(),
            count: *count,
        }));
        Self { breaches }
    }

    /// Whether the plan may not be applied without `--allow-large`.
    pub fn refuses(&self) -> bool {
        !self.breaches.is_empty()
    }
}

/// How many triggers there are, and how many of them are deferred.
#[derive(Clone, Copy, Default)]
struct Triggers {
    all: u64,
    deferred: u64,
}

impl Triggers {
    fn check(
        self,
        automation: Option<&AutomationName>,
        limit: &Limit<u64>,
        breaches: &mut Vec<Breach>,
    ) {
        if self.all > limit.value {
            breaches.push(Breach::Triggers {
                automation: automation.cloned(),
                count: self.all,
                deferred: self.deferred,
                limit: limit.value,
                place: limit.place.clone(),
            });
        }
    }
}

fn triggers(plan: &Plan, config: &Config, roster: &Roster<'_>, breaches: &mut Vec<Breach>) {
    let mut counts = vec![Triggers::default(); config.automations.len()];
    let now = plan.actions.iter().filter_map(|action| match action {
        Action::Trigger(trigger) => Some((trigger, 0)),
        Action::Stop(_) => None,
    });
    let later = plan.deferred.iter().map(|deferred| (&deferred.trigger, 1));
    for (trigger, deferred) in now.chain(later) {
        let count = &mut counts[roster.get(trigger.enrolment as usize).automation];
        count.all += 1;
        count.deferred += deferred;
    }
    let mut others = Triggers::default();
    let mut own = Vec::new();
    for (automation, count) in config.automations.iter().zip(counts) {
        match &automation.max_triggers {
            Some(limit) => count.check(Some(&automation.name), limit, &mut own),
            None => {
                others.all += count.all;
                others.deferred += count.deferred;
            }
        }
    }
    others.check(None, &config.guard.max_triggers, breaches);
    breaches.append(&mut own);
}

fn stops(plan: &Plan, config: &Config, breaches: &mut Vec<Breach>) {
    let general = &config.guard.max_stops;
    let mut others = 0;
    let mut own = Vec::new();
    for (name, count) in leaving_by_automation(plan) {
        let automation = config.automations.iter().find(|a| a.name == *name);
        let limit = automation.and_then(|automation| automation.max_stops.as_ref());
        let (limit, is_own) = match limit {
            Some(limit) => (limit, true),
            None => (general, false),
        };
        match limit.value {
            StopLimit::Count(_) if !is_own => others += count,
            StopLimit::Count(most) if count > most => own.push(Breach::Stops {
                automation: Some(name.clone()),
                count,
                limit: most,
                place: limit.place.clone(),
            }),
            StopLimit::Count(_) => {}
            StopLimit::Percent(most) => {
                let running = plan.running.get(name).copied().unwrap_or(0);
                if running >= SMALLEST_FOR_PERCENT && count as f64 * 100.0 > most * running as f64 {
                    own.push(Breach::Share {
                        automation: name.clone(),
                        count,
                        running,
                        limit: most,
                        place: limit.place.clone(),
                    });
                }
            }
        }
    }
    if let StopLimit::Count(limit) = general.value
        && others > limit
    {
        breaches.push(Breach::Stops {
            automation: None,
            count: others,
            limit,
            place: general.place.clone(),
        });
    }
    breaches.append(&mut own);
}

/// What is stopped under a name that is gone, and triggered by the same code under another one: it was declared once.
fn renames(plan: &Plan, config: &Config, roster: &Roster<'_>, breaches: &mut Vec<Breach>) {
    let is_gone = |name: &AutomationName| config.automations.iter().all(|a| a.name != *name);
    let stopped: HashMap<(&str, &TriggerCode), &AutomationName> = plan
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Stop(stop) => Some(&stop.participation),
            Action::Trigger(_) => None,
        })
        .filter(|participation| is_gone(&participation.key.automation))
        .map(|of| {
            (
                (of.key.contact.as_str(), &of.trigger_code),
                &of.key.automation,
            )
        })
        .collect();
    if stopped.is_empty() {
        return;
    }
    let now = plan.actions.iter().filter_map(|action| match action {
        Action::Trigger(trigger) => Some(trigger),
        Action::Stop(_) => None,
    });
    let later = plan.deferred.iter().map(|deferred| &deferred.trigger);
    let mut counts: BTreeMap<(&AutomationName, &AutomationName), u64> = BTreeMap::new();
    for trigger in now.chain(later) {
        let enrolment = roster.get(trigger.enrolment as usize);
        let automation = &config.automations[enrolment.automation];
        if let Some(from) = stopped.get(&(enrolment.contact, &automation.trigger_code)) {
            *counts.entry((from, &automation.name)).or_insert(0) += 1;
        }
    }
    breaches.extend(
        counts
            .into_iter()
            .map(|((from, to), count)| Breach::Renamed {
                from: from.clone(),
                to: to.clone(),
                count,
            }),
    );
}

/// What leaves, by automation. What is let go leaves too: when it comes back, it is triggered again.
fn leaving_by_automation(plan: &Plan) -> BTreeMap<&AutomationName, u64> {
    let stops = plan.actions.iter().filter_map(|action| match action {
        Action::Stop(stop) => Some(&stop.participation.key),
        Action::Trigger(_) => None,
    });
    let let_go = plan.let_go.iter().map(|let_go| &let_go.participation.key);
    let mut counts = BTreeMap::new();
    for key in stops.chain(let_go) {
        *counts.entry(&key.automation).or_insert(0) += 1;
    }
    counts
}

/// ` in welcome`, or nothing.
fn of(automation: Option<&AutomationName>) -> String {
    automation.map_or_else(String::new, |name| format!(" in {name}"))
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self {
            Breach::Triggers {
                automation,
                count,
                deferred,
                limit,
                place,
            } => {
                let of = of(automation.as_ref());
                let deferred = match deferred {
                    0 => String::new(),
                    deferred => format!(" ({deferred} of them deferred)"),
                };
                write!(
                    f,
                    "too many triggers{of}: {count}{deferred}, the limit is {limit} (max_triggers"
                )?;
                place
            }
            Breach::Stops {
                automation,
                count,
                limit,
                place,
            } => {
                let of = of(automation.as_ref());
                write!(
                    f,
                    "too many stops{of}: {count}, the limit is {limit} (max_stops"
                )?;
                place
            }
            Breach::Share {
                automation,
                count,
                running,
                limit,
                place,
            } => {
                let share = *count as f64 * 100.0 / *running as f64;
                write!(
                    f,
                    "too many stops in {automation}: {share:.1}% ({count} of {running}) is over {limit}% (max_stops"
                )?;
                place
            }
            Breach::Renamed { from, to, count } => {
                return write!(
                    f,
                    "{from} is gone from the configuration and {to} has its trigger code: {count} would be stopped and \
                     triggered again (call it {from} again where only its name is new)"
                );
            }
            Breach::Reshaped { automation, count } => {
                return write!(
                    f,
                    "the `repeat_by` of {automation} was added or taken out: {count} who run in it would be triggered again \
                     (where only what is to come is meant, leave {automation} as it is and declare another automation with a \
                     trigger code of its own)"
                );
            }
        };
        match place {
            Some(place) => write!(f, " at {place})"),
            None => write!(f, ", the default)"),
        }
    }
}
