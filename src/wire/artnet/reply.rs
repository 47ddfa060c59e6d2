//! ArtPollReply: who somebody is, and which port addresses it takes or brings (rules A6 and A7).
//!
//! In: the octets after the operation code. Out: a [`PollReply`], and back. A node with more ports than a reply holds
//! sends several, told apart by their bind index.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use units::PortAddress;

use super::{ArtnetError, ESTA, OEM, PORT, at, begin, op, put_text, text};

/// An ArtPollReply of Art-Net 4; older nodes send 207 octets and more (rule A2).
pub const POLL_REPLY_LEN: usize = 239;
/// Ports of a reply, each way: they share net and sub-net (rule A6).
pub const PORTS_A_REPLY: usize = 4;

/// Where each field lies.
mod field {
    use std::ops::Range;
    pub const IP: Range<usize> = 10..14;
    /// Low byte first.
    pub const PORT: Range<usize> = 14..16;
    pub const FIRMWARE: Range<usize> = 16..18;
    pub const NET: usize = 18;
    pub const SUB_NET: usize = 19;
    pub const OEM: Range<usize> = 20..22;
    // 22: version of the UBEA, an area of firmware that only some nodes have.
    pub const STATUS_1: usize = 23;
    /// Low byte first.
    pub const ESTA: Range<usize> = 24..26;
    pub const SHORT_NAME: Range<usize> = 26..44;
    pub const LONG_NAME: Range<usize> = 44..108;
    pub const REPORT: Range<usize> = 108..172;
    pub const PORT_COUNT: Range<usize> = 172..174;
    pub const PORT_TYPES: Range<usize> = 174..178;
    pub const GOOD_INPUT: Range<usize> = 178..182;
    pub const GOOD_OUTPUT_A: Range<usize> = 182..186;
    pub const IN_UNIVERSES: Range<usize> = 186..190;
    pub const OUT_UNIVERSES: Range<usize> = 190..194;
    pub const ACN_PRIORITY: usize = 194;
    // 195 and 196: macro and remote inputs, contacts that we do not have; 197 to 199: spare.
    pub const STYLE: usize = 200;
    pub const MAC: Range<usize> = 201..207;
    /// What the oldest nodes send.
    pub const LEN_MIN: usize = 207;
    pub const BIND_IP: Range<usize> = 207..211;
    pub const BIND_INDEX: usize = 211;
    pub const STATUS_2: usize = 212;
    pub const GOOD_OUTPUT_B: Range<usize> = 213..217;
    pub const STATUS_3: usize = 217;
    pub const RESPONDER: Range<usize> = 218..224;
    // 224 and 225: whatever the maker likes.
    pub const REFRESH: Range<usize> = 226..228;
    // 228: policy of queued RDM messages; 229 to 238: filler.
}

/// Port types: it puts out what Art-Net brings.
const OUTPUT: u8 = 0x80;
/// Port types: it brings DMX onto Art-Net.
const INPUT: u8 = 0x40;
/// GoodInput and GoodOutputA: data is flowing.
const FLOWING: u8 = 0x80;
/// GoodOutputA: two senders are merged just now.
const MERGING: u8 = 0x08;
/// GoodOutputA: two senders are merged by the latest, not by the highest.
const LATEST: u8 = 0x02;
/// GoodOutputB: RDM is off, no search for devices runs, none runs by itself.
const NO_RDM: u8 = 0x80 | 0x20 | 0x10;
/// Status 3: what becomes of outputs that nobody sends.
const FAILSAFE: u8 = 0xc0;
/// Status 3: ArtAddress may set that.
const FAILSAFE_PROGRAMMABLE: u8 = 0x20;

/// Status 1: port addresses are set at the device itself, not over the network.
pub const STATUS_1_SET_HERE: u8 = 0x10;
/// Status 1: it speaks RDM.
pub const STATUS_1_RDM: u8 = 0x02;
/// Status 2: it knows 15-bit port addresses.
pub const STATUS_2_FIFTEEN_BITS: u8 = 0x08;

