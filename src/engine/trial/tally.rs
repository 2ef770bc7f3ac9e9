//! Counting what a trial does, and whom it does not trigger.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::apply::{Outcome, Part, Run};
use crate::config::{Config, Problems};
use crate::engine::Planned;
use crate::plan::{Action, Breach, Guard, LEAVING, WhyDeferred};
use crate::report::{
    HeldBack, HoldsBack, Most, NotPlanned, Refused, TrialCounts, TrialDay, TrialSum,
};

/// How many of those who would get most are named.
const MOST: usize = 10;

/// What was counted so far.
pub(super) struct Tally {
    config: &'static Config,
    places: HashMap<String, usize>,
    pub(super) days: Vec<TrialDay>,
    pub(super) refused: Vec<Refused>,
    pub(super) not_planned: Vec<NotPlanned>,
    /// Whether contacts may be named.
    has_names: bool,
    triggers: HashMap<Box<str>, u64>,
    held: BTreeMap<(usize, HoldsBack), Held>,
}

#[derive(Default)]
struct Held {
    /// Whether they still wait for what was held back.
    people: HashMap<Box<str>, bool>,
    times: u64,
}

impl Tally {
    pub(super) fn new(config: &'static Config, has_names: bool) -> Self {
        let names = config
            .automations
            .iter()
            .map(|a| a.name.as_str().to_owned());
        Self {
            config,
            places: names.zip(0..).collect(),
            days: Vec::new(),
            refused: Vec::new(),
            not_planned: Vec::new(),
            has_names,
            triggers: HashMap::new(),
            held: BTreeMap::new(),
        }
    }

    /// Begins a day.
    pub(super) fn begin(&mut self, date: Date) {
        let running = self.days.last().map(|day| &day.automations);
        let running = |place: usize| running.map_or(0, |of| of[place].running);
        let automations = (0..self.config.automations.len()).map(|place| TrialCounts {
            running: running(place),
            ..TrialCounts::default()
        });
        self.days.push(TrialDay {
            date,
            automations: automations.collect(),
        });
    }

    fn counts(&mut self, place: usize) -> Option<&mut TrialCounts> {
        self.days.last_mut()?.automations.get_mut(place)
    }

    /// Notes that the guard refuses a plan, and whether it is carried out all the same.
    pub(super) fn refuse(&mut self, at: Timestamp, guard: &Guard, is_done: bool) {
        let reasons = guard.breaches.iter();
        let reasons = reasons.map(|breach| match breach {
            Breach::Same(_, found) if !self.has_names => format!(
                "{} people who are on record under another name or id would be triggered",
                found.count
            ),
            breach => breach.to_string(),
        });
        self.refused.push(Refused {
            at,
            reasons: reasons.collect(),
            done: is_done,
        });
    }

    /// Notes that nothing could be planned.
    pub(super) fn fail(&mut self, at: Timestamp, problems: &Problems) {
        let mut messages = problems.list.iter().map(|problem| &problem.message);
        self.not_planned.push(NotPlanned {
            at,
            problem: messages
                .next()
                .filter(|_| self.has_names)
                .map(|message| without_cells(message)),
            problems: problems.list.len() as u64,
        });
    }

    /// Counts what was done of a plan.
    pub(super) fn done(&mut self, planned: &Planned, part: Part, run: Option<&Run>) {
        let (plan, roster) = (&planned.plan, &planned.roster);
        for (name, running) in &plan.running {
            if let Some(place) = self.place(name.as_str())
                && let Some(counts) = self.counts(place)
            {
                counts.running = *running;
            }
        }
        let settled = run.map_or(&[][..], |run| &run.settled);
        for (action, settled) in plan.actions.iter().zip(settled) {
            let Some(outcome) = settled.as_ref().map(|settled| settled.outcome) else {
                continue;
            };
            match action {
                Action::Trigger(trigger) => {
                    let enrolment = roster.get(trigger.enrolment as usize);
                    let Some(counts) = self.counts(enrolment.automation) else {
                        continue;
                    };
                    match outcome {
                        Outcome::Active => {
                            counts.trigger += 1;
                            counts.running += 1;
                            add(&mut self.triggers, enrolment.contact);
                            self.release(enrolment.automation, true, enrolment.contact);
                        }
                        Outcome::Refused => self.hold(
                            enrolment.automation,
                            HoldsBack::Participation,
                            enrolment.contact,
                        ),
                        _ => {}
                    }
                }
                Action::Stop(stop) if outcome == Outcome::Stopped => {
                    let key = &stop.participation.key;
                    let place = self.place(key.automation.as_str());
                    if let Some(place) = place
                        && let Some(counts) = self.counts(place)
                    {
                        counts.stop += 1;
                        counts.running = counts.running.saturating_sub(1);
                        self.release(place, false, key.contact.as_str());
                    }
                }
                Action::Stop(_) => {}
            }
        }
        if part == Part::Whole {
            self.held_back(planned);
        }
    }

