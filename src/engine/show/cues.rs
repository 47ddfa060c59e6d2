//! `[[list]]` and `[[list.cue]]`: cues in their order, with their timing.

use std::collections::BTreeMap;

use units::{CueNumber, FrameRate, Span, Universe};

use super::acts::{self, Written};
use super::captures::Captures;
use super::effects::Effects;
use super::load::Source;
use super::looks::{Looks, Palettes};
use super::masters;
use super::media::{Library, Tracks};
use super::model::{Cue, LightCue, ListTimecode, Master, Start, Then, TimeOfDay, UniverseOut};
use super::patch::Patch;
use super::{light, outputs, sends, timecode, track};
use crate::reader::{Node, Read, Report, Spot, Table, Value, code, word};

/// What cues may name.
pub struct Known<'a, 'l> {
    pub patch: &'a Patch,
    pub looks: &'a Looks,
    pub palettes: &'a Palettes,
    pub effects: &'a Effects,
    pub masters: &'a [Master],
    pub tracks: &'a Tracks,
    pub library: &'a mut Library<'l>,
    pub captures: &'a mut Captures<'l>,
    pub source: &'l dyn Source,
    pub universes: &'a BTreeMap<Universe, UniverseOut>,
    /// Whether phones flash three times a second at most.
    pub flash_limited: bool,
    /// Of all timecode; none if the show has none.
    pub timecode_rate: Option<FrameRate>,
}

/// A list, as it is checked further.
#[derive(Debug)]
pub struct ReadList {
    pub name: String,
    pub priority: u8,
    pub release_time: Span,
    pub cues: Vec<ReadCue>,
    pub timecode: Option<ListTimecode>,
    /// Whether every cue of it could be read; else nobody knows what follows what.
    pub whole: bool,
}

/// A cue and where its parts stand.
#[derive(Debug)]
pub struct ReadCue {
    pub cue: Cue,
    /// From its beginning until everything in it is over; none if something in it never ends.
    pub length: Option<Span>,
    pub acts: Vec<Written>,
    pub light_acts: Vec<masters::Written>,
    pub spots: Spots,
}

/// Where the parts of a cue stand; its number for what is not written.
#[derive(Debug, Clone, Copy)]
pub struct Spots {
    pub then: Spot,
    pub fade: Spot,
    pub at: Spot,
    pub timecode: Spot,
    /// Where it says that nothing tracks through it, if it does.
    pub block: Option<Spot>,
    /// Where it turns to phones, if it does.
    pub phones: Option<Spot>,
}

/// Reads every cue list.
pub fn read(top: &Table, known: &mut Known) -> Vec<ReadList> {
    let nodes = top.node("list").map_or(&[][..], Node::one_or_many);
    if nodes.is_empty() {
        let message = "a show needs a cue list, [[list]]".into();
        top.report.absent(top.spot, code::NO_CUES, message, None);
    }
    let mut taken = Taken::default();
    let mut lists: Vec<ReadList> =
        nodes.iter().filter_map(|node| list(top.report, node, known, &mut taken)).collect();
    acts::resolve(top.report, &mut lists);
    masters::resolve(top.report, &mut lists);
    for list in lists.iter_mut().filter(|list| list.whole) {
        track::block(top.report, &mut list.cues, &known.patch.fixtures);
    }
    lists
}

/// Names and numbers that are given away, and where.
#[derive(Default)]
struct Taken {
    lists: BTreeMap<String, Spot>,
    cues: BTreeMap<CueNumber, Spot>,
}

const LIST_KEYS: &[&str] = &["name", "priority", "release_time", "timecode", "cue"];

fn list(report: &Report, node: &Node, known: &mut Known, taken: &mut Taken) -> Option<ReadList> {
    let table = Table::open(report, node, "a cue list", LIST_KEYS)?;
    let name = table.line("name").unwrap_or_default();
    if table.node("name").is_none() {
        table.missing("name");
    }
    if let Some(node) = table.node("name")
        && let Some(first) = taken.lists.insert(name.clone(), node.spot)
    {
        report.duplicate(node.spot, code::DUPLICATE_NAME, &format!("list `{name}`"), first);
    }
    let rate = known.timecode_rate;
    let timecode = table.node("timecode").and_then(|node| timecode::of_list(report, node, rate));
    let nodes = table.node("cue").map_or(&[][..], Node::one_or_many);
    if nodes.is_empty() {
        let message = format!("list `{name}` has no cue, [[list.cue]]");
        report.absent(table.spot, code::NO_CUES, message, None);
    }
    let cues: Vec<ReadCue> =
        nodes.iter().filter_map(|node| cue(report, node, known, taken)).collect();
    let whole = cues.len() == nodes.len();
    let priority = table.whole("priority", 1..=200).unwrap_or(1) as u8;
    let release_time = table.or("release_time", Span::ZERO);
    Some(ReadList { name, priority, release_time, cues, timecode, whole })
}

const CUE_KEYS: &[&str] = &[
    "number",
    "name",
    "light",
    "sound",
    "phones",
    "air",
    "send",
    "stop",
    "fade",
    "release",
    "master",
    "pre_wait",
    "post_wait",
    "continue",
    "at",
    "timecode",
    "start",
];

