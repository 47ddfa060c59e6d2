//! What hangs on stage: fixtures, what their slots do, and the masters over them.

use serde::Serialize;
use units::{Level, Slot, Universe};

use crate::fixture::Range;
use crate::fixture::attribute;

/// A patched light.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixture {
    /// Its name in looks; of a cell the fixture's and the cell's, `bar.3`.
    pub name: String,
    /// Where it listens.
    pub universe: Universe,
    /// Its first slot.
    pub address: Slot,
    /// Index of the fixture whose cell it is. Its name does not tell: a fixture of its own may have a dot in its name.
    pub cell_of: Option<u32>,
    /// What its slots do.
    pub channels: Vec<Channel>,
}

/// One attribute of a fixture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Channel {
    /// `dimmer`, `red`, `pan`, …
    pub attribute: String,
    /// Slots from the fixture's address to each of its own, from 0, coarse before fine: one, two or three of them for
    /// 8, 16 or 24 bits. None is a virtual dimmer, which is on no wire and scales other channels.
    pub offsets: Vec<u16>,
    /// How cues share it.
    pub merge: Merge,
    /// Where it stands before any cue has touched it.
    pub rest: Level,
    /// Where it stands while its fixture is to be found.
    pub highlight: Level,
    /// Index of the virtual dimmer that scales it, among the channels of its fixture.
    pub dimmed_by: Option<usize>,
    /// What leaves the box for a level.
    pub response: Response,
    /// Whether full leaves the box as 0; after the response.
    pub inverted: bool,
    /// What it is at 0 and at full, if it is known in degrees or kelvin.
    pub range: Option<Range>,
    /// Levels that have names: from one to another, or twice the same.
    pub values: Vec<(String, [Level; 2])>,
}

impl Channel {
    /// Whether it is how bright the whole fixture is.
    pub fn is_intensity(&self) -> bool {
        attribute::is_intensity(&self.attribute)
    }
    /// Whether it is how bright one of its colours is.
    pub fn is_colour(&self) -> bool {
        attribute::is_emitter(&self.attribute)
    }
}

/// What leaves the box for a level: evenly spaced points from that for out to that for full, straight between them.
/// Without points it is the level itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response(pub Vec<Level>);

/// A fader over the intensities of some fixtures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Its name.
    pub name: String,
    /// Indices into [`Show::fixtures`](super::Show::fixtures).
    pub fixtures: Vec<usize>,
    /// Where it stands at the beginning.
    pub level: Level,
}

/// An attribute of a patched light: which fixture of the show, which of its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId {
    /// Index into [`Show::fixtures`](super::Show::fixtures).
    pub fixture: u32,
    /// Index into [`Fixture::channels`].
    pub channel: u32,
}

/// How several cue lists share an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// Highest takes precedence: intensities.
    Htp,
    /// Latest takes precedence: everything else.
    #[default]
    Ltp,
}
