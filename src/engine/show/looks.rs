//! Looks: which fixture goes to which level. Written by name, resolved to lanes.
//!
//! Order decides: a cue's look before its own `levels`, in each of them groups before fixtures before cells, in each
//! of those as written. What comes later wins, attribute by attribute.

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

/// Every look by name.
pub type Looks = BTreeMap<String, Look>;

/// What some fixtures are to do: levels by channel, for each fixture.
type Setting = BTreeMap<usize, BTreeMap<usize, Level>>;

/// Reads `[looks.NAME]`.
pub fn read(top: &Table, patch: &Patch) -> Looks {
    let entries = top.entries("looks", "a table of looks, [looks.warm]");
    let look = |entry: &Entry| (entry.key.clone(), levels(top.report, &entry.node, patch));
    entries.iter().map(look).collect()
}

/// Reads a table of fixtures or groups with what they are to do.
pub fn levels(report: &Report, node: &Node, patch: &Patch) -> Look {
    let mut look = Look::default();
    let Some(entries) = node.entries() else {
        report.wrong_type(node, "levels for fixtures and groups, { front = { dimmer = 50 } }");
        return look;
    };
    for entry in entries {
        match patch.named.get(&entry.key) {
            Some(named) => one(report, entry, patch, named, &mut look),
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
fn one(report: &Report, entry: &Entry, patch: &Patch, named: &Named, look: &mut Look) {
    let cell = |key: &Entry| patch.named.get(&format!("{}.{}", entry.key, key.key));
    let keys = entry.node.entries().unwrap_or_default();
    let (cells, own): (Vec<&Entry>, Vec<&Entry>) = keys.iter().partition(|it| cell(it).is_some());
    for it in cells {
        look.cells
            .push(Reader::new(report, it, patch, cell(it).map_or(&[], Named::members)).setting());
    }
    let reader = Reader::new(report, entry, patch, named.members());
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
    report: &'a Report,
    entry: &'a Entry,
    fixtures: Vec<(usize, &'a Fixture)>,
}

impl<'a> Reader<'a> {
    fn new(report: &'a Report, entry: &'a Entry, patch: &'a Patch, members: &[usize]) -> Self {
        Self {
            report,
            entry,
            fixtures: members.iter().map(|&it| (it, &patch.fixtures[it])).collect(),
        }
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

    /// Colours and intensities first: what is said of one channel goes over them.
    fn keys(&self, keys: impl IntoIterator<Item = &'a Entry>) -> Setting {
        let mut setting = Setting::new();
        let mut later = Vec::new();
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
            for channel in channels(fixture, is_intensity) {
                able = true;
                level.into_iter().for_each(|level| set(setting, *index, channel, level));
            }
        }
        self.say_unless(able, key, name);
    }

    fn attribute(&self, key: &Entry, setting: &mut Setting) {
        let asked = Asked::read(&key.node, self.report);
        let mut able = false;
        for (index, fixture) in &self.fixtures {
            for channel in channels(fixture, |name| name == key.key) {
                able = true;
                let it = &fixture.channels[channel];
                let level = asked
                    .as_ref()
                    .and_then(|asked| asked.level(it, &fixture.name, &key.node, self.report));
                level.into_iter().for_each(|level| set(setting, *index, channel, level));
            }
        }
        self.say_unless(able, key, &key.key);
    }

    /// That none of the fixtures can do it; in a group those that cannot are left alone.
    fn say_unless(&self, able: bool, key: &Entry, attribute: &str) {
        // A group that could not be read has no fixtures, and what it lacks is not known.
        if able || self.fixtures.is_empty() {
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

fn channels(fixture: &Fixture, is_it: impl Fn(&str) -> bool) -> Vec<usize> {
    let all = fixture.channels.iter().enumerate();
    all.filter(|(_, it)| is_it(&it.attribute)).map(|(index, _)| index).collect()
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
        for setting in look.groups.iter().chain(&look.fixtures).chain(&look.cells) {
            for (fixture, channels) in setting {
                let lane =
                    |channel: &usize| LaneId { fixture: *fixture as u32, channel: *channel as u32 };
                levels.extend(channels.iter().map(|(channel, level)| (lane(channel), *level)));
            }
        }
    }
    levels.into_iter().map(|(lane, level)| Target { lane, level, timing: 0 }).collect()
}
