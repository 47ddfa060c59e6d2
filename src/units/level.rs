//! How bright, and what colour.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::OutOfRange;

/// A share of full: 0 is out, 16,777,215 is full. Twenty-four bits, as the finest channels have; it never leaves them.
/// In JSON it is percent.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(into = "f64", try_from = "f64")]
pub struct Level(u32);

impl From<Level> for f64 {
    /// To a hundredth of a percent, which is what people read.
    fn from(level: Level) -> Self {
        (level.percent() * 100.0).round() / 100.0
    }
}
impl TryFrom<f64> for Level {
    type Error = OutOfRange;
    fn try_from(percent: f64) -> Result<Self, OutOfRange> {
        Self::from_percent(percent)
    }
}

impl Level {
    /// Out.
    pub const OUT: Self = Self(0);
    /// Full.
    pub const FULL: Self = Self(0xff_ffff);
    /// One step of an eight-bit slot.
    pub const ONE_STEP: Self = Self(0x01_0101);

    /// From twenty-four bits; what is more is full.
    pub const fn from_bits(bits: u32) -> Self {
        Self(if bits > Self::FULL.0 { Self::FULL.0 } else { bits })
    }
    /// Its twenty-four bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
    /// From percent, 0 to 100.
    pub fn from_percent(percent: f64) -> Result<Self, OutOfRange> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(OutOfRange {
                what: "a level",
                range: "0 to 100 %",
                given: percent.to_string(),
            });
        }
        Ok(Self((percent / 100.0 * f64::from(Self::FULL.0)).round() as u32))
    }
    /// From the value of an eight-bit slot.
    pub const fn from_slot(value: u8) -> Self {
        Self(value as u32 * Self::ONE_STEP.0)
    }
    /// From sixteen bits.
    pub const fn from_sixteen(value: u16) -> Self {
        Self(rounded(value as u64 * Self::FULL.0 as u64, 0xffff))
    }
    /// From the slots of a channel, coarse before fine, of which the first three count. No slot is out.
    pub fn from_slots(slots: &[u8]) -> Self {
        let slots = &slots[..slots.len().min(3)];
        let value = slots.iter().fold(0, |value, slot| value << 8 | u64::from(*slot));
        let full = (1_u64 << (8 * slots.len())) - 1;
        Self(if full == 0 { 0 } else { rounded(value * u64::from(Self::FULL.0), full) })
    }
    /// The nearest value of an eight-bit slot.
    pub const fn slot(self) -> u8 {
        rounded(self.0 as u64 * 0xff, Self::FULL.0 as u64) as u8
    }
    /// The nearest sixteen bits.
    pub const fn sixteen(self) -> u16 {
        rounded(self.0 as u64 * 0xffff, Self::FULL.0 as u64) as u16
    }
    /// Coarse and fine value of a sixteen-bit channel.
    pub const fn coarse_fine(self) -> [u8; 2] {
        self.sixteen().to_be_bytes()
    }
    /// The three values of a twenty-four-bit channel, coarse before fine before finest.
    pub const fn coarse_fine_finest(self) -> [u8; 3] {
        let [_, coarse, fine, finest] = self.0.to_be_bytes();
        [coarse, fine, finest]
    }
    /// What is left of it when it is scaled.
    pub const fn scaled(self, by: Self) -> Self {
        Self(rounded(self.0 as u64 * by.0 as u64, Self::FULL.0 as u64))
    }
    /// What is missing to full.
    pub const fn inverted(self) -> Self {
        Self(Self::FULL.0 - self.0)
    }
    /// In percent.
    pub fn percent(self) -> f64 {
        f64::from(self.0) * 100.0 / f64::from(Self::FULL.0)
    }
}

const fn rounded(value: u64, by: u64) -> u32 {
    ((value + by / 2) / by) as u32
}

/// A colour as screens have it, eight bits a component, sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Rgb {
    /// Red.
    pub red: u8,
    /// Green.
    pub green: u8,
    /// Blue.
    pub blue: u8,
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}
impl From<Rgb> for String {
    fn from(colour: Rgb) -> Self {
        colour.to_string()
    }
}
impl TryFrom<String> for Rgb {
    type Error = OutOfRange;
    fn try_from(text: String) -> Result<Self, OutOfRange> {
        text.parse()
    }
}
impl FromStr for Rgb {
    type Err = OutOfRange;
    /// `#rrggbb`.
    fn from_str(text: &str) -> Result<Self, OutOfRange> {
        let wrong = || OutOfRange {
            what: "a colour",
            range: "written #rrggbb",
            given: format!("`{text}`"),
        };
        let digits = text
            .strip_prefix('#')
            .filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()));
        let bits = digits.and_then(|d| u32::from_str_radix(d, 16).ok()).ok_or_else(wrong)?;
        let [_, red, green, blue] = bits.to_be_bytes();
        Ok(Self { red, green, blue })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_value_survives_the_way_there_and_back() {
        assert!((0..=255).all(|value| Level::from_slot(value).slot() == value));
    }

    #[test]
    fn levels_of_every_width_survive_the_way_there_and_back() {
        for value in [0, 1, 0x7f_ffff, 0x80_0000, 0xff_fffe, 0xff_ffff] {
            let level = Level::from_bits(value);
            assert_eq!(Level::from_slots(&level.coarse_fine_finest()), level);
        }
        for value in 0..=u16::MAX {
            assert_eq!(Level::from_slots(&value.to_be_bytes()).sixteen(), value);
        }
        assert_eq!(Level::from_slots(&[]), Level::OUT);
        assert_eq!(Level::from_bits(u32::MAX), Level::FULL);
    }

    #[test]
    fn half_of_half_is_a_quarter_and_full_takes_nothing_away() {
        let half = Level::from_percent(50.0).expect("in range");
        assert_eq!(half.scaled(half).slot(), 64);
        assert_eq!((half.scaled(Level::FULL), half.scaled(Level::OUT)), (half, Level::OUT));
        assert_eq!(Level::OUT.inverted(), Level::FULL);
    }

    #[test]
    fn half_is_half_and_beyond_full_is_refused() {
        assert_eq!(Level::from_percent(50.0).expect("in range").slot(), 128);
        assert!(Level::from_percent(100.1).is_err());
        assert!(Level::from_percent(f64::NAN).is_err());
    }

    #[test]
    fn a_colour_is_six_hexadecimal_digits() {
        assert_eq!("#ff8000".parse::<Rgb>().expect("a colour").to_string(), "#ff8000");
        for wrong in ["ff8000", "#ff80", "#ff80zz", "#+f8000", ""] {
            assert!(wrong.parse::<Rgb>().is_err(), "{wrong}");
        }
    }
}
