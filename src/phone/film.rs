//! A film in step: its pictures are where the same track's sound would be on the audio clock.
//!
//! In: pieces of the film as the core ordered them, which picture is seen when, how the screen stands. Out: what the
//! screen is to do. Never here: a picture, a browser. It is a WebAssembly of its own (`pictures_door`), which pages fetch
//! when a show has films.
//!
//! A film hangs by its rate: a little faster or slower until its pictures change at their times. One that is off by more
//! than a picture is set to its place anew, as far ahead as the browser has taken for that before.

use units::Span;

use crate::scale::AudioTime;

/// From a time on the film is at a place, seconds, and goes on at a rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leg {
    /// When.
    pub at: AudioTime,
    /// Where.
    pub place: f64,
    /// How fast, near 1.
    pub rate: f64,
}

/// How the screen that shows it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Screen {
    /// Where it is, seconds.
    pub place: f64,
    /// Whether it runs.
    pub runs: bool,
    /// Whether it is on its way to another place.
    pub seeks: bool,
}

/// What the screen is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wish {
    /// Whether the film is seen, and runs.
    pub shown: bool,
    /// How fast it runs.
    pub rate: f64,
    /// Where it is to be set, seconds; none leaves it.
    pub set: Option<f64>,
}

/// A film.
#[derive(Debug, Clone)]
pub struct Film {
    length: f64,
    parts: Vec<Part>,
    /// By how much it is ahead, seconds, by so many looks.
    ahead: f64,
    looks: u32,
    /// How long a picture is, and the place of the last one.
    picture: f64,
    last: Option<f64>,
    /// It is to be set anew.
    is_lost: bool,
    rate: f64,
    set_at: Option<AudioTime>,
    /// What the browser is reckoned to take for setting it, and what was reckoned with the last time.
    lead: f64,
    led: f64,
}

/// What one order shows of it.
#[derive(Debug, Clone)]
struct Part {
    segment: u32,
    legs: Vec<Leg>,
    looped: bool,
    ends: Option<AudioTime>,
}

/// Until the film has shown how long its pictures are.
const PICTURE: f64 = 0.04;
/// No film shows fewer in a second; what is longer was left out.
const PICTURE_MAX: f64 = 0.2;
/// Times between looks that are no picture's.
const PICTURE_MIN: f64 = 0.001;
/// How much one look says of a picture's length.
const PICTURE_SHARE: f64 = 0.2;
/// A film that is off by less than a picture is there in so long, seconds.
const CORRECT_IN: f64 = 1.0;
const RATE_MAX: f64 = 0.05;
/// What a browser takes to set a film to a place, seconds, before it has shown it; and the most that is believed.
const LEAD: f64 = 0.15;
const LEAD_MAX: f64 = 1.0;
/// One look errs by a picture's share; so many are believed.
const LOOKS: u32 = 6;
/// A film that was just set is let run before it is judged.
const SETTLE: Span = Span::from_millis(400);
/// So long before its time a film is laid ready.
const READY: Span = Span::from_secs(2);
/// Changes of rate that are kept: the last counts, and those that were laid ahead.
const LEGS_MAX: usize = 16;
/// More at a time is a mistake.
const PARTS_MAX: usize = 32;

impl Film {
    /// So long, seconds.
    pub fn new(length: f64) -> Self {
        Self {
            length,
            parts: Vec::new(),
            ahead: 0.0,
            looks: 0,
            picture: PICTURE,
            last: None,
            is_lost: false,
            rate: 1.0,
            set_at: None,
            lead: LEAD,
            led: 0.0,
        }
    }

    /// A piece of it begins; the newest counts.
    pub fn handle_begin(&mut self, segment: u32, leg: Leg, looped: bool) {
        if self.parts.len() < PARTS_MAX {
            self.parts.push(Part { segment, legs: vec![leg], looped, ends: None });
        }
    }

    /// A piece goes on at another rate from a time on.
    pub fn handle_rate(&mut self, segment: u32, at: AudioTime, rate: f64) {
        let length = self.length;
        let Some(part) = self.parts.iter_mut().find(|part| part.segment == segment) else { return };
        let place = part.place(at, length);
        part.legs.push(Leg { at, place, rate });
        if part.legs.len() > LEGS_MAX {
            part.legs.remove(0);
        }
    }

