//! How light leaves the box, and how it comes in.

use std::net::IpAddr;

use serde::Serialize;
use units::{PortAddress, Slot, Span, Universe};

/// How all light leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LightOut {
    /// The universe whose synchronization packets make the levels of all sACN universes visible at once (rule S10);
    /// none: each acts when it comes.
    pub sacn_sync: Option<Universe>,
    /// What multicast sACN is sent by and heard on.
    pub sacn_ip: SacnIp,
    /// Every frame of the grid is sent, whether anything changed or not: receivers notice a loss sooner (rule S16).
    pub constant: bool,
}

/// What multicast sACN is sent by and heard on (rule S12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SacnIp {
    /// What most nodes know.
    #[default]
    V4,
    /// IPv6 alone.
    V6,
    /// Each packet twice.
    Both,
}

impl SacnIp {
    /// Whether IPv4 groups are used.
    pub fn v4(self) -> bool {
        self != Self::V6
    }
    /// Whether IPv6 groups are used.
    pub fn v6(self) -> bool {
        self != Self::V4
    }
}

/// How a universe leaves the box. Both may be set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UniverseOut {
    /// For people.
    pub label: String,
    /// As sACN.
    pub sacn: Option<SacnOut>,
    /// As Art-Net.
    pub artnet: Option<ArtnetOut>,
}

/// sACN of a universe.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SacnOut {
    /// Send to the universe's multicast group.
    pub multicast: bool,
    /// And to each of these.
    pub unicast: Vec<IpAddr>,
    /// Beside the levels a priority for each slot: the show's where something is patched, none elsewhere (rule S13).
    pub per_address: bool,
    /// For visualisers only, never for live output (rule S9).
    pub preview: bool,
}

/// Art-Net of a universe: always unicast, to the nodes that subscribe (rule A8).
#[derive(Debug, Clone, PartialEq)]
pub struct ArtnetOut {
    /// Where nodes have it.
    pub port_address: PortAddress,
    /// Addresses that are polled besides the interface's broadcast address.
    pub poll: Vec<IpAddr>,
}

/// A universe that comes in, of a console or another box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowInput {
    /// Its name in triggers.
    pub name: String,
    /// Where it comes from.
    pub from: InputFrom,
    /// The universe that it is mixed with; none: it only fires cues.
    pub to: Option<Universe>,
    /// Its first slot that is used.
    pub first: Slot,
    /// And how many from there.
    pub count: u16,
    /// Where the first goes.
    pub at: Slot,
    /// How it is mixed with the show's own light, and two of its Art-Net senders with each other.
    pub merge: InputMerge,
    /// Priority of what comes by Art-Net, which has none.
    pub priority: u8,
    /// What becomes of it when nobody sends it any more.
    pub loss: LossGoal,
    /// How long it stays as it was before that.
    pub hold: Span,
    /// How long that takes.
    pub fade: Span,
}

/// Where an input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputFrom {
    /// A universe by sACN.
    Sacn(Universe),
    /// A port address by Art-Net.
    Artnet(PortAddress),
}

/// How an input is mixed with the show's own light, slot by slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputMerge {
    /// The highest level.
    #[default]
    Htp,
    /// Whoever moved the slot last.
    Ltp,
    /// The higher sACN priority, that of the show being `priority`; among equals the highest level.
    Priority,
}

/// What becomes of an input that nobody sends any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LossGoal {
    /// The show has its slots again.
    #[default]
    Release,
    /// It stays as it was.
    Hold,
    /// It goes out.
    Zero,
    /// It goes full.
    Full,
    /// It shows what ArtAddress has had recorded; where nothing was, it stays as it was.
    Scene,
}
