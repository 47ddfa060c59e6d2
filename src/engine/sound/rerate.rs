//! Sound that comes piece by piece, at another rate: what a film is heard through while it plays.
//!
//! In: both channels, as a decoder gives them. Out: the same at the other rate, as far as it follows from what is there,
//! since every sample out is drawn from some on either side of it. Never here: a whole file ([`super::Pcm::at_rate`]).

use super::kernel::{Kernel, Weights};

/// One stream of sound.
#[derive(Debug, Clone)]
pub struct Rerate {
    kernel: Kernel,
    /// Samples in for one out.
    step: f64,
    /// What the next samples out are drawn from.
    near: [Vec<f32>; 2],
    /// Which sample in the first of these is; those before the beginning are silence.
    first: i64,
    /// Which sample out comes next.
    next: u64,
}

impl Rerate {
    /// From one rate to another, both more than 0.
    pub fn new(from_hz: u32, to_hz: u32) -> Self {
        let kernel = Kernel::new(from_hz, to_hz);
        let before = kernel.half() - 1;
        Self {
            step: f64::from(from_hz) / f64::from(to_hz.max(1)),
            near: [(); 2].map(|()| vec![0.0; before]),
            first: -(before as i64),
            next: 0,
            kernel,
        }
    }

    /// More of it, left and right of one length: what follows from it goes behind `out`. What is not a number is silence.
    pub fn push(&mut self, more: [&[f32]; 2], out: &mut Vec<[f32; 2]>) {
        for (near, more) in self.near.iter_mut().zip(more) {
            near.extend(more.iter().map(|it| if it.is_finite() { *it } else { 0.0 }));
        }
        let mut weights = Weights::new();
        let taps = 2 * self.kernel.half();
        loop {
            let place = self.next as f64 * self.step;
            let from = self.from(place);
            let [Some(left), Some(right)] =
                self.near.each_ref().map(|it| it.get(from..from + taps))
            else {
                break;
            };
            out.push(if self.kernel.is_exact(place.fract()) {
                [left[taps / 2 - 1], right[taps / 2 - 1]]
            } else {
                self.kernel.weigh(place.fract(), &mut weights);
                [weights.dot(left), weights.dot(right)]
            });
            self.next += 1;
        }
        let past = self.from(self.next as f64 * self.step).min(self.near[0].len());
        self.near.iter_mut().for_each(|it| drop(it.drain(..past)));
        self.first += past as i64;
    }

    /// It is over: what is left of it goes behind `out`.
    pub fn finish(&mut self, out: &mut Vec<[f32; 2]>) {
        let silence = vec![0.0; self.kernel.half()];
        self.push([&silence, &silence], out);
    }

    /// Where in what is near the samples begin that one at this place is drawn from.
    fn from(&self, place: f64) -> usize {
        (place as i64 + 1 - self.kernel.half() as i64 - self.first) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn sine(rate_hz: f64, frames: usize) -> Vec<f32> {
        (0..frames).map(|n| (n as f64 * TAU * 997.0 / rate_hz).sin() as f32).collect()
    }

    /// The left channel, put in by pieces of these sizes, over and over.
    fn rerated(from_hz: u32, sizes: &[usize]) -> Vec<f32> {
        let (all, mut out) = (sine(from_hz.into(), from_hz as usize), Vec::new());
        let (mut rerate, mut rest) = (Rerate::new(from_hz, 48_000), &all[..]);
        for size in sizes.iter().cycle() {
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            rerate.push([piece, piece], &mut out);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        rerate.finish(&mut out);
        assert!(out.iter().all(|[left, right]| left == right));
        out.into_iter().map(|[left, _]| left).collect()
    }

    #[test]
    fn a_tone_that_comes_in_pieces_is_the_same_tone_at_another_rate() {
        for from_hz in [8_000, 44_100, 96_000] {
            let out = rerated(from_hz, &[1_024, 1, 7, 333]);
            assert!((47_990..=48_000).contains(&out.len()), "{from_hz}: {}", out.len());
            let errors = out.iter().zip(sine(48_000.0, 48_000)).map(|(a, b)| (a - b).abs());
            // Before it begins there is silence.
            let worst = errors.skip(250).take(47_000).fold(0.0, f32::max);
            assert!(worst < 1e-3, "{from_hz}: {worst}");
            assert_eq!(out, rerated(from_hz, &[4_096]), "whatever the pieces");
        }
    }

    #[test]
    fn at_its_own_rate_every_sample_stays_itself_and_what_is_none_is_silence() {
        let mut out = Vec::new();
        let mut rerate = Rerate::new(48_000, 48_000);
        rerate.push([&[0.5, f32::NAN], &[f32::INFINITY, 0.25]], &mut out);
        rerate.push([&[0.125], &[-1.0]], &mut out);
        rerate.finish(&mut out);
        assert_eq!(out, [[0.5, 0.0], [0.0, 0.25], [0.125, -1.0]]);
    }
}
