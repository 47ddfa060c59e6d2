//! Whom rooms and warnings count as one, and who of them has rooms to spare.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use units::MonoTime;
use wire::bloom::RoomId;

/// All addresses that a machine may give itself: an IPv4 address, or the /64 of an IPv6 address (RFC 7421). None is
/// the control socket.
///
/// Phones on one LAN have one /64, too, so nobody is refused for it: it only says whose are given up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network(Option<IpAddr>);

impl Network {
    /// The one of an address.
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|it| match it.to_canonical() {
            IpAddr::V6(it) => Ipv6Addr::from_bits(it.to_bits() >> 64 << 64).into(),
            four => four,
        }))
    }
}

/// Created rooms that nobody is in.
#[derive(Debug, Default)]
pub(super) struct Empties {
    of: BTreeMap<Network, BTreeSet<(MonoTime, RoomId)>>,
    by_number: BTreeSet<(usize, Network)>,
}

impl Empties {
    /// The last one has left.
    pub(super) fn insert(&mut self, network: Network, since: MonoTime, room: RoomId) {
        self.change(network, |theirs| theirs.insert((since, room)));
    }

    /// Somebody has come, or the room has ended. One that is not here stays so.
    pub(super) fn remove(&mut self, network: Network, since: MonoTime, room: RoomId) {
        self.change(network, |theirs| theirs.remove(&(since, room)));
    }

    /// Of the network that has most of them, the one that has been empty longest.
    pub(super) fn spare(&self) -> Option<RoomId> {
        let (_, network) = self.by_number.last()?;
        self.of[network].first().map(|&(_, room)| room)
    }

    fn change(
        &mut self,
        network: Network,
        change: impl FnOnce(&mut BTreeSet<(MonoTime, RoomId)>) -> bool,
    ) {
        let theirs = self.of.entry(network).or_default();
        self.by_number.remove(&(theirs.len(), network));
        change(theirs);
        match theirs.len() {
            0 => drop(self.of.remove(&network)),
            number => drop(self.by_number.insert((number, network))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_an_ipv4_address_or_a_64() {
        let of = |text: &str| Network::of(Some(text.parse().expect("an address")));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_ne!(Network::of(None), of("::"));
    }
}
