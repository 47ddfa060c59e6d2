//! `[fixtures]` and `[groups]`: what hangs where, and what it is called together.

use std::collections::BTreeMap;
use std::ops::Range;

use units::{Slot, Universe};

use super::hang::{self, DimmerCurve, Hanging, Piece};
use super::load::Source;
use super::model::{Fixture, UniverseOut};
use super::profiles::Profiles;
use super::universes;
use crate::fixture::{Kind, Mode};
use crate::reader::{Entry, Node, Read, Report, Spot, Table, code, whole, word};

/// Everything that can be named in a look.
#[derive(Debug, Default)]
pub struct Patch {
    /// In the order of the file.
    pub fixtures: Vec<Fixture>,
    /// Fixtures, their cells, and groups by name.
    pub named: BTreeMap<String, Named>,
    /// Every fixture as a whole: its name, the indices of its pieces, and where it stands.
    pub hung: Vec<(String, Vec<usize>, Spot)>,
}

/// What a name in a look stands for; indices, none where it is declared wrongly.
#[derive(Debug, Clone, PartialEq)]
pub enum Named {
    /// A fixture with all its cells.
    Fixture(Vec<usize>),
    /// One cell of a fixture.
    Cell(usize),
    /// The fixtures and cells of a group.
    Group(Vec<usize>),
}

impl Named {
    /// All that it stands for.
    pub fn members(&self) -> &[usize] {
        match self {
            Self::Fixture(members) | Self::Group(members) => members,
            Self::Cell(member) => std::slice::from_ref(member),
        }
    }
}

impl Patch {
    /// Whether any fixture has it.
    pub fn has_attribute(&self, name: &str) -> bool {
        self.fixtures.iter().flat_map(|it| &it.channels).any(|it| it.attribute == name)
    }

    /// Reads the patch; universes that it uses and nobody declared come to `universes`.
    pub fn read(
        top: &Table,
        source: &dyn Source,
        universes: &mut BTreeMap<Universe, UniverseOut>,
    ) -> Self {
        let mut profiles = Profiles::read(top, source);
        let mut patch = Self::default();
        let mut slots = Slots { report: top.report, taken: BTreeMap::new() };
        for entry in top.entries("fixtures", "a table of fixtures, [fixtures]") {
            let placed = fixture(top.report, entry, &mut profiles);
            let members = placed.map_or(Vec::new(), |placed| {
                slots.take(&placed);
                universes.entry(placed.universe).or_insert_with(universes::undeclared);
                patch.hang(placed)
            });
            patch.hung.push((entry.key.clone(), members.clone(), entry.spot));
            patch.named.insert(entry.key.clone(), Named::Fixture(members));
        }
        patch.groups(top);
        patch
    }

    /// The whole fixture and its cells, each a fixture to looks.
    fn hang(&mut self, placed: Placed) -> Vec<usize> {
        let first = self.fixtures.len();
        // Where nothing is the whole fixture's own there is no such piece.
        let whole = placed.pieces.first().filter(|(cell, _)| cell.is_none()).map(|_| first as u32);
        for (cell, channels) in placed.pieces {
            let cell_of = whole.filter(|_| cell.is_some());
            let name = match cell {
                Some(cell) => {
                    let name = format!("{}.{cell}", placed.name);
                    self.named.insert(name.clone(), Named::Cell(self.fixtures.len()));
                    name
                }
                None => placed.name.clone(),
            };
            let (universe, address) = (placed.universe, placed.address);
            self.fixtures.push(Fixture { name, universe, address, cell_of, channels });
        }
        (first..self.fixtures.len()).collect()
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
                members.flat_map(|node| member(top.report, node, &fixtures)).copied().collect();
            group.sort_unstable();
            group.dedup();
            self.named.insert(entry.key.clone(), Named::Group(group));
        }
    }
}

fn member<'a>(report: &Report, node: &Node, fixtures: &'a BTreeMap<String, Named>) -> &'a [usize] {
    let Some(name) = String::read(node, report) else { return &[] };
    match fixtures.get(&name) {
        Some(named) => named.members(),
        None => {
            let known = fixtures.keys().map(String::as_str);
            report.unknown(node.spot, code::UNKNOWN_FIXTURE, "fixture", &name, known);
            &[]
        }
    }
}

