//! `rollcall apply`: triggers what is new and stops what is gone, after showing it and asking.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::args::{ApplyArgs, Format, LogFormat};
use super::metrics::{self, Seen};
use super::output::Output;
use super::prepare::{self, Line, Noting, Prepared, Wanted};
use super::saved::Saved;
use super::signals::Signals;
use super::which::{self, Beginning};
use super::{CommandError, Common, Exit};
use crate::apply::{self, Event, Job, Limits, Outcome, Part, Run};
use crate::plan::Filter;
use crate::record::{ApplyStart, Purpose, Record, Writing};
use crate::report::{
    Look, Progress, SafeText, plan_text, plural, refused_summary, run_json, run_summary,
};

pub(super) async fn run(
    args: &ApplyArgs,
    common: &Common,
    signals: &Signals,
) -> Result<Exit, CommandError> {
    let output = Output::new(common);
    let started = Instant::now();
    if let Some(path) = &args.metrics {
        metrics::check(path)?;
    }
    let mut seen = Seen::default();
    let applying = plan_and_apply(args, common, (&output, signals), &mut seen);
    let exit = match signals.guard(applying).await {
        Ok(Exit::Fine) if seen.left_open => Exit::Incomplete,
        Ok(exit) => exit,
        // A doubt that was found is told by the exit code once, whatever comes after it: the next run has nothing to find.
        Err(error) if seen.left_open => {
            output.error(&error.after_recovery());
            Exit::Incomplete
        }
        Err(error) => {
            output.error(&error);
            Exit::Error
        }
    };
    let exit = match &args.metrics {
        Some(path) => metrics::write(path, exit, started, &seen, &output).await,
        None => exit,
    };
    tell_end(exit, started, &seen);
    Ok(exit)
}

