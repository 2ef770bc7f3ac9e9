//! What several commands begin with: the configuration, the roster, the record, and the plan made of them.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;

use super::output::Output;
use super::signals::Signals;
use super::which::{self, Checked};
use super::{CommandError, Common};
use crate::config::{self, Base, Config, Diagnostic, ParticipationSetting, Problems};
use crate::id::{AutomationName, ContactId};
use crate::plan::{self, Filter, Guard, Plan};
use crate::record::{
    AppliedSource, AppliedWith, ApplyStart, LockError, LockRequest, Purpose, Record, RecordError,
    Snapshot, SourceNote, Writing, counted_since,
};
use crate::report::{PlanView, SafeText};
use crate::roster::{self, Gone, Roster, SourceRead};
use crate::sandbox::{self, Running, SANDBOX_KEY, SANDBOX_SECRET};
use crate::spotler::{Client, Credentials, CredentialsError, Options};
use crate::threads;

/// The time to reckon with.
pub(super) fn now(common: &Common) -> Timestamp {
    common.now.unwrap_or_else(Timestamp::now)
}

/// Finds, reads and checks the configuration; shows its warnings.
///
/// It lives as long as the process, which reads one configuration and ends: so the roster and the tasks that apply a
/// plan can all point into it.
pub(super) fn config(common: &Common, output: &Output) -> Result<&'static Config, CommandError> {
    let here = std::env::current_dir().context("The current folder cannot be found")?;
    let file = config::find(common.config.as_deref(), &here).map_err(anyhow::Error::from)?;
    let config = config::load(&file)?;
    output.warnings(&config.warnings, &config.files);
    Ok(Box::leak(Box::new(config)))
}

/// Reads the sources and adds up the roster, on a thread where that may take its time.
pub(super) async fn roster(
    config: &'static Config,
    now: Timestamp,
) -> Result<Arc<Roster<'static>>, CommandError> {
    let roster = threads::apart("roster", move || roster::build(config, now))
        .await
        .context("The roster could not be made")??;
    Ok(Arc::new(roster))
}

/// The same, of one contact alone.
pub(super) async fn roster_of(
    config: &'static Config,
    contact: &ContactId,
    now: Timestamp,
) -> Result<Arc<Roster<'static>>, CommandError> {
    let contact = contact.clone();
    let roster = threads::apart("roster", move || {
        roster::build_for(config, contact.as_str(), now)
    })
    .await
    .context("The roster could not be made")??;
    Ok(Arc::new(roster))
}

/// The same as [`roster`], with the sources that no block draws on read and checked too.
pub(super) async fn check(
    config: &'static Config,
    now: Timestamp,
) -> Result<Arc<Roster<'static>>, CommandError> {
    let roster = threads::apart("roster", move || roster::check(config, now))
        .await
        .context("The roster could not be made")??;
    let roster = Arc::new(roster);
    expected(config, &roster).await?;
    Ok(roster)
}

/// Checks what the configuration expects of its roster. Where it is not so, nothing is to be planned.
pub(super) async fn expected(
    config: &'static Config,
    roster: &Arc<Roster<'static>>,
) -> Result<(), CommandError> {
    sound(config, disappointments(config, roster).await?)
}

async fn disappointments(
    config: &'static Config,
    roster: &Arc<Roster<'static>>,
) -> Result<Vec<Diagnostic>, CommandError> {
    if config.expects.is_empty() {
        return Ok(Vec::new());
    }
    let roster = roster.clone();
    let list = threads::apart("expected", move || roster.disappointments())
        .await
        .context("What is expected could not be checked")?;
    Ok(list.map_err(anyhow::Error::from)?)
}

fn sound(config: &Config, list: Vec<Diagnostic>) -> Result<(), CommandError> {
    if list.is_empty() {
        return Ok(());
    }
    let files = config.files.clone();
    Err(Problems { list, files }.into())
}

/// Checks that sources have not lost their rows since the last apply, besides those of which that is allowed, and what
/// the configuration expects of its roster.
pub(super) async fn sources_and_expected(
    config: &'static Config,
    roster: &Arc<Roster<'static>>,
    record: &Record,
    allowed: &[String],
) -> Result<(), CommandError> {
    let mut list = Vec::new();
    if config.sources.iter().any(|s| s.max_shrink.is_some()) {
        let applied = applied_sources(record).await?;
        list = roster.shrunk(|name| {
            let source = applied.get(name)?;
            (!allowed.iter().any(|allowed| allowed == name)).then_some((source.rows, source.at))
        });
    }
    list.extend(disappointments(config, roster).await?);
    sound(config, list)
}

