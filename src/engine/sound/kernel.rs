//! What a file sounds like between its samples: a windowed sinc in 256 phases.
//!
//! The naive way, the straight line between two samples, dulls the treble and rings like a cheap toy as soon as the
//! card's crystal drifts through it. A sinc draws the one band-limited curve through the samples; the Kaiser window
//! makes it short. Between two phases the weights themselves go straight, which errs by less than -100 dB.

use std::f64::consts::PI;

/// Phases between two samples.
const PHASES: usize = 256;
/// Zero crossings on each side: flat to 0.9 of the Nyquist frequency (21.6 kHz at 48 kHz).
const CROSSINGS: f64 = 32.0;
/// Kaiser's beta for 90 dB, which is below what 16-bit files hold.
const BETA: f64 = 8.96;
/// A file up to eight times faster than the card is filtered in full (384 kHz to 48 kHz).
const STRETCH_MAX: f64 = 8.0;
/// Taps of the longest kernel.
const TAPS_MAX: usize = 2 * (CROSSINGS * STRETCH_MAX) as usize;
/// Sums that run beside each other, so that the compiler may use the widest registers.
const LANES: usize = 8;

/// Weights for reading files of one rate on a card of another.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    half: usize,
    rows: Box<[f32]>,
    /// Whether phase 0 is the sample itself.
    exact: bool,
}

/// The weights of one place between two samples.
pub(super) struct Weights {
    taps: [f32; TAPS_MAX],
    half: usize,
}

impl Kernel {
    /// Where the card is slower than the file, the treble it cannot hold is taken away.
    pub(super) fn new(file_hz: u32, card_hz: u32) -> Self {
        let stretch = (f64::from(file_hz) / f64::from(card_hz.max(1))).clamp(1.0, STRETCH_MAX);
        let half = ((CROSSINGS * stretch).ceil() as usize).next_multiple_of(LANES / 2);
        let rows = (0..=PHASES)
            .flat_map(|phase| row(half, stretch, phase as f64 / PHASES as f64))
            .collect();
        Self { half, rows, exact: stretch == 1.0 }
    }

    /// Samples on each side of a place that count.
    pub(super) fn half(&self) -> usize {
        self.half
    }

    /// Whether the sample itself may stand for the place `part` after it.
    pub(super) fn is_exact(&self, part: f64) -> bool {
        self.exact && part == 0.0
    }

    /// Weights for a place `part` (0 to 1) of the way from one sample to the next.
    pub(super) fn weigh(&self, part: f64, weights: &mut Weights) {
        let phase = part * PHASES as f64;
        let row = (phase as usize).min(PHASES - 1);
        let between = (phase - row as f64) as f32;
        let taps = 2 * self.half;
        let (low, high) = self.rows[row * taps..][..2 * taps].split_at(taps);
        weights.half = self.half;
        for ((weight, low), high) in weights.taps.iter_mut().zip(low).zip(high) {
            *weight = low + between * (high - low);
        }
    }
}

impl Weights {
    /// Room for the longest kernel, on the stack of whoever renders.
    pub(super) fn new() -> Self {
        Self { taps: [0.0; TAPS_MAX], half: 0 }
    }
    /// Samples before the place, the one it follows included; as many come after it.
    pub(super) fn half(&self) -> usize {
        self.half
    }
    /// One weight for each sample, earliest first.
    pub(super) fn taps(&self) -> &[f32] {
        &self.taps[..2 * self.half]
    }
    /// The sum of samples by their weights; both slices are as long as [`Self::taps`].
    pub(super) fn dot(&self, samples: &[f32]) -> f32 {
        let mut sums = [0.0_f32; LANES];
        for (samples, weights) in samples.chunks_exact(LANES).zip(self.taps().chunks_exact(LANES)) {
            for ((sum, sample), weight) in sums.iter_mut().zip(samples).zip(weights) {
                *sum += sample * weight;
            }
        }
        sums.iter().sum()
    }
}

/// The weights of one phase. They add up to 1, so that a constant stays itself.
fn row(half: usize, stretch: f64, part: f64) -> Vec<f32> {
    let reach = half as f64;
    let weights: Vec<f64> = (0..2 * half)
        .map(|tap| tap as f64 - (reach - 1.0) - part)
        .map(|x| sinc(x / stretch) * kaiser(x / reach))
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| (weight / sum) as f32).collect()
}

fn sinc(x: f64) -> f64 {
    // At the zeros themselves the sine of a multiple of pi would leave dust behind.
    match (x == 0.0, x.fract() == 0.0) {
        (true, _) => 1.0,
        (_, true) => 0.0,
        _ => (PI * x).sin() / (PI * x),
    }
}

fn kaiser(x: f64) -> f64 {
    if x.abs() >= 1.0 { 0.0 } else { bessel(BETA * (1.0 - x * x).sqrt()) / bessel(BETA) }
}

/// The modified Bessel function of order 0, by its series, which converges fast for what a window asks.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let terms = (1..40).scan(1.0, |term, k| {
        *term *= quarter / f64::from(k * k);
        Some(*term)
    });
    1.0 + terms.sum::<f64>()
}
