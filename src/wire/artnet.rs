//! Art-Net 4: DMX over UDP, to those who ask for it.
//!
//! In: datagrams from anybody. Out: [`Packet`], or why it was refused. The other way: [`DmxFrame`], an ArtDmx that is
//! written once and then changed in place, so that a frame costs no allocation; [`poll`], [`PollReply::emit`], [`SYNC`].
//! Most numbers are high byte first; the operation code and a port are low byte first. Never here: sockets, and who
//! is a subscriber.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::{Range, RangeInclusive};

use units::{Clock, FrameRate, PortAddress, Timecode, Universe};

/// Where Art-Net listens, and whence it sends (rule A1).
pub const PORT: u16 = 6454;
/// The protocol version we speak, and the least we take (rule A1).
pub const VERSION: u16 = 14;
/// Octets of an ArtDmx with all 512 slots.
pub const DMX_LEN: usize = dmx::SLOTS.end;
/// An ArtPollReply of Art-Net 4; older nodes send 207 octets and more (rule A2).
pub const POLL_REPLY_LEN: usize = 239;
/// What an unregistered maker writes: experimental by ESTA's list, unknown by Art-Net's.
const ESTA: u16 = 0x7ff0;
const OEM: u16 = 0x00ff;

const ID: [u8; 8] = *b"Art-Net\0";

/// Operation codes (table 1), low byte first on the wire.
mod op {
    pub const POLL: u16 = 0x2000;
    pub const POLL_REPLY: u16 = 0x2100;
    pub const DMX: u16 = 0x5000;
    pub const SYNC: u16 = 0x5200;
    pub const ADDRESS: u16 = 0x6000;
    pub const INPUT: u16 = 0x7000;
    pub const TIME_CODE: u16 = 0x9700;
}

/// What every packet begins with.
mod head {
    use super::Range;
    pub const ID: Range<usize> = 0..8;
    /// Low byte first.
    pub const OP: Range<usize> = 8..10;
    /// In every packet but ArtPollReply.
    pub const VERSION: Range<usize> = 10..12;
}

/// ArtPoll.
mod poll_field {
    use super::Range;
    pub const FLAGS: usize = 12;
    pub const DIAG_PRIORITY: usize = 13;
    pub const TARGET_TOP: Range<usize> = 14..16;
    pub const TARGET_BOTTOM: Range<usize> = 16..18;
    pub const ESTA: Range<usize> = 18..20;
    pub const OEM: Range<usize> = 20..22;
    /// What the first Art-Net had; shorter is refused.
    pub const LEN_MIN: usize = 14;
}

/// ArtPollReply.
mod reply {
    use super::Range;
    pub const IP: Range<usize> = 10..14;
    /// Low byte first.
    pub const PORT: Range<usize> = 14..16;
    pub const FIRMWARE: Range<usize> = 16..18;
    pub const NET: usize = 18;
    pub const SUB_NET: usize = 19;
    pub const OEM: Range<usize> = 20..22;
    pub const STATUS_1: usize = 23;
    /// Low byte first.
    pub const ESTA: Range<usize> = 24..26;
    pub const SHORT_NAME: Range<usize> = 26..44;
    pub const LONG_NAME: Range<usize> = 44..108;
    pub const REPORT: Range<usize> = 108..172;
    pub const PORT_COUNT: Range<usize> = 172..174;
    pub const PORT_TYPES: Range<usize> = 174..178;
    pub const GOOD_OUTPUT: Range<usize> = 182..186;
    pub const IN_UNIVERSES: Range<usize> = 186..190;
    pub const OUT_UNIVERSES: Range<usize> = 190..194;
    pub const STYLE: usize = 200;
    pub const MAC: Range<usize> = 201..207;
    /// What the oldest nodes send.
    pub const LEN_MIN: usize = 207;
    pub const BIND_IP: Range<usize> = 207..211;
    pub const BIND_INDEX: usize = 211;
    pub const STATUS_2: usize = 212;
}

