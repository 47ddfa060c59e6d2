//! When the pictures of a film that is shown live are due, pass after pass, and what of its sound belongs to them (SX-11).
//!
//! In: the monotonic clock, the film's own times. Out: when a picture is to leave; which place of the film a moment is of.
//! Never here: a film, a thread.
//!
//! A film is as long as its pictures: sound that goes on behind them is not heard, and one that ends before them is
//! followed by silence, so that both begin each pass together.

use std::collections::VecDeque;

use units::{MonoTime, Span};

/// How far a film is.
#[derive(Debug, Clone, Default)]
pub struct Showing {
    /// When the passes began whose sound may not have left, this one last; none before the first picture.
    begins: VecDeque<MonoTime>,
    /// Which pass this is.
    pass: u64,
    /// How long a pass is, as far as it was seen.
    length: Span,
}

/// What is heard at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Of which pass.
    pub pass: u64,
    /// How far into the film; before its first picture it is less than nothing.
    pub place: Span,
    /// How long until the next pass, where that is known.
    pub left: Option<Span>,
}

/// A film that is later stood still, with its disk or its box: it goes on from there, and hurries after nothing.
const LATE_MAX: Span = Span::from_secs(1);
/// No pass is shorter, whatever a file of one picture says of itself.
const PASS_MIN: Span = Span::from_millis(20);
/// Sound is at most a packet and a picture behind the pictures: more passes do not begin within that.
const BEGINS_MAX: usize = 4;

impl Showing {
    /// When the picture is due that is seen so far into the film.
    pub fn due(&mut self, now: MonoTime, at: Span) -> MonoTime {
        if self.begins.is_empty() {
            self.begins.push_back(now);
        }
        let began = self.begins.back_mut().expect("just begun");
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
        if let Some(began) = self.begins.back().copied() {
            self.begins.push_back(began + length);
            self.pass += 1;
        }
        if self.begins.len() > BEGINS_MAX {
            self.begins.pop_front();
        }
        length > Span::ZERO
    }

    /// What is heard at a time up to which all pictures have left; none before the first did.
    pub fn moment(&self, at: MonoTime) -> Option<Moment> {
        let later = self.begins.iter().skip(1).filter(|begin| **begin > at).count();
        let k = self.begins.len().checked_sub(1 + later)?;
        let left = self.begins.get(k + 1).map(|next| *next - at);
        Some(Moment { pass: self.pass - later as u64, place: at - self.begins[k], left })
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
    fn sx11_the_sound_of_a_pass_goes_on_until_the_next_one_begins_and_begins_with_it() {
        let mut showing = Showing::default();
        assert_eq!(showing.moment(at(0)), None, "no picture has left");
        for pass in 0..10 {
            for nth in 0..3 {
                showing.due(at(500 + pass * 120), FRAME.times(nth));
                showing.handle_left(FRAME.times(nth), FRAME);
            }
            let begins = 500 + pass * 120;
            let moment = |pass: i64, ms, left: Option<i64>| {
                let (place, left) = (Span::from_millis(ms), left.map(Span::from_millis));
                Some(Moment { pass: pass as u64, place, left })
            };
            assert_eq!(showing.moment(at(begins + 110)), moment(pass, 110, None));
            assert!(showing.handle_end());
            assert_eq!(showing.moment(at(begins + 110)), moment(pass, 110, Some(10)));
            assert_eq!(showing.moment(at(begins + 120)), moment(pass + 1, 0, None));
        }
    }

    #[test]
    fn sx11_a_film_that_stood_still_is_heard_from_where_it_is_seen() {
        let mut showing = Showing::default();
        showing.due(at(0), Span::ZERO);
        assert_eq!(showing.due(at(5_000), FRAME), at(5_000));
        assert_eq!(showing.moment(at(5_010)).map(|it| it.place), Some(Span::from_millis(50)));
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
