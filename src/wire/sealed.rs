//! `media_sealed`: a `media_data` that only who holds the show's key can hear or see (SX-20, ours).
//!
//! In: a message, and what somebody who has the key makes of its octets. Out: text, and what in it is to be opened with
//! what. Never here: AES itself, whether it was heard before (`io::seal`, `phone::Guard`; `sealed.js` in the page).
//!
//! Its `data` is sealed by AES-256-GCM and stands last. All that stands before it, octet for octet as it was said, is the
//! additional data, so that a piece opens under its own sender, count, track, index, time and codec or not at all. The
//! AES key is drawn from the show's by HKDF (RFC 5869) with SHA-256, `start` as the salt and [`INFO`]. `start` is of
//! chance, made anew whenever the box starts, and the nonce is the header's `sequence`, which counts from there: so no
//! nonce comes twice under a key, whatever a box that restarts has forgotten.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use units::{TrackId, WireTime};
use uuid::Uuid;

use crate::solusync::media_data::DATA_MAX;
use crate::solusync::{Header, MediaCodec, MediaData};

/// What a start's key is drawn for.
pub const INFO: &[u8] = b"downbeat live sound 1";
/// AES-GCM's, behind what is sealed.
pub const TAG_OCTETS: usize = 16;

/// Every one begins so.
const HEAD: &str = r#"{"type":"media_sealed","#;
/// What it is once it has been opened.
const OPEN_HEAD: &str = r#"{"type":"media_data","#;
const DATA: &str = r#","data":""#;
const TAIL: &str = r#""}"#;

/// A show's key, as tokens carry it: 32 octets in base64url. Whoever prints it for debugging does not see it.
#[derive(Clone, PartialEq, Eq)]
pub struct ShowKey(pub [u8; 32]);

/// Which key it was sealed with: the first octets of the SHA-256 of the show's, hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyName(pub String);

/// Of chance, whenever the box starts.
pub type Start = Uuid;

/// The nonce of a message that is the how-manieth of its sender's since it started: 96 bits, high octet first.
pub type Nonce = [u8; 12];

/// A piece that nobody has opened yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed<'a> {
    /// Who says it, when, and the how-manieth it is. Nobody has vouched for it yet, as for all that stands here.
    pub header: Header,
    /// With which key.
    pub key: KeyName,
    /// Of which start.
    pub start: Start,
    /// When it is heard, or seen.
    pub timestamp: WireTime,
    /// How it is coded.
    pub codec: MediaCodec,
    /// What is sealed along with the octets: the text up to them.
    pub head: &'a str,
    /// The octets, and [`TAG_OCTETS`] behind them.
    pub data: Vec<u8>,
}

/// Why a text is no sealed piece.
#[derive(Debug, thiserror::Error)]
pub enum NotSealed {
    /// Of another type, or with `data` elsewhere than last.
    #[error("a sealed piece begins with its type and ends with its data")]
    Shape,
    /// A field is missing or of the wrong kind.
    #[error("not a sealed piece: {0}")]
    Field(#[from] serde_json::Error),
    /// No base64, too short for a tag, or too long.
    #[error("data is base64 of 17 to 194576 octets")]
    Data,
}

#[derive(Serialize, Deserialize)]
struct Fields {
    key: KeyName,
    start: Start,
    track_id: TrackId,
    chunk_index: u64,
    timestamp: WireTime,
    duration: f64,
    codec: MediaCodec,
    is_keyframe: bool,
    #[serde(default, skip_serializing_if = "is_none_left")]
    parts_left: u32,
}

fn is_none_left(parts: &u32) -> bool {
    *parts == 0
}

#[derive(Deserialize)]
struct Envelope {
    header: Header,
    #[serde(flatten)]
    fields: Fields,
}

/// What the key of that name is called with for the message of that count.
pub fn nonce(sequence: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&sequence.to_be_bytes());
    nonce
}

/// Whether a text says that it is one; cheap.
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(HEAD)
}

/// A piece to text. `seal` gets nonce, additional data and octets, and gives them back sealed with their tag.
pub fn emit(
    header: &Header,
    (key, start): (&KeyName, Start),
    chunk: MediaData,
    seal: impl FnOnce(Nonce, &[u8], Vec<u8>) -> Vec<u8>,
) -> String {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
        header: &'a Header,
        #[serde(flatten)]
        fields: Fields,
    }
    let fields = Fields {
        key: key.clone(),
        start,
        track_id: chunk.track_id,
        chunk_index: chunk.chunk_index,
        timestamp: chunk.timestamp,
        duration: chunk.duration.secs_f64(),
        codec: chunk.codec,
        is_keyframe: chunk.is_keyframe,
        parts_left: chunk.parts_left,
    };
    let whole = Whole { kind: "media_sealed", header, fields };
    let mut text = serde_json::to_string(&whole).expect("every field has a JSON form");
    text.pop();
    let sealed = seal(nonce(header.sequence), text.as_bytes(), chunk.data);
    text.push_str(DATA);
    STANDARD.encode_string(sealed, &mut text);
    text.push_str(TAIL);
    text
}

