//! What stands in for Spotler while rules are tried: each call is carried out at once, and refused as Spotler would.

use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use crate::apply::{Caller, MaySend};
use crate::config::{Config, ParticipationSetting};
use crate::field::FieldValue;
use crate::id::{ContactId, ParticipationId, TriggerCode};
use crate::spotler::{CallError, Entry, StopAnswer, TriggerAnswer};

/// Spotler, as far as a trial asks it. All clones are the same.
#[derive(Clone)]
pub(super) struct StandIn(Arc<Mutex<World>>);

struct World {
    now: Timestamp,
    given: u64,
    codes: HashMap<String, Code>,
}

/// What a trigger code starts, and whom it has.
struct Code {
    setting: ParticipationSetting,
    /// How long a run of it lasts, where that is known.
    runs_for: Option<Duration>,
    /// Everybody who was ever triggered, with the runs that were not stopped.
    contacts: HashMap<ContactId, Vec<(ParticipationId, Timestamp)>>,
}

impl StandIn {
    pub(super) fn new(config: &Config) -> Self {
        let mut codes: HashMap<String, Code> = HashMap::new();
        for automation in &config.automations {
            let code = automation.trigger_code.as_str().to_ascii_lowercase();
            codes.entry(code).or_insert_with(|| Code {
                setting: automation.participation,
                runs_for: automation.runs_for,
                contacts: HashMap::new(),
            });
        }
        Self(Arc::new(Mutex::new(World {
            now: Timestamp::UNIX_EPOCH,
            given: 0,
            codes,
        })))
    }

    /// Sets its clock.
    pub(super) fn is(&self, now: Timestamp) {
        self.world().now = now;
    }

    /// Starts a run, unless Spotler would refuse it.
    pub(super) fn start(&self, code: &TriggerCode, contact: &ContactId) -> TriggerAnswer {
        let mut world = self.world();
        let now = world.now;
        world.given += 1;
        let given = world.given;
        let entry = |participation, result: &str| Entry {
            participation,
            automation_id: None,
            result: result.to_owned(),
        };
        let id = ParticipationId::new(given.to_string());
        let of = world.codes.get_mut(&code.as_str().to_ascii_lowercase());
        let (Some(of), Ok(id)) = (of, id) else {
            return TriggerAnswer::Started(Vec::new());
        };
        let runs = match of.contacts.get_mut(contact) {
            Some(runs) => {
                let ended = |since: Timestamp| {
                    let after = of.runs_for.and_then(|of| SignedDuration::try_from(of).ok());
                    after.is_some_and(|after| now.duration_since(since) >= after)
                };
                runs.retain(|(_, since)| !ended(*since));
                let is_limited = match of.setting {
                    ParticipationSetting::Unlimited => false,
                    ParticipationSetting::OnceWhileRunning => !runs.is_empty(),
                    ParticipationSetting::Once => true,
                };
                if is_limited {
                    let entries = vec![entry(None, "PARTICIPATION_LIMIT_REACHED")];
                    return TriggerAnswer::LimitReached(entries);
                }
                runs
            }
            None => of.contacts.entry(contact.clone()).or_default(),
        };
        runs.push((id.clone(), now));
        TriggerAnswer::Started(vec![entry(Some(id), "OK")])
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // Nothing panics while it holds this.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller for StandIn {
    fn trigger<'a>(
        &'a self,
        code: &'a TriggerCode,
        contact: &'a ContactId,
        _: &'a [FieldValue],
    ) -> BoxFuture<'a, Result<TriggerAnswer, CallError>> {
        Box::pin(ready(Ok(self.start(code, contact))))
    }

    fn stop<'a>(
        &'a self,
        code: &'a TriggerCode,
        contact: &'a ContactId,
        participation: Option<&'a ParticipationId>,
    ) -> BoxFuture<'a, Result<StopAnswer, CallError>> {
        let mut world = self.world();
        let of = world.codes.get_mut(&code.as_str().to_ascii_lowercase());
        if let Some(runs) = of.and_then(|of| of.contacts.get_mut(contact)) {
            runs.retain(|(id, _)| participation.is_some_and(|one| one != id));
        }
        Box::pin(ready(Ok(StopAnswer::Stopped { already: None })))
    }

    fn forget_connections(&self) {}

    fn only_while(&self, _: MaySend) -> Arc<dyn Caller> {
        Arc::new(self.clone())
    }
}
