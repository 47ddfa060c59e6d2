//! The Art-Net controller: asks who is there, knows who wants which port address, and answers when it is asked.
//!
//! In: datagrams and ticks, each with its time; chance once, at the start. Out: [`Letter`]s, and the subscribers of
//! each port address. Never here: sockets, and ArtDmx itself, which the render thread sends.
//!
//! *Node*: whatever answers ArtPoll, an ArtPollReply at a time (rule A6). *Asker*: whoever polls us.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};

use units::{PortAddress, ShowTime, Span};
use wire::artnet::{self, Packet, Poll, PollReply, Port, Style, TimeCode};

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
    /// The port that it asked from, besides the one where Art-Net listens.
    port: u16,
    reply_due: Option<ShowTime>,
}

impl Controller {
    /// Polls at its first tick.
    pub fn new(setup: ControllerSetup, now: ShowTime) -> Self {
        Self {
            chance: setup.chance,
            setup,
            nodes: BTreeMap::new(),
            askers: BTreeMap::new(),
            foreign: BTreeMap::new(),
            next_poll: now,
            replies: 0,
            generation: 0,
            letters: VecDeque::new(),
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
            Ok(Packet::Address { .. } | Packet::Input { .. }) => self.answer_programming(from),
            Ok(Packet::Dmx(dmx)) => self.handle_foreign(now, dmx.port_address, address),
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

    fn hears(&self, address: Ipv4Addr) -> bool {
        self.setup.reach.covers(address) || self.setup.poll.contains(&address)
    }

    /// Time has come this far.
    pub fn tick(&mut self, now: ShowTime) {
        if now >= self.next_poll {
            self.ask_everybody(now);
        }
        self.drop_silent(now);
        self.answer_due(now);
        self.askers.retain(|_, it| it.reply_due.is_some() || now - it.asked < ASKER_KEPT);
        self.foreign.retain(|_, heard| now - *heard < FOREIGN_KEPT);
    }

    /// The next datagram to send, none when there is none.
    pub fn poll(&mut self) -> Option<Letter> {
        self.letters.pop_front()
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
            self.setup.ports.iter().any(|it| std::ops::RangeInclusive::contains(range, &it.raw()))
        };
        if poll.target.as_ref().is_some_and(|range| !targeted(range)) {
            return;
        }
        if !self.askers.contains_key(from.ip()) && self.askers.len() >= STRANGERS_MAX {
            return;
        }
        let due = now + self.delay();
        let (on_change, port) = (poll.on_change, from.port());
        let asker = self.askers.entry(*from.ip()).or_insert(Asker {
            asked: now,
            on_change,
            port,
            reply_due: None,
        });
        asker.asked = now;
        asker.on_change = on_change;
        asker.port = port;
        // Who asks faster than we answer gets one answer for all.
        asker.reply_due.get_or_insert(due);
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
    fn answer_programming(&mut self, from: SocketAddrV4) {
        self.reply_to(*from.ip(), from.port());
    }

    fn handle_foreign(&mut self, now: ShowTime, port: PortAddress, from: Ipv4Addr) {
        let ours = self.setup.ports.contains(&port) && from != self.setup.own;
        let room = self.foreign.len() < STRANGERS_MAX || self.foreign.contains_key(&(port, from));
        if ours && room {
            self.foreign.insert((port, from), now);
        }
    }

    fn ask_everybody(&mut self, now: ShowTime) {
        let bytes = artnet::poll(&Poll { on_change: true, target: None });
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
            self.reply_to(address, port);
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
            self.reply_to(address, port);
        }
    }

    /// To the port where Art-Net listens, and to the port that asked where that is another one: tools do so.
    fn reply_to(&mut self, address: Ipv4Addr, asked_from: u16) {
        self.replies = self.replies % 9999 + 1;
        let bytes = self.status().emit().to_vec();
        let ports = BTreeSet::from([self.setup.port, asked_from]);
        let letters = ports.into_iter().filter(|&port| port != 0);
        self.letters.extend(
            letters
                .map(|port| Letter { to: SocketAddrV4::new(address, port), bytes: bytes.clone() }),
        );
    }

    /// We have no DMX ports of our own, so none are listed (rule A7).
    fn status(&self) -> PollReply {
        let nodes: BTreeSet<_> = self.nodes.keys().map(|(address, _)| address).collect();
        let (universes, nodes) = (self.setup.ports.len(), nodes.len());
        PollReply {
            ip: self.setup.own,
            short_name: self.setup.name.clone(),
            long_name: format!("Downbeat {}", self.setup.name),
            // 0001 is "power on tests successful" (table 3): nothing is wrong.
            report: format!("#0001 [{:04}] {universes} universes to {nodes} nodes", self.replies),
            style: Style::Controller,
            ports: Vec::new(),
            mac: self.setup.mac,
            bind_index: 1,
        }
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
            self.read(to, |packet| matches!(packet, Packet::PollReply(_)))
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
        artnet::poll(&Poll { on_change, target: None }).to_vec()
    }
    fn subscribes(raw: u32, bind_index: u8) -> Vec<u8> {
        let ports = vec![Port::Output(port(raw))];
        let reply = PollReply {
            ip: NODE,
            short_name: "node".into(),
            long_name: String::new(),
            report: String::new(),
            style: Style::Node,
            ports,
            mac: [0; 6],
            bind_index,
        };
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
        let ask = |target| artnet::poll(&Poll { on_change: false, target: Some(target) });
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
