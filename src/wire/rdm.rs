//! RDM (ANSI E1.20-2010): questions to lamps, and what they answer.
//!
//! In: the octets of a message, as Art-Net carries it (rule A19): without its start code 0xcc, which counts in the
//! checksum all the same. Out: a [`Message`], or why it was refused. The other way: [`Message::emit`]. What parameters
//! hold is in [`parameter`]. Never here: a transport, and who waits for an answer.

use std::fmt;
use std::str::FromStr;

pub mod parameter;

/// The start code that Art-Net leaves out.
const START_CODE: u8 = 0xcc;
const SUB_START_CODE: u8 = 0x01;
/// The most octets of parameter data in a message (section 6.2.3).
pub const DATA_MAX: usize = 231;

/// Section 6.2, each place less the start code.
mod field {
    use std::ops::Range;
    pub const SUB_START_CODE: usize = 0;
    /// Octets from the start code to the end of the data.
    pub const LENGTH: usize = 1;
    pub const TO: Range<usize> = 2..8;
    pub const FROM: Range<usize> = 8..14;
    pub const TRANSACTION: usize = 14;
    /// The port of a question, the kind of an answer.
    pub const KIND: usize = 15;
    pub const WAITING: usize = 16;
    pub const SUB_DEVICE: Range<usize> = 17..19;
    pub const CLASS: usize = 19;
    pub const PARAMETER: Range<usize> = 20..22;
    pub const DATA_LENGTH: usize = 22;
    pub const DATA: usize = 23;
}

/// Why octets are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RdmError {
    /// It ends before its fields do.
    #[error("it ends after {0} octets")]
    Short(usize),
    /// Not RDM as it is.
    #[error("its sub-start code is {0:#04x}, not 0x01")]
    SubStartCode(u8),
    /// Its two lengths disagree, or the data is longer than a message holds.
    #[error("its lengths {0} and {1} do not fit each other")]
    Lengths(u8, u8),
    /// Damaged on its way.
    #[error("its checksum is {given:#06x} and should be {right:#06x}")]
    Checksum {
        /// What it says.
        given: u16,
        /// What its octets make.
        right: u16,
    },
    /// A command class that E1.20 does not have.
    #[error("its command class is {0:#04x}")]
    Class(u8),
    /// An answer of a kind that E1.20 does not have, or without what its kind needs.
    #[error("its response type is {0:#04x}, or says nothing")]
    Kind(u8),
    /// A discovery answer that collided with another, as two at once do.
    #[error("no discovery answer can be made out")]
    Collision,
}

/// A device's name in the whole world: its maker's code and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid {
    /// By ESTA's list.
    pub maker: u16,
    /// By the maker's own.
    pub device: u32,
}

impl Uid {
    /// Every device of every maker (section 5.3).
    pub const ALL: Self = Self { maker: u16::MAX, device: u32::MAX };
    /// From its six octets.
    pub fn from_octets([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self { maker: u16::from_be_bytes([a, b]), device: u32::from_be_bytes([c, d, e, f]) }
    }
    /// Its six octets.
    pub fn octets(self) -> [u8; 6] {
        let ([a, b], [c, d, e, f]) = (self.maker.to_be_bytes(), self.device.to_be_bytes());
        [a, b, c, d, e, f]
    }
    /// Whether it means many devices: no device has it, and none answers to it.
    pub fn is_broadcast(self) -> bool {
        self.device == u32::MAX
    }
    /// Whether what is sent to it is for that device: `ffff:ffffffff` is for all, `7a70:ffffffff` for a maker's.
    pub fn means(self, device: Self) -> bool {
        let maker = self.maker == u16::MAX || self.maker == device.maker;
        if self.is_broadcast() { maker } else { self == device }
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:08x}", self.maker, self.device)
    }
}

/// Not `mmmm:dddddddd`, nor `all`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no UID: write it as 7a70:ffffff00, four and eight hexadecimal digits")]
pub struct NoUid(String);

impl FromStr for Uid {
    type Err = NoUid;
    fn from_str(text: &str) -> Result<Self, NoUid> {
        if text == "all" {
            return Ok(Self::ALL);
        }
        let no = || NoUid(text.to_owned());
        let digits = |part: &str, count: usize| {
            let right = part.len() == count && part.bytes().all(|it| it.is_ascii_hexdigit());
            right.then(|| u32::from_str_radix(part, 16).ok()).flatten()
        };
        let (maker, device) = text.split_once(':').ok_or_else(no)?;
        let maker = digits(maker, 4).and_then(|it| u16::try_from(it).ok()).ok_or_else(no)?;
        Ok(Self { maker, device: digits(device, 8).ok_or_else(no)? })
    }
}

