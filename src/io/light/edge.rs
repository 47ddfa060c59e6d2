//! The edge thread: listens, asks and answers, keeps count, and says in the log what a person should know.
//!
//! In: datagrams, the render thread's reports. Out: polls, replies and discoveries; subscribers for the render thread;
//! frame reports. It may allocate, lock and log, as the render thread may not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use engine::clock::Overlay;
use engine::light::controller::Controller;
use engine::light::discover::Discovery;
use engine::light::parts::Frames;
use engine::light::receive::Receiver;
use engine::order::Evidence;
use engine::told::FrameReport;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtrb::{Consumer, Producer};
use units::{PortAddress, ShowTime, Span, Universe};

use super::glance::{Foreign, NodeGlance};
use super::net::v4;
use super::record::{Recording, Tape, Wanted};
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
    /// The worst of each of the last seconds, newest last.
    worst: VecDeque<(i64, Span)>,
    pub evidence: Option<Evidence>,
    /// Whoever wants to record.
    pub wanted: Option<Wanted>,
    /// Whether somebody does.
    pub records: bool,
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
    pub fn new(universes: usize) -> Self {
        Self { universes: vec![SeenUniverse::default(); universes], ..Self::default() }
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
    pub receiver: Receiver,
    pub discovery: Discovery,
    pub discover_by: Arc<UdpSocket>,
    pub discover_by_v6: Option<Arc<UdpSocket>>,
    pub discover_to: Vec<SocketAddr>,
    /// One for each thread that sends.
    pub ends: Vec<EdgeEnds>,
    pub frames: Frames,
    pub report: Box<dyn FnMut(FrameReport) + Send>,
    pub gauges: Arc<Gauges>,
    pub seen: Arc<Mutex<Seen>>,
    pub memory: Memory,
    pub title: String,
    pub recording: Option<Recording>,
}

/// Its ends of a render thread's rings.
pub(super) struct EdgeEnds {
    pub tables: Producer<Arc<Table>>,
    pub tapes: Producer<Option<Tape>>,
    pub old: Consumer<Old>,
    pub told: Consumer<Told>,
}

/// What the log has been told already.
#[derive(Debug, Default)]
pub(super) struct Memory {
    generation: u64,
    second: i64,
    failed: u64,
    failing: bool,
    foreign: BTreeSet<(Universe, String)>,
    nodes: BTreeMap<Universe, Vec<NodeGlance>>,
}

impl Edge {
    /// Runs until the render thread is told to leave.
    pub fn run(mut self) {
        while self.gauges.leaving() == Leave::Not {
            self.listen();
            let now = self.steady.show(self.clock.mono_now());
            self.drain();
            self.record();
            self.speak(now);
            self.publish();
            if now.ns() / 1_000_000_000 != self.memory.second {
                self.memory.second = now.ns() / 1_000_000_000;
                self.each_second(now);
            }
        }
        // What left before the end belongs to a recording.
        self.record();
    }

    fn listen(&mut self) {
        let artnet = self.artnet.iter().map(|(socket, _)| socket.as_fd());
        let all = artnet.chain(self.heard.iter().map(AsFd::as_fd));
        let mut all: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // An interrupted wait is a short one.
        let _ = poll(&mut all, PollTimeout::from(TURN_MS));
        let now = self.steady.show(self.clock.mono_now());
        if let Some((socket, controller)) = &mut self.artnet {
            for_each_datagram(socket, |bytes, from| {
                if let Some(from) = v4(from) {
                    controller.handle(now, bytes, from);
                }
            });
        }
        for socket in &self.heard {
            for_each_datagram(socket, |bytes, from| self.receiver.handle(now, bytes, from.ip()));
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

    fn record(&mut self) {
        let now = self.clock.now();
        let wanted = self.seen.lock().expect("watchers do not panic").wanted.take();
        if let Some(wanted) = wanted {
            let (threads, gauges) = (self.ends.len(), self.gauges.clone());
            let (recording, tapes) = Recording::begin(wanted, &self.title, now, threads, gauges);
            self.hand_tapes(tapes.into_iter().map(Some));
            self.recording = Some(recording);
        }
        if self.recording.as_mut().is_some_and(|it| !it.turn(now)) {
            self.hand_tapes(std::iter::repeat_with(|| None));
            self.recording = None;
            self.seen.lock().expect("watchers do not panic").records = false;
        }
    }

    /// A render thread that has not taken a tape for so many is stuck, and that is told of elsewhere.
    fn hand_tapes(&mut self, tapes: impl Iterator<Item = Option<Tape>>) {
        for (ends, tape) in self.ends.iter_mut().zip(tapes) {
            let _ = ends.tapes.push(tape);
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
        let to = |address| SocketAddr::new(IpAddr::V4(address), self.artnet_port);
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

    fn each_second(&mut self, now: ShowTime) {
        self.memory.say_failures(self.gauges.failed.load(Relaxed));
        let foreign: Vec<_> = self
            .universes
            .iter()
            .map(|(universe, port)| self.foreign(*universe, *port, now))
            .collect();
        self.memory.say_foreign(self.universes.iter().map(|(it, _)| *it).zip(&foreign));
        let mut seen = self.seen.lock().expect("watchers do not panic");
        let gauges = self.gauges.universes.iter();
        for ((seen, gauge), foreign) in seen.universes.iter_mut().zip(gauges).zip(foreign) {
            let frames = gauge.frames.load(Relaxed);
            // The first second is not a whole one.
            seen.rate = (seen.counted > 0).then(|| frames - seen.counted);
            seen.counted = frames;
            seen.foreign = foreign;
        }
    }

    fn foreign(
        &self,
        universe: Universe,
        port: Option<PortAddress>,
        now: ShowTime,
    ) -> Vec<Foreign> {
        let sacn = self.receiver.sources(universe, now).into_iter().map(|source| Foreign {
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

impl Memory {
    fn say_nodes(&mut self, universe: Universe, nodes: &[NodeGlance]) {
        let before = self.nodes.insert(universe, nodes.to_vec()).unwrap_or_default();
        for node in nodes.iter().filter(|node| !before.contains(node)) {
            tracing::info!("node {node} takes universe {universe}");
        }
        for node in before.iter().filter(|node| !nodes.contains(node)) {
            tracing::warn!("node {node} no longer takes universe {universe}");
        }
    }

    fn say_foreign<'a>(&mut self, all: impl Iterator<Item = (Universe, &'a Vec<Foreign>)>) {
        let mut now = BTreeSet::new();
        for (universe, foreign) in all {
            now.extend(foreign.iter().map(|it| (universe, it.to_string())));
        }
        for (universe, who) in now.difference(&self.foreign) {
            tracing::warn!("{who} sends on our universe {universe}");
        }
        for (universe, who) in self.foreign.difference(&now) {
            tracing::info!("{who} sends on our universe {universe} no more");
        }
        self.foreign = now;
    }

    fn say_failures(&mut self, failed: u64) {
        let more = failed - self.failed;
        match (more, self.failing) {
            (1.., false) => tracing::warn!("{more} lighting packets could not be sent in a second"),
            (0, true) => tracing::info!("lighting packets leave again; {failed} were lost in all"),
            _ => {}
        }
        self.failing = more > 0;
        self.failed = failed;
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
