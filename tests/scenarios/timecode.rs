//! Lists that chase timecode, and lists that lead: to the nanosecond in virtual time, through real sound.

use std::fmt::Write;
use std::sync::Arc;

use engine::order::Output;
use engine::show::{MediaInfo, Show, Source as Files, load};
use engine::sound::Pcm;
use engine::timecode::{Heard, Source, State};
use engine::told::{Command, Done, Effect, Input, Refusal, Request, Said};
use engine::{Engine, EngineStart};
use sim::card::CardSpec;
use sim::{Event, Listener, rehearse};
use units::{CommandId, CueNumber, FrameRate, ShowTime, Span, Timecode};
use wire::ltc::{Decoder, Reading, Wave};

use crate::tables::compare;

const T0: ShowTime = ShowTime::from_ns(1_795_000_000_123_456_789);
const RATE_HZ: u32 = 48_000;

struct Folder(String);

impl Files for Folder {
    fn text(&self, _path: &str) -> Result<String, String> {
        Ok(self.0.clone())
    }
    /// A minute.
    fn media(&self, _path: &str) -> Result<MediaInfo, String> {
        let (sha256, frames) = ("0".repeat(64), 60 * u64::from(RATE_HZ));
        Ok(MediaInfo { sha256, bytes: 1, rate_hz: RATE_HZ, channels: 1, frames })
    }
}

fn show(text: &str) -> Arc<Show> {
    let loaded = load("show.toml", &Folder(text.to_owned()));
    Arc::new(loaded.show.unwrap_or_else(|| panic!("{:?}", loaded.findings)))
}

/// Three cues a minute apart, chased from LTC at 25 frames a second; `more` goes into the list's `timecode`.
fn chasing(more: &str) -> Arc<Show> {
    show(&format!(
        r#"
[timecode]
rate = "25"
[universes.1]
sacn = {{}}
[fixtures]
one = {{ profile = "generic/dimmer", universe = 1, address = 1 }}
[tracks]
song = "song.wav"
[[list]]
name = "main"
timecode = {{ source = "ltc", {more} }}
[[list.cue]]
number = 1
light = {{ levels = {{ one = 10 }} }}
timecode = "01:00:10:00"
[[list.cue]]
number = 2
light = {{ levels = {{ one = 20 }} }}
sound = {{ file = "song.wav" }}
phones = {{ track = "song" }}
timecode = "01:01:10:05"
[[list.cue]]
number = 3
light = {{ levels = {{ one = 30 }} }}
timecode = "01:02:10:00"
"#
    ))
}

fn cue(number: u32) -> CueNumber {
    number.to_string().parse().expect("a number")
}

fn secs(secs: f64) -> Span {
    Span::from_secs_f64(secs)
}

/// A box, a tape deck beside it, and what the box did.
struct Desk {
    engine: Engine,
    now: ShowTime,
    /// Where the tape is.
    position: Span,
    speed: f64,
    asked: u32,
    orders: Vec<(CueNumber, Output, ShowTime)>,
    fired: Vec<CueNumber>,
    sound: Option<Arc<engine::sound::Plan>>,
}

impl Desk {
    fn new(show: Arc<Show>) -> Self {
        let start = EngineStart { now: T0, tai_utc: Span::ZERO, chance: 1 };
        Self {
            engine: Engine::new(show, start),
            now: T0,
            position: Timecode::parse("01:00:00:00", FrameRate::Fps25).expect("a frame").position(),
            speed: 1.0,
            asked: 0,
            orders: Vec::new(),
            fired: Vec::new(),
            sound: None,
        }
    }

    fn wound(mut self, to: &str) -> Self {
        self.wind(to);
        self
    }

    fn wind(&mut self, to: &str) {
        self.position = Timecode::parse(to, FrameRate::Fps25).expect("a frame").position();
    }

    /// Lets time pass without timecode.
    fn wait(&mut self, span: Span) {
        let until = self.now + span;
        while let Some((at, _)) = self.engine.next_wake().filter(|(at, _)| *at <= until) {
            self.now = at.max(self.now);
            self.engine.handle(self.now, Input::Wake);
            self.note();
        }
        self.now = until;
    }

    /// Plays the tape for so long, each frame told 7 ms after it began.
    fn play(&mut self, span: f64) {
        let frame = secs(0.04 / self.speed);
        for _ in 0..(span / frame.secs_f64()).round() as u32 {
            let clock = Timecode::at(FrameRate::Fps25, self.position).clock();
            let (at, late) = (self.now, Span::from_millis(7));
            self.wait(late);
            self.tell(Heard::Frame { clock, drops: false, count: Some(25), at });
            self.wait(frame - late);
            self.position += Span::from_millis(40);
        }
    }

