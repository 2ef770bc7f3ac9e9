//! A plan in figures: what every format of it begins with.

use std::collections::BTreeMap;

use super::rows::PlanView;
use super::style::{plural, thousands};
use crate::plan::{Action, Plan, Trigger, WhyTrigger};

/// What a plan does to one automation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub trigger: u64,
    pub stop: u64,
    pub deferred: u64,
    pub let_go: u64,
    pub held: u64,
    /// How many participations run or may run, before the plan.
    pub running: u64,
    /// How many triggers are of what runs already, or may.
    pub again: u64,
    /// How many triggers follow a stop of the same.
    pub renewed: u64,
}

impl Counts {
    /// How many come.
    pub(super) fn comes(self) -> u64 {
        self.trigger - self.again
    }

    /// How many go.
    pub(super) fn goes(self) -> u64 {
        (self.stop + self.let_go).saturating_sub(self.renewed)
    }

    /// How many stay, what is triggered again among them.
    pub(super) fn stays(self) -> u64 {
        self.running.saturating_sub(self.goes())
    }

    /// Whether the plan says anything of it.
    pub(super) fn is_reported(self) -> bool {
        self.trigger + self.stop + self.deferred + self.let_go + self.held > 0
    }
}

/// Whether what it triggers runs already, or may.
pub(super) fn runs_already(trigger: &Trigger) -> bool {
    trigger.before.is_some_and(|state| state.is_running())
}

/// The figures of each automation that runs or that the plan says anything of, by name.
pub(super) fn tally(view: PlanView<'_>) -> BTreeMap<&str, Counts> {
    let plan = view.plan;
    let mut all: BTreeMap<&str, Counts> = BTreeMap::new();
    for (name, running) in &plan.running {
        all.entry(name.as_str()).or_default().running = *running;
    }
    for action in &plan.actions {
        let counts = all.entry(view.automation(action)).or_default();
        match action {
            Action::Stop(_) => counts.stop += 1,
            Action::Trigger(trigger) => {
                counts.trigger += 1;
                counts.again += u64::from(runs_already(trigger));
                counts.renewed += u64::from(matches!(trigger.why, WhyTrigger::AfterStop(_)));
            }
        }
    }
    for name in view.deferred_automations() {
        all.entry(name).or_default().deferred += 1;
    }
    for let_go in &plan.let_go {
        let name = let_go.participation.key.automation.as_str();
        all.entry(name).or_default().let_go += 1;
    }
    for held in &plan.held {
        all.entry(held.key.automation.as_str()).or_default().held += 1;
    }
    all
}

/// The names that participations take, one line each.
pub(super) fn moved_lines(plan: &Plan) -> impl Iterator<Item = String> {
    plan.moved.iter().map(|((from, to), count)| {
        let count = plural(*count, "participation");
        format!("{from} is {to} now: {count}")
    })
}

/// How many participations take another name.
pub(super) fn moved(plan: &Plan) -> u64 {
    plan.moved.values().sum()
}

/// The ids that are merged, one line each.
pub(super) fn merged_lines(plan: &Plan) -> impl Iterator<Item = String> {
    plan.merged.iter().map(|((from, to), count)| {
        let count = plural(*count, "participation");
        format!("{from} is {to} now: {count}")
    })
}

/// A plan in one sentence: its beginning, and the rest of it.
pub(super) fn sentence(plan: &Plan) -> (&'static str, String) {
    let held = match plan.held.len() as u64 {
        0 => String::new(),
        count => format!(", {} held", thousands(count)),
    };
    let withheld = match plan.withheld.len() as u64 {
        0 => String::new(),
        count => format!(", {} withheld", thousands(count)),
    };
    let deferred = match plan.deferred.len() as u64 {
        0 => String::new(),
        count => format!(", {} deferred", thousands(count)),
    };
    if plan.is_empty() {
        let now = match deferred.is_empty() {
            true => "Nothing to do.",
            false => "Nothing to do now.",
        };
        let unchanged = plural(plan.unchanged, "participation");
        return (
            now,
            format!("{unchanged} as declared{deferred}{held}{withheld}."),
        );
    }
    let let_go = match plan.let_go.len() as u64 {
        0 => String::new(),
        count => format!(", {} to let go", thousands(count)),
    };
    let moved = match moved(plan) {
        0 => String::new(),
        count => format!(", {} to move", thousands(count)),
    };
    let merged = match plan.merged.len() as u64 {
        0 => String::new(),
        count => format!(", {} to merge", thousands(count)),
    };
    let rest = format!(
        "{} to trigger, {} to stop{let_go}{moved}{merged}{deferred}{held}{withheld}, {} unchanged.",
        thousands(plan.triggers()),
        thousands(plan.stops()),
        thousands(plan.unchanged)
    );
    ("Plan:", rest)
}
