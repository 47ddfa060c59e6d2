//! What the render thread promises: it leaves the heap alone, and draws without asking its lanes. Needs loopback.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use engine::light::{Desk, GRID, MasterId, Playback, Take};
use engine::show::{
    ArtnetOut, CaptureCue, Channel, Curve, Fixture, InputFrom, InputMerge, LaneId, LightCue,
    LossGoal, MediaInfo, Merge, SacnOut, Shape, Show, ShowInput, Source, Target, Timing,
    UniverseOut, Wave, WaveTarget,
};
use tokio::sync::mpsc::Receiver;
use units::{Level, PortAddress, ShowTime, Slot, Span, Universe};
use uuid::Uuid;
use wire::capture::{Head, Reader, Record, Writer};
use wire::sacn::{self, DataFrame, SourceName};
use wire::stored::Stored;

use super::render::{Came, Lit, THREAD};
use super::{Light, LightNet, LightSetup, ToRecord};
use crate::clock::BoxClock;
use crate::heap;
use crate::overheard::Overheard;

fn universe(number: u32) -> Universe {
    Universe::new(number).expect("a universe")
}

/// A setup that says nothing special.
fn setup<'a>(show: &'a Show, net: LightNet, clock: &BoxClock) -> LightSetup<'a> {
    LightSetup {
        show,
        cid: Uuid::from_u128(1),
        source_name: "box".into(),
        net,
        priority: 100,
        kept: None,
        clock: clock.clone(),
        chance: 1,
        timecode: Box::new(|_| {}),
        report: Box::new(|_| {}),
    }
}

/// Two universes full of dimmers: one unicast as sACN, one for an Art-Net node.
fn full_stage() -> Show {
    let here = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let sacn = Some(SacnOut { unicast: here, ..SacnOut::default() });
    let poll = vec![IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))];
    let port_address = PortAddress::new(1).expect("15 bits");
    let artnet = Some(ArtnetOut { port_address, poll });
    let universes = [
        (universe(1), UniverseOut { sacn, ..UniverseOut::default() }),
        (universe(2), UniverseOut { artnet, ..UniverseOut::default() }),
    ];
    Show {
        inputs: vec![console()],
        title: "Full stage".into(),
        priority: 100,
        universes: universes.into(),
        fixtures: [1, 2].into_iter().map(dimmers).collect(),
        ..Show::default()
    }
}

/// Universe 101 comes in, to the first.
fn console() -> ShowInput {
    let first = Slot::new(1).expect("a slot");
    ShowInput {
        name: "desk".into(),
        from: InputFrom::Sacn(universe(101)),
        to: Some(universe(1)),
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

fn dimmers(number: u32) -> Fixture {
    let channel = |offset| Channel {
        attribute: format!("dimmer {offset}"),
        offsets: vec![offset],
        merge: Merge::Htp,
        ..Channel::default()
    };
    Fixture {
        name: format!("dimmers {number}"),
        universe: universe(number),
        address: Slot::new(1).expect("a slot"),
        cell_of: None,
        channels: (0..512).map(channel).collect(),
    }
}

/// Every dimmer at a level.
fn look(level: Level) -> LightCue {
    let lanes = (0..2).flat_map(|fixture| (0..512).map(move |channel| LaneId { fixture, channel }));
    let targets = lanes.map(|lane| Target { lane, level, timing: 0 }).collect();
    LightCue { targets, ..LightCue::default() }
}

fn take_all(playback: &mut Playback, list: usize, at: ShowTime, level: Level) {
    let timing = Timing { fade: Span::from_secs(1), curve: Curve::Linear, ..Timing::default() };
    let light = LightCue { timings: vec![timing], ..look(level) };
    playback.take(&Take { list, at, light: &light });
}

/// An effect of a third list on half of the slots.
fn wave_on_all(playback: &mut Playback, at: ShowTime) {
    let wave = |channel| {
        let (period, low, high) = (Span::from_secs(1), Level::OUT, Level::FULL);
        let wave = Wave { shape: Shape::Sine, period, phase: channel << 20, low, high };
        WaveTarget { lane: LaneId { fixture: 0, channel }, wave: Arc::new(wave), timing: 0 }
    };
    let waves = (0..256).map(wave).collect();
    let light = LightCue { waves, timings: vec![Timing::default()], ..LightCue::default() };
    playback.take(&Take { list: 2, at, light: &light });
}

fn ear(host: u8) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(3))).expect("the kernel knows it");
    socket
}

