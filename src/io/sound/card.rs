//! A card's two threads.
//!
//! The *card thread* renders: it waits for the card, reads its stamp, draws a block by the latest plan and hands it on.
//! While a card is open it neither allocates, locks, logs nor waits for anybody else; plans come through a queue and
//! go back through another, so that nothing is freed here. Between cards (unplugged, busy) it opens one again.
//! The *keeper* stands beside it: hands reports to the engine, writes the log, keeps the glance, frees old plans.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use engine::order::Evidence;
use engine::sound::{Debuts, Pcm, Plan, Renderer, Servo, ServoState, Taken};
use engine::told::Input;
use rtrb::{Consumer, Producer, RingBuffer};
use serde::Serialize;
use units::{Ppm, ShowTime, Span, VoiceId};

use super::output::{CardError, Facts, Fault, Output};
use super::realtime;
use super::simulated::Simulated;
use crate::clock::BoxClock;

/// Plans on their way. The card thread takes all of them every few milliseconds.
const PLANS_MAX: usize = 256;
/// Reports on their way: a burst of every voice that can wait, several times over.
const EVENTS_MAX: usize = 512;
/// From one glance to the next.
const GLANCE: Span = Span::from_millis(100);
/// After a failed opening: short enough that a card plugged in again is back before anyone finds the cable.
const RETRY: Duration = Duration::from_millis(250);
/// The keeper looks so often, when nobody wakes it.
const KEEP: Duration = Duration::from_millis(100);

/// Which card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// The system's own choice.
    Default,
    /// By the name that ALSA has for it: `hw:CARD=Device`, `plughw:1`, or one of `asound.conf`.
    Named(String),
    /// None: time passes, reports are made, nobody hears it.
    Simulated,
}

/// How much a card holds ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// From one block to the next.
    pub period: Span,
    /// How many blocks.
    pub periods: u32,
}

impl Default for Buffer {
    /// 20 ms: what a small board bears without a real-time kernel.
    fn default() -> Self {
        Self { period: Span::from_millis(5), periods: 4 }
    }
}

/// What a card is to be.
pub struct CardSetup {
    /// Which.
    pub device: Device,
    /// Channels of its output.
    pub channels: u16,
    /// Frames a second; the nearest that it can do is taken.
    pub rate_hz: u32,
    /// Every file of the show, in the order of [`engine::show::MediaId`].
    pub media: Arc<[Pcm]>,
    /// The box clock.
    pub clock: BoxClock,
    /// Takes [`Input::SoundLead`] and [`Input::SoundBegan`]; called on the keeper's thread.
    pub report: Box<dyn FnMut(Input) + Send>,
}

/// Opens a card, each time it is asked.
type Opener = Box<dyn FnMut() -> Result<Box<dyn Output>, CardError> + Send>;

/// What opening a card needs to know.
#[derive(Debug, Clone)]
pub(super) struct Want {
    pub(super) device: Device,
    pub(super) channels: u16,
    pub(super) rate_hz: u32,
    pub(super) buffer: Buffer,
}

/// What watchers see of a card.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CardGlance {
    /// Its name; `simulated` where there is none.
    pub name: String,
    /// Whether it is open.
    pub open: bool,
    /// Frames a second, by its own word.
    pub rate_hz: u32,
    /// Channels.
    pub channels: u16,
    /// How far ahead it must know what it plays.
    #[serde(rename = "lead_ns")]
    pub lead: Span,
    /// How often it ran dry or lost its place since the start.
    pub gaps: u64,
    /// Whether show time is on it.
    pub state: ServoState,
    /// Where its sound is at most from where show time says, with 95 % certainty; none while nobody can tell.
    #[serde(rename = "error_ns")]
    pub error: Option<Span>,
    /// How much faster than the machine's clock it runs; none while nobody can tell.
    #[serde(rename = "drift_ppm")]
    pub drift: Option<Ppm>,
    /// Why it is not open, as a sentence; none while it is.
    pub trouble: Option<String>,
}

