//! All that is on record, in memory: the plainest thing that does what a store promises.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Applied, Page, View};
use crate::digest::Digest;
use crate::id::{AutomationName, ContactId, RecordId};
use crate::record::batch::{Batch, RunStep};
use crate::record::call::{CallId, CallKind, Intent, Settlement};
use crate::record::error::{Holder, RecordError};
use crate::record::guarded::AppliedSource;
use crate::record::identity::{DatabaseId, FileId, Found};
use crate::record::overview::Overview;
use crate::record::participation::{Key, State};
use crate::record::read::{Call, Listed};
use crate::record::recovery::OpenCall;
use crate::record::writer::{SAME_IDS, ids_json};

/// So many participations are on a page, or a few more: a contact is on one page. Few in tests, so that what is planned there is
/// put together of many parts.
const PAGE: usize = if cfg!(test) { 3 } else { 4096 };

/// All that is on record.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    /// `None` where there is no record yet.
    pub(super) id: Option<RecordId>,
    pub(super) serial: u64,
    /// The number of the last batch of the lock's holder.
    #[cfg(test)]
    pub(super) batch: i64,
    pub(super) noted: Option<(String, Option<Digest>)>,
    pub(super) noted_timeline: Option<i64>,
    pub(super) participations: BTreeMap<Key, Listed>,
    pub(super) calls: BTreeMap<CallId, Sent>,
    pub(super) runs: Vec<Run>,
    pub(super) holder: Option<Holder>,
    pub(super) applied: Applied,
    pub(super) sources: BTreeMap<String, AppliedSource>,
    pub(super) doubted_ids: BTreeSet<String>,
    /// The calls without an outcome.
    open: BTreeSet<CallId>,
    /// The calls by the time at which they were sent.
    by_time: BTreeSet<(Timestamp, CallId)>,
    /// Who may have each list of ids.
    having: HashMap<String, Vec<Key>>,
}

#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) intent: Intent,
    pub(super) key: Key,
    pub(super) at: Timestamp,
    pub(super) run: usize,
    pub(super) settled: Option<Settlement>,
}

#[derive(Debug, Clone)]
pub(super) struct Run {
    command: String,
    config_digest: Option<String>,
    git_revision: Option<String>,
    started_at: Timestamp,
    plan: Option<String>,
}

impl World {
    /// Keeps a participation.
    fn put(&mut self, listed: Listed) {
        let key = listed.participation.key.clone();
        if !listed.ids.is_empty() {
            let having = self.having.entry(ids_json(&listed.ids)).or_default();
            if !having.contains(&key) {
                having.push(key.clone());
            }
        }
        self.participations.insert(key, listed);
    }

