//! The bare loop: prepared sACN packets, new levels every frame, `sendmmsg`. What a machine can do at most.
//!
//! In: how many universes, and for how long. Out: what it sent and what that cost. Never: a decision, a rule.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::socket::{SockaddrLike, SockaddrStorage};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use serde::{Deserialize, Serialize};

use super::{FRAME, packet};

/// Packets of a call.
const BATCH: usize = 1024;
/// Shares of a frame that leave together; none when it sends flat out.
const SHARES: usize = 16;

/// What to send.
#[derive(clap::Args)]
pub struct Args {
    /// How many
    #[arg(long, default_value_t = 128)]
    universes: u16,
    /// For how long
    #[arg(long, default_value_t = 10.0)]
    secs: f64,
    /// Which address the packets leave by
    #[arg(long)]
    from: Ipv4Addr,
    /// Without the grid, as fast as it goes
    #[arg(long)]
    flat: bool,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sent {
    pub packets: u64,
    pub cpu_us_per_packet: f64,
    /// That a core could send at every frame of the grid.
    pub universes_a_core: f64,
}

/// Sends, and prints [`Sent`] as JSON.
pub fn run(args: &Args) -> io::Result<()> {
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    let own = socket2::SockRef::from(&socket);
    own.set_multicast_if_v4(&args.from)?;
    own.set_multicast_loop_v4(false)?;
    own.set_send_buffer_size(32 << 20)?;
    let mut letters = Letters::new(args.universes);
    let begun = Instant::now();
    let (mut packets, mut frame, mut due) = (0, 0u8, now_ns());
    let before = cpu_s();
    while begun.elapsed() < Duration::from_secs_f64(args.secs) {
        let shares = if args.flat { 1 } else { SHARES };
        for share in 0..shares {
            if !args.flat {
                sleep_until(due + FRAME.as_nanos() as i64 * share as i64 / shares as i64);
            }
            packets += letters.send(&socket, share, shares, frame)?;
        }
        frame = frame.wrapping_add(1);
        due += FRAME.as_nanos() as i64;
    }
    let cpu = cpu_s() - before;
    let sent = Sent {
        packets,
        cpu_us_per_packet: cpu * 1e6 / packets as f64,
        universes_a_core: packets as f64 / cpu * FRAME.as_secs_f64(),
    };
    println!("{}", serde_json::to_string(&sent).expect("numbers"));
    Ok(())
}

/// Packets and where they go, written once and then changed in place.
struct Letters {
    packets: Vec<[u8; packet::LEN]>,
    names: Vec<SockaddrStorage>,
}

impl Letters {
    fn new(universes: u16) -> Self {
        let packets = (1..=universes).map(packet::data).collect();
        let group =
            |universe: u16| SocketAddr::from((wire::sacn::group_v4(universe), wire::sacn::PORT));
        Self {
            packets,
            names: (1..=universes).map(|it| SockaddrStorage::from(group(it))).collect(),
        }
    }

    fn send(
        &mut self,
        socket: &UdpSocket,
        share: usize,
        shares: usize,
        frame: u8,
    ) -> io::Result<u64> {
        let all = self.packets.len();
        let (low, high) = (all * share / shares, all * (share + 1) / shares);
        for packet in &mut self.packets[low..high] {
            packet::change(packet, frame);
        }
        let mut at = low;
        while at < high {
            at += self.batch(socket, at, high.min(at + BATCH))?;
        }
        Ok((high - low) as u64)
    }

    #[expect(unsafe_code, reason = "nix has no sendmmsg that tells how many left")]
    fn batch(&self, socket: &UdpSocket, low: usize, high: usize) -> io::Result<usize> {
        let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
        let mut heads = [const { MaybeUninit::<libc::mmsghdr>::zeroed() }; BATCH];
        for (index, at) in (low..high).enumerate() {
            let bytes = &self.packets[at];
            let part =
                libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            // SAFETY: zero is a valid value of every field of the header.
            let head = unsafe { heads[index].assume_init_mut() };
            head.msg_hdr.msg_name = self.names[at].as_ptr().cast_mut().cast();
            head.msg_hdr.msg_namelen = self.names[at].len();
            head.msg_hdr.msg_iov = parts[index].write(part);
            head.msg_hdr.msg_iovlen = 1;
        }
        let count = (high - low) as libc::c_uint;
        // SAFETY: that many headers are written, and what they point to lives until the call is over.
        let left =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), heads.as_mut_ptr().cast(), count, 0) };
        if left < 0 { Err(io::Error::last_os_error()) } else { Ok(left as usize) }
    }
}

fn now_ns() -> i64 {
    let at = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has this clock");
    at.tv_sec() * 1_000_000_000 + at.tv_nsec()
}

fn sleep_until(ns: i64) {
    let at = TimeSpec::new(ns / 1_000_000_000, ns % 1_000_000_000);
    let flags = ClockNanosleepFlags::TIMER_ABSTIME;
    while clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &at) == Err(nix::Error::EINTR) {}
}

/// Processor time of this process.
fn cpu_s() -> f64 {
    let at = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("Linux has this clock");
    at.tv_sec() as f64 + at.tv_nsec() as f64 / 1e9
}
