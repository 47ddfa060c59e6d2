//! What an operator does to light by hand, and cues do in their stead: masters, blackout, parking, release, blind.

use units::{CueNumber, Level, ShowTime, Slot, Span, Universe};

use super::{Engine, called};
use crate::glance::MasterGlance;
use crate::light::MasterId;
use crate::order::{Output, What};
use crate::show::{
    Channel, Fixture, GRAND, LaneId, LightAct, MasterRef, Show, find_master, tracked,
};
use crate::told::{Done, Refusal};

/// What has been done by hand and stays until it is undone.
#[derive(Debug, Clone, Default)]
pub(super) struct Desk {
    blackout: bool,
    /// In the order of parking.
    parked: Vec<(String, Parked)>,
    blind: Option<CueNumber>,
}

/// What can be parked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Parked {
    Lanes(Vec<LaneId>),
    Slot(Universe, Slot),
}

impl Engine {
    /// A list lets go of its light.
    pub(super) fn release(
        &mut self,
        now: ShowTime,
        list: Option<&str>,
        from: &str,
    ) -> Result<Done, Refusal> {
        let list = self.list(list)?;
        let span = self.show.lists[list].release_time;
        self.release_list(now, list, span, None);
        let what = format!("list `{}` lets go of its light", self.show.lists[list].name);
        Ok(self.did(&what, from))
    }

    /// A master goes to a level.
    pub(super) fn master(
        &mut self,
        now: ShowTime,
        name: &str,
        level: Level,
        from: &str,
    ) -> Result<Done, Refusal> {
        let master = find_master(&self.show.masters, name)
            .ok_or_else(|| Refusal::NoSuchMaster { master: name.to_owned() })?;
        self.move_master(now, master, level, Span::ZERO, None);
        Ok(self.did(&format!("master `{name}` is at {}%", f64::from(level)), from))
    }

    /// Everything goes out at once, or comes back.
    pub(super) fn blackout(&mut self, now: ShowTime, on: bool, from: &str) -> Done {
        self.desk.blackout = on;
        let level = if on { Level::OUT } else { Level::FULL };
        self.light.set_master(MasterId::BLACKOUT, now, Span::ZERO, level);
        self.order(None, Output::Light, What::Blackout { on }, now);
        self.light_changed = true;
        self.did(if on { "blackout" } else { "the blackout is over" }, from)
    }

    /// Something stays where it is.
    pub(super) fn park(
        &mut self,
        now: ShowTime,
        what: &str,
        level: Option<Level>,
        from: &str,
    ) -> Result<Done, Refusal> {
        let nothing = || Refusal::NothingToPark { what: what.to_owned() };
        let parked = find(&self.show, what, level.is_some()).ok_or_else(nothing)?;
        self.desk.parked.retain(|(name, _)| name != what);
        match &parked {
            Parked::Lanes(lanes) => {
                for lane in lanes {
                    let level = level.or_else(|| self.light.level(*lane, now));
                    self.light.park(*lane, level);
                }
            }
            Parked::Slot(universe, slot) => {
                let value = level.map_or(0, Level::slot);
                self.light.park_slot(*universe, *slot, Some(value));
            }
        }
        self.desk.parked.push((what.to_owned(), parked));
        self.order(None, Output::Light, What::Park { what: what.to_owned(), on: true }, now);
        self.light_changed = true;
        Ok(self.did(&format!("`{what}` is parked"), from))
    }

    /// What was parked is let go.
    pub(super) fn unpark(
        &mut self,
        now: ShowTime,
        what: Option<&str>,
        from: &str,
    ) -> Result<Done, Refusal> {
        let is_meant = |name: &str| what.is_none_or(|what| what == name);
        let parked = std::mem::take(&mut self.desk.parked);
        let (gone, kept): (Vec<_>, Vec<_>) = parked.into_iter().partition(|it| is_meant(&it.0));
        self.desk.parked = kept;
        if let Some(what) = what.filter(|_| gone.is_empty()) {
            return Err(Refusal::NotParked { what: what.to_owned() });
        }
        for (what, parked) in gone {
            match parked {
                Parked::Lanes(lanes) => lanes.iter().for_each(|it| self.light.park(*it, None)),
                Parked::Slot(universe, slot) => {
                    self.light.park_slot(universe, slot, None);
                }
            }
            self.order(None, Output::Light, What::Park { what, on: false }, now);
        }
        self.light_changed = true;
        Ok(self
            .did(&what.map_or("nothing is parked".into(), |it| format!("`{it}` is let go")), from))
    }