    /// Writes a batch.
    pub(super) fn write(&mut self, batch: &Batch) {
        let at = batch.at;
        if let Some(RunStep::Begin {
            command,
            config_digest,
            git_revision,
            mark,
        }) = &batch.run
        {
            self.runs.push(Run {
                command: command.clone(),
                config_digest: config_digest.clone(),
                git_revision: git_revision.clone(),
                started_at: at,
                plan: None,
            });
            if mark.is_some() {
                self.noted.clone_from(mark);
            }
        }
        if let (Some(run), Some(plan)) = (self.runs.last_mut(), &batch.claim) {
            run.plan = Some(plan.clone());
        }
        for (from, to) in &batch.start.moves {
            self.rename(from, to);
        }
        self.applied
            .with
            .extend(batch.start.applied.iter().cloned());
        if let Some(blocks) = &batch.start.moved {
            self.applied.moved.clone_from(blocks);
        }
        let merges = &batch.start.merges;
        for merge in &merges.rows {
            for over in &merge.over {
                self.participations.remove(over);
            }
            if let Some(mut listed) = self.participations.remove(&merge.of) {
                merge.write_over(&mut listed.participation);
                self.put(listed);
            }
        }
        let mut merged: BTreeMap<_, _> = std::mem::take(&mut self.applied.merged)
            .into_iter()
            .collect();
        merged.extend(merges.ids.iter().cloned());
        self.applied.merged = merged.into_iter().collect();
        for (id, intent) in &batch.sent {
            if let Some((key, _)) = intent.affected.first() {
                let sent = Sent {
                    intent: intent.clone(),
                    key: key.clone(),
                    at,
                    run: self.runs.len() - 1,
                    settled: None,
                };
                self.calls.insert(*id, sent);
                self.open.insert(*id);
                self.by_time.insert((at, *id));
            }
        }
        for (id, settlement) in &batch.settled {
            if let Some(call) = self.calls.get_mut(id) {
                call.settled = Some(settlement.clone());
                self.open.remove(id);
            }
        }
        for whole in &batch.participations {
            let listed = whole.over(at, self.participations.get(&whole.key));
            self.put(listed);
        }
        for (key, state) in &batch.doubts {
            if let Some(listed) = self.participations.get_mut(key) {
                listed.participation.state = *state;
                listed.participation.detail = Some(SAME_IDS.to_owned());
                listed.participation.has_ids = false;
                listed.changed_at = at;
                listed.ids.clear();
            }
        }
        self.doubted_ids.extend(batch.doubted_ids.iter().cloned());
        for change in &batch.states {
            if let Some(listed) = self.participations.get_mut(&change.key) {
                change.write_over(at, listed);
            }
        }
        for (key, left_at) in &batch.marks {
            if let Some(listed) = self.participations.get_mut(key) {
                let of = &mut listed.participation;
                of.gone_at = match (left_at, of.left_at) {
                    (None, _) => None,
                    (Some(_), None) => Some(at),
                    (Some(_), Some(_)) => of.gone_at,
                };
                of.left_at = *left_at;
            }
        }
        for note in &batch.sources {
            let source = AppliedSource {
                rows: note.rows,
                ends_with_line_end: Some(note.ends_with_line_end),
                at,
            };
            self.sources.insert(note.name.clone(), source);
        }
        if batch.counts_anew {
            self.applied.counted_from = Some(at);
        }
        for contact in &batch.forgotten {
            self.participations.retain(|key, _| key.contact != *contact);
            self.calls.retain(|_, call| call.key.contact != *contact);
            let calls = &self.calls;
            self.open.retain(|id| calls.contains_key(id));
            self.by_time.retain(|(_, id)| calls.contains_key(id));
            let merged = &mut self.applied.merged;
            merged.retain(|(from, to)| from != contact && to != contact);
        }
        self.serial = batch.serial.unwrap_or(self.serial);
    }

    fn rename(&mut self, from: &AutomationName, to: &AutomationName) {
        let keys = self.participations.keys();
        let old: Vec<Key> = keys
            .filter(|key| key.automation == *from)
            .cloned()
            .collect();
        for key in old {
            let new = Key {
                automation: to.clone(),
                ..key.clone()
            };
            let runs =
                |of: Option<&Listed>| of.is_some_and(|of| of.participation.state.is_running());
            let (old, there) = (self.participations.get(&key), self.participations.get(&new));
            if there.is_some() && (runs(there) || !runs(old)) {
                continue;
            }
            if let Some(mut listed) = self.participations.remove(&key) {
                listed.participation.key = new;
                self.put(listed);
            }
        }
        if let Some(with) = self.applied.with.remove(from) {
            self.applied.with.insert(to.clone(), with);
        }
    }
}

/// The record as it was at one moment.
pub(super) struct Moment {
    pub(super) world: Arc<World>,
    /// That of the server, where it is on one.
    pub(super) timeline: Option<i64>,
    /// The last participation of the pages that were read.
    behind: Option<Key>,
}

/// Where a record is on a server with this timeline.
fn database(timeline: i64) -> DatabaseId {
    DatabaseId {
        system: None,
        timeline: Some(timeline),
        database: 1,
        tables: String::new(),
    }
}

impl Moment {
    /// The record as it is at this moment.
    pub(super) fn of(world: Arc<World>, timeline: Option<i64>) -> Self {
        Self {
            world,
            timeline,
            behind: None,
        }
    }

