//! `rollcall apply`: triggers what is new and stops what is gone, after showing it and asking.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

use super::args::{ApplyArgs, Format, LogFormat};
use super::metrics::{self, Seen};
use super::next::{self, After};
use super::notify::{self, Ended};
use super::output::Output;
use super::reported::Reported;
use super::signals::Signals;
use super::{CommandError, Common, Exit, Session};
use crate::apply::{Event, Outcome, Part, Run};
use crate::config::Base;
use crate::engine::{self, ApplyOptions, Applying, Beginning, Planned, Saved};
use crate::id::AutomationName;
use crate::plan::Filter;
use crate::record::LockError;
use crate::report::{
    ATTENTION, Look, Progress, SafeText, Shown, plan_text, plural, refused_summary, run_json,
    run_summary,
};

pub(super) async fn run(
    args: &ApplyArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let started = Instant::now();
    let report = args.report.as_deref().map(Reported::check).transpose();
    let metrics = args.metrics.as_deref().map(metrics::check).transpose();
    let output = Output::new(common);
    // Where one of the two cannot be written, the other one and the webhook report it all the same.
    let (report, metrics, session) = match (report, metrics) {
        (Ok(report), Ok(metrics)) => (report, metrics, Session::begin(common)),
        (Ok(report), Err(error)) => (report, None, Err(error)),
        (Err(error), metrics) => (None, metrics.ok().flatten(), Err(error)),
    };
    let mut seen = Seen::default();
    let (exit, error) = match &session {
        Ok(session) => {
            let apply = Apply {
                args,
                common,
                session,
                signals,
            };
            let done = signals.guard(apply.run(&mut seen)).await;
            match (done, session.engine.has_recovered()) {
                (Ok(Exit::Fine), true) => (Exit::Incomplete, None),
                (Ok(exit), _) => (exit, None),
                // A doubt that was found is reported by the exit code once, whatever comes after it: the next run has nothing to
                // find.
                (Err(error), true) => (Exit::Incomplete, Some(error.after_recovery())),
                (Err(error), false) => (Exit::Error, Some(error)),
            }
        }
        Err(_) => (Exit::Error, None),
    };
    let error = error.as_ref().or(session.as_ref().err());
    if let Some(error) = error {
        output.error(error);
    }
    let exit = match metrics {
        Some(path) => {
            metrics::write(path, exit, started, session.as_ref().ok(), &seen, &output).await
        }
        None => exit,
    };
    let exit = match &report {
        Some(report) => report.write(exit, &seen, &output),
        None => exit,
    };
    let ended = Ended {
        exit,
        error,
        seen: &seen,
        has_recovered: (session.as_ref()).is_ok_and(|session| session.engine.has_recovered()),
    };
    notify::tell(session.as_ref().ok(), common, &ended, &output).await;
    log_end(exit, started, seen.run.as_ref());
    if args.format == Format::Text {
        output.next(common, after(&ended));
    }
    Ok(exit)
}

/// What decides what one would type next.
fn after<'a>(ended: &'a Ended<'_>) -> After<'a> {
    let run = ended.seen.run.as_ref();
    match ended.error {
        Some(error) => After::Error(error),
        None => After::Applied {
            run,
            exit: ended.exit,
            in_doubt: ended.has_recovered || run.is_some_and(next::run_in_doubt),
        },
    }
}

/// Logs how the run ended.
fn log_end(exit: Exit, started: Instant, run: Option<&Run>) {
    let outcomes = run
        .into_iter()
        .flat_map(|run| (0..run.settled.len()).map(|place| run.outcome(place)));
    let mut counts = std::collections::BTreeMap::<Outcome, u64>::new();
    outcomes.for_each(|outcome| *counts.entry(outcome).or_default() += 1);
    let count = |outcome| counts.get(&outcome).copied().unwrap_or(0);
    tracing::info!(
        event = "finished",
        exit_code = exit as u8,
        seconds = started.elapsed().as_secs_f64(),
        active = count(Outcome::Active),
        stopped = count(Outcome::Stopped),
        refused = count(Outcome::Refused),
        failed = count(Outcome::Failed),
        failed_for_good = count(Outcome::FailedForGood),
        uncertain = count(Outcome::Uncertain),
        stop_failed = count(Outcome::StopFailed),
        stop_uncertain = count(Outcome::StopUncertain),
        deferred = count(Outcome::Deferred),
        not_sent = count(Outcome::NotSent),
        "the apply has ended"
    );
}

