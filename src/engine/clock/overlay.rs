//! Show time as a straight line over the monotonic clock, exact to the last bit.
//!
//! In: readings of the monotonic clock, rates, steps. Out: show time, and readings at show times. Never: a rounding
//! that is forgotten.
//!
//! The naive way turns the line at whole nanoseconds. A servo turns it eight times a second, half a nanosecond is lost
//! each time, and after a day the box is a third of a millisecond late with nothing to show for it. Ours counts in
//! `2^-48` nanoseconds: a rate is a whole number of them per nanosecond, so a product of rate and time is whole too,
//! and the turn keeps what lies between two nanoseconds.

use units::{MonoTime, Ppm, ShowTime, Span};

/// Bits behind the nanosecond. A rate then has steps of 3.6e-9 ppm, a nanosecond in nine years.
const FRACTION: u32 = 48;
const ONE: i128 = 1 << FRACTION;
/// No servo asks for more than a part in a thousand; up to here time goes forward whatever is asked.
const RATE_LIMIT: Ppm = Ppm(500_000.0);

/// Show time as a straight line over the monotonic clock. Saturates at the ends of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlay {
    mono: i64,
    show: i64,
    /// Show time beyond the whole nanosecond at `mono`, in `2^-48` ns, `0..2^48`.
    rest: i64,
    /// How much show time gains on the monotonic clock, in `2^-48`.
    rate: i64,
}

impl Overlay {
    /// `show` is the time at `mono`; from there it runs `rate` faster than the monotonic clock.
    ///
    /// Beyond half as fast again, or half as slow, the rate stays there; what is no number is no rate.
    pub fn new(mono: MonoTime, show: ShowTime, rate: Ppm) -> Self {
        Self { mono: mono.ns(), show: show.ns(), rest: 0, rate: fixed(rate) }
    }

    /// The show time at a reading: the nanosecond that has begun.
    pub fn show(&self, mono: MonoTime) -> ShowTime {
        ShowTime::from_ns(saturated(self.exact(mono) >> FRACTION))
    }

    /// The first reading at which that show time has come.
    pub fn mono(&self, show: ShowTime) -> MonoTime {
        let left = (i128::from(show.ns()) << FRACTION) - self.exact(MonoTime::from_ns(self.mono));
        let pace = ONE + i128::from(self.rate);
        let gone = left.div_euclid(pace) + i128::from(left.rem_euclid(pace) != 0);
        MonoTime::from_ns(saturated(i128::from(self.mono) + gone))
    }

    /// How much faster than the monotonic clock it runs.
    pub fn rate(&self) -> Ppm {
        Ppm(self.rate as f64 / ONE as f64 * 1e6)
    }

    /// The same until `at`, and from there on with another rate: nothing jumps.
    #[must_use]
    pub fn steered(&self, at: MonoTime, rate: Ppm) -> Self {
        Self { rate: fixed(rate), ..self.turned(at) }
    }

    /// From `at` on ahead of itself by so much; the rate stays.
    #[must_use]
    pub fn stepped(&self, at: MonoTime, by: Span) -> Self {
        let turned = self.turned(at);
        Self { show: turned.show.saturating_add(by.ns()), ..turned }
    }

    /// As plain numbers, to be published a word at a time; [`Self::from_parts`] takes them in this order.
    pub fn parts(&self) -> [i64; 4] {
        [self.mono, self.show, self.rest, self.rate]
    }

    /// From [`Self::parts`]. Numbers that no overlay has are bent into the nearest that one has.
    pub fn from_parts([mono, show, rest, rate]: [i64; 4]) -> Self {
        let limit = fixed(RATE_LIMIT);
        let rest = rest.clamp(0, (ONE - 1) as i64);
        Self { mono, show, rest, rate: rate.clamp(-limit, limit) }
    }

    /// The same line, told from another point of it.
    fn turned(&self, at: MonoTime) -> Self {
        let exact = self.exact(at);
        let rest = (exact & (ONE - 1)) as i64;
        Self { mono: at.ns(), show: saturated(exact >> FRACTION), rest, ..*self }
    }

    /// Show time at a reading, in `2^-48` ns: 64 bits of time, 64 bits of gone time and 49 of pace leave room in 128.
    fn exact(&self, mono: MonoTime) -> i128 {
        let gone = i128::from(mono.ns()) - i128::from(self.mono);
        let begun = (i128::from(self.show) << FRACTION) + i128::from(self.rest);
        begun + gone * (ONE + i128::from(self.rate))
    }
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

    #[test]
    fn an_overlay_maps_there_and_back_within_a_nanosecond_a_day_off() {
        let overlay = Overlay::new(
            MonoTime::from_ns(5),
            ShowTime::from_ns(1_790_000_000_000_000_000),
            Ppm(73.0),
        );
        let later = MonoTime::from_ns(86_400_000_000_000);
        let back = overlay.mono(overlay.show(later));
        assert!((back - later).abs() <= Span::from_ns(1), "{back:?}");
    }
}