/// ArtDmx.
mod dmx {
    use super::Range;
    pub const SEQUENCE: usize = 12;
    pub const PHYSICAL: usize = 13;
    /// Sub-net and universe.
    pub const SUB_UNI: usize = 14;
    pub const NET: usize = 15;
    pub const LENGTH: Range<usize> = 16..18;
    pub const SLOTS: Range<usize> = 18..530;
}

/// ArtTimeCode.
mod time_code {
    /// A filler in older revisions, where it is 0: the master.
    pub const STREAM: usize = 13;
    pub const FRAMES: usize = 14;
    pub const SECONDS: usize = 15;
    pub const MINUTES: usize = 16;
    pub const HOURS: usize = 17;
    pub const KIND: usize = 18;
    pub const LEN: usize = 19;
}

/// ArtAddress and ArtInput: whom they are for.
const BIND_INDEX: usize = 13;
const ADDRESS_LEN: usize = 107;
const INPUT_LEN: usize = 20;

/// "Send me ArtPollReply whenever something changes" (ArtPoll, Flags).
const FLAG_ON_CHANGE: u8 = 0x02;
/// "Only nodes within the target range answer" (ArtPoll, Flags).
const FLAG_TARGETED: u8 = 0x20;
/// A port that puts out what Art-Net brings (ArtPollReply, PortTypes).
const PORT_OUTPUT: u8 = 0x80;
/// A port that brings DMX onto Art-Net.
const PORT_INPUT: u8 = 0x40;
/// The output is in use (ArtPollReply, GoodOutputA).
const GOOD_OUTPUT_LIVE: u8 = 0x80;
/// The node knows 15-bit port addresses (ArtPollReply, Status2).
const STATUS_2_FIFTEEN_BITS: u8 = 0x08;

/// ArtSync: nodes put out what they hold (rule A13). 14 octets, all after the version zero.
pub const SYNC: [u8; 14] = *b"Art-Net\0\x00\x52\x00\x0e\0\0";

/// Why a datagram is not Art-Net that we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArtnetError {
    /// It ends before its fields do.
    #[error("it ends after {0} octets, in the middle of a field")]
    Short(usize),
    /// Something else that came to this port.
    #[error("it does not begin with `Art-Net`")]
    NotArtnet,
    /// Older than 14 (rule A1).
    #[error("its protocol version {0} is older than 14")]
    Version(u16),
    /// ArtDmx: odd, under 2, above 512, or longer than the datagram (rule A10).
    #[error("its {0} slots are not an even number from 2 to 512 that the datagram holds")]
    Length(u16),
    /// Above 32,767 (rule A9).
    #[error("its port address {0} is above 32767")]
    PortAddress(u16),
    /// ArtTimeCode of a type above 3, or of a frame that its type does not have (rule A14).
    #[error("its timecode does not exist")]
    TimeCode,
}

/// A datagram understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// "Who is there?"
    Poll(Poll),
    /// "I am."
    PollReply(Box<PollReply>),
    /// Slots of a port address.
    Dmx(Dmx<'a>),
    /// Nodes put out what they hold.
    Sync,
    /// Somebody programs a node; answered with an ArtPollReply.
    Address {
        /// Which of the node's replies is meant; 0 and 1 are its root.
        bind_index: u8,
    },
    /// Somebody switches a node's inputs; answered with an ArtPollReply.
    Input {
        /// Which of the node's replies is meant; 0 and 1 are its root.
        bind_index: u8,
    },
    /// A frame of timecode begins.
    TimeCode(TimeCode),
    /// Art-Net that a lighting controller may pass over.
    Other(u16),
}

/// ArtTimeCode (rule A14). It says no more than 24, 25, 29.97 drop-frame and 30.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeCode {
    /// Which of several; 0 is the master.
    pub stream: u8,
    /// The frame that begins as it leaves.
    pub timecode: Timecode,
}

