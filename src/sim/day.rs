//! A day of phones in a house that never stops: crystals wander, people walk about, phones are put away and taken out
//! again, the box falls silent for minutes.
//!
//! In: how many phones, a seed, how long. Out: a [`DayReport`]. Never: real time; the box, its sockets and the page's
//! core are those of [`World`].
//!
//! *Lost* is a phone that does not find back. A *glitch* is what one would hear: a piece that begins anew for no
//! reason, a silence, a place in the track that leaps. A phone that was put away has stopped sounding, and begins
//! anew when it is taken out: that is no glitch, and until it has found its place again it is not listened to.

use std::sync::Arc;

use engine::clock::TAI_UTC;
use engine::show::{MediaInfo, Show, Source, load};
use phone::{Chance, NetTime, State};
use serde::Serialize;
use units::{Ppm, ShowTime, Span};
use wire::solusync::{MediaAction, Message};

use crate::crystal::{Counter, Crystal};
use crate::path::{scaled, wait};
use crate::phone::{PhoneSpec, SimPhone};
use crate::wifi::Wifi;
use crate::world::{Event, World, WorldSpec};

/// The day, as far as it has gone.
#[derive(Debug)]
pub struct Day {
    world: World,
    chance: Chance,
    lives: Vec<Life>,
    piece_began: ShowTime,
    silence: Times,
    next_turn: ShowTime,
    report: DayReport,
}

/// One phone's day.
#[derive(Debug)]
struct Life {
    page: Counter,
    card: Counter,
    walk: Times,
    nap: Times,
    /// Nobody listens to it before.
    settles: ShowTime,
    /// How far it was from its place at the last look, by so many pieces.
    last: Option<(usize, f64)>,
}

/// Something that begins, and ends.
#[derive(Debug, Clone, Copy)]
struct Times {
    begins: ShowTime,
    ends: ShowTime,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DayReport {
    /// Of virtual time.
    pub hours: f64,
    /// How many.
    pub phones: usize,
    /// Walks from one access point to another.
    pub roams: u32,
    /// Phones that were put away, and taken out again.
    pub naps: u32,
    /// Minutes in which the box was out of everybody's reach, counted as whiles.
    pub silences: u32,
    /// Phones that were not in step, or silent, when all was well again.
    pub lost: usize,
    /// Pieces that began anew without a reason.
    pub cuts: usize,
    /// Looks at a phone that should have sounded and did not.
    pub silent: u64,
    /// The greatest change of a phone's distance from its place within a second, milliseconds: what it bends by.
    pub worst_step_ms: f64,
    /// The greatest distance of a phone from its place, milliseconds.
    pub worst_place_ms: f64,
    /// The greatest error of a phone's clock, milliseconds.
    pub worst_error_ms: f64,
    /// Looks at clocks.
    pub looks: u64,
    /// Of them, those at which the error was within the phone's own bound.
    pub within_bound: u64,
    /// And how large it was.
    pub errors: Sizes,
    /// Looks at phones that sounded, by how far each was from its place.
    pub places: Sizes,
}

/// Errors, by how large they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// How many.
    pub all: u64,
    /// Of them, those within half a millisecond either way.
    pub within_half_ms: u64,
    /// Within one.
    pub within_1_ms: u64,
    /// Within five.
    pub within_5_ms: u64,
}

impl Sizes {
    fn add(&mut self, error_ms: f64) {
        self.all += 1;
        self.within_half_ms += u64::from(error_ms.abs() <= 0.5);
        self.within_1_ms += u64::from(error_ms.abs() <= 1.0);
        self.within_5_ms += u64::from(error_ms.abs() <= 5.0);
    }
}

const SHOW: &str = r##"
[show]
title = "A day"
[tracks]
track_001 = "audio/piece.wav"
[[list]]
name = "main"
[[list.cue]]
number = 1
phones = { track = "track_001", loop = "forever", color = "#ff7030" }
"##;
/// One pass of the piece.
const PIECE: Span = Span::from_secs(60);
/// A look at everybody this often.
const LOOK: Span = Span::from_secs(1);
/// Crystals turn this often.
const TURN: Span = Span::from_secs(10);
/// How far temperature carries a phone's crystal, either way, at most.
const WARMTH: Ppm = Ppm(3.0);
/// Everybody has come in, loaded the piece and found the time.
const DOORS: Span = Span::from_secs(30);
/// A phone that was taken out sounds within this, a socket that waited long before it knocked again included.
const SETTLE: Span = Span::from_secs(20);
/// From one walk, nap, or silence of the box to the next, on average.
const WALKS: Span = Span::from_secs(12 * 60);
const NAPS: Span = Span::from_secs(150 * 60);
const SILENCES: Span = Span::from_secs(240 * 60);
/// How long they last at most.
const WALK_MAX: Span = Span::from_secs(5);
const NAP_MAX: Span = Span::from_secs(20 * 60);
const SILENCE_MAX: Span = Span::from_secs(10 * 60);

