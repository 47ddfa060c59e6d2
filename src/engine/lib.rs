//! The show, pure: it is told what happened and when, and is asked what to do next.
//!
//! In: commands, phones, receipts, each with the time it happened. Out: orders (what, which output, at which
//! show time), plans for the render threads, words for phones. Same inputs, same outputs, bit for bit.
//! Never here: a clock, a socket, a file, a thread, randomness.

pub mod boxfile;
pub mod clock;
pub mod glance;
pub mod light;
pub mod order;
pub mod reader;
pub mod show;
pub mod sound;
pub mod told;
