//! `[inputs.NAME]`: a console that comes in, and the slots of it that fire cues.

use std::collections::BTreeMap;

use units::{Level, PortAddress, Slot, Span, Universe};

use super::model::{InputFrom, InputMerge, LossGoal, ShowInput, SlotTrigger, UniverseOut};
use super::universes;
use crate::light::input::PRIORITY;
use crate::reader::{Entry, Node, Read, Report, Spot, Table, code, word};

const KEYS: &[&str] =
    &["universe", "port_address", "to", "slots", "at", "merge", "priority", "loss", "hold", "fade"];
/// What says how an input is mixed.
const MIXED: &[&str] = &["slots", "at", "merge", "loss", "hold", "fade"];

const MERGES: &[(&str, InputMerge)] =
    &[("htp", InputMerge::Htp), ("ltp", InputMerge::Ltp), ("priority", InputMerge::Priority)];
const LOSSES: &[(&str, LossGoal)] = &[
    ("release", LossGoal::Release),
    ("hold", LossGoal::Hold),
    ("zero", LossGoal::Zero),
    ("full", LossGoal::Full),
];
/// A lost console is let go of as gently as this.
const FADE: Span = Span::from_secs(1);
/// Slots from one to another, both of them counted.
const ALL_SLOTS: Slots = Slots { first: 1, last: 512 };

/// Every input; universes that they go to and nobody declared come to `universes`.
pub fn read(top: &Table, universes: &mut BTreeMap<Universe, UniverseOut>) -> Vec<ShowInput> {
    let entries = top.entries("inputs", "a table of inputs, [inputs.desk]");
    let inputs: Vec<_> = entries.iter().filter_map(|it| input(top.report, it, universes)).collect();
    for to in inputs.iter().filter_map(|input| input.to) {
        universes.entry(to).or_insert_with(universes::undeclared);
    }
    inputs
}

fn input(
    report: &Report,
    entry: &Entry,
    universes: &BTreeMap<Universe, UniverseOut>,
) -> Option<ShowInput> {
    let table = Table::open(report, &entry.node, "an input", KEYS)?;
    let from = from(&table);
    let to = table.read::<Universe>("to");
    if table.node("to").is_none() {
        table.no_effect(MIXED, "to");
    }
    if table.node("port_address").is_none() {
        table.no_effect(&["priority"], "port_address");
    }
    let slots = table.or("slots", ALL_SLOTS);
    let at = table.or("at", slots.first());
    let merge = table.node("merge").and_then(|node| word(report, node, MERGES));
    let loss = table.node("loss").and_then(|node| word(report, node, LOSSES));
    let input = ShowInput {
        name: entry.key.clone(),
        from: from?,
        to,
        first: slots.first(),
        count: slots.count(),
        at,
        merge: merge.unwrap_or_default(),
        priority: table.whole("priority", 1..=200).unwrap_or(u32::from(PRIORITY)) as u8,
        loss: loss.unwrap_or_default(),
        hold: table.or("hold", Span::ZERO),
        fade: table.or("fade", FADE),
    };
    fits(&table, &input);
    sent_too(&table, &input, universes);
    Some(input)
}

fn from(table: &Table) -> Option<InputFrom> {
    match (table.node("universe"), table.node("port_address")) {
        (Some(_), None) => table.read("universe").map(InputFrom::Sacn),
        (None, Some(_)) => table.read::<PortAddress>("port_address").map(InputFrom::Artnet),
        (Some(_), Some(node)) => {
            let message = "`universe` (sACN) and `port_address` (Art-Net) are two sources".into();
            let help = "keep one of them, or make two inputs".to_owned();
            table.report.error(node.spot, code::TWO_SOURCES, message, Some(help));
            None
        }
        (None, None) => {
            table.missing("universe` or `port_address");
            None
        }
    }
}

fn fits(table: &Table, input: &ShowInput) {
    let last = u32::from(input.at.number()) + u32::from(input.count) - 1;
    if last > Universe::SLOTS as u32 {
        let key = if table.node("at").is_some() { "at" } else { "slots" };
        let message =
            format!("{} slots from {} reach beyond {}", input.count, input.at, Universe::SLOTS);
        let help = "`slots = \"1-24\"` takes a part of an input".to_owned();
        table.report.error(spot(table, key), code::BEYOND_UNIVERSE, message, Some(help));
    }
}

