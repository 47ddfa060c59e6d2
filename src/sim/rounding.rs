//! How a browser rounds the clock it shows to a page, so that a page cannot spy.
//!
//! In: exact readings. Out: what the page reads. Readings never go back, however they are rounded.

use phone::Chance;
use units::{MonoTime, Span};

/// How a page's clock is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Down to a multiple of the step.
    Floor(Span),
    /// Up or down: within each step there is a place, drawn by this seed, from which on it is up.
    Fuzz(Span, u64),
}

impl Rounding {
    /// What the page reads.
    pub fn read(self, exact: MonoTime) -> MonoTime {
        let step = self.step().ns();
        let count = exact.ns().div_euclid(step);
        let up = match self {
            Self::Floor(_) => 0,
            Self::Fuzz(_, seed) => {
                let turn = Chance::new(u128::from(seed) << 64 | count as u64 as u128).share();
                i64::from(exact.ns().rem_euclid(step) as f64 >= turn * step as f64)
            }
        };
        MonoTime::from_ns((count + up) * step)
    }

    /// The step, at least a nanosecond.
    pub fn step(self) -> Span {
        let (Self::Floor(step) | Self::Fuzz(step, _)) = self;
        step.max(Span::from_ns(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(rounding: Rounding) -> Vec<i64> {
        let mut last = MonoTime::ZERO;
        let errors = (0..50_000_i64).map(|k| {
            let exact = MonoTime::from_ns(k * 7_919);
            let read = rounding.read(exact);
            assert!(read >= last, "a page's clock never goes back");
            last = read;
            (read - exact).ns()
        });
        errors.collect()
    }

    #[test]
    fn a_floored_clock_is_late_by_half_a_step_and_a_fuzzed_one_is_right_on_average() {
        let mean = |errors: &[i64]| errors.iter().sum::<i64>() as f64 / errors.len() as f64 / 1e3;
        let step = Span::from_micros(100);
        let (floor, fuzz) = (errors(Rounding::Floor(step)), errors(Rounding::Fuzz(step, 7)));
        assert!((mean(&floor) + 50.0).abs() < 1.0, "{}", mean(&floor));
        assert!(mean(&fuzz).abs() < 3.0, "{}", mean(&fuzz));
        assert!(fuzz.iter().all(|error| error.abs() < 100_000));
        assert!(fuzz.iter().any(|error| *error > 50_000));
    }
}
