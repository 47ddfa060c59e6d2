//! Decides what sounds from the box, and how loud, at every instant.
//!
//! In: voices (a file that begins at a show time), fades, stops, pauses. Out: a [`Plan`], from which the card
//! thread renders any block: the position in a file is a function of show time, so starting, seeking, looping and
//! resuming after a crash are the same arithmetic.
//! Never here: cards, clocks, files; rendering neither allocates, locks nor waits.
//!
//! The card's crystal is nobody's clock: a [`Servo`] tells from the card's stamps when each frame is heard, and a
//! [`Renderer`] draws each block for the instants that it gives.
//!
//! *Voice*: one sounding of a file. *Ramp*: a straight change of a gain. *Edge*: a ramp that keeps a cut from clicking.

mod debut;
mod kernel;
mod pcm;
mod plan;
mod playback;
mod render;
mod rerate;
mod servo;

pub use debut::Debuts;
pub use pcm::Pcm;
pub use plan::{Plan, PlanRoute, Ramp, Voice};
pub use playback::{Playback, Start, ends};
pub use render::{FrameGrid, Renderer};
pub use rerate::Rerate;
pub use servo::{Servo, ServoState, Stamp, Taken};
