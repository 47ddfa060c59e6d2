//! Show time as a line over the monotonic clock, with one turn in it, exact to the last bit.
//!
//! In: readings of the monotonic clock, rates, steps. Out: show time, and readings at show times. Never: a rounding
//! that is forgotten.
//!
//! The naive way turns a straight line at whole nanoseconds. A servo turns it twice a second, half a nanosecond is lost
//! each time, and after a day the box is tens of microseconds late with nothing to show for it. Ours counts in `2^-48`
//! nanoseconds: a rate is a whole number of them per nanosecond, so a product of rate and time is whole too, and the
//! turn keeps what lies between two nanoseconds.
//!
//! A straight line also lies about the moment before its turn: a packet stamped a millisecond earlier would be told
//! another time than it was, and who reads the clock while the new line is being published could see time go back.
//! So the line remembers how it ran before its turn, and a turn is planned a little ahead: whoever has the new line
//! and whoever has the old one read the same.

use units::{MonoTime, Ppm, ShowTime, Span};

/// Bits behind the nanosecond. A rate then has steps of 3.6e-9 ppm, a nanosecond in three days.
const FRACTION: u32 = 48;
const ONE: i128 = 1 << FRACTION;
/// No servo asks for more than a part in a thousand; up to here time goes forward whatever is asked.
const RATE_LIMIT: Ppm = Ppm(500_000.0);

/// Show time over the monotonic clock. Saturates at the ends of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlay {
    /// The turn.
    mono: i64,
    show: i64,
    /// Show time beyond the whole nanosecond at the turn, in `2^-48` ns, `0..2^48`.
    rest: i64,
    /// How much show time gains on the monotonic clock before the turn and from it on, in `2^-48`.
    before: i64,
    after: i64,
}

impl Overlay {
    /// `show` is the time at `mono`; it runs `rate` faster than the monotonic clock.
    ///
    /// Beyond half as fast again, or half as slow, the rate stays there; what is no number is no rate.
    pub fn new(mono: MonoTime, show: ShowTime, rate: Ppm) -> Self {
        let rate = fixed(rate);
        Self { mono: mono.ns(), show: show.ns(), rest: 0, before: rate, after: rate }
    }

    /// The show time at a reading: the nanosecond that has begun.
    pub fn show(&self, mono: MonoTime) -> ShowTime {
        ShowTime::from_ns(saturated(self.exact(mono.ns()) >> FRACTION))
    }

    /// The first reading at which that show time has come.
    pub fn mono(&self, show: ShowTime) -> MonoTime {
        let left = (i128::from(show.ns()) << FRACTION) - self.exact(self.mono);
        let pace = if left < 0 { pace(self.before) } else { pace(self.after) };
        let gone = left.div_euclid(pace) + i128::from(left.rem_euclid(pace) != 0);
        MonoTime::from_ns(saturated(i128::from(self.mono) + gone))
    }

    /// How much faster than the monotonic clock it runs once it has turned.
    pub fn rate(&self) -> Ppm {
        Ppm(self.after as f64 / ONE as f64 * 1e6)
    }

    /// Where it turns, or turned last.
    pub fn turn(&self) -> MonoTime {
        MonoTime::from_ns(self.mono)
    }

    /// The same until `at`, and from there on with another rate: nothing jumps. There is room for one turn: who steers
    /// again before it has come (`at` before it) gives that turn another rate.
    #[must_use]
    pub fn steered(&self, at: MonoTime, rate: Ppm) -> Self {
        Self { after: fixed(rate), ..self.turned(at) }
    }

    /// Ahead of itself by so much, at every reading; the rate stays. Its turn is at `at`, or where one is planned.
    #[must_use]
    pub fn stepped(&self, at: MonoTime, by: Span) -> Self {
        let turned = self.turned(at);
        Self { show: turned.show.saturating_add(by.ns()), ..turned }
    }

    /// As plain numbers, to be published a word at a time; [`Self::from_parts`] takes them in this order.
    pub fn parts(&self) -> [i64; 5] {
        [self.mono, self.show, self.rest, self.before, self.after]
    }

