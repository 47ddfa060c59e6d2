//! Recorded light: what was captured plays back, in step with show time.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use engine::light::{GRID, MasterId, Playback, UniversePlan, render};
use engine::show::{FOOTAGE_MAX, Finding, MasterRef, MediaInfo, Show, Source, load};
use engine::timecode::{Heard, Source as TimecodeSource};
use engine::told::{Command, Input};
use proptest::prelude::*;
use sim::{Frame, World, WorldSpec};
use tests::seeds::seeds;
use units::{CueNumber, FrameRate, Level, ShowTime, Span, Timecode, Universe};
use wire::capture::{Head, Writer};
use wire::fseq;
use wire::stored::Stored;

const PATCH: &str = r#"
[fixtures]
one = { profile = "generic/dimmer", universe = 3, address = 1 }
[[list]]
name = "main"
"#;

struct Folder {
    show: String,
    files: BTreeMap<&'static str, Vec<u8>>,
    /// What a recording may take in memory.
    most: usize,
}

impl Source for Folder {
    fn text(&self, _: &str) -> Result<String, String> {
        Ok(self.show.clone())
    }
    fn media(&self, _: &str) -> Result<MediaInfo, String> {
        Err("there is no such file".into())
    }
    fn capture(&self, path: &str) -> Result<Arc<dyn Stored>, String> {
        let file = self.files.get(path).cloned().ok_or("there is no such file")?;
        Ok(Arc::new(file))
    }
    fn footage_max(&self) -> usize {
        self.most
    }
}

/// A world on a grid instant, with a show of these cues.
fn world(cues: &str, file: Vec<u8>) -> World {
    world_with(cues, file, FOOTAGE_MAX)
}

fn world_with(cues: &str, file: Vec<u8>, most: usize) -> World {
    let files = BTreeMap::from([("captures/a", file)]);
    let loaded = load("show.toml", &Folder { show: format!("{PATCH}{cues}"), files, most });
    let said: Vec<String> = loaded.findings.iter().map(Finding::to_string).collect();
    let show = loaded.show.unwrap_or_else(|| panic!("{}", said.join("\n")));
    let mut world = World::new(Arc::new(show), WorldSpec::default());
    world.run_until((world.now() + Span::from_secs(1)).round_up(GRID));
    world
}

fn universe(number: u32) -> Universe {
    Universe::new(number).expect("in range")
}

fn frames(world: &World, number: u32, since: ShowTime) -> Vec<(Span, [u8; Universe::SLOTS])> {
    let of_it = |frame: &&Frame| frame.universe == universe(number) && frame.instant > since;
    let frames = world.frames.iter().filter(of_it);
    frames.map(|frame| (frame.instant - since, *frame.slots)).collect()
}

/// A second, in steps of 100 ms: in step N slots 1 and 2 stand at 10 N + 5.
fn ramp() -> Vec<u8> {
    let mut bytes = Vec::new();
    let head = Head { title: "Ramp".into(), began: ShowTime::ZERO, universes: vec![universe(1)] };
    let mut writer = Writer::new(head, &mut bytes);
    for step in 0..10u8 {
        let mut slots = [0; Universe::SLOTS];
        slots[..2].fill(10 * step + 5);
        let at = ShowTime::ZERO + Span::from_millis(100 * i64::from(step));
        writer.frame(at, universe(1), &slots, &mut bytes);
    }
    writer.mark(ShowTime::ZERO + Span::from_secs(1), &mut bytes);
    bytes
}

fn at_step(place: Span) -> u8 {
    (place.ns().rem_euclid(1_000_000_000) / 100_000_000 * 10 + 5) as u8
}