    /// Counts who is not triggered now, or not stopped, and what is left to run out.
    fn held_back(&mut self, planned: &Planned) {
        let (plan, roster) = (&planned.plan, &planned.roster);
        for deferred in &plan.deferred {
            let enrolment = roster.get(deferred.trigger.enrolment as usize);
            let by = match deferred.why {
                WhyDeferred::Frozen(_) => HoldsBack::Freeze,
                WhyDeferred::Window => HoldsBack::Window,
                WhyDeferred::PerContact { .. } => HoldsBack::Limit,
                WhyDeferred::PerRun => HoldsBack::MaxPerRun,
                WhyDeferred::PerDay { .. } => HoldsBack::MaxPerDay,
            };
            self.hold(enrolment.automation, by, enrolment.contact);
        }
        for displaced in &plan.displaced {
            let enrolment = roster.get(displaced.enrolment as usize);
            self.hold(
                enrolment.automation,
                HoldsBack::Exclusive,
                enrolment.contact,
            );
        }
        let held = plan.held.iter().filter_map(|held| {
            let by = match held.state {
                "cooling" => HoldsBack::Cooldown,
                "refused" => HoldsBack::Participation,
                LEAVING => HoldsBack::LeaveAfter,
                _ => return None,
            };
            Some((&held.key, by))
        });
        let withheld = plan.withheld.iter();
        let withheld = withheld.map(|withheld| (&withheld.key, HoldsBack::Suppress));
        for (key, by) in held.chain(withheld) {
            if let Some(place) = self.place(key.automation.as_str()) {
                self.hold(place, by, key.contact.as_str());
            }
        }
        for let_go in &plan.let_go {
            let place = self.place(let_go.participation.key.automation.as_str());
            if let Some(counts) = place.and_then(|place| self.counts(place)) {
                counts.let_go += 1;
            }
        }
    }

    fn place(&self, automation: &str) -> Option<usize> {
        self.places.get(automation).copied()
    }

    fn hold(&mut self, automation: usize, by: HoldsBack, contact: &str) {
        let held = self.held.entry((automation, by)).or_default();
        held.times += 1;
        match held.people.get_mut(contact) {
            Some(waits) => *waits = true,
            None => drop(held.people.insert(contact.into(), true)),
        }
    }

    /// What was held back is done.
    fn release(&mut self, automation: usize, is_trigger: bool, contact: &str) {
        let from = (automation, HoldsBack::Window);
        for ((_, by), held) in self
            .held
            .range_mut(from..=(automation, HoldsBack::LeaveAfter))
        {
            if (*by != HoldsBack::LeaveAfter) == is_trigger
                && let Some(waits) = held.people.get_mut(contact)
            {
                *waits = false;
            }
        }
    }

    /// How many people were triggered at all.
    pub(super) fn people(&self) -> u64 {
        self.triggers.len() as u64
    }

    /// Who was triggered most, where contacts may be named.
    pub(super) fn most(&self) -> Vec<Most> {
        if !self.has_names {
            return Vec::new();
        }
        // Where everybody got one, nobody got most.
        let often = self.triggers.iter().filter(|(_, count)| **count > 1);
        let mut all: Vec<(&str, u64)> =
            often.map(|(contact, count)| (&**contact, *count)).collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let most = all.into_iter().take(MOST);
        most.map(|(contact, trigger)| Most {
            contact: contact.to_owned(),
            trigger,
        })
        .collect()
    }

    /// How many were triggered once, twice, and so on.
    pub(super) fn by_count(&self) -> BTreeMap<u64, u64> {
        let mut all = BTreeMap::new();
        for count in self.triggers.values() {
            *all.entry(*count).or_insert(0) += 1;
        }
        all
    }

    /// Who was held back by what.
    pub(super) fn held(&self) -> Vec<HeldBack> {
        let name = |place: usize| self.config.automations[place].name.as_str().to_owned();
        let held = self.held.iter().map(|((place, by), held)| HeldBack {
            automation: name(*place),
            by: *by,
            people: held.people.len() as u64,
            missed: held.people.values().filter(|waits| **waits).count() as u64,
            times: held.times,
        });
        held.collect()
    }

    /// Each automation over all days, in the order of their names.
    pub(super) fn sums(&self) -> Vec<TrialSum> {
        let sums = self.config.automations.iter().enumerate();
        let sums = sums.map(|(place, automation)| {
            let days = self.days.iter();
            let counts = days.map(|day| (day.date, &day.automations[place]));
            let mut sum = TrialSum {
                automation: automation.name.as_str().to_owned(),
                trigger: 0,
                stop: 0,
                let_go: 0,
                running: 0,
                most: 0,
                most_on: None,
            };
            for (date, counts) in counts {
                sum.trigger += counts.trigger;
                sum.stop += counts.stop;
                sum.let_go += counts.let_go;
                sum.running = counts.running;
                if counts.trigger > sum.most {
                    (sum.most, sum.most_on) = (counts.trigger, Some(date));
                }
            }
            sum
        });
        sums.collect()
    }
}

/// A message without what it quotes, which may be a cell.
fn without_cells(message: &str) -> String {
    let (mut out, mut is_quoted, mut is_escaped) = (String::new(), false, false);
    for c in message.chars() {
        let ends = c == '"' && !is_escaped;
        match (is_quoted, ends) {
            (_, true) => {
                is_quoted = !is_quoted;
                out.push_str(if is_quoted { "\"…" } else { "\"" });
            }
            (false, false) => out.push(c),
            (true, false) => {}
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    out
}

fn add(counts: &mut HashMap<Box<str>, u64>, contact: &str) {
    match counts.get_mut(contact) {
        Some(count) => *count += 1,
        None => drop(counts.insert(contact.into(), 1)),
    }
}
