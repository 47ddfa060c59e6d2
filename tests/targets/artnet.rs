//! Art-Net datagrams, to the parser, to a controller that hears them all, and to inputs that take what is meant for them. A new one begins wherever `Art-Net`
//! stands, so that bytes may be a whole recording.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

use engine::light::controller::{Controller, ControllerSetup, NODES_MAX, Reach};
use engine::light::input::{InputState, Inputs, SENDERS_MAX, SILENT, Settings};
use engine::show::{InputFrom, InputMerge, LossGoal, Show, ShowInput};
use units::{PortAddress, ShowTime, Slot, Span};
use uuid::Uuid;
use wire::artnet::{self, Packet, PollReply, parse};

use super::{Target, pieces};

/// The target.
pub const TARGET: Target = Target { name: "artnet", folders: &["artnet"], run };

const BOX: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 255);
const POLLED: Ipv4Addr = Ipv4Addr::new(192, 168, 3, 4);
/// The last one is beyond our reach.
const SENDERS: [Ipv4Addr; 5] =
    [BOX, Ipv4Addr::new(10, 0, 0, 7), POLLED, Ipv4Addr::LOCALHOST, Ipv4Addr::new(172, 16, 0, 1)];
/// What one datagram may cost: two polls, and all our replies to both ports of each asker (there are no more of them
/// than senders), once for a change and once because they are due.
const LETTERS_MAX: usize = 2 + 4 * SENDERS.len() * PORTS.len();
/// What we send: what the seeds put out, and the ends of the range.
const PORTS: [u32; 5] = [0, 1, 0x1234, 0x1235, 0x7fff];

fn run(bytes: &[u8]) {
    let mut hall = Hall::new();
    for (count, datagram) in pieces(bytes, b"Art-Net\0").into_iter().enumerate() {
        if let Ok(packet) = parse(datagram) {
            comes_back(&packet);
        }
        hall.hear(datagram, count);
    }
    hall.falls_silent();
}

struct Hall {
    controller: Controller,
    inputs: Inputs,
    ports: BTreeSet<PortAddress>,
    now: ShowTime,
}

impl Hall {
    fn new() -> Self {
        let ports = BTreeSet::from(PORTS.map(|raw| PortAddress::new(raw).expect("15 bits")));
        let setup = ControllerSetup {
            own: BOX,
            mac: [0; 6],
            name: "box".into(),
            port: artnet::PORT,
            broadcast: Some(BROADCAST),
            poll: BTreeSet::from([POLLED]),
            reach: Reach { network: Some((BOX, Ipv4Addr::new(255, 255, 255, 0))) },
            ports: ports.clone(),
            uid: wire::rdm::Uid { maker: artnet::ESTA, device: 1 },
            takes: ports.clone(),
            priority: 100,
            chance: 3,
        };
        let show = Show { inputs: ports.iter().map(|&it| input(it)).collect(), ..Show::default() };
        let inputs = Inputs::new(&show, Uuid::nil(), [], ShowTime::ZERO);
        let controller = Controller::new(setup, ShowTime::ZERO);
        Self { controller, inputs, ports, now: ShowTime::ZERO }
    }

    /// From one sender after another, sooner and later.
    fn hear(&mut self, datagram: &[u8], count: usize) {
        self.now += Span::from_millis([0, 1, 40, 400, 2600][count % 5]);
        let port = if count.is_multiple_of(3) { count as u16 } else { artnet::PORT };
        let from = SocketAddrV4::new(SENDERS[(count / 2) % SENDERS.len()], port);
        self.inputs.handle_artnet(self.now, datagram, *from.ip());
        self.inputs.tick(self.now);
        self.inputs.take_ports().into_iter().for_each(|it| self.controller.set_ports(self.now, it));
        self.controller.handle(self.now, datagram, from);
        self.controller.tick(self.now);
        if let Some(set) = self.inputs.unkept() {
            assert_eq!(Settings::parse(set.emit().as_bytes()).as_ref(), Ok(set));
        }
        let senders = (0..self.ports.len()).map(|input| self.inputs.sources(input).len());
        assert!(senders.max() <= Some(SENDERS_MAX));
        let letters = self.post();
        assert!(letters <= LETTERS_MAX, "{letters} letters for one datagram");
        let subscribers = self.ports.iter().map(|&port| self.controller.subscribers(port).len());
        assert!(subscribers.max() <= Some(SENDERS.len().min(NODES_MAX)));
    }

