//! A browser's Web Audio on a phone's sound card: a crystal of its own, time in blocks, stamps that tremble.
//!
//! In: the acts that `sound.js` would perform. Out: where in which track one hears it now, and what it tells the page.
//! Never: samples.

use phone::{Act, Chance, Event, OutputStamp};
use units::{Ppm, ShowTime, Span, TrackId};

use crate::dial::Dial;
use crate::phone::PhoneSpec;

/// What is heard of one piece of a track.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Which.
    pub track: TrackId,
    /// Where in it, seconds.
    pub at_s: f64,
    /// How loud, 0 to 1.
    pub gain: f64,
}

/// A piece of a track, from its first sound to its last.
#[derive(Debug, Clone, PartialEq)]
pub struct Sounded {
    /// Which.
    pub track: TrackId,
    /// When it began.
    pub from: ShowTime,
    /// When it ended; none while nobody has asked it to.
    pub to: Option<ShowTime>,
}

/// An AudioContext.
#[derive(Debug, Clone)]
pub(crate) struct Speaker {
    dial: Dial,
    latency: Span,
    /// And what the browser does not know of it.
    hidden: Span,
    tremble: Span,
    /// The audio seconds at which it was asked to chirp.
    chirps: Vec<f64>,
    asleep: Option<ShowTime>,
    /// When it goes on, though it says that it does from its waking on.
    goes_on: Option<ShowTime>,
    /// How long it takes to.
    stall: Span,
    pieces: Vec<Piece>,
    voices: Vec<(u32, Vec<(f64, f64)>)>,
    /// The fastest or slowest that a piece was ever asked to play, as its distance from 1.
    pub(crate) bend: f64,
}

#[derive(Debug, Clone)]
struct Piece {
    segment: u32,
    voice: u32,
    track: TrackId,
    /// Seconds of one pass.
    length: f64,
    looped: bool,
    begins: f64,
    ends: f64,
    rise: f64,
    fall: f64,
    course: Vec<Course>,
}

/// From an audio second on: where in the track, and how fast.
#[derive(Debug, Clone, Copy)]
struct Course {
    since: f64,
    offset: f64,
    rate: f64,
}

/// `currentTime` moves in blocks of 128 frames.
const BLOCK_SECS: f64 = 128.0 / 48_000.0;

impl Speaker {
    /// A context that was made at `began`.
    pub(crate) fn new(began: ShowTime, spec: &PhoneSpec) -> Self {
        Self {
            dial: Dial::new(began, spec.card),
            latency: spec.latency,
            hidden: spec.hidden,
            tremble: spec.tremble,
            chirps: Vec::new(),
            asleep: None,
            goes_on: None,
            stall: spec.stall,
            pieces: Vec::new(),
            voices: Vec::new(),
            bend: 0.0,
        }
    }

    /// What a look at the context tells the page, whose own clock shows `page_ms`.
    pub(crate) fn look(&self, now: ShowTime, page_ms: f64, chance: &mut Chance) -> Event {
        let shake = (chance.share() - 0.5) * 2.0 * self.tremble.secs_f64();
        // Nothing trembles that stands.
        let shake = if self.asleep.is_some() { 0.0 } else { shake };
        let left = self.audio(now - self.latency) + shake;
        Event::Audio {
            running: self.asleep.is_none() || self.goes_on.is_some(),
            audio_s: self.current_time(now),
            latency_s: Some(self.latency.secs_f64()),
            output: Some(OutputStamp { audio_s: left, page_ms }),
        }
    }

    /// A call comes in: the context stands still.
    pub(crate) fn sleep(&mut self, now: ShowTime) {
        self.asleep.get_or_insert(now);
    }

    /// Somebody wakes it.
    pub(crate) fn wake(&mut self, now: ShowTime) {
        if self.asleep.is_some() {
            self.goes_on = Some(now + self.stall);
        }
        self.run(now);
    }

    /// It goes on, if it is time.
    pub(crate) fn run(&mut self, now: ShowTime) {
        if let Some(at) = self.goes_on.filter(|at| *at <= now)
            && let Some(asleep) = self.asleep.take()
        {
            self.goes_on = None;
            self.dial.stood(asleep, at);
        }
    }

    /// From now on the card's crystal runs at another rate.
    pub(crate) fn warm(&mut self, now: ShowTime, card: Ppm) {
        if self.asleep.is_none() {
            self.dial.turn(now, card);
        }
    }

