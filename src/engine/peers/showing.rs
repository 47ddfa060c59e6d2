//! When the pictures of a film that is shown live are due, pass after pass (SX-11).
//!
//! In: the monotonic clock, the film's own times. Out: when a picture is to leave. Never here: a film, a thread.

use units::{MonoTime, Span};

/// How far a film is.
#[derive(Debug, Clone, Default)]
pub struct Showing {
    /// When this pass began; none before the first picture.
    began: Option<MonoTime>,
    /// How long a pass is, as far as it was seen.
    length: Span,
}

/// A film that is later stood still, with its disk or its box: it goes on from there, and hurries after nothing.
const LATE_MAX: Span = Span::from_secs(1);
/// No pass is shorter, whatever a file of one picture says of itself.
const PASS_MIN: Span = Span::from_millis(20);

impl Showing {
    /// When the picture is due that is seen so far into the film.
    pub fn due(&mut self, now: MonoTime, at: Span) -> MonoTime {
        let began = self.began.get_or_insert(now);
        let due = *began + at;
        if now - due <= LATE_MAX {
            return due;
        }
        *began += now - due;
        now
    }

    /// A picture left that is seen so far into the film, and for so long.
    pub fn handle_left(&mut self, at: Span, lasts: Span) {
        self.length = self.length.max(at + lasts).max(PASS_MIN);
    }

    /// The film is over and begins again where it ended; false where no picture left.
    pub fn handle_end(&mut self) -> bool {
        let length = std::mem::take(&mut self.length);
        self.began = self.began.map(|began| began + length);
        length > Span::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> MonoTime {
        MonoTime::from_ns(ms * 1_000_000)
    }

    const FRAME: Span = Span::from_millis(40);

    #[test]
    fn sx11_a_film_is_shown_over_and_over_without_a_gap_between_its_passes() {
        let mut showing = Showing::default();
        for pass in 0..3 {
            for nth in 0..25 {
                let due = showing.due(at(500 + pass * 1_000), FRAME.times(nth));
                assert_eq!(due, at(500 + pass * 1_000 + nth * 40));
                showing.handle_left(FRAME.times(nth), FRAME);
            }
            assert!(showing.handle_end());
        }
    }

    #[test]
    fn sx11_a_film_that_is_a_little_late_catches_up_and_one_that_stood_still_goes_on() {
        let mut showing = Showing::default();
        assert_eq!(showing.due(at(0), Span::ZERO), at(0));
        assert_eq!(showing.due(at(900), FRAME), at(40), "it keeps its place");
        assert_eq!(showing.due(at(5_000), FRAME), at(5_000));
        assert_eq!(showing.due(at(5_000), FRAME.times(2)), at(5_040), "from there on");
    }

    #[test]
    fn sx11_a_film_without_pictures_ends_and_one_that_takes_no_time_takes_some() {
        let mut showing = Showing::default();
        assert!(!showing.handle_end());
        showing.due(at(0), Span::ZERO);
        showing.handle_left(Span::ZERO, Span::from_ns(1));
        assert!(showing.handle_end());
        assert_eq!(showing.due(at(0), Span::ZERO), at(20));
    }
}
