//! The system calls that no crate has: packet sockets, and the clock of a network interface.
//!
//! In: sockets and names. Out: what the kernel answered. Never: a decision.

#![expect(unsafe_code, reason = "nix and socket2 have neither packet sockets nor these ioctls")]

use std::fs::File;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::raw::c_int;

use nix::libc;
use nix::sys::socket::{MsgFlags, bind, sendto};
use wire::ptp::ETHERTYPE;

use crate::ethernet;

/// `ETHTOOL_GET_TS_INFO` of `linux/ethtool.h`, and what it answers.
const GET_TS_INFO: u32 = 0x41;

#[repr(C)]
struct TsInfo {
    cmd: u32,
    so_timestamping: u32,
    phc_index: i32,
    tx_types: u32,
    tx_reserved: [u32; 3],
    rx_filters: u32,
    rx_reserved: [u32; 3],
}

/// What an interface can stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities {
    /// The number of its clock, `/dev/ptpN`.
    pub phc: u32,
    /// `HWTSTAMP_FILTER_…`, a bit each.
    filters: u32,
}

/// What its hardware can stamp; none where it cannot stamp PTP both ways.
pub(super) fn abilities(socket: &impl AsRawFd, interface: &str) -> Option<Abilities> {
    // SAFETY: zero is a valid value of every field.
    let mut info: TsInfo = unsafe { zeroed() };
    info.cmd = GET_TS_INFO;
    interface_call(socket, interface, libc::SIOCETHTOOL, &mut info).ok()?;
    let needed = libc::SOF_TIMESTAMPING_TX_HARDWARE
        | libc::SOF_TIMESTAMPING_RX_HARDWARE
        | libc::SOF_TIMESTAMPING_RAW_HARDWARE;
    let able =
        info.so_timestamping & needed == needed && info.tx_types & (1 << libc::HWTSTAMP_TX_ON) != 0;
    let phc = u32::try_from(info.phc_index).ok().filter(|_| able)?;
    Some(Abilities { phc, filters: info.rx_filters })
}

/// Has the interface stamp PTP's event messages from now on.
pub(super) fn stamp_by_hardware(
    socket: &impl AsRawFd,
    interface: &str,
    abilities: Abilities,
) -> io::Result<()> {
    let wanted = [
        libc::HWTSTAMP_FILTER_PTP_V2_EVENT,
        libc::HWTSTAMP_FILTER_ALL,
        libc::HWTSTAMP_FILTER_PTP_V2_L4_EVENT,
        libc::HWTSTAMP_FILTER_PTP_V2_L2_EVENT,
    ];
    let able = |filter: &libc::c_uint| abilities.filters & (1 << filter) != 0;
    let Some(filter) = wanted.into_iter().find(able) else {
        return Err(io::Error::other("it stamps no PTP version 2"));
    };
    let mut config = libc::hwtstamp_config {
        flags: 0,
        tx_type: libc::HWTSTAMP_TX_ON.cast_signed(),
        rx_filter: filter.cast_signed(),
    };
    let mut now = libc::hwtstamp_config { flags: 0, tx_type: 0, rx_filter: 0 };
    // Somebody may have set it so already, and reading it needs no right.
    let read = interface_call(socket, interface, libc::SIOCGHWTSTAMP, &mut now);
    if read.is_ok() && (now.tx_type, now.rx_filter) == (config.tx_type, config.rx_filter) {
        return Ok(());
    }
    interface_call(socket, interface, libc::SIOCSHWTSTAMP, &mut config)
}

fn interface_call<T>(
    socket: &impl AsRawFd,
    interface: &str,
    request: libc::c_ulong,
    data: &mut T,
) -> io::Result<()> {
    // SAFETY: zero is a valid value of every field.
    let mut call: libc::ifreq = unsafe { zeroed() };
    if interface.len() >= call.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in call.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    call.ifr_ifru.ifru_data = std::ptr::from_mut(data).cast();
    // SAFETY: `call` and `data` live until it is over, and `data` is of the type that this request wants.
    checked(unsafe { libc::ioctl(socket.as_raw_fd(), request as _, &raw mut call) }).map(|_| ())
}

