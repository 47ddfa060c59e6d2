//! The machine's interfaces, as they are at this moment.

use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::boxfile::clock::Transport;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// An interface; the default is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Link {
    /// Its number; a new one when it was taken out and put back.
    index: u32,
    /// Whether it has a link.
    pub up: bool,
    addresses: Vec<IpAddr>,
    pub mac: Option<[u8; 6]>,
}

impl Link {
    /// Its number, if it will do.
    pub fn usable(&self, transport: Transport) -> Option<u32> {
        let able = match transport {
            Transport::Ipv4 => self.addresses.iter().any(IpAddr::is_ipv4),
            Transport::Ipv6 => self.addresses.iter().any(IpAddr::is_ipv6),
            Transport::Layer2 => true,
        };
        (self.up && able && self.index > 0).then_some(self.index)
    }

    /// What keeps it from that.
    pub fn lack(&self, transport: Transport) -> &'static str {
        match (self.index, self.up, transport) {
            (0, _, _) => "the interface is not there; waiting for it",
            (_, false, _) => "the interface has no link; waiting for it",
            (_, _, Transport::Ipv4) => "the interface has no IPv4 address; waiting for one",
            (_, _, _) => "the interface has no IPv6 address; waiting for one",
        }
    }
}

/// All of them by name.
pub(super) fn links() -> BTreeMap<String, Link> {
    let mut links: BTreeMap<String, Link> = BTreeMap::new();
    // A machine that does not tell has none at this moment.
    let Ok(addresses) = getifaddrs() else { return links };
    for it in addresses {
        let link = links.entry(it.interface_name.clone()).or_insert_with(|| Link {
            index: nix::net::if_::if_nametoindex(it.interface_name.as_str()).unwrap_or(0),
            up: it.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING),
            ..Link::default()
        });
        let Some(address) = it.address else { continue };
        if let Some(v4) = address.as_sockaddr_in() {
            link.addresses.push(IpAddr::V4(v4.ip()));
        } else if let Some(v6) = address.as_sockaddr_in6() {
            link.addresses.push(IpAddr::V6(v6.ip()));
        } else if let Some(hardware) = address.as_link_addr() {
            link.mac = hardware.addr().filter(|mac| *mac != [0; 6]);
        }
    }
    links
}
