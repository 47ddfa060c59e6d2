//! `light = { capture = … }`: recorded light in a cue. Each file is looked through once for each way it is mapped.

use std::collections::BTreeMap;
use std::sync::Arc;

use units::{Slot, Span, Universe};
use wire::fseq;
use wire::stored::Stored;

use super::film::{Film, Route, Unplayable};
use super::footage::Footage;
use super::load::{Source, outside, within};
use super::model::{CaptureCue, Loops};
use crate::reader::{Entry, Node, Read, Report, Table, Value, code, in_range, whole};

/// Keys of `light` that only a capture has.
const KEYS: &[&str] = &["map", "universe_size", "loop", "start_at"];

/// xLights' controllers count universes of 512 unless they are told to use 510, so that pixels stay whole.
const UNIVERSE_SIZE: u32 = Universe::SLOTS as u32;

/// Every file that has been named so far.
pub struct Captures<'a> {
    source: &'a dyn Source,
    found: BTreeMap<(String, Map), Result<Arc<Footage>, Unplayable>>,
}

/// What goes where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Map {
    /// As it stands, so many channels of a sequence to a universe.
    Whole(u16),
    /// Of a capture.
    Universes(BTreeMap<Universe, Universe>),
    /// Of a sequence.
    Channels(Vec<Route>),
}

impl<'a> Captures<'a> {
    /// Nothing named yet.
    pub fn new(source: &'a dyn Source) -> Self {
        Self { source, found: BTreeMap::new() }
    }

    /// The bytes of one.
    pub fn open(&self, path: &str) -> Result<Arc<dyn Stored>, String> {
        self.source.capture(path)
    }

    fn get(&mut self, path: &str, map: Map) -> Result<Arc<Footage>, Unplayable> {
        let source = self.source;
        let key = (path.to_owned(), map);
        let find = || {
            let stored = source.capture(path).map_err(Unplayable::File)?;
            let film = film(stored, &key.1)?;
            Footage::new(film, source.footage_max()).map(Arc::new)
        };
        let known = self.found.get(&key).cloned();
        let answer = known.unwrap_or_else(find);
        self.found.insert(key, answer.clone());
        answer
    }
}

fn film(stored: Arc<dyn Stored>, map: &Map) -> Result<Film, Unplayable> {
    let other = |wanted| Err(Unplayable::File(format!("this `map` is for {wanted}")));
    let mut magic = fseq::MAGIC.map(|_| 0);
    let told = stored.read_at(0, &mut magic);
    told.map_err(|error| Unplayable::File(format!("the disk does not give it: {error}")))?;
    match (magic == fseq::MAGIC, map) {
        (true, Map::Whole(size)) => Film::of_sequence(stored, &[], *size),
        (true, Map::Channels(routes)) => Film::of_sequence(stored, routes, UNIVERSE_SIZE as u16),
        (true, Map::Universes(_)) => {
            other("captures; a sequence has channels: map = [{ channel = 1, universe = 1 }]")
        }
        (false, Map::Whole(_)) => Film::of_capture(stored, &BTreeMap::new()),
        (false, Map::Universes(map)) => Film::of_capture(stored, map),
        (false, Map::Channels(_)) => other("sequences; a capture has universes: map = { 1 = 3 }"),
    }
}

/// Reads what `light` says of a capture.
pub fn read(light: &Table, captures: &mut Captures) -> Option<CaptureCue> {
    let Some(node) = light.node("capture") else {
        light.no_effect(KEYS, "capture");
        return None;
    };
    let report = light.report;
    let map = map(light);
    let (loops, offset) = (light.or("loop", Loops::Times(1)), light.or("start_at", Span::ZERO));
    let (fade_in, fade_out) = (light.or("fade_in", Span::ZERO), light.or("fade_out", Span::ZERO));
    let name = String::read(node, report)?;
    let Some(file) = within("", &name) else {
        outside(report, node.spot, &name);
        return None;
    };
    let footage = match captures.get(&file, map?) {
        Ok(footage) => footage,
        Err(why) => {
            unplayable(light, node, &file, &why);
            return None;
        }
    };
    if footage.is_cut {
        let message =
            format!("`{file}` was cut off while it was written; {} can be played", footage.length);
        report.warn(node.spot, code::CAPTURE_CUT, message, None);
    }
    let opening = match footage.opening(offset) {
        Ok(opening) => opening.map(Arc::new),
        Err(why) => {
            unplayable(light, node, &file, &Unplayable::File(why));
            return None;
        }
    };
    let cue = CaptureCue { file, footage, opening, loops, offset, fade_in, fade_out };
    starts_within(light, &cue);
    Some(cue)
}

