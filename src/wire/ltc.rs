//! LTC (SMPTE ST 12-1, section 9): timecode as sound.
//!
//! In: a timecode; samples. Out: the 80 bits of its frame as a wave ([`Wave`]); frames with the place of their first
//! bit ([`Decoder`]). Never here: cards, clocks.
//!
//! *Word*: the 80 bits of a frame, the first in bit 0. *Cell*: the time of a bit. *Biphase mark*: every cell begins with
//! a change of level, and a one has another in its middle; so neither polarity nor level means anything.

mod decoder;
mod wave;

pub use decoder::{Decoder, Heard, Reading};
use units::{Clock, FrameRate, Timecode};
pub use wave::Wave;

/// Bits of a frame.
pub const BITS: usize = 80;

/// The bits of the word (table 2), the first of a field the least.
mod field {
    pub const FRAMES: (u32, u32) = (0, 8);
    pub const DROP: u32 = 10;
    pub const SECONDS: (u32, u32) = (16, 24);
    pub const MINUTES: (u32, u32) = (32, 40);
    pub const HOURS: (u32, u32) = (48, 56);
    /// Keeps the number of ones even, so that every frame begins by the same change of level.
    pub const POLARITY: u32 = 27;
    /// Where 25 frames a second have it (EBU).
    pub const POLARITY_25: u32 = 59;
    /// Of the eight groups of user bits, four each.
    pub const USER: [u32; 8] = [4, 12, 20, 28, 36, 44, 52, 60];
    pub const SYNC: u32 = 64;
}

/// The last 16 bits, the first sent in bit 0.
const SYNC: u16 = 0b1011_1111_1111_1100;

/// The 80 bits of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word(u128);

/// What a word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Its number; whether there is such a frame depends on the rate.
    pub clock: Clock,
    /// The flag of drop-frame.
    pub drops: bool,
    /// The user bits, group 1 the lowest four.
    pub user: u32,
}

/// Why 80 bits are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LtcError {
    /// They do not end as every frame does.
    #[error("it does not end with the sync word")]
    NoSync,
    /// A digit above its range.
    #[error("its number is no time of a day")]
    NoTime,
}

impl Word {
    /// The bits of a frame, its polarity bit set as its rate has it.
    pub fn new(timecode: Timecode, user: u32) -> Self {
        let Clock { hours, minutes, seconds, frames } = timecode.clock();
        let mut bits = u128::from(SYNC) << field::SYNC;
        let digits = [
            (field::FRAMES, frames),
            (field::SECONDS, seconds),
            (field::MINUTES, minutes),
            (field::HOURS, hours),
        ];
        for ((units, tens), value) in digits {
            bits |= u128::from(value % 10) << units | u128::from(value / 10) << tens;
        }
        bits |= u128::from(timecode.rate().drops()) << field::DROP;
        for (group, at) in field::USER.into_iter().enumerate() {
            bits |= u128::from(user >> (4 * group) & 0xf) << at;
        }
        let odd = bits.count_ones() % 2;
        Self(bits | u128::from(odd) << polarity(timecode.rate()))
    }

    /// From bits, the first in bit 0; those above 80 are passed over.
    pub fn from_bits(bits: u128) -> Self {
        Self(bits & ((1 << BITS) - 1))
    }

    /// A bit, 0 to 79.
    pub fn bit(self, index: u32) -> bool {
        self.0 >> index & 1 == 1
    }

    /// What it says.
    pub fn parse(self) -> Result<Said, LtcError> {
        if (self.0 >> field::SYNC) as u16 != SYNC {
            return Err(LtcError::NoSync);
        }
        let digits = |(units, tens): (u32, u32), tens_bits: u32| {
            let units = self.0 >> units & 0xf;
            let tens = self.0 >> tens & ((1 << tens_bits) - 1);
            (units < 10).then_some((tens * 10 + units) as u8).ok_or(LtcError::NoTime)
        };
        let clock = Clock {
            hours: digits(field::HOURS, 2)?,
            minutes: digits(field::MINUTES, 3)?,
            seconds: digits(field::SECONDS, 3)?,
            frames: digits(field::FRAMES, 2)?,
        };
        if clock.hours > 23 || clock.minutes > 59 || clock.seconds > 59 || clock.frames > 29 {
            return Err(LtcError::NoTime);
        }
        let groups = field::USER.into_iter().enumerate();
        let user = groups.map(|(group, at)| ((self.0 >> at & 0xf) as u32) << (4 * group)).sum();
        Ok(Said { clock, drops: self.bit(field::DROP), user })
    }

    /// The same bits, the last first: what a tape gives that runs backwards.
    fn reversed(self) -> Self {
        Self(self.0.reverse_bits() >> (128 - BITS))
    }
}

fn polarity(rate: FrameRate) -> u32 {
    if rate.count() == 25 { field::POLARITY_25 } else { field::POLARITY }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rates() -> impl Strategy<Value = FrameRate> {
        proptest::sample::select(&FrameRate::ALL[..])
    }

    proptest! {
        #[test]
        fn a_word_says_what_it_was_made_of_and_has_as_many_ones_as_polarity_wants(
            rate in rates(), frame: u32, user: u32,
        ) {
            let timecode = Timecode::zero(rate).plus(i64::from(frame));
            let word = Word::new(timecode, user);
            let said = Said { clock: timecode.clock(), drops: rate.drops(), user };
            prop_assert_eq!(word.parse(), Ok(said));
            prop_assert_eq!(word.0.count_ones() % 2, 0);
            prop_assert_eq!(word.reversed().reversed(), word);
            prop_assert_eq!(word.reversed().parse(), Err(LtcError::NoSync));
        }

        #[test]
        fn any_bits_are_a_time_or_refused(bits: u128, synced: bool) {
            let bits = if synced { bits & !(0xffff << 64) | u128::from(SYNC) << 64 } else { bits };
            let _ = Word::from_bits(bits).parse();
        }
    }

    #[test]
    fn the_sync_word_is_sent_as_two_noughts_twelve_ones_a_nought_and_a_one() {
        let word = Word::new(Timecode::zero(FrameRate::Fps25), 0);
        let sent: String = (64..80).map(|bit| if word.bit(bit) { '1' } else { '0' }).collect();
        assert_eq!(sent, "0011111111111101");
    }
}
