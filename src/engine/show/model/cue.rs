//! A cue: when it begins, what comes after it, and what it does to masters, lists and other cues.

use serde::Serialize;
use units::{CueNumber, Decibels, Level, Span, Timecode};

use super::{AirCue, LightCue, PhoneCue, Sending, SoundCue};

/// One cue.
#[derive(Debug, Clone, PartialEq)]
pub struct Cue {
    /// Unique in the show.
    pub number: CueNumber,
    /// For people.
    pub name: String,
    /// When its outputs begin.
    pub start: Start,
    /// From GO to the beginning.
    pub pre_wait: Span,
    /// What comes after it by itself.
    pub then: Then,
    /// A time of day at which it fires by itself while it is on standby.
    pub at: Option<TimeOfDay>,
    /// A timecode at which it fires by itself, where its list chases; and what is sent from it on, where it leads.
    pub timecode: Option<Timecode>,
    /// What light does.
    pub light: Option<LightCue>,
    /// What sounds from the box.
    pub sound: Vec<SoundCue>,
    /// What phones do.
    pub phones: Option<PhoneCue>,
    /// What phones hear live from then on.
    pub air: Option<AirCue>,
    /// What it does to other cues.
    pub acts: Vec<ActOn>,
    /// What it does to masters, and to the light of lists.
    pub light_acts: Vec<LightAct>,
    /// What it says to the lighting network beside levels.
    pub sends: Vec<Sending>,
}

/// When a cue's outputs begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Each as soon as it can; the default where no phone sounds.
    Now,
    /// All wait for the longest lead among them.
    Together,
}

/// What comes after a cue by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing; the list waits for GO.
    Wait,
    /// The next cue, this long after this one began (auto-continue with its post-wait).
    Continue(Span),
    /// The next cue, this long after this one ended (auto-follow with its post-wait).
    Follow(Span),
}

/// A local time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    /// Seconds since midnight, 0 to 86,399.
    pub seconds: u32,
}

/// What a cue does to masters, and to the light of lists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LightAct {
    /// A list lets go of its light.
    Release {
        /// Index into [`Show::lists`](super::Show::lists).
        list: usize,
        /// How long that takes.
        span: Span,
    },
    /// A master moves.
    Master {
        /// Which.
        master: MasterRef,
        /// Where to.
        level: Level,
        /// How long that takes.
        span: Span,
    },
}

/// A master by its place in the show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterRef {
    /// The grand master.
    Grand,
    /// Index into [`Show::masters`](super::Show::masters).
    Own(usize),
}

/// What a cue does to another cue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActOn {
    /// Which.
    pub cue: CueNumber,
    /// What.
    pub act: Act,
}

impl ActOn {
    /// Whether it ends what a cue does.
    pub fn stops(&self, cue: CueNumber) -> bool {
        self.cue == cue && matches!(self.act, Act::Stop { .. } | Act::Fade { stop: true, .. })
    }
}

/// What is done to a running cue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Act {
    /// End it, fading its sound for so long.
    Stop {
        /// How long.
        fade: Span,
    },
    /// Bring its sound to another volume.
    Fade {
        /// The volume to reach.
        volume: Decibels,
        /// How long it takes.
        span: Span,
        /// Whether it ends there.
        stop: bool,
    },
}
