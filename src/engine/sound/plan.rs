//! What the card thread gets: every voice with its position and its gains as functions of show time.

use std::sync::Arc;

use units::{Gain, ShowTime, Span, VoiceId};

use crate::show::{Loops, MediaId};
use crate::timecode::Ltc;

/// Sound from now on, until the next plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Every voice that sounds, or will.
    pub voices: Vec<Voice>,
    /// Timecode beside them.
    pub timecode: Option<Ltc>,
}

/// One sounding of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    /// Which.
    pub id: VoiceId,
    /// What.
    pub media: MediaId,
    /// When the place `offset` of the file sounds. A pause moves it.
    pub at: ShowTime,
    /// Where in the file it begins.
    pub offset: Span,
    /// Length of the file.
    pub length: Span,
    /// How often.
    pub loops: Loops,
    /// It is silent before this (its beginning, or the end of a pause).
    pub from: ShowTime,
    /// It is silent from here on; none if it sounds until something ends it.
    pub until: Option<ShowTime>,
    /// Its volume: the latest ramp that has begun counts. Never empty, sorted by time.
    pub volume: Vec<Ramp>,
    /// Gains on top, all of them multiplied: fade in, fade out, edges of a pause.
    pub edges: Vec<Ramp>,
    /// The output matrix.
    pub routes: Arc<[PlanRoute]>,
}

/// One crossing of the output matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanRoute {
    /// Channel of the file, from 0.
    pub from: u16,
    /// Channel of the card, from 0.
    pub to: u16,
    /// How loud.
    pub gain: Gain,
}

/// A straight change of a gain: `from` until `at`, then evenly to `to`, which it keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ramp {
    /// When it begins.
    pub at: ShowTime,
    /// How long it takes.
    pub span: Span,
    /// Before.
    pub from: Gain,
    /// After.
    pub to: Gain,
}

impl Ramp {
    /// Its gain at an instant.
    pub fn gain(&self, at: ShowTime) -> f32 {
        if at <= self.at && self.span > Span::ZERO || at < self.at {
            return self.from.0;
        }
        if at >= self.at + self.span {
            return self.to.0;
        }
        let gone = (at - self.at).ns() as f32 / self.span.ns() as f32;
        self.from.0 + (self.to.0 - self.from.0) * gone
    }
}

impl Voice {
    /// Volume and edges together at an instant; the routes come on top.
    pub fn gain(&self, at: ShowTime) -> f32 {
        let volume = self.volume.iter().rev().find(|ramp| ramp.at <= at).or(self.volume.first());
        let edges: f32 = self.edges.iter().map(|edge| edge.gain(at)).product();
        volume.map_or(0.0, |ramp| ramp.gain(at)) * edges
    }

    /// Whether it may be heard at an instant.
    pub fn sounds(&self, at: ShowTime) -> bool {
        at >= self.from && self.until.is_none_or(|until| at < until)
    }
}
