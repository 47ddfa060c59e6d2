//! `[universes.N]`: how each universe leaves the box.

use std::collections::BTreeMap;
use std::net::IpAddr;

use units::{PortAddress, Universe};

use super::model::{ArtnetOut, SacnOut, UniverseOut};
use crate::reader::{Entry, Node, Read, Report, Spot, Table, Value, code, in_range};

/// Every universe that is declared.
pub fn read(top: &Table) -> BTreeMap<Universe, UniverseOut> {
    let mut ports = BTreeMap::new();
    let entries = top.entries("universes", "a table of universes, [universes.1]");
    entries.iter().filter_map(|entry| universe(top.report, entry, &mut ports)).collect()
}

/// What a universe that is patched and not declared does.
pub fn undeclared() -> UniverseOut {
    UniverseOut {
        sacn: Some(SacnOut { multicast: true, ..SacnOut::default() }),
        ..UniverseOut::default()
    }
}

type Ports = BTreeMap<PortAddress, Spot>;

fn universe(report: &Report, entry: &Entry, ports: &mut Ports) -> Option<(Universe, UniverseOut)> {
    let number = entry.key.parse().map_err(|_| ()).and_then(|it| Universe::new(it).map_err(|_| ()));
    if number.is_err() {
        let message = format!("a universe must be 1 to 63999, not `{}`", entry.key);
        report.error(entry.spot, code::OUT_OF_RANGE, message, None);
    }
    let table = Table::open(report, &entry.node, "a universe", &["label", "sacn", "artnet"])?;
    let out = UniverseOut {
        label: table.line("label").unwrap_or_default(),
        sacn: table.node("sacn").and_then(|node| sacn(report, node)),
        artnet: table.node("artnet").and_then(|node| artnet(report, node, ports)),
    };
    if table.node("sacn").is_none() && table.node("artnet").is_none() {
        nobody_receives(report, entry.spot, &entry.key);
    } else if let Some(node) = table.node("sacn")
        && table.node("artnet").is_none()
        && out.sacn.as_ref().is_some_and(|sacn| !sacn.multicast && sacn.unicast.is_empty())
    {
        nobody_receives(report, node.spot, &entry.key);
    }
    Some((number.ok()?, out))
}

fn nobody_receives(report: &Report, spot: Spot, number: &str) {
    let message = format!("nobody can receive universe {number}");
    let help = "`sacn = {}` sends it by multicast, `artnet = { port_address = 0 }` to the nodes that ask for it";
    report.error(spot, code::NOBODY_RECEIVES, message, Some(help.into()));
}

/// Multicast is what nobody has to configure, so it is the default, unless addresses are given.
fn sacn(report: &Report, node: &Node) -> Option<SacnOut> {
    let keys = &["multicast", "unicast", "per_address", "preview"];
    let table = Table::open(report, node, "`sacn`", keys)?;
    let unicast: Vec<IpAddr> = table.each("unicast");
    let multicast = table.or("multicast", table.node("unicast").is_none());
    let (per_address, preview) = (table.or("per_address", false), table.or("preview", false));
    Some(SacnOut { multicast, unicast, per_address, preview })
}

fn artnet(report: &Report, node: &Node, ports: &mut Ports) -> Option<ArtnetOut> {
    let table = Table::open(report, node, "`artnet`", &["port_address", "poll"])?;
    let poll = table.each("poll");
    let port_address: PortAddress = table.need("port_address")?;
    let spot = table.node("port_address").map_or(table.spot, |node| node.spot);
    if let Some(first) = ports.insert(port_address, spot) {
        let what = format!("Art-Net port address {} ({port_address})", port_address.raw());
        report.duplicate(spot, code::PORT_ADDRESS_TAKEN, &what, first);
    }
    Some(ArtnetOut { port_address, poll })
}

impl Read for PortAddress {
    /// `17`, or `"0.1.1"`: net, sub-net, universe (rule A9).
    fn read(node: &Node, report: &Report) -> Option<Self> {
        match &node.value {
            Value::Number(number) => {
                // Beyond 32 bits it is out of range all the same.
                let raw = number.whole.map_or(u32::MAX, |it| u32::try_from(it).unwrap_or(u32::MAX));
                in_range(report, node, Self::new(raw))
            }
            Value::Text(text) => dotted(text).or_else(|| {
                let message = format!("`{}`: `{text}` is not a port address", node.key);
                let help = "write 0 to 32767, or \"net.subnet.universe\" up to \"127.15.15\"";
                report.error(node.spot, code::OUT_OF_RANGE, message, Some(help.into()));
                None
            }),
            _ => {
                report.wrong_type(node, "a port address such as 17 or \"0.1.1\"");
                None
            }
        }
    }
}

fn dotted(text: &str) -> Option<PortAddress> {
    let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
    let (net, sub_net, universe) = (parts.next()??, parts.next()??, parts.next()??);
    let fits = net <= 127 && sub_net <= 15 && universe <= 15 && parts.next().is_none();
    if !fits {
        return None;
    }
    PortAddress::new(net << 8 | sub_net << 4 | universe).ok()
}
