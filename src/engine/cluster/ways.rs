//! By which of several ways another box is called, and on which interface this one holds the cluster's address.
//!
//! In: where boxes were heard from, which networks this box is on. Out: an address, an interface. Never here: sockets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use units::MonoTime;
use uuid::Uuid;

use super::SILENCE;

/// Where the other boxes are called. Each gives its signs of life by several ways, and is called by one of them until it is
/// silent there: whoever changed with every sign would begin its link anew with it.
#[derive(Debug, Clone, Default)]
pub struct Ways(BTreeMap<Uuid, (IpAddr, MonoTime)>);

impl Ways {
    /// A box was heard from there.
    pub fn handle_heard(&mut self, now: MonoTime, node: Uuid, from: IpAddr) {
        let way = self.0.entry(node).or_insert((from, now));
        if way.0 == from || now - way.1 >= SILENCE {
            *way = (from, now);
        }
    }

    /// Where it is called; none until it was heard.
    pub fn to(&self, node: Uuid) -> Option<IpAddr> {
        self.0.get(&node).map(|(at, _)| *at)
    }
}

/// A network that this box is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// By which interface.
    pub interface: String,
    /// This box's address there.
    pub own: IpAddr,
    /// How many bits of it all machines there share.
    pub shared: u32,
}

impl Network {
    fn has(&self, address: IpAddr) -> bool {
        let apart = match (self.own, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros()
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros()
            }
            _ => return false,
        };
        self.own != address && apart >= self.shared
    }
}

/// The interface for an address that is none of this box's own: the named one where its network has it, else that of the
/// narrowest network that does.
pub fn interface_for<'a>(
    address: IpAddr,
    named: Option<&str>,
    networks: &'a [Network],
) -> Option<&'a str> {
    let able = networks.iter().filter(|it| it.has(address));
    let best = able.max_by_key(|it| (named == Some(it.interface.as_str()), it.shared));
    best.map(|it| it.interface.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_box_that_speaks_by_two_ways_is_called_by_one_until_it_is_silent_there() {
        let at = |ms: i64| MonoTime::from_ns(ms * 1_000_000);
        let (node, mut ways) = (Uuid::from_u128(1), Ways::default());
        assert_eq!(ways.to(node), None);
        let (quick, slow) = (ip("10.94.0.1"), ip("10.95.0.1"));
        for beat in (0..1_000).step_by(50) {
            ways.handle_heard(at(beat), node, quick);
            ways.handle_heard(at(beat + 3), node, slow);
            assert_eq!(ways.to(node), Some(quick));
        }
        ways.handle_heard(at(1_053), node, slow);
        assert_eq!(ways.to(node), Some(quick), "one sign may be lost");
        ways.handle_heard(at(1_103), node, slow);
        assert_eq!(ways.to(node), Some(slow), "the other cable is out");
    }

    fn network(interface: &str, own: &str, shared: u32) -> Network {
        Network { interface: interface.into(), own: ip(own), shared }
    }

    #[test]
    fn an_address_is_held_where_phones_are_or_else_in_the_narrowest_network_that_has_it() {
        let all = [
            network("sync0", "10.9.9.1", 8),
            network("net0", "10.95.0.1", 24),
            network("net0", "fd95::1", 64),
            network("wide0", "10.95.7.1", 16),
        ];
        let best = |address, named| interface_for(ip(address), named, &all);
        assert_eq!(
            best("10.95.0.50", None),
            Some("net0"),
            "and not by the cable of Art-Net's 10/8"
        );
        assert_eq!(best("10.95.0.50", Some("wide0")), Some("wide0"));
        assert_eq!(best("10.95.0.50", Some("elsewhere")), Some("net0"));
        assert_eq!(best("fd95::50", None), Some("net0"));
        assert_eq!(best("192.0.2.1", Some("net0")), None);
        assert_eq!(best("10.95.0.1", None), Some("wide0"), "its own is no other's in that network");
    }

    #[test]
    fn a_network_of_one_machine_or_of_all_is_none_and_any() {
        assert_eq!(interface_for(ip("10.0.0.2"), None, &[network("a", "10.0.0.1", 32)]), None);
        assert_eq!(interface_for(ip("10.0.0.2"), None, &[network("a", "1.2.3.4", 0)]), Some("a"));
        assert_eq!(interface_for(ip("10.0.0.2"), None, &[network("a", "::1", 0)]), None);
    }
}
