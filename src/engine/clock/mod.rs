//! The box clock: an overlay (offset and rate) on the machine's monotonic clock, which nobody steers.
//!
//! In: readings of the monotonic clock, measurements of a master, answers of other boxes. Out: show time, how far it
//! may be off, and what to publish, ask and tell. Never: reading any clock, a step while a show runs.
//!
//! Terms: the *overlay* is show time as a line over the monotonic clock; the *discipline* keeps it on the master's
//! time; a *stamp* is the time of one packet at one end.

mod course;
mod discipline;
mod estimate;
mod glance;
mod history;
mod news;
mod overlay;
mod peers;
mod retry;
mod settings;
mod still;
#[cfg(test)]
mod tests;
mod timescale;

use units::Span;

pub use discipline::Discipline;
pub use glance::{Agreement, ClockGlance, ClockState, Past, PeerGlance};
pub use news::{
    Deed, Direction, LinkDelay, Master, News, OneWay, PeerExchange, Role, Sample, StampKind, Story,
    Why, identity_text,
};
pub use overlay::Overlay;
pub use retry::Retry;
pub use settings::Settings;
pub use still::sync_leaves;
pub use timescale::Timescale;

/// TAI minus UTC since 2017; a show keeps the value it began with.
pub const TAI_UTC: Span = Span::from_secs(37);