    fn post(&mut self) -> usize {
        let mut letters = 0;
        while let Some(letter) = self.controller.poll() {
            letters += 1;
            let known = SENDERS[..4].contains(letter.to.ip()) || *letter.to.ip() == BROADCAST;
            assert!(known && letter.to.port() != 0, "a letter to {}", letter.to);
            assert!(parse(&letter.bytes).is_ok(), "our own words");
        }
        letters
    }

    /// Whoever is not heard any more is forgotten, and we go on asking, no more.
    fn falls_silent(&mut self) {
        for _ in 0..10 {
            self.now += Span::from_secs(2);
            self.controller.tick(self.now);
            assert!(self.post() <= LETTERS_MAX);
        }
        self.inputs.tick(self.now + SILENT);
        for input in 0..self.ports.len() {
            assert_ne!(self.inputs.state(input), InputState::Live);
        }
        for &port in &self.ports {
            assert!(self.controller.subscribers(port).is_empty());
            assert_eq!(self.controller.foreign(port).count(), 0);
        }
    }
}

fn input(port_address: PortAddress) -> ShowInput {
    let first = Slot::new(1).expect("a slot");
    ShowInput {
        name: port_address.to_string(),
        from: InputFrom::Artnet(port_address),
        to: None,
        first,
        count: 512,
        at: first,
        merge: InputMerge::Ltp,
        priority: 100,
        loss: LossGoal::Release,
        hold: Span::ZERO,
        fade: Span::ZERO,
    }
}

fn comes_back(packet: &Packet) {
    match packet {
        Packet::Poll(poll) => {
            assert_eq!(parse(&artnet::poll(poll)), Ok(Packet::Poll(poll.clone())));
        }
        Packet::PollReply(reply) => reply_comes_back(reply),
        Packet::Dmx(dmx) => assert!(dmx.slots.len() <= 512 && dmx.slots.len().is_multiple_of(2)),
        Packet::TimeCode(said) => assert_eq!(parse(&said.emit()), Ok(Packet::TimeCode(*said))),
        Packet::Nzs(nzs) => {
            let bytes = nzs.emit().expect("what was read may be written");
            assert_eq!(parse(&bytes), Ok(Packet::Nzs(*nzs)));
        }
        Packet::Trigger(trigger) => {
            assert_eq!(parse(&trigger.emit()), Ok(Packet::Trigger(*trigger)));
        }
        // A text that was none is mended when it is read, and may have grown.
        Packet::DiagData(line) => assert!(parse(&line.emit()).is_ok()),
        Packet::TodData(part) => {
            assert_eq!(parse(&part.emit()), Ok(Packet::TodData(part.clone())));
        }
        Packet::Rdm(packet) => assert_eq!(parse(&packet.emit()), Ok(Packet::Rdm(*packet))),
        Packet::RdmSub(_)
        | Packet::Sync
        | Packet::Address { .. }
        | Packet::Input { .. }
        | Packet::Other(_) => {}
    }
}

/// Names may be cut and ports left out when it is written; after that it stays as it is.
fn reply_comes_back(reply: &PollReply) {
    let said = reply.emit();
    let Ok(Packet::PollReply(again)) = parse(&said) else { panic!("our own words") };
    assert_eq!(again.emit(), said);
    assert_eq!((again.ip, again.mac, again.bind_index), (reply.ip, reply.mac, reply.bind_index));
}
