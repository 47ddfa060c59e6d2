//! Decides what sounds from the box, and how loud, at every instant.
//!
//! In: voices (a file that begins at a show time), fades, stops, pauses. Out: a [`Plan`], from which the card
//! thread renders any block: the position in a file is a function of show time, so starting, seeking, looping and
//! resuming after a crash are the same arithmetic.
//! Never here: cards, clocks, files; rendering neither allocates, locks nor waits.
//!
//! *Voice*: one sounding of a file. *Ramp*: a straight change of a gain. *Edge*: a ramp that keeps a cut from clicking.

mod kernel;
mod pcm;
mod plan;
mod playback;
mod render;

pub use pcm::Pcm;
pub use plan::{Plan, PlanRoute, Ramp, Voice};
pub use playback::{Playback, Start};
pub use render::{FrameGrid, Renderer};
