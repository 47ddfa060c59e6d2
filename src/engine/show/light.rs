//! What light does in a cue: looks, levels, effects and recordings, and the time each attribute takes.

use std::collections::BTreeMap;

use units::Span;

use super::captures;
use super::cues::Known;
use super::effects::Effect;
use super::kind::{KINDS, Kind};
use super::looks::{self, Look};
use super::model::{Channel, Curve, LaneId, LightCue, Merge, Timing, WaveTarget};
use super::patch::{Named, Patch};
use crate::reader::{Entry, Node, Read, Report, Spot, Table, code, word};

const KEYS: &[&str] = &[
    "look",
    "levels",
    "effect",
    "fade",
    "fade_in",
    "fade_out",
    "delay",
    "curve",
    "block",
    "assert",
    "capture",
    "map",
    "universe_size",
    "loop",
    "start_at",
];

/// A cue's light as it is written.
pub struct ReadLight {
    pub light: LightCue,
    /// Where its fade stands.
    pub fade: Spot,
    /// Where it says that nothing tracks through it.
    pub block: Option<Spot>,
}

/// What light does.
pub fn light(report: &Report, node: &Node, known: &mut Known) -> Option<ReadLight> {
    let table = Table::open(report, node, "`light`", KEYS)?;
    let capture = captures::read(&table, known.captures);
    let own =
        table.node("levels").map(|node| looks::levels(report, node, known.patch, known.palettes));
    let look = table.node("look").and_then(|node| look(report, node, known));
    let effects = effects(&table, known);
    let block = table.or("block", false);
    let asserts = table.or("assert", false);
    let does = ["look", "levels", "effect", "capture"].iter().any(|key| table.node(key).is_some());
    if !does && !block && !asserts {
        table.missing("look` or `levels");
    }
    let looks: Vec<&Look> = look.into_iter().chain(&own).collect();
    let mut light = LightCue {
        targets: looks::targets(&looks),
        waves: effects.into_iter().flat_map(|effect| effect.waves.clone()).collect(),
        timings: Vec::new(),
        asserts,
        capture,
    };
    // An attribute has one goal: the effect, since who names one wants to see it.
    light.targets.retain(|target| light.waves.iter().all(|wave| wave.lane != target.lane));
    Times::read(&table, known.patch).give(&mut light, known.patch);
    let spot = |key| table.node(key).map(|node| node.spot);
    let fade = spot("fade").unwrap_or(table.spot);
    Some(ReadLight { light, fade, block: spot("block").filter(|_| block) })
}

fn look<'a>(report: &Report, node: &Node, known: &Known<'a, '_>) -> Option<&'a Look> {
    let name = String::read(node, report)?;
    let look = known.looks.get(&name);
    if look.is_none() {
        let names = known.looks.keys().map(String::as_str);
        report.unknown(node.spot, code::UNKNOWN_LOOK, "look", &name, names);
    }
    look
}

fn effects<'a>(table: &Table, known: &Known<'a, '_>) -> Vec<&'a Effect> {
    let nodes = table.node("effect").map_or(&[][..], Node::one_or_many);
    let effect = |node: &Node| {
        let name = String::read(node, table.report)?;
        match known.effects.get(&name) {
            Some(effect) => effect.as_ref(),
            None => {
                let names = known.effects.keys().map(String::as_str);
                table.report.unknown(node.spot, code::UNKNOWN_EFFECT, "effect", &name, names);
                None
            }
        }
    };
    nodes.iter().filter_map(effect).collect()
}

/// A value for all, or one for each kind of attribute, group and fixture; the exact word wins.
struct Split<T> {
    all: T,
    kinds: BTreeMap<Kind, T>,
    fixtures: BTreeMap<usize, T>,
}

impl<T: Read + Copy + Default> Split<T> {
    fn read(table: &Table, key: &str, patch: &Patch) -> Self {
        let mut split =
            Self { all: T::default(), kinds: BTreeMap::new(), fixtures: BTreeMap::new() };
        match table.node(key).map(|node| (node, node.entries())) {
            None => {}
            Some((node, None)) => split.all = T::read(node, table.report).unwrap_or_default(),
            Some((_, Some(entries))) => {
                // Groups before fixtures, so that a fixture's own word is the last.
                let (fixtures, others): (Vec<_>, Vec<_>) =
                    entries.iter().partition(|it| is_fixture(it, patch));
                others.into_iter().chain(fixtures).for_each(|it| split.entry(table, it, patch));
            }
        }
        split
    }

