//! RDM through Art-Net nodes (rule A19): the table of devices that a node has found on its lines, and messages to them.
//!
//! A node searches its lines by itself; we ask for its table (*TOD*), or make it search anew.

use std::ops::Range;

use units::PortAddress;

use super::{ArtnetError, at, begin_versioned, op};
use crate::rdm::Uid;

/// Devices that one ArtTodData names at most.
pub const UIDS_A_PACKET: usize = 200;
/// Port addresses of one net that one ArtTodRequest asks for.
pub const ADDRESSES_A_REQUEST: usize = 32;
/// The RDM that was published (RdmVer); 0 would be its draft.
const RDM_VERSION: u8 = 1;

mod field {
    use super::Range;
    pub const RDM_VERSION: usize = 12;
    pub const PORT: usize = 13;
    pub const BIND_INDEX: usize = 20;
    pub const NET: usize = 21;
    pub const COMMAND: usize = 22;
    pub const ADDRESS: usize = 23;
    /// ArtTodRequest: how many addresses follow.
    pub const ADDRESS_COUNT: usize = 23;
    pub const ADDRESSES: usize = 24;
    /// ArtTodData.
    pub const UID_TOTAL: Range<usize> = 24..26;
    pub const BLOCK: usize = 26;
    pub const UID_COUNT: usize = 27;
    pub const UIDS: usize = 28;
    /// ArtRdm: a message without its start code.
    pub const MESSAGE: usize = 24;
    /// ArtRdmSub.
    pub const SUB_UID: Range<usize> = 14..20;
    pub const SUB_CLASS: usize = 21;
    pub const SUB_PARAMETER: Range<usize> = 22..24;
    pub const SUB_DEVICE: Range<usize> = 24..26;
    pub const SUB_COUNT: Range<usize> = 26..28;
    pub const SUB_VALUES: usize = 32;
}

/// ArtTodControl: "search your line anew".
const FLUSH: u8 = 0x01;
/// ArtTodData: "I have no table, or am still searching".
const NO_TABLE: u8 = 0xff;
/// ArtRdmSub: classes whose packets carry values.
const VALUES_FOLLOW: [u8; 2] = [0x21, 0x30];

/// ArtTodData: a part of a node's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TodData {
    /// The line that it is about.
    pub port_address: PortAddress,
    /// The physical port, 1 to 4.
    pub port: u8,
    /// The reply of the node that the port is in.
    pub bind_index: u8,
    /// How many devices the whole table has; none while there is no table.
    pub total: Option<u16>,
    /// Which part this is, from 0.
    pub block: u8,
    /// The devices of this part.
    pub uids: Vec<Uid>,
}

/// ArtRdm: a message to a device, or from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RdmPacket<'a> {
    /// The line.
    pub port_address: PortAddress,
    /// The message, for [`crate::rdm::Message::parse`].
    pub message: &'a [u8],
}

/// ArtRdmSub: one parameter of several sub-devices at once, which nodes that imitate devices send beside ArtRdm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdmSub {
    /// Whose sub-devices.
    pub uid: Uid,
    /// The command class.
    pub class: u8,
    /// The parameter.
    pub parameter: u16,
    /// The first sub-device; 0 is the device itself.
    pub sub_device: u16,
    /// How many of them.
    pub count: u16,
    /// One each, where the class carries values.
    pub values: Vec<u16>,
}

/// Asks for the tables of these lines, a packet for each net and 32 addresses.
pub fn tod_requests(ports: &[PortAddress]) -> Vec<Vec<u8>> {
    let nets = ports.chunk_by(|a, b| a.net() == b.net());
    nets.flat_map(|net| net.chunks(ADDRESSES_A_REQUEST)).map(tod_request).collect()
}

/// All its 32 places are sent, used or not: some nodes want the whole packet.
fn tod_request(ports: &[PortAddress]) -> Vec<u8> {
    let mut bytes = vec![0; field::ADDRESSES + ADDRESSES_A_REQUEST];
    begin_versioned(&mut bytes, op::TOD_REQUEST);
    bytes[field::NET] = ports.first().map_or(0, |port| port.net());
    bytes[field::ADDRESS_COUNT] = ports.len() as u8;
    for (octet, port) in bytes[field::ADDRESSES..].iter_mut().zip(ports) {
        *octet = port.raw() as u8;
    }
    bytes
}

