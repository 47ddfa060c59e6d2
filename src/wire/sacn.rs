//! Streaming ACN (ANSI E1.31-2018): DMX over UDP.
//!
//! In: datagrams from anybody. Out: [`Packet`], or why it was refused. The other way: [`DataFrame`], a data packet
//! that is written once and then changed in place, so that a frame costs no allocation; [`sync`] and [`discovery`].
//! Numbers are high byte first throughout. Never here: sockets, and what a universe shows.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use units::Universe;
use uuid::Uuid;

/// Where sACN listens (section 9.3).
pub const PORT: u16 = 5568;
/// The universe that universe discovery is multicast to (appendix A).
pub const DISCOVERY_UNIVERSE: u16 = 64_214;
/// The most a packet may ask for (section 6.2.3).
pub const PRIORITY_MAX: u8 = 200;
/// Universes on a page of universe discovery (section 8.5).
pub const PAGE: usize = 512;
/// The start code of levels.
pub const LEVELS: u8 = 0x00;
/// The start code of ETC's per-address priorities: a value is the priority of its slot, 0 that it is not sent at all
/// (rule S13).
pub const ADDRESS_PRIORITIES: u8 = 0xdd;
/// Octets of a data packet with all 512 slots.
pub const DATA_LEN: usize = field::SLOTS.end;
/// Octets of a synchronization packet.
pub const SYNC_LEN: usize = field::SYNC_RESERVED.end;

/// Where each field lies, counted from the first octet (tables 4-1, 4-2 and 4-3).
mod field {
    use super::Range;

    // The root layer (section 5), the same in every packet.
    pub const PREAMBLE: Range<usize> = 0..4;
    pub const IDENTIFIER: Range<usize> = 4..16;
    pub const ROOT_LENGTH: Range<usize> = 16..18;
    pub const ROOT_VECTOR: Range<usize> = 18..22;
    pub const CID: Range<usize> = 22..38;
    // The framing layer (section 6).
    pub const FRAME_LENGTH: Range<usize> = 38..40;
    pub const FRAME_VECTOR: Range<usize> = 40..44;
    pub const SOURCE_NAME: Range<usize> = 44..108;
    // ... of a data packet (section 6.2).
    pub const PRIORITY: usize = 108;
    pub const SYNC_ADDRESS: Range<usize> = 109..111;
    pub const SEQUENCE: usize = 111;
    pub const OPTIONS: usize = 112;
    pub const UNIVERSE: Range<usize> = 113..115;
    // The DMP layer of a data packet (section 7).
    pub const DMP_LENGTH: Range<usize> = 115..117;
    pub const DMP_CONSTANTS: Range<usize> = 117..123;
    pub const VALUE_COUNT: Range<usize> = 123..125;
    pub const START_CODE: usize = 125;
    pub const SLOTS: Range<usize> = 126..638;
    // ... of a synchronization packet (section 6.3).
    pub const SYNC_SEQUENCE: usize = 44;
    pub const SYNC_UNIVERSE: Range<usize> = 45..47;
    pub const SYNC_RESERVED: Range<usize> = 47..49;
    // ... of a universe discovery packet (sections 6.4 and 8).
    pub const LIST_LENGTH: Range<usize> = 112..114;
    pub const LIST_VECTOR: Range<usize> = 114..118;
    pub const PAGE: usize = 118;
    pub const LAST_PAGE: usize = 119;
    pub const LIST: usize = 120;
}

/// Size of the preamble, and no postamble (sections 5.1 and 5.2).
const PREAMBLE: [u8; 4] = [0x00, 0x10, 0x00, 0x00];
const IDENTIFIER: [u8; 12] = *b"ASC-E1.17\0\0\0";
const ROOT_DATA: u32 = 4;
const ROOT_EXTENDED: u32 = 8;
const FRAME_DATA: u32 = 2;
const EXTENDED_SYNC: u32 = 1;
const EXTENDED_DISCOVERY: u32 = 2;
const LIST_UNIVERSES: u32 = 1;
/// Vector "set property", two-octet addresses, from 0, one apart (sections 7.2 to 7.5).
const DMP_CONSTANTS: [u8; 6] = [0x02, 0xa1, 0x00, 0x00, 0x00, 0x01];
/// The upper four bits of every length (section 5.4).
const LENGTH_FLAGS: u16 = 0x7000;