/// ArtPoll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The asker wants a reply whenever something changes, too.
    pub on_change: bool,
    /// Only who has a port address in this range answers; none: everybody.
    pub target: Option<RangeInclusive<u16>>,
}

/// ArtPollReply, as much of it as tells who somebody is and what it puts out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollReply {
    /// The node's own idea of its address.
    pub ip: Ipv4Addr,
    /// For a list.
    pub short_name: String,
    /// For people.
    pub long_name: String,
    /// `#xxxx [yyyy] text`: a status code, a counter of replies, words.
    pub report: String,
    /// What it is.
    pub style: Style,
    /// Its ports: up to four a reply.
    pub ports: Vec<Port>,
    /// Its hardware address; zero if it does not say.
    pub mac: [u8; 6],
    /// Which of a node's replies this is; 0 and 1 are its root.
    pub bind_index: u8,
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

/// A port of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Puts out what comes for this address: a subscriber (rule A8).
    Output(PortAddress),
    /// Brings this address onto the network.
    Input(PortAddress),
}

/// ArtDmx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dmx<'a> {
    /// 1 to 255 and over to 1; 0: the sender does not count (rule A10).
    pub sequence: u8,
    /// Which address.
    pub port_address: PortAddress,
    /// An even number of values from 2 to 512.
    pub slots: &'a [u8],
}

/// Reads a datagram.
pub fn parse(bytes: &[u8]) -> Result<Packet<'_>, ArtnetError> {
    if at(bytes, head::ID)? != ID {
        return Err(ArtnetError::NotArtnet);
    }
    let operation = u16::from_le_bytes(pair(bytes, head::OP)?);
    if operation == op::POLL_REPLY {
        // The one packet that carries no version (rule A1).
        return parse_reply(bytes).map(|reply| Packet::PollReply(Box::new(reply)));
    }
    let version = u16::from_be_bytes(pair(bytes, head::VERSION)?);
    if version < VERSION {
        return Err(ArtnetError::Version(version));
    }
    match operation {
        op::POLL => parse_poll(bytes).map(Packet::Poll),
        op::DMX => parse_dmx(bytes).map(Packet::Dmx),
        op::SYNC => Ok(Packet::Sync),
        op::TIME_CODE => parse_time_code(bytes).map(Packet::TimeCode),
        op::ADDRESS => {
            at(bytes, 0..ADDRESS_LEN)?;
            Ok(Packet::Address { bind_index: bytes[BIND_INDEX] })
        }
        op::INPUT => {
            at(bytes, 0..INPUT_LEN)?;
            Ok(Packet::Input { bind_index: bytes[BIND_INDEX] })
        }
        other => Ok(Packet::Other(other)),
    }
}

fn parse_poll(bytes: &[u8]) -> Result<Poll, ArtnetError> {
    at(bytes, 0..poll_field::LEN_MIN)?;
    let flags = bytes[poll_field::FLAGS];
    let range = || {
        let top = u16::from_be_bytes(pair(bytes, poll_field::TARGET_TOP)?);
        let bottom = u16::from_be_bytes(pair(bytes, poll_field::TARGET_BOTTOM)?);
        Ok(bottom..=top)
    };
    let target = if flags & FLAG_TARGETED == 0 { None } else { Some(range()?) };
    Ok(Poll { on_change: flags & FLAG_ON_CHANGE != 0, target })
}

fn parse_dmx(bytes: &[u8]) -> Result<Dmx<'_>, ArtnetError> {
    let length = u16::from_be_bytes(pair(bytes, dmx::LENGTH)?);
    let end = dmx::SLOTS.start + usize::from(length);
    let slots = bytes.get(dmx::SLOTS.start..end).ok_or(ArtnetError::Length(length))?;
    if length < 2 || !length.is_multiple_of(2) || end > dmx::SLOTS.end {
        return Err(ArtnetError::Length(length));
    }
    let raw = u16::from_be_bytes([bytes[dmx::NET], bytes[dmx::SUB_UNI]]);
    let port_address =
        PortAddress::new(u32::from(raw)).map_err(|_| ArtnetError::PortAddress(raw))?;
    Ok(Dmx { sequence: bytes[dmx::SEQUENCE], port_address, slots })
}

