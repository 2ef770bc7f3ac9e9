//! How plans, runs and records look to people and to programs. Decides nothing.

mod json;
mod metrics;
mod progress;
mod rows;
mod style;
mod summary;
mod text;

pub use json::{plan_json, run_json};
pub use metrics::{PlanMetrics, RunMetrics, check_writable, last_success, write_whole};
pub use progress::{Look, Progress};
pub use rows::{ActionRow, DeferredRow, PlanView};
pub use style::{PLAIN_TABLE, SafeText, plural, thousands};
pub use summary::run_summary;
pub use text::plan_text;
