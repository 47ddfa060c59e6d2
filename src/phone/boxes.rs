//! Which box a phone is with, and where it goes when that one is gone.
//!
//! In: what boxes say of themselves and of each other, sockets that opened and that did not, and the time. Out: at whose
//! door to knock, and whether at once. Never: a socket.
//!
//! A box that died answers nobody, and a phone that only knocks at its door again hears no order until somebody has
//! brought that box back. So a phone keeps the doors that it was told of and goes round: the one it had first, for most
//! sockets die of the Wi-Fi, then each other one at once; it waits only between two rounds. A box that stands by sends it
//! on to the one that drives. Two boxes that were cut apart may each name the other: a phone that is sent on and on stays
//! where it is, and asks again later.

use units::{MonoTime, Span};
use uuid::Uuid;
use wire::solusync::{BoxAt, NodeType, Standing};

use crate::chance::Chance;

/// The boxes.
#[derive(Debug, Clone)]
pub(crate) struct Boxes {
    /// Over TLS, like the page: browsers let it open nothing else.
    is_secure: bool,
    /// Where the page came from, which may lead to another box tomorrow.
    home: String,
    /// All places, home among them; never empty.
    places: Vec<Place>,
    /// Where it is, or knocks.
    at: usize,
    /// Whether a box has said hello there.
    is_met: bool,
    /// Where the round began, and how many knocks came to nothing since.
    first: usize,
    failures: usize,
    /// It was sent there by another.
    sent: Option<Sent>,
    /// How often it was sent on, one after the other.
    hops: usize,
    /// Since when it is with a box that drives; none if that one stands by.
    settled: Option<MonoTime>,
    /// When it tries again to go where it was sent: to this box.
    again: Option<(MonoTime, Uuid)>,
    /// Times that it had to put that off.
    put_off: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    node: Option<Uuid>,
    url: String,
    /// When it was last knocked at in vain.
    failed: Option<MonoTime>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    from: usize,
    failures: u32,
}

/// What to do when a socket is gone, or would not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knock {
    /// Somebody else may be there.
    AtOnce,
    /// All were tried, or none but this one.
    Later,
}

/// Where to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    Stay,
    /// To the box that drives.
    Go,
}

/// More at a time is no cluster of a stage.
const PLACES_MAX: usize = 16;
const URL_MAX: usize = 200;
/// A handshake over a bad Wi-Fi takes half of it. Later rounds have more patience: over satellites it takes longer.
const OPENING: Span = Span::from_secs(2);
/// Where there is nobody else to try.
const OPENING_MAX: Span = Span::from_secs(6);
/// A box that was sent for and does not open is tried once more.
const SENT_MAX: u32 = 2;
/// A box that has just not opened is not gone to because another says so.
const FAILED_LATELY: Span = Span::from_secs(5);
/// Whoever was so long with a box that drives is sent on anew.
const SETTLED_AFTER: Span = Span::from_secs(10);
const AGAIN_FIRST: Span = Span::from_secs(10);
const AGAIN_DOUBLINGS_MAX: u32 = 3;

impl Boxes {
    /// A page that came from this origin; empty where nobody knows.
    pub(crate) fn new(url: &str) -> Self {
        Self {
            is_secure: url.starts_with("https:"),
            home: url.to_owned(),
            places: vec![Place { node: None, url: url.to_owned(), failed: None }],
            at: 0,
            is_met: false,
            first: 0,
            failures: 0,
            sent: None,
            hops: 0,
            settled: None,
            again: None,
            put_off: 0,
        }
    }

    /// At whose door to knock.
    pub(crate) fn url(&self) -> &str {
        &self.places[self.at].url
    }

    /// How long it may take to open.
    pub(crate) fn opening(&self) -> Span {
        match self.places.len() {
            1 => OPENING_MAX,
            places => OPENING.times(1 + (self.failures / places) as i64).min(OPENING_MAX),
        }
    }

    /// Whether there is another one to go to.
    pub(crate) fn are_several(&self) -> bool {
        self.places.len() > 1
    }

    /// Whether the box that it is with drives, as far as that one says.
    pub(crate) fn is_with_driver(&self) -> bool {
        self.is_met && self.settled.is_some()
    }

    /// Its socket is gone, or would not open.
    pub(crate) fn handle_closed(&mut self, now: MonoTime) -> Knock {
        self.again = None;
        if std::mem::take(&mut self.is_met) {
            (self.first, self.failures) = (self.at, 0);
            return Knock::Later;
        }
        self.places[self.at].failed = Some(now);
        match &mut self.sent {
            Some(sent) if sent.failures + 1 < SENT_MAX => {
                sent.failures += 1;
                Knock::Later
            }
            Some(sent) => {
                self.at = sent.from;
                self.sent = None;
                Knock::AtOnce
            }
            None => self.knock_next(),
        }
    }

