//! `media_data`: a piece of live sound or pictures (SX-11), and which of them a phone takes.
//!
//! The document gives neither rate nor channels. Sound is at [`SOUND_HZ`] here; of `pcm16` (low byte first, one frame
//! after the other) the channels follow from length and duration, of `opus` they stand in each packet (RFC 6716, 3.1).
//! A picture that is too large for one message comes in parts, one behind the other with the same time; how many are still
//! to come stands in each ([`MediaData::parts_left`], ours).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use units::{Span, TrackId, WireTime};

/// Frames a second of all live sound.
pub const SOUND_HZ: u32 = 48_000;
/// No more than this in one piece: in base64 it fills the 256 KiB that browsers take as one message.
pub const DATA_MAX: usize = 190 << 10;
/// A piece that is longer is a file.
pub const DURATION_MAX: Span = Span::from_secs(10);
/// Numbers that every JSON reader keeps whole.
pub const INDEX_MAX: u64 = (1 << 53) - 1;
/// A picture in more parts is none that a phone could show.
pub const PARTS_MAX: u32 = 64;
/// (RFC 7845, 5.1.1 has at most 8 with places for loudspeakers.)
const CHANNELS_MAX: usize = 8;

/// `media_data`, within its bounds since it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct MediaData {
    /// What it is a piece of.
    pub track_id: TrackId,
    /// Counts the pieces of a track from the moment it went on air; at most [`INDEX_MAX`].
    pub chunk_index: u64,
    /// Network time at which it is heard, or seen.
    pub timestamp: WireTime,
    /// How long it lasts: more than nothing, at most [`DURATION_MAX`].
    pub duration: Span,
    /// How it is coded.
    pub codec: MediaCodec,
    /// The piece: at least an octet, at most [`DATA_MAX`].
    pub data: Vec<u8>,
    /// Whether it can be decoded without those before it; sound always can. Of parts, the first says so.
    pub is_keyframe: bool,
    /// How many parts of the same picture follow; less than [`PARTS_MAX`], and none of sound.
    pub parts_left: u32,
}

/// How a piece is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaCodec {
    /// One packet (RFC 6716).
    Opus,
    /// Signed 16-bit samples, low byte first.
    Pcm16,
    /// One access unit, in the form of Annex B; a key frame has its parameter sets in it.
    H264,
    /// One frame.
    Vp9,
}

impl MediaCodec {
    /// Whether it is of pictures.
    pub const fn has_pictures(self) -> bool {
        matches!(self, Self::H264 | Self::Vp9)
    }
}

/// `media_untaken`: what is on air comes in a codec that this phone does not take (ours), said once to each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaUntaken {
    /// What is on air.
    pub track_id: TrackId,
    /// How it comes.
    pub codec: MediaCodec,
}

/// `media_wanted`: what a phone takes on the channel it says it on, dearest first (ours); nothing ends it. Codecs that
/// are not known are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MediaWanted {
    /// What it can decode.
    #[serde(deserialize_with = "known")]
    pub codecs: Vec<MediaCodec>,
}

impl MediaData {
    /// Channels of a piece of `pcm16`; none where its length does not fit its duration, and of other codecs.
    pub fn pcm_channels(&self) -> Option<usize> {
        let frames = self.duration.ns().checked_mul(SOUND_HZ.into())?;
        let frames = usize::try_from((frames + 500_000_000) / 1_000_000_000).ok()?;
        let fits = |channels: &usize| frames > 0 && self.data.len() == 2 * frames * channels;
        (1..=CHANNELS_MAX).find(fits).filter(|_| self.codec == MediaCodec::Pcm16)
    }

    fn check(self) -> Result<Self, &'static str> {
        if self.chunk_index > INDEX_MAX {
            return Err("chunk_index is at most 9007199254740991");
        }
        if self.duration <= Span::ZERO || self.duration > DURATION_MAX {
            return Err("duration is more than 0 and at most 10 s");
        }
        if self.data.is_empty() || self.data.len() > DATA_MAX {
            return Err("data has 1 to 194560 octets");
        }
        if self.parts_left >= PARTS_MAX || (self.parts_left > 0 && !self.codec.has_pictures()) {
            return Err("parts_left is less than 64, and none of sound");
        }
        if self.codec == MediaCodec::Pcm16 && self.pcm_channels().is_none() {
            return Err("pcm16 has 1 to 8 channels of duration at 48 kHz");
        }
        Ok(self)
    }
}

#[derive(Serialize, Deserialize)]
struct Fields {
    track_id: TrackId,
    chunk_index: u64,
    timestamp: WireTime,
    duration: f64,
    codec: MediaCodec,
    #[serde(with = "octets")]
    data: Vec<u8>,
    #[serde(default)]
    is_keyframe: bool,
    #[serde(default, skip_serializing_if = "is_none_left")]
    parts_left: u32,
}

