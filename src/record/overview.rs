//! The record over time, in figures.

use jiff::Timestamp;

/// The record from a time on, in figures. Of people that were forgotten nothing is in it.
#[derive(Debug, Default)]
pub struct Overview {
    /// When the first run that could write began; `None` where nothing is on record.
    pub began: Option<Timestamp>,
    /// By how many the running participations of an automation grew or shrank, by automation and then by time. What was
    /// before the time asked for is summed up in one step at that time.
    pub steps: Vec<Step>,
    /// How many calls were made, by time and automation.
    pub calls: Vec<Calls>,
    /// Participations that are not as they should be now, the most frequent first.
    pub troubles: Vec<Trouble>,
    /// What came of calls that did not do what they were for, the most frequent first.
    pub failures: Vec<Failure>,
    /// The last runs that could write and began before the time asked for, the latest first.
    pub runs: Vec<RecordedRun>,
}

/// A change of how many participations run.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Step {
    /// The automation.
    pub automation: String,
    /// The start of the quarter of an hour, in milliseconds since 1970.
    pub at: i64,
    /// By how many.
    pub by: i64,
}

/// Calls of one automation and kind with one outcome in one quarter of an hour.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Calls {
    /// The automation.
    pub automation: String,
    /// The start of the quarter of an hour, in milliseconds since 1970.
    pub at: i64,
    /// `trigger` or `stop`.
    pub kind: String,
    /// What came of them; `None` while they are under way.
    pub outcome: Option<String>,
    /// How many.
    pub count: i64,
}

/// Participations of one automation that stand in one state for one reason.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Trouble {
    /// The automation.
    pub automation: String,
    /// The state.
    pub state: String,
    /// Why, in the words of the wire.
    pub detail: Option<String>,
    /// How many.
    pub count: i64,
}

/// Calls of one automation with one outcome for one reason.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Failure {
    /// The automation.
    pub automation: String,
    /// `trigger` or `stop`.
    pub kind: String,
    /// What came of them.
    pub outcome: String,
    /// Why, in the words of the wire.
    pub detail: Option<String>,
    /// How many.
    pub count: i64,
    /// When the last of them was sent, in milliseconds since 1970.
    pub last: i64,
}

/// A run of a command that could write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRun {
    /// The command.
    pub command: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` where it is under way, or was cut short.
    pub ended_at: Option<Timestamp>,
    /// The Git revision of the configuration.
    pub git_revision: Option<String>,
    /// How many calls it made, by what came of them.
    pub calls: Vec<(String, i64)>,
}
