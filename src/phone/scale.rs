//! The two clocks that are not the page's own.

use units::{Moment, WireTime};

/// Network time: UNIX as the wire has it. Which leap seconds lie between it and TAI is the box's business.
pub enum Net {}

/// The AudioContext's `currentTime`: the sound hardware's crystal, zero when the context was made.
pub enum Audio {}

/// Nanoseconds of network time since 1970-01-01 00:00:00 UTC.
pub type NetTime = Moment<Net>;

/// Nanoseconds of sound played since the context was made.
pub type AudioTime = Moment<Audio>;

/// Network time from the wire.
pub(crate) fn net(at: WireTime) -> NetTime {
    Moment::from_ns(at.micros().saturating_mul(1_000))
}

/// Network time for the wire.
pub(crate) fn wire(at: NetTime) -> WireTime {
    WireTime::from_micros(at.ns().div_euclid(1_000))
}

/// Seconds since the scale's zero.
pub(crate) fn secs<S>(at: Moment<S>) -> f64 {
    at.ns() as f64 / 1e9
}

/// From seconds since the scale's zero; what is not finite is zero or the end of time.
pub(crate) fn from_secs<S>(secs: f64) -> Moment<S> {
    Moment::from_ns((secs * 1e9).round() as i64)
}
