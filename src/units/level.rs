//! How bright, and what colour.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::OutOfRange;

/// A share of full: 0 is out, 65,535 is full. Sixteen bits, as the finest channels have.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Level(pub u16);

impl Level {
    /// Out.
    pub const OUT: Self = Self(0);
    /// Full.
    pub const FULL: Self = Self(u16::MAX);
    /// One step of an eight-bit slot.
    pub const ONE_STEP: Self = Self(257);

    /// From percent, 0 to 100.
    pub fn from_percent(percent: f64) -> Result<Self, OutOfRange> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(OutOfRange {
                what: "a level",
                range: "0 to 100 %",
                given: percent.to_string(),
            });
        }
        Ok(Self((percent / 100.0 * f64::from(u16::MAX)).round() as u16))
    }
    /// From the value of an eight-bit slot.
    pub const fn from_slot(value: u8) -> Self {
        Self(value as u16 * 257)
    }
    /// The nearest value of an eight-bit slot.
    pub const fn slot(self) -> u8 {
        ((self.0 as u32 + 128) / 257) as u8
    }
    /// Coarse and fine value of a sixteen-bit channel.
    pub const fn coarse_fine(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
    /// In percent.
    pub fn percent(self) -> f64 {
        f64::from(self.0) * 100.0 / f64::from(u16::MAX)
    }
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