    /// A piece ends.
    pub fn handle_end(&mut self, segment: u32, at: AudioTime) {
        let Some(part) = self.parts.iter_mut().find(|part| part.segment == segment) else { return };
        part.ends = Some(part.ends.map_or(at, |ends| ends.min(at)));
    }

    /// Whether a piece is one of this film's.
    pub fn owns(&self, segment: u32) -> bool {
        self.parts.iter().any(|part| part.segment == segment)
    }

    /// Whether anything of it is shown or will be.
    pub fn is_busy(&self) -> bool {
        !self.parts.is_empty()
    }

    /// The picture at `place` is seen from `at` on; what is heard now is `now`.
    pub fn handle_seen(&mut self, at: AudioTime, now: AudioTime, place: f64) {
        let step = place - self.last.replace(place).unwrap_or(place);
        if step > PICTURE_MIN && step < PICTURE_MAX {
            self.picture += PICTURE_SHARE * (step - self.picture);
        }
        let is_settled = self.set_at.is_none_or(|set| now >= set + SETTLE);
        let Some(part) = self.current(at).filter(|_| is_settled) else { return };
        let mut ahead = place - part.place(at, self.length);
        // Over the end of a loop the short way round counts.
        if part.looped {
            ahead -= (ahead / self.length).round() * self.length;
        }
        let wanted = part.rate();
        self.looks += 1;
        self.ahead += (ahead - self.ahead) / f64::from(self.looks.min(LOOKS));
        if self.looks < LOOKS {
            return;
        }
        if self.looks == LOOKS {
            // The first word on where it was set to.
            self.lead = (self.led - self.ahead).clamp(0.0, LEAD_MAX);
        }
        self.is_lost = self.ahead.abs() > self.picture;
        // A quarter of a picture is nothing that anybody sees.
        let correction = match self.ahead.abs() < self.picture / 4.0 {
            true => 0.0,
            false => (-self.ahead / CORRECT_IN).clamp(-RATE_MAX, RATE_MAX),
        };
        self.rate = wanted + correction;
    }

    /// What to do while `now` is heard.
    pub fn poll(&mut self, now: AudioTime, screen: Screen) -> Wish {
        let length = self.length;
        self.parts.retain(|part| {
            let is_ended = part.ends.is_some_and(|ends| ends <= now);
            !is_ended && (part.looped || part.place(now, length) < length)
        });
        let Some(part) = self.current(now).cloned() else { return self.lay_ready(now, screen) };
        match screen.runs {
            false => self.set(now, &part, 0.0),
            true if self.is_lost => self.set(now, &part, self.lead),
            true => Wish { shown: true, rate: self.rate, set: None },
        }
    }

    fn set(&mut self, now: AudioTime, part: &Part, lead: f64) -> Wish {
        (self.set_at, self.led) = (Some(now), lead);
        (self.ahead, self.looks, self.is_lost) = (0.0, 0, false);
        self.rate = part.rate();
        let place = part.place(now + Span::from_secs_f64(lead), self.length);
        Wish { shown: true, rate: self.rate, set: Some(place.min(self.length)) }
    }

    /// Where what comes next begins, so that it has only to run when its time is there.
    fn lay_ready(&self, now: AudioTime, screen: Screen) -> Wish {
        let soon = now + READY;
        let coming = self.parts.iter().map(|part| part.legs[0]).find(|leg| leg.at < soon);
        let set = coming
            .map(|leg| leg.place)
            .filter(|place| !screen.seeks && (screen.place - place).abs() > self.picture);
        Wish { shown: false, rate: 1.0, set }
    }

    /// The part that counts at a time.
    fn current(&self, at: AudioTime) -> Option<&Part> {
        let counts = |part: &&Part| part.legs[0].at <= at && part.ends.is_none_or(|ends| at < ends);
        self.parts.iter().rev().find(counts)
    }
}

impl Part {
    /// Where in the film it is at a time, seconds.
    fn place(&self, at: AudioTime, length: f64) -> f64 {
        let leg = self.legs.iter().rev().find(|leg| leg.at <= at).unwrap_or(&self.legs[0]);
        let place = leg.place + leg.rate * (at - leg.at).secs_f64();
        if self.looped { place.rem_euclid(length) } else { place }
    }

    fn rate(&self) -> f64 {
        self.legs[self.legs.len() - 1].rate
    }
}

#[cfg(test)]
mod tests;
