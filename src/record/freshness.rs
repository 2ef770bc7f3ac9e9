//! For how long a run may send by the lock that it holds: less than after what another one takes it for dead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::DEAD_AFTER;
use crate::clock::Clock;
use crate::failpoint::{Planted, is_hit, is_planted};

/// How long after the lock was last renewed on the disk a call may still be begun. Half of what others wait: what is left is
/// for a connection that is still to be made.
const SENDS_FOR: Duration = Duration::from_secs(DEAD_AFTER.as_secs() / 2);

/// When the lock was last renewed.
///
/// By a clock that goes on while the machine sleeps, which is how others reckon: a process that was stopped, or a laptop that
/// was closed, does not notice otherwise that its time is over.
#[derive(Debug)]
pub(super) struct Freshness {
    renewed: AtomicU64,
    clock: Clock,
}

impl Freshness {
    /// One that was renewed at this time by a clock.
    pub(super) fn since(at: Duration, clock: Clock) -> Self {
        Self {
            renewed: AtomicU64::new(millis(at)),
            clock,
        }
    }

    /// Notes that it was renewed by something that began at this time.
    pub(super) fn renew(&self, at: Duration) {
        self.renewed.store(millis(at), Ordering::Release);
    }

    /// Whether a call may be begun now.
    pub(super) fn is_fresh(&self) -> bool {
        let is_fresh = self.is_fresh_at((self.clock.uptime)()) && !is_hit("lease:over");
        is_fresh || is_planted(Planted::LeaseNotChecked)
    }

    fn is_fresh_at(&self, now: Duration) -> bool {
        let renewed = Duration::from_millis(self.renewed.load(Ordering::Acquire));
        now.saturating_sub(renewed) < SENDS_FOR
    }
}

fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sending_ends_well_before_others_take_the_lock() {
        let at = Duration::from_secs;
        let freshness = Freshness::since(at(1000), Clock::system());
        assert!(freshness.is_fresh_at(at(1029)) && !freshness.is_fresh_at(at(1030)));
        freshness.renew(at(1025));
        assert!(freshness.is_fresh_at(at(1054)) && !freshness.is_fresh_at(at(1055)));
        assert!(at(1030) + Duration::from_secs(20) < at(1000) + DEAD_AFTER);
    }
}
