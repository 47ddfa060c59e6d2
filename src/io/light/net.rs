//! The sockets of light: what they are bound to, and who hears them.
//!
//! In: what the configuration names. Out: sockets, and a warning for each that could not be had as it should. Light
//! goes out whatever else fails; only an interface that does not exist is refused.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;

use engine::show::SacnIp;
use if_addrs::{IfAddr, get_if_addrs};
use nix::ifaddrs::getifaddrs;
use nix::libc;
use nix::sys::socket::LinkAddr;
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery};
use socket2::{Domain, Protocol, Socket, Type};
use units::Universe;
use wire::udp::{Head, ethernet_group};
use wire::{artnet, sacn};

use super::LightError;
use super::outbox::Address;
use crate::ethernet;

/// Where light leaves and listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LightNet {
    /// The lighting interface: multicast and broadcast leave by it alone. None: unicast only.
    pub interface: Option<String>,
    /// Binds every socket to this address instead of the one that fits the interface.
    pub address: Option<Ipv4Addr>,
    /// Whether receivers on this machine hear multicast, too. The box joins the groups that it sends to, to notice
    /// others there, so each packet would also come back to it: a third of what it costs.
    pub here: bool,
    /// Where sACN listens.
    pub sacn_port: u16,
    /// Where Art-Net listens.
    pub artnet_port: u16,
}

impl Default for LightNet {
    fn default() -> Self {
        Self {
            interface: None,
            address: None,
            here: false,
            sacn_port: sacn::PORT,
            artnet_port: artnet::PORT,
        }
    }
}

/// What the lighting interface has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    pub name: String,
    pub address: Ipv4Addr,
    pub mask: Ipv4Addr,
    pub mac: [u8; 6],
    /// Whether groups have Ethernet addresses there.
    pub is_ethernet: bool,
    /// What the kernel calls it; 0 if it does not tell.
    pub index: u32,
}

impl Interface {
    /// The first IPv4 address of the interface of that name.
    pub fn find(name: &str) -> Result<Self, LightError> {
        let all = get_if_addrs().map_err(LightError::Interfaces)?;
        let found = all.iter().find_map(|it| match &it.addr {
            IfAddr::V4(v4) if it.name == name => Some((v4.ip, v4.netmask, it.index.unwrap_or(0))),
            _ => None,
        });
        let Some((address, mask, index)) = found else {
            let mut have: Vec<String> = all.into_iter().map(|it| it.name).collect();
            have.sort();
            have.dedup();
            return Err(LightError::NoInterface { name: name.to_string(), have: have.join(", ") });
        };
        let link = link(name);
        let is_ethernet = link.is_some_and(|it| it.hatype() == libc::ARPHRD_ETHER);
        // Zero if the kernel does not tell (rule A7).
        let mac = link.and_then(|it| it.addr()).unwrap_or_default();
        Ok(Self { name: name.to_string(), address, mask, mac, is_ethernet, index })
    }

    /// Where a poll reaches everybody on the lighting network, and nobody else (rule A2).
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        let host = !self.mask.to_bits();
        (host > 1).then(|| Ipv4Addr::from_bits(self.address.to_bits() | host))
    }
}

fn link(name: &str) -> Option<LinkAddr> {
    let mut all = getifaddrs().ok()?.filter(|it| it.interface_name == name);
    all.find_map(|it| it.address?.as_link_addr().copied())
}

/// As far as a lighting network with routers between its parts reaches; ETC's library uses the same.
const MULTICAST_TTL: u32 = 64;
/// Room for a frame of the largest phase: 256 universes of 638 octets, each with the kernel's own overhead.
const SEND_BUFFER: usize = 1 << 20;
/// Room for a second of a busy network while the listening thread is held up.
const RECEIVE_BUFFER: usize = 1 << 20;
/// What Linux allows a socket to join (`igmp_max_memberships`); more universes get more sockets.
const GROUPS_A_SOCKET: usize = 20;

