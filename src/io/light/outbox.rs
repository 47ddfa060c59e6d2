//! Puts a frame's datagrams on the wire with few system calls, and learns when the last one left.
//!
//! In: datagrams in the order in which they are to leave. Out: how many left, and the kernel's time stamp of the last.
//! Never here: an allocation, a lock, a wait: what the kernel does not take at once is lost, as on any wire.

use std::io::IoSliceMut;
use std::iter;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, LinkAddr, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrLike,
    TimestampingFlag, Timestamps, cmsg_space, recvmsg, setsockopt, sockopt::Timestamping,
};
use nix::time::{ClockId, clock_gettime};
use units::{Moment, Span};
use wire::udp::{HEAD_LEN, Head};

/// Datagrams a system call: all that leave together, and little enough for the stack.
const BATCH: usize = super::render::TOGETHER_MAX;

/// Room for the stamp, and for the note that the kernel puts beside it.
type StampRoom = [u8; cmsg_space::<Timestamps>() + cmsg_space::<[u8; 64]>()];

/// The system's clock, which the kernel stamps with.
pub(super) enum System {}

/// Where a datagram goes, as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    V4(SockaddrIn),
    V6(SockaddrIn6),
    /// Onto the cable, with heads of our own.
    Cable(LinkAddr, Head),
}

/// By which kind of socket it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    V4,
    V6,
    Cable,
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::V4(address.into()),
            SocketAddr::V6(address) => Self::V6(address.into()),
        }
    }
}

impl Address {
    pub fn way(&self) -> Way {
        match self {
            Self::V4(_) => Way::V4,
            Self::V6(_) => Way::V6,
            Self::Cable(..) => Way::Cable,
        }
    }

    fn name(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        match self {
            Self::V4(it) => (it.as_ptr(), it.len()),
            Self::V6(it) => (it.as_ptr(), it.len()),
            Self::Cable(it, _) => (it.as_ptr(), it.len()),
        }
    }
}

/// A datagram that waits to leave.
#[derive(Clone, Copy)]
struct Letter<'a> {
    /// What stands before it, where the kernel does not write that.
    head: Option<Head>,
    bytes: &'a [u8],
    to: &'a Address,
}

/// Gathers datagrams, and sends them in batches.
pub(super) struct Outbox<'a> {
    letters: [Option<Letter<'a>>; BATCH],
    count: usize,
    socket: Option<BorrowedFd<'a>>,
    /// What came of them so far.
    sent: Sent,
}

/// What came of a frame's datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sent {
    pub left: u64,
    pub failed: u64,
}

impl<'a> Outbox<'a> {
    pub fn new() -> Self {
        Self { letters: [None; BATCH], count: 0, socket: None, sent: Sent::default() }
    }

    /// One more datagram, by this socket. The last ones given are held back until the end.
    pub fn push(&mut self, socket: BorrowedFd<'a>, bytes: &'a [u8], to: &'a Address) {
        let same = self.socket.is_some_and(|it| it.as_raw_fd() == socket.as_raw_fd());
        if !same || self.count == BATCH {
            self.flush(false);
        }
        let head = match to {
            Address::Cable(_, head) => Some(head.for_payload(bytes)),
            _ => None,
        };
        self.socket = Some(socket);
        self.letters[self.count] = Some(Letter { head, bytes, to });
        self.count += 1;
    }

    /// Sends what is left; the last datagram gets a time stamp from the kernel, if one was sent and `stamped` is set.
    pub fn finish(mut self, stamped: bool) -> (Sent, Option<Moment<System>>) {
        let before = system_now();
        self.flush(stamped);
        let Some(socket) = self.socket.filter(|_| stamped) else { return (self.sent, None) };
        // Stamps that came too late for their frame are of no use to this one.
        let stamp = iter::from_fn(|| read_stamp(socket)).find(|stamp| *stamp >= before);
        (self.sent, stamp)
    }

    /// Sends what is held back; of the last one a stamp is asked for if `stamped` is set.
    fn flush(&mut self, stamped: bool) {
        let Some(socket) = self.socket else { return };
        let (mut done, count) = (0, self.count);
        while done < count {
            match send_many(socket, &self.letters[done..count], stamped) {
                Ok(left) => {
                    self.sent.left += left as u64;
                    done += left;
                }
                Err(Errno::EINTR) => {}
                // The interface's queue is full: the rest would meet the same.
                Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                    self.sent.failed += (count - done) as u64;
                    done = count;
                }
                // This address cannot be reached; the next may be.
                Err(_) => {
                    self.sent.failed += 1;
                    done += 1;
                }
            }
        }
        self.count = 0;
    }
}

