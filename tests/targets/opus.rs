//! Opus as pages decode it: whatever a packet is, samples come of it, or nothing, and the next one is decoded.

use codec::{CHANNELS, Decoder};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "opus", folders: &["opus"], run };

/// 20 ms of silence, from CELT.
const SILENCE: &[u8] = &[0xfc, 0xff, 0xfe];

fn run(bytes: &[u8]) {
    let mut decoder = Decoder::default();
    // Half of it first: what comes after a broken packet is decoded from what that one left behind.
    for packet in [&bytes[..bytes.len() / 2], bytes] {
        if let Some(samples) = decoder.decode(packet) {
            // 120 ms at most (RFC 6716, 3.2.5).
            assert!(samples.len() % CHANNELS == 0 && samples.len() <= CHANNELS * 5_760);
        }
    }
    assert_eq!(decoder.decode(SILENCE).map(<[f32]>::len), Some(CHANNELS * 960));
}
