//! The sockets of PTP on one interface.
//!
//! In: an interface that is up. Out: messages with their stamps. Never: waiting; an error closes the line, and the desk
//! opens it again when the interface is there.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use engine::boxfile::clock::{Timestamps as Wanted, Transport};
use engine::clock::StampKind;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, TimestampingFlag, Timestamps, cmsg_space, recvmsg, setsockopt,
    sockopt::Timestamping,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use units::MonoTime;
use wire::ptp::{Class, EVENT_PORT, GENERAL_PORT, class};

use super::raw;
use super::stamps::{Phc, Stamper, SystemClock};

/// Longer messages are nobody's.
const MESSAGE_MAX: usize = 1500;
/// Room for stamps, and for the note of a packet that left.
const NOTES: usize = cmsg_space::<Timestamps>() + cmsg_space::<[u8; 64]>();

/// For everybody, and for the next port only (Annexes C.3 and D.3).
const IPV4_ALL: Ipv4Addr = Ipv4Addr::new(224, 0, 1, 129);
const IPV4_NEXT: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 107);
const IPV6_ALL: Ipv6Addr = Ipv6Addr::new(0xFF0E, 0, 0, 0, 0, 0, 0, 0x181);
const IPV6_NEXT: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 0x6B);
/// Expedited forwarding, as AES67-2018 (Table 1) wants it for event messages.
const EXPEDITED: u32 = 46 << 2;

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Everybody,
    NextPort,
}

/// An interface, open for PTP.
pub(super) struct Line {
    index: u32,
    event: OwnedFd,
    /// The same socket on Ethernet.
    general: Option<UdpSocket>,
    transport: Transport,
    stamper: Stamper,
    /// Why the interface does not stamp, where it was asked to.
    pub remark: Option<String>,
    /// The number that the kernel gives the next packet that leaves by `event`.
    next: u32,
    /// Where the kernel stamps; none without a loopback.
    rehearsal: Option<UdpSocket>,
}

/// A message that came.
pub(super) struct Heard<'a> {
    pub message: &'a [u8],
    pub class: Class,
    /// None where nobody stamped it.
    pub at: Option<MonoTime>,
}

impl Line {
    pub fn open(name: &str, index: u32, transport: Transport, wanted: Wanted) -> io::Result<Self> {
        let (event, general) = match transport {
            Transport::Layer2 => (raw::packet_socket(index)?, None),
            Transport::Ipv4 => {
                let general = ipv4(name, index, GENERAL_PORT)?;
                (ipv4(name, index, EVENT_PORT)?.into(), Some(general.into()))
            }
            Transport::Ipv6 => {
                let general = ipv6(name, index, GENERAL_PORT)?;
                (ipv6(name, index, EVENT_PORT)?.into(), Some(general.into()))
            }
        };
        let (stamper, remark) = stamper(&event, name, wanted)?;
        setsockopt(&event, Timestamping, &flags(stamper.kind()))?;
        let by_kernel = stamper.kind() == StampKind::Software;
        let rehearsal = by_kernel.then(rehearsal).and_then(Result::ok);
        Ok(Self { index, event, general, transport, stamper, remark, next: 0, rehearsal })
    }

    pub fn stamps(&self) -> StampKind {
        self.stamper.kind()
    }

    /// How the interface's clock is read, where it stamps.
    pub fn method(&self) -> Option<raw::Method> {
        match &self.stamper {
            Stamper::Hardware(phc) => Some(phc.method()),
            Stamper::Software => None,
        }
    }

