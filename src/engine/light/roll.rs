//! Recorded light that plays: a roll takes the slots of its universe while it runs, over everything that cues do.
//!
//! What it shows is a function of show time alone. It fades in from, and out to, whatever lies beneath it; of several
//! the one that was ordered last lies on top.

use std::sync::Arc;

use units::{ShowTime, Span, Universe};

use super::fade::{FOREVER, Fade, ONE};
use super::master::{WHOLE, scaled};
use super::plan::GRID;
use crate::show::{CaptureCue, Curve, Loops, Reel};

/// A reel of a cue.
#[derive(Debug, Clone, PartialEq)]
pub struct Roll {
    /// Which run of a cue it belongs to, and the list's index.
    pub run: u64,
    pub list: usize,
    at: ShowTime,
    ends: ShowTime,
    offset: Span,
    length: Span,
    fade_in: Span,
    fade_out: Span,
    reel: Arc<Reel>,
}

impl Roll {
    pub fn new(run: u64, list: usize, at: ShowTime, cue: &CaptureCue, reel: Arc<Reel>) -> Self {
        let ends = ends(cue, at).unwrap_or(FOREVER);
        let (offset, length) = (cue.offset, cue.footage.length);
        let (fade_in, fade_out) = (cue.fade_in, cue.fade_out);
        Self { run, list, at, ends, offset, length, fade_in, fade_out, reel }
    }

    /// Ends it within `span`, or within its own fade; what ends sooner anyway, or fades already, goes on so.
    pub fn stop(&mut self, at: ShowTime, span: Option<Span>) {
        let span = span.unwrap_or(self.fade_out);
        let fades_already = self.ends != FOREVER && at >= self.ends - self.fade_out;
        if at + span < self.ends && !fades_already {
            (self.ends, self.fade_out) = (at + span, span);
        }
    }

    /// Lies beneath another one from `at` on: nobody sees it any more once that one is whole.
    pub fn cover(&mut self, by: &Self) {
        self.stop_dead(by.at + by.fade_in);
    }

    fn stop_dead(&mut self, at: ShowTime) {
        if at < self.ends {
            (self.ends, self.fade_out) = (at, Span::ZERO);
        }
    }

    /// A pause that lasted `by` and began at `frozen` is over.
    pub fn shift(&mut self, frozen: ShowTime, by: Span) {
        if self.ends > frozen {
            self.at += by;
            if self.ends != FOREVER {
                self.ends += by;
            }
        }
    }

    /// When it is over; none if something has to end it.
    pub fn ends(&self) -> Option<ShowTime> {
        Some(self.ends).filter(|ends| *ends != FOREVER)
    }

    /// Whether it has not begun by then.
    pub fn begins_after(&self, at: ShowTime) -> bool {
        self.at > at
    }

    /// Whether its last frame has been followed by another, so that nothing needs it.
    pub fn is_over(&self, now: ShowTime) -> bool {
        self.ends != FOREVER && self.ends + GRID <= now
    }

    /// Whether a frame is to be sent whatever is in it: it begins, fades or ends.
    pub fn is_moving(&self, at: ShowTime) -> bool {
        let within = |begin: ShowTime, span: Span| begin <= at && at < begin + span + GRID;
        let begins = within(self.at, self.fade_in) && at < self.ends;
        begins || (self.ends != FOREVER && within(self.ends - self.fade_out, self.fade_out))
    }

    /// Draws it over what is there, as much of it as a blackout leaves. Neither allocates nor waits.
    pub fn draw(&self, at: ShowTime, blackout: u32, slots: &mut [u8; Universe::SLOTS]) {
        let weight = self.weight(at);
        if weight == 0 {
            return;
        }
        for (first, recorded) in self.reel.at(self.place(at)) {
            let Some(slots) = slots.get_mut(first..first + recorded.len()) else { continue };
            match (weight, blackout) {
                (ONE, WHOLE) => slots.copy_from_slice(recorded),
                _ => slots.iter_mut().zip(recorded).for_each(|(slot, recorded)| {
                    *slot = mix(*slot, scaled(u32::from(*recorded), blackout) as u8, weight);
                }),
            }
        }
    }

    /// Where in the file it is.
    fn place(&self, at: ShowTime) -> Span {
        let gone = (at - self.at + self.offset).ns();
        Span::from_ns(gone.rem_euclid(self.length.ns().max(1)))
    }

    fn weight(&self, at: ShowTime) -> u32 {
        if at < self.at || at >= self.ends {
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

fn mix(under: u8, over: u8, weight: u32) -> u8 {
    let sum = u64::from(under) * u64::from(ONE - weight) + u64::from(over) * u64::from(weight);
    ((sum + u64::from(ONE / 2)) / u64::from(ONE)) as u8
}
