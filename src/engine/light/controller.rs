//! The Art-Net controller: asks who is there, knows who wants which port address, and answers when it is asked.
//!
//! In: datagrams and ticks, each with its time; chance once, at the start. Out: [`Letter`]s, the subscribers of each
//! port address, triggers for the show. Never here: sockets, and ArtDmx itself, which the render thread sends. Nobody
//! programs us: ArtAddress and ArtInput are answered, ArtIpProg and ArtCommand passed over.
//!
//! *Node*: whatever answers ArtPoll, an ArtPollReply at a time (rule A6). *Asker*: whoever polls us.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};

use units::{PortAddress, ShowTime, Span};
use wire::artnet::{
    self, DiagData, DiagPriority, Diagnostics, Packet, Poll, PollReply, Port, TimeCode, Trigger,
};
use wire::rdm::Uid;

mod diagnostics;
mod replies;

use super::rdm::{self, Rdm};
use diagnostics::Way;

/// Every 2.5 to 3 s, for as long as we run (rule A2).
pub const POLL_EVERY: Span = Span::from_millis(2500);
/// A node that lets a poll go by for so long is gone (rule A4).
pub const NODE_SILENT_MAX: Span = Span::from_secs(3);
/// Replies are spread over so long, lest all nodes answer in one burst (rule A3).
const REPLY_DELAY_MAX: Span = Span::from_secs(1);
/// An asker counts as interested in changes until it has missed three polls of its own.
const ASKER_KEPT: Span = Span::from_secs(10);
/// A foreign sender of ArtDmx is named for so long after its last packet (rule A16).
const FOREIGN_KEPT: Span = Span::from_secs(10);
/// ArtPollReplies kept. More than a touring rig has; beyond it new ones are passed over, so that a flood costs nobody.
pub const NODES_MAX: usize = 1024;
/// Askers and foreign senders kept, for the same reason.
const STRANGERS_MAX: usize = 64;

/// What the box knows of itself and its network.
#[derive(Debug, Clone)]
pub struct ControllerSetup {
    /// Our own address on the lighting network; unspecified if there is none of our own.
    pub own: Ipv4Addr,
    /// Our hardware address, zero if it is not known.
    pub mac: [u8; 6],
    /// The box's name.
    pub name: String,
    /// Where Art-Net listens.
    pub port: u16,
    /// Where a poll reaches everybody: the directed broadcast address of the lighting interface, if there is one.
    pub broadcast: Option<Ipv4Addr>,
    /// Who is polled besides.
    pub poll: BTreeSet<Ipv4Addr>,
    /// Who may talk to us.
    pub reach: Reach,
    /// The port addresses that we send.
    pub ports: BTreeSet<PortAddress>,
    /// Our own name among RDM devices.
    pub uid: Uid,
    /// Those that we take from desks, so that they send them to us.
    pub takes: BTreeSet<PortAddress>,
    /// sACN priority of the show, 0 to 200.
    pub priority: u8,
    /// Chance, for the delay of replies.
    pub chance: u64,
}

/// Who may talk to us: the lighting network, this machine, and who is polled by name. Wi-Fi is not among them unasked.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Address and mask of the lighting interface; none while no interface is named.
    pub network: Option<(Ipv4Addr, Ipv4Addr)>,
}

impl Reach {
    fn covers(&self, address: Ipv4Addr) -> bool {
        let within = |(base, mask): (Ipv4Addr, Ipv4Addr)| {
            address.to_bits() & mask.to_bits() == base.to_bits() & mask.to_bits()
        };
        address.is_loopback() || self.network.is_some_and(within)
    }
}

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Where to.
    pub to: SocketAddrV4,
    /// What.
    pub bytes: Vec<u8>,
}

/// A node that wants a port address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Where it is.
    pub address: Ipv4Addr,
    /// Its short name, as it gives it.
    pub name: String,
}

/// The controller's state.
#[derive(Debug, Clone)]
pub struct Controller {
    setup: ControllerSetup,
    nodes: BTreeMap<NodeId, Node>,
    askers: BTreeMap<Ipv4Addr, Asker>,
    foreign: BTreeMap<(PortAddress, Ipv4Addr), ShowTime>,
    next_poll: ShowTime,
    replies: u32,
    chance: u64,
    generation: u64,
    letters: VecDeque<Letter>,
    triggers: VecDeque<(Trigger, Ipv4Addr)>,
    /// The latest number of each port address's ArtNzs.
    nzs: BTreeMap<PortAddress, u8>,
    rdm: Rdm,
}

/// An address, and the bind index of one of the replies from there.
type NodeId = (Ipv4Addr, u8);

#[derive(Debug, Clone)]
struct Node {
    name: String,
    outputs: Vec<PortAddress>,
    /// The oldest poll that it has not answered.
    unanswered: Option<ShowTime>,
}

