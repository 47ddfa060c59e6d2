//! Whether the way itself has changed.
//!
//! In: how far each exchange lies above the floors. Out: since when all of them lie too high. Never: stamps.

/// The lowest of about a second.
#[derive(Debug, Clone, Copy, Default)]
struct Low {
    since: f64,
    sum: f64,
}

/// The last seconds' lows, the newest last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lows {
    low: [Low; KEPT],
    count: usize,
}

const KEPT: usize = 24;
const KNOWN_AFTER: usize = 9;

impl Lows {
    /// An exchange at `at` whose round trip lies `sum` above the floor.
    pub(super) fn see(&mut self, at: f64, sum: f64) {
        match self.low[..self.count.min(KEPT)].last_mut() {
            Some(low) if at - low.since < 1.0 => low.sum = low.sum.min(sum),
            _ => {
                if self.count >= KEPT {
                    self.low.rotate_left(1);
                }
                self.low[self.count.min(KEPT - 1)] = Low { since: at, sum };
                self.count += 1;
            }
        }
    }

    /// How far a second's low usually lies above the floor, once that is known.
    pub(super) fn known(&self) -> Option<f64> {
        (self.count >= KNOWN_AFTER).then(|| self.usual())
    }

    fn usual(&self) -> f64 {
        let mut sums = [f64::INFINITY; KEPT];
        let count = self.count.min(KEPT);
        for (sum, low) in sums.iter_mut().zip(&self.low[..count]) {
            *sum = low.sum;
        }
        sums.sort_unstable_by(f64::total_cmp);
        if count == 0 { 0.0 } else { sums[count / 4].max(0.0) }
    }

    /// When all recent seconds lie high and close together, the way is another: since when.
    pub(super) fn risen(&self, step_us: f64) -> Option<f64> {
        let usual = self.usual();
        let proof = if usual < 300.0 { 5 } else { 10 };
        let count = self.count.min(KEPT);
        if self.count < 14 {
            return None;
        }
        let recent = &self.low[count - 1 - proof..count - 1];
        let lowest = recent.iter().fold(f64::INFINITY, |low, it| low.min(it.sum));
        let highest = recent.iter().fold(f64::NEG_INFINITY, |high, it| high.max(it.sum));
        let enough = 250.0 + 0.9 * step_us + 3.5 * usual;
        let together = 0.3 * lowest.midpoint(highest) + 0.6 * step_us + usual;
        (lowest > enough && highest - lowest < together).then(|| recent[0].since)
    }
}
