//! A console comes in: rules S7, S10, S12, S13, S14, A16 and A17 as a receiver, and triggers. What the box makes of it is
//! read off the packets that it sends itself.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::Receiver;

use artnet_protocol::{ArtCommand, Output};
use engine::show::{
    InputFrom, InputMerge, LightOut, LossGoal, SacnIp, Show, ShowInput, SlotTrigger, Trigger,
    TriggerOn,
};
use engine::told::Input;
use io::light::{Light, LightNet, LightSetup, ToRecord};
use io::overheard::Overheard;
use sacn::packet::{
    AcnRootLayerProtocol, DataPacketDmpLayer, DataPacketFramingLayer, E131RootLayer,
    E131RootLayerData, SynchronizationPacketFramingLayer,
};
use units::{PortAddress, Slot, Span};
use uuid::Uuid;
use wire::capture::{Reader, Record};

use crate::the_box::{lines_of, program};

use super::lan::{BOX, BOX_INTERFACE, DESK, DESK_INTERFACE, Lan, Side};
use super::olad::{Olad, Way};
use super::rig::*;

const SOON: Span = Span::from_secs(4);
/// The console's universe.
const DESK_UNIVERSE: u16 = 101;
const SYNC: u16 = 7962;

fn sacn() -> InputFrom {
    InputFrom::Sacn(universe(u32::from(DESK_UNIVERSE)))
}
fn artnet_5() -> InputFrom {
    InputFrom::Artnet(PortAddress::new(5).expect("15 bits"))
}
fn slot(number: u32) -> Slot {
    Slot::new(number).expect("a slot")
}

/// All slots of an input to universe 1, highest first, and back within a tenth of a second when it is lost.
fn input(from: InputFrom) -> ShowInput {
    ShowInput {
        name: "desk".into(),
        from,
        to: Some(universe(1)),
        first: slot(1),
        count: 512,
        at: slot(1),
        merge: InputMerge::Htp,
        priority: 100,
        loss: LossGoal::Release,
        hold: Span::ZERO,
        fade: Span::from_millis(100),
    }
}

/// A show that sends universe 1 to the ear at `to`, with that input.
fn with(input: ShowInput, to: std::net::Ipv4Addr) -> Show {
    Show { inputs: vec![input], ..show([(1, sacn_to(&[to]))]) }
}

fn begin(show: &Show, net: &LightNet) -> Light {
    Light::start(setup(show, net)).expect("light begins")
}

/// A console that sends sACN, as the oracle writes it.
struct Desk {
    socket: UdpSocket,
    to: SocketAddr,
    sync_to: SocketAddr,
    cid: Uuid,
    priority: u8,
    sequence: u8,
    synchronized: bool,
}

impl Desk {
    fn new(cid: u128, priority: u8, to: SocketAddr) -> Self {
        let any: IpAddr =
            if to.is_ipv6() { "::".parse() } else { "0.0.0.0".parse() }.expect("an address");
        let socket = UdpSocket::bind((any, 0)).expect("a free port");
        let cid = Uuid::from_u128(cid);
        Self { socket, to, sync_to: to, cid, priority, sequence: 0, synchronized: false }
    }
    /// Levels of the first slots.
    fn levels(&mut self, levels: &[u8]) {
        self.send(&[&[0], levels].concat());
    }
    /// Priorities of the first slots.
    fn priorities(&mut self, priorities: &[u8]) {
        self.send(&[&[0xdd], priorities].concat());
    }
    fn send(&mut self, values: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        let data = DataPacketFramingLayer {
            source_name: "Desk".into(),
            priority: self.priority,
            synchronization_address: if self.synchronized && values[0] == 0 { SYNC } else { 0 },
            sequence_number: self.sequence,
            preview_data: false,
            stream_terminated: false,
            force_synchronization: false,
            universe: DESK_UNIVERSE,
            data: DataPacketDmpLayer { property_values: values.to_vec().into() },
        };
        self.post(E131RootLayerData::DataPacket(data), self.to);
    }
    fn sync(&mut self, sequence_number: u8) {
        let sync =
            SynchronizationPacketFramingLayer { sequence_number, synchronization_address: SYNC };
        self.post(E131RootLayerData::SynchronizationPacket(sync), self.sync_to);
    }
    fn post(&self, data: E131RootLayerData, to: SocketAddr) {
        let pdu = E131RootLayer { cid: self.cid, data };
        let bytes = AcnRootLayerProtocol { pdu }.pack_alloc().expect("the oracle writes it");
        // A cable that is pulled is what some of these are about.
        let _ = self.socket.send_to(&bytes, to);
    }
}

