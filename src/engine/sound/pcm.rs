//! Decoded sound, as a renderer reads it.

use std::sync::Arc;

use super::kernel::{Kernel, Weights};

/// A file's samples in memory: one plane for each channel, all of the same length, every sample a finite number.
/// Cloning is cheap; the samples are shared.
#[derive(Debug, Clone, PartialEq)]
pub struct Pcm {
    rate_hz: u32,
    planes: Arc<[Box<[f32]>]>,
}

impl Pcm {
    /// From one plane for each channel. Shorter planes are filled with silence, and what is not a number is silence.
    pub fn new(rate_hz: u32, mut planes: Vec<Vec<f32>>) -> Self {
        let frames = planes.iter().map(Vec::len).max().unwrap_or(0);
        for plane in &mut planes {
            plane.resize(frames, 0.0);
            plane.iter_mut().filter(|sample| !sample.is_finite()).for_each(|sample| *sample = 0.0);
        }
        let planes = planes.into_iter().map(Vec::into_boxed_slice).collect();
        Self { rate_hz: rate_hz.max(1), planes }
    }
    /// Frames a second, at least 1.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }
    /// How many channels.
    pub fn channels(&self) -> usize {
        self.planes.len()
    }
    /// Length in frames.
    pub fn frames(&self) -> usize {
        self.planes.first().map_or(0, |plane| plane.len())
    }
    /// A channel's samples, counted from 0; none if the file has no such channel.
    pub fn plane(&self, channel: usize) -> Option<&[f32]> {
        self.planes.get(channel).map(|plane| &**plane)
    }
    /// The same sound at another rate, for what takes only one. Not for a render path: it is as long as the file.
    pub fn at_rate(&self, rate_hz: u32) -> Self {
        if self.rate_hz == rate_hz {
            return self.clone();
        }
        let kernel = Kernel::new(self.rate_hz, rate_hz);
        let planes =
            self.planes.iter().map(|plane| resampled(plane, self.rate_hz, rate_hz, &kernel));
        Self::new(rate_hz, planes.collect())
    }
}

fn resampled(plane: &[f32], from_hz: u32, to_hz: u32, kernel: &Kernel) -> Vec<f32> {
    let mut weights = Weights::new();
    let step = f64::from(from_hz) / f64::from(to_hz.max(1));
    let frames = (plane.len() as f64 / step) as usize;
    let mut near = Vec::new();
    let mut at = |frame: usize| {
        let place = frame as f64 * step;
        kernel.weigh(place.fract(), &mut weights);
        let half = weights.half();
        // Before the file and behind it is silence.
        let sample = |tap: usize| {
            let index = (place as usize + 1 + tap).checked_sub(half)?;
            plane.get(index).copied()
        };
        near.clear();
        near.extend((0..2 * half).map(|tap| sample(tap).unwrap_or(0.0)));
        weights.dot(&near)
    };
    (0..frames).map(&mut at).collect()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    #[test]
    fn a_tone_at_another_rate_is_the_same_tone() {
        let sine = |rate: f64| move |n: u32| (f64::from(n) * TAU * 997.0 / rate).sin() as f32;
        let plane: Vec<f32> = (0..44_100).map(sine(44_100.0)).collect();
        let there = Pcm::new(44_100, vec![plane]).at_rate(48_000);
        assert_eq!((there.rate_hz(), there.frames()), (48_000, 48_000));
        let wanted = (0..48_000).map(sine(48_000.0));
        let errors = there.plane(0).expect("one").iter().zip(wanted).map(|(a, b)| (a - b).abs());
        let worst = errors.skip(100).take(47_800).fold(0.0, f32::max);
        assert!(worst < 1e-3, "{worst}");
    }
}
