//! Looks: which fixture goes to which level. Written by name, resolved to lanes.
//!
//! Order decides: a cue's look before its own `levels`, in each of them groups before fixtures before cells, in each
//! of those as written. What comes later wins, attribute by attribute.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use units::Level;

use super::model::{Channel, Fixture, LaneId, Target};
use super::patch::{Named, Patch};
use super::values::Asked;
use crate::fixture::attribute::{INTENSITIES, is_intensity};
use crate::fixture::mix::{self, mix};
use crate::fixture::{Colour, Kelvin};
use crate::reader::{Entry, Node, Read, Report, Table, Value, code, in_range};

/// Levels for fixtures: groups first, cells last, each in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Look {
    groups: Vec<Setting>,
    fixtures: Vec<Setting>,
    cells: Vec<Setting>,
}

/// Every palette by name; none for one that is declared wrongly.
pub type Palettes = BTreeMap<String, Option<Palette>>;

/// Levels to be used in many looks: the same for whoever uses it, or each fixture's own.
#[derive(Debug, Clone, Default)]
pub struct Palette {
    /// As written: what a colour is depends on who uses it.
    all: Vec<Entry>,
    own: Look,
}

/// Every look by name.
pub type Looks = BTreeMap<String, Look>;

/// What some fixtures are to do: levels by channel, for each fixture.
type Setting = BTreeMap<usize, BTreeMap<usize, Level>>;

/// Reads `[palettes.NAME]`: attributes, and fixtures or groups with attributes of their own.
pub fn palettes(top: &Table, patch: &Patch) -> Palettes {
    let entries = top.entries("palettes", "a table of palettes, [palettes.warm]");
    entries.iter().map(|it| (it.key.clone(), palette(top.report, it, patch))).collect()
}

fn palette(report: &Report, entry: &Entry, patch: &Patch) -> Option<Palette> {
    let Some(entries) = entry.node.entries() else {
        report.wrong_type(&entry.node, "a palette, { color = \"#ff9030\" }");
        return None;
    };
    let is_own = |it: &Entry| it.node.entries().is_some() && !patch.has_attribute(&it.key);
    let (own, all): (Vec<Entry>, Vec<Entry>) = entries.iter().cloned().partition(is_own);
    let none = Palettes::new();
    // Of nobody: what is wrong with it for whoever uses it is said here, once.
    Reader::new(Ground { report, patch, palettes: &none }, entry, &[]).keys(&all);
    let own = of_entries(Ground { report, patch, palettes: &none }, &own);
    Some(Palette { all, own })
}

/// Reads `[looks.NAME]`.
pub fn read(top: &Table, patch: &Patch, palettes: &Palettes) -> Looks {
    let entries = top.entries("looks", "a table of looks, [looks.warm]");
    let look =
        |entry: &Entry| (entry.key.clone(), levels(top.report, &entry.node, patch, palettes));
    entries.iter().map(look).collect()
}

/// Reads a table of fixtures or groups with what they are to do.
pub fn levels(report: &Report, node: &Node, patch: &Patch, palettes: &Palettes) -> Look {
    let Some(entries) = node.entries() else {
        report.wrong_type(node, "levels for fixtures and groups, { front = { dimmer = 50 } }");
        return Look::default();
    };
    of_entries(Ground { report, patch, palettes }, entries)
}

/// What looks stand on.
#[derive(Clone, Copy)]
struct Ground<'a> {
    report: &'a Report,
    patch: &'a Patch,
    palettes: &'a Palettes,
}

fn of_entries(ground: Ground, entries: &[Entry]) -> Look {
    let Ground { report, patch, .. } = ground;
    let mut look = Look::default();
    for entry in entries {
        match patch.named.get(&entry.key) {
            Some(named) => one(ground, entry, named, &mut look),
            None => {
                let known = patch.named.keys().map(String::as_str);
                let what = "fixture or group";
                report.unknown(entry.spot, code::UNKNOWN_FIXTURE, what, &entry.key, known);
            }
        }
    }
    look
}

