//! `[show]`: what holds for the whole show.

use units::Span;

use super::model::{Lead, LightOut, PanicLight, SacnIp};
use crate::reader::{Node, Read, Report, Table, Value, code, span, word};

/// What `[show]` says.
pub struct Head {
    pub title: String,
    pub priority: u8,
    pub phone_lead: Lead,
    pub panic_fade: Span,
    pub panic_light: PanicLight,
    pub artnet_sync: bool,
    pub flash_limit_off: Option<String>,
    pub seal: bool,
    pub light: LightOut,
}

const KEYS: &[&str] = &[
    "title",
    "priority",
    "lead",
    "panic_fade",
    "panic_light",
    "artnet_sync",
    "flash_limit_off",
    "seal",
    "sacn_sync",
    "sacn_ip",
    "constant_output",
];

/// sACN's own default (E1.31 section 6.2.3).
const PRIORITY: u32 = 100;

impl Default for Head {
    fn default() -> Self {
        Self {
            title: "Untitled".into(),
            priority: PRIORITY as u8,
            phone_lead: Lead::Auto,
            panic_fade: Span::from_secs(1),
            panic_light: PanicLight::Black,
            artnet_sync: false,
            flash_limit_off: None,
            seal: false,
            light: LightOut::default(),
        }
    }
}

impl Head {
    pub fn read(top: &Table) -> Self {
        let (report, fallback) = (top.report, Self::default());
        let Some(table) =
            top.node("show").and_then(|node| Table::open(report, node, "[show]", KEYS))
        else {
            return fallback;
        };
        Self {
            title: table.line("title").unwrap_or(fallback.title),
            priority: table.whole("priority", 1..=199).unwrap_or(PRIORITY) as u8,
            phone_lead: table.or("lead", fallback.phone_lead),
            panic_fade: table.or("panic_fade", fallback.panic_fade),
            panic_light: table
                .node("panic_light")
                .and_then(|node| word(report, node, PANIC_LIGHTS))
                .unwrap_or(fallback.panic_light),
            artnet_sync: table.or("artnet_sync", fallback.artnet_sync),
            flash_limit_off: flash_limit_off(&table),
            seal: seal(&table),
            light: light(&table),
        }
    }
}

fn light(table: &Table) -> LightOut {
    let sacn_ip = table.node("sacn_ip").and_then(|node| word(table.report, node, SACN_IPS));
    LightOut {
        sacn_sync: table.read("sacn_sync"),
        sacn_ip: sacn_ip.unwrap_or_default(),
        constant: table.or("constant_output", false),
    }
}

const SACN_IPS: &[(&str, SacnIp)] =
    &[("ipv4", SacnIp::V4), ("ipv6", SacnIp::V6), ("both", SacnIp::Both)];

const PANIC_LIGHTS: &[(&str, PanicLight)] =
    &[("black", PanicLight::Black), ("hold", PanicLight::Hold)];

impl Read for Lead {
    /// `"auto"` or a length of time.
    fn read(node: &Node, report: &Report) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == "auto" => Some(Self::Auto),
            Value::Text(text) if span(text).is_err() => {
                let message =
                    format!("`{}` must be \"auto\" or a length of time from 0s to 24h", node.key);
                let help = "\"auto\" learns from the phones how far ahead they need their orders; or write \"250ms\", \"2s\" or a bare number of seconds";
                report.error(node.spot, code::OUT_OF_RANGE, message, Some(help.into()));
                None
            }
            _ => Span::read(node, report).map(Self::Fixed),
        }
    }
}

/// The limit guards people with photosensitive epilepsy (WCAG 2.3.1): switching it off takes a reason, said aloud.
fn flash_limit_off(table: &Table) -> Option<String> {
    let node = table.node("flash_limit_off")?;
    let reason = String::read(node, table.report)?;
    if reason.trim().is_empty() {
        let message = "switching the flash limit off needs a reason".into();
        table.report.error(node.spot, code::OUT_OF_RANGE, message, None);
        return None;
    }
    let message = format!("the limit of three flashes a second is off: {reason}");
    table.report.warn(node.spot, code::FLASH_LIMIT_OFF, message, None);
    Some(reason)
}

/// Who writes it is to know, before doors, that most of an audience will hear no live sound then.
fn seal(table: &Table) -> bool {
    let Some(node) = table.node("seal") else { return false };
    let seals = bool::read(node, table.report).unwrap_or(false);
    if seals {
        let message = "live sound is sealed: only phones whose page was opened with a token hear it, over HTTPS; tracks are not sealed".into();
        let help = "`downbeat token --role audience --qr` makes such an address";
        table.report.warn(node.spot, code::LIVE_SEALED, message, Some(help.into()));
    }
    seals
}
