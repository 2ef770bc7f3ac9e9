//! The guard: what keeps a plan from acting on thousands of people by accident.
//!
//! It counts a day, so that many small steps are no way around a limit: what was done within the last 24 hours counts with
//! what a plan does. A plan that does nothing of a kind is not refused for what was done before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::identity::{self, Changed, Found, Reapplied, SamePeople};
use super::{Action, Ended, Figures, Plan, Trigger, WhyRenewed, WhyTrigger};
use crate::config::{Config, Limit, Place, StopLimit};
use crate::id::{AutomationName, ContactId};
use crate::participation::{Participation, State};
use crate::record::{AppliedSource, AppliedWith};
use crate::roster::Roster;
use crate::text::plural;

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

impl Whose {
    /// ` in welcome`, ` of all automations together`, or nothing.
    fn of(&self, all: &'static str) -> String {
        match self {
            Whose::Automation(name) => format!(" in {name}"),
            Whose::All => all.to_owned(),
            Whose::Suppressed => " of suppressed contacts".to_owned(),
        }
    }
}

impl Count {
    /// `, with 39 stopped in the last 24 hours`, or nothing.
    fn day(&self, done: &str) -> String {
        let day = match self.day {
            0 => None,
            day => Some(format!("{day} {done} in the last 24 hours")),
        };
        let returning = match self.returning {
            0 => None,
            count => Some(format!("{count} of them who would be triggered again")),
        };
        let with: Vec<String> = day.into_iter().chain(returning).collect();
        match with.is_empty() {
            true => String::new(),
            false => format!(", with {}", with.join(" and ")),
        }
    }
}

