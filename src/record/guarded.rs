//! What the guard needs of the record: from when on it counts, and what each automation was last applied with.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

/// How far back the guard counts.
pub const GUARDED_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A count that begins so much later than now was begun by a clock that was wrong.
const WRONG_CLOCK: Duration = Duration::from_secs(60);

/// What an automation was applied with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppliedWith {
    /// The sources of its enrolments, each with the column of the contacts' ids.
    pub sources: BTreeMap<String, String>,
    /// The column that tells its occurrences apart.
    pub repeat_by: Option<String>,
}

/// What is noted of a source when a plan made from it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceNote {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// Whether its file ends with a line end.
    pub ends_with_line_end: bool,
}

/// A source when a plan made from it was last applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedSource {
    /// How many rows it had.
    pub rows: u64,
    /// Whether its file ended with a line end; `None` where an older Rollcall noted it.
    pub ends_with_line_end: Option<bool>,
    /// When that was.
    pub at: Timestamp,
}

/// After which time the guard counts what was done, for a time by the real clock.
pub fn counted_since(clock: Timestamp, counted_from: Option<Timestamp>) -> Timestamp {
    let a_day_ago = clock.saturating_sub(GUARDED_DAY).unwrap_or(Timestamp::MIN);
    let latest = clock.saturating_add(WRONG_CLOCK).unwrap_or(Timestamp::MAX);
    match counted_from {
        Some(from) if from <= latest => from.max(a_day_ago),
        _ => a_day_ago,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_counted_unless_the_count_began_anew() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let day = 86_400;
        let clock = at(10 * day);
        assert_eq!(counted_since(clock, None), at(9 * day));
        assert_eq!(counted_since(clock, Some(at(3 * day))), at(9 * day));
        assert_eq!(
            counted_since(clock, Some(at(10 * day - 5))),
            at(10 * day - 5)
        );
        // The clock was ahead when the count began.
        assert_eq!(counted_since(clock, Some(at(11 * day))), at(9 * day));
    }
}
