//! The roster, the record, and the plan that is made of both.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::recorded::as_recorded;
use super::sources::{self, Noting};
use super::{Checked, Engine, Error};
use crate::config::{Automation, Config, Diagnostic, Problems};
use crate::failpoint::{Planted, is_planted};
use crate::id::{AutomationName, ContactId};
use crate::plan::{self, Filter, Guard, Merged, Plan, Sent};
use crate::record::{AppliedSource, AppliedWith, ApplyStart, RecordError, Snapshot, counted_since};
use crate::report::PlanView;
use crate::roster::{self, Past, Roster, Undeclared};
use crate::source::Recorded;
use crate::threads;

/// What a plan is to be of.
#[derive(Debug, Clone)]
pub struct Scope {
    /// What part of the whole.
    pub filter: Filter,
    /// The sources that may have lost more rows than their `max_shrink`.
    pub allow_shrink: Vec<String>,
    /// The time to reckon with.
    pub now: Timestamp,
    /// The real time, of which the guard's day is reckoned: to the second, as a saved plan tells when it was saved.
    pub clock: Timestamp,
}

/// A plan with all that it was made from.
#[derive(Clone)]
pub struct Planned {
    /// What it is of.
    pub scope: Scope,
    /// The enrolments.
    pub roster: Arc<Roster<'static>>,
    /// The plan.
    pub plan: Arc<Plan>,
    /// What the guard says of it.
    pub guard: Guard,
    /// Which record it is.
    pub record: Checked,
    /// The record's serial number.
    pub record_serial: u64,
    pub(super) config: &'static Config,
    /// The sources as they were at the last apply.
    pub(super) applied_sources: Arc<BTreeMap<String, AppliedSource>>,
    /// What the record begins with where the plan is applied.
    pub(super) start: ApplyStart,
}

impl Planned {
    /// What is reported about it.
    pub fn view(&self) -> PlanView<'_> {
        PlanView {
            plan: &self.plan,
            guard: &self.guard,
            config: self.config,
            roster: &self.roster,
            record_serial: self.record_serial,
            now: self.scope.now,
            is_first: self.record.is_missing(),
            record_id: self.record.id(),
            problems: &self.record.problems,
        }
    }

    /// Whether to apply it writes nothing at all: no action, and nothing to note of sources and automations, of enrolments that
    /// went or came back, of who is withheld, of which record it is, and of a count that begins anew. Where there is no record,
    /// none is begun for a note.
    pub fn changes_nothing(&self, allow_large: bool) -> bool {
        let noting = Noting::of_apply(allow_large);
        let has_notes = || {
            allow_large
                || !self.start.is_empty()
                || sources::have_news(&self.roster, &self.applied_sources, noting)
        };
        self.plan.is_empty()
            && !self.plan.has_news()
            && !self.record.examined.lacks_marks
            && (self.record.is_missing() || !has_notes())
    }

    /// Whether it does the same as another one, and the guard says the same of it: what another run did meanwhile counts with
    /// it.
    pub(super) fn is_same(&self, other: &Planned) -> bool {
        self.roster.digest() == other.roster.digest()
            && self.plan.does_the_same(&other.plan)
            && self.guard == other.guard
    }
}

impl Engine {
    /// A plan of this part for now.
    pub fn scope(&self, filter: Filter, allow_shrink: &[String]) -> Scope {
        Scope {
            filter,
            allow_shrink: allow_shrink.to_vec(),
            now: self.now(),
            clock: whole_second(self.real_time()),
        }
    }