const OPTION_PREVIEW: u8 = 0x80;
const OPTION_TERMINATED: u8 = 0x40;
const OPTION_FORCE_SYNC: u8 = 0x20;

/// Why a datagram is not sACN that we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SacnError {
    /// It ends before its fields do.
    #[error("it ends after {0} octets, in the middle of a field")]
    Short(usize),
    /// Something else that came to this port.
    #[error("it does not begin as ACN does")]
    NotAcn,
    /// A layer's length contradicts the layer around it, or the datagram.
    #[error("the lengths of its layers contradict each other")]
    Lengths,
    /// A layer of a kind that we do not know; newer standards may have them, so it is passed over.
    #[error("it holds a layer of unknown kind {0}")]
    Vector(u32),
    /// Above 200.
    #[error("its priority {0} is above 200")]
    Priority(u8),
    /// Not 1 to 63,999, or a synchronization address that is not 0 to 63,999.
    #[error("it names universe {0}, which does not exist")]
    Universe(u16),
}

/// A datagram understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Slots of a universe.
    Data(Data<'a>),
    /// "Now": receivers act on what they have been holding.
    Sync(Sync),
    /// What a source sends.
    Discovery(Discovery<'a>),
}

/// Slots of a universe (section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data<'a> {
    /// Who sends.
    pub cid: Uuid,
    /// Its name, for people.
    pub source_name: SourceName,
    /// 0 to 200; higher wins.
    pub priority: u8,
    /// The universe whose synchronization packets release this one; 0 is "act now".
    pub sync_address: u16,
    /// Counts up, over 255 to 0, for each universe.
    pub sequence: u8,
    /// How to take it.
    pub options: Options,
    /// Which universe; a multicast group says nothing (rule S1).
    pub universe: Universe,
    /// 0 for levels. Levels of another start code are no levels (rule S13).
    pub start_code: u8,
    /// Up to 512 values.
    pub slots: &'a [u8],
}

/// How a data packet is to be taken (section 6.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// For visualisers only, never for live output (rule S9).
    pub preview: bool,
    /// The source ends this universe; its values count for nothing (rule S8).
    pub terminated: bool,
    /// Act at once when synchronization is lost, instead of holding.
    pub force_sync: bool,
}

/// A synchronization packet (section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sync {
    /// Who sends.
    pub cid: Uuid,
    /// Counts for each synchronization address.
    pub sequence: u8,
    /// Which address is released.
    pub address: Universe,
}

/// A page of the universes that a source sends (section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discovery<'a> {
    /// Who sends.
    pub cid: Uuid,
    /// Its name, for people.
    pub source_name: SourceName,
    /// This page, from 0.
    pub page: u8,
    /// The last one.
    pub last_page: u8,
    list: &'a [u8],
}

impl Discovery<'_> {
    /// The universes on this page, as the source wrote them; those that do not exist are left out.
    pub fn universes(&self) -> impl Iterator<Item = Universe> {
        let numbers = self.list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        numbers.filter_map(|number| Universe::new(u32::from(number)).ok())
    }
}

/// A source's name: UTF-8 in 64 octets, the last one 0 (section 6.2.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SourceName([u8; 64]);

impl SourceName {
    /// Cuts what does not fit, between two characters.
    pub fn new(name: &str) -> Self {
        let mut octets = [0; 64];
        let end = (0..=name.len().min(63)).rev().find(|&end| name.is_char_boundary(end));
        let end = end.expect("every text has a boundary at 0");
        octets[..end].copy_from_slice(&name.as_bytes()[..end]);
        Self(octets)
    }
}
impl fmt::Display for SourceName {
    /// Whatever somebody sent: to the first 0, and wrong octets as �.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().position(|&octet| octet == 0).unwrap_or(64);
        f.write_str(&String::from_utf8_lossy(&self.0[..end]))
    }
}
impl fmt::Debug for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// The group that a universe is multicast to (section 9.3.1); also good for [`DISCOVERY_UNIVERSE`].
pub const fn group_v4(universe: u16) -> Ipv4Addr {
    let [high, low] = universe.to_be_bytes();
    Ipv4Addr::new(239, 255, high, low)
}

