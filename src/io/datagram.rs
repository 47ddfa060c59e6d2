//! One datagram with what the kernel knows of it: when it came, from whom, and to which of this machine's addresses.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::cmsg_space;
use nix::libc;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo, ReceiveTimestampns};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, getsockname, recvmsg, sendmsg,
    setsockopt,
};
use nix::sys::time::TimeSpec;
use nix::time::ClockId;
use units::{Moment, MonoTime};

use crate::clock::read;

/// What came beside a datagram's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// How many bytes it has.
    pub len: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// Where it was sent to, if the socket asks for that.
    pub to: Option<IpAddr>,
    /// Traffic class, if the socket asks for that.
    pub class: u8,
    /// When the kernel took it, on the monotonic clock, if the socket asks for that.
    pub stamp: Option<MonoTime>,
}

/// From now on the kernel stamps what this socket receives.
pub(crate) fn ask_for_stamps(socket: &impl AsFd) -> io::Result<()> {
    Ok(setsockopt(socket, ReceiveTimestampns, &true)?)
}

/// From now on the kernel tells which of this machine's addresses a datagram was sent to.
pub(crate) fn ask_where_to(socket: &(impl AsFd + AsRawFd)) -> io::Result<()> {
    let is_six = getsockname::<SockaddrStorage>(socket.as_raw_fd())?.as_sockaddr_in6().is_some();
    match is_six {
        true => setsockopt(socket, Ipv6RecvPacketInfo, &true)?,
        false => setsockopt(socket, Ipv4PacketInfo, &true)?,
    }
    Ok(())
}

/// Takes the next datagram.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Arrival> {
    let mut room = cmsg_space!(libc::timespec, libc::in6_pktinfo, i32, i32, i32);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut room),
        MsgFlags::empty(),
    )?;
    let from = message.address.and_then(address);
    let from = from.ok_or_else(|| io::Error::other("a packet without a sender"))?;
    let mut arrival = Arrival { len: message.bytes, from, to: None, class: 0, stamp: None };
    for word in message.cmsgs()? {
        arrival.take(&word);
    }
    Ok(arrival)
}

/// Sends one datagram from one of this machine's own addresses.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    from: IpAddr,
    to: SocketAddr,
) -> io::Result<()> {
    let six = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr { s6_addr: mapped(from).octets() },
        ipi6_ifindex: 0,
    };
    let four = |ip: Ipv4Addr| libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    let parts = [IoSlice::new(bytes)];
    let to_sent = SockaddrStorage::from(to);
    let sent = match (to, from) {
        (SocketAddr::V4(_), IpAddr::V4(ip)) => {
            let info = four(ip);
            let words = [ControlMessage::Ipv4PacketInfo(&info)];
            sendmsg(socket.as_raw_fd(), &parts, &words, MsgFlags::empty(), Some(&to_sent))
        }
        _ => {
            let words = [ControlMessage::Ipv6PacketInfo(&six)];
            sendmsg(socket.as_raw_fd(), &parts, &words, MsgFlags::empty(), Some(&to_sent))
        }
    };
    sent.map(|_| ()).map_err(io::Error::from)
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

impl Arrival {
    fn take(&mut self, word: &ControlMessageOwned) {
        match word {
            ControlMessageOwned::ScmTimestampns(at) => self.stamp = Some(monotonic(*at)),
            ControlMessageOwned::Ipv4Tos(bits) => self.class = *bits,
            ControlMessageOwned::Ipv6TClass(bits) => self.class = *bits as u8,
            ControlMessageOwned::Ipv4PacketInfo(it) => {
                self.to = Some(IpAddr::V4(Ipv4Addr::from(it.ipi_addr.s_addr.to_ne_bytes())));
            }
            ControlMessageOwned::Ipv6PacketInfo(it) => {
                self.to = Some(IpAddr::V6(Ipv6Addr::from(it.ipi6_addr.s6_addr)));
            }
            _ => {}
        }
    }
}

fn address(it: SockaddrStorage) -> Option<SocketAddr> {
    let four = it.as_sockaddr_in().map(|it| SocketAddr::from(std::net::SocketAddrV4::from(*it)));
    four.or_else(|| it.as_sockaddr_in6().map(|it| std::net::SocketAddrV6::from(*it).into()))
}

/// A stamp of the system's clock, which anybody may set, as a reading of the monotonic one, which nobody can: both
/// are read now, and the packet is as old on the one as on the other. Only a step within the microseconds between
/// stamp and reading could fool this, so whoever uses it takes no stamp from the future or from long ago.
fn monotonic(stamp: TimeSpec) -> MonoTime {
    let (real, mono): (Moment<()>, MonoTime) =
        (read(ClockId::CLOCK_REALTIME), read(ClockId::CLOCK_MONOTONIC));
    let stamp = Moment::from_ns(stamp.tv_sec() * 1_000_000_000 + stamp.tv_nsec());
    mono - (real - stamp)
}