#[test]
fn the_render_thread_never_touches_the_heap_while_it_plays_plans_and_nodes_and_a_console_come() {
    let (receiver, node) = (ear(1), ear(2));
    let port = |socket: &UdpSocket| socket.local_addr().expect("it is bound").port();
    let net =
        LightNet { sacn_port: port(&receiver), artnet_port: port(&node), ..LightNet::default() };
    let here = Ipv4Addr::new(127, 0, 0, 3);
    let net = LightNet { address: Some(here), ..net };
    let (to, mut desk) = ((here, net.sacn_port), StubDesk::new());
    let show = full_stage();
    let clock = BoxClock::free();
    let mut light = Light::start(setup(&show, net, &clock)).expect("light begins");
    let mut playback = Playback::new(&show);
    let mut bytes = [0; 2048];
    receiver.recv(&mut bytes).expect("a first frame");
    let (_, long) = on_a_disk(1);
    playback.roll(1, 3, clock.now(), &long);
    let mut recorded = light
        .watch()
        .record(&ToRecord::default(), &Overheard::default())
        .expect("nobody else records");
    assert!(
        light.watch().record(&ToRecord::default(), &Overheard::default()).is_err(),
        "one at a time"
    );
    let (_, controller) = node.recv_from(&mut bytes).expect("a poll");
    heap::watch(THREAD);
    node.send_to(&subscription(), controller).expect("loopback takes it");
    let (mut previews, mut left) = (0, Vec::new());
    for round in 0..40 {
        let (list, now) = (round as usize % 2, clock.now());
        take_all(&mut playback, list, now, Level::from_bits(round * 256_000));
        let (master, span) = (MasterId::GRAND, Span::from_millis(300));
        playback.set_master(master, now, span, Level::from_bits(round * 400_000));
        wave_on_all(&mut playback, now + Span::from_millis(20));
        // Seen, gone, and seen again.
        let seen = LightCue { timings: vec![Timing::default()], ..look(Level::FULL) };
        playback.look_blind(now, (round % 3 != 0).then_some(&seen));
        light.play(playback.plan(1));
        desk.speak(to);
        let length = receiver.recv(&mut bytes).expect("a frame");
        match sacn::parse(&bytes[..length]) {
            Ok(sacn::Packet::Data(data)) if data.options.preview => previews += 1,
            Ok(sacn::Packet::Data(data)) => left = data.slots.to_vec(),
            other => assert!(other.is_ok(), "{other:?}"),
        }
    }
    // It is waited for what priorities the console may send; then it is mixed in.
    let mut mixed = 0;
    while mixed < 10 {
        desk.speak(to);
        receiver.recv(&mut bytes).expect("a frame");
        mixed += i32::from(light.watch().inputs()[0].state == "live");
    }
    let got = node.recv(&mut bytes).expect("a frame for the node");
    let asked = heap::asked();
    assert_eq!((asked, got), (0, wire::artnet::DMX_LEN));
    assert!(previews > 5, "{previews} packets of what is seen blindly");
    let lost = light.watch().recording_lost();
    light.stop();
    let all = frames_of_universe_1(&mut recorded);
    assert!(lost == 0 && all.len() > 20, "{lost} lost, {} recorded", all.len());
    assert!(all.contains(&left));
}

/// What a recording shows.
fn frames_of_universe_1(recorded: &mut Receiver<Vec<u8>>) -> Vec<Vec<u8>> {
    let capture: Vec<u8> = std::iter::from_fn(|| recorded.try_recv().ok()).flatten().collect();
    let mut reader = Reader::new(&capture[..]).expect("a capture");
    let mut all = Vec::new();
    while let Some(record) = reader.next_record().expect("no damage") {
        if let Record::Frame { index: 0, slots, .. } = record {
            all.push(slots.to_vec());
        }
    }
    all
}

/// A disk that can be made to stand still.
#[derive(Default)]
struct StubDisk {
    bytes: Vec<u8>,
    stands: Mutex<bool>,
    moves: Condvar,
}

impl StubDisk {
    fn stand(&self, stands: bool) {
        *self.stands.lock().expect("nobody panics with it") = stands;
        self.moves.notify_all();
    }
}

