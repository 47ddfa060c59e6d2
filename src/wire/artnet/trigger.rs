//! ArtTrigger: a key pressed from afar (rule A15).

use serde::{Deserialize, Serialize};

use super::{ArtnetError, OEM, at, begin_versioned, op, pair};

/// Every maker's products act on it, and its keys mean what table 7 says.
pub const OEM_EVERYBODY: u16 = 0xffff;
/// Octets of an ArtTrigger; the payload behind the keys is a fixed 512.
pub const TRIGGER_LEN: usize = 530;
/// The sub-key is the last octet that means anything to everybody; some senders stop behind it.
const LEN_MIN: usize = field::SUB_KEY + 1;

mod field {
    use std::ops::Range;
    // 12 and 13: filler.
    pub const OEM: Range<usize> = 14..16;
    pub const KEY: usize = 16;
    pub const SUB_KEY: usize = 17;
}

/// ArtTrigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// Whose products it is for: [`OEM_EVERYBODY`], or one product's code, whose keys mean what its maker says.
    pub oem: u16,
    /// What is pressed.
    pub key: Key,
    /// Which one of them.
    pub sub_key: u8,
}

/// What is pressed (table 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// A key of a keyboard; the sub-key is its ASCII code.
    Ascii,
    /// A macro, by its number.
    Macro,
    /// A soft key, by its number.
    Soft,
    /// A show, by its number.
    Show,
    /// What the table leaves open.
    Other(u8),
}

impl Key {
    /// Its code.
    pub fn code(self) -> u8 {
        match self {
            Self::Ascii => 0,
            Self::Macro => 1,
            Self::Soft => 2,
            Self::Show => 3,
            Self::Other(code) => code,
        }
    }
    /// The key of that code.
    pub fn of(code: u8) -> Self {
        match code {
            0 => Self::Ascii,
            1 => Self::Macro,
            2 => Self::Soft,
            3 => Self::Show,
            other => Self::Other(other),
        }
    }
}

impl Trigger {
    /// For everybody.
    pub fn new(key: Key, sub_key: u8) -> Self {
        Self { oem: OEM_EVERYBODY, key, sub_key }
    }
    /// Whether products of our code act on it.
    pub fn is_for_us(&self) -> bool {
        matches!(self.oem, OEM_EVERYBODY | OEM)
    }
    /// Writes it, its payload zero.
    pub fn emit(&self) -> [u8; TRIGGER_LEN] {
        let mut bytes = [0; TRIGGER_LEN];
        begin_versioned(&mut bytes, op::TRIGGER);
        bytes[field::OEM].copy_from_slice(&self.oem.to_be_bytes());
        bytes[field::KEY] = self.key.code();
        bytes[field::SUB_KEY] = self.sub_key;
        bytes
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Trigger, ArtnetError> {
    at(bytes, 0..LEN_MIN)?;
    Ok(Trigger {
        oem: u16::from_be_bytes(pair(bytes, field::OEM)?),
        key: Key::of(bytes[field::KEY]),
        sub_key: bytes[field::SUB_KEY],
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Packet, parse};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a15_a_trigger_ends_with_its_payload_or_behind_its_keys() {
        let bytes = Trigger::new(Key::Show, 5).emit();
        assert_eq!(bytes[..18], *b"Art-Net\0\x00\x99\x00\x0e\0\0\xff\xff\x03\x05");
        assert_eq!(parse(&bytes[..18]), Ok(Packet::Trigger(Trigger::new(Key::Show, 5))));
        assert_eq!(parse(&bytes[..17]), Err(ArtnetError::Short(17)));
    }

    #[test]
    fn a15_another_products_trigger_is_none_of_ours() {
        let of = |oem| Trigger { oem, ..Trigger::new(Key::Macro, 1) }.is_for_us();
        assert!(of(OEM_EVERYBODY) && of(OEM));
        assert!(!of(0x2828) && !of(0));
    }

    proptest! {
        #[test]
        fn a15_what_is_written_is_read(oem: u16, key: u8, sub_key: u8) {
            let trigger = Trigger { oem, key: Key::of(key), sub_key };
            let bytes = trigger.emit();
            prop_assert_eq!(parse(&bytes), Ok(Packet::Trigger(trigger)));
        }
    }
}