    /// To be watched for news.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [Some(self.event.as_fd()), self.general.as_ref().map(AsFd::as_fd)].into_iter().flatten()
    }

    /// Sends a message whose time counts; the number is what [`Self::left`] will call it.
    pub fn send_event(&mut self, message: &[u8], reach: Reach) -> io::Result<u32> {
        if let Some(rehearsal) = &self.rehearsal {
            rehearse(rehearsal, message);
        }
        self.send(message, reach, EVENT_PORT)?;
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        Ok(number)
    }

    pub fn send_general(&mut self, message: &[u8], reach: Reach) -> io::Result<()> {
        self.send(message, reach, GENERAL_PORT)?;
        if self.general.is_none() {
            self.next = self.next.wrapping_add(1);
        }
        Ok(())
    }

    fn send(&self, message: &[u8], reach: Reach, port: u16) -> io::Result<()> {
        let near = reach == Reach::NextPort;
        let to = match self.transport {
            Transport::Layer2 => {
                let to = if near { raw::LAYER2_NEXT } else { raw::LAYER2_ALL };
                return raw::send_packet(&self.event, self.index, to, message);
            }
            Transport::Ipv4 => SocketAddr::from((if near { IPV4_NEXT } else { IPV4_ALL }, port)),
            Transport::Ipv6 => SocketAddr::from((if near { IPV6_NEXT } else { IPV6_ALL }, port)),
        };
        let by = match &self.general {
            Some(general) if port == GENERAL_PORT => general.as_fd(),
            _ => self.event.as_fd(),
        };
        let to = nix::sys::socket::SockaddrStorage::from(to);
        nix::sys::socket::sendto(by.as_raw_fd(), message, &to, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }

    /// The next message that came, if one did.
    pub fn hear<'a>(
        &mut self,
        system: &mut SystemClock,
        room: &'a mut [u8; MESSAGE_MAX],
    ) -> io::Result<Option<Heard<'a>>> {
        if let Some((length, stamps)) = receive(self.event.as_fd(), MsgFlags::empty(), room)? {
            let at = stamps.stamps.and_then(|it| self.stamper.mono(&it, system));
            let message = &room[..length];
            return Ok(class(message).map(|class| Heard { message, class, at }));
        }
        let Some(general) = &self.general else { return Ok(None) };
        let Some((length, _)) = receive(general.as_fd(), MsgFlags::empty(), room)? else {
            return Ok(None);
        };
        Ok(Some(Heard { message: &room[..length], class: Class::General, at: None }))
    }

    /// The next packet that has left, by its number, and when.
    pub fn left(
        &mut self,
        system: &mut SystemClock,
    ) -> io::Result<Option<(u32, Option<MonoTime>)>> {
        let room = &mut [0; MESSAGE_MAX];
        loop {
            let Some((_, notes)) = receive(self.event.as_fd(), MsgFlags::MSG_ERRQUEUE, room)?
            else {
                return Ok(None);
            };
            if let Some(number) = notes.number {
                let at = notes.stamps.and_then(|it| self.stamper.mono(&it, system));
                return Ok(Some((number, at)));
            }
        }
    }
}

pub(super) fn room() -> [u8; MESSAGE_MAX] {
    [0; MESSAGE_MAX]
}

/// A socket that hears itself.
fn rehearsal() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(socket.local_addr()?)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A message goes its way through the kernel once, to nobody: the one whose time counts then finds the processor as the
/// one before did, and takes as long. What it can lose is only that.
fn rehearse(socket: &UdpSocket, message: &[u8]) {
    if socket.send(message).is_ok() {
        let _ = socket.recv(&mut room());
    }
}

fn ipv4(name: &str, index: u32, port: u16) -> io::Result<Socket> {
    let socket = udp(Domain::IPV4, name)?;
    socket.set_multicast_all_v4(false)?;
    socket.set_multicast_loop_v4(false)?;
    socket.set_tos_v4(EXPEDITED)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    for group in [IPV4_ALL, IPV4_NEXT] {
        socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))?;
    }
    Ok(socket)
}

fn ipv6(name: &str, index: u32, port: u16) -> io::Result<Socket> {
    let socket = udp(Domain::IPV6, name)?;
    socket.set_only_v6(true)?;
    socket.set_multicast_all_v6(false)?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_multicast_if_v6(index)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    for group in [IPV6_ALL, IPV6_NEXT] {
        socket.join_multicast_v6(&group, index)?;
    }
    Ok(socket)
}

