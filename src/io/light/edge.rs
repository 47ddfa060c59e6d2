//! The edge thread: listens, asks and answers, keeps count, and says in the log what a person should know.
//!
//! In: datagrams, the render thread's reports. Out: polls, replies and discoveries; subscribers for the render thread;
//! frame reports. It may allocate, lock and log, as the render thread may not.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use engine::clock::Overlay;
use engine::light::blind::BlindDiscovery;
use engine::light::controller::{Controller, Subscriber};
use engine::light::discover::Discovery;
use engine::light::input::{InputSource, InputState, InputTable, Inputs};
use engine::light::parts::Frames;
use engine::light::rdm;
use engine::light::turn::{Handover, Turn};
use engine::order::Evidence;
use engine::show::{ArtnetKey, Sending};
use engine::timecode::Heard;
use engine::told::Input;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use rtrb::{Consumer, Producer};
use tokio::sync::mpsc::WeakSender;
use tokio::sync::oneshot;
use units::{OrderId, PortAddress, ShowTime, Span, Universe};
use uuid::Uuid;
use wire::artnet::Trigger;

use super::glance::{Foreign, NodeGlance};
use super::kept::{self, Keeper};
use super::memory::Memory;
use super::net::v4;
use super::outbox::Address;
use super::record::{Recording, Tape, Wanted};
use super::reels::Reels;
use super::render::{Gauges, Leave, Old, Table, Told, phase_of};
use crate::clock::BoxClock;

/// How long it listens before it looks at its clock and its rings: two frames, since to be woken costs more than all that
/// it finds there. What comes by the network and errands wake it at once.
const TURN_MS: u16 = 46;
/// The same where no light leaves or comes in: nodes' polls and goodbyes can wait so long.
const IDLE_TURN_MS: u16 = 184;
/// Datagrams of a socket in a turn; a flood waits in the kernel, and what does not fit there is lost.
const DATAGRAMS_A_TURN: usize = 64;
/// Sockets that are heard in a turn; the others are in the next.
const SOCKETS_A_TURN: usize = 64;
/// The number of Art-Net's socket; those of sACN follow on it.
const ARTNET: u64 = 0;
/// The number of the bell.
const BELL: u64 = u64::MAX;
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
    /// By phase.
    worst: Vec<Worst>,
    pub evidence: Option<Evidence>,
    /// Whoever wants to record.
    pub wanted: Option<Wanted>,
    /// Whoever does, or did.
    pub recorder: Option<WeakSender<Vec<u8>>>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct SeenUniverse {
    /// Frames in the last second; none before there was one.
    pub rate: Option<u64>,
    counted: u64,
    pub subscribers: Vec<NodeGlance>,
    pub foreign: Vec<Foreign>,
}

/// The worst lateness of each of the last seconds, newest last.
#[derive(Debug, Default, Clone)]
struct Worst(VecDeque<(i64, Span)>);

impl Seen {
    pub fn new(universes: usize, inputs: usize, phases: u16) -> Self {
        Self {
            universes: vec![SeenUniverse::default(); universes],
            inputs: vec![(InputState::Waiting, Vec::new()); inputs],
            worst: vec![Worst::default(); phases.into()],
            ..Self::default()
        }
    }

    /// Of a universe, in the last minute.
    pub fn worst(&self, universe: Universe, now: ShowTime) -> Option<Span> {
        self.worst[usize::from(phase_of(universe, self.worst.len() as u16))].until(now)
    }
}

impl Worst {
    fn until(&self, now: ShowTime) -> Option<Span> {
        let kept = now.ns() / 1_000_000_000 - WORST_KEPT as i64;
        self.0.iter().filter(|(second, _)| *second > kept).map(|(_, late)| *late).max()
    }

