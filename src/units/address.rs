//! Where a level goes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::OutOfRange;

/// A universe of 512 slots, numbered as sACN numbers them: 1 to 63,999 (E1.31 section 6.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Universe(u16);

impl Universe {
    /// Slots in a universe.
    pub const SLOTS: usize = 512;

    /// Checks the range.
    pub fn new(number: u32) -> Result<Self, OutOfRange> {
        match u16::try_from(number) {
            Ok(number @ 1..=63_999) => Ok(Self(number)),
            _ => Err(OutOfRange {
                what: "a universe",
                range: "1 to 63999",
                given: number.to_string(),
            }),
        }
    }
    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }
}
impl fmt::Display for Universe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A slot of a universe, 1 to 512 as people count; `index` is 0 to 511 as arrays do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(u16);

impl Slot {
    /// Checks the range, counted from 1.
    pub fn new(number: u32) -> Result<Self, OutOfRange> {
        match u16::try_from(number) {
            Ok(number @ 1..=512) => Ok(Self(number)),
            _ => {
                Err(OutOfRange { what: "an address", range: "1 to 512", given: number.to_string() })
            }
        }
    }
    /// Counted from 1.
    pub const fn number(self) -> u16 {
        self.0
    }
    /// Counted from 0.
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }
}
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where Art-Net sends a universe, 15 bits: net (7), sub-net (4), universe (4) (rule A9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u32")]
pub struct PortAddress(u16);

impl PortAddress {
    /// Checks the range, 0 to 32,767.
    pub fn new(raw: u32) -> Result<Self, OutOfRange> {
        match u16::try_from(raw) {
            Ok(raw @ ..=0x7fff) => Ok(Self(raw)),
            _ => Err(OutOfRange {
                what: "a port address",
                range: "0 to 32767",
                given: raw.to_string(),
            }),
        }
    }
    /// All fifteen bits.
    pub const fn raw(self) -> u16 {
        self.0
    }
    /// The upper seven bits.
    pub const fn net(self) -> u8 {
        (self.0 >> 8) as u8
    }
    /// The middle four bits.
    pub const fn sub_net(self) -> u8 {
        (self.0 >> 4) as u8 & 0x0f
    }
    /// The lower four bits.
    pub const fn universe(self) -> u8 {
        self.0 as u8 & 0x0f
    }
}
impl From<PortAddress> for u16 {
    fn from(it: PortAddress) -> Self {
        it.0
    }
}
impl TryFrom<u32> for PortAddress {
    type Error = OutOfRange;
    fn try_from(raw: u32) -> Result<Self, OutOfRange> {
        Self::new(raw)
    }
}
impl fmt::Display for PortAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.net(), self.sub_net(), self.universe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_refuse_what_the_standards_do_not_have() {
        assert!(Universe::new(0).is_err() && Universe::new(64_000).is_err());
        assert!(Slot::new(0).is_err() && Slot::new(513).is_err());
        assert!(PortAddress::new(0x8000).is_err());
    }

    #[test]
    fn a_port_address_falls_into_net_sub_net_and_universe() {
        let address = PortAddress::new(0x1234).expect("15 bits");
        assert_eq!((address.net(), address.sub_net(), address.universe()), (0x12, 3, 4));
        assert_eq!(address.to_string(), "18.3.4");
    }
}