    /// From [`Self::parts`]. Numbers that no overlay has are bent into the nearest that one has.
    pub fn from_parts([mono, show, rest, before, after]: [i64; 5]) -> Self {
        let limit = fixed(RATE_LIMIT);
        let bent = |rate: i64| rate.clamp(-limit, limit);
        let rest = rest.clamp(0, (ONE - 1) as i64);
        Self { mono, show, rest, before: bent(before), after: bent(after) }
    }

    /// The same line, turning at `at`: where it does not turn yet it goes straight on there.
    fn turned(&self, at: MonoTime) -> Self {
        let at = at.ns();
        if at <= self.mono {
            return *self;
        }
        let exact = self.exact(at);
        let rest = (exact & (ONE - 1)) as i64;
        Self { mono: at, show: saturated(exact >> FRACTION), rest, before: self.after, ..*self }
    }

    /// Show time at a reading, in `2^-48` ns: 65 bits of gone time and 49 of pace leave room in 128.
    fn exact(&self, mono: i64) -> i128 {
        let gone = i128::from(mono) - i128::from(self.mono);
        let begun = (i128::from(self.show) << FRACTION) + i128::from(self.rest);
        begun + gone * if gone < 0 { pace(self.before) } else { pace(self.after) }
    }
}

/// What a nanosecond becomes.
fn pace(rate: i64) -> i128 {
    ONE + i128::from(rate)
}

fn fixed(rate: Ppm) -> i64 {
    let rate = rate.0.clamp(-RATE_LIMIT.0, RATE_LIMIT.0);
    (rate * 1e-6 * ONE as f64).round() as i64
}

