//! A chirp, and where in a recording it is.
//!
//! In: a recording. Out: where a chirp begins, as it was first heard, or why none is found.
//! Never: microphones; a figure where there is doubt.
//!
//! The box's sweep rises and a phone's falls, so neither is taken for the other. An echo is often louder than the
//! straight way, so what counts is the first arrival that is a good part of the loudest.

use std::f64::consts::FRAC_PI_2;

use units::Span;

/// Who chirps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Rising.
    Box,
    /// Falling.
    Phone,
}

/// Where a chirp was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Its first sample, counted from the recording's first; a fraction, for sound keeps no frames.
    pub at: f64,
    /// How far it stands out of everything else, as a ratio.
    pub clarity: f64,
}

/// Why none is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Missed {
    /// Nothing stands out.
    #[error("no chirp is heard")]
    Silent,
    /// Something does, and it is no chirp, or more than one.
    #[error("something else is louder than the chirp")]
    Unclear,
}

/// Loudspeakers of phones do little below, microphones of telephony nothing above.
const BAND_HZ: (f64, f64) = (2_000.0, 7_000.0);
/// Short enough that it ends before most echoes come, long enough to stand out of noise.
pub const LENGTH: Span = Span::from_millis(80);
/// Noise reaches five times its own middle once in ten thousand recordings.
const CLARITY_MIN: f64 = 8.0;
/// The straight way may be this much quieter than the loudest echo.
const FIRST_SHARE: f64 = 0.25;
/// An echo that is louder than the straight way comes within it: 17 m of detour.
const ECHO_MAX: Span = Span::from_millis(50);
/// Where the chirp is not, nothing may come near it.
const OTHERS_SHARE: f64 = 0.6;
/// Before its first arrival there is nothing of a chirp, so it rises within this; other sounds swell.
const RISE: Span = Span::from_micros(500);
const RISE_SHARE: f64 = 0.6;
/// The shortest recording that is looked at is twice as long as the chirp.
const RATE_RANGE: std::ops::RangeInclusive<u32> = 16_000..=192_000;

/// The chirp's samples, -1 to 1; it swells and fades, so that no loudspeaker clicks.
pub fn samples(voice: Voice, rate_hz: u32) -> Vec<f32> {
    (0..length(rate_hz)).map(|k| at(voice, k as f64 / f64::from(rate_hz)) as f32).collect()
}

/// The chirp at a time since its beginning, seconds; silence outside.
pub fn at(voice: Voice, secs: f64) -> f64 {
    let share = secs / LENGTH.secs_f64();
    if !(0.0..1.0).contains(&share) {
        return 0.0;
    }
    let (low, high) = BAND_HZ;
    let (from, to) = match voice {
        Voice::Box => (low, high),
        Voice::Phone => (high, low),
    };
    let turns = secs * (from + (to - from) * share / 2.0);
    let swell = turn(share / 2.0).im;
    f64::from(swell * swell * turn(turns).im)
}

/// Finds the one chirp of this voice in a recording.
///
/// # Errors
/// [`Missed`] where it is not beyond doubt.
pub fn find(recording: &[f32], voice: Voice, rate_hz: u32) -> Result<Found, Missed> {
    let count = length(rate_hz);
    if !RATE_RANGE.contains(&rate_hz) || recording.len() < 2 * count {
        return Err(Missed::Silent);
    }
    let likeness = likeness(recording, &samples(voice, rate_hz));
    let loudest = loudest(&likeness).ok_or(Missed::Silent)?;
    let noise = median(likeness.iter().map(|it| f64::from(*it)).collect()).unwrap_or(0.0) as f32;
    let peak = likeness[loudest];
    let clarity = f64::from(peak / noise.max(f32::MIN_POSITIVE));
    if !clarity.is_finite() || clarity < CLARITY_MIN {
        return Err(Missed::Silent);
    }
    let frames = |span: Span| (span.secs_f64() * f64::from(rate_hz)).round() as usize;
    if rivals(&likeness, loudest, count, peak * OTHERS_SHARE as f32) {
        return Err(Missed::Unclear);
    }
    let floor = (peak * FIRST_SHARE as f32).max(noise * CLARITY_MIN as f32);
    let first = first_peak(&likeness, loudest, frames(ECHO_MAX), floor);
    let before = first.checked_sub(frames(RISE)).map_or(0.0, |k| likeness[k]);
    if f64::from(before) > f64::from(likeness[first]) * RISE_SHARE {
        return Err(Missed::Unclear);
    }
    Ok(Found { at: first as f64 + vertex(&likeness, first), clarity })
}

fn length(rate_hz: u32) -> usize {
    (LENGTH.secs_f64() * f64::from(rate_hz)).round() as usize
}