#[derive(Debug, Clone)]
struct Asker {
    asked: ShowTime,
    on_change: bool,
    diagnostics: Option<Diagnostics>,
    /// The port that it asked from, besides the one where Art-Net listens.
    port: u16,
    reply_due: Option<ShowTime>,
}

impl Controller {
    /// Polls at its first tick.
    pub fn new(setup: ControllerSetup, now: ShowTime) -> Self {
        Self {
            chance: setup.chance,
            rdm: Rdm::new(setup.uid, setup.ports.clone()),
            setup,
            nodes: BTreeMap::new(),
            askers: BTreeMap::new(),
            foreign: BTreeMap::new(),
            next_poll: now,
            replies: 0,
            generation: 0,
            letters: VecDeque::new(),
            triggers: VecDeque::new(),
            nzs: BTreeMap::new(),
        }
    }

    /// A datagram came. What is not Art-Net, or comes from beyond our reach, changes nothing.
    pub fn handle(&mut self, now: ShowTime, datagram: &[u8], from: SocketAddrV4) {
        let address = *from.ip();
        if !self.hears(address) {
            return;
        }
        match artnet::parse(datagram) {
            Ok(Packet::Poll(poll)) => self.handle_poll(now, &poll, from),
            Ok(Packet::PollReply(reply)) => self.handle_reply(now, &reply, address),
            Ok(Packet::Address { bind_index, .. } | Packet::Input { bind_index }) => {
                self.answer_programming(bind_index, from);
            }
            Ok(Packet::Dmx(dmx)) => self.handle_foreign(now, dmx.port_address, address),
            Ok(Packet::Trigger(trigger)) => self.handle_trigger(trigger, address),
            // Slots with a start code of their own are no levels (rule A18), and diagnostics are for people.
            Ok(Packet::Nzs(_) | Packet::DiagData(_)) => {}
            Ok(Packet::TodData(part)) => self.rdm.handle_table(now, &part, address),
            Ok(Packet::Rdm(packet)) => self.rdm.handle_message(now, &packet, address),
            // Whoever sends this sends ArtRdm as well.
            Ok(Packet::RdmSub(_)) => {}
            Ok(Packet::Sync | Packet::TimeCode(_) | Packet::Other(_)) | Err(_) => {}
        }
    }

    /// The timecode in a datagram (rule A14), if it is one from within our reach. Our own comes back by broadcast.
    pub fn timecode(&self, datagram: &[u8], from: SocketAddrV4) -> Option<TimeCode> {
        match artnet::parse(datagram) {
            Ok(Packet::TimeCode(said)) if self.hears(*from.ip()) => {
                (*from.ip() != self.setup.own).then_some(said)
            }
            _ => None,
        }
    }

    /// Whether somebody is within our reach.
    pub fn hears(&self, address: Ipv4Addr) -> bool {
        self.setup.reach.covers(address) || self.setup.poll.contains(&address)
    }

    /// Time has come this far.
    pub fn tick(&mut self, now: ShowTime) {
        if now >= self.next_poll {
            self.ask_everybody(now);
        }
        self.drop_silent(now);
        self.answer_due(now);
        self.rdm.tick(now);
        self.askers.retain(|_, it| it.reply_due.is_some() || now - it.asked < ASKER_KEPT);
        self.foreign.retain(|_, heard| now - *heard < FOREIGN_KEPT);
    }

    /// The next datagram to send, none when there is none.
    pub fn poll(&mut self) -> Option<Letter> {
        while let Some((to, bytes)) = self.rdm.poll() {
            let to = to.map_or_else(|| self.everybody(), |address| vec![address]);
            to.into_iter().for_each(|address| self.post(address, bytes.clone()));
        }
        self.letters.pop_front()
    }

    /// Asks lamps something (rule A19); the number under which [`Self::poll_rdm`] answers.
    pub fn ask_rdm(&mut self, now: ShowTime, ask: rdm::Ask) -> u64 {
        self.rdm.ask(now, ask)
    }

    /// The next answer of lamps, and to which question.
    pub fn poll_rdm(&mut self) -> Option<(u64, rdm::Done)> {
        self.rdm.poll_done()
    }

    /// The next trigger for us, and who pressed it (rule A15).
    pub fn poll_trigger(&mut self) -> Option<(Trigger, Ipv4Addr)> {
        self.triggers.pop_front()
    }

    /// Presses a key everywhere (rule A15).
    pub fn press(&mut self, trigger: Trigger) {
        for address in self.everybody() {
            self.post(address, trigger.emit().to_vec());
        }
    }