fn saturated(ns: i128) -> i64 {
    ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EPOCH: i64 = 1_790_000_000_000_000_000;

    fn overlay(rate: f64) -> Overlay {
        Overlay::new(MonoTime::from_ns(5), ShowTime::from_ns(EPOCH), Ppm(rate))
    }

    /// What may be done to an overlay, and how long after the last.
    #[derive(Debug, Clone, Copy)]
    enum Deed {
        Steer(f64),
        Step(i64),
    }

    fn deeds(wait_max: i64) -> impl Strategy<Value = Vec<(i64, Deed)>> {
        let steer = (-1000.0..1000.0_f64).prop_map(Deed::Steer);
        let step = (-5_000_000_000..5_000_000_000_i64).prop_map(Deed::Step);
        prop::collection::vec((0..wait_max, prop_oneof![4 => steer, 1 => step]), 1..200)
    }

    /// The same clock kept the slow way: the sum of every piece, in whole `2^-48` ns, from the beginning.
    fn by_hand(rate: f64, deeds: &[(i64, Deed)], end: i64) -> i128 {
        let whole = |rate: f64| (rate * 1e-6 * 2_f64.powi(48)).round() as i128;
        let (mut sum, mut rate, mut left) = (i128::from(EPOCH) << 48, whole(rate), end);
        for (wait, deed) in deeds {
            let gone = (*wait).min(left);
            sum += i128::from(gone) * ((1 << 48) + rate);
            left -= gone;
            match deed {
                Deed::Steer(to) => rate = whole(*to),
                Deed::Step(by) => sum += i128::from(*by) << 48,
            }
        }
        (sum + i128::from(left) * ((1 << 48) + rate)) >> 48
    }

    fn apply(mut overlay: Overlay, deeds: &[(i64, Deed)]) -> (Overlay, i64) {
        let mut at = 5;
        for (wait, deed) in deeds {
            at += wait;
            let mono = MonoTime::from_ns(at);
            overlay = match deed {
                Deed::Steer(rate) => overlay.steered(mono, Ppm(*rate)),
                Deed::Step(by) => overlay.stepped(mono, Span::from_ns(*by)),
            };
        }
        (overlay, at)
    }

    #[test]
    fn an_overlay_maps_there_and_back_within_a_nanosecond_a_day_off() {
        let overlay = overlay(73.0);
        let later = MonoTime::from_ns(86_400_000_000_000);
        let back = overlay.mono(overlay.show(later));
        assert!((back - later).abs() <= Span::from_ns(1), "{back:?}");
    }

    /// The overlay clock of the crate `statime` 0.4 forgets at a step what its frequency had gained until then.
    #[test]
    fn ca02_a_step_keeps_what_the_rate_had_gained_before_it() {
        let hour = MonoTime::from_ns(5 + 3_600_000_000_000);
        let stepped = overlay(50.0).stepped(hour, Span::from_millis(2));
        let gained = Span::from_micros(3_600 * 50) + Span::from_millis(2);
        assert_eq!(stepped.show(hour) - ShowTime::from_ns(EPOCH), Span::from_secs(3_600) + gained);
    }

    #[test]
    fn ca02_a_day_of_turns_eight_times_a_second_loses_no_nanosecond() {
        let (eighth, turns) = (125_000_001, 8 * 86_400);
        let mut overlay = overlay(33.3);
        for turn in 1..=turns {
            overlay = overlay.steered(MonoTime::from_ns(5 + turn * eighth), Ppm(33.3));
        }
        let end = MonoTime::from_ns(5 + turns * eighth);
        assert_eq!(overlay.show(end), self::overlay(33.3).show(end));
    }

    #[test]
    fn ca02_who_has_the_old_line_and_who_has_the_new_read_the_same_until_the_turn() {
        let old = overlay(10.0).steered(MonoTime::from_ns(1_000_000), Ppm(-40.0));
        let turn = MonoTime::from_ns(9_000_000);
        let new = old.steered(turn, Ppm(60.0));
        for ns in (1_000_000..=9_000_000).step_by(997) {
            let mono = MonoTime::from_ns(ns);
            assert_eq!(old.show(mono), new.show(mono), "{ns}");
        }
        assert_ne!(old.show(turn + Span::from_secs(1)), new.show(turn + Span::from_secs(1)));
    }

    #[test]
    fn numbers_that_no_overlay_has_still_make_a_clock_that_goes_forward() {
        let wild = Overlay::from_parts([i64::MIN, i64::MAX, -1, i64::MIN, i64::MAX]);
        let mono = |ns| MonoTime::from_ns(ns);
        assert!(wild.show(mono(i64::MIN)) <= wild.show(mono(i64::MAX)));
        assert_eq!(Overlay::from_parts(overlay(7.0).parts()), overlay(7.0));
        let _ = (wild.mono(ShowTime::from_ns(i64::MIN)), wild.stepped(mono(0), Span::from_ns(1)));
    }

    proptest! {
        // A file of regressions would stand where cargo looks for a room.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn ca02_whatever_is_steered_and_stepped_every_nanosecond_is_accounted_for(
            rate in -1000.0..1000.0_f64,
            deeds in deeds(20_000_000_000_000),
            after in 0..100_000_000_000_000_i64,
        ) {
            let (overlay, at) = apply(overlay(rate), &deeds);
            let shown = overlay.show(MonoTime::from_ns(at + after));
            prop_assert_eq!(i128::from(shown.ns()), by_hand(rate, &deeds, at - 5 + after));
        }

        #[test]
        fn ca02_however_it_is_steered_it_never_goes_back_and_never_jumps(
            turns in prop::collection::vec(
                (0..3_000_000_i64, 0..2_000_000_i64, -1000.0..1000.0_f64),
                1..200,
            ),
        ) {
            let (mut overlay, mut now) = (overlay(0.0), MonoTime::from_ns(5));
            let mut shown = overlay.show(now);
            for (wait, lead, rate) in turns {
                overlay = overlay.steered(now + Span::from_ns(lead), Ppm(rate));
                for gone in [0, lead / 2, lead - lead / 2, wait] {
                    now += Span::from_ns(gone);
                    let next = overlay.show(now);
                    let went = (next - shown).ns();
                    prop_assert!((went - gone).abs() <= gone / 1000 + 2 && went >= 0);
                    shown = next;
                }
            }
        }

        #[test]
        fn ca02_there_and_back_is_within_a_nanosecond_on_both_sides_of_a_turn(
            rate in -1000.0..1000.0_f64,
            deeds in deeds(20_000_000_000),
            off in -10_000_000_000_000..10_000_000_000_000_i64,
        ) {
            let (overlay, at) = apply(overlay(rate), &deeds);
            let mono = MonoTime::from_ns(at + off);
            let back = overlay.mono(overlay.show(mono));
            prop_assert!((back - mono).abs() <= Span::from_ns(1), "{back:?} {mono:?}");
            prop_assert!(overlay.show(back) >= overlay.show(mono));
        }
    }
}