/// Does something again and again, as a console does, until the box sends what is wanted on universe 1.
fn until(ear: &Ear, within: Span, mut again: impl FnMut(), wanted: impl Fn(&[u8]) -> bool) -> bool {
    let end = system_now() + within.ns();
    while system_now() < end {
        again();
        let seen = |heard: &Heard| sacn_data(heard).filter(|data| wanted(&data.values[1..]));
        if ear.wait_for(Span::from_millis(40), seen).is_some() {
            return true;
        }
    }
    false
}

#[test]
fn s12_s13_what_comes_by_unicast_is_mixed_slot_by_slot_by_its_priorities() {
    let net = LightNet { address: Some(loopback(40)), ..free_ports() };
    let by_priority = ShowInput { merge: InputMerge::Priority, ..input(sacn()) };
    let show = with(by_priority, loopback(41));
    let ear = Ear::new(loopback(41), net.sacn_port);
    let light = begin(&show, &net);
    let mut desk = Desk::new(2, 100, (loopback(40), net.sacn_port).into());
    let mut send = || {
        desk.priorities(&[150, 150, 0, 50]);
        desk.levels(&[11, 22, 33, 44]);
    };
    // The third is none of the desk's, and the fourth below the show's 100.
    assert!(until(&ear, SOON, &mut send, |slots| slots[..4] == [11, 22, 0, 0]));
    // Glances are renewed every second.
    assert!(until(&ear, SOON, send, |_| light.watch().inputs()[0].state == "live"));
    let glance = light.watch().inputs();
    let source = &glance[0].sources[0];
    assert_eq!((source.name.as_deref(), source.priority), (Some("Desk"), 100));
    light.stop();
}

/// What the first slot shows when it is another than `than` at last, and when that left.
fn next_level(ear: &Ear, than: u8, mut again: impl FnMut()) -> (u8, i64) {
    let end = system_now() + SOON.ns();
    while system_now() < end {
        again();
        let other = |heard: &Heard| sacn_data(heard).filter(|data| data.values[1] != than);
        if let Some(data) = ear.wait_for(Span::from_millis(40), other) {
            return (data.values[1], data.at);
        }
    }
    panic!("it stays at {than}");
}

#[test]
fn s13_s14_a_universe_is_sampled_before_it_is_shown_and_who_comes_later_is_waited_for() {
    let net = LightNet { address: Some(loopback(45)), ..free_ports() };
    let show = with(input(sacn()), loopback(46));
    let ear = Ear::new(loopback(46), net.sacn_port);
    let sampling = Span::from_millis(1_400).ns();
    let to = (loopback(45), net.sacn_port).into();
    let desk = |cid, priority| Desk::new(cid, priority, to);
    let (mut low, mut high, mut late, mut sure) =
        (desk(2, 90), desk(3, 110), desk(4, 150), desk(5, 160));

    let began = system_now();
    let light = begin(&show, &net);
    // The lower one speaks first: without the sampling it would flash.
    let mut two = || {
        low.levels(&[255]);
        high.levels(&[100]);
    };
    let (level, at) = next_level(&ear, 0, &mut two);
    assert_eq!(level, 100, "the first that is seen is what all of them add up to");
    assert!(at - began > sampling, "{} ns", at - began);

    // It may yet say which slots are its own.
    let began = system_now();
    let (level, at) = next_level(&ear, 100, || {
        two();
        late.levels(&[50]);
    });
    assert_eq!(level, 50);
    assert!(at - began > sampling, "{} ns", at - began);

    // One that says so counts at once.
    let began = system_now();
    let (level, at) = next_level(&ear, 50, || {
        late.levels(&[50]);
        sure.priorities(&[200]);
        sure.levels(&[77]);
    });
    assert_eq!(level, 77);
    assert!(at - began < sampling, "{} ns", at - began);
    light.stop();
}