/// A fixture with the slots it takes, counted from 1, and the spot of its address.
struct Placed {
    name: String,
    universe: Universe,
    address: Slot,
    pieces: Vec<Piece>,
    slots: Range<u16>,
    spot: Spot,
}

const FIXTURE_KEYS: &[&str] =
    &["profile", "mode", "universe", "address", "invert", "swap_pan_tilt", "curve"];

const CURVES: &[(&str, DimmerCurve)] = &[
    ("linear", DimmerCurve::Linear),
    ("square", DimmerCurve::Square),
    ("s", DimmerCurve::S),
    ("led", DimmerCurve::Led),
];

fn fixture(report: &Report, entry: &Entry, profiles: &mut Profiles) -> Option<Placed> {
    let table = Table::open(report, &entry.node, "a fixture", FIXTURE_KEYS)?;
    let universe = table.need::<Universe>("universe");
    let address = table.need::<Slot>("address");
    let Some(node) = table.node("profile") else {
        table.missing("profile");
        return None;
    };
    let mode = mode(&table, profiles.find(node)?)?;
    let hanging = hanging(&table, mode);
    let (universe, address) = (universe?, address?);
    let spot = table.node("address").map_or(table.spot, |node| node.spot);
    let slots = address.number()..address.number() + mode.slots;
    if usize::from(slots.end) > Universe::SLOTS + 1 {
        beyond(report, spot, entry, address, mode.slots);
        return None;
    }
    let pieces = hang::pieces(mode, &hanging);
    Some(Placed { name: entry.key.clone(), universe, address, pieces, slots, spot })
}

/// The mode that is named; the only one need not be.
fn mode<'a>(table: &Table, kind: &'a Kind) -> Option<&'a Mode> {
    let names = || kind.modes.iter().map(|it| it.name.as_str());
    match (table.node("mode"), &kind.modes[..]) {
        (None, [mode]) => Some(mode),
        (None, _) => {
            let listed: Vec<String> = names().map(|it| format!("\"{it}\"")).collect();
            let help = format!("there is {}", listed.join(", "));
            let message = "a fixture of this profile needs `mode`".into();
            table.report.absent(table.spot, code::MISSING_KEY, message, Some(help));
            None
        }
        (Some(node), modes) => {
            let name = String::read(node, table.report)?;
            let found = modes.iter().find(|it| it.name.eq_ignore_ascii_case(&name));
            if found.is_none() {
                table.report.unknown(node.spot, code::UNKNOWN_MODE, "mode", &name, names());
            }
            found
        }
    }
}

fn hanging(table: &Table, mode: &Mode) -> Hanging {
    let report = table.report;
    let has = |name: &str| mode.parts.iter().any(|it| it.attribute == name);
    let names: Vec<&str> = mode.parts.iter().map(|it| it.attribute.as_str()).collect();
    let unknown = |spot: Spot, name: &str| {
        report.unknown(spot, code::MISSING_ATTRIBUTE, "channel", name, names.iter().copied());
    };
    for node in table.node("invert").map_or(&[][..], Node::one_or_many) {
        if let Some(name) = node.text().filter(|name| !has(name)) {
            unknown(node.spot, name);
        }
    }
    let swap = table.node("swap_pan_tilt").filter(|node| bool::read(node, report) == Some(true));
    for missing in ["pan", "tilt"].iter().filter(|name| !has(name)) {
        if let Some(node) = swap {
            unknown(node.spot, missing);
        }
    }
    let curve = table.node("curve").and_then(|node| word(report, node, CURVES));
    Hanging {
        invert: table.each("invert"),
        swap_pan_tilt: swap.is_some(),
        curve: curve.unwrap_or_default(),
    }
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
        let Placed { name: own, universe, slots, spot, .. } = placed;
        let universe = *universe;
        let other = slots.clone().find_map(|slot| Some((slot, self.taken.get(&(universe, slot))?)));
        if let Some((slot, (name, first))) = other {
            let place = self.report.place(*first);
            let message = format!(
                "`{own}` overlaps `{name}` ({place}) at slot {slot} of universe {universe}"
            );
            self.report.error(*spot, code::ADDRESS_OVERLAP, message, self.free_for(placed));
            return;
        }
        for slot in slots.clone() {
            self.taken.insert((universe, slot), (own.clone(), *spot));
        }
    }

    /// The next address where the fixture fits.
    fn free_for(&self, placed: &Placed) -> Option<String> {
        let universe = placed.universe;
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
