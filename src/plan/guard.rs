//! The guard: what keeps a plan from acting on thousands of people by accident.
//!
//! It counts a day, so that many small steps are no way around a limit: what was done within the last 24 hours counts with
//! what a plan does. A plan that does nothing of a kind is not refused for what was done before.

mod words;

use std::collections::{BTreeMap, BTreeSet};

use super::identity::{self, Found, Reapplied, SamePeople};
use super::{Action, Ended, Figures, Plan, Trigger, WhyRenewed, WhyTrigger};
use crate::config::{Config, Limit, Place, StopLimit};
use crate::id::{AutomationName, ContactId};
use crate::participation::{Participation, State};
use crate::record::{AppliedSource, AppliedWith};
use crate::roster::Roster;

/// Fewer running participations than this are too few for a percentage to mean anything.
pub const SMALLEST_FOR_PERCENT: u64 = 20;

/// Those whose fields have changed are stopped and triggered again up to this share of them, in per cent, whatever
/// `max_stops` allows: a limit on stops is no wish that everybody gets the same mail again.
pub const MOST_RENEWED: f64 = 20.0;

/// The share, in per cent, that may have ended and be taken for gone at once where `max_stops` is no share.
const MOST_ENDED_GONE: f64 = 20.0;

/// What the guard says of a plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Guard {
    /// Every limit that the plan is beyond; empty where it may be applied.
    pub breaches: Vec<Breach>,
}

/// Whose participations a limit is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those of one automation.
    Automation(AutomationName),
    /// Those of all automations without a limit of their own.
    All,
    /// Those of suppressed contacts.
    Suppressed,
}

/// How many a limit holds for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// By the plan, and within the day before.
    pub all: u64,
    /// How many of them within the day before.
    pub day: u64,
    /// How many of them are triggered again by the plan after they were stopped within that day.
    pub returning: u64,
    /// How many of them are deferred.
    pub deferred: u64,
}

/// One limit that a plan is beyond.
#[derive(Debug, Clone, PartialEq)]
pub enum Breach {
    /// Too many triggers.
    Triggers {
        /// Whose.
        whose: Whose,
        /// How many.
        count: Count,
        /// How many there may be.
        limit: u64,
        /// Where that is set.
        place: Option<Place>,
    },
    /// Too many stops.
    Stops {
        /// Whose.
        whose: Whose,
        /// How many.
        count: Count,
        /// How many there may be.
        limit: u64,
        /// Where that is set.
        place: Option<Place>,
    },
    /// Too large a share of the participations.
    Share {
        /// Whose.
        whose: Whose,
        /// How many stops.
        count: Count,
        /// Of how many that ran when the day began.
        running: u64,
        /// How many per cent there may be.
        limit: f64,
        /// Where that is set.
        place: Option<Place>,
    },
    /// Too large a share that has ended would be taken for gone or suppressed.
    EndedGone {
        /// In which automation.
        automation: AutomationName,
        /// How many.
        count: u64,
        /// Of how many who are in it: who run, and who have ended.
        all: u64,
        /// How many per cent there may be.
        limit: f64,
        /// Where that is set; nowhere if `max_stops` is a number.
        place: Option<Place>,
    },
    /// Too large a share that is stopped and triggered again with other fields.
    Renewed {
        /// Whose.
        whose: Whose,
        /// How many.
        count: u64,
        /// Of how many that ran when the day began.
        running: u64,
    },
    /// Too many people who would be triggered since their suppression is gone.
    Released {
        /// How many.
        count: Count,
        /// How many there may be.
        limit: u64,
        /// Where that is set.
        place: Option<Place>,
    },
    /// Too many ids whose participations would become those of another id.
    Merges {
        /// How many ids.
        count: u64,
        /// How many there may be.
        limit: u64,
        /// Where that is set.
        place: Option<Place>,
    },
    /// People who are on record would be triggered as others.
    Same(SamePeople, Found),
    /// People would be triggered since the source of an automation, its contact column or its `repeat_by` was changed.
    Reapplied(Reapplied),
    /// An automation has got a `repeat_by`, or lost it: who is in it is triggered again as somebody new.
    Reshaped {
        /// Which automation.
        automation: AutomationName,
        /// How many run in it as they were declared before.
        count: u64,
    },
    /// A source had rows at the last apply and has none, or its file stops in mid-line.
    Ended(Ended),
}

