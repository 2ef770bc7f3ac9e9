//! Named points at which the reliability tests kill the process.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The environment variable that names the point, as `name` or `name:N` for the Nth time that it is passed.
const VARIABLE: &str = "ROLLCALL_FAILPOINT";

static ARMED: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
    let text = std::env::var(VARIABLE).ok()?;
    // The names hold colons of their own.
    let numbered = text
        .rsplit_once(':')
        .and_then(|(name, count)| Some((name.to_owned(), count.parse().ok()?)));
    let (name, count) = numbered.unwrap_or((text, 1));
    Some((name, AtomicU64::new(count)))
});

/// Dies on the spot, as of SIGKILL, where the environment says that this point is to fail. Costs one load where it does
/// not.
pub fn fail_point(name: &str) {
    if is_hit(name) {
        std::process::abort();
    }
}

/// Whether the environment says that something is to go wrong at this point, this time.
pub fn is_hit(name: &str) -> bool {
    matches!(&*ARMED, Some((armed, left)) if armed == name && left.fetch_sub(1, Ordering::SeqCst) == 1)
}
