//! A universe drawn up for the render thread: flat, and sorted by what has to be done.
//!
//! *Run*: lanes that move alike for a stretch of time, each thing of them in a row of its own; a thread draws a run
//! without asking anything of a lane. *Odd one*: a lane that several lists share just then, or that has more than a
//! slot, or a response: it is drawn by itself.
//!
//! Lanes of one slot, and virtual dimmers, are reckoned in sixteen bits, all others in twenty-four; a lane is reckoned
//! the same whether it is in a run or an odd one, so that it does not matter what a box still remembers.

use std::collections::BTreeMap;
use std::sync::Arc;

use units::{Level, ShowTime, Universe};

use super::fade::{FOREVER, Fade, LONG_AGO};
use super::lane::{Goal, Lane, Move};
use crate::show::{Response, Wave};

/// Scales from here on are sets of masters, those before it virtual dimmers: no universe has more of them than slots.
pub const SETS_FROM: u16 = Universe::SLOTS as u16;

/// No scale.
pub const UNSCALED: u16 = u16::MAX;

/// Where a lane's level goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlet {
    /// Its slots, from 0, coarse before fine; for a virtual dimmer none.
    pub slots: Vec<u16>,
    /// The scale that a virtual dimmer is.
    pub scale: Option<u16>,
    /// The scale by which it is scaled.
    pub scaled_by: Option<u16>,
    pub response: Response,
    pub inverted: bool,
    /// Where it is parked.
    pub parked: Option<Level>,
}

/// All of a universe.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Drawing {
    /// Sets of masters, the scales from [`SETS_FROM`] on.
    pub sets: Vec<Vec<u16>>,
    pub dimmers: Layer,
    pub slots: Layer,
    /// Slots from 0 that are parked, with what stands in them.
    pub pins: Vec<(u16, u8)>,
    /// When something moves.
    pub moves: Vec<(ShowTime, ShowTime)>,
}

/// What is drawn before, or after, something else.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Layer {
    pub runs: Vec<Run>,
    pub odd: Vec<Odd>,
    pub parts: Vec<Part>,
}

/// The time of a run or an odd one: from the first, up to the second.
pub type Times = (ShowTime, ShowTime);

/// Lanes that move alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub times: Times,
    pub fade: Fade,
    pub scaling: Scaling,
    pub from: Row,
    pub to: Row,
    /// Slots from 0; of virtual dimmers their scales.
    pub places: Vec<u16>,
    /// The octets at the end of the fade, if nothing scales them.
    pub done: Vec<u8>,
    /// 0xff for what is inverted; none where nothing is.
    pub flips: Vec<u8>,
    /// Whether the places follow on each other.
    pub in_a_row: bool,
}

/// The levels of a run's lanes: one where they are alike, since a frame of many universes waits for memory most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Alike(u16),
    Each(Vec<u16>),
}

/// What scales the lanes of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scaling {
    Not,
    /// The same for all.
    By(u16),
    /// Each by its own.
    Each(Vec<u16>),
}

/// A lane that is drawn by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Odd {
    pub times: Times,
    /// How many of the layer's parts are its own, and which is the first.
    pub first: u32,
    pub parts: u32,
    pub scaled_by: u16,
    /// Slots from 0; of virtual dimmers the scale.
    pub places: [u16; 3],
    /// How many of them.
    pub width: u8,
    pub inverted: bool,
    pub response: Response,
}

/// A level that competes for an odd one; the highest is seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub fade: Fade,
    pub from: u32,
    pub to: u32,
    /// An effect in place of `to`, and from when its time counts.
    pub wave: Option<(Arc<Wave>, ShowTime)>,
}

