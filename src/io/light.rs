//! Light on the wire: sACN and Art-Net, every universe on the grid of show time.
//!
//! In: plans. Out: packets, [`FrameReport`]s, glances. One thread, or several when a core is not enough, draws and sends and
//! does nothing else (`render`), one listens, answers and keeps count (`edge`). Never here: which level a slot has, and the manners of
//! the protocols; those are pure, in `engine::light`.

mod edge;
mod glance;
mod net;
mod outbox;
mod record;
mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZero;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle, available_parallelism};

use engine::light::controller::{Controller, ControllerSetup, Reach};
use engine::light::discover::Discovery;
use engine::light::parts::{self, Frames};
use engine::light::receive::Receiver;
use engine::light::source::{ArtnetStream, SacnStream, SacnSync};
use engine::light::{Plan, Playback, priorities};
use engine::show::{SacnOut, Show, UniverseOut};
use engine::told::FrameReport;
use rtrb::{Producer, RingBuffer};
use tokio::sync::mpsc;
use units::{Moment, PortAddress, Universe};
use uuid::Uuid;
use wire::sacn::{self, SourceName};

use crate::clock::BoxClock;
use edge::{Edge, EdgeEnds, Memory, Seen};
pub use glance::{ArtnetGlance, Foreign, NodeGlance, SacnGlance, UniverseGlance};
use net::Interface;
pub use net::LightNet;
use record::Wanted;
use render::{Gauges, Leave, Lit, NEVER, Render, RenderEnds, Synchronizer, Ways};

/// Plans on their way to the render thread. It takes all of them every frame: so many are never waiting, unless it is
/// stuck.
const PLANS: usize = 1024;
/// Recordings that begin and end while a render thread draws a frame.
const TAPES: usize = 64;
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
}

/// Light, as long as this lives. Dropped without [`Light::stop`] it falls silent as a dead box does.
pub struct Light {
    /// To each thread that sends.
    plans: Vec<Producer<Arc<Plan>>>,
    watch: LightWatch,
    warnings: Vec<String>,
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
        let phases = render::phases(universes.len());
        let cores = match setup.show.light.sacn_sync {
            // What releases a frame follows all of it, so one thread sends it all.
            Some(_) => 1,
            None => available_parallelism().map_or(1, NonZero::get),
        };
        let threads = parts::how_many(universes.len(), cores, phases);
        let (mut plans, mut edge_ends, mut renders) = (Vec::new(), Vec::new(), Vec::new());
        for thread in 0..threads {
            let (plan_in, render_ends, ends) = rings();
            plans.push(plan_in);
            edge_ends.push(ends);
            let mine = (thread as u16..phases).step_by(threads).collect();
            let ways = sockets.ways(&setup.net, interface.as_ref())?;
            let own = Own { phases: mine, phases_in_all: phases, ways, ends: render_ends };
            renders.push(render(&setup, interface.is_some(), own, gauges.clone()));
        }
        let clock = setup.clock.clone();
        let edge = edge(setup, interface, sockets, edge_ends, (gauges.clone(), seen.clone()));
        let mut threads = vec![spawn("light edge", move || edge.run())?];
        for render in renders {
            threads.push(spawn(render::THREAD, move || {
                say_scheduling();
                render.run();
            })?);
        }
        let watch = LightWatch { gauges, seen, about, clock };
        Ok(Self { plans, watch, warnings, threads })
    }

    /// Shows this from the next frame on. Never waits.
    pub fn play(&mut self, plan: Arc<Plan>) {
        for plans in &mut self.plans {
            if plans.push(plan.clone()).is_err() {
                tracing::error!("light has not taken a plan for {PLANS} plans: a thread is stuck");
            }
        }
    }

    /// For those who want to see what is on the wire, on any thread.
    pub fn watch(&self) -> LightWatch {
        self.watch.clone()
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

impl LightWatch {
    /// Records what leaves the box from now on, as the bytes of a capture (`wire::capture`), in whole records, until the
    /// receiver is dropped. Without universes: all.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub fn record(&self, universes: &[Universe]) -> Result<mpsc::Receiver<Vec<u8>>, String> {
        let all: Vec<Universe> = self.about.iter().map(|about| about.universe).collect();
        if let Some(missing) = universes.iter().find(|it| !all.contains(it)) {
            return Err(format!("universe {missing} does not leave this box"));
        }
        let mut seen = self.seen.lock().expect("the edge thread does not panic");
        if seen.records {
            return Err("somebody records already: one at a time".into());
        }
        let (wanted, bytes) =
            Wanted::new(if universes.is_empty() { all } else { universes.to_vec() });
        (seen.records, seen.wanted) = (true, Some(wanted));
        Ok(bytes)
    }

    /// Frames that recordings had no room for since the beginning.
    pub fn recording_lost(&self) -> u64 {
        self.gauges.untaped.load(Relaxed)
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
    let (tape_in, tapes) = RingBuffer::new(TAPES);
    let (old_in, old) = RingBuffer::new(2 * PLANS);
    let (told_in, told) = RingBuffer::new(REPORTS);
    let render = RenderEnds { plans, tables, tapes, old: old_in, told: told_in };
    (plan_in, render, EdgeEnds { tables: table_in, tapes: tape_in, old, told })
}

/// What a render thread does not share.
struct Own {
    phases: Vec<u16>,
    phases_in_all: u16,
    ways: Ways,
    ends: RenderEnds,
}

fn render(setup: &LightSetup, multicast: bool, own: Own, gauges: Arc<Gauges>) -> Render {
    let mut lit = lit(setup, multicast);
    for it in &mut lit {
        // A fixed function of the universe's number, so that all boxes emit the same at the same moment.
        it.phase = it.universe.number() % own.phases_in_all;
    }
    lit.retain(|it| own.phases.contains(&it.phase));
    Render {
        clock: setup.clock.clone(),
        phases: own.phases,
        phases_in_all: own.phases_in_all,
        lit,
        ways: own.ways,
        synchronizer: setup.show.light.sacn_sync.map(|address| {
            let stream = SacnSync::new(setup.cid, address);
            Synchronizer::new(stream, everywhere(setup, multicast, address.number()))
        }),
        plan: Playback::new(setup.show).plan(0),
        table: Arc::new(vec![Vec::new(); setup.show.universes.len()]),
        tape: None,
        ends: own.ends,
        gauges,
    }
}

fn edge(
    setup: LightSetup,
    interface: Option<Interface>,
    sockets: Sockets,
    ends: Vec<EdgeEnds>,
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
        discover_to: everywhere(&setup, interface.is_some(), sacn::DISCOVERY_UNIVERSE),
        discover_by: sockets.sacn,
        discover_by_v6: sockets.sacn_v6,
        frames: Frames::new(ends.len()),
        ends,
        report: setup.report,
        gauges,
        seen,
        memory: Memory::default(),
        title: setup.show.title.clone(),
        recording: None,
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
        let by_v6 = |group: bool| group || unicast(show).any(|address| address.is_ipv6());
        let sacn_v6 = by_v6(interface.is_some() && show.light.sacn_ip.v6())
            .then(|| net::sacn_out_v6(interface).map_err(socket("sACN over IPv6")).map(Arc::new))
            .transpose()?;
        warn_of_silent_universes(setup, interface, warnings);
        Ok(Self {
            sacn: Arc::new(sacn),
            sacn_v6,
            artnet: open_artnet(setup, interface, warnings)?.map(Arc::new),
            heard: open_heard(setup, interface, warnings),
        })
    }

    /// For a render thread: a socket of its own for sACN, since the kernel's stamps come back by it.
    fn ways(&self, net: &LightNet, interface: Option<&Interface>) -> Result<Ways, LightError> {
        let sacn = net::sacn_out(net, interface).map_err(|it| LightError::Socket("sACN", it))?;
        // Where the kernel does not stamp, that was said when the first was opened.
        let _ = outbox::allow_stamps(&sacn);
        let (sacn_v6, artnet) = (self.sacn_v6.clone(), self.artnet.clone());
        Ok(Ways { sacn, sacn_v6, artnet })
    }
}

