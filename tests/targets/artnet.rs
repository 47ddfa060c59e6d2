//! Art-Net datagrams, to the parser and to a controller that hears them all. A new one begins wherever `Art-Net`
//! stands, so that bytes may be a whole recording.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

use engine::light::controller::{Controller, ControllerSetup, NODES_MAX, Reach};
use units::{PortAddress, ShowTime, Span};
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
/// What one datagram may cost: two polls, and a reply to both ports of each asker (there are no more of them than
/// senders), once for a change and once because it is due.
const LETTERS_MAX: usize = 2 + 4 * SENDERS.len();

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
    ports: BTreeSet<PortAddress>,
    now: ShowTime,
}

impl Hall {
    fn new() -> Self {
        // What the seeds put out, and the ends of the range.
        let ports =
            [0, 1, 0x1234, 0x1235, 0x7fff].map(|raw| PortAddress::new(raw).expect("15 bits"));
        let ports = BTreeSet::from(ports);
        let setup = ControllerSetup {
            own: BOX,
            mac: [0; 6],
            name: "box".into(),
            port: artnet::PORT,
            broadcast: Some(BROADCAST),
            poll: BTreeSet::from([POLLED]),
            reach: Reach { network: Some((BOX, Ipv4Addr::new(255, 255, 255, 0))) },
            ports: ports.clone(),
            chance: 3,
        };
        Self { controller: Controller::new(setup, ShowTime::ZERO), ports, now: ShowTime::ZERO }
    }

    /// From one sender after another, sooner and later.
    fn hear(&mut self, datagram: &[u8], count: usize) {
        self.now += Span::from_millis([0, 1, 40, 400, 2600][count % 5]);
        let port = if count.is_multiple_of(3) { count as u16 } else { artnet::PORT };
        let from = SocketAddrV4::new(SENDERS[(count / 2) % SENDERS.len()], port);
        self.controller.handle(self.now, datagram, from);
        self.controller.tick(self.now);
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
        for &port in &self.ports {
            assert!(self.controller.subscribers(port).is_empty());
            assert_eq!(self.controller.foreign(port).count(), 0);
        }
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
        Packet::Sync | Packet::Address { .. } | Packet::Input { .. } | Packet::Other(_) => {}
    }
}

/// Names may be cut and ports left out when it is written; after that it stays as it is.
fn reply_comes_back(reply: &PollReply) {
    let said = reply.emit();
    let Ok(Packet::PollReply(again)) = parse(&said) else { panic!("our own words") };
    assert_eq!(again.emit(), said);
    assert_eq!((again.ip, again.mac, again.bind_index), (reply.ip, reply.mac, reply.bind_index));
}
