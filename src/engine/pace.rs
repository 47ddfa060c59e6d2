//! Decides how much time phones leave between their clock questions, so that the house stays under a limit.
//!
//! In: who comes, how many are here, how busy the box is. Out: a [`ClockPace`] to tell, and whom. Never: sockets.
//!
//! A phone alone asks as it likes: ten questions in its first second, then ever fewer. A thousand that open their
//! pages together would ask eight thousand times in that second, and each answer would come late through what the
//! others ask. So half of the limit is shared by those who have just come, and half by all who are here.

use std::collections::VecDeque;

use units::{PhoneId, ShowTime, Span};
use wire::solusync::ClockPace;

use crate::told::To;

/// The house's pace.
#[derive(Debug)]
pub struct HousePace {
    /// Questions in a second, of all phones together.
    limit: f64,
    /// When those came who may still be in their first burst.
    came: VecDeque<ShowTime>,
    told: ClockPace,
}

/// Each half of the limit is planned for less than it has, since phones do not ask in step.
const PLANNED: f64 = 0.4;
/// Questions of a phone's first burst (`phone::pace`), and the least time between them.
const BURST: i64 = 10;
const BURST_GAP: Span = Span::from_millis(125);
/// A socket opens some time before its `hello` is here, and its burst may be held up.
const LATE: Span = Span::from_secs(1);
/// Who asks so seldom by themselves need not be asked for it.
const NO_MATTER_MS: f64 = 100.0;
/// A box that is busier than this has better things to do.
const BUSY: f64 = 0.85;

impl HousePace {
    /// Nobody is here.
    pub fn new(limit_per_second: usize) -> Self {
        Self { limit: limit_per_second as f64, came: VecDeque::new(), told: ClockPace::default() }
    }

    /// A phone came, one of so many; whom to tell what.
    pub fn handle_joined(
        &mut self,
        now: ShowTime,
        phone: PhoneId,
        phones: usize,
    ) -> Option<(To, ClockPace)> {
        self.came.push_back(now);
        if let Some(pace) = self.poll(now, phones, None) {
            return Some((To::All, pace));
        }
        (self.told != ClockPace::default()).then_some((To::One(phone), self.told))
    }

    /// Time went by; what all are to be told, if that has changed. `busy` is the box's own load, 0 to 1.
    pub fn poll(&mut self, now: ShowTime, phones: usize, busy: Option<f64>) -> Option<ClockPace> {
        let opening = Span::from_millis(i64::from(self.told.opening_interval_ms));
        let burst = opening.max(BURST_GAP).times(BURST) + LATE;
        // Who says `hello` again and again, or comes only to go, is not more than those who are here; and a clock that
        // stepped back has forgotten when anybody came.
        let is_over = |came: &ShowTime| now - *came > burst || *came > now;
        while self.came.len() > phones || self.came.front().is_some_and(is_over) {
            self.came.pop_front();
        }
        let limit =
            if busy.is_some_and(|busy| busy > BUSY) { self.limit / 2.0 } else { self.limit };
        let needed = |phones: usize| 1e3 * phones as f64 / (PLANNED * limit);
        let pace = ClockPace {
            min_interval_ms: moved(self.told.min_interval_ms, needed(phones)),
            opening_interval_ms: moved(self.told.opening_interval_ms, needed(self.came.len())),
        };
        (std::mem::replace(&mut self.told, pace) != pace).then_some(pace)
    }
}

/// An interval that is too short grows at once; one that is too long shrinks only when half of it would do. In steps,
/// so that few changes have to be told.
fn moved(told_ms: u32, needed_ms: f64) -> u32 {
    let told = f64::from(told_ms);
    if needed_ms > told || needed_ms < told / 2.0 { step(needed_ms) } else { told_ms }
}

/// The next step up: each is half as long again as the one before.
fn step(needed_ms: f64) -> u32 {
    let mut step = NO_MATTER_MS;
    while step < needed_ms && step < 60_000.0 {
        step *= 1.5;
    }
    if needed_ms <= NO_MATTER_MS { 0 } else { step.round() as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> ShowTime {
        ShowTime::from_ns(ms * 1_000_000)
    }

    fn join(house: &mut HousePace, now: ShowTime, number: usize) -> Option<(To, ClockPace)> {
        house.handle_joined(now, PhoneId(number as u64), number)
    }

    #[test]
    fn forty_phones_are_asked_for_nothing() {
        let mut house = HousePace::new(1_000);
        for number in 1..=40 {
            assert_eq!(join(&mut house, at(number as i64 * 50), number), None);
        }
    }

    #[test]
    fn a_thousand_who_come_together_wait_for_each_other_and_are_let_go_again() {
        let mut house = HousePace::new(1_000);
        let mut told = 0;
        for number in 1..=1_000 {
            told += usize::from(matches!(
                join(&mut house, at(number as i64), number),
                Some((To::All, _))
            ));
        }
        assert!(told < 20, "{told} times for everybody");
        let ClockPace { min_interval_ms, opening_interval_ms } = house.told;
        assert!((2_500..4_000).contains(&min_interval_ms), "{min_interval_ms} ms");
        assert!((2_500..4_000).contains(&opening_interval_ms), "{opening_interval_ms} ms");
        let later = house.poll(at(60_000), 1_000, None).expect("they have all begun");
        assert_eq!((later.min_interval_ms, later.opening_interval_ms), (min_interval_ms, 0));
        let late = join(&mut house, at(61_000), 1_001);
        assert_eq!(late, Some((To::One(PhoneId(1_001)), later)), "who comes alone may hurry");
        assert_eq!(house.poll(at(70_000), 3, None), Some(ClockPace::default()));
    }

    #[test]
    fn one_who_says_hello_all_the_time_slows_nobody_down() {
        let mut house = HousePace::new(1_000);
        for nth in 0..6_000 {
            assert_eq!(house.handle_joined(at(nth * 10), PhoneId(1), 30), None);
        }
        assert!(house.came.len() <= 30);
    }

    #[test]
    fn a_clock_that_steps_back_lets_phones_go_as_soon_as_ever() {
        let mut house = HousePace::new(1_000);
        for number in 1..=1_000 {
            join(&mut house, at(3_600_000), number);
        }
        let pace = house.poll(at(1_000), 1_000, None).expect("it has changed");
        assert_eq!(pace.opening_interval_ms, 0);
    }

    #[test]
    fn a_busy_box_asks_for_half_as_many() {
        let mut house = HousePace::new(1_000);
        house.poll(at(0), 500, Some(0.2));
        assert!((1_250..2_500).contains(&house.told.min_interval_ms));
        let busy = house.poll(at(5_000), 500, Some(0.95)).expect("it has changed");
        assert!(busy.min_interval_ms >= 2_500, "{busy:?}");
    }

    proptest! {
        #[test]
        fn what_is_told_is_always_enough_and_never_more_than_three_times_that(
            counts in prop::collection::vec(0_usize..20_000, 1..50),
        ) {
            let mut house = HousePace::new(500);
            for (k, phones) in counts.into_iter().enumerate() {
                house.poll(at(k as i64 * 5_000), phones, None);
                let needed = phones as f64 / (PLANNED * 0.5);
                let told = f64::from(house.told.min_interval_ms);
                prop_assert!(told + NO_MATTER_MS >= needed.min(60_000.0), "{told} {needed}");
                prop_assert!(told <= 3.01 * needed.max(NO_MATTER_MS), "{told} {needed}");
            }
        }
    }
}
