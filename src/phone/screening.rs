//! Live pictures at one phone: which pieces make pictures that can be decoded, when they are, and which one is seen (SX-11).
//!
//! In: what is said of each piece, what the decoder gives back, and when the screen is drawn, all in network time. Out: what
//! becomes of a piece, whether the next picture is to be decoded, and what to draw. Never here: a picture. It is part of the
//! WebAssembly of `pictures_door`.
//!
//! Every phone shows a picture at its time. One that comes late is decoded, since others build on it, and not seen. Where
//! something is missing nothing that follows can be decoded: the last picture stands until the next key frame. Pictures are
//! decoded shortly before their time: decoded they are large, and some phones have room for a handful.
//!
//! A page that is not seen draws nothing, so it decodes nothing, while pieces come on: a film of ten minutes would wait in
//! its memory, and be decoded whole when its holder comes back. So what waits before a key frame that is past waits no more,
//! and whoever comes back sees what one who joins does.

use std::collections::VecDeque;

use units::Span;
use wire::solusync::PictureCounts;

use crate::scale::NetTime;

/// A piece of a picture, without its octets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// Counts the pieces of what is on air.
    pub index: u64,
    /// When the picture is seen.
    pub at: NetTime,
    /// How long.
    pub lasts: Span,
    /// How many pieces of the same picture follow.
    pub left: u32,
    /// Whether decoding can begin with it.
    pub is_key: bool,
    /// How large it is.
    pub octets: u32,
}

/// What becomes of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is of no use, and what was kept of a picture is not either.
    Dropped,
    /// It is kept until the rest has come.
    Kept,
    /// With what was kept it is a whole picture, the last of those that wait.
    Whole,
}

/// What to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// So many of the decoded pictures are past.
    pub past: usize,
    /// Whether the last of these is to be drawn now.
    pub draws: bool,
    /// Whether anything is on.
    pub is_on: bool,
}

/// A picture.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shot {
    at: NetTime,
    ends: NetTime,
    /// It was whole before its time.
    in_time: bool,
}

/// One that waits to be decoded.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Unit {
    shot: Shot,
    is_key: bool,
    octets: u32,
}

/// Live pictures at one phone.
#[derive(Debug, Clone)]
pub struct Screening {
    next: Option<u64>,
    /// Nothing can be decoded before the next key frame.
    is_lost: bool,
    /// Of a picture that is not whole.
    part: Option<Part>,
    /// Pictures that wait to be decoded, in that order.
    waits: VecDeque<Unit>,
    /// How many the decoder was given since the screen was drawn.
    given: usize,
    /// Those that the decoder has.
    decoding: Vec<Shot>,
    /// Decoded ones, as they are seen.
    decoded: VecDeque<Shot>,
    /// The one that was drawn last.
    stands: Option<Shot>,
    /// When the last one is over.
    ends: Option<NetTime>,
    /// From then on one that is late is no newcomer's.
    was_in_time: bool,
    counts: PictureCounts,
    drawn: Option<NetTime>,
    period: Span,
}

/// What has come of a picture that is not whole.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    at: NetTime,
    /// How many pieces are missing.
    left: u32,
    is_key: bool,
    octets: u32,
}

/// So long before its time a picture is decoded: decoders give back none before they have had some more.
const DECODE_AHEAD: Span = Span::from_millis(400);
/// So many may be there decoded.
const DECODED_MAX: usize = 8;
/// So many are given to the decoder each time the screen is drawn: one that is drawn four times a second keeps up with 60
/// pictures in a second, and no phone is asked for more at once when it catches up.
const GIVEN_MAX: usize = 16;
/// So many octets may wait to be decoded: ten seconds, from one key frame to the next, of the largest film a box is likely to
/// send.
const WAITS_MAX: u64 = 32 << 20;
/// Most screens are drawn as often; until it is known.
const PERIOD: Span = Span::from_micros(16_667);
/// No screen is drawn more seldom; what takes longer was held up.
const PERIOD_MAX: Span = Span::from_millis(50);
const PERIOD_MIN: Span = Span::from_millis(4);
/// One period in so many is believed.
const PERIODS: i64 = 8;
/// The last picture stands so long after its end.
const STANDS: Span = Span::from_millis(500);

impl Screening {
    /// Nothing is on.
    pub fn new() -> Self {
        Self {
            next: None,
            is_lost: true,
            part: None,
            waits: VecDeque::new(),
            given: 0,
            decoding: Vec::new(),
            decoded: VecDeque::new(),
            stands: None,
            ends: None,
            was_in_time: false,
            counts: PictureCounts::default(),
            drawn: None,
            period: PERIOD,
        }
    }

    /// Whether a piece begins another film, so that all that waits is of the one before: call [`Screening::restart`].
    pub fn begins(&self, piece: &Piece) -> bool {
        self.next.is_some_and(|next| piece.index < next)
    }

    /// Forgets all but the counts.
    pub fn restart(&mut self) {
        *self = Self { counts: self.counts, period: self.period, ..Self::new() };
    }

