//! Damages bytes as copies, cables and malice do. Seeded: the same number does the same damage.

/// SplitMix64: small, and good enough to choose what to break.
#[derive(Debug, Clone)]
pub struct Mutator {
    lane: u64,
}

/// What breaks lengths, counts, signs and texts, in one octet or as a word.
const OCTETS: &[u8] = &[0x00, 0x01, 0x7f, 0x80, 0xff, b'"', b'\\', b'[', b'{', b'\n', b'-', b'9'];
const WORDS: &[&[u8]] = &[
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x00\x00\x00\x00\x00\x00\x00\x00",
    b"9223372036854775807",
    b"-1e308",
    b"1e400",
    b"0.0000000001",
    b"99999999999",
    b"nan",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"{{{{{{{{",
    b"[[[[[[[[",
];
/// Wounds of one case: a single one finds wrong checks, many find what only meets later.
const WOUNDS_MAX: usize = 6;
/// Doubling may not turn a small seed into a big one: a case is to take no longer than its seed.
const GROWN_MAX: usize = 4096;

impl Mutator {
    /// Chance from a number.
    pub fn new(seed: u64) -> Self {
        Self { lane: seed }
    }

    /// A damaged copy of `bytes`; pieces of `other` may come into it.
    pub fn damage(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        for _ in 0..=self.below(WOUNDS_MAX) {
            self.wound(&mut damaged, other);
        }
        damaged.truncate(bytes.len().max(other.len()) + GROWN_MAX);
        damaged
    }

    fn wound(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        let end = (at + 1 + self.below(16)).min(bytes.len());
        match self.below(10) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => insert(bytes, at, &[OCTETS[self.below(OCTETS.len())]]),
            3 => insert(bytes, at, WORDS[self.below(WORDS.len())]),
            4 => overwrite(bytes, at, WORDS[self.below(WORDS.len())]),
            5 => overwrite(bytes, at, &[OCTETS[self.below(OCTETS.len())]]),
            6 => {
                let again = bytes[at..end].repeat(1 + self.below(8));
                insert(bytes, at, &again);
            }
            7 => {
                let piece = self.piece(other);
                insert(bytes, at, piece);
            }
            8 => {
                let piece = self.piece(other);
                overwrite(bytes, at, piece);
            }
            _ => {
                let bit = 1 << self.below(8);
                bytes[at..end].iter_mut().take(1).for_each(|octet| *octet ^= bit);
            }
        }
    }

    fn piece<'a>(&mut self, other: &'a [u8]) -> &'a [u8] {
        let start = self.below(other.len() + 1);
        let end = start + self.below((other.len() - start).min(GROWN_MAX) + 1);
        &other[start..end]
    }

    /// From 0 up to, not including, `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        self.lane = self.lane.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.lane;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % count as u64) as usize
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, what: &[u8]) {
    bytes.splice(at..at, what.iter().copied());
}

fn overwrite(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..].iter_mut().zip(what).for_each(|(octet, new)| *octet = *new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_does_the_same_damage_and_another_does_another() {
        let bytes: Vec<u8> = (0..200).collect();
        let damaged = |seed| Mutator::new(seed).damage(&bytes, b"other");
        assert_eq!(damaged(1), damaged(1));
        assert_ne!(damaged(1), damaged(2));
        let harmed = (0..100).filter(|seed| damaged(*seed) != bytes).count();
        assert!(harmed > 90, "{harmed} of 100");
    }

    #[test]
    fn nothing_at_all_can_be_damaged_too_and_nothing_grows_without_end() {
        for seed in 0..1000 {
            let mut mutator = Mutator::new(seed);
            let mut bytes = Vec::new();
            for _ in 0..20 {
                bytes = mutator.damage(&bytes[..bytes.len().min(64)], b"");
                assert!(bytes.len() <= 64 + GROWN_MAX);
            }
        }
    }
}
