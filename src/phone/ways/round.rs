//! How long a way's answers take, and whether it is plainly the worse of two.
//!
//! In: round trips. Out: their middle, once it is known. Never: a way, a time.
//!
//! One answer is wrong by half its round trip at most, and where round trips wander the floor beneath them hides: of
//! ways that are alike the datagrams' is the better, but not one that a relay or a poor radio makes many times as long.

use std::collections::VecDeque;

use units::Span;

/// The middle of so few is no accident.
const KNOWN: usize = 6;
const KEPT: usize = 8;
/// What a page's turns and a kernel's queues make of a way that is as good as another ...
const NEAR: Span = Span::from_millis(5);
/// ... and of one that is taken back.
const NEARER: Span = Span::from_millis(3);

/// The last round trips of one way, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Rounds(VecDeque<Span>);

impl Rounds {
    pub(super) fn see(&mut self, rtt: Span) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(rtt);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this way takes more than twice as long as that one; none while either is unknown. One that was left
    /// for it has to do better than one that comes new, lest they change places all the time.
    pub(super) fn is_worse_than(&self, other: &Self, was_left: bool) -> Option<bool> {
        let (ours, theirs) = (self.middle()?.ns(), other.middle()?.ns());
        let most =
            if was_left { theirs + theirs / 2 + NEARER.ns() } else { 2 * theirs + NEAR.ns() };
        Some(ours > most)
    }

    fn middle(&self) -> Option<Span> {
        let mut sorted: Vec<Span> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        (sorted.len() >= KNOWN).then(|| sorted[sorted.len() / 2])
    }
}