/// A card that plays. Dropping it fades its sound out and closes it.
pub struct Card {
    plans: Producer<Arc<Plan>>,
    stop: Arc<AtomicBool>,
    glance: Arc<Mutex<CardGlance>>,
    threads: Option<(JoinHandle<()>, JoinHandle<()>)>,
}

impl Card {
    /// Opens a card, or says why not. Once it has been open it is opened again whenever it comes back.
    pub fn start(setup: CardSetup) -> Result<Self, CardError> {
        Self::start_with(setup, Buffer::default())
    }

    /// The same with another buffer.
    pub fn start_with(setup: CardSetup, buffer: Buffer) -> Result<Self, CardError> {
        let CardSetup { device, channels, rate_hz, media, clock, report } = setup;
        let want = Want { device, channels, rate_hz, buffer };
        let given = clock.clone();
        Self::start_on(Box::new(move || open(&want, given.clone())), media, clock, report)
    }

    fn start_on(
        opener: Opener,
        media: Arc<[Pcm]>,
        clock: BoxClock,
        report: Box<dyn FnMut(Input) + Send>,
    ) -> Result<Self, CardError> {
        let (plans, new_plans) = RingBuffer::new(PLANS_MAX);
        let (old_plans, to_free) = RingBuffer::new(PLANS_MAX);
        let (events, told) = RingBuffer::new(EVENTS_MAX);
        let (opened, first) = mpsc::sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let card = spawn("sound", move || {
            let (plan, telling) = (Arc::default(), Telling { events, keeper: None });
            let desk = Desk {
                opener,
                media,
                clock,
                plan,
                new_plans,
                old_plans,
                telling,
                stopped,
                gaps: 0,
            };
            desk.run(&opened);
        });
        let (facts, named) = first.recv().expect("the card thread tells how it opened")?;
        let glance = Arc::new(Mutex::new(CardGlance::new(&facts)));
        let keeper = Keeper { told, to_free, report, glance: glance.clone(), audible: true };
        let keeper = spawn("sound-keeper", move || keeper.run());
        named.send(keeper.thread().clone()).expect("the card thread waits for its keeper");
        Ok(Self { plans, stop, glance, threads: Some((card, keeper)) })
    }

    /// From its next block on it plays this.
    pub fn play(&mut self, plan: Arc<Plan>) {
        if self.plans.push(plan).is_err() {
            tracing::error!("the card thread takes no plans: sound is not what the show says");
        }
    }

    /// How it is.
    pub fn glance(&self) -> CardGlance {
        self.glance.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fades out what sounds, and closes it.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some((card, keeper)) = self.threads.take() {
            card.thread().unpark();
            let ended = card.join();
            keeper.thread().unpark();
            if ended.and(keeper.join()).is_err() {
                tracing::error!("a sound thread had panicked");
            }
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name.into()).spawn(run).expect("the system gives a thread")
}

/// What the card thread tells its keeper. The first two may hold words: no card is open when they are made.
enum Event {
    Opened(Facts),
    Shut(CardError),
    Began { voice: VoiceId, at: ShowTime, evidence: Evidence },
    Gap,
    Glance { state: ServoState, error: Option<Span>, drift: Option<Ppm>, gaps: u64 },
}

struct Telling {
    events: Producer<Event>,
    keeper: Option<Thread>,
}

impl Telling {
    fn tell(&mut self, event: Event) {
        // Full only where the keeper stands still; sound goes before reports.
        let _ = self.events.push(event);
        self.keeper.iter().for_each(Thread::unpark);
    }
}

/// The card thread's own.
struct Desk {
    opener: Opener,
    media: Arc<[Pcm]>,
    clock: BoxClock,
    plan: Arc<Plan>,
    new_plans: Consumer<Arc<Plan>>,
    old_plans: Producer<Arc<Plan>>,
    telling: Telling,
    stopped: Arc<AtomicBool>,
    gaps: u64,
}

type Opened = Result<(Facts, mpsc::SyncSender<Thread>), CardError>;

impl Desk {
    fn run(mut self, opened: &mpsc::SyncSender<Opened>) {
        let mut output = match (self.opener)() {
            Ok(output) => output,
            Err(error) => {
                // Whoever started us hears it, or has gone.
                let _ = opened.send(Err(error));
                return;
            }
        };
        let (keeper, named) = mpsc::sync_channel(1);
        let _ = opened.send(Ok((output.facts().clone(), keeper)));
        let Ok(keeper) = named.recv() else { return };
        self.telling.keeper = Some(keeper);
        realtime::ask();
        let mut debuts = Debuts::default();
        loop {
            self.telling.tell(Event::Opened(output.facts().clone()));
            let Some(error) = self.play(&mut *output, &mut debuts) else { return };
            drop(output);
            self.telling.tell(Event::Shut(error));
            let Some(again) = self.reopen() else { return };
            output = again;
        }
    }