/// Sends sACN over IPv4.
pub(super) fn sacn_out(net: &LightNet, interface: Option<&Interface>) -> io::Result<UdpSocket> {
    let socket = udp(Domain::IPV4)?;
    bind(&socket, IpAddr::V4(net.address.unwrap_or(Ipv4Addr::UNSPECIFIED)), 0)?;
    // A packet of 666 octets is never cut up, and the kernel spends nothing on a number for its pieces.
    sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::PROBE)?;
    if let Some(interface) = interface {
        socket.set_multicast_if_v4(&interface.address)?;
        socket.set_multicast_ttl_v4(MULTICAST_TTL)?;
        socket.set_multicast_loop_v4(net.here || interface.address.is_loopback())?;
    }
    Ok(socket.into())
}

/// Sends sACN over IPv6: by multicast by the interface, and to those who are named.
pub(super) fn sacn_out_v6(net: &LightNet, interface: Option<&Interface>) -> io::Result<UdpSocket> {
    let socket = udp(Domain::IPV6)?;
    if let Some(interface) = interface {
        socket.set_multicast_if_v6(interface.index)?;
        socket.set_multicast_hops_v6(MULTICAST_TTL)?;
        socket.set_multicast_loop_v6(net.here || interface.address.is_loopback())?;
    }
    Ok(socket.into())
}

/// Puts what goes to groups on the interface's cable as it is. The kernel's own way finds route and neighbour anew for
/// every datagram, at more than twice the cost, and four times beyond the thousand groups that its table of neighbours
/// has room for. None where groups have no Ethernet addresses, or receivers on this machine are to hear. It passes no
/// netfilter: a firewall on this machine sees none of it.
///
/// # Errors
/// Mostly that the right to it (`CAP_NET_RAW`) is missing.
pub(super) fn cable(net: &LightNet, interface: Option<&Interface>) -> io::Result<Option<OwnedFd>> {
    if net.here || !interface.is_some_and(|it| it.is_ethernet && it.index > 0) {
        return Ok(None);
    }
    // Of protocol 0 nothing comes in.
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(0)))?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    Ok(Some(socket.into()))
}

/// Where on the cable a group is, for what leaves by `port`; none of what is no group.
pub(super) fn on_cable(
    net: &LightNet,
    interface: &Interface,
    port: u16,
    group: Ipv4Addr,
) -> Option<Address> {
    let from = SocketAddrV4::new(net.address.unwrap_or(interface.address), port);
    let head = Head::new(from, SocketAddrV4::new(group, net.sacn_port), MULTICAST_TTL as u8);
    let link = ethernet::address(interface.index, libc::ETH_P_IP as u16, ethernet_group(group));
    group.is_multicast().then_some(Address::Cable(link, head))
}

/// Hears these universes: all that is sent to their groups on the interface, and what comes by unicast there. Without
/// an interface and an address of its own it would take packets away from receivers on this machine, so then it does
/// not listen at all.
pub(super) fn sacn_in(
    net: &LightNet,
    interface: Option<&Interface>,
    universes: &[Universe],
    ip: SacnIp,
) -> io::Result<Vec<UdpSocket>> {
    let Some(interface) = interface else {
        return net.address.map(|address| shared(address, net.sacn_port)).into_iter().collect();
    };
    let parts = || universes.chunks(GROUPS_A_SOCKET);
    let v4 = parts().filter(|_| ip.v4()).map(|part| sacn_in_v4(net, interface, part));
    let v6 = parts().filter(|_| ip.v6()).map(|part| sacn_in_v6(net, interface, part));
    v4.chain(v6).collect()
}

fn sacn_in_v4(
    net: &LightNet,
    interface: &Interface,
    universes: &[Universe],
) -> io::Result<UdpSocket> {
    let socket = sacn_in_on(interface, Domain::IPV4)?;
    socket.set_multicast_all_v4(false)?;
    bind(&socket, IpAddr::V4(Ipv4Addr::UNSPECIFIED), net.sacn_port)?;
    for universe in universes {
        socket.join_multicast_v4(&sacn::group_v4(universe.number()), &interface.address)?;
    }
    Ok(socket.into())
}