    /// A piece came `now`.
    pub fn handle_piece(&mut self, piece: &Piece, now: NetTime) -> Verdict {
        let missing = self.next.map_or(0, |next| piece.index.saturating_sub(next));
        self.next = Some(piece.index + 1);
        let part = self.part.take();
        if missing > 0 {
            self.counts.lost += missing;
            self.is_lost = true;
        }
        let goes_on = |it: &Part| missing == 0 && (it.at, it.left) == (piece.at, piece.left + 1);
        let begun = part.filter(goes_on);
        if part.is_some() && begun.is_none() {
            // The rest of a picture never came.
            self.is_lost = true;
        }
        self.is_lost = self.is_lost && !piece.is_key;
        if self.is_lost {
            self.counts.lost += u64::from(self.was_in_time);
            return Verdict::Dropped;
        }
        let (is_key, octets) = begun.map_or((piece.is_key, 0), |it| (it.is_key, it.octets));
        let octets = octets.saturating_add(piece.octets);
        if piece.left > 0 {
            self.part = Some(Part { at: piece.at, left: piece.left, is_key, octets });
            return Verdict::Kept;
        }
        let is_late = piece.at < now;
        self.counts.late += u64::from(is_late && self.was_in_time);
        self.was_in_time |= !is_late;
        let ends = piece.at + piece.lasts;
        let shot = Shot { at: piece.at, ends, in_time: !is_late };
        self.waits.push_back(Unit { shot, is_key, octets });
        // Who joins is sent what is past, to begin with: something is on all the same.
        self.ends = self.ends.max(Some(ends.max(now)));
        Verdict::Whole
    }

    /// So many pictures wait no more, from the first on: what is seen `now` is decoded without them, or too much waits. To be
    /// asked after each that is whole.
    pub fn poll_dropped(&mut self, now: NetTime) -> usize {
        let is_full = self.waits.iter().map(|it| u64::from(it.octets)).sum::<u64>() > WAITS_MAX;
        let begins = |it: &Unit| it.is_key && (is_full || it.shot.at <= now);
        let dropped = match self.waits.iter().rposition(begins).unwrap_or(0) {
            // There is no key frame to begin with, and what follows builds on what is dropped.
            0 if is_full => {
                self.is_lost = true;
                self.waits.len()
            }
            first => first,
        };
        self.drop_waits(dropped);
        dropped
    }

    fn drop_waits(&mut self, count: usize) {
        let skipped = self.waits.drain(..count).filter(|it| it.shot.in_time).count();
        self.counts.skipped += skipped as u64;
    }

    /// Whether the first picture that waits is to be decoded; it waits no more.
    pub fn poll_decode(&mut self, now: NetTime) -> bool {
        let is_due = self.waits.front().is_some_and(|it| it.shot.at - now <= DECODE_AHEAD);
        // What is past makes room before it is drawn.
        let kept = self.decoded.iter().filter(|it| it.at > now).count();
        let decodes = is_due && kept < DECODED_MAX && self.given < GIVEN_MAX;
        if decodes {
            self.given += 1;
            self.decoding.extend(self.waits.pop_front().map(|it| it.shot));
        }
        decodes
    }

    /// The decoder gave back the picture of this time, behind all that it gave before.
    pub fn handle_decoded(&mut self, at: NetTime) {
        // Browsers round its time.
        let near = (0..self.decoding.len()).min_by_key(|k| (self.decoding[*k].at - at).abs());
        let unknown = Shot { at, ends: at, in_time: false };
        let shot = near.map_or(unknown, |k| self.decoding.swap_remove(k));
        self.decoded.push_back(Shot { at, ..shot });
    }

    /// The decoder could not go on; all that waits is of no use.
    pub fn handle_broken(&mut self) {
        self.counts.lost += 1 + self.waits.len() as u64;
        self.waits.clear();
        self.decoding.clear();
        (self.is_lost, self.part) = (true, None);
    }

    /// The screen is drawn at `now`, and seen a period later.
    pub fn poll_drawn(&mut self, now: NetTime) -> Drawn {
        let since = self.drawn.replace(now).map(|before| now - before);
        if let Some(since) = since.filter(|it| (PERIOD_MIN..=PERIOD_MAX).contains(it)) {
            self.period += Span::from_ns((since - self.period).ns() / PERIODS);
        }
        // The nearest time at which it can change is as often before as after.
        let seen = now + self.period + Span::from_ns(self.period.ns() / 2);
        let past = self.decoded.partition_point(|it| it.at <= seen);
        // While others that are due wait to be decoded, the last of these is not the one of now.
        let is_behind = self.waits.front().is_some_and(|it| it.shot.at <= seen);
        let mut gone = self.decoded.drain(..past);
        let last = if is_behind { None } else { gone.next_back() };
        self.counts.skipped += gone.filter(|it| it.in_time).count() as u64;
        if let Some(last) = last {
            self.note_drawn(last, now + self.period);
        }
        self.given = 0;
        let is_on = self.ends.is_some_and(|ends| now < ends + STANDS);
        if !is_on {
            self.end();
        }
        Drawn { past, draws: last.is_some(), is_on }
    }

    /// Nothing is on. The decoder goes with what it has, so what comes next is decoded from a key frame on.
    fn end(&mut self) {
        self.drop_waits(self.waits.len());
        self.decoding.clear();
        self.decoded.clear();
        (self.ends, self.stands, self.part, self.is_lost) = (None, None, None, true);
    }

    /// A picture is drawn that is seen at `seen`.
    fn note_drawn(&mut self, shot: Shot, seen: NetTime) {
        self.counts.shown += 1;
        let before = self.stands.replace(shot);
        // A screen changes with its period, and now and then one is missed.
        let most = |it: Shot| (it.ends - it.at).max(self.period.times(3));
        let is_held = |it: Shot| (seen - it.ends).times(2) > most(it);
        self.counts.held += u64::from(before.is_some_and(is_held));
    }

    /// What has become of them so far.
    pub fn counts(&self) -> PictureCounts {
        self.counts
    }
}

impl Default for Screening {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
