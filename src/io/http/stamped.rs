//! A UDP socket for QUIC that remembers when the kernel took each sender's last packet.
//!
//! In: packets. Out: the same packets to QUIC, and beside them [`Arrivals`]. A program reads its clock after the
//! kernel has woken it, QUIC has decrypted and a task had its turn: tens of microseconds on a quiet box, milliseconds
//! on a busy one, and all of it looks like the way there. The kernel's stamp is taken before any of that.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::UdpGroSegment;
use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use tokio::io::Interest;
use units::{MonoTime, Span};

use crate::datagram;

/// Senders that are remembered; the one that was silent longest goes first.
const SENDERS_MAX: usize = 4096;

/// A packet that waited longer for the program came before the system's clock was set, or in a stall of the whole
/// machine: then the program's own reading is the better one.
const WAIT_MAX: Span = Span::from_millis(250);

/// When the last packet of each sender came, on the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<HashMap<SocketAddr, MonoTime>>);

impl Arrivals {
    /// When the datagram came that the program reads at `read` from this sender: the kernel's stamp of the sender's
    /// last packet. That is the datagram's own or, where another packet followed before the program had its turn, a
    /// later one; never an earlier one, since a packet is noted before anything in it is delivered. So it always lies
    /// between the truth and the program's own reading. Without a fresh stamp there is only that reading.
    pub(super) fn of(&self, sender: SocketAddr, read: MonoTime) -> MonoTime {
        let stamp = self.table().get(&sender).copied();
        stamp.filter(|&stamp| stamp <= read && read - stamp <= WAIT_MAX).unwrap_or(read)
    }

    fn note(&self, sender: SocketAddr, at: MonoTime) {
        let mut table = self.table();
        if table.len() >= SENDERS_MAX && !table.contains_key(&sender) {
            let mut times: Vec<MonoTime> = table.values().copied().collect();
            // A quarter at once, so that a flood from many addresses pays for this once in a thousand packets.
            let (_, &mut oldest, _) = times.select_nth_unstable(SENDERS_MAX / 4);
            table.retain(|_, at| *at > oldest);
        }
        table.insert(sender, at);
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, MonoTime>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket. Sending is quinn's own; receiving is ours, for the sake of the stamp.
#[derive(Debug)]
pub(super) struct StampedSocket {
    quinn: Arc<dyn AsyncUdpSocket>,
    /// The same socket by another descriptor.
    ears: tokio::net::UdpSocket,
    arrivals: Arc<Arrivals>,
}

impl StampedSocket {
    /// Takes a bound socket. Must be called in a runtime.
    pub(super) fn new(socket: UdpSocket, arrivals: Arc<Arrivals>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let ears = socket.try_clone()?;
        let quinn = TokioRuntime.wrap_udp_socket(socket)?;
        datagram::ask_for_stamps(&ears)?;
        // Packets that the kernel has glued together would share one stamp.
        let _ = setsockopt(&ears, UdpGroSegment, &false);
        Ok(Self { quinn, ears: tokio::net::UdpSocket::from_std(ears)?, arrivals })
    }

    fn receive(&self, buffer: &mut IoSliceMut<'_>) -> io::Result<RecvMeta> {
        let packet = datagram::receive(self.ears.as_fd(), buffer)?;
        if let Some(stamp) = packet.stamp {
            self.arrivals.note(packet.from, stamp);
        }
        Ok(RecvMeta {
            addr: packet.from,
            len: packet.len,
            stride: packet.len,
            ecn: EcnCodepoint::from_bits(packet.class),
            dst_ip: packet.to,
        })
    }
}

impl AsyncUdpSocket for StampedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.quinn.clone().create_io_poller()
    }
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.quinn.try_send(transmit)
    }
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (buffers.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        loop {
            ready!(self.ears.poll_recv_ready(cx))?;
            match self.ears.try_io(Interest::READABLE, || self.receive(buffer)) {
                Ok(received) => {
                    *meta = received;
                    return Poll::Ready(Ok(1));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An ICMP message about a packet that we sent; QUIC notices by itself who has gone.
                Err(error) => tracing::debug!(%error, "a packet was not received"),
            }
        }
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.quinn.local_addr()
    }
    fn max_transmit_segments(&self) -> usize {
        self.quinn.max_transmit_segments()
    }
    fn may_fragment(&self) -> bool {
        self.quinn.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 7], port))
    }

    fn at(us: i64) -> MonoTime {
        MonoTime::from_ns(us * 1_000)
    }

    #[test]
    fn a_stamp_is_taken_where_it_is_fresh_and_else_the_program_s_own_reading() {
        let arrivals = Arrivals::default();
        arrivals.note(sender(1), at(1_000));
        assert_eq!(arrivals.of(sender(1), at(1_080)), at(1_000));
        assert_eq!(arrivals.of(sender(2), at(1_080)), at(1_080), "another sender");
        assert_eq!(arrivals.of(sender(1), at(900_000)), at(900_000), "long ago");
        assert_eq!(arrivals.of(sender(1), at(990)), at(990), "from the future");
    }

    #[test]
    fn ten_thousand_senders_do_not_fill_the_memory_and_the_latest_are_known() {
        let arrivals = Arrivals::default();
        for port in 1..=10_000 {
            arrivals.note(sender(port), at(i64::from(port)));
        }
        assert!(arrivals.table().len() <= SENDERS_MAX);
        assert_eq!(arrivals.of(sender(10_000), at(10_050)), at(10_000));
        assert_eq!(arrivals.of(sender(1), at(10_050)), at(10_050), "forgotten");
    }

    #[test]
    fn the_kernel_s_stamp_precedes_the_program_s_reading_and_follows_the_sending() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let arrivals = Arc::new(Arrivals::default());
            let bound = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            let to = bound.local_addr().expect("bound");
            let ours = StampedSocket::new(bound, arrivals.clone()).expect("stamps");
            let theirs = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            for size in [10, 1200] {
                let sent = mono_now();
                theirs.send_to(&vec![size as u8; size], to).expect("sent");
                let (bytes, meta) = next(&ours).await;
                let read = mono_now();
                assert_eq!((bytes.len(), meta.addr), (size, theirs.local_addr().expect("bound")));
                assert_eq!(meta.dst_ip, Some(to.ip()));
                let came = arrivals.of(meta.addr, read);
                // Two clocks are read one after the other, hence the tenth of a millisecond.
                assert!(
                    came + Span::from_micros(100) > sent && came < read,
                    "{sent:?} {came:?} {read:?}"
                );
            }
        });
    }

    fn mono_now() -> MonoTime {
        crate::clock::BoxClock::free().mono_now()
    }

    async fn next(socket: &StampedSocket) -> (Vec<u8>, RecvMeta) {
        let mut bytes = vec![0; 2048];
        let mut meta = [RecvMeta::default()];
        let read = std::future::poll_fn(|cx| {
            socket.poll_recv(cx, &mut [IoSliceMut::new(&mut bytes)], &mut meta)
        });
        assert_eq!(read.await.expect("a packet"), 1);
        bytes.truncate(meta[0].len);
        (bytes, meta[0])
    }
}