fn parse_time_code(bytes: &[u8]) -> Result<TimeCode, ArtnetError> {
    at(bytes, 0..time_code::LEN)?;
    let rate = match bytes[time_code::KIND] {
        0 => FrameRate::Fps24,
        1 => FrameRate::Fps25,
        2 => FrameRate::Drop29_97,
        3 => FrameRate::Fps30,
        _ => return Err(ArtnetError::TimeCode),
    };
    let clock = Clock {
        hours: bytes[time_code::HOURS],
        minutes: bytes[time_code::MINUTES],
        seconds: bytes[time_code::SECONDS],
        frames: bytes[time_code::FRAMES],
    };
    let timecode = Timecode::new(rate, clock).map_err(|_| ArtnetError::TimeCode)?;
    Ok(TimeCode { stream: bytes[time_code::STREAM], timecode })
}

fn parse_reply(bytes: &[u8]) -> Result<PollReply, ArtnetError> {
    at(bytes, 0..reply::LEN_MIN)?;
    let ip: [u8; 4] = at(bytes, reply::IP)?.try_into().expect("the field has four octets");
    Ok(PollReply {
        ip: Ipv4Addr::from(ip),
        short_name: text(&bytes[reply::SHORT_NAME]),
        long_name: text(&bytes[reply::LONG_NAME]),
        report: text(&bytes[reply::REPORT]),
        style: Style::of(bytes[reply::STYLE]),
        ports: reply_ports(bytes),
        mac: bytes[reply::MAC].try_into().expect("the field has six octets"),
        bind_index: bytes.get(reply::BIND_INDEX).copied().unwrap_or(0),
    })
}

/// Net and sub-net are shared by a reply's ports, each has its own universe in them (rule A6).
fn reply_ports(bytes: &[u8]) -> Vec<Port> {
    let (net, sub_net) = (bytes[reply::NET] & 0x7f, bytes[reply::SUB_NET] & 0x0f);
    let address = |universe: u8| {
        let raw = u16::from(net) << 8 | u16::from(sub_net) << 4 | u16::from(universe & 0x0f);
        PortAddress::new(u32::from(raw)).expect("15 bits are left")
    };
    let kinds = &bytes[reply::PORT_TYPES];
    let outputs = kinds.iter().zip(&bytes[reply::OUT_UNIVERSES]);
    let inputs = kinds.iter().zip(&bytes[reply::IN_UNIVERSES]);
    let outputs = outputs
        .filter(|(kind, _)| *kind & PORT_OUTPUT != 0)
        .map(|(_, &universe)| Port::Output(address(universe)));
    let inputs = inputs
        .filter(|(kind, _)| *kind & PORT_INPUT != 0)
        .map(|(_, &universe)| Port::Input(address(universe)));
    outputs.chain(inputs).collect()
}

fn at(bytes: &[u8], range: Range<usize>) -> Result<&[u8], ArtnetError> {
    bytes.get(range).ok_or(ArtnetError::Short(bytes.len()))
}

fn pair(bytes: &[u8], range: Range<usize>) -> Result<[u8; 2], ArtnetError> {
    Ok(at(bytes, range)?.try_into().expect("the field has two octets"))
}

fn text(octets: &[u8]) -> String {
    let end = octets.iter().position(|&octet| octet == 0).unwrap_or(octets.len());
    String::from_utf8_lossy(&octets[..end]).into_owned()
}

fn begin(bytes: &mut [u8], operation: u16) {
    bytes[head::ID].copy_from_slice(&ID);
    bytes[head::OP].copy_from_slice(&operation.to_le_bytes());
}

fn begin_versioned(bytes: &mut [u8], operation: u16) {
    begin(bytes, operation);
    bytes[head::VERSION].copy_from_slice(&VERSION.to_be_bytes());
}

