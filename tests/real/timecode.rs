//! Timecode on real cables: libltc and mido as the other parties, alsa-lib's `file` device, pseudo-terminals, two boxes.
//!
//! Needs: alsa-lib, a C compiler, libltc and Debian's mido (`tools/setup --tests`); the built program.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::fcntl::OFlag;
use nix::libc;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use serde_json::Value;
use units::{Clock, FrameRate, Span, Timecode};
use wire::ltc::{Decoder, Heard, Reading, Wave};

use crate::the_box::{PATIENCE, Place, TheBox};

/// How libltc is told of a rate.
const RATES: [(FrameRate, &str, &str); 4] = [
    (FrameRate::Fps24, "24", "film"),
    (FrameRate::Fps25, "25", "625"),
    (FrameRate::Drop29_97, "29.97002997", "525d"),
    (FrameRate::Fps30, "30", "525"),
];

/// libltc, built once.
fn peer() -> Command {
    static PEER: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = PEER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("peer");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("real/timecode/peer.c");
        let mut cc = Command::new("cc");
        let built = cc.arg("-o").arg(&path).arg(source).arg("-lltc").output().expect("cc runs");
        assert!(built.status.success(), "tools/setup --tests brings libltc: {built:?}");
        (folder, path)
    });
    Command::new(path)
}

/// Samples that libltc writes, as floats.
fn written(
    rate_hz: u32,
    (rate, fps, standard): (FrameRate, &str, &str),
    from: Timecode,
    frames: u32,
) -> Vec<f32> {
    assert_eq!(from.rate(), rate);
    let Clock { hours, minutes, seconds, frames: frame } = from.clock();
    let number = [hours, minutes, seconds, frame].map(|it| it.to_string());
    let mut peer = peer();
    peer.args(["write", &rate_hz.to_string(), fps, standard]).args(number).arg(frames.to_string());
    let bytes = peer.output().expect("it runs").stdout;
    bytes.into_iter().map(|it| (f32::from(it) - 128.0) / 128.0).collect()
}

fn heard(samples: &[f32], rate_hz: u32) -> Vec<Heard> {
    let mut decoder = Decoder::new(rate_hz);
    let frame = |reading| match reading {
        Reading::Frame(heard) => Some(heard),
        Reading::Reverse { .. } => None,
    };
    samples.iter().filter_map(|sample| decoder.hear(*sample)).filter_map(frame).collect()
}

#[test]
fn ltc_that_libltc_writes_is_heard_frame_exactly_at_all_four_rates() {
    for kind in RATES {
        for rate_hz in [44_100, 48_000] {
            let rate = kind.0;
            let from = Timecode::zero(rate).plus(10 * 60 * i64::from(rate.count()) - 100);
            let all = heard(&written(rate_hz, kind, from, 200), rate_hz);
            assert!(all.len() >= 197, "{rate} at {rate_hz}: {}", all.len());
            for it in &all {
                let now = Timecode::new(rate, it.said.clock).expect("a frame");
                let place = (now.position() - from.position()).secs_f64() * f64::from(rate_hz);
                let off = it.start - place;
                assert!(off.abs() < 1.5, "{rate} at {rate_hz}: {now} is {off} samples off");
                assert_eq!(it.said.drops, rate.drops());
            }
            let numbers = all.windows(2).all(|pair| {
                let [a, b] = [pair[0], pair[1]].map(|it| Timecode::new(rate, it.said.clock));
                a.expect("a frame").plus(1) == b.expect("a frame")
            });
            assert!(numbers, "{rate} at {rate_hz}: one after the other");
        }
    }
}

