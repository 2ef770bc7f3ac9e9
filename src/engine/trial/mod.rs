//! Rules that are tried on the past, or on days to come, before they meet people: an apply on each day, on a record in memory
//! and with a stand-in for Spotler.
//!
//! All of it is what an apply does: the roster, the plan, the guard, the calls and what is written of them. Only who answers,
//! what time it is, and where the record lies is another.

mod revisions;
mod stand_in;
mod tally;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use tokio_util::sync::CancellationToken;

use super::{ApplyOptions, Clock, Engine, Error, Planned};
use crate::apply::{Caller, Part};
use crate::config::{Config, Problems, SourceKind};
use crate::plan::Filter;
use crate::record::{Purpose, Record};
use crate::report::{FirstDay, Trial, TrialSource};
use crate::spotler::Credentials;
use stand_in::StandIn;
use tally::Tally;

/// So many calls are under way at once: what they wait for is the record alone.
const CONCURRENCY: usize = 64;

/// Exports of one source, by the day from which each counts: its file, and how it is shown.
pub type Exports = BTreeMap<Date, (PathBuf, String)>;

/// What is tried.
#[derive(Debug, Clone)]
pub struct TrialOptions {
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// The times of a day at which there is an apply; not empty.
    pub at: Vec<Time>,
    /// What sources were, by their names. The others are as they are now, on each day.
    pub exports: BTreeMap<String, Exports>,
    /// What is done with those who are declared on the first day.
    pub first_day: FirstDay,
    /// Whether nobody is there who allows what the guard refuses.
    pub is_unattended: bool,
    /// Whether contacts may be named.
    pub has_names: bool,
}

/// Tries a configuration. `tell` gets each day that is done.
///
/// # Errors
/// What is wrong with the configuration, or with its sources where nothing can be planned on any day.
pub async fn trial(
    config: &'static Config,
    options: &TrialOptions,
    mut tell: impl FnMut(Date),
) -> Result<Trial, Error> {
    let spotler = StandIn::new(config);
    let mut run = Run {
        options,
        record: Record::passing(),
        tally: Tally::new(config, options.has_names),
        spotler: spotler.clone(),
        adopted: 0,
        is_begun: false,
        applies: 0,
        problems: None,
    };
    let mut of_today = (BTreeMap::new(), config);
    let mut is_first = true;
    let mut date = options.from;
    while date <= options.to {
        let exports = on(&options.exports, date);
        if is_first || exports != of_today.0 {
            let config = with(config, &exports);
            of_today = (exports, config);
            is_first = false;
        }
        run.tally.begin(date);
        for time in &options.at {
            let zoned = config
                .zone
                .to_ambiguous_zoned_datetime(date.to_datetime(*time));
            // A time that the clocks skip is an hour later.
            let Ok(zoned) = zoned.compatible() else {
                continue;
            };
            run.apply(of_today.1, zoned.timestamp()).await?;
        }
        tell(date);
        let Ok(next) = date.tomorrow() else { break };
        date = next;
    }
    if !run.is_begun
        && let Some(problems) = run.problems
    {
        return Err(Error::Problems(problems));
    }
    let tally = run.tally;
    Ok(Trial {
        from: options.from,
        to: options.to,
        at: options.at.clone(),
        zone: config.zone.iana_name().unwrap_or("UTC").to_owned(),
        sources: sources(config, options),
        first_day: options.first_day,
        adopted: run.adopted,
        is_unattended: options.is_unattended,
        has_names: options.has_names,
        applies: run.applies,
        people: tally.people(),
        by_count: tally.by_count(),
        automations: tally.sums(),
        held_back: tally.held(),
        most: tally.most(),
        days: tally.days,
        refused: tally.refused,
        not_planned: tally.not_planned,
    })
}

/// The exports that count on a day, by source.
fn on(exports: &BTreeMap<String, Exports>, date: Date) -> BTreeMap<String, (PathBuf, String)> {
    let newest = |exports: &Exports| {
        let (_, file) = exports.range(..=date).next_back()?;
        Some(file.clone())
    };
    let all = exports.iter();
    all.filter_map(|(name, of)| Some((name.clone(), newest(of)?)))
        .collect()
}