/// Writes an ArtPoll.
pub fn poll(poll: &Poll) -> [u8; poll_field::OEM.end] {
    let mut bytes = [0; poll_field::OEM.end];
    begin_versioned(&mut bytes, op::POLL);
    if poll.on_change {
        bytes[poll_field::FLAGS] |= FLAG_ON_CHANGE;
    }
    if let Some(target) = &poll.target {
        bytes[poll_field::FLAGS] |= FLAG_TARGETED;
        bytes[poll_field::TARGET_TOP].copy_from_slice(&target.end().to_be_bytes());
        bytes[poll_field::TARGET_BOTTOM].copy_from_slice(&target.start().to_be_bytes());
    }
    // Diagnostics are not asked for, so their priority stays 0.
    bytes[poll_field::DIAG_PRIORITY] = 0;
    bytes[poll_field::ESTA].copy_from_slice(&ESTA.to_be_bytes());
    bytes[poll_field::OEM].copy_from_slice(&OEM.to_be_bytes());
    bytes
}

impl TimeCode {
    /// Writes it.
    pub fn emit(self) -> [u8; time_code::LEN] {
        let mut bytes = [0; time_code::LEN];
        begin_versioned(&mut bytes, op::TIME_CODE);
        let Clock { hours, minutes, seconds, frames } = self.timecode.clock();
        bytes[time_code::STREAM] = self.stream;
        bytes[time_code::FRAMES] = frames;
        bytes[time_code::SECONDS] = seconds;
        bytes[time_code::MINUTES] = minutes;
        bytes[time_code::HOURS] = hours;
        bytes[time_code::KIND] = match self.timecode.rate() {
            FrameRate::Fps23_976 | FrameRate::Fps24 => 0,
            FrameRate::Fps25 => 1,
            FrameRate::Drop29_97 => 2,
            FrameRate::Fps29_97 | FrameRate::Fps30 => 3,
        };
        bytes
    }
}

impl PollReply {
    /// Writes it: names are cut to their fields, ports beyond the fourth, or of another net or sub-net than the
    /// first, are left out (rule A6).
    pub fn emit(&self) -> [u8; POLL_REPLY_LEN] {
        let mut bytes = [0; POLL_REPLY_LEN];
        begin(&mut bytes, op::POLL_REPLY);
        bytes[reply::IP].copy_from_slice(&self.ip.octets());
        bytes[reply::PORT].copy_from_slice(&PORT.to_le_bytes());
        bytes[reply::FIRMWARE].copy_from_slice(&firmware().to_be_bytes());
        bytes[reply::OEM].copy_from_slice(&OEM.to_be_bytes());
        bytes[reply::STATUS_1] = 0;
        bytes[reply::ESTA].copy_from_slice(&ESTA.to_le_bytes());
        put_text(&mut bytes[reply::SHORT_NAME], &self.short_name);
        put_text(&mut bytes[reply::LONG_NAME], &self.long_name);
        put_text(&mut bytes[reply::REPORT], &self.report);
        self.put_ports(&mut bytes);
        bytes[reply::STYLE] = self.style.code();
        bytes[reply::MAC].copy_from_slice(&self.mac);
        bytes[reply::BIND_IP].copy_from_slice(&self.ip.octets());
        bytes[reply::BIND_INDEX] = self.bind_index;
        bytes[reply::STATUS_2] = STATUS_2_FIFTEEN_BITS;
        bytes
    }

    fn put_ports(&self, bytes: &mut [u8; POLL_REPLY_LEN]) {
        let Some(first) = self.ports.first().map(|port| port.address()) else { return };
        bytes[reply::NET] = first.net();
        bytes[reply::SUB_NET] = first.sub_net();
        let shared = self.ports.iter().filter(|port| port.address().raw() >> 4 == first.raw() >> 4);
        let mut count = 0;
        for (index, port) in shared.take(4).enumerate() {
            let universe = port.address().universe();
            match port {
                Port::Output(_) => {
                    bytes[reply::PORT_TYPES.start + index] = PORT_OUTPUT;
                    bytes[reply::GOOD_OUTPUT.start + index] = GOOD_OUTPUT_LIVE;
                    bytes[reply::OUT_UNIVERSES.start + index] = universe;
                }
                Port::Input(_) => {
                    bytes[reply::PORT_TYPES.start + index] = PORT_INPUT;
                    bytes[reply::IN_UNIVERSES.start + index] = universe;
                }
            }
            count += 1;
        }
        bytes[reply::PORT_COUNT].copy_from_slice(&u16::to_be_bytes(count));
    }
}

