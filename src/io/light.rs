//! Light on the wire: sACN and Art-Net, every universe on the grid of show time.
//!
//! In: plans. Out: packets, [`FrameReport`]s, glances. One thread, or several when a core is not enough, draws and sends and
//! does nothing else (`render`), one listens, answers and keeps count (`edge`). Never here: which level a slot has, and the manners of
//! the protocols; those are pure, in `engine::light`.

mod edge;
mod glance;
mod kept;
mod memory;
mod net;
mod outbox;
mod record;
mod reels;
mod render;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{Builder, JoinHandle, available_parallelism};

use engine::clock::Overlay;
use engine::light::blind::{BlindDiscovery, BlindStream};
use engine::light::controller::{Controller, ControllerSetup, Reach};
use engine::light::discover::Discovery;
use engine::light::input::{Inputs, Mixer, Settings};
use engine::light::parts::{self, Frames};
use engine::light::rdm;
use engine::light::source::{ArtnetStream, SacnStream, SacnSync};
use engine::light::turn::Turn;
use engine::light::{Desk, Plan, Playback, priorities};
use engine::show::{Sending, Show, ShowInput, UniverseOut};
use engine::timecode::{Heard, Source};
use engine::told::Input;
use nix::sys::eventfd::{EfdFlags, EventFd};
use rtrb::{Producer, RingBuffer};
use tokio::sync::mpsc::{Receiver, WeakSender};
use tokio::sync::oneshot;
use units::{Moment, OrderId, PortAddress, ShowTime, Universe};
use uuid::Uuid;
use wire::artnet;
use wire::rdm::Uid;
use wire::sacn::{self, SourceName};

use crate::clock::BoxClock;
use crate::overheard::Overheard;
use crate::timecode::ArtnetWay;
use edge::{Asker, Edge, EdgeEnds, Errand, Seen};
pub use glance::{
    ArtnetGlance, By, Foreign, InputGlance, NodeGlance, SacnGlance, SourceGlance, UniverseGlance,
};
use kept::Keeper;
use memory::Memory;
use net::Interface;
pub use net::LightNet;
use outbox::{Address, Way};
pub use record::ToRecord;
use record::Wanted;
use reels::Reels;
use render::{Gauges, Leave, Lit, NEVER, Render, RenderEnds, Synchronizer, Table, Ways};

/// Plans on their way to the render thread. It takes all of them every frame: so many are never waiting, unless it is
/// stuck.
const PLANS: usize = 1024;
/// Recordings that begin and end while a render thread draws a frame.
const TAPES: usize = 64;
/// What came in, on its way to the render thread: as much as a flood brings within a frame. What finds no room is in the
/// next one.
const INPUTS: usize = 64;
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
    /// Where what ArtAddress sets is kept over restarts (rule A17); none: it is forgotten.
    pub kept: Option<PathBuf>,
    /// Show time.
    pub clock: BoxClock,
    /// Chance, for the delay of Art-Net's replies.
    pub chance: u64,
    /// Told of every frame that left, and of what the network has to say to the show, by a thread that may take its
    /// time.
    pub report: Box<dyn FnMut(Input) + Send>,
    /// Told of ArtTimeCode that comes (rule A14), by the same thread.
    pub timecode: Box<dyn FnMut(Heard) + Send>,
}

