//! The wave of LTC: its level at any instant of timecode.
//!
//! A word has an even number of changes, so every frame begins from the same level, and the wave is a function of the
//! position alone: a block may begin anywhere, and a cell need not be a whole number of samples.

use units::{FrameRate, Span, Timecode};

use super::{BITS, Word};

/// Halves of cells in a frame.
const HALVES: usize = 2 * BITS;

/// From one level to the other; 40 ± 10 us of it from 10 to 90 % (section 9.2.3).
const EDGE_NS: f64 = 50_000.0;

/// The wave at a rate. It keeps the frame that it drew last.
#[derive(Debug, Clone)]
pub struct Wave {
    rate: FrameRate,
    user: u32,
    frame: Option<i64>,
    word: Word,
    /// The level in each half of a cell, true is up.
    levels: [bool; HALVES],
}

impl Wave {
    /// With the same user bits in every frame.
    pub fn new(rate: FrameRate, user: u32) -> Self {
        let word = Word::new(Timecode::zero(rate), user);
        Self { rate, user, frame: None, word, levels: [false; HALVES] }
    }

    /// The level at a position, -1 to 1. Days over and under are taken off.
    pub fn at(&mut self, position: Span) -> f32 {
        let (frames, seconds) = self.rate.fraction();
        let unit = i128::from(seconds) * 1_000_000_000;
        let exact = i128::from(position.ns()) * i128::from(frames) * HALVES as i128;
        let (halves, rest) = (exact.div_euclid(unit), exact.rem_euclid(unit));
        let (frame, half) = (halves.div_euclid(HALVES as i128), halves.rem_euclid(HALVES as i128));
        self.draw(frame as i64);
        let half_ns = unit as f64 / f64::from(frames) / HALVES as f64;
        let gone_ns = rest as f64 / unit as f64 * half_ns;
        self.edged(half as usize, gone_ns, half_ns)
    }

    fn draw(&mut self, frame: i64) {
        if self.frame == Some(frame) {
            return;
        }
        self.frame = Some(frame);
        let timecode = Timecode::zero(self.rate).plus(frame);
        self.word = Word::new(timecode, self.user);
        let mut level = false;
        for half in 0..HALVES {
            level ^= self.changes(half);
            self.levels[half] = level;
        }
    }

    /// Whether the level changes where a half begins.
    fn changes(&self, half: usize) -> bool {
        half.is_multiple_of(2) || half < HALVES && self.word.bit(half as u32 / 2)
    }

    fn edged(&self, half: usize, gone_ns: f64, half_ns: f64) -> f32 {
        let full = if self.levels[half] { 1.0 } else { -1.0 };
        let behind = if self.changes(half) { gone_ns } else { EDGE_NS };
        let before = if self.changes(half + 1) { half_ns - gone_ns } else { EDGE_NS };
        (full * (behind.min(before) / (EDGE_NS / 2.0)).min(1.0)) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes of sign, as positions.
    fn crossings(rate: FrameRate, from: Span, steps: i64, step: Span) -> Vec<Span> {
        let mut wave = Wave::new(rate, 0x1234_5678);
        let mut up = wave.at(from - step) > 0.0;
        let mut found = Vec::new();
        for n in 0..steps {
            let at = from + step.times(n);
            if std::mem::replace(&mut up, wave.at(at) > 0.0) != up {
                found.push(at);
            }
        }
        found
    }

    #[test]
    fn every_frame_begins_with_a_rise_at_its_own_instant() {
        for rate in FrameRate::ALL {
            for frame in [0, 1, 29, 1_799, 1_800, -1, 2_000_000] {
                let begins = rate.begins(frame);
                let mut wave = Wave::new(rate, 7);
                let (before, after) = (Span::from_micros(-20), Span::from_micros(20));
                assert!(wave.at(begins + before) < 0.0 && wave.at(begins + after) > 0.0);
            }
        }
    }

    #[test]
    fn between_two_changes_there_is_a_cell_or_half_of_one() {
        for rate in FrameRate::ALL {
            let cell = rate.begins(1_000).secs_f64() / 80_000.0 * 1e6;
            let all = crossings(rate, rate.begins(12_345), 40_000, Span::from_micros(3));
            for pair in all.windows(2) {
                let us = (pair[1] - pair[0]).secs_f64() * 1e6;
                let (half, whole) = ((us - cell / 2.0).abs(), (us - cell).abs());
                assert!(half.min(whole) < 6.1, "{rate}: {us} of {cell}");
            }
        }
    }
}
