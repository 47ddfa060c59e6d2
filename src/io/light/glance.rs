//! What is on the wire, for watchers: `downbeat universes`, console, metrics. Keys are only ever added.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use engine::light::controller::Subscriber;
use engine::order::Evidence;
use serde::Serialize;
use units::{PortAddress, Span, Universe};

/// A universe as it leaves the box. What is not known is `null`, never 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UniverseGlance {
    /// Which.
    pub universe: Universe,
    /// For people.
    pub label: String,
    /// As sACN, if it leaves so.
    pub sacn: Option<SacnGlance>,
    /// As Art-Net, if it leaves so.
    pub artnet: Option<ArtnetGlance>,
    /// Frames in the last second; a still universe has one or two.
    pub frames_per_second: Option<u64>,
    /// Nanoseconds since its last frame.
    #[serde(rename = "last_frame_age_ns")]
    pub last_frame_age: Option<Span>,
    /// The worst a frame left after its instant within the last minute, all universes of the box, nanoseconds.
    #[serde(rename = "worst_late_ns")]
    pub worst_late: Option<Span>,
    /// How that is known.
    pub evidence: Option<Evidence>,
    /// Who else sends on it.
    pub foreign: Vec<Foreign>,
}

/// sACN of a universe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SacnGlance {
    /// At which priority.
    pub priority: u8,
    /// Whether it is multicast.
    pub multicast: bool,
    /// And to whom besides.
    pub unicast: Vec<IpAddr>,
}

/// Art-Net of a universe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtnetGlance {
    /// Where nodes have it.
    pub port_address: PortAddress,
    /// Who has asked for it.
    pub subscribers: Vec<NodeGlance>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeGlance {
    /// Where it is.
    pub address: Ipv4Addr,
    /// What it calls itself.
    pub name: String,
}

impl From<Subscriber> for NodeGlance {
    fn from(it: Subscriber) -> Self {
        Self { address: it.address, name: it.name }
    }
}

impl fmt::Display for NodeGlance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.name, self.address)
    }
}

/// Somebody else who sends on a universe of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Foreign {
    /// What it calls itself; `Art-Net` where it gives no name.
    pub name: String,
    /// Where it is.
    pub address: IpAddr,
    /// Its sACN priority; the higher one wins.
    pub priority: Option<u8>,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.name, self.address)?;
        self.priority.map_or(Ok(()), |priority| write!(f, " with priority {priority}"))
    }
}
