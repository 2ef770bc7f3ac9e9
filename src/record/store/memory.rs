//! A record in memory, for tests: what lies on the disk, and what befalls it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;

use super::world::{Moment, Sent, World};
use super::{Acquired, Lease, Store, View, Watch};
use crate::failpoint::{Planted, is_planted};
use crate::id::{ContactId, ParticipationId, RecordId, TriggerCode};
use crate::record::batch::{Batch, RunStep};
use crate::record::call::{CallId, CallKind};
use crate::record::error::{DEAD_AFTER, Holder, JournalError, LockError, RecordError};
use crate::record::host;
use crate::record::identity::Witness;
use crate::record::participation::{Key, State};
use crate::record::read::Listed;
use crate::record::recovery::LEFT_OPEN;
use crate::record::writing::LockRequest;

/// A record in memory. All clones of it are the same record.
#[derive(Debug, Clone)]
pub struct Memory {
    kept: Arc<Mutex<Kept>>,
    fate: Arc<dyn Fate>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            kept: Arc::default(),
            fate: Arc::new(Good),
        }
    }
}

/// What is on record of a participation.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What it is of.
    pub key: Key,
    /// Where it stands.
    pub state: State,
    /// Its ids.
    pub ids: Vec<ParticipationId>,
    /// The id that was triggered.
    pub triggered_as: ContactId,
}

impl Standing {
    fn of(listed: &Listed) -> Self {
        let of = &listed.participation;
        let triggered_as = of.triggered_as.as_ref();
        Self {
            key: of.key.clone(),
            state: of.state,
            ids: listed.ids.clone(),
            triggered_as: triggered_as.unwrap_or(&of.key.contact).clone(),
        }
    }
}

/// What befalls a run, and on which host it is.
#[async_trait]
pub trait Fate: Debug + Send + Sync {
    /// Comes before each step that others could see, and behind it. A run that was killed goes no further.
    async fn step(&self, _: &'static str) {}

    /// What becomes of the next commit.
    fn disk(&self) -> Disk {
        Disk::Keeps
    }

    /// What its lock is called.
    fn holder(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }

    /// The name of its host.
    fn host(&self) -> String {
        host::name()
    }

    /// Whether a run of this host is alive.
    fn is_alive(&self, _holder: &str) -> bool {
        true
    }
}

/// What a disk does with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// It keeps it.
    Keeps,
    /// It is full.
    IsFull,
    /// It keeps it, and says that it does not.
    KeepsAndDenies,
    /// The connection to the server is lost; the commit reaches it this much later, or never.
    Lost(Option<Duration>),
}

/// The fate of a run that goes well.
#[derive(Debug)]
struct Good;

impl Fate for Good {}

/// What lies on the disk.
#[derive(Debug, Clone, Default)]
struct Kept {
    world: Arc<World>,
    /// The record before the last commit, where that is not on the disk for certain yet.
    before: Option<Arc<World>>,
    witness: Option<Witness>,
    /// Where it is on a server.
    server: Option<Server>,
}

/// A server, with replicas that lag behind.
#[derive(Debug, Clone, Default)]
struct Server {
    /// How often it went over to a replica.
    timeline: i64,
    /// What a replica may be at.
    past: Vec<Arc<World>>,
    /// What was lost at the end of each timeline.
    lost: Vec<Arc<World>>,
    /// The timeline on which each holder took the lock.
    leases: BTreeMap<String, i64>,
    /// The row of the lock, which a transaction keeps to its end.
    row: Arc<tokio::sync::Mutex<()>>,
}

impl Memory {
    /// Lets somebody else take the lock, whoever holds it.
    pub fn steal(&self) {
        let mut kept = self.kept();
        if let Some(holder) = &mut Arc::make_mut(&mut kept.world).holder {
            holder.holder = "somebody else".to_owned();
        }
    }

    /// One on a server.
    pub fn on_server() -> Self {
        let memory = Self::default();
        memory.kept().server = Some(Server::default());
        memory
    }

