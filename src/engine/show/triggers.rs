//! `[[trigger]]`: what from outside fires a cue; and the Art-Net keys that it shares with what cues send.

use units::CueNumber;
use wire::artnet::Key;

use super::cues::ReadList;
use super::inputs::{self, Known};
use super::model::{ArtnetKey, ShowInput, Trigger, TriggerOn};
use crate::reader::{Node, Read, Report, Spot, Table, Value, code, whole, word};

/// Reads every trigger; an input or a cue that does not exist is a mistake.
pub fn read(top: &Table, inputs: &[ShowInput], lists: &[ReadList]) -> Vec<Trigger> {
    let nodes = top.node("trigger").map_or(&[][..], Node::one_or_many);
    let declared = top.node("inputs").and_then(Node::entries).unwrap_or_default();
    let known = Known { inputs, declared };
    nodes.iter().filter_map(|node| trigger(top.report, node, &known, lists)).collect()
}

fn trigger(report: &Report, node: &Node, known: &Known, lists: &[ReadList]) -> Option<Trigger> {
    let keys = &["artnet", "input", "slot", "above", "below", "fires"];
    let table = Table::open(report, node, "a trigger", keys)?;
    let on = if table.node("artnet").is_some() {
        if let Some(input) = table.node("input") {
            let message = "a trigger is an `artnet` key or a slot of an `input`, not both";
            report.error(input.spot, code::TWO_SOURCES, message.into(), None);
        } else {
            table.no_effect(&["slot", "above", "below"], "input");
        }
        table.need("artnet").map(TriggerOn::Artnet)
    } else {
        inputs::crossing(&table, known).map(TriggerOn::Slot)
    };
    let fires: CueNumber = table.need("fires")?;
    let spot = table.node("fires").map_or(table.spot, |node| node.spot);
    there_is(report, spot, fires, lists).then_some(Trigger { on: on?, fires })
}

fn there_is(report: &Report, spot: Spot, cue: CueNumber, lists: &[ReadList]) -> bool {
    let numbers = || lists.iter().flat_map(|list| list.cues.iter().map(|read| read.cue.number));
    if numbers().any(|it| it == cue) {
        return true;
    }
    let known: Vec<String> = numbers().map(|it| it.to_string()).collect();
    let known = known.iter().map(String::as_str);
    report.unknown(spot, code::UNKNOWN_CUE, "cue", &cue.to_string(), known);
    false
}

const KEYS: &[(&str, Key)] =
    &[("ascii", Key::Ascii), ("macro", Key::Macro), ("soft", Key::Soft), ("show", Key::Show)];

impl Read for ArtnetKey {
    /// `{ key = "show", sub = 5 }`, `{ key = "ascii", sub = "G" }`, `{ key = 20, sub = 1 }`.
    fn read(node: &Node, report: &Report) -> Option<Self> {
        let table = Table::open(report, node, "`artnet`", &["key", "sub"])?;
        let key = needed(&table, "key", |node| key(report, node));
        let sub = needed(&table, "sub", |node| sub_key(report, node));
        Some(Self { key: key?, sub: sub? })
    }
}

fn needed<T>(table: &Table, key: &str, read: impl Fn(&Node) -> Option<T>) -> Option<T> {
    let node = table.node(key);
    if node.is_none() {
        table.missing(key);
    }
    read(node?)
}

fn key(report: &Report, node: &Node) -> Option<Key> {
    match node.value {
        Value::Number(_) => whole(report, node, 0..=255).map(|code| Key::of(code as u8)),
        _ => word(report, node, KEYS),
    }
}

/// A number, or the one ASCII character that is meant.
fn sub_key(report: &Report, node: &Node) -> Option<u8> {
    let Value::Text(text) = &node.value else {
        return whole(report, node, 0..=255).map(|number| number as u8);
    };
    match text.as_bytes() {
        [octet] => Some(*octet),
        _ => {
            let message = format!("`{}` must be 0 to 255 or one ASCII character", node.key);
            report.error(node.spot, code::OUT_OF_RANGE, message, None);
            None
        }
    }
}