impl Stored for StubDisk {
    fn length(&self) -> std::io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }
    fn read_at(&self, at: u64, into: &mut [u8]) -> std::io::Result<usize> {
        let stands = self.stands.lock().expect("nobody panics with it");
        drop(self.moves.wait_while(stands, |stands| *stands).expect("nobody panics with it"));
        // As a disk that has little to give at once.
        let most = into.len().min(4096);
        self.bytes.read_at(at, &mut into[..most])
    }
}

/// A show with one recording, on that disk.
struct OneCapture(Arc<StubDisk>);

impl Source for OneCapture {
    fn text(&self, _: &str) -> Result<String, String> {
        let cue = "number = 1\nlight = { capture = \"a\", loop = \"forever\" }";
        Ok(format!("[[list]]\nname = \"main\"\n[[list.cue]]\n{cue}\n"))
    }
    fn media(&self, _: &str) -> Result<MediaInfo, String> {
        Err("there is no sound".into())
    }
    fn capture(&self, _: &str) -> Result<Arc<dyn Stored>, String> {
        Ok(self.0.clone())
    }
    fn footage_max(&self) -> usize {
        0
    }
}

/// A recording of a universe that is read while it plays: of frame N all slots are N modulo 251, for 20 s.
fn on_a_disk(number: u32) -> (Arc<StubDisk>, CaptureCue) {
    let mut bytes = Vec::new();
    let universes = vec![universe(number)];
    let head = Head { title: String::new(), began: ShowTime::ZERO, universes };
    let mut writer = Writer::new(head, &mut bytes);
    for frame in 0..870 {
        let slots: [u8; Universe::SLOTS] = std::array::from_fn(|_| (frame % 251) as u8);
        writer.frame(ShowTime::ZERO + GRID.times(frame), universe(number), &slots, &mut bytes);
    }
    let disk = Arc::new(StubDisk { bytes, ..StubDisk::default() });
    let show = engine::show::load("show.toml", &OneCapture(disk.clone())).show;
    let show = show.expect("it can be played");
    let light = show.lists[0].cues[0].light.as_ref();
    (disk, light.and_then(|light| light.capture.clone()).expect("the cue has one"))
}

#[test]
fn sx20_a_recorder_that_has_gone_keeps_no_other_out() {
    let (show, clock) = (full_stage(), BoxClock::free());
    let net = LightNet { address: Some(Ipv4Addr::new(127, 0, 0, 9)), ..LightNet::default() };
    let light = Light::start(setup(&show, net, &clock)).expect("light begins");
    let watch = light.watch();
    let record = || watch.record(&ToRecord::default(), &Overheard::default());
    for _ in 0..20 {
        drop(record().expect("the one before has gone"));
    }
    let _here = record().expect("nobody does");
    assert!(record().expect_err("somebody does").contains("one at a time"));
}

#[test]
fn sx20_a_disk_that_stands_still_costs_only_what_is_on_it_and_that_is_in_step_again_when_it_goes() {
    let receiver = ear(5);
    let port = receiver.local_addr().expect("it is bound").port();
    let to = vec![IpAddr::V4(Ipv4Addr::new(127, 0, 0, 5))];
    let out = || {
        let sacn = Some(SacnOut { unicast: to.clone(), ..SacnOut::default() });
        UniverseOut { sacn, ..UniverseOut::default() }
    };
    let show = Show { universes: [1, 2].map(|it| (universe(it), out())).into(), ..Show::default() };
    let net = LightNet { sacn_port: port, ..LightNet::default() };
    let net = LightNet { address: Some(Ipv4Addr::new(127, 0, 0, 6)), ..net };
    let clock = BoxClock::free();
    let mut light = Light::start(setup(&show, net, &clock)).expect("light begins");
    let ((slow, first), (_other, second)) = (on_a_disk(1), on_a_disk(2));
    let began = clock.now().round_up(GRID) + GRID;
    let mut playback = Playback::new(&show);
    playback.roll(1, 0, began, &first);
    playback.roll(2, 1, began, &second);
    light.play(playback.plan(1));
    let mut seen = [0_u8; 2];
    // What is on the wire now, and what was recorded for then, give or take a frame on its way.
    let mut step = || {
        let mut bytes = [0; 2048];
        let length = receiver.recv(&mut bytes).expect("a frame");
        let Ok(sacn::Packet::Data(data)) = sacn::parse(&bytes[..length]) else { return None };
        let index = usize::from(data.universe.number() == 2);
        seen[index] = data.slots[0];
        let gone = (clock.now() - began).ns().max(0) / GRID.ns() % 870;
        let is_near = |level: u8| (0..4).any(|ago| (gone - ago).max(0) % 251 == i64::from(level));
        Some((seen.map(is_near), seen[0]))
    };
    let end = std::time::Instant::now() + Duration::from_secs(15);
    let mut until = |wanted: &mut dyn FnMut(([bool; 2], u8)) -> bool| {
        while !step().is_some_and(&mut *wanted) {
            assert!(std::time::Instant::now() < end, "it never came");
        }
    };
    let mut frames = 0;
    until(&mut |(near, _)| {
        frames += i32::from(near == [true, true]);
        frames > 20
    });
    slow.stand(true);
    until(&mut |(near, _)| near == [false, true] && light.watch().playback_starved() > 0);
    let (mut held, mut alike) = (None, 0);
    until(&mut |(near, level)| {
        assert!(near[1], "the other goes on");
        alike = if held == Some(level) { alike + 1 } else { 0 };
        held = Some(level);
        alike > 40
    });
    assert_ne!(held, Some(0), "the last frame that came is held");
    slow.stand(false);
    frames = 0;
    until(&mut |(near, _)| {
        frames += i32::from(near == [true, true]);
        frames > 20
    });
    light.stop();
}

