//! Decoded sound, as a renderer reads it.

use std::sync::Arc;

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
}