/// What libltc hears: the number, and the sample where it begins.
fn heard_by_libltc(samples: &[f32], rate_hz: u32, fps: &str) -> Vec<(Clock, bool, i64)> {
    let mut peer = peer();
    peer.args(["hear", &rate_hz.to_string(), fps]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut peer = peer.spawn().expect("it runs");
    let bytes: Vec<u8> = samples.iter().flat_map(|it| it.to_ne_bytes()).collect();
    let mut input = peer.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let lines = peer.wait_with_output().expect("it ends").stdout;
    writer.join().expect("no panic").expect("it takes all");
    let line = |line: &str| {
        let it: Vec<i64> = line.split(' ').map(|it| it.parse().expect("a number")).collect();
        let [hours, minutes, seconds, frames] = [it[0], it[1], it[2], it[3]].map(|it| it as u8);
        assert_eq!(it[6], 0, "it runs forwards");
        (Clock { hours, minutes, seconds, frames }, it[4] == 1, it[5])
    };
    String::from_utf8(lines).expect("text").lines().map(line).collect()
}

#[test]
fn ltc_that_we_write_is_heard_frame_exactly_by_libltc_at_all_four_rates() {
    for (rate, fps, _) in RATES {
        for rate_hz in [44_100, 48_000, 96_000] {
            let from = Timecode::zero(rate).plus(10 * 60 * i64::from(rate.count()) - 100);
            let mut wave = Wave::new(rate, 0xfeed_beef);
            let at = |n: u32| Span::from_secs_f64(f64::from(n) / f64::from(rate_hz));
            let samples: Vec<f32> =
                (0..7 * rate_hz).map(|n| 0.5 * wave.at(from.position() + at(n))).collect();
            let all = heard_by_libltc(&samples, rate_hz, fps);
            let there = rate.frame_at(Span::from_secs(7)) as usize;
            assert!(all.len() + 4 >= there, "{rate} at {rate_hz}: {} of {there}", all.len());
            for (clock, drops, start) in all {
                let now = Timecode::new(rate, clock).expect("a frame");
                assert_eq!(drops, rate.drops());
                let place = (now.position() - from.position()).secs_f64() * f64::from(rate_hz);
                let off = start as f64 - place;
                // libltc says where within a cell or so.
                let cell = f64::from(rate_hz) * rate.frame().secs_f64() / 80.0;
                assert!(off.abs() < 1.5 * cell, "{rate} at {rate_hz}: {now} is {off} off");
            }
        }
    }
}

const HEAD: &str = r#"
[timecode]
rate = "25"
"#;

/// A list that chases; its cues are a second apart.
fn chasing(source: &str) -> String {
    let cue = |n: u32| {
        format!(
            "[[list.cue]]\nnumber = {n}\nphones = {{ text = \"{n}\" }}\ntimecode = \"01:00:0{n}:00\"\n"
        )
    };
    let cues: String = (2..5).map(cue).collect();
    format!(
        "[show]\nlead = \"100ms\"\n{HEAD}[[list]]\nname = \"main\"\ntimecode = {{ source = \"{source}\" }}\n{cues}"
    )
}

fn leading(how: &str) -> String {
    format!(
        "{HEAD}out = {{ {how}, start = \"01:00:00:00\" }}\n[[list]]\nname = \"main\"\n\
         [[list.cue]]\nnumber = 1\nphones = {{ text = \"a\" }}\ncontinue = \"auto-continue\"\npost_wait = \"7s\"\n\
         [[list.cue]]\nnumber = 2\nphones = {{ text = \"b\" }}\n"
    )
}

fn write(place: &Place, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = place.path(name);
    std::fs::write(&path, text).expect("written");
    path
}

/// When a cue's phones were ordered to begin.
fn begins(the_box: &TheBox, cue: &str) -> i64 {
    let orders = the_box.ask_json(&["receipts"]);
    let all = orders["orders"].as_array().expect("a list").clone();
    let of = |it: &&Value| it["order"]["cue"] == cue;
    all.iter().find(of).expect("it was ordered")["order"]["at_tai_ns"].as_i64().expect("a time")
}

#[test]
fn a_box_hears_ltc_through_alsa_and_fires_its_cues() {
    let mut place = Place::new();
    let rate = FrameRate::Fps25;
    let from = Timecode::parse("01:00:00:00", rate).expect("a frame");
    let sound = written(48_000, RATES[1], from, 25 * 60);
    // On the right channel; the left has a tone that is none of its business.
    let frames = sound.iter().enumerate().flat_map(|(n, sample)| {
        let left = (f64::from(n as u32) * 0.05).sin() as f32;
        [left, *sample].map(|it| ((it * 30_000.0) as i16).to_ne_bytes())
    });
    let raw = write(&place, "tape.raw", frames.flatten().collect::<Vec<u8>>());
    let tape = format!(
        "</usr/share/alsa/alsa.conf>\npcm.tape {{ type file slave.pcm \"null\" file \"/dev/null\" infile \"{}\" format \"raw\" }}\n",
        raw.display()
    );
    let conf = write(&place, "asound.conf", tape);
    write(&place, "show.toml", chasing("ltc"));
    place.write_box(
        "[sound]\ndevice = \"simulated\"\n[timecode]\nltc_in = \"tape\"\nltc_channel = 2\n",
    );
    place.alsa = Some(conf);
    let mut the_box = place.begin();
    the_box.wait_for_line("cue 4 began (timecode)");
    let (second, last) = (begins(&the_box, "2"), begins(&the_box, "4"));
    // Nothing paces the file but our own thread, by 1.001 of its rate at most.
    let apart = Span::from_ns(last - second);
    assert!((apart - Span::from_secs(2)).abs() < Span::from_millis(15), "{apart}");
    let status = the_box.ask_json(&["status"]);
    let chase = &status["show"]["lists"][0]["timecode"];
    assert_eq!((&chase["state"], &chase["source"]), (&"locked".into(), &"ltc".into()), "{chase}");
    let keys: Vec<&String> = chase.as_object().expect("a table").keys().collect();
    let documented = ["age_ns", "asks", "rate", "source", "speed", "state", "timecode", "trouble"];
    assert_eq!(keys, documented);
    let words = the_box.ask(&["status"]).stdout;
    let words = String::from_utf8_lossy(&words).into_owned();
    assert!(
        words.contains("timecode 01:00:0") && words.contains("main from ltc (25) locked"),
        "{words}"
    );
}

#[test]
fn ltc_that_a_box_plays_through_alsa_is_heard_by_libltc() {
    let mut place = Place::new();
    let heard = place.path("heard.raw");
    let device = format!("tee:SLAVE=null,FILE='{}',FORMAT=raw", heard.display());
    write(&place, "show.toml", leading("ltc = { channel = 2, level_db = -6 }"));
    place.write_box(&format!("[sound]\ndevice = \"{device}\"\n"));
    place.alsa = Some("/usr/share/alsa/alsa.conf".into());
    let mut the_box = place.run();
    assert!(the_box.ask(&["go"]).status.success());
    the_box.wait_for_line("cue 2 began");
    the_box.signal(Signal::SIGTERM);
    the_box.wait_for_the_end();
    let bytes = std::fs::read(heard).expect("alsa-lib wrote it");
    let right = bytes.chunks_exact(8).map(|frame| {
        let step = i32::from_ne_bytes(frame[4..].try_into().expect("four bytes"));
        (f64::from(step) / 2_147_483_648.0) as f32
    });
    let samples: Vec<f32> = right.collect();
    let all = heard_by_libltc(&samples, 48_000, "25");
    assert!(all.len() > 25 * 5, "{} frames", all.len());
    let first = Timecode::new(FrameRate::Fps25, all[0].0).expect("a frame");
    assert!(first <= Timecode::parse("01:00:00:01", FrameRate::Fps25).expect("a frame"), "{first}");
    for pair in all.windows(2) {
        let number = |it: &(Clock, bool, i64)| Timecode::new(FrameRate::Fps25, it.0);
        let next = number(&pair[0]).expect("a frame").plus(1);
        assert_eq!(number(&pair[1]), Ok(next));
        // 40 ms of a card that slews a little.
        assert!((pair[1].2 - pair[0].2 - 1_920).abs() < 24, "{pair:?}");
    }
}

/// A pseudo-terminal: our end, and the path that a box opens.
struct Cable {
    ours: File,
    path: PathBuf,
    /// While it is open the other end can be opened and closed.
    _kept: File,
}

/// Whoever is started meanwhile does not keep it plugged: both ends close with those who hold them here.
fn cable() -> Cable {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC);
    let master = master.expect("a pseudo-terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is ours");
    let path: PathBuf = ptsname_r(&master).expect("it has a name").into();
    let kept = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(&path);
    let kept = kept.expect("the other end");
    let mut settings = tcgetattr(&kept).expect("its settings");
    cfmakeraw(&mut settings);
    tcsetattr(&kept, SetArg::TCSANOW, &settings).expect("it is raw");
    Cable { ours: File::from(OwnedFd::from(master)), path, _kept: kept }
}

