//! The gate that every call passes: how many are under way, how fast they may follow each other, when all of them wait,
//! and when none may be sent any more.
//!
//! A fault that hits everything must not cost more calls than are under way at once. So each answer that leaves a doubt
//! narrows the gate by one until an answer that can be read opens it again; when it is shut, the run ends. One doubt
//! alone ends no run.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use governor::clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{Notify, SetOnce};
use tokio::time::Instant;

/// How calls may be made.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Calls under way at once; at least 1.
    pub concurrency: usize,
    /// Calls a second at the most; above 0.
    pub rate: f64,
    /// For how long calls that were not carried out are tried again.
    pub retry_for: Duration,
}

/// How many doubts in a row end a run at the least: one that is followed by good answers was no fault of everything.
const FEWEST_DOUBTS: usize = 2;

/// Why nothing more is sent in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A signal: Ctrl-C or SIGTERM.
    Interrupted,
    /// Spotler refused the credentials.
    Unauthorized {
        /// The HTTP status, and the word that came with it.
        detail: String,
    },
    /// Calls were turned away, or did not reach Spotler, for longer than `--retry-for`.
    Unavailable {
        /// What was said last.
        detail: String,
    },
    /// As many calls in a row as may be under way, two at the least, were left without an answer that can
    /// be read.
    Doubts {
        /// How many.
        count: usize,
        /// How many calls may be under way.
        concurrency: usize,
        /// What the last one was.
        detail: String,
    },
    /// As many answers as calls may be under way were not for their calls.
    Mixups {
        /// How many.
        count: usize,
        /// How that was seen.
        detail: String,
    },
    /// The record could not be written, or its lock was lost.
    Record {
        /// What went wrong.
        detail: String,
    },
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Interrupted => f.write_str("interrupted by a signal"),
            End::Unauthorized { detail } => write!(
                f,
                "Spotler refused the credentials ({detail}); check SPOTLER_CONSUMER_KEY and \
                 SPOTLER_CONSUMER_SECRET"
            ),
            End::Unavailable { detail } => {
                write!(f, "Spotler could not be reached for too long ({detail})")
            }
            End::Doubts {
                count,
                concurrency,
                detail,
            } => write!(
                f,
                "the last {count} calls were left without a readable answer ({detail}); with concurrency = {concurrency} \
                 a run stops there, because a fault that hits every call must not leave one doubt after another"
            ),
            End::Mixups { count, detail } => write!(
                f,
                "{count} answers of Spotler, or of a proxy on the way to it, were not for their calls ({detail})"
            ),
            // Whole sentences; the last one continues in the sentence around it.
            End::Record { detail } => f.write_str(detail.trim_end_matches('.')),
        }
    }
}

/// How a call came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Return {
    /// With an answer that can be read.
    Answered,
    /// Sent, and without an answer that can be read.
    Doubt(String),
    /// The same, and all calls are to wait: as long as was asked for, if it was.
    Unavailable {
        /// `Retry-After`.
        wait: Option<Duration>,
        /// What was said.
        detail: String,
    },
    /// Not carried out: turned away, or not sent at all. With the wait that was asked for, if any.
    TurnedAway {
        /// `Retry-After`.
        wait: Option<Duration>,
        /// What was said.
        detail: String,
    },
}

/// The gate.
pub struct Gate {
    limits: Limits,
    pace: RateLimiter<NotKeyed, InMemoryState, Elapsed, NoOpMiddleware<Duration>>,
    clock: Elapsed,
    inner: Mutex<Inner>,
    /// Wakes those who wait for room.
    changed: Notify,
    /// Apart from the other, as those who wait for the end need not know of every call. Set under the lock, so that
    /// nothing slips through in between.
    end: SetOnce<End>,
}

struct Inner {
    under_way: usize,
    doubts: usize,
    /// How many answers were found not to be for their call.
    mixups: usize,
    /// When calls may be sent again.
    resume_at: Option<Instant>,
    /// The waits of the trouble that is going on, and since when it does.
    trouble: Option<(ExponentialBackoff, Instant)>,
    /// When the last pause began: what was sent before it says nothing new.
    paused_at: Option<Instant>,
    /// The end of the last pause that was reported.
    reported: Option<Instant>,
}

/// The time since the gate was made: the same time by which all else in a run waits.
#[derive(Debug, Clone)]
struct Elapsed(Instant);

