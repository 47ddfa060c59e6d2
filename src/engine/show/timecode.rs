//! `[timecode]`, a list's `timecode` and a cue's: what is chased, and what is sent.

use std::collections::BTreeMap;

use units::{Decibels, FrameRate, Span, Timecode};

use super::cues::ReadList;
use super::model::{Jump, ListTimecode, LtcOut, ShowTimecode, TimecodeOut};
use crate::reader::{Node, Read, Report, Spot, Table, code, in_range, word};
use crate::timecode::Source;

const SOURCES: &[(&str, Source)] =
    &[("ltc", Source::Ltc), ("mtc", Source::Mtc), ("artnet", Source::Artnet)];

const JUMPS: &[(&str, Jump)] =
    &[("follow", Jump::Follow), ("ignore", Jump::Ignore), ("ask", Jump::Ask)];

/// Loud enough for any input, and no ear is hurt by it in a headphone.
const LEVEL_DB: f64 = -12.0;

/// The card's channels that can be named.
const CHANNELS_MAX: u32 = 64;

/// `[timecode]` before its lists are known.
pub struct Head<'a> {
    /// The rate of everything; none where the show has no `[timecode]` that can be read.
    pub rate: Option<FrameRate>,
    out: Option<Table<'a>>,
}

impl<'a> Head<'a> {
    pub fn read(top: &Table<'a>) -> Self {
        let keys = &["rate", "out"];
        let node = top.node("timecode");
        let table = node.and_then(|node| Table::open(top.report, node, "[timecode]", keys));
        let Some(table) = table else { return Self { rate: None, out: None } };
        let keys = &["ltc", "mtc", "artnet", "list", "start"];
        let out = table.node("out");
        let out = out.and_then(|node| Table::open(top.report, node, "[timecode.out]", keys));
        Self { rate: table.need("rate"), out }
    }

    /// The rest of it, when the lists are known.
    pub fn finish(&self, lists: &[ReadList]) -> Option<ShowTimecode> {
        let rate = self.rate?;
        Some(ShowTimecode { rate, out: self.out.as_ref().map(|table| out(table, rate, lists)) })
    }
}

fn out(table: &Table, rate: FrameRate, lists: &[ReadList]) -> TimecodeOut {
    let start = table.node("start").and_then(|node| number(table.report, node, rate));
    let out = TimecodeOut {
        ltc: table.node("ltc").and_then(|node| ltc(table.report, node)),
        mtc: table.or("mtc", false),
        artnet: table.or("artnet", false),
        list: table.node("list").and_then(|node| list(table.report, node, lists)).unwrap_or(0),
        start: start.unwrap_or(Timecode::zero(rate)),
    };
    if ["ltc", "mtc", "artnet"].iter().all(|key| table.node(key).is_none()) {
        table.missing("ltc`, `mtc` or `artnet");
    }
    out
}

fn ltc(report: &Report, node: &Node) -> Option<LtcOut> {
    let table = Table::open(report, node, "`ltc`", &["channel", "level_db"])?;
    if table.node("channel").is_none() {
        table.missing("channel");
    }
    let level = Decibels::new(LEVEL_DB).expect("below 12 dB");
    let channel = table.whole("channel", 1..=CHANNELS_MAX)? as u16 - 1;
    Some(LtcOut { channel, level: table.or("level_db", level) })
}

fn list(report: &Report, node: &Node, lists: &[ReadList]) -> Option<usize> {
    let name = String::read(node, report)?;
    let found = lists.iter().position(|list| list.name == name);
    if found.is_none() {
        let names = lists.iter().map(|list| list.name.as_str());
        report.unknown(node.spot, code::UNKNOWN_LIST, "cue list", &name, names);
    }
    found
}

/// A list's `timecode`.
pub fn of_list(report: &Report, node: &Node, rate: Option<FrameRate>) -> Option<ListTimecode> {
    let keys = &["source", "offset", "freewheel", "jump"];
    let table = Table::open(report, node, "a list's `timecode`", keys)?;
    let rate = rate_for(report, node, rate);
    if table.node("source").is_none() {
        table.missing("source");
    }
    let offset = table.node("offset").and_then(|node| offset(report, node, rate?));
    Some(ListTimecode {
        source: table.node("source").and_then(|node| word(report, node, SOURCES))?,
        rate: rate?,
        offset: offset.unwrap_or(Span::ZERO),
        freewheel: table.or("freewheel", Span::from_secs(1)),
        jump: table.node("jump").and_then(|it| word(report, it, JUMPS)).unwrap_or(Jump::Follow),
    })
}

/// A cue's `timecode`.
pub fn of_cue(report: &Report, node: &Node, rate: Option<FrameRate>) -> Option<Timecode> {
    number(report, node, rate_for(report, node, rate)?)
}

/// Without a rate a timecode is no time.
fn rate_for(report: &Report, node: &Node, rate: Option<FrameRate>) -> Option<FrameRate> {
    if rate.is_none() {
        let message = "timecode needs a `rate` under [timecode]".into();
        report.absent(node.spot, code::MISSING_KEY, message, None);
    }
    rate
}

fn number(report: &Report, node: &Node, rate: FrameRate) -> Option<Timecode> {
    in_range(report, node, Timecode::parse(&String::read(node, report)?, rate))
}

/// With a minus before it, the source is so far ahead.
fn offset(report: &Report, node: &Node, rate: FrameRate) -> Option<Span> {
    let text = String::read(node, report)?;
    let (back, text) = text.strip_prefix('-').map_or((false, &*text), |text| (true, text));
    let position = in_range(report, node, Timecode::parse(text, rate))?.position();
    Some(if back { -position } else { position })
}

impl Read for FrameRate {
    fn read(node: &Node, report: &Report) -> Option<Self> {
        in_range(report, node, String::read(node, report)?.parse())
    }
}

/// What only shows when all is read: cues in the order of their timecodes, and none that nothing reaches.
pub fn check(report: &Report, lists: &[ReadList], head: Option<&ShowTimecode>) {
    let leads = head.and_then(|it| it.out.as_ref()).map(|out| out.list);
    for (index, list) in lists.iter().enumerate() {
        let mut first: BTreeMap<Timecode, Spot> = BTreeMap::new();
        for (before, read) in [None].into_iter().chain(list.cues.iter().map(Some)).zip(&list.cues) {
            let Some(timecode) = read.cue.timecode else { continue };
            let (number, spot) = (read.cue.number, read.spots.timecode);
            if list.timecode.is_none() && leads != Some(index) {
                let message = "`timecode` does nothing in a list that neither chases nor leads";
                report.warn(spot, code::NO_EFFECT, message.into(), None);
            }
            let comes = before.is_some_and(|it| it.cue.then != super::model::Then::Wait);
            if comes && list.timecode.is_some() {
                let message =
                    format!("cue {number} comes by itself, and does not wait for its timecode");
                report.warn(spot, code::AT_UNUSED, message, None);
            }
            if let Some((&latest, _)) = first.last_key_value().filter(|(it, _)| **it >= timecode) {
                let message = format!("the timecode of cue {number} is not behind {latest}");
                let help = Some("cues of a list come in the order of their timecodes".into());
                report.error(spot, code::TIMECODE_ORDER, message, help);
            }
            first.insert(timecode, spot);
        }
    }
}