#[test]
fn s12_multicast_comes_in_over_ipv4_and_over_ipv6() {
    let Some(lan) = Lan::new("s12_multicast_…") else { return };
    for (ip, group) in [(SacnIp::V4, "239.255.0.101"), (SacnIp::V6, "ff18::8300:65")] {
        let net = LightNet { interface: Some(BOX_INTERFACE.into()), ..free_ports() };
        let mut show = with(input(sacn()), DESK);
        show.light = LightOut { sacn_ip: ip, ..LightOut::default() };
        let ear = lan.on(Side::Desk, || Ear::new(DESK, net.sacn_port));
        let light = lan.on(Side::Box, || begin(&show, &net));
        assert_eq!(light.warnings(), Vec::<String>::new());
        let group: IpAddr = group.parse().expect("a group");
        let mut desk = lan.on(Side::Desk, || Desk::new(2, 100, (group, net.sacn_port).into()));
        if group.is_ipv6() {
            let index = lan.on(Side::Desk, || nix::net::if_::if_nametoindex(DESK_INTERFACE));
            let socket = socket2::SockRef::from(&desk.socket);
            socket.set_multicast_if_v6(index.expect("it is there")).expect("the kernel knows it");
        }
        assert!(until(&ear, SOON, || desk.levels(&[77]), |slots| slots[0] == 77), "{group}");
        light.stop();
    }
}

#[test]
fn s10_what_comes_in_is_held_for_the_synchronization_that_it_names() {
    let Some(lan) = Lan::new("s10_what_comes_in_…") else { return };
    let net = LightNet { interface: Some(BOX_INTERFACE.into()), ..free_ports() };
    let show = with(input(sacn()), DESK);
    let ear = lan.on(Side::Desk, || Ear::new(DESK, net.sacn_port));
    let light = lan.on(Side::Box, || begin(&show, &net));
    let mut desk = lan.on(Side::Desk, || Desk::new(2, 100, (BOX, net.sacn_port).into()));
    desk.sync_to = ("239.255.31.26".parse::<IpAddr>().expect("a group"), net.sacn_port).into();
    desk.synchronized = true;
    // Nobody has synchronized yet, so it acts at once; meanwhile the box joins the group that was named.
    assert!(until(&ear, SOON, || desk.levels(&[10]), |slots| slots[0] == 10));
    let mut count = 0;
    let mut synchronized = |desk: &mut Desk, level| {
        desk.levels(&[level]);
        count += 1;
        desk.sync(count);
    };
    assert!(until(&ear, SOON, || synchronized(&mut desk, 20), |slots| slots[0] == 20));
    // The first one that the box did not show at once was held: by then its syncs are heard.
    let holds = (0..100).any(|_| {
        synchronized(&mut desk, 20);
        desk.levels(&[200]);
        let flashed = |heard: &Heard| sacn_data(heard).filter(|data| data.values[1] == 200);
        ear.wait_for(Span::from_millis(150), flashed).is_none()
    });
    assert!(holds, "the synchronization's group was never joined");
    count += 1;
    desk.sync(count);
    assert!(until(&ear, SOON, || {}, |slots| slots[0] == 200), "its sync shows it");
    light.stop();
}