/// The group of a universe on IPv6 (section 9.3.2): not registered for good, within the organization.
pub const fn group_v6(universe: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xff18, 0, 0, 0, 0, 0, 0x8300, universe)
}

/// Reads a datagram.
pub fn parse(bytes: &[u8]) -> Result<Packet<'_>, SacnError> {
    if at(bytes, field::PREAMBLE)? != PREAMBLE || at(bytes, field::IDENTIFIER)? != IDENTIFIER {
        return Err(SacnError::NotAcn);
    }
    let end = layer(bytes, field::ROOT_LENGTH, bytes.len())?;
    let bytes = &bytes[..end];
    match number_u32(bytes, field::ROOT_VECTOR)? {
        ROOT_DATA => parse_data(bytes).map(Packet::Data),
        ROOT_EXTENDED => {
            inner_layer(bytes, field::FRAME_LENGTH)?;
            match number_u32(bytes, field::FRAME_VECTOR)? {
                EXTENDED_SYNC => parse_sync(bytes).map(Packet::Sync),
                EXTENDED_DISCOVERY => parse_discovery(bytes).map(Packet::Discovery),
                vector => Err(SacnError::Vector(vector)),
            }
        }
        vector => Err(SacnError::Vector(vector)),
    }
}

fn parse_data(bytes: &[u8]) -> Result<Data<'_>, SacnError> {
    inner_layer(bytes, field::FRAME_LENGTH)?;
    expect_vector(bytes, field::FRAME_VECTOR, FRAME_DATA)?;
    inner_layer(bytes, field::DMP_LENGTH)?;
    if at(bytes, field::DMP_CONSTANTS)? != DMP_CONSTANTS {
        return Err(SacnError::Vector(u32::from(bytes[field::DMP_CONSTANTS.start])));
    }
    // The start code is counted as a value (section 7.7).
    let count = usize::from(number_u16(bytes, field::VALUE_COUNT)?);
    if count == 0 || field::START_CODE + count != bytes.len() || count > 1 + Universe::SLOTS {
        return Err(SacnError::Lengths);
    }
    let priority = bytes[field::PRIORITY];
    if priority > PRIORITY_MAX {
        return Err(SacnError::Priority(priority));
    }
    let sync_address = number_u16(bytes, field::SYNC_ADDRESS)?;
    if sync_address != 0 {
        universe(sync_address)?;
    }
    let options = bytes[field::OPTIONS];
    Ok(Data {
        cid: cid(bytes)?,
        source_name: source_name(bytes)?,
        priority,
        sync_address,
        sequence: bytes[field::SEQUENCE],
        options: Options {
            preview: options & OPTION_PREVIEW != 0,
            terminated: options & OPTION_TERMINATED != 0,
            force_sync: options & OPTION_FORCE_SYNC != 0,
        },
        universe: universe(number_u16(bytes, field::UNIVERSE)?)?,
        start_code: bytes[field::START_CODE],
        slots: &bytes[field::SLOTS.start..],
    })
}

fn parse_sync(bytes: &[u8]) -> Result<Sync, SacnError> {
    at(bytes, field::SYNC_RESERVED)?;
    Ok(Sync {
        cid: cid(bytes)?,
        sequence: bytes[field::SYNC_SEQUENCE],
        address: universe(number_u16(bytes, field::SYNC_UNIVERSE)?)?,
    })
}

fn parse_discovery(bytes: &[u8]) -> Result<Discovery<'_>, SacnError> {
    inner_layer(bytes, field::LIST_LENGTH)?;
    expect_vector(bytes, field::LIST_VECTOR, LIST_UNIVERSES)?;
    let list = bytes.get(field::LIST..).ok_or(SacnError::Short(bytes.len()))?;
    if list.len() % 2 != 0 || list.len() > 2 * PAGE {
        return Err(SacnError::Lengths);
    }
    Ok(Discovery {
        cid: cid(bytes)?,
        source_name: source_name(bytes)?,
        page: bytes[field::PAGE],
        last_page: bytes[field::LAST_PAGE],
        list,
    })
}

