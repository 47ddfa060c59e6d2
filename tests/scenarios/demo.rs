//! The demo show from its first cue to its last, in virtual time, against reviewed tables.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use engine::light::GRID;
use engine::order::{Evidence, Output};
use engine::show::{MediaInfo, Show, Source, load};
use engine::sound::Pcm;
use sim::card::CardSpec;
use sim::{Event, Listener, Rehearsal, rehearse};
use units::{ShowTime, Span, Universe};

use crate::tables::compare;

/// The demo's folder. Its sound is FLAC, read with a decoder that the product does not use.
struct Demo(PathBuf);

impl Demo {
    fn folder() -> Self {
        Self(Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/demo"))
    }
    fn flac(&self, file: &str) -> Result<Pcm, String> {
        let mut reader =
            claxon::FlacReader::open(self.0.join(file)).map_err(|error| error.to_string())?;
        let info = reader.streaminfo();
        let full = f64::from(1_u32 << (info.bits_per_sample - 1));
        let mut planes = vec![Vec::new(); info.channels as usize];
        for (index, sample) in reader.samples().enumerate() {
            let sample = f64::from(sample.map_err(|error| error.to_string())?) / full;
            planes[index % info.channels as usize].push(sample as f32);
        }
        Ok(Pcm::new(info.sample_rate, planes))
    }
}

impl Source for Demo {
    fn text(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(self.0.join(path)).map_err(|error| error.to_string())
    }
    fn media(&self, path: &str) -> Result<MediaInfo, String> {
        let (pcm, bytes) = (
            self.flac(path)?,
            std::fs::metadata(self.0.join(path)).map_err(|e| e.to_string())?.len(),
        );
        let (rate_hz, frames) = (pcm.rate_hz(), pcm.frames() as u64);
        Ok(MediaInfo {
            sha256: "0".repeat(64),
            bytes,
            rate_hz,
            channels: pcm.channels() as u16,
            frames,
        })
    }
}

struct Night {
    rehearsal: Rehearsal,
    sound: Vec<f32>,
}

struct Recorder(Vec<f32>);

impl Listener for Recorder {
    fn hear(&mut self, samples: &[f32]) {
        self.0.extend_from_slice(samples);
    }
    fn reached(&mut self, _gone: Span) {}
}

/// The night is long; every test looks at the same one.
static NIGHT: LazyLock<Night> = LazyLock::new(night);

fn night() -> Night {
    let demo = Demo::folder();
    let show = show(&demo);
    let media: Vec<Pcm> = show
        .media
        .iter()
        .map(|media| demo.flac(&media.file).expect("the demo's own file"))
        .collect();
    let mut recorder = Recorder(Vec::new());
    let rehearsal = rehearse(show, media.into(), CardSpec::default(), &mut recorder);
    Night { rehearsal, sound: recorder.0 }
}

fn show(demo: &Demo) -> Arc<Show> {
    let loaded = load("show.toml", demo);
    let findings: Vec<String> = loaded.findings.iter().map(ToString::to_string).collect();
    assert!(
        findings.is_empty(),
        "the demo is to be an example without a flaw:\n{}",
        findings.join("\n")
    );
    Arc::new(loaded.show.expect("no finding, so a show"))
}

/// Every half second of the night.
fn moments(rehearsal: &Rehearsal) -> impl Iterator<Item = (f64, ShowTime)> {
    let halves = (rehearsal.end - rehearsal.start).ns() / 500_000_000;
    let start = rehearsal.start;
    (0..=halves).map(move |half| (half as f64 / 2.0, start + Span::from_millis(500).times(half)))
}

#[test]
fn the_demo_lights_as_reviewed() {
    let Night { rehearsal, .. } = &*NIGHT;
    let mut table =
        "# The slots that the demo uses, every half second: universe: slot=level ...\n".to_owned();
    for (seconds, at) in moments(rehearsal) {
        for number in [1, 2] {
            let universe = Universe::new(number).expect("in range");
            let seen = |frame: &&sim::Frame| frame.universe == universe && frame.instant <= at;
            let Some(frame) = rehearsal.frames.iter().rev().find(seen) else { continue };
            let lit = frame.slots.iter().enumerate().filter(|(_, level)| **level > 0);
            let lit: Vec<String> =
                lit.map(|(slot, level)| format!("{}={level}", slot + 1)).collect();
            writeln!(table, "{seconds:6.1} {number}: {}", lit.join(" "))
                .expect("a string takes all");
        }
    }
    compare("demo_light.txt", &table);
}

#[test]
fn the_demo_sounds_as_reviewed() {
    let Night { rehearsal, sound } = &*NIGHT;
    let mut table = "# Every half second: loudest sample of it, left and right, then its first sample, of 32,768\n".to_owned();
    for (seconds, block) in sound.chunks(24_000 * 2).enumerate() {
        let side =
            |side: usize| block.iter().skip(side).step_by(2).map(|it| it.abs()).fold(0.0, f32::max);
        let full = |sample: f32| (f64::from(sample) * 32_768.0).round() as i64;
        let (left, right, first) = (full(side(0)), full(side(1)), full(block[0]));
        writeln!(table, "{:6.1} {left:6} {right:6} {first:7}", seconds as f64 / 2.0)
            .expect("a string takes all");
    }
    compare("demo_sound.txt", &table);
    let length = (rehearsal.end - rehearsal.start).secs_f64();
    assert!(
        (sound.len() as f64 / 96_000.0 - length).abs() < 0.1,
        "sound and light are equally long"
    );
}

#[test]
fn every_order_of_the_demo_that_can_be_told_of_was_carried_out_on_time() {
    let Night { rehearsal, .. } = &*NIGHT;
    let receipts = rehearsal.story.iter().filter_map(|it| match &it.event {
        Event::Received(receipt) => Some(receipt),
        _ => None,
    });
    let mut counted = 0;
    for receipt in receipts {
        let late = receipt.late().expect("the simulated rig, card and phone always say");
        let (early, allowed) = match receipt.output {
            Output::Light => (Span::ZERO, GRID),
            Output::Sound => (Span::from_micros(25), Span::from_micros(25)),
            // A track by the phone's own clock, a screen with its next frame.
            Output::Phones => (Span::from_millis(1), Span::from_millis(18)),
            Output::Network | Output::Air => (Span::ZERO, Span::ZERO),
        };
        assert!(late >= -early && late <= allowed, "{receipt:?}");
        counted += 1;
    }
    assert!(counted >= 15, "only {counted} receipts");
}

#[test]
fn the_phone_in_the_room_answers_for_every_order_it_can_tell_of() {
    let Night { rehearsal, .. } = &*NIGHT;
    let told: Vec<_> = rehearsal
        .story
        .iter()
        .filter_map(|it| match &it.event {
            Event::Received(receipt) if receipt.output == Output::Phones => Some(receipt),
            _ => None,
        })
        .collect();
    assert!(told.len() >= 8, "only {} receipts", told.len());
    assert!(told.iter().all(|receipt| (receipt.evidence, receipt.count) == (Evidence::Phone, 1)));
    let [piece] = &rehearsal.sounded[..] else { panic!("one piece: {:?}", rehearsal.sounded) };
    let began = told
        .iter()
        .filter_map(|receipt| receipt.happened)
        .min_by_key(|at| (*at - piece.from).abs());
    let apart = began.expect("a receipt") - piece.from;
    assert!(apart.abs() < Span::from_millis(1), "it says when it is heard: {apart}");
    let last = rehearsal.shown.last().expect("it was painted");
    assert_eq!(last.color.to_string(), "#ffb060");
    let white = rehearsal.shown.iter().filter(|shown| shown.color.to_string() == "#ffffff").count();
    assert_eq!(white, 3, "each flash of the far lightning was painted");
}

#[test]
fn at_least_three_cues_need_a_go_and_each_changes_universe_1_within_half_a_second() {
    let Night { rehearsal, .. } = &*NIGHT;
    let universe = Universe::new(1).expect("in range");
    let pressed = rehearsal.story.iter().filter_map(|it| match &it.event {
        Event::Said(engine::told::Said::Fired { by, cue, .. }) if by == "desk" => {
            Some((it.at, *cue))
        }
        _ => None,
    });
    let pressed: Vec<_> = pressed.collect();
    assert!(pressed.len() >= 3);
    for (at, cue) in pressed {
        let soon = |frame: &sim::Frame| {
            frame.universe == universe
                && frame.instant > at
                && frame.instant - at <= Span::from_millis(500)
        };
        assert!(rehearsal.frames.iter().any(soon), "cue {cue} changes nothing");
    }
}

#[test]
fn the_same_show_gives_the_same_night_again() {
    let again = night();
    assert_eq!(NIGHT.sound, again.sound);
    assert_eq!(NIGHT.rehearsal.frames, again.rehearsal.frames);
    let told = |night: &Night| {
        night.rehearsal.story.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>()
    };
    assert_eq!(told(&NIGHT), told(&again));
}