    /// Tries until a card is there; none when it is time to stop.
    fn reopen(&mut self) -> Option<Box<dyn Output>> {
        let mut said: Option<CardError> = None;
        while !self.stopped.load(Ordering::Relaxed) {
            self.take_plans();
            match (self.opener)() {
                Ok(output) => return Some(output),
                Err(error) if said.as_ref() != Some(&error) => {
                    self.telling.tell(Event::Shut(error.clone()));
                    said = Some(error);
                }
                Err(_) => {}
            }
            thread::park_timeout(RETRY);
        }
        None
    }

    /// Plays until the card is lost; none when it is time to stop.
    fn play(&mut self, output: &mut dyn Output, debuts: &mut Debuts) -> Option<CardError> {
        let facts = output.facts().clone();
        let mut side = Side::new(&facts, self.media.clone());
        debuts.lose();
        loop {
            self.take_plans();
            if self.stopped.load(Ordering::Relaxed) {
                self.fade_out(output, &mut side);
                return None;
            }
            match self.turn(output, &mut side, debuts) {
                Ok(()) => {}
                Err(Fault::Dry) => self.gap(&mut side, debuts),
                Err(Fault::Lost(error)) => return Some(error),
            }
        }
    }

    /// One block.
    fn turn(
        &mut self,
        output: &mut dyn Output,
        side: &mut Side,
        debuts: &mut Debuts,
    ) -> Result<(), Fault> {
        if let Some(stamp) = output.wait()? {
            if side.servo.stamp(stamp) == Taken::Gap {
                self.gap(side, debuts);
            }
            while let Some((voice, frame)) = debuts.poll(stamp.frame) {
                self.began(side, voice, frame);
            }
        }
        side.render(&self.plan, output.written(), &self.clock, Some(debuts));
        output.write(&side.block)?;
        self.look(side, output.facts());
        Ok(())
    }

    fn began(&mut self, side: &Side, voice: VoiceId, frame: i64) {
        if let Some(at) = side.servo.heard(frame) {
            let (at, evidence) = (self.clock.show(at), side.evidence);
            self.telling.tell(Event::Began { voice, at, evidence });
        }
    }

    fn gap(&mut self, side: &mut Side, debuts: &mut Debuts) {
        side.servo.lose();
        debuts.lose();
        self.gaps += 1;
        self.telling.tell(Event::Gap);
    }

    fn look(&mut self, side: &mut Side, facts: &Facts) {
        side.unseen += facts.period;
        if side.unseen < side.look_every {
            return;
        }
        side.unseen = 0;
        let (state, error, drift) = (side.servo.state(), side.servo.error(), side.servo.drift());
        self.telling.tell(Event::Glance { state, error, drift, gaps: self.gaps });
    }

    /// The last block goes down to silence, so that an exit does not click.
    fn fade_out(&mut self, output: &mut dyn Output, side: &mut Side) {
        if output.wait().is_err() {
            return;
        }
        side.render(&self.plan, output.written(), &self.clock, None);
        let channels = side.renderer.channels();
        let frames = side.block.len() / channels;
        for (frame, samples) in side.block.chunks_mut(channels).enumerate() {
            let gain = 1.0 - (frame + 1) as f32 / frames as f32;
            samples.iter_mut().for_each(|sample| *sample *= gain);
        }
        if output.write(&side.block).is_ok() {
            output.drain();
        }
    }

