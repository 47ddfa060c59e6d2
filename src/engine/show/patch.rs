//! `[fixtures]` and `[groups]`: what hangs where, and what it is called together.

use std::collections::BTreeMap;
use std::ops::Range;

use units::{Slot, Universe};

use super::model::{Fixture, UniverseOut};
use super::profiles::{self, Profiles};
use super::universes;
use crate::reader::{Entry, Node, Read, Report, Spot, Table, code, whole};

/// Everything that can be named in a look.
#[derive(Debug, Default)]
pub struct Patch {
    /// In the order of the file.
    pub fixtures: Vec<Fixture>,
    /// Fixtures and groups by name.
    pub named: BTreeMap<String, Named>,
}

/// What a name in a look stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Named {
    /// A fixture; its index, or none if it is declared wrongly.
    Fixture(Option<usize>),
    /// A group; the indices of its fixtures.
    Group(Vec<usize>),
}

impl Patch {
    /// Reads the patch; universes that it uses and nobody declared come to `universes`.
    pub fn read(top: &Table, universes: &mut BTreeMap<Universe, UniverseOut>) -> Self {
        let profiles = profiles::read(top);
        let mut patch = Self::default();
        let mut slots = Slots { report: top.report, taken: BTreeMap::new() };
        for entry in top.entries("fixtures", "a table of fixtures, [fixtures]") {
            let fixture = fixture(top.report, entry, &profiles);
            let placed = fixture.map(|placed| {
                slots.take(&placed);
                universes.entry(placed.fixture.universe).or_insert_with(universes::undeclared);
                patch.fixtures.push(placed.fixture);
                patch.fixtures.len() - 1
            });
            patch.named.insert(entry.key.clone(), Named::Fixture(placed));
        }
        patch.groups(top);
        patch
    }

    fn groups(&mut self, top: &Table) {
        let fixtures = self.named.clone();
        for entry in top.entries("groups", "a table of groups, [groups]") {
            if fixtures.contains_key(&entry.key) {
                let message = format!("`{}` is a fixture already", entry.key);
                top.report.error(entry.spot, code::DUPLICATE_NAME, message, None);
                continue;
            }
            let members = entry.node.one_or_many().iter();
            let mut group: Vec<usize> =
                members.filter_map(|node| member(top.report, node, &fixtures)).collect();
            group.sort_unstable();
            group.dedup();
            self.named.insert(entry.key.clone(), Named::Group(group));
        }
    }
}

fn member(report: &Report, node: &Node, fixtures: &BTreeMap<String, Named>) -> Option<usize> {
    let name = String::read(node, report)?;
    match fixtures.get(&name) {
        Some(Named::Fixture(index)) => *index,
        _ => {
            let known = fixtures.keys().map(String::as_str);
            report.unknown(node.spot, code::UNKNOWN_FIXTURE, "fixture", &name, known);
            None
        }
    }
}

/// A fixture with the slots it takes, counted from 1, and the spot of its address.
struct Placed {
    fixture: Fixture,
    slots: Range<u16>,
    spot: Spot,
}

fn fixture(report: &Report, entry: &Entry, profiles: &Profiles) -> Option<Placed> {
    let table = Table::open(report, &entry.node, "a fixture", &["profile", "universe", "address"])?;
    let universe = table.need::<Universe>("universe");
    let address = table.need::<Slot>("address");
    let name = table.need::<String>("profile")?;
    let Some(profile) = profiles.get(&name) else {
        let known = profiles.keys().map(String::as_str);
        let spot = table.node("profile").map_or(table.spot, |node| node.spot);
        report.unknown(spot, code::UNKNOWN_PROFILE, "profile", &name, known);
        return None;
    };
    let (universe, address, profile) = (universe?, address?, profile.as_ref()?);
    let spot = table.node("address").map_or(table.spot, |node| node.spot);
    let slots = address.number()..address.number() + profile.slots;
    if usize::from(slots.end) > Universe::SLOTS + 1 {
        beyond(report, spot, entry, address, profile.slots);
        return None;
    }
    let channels = profile.channels.clone();
    let fixture = Fixture { name: entry.key.clone(), universe, address, channels };
    Some(Placed { fixture, slots, spot })
}

fn beyond(report: &Report, spot: Spot, entry: &Entry, address: Slot, slots: u16) {
    let message = format!(
        "`{}` takes {slots} slots from {address}, and a universe ends at {}",
        entry.key,
        Universe::SLOTS
    );
    let help = format!("{} is the last address that fits", Universe::SLOTS as u16 + 1 - slots);
    report.error(spot, code::BEYOND_UNIVERSE, message, Some(help));
}

/// Who has which slots. A profile's unused slots count: the fixture listens there, too.
struct Slots<'a> {
    report: &'a Report,
    taken: BTreeMap<(Universe, u16), (String, Spot)>,
}

impl Slots<'_> {
    fn take(&mut self, placed: &Placed) {
        let Placed { fixture, slots, spot } = placed;
        let universe = fixture.universe;
        let other = slots.clone().find_map(|slot| Some((slot, self.taken.get(&(universe, slot))?)));
        if let Some((slot, (name, first))) = other {
            let place = self.report.place(*first);
            let message = format!(
                "`{}` overlaps `{name}` ({place}) at slot {slot} of universe {universe}",
                fixture.name
            );
            self.report.error(*spot, code::ADDRESS_OVERLAP, message, self.free_for(placed));
            return;
        }
        for slot in slots.clone() {
            self.taken.insert((universe, slot), (fixture.name.clone(), *spot));
        }
    }

    /// The next address where the fixture fits.
    fn free_for(&self, placed: &Placed) -> Option<String> {
        let universe = placed.fixture.universe;
        let length = placed.slots.len() as u16;
        let free =
            |at: &u16| (*at..at + length).all(|slot| !self.taken.contains_key(&(universe, slot)));
        let at = (placed.slots.start..=Universe::SLOTS as u16 + 1 - length).find(free)?;
        Some(format!("address {at} is free"))
    }
}

impl Read for Universe {
    fn read(node: &Node, report: &Report) -> Option<Self> {
        whole(report, node, 1..=63_999).and_then(|it| Self::new(it).ok())
    }
}

impl Read for Slot {
    fn read(node: &Node, report: &Report) -> Option<Self> {
        whole(report, node, 1..=512).and_then(|it| Self::new(it).ok())
    }
}
