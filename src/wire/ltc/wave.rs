//! The wave of LTC: its level at any instant of timecode.
//!
//! A word has an even number of changes, so every frame begins from the same level, and the wave is a function of the
//! position alone: a block may begin anywhere, and a cell need not be a whole number of samples.

use units::{FrameRate, Span, Timecode};

use super::{BITS, Word};

/// Halves of cells in a frame.
const HALVES: u32 = 2 * BITS as u32;

/// From one level to the other; 40 ± 10 us of it from 10 to 90 % (section 9.2.3).
const EDGE_NS: f64 = 50_000.0;

/// The wave at a rate. It keeps the frame that it drew last.
#[derive(Debug, Clone)]
pub struct Wave {
    rate: FrameRate,
    user: u32,
    drawn: Option<(i64, Word)>,
}

impl Wave {
    /// With the same user bits in every frame.
    pub fn new(rate: FrameRate, user: u32) -> Self {
        Self { rate, user, drawn: None }
    }

    /// The level at a position, -1 to 1. Days over and under are taken off.
    pub fn at(&mut self, position: Span) -> f32 {
        let mut level = [0.0];
        self.draw(position, 0.0, 1.0, &mut level);
        level[0]
    }

    /// Its levels, -1 to 1: the first at a position and a part of a nanosecond, each `step_ns` (above 0) after the one
    /// before.
    pub fn draw(&mut self, from: Span, fraction_ns: f64, step_ns: f64, mut out: &mut [f32]) {
        let (frames, seconds) = self.rate.fraction();
        let unit = i128::from(seconds) * 1_000_000_000;
        let exact = i128::from(from.ns()) * i128::from(frames);
        let mut frame = exact.div_euclid(unit) as i64;
        let frame_ns = unit as f64 / f64::from(frames);
        let mut gone_ns = exact.rem_euclid(unit) as f64 / f64::from(frames) + fraction_ns;
        while !out.is_empty() {
            let count = before(frame_ns - gone_ns, step_ns).min(out.len());
            let (now, rest) = out.split_at_mut(count);
            let half_ns = frame_ns / f64::from(HALVES);
            self.word(frame).draw(Halves { gone_ns, step_ns, half_ns }, now);
            gone_ns += count as f64 * step_ns - frame_ns;
            frame += 1;
            out = rest;
        }
    }

    fn word(&mut self, frame: i64) -> Word {
        match self.drawn {
            Some((drawn, word)) if drawn == frame => word,
            _ => {
                let word = Word::new(Timecode::zero(self.rate).plus(frame), self.user);
                self.drawn.insert((frame, word)).1
            }
        }
    }
}

/// How many steps begin before so much has gone.
fn before(ns: f64, step_ns: f64) -> usize {
    if ns > 0.0 { (ns / step_ns) as usize + 1 } else { 0 }
}

/// Where in a frame samples lie.
#[derive(Clone, Copy)]
struct Halves {
    /// The first, from the beginning of the frame.
    gone_ns: f64,
    step_ns: f64,
    half_ns: f64,
}

impl Word {
    /// Draws samples that all lie in its frame, from one change of level to the next.
    fn draw(self, grid: Halves, out: &mut [f32]) {
        let mut half = ((grid.gone_ns / grid.half_ns) as u32).min(HALVES - 1);
        let mut drawn = 0;
        while drawn < out.len() {
            let (begin, end) = self.stretch(half);
            let ends_ns = f64::from(end) * grid.half_ns - grid.gone_ns;
            let next = before(ends_ns, grid.step_ns).clamp(drawn, out.len());
            let behind_ns =
                grid.gone_ns + drawn as f64 * grid.step_ns - f64::from(begin) * grid.half_ns;
            let length_ns = f64::from(end - begin) * grid.half_ns;
            let full = if self.is_up(begin) { 1.0 } else { -1.0 };
            edged(behind_ns, length_ns, grid.step_ns, full, &mut out[drawn..next]);
            (half, drawn) = (end, next);
        }
    }

    /// The halves between two changes of level in which this one is: a cell, or half of one.
    fn stretch(self, half: u32) -> (u32, u32) {
        let cell = half / 2;
        if self.bit(cell) { (half, half + 1) } else { (2 * cell, 2 * cell + 2) }
    }

    /// The level from a change on, which the frame's first one brings up.
    fn is_up(self, half: u32) -> bool {
        let cell = half / 2;
        let ones = (self.0 & ((1 << cell) - 1)).count_ones();
        (cell + ones + half % 2).is_multiple_of(2)
    }
}

/// A stretch of one level, which comes from the other one and goes to it.
fn edged(behind_ns: f64, length_ns: f64, step_ns: f64, full: f32, out: &mut [f32]) {
    let part = |ns: f64| (ns / (EDGE_NS / 2.0)) as f32;
    let (behind, length, step) = (part(behind_ns), part(length_ns), part(step_ns));
    for (n, level) in out.iter_mut().enumerate() {
        let gone = behind + n as f32 * step;
        *level = full * gone.min(length - gone).min(1.0);
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
    fn a_block_holds_what_its_instants_do_wherever_it_begins() {
        let (step_ns, from) = (1e9 / 44_100.0, Span::from_millis(-95));
        for rate in FrameRate::ALL {
            let mut wave = Wave::new(rate, 0x9abc_def0);
            let mut block = [0.0; 20_000];
            wave.draw(from, 0.25, step_ns, &mut block);
            for (n, level) in block.into_iter().enumerate() {
                let at = from + Span::from_ns((0.25 + n as f64 * step_ns).round() as i64);
                assert!((wave.at(at) - level).abs() < 1e-3, "{rate}: sample {n}");
            }
            assert!(block.contains(&1.0) && block.contains(&-1.0));
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
