//! Which calls the stops of a contact take.

use std::sync::Arc;

use hashbrown::HashSet;

use super::Planner;
use super::choice::Candidate;
use crate::id::{ContactId, TriggerCode};
use crate::participation::Participation;
use crate::plan::behind::Behind;
use crate::plan::decide::{WhyStop, WhyTrigger};
use crate::plan::{Action, NotAlone, Stop, StopScope, reason};
use crate::roster::Enrolment;

impl Planner<'_> {
    /// Decides which calls the contact's stops take.
    ///
    /// The call that stops all goes by trigger code, so it is right only where nothing else of the contact runs, or may
    /// run, behind the same code that is not stopped with it. Where another one only comes behind that code in this run,
    /// what has an id is stopped by it; what has none is stopped by the call for all, and the other one is triggered once
    /// that is certain.
    pub(super) fn stops(&mut self, declared: &[Candidate<'_>], recorded: &[Participation]) {
        let pending = std::mem::take(&mut self.stops);
        if pending.is_empty() {
            return;
        }
        let Self { config, filter, .. } = *self;
        // All are of one contact, and sorted by automation and occurrence.
        let stays_running = |of: &Participation| {
            let is_of_part =
                filter.lets_through(of.key.contact.as_str(), of.key.automation.as_str());
            let place = pending.binary_search_by(|stop| stop.participation.key.cmp(&of.key));
            // Where it is suppressed it does not stay, whatever part of it is planned here.
            let is_stopped =
                place.is_ok_and(|at| is_of_part || pending[at].why == WhyStop::Suppressed);
            of.state.may_run_at_spotler() && !is_stopped
        };
        let code_of =
            |enrolment: Enrolment<'_>| &config.automations[enrolment.automation].trigger_code;
        let staying = recorded.iter().filter(|of| stays_running(of));
        let staying: Behind<'_> = staying.map(|of| &of.trigger_code).collect();
        let coming = declared.iter().map(|of| code_of(of.enrolment));
        let coming: Behind<'_> = coming.collect();
        let others = pending.iter().filter(|of| of.why != WhyStop::Suppressed);
        let others: Behind<'_> = others.map(|of| &of.participation.trigger_code).collect();
        let mut declared = declared.iter().map(|of| of.enrolment).peekable();
        let stays_under = self.stays_under();
        let beside: HashSet<&TriggerCode> = stays_under.iter().map(|(_, code)| code).collect();
        for stop in &pending {
            let this = &stop.participation;
            let code = &this.trigger_code;
            let stays = staying.has_other(code, stays_running(this));
            while declared
                .next_if(|next| self.order(*next, &this.key).is_lt())
                .is_some()
            {}
            let is_declared_behind_it = declared
                .peek()
                .is_some_and(|next| self.is_same(*next, &this.key) && code_of(*next) == code);
            let comes = coming.has_other(code, is_declared_behind_it);
            // Where the guard refuses, a stop of somebody suppressed is sent without the others.
            let may_stay = stop.why == WhyStop::Suppressed && others.has_other(code, false);
            let scope = match this.can_be_stopped_alone() {
                // Spotler may know the other id by the same contact.
                true if stays || comes || may_stay || beside.contains(code) => StopScope::One,
                false if stays => {
                    let why = reason::cannot_stop_alone(stop.why == WhyStop::Suppressed);
                    self.hold(this, this.state.as_str(), why);
                    continue;
                }
                _ => StopScope::All,
            };
            let reaches_others = may_stay && scope == StopScope::All;
            self.plan.actions.push(Action::Stop(Box::new(Stop {
                participation: this.clone(),
                why: stop.why,
                scope,
                reason: Arc::default(),
                ids: match this.triggered_as {
                    None => Arc::default(),
                    Some(_) => {
                        let ids = self.merging.ids(&this.key.contact);
                        let is_beside =
                            |id: &ContactId| stays_under.contains(&(id.clone(), code.clone()));
                        match scope {
                            // The call that stops all would hit what goes on under that id.
                            StopScope::All if beside.contains(code) => {
                                ids.iter().filter(|id| !is_beside(id)).cloned().collect()
                            }
                            _ => ids,
                        }
                    }
                },
                suppressed_by: (stop.why == WhyStop::Suppressed)
                    .then(|| self.by(this.key.contact.as_str(), &this.key)),
                not_alone: reaches_others.then_some(NotAlone::ReachesOthers),
            })));
            if let (Some(place), WhyStop::Renewed(why)) = (stop.trigger, stop.why) {
                self.trigger(place, Some(this), WhyTrigger::AfterStop(why));
            }
        }
    }
}
