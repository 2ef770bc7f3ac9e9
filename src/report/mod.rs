//! How plans, runs and records look to people and to programs. Decides nothing.

mod file;
mod json;
mod metrics;
mod progress;
mod rows;
mod style;
mod summary;
mod text;

pub use file::{Readers, check_writable, write_whole};
pub use json::{plan_json, run_json, saved_json};
pub use metrics::{PlanMetrics, RunMetrics, last_success};
pub use progress::{Look, Progress};
pub use rows::{ActionRow, DeferredRow, PlanView};
pub use style::{PLAIN_TABLE, SafeText, plural, thousands};
pub use summary::run_summary;
pub use text::plan_text;
