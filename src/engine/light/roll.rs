//! Recorded light that plays: a roll takes the slots of its universe while it runs, over everything that cues do.
//!
//! What it shows is a function of show time alone. It fades in from, and out to, whatever lies beneath it; of several
//! the one that was ordered last lies on top.

use std::sync::Arc;

use units::{ShowTime, Span, Universe};

use super::fade::{FOREVER, Fade, ONE};
use super::plan::GRID;
use super::stream::Stream;
use crate::show::{CaptureCue, Curve, Loops, Reel};

/// A reel of a cue.
#[derive(Debug, Clone, PartialEq)]
pub struct Roll {
    /// Which run of a cue it belongs to, and the list's index.
    pub run: u64,
    pub list: usize,
    at: ShowTime,
    ends: ShowTime,
    /// When another run of its list is whole above it, and which.
    covered: Option<(ShowTime, u64)>,
    offset: Span,
    length: Span,
    fade_in: Span,
    fade_out: Span,
    reel: Arc<Reel>,
    /// Where its frames come from if they are read while it plays, and which of its reels this is.
    stream: Option<(Arc<Stream>, usize)>,
}

impl Roll {
    /// Every reel of a cue, with the universe it plays in.
    pub fn all(
        run: u64,
        list: usize,
        at: ShowTime,
        cue: &CaptureCue,
    ) -> impl Iterator<Item = (Universe, Self)> {
        let stream = cue.footage.film.clone().map(|film| Arc::new(Stream::new(film, cue)));
        cue.footage.reels.iter().enumerate().map(move |(index, (universe, reel))| {
            let mut roll = Self::new(run, list, at, cue, reel.clone());
            roll.stream = stream.clone().map(|stream| (stream, index));
            (*universe, roll)
        })
    }

    fn new(run: u64, list: usize, at: ShowTime, cue: &CaptureCue, reel: Arc<Reel>) -> Self {
        let ends = ends(cue, at).unwrap_or(FOREVER);
        let (offset, length) = (cue.offset, cue.footage.length);
        let (fade_in, fade_out) = (cue.fade_in, cue.fade_out);
        let stream = None;
        let covered = None;
        Self { run, list, at, ends, covered, offset, length, fade_in, fade_out, reel, stream }
    }

    /// Ends it within `span`, or within its own fade; what ends sooner anyway, or fades already, goes on so.
    pub fn stop(&mut self, at: ShowTime, span: Option<Span>) {
        let span = span.unwrap_or(self.fade_out);
        if self.is_seen_through(at).is_some() {
            self.covered = None;
        }
        let fades_already = self.ends != FOREVER && at >= self.ends - self.fade_out;
        if at + span < self.ends && !fades_already {
            (self.ends, self.fade_out) = (at + span, span);
        }
    }

    /// Lies beneath another one: nobody sees it any more once that one is whole.
    pub fn cover(&mut self, by: &Self) {
        let whole = by.at + by.fade_in;
        if self.covered.is_none_or(|(covered, _)| whole < covered) {
            self.covered = Some((whole, by.run));
        }
    }

    /// Which run lies above it, and is not whole at `at`: if that one goes, so does this one, and both are seen going.
    pub fn is_seen_through(&self, at: ShowTime) -> Option<u64> {
        self.covered.filter(|(whole, _)| at < *whole).map(|(_, run)| run)
    }

    /// A pause that lasted `by` and began at `frozen` is over.
    pub fn shift(&mut self, frozen: ShowTime, by: Span) {
        if self.ends > frozen {
            self.at += by;
            if self.ends != FOREVER {
                self.ends += by;
            }
            let covered = self.covered.as_mut().filter(|(whole, _)| *whole > frozen);
            covered.into_iter().for_each(|(whole, _)| *whole += by);
        }
    }

    /// When it is over; none if something has to end it.
    pub fn ends(&self) -> Option<ShowTime> {
        Some(self.seen_until()).filter(|ends| *ends != FOREVER)
    }

    /// Whether it has not begun by then.
    pub fn begins_after(&self, at: ShowTime) -> bool {
        self.at > at
    }

    /// Whether its last frame has been followed by another, so that nothing needs it.
    pub fn is_over(&self, now: ShowTime) -> bool {
        self.ends().is_some_and(|ends| ends + GRID <= now)
    }

    /// Whether a frame is to be sent whatever is in it: it begins, fades or ends.
    pub fn is_moving(&self, at: ShowTime) -> bool {
        let within = |begin: ShowTime, span: Span| begin <= at && at < begin + span + GRID;
        let begins = within(self.at, self.fade_in) && at < self.ends;
        begins || (self.ends != FOREVER && within(self.ends - self.fade_out, self.fade_out))
    }

    /// What was recorded for `at`, and of which slots. Neither allocates nor waits.
    pub fn show(
        &self,
        at: ShowTime,
        octets: &mut [u8; Universe::SLOTS],
        has: &mut [bool; Universe::SLOTS],
    ) {
        let mut read = [0; Universe::SLOTS];
        let gone = at - self.at + self.offset;
        let frame = match &self.stream {
            None => self.reel.at(self.within(gone)),
            Some((stream, index)) => {
                let length = stream.read(*index, gone, &mut read);
                &read[..length]
            }
        };
        for (first, recorded) in self.reel.stretch(frame) {
            let span = first..first + recorded.len();
            if let Some(octets) = octets.get_mut(span.clone()) {
                octets.copy_from_slice(recorded);
                has[span].fill(true);
            }
        }
    }

    /// What its frames are read by while it plays.
    pub fn stream(&self) -> Option<&Arc<Stream>> {
        self.stream.as_ref().map(|(stream, _)| stream)
    }

    /// Says to its stream that it will be drawn at `at`.
    pub fn ask(&self, at: ShowTime) {
        self.stream.iter().for_each(|(stream, _)| stream.ask(at - self.at + self.offset));
    }

    /// Where in the file it is.
    fn within(&self, gone: Span) -> Span {
        Span::from_ns(gone.ns().rem_euclid(self.length.ns().max(1)))
    }

    fn seen_until(&self) -> ShowTime {
        self.covered.map_or(self.ends, |(whole, _)| whole.min(self.ends))
    }

    /// How much of it is seen, 0 to [`ONE`].
    pub fn weight(&self, at: ShowTime) -> u32 {
        if at < self.at || at >= self.seen_until() {
            return 0;
        }
        let fade = |at, span| Fade { at, span, curve: Curve::Linear };
        let comes = fade(self.at, self.fade_in).weight(at);
        let goes = if self.ends == FOREVER {
            0
        } else {
            fade(self.ends - self.fade_out, self.fade_out).weight(at)
        };
        (u64::from(comes) * u64::from(ONE - goes) / u64::from(ONE)) as u32
    }
}

/// When a cue's capture is over; none if something has to end it.
pub fn ends(cue: &CaptureCue, at: ShowTime) -> Option<ShowTime> {
    match cue.loops {
        Loops::Times(times) => Some(at + cue.footage.length.times(times.into()) - cue.offset),
        Loops::Forever => None,
    }
}
