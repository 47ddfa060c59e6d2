//! What the render thread gets: every universe, ready to be drawn at any instant.

use std::sync::Arc;

use units::{ShowTime, Span, Universe};

use super::draw::Drawing;
use super::master::Faders;
use super::overlay::Overlay;
use super::stream::Stream;

/// Frames stand on multiples of this in show time, on all boxes: 43.5 Hz, as ETC's library ticks (rule S5).
pub const GRID: Span = Span::from_millis(23);

/// Light from now on, until the next plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Counts plans up; a frame's report says which one it was drawn from.
    pub serial: u64,
    /// While the show is paused: the instant at which everything stands.
    pub frozen: Option<ShowTime>,
    /// When the last begins of what was ordered and is not accounted for: frames are told of until one that stands there,
    /// or later, has left. None where every frame is told of.
    pub awaited: Option<ShowTime>,
    /// Every universe of the show, by number.
    pub universes: Vec<Arc<UniversePlan>>,
    /// Universes of a cue that somebody looks at blindly: they leave with sACN's preview bit (rule S9), or not at all.
    /// By number, too.
    pub blind: Vec<Arc<UniversePlan>>,
}

/// One universe.
#[derive(Debug, Clone, PartialEq)]
pub struct UniversePlan {
    /// Which.
    pub universe: Universe,
    pub(super) drawing: Arc<Drawing>,
    pub(super) faders: Arc<Faders>,
    /// What is recorded; none where nothing plays.
    pub(super) overlay: Option<Arc<Overlay>>,
}

impl Plan {
    /// The universe of that number.
    pub fn universe(&self, universe: Universe) -> Option<&UniversePlan> {
        find(&self.universes, universe)
    }

    /// The universe of that number as it is seen blindly; none where nobody looks, or the cue does not touch it.
    pub fn seen_blindly(&self, universe: Universe) -> Option<&UniversePlan> {
        find(&self.blind, universe)
    }

    /// The universe of that number, which is probably the `index`th.
    pub fn universe_at(&self, index: usize, universe: Universe) -> Option<&UniversePlan> {
        let found = self.universes.get(index).filter(|it| it.universe == universe);
        found.map(|it| &**it).or_else(|| self.universe(universe))
    }

    /// Long recordings that somebody has to read while they play, each once (`stream`).
    pub fn streams(&self) -> Vec<Arc<Stream>> {
        let mut streams: Vec<Arc<Stream>> = Vec::new();
        for stream in self.overlays().flat_map(Overlay::streams) {
            if !streams.iter().any(|it| Arc::ptr_eq(it, stream)) {
                streams.push(stream.clone());
            }
        }
        streams
    }

    /// Says to them that the plan will be drawn at `at`.
    pub fn ask(&self, at: ShowTime) {
        self.overlays().for_each(|overlay| overlay.ask(self.shown(at)));
    }

    fn overlays(&self) -> impl Iterator<Item = &Overlay> {
        self.universes.iter().chain(&self.blind).filter_map(|it| it.overlay.as_deref())
    }

    /// The instant that is shown at `at`: `at` itself, or where a pause stands.
    pub fn shown(&self, at: ShowTime) -> ShowTime {
        self.frozen.map_or(at, |frozen| at.min(frozen))
    }
}

fn find(plans: &[Arc<UniversePlan>], universe: Universe) -> Option<&UniversePlan> {
    let index = plans.binary_search_by_key(&universe, |it| it.universe).ok()?;
    Some(&plans[index])
}

impl UniversePlan {
    /// How deep [`Self::touch`] goes.
    pub const DEPTHS: usize = 4;

    /// Reads a little of what drawing reads, and so brings it near: of many universes nothing is near when its turn
    /// comes, and a processor waits for several at once only if it is asked for them at once. What is deeper lies where
    /// only what is above it says.
    pub fn touch(&self, depth: usize) -> u64 {
        match depth {
            0 => u64::from(self.universe.number()),
            _ => self.drawing.touch(depth - 1),
        }
    }

    /// Whether a fade runs at `at`, or began or ended within the frame before it: then a frame is to be sent, even if
    /// its octets are those of the last one, so that every order has a packet that carries it.
    pub fn is_moving(&self, at: ShowTime) -> bool {
        let moving = |(begin, end): &(ShowTime, ShowTime)| *begin <= at && at < *end + GRID;
        self.drawing.moves.iter().chain(&self.faders.moves).any(moving)
            || self.overlay.iter().any(|overlay| overlay.is_moving(at))
    }
}
