//! How plans, runs and records look to people and to programs. Decides nothing.

mod against;
mod applied;
mod chart;
mod columns;
mod declared;
mod diff;
mod explain;
mod file;
mod grouped;
mod html;
mod json;
mod lines;
mod markdown;
mod metrics;
mod moment;
mod overview;
mod progress;
mod record;
mod rows;
mod style;
mod summary;
mod tally;
mod text;
mod trial;

pub use against::{
    AgainstRow, AgainstView, against_comment, against_json, against_markdown, against_text,
};
pub use applied::{Applied, applied_markdown};
pub use chart::overview_from;
pub use columns::{Cell, Columns, Row, Yield};
pub use declared::{DECLARED_COLUMNS, DeclaredJson, LEFT_OUT_COLUMNS};
pub use diff::plan_diff;
pub use explain::{Explanation, UNKNOWN};
pub use file::{FileKind, check_writable, write_whole};
pub use grouped::Shown;
pub use html::{against_html, applied_html, plan_html};
pub use json::{applied_json, plan_json, plan_summary_json, run_json, saved_json};
pub use lines::BrokenLines;
pub use markdown::{Comment, plan_markdown};
pub use metrics::{PlanMetrics, RunMetrics, last_success};
pub use overview::overview_html;
pub use progress::{Look, Progress};
pub use record::{
    CALL_TITLES, CALLS_YIELD, PARTICIPATION_COLUMNS, PARTICIPATION_TITLES, PARTICIPATIONS_YIELD,
    call_json, call_row, participation_cells, participation_json, participation_row, time,
};
pub use rows::{ActionRow, DeferredRow, PlanView};
pub use style::{ADDED, ATTENTION, PLAIN_TABLE, SafeText, plural, thousands};
pub use summary::{refused_summary, run_summary};
pub use text::{plan_sum, plan_text};
pub use trial::{
    FirstDay, HeldBack, HoldsBack, Most, NotPlanned, Refused, Trial, TrialCounts, TrialDay,
    TrialSource, TrialSum, trial_html, trial_json, trial_text, trials_json, trials_text,
};
