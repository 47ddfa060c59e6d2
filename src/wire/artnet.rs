//! Art-Net 4: DMX over UDP, to those who ask for it.
//!
//! In: datagrams from anybody. Out: [`Packet`], or why it was refused. The other way: [`DmxFrame`], an ArtDmx that is
//! written once and then changed in place, so that a frame costs no allocation; [`poll`], [`PollReply::emit`], [`SYNC`].
//! Most numbers are high byte first; the operation code and a port are low byte first. Never here: sockets, and who
//! is a subscriber.

use std::ops::{Range, RangeInclusive};

use units::{PortAddress, Universe};

mod diag;
mod nzs;
mod rdm;
mod reply;
mod time_code;
mod trigger;

pub use diag::{DIAG_TEXT_MAX, DiagData, DiagPriority};
pub use nzs::Nzs;
pub use rdm::{
    ADDRESSES_A_REQUEST, RdmPacket, RdmSub, TodData, UIDS_A_PACKET, tod_flush, tod_requests,
};
pub use reply::{
    Failsafe, GoodOutput, POLL_REPLY_LEN, PORTS_A_REPLY, PollReply, Port, STATUS_1_RDM,
    STATUS_1_SET_HERE, STATUS_2_FIFTEEN_BITS, Style,
};
pub use time_code::{TIME_CODE_LEN, TimeCode};
pub use trigger::{Key, OEM_EVERYBODY, TRIGGER_LEN, Trigger};

/// Where Art-Net listens, and whence it sends (rule A1).
pub const PORT: u16 = 6454;
/// The protocol version we speak, and the least we take (rule A1).
pub const VERSION: u16 = 14;
/// Octets of an ArtDmx with all 512 slots.
pub const DMX_LEN: usize = dmx::SLOTS.end;
/// What an unregistered maker writes: experimental by ESTA's list, unknown by Art-Net's.
pub const ESTA: u16 = 0x7ff0;
/// The product, likewise.
pub const OEM: u16 = 0x00ff;

const ID: [u8; 8] = *b"Art-Net\0";

