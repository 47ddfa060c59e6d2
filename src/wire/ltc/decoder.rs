//! Hears LTC in sound as it comes from a cable: with noise, hum, any level, DC, and a tape that drags.
//!
//! A short mean takes the hiss; the middle and the height of the wave are followed, and a change of level counts where
//! it crosses the middle by a part of the height (so hiss on a silent cable is no change). Between two changes there
//! is a cell or half of one. 80 bits that end with the sync word are a frame, and its first bit is where a straight
//! line through its 80 cells has it, to a fraction of a sample; a line, since noise moves every single change.

use std::collections::VecDeque;
use std::ops::Range;

use units::Clock;

use super::{BITS, SYNC, Said, Word};

/// A frame as it was heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// What it says.
    pub said: Said,
    /// Where its first bit began: samples since the decoder's first.
    pub start: f64,
    /// How long it was, in samples.
    pub length: f64,
    /// How far its source counts frames; none until a second has ended.
    pub count: Option<u8>,
}

/// What a decoder has to say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// A frame.
    Frame(Heard),
    /// A frame that was played backwards; it tells no time.
    Reverse {
        /// Where it ended, in samples.
        at: f64,
    },
}

/// The mean is over so much: less than half of the shortest half cell, longer than what hiss needs.
const MEAN_SECS: f64 = 60e-6;
/// The slowest and the fastest bit that are looked for: 24 frames at half speed, 30 at double.
const BITS_A_SECOND: (f64, f64) = (960.0, 4_800.0);
/// The height is forgotten within so many of the slowest cells.
const HEIGHT_KEPT_CELLS: f64 = 12.0;
/// A change counts when it has passed the middle by this part of the height.
const HYSTERESIS: f32 = 0.3;
/// Less than -54 dB of full scale is silence.
const HEIGHT_MIN: f32 = 0.002;
/// So many distances between changes show how long a cell is.
const DISTANCES: usize = 40;
/// A cell counts so much in their mean.
const STEER: f64 = 1.0 / 8.0;
/// So many cells that do not fit, without a frame among them, and its length is looked for again.
const MISFITS_MAX: u32 = 4;

/// Samples to frames.
#[derive(Debug, Clone)]
pub struct Decoder {
    rate_hz: f64,
    mean: Mean,
    slicer: Slicer,
    sample: u64,
    last_change: Option<f64>,
    cell: Cell,
    bits: Bits,
    before: Option<Heard>,
    count: Option<u8>,
}

impl Decoder {
    /// For samples of that rate; below 8 kHz nothing is heard.
    pub fn new(rate_hz: u32) -> Self {
        let rate_hz = f64::from(rate_hz.max(1));
        Self {
            rate_hz,
            mean: Mean::new((rate_hz * MEAN_SECS).round() as usize),
            slicer: Slicer::new(rate_hz),
            sample: 0,
            last_change: None,
            cell: Cell::default(),
            bits: Bits::default(),
            before: None,
            count: None,
        }
    }

    /// Takes the next sample. What is no number is silence.
    pub fn hear(&mut self, sample: f32) -> Option<Reading> {
        let sample = if sample.is_finite() { sample } else { 0.0 };
        let smooth = self.mean.next(sample);
        let at = self.sample as f64 - self.mean.late();
        self.sample += 1;
        let change = self.slicer.next(smooth, at)?;
        let distance = self.last_change.replace(change).map(|last| change - last)?;
        self.distance(distance, change)
    }

    fn distance(&mut self, distance: f64, change: f64) -> Option<Reading> {
        let possible = self.possible();
        if distance > 1.3 * possible.end {
            self.lose();
            return None;
        }
        let Some(length) = self.cell.length else {
            self.cell.look(distance, possible);
            return None;
        };
        match distance / length {
            0.25..0.75 => self.half(distance, change),
            0.75..1.4 if self.bits.half.is_none() => self.whole(distance, change),
            _ => self.misfit(),
        }
    }

    /// What a cell may be.
    fn possible(&self) -> Range<f64> {
        self.rate_hz / BITS_A_SECOND.1..self.rate_hz / BITS_A_SECOND.0
    }

    fn half(&mut self, distance: f64, change: f64) -> Option<Reading> {
        let Some(first) = self.bits.half.take() else {
            self.bits.half = Some(distance);
            return None;
        };
        self.cell.steer(first + distance);
        self.bit(true, change - first - distance, change)
    }

    fn whole(&mut self, distance: f64, change: f64) -> Option<Reading> {
        self.cell.steer(distance);
        self.bit(false, change - distance, change)
    }

    fn bit(&mut self, one: bool, began: f64, ended: f64) -> Option<Reading> {
        self.bits.add(one, began);
        if self.bits.began.len() < BITS {
            return None;
        }
        let word = Word(self.bits.word);
        if let Ok(said) = word.parse() {
            return self.frame(said).map(Reading::Frame);
        }
        word.reversed().parse().ok()?;
        self.cell.misfits = 0;
        self.before = None;
        Some(Reading::Reverse { at: ended })
    }

