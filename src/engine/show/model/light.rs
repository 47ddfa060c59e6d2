//! What a cue does to light: levels, effects, recordings, and how they come.

use std::sync::Arc;

use serde::Serialize;
use units::{Level, Span};

use super::{LaneId, Loops};
use crate::show::footage::{Footage, Opening};

/// Levels to reach.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LightCue {
    /// One for each attribute that is touched; sorted by lane.
    pub targets: Vec<Target>,
    /// Effects, one for each attribute that they move; sorted by lane.
    pub waves: Vec<WaveTarget>,
    /// What the timings of targets mean; the first is the cue's own.
    pub timings: Vec<Timing>,
    /// Whether it takes again what its list has taken before, and does not name (asserting).
    pub asserts: bool,
    /// Recorded light that plays over everything.
    pub capture: Option<CaptureCue>,
}

impl LightCue {
    /// From its beginning until the last fade is over.
    pub fn length(&self) -> Span {
        self.timings.iter().map(Timing::length).max().unwrap_or(Span::ZERO)
    }
}

/// A recording that plays in step with show time.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptureCue {
    /// Path within the show folder.
    pub file: String,
    /// What is in it, by the universes that it plays in.
    pub footage: Arc<Footage>,
    /// What is kept of the place where it begins; none if all of it is.
    pub opening: Option<Arc<Opening>>,
    /// How often.
    pub loops: Loops,
    /// Where in the file it begins.
    pub offset: Span,
    /// From what lies beneath, at the start.
    pub fade_in: Span,
    /// To what lies beneath, at its own end, and when it is stopped.
    pub fade_out: Span,
}

/// How some attributes go where they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// From the cue's beginning to the fade's.
    pub delay: Span,
    /// How long it takes.
    pub fade: Span,
    /// How long it takes an intensity that falls, if that is not the same.
    pub fall: Option<Span>,
    /// How it moves.
    pub curve: Curve,
}

impl Timing {
    /// From the cue's beginning until its fades are over.
    pub fn length(&self) -> Span {
        self.delay + self.fade.max(self.fall.unwrap_or(Span::ZERO))
    }
}

/// Where an attribute goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Which.
    pub lane: LaneId,
    /// The level to reach.
    pub level: Level,
    /// Index into [`LightCue::timings`].
    pub timing: u16,
}

/// An attribute that goes up and down.
#[derive(Debug, Clone, PartialEq)]
pub struct WaveTarget {
    /// Which.
    pub lane: LaneId,
    /// How.
    pub wave: Arc<Wave>,
    /// Index into [`LightCue::timings`]; the fade brings the effect in.
    pub timing: u16,
}

/// An effect on one attribute: between two levels, over and over.
#[derive(Debug, Clone, PartialEq)]
pub struct Wave {
    /// What a cycle looks like.
    pub shape: Shape,
    /// How long a cycle takes; more than nothing.
    pub period: Span,
    /// Where in the cycle it begins: a share of 2^32.
    pub phase: u32,
    /// The level at nothing of the shape.
    pub low: Level,
    /// The level at all of it.
    pub high: Level,
}

/// What a cycle of an effect looks like, from nothing to all.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// From nothing to all and back, as a sine.
    Sine,
    /// All for such a share of 2^32 of the cycle, then nothing.
    Pulse(u32),
    /// What red does while a hue goes round: all, down, nothing, up. Green is a third behind, blue two thirds.
    Hue,
    /// Evenly spaced points, straight between them, and from the last to the first.
    Points(Vec<Level>),
}

/// How a fade moves from its beginning (0) to its end (1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// Evenly.
    #[default]
    Linear,
    /// Slow, fast, slow: `3x² - 2x³`.
    S,
    /// Slow at first: `x²`.
    Rise,
    /// Slow at last: `1 - (1 - x)²`.
    Fall,
    /// All at once at the beginning.
    Snap,
}
