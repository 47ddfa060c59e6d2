//! The way between a phone and the box: TCP over a Wi-Fi that many talk on.
//!
//! In: when a word sets out. Out: when it arrives. Nothing is lost and nothing overtakes, for TCP sends again what
//! was lost and holds back what came behind it; so loss is heard as lateness.

use phone::Chance;
use units::{ShowTime, Span};

use crate::path::{RESEND_FIRST, scaled, wait};

/// A network that phones hang on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wifi {
    /// The way itself, each direction: no word is faster.
    pub way: Span,
    /// One direction is up to this much longer than the other, drawn for each phone. Half of it is the error that no
    /// time stamp shows.
    pub askew: Span,
    /// The mean wait in queues on top of it.
    pub jitter: Span,
    /// The share of words that get lost and are sent again, 0 to 1.
    pub loss: f64,
}

impl Wifi {
    /// A rehearsal room: one phone near its access point.
    pub const QUIET: Self = Self {
        way: Span::from_millis(1),
        askew: Span::ZERO,
        jitter: Span::from_micros(200),
        loss: 0.0,
    };
    /// A full house.
    pub const CROWDED: Self = Self {
        way: Span::from_millis(2),
        askew: Span::from_micros(500),
        jitter: Span::from_millis(8),
        loss: 0.02,
    };
}

/// Later than this a word would not be waited for any more.
const RESEND_MAX: Span = Span::from_secs(3);
/// A crowd talks in waves: queues stay long or short for about so long.
const WAVE: Span = Span::from_millis(700);

/// One direction.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    wifi: Wifi,
    floor: Span,
    /// How busy the air is in this wave, 1 on average.
    load: f64,
    wave_ends: ShowTime,
    last: ShowTime,
}

impl Way {
    pub(crate) fn new(wifi: Wifi, longer: Span) -> Self {
        let zero = ShowTime::ZERO;
        Self { wifi, floor: wifi.way + longer, load: 1.0, wave_ends: zero, last: zero }
    }

    /// It is another way from now on; nothing overtakes what set out before.
    pub(crate) fn roam(&mut self, wifi: Wifi, longer: Span) {
        (self.wifi, self.floor) = (wifi, wifi.way + longer);
    }

    /// When a word that sets out now arrives.
    pub(crate) fn arrival(&mut self, now: ShowTime, chance: &mut Chance) -> ShowTime {
        if now >= self.wave_ends {
            self.load = wait(chance);
            self.wave_ends = now + scaled(WAVE, wait(chance));
        }
        let queued = scaled(self.wifi.jitter, self.load * wait(chance));
        let arrives = now + self.floor + queued + self.resent(chance);
        self.last = self.last.max(arrives);
        self.last
    }

    /// Each time it gets lost, TCP waits twice as long.
    fn resent(&self, chance: &mut Chance) -> Span {
        let (mut late, mut patience) = (Span::ZERO, RESEND_FIRST);
        while late < RESEND_MAX && chance.share() < self.wifi.loss {
            late += patience;
            patience = patience.times(2);
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_order_and_none_is_faster_than_the_way() {
        let (mut way, mut chance) = (Way::new(Wifi::CROWDED, Span::ZERO), Chance::new(3));
        let mut last = ShowTime::ZERO;
        for k in 0..10_000 {
            let now = ShowTime::from_ns(k * 7_000_000);
            let arrives = way.arrival(now, &mut chance);
            assert!(arrives >= last && arrives - now >= Wifi::CROWDED.way);
            last = arrives;
        }
    }

    #[test]
    fn a_lost_word_is_a_late_one() {
        let wifi = Wifi { jitter: Span::ZERO, loss: 0.1, ..Wifi::QUIET };
        let (mut way, mut chance) = (Way::new(wifi, Span::ZERO), Chance::new(5));
        let arrivals = (0..1_000).map(|k| {
            let now = ShowTime::from_ns(k * 10_000_000_000);
            way.arrival(now, &mut chance) - now
        });
        let late = arrivals.filter(|late| *late >= RESEND_FIRST).count();
        assert!((70..130).contains(&late), "{late} of a thousand");
    }
}