fn is_none_left(parts: &u32) -> bool {
    *parts == 0
}

impl TryFrom<Fields> for MediaData {
    type Error = &'static str;
    fn try_from(it: Fields) -> Result<Self, Self::Error> {
        Self {
            track_id: it.track_id,
            chunk_index: it.chunk_index,
            timestamp: it.timestamp,
            duration: Span::from_secs_f64(it.duration),
            codec: it.codec,
            data: it.data,
            is_keyframe: it.is_keyframe,
            parts_left: it.parts_left,
        }
        .check()
    }
}

impl From<MediaData> for Fields {
    fn from(it: MediaData) -> Self {
        Self {
            track_id: it.track_id,
            chunk_index: it.chunk_index,
            timestamp: it.timestamp,
            duration: it.duration.secs_f64(),
            codec: it.codec,
            data: it.data,
            is_keyframe: it.is_keyframe,
            parts_left: it.parts_left,
        }
    }
}

/// Octets as base64 (RFC 4648, 4), with its padding.
pub mod octets {
    use super::*;

    /// To text.
    ///
    /// # Errors
    /// The writer's own.
    pub fn serialize<S: Serializer>(octets: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(octets))
    }

    /// From text.
    ///
    /// # Errors
    /// What is no base64, and what is far beyond [`DATA_MAX`], before it is decoded.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        use serde::de::Error as _;
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        if text.len() > DATA_MAX.div_ceil(3) * 4 {
            return Err(D::Error::custom("data has at most 194560 octets"));
        }
        STANDARD.decode(&*text).map_err(|_| D::Error::custom("data is base64"))
    }
}

fn known<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<MediaCodec>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Named {
        Known(MediaCodec),
        Other(serde::de::IgnoredAny),
    }
    let named = Vec::<Named>::deserialize(from)?;
    let known = named.into_iter().filter_map(|it| match it {
        Named::Known(codec) => Some(codec),
        Named::Other(_) => None,
    });
    // As many as there are; a phone that says more repeats itself.
    Ok(known.take(4).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn piece(codec: MediaCodec, micros: i64, octets: usize) -> MediaData {
        MediaData {
            track_id: TrackId("live".into()),
            chunk_index: 42,
            timestamp: WireTime::from_micros(234_567_100_000),
            duration: Span::from_micros(micros),
            codec,
            data: vec![7; octets],
            is_keyframe: false,
            parts_left: 0,
        }
    }

    #[test]
    fn sx11_a_piece_is_written_as_the_document_has_it() {
        let said = serde_json::to_string(&piece(MediaCodec::Opus, 20_000, 3)).expect("JSON");
        assert_eq!(
            said,
            r#"{"track_id":"live","chunk_index":42,"timestamp":234567.1,"duration":0.02,"codec":"opus","data":"BwcH","is_keyframe":false}"#
        );
    }

    #[test]
    fn sx11_channels_of_pcm16_follow_from_its_length() {
        let channels = |octets| piece(MediaCodec::Pcm16, 10_000, octets).pcm_channels();
        assert_eq!([960, 1_920, 7_680].map(channels), [Some(1), Some(2), Some(8)]);
        assert_eq!([0, 959, 961, 8_640].map(channels), [None; 4]);
        assert_eq!(piece(MediaCodec::Opus, 10_000, 960).pcm_channels(), None);
    }

    #[test]
    fn sx11_the_largest_piece_passes_and_one_octet_more_does_not() {
        let read = |octets| {
            let said = serde_json::to_string(&piece(MediaCodec::H264, 40_000, octets));
            serde_json::from_str::<MediaData>(&said.expect("JSON"))
        };
        assert_eq!(read(DATA_MAX).expect("within bounds").data.len(), DATA_MAX);
        assert!(read(DATA_MAX + 1).is_err());
    }

    proptest! {
        #[test]
        fn sx11_what_is_within_bounds_comes_back_as_it_was(
            chunk_index in 0..=INDEX_MAX,
            micros in 1..=10_000_000_i64,
            at in -4_000_000_000_000_000..4_000_000_000_000_000_i64,
            data in prop::collection::vec(any::<u8>(), 1..300),
            is_keyframe: bool,
            parts_left in 0..PARTS_MAX,
        ) {
            let timestamp = WireTime::from_micros(at);
            let whole = MediaData {
                chunk_index, timestamp, data, is_keyframe, parts_left, ..piece(MediaCodec::Vp9, micros, 1)
            };
            let said = serde_json::to_string(&whole).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<MediaData>(&said).expect("ours"), whole);
        }
    }
}
