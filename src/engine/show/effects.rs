//! `[effects.NAME]`: attributes that go up and down over and over.
//!
//! The phase of an effect spreads over its fixtures in the order in which it names them: the first begins, the others
//! come after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use units::{Level, Span};

use super::model::{Channel, Fixture, LaneId, Shape, Wave, WaveTarget};
use super::outputs::{FLASHES_PER_SECOND_EVER, FLASHES_PER_SECOND_MAX};
use super::patch::Patch;
use crate::fixture::attribute::INTENSITIES;
use crate::reader::{Entry, Node, Read, Report, Table, code, word};

/// What an effect does, its timing left open.
#[derive(Debug, Clone, Default)]
pub struct Effect {
    pub waves: Vec<WaveTarget>,
}

/// Every effect by name; none for one that is declared wrongly.
pub type Effects = BTreeMap<String, Option<Effect>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sine,
    Chase,
    Rainbow,
    Strobe,
    Points,
}

const KINDS: &[(&str, Kind)] = &[
    ("sine", Kind::Sine),
    ("chase", Kind::Chase),
    ("rainbow", Kind::Rainbow),
    ("strobe", Kind::Strobe),
    ("points", Kind::Points),
];

const KEYS: &[&str] =
    &["wave", "on", "attribute", "rate", "size", "offset", "spread", "width", "points"];

/// The hue that is a third further on.
const THIRD: u32 = u32::MAX / 3 + 1;

/// Colours that a rainbow moves, and how far their hue is behind red's; what takes light away goes the other way.
const HUES: [(&str, u32, bool); 6] = [
    ("red", 0, false),
    ("green", THIRD, false),
    ("blue", 2 * (u32::MAX / 3), false),
    ("cyan", 0, true),
    ("magenta", THIRD, true),
    ("yellow", 2 * (u32::MAX / 3), true),
];

/// Reads `[effects.NAME]`.
pub fn read(top: &Table, patch: &Patch, flash_limited: bool) -> Effects {
    let entries = top.entries("effects", "a table of effects, [effects.wave]");
    let effect = |it: &Entry| (it.key.clone(), effect(top.report, it, patch, flash_limited));
    entries.iter().map(effect).collect()
}

fn effect(report: &Report, entry: &Entry, patch: &Patch, limited: bool) -> Option<Effect> {
    let table = Table::open(report, &entry.node, "an effect", KEYS)?;
    if table.node("wave").is_none() {
        table.missing("wave");
    }
    if table.node("on").is_none() {
        table.missing("on");
    }
    let members = members(&table, patch);
    let kind = table.node("wave").and_then(|node| word(report, node, KINDS))?;
    only_for(&table, kind);
    let points = points(&table, kind);
    let rate = rate(&table, kind, &points, limited)?;
    let (low, high) = range(&table)?;
    let spread = percent(&table, "spread", if kind == Kind::Strobe { 0.0 } else { 100.0 });
    let width = width(&table, kind, members.len());
    let shape = match kind {
        Kind::Sine => Shape::Sine,
        Kind::Rainbow => Shape::Hue,
        Kind::Chase | Kind::Strobe => Shape::Pulse(width),
        Kind::Points => Shape::Points(points),
    };
    let period = Span::from_secs_f64(1.0 / rate);
    let wave = Wave { shape, period, phase: 0, low, high };
    let mut waves = Vec::new();
    for (place, member) in members.iter().enumerate() {
        let behind = spread / 100.0 * place as f64 / members.len() as f64;
        let phase = 0_u32.wrapping_sub(share(behind));
        let fixture = &patch.fixtures[*member];
        for (channel, hue, inverted) in moved(&table, kind, fixture) {
            let lane = LaneId { fixture: *member as u32, channel: channel as u32 };
            let (low, high) = if inverted { (high, low) } else { (low, high) };
            let phase = phase.wrapping_sub(hue);
            let wave = Arc::new(Wave { phase, low, high, ..wave.clone() });
            waves.push(WaveTarget { lane, wave, timing: 0 });
        }
    }
    if waves.is_empty() && !members.is_empty() {
        let message = format!("nothing that `{}` is on has such an attribute", entry.key);
        let spot = table.node("attribute").map_or(table.spot, |node| node.spot);
        report.error(spot, code::MISSING_ATTRIBUTE, message, None);
    }
    waves.sort_by_key(|it| it.lane);
    Some(Effect { waves })
}

/// Fixtures in the order in which they are named, each once.
fn members(table: &Table, patch: &Patch) -> Vec<usize> {
    let mut members: Vec<usize> = Vec::new();
    for node in table.node("on").map_or(&[][..], Node::one_or_many) {
        let Some(name) = String::read(node, table.report) else { continue };
        let named = match patch.named.get(&name) {
            Some(named) => named.members(),
            None => {
                let known = patch.named.keys().map(String::as_str);
                let what = "fixture or group";
                table.report.unknown(node.spot, code::UNKNOWN_FIXTURE, what, &name, known);
                &[]
            }
        };
        let new: Vec<usize> = named.iter().filter(|it| !members.contains(it)).copied().collect();
        members.extend(new);
    }
    members
}

