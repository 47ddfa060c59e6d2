//! Puts a frame's datagrams on the wire with few system calls, and learns when the last one left.
//!
//! In: datagrams in the order in which they are to leave. Out: how many left, and the kernel's time stamp of the last.
//! Never here: an allocation, a lock, a wait: what the kernel does not take at once is lost, as on any wire.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrLike, SockaddrStorage, TimestampingFlag, Timestamps,
    cmsg_space, recvmsg, setsockopt, sockopt::Timestamping,
};
use units::{Moment, Span};

/// Datagrams a system call: enough to make the call cheap, little enough for the stack.
const BATCH: usize = 64;

/// Room for the stamp, and for the note that the kernel puts beside it.
type StampRoom = [u8; cmsg_space::<Timestamps>() + cmsg_space::<[u8; 64]>()];

/// The system's clock, which the kernel stamps with.
pub(super) enum System {}

/// Where a datagram goes, as the kernel has it.
pub(super) type Address = SockaddrStorage;

/// Whether it leaves by the socket for IPv6.
pub(super) fn is_ipv6(address: &Address) -> bool {
    address.as_sockaddr_in6().is_some()
}

/// Gathers datagrams, and sends them in batches.
pub(super) struct Outbox<'a> {
    letters: [Option<(&'a [u8], &'a Address)>; BATCH],
    count: usize,
    socket: &'a UdpSocket,
    /// What came of them so far.
    pub sent: Sent,
}

/// What came of a frame's datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sent {
    pub left: u64,
    pub failed: u64,
}

impl<'a> Outbox<'a> {
    pub fn new(socket: &'a UdpSocket) -> Self {
        Self { letters: [None; BATCH], count: 0, socket, sent: Sent::default() }
    }

    /// One more datagram, by the socket that [`Self::by`] named last. The last one given is held back until the end.
    pub fn push(&mut self, bytes: &'a [u8], to: &'a Address) {
        if self.count == BATCH {
            self.flush(BATCH);
        }
        self.letters[self.count] = Some((bytes, to));
        self.count += 1;
    }

    /// What comes next leaves by this socket.
    pub fn by(&mut self, socket: &'a UdpSocket) {
        if self.socket.as_raw_fd() != socket.as_raw_fd() {
            self.flush(self.count);
            self.socket = socket;
        }
    }

    /// Sends what is left; the last datagram gets a time stamp from the kernel, if one was sent and `stamped` is set.
    pub fn finish(mut self, stamped: bool) -> (Sent, Option<Moment<System>>) {
        if self.count == 0 || !stamped {
            self.flush(self.count);
            return (self.sent, None);
        }
        self.flush(self.count - 1);
        // Stamps that came too late for their frame are of no use to this one.
        while read_stamp(self.socket).is_some() {}
        ask_for_stamps(self.socket, true);
        self.flush(self.count);
        ask_for_stamps(self.socket, false);
        (self.sent, read_stamp(self.socket))
    }

    /// Sends the first `count`; those behind move up.
    fn flush(&mut self, count: usize) {
        let mut done = 0;
        while done < count {
            match send_many(self.socket, &self.letters[done..count]) {
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
        self.letters.copy_within(count..self.count, 0);
        self.count -= count;
    }
}

/// From now on the kernel may be asked for stamps on this socket.
pub(super) fn allow_stamps(socket: &UdpSocket) -> nix::Result<()> {
    setsockopt(socket, Timestamping, &stamps(false))
}

fn ask_for_stamps(socket: &UdpSocket, on: bool) {
    // A kernel that allowed it at the start allows it still; without, there is no stamp, and that is said.
    let _ = setsockopt(socket, Timestamping, &stamps(on));
}

fn stamps(on: bool) -> TimestampingFlag {
    let report =
        TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
    if on { report | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE } else { report }
}

/// The oldest stamp that the kernel has for this socket.
fn read_stamp(socket: &UdpSocket) -> Option<Moment<System>> {
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

/// How many of the letters left; an error is the first one's.
#[expect(
    unsafe_code,
    reason = "nix tells how many left only by reading addresses that sending never wrote"
)]
fn send_many(socket: &UdpSocket, letters: &[Option<(&[u8], &Address)>]) -> Result<usize, Errno> {
    let mut parts = [const { MaybeUninit::<libc::iovec>::zeroed() }; BATCH];
    let mut heads = [const { MaybeUninit::<libc::mmsghdr>::zeroed() }; BATCH];
    let mut count = 0;
    for (bytes, to) in letters.iter().flatten() {
        let part = parts[count].write(libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        });
        // SAFETY: zero is a valid value of every field of the header.
        let head = unsafe { heads[count].assume_init_mut() };
        head.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
        head.msg_hdr.msg_namelen = to.len();
        head.msg_hdr.msg_iov = part;
        head.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    // SAFETY: the first `count` headers are written, and what they point to lives until the call is over; the kernel
    // writes nothing but their lengths.
    let left = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            heads.as_mut_ptr().cast(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT,
        )
    };
    Errno::result(left).map(|left| left as usize)
}
