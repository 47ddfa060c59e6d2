//! A show of bare dimmers, and ears that note when a datagram arrived.

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex};

use artnet_protocol::{ArtCommand, PollReply};
use engine::light::{Playback, Take};
use engine::show::{
    ArtnetOut, Channel, Curve, Fixture, LaneId, LightCue, Merge, SacnOut, Show, Target, Timing,
    UniverseOut,
};
use io::clock::BoxClock;
use io::light::{Light, LightNet, LightSetup};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt,
    sockopt::ReceiveTimestampns,
};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};
use units::{Level, PortAddress, Slot, Span, Universe};
use uuid::Uuid;

/// The box's id in every test.
pub const CID: Uuid = Uuid::from_u128(0xd0_0b_ea_70);
/// Its name: longer than the field, and not plain ASCII.
pub const NAME: &str = "Bühne links, der Kasten unter dem Steg, bitte nicht ausschalten";

pub fn universe(number: u32) -> Universe {
    Universe::new(number).expect("a universe")
}

pub fn loopback(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, host)
}

/// A universe that is unicast by sACN.
pub fn sacn_to(to: &[Ipv4Addr]) -> UniverseOut {
    let unicast = to.iter().map(|address| IpAddr::V4(*address)).collect();
    let sacn = Some(SacnOut { unicast, ..SacnOut::default() });
    UniverseOut { label: String::new(), sacn, artnet: None }
}

/// A universe that is multicast by sACN.
pub fn sacn_multicast() -> UniverseOut {
    let sacn = Some(SacnOut { multicast: true, ..SacnOut::default() });
    UniverseOut { label: String::new(), sacn, artnet: None }
}

/// A universe for nodes that subscribe.
pub fn artnet_to(port_address: u32, poll: &[Ipv4Addr]) -> UniverseOut {
    let port_address = PortAddress::new(port_address).expect("15 bits");
    let poll = poll.iter().map(|address| IpAddr::V4(*address)).collect();
    let artnet = Some(ArtnetOut { port_address, poll });
    UniverseOut { label: String::new(), sacn: None, artnet }
}

/// A show with a dimmer on slot 1 of every universe, and no cue.
pub fn show(universes: impl IntoIterator<Item = (u32, UniverseOut)>) -> Show {
    let universes: std::collections::BTreeMap<_, _> =
        universes.into_iter().map(|(number, out)| (universe(number), out)).collect();
    let dimmer = |universe: &Universe| Fixture {
        name: format!("dimmer {universe}"),
        universe: *universe,
        address: Slot::new(1).expect("a slot"),
        cell_of: None,
        channels: vec![Channel {
            attribute: "dimmer".into(),
            offsets: vec![0],
            merge: Merge::Htp,
            ..Channel::default()
        }],
    };
    Show {
        title: "An evening".into(),
        priority: 100,
        fixtures: universes.keys().map(dimmer).collect(),
        universes,
        ..Show::default()
    }
}

/// Ports that nobody has on this machine now; the kernel does not hand the same one out again soon.
pub fn free_ports() -> LightNet {
    let free = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
        socket.local_addr().expect("it is bound").port()
    };
    LightNet { sacn_port: free(), artnet_port: free(), ..LightNet::default() }
}

/// A setup that says nothing special.
pub fn setup<'a>(show: &'a Show, net: &LightNet) -> LightSetup<'a> {
    LightSetup {
        show,
        cid: CID,
        source_name: NAME.into(),
        net: net.clone(),
        priority: 100,
        kept: None,
        clock: BoxClock::free(),
        chance: 7,
        timecode: Box::new(|_| {}),
        report: Box::new(|_| {}),
    }
}

/// A cue that brings all dimmers to `percent` within `span`.
pub fn all_at(show: &Show, percent: f64, span: Span) -> LightCue {
    let level = Level::from_percent(percent).expect("in range");
    let lane = |fixture| LaneId { fixture, channel: 0 };
    let target = |fixture| Target { lane: lane(fixture), level, timing: 0 };
    let targets = (0..show.fixtures.len() as u32).map(target).collect();
    let timing = Timing { fade: span, curve: Curve::Linear, ..Timing::default() };
    LightCue { targets, timings: vec![timing], ..LightCue::default() }
}