    /// Reads the whole configuration's sources, those that no block draws on too. What it expects of them is
    /// [`unmet`](Self::unmet).
    ///
    /// # Errors
    /// What is wrong with them.
    pub async fn validate(&self) -> Result<Arc<Roster<'static>>, Error> {
        let (config, now) = (self.config, self.now());
        let record = Recorded::Empty("`validate` reads no record");
        let roster = apart("roster", move || roster::check(config, now, record)).await??;
        Ok(Arc::new(roster))
    }

    /// What the configuration expects of its roster and is not so.
    ///
    /// # Errors
    /// If a source cannot be read again to say why.
    pub async fn unmet(&self, roster: &Arc<Roster<'static>>) -> Result<Vec<Diagnostic>, Error> {
        if self.config.expects.is_empty() {
            return Ok(Vec::new());
        }
        let roster = roster.clone();
        Ok(apart("expected", move || roster.failed_expectations()).await??)
    }

    /// Checks the configuration without its sources, but for the columns of those whose header can be read.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn validate_rules(&self) -> Result<(), Error> {
        let (config, now) = (self.config, self.now());
        apart("rules", move || roster::check_rules(config, now)).await??;
        Ok(())
    }

    /// Reads the sources and adds up the roster, of all or of one contact alone, without the record.
    ///
    /// # Errors
    /// What is wrong with them.
    pub async fn declared(&self, contact: Option<&ContactId>) -> Result<Roster<'static>, Error> {
        let (config, now, contact) = (self.config, self.now(), contact.cloned());
        let record = Recorded::Empty("`roster` reads no record");
        let build = move || match contact {
            Some(contact) => roster::build_for(config, contact.as_str(), now, record),
            None => roster::build(config, now, record),
        };
        Ok(apart("roster", build).await??)
    }

    /// Reads the sources and adds up the roster. The record goes on being read meanwhile, but it is opened before them: what
    /// another run does by newer sources than these has to be seen under the lock as a later change of the record. What queries
    /// ask of it is of the same moment.
    ///
    /// # Errors
    /// What is wrong with the sources, which is reported first since it is what people change; or with the record.
    pub(super) async fn roster(
        &self,
        now: Timestamp,
    ) -> Result<(Arc<Roster<'static>>, (Checked, Snapshot)), Error> {
        let config = self.config;
        let (snapshot, record) = match self.recorded().await? {
            Some((snapshot, record)) => (Ok(snapshot), record),
            None => (self.snapshot(&[]).await, None),
        };
        let merged = match &snapshot {
            Ok((_, snapshot)) => snapshot.merged.clone(),
            Err(_) => Vec::new(),
        };
        let build = move || {
            let past = Past {
                record: as_recorded(record.as_deref()),
                merged: &merged,
            };
            roster::build(config, now, past)
        };
        let roster = apart("roster", build).await??;
        let mut snapshot = snapshot.map_err(Error::NotPlanned)?;
        // Only now is it known whom to look up under other ids. What has changed meanwhile is seen under the lock.
        if !roster.people().is_empty() {
            let serial = snapshot.1.serial;
            snapshot = self.snapshot_of(&roster).await?;
            snapshot.1.serial = serial.min(snapshot.1.serial);
        }
        Ok((Arc::new(roster), snapshot))
    }

    /// The same, of one contact alone.
    pub(super) async fn roster_of(
        &self,
        contact: &ContactId,
        now: Timestamp,
    ) -> Result<Roster<'static>, Error> {
        let (config, contact) = (self.config, contact.clone());
        let record = self.recorded().await?.and_then(|(_, record)| record);
        let merged = self.record.merged().await.map_err(Error::NotPlanned)?;
        let build = move || {
            let past = Past {
                record: as_recorded(record.as_deref()),
                merged: &merged,
            };
            roster::build_for(config, contact.as_str(), now, past)
        };
        Ok(apart("roster", build).await??)
    }

    /// Checks that sources have not lost their rows since the last apply, besides those of which that is allowed, and what
    /// the configuration expects of its roster.
    async fn check_roster(
        &self,
        roster: &Arc<Roster<'static>>,
        scope: &Scope,
    ) -> Result<(), Error> {
        let list = match self.config.sources.iter().any(|s| s.max_shrink.is_some()) {
            true => shrunk(roster, &self.applied_sources().await?, &scope.allow_shrink),
            false => Vec::new(),
        };
        self.check_expected(roster, list).await
    }

    /// Checks that sources have what they had at the last apply. In one that has not, somebody may be missing who is declared.
    pub(super) async fn check_whole(&self, roster: &Roster<'_>) -> Result<(), Error> {
        self.none_of(self.not_whole(roster).await?)
    }

    /// What sources have lost since the last apply.
    pub(super) async fn not_whole(&self, roster: &Roster<'_>) -> Result<Vec<Diagnostic>, Error> {
        let applied = self.applied_sources().await?;
        let mut list = shrunk(roster, &applied, &[]);
        list.extend(plan::not_whole(roster, &applied));
        Ok(list)
    }

    /// That there are problems, where there are any.
    fn none_of(&self, list: Vec<Diagnostic>) -> Result<(), Error> {
        if list.is_empty() {
            return Ok(());
        }
        let files = self.config.files.clone();
        Err(Problems { list, files }.into())
    }

    /// Checks what the configuration expects of its roster. Where it is not so, or anything else is wrong, nothing is to be
    /// planned.
    pub(super) async fn check_expected(
        &self,
        roster: &Arc<Roster<'static>>,
        mut list: Vec<Diagnostic>,
    ) -> Result<(), Error> {
        list.extend(self.unmet(roster).await?);
        self.none_of(list)
    }

    /// Makes the roster and the plan.
    ///
    /// # Errors
    /// What is wrong with the sources or the record.
    pub async fn plan(&self, scope: Scope) -> Result<Planned, Error> {
        self.check_names("source", scope.allow_shrink.iter().map(String::as_str))?;
        let (roster, snapshot) = self.roster(scope.now).await?;
        self.check_roster(&roster, &scope).await?;
        self.merge(roster, snapshot, scope, true).await
    }

    /// Makes the plan of a roster that is there. `is_sent` is whether it is to be sent: if not, nothing is deferred.
    pub(super) async fn plan_of(
        &self,
        roster: Arc<Roster<'static>>,
        scope: Scope,
        is_sent: bool,
    ) -> Result<Planned, Error> {
        let snapshot = self.snapshot_of(&roster).await?;
        self.merge(roster, snapshot, scope, is_sent).await
    }

    /// Looks at which record it is, and then reads it, with what it has of the other ids of people at hand.
    async fn snapshot_of(&self, roster: &Roster<'_>) -> Result<(Checked, Snapshot), Error> {
        let others = roster.people().others().map(|(id, _)| id.clone());
        let snapshot = self.snapshot(&others.collect::<Vec<_>>()).await;
        snapshot.map_err(Error::NotPlanned)
    }

    async fn snapshot(&self, others: &[ContactId]) -> Result<(Checked, Snapshot), RecordError> {
        let checked = self.check().await?;
        Ok((checked, self.record.snapshot_with(others).await?))
    }

    pub(super) async fn applied_sources(&self) -> Result<BTreeMap<String, AppliedSource>, Error> {
        let applied = self.record.applied_sources().await;
        applied.map_err(Error::NotPlanned)
    }

    /// What was sent before, as far as a limit of what a plan triggers asks for it.
    pub(super) async fn sent(
        &self,
        now: Timestamp,
        roster: &Roster<'_>,
        plan: &Plan,
    ) -> Result<Sent, Error> {
        Ok(Sent {
            on_the_day: self.on_the_day(now).await?,
            of_contacts: self.of_contacts(now, roster, plan).await?,
        })
    }

    /// When each contact that is to be triggered was triggered before, where `[limit] per_contact` asks for it.
    async fn of_contacts(
        &self,
        now: Timestamp,
        roster: &Roster<'_>,
        plan: &Plan,
    ) -> Result<HashMap<String, Vec<Timestamp>>, Error> {
        let config = self.config;
        let mut times: HashMap<String, Vec<Timestamp>> = HashMap::new();
        let Some(limit) = &config.per_contact else {
            return Ok(times);
        };
        let since = SignedDuration::try_from(limit.span).and_then(|span| now.checked_sub(span));
        // Calls keep the id by which they were made.
        let people = roster.people();
        let ids = plan.limited(config, roster).into_iter();
        let ids = ids
            .flat_map(|contact| people.ids(contact))
            .map(ContactId::new);
        // All were checked when they were read.
        let ids: Vec<ContactId> = ids.filter_map(Result::ok).collect();
        let triggers = self.record.triggers(&ids, since.unwrap_or(Timestamp::MIN));
        let triggers = triggers.await;
        let automation =
            |name: &AutomationName| config.automations.iter().find(|a| a.name == *name);
        let mut services: HashMap<AutomationName, bool> = HashMap::new();
        for (contact, name, at) in triggers.map_err(Error::NotPlanned)? {
            // So they do the name.
            let is_service = *services.entry(name).or_insert_with_key(|name| {
                let moved = || automation(config.moved_to(name)?);
                automation(name)
                    .or_else(moved)
                    .is_some_and(Automation::is_service)
            });
            if !is_service {
                let kept = match is_planted(Planted::LimitOfOneId) {
                    true => contact,
                    false => people.kept(&contact).to_owned(),
                };
                times.entry(kept).or_default().push(at);
            }
        }
        Ok(times)
    }

    /// How many triggers of each automation were sent on the day, where a `max_per_day` asks for it.
    async fn on_the_day(&self, now: Timestamp) -> Result<BTreeMap<AutomationName, u64>, Error> {
        let config = self.config;
        if config.automations.iter().all(|a| a.max_per_day.is_none()) {
            return Ok(BTreeMap::new());
        }
        let (start, end) = plan::day(now, &config.zone);
        let sent = self.record.sent(start, end).await;
        // Calls keep the name by which they were made.
        let is_configured =
            |name: &AutomationName| config.automations.iter().any(|a| a.name == *name);
        let mut by_name = BTreeMap::new();
        for (name, count) in sent.map_err(Error::NotPlanned)? {
            let moved = config.moved_to(&name).filter(|_| !is_configured(&name));
            *by_name.entry(moved.cloned().unwrap_or(name)).or_insert(0) += count;
        }
        Ok(by_name)
    }

    /// Merges roster and record on a thread that may take its time.
    pub(super) async fn merge(
        &self,
        roster: Arc<Roster<'static>>,
        (record, snapshot): (Checked, Snapshot),
        mut scope: Scope,
        is_sent: bool,
    ) -> Result<Planned, Error> {
        let people = roster.people();
        if let Some(contact) = &mut scope.filter.contact
            && let Ok(kept) = ContactId::new(people.kept(contact.as_str()))
        {
            *contact = kept;
        }
        let applied_sources = self.applied_sources().await?;
        let (config, now, is_trial) = (self.config, scope.now, self.is_trial);
        let since = counted_since(scope.clock, snapshot.counted_from);
        let record_serial = snapshot.serial;
        let (applied, done) = (snapshot.applied, snapshot.moved);
        let steps = config.steps_of_moves(&done);
        let planning = {
            let (roster, filter) = (roster.clone(), scope.filter.clone());
            let recorded = snapshot.participations.parts();
            let ids = people.others();
            let merged = Merged {
                ids: ids.map(|(id, kept)| (id.clone(), kept.clone())).collect(),
                done: snapshot.merged.into_iter().collect(),
                on_record: snapshot.asked,
            };
            let merged = match is_planted(Planted::MergeForgotten) {
                true => Merged::default(),
                false => merged,
            };
            move || {
                let times = (now, since);
                Plan::build(config, &roster, recorded, &filter, times, steps, merged)
            }
        };
        let mut plan = apart("plan", planning).await??;
        let sent = match is_sent {
            true => Some(self.sent(now, &roster, &plan).await?),
            false => None,
        };
        let finishing = {
            let (roster, filter) = (roster.clone(), scope.filter.clone());
            move || -> Result<Plan, Error> {
                if let Some(sent) = sent {
                    plan.defer(config, &roster, &sent, now);
                }
                plan.narrow(&filter, config, &roster);
                if !is_trial {
                    give_reasons(config, &roster, &mut plan)?;
                }
                Ok(plan)
            }
        };
        let mut plan = apart("plan", finishing).await??;
        plan.doubt_lists(config, &roster, &applied_sources);
        Ok(Planned {
            guard: Guard::check(&plan, config, &roster, &applied, &applied_sources),
            start: start(config, &plan, &scope.filter, &applied, &done),
            plan: Arc::new(plan),
            applied_sources: Arc::new(applied_sources),
            scope,
            roster,
            record,
            record_serial,
            config,
        })
    }
}