#[test]
fn s07_s14_consoles_whose_cable_is_pulled_go_together_and_none_of_them_flashes() {
    let Some(lan) = Lan::new("s07_s14_…") else { return };
    let net = LightNet { interface: Some(BOX_INTERFACE.into()), ..free_ports() };
    let slow = ShowInput { fade: Span::from_millis(500), ..input(sacn()) };
    let show = Show { inputs: vec![slow], ..show([(1, sacn_to(&[BOX]))]) };
    let ear = lan.on(Side::Box, || Ear::new(BOX, net.sacn_port));
    let light = lan.on(Side::Box, || begin(&show, &net));
    let to: SocketAddr =
        ("239.255.0.101".parse::<IpAddr>().expect("a group"), net.sacn_port).into();
    let (mut low, mut high) = lan.on(Side::Desk, || (Desk::new(2, 90, to), Desk::new(3, 110, to)));
    let both = |low: &mut Desk, high: &mut Desk| {
        low.levels(&[255]);
        high.levels(&[100]);
    };
    assert!(until(&ear, SOON, || both(&mut low, &mut high), |slots| slots[0] == 100));
    // The better one is heard a little earlier than the other for the last time, so it is lost a little earlier.
    high.levels(&[100]);
    ear.hear(Span::from_millis(30));
    low.levels(&[255]);
    lan.plug(false);
    let mut seen = Vec::new();
    let end = system_now() + Span::from_secs(7).ns();
    while system_now() < end && seen.last().is_none_or(|(_, level)| *level > 0) {
        let data = ear.hear(Span::from_millis(50)).as_ref().and_then(sacn_data);
        seen.extend(data.map(|data| (data.at, data.values[1])));
    }
    let levels: Vec<u8> = seen.iter().map(|(_, level)| *level).collect();
    assert_eq!(levels.last(), Some(&0), "it is released: {levels:?}");
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0]), "nothing rises: {levels:?}");
    // 100 in half a second is 5 a frame, and frames may be late.
    assert!(levels.windows(2).all(|pair| pair[0] - pair[1] <= 40), "a fade: {levels:?}");
    light.stop();
}

/// ArtDmx as the oracle writes it.
fn art_dmx_of(port_address: u16, level: u8) -> Vec<u8> {
    let output = Output {
        port_address: port_address.try_into().expect("15 bits"),
        data: vec![level; 512].into(),
        ..Output::default()
    };
    ArtCommand::Output(output).write_to_buffer().expect("the oracle writes it")
}

/// ArtAddress with a command for the box's first input; no oracle writes these.
fn art_address(command: u8) -> Vec<u8> {
    let mut bytes = vec![0; 107];
    bytes[..8].copy_from_slice(b"Art-Net\0");
    bytes[8..10].copy_from_slice(&0x6000_u16.to_le_bytes());
    (bytes[11], bytes[13], bytes[106]) = (14, 1, command);
    bytes
}

#[test]
fn a16_a17_two_senders_merge_a_third_is_ignored_and_what_is_lost_does_as_art_address_programmed() {
    let net = LightNet { address: Some(loopback(50)), ..free_ports() };
    let show = with(input(artnet_5()), loopback(51));
    let ear = Ear::new(loopback(51), net.sacn_port);
    let light = begin(&show, &net);
    let to = (loopback(50), net.artnet_port);
    let senders = [52, 53, 54].map(|host| Ear::new(loopback(host), 0));
    let send = |sender: usize, bytes: &[u8]| {
        senders[sender].0.send_to(bytes, to).expect("loopback takes it");
    };
    // Who sends by subscription has to see that we are one of the subscribers (rule A8).
    send(0, &art_poll(false));
    let listed = senders[0]
        .wait_for(SOON, |heard| art_poll_reply(heard).filter(|reply| reply.bind_index == 1));
    let listed = listed.expect("a reply for the port address that comes in");
    assert_eq!((listed.port_types[0], listed.swout[0]), (0x80, 5));
    assert!(until(&ear, SOON, || send(0, &art_dmx_of(5, 100)), |slots| slots[0] == 100));
    assert!(until(&ear, SOON, || send(1, &art_dmx_of(5, 150)), |slots| slots[0] == 150));
    send(2, &art_dmx_of(5, 250));
    let third = |heard: &Heard| sacn_data(heard).filter(|data| data.values[1] == 250);
    assert!(ear.wait_for(Span::from_millis(500), third).is_none());
    send(0, &art_address(0x90));
    let dark = |heard: &Heard| sacn_data(heard).filter(|data| data.values[1] == 0);
    assert!(ear.wait_for(SOON, dark).is_some(), "cleared until somebody sends again");
    assert!(until(&ear, SOON, || send(0, &art_dmx_of(5, 100)), |slots| slots[0] == 100));
    send(0, &art_address(0x0a));
    let lost = system_now();
    // Both are silent from now on: first the one that was heard first leaves, after ten seconds, then the other.
    assert!(
        until(&ear, Span::from_secs(14), || {}, |slots| slots[0] == 255),
        "full, as programmed"
    );
    let after = system_now() - lost;
    assert!(after > Span::from_secs(9).ns(), "{after} ns");
    light.stop();
}

