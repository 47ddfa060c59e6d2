//! Asks the system to run a thread before all others.

/// Above everything but the kernel's own interrupt threads (50 on a real-time kernel) and below its watchdogs.
#[cfg(target_os = "linux")]
const PRIORITY: i32 = 40;

/// Puts the calling thread first in, first out (`SCHED_FIFO`), where the system allows it; `doctor` says whether it
/// does. Sound goes on without.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe crate of ours has sched_setscheduler")]
pub(crate) fn ask() {
    use nix::libc::{SCHED_FIFO, sched_param, sched_setscheduler};
    let param = sched_param { sched_priority: PRIORITY };
    // SAFETY: the call reads `param`, which lives until it is back; 0 is the calling thread.
    let answer = unsafe { sched_setscheduler(0, SCHED_FIFO, &param) };
    if answer != 0 {
        tracing::warn!("no real-time priority: {}", std::io::Error::last_os_error());
    }
}

/// Elsewhere the system's own sound thread calls back with its own priority.
#[cfg(not(target_os = "linux"))]
pub(crate) fn ask() {}
