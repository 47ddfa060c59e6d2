//! The Art-Net controller: asks who is there, knows who wants which port address, and answers when it is asked.
//!
//! In: datagrams and ticks, each with its time; chance once, at the start. Out: [`Letter`]s, the subscribers of each
//! port address, triggers for the show. Never here: sockets, and ArtDmx itself, which the render thread sends. What
//! ArtAddress sets is `input`'s; here it is answered, as ArtInput is. ArtIpProg and ArtCommand are passed over.
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
#[cfg(test)]
mod tests;

use super::input::PortState;
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
    /// How those that we take are.
    taken: BTreeMap<PortAddress, PortState>,
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
            taken: BTreeMap::new(),
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
            Ok(Packet::RdmSub(sub)) => self.rdm.handle_several(now, &sub, address),
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

    /// How the port addresses that we take are now; whoever wants changes hears of them (rule A5).
    pub fn set_ports(&mut self, now: ShowTime, ports: BTreeMap<PortAddress, PortState>) {
        let before = std::mem::replace(&mut self.taken, ports);
        let others = |port: &PortAddress| self.taken.get(port) != before.get(port);
        let changed: BTreeSet<_> = self.setup.takes.iter().copied().filter(others).collect();
        if changed.is_empty() {
            return;
        }
        let meant =
            |reply: &PollReply| reply.ports.iter().any(|it| changed.contains(&it.address()));
        self.tell_of_change(now, meant);
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

    /// Whoever programs a reply of ours gets to read it (rule A5).
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

    /// Whom we play to is our status.
    fn subscribers_changed(&mut self, now: ShowTime) {
        self.generation += 1;
        self.tell_of_change(now, |_| true);
    }

    /// Askers who want changes read those replies at once (rule A5).
    fn tell_of_change(&mut self, now: ShowTime, meant: impl Fn(&PollReply) -> bool) {
        let interested: Vec<_> = self
            .askers
            .iter()
            .filter(|(address, it)| {
                it.on_change && now - it.asked < ASKER_KEPT && **address != self.setup.own
            })
            .map(|(address, it)| (*address, it.port))
            .collect();
        for (address, port) in interested {
            self.reply_to(address, port, &meant);
        }
    }

    /// To the port where Art-Net listens, and to the port that asked where that is another one: tools do so.
    fn reply_to(&mut self, address: Ipv4Addr, asked_from: u16, meant: impl Fn(&PollReply) -> bool) {
        let ports = BTreeSet::from([self.setup.port, asked_from]);
        let status = self.status();
        for reply in replies::replies(&self.setup, &self.taken).into_iter().filter(meant) {
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
