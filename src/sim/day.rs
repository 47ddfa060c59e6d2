//! A day of phones in a house that never stops: crystals wander, people walk about, phones are put away and taken out
//! again, the box falls silent for minutes.
//!
//! In: how many phones, a seed, how long. Out: a [`DayReport`]. Never: real time; the box, its sockets and the page's
//! core are those of [`World`].
//!
//! *Lost* is a phone that does not find back. A *glitch* is what one would hear: a piece that begins anew for no
//! reason, a silence, a place in the track that leaps. A phone that was put away has stopped sounding, and begins anew
//! when it is taken out; one that comes while the piece plays begins in its middle. That takes a while, which is
//! counted by itself ([`Fresh`]), as is what is heard in the first seconds. Every look counts for how far clocks and
//! places are off, but at a phone that is put away, and at one that was taken out, or came, while the box was out of
//! reach, until it is in reach.

use std::sync::Arc;

use engine::clock::TAI_UTC;
use engine::show::{MediaInfo, Show, Source, load};
use phone::{Chance, NetTime, State};
use serde::Serialize;
use units::{Ppm, ShowTime, Span};
use wire::solusync::{MediaAction, Message};

use crate::crystal::{Counter, Crystal};
use crate::nights::quantile;
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
    /// Who comes while the piece plays, the last to come first.
    coming: Vec<(ShowTime, PhoneSpec)>,
    /// How long who was taken out, and who came, was silent, seconds.
    waits: [Vec<f64>; 2],
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
    /// When it was taken out, or first touched.
    since: ShowTime,
    /// It has not sounded in its place since, for this reason.
    waits: Option<Wait>,
    /// How far it was from its place at the last look, by so many pieces.
    last: Option<(usize, f64)>,
}

/// Why a phone does not sound in its place yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// It was put away, and taken out again.
    Woken,
    /// It came while the piece played.
    Joined,
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
    /// Looks at a phone that should have sounded and did not, though it had sounded since it was taken out.
    pub silent: u64,
    /// The greatest change of a phone's distance from its place within a second, milliseconds: what it bends by.
    pub worst_step_ms: f64,
    /// The greatest distance of a phone from its place, milliseconds.
    pub worst_place_ms: f64,
    /// The greatest error of a phone's clock, milliseconds.
    pub worst_error_ms: f64,
    /// Those just taken out, and those who just came; the figures above are of all others.
    pub fresh: Fresh,
    /// Looks at clocks, all of them.
    pub looks: u64,
    /// Of them, those at which the error was within the phone's own bound.
    pub within_bound: u64,
    /// And how large it was; a phone that knows no time yet is within nothing.
    pub errors: Sizes,
    /// Looks at phones that sounded, all of them, by how far each was from its place.
    pub places: Sizes,
}

/// What is heard of phones in their first twenty seconds, and how long it takes until anything is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Fresh {
    /// Silent after waking: from when a phone was taken out, and the box in its reach, until it sounded in its place again.
    pub woken: Waits,
    /// From when a phone that came while the piece played was first touched until it did: its track comes first.
    pub joined: Waits,
    /// Of these silences the seconds, of all phones, in which something was heard, more than 20 ms from its place.
    pub astray_s: f64,
    /// Pieces that began anew after the first.
    pub cuts: usize,
    /// As [`DayReport::worst_step_ms`].
    pub worst_step_ms: f64,
    /// As [`DayReport::worst_place_ms`].
    pub worst_place_ms: f64,
    /// As [`DayReport::worst_error_ms`].
    pub worst_error_ms: f64,
    /// Looks at phones that knew no time yet.
    pub timeless: u64,
    /// Of [`DayReport::errors`], theirs.
    pub errors: Sizes,
    /// Of [`DayReport::places`], theirs.
    pub places: Sizes,
}

/// Silences of so many phones, seconds. Who had not found its place when it was put away again was silent until then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Waits {
    /// How many.
    pub count: usize,
    /// All of them.
    pub total_s: f64,
    /// The middle one.
    pub p50_s: f64,
    /// One in twenty was longer.
    pub p95_s: f64,
    /// The longest.
    pub worst_s: f64,
}