    /// The server goes over to a replica that lacks so many of the last commits. The keys that this changes, each with how
    /// many triggers the replica does not know of; `None` where there is no such replica.
    pub fn fail_over(&self, lacks: usize) -> Option<BTreeMap<Key, usize>> {
        let mut kept = self.kept();
        let newest = kept.world.clone();
        let server = kept.server.as_mut()?;
        let at = server.past.len().checked_sub(lacks)?;
        let replica = server.past.get(at).unwrap_or(&newest).clone();
        // Of what was just begun, a replica has nothing that could be doubted.
        replica.noted_timeline?;
        server.past.truncate(at);
        server.timeline += 1;
        server.lost.push(newest.clone());
        server.row = Arc::default();
        kept.world = replica.clone();
        let mut keys = BTreeMap::new();
        let sides = [&newest, &replica];
        for key in sides.iter().flat_map(|world| world.participations.keys()) {
            let [new, old] = sides.map(|world| world.participations.get(key));
            let state = |of: Option<&Listed>| of.map(|of| (of.participation.state, of.ids.clone()));
            if state(new) != state(old) {
                keys.insert(key.clone(), 0);
            }
        }
        let lost = newest.calls.iter();
        for (_, call) in lost.filter(|(id, _)| !replica.calls.contains_key(id)) {
            let times = keys.entry(call.key.clone()).or_default();
            *times += usize::from(call.intent.kind == CallKind::Trigger);
        }
        Some(keys)
    }

    /// Whether the server went over to a replica since a run took the lock.
    pub fn is_cut_off(&self, holder: &str) -> bool {
        let kept = self.kept();
        let server = kept.server.as_ref();
        server.is_some_and(|of| of.leases.get(holder).is_some_and(|at| *at != of.timeline))
    }

    /// Whether it is to be accepted before anything is sent by it.
    pub fn is_doubted(&self) -> bool {
        let kept = self.kept();
        let noted = kept.world.noted_timeline;
        let server = kept.server.as_ref();
        server.is_some_and(|of| noted.is_some_and(|noted| noted != of.timeline))
    }

    /// The record as a run knows it that is cut off, or as it is.
    fn known_to(&self, holder: &str) -> Arc<World> {
        let kept = self.kept();
        let lost = kept.server.as_ref().and_then(|of| {
            let at = of.leases.get(holder)?;
            of.lost.get(usize::try_from(*at).ok()?)
        });
        lost.or(kept.before.as_ref()).unwrap_or(&kept.world).clone()
    }

    /// The same record, for a run with a fate of its own.
    pub fn with(&self, fate: Arc<dyn Fate>) -> Self {
        let kept = self.kept.clone();
        Self { kept, fate }
    }

    /// Another record that is as this one is now.
    pub fn copy(&self) -> Self {
        Self {
            kept: Arc::new(Mutex::new(self.kept().clone())),
            fate: self.fate.clone(),
        }
    }

    /// Puts a copy in the place of the record. What is known beside it of how far it was stays.
    pub fn put_back(&self, copy: &Memory) {
        let world = copy.kept().world.clone();
        self.kept().world = world;
    }

    /// Forgets the last commit, where it is not on the disk for certain.
    pub fn cut_power(&self) {
        let mut kept = self.kept();
        if let Some(before) = kept.before.take() {
            kept.world = before;
        }
    }

    /// Its serial.
    pub fn serial(&self) -> u64 {
        self.kept().world.serial
    }

    /// The highest serial that is known beside it.
    pub fn seen(&self) -> u64 {
        self.kept().witness.map_or(0, |witness| witness.serial)
    }

    /// Who holds the lock.
    pub fn holder(&self) -> Option<String> {
        let kept = self.kept();
        kept.world.holder.as_ref().map(|of| of.holder.clone())
    }

    /// Whether a run holds the lock, as far as the server knows on which it took it.
    pub fn is_held_by(&self, holder: &str) -> bool {
        let world = self.known_to(holder);
        world.holder.as_ref().is_some_and(|of| of.holder == holder)
    }

