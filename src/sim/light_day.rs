//! A day of light: every kind of cue, and every hand that reaches in, in virtual time.
//!
//! In: a seed. Out: the worst step of any slot from one frame to the next, beside what the fades in force allow, and
//! whether a second box that hears the same orders ever draws another octet. The second box is woken at other times,
//! forgets at other times, and reads recorded light while it plays, where the first has it in memory. A tape runs, stops
//! and jumps beside it, and a list chases its timecode.
//!
//! The show (`light_day.toml`) has slots that only ever fade, in a second or more; what jumps by its nature (snaps,
//! chases, strobes) is on slots of its own, and hands that act at once (blackout, a master by hand, parking) excuse the
//! frame they act in.

use std::sync::Arc;

use engine::light::{GRID, Plan, render};
use engine::show::{FOOTAGE_MAX, MediaInfo, Show, Source, load};
use engine::timecode::{Heard, Source as TimecodeSource};
use engine::told::{Command, Effect, Input, Request};
use engine::{Engine, EngineStart};
use phone::Chance;
use serde::Serialize;
use units::{CommandId, FrameRate, Level, ShowTime, Span, Timecode, Universe};
use wire::capture::{Head, Writer};
use wire::stored::Stored;

use super::feeders::Feeders;

/// The most that a slot may move in a frame: a fade of a second at its steepest (twice the even one: `rise` and
/// `fall`), a master of a second, an effect of a fifth of a cycle a second, and the rounding of each.
pub const STEP_ALLOWED: u8 = 26;

/// Slots of the first universe that only fade.
const SMOOTH: usize = 30;
/// Slots of the second that recordings play over.
const FILMED: usize = 20;
/// Universes: looks and effects, recordings, and what the tape brings.
const UNIVERSES: usize = 3;
/// Frames of the recording: it rises and falls twice, by a step a frame.
const SWELL: i64 = 4 * 255;

/// A frame of all universes.
type Drawn = [[u8; Universe::SLOTS]; UNIVERSES];

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LightReport {
    /// Frames drawn.
    pub frames: u64,
    /// Orders that hands gave.
    pub orders: u64,
    /// The worst step of a slot that only fades, in steps of an octet; [`STEP_ALLOWED`] are allowed.
    pub worst_step: u8,
    /// The slot, counted on through the universes, and milliseconds since the beginning.
    pub worst_at: (usize, u64),
    /// Frames in which the two boxes differed.
    pub differing: u64,
    /// Frames in which anything moved.
    pub moving: u64,
    /// Frames in which the recording over the second universe was seen.
    pub filmed: u64,
    /// Frames in which the one that the tape brings was seen, over the third.
    pub taped: u64,
}

/// Two boxes and a hand.
#[derive(Debug)]
pub struct LightDay {
    boxes: [OneBox; 2],
    begin: ShowTime,
    now: ShowTime,
    next_order: ShowTime,
    chance: Chance,
    excused: bool,
    tape: Tape,
    last: Drawn,
    report: LightReport,
}

#[derive(Debug)]
struct OneBox {
    engine: Engine,
    plan: Arc<Plan>,
    feeders: Feeders,
}

/// A machine that plays timecode, or stands.
#[derive(Debug)]
struct Tape {
    /// When its next frame comes, where in timecode that is, and how many come before it does something else.
    next: ShowTime,
    place: Span,
    left: u32,
}

impl LightDay {
    /// Before the first frame.
    pub fn begin(seed: u64) -> Self {
        let begin = ShowTime::from_ns(1_790_000_000_000_000_000).round_up(GRID);
        let one = |most| OneBox::new(&Arc::new(show(most)), begin);
        Self {
            boxes: [one(FOOTAGE_MAX), one(0)],
            begin,
            now: begin,
            next_order: begin,
            chance: Chance::new(seed.into()),
            excused: true,
            tape: Tape { next: begin, place: Span::ZERO, left: 0 },
            last: [[0; Universe::SLOTS]; UNIVERSES],
            report: LightReport {
                frames: 0,
                orders: 0,
                worst_step: 0,
                worst_at: (0, 0),
                differing: 0,
                moving: 0,
                filmed: 0,
                taped: 0,
            },
        }
    }

