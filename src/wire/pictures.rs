//! Pictures as decoders of browsers take them: H.264 by its access units (ITU-T H.264), VP9 by its frames.
//!
//! In: a unit as a film's container has it. Out: the same as `media_data` carries it, and whether decoding can begin with
//! it. Never here: a picture.

use crate::solusync::MediaCodec;

/// Before each NAL unit of a stream of octets (H.264, B.1.1).
const START: [u8; 4] = [0, 0, 0, 1];
/// Types of NAL units (H.264, table 7-1).
mod nal {
    pub const SLICE_OF_KEY: u8 = 5;
    pub const SEQUENCE: u8 = 7;
}

/// What a container says of an H.264 stream: `avcC` (ISO/IEC 14496-15, 5.3.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Avc {
    /// Of the length before each NAL unit: 1, 2 or 4 octets.
    length_size: usize,
    /// Parameter sets, as a stream of octets has them.
    sets: Vec<u8>,
}

impl Avc {
    /// Reads `avcC`; none where it is none.
    pub fn parse(config: &[u8]) -> Option<Self> {
        let [1, _, _, _, lengths, ..] = *config else { return None };
        let length_size = usize::from(lengths & 3) + 1;
        let (mut rest, mut sets) = (config.get(5..)?, Vec::new());
        // The high bits of the first count are reserved.
        for mask in [0x1f, 0xff] {
            let (count, behind) = rest.split_first()?;
            rest = behind;
            for _ in 0..count & mask {
                let (length, behind) = rest.split_first_chunk::<2>()?;
                let (set, behind) = behind.split_at_checked(u16::from_be_bytes(*length).into())?;
                sets.extend(START);
                sets.extend(set);
                rest = behind;
            }
        }
        (length_size != 3).then_some(Self { length_size, sets })
    }

    /// An access unit with its lengths, as a stream of octets that can begin with every key frame; none where its lengths
    /// lie.
    pub fn stream(&self, unit: &[u8]) -> Option<Vec<u8>> {
        let (mut nals, mut rest) = (Vec::with_capacity(unit.len() + 64), unit);
        while !rest.is_empty() {
            let (length, behind) = rest.split_at_checked(self.length_size)?;
            let length = length.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
            let (nal, behind) = behind.split_at_checked(length)?;
            nals.extend(START);
            nals.extend(nal);
            rest = behind;
        }
        let needs_sets = is_key(MediaCodec::H264, &nals) && !has(&nals, nal::SEQUENCE);
        Some(if needs_sets { [&self.sets[..], &nals].concat() } else { nals })
    }
}

/// Whether decoding can begin with this unit, as it says itself; sound always can.
pub fn is_key(codec: MediaCodec, unit: &[u8]) -> bool {
    match codec {
        MediaCodec::H264 => has(unit, nal::SLICE_OF_KEY),
        MediaCodec::Vp9 => is_vp9_key(unit),
        MediaCodec::Opus | MediaCodec::Pcm16 => true,
    }
}

fn has(stream: &[u8], kind: u8) -> bool {
    stream.windows(4).any(|it| it[..3] == START[1..] && it[3] & 0x1f == kind)
}

/// `frame_marker`, profile, `show_existing_frame`, `frame_type` (VP9, 6.2).
fn is_vp9_key(frame: &[u8]) -> bool {
    let Some(first) = frame.first() else { return false };
    let bit = |k: u32| first >> (7 - k) & 1;
    let is_frame = bit(0) == 1 && bit(1) == 0;
    // Profile 3 has a reserved bit behind it.
    let next = if bit(2) == 1 && bit(3) == 1 { 5 } else { 4 };
    is_frame && bit(next) == 0 && bit(next + 1) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONFIG: [u8; 16] =
        [1, 0x42, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x42, 0, 0x1f, 1, 0, 1, 0x68];

    #[test]
    fn sx11_a_key_frame_of_h264_brings_its_parameter_sets_and_others_do_not() {
        let avc = Avc::parse(&CONFIG).expect("avcC");
        let key = avc.stream(&[0, 0, 0, 2, 0x65, 9]).expect("a unit");
        let sets = [&START[..], &[0x67, 0x42, 0, 0x1f], &START, &[0x68]].concat();
        assert_eq!(key, [&sets[..], &START, &[0x65, 9]].concat());
        let other = avc.stream(&[0, 0, 0, 2, 0x41, 9]).expect("a unit");
        assert_eq!(other, [&START[..], &[0x41, 9]].concat());
        assert!(is_key(MediaCodec::H264, &key) && !is_key(MediaCodec::H264, &other));
        let own = avc.stream(&[0, 0, 0, 2, 0x67, 7, 0, 0, 0, 2, 0x65, 9]).expect("a unit");
        assert_eq!(own, [&START[..], &[0x67, 7], &START, &[0x65, 9]].concat(), "it has its own");
    }

    #[test]
    fn sx11_lengths_that_lie_are_refused() {
        let avc = Avc::parse(&CONFIG).expect("avcC");
        assert_eq!(avc.stream(&[0, 0, 0, 3, 0x65, 9]), None);
        assert_eq!(avc.stream(&[0, 0]), None);
        for cut in 0..CONFIG.len() {
            assert_eq!(Avc::parse(&CONFIG[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn sx11_a_key_frame_of_vp9_is_told_by_its_first_octet() {
        let keys = [0x82, 0x80, 0x92, 0xa2, 0xb0].map(|it| is_key(MediaCodec::Vp9, &[it]));
        assert_eq!(keys, [true; 5]);
        let others = [0x86, 0x88, 0x02, 0xb2].map(|it| is_key(MediaCodec::Vp9, &[it]));
        assert_eq!(others, [false; 4], "another, one shown again, no frame, profile 3");
        assert!(!is_key(MediaCodec::Vp9, &[]));
    }

    proptest! {
        #[test]
        fn no_octets_panic(config: Vec<u8>, unit: Vec<u8>) {
            for config in [&config[..], &CONFIG] {
                if let Some(avc) = Avc::parse(config) {
                    let _ = avc.stream(&unit);
                }
            }
            let _ = is_key(MediaCodec::Vp9, &unit);
        }
    }
}
