//! What came of rules that were tried, in figures.

mod against;
mod html;
mod json;
mod text;

pub use against::{trials_json, trials_text};
pub use html::trial_html;
pub use json::trial_json;
pub use text::trial_text;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, Time};

/// Rules that were tried on some days.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// When there was an apply on each day.
    pub at: Vec<Time>,
    /// The zone of these times.
    pub zone: String,
    /// What the sources were read from, by name.
    pub sources: Vec<TrialSource>,
    /// What was done with those who were declared on the first day.
    pub first_day: FirstDay,
    /// How many enrolments of the first day were taken as active.
    pub adopted: u64,
    /// Whether what the guard refused stayed undone.
    pub is_unattended: bool,
    /// Whether contacts may be named.
    pub has_names: bool,
    /// How many applies there were.
    pub applies: u64,
    /// How many people were triggered at all.
    pub people: u64,
    /// How many people were triggered so often.
    pub by_count: BTreeMap<u64, u64>,
    /// Each automation over all days, by name.
    pub automations: Vec<TrialSum>,
    /// Who was held back, by automation.
    pub held_back: Vec<HeldBack>,
    /// Who was triggered most, and more than once; none where contacts may not be named.
    pub most: Vec<Most>,
    /// Each day, with the automations in the same order.
    pub days: Vec<TrialDay>,
    /// The plans that the guard refused.
    pub refused: Vec<Refused>,
    /// The applies that planned nothing, because of a mistake in what they read.
    pub not_planned: Vec<NotPlanned>,
}

/// What a source was read from.
#[derive(Debug, Clone)]
pub struct TrialSource {
    /// Its name.
    pub source: String,
    /// How many exports of it; `None` is what it is now, on each day.
    pub exports: Option<u64>,
}

/// What is done with those who are declared on the first day, of whom no record says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstDay {
    /// They are taken as active, without a trigger.
    Adopt,
    /// They are triggered.
    Trigger,
}

/// What was done on a day in one automation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrialCounts {
    /// Triggers that were carried out.
    pub trigger: u64,
    /// Stops.
    pub stop: u64,
    /// Participations that were left to run out.
    pub let_go: u64,
    /// How many run at the end of the day.
    pub running: u64,
}

/// A day.
#[derive(Debug, Clone)]
pub struct TrialDay {
    /// Which.
    pub date: Date,
    /// What was done in each automation.
    pub automations: Vec<TrialCounts>,
}

impl TrialDay {
    /// All automations together.
    pub fn all(&self) -> TrialCounts {
        let mut all = TrialCounts::default();
        for of in &self.automations {
            all.trigger += of.trigger;
            all.stop += of.stop;
            all.let_go += of.let_go;
            all.running += of.running;
        }
        all
    }
}

/// An automation over all days.
#[derive(Debug, Clone)]
pub struct TrialSum {
    /// Its name.
    pub automation: String,
    /// Triggers that were carried out.
    pub trigger: u64,
    /// Stops.
    pub stop: u64,
    /// Participations that were left to run out.
    pub let_go: u64,
    /// How many run at the end.
    pub running: u64,
    /// The most triggers of one day.
    pub most: u64,
    /// That day, where anything was triggered.
    pub most_on: Option<Date>,
}

/// What keeps an enrolment from being triggered, or a participation from being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HoldsBack {
    /// `[window]`.
    Window,
    /// `[limit] per_contact`.
    Limit,
    /// `max_per_run`.
    MaxPerRun,
    /// `max_per_day`.
    MaxPerDay,
    /// `[[freeze]]`.
    Freeze,
    /// `cooldown`.
    Cooldown,
    /// `[[exclusive]]`.
    Exclusive,
    /// `[[suppress]]`.
    Suppress,
    /// `participation`: Spotler's own limit.
    Participation,
    /// `leave_after`.
    LeaveAfter,
}

impl HoldsBack {
    /// The setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Limit => "limit",
            Self::MaxPerRun => "max_per_run",
            Self::MaxPerDay => "max_per_day",
            Self::Freeze => "freeze",
            Self::Cooldown => "cooldown",
            Self::Exclusive => "exclusive",
            Self::Suppress => "suppress",
            Self::Participation => "participation",
            Self::LeaveAfter => "leave_after",
        }
    }
}

/// Who was held back in an automation.
#[derive(Debug, Clone)]
pub struct HeldBack {
    /// The automation.
    pub automation: String,
    /// By what.
    pub by: HoldsBack,
    /// How many people.
    pub people: u64,
    /// How many of them were not triggered after that, or not stopped where that was held back.
    pub missed: u64,
    /// How often, over all applies.
    pub times: u64,
}

/// Somebody who was triggered often.
#[derive(Debug, Clone)]
pub struct Most {
    /// Who.
    pub contact: String,
    /// How often.
    pub trigger: u64,
}

/// A plan that the guard refused.
#[derive(Debug, Clone)]
pub struct Refused {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reasons: Vec<String>,
    /// Whether it was carried out, as by somebody who allows it.
    pub done: bool,
}

/// An apply that planned nothing.
#[derive(Debug, Clone)]
pub struct NotPlanned {
    /// When.
    pub at: Timestamp,
    /// The first mistake; `None` where it might name a contact.
    pub problem: Option<String>,
    /// How many there are.
    pub problems: u64,
}

impl Trial {
    /// All automations over all days.
    pub fn all(&self) -> TrialCounts {
        let mut all = TrialCounts::default();
        for of in &self.automations {
            all.trigger += of.trigger;
            all.stop += of.stop;
            all.let_go += of.let_go;
            all.running += of.running;
        }
        all
    }

    /// How it began, in sentences.
    pub(super) fn beginning(&self) -> String {
        use super::style::plural;
        let began = match self.first_day {
            FirstDay::Adopt => format!(
                "What the record has is not asked: {} of the first day count as active, without a trigger.",
                plural(self.adopted, "enrolment")
            ),
            FirstDay::Trigger => {
                "What the record has is not asked: everybody who is declared on the first day is triggered.".to_owned()
            }
        };
        let guard = match (self.refused.is_empty(), self.is_unattended) {
            (true, _) => "",
            (false, true) => " What the guard refused stayed undone, as under cron.",
            (false, false) => {
                " What the guard refused was carried out, as by somebody who allows it."
            }
        };
        format!("{began}{guard}")
    }

    /// The days and times, and what was read, as a sentence.
    pub(super) fn title(&self) -> String {
        let times: Vec<String> = self
            .at
            .iter()
            .map(|at| at.strftime("%H:%M").to_string())
            .collect();
        format!(
            "{} to {}, each day at {} {}",
            self.from,
            self.to,
            times.join(" and "),
            self.zone
        )
    }

    /// What each source was read from.
    pub(super) fn read(&self) -> Vec<String> {
        use super::style::{SafeText, plural};
        let sources = self.sources.iter().map(|source| {
            let name = SafeText(&source.source);
            match source.exports {
                Some(count) => format!("{name} from {}", plural(count, "export")),
                None => format!("{name} as it is now"),
            }
        });
        sources.collect()
    }
}