/// mido, for which Debian's own Python is needed.
fn mido(words: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("real/timecode/midi.py");
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script).args(words);
    command
}

/// What MTC can say, with frames in a second and the two bits on the wire.
const MIDI_RATES: [(FrameRate, &str, u8); 4] = [
    (FrameRate::Fps24, "24", 0),
    (FrameRate::Fps25, "25", 1),
    (FrameRate::Drop29_97, "30", 2),
    (FrameRate::Fps30, "30", 3),
];

/// Shortly before the tenth minute: minutes with and without dropped numbers lie on both sides.
fn near_ten_minutes(rate: FrameRate) -> Timecode {
    Timecode::zero(rate).plus(10 * 60 * i64::from(rate.count()) - 2100)
}

fn words_of(it: Timecode) -> [String; 4] {
    let Clock { hours, minutes, seconds, frames } = it.clock();
    [hours, minutes, seconds, frames].map(|it| it.to_string())
}

/// A line of mido's: how it was told, and what.
fn told_by_mido(line: &str) -> (bool, Clock, u8) {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |index: usize| words[index].parse().expect("a number");
    let [hours, minutes, seconds, frames] = [1, 2, 3, 4].map(number);
    (words[0] == "full", Clock { hours, minutes, seconds, frames }, number(5))
}