    /// All participations of a contact.
    fn of_contact(&self, contact: &ContactId) -> impl Iterator<Item = &Listed> {
        // No name sorts before this one.
        let first = AutomationName::new("!").map(|automation| Key {
            contact: contact.clone(),
            automation,
            occurrence: None,
        });
        let of = contact.clone();
        let rest = first.map(|first| self.world.participations.range(first..));
        let rest = rest.into_iter().flatten().map(|(_, listed)| listed);
        rest.take_while(move |listed| listed.participation.key.contact == of)
    }

    /// The triggers between two times that were carried out or are in doubt.
    fn triggers_sent(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Sent> {
        let sent = self.world.by_time.range((from, CallId(0))..(to, CallId(0)));
        let calls = sent.filter_map(|(_, id)| self.world.calls.get(id));
        calls.filter(|call| {
            let outcome = call.settled.as_ref().map(|of| of.outcome.as_str());
            call.intent.kind == CallKind::Trigger
                && matches!(outcome, None | Some("active" | "uncertain"))
        })
    }
}

#[async_trait]
impl View for Moment {
    async fn about(&mut self) -> Result<Found, RecordError> {
        let world = &self.world;
        let (host, account) = world.noted.clone().unzip();
        let mut states = world
            .participations
            .values()
            .map(|of| of.participation.state);
        Ok(Found {
            id: world.id.unwrap_or_else(RecordId::new),
            serial: world.serial,
            last_run: world.runs.last().map(|run| run.started_at),
            running: 0,
            file: FileId::default(),
            names: 1,
            is_exposed: false,
            noted_file: None,
            database: self.timeline.map(database),
            noted_database: world.noted_timeline.map(database),
            moved_to: None,
            noted_host: host,
            noted_account: account.flatten(),
            is_bound: states.any(State::may_have_run) || !world.open.is_empty(),
            witness: None,
        })
    }

    async fn standing(&mut self) -> Result<Applied, RecordError> {
        Ok(self.world.applied.clone())
    }

    async fn next_page(&mut self, _: bool) -> Result<Option<Page>, RecordError> {
        let start = self.behind.as_ref().map_or(Unbounded, Excluded);
        let mut rest = self
            .world
            .participations
            .range((start, Unbounded))
            .peekable();
        let mut page: Vec<Result<Listed, RecordError>> = Vec::new();
        let mut last = None;
        while let Some((key, listed)) = rest.next() {
            page.push(Ok(listed.clone()));
            last = Some(key);
            let is_last = rest
                .peek()
                .is_some_and(|(next, _)| next.contact != key.contact);
            if page.len() >= PAGE && is_last {
                break;
            }
        }
        let last = last.cloned();
        self.behind = last.or(self.behind.take());
        Ok((!page.is_empty()).then(|| Box::new(page.into_iter()) as Page))
    }

    async fn of_contacts(&mut self, contacts: &[ContactId]) -> Result<Page, RecordError> {
        let contacts: BTreeSet<&ContactId> = contacts.iter().collect();
        let found = contacts
            .into_iter()
            .flat_map(|contact| self.of_contact(contact));
        let found: Vec<_> = found.cloned().map(Ok).collect();
        Ok(Box::new(found.into_iter()))
    }

    async fn of_key(&mut self, key: &Key) -> Result<Option<Listed>, RecordError> {
        Ok(self.world.participations.get(key).cloned())
    }

    async fn with_ids(&mut self, ids: &[String]) -> Result<Page, RecordError> {
        let keys = ids
            .iter()
            .filter_map(|ids| Some((ids, self.world.having.get(ids)?)));
        let mut found = BTreeMap::new();
        for (ids, key) in keys.flat_map(|(ids, keys)| keys.iter().map(move |key| (ids, key))) {
            let listed = self.world.participations.get(key);
            // They may have got others since.
            if let Some(listed) = listed.filter(|of| ids_json(&of.ids) == *ids) {
                found.insert(key.clone(), listed.clone());
            }
        }
        Ok(Box::new(found.into_values().map(Ok)))
    }

    async fn doubted_ids(&mut self) -> Result<Vec<String>, RecordError> {
        Ok(self.world.doubted_ids.iter().cloned().collect())
    }

