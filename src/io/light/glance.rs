//! What is on the wire, for watchers: `downbeat universes`, console, metrics. Keys are only ever added.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use engine::light::controller::Subscriber;
use engine::light::input::{InputSource, InputState};
use engine::order::Evidence;
use engine::show::{InputFrom, InputMerge, ShowInput};
use serde::Serialize;
use units::{PortAddress, ShowTime, Span, Universe};
use uuid::Uuid;

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
    /// The worst a frame left after its instant within the last minute, nanoseconds. Universes that leave together share
    /// it: the kernel stamps the last of them.
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
    /// As what: the box's name.
    pub source_name: String,
    /// And its id.
    pub cid: Uuid,
    /// At which priority.
    pub priority: u8,
    /// Whether it is multicast.
    pub multicast: bool,
    /// And to whom besides.
    pub unicast: Vec<IpAddr>,
    /// Who finds the way to its group.
    pub by: By,
}

/// Who finds the way of what goes to groups over IPv4. What goes to somebody, and IPv6, always takes the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// It is put on the lighting interface's cable as it is, by no local firewall.
    Cable,
    /// The kernel, as for any datagram.
    Kernel,
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

/// A universe that comes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputGlance {
    /// Its name in the show file.
    pub input: String,
    /// The universe, if it comes by sACN.
    pub universe: Option<Universe>,
    /// The port address, if it comes by Art-Net.
    pub port_address: Option<PortAddress>,
    /// The universe that it is mixed with; none: it only fires cues.
    pub to: Option<Universe>,
    /// How.
    pub merge: InputMerge,
    /// `waiting` (nobody has sent it yet), `live`, or `lost`.
    pub state: &'static str,
    /// Who sends it.
    pub sources: Vec<SourceGlance>,
}

/// Somebody who sends an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceGlance {
    /// What it calls itself; Art-Net does not say.
    pub name: Option<String>,
    /// Where it is.
    pub address: IpAddr,
    /// At which priority; with Art-Net that of the show file.
    pub priority: u8,
    /// Since its levels were last heard, nanoseconds.
    #[serde(rename = "age_ns")]
    pub age: Span,
}

impl InputGlance {
    pub(super) fn new(
        input: &ShowInput,
        state: InputState,
        sources: &[InputSource],
        now: ShowTime,
    ) -> Self {
        let (universe, port_address) = match input.from {
            InputFrom::Sacn(universe) => (Some(universe), None),
            InputFrom::Artnet(port_address) => (None, Some(port_address)),
        };
        let state = match state {
            InputState::Waiting => "waiting",
            InputState::Live => "live",
            InputState::Lost { .. } => "lost",
        };
        let sources = sources.iter().map(|it| SourceGlance {
            name: it.name.clone(),
            address: it.address,
            priority: it.priority,
            age: now - it.heard,
        });
        let (name, sources) = (input.name.clone(), sources.collect());
        let (to, merge) = (input.to, input.merge);
        Self { input: name, universe, port_address, to, merge, state, sources }
    }
}
