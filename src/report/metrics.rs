//! What a monitoring system wants to know of an apply: the Prometheus text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::rows::PlanView;
use crate::apply::Run;

/// What is reported about an apply, whatever came of it.
#[derive(Debug, Clone)]
pub struct RunMetrics {
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// How it ended.
    pub exit_code: u8,
    /// When the last one ended with exit code 0, in seconds since 1970.
    pub last_success: Option<f64>,
    /// What is known of plan and record, where it came so far.
    pub plan: Option<PlanMetrics>,
}

/// What is reported about plan and record. Automations and sources go by their names.
#[derive(Debug, Clone, Default)]
pub struct PlanMetrics {
    /// How many actions, by automation, action and outcome.
    pub actions: BTreeMap<(String, &'static str, &'static str), u64>,
    /// How many participations are on record, by automation and state; `None` where the record could not be read.
    pub participations: Option<BTreeMap<(String, &'static str), u64>>,
    /// How many are held, by automation.
    pub held: BTreeMap<String, u64>,
    /// How many triggers are deferred, by automation.
    pub deferred: BTreeMap<String, u64>,
    /// How many rows a source has, and how long ago its file was written.
    pub sources: BTreeMap<String, (u64, Option<Duration>)>,
}

impl PlanMetrics {
    /// Of a plan, and of what came of it where it was applied.
    pub fn of(view: PlanView<'_>, run: Option<&Run>) -> Self {
        let mut metrics = Self::default();
        // What is none is told too, so that an alert can tell it from what is not known.
        for automation in &view.config.automations {
            metrics.held.insert(automation.name.to_string(), 0);
            metrics.deferred.insert(automation.name.to_string(), 0);
        }
        for held in &view.plan.held {
            let name = held.key.automation.to_string();
            *metrics.held.entry(name).or_default() += 1;
        }
        for name in view.deferred_automations() {
            *metrics.deferred.entry(name.to_owned()).or_default() += 1;
        }
        for (place, action) in view.plan.actions.iter().enumerate() {
            let Some(run) = run else { break };
            let name = view.automation(action).to_owned();
            let key = (name, action.kind(), run.outcome(place).as_str());
            *metrics.actions.entry(key).or_default() += 1;
        }
        for read in view.roster.sources() {
            let age = read.written.map(|at| view.now.duration_since(at));
            let age = age.map(|age| Duration::try_from(age).unwrap_or_default());
            let name = read.source.name.clone();
            metrics.sources.insert(name, (read.rows, age));
        }
        metrics
    }
}

const LAST_SUCCESS: &str = "rollcall_last_success_timestamp_seconds";

impl RunMetrics {
    /// The text of the file.
    pub fn text(&self) -> String {
        let mut page = Page(String::new());
        let seconds = |at: Timestamp| at.as_millisecond() as f64 / 1000.0;
        page.one(
            "rollcall_last_run_timestamp_seconds",
            "When the last apply ended.",
            seconds(self.ended_at),
        );
        if let Some(at) = self.last_success {
            let help = "When the last successful apply ended (exit code 0).";
            page.one(LAST_SUCCESS, help, at);
        }
        page.one(
            "rollcall_last_run_duration_seconds",
            "How long the last apply took.",
            self.duration.as_secs_f64(),
        );
        page.one(
            "rollcall_last_run_exit_code",
            "The exit code of the last apply: 0 fine, 1 error, 3 some actions failed or are uncertain, 4 refused by the guard.",
            f64::from(self.exit_code),
        );
        let Some(plan) = &self.plan else {
            return page.0;
        };
        page.many(
            "rollcall_last_run_actions",
            "Actions of the last apply by outcome.",
            plan.actions
                .iter()
                .map(|((automation, action, outcome), count)| {
                    let labels = [
                        ("automation", automation.as_str()),
                        ("action", action),
                        ("outcome", outcome),
                    ];
                    (labels, *count as f64)
                }),
        );
        page.many(
            "rollcall_participations",
            "Participations on record by state.",
            plan.participations
                .iter()
                .flatten()
                .map(|((automation, state), count)| {
                    let labels = [("automation", automation.as_str()), ("state", state)];
                    (labels, *count as f64)
                }),
        );
        for (name, help, counts) in [
            (
                "rollcall_held",
                "Enrolments that the last plan held, by reason.",
                &plan.held,
            ),
            (
                "rollcall_deferred",
                "Triggers that the last plan left to a later apply.",
                &plan.deferred,
            ),
        ] {
            let counts = counts.iter();
            let samples =
                counts.map(|(name, count)| ([("automation", name.as_str())], *count as f64));
            page.many(name, help, samples);
        }
        page.many(
            "rollcall_source_rows",
            "Rows of a source when it was last read.",
            plan.sources
                .iter()
                .map(|(name, (rows, _))| ([("source", name.as_str())], *rows as f64)),
        );
        page.many(
            "rollcall_source_age_seconds",
            "How old a source's file was when it was last read.",
            plan.sources.iter().filter_map(|(name, (_, age))| {
                Some(([("source", name.as_str())], (*age)?.as_secs_f64()))
            }),
        );
        page.0
    }
}

/// The text as it grows.
struct Page(String);

impl Page {
    fn one(&mut self, name: &str, help: &str, value: f64) {
        self.many::<0>(name, help, [([], value)]);
    }

    fn many<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'a str, &'a str); N], f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let text = &mut self.0;
        // Writing to a string does not fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
        for (labels, value) in samples {
            text.push_str(name);
            for (place, (label, of)) in labels.into_iter().enumerate() {
                let before = if place == 0 { '{' } else { ',' };
                let _ = write!(text, "{before}{label}=\"{}\"", escaped(of));
            }
            if N > 0 {
                text.push('}');
            }
            let _ = writeln!(text, " {value}");
        }
    }
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

/// When the last success was, by a file that was written before.
pub fn last_success(path: &Path) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(LAST_SUCCESS))?;
    let value: f64 = line.strip_prefix(LAST_SUCCESS)?.trim().parse().ok()?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_label_may_not_hold_is_escaped() {
        assert_eq!(escaped("a\\b\"c\nd é"), "a\\\\b\\\"c\\nd é");
    }

    #[test]
    fn the_last_success_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollcall.prom");
        assert_eq!(last_success(&path), None);
        let metrics = RunMetrics {
            ended_at: Timestamp::from_millisecond(1_763_900_000_123).unwrap(),
            duration: Duration::from_millis(1500),
            exit_code: 3,
            last_success: Some(1_763_800_000.5),
            plan: None,
        };
        fs::write(&path, metrics.text()).unwrap();
        assert_eq!(last_success(&path), Some(1_763_800_000.5));
    }
}