#[test]
fn mtc_that_mido_writes_is_heard_frame_exactly_at_all_four_rates() {
    for (rate, fps, code) in MIDI_RATES {
        let from = near_ten_minutes(rate);
        let [h, m, s, f] = words_of(from);
        let code = code.to_string();
        let bytes = mido(&["write", &h, &m, &s, &f, fps, &code, "4200"]).output().expect("it runs");
        assert!(bytes.status.success(), "tools/setup --tests brings mido: {bytes:?}");
        // A quarter of a frame apart, as on a cable that is as good as can be.
        let at = |byte: usize| {
            units::ShowTime::ZERO + Span::from_ns(rate.frame().ns() * (byte as i64 / 2) / 4)
        };
        let mut listener = wire::mtc::Listener::default();
        let bytes = bytes.stdout.iter().enumerate();
        let heard: Vec<_> = bytes.filter_map(|(n, byte)| listener.hear(*byte, at(n))).collect();
        assert_eq!(heard.len(), 2100, "{rate}");
        for (turn, reading) in heard.into_iter().enumerate() {
            let timecode = from.plus(2 * turn as i64);
            let began = units::ShowTime::ZERO + Span::from_ns(rate.frame().ns() * 2 * turn as i64);
            let wire::mtc::Reading::Frame { timecode: said, at } = reading else {
                panic!("{rate}: {reading:?}")
            };
            assert_eq!(said, timecode, "{rate}");
            assert!((at - began).abs() < Span::from_micros(2), "{rate}: {timecode} {}", at - began);
        }
    }
}

#[test]
fn mtc_that_we_write_is_heard_frame_exactly_by_mido_at_all_four_rates() {
    for (rate, _, code) in MIDI_RATES {
        let from = near_ten_minutes(rate);
        let turns = (0..2100).map(|turn| from.plus(2 * turn));
        let quarters =
            turns.clone().flat_map(|it| (0..8).map(move |piece| wire::mtc::quarter(it, piece)));
        let mut bytes: Vec<u8> = quarters.flatten().collect();
        bytes.extend(wire::mtc::full(from));
        let mut hearing = mido(&["hear"]);
        let mut hearing =
            hearing.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut input = hearing.stdin.take().expect("piped");
        let writer = std::thread::spawn(move || input.write_all(&bytes));
        let lines = String::from_utf8(hearing.wait_with_output().expect("it ends").stdout);
        writer.join().expect("no panic").expect("it takes all");
        let told: Vec<_> = lines.expect("text").lines().map(told_by_mido).collect();
        let quarters = turns.map(|it| (false, it.clock(), code));
        assert!(told.iter().copied().eq(quarters.chain([(true, from.clock(), code)])), "{rate}");
    }
}

#[test]
fn mtc_that_a_box_sends_over_a_cable_is_heard_by_mido() {
    let cable = cable();
    let mut place = Place::new();
    write(&place, "show.toml", leading("mtc = true"));
    let sound = "[sound]\ndevice = \"simulated\"\n[timecode]\n";
    place.write_box(&format!("{sound}midi_out = \"{}\"\n", cable.path.display()));
    place.alsa = Some("/usr/share/alsa/alsa.conf".into());
    let mut the_box = place.run();
    let mut hearing = mido(&["hear"]);
    let hearing = hearing.stdin(cable.ours).stdout(Stdio::piped()).spawn().expect("it runs");
    assert!(the_box.ask(&["go"]).status.success());
    the_box.wait_for_line("cue 2 began");
    the_box.signal(Signal::SIGTERM);
    the_box.wait_for_the_end();
    drop(cable._kept);
    let lines = hearing.wait_with_output().expect("it ends with the cable").stdout;
    let told = String::from_utf8(lines).expect("text");
    let told: Vec<_> = told.lines().map(told_by_mido).filter(|(full, ..)| !full).collect();
    assert!(told.len() > 25 * 5 / 2, "{} of six seconds", told.len());
    let number = |(_, clock, code): &(bool, Clock, u8)| {
        assert_eq!(*code, 1, "25 frames a second");
        Timecode::new(FrameRate::Fps25, *clock).expect("a frame")
    };
    let first = Timecode::parse("01:00:00:00", FrameRate::Fps25).expect("a frame");
    assert!(number(&told[0]) <= first.plus(2), "{:?}", told[0]);
    assert!(told.windows(2).all(|pair| number(&pair[1]) == number(&pair[0]).plus(2)), "{told:?}");
}

