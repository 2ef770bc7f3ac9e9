//! Applying a plan under the lock of the record.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::line::Line;
use super::sources::{self, Noting};
use super::{Engine, Error, Planned, Saved};
use crate::apply::{self, Closing, Event, Job, Limits, Part, Run};
use crate::config::{self, Config};
use crate::failpoint::{Planted, is_planted};
use crate::record::{Purpose, Writing};
use crate::threads;

/// How a plan is applied.
#[derive(Debug, Clone, Default)]
pub struct ApplyOptions {
    /// Begins a record where there is none.
    pub may_begin: bool,
    /// Also what is beyond the guard; its count of a day begins anew.
    pub allow_large: bool,
    /// How long to wait for another run on the same record.
    pub lock_timeout: Duration,
    /// How long to try calls again that were not carried out.
    pub retry_for: Duration,
}

/// A plan that is about to be applied, under the lock of the record. It is to be ended, whatever comes of it.
pub struct Applying<'e> {
    engine: &'e Engine,
    planned: Planned,
    saved: Option<&'e Saved>,
    options: ApplyOptions,
    writing: Writing,
    line: Line,
    is_planned_again: bool,
}

impl Engine {
    /// Takes the lock of the record to apply a plan: a saved one, where it is of one. Nothing is written, not even the lock,
    /// before it is certain that there are credentials.
    ///
    /// # Errors
    /// What is missing, or who holds the lock.
    pub async fn begin<'e>(
        &'e self,
        planned: Planned,
        saved: Option<&'e Saved>,
        options: ApplyOptions,
    ) -> Result<Applying<'e>, Error> {
        self.credentials()?;
        self.refuse_lost(&planned.record, "Nothing was done.")?;
        let (timeout, may_begin) = (options.lock_timeout, options.may_begin);
        let writing = self.write("apply", timeout, Purpose::Act, may_begin);
        let writing = writing.await?;
        // The built-in sandbox's memory is beside the record, and under its lock.
        let line = match self.line(writing.calls_before()).await {
            Ok(line) => line,
            Err(error) => {
                writing.end().await?;
                return Err(error);
            }
        };
        Ok(Applying {
            engine: self,
            writing,
            line,
            is_planned_again: false,
            planned,
            saved,
            options,
        })
    }
}

