//! The engine, told a list of things in any order: commands, reports of outputs, phones, time.
//!
//! An octet says what, the octets behind it how much; see [`Night::step`]. The show is `vectors/show/busy.toml`.

use std::sync::{Arc, LazyLock};

use engine::delivery::{self, Arrival};
use engine::light;
use engine::order::Evidence;
use engine::show::{Show, load};
use engine::timecode::{Heard, Source};
use engine::told::{Command, Done, Effect, FrameReport, Input, Refusal, Request};
use engine::{Engine, EngineStart};
use units::{
    CommandId, CueNumber, FrameRate, Level, PhoneId, ShowTime, Span, Timecode, Universe, VoiceId,
};
use uuid::Uuid;
use wire::output::{OutputSource, SyncErrors};
use wire::solusync::{self, Calibrated, Estimate, NodeStatus, NodeType, PlayedSource};

use super::Target;
use super::show::Folder;
use crate::tape::Tape;

/// The target.
pub const TARGET: Target = Target { name: "engine", folders: &["engine"], run };

/// Two evenings of button presses; more only takes longer.
const STEPS_MAX: usize = 400;
/// Cues that one press brings in the show, at most.
const CHAIN_MAX: usize = 3;
/// One call may bring a whole chain of cues, but no more.
const EFFECTS_MAX: usize = 5_000;
/// A chain may want to be woken this often for one instant.
const WAKES_MAX: usize = 1_000;
/// A spring evening, 2026.
const BEGINNING: ShowTime = ShowTime::from_ns(1_775_000_000_000_000_000);

static BUSY: LazyLock<Arc<Show>> = LazyLock::new(|| {
    let show = include_str!("../vectors/show/busy.toml");
    Arc::new(load("show.toml", &Folder { show }).show.expect("the seed is a show"))
});

fn run(bytes: &[u8]) {
    let mut night = Night::of(BUSY.clone());
    let mut tape = Tape(bytes);
    for _ in 0..STEPS_MAX {
        if night.step(&mut tape).is_none() {
            break;
        }
    }
    night.ends();
}

/// An engine that is told things, and watched.
pub struct Night {
    engine: Engine,
    now: ShowTime,
    commands: u64,
    /// Ids of the messages told to phones, and how many voices there were: what reports may be about.
    told: Vec<Uuid>,
}

impl Night {
    /// The beginning of an evening with `show`.
    pub fn of(show: Arc<Show>) -> Self {
        let start = EngineStart { now: BEGINNING, tai_utc: Span::from_secs(37), chance: 1 };
        let engine = Engine::new(show, start);
        let mut night = Self { engine, now: BEGINNING, commands: 0, told: Vec::new() };
        night.watch();
        night
    }

    /// An evening with the show that engine seeds are about.
    pub fn busy() -> Self {
        Self::of(BUSY.clone())
    }

    /// Gives a command with an id of its own.
    pub fn command(&mut self, command: Command) -> Result<Done, Refusal> {
        self.commands += 1;
        self.ask(format!("own {}", self.commands), command)
    }

    /// Time goes by; the engine is woken as it asks.
    pub fn wait_ms(&mut self, ms: i64) {
        let end = self.now + Span::from_millis(ms);
        let mut wakes = 0;
        while let Some((at, _)) = self.engine.next_wake().filter(|(at, _)| *at <= end) {
            wakes = if at > self.now { 0 } else { wakes + 1 };
            assert!(
                wakes < WAKES_MAX,
                "it wants to be woken for {at:?} for ever, at {:?}",
                self.now
            );
            self.now = self.now.max(at);
            self.tell(Input::Wake);
        }
        self.now = end;
        self.tell(Input::Wake);
    }

    /// How much the engine remembers: the length of all of it, written out.
    pub fn memory(&self) -> usize {
        format!("{:?}", self.engine).len()
    }

