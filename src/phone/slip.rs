//! Has the sound stood still?
//!
//! In: by how much each look at the audio clock misses the line through the looks before it. Out: the *slip*, as soon
//! as it is sure. Never: the line itself.
//!
//! A machine too busy to fill a buffer plays silence in its place, and all that follows is late by that buffer's
//! length (10 ms in Chromium). The naive way waits until the line's middle has moved over, and takes half of what the
//! line remembers, a quarter of a minute, during which this phone is its neighbour's echo; then it takes the step for
//! a wrong crystal. But jitter changes sides from look to look and a slip stays: so many looks in a row on one side,
//! near each other, further off than looks use to be, are no jitter.

use std::collections::VecDeque;

use crate::line::median;

/// Watches for slips.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slips {
    /// Seconds, the newest last.
    misses: VecDeque<f64>,
}

/// So many looks make it sure: a second, at four a second.
pub(crate) const SURE_AFTER: usize = 4;
/// What looks use to miss by is known by so many.
const USUAL_MIN: usize = 8;
const USUAL_MAX: usize = 40;
/// Sound is made in blocks of 128 frames, 2.7 ms; nothing that stalls loses less than one.
const SLIP_MIN_SECS: f64 = 0.002;
/// So many times the usual miss is none any more.
const UNUSUAL: f64 = 4.0;

impl Slips {
    /// Another look missed by so much. Some once it is sure: all looks but the last [`SURE_AFTER`] are off by it.
    pub(crate) fn see(&mut self, miss: f64) -> Option<f64> {
        self.misses.push_back(miss);
        if self.misses.len() > USUAL_MAX + SURE_AFTER {
            self.misses.pop_front();
        }
        let slip = self.slip()?;
        self.misses.truncate(self.misses.len() - SURE_AFTER);
        Some(slip)
    }

    fn slip(&self) -> Option<f64> {
        let usual_count = self.misses.len().checked_sub(SURE_AFTER)?;
        let mut last: Vec<f64> = self.misses.range(usual_count..).copied().collect();
        let slip = median(&mut last)?;
        // The median has put them in order.
        let spread = last[SURE_AFTER - 1] - last[0];
        let nearest = last[0].abs().min(last[SURE_AFTER - 1].abs());
        let mut usual: Vec<f64> = self.misses.range(..usual_count).map(|miss| miss.abs()).collect();
        let limit = SLIP_MIN_SECS.max(UNUSUAL * median(&mut usual)?);
        (usual_count >= USUAL_MIN && nearest > limit && spread < nearest).then_some(slip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    /// When a slip is seen, and how long.
    fn seen(misses: impl Iterator<Item = f64>) -> Vec<(usize, f64)> {
        let mut slips = Slips::default();
        misses.enumerate().filter_map(|(k, miss)| Some((k, slips.see(miss)?))).collect()
    }

    #[test]
    fn a_buffer_of_silence_is_sure_after_four_looks_and_told_once() {
        let slip = |k| if k < 30 { 0.0001 } else { -0.01 };
        assert_eq!(seen((0..34).map(slip)), [(33, -0.01)]);
    }

    #[test]
    fn jitter_alone_is_never_a_slip_however_wide() {
        for seed in 0..50 {
            let mut chance = Chance::new(seed);
            let jitter = (0..10_000).map(|_| (chance.share() - 0.5) * 0.04);
            assert_eq!(seen(jitter), []);
        }
    }

    #[test]
    fn a_current_time_that_moves_in_blocks_past_the_looks_is_none_either() {
        for ms in [0.05, 0.3, 0.7, 2.1] {
            let saw = (0..10_000).map(|k| -(f64::from(k) * ms % 10.0) / 1e3);
            assert_eq!(seen(saw), [], "{ms} ms a look");
        }
    }

    #[test]
    fn three_looks_that_a_busy_page_took_late_are_none() {
        let late = |k| if (20..23).contains(&k) { -0.008 } else { 0.0 };
        assert_eq!(seen((0..60).map(late)), []);
    }
}
