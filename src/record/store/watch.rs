//! How a holder of the lock on another host is known to be dead.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::record::error::{DEAD_AFTER, Holder};

/// The signs of life of a holder on another host, while it is waited for.
///
/// The clocks of two hosts need not agree, so that the time of a sign of life says nothing of its age. A holder is dead when
/// no other sign came for as long as that, by this host's own measure.
#[derive(Default)]
pub struct Watch {
    last: Option<(String, Timestamp, Instant)>,
}

impl Watch {
    /// Whether it is alive, as far as is known at this instant.
    pub fn is_alive(&mut self, other: &Holder, instant: Instant) -> bool {
        let since = match &self.last {
            Some((holder, heartbeat, since))
                if *holder == other.holder && *heartbeat == other.heartbeat_at =>
            {
                *since
            }
            _ => {
                self.last = Some((other.holder.clone(), other.heartbeat_at, instant));
                instant
            }
        };
        instant.duration_since(since) < DEAD_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sign_of_life(second: i64) -> Holder {
        Holder {
            holder: "x".to_owned(),
            host: "far-away.example".to_owned(),
            pid: 7,
            process: None,
            command: "apply".to_owned(),
            acquired_at: Timestamp::UNIX_EPOCH,
            heartbeat_at: Timestamp::from_second(second).unwrap(),
        }
    }

    #[test]
    fn a_holder_elsewhere_is_dead_when_its_sign_of_life_did_not_change_for_a_minute() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut watch = Watch::default();
        // Whatever time it says that it was: its clock may be years away.
        for (start, second) in [(0, 1000), (1000, 4_000_000_000), (2000, 5)] {
            assert!(watch.is_alive(&sign_of_life(second), after(start)));
            assert!(watch.is_alive(&sign_of_life(second), after(start + 59)));
            assert!(watch.is_alive(&sign_of_life(second + 1), after(start + 60)));
            assert!(watch.is_alive(&sign_of_life(second + 1), after(start + 119)));
            assert!(!watch.is_alive(&sign_of_life(second + 1), after(start + 120)));
        }
    }
}
