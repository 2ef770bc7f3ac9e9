//! What the guard counts while the walk goes on.

use std::collections::HashSet;

use super::Planner;
use crate::id::AutomationName;
use crate::participation::{Participation, State};
use crate::plan::{Action, Figures, WhyTrigger};
use crate::roster::Suppressions;

impl Planner<'_> {
    /// What is counted of an automation.
    pub(super) fn figures(&mut self, name: &AutomationName) -> &mut Figures {
        self.figures.entry_ref(name).or_default()
    }

    /// Whether it was stopped or let go within the guard's day, or began to leave.
    pub(super) fn went(&self, participation: &Participation) -> bool {
        participation.gone_at.is_some_and(|at| at > self.since)
    }

    /// Counts that something on record is triggered again, for the guard.
    pub(super) fn count_again(&mut self, recorded: &Participation, why: &WhyTrigger) {
        if !self.is_wanted(&recorded.key) {
            return;
        }
        let went = self.went(recorded);
        let was_triggered = recorded.triggered_at.is_some_and(|at| at > self.since);
        let figures = self.figures(&recorded.key.automation);
        match why {
            WhyTrigger::Returned | WhyTrigger::ReturnedAfterLetGo if went => figures.returning += 1,
            // The trigger before it is in doubt; the two are counted once.
            WhyTrigger::Harmless if was_triggered => {
                figures.triggered = figures.triggered.saturating_sub(1);
            }
            _ => {}
        }
    }

    /// Counts what is on record of a participation, for the guard.
    pub(super) fn count(&mut self, participation: &Participation, is_suppressed: bool) {
        let state = participation.state;
        let runs = state.is_running();
        let was_triggered = (runs || state.is_over())
            && participation.triggered_at.is_some_and(|at| at > self.since);
        let went = self.went(participation);
        let figures = self.figures(&participation.key.automation);
        figures.running += u64::from(state.needs_an_end());
        figures.ended += u64::from(participation.has_ended_declared());
        figures.triggered += u64::from(was_triggered);
        figures.gone += u64::from(went);
        figures.gone_suppressed += u64::from(went && is_suppressed);
        figures.over += u64::from(went && !state.needs_an_end());
    }

    /// Counts that what has ended is taken for gone or suppressed, for the guard.
    pub(super) fn count_ended_gone(&mut self, of: &Participation) {
        if of.has_ended_declared() && self.is_wanted(&of.key) {
            self.figures(&of.key.automation).ended_gone += 1;
        }
    }

    /// Counts who runs without an occurrence, or with one, in an automation that has got a `repeat_by`, or lost it, and is
    /// triggered in it as somebody who is not there.
    pub(super) fn count_reshaped(
        &mut self,
        actions: std::ops::Range<usize>,
        recorded: &[Participation],
    ) {
        let new_in: HashSet<usize> = self.plan.actions[actions]
            .iter()
            .filter_map(|action| match action {
                Action::Trigger(trigger) if trigger.before.is_none_or(State::is_over) => {
                    Some(self.roster.get(trigger.enrolment as usize).automation)
                }
                _ => None,
            })
            .collect();
        if new_in.is_empty() {
            return;
        }
        let mut found = Vec::new();
        for of_automation in recorded.chunk_by(|a, b| a.key.automation == b.key.automation) {
            let name = &of_automation[0].key.automation;
            let Some(index) = self.by_name.get(name.as_str()) else {
                continue;
            };
            let repeats = self.config.automations[*index].repeat_by.is_some();
            let running = of_automation.iter();
            let running = running.filter(|of| of.state.is_running() || of.has_ended_declared());
            let (meant, reshaped): (Vec<_>, Vec<_>) =
                running.partition(|of| of.key.occurrence.is_some() == repeats);
            // Where one of the new kind runs, that was meant, and the old one only waits to leave.
            if meant.is_empty() && new_in.contains(index) {
                found.extend(reshaped.iter().map(|of| of.key.automation.clone()));
            }
        }
        for automation in found {
            *self.plan.reshaped.entry(automation).or_insert(0) += 1;
        }
    }

    /// Counts a contact who is released from suppression, in whatever automation: by this plan, or within the guard's day. What
    /// a contact was withheld from stays on record; one who runs since before that day was released then.
    pub(super) fn count_released(
        &mut self,
        first_action: usize,
        recorded: &[Participation],
        suppressions: Option<Suppressions<'_>>,
    ) {
        let is_over = |of: &Participation| {
            of.is_suppressed()
                && !self.is_suppressed(suppressions, &of.key)
                && !self.is_required(of)
        };
        let by_block = |of: &Participation| {
            let block = *self.blocks.get(&of.suppressed_by()?)?;
            let limit = self.config.suppressions[block].max_released.as_ref();
            limit.map(|_| (of.key.contact.clone(), block))
        };
        let mut over = recorded.iter().filter(|of| is_over(of));
        let by_block = over.find_map(by_block);
        let was_released = |of: &Participation| of.released_at.is_some_and(|at| at > self.since);
        let mut released = recorded.iter().filter(|of| was_released(of));
        if let Some(of) = released.find(|of| !of.state.reached_nobody()) {
            let released = (of.key.contact.clone(), true);
            self.plan.released_by.extend(by_block);
            self.plan.released.push(released);
            return;
        }
        let mut suppressed = recorded.iter();
        let suppressed = suppressed.find(|of| is_over(of) || was_released(of));
        self.plan.released_by.extend(by_block);
        let Some(suppressed) = suppressed else {
            return;
        };
        let runs = |of: &&Participation| {
            matches!(
                of.state,
                State::Active | State::Triggering | State::Uncertain | State::Refused
            )
        };
        let is_of_day = |of: &Participation| of.triggered_at.is_some_and(|at| at > self.since);
        let mut running = recorded.iter().filter(runs).peekable();
        let runs = running.peek().is_some();
        let actions = &self.plan.actions[first_action..];
        let mut triggers = actions.iter().filter_map(|action| match action {
            Action::Trigger(trigger) => Some(&trigger.why),
            Action::Stop(_) => None,
        });
        let is_triggered = triggers.clone().next().is_some();
        if running.all(is_of_day) && (runs || is_triggered) {
            // What runs may be something that it was never kept from.
            let is_of_plan = triggers.any(|why| *why == WhyTrigger::Released);
            let released = (suppressed.key.contact.clone(), runs && !is_of_plan);
            self.plan.released.push(released);
        }
    }
}
