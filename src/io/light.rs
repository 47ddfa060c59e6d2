//! Light on the wire: sACN and Art-Net, every universe on the grid of show time.
//!
//! In: plans. Out: packets, [`FrameReport`]s, glances. Two threads: one draws and sends and does nothing else
//! (`render`), one listens, answers and keeps count (`edge`). Never here: which level a slot has, and the manners of
//! the protocols; those are pure, in `engine::light`.

mod edge;
mod glance;
mod net;
mod outbox;
mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use engine::light::controller::{Controller, ControllerSetup, Reach};
use engine::light::discover::Discovery;
use engine::light::receive::Receiver;
use engine::light::source::{ArtnetStream, SacnStream};
use engine::light::{Plan, Playback};
use engine::show::{Show, UniverseOut};
use engine::timecode::{Heard, Source};
use engine::told::FrameReport;
use rtrb::{Producer, RingBuffer};
use units::{Moment, PortAddress, Universe};
use uuid::Uuid;
use wire::sacn::{self, SourceName};

use crate::clock::BoxClock;
use crate::timecode::ArtnetWay;
use edge::{Edge, EdgeEnds, Memory, Seen};
pub use glance::{ArtnetGlance, Foreign, NodeGlance, SacnGlance, UniverseGlance};
use net::Interface;
pub use net::LightNet;
use render::{Gauges, Leave, Lit, NEVER, Render, RenderEnds, Ways};

/// Plans on their way to the render thread. It takes all of them every frame: so many are never waiting, unless it is
/// stuck.
const PLANS: usize = 1024;
/// Reports on their way back: a second of the most that phases make.
const REPORTS: usize = 1024;

/// Why light cannot go out as it should.
#[derive(Debug, thiserror::Error)]
pub enum LightError {
    /// The name in `box.toml` is wrong, or the interface has no IPv4 address yet.
    #[error(
        "use interface `{name}` for light: none of that name has an IPv4 address (there are {have})"
    )]
    NoInterface {
        /// What was named.
        name: String,
        /// What there is.
        have: String,
    },
    /// The system does not tell which interfaces there are.
    #[error("list the network interfaces")]
    Interfaces(#[source] io::Error),
    /// Not even a socket to send by.
    #[error("open a socket to send {0} by")]
    Socket(&'static str, #[source] io::Error),
    /// The system gives no more threads.
    #[error("start the light's thread")]
    Thread(#[source] io::Error),
}

/// What light needs to begin.
pub struct LightSetup<'a> {
    /// The universes, and where fixtures rest.
    pub show: &'a Show,
    /// The box's own id; the same after every restart (rule S2).
    pub cid: Uuid,
    /// The box's name on the lighting network.
    pub source_name: String,
    /// Where light leaves and listens.
    pub net: LightNet,
    /// sACN priority, 0 to 200 (rule S3).
    pub priority: u8,
    /// Show time.
    pub clock: BoxClock,
    /// Chance, for the delay of Art-Net's replies.
    pub chance: u64,
    /// Told of every frame that left, by a thread that may take its time.
    pub report: Box<dyn FnMut(FrameReport) + Send>,
    /// Told of ArtTimeCode that comes (rule A14), by the same thread.
    pub timecode: Box<dyn FnMut(Heard) + Send>,
}

/// Light, as long as this lives. Dropped without [`Light::stop`] it falls silent as a dead box does.
pub struct Light {
    plans: Producer<Arc<Plan>>,
    watch: LightWatch,
    warnings: Vec<String>,
    timecode: Option<ArtnetWay>,
    threads: Vec<JoinHandle<()>>,
}

/// Sees what is on the wire; cheap to clone, and good after light has ended.
#[derive(Clone)]
pub struct LightWatch {
    gauges: Arc<Gauges>,
    seen: Arc<Mutex<Seen>>,
    about: Arc<[About]>,
    clock: BoxClock,
}

/// What never changes of a universe.
struct About {
    universe: Universe,
    label: String,
    sacn: Option<SacnGlance>,
    port_address: Option<PortAddress>,
}

impl Light {
    /// Opens the sockets and begins to send: fixtures at rest until the first plan.
    pub fn start(setup: LightSetup) -> Result<Self, LightError> {
        let interface = setup.net.interface.as_deref().map(Interface::find).transpose()?;
        let mut warnings = Vec::new();
        let sockets = Sockets::open(&setup, interface.as_ref(), &mut warnings)?;
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let universes = &setup.show.universes;
        let about = universes.iter().map(|(it, out)| about(*it, out, setup.priority)).collect();
        let gauges = Arc::new(Gauges::new(universes.len()));
        let seen = Arc::new(Mutex::new(Seen::new(universes.len())));
        let (plans, render_ends, edge_ends) = rings();
        let timecode = timecode_way(&setup, interface.as_ref(), &sockets);
        let render = render(&setup, interface.is_some(), &sockets, render_ends, gauges.clone());
        let clock = setup.clock.clone();
        let edge = edge(setup, interface, sockets, edge_ends, (gauges.clone(), seen.clone()));
        let threads = vec![
            spawn("light edge", move || edge.run())?,
            spawn(render::THREAD, move || {
                say_scheduling();
                render.run();
            })?,
        ];
        let watch = LightWatch { gauges, seen, about, clock };
        Ok(Self { plans, watch, warnings, timecode, threads })
    }

    /// Shows this from the next frame on. Never waits.
    pub fn play(&mut self, plan: Arc<Plan>) {
        if self.plans.push(plan).is_err() {
            tracing::error!("light has not taken a plan for {PLANS} plans: its thread is stuck");
        }
    }

    /// For those who want to see what is on the wire, on any thread.
    pub fn watch(&self) -> LightWatch {
        self.watch.clone()
    }

    /// By which way ArtTimeCode leaves; none where Art-Net is not open.
    pub fn timecode_way(&self) -> Option<ArtnetWay> {
        self.timecode.clone()
    }

    /// What did not go as it should at the start, in sentences: a taken port, a universe that cannot leave.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A planned exit: says goodbye on every sACN universe (rule S8), which takes three frames.
    pub fn stop(mut self) {
        self.leave(Leave::Planned);
    }

    fn leave(&mut self, how: Leave) {
        self.watch.gauges.leave(how);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a light thread ended by a panic");
            }
        }
    }
}