fn checked(answer: c_int) -> io::Result<c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// The multicast addresses of PTP on Ethernet (Annex E.3): for everybody, and for the next port only.
pub(super) const LAYER2_ALL: [u8; 6] = [0x01, 0x1B, 0x19, 0, 0, 0];
pub(super) const LAYER2_NEXT: [u8; 6] = [0x01, 0x80, 0xC2, 0, 0, 0x0E];

/// A socket for PTP on one interface's Ethernet.
pub(super) fn packet_socket(index: u32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // Of no protocol at first: nothing of other interfaces comes in before it is bound.
    // SAFETY: plain numbers; what comes back belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(checked(libc::socket(libc::AF_PACKET, kind, 0))?) };
    bind(socket.as_raw_fd(), &ethernet::address(index, ETHERTYPE, [0; 6]))?;
    for group in [LAYER2_ALL, LAYER2_NEXT] {
        join(&socket, index, group)?;
    }
    Ok(socket)
}

fn join(socket: &OwnedFd, index: u32, group: [u8; 6]) -> io::Result<()> {
    // SAFETY: zero is a valid value of every field.
    let mut member: libc::packet_mreq = unsafe { zeroed() };
    member.mr_ifindex = index.cast_signed();
    member.mr_type = libc::PACKET_MR_MULTICAST as u16;
    member.mr_alen = 6;
    member.mr_address[..6].copy_from_slice(&group);
    // SAFETY: the value lives until the call is over, and its length is told.
    checked(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const member).cast(),
            size_of::<libc::packet_mreq>() as u32,
        )
    })
    .map(|_| ())
}

/// Sends on Ethernet.
pub(super) fn send_packet(
    socket: &OwnedFd,
    index: u32,
    to: [u8; 6],
    bytes: &[u8],
) -> io::Result<()> {
    let to = ethernet::address(index, ETHERTYPE, to);
    sendto(socket.as_raw_fd(), bytes, &to, MsgFlags::MSG_DONTWAIT)?;
    Ok(())
}

/// How an interface's clock is read beside the system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Both latched by hardware at one instant (`PTP_SYS_OFFSET_PRECISE`).
    Precise,
    /// The system's right before and after (`PTP_SYS_OFFSET_EXTENDED`).
    Extended,
    /// The system's in turn with it (`PTP_SYS_OFFSET`).
    Plain,
}

impl Method {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Precise => "precise",
            Self::Extended => "extended",
            Self::Plain => "plain",
        }
    }
}

/// An interface's clock between two readings of the system's, nanoseconds each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Between {
    pub before: i64,
    pub phc: i64,
    pub after: i64,
}

/// Readings of which the closest counts: an interrupt between two of them is rare.
const TRIES: u32 = 5;

/// Reads both clocks.
pub(super) fn read_beside(phc: &File, method: Method) -> io::Result<Between> {
    match method {
        Method::Precise => precise(phc),
        Method::Extended => extended(phc),
        Method::Plain => plain(phc),
    }
}

fn precise(phc: &File) -> io::Result<Between> {
    // SAFETY: zero is a valid value of every field.
    let mut it: libc::ptp_sys_offset_precise = unsafe { zeroed() };
    // SAFETY: `it` lives until the call is over and is what this request wants.
    checked(unsafe {
        libc::ioctl(phc.as_raw_fd(), libc::PTP_SYS_OFFSET_PRECISE as _, &raw mut it)
    })?;
    Ok(latched(&it))
}

fn latched(it: &libc::ptp_sys_offset_precise) -> Between {
    let at = ns(it.sys_realtime);
    Between { before: at, phc: ns(it.device), after: at }
}

fn extended(phc: &File) -> io::Result<Between> {
    // SAFETY: zero is a valid value of every field.
    let mut it: libc::ptp_sys_offset_extended = unsafe { zeroed() };
    it.n_samples = TRIES;
    // SAFETY: `it` lives until the call is over and is what this request wants.
    checked(unsafe {
        libc::ioctl(phc.as_raw_fd(), libc::PTP_SYS_OFFSET_EXTENDED as _, &raw mut it)
    })?;
    closest_of_three(&it)
}

