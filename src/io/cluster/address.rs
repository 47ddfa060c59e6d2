//! Holds the cluster's one address on an interface of this box, and says so on its network.
//!
//! In: whether this box drives. Out: the address, and packets that say where it is. `engine::cluster::tenure` decides when. On a
//! thread of its own, since the kernel may take its time, and whoever is late with signs of life is dead to the others.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use engine::cluster::tenure::{Deed, HELD_FOR, Tenure};
use engine::cluster::ways::{Network, interface_for};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::libc;
use nix::sys::socket::{MsgFlags, SockaddrStorage, sendto};
use socket2::{Domain, Protocol, Socket, Type};
use units::Span;
use wire::neighbour;

use crate::clock::BoxClock;
use crate::ethernet;

/// An address, and on which interface it is wanted where several are in its network.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Itself.
    pub address: IpAddr,
    /// That of phones, if it is named.
    pub interface: Option<String>,
}

/// A box that may have to hold an address, as long as this lives.
#[derive(Debug)]
pub struct Holder {
    drives: Arc<AtomicBool>,
    leaving: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Holder {
    /// Lets go of it if it has it from before, and stands by; `say` is told of what a person has to see to.
    pub(super) fn start(
        address: Wanted,
        clock: BoxClock,
        say: impl Fn(String) + Send + 'static,
    ) -> io::Result<Self> {
        let (drives, leaving) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (wanted, ends) = (drives.clone(), leaving.clone());
        let run = move || hold(address, &clock, (&wanted, &ends), say);
        let thread = std::thread::Builder::new().name("cluster address".into()).spawn(run)?;
        Ok(Self { drives, leaving, thread })
    }

    /// Whether this box drives.
    pub(super) fn set_drives(&self, drives: bool) {
        self.drives.store(drives, Relaxed);
        self.thread.thread().unpark();
    }

    /// It is somebody else's from here on, as soon as what was said from there has left.
    pub fn leave(self) {
        self.set_drives(false);
        self.leaving.store(true, Relaxed);
        self.thread.thread().unpark();
        let _ = self.thread.join();
    }
}

fn hold(
    wanted: Wanted,
    clock: &BoxClock,
    (drives, leaving): (&AtomicBool, &AtomicBool),
    say: impl Fn(String),
) {
    let (mut tenure, mut trouble) = (Tenure::new(), None);
    loop {
        let ends = leaving.load(Relaxed);
        let now = clock.mono_now();
        tenure.handle_drives(now, drives.load(Relaxed));
        while let Some(deed) = tenure.poll(now) {
            let why = perform(deed, &wanted).err().map(|error| in_words(&error));
            let is_news = why.is_some() && why != trouble;
            if let Some(why) = why.as_ref().filter(|_| is_news) {
                say(format!("could not take the cluster's address {}: {why}", wanted.address));
            }
            trouble = why.or_else(|| trouble.filter(|_| deed != Deed::Hold));
        }
        if ends && tenure.next_wake().is_none() {
            return;
        }
        let left = tenure.next_wake().map(|wake| (wake - clock.mono_now()).max(Span::ZERO));
        std::thread::park_timeout(left.map_or(Duration::MAX, Span::to_std));
    }
}

/// Whether this process could hold it if it had to, as far as that is known before: an interface may come yet.
///
/// # Errors
/// Why not, in a sentence.
pub fn may_hold(wanted: &Wanted) -> Result<(), String> {
    // The kernel looks at rights before it looks whether anything is there.
    let place = Place::find(wanted).ok().flatten().unwrap_or(Place { index: 1, mac: [0; 6] });
    let tried = [place.let_go(wanted.address), Place::speak_v4().map(drop)];
    let mut denied = tried.into_iter().filter_map(Result::err);
    match denied.find(|it| it.kind() == io::ErrorKind::PermissionDenied) {
        Some(error) => Err(in_words(&error)),
        None => Ok(()),
    }
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "it takes the rights to change interfaces and to announce it, CAP_NET_ADMIN and CAP_NET_RAW \
             (docs/two-boxes.md)"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

fn perform(deed: Deed, wanted: &Wanted) -> io::Result<()> {
    let address = wanted.address;
    let place = match (Place::find(wanted)?, deed) {
        (Some(place), _) => place,
        // Nothing holds it.
        (None, Deed::LetGo) => return Ok(()),
        (None, _) => {
            let why = "no interface of this box is in its network";
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why));
        }
    };
    match deed {
        Deed::Hold => place.hold(address),
        Deed::LetGo => place.let_go(address),
        Deed::Announce => place.announce(address),
    }
}

