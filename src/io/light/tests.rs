//! What the render thread promises: it leaves the heap alone, and draws within its head start. Needs loopback.

use std::alloc::{GlobalAlloc, Layout, System as Heap};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use engine::light::{GRID, Playback, Take};
use engine::show::{
    ArtnetOut, Channel, Curve, Fixture, LaneId, LightCue, Merge, SacnOut, Show, Target, Timing,
    UniverseOut,
};
use nix::libc;
use tokio::sync::mpsc::Receiver;
use units::{Level, PortAddress, ShowTime, Slot, Span, Universe};
use uuid::Uuid;
use wire::capture::{Reader, Record};

use super::render::{Lit, THREAD};
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
        title: "Full stage".into(),
        priority: 100,
        universes: universes.into(),
        fixtures: [1, 2].into_iter().map(dimmers).collect(),
        ..Show::default()
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

fn take_all(playback: &mut Playback, at: ShowTime, level: Level) {
    let lanes = (0..2).flat_map(|fixture| (0..512).map(move |channel| LaneId { fixture, channel }));
    let targets = lanes.map(|lane| Target { lane, level, timing: 0 }).collect();
    let timing = Timing { delay: Span::ZERO, fade: Span::from_secs(1), curve: Curve::Linear };
    let light = LightCue { targets, timings: vec![timing], capture: None };
    playback.take(&Take { list: 0, at, light: &light });
}

fn ear(host: u8) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(3))).expect("the kernel knows it");
    socket
}

#[test]
fn the_render_thread_never_touches_the_heap_while_it_plays_plans_and_nodes_come() {
    let (receiver, node) = (ear(1), ear(2));
    let port = |socket: &UdpSocket| socket.local_addr().expect("it is bound").port();
    let net =
        LightNet { sacn_port: port(&receiver), artnet_port: port(&node), ..LightNet::default() };
    let show = full_stage();
    let clock = BoxClock::free();
    let mut light = Light::start(LightSetup {
        show: &show,
        cid: Uuid::from_u128(1),
        source_name: "box".into(),
        net,
        priority: 100,
        clock: clock.clone(),
        chance: 1,
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
    for round in 0..40 {
        take_all(&mut playback, clock.now(), Level::from_bits(round * 256_000));
        light.play(playback.plan(1));
        receiver.recv(&mut bytes).expect("a frame");
    }
    let left = bytes[..wire::sacn::DATA_LEN].to_vec();
    let got = node.recv(&mut bytes).expect("a frame for the node");
    WATCHING.store(false, SeqCst);
    assert_eq!((ASKED.load(SeqCst), got), (0, wire::artnet::DMX_LEN));
    let lost = light.watch().recording_lost();
    light.stop();
    let all = frames_of_universe_1(&mut recorded);
    assert!(lost == 0 && all.len() > 20, "{lost} lost, {} recorded", all.len());
    assert!(all.contains(&left[wire::sacn::DATA_LEN - Universe::SLOTS..].to_vec()));
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

fn subscription() -> Vec<u8> {
    use wire::artnet::{PollReply, Port, Style};
    let reply = PollReply {
        ip: Ipv4Addr::new(127, 0, 0, 2),
        short_name: "node".into(),
        long_name: String::new(),
        report: String::new(),
        style: Style::Node,
        ports: vec![Port::Output(PortAddress::new(1).expect("15 bits"))],
        mac: [0; 6],
        bind_index: 1,
    };
    reply.emit().to_vec()
}

#[test]
fn a_full_universe_is_drawn_in_a_small_part_of_the_head_start() {
    let show = full_stage();
    let mut playback = Playback::new(&show);
    take_all(&mut playback, ShowTime::ZERO, Level::FULL);
    let plan = playback.plan(1);
    let mut lit = Lit::new(universe(1), 0);
    let began = std::time::Instant::now();
    for frame in 0..40 {
        lit.draw(&plan, false, ShowTime::ZERO + GRID.times(frame));
    }
    let each = began.elapsed() / 40;
    println!("a universe of 512 moving dimmers is drawn in {each:?}");
    assert!(each < Duration::from_micros(500), "{each:?}");
}
