//! The guard: what keeps a plan from acting on thousands of people by accident.

use std::collections::BTreeMap;
use std::fmt;

use super::{Action, Plan};
use crate::config::{GuardLimits, Place, StopLimit};
use crate::id::AutomationName;

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
    /// Too many triggers in all.
    Triggers {
        /// How many.
        count: u64,
        /// How many there may be.
        limit: u64,
        /// Where that is set.
        place: Option<Place>,
    },
    /// Too many stops in all.
    Stops {
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
}

impl Guard {
    /// Holds a plan against the limits.
    pub fn check(plan: &Plan, limits: &GuardLimits) -> Self {
        let mut breaches = Vec::new();
        let triggers = plan.triggers();
        if triggers > limits.max_triggers.value {
            breaches.push(Breach::Triggers {
                count: triggers,
                limit: limits.max_triggers.value,
                place: limits.max_triggers.place.clone(),
            });
        }
        let place = limits.max_stops.place.clone();
        match limits.max_stops.value {
            StopLimit::Count(limit) => {
                let count = plan.stops() + plan.let_go.len() as u64;
                if count > limit {
                    breaches.push(Breach::Stops {
                        count,
                        limit,
                        place,
                    });
                }
            }
            StopLimit::Percent(limit) => {
                for (automation, count) in leaving_by_automation(plan) {
                    let running = plan.running.get(automation).copied().unwrap_or(0);
                    if running >= SMALLEST_FOR_PERCENT
                        && count as f64 * 100.0 > limit * running as f64
                    {
                        breaches.push(Breach::Share {
                            automation: automation.clone(),
                            count,
                            running,
                            limit,
                            place: place.clone(),
                        });
                    }
                }
            }
        }
        Self { breaches }
    }

    /// Whether the plan may not be applied without `--allow-large`.
    pub fn refuses(&self) -> bool {
        !self.breaches.is_empty()
    }
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

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self {
            Breach::Triggers {
                count,
                limit,
                place,
            } => {
                write!(
                    f,
                    "too many triggers: {count}, the limit is {limit} (max_triggers"
                )?;
                place
            }
            Breach::Stops {
                count,
                limit,
                place,
            } => {
                write!(
                    f,
                    "too many stops: {count}, the limit is {limit} (max_stops"
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
        };
        match place {
            Some(place) => write!(f, " at {place})"),
            None => write!(f, ", the default)"),
        }
    }
}
