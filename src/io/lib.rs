//! The real world: sockets, sound, disk. Never here: a decision.

pub mod chance;
pub mod clock;
pub mod cluster;
pub mod conductor;
mod datagram;
pub mod disk;
mod ethernet;
pub mod film;
mod heap;
pub mod http;
pub mod journal;
pub mod light;
pub mod osc;
pub mod overheard;
pub mod peers;
pub mod ptp;
pub mod seal;
pub mod sound;
pub mod timecode;
