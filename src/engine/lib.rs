//! The show, pure: it is told what happened and when, and is asked what to do next.
//!
//! In: commands, phones, receipts, each with the time it happened. Out: orders (what, which output, at which
//! show time), plans for the render threads, words for phones. Same inputs, same outputs, bit for bit.
//! Never here: a clock, a socket, a file, a thread, randomness.
//!
//! ```text
//! let answer = engine.command(now, &request);
//! while let Some(effect) = engine.poll() { world.perform(effect) }
//! ```

pub mod asker;
mod audience;
mod believed;
pub mod boxfile;
pub mod calibrate;
pub mod certificate;
pub mod clock;
pub mod cluster;
mod cue;
pub mod delivery;
pub mod fixture;
pub mod glance;
pub mod hush;
mod ledger;
pub mod light;
pub mod muster;
pub mod order;
pub mod overheard;
pub mod pace;
pub mod peers;
pub mod phonefile;
pub mod phones;
pub mod pool;
pub mod reader;
pub mod reception;
pub mod rooms;
pub mod show;
pub mod sound;
pub mod surface;
pub mod timecode;
pub mod token;
pub mod told;
pub mod turned_away;
pub mod weather;

pub use cue::{Engine, EngineStart, Why};
