//! Timecode (SMPTE ST 12-1): a frame of a day, and how long after midnight of its own it begins.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::{OutOfRange, Span};

/// How many frames a second, and how they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameRate {
    /// 24000/1001, counted by 24.
    Fps23_976,
    /// Film.
    Fps24,
    /// EBU.
    Fps25,
    /// 30000/1001, counted by 30: an hour of it takes 3.6 s more.
    Fps29_97,
    /// 30000/1001, counted by 30, less the numbers 0 and 1 of every minute that is no multiple of ten.
    Drop29_97,
    /// 30, counted by 30.
    Fps30,
}

const DAY_MINUTES: u32 = 24 * 60;

impl FrameRate {
    /// All of them, slow before fast.
    pub const ALL: [Self; 6] =
        [Self::Fps23_976, Self::Fps24, Self::Fps25, Self::Fps29_97, Self::Drop29_97, Self::Fps30];

    /// How far frames of a second are counted.
    pub const fn count(self) -> u32 {
        match self {
            Self::Fps23_976 | Self::Fps24 => 24,
            Self::Fps25 => 25,
            Self::Fps29_97 | Self::Drop29_97 | Self::Fps30 => 30,
        }
    }

    /// Frames in so many seconds: a fraction.
    pub const fn fraction(self) -> (u32, u32) {
        match self {
            Self::Fps23_976 => (24_000, 1_001),
            Self::Fps29_97 | Self::Drop29_97 => (30_000, 1_001),
            Self::Fps24 | Self::Fps25 | Self::Fps30 => (self.count(), 1),
        }
    }

    /// Whether numbers are left out.
    pub const fn drops(self) -> bool {
        matches!(self, Self::Drop29_97)
    }

    /// Frames of a day of timecode.
    pub const fn frames_a_day(self) -> u32 {
        let all = DAY_MINUTES * 60 * self.count();
        if self.drops() { all - 2 * (DAY_MINUTES - DAY_MINUTES / 10) } else { all }
    }

    /// A day of timecode: what every position is taken modulo of.
    pub fn day(self) -> Span {
        self.begins(i64::from(self.frames_a_day()))
    }

    /// A frame's length, rounded up to the nanosecond.
    pub fn frame(self) -> Span {
        self.begins(1)
    }

    /// When so many frames are over: rounded up to the nanosecond, so that [`FrameRate::frame_at`] finds the frame again.
    pub fn begins(self, frames: i64) -> Span {
        let (frames_of, seconds) = self.fraction();
        let exact = i128::from(frames) * i128::from(seconds) * 1_000_000_000;
        let frames_of = i128::from(frames_of);
        Span::from_ns((exact + frames_of - 1).div_euclid(frames_of) as i64)
    }

    /// The frame that shows so long after frame 0 began; negative before it.
    pub fn frame_at(self, position: Span) -> i64 {
        let (frames_of, seconds) = self.fraction();
        let exact = i128::from(position.ns()) * i128::from(frames_of);
        exact.div_euclid(i128::from(seconds) * 1_000_000_000) as i64
    }
}

const NAMES: [(&str, FrameRate); 6] = [
    ("23.976", FrameRate::Fps23_976),
    ("24", FrameRate::Fps24),
    ("25", FrameRate::Fps25),
    ("29.97", FrameRate::Fps29_97),
    ("29.97df", FrameRate::Drop29_97),
    ("30", FrameRate::Fps30),
];

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMES.iter().find(|(_, rate)| rate == self);
        f.write_str(named.expect("every rate has its name").0)
    }
}

impl FromStr for FrameRate {
    type Err = OutOfRange;
    /// `23.976`, `24`, `25`, `29.97`, `29.97df`, `30`.
    fn from_str(text: &str) -> Result<Self, OutOfRange> {
        let range = "23.976, 24, 25, 29.97, 29.97df or 30";
        let named = NAMES.iter().find(|(name, _)| *name == text);
        let given = || OutOfRange { what: "a timecode rate", range, given: text.into() };
        named.map(|(_, rate)| *rate).ok_or_else(given)
    }
}

impl Serialize for FrameRate {
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        to.collect_str(self)
    }
}

/// A frame of a day. Its number stands for the instant at which the frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timecode {
    rate: FrameRate,
    /// Frames since 00:00:00:00, below [`FrameRate::frames_a_day`].
    frame: u32,
}

