//! A moving show comes to those whom others use: `olad` and QLC+, each on a machine of its own, have every slot of it.
//!
//! What they understood, as they tell it themselves, is held against what crossed the cable (`tap`): in order, slot for
//! slot, and nothing that was never sent. They may miss a frame, as any receiver may. What they cannot do is in
//! `docs/lighting-audit.md`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use engine::light::{Playback, Take};
use engine::show::{Channel, Curve, Fixture, LaneId, LightCue, Merge, Show, Target, Timing};
use io::clock::BoxClock;
use io::light::{Light, LightNet, LightSetup};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use units::{Level, ShowTime, Span};
use uuid::Uuid;

use super::lan::{BOX, BOX_INTERFACE, DESK, Lan, Side};
use super::olad::{Olad, Way};
use super::qlcplus::{PASSED_ARTNET, PASSED_SACN, Qlcplus};
use super::rig::{artnet_to, sacn_multicast, setup, show};
use super::tap::Tap;

const PATIENCE: Duration = Duration::from_secs(30);
/// The universe that leaves as sACN, and the one that leaves as Art-Net at the port address of the same number.
const SACN: u16 = 1;
const ARTNET: u16 = 2;
/// Channels of 16 bits, then of 8: together all slots.
const WIDE: u16 = 128;
const NARROW: u16 = 256;

#[test]
fn olad_has_every_slot_of_a_moving_show_over_sacn_and_over_art_net() {
    let name = "olad_has_every_slot_…";
    let Some(lan) = Lan::new(name) else { return };
    let Some(olad) = Olad::start(name, &lan, Side::Desk, DESK) else { return };
    olad.patch("E1.31", 0, Way::In, SACN.into());
    olad.patch("ArtNet", 0, Way::In, ARTNET.into());
    let mut tap = Tap::new(&lan, Side::Desk, BOX);
    let recorder = Recorder::start(&lan, Side::Desk, "1,2");
    let mut stage = Stage::new(&lan, 1, 100);
    stage.play(|| has_come(&mut tap, |it| recorder.frames(it)));
    stage.light.stop();
    for number in [SACN, ARTNET] {
        let (sent, understood) = (tap.frames(number), recorder.frames(number));
        assert_eq!(strange(&sent, &understood), None, "not sent, or before an earlier one");
        assert_whole(&sent, &understood);
        println!("olad had {} of {} frames", understood.len(), sent.len());
    }
}

#[test]
fn qlcplus_has_every_slot_of_a_moving_show_over_sacn_and_over_art_net() {
    let name = "qlcplus_has_every_slot_…";
    let Some(lan) = Lan::new(name) else { return };
    let (mut tap, mut passed) = (Tap::new(&lan, Side::Desk, BOX), Tap::new(&lan, Side::Box, DESK));
    let Some(_qlcplus) = Qlcplus::start(name, &lan, Side::Desk, DESK, BOX) else { return };
    let mut stage = Stage::new(&lan, 1, 100);
    let passed_as = |number| if number == SACN { PASSED_SACN } else { PASSED_ARTNET };
    stage.play(|| has_come(&mut tap, |it| passed.frames(passed_as(it))));
    stage.light.stop();
    for number in [SACN, ARTNET] {
        let (mut sent, understood) = (tap.frames(number), passed.frames(passed_as(number)));
        // It begins dark.
        sent.insert(0, vec![0; 512]);
        // It takes a packet slot by slot while another thread of it sends, so what leaves it is cut between frames of
        // ours here and there: each slot is as it was sent, not each frame.
        for slot in 0..512 {
            let of = |frames: &[Vec<u8>]| frames.iter().map(|it| it[slot]).collect::<Vec<_>>();
            assert_eq!(strange(&of(&sent), &of(&understood)), None, "slot {}", slot + 1);
        }
        assert_whole(&sent, &understood);
        let cuts = understood.iter().filter(|it| !sent.contains(it)).count();
        println!("QLC+ had {} of {} frames, {cuts} of them cut", understood.len(), sent.len());
    }
}

/// Without the goodbye it would refuse a lower priority for two and a half seconds more.
#[test]
fn s08_olad_takes_who_comes_after_us_from_his_first_packet_on() {
    let name = "s08_olad_takes_…";
    let Some(lan) = Lan::new(name) else { return };
    let Some(olad) = Olad::start(name, &lan, Side::Desk, DESK) else { return };
    olad.patch("E1.31", 0, Way::In, SACN.into());
    let recorder = Recorder::start(&lan, Side::Desk, "1");
    let mut tap = Tap::new(&lan, Side::Desk, BOX);
    let mut first = Stage::new(&lan, 1, 100);
    first.go(0, Span::ZERO);
    let lit = |frames: Vec<Vec<u8>>| frames.last().is_some_and(|it| it.iter().any(|it| *it > 0));
    until("the first box's look is understood", || lit(recorder.frames(SACN)));
    first.light.stop();
    let (before, dark) = (recorder.frames(SACN).len(), vec![0; 512]);
    let mut after = Stage::new(&lan, 2, 50);
    until("the other box sends", || tap.frames(SACN).last() == Some(&dark));
    after.go(1, Span::ZERO);
    until("the other box's look is understood", || {
        let frames = recorder.frames(SACN);
        frames.len() > before && frames.last() == tap.frames(SACN).last()
    });
    after.light.stop();
    assert_eq!(recorder.frames(SACN)[before], dark, "from the first");
}