/// ArtPollReply. Of a short one, what is missing is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollReply {
    /// The node's own idea of its address.
    pub ip: Ipv4Addr,
    /// Its firmware's version, major and minor.
    pub firmware: [u8; 2],
    /// Which product it is, by Art-Net's list.
    pub oem: u16,
    /// How its addresses are set, whether it speaks RDM.
    pub status_1: u8,
    /// Its maker, by ESTA's list.
    pub esta: u16,
    /// For a list.
    pub short_name: String,
    /// For people.
    pub long_name: String,
    /// `#xxxx [yyyy] text`: a status code, a counter of replies, words.
    pub report: String,
    /// Its ports: up to [`PORTS_A_REPLY`] each way.
    pub ports: Vec<Port>,
    /// The sACN priority of what it turns into sACN.
    pub acn_priority: u8,
    /// What it is.
    pub style: Style,
    /// Its hardware address; zero if it does not say.
    pub mac: [u8; 6],
    /// The address of its root, where it is part of something larger.
    pub bind_ip: Ipv4Addr,
    /// Which of a node's replies this is, from 1; 0 and 1 are its root.
    pub bind_index: u8,
    /// What it can do.
    pub status_2: u8,
    /// What becomes of its outputs when nobody sends them any more, where ArtAddress can set that.
    pub failsafe: Option<Failsafe>,
    /// How its outputs are, in their order; of one that is not told of nothing is so.
    pub good_outputs: Vec<GoodOutput>,
    /// Its own RDM UID for RDMnet and LLRP; zero if it has none.
    pub responder: [u8; 6],
    /// The most frames a second that it takes; 0: what DMX has.
    pub refresh_hz: u16,
}

impl Default for PollReply {
    /// Of nobody's making, with no name and no port.
    fn default() -> Self {
        Self {
            ip: Ipv4Addr::UNSPECIFIED,
            firmware: [0; 2],
            oem: OEM,
            status_1: 0,
            esta: ESTA,
            short_name: String::new(),
            long_name: String::new(),
            report: String::new(),
            ports: Vec::new(),
            acn_priority: 0,
            style: Style::Node,
            mac: [0; 6],
            bind_ip: Ipv4Addr::UNSPECIFIED,
            bind_index: 1,
            status_2: STATUS_2_FIFTEEN_BITS,
            failsafe: None,
            good_outputs: Vec::new(),
            responder: [0; 6],
            refresh_hz: 0,
        }
    }
}

/// What becomes of outputs that nobody sends any more (ArtPollReply, Status3; rule A17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failsafe {
    /// They stay.
    Hold,
    /// They go out.
    Zero,
    /// They go full.
    Full,
    /// They show what was recorded.
    Scene,
}

impl Failsafe {
    fn bits(self) -> u8 {
        match self {
            Self::Hold => 0x00,
            Self::Zero => 0x40,
            Self::Full => 0x80,
            Self::Scene => 0xc0,
        }
    }
    fn of(status_3: u8) -> Option<Self> {
        let all = [Self::Hold, Self::Zero, Self::Full, Self::Scene];
        let programmable = status_3 & FAILSAFE_PROGRAMMABLE != 0;
        all.into_iter().find(|it| programmable && it.bits() == status_3 & FAILSAFE)
    }
}

/// How an output is (ArtPollReply, GoodOutputA; rule A16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GoodOutput {
    /// Somebody sends it.
    pub flowing: bool,
    /// Two do, and are merged.
    pub merging: bool,
    /// It merges by the latest, not by the highest.
    pub latest: bool,
}

impl GoodOutput {
    fn octet(self) -> u8 {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        bit(self.flowing, FLOWING) | bit(self.merging, MERGING) | bit(self.latest, LATEST)
    }
    fn of(octet: u8) -> Self {
        Self {
            flowing: octet & FLOWING != 0,
            merging: octet & MERGING != 0,
            latest: octet & LATEST != 0,
        }
    }
}

/// What kind of equipment answers (table 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Between Art-Net and DMX.
    Node,
    /// A lighting console, or a box that plays shows.
    Controller,
    /// Anything else, by its code.
    Other(u8),
}

impl Style {
    fn code(self) -> u8 {
        match self {
            Self::Node => 0,
            Self::Controller => 1,
            Self::Other(code) => code,
        }
    }
    fn of(code: u8) -> Self {
        match code {
            0 => Self::Node,
            1 => Self::Controller,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("node"),
            Self::Controller => f.write_str("controller"),
            Self::Other(code) => write!(f, "style {code}"),
        }
    }
}

