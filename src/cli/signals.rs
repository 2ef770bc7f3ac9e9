//! Signals, from the first moment of a command that writes: Ctrl-C, SIGTERM, SIGHUP and SIGQUIT.
//!
//! As process 1 of a container a signal does nothing by itself, and elsewhere it would be a kill. So one task listens for
//! all of them. Before anything is done, the command ends with exit code 1; once something is begun, it is finished and
//! recorded.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
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

/// What a command is ended from outside while it works.
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
        let this = Self(Arc::new(Inner {
            came: SetOnce::new(),
            phase: watch::Sender::new(Phase::Free),
            interrupt: CancellationToken::new(),
        }));
        let next = signals().context("The system does not report signals")?;
        tokio::spawn(this.clone().watch(next));
        Ok(this)
    }

    async fn watch(self, mut next: UnboundedReceiver<&'static str>) {
        let Some(name) = next.recv().await else {
            return;
        };
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
            let ended = threads::apart("log-end", move || {
                let _ = writeln!(std::io::stderr(), "error: {}", interrupted(name));
            });
            let _ = tokio::time::timeout(Duration::from_millis(500), ended).await;
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
        "Interrupted by {name} before the work began. Nothing was sent and nothing was written."
    )
}

/// Resolves when the process is asked to end.
pub(super) async fn any() {
    match signals() {
        Ok(mut next) => drop(next.recv().await),
        Err(_) => std::future::pending().await,
    }
}

/// The signals that come from now on.
#[cfg(unix)]
fn signals() -> std::io::Result<UnboundedReceiver<&'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (sender, receiver) = unbounded_channel();
    for (name, kind) in [
        ("SIGINT", SignalKind::interrupt()),
        ("SIGTERM", SignalKind::terminate()),
        ("SIGHUP", SignalKind::hangup()),
        ("SIGQUIT", SignalKind::quit()),
    ] {
        // Whoever starts it with `nohup` wants it to outlive the terminal.
        if kind == SignalKind::hangup() && is_hangup_ignored() {
            continue;
        }
        let (mut next, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(
            async move { while next.recv().await.is_some() && sender.send(name).is_ok() {} },
        );
    }
    Ok(receiver)
}

#[cfg(not(unix))]
fn signals() -> std::io::Result<UnboundedReceiver<&'static str>> {
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() && sender.send("Ctrl-C").is_ok() {}
    });
    Ok(receiver)
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