impl LightWatch {
    /// What is on the wire now.
    pub fn glance(&self) -> Vec<UniverseGlance> {
        let now = self.clock.now();
        let seen = self.seen.lock().expect("the edge thread does not panic");
        let worst_late = seen.worst(now);
        let gauges = self.gauges.universes.iter();
        let all = self.about.iter().zip(gauges).zip(&seen.universes);
        all.map(|((about, gauge), it)| UniverseGlance {
            universe: about.universe,
            label: about.label.clone(),
            sacn: about.sacn.clone(),
            artnet: about.port_address.map(|port_address| ArtnetGlance {
                port_address,
                subscribers: it.subscribers.clone(),
            }),
            frames_per_second: it.rate,
            last_frame_age: match gauge.last.load(Relaxed) {
                NEVER => None,
                at => Some(now - Moment::from_ns(at)),
            },
            worst_late,
            evidence: seen.evidence,
            foreign: it.foreign.clone(),
        })
        .collect()
    }
}

impl Drop for Light {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.leave(Leave::Silently);
        }
    }
}

/// The rings between the two threads, and the one that plans come by.
fn rings() -> (Producer<Arc<Plan>>, RenderEnds, EdgeEnds) {
    let (plan_in, plans) = RingBuffer::new(PLANS);
    let (table_in, tables) = RingBuffer::new(PLANS);
    let (old_in, old) = RingBuffer::new(2 * PLANS);
    let (told_in, told) = RingBuffer::new(REPORTS);
    let render = RenderEnds { plans, tables, old: old_in, told: told_in };
    (plan_in, render, EdgeEnds { tables: table_in, old, told })
}

fn render(
    setup: &LightSetup,
    multicast: bool,
    sockets: &Sockets,
    ends: RenderEnds,
    gauges: Arc<Gauges>,
) -> Render {
    Render {
        clock: setup.clock.clone(),
        lit: lit(setup, multicast),
        ways: sockets.ways(),
        plan: Playback::new(setup.show).plan(0),
        table: Arc::new(vec![Vec::new(); setup.show.universes.len()]),
        ends,
        gauges,
    }
}

