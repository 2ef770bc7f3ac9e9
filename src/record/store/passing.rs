//! A record that ends with the process: of what was only tried.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::world::{Moment, World};
use super::{Acquired, Lease, Store, View};
use crate::id::RecordId;
use crate::record::batch::Batch;
use crate::record::error::{Holder, JournalError, LockError, RecordError};
use crate::record::host;
use crate::record::identity::Witness;
use crate::record::writing::LockRequest;

/// A record in memory that one run after the other writes to.
#[derive(Debug, Default)]
pub struct Passing {
    world: Arc<Mutex<Arc<World>>>,
}

fn lock(world: &Mutex<Arc<World>>) -> MutexGuard<'_, Arc<World>> {
    // Nothing panics while it holds this.
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn moment(world: &Mutex<Arc<World>>) -> Moment {
    Moment::of(lock(world).clone(), None)
}

#[async_trait]
impl Store for Passing {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn witness(&self) -> Option<Witness> {
        None
    }

    async fn read(&self) -> Result<Option<Box<dyn View>>, RecordError> {
        let moment = moment(&self.world);
        Ok(match moment.world.id {
            Some(_) => Some(Box::new(moment)),
            None => None,
        })
    }

    async fn acquire(&self, request: &LockRequest) -> Result<Acquired, LockError> {
        let mut world = lock(&self.world);
        if let Some(other) = &world.holder {
            return Err(LockError::Held(other.clone()));
        }
        let is_made = world.id.is_none();
        let world = Arc::make_mut(&mut world);
        world.id = (world.id.or(request.expected.id)).or_else(|| Some(RecordId::new()));
        let at = jiff::Timestamp::UNIX_EPOCH;
        world.holder = Some(Holder {
            holder: uuid::Uuid::new_v4().to_string(),
            host: host::name(),
            pid: std::process::id(),
            process: None,
            command: request.command.clone(),
            acquired_at: at,
            heartbeat_at: at,
        });
        let world = self.world.clone();
        let lease = Box::new(Held { world, view: None });
        Ok(Acquired { lease, is_made })
    }

    async fn unlock(&self, _: &Holder) -> Result<(), LockError> {
        Arc::make_mut(&mut lock(&self.world)).holder = None;
        Ok(())
    }
}

struct Held {
    world: Arc<Mutex<Arc<World>>>,
    /// What was read last. It is dropped before anything is written, so that no copy is made of the whole.
    view: Option<Moment>,
}

#[async_trait]
impl Lease for Held {
    fn view(&mut self) -> &mut dyn View {
        self.view.insert(moment(&self.world))
    }

    async fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        self.view = None;
        Arc::make_mut(&mut lock(&self.world)).write(batch);
        Ok(())
    }

    async fn wipe(&mut self) -> Result<bool, JournalError> {
        Ok(true)
    }

    async fn release(mut self: Box<Self>) -> Result<(), JournalError> {
        self.view = None;
        Arc::make_mut(&mut lock(&self.world)).holder = None;
        Ok(())
    }
}
