//! `max_shrink`: an export that lost its rows.

use jiff::Timestamp;

use super::{Roster, SourceRead};
use crate::config::{Diagnostic, Limit};
use crate::text::plural;

impl Roster<'_> {
    /// Every source that has lost more of its rows than its `max_shrink` allows. `before` says how many it had at the
    /// last apply, and when that was.
    pub fn shrunk(&self, before: impl Fn(&str) -> Option<(u64, Timestamp)>) -> Vec<Diagnostic> {
        let shrunk = |SourceRead { source, rows, .. }: SourceRead<'_>| {
            let Limit { value, place } = source.max_shrink.as_ref()?;
            let (had, at) = before(&source.name)?;
            let lost = had.saturating_sub(rows);
            if lost as f64 * 100.0 <= value * had as f64 {
                return None;
            }
            let share = lost as f64 * 100.0 / had as f64;
            let name = &source.name;
            let message = format!(
                "source {name} has {}, and had {had} at the last apply ({}): {share:.1}% fewer, which is more \
                 than max_shrink = {value}% allows",
                plural(rows, "row"),
                at.strftime("%Y-%m-%dT%H:%M:%SZ")
            );
            let help = format!(
                "nothing is planned from it; make a new export, or apply this one with --allow-shrink {name} if it is right"
            );
            let place = place.clone().unwrap_or_else(|| source.place.clone());
            Some(Diagnostic::at(place, message).help(help))
        };
        self.sources().filter_map(shrunk).collect()
    }
}
