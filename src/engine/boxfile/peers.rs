//! `[peers]`: how phones reach the box for a peer connection (WebRTC), beyond its own addresses.
//!
//! In: the section. Out: [`Peers`]. The box asks no STUN or TURN server itself: phones come to it.

use std::net::SocketAddr;

use units::Span;
use wire::solusync::IceServer;

use crate::reader::{Node, Read, Report, Table, code};

/// How phones reach the box.
#[derive(Debug, Clone, PartialEq)]
pub struct Peers {
    /// Where the box can be reached besides its own addresses, such as what a NAT forwards to it.
    pub announce: Vec<SocketAddr>,
    /// Told to every phone.
    pub ice_servers: Vec<IceServer>,
    /// How long after it was sent live sound is heard by all phones at once.
    pub live_delay: Span,
}

/// Where nobody says otherwise: what the worst level of SX-14 asks for, so that no phone that can be kept in step falls out of it.
pub const LIVE_DELAY: Span = Span::from_millis(250);

pub(super) const KEYS: &[&str] = &["announce", "ice_servers", "live_delay_ms"];

impl Default for Peers {
    fn default() -> Self {
        Self { announce: Vec::new(), ice_servers: Vec::new(), live_delay: LIVE_DELAY }
    }
}

pub(super) fn read(table: &Table) -> Peers {
    let delay_ms = table.whole("live_delay_ms", 30..=2_000);
    Peers {
        announce: table.each("announce"),
        ice_servers: table.each("ice_servers"),
        live_delay: delay_ms.map_or(LIVE_DELAY, |ms: u32| Span::from_millis(ms.into())),
    }
}

impl Read for SocketAddr {
    fn read(node: &Node, report: &Report) -> Option<Self> {
        let text = String::read(node, report)?;
        let address = text.parse().ok().filter(|it: &Self| it.port() != 0);
        if address.is_none() {
            let message = format!(
                "`{}` must be an address with its port, such as \"203.0.113.7:4003\", not {text:?}",
                node.key
            );
            report.error(node.spot, code::OUT_OF_RANGE, message, None);
        }
        address
    }
}

impl Read for IceServer {
    fn read(node: &Node, report: &Report) -> Option<Self> {
        let keys = &["urls", "username", "credential"];
        let table = Table::open(report, node, "an ICE server", keys)?;
        if table.node("urls").is_none() {
            table.missing("urls");
            return None;
        }
        let server = Self {
            urls: table.each("urls"),
            username: table.read("username"),
            credential: table.read("credential"),
        };
        let wrong = wrong(&server);
        if let Some(message) = &wrong {
            report.error(node.spot, code::OUT_OF_RANGE, message.clone(), None);
        }
        wrong.is_none().then_some(server)
    }
}

/// What a browser would throw at.
fn wrong(server: &IceServer) -> Option<String> {
    let strange = |url: &&String| {
        ["stun:", "stuns:", "turn:", "turns:"].iter().all(|it| !url.starts_with(it))
    };
    if let Some(url) = server.urls.iter().find(strange) {
        return Some(format!(
            "an ICE server's URL begins with stun:, stuns:, turn: or turns:, not {url:?}"
        ));
    }
    let turns = server.urls.iter().any(|url| url.starts_with("turn"));
    let named = server.username.is_some() && server.credential.is_some();
    (turns && !named).then(|| "a TURN server needs `username` and `credential`".to_owned())
}
