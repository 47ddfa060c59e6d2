//! Timecode on cables: MIDI from a device, MIDI and ArtTimeCode to others. (LTC is in `sound`, ArtTimeCode that comes
//! is heard by `light`.)
//!
//! In: courses; bytes of a device. Out: packets and bytes at their instants; what is heard. Never here: which timecode
//! it is.

mod midi;
mod sender;

pub use midi::MidiInput;
pub use sender::{ArtnetWay, Sender, SenderSetup};