impl Guard {
    /// Holds a plan against the limits. An automation with a limit of its own is held against that alone, all others
    /// together against the general one. `applied` is what each automation was last applied with, and `sources` how these
    /// were then.
    ///
    /// What is deferred counts as well: a window or a ramp spreads triggers, it does not make them meant.
    pub fn check(
        plan: &Plan,
        config: &Config,
        roster: &Roster<'_>,
        applied: &BTreeMap<AutomationName, AppliedWith>,
        sources: &BTreeMap<String, AppliedSource>,
    ) -> Self {
        let mut breaches = Vec::new();
        triggers(plan, config, roster, &mut breaches);
        stops(plan, config, roster, &mut breaches);
        ended_gone(plan, config, &mut breaches);
        released(plan, config, roster, &mut breaches);
        let (count, most) = (plan.merged.len() as u64, &config.guard.max_merges);
        breaches.extend((count > most.value).then(|| Breach::Merges {
            count,
            limit: most.value,
            place: most.place.clone(),
        }));
        let same = identity::same_people(plan, config, roster);
        breaches.extend(
            same.into_iter()
                .map(|(what, found)| Breach::Same(what, found)),
        );
        let reapplied = identity::reapplied(plan, config, roster, applied);
        breaches.extend(reapplied.into_iter().map(Breach::Reapplied));
        breaches.extend(plan.reshaped.iter().map(|(name, count)| Breach::Reshaped {
            automation: name.clone(),
            count: *count,
        }));
        let ended = Ended::all(plan, config, roster, sources);
        breaches.extend(ended.into_iter().map(Breach::Ended));
        Self { breaches }
    }

    /// Whether the plan may not be applied without `--allow-large`.
    pub fn refuses(&self) -> bool {
        !self.breaches.is_empty()
    }

    /// An automation that is gone and has become another one, with the same people: its name then, and its name now.
    pub fn renamed(&self) -> Option<(&AutomationName, &AutomationName)> {
        self.breaches.iter().find_map(|breach| match breach {
            Breach::Same(
                SamePeople::Renamed {
                    from,
                    to,
                    is_configured: false,
                },
                _,
            ) => Some((from, to)),
            _ => None,
        })
    }

    /// What to do where the plan is meant.
    pub fn way_on(&self) -> &'static str {
        let is_limit = |breach: &Breach| {
            matches!(
                breach,
                Breach::Triggers { .. }
                    | Breach::Stops { .. }
                    | Breach::Share { .. }
                    | Breach::EndedGone { .. }
                    | Breach::Released { .. }
                    | Breach::Merges { .. }
            )
        };
        match self.breaches.iter().any(is_limit) {
            true => "apply it with --allow-large, or raise the limit",
            false => "apply it with --allow-large",
        }
    }

    /// Whether not even the stops of suppressed contacts may be sent: these have a limit to themselves.
    pub fn refuses_stops_of_suppressed(&self) -> bool {
        self.breaches.iter().any(|breach| match breach {
            Breach::Stops { whose, .. } | Breach::Share { whose, .. } => {
                *whose == Whose::Suppressed
            }
            _ => false,
        })
    }
}

impl Plan {
    fn figures_of(&self, name: &AutomationName) -> Figures {
        self.figures.get(name).copied().unwrap_or_default()
    }
}

impl Figures {
    /// How many ran when the day began: those that run now, and those that went meanwhile.
    fn ran(&self) -> u64 {
        self.running + self.over
    }
}

fn triggers(plan: &Plan, config: &Config, roster: &Roster<'_>, breaches: &mut Vec<Breach>) {
    let mut counts = vec![Count::default(); config.automations.len()];
    for trigger in identity::triggers(plan) {
        counts[roster.get(trigger.enrolment as usize).automation].all += 1;
    }
    for deferred in &plan.deferred {
        counts[roster.get(deferred.trigger.enrolment as usize).automation].deferred += 1;
    }
    let mut check = |whose, count: Count, limit: &Limit<u64>| {
        if count.is_of_plan() && count.all > limit.value {
            breaches.push(Breach::Triggers {
                whose,
                count,
                limit: limit.value,
                place: limit.place.clone(),
            });
        }
    };
    let mut others = Count::default();
    let mut own = Vec::new();
    for (automation, mut count) in config.automations.iter().zip(counts) {
        count.day = plan.figures_of(&automation.name).triggered;
        count.all += count.day;
        match &automation.max_triggers {
            Some(limit) => own.push((Whose::Automation(automation.name.clone()), count, limit)),
            None => others.add(count),
        }
    }
    // Those of automations that are gone were triggered all the same.
    let is_gone = |name: &AutomationName| config.automations.iter().all(|a| a.name != *name);
    for (_, figures) in plan.figures.iter().filter(|(name, _)| is_gone(name)) {
        others.all += figures.triggered;
        others.day += figures.triggered;
    }
    check(Whose::All, others, &config.guard.max_triggers);
    for (whose, count, limit) in own {
        check(whose, count, limit);
    }
}

