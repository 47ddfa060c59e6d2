//! Shorter meetings: multicast and broadcast on an interface, a taken port, another source, hostile bytes, a crowd.

use std::net::UdpSocket;

use engine::light::Playback;
use io::light::{Light, LightNet, UniverseGlance};
use sacn::packet::{
    AcnRootLayerProtocol, DataPacketDmpLayer, DataPacketFramingLayer, E131RootLayer,
    E131RootLayerData,
};
use units::Span;
use uuid::Uuid;

use super::evening::ms;
use super::rig::*;

const SOON: Span = Span::from_secs(3);

fn begin(show: &engine::show::Show, net: &LightNet) -> Light {
    Light::start(setup(show, net)).expect("light begins")
}

/// Glances every 20 ms until `wanted` is seen: when that was. The ear's silence is the clock.
fn glance_until(
    light: &Light,
    quiet: &Ear,
    within: Span,
    wanted: impl Fn(&[UniverseGlance]) -> bool,
) -> Option<i64> {
    let end = system_now() + within.ns();
    while system_now() < end {
        if wanted(&light.watch().glance()) {
            return Some(system_now());
        }
        quiet.hear(Span::from_millis(20));
    }
    None
}

#[test]
fn s01_multicast_leaves_by_the_named_interface_to_the_group_of_its_universe() {
    let net = LightNet { interface: Some("lo".into()), ..free_ports() };
    let show = show([(258, sacn_multicast())]);
    let ear = Ear::new("239.255.1.2".parse().expect("a group"), net.sacn_port);
    let discovery = Ear::new("239.255.250.214".parse().expect("a group"), net.sacn_port);
    for (ear, group) in [(&ear, "239.255.1.2"), (&discovery, "239.255.250.214")] {
        let group = group.parse().expect("a group");
        ear.0.join_multicast_v4(&group, &loopback(1)).expect("loopback takes members");
    }
    let light = begin(&show, &net);
    assert_eq!(light.warnings(), Vec::<String>::new());
    let data = ear.wait_for(SOON, sacn_data).expect("a packet");
    assert_eq!(data.universe, 258);
    let listed = discovery.wait_for(SOON, sacn_discovery).expect("a discovery");
    assert_eq!(listed, [258]);
    light.stop();
}

#[test]
fn s01_without_an_interface_nothing_is_multicast_and_that_is_said() {
    let show = show([(1, sacn_multicast())]);
    let light = begin(&show, &free_ports());
    let said = light.warnings().join("\n");
    assert!(said.contains("universe 1") && said.contains("silent"), "{said}");
    light.stop();
}

#[test]
fn s02_the_id_is_the_same_after_a_restart() {
    let net = free_ports();
    let show = show([(1, sacn_to(&[loopback(1)]))]);
    let ear = Ear::new(loopback(1), net.sacn_port);
    for _ in 0..2 {
        let light = begin(&show, &net);
        let first = ear.wait_for(SOON, sacn_data).expect("a packet");
        assert_eq!(first.cid, CID);
        light.stop();
        let last = ear.wait_for(SOON, |heard| sacn_data(heard).filter(|data| data.terminated));
        assert!(last.is_some());
        while ear.hear(Span::from_millis(50)).is_some() {}
    }
}

#[test]
fn s08_a_box_that_dies_says_no_goodbye() {
    let net = free_ports();
    let show = show([(1, sacn_to(&[loopback(1)]))]);
    let ear = Ear::new(loopback(1), net.sacn_port);
    let light = begin(&show, &net);
    assert!(ear.wait_for(SOON, sacn_data).is_some());
    drop(light);
    let goodbye = ear
        .wait_for(Span::from_millis(200), |heard| sacn_data(heard).filter(|data| data.terminated));
    assert!(goodbye.is_none());
}

#[test]
fn a02_a03_polls_are_broadcast_on_the_interface_and_our_own_is_answered_too() {
    let net = LightNet { interface: Some("lo".into()), ..free_ports() };
    let show = show([(1, artnet_to(5, &[]))]);
    let everybody = Ear::new(std::net::Ipv4Addr::new(127, 255, 255, 255), net.artnet_port);
    // The box listens on all addresses; this ear stands at its own one and hears what it says to itself.
    let itself = Ear::new(loopback(1), net.artnet_port);
    let light = begin(&show, &net);
    let polled = everybody.wait_for(SOON, |heard| is_art_poll(heard).then_some(heard.at));
    let polled = polled.expect("a poll");
    let answered = itself.wait_for(SOON, |heard| art_poll_reply(heard).map(|_| heard.at));
    assert!(answered.expect("an answer") - polled < ms(1_150));
    light.stop();
}

#[test]
fn a08_a_taken_port_is_said_and_light_still_goes_out() {
    let net = free_ports();
    let taken = UdpSocket::bind((loopback(1), net.artnet_port)).expect("a free port");
    let show = show([(1, sacn_to(&[loopback(1)])), (2, artnet_to(6, &[loopback(2)]))]);
    let (ear, node) =
        (Ear::new(loopback(1), net.sacn_port), Ear::new(loopback(2), net.artnet_port));
    let light = begin(&show, &net);
    let said = light.warnings().join("\n");
    assert!(said.contains(&net.artnet_port.to_string()) && said.contains("taken"), "{said}");
    assert!(ear.wait_for(SOON, sacn_data).is_some());
    let polled =
        node.wait_for(SOON, |heard| is_art_poll(heard).then_some(heard.from)).expect("a poll");
    assert_ne!(polled.port(), net.artnet_port);
    node.0.send_to(&node_reply(loopback(2), 6), polled).expect("loopback takes it");
    let (port_address, _, _) = node.wait_for(SOON, art_dmx).expect("a frame");
    assert_eq!(port_address, 6);
    light.stop();
    drop(taken);
}