#[test]
fn sx20_a_captured_show_plays_back_octet_for_octet_in_another_universe() {
    let cues = r#"
        [[list.cue]]
        number = 1
        light = { levels = { one = 80 }, fade = "1s", curve = "s" }
        [[list.cue]]
        number = 2
        light = { levels = { one = 10 }, fade = "700ms" }
    "#;
    let mut first = world(cues, Vec::new());
    let began = first.now();
    for _ in 0..2 {
        first.go().expect("a cue is on standby");
        first.run(Span::from_millis(1500));
    }
    let recorded = frames(&first, 3, began);
    let mut file = Vec::new();
    let head = Head { title: "First".into(), began, universes: vec![universe(3)] };
    let mut writer = Writer::new(head, &mut file);
    recorded
        .iter()
        .for_each(|(at, slots)| writer.frame(began + *at, universe(3), slots, &mut file));
    writer.mark(first.now(), &mut file);

    let cue = "[[list.cue]]\nnumber = 1\nlight = { capture = \"captures/a\", map = { 3 = 8 } }\n";
    let mut second = world(cue, file);
    let began = second.now();
    second.go().expect("the capture is on standby");
    second.run(Span::from_millis(2900));
    assert!(recorded.len() > 60, "{} frames of a fade", recorded.len());
    assert_eq!(frames(&second, 8, began), recorded);
    second.run(Span::from_millis(200));
    assert_eq!(second.universe(8).expect("frames came")[0], 0, "it is over");
    assert!(second.glance().running.is_empty());
}

#[test]
fn sx20_a_capture_seeks_loops_and_stands_still_in_a_pause_by_show_time() {
    let cue = r#"
        [[list.cue]]
        number = 1
        light = { capture = "captures/a", map = { 1 = 3 }, start_at = "350ms", loop = "forever" }
    "#;
    let mut world = world(cue, ramp());
    let began = world.now();
    world.go().expect("the capture is on standby");
    world.run(GRID.times(150));
    let offset = Span::from_millis(350);
    let all = frames(&world, 3, began);
    assert!(all.len() > 30, "three rounds of ten steps: {}", all.len());
    assert!(all.iter().all(|(at, slots)| slots[..2] == [at_step(*at + offset); 2]));

    let paused = world.now();
    world.command(Command::Pause).expect("it runs");
    let stood = world.universe(3).expect("frames came")[0];
    world.run(GRID.times(200));
    assert_eq!(world.universe(3).expect("frames came")[0], stood);
    world.command(Command::Resume).expect("it is paused");
    let pause = world.now() - paused;
    let resumed = world.now();
    world.run(GRID.times(100));
    let on = frames(&world, 3, resumed);
    let place = |at: Span| resumed + at - pause - began + offset;
    assert!(on.len() > 15 && on.iter().all(|(at, slots)| slots[0] == at_step(place(*at))));
}

#[test]
fn sx20_a_capture_fades_over_a_look_and_a_stop_fades_it_out_without_a_jump() {
    let cues = r#"
        [[list.cue]]
        number = 1
        light = { levels = { one = 100 } }
        [[list.cue]]
        number = 2
        light = { capture = "captures/a", map = { 1 = 3 }, loop = "forever", fade_in = "1s", fade_out = "2s" }
        [[list.cue]]
        number = 3
        stop = 2
    "#;
    for end in [Command::Go { list: None }, Command::Stop, Command::Panic] {
        let mut world = world(cues, ramp());
        world.go().expect("the look");
        world.run(Span::from_millis(100));
        let began = world.now();
        world.go().expect("the capture");
        world.run(GRID.times(100));
        assert_eq!(
            world.universe(3).expect("frames came")[0],
            world.universe(3).expect("frames")[1]
        );
        world.command(end.clone()).expect("never refused");
        world.run(GRID.times(120));
        let all = frames(&world, 3, began);
        // The ramp's own steps are 10, its turn 90, and a fade of a second goes 6 a frame.
        let steps = all.windows(2).map(|pair| i32::from(pair[1].1[0]) - i32::from(pair[0].1[0]));
        assert!(steps.map(i32::abs).max() <= Some(96), "{end:?}");
        let left = world.universe(3).expect("frames came");
        assert_eq!(left[1], 0, "nothing lies beneath slot 2: {end:?}");
        assert_eq!(left[0], if end == Command::Panic { 0 } else { 255 }, "{end:?}");
    }
}

#[test]
fn sx20_a_second_capture_of_a_list_takes_over_from_the_first() {
    let cue = |number| {
        format!(
            "[[list.cue]]\nnumber = {number}\nlight = {{ capture = \"captures/a\", map = {{ 1 = 3 }}, loop = \"forever\", fade_in = \"500ms\" }}\n"
        )
    };
    let mut world =
        world(&format!("{}{}{}", cue(1), cue(2), "[[list.cue]]\nnumber = 3\nstop = 2\n"), ramp());
    for _ in 0..2 {
        world.go().expect("a capture");
        world.run(GRID.times(40));
    }
    world.go().expect("the stop");
    world.run(GRID.times(10));
    assert_eq!(
        world.universe(3).expect("frames came")[..2],
        [0, 0],
        "the first does not come back"
    );
}