impl clock::Clock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The right to make one call.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    since: Instant,
}

/// Growing waits, with jitter, from a first one on.
pub fn waits(first: Duration) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(Duration::from_secs(30))
        .with_jitter()
        .without_max_times()
        .build()
}

/// The first wait after a call that was turned away without a word on when to come back: the time of four calls at the
/// pace.
///
/// A limit that only now and then hits a call must not cost more than the limit does: of 20 calls one turned away, with
/// its jitter, adds a third to the time. A service that stays away is asked ever more rarely, as the waits double.
fn first_wait(rate: f64) -> Duration {
    Duration::from_secs_f64((4.0 / rate).clamp(0.01, 0.5))
}

impl Gate {
    /// An open one.
    pub fn new(limits: Limits) -> Self {
        let rate = limits.rate.max(f64::MIN_POSITIVE);
        // A timer wakes a millisecond late; a hundredth of a second's worth at once makes up for it.
        let burst = NonZeroU32::new((rate / 100.0) as u32).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(Duration::from_secs_f64((1.0 / rate).clamp(1e-9, 1e9)))
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        let clock = Elapsed(Instant::now());
        Self {
            limits,
            pace: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
            inner: Mutex::new(Inner {
                under_way: 0,
                doubts: 0,
                mixups: 0,
                resume_at: None,
                trouble: None,
                paused_at: None,
                reported: None,
            }),
            changed: Notify::new(),
            end: SetOnce::new(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it holds the lock, and a count is never half written.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a call may be made.
    ///
    /// # Errors
    /// Why none may be made any more.
    pub async fn enter(&self) -> Result<Permit, End> {
        self.wait_until(|| self.is_open()).await?;
        tokio::select! {
            biased;
            () = self.keep_pace() => {}
            end = self.ended() => return Err(end),
        }
        // The pace may have taken a while, in which the gate narrowed or shut.
        self.wait_until(|| self.try_enter()).await
    }

    async fn keep_pace(&self) {
        while let Err(early) = self.pace.check() {
            let now = clock::Clock::now(&self.clock);
            tokio::time::sleep(early.wait_time_from(now)).await;
        }
    }

    /// Waits until `ask` gives something. What it gives instead is until when it will not, if that is known.
    async fn wait_until<T>(
        &self,
        ask: impl Fn() -> Result<Result<T, Option<Instant>>, End>,
    ) -> Result<T, End> {
        // The common case: there is nothing to wait for, and so nothing to be woken by.
        if let Ok(found) = ask()? {
            return Ok(found);
        }
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            match ask()? {
                Ok(found) => return Ok(found),
                Err(wait) => wait_for(notified, wait).await,
            }
        }
    }

    /// Enters if that is possible now; otherwise says until when it cannot be, if that is known.
    fn try_enter(&self) -> Result<Result<Permit, Option<Instant>>, End> {
        let mut inner = self.inner();
        if let Some(end) = self.end.get() {
            return Err(end.clone());
        }
        let now = Instant::now();
        if let Some(at) = inner.resume_at {
            if at > now {
                return Ok(Err(Some(at)));
            }
            inner.resume_at = None;
        }
        let room = self.limits.concurrency.saturating_sub(inner.doubts).max(1);
        if inner.under_way >= room {
            return Ok(Err(None));
        }
        inner.under_way += 1;
        Ok(Ok(Permit { since: now }))
    }

    /// Whether calls do not wait.
    fn is_open(&self) -> Result<Result<(), Option<Instant>>, End> {
        let inner = self.inner();
        if let Some(end) = self.end.get() {
            return Err(end.clone());
        }
        Ok(match inner.resume_at.filter(|at| *at > Instant::now()) {
            None => Ok(()),
            at => Err(at),
        })
    }

    /// Gives a permit back. Returns whether a call that was turned away should be tried again; where not, the run has
    /// ended.
    pub fn leave(&self, permit: Permit, how: Return) -> bool {
        let mut inner = self.inner();
        inner.under_way -= 1;
        let again = match how {
            Return::Answered => {
                inner.doubts = 0;
                inner.trouble = None;
                false
            }
            Return::Doubt(detail) => self.doubt(&mut inner, detail),
            Return::Unavailable { wait, detail } => {
                self.doubt(&mut inner, detail.clone())
                    && self.pause(&mut inner, &permit, wait, detail)
            }
            Return::TurnedAway { wait, detail } => self.pause(&mut inner, &permit, wait, detail),
        };
        drop(inner);
        self.changed.notify_waiters();
        again
    }

    /// Narrows the gate by one. Returns whether it is still open.
    fn doubt(&self, inner: &mut Inner, detail: String) -> bool {
        inner.doubts += 1;
        if inner.doubts >= self.limits.concurrency.max(FEWEST_DOUBTS) {
            self.set_end(End::Doubts {
                count: inner.doubts,
                concurrency: self.limits.concurrency,
                detail,
            });
        }
        self.end.get().is_none()
    }

    /// Takes note of an answer that was not for its call, which was seen only when it was to be written down. A run has no
    /// more of these than calls may be under way, whatever answers are good.
    pub fn mixed_up(&self, detail: &str) {
        let mut inner = self.inner();
        inner.mixups += 1;
        if inner.mixups >= self.limits.concurrency {
            let (count, detail) = (inner.mixups, detail.to_owned());
            self.set_end(End::Mixups { count, detail });
        }
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Makes all calls wait. A call that was sent before the last pause began tells nothing new, so it does not make
    /// the waits grow.
    fn pause(
        &self,
        inner: &mut Inner,
        permit: &Permit,
        wait: Option<Duration>,
        detail: String,
    ) -> bool {
        if self.end.get().is_some() {
            return false;
        }
        let now = Instant::now();
        let is_news = inner.paused_at.is_none_or(|at| permit.since >= at);
        let first = first_wait(self.limits.rate);
        let is_first = inner.trouble.is_none();
        let (backoff, since) = inner.trouble.get_or_insert_with(|| (waits(first), now));
        let since = *since;
        let grown = match is_news {
            true => backoff.next().unwrap_or(self.limits.retry_for),
            false => Duration::ZERO,
        };
        let wait = match wait {
            // Where it was asked for and not enough, or is over by the clock of the other side, the waits grow all the same.
            Some(wait) if is_first => wait,
            Some(wait) => wait.max(grown),
            None => grown,
        };
        let resume_at = now + wait;
        // A `--retry-for` beyond the end of the clock is for ever.
        let gives_up_at = since.checked_add(self.limits.retry_for);
        if gives_up_at.is_some_and(|at| resume_at > at) {
            self.set_end(End::Unavailable { detail });
            return false;
        }
        if is_news {
            inner.paused_at = Some(now);
        }
        if inner.resume_at.is_none_or(|at| at < resume_at) {
            inner.resume_at = Some(resume_at);
        }
        true
    }

    /// Gives a permit back without having made a call.
    pub fn give_back(&self, permit: Permit) {
        let Permit { .. } = permit;
        self.inner().under_way -= 1;
        self.changed.notify_waiters();
    }

    /// Ends the run: nothing more is sent. The first reason counts.
    pub fn end(&self, end: End) {
        {
            let _inner = self.inner();
            self.set_end(end);
        }
        self.changed.notify_waiters();
    }

    fn set_end(&self, end: End) {
        // The first reason counts.
        let _ = self.end.set(end);
    }

    /// Why nothing more is sent, if that is so.
    pub fn why_ended(&self) -> Option<End> {
        self.end.get().cloned()
    }

    /// For how long all calls wait, if they do and this was not asked before.
    pub fn news_of_pause(&self) -> Option<Duration> {
        let mut inner = self.inner();
        let at = inner.resume_at?;
        if inner.reported.is_some_and(|reported| reported >= at) {
            return None;
        }
        inner.reported = Some(at);
        at.checked_duration_since(Instant::now())
    }

    /// Waits until nothing more is sent.
    pub async fn ended(&self) -> End {
        self.end.wait().await.clone()
    }
}

async fn wait_for(
    notified: std::pin::Pin<&mut tokio::sync::futures::Notified<'_>>,
    until: Option<Instant>,
) {
    match until {
        Some(at) => tokio::select! {
            biased;
            () = notified => {}
            () = tokio::time::sleep_until(at) => {}
        },
        None => notified.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(concurrency: usize) -> Gate {
        Gate::new(Limits {
            concurrency,
            rate: 1e6,
            retry_for: Duration::from_secs(300),
        })
    }

    #[tokio::test]
    async fn doubts_narrow_the_gate_until_it_is_shut() {
        let gate = gate(3);
        for expected in [true, true, false] {
            let permit = gate.enter().await.unwrap();
            assert_eq!(
                gate.leave(permit, Return::Doubt("HTTP 500".into())),
                expected
            );
        }
        assert!(matches!(
            gate.enter().await,
            Err(End::Doubts { count: 3, .. })
        ));
    }

    #[tokio::test]
    async fn a_readable_answer_opens_it_again() {
        let gate = gate(2);
        for _ in 0..10 {
            let permit = gate.enter().await.unwrap();
            assert!(gate.leave(permit, Return::Doubt("HTTP 500".into())));
            let permit = gate.enter().await.unwrap();
            gate.leave(permit, Return::Answered);
        }
        assert_eq!(gate.why_ended(), None);
    }

    #[tokio::test]
    async fn no_more_calls_go_through_than_doubts_leave_room_for() {
        let gate = gate(2);
        let first = gate.enter().await.unwrap();
        let _second = gate.enter().await.unwrap();
        gate.leave(first, Return::Doubt("time-out".into()));
        assert!(matches!(gate.try_enter(), Ok(Err(None))));
    }

    #[tokio::test(start_paused = true)]
    async fn all_wait_for_as_long_as_was_asked() {
        let gate = gate(2);
        let start = Instant::now();
        let permit = gate.enter().await.unwrap();
        assert!(gate.leave(
            permit,
            Return::TurnedAway {
                wait: Some(Duration::from_secs(7)),
                detail: "HTTP 429".into()
            }
        ));
        let _pass = gate.enter().await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_not_available_is_a_doubt_and_makes_all_wait() {
        let gate = gate(2);
        let start = Instant::now();
        let unavailable = |wait| Return::Unavailable {
            wait,
            detail: "HTTP 503".into(),
        };
        let permit = gate.enter().await.unwrap();
        assert!(gate.leave(permit, unavailable(Some(Duration::from_secs(7)))));
        let permit = gate.enter().await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 7);
        assert!(!gate.leave(permit, unavailable(None)));
        assert!(matches!(
            gate.why_ended(),
            Some(End::Doubts { count: 2, .. })
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_for_longer_than_retry_for_ends_the_run() {
        let gate = gate(1);
        let start = Instant::now();
        loop {
            let Ok(permit) = gate.enter().await else {
                break;
            };
            let _ = gate.leave(
                permit,
                Return::TurnedAway {
                    wait: None,
                    detail: "connection refused".into(),
                },
            );
        }
        assert!(matches!(gate.why_ended(), Some(End::Unavailable { .. })));
        assert!(start.elapsed() <= Duration::from_secs(300));
        assert!(start.elapsed() >= Duration::from_secs(200));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_turned_away_now_and_then_makes_nobody_wait_for_long() {
        let gate = Gate::new(Limits {
            concurrency: 8,
            rate: 200.0,
            retry_for: Duration::from_secs(300),
        });
        let turned_away = || Return::TurnedAway {
            wait: None,
            detail: "HTTP 429".into(),
        };
        for _ in 0..100 {
            let permit = gate.enter().await.unwrap();
            let start = Instant::now();
            assert!(gate.leave(permit, turned_away()));
            let permit = gate.enter().await.unwrap();
            assert!(
                start.elapsed() <= Duration::from_millis(50),
                "{:?}",
                start.elapsed()
            );
            gate.leave(permit, Return::Answered);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_even_where_none_is_asked_for_each_time() {
        let gate = gate(1);
        let mut calls = 0;
        while let Ok(permit) = gate.enter().await {
            calls += 1;
            let turned_away = Return::TurnedAway {
                wait: Some(Duration::ZERO),
                detail: "HTTP 429".into(),
            };
            gate.leave(permit, turned_away);
        }
        assert!(matches!(gate.why_ended(), Some(End::Unavailable { .. })));
        assert!(calls < 40, "{calls}");
    }

    #[tokio::test]
    async fn an_end_wakes_those_who_wait() {
        let gate = std::sync::Arc::new(gate(1));
        let _pass = gate.enter().await.unwrap();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter().await.map(|_| ()) }
        });
        tokio::task::yield_now().await;
        gate.end(End::Interrupted);
        assert_eq!(waiting.await.unwrap(), Err(End::Interrupted));
    }
}