impl Waits {
    fn of(seconds: &[f64]) -> Self {
        let at = |share| if seconds.is_empty() { 0.0 } else { quantile(seconds, share) };
        Self {
            count: seconds.len(),
            total_s: seconds.iter().fold(0.0, |sum, it| sum + it),
            p50_s: at(0.5),
            p95_s: at(0.95),
            worst_s: at(1.0),
        }
    }
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

    /// Of somebody who knows nothing.
    fn add_unknown(&mut self) {
        self.all += 1;
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
/// Within this a phone that was taken out, or came, is counted by itself; a socket may wait about as long before it
/// knocks again.
const SETTLE: Span = Span::from_secs(20);
/// One in so many comes while the piece plays, within so long.
const LATE: usize = 5;
const COMING: Span = Span::from_secs(45 * 60);
/// Whoever has to find its place is looked at this often.
const CLOSELY: Span = Span::from_millis(10);
/// From here on a phone does not bend towards its place, but begins anew there (DESIGN: Time).
const ASTRAY_MS: f64 = 20.0;
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
        let mut specs: Vec<PhoneSpec> = specs.collect();
        let late = specs.split_off(phones - phones / LATE);
        for spec in &specs {
            world.enter(*spec);
        }
        world.run(DOORS);
        world.go().expect("the first cue");
        let piece_began = began(&world).expect("an order to play");
        let now = world.now();
        let life = |spec: &PhoneSpec| Life::new(spec, now, None, &mut chance);
        let lives = specs.iter().map(life).collect();
        let coming = late.into_iter().map(|it| (now + scaled(COMING, chance.share()), it));
        let mut coming: Vec<(ShowTime, PhoneSpec)> = coming.collect();
        coming.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let silence = Times::drawn(now, SILENCES, SILENCE_MAX, &mut chance);
        let report = DayReport { phones, ..DayReport::default() };
        let waits = [Vec::new(), Vec::new()];
        Self { world, chance, lives, coming, waits, piece_began, silence, next_turn: now, report }
    }

    /// Time goes on.
    pub fn run(&mut self, span: Span) {
        let end = self.world.now() + span;
        while self.world.now() < end {
            self.run_to_the_next_look();
            // What happened is counted as it happens; a day of it would fill the memory.
            self.world.story.clear();
            self.world.frames.clear();
            self.come_in();
            self.wander();
            self.keep_silent();
            (0..self.lives.len()).for_each(|place| self.live(place));
            (0..self.lives.len()).for_each(|place| self.look_at(place));
        }
        self.report.hours += span.secs_f64() / 3_600.0;
    }

    /// Whoever has to find its place is listened to closely meanwhile.
    fn run_to_the_next_look(&mut self) {
        let look = self.world.now() + LOOK;
        while self.world.now() < look {
            let waits = self.lives.iter().any(|life| life.waits.is_some());
            self.world.run(if waits { CLOSELY } else { look - self.world.now() });
            (0..self.lives.len()).for_each(|place| self.listen_closely(place));
        }
    }

    /// Everybody takes out the phone, the box speaks, and who does not find back is lost.
    pub fn end(mut self) -> DayReport {
        let ends = self.world.now();
        (0..self.lives.len()).for_each(|place| self.waited(place, ends));
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
        let [woken, joined] = &self.waits;
        (self.report.fresh.woken, self.report.fresh.joined) = (Waits::of(woken), Waits::of(joined));
        self.report
    }

    /// What came of it so far; who is lost, and how long who was silent, is known at the end.
    pub fn report(&self) -> &DayReport {
        &self.report
    }

