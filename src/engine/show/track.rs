//! What a list has brought its attributes to: tracking.
//!
//! A look touches what it names, and everything else stays where earlier cues of the list have brought it: it *tracks*.
//! Who comes to a cue in order sees that by itself; who jumps to it gets [`tracked`].

use std::collections::{BTreeMap, BTreeSet};

use units::CueNumber;

use super::cues::ReadCue;
use super::model::{Air, CueList, Fixture, LaneId, LightCue, Target, Timing, WaveTarget};
use crate::reader::{Report, code};

/// What a cue shows when all cues before it have been played: its own light, and what tracks into it, in the cue's
/// own time. None if the list has touched nothing by then.
pub fn tracked(list: &CueList, index: usize) -> Option<LightCue> {
    // Beside each whether it is the cue's own: of a million and a half lanes, to look each up is what takes long.
    let mut goals: BTreeMap<LaneId, (Goal, bool)> = BTreeMap::new();
    for (number, cue) in list.cues.iter().enumerate().take(index + 1) {
        let Some(light) = &cue.light else { continue };
        let own = number == index;
        goals.extend(light.targets.iter().map(|it| (it.lane, (Goal::Level(*it), own))));
        goals.extend(light.waves.iter().map(|it| (it.lane, (Goal::Wave(it.clone()), own))));
    }
    let own = list.cues.get(index).and_then(|cue| cue.light.as_ref());
    let timings = own.map_or_else(|| vec![Timing::default()], |own| own.timings.clone());
    let capture = own.and_then(|own| own.capture.clone());
    let mut light = LightCue { timings, capture, ..LightCue::default() };
    for (goal, is_own) in goals.into_values() {
        let timing = |timing: u16| if is_own { timing } else { 0 };
        match goal {
            Goal::Level(it) => light.targets.push(Target { timing: timing(it.timing), ..it }),
            Goal::Wave(it) => light.waves.push(WaveTarget { timing: timing(it.timing), ..it }),
        }
    }
    let does = !light.targets.is_empty() || !light.waves.is_empty() || light.capture.is_some();
    does.then_some(light)
}

/// What a list has on air at a cue when all cues before it have been played; none if nothing.
pub fn aired(list: &CueList, index: usize) -> Option<&Air> {
    let mut on_air: Option<(CueNumber, &Air)> = None;
    for cue in list.cues.iter().take(index + 1) {
        on_air = on_air.filter(|(by, _)| !cue.acts.iter().any(|act| act.stops(*by)));
        if let Some(air) = &cue.air {
            on_air = air.what.as_ref().map(|what| (cue.number, what));
        }
    }
    on_air.map(|(_, what)| what)
}

enum Goal {
    Level(Target),
    Wave(WaveTarget),
}

/// Nothing tracks through a cue that blocks: what earlier cues of its list have touched, and it does not name, goes to
/// its rest.
pub fn block(report: &Report, cues: &mut [ReadCue], fixtures: &[Fixture]) {
    for index in 0..cues.len() {
        let Some(spot) = cues[index].spots.block else { continue };
        let (before, from) = cues.split_at_mut(index);
        let lights = || before.iter().filter_map(|read| read.cue.light.as_ref());
        let levels = lights().flat_map(|light| light.targets.iter().map(|it| it.lane));
        let waves = lights().flat_map(|light| light.waves.iter().map(|it| it.lane));
        let touched: BTreeSet<LaneId> = levels.chain(waves).collect();
        if touched.is_empty() {
            let message = "`block` does nothing before the list has touched anything".into();
            report.warn(spot, code::NO_EFFECT, message, None);
        }
        if let Some(light) = &mut from[0].cue.light {
            rest(light, &touched, fixtures);
        }
    }
}

fn rest(light: &mut LightCue, touched: &BTreeSet<LaneId>, fixtures: &[Fixture]) {
    let named: BTreeSet<LaneId> = light
        .targets
        .iter()
        .map(|it| it.lane)
        .chain(light.waves.iter().map(|it| it.lane))
        .collect();
    for lane in touched.difference(&named) {
        let channel = &fixtures[lane.fixture as usize].channels[lane.channel as usize];
        light.targets.push(Target { lane: *lane, level: channel.rest, timing: 0 });
    }
    light.targets.sort_by_key(|it| it.lane);
}