    /// One thing off the tape.
    fn step(&mut self, tape: &mut Tape) -> Option<()> {
        let now = self.now;
        match tape.octet()? % 36 {
            0x00 => drop(self.command(Command::Go { list: None })),
            0x01 => drop(self.command(Command::Go { list: Some("weather".into()) })),
            0x02 => drop(self.command(Command::Back { list: None })),
            0x03 => drop(self.command(Command::Stop)),
            0x04 => drop(self.command(Command::Pause)),
            0x05 => drop(self.command(Command::Resume)),
            0x06 => drop(self.command(Command::Panic)),
            0x07 => drop(self.command(Command::Fire { cue: number(tape)? })),
            0x08 => drop(self.command(Command::Goto { cue: number(tape)? })),
            0x09 => drop(self.ask(tape.octet()?.to_string(), Command::Go { list: None })),
            0x0a => self.wait_ms(tape.number::<1>()? as i64),
            0x0b => self.wait_ms(tape.number::<2>()? as i64),
            // A box that stood still for up to half a year.
            0x0c => self.stall(Span::from_secs(tape.number::<3>()? as i64)),
            0x0d => {
                self.tell(Input::PhoneJoined { phone: PhoneId(tape.number::<1>()?), way: None })
            }
            0x0e => self.tell(Input::PhoneLeft { phone: PhoneId(tape.number::<1>()?) }),
            0x0f => self.played(tape.number::<1>()?, now + seconds(tape)?),
            // A phone may claim any time at all.
            0x10 => self.played(tape.number::<1>()?, ShowTime::from_ns(tape.number::<8>()? as i64)),
            0x11 => self.frame(now, now),
            0x12 => self.frame(now + seconds(tape)?, now + seconds(tape)?),
            0x13 => self.began(tape.number::<1>()?, now + seconds(tape)?),
            0x14 => self.tell(Input::SoundLead(Span::from_millis(tape.number::<2>()? as i64))),
            0x15 => self.tell(Input::LocalTime {
                ahead: Span::from_secs(tape.number::<4>()? as i32 as i64),
            }),
            0x16 => drop(self.command(Command::Go { list: Some("nobody's".into()) })),
            0x19 => drop(self.command(Command::Release { list: None })),
            0x1a => drop(self.command(Command::Release { list: Some("weather".into()) })),
            0x1b => {
                let level = Level::from_bits(tape.number::<3>()? as u32);
                drop(self.command(Command::Master { master: "grand".into(), level }));
            }
            0x1c => drop(self.command(Command::Blackout { on: tape.octet()? & 1 == 1 })),
            0x1d => {
                let level = Level::from_bits(tape.number::<3>()? as u32);
                let level = (level > Level::OUT).then_some(level);
                drop(self.command(Command::Park { what: "side".into(), level }));
            }
            0x1e => drop(self.command(Command::Unpark { what: None })),
            0x1f => drop(self.command(Command::Blind { cue: Some(number(tape)?) })),
            0x17 => drop(self.command(Command::Back { list: Some("weather".into()) })),
            0x18 => self.calibrated(tape.number::<1>()?, tape.octet()?, tape.number::<4>()? as i32),
            0x20 => self.tape_plays(tape.octet()?, tape.number::<3>()? as i64),
            0x21 => {
                self.hear(Heard::Located { clock: timecode(tape.number::<3>()? as i64).clock() })
            }
            0x22 => self.hear(Heard::Reverse),
            _ => self.fares(tape.number::<1>()?, tape.number::<8>()?, tape.number::<8>()?),
        }
        Some(())
    }

    fn ask(&mut self, id: String, command: Command) -> Result<Done, Refusal> {
        let request = Request { id: CommandId(id), command, from: "fuzz".into() };
        let answer = self.engine.command(self.now, &request);
        self.watch();
        assert_eq!(self.engine.command(self.now, &request), answer, "sent twice, answered alike");
        assert!(self.engine.poll().is_none(), "sent twice, done once");
        answer
    }

    fn tell(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        self.watch();
    }

    fn stall(&mut self, span: Span) {
        self.now += span;
        self.tell(Input::Wake);
    }

    /// Some frames from that one on, at the rate or (odd) at another speed.
    fn tape_plays(&mut self, how: u8, from: i64) {
        for frame in 0..i64::from(how % 32) {
            let (clock, at) = (timecode(from + frame).clock(), self.now);
            self.hear(Heard::Frame { clock, drops: false, count: Some(25), at });
            self.wait_ms(if how.is_multiple_of(2) { 40 } else { i64::from(how) });
        }
    }

    fn hear(&mut self, heard: Heard) {
        self.tell(Input::Timecode { source: Source::Ltc, heard });
    }

    fn frame(&mut self, instant: ShowTime, left: ShowTime) {
        let evidence = Evidence::KernelTransmit;
        self.tell(Input::LightFrame(FrameReport { instant, plan: u64::MAX, left, evidence }));
    }

    fn began(&mut self, voice: u64, at: ShowTime) {
        self.tell(Input::SoundBegan { voice: VoiceId(voice), at, evidence: Evidence::Dac });
    }

    /// A phone says of delays and of its clock whatever numbers there are.
    fn fares(&mut self, phone: u64, delivery: u64, clock: u64) {
        let number = |bits: u64| Some(f64::from_bits(bits)).filter(|it| it.is_finite());
        let sync = SyncErrors {
            clock_ms: number(clock),
            output_ms: None,
            output_source: OutputSource::Unknown,
            acoustic_ms: None,
            delay_ms: 0.0,
            nudge_ms: 0.0,
        };
        let (delivery_ms, need_ms) = (number(delivery), number(clock));
        let of = NodeStatus::of(NodeType::Client);
        let status = NodeStatus { delivery_ms, need_ms, sync: Some(sync), ..of };
        let status = Box::new(status);
        self.tell(Input::PhoneStatus { phone: PhoneId(phone), status });
        let lead = self.engine.glance(self.now).delivery.lead;
        assert!((delivery::FLOOR..=delivery::CEILING).contains(&lead), "{lead}");
    }

