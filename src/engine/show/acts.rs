//! What a cue does to other cues: `stop` and `fade`.

use units::{CueNumber, Decibels, Span};

use super::cues::ReadList;
use super::model::{Act, ActOn, Cue, PhoneTrack};
use crate::reader::{Node, Read, Report, Spot, Table, Value, code};

/// An act as written: its cue may not exist.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Written {
    /// Where its cue's number stands.
    pub spot: Spot,
    cue: CueNumber,
    act: WrittenAct,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum WrittenAct {
    /// Without a time it is the fade-out of what it stops.
    Stop(Option<Span>),
    Fade {
        volume: Decibels,
        span: Span,
        stop: bool,
    },
}

/// Reads the acts of a cue.
pub fn read(cue: &Table) -> Vec<Written> {
    let nodes = |key| cue.node(key).map_or(&[][..], Node::one_or_many).iter();
    let stops = nodes("stop").filter_map(|node| stop(cue.report, node));
    let fades = nodes("fade").filter_map(|node| fade(cue.report, node));
    stops.chain(fades).collect()
}

/// `1`, `"1.5"` or `{ cue = 1, fade = "2s" }`.
fn stop(report: &Report, node: &Node) -> Option<Written> {
    if !matches!(node.value, Value::Table(_)) {
        let cue = CueNumber::read(node, report)?;
        return Some(Written { spot: node.spot, cue, act: WrittenAct::Stop(None) });
    }
    let table = Table::open(report, node, "a stop", &["cue", "fade"])?;
    let fade = table.read("fade");
    let cue = table.need("cue")?;
    Some(Written { spot: spot_of_cue(&table), cue, act: WrittenAct::Stop(fade) })
}

fn fade(report: &Report, node: &Node) -> Option<Written> {
    let keys = &["cue", "volume_db", "time", "then_stop"];
    let table = Table::open(report, node, "a fade of a cue", keys)?;
    let stop = table.or("then_stop", false);
    let span = table.or("time", Span::ZERO);
    let cue = table.need("cue");
    let volume = match stop && table.node("volume_db").is_none() {
        true => Some(Decibels::SILENCE),
        false => table.need("volume_db"),
    };
    let act = WrittenAct::Fade { volume: volume?, span, stop };
    Some(Written { spot: spot_of_cue(&table), cue: cue?, act })
}

fn spot_of_cue(table: &Table) -> Spot {
    table.node("cue").map_or(table.spot, |node| node.spot)
}

/// Gives every act its cue, now that all cues are known.
pub fn resolve(report: &Report, lists: &mut [ReadList]) {
    for list in 0..lists.len() {
        for index in 0..lists[list].cues.len() {
            let acts = lists[list].cues[index]
                .acts
                .iter()
                .filter_map(|written| resolve_one(report, lists, (list, index), written))
                .collect();
            lists[list].cues[index].cue.acts = acts;
        }
    }
}

fn resolve_one(
    report: &Report,
    lists: &[ReadList],
    from: (usize, usize),
    written: &Written,
) -> Option<ActOn> {
    let all = || lists.iter().enumerate().flat_map(|(at, list)| cues_of(at, list));
    let Some((place, target)) = all().find(|(_, cue)| cue.number == written.cue) else {
        let numbers: Vec<String> = all().map(|(_, cue)| cue.number.to_string()).collect();
        let known = numbers.iter().map(String::as_str);
        report.unknown(written.spot, code::UNKNOWN_CUE, "cue", &written.cue.to_string(), known);
        return None;
    };
    if place.0 == from.0 && place.1 >= from.1 {
        too_early(report, written, place == from);
    }
    let act = match written.act {
        WrittenAct::Stop(fade) => Act::Stop { fade: fade.unwrap_or_else(|| own_fade_out(target)) },
        WrittenAct::Fade { volume, span, stop } => {
            let can_stop = stop && (track(target).is_some() || target.air.is_some());
            if target.sound.is_empty() && !can_stop {
                let message = format!("cue {} has no sound of the box to fade", written.cue);
                report.warn(written.spot, code::FADES_NO_SOUND, message, None);
            }
            Act::Fade { volume, span, stop }
        }
    };
    Some(ActOn { cue: written.cue, act })
}

fn cues_of(at: usize, list: &ReadList) -> impl Iterator<Item = ((usize, usize), &Cue)> {
    list.cues.iter().enumerate().map(move |(index, read)| ((at, index), &read.cue))
}

fn too_early(report: &Report, written: &Written, itself: bool) {
    let message = match itself {
        true => format!("cue {} acts on itself", written.cue),
        false => format!(
            "cue {} comes later in this list, so there is nothing to act on yet",
            written.cue
        ),
    };
    report.warn(written.spot, code::ACTS_TOO_EARLY, message, None);
}

fn track(cue: &Cue) -> Option<&PhoneTrack> {
    cue.phones.as_ref()?.track.as_ref()
}

fn own_fade_out(cue: &Cue) -> Span {
    let track = track(cue).map(|track| track.fade_out);
    let capture = cue.light.as_ref().and_then(|light| light.capture.as_ref());
    let others = track.into_iter().chain(capture.map(|it| it.fade_out));
    cue.sound.iter().map(|sound| sound.fade_out).chain(others).max().unwrap_or_default()
}
