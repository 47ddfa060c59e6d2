//! A phone of a crowd that listens to live sound: the page's core on a real peer connection, and a sound card whose
//! crystal is known.
//!
//! In: a phone that has called. Out: when each chunk would have left its loudspeaker, by the machine's clock. Never:
//! samples. Its clock is asked by the channel `time` alone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use phone::{Act, Chance, Channel, Core, Event, Guard, NetTime, OutputStamp, Start};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;
use units::{MonoTime, Ppm, Span};
use wire::sealed::{self, ShowKey};
use wire::solusync::{MediaCodec, SealTrouble};

use crate::caller::{CallError, Caller};
use crate::mono_now;
use crate::native::NativeError;

/// A chunk, as it would have been heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// By which phone.
    pub phone: u64,
    /// Its place in the track.
    pub index: u64,
    /// When its first sample would have left, by the machine's clock.
    pub at: MonoTime,
    /// It came after that: an echo of the one before was heard in its place.
    pub is_late: bool,
}

/// Crystals of phones and of their sound cards, either way.
const SKEW_MAX: Ppm = Ppm(50.0);
/// Chromium's, on a page that is not isolated.
const PAGE_STEP: Span = Span::from_micros(100);
/// A page's script begins a while after its clock.
const PAGE_BEGINS: Span = Span::from_secs(5);
/// `currentTime` moves in blocks of 128 frames at 48 kHz.
const BLOCK_SECS: f64 = 128.0 / 48_000.0;
/// From made to heard.
const LATENCY_SECS: f64 = 0.010;
/// The page looks at its context as often.
const LOOK: Duration = Duration::from_millis(250);
/// A browser's timer never rings at once.
const TIMER: Duration = Duration::from_millis(1);

struct Phone {
    core: Core,
    ear: Ear,
    began: MonoTime,
    page: Ppm,
    card: Ppm,
    number: u64,
    heard: UnboundedSender<Heard>,
}

/// What a native phone has to hear sealed sound with: the key of its token, and what it has heard. `sealed.js` does the
/// same in the page, by the same vectors.
#[derive(Debug, Default)]
pub struct Ear {
    key: Option<ShowKey>,
    guard: Guard,
}

impl Ear {
    /// With the key that its token carries; none without one.
    pub fn new(key: Option<ShowKey>) -> Self {
        Self { key, guard: Guard::default() }
    }

    /// What was said on `media`, as it is once it has been opened.
    ///
    /// # Errors
    /// Why it is not to be heard.
    pub fn open(&mut self, now: NetTime, text: &str) -> Result<String, SealTrouble> {
        match (&self.key, sealed::is_sealed(text)) {
            (None, false) => Ok(text.to_owned()),
            (None, true) => Err(SealTrouble::NoToken),
            (Some(_), false) => Err(SealTrouble::Unsealed),
            (Some(key), true) => {
                let piece = sealed::parse(text).map_err(|_| SealTrouble::Changed)?;
                if piece.key != io::seal::name(key) {
                    return Err(SealTrouble::OtherKey);
                }
                let octets = io::seal::open(key, &piece).ok_or(SealTrouble::Changed)?;
                let is_new = self.guard.admit(now, &piece);
                is_new.then(|| piece.opened(&octets)).ok_or(SealTrouble::Replayed)
            }
        }
    }
}

/// Listens for as long as somebody takes what it hears. `number` makes it another phone than its neighbours, and `ear`
/// opens what comes sealed.
///
/// # Errors
/// [`CallError::Native`] once the connection is lost.
pub async fn listen(
    caller: &Caller,
    (number, ear): (u64, Ear),
    heard: UnboundedSender<Heard>,
) -> Result<(), CallError> {
    let native = &caller.native;
    let mut phone = Phone::new((number, ear), heard.clone());
    let time = Event::TimeOpened { channel: Channel::DataChannel };
    let (mut acts, mut wake_ms) = (Vec::new(), 0.0);
    for event in [Event::Tapped, phone.look(), time, Event::LiveOpened] {
        wake_ms = phone.handle(event, &mut acts);
    }
    loop {
        for act in acts.drain(..) {
            match act {
                Act::AskTime { octets, clock_at, .. } => {
                    let mut question = unhex(&octets);
                    question[clock_at..][..8].copy_from_slice(&phone.now_ms().to_be_bytes());
                    native.say("time", &question).await?;
                }
                Act::SayLive { text } => native.say("media", text.as_bytes()).await?,
                // It has no socket, no screen and no tracks.
                _ => {}
            }
        }
        let event = tokio::select! {
            () = heard.closed() => return Ok(()),
            said = native.hear("time") => match said {
                Ok(answer) => Event::TimeHeard {
                    at_ms: phone.now_ms(),
                    channel: Channel::DataChannel,
                    octets: hex(&answer),
                },
                Err(error) => quiet(error)?,
            },
            said = native.hear("media") => match said {
                Ok(text) => phone.overhear(&String::from_utf8_lossy(&text)),
                Err(error) => quiet(error)?,
            },
            () = sleep(phone.until(wake_ms)) => phone.look(),
        };
        wake_ms = phone.handle(event, &mut acts);
    }
}

