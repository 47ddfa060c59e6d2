//! The real world: sockets, sound, disk. Never here: a decision.

pub mod clock;
pub mod light;
pub mod sound;
