//! A clock whose rate turns now and then, and what it has shown stays shown.
//!
//! In: true time. Out: what the clock shows, and when it will show something. [`crate::crystal`] says how rates turn.

use units::{Ppm, ShowTime, Span};

/// A clock, and everything it did.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    turns: Vec<Turn>,
}

/// From a time on, another rate.
#[derive(Debug, Clone, Copy)]
struct Turn {
    at: ShowTime,
    /// What it shows then.
    shows: Span,
    rate: Ppm,
}

/// As much slower as true time is fast.
const STILL: Ppm = Ppm(-1e6);

impl Dial {
    /// Shows nothing at `at`, and runs so much faster than true time.
    pub(crate) fn new(at: ShowTime, rate: Ppm) -> Self {
        Self { turns: vec![Turn { at, shows: Span::ZERO, rate }] }
    }

    /// What it shows.
    pub(crate) fn shows(&self, at: ShowTime) -> Span {
        let turn = self.turn_of(|turn| turn.at <= at);
        turn.shows + faster(at - turn.at, turn.rate)
    }

    /// When it shows so much.
    pub(crate) fn when(&self, shows: Span) -> ShowTime {
        let turn = self.turn_of(|turn| turn.shows <= shows);
        let gone = (shows - turn.shows).ns() as f64;
        turn.at + Span::from_ns((gone / turn.rate.ratio()).round() as i64)
    }

    /// From now on it runs at another rate.
    pub(crate) fn turn(&mut self, at: ShowTime, rate: Ppm) {
        let shows = self.shows(at);
        self.turns.push(Turn { at, shows, rate });
    }

    /// It stood still until `at`, and goes on where it was at `since`; asked for a time between, it shows that it stood.
    pub(crate) fn stood(&mut self, since: ShowTime, at: ShowTime) {
        let Turn { rate, .. } = self.turn_of(|turn| turn.at <= since);
        let shows = self.shows(since);
        self.turns.retain(|turn| turn.at <= since);
        self.turns.push(Turn { at: since, shows, rate: STILL });
        self.turns.push(Turn { at, shows, rate });
    }

    fn turn_of(&self, before: impl Fn(&Turn) -> bool) -> Turn {
        let next = self.turns.partition_point(before);
        self.turns[next.saturating_sub(1)]
    }
}

/// Only what the rate differs from 1 goes through floating point: a day keeps its nanoseconds.
fn faster(gone: Span, rate: Ppm) -> Span {
    gone + Span::from_ns((gone.ns() as f64 * rate.0 * 1e-6).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: f64) -> ShowTime {
        ShowTime::from_ns(1_790_000_000_000_000_000) + Span::from_secs_f64(secs)
    }

    #[test]
    fn a_clock_that_turns_never_steps_and_is_read_both_ways() {
        let mut dial = Dial::new(at(0.0), Ppm(50.0));
        dial.turn(at(1_000.0), Ppm(-50.0));
        dial.turn(at(2_000.0), Ppm(0.0));
        assert_eq!(dial.shows(at(1_000.0)), Span::from_micros(1_000_050_000));
        assert_eq!(dial.shows(at(2_000.0)), Span::from_secs(2_000));
        for secs in [0.5, 999.9, 1_000.0, 1_700.3, 2_500.0] {
            let back = dial.when(dial.shows(at(secs)));
            assert!((back - at(secs)).abs() <= Span::from_ns(1), "{secs}");
        }
    }

    #[test]
    fn a_clock_that_stood_still_goes_on_where_it_was() {
        let mut dial = Dial::new(at(0.0), Ppm(0.0));
        dial.stood(at(10.0), at(70.0));
        assert_eq!(dial.shows(at(40.0)), Span::from_secs(10));
        assert_eq!(dial.when(Span::from_secs(15)), at(75.0));
        assert_eq!(dial.shows(at(75.0)), Span::from_secs(15));
    }
}