#[test]
fn sx20_a_blackout_takes_a_capture_out_and_a_parked_slot_stays_over_it() {
    let cue = r#"
        [[list.cue]]
        number = 1
        light = { capture = "captures/a", map = { 1 = 3 }, loop = "forever" }
    "#;
    let mut world = world(cue, ramp());
    world.go().expect("the capture");
    let shown = |world: &mut World, command: Command| {
        world.command(command).expect("it can be done");
        world.run(GRID.times(2));
        let slots = world.universe(3).expect("frames came");
        (slots[0], slots[1])
    };
    let grand = |level| Command::Master { master: "grand".into(), level };
    let (first, second) = shown(&mut world, grand(Level::OUT));
    assert!(first == 0 && second > 0, "masters know what is patched: {first} {second}");
    shown(&mut world, grand(Level::FULL));
    let (what, level) = ("3/2".to_owned(), Some(Level::FULL));
    let (first, second) = shown(&mut world, Command::Park { what: what.clone(), level });
    assert!(first > 0 && first < 255 && second == 255, "{first} {second}");
    assert_eq!(shown(&mut world, Command::Blackout { on: true }), (0, 255));
    assert_eq!(shown(&mut world, Command::Unpark { what: Some(what) }), (0, 0));
    let (first, second) = shown(&mut world, Command::Blackout { on: false });
    assert!(first > 0 && first == second, "it has gone on beneath: {first} {second}");
    let (what, level) = ("one".to_owned(), Some(Level::FULL));
    assert_eq!(shown(&mut world, Command::Park { what, level }).0, 255, "a fixture stays, too");
}

/// Universe 3 as a lamp for each way that masters have of a fixture; recorded, all of it stands at 200.
const LAMPS: &str = r#"
    [fixtures]
    fine = { profile = "generic/dimmer-16", universe = 3, address = 11 }
    odd = { profile = "generic/dimmer", universe = 3, address = 13, invert = ["dimmer"] }
    leds = { profile = "generic/rgb", universe = 3, address = 14 }
    head = { profile = "generic/mover", universe = 3, address = 20 }
    [masters]
    front = { of = ["leds", "head"] }
    [[list]]
    name = "main"
    [[list.cue]]
    number = 1
    light = { capture = "captures/a", loop = "forever" }
"#;

fn lamps() -> Show {
    let mut file = Vec::new();
    let head = Head { title: "All".into(), began: ShowTime::ZERO, universes: vec![universe(3)] };
    let mut writer = Writer::new(head, &mut file);
    writer.frame(ShowTime::ZERO, universe(3), &[200; Universe::SLOTS], &mut file);
    writer.mark(ShowTime::ZERO + Span::from_secs(1), &mut file);
    let files = BTreeMap::from([("captures/a", file)]);
    let loaded = load("show.toml", &Folder { show: LAMPS.into(), files, most: FOOTAGE_MAX });
    loaded.show.unwrap_or_else(|| panic!("{:?}", loaded.findings))
}

