//! Timecode: what others say the time of the show is, and what we say to them.
//!
//! In: what was heard, frame by frame ([`Heard`]), each with the instant at which the frame began. Out: when a
//! timecode will come ([`Chase`]); which timecode shows at an instant ([`Course`]) and what is sent of it. Never here:
//! cues (they are in `cue`), cables, clocks.
//!
//! *Position*: how long after 00:00:00:00 of timecode. *Freewheel*: going on without a source that has fallen silent.
//! *Locate*: to be wound somewhere, without running. A timecode stands for the instant at which its frame begins.

mod chase;
mod course;

pub use chase::{Chase, Event};
pub use course::{Course, Line, Ltc, Tick};
use serde::{Deserialize, Serialize};
use units::{Clock, FrameRate, ShowTime, Span, Timecode};
use wire::{ltc, mtc};

/// What a show chases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Sound on an input.
    Ltc,
    /// MIDI.
    Mtc,
    /// ArtTimeCode (rule A14).
    Artnet,
}

/// What a source said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Heard {
    /// A frame began.
    Frame {
        /// Its number.
        clock: Clock,
        /// Whether its source leaves numbers out.
        drops: bool,
        /// How far its source counts frames; none while that is not known.
        count: Option<u8>,
        /// When.
        at: ShowTime,
    },
    /// It stands there.
    Located {
        /// Its number.
        clock: Clock,
    },
    /// It runs backwards.
    Reverse,
}

impl Heard {
    fn frame(timecode: Timecode, at: ShowTime) -> Self {
        let rate = timecode.rate();
        let count = Some(rate.count() as u8);
        Self::Frame { clock: timecode.clock(), drops: rate.drops(), count, at }
    }

    /// ArtTimeCode that came at that time. Only the master's stream is chased.
    pub fn from_artnet(said: wire::artnet::TimeCode, at: ShowTime) -> Option<Self> {
        (said.stream == 0).then(|| Self::frame(said.timecode, at))
    }

    /// From a MIDI cable.
    pub fn from_mtc(said: mtc::Reading) -> Self {
        match said {
            mtc::Reading::Frame { timecode, at } => Self::frame(timecode, at),
            mtc::Reading::Located { timecode } => Self::Located { clock: timecode.clock() },
            mtc::Reading::Reverse => Self::Reverse,
        }
    }

    /// From sound; `show` tells when a sample was heard.
    pub fn from_ltc(said: &ltc::Reading, show: impl Fn(f64) -> ShowTime) -> Self {
        match said {
            ltc::Reading::Frame(it) => Self::Frame {
                clock: it.said.clock,
                drops: it.said.drops,
                count: it.count,
                at: show(it.start),
            },
            ltc::Reading::Reverse { .. } => Self::Reverse,
        }
    }
}

/// How a chase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing has been heard.
    None,
    /// Something is heard, and it does not make sense yet.
    Locking,
    /// It is followed.
    Locked,
    /// It has fallen silent, and we go on.
    Freewheel,
    /// It stands: the same frame again and again, or it was wound.
    Standing,
    /// It has been silent for too long.
    Lost,
}

/// Why a source that speaks is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// It runs backwards.
    Reverse,
    /// Its frames are counted otherwise than the show's.
    WrongRate,
}

/// A chase, for watchers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChaseGlance {
    /// What is chased.
    pub source: Source,
    /// How it stands.
    pub state: State,
    /// Why it is not followed although it speaks, or none.
    pub trouble: Option<Trouble>,
    /// The show's rate.
    pub rate: FrameRate,
    /// The timecode now, offset included; none while nobody knows.
    pub timecode: Option<Timecode>,
    /// How fast it runs, 1 is as it should; none while nobody knows.
    pub speed: Option<f64>,
    /// Since it was heard last; none if it never was.
    #[serde(rename = "age_ns")]
    pub age: Option<Span>,
    /// The list waits for somebody to say whether it follows a jump.
    pub asks: bool,
}
