//! Sees sACN arrive on an interface, with the kernel's stamps, and says how evenly.
//!
//! In: an interface. Out: [`Heard`]. A packet socket, so that no group is joined and all senders pay the same for it.

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::libc;
use serde::{Deserialize, Serialize};

use super::{FRAME, packet};

const BATCH: usize = 256;
const ROOM: usize = 1600;

/// Where to listen, and for how long.
#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    interface: String,
    #[arg(long, default_value_t = 6.0)]
    secs: f64,
}

/// How evenly packets came. Times in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Heard {
    pub universes: usize,
    pub packets: u64,
    /// Frames a second of the middle universe.
    pub hz: f64,
    /// Gaps in the sequences.
    pub lost: u64,
    /// Packets whose levels are those of the one before.
    pub unchanged: u64,
    /// What the listener itself could not take.
    pub dropped: u32,
    /// How far the time between two packets of a universe is from the nominal one.
    pub jitter_p50: f64,
    pub jitter_p99: f64,
    pub jitter_p999: f64,
    pub jitter_max: f64,
    /// How far a packet is from the grid on which its universe lies, by the middle of all its packets.
    pub off_grid_p999: f64,
    /// The universes that fell; none where none did.
    pub fell: Option<Fell>,
}

/// When universes first were darker than in the packet before; nanoseconds of UNIX time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Fell {
    pub universes: usize,
    pub first_ns: u64,
    pub last_ns: u64,
}

/// Listens, and prints [`Heard`] as JSON.
pub fn run(args: &Args) -> io::Result<()> {
    let socket = open(&args.interface)?;
    let mut all: BTreeMap<u16, Universe> = BTreeMap::new();
    let mut desk = Desk::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs_f64(args.secs) {
        let taken = desk.take(&socket, |stamp, octets| {
            if let Some((universe, sequence, slots)) = packet::read(octets) {
                all.entry(universe).or_default().note(stamp, sequence, slots);
            }
        });
        // A listener that waited in the kernel would have to be woken by the sender, packet by packet, the more often
        // the slower it sends.
        if taken < BATCH {
            sleep(Duration::from_millis(1));
        }
    }
    let heard = summed(&all, dropped(&socket));
    println!("{}", serde_json::to_string(&heard).expect("numbers"));
    Ok(())
}

#[derive(Default)]
struct Universe {
    stamps: Vec<u64>,
    sequence: u8,
    levels: u64,
    fell: Option<u64>,
    lost: u64,
    unchanged: u64,
}

impl Universe {
    fn note(&mut self, stamp: u64, sequence: u8, slots: &[u8]) {
        let levels = slots.iter().map(|it| u64::from(*it)).sum();
        if !self.stamps.is_empty() {
            self.lost += u64::from(sequence.wrapping_sub(self.sequence).wrapping_sub(1));
            self.unchanged += u64::from(levels == self.levels);
            self.fell = self.fell.or((levels < self.levels).then_some(stamp));
        }
        (self.sequence, self.levels) = (sequence, levels);
        self.stamps.push(stamp);
    }

    /// In nanoseconds, how far each gap is from a frame's length.
    fn gaps(&self) -> impl Iterator<Item = u64> {
        self.stamps
            .windows(2)
            .map(|it| (it[1].saturating_sub(it[0])).abs_diff(FRAME.as_nanos() as u64))
    }

    /// In nanoseconds, how far each packet is from the middle of all in its frame.
    fn off_grid(&self) -> Vec<u64> {
        let frame = FRAME.as_nanos() as u64;
        let Some(first) = self.stamps.first() else { return Vec::new() };
        // From half a frame before the first, so that packets about it are on one side.
        let place = |stamp: &u64| (stamp.saturating_sub(*first) + frame / 2) % frame;
        let mut places: Vec<u64> = self.stamps.iter().map(place).collect();
        places.sort_unstable();
        let middle = places[places.len() / 2];
        places.iter().map(|it| it.abs_diff(middle)).collect()
    }
}