/// Makes the nodes of a line search it anew.
pub fn tod_flush(port_address: PortAddress) -> Vec<u8> {
    let mut bytes = vec![0; field::ADDRESS + 1];
    begin_versioned(&mut bytes, op::TOD_CONTROL);
    put_address(&mut bytes, port_address);
    bytes[field::COMMAND] = FLUSH;
    bytes
}

fn put_address(bytes: &mut [u8], port_address: PortAddress) {
    let [net, address] = port_address.raw().to_be_bytes();
    (bytes[field::NET], bytes[field::ADDRESS]) = (net, address);
}

fn address(bytes: &[u8]) -> Result<PortAddress, ArtnetError> {
    let raw = u16::from_be_bytes([bytes[field::NET], bytes[field::ADDRESS]]);
    PortAddress::new(u32::from(raw)).map_err(|_| ArtnetError::PortAddress(raw))
}

fn word(bytes: &[u8], range: Range<usize>) -> u16 {
    u16::from_be_bytes([bytes[range.start], bytes[range.start + 1]])
}

pub(super) fn parse_tod_data(bytes: &[u8]) -> Result<TodData, ArtnetError> {
    let head = at(bytes, 0..field::UIDS)?;
    let count = usize::from(head[field::UID_COUNT]);
    if count > UIDS_A_PACKET {
        return Err(ArtnetError::Length(count as u16));
    }
    let uids = at(bytes, field::UIDS..field::UIDS + 6 * count)?;
    let uid = |octets: &[u8]| Uid::from_octets(octets.try_into().expect("six octets"));
    Ok(TodData {
        port_address: address(bytes)?,
        port: head[field::PORT],
        bind_index: head[field::BIND_INDEX],
        total: (head[field::COMMAND] != NO_TABLE).then(|| word(head, field::UID_TOTAL)),
        block: head[field::BLOCK],
        uids: uids.chunks(6).map(uid).collect(),
    })
}

impl TodData {
    /// Writes it, the first 200 devices of it.
    pub fn emit(&self) -> Vec<u8> {
        let uids = &self.uids[..self.uids.len().min(UIDS_A_PACKET)];
        let mut bytes = vec![0; field::UIDS];
        begin_versioned(&mut bytes, op::TOD_DATA);
        bytes[field::RDM_VERSION] = RDM_VERSION;
        bytes[field::PORT] = self.port;
        bytes[field::BIND_INDEX] = self.bind_index;
        put_address(&mut bytes, self.port_address);
        bytes[field::COMMAND] = if self.total.is_some() { 0 } else { NO_TABLE };
        bytes[field::UID_TOTAL].copy_from_slice(&self.total.unwrap_or(0).to_be_bytes());
        bytes[field::BLOCK] = self.block;
        bytes[field::UID_COUNT] = uids.len() as u8;
        uids.iter().for_each(|uid| bytes.extend(uid.octets()));
        bytes
    }
}

pub(super) fn parse_rdm(bytes: &[u8]) -> Result<RdmPacket<'_>, ArtnetError> {
    at(bytes, 0..field::MESSAGE)?;
    Ok(RdmPacket { port_address: address(bytes)?, message: &bytes[field::MESSAGE..] })
}

impl RdmPacket<'_> {
    /// Writes it.
    pub fn emit(&self) -> Vec<u8> {
        let mut bytes = vec![0; field::MESSAGE];
        begin_versioned(&mut bytes, op::RDM);
        bytes[field::RDM_VERSION] = RDM_VERSION;
        put_address(&mut bytes, self.port_address);
        bytes.extend_from_slice(self.message);
        bytes
    }
}

impl RdmSub {
    /// Writes it; its values are its sender's affair.
    pub fn emit(&self) -> Vec<u8> {
        let mut bytes = vec![0; field::SUB_VALUES];
        begin_versioned(&mut bytes, op::RDM_SUB);
        bytes[field::RDM_VERSION] = RDM_VERSION;
        bytes[field::SUB_UID].copy_from_slice(&self.uid.octets());
        bytes[field::SUB_CLASS] = self.class;
        bytes[field::SUB_PARAMETER].copy_from_slice(&self.parameter.to_be_bytes());
        bytes[field::SUB_DEVICE].copy_from_slice(&self.sub_device.to_be_bytes());
        bytes[field::SUB_COUNT].copy_from_slice(&self.count.to_be_bytes());
        self.values.iter().for_each(|value| bytes.extend(value.to_be_bytes()));
        bytes
    }
}

