//! A crystal: what makes a clock run, and run away.
//!
//! In: true time. Out: what a counter on this crystal reads. Never: real time.
//!
//! A crystal's rate is off by a constant; it trembles (white noise), it wanders (a random walk), and it follows the
//! temperature, which follows doors, lamps and fans.

use phone::Chance;
use units::{MonoTime, Ppm, ShowTime, Span};

/// What kind of crystal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crystal {
    /// How much faster than true time it runs at the beginning.
    pub rate: Ppm,
    /// White noise of the rate: the deviation of a second's mean.
    pub tremble: Ppm,
    /// Random walk of the rate: its deviation after a second.
    pub wander: Ppm,
    /// How far the temperature carries the rate, either way; it swings there and back in [`Self::swing`].
    pub heat: Ppm,
    /// How long a swing of the temperature takes; none means that it does not swing.
    pub swing: Span,
}

impl Crystal {
    /// One that is true for ever.
    pub const PERFECT: Self = Self {
        rate: Ppm(0.0),
        tremble: Ppm(0.0),
        wander: Ppm(0.0),
        heat: Ppm(0.0),
        swing: Span::ZERO,
    };

    /// Some computer's or interface's: up to 50 ppm off, in a rack whose temperature swings by some degrees in minutes
    /// or hours.
    pub fn drawn(chance: &mut Chance) -> Self {
        let mut between = |low: f64, high: f64| low + (high - low) * chance.share();
        Self {
            rate: Ppm(between(-50.0, 50.0)),
            tremble: Ppm(between(0.0005, 0.003)),
            wander: Ppm(between(0.0005, 0.005)),
            heat: Ppm(between(0.0, 1.0)),
            swing: Span::from_secs_f64(between(600.0, 7_200.0)),
        }
    }
}

/// The rate is drawn anew this often.
const GRAIN_NS: i64 = 62_500_000;

/// A counter on a crystal, read forward in time; up to a grain back is allowed, too.
#[derive(Debug, Clone)]
pub struct Counter {
    crystal: Crystal,
    chance: Chance,
    phase: f64,
    walked: f64,
    /// The last grain and the one before.
    pieces: [Piece; 2],
}

/// A piece of constant rate: from `at`, where it reads `read` (both ns), with `gain` ns a ns.
#[derive(Debug, Clone, Copy)]
struct Piece {
    at: i64,
    read: f64,
    gain: f64,
}

impl Counter {
    /// Reads zero at true time zero.
    pub fn new(crystal: Crystal, seed: u128) -> Self {
        let mut chance = Chance::new(seed);
        let phase = chance.share();
        let nothing = Piece { at: -GRAIN_NS, read: 0.0, gain: 0.0 };
        let first = Piece { at: 0, read: 0.0, gain: crystal.rate.0 * 1e-6 };
        Self { crystal, chance, phase, walked: 0.0, pieces: [nothing, first] }
    }

    /// What it reads beyond true time, ns.
    pub fn ahead_ns(&mut self, truth: ShowTime) -> f64 {
        while truth.ns() >= self.pieces[1].at + GRAIN_NS {
            self.grow();
        }
        let [old, new] = self.pieces;
        let piece = if truth.ns() < new.at { old } else { new };
        piece.read + piece.gain * (truth.ns() - piece.at) as f64
    }

    /// What it reads, as a machine's monotonic clock.
    pub fn mono(&mut self, truth: ShowTime) -> MonoTime {
        MonoTime::from_ns(truth.ns() + self.ahead_ns(truth).round() as i64)
    }

    fn grow(&mut self) {
        let last = self.pieces[1];
        let (at, secs) = (last.at + GRAIN_NS, GRAIN_NS as f64 * 1e-9);
        let read = last.read + last.gain * GRAIN_NS as f64;
        self.walked += self.crystal.wander.0 * secs.sqrt() * normal(&mut self.chance);
        let tremble = self.crystal.tremble.0 / secs.sqrt() * normal(&mut self.chance);
        let ppm = self.crystal.rate.0 + self.walked + tremble + self.heat(at);
        self.pieces = [last, Piece { at, read, gain: ppm * 1e-6 }];
    }

    fn heat(&self, at: i64) -> f64 {
        if self.crystal.swing == Span::ZERO {
            return 0.0;
        }
        let turn = |at: f64| (std::f64::consts::TAU * (at + self.phase)).sin();
        self.crystal.heat.0 * (turn(at as f64 / self.crystal.swing.ns() as f64) - turn(0.0))
    }
}

/// Normal with deviation 1 (Box and Muller).
pub(crate) fn normal(chance: &mut Chance) -> f64 {
    let radius = (-2.0 * (1.0 - chance.share()).ln()).sqrt();
    radius * (std::f64::consts::TAU * chance.share()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: i64) -> ShowTime {
        ShowTime::ZERO + Span::from_secs(secs)
    }

    #[test]
    fn a_perfect_crystal_is_true_and_another_gains_what_its_rate_says() {
        let mut perfect = Counter::new(Crystal::PERFECT, 1);
        assert_eq!(perfect.mono(secs(86_400)), MonoTime::ZERO + Span::from_secs(86_400));
        let mut fast = Counter::new(Crystal { rate: Ppm(20.0), ..Crystal::PERFECT }, 1);
        assert!((fast.ahead_ns(secs(1_000)) - 20e6).abs() < 1.0);
    }

    #[test]
    fn a_crystal_wanders_as_far_as_it_is_said_to() {
        let wander = Ppm(0.01);
        let rate = |seed| {
            let mut counter = Counter::new(Crystal { wander, ..Crystal::PERFECT }, seed);
            let before = counter.ahead_ns(secs(900));
            (counter.ahead_ns(secs(901)) - before) / 1e3
        };
        let squares: f64 = (0..400).map(|seed| rate(seed).powi(2)).sum();
        let deviation = (squares / 400.0).sqrt();
        assert!((deviation - 0.3).abs() < 0.05, "{deviation} ppm after a quarter of an hour");
    }
}