fn summed(all: &BTreeMap<u16, Universe>, dropped: u32) -> Heard {
    let mut gaps: Vec<u64> = all.values().flat_map(Universe::gaps).collect();
    let mut off_grid: Vec<u64> = all.values().flat_map(Universe::off_grid).collect();
    gaps.sort_unstable();
    off_grid.sort_unstable();
    let packets = all.values().map(|it| it.stamps.len() as u64).sum();
    let mut rates: Vec<f64> = all.values().map(rate).collect();
    rates.sort_by(f64::total_cmp);
    Heard {
        universes: all.len(),
        packets,
        hz: rates.get(rates.len() / 2).copied().unwrap_or(0.0),
        lost: all.values().map(|it| it.lost).sum(),
        unchanged: all.values().map(|it| it.unchanged).sum(),
        dropped,
        jitter_p50: at(&gaps, 0.5),
        jitter_p99: at(&gaps, 0.99),
        jitter_p999: at(&gaps, 0.999),
        jitter_max: at(&gaps, 1.0),
        off_grid_p999: at(&off_grid, 0.999),
        fell: fell(all),
    }
}

fn fell(all: &BTreeMap<u16, Universe>) -> Option<Fell> {
    let fell: Vec<u64> = all.values().filter_map(|it| it.fell).collect();
    let (first_ns, last_ns) = (*fell.iter().min()?, *fell.iter().max()?);
    Some(Fell { universes: fell.len(), first_ns, last_ns })
}

fn rate(it: &Universe) -> f64 {
    match (it.stamps.first(), it.stamps.last()) {
        (Some(first), Some(last)) if last > first => {
            (it.stamps.len() - 1) as f64 * 1e9 / (last - first) as f64
        }
        _ => 0.0,
    }
}

/// In milliseconds.
fn at(sorted: &[u64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(((sorted.len() as f64 * part) as usize).min(last))
        .map_or(f64::NAN, |ns| *ns as f64 / 1e6)
}

#[expect(unsafe_code, reason = "nix has no packet sockets of this kind")]
fn open(interface: &str) -> io::Result<OwnedFd> {
    let protocol = (libc::ETH_P_IP as u16).to_be();
    // SAFETY: plain calls with values of their own; the descriptor is checked before it is owned.
    let socket = unsafe {
        let fd = libc::socket(
            libc::AF_PACKET,
            libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
            i32::from(protocol),
        );
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    // SAFETY: each option is of the type and size that the kernel asks for.
    unsafe {
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = nix::net::if_::if_nametoindex(interface)? as i32;
        let size = size_of::<libc::sockaddr_ll>() as u32;
        if libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) < 0 {
            return Err(io::Error::last_os_error());
        }
        for (option, value) in [(libc::SO_RCVBUFFORCE, 256 << 20), (libc::SO_TIMESTAMPNS, 1i32)] {
            let fd = socket.as_raw_fd();
            if libc::setsockopt(fd, libc::SOL_SOCKET, option, (&raw const value).cast(), 4) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(socket)
}

/// Buffers for a batch of packets.
struct Desk {
    octets: Vec<[u8; ROOM]>,
    control: Vec<[u64; 8]>,
}

impl Desk {
    fn new() -> Self {
        Self { octets: vec![[0; ROOM]; BATCH], control: vec![[0; 8]; BATCH] }
    }

    /// Hands over what has come, each with its stamp (nanoseconds); says how much that was.
    #[expect(unsafe_code, reason = "nix's recvmmsg allocates for every packet")]
    fn take(&mut self, socket: &OwnedFd, mut hand: impl FnMut(u64, &[u8])) -> usize {
        let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
        // SAFETY: zero is a valid value of every field of the header.
        let mut heads: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        for (index, head) in heads.iter_mut().enumerate() {
            let iov_base = self.octets[index].as_mut_ptr().cast();
            head.msg_hdr.msg_iov = parts[index].write(libc::iovec { iov_base, iov_len: ROOM });
            head.msg_hdr.msg_iovlen = 1;
            head.msg_hdr.msg_control = self.control[index].as_mut_ptr().cast();
            head.msg_hdr.msg_controllen = size_of::<[u64; 8]>() as _;
        }
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: all headers are written, and what they point to lives longer than the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                heads.as_mut_ptr(),
                BATCH as u32,
                flags,
                std::ptr::null_mut(),
            )
        };
        let count = count.max(0) as usize;
        for (index, head) in heads.iter().enumerate().take(count) {
            let octets = &self.octets[index][..head.msg_len as usize];
            // SAFETY: the kernel wrote this header.
            if let (Some(stamp), Some(inner)) = (unsafe { stamp(&head.msg_hdr) }, sacn_of(octets)) {
                hand(stamp, inner);
            }
        }
        count
    }
}

/// The kernel's stamp of a packet, in nanoseconds.
///
/// # Safety
/// The header has to be one that the kernel wrote.
#[expect(unsafe_code, reason = "control messages are read by pointer")]
unsafe fn stamp(head: &libc::msghdr) -> Option<u64> {
    // SAFETY: as the caller promises.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(head);
        if first.is_null() || (*first).cmsg_type != libc::SCM_TIMESTAMPNS {
            return None;
        }
        let at: libc::timespec = std::ptr::read_unaligned(libc::CMSG_DATA(first).cast());
        Some(at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64)
    }
}