/// What is said of a name, and of its cells within (`bar.3 = 50` is read as a table in a table).
fn one(ground: Ground, entry: &Entry, named: &Named, look: &mut Look) {
    let cell = |key: &Entry| ground.patch.named.get(&format!("{}.{}", entry.key, key.key));
    let keys = entry.node.entries().unwrap_or_default();
    let (cells, own): (Vec<&Entry>, Vec<&Entry>) = keys.iter().partition(|it| cell(it).is_some());
    for it in cells {
        let members = cell(it).map_or(&[][..], Named::members);
        look.cells.push(Reader::new(ground, it, members).setting());
    }
    let reader = Reader::new(ground, entry, named.members());
    let setting = match &entry.node.value {
        Value::Table(_) => reader.keys(own),
        _ => reader.setting(),
    };
    match named {
        Named::Group(_) => look.groups.push(setting),
        Named::Fixture(_) => look.fixtures.push(setting),
        Named::Cell(_) => look.cells.push(setting),
    }
}

struct Reader<'a> {
    ground: Ground<'a>,
    report: &'a Report,
    entry: &'a Entry,
    fixtures: Vec<(usize, &'a Fixture)>,
    /// Which channels have an attribute; gone through once, since a look of a large stage has as many attributes as
    /// fixtures have channels.
    by_attribute: OnceCell<BTreeMap<&'a str, Vec<LaneOf<'a>>>>,
    /// A palette is for whoever can do it.
    of_palette: bool,
}

/// A channel and its place: of which fixture, and which of its channels.
#[derive(Clone, Copy)]
struct LaneOf<'a> {
    fixture: (usize, &'a Fixture),
    channel: usize,
}

impl<'a> Reader<'a> {
    /// For these fixtures, in their order.
    fn new(ground: Ground<'a>, entry: &'a Entry, members: &[usize]) -> Self {
        let fixtures = members.iter().map(|&it| (it, &ground.patch.fixtures[it])).collect();
        let (report, by_attribute) = (ground.report, OnceCell::new());
        Self { ground, report, entry, fixtures, by_attribute, of_palette: false }
    }

    /// The channels of that attribute, fixture by fixture.
    fn channels(&self, attribute: &str) -> &[LaneOf<'a>] {
        let by_attribute = self.by_attribute.get_or_init(|| {
            let mut all: BTreeMap<&str, Vec<LaneOf>> = BTreeMap::new();
            for &fixture in &self.fixtures {
                for (channel, it) in fixture.1.channels.iter().enumerate() {
                    all.entry(&it.attribute).or_default().push(LaneOf { fixture, channel });
                }
            }
            all
        });
        by_attribute.get(attribute).map_or(&[], Vec::as_slice)
    }

    fn setting(&self) -> Setting {
        match &self.entry.node.value {
            Value::Number(_) => {
                let mut setting = Setting::new();
                self.intensity(self.entry, INTENSITIES[0], &mut setting);
                setting
            }
            Value::Table(keys) => self.keys(keys),
            _ => {
                let wanted = "an intensity in percent, or attributes { red = 50 }";
                self.report.wrong_type(&self.entry.node, wanted);
                Setting::new()
            }
        }
    }

