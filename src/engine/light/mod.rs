//! Decides which level each slot shows.
//!
//! In: takes (a cue takes attributes to levels from a show time on), masters, stops, pauses. Out: a [`Plan`], from
//! which [`render`] draws any universe at any show time, on any box, bit for bit the same.
//! Never here: sockets, clocks; [`render`] neither allocates, locks nor waits.
//!
//! *Take*: a cue's claim on attributes. *Lane*: an attribute with all its moves (`lane` says who is seen). *Drawing*:
//! a universe flattened for the render thread (`draw`). The way through: `playback` keeps the lanes, `draw` makes a
//! drawing of them, `render` reads it.
//!
//! Beside it the manners of the two protocols, just as pure: [`source`] (when a universe is sent), [`controller`] (who
//! wants Art-Net), [`rdm`] (what lamps tell), [`receive`] (who else sends),
//! [`input`] (what of that comes in), [`discover`] (what sACN receivers are told of us), [`parts`] (threads that share a
//! frame).

pub mod blind;
pub mod controller;
pub mod discover;
mod draw;
mod fade;
pub mod input;
mod lane;
mod master;
mod overlay;
pub mod parts;
mod plan;
mod playback;
mod rack;
pub mod rdm;
pub mod receive;
mod render;
mod roll;
pub mod source;
mod stream;
pub mod turn;
mod wave;

pub use plan::{GRID, Plan, UniversePlan};
pub use playback::{MasterId, Playback, Take};
pub use render::{Desk, priorities, render};
pub(crate) use roll::ends;
pub use stream::{Feeder, Stream};
