//! Sound files, and what a cue does with them.

use serde::Serialize;
use units::{Decibels, Span};

/// A sound file.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// Path within the show folder.
    pub file: String,
    /// What the file itself says.
    pub info: MediaInfo,
}

/// What is known of a sound file without hearing it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MediaInfo {
    /// Hexadecimal SHA-256 of its bytes.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Frames a second.
    pub rate_hz: u32,
    /// Channels that the box can play; none in a film, whose sound is for phones.
    pub channels: u16,
    /// Length in frames.
    pub frames: u64,
}

impl MediaInfo {
    /// A film of this length, which phones decode themselves.
    pub fn film(sha256: String, bytes: u64, length: Span) -> Self {
        let frames = (length.ns() / 1_000_000).unsigned_abs();
        Self { sha256, bytes, rate_hz: 1_000, channels: 0, frames }
    }

    /// Whether it has pictures.
    pub fn is_film(&self) -> bool {
        self.channels == 0
    }

    /// How long it sounds.
    pub fn length(&self) -> Span {
        Span::from_ns(
            (i128::from(self.frames) * 1_000_000_000 / i128::from(self.rate_hz.max(1))) as i64,
        )
    }
}

/// Index into [`Show::media`](super::Show::media).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MediaId(pub usize);

/// A file that sounds from the box.
#[derive(Debug, Clone, PartialEq)]
pub struct SoundCue {
    /// Which.
    pub media: MediaId,
    /// How loud.
    pub volume: Decibels,
    /// How often.
    pub loops: Loops,
    /// From silence at the start.
    pub fade_in: Span,
    /// To silence at its own end.
    pub fade_out: Span,
    /// Where in the file it begins.
    pub offset: Span,
    /// Which file channel goes to which output channel. Empty is one to one (mono to both of the first two).
    pub routes: Vec<Route>,
}

/// How often something sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loops {
    /// So often; 1 is once.
    Times(u32),
    /// Until something ends it.
    Forever,
}

/// One crossing of the output matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Route {
    /// Channel of the file, from 0.
    pub from: u16,
    /// Channel of the card, from 0.
    pub to: u16,
    /// How loud.
    pub volume: Decibels,
}
