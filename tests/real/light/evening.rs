//! One evening of 13 s, captured once and read by many rules.
//!
//! | s | what happens |
//! |---|---|
//! | 0 | a box begins: universes 1 and 4 are sACN, 2 is Art-Net 0x1234, 3 is Art-Net that nobody wants |
//! | 0.5, 4 | a desk polls the box, and wants to hear of changes |
//! | 1 to 8.6 | all dimmers fade from out to full |
//! | 2 to 6 | a node answers the polls it gets, and subscribes by that |
//! | 6 and on | the node is silent |
//! | 6.2, 6.6 | the desk programs the box: ArtAddress, ArtInput |
//! | 12.6 | the box leaves as planned |

use std::net::SocketAddrV4;
use std::sync::OnceLock;

use engine::light::Playback;
use engine::told::{FrameReport, Input};
use io::light::{Light, UniverseGlance};
use units::Span;

use super::rig::*;

pub const NODE: u8 = 2;
pub const DESK: u8 = 3;
pub const PORT_ADDRESS: u16 = 0x1234;

/// What everybody heard, and what the box said of itself. Times are nanoseconds since the beginning.
pub struct Evening {
    pub sacn: Vec<Heard>,
    pub node: Vec<Heard>,
    pub desk: Vec<Heard>,
    /// What the node and the desk did: when, and what.
    pub done: Vec<(i64, &'static str)>,
    pub reports: Vec<FrameReport>,
    /// At 5 s.
    pub glance: Vec<UniverseGlance>,
    pub artnet_port: u16,
}

impl Evening {
    /// sACN data of a universe, in the order of its arrival.
    pub fn universe(&self, number: u16) -> Vec<Data> {
        self.sacn.iter().filter_map(sacn_data).filter(|data| data.universe == number).collect()
    }
    /// When something was done, first to last.
    pub fn when(&self, what: &str) -> Vec<i64> {
        self.done.iter().filter(|(_, it)| *it == what).map(|(at, _)| *at).collect()
    }
    /// ArtDmx that the node got: when, sequence, slots.
    pub fn dmx(&self) -> Vec<(i64, u8, Vec<u8>)> {
        let dmx =
            |heard: &Heard| art_dmx(heard).map(|(_, sequence, slots)| (heard.at, sequence, slots));
        self.node.iter().filter_map(dmx).collect()
    }
}

pub fn ms(ms: i64) -> i64 {
    ms * 1_000_000
}

/// The evening; the first who asks waits for it.
pub fn evening() -> &'static Evening {
    static EVENING: OnceLock<Evening> = OnceLock::new();
    EVENING.get_or_init(|| Stage::new().play())
}

struct Stage {
    show: engine::show::Show,
    light: Light,
    playback: Playback,
    start: i64,
    sacn_ear: Ear,
    node: Ear,
    desk: Ear,
    box_artnet: SocketAddrV4,
    reports: Kept<Input>,
    evening: Evening,
}

impl Stage {
    fn new() -> Self {
        let net = free_ports();
        let show = show([
            (1, sacn_to(&[loopback(1)])),
            (2, artnet_to(u32::from(PORT_ADDRESS), &[loopback(NODE)])),
            (3, artnet_to(7, &[])),
            (4, sacn_to(&[loopback(1)])),
        ]);
        let sacn_ear = Ear::new(loopback(1), net.sacn_port);
        let node = Ear::new(loopback(NODE), net.artnet_port);
        let desk = Ear::new(loopback(DESK), net.artnet_port);
        let start = system_now();
        let (reports, report) = keep();
        let light = Light::start(io::light::LightSetup { report, ..setup(&show, &net) });
        let light = light.expect("light begins");
        assert_eq!(light.warnings(), Vec::<String>::new());
        let evening = Evening {
            sacn: Vec::new(),
            node: Vec::new(),
            desk: Vec::new(),
            done: Vec::new(),
            reports: Vec::new(),
            glance: Vec::new(),
            artnet_port: net.artnet_port,
        };
        let playback = Playback::new(&show);
        let box_artnet = SocketAddrV4::new(loopback(1), net.artnet_port);
        Self { show, light, playback, start, sacn_ear, node, desk, box_artnet, reports, evening }
    }

    fn play(mut self) -> Evening {
        self.listen_until(500);
        self.desk_sends("poll", &art_poll(true));
        self.listen_until(950);
        let (wait, span) = (Span::from_millis(50), Span::from_millis(7600));
        fade(&mut self.light, &mut self.playback, &self.show, wait, span, 100.0);
        self.listen_until(4000);
        self.desk_sends("poll", &art_poll(true));
        self.listen_until(5000);
        self.evening.glance = self.light.watch().glance();
        self.listen_until(6200);
        self.desk_sends("program", &programming(0x6000, 107));
        self.listen_until(6600);
        self.desk_sends("program", &programming(0x7000, 20));
        self.listen_until(12_600);
        self.done("stop");
        self.leave()
    }

    fn leave(mut self) -> Evening {
        self.light.stop();
        self.evening.done.push((system_now() - self.start, "stopped"));
        for (ear, heard) in [
            (&self.sacn_ear, &mut self.evening.sacn),
            (&self.node, &mut self.evening.node),
            (&self.desk, &mut self.evening.desk),
        ] {
            while let Some(it) = ear.hear(Span::from_millis(60)) {
                heard.push(Heard { at: it.at - self.start, ..it });
            }
        }
        let reports = self.reports.lock().expect("nobody panics with it").clone();
        let frame = |it| match it {
            Input::LightFrame(report) => Some(report),
            _ => None,
        };
        self.evening.reports = reports.into_iter().filter_map(frame).collect();
        self.evening
    }

    fn listen_until(&mut self, end: i64) {
        while self.now() < ms(end) {
            if let Some(heard) = self.sacn_ear.hear(Span::from_millis(5)) {
                self.evening.sacn.push(Heard { at: heard.at - self.start, ..heard });
            }
            while let Some(heard) = self.desk.hear(Span::ZERO) {
                self.evening.desk.push(Heard { at: heard.at - self.start, ..heard });
            }
            while let Some(heard) = self.node.hear(Span::ZERO) {
                let heard = Heard { at: heard.at - self.start, ..heard };
                if is_art_poll(&heard) && (ms(2000)..ms(6000)).contains(&heard.at) {
                    self.node_answers();
                }
                self.evening.node.push(heard);
            }
        }
    }

    fn node_answers(&mut self) {
        // Noted first: the box may act before the call returns.
        self.done("answer");
        let reply = node_reply(loopback(NODE), PORT_ADDRESS);
        self.node.0.send_to(&reply, self.box_artnet).expect("loopback takes it");
    }

    fn desk_sends(&mut self, what: &'static str, bytes: &[u8]) {
        self.done(what);
        self.desk.0.send_to(bytes, self.box_artnet).expect("loopback takes it");
    }

    fn done(&mut self, what: &'static str) {
        let now = self.now();
        self.evening.done.push((now, what));
    }

    fn now(&self) -> i64 {
        system_now() - self.start
    }
}

/// ArtAddress or ArtInput that changes nothing; no oracle writes these.
fn programming(operation: u16, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[..8].copy_from_slice(b"Art-Net\0");
    bytes[8..10].copy_from_slice(&operation.to_le_bytes());
    bytes[11] = 14;
    bytes
}
