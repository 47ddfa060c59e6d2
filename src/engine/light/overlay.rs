//! Recorded light over a universe, and what masters leave of it.
//!
//! A recording says what each slot was, not what for; the patch does. Slots of intensities, and of emitters that a virtual
//! dimmer scales, are scaled as the show's own light is. Other patched slots stay as they were recorded, since a head that
//! turns or a colour that jumps as a master falls is seen. Of a slot that nothing is patched to it is only known that a
//! blackout wants it dark.

use std::collections::BTreeMap;
use std::sync::Arc;

use units::{ShowTime, Universe};

use super::draw::{Outlet, SETS_FROM};
use super::fade::ONE;
use super::lane::Lane;
use super::master::{Faders, WHOLE, scaled};
use super::playback::MasterId;
use super::roll::Roll;
use super::stream::Stream;

/// What lies over a universe.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overlay {
    /// The one on top is the last.
    rolls: Vec<Roll>,
    /// Sets of masters.
    sets: Vec<Vec<u16>>,
    dimmed: Vec<Dimmed>,
    /// Slots that nothing is patched to.
    bare: Vec<u16>,
    /// Slots that are parked.
    parked: Vec<u16>,
}

/// What a set of masters scales.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Dimmed {
    set: u16,
    /// Slots from 0, coarse before fine, and how many of them.
    slots: [u16; 3],
    width: u8,
    inverted: bool,
}

/// A frame of a recording; where it has nothing the show's own is seen.
struct Frame {
    octets: [u8; Universe::SLOTS],
    has: [bool; Universe::SLOTS],
}

impl Overlay {
    /// Over a universe of these lanes.
    pub fn new(rolls: &[Roll], lanes: &[(Lane, Outlet)], sets: &[Vec<u16>]) -> Self {
        let outlets = || lanes.iter().map(|(_, outlet)| outlet);
        let dimmers: BTreeMap<u16, &Outlet> =
            outlets().filter_map(|it| Some((it.scale?, it))).collect();
        let dimmed = outlets().filter_map(|it| Dimmed::of(it, &dimmers)).collect();
        let mut is_bare = [true; Universe::SLOTS];
        outlets().flat_map(|it| &it.slots).for_each(|slot| is_bare[usize::from(*slot)] = false);
        let parked = outlets().filter(|it| it.parked.is_some());
        Self {
            rolls: rolls.to_vec(),
            sets: sets.to_vec(),
            dimmed,
            bare: (0..Universe::SLOTS as u16).filter(|it| is_bare[usize::from(*it)]).collect(),
            parked: parked.flat_map(|it| &it.slots).copied().collect(),
        }
    }

    /// Draws it over what is there. Neither allocates nor waits.
    pub fn draw(&self, at: ShowTime, faders: &Faders, slots: &mut [u8; Universe::SLOTS]) {
        for roll in &self.rolls {
            let weight = roll.weight(at);
            if weight == 0 {
                continue;
            }
            let mut frame = Frame { octets: [0; Universe::SLOTS], has: [false; Universe::SLOTS] };
            roll.show(at, &mut frame.octets, &mut frame.has);
            self.dim(at, faders, &mut frame.octets);
            self.parked.iter().for_each(|slot| frame.has[usize::from(*slot)] = false);
            frame.lie_over(slots, weight);
        }
    }

    /// Whether a frame is to be sent whatever is in it.
    pub fn is_moving(&self, at: ShowTime) -> bool {
        self.rolls.iter().any(|roll| roll.is_moving(at))
    }

    /// What its frames are read by while they play.
    pub fn streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.rolls.iter().filter_map(Roll::stream)
    }

    /// Says to its streams that it will be drawn at `at`.
    pub fn ask(&self, at: ShowTime) {
        self.rolls.iter().for_each(|roll| roll.ask(at));
    }

    fn dim(&self, at: ShowTime, faders: &Faders, octets: &mut [u8; Universe::SLOTS]) {
        for (index, set) in self.sets.iter().enumerate() {
            let scale = faders.scale(set, at);
            if scale != WHOLE {
                let dimmed = self.dimmed.iter().filter(|it| usize::from(it.set) == index);
                dimmed.for_each(|it| it.dim(scale, octets));
            }
        }
        let blackout = faders.scale(&[MasterId::BLACKOUT.index()], at);
        if blackout != WHOLE {
            for slot in &self.bare {
                let octet = &mut octets[usize::from(*slot)];
                *octet = scaled(u32::from(*octet), blackout) as u8;
            }
        }
    }
}

impl Dimmed {
    /// None where masters scale nothing that is on the wire.
    fn of(outlet: &Outlet, dimmers: &BTreeMap<u16, &Outlet>) -> Option<Self> {
        let set = match outlet.scaled_by? {
            set if set >= SETS_FROM => set,
            dimmer => dimmers.get(&dimmer).filter(|it| it.parked.is_none())?.scaled_by?,
        };
        let mut slots = [0; 3];
        slots.iter_mut().zip(&outlet.slots).for_each(|(to, slot)| *to = *slot);
        let width = outlet.slots.len().min(slots.len()) as u8;
        let set = set.checked_sub(SETS_FROM)?;
        (width > 0).then_some(Self { set, slots, width, inverted: outlet.inverted })
    }

    fn dim(&self, scale: u32, octets: &mut [u8; Universe::SLOTS]) {
        let slots = &self.slots[..usize::from(self.width)];
        let flip = if self.inverted { 0xff } else { 0 };
        let octet = |slot: &u16| u32::from(octets[usize::from(*slot)] ^ flip);
        let level = slots.iter().fold(0, |level, slot| level << 8 | octet(slot));
        let level = scaled(level, scale);
        for (place, slot) in slots.iter().rev().enumerate() {
            octets[usize::from(*slot)] = (level >> (8 * place)) as u8 ^ flip;
        }
    }
}

impl Frame {
    fn lie_over(&self, slots: &mut [u8; Universe::SLOTS], weight: u32) {
        for ((slot, octet), has) in slots.iter_mut().zip(&self.octets).zip(&self.has) {
            if *has {
                *slot = mix(*slot, *octet, weight);
            }
        }
    }
}

fn mix(under: u8, over: u8, weight: u32) -> u8 {
    let sum = u64::from(under) * u64::from(ONE - weight) + u64::from(over) * u64::from(weight);
    ((sum + u64::from(ONE / 2)) / u64::from(ONE)) as u8
}
