//! What leaves both boxes, as a receiver has it: each frame with the kernel's stamp.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns,
};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use sacn::packet::{AcnRootLayerProtocol, E131RootLayerData};
use socket2::{Domain, Protocol, Socket, Type};
use tools::running::BoxError;

/// Where the light goes: an address of the loopback that nothing else has.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 93);

/// A frame of light.
#[derive(Debug)]
pub(super) struct Frame {
    /// When it arrived: nanoseconds of [`now_ns`].
    pub(super) at_ns: i64,
    /// Name of the box.
    pub(super) from: String,
    pub(super) priority: u8,
    /// Of the first two slots, coarse and fine.
    pub(super) level: u16,
}

/// Sees them arrive; a thread of its own takes each as it comes.
pub(super) struct Eye(Receiver<Frame>);

impl Eye {
    pub(super) fn open() -> Result<Self, BoxError> {
        let socket = listen().map_err(BoxError::machine(format!("UDP port 5568 of {ADDRESS}")))?;
        let (tell, frames) = channel();
        thread::spawn(move || watch(&socket, &tell));
        Ok(Self(frames))
    }

    /// Drops what has arrived so far.
    pub(super) fn forget(&self) {
        while self.0.try_recv().is_ok() {}
    }

    /// The next one within `wait`.
    pub(super) fn next(&self, wait: Duration) -> Result<Frame, RecvTimeoutError> {
        self.0.recv_timeout(wait)
    }
}

/// The clock that the kernel stamps arrivals with.
pub(super) fn now_ns() -> i64 {
    nanos(clock_gettime(ClockId::CLOCK_REALTIME).expect("Linux has this clock"))
}

fn nanos(at: TimeSpec) -> i64 {
    at.tv_sec() * 1_000_000_000 + at.tv_nsec()
}

/// The boxes listen on the port, too; the more exact address gets the packets.
fn listen() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddrV4::new(ADDRESS, wire::sacn::PORT).into())?;
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    Ok(socket.into())
}

fn watch(socket: &UdpSocket, tell: &Sender<Frame>) {
    loop {
        match take(socket) {
            Ok(Some(frame)) => {
                if tell.send(frame).is_err() {
                    return;
                }
            }
            Ok(None) | Err(nix::Error::EINTR) => {}
            Err(_) => return,
        }
    }
}

fn take(socket: &UdpSocket) -> nix::Result<Option<Frame>> {
    let mut octets = [0; 1500];
    let mut parts = [IoSliceMut::new(&mut octets)];
    let mut room = nix::cmsg_space!(TimeSpec);
    let flags = MsgFlags::empty();
    let read = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut room), flags)?;
    let stamp = read.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(at) => Some(nanos(at)),
        _ => None,
    });
    let length = read.bytes;
    Ok(stamp.and_then(|at_ns| frame(&octets[..length], at_ns)))
}

/// Levels of universe 1, if that is what the packet holds.
fn frame(packet: &[u8], at_ns: i64) -> Option<Frame> {
    let root = AcnRootLayerProtocol::parse(packet).ok()?.pdu;
    let E131RootLayerData::DataPacket(data) = root.data else { return None };
    let [0, coarse, fine, ..] = data.data.property_values[..] else { return None };
    let from = data.source_name.to_string();
    let level = u16::from_be_bytes([coarse, fine]);
    (data.universe == 1).then_some(Frame { at_ns, from, priority: data.priority, level })
}