/// A port of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Puts out what comes for this address: a subscriber (rule A8).
    Output(PortAddress),
    /// Brings this address onto the network.
    Input(PortAddress),
}

impl Port {
    /// Where it is patched.
    pub fn address(self) -> PortAddress {
        match self {
            Self::Output(address) | Self::Input(address) => address,
        }
    }
    /// Net and sub-net: what the ports of a reply share (rule A6).
    pub fn sub_net(self) -> u16 {
        self.address().raw() >> 4
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<PollReply, ArtnetError> {
    at(bytes, 0..field::LEN_MIN)?;
    // Behind what the oldest nodes send, a missing octet is zero.
    let late = |index: usize| bytes.get(index).copied().unwrap_or(0);
    Ok(PollReply {
        ip: Ipv4Addr::from(octets(bytes, field::IP.start)),
        firmware: octets(bytes, field::FIRMWARE.start),
        oem: u16::from_be_bytes(octets(bytes, field::OEM.start)),
        status_1: bytes[field::STATUS_1],
        esta: u16::from_le_bytes(octets(bytes, field::ESTA.start)),
        short_name: text(&bytes[field::SHORT_NAME]),
        long_name: text(&bytes[field::LONG_NAME]),
        report: text(&bytes[field::REPORT]),
        ports: ports(bytes),
        acn_priority: bytes[field::ACN_PRIORITY],
        style: Style::of(bytes[field::STYLE]),
        mac: octets(bytes, field::MAC.start),
        bind_ip: Ipv4Addr::from(octets(bytes, field::BIND_IP.start)),
        bind_index: late(field::BIND_INDEX),
        status_2: late(field::STATUS_2),
        failsafe: Failsafe::of(late(field::STATUS_3)),
        good_outputs: good_outputs(bytes),
        responder: octets(bytes, field::RESPONDER.start),
        refresh_hz: u16::from_be_bytes(octets(bytes, field::REFRESH.start)),
    })
}

fn good_outputs(bytes: &[u8]) -> Vec<GoodOutput> {
    let all = bytes[field::PORT_TYPES].iter().zip(&bytes[field::GOOD_OUTPUT_A]);
    all.filter(|(kind, _)| *kind & OUTPUT != 0).map(|(_, &octet)| GoodOutput::of(octet)).collect()
}

fn octets<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes.get(start + index).copied().unwrap_or(0))
}

/// Net and sub-net are shared by a reply's ports, each has its own universe in them (rule A6).
fn ports(bytes: &[u8]) -> Vec<Port> {
    let (net, sub_net) = (bytes[field::NET] & 0x7f, bytes[field::SUB_NET] & 0x0f);
    let address = |universe: u8| {
        let raw = u16::from(net) << 8 | u16::from(sub_net) << 4 | u16::from(universe & 0x0f);
        PortAddress::new(u32::from(raw)).expect("15 bits are left")
    };
    let kinds = &bytes[field::PORT_TYPES];
    let outputs = kinds.iter().zip(&bytes[field::OUT_UNIVERSES]);
    let inputs = kinds.iter().zip(&bytes[field::IN_UNIVERSES]);
    let outputs = outputs
        .filter(|(kind, _)| *kind & OUTPUT != 0)
        .map(|(_, &universe)| Port::Output(address(universe)));
    let inputs = inputs
        .filter(|(kind, _)| *kind & INPUT != 0)
        .map(|(_, &universe)| Port::Input(address(universe)));
    outputs.chain(inputs).collect()
}