fn starts_within(light: &Table, cue: &CaptureCue) {
    let length = cue.footage.length;
    if let Some(node) = light.node("start_at").filter(|_| cue.offset >= length) {
        let message = format!("it starts at {}, and the file is over at {length}", cue.offset);
        light.report.error(node.spot, code::START_BEYOND_END, message, None);
    }
}

fn unplayable(light: &Table, file: &Node, path: &str, why: &Unplayable) {
    let (report, at) = (light.report, light.node("map").unwrap_or(file).spot);
    match why {
        Unplayable::File(why) => {
            let message = format!("could not read `{path}`: {why}");
            report.error(file.spot, code::CAPTURE_UNREADABLE, message, None);
        }
        Unplayable::Universe(missing, there) => {
            let there: Vec<String> = there.iter().map(Universe::to_string).collect();
            let message = format!("universe {missing} is not in `{path}`");
            let help = format!("it has {}", there.join(", "));
            report.error(at, code::NOT_IN_CAPTURE, message, Some(help));
        }
        Unplayable::Channel(missing, channels) => {
            let message = format!("channel {} is not in `{path}`", missing + 1);
            let help = format!("its channels end at {channels}, and it may leave some out");
            report.error(at, code::NOT_IN_CAPTURE, message, Some(help));
        }
        Unplayable::Beyond => {
            let message =
                format!("`{path}` has more channels than there are universes from here on");
            report.error(at, code::NOT_IN_CAPTURE, message, None);
        }
    }
}

/// None if something in it is wrong.
fn map(light: &Table) -> Option<Map> {
    let size = light.whole("universe_size", 1..=UNIVERSE_SIZE).unwrap_or(UNIVERSE_SIZE) as u16;
    let Some(node) = light.node("map") else { return Some(Map::Whole(size)) };
    match &node.value {
        Value::List(_) => {
            let routes = node.one_or_many().iter().map(|it| route(light.report, it, size));
            routes.collect::<Option<_>>().map(Map::Channels)
        }
        _ => {
            let entries = light.entries("map", "a table { 1 = 3 }, or a list of channels");
            let pair = |entry: &Entry| {
                let from = entry
                    .key
                    .parse()
                    .map_err(|_| ())
                    .and_then(|it| Universe::new(it).map_err(|_| ()));
                if from.is_err() {
                    let message = format!("a universe must be 1 to 63999, not `{}`", entry.key);
                    light.report.error(entry.spot, code::OUT_OF_RANGE, message, None);
                }
                Some((from.ok()?, universe(light.report, &entry.node)?))
            };
            let pairs: Option<Vec<_>> = entries.iter().map(pair).collect();
            let apart = apart(light.report, entries, pairs?)?;
            (!apart.is_empty()).then_some(Map::Universes(apart))
        }
    }
}

/// Two universes in one would take turns by the frame: lamps would flicker between them.
fn apart(
    report: &Report,
    entries: &[Entry],
    pairs: Vec<(Universe, Universe)>,
) -> Option<BTreeMap<Universe, Universe>> {
    let mut taken = BTreeMap::new();
    for (entry, (from, to)) in entries.iter().zip(&pairs) {
        if let Some(other) = taken.insert(to, from) {
            let message = format!("universes {other} and {from} cannot both play in universe {to}");
            let help = "map them to two universes, or leave one out".to_owned();
            report.error(entry.node.spot, code::TWO_SOURCES, message, Some(help));
            return None;
        }
    }
    Some(pairs.into_iter().collect())
}

fn universe(report: &Report, node: &Node) -> Option<Universe> {
    in_range(report, node, Universe::new(whole(report, node, 1..=63_999)?))
}

fn route(report: &Report, node: &Node, universe_size: u16) -> Option<Route> {
    let table = Table::open(report, node, "a route", &["channel", "count", "universe", "slot"])?;
    let channel = table.whole("channel", 1..=1 << 23).or_else(|| absent(&table, "channel"));
    let to = table
        .node("universe")
        .and_then(|node| universe(report, node))
        .or_else(|| absent(&table, "universe"));
    let slot = Slot::new(table.whole("slot", 1..=512).unwrap_or(1)).ok()?;
    let count = table.whole("count", 1..=1 << 23).unwrap_or(u32::from(universe_size));
    Some(Route { channel: channel? - 1, count, universe: to?, slot, universe_size })
}

fn absent<T>(table: &Table, key: &str) -> Option<T> {
    if table.node(key).is_none() {
        table.missing(key);
    }
    None
}