/// Whether the last frames that were sent are the last that were understood, and show something.
fn has_come(tap: &mut Tap, mut understood: impl FnMut(u16) -> Vec<Vec<u8>>) -> bool {
    [SACN, ARTNET].into_iter().all(|number| {
        let sent = tap.frames(number);
        let last = sent.last().filter(|it| it.iter().any(|level| *level > 0));
        last.is_some() && last == understood(number).last()
    })
}

/// The first that was understood and not sent, or sent only before an earlier one; both have repetitions.
fn strange<T: PartialEq + Clone>(sent: &[T], understood: &[T]) -> Option<T> {
    let mut left = sent;
    understood.iter().find_map(|it| match left.iter().position(|sent| sent == it) {
        Some(at) => {
            left = &left[at..];
            None
        }
        None => Some(it.clone()),
    })
}

/// The last is the last, and every slot has moved.
fn assert_whole(sent: &[Vec<u8>], understood: &[Vec<u8>]) {
    assert_eq!(understood.last(), sent.last());
    for slot in 0..512 {
        let values: BTreeSet<u8> = understood.iter().map(|frame| frame[slot]).collect();
        assert!(values.len() > 5, "slot {} had {values:?}", slot + 1);
    }
}

/// All slots of both universes, half of them by twos.
fn moving_show() -> Show {
    let channel = |offsets: Vec<u16>| Channel {
        attribute: "dimmer".into(),
        offsets,
        merge: Merge::Ltp,
        ..Channel::default()
    };
    let wide = (0..WIDE).map(|it| channel(vec![2 * it, 2 * it + 1]));
    let narrow = (0..NARROW).map(|it| channel(vec![2 * WIDE + it]));
    let channels: Vec<_> = wide.chain(narrow).collect();
    let bare = show([(1, sacn_multicast()), (2, artnet_to(2, &[]))]);
    let full = |it: &Fixture| Fixture { channels: channels.clone(), ..it.clone() };
    Show { fixtures: bare.fixtures.iter().map(full).collect(), ..bare }
}

/// Each channel goes to a level of its own, which `turn` chooses and which is neither 0 nor full, in one of four times
/// up to `longest`.
fn look(show: &Show, turn: u32, longest: Span) -> LightCue {
    let lane = |fixture, channel| LaneId { fixture, channel };
    let lanes = (0..show.fixtures.len() as u32)
        .flat_map(|fixture| (0..u32::from(WIDE + NARROW)).map(move |it| lane(fixture, it)));
    let target = |lane: LaneId| {
        let percent = (lane.channel * 37 + turn * 53) % 97 + 2;
        let level = Level::from_percent(f64::from(percent)).expect("in range");
        Target { lane, level, timing: (lane.channel % 4) as u16 }
    };
    let timing = |quarters| Timing {
        fade: Span::from_ns(longest.ns() * quarters / 4),
        curve: Curve::Linear,
        ..Timing::default()
    };
    let (targets, timings) = (lanes.map(target).collect(), (1..=4).map(timing).collect());
    LightCue { targets, timings, ..LightCue::default() }
}

/// The box, and what it shows.
struct Stage {
    light: Light,
    playback: Playback,
    show: Show,
    serial: u64,
}

impl Stage {
    fn new(lan: &Lan, cid: u128, priority: u8) -> Self {
        let show = moving_show();
        let net = LightNet { interface: Some(BOX_INTERFACE.into()), ..LightNet::default() };
        let cid = Uuid::from_u128(cid);
        let start = || Light::start(LightSetup { cid, priority, ..setup(&show, &net) });
        let light = lan.on(Side::Box, start).expect("light begins");
        assert_eq!(light.warnings(), Vec::<String>::new());
        Self { light, playback: Playback::new(&show), show, serial: 0 }
    }

    /// Shows it, beginning now; says when that is.
    fn go(&mut self, turn: u32, longest: Span) -> ShowTime {
        let at = BoxClock::free().now();
        let light = look(&self.show, turn, longest);
        self.playback.take(&Take { list: 0, at, light: &light });
        self.serial += 1;
        self.light.play(self.playback.plan(self.serial));
        at
    }

    /// A look that both have; then two fades, the second of which takes over the first one midway.
    fn play(&mut self, mut has_come: impl FnMut() -> bool) {
        self.go(0, Span::ZERO);
        until("the first look is understood", &mut has_come);
        let now = || BoxClock::free().now();
        let first = self.go(1, Span::from_secs(2));
        until("the first fade is midway", || now() > first + Span::from_millis(1200));
        let second = self.go(2, Span::from_secs(1));
        let end = second + Span::from_secs(1);
        until("the second fade is over and understood", || now() > end && has_come());
    }
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "it never was so that {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// `ola_recorder`: every change of the universes of the `olad` beside it.
struct Recorder {
    child: Child,
    file: PathBuf,
    _folder: TempDir,
}

impl Recorder {
    fn start(lan: &Lan, side: Side, universes: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("show");
        let mut command = lan.command(side, "ola_recorder");
        command.arg("-r").arg(&file).args(["-u", universes]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("ola_recorder comes with olad");
        Self { child, file, _folder: folder }
    }

    /// Frames of a universe until now, each once where it was repeated.
    fn frames(&self, number: u16) -> Vec<Vec<u8>> {
        let said = std::fs::read_to_string(&self.file).unwrap_or_default();
        // What is after the last end of line is still being written.
        let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let start = format!("{number} ");
        let slots = |it: &str| it.split(',').map(|it| it.parse().expect("a level")).collect();
        let mut frames: Vec<_> =
            whole.lines().filter_map(|line| line.strip_prefix(&start)).map(slots).collect();
        frames.dedup();
        frames
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT);
        let _ = self.child.wait();
    }
}