/// What a run makes of the sources that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noting {
    /// People were adopted from them: what the record has of them is only added to.
    Adopted,
    /// They were applied.
    Applied,
    /// They were applied, whatever the guard says.
    Allowed,
}

/// What is to be noted of a source. That it ran dry, or lost the line end at its end, is refused until it is allowed: if a run
/// before that noted it, the next one would not see it.
fn note(read: &SourceRead<'_>, before: Option<&AppliedSource>, noting: Noting) -> SourceNote {
    let rows = before.map_or(0, |before| before.rows);
    let ended = before.is_some_and(|before| before.ends_with_line_end == Some(true));
    SourceNote {
        name: read.source.name.clone(),
        rows: match noting {
            Noting::Adopted => read.rows.max(rows),
            Noting::Applied if read.rows == 0 => rows,
            Noting::Applied | Noting::Allowed => read.rows,
        },
        ends_with_line_end: read.ends_with_line_end || (ended && noting != Noting::Allowed),
    }
}

/// What is to be noted of sources, given what the record has of them.
pub(super) fn notes<'a>(
    sources: impl IntoIterator<Item = SourceRead<'a>>,
    applied: &BTreeMap<String, AppliedSource>,
    noting: Noting,
) -> Vec<SourceNote> {
    let note = |read: SourceRead<'a>| note(&read, applied.get(&read.source.name), noting);
    sources.into_iter().map(note).collect()
}

/// Checks that the sources that were named on the command line are configured.
pub(super) fn check_sources(config: &Config, names: &[String]) -> Result<(), CommandError> {
    let known = || config.sources.iter().map(|source| source.name.as_str());
    let Some(unknown) = names
        .iter()
        .find(|name| known().all(|known| known != *name))
    else {
        return Ok(());
    };
    let help = match config::nearest(known(), unknown) {
        Some(near) => format!(" Did you mean {near}?"),
        None => String::new(),
    };
    Err(anyhow::anyhow!("There is no source {unknown} in the configuration.{help}").into())
}

/// Checks that an automation that was named on the command line is configured.
///
/// One that is on record and gone from the configuration has no name to plan by; `record list` shows it.
pub(super) fn check_automation(config: &Config, name: &AutomationName) -> Result<(), CommandError> {
    let names = || {
        config
            .automations
            .iter()
            .map(|automation| automation.name.as_str())
    };
    if names().any(|known| known == name.as_str()) {
        return Ok(());
    }
    let help = match config::nearest(names(), name.as_str()) {
        Some(near) => format!(" Did you mean {near}?"),
        None => String::new(),
    };
    Err(anyhow::anyhow!("There is no automation {name} in the configuration.{help}").into())
}

/// A plan with all that it was made from.
#[derive(Clone)]
pub(super) struct Prepared {
    pub config: &'static Config,
    pub roster: Arc<Roster<'static>>,
    pub plan: Arc<Plan>,
    pub guard: Guard,
    pub record_serial: u64,
    /// Which record it is.
    pub record: Checked,
    /// What an apply would refuse it for.
    pub problems: Arc<[String]>,
    pub now: Timestamp,
    pub sources: Vec<SourceRead<'static>>,
    /// The sources as they were at the last apply.
    pub applied_sources: Arc<BTreeMap<String, AppliedSource>>,
    /// The real time, of which the guard's day is reckoned.
    pub clock: Timestamp,
    /// What the record begins with where the plan is applied.
    pub start: ApplyStart,
}

impl Prepared {
    /// Says at the top that the record is missing, or not certainly the right one: where one was lost, all count as new.
    pub(super) fn tell_first(&self, output: &Output, is_first_day: bool) {
        if self.record.is_missing() && (self.plan.triggers() > 0 || !self.record.is_exempt()) {
            output.warn(|out| {
                writeln!(
                    out,
                    "There is no record at {} yet: all who are declared count as new.\n\
                     Where there was one, restore it before anything is applied.",
                    self.config.record_shown()
                )?;
                if !is_first_day && !self.record.is_exempt() {
                    writeln!(
                        out,
                        "On the first day, begin one: rollcall apply --new-record"
                    )?;
                }
                writeln!(out)
            });
        }
        self.record.warn(output);
    }

