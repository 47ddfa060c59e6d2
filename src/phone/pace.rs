//! How often the clock is asked.
//!
//! In: what was asked, how sure we are, what the box asks for. Out: when to ask next. Never: by which way.
//!
//! A burst first, since sound waits for it. Then the gaps grow with the age of the estimate: what is left to learn
//! is where the floors of a busy way are and the crystal's skew, and that takes a long base line more than many
//! answers. A thousand phones that asked on as they
//! began would fill the air that the answers have to come through.
//!
//! When nothing is left to learn it is a pair of questions now and then: the first one wakes a Wi-Fi that sleeps
//! between beacons, and the second finds it awake.

use units::{MonoTime, Span};

use crate::chance::Chance;

/// The pace.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    burst: Option<Burst>,
    /// The first of a pair has been asked.
    half: bool,
    /// When the last burst began: since then the answers tell one story.
    since: MonoTime,
    next: MonoTime,
    asked_for: AskedFor,
}

#[derive(Debug, Clone, Copy)]
struct Burst {
    kind: Kind,
    left: u32,
}

/// Why there is a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The socket opened: the box counts on it.
    Opening,
    /// Something happened that the box does not know of: it may happen to a thousand phones at once.
    Check,
}

/// The least time between two questions that the box asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AskedFor {
    /// On average.
    pub(crate) always: Span,
    /// In the burst after the socket opened.
    pub(crate) opening: Span,
}

/// Ten questions a second are allowed (SX-17); a burst at eight stays clear of it.
const BURST_GAP: Span = Span::from_millis(125);
const BURST: u32 = 10;
const CHECK: u32 = 4;
/// A beacon comes every tenth of a second; a radio that was woken stays awake that long.
const PAIR_GAP: Span = Span::from_millis(40);
/// The first gap after a burst. A pair on its heels would be the eleventh question of a second.
const CALM_FIRST: Span = Span::from_millis(500);
/// Later gaps are this part of the story that they lengthen. A line is twice as unsure at its end as in its middle;
/// a tenth of its length further on that is a seventh more, a quarter further two fifths more. Growing with the time
/// that went by and not from gap to gap, it is the same for a phone that a full house held back at first.
const GAPS_IN_STORY: i64 = 10;
/// While the estimate is poor.
const DOUBTFUL_MAX: Span = Span::from_secs(2);
/// In 20 s a crystal whose skew is known to a part in a million strays by 20 us; and a QUIC session that is quiet for
/// 30 s is closed by browsers.
const CALM_MAX: Span = Span::from_secs(20);
/// One sigma of an estimate that is good enough: nobody hears it between two phones.
const SURE: Span = Span::from_micros(500);
/// A lost question is asked again.
const AGAIN: Span = Span::from_millis(250);
/// Whatever a box asks for, a phone asks now and then.
const ASKED_FOR_MAX: Span = Span::from_secs(60);

impl Pace {
    pub(crate) fn new(now: MonoTime) -> Self {
        Self { burst: None, half: false, since: now, next: now, asked_for: AskedFor::default() }
    }

    /// The socket opened: all is new.
    pub(crate) fn handle_opened(&mut self, now: MonoTime) {
        self.asked_for = AskedFor::default();
        self.begin(now, Kind::Opening, BURST);
    }

    /// The estimate may be wrong: the phone slept or roamed, another way has another length, an answer contradicts it.
    pub(crate) fn handle_doubt(&mut self, now: MonoTime) {
        if self.burst.is_none() {
            self.begin(now, Kind::Check, CHECK);
        }
    }

    /// A question got no answer.
    pub(crate) fn handle_missed(&mut self, now: MonoTime) {
        self.next = self.next.min(now + AGAIN.max(self.asked_for.always));
    }

    /// The box asks for fewer questions, or lets go of that.
    pub(crate) fn handle_asked_for(&mut self, asked_for: AskedFor) {
        let limited = |span: Span| span.max(Span::ZERO).min(ASKED_FOR_MAX);
        self.asked_for =
            AskedFor { always: limited(asked_for.always), opening: limited(asked_for.opening) };
    }

    /// The box refused a question.
    pub(crate) fn handle_rate_limited(&mut self, now: MonoTime) {
        (self.burst, self.half) = (None, false);
        self.next = now + DOUBTFUL_MAX;
    }

    /// When to ask.
    pub(crate) fn next(&self) -> MonoTime {
        self.next
    }

    /// Asked, with an estimate of which one sigma is known.
    pub(crate) fn handle_asked(&mut self, now: MonoTime, doubt: Option<Span>, chance: &mut Chance) {
        self.next = now + self.wait(now, doubt, chance);
    }

    fn wait(&mut self, now: MonoTime, doubt: Option<Span>, chance: &mut Chance) -> Span {
        let AskedFor { always, opening } = self.asked_for;
        if let Some(burst) = self.burst {
            let left = burst.left - 1;
            self.burst = (left > 0).then_some(Burst { left, ..burst });
            return BURST_GAP.max(if burst.kind == Kind::Opening { opening } else { always });
        }
        self.half = !self.half;
        if self.half {
            return PAIR_GAP;
        }
        let grown = Span::from_ns((now - self.since).ns() / GAPS_IN_STORY);
        let gap = grown.max(CALM_FIRST).min(longest(doubt)).max(always.times(2));
        // Phones that began together are not to go on together.
        Span::from_secs_f64(gap.secs_f64() * (1.0 + 0.2 * chance.share()))
    }

