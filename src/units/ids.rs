//! Names of things.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::OutOfRange;

/// A cue's number, as consoles have it: `1`, `2.5`, `12.125`. In thousandths, up to 99,999.999.
///
/// Unique in a show, whichever list the cue is in, so that `/cue/2.5/start` means one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CueNumber(u32);

impl CueNumber {
    /// From thousandths.
    pub fn from_thousandths(thousandths: u32) -> Result<Self, OutOfRange> {
        match thousandths {
            1..=99_999_999 => Ok(Self(thousandths)),
            _ => Err(wrong_cue(&format!("{}", f64::from(thousandths) / 1000.0))),
        }
    }
    /// In thousandths.
    pub const fn thousandths(self) -> u32 {
        self.0
    }
}

fn wrong_cue(given: &str) -> OutOfRange {
    OutOfRange {
        what: "a cue number",
        range: "0.001 to 99999.999 with up to three decimals",
        given: format!("`{given}`"),
    }
}

impl FromStr for CueNumber {
    type Err = OutOfRange;
    fn from_str(text: &str) -> Result<Self, OutOfRange> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || whole.len() > 5 || part.len() > 3 {
            return Err(wrong_cue(text));
        }
        let whole: u32 = whole.parse().map_err(|_| wrong_cue(text))?;
        let part: u32 = format!("{part:0<3}").parse().map_err(|_| wrong_cue(text))?;
        Self::from_thousandths(whole * 1000 + part).map_err(|_| wrong_cue(text))
    }
}
impl TryFrom<String> for CueNumber {
    type Error = OutOfRange;
    fn try_from(text: String) -> Result<Self, OutOfRange> {
        text.parse()
    }
}
impl From<CueNumber> for String {
    fn from(number: CueNumber) -> Self {
        number.to_string()
    }
}
impl fmt::Display for CueNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1000, self.0 % 1000);
        match part {
            0 => f.pad(&whole.to_string()),
            part => f.pad(format!("{whole}.{part:03}").trim_end_matches('0')),
        }
    }
}

macro_rules! counted {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

counted! {
    /// One order of the engine; counts up from 1 over a run of the show.
    OrderId;
    /// One sounding of a file; counts up from 1 over a run of the show.
    VoiceId;
    /// One socket of a phone; counts up from 1 over a run of the box. A phone that reconnects gets a new one.
    PhoneId;
}

/// An access point: the place of its subnet in the box file, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WayId(pub u16);

/// A command's own name, given by whoever sends it: sent twice, done once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub String);

/// A track's name in the show file, `track_001`: letters, digits, `_`, `-`, `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackId(pub String);

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cue_numbers_sort_as_a_caller_reads_them() {
        let number = |text: &str| text.parse::<CueNumber>().expect("a cue number");
        assert!(number("2") < number("2.5") && number("2.5") < number("10"));
        assert_eq!(number("2.50"), number("2.5"));
        assert_eq!(number("12.125").to_string(), "12.125");
        assert_eq!(number("3").to_string(), "3");
    }

    #[test]
    fn a_cue_number_is_refused_with_its_range() {
        for wrong in ["", "0", "a", "1.", ".5", "1.2345", "-1", "100000", "1.-2"] {
            assert!(wrong.parse::<CueNumber>().is_err(), "{wrong}");
        }
    }
}