    /// The latest plan counts; the others go back to be freed, as far as there is room.
    fn take_plans(&mut self) {
        while !self.old_plans.is_full() {
            let Ok(plan) = self.new_plans.pop() else { return };
            let old = std::mem::replace(&mut self.plan, plan);
            // There is room: only this thread puts plans here.
            let _ = self.old_plans.push(old);
        }
    }
}

/// What belongs to one opening of a card.
struct Side {
    renderer: Renderer,
    servo: Servo,
    block: Vec<f32>,
    evidence: Evidence,
    /// Frames since the last glance.
    unseen: usize,
    look_every: usize,
}

impl Side {
    fn new(facts: &Facts, media: Arc<[Pcm]>) -> Self {
        Self {
            renderer: Renderer::new(media, facts.rate_hz, facts.channels),
            servo: Servo::new(facts.rate_hz),
            block: vec![0.0; facts.period * usize::from(facts.channels)],
            evidence: facts.evidence,
            unseen: 0,
            look_every: (GLANCE.secs_f64() * f64::from(facts.rate_hz)) as usize,
        }
    }

    /// Draws the block that begins with the card's frame `first`; silence while nobody knows when it is heard.
    fn render(&mut self, plan: &Plan, first: i64, clock: &BoxClock, debuts: Option<&mut Debuts>) {
        let frames = self.block.len() / self.renderer.channels();
        let Some(grid) = self.servo.next(first, frames, |mono| clock.show(mono)) else {
            return self.block.fill(0.0);
        };
        self.renderer.render(plan, grid, &mut self.block);
        if let Some(debuts) = debuts {
            debuts.note(plan, grid, first, frames);
        }
    }
}

fn open(want: &Want, clock: BoxClock) -> Result<Box<dyn Output>, CardError> {
    #[cfg(target_os = "linux")]
    let card = |name| {
        super::alsa::AlsaCard::open(name, want, clock.clone())
            .map(|it| Box::new(it) as Box<dyn Output>)
    };
    #[cfg(not(target_os = "linux"))]
    let card = |name| {
        super::cpal::CpalCard::open(name, want, clock.clone())
            .map(|it| Box::new(it) as Box<dyn Output>)
    };
    match &want.device {
        Device::Simulated => Ok(Box::new(Simulated::open(want, clock.clone()))),
        Device::Default => card("default"),
        Device::Named(name) => card(name),
    }
}

/// The keeper's own.
struct Keeper {
    told: Consumer<Event>,
    to_free: Consumer<Arc<Plan>>,
    report: Box<dyn FnMut(Input) + Send>,
    glance: Arc<Mutex<CardGlance>>,
    /// Whether anybody hears it.
    audible: bool,
}

impl Keeper {
    fn run(mut self) {
        loop {
            while self.to_free.pop().is_ok() {}
            while let Ok(event) = self.told.pop() {
                self.handle(event);
            }
            if self.told.is_abandoned() && self.told.is_empty() {
                return;
            }
            thread::park_timeout(KEEP);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Opened(facts) => {
                self.audible = facts.evidence != Evidence::Simulated;
                tracing::info!(card = %facts.name, rate_hz = facts.rate_hz, "sound card open");
                let gaps = self.see(|glance| glance.gaps);
                self.see(|glance| *glance = CardGlance { gaps, ..CardGlance::new(&facts) });
                (self.report)(Input::SoundLead(facts.lead()));
            }
            Event::Shut(error) => {
                tracing::error!("{error}; it is opened again when it is there");
                self.see(|glance| glance.shut(&error));
            }
            Event::Began { voice, at, evidence } => {
                (self.report)(Input::SoundBegan { voice, at, evidence });
            }
            Event::Gap if self.audible => tracing::warn!("the sound card ran dry: a gap was heard"),
            Event::Gap => tracing::debug!("the simulated card ran dry"),
            Event::Glance { state, error, drift, gaps } => self.see(|glance| {
                (glance.state, glance.error, glance.drift) = (state, error, drift);
                glance.gaps = gaps;
            }),
        }
    }

