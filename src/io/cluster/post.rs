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

/// The sockets, one an interface, as far as they could be had.
pub(super) struct Post {
    ways: Vec<Way>,
    key: Key,
}

struct Way {
    /// None: the one that the system takes for groups.
    interface: Option<String>,
    socket: Option<UdpSocket>,
    /// Why there is none, as it was said last.
    trouble: Option<String>,
}

/// What came.
pub(super) enum Came {
    /// From a box of this cluster.
    Letter(Letter, IpAddr),
    /// Somebody has another key.
    Stranger(IpAddr),
}

impl Post {
    /// On interfaces by their names; without any, on the one that the system takes for groups. None is open yet.
    pub fn new(interfaces: &[String], key: Key) -> Self {
        let mut names: Vec<Option<String>> = interfaces.iter().cloned().map(Some).collect();
        names.dedup();
        if names.is_empty() {
            names.push(None);
        }
        let way = |interface| Way { interface, socket: None, trouble: None };
        Self { ways: names.into_iter().map(way).collect(), key }
    }

    /// Opens what is not open: an interface may come, or get its address, long after the box. Says what is newly wrong.
    pub fn mend(&mut self) -> Vec<String> {
        let shut = self.ways.iter_mut().filter(|way| way.socket.is_none());
        shut.filter_map(|way| {
            let trouble = match open(way.interface.as_deref()) {
                Ok(socket) => {
                    way.socket = Some(socket);
                    None
                }
                Err(error) => Some(format!("no sign of life to other boxes: {error}")),
            };
            let before = std::mem::replace(&mut way.trouble, trouble.clone());
            trouble.filter(|it| before.as_ref() != Some(it))
        })
        .collect()
    }

    fn sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        self.ways.iter().filter_map(|way| way.socket.as_ref())
    }

    /// By every interface. One that does not take it has no cable: the others say it.
    pub fn say(&self, letter: &Letter) {
        let text = emit(letter);
        let mut datagram = self.key.code(text.as_bytes()).to_vec();
        datagram.extend_from_slice(text.as_bytes());
        for socket in self.sockets() {
            let _ = socket.send_to(&datagram, SocketAddrV4::new(GROUP, PORT));
        }
    }

    /// Waits for something to come, at most so long, and hands all of it on.
    pub fn hear(&self, patience: Duration, mut hand: impl FnMut(Came)) {
        let mut all: Vec<_> =
            self.sockets().map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN)).collect();
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut all, patience);
        for socket in self.sockets() {
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
