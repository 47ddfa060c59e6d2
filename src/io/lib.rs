//! The real world: sockets, sound, disk. Never here: a decision.

pub mod chance;
pub mod clock;
pub mod light;
pub mod sound;
pub mod conductor;
pub mod http;
pub mod journal;
