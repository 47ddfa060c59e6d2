//! A crystal that runs as it likes: its rate turns now and then, and what it has shown stays shown.
//!
//! In: true time. Out: what a clock on this crystal shows, and when it will show something. *Wander* is how real ones
//! turn: each has its own rate, ages a little, and follows the temperature of the pocket it is in.

use phone::Chance;
use units::{Ppm, ShowTime, Span};

use crate::path::wait;

/// A crystal, and everything it did.
#[derive(Debug, Clone)]
pub(crate) struct Crystal {
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

impl Crystal {
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

    /// It stood still until `at`, and goes on where it was at `since`.
    pub(crate) fn stood(&mut self, since: ShowTime, at: ShowTime) {
        let Turn { rate, .. } = self.turn_of(|turn| turn.at <= since);
        let shows = self.shows(since);
        self.turns.retain(|turn| turn.at <= since);
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

/// How a crystal's rate wanders.
#[derive(Debug, Clone)]
pub(crate) struct Wander {
    own: Ppm,
    aged: f64,
    /// What its temperature makes of it, and is about to make.
    warm: f64,
    warm_to: f64,
    chance: Chance,
}

/// A walk of this many ppm in the square root of an hour.
const AGING: f64 = 0.1;
/// A pocket, a hand, a window: so many ppm either way.
const WARMTH: f64 = 3.0;
/// From one such change to the next, on average.
const MOVES: f64 = 1_800.0;
/// How fast a phone takes on the temperature around it, seconds.
const SETTLES: f64 = 300.0;

impl Wander {
    pub(crate) fn new(own: Ppm, seed: u64) -> Self {
        let chance = Chance::new(u128::from(seed) << 64 | 0xc1);
        Self { own, aged: 0.0, warm: 0.0, warm_to: 0.0, chance }
    }

    /// Its rate after so much more time.
    pub(crate) fn after(&mut self, span: Span) -> Ppm {
        let secs = span.secs_f64();
        // The sum of two exponentials of opposite signs has no mean, and twice the square of one.
        let step = (wait(&mut self.chance) - wait(&mut self.chance)) / 2.0_f64.sqrt();
        self.aged += AGING * (secs / 3_600.0).sqrt() * step;
        if self.chance.share() < secs / MOVES {
            self.warm_to = WARMTH * (2.0 * self.chance.share() - 1.0);
        }
        self.warm += (self.warm_to - self.warm) * (1.0 - (-secs / SETTLES).exp());
        Ppm(self.own.0 + self.aged + self.warm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: f64) -> ShowTime {
        ShowTime::from_ns(1_790_000_000_000_000_000) + Span::from_secs_f64(secs)
    }

    #[test]
    fn a_crystal_that_turns_never_steps_and_is_read_both_ways() {
        let mut crystal = Crystal::new(at(0.0), Ppm(50.0));
        crystal.turn(at(1_000.0), Ppm(-50.0));
        crystal.turn(at(2_000.0), Ppm(0.0));
        assert_eq!(crystal.shows(at(1_000.0)), Span::from_micros(1_000_050_000));
        assert_eq!(crystal.shows(at(2_000.0)), Span::from_secs(2_000));
        for secs in [0.5, 999.9, 1_000.0, 1_700.3, 2_500.0] {
            let back = crystal.when(crystal.shows(at(secs)));
            assert!((back - at(secs)).abs() <= Span::from_ns(1), "{secs}");
        }
    }

    #[test]
    fn a_crystal_that_stood_still_goes_on_where_it_was() {
        let mut crystal = Crystal::new(at(0.0), Ppm(0.0));
        crystal.stood(at(10.0), at(70.0));
        assert_eq!(crystal.shows(at(75.0)), Span::from_secs(15));
    }

    #[test]
    fn a_crystal_wanders_by_parts_per_million_and_slowly() {
        let mut wander = Wander::new(Ppm(20.0), 7);
        let rates: Vec<f64> = (0..8_640).map(|_| wander.after(Span::from_secs(10)).0).collect();
        let far = rates.iter().map(|rate| (rate - 20.0).abs()).fold(0.0, f64::max);
        let fast = rates.windows(2).map(|two| (two[1] - two[0]).abs()).fold(0.0, f64::max);
        assert!((1.0..8.0).contains(&far), "{far} ppm in a day");
        assert!(fast < 0.5, "{fast} ppm in ten seconds");
    }
}
