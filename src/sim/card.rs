//! A sound card on a desk: a crystal that is off by so much, stamps that tremble, and every sample it played.
//!
//! In: plans, as a real card gets them, and the time it is. Out: samples and [`Input::SoundBegan`].
//! Never: real time; the same calls give the same samples.

use std::sync::Arc;

use engine::clock::Overlay;
use engine::order::Evidence;
use engine::sound::{Debuts, Pcm, Plan, Renderer, Servo, ServoState, Stamp};
use engine::told::Input;
use units::{MonoTime, Ppm, ShowTime, Span};

/// Periods that a card holds ready, as the real one does.
const PERIODS: i64 = 3;
/// How long it has been running when the desk's time begins, so that its servo has settled.
const WARM_UP: Span = Span::from_secs(20);

/// What kind of card.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CardSpec {
    /// What it calls its rate.
    pub rate_hz: u32,
    /// Channels of its output.
    pub channels: u16,
    /// How much faster than it says it runs.
    pub crystal: Ppm,
    /// How often it asks for samples.
    pub period: Span,
    /// Its stamps are off by up to this, either way.
    pub jitter: Span,
    /// Where its chance begins.
    pub seed: u64,
}

impl Default for CardSpec {
    /// A perfect stereo card at 48 kHz.
    fn default() -> Self {
        Self {
            rate_hz: 48_000,
            channels: 2,
            crystal: Ppm(0.0),
            period: Span::from_millis(5),
            jitter: Span::ZERO,
            seed: 1,
        }
    }
}

/// A simulated card.
#[derive(Debug, Clone)]
pub struct SimCard {
    spec: CardSpec,
    renderer: Renderer,
    servo: Servo,
    debuts: Debuts,
    plan: Arc<Plan>,
    crystal: Crystal,
    /// Frames asked for and rendered since the crystal began.
    written: i64,
    period: i64,
    /// When it may be heard from on.
    begin: ShowTime,
    block: Vec<f32>,
    samples: Vec<f32>,
    reports: Vec<Input>,
    chance: u64,
}

/// What only the world knows: when each frame is truly heard.
#[derive(Debug, Clone, Copy)]
struct Crystal {
    frame_0: ShowTime,
    frame_ns: f64,
}

impl Crystal {
    fn heard(&self, frame: i64) -> ShowTime {
        self.frame_0 + Span::from_ns((frame as f64 * self.frame_ns).round() as i64)
    }
}

impl SimCard {
    /// A card that has been running in silence for a while; what it plays is kept from `begin` on.
    pub fn new(spec: CardSpec, media: Arc<[Pcm]>, begin: ShowTime) -> Self {
        let frame_ns = 1e9 / f64::from(spec.rate_hz) / spec.crystal.ratio();
        let period = ((spec.period.ns() as f64 / frame_ns).round() as i64).max(1);
        let renderer = Renderer::new(media, spec.rate_hz, spec.channels);
        let mut card = Self {
            spec,
            servo: Servo::new(spec.rate_hz),
            debuts: Debuts::default(),
            plan: Arc::default(),
            crystal: Crystal { frame_0: begin - WARM_UP, frame_ns },
            written: 0,
            period,
            begin,
            block: vec![0.0; period as usize * renderer.channels()],
            samples: Vec::new(),
            reports: Vec::new(),
            chance: spec.seed.wrapping_mul(2).wrapping_add(1),
            renderer,
        };
        card.run_until(begin - card.lead());
        card
    }

    /// How far ahead it must know what it plays.
    pub fn lead(&self) -> Span {
        self.spec.period.times(PERIODS + 1)
    }

    /// From the next block on it plays this.
    pub fn play(&mut self, plan: Arc<Plan>) {
        self.plan = plan;
    }

    /// Lets the time come; gives what began to be heard meanwhile.
    pub fn run_until(&mut self, now: ShowTime) -> Vec<Input> {
        while self.crystal.heard(self.written - PERIODS * self.period) <= now {
            self.fill();
        }
        std::mem::take(&mut self.reports)
    }

    /// When the first of the samples was heard: at `begin`, or less than a frame later.
    pub fn began(&self) -> ShowTime {
        let ahead = (self.begin - self.crystal.frame_0).ns() as f64 / self.crystal.frame_ns;
        self.crystal.heard(ahead.round() as i64)
    }

    /// Everything that it has been given to play, interleaved.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// The samples since the last time this was asked.
    pub fn take_samples(&mut self) -> Vec<f32> {
        std::mem::take(&mut self.samples)
    }

    /// Whether its servo has show time on it.
    pub fn state(&self) -> ServoState {
        self.servo.state()
    }

    /// One period: a stamp, a block, and what it tells.
    fn fill(&mut self) {
        let heard = self.written - PERIODS * self.period;
        if heard >= 0 {
            let at = self.mono(heard) + self.tremble();
            self.servo.stamp(Stamp { frame: heard, at });
        }
        self.render();
        self.report(heard);
        self.keep();
        self.written += self.period;
    }

    fn render(&mut self) {
        let frames = self.period as usize;
        match self.servo.next(self.written, frames, |mono| desk().show(mono)) {
            Some(grid) => {
                self.renderer.render(&self.plan, grid, &mut self.block);
                self.debuts.note(&self.plan, grid, self.written, frames);
            }
            None => self.block.fill(0.0),
        }
    }

    fn report(&mut self, heard: i64) {
        while let Some((voice, frame)) = self.debuts.poll(heard) {
            let (at, evidence) = (self.crystal.heard(frame), Evidence::Simulated);
            self.reports.push(Input::SoundBegan { voice, at, evidence });
        }
    }

    fn keep(&mut self) {
        let begin = (self.begin - self.crystal.frame_0).ns() as f64 / self.crystal.frame_ns;
        let skip = (begin.round() as i64 - self.written).clamp(0, self.period) as usize;
        self.samples.extend_from_slice(&self.block[skip * self.renderer.channels()..]);
    }

    fn mono(&self, frame: i64) -> MonoTime {
        desk().mono(self.crystal.heard(frame))
    }

    fn tremble(&mut self) -> Span {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let share = (self.chance >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
        Span::from_ns((share * self.spec.jitter.ns() as f64).round() as i64)
    }
}

/// On a desk the monotonic clock and show time are one.
fn desk() -> Overlay {
    Overlay::new(MonoTime::ZERO, ShowTime::ZERO, Ppm(0.0))
}