#[test]
fn s03_s07_another_source_on_our_universe_is_named_and_forgotten_after_two_and_a_half_seconds() {
    let net = LightNet { address: Some(loopback(10)), ..free_ports() };
    let show = show([(1, sacn_to(&[loopback(1)]))]);
    let light = begin(&show, &net);
    let desk = Ear::new(loopback(11), 0);
    desk.0
        .send_to(&foreign_data(1, 150), (loopback(10), net.sacn_port))
        .expect("loopback takes it");
    let sent = system_now();
    let quiet = Ear::new(loopback(12), 0);
    let named = |all: &[UniverseGlance]| !all[0].foreign.is_empty();
    glance_until(&light, &quiet, SOON, named).expect("it is named");
    let foreign = light.watch().glance()[0].foreign.clone();
    assert_eq!((foreign[0].name.as_str(), foreign[0].priority), ("Desk left", Some(150)));
    assert_eq!(foreign[0].address, loopback(11));
    let gone = glance_until(&light, &quiet, Span::from_secs(5), |all| !named(all));
    let gone = gone.expect("it is forgotten") - sent;
    // Glances of it are renewed every second.
    assert!((ms(2_500)..ms(3_700)).contains(&gone), "{gone}");
    light.stop();
}

/// A data packet of somebody else, as the oracle writes it.
fn foreign_data(universe: u16, priority: u8) -> Vec<u8> {
    let data = DataPacketFramingLayer {
        source_name: "Desk left".into(),
        priority,
        synchronization_address: 0,
        sequence_number: 3,
        preview_data: false,
        stream_terminated: false,
        force_synchronization: false,
        universe,
        data: DataPacketDmpLayer { property_values: vec![0; 513].into() },
    };
    let cid = Uuid::from_u128(0xde5c);
    let pdu = E131RootLayer { cid, data: E131RootLayerData::DataPacket(data) };
    AcnRootLayerProtocol { pdu }.pack_alloc().expect("the oracle writes it")
}

#[test]
fn hostile_bytes_on_every_light_socket_change_nothing() {
    let net = LightNet { address: Some(loopback(20)), ..free_ports() };
    let show = show([(1, sacn_to(&[loopback(21)])), (2, artnet_to(6, &[loopback(21)]))]);
    let ear = Ear::new(loopback(21), net.sacn_port);
    let node = Ear::new(loopback(21), net.artnet_port);
    let light = begin(&show, &net);
    let mut chance = 1_u64;
    let mut octet = || {
        chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 56) as u8
    };
    let good = [art_poll(true), node_reply(loopback(21), 6), foreign_data(1, 100)];
    for round in 0..3_000_usize {
        let mut bytes = good[round % 3].clone();
        match round % 7 {
            0 => bytes.iter_mut().for_each(|it| *it = octet()),
            1 => bytes.truncate(usize::from(octet()) % bytes.len()),
            _ => (0..4).for_each(|_| {
                let index = usize::from(u16::from_be_bytes([octet(), octet()])) % bytes.len();
                bytes[index] = octet();
            }),
        }
        for port in [net.sacn_port, net.artnet_port] {
            // A full buffer at the other end loses it, as on any network.
            let _ = node.0.send_to(&bytes, (loopback(20), port));
        }
    }
    let now = system_now();
    let polled = |heard: &Heard| (is_art_poll(heard) && heard.at > now).then_some(());
    assert!(node.wait_for(SOON + SOON, polled).is_some(), "it still polls");
    let alive = |heard: &Heard| sacn_data(heard).filter(|data| data.at > now);
    assert!(ear.wait_for(SOON, alive).is_some(), "it still sends");
    assert_eq!(light.watch().glance().len(), 2);
    light.stop();
}

#[test]
fn a_crowd_of_universes_leaves_in_phases_and_all_of_it_leaves() {
    const MANY: u32 = 320;
    let net = free_ports();
    let show = show((1..=MANY).map(|number| (number, sacn_to(&[loopback(1)]))));
    let ear = Ear::new(loopback(1), net.sacn_port);
    let mut light = begin(&show, &net);
    let mut playback = Playback::new(&show);
    fade(&mut light, &mut playback, &show, Span::ZERO, Span::from_secs(2), 100.0);
    let mut heard: Vec<(u16, i64)> = Vec::new();
    let end = system_now() + ms(1_500);
    while system_now() < end {
        let data = ear.hear(Span::from_millis(50)).as_ref().and_then(sacn_data);
        heard.extend(data.map(|data| (data.universe, data.at)));
    }
    light.stop();
    let of = |number: u16| heard.iter().filter(move |(it, _)| *it == number).map(|(_, at)| *at);
    for number in [1, 7, 16, 17, 320] {
        assert!(of(number).count() > 40, "{} frames of universe {number}", of(number).count());
    }
    // So few have half of the phases: numbers that are equal modulo 8 leave together, neighbours an eighth of the grid
    // apart.
    let apart = |one: u16, other: u16| {
        let mut gaps: Vec<_> = of(one)
            .filter_map(|at| {
                of(other).find(|it| (at - ms(5)..at + ms(12)).contains(it)).map(|it| it - at)
            })
            .collect();
        gaps.sort();
        gaps[gaps.len() / 2]
    };
    let (same, next) = (apart(1, 17), apart(1, 3));
    assert!(same.abs() < ms(1), "{same}");
    assert!((ms(5)..ms(7)).contains(&next), "{next}: two eighths of 23 ms are 5.75");
}