    /// A phone of a model says how far off it sounds; every fourth does not know.
    fn calibrated(&mut self, phone: u64, model: u8, ns: i32) {
        let ms = (f64::from(ns) / 1e6).clamp(-Estimate::MAX_MS, Estimate::MAX_MS);
        let residual = (ns % 4 != 0).then_some(Estimate { ms, sigma_ms: 0.03 });
        let said = Calibrated { model: Some(model.to_string()), residual };
        // Every third has chirped with the box before, if it could.
        if ns % 3 == 0 {
            let phone = PhoneId(phone);
            self.tell(Input::Microphone { is_there: true });
            let _ = self.command(Command::Calibrate);
            self.tell(Input::PhoneAsksCalibration { phone });
            self.tell(Input::ChirpsHeard { phone, later: Ok(vec![Some(Span::ZERO); 3]) });
        }
        self.tell(Input::PhoneCalibrated { phone: PhoneId(phone), said });
    }

    /// A phone's report about one of the last messages, or about one that never was.
    fn played(&mut self, back: u64, at: ShowTime) {
        let message = self.told.iter().rev().nth(back as usize).copied().unwrap_or_default();
        let source = PlayedSource::Screen;
        let arrival = Arrival { message, arrived: Some(at), doubt: Some(Span::ZERO), source };
        self.tell(Input::PhonePlayed { phone: PhoneId(1), at, arrival });
    }

    /// What is wanted of the world has an end, and can be done.
    fn watch(&mut self) {
        let mut count = 0;
        while let Some(effect) = self.engine.poll() {
            count += 1;
            assert!(count <= EFFECTS_MAX, "effects without end");
            self.do_as_told(effect);
        }
        let glance = self.engine.glance(self.now);
        assert!(glance.phones <= 256 && glance.running.len() <= STEPS_MAX * CHAIN_MAX);
        drop(serde_json::to_string(&glance).expect("it has a JSON form"));
    }

    fn do_as_told(&mut self, effect: Effect) {
        match effect {
            Effect::Tell { id, message, .. } => {
                self.told.push(id);
                comes_through(id, &message);
            }
            Effect::Light(plan) => {
                let mut slots = [0; Universe::SLOTS];
                for universe in &plan.universes {
                    light::render(universe, plan.shown(self.now), &mut slots);
                }
            }
            Effect::Listen(listening) => drop(listening.turns_since(listening.from)),
            Effect::Received(receipt) => drop(serde_json::to_string(&receipt).expect("JSON")),
            Effect::Ordered(order) => drop(serde_json::to_string(&order).expect("JSON")),
            Effect::Said(said) => drop(serde_json::to_string(&said).expect("JSON")),
            Effect::Sound(_)
            | Effect::ShowRuns(_)
            | Effect::Send { .. }
            | Effect::Timecode(_)
            | Effect::Air { .. }
            | Effect::AirStays => {}
        }
    }

    /// Whatever happened: after a panic everything is over within the minute, and the engine sleeps until a time of day.
    fn ends(&mut self) {
        let _ = self.command(Command::Panic);
        self.wait_ms(60_000);
        let glance = self.engine.glance(self.now);
        assert!(!glance.paused);
        for run in &glance.running {
            // Only what came by itself since then may run: a cue at its time of day.
            assert!(run.began + Span::from_secs(60) > self.now, "{run:?}");
        }
    }
}

/// Messages to phones are ones that phones understand.
fn comes_through(id: Uuid, message: &solusync::Message) {
    let timestamp = units::WireTime::from_micros(0);
    let header = solusync::Header { id, timestamp, node_id: Uuid::nil(), sequence: 1 };
    let said = solusync::emit(&header, message);
    let (again, _) = solusync::parse(&said).expect("our own words");
    assert_eq!(again.id, id);
}

/// A frame of the day, that many from midnight.
fn timecode(frame: i64) -> Timecode {
    Timecode::zero(FrameRate::Fps25).plus(frame)
}

fn number(tape: &mut Tape) -> Option<CueNumber> {
    let thousandths = tape.number::<1>()? as u32 * 500;
    Some(CueNumber::from_thousandths(thousandths.max(1)).expect("a small number"))
}

/// A little earlier or later.
fn seconds(tape: &mut Tape) -> Option<Span> {
    Some(Span::from_millis(i64::from(tape.octet()? as i8) * 100))
}