    /// So much longer.
    pub fn run(&mut self, span: Span) {
        let end = self.now + span;
        while self.now < end {
            self.frame();
            self.now += GRID;
        }
    }

    /// What came of it so far.
    pub fn report(&self) -> LightReport {
        self.report
    }

    fn frame(&mut self) {
        let now = self.now;
        self.play_tape(now);
        self.boxes[0].wake(now);
        if self.report.frames.is_multiple_of(7) {
            // The other is woken when nothing is due, too, and forgets then.
            self.boxes[1].tell(now, Input::Wake);
        }
        self.boxes[1].wake(now);
        if now >= self.next_order {
            self.order(now);
            self.next_order = now + Span::from_secs_f64(0.05 + 6.0 * self.chance.share());
        }
        let [drawn, other] = [0, 1].map(|index| self.boxes[index].draw(now));
        self.report.differing += u64::from(drawn != other);
        self.report.moving += u64::from(drawn != self.last);
        self.report.filmed += u64::from(drawn[1][0] > 0);
        self.report.taped += u64::from(drawn[2][0] > 0);
        if !std::mem::take(&mut self.excused) {
            self.judge(&drawn);
        }
        self.last = drawn;
        self.report.frames += 1;
    }

    /// The tape's frames up to now, 25 a second.
    fn play_tape(&mut self, now: ShowTime) {
        while self.tape.next <= now {
            if self.tape.left == 0 {
                self.tape.left = 250 + self.one_of(5000) as u32;
                self.tape.place = Span::from_millis(40).times(self.one_of(20_000) as i64);
                // It stands for a while, or goes on at once from somewhere else.
                let stands = self.one_of(8) as i64;
                self.tape.next += Span::from_secs(stands);
                continue;
            }
            let hour = Span::from_secs(3600);
            let clock = Timecode::at(FrameRate::Fps25, hour + self.tape.place).clock();
            let at = self.tape.next;
            for it in &mut self.boxes {
                it.wake(at);
                let heard = Heard::Frame { clock, drops: false, count: Some(25), at };
                it.tell(at, Input::Timecode { source: TimecodeSource::Ltc, heard });
            }
            self.tape.left -= 1;
            self.tape.place += Span::from_millis(40);
            self.tape.next += Span::from_millis(40);
        }
    }

    fn judge(&mut self, drawn: &Drawn) {
        let last = self.last;
        let dark = |slot: &usize| {
            dimmer_of(*slot).is_some_and(|dimmer| last[0][dimmer] == 0 || drawn[0][dimmer] == 0)
        };
        let looks = (0..SMOOTH).filter(|slot| !is_fine(*slot) && !dark(slot));
        let both = looks.map(|slot| (0, slot)).chain((0..FILMED).map(|slot| (1, slot)));
        for (universe, slot) in both {
            let step = drawn[universe][slot].abs_diff(last[universe][slot]);
            if step > self.report.worst_step {
                let ms = (self.now - self.begin).ns() / 1_000_000;
                let slot = universe * Universe::SLOTS + slot + 1;
                (self.report.worst_step, self.report.worst_at) = (step, (slot, ms as u64));
            }
        }
    }

    fn order(&mut self, now: ShowTime) {
        let command = self.draw_order();
        // What acts at once may step.
        self.excused |= matches!(
            command,
            Command::Master { .. }
                | Command::Blackout { .. }
                | Command::Park { .. }
                | Command::Unpark { .. }
        );
        self.report.orders += 1;
        let id = CommandId(self.report.orders.to_string());
        let request = Request { id, command, from: "hand".to_owned() };
        self.boxes.iter_mut().for_each(|it| it.ask(now, &request));
    }

    fn draw_order(&mut self) -> Command {
        let list = ["main", "over", "beside", "sharp", "film"][self.one_of(5)].to_owned();
        let cues = ["1", "2", "4", "6", "101", "103", "201", "302", "303", "401", "402"];
        let cue = cues[self.one_of(cues.len())].parse().expect("a cue number");
        match self.one_of(40) {
            0..=17 => Command::Go { list: Some(list) },
            18..=21 => Command::Release { list: Some(list) },
            22..=25 => Command::Goto { cue },
            26..=29 => Command::Fire { cue },
            30 => Command::Stop,
            31 => Command::Panic,
            32 | 33 => Command::Pause,
            34 | 35 => Command::Resume,
            36 => Command::Blackout { on: self.one_of(3) == 0 },
            37 => {
                let master = ["grand", "front"][self.one_of(2)].to_owned();
                let level = Level::from_percent(50.0 + 50.0 * self.chance.share());
                Command::Master { master, level: level.expect("in range") }
            }
            38 => {
                let what = ["a", "d.red", "1/20", "e"][self.one_of(4)].to_owned();
                Command::Park { what, level: Some(Level::ONE_STEP) }
            }
            _ => Command::Unpark { what: None },
        }
    }

