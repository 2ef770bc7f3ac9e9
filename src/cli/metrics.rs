//! `apply --metrics FILE`: gathers what is reported about a run, whatever came of it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use tokio::time::Instant;

use super::output::Output;
use super::{CommandError, Exit, Session};
use crate::apply::Run;
use crate::engine::{Engine, Planned};
use crate::participation::State;
use crate::report::{self, FileKind, PlanMetrics, RunMetrics};

/// What is reported where the record cannot be counted.
const LACKING: &str = "The metrics lack the participations";

/// What was seen of a run when it ended.
#[derive(Default)]
pub(super) struct Seen {
    /// The plan, where there was one.
    pub planned: Option<Planned>,
    /// What came of it, where it was applied.
    pub run: Option<Run>,
}

/// Checks that the file can be written, before anything is done, and returns it.
pub(super) fn check(path: &Path) -> Result<&Path, CommandError> {
    let checked = report::check_writable(path, FileKind::Metrics);
    checked.with_context(|| {
        format!(
            "The metrics cannot be written to {}. Nothing was sent and nothing was written",
            path.display()
        )
    })?;
    Ok(path)
}

/// Writes the file. Says how the command ends: where the file lacks something, that is not fine.
pub(super) async fn write(
    path: &Path,
    exit: Exit,
    started: Instant,
    session: Option<&Session>,
    seen: &Seen,
    output: &Output,
) -> Exit {
    let lacking = match exit {
        Exit::Fine => Exit::Incomplete,
        exit => exit,
    };
    let mut plan = None;
    let mut exit = exit;
    if let Some(Session { engine, .. }) = session {
        let was_missing = seen
            .planned
            .as_ref()
            .is_some_and(|planned| planned.record.is_missing());
        let planned = seen.planned.as_ref();
        let of_plan = planned.map(|planned| PlanMetrics::of(planned.view(), seen.run.as_ref()));
        // What is on record is reported without a plan too; why it cannot be is reported already.
        let is_planned = of_plan.is_some();
        let metrics = plan.insert(of_plan.unwrap_or_default());
        match participations(engine, was_missing).await {
            Ok(counts) => metrics.participations = Some(counts),
            Err(error) if is_planned => {
                output.error(&error.context(LACKING).into());
                exit = lacking;
            }
            Err(_) => {}
        }
    }
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
    engine: &Engine,
    was_missing: bool,
) -> anyhow::Result<BTreeMap<(String, &'static str), u64>> {
    let config = engine.config();
    // One that was there and is not any more does not say that there are none.
    if engine.check().await?.is_missing() && !was_missing {
        bail!("There is no record at {} any more", config.record_shown());
    }
    let mut counts = BTreeMap::new();
    for automation in &config.automations {
        for state in [State::Active, State::Uncertain] {
            counts.insert((automation.name.to_string(), state.as_str()), 0);
        }
    }
    for ((name, state), count) in engine.record().states().await? {
        counts.insert((name.to_string(), state.as_str()), count);
    }
    Ok(counts)
}