/// Nothing for long is no loss.
fn quiet(error: NativeError) -> Result<Event, NativeError> {
    if matches!(error, NativeError::Late(_)) { Ok(Event::Tick) } else { Err(error) }
}

impl Phone {
    fn new((number, ear): (u64, Ear), heard: UnboundedSender<Heard>) -> Self {
        let mut chance = Chance::new(u128::from(number) << 64 | 0x11ce);
        let mut skew = || Ppm(SKEW_MAX.0 * (2.0 * chance.share() - 1.0));
        let (page, card) = (skew(), skew());
        let start = Start {
            chance: format!("{:032x}", chance.bits()),
            codecs: vec![MediaCodec::Opus],
            ..Start::default()
        };
        let began = mono_now();
        let core = Core::new(MonoTime::ZERO + PAGE_BEGINS, &start);
        Self { core, ear, began, page, card, number, heard }
    }

    fn handle(&mut self, event: Event, acts: &mut Vec<Act>) -> f64 {
        let turn = self.core.handle(self.page_time(), event);
        for act in &turn.acts {
            if let Act::Live { index, from_s, .. } = act {
                let is_late = *from_s < self.made_secs(mono_now());
                let (phone, at) = (self.number, self.leaves(*from_s));
                // Whoever does not take it any more ends us.
                let _ = self.heard.send(Heard { phone, index: *index, at, is_late });
            }
        }
        acts.extend(turn.acts);
        turn.wake_ms
    }

    fn overhear(&mut self, said: &str) -> Event {
        let at_ms = self.now_ms();
        let now = self.core.net(self.page_time());
        match self.ear.open(now, said) {
            Ok(text) => Event::LiveHeard { at_ms, text },
            Err(why) => Event::LiveRefused { why },
        }
    }

    /// What the page tells of its context.
    fn look(&self) -> Event {
        let now = mono_now();
        Event::Audio {
            running: true,
            audio_s: self.made_secs(now),
            latency_s: Some(LATENCY_SECS),
            output: Some(OutputStamp {
                audio_s: self.card_secs(now) - LATENCY_SECS,
                page_ms: self.exact(now).ns() as f64 / 1e6,
            }),
        }
    }

    /// The page's clock, exactly.
    fn exact(&self, at: MonoTime) -> MonoTime {
        MonoTime::ZERO + PAGE_BEGINS + skewed(at - self.began, self.page)
    }

    /// The same as a script reads it.
    fn page_time(&self) -> MonoTime {
        let exact = self.exact(mono_now()).ns();
        MonoTime::from_ns(exact - exact.rem_euclid(PAGE_STEP.ns()))
    }

    fn now_ms(&self) -> f64 {
        self.page_time().ns() as f64 / 1e6
    }

    fn card_secs(&self, at: MonoTime) -> f64 {
        skewed(at - self.began, self.card).secs_f64()
    }

    /// `currentTime`.
    fn made_secs(&self, at: MonoTime) -> f64 {
        (self.card_secs(at) / BLOCK_SECS).floor() * BLOCK_SECS
    }

    /// When what is made for this audio time leaves.
    fn leaves(&self, audio_s: f64) -> MonoTime {
        self.began + Span::from_secs_f64((audio_s + LATENCY_SECS) / (1.0 + self.card.0 * 1e-6))
    }

    fn until(&self, wake_ms: f64) -> Duration {
        let wait_ms = wake_ms - self.exact(mono_now()).ns() as f64 / 1e6;
        Duration::from_secs_f64(wait_ms.max(0.0) / 1e3).clamp(TIMER, LOOK)
    }
}

fn skewed(gone: Span, by: Ppm) -> Span {
    gone + Span::from_ns((gone.ns() as f64 * by.0 * 1e-6).round() as i64)
}

fn unhex(text: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&text[at..at + 2], 16);
    (0..text.len()).step_by(2).map(|at| pair(at).expect("the core writes hexadecimal")).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").expect("a string takes all");
        text
    })
}

/// Each phone beside the next, chunk by chunk: how far apart they would have heard it, in order.
pub fn apart(heard: &[Heard]) -> Vec<Span> {
    let mut by_index: BTreeMap<u64, BTreeMap<u64, MonoTime>> = BTreeMap::new();
    for it in heard {
        by_index.entry(it.index).or_default().insert(it.phone, it.at);
    }
    let beside = |phones: &BTreeMap<u64, MonoTime>| {
        let pairs = phones.values().zip(phones.values().skip(1));
        pairs.map(|(one, next)| (*one - *next).abs()).collect::<Vec<_>>()
    };
    let mut apart: Vec<Span> = by_index.values().flat_map(beside).collect();
    apart.sort_unstable();
    apart
}

/// Places between a phone's first and last chunk from which nothing sounded, of all phones.
pub fn lost(heard: &[Heard]) -> u64 {
    let mut places: Vec<(u64, u64)> = heard.iter().map(|it| (it.phone, it.index)).collect();
    places.sort_unstable();
    let same = places.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    same.map(|pair| pair[1].1.saturating_sub(pair[0].1 + 1)).sum()
}
