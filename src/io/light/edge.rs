//! The edge thread: listens, asks and answers, keeps count, and says in the log what a person should know.
//!
//! In: datagrams, the render thread's reports. Out: polls, replies and discoveries; subscribers for the render thread;
//! frame reports. It may allocate, lock and log, as the render thread may not.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use engine::clock::Overlay;
use engine::light::controller::Controller;
use engine::light::discover::Discovery;
use engine::light::input::{InputSource, InputState, InputTable, Inputs};
use engine::light::parts::Frames;
use engine::order::Evidence;
use engine::told::FrameReport;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtrb::{Consumer, Producer};
use units::{PortAddress, ShowTime, Span, Universe};

use super::glance::{Foreign, NodeGlance};
use super::memory::Memory;
use super::net::v4;
use super::outbox::Address;
use super::render::{Gauges, Leave, Old, Table, Told};
use crate::clock::BoxClock;

/// How long it listens before it looks at its clock and its rings: less than a frame.
const TURN_MS: u16 = 20;
/// Datagrams of a socket in a turn; a flood waits in the kernel, and what does not fit there is lost.
const DATAGRAMS_A_TURN: usize = 64;
/// Longer than any datagram of either protocol.
const DATAGRAM_MAX: usize = 2048;
/// Seconds over which the worst is kept.
const WORST_KEPT: usize = 60;

/// What watchers see; copied out by [`super::Light::glance`].
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub universes: Vec<SeenUniverse>,
    /// Whether anybody sends each input, and who.
    pub inputs: Vec<(InputState, Vec<InputSource>)>,
    /// The worst of each of the last seconds, newest last.
    worst: VecDeque<(i64, Span)>,
    pub evidence: Option<Evidence>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct SeenUniverse {
    /// Frames in the last second; none before there was one.
    pub rate: Option<u64>,
    counted: u64,
    pub subscribers: Vec<NodeGlance>,
    pub foreign: Vec<Foreign>,
}

impl Seen {
    pub fn new(universes: usize, inputs: usize) -> Self {
        Self {
            universes: vec![SeenUniverse::default(); universes],
            inputs: vec![(InputState::Waiting, Vec::new()); inputs],
            ..Self::default()
        }
    }

    pub fn worst(&self, now: ShowTime) -> Option<Span> {
        let kept = now.ns() / 1_000_000_000 - WORST_KEPT as i64;
        self.worst.iter().filter(|(second, _)| *second > kept).map(|(_, late)| *late).max()
    }

    fn note(&mut self, now: ShowTime, late: Span) {
        let second = now.ns() / 1_000_000_000;
        match self.worst.back_mut() {
            Some((newest, worst)) if *newest == second => *worst = late.max(*worst),
            _ => self.worst.push_back((second, late)),
        }
        while self.worst.len() > WORST_KEPT {
            self.worst.pop_front();
        }
    }
}

/// The thread's own.
pub(super) struct Edge {
    /// Show time as it was at the start: waits and ages go on alike when the clock steps before the show.
    pub steady: Overlay,
    pub clock: BoxClock,
    pub universes: Vec<(Universe, Option<PortAddress>)>,
    pub artnet: Option<(Arc<UdpSocket>, Controller)>,
    pub artnet_port: u16,
    pub heard: Vec<UdpSocket>,
    pub inputs: Inputs,
    pub input_names: Vec<String>,
    /// Sockets in the groups of synchronization addresses that sources name.
    pub synchronized: BTreeMap<Universe, Vec<UdpSocket>>,
    pub join: Join,
    pub discovery: Discovery,
    pub discover_by: Arc<UdpSocket>,
    pub discover_by_v6: Option<Arc<UdpSocket>>,
    pub discover_to: Vec<SocketAddr>,
    /// One for each thread that sends.
    pub ends: Vec<EdgeEnds>,
    pub frames: Frames,
    pub report: Box<dyn FnMut(FrameReport) + Send>,
    pub crossed: Box<dyn FnMut(usize) + Send>,
    pub gauges: Arc<Gauges>,
    pub seen: Arc<Mutex<Seen>>,
    pub memory: Memory,
}