/// Keys that mean nothing for a kind of effect.
fn only_for(table: &Table, kind: Kind) {
    if !matches!(kind, Kind::Chase | Kind::Strobe) {
        table.no_effect(&["width"], "wave = \"chase\"");
    }
    if kind != Kind::Points {
        table.no_effect(&["points"], "wave = \"points\"");
    }
    if kind == Kind::Rainbow
        && let Some(entry) = table.entry("attribute")
    {
        let message = "`attribute` does nothing for a rainbow, which moves colours".into();
        table.report.warn(entry.spot, code::NO_EFFECT, message, None);
    }
}

fn points(table: &Table, kind: Kind) -> Vec<Level> {
    let points = table.each("points");
    if kind == Kind::Points && !(2..=64).contains(&points.len()) {
        let spot = table.node("points").map_or(table.spot, |node| node.spot);
        let message = format!("a wave of points has 2 to 64 of them, not {}", points.len());
        table.report.error(spot, code::OUT_OF_RANGE, message, None);
    }
    points
}

/// Cycles a second. What flashes light holds to the limit that phones hold to.
fn rate(table: &Table, kind: Kind, points: &[Level], limited: bool) -> Option<f64> {
    let rate = table.or("rate", 1.0);
    let spot = table.node("rate").map_or(table.spot, |node| node.spot);
    if !(0.001..=FLASHES_PER_SECOND_EVER).contains(&rate) {
        let message = format!("`rate` must be 0.001 to 30 a second, not {rate}");
        table.report.error(spot, code::OUT_OF_RANGE, message, None);
        return None;
    }
    let flashes = rate * flashes(kind, points) as f64;
    if limited && lights(table, kind) && flashes > FLASHES_PER_SECOND_MAX {
        let message = format!("{flashes} flashes a second can cause seizures; 3 are safe");
        let help = "`flash_limit_off = \"reason\"` under [show] allows more";
        table.report.error(spot, code::FLASH_TOO_FAST, message, Some(help.into()));
    }
    Some(rate)
}

/// How often a cycle comes up.
fn flashes(kind: Kind, points: &[Level]) -> usize {
    if kind != Kind::Points {
        return 1;
    }
    let next = |index: usize| points[(index + 1) % points.len()];
    (0..points.len()).filter(|&it| next(it) > points[it]).count().max(1)
}

/// Whether it changes how bright something is, or its colour.
fn lights(table: &Table, kind: Kind) -> bool {
    let name = attribute(table);
    let channel = Channel { attribute: name, ..Channel::default() };
    kind == Kind::Rainbow || channel.is_intensity() || channel.is_colour()
}

fn attribute(table: &Table) -> String {
    table.or("attribute", "dimmer".to_string())
}

fn range(table: &Table) -> Option<(Level, Level)> {
    let (size, offset) = (table.or("size", Level::FULL), table.or("offset", Level::OUT));
    let size = if table.node("size").is_none() { offset.inverted() } else { size };
    let high = size.bits() + offset.bits();
    if high > Level::FULL.bits() {
        let spot = table.node("size").map_or(table.spot, |node| node.spot);
        let message = "`offset` and `size` together are more than full".into();
        table.report.error(spot, code::OUT_OF_RANGE, message, None);
        return None;
    }
    Some((offset, Level::from_bits(high)))
}

/// How much of the cycle a pulse takes: of a chase a fixture's share, so that one is lit at a time.
fn width(table: &Table, kind: Kind, members: usize) -> u32 {
    let one = if kind == Kind::Chase { 100.0 / members.max(1) as f64 } else { 50.0 };
    share(percent(table, "width", one) / 100.0)
}

fn percent(table: &Table, key: &str, default: f64) -> f64 {
    table.read::<Level>(key).map_or(default, Level::percent)
}

/// A share of a cycle, of 2^32.
fn share(turn: f64) -> u32 {
    (turn * 4_294_967_296.0) as u32
}

/// Which channels of a fixture it moves, how far behind in hue, and whether the other way round.
fn moved(table: &Table, kind: Kind, fixture: &Fixture) -> Vec<(usize, u32, bool)> {
    let channels = fixture.channels.iter().enumerate();
    if kind == Kind::Rainbow {
        let hue = |it: &Channel| HUES.iter().find(|(name, ..)| *name == it.attribute);
        return channels
            .filter_map(|(at, it)| hue(it).map(|(_, hue, turned)| (at, *hue, *turned)))
            .collect();
    }
    let name = attribute(table);
    let is_light = INTENSITIES.contains(&name.as_str());
    let dimmed = fixture.channels.iter().any(Channel::is_intensity);
    let wanted = |it: &Channel| match is_light {
        true if dimmed => it.is_intensity(),
        true => it.is_colour(),
        false => it.attribute == name,
    };
    channels.filter(|(_, it)| wanted(it)).map(|(at, _)| (at, 0, false)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_of_points_flashes_as_often_as_it_comes_up() {
        let points = [0, 9, 0, 9].map(Level::from_bits);
        assert_eq!(flashes(Kind::Points, &points), 2);
        assert_eq!(flashes(Kind::Points, &points[..2]), 1);
    }
}
