//! A part of a network: an address and how many of its bits all that belong to it share.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::OutOfRange;

/// `10.1.2.0/24`, `fd00::/64`; bits of the address beyond the shared ones say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    address: IpAddr,
    shared: u32,
}

impl Subnet {
    /// Whether all its bits are shared: whoever comes from it has the same address.
    pub fn is_one_address(&self) -> bool {
        self.shared == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Whether that machine is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let apart = match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros()
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros()
            }
            _ => return false,
        };
        apart >= self.shared
    }
}

impl FromStr for Subnet {
    type Err = OutOfRange;
    fn from_str(text: &str) -> Result<Self, OutOfRange> {
        let wrong = || OutOfRange {
            what: "a subnet",
            range: "an address and its shared bits, such as 10.1.2.0/24",
            given: format!("`{text}`"),
        };
        let (address, shared) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let shared = shared.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if shared > bits { Err(wrong()) } else { Ok(Self { address, shared }) }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_has_those_who_share_its_bits() {
        let has = |subnet: &str, address: &str| {
            let subnet: Subnet = subnet.parse().expect("a subnet");
            subnet.contains(address.parse().expect("an address"))
        };
        assert!(has("10.1.2.0/24", "10.1.2.255") && !has("10.1.2.0/24", "10.1.3.0"));
        assert!(has("10.1.2.7/32", "10.1.2.7") && !has("10.1.2.7/32", "10.1.2.6"));
        assert!(has("0.0.0.0/0", "1.2.3.4") && !has("0.0.0.0/0", "fd00::1"));
        assert!(has("10.1.2.0/24", "::ffff:10.1.2.9"), "as a dual socket writes it");
        assert!(has("fd00:1::/64", "fd00:1::5") && !has("fd00:1::/64", "fd00:1:0:1::5"));
    }

    #[test]
    fn what_is_no_subnet_is_refused_with_an_example() {
        for wrong in ["", "10.1.2.0", "10.1.2.0/33", "fd00::/129", "10.1.2/24", "a/8", "1.2.3.4/-1"]
        {
            let error = wrong.parse::<Subnet>().expect_err(wrong);
            assert!(error.to_string().contains("10.1.2.0/24"), "{error}");
        }
    }
}