    /// The call of this kind by a run that is on the disk for certain and has no outcome yet, and what it is for.
    pub fn announced(
        &self,
        holder: &str,
        kind: CallKind,
        is_of: impl Fn(CallId, &ContactId) -> bool,
        code: &TriggerCode,
        participation: Option<&ParticipationId>,
    ) -> Option<(CallId, Key)> {
        let world = self.known_to(holder);
        let is_it = |id: CallId, call: &Sent| {
            let of = &call.intent;
            call.settled.is_none()
                && of.kind == kind
                && is_of(id, &call.key.contact)
                && of.trigger_code == *code
                && of.participation.as_ref() == participation
        };
        let mut calls = world.calls.iter().rev();
        let found = calls.find(|(id, call)| is_it(**id, call));
        found.map(|(id, call)| (*id, call.key.clone()))
    }

    /// What is on record of a participation.
    pub fn standing(&self, key: &Key) -> Option<Standing> {
        let kept = self.kept();
        kept.world.participations.get(key).map(Standing::of)
    }

    /// The same by the id that was triggered, where the person has another one since.
    pub fn triggered_as(&self, key: &Key) -> Option<Standing> {
        let kept = self.kept();
        let all = &kept.world.participations;
        let as_other = || {
            all.values().find(|listed| {
                let of = &listed.participation;
                of.triggered_as.as_ref() == Some(&key.contact) && of.key.is_same_run(key)
            })
        };
        // Under its own id only where it was triggered under that one.
        let own = |listed: &&Listed| listed.participation.triggered_as.is_none();
        let found = all.get(key).filter(own).or_else(as_other);
        found.map(Standing::of)
    }

    /// The ids that are on record as other ones of the same people, for certain.
    pub fn merged(&self) -> Vec<ContactId> {
        let kept = self.kept();
        let world = kept.before.as_ref().unwrap_or(&kept.world);
        let merged = world.applied.merged.iter();
        merged.map(|(from, _)| from.clone()).collect()
    }

    /// Whether a call for it has no outcome yet.
    pub fn is_open(&self, key: &Key) -> bool {
        let kept = self.kept();
        let mut calls = kept.world.calls.values();
        calls.any(|call| {
            let mut affected = call.intent.affected.iter();
            call.settled.is_none() && affected.any(|(of, _)| of == key)
        })
    }

    /// The calls that were left open by runs that were cut short.
    pub fn left_open(&self) -> Vec<(CallId, ContactId)> {
        let kept = self.kept();
        let is_left = |sent: &Sent| {
            let settled = sent.settled.as_ref();
            settled.is_some_and(|of| of.detail.as_deref() == Some(LEFT_OPEN))
        };
        let left = kept.world.calls.iter().filter(|(_, sent)| is_left(sent));
        left.map(|(id, sent)| (*id, sent.key.contact.clone()))
            .collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it holds this.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> Moment {
        let kept = self.kept();
        Moment::of(
            kept.world.clone(),
            kept.server.as_ref().map(|of| of.timeline),
        )
    }

    /// Takes the lock, unless a holder keeps it.
    fn take(
        &self,
        request: &LockRequest,
        watch: &mut Watch,
    ) -> Result<Result<bool, Holder>, RecordError> {
        let mut kept = self.kept();
        let row = kept.server.as_ref().map(|of| of.row.clone());
        let row = row.as_ref().map(|row| row.try_lock());
        if let Some(other) = &kept.world.holder {
            if matches!(row, Some(Err(_))) {
                return Ok(Err(other.clone()));
            }
            let is_alive = match other.host == self.fate.host() {
                true => self.fate.is_alive(&other.holder),
                false => watch.is_alive(other, Instant::now()),
            };
            if is_alive {
                return Ok(Err(other.clone()));
            }
        }
        let is_made = kept.world.id.is_none();
        if is_made && !request.may_begin {
            let path = self.path().to_owned();
            return Err(RecordError::Missing { path });
        }
        let at = Timestamp::UNIX_EPOCH;
        kept.remember();
        if let Some(server) = &mut kept.server {
            server.leases.insert(self.fate.holder(), server.timeline);
        }
        let world = Arc::make_mut(&mut kept.world);
        world.batch = 0;
        world.id = world
            .id
            .or(request.expected.id)
            .or_else(|| Some(RecordId::new()));
        world.holder = Some(Holder {
            holder: self.fate.holder(),
            host: self.fate.host(),
            pid: std::process::id(),
            process: None,
            command: request.command.clone(),
            acquired_at: at,
            heartbeat_at: at,
        });
        Ok(Ok(is_made))
    }
}

impl Kept {
    /// Keeps what is there for a replica that lags.
    fn remember(&mut self) {
        const MOST: usize = 4;
        let world = self.world.clone();
        if let Some(server) = &mut self.server {
            server.past.push(world);
            let more = server.past.len().saturating_sub(MOST);
            server.past.drain(..more);
        }
    }
}

/// How often a waiting run looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// For how long a row is waited for that another transaction keeps.
const ROW: Duration = Duration::from_secs(10);

#[async_trait]
impl Store for Memory {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn witness(&self) -> Option<Witness> {
        self.kept().witness
    }

