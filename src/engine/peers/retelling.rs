//! When live sound of another evening leaves again (SX-20).
//!
//! In: the show's clock, and where in the evening a packet is heard. Out: when it leaves, or that it comes too
//! late. Never here: a packet, a thread.

use units::{ShowTime, Span};

/// An evening that is told again.
#[derive(Debug, Clone, Copy)]
pub struct Retelling {
    /// When it would have begun here.
    since: ShowTime,
    /// From a packet's leaving to its time.
    ahead: Span,
    /// What should have left before is not sent.
    from: ShowTime,
}

/// A packet that is later stood behind a slow disk, or with its box: phones have gone on without it.
const LATE_MAX: Span = Span::from_millis(200);

impl Retelling {
    /// Of an evening that would have begun `since`. What was to leave before `now` has left before a pause, or would
    /// come too late.
    pub fn new(now: ShowTime, since: ShowTime, ahead: Span) -> Self {
        Self { since, ahead, from: now }
    }

    /// Where the evening is for what leaves first.
    pub fn place(&self) -> Span {
        (self.from + self.ahead - self.since).max(Span::ZERO)
    }

    /// When a packet is heard that is so far into the evening.
    pub fn heard(&self, place: Span) -> ShowTime {
        self.since + place
    }

    /// Then, or when what leaves first does.
    pub fn begun(&self, at: ShowTime) -> ShowTime {
        at.max(self.from)
    }

    /// When it leaves; none if it comes too late.
    pub fn due(&self, now: ShowTime, place: Span) -> Option<ShowTime> {
        let due = self.heard(place) - self.ahead;
        (due >= self.from && now - due <= LATE_MAX).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> ShowTime {
        ShowTime::from_ns(ms * 1_000_000)
    }

    const AHEAD: Span = Span::from_millis(210);

    #[test]
    fn sx20_sound_leaves_as_far_ahead_of_its_time_as_live_sound_does() {
        let evening = Retelling::new(at(1_000), at(1_400), AHEAD);
        assert_eq!(evening.place(), Span::ZERO);
        let place = Span::from_millis(500);
        assert_eq!(evening.due(at(1_000), place), Some(at(1_690)));
        assert_eq!(evening.heard(place), at(1_900));
    }

    #[test]
    fn sx20_what_comes_in_in_the_middle_begins_with_what_can_still_be_in_time() {
        let evening = Retelling::new(at(60_000), at(0), AHEAD);
        assert_eq!(evening.place(), Span::from_millis(60_210));
        assert_eq!(evening.due(at(60_000), Span::from_millis(60_209)), None);
        assert_eq!(evening.due(at(60_001), Span::from_millis(60_210)), Some(at(60_000)));
    }

    #[test]
    fn sx20_after_a_pause_goes_on_what_had_not_left() {
        let before = Retelling::new(at(0), at(0), AHEAD);
        let (paused, resumed) = (at(3_000), at(8_000));
        let after = Retelling::new(resumed, at(5_000), AHEAD);
        for place in (0..10_000).step_by(20).map(Span::from_millis) {
            let had_left = before.due(at(0), place).is_none_or(|due| due < paused);
            assert_eq!(after.due(resumed, place).is_none(), had_left, "{place}");
        }
    }

    #[test]
    fn sx20_what_a_slow_disk_kept_is_left_out() {
        let evening = Retelling::new(at(0), at(1_000), AHEAD);
        let place = Span::from_millis(20);
        assert_eq!(evening.due(at(1_010), place), Some(at(810)));
        assert_eq!(evening.due(at(1_011), place), None);
    }
}
