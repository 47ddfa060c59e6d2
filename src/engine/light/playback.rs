//! The engine's side of light: takes come in, plans go out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use units::{Level, ShowTime, Slot, Span, Universe};

use super::fade::LONG_AGO;
use super::lane::{Goal, Lane, Owner};
use super::master::Faders;
use super::plan::{Plan, UniversePlan};
use super::rack::Rack;
use super::roll::Roll;
use crate::show::{CaptureCue, LaneId, LightCue, Loops, MasterRef, Merge, Show, Timing};

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

    /// Its place.
    pub(super) fn index(self) -> u16 {
        self.0
    }
}

impl From<MasterRef> for MasterId {
    fn from(master: MasterRef) -> Self {
        match master {
            MasterRef::Grand => Self::GRAND,
            MasterRef::Own(index) => Self(index as u16 + 2),
        }
    }
}

/// Everything that light does, now and as far ahead as it has been ordered.
#[derive(Debug, Clone)]
pub struct Playback {
    racks: Vec<Rack>,
    /// By fixture and channel: which rack, and which of its lanes.
    seats: Vec<Vec<(usize, usize)>>,
    /// Of each fixture.
    kin: Vec<Kin>,
    /// Priorities of the lists.
    ranks: Vec<i16>,
    masters: Vec<Lane>,
    /// What is seen of a cue that is looked at blindly.
    blind: Vec<Arc<UniversePlan>>,
    frozen: Option<ShowTime>,
    /// No frame before it is drawn any more.
    since: ShowTime,
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
            let lanes = racks[rack].hang(fixture, masters_of(show, index));
            seats.push(lanes.map(|lane| (rack, lane)).collect());
        }
        Self {
            racks,
            seats,
            kin: kin(show),
            ranks: show.lists.iter().map(|list| i16::from(list.priority)).collect(),
            masters: masters(show),
            blind: Vec::new(),
            frozen: None,
            since: LONG_AGO,
        }
    }

    /// The plan as it stands, the `serial`th that is handed out; cheap, universes that have not changed are shared.
    pub fn plan(&self, serial: u64) -> Arc<Plan> {
        self.plan_until(serial, None)
    }

    /// The same, whose frames are told of until one of `awaited`, or later, has left.
    pub fn plan_until(&self, serial: u64, awaited: Option<ShowTime>) -> Arc<Plan> {
        let faders = OnceLock::new();
        let faders = || faders.get_or_init(|| Arc::new(Faders::new(&self.masters, self.since)));
        let universes = self.racks.iter().map(|rack| rack.plan(faders, self.since)).collect();
        let (frozen, blind) = (self.frozen, self.blind.clone());
        Arc::new(Plan { serial, frozen, awaited, universes, blind })
    }

    /// A cue takes its lanes. What was ordered for them for later begins where the take will have them by then.
    ///
    /// *Marking*: of a lamp that is dark, and still is when it would begin to move, all but intensities is at its goal
    /// as the cue begins, so that nobody sees the lamp come up as it was before.
    pub fn take(&mut self, take: &Take) {
        let owner = self.owner(take.list);
        let later = self.fixtures_of(take.light, Merge::Ltp);
        let dark: BTreeSet<u32> =
            later.iter().copied().filter(|it| self.is_dark(*it, take.at)).collect();
        let merges = if later.is_empty() { &[Merge::Htp][..] } else { &[Merge::Htp, Merge::Ltp] };
        for &merge in merges {
            for (id, goal, timing) in claims(take.light) {
                let marked = merge == Merge::Ltp
                    && dark.contains(&id.fixture)
                    && self.stays_dark(id.fixture, take.at, timing.delay);
                let timing = if marked { &Timing::default() } else { timing };
                if let Some(lane) = self.lane_mut(id).filter(|lane| lane.merge == merge) {
                    lane.take(owner, take.at, timing, goal);
                }
            }
        }
    }

    /// A cue's recording begins at `at`; what its list plays in the same universes ends when this one is whole.
    pub fn roll(&mut self, run: u64, list: usize, at: ShowTime, cue: &CaptureCue) {
        for (universe, roll) in Roll::all(run, list, at, cue) {
            let index = self.rack(universe);
            let rack = &mut self.racks[index];
            let before = rack.rolls.iter_mut().filter(|it| it.list == list && it.run != run);
            before.for_each(|it| it.cover(&roll));
            rack.rolls.push(roll);
            rack.drawn = OnceLock::new();
        }
    }

    /// The recording of a run ends within `span`.
    pub fn stop_roll(&mut self, run: u64, at: ShowTime, span: Span) {
        let at = self.shown(at);
        for rack in self.racks.iter_mut().filter(|rack| !rack.rolls.is_empty()) {
            let mut going = vec![run];
            for roll in rack.rolls.iter_mut().rev() {
                let above = roll.is_seen_through(at);
                if going.contains(&roll.run) || above.is_some_and(|it| going.contains(&it)) {
                    going.push(roll.run);
                    roll.stop(at, Some(span));
                }
            }
            rack.drawn = OnceLock::new();
        }
    }

    /// When the recordings of each run that has any are over; none if something has to end them.
    pub fn rolls_end(&self) -> BTreeMap<u64, Option<ShowTime>> {
        let mut ends: BTreeMap<u64, Option<ShowTime>> = BTreeMap::new();
        for roll in self.racks.iter().flat_map(|rack| &rack.rolls) {
            let latest = ends.entry(roll.run).or_insert(Some(ShowTime::ZERO));
            *latest = latest.zip(roll.ends()).map(|(one, other)| one.max(other));
        }
        ends
    }

    /// A list lets go of everything: whoever is beneath takes it back within `span`, else it goes to rest.
    pub fn release(&mut self, list: usize, at: ShowTime, span: Span) {
        let (owner, at) = (self.owner(list), self.shown(at));
        self.each_busy(|lane| lane.release(owner, at, span));
        self.each_roll(|roll| {
            if roll.list == list {
                roll.stop(at, Some(span));
            }
        });
    }

    /// A master goes to a level; in a pause at once, since nothing moves then.
    pub fn set_master(&mut self, master: MasterId, at: ShowTime, span: Span, level: Level) {
        let (at, span) = match self.frozen {
            Some(frozen) => (frozen.min(at), Span::ZERO),
            None => (at, span),
        };
        let timing = Timing { fade: span, ..Timing::default() };
        if let Some(lane) = self.masters.get_mut(usize::from(master.0)) {
            lane.take(Owner { rank: 0, list: 0 }, at, &timing, Goal::Level(level));
            self.redraw();
        }
    }

    /// Where a master stands.
    pub fn master(&self, master: MasterId, at: ShowTime) -> Level {
        let lane = self.masters.get(usize::from(master.0));
        lane.map_or(Level::FULL, |lane| lane.level(self.shown(at)))
    }

    /// Pins an attribute to a level, whatever cues and masters say; none lets it go. It is there at once.
    pub fn park(&mut self, lane: LaneId, level: Option<Level>) {
        if let Some((rack, index)) = self.seat(lane) {
            self.racks[rack].lanes[index].1.parked = level;
            self.racks[rack].drawn = OnceLock::new();
        }
    }

    /// Pins a slot to a value; none lets it go. Gives whether there is such a universe.
    pub fn park_slot(&mut self, universe: Universe, slot: Slot, value: Option<u8>) -> bool {
        let Ok(rack) = self.racks.binary_search_by_key(&universe, |it| it.universe) else {
            return false;
        };
        self.racks[rack].pin(slot.index() as u16, value);
        true
    }

    /// Shows a cue, as it is when its fades are over, where nothing but visualisers looks; none ends that. What it has
    /// of recorded light plays from `at` on, over and over.
    pub fn look_blind(&mut self, at: ShowTime, light: Option<&LightCue>) {
        self.blind = light.map_or_else(Vec::new, |light| self.blind_plans(at, light));
    }

    /// Every fade ends where it is, recordings by their own fade; what was ordered for later is forgotten.
    pub fn hold(&mut self, at: ShowTime) {
        self.stop_rolls(at, None);
        self.each_busy(|lane| lane.cut(at, |level| (level, Span::ZERO)));
    }

    /// Every intensity goes out within `span`; the rest stays where it is, so that nothing turns in the dark.
    pub fn black(&mut self, at: ShowTime, span: Span) {
        self.stop_rolls(at, Some(span));
        let lanes = self.racks.iter_mut().flat_map(|rack| &mut rack.lanes);
        lanes.for_each(|(lane, _)| match lane.merge {
            Merge::Htp => lane.go_out(at, span),
            Merge::Ltp => lane.cut(at, |level| (level, Span::ZERO)),
        });
        self.redraw();
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
        self.redraw();
    }

    /// Forgets moves that later ones have replaced; no frame before `now` is drawn any more.
    pub fn forget(&mut self, now: ShowTime) {
        let since = self.since.max(self.shown(now));
        self.since = since;
        for rack in &mut self.racks {
            let forgot = rack.lanes.iter_mut().fold(false, |any, (it, _)| it.forget(since) || any);
            let rolls = rack.rolls.len();
            rack.rolls.retain(|roll| !roll.is_over(since));
            if forgot || rack.rolls.len() < rolls {
                rack.drawn = OnceLock::new();
            }
        }
        self.masters.iter_mut().for_each(|lane| {
            lane.forget(since);
        });
    }

    /// Where a lane stands; none if there is no such lane.
    pub fn level(&self, lane: LaneId, at: ShowTime) -> Option<Level> {
        let (rack, index) = self.seat(lane)?;
        Some(self.racks[rack].lanes[index].0.level(self.shown(at)))
    }

    fn shown(&self, at: ShowTime) -> ShowTime {
        self.frozen.map_or(at, |frozen| at.min(frozen))
    }

    /// The fixtures of which a cue takes attributes of that kind.
    fn fixtures_of(&self, light: &LightCue, merge: Merge) -> BTreeSet<u32> {
        let mut fixtures = BTreeSet::new();
        let mut last = None;
        for (id, ..) in claims(light) {
            let is_meant =
                |(rack, lane): (usize, usize)| self.racks[rack].lanes[lane].0.merge == merge;
            if last != Some(id.fixture) && self.seat(id).is_some_and(is_meant) {
                last = Some(id.fixture);
                fixtures.insert(id.fixture);
            }
        }
        fixtures
    }

    /// Whether a fixture that is dark at `at` is so for that long, by what is ordered.
    fn stays_dark(&self, fixture: u32, at: ShowTime, delay: Span) -> bool {
        delay == Span::ZERO || self.is_dark(fixture, at + delay - Span::from_ns(1))
    }

    /// Whether nothing of it shines: its own intensities are out, or those of the fixture whose cell it is. One without
    /// any is dark when all its cells are.
    fn is_dark(&self, fixture: u32, at: ShowTime) -> bool {
        let Some(kin) = self.kin.get(fixture as usize) else { return false };
        let out = |fixture: u32| self.intensities_out(fixture, at);
        match (out(fixture), kin.whole.and_then(out)) {
            (Some(true), _) | (_, Some(true)) => true,
            (None, None) => {
                !kin.cells.is_empty() && kin.cells.iter().all(|cell| out(*cell) == Some(true))
            }
            _ => false,
        }
    }

    /// Whether all its intensities are out; none if it has none.
    fn intensities_out(&self, fixture: u32, at: ShowTime) -> Option<bool> {
        let seats = self.seats.get(fixture as usize).into_iter().flatten();
        let lanes = seats.map(|(rack, lane)| (&self.racks[*rack], *lane));
        let mut dimmers =
            lanes.filter(|(rack, lane)| rack.lanes[*lane].0.merge == Merge::Htp).peekable();
        dimmers.peek()?;
        Some(dimmers.all(|(rack, lane)| rack.is_out(lane, at)))
    }

    fn owner(&self, list: usize) -> Owner {
        Owner { rank: self.ranks.get(list).copied().unwrap_or(0), list: list as u16 }
    }

    fn rack(&self, universe: Universe) -> usize {
        let found = self.racks.binary_search_by_key(&universe, |it| it.universe);
        found.expect("every universe that is played is in the show")
    }

    fn seat(&self, lane: LaneId) -> Option<(usize, usize)> {
        self.seats.get(lane.fixture as usize)?.get(lane.channel as usize).copied()
    }

    fn lane_mut(&mut self, lane: LaneId) -> Option<&mut Lane> {
        let (rack, index) = self.seat(lane)?;
        let rack = &mut self.racks[rack];
        rack.drawn = OnceLock::new();
        Some(&mut rack.lanes[index].0)
    }

    fn each_busy(&mut self, mut change: impl FnMut(&mut Lane)) {
        for rack in &mut self.racks {
            let lanes = rack.lanes.iter_mut().map(|(lane, _)| lane);
            for lane in lanes.filter(|lane| !lane.is_idle()) {
                change(lane);
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

    fn redraw(&mut self) {
        self.racks.iter_mut().for_each(|rack| rack.drawn = OnceLock::new());
    }

    /// The universes that a cue touches, everything else in them at rest, masters full.
    fn blind_plans(&self, at: ShowTime, light: &LightCue) -> Vec<Arc<UniversePlan>> {
        let mut racks: BTreeMap<usize, Rack> = BTreeMap::new();
        let at_rest = |index: usize| self.racks[index].at_rest();
        for (lane, goal, _) in claims(light) {
            let Some((index, lane)) = self.seat(lane) else { continue };
            let rack = racks.entry(index).or_insert_with(|| at_rest(index));
            rack.lanes[lane].0.take(Owner::NOBODY, LONG_AGO, &Timing::default(), goal);
        }
        if let Some(capture) = &light.capture {
            let (loops, fade_in) = (Loops::Forever, Span::ZERO);
            let capture = CaptureCue { loops, fade_in, ..capture.clone() };
            for (universe, roll) in Roll::all(0, 0, at, &capture) {
                let index = self.rack(universe);
                racks.entry(index).or_insert_with(|| at_rest(index)).rolls.push(roll);
            }
        }
        let masters = vec![Lane::new(Merge::Ltp, Level::FULL); self.masters.len()];
        let faders = Arc::new(Faders::new(&masters, LONG_AGO));
        racks.values().map(|rack| rack.plan(|| &faders, LONG_AGO)).collect()
    }
}

/// The fixture that one is a cell of, and its own cells, by their indices.
#[derive(Debug, Clone, Default)]
struct Kin {
    whole: Option<u32>,
    cells: Vec<u32>,
}

fn kin(show: &Show) -> Vec<Kin> {
    let mut kin = vec![Kin::default(); show.fixtures.len()];
    for (index, fixture) in show.fixtures.iter().enumerate() {
        if let Some(whole) = fixture.cell_of {
            kin[index].whole = Some(whole);
            kin[whole as usize].cells.push(index as u32);
        }
    }
    kin
}

/// What a cue wants of which lanes.
fn claims(light: &LightCue) -> impl Iterator<Item = (LaneId, Goal, &Timing)> {
    let timing = |index: u16| &light.timings[usize::from(index)];
    let levels = light.targets.iter();
    let levels = levels.map(move |it| (it.lane, Goal::Level(it.level), timing(it.timing)));
    let waves = light.waves.iter();
    levels.chain(waves.map(move |it| (it.lane, Goal::Wave(it.wave.clone()), timing(it.timing))))
}

/// The grand master, blackout, and those of the show.
fn masters(show: &Show) -> Vec<Lane> {
    let always = [Level::FULL; 2].into_iter();
    let levels = always.chain(show.masters.iter().map(|master| master.level));
    levels.map(|level| Lane::new(Merge::Ltp, level)).collect()
}

/// The masters that scale a fixture's intensities.
fn masters_of(show: &Show, fixture: usize) -> Vec<u16> {
    let own = show.masters.iter().enumerate().filter(|(_, it)| it.fixtures.contains(&fixture));
    let own = own.map(|(index, _)| MasterId::from(MasterRef::Own(index)).0);
    [MasterId::GRAND.0, MasterId::BLACKOUT.0].into_iter().chain(own).collect()
}