    fn come_in(&mut self) {
        let now = self.world.now();
        while let Some((_, spec)) = self.coming.pop_if(|(at, _)| *at <= now) {
            self.world.enter(spec);
            let touched = now + spec.opens + spec.tap.unwrap_or_default();
            let life = Life::new(&spec, touched, Some(Wait::Joined), &mut self.chance);
            self.lives.push(life);
        }
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
            (life.since, life.waits) = (now, Some(Wait::Woken));
            self.report.naps += 1;
            self.world.touch(place, SimPhone::resume);
            if is_silent {
                self.world.touch(place, SimPhone::lose_box);
            }
        } else if life.nap.begins <= now {
            if life.nap.begins > now - LOOK {
                self.world.touch(place, SimPhone::suspend);
                self.waited(place, now);
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
        if !self.is_looked_at(place) {
            self.lives[place].last = None;
            return;
        }
        let is_fresh = self.world.now() < self.lives[place].since + SETTLE;
        self.look_at_clock(place, is_fresh);
        self.listen_to(place, is_fresh);
    }

    /// Whoever woke, or came, while the box was out of reach begins when it is in reach.
    fn is_looked_at(&mut self, place: usize) -> bool {
        let (now, is_silent) = (self.world.now(), self.is_silent());
        let life = &mut self.lives[place];
        if is_silent && life.waits.is_some() {
            life.since = life.since.max(now);
        }
        !life.nap.is_on(now) && life.since < now
    }

    fn look_at_clock(&mut self, place: usize, is_fresh: bool) {
        let (now, phone) = (self.world.now(), self.world.phone(place));
        let report = &mut self.report;
        report.looks += 1;
        let Some(reading) = phone.core().clock().reading(phone.exact(now)) else {
            report.errors.add_unknown();
            report.fresh.errors.add_unknown();
            report.fresh.timeless += 1;
            return;
        };
        let error = (reading.net - NetTime::from_ns((now - TAI_UTC).ns())).abs();
        report.within_bound += u64::from(error <= reading.bound);
        let error_ms = error.millis_f64();
        report.errors.add(error_ms);
        if is_fresh {
            report.fresh.errors.add(error_ms);
            raise(&mut report.fresh.worst_error_ms, error_ms);
        } else {
            raise(&mut report.worst_error_ms, error_ms);
        }
    }

    fn listen_to(&mut self, place: usize, is_fresh: bool) {
        let now = self.world.now();
        if now < self.piece_began {
            return;
        }
        let Some(place_ms) = place_ms(self.world.phone(place), now, self.piece_began) else {
            self.lives[place].last = None;
            self.report.silent += u64::from(self.lives[place].waits.is_none());
            return;
        };
        let pieces = self.pieces(place);
        let last = self.lives[place].last.replace((pieces, place_ms));
        let (cuts, step_ms) =
            last.map_or((0, 0.0), |(begun, before)| (pieces - begun, (place_ms - before).abs()));
        let report = &mut self.report;
        report.places.add(place_ms);
        if is_fresh {
            report.fresh.places.add(place_ms);
            report.fresh.cuts += cuts;
            raise(&mut report.fresh.worst_step_ms, step_ms);
            raise(&mut report.fresh.worst_place_ms, place_ms.abs());
        } else {
            report.cuts += cuts;
            raise(&mut report.worst_step_ms, step_ms);
            raise(&mut report.worst_place_ms, place_ms.abs());
        }
    }

    /// Sound that goes on where it stood when the phone was put away is heard, and not in its place.
    fn listen_closely(&mut self, place: usize) {
        let (now, life) = (self.world.now(), &self.lives[place]);
        if life.waits.is_none() || now <= life.since || self.is_silent() {
            return;
        }
        match place_ms(self.world.phone(place), now, self.piece_began) {
            Some(place_ms) if place_ms.abs() <= ASTRAY_MS => self.waited(place, now),
            Some(_) => self.report.fresh.astray_s += CLOSELY.secs_f64(),
            None => {}
        }
    }

    /// Whoever waited to sound in its place has, at that time.
    fn waited(&mut self, place: usize, until: ShowTime) {
        let life = &mut self.lives[place];
        if let Some(why) = life.waits.take() {
            self.waits[why as usize].push((until - life.since).secs_f64().max(0.0));
        }
    }

    fn pieces(&self, place: usize) -> usize {
        self.world.phone(place).sounded().len()
    }
}

impl Life {
    fn new(spec: &PhoneSpec, since: ShowTime, waits: Option<Wait>, chance: &mut Chance) -> Self {
        Self {
            page: counter(spec.crystal, chance),
            card: counter(spec.card, chance),
            walk: Times::drawn(since, WALKS, WALK_MAX, chance),
            nap: Times::drawn(since, NAPS, NAP_MAX, chance),
            since,
            waits,
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

fn raise(worst: &mut f64, to: f64) {
    *worst = worst.max(to);
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
