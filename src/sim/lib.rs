//! A world on a desk, in virtual time: the lighting network, the sound card and phones stand where `io` stands in
//! the real one, and the same engine runs between them.
//!
//! In: a show, a seed, and what operators do when. Out: every frame, sample, order and receipt.
//! Never here: real time, threads, sockets, files.

pub mod card;
mod rehearse;
mod rig;
pub mod timeline;
pub mod wav;
mod world;

pub use rehearse::{Listener, Rehearsal, rehearse};
pub use rig::{Frame, Rig};
pub use world::{Event, Story, World, WorldSpec};
