//! Sound that may be LTC, 8 bits a sample, at a low rate and at a usual one; and any ten octets as a word.

use units::FrameRate;
use wire::ltc::{Decoder, Reading, Word};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "ltc", folders: &["ltc"], run };

/// What the seeds were written at, and what a card has.
const RATES_HZ: [u32; 2] = [16_000, 48_000];

fn run(bytes: &[u8]) {
    RATES_HZ.into_iter().for_each(|rate_hz| listen(bytes, rate_hz));
    for word in bytes.chunks_exact(10) {
        let bits = word.iter().rev().fold(0, |bits, octet| bits << 8 | u128::from(*octet));
        if let Ok(said) = Word::from_bits(bits).parse() {
            assert!(said.clock.hours < 24 && said.clock.frames < 30, "{said:?}");
        }
    }
}

/// Frames come in their order, each within the sound, none faster than double speed.
fn listen(bytes: &[u8], rate_hz: u32) {
    let mut decoder = Decoder::new(rate_hz);
    let shortest = f64::from(rate_hz) / f64::from(FrameRate::Fps30.count()) / 2.0;
    let mut last = f64::MIN;
    for (place, octet) in bytes.iter().enumerate() {
        let reading = decoder.hear((f32::from(*octet) - 128.0) / 128.0);
        let Some(Reading::Frame(heard)) = reading else { continue };
        assert!(heard.start > last && heard.start < place as f64, "{heard:?} at {place}");
        assert!(heard.length > 0.9 * shortest, "{heard:?}");
        last = heard.start;
    }
}