/// The interface whose network the address is of.
#[derive(Debug, Clone, Copy)]
struct Place {
    index: u32,
    mac: [u8; 6],
}

impl Place {
    fn find(wanted: &Wanted) -> io::Result<Option<Self>> {
        let all: Vec<InterfaceAddress> = getifaddrs()?.collect();
        let networks: Vec<Network> = all.iter().filter_map(network).collect();
        let name = interface_for(wanted.address, wanted.interface.as_deref(), &networks);
        let links = all.iter().filter(|it| Some(it.interface_name.as_str()) == name);
        let link = links.filter_map(|it| it.address.as_ref()?.as_link_addr()).next();
        Ok(link.map(|link| Self {
            index: link.ifindex() as u32,
            mac: link.addr().unwrap_or_default(),
        }))
    }

    fn hold(self, address: IpAddr) -> io::Result<()> {
        let mut message = self.message(address);
        let seconds = HELD_FOR.secs_f64() as u32;
        let mut life = CacheInfo::default();
        (life.ifa_preferred, life.ifa_valid) = (seconds, seconds);
        message.attributes.push(AddressAttribute::CacheInfo(life));
        ask(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    fn let_go(self, address: IpAddr) -> io::Result<()> {
        match ask(RouteNetlinkMessage::DelAddress(self.message(address)), 0) {
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(()),
            done => done,
        }
    }

    /// An address without a network of its own: routes stay as they are.
    fn message(self, address: IpAddr) -> AddressMessage {
        let mut message = AddressMessage::default();
        (message.header.family, message.header.prefix_len) = match address {
            IpAddr::V4(_) => (AddressFamily::Inet, 32),
            IpAddr::V6(_) => (AddressFamily::Inet6, 128),
        };
        message.header.index = self.index;
        // Whether another one has it is not asked: the one that does is dead, or lets go.
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes =
            vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        message
    }

    fn announce(self, address: IpAddr) -> io::Result<()> {
        match address {
            IpAddr::V4(address) => self.announce_v4(address),
            IpAddr::V6(address) => self.announce_v6(address),
        }
    }

    fn announce_v4(self, address: Ipv4Addr) -> io::Result<()> {
        let socket = Self::speak_v4()?;
        let packet = neighbour::arp(self.mac, address);
        let to = ethernet::address(self.index, libc::ETH_P_ARP as u16, ethernet::EVERYBODY);
        sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::empty())?;
        Ok(())
    }

    fn speak_v4() -> io::Result<Socket> {
        // Of protocol 0 nothing comes in.
        Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(0)))
    }

    fn announce_v6(self, address: Ipv6Addr) -> io::Result<()> {
        /// Whoever has it may not have come by a router (RFC 4861, 7.1.2).
        const HOPS: u32 = 255;
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.bind(&SocketAddrV6::new(address, 0, 0, self.index).into())?;
        socket.set_multicast_if_v6(self.index)?;
        socket.set_multicast_hops_v6(HOPS)?;
        let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let packet = neighbour::advertisement(self.mac, address);
        socket.send_to(&packet, &SocketAddrV6::new(all, 0, 0, self.index).into())?;
        Ok(())
    }
}

/// None where an interface has no address of a network.
fn network(it: &InterfaceAddress) -> Option<Network> {
    let shared = match ip(it.netmask?)? {
        IpAddr::V4(mask) => mask.to_bits().count_ones(),
        IpAddr::V6(mask) => mask.to_bits().count_ones(),
    };
    Some(Network { interface: it.interface_name.clone(), own: ip(it.address?)?, shared })
}

fn ip(address: SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
}

/// Has the kernel do it.
fn ask(what: RouteNetlinkMessage, how: u16) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | how;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(what));
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&netlink_sys::SocketAddr::new(0, 0))?;
    socket.send(&octets, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer);
    match answer.map_err(io::Error::other)?.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(()),
    }
}
