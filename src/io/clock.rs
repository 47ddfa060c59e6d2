//! The box clock at the edge: readings of the machine's monotonic clock, laid over with show time.

use engine::clock::{Overlay, TAI_UTC};
use nix::time::{ClockId, clock_gettime};
use units::{Moment, MonoTime, Ppm, ShowTime, Span};

/// Reads the machine's clocks; cheap to copy, the same for every thread of the box.
#[derive(Debug, Clone, Copy)]
pub struct BoxClock {
    overlay: Overlay,
}

impl BoxClock {
    /// Begins at what the system's clock says and runs by itself from there: the system's later steps do not reach it.
    pub fn free() -> Self {
        let utc: ShowTime = read(ClockId::CLOCK_REALTIME);
        Self { overlay: Overlay::new(read(ClockId::CLOCK_MONOTONIC), utc + TAI_UTC, Ppm(0.0)) }
    }
    /// The monotonic clock, now.
    pub fn mono_now(&self) -> MonoTime {
        read(ClockId::CLOCK_MONOTONIC)
    }
    /// Show time, now.
    pub fn now(&self) -> ShowTime {
        self.overlay.show(self.mono_now())
    }
    /// The show time at a reading of the monotonic clock.
    pub fn show(&self, mono: MonoTime) -> ShowTime {
        self.overlay.show(mono)
    }
    /// What the monotonic clock reads at a show time: the absolute time for a timer.
    pub fn mono(&self, show: ShowTime) -> MonoTime {
        self.overlay.mono(show)
    }
    /// How long until a show time; nothing if it has gone.
    pub fn until(&self, show: ShowTime) -> std::time::Duration {
        (show - self.now()).max(Span::ZERO).to_std()
    }
}

fn read<S>(clock: ClockId) -> Moment<S> {
    let at = clock_gettime(clock).expect("Linux has this clock");
    Moment::from_ns(at.tv_sec() * 1_000_000_000 + at.tv_nsec())
}
