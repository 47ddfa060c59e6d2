//! A plain copy of the show's state for watchers: status, console, page, metrics. Its shape is documented in
//! `docs/status.md` and tested; keys are only ever added.

use serde::Serialize;
use units::{CueNumber, FrameRate, Level, ShowTime, Span, Timecode};

use crate::delivery::DeliveryGlance;
use crate::timecode::ChaseGlance;

/// What the panel, the phones and `downbeat status` may see.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Glance {
    /// When it was taken, TAI nanoseconds.
    #[serde(rename = "now_tai_ns")]
    pub now: ShowTime,
    /// The show's title.
    pub title: String,
    /// Whether everything stands still.
    pub paused: bool,
    /// Every list, in the order of the file.
    pub lists: Vec<ListGlance>,
    /// Every cue that has begun and not ended, oldest first.
    pub running: Vec<RunningGlance>,
    /// Phones that have said `hello` and are still there.
    pub phones: usize,
    /// Timecode that is sent; none if the show sends none.
    pub timecode: Option<LeadGlance>,
    /// Every master, the grand master first.
    pub masters: Vec<MasterGlance>,
    /// Whether every intensity is out by a blackout.
    pub blackout: bool,
    /// What is parked, as it was named.
    pub parked: Vec<String>,
    /// The cue that visualisers see; none if nobody looks blindly.
    pub blind: Option<CueNumber>,
    /// What phones hear live on their tracks, as it was named; none if nothing.
    pub on_air: Option<String>,
    /// The cue that put it there; none if a hand did.
    pub on_air_cue: Option<CueNumber>,
    /// Whether that is sealed: heard by phones with a token alone.
    pub sealed: bool,
    /// How far ahead phones get their orders, and how many came too late.
    pub delivery: DeliveryGlance,
}

/// A master.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MasterGlance {
    /// Its name.
    pub name: String,
    /// Where it stands.
    #[serde(rename = "level_percent")]
    pub level: Level,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListGlance {
    /// Its name.
    pub name: String,
    /// What GO would fire; none at its end.
    pub standby: Option<CueGlance>,
    /// What comes next by itself; none while the list waits for somebody.
    pub coming: Option<CueGlance>,
    /// When that begins, if nothing holds it up.
    #[serde(rename = "coming_tai_ns")]
    pub coming_at: Option<ShowTime>,
    /// What was fired last; none before the first.
    pub last: Option<CueGlance>,
    /// The timecode it chases; none if it does not.
    pub timecode: Option<ChaseGlance>,
}

/// Timecode that is sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeadGlance {
    /// The list that leads.
    pub list: String,
    /// The show's rate.
    pub rate: FrameRate,
    /// What shows; none before its first cue and after a stop.
    pub timecode: Option<Timecode>,
    /// Whether it runs.
    pub runs: bool,
}

/// A cue by number and name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CueGlance {
    /// Its number.
    pub number: CueNumber,
    /// Its name.
    pub name: String,
}

/// A running cue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunningGlance {
    /// Its number.
    pub number: CueNumber,
    /// Its name.
    pub name: String,
    /// When its first output began, or will.
    #[serde(rename = "began_tai_ns")]
    pub began: ShowTime,
    /// How long until it ends; none if it sounds until something ends it.
    #[serde(rename = "left_ns")]
    pub left: Option<Span>,
}
