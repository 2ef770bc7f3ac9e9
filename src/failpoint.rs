//! Named points at which the reliability tests kill the process, and faults that they plant to see that these are found.

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

/// A fault that a test of the simulation plants in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A call is sent, and an outcome is reported, before the record has it for certain.
    IntentAfterSend,
    /// A run that lost its lock writes on.
    FenceNotChecked,
    /// A run that was frozen does not ask whether its time is over.
    LeaseNotChecked,
    /// A trigger in doubt is sent again.
    DoubtResent,
    /// That a trigger was carried out is not on record.
    OutcomeLost,
    /// What a run left open is closed without a doubt.
    OpenForgotten,
    /// The plan is not made again under the lock.
    OldPlan,
    /// A server writes for whoever has a connection.
    ServerFenceNotChecked,
    /// A commit without an answer is taken for one that was made.
    CommitNotReadBack,
    /// That a server went over to a replica is not noticed.
    FailoverNotSeen,
    /// What has ended is triggered again at once.
    AgainTooSoon,
    /// What was let go and still runs is triggered when it is declared again.
    LetGoTriggered,
    /// Who only stays comes in.
    StaysComesIn,
    /// A lot leaves nobody out.
    LotForgotten,
    /// A contact is declared in all automations of an `[[exclusive]]`.
    ExclusionForgotten,
    /// A contact gets as many triggers as there are.
    LimitForgotten,
    /// What was sent to another id of the person does not count for the limit.
    LimitOfOneId,
    /// Who is on a list of objections is not suppressed.
    ObjectionForgotten,
    /// Who is on no list of consents is not suppressed.
    ConsentForgotten,
    /// An objection by another id of the person does not count.
    ObjectionOfOneId,
    /// What is on record under another id of the person does not count.
    MergeForgotten,
    /// The rows of an id that the person does not keep are its own.
    OtherIdDeclared,
    /// The participations of an id that the person does not keep are not written under the one that is.
    MergeNotWritten,
    /// Who runs under two ids is not stopped under either.
    TwiceNotStopped,
    /// A stop goes to the id that the person keeps, whichever was triggered.
    StopToKeptId,
}

/// Whether this fault is planted. It never is outside of tests.
#[cfg(not(test))]
pub const fn is_planted(_: Planted) -> bool {
    false
}

#[cfg(test)]
pub use planted::{is_planted, plant};

#[cfg(test)]
mod planted {
    use super::Planted;
    use std::cell::Cell;

    thread_local!(static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) });

    /// Plants a fault in all that this thread does, or none.
    pub fn plant(fault: Option<Planted>) {
        PLANTED.set(fault);
    }

    /// Whether this fault is planted.
    pub fn is_planted(fault: Planted) -> bool {
        PLANTED.get() == Some(fault)
    }
}