/// From now on the kernel may be asked for stamps on this socket.
pub(super) fn allow_stamps(socket: &impl AsFd) -> nix::Result<()> {
    let reported =
        TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
    setsockopt(socket, Timestamping, &reported)
}

/// The system's clock, now.
pub(super) fn system_now() -> Moment<System> {
    let read = clock_gettime(ClockId::CLOCK_REALTIME).expect("Linux has this clock");
    Moment::from_ns(read.tv_sec() * 1_000_000_000 + read.tv_nsec())
}

/// Beside a datagram, the wish for a stamp of it alone: a call fewer before it, and one fewer behind.
#[repr(C)]
struct Wish {
    head: libc::cmsghdr,
    flags: u32,
}

impl Wish {
    #[expect(unsafe_code, reason = "the header has fields that differ from system to system")]
    fn new() -> Self {
        // SAFETY: zero is a valid value of every field of the header.
        let mut head: libc::cmsghdr = unsafe { std::mem::zeroed() };
        // SAFETY: it only reckons.
        head.cmsg_len = unsafe { libc::CMSG_LEN(size_of::<u32>() as u32) } as _;
        head.cmsg_level = libc::SOL_SOCKET;
        head.cmsg_type = libc::SO_TIMESTAMPING;
        Self { head, flags: TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE.bits() }
    }
}

/// The oldest stamp that the kernel has for this socket.
fn read_stamp(socket: BorrowedFd) -> Option<Moment<System>> {
    let mut room: StampRoom = [0; _];
    let mut nothing: [IoSliceMut; 0] = [];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let read = recvmsg::<()>(socket.as_raw_fd(), &mut nothing, Some(&mut room), flags).ok()?;
    read.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampsns(stamp) => {
            let at = Span::from_secs(stamp.system.tv_sec()) + Span::from_ns(stamp.system.tv_nsec());
            Some(Moment::from_ns(at.ns()))
        }
        _ => None,
    })
}

/// How many of the letters left; an error is the first one's. The last one's stamp is asked for if `stamped` is set.
#[expect(
    unsafe_code,
    reason = "nix tells how many left only by reading addresses that sending never wrote"
)]
fn send_many(
    socket: BorrowedFd,
    letters: &[Option<Letter>],
    stamped: bool,
) -> Result<usize, Errno> {
    let mut wish = Wish::new();
    let mut parts = [const { MaybeUninit::<[libc::iovec; 2]>::uninit() }; BATCH];
    let mut envelopes = [const { MaybeUninit::<libc::mmsghdr>::zeroed() }; BATCH];
    let mut count = 0;
    for letter in letters.iter().flatten() {
        let (name, name_len) = letter.to.name();
        // Without a head of our own the first part is left out.
        let own = usize::from(letter.head.is_some());
        let head = letter.head.as_ref().map_or(std::ptr::null(), |head| head.bytes().as_ptr());
        let parts = parts[count].write([
            libc::iovec { iov_base: head.cast_mut().cast(), iov_len: HEAD_LEN },
            libc::iovec {
                iov_base: letter.bytes.as_ptr().cast_mut().cast(),
                iov_len: letter.bytes.len(),
            },
        ]);
        // SAFETY: zero is a valid value of every field of the header.
        let envelope = unsafe { envelopes[count].assume_init_mut() };
        envelope.msg_hdr.msg_name = name.cast_mut().cast();
        envelope.msg_hdr.msg_namelen = name_len;
        envelope.msg_hdr.msg_iov = parts[1 - own..].as_mut_ptr();
        envelope.msg_hdr.msg_iovlen = (1 + own) as _;
        if stamped && count + 1 == letters.len() {
            envelope.msg_hdr.msg_control = (&raw mut wish).cast();
            envelope.msg_hdr.msg_controllen = size_of::<Wish>() as _;
        }
        count += 1;
    }
    // SAFETY: the first `count` envelopes are written, and what they point to lives until the call is over; the kernel
    // writes nothing but their lengths.
    let left = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            envelopes.as_mut_ptr().cast(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT,
        )
    };
    Errno::result(left).map(|left| left as usize)
}