    /// Slots with a start code of their own, to who subscribes to the port address (rule A18); what may not be sent is not.
    pub fn send_nzs(&mut self, port_address: PortAddress, start_code: u8, slots: &[u8]) {
        let sequence = self.nzs.entry(port_address).or_default();
        *sequence = *sequence % u8::MAX + 1;
        let nzs = artnet::Nzs { sequence: *sequence, start_code, port_address, slots };
        let Some(bytes) = nzs.emit() else { return };
        for node in self.subscribers(port_address) {
            self.post(node.address, bytes.clone());
        }
    }

    /// A line for whoever asked for diagnostics of that priority (rule A18).
    pub fn diagnose(&mut self, priority: DiagPriority, text: String) {
        let wanted = |(address, it): (&Ipv4Addr, &Asker)| Some((*address, it.diagnostics?));
        let to = match diagnostics::way(priority, self.askers.iter().filter_map(wanted)) {
            Way::Nobody => return,
            Way::One(address) => vec![address],
            Way::Everybody => self.everybody(),
        };
        let line = DiagData { priority, logical_port: 0, text };
        for address in to {
            self.post(address, line.emit());
        }
    }

    /// Where what is for everybody goes: the broadcast address, or, without one, whoever is known.
    pub fn everybody(&self) -> Vec<Ipv4Addr> {
        let nodes = self.nodes.keys().map(|(address, _)| address);
        let known = || nodes.chain(self.askers.keys()).chain(&self.setup.poll);
        match self.setup.broadcast {
            Some(address) => vec![address],
            None => known().copied().collect::<BTreeSet<_>>().into_iter().collect(),
        }
    }

    /// Where what is for all subscribers goes: the broadcast address, or, without one, each of them once.
    pub fn all_subscribers(&self) -> Vec<Ipv4Addr> {
        let mut nodes: Vec<_> = self.nodes.keys().map(|(address, _)| *address).collect();
        nodes.dedup();
        self.setup.broadcast.map_or(nodes, |address| vec![address])
    }

    /// Changes whenever somebody subscribes or is gone.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Who wants this port address (rule A8): each address once, in order.
    pub fn subscribers(&self, port: PortAddress) -> Vec<Subscriber> {
        let mut found: Vec<Subscriber> = Vec::new();
        for ((address, _), node) in self.nodes.iter().filter(|(_, it)| it.outputs.contains(&port)) {
            if found.last().is_none_or(|last| last.address != *address) {
                found.push(Subscriber { address: *address, name: node.name.clone() });
            }
        }
        found
    }

    /// Who else has sent us this port address lately.
    pub fn foreign(&self, port: PortAddress) -> impl Iterator<Item = Ipv4Addr> {
        self.foreign.keys().filter(move |(it, _)| *it == port).map(|(_, address)| *address)
    }

    fn handle_poll(&mut self, now: ShowTime, poll: &Poll, from: SocketAddrV4) {
        let targeted = |range| {
            let mut all = self.setup.ports.iter().chain(&self.setup.takes);
            all.any(|it| std::ops::RangeInclusive::contains(range, &it.raw()))
        };
        if poll.target.as_ref().is_some_and(|range| !targeted(range)) {
            return;
        }
        if !self.askers.contains_key(from.ip()) && self.askers.len() >= STRANGERS_MAX {
            return;
        }
        let due = now + self.delay();
        let before = self.askers.get(from.ip()).and_then(|asker| asker.reply_due);
        let asker = Asker {
            asked: now,
            on_change: poll.on_change,
            diagnostics: poll.diagnostics,
            port: from.port(),
            // Who asks faster than we answer gets one answer for all.
            reply_due: before.or(Some(due)),
        };
        self.askers.insert(*from.ip(), asker);
    }

    fn handle_reply(&mut self, now: ShowTime, reply: &PollReply, from: Ipv4Addr) {
        let id = (from, reply.bind_index);
        let outputs: Vec<PortAddress> = reply
            .ports
            .iter()
            .filter_map(|port| match port {
                Port::Output(address) if self.setup.ports.contains(address) => Some(*address),
                _ => None,
            })
            .collect();
        let known = self.nodes.get(&id).map(|node| node.outputs.as_slice()).unwrap_or_default();
        let changed = known != outputs;
        if outputs.is_empty() {
            self.nodes.remove(&id);
        } else if self.nodes.contains_key(&id) || self.nodes.len() < NODES_MAX {
            let name = reply.short_name.clone();
            self.nodes.insert(id, Node { name, outputs, unanswered: None });
        } else {
            return;
        }
        if changed {
            self.subscribers_changed(now);
        }
    }

    /// We are not programmed over the network; whoever tries gets to read how we are (rule A5).
    fn answer_programming(&mut self, bind_index: u8, from: SocketAddrV4) {
        let meant = |reply: &PollReply| reply.bind_index == bind_index.max(1);
        self.reply_to(*from.ip(), from.port(), meant);
    }

    fn handle_trigger(&mut self, trigger: Trigger, from: Ipv4Addr) {
        if trigger.is_for_us() && from != self.setup.own && self.triggers.len() < STRANGERS_MAX {
            self.triggers.push_back((trigger, from));
        }
    }