    fn tell(&mut self, heard: Heard) {
        self.engine.handle(self.now, Input::Timecode { source: Source::Ltc, heard });
        self.note();
    }

    fn command(&mut self, command: Command) -> Result<Done, Refusal> {
        self.asked += 1;
        let id = CommandId(self.asked.to_string());
        let done = self.engine.command(self.now, &Request { id, command, from: "desk".into() });
        self.note();
        done
    }

    fn note(&mut self) {
        while let Some(effect) = self.engine.poll() {
            match effect {
                Effect::Ordered(order) => {
                    self.orders.extend(order.cue.map(|cue| (cue, order.output, order.at)));
                }
                Effect::Said(Said::Fired { cue, .. }) => self.fired.push(cue),
                Effect::Sound(plan) => self.sound = Some(plan),
                _ => {}
            }
        }
    }

    /// When an output of a cue was ordered to begin, and what the tape shows then.
    fn at(&self, number: u32, output: Output) -> Timecode {
        let of = |it: &&(CueNumber, Output, ShowTime)| it.0 == cue(number) && it.1 == output;
        let at = self.orders.iter().rev().find(of).expect("it was ordered").2;
        let back = secs((self.now - at).secs_f64() * self.speed);
        Timecode::at(FrameRate::Fps25, self.position - back + Span::from_micros(10))
    }

    fn standby(&self) -> Option<CueNumber> {
        self.engine.glance(self.now).lists[0].standby.as_ref().map(|cue| cue.number)
    }

    fn state(&self) -> State {
        self.engine.glance(self.now).lists[0].timecode.as_ref().expect("it chases").state
    }

    fn asks(&self) -> bool {
        self.engine.glance(self.now).lists[0].timecode.as_ref().expect("it chases").asks
    }
}

#[test]
fn a_cue_begins_exactly_at_its_timecode_with_light_sound_and_phones_at_once() {
    let mut desk = Desk::new(chasing(""));
    desk.play(75.0);
    assert_eq!(desk.fired, [cue(1), cue(2)]);
    assert_eq!(desk.standby(), Some(cue(3)));
    assert_eq!(desk.at(1, Output::Light).to_string(), "01:00:10:00");
    for output in [Output::Light, Output::Sound, Output::Phones] {
        assert_eq!(desk.at(2, output).to_string(), "01:01:10:05", "{output:?}");
    }
    let begins = desk.orders.iter().find(|it| it.0 == cue(1)).expect("cue 1").2;
    assert!((begins - T0 - secs(10.0)).abs() < Span::from_micros(1), "{}", begins - T0);
}

#[test]
fn a_tape_that_drags_brings_its_cues_at_its_own_speed() {
    for speed in [0.93, 1.07] {
        let mut desk = Desk { speed, ..Desk::new(chasing("")) };
        desk.play(85.0);
        assert_eq!(desk.at(1, Output::Light).to_string(), "01:00:10:00", "{speed}");
        assert_eq!(desk.at(2, Output::Phones).to_string(), "01:01:10:05", "{speed}");
    }
}