    async fn read(&self) -> Result<Option<Box<dyn View>>, RecordError> {
        self.fate.step("read").await;
        let view = self.view();
        Ok(match view.world.id {
            Some(_) => Some(Box::new(view)),
            None => None,
        })
    }

    async fn acquire(&self, request: &LockRequest) -> Result<Acquired, LockError> {
        let until = Instant::now() + request.timeout;
        let mut watch = Watch::default();
        let is_made = loop {
            self.fate.step("lock").await;
            match self.take(request, &mut watch)? {
                Ok(is_made) => break is_made,
                Err(other) if Instant::now() >= until => return Err(LockError::Held(other)),
                Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
            }
        };
        let holder = self.holder().unwrap_or_default();
        let lease = Box::new(Held {
            memory: self.clone(),
            view: self.view(),
            holder,
            batch: 0,
            tried: 0,
            until: Instant::now() + DEAD_AFTER,
        });
        self.fate.step("locked").await;
        Ok(Acquired { lease, is_made })
    }

    async fn unlock(&self, holder: &Holder) -> Result<(), LockError> {
        self.give_back(&holder.holder);
        Ok(())
    }
}

impl Memory {
    fn give_back(&self, holder: &str) {
        if self.is_cut_off(holder) {
            return;
        }
        let mut kept = self.kept();
        let world = Arc::make_mut(&mut kept.world);
        world.holder.take_if(|other| other.holder == holder);
    }
}

struct Held {
    memory: Memory,
    view: Moment,
    holder: String,
    /// The number of the last batch that is known to be committed to a server.
    batch: i64,
    /// The number of the last one that was tried.
    tried: i64,
    /// Until when a lost connection is made again.
    until: Instant,
}

/// What a server finds of the transaction that a connection begins.
enum Fence {
    Holds,
    /// It was committed before.
    Was,
}

impl Held {
    /// Writes a batch, which is not on the disk for certain yet.
    fn write(&self, batch: &Batch) -> Result<(), JournalError> {
        let mut kept = self.memory.kept();
        let before = kept.world.clone();
        let world = Arc::make_mut(&mut kept.world);
        match &mut world.holder {
            Some(holder) if holder.holder == self.holder => {
                let next = holder.heartbeat_at + Duration::from_millis(1);
                holder.heartbeat_at = next.max(batch.at);
            }
            _ if is_planted(Planted::FenceNotChecked) => {}
            _ if is_planted(Planted::ServerFenceNotChecked) && self.view.timeline.is_some() => {}
            _ => return Err(JournalError::LockLost),
        }
        world.write(batch);
        world.batch = self.tried;
        kept.before = Some(before);
        Ok(())
    }

    /// What a server says of a transaction before it writes anything.
    fn fence(&self) -> Result<Fence, JournalError> {
        if self.memory.is_cut_off(&self.holder) && !is_planted(Planted::FailoverNotSeen) {
            let what = "the record is in another place than when this run began";
            return Err(JournalError::Store(what.to_owned()));
        }
        let kept = self.memory.kept();
        let is_held = (kept.world.holder.as_ref()).is_some_and(|of| of.holder == self.holder);
        match kept.world.batch {
            _ if is_planted(Planted::ServerFenceNotChecked) => Ok(Fence::Holds),
            _ if is_planted(Planted::FailoverNotSeen) => Ok(Fence::Holds),
            _ if !is_held => Err(JournalError::LockLost),
            found if found == self.tried => Ok(Fence::Was),
            found if (self.batch..self.tried).contains(&found) => Ok(Fence::Holds),
            _ => Err(JournalError::RecordLost("memory".into())),
        }
    }