fn at(bytes: &[u8], range: Range<usize>) -> Result<&[u8], SacnError> {
    bytes.get(range).ok_or(SacnError::Short(bytes.len()))
}

fn number_u16(bytes: &[u8], range: Range<usize>) -> Result<u16, SacnError> {
    Ok(u16::from_be_bytes(at(bytes, range)?.try_into().expect("the field has two octets")))
}

fn number_u32(bytes: &[u8], range: Range<usize>) -> Result<u32, SacnError> {
    Ok(u32::from_be_bytes(at(bytes, range)?.try_into().expect("the field has four octets")))
}

/// Where a layer ends whose length is in `range`; it must not reach beyond `limit`.
fn layer(bytes: &[u8], range: Range<usize>, limit: usize) -> Result<usize, SacnError> {
    let start = range.start;
    let length = number_u16(bytes, range)?;
    let end = start + usize::from(length & !LENGTH_FLAGS);
    match length & 0xf000 {
        LENGTH_FLAGS if end <= limit => Ok(end),
        _ => Err(SacnError::Lengths),
    }
}

/// A layer within must end where the datagram ends: sACN has one of each (section 5).
fn inner_layer(bytes: &[u8], range: Range<usize>) -> Result<(), SacnError> {
    match layer(bytes, range, bytes.len())? {
        end if end == bytes.len() => Ok(()),
        _ => Err(SacnError::Lengths),
    }
}

fn expect_vector(bytes: &[u8], range: Range<usize>, known: u32) -> Result<(), SacnError> {
    match number_u32(bytes, range)? {
        vector if vector == known => Ok(()),
        vector => Err(SacnError::Vector(vector)),
    }
}

fn universe(number: u16) -> Result<Universe, SacnError> {
    Universe::new(u32::from(number)).map_err(|_| SacnError::Universe(number))
}

fn cid(bytes: &[u8]) -> Result<Uuid, SacnError> {
    Ok(Uuid::from_bytes(at(bytes, field::CID)?.try_into().expect("the field has 16 octets")))
}

fn source_name(bytes: &[u8]) -> Result<SourceName, SacnError> {
    Ok(SourceName(at(bytes, field::SOURCE_NAME)?.try_into().expect("the field has 64 octets")))
}

/// A data packet with 512 slots, ready to send; what changes from frame to frame is changed in place.
#[derive(Debug, Clone)]
pub struct DataFrame {
    bytes: [u8; DATA_LEN],
}

impl DataFrame {
    /// All slots out, sequence 0, no options, no synchronization.
    pub fn new(cid: Uuid, source_name: SourceName, priority: u8, universe: Universe) -> Self {
        let mut bytes = [0; DATA_LEN];
        root(&mut bytes, ROOT_DATA, cid);
        put_length(&mut bytes, field::FRAME_LENGTH);
        bytes[field::FRAME_VECTOR].copy_from_slice(&FRAME_DATA.to_be_bytes());
        bytes[field::SOURCE_NAME].copy_from_slice(&source_name.0);
        bytes[field::PRIORITY] = priority.min(PRIORITY_MAX);
        bytes[field::UNIVERSE].copy_from_slice(&universe.number().to_be_bytes());
        put_length(&mut bytes, field::DMP_LENGTH);
        bytes[field::DMP_CONSTANTS].copy_from_slice(&DMP_CONSTANTS);
        let count = 1 + Universe::SLOTS as u16;
        bytes[field::VALUE_COUNT].copy_from_slice(&count.to_be_bytes());
        Self { bytes }
    }
    /// The datagram.
    pub fn bytes(&self) -> &[u8; DATA_LEN] {
        &self.bytes
    }
    /// Its slots.
    pub fn slots(&self) -> &[u8; Universe::SLOTS] {
        (&self.bytes[field::SLOTS]).try_into().expect("the field has 512 octets")
    }
    /// Its slots, to change.
    pub fn slots_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[field::SLOTS]
    }
    /// Sets what the slots are: [`LEVELS`], or of another kind.
    pub fn set_start_code(&mut self, start_code: u8) {
        self.bytes[field::START_CODE] = start_code;
    }
    /// Sets the sequence number (section 6.2.5).
    pub fn set_sequence(&mut self, sequence: u8) {
        self.bytes[field::SEQUENCE] = sequence;
    }
    /// The priority.
    pub fn priority(&self) -> u8 {
        self.bytes[field::PRIORITY]
    }
    /// Sets the priority; above 200 is 200 (section 6.2.3).
    pub fn set_priority(&mut self, priority: u8) {
        self.bytes[field::PRIORITY] = priority.min(PRIORITY_MAX);
    }
    /// Sets the options (section 6.2.6).
    pub fn set_options(&mut self, options: Options) {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        self.bytes[field::OPTIONS] = bit(options.preview, OPTION_PREVIEW)
            | bit(options.terminated, OPTION_TERMINATED)
            | bit(options.force_sync, OPTION_FORCE_SYNC);
    }
    /// Sets the synchronization address; none is "act now" (section 6.2.4).
    pub fn set_sync_address(&mut self, address: Option<Universe>) {
        let number = address.map_or(0, Universe::number);
        self.bytes[field::SYNC_ADDRESS].copy_from_slice(&number.to_be_bytes());
    }
}