/// The sources that have lost their rows since the last apply, besides those of which that is allowed.
fn shrunk(
    roster: &Roster<'_>,
    applied: &BTreeMap<String, AppliedSource>,
    allowed: &[String],
) -> Vec<Diagnostic> {
    roster.shrunk(|name| {
        let source = applied.get(name)?;
        let is_allowed = allowed.iter().any(|allowed| allowed == name);
        (!is_allowed).then_some((source.rows, source.at))
    })
}

/// Does what may take its time on a thread of its own.
pub(super) async fn apart<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let done = threads::apart(name, work).await;
    done.map_err(|error| Error::NoThread(name, error))
}

/// A time as it is shown and saved.
pub(super) fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

impl Scope {
    /// The same for a whole second, which is what is shown and saved of a plan: so it can be made again for the same time.
    pub fn for_whole_second(mut self) -> Self {
        self.now = whole_second(self.now);
        self
    }
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
        merges: plan.merges.clone(),
    }
}

/// For so many of those who leave it is looked up at once why: it takes memory for each of them, and a pass over the rows'
/// index for all.
const LOOKED_UP: usize = 100_000;

/// Puts into a plan why the enrolments of what it stops are gone.
pub(super) fn give_reasons(
    config: &Config,
    roster: &Roster<'_>,
    plan: &mut Plan,
) -> Result<(), Error> {
    let keys = plan.leaving();
    let by_name: HashMap<&AutomationName, usize> =
        (config.automations.iter().map(|a| &a.name).zip(0..)).collect();
    let index = |name: &AutomationName| by_name.get(name).copied();
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
        let asked = keys.iter().zip(&places).map(|(key, automation)| {
            let automation = automation.ok_or("the automation is gone from the configuration")?;
            let (contact, occurrence) = (key.contact.as_str(), key.occurrence.as_ref());
            let occurrence = occurrence.map(|o| o.as_str());
            match plan.displaced(roster, contact, automation, occurrence) {
                Some(displaced) => Err(Cow::from(displaced.reason(config))),
                None => Ok(Undeclared {
                    contact,
                    automation,
                    occurrence,
                }),
            }
        });
        let asked: Vec<Result<Undeclared<'_>, Cow<'_, str>>> = asked.collect();
        let known: Vec<Undeclared<'_>> = asked.iter().flatten().copied().collect();
        let mut found = roster.absence(&known)?.into_iter();
        reasons.extend(asked.iter().map(|asked| match asked {
            Ok(_) => once(&found.next().unwrap_or_default()),
            Err(known) => once(known),
        }));
    }
    plan.give_reasons(reasons);
    Ok(())
}
