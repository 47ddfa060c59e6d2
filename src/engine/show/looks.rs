//! Looks: which fixture goes to which level. Written by name and in percent, resolved to lanes.
//!
//! Order decides: a cue's look before its own `levels`, in each of them groups before fixtures, in each of those
//! as written. What comes later wins, attribute by attribute.

use std::collections::BTreeMap;

use units::{Level, Rgb};

use super::model::{Channel, Fixture, LaneId, Target};
use super::patch::{Named, Patch};
use super::profiles::INTENSITIES;
use crate::reader::{Entry, Node, Read, Report, Table, Value, code, in_range};

/// Levels for fixtures, groups first, each in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Look {
    groups: Vec<Setting>,
    fixtures: Vec<Setting>,
}

/// Every look by name.
pub type Looks = BTreeMap<String, Look>;

/// What some fixtures are to do.
#[derive(Debug, Clone, Default)]
struct Setting {
    fixtures: Vec<usize>,
    colour: Option<Rgb>,
    intensity: Option<Level>,
    attributes: Vec<(String, Level)>,
}

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
            Some(Named::Group(members)) => {
                look.groups.extend(setting(report, entry, patch, members));
            }
            Some(Named::Fixture(Some(index))) => {
                look.fixtures.extend(setting(report, entry, patch, &[*index]));
            }
            Some(Named::Fixture(None)) => {}
            None => {
                let known = patch.named.keys().map(String::as_str);
                report.unknown(
                    entry.spot,
                    code::UNKNOWN_FIXTURE,
                    "fixture or group",
                    &entry.key,
                    known,
                );
            }
        }
    }
    look
}

fn setting(report: &Report, entry: &Entry, patch: &Patch, members: &[usize]) -> Option<Setting> {
    let reader =
        Reader { report, entry, fixtures: members.iter().map(|&it| &patch.fixtures[it]).collect() };
    let mut setting = Setting { fixtures: members.to_vec(), ..Setting::default() };
    match &entry.node.value {
        Value::Number(_) => {
            let able = reader.any(entry, "dimmer", can_dim);
            setting.intensity = Level::read(&entry.node, report).filter(|_| able);
        }
        Value::Table(keys) => keys.iter().for_each(|key| reader.key(key, &mut setting)),
        _ => {
            report.wrong_type(&entry.node, "an intensity in percent, or attributes { red = 50 }");
            return None;
        }
    }
    Some(setting)
}

struct Reader<'a> {
    report: &'a Report,
    entry: &'a Entry,
    fixtures: Vec<&'a Fixture>,
}

impl Reader<'_> {
    fn key(&self, key: &Entry, setting: &mut Setting) {
        let name = key.key.as_str();
        if name == "color" {
            let able = self.any(key, "color", |it| RGB.iter().any(|part| find(it, part).is_some()));
            setting.colour = Rgb::read(&key.node, self.report).filter(|_| able);
        } else if INTENSITIES.contains(&name) {
            let able = self.any(key, name, can_dim);
            setting.intensity = Level::read(&key.node, self.report).filter(|_| able);
        } else if self.any(key, name, |it| find(it, name).is_some()) {
            let level = Level::read(&key.node, self.report);
            setting.attributes.extend(level.map(|level| (name.into(), level)));
        }
    }

    /// Whether one of the fixtures can do it; in a group the others are left alone.
    fn any(&self, key: &Entry, attribute: &str, able: impl Fn(&Fixture) -> bool) -> bool {
        // A group that could not be read has no fixtures, and what it lacks is not known.
        let any = self.fixtures.is_empty() || self.fixtures.iter().any(|it| able(it));
        if !any {
            let message = format!("`{}` has no `{attribute}`", self.entry.key);
            let mut known: Vec<&str> = self
                .fixtures
                .iter()
                .flat_map(|it| &it.channels)
                .map(|it| it.attribute.as_str())
                .collect();
            known.sort_unstable();
            known.dedup();
            let help = crate::reader::suggestion(attribute, known.into_iter());
            self.report.error(key.spot, code::MISSING_ATTRIBUTE, message, help);
        }
        any
    }
}

const RGB: [&str; 3] = ["red", "green", "blue"];

fn can_dim(fixture: &Fixture) -> bool {
    fixture.channels.iter().any(|it| it.is_intensity() || it.is_colour())
}

fn find<'a>(fixture: &'a Fixture, attribute: &str) -> Option<&'a Channel> {
    fixture.channels.iter().find(|channel| channel.attribute == attribute)
}

impl Read for Level {
    /// In percent.
    fn read(node: &Node, report: &Report) -> Option<Self> {
        in_range(report, node, Self::from_percent(f64::read(node, report)?))
    }
}

/// Lanes and levels of several looks, one over the other; sorted by lane, with the cue's own timing.
pub fn targets(looks: &[&Look], patch: &Patch) -> Vec<Target> {
    let mut states: BTreeMap<usize, State> = BTreeMap::new();
    for setting in looks.iter().flat_map(|look| look.groups.iter().chain(&look.fixtures)) {
        for &index in &setting.fixtures {
            states.entry(index).or_default().apply(setting, &patch.fixtures[index]);
        }
    }
    states
        .into_iter()
        .flat_map(|(index, state)| state.targets(index as u32, &patch.fixtures[index]))
        .collect()
}

/// What one fixture has been told so far, by attribute.
#[derive(Debug, Default)]
struct State {
    levels: BTreeMap<String, Level>,
    /// The dimmer that a fixture without one would have: it scales the colours.
    scale: Option<Level>,
}

impl State {
    fn apply(&mut self, setting: &Setting, fixture: &Fixture) {
        if let Some(Rgb { red, green, blue }) = setting.colour {
            for (part, value) in RGB.into_iter().zip([red, green, blue]) {
                self.set(fixture, part, Level::from_slot(value));
            }
        }
        if let Some(level) = setting.intensity {
            match fixture.channels.iter().find(|channel| channel.is_intensity()) {
                Some(channel) => self.set(fixture, &channel.attribute, level),
                None => self.scale = Some(level),
            }
        }
        for (attribute, level) in &setting.attributes {
            self.set(fixture, attribute, *level);
        }
    }

    fn set(&mut self, fixture: &Fixture, attribute: &str, level: Level) {
        if find(fixture, attribute).is_some() {
            self.levels.insert(attribute.into(), level);
        }
    }

    fn targets(mut self, index: u32, fixture: &Fixture) -> Vec<Target> {
        if let Some(scale) = self.scale {
            self.scale_colours(fixture, scale);
        }
        let target = |(channel, it): (usize, &Channel)| {
            let lane = LaneId { fixture: index, channel: channel as u32 };
            Some(Target { lane, level: *self.levels.get(&it.attribute)?, timing: 0 })
        };
        fixture.channels.iter().enumerate().filter_map(target).collect()
    }

    /// With a colour it scales that; without one it is white light of that strength.
    fn scale_colours(&mut self, fixture: &Fixture, scale: Level) {
        let colours: Vec<&Channel> = fixture.channels.iter().filter(|it| it.is_colour()).collect();
        let coloured = colours.iter().any(|it| self.levels.contains_key(&it.attribute));
        for channel in colours {
            match self.levels.get_mut(&channel.attribute) {
                Some(level) => *level = level.scaled(scale),
                None if !coloured => {
                    self.levels.insert(channel.attribute.clone(), scale);
                }
                None => {}
            }
        }
    }
}
