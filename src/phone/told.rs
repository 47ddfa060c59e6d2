//! What the shell tells the core, and what the core asks of it. JSON over the WebAssembly door, types natively.
//!
//! Keys bear their unit: `_ms` is the page's monotonic clock, `_s` the AudioContext's.

use serde::{Deserialize, Serialize};
use units::{Rgb, TrackId};
use wire::solusync::Calibrated;

use crate::state::State;

/// How a page begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// 32 hexadecimal digits of chance: names and backoff come from it.
    pub chance: String,
    /// UNIX time by the phone's own reckoning, milliseconds: good enough until the box has answered.
    pub unix_ms: f64,
    /// What the page is.
    pub role: Role,
}

/// What the page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A phone: colour, words and sound, after a tap.
    Phone,
    /// A projector or stage monitor: colour and words.
    Screen,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Time went by, as [`Turn::wake_ms`] asked.
    Tick,
    /// The socket opened.
    Opened,
    /// The socket closed, or would not open.
    Closed,
    /// The box said this.
    Heard {
        /// A message.
        text: String,
    },
    /// Someone touched the page: sound may begin.
    Tapped,
    /// The page came back to the front, or the network came back: try at once.
    Woke,
    /// A track is fetched and decoded.
    MediaReady {
        /// Which.
        track_id: TrackId,
        /// Its length as decoded.
        duration_s: f64,
    },
    /// A track could not be fetched or decoded.
    MediaFailed {
        /// Which.
        track_id: TrackId,
    },
    /// A look at the AudioContext.
    Audio {
        /// Whether its clock runs.
        running: bool,
        /// `currentTime`.
        audio_s: f64,
        /// `outputLatency`, where the browser has it.
        #[serde(default)]
        latency_s: Option<f64>,
        /// `getOutputTimestamp()`, where the browser has it.
        #[serde(default)]
        output: Option<OutputStamp>,
    },
    /// The page was painted with the last [`Look`].
    Painted,
    /// The page learnt what phone it is on, or how far off it sounds by the core's own reckoning; all of it, each time.
    Calibrated(Calibrated),
    /// What the phone says about its battery, 0 to 1.
    Battery {
        /// Share of full.
        level: f64,
    },
}

/// `getOutputTimestamp()`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OutputStamp {
    /// `contextTime`.
    pub audio_s: f64,
    /// `performanceTime`.
    pub page_ms: f64,
}

/// What the shell does next, in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Open the socket.
    Open,
    /// Close it: nobody is there any more.
    Close,
    /// Say this to the box.
    Send {
        /// A message.
        text: String,
    },
    /// Fetch and decode a track.
    Fetch {
        /// Which.
        track_id: TrackId,
        /// Where, relative to the page.
        url: String,
    },
    /// Drop a track.
    Forget {
        /// Which.
        track_id: TrackId,
    },
    /// Start a piece of a track.
    Begin {
        /// Its number; `rate` and `end` name it.
        segment: u32,
        /// The voice it belongs to; `gain` names it.
        voice: u32,
        /// Which track.
        track_id: TrackId,
        /// When. Gone by already: start now, as far into the track as it would be.
        at_s: f64,
        /// Where in the track, seconds.
        offset_s: f64,
        /// How fast, near 1.
        rate: f64,
        /// Whether the track begins again at its end.
        looped: bool,
        /// Fade it in over this long: the other half of a cross-fade.
        rise_s: f64,
    },
    /// Change how fast a piece plays.
    Rate {
        /// Which.
        segment: u32,
        /// When.
        at_s: f64,
        /// How fast.
        rate: f64,
    },
    /// End a piece.
    End {
        /// Which.
        segment: u32,
        /// When its fade begins.
        at_s: f64,
        /// How long the fade is; then it is silent for good.
        fall_s: f64,
    },
    /// Set how loud a voice is from now on: straight lines through these points.
    Gain {
        /// Which.
        voice: u32,
        /// Audio time in seconds, factor 0 to 1; the first is where it stands now.
        points: Vec<(f64, f64)>,
    },
}

/// What one call gives back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// What to do.
    pub acts: Vec<Act>,
    /// When to call again if nothing else happens.
    pub wake_ms: f64,
    /// What the page shows.
    pub look: Look,
}

/// What the page shows at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The whole screen's colour, flashes included.
    pub color: Rgb,
    /// What reads well on it.
    pub ink: Ink,
    /// Words of the show; empty for none.
    pub text: String,
    /// The show's title; empty while unknown.
    pub title: String,
    /// How the phone fares.
    pub state: State,
    /// `state` in words for a person.
    pub line: String,
    /// How much sooner it sounds than by its own reckoning; none where nobody knows how much it should.
    pub correction_ms: Option<f64>,
    /// One standard deviation of that.
    pub correction_sigma_ms: Option<f64>,
    /// Until when the colour stays as it is: now while it moves, none for ever.
    pub still_until_ms: Option<f64>,
}

/// What reads well on a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ink {
    /// On light colours.
    Dark,
    /// On dark colours.
    Light,
}