    /// What is to be noted of the sources when the plan is applied.
    pub(super) fn notes(&self, noting: Noting) -> Vec<SourceNote> {
        notes(self.roster.sources(), &self.applied_sources, noting)
    }

    /// Whether a source is so different from what it was at the last apply that this is to be noted, also where nothing is to
    /// be done. Where there is no record, none is begun for it.
    pub(super) fn has_news_of_sources(&self, noting: Noting) -> bool {
        let is_news = |read: SourceRead<'_>| {
            let before = self.applied_sources.get(&read.source.name);
            let note = note(&read, before, noting);
            before.is_none_or(|before| {
                let is_counted = read.source.max_shrink.is_some() && before.rows != note.rows;
                is_counted
                    || (before.rows == 0) != (note.rows == 0)
                    || before.ends_with_line_end != Some(note.ends_with_line_end)
            })
        };
        !self.record.is_missing() && self.roster.sources().any(is_news)
    }

    pub(super) fn view(&self) -> PlanView<'_> {
        PlanView {
            plan: &self.plan,
            guard: &self.guard,
            config: self.config,
            roster: &self.roster,
            record_serial: self.record_serial,
            now: self.now,
            is_first: self.record.is_missing(),
            record_id: self.record.id(),
            problems: &self.problems,
        }
    }
}

/// The real time, as the guard reckons with it: to the second, as a saved plan tells when it was saved.
pub(super) fn clock() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// What the record begins with where a plan is applied: the moves, where any are to be made, and what the plan's automations
/// are applied with, where that is news.
fn start(
    config: &Config,
    plan: &Plan,
    filter: &Filter,
    applied: &BTreeMap<AutomationName, AppliedWith>,
    done: &[(AutomationName, AutomationName)],
) -> ApplyStart {
    let moves = match plan.moved.is_empty() {
        true => Vec::new(),
        false => plan.moves.clone(),
    };
    // A part may leave moves to be made that are none of its own.
    let blocks = Some(config.moved_blocks());
    let moved =
        blocks.filter(|blocks| blocks != done && (!moves.is_empty() || filter.is_everything()));
    let is_part = |name: &AutomationName| {
        filter.contact.is_none() && filter.automation.as_ref().is_none_or(|of| of == name)
    };
    let with = plan::applied_with(config).into_iter();
    let news = with.filter(|(name, with)| {
        is_part(name) && (!moves.is_empty() || applied.get(name) != Some(with))
    });
    ApplyStart {
        applied: news.collect(),
        moves,
        moved,
    }
}

/// What plan is wanted.
pub(super) struct Wanted<'a> {
    pub filter: Filter,
    pub now: Timestamp,
    /// The real time, of which the guard's day is reckoned.
    pub clock: Timestamp,
    /// The sources that may have lost more rows than their `max_shrink`.
    pub allow_shrink: &'a [String],
}

/// Makes the roster and the plan. The record begins to be read while the sources are.
pub(super) async fn roster_and_plan(
    config: &'static Config,
    record: &Record,
    wanted: Wanted<'_>,
) -> Result<Prepared, CommandError> {
    let Wanted {
        filter,
        now,
        clock,
        allow_shrink,
    } = wanted;
    check_sources(config, allow_shrink)?;
    let roster = tokio::spawn(roster(config, now));
    let snapshot = snapshot(config, record).await;
    // What is wrong with the sources is told first: it is what people change.
    let roster = roster.await.context("The roster could not be made")??;
    let snapshot = snapshot.context("No plan was made")?;
    sources_and_expected(config, &roster, record, allow_shrink).await?;
    let sent = sent(config, record, now).await?;
    let sources = applied_sources(record).await?;
    let times = (now, clock);
    merge(
        config,
        roster,
        (snapshot, sources),
        filter,
        times,
        Some(sent),
    )
    .await
}

pub(super) async fn applied_sources(
    record: &Record,
) -> Result<BTreeMap<String, AppliedSource>, CommandError> {
    let applied = record.applied_sources().await;
    Ok(applied.context("No plan was made")?)
}