/// A console whose faders never rest.
struct StubDesk {
    socket: UdpSocket,
    frame: DataFrame,
    spoken: u8,
}

impl StubDesk {
    fn new() -> Self {
        let name = SourceName::new("Desk");
        let frame = DataFrame::new(Uuid::from_u128(2), name, 100, universe(101));
        Self { socket: ear(4), frame, spoken: 0 }
    }
    fn speak(&mut self, to: (Ipv4Addr, u16)) {
        self.spoken = self.spoken.wrapping_add(1);
        self.frame.set_sequence(self.spoken);
        self.frame.slots_mut().fill(self.spoken);
        self.socket.send_to(self.frame.bytes(), to).expect("loopback takes it");
    }
}

fn subscription() -> Vec<u8> {
    use wire::artnet::{PollReply, Port};
    let ports = vec![Port::Output(PortAddress::new(1).expect("15 bits"))];
    let reply = PollReply { ip: Ipv4Addr::new(127, 0, 0, 2), ports, ..PollReply::default() };
    reply.emit().to_vec()
}

/// The least that one of several tries took: what the machine has to do besides is not meant.
fn least(mut tried: impl FnMut(ShowTime)) -> Duration {
    let try_once = |frame| {
        let began = std::time::Instant::now();
        tried(ShowTime::ZERO + GRID.times(frame));
        began.elapsed()
    };
    (0..40).map(try_once).min().expect("there were some")
}

#[test]
fn a_full_universe_is_drawn_in_a_small_part_of_what_it_takes_to_ask_its_lanes_one_by_one() {
    let show = full_stage();
    let mut playback = Playback::new(&show);
    take_all(&mut playback, 0, ShowTime::ZERO, Level::FULL);
    let plan = playback.plan(1);
    let (mut lit, mut desk) = (Lit::new(universe(1), 0), Desk::default());
    let drawn = least(|at| {
        let came = Came { table: &Vec::new(), at };
        std::hint::black_box(lit.draw(&mut desk, &plan, &came, false, at));
    });
    let asked = least(|at| {
        let lane = |channel| playback.level(LaneId { fixture: 0, channel }, at);
        std::hint::black_box((0..512).map(lane).collect::<Vec<_>>());
    });
    println!("512 moving dimmers are drawn in {drawn:?}, and asked in {asked:?}");
    assert!(drawn * 4 < asked, "{drawn:?} and {asked:?}");
}

#[test]
fn a_slot_without_a_fixture_is_dark_again_when_nobody_holds_it_any_more() {
    let show =
        Show { universes: [(universe(1), UniverseOut::default())].into(), ..Show::default() };
    let (mut playback, mut lit) = (Playback::new(&show), Lit::new(universe(1), 0));
    let slot = Slot::new(7).expect("in range");
    let mut shown = |value| {
        playback.park_slot(universe(1), slot, value);
        let at = ShowTime::ZERO;
        let came = Came { table: &Vec::new(), at };
        lit.draw(&mut Desk::default(), &playback.plan(1), &came, false, at)[slot.index()]
    };
    assert_eq!([shown(Some(200)), shown(None)], [200, 0]);
}