impl Port {
    /// Where it is patched.
    pub fn address(self) -> PortAddress {
        match self {
            Self::Output(address) | Self::Input(address) => address,
        }
    }
}

/// Major and minor number of this program, an octet each.
fn firmware() -> u16 {
    let part = |text: &str| text.parse::<u8>().unwrap_or(u8::MAX);
    u16::from_be_bytes([
        part(env!("CARGO_PKG_VERSION_MAJOR")),
        part(env!("CARGO_PKG_VERSION_MINOR")),
    ])
}

/// Cut between two characters, and with a 0 at the end.
fn put_text(octets: &mut [u8], text: &str) {
    let most = octets.len() - 1;
    let end = (0..=text.len().min(most)).rev().find(|&end| text.is_char_boundary(end));
    let end = end.expect("every text has a boundary at 0");
    octets[..end].copy_from_slice(&text.as_bytes()[..end]);
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

/// An ArtDmx with 512 slots, ready to send; what changes from frame to frame is changed in place.
#[derive(Debug, Clone)]
pub struct DmxFrame {
    bytes: [u8; DMX_LEN],
}

impl DmxFrame {
    /// All slots out, not counting yet.
    pub fn new(port_address: PortAddress) -> Self {
        let mut bytes = [0; DMX_LEN];
        begin_versioned(&mut bytes, op::DMX);
        let [net, sub_uni] = port_address.raw().to_be_bytes();
        bytes[dmx::PHYSICAL] = 0;
        bytes[dmx::SUB_UNI] = sub_uni;
        bytes[dmx::NET] = net;
        bytes[dmx::LENGTH].copy_from_slice(&(Universe::SLOTS as u16).to_be_bytes());
        Self { bytes }
    }
    /// The datagram.
    pub fn bytes(&self) -> &[u8; DMX_LEN] {
        &self.bytes
    }
    /// Its slots.
    pub fn slots(&self) -> &[u8] {
        &self.bytes[dmx::SLOTS]
    }
    /// Its slots, to change.
    pub fn slots_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[dmx::SLOTS]
    }
    /// Sets the sequence number, 1 to 255.
    pub fn set_sequence(&mut self, sequence: u8) {
        self.bytes[dmx::SEQUENCE] = sequence;
    }
}