/// Opens sockets in the groups of a universe.
pub(super) type Join = Box<dyn Fn(Universe) -> std::io::Result<Vec<UdpSocket>> + Send>;

/// Its ends of a render thread's rings.
pub(super) struct EdgeEnds {
    pub tables: Producer<Arc<Table>>,
    pub inputs: Producer<Arc<InputTable>>,
    pub old: Consumer<Old>,
    pub told: Consumer<Told>,
}

impl Edge {
    /// Runs until the render thread is told to leave.
    pub fn run(mut self) {
        while self.gauges.leaving() == Leave::Not {
            self.listen();
            let now = self.steady.show(self.clock.mono_now());
            self.bring_in(now);
            self.drain();
            self.speak(now);
            self.publish();
            if now.ns() / 1_000_000_000 != self.memory.second {
                self.memory.second = now.ns() / 1_000_000_000;
                self.each_second();
            }
        }
    }

    fn listen(&mut self) {
        let artnet = self.artnet.iter().map(|(socket, _)| socket.as_fd());
        let sacn = self.heard.iter().chain(self.synchronized.values().flatten());
        let all = artnet.chain(sacn.map(AsFd::as_fd));
        let mut all: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // An interrupted wait is a short one.
        let _ = poll(&mut all, PollTimeout::from(TURN_MS));
        let now = self.steady.show(self.clock.mono_now());
        let inputs = &mut self.inputs;
        if let Some((socket, controller)) = &mut self.artnet {
            for_each_datagram(socket, |bytes, from| {
                let Some(from) = v4(from) else { return };
                controller.handle(now, bytes, from);
                if controller.hears(*from.ip()) {
                    inputs.handle_artnet(now, bytes, *from.ip());
                }
            });
        }
        for socket in self.heard.iter().chain(self.synchronized.values().flatten()) {
            for_each_datagram(socket, |bytes, from| inputs.handle_sacn(now, bytes, from.ip()));
        }
    }

    /// Tells the render thread what has come in, and whoever waits for it what that has crossed.
    fn bring_in(&mut self, now: ShowTime) {
        self.inputs.tick(now);
        while let Some(trigger) = self.inputs.take_crossed() {
            (self.crossed)(trigger);
        }
        // A render thread that is behind gets the newest when it has room again.
        if self.ends.iter().all(|ends| ends.inputs.slots() > 0)
            && let Some(table) = self.inputs.take_table()
        {
            self.ends.iter_mut().for_each(|ends| drop(ends.inputs.push(table.clone())));
        }
    }

    /// Joins the groups of the synchronization addresses that sources name now, and leaves those of others.
    fn synchronize(&mut self) {
        let named = self.inputs.sync_addresses();
        self.synchronized.retain(|address, _| named.contains(address));
        for address in named {
            if let Entry::Vacant(place) = self.synchronized.entry(address) {
                let joined = (self.join)(address).unwrap_or_else(|why| {
                    tracing::warn!("synchronization universe {address} cannot be heard: {why}");
                    Vec::new()
                });
                place.insert(joined);
            }
        }
    }

    fn drain(&mut self) {
        let now = self.clock.now();
        for ends in &mut self.ends {
            while ends.old.pop().is_ok() {}
            while let Ok(told) = ends.told.pop() {
                match told {
                    Told::Part(part) => {
                        self.frames.add(&part).into_iter().for_each(&mut self.report);
                    }
                    Told::Late { late, evidence } => {
                        let mut seen = self.seen.lock().expect("watchers do not panic");
                        seen.note(now, late);
                        seen.evidence = Some(evidence);
                    }
                }
            }
        }
    }