fn edge(
    setup: LightSetup,
    interface: Option<Interface>,
    sockets: Sockets,
    ends: EdgeEnds,
    (gauges, seen): (Arc<Gauges>, Arc<Mutex<Seen>>),
) -> Edge {
    let now = setup.clock.now();
    let name = SourceName::new(&setup.source_name);
    let sacn: Vec<_> = sacn_universes(setup.show).collect();
    let controller = controller(&setup, interface.as_ref(), &sockets);
    let port_addresses = |(it, out): (&Universe, &UniverseOut)| (*it, port_address(out));
    Edge {
        steady: setup.clock.overlay(),
        clock: setup.clock.clone(),
        universes: setup.show.universes.iter().map(port_addresses).collect(),
        artnet: sockets.artnet.map(|it| (it, Controller::new(controller, now))),
        artnet_port: setup.net.artnet_port,
        heard: sockets.heard,
        receiver: Receiver::new(setup.cid, sacn.iter().copied()),
        discovery: Discovery::new(setup.cid, name, sacn, now),
        discover_by: sockets.sacn,
        discover_to: discover_to(&setup, interface.is_some()),
        ends,
        report: setup.report,
        timecode: setup.timecode,
        gauges,
        seen,
        memory: Memory::default(),
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, LightError> {
    Builder::new().name(name.to_string()).spawn(run).map_err(LightError::Thread)
}

fn say_scheduling() {
    match render::become_real_time() {
        Ok(()) => tracing::info!("light runs with real-time scheduling"),
        Err(why) => tracing::warn!(
            "light runs without real-time scheduling ({why}): frames may leave late under load; \
             grant CAP_SYS_NICE or an rtprio limit"
        ),
    }
}

/// Everything that is open.
struct Sockets {
    sacn: Arc<UdpSocket>,
    sacn_v6: Option<Arc<UdpSocket>>,
    artnet: Option<Arc<UdpSocket>>,
    heard: Vec<UdpSocket>,
}

impl Sockets {
    fn open(
        setup: &LightSetup,
        interface: Option<&Interface>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, LightError> {
        let socket = |what| move |error| LightError::Socket(what, error);
        let (net, show) = (&setup.net, setup.show);
        let sacn = net::sacn_out(net, interface).map_err(socket("sACN"))?;
        if let Err(why) = outbox::allow_stamps(&sacn) {
            warnings
                .push(format!("the kernel does not stamp lighting packets as they leave ({why})"));
        }
        let sacn_v6 = unicast(show)
            .any(|address| address.is_ipv6())
            .then(|| net::sacn_out_v6().map_err(socket("sACN over IPv6")).map(Arc::new))
            .transpose()?;
        warn_of_silent_universes(setup, interface, warnings);
        Ok(Self {
            sacn: Arc::new(sacn),
            sacn_v6,
            artnet: open_artnet(setup, interface, warnings)?.map(Arc::new),
            heard: open_heard(setup, interface, warnings),
        })
    }

    fn ways(&self) -> Ways {
        let (sacn_v6, artnet) = (self.sacn_v6.clone(), self.artnet.clone());
        Ways { sacn: self.sacn.clone(), sacn_v6, artnet }
    }
}

/// The port is shared where others share it; where they do not, light goes out by another one.
fn open_artnet(
    setup: &LightSetup,
    interface: Option<&Interface>,
    warnings: &mut Vec<String>,
) -> Result<Option<UdpSocket>, LightError> {
    let net = &setup.net;
    let lights = setup.show.universes.values().any(|out| out.artnet.is_some());
    if !lights && !speaks_timecode(setup.show) {
        return Ok(None);
    }
    let address = net::artnet_address(net, interface, polled(setup.show));
    match net::artnet(address, net.artnet_port) {
        Ok(socket) => Ok(Some(socket)),
        Err(why) => {
            warnings.push(format!(
                "Art-Net's port {} on {address} is taken ({why}): light still goes out, but nodes that answer only \
                 to that port are not heard, and so get nothing",
                net.artnet_port
            ));
            let socket = net::artnet(address, 0);
            socket.map(Some).map_err(|error| LightError::Socket("Art-Net", error))
        }
    }
}

fn open_heard(
    setup: &LightSetup,
    interface: Option<&Interface>,
    warnings: &mut Vec<String>,
) -> Vec<UdpSocket> {
    let universes: Vec<_> = sacn_universes(setup.show).collect();
    if universes.is_empty() {
        return Vec::new();
    }
    net::sacn_in(&setup.net, interface, &universes).unwrap_or_else(|why| {
        warnings.push(format!(
            "sACN's port {} cannot be listened on ({why}): nobody will be told of others who send our universes",
            setup.net.sacn_port
        ));
        Vec::new()
    })
}

fn warn_of_silent_universes(
    setup: &LightSetup,
    interface: Option<&Interface>,
    warnings: &mut Vec<String>,
) {
    if interface.is_some() {
        return;
    }
    for (universe, out) in &setup.show.universes {
        let Some(sacn) = out.sacn.as_ref().filter(|sacn| sacn.multicast) else { continue };
        let what = if sacn.unicast.is_empty() { "it is silent" } else { "it is unicast only" };
        warnings.push(format!(
            "universe {universe} is to be multicast, but no lighting interface is named ([net] light in box.toml): {what}"
        ));
    }
}

fn lit(setup: &LightSetup, multicast: bool) -> Vec<Lit> {
    let name = SourceName::new(&setup.source_name);
    let lit = |(universe, out): (&Universe, &UniverseOut)| {
        let mut lit = Lit::new(*universe);
        lit.sacn = out.sacn.as_ref().map(|sacn| {
            let stream = SacnStream::new(setup.cid, name, setup.priority, *universe);
            let group = IpAddr::V4(sacn::group_v4(universe.number()));
            let group = (multicast && sacn.multicast).then_some(group);
            let all = group.into_iter().chain(sacn.unicast.iter().copied());
            (stream, all.map(|to| SocketAddr::new(to, setup.net.sacn_port)).collect())
        });
        lit.artnet = port_address(out).map(ArtnetStream::new);
        lit
    };
    setup.show.universes.iter().map(lit).collect()
}

/// To everybody, by the lighting interface; and to those who get their universes by unicast, who hear no multicast.
fn discover_to(setup: &LightSetup, multicast: bool) -> Vec<SocketAddr> {
    let group = multicast.then(|| IpAddr::V4(sacn::group_v4(sacn::DISCOVERY_UNIVERSE)));
    let unicast = unicast(setup.show).filter(IpAddr::is_ipv4);
    let all: BTreeSet<_> = group.into_iter().chain(unicast).collect();
    all.into_iter().map(|to| SocketAddr::new(to, setup.net.sacn_port)).collect()
}

fn controller(
    setup: &LightSetup,
    interface: Option<&Interface>,
    sockets: &Sockets,
) -> ControllerSetup {
    let bound = sockets.artnet.as_ref().and_then(|socket| net::v4(socket.local_addr().ok()?));
    let bound = bound.map(|it| *it.ip());
    let own = interface.map(|it| it.address).or(bound);
    ControllerSetup {
        own: own.unwrap_or(Ipv4Addr::UNSPECIFIED),
        mac: interface.map(|it| it.mac).unwrap_or_default(),
        name: setup.source_name.clone(),
        port: setup.net.artnet_port,
        broadcast: interface.and_then(Interface::broadcast),
        poll: polled(setup.show).collect(),
        reach: Reach { network: interface.map(|it| (it.address, it.mask)) },
        ports: setup.show.universes.values().filter_map(port_address).collect(),
        chance: setup.chance,
    }
}

/// Whether timecode comes or goes by Art-Net.
fn speaks_timecode(show: &Show) -> bool {
    let chased = show.lists.iter().filter_map(|list| list.timecode);
    let sent = show.timecode.as_ref().and_then(|it| it.out.as_ref());
    chased.into_iter().any(|it| it.source == Source::Artnet) || sent.is_some_and(|out| out.artnet)
}

/// To everybody on the lighting interface; without one, to each who is polled by name.
fn timecode_way(
    setup: &LightSetup,
    interface: Option<&Interface>,
    sockets: &Sockets,
) -> Option<ArtnetWay> {
    let to = |address| SocketAddr::new(IpAddr::V4(address), setup.net.artnet_port);
    let all: BTreeSet<_> = match interface.and_then(Interface::broadcast) {
        Some(broadcast) => BTreeSet::from([to(broadcast)]),
        None => polled(setup.show).map(to).collect(),
    };
    Some(ArtnetWay { socket: sockets.artnet.clone()?, to: all.into_iter().collect() })
}

fn about(universe: Universe, out: &UniverseOut, priority: u8) -> About {
    let sacn = out.sacn.as_ref().map(|sacn| SacnGlance {
        priority,
        multicast: sacn.multicast,
        unicast: sacn.unicast.clone(),
    });
    About { universe, label: out.label.clone(), sacn, port_address: port_address(out) }
}

fn port_address(out: &UniverseOut) -> Option<PortAddress> {
    out.artnet.as_ref().map(|artnet| artnet.port_address)
}

fn sacn_universes(show: &Show) -> impl Iterator<Item = Universe> {
    show.universes.iter().filter(|(_, out)| out.sacn.is_some()).map(|(universe, _)| *universe)
}

fn unicast(show: &Show) -> impl Iterator<Item = IpAddr> {
    show.universes
        .values()
        .filter_map(|out| out.sacn.as_ref())
        .flat_map(|sacn| sacn.unicast.iter().copied())
}

/// Who is polled by name; Art-Net has no IPv6.
fn polled(show: &Show) -> impl Iterator<Item = Ipv4Addr> {
    let all = show.universes.values().filter_map(|out| out.artnet.as_ref());
    all.flat_map(|artnet| &artnet.poll).filter_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    })
}