/// All dimmers go to `percent`, beginning `wait` from now.
pub fn fade(
    light: &mut Light,
    playback: &mut Playback,
    show: &Show,
    wait: Span,
    span: Span,
    percent: f64,
) {
    let at = BoxClock::free().now() + wait;
    playback.take(&Take { list: 0, at, light: &all_at(show, percent, span) });
    light.play(playback.plan(1));
}

/// A datagram, and when the kernel had it: nanoseconds of the system's clock.
#[derive(Debug, Clone)]
pub struct Heard {
    pub at: i64,
    pub from: SocketAddr,
    pub bytes: Vec<u8>,
}

/// A socket that notes when things arrive.
pub struct Ear(pub UdpSocket);

impl Ear {
    pub fn new(address: Ipv4Addr, port: u16) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
        socket.set_reuse_address(true).expect("the kernel knows it");
        socket.set_recv_buffer_size(1 << 20).expect("the kernel knows it");
        socket.bind(&SocketAddr::from((address, port)).into()).expect("nobody has this address");
        setsockopt(&socket, ReceiveTimestampns, &true).expect("the kernel stamps");
        Self(socket.into())
    }

    /// On IPv6; a group is joined on the interface.
    pub fn v6(address: &str, interface: &str, port: u16) -> Self {
        let address: Ipv6Addr = address.parse().expect("an address");
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
        socket.set_reuse_address(true).expect("the kernel knows it");
        socket.bind(&SocketAddr::from((address, port)).into()).expect("nobody has this address");
        setsockopt(&socket, ReceiveTimestampns, &true).expect("the kernel stamps");
        let socket = UdpSocket::from(socket);
        if address.is_multicast() {
            let index = nix::net::if_::if_nametoindex(interface).expect("the interface is there");
            socket.join_multicast_v6(&address, index).expect("it takes members");
        }
        Self(socket)
    }

    /// The next datagram within `within`.
    pub fn hear(&self, within: Span) -> Option<Heard> {
        let timeout = PollTimeout::try_from((within.ns() / 1_000_000).max(0) as i32);
        let mut ready = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut ready, timeout.expect("a short time")).expect("poll works");
        (ready > 0).then(|| self.take()).flatten()
    }

    /// The first datagram within `within` from which `wanted` makes something.
    pub fn wait_for<T>(&self, within: Span, wanted: impl Fn(&Heard) -> Option<T>) -> Option<T> {
        let end = system_now() + within.ns();
        loop {
            let left = end - system_now();
            if left <= 0 {
                return None;
            }
            if let Some(found) = self.hear(Span::from_ns(left)).and_then(|heard| wanted(&heard)) {
                return Some(found);
            }
        }
    }

    fn take(&self) -> Option<Heard> {
        let mut bytes = [0; 2048];
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let mut room = nix::cmsg_space!(TimeSpec);
        let flags = MsgFlags::MSG_DONTWAIT;
        let read =
            recvmsg::<SockaddrStorage>(self.0.as_raw_fd(), &mut parts, Some(&mut room), flags)
                .ok()?;
        let stamp = read.cmsgs().ok()?.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(at) => {
                Some(at.tv_sec() * 1_000_000_000 + at.tv_nsec())
            }
            _ => None,
        });
        let (length, from) = (read.bytes, socket_address(&read.address?)?);
        Some(Heard { at: stamp?, from, bytes: bytes[..length].to_vec() })
    }
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|it| SocketAddr::V4((*it).into()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|it| SocketAddr::V6((*it).into())))
}

/// The clock that the kernel stamps arrivals with.
pub fn system_now() -> i64 {
    let at = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).expect("Linux has it");
    at.tv_sec() * 1_000_000_000 + at.tv_nsec()
}

/// sACN data as the oracle reads it.
#[derive(Debug, Clone)]
pub struct Data {
    pub at: i64,
    pub cid: Uuid,
    pub name: String,
    pub priority: u8,
    pub sequence: u8,
    pub universe: u16,
    pub sync_address: u16,
    pub terminated: bool,
    pub preview: bool,
    pub force_sync: bool,
    /// Start code and slots.
    pub values: Vec<u8>,
}