/// GoodOutputA, GoodOutputB and Status3 of the first input's reply to that; the oracle reads none of them.
fn programmed(desk: &Ear, to: (std::net::Ipv4Addr, u16), bytes: &[u8]) -> [u8; 3] {
    desk.0.send_to(bytes, to).expect("loopback takes it");
    let reply = |heard: &Heard| {
        let reply = art_poll_reply(heard).filter(|reply| reply.bind_index == 1);
        reply.map(|_| [heard.bytes[182], heard.bytes[213], heard.bytes[217]])
    };
    desk.wait_for(SOON, reply).expect("whoever programs is answered")
}

#[test]
fn a16_a17_a_recorded_scene_and_all_that_art_address_sets_are_kept_over_a_restart_and_told_of() {
    let place = tempfile::tempdir().expect("a folder");
    let net = LightNet { address: Some(loopback(55)), ..free_ports() };
    let show = with(input(artnet_5()), loopback(56));
    let kept = || Some(place.path().join("artnet.json"));
    let begin = || Light::start(LightSetup { kept: kept(), ..setup(&show, &net) });
    let (ear, desk) = (Ear::new(loopback(56), net.sacn_port), Ear::new(loopback(57), 0));
    let to = (loopback(55), net.artnet_port);
    let send = |level| {
        desk.0.send_to(&art_dmx_of(5, level), to).expect("loopback takes it");
    };

    let light = begin().expect("light begins");
    assert_eq!(programmed(&desk, to, &art_address(0)), [0, 0xb0, 0x60], "as the show has it");
    assert!(until(&ear, SOON, || send(77), |slots| slots[0] == 77));
    assert_eq!(programmed(&desk, to, &art_address(0x0c)), [0x80, 0xb0, 0x60], "recorded");
    assert_eq!(programmed(&desk, to, &art_address(0x0b)), [0x80, 0xb0, 0xe0], "the scene");
    assert_eq!(programmed(&desk, to, &art_address(0x10)), [0x82, 0xb0, 0xe0], "by the latest");
    light.stop();

    let light = begin().expect("light begins");
    assert_eq!(light.warnings(), Vec::<String>::new());
    assert_eq!(programmed(&desk, to, &art_address(0)), [0x02, 0xb0, 0xe0], "as it was set");
    assert!(until(&ear, SOON, || send(200), |slots| slots[0] == 200));
    assert!(until(&ear, Span::from_secs(14), || {}, |slots| slots[0] == 77), "the scene");
    light.stop();
}

#[test]
fn a_slot_that_crosses_a_level_is_told_of_once() {
    let net = LightNet { address: Some(loopback(60)), ..free_ports() };
    let mut show = with(ShowInput { to: None, ..input(artnet_5()) }, loopback(61));
    let cue = "1".parse().expect("a cue");
    let on = SlotTrigger { input: 0, slot: slot(7), above: 128, below: 102 };
    show.triggers = vec![Trigger { on: TriggerOn::Slot(on), fires: cue }];
    let (crossed, note) = keep();
    let setup = LightSetup { report: note, ..setup(&show, &net) };
    let light = Light::start(setup).expect("light begins");
    let (desk, quiet) = (Ear::new(loopback(62), 0), Ear::new(loopback(63), 0));
    let to = (loopback(60), net.artnet_port);
    for level in [0, 100, 200, 200, 210] {
        desk.0.send_to(&art_dmx_of(5, level), to).expect("loopback takes it");
        // The ear's silence is the clock: a console's frames are apart.
        quiet.hear(Span::from_millis(60));
    }
    light.stop();
    let told = crossed.lock().expect("nobody panics with it");
    let crossed = told.iter().filter(|it| matches!(it, Input::Crossed { trigger: 0 }));
    assert_eq!(crossed.count(), 1);
}

