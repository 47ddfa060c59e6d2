//! Lamps that get a colour and never any light: the mistake of whoever forgets that a fixture has a dimmer.

use std::collections::BTreeSet;

use units::Level;

use super::cues::ReadList;
use super::model::{LaneId, Merge};
use super::patch::Patch;
use crate::fixture::attribute::is_emitter;
use crate::reader::{Report, code};

/// Warns of every fixture that some cue colours and no cue of the show lights.
pub fn check(report: &Report, patch: &Patch, lists: &[ReadList]) {
    let cues = lists.iter().flat_map(|list| &list.cues).filter_map(|read| read.cue.light.as_ref());
    let (mut coloured, mut lit) = (BTreeSet::new(), BTreeSet::new());
    let channel =
        |lane: LaneId| &patch.fixtures[lane.fixture as usize].channels[lane.channel as usize];
    let waved = cues.clone().flat_map(|light| &light.waves).map(|it| it.lane);
    lit.extend(waved.filter(|it| channel(*it).merge == Merge::Htp).map(|it| it.fixture as usize));
    for target in cues.flat_map(|light| &light.targets).filter(|it| it.level > Level::OUT) {
        let fixture = target.lane.fixture as usize;
        let channel = channel(target.lane);
        if channel.merge == Merge::Htp {
            lit.insert(fixture);
        } else if is_emitter(&channel.attribute) {
            coloured.insert(fixture);
        }
    }
    for (name, members, spot) in &patch.hung {
        let any = |of: &BTreeSet<usize>| members.iter().any(|it| of.contains(it));
        if any(&coloured) && !any(&lit) {
            let message =
                format!("`{name}` gets a colour, and no cue raises its dimmer: it stays dark");
            let help = format!("`{name} = {{ color = …, dimmer = 80 }}` in the look");
            report.warn(*spot, code::STAYS_DARK, message, Some(help));
        }
    }
}