#[cfg(test)]
mod tests {
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
            style: Style::Node,
            ports,
            mac: [2, 0, 0, 0, 0, 7],
            bind_index: 1,
        }
    }

    #[test]
    fn a01_the_operation_code_is_low_byte_first_and_an_older_version_is_refused() {
        let mut bytes = poll(&Poll { on_change: true, target: None });
        assert_eq!(bytes[..12], *b"Art-Net\0\x00\x20\x00\x0e");
        bytes[11] = 13;
        assert_eq!(parse(&bytes), Err(ArtnetError::Version(13)));
        bytes[11] = 15;
        assert!(parse(&bytes).is_ok(), "a newer one is taken");
    }

    #[test]
    fn a01_a_poll_reply_carries_no_version() {
        let reply = PollReply { ip: Ipv4Addr::new(0, 1, 0, 0), ..node(vec![]) };
        assert!(matches!(parse(&reply.emit()), Ok(Packet::PollReply(_))));
    }

    #[test]
    fn a02_short_polls_and_replies_of_old_nodes_are_taken() {
        let asked = poll(&Poll { on_change: true, target: None });
        assert_eq!(parse(&asked[..14]), Ok(Packet::Poll(Poll { on_change: true, target: None })));
        assert_eq!(parse(&asked[..13]), Err(ArtnetError::Short(13)));
        let answer = node(vec![Port::Output(port(0x123))]).emit();
        assert!(
            matches!(parse(&answer[..207]), Ok(Packet::PollReply(reply)) if reply.ports.len() == 1)
        );
        assert_eq!(parse(&answer[..206]), Err(ArtnetError::Short(206)));
    }

    #[test]
    fn a06_ports_of_a_reply_share_net_and_sub_net() {
        let ports = [0x123, 0x124, 0x223].map(|raw| Port::Output(port(raw))).to_vec();
        let Ok(Packet::PollReply(read)) = parse(&node(ports).emit()) else { panic!("a reply") };
        assert_eq!(read.ports, [Port::Output(port(0x123)), Port::Output(port(0x124))]);
    }

    #[test]
    fn a10_odd_or_impossible_lengths_are_refused() {
        let mut frame = DmxFrame::new(port(1));
        for wrong in [0_u16, 1, 3, 511, 513, 514, 65_535] {
            frame.bytes[dmx::LENGTH].copy_from_slice(&wrong.to_be_bytes());
            assert_eq!(parse(frame.bytes()), Err(ArtnetError::Length(wrong)));
        }
        frame.bytes[dmx::LENGTH].copy_from_slice(&2_u16.to_be_bytes());
        assert!(matches!(parse(&frame.bytes[..20]), Ok(Packet::Dmx(dmx)) if dmx.slots.len() == 2));
    }

    #[test]
    fn a13_art_sync_has_fourteen_octets() {
        assert_eq!(parse(&SYNC), Ok(Packet::Sync));
    }

    proptest! {
        #[test]
        fn a09_what_is_written_is_read(
            raw in 0_u32..=0x7fff, sequence in 1_u8..=255,
            slots in proptest::collection::vec(any::<u8>(), 512),
        ) {
            let mut frame = DmxFrame::new(port(raw));
            frame.set_sequence(sequence);
            frame.slots_mut().copy_from_slice(&slots);
            let expected = Dmx { sequence, port_address: port(raw), slots: &slots };
            prop_assert_eq!(parse(frame.bytes()), Ok(Packet::Dmx(expected)));
        }

        #[test]
        fn a07_a_reply_is_read_as_it_was_written(raw in 0_u32..=0x7fff, bind_index: u8, output: bool) {
            let port = if output { Port::Output(port(raw)) } else { Port::Input(port(raw)) };
            let reply = PollReply { bind_index, ..node(vec![port]) };
            let bytes = reply.emit();
            prop_assert_eq!(parse(&bytes), Ok(Packet::PollReply(Box::new(reply))));
        }

        #[test]
        fn a14_a_timecode_is_read_as_it_was_written(
            rate in proptest::sample::select(vec![
                FrameRate::Fps24, FrameRate::Fps25, FrameRate::Drop29_97, FrameRate::Fps30
            ]),
            frame: u32, stream: u8,
        ) {
            let said = TimeCode { stream, timecode: Timecode::zero(rate).plus(i64::from(frame)) };
            let bytes = said.emit();
            prop_assert_eq!(parse(&bytes), Ok(Packet::TimeCode(said)));
        }

        #[test]
        fn hostile_bytes_are_refused_or_read_but_never_a_panic(
            operation in prop_oneof![
                Just(op::POLL), Just(op::POLL_REPLY), Just(op::DMX), Just(op::ADDRESS), Just(op::INPUT),
                Just(op::TIME_CODE), any::<u16>()
            ],
            rest in proptest::collection::vec(any::<u8>(), 0..600), marked: bool,
        ) {
            let mut bytes = if marked { [ID.as_slice(), &operation.to_le_bytes()].concat() } else { vec![] };
            bytes.extend(rest);
            let _ = parse(&bytes).map(|_| ());
        }
    }
}