/// A timecode's number, part by part.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Clock {
    /// 0 to 23.
    pub hours: u8,
    /// 0 to 59.
    pub minutes: u8,
    /// 0 to 59.
    pub seconds: u8,
    /// 0 to one less than the rate's count.
    pub frames: u8,
}

impl Timecode {
    /// 00:00:00:00.
    pub const fn zero(rate: FrameRate) -> Self {
        Self { rate, frame: 0 }
    }

    /// The frame of that number, if there is one at that rate.
    pub fn new(rate: FrameRate, clock: Clock) -> Result<Self, OutOfRange> {
        let Clock { hours, minutes, seconds, frames } = clock;
        let within = hours < 24 && minutes < 60 && seconds < 60;
        let dropped = rate.drops() && frames < 2 && seconds == 0 && !minutes.is_multiple_of(10);
        if !within || u32::from(frames) >= rate.count() || dropped {
            let range = "a frame that exists at its rate, 00:00:00:00 to 23:59:59:29";
            let given = shown(clock, rate);
            return Err(OutOfRange { what: "a timecode", range, given });
        }
        let minute = u32::from(hours) * 60 + u32::from(minutes);
        let counted = (minute * 60 + u32::from(seconds)) * rate.count() + u32::from(frames);
        let left_out = if rate.drops() { 2 * (minute - minute / 10) } else { 0 };
        Ok(Self { rate, frame: counted - left_out })
    }

    /// The frame that shows so long after 00:00:00:00; days over and under are taken off.
    pub fn at(rate: FrameRate, position: Span) -> Self {
        let frame = rate.frame_at(position).rem_euclid(i64::from(rate.frames_a_day()));
        Self { rate, frame: frame as u32 }
    }

    /// Reads `01:00:10:00`; the last colon may be a semicolon, which only drop-frame has.
    pub fn parse(text: &str, rate: FrameRate) -> Result<Self, OutOfRange> {
        let range = "HH:MM:SS:FF, with `;` before the frames at 29.97df only";
        let wrong = || OutOfRange { what: "a timecode", range, given: text.into() };
        let (clock, semicolon) = numbers(text).ok_or_else(wrong)?;
        if semicolon && !rate.drops() {
            return Err(wrong());
        }
        Self::new(rate, clock)
    }

    /// Its rate.
    pub fn rate(self) -> FrameRate {
        self.rate
    }

    /// Frames since 00:00:00:00.
    pub fn frame(self) -> u32 {
        self.frame
    }

    /// How long after 00:00:00:00 it begins.
    pub fn position(self) -> Span {
        self.rate.begins(i64::from(self.frame))
    }

    /// The frame after so many more; past the end of the day it begins anew.
    pub fn plus(self, frames: i64) -> Self {
        let frame = i64::from(self.frame).wrapping_add(frames);
        let frame = frame.rem_euclid(i64::from(self.rate.frames_a_day()));
        Self { rate: self.rate, frame: frame as u32 }
    }

    /// Its number.
    pub fn clock(self) -> Clock {
        let counted = if self.rate.drops() { undropped(self.frame) } else { self.frame };
        let (count, seconds) = (self.rate.count(), counted / self.rate.count());
        Clock {
            hours: (seconds / 3600) as u8,
            minutes: (seconds / 60 % 60) as u8,
            seconds: (seconds % 60) as u8,
            frames: (counted % count) as u8,
        }
    }
}

/// Puts the numbers back in that drop-frame leaves out: 18 in ten minutes, two in each but the first of them.
fn undropped(frame: u32) -> u32 {
    const MINUTE: u32 = 60 * 30 - 2;
    const TEN: u32 = 10 * MINUTE + 2;
    let (tens, rest) = (frame / TEN, frame % TEN);
    let minutes = rest.saturating_sub(2) / MINUTE;
    frame + 18 * tens + 2 * minutes
}

fn numbers(text: &str) -> Option<(Clock, bool)> {
    let semicolon = text.contains(';');
    let mut parts = text.split(':').flat_map(|part| part.split(';'));
    let mut two = || {
        let part = parts.next()?;
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    };
    let clock = Clock { hours: two()?, minutes: two()?, seconds: two()?, frames: two()? };
    let last = text.find(';').is_none_or(|at| at == text.len() - 3);
    (parts.next().is_none() && last).then_some((clock, semicolon))
}