/// Light, as long as this lives. Dropped without [`Light::stop`] it falls silent as a dead box does.
pub struct Light {
    reels: Arc<Reels>,
    /// To each thread that sends.
    plans: Vec<Producer<Arc<Plan>>>,
    /// The universes that are seen blindly.
    blind: Vec<Universe>,
    errands: Asker,
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
    inputs: Arc<[ShowInput]>,
    clock: BoxClock,
    steady: Overlay,
    reels: Arc<Reels>,
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
        let (settings, keeper) = match &setup.kept {
            Some(path) => kept::open(path, &mut warnings)?,
            None => Default::default(),
        };
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let universes = &setup.show.universes;
        let to = |to| sockets.address(&setup.net, interface.as_ref(), to);
        let about = universes.iter();
        let about = about.map(|(it, out)| about_of(&setup, interface.is_some(), &to, *it, out));
        let about = about.collect();
        let gauges = Arc::new(Gauges::new(universes.len()));
        let inputs: Arc<[ShowInput]> = setup.show.inputs.clone().into();
        let phases = render::phases(universes.len());
        let seen = Arc::new(Mutex::new(Seen::new(universes.len(), inputs.len(), phases)));
        // What releases a frame follows all of it, so one thread sends it all.
        let cores = match setup.show.light.sacn_sync.is_some() || setup.show.artnet_sync {
            true => 1,
            false => available_parallelism().map_or(1, NonZero::get),
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
            renders.push(render(&setup, interface.is_some(), &to, own, gauges.clone()));
        }
        let (clock, steady) = (setup.clock.clone(), setup.clock.overlay());
        let (queue, asked) = mpsc::channel();
        let bell = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC);
        let errands = Asker { queue, bell: bell.ok().map(Arc::new) };
        let reels = Arc::<Reels>::default();
        let timecode = timecode_way(&setup, interface.as_ref(), &sockets);
        let links = Links {
            ends: edge_ends,
            errands: asked,
            bell: errands.bell.clone(),
            gauges: gauges.clone(),
            seen: seen.clone(),
            settings,
            keeper,
            reels: reels.clone(),
        };
        let edge = edge(setup, interface, sockets, links);
        let mut threads = vec![spawn("light edge", move || edge.run())?];
        for render in renders {
            threads.push(spawn(render::THREAD, move || {
                say_scheduling();
                render.run();
            })?);
        }
        let watch = LightWatch { gauges, seen, about, inputs, clock, steady, reels: reels.clone() };
        let blind = Vec::new();
        Ok(Self { reels, plans, blind, errands, watch, warnings, timecode, threads })
    }

    /// Shows this from the next frame on. Never waits.
    pub fn play(&mut self, plan: Arc<Plan>) {
        self.reels.play(&plan);
        let blind: Vec<Universe> = plan.blind.iter().map(|it| it.universe).collect();
        if blind != self.blind {
            self.blind.clone_from(&blind);
            self.errands.ask(Errand::LookBlind(blind));
        }
        for plans in &mut self.plans {
            if plans.push(plan.clone()).is_err() {
                tracing::error!("light has not taken a plan for {PLANS} plans: a thread is stuck");
            }
        }
    }

    /// Sends as one whose turn that is from the next frame on. Who takes over says from whom, and drives by itself once nobody
    /// sees that box any more.
    pub fn take_turn(&self, turn: Turn, from: Option<Uuid>) {
        self.watch.gauges.set_turn(turn);
        self.errands.ask(Errand::TakeTurn { turn, from });
    }

    /// These boxes stand in for this one, and are no strangers on its universes.
    pub fn know_boxes(&self, boxes: BTreeSet<Uuid>) {
        self.errands.ask(Errand::KnowBoxes(boxes));
    }

    /// Says this to the lighting network, then; `report` is told when it left. Never waits.
    pub fn send(&self, order: OrderId, at: ShowTime, what: Sending) {
        self.errands.ask(Errand::Send { order, at, what });
    }

    /// Asks lamps this, through Art-Net nodes (rule A19). Without Art-Net the answer's other end is gone at once.
    pub fn ask_lamps(&self, ask: rdm::Ask) -> oneshot::Receiver<rdm::Done> {
        let (answer, answered) = oneshot::channel();
        self.errands.ask(Errand::Rdm { ask, answer });
        answered
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
        let gauges = self.gauges.universes.iter();
        let all = self.about.iter().zip(gauges).zip(&seen.universes);
        all.map(|((about, gauge), it)| {
            let last = Some(gauge.last.load(Relaxed)).filter(|it| *it != NEVER);
            UniverseGlance {
                universe: about.universe,
                label: about.label.clone(),
                sacn: about.sacn.clone(),
                artnet: about.port_address.map(|port_address| ArtnetGlance {
                    port_address,
                    subscribers: it.subscribers.clone(),
                }),
                frames_per_second: it.rate,
                last_frame_age: last.map(|at| now - Moment::from_ns(at)),
                worst_late: last.and_then(|_| seen.worst(about.universe, now)),
                evidence: seen.evidence,
                foreign: it.foreign.clone(),
            }
        })
        .collect()
    }

    /// What comes in now, in the order of the show file.
    pub fn inputs(&self) -> Vec<InputGlance> {
        let now = self.steady.show(self.clock.mono_now());
        let seen = self.seen.lock().expect("the edge thread does not panic");
        let all = self.inputs.iter().zip(&seen.inputs);
        all.map(|(input, (state, sources))| InputGlance::new(input, *state, sources, now)).collect()
    }
}