#[test]
fn sx20_masters_scale_intensities_of_a_capture_and_leave_heads_where_they_look() {
    let show = lamps();
    let capture = show.lists[0].cues[0].light.as_ref().and_then(|light| light.capture.as_ref());
    let (capture, at) = (capture.expect("the cue has one"), ShowTime::ZERO);
    let shown = |moved: &[(MasterId, Level)]| {
        let mut playback = Playback::new(&show);
        playback.roll(1, 0, at, capture);
        let half = |(master, level): &(MasterId, Level)| {
            playback.set_master(*master, at, Span::ZERO, *level);
        };
        moved.iter().for_each(half);
        let mut slots = [0; Universe::SLOTS];
        render(playback.plan(1).universe(universe(3)).expect("it is there"), at, &mut slots);
        // 16 bits; inverted; three colours that a virtual dimmer scales; pan, tilt, dimmer, colour; nothing.
        let of = |number: usize| slots[number - 1];
        let fine = u16::from_be_bytes([of(11), of(12)]);
        (fine, of(13), [of(14), of(15), of(16)], [of(20), of(22), of(24), of(25)], of(100))
    };
    assert_eq!(shown(&[]), (0xc8c8, 200, [200; 3], [200; 4], 200));
    let half = Level::from_percent(50.0).expect("in range");
    let grand = shown(&[(MasterId::GRAND, half)]);
    assert_eq!(grand, (0x6465, 227, [100; 3], [200, 200, 100, 200], 200));
    let front = shown(&[(MasterId::from(MasterRef::Own(0)), half), (MasterId::GRAND, half)]);
    assert_eq!(front, (0x6465, 227, [50; 3], [200, 200, 50, 200], 200));
    let black = shown(&[(MasterId::BLACKOUT, Level::OUT)]);
    assert_eq!(black, (0, 255, [0; 3], [200, 200, 0, 200], 0));
}

#[test]
fn sx20_s09_a_capture_is_seen_blindly_over_and_over_and_never_goes_live() {
    let show = lamps();
    let mut playback = Playback::new(&show);
    let at = ShowTime::ZERO + Span::from_secs(7);
    playback.look_blind(at, show.lists[0].cues[0].light.as_ref());
    let plan = playback.plan(1);
    let shown = |plan: &UniversePlan, later: i64| {
        let mut slots = [0; Universe::SLOTS];
        render(plan, at + Span::from_millis(later), &mut slots);
        slots
    };
    let blind = plan.seen_blindly(universe(3)).expect("it touches that");
    assert_eq!([0, 100_500].map(|later| shown(blind, later)), [[200; Universe::SLOTS]; 2]);
    let live = plan.universe(universe(3)).expect("it is patched");
    assert!(!shown(live, 0).contains(&200));
    playback.look_blind(at, None);
    assert!(playback.plan(2).seen_blindly(universe(3)).is_none());
}

#[test]
fn sx20_a_jump_to_a_cue_with_a_capture_brings_both_it_and_what_tracks_into_the_cue() {
    let cues = r#"
        [[list.cue]]
        number = 1
        light = { levels = { one = 100 } }
        [[list.cue]]
        number = 2
        light = { capture = "captures/a", map = [{ channel = 1, count = 2, universe = 3, slot = 5 }] }
        [[list.cue]]
        number = 3
        light = { levels = { one = 50 } }
    "#;
    let mut world = world(cues, vector("plain-2.0.fseq"));
    let cue = CueNumber::from_thousandths(2000).expect("in range");
    world.command(Command::Goto { cue }).expect("there is one");
    world.go().expect("the capture");
    world.run(GRID.times(5));
    let slots = world.universe(3).expect("frames came");
    // Frame F has channel C, from 0, at 7 F + C.
    assert_eq!((slots[0], slots[4] % 7, slots[5]), (255, 0, slots[4] + 1));
    assert!(slots[4] > 0, "it plays");
}

/// A list that chases a tape; its recording begins with the tape's first hour.
const CHASED: &str = r#"
    timecode = { source = "ltc" }
    [[list.cue]]
    number = 1
    timecode = "01:00:00:00"
    light = { capture = "captures/a", map = { 1 = 3 } }
    [timecode]
    rate = "25"
"#;
const TAPE_FRAME: Span = Span::from_millis(40);

/// Frames of the tape, counted from its first hour.
fn play_tape(world: &mut World, frames: Range<i64>) {
    let hour = Timecode::parse("01:00:00:00", FrameRate::Fps25).expect("a frame").position();
    for number in frames {
        let clock = Timecode::at(FrameRate::Fps25, hour + TAPE_FRAME.times(number)).clock();
        let heard = Heard::Frame { clock, drops: false, count: Some(25), at: world.now() };
        world.tell(Input::Timecode { source: TimecodeSource::Ltc, heard });
        world.run(TAPE_FRAME);
    }
}

