//! How loud.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::OutOfRange;

/// Decibels relative to the file's own level. `-inf` is silence.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Decibels(f64);

impl Decibels {
    /// The file's own level.
    pub const UNITY: Self = Self(0.0);
    /// Nothing.
    pub const SILENCE: Self = Self(f64::NEG_INFINITY);

    /// At most +12 dB: more is a wrong file or a typing mistake, and somebody's ears.
    pub fn new(db: f64) -> Result<Self, OutOfRange> {
        match db {
            db if db.is_nan() || db > 12.0 => {
                Err(OutOfRange { what: "a volume", range: "12 dB at most", given: db.to_string() })
            }
            db => Ok(Self(db)),
        }
    }
    /// As a number.
    pub fn db(self) -> f64 {
        self.0
    }
    /// As a factor; from -96 dB down it is silence.
    pub fn gain(self) -> Gain {
        Gain(if self.0 <= -96.0 { 0.0 } else { 10_f64.powf(self.0 / 20.0) as f32 })
    }
}
impl fmt::Display for Decibels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dB", self.0)
    }
}

/// A factor on samples: 0 is silence, 1 leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gain(pub f32);

impl Gain {
    /// Nothing.
    pub const SILENCE: Self = Self(0.0);
    /// Unchanged.
    pub const UNITY: Self = Self(1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_decibels_down_is_about_half() {
        let half = Decibels::new(-6.0).expect("in range").gain();
        assert!((half.0 - 0.501).abs() < 0.001);
        assert_eq!(Decibels::SILENCE.gain(), Gain::SILENCE);
        assert!(Decibels::new(13.0).is_err());
    }
}
