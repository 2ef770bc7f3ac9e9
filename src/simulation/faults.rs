//! What befalls a run: it is slow, frozen, interrupted or killed, at a step that the seed names, and its disk fails.

use std::fmt;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::SetOnce;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::world::World;
use crate::id::ContactId;
use crate::record::{Disk, Fate};
use crate::spotler::Entry;

/// How much goes wrong in a world, in parts of a thousand.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    pub run: u32,
    pub call: u32,
    pub disk: u32,
}

/// One run, as long as it lives.
///
/// All that a run does outside of itself passes a step: reads, commits and calls, before and behind. Between two steps nobody
/// can tell where a run was killed, so to kill it at each step is to kill it at each await.
pub struct Life {
    pub world: Arc<World>,
    pub name: String,
    pub host: String,
    /// The exports that it may have read, from this version on.
    pub version: usize,
    pub interrupt: CancellationToken,
    /// What was answered last to a trigger on its connections, and for whom.
    pub last: Mutex<Option<(ContactId, Vec<Entry>)>>,
    steps: AtomicU64,
    kill_at: Option<u64>,
    freeze_at: Option<(u64, Duration)>,
    interrupt_at: Option<u64>,
    is_over: AtomicBool,
    killed: SetOnce<()>,
    thaws: Mutex<Option<Instant>>,
}

impl Life {
    pub fn new(world: &Arc<World>, number: usize, weather: Weather) -> Arc<Self> {
        let mut random = world.random();
        // Long runs are cut late as well.
        let mut at = |most: u64| random.u64(..most);
        let draw = at(1000) < u64::from(weather.run);
        let (kill, freeze, interrupt) = (at(3), at(3), at(8));
        let (early, first, second, long) = (at(2) == 0, at(60), at(60), at(200_000));
        let step = |step: u64| if early { step / 3 } else { step };
        Arc::new(Self {
            name: format!("run-{number}"),
            host: format!("host-{}", at(2)),
            version: world.version(),
            interrupt: CancellationToken::new(),
            last: Mutex::default(),
            steps: AtomicU64::new(0),
            kill_at: (draw && kill == 0).then(|| step(first)),
            freeze_at: (draw && freeze == 0).then(|| (step(second), Duration::from_millis(long))),
            interrupt_at: (draw && interrupt == 0).then(|| step(first)),
            is_over: AtomicBool::new(false),
            killed: SetOnce::new(),
            thaws: Mutex::new(None),
            world: world.clone(),
        })
    }

    /// Lives, until it is over or killed. What is killed is never heard of again, but what it sent is on its way.
    pub async fn live(self: Arc<Self>, run: impl Future<Output = String>) {
        let world = self.world.clone();
        let end = tokio::select! {
            biased;
            () = async { _ = self.killed.wait().await } => {
                // A kill leaves what the system has, and a power cut only what is on the disk for certain.
                if world.is_alone(&self.name) && world.random().bool() && !world.is_on_server {
                    world.memory.cut_power();
                }
                "killed".to_owned()
            }
            end = run => end,
        };
        self.is_over.store(true, Ordering::SeqCst);
        world.tell(|| format!("{} is over: {end}", self.name));
        world.run_ended();
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn is_killed(&self) -> bool {
        self.killed.get().is_some()
    }

    async fn wait_to_thaw(&self) {
        loop {
            let thaws = *self.thaws.lock().unwrap();
            match thaws {
                Some(at) if at > Instant::now() => sleep_until(at).await,
                _ => return,
            }
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[async_trait]
impl Fate for Life {
    async fn step(&self, at: &'static str) {
        if self.is_killed() {
            return pending().await;
        }
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        self.world.tell(|| format!("{} {step} {at}", self.name));
        if self.kill_at == Some(step) {
            let _ = self.killed.set(());
            return pending().await;
        }
        // Where it hurts the most is right before a call.
        let is_here = |first: u64| match first % 4 {
            0 => step == first,
            _ => step >= first && at == "connect",
        };
        if let Some((_, long)) = self.freeze_at.filter(|(first, _)| is_here(*first)) {
            let mut thaws = self.thaws.lock().unwrap();
            thaws.get_or_insert(Instant::now() + long);
        }
        if self.interrupt_at == Some(step) {
            self.interrupt.cancel();
        }
        let slow = self.world.random().u64(..1600);
        match slow % 16 {
            0 => sleep(Duration::from_millis(slow / 4)).await,
            1..4 => tokio::task::yield_now().await,
            _ => {}
        }
        self.wait_to_thaw().await;
        if self.is_killed() {
            pending().await
        }
    }

    fn disk(&self) -> Disk {
        let mut random = self.world.random();
        let fails = random.u32(..1000) < self.world.weather().disk;
        match fails {
            true if self.world.is_on_server && random.u8(..4) > 0 => {
                let late = random.bool().then(|| random.u64(..15_000));
                Disk::Lost(late.map(Duration::from_millis))
            }
            true if random.bool() => Disk::IsFull,
            true => Disk::KeepsAndDenies,
            false => Disk::Keeps,
        }
    }

    fn holder(&self) -> String {
        self.name.clone()
    }

    fn host(&self) -> String {
        self.host.clone()
    }

    fn is_alive(&self, holder: &str) -> bool {
        self.world.is_alive(holder)
    }
}