    fn handle_foreign(&mut self, now: ShowTime, port: PortAddress, from: Ipv4Addr) {
        let ours = self.setup.ports.contains(&port) && from != self.setup.own;
        let room = self.foreign.len() < STRANGERS_MAX || self.foreign.contains_key(&(port, from));
        if ours && room {
            self.foreign.insert((port, from), now);
        }
    }

    fn ask_everybody(&mut self, now: ShowTime) {
        let bytes = artnet::poll(&Poll { on_change: true, ..Poll::default() });
        let reached = self.setup.broadcast.iter().chain(&self.setup.poll);
        let letters = reached.map(|&address| Letter {
            to: SocketAddrV4::new(address, self.setup.port),
            bytes: bytes.to_vec(),
        });
        self.letters.extend(letters);
        for node in self.nodes.values_mut() {
            node.unanswered.get_or_insert(now);
        }
        // Polls do not creep with the ticks; after a long stall they begin anew.
        self.next_poll += POLL_EVERY;
        if self.next_poll <= now {
            self.next_poll = now + POLL_EVERY;
        }
    }

    fn drop_silent(&mut self, now: ShowTime) {
        let before = self.nodes.len();
        let silent =
            |node: &Node| node.unanswered.is_some_and(|asked| now - asked > NODE_SILENT_MAX);
        self.nodes.retain(|_, node| !silent(node));
        if self.nodes.len() != before {
            self.subscribers_changed(now);
        }
    }

    fn answer_due(&mut self, now: ShowTime) {
        let due = |it: &Asker| it.reply_due.is_some_and(|due| due <= now);
        let askers: Vec<_> = self
            .askers
            .iter_mut()
            .filter(|(_, it)| due(it))
            .map(|(address, asker)| {
                asker.reply_due = None;
                (*address, asker.port)
            })
            .collect();
        for (address, port) in askers {
            self.reply_to(address, port, |_| true);
        }
    }

    /// Whom we play to is our status: askers who want changes read it at once (rule A5).
    fn subscribers_changed(&mut self, now: ShowTime) {
        self.generation += 1;
        let interested: Vec<_> = self
            .askers
            .iter()
            .filter(|(address, it)| {
                it.on_change && now - it.asked < ASKER_KEPT && **address != self.setup.own
            })
            .map(|(address, it)| (*address, it.port))
            .collect();
        for (address, port) in interested {
            self.reply_to(address, port, |_| true);
        }
    }

    /// To the port where Art-Net listens, and to the port that asked where that is another one: tools do so.
    fn reply_to(&mut self, address: Ipv4Addr, asked_from: u16, meant: impl Fn(&PollReply) -> bool) {
        let ports = BTreeSet::from([self.setup.port, asked_from]);
        let status = self.status();
        for reply in replies::replies(&self.setup).into_iter().filter(meant) {
            self.replies = self.replies % 9999 + 1;
            // 0001 is "power on tests successful" (table 3): nothing is wrong.
            let report = format!("#0001 [{:04}] {status}", self.replies);
            let bytes = PollReply { report, ..reply }.emit().to_vec();
            let to = ports.iter().filter(|&&port| port != 0);
            let to = to.map(|&port| SocketAddrV4::new(address, port));
            self.letters.extend(to.map(|to| Letter { to, bytes: bytes.clone() }));
        }
    }

    fn post(&mut self, address: Ipv4Addr, bytes: Vec<u8>) {
        let to = SocketAddrV4::new(address, self.setup.port);
        self.letters.push_back(Letter { to, bytes });
    }

    fn status(&self) -> String {
        let nodes: BTreeSet<_> = self.nodes.keys().map(|(address, _)| address).collect();
        format!("{} universes to {} nodes", self.setup.ports.len(), nodes.len())
    }

