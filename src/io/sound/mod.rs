//! The box's own sound at the edge: files into memory, blocks out to a card.
//!
//! In: plans. Out: samples on a card, and reports of what was first heard when. Never: a decision about what sounds.
//! Card thread to card: a block every few milliseconds. Without a card the same threads run against the clock.

#[cfg(target_os = "linux")]
mod alsa;
mod card;
#[cfg(not(target_os = "linux"))]
mod cpal;
mod decode;
mod ear;
mod ltc;
mod microphone;
mod output;
mod pace;
mod realtime;
mod sample;
mod simulated;

pub use card::{Buffer, Card, CardGlance, CardSetup, Device};
pub use decode::{MediaError, decode, media_info};
pub use ltc::LtcInput;
pub use microphone::Microphone;
pub use output::CardError;
pub(crate) use realtime::ask as ask_for_real_time;