#[test]
fn a_box_chases_mtc_that_mido_plays() {
    let cable = cable();
    let mut place = Place::new();
    write(&place, "show.toml", chasing("mtc"));
    let sound = "[sound]\ndevice = \"simulated\"\n[timecode]\n";
    place.write_box(&format!("{sound}midi_in = \"{}\"\n", cable.path.display()));
    place.alsa = Some("/usr/share/alsa/alsa.conf".into());
    let mut the_box = place.run();
    // mido plays into our end; the box has the other one.
    let mut played = mido(&["play", "1", "0", "0", "0", "25", "1", "150"]);
    let mut played = played.stdout(cable.ours).spawn().expect("it runs");
    the_box.wait_for_line("cue 4 began (timecode)");
    let apart = Span::from_ns(begins(&the_box, "4") - begins(&the_box, "2"));
    // Bytes tremble on a busy machine.
    assert!((apart - Span::from_secs(2)).abs() < Span::from_millis(15), "{apart}");
    let status = the_box.ask_json(&["status"]);
    let chase = &status["show"]["lists"][0]["timecode"];
    assert_eq!((&chase["source"], &chase["rate"]), (&"mtc".into(), &"25".into()), "{chase}");
    let _ = played.kill();
    let _ = played.wait();
}

/// Two boxes, a MIDI cable between them: one leads, the other chases.
#[test]
fn a_box_follows_another_by_midi_to_the_millisecond() {
    let (mut from, mut to) = (cable(), cable());
    let leader = Place::new();
    write(&leader, "show.toml", leading("mtc = true"));
    let alsa: PathBuf = "/usr/share/alsa/alsa.conf".into();
    let sound = "[sound]\ndevice = \"simulated\"\n[timecode]\n";
    leader.write_box(&format!("{sound}midi_out = \"{}\"\n", from.path.display()));
    let follower = Place::new();
    write(&follower, "show.toml", chasing("mtc"));
    follower.write_box(&format!("{sound}midi_in = \"{}\"\n", to.path.display()));
    let leader = Place { alsa: Some(alsa.clone()), ..leader }.run();
    let mut follower = Place { alsa: Some(alsa), ..follower }.run();
    let carried = std::thread::spawn(move || {
        let mut seen = Vec::new();
        let mut bytes = [0; 64];
        // Until the leader has gone, and with it the other end.
        while let Ok(count @ 1..) = from.ours.read(&mut bytes) {
            seen.extend_from_slice(&bytes[..count]);
            if to.ours.write_all(&bytes[..count]).is_err() || seen.ends_with(&[0xf7]) {
                break;
            }
        }
        // A cable that is pulled takes with it what has not been read.
        (seen, to)
    });
    assert!(leader.ask(&["go"]).status.success());
    follower.wait_for_line("cue 4 began (timecode)");
    let led = begins(&leader, "1");
    for (cue, after) in [("2", 2), ("3", 3), ("4", 4)] {
        let off = Span::from_ns(begins(&follower, cue) - led) - Span::from_secs(after);
        // Both took the time of day from one clock when they started; bytes tremble on a busy machine.
        assert!(off.abs() < Span::from_millis(8), "cue {cue} is {off} off");
    }
    assert!(leader.ask(&["pause"]).status.success());
    let (seen, _to) = carried.join().expect("no panic");
    let full = &seen[seen.len() - 10..];
    assert_eq!(full[..5], [0xf0, 0x7f, 0x7f, 0x01, 0x01], "a pause is told in full: {full:02x?}");
    let ended = std::time::Instant::now() + PATIENCE;
    while follower.ask_json(&["status"])["show"]["lists"][0]["timecode"]["state"] != "standing" {
        assert!(std::time::Instant::now() < ended, "the follower stands");
    }
}

#[test]
fn a_box_says_which_cables_its_show_misses() {
    let mut place = Place::new();
    write(&place, "show.toml", chasing("ltc"));
    place.write_box("[sound]\ndevice = \"simulated\"\n");
    place.alsa = Some("/usr/share/alsa/alsa.conf".into());
    let mut the_box = place.begin();
    let said = the_box.wait_for_line("WARNING: list `main` chases LTC");
    assert!(said.contains("[timecode] ltc_in"), "{said}");
}