fn shown(clock: Clock, rate: FrameRate) -> String {
    let Clock { hours, minutes, seconds, frames } = clock;
    let mark = if rate.drops() { ';' } else { ':' };
    format!("{hours:02}:{minutes:02}:{seconds:02}{mark}{frames:02}")
}

impl fmt::Display for Timecode {
    /// `01:00:10:00`; `01:00:10;00` where numbers are dropped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.clock(), self.rate))
    }
}

impl Serialize for Timecode {
    fn serialize<T: Serializer>(&self, to: T) -> Result<T::Ok, T::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rates() -> impl Strategy<Value = FrameRate> {
        proptest::sample::select(&FrameRate::ALL[..])
    }

    fn drop(text: &str) -> Result<Timecode, OutOfRange> {
        Timecode::parse(text, FrameRate::Drop29_97)
    }

    #[test]
    fn a_minute_of_drop_frame_begins_with_two_but_every_tenth_with_nought() {
        let next = |text: &str| drop(text).expect("a frame").plus(1).to_string();
        assert_eq!(next("00:00:59;29"), "00:01:00;02");
        assert_eq!(next("00:09:59;29"), "00:10:00;00");
        assert_eq!(next("23:59:59;29"), "00:00:00;00");
        for missing in ["00:01:00;00", "00:01:00;01", "13:59:00;01"] {
            assert!(drop(missing).is_err(), "{missing}");
        }
    }

    #[test]
    fn an_hour_of_drop_frame_is_an_hour_to_four_milliseconds_and_of_non_drop_is_not() {
        let hour = |rate| Timecode::parse("01:00:00:00", rate).expect("a frame").position();
        assert_eq!(hour(FrameRate::Fps25), Span::from_secs(3600));
        assert_eq!(hour(FrameRate::Drop29_97), Span::from_micros(3_599_996_400));
        assert_eq!(hour(FrameRate::Fps29_97), Span::from_micros(3_603_600_000));
    }

    #[test]
    fn only_what_is_written_in_full_and_exists_is_a_timecode() {
        let wrong = "|1:00:00:00|01:00:00|01:00:00:25|24:00:00:00|01:60:00:00|01:00:00:00:00|01;00:00:00|01:00:00;00|-1:00:00:00|01:00:00:٣٣";
        for text in wrong.split('|') {
            assert!(Timecode::parse(text, FrameRate::Fps25).is_err(), "{text}");
        }
        assert!(drop("01:00;10;00").is_err());
        assert_eq!(drop("01:00:10:00"), drop("01:00:10;00"));
    }

    proptest! {
        #[test]
        fn every_frame_of_a_day_has_a_number_of_its_own(rate in rates(), frame: u32) {
            let timecode = Timecode { rate, frame: frame % rate.frames_a_day() };
            prop_assert_eq!(Timecode::new(rate, timecode.clock()), Ok(timecode));
            prop_assert_eq!(Timecode::parse(&timecode.to_string(), rate), Ok(timecode));
            let next = timecode.plus(1);
            prop_assert!(next.clock() > timecode.clock() || next.frame == 0);
        }

        #[test]
        fn a_frame_shows_from_its_beginning_until_the_next_ones(rate in rates(), frame in -3_000_000_i64..3_000_000) {
            let begins = rate.begins(frame);
            prop_assert_eq!(rate.frame_at(begins), frame);
            prop_assert_eq!(rate.frame_at(begins - Span::from_ns(1)), frame - 1);
        }

        #[test]
        fn there_and_back_is_the_same_frame(rate in rates(), frame: u32, days in -3_i64..3) {
            let timecode = Timecode { rate, frame: frame % rate.frames_a_day() };
            let away = rate.begins(i64::from(rate.frames_a_day()) * days + i64::from(timecode.frame));
            prop_assert_eq!(Timecode::at(rate, away), timecode);
            prop_assert_eq!(Timecode::at(rate, timecode.position()), timecode);
        }

        #[test]
        fn whatever_is_written_is_refused_or_a_timecode(text in "\\PC{0,14}", rate in rates()) {
            let _ = Timecode::parse(&text, rate);
        }
    }
}
