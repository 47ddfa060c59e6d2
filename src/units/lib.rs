//! The words every room shares: show time, spans, levels, addresses, ids.
//!
//! A value that exists is valid: ranges are checked when it is made, so the rooms behind need no `if`.
//! Never here: I/O, clocks, randomness.

mod address;
mod ids;
mod level;
mod sound;
mod subnet;
mod time;
mod timecode;

pub use address::{PortAddress, Slot, Universe};
pub use ids::{CommandId, CueNumber, OrderId, PhoneId, TrackId, VoiceId, WayId};
pub use level::{Level, Rgb};
pub use sound::{Decibels, Gain};
pub use subnet::Subnet;
pub use time::{Moment, Mono, MonoTime, Ppm, ShowTime, Span, Tai, WireTime};
pub use timecode::{Clock, FrameRate, Timecode};

/// A value outside its range, said in a sentence that fits after "could not read …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {range}, not {given}")]
pub struct OutOfRange {
    /// What the value is, in a technician's word.
    pub what: &'static str,
    /// The range it must keep.
    pub range: &'static str,
    /// What was given.
    pub given: String,
}