/// The system's clock, the interface's, the system's, each time anew.
fn closest_of_three(it: &libc::ptp_sys_offset_extended) -> io::Result<Between> {
    let tries = it.ts[..TRIES as usize].iter();
    closest(tries.map(|it| Between { before: ns(it[0]), phc: ns(it[1]), after: ns(it[2]) }))
}

fn plain(phc: &File) -> io::Result<Between> {
    // SAFETY: zero is a valid value of every field.
    let mut it: libc::ptp_sys_offset = unsafe { zeroed() };
    it.n_samples = TRIES;
    // SAFETY: `it` lives until the call is over and is what this request wants.
    checked(unsafe { libc::ioctl(phc.as_raw_fd(), libc::PTP_SYS_OFFSET as _, &raw mut it) })?;
    closest_in_turn(&it)
}

/// The system's clock and the interface's in turn, the system's last: each of the interface's stands between two.
fn closest_in_turn(it: &libc::ptp_sys_offset) -> io::Result<Between> {
    let tries = it.ts[..2 * TRIES as usize + 1].windows(3).step_by(2);
    closest(tries.map(|it| Between { before: ns(it[0]), phc: ns(it[1]), after: ns(it[2]) }))
}

fn closest(tries: impl Iterator<Item = Between>) -> io::Result<Between> {
    tries.min_by_key(|it| it.after - it.before).ok_or_else(|| io::Error::other("it read nothing"))
}

fn ns(time: libc::ptp_clock_time) -> i64 {
    time.sec.saturating_mul(1_000_000_000).saturating_add(i64::from(time.nsec))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a kernel answers: nanoseconds behind 1,790,000,000 s.
    fn at(ns: i64) -> libc::ptp_clock_time {
        let ns = 1_790_000_000_000_000_000 + ns;
        // SAFETY: zero is a valid value of every field.
        let mut time: libc::ptp_clock_time = unsafe { zeroed() };
        (time.sec, time.nsec) = (ns / 1_000_000_000, (ns % 1_000_000_000) as u32);
        time
    }

    fn between(before: i64, phc: i64, after: i64) -> Between {
        let [before, phc, after] = [before, phc, after].map(|it| ns(at(it)));
        Between { before, phc, after }
    }

    #[test]
    fn of_five_readings_before_and_after_the_closest_counts() {
        // SAFETY: zero is a valid value of every field.
        let mut it: libc::ptp_sys_offset_extended = unsafe { zeroed() };
        let read = [[0, 37_000, 2_100], [9_000, 46_000, 10_900], [20_000, 57_000, 21_400]];
        let late = [[40_000, 77_000, 95_000], [99_000, 136_000, 101_000]];
        for (to, from) in it.ts.iter_mut().zip(read.into_iter().chain(late)) {
            *to = from.map(at);
        }
        assert_eq!(closest_of_three(&it).expect("five"), between(20_000, 57_000, 21_400));
    }

    #[test]
    fn of_readings_in_turn_each_of_the_interfaces_stands_between_two_of_the_systems() {
        // SAFETY: zero is a valid value of every field.
        let mut it: libc::ptp_sys_offset = unsafe { zeroed() };
        let turns = [0, 500, 4_000, 4_500, 7_000, 7_500, 12_000, 12_500, 17_000, 17_500, 29_000];
        for (to, from) in it.ts.iter_mut().zip(turns) {
            *to = at(from);
        }
        assert_eq!(closest_in_turn(&it).expect("five"), between(4_000, 4_500, 7_000));
    }

    #[test]
    fn what_hardware_latched_at_one_instant_has_no_before_and_after() {
        // SAFETY: zero is a valid value of every field.
        let mut it: libc::ptp_sys_offset_precise = unsafe { zeroed() };
        (it.device, it.sys_realtime) = (at(5), at(37_000));
        assert_eq!(latched(&it), between(37_000, 5, 37_000));
    }

    #[test]
    fn what_is_no_interfaces_clock_is_read_in_no_way() {
        let nothing = File::open("/dev/null").expect("Linux has it");
        for method in [Method::Precise, Method::Extended, Method::Plain] {
            assert!(read_beside(&nothing, method).is_err(), "{method:?}");
        }
    }
}