/// How many triggers of each automation were sent on the day, where a `max_per_day` asks for it.
async fn sent(
    config: &Config,
    record: &Record,
    now: Timestamp,
) -> Result<BTreeMap<AutomationName, u64>, CommandError> {
    if config.automations.iter().all(|a| a.max_per_day.is_none()) {
        return Ok(BTreeMap::new());
    }
    let (start, end) = plan::day(now, &config.zone);
    let sent = record.sent(start, end).await;
    let sent = sent.context("No plan was made")?;
    // Calls keep the name by which they were made.
    let is_configured = |name: &AutomationName| config.automations.iter().any(|a| a.name == *name);
    let mut by_name = BTreeMap::new();
    for (name, count) in sent {
        let moved = config.moved_to(&name).filter(|_| !is_configured(&name));
        *by_name.entry(moved.cloned().unwrap_or(name)).or_insert(0) += count;
    }
    Ok(by_name)
}

/// Looks at which record it is, and then reads it.
async fn snapshot(
    config: &'static Config,
    record: &Record,
) -> Result<(Checked, Snapshot), RecordError> {
    let checked = which::check(config, record).await?;
    Ok((checked, record.snapshot().await?))
}

/// Makes the plan of a roster that is there.
pub(super) async fn plan(
    config: &'static Config,
    roster: Arc<Roster<'static>>,
    record: &Record,
    filter: Filter,
    (now, clock): (Timestamp, Timestamp),
) -> Result<Prepared, CommandError> {
    let snapshot = snapshot(config, record).await.context("No plan was made")?;
    let sent = sent(config, record, now).await?;
    let sources = applied_sources(record).await?;
    let times = (now, clock);
    merge(
        config,
        roster,
        (snapshot, sources),
        filter,
        times,
        Some(sent),
    )
    .await
}

/// The same, with nothing deferred: of what is not to be sent at all.
pub(super) async fn plan_undeferred(
    config: &'static Config,
    roster: Arc<Roster<'static>>,
    record: &Record,
    filter: Filter,
    now: Timestamp,
) -> Result<Prepared, CommandError> {
    let snapshot = snapshot(config, record).await.context("No plan was made")?;
    let sources = applied_sources(record).await?;
    let times = (now, clock());
    merge(config, roster, (snapshot, sources), filter, times, None).await
}

/// Merges roster and record on a thread that may take its time.
async fn merge(
    config: &'static Config,
    roster: Arc<Roster<'static>>,
    ((checked, snapshot), sources): ((Checked, Snapshot), BTreeMap<String, AppliedSource>),
    filter: Filter,
    (now, clock): (Timestamp, Timestamp),
    sent: Option<BTreeMap<AutomationName, u64>>,
) -> Result<Prepared, CommandError> {
    let record_serial = snapshot.serial;
    let since = counted_since(clock, snapshot.counted_from);
    let applied = snapshot.applied;
    let done = snapshot.moved;
    let steps = config.steps_of_moves(&done);
    let of_part = filter.clone();
    let task = {
        let roster = roster.clone();
        threads::apart("plan", move || -> anyhow::Result<Plan> {
            let recorded = snapshot.participations;
            let mut plan = Plan::build(config, &roster, recorded, &filter, now, since, steps)?;
            if let Some(sent) = sent {
                plan.defer(config, &roster, &sent, now);
            }
            plan.narrow(&filter, config, &roster);
            give_reasons(config, &roster, &mut plan)?;
            Ok(plan)
        })
    };
    let plan = task.await.context("No plan was made")??;
    let guard = Guard::check(&plan, config, &roster, &applied, &sources);
    let start = start(config, &plan, &of_part, &applied, &done);
    Ok(Prepared {
        config,
        sources: roster.sources().collect(),
        roster,
        plan: Arc::new(plan),
        guard,
        record_serial,
        problems: checked.problems().into(),
        record: checked,
        now,
        applied_sources: Arc::new(sources),
        clock,
        start,
    })
}

/// For so many of those who leave it is looked up at once why: it takes memory for each of them, and a pass over the rows'
/// index for all.
const LOOKED_UP: usize = 100_000;

