//! Rules A13, A15 and A18 in short meetings: a box, a node that subscribes, and a desk, on loopback addresses.

use engine::light::Playback;
use engine::show::{ArtnetKey, Sending, Trigger, TriggerOn};
use engine::told::Input;
use io::light::{Light, LightNet, LightSetup};
use units::{OrderId, Span, Universe};
use wire::artnet::{DiagPriority, Diagnostics, Key, Packet, Poll, parse, poll};

use super::evening::ms;
use super::rig::*;

const SOON: Span = Span::from_secs(3);
const PORT_ADDRESS: u32 = 6;

/// A box at `host`, and a node at the next address that has subscribed to its only universe.
struct Meeting {
    light: Light,
    net: LightNet,
    node: Ear,
    heard: Kept<Input>,
    show: engine::show::Show,
}

impl Meeting {
    fn new(host: u8, net: LightNet, change: impl FnOnce(&mut engine::show::Show)) -> Self {
        let node_at = loopback(host + 1);
        let mut show = show([(1, artnet_to(PORT_ADDRESS, &[node_at, loopback(host + 2)]))]);
        change(&mut show);
        let net = LightNet { address: Some(loopback(host)), ..net };
        let node = Ear::new(node_at, net.artnet_port);
        let (heard, report) = keep();
        let light = Light::start(LightSetup { report, ..setup(&show, &net) });
        let light = light.expect("light begins");
        node.wait_for(SOON, |heard| is_art_poll(heard).then_some(())).expect("a poll");
        let reply = node_reply(node_at, PORT_ADDRESS as u16);
        node.0.send_to(&reply, (loopback(host), net.artnet_port)).expect("loopback takes it");
        Self { light, net, node, heard, show }
    }

    fn desk(&self, host: u8) -> Ear {
        Ear::new(loopback(host), self.net.artnet_port)
    }

    fn fade(&mut self) {
        let mut playback = Playback::new(&self.show);
        fade(&mut self.light, &mut playback, &self.show, Span::ZERO, Span::from_secs(3), 100.0);
    }
}

/// The operation of a datagram; no oracle writes ArtSync whole.
fn operation(heard: &Heard) -> u16 {
    u16::from_le_bytes([heard.bytes[8], heard.bytes[9]])
}

const DMX: u16 = 0x5000;
const SYNC: u16 = 0x5200;

#[test]
fn a13_every_frame_of_art_net_ends_with_one_art_sync_and_silence_has_none() {
    let mut meeting = Meeting::new(30, free_ports(), |show| show.artnet_sync = true);
    meeting.fade();
    let mut heard = Vec::new();
    let end = system_now() + ms(4_600);
    while system_now() < end {
        let streamed = |it: &Heard| matches!(operation(it), DMX | SYNC);
        heard.extend(meeting.node.hear(Span::from_millis(100)).filter(streamed));
    }
    meeting.light.stop();
    let first = heard.iter().position(|it| operation(it) == DMX).expect("a frame");
    let pairs = heard[first..].chunks(2);
    let whole = pairs.clone().filter(|pair| pair.len() == 2);
    for pair in whole.clone() {
        assert_eq!((operation(&pair[0]), operation(&pair[1])), (DMX, SYNC));
        assert_eq!(pair[1].bytes, wire::artnet::SYNC, "14 octets");
        assert!(pair[1].at - pair[0].at < ms(10), "right behind it");
    }
    let frames = whole.count();
    assert!(frames > 110, "{frames} frames of a fade of 3 s");
    // The second and a half after it is still: a frame each 805 ms.
    assert!(frames < 150, "{frames}: what is not sent is not synchronized");
}

#[test]
fn a13_a_show_that_does_not_ask_for_it_sends_no_art_sync() {
    let mut meeting = Meeting::new(34, free_ports(), |_| {});
    meeting.fade();
    let dmx = meeting.node.wait_for(SOON, |heard| (operation(heard) == DMX).then_some(()));
    assert!(dmx.is_some());
    let sync = |heard: &Heard| (operation(heard) == SYNC).then_some(());
    assert!(meeting.node.wait_for(Span::from_millis(500), sync).is_none());
    meeting.light.stop();
}

#[test]
fn a13_with_a_lighting_interface_art_sync_is_broadcast_on_it() {
    let net = LightNet { interface: Some("lo".into()), ..free_ports() };
    let everybody = Ear::new(std::net::Ipv4Addr::new(127, 255, 255, 255), net.artnet_port);
    let mut show = show([(1, artnet_to(PORT_ADDRESS, &[]))]);
    show.artnet_sync = true;
    let light = Light::start(setup(&show, &net)).expect("light begins");
    everybody.wait_for(SOON, |heard| is_art_poll(heard).then_some(())).expect("a poll");
    let node = Ear::new(loopback(39), net.artnet_port);
    let reply = node_reply(loopback(39), PORT_ADDRESS as u16);
    node.0.send_to(&reply, (loopback(1), net.artnet_port)).expect("loopback takes it");
    let broadcast = everybody.wait_for(SOON, |heard| match operation(heard) {
        DMX => panic!("ArtDmx was broadcast"),
        SYNC => Some(()),
        _ => None,
    });
    assert!(broadcast.is_some());
    let own = node.wait_for(Span::from_millis(200), |it| (operation(it) == SYNC).then_some(()));
    assert!(own.is_none(), "nobody is told twice");
    light.stop();
}

