//! Samples as cards take them.

/// How a card has its samples, in the machine's byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SampleFormat {
    /// 32 bits.
    S32,
    /// Floating point.
    F32,
    /// 24 bits in the lower part of 32.
    S24,
    /// 24 bits in three bytes, low byte first.
    S24Packed,
    /// 16 bits.
    S16,
}

impl SampleFormat {
    /// Bytes of one sample.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::S32 | Self::F32 | Self::S24 => 4,
            Self::S24Packed => 3,
            Self::S16 => 2,
        }
    }

    /// Writes samples, full scale at ±1, each rounded to the nearest step: what a 16-bit file holds comes out as it
    /// was. `bytes` is as long as the samples need.
    pub(super) fn emit(self, samples: &[f32], bytes: &mut [u8]) {
        match self {
            Self::S32 => each(samples, bytes, |it| step(it, 31).to_ne_bytes()),
            Self::F32 => each(samples, bytes, f32::to_ne_bytes),
            Self::S24 => each(samples, bytes, |it| step(it, 23).to_ne_bytes()),
            Self::S24Packed => each(samples, bytes, |it| {
                let [low, middle, high, _] = step(it, 23).to_le_bytes();
                [low, middle, high]
            }),
            Self::S16 => each(samples, bytes, |it| (step(it, 15) as i16).to_ne_bytes()),
        }
    }
}

fn each<const N: usize>(samples: &[f32], bytes: &mut [u8], emit: impl Fn(f32) -> [u8; N]) {
    for (bytes, sample) in bytes.chunks_exact_mut(N).zip(samples) {
        bytes.copy_from_slice(&emit(*sample));
    }
}

/// The nearest step of so many bits and a sign; the topmost is one below full scale.
fn step(sample: f32, bits: u32) -> i32 {
    let full = f64::from(1_u32 << bits);
    (f64::from(sample) * full).round().clamp(-full, full - 1.0) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emitted(format: SampleFormat, samples: &[f32]) -> Vec<u8> {
        let mut bytes = vec![0; samples.len() * format.bytes()];
        format.emit(samples, &mut bytes);
        bytes
    }

    #[test]
    fn every_16_bit_sample_survives() {
        let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let samples: Vec<f32> = all.iter().map(|it| f32::from(*it) / 32_768.0).collect();
        let bytes = emitted(SampleFormat::S16, &samples);
        let back: Vec<i16> = bytes.chunks(2).map(|it| i16::from_ne_bytes([it[0], it[1]])).collect();
        assert_eq!(back, all);
    }

    #[test]
    fn full_scale_is_the_topmost_step_of_every_format() {
        assert_eq!(emitted(SampleFormat::S32, &[1.0]), i32::MAX.to_ne_bytes());
        assert_eq!(emitted(SampleFormat::S32, &[-1.0]), i32::MIN.to_ne_bytes());
        assert_eq!(emitted(SampleFormat::S24, &[1.0]), 0x7f_ffff_i32.to_ne_bytes());
        assert_eq!(emitted(SampleFormat::S24Packed, &[1.0, -1.0]), [0xff, 0xff, 0x7f, 0, 0, 0x80]);
        assert_eq!(emitted(SampleFormat::S16, &[1.0]), i16::MAX.to_ne_bytes());
        assert_eq!(emitted(SampleFormat::F32, &[0.1]), 0.1_f32.to_ne_bytes());
    }
}