/// The configuration with these exports, as fast as the record takes it. How old a file is says nothing here.
fn with(config: &'static Config, exports: &BTreeMap<String, (PathBuf, String)>) -> &'static Config {
    let mut config = config.clone();
    config.spotler.concurrency = CONCURRENCY;
    config.spotler.rate = 1e9;
    for source in &mut config.sources {
        source.max_age = None;
        let Some((file, name)) = exports.get(&source.name) else {
            continue;
        };
        match &mut source.kind {
            SourceKind::Csv { path, shown, .. } => {
                path.clone_from(file);
                shown.clone_from(name);
            }
            kind => {
                *kind = SourceKind::Csv {
                    path: file.clone(),
                    shown: name.clone(),
                    encoding: None,
                    delimiter: None,
                    quoting: crate::config::Quoting::default(),
                };
            }
        }
    }
    Box::leak(Box::new(config))
}

/// What each source was read from.
fn sources(config: &Config, options: &TrialOptions) -> Vec<TrialSource> {
    let files = config.sources.iter().filter(|source| !source.is_query());
    let sources = files.map(|source| {
        let exports = options.exports.get(&source.name);
        let used = exports.map(|of| {
            let before = of.range(..=options.from).next_back();
            let first = before.map_or(options.from, |(date, _)| *date);
            of.range(first..=options.to).count() as u64
        });
        TrialSource {
            source: source.name.clone(),
            exports: used,
        }
    });
    sources.collect()
}

struct Run<'a> {
    options: &'a TrialOptions,
    record: Record,
    spotler: StandIn,
    tally: Tally,
    adopted: u64,
    /// Whether anything was planned.
    is_begun: bool,
    applies: u64,
    /// The first that made that nothing could be planned.
    problems: Option<Box<Problems>>,
}

impl Run<'_> {
    fn engine(&self, config: &'static Config, now: Timestamp) -> Engine {
        let clock = Clock {
            pinned: Some(now),
            real: Arc::new(move || now),
            ..Clock::system()
        };
        let credentials = || Ok(Credentials::new("trial", "trial"));
        let spotler: Arc<dyn Caller> = Arc::new(self.spotler.clone());
        Engine {
            is_trial: true,
            has_recovered: AtomicBool::new(false),
            ..Engine::new(config, clock.clone(), credentials, |_| ())
                .with(self.record.clone().by(clock), spotler)
        }
    }

    /// One apply.
    async fn apply(&mut self, config: &'static Config, now: Timestamp) -> Result<(), Error> {
        self.applies += 1;
        self.spotler.is(now);
        let engine = self.engine(config, now);
        let planned = match engine.plan(engine.scope(Filter::default(), &[])).await {
            Ok(planned) => planned,
            Err(Error::Problems(problems)) => {
                self.tally.fail(now, &problems);
                self.problems.get_or_insert(problems);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        if is_first && self.options.first_day == FirstDay::Adopt {
            let roster = planned.roster.clone();
            drop(planned);
            self.adopt(&engine, roster).await?;
            return Ok(());
        }
        self.carry_out(&engine, planned).await
    }

    async fn adopt(
        &mut self,
        engine: &Engine,
        roster: Arc<crate::roster::Roster<'static>>,
    ) -> Result<(), Error> {
        let scope = engine.scope(Filter::default(), &[]);
        let planned = engine.plan_of(roster.clone(), scope.clone(), false).await?;
        let adoption = Engine::adoption_of(planned)?;
        for key in adoption.keys() {
            let key = key?;
            let automations = engine.config.automations.iter();
            let mut automations =
                automations.filter(|automation| automation.name == key.automation);
            if let Some(automation) = automations.next() {
                self.spotler.start(&automation.trigger_code, &key.contact);
            }
        }
        let writing = engine
            .write("adopt", Duration::ZERO, Purpose::Act, true)
            .await?;
        let adopted = engine.adopt(&adoption, &writing).await;
        writing.end().await?;
        self.adopted = adopted? as u64;
        // What else an apply does on that day.
        let planned = engine.plan_of(roster, scope, true).await?;
        self.carry_out(engine, planned).await
    }

    async fn carry_out(&mut self, engine: &Engine, planned: Planned) -> Result<(), Error> {
        let guard = &planned.guard;
        let is_allowed = guard.refuses() && !self.options.is_unattended;
        if guard.refuses() {
            self.tally.refuse(engine.now(), guard, is_allowed);
        }
        let part = match guard.refuses() && !is_allowed {
            false => Part::Whole,
            true if guard.refuses_stops_of_suppressed() => return Ok(()),
            true => Part::StopsOfSuppressed,
        };
        if planned.changes_nothing(is_allowed) {
            self.tally.done(&planned, part, None);
            return Ok(());
        }
        let options = ApplyOptions {
            may_begin: true,
            allow_large: is_allowed,
            ..ApplyOptions::default()
        };
        let mut applying = engine.begin(planned.clone(), None, options).await?;
        applying.is_alone();
        let run = applying.run(part, CancellationToken::new(), |_| ()).await?;
        self.tally.done(&planned, part, Some(&run));
        Ok(())
    }
}