    fn frame(&mut self, said: Said) -> Option<Heard> {
        let (start, cell) = line(&self.bits.began);
        if !self.possible().contains(&cell) {
            // Each cell fitted the one before, and all together have crept away.
            self.lose();
            return None;
        }
        self.cell.misfits = 0;
        let length = cell * BITS as f64;
        if let Some(before) = self.before.filter(|it| touches(it, start)) {
            self.count = counted(before.said.clock, said.clock).or(self.count);
        }
        let heard = Heard { said, start, length, count: self.count };
        self.before = Some(heard);
        Some(heard)
    }

    /// A distance that is neither: the bits so far are worth nothing.
    fn misfit(&mut self) -> Option<Reading> {
        self.bits = Bits::default();
        self.cell.misfits += 1;
        if self.cell.misfits >= MISFITS_MAX {
            self.lose();
        }
        None
    }

    fn lose(&mut self) {
        self.bits = Bits::default();
        self.cell = Cell::default();
        self.before = None;
        self.count = None;
    }
}

/// Whether a frame begins where the one before ended.
fn touches(before: &Heard, start: f64) -> bool {
    (start - before.start - before.length).abs() < before.length / 4.0
}

/// How far frames are counted, where a second ends between two of them.
fn counted(before: Clock, after: Clock) -> Option<u8> {
    let over = after.frames < before.frames && after.seconds != before.seconds;
    over.then_some(before.frames + 1)
}

/// Where the first of evenly spaced instants was, and how far apart they are (least squares).
fn line(began: &VecDeque<f64>) -> (f64, f64) {
    let count = began.len() as f64;
    let first = began.front().copied().unwrap_or(0.0);
    let middle = (count - 1.0) / 2.0;
    let (mut sum, mut slope) = (0.0, 0.0);
    for (index, at) in began.iter().enumerate() {
        sum += at - first;
        slope += (index as f64 - middle) * (at - first);
    }
    let slope = slope / (count * (count * count - 1.0) / 12.0);
    (first + sum / count - slope * middle, slope)
}

/// A running mean of the last samples.
#[derive(Debug, Clone)]
struct Mean {
    last: VecDeque<f32>,
}

impl Mean {
    fn new(samples: usize) -> Self {
        Self { last: VecDeque::from(vec![0.0; samples.max(1)]) }
    }
    fn next(&mut self, sample: f32) -> f32 {
        self.last.pop_front();
        self.last.push_back(sample);
        self.last.iter().sum::<f32>() / self.last.len() as f32
    }
    /// How many samples it is behind.
    fn late(&self) -> f64 {
        (self.last.len() - 1) as f64 / 2.0
    }
}

/// Finds changes of level.
#[derive(Debug, Clone)]
struct Slicer {
    keep: f32,
    high: f32,
    low: f32,
    up: bool,
    last: f32,
    /// The crossing of the middle that may become a change.
    crossed: Option<f64>,
}

impl Slicer {
    fn new(rate_hz: f64) -> Self {
        let kept = rate_hz / BITS_A_SECOND.0 * HEIGHT_KEPT_CELLS;
        let keep = (1.0 - 1.0 / kept.max(2.0)) as f32;
        Self { keep, high: 0.0, low: 0.0, up: false, last: 0.0, crossed: None }
    }

    /// Where the level changed, once that is sure.
    fn next(&mut self, sample: f32, at: f64) -> Option<f64> {
        let middle = (self.high + self.low) / 2.0;
        self.high = sample.max(middle + (self.high - middle) * self.keep);
        self.low = sample.min(middle + (self.low - middle) * self.keep);
        let (middle, height) = ((self.high + self.low) / 2.0, (self.high - self.low) / 2.0);
        let (before, now) = (self.last - middle, sample - middle);
        self.last = sample;
        let towards = if self.up { now <= 0.0 && before > 0.0 } else { now >= 0.0 && before < 0.0 };
        if towards {
            self.crossed = Some(at - f64::from(now / (now - before)));
        }
        let past = if self.up { -now } else { now };
        if height < HEIGHT_MIN || past < HYSTERESIS * height {
            return None;
        }
        self.up = !self.up;
        // Without a crossing the middle itself has moved over the wave.
        Some(self.crossed.take().unwrap_or(at))
    }
}

/// How long a cell is.
#[derive(Debug, Clone, Default)]
struct Cell {
    length: Option<f64>,
    seen: Vec<f64>,
    misfits: u32,
}