/// Receivers of an sACN universe would have both. By Art-Net the box would subscribe to itself, and what leaves would
/// come back in for good.
fn sent_too(table: &Table, input: &ShowInput, universes: &BTreeMap<Universe, UniverseOut>) {
    let help = Some("let the console send another one, and bring it in with `to`".to_owned());
    match input.from {
        InputFrom::Sacn(it) if universes.get(&it).is_some_and(|out| out.sacn.is_some()) => {
            let message = format!("the show sends universe {it} itself, so its receivers get both");
            table.report.warn(spot(table, "universe"), code::INPUT_SENT_TOO, message, help);
        }
        InputFrom::Artnet(it) if universes.values().any(|out| sends(out, it)) => {
            let message = format!("the show sends port address {} ({it}) itself", it.raw());
            table.report.error(
                spot(table, "port_address"),
                code::PORT_ADDRESS_TAKEN,
                message,
                help,
            );
        }
        _ => {}
    }
}

fn sends(out: &UniverseOut, port_address: PortAddress) -> bool {
    out.artnet.as_ref().is_some_and(|artnet| artnet.port_address == port_address)
}

/// A part of a universe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slots {
    first: u16,
    last: u16,
}

impl Slots {
    fn first(self) -> Slot {
        Slot::new(u32::from(self.first)).expect("it was read as one")
    }
    fn count(self) -> u16 {
        self.last - self.first + 1
    }
}

impl Read for Slots {
    /// `"1-24"`, or one slot alone.
    fn read(node: &Node, report: &Report) -> Option<Self> {
        let Some(text) = node.text() else {
            let slot = Slot::read(node, report)?.number();
            return Some(Self { first: slot, last: slot });
        };
        let slot = |text: &str| Slot::new(text.trim().parse().ok()?).ok().map(Slot::number);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let slots = slot(first).zip(slot(last)).filter(|(first, last)| first <= last);
        if slots.is_none() {
            let message = format!("`{}`: `{text}` is not a part of 1 to 512", node.key);
            let help = "write the first and the last slot, \"1-24\", or one slot".to_owned();
            report.error(node.spot, code::OUT_OF_RANGE, message, Some(help));
        }
        slots.map(|(first, last)| Self { first, last })
    }
}

/// How far below its level a slot must have been before it can cross it again, in percent.
const HYSTERESIS: f64 = 10.0;

/// What a trigger may name. An input that is declared wrongly is there, too: its mistakes have been said.
pub struct Known<'a> {
    /// Those that are right.
    pub inputs: &'a [ShowInput],
    /// All that are written.
    pub declared: &'a [Entry],
}

/// The keys of a trigger that is a slot of an input.
pub fn crossing(table: &Table, known: &Known) -> Option<SlotTrigger> {
    let slot = table.need::<Slot>("slot");
    let above = percent(table, "above", 50.0);
    let below = percent(table, "below", (above - HYSTERESIS).max(0.0));
    if below > above {
        let spot = spot(table, "below");
        let message = "`below` must not be higher than `above`".into();
        table.report.error(spot, code::OUT_OF_RANGE, message, None);
    }
    // At 0 nothing would ever be below.
    let level = |percent| Level::from_percent(percent).map_or(1, |it| it.slot().max(1));
    let input = watched(table, known)?;
    Some(SlotTrigger { input, slot: slot?, above: level(above), below: level(below) })
}

fn watched(table: &Table, known: &Known) -> Option<usize> {
    let name = table.need::<String>("input")?;
    if known.declared.iter().all(|entry| entry.key != name) {
        let names = known.declared.iter().map(|entry| entry.key.as_str());
        table.report.unknown(spot(table, "input"), code::UNKNOWN_INPUT, "input", &name, names);
    }
    known.inputs.iter().position(|input| input.name == name)
}

fn spot(table: &Table, key: &str) -> Spot {
    table.node(key).map_or(table.spot, |node| node.spot)
}

fn percent(table: &Table, key: &str, default: f64) -> f64 {
    let Some(node) = table.node(key) else { return default };
    let given = f64::read(node, table.report);
    let level =
        given.and_then(|it| crate::reader::in_range(table.report, node, Level::from_percent(it)));
    given.filter(|_| level.is_some()).unwrap_or(default)
}