impl PollReply {
    /// Writes it: names are cut to their fields, ports beyond the fourth of their kind, or of another net or sub-net
    /// than the first, are left out (rule A6).
    pub fn emit(&self) -> [u8; POLL_REPLY_LEN] {
        let mut bytes = [0; POLL_REPLY_LEN];
        begin(&mut bytes, op::POLL_REPLY);
        bytes[field::IP].copy_from_slice(&self.ip.octets());
        bytes[field::PORT].copy_from_slice(&PORT.to_le_bytes());
        bytes[field::FIRMWARE].copy_from_slice(&self.firmware);
        bytes[field::OEM].copy_from_slice(&self.oem.to_be_bytes());
        bytes[field::STATUS_1] = self.status_1;
        bytes[field::ESTA].copy_from_slice(&self.esta.to_le_bytes());
        put_text(&mut bytes[field::SHORT_NAME], &self.short_name);
        put_text(&mut bytes[field::LONG_NAME], &self.long_name);
        put_text(&mut bytes[field::REPORT], &self.report);
        self.put_ports(&mut bytes);
        bytes[field::ACN_PRIORITY] = self.acn_priority;
        bytes[field::STYLE] = self.style.code();
        bytes[field::MAC].copy_from_slice(&self.mac);
        bytes[field::BIND_IP].copy_from_slice(&self.bind_ip.octets());
        bytes[field::BIND_INDEX] = self.bind_index;
        bytes[field::STATUS_2] = self.status_2;
        let failsafe = self.failsafe.map(|it| FAILSAFE_PROGRAMMABLE | it.bits());
        bytes[field::STATUS_3] = failsafe.unwrap_or(0);
        bytes[field::RESPONDER].copy_from_slice(&self.responder);
        bytes[field::REFRESH].copy_from_slice(&self.refresh_hz.to_be_bytes());
        bytes
    }

