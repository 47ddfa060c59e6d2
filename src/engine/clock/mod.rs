//! The box clock: an overlay (offset and rate) on the machine's monotonic clock, which nobody steers.
//!
//! In: readings of the monotonic clock. Out: show time. Never: reading any clock.

use serde::Serialize;
use units::{MonoTime, Ppm, ShowTime, Span};

/// TAI minus UTC since 2017; a show keeps the value it began with.
pub const TAI_UTC: Span = Span::from_secs(37);

/// Show time as a straight line over the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlay {
    mono: MonoTime,
    show: ShowTime,
    rate: Ppm,
}

impl Overlay {
    /// `show` is the time at `mono`; from there it runs `rate` faster than the monotonic clock.
    pub fn new(mono: MonoTime, show: ShowTime, rate: Ppm) -> Self {
        Self { mono, show, rate }
    }
    /// The show time at a reading.
    pub fn show(&self, mono: MonoTime) -> ShowTime {
        let gone = mono - self.mono;
        self.show + gone + Span::from_ns((gone.ns() as f64 * self.rate.0 * 1e-6).round() as i64)
    }
    /// The reading at a show time.
    pub fn mono(&self, show: ShowTime) -> MonoTime {
        let gone = show - self.show;
        self.mono + gone
            - Span::from_ns((gone.ns() as f64 * (1.0 - 1.0 / self.rate.ratio())).round() as i64)
    }
}

/// How far the box clock is to be trusted (DESIGN: Time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockState {
    /// Runs by itself; nobody disciplines it.
    Free,
    /// Somebody does, but it is not there yet.
    Acquiring,
    /// Follows its master.
    Locked,
    /// Lost its master and goes on by what it learnt.
    Holdover,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_maps_there_and_back_within_a_nanosecond_a_day_off() {
        let overlay = Overlay::new(
            MonoTime::from_ns(5),
            ShowTime::from_ns(1_790_000_000_000_000_000),
            Ppm(73.0),
        );
        let later = MonoTime::from_ns(86_400_000_000_000);
        let back = overlay.mono(overlay.show(later));
        assert!((back - later).abs() <= Span::from_ns(1), "{back:?}");
    }
}
