//! Whether the way itself has become longer.
//!
//! In: how far each exchange lies above the floors. Out: since when all of them lie too high. Never: stamps.
//!
//! A queue that fills lifts some answers and not others. A longer way lifts every single one, by the same: then the
//! lows of several seconds lie above what seconds' lows usually reach, and close together.

/// The lowest of each direction within about a second.
#[derive(Debug, Clone, Copy, Default)]
struct Low {
    since: f64,
    up: f64,
    down: f64,
}

/// The last seconds' lows, the newest last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lows {
    low: [Low; KEPT],
    count: usize,
}

const KEPT: usize = 32;
const KNOWN_AFTER: usize = 9;
/// Seconds that prove it.
const PROOF: usize = 5;

impl Lows {
    /// An exchange at `at` that lies so far above the floors.
    pub(super) fn see(&mut self, at: f64, (up, down): (f64, f64)) {
        match self.low[..self.count.min(KEPT)].last_mut() {
            Some(low) if at - low.since < 1.0 => {
                low.up = low.up.min(up);
                low.down = low.down.min(down);
            }
            _ => {
                if self.count >= KEPT {
                    self.low.rotate_left(1);
                }
                self.low[self.count.min(KEPT - 1)] = Low { since: at, up, down };
                self.count += 1;
            }
        }
    }

    /// How far a second's lows usually lie above the floors, once that is known.
    pub(super) fn usual(&self) -> Option<f64> {
        (self.count >= KNOWN_AFTER).then(|| self.share(self.whole(), 0.25))
    }

    /// When all recent seconds lie high and close together, the way is longer: since when.
    pub(super) fn risen(&self, step_us: f64) -> Option<f64> {
        let (before, recent) =
            self.whole().split_at_checked(self.whole().len().checked_sub(PROOF)?)?;
        if before.len() < KNOWN_AFTER {
            return None;
        }
        let most = self.share(before, 0.75);
        let lowest = recent.iter().map(Low::sum).fold(f64::INFINITY, f64::min);
        let highest = recent.iter().map(Low::sum).fold(f64::NEG_INFINITY, f64::max);
        let enough = 100.0 + 0.5 * step_us + 2.0 * most;
        let together = 0.4 * lowest + 0.3 * step_us + most;
        // In the first of them the old way may have had its last word.
        (lowest > enough && highest - lowest < together).then(|| recent[1].since)
    }

    /// The seconds that are over.
    fn whole(&self) -> &[Low] {
        &self.low[..self.count.min(KEPT).saturating_sub(1)]
    }

    fn share(&self, of: &[Low], share: f64) -> f64 {
        let mut sums = [f64::INFINITY; KEPT];
        for (sum, low) in sums.iter_mut().zip(of) {
            *sum = low.sum();
        }
        sums.sort_unstable_by(f64::total_cmp);
        sums[(of.len() as f64 * share) as usize].clamp(0.0, 1e9)
    }
}

impl Low {
    fn sum(&self) -> f64 {
        self.up + self.down
    }
}