    /// Up to a second, evenly (Weyl sequence, mixed as SplitMix64 does).
    fn delay(&mut self) -> Span {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        Span::from_ns((mixed % REPLY_DELAY_MAX.ns() as u64) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOX: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 255);
    const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
    const DESK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

    /// A controller on a lighting network, stepped every 10 ms.
    struct Rig {
        controller: Controller,
        now: ShowTime,
        sent: Vec<(ShowTime, Letter)>,
    }

    impl Rig {
        fn new() -> Self {
            let setup = ControllerSetup {
                own: BOX,
                mac: [0; 6],
                name: "box".into(),
                port: artnet::PORT,
                broadcast: Some(BROADCAST),
                poll: BTreeSet::from([Ipv4Addr::new(127, 0, 0, 2)]),
                reach: Reach { network: Some((BOX, Ipv4Addr::new(255, 255, 255, 0))) },
                ports: BTreeSet::from([port(1), port(2)]),
                uid: Uid { maker: artnet::ESTA, device: 1 },
                takes: BTreeSet::new(),
                priority: 100,
                chance: 3,
            };
            let controller = Controller::new(setup, ShowTime::ZERO);
            Self { controller, now: ShowTime::ZERO, sent: Vec::new() }
        }
        fn run(&mut self, span: Span) -> &mut Self {
            let end = self.now + span;
            while self.now < end {
                self.controller.tick(self.now);
                while let Some(letter) = self.controller.poll() {
                    self.sent.push((self.now, letter));
                }
                self.now += Span::from_millis(10);
            }
            self
        }
        fn hear(&mut self, bytes: &[u8], from: Ipv4Addr) -> &mut Self {
            let from = SocketAddrV4::new(from, artnet::PORT);
            self.controller.handle(self.now, bytes, from);
            self.run(Span::from_millis(10))
        }
        fn polls(&self, to: Ipv4Addr) -> Vec<ShowTime> {
            self.read(to, |packet| matches!(packet, Packet::Poll(_)))
        }
        fn replies(&self, to: Ipv4Addr) -> Vec<ShowTime> {
            // The root stands for all replies of ours to one question.
            self.read(to, |it| matches!(it, Packet::PollReply(reply) if reply.bind_index == 1))
        }
        fn read(&self, to: Ipv4Addr, want: impl Fn(&Packet) -> bool) -> Vec<ShowTime> {
            let wanted = |letter: &Letter| {
                *letter.to.ip() == to && want(&artnet::parse(&letter.bytes).expect("our own"))
            };
            self.sent.iter().filter(|(_, letter)| wanted(letter)).map(|(at, _)| *at).collect()
        }
        fn subscribers(&self, raw: u32) -> Vec<Ipv4Addr> {
            self.controller.subscribers(port(raw)).iter().map(|it| it.address).collect()
        }
    }

    fn port(raw: u32) -> PortAddress {
        PortAddress::new(raw).expect("15 bits")
    }
    fn secs(secs: i64) -> Span {
        Span::from_secs(secs)
    }
    fn asks(on_change: bool) -> Vec<u8> {
        artnet::poll(&Poll { on_change, ..Poll::default() }).to_vec()
    }
    fn subscribes(raw: u32, bind_index: u8) -> Vec<u8> {
        let ports = vec![Port::Output(port(raw))];
        let name = "node".to_string();
        let reply =
            PollReply { ip: NODE, short_name: name, ports, bind_index, ..PollReply::default() };
        reply.emit().to_vec()
    }

    #[test]
    fn a02_everybody_is_polled_every_two_and_a_half_seconds_for_hours() {
        let mut rig = Rig::new();
        rig.run(secs(3600));
        for to in [BROADCAST, Ipv4Addr::new(127, 0, 0, 2)] {
            let polls = rig.polls(to);
            assert_eq!(polls.len(), 1440);
            assert!(polls.windows(2).all(|pair| (pair[1] - pair[0]) == POLL_EVERY));
        }
    }

    #[test]
    fn a02_a_stall_is_not_made_up_for_by_a_burst_of_polls() {
        let mut rig = Rig::new();
        rig.run(secs(5));
        rig.now += secs(60);
        let before = rig.polls(BROADCAST).len();
        rig.run(secs(5));
        assert!((2..=3).contains(&(rig.polls(BROADCAST).len() - before)));
    }

    #[test]
    fn a03_a_poll_is_answered_by_unicast_within_a_second_each_time_later_or_sooner() {
        let mut rig = Rig::new();
        let mut delays = BTreeSet::new();
        for _ in 0..20 {
            let asked = rig.now;
            let before = rig.replies(DESK).len();
            rig.hear(&asks(false), DESK).run(secs(2));
            let replies = rig.replies(DESK);
            assert_eq!(replies.len(), before + 1);
            delays.insert((replies[before] - asked).ns());
            assert!(replies[before] - asked <= REPLY_DELAY_MAX + Span::from_millis(10));
        }
        assert!(delays.len() > 10, "{delays:?}");
        assert!(rig.replies(BROADCAST).is_empty());
    }

    #[test]
    fn a03_its_own_poll_is_answered_too() {
        let mut rig = Rig::new();
        rig.hear(&asks(true), BOX).run(secs(2));
        assert_eq!(rig.replies(BOX).len(), 1);
    }

    #[test]
    fn a03_a_poll_for_other_port_addresses_is_none_of_ours() {
        let mut rig = Rig::new();
        let ask = |target| artnet::poll(&Poll { target: Some(target), ..Poll::default() });
        rig.hear(&ask(100..=200), DESK).run(secs(2));
        assert!(rig.replies(DESK).is_empty());
        rig.hear(&ask(0..=1), DESK).run(secs(2));
        assert_eq!(rig.replies(DESK).len(), 1);
    }

    #[test]
    fn a03_a_flood_of_polls_gets_one_answer_a_delay() {
        let mut rig = Rig::new();
        for _ in 0..1000 {
            rig.hear(&asks(true), DESK);
        }
        assert!(rig.replies(DESK).len() <= 40, "10 s of flood, half a second a reply");
    }

    #[test]
    fn a04_a_node_silent_for_three_seconds_after_a_poll_is_gone() {
        let mut rig = Rig::new();
        rig.run(Span::from_millis(100)).hear(&subscribes(1, 1), NODE);
        rig.run(Span::from_millis(5380));
        assert_eq!(rig.subscribers(1), [NODE], "polled at 2.5 s: it may answer until 5.5 s");
        rig.run(Span::from_millis(60));
        assert!(rig.subscribers(1).is_empty());
    }

    #[test]
    fn a04_a_node_that_answers_each_poll_late_stays() {
        let mut rig = Rig::new();
        for _ in 0..10 {
            rig.hear(&subscribes(1, 1), NODE).run(Span::from_millis(2900));
            assert_eq!(rig.subscribers(1), [NODE]);
        }
    }

    #[test]
    fn a05_who_asked_for_changes_hears_of_them_at_once() {
        let mut rig = Rig::new();
        rig.hear(&asks(true), DESK).hear(&asks(false), Ipv4Addr::new(10, 0, 0, 10)).run(secs(2));
        let before = rig.replies(DESK).len();
        rig.hear(&subscribes(1, 1), NODE);
        assert_eq!(rig.replies(DESK).len(), before + 1);
        assert_eq!(rig.replies(Ipv4Addr::new(10, 0, 0, 10)).len(), 1);
        rig.hear(&subscribes(1, 1), NODE);
        assert_eq!(rig.replies(DESK).len(), before + 1, "nothing changed");
    }

    #[test]
    fn a05_programming_is_answered_with_a_reply() {
        let mut rig = Rig::new();
        for (operation, length) in [(0x6000_u16, 107), (0x7000, 20)] {
            let mut bytes = vec![0; length];
            bytes[..8].copy_from_slice(b"Art-Net\0");
            bytes[8..10].copy_from_slice(&operation.to_le_bytes());
            bytes[11] = 14;
            let before = rig.replies(DESK).len();
            rig.hear(&bytes, DESK);
            assert_eq!(rig.replies(DESK).len(), before + 1, "{operation:#x}");
        }
    }

    #[test]
    fn a06_what_comes_in_has_a_reply_of_its_own_and_is_an_output_to_the_network() {
        let mut rig = Rig::new();
        rig.controller.setup.takes = BTreeSet::from([port(0x105), port(0x206)]);
        rig.hear(&asks(false), DESK).run(secs(2));
        let to_desk = rig.sent.iter().filter(|(_, letter)| *letter.to.ip() == DESK);
        let replies: Vec<_> = to_desk
            .filter_map(|(_, letter)| match artnet::parse(&letter.bytes) {
                Ok(Packet::PollReply(reply)) => Some((reply.bind_index, reply.ports)),
                _ => None,
            })
            .collect();
        let (taken, sent) =
            (|raw| vec![Port::Output(port(raw))], |raw| vec![Port::Input(port(raw))]);
        assert_eq!(replies, [(1, taken(0x105)), (2, taken(0x206)), (3, sent(1)), (4, sent(2))]);
    }

    #[test]
    fn a05_programming_of_one_of_our_replies_is_answered_with_that_one() {
        let mut rig = Rig::new();
        let mut bytes = vec![0; 107];
        bytes[..8].copy_from_slice(b"Art-Net\0");
        bytes[8..14].copy_from_slice(&[0, 0x60, 0, 14, 0, 2]);
        rig.run(Span::from_millis(100)).hear(&bytes, DESK);
        let (_, letter) = rig.sent.last().expect("an answer");
        let Ok(Packet::PollReply(reply)) = artnet::parse(&letter.bytes) else { panic!("a reply") };
        assert_eq!((reply.bind_index, reply.ports), (2, vec![Port::Input(port(2))]));
    }

    #[test]
    fn a05_nobody_sets_our_address_or_gives_us_orders() {
        let mut rig = Rig::new();
        rig.run(Span::from_millis(100));
        let (before, setup) = (rig.sent.len(), format!("{:?}", rig.controller.setup));
        for operation in [0x2400_u16, 0xf800, 0xf900, 0xf200, 0x7000] {
            let mut bytes = vec![0xff; 300];
            bytes[..8].copy_from_slice(b"Art-Net\0");
            bytes[8..10].copy_from_slice(&operation.to_le_bytes());
            bytes[10..12].copy_from_slice(&[0, 14]);
            rig.hear(&bytes, DESK);
        }
        assert_eq!(rig.sent.len(), before, "there is no port 255 to answer for");
        assert_eq!(format!("{:?}", rig.controller.setup), setup);
    }

    #[test]
    fn a06_a07_each_address_that_we_send_is_an_input_in_a_reply_of_its_own_and_replies_are_counted()
    {
        let mut rig = Rig::new();
        rig.hear(&asks(false), DESK).run(secs(2));
        let replies: Vec<_> = rig
            .sent
            .iter()
            .filter(|(_, letter)| *letter.to.ip() == DESK)
            .filter_map(|(_, letter)| match artnet::parse(&letter.bytes) {
                Ok(Packet::PollReply(reply)) => Some(*reply),
                _ => None,
            })
            .collect();
        assert_eq!(replies.len(), 2);
        for (index, reply) in replies.iter().enumerate() {
            assert_eq!(usize::from(reply.bind_index), index + 1);
            assert_eq!(reply.ports, [Port::Input(port(index as u32 + 1))]);
            assert_eq!((reply.ip, reply.bind_ip, reply.acn_priority), (BOX, BOX, 100));
            let counted = format!("#0001 [{:04}] 2 universes to 0 nodes", index + 1);
            assert_eq!(reply.report, counted);
        }
    }

    #[test]
    fn a15_triggers_for_us_wait_to_be_taken_and_a_flood_of_them_is_bounded() {
        let mut rig = Rig::new();
        let ours = Trigger::new(artnet::Key::Show, 5);
        let others = Trigger { oem: 0x2828, ..ours };
        rig.hear(&others.emit(), DESK).hear(&ours.emit(), BOX).hear(&ours.emit(), DESK);
        assert_eq!(rig.controller.poll_trigger(), Some((ours, DESK)));
        assert_eq!(rig.controller.poll_trigger(), None);
        for _ in 0..1000 {
            rig.hear(&ours.emit(), DESK);
        }
        assert_eq!(std::iter::from_fn(|| rig.controller.poll_trigger()).count(), STRANGERS_MAX);
    }

    #[test]
    fn a19_tables_are_asked_for_by_broadcast_and_a_lamp_at_its_node() {
        let mut rig = Rig::new();
        let lamp = Uid { maker: 0x7a70, device: 7 };
        let question = rdm::Question {
            uid: lamp,
            sub_device: 0,
            class: wire::rdm::Class::Get,
            parameter: 0x0082,
            data: Vec::new(),
        };
        rig.controller.ask_rdm(rig.now, rdm::Ask::Question(question));
        let sent = |rig: &Rig, to: Ipv4Addr, operation: u8| {
            let meant = |letter: &Letter| *letter.to.ip() == to && letter.bytes[9] == operation;
            rig.sent.iter().filter(|(_, letter)| meant(letter)).count()
        };
        rig.run(Span::from_millis(10));
        assert_eq!(sent(&rig, BROADCAST, 0x80), 1);
        let table = artnet::TodData {
            port_address: port(1),
            port: 1,
            bind_index: 1,
            total: Some(1),
            block: 0,
            uids: vec![lamp],
        };
        rig.hear(&table.emit(), NODE).run(secs(1));
        assert_eq!((sent(&rig, NODE, 0x83), sent(&rig, BROADCAST, 0x83)), (1, 0));
    }

    #[test]
    fn a18_another_start_code_makes_nobody_a_foreign_sender() {
        let mut rig = Rig::new();
        let text =
            artnet::Nzs { sequence: 1, start_code: 0x17, port_address: port(1), slots: &[1] };
        rig.hear(&text.emit().expect("it may be"), DESK);
        assert_eq!(rig.controller.foreign(port(1)).count(), 0);
    }

    #[test]
    fn a15_a_key_is_pressed_by_broadcast() {
        let mut rig = Rig::new();
        let key = Trigger::new(artnet::Key::Macro, 3);
        rig.controller.press(key);
        rig.run(Span::from_millis(10));
        assert_eq!(rig.read(BROADCAST, |it| *it == Packet::Trigger(key)).len(), 1);
    }

    #[test]
    fn a18_another_start_code_goes_to_subscribers_and_is_counted() {
        let mut rig = Rig::new();
        rig.controller.send_nzs(port(1), 0x17, &[1, 2]);
        rig.hear(&subscribes(1, 1), NODE);
        (0..2).for_each(|_| rig.controller.send_nzs(port(1), 0x17, &[1, 2]));
        rig.controller.send_nzs(port(1), 0, &[1, 2]);
        rig.run(Span::from_millis(10));
        let of = |rig: &Rig, sequence| {
            rig.read(NODE, |it| matches!(it, Packet::Nzs(nzs) if nzs.sequence == sequence)).len()
        };
        assert_eq!([1, 2, 3, 4].map(|sequence| of(&rig, sequence)), [0, 1, 1, 0]);
        assert!(rig.read(BROADCAST, |it| matches!(it, Packet::Nzs(_))).is_empty());
    }

    #[test]
    fn a18_diagnostics_go_to_whoever_asked_and_to_everybody_when_several_did() {
        let mut rig = Rig::new();
        let wants = |least, unicast| {
            let diagnostics = Some(Diagnostics { least, unicast });
            artnet::poll(&Poll { diagnostics, ..Poll::default() })
        };
        let told = |rig: &Rig, to| rig.read(to, |it| matches!(it, Packet::DiagData(_))).len();
        let say = |rig: &mut Rig| {
            rig.controller.diagnose(DiagPriority::MEDIUM, "a node is gone".into());
            rig.run(Span::from_millis(10));
        };
        say(&mut rig);
        rig.hear(&wants(DiagPriority::HIGH, true), DESK);
        say(&mut rig);
        assert_eq!((told(&rig, DESK), told(&rig, BROADCAST)), (0, 0), "nobody asked for that much");
        rig.hear(&wants(DiagPriority::LOW, true), DESK);
        say(&mut rig);
        assert_eq!((told(&rig, DESK), told(&rig, BROADCAST)), (1, 0));
        rig.hear(&wants(DiagPriority::CRITICAL, true), NODE);
        say(&mut rig);
        assert_eq!((told(&rig, DESK), told(&rig, BROADCAST)), (1, 1));
        rig.run(secs(11));
        say(&mut rig);
        assert_eq!((told(&rig, DESK), told(&rig, BROADCAST)), (1, 1), "both have gone");
    }

    #[test]
    fn a06_a_node_may_speak_in_several_replies_and_lose_one_of_them() {
        let mut rig = Rig::new();
        rig.hear(&subscribes(1, 1), NODE).hear(&subscribes(2, 2), NODE);
        assert_eq!((rig.subscribers(1), rig.subscribers(2)), (vec![NODE], vec![NODE]));
        rig.run(secs(2)).hear(&subscribes(1, 1), NODE).run(secs(1)).hear(&subscribes(1, 1), NODE);
        rig.run(secs(2)).hear(&subscribes(1, 1), NODE).run(secs(1));
        assert_eq!(rig.subscribers(1), [NODE]);
        assert!(rig.subscribers(2).is_empty());
    }

    #[test]
    fn a08_only_who_puts_an_address_out_subscribes_to_it() {
        let mut rig = Rig::new();
        rig.hear(&subscribes(3, 1), NODE);
        assert!(rig.subscribers(3).is_empty(), "not ours to send");
        rig.hear(&subscribes(1, 1), NODE).hear(&subscribes(1, 2), NODE);
        assert_eq!(rig.subscribers(1), [NODE], "two replies, one address, sent once");
        rig.hear(&subscribes(2, 1), NODE).hear(&subscribes(2, 2), NODE);
        assert!(rig.subscribers(1).is_empty(), "it was patched elsewhere");
    }

    #[test]
    fn strangers_beyond_the_lighting_network_are_not_heard() {
        let mut rig = Rig::new();
        let phone = Ipv4Addr::new(192, 168, 7, 7);
        rig.hear(&subscribes(1, 1), phone).hear(&asks(true), phone).run(secs(2));
        assert!(rig.subscribers(1).is_empty());
        assert!(rig.replies(phone).is_empty());
    }

    #[test]
    fn a16_another_sender_of_our_address_is_named_until_it_is_silent() {
        let mut rig = Rig::new();
        let frame = artnet::DmxFrame::new(port(1));
        rig.hear(frame.bytes(), DESK).hear(frame.bytes(), BOX);
        assert_eq!(rig.controller.foreign(port(1)).collect::<Vec<_>>(), [DESK]);
        rig.run(secs(11));
        assert_eq!(rig.controller.foreign(port(1)).count(), 0);
    }

    #[test]
    fn a_flood_of_nodes_is_bounded() {
        let mut rig = Rig::new();
        for number in 0..2000_u32 {
            let from = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() | (number % 250));
            rig.controller.handle(
                rig.now,
                &subscribes(1, (number / 250) as u8),
                SocketAddrV4::new(from, artnet::PORT),
            );
        }
        assert_eq!(rig.controller.nodes.len(), NODES_MAX);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(
            operation: u16, rest in proptest::collection::vec(any::<u8>(), 0..300), known in 0_usize..6,
        ) {
            let operation: u16 = [0x2000, 0x2100, 0x5000, 0x6000, 0x7000, operation][known];
            let mut rig = Rig::new();
            rig.hear(&rest, DESK);
            rig.hear(&[b"Art-Net\0".as_slice(), &operation.to_le_bytes(), &rest].concat(), DESK);
            rig.run(secs(2));
            prop_assert!(rig.controller.nodes.len() <= 1);
        }
    }
}