/// Writes a synchronization packet.
pub fn sync(packet: Sync) -> [u8; SYNC_LEN] {
    let mut bytes = [0; SYNC_LEN];
    root(&mut bytes, ROOT_EXTENDED, packet.cid);
    put_length(&mut bytes, field::FRAME_LENGTH);
    bytes[field::FRAME_VECTOR].copy_from_slice(&EXTENDED_SYNC.to_be_bytes());
    bytes[field::SYNC_SEQUENCE] = packet.sequence;
    bytes[field::SYNC_UNIVERSE].copy_from_slice(&packet.address.number().to_be_bytes());
    bytes
}

/// Writes every page of a source's universes (rule S11). Give them sorted; even none makes a page.
pub fn discovery(cid: Uuid, source_name: SourceName, universes: &[Universe]) -> Vec<Vec<u8>> {
    let last_page = universes.len().saturating_sub(1) / PAGE;
    let page = |number: usize| {
        let listed = universes.iter().skip(number * PAGE).take(PAGE);
        let mut bytes = vec![0; field::LIST];
        bytes.extend(listed.flat_map(|universe| universe.number().to_be_bytes()));
        root(&mut bytes, ROOT_EXTENDED, cid);
        put_length(&mut bytes, field::FRAME_LENGTH);
        bytes[field::FRAME_VECTOR].copy_from_slice(&EXTENDED_DISCOVERY.to_be_bytes());
        bytes[field::SOURCE_NAME].copy_from_slice(&source_name.0);
        put_length(&mut bytes, field::LIST_LENGTH);
        bytes[field::LIST_VECTOR].copy_from_slice(&LIST_UNIVERSES.to_be_bytes());
        bytes[field::PAGE] = number as u8;
        bytes[field::LAST_PAGE] = last_page as u8;
        bytes
    };
    (0..=last_page).map(page).collect()
}

fn root(bytes: &mut [u8], vector: u32, cid: Uuid) {
    bytes[field::PREAMBLE].copy_from_slice(&PREAMBLE);
    bytes[field::IDENTIFIER].copy_from_slice(&IDENTIFIER);
    put_length(bytes, field::ROOT_LENGTH);
    bytes[field::ROOT_VECTOR].copy_from_slice(&vector.to_be_bytes());
    bytes[field::CID].copy_from_slice(cid.as_bytes());
}