/// Bound to its interface: routes have no say, and what comes by another is another line's.
fn udp(domain: Domain, name: &str) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(name.as_bytes()))?;
    Ok(socket)
}

/// Hardware where it is wanted and to be had; and why not, where it was to be had.
fn stamper(socket: &OwnedFd, name: &str, wanted: Wanted) -> io::Result<(Stamper, Option<String>)> {
    if wanted == Wanted::Software {
        return Ok((Stamper::Software, None));
    }
    match (hardware(socket, name), wanted) {
        (Ok(phc), _) => Ok((Stamper::Hardware(Box::new(phc)), None)),
        (Err(error), Wanted::Hardware) => Err(error),
        (Err(error), _) => Ok((Stamper::Software, Some(error.to_string()))),
    }
}

fn hardware(socket: &OwnedFd, name: &str) -> io::Result<Phc> {
    let because =
        |what: &str, error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
    let abilities = raw::abilities(socket, name)
        .ok_or_else(|| io::Error::other("the interface has no hardware timestamps"))?;
    let phc =
        Phc::open(abilities.phc).map_err(|error| because("its clock cannot be read", error))?;
    raw::stamp_by_hardware(socket, name, abilities)
        .map_err(|error| because("its hardware timestamps cannot be turned on", error))?;
    Ok(phc)
}

fn flags(kind: StampKind) -> TimestampingFlag {
    use TimestampingFlag as Flag;
    let numbered = Flag::SOF_TIMESTAMPING_OPT_ID | Flag::SOF_TIMESTAMPING_OPT_TSONLY;
    numbered
        | match kind {
            StampKind::Hardware => {
                Flag::SOF_TIMESTAMPING_TX_HARDWARE
                    | Flag::SOF_TIMESTAMPING_RX_HARDWARE
                    | Flag::SOF_TIMESTAMPING_RAW_HARDWARE
            }
            StampKind::Software | StampKind::Simulated => {
                Flag::SOF_TIMESTAMPING_TX_SOFTWARE
                    | Flag::SOF_TIMESTAMPING_RX_SOFTWARE
                    | Flag::SOF_TIMESTAMPING_SOFTWARE
            }
        }
}

/// What the kernel wrote beside a packet.
#[derive(Default)]
struct Notes {
    stamps: Option<Timestamps>,
    /// Which packet it was that left.
    number: Option<u32>,
}

fn receive(
    socket: BorrowedFd<'_>,
    flags: MsgFlags,
    room: &mut [u8],
) -> io::Result<Option<(usize, Notes)>> {
    let mut notes_room = [0_u8; NOTES];
    let mut parts = [IoSliceMut::new(room)];
    let flags = flags | MsgFlags::MSG_DONTWAIT;
    let read = match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut notes_room), flags) {
        Ok(read) => read,
        Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut notes = Notes::default();
    for note in read.cmsgs().map_err(|_| io::Error::from(ErrorKind::InvalidData))? {
        match note {
            ControlMessageOwned::ScmTimestampsns(stamps) => notes.stamps = Some(stamps),
            ControlMessageOwned::Ipv4RecvErr(it, _) | ControlMessageOwned::Ipv6RecvErr(it, _) => {
                notes.number = number(it.ee_origin, it.ee_data);
            }
            ControlMessageOwned::Unknown(it) if it.cmsg_header.cmsg_level == libc::SOL_PACKET => {
                notes.number = packet_number(&it.data_bytes);
            }
            _ => {}
        }
    }
    Ok(Some((read.bytes, notes)))
}

fn number(origin: u8, data: u32) -> Option<u32> {
    (origin == libc::SO_EE_ORIGIN_TIMESTAMPING).then_some(data)
}

/// `struct sock_extended_err`, whose origin is the fifth octet and whose data are the last four.
fn packet_number(note: &[u8]) -> Option<u32> {
    let note: &[u8; 16] = note.first_chunk()?;
    let data = u32::from_ne_bytes([note[12], note[13], note[14], note[15]]);
    number(note[4], data)
}