    fn note(&mut self, now: ShowTime, late: Span) {
        let second = now.ns() / 1_000_000_000;
        match self.0.back_mut() {
            Some((newest, worst)) if *newest == second => *worst = late.max(*worst),
            _ => self.0.push_back((second, late)),
        }
        while self.0.len() > WORST_KEPT {
            self.0.pop_front();
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
    /// Those that leave as sACN.
    pub sacn: BTreeSet<Universe>,
    /// Whether nodes are told when a frame is whole (rule A13).
    pub artnet_sync: bool,
    pub heard: Vec<UdpSocket>,
    pub inputs: Inputs,
    /// The newest of what came in.
    pub came: Arc<InputTable>,
    pub reels: Arc<Reels>,
    pub input_names: Vec<String>,
    /// Sockets in the groups of synchronization addresses that sources name.
    pub synchronized: BTreeMap<Universe, Vec<UdpSocket>>,
    pub join: Join,
    /// What all sockets are listened to with; none until it is asked for, and when they are others.
    pub ear: Option<Epoll>,
    /// Rings when there is an errand; none where the system gives none, and errands wait for the next turn.
    pub bell: Option<Arc<EventFd>>,
    pub discovery: Discovery,
    /// The same of what is seen blindly.
    pub blind: BlindDiscovery,
    pub discover_by: Arc<UdpSocket>,
    pub discover_by_v6: Option<Arc<UdpSocket>>,
    pub discover_to: Vec<SocketAddr>,
    /// One for each thread that sends.
    pub ends: Vec<EdgeEnds>,
    pub errands: mpsc::Receiver<Errand>,
    pub frames: Frames,
    pub report: Box<dyn FnMut(Input) + Send>,
    pub timecode: Box<dyn FnMut(Heard) + Send>,
    pub gauges: Arc<Gauges>,
    pub seen: Arc<Mutex<Seen>>,
    pub memory: Memory,
    /// Keeps what ArtAddress sets.
    pub keeper: Option<Keeper>,
    pub title: String,
    pub recording: Option<Recording>,
    pub waiting: Vec<Waiting>,
    /// sACN priority of the show.
    pub priority: u8,
    /// A box has been taken over from, and may still be sending.
    pub handover: Option<Handover>,
    /// Boxes that stand in for this one.
    pub boxes: BTreeSet<Uuid>,
    /// Who waits for an answer of lamps.
    pub rdm: BTreeMap<u64, oneshot::Sender<rdm::Done>>,
}

/// Opens sockets in the groups of a universe.
pub(super) type Join = Box<dyn Fn(Universe) -> std::io::Result<Vec<UdpSocket>> + Send>;

/// Its ends of a render thread's rings.
pub(super) struct EdgeEnds {
    pub tables: Producer<Arc<Table>>,
    pub tapes: Producer<Option<Tape>>,
    pub inputs: Producer<Arc<InputTable>>,
    pub old: Consumer<Old>,
    pub told: Consumer<Told>,
}

/// Whom the thread is asked by.
pub(super) struct Asker {
    pub queue: mpsc::Sender<Errand>,
    pub bell: Option<Arc<EventFd>>,
}

impl Asker {
    /// Never waits. A thread that has ended has nobody left to ask.
    pub fn ask(&self, errand: Errand) {
        let _ = self.queue.send(errand);
        // A bell that cannot be rung rings already.
        let _ = self.bell.as_ref().map(|bell| bell.write(1));
    }
}

/// What this thread is asked to do.
pub(super) enum Errand {
    /// Say this to the lighting network, then.
    Send { order: OrderId, at: ShowTime, what: Sending },
    /// Visualisers see these universes from now on.
    LookBlind(Vec<Universe>),
    /// It is this box's turn, or is not any more.
    TakeTurn { turn: Turn, from: Option<Uuid> },
    /// Boxes that stand in for this one.
    KnowBoxes(BTreeSet<Uuid>),
    /// Ask lamps this.
    Rdm { ask: rdm::Ask, answer: oneshot::Sender<rdm::Done> },
}

/// What waits for its time.
pub(super) struct Waiting {
    order: OrderId,
    at: ShowTime,
    what: Sending,
}

impl Edge {
    /// Runs until the render thread is told to leave.
    pub fn run(mut self) {
        while self.gauges.leaving() == Leave::Not {
            self.listen();
            let now = self.steady.show(self.clock.mono_now());
            self.bring_in(now);
            self.keep(now);
            self.drain();
            self.record();
            self.speak(now);
            self.run_errands();
            self.publish();
            if now.ns() / 1_000_000_000 != self.memory.second {
                self.memory.second = now.ns() / 1_000_000_000;
                self.each_second();
            }
        }
        // What left before the end belongs to a recording.
        self.record();
        let last = self.inputs.unkept().cloned();
        self.keeper.into_iter().for_each(|keeper| keeper.end(last.clone(), kept::END));
    }

    fn listen(&mut self) {
        let ready = self.wait();
        let now = self.steady.show(self.clock.mono_now());
        let inputs = &mut self.inputs;
        if let Some((socket, controller)) = &mut self.artnet {
            let hear = |bytes: &[u8], from| {
                let Some(from) = v4(from) else { return };
                // Before it is answered, so that the answer tells of what it has set.
                if controller.hears(*from.ip()) && inputs.handle_artnet(now, bytes, *from.ip()) {
                    tell_ports(controller, inputs, now);
                }
                controller.handle(now, bytes, from);
                let said = controller.timecode(bytes, from);
                let heard = said.and_then(|it| Heard::from_artnet(it, self.clock.now()));
                heard.into_iter().for_each(&mut self.timecode);
            };
            if ready.contains(&ARTNET) {
                for_each_datagram(socket, hear);
            }
            while let Some((Trigger { key, sub_key, .. }, from)) = controller.poll_trigger() {
                (self.report)(Input::ArtTrigger { key: ArtnetKey { key, sub: sub_key }, from });
            }
        }
        let sacn = self.heard.iter().chain(self.synchronized.values().flatten());
        for (socket, _) in sacn.zip(ARTNET + 1..).filter(|(_, number)| ready.contains(number)) {
            for_each_datagram(socket, |bytes, from| inputs.handle_sacn(now, bytes, from.ip()));
        }
    }

    /// Waits a turn, or until something comes; the numbers of the sockets it came by.
    fn wait(&mut self) -> BTreeSet<u64> {
        let patience = self.patience();
        let ear = self.ear.take().map_or_else(|| self.watched(), Ok);
        let mut events = [EpollEvent::empty(); SOCKETS_A_TURN];
        // An interrupted wait is a short one.
        let came = ear.as_ref().map_or(Err(Errno::EMFILE), |ear| ear.wait(&mut events, patience));
        if ear.is_err() {
            std::thread::sleep(Duration::from_millis(TURN_MS.into()));
        }
        self.ear = ear.ok();
        let ready: BTreeSet<u64> =
            events[..came.unwrap_or(0)].iter().map(EpollEvent::data).collect();
        let bell = self.bell.as_ref().filter(|_| ready.contains(&BELL));
        // It rings until it is read.
        let _ = bell.map(|bell| bell.read());
        ready
    }

    /// All sockets, each with its number. Nothing comes by most of them most of the time, so the kernel is to tell of
    /// them rather than be asked of each.
    fn watched(&self) -> nix::Result<Epoll> {
        let ear = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let add = |socket: BorrowedFd, number| {
            ear.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, number))
        };
        self.bell.iter().try_for_each(|bell| add(bell.as_fd(), BELL))?;
        self.artnet.iter().try_for_each(|(socket, _)| add(socket.as_fd(), ARTNET))?;
        let sacn = self.heard.iter().chain(self.synchronized.values().flatten());
        sacn.zip(ARTNET + 1..).try_for_each(|(socket, number)| add(socket.as_fd(), number))?;
        Ok(ear)
    }