    fn put_ports(&self, bytes: &mut [u8; POLL_REPLY_LEN]) {
        let Some(first) = self.ports.first() else { return };
        bytes[field::NET] = first.address().net();
        bytes[field::SUB_NET] = first.address().sub_net();
        let shared = |port: &&Port| port.sub_net() == first.sub_net();
        let (mut outputs, mut inputs) = (0, 0);
        for port in self.ports.iter().filter(shared) {
            let (count, kind, universes) = match port {
                Port::Output(_) => (&mut outputs, OUTPUT, field::OUT_UNIVERSES),
                Port::Input(_) => (&mut inputs, INPUT, field::IN_UNIVERSES),
            };
            if *count < PORTS_A_REPLY {
                bytes[field::PORT_TYPES.start + *count] |= kind;
                bytes[universes.start + *count] = port.address().universe();
                *count += 1;
            }
        }
        bytes[field::GOOD_INPUT][..inputs].fill(FLOWING);
        bytes[field::GOOD_OUTPUT_B][..outputs].fill(NO_RDM);
        for (octet, good) in
            bytes[field::GOOD_OUTPUT_A][..outputs].iter_mut().zip(&self.good_outputs)
        {
            *octet = good.octet();
        }
        // The larger of the two numbers (ArtPollReply, NumPorts).
        let count = outputs.max(inputs) as u16;
        bytes[field::PORT_COUNT].copy_from_slice(&count.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Packet, parse};
    use super::*;
    use proptest::prelude::*;

    fn port(raw: u32) -> PortAddress {
        PortAddress::new(raw).expect("15 bits")
    }

    fn node(ports: Vec<Port>) -> PollReply {
        PollReply {
            ip: Ipv4Addr::new(10, 0, 0, 7),
            short_name: "node".into(),
            long_name: "A node in the grid".into(),
            report: "#0001 [0007] fine".into(),
            good_outputs: good(&ports),
            ports,
            mac: [2, 0, 0, 0, 0, 7],
            ..PollReply::default()
        }
    }

    /// Somebody sends each of the outputs.
    fn good(ports: &[Port]) -> Vec<GoodOutput> {
        let outputs = ports.iter().filter(|it| matches!(it, Port::Output(_)));
        outputs.map(|_| GoodOutput { flowing: true, ..GoodOutput::default() }).collect()
    }

    fn read(bytes: &[u8]) -> PollReply {
        match parse(bytes) {
            Ok(Packet::PollReply(reply)) => *reply,
            other => panic!("a reply was read as {other:?}"),
        }
    }

    #[test]
    fn a01_a_poll_reply_carries_no_version() {
        let reply = PollReply { ip: Ipv4Addr::new(0, 1, 0, 0), ..node(vec![]) };
        assert_eq!(read(&reply.emit()), reply);
    }

    #[test]
    fn a02_of_a_short_reply_of_an_old_node_the_rest_is_zero() {
        let answer = node(vec![Port::Output(port(0x123))]).emit();
        let old = read(&answer[..207]);
        assert_eq!((old.ports.len(), old.bind_index, old.status_2), (1, 0, 0));
        assert_eq!(parse(&answer[..206]), Err(ArtnetError::Short(206)));
    }

    #[test]
    fn a06_ports_of_a_reply_share_net_and_sub_net() {
        let ports = [0x123, 0x124, 0x223].map(|raw| Port::Output(port(raw))).to_vec();
        let shared = [Port::Output(port(0x123)), Port::Output(port(0x124))];
        assert_eq!(read(&node(ports).emit()).ports, shared);
    }

    #[test]
    fn a06_a_reply_holds_four_ports_each_way_and_counts_the_larger_number() {
        let outputs = (0..5).map(|raw| Port::Output(port(raw)));
        let inputs = (6..8).map(|raw| Port::Input(port(raw)));
        let bytes = node(outputs.chain(inputs).collect()).emit();
        assert_eq!(bytes[field::PORT_COUNT], [0, 4]);
        assert_eq!(bytes[field::PORT_TYPES], [0xc0, 0xc0, 0x80, 0x80]);
        assert_eq!(read(&bytes).ports.len(), 6);
    }

    #[test]
    fn a07_every_field_lies_where_art_net_4_has_it() {
        let reply = PollReply {
            firmware: [1, 2],
            oem: 0x1234,
            status_1: 0x32,
            esta: 0x5678,
            acn_priority: 100,
            bind_ip: Ipv4Addr::new(10, 0, 0, 1),
            bind_index: 3,
            status_2: 0x0d,
            failsafe: Some(Failsafe::Scene),
            responder: [9, 8, 7, 6, 5, 4],
            refresh_hz: 0x012c,
            ..node(vec![Port::Input(port(0x7ab))])
        };
        let bytes = reply.emit();
        assert_eq!(bytes[16..26], [1, 2, 7, 0xa, 0x12, 0x34, 0, 0x32, 0x78, 0x56]);
        assert_eq!(bytes[172..182], [0, 1, 0x40, 0, 0, 0, 0x80, 0, 0, 0]);
        assert_eq!(bytes[186..195], [0xb, 0, 0, 0, 0, 0, 0, 0, 100]);
        assert_eq!(bytes[207..218], [10, 0, 0, 1, 3, 0x0d, 0, 0, 0, 0, 0xe0]);
        assert_eq!(bytes[218..228], [9, 8, 7, 6, 5, 4, 0, 0, 1, 0x2c]);
        assert_eq!(read(&bytes), reply);
    }

    #[test]
    fn a16_a17_how_an_output_merges_and_what_becomes_of_it_lie_where_art_net_4_has_them() {
        let mut reply = node(vec![Port::Output(port(0x123)), Port::Output(port(0x124))]);
        reply.good_outputs[1] = GoodOutput { flowing: true, merging: true, latest: true };
        for (failsafe, status_3) in [
            (Some(Failsafe::Hold), 0x20),
            (Some(Failsafe::Zero), 0x60),
            (Some(Failsafe::Full), 0xa0),
            (Some(Failsafe::Scene), 0xe0),
            (None, 0),
        ] {
            reply.failsafe = failsafe;
            let bytes = reply.emit();
            assert_eq!(bytes[182..186], [0x80, 0x8a, 0, 0], "GoodOutputA");
            assert_eq!(bytes[213..218], [0xb0, 0xb0, 0, 0, status_3], "GoodOutputB, Status3");
            assert_eq!(read(&bytes), reply);
        }
    }

    proptest! {
        #[test]
        fn a07_a_reply_is_read_as_it_was_written(
            raw in 0_u32..=0x7fff, bind_index: u8, output: bool, status: [u8; 2], responder: [u8; 6], refresh_hz: u16,
        ) {
            let port = if output { Port::Output(port(raw)) } else { Port::Input(port(raw)) };
            let [status_1, status_2] = status;
            let reply =
                PollReply { bind_index, status_1, status_2, responder, refresh_hz, ..node(vec![port]) };
            prop_assert_eq!(read(&reply.emit()), reply);
        }
    }
}