impl Breach {
    /// It in words; where it is to name nobody, without the ids that it gives as an example.
    pub fn words(&self, names_nobody: bool) -> String {
        let Breach::Same(what, found) = self else {
            return self.to_string();
        };
        if !names_nobody {
            return self.to_string();
        }
        let contacts = plural(found.count, "contact");
        match what {
            SamePeople::Renamed { .. } => self.to_string(),
            SamePeople::Rewritten { automation } => format!(
                "{contacts} would be triggered again in {automation}, where their ids are written differently"
            ),
            SamePeople::Suppressed => format!(
                "{} would be triggered under an id that is written differently",
                plural(found.count, "suppressed contact")
            ),
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TOGETHER: &str = " of all automations together";
        const GONE: &str = "stopped, let go or leaving";
        let (setting, place) = match self {
            Breach::Ended(ended) => return ended.fmt(f),
            Breach::Triggers {
                whose,
                count,
                limit,
                place,
            } => {
                let deferred = match count.deferred {
                    0 => String::new(),
                    deferred => format!(" ({deferred} of them deferred)"),
                };
                write!(
                    f,
                    "too many triggers{}: {}{deferred}{}, the limit is {limit}",
                    whose.of(""),
                    count.all,
                    count.day("triggered")
                )?;
                ("max_triggers", place)
            }
            Breach::Stops {
                whose,
                count,
                limit,
                place,
            } => {
                write!(
                    f,
                    "too many stops{}: {}{}, the limit is {limit}",
                    whose.of(""),
                    count.all,
                    count.day(GONE)
                )?;
                ("max_stops", place)
            }
            Breach::Share {
                whose,
                count,
                running,
                limit,
                place,
            } => {
                let share = count.all as f64 * 100.0 / *running as f64;
                write!(
                    f,
                    "too many stops{}: {share:.1}% ({} of {running}{}) is over {limit}%",
                    whose.of(TOGETHER),
                    count.all,
                    count.day(GONE)
                )?;
                ("max_stops", place)
            }
            Breach::EndedGone {
                automation,
                count,
                all,
                limit,
                place,
            } => {
                let share = *count as f64 * 100.0 / *all as f64;
                write!(
                    f,
                    "too many who have ended in {automation} would be taken for gone or suppressed: {share:.1}% ({count} of \
                     {all} who are in it) is over {limit}%; declared again, they would be triggered as anybody new"
                )?;
                ("max_stops", place)
            }
            Breach::Renewed {
                whose,
                count,
                running,
            } => {
                let share = *count as f64 * 100.0 / *running as f64;
                return write!(
                    f,
                    "too many{} would be stopped and triggered again because their fields have changed: {share:.1}% ({count} of \
                     {running}) is over {MOST_RENEWED}%, whatever max_stops is (check whether a template or a column was \
                     changed for everybody)",
                    whose.of(TOGETHER)
                );
            }
            Breach::Released {
                count,
                limit,
                place,
            } => {
                write!(
                    f,
                    "too many people would be triggered whose suppression is gone: {}{}, the limit is {limit}; check whether \
                     a [[suppress]] or a [[require]] is missing, or holds for fewer now",
                    count.all,
                    count.day("triggered")
                )?;
                ("max_released", place)
            }
            Breach::Merges {
                count,
                limit,
                place,
            } => {
                write!(
                    f,
                    "too many merges: what is on record of {} would become another id's for good, the limit is {limit}; \
                     check whether [[merged]] reads the right list",
                    plural(*count, "id")
                )?;
                ("max_merges", place)
            }
            Breach::Same(what, found) => return same(f, what, found),
            Breach::Reapplied(reapplied) => return fmt::Display::fmt(reapplied, f),
            Breach::Reshaped { automation, count } => {
                return write!(
                    f,
                    "the `repeat_by` of {automation} was added or removed: {} who are in it would be triggered again \
                     (if you mean only new ones, leave {automation} as it is and declare another automation with its own \
                     trigger code)",
                    plural(*count, "contact")
                );
            }
        };
        match place {
            Some(place) => write!(f, " ({setting} at {place})"),
            None => write!(f, " ({setting}, the default)"),
        }
    }
}

fn same(f: &mut fmt::Formatter<'_>, what: &SamePeople, found: &Found) -> fmt::Result {
    let Found { count, was, now } = found;
    let contacts = plural(*count, "contact");
    match what {
        SamePeople::Renamed {
            from,
            to,
            is_configured: false,
        } => write!(
            f,
            "{from} has become {to}, which has its trigger code: {contacts} on record in {from} would be triggered again \
             (if only the name is new, write [[moved]] with from = \"{from}\" and to = \"{to}\", and nobody is)"
        ),
        SamePeople::Renamed { from, to, .. } => write!(
            f,
            "{contacts} on record in {from}, and no longer declared in it, would be triggered again in {to}, which has its \
             trigger code (if only the name is new, write [[moved]] with from = \"{from}\" and to = \"{to}\", remove \
             [automation.{from}], and nobody is; if people should move from one to the other, --allow-large mails them again)"
        ),
        SamePeople::Rewritten { automation } => {
            write!(
                f,
                "{contacts} would be triggered again in {automation}, where their ids are written differently: "
            )?;
            match was == now {
                true => write!(f, "an occurrence of {now} is on record in other letters")?,
                false => write!(f, "{now} is on record as {was}")?,
            }
            write!(
                f,
                " (let the source write them as before; or if Spotler knows them by the new ids, adopt these \
                 with `rollcall adopt --automation {automation}`, which triggers nobody; the next apply then stops the old \
                 ones, and may take --allow-large)"
            )
        }
        SamePeople::Suppressed => write!(
            f,
            "{} would be triggered under an id that is written differently: {now} is suppressed as {was} (write the ids in \
             [[suppress]] as the source does)",
            plural(*count, "suppressed contact")
        ),
    }
}

impl fmt::Display for Reapplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            automation,
            changed,
            count,
            gone,
        } = self;
        match changed {
            Changed::Contact {
                source,
                before,
                now,
            } => write!(
                f,
                "{automation} was last applied with `contact = \"{before}\"` in source {source}, and now it is \"{now}\""
            )?,
            Changed::Source { before, now } => write!(
                f,
                "{automation} was last applied with source {before}, and now it has source {now}"
            )?,
            Changed::RepeatBy { before, now } => write!(
                f,
                "{automation} was last applied with `repeat_by = \"{before}\"`, and now it is \"{now}\""
            )?,
        }
        let are = if *gone == 1 { "is" } else { "are" };
        if *count == 0 {
            return write!(
                f,
                ", which has no rows: {gone} on record {are} no longer declared (make the export, or change it back)"
            );
        }
        write!(
            f,
            ": {count} would be triggered as new, while {gone} on record {are} no longer declared (change it back; or if they \
             are the same people, adopt the new ones with `rollcall adopt --automation {automation}`, \
             which triggers nobody; the next apply then stops the old ones, and may take --allow-large)"
        )
    }
}
