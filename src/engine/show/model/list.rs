//! Cue lists, and the timecode that they follow and send.

use serde::Serialize;
use units::{Decibels, FrameRate, Span, Timecode};

use super::Cue;
use crate::timecode::Source;

/// A list of cues with one standby.
#[derive(Debug, Clone, PartialEq)]
pub struct CueList {
    /// Its name.
    pub name: String,
    /// Of two lists that hold an attribute the one of higher priority is seen, 1 to 200; equals share it.
    pub priority: u8,
    /// How long its light takes to go when it is released.
    pub release_time: Span,
    /// In playing order.
    pub cues: Vec<Cue>,
    /// What timecode fires its cues.
    pub timecode: Option<ListTimecode>,
}

/// Timecode of a show.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowTimecode {
    /// Of everything that comes and goes.
    pub rate: FrameRate,
    /// What is sent.
    pub out: Option<TimecodeOut>,
}

/// Timecode that is sent while a list runs.
#[derive(Debug, Clone, PartialEq)]
pub struct TimecodeOut {
    /// As sound.
    pub ltc: Option<LtcOut>,
    /// As MIDI.
    pub mtc: bool,
    /// As ArtTimeCode.
    pub artnet: bool,
    /// Which list, an index.
    pub list: usize,
    /// What shows as its first cue begins.
    pub start: Timecode,
}

/// LTC on the card.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LtcOut {
    /// Channel of the card, from 0.
    pub channel: u16,
    /// How loud.
    pub level: Decibels,
}

/// How a list follows timecode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListTimecode {
    /// Whose.
    pub source: Source,
    /// The show's rate.
    pub rate: FrameRate,
    /// Added to what is heard.
    pub offset: Span,
    /// How long it goes on when the source falls silent.
    pub freewheel: Span,
    /// What a jump does.
    pub jump: Jump,
}

/// What a jump of timecode does to a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Jump {
    /// The cue of the new place is fired as if it had been fired in time, and the next stands by.
    Follow,
    /// Nothing is fired but what comes later, from standby on.
    Ignore,
    /// The list waits: GO follows the jump, `goto`, `back` and `fire` take it up elsewhere.
    Ask,
}