/// What a message is (section 6.2.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// "Who is there?", which gateways do by themselves.
    Discover,
    /// And its answer.
    Discovered,
    /// "What is it?"
    Get,
    /// And its answer.
    Got,
    /// "Let it be so."
    Set,
    /// And its answer.
    WasSet,
}

impl Class {
    /// Its code.
    pub fn code(self) -> u8 {
        match self {
            Self::Discover => 0x10,
            Self::Discovered => 0x11,
            Self::Get => 0x20,
            Self::Got => 0x21,
            Self::Set => 0x30,
            Self::WasSet => 0x31,
        }
    }
    fn of(code: u8) -> Result<Self, RdmError> {
        [Self::Discover, Self::Discovered, Self::Get, Self::Got, Self::Set, Self::WasSet]
            .into_iter()
            .find(|it| it.code() == code)
            .ok_or(RdmError::Class(code))
    }
    /// The class that answers this one; none for an answer.
    pub fn answered_by(self) -> Option<Self> {
        match self {
            Self::Discover => Some(Self::Discovered),
            Self::Get => Some(Self::Got),
            Self::Set => Some(Self::WasSet),
            Self::Discovered | Self::Got | Self::WasSet => None,
        }
    }
}

/// A message, either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// For whom.
    pub to: Uid,
    /// From whom.
    pub from: Uid,
    /// Counted by who asks, given back by who answers.
    pub transaction: u8,
    /// The port of a question, from 1; the kind of an answer.
    pub kind: u8,
    /// How many messages wait at who answers; 0 in a question.
    pub waiting: u8,
    /// 0 is the device itself, 0xffff all its sub-devices.
    pub sub_device: u16,
    /// What it is.
    pub class: Class,
    /// What it is about.
    pub parameter: u16,
    /// At most [`DATA_MAX`] octets.
    pub data: &'a [u8],
}

/// What an answer says (section 6.2.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// It is done, or is this.
    Ack(&'a [u8]),
    /// It takes longer: ask for queued messages after so many tenths of a second.
    Timer(u16),
    /// It will not be, for this reason.
    Nack(u16),
    /// This is the first part: ask again for the next.
    Overflow(&'a [u8]),
}

const ACK: u8 = 0;
const ACK_TIMER: u8 = 1;
const NACK: u8 = 2;
const ACK_OVERFLOW: u8 = 3;

impl<'a> Message<'a> {
    /// Reads one; what follows behind it is passed over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RdmError> {
        let short = || RdmError::Short(bytes.len());
        let head = bytes.get(..field::DATA).ok_or_else(short)?;
        if head[field::SUB_START_CODE] != SUB_START_CODE {
            return Err(RdmError::SubStartCode(head[field::SUB_START_CODE]));
        }
        let (length, data_length) = (head[field::LENGTH], head[field::DATA_LENGTH]);
        // The length counts the start code, too.
        let end = field::DATA + usize::from(data_length);
        if usize::from(length) != end + 1 || usize::from(data_length) > DATA_MAX {
            return Err(RdmError::Lengths(length, data_length));
        }
        let (body, given) = bytes.split_at_checked(end).ok_or_else(short)?;
        let given = u16::from_be_bytes([
            *given.first().ok_or_else(short)?,
            *given.get(1).ok_or_else(short)?,
        ]);
        let right = checksum(body);
        if given != right {
            return Err(RdmError::Checksum { given, right });
        }
        Ok(Self {
            to: uid(&head[field::TO]),
            from: uid(&head[field::FROM]),
            transaction: head[field::TRANSACTION],
            kind: head[field::KIND],
            waiting: head[field::WAITING],
            sub_device: word(&head[field::SUB_DEVICE]),
            class: Class::of(head[field::CLASS])?,
            parameter: word(&head[field::PARAMETER]),
            data: &body[field::DATA..],
        })
    }

    /// Writes it; none where the data is longer than a message holds.
    pub fn emit(&self) -> Option<Vec<u8>> {
        let data_length = u8::try_from(self.data.len()).ok()?;
        if self.data.len() > DATA_MAX {
            return None;
        }
        let mut bytes = vec![0; field::DATA];
        bytes[field::SUB_START_CODE] = SUB_START_CODE;
        bytes[field::LENGTH] = field::DATA as u8 + 1 + data_length;
        bytes[field::TO].copy_from_slice(&self.to.octets());
        bytes[field::FROM].copy_from_slice(&self.from.octets());
        bytes[field::TRANSACTION] = self.transaction;
        bytes[field::KIND] = self.kind;
        bytes[field::WAITING] = self.waiting;
        bytes[field::SUB_DEVICE].copy_from_slice(&self.sub_device.to_be_bytes());
        bytes[field::CLASS] = self.class.code();
        bytes[field::PARAMETER].copy_from_slice(&self.parameter.to_be_bytes());
        bytes[field::DATA_LENGTH] = data_length;
        bytes.extend_from_slice(self.data);
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum.to_be_bytes());
        Some(bytes)
    }

    /// What it says, if it is an answer.
    pub fn answer(&self) -> Result<Answer<'a>, RdmError> {
        let number = self.data.try_into().map(u16::from_be_bytes);
        match self.kind {
            ACK => Ok(Answer::Ack(self.data)),
            ACK_TIMER => number.map(Answer::Timer).map_err(|_| RdmError::Kind(self.kind)),
            NACK => number.map(Answer::Nack).map_err(|_| RdmError::Kind(self.kind)),
            ACK_OVERFLOW => Ok(Answer::Overflow(self.data)),
            other => Err(RdmError::Kind(other)),
        }
    }
}

