//! What the render thread gets: every move of every lane, ready to be drawn at any instant.

use std::sync::Arc;

use units::{Level, ShowTime, Slot, Span, Universe};

use crate::show::{Curve, Merge, Width};

/// Frames stand on multiples of this in show time, on all boxes: 43.5 Hz, as ETC's library ticks (rule S5).
pub const GRID: Span = Span::from_millis(23);

/// Light from now on, until the next plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Counts plans up; a frame's report says which one it was drawn from.
    pub serial: u64,
    /// While the show is paused: the instant at which everything stands.
    pub frozen: Option<ShowTime>,
    /// Every universe of the show, by number.
    pub universes: Vec<Arc<UniversePlan>>,
}

/// One universe.
#[derive(Debug, Clone, PartialEq)]
pub struct UniversePlan {
    /// Which.
    pub universe: Universe,
    pub(super) lanes: Vec<Lane>,
}

/// An attribute on the wire.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lane {
    pub slot: Slot,
    pub width: Width,
    pub merge: Merge,
    pub rest: Level,
    /// Sorted by layer, then by time.
    pub moves: Vec<Move>,
}

/// A fade of one lane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Move {
    pub layer: usize,
    pub at: ShowTime,
    pub span: Span,
    pub curve: Curve,
    pub from: Level,
    pub to: Level,
}

impl Move {
    pub fn end(&self) -> ShowTime {
        self.at + self.span
    }

    pub fn level(&self, at: ShowTime) -> Level {
        if at >= self.end() {
            return self.to;
        }
        let gone = (at - self.at).ns() as f64 / self.span.ns() as f64;
        let (from, to) = (f64::from(self.from.0), f64::from(self.to.0));
        Level((from + (to - from) * self.curve.at(gone)).round() as u16)
    }
}

impl Lane {
    /// Where it stands at `at`.
    pub fn level(&self, at: ShowTime) -> Level {
        let mut shown = None;
        for level in self.layers().filter_map(|moves| begun(moves, at)).map(|it| it.level(at)) {
            // An LTP lane has one layer, so "highest" is its only one.
            shown = shown.max(Some(level));
        }
        shown.unwrap_or(self.rest)
    }

    /// Where one layer stands at `at`, if it has begun.
    pub fn layer_level(&self, layer: usize, at: ShowTime) -> Option<Level> {
        let moves = self.layers().find(|moves| moves[0].layer == layer)?;
        begun(moves, at).map(|it| it.level(at))
    }

    pub fn layers(&self) -> impl Iterator<Item = &[Move]> {
        self.moves.chunk_by(|one, next| one.layer == next.layer)
    }
}

/// The latest move of a layer that has begun.
fn begun(moves: &[Move], at: ShowTime) -> Option<&Move> {
    moves.iter().rev().find(|it| it.at <= at)
}

impl Plan {
    /// The universe of that number.
    pub fn universe(&self, universe: Universe) -> Option<&UniversePlan> {
        let index = self.universes.binary_search_by_key(&universe, |it| it.universe).ok()?;
        Some(&self.universes[index])
    }

    /// The instant that is shown at `at`: `at` itself, or where a pause stands.
    pub fn shown(&self, at: ShowTime) -> ShowTime {
        self.frozen.map_or(at, |frozen| at.min(frozen))
    }
}

impl UniversePlan {
    /// Whether a fade runs at `at`, or began or ended within the frame before it: then a frame is to be sent, even if
    /// its octets are those of the last one, so that every order has a packet that carries it.
    pub fn is_moving(&self, at: ShowTime) -> bool {
        let moving = |it: &Move| it.at <= at && at < it.end() + GRID;
        self.lanes.iter().flat_map(|lane| &lane.moves).any(moving)
    }
}

/// The priority of each slot (rule S13): `priority` where the show has something to say, 0 elsewhere.
pub fn priorities(plan: &UniversePlan, priority: u8) -> [u8; Universe::SLOTS] {
    let (mut low, mut high) = ([0; Universe::SLOTS], [u8::MAX; Universe::SLOTS]);
    // What is drawn over both grounds alike has been drawn.
    render(plan, ShowTime::ZERO, &mut low);
    render(plan, ShowTime::ZERO, &mut high);
    std::array::from_fn(|slot| if low[slot] == high[slot] { priority } else { 0 })
}

/// Draws a universe as it stands at `at` (already through [`Plan::shown`]). Slots without a lane are left alone.
pub fn render(plan: &UniversePlan, at: ShowTime, slots: &mut [u8; Universe::SLOTS]) {
    for lane in &plan.lanes {
        let level = lane.level(at);
        let index = lane.slot.index();
        match lane.width {
            Width::Eight => slots[index] = level.slot(),
            Width::Sixteen => {
                for (slot, value) in slots[index..].iter_mut().zip(level.coarse_fine()) {
                    *slot = value;
                }
            }
        }
    }
}
