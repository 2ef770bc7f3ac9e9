//! The nonces that were seen, for as long as their timestamps could still be accepted.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashSet};

use super::oauth::{Refusal, Ticket};

/// Seconds of timestamps that are kept, and forgotten, together.
const BUCKET: i64 = 60;

/// The most nonces that are kept; beyond it the oldest bucket goes early, and its timestamps are refused from then on.
const MOST: usize = 16_000_000;

/// Which nonces were used.
///
/// Eight bytes of hash are kept of each: two that are taken for one another are refused wrongly, once in some 10⁷ runs
/// of a million calls.
#[derive(Default)]
pub(super) struct Nonces {
    buckets: BTreeMap<i64, HashSet<u64>>,
    hasher: DefaultHashBuilder,
    count: usize,
    /// Buckets before this one were forgotten.
    floor: i64,
}

impl Nonces {
    /// Takes a ticket once. `now` and `tolerance` are in seconds, as in [`super::oauth::check`].
    ///
    /// # Errors
    /// [`Refusal::Replayed`] where it was taken before, or is so old that nobody can tell.
    pub fn take(&mut self, ticket: &Ticket, now: i64, tolerance: u64) -> Result<(), Refusal> {
        let oldest = now.saturating_sub_unsigned(tolerance).div_euclid(BUCKET);
        while self
            .buckets
            .first_key_value()
            .is_some_and(|(b, _)| *b < oldest)
        {
            self.forget_oldest();
        }
        let bucket = ticket.timestamp.div_euclid(BUCKET);
        if bucket < self.floor {
            return Err(Refusal::Replayed);
        }
        let hash = self.hasher.hash_one((ticket.timestamp, &ticket.nonce));
        if !self.buckets.entry(bucket).or_default().insert(hash) {
            return Err(Refusal::Replayed);
        }
        self.count += 1;
        if self.count > MOST {
            self.forget_oldest();
        }
        Ok(())
    }

    fn forget_oldest(&mut self) {
        if let Some((bucket, nonces)) = self.buckets.pop_first() {
            self.count -= nonces.len();
            self.floor = bucket + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(timestamp: i64, nonce: &str) -> Ticket {
        Ticket {
            timestamp,
            nonce: nonce.to_owned(),
        }
    }

    #[test]
    fn a_nonce_counts_once_for_each_timestamp() {
        let mut nonces = Nonces::default();
        assert_eq!(nonces.take(&ticket(1000, "a"), 1000, 300), Ok(()));
        assert_eq!(nonces.take(&ticket(1000, "b"), 1000, 300), Ok(()));
        assert_eq!(nonces.take(&ticket(1001, "a"), 1000, 300), Ok(()));
        assert_eq!(
            nonces.take(&ticket(1000, "a"), 1300, 300),
            Err(Refusal::Replayed)
        );
    }

    #[test]
    fn what_can_no_longer_be_replayed_is_forgotten() {
        let mut nonces = Nonces::default();
        for second in 0..10_000 {
            let fresh = ticket(second, &second.to_string());
            assert_eq!(nonces.take(&fresh, second, 300), Ok(()));
        }
        assert!(nonces.count <= 300 + 2 * BUCKET as usize);
    }
}