#[test]
fn an_offset_is_added_to_what_is_heard() {
    let mut desk = Desk::new(chasing(r#"offset = "-01:00:00:00""#)).wound("02:00:00:00");
    desk.play(12.0);
    assert_eq!(desk.at(1, Output::Light).to_string(), "02:00:10:00");
    let mut desk = Desk::new(chasing(r#"offset = "01:00:00:00""#)).wound("00:00:00:00");
    desk.play(12.0);
    assert_eq!(desk.at(1, Output::Light).to_string(), "00:00:10:00");
}

#[test]
fn a_tape_that_begins_in_the_middle_fires_the_cue_before_and_the_next_stands_by() {
    let mut desk = Desk::new(chasing("")).wound("01:01:30:00");
    desk.play(1.0);
    assert_eq!(desk.fired, [cue(2)], "as if it had been fired in time");
    assert_eq!(desk.standby(), Some(cue(3)));
    // The song is where it would be by now.
    let plan = desk.sound.clone().expect("a plan");
    let voice = plan.voices.last().expect("the song sounds");
    let gone = desk.now - voice.at;
    assert!((gone - secs(20.8)).abs() < secs(0.001), "{gone} of the song have gone");
    assert!(voice.from > desk.now - secs(1.0), "it comes in now");
    desk.play(45.0);
    assert_eq!(desk.at(3, Output::Light).to_string(), "01:02:10:00");
}

#[test]
fn a_jump_is_followed_back_and_forth_and_what_sounded_ends() {
    let mut desk = Desk::new(chasing(""));
    desk.play(75.0);
    desk.wind("01:00:20:00");
    desk.play(2.0);
    assert_eq!(desk.fired, [cue(1), cue(2), cue(1)]);
    assert_eq!(desk.standby(), Some(cue(2)));
    let plan = desk.sound.clone().expect("a plan");
    assert!(plan.voices.iter().all(|it| it.until.is_some_and(|until| until < desk.now)));
    desk.wind("01:05:00:00");
    desk.play(2.0);
    assert_eq!((desk.fired.last(), desk.standby()), (Some(&cue(3)), None));
    desk.wind("00:59:00:00");
    desk.play(2.0);
    assert_eq!((desk.fired.len(), desk.standby()), (4, Some(cue(1))), "before the first cue");
}

#[test]
fn a_tape_that_rolls_in_before_midnight_is_before_the_first_cue_and_not_behind_the_last() {
    let mut desk = Desk::new(chasing(r#"offset = "-01:00:05:00""#)).wound("01:00:00:00");
    desk.play(3.0);
    assert_eq!((desk.fired.len(), desk.standby()), (0, Some(cue(1))), "23:59:58 by the list");
    let mut desk = Desk::new(chasing("")).wound("13:00:00:00");
    desk.play(1.0);
    assert_eq!((&desk.fired[..], desk.standby()), (&[cue(3)][..], None), "long past the last");
    desk.wind("01:00:09:00");
    desk.play(2.0);
    assert_eq!(desk.fired, [cue(3), cue(1)]);
}

#[test]
fn a_jump_that_is_to_be_ignored_fires_nothing_until_the_next_cue_from_standby_on_comes() {
    let mut desk = Desk::new(chasing(r#"jump = "ignore""#));
    desk.play(12.0);
    desk.wind("01:01:30:00");
    desk.play(5.0);
    assert_eq!((&desk.fired[..], desk.standby()), (&[cue(1)][..], Some(cue(2))));
    desk.play(40.0);
    assert_eq!((&desk.fired[..], desk.standby()), (&[cue(1), cue(3)][..], None));
}

#[test]
fn a_jump_may_be_asked_about_and_go_follows_it_and_goto_takes_up_elsewhere() {
    let mut desk = Desk::new(chasing(r#"jump = "ask""#));
    desk.play(12.0);
    desk.wind("01:02:00:00");
    desk.play(15.0);
    assert!(desk.asks() && desk.fired == [cue(1)], "cue 3 has gone by unfired");
    let done = desk.command(Command::Go { list: None }).expect("it follows");
    assert_eq!((done.fired, desk.asks()), (Some(cue(3)), false));
    desk.wind("01:00:30:00");
    desk.play(2.0);
    assert!(desk.asks());
    desk.command(Command::Goto { cue: cue(3) }).expect("there is one");
    desk.play(45.0);
    assert_eq!(desk.fired, [cue(1), cue(3)], "cue 2 is before standby");
    desk.play(60.0);
    assert_eq!(desk.fired, [cue(1), cue(3), cue(3)]);
}

#[test]
fn silence_is_bridged_for_as_long_as_the_list_says() {
    let mut desk = Desk::new(chasing(r#"freewheel = "2s""#));
    desk.play(9.0);
    desk.wait(secs(1.5));
    desk.position += secs(1.5);
    assert_eq!((desk.state(), &desk.fired[..]), (State::Freewheel, &[cue(1)][..]));
    assert_eq!(desk.at(1, Output::Light).to_string(), "01:00:10:00");
    desk.wait(secs(1.0));
    assert_eq!(desk.state(), State::Lost);
    desk.wait(secs(100.0));
    assert_eq!(desk.fired.len(), 1, "nothing comes of a tape that is lost");
}

#[test]
fn a_tape_that_runs_backwards_fires_nothing_and_the_watcher_is_told() {
    let mut desk = Desk::new(chasing("")).wound("01:00:12:00");
    for _ in 0..500 {
        desk.wait(secs(0.04));
        desk.tell(Heard::Reverse);
    }
    assert!(desk.fired.is_empty());
    let glance = serde_json::to_value(desk.engine.glance(desk.now)).expect("JSON");
    assert_eq!(glance["lists"][0]["timecode"]["trouble"], "reverse");
    assert_eq!(glance["lists"][0]["timecode"]["timecode"], serde_json::Value::Null);
}

#[test]
fn a_hand_that_was_faster_is_not_overtaken() {
    let mut desk = Desk::new(chasing(""));
    desk.play(5.0);
    desk.command(Command::Go { list: None }).expect("cue 1");
    desk.play(10.0);
    assert_eq!(desk.fired, [cue(1)], "its timecode came, and it had been fired");
    desk.play(60.0);
    assert_eq!(desk.fired, [cue(1), cue(2)]);
}

#[test]
fn a_pause_fires_nothing_and_its_end_takes_up_where_timecode_has_got_to() {
    let mut desk = Desk::new(chasing(""));
    desk.play(5.0);
    desk.command(Command::Pause).expect("it pauses");
    desk.play(70.0);
    assert!(desk.fired.is_empty());
    desk.command(Command::Resume).expect("it goes on");
    assert_eq!((&desk.fired[..], desk.standby()), (&[cue(2)][..], Some(cue(3))));
}

#[derive(Default)]
struct Recorder(Vec<f32>);

impl Listener for Recorder {
    fn hear(&mut self, samples: &[f32]) {
        self.0.extend_from_slice(samples);
    }
    fn reached(&mut self, _gone: Span) {}
}

fn frames(samples: impl Iterator<Item = f32>, rate_hz: u32) -> Vec<wire::ltc::Heard> {
    let mut decoder = Decoder::new(rate_hz);
    let frame = |reading| match reading {
        Reading::Frame(heard) => Some(heard),
        Reading::Reverse { .. } => None,
    };
    samples.filter_map(|sample| decoder.hear(sample)).filter_map(frame).collect()
}

#[test]
fn ltc_that_a_list_leads_is_frame_exact_on_the_card_from_its_first_cue_on() {
    for rate in FrameRate::ALL {
        let show = show(&format!(
            r#"
[timecode]
rate = "{rate}"
out = {{ ltc = {{ channel = 2 }}, start = "00:59:58:00" }}
[[list]]
name = "main"
[[list.cue]]
number = 1
sound = {{ file = "song.wav" }}
continue = "auto-continue"
post_wait = "10s"
[[list.cue]]
number = 2
phones = {{ text = "bridge" }}
timecode = "02:00:00:00"
"#
        ));
        let silence = Pcm::new(RATE_HZ, vec![vec![0.0; 60 * RATE_HZ as usize]]);
        let mut heard = Recorder::default();
        let night = rehearse(show, [silence].into(), CardSpec::default(), &mut heard);
        let begins = |number| {
            night.story.iter().find_map(|it| match &it.event {
                Event::Ordered(order) if order.cue == Some(cue(number)) => Some(order.at),
                _ => None,
            })
        };
        let (first, second) = (begins(1).expect("cue 1"), begins(2).expect("cue 2"));
        let all = frames(heard.0.iter().skip(1).step_by(2).copied(), RATE_HZ);
        assert!(all.len() > 1_300, "{rate}: {}", all.len());
        for it in &all {
            let now = Timecode::new(rate, it.said.clock).expect("a frame");
            let at = night.start + secs(it.start / f64::from(RATE_HZ));
            let (begin, from) = match now.clock().hours {
                2 => (second, "02:00:00:00"),
                _ => (first, "00:59:58:00"),
            };
            let from = Timecode::parse(from, rate).expect("a frame").position();
            let off = (at - begin) - (now.position() - from);
            assert!(off.abs() < Span::from_micros(15), "{rate}: {now} is {off} off");
        }
    }
}

#[test]
fn timecode_that_is_led_stands_in_a_pause_and_ends_with_a_stop() {
    let mut desk = Desk::new(show(
        r#"
[timecode]
rate = "25"
out = { mtc = true, start = "01:00:00:00" }
[[list]]
name = "main"
[[list.cue]]
number = 1
phones = { text = "a" }
"#,
    ));
    let shown = |desk: &Desk| {
        let lead = desk.engine.glance(desk.now).timecode.expect("it leads");
        (lead.timecode.map(|it| it.to_string()), lead.runs)
    };
    assert_eq!(shown(&desk), (None, false));
    desk.command(Command::Go { list: None }).expect("cue 1");
    desk.wait(secs(0.4 + 2.0));
    assert_eq!(shown(&desk), (Some("01:00:02:00".into()), true));
    desk.command(Command::Pause).expect("it pauses");
    desk.wait(secs(60.0));
    let (stood, runs) = shown(&desk);
    assert!(!runs && stood.as_deref() == Some("01:00:02:01"), "{stood:?}");
    desk.command(Command::Resume).expect("it goes on");
    desk.wait(secs(1.1));
    assert_eq!(shown(&desk), (Some("01:00:03:02".into()), true));
    desk.command(Command::Stop).expect("it stops");
    desk.wait(secs(1.0));
    assert_eq!(shown(&desk), (None, false));
}

/// One kind of trouble on a cable.
struct Cable {
    name: &'static str,
    level: f64,
    /// Of the hiss, root mean square, as a part of the signal.
    hiss: f64,
    dc: f64,
    hum: f64,
    speed: f64,
    reversed: bool,
}

const CLEAN: Cable =
    Cable { name: "clean", level: 0.5, hiss: 0.0, dc: 0.0, hum: 0.0, speed: 1.0, reversed: false };

fn cables() -> Vec<Cable> {
    vec![
        CLEAN,
        Cable { name: "full scale", level: 1.0, ..CLEAN },
        Cable { name: "-46 dB", level: 0.005, ..CLEAN },
        Cable { name: "hiss at -20 dB", hiss: 0.1, ..CLEAN },
        Cable { name: "hiss at -14 dB", hiss: 0.2, ..CLEAN },
        Cable { name: "hiss at -9 dB", hiss: 0.35, ..CLEAN },
        Cable { name: "hiss at -6 dB", hiss: 0.5, ..CLEAN },
        Cable { name: "hiss at -3 dB", hiss: 0.7, ..CLEAN },
        Cable { name: "-46 dB, hiss at -20 dB", level: 0.005, hiss: 0.1, ..CLEAN },
        Cable { name: "half of it DC", level: 0.4, dc: 0.4, ..CLEAN },
        Cable { name: "hum as loud as half of it", hum: 0.5, ..CLEAN },
        Cable { name: "45 % slow", speed: 0.55, ..CLEAN },
        Cable { name: "10 % slow", speed: 0.9, ..CLEAN },
        Cable { name: "10 % fast", speed: 1.1, ..CLEAN },
        Cable { name: "half again as fast", speed: 1.5, ..CLEAN },
        Cable { name: "10 % fast, hiss at -14 dB", speed: 1.1, hiss: 0.2, ..CLEAN },
        Cable { name: "backwards", reversed: true, ..CLEAN },
        Cable { name: "nothing but hiss", level: 0.0, hiss: 0.0, ..CLEAN },
    ]
}

const SECONDS: u32 = 5;

/// What comes out of a cable.
fn sound(cable: &Cable, rate: FrameRate, rate_hz: u32) -> Vec<f32> {
    let mut wave = Wave::new(rate, 0);
    let mut chance = 9_u64;
    let mut hiss = || {
        let mut next = || {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (chance >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        // Twelve of them are as good as normal, of deviation 1.
        (0..12).map(|_| next()).sum::<f64>()
    };
    let floor = if cable.level == 0.0 { 0.01 } else { 0.0 };
    let mut all: Vec<f32> = (0..SECONDS * rate_hz)
        .map(|n| {
            let at = f64::from(n) / f64::from(rate_hz);
            let signal = f64::from(wave.at(secs(at * cable.speed)));
            let hum = cable.hum * (std::f64::consts::TAU * 50.0 * at).sin();
            let heard = cable.level * (signal + hum + cable.hiss * hiss());
            (heard + cable.dc + floor * hiss()) as f32
        })
        .collect();
    if cable.reversed {
        all.reverse();
    }
    all
}

#[test]
fn ltc_from_bad_cables_is_heard_as_the_table_says_and_never_wrongly() {
    let mut table = String::from(
        "cable                        rate     at      heard of  wrong  worst place, samples\n",
    );
    for cable in cables() {
        for (rate, rate_hz) in [
            (FrameRate::Fps24, 48_000),
            (FrameRate::Fps25, 44_100),
            (FrameRate::Drop29_97, 48_000),
            (FrameRate::Fps30, 96_000),
        ] {
            let samples = sound(&cable, rate, rate_hz);
            let all = frames(samples.into_iter(), rate_hz);
            let there = f64::from(SECONDS) * cable.speed / rate.frame().secs_f64();
            let (mut wrong, mut worst) = (0, 0.0_f64);
            for it in &all {
                let place = Timecode::new(rate, it.said.clock).map(|it| it.position().secs_f64());
                let expected = place.map(|it| it / cable.speed * f64::from(rate_hz));
                let off = expected.map_or(f64::MAX, |expected| (it.start - expected).abs());
                wrong += u32::from(off > it.length / 4.0);
                worst = worst.max(off);
            }
            assert_eq!(wrong, 0, "{} at {rate}", cable.name);
            let (name, heard, there) = (cable.name, all.len(), there.floor());
            writeln!(
                table,
                "{name:28} {rate:8} {rate_hz:6} {heard:6} {there:3} {wrong:5}  {worst:.1}",
                rate = rate.to_string()
            )
            .expect("a string grows");
        }
    }
    compare("ltc.txt", &table);
}
