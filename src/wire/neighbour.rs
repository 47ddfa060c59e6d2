//! Says to a network where an address is from now on: to whoever remembers another machine for it.
//!
//! In: the address and the interface's. Out: octets. Never here: sockets.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An ARP announcement (RFC 5227, 1.1 and 2.3), without the Ethernet head that goes to everybody.
pub fn arp(mac: [u8; 6], address: Ipv4Addr) -> [u8; 28] {
    // Ethernet, IPv4, lengths 6 and 4, a request: "who has it" by whoever has it.
    let head = [0, 1, 8, 0, 6, 4, 0, 1];
    let ip = address.octets();
    let mut packet = [0; 28];
    for (at, part) in [(0, &head[..]), (8, &mac), (14, &ip), (24, &ip)] {
        packet[at..at + part.len()].copy_from_slice(part);
    }
    packet
}

/// An unsolicited Neighbor Advertisement (RFC 4861, 4.4 and 7.2.6) that overrides what is remembered; its checksum is the
/// kernel's to fill in.
pub fn advertisement(mac: [u8; 6], address: Ipv6Addr) -> [u8; 32] {
    const ADVERTISEMENT: u8 = 136;
    const OVERRIDE: u8 = 0x20;
    let head = [ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0];
    // The target's link-layer address, in units of eight octets.
    let option = [2, 1];
    let mut packet = [0; 32];
    for (at, part) in [(0, &head[..]), (8, &address.octets()), (24, &option), (26, &mac)] {
        packet[at..at + part.len()].copy_from_slice(part);
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_names_the_address_as_sender_and_as_target() {
        let packet = arp([2, 0, 0, 0, 0, 9], Ipv4Addr::new(10, 0, 0, 50));
        let expected = [
            0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 10, 0, 0, 50, 0, 0, 0, 0, 0, 0, 10, 0, 0, 50,
        ];
        assert_eq!(packet, expected);
    }

    #[test]
    fn an_advertisement_overrides_and_says_the_link_address() {
        let packet = advertisement([2, 0, 0, 0, 0, 9], "fd00::50".parse().expect("an address"));
        assert_eq!(packet[..8], [136, 0, 0, 0, 0x20, 0, 0, 0]);
        assert_eq!((packet[8], packet[23]), (0xfd, 0x50));
        assert_eq!(packet[24..], [2, 1, 2, 0, 0, 0, 0, 9]);
    }
}