    async fn open_calls(&mut self) -> Result<Vec<OpenCall>, RecordError> {
        let open = self.world.open.iter();
        let open = open.filter_map(|id| Some((id, self.world.calls.get(id)?)));
        let open = open.map(|(id, call)| OpenCall {
            id: *id,
            kind: call.intent.kind,
            key: call.key.clone(),
            all: call.intent.all,
            trigger_code: call.intent.trigger_code.clone(),
            fields: call.intent.fields,
            sent_at: call.at,
        });
        Ok(open.collect())
    }

    async fn calls(
        &mut self,
        contacts: Option<&[ContactId]>,
        behind: CallId,
    ) -> Result<Vec<(CallId, Call)>, RecordError> {
        let calls = self.world.calls.range((Excluded(behind), Unbounded));
        let calls = calls.filter(|(_, call)| {
            contacts.is_none_or(|contacts| contacts.contains(&call.key.contact))
        });
        Ok(calls.map(|(id, call)| (*id, self.call(call))).collect())
    }

    async fn last_call(&mut self) -> Result<CallId, RecordError> {
        let last = self.world.calls.last_key_value();
        Ok(last.map_or(CallId(0), |(id, _)| *id))
    }

    async fn holder(&mut self) -> Result<Option<Holder>, RecordError> {
        Ok(self.world.holder.clone())
    }

    async fn states(&mut self) -> Result<BTreeMap<(AutomationName, State), u64>, RecordError> {
        let mut counts = BTreeMap::new();
        for Listed { participation, .. } in self.world.participations.values() {
            let key = (participation.key.automation.clone(), participation.state);
            *counts.entry(key).or_insert(0) += 1;
        }
        Ok(counts)
    }

    async fn sent(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<AutomationName, u64>, RecordError> {
        let mut counts = BTreeMap::new();
        for call in self.triggers_sent(from, to) {
            *counts.entry(call.key.automation.clone()).or_insert(0) += 1;
        }
        Ok(counts)
    }

    async fn triggers(
        &mut self,
        contacts: &[ContactId],
        since: Timestamp,
    ) -> Result<Vec<(String, AutomationName, Timestamp)>, RecordError> {
        let calls = self.triggers_sent(since, Timestamp::MAX);
        let calls = calls.filter(|call| call.at > since && contacts.contains(&call.key.contact));
        let of = |call: &Sent| {
            let key = &call.key;
            (
                key.contact.as_str().to_owned(),
                key.automation.clone(),
                call.at,
            )
        };
        Ok(calls.map(of).collect())
    }

    async fn sources(&mut self) -> Result<BTreeMap<String, AppliedSource>, RecordError> {
        Ok(self.world.sources.clone())
    }

    async fn applied_at(&mut self, plan: &str) -> Result<Option<Timestamp>, RecordError> {
        let mut runs = self.world.runs.iter();
        let run = runs.find(|run| run.plan.as_deref() == Some(plan));
        Ok(run.map(|run| run.started_at))
    }

    async fn overview(&mut self, _: Timestamp, _: Timestamp) -> Result<Overview, RecordError> {
        // Nobody draws a chart of it.
        Ok(Overview::default())
    }
}

impl Moment {
    fn call(&self, call: &Sent) -> Call {
        let run = &self.world.runs[call.run];
        let settled = call.settled.as_ref();
        let occurrence = call.key.occurrence.as_ref().filter(|_| !call.intent.all);
        Call {
            sent_at: call.at,
            kind: call.intent.kind.as_str().to_owned(),
            automation: call.key.automation.to_string(),
            contact: call.key.contact.to_string(),
            occurrence: occurrence.map(ToString::to_string),
            participation: call.intent.participation.as_ref().map(ToString::to_string),
            outcome: settled.map(|of| of.outcome.as_str().to_owned()),
            http_status: settled.and_then(|of| of.http_status).map(i64::from),
            detail: settled.and_then(|of| of.detail.clone()),
            entries: settled.and_then(|of| of.entries.clone()),
            command: run.command.clone(),
            config_digest: run.config_digest.clone(),
            git_revision: run.git_revision.clone(),
        }
    }
}
