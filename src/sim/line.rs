//! A phone's socket to the box, both ends and the words between them.
//!
//! A phone has one at a time; what the box sees of them is one row of [`FromPhone`]: opened, words, closed.

use std::collections::VecDeque;
use std::sync::Arc;

use phone::{Chance, Event};
use units::{ShowTime, Span};

use crate::path::{next_try, scaled};
use crate::wifi::{Way, Wifi};

/// What reaches the box from one phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromPhone {
    /// A socket opened.
    Opened,
    /// It said this.
    Said(Arc<str>),
    /// The socket is gone.
    Closed,
}

/// What reaches the phone.
#[derive(Debug, Clone)]
enum ToPhone {
    Opened,
    Said(Arc<str>),
    Closed,
}

/// The socket and the way it goes.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    phase: Phase,
    up: Way,
    down: Way,
    going: VecDeque<(ShowTime, FromPhone)>,
    coming: VecDeque<(ShowTime, ToPhone)>,
    /// Since when the box is out of reach.
    lost: Option<ShowTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Opening,
    Open,
}

impl Line {
    pub(crate) fn new(wifi: Wifi, chance: &mut Chance) -> Self {
        let skew = askew(wifi, chance);
        Self {
            phase: Phase::Closed,
            up: Way::new(wifi, skew.max(Span::ZERO)),
            down: Way::new(wifi, (-skew).max(Span::ZERO)),
            going: VecDeque::new(),
            coming: VecDeque::new(),
            lost: None,
        }
    }

    /// The way is another one from now on; what is under way keeps its time.
    pub(crate) fn roam(&mut self, wifi: Wifi, chance: &mut Chance) {
        let skew = askew(wifi, chance);
        self.up.roam(wifi, skew.max(Span::ZERO));
        self.down.roam(wifi, (-skew).max(Span::ZERO));
    }

    /// The phone knocks.
    pub(crate) fn open(&mut self, now: ShowTime, chance: &mut Chance) {
        self.phase = Phase::Opening;
        let knocked = self.up.arrival(now, chance);
        self.going.push_back((knocked, FromPhone::Opened));
        self.coming.push_back((self.down.arrival(knocked, chance), ToPhone::Opened));
    }

    /// The phone knocks where the machine is up and nobody serves: it is told so at once.
    pub(crate) fn knock_refused(&mut self, now: ShowTime, chance: &mut Chance) {
        self.phase = Phase::Opening;
        let knocked = self.up.arrival(now, chance);
        self.coming.push_back((self.down.arrival(knocked, chance), ToPhone::Closed));
    }

    /// The phone knocks where no machine is: nothing comes back.
    pub(crate) fn knock_in_vain(&mut self) {
        self.phase = Phase::Opening;
    }

    /// The phone closes it; words on their way are lost with it.
    pub(crate) fn close(&mut self, now: ShowTime, chance: &mut Chance) {
        let known = !self.going.iter().any(|(_, word)| *word == FromPhone::Opened);
        self.going.retain(|(_, word)| *word == FromPhone::Closed);
        if self.phase != Phase::Closed && known {
            self.going.push_back((self.up.arrival(now, chance), FromPhone::Closed));
        }
        self.coming.clear();
        self.phase = Phase::Closed;
    }

    /// The phone says something.
    pub(crate) fn say(&mut self, now: ShowTime, text: String, chance: &mut Chance) {
        assert_eq!(self.phase, Phase::Open, "nothing is said into a closed socket: {text}");
        self.going.push_back((self.up.arrival(now, chance), FromPhone::Said(text.into())));
    }

    /// The box says something.
    pub(crate) fn tell(&mut self, now: ShowTime, text: Arc<str>, chance: &mut Chance) {
        self.send(now, ToPhone::Said(text), chance);
    }

    /// The box closes it.
    pub(crate) fn dismiss(&mut self, now: ShowTime, chance: &mut Chance) {
        self.send(now, ToPhone::Closed, chance);
    }

    /// What the box sends into a socket that the phone has given up is lost.
    fn send(&mut self, now: ShowTime, word: ToPhone, chance: &mut Chance) {
        let given_up = self.going.iter().any(|(_, word)| !matches!(word, FromPhone::Said(_)));
        if self.phase != Phase::Closed && !given_up {
            self.coming.push_back((self.down.arrival(now, chance), word));
        }
    }

    /// From now on nothing arrives, either way.
    pub(crate) fn lose(&mut self, now: ShowTime) {
        self.lost.get_or_insert(now);
    }

    /// The box is in reach again. What was on its way arrives when TCP tries the next time, and it has become slow
    /// to try; that a socket was given up is learnt at once.
    pub(crate) fn find(&mut self, now: ShowTime) {
        let Some(lost) = self.lost.take() else { return };
        for (at, word) in &mut self.going {
            *at = if *word == FromPhone::Closed { now } else { next_try(lost.max(*at), now) };
        }
        for (at, _) in &mut self.coming {
            *at = next_try(lost.max(*at), now);
        }
    }

    /// When something arrives next, at either end.
    pub(crate) fn next(&self) -> Option<ShowTime> {
        let fronts = [self.going.front().map(|it| it.0), self.coming.front().map(|it| it.0)];
        fronts.into_iter().flatten().min().filter(|_| self.lost.is_none())
    }

    /// What has reached the box.
    pub(crate) fn poll_box(&mut self, now: ShowTime) -> Option<FromPhone> {
        if self.lost.is_some() || self.going.front().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        self.going.pop_front().map(|(_, word)| word)
    }

    /// What has reached the phone, whose page shows `at_ms`.
    pub(crate) fn poll_phone(&mut self, now: ShowTime, at_ms: f64) -> Option<Event> {
        if self.lost.is_some() || self.coming.front().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        let (_, word) = self.coming.pop_front()?;
        Some(match word {
            ToPhone::Opened => {
                self.phase = Phase::Open;
                Event::Opened
            }
            ToPhone::Said(text) => Event::Heard { text: text.to_string(), at_ms: Some(at_ms) },
            ToPhone::Closed => {
                self.phase = Phase::Closed;
                self.coming.clear();
                Event::Closed
            }
        })
    }
}

/// How much longer the way up is than the way down; negative is shorter.
fn askew(wifi: Wifi, chance: &mut Chance) -> Span {
    scaled(wifi.askew, 2.0 * chance.share() - 1.0)
}