impl Drawing {
    /// Draws up `lanes` from `since` on. `pins` are slots with what stands in them, whatever the lanes say.
    pub fn new(
        lanes: &[(Lane, Outlet)],
        sets: &[Vec<u16>],
        pins: &BTreeMap<u16, u8>,
        since: ShowTime,
    ) -> Self {
        let pins = pins.iter().map(|(slot, octet)| (*slot, *octet)).collect();
        let mut drawing = Self { sets: sets.to_vec(), pins, ..Self::default() };
        for (lane, outlet) in lanes {
            match outlet.parked {
                Some(level) => drawing.park(level, outlet),
                None => lane.each_stretch(since, |begin, end, seen| {
                    drawing.add(lane.rest, outlet, seen, (begin, end));
                }),
            }
        }
        let Self { dimmers, slots, .. } = &mut drawing;
        dimmers.runs.iter_mut().chain(&mut slots.runs).for_each(Run::finish);
        drawing
    }

    fn add(&mut self, rest: Level, outlet: &Outlet, seen: &[Move], times: Times) {
        self.note_moves(seen, times);
        let (layer, place) = match outlet.scale {
            Some(scale) => (&mut self.dimmers, scale),
            None if outlet.slots.is_empty() => return, // it scales nothing
            None => (&mut self.slots, outlet.slots[0]),
        };
        let rest = [Move::still(rest)];
        let seen = if seen.is_empty() { &rest[..] } else { seen };
        match seen {
            [Move { to: Goal::Level(to), fade, from, .. }] if outlet.is_plain() => {
                let run = layer.run(*fade, Scaling::of(outlet), times);
                run.add(*from, *to, outlet, place);
            }
            several => layer.odd(several, outlet, place, times),
        }
    }

    /// What is parked is neither moved nor scaled.
    fn park(&mut self, level: Level, outlet: &Outlet) {
        let bare = Outlet { scaled_by: None, ..outlet.clone() };
        self.add(level, &bare, &[], (LONG_AGO, FOREVER));
    }

    fn note_moves(&mut self, seen: &[Move], times: Times) {
        for it in seen {
            let times = (it.fade.at, it.stands().min(times.1.max(it.fade.end())));
            if !self.moves.iter().rev().take(8).any(|noted| *noted == times) {
                self.moves.push(times);
            }
        }
    }
}

impl Drawing {
    /// A word of every line of memory that it takes most of and that so many others lead to.
    pub fn touch(&self, depth: usize) -> u64 {
        let runs = &self.slots.runs;
        match depth {
            0 => (self.moves.len() ^ self.sets.len() ^ runs.len()) as u64,
            1 => {
                let times = self.moves.first().map_or(0, |(begin, _)| begin.ns() as u64);
                let set = self.sets.first().map_or(0, Vec::len) as u64;
                runs.iter().fold(times ^ set, |sum, run| sum ^ run.times.0.ns() as u64)
                    ^ runs.iter().fold(0, |sum, run| sum ^ run.places.len() as u64)
            }
            _ => runs.iter().fold(0, |sum, run| sum ^ run.touch()),
        }
    }
}

impl Outlet {
    /// One slot, or a virtual dimmer, whose level leaves as it is.
    fn is_plain(&self) -> bool {
        self.slots.len() < 2 && self.response.0.is_empty()
    }
}

impl Layer {
    /// The run for a move; the latest that fits, since neighbours move alike.
    fn run(&mut self, fade: Fade, scaling: Scaling, times: Times) -> &mut Run {
        let alike =
            |run: &Run| run.times == times && run.fade == fade && run.scaling.is_like(&scaling);
        let index = self.runs.iter().rposition(alike).unwrap_or_else(|| {
            self.runs.push(Run::new(times, fade, scaling));
            self.runs.len() - 1
        });
        &mut self.runs[index]
    }