impl Applying<'_> {
    /// The plan, as it was made last.
    pub fn planned(&self) -> &Planned {
        &self.planned
    }

    /// Takes the plan for what it is under the lock, too: nobody else knows of the record.
    pub(super) fn is_alone(&mut self) {
        self.is_planned_again = true;
    }

    /// Makes the plan anew under the lock. Returns whether it is another plan than the one that was shown.
    ///
    /// Where another run worked on the record meanwhile, it may have read newer sources than this one; to apply the older
    /// ones would undo what it did, so they are read again.
    ///
    /// # Errors
    /// What is no longer as it was and cannot be planned again: a saved plan, or the configuration.
    pub async fn plan_again(&mut self) -> Result<bool, Error> {
        let engine = self.engine;
        if is_planted(Planted::OldPlan) {
            self.is_planned_again = true;
            return Ok(false);
        }
        if let Some(saved) = self.saved {
            saved.check(engine).await?;
        }
        let shown = &self.planned;
        let (roster, scope) = (shown.roster.clone(), shown.scope.clone());
        let mut again = engine.plan_of(roster, scope, true).await?;
        if again.record_serial != shown.record_serial {
            if let Some(saved) = self.saved {
                return Err(saved.outrun(again.record_serial));
            }
            if config::load(&engine.config.file)?.digest != engine.config.digest {
                return Err(Error::OtherConfiguration);
            }
            let scope = engine.scope(shown.scope.filter.clone(), &shown.scope.allow_shrink);
            again = engine.plan(scope).await?;
        }
        let is_same = again.is_same(shown);
        self.planned = again;
        self.is_planned_again = true;
        Ok(!is_same)
    }

    /// Writes what an apply begins with, before anything is sent. Of the stops of suppressed contacts alone it is the moves, and
    /// the merges of these contacts: they are planned under the names and ids that participations have after these.
    ///
    /// # Errors
    /// That the guard refuses it, that it is another plan than the one that was shown, or that it cannot be written. Nothing is
    /// to be sent then.
    pub async fn start(&mut self, part: Part) -> Result<(), Error> {
        if !self.is_planned_again && self.plan_again().await? {
            return Err(Error::OtherPlan);
        }
        let guard = &self.planned.guard;
        let is_refused = match part {
            Part::Whole => guard.refuses() && !self.options.allow_large,
            Part::StopsOfSuppressed => guard.refuses_stops_of_suppressed(),
        };
        if is_refused {
            return Err(Error::Refused(Box::new(guard.clone())));
        }
        let (planned, journal) = (&self.planned, self.writing.journal());
        if let Some(saved) = self.saved {
            saved.check_same(planned)?;
        }
        let mut start = planned.start.clone();
        if part == Part::StopsOfSuppressed {
            start.merges = planned.plan.merges_of_suppressed();
            if start.moves.is_empty() && start.merges.is_empty() {
                return Ok(());
            }
            start.applied = Vec::new();
            return Ok(journal.begin(start).await?);
        }
        if let Some(saved) = self.saved {
            let serial = planned.record_serial;
            let found = journal.claim(saved.plan.id.clone(), serial).await?;
            if found != serial {
                return Err(saved.outrun(found));
            }
        }
        if !start.is_empty() {
            journal.begin(start).await?;
        }
        // What is done of a part says nothing of the rows that the others come from.
        if planned.scope.filter.is_everything() {
            let noting = Noting::of_apply(self.options.allow_large);
            let notes = sources::notes(&planned.roster, &planned.applied_sources, noting);
            journal.sources(notes).await?;
        }
        Ok(())
    }

    /// Carries it out, until `interrupt` is cancelled; `tell` gets what happens.
    ///
    /// # Errors
    /// That the record cannot be written. Calls may have been made all the same.
    pub async fn send(
        &self,
        part: Part,
        interrupt: CancellationToken,
        tell: impl FnMut(&Event),
    ) -> Result<Run, Error> {
        let (planned, config) = (&self.planned, self.engine.config);
        let now = self.engine.now();
        let closing = closing(config, now);
        let job = Job {
            plan: planned.plan.clone(),
            part,
            roster: planned.roster.clone(),
            config,
            caller: self.line.caller.clone(),
            journal: self.writing.journal(),
            limits: Limits {
                concurrency: config.spotler.concurrency,
                rate: config.spotler.rate,
                retry_for: self.options.retry_for,
            },
            closing,
            interrupt,
        };
        let run = carry_out(job, tell).await?;
        if part == Part::Whole && self.options.allow_large {
            self.writing.journal().count_anew().await?;
        }
        Ok(run)
    }

    /// Starts, sends and ends it.
    ///
    /// # Errors
    /// Those of each.
    pub async fn run(
        mut self,
        part: Part,
        interrupt: CancellationToken,
        tell: impl FnMut(&Event),
    ) -> Result<Run, Error> {
        let run = match self.start(part).await {
            Ok(()) => self.send(part, interrupt, tell).await,
            Err(error) => Err(error),
        };
        self.end().await?;
        run
    }

    /// Waits until all is written, and gives the lock back.
    ///
    /// # Errors
    /// That what was done is not on record.
    pub async fn end(self) -> Result<(), Error> {
        self.line.close().await;
        Ok(self.writing.end().await?)
    }
}

/// Carries out a job, and tells what happens.
pub(super) async fn carry_out(job: Job, mut tell: impl FnMut(&Event)) -> Result<Run, Error> {
    let run = async {
        let (sender, mut events) = mpsc::channel(1024);
        let running = tokio::spawn(apply::run(job, sender));
        let mut batch = Vec::new();
        while events.recv_many(&mut batch, 64).await > 0 {
            batch.drain(..).for_each(|event| tell(&event));
        }
        running.await
    };
    let run = match threads::is_alone() {
        true => run.await,
        false => on_one_thread(run)?,
    };
    Ok(run.map_err(Error::Broken)??)
}

/// When no more triggers or stops are to be sent, of what may be sent now.
fn closing(config: &Config, now: Timestamp) -> Closing {
    let began = Instant::now();
    let at = |time: Timestamp| {
        let later = Duration::try_from(time.duration_since(now)).unwrap_or_default();
        // What is further off than a clock counts is not seen by this run.
        began.checked_add(later)
    };
    let window = config
        .window
        .as_ref()
        .map(|window| window.closes_at(now).unwrap_or(now));
    let mut closing = Closing {
        window: window.and_then(at),
        ..Closing::default()
    };
    if !config.freezes.is_empty() {
        let all = (0..config.automations.len()).map(Some);
        let begins = |stops| move |of| config.freezes_from(of, stops, now).and_then(at);
        closing.triggers = all.clone().map(begins(false)).collect();
        closing.stops = all.chain([None]).map(begins(true)).collect();
    }
    closing
}

/// Runs what is to be done on this thread alone, and all that it spawns.
///
/// Calls are short and wait for each other's answers: between threads that wake each other, each costs half as much again,
/// here and on the other side.
fn on_one_thread<T>(future: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::NoRuntime)?;
    Ok(tokio::task::block_in_place(move || {
        runtime.block_on(future)
    }))
}