pub(super) fn parse_rdm_sub(bytes: &[u8]) -> Result<RdmSub, ArtnetError> {
    let head = at(bytes, 0..field::SUB_VALUES)?;
    let (class, count) = (head[field::SUB_CLASS], word(head, field::SUB_COUNT));
    let values = if VALUES_FOLLOW.contains(&class) { usize::from(count) } else { 0 };
    let values = at(bytes, field::SUB_VALUES..field::SUB_VALUES + 2 * values)?;
    if count == 0 {
        return Err(ArtnetError::Length(0));
    }
    Ok(RdmSub {
        uid: Uid::from_octets(head[field::SUB_UID].try_into().expect("six octets")),
        class,
        parameter: word(head, field::SUB_PARAMETER),
        sub_device: word(head, field::SUB_DEVICE),
        count,
        values: values.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Packet, parse};
    use super::*;
    use proptest::prelude::*;

    fn port(raw: u32) -> PortAddress {
        PortAddress::new(raw).expect("15 bits")
    }

    fn table(count: u32) -> TodData {
        let uids = (0..count).map(|device| Uid { maker: 0x7a70, device }).collect();
        let total = Some(count as u16);
        TodData { port_address: port(0x1234), port: 1, bind_index: 2, total, block: 0, uids }
    }

    #[test]
    fn a19_tables_are_asked_for_net_by_net_and_32_at_a_time() {
        let ports: Vec<_> = (0..40).chain([0x100]).map(port).collect();
        let requests = tod_requests(&ports);
        assert_eq!(requests.len(), 3);
        assert!(requests.iter().all(|it| it.len() == 56 && it[8..12] == [0, 0x80, 0, 14]));
        assert_eq!(requests[1][21..26], [0, 0, 8, 32, 33]);
        assert_eq!(requests[2][21..26], [1, 0, 1, 0, 0]);
        assert_eq!(tod_flush(port(0x1234))[21..], [0x12, 1, 0x34]);
    }

    #[test]
    fn a19_a_part_of_a_table_is_read_and_one_that_is_cut_off_is_not() {
        let bytes = table(3).emit();
        assert_eq!(parse(&bytes), Ok(Packet::TodData(table(3))));
        assert!(parse(&bytes[..bytes.len() - 1]).is_err());
        let padded = [bytes.as_slice(), &[0; 1182]].concat();
        assert_eq!(parse(&padded), Ok(Packet::TodData(table(3))), "some nodes send all 200 places");
        let mut many = table(200).emit();
        many[field::UID_COUNT] = 201;
        many.extend([0; 6]);
        assert_eq!(parse(&many), Err(ArtnetError::Length(201)));
        let none = TodData { total: None, ..table(0) };
        assert_eq!(parse(&none.emit()), Ok(Packet::TodData(none)));
    }

    #[test]
    fn a19_values_of_sub_devices_are_read_as_many_as_their_class_carries() {
        let mut bytes = vec![0; field::SUB_VALUES];
        begin_versioned(&mut bytes, op::RDM_SUB);
        bytes[field::SUB_CLASS] = 0x21;
        bytes[field::SUB_COUNT].copy_from_slice(&[0, 2]);
        assert!(parse(&bytes).is_err(), "two values are missing");
        bytes.extend([0, 1, 0xff, 0xff]);
        let Ok(Packet::RdmSub(sub)) = parse(&bytes) else { panic!("sub-devices") };
        assert_eq!(sub.values, [1, 0xffff]);
        bytes[field::SUB_CLASS] = 0x20;
        assert!(matches!(parse(&bytes), Ok(Packet::RdmSub(sub)) if sub.values.is_empty()));
        assert_eq!(sub.emit()[12..], [&[1], &bytes[13..21], &[0x21], &bytes[22..]].concat());
    }

    proptest! {
        #[test]
        fn a19_messages_pass_through_unchanged(
            raw in 0_u32..=0x7fff, message in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let packet = RdmPacket { port_address: port(raw), message: &message };
            let bytes = packet.emit();
            prop_assert_eq!(parse(&bytes), Ok(Packet::Rdm(packet)));
        }
    }
}