/// Puts into a plan why the enrolments of what it stops are gone.
pub(super) fn give_reasons(
    config: &Config,
    roster: &Roster<'_>,
    plan: &mut Plan,
) -> anyhow::Result<()> {
    let keys = plan.leaving();
    let index = |name: &AutomationName| config.automations.iter().position(|a| a.name == *name);
    // Most of many are the same.
    let mut kept: HashSet<Arc<str>> = HashSet::new();
    let mut once = |reason: &str| match kept.get(reason) {
        Some(reason) => reason.clone(),
        None => {
            let reason: Arc<str> = Arc::from(reason);
            kept.insert(reason.clone());
            reason
        }
    };
    let mut reasons: Vec<Arc<str>> = Vec::with_capacity(keys.len());
    for keys in keys.chunks(LOOKED_UP) {
        let places: Vec<Option<usize>> = keys.iter().map(|key| index(&key.automation)).collect();
        let known = keys.iter().zip(&places).filter_map(|(key, automation)| {
            Some(Gone {
                contact: key.contact.as_str(),
                automation: (*automation)?,
                occurrence: key.occurrence.as_ref().map(|o| o.as_str()),
            })
        });
        let mut found = roster.absence(&known.collect::<Vec<_>>())?.into_iter();
        reasons.extend(places.iter().map(|automation| match automation {
            Some(_) => once(&found.next().unwrap_or_default()),
            None => once("the automation is gone from the configuration"),
        }));
    }
    plan.give_reasons(reasons);
    Ok(())
}

/// Takes the lock of the record, to write to it.
pub(super) async fn write(
    config: &Config,
    command: &str,
    timeout: Duration,
    purpose: Purpose,
    may_begin: bool,
) -> Result<Writing, CommandError> {
    let request = request(config, command, timeout, purpose, may_begin).await;
    let record = Record::at(&config.record.path);
    let writing = Writing::begin(record.path(), request).await;
    Ok(writing.map_err(anyhow::Error::from)?)
}

/// Who wants to write, and for how long it waits for that.
async fn request(
    config: &Config,
    command: &str,
    timeout: Duration,
    purpose: Purpose,
    may_begin: bool,
) -> LockRequest {
    LockRequest {
        command: command.to_owned(),
        timeout,
        config_digest: Some(config.digest.to_string()),
        git_revision: git_revision(config.root.clone()).await,
        expected: which::expected(config),
        purpose,
        may_begin,
    }
}

/// Settles what an earlier run left open, where one did, and tells of it; notes at once that there was anything. What has no
/// answer yet in a run that is at work is waited for as long as for the lock.
pub(super) async fn recover(
    config: &Config,
    record: &Record,
    (output, signals): (&Output, &Signals),
    timeout: Duration,
    left_open: &mut bool,
) -> Result<(), CommandError> {
    if !record.has_open_calls().await.map_err(anyhow::Error::from)? {
        return Ok(());
    }
    let mut settle = async |timeout| {
        let request = request(config, "apply", timeout, Purpose::Act, false).await;
        let writing = Writing::begin(record.path(), request).await?;
        *left_open |= tell_left_open(output, &writing);
        writing.end().await?;
        Ok::<_, anyhow::Error>(())
    };
    let settled = match signals.whole(settle(Duration::ZERO)).await {
        // While another one works, this one may be given up.
        Err(error) if is_held(&error) && !timeout.is_zero() => settle(timeout).await,
        settled => settled,
    };
    Ok(settled?)
}

fn is_held(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(LockError::Held(_)))
}

/// So many calls that were left open are told by name.
const MOST_TOLD: usize = 20;

/// Tells of the calls that an earlier run left open. Returns whether there are any.
pub(super) fn tell_left_open(output: &Output, writing: &Writing) -> bool {
    let left = writing.left_open();
    if left.is_empty() {
        return false;
    }
    let count = left.len() as u64;
    output.always(|out| {
        writeln!(
            out,
            "An earlier run was cut short while {} under way, and nobody knows whether Spotler carried {} out:",
            match count {
                1 => "a call was".to_owned(),
                count => format!("{count} calls were"),
            },
            if count == 1 { "it" } else { "them" }
        )?;
        for call in left.iter().take(MOST_TOLD) {
            let occurrence = call.occurrence.as_deref();
            let occurrence = occurrence.map_or(String::new(), |text| format!(" / {text}"));
            let of = format!("{} / {}{occurrence}", call.contact, call.automation);
            writeln!(out, "  {:<7}  {}", call.kind, SafeText(&of))?;
        }
        if left.len() > MOST_TOLD {
            let more = left.len() - MOST_TOLD;
            writeln!(out, "  … and {more} more; `rollcall record list` has them all")?;
        }
        if left.iter().any(|call| call.kind == "trigger") {
            writeln!(
                out,
                "A trigger that is in doubt is not sent again: look in Spotler whether the contact takes part, then type \
                 `rollcall resolve --as active CONTACT` or `rollcall resolve --as not-sent CONTACT`."
            )?;
        }
        if left.iter().any(|call| call.kind == "stop") {
            writeln!(out, "A stop that is in doubt is sent again by the next apply.")?;
        }
        Ok(())
    });
    true
}

