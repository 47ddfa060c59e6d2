//! A universe's lanes, and what was drawn up of them last.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use units::{Level, ShowTime, Slot, Universe};

use super::draw::{Drawing, Outlet, SETS_FROM};
use super::lane::Lane;
use super::master::Faders;
use super::overlay::Overlay;
use super::plan::UniversePlan;
use super::roll::Roll;
use crate::show::{Channel, Fixture, Merge};

#[derive(Debug, Clone)]
pub struct Rack {
    pub universe: Universe,
    pub lanes: Vec<(Lane, Outlet)>,
    /// Recordings; the one on top is the last.
    pub rolls: Vec<Roll>,
    /// Empty when something has changed.
    pub drawn: OnceLock<Arc<UniversePlan>>,
    /// Sets of masters.
    sets: Vec<Vec<u16>>,
    /// How many virtual dimmers there are.
    dimmers: u16,
    /// Slots from 0 that are parked, with what stands in them.
    pins: BTreeMap<u16, u8>,
}

impl Rack {
    pub fn new(universe: Universe) -> Self {
        let (lanes, rolls, drawn) = (Vec::new(), Vec::new(), OnceLock::new());
        Self { universe, lanes, rolls, drawn, sets: Vec::new(), dimmers: 0, pins: BTreeMap::new() }
    }

    /// Takes a fixture in, scaled by a set of masters; gives which lanes are its channels.
    pub fn hang(&mut self, fixture: &Fixture, masters: Vec<u16>) -> Range<usize> {
        let set = self.sets.iter().position(|it| *it == masters).unwrap_or_else(|| {
            self.sets.push(masters);
            self.sets.len() - 1
        });
        let first = self.lanes.len();
        for channel in &fixture.channels {
            let lane = Lane::new(channel.merge, channel.rest);
            self.lanes.push((lane, outlet(fixture, channel, SETS_FROM + set as u16)));
        }
        for (index, channel) in fixture.channels.iter().enumerate() {
            if let Some(dimmer) = channel.dimmed_by.filter(|it| is_virtual(fixture, *it)) {
                self.lanes[first + index].1.scaled_by = Some(self.scale_of(first + dimmer));
            }
        }
        first..self.lanes.len()
    }

    /// The same lanes, as if no cue had ever been.
    pub fn at_rest(&self) -> Self {
        let lanes = self.lanes.iter().map(|(lane, outlet)| {
            (Lane::new(lane.merge, lane.rest), Outlet { parked: None, ..outlet.clone() })
        });
        let (rolls, drawn, pins) = (Vec::new(), OnceLock::new(), BTreeMap::new());
        Self { lanes: lanes.collect(), rolls, drawn, pins, sets: self.sets.clone(), ..*self }
    }

    /// Parks a slot, or lets it go.
    pub fn pin(&mut self, slot: u16, value: Option<u8>) {
        match value {
            Some(value) => self.pins.insert(slot, value),
            None => self.pins.remove(&slot),
        };
        self.drawn = OnceLock::new();
    }

    /// Whether nothing of a lane leaves the box, masters apart; what is parked alight is not out.
    pub fn is_out(&self, lane: usize, at: ShowTime) -> bool {
        let (lane, outlet) = &self.lanes[lane];
        match outlet.parked {
            Some(level) => level == Level::OUT,
            None => lane.is_out(at) && outlet.slots.iter().all(|it| !self.pins.contains_key(it)),
        }
    }

    /// Ready for the render thread; drawn up anew where something has changed.
    pub fn plan<'a>(
        &self,
        faders: impl Fn() -> &'a Arc<Faders>,
        since: ShowTime,
    ) -> Arc<UniversePlan> {
        let plan = || {
            let drawing = Drawing::new(&self.lanes, &self.sets, &self.pins, since);
            let (universe, drawing, faders) = (self.universe, Arc::new(drawing), faders().clone());
            let overlay = || Arc::new(Overlay::new(&self.rolls, &self.lanes, &self.sets));
            let overlay = (!self.rolls.is_empty()).then(overlay);
            Arc::new(UniversePlan { universe, drawing, faders, overlay })
        };
        self.drawn.get_or_init(plan).clone()
    }

    /// The scale that a virtual dimmer is.
    fn scale_of(&mut self, lane: usize) -> u16 {
        let next = &mut self.dimmers;
        *self.lanes[lane].1.scale.get_or_insert_with(|| {
            *next += 1;
            *next - 1
        })
    }
}

fn outlet(fixture: &Fixture, channel: &Channel, set: u16) -> Outlet {
    let slot = |offset: &u16| {
        Slot::new(u32::from(fixture.address.number() + offset))
            .expect("check refuses a fixture that reaches beyond its universe")
            .index() as u16
    };
    Outlet {
        slots: channel.offsets.iter().map(slot).collect(),
        scale: None,
        scaled_by: (channel.merge == Merge::Htp).then_some(set),
        response: channel.response.clone(),
        inverted: channel.inverted,
        parked: None,
    }
}

fn is_virtual(fixture: &Fixture, channel: usize) -> bool {
    fixture.channels.get(channel).is_some_and(|it| it.offsets.is_empty())
}