/// The port is shared where others share it; where they do not, light goes out by another one.
fn open_artnet(
    setup: &LightSetup,
    interface: Option<&Interface>,
    warnings: &mut Vec<String>,
) -> Result<Option<UdpSocket>, LightError> {
    let net = &setup.net;
    if setup.show.universes.values().all(|out| out.artnet.is_none()) {
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
    net::sacn_in(&setup.net, interface, &universes, setup.show.light.sacn_ip).unwrap_or_else(|why| {
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
    let at_rest = Playback::new(setup.show).plan(0);
    let lit = |(index, (universe, out)): (usize, (&Universe, &UniverseOut))| {
        let mut lit = Lit::new(*universe, index);
        lit.constant = setup.show.light.constant;
        lit.sacn = out.sacn.as_ref().map(|sacn| {
            let stream = sacn_stream(setup, *universe, sacn, &at_rest);
            let groups = groups(setup, multicast && sacn.multicast, universe.number());
            let all = groups.chain(sacn.unicast.iter().copied());
            (stream, all.map(|to| SocketAddr::new(to, setup.net.sacn_port)).collect())
        });
        lit.artnet = port_address(out).map(ArtnetStream::new);
        lit
    };
    setup.show.universes.iter().enumerate().map(lit).collect()
}

fn sacn_stream(setup: &LightSetup, universe: Universe, sacn: &SacnOut, plan: &Plan) -> SacnStream {
    let name = SourceName::new(&setup.source_name);
    let stream = SacnStream::new(setup.cid, name, setup.priority, universe)
        .synchronized_by(setup.show.light.sacn_sync);
    let mut stream = match plan.universe(universe).filter(|_| sacn.per_address) {
        Some(plan) => {
            let mut all = priorities(plan, setup.priority);
            setup.show.captured(universe).for_each(|slots| all[slots].fill(setup.priority));
            stream.with_priorities(&all)
        }
        None => stream,
    };
    stream.set_preview(sacn.preview);
    stream
}

/// The multicast groups of a universe, where anything is multicast.
fn groups(setup: &LightSetup, multicast: bool, universe: u16) -> impl Iterator<Item = IpAddr> {
    let ip = setup.show.light.sacn_ip;
    let v4 = (multicast && ip.v4()).then_some(IpAddr::V4(sacn::group_v4(universe)));
    let v6 = (multicast && ip.v6()).then_some(IpAddr::V6(sacn::group_v6(universe)));
    v4.into_iter().chain(v6)
}

/// Where what concerns all our universes goes: to everybody, by the lighting interface, in the groups of `universe`;
/// and to those who get their universes by unicast, who hear no multicast.
fn everywhere(setup: &LightSetup, multicast: bool, universe: u16) -> Vec<SocketAddr> {
    let all: BTreeSet<_> = groups(setup, multicast, universe).chain(unicast(setup.show)).collect();
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