    fn odd(&mut self, seen: &[Move], outlet: &Outlet, place: u16, times: Times) {
        let first = self.parts.len() as u32;
        let wide = outlet.slots.len() > 1;
        let grain = |level: Level| if wide { level.bits() } else { u32::from(level.sixteen()) };
        self.parts.extend(seen.iter().map(|it| {
            let (to, wave) = match &it.to {
                Goal::Level(to) => (grain(*to), None),
                Goal::Wave(wave) => (0, Some((wave.clone(), it.ordered))),
                Goal::Free => (grain(it.from), None),
            };
            Part { fade: it.fade, from: grain(it.from), to, wave }
        }));
        let mut places = [place; 3];
        places.iter_mut().zip(&outlet.slots).for_each(|(place, slot)| *place = *slot);
        self.odd.push(Odd {
            times,
            first,
            parts: seen.len() as u32,
            scaled_by: outlet.scaled_by.unwrap_or(UNSCALED),
            places,
            width: outlet.slots.len().clamp(1, 3) as u8,
            inverted: outlet.inverted,
            response: outlet.response.clone(),
        });
    }
}

impl Scaling {
    fn of(outlet: &Outlet) -> Self {
        match outlet.scaled_by {
            None => Self::Not,
            Some(scale) if scale >= SETS_FROM => Self::By(scale),
            Some(_) => Self::Each(Vec::new()),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Each(_), Self::Each(_))) || self == other
    }
}

impl Run {
    fn new(times: Times, fade: Fade, scaling: Scaling) -> Self {
        let (from, to, places) = (Row::Alike(0), Row::Alike(0), Vec::new());
        let (done, flips, in_a_row) = (Vec::new(), Vec::new(), false);
        Self { times, fade, scaling, from, to, places, done, flips, in_a_row }
    }

    fn add(&mut self, from: Level, to: Level, outlet: &Outlet, place: u16) {
        let count = self.places.len();
        self.from.push(count, from.sixteen());
        self.to.push(count, to.sixteen());
        self.places.push(place);
        if outlet.inverted {
            self.flips.resize(count, 0);
            self.flips.push(0xff);
        }
        if let Scaling::Each(scales) = &mut self.scaling {
            scales.extend(outlet.scaled_by);
        }
    }

    fn touch(&self) -> u64 {
        let first = self.places.first().map_or(0, |place| u64::from(*place));
        first ^ self.from.touch() ^ self.to.touch()
    }

    fn finish(&mut self) {
        self.in_a_row = self.places.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        if !self.flips.is_empty() {
            self.flips.resize(self.places.len(), 0);
        }
        self.done = match &self.to {
            Row::Alike(to) => vec![octet(*to); self.places.len()],
            Row::Each(to) => to.iter().map(|to| octet(*to)).collect(),
        };
        self.done.iter_mut().zip(&self.flips).for_each(|(done, flip)| *done ^= flip);
    }
}

impl Row {
    /// One more, behind so many.
    fn push(&mut self, count: usize, level: u16) {
        match self {
            Self::Each(levels) => levels.push(level),
            Self::Alike(first) if count == 0 => *first = level,
            Self::Alike(first) if *first == level => {}
            Self::Alike(first) => {
                let mut levels = Vec::with_capacity(Universe::SLOTS.max(count + 1));
                levels.resize(count, *first);
                levels.push(level);
                *self = Self::Each(levels);
            }
        }
    }

    fn touch(&self) -> u64 {
        const LINE: usize = 64 / size_of::<u16>();
        match self {
            Self::Alike(level) => u64::from(*level),
            Self::Each(levels) => {
                levels.iter().step_by(LINE).fold(0, |sum, level| sum ^ u64::from(*level))
            }
        }
    }
}

/// The nearest octet of sixteen bits.
pub fn octet(level: u16) -> u8 {
    // A 257th is a 256th less a 256th of itself, rounded: exact, and within the sixteen bits that processors do several
    // of at once.
    ((level - (level.saturating_add(128) >> 8) + 128) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_octet_is_the_nearest_one() {
        for level in 0..=u16::MAX {
            assert_eq!(u32::from(octet(level)), (u32::from(level) + 128) / 257);
        }
    }
}