    /// It has heard nothing for long, and nothing happened to itself: whoever is silent is asked last. That the box is dead is not
    /// said: it may be the way to it.
    pub(crate) fn handle_silent(&mut self) -> Knock {
        (self.again, self.sent, self.is_met, self.hops) = (None, None, false, 0);
        (self.first, self.failures) = (self.at, 0);
        self.knock_next()
    }

    fn knock_next(&mut self) -> Knock {
        let places = self.places.len();
        self.failures += 1;
        self.at = (self.first + self.failures) % places;
        if self.failures.is_multiple_of(places) { Knock::Later } else { Knock::AtOnce }
    }

    /// The box `from`, with which it is, said what it is and among which.
    pub(crate) fn handle_standing(
        &mut self,
        now: MonoTime,
        from: Uuid,
        standing: Standing,
        chance: &mut Chance,
    ) -> Course {
        self.learn(from, standing.cluster_info.boxes);
        (self.is_met, self.sent, self.again) = (true, None, None);
        (self.first, self.failures) = (self.at, 0);
        if standing.node_type != NodeType::Replica {
            self.settled = self.settled.or(Some(now));
            return Course::Stay;
        }
        if self.settled.take().is_some_and(|since| now - since >= SETTLED_AFTER) {
            (self.hops, self.put_off) = (0, 0);
        }
        self.go_or_wait(now, standing.cluster_info.master_id, chance)
    }

    /// Whether it is time to try once more to go where it was sent.
    pub(crate) fn poll(&mut self, now: MonoTime, chance: &mut Chance) -> Course {
        match self.again {
            Some((at, master)) if at <= now => {
                (self.again, self.hops) = (None, 0);
                self.go_or_wait(now, master, chance)
            }
            _ => Course::Stay,
        }
    }

    /// When [`Boxes::poll`] has something; none while it is where it is to be.
    pub(crate) fn next_wake(&self) -> Option<MonoTime> {
        self.again.map(|(at, _)| at)
    }

    fn go_or_wait(&mut self, now: MonoTime, master: Uuid, chance: &mut Chance) -> Course {
        let place = self.places.iter().position(|it| it.node == Some(master));
        let Some(place) = place.filter(|place| *place != self.at) else { return Course::Stay };
        let has_failed = self.places[place].failed.is_some_and(|at| now - at < FAILED_LATELY);
        if has_failed || self.hops + 1 >= self.places.len() {
            let wait = AGAIN_FIRST.times(1 << self.put_off.min(AGAIN_DOUBLINGS_MAX));
            let share = 0.5 + 0.5 * chance.share();
            self.again = Some((now + Span::from_secs_f64(wait.secs_f64() * share), master));
            self.put_off += 1;
            return Course::Stay;
        }
        self.hops += 1;
        self.sent = Some(Sent { from: self.at, failures: 0 });
        (self.at, self.is_met) = (place, false);
        Course::Go
    }

    /// Takes in where boxes are. Where it got through goes before what it is told: a name may lead where a number does not.
    fn learn(&mut self, from: Uuid, told: Vec<BoxAt>) {
        self.places[self.at].node = Some(from);
        let here = self.places[self.at].clone();
        let home = self.places.iter().find(|it| it.url == self.home).cloned();
        let own: Vec<Place> = [here.clone()].into_iter().chain(home).collect();
        let mut places: Vec<Place> = Vec::new();
        for it in told.into_iter().take(PLACES_MAX) {
            let known = own.iter().find(|known| known.node == Some(it.node_id)).cloned();
            add(&mut places, known.or_else(|| self.place(it)));
        }
        own.into_iter().for_each(|known| add(&mut places, Some(known)));
        self.at = places.iter().position(|it| it.url == here.url).expect("it is among them");
        self.places = places;
    }

    /// A place that may be opened from here.
    fn place(&self, told: BoxAt) -> Option<Place> {
        let (url, scheme) = match self.is_secure {
            true => (told.secure_url?, "https://"),
            false => (told.url, "http://"),
        };
        let failed = self.places.iter().find(|it| it.url == url).and_then(|it| it.failed);
        (url.starts_with(scheme) && url.len() <= URL_MAX).then_some(Place {
            node: Some(told.node_id),
            url,
            failed,
        })
    }
}

fn add(places: &mut Vec<Place>, place: Option<Place>) {
    places.extend(place.filter(|it| !places.iter().any(|other| other.url == it.url)));
}

#[cfg(test)]
mod tests;
