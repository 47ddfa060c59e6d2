//! What the render thread promises: it leaves the heap alone, and draws within its head start. Needs loopback.

use std::alloc::{GlobalAlloc, Layout, System as Heap};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use engine::light::{GRID, MasterId, Playback, Take};
use engine::show::{
    ArtnetOut, Channel, Curve, Fixture, InputFrom, InputMerge, LaneId, LightCue, LossGoal, Merge,
    SacnOut, Shape, Show, ShowInput, Target, Timing, UniverseOut, Wave, WaveTarget,
};
use nix::libc;
use tokio::sync::mpsc::Receiver;
use units::{Level, PortAddress, ShowTime, Slot, Span, Universe};
use uuid::Uuid;
use wire::capture::{Reader, Record};
use wire::sacn::{self, DataFrame, SourceName};

use super::render::{Came, Lit, THREAD};
use super::{Light, LightNet, LightSetup};
use crate::clock::BoxClock;

/// Counts what the render thread asks of the heap while somebody watches.
struct Watched;

static WATCHING: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicU64 = AtomicU64::new(0);

fn note() {
    if WATCHING.load(SeqCst) && is_render_thread() {
        ASKED.fetch_add(1, SeqCst);
    }
}

#[expect(unsafe_code, reason = "only the kernel can be asked for a name without the heap")]
fn is_render_thread() -> bool {
    let mut name = [0_u8; 16];
    // SAFETY: the kernel writes sixteen octets at most.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name.starts_with(THREAD.as_bytes()) && name[THREAD.len()] == 0
}

#[expect(unsafe_code, reason = "the heap's contract is the system's own, which is called")]
// SAFETY: every call goes on to the system's heap unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as the caller promised.
        unsafe { Heap.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note();
        // SAFETY: as the caller promised.
        unsafe { Heap.dealloc(at, layout) }
    }
}

#[global_allocator]
static HEAP: Watched = Watched;

fn universe(number: u32) -> Universe {
    Universe::new(number).expect("a universe")
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
    let mut light = Light::start(LightSetup {
        show: &show,
        cid: Uuid::from_u128(1),
        source_name: "box".into(),
        net,
        priority: 100,
        kept: None,
        clock: clock.clone(),
        chance: 1,
        timecode: Box::new(|_| {}),
        report: Box::new(|_| {}),
    })
    .expect("light begins");
    let mut playback = Playback::new(&show);
    let mut bytes = [0; 2048];
    receiver.recv(&mut bytes).expect("a first frame");
    let mut recorded = light.watch().record(&[]).expect("nobody else records");
    assert!(light.watch().record(&[]).is_err(), "one at a time");
    let (_, controller) = node.recv_from(&mut bytes).expect("a poll");
    WATCHING.store(true, SeqCst);
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
        playback.look_blind((round % 3 != 0).then_some(&seen));
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
    WATCHING.store(false, SeqCst);
    assert_eq!((ASKED.load(SeqCst), got), (0, wire::artnet::DMX_LEN));
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
    let mut reader = Reader::new(&capture).expect("a capture");
    let mut all = Vec::new();
    while let Some(record) = reader.next_record().expect("no damage") {
        if let Record::Frame { index: 0, slots, .. } = record {
            all.push(slots.to_vec());
        }
    }
    all
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

#[test]
fn a_full_universe_is_drawn_in_a_small_part_of_the_head_start() {
    let show = full_stage();
    let mut playback = Playback::new(&show);
    take_all(&mut playback, 0, ShowTime::ZERO, Level::FULL);
    let plan = playback.plan(1);
    let mut lit = Lit::new(universe(1), 0);
    let began = std::time::Instant::now();
    for frame in 0..40 {
        let at = ShowTime::ZERO + GRID.times(frame);
        lit.draw(&plan, &Came { table: &Vec::new(), at }, false, at);
    }
    let each = began.elapsed() / 40;
    println!("a universe of 512 moving dimmers is drawn in {each:?}");
    assert!(each < Duration::from_micros(500), "{each:?}");
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
        lit.draw(&playback.plan(1), &came, false, at)[slot.index()]
    };
    assert_eq!([shown(Some(200)), shown(None)], [200, 0]);
}
