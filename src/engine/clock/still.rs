//! When a Sync leaves, where its stamps are the kernel's.
//!
//! In: when it is due, when the line last moved. Out: when it is sent. Never: a clock, a socket. A Sync that leaves
//! just after another packet is on its way a microsecond sooner than others (the processor still holds what it needs),
//! and whoever follows takes that for an offset. IEEE 1588-2019 (9.5.9.2) leaves the interval 30 % either way.

use units::{MonoTime, Span};

/// After so long a packet is as slow as after any longer rest.
const STILL: Span = Span::from_millis(12);

/// When a Sync that is due at `due` leaves a line whose last packet came or went at `moved`: after a rest, and a quarter
/// of the interval late at most.
pub fn sync_leaves(due: MonoTime, moved: MonoTime, interval: Span) -> MonoTime {
    let latest = due + Span::from_ns(interval.ns() / 4);
    due.max((moved + STILL).min(latest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(due_ms: i64, moved_ms: i64, interval_ms: i64) -> i64 {
        let at = |ms| MonoTime::ZERO + Span::from_millis(ms);
        let leaves = sync_leaves(at(due_ms), at(moved_ms), Span::from_millis(interval_ms));
        (leaves - MonoTime::ZERO).ns() / 1_000_000
    }

    #[test]
    fn ca02_a_sync_leaves_a_line_at_rest_and_soon_all_the_same() {
        assert_eq!(leaves(1000, 900, 125), 1000, "the line is at rest");
        assert_eq!(leaves(1000, 995, 125), 1007, "something moved");
        assert_eq!(leaves(1000, 1000, 20), 1005, "the interval has little to give");
        assert_eq!(leaves(1000, 1030, 125), 1031, "a line that is never at rest");
    }
}