impl Count {
    fn add(&mut self, other: Count) {
        self.all += other.all;
        self.day += other.day;
        self.returning += other.returning;
        self.deferred += other.deferred;
    }

    /// Whether the plan itself has any.
    fn is_of_plan(&self) -> bool {
        self.all > self.day
    }
}

/// What leaves an automation.
#[derive(Debug, Clone, Copy, Default)]
struct Leaving {
    count: Count,
    /// How many ran when the day began.
    ran: u64,
    /// How many are stopped and triggered again since their fields have changed.
    renewed: u64,
}

impl Leaving {
    fn add(&mut self, other: Leaving) {
        self.count.add(other.count);
        self.ran += other.ran;
        self.renewed += other.renewed;
    }
}

/// What leaves, by automation, and what is stopped of suppressed contacts. What is let go leaves too: when it comes back,
/// it is triggered again. So does what begins to leave, and does not count again when that is over.
fn leaving(
    plan: &Plan,
    config: &Config,
    roster: &Roster<'_>,
) -> (BTreeMap<AutomationName, Leaving>, Leaving) {
    let mut all: BTreeMap<AutomationName, Leaving> = BTreeMap::new();
    let mut suppressed = Leaving::default();
    for (name, figures) in &plan.figures {
        let of = all.entry(name.clone()).or_default();
        of.ran = figures.ran();
        of.count.day = figures.gone - figures.gone_suppressed;
        of.count.returning = figures.returning;
        of.count.all = of.count.day + figures.leaving + figures.returning;
        suppressed.ran += figures.ran();
        suppressed.count.day += figures.gone_suppressed;
        suppressed.count.all += figures.gone_suppressed;
    }
    let stops = plan.actions.iter().filter_map(|action| match action {
        Action::Stop(stop) => Some((&stop.participation, stop.is_of_suppressed())),
        Action::Trigger(_) => None,
    });
    let let_go = plan.let_go.iter();
    let let_go = let_go.map(|let_go| (&let_go.participation, false));
    for (participation, is_of_suppressed) in stops.chain(let_go) {
        let of = match is_of_suppressed {
            true => &mut suppressed,
            // Every name on record has its figures.
            false => all.entry(participation.key.automation.clone()).or_default(),
        };
        let is_more = u64::from(!plan.has_counted(participation));
        of.count.all += is_more;
        // What was let go before is none of those who ran, and is stopped all the same.
        if participation.state == State::LetGo {
            of.ran += is_more;
        }
    }
    let is_renewed = |of: &&Trigger| of.why == WhyTrigger::AfterStop(WhyRenewed::FieldsChanged);
    for trigger in identity::triggers(plan).filter(is_renewed) {
        let automation = roster.get(trigger.enrolment as usize).automation;
        let name = config.automations[automation].name.clone();
        all.entry(name).or_default().renewed += 1;
    }
    (all, suppressed)
}

impl Plan {
    /// Whether a participation was counted among those who leave before this plan.
    fn has_counted(&self, participation: &Participation) -> bool {
        let went = participation
            .gone_at
            .is_some_and(|at| at > self.counted_since);
        participation.left_at.is_some() || went
    }
}

fn stops(plan: &Plan, config: &Config, roster: &Roster<'_>, breaches: &mut Vec<Breach>) {
    let general = &config.guard.max_stops;
    let (all, suppressed) = leaving(plan, config, roster);
    let mut others = Leaving::default();
    let mut renewed = Leaving::default();
    let mut of_others = 0;
    let mut own = Vec::new();
    for (name, of) in all {
        let whose = || Whose::Automation(name.clone());
        let automation = config.automations.iter().find(|a| a.name == name);
        let limit = automation.and_then(|automation| automation.max_stops.as_ref());
        match limit {
            Some(limit) => check_stops(whose(), of, limit, &mut own),
            None => {
                others.add(of);
                of_others += u64::from(of.count.all > 0);
                if let StopLimit::Percent(_) = general.value {
                    check_stops(whose(), of, general, &mut own);
                }
            }
        }
        renewed.add(of);
        check_renewed(whose(), of, &mut own);
    }
    // Of one automation alone it was reported already.
    if of_others > 1 || matches!(general.value, StopLimit::Count(_)) {
        check_stops(Whose::All, others, general, breaches);
    }
    check_stops(Whose::Suppressed, suppressed, general, breaches);
    if !own
        .iter()
        .any(|breach| matches!(breach, Breach::Renewed { .. }))
    {
        check_renewed(Whose::All, renewed, breaches);
    }
    breaches.append(&mut own);
}