/// Reads sACN data; none if it is sACN of another kind. What the oracle refuses is a failure.
pub fn sacn_data(heard: &Heard) -> Option<Data> {
    use sacn::packet::{AcnRootLayerProtocol, E131RootLayerData};
    let packet = AcnRootLayerProtocol::parse(&heard.bytes).expect("the oracle reads our packet");
    let E131RootLayerData::DataPacket(data) = packet.pdu.data else { return None };
    Some(Data {
        at: heard.at,
        cid: Uuid::from_bytes(*packet.pdu.cid.as_bytes()),
        name: data.source_name.to_string(),
        priority: data.priority,
        sequence: data.sequence_number,
        universe: data.universe,
        sync_address: data.synchronization_address,
        terminated: data.stream_terminated,
        preview: data.preview_data,
        force_sync: data.force_synchronization,
        values: data.data.property_values.to_vec(),
    })
}

/// Address and sequence of a synchronization packet, as the oracle reads it.
pub fn sacn_sync(heard: &Heard) -> Option<(u16, u8)> {
    use sacn::packet::{AcnRootLayerProtocol, E131RootLayerData};
    let packet = AcnRootLayerProtocol::parse(&heard.bytes).expect("the oracle reads our packet");
    let E131RootLayerData::SynchronizationPacket(sync) = packet.pdu.data else { return None };
    Some((sync.synchronization_address, sync.sequence_number))
}

/// The universes of a discovery page, as the oracle reads it.
pub fn sacn_discovery(heard: &Heard) -> Option<Vec<u16>> {
    use sacn::packet::{AcnRootLayerProtocol, E131RootLayerData};
    let packet = AcnRootLayerProtocol::parse(&heard.bytes).expect("the oracle reads our packet");
    let E131RootLayerData::UniverseDiscoveryPacket(page) = packet.pdu.data else { return None };
    Some(page.data.universes.to_vec())
}

/// Art-Net as the oracle reads it. What it refuses is a failure.
pub fn artnet(heard: &Heard) -> ArtCommand {
    ArtCommand::from_buffer(&heard.bytes).expect("the oracle reads our packet")
}

/// ArtDmx: port address, sequence, slots.
pub fn art_dmx(heard: &Heard) -> Option<(u16, u8, Vec<u8>)> {
    match artnet(heard) {
        ArtCommand::Output(output) => {
            Some((output.port_address.into(), output.sequence, output.data.as_ref().clone()))
        }
        _ => None,
    }
}

pub fn is_art_poll(heard: &Heard) -> bool {
    matches!(artnet(heard), ArtCommand::Poll(_))
}

pub fn art_poll_reply(heard: &Heard) -> Option<Box<PollReply>> {
    match artnet(heard) {
        ArtCommand::PollReply(reply) => Some(reply),
        _ => None,
    }
}

/// A reply of a node that puts out one port address, as the oracle writes it.
pub fn node_reply(address: Ipv4Addr, port_address: u16) -> Vec<u8> {
    let reply = PollReply {
        address,
        port_address: [(port_address >> 8) as u8, (port_address >> 4) as u8 & 0x0f],
        num_ports: [0, 1],
        port_types: [0x80, 0, 0, 0],
        swout: [port_address as u8 & 0x0f, 0, 0, 0],
        bind_index: 1,
        ..PollReply::default()
    };
    ArtCommand::PollReply(Box::new(reply)).write_to_buffer().expect("the oracle writes it")
}

/// An ArtPoll as the oracle writes it.
pub fn art_poll(on_change: bool) -> Vec<u8> {
    use artnet_protocol::{ArtTalkToMe, Poll};
    let talk_to_me = if on_change { ArtTalkToMe::EMIT_CHANGES } else { ArtTalkToMe::NONE };
    let poll = Poll { talk_to_me, ..Poll::default() };
    ArtCommand::Poll(poll).write_to_buffer().expect("the oracle writes it")
}

/// What a light thread said, kept.
pub type Kept<T> = Arc<Mutex<Vec<T>>>;

/// Keeps what a light thread says.
pub fn keep<T: Send + 'static>() -> (Kept<T>, Box<dyn FnMut(T) + Send>) {
    let kept = Kept::default();
    let into = kept.clone();
    (kept, Box::new(move |it| into.lock().expect("nobody panics with it").push(it)))
}