/// Operation codes (table 1), low byte first on the wire.
mod op {
    pub const POLL: u16 = 0x2000;
    pub const POLL_REPLY: u16 = 0x2100;
    pub const DIAG_DATA: u16 = 0x2300;
    pub const DMX: u16 = 0x5000;
    pub const NZS: u16 = 0x5100;
    pub const SYNC: u16 = 0x5200;
    pub const ADDRESS: u16 = 0x6000;
    pub const INPUT: u16 = 0x7000;
    pub const TOD_REQUEST: u16 = 0x8000;
    pub const TOD_DATA: u16 = 0x8100;
    pub const TOD_CONTROL: u16 = 0x8200;
    pub const RDM: u16 = 0x8300;
    pub const RDM_SUB: u16 = 0x8400;
    pub const TIME_CODE: u16 = 0x9700;
    pub const TRIGGER: u16 = 0x9900;
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

/// ArtAddress and ArtInput: whom they are for.
const BIND_INDEX: usize = 13;
const ADDRESS_LEN: usize = 107;
const ADDRESS_COMMAND: usize = 106;
const INPUT_LEN: usize = 20;

/// "Send me ArtPollReply whenever something changes" (ArtPoll, Flags).
const FLAG_ON_CHANGE: u8 = 0x02;
/// "Send me diagnostics" (ArtPoll, Flags).
const FLAG_DIAGNOSTICS: u8 = 0x04;
/// "Send them to me alone" (ArtPoll, Flags).
const FLAG_UNICAST: u8 = 0x08;
/// "Only nodes within the target range answer" (ArtPoll, Flags).
const FLAG_TARGETED: u8 = 0x20;
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
    /// ArtNzs: a start code that has packets of its own (rule A18).
    #[error("start code {0:#04x} does not come as ArtNzs")]
    StartCode(u8),
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
    /// Slots of a port address that are no levels.
    Nzs(Nzs<'a>),
    /// Nodes put out what they hold.
    Sync,
    /// A key pressed from afar.
    Trigger(Trigger),
    /// A line of diagnostics.
    DiagData(DiagData),
    /// RDM devices that a node has found.
    TodData(TodData),
    /// A message to an RDM device or from one.
    Rdm(RdmPacket<'a>),
    /// One parameter of several sub-devices.
    RdmSub(RdmSub),
    /// Somebody programs a node; answered with an ArtPollReply.
    Address {
        /// Which of the node's replies is meant; 0 and 1 are its root.
        bind_index: u8,
        /// What its first port is to do from now on.
        command: Command,
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

/// What ArtAddress tells a node to do (table 5), as far as a port that receives can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// The next sender is the only one (rule A16).
    CancelMerge,
    /// Two senders are merged by the latest.
    MergeLtp,
    /// Two senders are merged by the highest.
    MergeHtp,
    /// When nobody sends any more, hold (rule A17).
    FailHold,
    /// ... go out.
    FailZero,
    /// ... go full.
    FailFull,
    /// ... show what was recorded.
    FailScene,
    /// What the port shows now is recorded for that.
    FailRecord,
    /// The port shows nothing until somebody sends again.
    ClearOutput,
    /// Anything else, by its code; 0 is nothing.
    Other(u8),
}

impl Command {
    /// Of a port other than the first none is meant: our replies have one each.
    fn of(code: u8) -> Self {
        match code {
            0x01 => Self::CancelMerge,
            0x08 => Self::FailHold,
            0x09 => Self::FailZero,
            0x0a => Self::FailFull,
            0x0b => Self::FailScene,
            0x0c => Self::FailRecord,
            0x10 => Self::MergeLtp,
            0x50 => Self::MergeHtp,
            0x90 => Self::ClearOutput,
            other => Self::Other(other),
        }
    }
}

/// ArtPoll.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Poll {
    /// The asker wants a reply whenever something changes, too.
    pub on_change: bool,
    /// Only who has a port address in this range answers; none: everybody.
    pub target: Option<RangeInclusive<u16>>,
    /// The asker wants diagnostics (rule A18).
    pub diagnostics: Option<Diagnostics>,
}

/// Which diagnostics an asker wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diagnostics {
    /// Nothing below this.
    pub least: DiagPriority,
    /// To it alone, rather than to everybody.
    pub unicast: bool,
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
        return reply::parse(bytes).map(|reply| Packet::PollReply(Box::new(reply)));
    }
    let version = u16::from_be_bytes(pair(bytes, head::VERSION)?);
    if version < VERSION {
        return Err(ArtnetError::Version(version));
    }
    match operation {
        op::POLL => parse_poll(bytes).map(Packet::Poll),
        op::DMX => parse_dmx(bytes).map(Packet::Dmx),
        op::NZS => nzs::parse(bytes).map(Packet::Nzs),
        op::SYNC => Ok(Packet::Sync),
        op::TRIGGER => trigger::parse(bytes).map(Packet::Trigger),
        op::TIME_CODE => time_code::parse(bytes).map(Packet::TimeCode),
        op::TOD_DATA => rdm::parse_tod_data(bytes).map(Packet::TodData),
        op::RDM => rdm::parse_rdm(bytes).map(Packet::Rdm),
        op::RDM_SUB => rdm::parse_rdm_sub(bytes).map(Packet::RdmSub),
        op::DIAG_DATA => diag::parse(bytes).map(Packet::DiagData),
        op::ADDRESS => {
            at(bytes, 0..ADDRESS_LEN)?;
            let command = Command::of(bytes[ADDRESS_COMMAND]);
            Ok(Packet::Address { bind_index: bytes[BIND_INDEX], command })
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
    let diagnostics = (flags & FLAG_DIAGNOSTICS != 0).then(|| Diagnostics {
        least: DiagPriority(bytes[poll_field::DIAG_PRIORITY]),
        unicast: flags & FLAG_UNICAST != 0,
    });
    Ok(Poll { on_change: flags & FLAG_ON_CHANGE != 0, target, diagnostics })
}

fn parse_dmx(bytes: &[u8]) -> Result<Dmx<'_>, ArtnetError> {
    let length = u16::from_be_bytes(pair(bytes, dmx::LENGTH)?);
    let end = dmx::SLOTS.start + usize::from(length);
    let slots = bytes.get(dmx::SLOTS.start..end).ok_or(ArtnetError::Length(length))?;
    if length < 2 || !length.is_multiple_of(2) || end > dmx::SLOTS.end {
        return Err(ArtnetError::Length(length));
    }
    Ok(Dmx { sequence: bytes[dmx::SEQUENCE], port_address: port_address(bytes)?, slots })
}

fn port_address(bytes: &[u8]) -> Result<PortAddress, ArtnetError> {
    let raw = u16::from_be_bytes([bytes[dmx::NET], bytes[dmx::SUB_UNI]]);
    PortAddress::new(u32::from(raw)).map_err(|_| ArtnetError::PortAddress(raw))
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
    if let Some(wanted) = poll.diagnostics {
        bytes[poll_field::FLAGS] |= FLAG_DIAGNOSTICS;
        bytes[poll_field::FLAGS] |= if wanted.unicast { FLAG_UNICAST } else { 0 };
        bytes[poll_field::DIAG_PRIORITY] = wanted.least.0;
    }
    bytes[poll_field::ESTA].copy_from_slice(&ESTA.to_be_bytes());
    bytes[poll_field::OEM].copy_from_slice(&OEM.to_be_bytes());
    bytes
}

/// Cut between two characters, and with a 0 at the end.
fn put_text(octets: &mut [u8], text: &str) {
    let most = octets.len() - 1;
    let end = (0..=text.len().min(most)).rev().find(|&end| text.is_char_boundary(end));
    let end = end.expect("every text has a boundary at 0");
    octets[..end].copy_from_slice(&text.as_bytes()[..end]);
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
    pub fn slots(&self) -> &[u8; Universe::SLOTS] {
        (&self.bytes[dmx::SLOTS]).try_into().expect("the field has 512 octets")
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

    #[test]
    fn a01_the_operation_code_is_low_byte_first_and_an_older_version_is_refused() {
        let mut bytes = poll(&Poll { on_change: true, ..Poll::default() });
        assert_eq!(bytes[..12], *b"Art-Net\0\x00\x20\x00\x0e");
        bytes[11] = 13;
        assert_eq!(parse(&bytes), Err(ArtnetError::Version(13)));
        bytes[11] = 15;
        assert!(parse(&bytes).is_ok(), "a newer one is taken");
    }

    #[test]
    fn a02_short_polls_of_old_desks_are_taken() {
        let asked = poll(&Poll { on_change: true, ..Poll::default() });
        assert_eq!(
            parse(&asked[..14]),
            Ok(Packet::Poll(Poll { on_change: true, ..Poll::default() }))
        );
        assert_eq!(parse(&asked[..13]), Err(ArtnetError::Short(13)));
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
