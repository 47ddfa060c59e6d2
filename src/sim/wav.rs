//! Samples as a WAV file that any player opens: 24 bit, so that a fade's last steps are still in it.

use std::io::Cursor;

use hound::{SampleFormat, WavSpec, WavWriter};

/// The bytes of a WAV file. `samples` are interleaved, full scale at ±1.
pub fn wav(rate_hz: u32, channels: u16, samples: &[f32]) -> Vec<u8> {
    let spec = WavSpec {
        channels,
        sample_rate: rate_hz,
        bits_per_sample: 24,
        sample_format: SampleFormat::Int,
    };
    let mut bytes = Cursor::new(Vec::with_capacity(samples.len() * 3 + 68));
    write(&mut bytes, spec, samples).expect("memory takes all that is written");
    bytes.into_inner()
}

fn write(bytes: &mut Cursor<Vec<u8>>, spec: WavSpec, samples: &[f32]) -> hound::Result<()> {
    let mut writer = WavWriter::new(bytes, spec)?;
    for sample in samples {
        let full = (f64::from(*sample) * 8_388_608.0).round();
        writer.write_sample(full.clamp(-8_388_608.0, 8_388_607.0) as i32)?;
    }
    writer.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back_to_the_last_of_24_bits() {
        let samples = [0.0, 0.5, -0.5, 1.0, -1.0, 1.0 / 8_388_608.0];
        let bytes = wav(48_000, 2, &samples);
        let mut reader = hound::WavReader::new(&bytes[..]).expect("a WAV file");
        assert_eq!((reader.spec().channels, reader.duration()), (2, 3));
        let read: Vec<i32> = reader.samples().map(|it| it.expect("a sample")).collect();
        assert_eq!(read, [0, 4_194_304, -4_194_304, 8_388_607, -8_388_608, 1]);
    }
}