/// What an IPv4 packet to sACN's port holds.
fn sacn_of(octets: &[u8]) -> Option<&[u8]> {
    let head = usize::from(octets.first()? & 15) * 4;
    let udp = octets.get(head..).filter(|it| it.len() > 8 && octets[9] == 17)?;
    (u16::from_be_bytes([udp[2], udp[3]]) == wire::sacn::PORT).then(|| &udp[8..])
}

#[expect(unsafe_code, reason = "nix does not know this option")]
fn dropped(socket: &OwnedFd) -> u32 {
    let (mut counts, mut size) = ([0u32; 3], 12);
    // SAFETY: the option is three numbers at most.
    unsafe {
        let (level, option) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            counts.as_mut_ptr().cast(),
            &raw mut size,
        );
    }
    counts[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_and_grid_are_of_each_universe() {
        let frame = FRAME.as_nanos() as u64;
        let mut one = Universe::default();
        for index in 0..1000u64 {
            let late = if index == 500 || index == 700 { 3_000_000 } else { 0 };
            one.note(1_000_000_000 + index * frame + late, index as u8, &[index as u8]);
        }
        one.note(1_000_000_000 + 1002 * frame, 1002u64 as u8, &[1]);
        let heard = summed(&BTreeMap::from([(1, one)]), 0);
        assert_eq!((heard.universes, heard.packets, heard.lost), (1, 1001, 2));
        assert_eq!((heard.jitter_p50, heard.off_grid_p999), (0.0, 3.0));
        assert!((heard.jitter_max - 2.0 * 23.0).abs() < 1e-6, "{heard:?}");
    }

    #[test]
    fn a_universe_falls_when_it_is_darker_than_it_was() {
        let levels = |levels: [u8; 4], begin: u64| {
            let mut it = Universe::default();
            (0..4).for_each(|at| it.note(begin + at as u64, at as u8, &[levels[at]]));
            it
        };
        let all = [levels([1, 2, 1, 0], 10), levels([1, 2, 3, 4], 20), levels([9, 9, 9, 8], 30)];
        let heard = summed(&(1..).zip(all).collect(), 0);
        let fell = heard.fell.expect("two fell");
        assert_eq!((fell.universes, fell.first_ns, fell.last_ns), (2, 12, 33));
    }
}