/// What Git needs of the environment: to be found, and to find its own settings. Nothing else is passed on, least of all the
/// credentials.
const FOR_GIT: [&str; 6] = [
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "USERPROFILE",
    "SystemRoot",
    "LANG",
];

/// The Git revision of the configuration, if it is in a repository.
async fn git_revision(root: PathBuf) -> Option<String> {
    let mut command = std::process::Command::new("git");
    command
        .env_clear()
        .envs(
            FOR_GIT
                .into_iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .arg("-C")
        .arg(root)
        .args(["rev-parse", "HEAD"])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    // Apart, so that a signal is heard where Git hangs.
    let output = threads::apart("git", move || command.output());
    let output = output.await.ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let revision = text.trim();
    (output.status.success() && revision.len() >= 40).then(|| revision.to_owned())
}

/// The way to Spotler, or to a sandbox inside this process.
pub(super) struct Line {
    pub client: Client,
    sandbox: Option<Running>,
}

/// Who asks Spotler, where it is the real one.
pub(super) struct Access(Option<(String, Credentials)>);

/// Finds the credentials, where the configuration needs any.
pub(super) fn access(config: &Config) -> Result<Access, CommandError> {
    Ok(Access(match &config.spotler.base {
        Base::Sandbox => None,
        Base::Url(url) => {
            let credentials = credentials().as_ref();
            let credentials = credentials.map_err(|error| anyhow::anyhow!("{error}"))?;
            Some((url.clone(), credentials.clone()))
        }
    }))
}

/// The credentials of the environment, read once: what a file descriptor gives cannot be read again.
pub(super) fn credentials() -> &'static Result<Credentials, CredentialsError> {
    static CREDENTIALS: OnceLock<Result<Credentials, CredentialsError>> = OnceLock::new();
    CREDENTIALS.get_or_init(|| Credentials::from_env(|name| std::env::var(name).ok()))
}

impl Line {
    /// Makes the client, and starts the sandbox where the configuration says so: one whose memory is lost gives no ids that
    /// may be among those of `calls` that were made before.
    pub(super) async fn open(
        config: &Config,
        access: Access,
        calls: u64,
    ) -> Result<Self, CommandError> {
        let mut sandbox = None;
        let (base_url, credentials) = match access.0 {
            Some(access) => access,
            None => {
                let options = sandbox::Options {
                    triggers: triggers(config),
                    memory: Some(sandbox_memory(Record::at(&config.record.path).path())),
                    given: calls,
                    ..sandbox::Options::default()
                };
                let running = sandbox::start(options)
                    .await
                    .context("The built-in sandbox cannot start, and nothing was sent")?;
                let url = running.base_url();
                sandbox = Some(running);
                (url, Credentials::new(SANDBOX_KEY, SANDBOX_SECRET))
            }
        };
        let client = Client::new(Options {
            base_url,
            credentials,
            paths: config.spotler.paths.clone(),
            timeout: config.spotler.timeout,
            connections: config.spotler.concurrency,
        })
        .map_err(anyhow::Error::from)?;
        Ok(Self { client, sandbox })
    }

    /// Ends the sandbox, if there is one.
    pub(super) async fn close(self) {
        drop(self.client);
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
        }
    }
}

/// The built-in sandbox remembers next to the record, so that a second apply finds what the first one did.
fn sandbox_memory(record: &Path) -> PathBuf {
    let mut name = record.as_os_str().to_owned();
    name.push(".sandbox.jsonl");
    PathBuf::from(name)
}

/// The configured automations, as a sandbox knows them.
pub(super) fn triggers(config: &Config) -> Vec<sandbox::Trigger> {
    config
        .automations
        .iter()
        .map(|automation| {
            let setting = match automation.participation {
                ParticipationSetting::Unlimited => sandbox::Setting::Unlimited,
                ParticipationSetting::OnceWhileRunning => sandbox::Setting::OnceWhileRunning,
                ParticipationSetting::Once => sandbox::Setting::Once,
            };
            let code = automation.trigger_code.as_str();
            sandbox::Trigger::new(automation.name.as_str(), code, setting)
        })
        .collect()
}