impl LightWatch {
    /// Records light from now on, as the bytes of a capture (`wire::capture`), in whole records, until the receiver is
    /// dropped.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub fn record(
        &self,
        asked: &ToRecord,
        overheard: &Overheard,
    ) -> Result<Receiver<Vec<u8>>, String> {
        let all: Vec<Universe> = self.about.iter().map(|about| about.universe).collect();
        let found = asked.find(&all, &self.inputs)?;
        let mut seen = self.seen.lock().expect("the edge thread does not panic");
        // One who has gone keeps nobody out until the edge thread meets that.
        let recorder = seen.recorder.as_ref().and_then(WeakSender::upgrade);
        if recorder.is_some_and(|it| !it.is_closed()) {
            return Err("somebody records already: one at a time".into());
        }
        let (wanted, bytes) = Wanted::new(found, asked.phones.then(|| overheard.begin()));
        (seen.recorder, seen.wanted) = (Some(wanted.out.downgrade()), Some(wanted));
        Ok(bytes)
    }

    /// Frames of recorded light that went out as they were last, since a disk was too slow.
    pub fn playback_starved(&self) -> u64 {
        self.reels.starved()
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

/// The rings between a thread that sends and the one that listens, and the one that plans come by.
fn rings() -> (Producer<Arc<Plan>>, RenderEnds, EdgeEnds) {
    let (plan_in, plans) = RingBuffer::new(PLANS);
    let (table_in, tables) = RingBuffer::new(PLANS);
    let (tape_in, tapes) = RingBuffer::new(TAPES);
    let (input_in, inputs) = RingBuffer::new(INPUTS);
    let (old_in, old) = RingBuffer::new(2 * PLANS);
    let (told_in, told) = RingBuffer::new(REPORTS);
    let render = RenderEnds { plans, tables, tapes, inputs, old: old_in, told: told_in };
    let edge = EdgeEnds { tables: table_in, tapes: tape_in, inputs: input_in, old, told };
    (plan_in, render, edge)
}

/// What a render thread does not share.
struct Own {
    phases: Vec<u16>,
    phases_in_all: u16,
    ways: Ways,
    ends: RenderEnds,
}

fn render(
    setup: &LightSetup,
    multicast: bool,
    address: &dyn Fn(SocketAddr) -> Address,
    own: Own,
    gauges: Arc<Gauges>,
) -> Render {
    let mut all = lit(setup, multicast, address);
    for (it, _) in &mut all {
        it.phase = render::phase_of(it.universe, own.phases_in_all);
    }
    all.retain(|(it, _)| own.phases.contains(&it.phase));
    all.sort_by_key(|(it, _)| it.phase);
    let (mut lit, mut to) = (Vec::with_capacity(all.len()), Vec::new());
    for (mut it, addresses) in all {
        it.to = to.len()..to.len() + addresses.len();
        to.extend(addresses);
        lit.push(it);
    }
    let synchronizer = setup.show.light.sacn_sync.map(|universe| {
        let stream = SacnSync::new(setup.cid, universe);
        let to = everywhere(setup, multicast, universe.number());
        Synchronizer::new(stream, to.into_iter().map(address).collect())
    });
    let mut ways = own.ways;
    let used = to.iter().chain(synchronizer.iter().flat_map(|it| &it.to));
    let used: Vec<Way> = used.map(Address::way).collect();
    ways.sacn.retain(|(way, _)| used.contains(way));
    Render {
        clock: setup.clock.clone(),
        phases: own.phases,
        phases_in_all: own.phases_in_all,
        lit,
        to,
        ways,
        desk: Desk::default(),
        synchronizer,
        plan: Playback::new(setup.show).plan(0),
        table: Arc::new(Table {
            subscribers: vec![Vec::new(); setup.show.universes.len()],
            sync: Vec::new(),
        }),
        unsynced: false,
        turn: Turn::Drives,
        inputs: Arc::default(),
        steady: setup.clock.overlay(),
        tape: None,
        ends: own.ends,
        gauges,
    }
}

/// What ties the listening thread to the others.
struct Links {
    ends: Vec<EdgeEnds>,
    errands: mpsc::Receiver<Errand>,
    bell: Option<Arc<EventFd>>,
    gauges: Arc<Gauges>,
    seen: Arc<Mutex<Seen>>,
    settings: Settings,
    keeper: Option<Keeper>,
    reels: Arc<Reels>,
}

fn edge(setup: LightSetup, interface: Option<Interface>, sockets: Sockets, links: Links) -> Edge {
    let Links { ends, errands, bell, gauges, seen, settings, keeper, reels } = links;
    let now = setup.clock.now();
    let name = SourceName::new(&setup.source_name);
    let sacn: Vec<_> = sacn_universes(setup.show).collect();
    let controller = controller(&setup, interface.as_ref(), &sockets);
    let inputs = Inputs::new(setup.show, setup.cid, sacn.iter().copied(), now);
    let inputs = inputs.with_settings(settings);
    let (net, ip) = (setup.net.clone(), setup.show.light.sacn_ip);
    let join = {
        let interface = interface.clone();
        // Without an interface there are no groups to join, and what comes by unicast is heard already.
        move |address| match &interface {
            Some(interface) => net::sacn_in(&net, Some(interface), &[address], ip),
            None => Ok(Vec::new()),
        }
    };
    let port_addresses = |(it, out): (&Universe, &UniverseOut)| (*it, port_address(out));
    Edge {
        steady: setup.clock.overlay(),
        clock: setup.clock.clone(),
        universes: setup.show.universes.iter().map(port_addresses).collect(),
        artnet: sockets.artnet.map(|it| (it, Controller::new(controller, now))),
        artnet_port: setup.net.artnet_port,
        sacn: sacn.iter().copied().collect(),
        artnet_sync: setup.show.artnet_sync,
        heard: sockets.heard,
        inputs,
        came: Arc::default(),
        reels,
        input_names: setup.show.inputs.iter().map(|input| input.name.clone()).collect(),
        synchronized: BTreeMap::new(),
        join: Box::new(join),
        ear: None,
        blind: BlindDiscovery::new(setup.cid, &setup.source_name),
        discovery: Discovery::new(setup.cid, name, sacn, now),
        discover_to: everywhere(&setup, interface.is_some(), sacn::DISCOVERY_UNIVERSE),
        discover_by: sockets.sacn,
        discover_by_v6: sockets.sacn_v6,
        frames: Frames::new(ends.len()),
        ends,
        errands,
        bell,
        report: setup.report,
        timecode: setup.timecode,
        gauges,
        seen,
        memory: Memory::default(),
        keeper,
        title: setup.show.title.clone(),
        recording: None,
        waiting: Vec::new(),
        priority: setup.priority,
        handover: None,
        boxes: BTreeSet::new(),
        rdm: BTreeMap::new(),
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
    /// Whether what goes to groups is put on the cable as it is.
    by_cable: bool,
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
            .then(|| {
                net::sacn_out_v6(net, interface).map_err(socket("sACN over IPv6")).map(Arc::new)
            })
            .transpose()?;
        let cable = match multicasts_v4(show) {
            true => net::cable(net, interface),
            false => Ok(None),
        };
        let by_cable = cable.map(|it| it.is_some()).unwrap_or_else(|why| {
            tracing::info!(
                "sACN takes the kernel's way to its groups, which costs more than twice as much ({why}): grant \
                 CAP_NET_RAW if universes are many"
            );
            false
        });
        warn_of_silent_universes(setup, interface, warnings);
        Ok(Self {
            by_cable,
            sacn: Arc::new(sacn),
            sacn_v6,
            artnet: open_artnet(setup, interface, warnings)?.map(Arc::new),
            heard: open_heard(setup, interface, warnings),
        })
    }

    /// For a render thread: sockets of its own for sACN, since the kernel's stamps come back by them.
    fn ways(&self, net: &LightNet, interface: Option<&Interface>) -> Result<Ways, LightError> {
        let socket = |error| LightError::Socket("sACN", error);
        let v6 = self.sacn_v6.as_ref().map(|it| it.try_clone()).transpose().map_err(socket)?;
        let v4 = net::sacn_out(net, interface).map_err(socket)?;
        let cable = match self.by_cable {
            true => net::cable(net, interface).map_err(socket)?,
            false => None,
        };
        // Where the kernel does not stamp, that was said when the first was opened.
        let _ = outbox::allow_stamps(&v4);
        let _ = cable.as_ref().map(outbox::allow_stamps);
        let v6 = v6.map(|it| (Way::V6, it.into()));
        let cable = cable.map(|it| (Way::Cable, it));
        let sacn = v6.into_iter().chain([(Way::V4, v4.into())]).chain(cable).collect();
        Ok(Ways { sacn, artnet: self.artnet.clone() })
    }

    /// Where that is for [`Ways`]. What is put on the cable bears the port that discovery leaves by.
    fn address(&self, net: &LightNet, interface: Option<&Interface>, to: SocketAddr) -> Address {
        let port = self.sacn.local_addr().map(|it| it.port()).unwrap_or(net.sacn_port);
        let on_cable = match (interface, to.ip()) {
            (Some(interface), IpAddr::V4(group)) if self.by_cable => {
                net::on_cable(net, interface, port, group)
            }
            _ => None,
        };
        on_cable.unwrap_or(to.into())
    }
}

/// The port is shared where others share it; where they do not, light goes out by another one.
fn open_artnet(
    setup: &LightSetup,
    interface: Option<&Interface>,
    warnings: &mut Vec<String>,
) -> Result<Option<UdpSocket>, LightError> {
    let net = &setup.net;
    if !setup.show.speaks_artnet() && !speaks_timecode(setup.show) {
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
    let inputs: BTreeSet<_> = setup.show.input_universes().collect();
    let universes: BTreeSet<_> = sacn_universes(setup.show).chain(inputs.iter().copied()).collect();
    let universes: Vec<_> = universes.into_iter().collect();
    if universes.is_empty() {
        return Vec::new();
    }
    if interface.is_none() && !inputs.is_empty() {
        warnings.push(
            "inputs hear this machine only: no lighting interface is named ([net] light in box.toml)"
                .to_owned(),
        );
        if setup.net.address.is_none() {
            let here = LightNet { address: Some(Ipv4Addr::LOCALHOST), ..setup.net.clone() };
            return heard(&here, setup, None, &universes, warnings);
        }
    }
    heard(&setup.net, setup, interface, &universes, warnings)
}

fn heard(
    net: &LightNet,
    setup: &LightSetup,
    interface: Option<&Interface>,
    universes: &[Universe],
    warnings: &mut Vec<String>,
) -> Vec<UdpSocket> {
    net::sacn_in(net, interface, universes, setup.show.light.sacn_ip).unwrap_or_else(|why| {
        warnings.push(format!(
            "sACN's port {} cannot be listened on ({why}): nothing comes in, and nobody will be told of others who send our universes",
            net.sacn_port
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

/// Every universe, and where its sACN goes.
fn lit(
    setup: &LightSetup,
    multicast: bool,
    address: &dyn Fn(SocketAddr) -> Address,
) -> Vec<(Lit, Vec<Address>)> {
    let at_rest = Playback::new(setup.show).plan(0);
    let name = SourceName::new(&setup.source_name);
    let lit = |(index, (universe, out)): (usize, (&Universe, &UniverseOut))| {
        let mut lit = Lit::new(*universe, index);
        lit.constant = setup.show.light.constant;
        lit.mixer = Mixer::new(setup.show, *universe);
        let sacn = out.sacn.as_ref().map(|sacn| {
            let drawn = at_rest.universe(*universe).filter(|_| sacn.per_address);
            let priorities = drawn.map(|plan| {
                let mut priorities = priorities(plan, setup.priority);
                let captured = setup.show.captured(*universe).flatten();
                let others = lit.mixer.slots().chain(captured);
                others.for_each(|slot| priorities[slot] = setup.priority);
                priorities
            });
            let mut stream = SacnStream::new(setup.cid, name, setup.priority, *universe)
                .synchronized_by(setup.show.light.sacn_sync)
                .with_priorities(priorities.as_ref());
            stream.set_preview(sacn.preview);
            let groups = groups(setup, multicast && sacn.multicast, universe.number());
            let all = groups.chain(sacn.unicast.iter().copied());
            let to = |to| address(SocketAddr::new(to, setup.net.sacn_port));
            (stream, all.map(to).collect())
        });
        let (sacn, to) = sacn.unzip();
        lit.sacn = sacn;
        let blind = || BlindStream::new(setup.cid, &setup.source_name, *universe);
        lit.blind = out.sacn.is_some().then(|| Box::new(blind()));
        lit.artnet = port_address(out).map(ArtnetStream::new);
        (lit, to.unwrap_or_default())
    };
    setup.show.universes.iter().enumerate().map(lit).collect()
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
        uid: rdm_uid(setup.cid),
        takes: setup.show.input_ports().into_iter().collect(),
        priority: setup.priority,
        chance: setup.chance,
    }
}

/// Of a maker's code for experiments, and as much of the box's own id as a UID holds.
fn rdm_uid(cid: Uuid) -> Uid {
    let device = cid.as_fields().0.min(u32::MAX - 1);
    Uid { maker: artnet::ESTA, device }
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

fn about_of(
    setup: &LightSetup,
    multicast: bool,
    address: &dyn Fn(SocketAddr) -> Address,
    universe: Universe,
    out: &UniverseOut,
) -> About {
    let sacn = out.sacn.as_ref().map(|sacn| {
        let mut groups = groups(setup, multicast && sacn.multicast, universe.number());
        let on_cable = |group| address(SocketAddr::new(group, setup.net.sacn_port)).way();
        SacnGlance {
            source_name: setup.source_name.clone(),
            cid: setup.cid,
            priority: setup.priority,
            multicast: sacn.multicast,
            unicast: sacn.unicast.clone(),
            by: if groups.any(|it| on_cable(it) == Way::Cable) { By::Cable } else { By::Kernel },
        }
    });
    About { universe, label: out.label.clone(), sacn, port_address: port_address(out) }
}

fn port_address(out: &UniverseOut) -> Option<PortAddress> {
    out.artnet.as_ref().map(|artnet| artnet.port_address)
}

fn sacn_universes(show: &Show) -> impl Iterator<Item = Universe> {
    show.universes.iter().filter(|(_, out)| out.sacn.is_some()).map(|(universe, _)| *universe)
}

fn multicasts_v4(show: &Show) -> bool {
    let mut all = show.universes.values().filter_map(|out| out.sacn.as_ref());
    show.light.sacn_ip.v4() && all.any(|sacn| sacn.multicast)
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
