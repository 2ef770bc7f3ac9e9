//! Work on threads of its own. That the system gives none is an error that is reported: nobody waits for a thread that never
//! comes, as tokio's own pool would.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::thread::{Builder, available_parallelism, scope};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;

/// Whether the runtime has this one thread alone. All is done on it then, one thing after the other: so a simulation does the
/// same each time.
pub fn is_alone() -> bool {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    matches!(flavor, Ok(RuntimeFlavor::CurrentThread))
}

/// Does something that takes its time on this thread; where the runtime has others, they go on with the rest.
pub fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match is_alone() {
        true => work(),
        false => tokio::task::block_in_place(work),
    }
}

/// Does something that takes its time, apart from those who wait for it.
///
/// # Errors
/// That there is no thread to do it on; it was not begun then.
pub async fn apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    if is_alone() {
        return Ok(work());
    }
    let (sender, receiver) = oneshot::channel();
    // Who no longer waits for it needs no answer.
    let work = move || drop(sender.send(catch_unwind(AssertUnwindSafe(work))));
    Builder::new().name(name.to_owned()).spawn(work)?;
    match receiver.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => Err(io::Error::other("the thread is gone")),
    }
}

/// Does every job, several at once where there are several and the system gives the threads. The results are in the order
/// of the jobs.
pub fn side_by_side<J: Sync, T: Send>(jobs: &[J], work: impl Fn(&J) -> T + Sync) -> Vec<T> {
    let Some((first, rest)) = jobs.split_first() else {
        return Vec::new();
    };
    let work = &work;
    scope(|scope| {
        let threads: Vec<_> = rest
            .iter()
            .map(|job| Builder::new().spawn_scoped(scope, move || work(job)))
            .collect();
        let first = work(first);
        let others = threads.into_iter().zip(rest).map(|(thread, job)| {
            let done: Result<T, Box<dyn Any + Send>> = match thread {
                Ok(thread) => thread.join(),
                // Then this thread does it, one after the other.
                Err(_) => Ok(work(job)),
            };
            done.unwrap_or_else(|panic| resume_unwind(panic))
        });
        std::iter::once(first).chain(others).collect()
    })
}

/// How many threads a command has at once beside those of the runtime: for the sources and the record, or for the record and the
/// parts of the plan.
const BESIDE: usize = 12;

/// How many threads a runtime is to have.
pub fn workers() -> usize {
    available_parallelism().map_or(1, usize::from).clamp(1, 8)
}

/// Makes sure that the system gives as many threads as a command may need at once: where it gives a runtime fewer than it
/// asks for, tokio ends with a panic or waits for ever.
///
/// # Errors
/// What the system says.
pub fn check() -> io::Result<()> {
    let gate = Mutex::new(());
    scope(|scope| {
        // They wait for this one, and so all are there at once.
        let _shut = gate.lock();
        for _ in 0..workers() + BESIDE {
            Builder::new().spawn_scoped(scope, || drop(gate.lock()))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_done_in_their_order_however_many_there_are() {
        for count in [0, 1, 7] {
            let jobs: Vec<u32> = (0..count).collect();
            let doubled: Vec<u32> = jobs.iter().map(|job| job * 2).collect();
            assert_eq!(side_by_side(&jobs, |job| job * 2), doubled);
        }
    }

    #[test]
    fn what_is_done_apart_comes_back() {
        use tokio::runtime::Builder;
        for mut runtime in [Builder::new_multi_thread(), Builder::new_current_thread()] {
            let done = runtime.build().unwrap().block_on(apart("test", || 7));
            assert_eq!(done.unwrap(), 7);
        }
    }
}