#[test]
fn sx20_timecode_that_begins_in_the_middle_brings_a_capture_in_in_its_middle() {
    let mut world = world(CHASED, ramp());
    let began = world.now();
    play_tape(&mut world, 12..23);
    let shown: Vec<_> =
        frames(&world, 3, began).into_iter().filter(|(_, slots)| slots[0] > 0).collect();
    assert!(shown.len() > 2, "{} frames", shown.len());
    let place = |at: Span| at + TAPE_FRAME.times(12);
    assert!(shown.iter().all(|(at, slots)| slots[0] == at_step(place(*at))));
    assert_eq!(world.glance().running.len(), 1);
    world.run(Span::from_millis(200));
    assert!(world.glance().running.is_empty(), "it ends as if it had been there from the start");
}

/// Frame F of a vector has channel C (from 0) at 7 F + C; steps take 25 ms.
#[test]
fn sx20_sequences_of_every_version_and_compression_play_in_step() {
    let whole = |universe: u32, slot: usize| (universe == 1 && slot < 40).then_some(slot);
    let sparse = |universe: u32, slot: usize| match universe {
        1 => (10..15).contains(&slot).then_some(slot),
        _ => (88..108).contains(&slot).then_some(512 + slot),
    };
    let few = |universe: u32, slot: usize| (universe == 1 && slot < 3).then_some(slot);
    let wide = |universe: u32, slot: usize| {
        let channel = 512 * (universe as usize - 1) + slot;
        (channel < 620).then_some(channel)
    };
    let five =
        |universe: u32, slot: usize| (universe == 1 && (10..15).contains(&slot)).then_some(slot);
    type Channel = fn(u32, usize) -> Option<usize>;
    // Those that begin with `fpp` were written by FPP's own `fsequtils`, of 2026, the one that begins with `python` by
    // the script of its name; the others by hand.
    let cases: [(&str, Channel, i64); 10] = [
        ("python-zlib-2.1.fseq", wide, 100),
        ("fpp-zstd-2.0.fseq", wide, 100),
        ("fpp-zstd-2.2.fseq", wide, 100),
        ("fpp-zstd-2.1-sparse.fseq", sparse, 100),
        ("fpp-plain-2.0-sparse.fseq", five, 12),
        ("plain-2.0.fseq", whole, 12),
        ("zlib-2.0.fseq", whole, 12),
        ("zstd-2.0-spare-block-entries.fseq", whole, 12),
        ("zstd-2.1-sparse.fseq", sparse, 12),
        ("zstd-2.2-300-blocks.fseq", few, 300),
    ];
    for (name, channel, count) in cases {
        let mut world =
            world("[[list.cue]]\nnumber = 1\nlight = { capture = \"captures/a\" }\n", vector(name));
        let began = world.now();
        world.go().expect("the sequence");
        world.run(Span::from_millis(25 * count) - GRID);
        for number in [1, 2] {
            for (at, slots) in frames(&world, number, began) {
                let frame = (at.ns() / 25_000_000) as usize;
                let wanted = |slot| channel(number, slot).map_or(0, |it| (7 * frame + it) as u8);
                let wanted: [u8; Universe::SLOTS] = std::array::from_fn(wanted);
                assert!(slots == wanted, "{name}, universe {number}, frame {frame}");
            }
        }
        assert!(frames(&world, 1, began).len() as i64 > count * 9 / 10, "{name}");
        world.run(Span::from_millis(100));
        assert_eq!(
            world.universe(1).expect("frames came"),
            &[0; Universe::SLOTS],
            "{name} is over"
        );
    }
}

