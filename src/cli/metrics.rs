//! `apply --metrics FILE`: gathers what is told of a run, whatever came of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use tokio::time::Instant;

use super::output::Output;
use super::prepare::Prepared;
use super::which;
use super::{CommandError, Exit};
use crate::apply::Run;
use crate::config::Config;
use crate::participation::State;
use crate::plan::Action;
use crate::record::Record;
use crate::report::{self, FileKind, PlanMetrics, RunMetrics};

/// What is told where the record cannot be counted.
const LACKING: &str = "The metrics lack the participations";

/// What was seen of a run when it ended.
#[derive(Default)]
pub(super) struct Seen {
    /// The configuration, where it could be read.
    pub config: Option<&'static Config>,
    /// The plan, where there was one.
    pub prepared: Option<Prepared>,
    /// What came of it, where it was applied.
    pub run: Option<Run>,
    /// Whether calls of an earlier run were found that are in doubt now.
    pub left_open: bool,
}

/// Checks that the file can be written, before anything is done.
pub(super) fn check(path: &Path) -> Result<(), CommandError> {
    let checked = report::check_writable(path, FileKind::Metrics);
    checked.with_context(|| {
        format!(
            "The metrics cannot be written to {}. Nothing was sent and nothing was written",
            path.display()
        )
    })?;
    Ok(())
}

/// Writes the file. Says how the command ends: where the file lacks something, that is not fine.
pub(super) async fn write(
    path: &Path,
    exit: Exit,
    started: Instant,
    seen: &Seen,
    output: &Output,
) -> Exit {
    let lacking = match exit {
        Exit::Fine => Exit::Incomplete,
        exit => exit,
    };
    let (plan, exit) = match &seen.prepared {
        Some(prepared) => {
            let mut metrics = of_plan(prepared, seen.run.as_ref());
            let result = participations(prepared.config, prepared.record.is_missing()).await;
            let exit = match result {
                Ok(counts) => {
                    metrics.participations = Some(counts);
                    exit
                }
                Err(error) => {
                    output.error(&error.context(LACKING).into());
                    lacking
                }
            };
            (Some(metrics), exit)
        }
        // What is on record is told without a plan too; why it cannot be is told already.
        None => match seen.config {
            Some(config) => {
                let counts = participations(config, false).await.ok();
                let metrics = PlanMetrics {
                    participations: counts,
                    ..PlanMetrics::default()
                };
                (Some(metrics), exit)
            }
            None => (None, exit),
        },
    };
    let ended_at = Timestamp::now();
    let last_success = match exit {
        Exit::Fine => Some(ended_at.as_millisecond() as f64 / 1000.0),
        _ => report::last_success(path),
    };
    let metrics = RunMetrics {
        ended_at,
        duration: started.elapsed(),
        exit_code: exit as u8,
        last_success,
        plan,
    };
    let written = report::write_whole(path, FileKind::Metrics, |out| {
        out.write_all(metrics.text().as_bytes())
    });
    let written = written.with_context(|| {
        format!(
            "The metrics could not be written to {}; what was done is on record",
            path.display()
        )
    });
    match written {
        Ok(()) => exit,
        Err(error) => {
            output.error(&error.into());
            lacking
        }
    }
}

/// How many participations there are, by automation and state.
async fn participations(
    config: &'static Config,
    was_missing: bool,
) -> anyhow::Result<BTreeMap<(String, &'static str), u64>> {
    let record = Record::at(&config.record.path);
    let is_gone = which::check(config, &record).await?.is_missing();
    // One that was there and is not any more does not say that there are none.
    if is_gone && !was_missing {
        bail!("There is no record at {} any more", config.record_shown());
    }
    let mut counts = BTreeMap::new();
    for automation in &config.automations {
        for state in [State::Active, State::Uncertain] {
            counts.insert((automation.name.to_string(), state.as_str()), 0);
        }
    }
    for ((name, state), count) in record.states().await? {
        counts.insert((name.to_string(), state.as_str()), count);
    }
    Ok(counts)
}

fn of_plan(prepared: &Prepared, run: Option<&Run>) -> PlanMetrics {
    let view = prepared.view();
    let mut metrics = PlanMetrics::default();
    let names = || {
        prepared
            .config
            .automations
            .iter()
            .map(|a| a.name.to_string())
    };
    // What is none is told too, so that an alert can tell it from what is not known.
    for name in names() {
        metrics.held.insert(name.clone(), 0);
        metrics.deferred.insert(name, 0);
    }
    for held in &prepared.plan.held {
        *metrics
            .held
            .entry(held.key.automation.to_string())
            .or_default() += 1;
    }
    for name in view.deferred_automations() {
        *metrics.deferred.entry(name.to_owned()).or_default() += 1;
    }
    if let Some(run) = run {
        for (place, action) in prepared.plan.actions.iter().enumerate() {
            let kind = match action {
                Action::Stop(_) => "stop",
                Action::Trigger(_) => "trigger",
            };
            let key = (
                view.automation(action).to_owned(),
                kind,
                run.outcome(place).as_str(),
            );
            *metrics.actions.entry(key).or_default() += 1;
        }
    }
    for read in &prepared.sources {
        let age = read.written.map(|at| prepared.now.duration_since(at));
        let age = age.map(|age| Duration::try_from(age).unwrap_or_default());
        let of = (read.rows, age);
        metrics.sources.insert(read.source.name.clone(), of);
    }
    metrics
}
