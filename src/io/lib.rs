//! The real world: sockets, sound, disk. Never here: a decision.

pub mod chance;
pub mod clock;
pub mod conductor;
pub mod disk;
pub mod http;
pub mod journal;
pub mod light;
pub mod osc;
pub mod ptp;
pub mod sound;
pub mod timecode;
