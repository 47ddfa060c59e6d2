//! Opus for pages whose browser lends them no decoder: those over plain HTTP, and Safari before 26.
//!
//! In: packets of live sound, one after the other. Out: samples. `build.rs` of `page` compiles it to `opus.wasm`, which
//! a page fetches when the first chunk comes that it needs it for. Never here: time, a browser; where a chunk sounds is the
//! core's business.

#[cfg(target_family = "wasm")]
mod door;

use opus_pure::{MAX_PACKET_SAMPLES, OpusDecoder};

/// Live sound is in stereo, both channels of a frame side by side.
pub const CHANNELS: usize = 2;
/// Frames a second.
pub const RATE_HZ: u32 = 48_000;
/// No packet has more octets (RFC 6716, 3.2.1, for each of the three frames of 20 ms that 60 ms have).
pub const PACKET_MAX: usize = 3 * 1_275;

/// A stream of packets.
#[derive(Debug)]
pub struct Decoder {
    opus: OpusDecoder,
    samples: Vec<f32>,
}

impl Default for Decoder {
    fn default() -> Self {
        let opus = OpusDecoder::new(RATE_HZ as i32, CHANNELS).expect("a rate and channels of Opus");
        Self { opus, samples: vec![0.0; CHANNELS * MAX_PACKET_SAMPLES] }
    }
}

impl Decoder {
    /// The samples of the next packet, frame after frame; none where it is none.
    pub fn decode(&mut self, packet: &[u8]) -> Option<&[f32]> {
        if packet.is_empty() || packet.len() > PACKET_MAX {
            return None;
        }
        let frames = self.opus.decode(packet, MAX_PACKET_SAMPLES, &mut self.samples).ok()?;
        self.samples.get(..CHANNELS * frames)
    }
}