/// How much the recording resembles the chirp from each of its samples on: the envelope of their correlation.
fn likeness(recording: &[f32], chirp: &[f32]) -> Vec<f32> {
    let size = (recording.len() + chirp.len()).next_power_of_two();
    let mut heard = spectrum(recording, size);
    let wanted = spectrum(chirp, size);
    for (k, (heard, wanted)) in heard.iter_mut().zip(&wanted).enumerate() {
        // Without negative frequencies the correlation turns instead of swinging, and its length is the envelope.
        *heard = if k < size / 2 { heard.times(wanted.mirrored()) } else { Complex::ZERO };
    }
    // Backwards is forwards with real and imaginary changed; only lengths are looked at.
    heard.iter_mut().for_each(|it| *it = Complex { re: it.im, im: it.re });
    transform(&mut heard);
    let lags = recording.len() - chirp.len();
    heard[..lags].iter().map(|it| it.re.hypot(it.im)).collect()
}

fn spectrum(samples: &[f32], size: usize) -> Vec<Complex> {
    let whole = samples.iter().map(|re| Complex { re: finite(*re), im: 0.0 });
    let mut all: Vec<Complex> = whole.chain(std::iter::repeat(Complex::ZERO)).take(size).collect();
    transform(&mut all);
    all
}

/// What is no number is silence, and nothing is louder than a microphone can be.
fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-4.0, 4.0) } else { 0.0 }
}

fn loudest(likeness: &[f32]) -> Option<usize> {
    (0..likeness.len()).max_by(|a, b| likeness[*a].total_cmp(&likeness[*b]))
}

/// The middle one; none of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Whether anything but the chirp and its echoes is nearly as loud.
fn rivals(likeness: &[f32], loudest: usize, count: usize, limit: f32) -> bool {
    let near = loudest.saturating_sub(count)..=loudest + 2 * count;
    likeness.iter().enumerate().any(|(k, it)| *it > limit && !near.contains(&k))
}

/// The first summit that is high enough, up to `reach` before the loudest.
fn first_peak(likeness: &[f32], loudest: usize, reach: usize, floor: f32) -> usize {
    let from = loudest.saturating_sub(reach).max(1);
    let is_summit = |k: &usize| {
        likeness[*k] >= floor
            && likeness[*k] > likeness[*k - 1]
            && likeness.get(*k + 1).is_none_or(|next| likeness[*k] >= *next)
    };
    (from..loudest).find(is_summit).unwrap_or(loudest)
}

/// How far the summit of the parabola through a peak and its neighbours is from the peak.
fn vertex(likeness: &[f32], peak: usize) -> f64 {
    let at = |k: Option<usize>| k.and_then(|k| likeness.get(k)).map(|it| f64::from(*it));
    let (Some(left), Some(right)) = (at(peak.checked_sub(1)), at(Some(peak + 1))) else {
        return 0.0;
    };
    let bend = left - 2.0 * f64::from(likeness[peak]) + right;
    if bend < 0.0 { ((left - right) / (2.0 * bend)).clamp(-0.5, 0.5) } else { 0.0 }
}

#[derive(Debug, Clone, Copy)]
struct Complex {
    re: f32,
    im: f32,
}

impl Complex {
    const ZERO: Self = Self { re: 0.0, im: 0.0 };

    fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    fn mirrored(self) -> Self {
        Self { im: -self.im, ..self }
    }
}

/// The point at so many turns of the unit circle. The library's sine weighs five times as much in the page, for the
/// sake of angles that are not met here.
fn turn(turns: f64) -> Complex {
    let quarters = (turns * 4.0).round();
    let x = (turns * 4.0 - quarters) * FRAC_PI_2;
    let square = x * x;
    let series = |first: f64, from: f64| {
        // Eight steps of at most an eighth of a turn: beyond the last digit of 32 bits.
        let step = |(sum, term): (f64, f64), k: i32| {
            let n = from + 2.0 * f64::from(k);
            let term = -term * square / (n * (n + 1.0));
            (sum + term, term)
        };
        (0..8).fold((first, first), step).0
    };
    let (cos, sin) = (series(1.0, 1.0) as f32, series(x, 2.0) as f32);
    match (quarters as i64).rem_euclid(4) {
        0 => Complex { re: cos, im: sin },
        1 => Complex { re: -sin, im: cos },
        2 => Complex { re: -cos, im: -sin },
        _ => Complex { re: sin, im: -cos },
    }
}

