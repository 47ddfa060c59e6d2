//! Effects: levels that go up and down as a function of show time, in whole numbers like everything that is drawn.

use units::{Level, ShowTime, Span};

use super::fade::{ONE, blend};
use crate::show::{Shape, Wave};

/// Where an effect stands at `at`, whose time counts from `since`.
pub fn level(wave: &Wave, since: ShowTime, at: ShowTime) -> Level {
    level_of(wave, turn(wave.period, since, at))
}

/// Where an effect stands when its time is so far in its cycle; its phase comes on top.
pub fn level_of(wave: &Wave, turn: u32) -> Level {
    let share = share(&wave.shape, wave.phase.wrapping_add(turn));
    blend(wave.low, wave.high, share)
}

/// How much of its cycle has gone at `at`, a share of 2^32.
pub fn turn(period: Span, since: ShowTime, at: ShowTime) -> u32 {
    let period = period.ns().max(1);
    let gone = (at - since).ns().rem_euclid(period) as u128;
    ((gone << 32) / period as u128) as u32
}

/// What the shape gives there, 0 to [`ONE`].
fn share(shape: &Shape, turn: u32) -> u32 {
    match shape {
        Shape::Sine => sine(turn),
        Shape::Pulse(width) => {
            if turn < *width {
                ONE
            } else {
                0
            }
        }
        Shape::Hue => hue(turn),
        Shape::Points(points) => between(points, turn),
    }
}

/// From nothing to all and back: half of one minus the cosine.
fn sine(turn: u32) -> u32 {
    // A half-turn rises, the other falls alike.
    let half = if turn < 1 << 31 { turn } else { turn.wrapping_neg() };
    let quarter = i64::from(half) - (1 << 30); // -ONE to ONE, of a sine's quarter to either side
    ((i64::from(ONE) + sine_of_quarter(quarter)) / 2) as u32
}

/// The sine of `z` quarter turns, both with thirty bits after the point, `z` from -1 to 1. A polynomial of the ninth
/// degree (Hastings, *Approximations for Digital Computers*), right to a part in 10^8.
fn sine_of_quarter(z: i64) -> i64 {
    const POWERS: [i64; 5] = [162_655, -5_018_418, 85_566_142, -693_598_253, 1_686_629_704];
    let square = (z * z) >> 30;
    let sum = POWERS.iter().fold(0, |sum, power| ((sum * square) >> 30) + power);
    ((sum * z) >> 30).clamp(-i64::from(ONE), i64::from(ONE))
}

/// Six sixths: all, down, nothing, nothing, up, all.
fn hue(turn: u32) -> u32 {
    let along = u64::from(turn) * 6;
    let (sixth, past) = (along >> 32, ((along & 0xffff_ffff) >> 2) as u32);
    match sixth {
        0 | 5 => ONE,
        1 => ONE - past,
        4 => past,
        _ => 0,
    }
}

fn between(points: &[Level], turn: u32) -> u32 {
    if points.is_empty() {
        return 0;
    }
    let along = u64::from(turn) * points.len() as u64;
    let (index, past) = ((along >> 32) as usize, ((along & 0xffff_ffff) >> 2) as u32);
    let level = blend(points[index], points[(index + 1) % points.len()], past);
    (u64::from(level.bits()) * u64::from(ONE) / u64::from(Level::FULL.bits())) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(share: u32) -> f64 {
        f64::from(share) / f64::from(ONE)
    }

    #[test]
    fn a_sine_is_a_sine() {
        for step in 0..4096_u32 {
            let turn = f64::from(step) / 4096.0;
            let right = (1.0 - (turn * std::f64::consts::TAU).cos()) / 2.0;
            assert!((part(sine(step << 20)) - right).abs() < 1e-7, "{turn}");
        }
        assert_eq!((sine(0), sine(1 << 31)), (0, ONE));
    }

    #[test]
    fn a_hue_that_goes_round_always_has_a_full_colour_and_never_three() {
        for step in 0..600_u32 {
            let turn = step * 7_158_278;
            let thirds = [0, 0xaaaa_aaab, 0x5555_5556].map(|third| hue(turn.wrapping_add(third)));
            assert!(thirds.iter().any(|it| part(*it) > 0.999), "{turn}");
            assert!(thirds.iter().any(|it| part(*it) < 0.001), "{turn}");
        }
    }

    #[test]
    fn points_are_joined_by_straight_lines_that_close_the_round() {
        let points = [0, 0xff_ffff].map(Level::from_bits);
        for (quarter, right) in (0_u32..).zip([0.0, 0.5, 1.0, 0.5]) {
            assert!((part(between(&points, quarter << 30)) - right).abs() < 1e-6);
        }
    }
}