/// The same on IPv6; the kernel speaks MLD as it speaks IGMP (rule S12).
fn sacn_in_v6(
    net: &LightNet,
    interface: &Interface,
    universes: &[Universe],
) -> io::Result<UdpSocket> {
    let socket = sacn_in_on(interface, Domain::IPV6)?;
    socket.set_only_v6(true)?;
    socket.set_multicast_all_v6(false)?;
    bind(&socket, IpAddr::V6(Ipv6Addr::UNSPECIFIED), net.sacn_port)?;
    for universe in universes {
        socket.join_multicast_v6(&sacn::group_v6(universe.number()), interface.index)?;
    }
    Ok(socket.into())
}

fn sacn_in_on(interface: &Interface, domain: Domain) -> io::Result<Socket> {
    let socket = udp(domain)?;
    socket.set_reuse_address(true)?;
    // What arrives elsewhere is for others: a receiver on this machine keeps its unicast.
    socket.bind_device(Some(interface.name.as_bytes()))?;
    Ok(socket)
}

/// Art-Net, both ways: nodes expect its port as the source, too.
pub(super) fn artnet(address: Ipv4Addr, port: u16) -> io::Result<UdpSocket> {
    let socket = shared(address, port)?;
    socket.set_broadcast(true)?;
    Ok(socket)
}

/// Where Art-Net listens. Without an interface, and where all that is polled is on this machine, it stays there, so
/// that a second party may have another loopback address.
pub(super) fn artnet_address(
    net: &LightNet,
    interface: Option<&Interface>,
    polled: impl IntoIterator<Item = Ipv4Addr>,
) -> Ipv4Addr {
    let local = interface.is_none() && polled.into_iter().all(|address| address.is_loopback());
    let fitting = if local { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    net.address.unwrap_or(fitting)
}

fn shared(address: Ipv4Addr, port: u16) -> io::Result<UdpSocket> {
    let socket = udp(Domain::IPV4)?;
    socket.set_reuse_address(true)?;
    bind(&socket, IpAddr::V4(address), port)?;
    Ok(socket.into())
}

fn udp(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    Ok(socket)
}

fn bind(socket: &Socket, address: IpAddr, port: u16) -> io::Result<()> {
    socket.bind(&SocketAddr::new(address, port).into())
}

/// The IPv4 address and port of whoever sent something; IPv6 does not come to these sockets.
pub(super) fn v4(from: SocketAddr) -> Option<SocketAddrV4> {
    match from {
        SocketAddr::V4(from) => Some(from),
        SocketAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_interface_is_refused_with_those_that_exist() {
        let refused = Interface::find("stage-left").expect_err("no such interface");
        assert!(refused.to_string().contains("stage-left"), "{refused}");
        assert!(refused.to_string().contains("lo"), "{refused}");
    }

    #[test]
    fn a02_a_poll_is_broadcast_within_the_lighting_network_only() {
        let interface = Interface {
            name: "light0".into(),
            address: Ipv4Addr::new(10, 1, 2, 3),
            mask: Ipv4Addr::new(255, 255, 0, 0),
            mac: [0; 6],
            is_ethernet: true,
            index: 2,
        };
        assert_eq!(interface.broadcast(), Some(Ipv4Addr::new(10, 1, 255, 255)));
        let alone = Interface { mask: Ipv4Addr::BROADCAST, ..interface };
        assert_eq!(alone.broadcast(), None);
    }

    #[test]
    fn artnet_stays_on_this_machine_where_nothing_else_is_polled() {
        let net = LightNet::default();
        let here = [Ipv4Addr::new(127, 0, 0, 2)];
        assert_eq!(artnet_address(&net, None, here), Ipv4Addr::LOCALHOST);
        let away = [Ipv4Addr::new(10, 0, 0, 7)];
        assert_eq!(artnet_address(&net, None, away), Ipv4Addr::UNSPECIFIED);
    }
}
