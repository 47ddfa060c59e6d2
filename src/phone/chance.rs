//! Chance that was handed in once, stretched. A phone needs it for names and for not knocking in unison; `sim` for
//! everything that a world leaves to chance.

/// SplitMix64 over two lanes; good enough for ids, not for secrets.
#[derive(Debug, Clone)]
pub struct Chance {
    lanes: [u64; 2],
}

impl Chance {
    /// The same seed gives the same chance.
    pub fn new(seed: u128) -> Self {
        let (head, tail) = ((seed >> 64) as u64, seed as u64);
        Self { lanes: [head ^ tail.rotate_left(32), tail] }
    }

    /// 128 bits.
    pub fn bits(&mut self) -> u128 {
        let [head, tail] = &mut self.lanes;
        u128::from(step(head)) << 64 | u128::from(step(tail))
    }

    /// From 0 up to, not including, 1.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 75) as f64 / (1_u64 << 53) as f64
    }
}

fn step(lane: &mut u64) -> u64 {
    *lane = lane.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *lane;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_phones_draw_a_thousand_names() {
        let mut names: Vec<_> = (0..1000).map(|seed| Chance::new(seed).bits()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 1000);
    }

    #[test]
    fn a_share_stays_within_its_bounds() {
        let mut chance = Chance::new(7);
        assert!((0..1000).map(|_| chance.share()).all(|share| (0.0..1.0).contains(&share)));
    }
}
