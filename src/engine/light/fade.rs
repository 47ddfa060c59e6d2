//! How far a fade is: fixed-point numbers, so that every box and every processor draws the same octets.
//!
//! *Weight*: the share of the goal in what is shown, from 0 to [`ONE`]; the rest is where the fade began.

use units::{Level, ShowTime, Span};

use crate::show::Curve;

/// The whole of a weight: thirty bits, finer than the finest channel by six.
pub const ONE: u32 = 1 << 30;

/// Before every show, and far enough from the end of what time can count that spans can be reckoned.
pub const LONG_AGO: ShowTime = ShowTime::from_ns(i64::MIN / 4);
/// After every show.
pub const FOREVER: ShowTime = ShowTime::from_ns(i64::MAX / 2);

/// When something moves, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fade {
    pub at: ShowTime,
    pub span: Span,
    pub curve: Curve,
}

impl Fade {
    /// All at once.
    pub const fn cut(at: ShowTime) -> Self {
        Self { at, span: Span::ZERO, curve: Curve::Snap }
    }

    pub fn end(&self) -> ShowTime {
        self.at + self.span
    }

    /// Where it is at `at`: 0 before its beginning, [`ONE`] from its end on.
    pub fn weight(&self, at: ShowTime) -> u32 {
        let (gone, span) = ((at - self.at).ns(), self.span.ns());
        if gone >= span {
            ONE
        } else if gone < 0 {
            0
        } else {
            self.curve.at(share(gone as u64, span as u64))
        }
    }
}

/// `gone / span`, for `gone` below `span`. Of long spans the lowest bits are left out: they are below a part in 2^33.
fn share(gone: u64, span: u64) -> u32 {
    let left_out = (64 - span.leading_zeros()).saturating_sub(34);
    ((gone >> left_out << 30) / (span >> left_out)).min(u64::from(ONE)) as u32
}

impl Curve {
    /// Its weight when such a share of its time has gone (0 to [`ONE`]).
    pub fn at(self, share: u32) -> u32 {
        let one = u128::from(ONE);
        let x = u128::from(share.min(ONE));
        let weight = match self {
            Self::Linear => x,
            Self::S => (x * x * (3 * one - 2 * x)) >> 60,
            Self::Rise => (x * x) >> 30,
            Self::Fall => (x * (2 * one - x)) >> 30,
            Self::Snap => one,
        };
        weight as u32
    }
}

/// Between two levels.
pub fn blend(from: Level, to: Level, weight: u32) -> Level {
    let (keep, weight) = (u64::from(ONE - weight), u64::from(weight));
    let sum = u64::from(from.bits()) * keep + u64::from(to.bits()) * weight;
    Level::from_bits(((sum + u64::from(ONE / 2)) >> 30) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVES: [Curve; 5] = [Curve::Linear, Curve::S, Curve::Rise, Curve::Fall, Curve::Snap];

    #[test]
    fn every_curve_ends_whole_and_never_turns_back() {
        for curve in CURVES {
            let weights: Vec<u32> = (0..=4096).map(|step| curve.at(step << 18)).collect();
            assert!(weights.windows(2).all(|pair| pair[0] <= pair[1]), "{curve:?}");
            assert_eq!(weights[4096], ONE, "{curve:?}");
        }
    }

    #[test]
    fn a_fade_of_a_day_is_as_even_as_one_of_a_second() {
        for span in [Span::from_secs(1), Span::from_secs(86_400), Span::from_ns(3)] {
            let fade = Fade { at: ShowTime::ZERO, span, curve: Curve::Linear };
            for third in 0..=3 {
                let at = ShowTime::ZERO + Span::from_ns(span.ns() / 3 * third);
                let exact = f64::from(ONE) * (span.ns() / 3 * third) as f64 / span.ns() as f64;
                assert!((f64::from(fade.weight(at)) - exact).abs() <= 2.0, "{span} {third}");
            }
        }
    }
}