#[test]
fn a15_a_trigger_reaches_the_show_and_one_for_other_products_does_not() {
    let key = ArtnetKey { key: Key::Show, sub: 5 };
    let fires = "2".parse().expect("a cue");
    let trigger = Trigger { on: TriggerOn::Artnet(key), fires };
    let meeting = Meeting::new(40, free_ports(), |show| show.triggers = vec![trigger]);
    let desk = meeting.desk(42);
    let send = |oem: u16, sub_key| {
        let pressed = wire::artnet::Trigger { oem, key: Key::Show, sub_key }.emit();
        desk.0.send_to(&pressed, (loopback(40), meeting.net.artnet_port)).expect("it is taken");
    };
    send(0x2828, 9);
    send(0xffff, 5);
    send(0x00ff, 6);
    let pressed = || {
        let heard = meeting.heard.lock().expect("nobody panics with it");
        let key = |it: &Input| match it {
            Input::ArtTrigger { key, from } => Some((key.sub, *from)),
            _ => None,
        };
        heard.iter().filter_map(key).collect::<Vec<_>>()
    };
    let end = system_now() + SOON.ns();
    while pressed().len() < 2 && system_now() < end {
        desk.hear(Span::from_millis(20));
    }
    assert_eq!(pressed(), [(5, loopback(42)), (6, loopback(42))]);
    meeting.light.stop();
}

#[test]
fn a15_a18_what_a_cue_sends_leaves_at_its_time_and_is_told_of() {
    let meeting = Meeting::new(44, free_ports(), |_| {});
    meeting.node.wait_for(SOON, |it| (operation(it) == DMX).then_some(())).expect("it subscribes");
    let at = io::clock::BoxClock::free().now() + Span::from_millis(150);
    let key = Sending::Artnet(ArtnetKey { key: Key::Macro, sub: 3 });
    let universe = Universe::new(1).expect("a universe");
    let text = Sending::StartCode { universe, start_code: 0x17, slots: vec![0, 72, 105] };
    let asked = system_now();
    meeting.light.send(OrderId(7), at, key);
    meeting.light.send(OrderId(8), at, text);
    let pressed = |heard: &Heard| match parse(&heard.bytes) {
        Ok(Packet::Trigger(trigger)) => Some((heard.at, trigger)),
        _ => None,
    };
    let (left, trigger) = meeting.node.wait_for(SOON, pressed).expect("a trigger");
    assert_eq!(trigger, wire::artnet::Trigger::new(Key::Macro, 3));
    assert!((ms(145)..ms(400)).contains(&(left - asked)), "{}", left - asked);
    let nzs = meeting.node.wait_for(SOON, |heard| match parse(&heard.bytes) {
        Ok(Packet::Nzs(nzs)) => Some((nzs.sequence, nzs.start_code, nzs.slots.to_vec())),
        _ => None,
    });
    assert_eq!(nzs, Some((1, 0x17, vec![0, 72, 105])));
    let told = || {
        let heard = meeting.heard.lock().expect("nobody panics with it");
        let sent = |it: &Input| matches!(it, Input::Sent { order: OrderId(7 | 8), .. });
        heard.iter().filter(|it| sent(it)).count()
    };
    let end = system_now() + SOON.ns();
    while told() < 2 && system_now() < end {
        meeting.node.hear(Span::from_millis(20));
    }
    assert_eq!(told(), 2);
    meeting.light.stop();
}

#[test]
fn a18_whoever_asks_for_diagnostics_is_told_of_a_foreign_sender() {
    let meeting = Meeting::new(50, free_ports(), |_| {});
    let desk = meeting.desk(52);
    let to = (loopback(50), meeting.net.artnet_port);
    let diagnostics = Some(Diagnostics { least: DiagPriority::HIGH, unicast: true });
    let asks = poll(&Poll { diagnostics, ..Poll::default() });
    desk.0.send_to(&asks, to).expect("loopback takes it");
    let port = units::PortAddress::new(PORT_ADDRESS).expect("15 bits");
    let frame = wire::artnet::DmxFrame::new(port);
    desk.0.send_to(frame.bytes(), to).expect("loopback takes it");
    let line = desk.wait_for(SOON, |heard| match parse(&heard.bytes) {
        Ok(Packet::DiagData(line)) => Some(line),
        _ => None,
    });
    let line = line.expect("a line");
    assert_eq!(line.priority, DiagPriority::HIGH, "that a node subscribed is below what it wants");
    assert!(line.text.contains("127.0.0.52 sends on our universe 1"), "{}", line.text);
    let told = |heard: &Heard| matches!(parse(&heard.bytes), Ok(Packet::DiagData(_))).then_some(());
    assert!(meeting.node.wait_for(Span::from_millis(300), told).is_none(), "to the asker alone");
    meeting.light.stop();
}