/// Logs how the run ended.
fn tell_end(exit: Exit, started: Instant, seen: &Seen) {
    let count = |outcome: Outcome| {
        let run = seen.run.as_ref();
        run.map_or(0, |run| {
            let outcomes = (0..run.settled.len()).map(|place| run.outcome(place));
            outcomes.filter(|found| *found == outcome).count()
        })
    };
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

async fn plan_and_apply(
    args: &ApplyArgs,
    common: &Common,
    (output, signals): (&Output, &Signals),
    seen: &mut Seen,
) -> Result<Exit, CommandError> {
    let saved = args.file.as_deref().map(Saved::read).transpose()?;
    let saved = saved.as_ref();
    let config = prepare::config(common, output)?;
    let record = Record::at(&config.record.path);
    seen.config = Some(config);
    let told = (output, signals);
    prepare::recover(
        config,
        &record,
        told,
        args.lock_timeout,
        &mut seen.left_open,
    )
    .await?;
    let now = match saved {
        Some(saved) => {
            saved.check(config, &record).await?;
            saved.plan.now
        }
        None => prepare::now(common),
    };
    let wanted = Wanted {
        filter: filter(saved),
        now,
        clock: clock(saved),
        allow_shrink: &args.allow_shrink,
    };
    let prepared = prepare::roster_and_plan(config, &record, wanted).await?;
    output.warnings(prepared.roster.warnings(), &config.files);
    if let Some(saved) = saved {
        let now = prepare::now(common);
        saved.check_same(&prepared)?;
        saved.check_window(&prepared, now)?;
        // Reading the sources once more also tells whether they have become too old meanwhile.
        let wanted = Wanted {
            filter: filter(Some(saved)),
            now,
            clock: prepare::clock(),
            allow_shrink: &args.allow_shrink,
        };
        let current = prepare::roster_and_plan(config, &record, wanted).await?;
        saved.check_time(&prepared, &current)?;
        output.notice(|out| writeln!(out, "This plan was saved {} ago.\n", saved.age(now)));
    }
    seen.prepared = Some(prepared.clone());
    let would = format!(
        "It would have made {} and {}.",
        plural(prepared.plan.triggers(), "trigger"),
        plural(prepared.plan.stops(), "stop")
    );
    let asked = ("apply", args.new_record, !args.yes && Output::can_ask());
    let beginning = Beginning::check(&prepared.record, &record, asked, &would).await?;
    let part = match show_and_ask(
        args,
        common,
        output,
        &prepared,
        Some(&beginning),
        seen.left_open,
    )
    .await?
    {
        Next::End(exit) => return Ok(exit),
        Next::Apply(part) => part,
    };
    // Nothing is written, not even the lock, before it is certain that something is to be done and can be.
    let access = prepare::access(config)?;
    let writing = {
        let begin = beginning.is_meant();
        prepare::write(config, "apply", args.lock_timeout, Purpose::Act, begin).await?
    };
    which::tell_begun(config, writing.begun(), output);
    seen.left_open |= prepare::tell_left_open(output, &writing);
    // The built-in sandbox's memory is beside the record, and under its lock.
    let result = match Line::open(config, access, writing.calls_before()).await {
        Ok(line) => {
            let to = (&record, &line, &writing);
            let told = (output, signals);
            let shown = (prepared, part, saved);
            let applying = locked(args, common, told, shown, to, seen);
            // Where it is given up, the lock is given back all the same.
            let result = signals.guard(applying).await;
            line.close().await;
            result
        }
        Err(error) => Err(error),
    };
    match (writing.end().await, result) {
        (Ok(()), result) => result,
        // What it did is not on record, whatever else it says.
        (Err(error), result) => {
            for error in [Err(anyhow::Error::from(error).into()), result.map(drop)] {
                error.unwrap_or_else(|error| output.error(&error));
            }
            Ok(Exit::Incomplete)
        }
    }
}

fn noting(args: &ApplyArgs) -> Noting {
    match args.allow_large {
        true => Noting::Allowed,
        false => Noting::Applied,
    }
}

/// What comes after a plan was shown.
enum Next {
    /// The command ends.
    End(Exit),
    /// So much of it is applied.
    Apply(Part),
}

/// What is left to do once the record is locked.
async fn locked(
    args: &ApplyArgs,
    common: &Common,
    (output, signals): (&Output, &Signals),
    (shown, mut part, saved): (Prepared, Part, Option<&Saved>),
    (record, line, writing): (&Record, &Line, &Writing),
    seen: &mut Seen,
) -> Result<Exit, CommandError> {
    if let Some(saved) = saved {
        saved.check(shown.config, record).await?;
    }
    let again = plan_again(args, common, output, (&shown, saved), record).await?;
    let Some(prepared) = again else {
        return Err(anyhow!(
            "The configuration has changed since it was read, while another run worked on the record. Nothing was sent. \
             Run it again."
        )
        .into());
    };
    seen.prepared = Some(prepared.clone());
    let is_same = prepared.roster.digest() == shown.roster.digest()
        && prepared.plan.does_the_same(&shown.plan)
        // What another run did meanwhile counts with it.
        && prepared.guard == shown.guard;
    if !is_same {
        output.notice(|out| {
            writeln!(
                out,
                "The record has changed meanwhile; this is the plan now.\n"
            )
        });
        match show_and_ask(args, common, output, &prepared, None, seen.left_open).await? {
            Next::End(exit) => return Ok(exit),
            Next::Apply(now) => part = now,
        }
    }
    signals.begin()?;
    if let Some(saved) = saved {
        saved.check_same(&prepared)?;
    }
    if part == Part::StopsOfSuppressed {
        let to = (line, signals, writing);
        return Ok(stop_suppressed(args, common, output, &prepared, to, seen).await);
    }
    if let Some(saved) = saved {
        let serial = prepared.record_serial;
        let found = writing.journal().claim(saved.plan.id.clone(), serial).await;
        let found = found.map_err(anyhow::Error::from)?;
        if found != serial {
            return Err(saved.outrun(found));
        }
    }
    if !prepared.start.is_empty() {
        let begun = writing.journal().begin(prepared.start.clone()).await;
        begun.map_err(anyhow::Error::from)?;
    }
    // What is done of a part says nothing of the rows that the others come from.
    if filter(saved).is_everything() {
        let notes = prepared.notes(noting(args));
        let noted = writing.journal().sources(notes).await;
        noted.map_err(anyhow::Error::from)?;
    }
    // From here on calls may be made, so that an error no longer means that nothing was done.
    let mut run = send(args, common, (&prepared, part), (line, signals), writing).await;
    if args.allow_large {
        let anew = writing.journal().count_anew().await;
        if let Err(error) = anew {
            run = run.and(Err(anyhow::Error::from(error).into()));
        }
    }
    let shown = match run {
        Ok(run) if prepared.plan.is_empty() => Ok(run),
        Ok(run) => output
            .lines(args.format == Format::Text, |mut out| match args.format {
                Format::Json => run_json(&mut out, prepared.view(), &run),
                Format::Text => run_summary(&mut out, prepared.view(), &run),
            })
            .map(|()| run),
        Err(error) => Err(error),
    };
    tell_withheld(output, &prepared);
    Ok(match shown {
        Ok(run) => {
            let exit = match run.is_good() {
                true => Exit::Fine,
                false => Exit::Incomplete,
            };
            seen.run = Some(run);
            exit
        }
        Err(error) => {
            output.error(&error);
            Exit::Incomplete
        }
    })
}

/// Says who is on record as withheld by this run.
fn tell_withheld(output: &Output, prepared: &Prepared) {
    let withheld = &prepared.plan.withheld;
    let news = withheld.iter().filter(|of| of.is_news()).count() as u64;
    if news > 0 {
        let are = if news == 1 { "is" } else { "are" };
        output.notice(|out| {
            writeln!(
                out,
                "{news} {are} on record as withheld now: declared, and not triggered while their contacts are suppressed."
            )
        });
    }
}

/// Sends the stops of suppressed contacts of a plan that the guard refuses.
async fn stop_suppressed(
    args: &ApplyArgs,
    common: &Common,
    output: &Output,
    prepared: &Prepared,
    (line, signals, writing): (&Line, &Signals, &Writing),
    seen: &mut Seen,
) -> Exit {
    let part = Part::StopsOfSuppressed;
    // Their stops are planned under the names that participations have after the moves.
    let moves = prepared.start.moves.clone();
    if !moves.is_empty() {
        let start = ApplyStart {
            applied: Vec::new(),
            moves,
            moved: prepared.start.moved.clone(),
        };
        if let Err(error) = writing.journal().begin(start).await {
            output.error(&anyhow::Error::from(error).into());
            return Exit::Error;
        }
    }
    let run = match send(args, common, (prepared, part), (line, signals), writing).await {
        Ok(run) => run,
        Err(error) => {
            output.error(&error);
            return Exit::Incomplete;
        }
    };
    let shown = match args.format {
        Format::Json => output.document(|mut out| run_json(&mut out, prepared.view(), &run)),
        Format::Text => Ok(()),
    };
    if let Err(error) = shown {
        output.error(&error);
    }
    tell_refusal(output, prepared, |out| {
        refused_summary(out, prepared.view(), &run)
    });
    seen.run = Some(run);
    Exit::Refused
}

/// Says that the guard refuses a plan, why, and what was done of it all the same.
fn tell_refusal(
    output: &Output,
    prepared: &Prepared,
    what_was_done: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) {
    output.always(|out| {
        write!(out, "Refused by the guard; ")?;
        what_was_done(out)?;
        for breach in &prepared.guard.breaches {
            writeln!(out, "  {}", SafeText(&breach.to_string()))?;
        }
        writeln!(
            out,
            "If this is what you mean, {}.",
            prepared.guard.way_on()
        )
    });
}

/// What is done of a plan that the guard refuses: the stops of suppressed contacts, where it does not refuse these too and
/// somebody says yes.
async fn refuse(
    args: &ApplyArgs,
    output: &Output,
    prepared: &Prepared,
    has_recovered: bool,
) -> Result<Next, CommandError> {
    let plan = &prepared.plan;
    let stops = match prepared.guard.refuses_stops_of_suppressed() {
        true => 0,
        false => plan.stops_of_suppressed(),
    };
    let shown = plural(stops, "stop");
    if stops > 0 && (args.yes || Output::can_ask()) {
        let question = format!("Send the {shown} of suppressed contacts all the same?");
        if output.ask(&question, args.yes).await.is_ok() {
            return Ok(Next::Apply(Part::StopsOfSuppressed));
        }
    }
    if args.format == Format::Json && !plan.is_empty() {
        let nothing = Run::default();
        output.document(|mut out| run_json(&mut out, prepared.view(), &nothing))?;
    }
    tell_refusal(output, prepared, |out| {
        // What was found of an earlier run is on record already.
        let more = if has_recovered { " more" } else { "" };
        writeln!(out, "nothing was sent and nothing{more} was written:")
    });
    if stops > 0 {
        output.always(|out| {
            writeln!(
                out,
                "The {shown} of suppressed contacts would be sent all the same, with --yes."
            )
        });
    }
    Ok(Next::End(Exit::Refused))
}

/// What part of the whole is applied.
fn filter(saved: Option<&Saved>) -> Filter {
    saved
        .map(|saved| saved.plan.filter.clone())
        .unwrap_or_default()
}

/// The time of which the guard's day is reckoned: of a saved plan, when it was saved. Nothing was recorded since, so that no
/// less is counted.
fn clock(saved: Option<&Saved>) -> Timestamp {
    saved.map_or_else(prepare::clock, |saved| saved.plan.saved_at)
}

/// Makes the plan again under the lock. `None` where the configuration has changed.
///
/// Where another run worked on the record meanwhile, it may have read newer sources than this one; to apply the older
/// ones would undo what it did, so they are read again.
async fn plan_again(
    args: &ApplyArgs,
    common: &Common,
    output: &Output,
    (shown, saved): (&Prepared, Option<&Saved>),
    record: &Record,
) -> Result<Option<Prepared>, CommandError> {
    let plan = |roster, now| {
        let times = (now, clock(saved));
        prepare::plan(shown.config, roster, record, filter(saved), times)
    };
    let again = plan(shown.roster.clone(), shown.now).await?;
    if again.record_serial == shown.record_serial {
        return Ok(Some(again));
    }
    if let Some(saved) = saved {
        return Err(saved.outrun(again.record_serial));
    }
    if prepare::config(common, output)?.digest != shown.config.digest {
        return Ok(None);
    }
    let now = prepare::now(common);
    let roster = prepare::roster(shown.config, now).await?;
    let allowed = &args.allow_shrink;
    prepare::sources_and_expected(shown.config, &roster, record, allowed).await?;
    plan(roster, now).await.map(Some)
}

/// Shows the plan, and says what comes next.
async fn show_and_ask(
    args: &ApplyArgs,
    common: &Common,
    output: &Output,
    prepared: &Prepared,
    beginning: Option<&Beginning<'_>>,
    has_recovered: bool,
) -> Result<Next, CommandError> {
    let plan = &prepared.plan;
    tracing::info!(
        event = "plan",
        trigger = plan.triggers(),
        stop = plan.stops(),
        let_go = plan.let_go.len(),
        deferred = plan.deferred.len(),
        held = plan.held.len(),
        withheld = plan.withheld.len(),
        unchanged = plan.unchanged,
        refused = prepared.guard.refuses(),
        "the plan is made"
    );
    prepared.tell_first(output, args.new_record);
    match args.format {
        Format::Json if plan.is_empty() => {
            let nothing = Run::default();
            output.document(|mut out| run_json(&mut out, prepared.view(), &nothing))?;
        }
        // A log of events has told of it.
        Format::Json if common.log_format == LogFormat::Json => {}
        Format::Json => output.notice(|mut out| plan_text(&mut out, prepared.view())),
        // Cron mails whatever is printed, so where nothing is to be done nothing is said.
        Format::Text if common.quiet && plan.is_empty() && !prepared.guard.refuses() => {}
        Format::Text => output.lines(true, |mut out| plan_text(&mut out, prepared.view()))?,
    }
    // What is deferred counts, so that an accident is told of before its time has come.
    if prepared.guard.refuses() && !args.allow_large {
        return refuse(args, output, prepared, has_recovered).await;
    }
    if plan.is_empty() {
        // What is to be noted of sources and automations, of enrolments that went or came back, of who is withheld, and of which
        // record it is, needs no question.
        let is_noted = !plan.has_news()
            && !prepared.has_news_of_sources(noting(args))
            && !prepared.record.lacks_marks()
            && (prepared.record.is_missing() || prepared.start.is_empty());
        // A record that is to be begun is begun for nobody too, so that the next run finds it.
        let is_begun = !(prepared.record.is_missing() && args.new_record);
        if is_noted && is_begun {
            return Ok(Next::End(Exit::Fine));
        }
    }
    if let Some(beginning) = beginning {
        beginning.ask(output).await?;
    }
    if !plan.is_empty() {
        output.ask("Apply this?", args.yes).await?;
    }
    Ok(Next::Apply(Part::Whole))
}

async fn send(
    args: &ApplyArgs,
    common: &Common,
    (prepared, part): (&Prepared, Part),
    (line, signals): (&Line, &Signals),
    writing: &Writing,
) -> Result<Run, CommandError> {
    let interrupt = CancellationToken::new();
    let listening = tokio::spawn({
        let interrupt = interrupt.clone();
        let signals = signals.clone();
        async move {
            signals.came().await;
            interrupt.cancel();
        }
    });
    let spotler = &prepared.config.spotler;
    let now = prepare::now(common);
    let window = prepared.config.window.as_ref();
    let triggers_until = window.map(|window| {
        let closes = window.closes_at(now).unwrap_or(now);
        Instant::now() + Duration::try_from(closes.duration_since(now)).unwrap_or_default()
    });
    let job = Job {
        plan: prepared.plan.clone(),
        part,
        roster: prepared.roster.clone(),
        config: prepared.config,
        caller: Arc::new(line.client.clone()),
        journal: writing.journal(),
        limits: Limits {
            concurrency: spotler.concurrency,
            rate: spotler.rate,
            retry_for: args.retry_for,
        },
        triggers_until,
        interrupt,
    };
    let run = on_one_thread(async {
        let (sender, events) = mpsc::channel(1024);
        let running = tokio::spawn(apply::run(job, sender));
        tell(events, common, &prepared.plan).await;
        running.await
    });
    listening.abort();
    let run = run?.map_err(|error| anyhow!("The apply failed: {error}"))?;
    Ok(run.map_err(anyhow::Error::from)?)
}

/// Runs what is to be done on this thread alone, and all that it spawns.
///
/// Calls are short and wait for each other's answers: between threads that wake each other, each costs half as much again,
/// here and on the other side.
fn on_one_thread<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("The system gives no way to make calls")?;
    Ok(tokio::task::block_in_place(move || {
        runtime.block_on(future)
    }))
}

/// Shows what happens while it happens.
async fn tell(mut events: mpsc::Receiver<Event>, common: &Common, plan: &Arc<crate::plan::Plan>) {
    let look = match common.log_format {
        _ if common.quiet => Look::Quiet,
        LogFormat::Json => Look::Log,
        LogFormat::Text if std::io::stderr().is_terminal() => Look::Bar,
        LogFormat::Text => Look::Lines,
    };
    let mut progress = Progress::new(plan.actions.len() as u64, look);
    let mut batch = Vec::new();
    while events.recv_many(&mut batch, 64).await > 0 {
        for event in batch.drain(..) {
            if let Event::Settled { action, settled } = &event {
                let kind = match &plan.actions[*action] {
                    crate::plan::Action::Stop(_) => "stop",
                    crate::plan::Action::Trigger(_) => "trigger",
                };
                tracing::debug!(event = "settled", action = kind, index = action, outcome = %settled.outcome, "an action is settled");
            }
            progress.event(&event);
        }
    }
    progress.finish();
}
