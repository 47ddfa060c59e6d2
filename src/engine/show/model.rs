//! A show that has been read and checked. Every reference is resolved, every range kept: what stands here can run.

mod cue;
mod light;
mod list;
mod network;
mod phones;
mod sound;
mod stage;
mod trigger;

use std::collections::{BTreeMap, BTreeSet};
use std::ops;

use serde::{Deserialize, Serialize};
use units::{CueNumber, PortAddress, Span, TrackId, Universe};

pub use cue::*;
pub use light::*;
pub use list::*;
pub use network::*;
pub use phones::*;
pub use sound::*;
pub use stage::*;
pub use trigger::*;

/// A whole show.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Show {
    /// For people.
    pub title: String,
    /// sACN priority at which a driving box sends, 1 to 199, so that a takeover has room either side.
    pub priority: u8,
    /// How far ahead phones get their orders.
    pub phone_lead: Lead,
    /// How long a panic takes to fade everything.
    pub panic_fade: Span,
    /// What a panic does to light.
    pub panic_light: PanicLight,
    /// Whether nodes are told to put out each frame of Art-Net at once (rule A13).
    pub artnet_sync: bool,
    /// Why phones may flash more than three times a second; none if they may not.
    pub flash_limit_off: Option<String>,
    /// Whether live sound is for phones with a token alone, sealed end to end.
    pub seal: bool,
    /// How all light leaves.
    pub light: LightOut,
    /// Universes the show sends, whether a fixture is in them or not.
    pub universes: BTreeMap<Universe, UniverseOut>,
    /// Everything patched, in the order of the file.
    pub fixtures: Vec<Fixture>,
    /// Masters that scale some of them, in the order of the file; the grand master, which scales all, is always there.
    pub masters: Vec<Master>,
    /// What comes in, in the order of the file.
    pub inputs: Vec<ShowInput>,
    /// What from outside fires cues.
    pub triggers: Vec<Trigger>,
    /// Tracks that phones may play, by name.
    pub tracks: BTreeMap<TrackId, MediaId>,
    /// Every sound file that is used, once; [`MediaId`] is the index.
    pub media: Vec<Media>,
    /// Cue lists in the order of the file; the first is the one that GO means.
    pub lists: Vec<CueList>,
    /// What holds for all timecode; none if the show has none.
    pub timecode: Option<ShowTimecode>,
}

impl Show {
    /// Whether anything in it needs Art-Net.
    pub fn speaks_artnet(&self) -> bool {
        let sends = |cue: &Cue| !cue.sends.is_empty();
        self.universes.values().any(|out| out.artnet.is_some())
            || !self.input_ports().is_empty()
            || self.triggers.iter().any(|it| matches!(it.on, TriggerOn::Artnet(_)))
            || self.lists.iter().flat_map(|list| &list.cues).any(sends)
    }

    /// Whether a cue lights phones' own lamps.
    pub fn lights_phones(&self) -> bool {
        let lights = |cue: &Cue| cue.phones.as_ref().is_some_and(|it| it.torch == Some(true));
        self.lists.iter().flat_map(|list| &list.cues).any(lights)
    }

    /// The cue of that number, with its place.
    pub fn cue(&self, number: CueNumber) -> Option<(CuePlace, &Cue)> {
        self.lists.iter().enumerate().find_map(|(list, cues)| {
            let index = cues.cues.iter().position(|cue| cue.number == number)?;
            Some((CuePlace { list, index }, &cues.cues[index]))
        })
    }
    /// The attribute of that number.
    pub fn channel(&self, lane: LaneId) -> Option<(&Fixture, &Channel)> {
        let fixture = self.fixtures.get(lane.fixture as usize)?;
        Some((fixture, fixture.channels.get(lane.channel as usize)?))
    }
    /// Stretches of slots from 0 that recordings play in, whichever cue's.
    pub fn captured(&self, universe: Universe) -> impl Iterator<Item = ops::Range<usize>> {
        let cues = self.lists.iter().flat_map(|list| &list.cues);
        let captures = cues.filter_map(|cue| cue.light.as_ref()?.capture.as_ref());
        let reels = captures.filter_map(move |it| it.footage.reels.get(&universe));
        reels.flat_map(|reel| reel.stretches())
    }
    /// The sACN universes that come in.
    pub fn input_universes(&self) -> impl Iterator<Item = Universe> {
        self.inputs.iter().filter_map(|input| match input.from {
            InputFrom::Sacn(universe) => Some(universe),
            InputFrom::Artnet(_) => None,
        })
    }
    /// The port addresses that come in, each once, in order.
    pub fn input_ports(&self) -> Vec<PortAddress> {
        let ports = self.inputs.iter().filter_map(|input| match input.from {
            InputFrom::Sacn(_) => None,
            InputFrom::Artnet(port_address) => Some(port_address),
        });
        ports.collect::<BTreeSet<_>>().into_iter().collect()
    }
    /// The cue at a place.
    pub fn at(&self, place: CuePlace) -> Option<&Cue> {
        self.lists.get(place.list)?.cues.get(place.index)
    }
}

/// Where a cue stands: which list, and the how-manieth in it, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CuePlace {
    /// Index into [`Show::lists`].
    pub list: usize,
    /// Index into [`CueList::cues`].
    pub index: usize,
}

/// How far ahead an order is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lead {
    /// What the output needs.
    #[default]
    Auto,
    /// This much.
    Fixed(Span),
}

/// What a panic does to light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PanicLight {
    /// Fade everything out.
    #[default]
    Black,
    /// Stay as it is.
    Hold,
}
