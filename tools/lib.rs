//! What the chores share with tests: a network that is bad on purpose, a box that runs, a crowd of phones.

#[cfg(feature = "rooms")]
pub mod caller;
pub mod crowd;
pub mod fleet;
#[cfg(feature = "rooms")]
pub mod listener;
#[cfg(feature = "rooms")]
pub mod native;
pub mod proxy;
#[cfg(feature = "rooms")]
pub mod rooms;
pub mod running;

use units::{Moment, MonoTime};

/// The machine's monotonic clock, now.
pub fn mono_now() -> MonoTime {
    use nix::time::{ClockId, clock_gettime};
    let at = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has this clock");
    Moment::from_ns(at.tv_sec() * 1_000_000_000 + at.tv_nsec())
}

/// How busy the machine is, as it says itself: processes that run or wait, over 1, 5 and 15 minutes.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