/// What comes after a plan was shown: so much of it is applied, or the command ends.
type Next = ControlFlow<Exit, Part>;

/// One apply.
struct Apply<'a> {
    args: &'a ApplyArgs,
    common: &'a Common,
    session: &'a Session,
    signals: &'a Signals,
}

impl Apply<'_> {
    async fn run(&self, seen: &mut Seen) -> Result<Exit, CommandError> {
        let (args, Session { engine, output }) = (self.args, self.session);
        let saved = args.file.as_deref().map(Saved::read).transpose()?;
        self.recover().await?;
        let planned = match &saved {
            Some(saved) => engine.plan_again(saved, &args.allow_shrink).await?,
            None => {
                let names = args.automation.iter().map(AutomationName::as_str);
                engine.check_names("automation", names)?;
                let filter = Filter {
                    automation: args.automation.clone(),
                    contact: None,
                };
                let scope = engine.scope(filter, &args.allow_shrink);
                engine.plan(scope).await?
            }
        };
        output.warnings(planned.roster.warnings(), &engine.config().files);
        if let Some(saved) = &saved {
            let age = age(saved.age_in_minutes(engine.now()));
            output.notice(|out| writeln!(out, "This plan was saved {age} ago.\n"));
        }
        seen.planned = Some(planned.clone());
        let would = format!(
            "It would have made {} and {}.",
            plural(planned.plan.triggers(), "trigger"),
            plural(planned.plan.stops(), "stop")
        );
        let asked = ("apply", args.new_record, args.yes);
        let beginning = self.session.check_beginning(&planned.record, asked, &would);
        let beginning = beginning.await?;
        let part = match self.show_and_ask(&planned, beginning).await? {
            Next::Break(exit) => return Ok(exit),
            Next::Continue(part) => part,
        };
        let options = ApplyOptions {
            may_begin: beginning != Beginning::IsThere,
            allow_large: args.allow_large,
            lock_timeout: args.lock_timeout,
            retry_for: args.retry_for,
        };
        let mut applying = engine.begin(planned, saved.as_ref(), options).await?;
        let done = self.signals.guard(self.locked(&mut applying, part, seen));
        // Where it is given up, the lock is given back all the same.
        let done = done.await;
        match (applying.end().await, done) {
            (Ok(()), done) => done,
            // What it did is not on record, whatever else it says.
            (Err(error), done) => {
                output.error(&error.into());
                done.map_or_else(|error| output.error(&error), drop);
                Ok(Exit::Incomplete)
            }
        }
    }

    /// Settles what an earlier run left open.
    async fn recover(&self) -> Result<(), CommandError> {
        let (engine, timeout) = (&self.session.engine, self.args.lock_timeout);
        let is_held = |error: &LockError| matches!(error, LockError::Held(_));
        match self.signals.whole(engine.recover(Duration::ZERO)).await {
            // While another one works, this one may be given up.
            Err(engine::Error::Lock(error)) if is_held(&error) && !timeout.is_zero() => {
                Ok(engine.recover(timeout).await?)
            }
            recovered => Ok(recovered?),
        }
    }

    /// What is left to do once the record is locked.
    async fn locked(
        &self,
        applying: &mut Applying<'_>,
        mut part: Part,
        seen: &mut Seen,
    ) -> Result<Exit, CommandError> {
        let (args, output) = (self.args, &self.session.output);
        let is_other = applying.plan_again().await?;
        let planned = applying.planned().clone();
        seen.planned = Some(planned.clone());
        if is_other {
            output.notice(|out| {
                writeln!(out, "The record has changed since; this is the plan now.\n")
            });
            match self.show_and_ask(&planned, Beginning::IsThere).await? {
                Next::Break(exit) => return Ok(exit),
                Next::Continue(now) => part = now,
            }
        }
        self.signals.begin()?;
        applying.start(part).await?;
        // From here on calls may be made, so that an error no longer means that nothing was done.
        let run = match self.send(applying, part).await {
            Ok(run) => run,
            Err(error) => {
                output.error(&error.into());
                return Ok(Exit::Incomplete);
            }
        };
        let view = planned.view();
        let shown = match (args.format, part) {
            _ if planned.plan.is_empty() => Ok(()),
            (Format::Json, _) => output.document(|mut out| run_json(&mut out, view, &run)),
            (Format::Text, Part::Whole) => {
                output.lines(|mut out| run_summary(&mut out, view, &run))
            }
            (Format::Text, Part::StopsOfSuppressed) => Ok(()),
        };
        if let Err(error) = &shown {
            output.error(error);
        }
        let exit = match part {
            Part::StopsOfSuppressed => {
                self.report_refusal(&planned, |out| refused_summary(out, view, &run));
                Exit::Refused
            }
            Part::Whole => {
                self.report_withheld(&planned);
                let is_good = run.is_good() && shown.is_ok();
                if is_good {
                    Exit::Fine
                } else {
                    Exit::Incomplete
                }
            }
        };
        seen.run = Some(run);
        Ok(exit)
    }

    /// Shows the plan, and says what comes next.
    async fn show_and_ask(
        &self,
        planned: &Planned,
        beginning: Beginning,
    ) -> Result<Next, CommandError> {
        let (args, output, plan) = (self.args, &self.session.output, &planned.plan);
        tracing::info!(
            event = "plan",
            trigger = plan.triggers(),
            stop = plan.stops(),
            let_go = plan.let_go.len(),
            deferred = plan.deferred.len(),
            held = plan.held.len(),
            withheld = plan.withheld.len(),
            unchanged = plan.unchanged,
            refused = planned.guard.refuses(),
            "the plan is made"
        );
        self.session.warn_first(planned, args.new_record);
        let view = planned.view();
        match args.format {
            Format::Json if plan.is_empty() => {
                output.document(|mut out| run_json(&mut out, view, &Run::default()))?;
            }
            // A log of events has told of it.
            Format::Json if output.is_log() => {}
            Format::Json => output.notice(|mut out| plan_text(&mut out, view, Shown::FirstOfApply)),
            // Cron mails whatever is printed, so where nothing is to be done nothing is said.
            Format::Text if self.common.quiet && plan.is_empty() && !planned.guard.refuses() => {}
            Format::Text => {
                output.lines(|mut out| plan_text(&mut out, view, Shown::FirstOfApply))?
            }
        }
        // What is deferred counts, so that an accident is seen before its time has come.
        if planned.guard.refuses() && !args.allow_large {
            return self.refuse(planned).await;
        }
        // A record that is to be begun is begun for nobody too, so that the next run finds it.
        let is_begun = planned.record.is_missing() && args.new_record;
        if planned.changes_nothing(args.allow_large) && !is_begun {
            return Ok(Next::Break(Exit::Fine));
        }
        self.session.ask_first_day(beginning).await?;
        // What is only noted needs no question.
        if !plan.is_empty() {
            self.show_what_is_asked(planned);
            output.ask("Apply this?", args.yes).await?;
        }
        Ok(Next::Continue(Part::Whole))
    }

    /// Shows where it goes before it is asked for: to whom, by which record, and how much.
    fn show_what_is_asked(&self, planned: &Planned) {
        if self.args.yes || !Output::can_ask() {
            return;
        }
        let (config, plan) = (self.session.engine.config(), &planned.plan);
        let host = match (&config.spotler.base, config.spotler.base.host()) {
            (Base::Sandbox, _) => "the built-in sandbox".to_owned(),
            (Base::Url(url), None) => format!("{}, a sandbox on this machine", url.as_str()),
            (Base::Url(_), Some(host)) => {
                let loud = ATTENTION.bold();
                format!(
                    "{host}\n{loud}LIVE: BEHIND EVERY TRIGGER IS AN E-MAIL TO A REAL PERSON.{loud:#}"
                )
            }
        };
        let record = match planned.record.id() {
            Some(id) => format!("{} ({id})", config.record_shown()),
            None => format!("{}, to be begun", config.record_shown()),
        };
        let mut counts = vec![
            plural(plan.triggers(), "trigger"),
            plural(plan.stops(), "stop"),
        ];
        if !plan.let_go.is_empty() {
            counts.push(format!("{} let go", plan.let_go.len()));
        }
        self.session.output.prompt(|out| {
            writeln!(out, "\nThis goes to {host}")?;
            writeln!(out, "Record: {}", SafeText(&record))?;
            writeln!(out, "It sends {}.", counts.join(" and "))
        });
    }

    /// What is done of a plan that the guard refuses: the stops of suppressed contacts, where it does not refuse these too and
    /// somebody says yes.
    async fn refuse(&self, planned: &Planned) -> Result<Next, CommandError> {
        let (args, output) = (self.args, &self.session.output);
        let stops = match planned.guard.refuses_stops_of_suppressed() {
            true => 0,
            false => planned.plan.stops_of_suppressed(),
        };
        let shown = plural(stops, "stop");
        if stops > 0 && (args.yes || Output::can_ask()) {
            let question = format!("Send the {shown} of suppressed contacts anyway?");
            self.show_what_is_asked(planned);
            if output.ask(&question, args.yes).await.is_ok() {
                return Ok(Next::Continue(Part::StopsOfSuppressed));
            }
        }
        if args.format == Format::Json && !planned.plan.is_empty() {
            output.document(|mut out| run_json(&mut out, planned.view(), &Run::default()))?;
        }
        // What was found of an earlier run is on record already.
        let more = if self.session.engine.has_recovered() {
            " more"
        } else {
            ""
        };
        self.report_refusal(planned, |out| {
            writeln!(out, "nothing was sent and nothing{more} was written:")
        });
        if stops > 0 {
            output.always(|out| {
                writeln!(
                    out,
                    "The {shown} of suppressed contacts would be sent anyway, with --yes."
                )
            });
        }
        Ok(Next::Break(Exit::Refused))
    }

    /// Says that the guard refuses a plan, why, and what was done of it all the same.
    fn report_refusal(
        &self,
        planned: &Planned,
        what_was_done: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) {
        let guard = &planned.guard;
        self.session.output.always(|out| {
            write!(out, "Refused by the guard; ")?;
            what_was_done(out)?;
            for breach in &guard.breaches {
                writeln!(out, "  {}", SafeText(&breach.to_string()))?;
            }
            writeln!(out, "If this is what you want, {}.", guard.way_on())
        });
    }

    /// Says who is on record as withheld by this run.
    fn report_withheld(&self, planned: &Planned) {
        let news = planned
            .plan
            .withheld
            .iter()
            .filter(|of| of.is_news())
            .count();
        let are = match news {
            0 => return,
            1 => "is",
            _ => "are",
        };
        self.session.output.notice(|out| {
            writeln!(
                out,
                "{news} {are} now on record as withheld: declared, but not triggered while their contacts are suppressed."
            )
        });
    }

    /// Sends it, and shows what happens while it happens.
    async fn send(&self, applying: &Applying<'_>, part: Part) -> Result<Run, engine::Error> {
        let look = match self.common.log_format {
            _ if self.common.quiet => Look::Quiet,
            LogFormat::Json => Look::Log,
            LogFormat::Text if io::stderr().is_terminal() => Look::Bar,
            LogFormat::Text => Look::Lines,
        };
        let actions = &applying.planned().plan.actions;
        let mut progress = Progress::new(actions.len() as u64, look);
        let tell = |event: &Event| {
            if let Event::Settled { action, settled } = event {
                let kind = actions[*action].kind();
                tracing::debug!(event = "settled", action = kind, index = action, outcome = %settled.outcome, "an action is settled");
            }
            progress.event(event);
        };
        let run = applying.send(part, self.signals.interrupt(), tell).await;
        progress.finish();
        run
    }
}

/// How long ago a plan was saved, in words.
fn age(minutes: u64) -> String {
    match minutes {
        ..1 => "less than a minute".to_owned(),
        1..120 => plural(minutes, "minute"),
        120..2880 => plural(minutes / 60, "hour"),
        _ => plural(minutes / 1440, "day"),
    }
}
