//! Live pictures at one phone: which pieces make pictures that can be decoded, when they are, and which one is seen (SX-11).
//!
//! In: what is said of each piece, what the decoder gives back, and when the screen is drawn, all in network time. Out: what
//! becomes of a piece, whether the next picture is to be decoded, and what to draw. Never here: a picture. It is part of the
//! WebAssembly of `pictures_door`.
//!
//! Every phone shows a picture at its time. One that comes late is decoded, since others build on it, and not seen. Where
//! something is missing nothing that follows can be decoded: the last picture stands until the next key frame. Pictures are
//! decoded shortly before their time: decoded they are large, and some phones have room for a handful.

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

/// A picture that was given to the decoder.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shot {
    at: NetTime,
    ends: NetTime,
}

/// Live pictures at one phone.
#[derive(Debug, Clone)]
pub struct Screening {
    next: Option<u64>,
    /// Nothing can be decoded before the next key frame.
    is_lost: bool,
    /// Its time, and how many pieces are missing.
    part: Option<(NetTime, u32)>,
    /// Pictures that wait to be decoded, in that order.
    waits: VecDeque<Shot>,
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
    /// Up to when pictures were seen when the screen was drawn last.
    seen: Option<NetTime>,
    period: Span,
}

/// So long before its time a picture is decoded: decoders give back none before they have had some more.
const DECODE_AHEAD: Span = Span::from_millis(400);
/// So many may be there decoded.
const DECODED_MAX: usize = 8;
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
            decoding: Vec::new(),
            decoded: VecDeque::new(),
            stands: None,
            ends: None,
            was_in_time: false,
            counts: PictureCounts::default(),
            drawn: None,
            seen: None,
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
        let goes_on = missing == 0 && part == Some((piece.at, piece.left + 1));
        if part.is_some() && !goes_on {
            // The rest of a picture never came.
            self.is_lost = true;
        }
        self.is_lost = self.is_lost && !piece.is_key;
        if self.is_lost {
            self.counts.lost += u64::from(self.was_in_time);
            return Verdict::Dropped;
        }
        if piece.left > 0 {
            self.part = Some((piece.at, piece.left));
            return Verdict::Kept;
        }
        let is_late = piece.at < now;
        self.counts.late += u64::from(is_late && self.was_in_time);
        self.was_in_time |= !is_late;
        let ends = piece.at + piece.lasts;
        self.waits.push_back(Shot { at: piece.at, ends });
        self.ends = Some(self.ends.map_or(ends, |before| before.max(ends)));
        Verdict::Whole
    }

    /// Whether the first picture that waits is to be decoded; it waits no more.
    pub fn poll_decode(&mut self, now: NetTime) -> bool {
        let is_due = self.waits.front().is_some_and(|it| it.at - now <= DECODE_AHEAD);
        // What is past makes room before it is drawn.
        let kept = self.decoded.iter().filter(|it| it.at > now).count();
        let decodes = is_due && kept < DECODED_MAX;
        if decodes {
            self.decoding.extend(self.waits.pop_front());
        }
        decodes
    }

    /// The decoder gave back the picture of this time, behind all that it gave before.
    pub fn handle_decoded(&mut self, at: NetTime) {
        // Browsers round its time.
        let near = (0..self.decoding.len()).min_by_key(|k| (self.decoding[*k].at - at).abs());
        let ends = near.map_or(at, |k| self.decoding.swap_remove(k).ends);
        self.decoded.push_back(Shot { at, ends });
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
        // What is late is none of these: others have been seen since.
        let before = self.seen.replace(seen);
        let is_new = |it: &&Shot| before.is_some_and(|before| it.at > before);
        let skipped = self.decoded.range(..past.saturating_sub(1)).filter(is_new).count();
        self.counts.skipped += skipped as u64;
        let last = self.decoded.drain(..past).next_back();
        if let Some(last) = last {
            self.note_drawn(last, now + self.period);
        }
        let is_on = self.ends.is_some_and(|ends| now < ends + STANDS);
        if !is_on {
            (self.ends, self.stands, self.seen) = (None, None, None);
        }
        Drawn { past, draws: past > 0, is_on }
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
