//! The heads of a datagram that a source writes itself, so that the kernel has only to put it on a cable: IPv4 (RFC
//! 791) and UDP (RFC 768), and the Ethernet address of a group (RFC 1112).
//!
//! Never here: what the datagram holds, and sockets. Numbers are high byte first.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

/// Octets of both heads together.
pub const HEAD_LEN: usize = field::UDP_SUM.end;

/// Where each field lies, counted from the first octet (RFC 791 section 3.1, RFC 768).
mod field {
    use super::Range;

    pub const VERSION: usize = 0;
    pub const IP_LENGTH: Range<usize> = 2..4;
    pub const FLAGS: usize = 6;
    pub const TTL: usize = 8;
    pub const PROTOCOL: usize = 9;
    pub const IP_SUM: Range<usize> = 10..12;
    pub const SOURCE: Range<usize> = 12..16;
    pub const DESTINATION: Range<usize> = 16..20;
    pub const UDP: usize = 20;
    pub const SOURCE_PORT: Range<usize> = 20..22;
    pub const DESTINATION_PORT: Range<usize> = 22..24;
    pub const UDP_LENGTH: Range<usize> = 24..26;
    pub const UDP_SUM: Range<usize> = 26..28;
}

/// IPv4, and a head of five words.
const VERSION: u8 = 0x45;
/// It is never cut up, so it needs no number of its own (RFC 6864 section 4.1).
const DO_NOT_FRAGMENT: u8 = 0x40;
const UDP: u8 = 17;

/// Both heads of datagrams from one place to another; [`Self::for_payload`] makes those of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head([u8; HEAD_LEN]);

impl Head {
    /// `ttl` is how many routers they may pass.
    pub fn new(from: SocketAddrV4, to: SocketAddrV4, ttl: u8) -> Self {
        let mut head = [0; HEAD_LEN];
        head[field::VERSION] = VERSION;
        head[field::FLAGS] = DO_NOT_FRAGMENT;
        head[field::TTL] = ttl;
        head[field::PROTOCOL] = UDP;
        head[field::SOURCE].copy_from_slice(&from.ip().octets());
        head[field::DESTINATION].copy_from_slice(&to.ip().octets());
        head[field::SOURCE_PORT].copy_from_slice(&from.port().to_be_bytes());
        head[field::DESTINATION_PORT].copy_from_slice(&to.port().to_be_bytes());
        Self(head)
    }

    /// The heads for this payload, with lengths and sums. A payload has 65,507 octets at most; of a longer one the sums
    /// would be wrong, and nobody would take it.
    pub fn for_payload(mut self, payload: &[u8]) -> Self {
        let length = |of: usize| u16::try_from(of).unwrap_or(u16::MAX).to_be_bytes();
        let head = &mut self.0;
        head[field::IP_LENGTH].copy_from_slice(&length(HEAD_LEN + payload.len()));
        let udp_length = length(HEAD_LEN - field::UDP + payload.len());
        head[field::UDP_LENGTH].copy_from_slice(&udp_length);
        let ip_sum = folded(sum(&head[..field::UDP]));
        head[field::IP_SUM].copy_from_slice(&ip_sum.to_be_bytes());
        // The addresses, the protocol and the length count as well, as a head before the head.
        let before = sum(&head[field::SOURCE.start..field::UDP]) + u64::from(UDP);
        let before = before + u64::from(u16::from_be_bytes(udp_length));
        let udp_sum = folded(before + sum(&head[field::UDP..]) + sum(payload));
        // No sum at all would be 0; all ones mean the same number.
        let udp_sum = if udp_sum == 0 { u16::MAX } else { udp_sum };
        head[field::UDP_SUM].copy_from_slice(&udp_sum.to_be_bytes());
        self
    }

    /// As they stand before the payload.
    pub fn bytes(&self) -> &[u8; HEAD_LEN] {
        &self.0
    }
}

/// Where Ethernet takes what is sent to a group (RFC 1112 section 6.4).
pub fn ethernet_group(group: Ipv4Addr) -> [u8; 6] {
    let [_, second, third, fourth] = group.octets();
    [0x01, 0x00, 0x5e, second & 0x7f, third, fourth]
}

/// Of all words of sixteen bits; a last octet alone is the high one.
fn sum(octets: &[u8]) -> u64 {
    // Words of thirty-two bits add up to the same once they are folded (RFC 1071 section 2), in half as many steps.
    let (words, rest) = octets.as_chunks::<4>();
    let words: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let all = words + u64::from(u32::from_ne_bytes(last));
    // The order of octets within a word does not matter to the sum, but for the order of those of its result.
    u64::from(u16::from_be_bytes(once(all).to_ne_bytes()))
}

/// Of the sum in sixteen bits, what makes it all ones.
fn folded(sum: u64) -> u16 {
    !once(sum)
}

/// In sixteen bits, what ran over added at the other end.
fn once(mut sum: u64) -> u16 {
    while sum > u64::from(u16::MAX) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(payload: &[u8]) -> Head {
        let from = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 40_000);
        let to = SocketAddrV4::new(Ipv4Addr::new(239, 255, 1, 2), 5568);
        Head::new(from, to, 64).for_payload(payload)
    }

    /// As RFC 768 says it, octet pair by octet pair.
    fn verifies(head: &Head, payload: &[u8]) -> bool {
        let add = |sum: u32, pair: &[u8]| {
            let pair = u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            ((sum + pair) & 0xffff) + ((sum + pair) >> 16)
        };
        let bytes = head.bytes();
        let ip = bytes[..20].chunks(2).fold(0, add);
        let udp = [&bytes[12..20], &[0, 17], &bytes[24..26], &bytes[20..28]].concat();
        let udp = udp.chunks(2).chain(payload.chunks(2)).fold(0, add);
        (ip, udp) == (0xffff, 0xffff)
    }

    #[test]
    fn sums_are_right_whatever_the_payload() {
        for length in 0..700 {
            let payload: Vec<u8> = (0..length).map(|at| (at * 37 + length) as u8).collect();
            assert!(verifies(&head(&payload), &payload), "{length} octets");
            assert!(verifies(&head(&vec![0xff; length]), &vec![0xff; length]), "{length} octets");
        }
    }

    #[test]
    fn a_sum_of_nothing_is_said_as_all_ones() {
        let plain = u16::from_be_bytes([head(&[0, 0]).0[26], head(&[0, 0]).0[27]]);
        let payload = plain.to_be_bytes();
        assert_eq!(head(&payload).0[26..], [0xff, 0xff]);
        assert!(verifies(&head(&payload), &payload));
    }

    #[test]
    fn a_head_is_as_the_rfcs_have_it() {
        let head = head(&[7; 638]);
        assert_eq!(head.0[..10], [0x45, 0, 0x02, 0x9a, 0, 0, 0x40, 0, 64, 17]);
        assert_eq!(head.0[12..26], *b"\x0a\0\0\x01\xef\xff\x01\x02\x9c\x40\x15\xc0\x02\x86");
    }

    #[test]
    fn a_group_has_its_lower_23_bits_in_its_ethernet_address() {
        let group = Ipv4Addr::new(239, 255, 31, 26);
        assert_eq!(ethernet_group(group), [0x01, 0x00, 0x5e, 0x7f, 0x1f, 0x1a]);
    }
}