fn cue(report: &Report, node: &Node, known: &mut Known, taken: &mut Taken) -> Option<ReadCue> {
    let table = Table::open(report, node, "a cue", CUE_KEYS)?;
    let number = number(&table, taken);
    let light = table.node("light").and_then(|node| light::light(report, node, known));
    let sound = table.node("sound").map(|node| outputs::sound(report, node, known));
    let phones = table.node("phones").and_then(|node| outputs::phones(report, node, known));
    let air = table.node("air").and_then(|node| outputs::air(report, node, known));
    let send = table.node("send").map(|node| sends::read(report, node, known.universes));
    let acts = acts::read(&table);
    let light_acts = masters::acts(&table, known.masters);
    let then = then(&table);
    let starts = table.node("start").and_then(|node| word(report, node, STARTS));
    let rate = known.timecode_rate;
    let timecode = table.node("timecode").and_then(|node| timecode::of_cue(report, node, rate));
    let tracked = phones.as_ref().is_some_and(|phones| phones.track.is_some());
    let (number, spot) = number?;
    let fade = light.as_ref().map_or(spot, |light| light.fade);
    let block = light.as_ref().and_then(|light| light.block);
    let cue = Cue {
        number,
        name: table.line("name").unwrap_or_default(),
        start: starts.unwrap_or(if tracked { Start::Together } else { Start::Now }),
        pre_wait: table.or("pre_wait", Span::ZERO),
        then,
        at: table.read("at"),
        timecode,
        light: light.map(|light| light.light),
        sound: sound.unwrap_or_default(),
        phones,
        air,
        acts: Vec::new(),
        light_acts: Vec::new(),
        sends: send.unwrap_or_default(),
    };
    let at = |key| table.node(key).map_or(spot, |node| node.spot);
    let (timecode, at_spot) = (at("timecode"), at("at"));
    let phones = table.node("phones").or(table.node("air")).map(|node| node.spot);
    let spots = Spots { then: at("continue"), fade, at: at_spot, timecode, block, phones };
    let length = length(&cue, known);
    empty(&table, number);
    Some(ReadCue { cue, length, acts, light_acts, spots })
}

const STARTS: &[(&str, Start)] = &[("now", Start::Now), ("together", Start::Together)];

fn number(table: &Table, taken: &mut Taken) -> Option<(CueNumber, Spot)> {
    let number: CueNumber = table.need("number")?;
    let spot = table.node("number").map_or(table.spot, |node| node.spot);
    let first = *taken.cues.entry(number).or_insert(spot);
    if first != spot {
        table.report.duplicate(spot, code::DUPLICATE_CUE, &format!("cue {number}"), first);
    }
    Some((number, spot))
}

fn then(table: &Table) -> Then {
    let wait = table.or("post_wait", Span::ZERO);
    let words = [("auto-continue", Then::Continue(wait)), ("auto-follow", Then::Follow(wait))];
    match table.node("continue") {
        Some(node) => word(table.report, node, &words).unwrap_or(Then::Wait),
        None => {
            table.no_effect(&["post_wait"], "continue");
            Then::Wait
        }
    }
}

impl Read for TimeOfDay {
    /// `"19:55"`, `"19:55:30"`, with quotes or without.
    fn read(node: &Node, report: &Report) -> Option<Self> {
        let seconds = match &node.value {
            Value::Clock(seconds) => Some(*seconds),
            Value::Text(text) => seconds_since_midnight(text),
            _ => {
                report.wrong_type(node, "a time of day such as \"19:55\"");
                return None;
            }
        };
        if seconds.is_none() {
            let message = format!("`{}` must be a time of day from 00:00 to 23:59:59", node.key);
            let help = Some("write it as \"19:55\" or \"19:55:30\"".into());
            report.error(node.spot, code::OUT_OF_RANGE, message, help);
        }
        seconds.map(|seconds| Self { seconds })
    }
}

fn seconds_since_midnight(text: &str) -> Option<u32> {
    let two = |part: &str, end: u32| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|&value: &u32| digits && value < end)
    };
    let mut parts = text.split(':');
    let (hour, minute) = (two(parts.next()?, 24)?, two(parts.next()?, 60)?);
    let second = parts.next().map_or(Some(0), |part| two(part, 60))?;
    parts.next().is_none().then_some((hour * 60 + minute) * 60 + second)
}

/// A cue ends when its fades are over, its sounds have ended and its flashes are done. What it does to other cues
/// goes on without it.
fn length(cue: &Cue, known: &Known) -> Option<Span> {
    let mut longest = cue.light.as_ref().map_or(Span::ZERO, LightCue::length);
    if let Some(capture) = cue.light.as_ref().and_then(|light| light.capture.as_ref()) {
        longest = longest.max(outputs::capture_length(capture)?);
    }
    for sound in &cue.sound {
        longest =
            longest.max(outputs::length(known.library, sound.media, sound.loops, sound.offset)?);
    }
    if let Some(phones) = &cue.phones {
        longest = longest.max(outputs::phones_length(phones, known)?);
    }
    Some(longest)
}

/// Silent where a key is unknown: what the cue does may stand behind it.
fn empty(table: &Table, number: CueNumber) {
    let outputs = ["light", "sound", "phones", "air", "send", "stop", "fade", "release", "master"];
    if table.all_known() && outputs.iter().all(|key| table.node(key).is_none()) {
        let message = format!("cue {number} does nothing");
        table.report.warn(table.spot, code::EMPTY_CUE, message, None);
    }
}