/// The discrete Fourier transform in place, by halves; the length is a power of two.
fn transform(values: &mut [Complex]) {
    let size = values.len();
    let bits = size.trailing_zeros();
    for k in 1..size {
        let other = k.reverse_bits() >> (usize::BITS - bits);
        if k < other {
            values.swap(k, other);
        }
    }
    let turns: Vec<Complex> =
        (0..size / 2).map(|k| turn(k as f64 / size as f64).mirrored()).collect();
    let mut half = 1;
    while half < size {
        for block in values.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            let turns = turns.iter().step_by(size / (2 * half));
            for ((low, high), turn) in low.iter_mut().zip(high).zip(turns) {
                let turned = high.times(*turn);
                *high = Complex { re: low.re - turned.re, im: low.im - turned.im };
                *low = Complex { re: low.re + turned.re, im: low.im + turned.im };
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    #[test]
    fn a_turn_is_a_sine_and_a_cosine() {
        for k in -1_000..1_000 {
            let turns = f64::from(k) * 0.0137;
            let (sin, cos) = (TAU * turns).sin_cos();
            let Complex { re, im } = turn(turns);
            assert!((f64::from(re) - cos).abs() < 1e-7 && (f64::from(im) - sin).abs() < 1e-7);
        }
    }

    const RATE: u32 = 48_000;

    /// Half a second of a steady hiss.
    fn hiss(loud: f32) -> Vec<f32> {
        let mut state = 1_u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            loud * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        };
        (0..RATE / 2).map(next).collect()
    }

    fn with(mut recording: Vec<f32>, voice: Voice, at: usize, loud: f32) -> Vec<f32> {
        for (there, sample) in recording[at..].iter_mut().zip(samples(voice, RATE)) {
            *there += loud * sample;
        }
        recording
    }

    #[test]
    fn the_transform_is_the_sum_of_turns() {
        let values: Vec<Complex> =
            (0..8).map(|k| Complex { re: k as f32, im: (k * k) as f32 }).collect();
        let mut quick = values.clone();
        transform(&mut quick);
        for (k, quick) in quick.iter().enumerate() {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, it) in values.iter().enumerate() {
                let (sin, cos) = (-TAU * (k * n) as f64 / 8.0).sin_cos();
                re += f64::from(it.re) * cos - f64::from(it.im) * sin;
                im += f64::from(it.re) * sin + f64::from(it.im) * cos;
            }
            assert!((f64::from(quick.re) - re).abs() < 1e-3, "{k}");
            assert!((f64::from(quick.im) - im).abs() < 1e-3, "{k}");
        }
    }

    #[test]
    fn a_chirp_is_found_where_it_begins_and_only_by_its_own_voice() {
        for voice in [Voice::Box, Voice::Phone] {
            let recording = with(hiss(0.02), voice, 7_001, 0.3);
            let found = find(&recording, voice, RATE).expect("a chirp");
            assert!((found.at - 7_001.0).abs() < 0.2, "{found:?}");
            let other = if voice == Voice::Box { Voice::Phone } else { Voice::Box };
            assert!(find(&recording, other, RATE).is_err(), "{voice:?}");
        }
    }

    #[test]
    fn a_place_between_two_samples_is_found_there() {
        let mut recording = hiss(0.001);
        for (k, there) in recording.iter_mut().enumerate() {
            *there += at(Voice::Box, (k as f64 - 4_999.7) / f64::from(RATE)) as f32;
        }
        let found = find(&recording, Voice::Box, RATE).expect("a chirp");
        assert!((found.at - 4_999.7).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn an_echo_that_is_louder_than_the_straight_way_is_not_taken_for_it() {
        let straight = with(hiss(0.002), Voice::Box, 6_000, 0.1);
        let both = with(straight, Voice::Box, 6_000 + 480, 0.25);
        let found = find(&both, Voice::Box, RATE).expect("a chirp");
        assert!((found.at - 6_000.0).abs() < 0.5, "{found:?}");
    }

    #[test]
    fn what_is_no_chirp_gives_no_figure() {
        let tone = |from: usize, to: usize| -> Vec<f32> {
            let sample = |k: usize| (TAU * 4_000.0 * k as f64 / f64::from(RATE)).sin() as f32;
            (0..24_000).map(|k| if (from..to).contains(&k) { sample(k) } else { 0.0 }).collect()
        };
        let mut clap = hiss(0.001);
        clap[9_000] = 1.0;
        let two = with(with(hiss(0.01), Voice::Box, 2_000, 0.3), Voice::Box, 18_000, 0.28);
        let broken = vec![f32::NAN; 24_000];
        for (name, recording) in [
            ("silence", vec![0.0; 24_000]),
            ("nothing at all", Vec::new()),
            ("hiss", hiss(1.0)),
            ("a tone", tone(0, 24_000)),
            ("a beep", tone(8_000, 12_000)),
            ("a clap", clap),
            ("two chirps", two),
            ("no numbers", broken),
        ] {
            assert!(find(&recording, Voice::Box, RATE).is_err(), "{name}");
        }
        assert!(find(&with(hiss(0.0), Voice::Box, 3, 1.0), Voice::Box, 7).is_err());
    }

    #[test]
    fn a_clipped_chirp_is_in_its_place_or_is_none() {
        let loud = with(hiss(0.01), Voice::Phone, 9_000, 20.0);
        let clipped: Vec<f32> = loud.iter().map(|it| it.clamp(-1.0, 1.0)).collect();
        if let Ok(found) = find(&clipped, Voice::Phone, RATE) {
            assert!((found.at - 9_000.0).abs() < 2.0, "{found:?}");
        }
    }
}