    fn begin(&mut self, now: MonoTime, kind: Kind, left: u32) {
        self.burst = Some(Burst { kind, left });
        (self.half, self.since, self.next) = (false, now, now);
    }
}

/// How seldom one may ask who is this much in doubt.
fn longest(doubt: Option<Span>) -> Span {
    let share = |doubt: Span| SURE.secs_f64() / doubt.max(SURE).secs_f64();
    let longest =
        doubt.map_or(Span::ZERO, |doubt| Span::from_secs_f64(CALM_MAX.secs_f64() * share(doubt)));
    longest.max(DOUBTFUL_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> MonoTime {
        MonoTime::from_ns(ms * 1_000_000)
    }

    /// Asks whenever it may; gives when.
    fn asks(pace: &mut Pace, until: MonoTime, doubt: Option<Span>) -> Vec<MonoTime> {
        let mut chance = Chance::new(1);
        let mut asks = Vec::new();
        while pace.next() < until {
            let now = pace.next();
            pace.handle_asked(now, doubt, &mut chance);
            asks.push(now);
        }
        asks
    }

    fn opened() -> Pace {
        let mut pace = Pace::new(at(0));
        pace.handle_opened(at(0));
        pace
    }

    fn in_any_second(asks: &[MonoTime]) -> usize {
        let within = |from: &MonoTime| {
            asks.iter().filter(|it| **it >= *from && **it - *from < Span::from_secs(1)).count()
        };
        asks.iter().map(within).max().unwrap_or(0)
    }

    #[test]
    fn sx17_questions_come_in_a_burst_then_seldom_and_never_more_than_ten_a_second() {
        let mut pace = opened();
        let asks = asks(&mut pace, at(300_000), Some(Span::from_micros(400)));
        let before = |ms| asks.iter().filter(|it| **it < at(ms)).count();
        assert!(before(1_300) >= 10, "the burst");
        assert!((50..80).contains(&before(60_000)), "{}", before(60_000));
        let late = asks.len() - before(200_000);
        assert!((6..=12).contains(&late), "{late} in 100 s: a pair every 20 s");
        assert!(in_any_second(&asks) <= 10, "{}", in_any_second(&asks));
    }

    #[test]
    fn a_phone_that_a_full_house_held_back_is_as_calm_after_minutes_as_one_that_was_alone() {
        let late = |always| {
            let mut pace = opened();
            pace.handle_asked_for(AskedFor { always, opening: always });
            let asks = asks(&mut pace, at(240_000), Some(Span::ZERO));
            asks.iter().filter(|it| **it > at(150_000)).count()
        };
        let [alone, held_back] = [Span::ZERO, Span::from_millis(2_500)].map(late);
        assert!(alone.abs_diff(held_back) <= 2, "{alone} and {held_back} questions");
    }

    #[test]
    fn a_phone_that_is_in_doubt_asks_on() {
        let late = |doubt| {
            asks(&mut opened(), at(160_000), doubt).iter().filter(|it| **it > at(60_000)).count()
        };
        let counts = [None, Some(Span::from_millis(2)), Some(Span::from_micros(500))].map(late);
        assert!(counts[0] > 80 && counts[1] > 30 && counts[2] < 20, "{counts:?}");
    }

    #[test]
    fn a_doubt_brings_a_short_burst_and_another_one_within_it_nothing() {
        let mut pace = opened();
        asks(&mut pace, at(100_000), Some(Span::ZERO));
        pace.handle_doubt(at(100_000));
        pace.handle_doubt(at(100_001));
        let again = asks(&mut pace, at(101_000), Some(Span::ZERO));
        assert_eq!((again[0], again.len()), (at(100_000), 6), "four, and a pair after them");
    }

    #[test]
    fn a_box_that_asks_for_a_second_gets_it_in_the_burst_and_after_it() {
        let mut pace = opened();
        let second = Span::from_secs(1);
        pace.handle_asked_for(AskedFor { always: second.times(15), opening: second });
        let asks = asks(&mut pace, at(400_000), Some(Span::ZERO));
        assert!(asks[..10].windows(2).all(|pair| pair[1] - pair[0] == second), "{asks:?}");
        let late = asks.iter().filter(|it| **it > at(100_000)).count();
        assert!((16..=22).contains(&late), "{late} in 300 s: one in 15 s on average");
    }

    #[test]
    fn a_lost_question_is_asked_again_soon_and_no_sooner_than_the_box_wants() {
        let mut pace = opened();
        asks(&mut pace, at(100_000), Some(Span::ZERO));
        pace.handle_missed(at(100_000));
        assert!(pace.next() <= at(100_250));
        pace.handle_asked_for(AskedFor { always: Span::from_secs(2), opening: Span::ZERO });
        pace.next = at(200_000);
        pace.handle_missed(at(110_000));
        assert_eq!(pace.next(), at(112_000));
    }

    #[test]
    fn a_box_cannot_silence_a_phone_for_good() {
        let mut pace = opened();
        let ever = Span::from_secs(1_000_000);
        pace.handle_asked_for(AskedFor { always: ever, opening: ever });
        assert!(asks(&mut pace, at(3_600_000), None).len() > 10);
        pace.handle_asked_for(AskedFor { always: -ever, opening: -ever });
        assert!(in_any_second(&asks(&mut pace, at(3_700_000), None)) <= 10);
    }
}