/// Text to a piece.
///
/// # Errors
/// [`NotSealed`].
pub fn parse(text: &str) -> Result<Sealed<'_>, NotSealed> {
    let body = text.strip_suffix(TAIL).filter(|_| is_sealed(text)).ok_or(NotSealed::Shape)?;
    // No base64 has a quotation mark, and within a text of JSON it is written with a backslash.
    let (head, data) = body.rsplit_once(DATA).ok_or(NotSealed::Shape)?;
    if data.len() > (DATA_MAX + TAG_OCTETS).div_ceil(3) * 4 {
        return Err(NotSealed::Data);
    }
    let data = STANDARD.decode(data).map_err(|_| NotSealed::Data)?;
    if !(TAG_OCTETS + 1..=DATA_MAX + TAG_OCTETS).contains(&data.len()) {
        return Err(NotSealed::Data);
    }
    let Envelope { header, fields } = serde_json::from_str(text)?;
    let Fields { key, start, timestamp, codec, .. } = fields;
    Ok(Sealed { header, key, start, timestamp, codec, head, data })
}

impl Sealed<'_> {
    /// What it says with these octets in place of the sealed ones: `media_data`, with two fields that nobody has to know.
    pub fn opened(&self, octets: &[u8]) -> String {
        let rest = &self.head[HEAD.len()..];
        let mut text = [OPEN_HEAD, rest, DATA].concat();
        STANDARD.encode_string(octets, &mut text);
        text.push_str(TAIL);
        text
    }
}

impl fmt::Debug for ShowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShowKey")
    }
}

impl Serialize for ShowKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for ShowKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = String::deserialize(from)?;
        let octets = URL_SAFE_NO_PAD.decode(text).ok().and_then(|it| it.try_into().ok());
        octets.map(Self).ok_or_else(|| D::Error::custom("a key is 32 octets in base64url"))
    }
}

#[cfg(test)]
mod tests {
    use units::Span;

    use super::*;
    use crate::solusync::{self, Message};

    fn header(sequence: u64) -> Header {
        let timestamp = WireTime::from_micros(1_790_000_000_123_456);
        Header { id: Uuid::from_u128(1), timestamp, node_id: Uuid::from_u128(2), sequence }
    }

    fn piece(track: &str, octets: usize) -> MediaData {
        MediaData {
            track_id: TrackId(track.into()),
            chunk_index: 42,
            timestamp: WireTime::from_micros(1_790_000_000_400_000),
            duration: Span::from_millis(20),
            codec: MediaCodec::Opus,
            data: vec![7; octets],
            is_keyframe: false,
            parts_left: 0,
        }
    }

    /// Turns every bit, and writes where the additional data ends into the tag.
    fn stub_seal(_: Nonce, with: &[u8], octets: Vec<u8>) -> Vec<u8> {
        let tag = u128::try_from(with.len()).expect("a length").to_be_bytes();
        octets.into_iter().map(|it| !it).chain(tag).collect()
    }

    fn said(track: &str, octets: usize) -> String {
        let key = KeyName("k".into());
        emit(&header(7), (&key, Uuid::from_u128(3)), piece(track, octets), stub_seal)
    }

    #[test]
    fn sx20_a_sealed_piece_opens_to_the_media_data_that_it_was() {
        let text = said("live", 5);
        let sealed = parse(&text).expect("our own words");
        assert_eq!((sealed.header.sequence, sealed.start), (7, Uuid::from_u128(3)));
        assert_eq!(sealed.data[..5], [!7; 5]);
        assert_eq!(sealed.data[5..], (sealed.head.len() as u128).to_be_bytes());
        assert!(text.starts_with(sealed.head));
        match solusync::parse(&sealed.opened(&[7; 5])).expect("media_data") {
            (opened, Message::MediaData(chunk)) => {
                assert_eq!((opened, chunk), (header(7), piece("live", 5)));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sx20_who_knows_no_seals_passes_a_sealed_piece_over() {
        let (_, message) = solusync::parse(&said("live", 5)).expect("a message");
        assert!(matches!(message, Message::Unknown));
    }

    #[test]
    fn sx20_a_track_that_is_called_like_the_end_of_a_head_moves_no_border() {
        let text = said(r#"a","data":"AAAA"#, 5);
        let sealed = parse(&text).expect("our own words");
        assert_eq!(sealed.data[5..], (sealed.head.len() as u128).to_be_bytes());
    }

    #[test]
    fn sx20_the_largest_piece_passes_and_neither_more_nor_nothing_does() {
        assert_eq!(parse(&said("l", DATA_MAX)).expect("in bounds").data.len(), DATA_MAX + 16);
        assert!(matches!(parse(&said("l", DATA_MAX + 1)), Err(NotSealed::Data)));
        assert!(matches!(parse(&said("l", 0)), Err(NotSealed::Data)));
    }

    #[test]
    fn sx20_no_two_messages_of_a_start_have_a_nonce_in_common() {
        assert_eq!(nonce(0x0102), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(nonce(u64::MAX)[..5], [0, 0, 0, 0, 255]);
    }

    #[test]
    fn sx20_a_key_is_written_for_tokens_and_not_for_whoever_debugs() {
        let key = ShowKey([0xfb; 32]);
        let text = serde_json::to_string(&key).expect("a text");
        assert_eq!(text.len(), 43 + 2);
        assert_eq!(serde_json::from_str::<ShowKey>(&text).expect("a key"), key);
        assert!(serde_json::from_str::<ShowKey>(&text.replace("-_", "+/")).is_err());
        assert!(serde_json::from_str::<ShowKey>(r#""-_v7""#).is_err());
        assert_eq!(format!("{key:?}"), "ShowKey");
    }
}