#[test]
fn sx20_a_sequence_that_is_cut_or_lies_is_refused_with_what_is_wrong() {
    let refused = |file: Vec<u8>| {
        let cue = "[[list.cue]]\nnumber = 1\nlight = { capture = \"captures/a\" }\n";
        let files = BTreeMap::from([("captures/a", file)]);
        let show = format!("{PATCH}{cue}");
        let loaded = load("show.toml", &Folder { show, files, most: FOOTAGE_MAX });
        assert!(loaded.show.is_none());
        loaded.findings.iter().map(Finding::to_string).collect::<String>()
    };
    for name in ["fpp-zstd-2.0.fseq", "fpp-zstd-2.1-sparse.fseq", "fpp-plain-2.0-sparse.fseq"] {
        let whole = vector(name);
        for length in (0..whole.len() - 8).step_by(23) {
            let said = refused(whole[..length].to_vec());
            assert!(
                said.contains("show.toml:8:") && said.contains("could not read `captures/a`"),
                "{said}"
            );
        }
        let lie = |at: usize, by: u8| {
            let mut file = whole.clone();
            file[at] = file[at].wrapping_add(by);
            refused(file)
        };
        let frames = if name.contains("zstd") { 100 } else { 12 };
        let said = lie(14, 1);
        assert!(said.contains(&format!("its frames end at {frames} of {}", frames + 1)), "{said}");
        let said = lie(10, 1);
        assert!(said.contains("its frames end") || said.contains("sparse ranges"), "{said}");
        assert!(lie(0, 1).contains("it does not begin with"));
        assert!(lie(7, 1).contains("FSEQ version 3."));
        assert!(lie(20, 7).contains("is not known"));
    }
    // The second block is said to begin with frame 8, where it is the tenth; and with the first.
    for (by, why) in [(2, "its frames end at 98 of 100"), (10, "in no order")] {
        let mut file = vector("fpp-zstd-2.0.fseq");
        file[40] ^= by;
        assert!(refused(file).contains(why));
    }
}

/// A disk that fails from a place on.
struct Failing(Vec<u8>, u64);

impl Stored for Failing {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let most = self.1.saturating_sub(at) as usize;
        match most.min(into.len()) {
            0 => Err(io::ErrorKind::StaleNetworkFileHandle.into()),
            most => self.0.read_at(at, &mut into[..most]),
        }
    }
}

#[test]
fn sx20_a_disk_that_fails_is_not_taken_for_a_damaged_sequence() {
    let read = |file: Arc<dyn Stored>, sequence: &Arc<fseq::Sequence>| {
        let mut frames = fseq::Frames::new(sequence.clone(), file, 0);
        while frames.next_frame()?.is_some() {}
        Ok(())
    };
    let unread = fseq::FseqError::Unread(io::ErrorKind::StaleNetworkFileHandle);
    for name in ["plain-2.0.fseq", "zlib-2.0.fseq", "fpp-zstd-2.0.fseq"] {
        let whole = vector(name);
        let sequence = Arc::new(fseq::parse(&whole).expect("it is whole"));
        assert_eq!(read(Arc::new(whole.clone()), &sequence), Ok(()), "{name}");
        assert_eq!(fseq::parse(&Failing(whole.clone(), 9)), Err(unread.clone()), "{name}");
        let data = u64::from(u16::from_le_bytes([whole[4], whole[5]]));
        for place in [0, 1, 20].map(|further| data + further) {
            let failing = Arc::new(Failing(whole.clone(), place));
            assert_eq!(read(failing, &sequence), Err(unread.clone()), "{name} from {place} on");
        }
    }
}

#[test]
fn sx20_channels_of_a_sequence_go_where_the_show_sends_them_and_leave_other_slots_alone() {
    let cues = r#"
        [[list.cue]]
        number = 1
        light = { levels = { one = 100 }, capture = "captures/a", map = [
            { channel = 601, count = 4, universe = 3, slot = 511 },
            { channel = 11, count = 2, universe = 3, slot = 101 },
        ] }
    "#;
    let mut world = world(cues, vector("zstd-2.1-sparse.fseq"));
    world.go().expect("the sequence");
    world.run(GRID);
    let (third, fourth) = (world.universe(3).expect("it is sent"), world.universe(4).expect("too"));
    // Channel 600, from 0, stands at 600 modulo 256.
    assert_eq!((third[510], third[511], fourth[0], fourth[1]), (88, 89, 90, 91));
    assert_eq!((third[0], third[100], third[101], third[102]), (255, 10, 11, 0));
}

#[test]
fn sx20_a_route_that_begins_beyond_its_size_goes_on_in_universes_of_that_size() {
    let cue = r#"
        [[list.cue]]
        number = 1
        light = { capture = "captures/a", universe_size = 510, map = [
            { channel = 1, count = 514, universe = 3, slot = 512 },
        ] }
    "#;
    let mut world = world(cue, vector("fpp-zstd-2.2.fseq"));
    world.go().expect("the sequence");
    world.run(GRID);
    let [third, fourth, fifth] = [3, 4, 5].map(|it| world.universe(it).expect("it is sent"));
    // Channel C, from 0, stands at C modulo 256.
    assert_eq!((third[510], third[511], fourth[0], fourth[509]), (0, 0, 1, 254));
    assert_eq!((fourth[510], fifth[0], fifth[2], fifth[3]), (0, 255, 1, 0));
}