    /// Visualisers see a cue as it is when everything before it has been played.
    pub(super) fn blind(
        &mut self,
        now: ShowTime,
        cue: Option<CueNumber>,
        from: &str,
    ) -> Result<Done, Refusal> {
        let place = match cue {
            Some(cue) => Some(self.show.cue(cue).ok_or(Refusal::NoSuchCue { cue })?),
            None => None,
        };
        let said = place.map_or("nobody looks blindly".to_owned(), |(_, cue)| {
            format!("cue {} is to be seen blindly", called(cue))
        });
        let light = place.and_then(|(place, _)| tracked(&self.show.lists[place.list], place.index));
        self.light.look_blind(now, light.as_ref());
        self.desk.blind = cue;
        self.light_changed = true;
        Ok(self.did(&said, from))
    }

    /// What a cue does to masters and lists.
    pub(super) fn act_on_light(&mut self, now: ShowTime, cue: CueNumber, acts: &[LightAct]) {
        for act in acts {
            match *act {
                LightAct::Release { list, span } => self.release_list(now, list, span, Some(cue)),
                LightAct::Master { master, level, span } => {
                    self.move_master(now, master, level, span, Some(cue));
                }
            }
        }
    }

    fn release_list(&mut self, now: ShowTime, list: usize, span: Span, cue: Option<CueNumber>) {
        // What the list has ordered for light and not yet given would take hold of it again.
        let running = &self.running;
        let list_of = |id| running.iter().find(|run| run.id == id).map(|run| run.place.list);
        let unlit = self.agenda.unlit(list, list_of);
        self.agenda.retain(|event| !event.lights_in(list, list_of));
        self.light.release(list, now, span);
        self.settle_captures();
        unlit.into_iter().for_each(|run| self.capture_ends(run, Some(now)));
        let list = self.show.lists[list].name.clone();
        self.order(cue, Output::Light, What::Release { list, span }, now);
        self.light_changed = true;
    }

    fn move_master(
        &mut self,
        now: ShowTime,
        master: MasterRef,
        level: Level,
        span: Span,
        cue: Option<CueNumber>,
    ) {
        self.light.set_master(master.into(), now, span, level);
        let master = name(&self.show, master).to_owned();
        self.order(cue, Output::Light, What::Master { master, level, span }, now);
        self.light_changed = true;
    }

    /// Every master by name, the grand master first.
    pub(super) fn masters_glance(&self, now: ShowTime) -> Vec<MasterGlance> {
        let own = (0..self.show.masters.len()).map(MasterRef::Own);
        let glance = |master: MasterRef| MasterGlance {
            name: name(&self.show, master).to_owned(),
            level: self.light.master(master.into(), now),
        };
        [MasterRef::Grand].into_iter().chain(own).map(glance).collect()
    }
}

impl Desk {
    pub fn is_black(&self) -> bool {
        self.blackout
    }

    pub fn parked(&self) -> Vec<String> {
        self.parked.iter().map(|(what, _)| what.clone()).collect()
    }

    pub fn seen_blindly(&self) -> Option<CueNumber> {
        self.blind
    }
}

fn name(show: &Show, master: MasterRef) -> &str {
    match master {
        MasterRef::Grand => GRAND,
        MasterRef::Own(index) => &show.masters[index].name,
    }
}

/// A fixture by its name, one of its attributes, or a slot. Who parks a fixture at a level means its intensity.
fn find(show: &Show, what: &str, at_level: bool) -> Option<Parked> {
    let fixture = |name: &str| show.fixtures.iter().position(|it| it.name == name);
    if let Some(index) = fixture(what) {
        let lights = intensities(&show.fixtures[index]);
        let wanted = |it: &Channel| !at_level || lights(it);
        return lanes(show, index, wanted);
    }
    if let Some((name, attribute)) = what.rsplit_once('.')
        && let Some(index) = fixture(name)
    {
        return lanes(show, index, |it| it.attribute == attribute);
    }
    let (universe, slot) = what.split_once('/')?;
    let universe = Universe::new(universe.parse().ok()?).ok()?;
    let slot = Slot::new(slot.parse().ok()?).ok()?;
    show.universes.contains_key(&universe).then_some(Parked::Slot(universe, slot))
}

/// What makes a fixture bright: its dimmer, or without one its colours.
fn intensities(fixture: &Fixture) -> fn(&Channel) -> bool {
    if fixture.channels.iter().any(Channel::is_intensity) {
        Channel::is_intensity
    } else {
        Channel::is_colour
    }
}

fn lanes(show: &Show, fixture: usize, wanted: impl Fn(&Channel) -> bool) -> Option<Parked> {
    let channels = show.fixtures[fixture].channels.iter().enumerate();
    let lane = |channel: usize| LaneId { fixture: fixture as u32, channel: channel as u32 };
    let lanes: Vec<LaneId> =
        channels.filter(|(_, it)| wanted(it)).map(|(index, _)| lane(index)).collect();
    (!lanes.is_empty()).then_some(Parked::Lanes(lanes))
}