/// Every layer reaches from its length to the end of the datagram.
fn put_length(bytes: &mut [u8], range: Range<usize>) {
    let length = LENGTH_FLAGS | (bytes.len() - range.start) as u16;
    bytes[range].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CID: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

    fn one() -> Universe {
        Universe::new(1).expect("a universe")
    }

    fn parse_frame(frame: &DataFrame) -> Data<'_> {
        match parse(frame.bytes()).expect("our own packet") {
            Packet::Data(data) => data,
            other => panic!("a data packet was read as {other:?}"),
        }
    }

    #[test]
    fn s02_a_long_name_is_cut_between_two_characters_and_ends_in_zero() {
        let name = SourceName::new(&"ü".repeat(40));
        assert_eq!(name.to_string(), "ü".repeat(31));
        assert_eq!(name.0[62..], [0, 0]);
    }

    #[test]
    fn s01_a_universe_that_does_not_exist_is_refused() {
        let mut frame = DataFrame::new(CID, SourceName::new("desk"), 100, one());
        for wrong in [0, 64_000, DISCOVERY_UNIVERSE] {
            frame.bytes[field::UNIVERSE].copy_from_slice(&wrong.to_be_bytes());
            assert_eq!(parse(frame.bytes()), Err(SacnError::Universe(wrong)));
        }
    }

    #[test]
    fn s03_a_priority_above_200_is_refused() {
        let mut frame = DataFrame::new(CID, SourceName::new("desk"), 100, one());
        frame.bytes[field::PRIORITY] = 201;
        assert_eq!(parse(frame.bytes()), Err(SacnError::Priority(201)));
    }

    #[test]
    fn s13_another_start_code_is_told_apart_from_levels() {
        let mut frame = DataFrame::new(CID, SourceName::new("desk"), 100, one());
        frame.set_start_code(ADDRESS_PRIORITIES);
        assert_eq!(parse_frame(&frame).start_code, 0xdd);
    }

    #[test]
    fn s12_a_universe_has_a_group_on_ipv4_and_on_ipv6() {
        assert_eq!(group_v4(258).to_string(), "239.255.1.2");
        assert_eq!(group_v6(258).to_string(), "ff18::8300:102");
    }

    #[test]
    fn s11_universes_beyond_a_page_go_to_the_next() {
        let universes: Vec<_> =
            (1..=1025).map(|number| Universe::new(number).expect("in range")).collect();
        let pages = discovery(CID, SourceName::new("box"), &universes);
        let read: Vec<_> = pages
            .iter()
            .map(|page| match parse(page).expect("our own packet") {
                Packet::Discovery(page) => page,
                other => panic!("a discovery packet was read as {other:?}"),
            })
            .collect();
        assert_eq!(
            read.iter().map(|it| (it.page, it.last_page)).collect::<Vec<_>>(),
            [(0, 2), (1, 2), (2, 2)]
        );
        assert_eq!(read.iter().flat_map(Discovery::universes).collect::<Vec<_>>(), universes);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            sequence: u8, priority in 0_u8..=200, number in 1_u32..=63_999,
            preview: bool, terminated: bool, force_sync: bool,
            slots in proptest::collection::vec(any::<u8>(), 512),
        ) {
            let options = Options { preview, terminated, force_sync };
            let universe = Universe::new(number).expect("in range");
            let mut frame = DataFrame::new(CID, SourceName::new("the box"), priority, universe);
            frame.set_sequence(sequence);
            frame.set_options(options);
            frame.set_sync_address(Some(one()));
            frame.slots_mut().copy_from_slice(&slots);
            prop_assert_eq!(parse_frame(&frame), Data {
                cid: CID, source_name: SourceName::new("the box"), priority, sync_address: 1,
                sequence, options, universe, start_code: 0, slots: &slots,
            });
        }

        #[test]
        fn hostile_bytes_are_refused_or_read_but_never_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..1200),
        ) {
            let _ = parse(&bytes).map(|_| ());
        }

        #[test]
        fn a_packet_with_a_few_wrong_octets_never_panics(
            wrong in proptest::collection::vec((16_usize..700, any::<u8>()), 1..6), end in 0_usize..=638,
            kind in 0..3,
        ) {
            let mut bytes = match kind {
                0 => DataFrame::new(CID, SourceName::new("desk"), 100, one()).bytes().to_vec(),
                1 => sync(Sync { cid: CID, sequence: 1, address: one() }).to_vec(),
                _ => discovery(CID, SourceName::new("desk"), &[one()]).remove(0),
            };
            for (index, value) in wrong {
                let index = index % bytes.len();
                bytes[index] = value;
            }
            bytes.truncate(end);
            let _ = parse(&bytes).map(|_| ());
        }
    }
}
