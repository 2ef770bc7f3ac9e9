//! What time it is, as a value that is handed in: a simulation has a time of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// What time it is.
#[derive(Clone)]
pub struct Clock {
    /// The time to reckon with, where it is not the real one.
    pub pinned: Option<Timestamp>,
    /// The real time.
    pub real: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// The time since this machine was started, asleep or not.
    pub uptime: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// The clock of the system.
    pub fn system() -> Self {
        Self {
            pinned: None,
            real: Arc::new(Timestamp::now),
            uptime: Arc::new(uptime),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("pinned", &self.pinned)
            .finish_non_exhaustive()
    }
}

/// The time since this machine was started, asleep or not.
pub(crate) fn uptime() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    let clock = rustix::time::ClockId::Monotonic;
    #[cfg(unix)]
    return Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default();
    #[cfg(not(unix))]
    {
        use std::sync::LazyLock;
        use std::time::Instant;
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_runs_this_was_started_a_while_ago() {
        assert!(uptime() > Duration::ZERO);
    }
}
