//! Between which leads the true one lies, whatever the curve says.
//!
//! In: every exchange, also those that nobody believes. Out: the lowest and the highest lead that can be. Never: floors,
//! queues, how likely anything is.
//!
//! No word arrives before it was said: what went there was on its way for no less than nothing, and so was what came
//! back. Each answer leaves half its round trip either way, and two of them what both leave, widened by what the
//! crystals may have strayed in between. A curve may follow a queue for minutes and be sure of itself; this holds
//! nevertheless, on a way of any length and on another way.

use super::fit::{Row, SKEW_USUAL};

/// The lowest and the highest lead, microseconds, at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    at: f64,
    low: f64,
    high: f64,
    /// What the curve's skew has been for long, ppm, and how sure that is.
    skew: f64,
    skew_var: f64,
}

/// The curve's skew now, ppm, and its variance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Skew {
    pub(super) ppm: f64,
    pub(super) var: f64,
}

/// What the curve may not have noticed yet: a phone that is taken from a pocket into a hand, ppm.
const WANDER_MOST: f64 = 1.0;
/// A crystal keeps its skew for about so long, seconds. A curve that follows a queue may leave it at once.
const STEADY_SECS: f64 = 60.0;

impl Default for Limits {
    /// Nothing is known.
    fn default() -> Self {
        Self {
            at: 0.0,
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
            skew: 0.0,
            skew_var: SKEW_USUAL * SKEW_USUAL,
        }
    }
}

impl Limits {
    /// One more exchange, whose stamps are rounded by no more than the edges. If it and those before cannot both be
    /// right, one of the two is: the next shows which.
    pub(super) fn hear(&mut self, row: Row, edges: (f64, f64), skew: Skew) {
        let (low, high) = self.at(row.at, skew);
        let (lowest, highest) = (-row.down - edges.1, row.up + edges.0);
        let agree = lowest.max(low) <= highest.min(high);
        (self.low, self.high) = match agree {
            true => (lowest.max(low), highest.min(high)),
            false => (lowest.min(low), highest.max(high)),
        };
        self.learn(skew, (row.at - self.at).max(0.0));
        self.at = row.at;
    }

    /// A curve says nearly the same again and again: only what it says for long counts.
    fn learn(&mut self, skew: Skew, gone: f64) {
        self.skew_var += gone / STEADY_SECS;
        let says = self.skew_var * gone;
        let share = says / (says + STEADY_SECS * (1.0 + skew.var));
        self.skew += share * (skew.ppm - self.skew);
        self.skew_var *= 1.0 - share;
    }

    /// The clock was moved: what was known holds no more, but the crystals are the same.
    pub(super) fn stepped(&mut self) {
        (self.low, self.high) = (f64::NEG_INFINITY, f64::INFINITY);
    }

    /// Whether a curve stays between them, or as near as that.
    pub(super) fn admit(&self, lead: impl Fn(f64) -> f64, near: f64) -> bool {
        let lead = lead(self.at);
        lead > self.low - near && lead < self.high + near
    }

    /// The two at a time.
    pub(super) fn at(&self, at: f64, skew: Skew) -> (f64, f64) {
        let doubt = WANDER_MOST + 3.0 * skew.var.sqrt() + (skew.ppm - self.skew).abs();
        let gone = at - self.at;
        let (drift, strays) = (self.skew * gone, gone.abs() * doubt);
        (self.low + drift - strays, self.high + drift + strays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It is known for sure, and has not been it for long.
    const SKEW: Skew = Skew { ppm: 10.0, var: 0.0 };

    fn heard(rows: &[(f64, f64, f64)]) -> Limits {
        let mut limits = Limits::default();
        for &(at, up, down) in rows {
            limits.hear(Row { at, up, down }, (0.0, 100.0), SKEW);
        }
        limits
    }

    #[test]
    fn an_answer_leaves_its_round_trip_and_what_rounding_took_of_it() {
        assert_eq!(heard(&[(5.0, 3_000.0, 1_000.0)]).at(5.0, SKEW), (-1_100.0, 3_000.0));
    }

    #[test]
    fn two_answers_leave_what_both_leave_widened_by_what_crystals_may_stray() {
        let limits = heard(&[(0.0, 3_000.0, 1_000.0), (10.0, 9_000.0, 200.0)]);
        // A ppm that is always in doubt, and ten that the skew was not yet known to be.
        assert_eq!(limits.at(10.0, SKEW), (-300.0, 3_110.0));
        let (low, high) = limits.at(20.0, SKEW);
        assert!(
            (-216.0..-206.0).contains(&low) && (3_214.0..3_224.0).contains(&high),
            "{low} {high}"
        );
    }

    #[test]
    fn a_skew_that_holds_is_believed_and_one_that_leaps_is_doubted() {
        let rows: Vec<_> = (0..200).map(|k| (f64::from(k) * 5.0, 9e9, 9e9)).collect();
        let (held, at) = (heard(&rows), 995.0);
        let width = |ppm| {
            let (low, high) = held.at(at + 10.0, Skew { ppm, var: 0.0 });
            high - low - 18e9 - 100.0
        };
        assert!(width(30.0) > width(10.0) + 300.0, "{} {}", width(30.0), width(10.0));
    }

    #[test]
    fn of_two_that_contradict_each_other_the_next_shows_which_was_right() {
        let (old, new) = ((0.0, 1_000.0, 1_000.0), (0.0, 41_000.0, -39_000.0));
        assert_eq!(heard(&[old, new]).at(0.0, SKEW), (-1_100.0, 41_000.0));
        assert_eq!(heard(&[old, new, old]).at(0.0, SKEW), (-1_100.0, 1_000.0));
        assert_eq!(heard(&[old, new, new]).at(0.0, SKEW), (38_900.0, 41_000.0));
    }
}
