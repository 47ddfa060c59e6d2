//! What a phone decides, pure: clock estimate, what to sound and show when.
//!
//! In: [`Event`]s (a word from the box, a tap, an audio time stamp) with the page's monotonic time.
//! Out: [`Act`]s (open the socket, say this, start this track at that audio time) and a [`Look`] (what the
//! screen shows). The same code runs natively in `sim` and as WebAssembly in the page.
//! Never here: a browser, a clock, chance of our own.
//!
//! Three clocks meet: [`units::MonoTime`] is the page's, [`NetTime`] the box's as the wire writes it, and
//! [`AudioTime`] the sound hardware's. [`clock`] ties the first two, [`audio`] the first and the third.

pub mod audio;
mod boxes;
pub mod buffer;
mod carrier;
mod chance;
pub mod clock;
mod core;
mod correction;
mod delay;
mod device;
#[cfg(all(target_family = "wasm", not(feature = "pictures")))]
mod door;
pub mod film;
mod flicker;
mod guard;
#[cfg(test)]
mod heap;
mod invitation;
mod line;
mod link;
mod live;
mod pace;
mod peer;
#[cfg(all(target_family = "wasm", feature = "pictures"))]
mod pictures_door;
mod player;
mod scale;
mod screen;
pub mod screening;
mod slip;
mod state;
mod told;
#[cfg(test)]
mod vectors;
mod voice;
mod ways;

pub use crate::core::Core;
pub use chance::Chance;
pub use device::Hints;
pub use guard::Guard;
pub use scale::{Audio, AudioTime, Net, NetTime};
pub use state::{Doing, State};
pub use told::{
    Act, Duet, DuetNews, DuetTrouble, Event, Ink, Look, Microphone, OutputStamp, PeerLink, Role,
    Start, Turn,
};
pub use wire::time::Channel;