/// A box whose `light0` is its lighting interface, and that has neither sound nor a fixed port.
const BOX_FILE: &str = "[ports]\nhttp = 0\nhttps = 0\nosc = 0\nclock = 0\npeers = 0\n[sound]\ndevice = \"none\"\n[clock]\n\
    ptp = \"off\"\n[net]\nlight = \"light0\"\n";
const SHOW_FILE: &str = "[inputs.desk]\nport_address = 5\n[[trigger]]\ninput = \"desk\"\nslot = 7\n\
    fires = 3\n[[list]]\nname = \"main\"\n[[list.cue]]\nnumber = 3\nphones = { text = \"go\" }\n";

/// The program with that show on a machine of its own, as long as this lives.
struct Program {
    place: tempfile::TempDir,
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    fn start(lan: &Lan) -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let file = |name: &str| place.path().join(name);
        std::fs::write(file("box.toml"), BOX_FILE).expect("written");
        std::fs::write(file("show.toml"), SHOW_FILE).expect("written");
        let mut command = lan.command(Side::Box, &program().get_program().to_string_lossy());
        command.arg("run").arg(place.path()).arg("--box").arg(file("box.toml"));
        command.arg("--state").arg(file("state")).arg("--socket").arg(file("socket"));
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let lines = lines_of(child.stdout.take().expect("piped"));
        Self { place, child, lines }
    }
    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }
    /// Moves the fader past its level, again and again, until the program says that it fired its cue.
    fn is_fired_by(&self, desk: &Ear) -> bool {
        let end = system_now() + Span::from_secs(20).ns();
        let mut fired = false;
        while !fired && system_now() < end {
            [0, 0, 200].into_iter().for_each(|level| send_to_program(desk, level));
            fired = self.lines.try_iter().any(|it| it.contains("cue 3 began (input desk)"));
        }
        fired
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A frame of the desk; the ear's silence is the clock.
fn send_to_program(desk: &Ear, level: u8) {
    let _ = desk.0.send_to(&art_dmx_of(5, level), (BOX, wire::artnet::PORT));
    desk.hear(Span::from_millis(60));
}

#[test]
fn a_fader_of_a_console_fires_a_cue_of_the_running_program() {
    let Some(lan) = Lan::new("a_fader_of_a_console_…") else { return };
    let program = Program::start(&lan);
    let desk = lan.on(Side::Desk, || Ear::new(DESK, 0));
    assert!(program.is_fired_by(&desk));
}

#[test]
fn sx20_a_console_is_recorded_as_it_arrives() {
    let net = LightNet { address: Some(loopback(44)), ..free_ports() };
    let show = with(input(sacn()), loopback(45));
    let ear = Ear::new(loopback(45), net.sacn_port);
    let light = begin(&show, &net);
    let asked = |inputs: &[(&str, Option<u32>)], universes: &[u32]| ToRecord {
        phones: false,
        universes: universes.iter().map(|it| universe(*it)).collect(),
        inputs: inputs.iter().map(|(name, it)| ((*name).into(), it.map(universe))).collect(),
    };
    let refused = |inputs: &[(&str, Option<u32>)], universes: &[u32]| {
        light
            .watch()
            .record(&asked(inputs, universes), &Overheard::default())
            .expect_err("it cannot be")
    };
    assert!(refused(&[("dsek", None)], &[]).contains("there are `desk`"));
    assert!(refused(&[("desk", Some(1))], &[1]).contains("twice"));
    let mut bytes = light
        .watch()
        .record(&asked(&[("desk", None)], &[1]), &Overheard::default())
        .expect("nobody does");
    let taker = std::thread::spawn(move || {
        let mut capture = Vec::new();
        while let Some(piece) = bytes.blocking_recv() {
            capture.extend(piece);
        }
        capture
    });
    let mut desk = Desk::new(2, 100, (loopback(44), net.sacn_port).into());
    for level in [11, 22, 33] {
        assert!(until(&ear, SOON, || desk.levels(&[level, 7]), |slots| slots[0] == level));
    }
    light.stop();
    let capture = taker.join().expect("it takes what comes");
    let mut reader = Reader::new(&capture[..]).expect("a capture");
    assert_eq!(reader.head().universes, [universe(1), universe(u32::from(DESK_UNIVERSE))]);
    let mut shown = [vec![], vec![]];
    while let Some(record) = reader.next_record().expect("no damage") {
        if let Record::Frame { index, slots, .. } = record {
            shown[index].push((slots[0], slots[1]));
        }
    }
    assert_eq!(shown[1], [(11, 7), (22, 7), (33, 7)], "nothing before somebody sends");
    assert_eq!(shown[0].last(), Some(&(33, 7)), "and what left, mixed with it");
}

#[test]
fn sx20_the_program_records_an_art_net_console_alone() {
    let Some(lan) = Lan::new("sx20_the_program_records_…") else { return };
    let running = Program::start(&lan);
    let desk = lan.on(Side::Desk, || Ear::new(DESK, 0));
    assert!(running.is_fired_by(&desk), "the box never hears the desk");
    let taken = running.file("taken.dbl");
    let mut record = program();
    record.arg("record").arg(&taken).args(["--inputs", "desk", "--for", "1500ms", "--json"]);
    record.arg("--socket").arg(running.file("socket")).stdout(Stdio::piped());
    let mut record = record.spawn().expect("it starts");
    let end = system_now() + Span::from_secs(20).ns();
    while record.try_wait().expect("ours").is_none() {
        assert!(system_now() < end, "it does not end");
        [50, 100].into_iter().for_each(|level| send_to_program(&desk, level));
    }
    let output = record.wait_with_output().expect("it has ended");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!((&told["universes"], &told["lost_frames"]), (&1.into(), &0.into()));
    let capture = std::fs::read(&taken).expect("it is written");
    let mut reader = Reader::new(&capture[..]).expect("a capture");
    assert_eq!(reader.head().universes, [universe(6)], "one more than the port address");
    let mut levels = std::collections::BTreeSet::new();
    while let Some(record) = reader.next_record().expect("no damage") {
        if let Record::Frame { slots, .. } = record {
            levels.insert(slots[6]);
        }
    }
    assert!(levels.is_superset(&[50, 100].into()) && !reader.is_cut(), "{levels:?}");
}

#[test]
fn olad_comes_in_by_sacn_and_by_art_net() {
    let Some(lan) = Lan::new("olad_comes_in_…") else { return };
    let Some(olad) = Olad::start("olad_comes_in_…", &lan, Side::Desk, DESK) else { return };
    // It knows no other ports than the standards'.
    let net = LightNet { interface: Some(BOX_INTERFACE.into()), ..LightNet::default() };
    let part =
        |from, first: u32| ShowInput { first: slot(1), count: 100, at: slot(first), ..input(from) };
    let inputs = vec![part(sacn(), 1), part(artnet_5(), 201)];
    let show = Show { inputs, ..show([(1, sacn_to(&[BOX]))]) };
    let ear = lan.on(Side::Box, || Ear::new(BOX, net.sacn_port));
    let light = lan.on(Side::Box, || begin(&show, &net));
    olad.patch("E1.31", 0, Way::Out, u32::from(DESK_UNIVERSE));
    olad.patch("ArtNet", 0, Way::Out, 5);
    let levels = |seed: u8| (0..100).map(|slot| seed.wrapping_mul(slot) | 1).collect::<Vec<u8>>();
    for seed in [3, 7] {
        let (by_sacn, by_artnet) = (levels(seed), levels(seed + 1));
        let set = || {
            olad.set(u32::from(DESK_UNIVERSE), &by_sacn);
            olad.set(5, &by_artnet);
        };
        let arrived = |slots: &[u8]| slots[..100] == by_sacn && slots[200..300] == by_artnet;
        // It looks for Art-Net's subscribers every ten seconds.
        assert!(until(&ear, Span::from_secs(25), set, arrived), "{:#?}", light.watch().inputs());
    }
    let inputs = light.watch().inputs();
    assert_eq!(inputs[0].sources[0].address, IpAddr::V4(DESK));
    light.stop();
}