fn vector(name: &str) -> Vec<u8> {
    let seed = seeds(&["fseq"]).into_iter().find(|seed| seed.name == name);
    seed.expect("the vector is there").bytes
}

#[test]
fn sx20_a_capture_that_is_let_go_or_taken_over_runs_no_longer_and_its_sound_goes_on() {
    let looped = "capture = \"captures/a\", map = { 1 = 3 }, loop = \"forever\"";
    let cues = format!(
        r#"
        release_time = "400ms"
        [[list.cue]]
        number = 1
        light = {{ {looped} }}
        [[list.cue]]
        number = 2
        light = {{ {looped}, fade_in = "300ms" }}
        phones = {{ flash = {{ count = 6, per_second = 2 }} }}
        [[list.cue]]
        number = 3
        pre_wait = "2s"
        light = {{ {looped} }}
        "#
    );
    let mut world = world(&cues, ramp());
    let running = |world: &World| {
        let all = world.glance().running;
        all.iter().map(|it| it.number.to_string()).collect::<Vec<_>>()
    };
    let go = |world: &mut World, span| {
        world.go().expect("a cue is on standby");
        world.run(Span::from_millis(span));
    };
    go(&mut world, 1000);
    go(&mut world, 200);
    assert_eq!(running(&world), ["1", "2"], "it is seen until the other is whole");
    world.run(Span::from_millis(200));
    assert_eq!(running(&world), ["2"]);
    go(&mut world, 200);
    world.command(Command::Release { list: None }).expect("never refused");
    world.run(Span::from_millis(200));
    assert!(world.universe(3).expect("frames came")[0] > 0, "it fades");
    world.run(Span::from_millis(300));
    assert_eq!(
        (running(&world), world.universe(3).expect("frames")[0]),
        (vec!["2".into(), "3".into()], 0)
    );
    world.run(Span::from_secs(4));
    assert!(
        running(&world).is_empty(),
        "flashes are over, and the third has nothing to begin with"
    );
    assert_eq!(world.universe(3).expect("frames")[0], 0);
}

