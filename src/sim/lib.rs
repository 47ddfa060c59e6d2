//! A world on a desk, in virtual time: the lighting network, the sound card and phones stand where `io` stands in
//! the real one, and the same engine runs between them.
//!
//! In: a show, a seed, and what operators do when. Out: every frame, sample, order and receipt.
//! Never here: real time, threads, sockets, files.

pub mod acoustics;
mod air;
mod boxes;
pub mod card;
mod crowd;
pub mod crystal;
mod day;
mod dial;
mod ear;
mod edge;
mod feeders;
mod hall;
mod light_day;
mod line;
pub mod nights;
pub mod path;
mod phone;
pub mod ptp;
mod rehearse;
mod rig;
mod rounding;
mod speaker;
pub mod timeline;
pub mod wav;
mod wifi;
mod world;

pub use crate::phone::{Dead, Files, PhoneSpec, Shown, SimPhone};
pub use boxes::{Boxes, Turn};
pub use crowd::Crowd;
pub use day::{Day, DayReport, Fresh, Sizes, Waits};
pub use light_day::{LightDay, LightReport, STEP_ALLOWED};
pub use line::FromPhone;
pub use rehearse::{Listener, Rehearsal, rehearse};
pub use rig::{Frame, Rig};
pub use rounding::Rounding;
pub use speaker::{Heard, Sounded};
pub use wifi::Wifi;
pub use world::{Event, Story, World, WorldSpec};