fn uid(octets: &[u8]) -> Uid {
    Uid::from_octets(octets.try_into().expect("the field has six octets"))
}

fn word(octets: &[u8]) -> u16 {
    u16::from_be_bytes(octets.try_into().expect("the field has two octets"))
}

/// The sum of all octets, the start code among them (section 6.2.12).
fn checksum(body: &[u8]) -> u16 {
    sum(body).wrapping_add(u16::from(START_CODE))
}

fn sum(octets: &[u8]) -> u16 {
    octets.iter().fold(0, |sum: u16, octet| sum.wrapping_add(u16::from(*octet)))
}

/// Before a discovery answer may stand so many of these, and then the separator (section 7.5).
const PREAMBLE: u8 = 0xfe;
const PREAMBLE_MAX: usize = 7;
const SEPARATOR: u8 = 0xaa;

/// What a device says when a search comes down to it: its UID so coded that two at once are seen to be two.
pub fn discovery_answer(uid: Uid) -> Vec<u8> {
    let twice = |octet: u8| [octet | 0xaa, octet | 0x55];
    let coded: Vec<u8> = uid.octets().into_iter().flat_map(twice).collect();
    let check = sum(&coded).to_be_bytes().into_iter().flat_map(twice);
    let head = std::iter::repeat_n(PREAMBLE, PREAMBLE_MAX).chain([SEPARATOR]);
    head.chain(coded.iter().copied()).chain(check).collect()
}

/// Reads what came back to a search.
pub fn parse_discovery_answer(bytes: &[u8]) -> Result<Uid, RdmError> {
    let start = bytes.iter().take_while(|octet| **octet == PREAMBLE).count();
    let rest = bytes.get(start..).filter(|rest| rest.first() == Some(&SEPARATOR));
    let (true, Some(rest)) = (start <= PREAMBLE_MAX, rest) else { return Err(RdmError::Collision) };
    let coded: &[u8; 16] =
        rest.get(1..17).and_then(|it| it.try_into().ok()).ok_or(RdmError::Short(bytes.len()))?;
    // Each octet comes once with its odd bits set, once with its even ones.
    let octet = |index: usize| coded[2 * index] & coded[2 * index + 1];
    let whole = coded.chunks(2).all(|pair| pair[0] & 0xaa == 0xaa && pair[1] & 0x55 == 0x55);
    let given = u16::from_be_bytes([octet(6), octet(7)]);
    if !whole || given != sum(&coded[..12]) {
        return Err(RdmError::Collision);
    }
    Ok(Uid::from_octets(std::array::from_fn(octet)))
}

