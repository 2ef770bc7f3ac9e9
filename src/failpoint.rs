//! Named points at which the reliability tests kill the process.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The environment variable that names the point, as `name` or `name:N` for the Nth time that it is passed.
const VARIABLE: &str = "ROLLCALL_FAILPOINT";

static ARMED: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
    let text = std::env::var(VARIABLE).ok()?;
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => (name.to_owned(), count.parse().ok()?),
        None => (text, 1),
    };
    Some((name, AtomicU64::new(count)))
});

/// Dies on the spot, as of SIGKILL, where the environment says that this point is to fail. Costs one load where it does
/// not.
pub fn fail_point(name: &str) {
    if let Some((armed, left)) = &*ARMED
        && armed == name
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        std::process::abort();
    }
}
