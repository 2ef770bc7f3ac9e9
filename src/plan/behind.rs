//! How many of one contact are behind each trigger code: the call that stops all goes by code, and hits them all.

use std::collections::HashMap;

use crate::id::TriggerCode;

/// Counts by trigger code, so that each stop is decided by a look-up however many a contact has.
#[derive(Default)]
pub(super) struct Behind<'a>(HashMap<&'a TriggerCode, usize>);

impl<'a> Behind<'a> {
    /// Whether there is another one behind the code, besides the one that is asked for where that is counted too.
    pub(super) fn has_other(&self, code: &TriggerCode, is_counted: bool) -> bool {
        self.0.get(code).copied().unwrap_or(0) > usize::from(is_counted)
    }
}

impl<'a> FromIterator<&'a TriggerCode> for Behind<'a> {
    fn from_iter<I: IntoIterator<Item = &'a TriggerCode>>(codes: I) -> Self {
        let mut counts = HashMap::new();
        for code in codes {
            *counts.entry(code).or_insert(0) += 1;
        }
        Self(counts)
    }
}
