//! When a port whose packets do not leave is opened again.
//!
//! In: what failed, what left, and when. Out: whether to try. Never: a clock, a socket. A port that fails at its first
//! packet opens well, so opening it says nothing: only a packet that left does.

use units::{MonoTime, Span};

/// The first wait, which doubles with every failure.
const WAIT_MIN: Span = Span::from_millis(250);
/// The last: whoever mends the network is seen within it.
const WAIT_MAX: Span = Span::from_secs(16);

/// A port's patience.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retry {
    /// How long the last wait was; none where the last packet left.
    wait: Option<Span>,
    until: Option<MonoTime>,
}

impl Retry {
    /// A packet could not leave.
    pub fn failed(&mut self, now: MonoTime) {
        let wait = self.wait.map_or(WAIT_MIN, |wait| wait.times(2).min(WAIT_MAX));
        *self = Self { wait: Some(wait), until: Some(now + wait) };
    }

    /// A packet has left, or the interface is another than before.
    pub fn is_well(&mut self) {
        *self = Self::default();
    }

    /// Whether the last packet could not leave.
    pub fn is_in_trouble(&self) -> bool {
        self.wait.is_some()
    }

    /// Whether to try again now.
    pub fn may(&self, now: MonoTime) -> bool {
        self.until.is_none_or(|until| now >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ca02_a_port_whose_packets_never_leave_is_tried_ever_less_often() {
        let (mut retry, mut now, mut waits) = (Retry::default(), MonoTime::ZERO, Vec::new());
        assert!(retry.may(now) && !retry.is_in_trouble());
        for _ in 0..9 {
            retry.failed(now);
            let from = now;
            while !retry.may(now) {
                now += Span::from_millis(250);
            }
            waits.push((now - from).ns() / 1_000_000);
        }
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 16_000, 16_000, 16_000]);
        assert!(retry.is_in_trouble(), "that it opened again says nothing");
        retry.is_well();
        assert_eq!(retry, Retry::default());
    }
}
