//! A piece of a live picture within a record.

use units::Span;

use super::{TRACK_MAX, name, put, take};
use crate::solusync::{DURATION_MAX, INDEX_MAX, MediaCodec, PARTS_MAX};

/// A piece of a picture that is longer is left out: a record has no more room.
pub(super) const PIECE_MAX: usize = 60_000;
/// No film's pictures are in an order that is so far from a decoder's.
pub(super) const EARLIER_MAX: Span = Span::from_secs(10);

/// A piece of a picture, without its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Of pictures.
    pub codec: MediaCodec,
    /// Counts the pieces of what is on air.
    pub index: u64,
    /// How many pieces of the same picture follow.
    pub parts_left: u32,
    /// Whether decoding can begin with it.
    pub is_key: bool,
    /// How long the picture lasts.
    pub lasts: Span,
    /// How much before the record's time it is seen.
    pub earlier: Span,
}

impl Piece {
    /// Whether it is within what phones take, and a capture holds.
    fn is_in_range(&self) -> bool {
        self.codec.has_pictures()
            && self.index <= INDEX_MAX
            && self.parts_left < PARTS_MAX
            && (Span::from_ns(1)..=DURATION_MAX).contains(&self.lasts)
            && (Span::ZERO..=EARLIER_MAX).contains(&self.earlier)
    }
}

/// A piece of a live picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture<'a> {
    /// What it is called.
    pub track: &'a str,
    /// Which piece.
    pub piece: Piece,
    /// It; none where it was sealed.
    pub data: Option<&'a [u8]>,
}

/// None, and nothing written, where it is out of range.
pub(super) fn write_picture(
    track: &str,
    piece: &Piece,
    data: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let fits = data.is_none_or(|it| (1..=PIECE_MAX).contains(&it.len()));
    if track.len() > TRACK_MAX || !fits || !piece.is_in_range() {
        return None;
    }
    let codec = u8::from(piece.codec == MediaCodec::Vp9);
    put(track.len() as u64, out);
    out.extend(track.bytes().chain([codec + 2 * u8::from(piece.is_key)]));
    let spans = [piece.lasts, piece.earlier].map(|it| it.ns() as u64);
    for number in [piece.index, piece.parts_left.into()].into_iter().chain(spans) {
        put(number, out);
    }
    out.extend(data.unwrap_or_default());
    Some(())
}

pub(super) fn picture(mut content: &[u8]) -> Option<Picture<'_>> {
    let track = name(&mut content)?;
    let (&how, rest) = content.split_first().filter(|(how, _)| **how < 4)?;
    content = rest;
    let codec = if how % 2 == 1 { MediaCodec::Vp9 } else { MediaCodec::H264 };
    let index = take(&mut content)?;
    let parts_left = u32::try_from(take(&mut content)?).ok()?;
    let lasts = Span::from_ns(i64::try_from(take(&mut content)?).ok()?);
    let earlier = Span::from_ns(i64::try_from(take(&mut content)?).ok()?);
    let piece = Piece { codec, index, parts_left, is_key: how >= 2, lasts, earlier };
    let data = Some(content).filter(|it| !it.is_empty());
    let fits = piece.is_in_range() && content.len() <= PIECE_MAX;
    fits.then_some(Picture { track, piece, data })
}