    fn entry(&mut self, table: &Table, entry: &Entry, patch: &Patch) {
        let value = T::read(&entry.node, table.report).unwrap_or_default();
        let kind = KINDS.iter().find(|(name, _)| *name == entry.key);
        match (entry.key.as_str(), kind, patch.named.get(&entry.key)) {
            ("all", ..) => self.all = value,
            (_, Some((_, kind)), _) => drop(self.kinds.insert(*kind, value)),
            (_, _, Some(named)) => {
                self.fixtures.extend(named.members().iter().map(|index| (*index, value)));
            }
            _ => {
                let names = patch.named.keys().map(String::as_str);
                let known = KINDS.iter().map(|(name, _)| *name).chain(["all"]).chain(names);
                let what = "kind of attribute, fixture or group";
                table.report.unknown(entry.spot, code::UNKNOWN_FIXTURE, what, &entry.key, known);
            }
        }
    }

    fn of(&self, lane: LaneId, channel: &Channel) -> T {
        let own = self.fixtures.get(&(lane.fixture as usize));
        *own.or_else(|| self.kinds.get(&Kind::of(channel))).unwrap_or(&self.all)
    }
}

fn is_fixture(entry: &Entry, patch: &Patch) -> bool {
    matches!(patch.named.get(&entry.key), Some(Named::Fixture(_) | Named::Cell(_)))
}

/// Everything that a cue says of time.
struct Times {
    delay: Split<Span>,
    fade: Split<Span>,
    curve: Split<Curve>,
    /// Of intensities that rise, and that fall.
    rise: Option<Span>,
    fall: Option<Span>,
}

impl Times {
    fn read(table: &Table, patch: &Patch) -> Self {
        Self {
            delay: Split::read(table, "delay", patch),
            fade: Split::read(table, "fade", patch),
            curve: Split::read(table, "curve", patch),
            rise: table.read("fade_in"),
            fall: table.read("fade_out"),
        }
    }

    /// Gives every attribute its timing; the first is what the cue says of all.
    fn give(&self, light: &mut LightCue, patch: &Patch) {
        let (delay, fade, curve) = (self.delay.all, self.fade.all, self.curve.all);
        light.timings = vec![Timing { delay, fade, curve, fall: None }];
        let timings = &mut light.timings;
        let mut timing = |lane: LaneId| {
            let channel = &patch.fixtures[lane.fixture as usize].channels[lane.channel as usize];
            let timing = self.of(lane, channel);
            let found = timings.iter().position(|it| *it == timing).unwrap_or_else(|| {
                timings.push(timing);
                timings.len() - 1
            });
            found as u16
        };
        light.targets.iter_mut().for_each(|target| target.timing = timing(target.lane));
        light.waves.iter_mut().for_each(|wave: &mut WaveTarget| wave.timing = timing(wave.lane));
    }

    fn of(&self, lane: LaneId, channel: &Channel) -> Timing {
        let (delay, fade) = (self.delay.of(lane, channel), self.fade.of(lane, channel));
        let curve = self.curve.of(lane, channel);
        if channel.merge == Merge::Ltp || self.rise.is_none() && self.fall.is_none() {
            return Timing { delay, fade, curve, fall: None };
        }
        let (rise, fall) = (self.rise.unwrap_or(fade), self.fall.unwrap_or(fade));
        Timing { delay, fade: rise, fall: Some(fall), curve }
    }
}

const CURVES: &[(&str, Curve)] = &[
    ("linear", Curve::Linear),
    ("s", Curve::S),
    ("rise", Curve::Rise),
    ("fall", Curve::Fall),
    ("snap", Curve::Snap),
];

impl Read for Curve {
    fn read(node: &Node, report: &Report) -> Option<Self> {
        word(report, node, CURVES)
    }
}