struct Folder;

impl Source for Folder {
    fn text(&self, _: &str) -> Result<String, String> {
        Ok(SHOW.to_owned())
    }
    fn media(&self, _: &str) -> Result<MediaInfo, String> {
        let frames = 48_000 * PIECE.ns() as u64 / 1_000_000_000;
        let sha256 = format!("{:064x}", 1);
        Ok(MediaInfo { sha256, bytes: frames * 4, rate_hz: 48_000, channels: 2, frames })
    }
}

fn show() -> Arc<Show> {
    Arc::new(load("show.toml", &Folder).show.expect("a show of our own has no mistakes"))
}

impl Day {
    /// The doors open, everybody comes in, and the piece begins.
    pub fn begin(phones: usize, seed: u64) -> Self {
        let mut chance = Chance::new(u128::from(seed) << 64 | 0xda);
        let mut world = World::new(show(), WorldSpec { seed, ..WorldSpec::default() });
        let specs = (0..phones as u64).map(|k| {
            let wifi = some_wifi(&mut chance);
            PhoneSpec::drawn(seed.wrapping_mul(1_000_003).wrapping_add(k), wifi)
        });
        let specs: Vec<PhoneSpec> = specs.collect();
        for spec in &specs {
            world.enter(*spec);
        }
        world.run(DOORS);
        world.go().expect("the first cue");
        let piece_began = began(&world).expect("an order to play");
        let now = world.now();
        let lives = specs.iter().map(|spec| Life::new(spec, now, &mut chance)).collect();
        let silence = Times::drawn(now, SILENCES, SILENCE_MAX, &mut chance);
        let report = DayReport { phones, ..DayReport::default() };
        Self { world, chance, lives, piece_began, silence, next_turn: now, report }
    }

    /// Time goes on.
    pub fn run(&mut self, span: Span) {
        let end = self.world.now() + span;
        while self.world.now() < end {
            self.world.run(LOOK);
            // What happened is counted as it happens; a day of it would fill the memory.
            self.world.story.clear();
            self.world.frames.clear();
            self.wander();
            self.keep_silent();
            (0..self.lives.len()).for_each(|place| self.live(place));
            (0..self.lives.len()).for_each(|place| self.look_at(place));
        }
        self.report.hours += span.secs_f64() / 3_600.0;
    }

    /// Everybody takes out the phone, the box speaks, and who does not find back is lost.
    pub fn end(mut self) -> DayReport {
        self.world.touch_all(SimPhone::find_box);
        self.world.touch_all(SimPhone::resume);
        self.world.run(SETTLE + SETTLE);
        let now = self.world.now();
        let found = |place: &usize| {
            let phone = self.world.phone(*place);
            matches!(phone.state(now), State::InStep { .. }) && !phone.heard(now).is_empty()
        };
        let found = (0..self.lives.len()).filter(found).count();
        self.report.lost = self.lives.len() - found.min(self.world.glance().phones);
        self.report
    }

    /// What came of it so far; who is lost is known at the end.
    pub fn report(&self) -> &DayReport {
        &self.report
    }

    fn wander(&mut self) {
        if self.world.now() < self.next_turn {
            return;
        }
        self.next_turn = self.world.now() + TURN;
        let gone = self.world.now() - self.piece_began;
        for (place, life) in self.lives.iter_mut().enumerate() {
            let (page, card) = (rate(&mut life.page, gone), rate(&mut life.card, gone));
            self.world.touch(place, |phone, now| phone.warm(now, page, card));
        }
    }

    /// The box falls silent, and speaks again. Who is put away does not notice.
    fn keep_silent(&mut self) {
        let now = self.world.now();
        let is_silent = self.is_silent();
        let awake: Vec<usize> =
            (0..self.lives.len()).filter(|place| !self.lives[*place].nap.is_on(now)).collect();
        if self.silence.ends <= now {
            awake.iter().for_each(|place| self.world.touch(*place, SimPhone::find_box));
            self.silence = Times::drawn(now, SILENCES, SILENCE_MAX, &mut self.chance);
            self.report.silences += 1;
        } else if is_silent {
            awake.iter().for_each(|place| self.world.touch(*place, SimPhone::lose_box));
        }
    }

    fn is_silent(&self) -> bool {
        self.silence.is_on(self.world.now())
    }

