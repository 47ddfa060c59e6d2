//! `send`: what a cue says to the lighting network beside levels.

use std::collections::BTreeMap;

use units::Universe;

use super::model::{Sending, UniverseOut};
use crate::reader::{Node, Report, Table, code, in_range, whole};

/// Reads what a cue sends: one thing, or a list of them.
pub fn read(
    report: &Report,
    node: &Node,
    universes: &BTreeMap<Universe, UniverseOut>,
) -> Vec<Sending> {
    node.one_or_many().iter().filter_map(|node| one(report, node, universes)).collect()
}

fn one(
    report: &Report,
    node: &Node,
    universes: &BTreeMap<Universe, UniverseOut>,
) -> Option<Sending> {
    let keys = &["artnet", "start_code", "universe", "data"];
    let table = Table::open(report, node, "`send`", keys)?;
    if table.node("artnet").is_some() {
        one_thing(&table);
        return table.read("artnet").map(Sending::Artnet);
    }
    if table.node("start_code").is_none() {
        table.missing("artnet` or `start_code");
        return None;
    }
    start_code(&table, universes)
}

fn one_thing(table: &Table) {
    for node in ["start_code", "universe", "data"].iter().filter_map(|key| table.node(key)) {
        let message = format!("`artnet` and `{}` are two things to send", node.key);
        let help = "give each an entry of its own: send = [{ … }, { … }]";
        table.report.error(node.spot, code::TWO_SOURCES, message, Some(help.into()));
    }
}

/// Neither levels nor RDM, which have packets of their own (rule A18).
fn start_code(table: &Table, universes: &BTreeMap<Universe, UniverseOut>) -> Option<Sending> {
    let report = table.report;
    let start_code = table.whole("start_code", 1..=255).map(|it| it as u8);
    if let Some(0xcc) = start_code
        && let Some(node) = table.node("start_code")
    {
        let message = "start code 0xcc is RDM, which a cue does not send".into();
        report.error(node.spot, code::OUT_OF_RANGE, message, None);
        return None;
    }
    let universe = universe(table, universes);
    let items = table.node("data").map_or(&[][..], Node::one_or_many);
    let slots: Option<Vec<u8>> =
        items.iter().map(|item| whole(report, item, 0..=255).map(|it| it as u8)).collect();
    if let Some(node) = table.node("data")
        && !(1..=Universe::SLOTS).contains(&items.len())
    {
        let message = "`data` must have 1 to 512 octets".into();
        report.error(node.spot, code::OUT_OF_RANGE, message, None);
        return None;
    }
    if table.node("data").is_none() {
        table.missing("data");
        return None;
    }
    Some(Sending::StartCode { universe: universe?, start_code: start_code?, slots: slots? })
}

fn universe(table: &Table, universes: &BTreeMap<Universe, UniverseOut>) -> Option<Universe> {
    let Some(node) = table.node("universe") else {
        table.missing("universe");
        return None;
    };
    let number = table.whole("universe", 1..=63_999)?;
    let universe = in_range(table.report, node, Universe::new(number))?;
    if universes.get(&universe).is_some_and(|out| out.artnet.is_some()) {
        return Some(universe);
    }
    let message = format!("universe {universe} does not leave as Art-Net, so nobody gets this");
    let help = format!("[universes.{universe}] needs `artnet = {{ port_address = 0 }}`");
    table.report.error(node.spot, code::NOBODY_RECEIVES, message, Some(help));
    None
}