    fn see<T>(&self, look: impl FnOnce(&mut CardGlance) -> T) -> T {
        look(&mut self.glance.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl CardGlance {
    fn new(facts: &Facts) -> Self {
        Self {
            name: facts.name.clone(),
            open: true,
            rate_hz: facts.rate_hz,
            channels: facts.channels,
            lead: facts.lead(),
            gaps: 0,
            state: ServoState::Settling,
            error: None,
            drift: None,
            trouble: None,
        }
    }

    fn shut(&mut self, error: &CardError) {
        self.open = false;
        self.trouble = Some(error.to_string());
        (self.state, self.error, self.drift) = (ServoState::Settling, None, None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use engine::show::{Loops, MediaId, MediaInfo, SoundCue};
    use engine::sound::{Playback, Stamp, Start};
    use units::{Decibels, MonoTime};

    use super::*;

    const RATE: u32 = 48_000;
    const PERIOD: usize = 240;
    const HELD: i64 = 4 * PERIOD as i64;
    /// Blocks that a stub card needs before its servo lets sound begin.
    const SETTLED: usize = 100;

    /// What happens to the stub card next.
    enum Turn {
        Block,
        Dry,
        Unplugged,
    }

    /// A card whose time passes by the turns that a test gives it.
    struct StubCard {
        facts: Facts,
        turns: Arc<Mutex<Receiver<Turn>>>,
        heard: Sender<(MonoTime, f32)>,
        start: MonoTime,
        written: i64,
    }

    impl StubCard {
        fn at(&self, frame: i64) -> MonoTime {
            self.start + Span::from_ns(frame * 1_000_000_000 / i64::from(RATE))
        }
    }

    impl Output for StubCard {
        fn facts(&self) -> &Facts {
            &self.facts
        }
        fn wait(&mut self) -> Result<Option<Stamp>, Fault> {
            let turn = self.turns.lock().expect("one thread at a time").recv();
            match turn {
                Ok(Turn::Block) => {
                    let frame = self.written - HELD;
                    Ok((frame >= 0).then_some(Stamp { frame, at: self.at(frame) }))
                }
                Ok(Turn::Dry) => {
                    self.start += Span::from_millis(50);
                    Err(Fault::Dry)
                }
                Ok(Turn::Unplugged) | Err(_) => Err(Fault::Lost(gone())),
            }
        }
        fn write(&mut self, block: &[f32]) -> Result<(), Fault> {
            for (frame, sample) in (self.written..).zip(block) {
                // The test may have seen enough.
                let _ = self.heard.send((self.at(frame), *sample));
            }
            self.written += PERIOD as i64;
            Ok(())
        }
        fn written(&self) -> i64 {
            self.written
        }
        fn drain(&mut self) {}
    }

    fn gone() -> CardError {
        CardError::Gone { card: "stub".into(), why: "unplugged".into() }
    }

    /// A card, and everything that a test does to it and hears from it.
    ///
    /// The turns end first: a card that waits for one would never close.
    struct Bench {
        turns: Sender<Turn>,
        card: Card,
        heard: Receiver<(MonoTime, f32)>,
        reports: Receiver<Input>,
        clock: BoxClock,
        begin: ShowTime,
    }

    impl Bench {
        /// The card's time begins with the clock's; after an unplugging it is a second later, after one failed try.
        fn new() -> Self {
            let (clock, (turns, given)) = (BoxClock::free(), channel());
            let ((heard, hear), (report, reports)) = (channel(), channel());
            let (start, given) = (clock.mono_now(), Arc::new(Mutex::new(given)));
            let mut opened = 0;
            let opener = move || {
                opened += 1;
                if opened == 2 {
                    return Err(CardError::Busy { card: "stub".into() });
                }
                let facts = Facts {
                    name: "stub".into(),
                    rate_hz: RATE,
                    channels: 1,
                    period: PERIOD,
                    buffer: HELD as usize,
                    evidence: Evidence::Dac,
                };
                let start = start + Span::from_secs(opened - 1);
                let (turns, heard) = (given.clone(), heard.clone());
                Ok(Box::new(StubCard { facts, turns, heard, start, written: 0 }) as Box<dyn Output>)
            };
            let slope = (0..60 * RATE).map(|n| n as f32 / (60 * RATE) as f32).collect();
            let media = [Pcm::new(RATE, vec![slope])].into();
            let report = Box::new(move |input| report.send(input).expect("the test listens"));
            let card =
                Card::start_on(Box::new(opener), media, clock.clone(), report).expect("it opens");
            let begin = clock.show(start);
            Self { turns, card, heard: hear, reports, clock, begin }
        }
        fn turn(&self, times: usize, turn: impl Fn() -> Turn) {
            (0..times).for_each(|_| self.turns.send(turn()).expect("the card waits"));
        }
        fn blocks(&self, times: usize) -> Vec<(MonoTime, f32)> {
            self.turn(times, || Turn::Block);
            self.heard.iter().take(times * PERIOD).collect()
        }
        fn report(&self) -> Input {
            self.reports.recv_timeout(Duration::from_secs(20)).expect("a report comes")
        }
        /// A minute's slope from the beginning on.
        fn play(&mut self) {
            let info = MediaInfo {
                sha256: String::new(),
                bytes: 0,
                rate_hz: RATE,
                channels: 1,
                frames: u64::from(60 * RATE),
            };
            let cue = SoundCue {
                media: MediaId(0),
                volume: Decibels::UNITY,
                loops: Loops::Times(1),
                fade_in: Span::ZERO,
                fade_out: Span::ZERO,
                offset: Span::ZERO,
                routes: Vec::new(),
            };
            let mut playback = Playback::new();
            playback.start(&Start { id: VoiceId(1), at: self.begin, cue: &cue, info: &info });
            self.card.play(playback.plan());
        }
        /// How far a sample is from the place that show time says, in frames.
        fn off(&self, (at, sample): (MonoTime, f32)) -> f64 {
            let place = (self.clock.show(at) - self.begin).secs_f64() * f64::from(RATE);
            f64::from(sample) * f64::from(60 * RATE) - place
        }
    }

    #[test]
    fn a_card_that_was_unplugged_goes_on_at_the_place_that_show_time_has_reached() {
        let mut bench = Bench::new();
        assert!(matches!(bench.report(), Input::SoundLead(lead) if lead > Span::from_millis(25)));
        bench.play();
        let heard = bench.blocks(2 * SETTLED);
        assert!(heard[PERIOD * SETTLED..].iter().all(|it| bench.off(*it).abs() < 1.0));
        assert!(matches!(bench.report(), Input::SoundBegan { evidence: Evidence::Dac, .. }));
        bench.turn(1, || Turn::Unplugged);
        assert!(matches!(bench.report(), Input::SoundLead(_)));
        let heard = bench.blocks(2 * SETTLED);
        assert!(heard[PERIOD * SETTLED..].iter().all(|it| bench.off(*it).abs() < 1.0));
        assert!(bench.card.glance().open && bench.card.glance().trouble.is_none());
        assert!(bench.reports.try_recv().is_err(), "a voice begins once");
    }

    #[test]
    fn a_card_that_ran_dry_is_back_on_show_time_and_the_gap_is_counted() {
        let mut bench = Bench::new();
        bench.report();
        bench.play();
        bench.blocks(SETTLED);
        bench.turn(1, || Turn::Dry);
        let heard = bench.blocks(2 * SETTLED);
        assert!(heard[..PERIOD].iter().all(|(_, sample)| *sample == 0.0));
        assert!(heard[PERIOD * SETTLED..].iter().all(|it| bench.off(*it).abs() < 1.0));
        assert_eq!(bench.card.gaps_when_seen(), 1);
    }

    #[test]
    fn a_card_that_cannot_be_opened_says_why_at_once() {
        let report = Box::new(|_| {});
        let refused = Card::start_on(Box::new(|| Err(gone())), [].into(), BoxClock::free(), report);
        assert_eq!(refused.err(), Some(gone()));
    }

    impl Card {
        /// The count, once the keeper has seen a gap.
        fn gaps_when_seen(&self) -> u64 {
            let (tries, mut gaps) = (2_000, 0);
            for _ in 0..tries {
                gaps = self.glance().gaps;
                if gaps > 0 {
                    break;
                }
                thread::park_timeout(Duration::from_millis(5));
            }
            gaps
        }
    }
}
