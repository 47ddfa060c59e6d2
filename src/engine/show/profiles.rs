//! `[profiles.NAME]`: what the slots of a kind of fixture do.

use std::collections::BTreeMap;

use units::Level;

use super::model::{Channel, Merge};
use crate::reader::{Entry, Node, Read, Report, Spot, Table, Value, code};

/// A kind of fixture.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    pub channels: Vec<Channel>,
    /// How many slots it takes, unused ones included.
    pub slots: u16,
}

/// Every profile by name; none for one that is declared wrongly, so that using it is no second mistake.
pub type Profiles = BTreeMap<String, Option<Profile>>;

/// What an intensity is called: both mean the same in looks.
pub const INTENSITIES: [&str; 2] = ["dimmer", "intensity"];

/// Colours of light that is added up. (Cyan, magenta and yellow take light away: no light is their full.)
const COLOURS: [&str; 9] =
    ["red", "green", "blue", "white", "amber", "lime", "uv", "warm-white", "cool-white"];

const BUILT_IN: [(&str, &[&str]); 6] = [
    ("generic/dimmer", &["dimmer"]),
    ("generic/rgb", &["red", "green", "blue"]),
    ("generic/rgbw", &["red", "green", "blue", "white"]),
    ("generic/dimmer-rgb", &["dimmer", "red", "green", "blue"]),
    ("generic/dimmer-rgbw", &["dimmer", "red", "green", "blue", "white"]),
    ("generic/mover", &["pan/16", "tilt/16", "dimmer", "red", "green", "blue"]),
];

/// The built-in profiles and those of the show.
pub fn read(top: &Table) -> Profiles {
    let mut profiles: Profiles =
        BUILT_IN.iter().map(|&(name, channels)| (name.into(), Some(built_in(channels)))).collect();
    for entry in top.entries("profiles", "a table of profiles, [profiles.my-par]") {
        if BUILT_IN.iter().any(|&(name, _)| name == entry.key) {
            let message = format!("`{}` is built in; give yours another name", entry.key);
            top.report.error(entry.spot, code::DUPLICATE_NAME, message, None);
        } else {
            profiles.insert(entry.key.clone(), profile(top.report, entry));
        }
    }
    profiles
}

impl Channel {
    /// Whether it is how bright the whole fixture is.
    pub fn is_intensity(&self) -> bool {
        INTENSITIES.contains(&self.attribute.as_str())
    }
    /// Whether it is how bright one of its colours is.
    pub fn is_colour(&self) -> bool {
        COLOURS.contains(&self.attribute.as_str())
    }
}

fn built_in(names: &[&str]) -> Profile {
    let mut profile = Profile::default();
    for name in names {
        profile.add(channel_name(name).expect("built-in channels are well written"));
    }
    profile.settle_merges();
    // A moving light that nobody has turned yet looks straight ahead.
    for channel in profile.channels.iter_mut().filter(|it| it.offsets.len() > 1) {
        channel.rest = Level::from_percent(50.0).expect("half is in range");
    }
    profile
}

fn profile(report: &Report, entry: &Entry) -> Option<Profile> {
    let table = Table::open(report, &entry.node, "a profile", &["channels", "rest"])?;
    let Some(node) = table.node("channels") else {
        table.missing("channels");
        return None;
    };
    let mut profile = Profile::default();
    let mut first: BTreeMap<String, Spot> = BTreeMap::new();
    for item in node.one_or_many() {
        let named = channel(report, item)?;
        if let Some((name, _)) = named
            && let Some(first) = first.insert(name.into(), item.spot)
        {
            report.duplicate(item.spot, code::DUPLICATE_NAME, &format!("`{name}`"), first);
            return None;
        }
        profile.add(named);
    }
    if profile.channels.is_empty() || profile.slots > 512 {
        let message = format!("a profile must have 1 to 512 slots in use, not {}", profile.slots);
        report.error(node.spot, code::OUT_OF_RANGE, message, None);
        return None;
    }
    profile.settle_merges();
    profile.rest(&table);
    Some(profile)
}

/// An attribute and how many slots it has; none for an unused slot.
type Named<'a> = Option<(&'a str, u16)>;

fn channel<'a>(report: &Report, node: &'a Node) -> Option<Named<'a>> {
    let Value::Text(text) = &node.value else {
        report.wrong_type(node, "a channel such as \"red\", \"pan/16\" or \"-\"");
        return None;
    };
    channel_name(text).or_else(|| {
        let message = format!("`{text}` is not a channel");
        let help = "small letters, digits and `-`, such as \"red\"; \"pan/16\" for two slots, \"-\" for an unused one";
        report.error(node.spot, code::OUT_OF_RANGE, message, Some(help.into()));
        None
    })
}

fn channel_name(text: &str) -> Option<Named<'_>> {
    if text == "-" {
        return Some(None);
    }
    let fine = [("/16", 2), ("/24", 3)];
    let (name, slots) = fine
        .iter()
        .find_map(|&(bits, slots)| Some((text.strip_suffix(bits)?, slots)))
        .unwrap_or((text, 1));
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    // `color` is how looks set three channels at once.
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(letter)
        && name != "color";
    good.then_some(Some((name, slots)))
}

impl Profile {
    fn add(&mut self, named: Named) {
        let offset = self.slots;
        let Some((name, slots)) = named else {
            self.slots = self.slots.saturating_add(1);
            return;
        };
        self.slots = self.slots.saturating_add(slots);
        let offsets = (offset..self.slots).collect();
        self.channels.push(Channel { attribute: name.into(), offsets, ..Channel::default() });
    }

    /// Intensities are shared by HTP. Colours are intensities too, where nothing else makes the fixture dark.
    fn settle_merges(&mut self) {
        let dimmed = self.channels.iter().any(Channel::is_intensity);
        for channel in &mut self.channels {
            if channel.is_intensity() || channel.is_colour() && !dimmed {
                channel.merge = Merge::Htp;
            }
        }
    }

    fn rest(&mut self, table: &Table) {
        for entry in table.entries("rest", "levels at rest, { pan = 50 }") {
            let level = Level::read(&entry.node, table.report);
            match self.channels.iter_mut().find(|channel| channel.attribute == entry.key) {
                Some(channel) => channel.rest = level.unwrap_or(Level::OUT),
                None => {
                    let names = self.channels.iter().map(|channel| channel.attribute.as_str());
                    table.report.unknown(
                        entry.spot,
                        code::MISSING_ATTRIBUTE,
                        "channel",
                        &entry.key,
                        names,
                    );
                }
            }
        }
    }
}
