//! Decides which level each slot shows.
//!
//! In: takes (a cue takes slots to levels from a show time on), stops, pauses. Out: a [`Plan`], from which
//! [`render`] draws any universe at any show time, on any box, bit for bit the same.
//! Never here: sockets, clocks; [`render`] neither allocates, locks nor waits.
//!
//! *Take*: a cue's claim on slots. *Lane*: an attribute's slot (or two) with all its moves. *Layer*: a cue list's
//! own moves in a lane that lists share by HTP; lanes shared by LTP have one layer, so that a fade begins
//! where the slot stands, whoever brought it there.

//!
//! Beside it the manners of the two protocols, just as pure: [`source`] (when a universe is sent), [`controller`] (who
//! wants Art-Net), [`artsync`] (when a held frame is shown), [`rdm`] (what lamps tell), [`receive`] (who else
//! sends), [`discover`] (what sACN
//! receivers are told of us).

pub mod artsync;
pub mod controller;
pub mod discover;
mod plan;
mod playback;
pub mod rdm;
pub mod receive;
pub mod source;

pub use plan::{GRID, Plan, UniversePlan, render};
pub use playback::{Playback, Take};
