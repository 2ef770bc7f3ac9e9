//! Signals, from the first moment of a command that writes: Ctrl-C, SIGTERM, SIGHUP and SIGQUIT.
//!
//! As process 1 of a container a signal does nothing by itself, and elsewhere it would be a kill. So one task listens for
//! all of them. Before anything is done, the command ends with exit code 1; once something is begun, it is finished and
//! recorded.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::{SetOnce, watch};
use tokio_util::sync::CancellationToken;

use super::{CommandError, Exit};
use crate::threads;

/// How long a command that has done nothing yet may take to end: it may hang in a write that nobody reads.
const PATIENCE: Duration = Duration::from_secs(3);

/// How far a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It can be given up: nothing is done yet.
    Free,
    /// It is in the middle of something that is short.
    Busy,
    /// It is given up.
    GivenUp,
    /// It has begun what is to be finished.
    Begun,
}

/// What a command is told from outside while it works.
#[derive(Clone)]
pub(super) struct Signals(Arc<Inner>);

struct Inner {
    /// The signal that came first.
    came: SetOnce<&'static str>,
    phase: watch::Sender<Phase>,
    /// Cancelled by it.
    interrupt: CancellationToken,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// That the system does not let it.
    pub(super) fn listen() -> Result<Self, CommandError> {
        let signals = Self(Arc::new(Inner {
            came: SetOnce::new(),
            phase: watch::Sender::new(Phase::Free),
            interrupt: CancellationToken::new(),
        }));
        let next = receivers().context("The system does not tell of signals")?;
        tokio::spawn(signals.clone().watch(next));
        Ok(signals)
    }

    async fn watch(self, mut next: Receivers) {
        let name = next.recv().await;
        let _ = self.0.came.set(name);
        self.0.interrupt.cancel();
        // Another one is impatient.
        tokio::select! {
            () = tokio::time::sleep(PATIENCE) => {}
            _ = next.recv() => {}
        }
        let mut phases = self.0.phase.subscribe();
        let is_over = |phase: &Phase| matches!(phase, Phase::Free | Phase::GivenUp);
        // Where something has begun, it is finished, however often this is asked for.
        if phases.wait_for(is_over).await.is_ok() {
            // Apart and not for long, as it may be standard error that nobody reads.
            let told = threads::apart("told", move || {
                let _ = writeln!(std::io::stderr(), "error: {}", interrupted(name));
            });
            let _ = tokio::time::timeout(Duration::from_millis(500), told).await;
            std::process::exit(Exit::Error as i32);
        }
    }

    /// Does what may be given up at any moment, as long as nothing has begun.
    ///
    /// # Errors
    /// Its own, and that it was given up.
    pub(super) async fn guard<T>(
        &self,
        work: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, CommandError> {
        tokio::select! {
            biased;
            done = work => done,
            name = self.give_up() => Err(interrupted(name).into()),
        }
    }

    /// Waits until the command is to be given up, and takes note that it is. The innermost guard is the one that sees it.
    async fn give_up(&self) -> &'static str {
        let name = *self.0.came.wait().await;
        let mut phases = self.0.phase.subscribe();
        while phases.wait_for(|phase| *phase == Phase::Free).await.is_ok() {
            if self.go(Phase::Free, Phase::GivenUp) {
                return name;
            }
        }
        std::future::pending().await
    }

    /// Does something short that is not given up in the middle.
    pub(super) async fn whole<T>(&self, work: impl Future<Output = T>) -> T {
        let is_free = self.go(Phase::Free, Phase::Busy);
        let done = work.await;
        if is_free {
            self.go(Phase::Busy, Phase::Free);
        }
        done
    }

    /// From here on nothing is given up any more.
    ///
    /// # Errors
    /// That a signal came before; nothing is to be begun then.
    pub(super) fn begin(&self) -> Result<(), CommandError> {
        if let Some(name) = self.0.came.get() {
            return Err(interrupted(name).into());
        }
        // Where it has begun already, this is so.
        self.go(Phase::Free, Phase::Begun);
        Ok(())
    }

    /// What is cancelled by the first signal.
    pub(super) fn interrupt(&self) -> CancellationToken {
        self.0.interrupt.clone()
    }

    fn go(&self, from: Phase, to: Phase) -> bool {
        self.0.phase.send_if_modified(|phase| {
            let may_go = *phase == from;
            if may_go {
                *phase = to;
            }
            may_go
        })
    }
}

fn interrupted(name: &str) -> anyhow::Error {
    anyhow!(
        "Interrupted by {name} before anything was begun. Nothing was sent and nothing was written."
    )
}

/// Resolves when the process is asked to end.
pub(super) async fn any() {
    match receivers() {
        Ok(mut next) => {
            next.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(unix)]
struct Receivers(Vec<(&'static str, tokio::signal::unix::Signal)>);

#[cfg(unix)]
impl Receivers {
    async fn recv(&mut self) -> &'static str {
        std::future::poll_fn(|context| {
            for (name, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*name);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

#[cfg(unix)]
fn receivers() -> std::io::Result<Receivers> {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [
        ("SIGINT", SignalKind::interrupt()),
        ("SIGTERM", SignalKind::terminate()),
        ("SIGHUP", SignalKind::hangup()),
        ("SIGQUIT", SignalKind::quit()),
    ];
    let mut all = Vec::with_capacity(kinds.len());
    for (name, kind) in kinds {
        // Whoever starts it with `nohup` wants it to outlive the terminal.
        if kind == SignalKind::hangup() && is_hangup_ignored() {
            continue;
        }
        all.push((name, signal(kind)?));
    }
    Ok(Receivers(all))
}

/// Whether SIGHUP was ignored when this process was started, where the system tells.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    const HANGUP: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & HANGUP != 0)
}

#[cfg(not(unix))]
struct Receivers;

#[cfg(not(unix))]
impl Receivers {
    async fn recv(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

#[cfg(not(unix))]
fn receivers() -> std::io::Result<Receivers> {
    Ok(Receivers)
}
