//! What is asked of this machine: its name, and its processes.

use std::fs;

/// Its name.
pub(super) fn name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// What tells this process from another one of this host that has its number later. `None` where the system does not say.
pub(super) fn this_process() -> Option<String> {
    of(std::process::id())
}

/// What tells the process of this number from others: the boot, the world of process numbers that it is in, and when it
/// began.
fn of(pid: u32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let world = fs::read_link("/proc/self/ns/pid").ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    // One that is dead and only waits to be noticed holds nothing.
    let is_alive = !matches!(state, "Z" | "X");
    let start = fields.nth(18).filter(|_| is_alive)?;
    Some(format!("{} {} {start}", boot.trim(), world.display()))
}

/// Whether a process of this host that noted this of itself is alive.
pub(super) fn is_alive(pid: u32, noted: &str) -> bool {
    of(pid).is_some_and(|found| found == noted)
}

/// Whether a process that noted this of itself, in the world of process numbers of this one, is gone. What it was in another
/// world or on another machine cannot be known.
pub(super) fn is_gone(pid: u32, noted: &str) -> bool {
    let world = |of: &str| of.rsplit_once(' ').map(|(world, _)| world.to_owned());
    let is_of_here = this_process().is_some_and(|own| world(&own) == world(noted));
    is_of_here && !is_alive(pid, noted)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_as_long_as_it_is_the_same() {
        let noted = this_process().unwrap();
        assert!(is_alive(std::process::id(), &noted));
        assert!(!is_alive(std::process::id(), "another"));
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let noted = of(child.id()).unwrap();
        assert!(is_alive(child.id(), &noted));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_alive(child.id(), &noted));
    }
}