    /// Writes what a server keeps at once, whatever comes after it.
    fn write_to_server(&self, batch: &Batch) -> Result<(), JournalError> {
        self.memory.kept().remember();
        self.write(batch)?;
        let mut kept = self.memory.kept();
        kept.before = None;
        let timeline = kept.server.as_ref().map(|of| of.timeline);
        if let Some(RunStep::Begin { mark: Some(_), .. }) = &batch.run {
            Arc::make_mut(&mut kept.world).noted_timeline = timeline;
        }
        Ok(())
    }

    /// The same over a connection that may be lost, as the store of PostgreSQL does it.
    async fn commit_to_server(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let fate = self.memory.fate.clone();
        let begun = Instant::now();
        self.tried += 1;
        loop {
            let row = self.memory.kept().server.as_ref().map(|of| of.row.clone());
            let row = row.unwrap_or_default().lock_owned();
            let Ok(mut row) = tokio::time::timeout(ROW, row).await.map(Some) else {
                let what = "another transaction keeps it busy";
                return Err(JournalError::Store(what.to_owned()));
            };
            if let Fence::Was = self.fence()? {
                break;
            }
            match fate.disk() {
                Disk::IsFull => return Err(JournalError::Store("the disk is full".to_owned())),
                Disk::Keeps => {
                    self.write_to_server(batch)?;
                    break;
                }
                Disk::KeepsAndDenies => self.write_to_server(batch)?,
                Disk::Lost(None) => {}
                Disk::Lost(Some(late)) => {
                    let held = Self {
                        memory: self.memory.clone(),
                        view: self.memory.view(),
                        holder: self.holder.clone(),
                        ..*self
                    };
                    let batch = batch.clone();
                    // The transaction is there until then, and keeps the row.
                    let row = row.take();
                    tokio::spawn(async move {
                        tokio::time::sleep(late).await;
                        if let Ok(Fence::Holds) = held.fence() {
                            let _ = held.write_to_server(&batch);
                        }
                        drop(row);
                    });
                }
            }
            if is_planted(Planted::CommitNotReadBack) {
                break;
            }
            // A server ends what was under way on a connection that is lost, also where the run is killed now.
            drop(row);
            fate.step("reconnect").await;
            if Instant::now() > self.until {
                let what = "the server cannot be reached";
                return Err(JournalError::Store(what.to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.batch = self.tried;
        self.until = begun + DEAD_AFTER;
        fate.step("committed").await;
        Ok(())
    }

    fn witness(&self, batch: &Batch) {
        let mut kept = self.memory.kept();
        kept.before = None;
        if let (Some(id), Some(serial)) = (kept.world.id, batch.serial) {
            kept.witness = Some(Witness { id, serial });
        }
    }
}

#[async_trait]
impl Lease for Held {
    fn view(&mut self) -> &mut dyn View {
        self.view = self.memory.view();
        &mut self.view
    }

    async fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let fate = self.memory.fate.clone();
        fate.step("commit").await;
        if self.view.timeline.is_some() {
            return self.commit_to_server(batch).await;
        }
        let disk = fate.disk();
        if disk == Disk::IsFull {
            return Err(JournalError::Store("the disk is full".to_owned()));
        }
        self.write(batch)?;
        fate.step("flush").await;
        self.witness(batch);
        if disk == Disk::KeepsAndDenies {
            return Err(JournalError::Store("the disk fails".to_owned()));
        }
        fate.step("committed").await;
        Ok(())
    }

    async fn wipe(&mut self) -> Result<bool, JournalError> {
        Ok(true)
    }

    async fn release(self: Box<Self>) -> Result<(), JournalError> {
        self.memory.fate.step("release").await;
        self.memory.give_back(&self.holder);
        Ok(())
    }
}