    fn one_of(&mut self, count: usize) -> usize {
        ((self.chance.share() * count as f64) as usize).min(count - 1)
    }
}

/// The slot that dims what is on this one: in the dark colours and movers are at their goal at once.
fn dimmer_of(slot: usize) -> Option<usize> {
    match slot {
        6..=9 => Some(5),
        10..=13 | 15..=17 => Some(14),
        _ => None,
    }
}

/// The fine slots of pan and tilt of the mover at 11: they run over whenever the coarse ones step.
fn is_fine(slot: usize) -> bool {
    slot == 11 || slot == 13
}

impl OneBox {
    fn new(show: &Arc<Show>, now: ShowTime) -> Self {
        let start = EngineStart { now, tai_utc: Span::from_secs(37), chance: 1 };
        let engine = Engine::new(show.clone(), start);
        let mut it = Self { engine, plan: Arc::default(), feeders: Feeders::default() };
        it.watch();
        it
    }

    fn wake(&mut self, now: ShowTime) {
        while let Some((at, _)) = self.engine.next_wake().filter(|(at, _)| *at <= now) {
            self.tell(at, Input::Wake);
        }
    }

    fn tell(&mut self, now: ShowTime, input: Input) {
        self.engine.handle(now, input);
        self.watch();
    }

    fn ask(&mut self, now: ShowTime, request: &Request) {
        // A refusal (GO in a pause) is as good an answer as any.
        let _ = self.engine.command(now, request);
        self.watch();
    }

    fn watch(&mut self) {
        while let Some(effect) = self.engine.poll() {
            if let Effect::Light(plan) = effect {
                self.feeders.play(&plan);
                self.plan = plan;
            }
        }
    }

    fn draw(&mut self, now: ShowTime) -> Drawn {
        let mut drawn = [[0; Universe::SLOTS]; UNIVERSES];
        self.feeders.feed(&self.plan, now);
        for (plan, slots) in self.plan.universes.iter().zip(&mut drawn) {
            render(plan, self.plan.shown(now), slots);
        }
        drawn
    }
}

/// The show file, the recording beside it, and what that may take in memory.
struct Text {
    most: usize,
}

impl Source for Text {
    fn text(&self, _: &str) -> Result<String, String> {
        Ok(include_str!("light_day.toml").to_owned())
    }
    fn media(&self, _: &str) -> Result<MediaInfo, String> {
        Err("there is no sound".to_owned())
    }
    fn capture(&self, _: &str) -> Result<Arc<dyn Stored>, String> {
        Ok(Arc::new(swell()))
    }
    fn footage_max(&self) -> usize {
        self.most
    }
}

/// Every slot rises and falls, each a little later than the one before.
fn swell() -> Vec<u8> {
    let one = Universe::new(1).expect("in range");
    let head = Head { title: "Swell".into(), began: ShowTime::ZERO, universes: vec![one] };
    let mut bytes = Vec::new();
    let mut writer = Writer::new(head, &mut bytes);
    for frame in 0..SWELL {
        let slots =
            std::array::from_fn(|slot| ((frame + slot as i64) % 510 - 255).unsigned_abs() as u8);
        writer.frame(ShowTime::ZERO + GRID.times(frame), one, &slots, &mut bytes);
    }
    writer.mark(ShowTime::ZERO + GRID.times(SWELL), &mut bytes);
    bytes
}

fn show(most: usize) -> Show {
    let loaded = load("show.toml", &Text { most });
    let said: Vec<String> = loaded.findings.iter().map(ToString::to_string).collect();
    loaded.show.unwrap_or_else(|| panic!("{}", said.join("\n")))
}