impl Cell {
    /// From enough distances of two kinds, one twice the other: the longer is a cell.
    fn look(&mut self, distance: f64, possible: Range<f64>) {
        self.seen.push(distance);
        if self.seen.len() < DISTANCES {
            return;
        }
        let mut sorted = std::mem::take(&mut self.seen);
        sorted.sort_by(f64::total_cmp);
        let (short, long) = (sorted[DISTANCES / 10], sorted[DISTANCES - 1 - DISTANCES / 10]);
        let two_kinds = (1.5..2.6).contains(&(long / short));
        self.length = Some(long).filter(|it| two_kinds && possible.contains(it));
        self.misfits = 0;
    }

    fn steer(&mut self, length: f64) {
        self.length = self.length.map(|it| it + (length - it) * STEER);
    }
}

/// The last 80 bits.
#[derive(Debug, Clone, Default)]
struct Bits {
    /// The latest in bit 79.
    word: u128,
    began: VecDeque<f64>,
    /// The first half of a one.
    half: Option<f64>,
}

impl Bits {
    fn add(&mut self, one: bool, began: f64) {
        self.word = self.word >> 1 | u128::from(one) << (BITS - 1);
        if self.began.len() == BITS {
            self.began.pop_front();
        }
        self.began.push_back(began);
    }
}

// A tape that runs backwards would pass for forwards if its sync word read alike.
const _: () = assert!(SYNC != SYNC.reverse_bits());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ltc::Wave;
    use proptest::prelude::*;
    use units::{FrameRate, Span, Timecode};

    fn wave(rate: FrameRate, from: Timecode, frames: u32, rate_hz: u32) -> Vec<f32> {
        let mut wave = Wave::new(rate, 0);
        let length = rate.begins(i64::from(frames)).secs_f64() * f64::from(rate_hz);
        let at = |n: u32| from.position() + Span::from_secs_f64(f64::from(n) / f64::from(rate_hz));
        (0..length as u32 + 20).map(|n| wave.at(at(n))).collect()
    }

    fn heard(samples: &[f32], rate_hz: u32) -> Vec<Heard> {
        let mut decoder = Decoder::new(rate_hz);
        let readings = samples.iter().filter_map(|sample| decoder.hear(*sample));
        let frame = |it| match it {
            Reading::Frame(heard) => Some(heard),
            Reading::Reverse { .. } => None,
        };
        readings.filter_map(frame).collect()
    }

    #[test]
    fn every_rate_is_heard_where_it_is_at_every_sample_rate() {
        for rate in FrameRate::ALL {
            for rate_hz in [22_050, 44_100, 48_000, 96_000] {
                let from = Timecode::zero(rate).plus(1_790);
                let all = heard(&wave(rate, from, 60, rate_hz), rate_hz);
                assert!(all.len() > 55, "{rate} at {rate_hz}: {}", all.len());
                for it in &all {
                    let now = Timecode::new(rate, it.said.clock).expect("a frame");
                    let place = (now.position() - from.position()).secs_f64();
                    let off = it.start - place * f64::from(rate_hz);
                    assert!(off.abs() < 0.2, "{rate} at {rate_hz}: {now} is {off} samples off");
                    assert_eq!(it.said.drops, rate.drops());
                }
                let count = all.last().and_then(|it| it.count);
                assert_eq!(count.map(u32::from), Some(rate.count()), "{rate}");
            }
        }
    }

    #[test]
    fn a_tape_that_runs_backwards_tells_no_time_and_is_found_out() {
        let from = Timecode::zero(FrameRate::Fps25).plus(12_345);
        let mut samples = wave(FrameRate::Fps25, from, 20, 48_000);
        samples.reverse();
        let mut decoder = Decoder::new(48_000);
        let readings: Vec<_> = samples.iter().filter_map(|it| decoder.hear(*it)).collect();
        assert!(readings.len() > 15, "{}", readings.len());
        assert!(readings.iter().all(|it| matches!(it, Reading::Reverse { .. })));
    }

    #[test]
    fn a_dropout_costs_the_frames_it_touches_and_one_more() {
        let from = Timecode::zero(FrameRate::Fps30);
        let mut samples = wave(FrameRate::Fps30, from, 30, 48_000);
        samples[16_000..16_400].fill(0.0);
        let all = heard(&samples, 48_000);
        let missing = (1..30).filter(|n| all.iter().all(|it| it.said.clock.frames != *n)).count();
        assert!(missing <= 3, "{missing}");
        assert!(
            all.iter().all(|it| (it.start - f64::from(it.said.clock.frames) * 1_600.0).abs() < 0.2)
        );
    }

    proptest! {
        #[test]
        fn any_sound_is_heard_without_a_panic(samples in proptest::collection::vec(any::<f32>(), 0..4_000), rate_hz: u32) {
            let mut decoder = Decoder::new(rate_hz % 200_000);
            samples.iter().for_each(|sample| { decoder.hear(*sample); });
        }
    }
}