/// Why a device refuses (table A-17).
pub fn nack_reason(code: u16) -> &'static str {
    const REASONS: [&str; 11] = [
        "it does not know this parameter",
        "it does not understand the data",
        "its hardware is at fault",
        "its proxy refuses",
        "it is write-protected",
        "it cannot get or cannot set this parameter",
        "the value is out of its range",
        "its buffer is full",
        "the message is too long for it",
        "it has no such sub-device",
        "its proxy's buffer is full",
    ];
    REASONS.get(usize::from(code)).copied().unwrap_or("it gives a reason that E1.20 does not have")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LAMP: Uid = Uid { maker: 0x1234, device: 0x5678_9abc };
    const DESK: Uid = Uid { maker: 0xcba9, device: 0x8765_4321 };

    /// The example of E1.20's section on the checksum: GET STATUS_MESSAGES, error.
    fn question() -> Message<'static> {
        Message {
            to: LAMP,
            from: DESK,
            transaction: 0,
            kind: 1,
            waiting: 0,
            sub_device: 0,
            class: Class::Get,
            parameter: 0x0030,
            data: &[0x04],
        }
    }

    #[test]
    fn a19_a_message_is_written_as_the_standards_own_example_has_it() {
        let bytes = question().emit().expect("it fits");
        let example = [
            0x01, 0x19, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xcb, 0xa9, 0x87, 0x65, 0x43, 0x21,
            0x00, 0x01, 0x00, 0x00, 0x00, 0x20, 0x00, 0x30, 0x01, 0x04, 0x06, 0x6a,
        ];
        assert_eq!(bytes, example);
        assert_eq!(Message::parse(&bytes), Ok(question()));
    }

    #[test]
    fn a19_what_is_damaged_or_contradicts_itself_is_refused() {
        let good = question().emit().expect("it fits");
        let with = |index: usize, octet: u8| {
            let mut bytes = good.clone();
            bytes[index] = octet;
            Message::parse(&bytes).map(|_| ()).expect_err("it is wrong")
        };
        assert_eq!(with(0, 2), RdmError::SubStartCode(2));
        assert_eq!(with(1, 24), RdmError::Lengths(24, 1));
        assert_eq!(with(22, 2), RdmError::Lengths(25, 2));
        assert!(matches!(with(10, 0xff), RdmError::Checksum { .. }));
        for end in 0..good.len() {
            assert!(Message::parse(&good[..end]).is_err(), "cut off after {end}");
        }
        let longer = [good.as_slice(), &[0; 200]].concat();
        assert_eq!(Message::parse(&longer), Ok(question()), "some gateways pad");
        assert_eq!(Message { data: &[0; 232], ..question() }.emit(), None);
    }

    #[test]
    fn a19_answers_say_done_later_no_or_more_to_come() {
        let answer = |kind, data| Message { kind, data, class: Class::Got, ..question() };
        assert_eq!(answer(0, &[7]).answer(), Ok(Answer::Ack(&[7])));
        assert_eq!(answer(1, &[0, 20]).answer(), Ok(Answer::Timer(20)));
        assert_eq!(answer(2, &[0, 6]).answer(), Ok(Answer::Nack(6)));
        assert_eq!(answer(3, &[7]).answer(), Ok(Answer::Overflow(&[7])));
        assert_eq!(answer(2, &[6]).answer(), Err(RdmError::Kind(2)), "a reason has two octets");
        assert_eq!(answer(9, &[]).answer(), Err(RdmError::Kind(9)));
    }

    #[test]
    fn a19_a_discovery_answer_is_read_and_two_at_once_are_not() {
        let one = discovery_answer(LAMP);
        assert_eq!(one.len(), 24);
        assert_eq!(parse_discovery_answer(&one), Ok(LAMP));
        assert_eq!(parse_discovery_answer(&one[7..]), Ok(LAMP), "lines eat the preamble");
        let both: Vec<u8> = one.iter().zip(discovery_answer(DESK)).map(|(a, b)| *a | b).collect();
        assert_eq!(parse_discovery_answer(&both), Err(RdmError::Collision));
        assert_eq!(parse_discovery_answer(&one[..20]), Err(RdmError::Short(20)));
    }

    #[test]
    fn a19_uids_are_written_as_everybody_writes_them() {
        assert_eq!(LAMP.to_string(), "1234:56789abc");
        assert_eq!("1234:56789ABC".parse(), Ok(LAMP));
        for wrong in ["", "1234", "1234:5678", "123:456789abc", "12345:6789abc", "+234:56789abc"] {
            assert!(wrong.parse::<Uid>().is_err(), "{wrong}");
        }
        assert!(Uid { maker: 0x1234, device: u32::MAX }.is_broadcast());
    }

    proptest! {
        #[test]
        fn a19_what_is_written_is_read(
            to: [u8; 6], from: [u8; 6], transaction: u8, kind: u8, waiting: u8, sub_device: u16, parameter: u16,
            data in proptest::collection::vec(any::<u8>(), 0..=DATA_MAX),
        ) {
            let (to, from) = (Uid::from_octets(to), Uid::from_octets(from));
            let class = Class::WasSet;
            let message =
                Message { to, from, transaction, kind, waiting, sub_device, class, parameter, data: &data };
            let bytes = message.emit().expect("it fits");
            prop_assert_eq!(Message::parse(&bytes), Ok(message));
            let uid = parse_discovery_answer(&discovery_answer(to));
            prop_assert_eq!(uid, Ok(to));
        }
    }
}