    /// Its owner walks, or puts it away.
    fn live(&mut self, place: usize) {
        let now = self.world.now();
        let is_silent = self.is_silent();
        let life = &mut self.lives[place];
        if life.nap.ends <= now {
            life.nap = Times::drawn(now, NAPS, NAP_MAX, &mut self.chance);
            life.settles = now + SETTLE;
            self.report.naps += 1;
            self.world.touch(place, SimPhone::resume);
        } else if life.nap.begins <= now {
            if life.nap.begins > now - LOOK {
                self.world.touch(place, SimPhone::suspend);
            }
        } else if life.walk.ends <= now {
            life.walk = Times::drawn(now, WALKS, WALK_MAX, &mut self.chance);
            let wifi = some_wifi(&mut self.chance);
            self.report.roams += 1;
            self.world.touch(place, |phone, _| phone.roam(wifi));
            if !is_silent {
                self.world.touch(place, SimPhone::find_box);
            }
        } else if life.walk.begins <= now {
            self.world.touch(place, SimPhone::lose_box);
        }
    }

    fn look_at(&mut self, place: usize) {
        let now = self.world.now();
        let pieces = self.pieces(place);
        let (life, phone) = (&mut self.lives[place], self.world.phone(place));
        if life.nap.is_on(now) || now < life.settles {
            life.last = None;
            return;
        }
        if let Some(reading) = phone.core().clock().reading(phone.exact(now)) {
            let truth = NetTime::from_ns((now - TAI_UTC).ns());
            let error = (reading.net - truth).abs();
            self.report.looks += 1;
            self.report.within_bound += u64::from(error <= reading.bound);
            self.report.worst_error_ms = self.report.worst_error_ms.max(error.millis_f64());
            self.report.errors.add(error.millis_f64());
        }
        let Some(place_ms) = place_ms(phone, now, self.piece_began) else {
            life.last = None;
            return self.report.silent += 1;
        };
        self.report.places.add(place_ms);
        self.report.worst_place_ms = self.report.worst_place_ms.max(place_ms.abs());
        if let Some((begun, before)) = life.last {
            self.report.cuts += pieces - begun;
            self.report.worst_step_ms = self.report.worst_step_ms.max((place_ms - before).abs());
        }
        life.last = Some((pieces, place_ms));
    }

    fn pieces(&self, place: usize) -> usize {
        self.world.phone(place).sounded().len()
    }
}

impl Life {
    fn new(spec: &PhoneSpec, now: ShowTime, chance: &mut Chance) -> Self {
        Self {
            page: counter(spec.crystal, chance),
            card: counter(spec.card, chance),
            walk: Times::drawn(now, WALKS, WALK_MAX, chance),
            nap: Times::drawn(now, NAPS, NAP_MAX, chance),
            settles: now + SETTLE,
            last: None,
        }
    }
}

impl Times {
    fn drawn(now: ShowTime, every: Span, longest: Span, chance: &mut Chance) -> Self {
        let begins = now + SETTLE + SETTLE + scaled(every, wait(chance));
        Self { begins, ends: begins + LOOK + scaled(longest, chance.share()) }
    }

    fn is_on(&self, now: ShowTime) -> bool {
        self.begins <= now && now < self.ends
    }
}

/// An access point as there are many.
fn some_wifi(chance: &mut Chance) -> Wifi {
    let crowd = chance.share();
    Wifi {
        way: scaled(Span::from_millis(2), 0.5 + chance.share()),
        askew: Wifi::CROWDED.askew,
        jitter: scaled(Wifi::CROWDED.jitter, crowd),
        loss: Wifi::CROWDED.loss * crowd,
    }
}

/// A crystal in a pocket, a hand, a window: it follows temperature further than one in a rack.
fn counter(own: Ppm, chance: &mut Chance) -> Counter {
    let heat = Ppm(WARMTH.0 * chance.share());
    let crystal = Crystal { rate: own, heat, ..Crystal::drawn(chance) };
    Counter::new(crystal, chance.bits())
}

/// What it runs at from now until the next turn, on average.
fn rate(counter: &mut Counter, gone: Span) -> Ppm {
    let at = ShowTime::ZERO + gone.max(Span::ZERO);
    let before = counter.ahead_ns(at);
    Ppm((counter.ahead_ns(at + TURN) - before) / TURN.ns() as f64 * 1e6)
}

/// When the piece was at its beginning.
fn began(world: &World) -> Option<ShowTime> {
    let mut plays = world.story.iter().rev().filter_map(|it| match &it.event {
        Event::Told(_, Message::MediaControl(said)) if said.action == MediaAction::Play => Some(
            said.start_at?.to_show(TAI_UTC) - Span::from_secs_f64(said.params.position_ms / 1e3),
        ),
        _ => None,
    });
    plays.next()
}

/// Milliseconds by which a phone is ahead of its place in the piece; none while it is silent.
fn place_ms(phone: &SimPhone, now: ShowTime, began: ShowTime) -> Option<f64> {
    let heard = phone.heard(now);
    let loudest = heard.iter().max_by(|one, other| one.gain.total_cmp(&other.gain))?;
    let apart = loudest.at_s - (now - began).secs_f64();
    let piece = PIECE.secs_f64();
    Some((apart - (apart / piece).round() * piece) * 1e3)
}
