//! What the sandbox counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::call::Kind;

/// Counts of what came in and went out since the start, or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests to the API, signed or not, carried out or not.
    pub calls: u64,
    /// Calls that were signed properly, by kind.
    pub kinds: BTreeMap<Kind, u64>,
    /// Answers, by status. A call that was reset, or never answered, has none.
    pub statuses: BTreeMap<u16, u64>,
    /// How often each rule of the faults hit, in their order.
    pub faults: Vec<u64>,
    /// Calls under way.
    pub under_way: u64,
    /// The most calls that were under way at once.
    pub most_under_way: u64,
}

impl Stats {
    /// A request came in.
    pub(super) fn enter(&mut self) {
        self.calls += 1;
        self.under_way += 1;
        self.most_under_way = self.most_under_way.max(self.under_way);
    }

    /// A request is done with, answered or not.
    pub(super) fn leave(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}