    /// Acts that concern sound; `length_s` is the track's.
    pub(crate) fn perform(&mut self, now: ShowTime, act: Act, length_s: f64) {
        let current = self.current_time(now);
        match act {
            Act::Begin { segment, voice, track_id, at_s, offset_s, rate, looped, rise_s } => {
                self.bend = self.bend.max((rate - 1.0).abs());
                let begins = at_s.max(current);
                let offset = offset_s + (begins - at_s) * rate;
                let whole = Course { since: begins, offset, rate };
                self.pieces.push(Piece {
                    segment,
                    voice,
                    track: track_id,
                    length: length_s,
                    looped,
                    begins,
                    ends: f64::INFINITY,
                    rise: rise_s,
                    fall: 0.0,
                    course: vec![whole],
                });
            }
            Act::Rate { segment, at_s, rate } => {
                self.bend = self.bend.max((rate - 1.0).abs());
                let heard = self.audio(now - self.latency);
                if let Some(piece) = self.piece(segment) {
                    piece.steer(at_s.max(current), rate, heard);
                }
            }
            Act::End { segment, at_s, fall_s } => {
                if let Some(piece) = self.piece(segment) {
                    piece.ends = at_s.max(current) + fall_s;
                    piece.fall = fall_s;
                }
            }
            Act::Chirp { at_s } => self.chirps.push(at_s.max(current)),
            Act::Gain { voice, points } => {
                self.voices.retain(|(id, _)| *id != voice);
                self.voices.push((voice, points));
            }
            _ => {}
        }
    }

    /// Everything that is heard at a time.
    pub(crate) fn heard(&self, now: ShowTime) -> Vec<Heard> {
        if self.asleep.is_some() {
            return Vec::new();
        }
        let audio = self.audio(now - self.latency - self.hidden);
        let sounding = self.pieces.iter().filter_map(|piece| {
            let at_s = piece.position(audio)?;
            let gain = self.gain(piece.voice, audio) * piece.share(audio);
            Some(Heard { track: piece.track.clone(), at_s, gain })
        });
        sounding.collect()
    }

    /// Every piece that was ever begun.
    pub(crate) fn sounded(&self) -> Vec<Sounded> {
        let when = |audio: f64| self.leaves(audio);
        let pieces = self.pieces.iter().filter(|piece| piece.last() > piece.begins);
        let sounded = pieces.map(|piece| Sounded {
            track: piece.track.clone(),
            from: when(piece.begins),
            to: piece.last().is_finite().then(|| when(piece.last())),
        });
        sounded.collect()
    }

    /// When its chirps leave.
    pub(crate) fn chirps(&self) -> Vec<ShowTime> {
        self.chirps.iter().map(|at| self.leaves(*at)).collect()
    }

    /// When an audio second is made.
    pub(crate) fn makes(&self, audio: f64) -> ShowTime {
        self.dial.when(Span::from_secs_f64(audio))
    }

    /// When an audio second is heard.
    fn leaves(&self, audio: f64) -> ShowTime {
        self.makes(audio) + self.latency + self.hidden
    }

    /// What the card makes at a time, seconds since the context began.
    pub(crate) fn audio(&self, at: ShowTime) -> f64 {
        let at = self.asleep.map_or(at, |asleep| at.min(asleep));
        self.dial.shows(at).secs_f64()
    }

    fn current_time(&self, now: ShowTime) -> f64 {
        (self.audio(now) / BLOCK_SECS).floor().max(0.0) * BLOCK_SECS
    }

    fn piece(&mut self, segment: u32) -> Option<&mut Piece> {
        self.pieces.iter_mut().find(|piece| piece.segment == segment)
    }

    fn gain(&self, voice: u32, audio: f64) -> f64 {
        let points = self.voices.iter().find(|(id, _)| *id == voice).map(|(_, points)| points);
        points.map_or(1.0, |points| on_lines(points, audio))
    }
}

impl Piece {
    fn steer(&mut self, since: f64, rate: f64, heard: f64) {
        let Some(offset) = self.offset(since) else { return };
        // What has been heard is needed no more.
        let past = self.course.partition_point(|course| course.since <= heard);
        self.course.drain(..past.saturating_sub(1));
        self.course.push(Course { since, offset, rate });
    }

    fn offset(&self, audio: f64) -> Option<f64> {
        let course = self.course.iter().rev().find(|course| course.since <= audio)?;
        Some(course.offset + course.rate * (audio - course.since))
    }

    /// Where in one pass; none while it is silent.
    fn position(&self, audio: f64) -> Option<f64> {
        let offset = self.offset(audio).filter(|_| audio < self.ends)?;
        match self.looped {
            true => Some(offset.rem_euclid(self.length)),
            false => (offset < self.length).then_some(offset),
        }
    }

    /// Its own half of a cross-fade.
    fn share(&self, audio: f64) -> f64 {
        let rise = if self.rise > 0.0 { (audio - self.begins) / self.rise } else { 1.0 };
        let fall = if self.fall > 0.0 { (self.ends - audio) / self.fall } else { 1.0 };
        rise.min(fall).clamp(0.0, 1.0)
    }

    /// The audio second of its last sound.
    fn last(&self) -> f64 {
        let course = self.course.last().expect("a piece begins with one");
        let whole = course.since + (self.length - course.offset) / course.rate;
        if self.looped { self.ends } else { self.ends.min(whole) }
    }
}

/// Straight lines through points, flat outside them.
fn on_lines(points: &[(f64, f64)], at: f64) -> f64 {
    let next = points.partition_point(|(time, _)| *time <= at);
    match (next.checked_sub(1).and_then(|k| points.get(k)), points.get(next)) {
        (Some((since, from)), Some((until, to))) => {
            from + (to - from) * (at - since) / (until - since)
        }
        (Some((_, gain)), None) | (None, Some((_, gain))) => *gain,
        (None, None) => 1.0,
    }
}