    fn speak(&mut self, now: ShowTime) {
        for page in self.discovery.tick(now) {
            for to in &self.discover_to {
                let v6 = self.discover_by_v6.as_ref().filter(|_| to.is_ipv6());
                // The next one comes in 10 s; a link that is down is told of by the frames.
                let _ = v6.unwrap_or(&self.discover_by).send_to(page, to);
            }
        }
        let Some((socket, controller)) = &mut self.artnet else { return };
        controller.tick(now);
        while let Some(letter) = controller.poll() {
            let _ = socket.send_to(&letter.bytes, letter.to);
        }
    }

    /// Tells the render threads who subscribes, whenever that changes.
    fn publish(&mut self) {
        let Some((_, controller)) = &self.artnet else { return };
        if controller.generation() == self.memory.generation {
            return;
        }
        let subscribers = |port: &Option<PortAddress>| {
            port.map(|port| controller.subscribers(port)).unwrap_or_default()
        };
        let found: Vec<_> = self.universes.iter().map(|(_, port)| subscribers(port)).collect();
        let to = |address| Address::from(SocketAddr::new(IpAddr::V4(address), self.artnet_port));
        let table: Table =
            found.iter().map(|all| all.iter().map(|it| to(it.address)).collect()).collect();
        let table = Arc::new(table);
        if self.ends.iter_mut().any(|ends| ends.tables.push(table.clone()).is_err()) {
            // A render thread is behind; the next turn tries again.
            return;
        }
        self.memory.generation = controller.generation();
        let nodes: Vec<Vec<NodeGlance>> =
            found.into_iter().map(|all| all.into_iter().map(NodeGlance::from).collect()).collect();
        for ((universe, _), nodes) in self.universes.iter().zip(&nodes) {
            self.memory.say_nodes(*universe, nodes);
        }
        let mut seen = self.seen.lock().expect("watchers do not panic");
        for (seen, nodes) in seen.universes.iter_mut().zip(nodes) {
            seen.subscribers = nodes;
        }
    }

    fn each_second(&mut self) {
        self.memory.say_failures(self.gauges.failed.load(Relaxed));
        self.synchronize();
        let inputs = 0..self.input_names.len();
        let inputs: Vec<_> =
            inputs.map(|it| (self.inputs.state(it), self.inputs.sources(it))).collect();
        self.memory.say_inputs(self.input_names.iter().zip(&inputs));
        let foreign: Vec<_> =
            self.universes.iter().map(|(universe, port)| self.foreign(*universe, *port)).collect();
        self.memory.say_foreign(self.universes.iter().map(|(it, _)| *it).zip(&foreign));
        let mut seen = self.seen.lock().expect("watchers do not panic");
        seen.inputs = inputs;
        let gauges = self.gauges.universes.iter();
        for ((seen, gauge), foreign) in seen.universes.iter_mut().zip(gauges).zip(foreign) {
            let frames = gauge.frames.load(Relaxed);
            // The first second is not a whole one.
            seen.rate = (seen.counted > 0).then(|| frames - seen.counted);
            seen.counted = frames;
            seen.foreign = foreign;
        }
    }

    fn foreign(&self, universe: Universe, port: Option<PortAddress>) -> Vec<Foreign> {
        let sacn = self.inputs.senders(universe).into_iter().map(|source| Foreign {
            name: source.name.clone(),
            address: source.from,
            priority: Some(source.priority),
        });
        let artnet = self.artnet.iter().zip(port).flat_map(|((_, it), port)| it.foreign(port));
        let artnet = artnet.map(|address| Foreign {
            name: "Art-Net".to_string(),
            address: IpAddr::V4(address),
            priority: None,
        });
        sacn.chain(artnet).collect()
    }
}

fn for_each_datagram(socket: &UdpSocket, mut handle: impl FnMut(&[u8], SocketAddr)) {
    let mut bytes = [0; DATAGRAM_MAX];
    for _ in 0..DATAGRAMS_A_TURN {
        match socket.recv_from(&mut bytes) {
            Ok((length, from)) => handle(&bytes[..length], from),
            // Nothing more, or an error that the next turn meets again if it lasts.
            Err(_) => return,
        }
    }
}
