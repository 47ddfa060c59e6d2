//! `[masters.NAME]`: faders over fixtures, and what cues do with them and with lists.

use units::{Level, Span};

use super::cues::ReadList;
use super::model::{LightAct, Master, MasterRef};
use super::patch::Patch;
use crate::reader::{Entry, Node, Read, Report, Spot, Table, Value, code};

/// The master over everything.
pub const GRAND: &str = "grand";

/// Reads `[masters.NAME]`.
pub fn read(top: &Table, patch: &Patch) -> Vec<Master> {
    let entries = top.entries("masters", "a table of masters, [masters.front]");
    entries.iter().filter_map(|entry| master(top.report, entry, patch)).collect()
}

fn master(report: &Report, entry: &Entry, patch: &Patch) -> Option<Master> {
    let table = Table::open(report, &entry.node, "a master", &["of", "level"])?;
    if entry.key == GRAND {
        let message = "`grand` is there already; give yours another name".into();
        report.error(entry.spot, code::DUPLICATE_NAME, message, None);
        return None;
    }
    if table.node("of").is_none() {
        table.missing("of");
    }
    let nodes = table.node("of").map_or(&[][..], Node::one_or_many);
    let mut fixtures: Vec<usize> =
        nodes.iter().flat_map(|node| named(report, node, patch)).collect();
    fixtures.sort_unstable();
    fixtures.dedup();
    Some(Master { name: entry.key.clone(), fixtures, level: table.or("level", Level::FULL) })
}

/// The fixtures behind a name; `"all"` is all of them.
fn named(report: &Report, node: &Node, patch: &Patch) -> Vec<usize> {
    let Some(name) = String::read(node, report) else { return Vec::new() };
    match patch.named.get(&name) {
        Some(named) => named.members().to_vec(),
        None if name == "all" => (0..patch.fixtures.len()).collect(),
        None => {
            let known = patch.named.keys().map(String::as_str);
            report.unknown(node.spot, code::UNKNOWN_FIXTURE, "fixture or group", &name, known);
            Vec::new()
        }
    }
}

/// An act on a list as written: there may be no such list.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    Release { spot: Spot, list: String, span: Option<Span> },
    Master { master: MasterRef, level: Level, span: Span },
}

/// Reads `release` and `master` of a cue.
pub fn acts(cue: &Table, masters: &[Master]) -> Vec<Written> {
    let nodes = |key| cue.node(key).map_or(&[][..], Node::one_or_many).iter();
    let releases = nodes("release").filter_map(|node| release(cue.report, node));
    let moves = nodes("master").filter_map(|node| move_master(cue.report, node, masters));
    releases.chain(moves).collect()
}

/// `"effects"` or `{ list = "effects", time = "2s" }`.
fn release(report: &Report, node: &Node) -> Option<Written> {
    if !matches!(node.value, Value::Table(_)) {
        let list = String::read(node, report)?;
        return Some(Written::Release { spot: node.spot, list, span: None });
    }
    let table = Table::open(report, node, "a release", &["list", "time"])?;
    let span = table.read("time");
    let spot = table.node("list").map_or(table.spot, |node| node.spot);
    Some(Written::Release { spot, list: table.need("list")?, span })
}

fn move_master(report: &Report, node: &Node, masters: &[Master]) -> Option<Written> {
    let table = Table::open(report, node, "a move of a master", &["name", "level", "time"])?;
    let (span, level) = (table.or("time", Span::ZERO), table.need("level"));
    let name: String = table.need("name")?;
    let master = find(masters, &name);
    if master.is_none() {
        let spot = table.node("name").map_or(table.spot, |node| node.spot);
        let known = masters.iter().map(|it| it.name.as_str()).chain([GRAND]);
        report.unknown(spot, code::UNKNOWN_MASTER, "master", &name, known);
    }
    Some(Written::Master { master: master?, level: level?, span })
}

/// The master of that name.
pub fn find(masters: &[Master], name: &str) -> Option<MasterRef> {
    let own = || masters.iter().position(|it| it.name == name).map(MasterRef::Own);
    if name == GRAND { Some(MasterRef::Grand) } else { own() }
}

/// Gives every act its list, now that all lists are known.
pub fn resolve(report: &Report, lists: &mut [ReadList]) {
    let known: Vec<(String, Span)> =
        lists.iter().map(|list| (list.name.clone(), list.release_time)).collect();
    let act = |written: &Written| match written {
        Written::Master { master, level, span } => {
            Some(LightAct::Master { master: *master, level: *level, span: *span })
        }
        Written::Release { spot, list, span } => {
            let Some(index) = known.iter().position(|(name, _)| name == list) else {
                let names = known.iter().map(|(name, _)| name.as_str());
                report.unknown(*spot, code::UNKNOWN_LIST, "cue list", list, names);
                return None;
            };
            Some(LightAct::Release { list: index, span: span.unwrap_or(known[index].1) })
        }
    };
    for read in lists.iter_mut().flat_map(|list| &mut list.cues) {
        read.cue.light_acts = read.light_acts.iter().filter_map(act).collect();
    }
}