/// Twelve seconds of three universes; the third shows nothing at first, and the second rests for long.
fn long_night(seed: &[(u16, u8, u16, u8)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let universes = vec![universe(1), universe(2), universe(3)];
    let head = Head { title: "Night".into(), began: ShowTime::ZERO, universes };
    let mut writer = Writer::new(head, &mut bytes);
    let mut slots = [[0; Universe::SLOTS]; 3];
    for frame in 0..500 {
        let at = ShowTime::ZERO + GRID.times(frame);
        slots[0].fill(frame as u8);
        for (which, level, slot, _) in seed.iter().filter(|it| i64::from(it.0 % 500) == frame) {
            let of = &mut slots[usize::from(*level % 3)];
            of[usize::from(*slot) % Universe::SLOTS] = (which ^ slot) as u8;
        }
        let number = |index: usize| universe(index as u32 + 1);
        for index in [0, 1, 2].into_iter().filter(|index| *index < 2 || frame > 200) {
            writer.frame(at, number(index), &slots[index], &mut bytes);
        }
    }
    writer.mark(ShowTime::ZERO + Span::from_secs(12), &mut bytes);
    bytes
}

/// Everything that leaves while such a night is played, a pause in its middle; and what an operator does.
fn night(file: &[u8], cue: &str, most: usize, waits: &[u8]) -> Vec<Frame> {
    let cues = format!("[[list.cue]]\nnumber = 1\n{cue}\n[[list.cue]]\nnumber = 2\n{cue}\n");
    let mut world = world_with(&cues, file.to_vec(), most);
    let commands = [
        Command::Go { list: None },
        Command::Pause,
        Command::Resume,
        Command::Go { list: None },
        Command::Stop,
    ];
    for (command, wait) in commands.into_iter().zip(waits) {
        world.command(command).expect("it can be done");
        world.run(GRID.times(i64::from(*wait) * 5));
    }
    world.frames.clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn sx20_what_is_read_while_it_plays_leaves_as_what_was_in_memory_octet_for_octet(
        seed in proptest::collection::vec(any::<(u16, u8, u16, u8)>(), 0..300),
        waits in any::<[u8; 5]>(),
        start in 0..12_000u32,
        times in 0..4u32,
    ) {
        let loops = if times == 0 { "\"forever\"".to_owned() } else { times.to_string() };
        let cue = format!("light = {{ capture = \"captures/a\", loop = {loops}, start_at = \"{start}ms\", fade_in = \"300ms\" }}");
        let file = long_night(&seed);
        let (memory, disk) = (night(&file, &cue, FOOTAGE_MAX, &waits), night(&file, &cue, 0, &waits));
        let unlike = memory.iter().zip(&disk).find(|(one, other)| one != other);
        let unlike = unlike.map(|(one, other)| (one.instant, one.universe, other.instant, other.universe));
        prop_assert!(memory == disk, "{} frames and {}: {unlike:?}", memory.len(), disk.len());
    }
}

#[test]
fn sx20_sequences_that_are_read_while_they_play_leave_as_those_in_memory() {
    let names = [
        "plain-2.0-sparse.fseq",
        "zlib-2.0.fseq",
        "python-zlib-2.1.fseq",
        "zstd-2.1-sparse.fseq",
        "zstd-2.2-300-blocks.fseq",
    ];
    for (name, start) in names.into_iter().flat_map(|name| [(name, 0), (name, 130)]) {
        let cue =
            format!("light = {{ capture = \"captures/a\", loop = 7, start_at = \"{start}ms\" }}");
        let of = |most| night(&vector(name), &cue, most, &[40, 3, 10, 30, 5]);
        let (memory, disk) = (of(FOOTAGE_MAX), of(0));
        assert!(memory.len() > 10 && memory == disk, "{name} from {start} ms");
    }
}

#[test]
fn sx20_timecode_that_jumps_in_a_long_recording_finds_its_place() {
    let mut world = world_with(CHASED, long_night(&[]), 0);
    // Far into it, and back nearly to its beginning.
    for first in [225, 12] {
        play_tape(&mut world, first..first + 50);
        let place = TAPE_FRAME.times(first + 50);
        let shown = i64::from(world.universe(3).expect("frames came")[0]);
        let wanted = (place.ns() / GRID.ns()) % 256;
        assert!((shown - wanted).abs() <= 2, "{shown} at {place}, where {wanted} was recorded");
    }
}

#[test]
fn sx20_who_lets_go_while_one_recording_takes_over_from_another_sees_both_go_without_a_jump() {
    let cue = |number, from| {
        format!(
            "[[list.cue]]\nnumber = {number}\nlight = {{ capture = \"captures/a\", map = {{ 1 = 3 }}, start_at = \"{from}ms\", loop = \"forever\", fade_in = \"2s\" }}\n"
        )
    };
    // It stands at 200 for good, whichever of the two plays.
    let mut file = Vec::new();
    let head = Head { title: String::new(), began: ShowTime::ZERO, universes: vec![universe(1)] };
    let mut writer = Writer::new(head, &mut file);
    writer.frame(ShowTime::ZERO, universe(1), &[200; Universe::SLOTS], &mut file);
    writer.mark(ShowTime::ZERO + Span::from_secs(1), &mut file);
    let cues = format!(
        "release_time = \"1s\"\n{}{}[[list.cue]]\nnumber = 3\nstop = {{ cue = 2, fade = \"1s\" }}\n",
        cue(1, 0),
        cue(2, 100)
    );
    for end in [Command::Release { list: None }, Command::Go { list: None }] {
        let mut world = world(&cues, file.clone());
        let began = world.now();
        world.go().expect("the first");
        world.run(GRID.times(100));
        world.go().expect("the second");
        world.run(GRID.times(30));
        world.command(end.clone()).expect("never refused");
        world.run(GRID.times(100));
        let all = frames(&world, 3, began);
        let steps = all.windows(2).map(|pair| pair[1].1[0].abs_diff(pair[0].1[0]));
        // 200 in a second is 5 a frame; what both of them let through is twice that at most.
        assert!(steps.max() <= Some(10), "{end:?}");
        assert_eq!(world.universe(3).expect("frames came")[0], 0);
        assert!(world.glance().running.is_empty(), "{end:?}");
    }
}
