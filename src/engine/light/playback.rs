//! The engine's side of light: takes come in, plans go out.

use std::sync::{Arc, OnceLock};

use units::{Level, ShowTime, Slot, Span, Universe};

use super::draw::{Drawing, Outlet, SETS_FROM};
use super::fade::LONG_AGO;
use super::lane::{Lane, Owner};
use super::master::Faders;
use super::plan::{Plan, UniversePlan};
use super::roll::Roll;
use crate::show::{CaptureCue, Channel, Curve, Fixture, LaneId, LightCue, Merge, Show, Timing};

/// A cue's claim on lanes.
#[derive(Debug, Clone, PartialEq)]
pub struct Take<'a> {
    /// Index of the cue list.
    pub list: usize,
    /// When the cue's light begins.
    pub at: ShowTime,
    /// What goes where, and how.
    pub light: &'a LightCue,
}

/// A master by its place: the grand master, blackout, then those of the show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasterId(u16);

impl MasterId {
    /// Scales everything.
    pub const GRAND: Self = Self(0);
    /// Scales everything, to nothing or not at all.
    pub const BLACKOUT: Self = Self(1);
    /// That of the show, by its index.
    pub const fn of(index: usize) -> Self {
        Self(index as u16 + 2)
    }
}

/// Everything that light does, now and as far ahead as it has been ordered.
#[derive(Debug, Clone)]
pub struct Playback {
    racks: Vec<Rack>,
    /// By fixture and channel: which rack, and which of its lanes.
    seats: Vec<Vec<(usize, usize)>>,
    masters: Vec<Lane>,
    frozen: Option<ShowTime>,
    /// No frame before it is drawn any more.
    since: ShowTime,
}

/// A universe's lanes, and what was drawn up of them last.
#[derive(Debug, Clone)]
struct Rack {
    universe: Universe,
    lanes: Vec<(Lane, Outlet)>,
    sets: Vec<Vec<u16>>,
    /// How many virtual dimmers there are.
    dimmers: u16,
    rolls: Vec<Roll>,
    drawn: OnceLock<Arc<UniversePlan>>,
}

impl Playback {
    /// Every fixture at rest.
    pub fn new(show: &Show) -> Self {
        let mut racks: Vec<Rack> = show.universes.keys().map(|it| Rack::new(*it)).collect();
        let mut seats = Vec::new();
        for (index, fixture) in show.fixtures.iter().enumerate() {
            let rack = racks
                .binary_search_by_key(&fixture.universe, |it| it.universe)
                .expect("every patched universe is in the show");
            seats.push(racks[rack].hang(fixture, masters_of(show, index), rack));
        }
        let master = Lane::new(Merge::Ltp, Level::FULL);
        let masters = vec![master; show.masters.len() + 2];
        Self { racks, seats, masters, frozen: None, since: LONG_AGO }
    }

    /// The plan as it stands, the `serial`th that is handed out; cheap, universes that have not changed are shared.
    pub fn plan(&self, serial: u64) -> Arc<Plan> {
        let faders = OnceLock::new();
        let faders = || faders.get_or_init(|| Arc::new(Faders::new(&self.masters, self.since)));
        let universes = self
            .racks
            .iter()
            .map(|rack| rack.drawn.get_or_init(|| rack.draw(faders(), self.since)).clone())
            .collect();
        Arc::new(Plan { serial, frozen: self.frozen, universes })
    }

    /// A cue takes its lanes. What was ordered for them for later begins where the take will have them by then.
    pub fn take(&mut self, take: &Take) {
        let owner = Owner { rank: 0, list: take.list as u16 };
        for target in &take.light.targets {
            let timing = take.light.timings[usize::from(target.timing)];
            if let Some(lane) = self.lane_mut(target.lane) {
                lane.take(owner, take.at, &timing, target.level);
            }
        }
    }

    /// A cue's recording begins at `at`; what its list plays in the same universes ends when this one is whole.
    pub fn roll(&mut self, run: u64, list: usize, at: ShowTime, cue: &CaptureCue) {
        for (universe, reel) in &cue.footage.reels {
            let found = self.racks.binary_search_by_key(universe, |it| it.universe);
            let rack =
                &mut self.racks[found.expect("every universe that is played is in the show")];
            let roll = Roll::new(run, list, at, cue, reel.clone());
            let before = rack.rolls.iter_mut().filter(|it| it.list == list);
            before.for_each(|it| it.cover(&roll));
            rack.rolls.push(roll);
            rack.drawn = OnceLock::new();
        }
    }

    /// The recording of a run ends within `span`.
    pub fn stop_roll(&mut self, run: u64, at: ShowTime, span: Span) {
        self.each_roll(|roll| {
            if roll.run == run {
                roll.stop(at, Some(span));
            }
        });
    }

    /// A list lets go of everything: whoever is beneath takes it back within `span`, else it goes to rest.
    pub fn release(&mut self, list: usize, at: ShowTime, span: Span) {
        let owner = Owner { rank: 0, list: list as u16 };
        self.each_busy(|lane| lane.release(owner, at, span));
        self.each_roll(|roll| {
            if roll.list == list {
                roll.stop(at, Some(span));
            }
        });
    }

    /// A master goes to a level.
    pub fn set_master(&mut self, master: MasterId, at: ShowTime, span: Span, level: Level) {
        let timing = Timing { delay: Span::ZERO, fade: span, curve: Curve::Linear };
        if let Some(lane) = self.masters.get_mut(usize::from(master.0)) {
            lane.take(Owner { rank: 0, list: 0 }, at, &timing, level);
            self.redraw_all();
        }
    }