    /// Tells the render thread what has come in, and whoever waits for it what that has crossed.
    fn bring_in(&mut self, now: ShowTime) {
        self.inputs.tick(now);
        if let Some((_, controller)) = &mut self.artnet {
            tell_ports(controller, &mut self.inputs, now);
        }
        while let Some(trigger) = self.inputs.take_crossed() {
            (self.report)(Input::Crossed { trigger });
        }
        // A render thread that is behind gets the newest when it has room again.
        if self.ends.iter().all(|ends| ends.inputs.slots() > 0)
            && let Some(table) = self.inputs.take_table()
        {
            let now = self.clock.now();
            self.recording.iter_mut().for_each(|recording| recording.hear(now, &table));
            self.came = table.clone();
            self.ends.iter_mut().for_each(|ends| drop(ends.inputs.push(table.clone())));
        }
    }

    /// What was set is handed to the disk.
    fn keep(&mut self, now: ShowTime) {
        let Some(keeper) = &self.keeper else { return };
        if self.inputs.poll_settings(now).is_some_and(|settings| keeper.keep(settings)) {
            self.inputs.settings_kept();
        }
    }

    /// Joins the groups of the synchronization addresses that sources name now, and leaves those of others.
    fn synchronize(&mut self) {
        let named = self.inputs.sync_addresses();
        if self.synchronized.keys().eq(&named) {
            return;
        }
        self.ear = None;
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
                        let frame = self.frames.add(&part).map(Input::LightFrame);
                        frame.into_iter().for_each(&mut self.report);
                    }
                    Told::Late { phase, late, evidence } => {
                        let mut seen = self.seen.lock().expect("watchers do not panic");
                        seen.worst[usize::from(phase)].note(now, late);
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
            let (mut recording, tapes) =
                Recording::begin(wanted, &self.title, now, threads, gauges);
            recording.hear(now, &self.came);
            self.hand_tapes(tapes.into_iter().map(Some));
            self.recording = Some(recording);
        }
        if self.recording.as_mut().is_some_and(|it| !it.turn(now)) {
            self.hand_tapes(std::iter::repeat_with(|| None));
            self.recording = None;
        }
    }

    /// A render thread that has not taken a tape for so many is stuck, and that is told of elsewhere.
    fn hand_tapes(&mut self, tapes: impl Iterator<Item = Option<Tape>>) {
        for (ends, tape) in self.ends.iter_mut().zip(tapes) {
            let _ = ends.tapes.push(tape);
        }
    }

    fn speak(&mut self, now: ShowTime) {
        for page in self.discovery.tick(now).iter().chain(&self.blind.tick(now)) {
            for to in &self.discover_to {
                let v6 = self.discover_by_v6.as_ref().filter(|_| to.is_ipv6());
                // The next one comes in 10 s; a link that is down is told of by the frames.
                let _ = v6.unwrap_or(&self.discover_by).send_to(page, to);
            }
        }
        let said = std::mem::take(&mut self.memory.diagnostics);
        if let Some((_, controller)) = &mut self.artnet {
            said.into_iter().for_each(|(priority, text)| controller.diagnose(priority, text));
            controller.tick(now);
        }
        self.post();
        self.answer_rdm();
    }

    /// Whatever the controller has to say leaves; tells how much did.
    fn post(&mut self) -> usize {
        let Some((socket, controller)) = &mut self.artnet else { return 0 };
        let letters = std::iter::from_fn(|| controller.poll());
        letters.filter(|letter| socket.send_to(&letter.bytes, letter.to).is_ok()).count()
    }

    /// What cues say beside levels leaves at its time.
    fn run_errands(&mut self) {
        while let Ok(errand) = self.errands.try_recv() {
            match errand {
                Errand::Send { order, at, what } => self.waiting.push(Waiting { order, at, what }),
                Errand::LookBlind(universes) => {
                    let now = self.steady.show(self.clock.mono_now());
                    let sent = |it: &Universe| self.sacn.contains(it);
                    self.blind.look(now, universes.into_iter().filter(sent).collect());
                }
                Errand::TakeTurn { turn, from } => {
                    let at = self.steady.show(self.clock.mono_now());
                    let from = from.filter(|_| turn == Turn::TakesOver);
                    self.handover = from.map(|from| Handover { at, from });
                }
                Errand::KnowBoxes(boxes) => self.boxes = boxes,
                Errand::Rdm { ask, answer } => self.ask_rdm(ask, answer),
            }
        }
        let now = self.clock.now();
        let due: Vec<_> = self.waiting.extract_if(.., |it| it.at <= now).collect();
        for Waiting { order, what, .. } in due {
            if let Some((_, controller)) = &mut self.artnet {
                say(controller, &self.universes, &what);
            }
            if self.post() > 0 {
                let (at, evidence) = (self.clock.now(), Evidence::AfterSend);
                (self.report)(Input::Sent { order, at, evidence });
            }
        }
    }

    /// Without Art-Net nobody answers: who asked sees that the other end is gone.
    fn ask_rdm(&mut self, ask: rdm::Ask, answer: oneshot::Sender<rdm::Done>) {
        let now = self.steady.show(self.clock.mono_now());
        if let Some((_, controller)) = &mut self.artnet {
            self.rdm.insert(controller.ask_rdm(now, ask), answer);
        }
    }

    fn answer_rdm(&mut self) {
        let Some((_, controller)) = &mut self.artnet else { return };
        while let Some((id, done)) = controller.poll_rdm() {
            // Who asked may have gone meanwhile.
            let _ = self.rdm.remove(&id).map(|answer| answer.send(done));
        }
    }

    /// A turn, or until something is due before its end.
    fn patience(&self) -> EpollTimeout {
        let until = |it: &Waiting| self.clock.until(it.at).as_micros().div_ceil(1000);
        let first = self.waiting.iter().map(until).min().unwrap_or(u128::MAX);
        let is_idle = self.universes.is_empty() && self.input_names.is_empty();
        let turn = if is_idle { IDLE_TURN_MS } else { TURN_MS };
        EpollTimeout::from(first.min(u128::from(turn)) as u16)
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
        let subscribers = |all: &Vec<Subscriber>| all.iter().map(|it| to(it.address)).collect();
        let table = Arc::new(Table {
            subscribers: found.iter().map(subscribers).collect(),
            sync: self.sync_goes_to(controller).into_iter().map(to).collect(),
        });
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

    /// By broadcast, as ArtSync is meant; without a lighting interface to each subscriber.
    fn sync_goes_to(&self, controller: &Controller) -> Vec<Ipv4Addr> {
        if self.artnet_sync { controller.all_subscribers() } else { Vec::new() }
    }

    fn each_second(&mut self) {
        self.end_handover();
        self.memory.say_failures(self.gauges.failed.load(Relaxed));
        self.reels.tell();
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

    /// Who has taken over sends at the show's own priority again when the box before is seen no more.
    fn end_handover(&mut self) {
        let now = self.steady.show(self.clock.mono_now());
        let heard = self.sacn.iter().flat_map(|it| self.inputs.senders(*it));
        if self.handover.is_some_and(|it| it.is_over(now, self.priority, heard)) {
            self.handover = None;
            self.gauges.end_takeover();
        }
    }

    fn foreign(&self, universe: Universe, port: Option<PortAddress>) -> Vec<Foreign> {
        let strangers = self.inputs.senders(universe).into_iter();
        let strangers = strangers.filter(|it| !self.boxes.contains(&it.cid));
        let sacn = strangers.map(|source| Foreign {
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

fn say(controller: &mut Controller, universes: &[(Universe, Option<PortAddress>)], what: &Sending) {
    match what {
        Sending::Artnet(ArtnetKey { key, sub }) => controller.press(Trigger::new(*key, *sub)),
        Sending::StartCode { universe, start_code, slots } => {
            let port = universes.iter().find(|(it, _)| it == universe).and_then(|(_, port)| *port);
            port.into_iter().for_each(|port| controller.send_nzs(port, *start_code, slots));
        }
    }
}

/// How what comes in is, for ArtPollReply.
fn tell_ports(controller: &mut Controller, inputs: &mut Inputs, now: ShowTime) {
    inputs.take_ports().into_iter().for_each(|ports| controller.set_ports(now, ports));
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

#[cfg(test)]
mod tests {
    use units::Moment;

    use super::*;

    #[test]
    fn what_was_late_is_known_for_a_minute_of_the_universes_that_left_with_it() {
        let mut seen = Seen::new(0, 0, 16);
        let universe = |number| Universe::new(number).expect("a universe");
        let at = |second: i64| Moment::from_ns(second * 1_000_000_000);
        for (second, us) in [(10, 300), (10, 900), (11, 200)] {
            seen.worst[5].note(at(second), Span::from_micros(us));
        }
        let of = |number, second| seen.worst(universe(number), at(second));
        assert_eq!(of(5, 12), Some(Span::from_micros(900)));
        assert_eq!(of(21, 69), Some(Span::from_micros(900)), "of the same phase");
        assert_eq!(of(5, 70), Some(Span::from_micros(200)));
        assert_eq!(of(5, 71), None);
        assert_eq!(of(6, 12), None);
    }
}