    /// Palettes first, then colours and intensities: what is said of one channel goes over them.
    fn keys(&self, keys: impl IntoIterator<Item = &'a Entry>) -> Setting {
        let mut setting = Setting::new();
        let mut later = Vec::new();
        let (palettes, keys): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|it| it.key == "palette");
        for node in palettes.iter().flat_map(|it| it.node.one_or_many()) {
            self.palette(node, &mut setting);
        }
        for key in keys {
            match key.key.as_str() {
                "color" => self.colour(key, &mut setting),
                name if INTENSITIES.contains(&name) => self.intensity(key, name, &mut setting),
                _ => later.push(key),
            }
        }
        later.into_iter().for_each(|key| self.attribute(key, &mut setting));
        setting
    }

    /// What it has for the very fixture goes over what it has for all.
    fn palette(&self, node: &Node, setting: &mut Setting) {
        let Some(name) = String::read(node, self.report) else { return };
        let Some(palette) = self.ground.palettes.get(&name) else {
            let known = self.ground.palettes.keys().map(String::as_str);
            self.report.unknown(node.spot, code::UNKNOWN_PALETTE, "palette", &name, known);
            return;
        };
        let Some(Palette { all, own }) = palette else { return };
        let members: Vec<usize> = self.fixtures.iter().map(|(index, _)| *index).collect();
        let reader = Reader { of_palette: true, ..Reader::new(self.ground, self.entry, &members) };
        over(setting, &reader.keys(all));
        for it in own.settings() {
            let mine = it.iter().filter(|(index, _)| members.binary_search(index).is_ok());
            over(setting, &mine.map(|(index, levels)| (*index, levels.clone())).collect());
        }
    }

    fn colour(&self, key: &Entry, setting: &mut Setting) {
        let Some(colour) = Colour::read(&key.node, self.report) else { return };
        let mut able = false;
        for (index, fixture) in &self.fixtures {
            let kit: Vec<mix::Part> = fixture.channels.iter().map(mixed).collect();
            let Some(drives) = mix(colour, &kit) else { continue };
            able = true;
            for (channel, drive) in drives.iter().enumerate() {
                if let Some(drive) = drive {
                    set(setting, *index, channel, crate::fixture::level(*drive));
                }
            }
        }
        self.say_unless(able, key, "color");
    }

    /// Whether one of them knows no colours but temperatures.
    fn any_white(&self) -> bool {
        let able = |(_, fixture): &(usize, &Fixture)| {
            let kit: Vec<mix::Part> = fixture.channels.iter().map(mixed).collect();
            mix(Colour::White(Kelvin::WARM), &kit).is_some()
        };
        self.fixtures.iter().any(able)
    }

    fn intensity(&self, key: &Entry, name: &str, setting: &mut Setting) {
        let level = Level::read(&key.node, self.report);
        let mut able = false;
        for (index, fixture) in &self.fixtures {
            let all = fixture.channels.iter().enumerate();
            for (channel, _) in all.filter(|(_, it)| is_intensity(&it.attribute)) {
                able = true;
                level.into_iter().for_each(|level| set(setting, *index, channel, level));
            }
        }
        self.say_unless(able, key, name);
    }

    fn attribute(&self, key: &Entry, setting: &mut Setting) {
        let asked = Asked::read(&key.node, self.report);
        let lanes = self.channels(&key.key);
        for &LaneOf { fixture: (index, fixture), channel } in lanes {
            let it = &fixture.channels[channel];
            let level = asked
                .as_ref()
                .and_then(|asked| asked.level(it, &fixture.name, &key.node, self.report));
            level.into_iter().for_each(|level| set(setting, index, channel, level));
        }
        self.say_unless(!lanes.is_empty(), key, &key.key);
    }

    /// That none of the fixtures can do it; in a group those that cannot are left alone.
    fn say_unless(&self, able: bool, key: &Entry, attribute: &str) {
        // A group that could not be read has no fixtures, and what it lacks is not known.
        if able || self.of_palette || self.fixtures.is_empty() {
            return;
        }
        let message = format!("`{}` has no `{attribute}`", self.entry.key);
        let channels = self.fixtures.iter().flat_map(|(_, it)| &it.channels);
        let mut known: Vec<&str> = channels.map(|it| it.attribute.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        let help = match attribute {
            "color" if self.any_white() => Some("it has a temperature, color = \"3200K\"".into()),
            _ => crate::reader::suggestion(attribute, known.into_iter()),
        };
        self.report.error(key.spot, code::MISSING_ATTRIBUTE, message, help);
    }
}

fn mixed(channel: &Channel) -> mix::Part<'_> {
    let kelvin = match channel.range {
        Some(crate::fixture::Range::Kelvin(kelvin)) => Some(kelvin),
        _ => None,
    };
    mix::Part { attribute: &channel.attribute, kelvin, open: channel.rest.percent() / 100.0 }
}

fn set(setting: &mut Setting, fixture: usize, channel: usize, level: Level) {
    setting.entry(fixture).or_default().insert(channel, level);
}

fn over(setting: &mut Setting, what: &Setting) {
    for (fixture, levels) in what {
        setting.entry(*fixture).or_default().extend(levels);
    }
}

impl Look {
    /// In the order in which they go over each other.
    fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.groups.iter().chain(&self.fixtures).chain(&self.cells)
    }
}

impl Read for Level {
    /// In percent.
    fn read(node: &Node, report: &Report) -> Option<Self> {
        in_range(report, node, Self::from_percent(f64::read(node, report)?))
    }
}

/// Lanes and levels of several looks, one over the other; sorted.
pub fn targets(looks: &[&Look]) -> Vec<Target> {
    let mut levels: BTreeMap<LaneId, Level> = BTreeMap::new();
    for look in looks {
        for setting in look.settings() {
            for (fixture, channels) in setting {
                let lane =
                    |channel: &usize| LaneId { fixture: *fixture as u32, channel: *channel as u32 };
                levels.extend(channels.iter().map(|(channel, level)| (lane(channel), *level)));
            }
        }
    }
    levels.into_iter().map(|(lane, level)| Target { lane, level, timing: 0 }).collect()
}
