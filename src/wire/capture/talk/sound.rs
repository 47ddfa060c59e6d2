//! A packet of live sound within a record.

use units::Span;

use super::name;

/// What a packet lasts: what is recorded comes so, and nothing else is taken.
pub const PACKET: Span = Span::from_millis(20);
/// The largest packet of one frame (RFC 6716, 3.2.1).
const OPUS_MAX: usize = 1_275;

/// A packet of live sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound<'a> {
    /// What it is called.
    pub track: &'a str,
    /// [`PACKET`] of Opus; none where it was sealed.
    pub opus: Option<&'a [u8]>,
}

pub(super) fn sound(mut content: &[u8]) -> Option<Sound<'_>> {
    let track = name(&mut content)?;
    let opus = Some(content).filter(|it| !it.is_empty());
    let is_whole = opus.is_none_or(is_packet);
    is_whole.then_some(Sound { track, opus })
}

/// Whether it is a packet of 20 ms: what its first octet says of its frames, and how many there are (RFC 6716, 3.1).
pub(super) fn is_packet(opus: &[u8]) -> bool {
    let Some((&first, rest)) = opus.split_first().filter(|_| opus.len() <= OPUS_MAX) else {
        return false;
    };
    let frame_us = match first >> 3 {
        config @ ..12 => [10_000, 20_000, 40_000, 60_000][usize::from(config % 4)],
        config @ ..16 => [10_000, 20_000][usize::from(config % 2)],
        config => [2_500, 5_000, 10_000, 20_000][usize::from(config % 4)],
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => i64::from(rest.first().copied().unwrap_or(0) & 0x3f),
    };
    Span::from_micros(frame_us * frames) == PACKET
}