    /// Every fade ends where it is, recordings by their own fade; what was ordered for later is forgotten.
    pub fn hold(&mut self, at: ShowTime) {
        self.stop_rolls(at, None);
        self.each_busy(|lane| lane.cut(at, |level| (level, Span::ZERO)));
    }

    /// Every intensity goes out within `span`; the rest stays where it is, so that nothing turns in the dark.
    pub fn black(&mut self, at: ShowTime, span: Span) {
        self.stop_rolls(at, Some(span));
        for rack in &mut self.racks {
            rack.drawn = OnceLock::new();
            rack.lanes.iter_mut().for_each(|(lane, _)| match lane.merge {
                Merge::Htp => lane.go_out(at, span),
                Merge::Ltp => lane.cut(at, |level| (level, Span::ZERO)),
            });
        }
    }

    /// A pause: from `at` on everything stands.
    pub fn freeze(&mut self, at: ShowTime) {
        self.frozen.get_or_insert(at);
    }

    /// The end of a pause: what was moving, or ordered, goes on from where it stood.
    pub fn thaw(&mut self, at: ShowTime) {
        let Some(frozen) = self.frozen.take() else { return };
        self.each_busy(|lane| lane.shift(frozen, at - frozen));
        self.each_roll(|roll| roll.shift(frozen, at - frozen));
        self.masters.iter_mut().for_each(|lane| lane.shift(frozen, at - frozen));
        self.redraw_all();
    }

    /// Forgets moves that later ones have replaced; no frame before `now` is drawn any more.
    pub fn forget(&mut self, now: ShowTime) {
        let now = self.frozen.map_or(now, |frozen| now.min(frozen));
        self.since = now;
        self.each_busy(|lane| lane.forget(now));
        for rack in self.racks.iter_mut().filter(|rack| rack.rolls.iter().any(|it| it.is_over(now)))
        {
            rack.rolls.retain(|roll| !roll.is_over(now));
            rack.drawn = OnceLock::new();
        }
        self.masters.iter_mut().for_each(|lane| lane.forget(now));
    }

    /// Where a lane stands; none if there is no such lane.
    pub fn level(&self, lane: LaneId, at: ShowTime) -> Option<Level> {
        let (rack, index) = *self.seats.get(lane.fixture as usize)?.get(lane.channel as usize)?;
        let at = self.frozen.map_or(at, |frozen| at.min(frozen));
        Some(self.racks[rack].lanes[index].0.level(at))
    }

    fn lane_mut(&mut self, lane: LaneId) -> Option<&mut Lane> {
        let (rack, index) = *self.seats.get(lane.fixture as usize)?.get(lane.channel as usize)?;
        let rack = &mut self.racks[rack];
        rack.drawn = OnceLock::new();
        Some(&mut rack.lanes[index].0)
    }

    fn each_busy(&mut self, mut change: impl FnMut(&mut Lane)) {
        for rack in &mut self.racks {
            let busy = rack.lanes.iter_mut().map(|(lane, _)| lane).filter(|lane| !lane.is_idle());
            let mut any = false;
            busy.for_each(|lane| {
                change(lane);
                any = true;
            });
            if any {
                rack.drawn = OnceLock::new();
            }
        }
    }

    fn stop_rolls(&mut self, at: ShowTime, span: Option<Span>) {
        self.racks.iter_mut().for_each(|rack| rack.rolls.retain(|roll| !roll.begins_after(at)));
        self.each_roll(|roll| roll.stop(at, span));
    }

    fn each_roll(&mut self, mut change: impl FnMut(&mut Roll)) {
        for rack in self.racks.iter_mut().filter(|rack| !rack.rolls.is_empty()) {
            rack.rolls.iter_mut().for_each(&mut change);
            rack.drawn = OnceLock::new();
        }
    }

    fn redraw_all(&mut self) {
        self.racks.iter_mut().for_each(|rack| rack.drawn = OnceLock::new());
    }
}

/// The masters that scale a fixture's intensities.
fn masters_of(show: &Show, fixture: usize) -> Vec<u16> {
    let own = show.masters.iter().enumerate().filter(|(_, it)| it.fixtures.contains(&fixture));
    let own = own.map(|(index, _)| MasterId::of(index).0);
    [MasterId::GRAND.0, MasterId::BLACKOUT.0].into_iter().chain(own).collect()
}

impl Rack {
    fn new(universe: Universe) -> Self {
        let (lanes, sets, rolls) = (Vec::new(), Vec::new(), Vec::new());
        Self { universe, lanes, sets, dimmers: 0, rolls, drawn: OnceLock::new() }
    }

    /// Takes a fixture in; gives where its channels sit.
    fn hang(&mut self, fixture: &Fixture, masters: Vec<u16>, rack: usize) -> Vec<(usize, usize)> {
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
        (first..self.lanes.len()).map(|lane| (rack, lane)).collect()
    }

    /// The scale that a virtual dimmer is.
    fn scale_of(&mut self, lane: usize) -> u16 {
        let next = &mut self.dimmers;
        *self.lanes[lane].1.scale.get_or_insert_with(|| {
            *next += 1;
            *next - 1
        })
    }

    fn draw(&self, faders: &Arc<Faders>, since: ShowTime) -> Arc<UniversePlan> {
        let drawing = Arc::new(Drawing::new(&self.lanes, &self.sets, since));
        let (faders, rolls) = (faders.clone(), self.rolls.as_slice().into());
        Arc::new(UniversePlan { universe: self.universe, drawing, faders, rolls })
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
    }
}

fn is_virtual(fixture: &Fixture, channel: usize) -> bool {
    fixture.channels.get(channel).is_some_and(|it| it.offsets.is_empty())
}
