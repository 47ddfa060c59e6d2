//! Plain questions about the time, to other boxes and from them.
//!
//! In: datagrams, stamped by the kernel. Out: answers at once, and what peers answered. Never: waiting.

use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use engine::clock::{News, PeerExchange};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, TimestampingFlag, Timestamps, cmsg_space,
    recvmsg, setsockopt, sockopt::Timestamping,
};
use socket2::{Domain, Protocol, Socket, Type};
use units::{MonoTime, Span};
use wire::clock_peer::{Datagram, LENGTH, emit, parse};

use super::stamps::{Stamper, SystemClock};
use crate::chance;
use crate::clock::BoxClock;

/// A question a second tells of a false lock within seconds, and costs nobody anything.
const ASK_EVERY: Span = Span::from_secs(1);
/// An answer that takes longer says nothing about the time.
const PATIENCE: Span = Span::from_millis(900);
/// Unanswered questions until a peer counts as silent.
const SILENT_AFTER: u32 = 3;
/// Datagrams that are read at a time: PTP waits no longer than this takes.
const TURN: usize = 32;
/// Answers a second, to all askers together: a flood costs the box a few thousand system calls, and no more.
const ANSWERS_MAX: u32 = 2_000;

/// The socket and who is asked by it.
pub(super) struct Peers {
    socket: UdpSocket,
    family: Domain,
    port: u16,
    asked: BTreeMap<IpAddr, Asked>,
    ask_at: MonoTime,
    answered: u32,
}

#[derive(Default)]
struct Asked {
    /// The question that is not answered yet.
    open: Option<(u64, MonoTime)>,
    missed: u32,
}

impl Peers {
    pub fn open(port: u16, peers: &[IpAddr], now: MonoTime) -> io::Result<Self> {
        let (socket, family) = bind(port)?;
        setsockopt(
            &socket,
            Timestamping,
            &(TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
                | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE),
        )?;
        let asked = peers.iter().map(|peer| (*peer, Asked::default())).collect();
        Ok(Self { socket, family, port, asked, ask_at: now, answered: 0 })
    }

    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub fn next_wake(&self) -> MonoTime {
        self.ask_at
    }

    /// Asks everybody, once a second; who has gone silent is news.
    pub fn wake(&mut self, clock: &BoxClock, mut tell: impl FnMut(News)) {
        if clock.mono_now() < self.ask_at {
            return;
        }
        self.ask_at = clock.mono_now() + ASK_EVERY;
        self.answered = 0;
        for (peer, asked) in &mut self.asked {
            asked.missed = if asked.open.is_some() { asked.missed + 1 } else { 0 };
            if asked.missed == SILENT_AFTER {
                tell(News::PeerSilent(*peer));
            }
            let nonce = chance::seed();
            let question = emit(&Datagram::Question { nonce });
            asked.open = Some((nonce, clock.mono_now()));
            // A peer that cannot be reached is silent, and that is news soon.
            let _ = self.socket.send_to(&question, (reached(*peer, self.family), self.port));
        }
    }

    /// Answers, and takes answers.
    pub fn hear(
        &mut self,
        clock: &BoxClock,
        bound: Option<Span>,
        system: &mut SystemClock,
        mut tell: impl FnMut(News),
    ) {
        for _ in 0..TURN {
            let (datagram, from, at) = match self.receive(clock, system) {
                Ok(Some(heard)) => heard,
                // Nonsense takes its turn like sense: who floods the port must not keep us from PTP.
                Ok(None) => continue,
                Err(_) => return,
            };
            match datagram {
                Datagram::Question { nonce } if self.answered < ANSWERS_MAX => {
                    self.answered += 1;
                    let (heard, answered) = (clock.show(at), clock.now());
                    let answer = Datagram::Answer { nonce, heard, answered, bound };
                    let _ = self.socket.send_to(&emit(&answer), from);
                }
                Datagram::Question { .. } => {}
                Datagram::Answer { nonce, heard, answered, bound } => {
                    let peer = from.ip().to_canonical();
                    let Some((asked, t1)) = self.asked.get_mut(&peer).and_then(|it| it.open) else {
                        continue;
                    };
                    if asked != nonce || at - t1 > PATIENCE {
                        continue;
                    }
                    self.asked.entry(peer).and_modify(|it| it.open = None);
                    let (t2, t3) = (heard, answered);
                    tell(News::Peer(PeerExchange { peer, t1, t2, t3, t4: at, bound }));
                }
            }
        }
    }

    /// The next datagram, from whom, and when it came; none where it means nothing.
    fn receive(
        &self,
        clock: &BoxClock,
        system: &mut SystemClock,
    ) -> nix::Result<Option<(Datagram, SocketAddr, MonoTime)>> {
        let (mut bytes, mut room) = ([0; 2 * LENGTH], [0_u8; cmsg_space::<Timestamps>()]);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let (socket, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let read = match recvmsg::<SockaddrStorage>(socket, &mut parts, Some(&mut room), flags) {
            // Somebody we asked has no such port; the error belongs to nobody in particular.
            Err(Errno::ECONNREFUSED) => return Ok(None),
            other => other?,
        };
        let stamps = read.cmsgs()?.find_map(|note| match note {
            ControlMessageOwned::ScmTimestampsns(stamps) => Some(stamps),
            _ => None,
        });
        let at = stamps.and_then(|it| Stamper::Software.mono(&it, system));
        let at = at.unwrap_or_else(|| clock.mono_now());
        let (length, from) = (read.bytes, read.address.and_then(address));
        Ok(parse(&bytes[..length]).ok().zip(from).map(|(datagram, from)| (datagram, from, at)))
    }
}

fn address(from: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = from.as_sockaddr_in().map(|it| SocketAddr::V4((*it).into()));
    v4.or_else(|| from.as_sockaddr_in6().map(|it| SocketAddr::V6((*it).into())))
}

/// Both families where the machine has both.
fn bind(port: u16) -> io::Result<(UdpSocket, Domain)> {
    let both = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_only_v6(false)?;
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
        Ok(socket)
    };
    let (socket, family) = match both() {
        Err(error) if error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32) => {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
            (socket, Domain::IPV4)
        }
        other => (other?, Domain::IPV6),
    };
    socket.set_nonblocking(true)?;
    Ok((socket.into(), family))
}

/// A socket of both families writes IPv4 addresses as IPv6 has them.
fn reached(peer: IpAddr, family: Domain) -> IpAddr {
    match peer {
        IpAddr::V4(v4) if family == Domain::IPV6 => v4.to_ipv6_mapped().into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_nonsense_waits_its_turn() {
        let clock = BoxClock::free();
        let mut peers = Peers::open(0, &[], clock.mono_now()).expect("a socket");
        let port = socket2::SockRef::from(&peers.socket).local_addr().expect("bound");
        let port = port.as_socket().expect("of the network").port();
        let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let flood = 3 * TURN;
        (0..flood).for_each(|_| drop(stranger.send_to(b"noise", ("127.0.0.1", port))));
        let mut system = SystemClock::default();
        peers.hear(&clock, None, &mut system, |news| panic!("{news:?}"));
        let left = std::iter::from_fn(|| peers.receive(&clock, &mut system).ok()).count();
        assert_eq!(left, flood - TURN, "it has not read on for as long as there was something");
    }
}
