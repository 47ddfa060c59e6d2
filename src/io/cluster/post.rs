//! Datagrams between boxes: a group on every interface that is named, and codes on what is said.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use wire::cluster::{DATAGRAM_MAX, Letter, emit, parse, split};

use super::key::Key;

/// Administratively scoped (RFC 2365): no router passes it on.
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 40, 1);
/// The cluster's port; unicast on it is left to others.
const PORT: u16 = 4001;

/// The sockets, one an interface.
pub(super) struct Post {
    sockets: Vec<UdpSocket>,
    key: Key,
}

/// What came.
pub(super) enum Came {
    /// From a box of this cluster.
    Letter(Letter, IpAddr),
    /// Somebody has another key.
    Stranger(IpAddr),
}

impl Post {
    /// On interfaces by their names; without any, on the one that the system takes for groups.
    pub fn open(interfaces: &[String], key: Key) -> io::Result<Self> {
        let mut names: Vec<Option<&str>> = interfaces.iter().map(|it| Some(it.as_str())).collect();
        names.dedup();
        if names.is_empty() {
            names.push(None);
        }
        let sockets = names.into_iter().map(open).collect::<io::Result<_>>()?;
        Ok(Self { sockets, key })
    }

    /// By every interface. One that does not take it has no cable: the others say it.
    pub fn say(&self, letter: &Letter) {
        let text = emit(letter);
        let mut datagram = self.key.code(text.as_bytes()).to_vec();
        datagram.extend_from_slice(text.as_bytes());
        for socket in &self.sockets {
            let _ = socket.send_to(&datagram, SocketAddrV4::new(GROUP, PORT));
        }
    }

    /// Waits for something to come, at most so long, and hands all of it on.
    pub fn hear(&self, patience: Duration, mut hand: impl FnMut(Came)) {
        let mut all: Vec<_> =
            self.sockets.iter().map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN)).collect();
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut all, patience);
        for socket in &self.sockets {
            self.empty(socket, &mut hand);
        }
    }

    fn empty(&self, socket: &UdpSocket, hand: &mut impl FnMut(Came)) {
        let mut datagram = [0; DATAGRAM_MAX + 1];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            let Some((code, text)) = split(&datagram[..length]) else { continue };
            match self.key.holds(code, text) {
                false => hand(Came::Stranger(from.ip())),
                true => {
                    let letter = parse(text);
                    letter.into_iter().for_each(|it| hand(Came::Letter(it, from.ip())));
                }
            }
        }
    }
}

fn open(interface: Option<&str>) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_multicast_all_v4(false)?;
    // Boxes that share a machine hear each other; a box does not hear itself (the lease sees to that).
    socket.set_multicast_loop_v4(true)?;
    socket.bind(&SocketAddr::from((GROUP, PORT)).into())?;
    match interface {
        None => socket.join_multicast_v4(&GROUP, &Ipv4Addr::UNSPECIFIED)?,
        Some(name) => {
            let index = nix::net::if_::if_nametoindex(name).map_err(|_| {
                io::Error::new(io::ErrorKind::NotFound, format!("there is no interface `{name}`"))
            })?;
            let at = InterfaceIndexOrAddress::Index(index);
            socket.join_multicast_v4_n(&GROUP, &at)?;
            socket2::SockRef::from(&socket).set_multicast_if_v4(&address_of(name)?)?;
        }
    }
    Ok(socket.into())
}

fn address_of(name: &str) -> io::Result<Ipv4Addr> {
    let all = if_addrs::get_if_addrs()?;
    let mut of = all.iter().filter(|it| it.name == name).filter_map(|it| match it.ip() {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    });
    of.next().ok_or_else(|| io::Error::other(format!("interface `{name}` has no IPv4 address yet")))
}