fn check_stops(whose: Whose, of: Leaving, limit: &Limit<StopLimit>, breaches: &mut Vec<Breach>) {
    let Leaving { count, ran, .. } = of;
    if !count.is_of_plan() {
        return;
    }
    match limit.value {
        StopLimit::Count(most) if count.all > most => breaches.push(Breach::Stops {
            whose,
            count,
            limit: most,
            place: limit.place.clone(),
        }),
        // Everybody may be stopped, and so may somebody be twice.
        StopLimit::Percent(most) if most >= 100.0 => {}
        StopLimit::Percent(most) if is_beyond(count.all, ran, most) => {
            breaches.push(Breach::Share {
                whose,
                count,
                running: ran,
                limit: most,
                place: limit.place.clone(),
            });
        }
        _ => {}
    }
}

/// Finds the automations in which too many who have ended go. Nothing is stopped, but declared again they are triggered as anybody
/// new. The share is of all who are in, as it would be if runs did not end: who end and leave day by day are few of these. A number
/// in `max_stops` is of stops alone.
fn ended_gone(plan: &Plan, config: &Config, breaches: &mut Vec<Breach>) {
    for (name, figures) in &plan.figures {
        let automation = config.automations.iter().find(|a| a.name == *name);
        let own = automation.and_then(|automation| automation.max_stops.as_ref());
        let limit = own.unwrap_or(&config.guard.max_stops);
        let (most, place) = match limit.value {
            StopLimit::Percent(most) => (most, limit.place.clone()),
            StopLimit::Count(_) => (MOST_ENDED_GONE, None),
        };
        let all = figures.ran() + figures.ended;
        if is_beyond(figures.ended_gone, all, most) {
            breaches.push(Breach::EndedGone {
                automation: name.clone(),
                count: figures.ended_gone,
                all,
                limit: most,
                place,
            });
        }
    }
}

fn check_renewed(whose: Whose, of: Leaving, breaches: &mut Vec<Breach>) {
    if is_beyond(of.renewed, of.ran, MOST_RENEWED) {
        breaches.push(Breach::Renewed {
            whose,
            count: of.renewed,
            running: of.ran,
        });
    }
}

fn is_beyond(count: u64, of: u64, percent: f64) -> bool {
    of >= SMALLEST_FOR_PERCENT && count as f64 * 100.0 > percent * of as f64
}

/// People who are on record as suppressed, and would be triggered now, in whatever automation. Those whom a block with a limit
/// of its own kept out are held against that one. Who was released within the day counts with all of them.
fn released(plan: &Plan, config: &Config, roster: &Roster<'_>, breaches: &mut Vec<Breach>) {
    fn find<T: Copy>(list: &[(ContactId, T)], contact: &str) -> Option<T> {
        let place = list.binary_search_by(|(of, _)| of.as_str().cmp(contact));
        place.ok().map(|place| list[place].1)
    }
    let mut people: BTreeMap<Option<usize>, BTreeSet<&str>> = BTreeMap::new();
    for trigger in identity::triggers(plan) {
        let contact = roster.get(trigger.enrolment as usize).contact;
        let is_released = match find(&plan.released, contact) {
            Some(is_of_day) => !is_of_day,
            None => trigger.why == WhyTrigger::Released,
        };
        if is_released {
            let block = find(&plan.released_by, contact);
            people.entry(block).or_default().insert(contact);
        }
    }
    let day = plan.released.iter().filter(|(_, of_day)| *of_day).count() as u64;
    for (block, contacts) in people {
        let own = block.and_then(|block| config.suppressions[block].max_released.as_ref());
        let limit = own.unwrap_or(&config.guard.max_released);
        let count = Count {
            all: contacts.len() as u64 + day,
            day,
            ..Count::default()
        };
        if count.is_of_plan() && count.all > limit.value {
            breaches.push(Breach::Released {
                count,
                limit: limit.value,
                place: limit.place.clone(),
            });
        }
    }
}
