//! The box clock at the edge: readings of the machine's monotonic clock, laid over with show time.
//!
//! One writer publishes the overlay, and whoever holds a [`BoxClock`] reads it: a light thread between two frames and
//! a card in the middle of a block, so reading neither locks, allocates nor waits.
//!
//! The naive way is one place and a counter that is odd while the place is written: a reader that meets a writer whom
//! the machine has put to sleep then spins until it wakes. Here are two places, and the writer only ever writes the one
//! that is not shown; a reader tries again only if an overlay was published while it read one.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI64, AtomicUsize, fence};

use engine::clock::{Overlay, TAI_UTC};
use nix::time::{ClockId, clock_gettime};
use units::{Moment, MonoTime, Ppm, ShowTime, Span};

/// Reads the machine's clocks; cheap to clone, the same for every thread of the box.
#[derive(Debug, Clone)]
pub struct BoxClock {
    shown: Arc<Shown>,
}

/// The one that may change what every [`BoxClock`] of its kind shows.
#[derive(Debug)]
pub struct ClockWriter {
    shown: Arc<Shown>,
}

type Parts = [AtomicI64; WORDS];
/// Of [`Overlay::parts`].
const WORDS: usize = 5;

#[derive(Debug)]
struct Shown {
    places: [Parts; 2],
    /// How often was published; the place of that number, modulo two, is whole.
    count: AtomicUsize,
}

impl BoxClock {
    /// Begins at what the system's clock says and runs by itself from there: the system's later steps do not reach it.
    pub fn free() -> Self {
        Self::disciplined().0
    }

    /// The same, with the hand that disciplines it.
    pub fn disciplined() -> (Self, ClockWriter) {
        let utc: ShowTime = read(ClockId::CLOCK_REALTIME);
        let overlay = Overlay::new(read(ClockId::CLOCK_MONOTONIC), utc + TAI_UTC, Ppm(0.0));
        let parts = || overlay.parts().map(AtomicI64::new);
        let shown = Arc::new(Shown { places: [parts(), parts()], count: AtomicUsize::new(0) });
        (Self { shown: shown.clone() }, ClockWriter { shown })
    }

    /// The monotonic clock, now.
    pub fn mono_now(&self) -> MonoTime {
        read(ClockId::CLOCK_MONOTONIC)
    }
    /// Show time, now.
    pub fn now(&self) -> ShowTime {
        self.overlay().show(self.mono_now())
    }
    /// Both clocks at one instant.
    pub fn both(&self) -> (MonoTime, ShowTime) {
        let mono = self.mono_now();
        (mono, self.overlay().show(mono))
    }
    /// The show time at a reading of the monotonic clock.
    pub fn show(&self, mono: MonoTime) -> ShowTime {
        self.overlay().show(mono)
    }
    /// What the monotonic clock reads at a show time: the absolute time for a timer. A clock that is disciplined moves
    /// it by 100 ppm of what is left, so who sleeps long asks again on the way.
    pub fn mono(&self, show: ShowTime) -> MonoTime {
        self.overlay().mono(show)
    }
    /// How long until a show time; nothing if it has gone.
    pub fn until(&self, show: ShowTime) -> std::time::Duration {
        (show - self.now()).max(Span::ZERO).to_std()
    }
    /// The overlay in force.
    pub fn overlay(&self) -> Overlay {
        self.shown.read()
    }
}

impl ClockWriter {
    /// This is show time from now on.
    pub fn publish(&mut self, overlay: Overlay) {
        self.shown.write(overlay.parts());
    }
}

impl Shown {
    fn read(&self) -> Overlay {
        loop {
            let count = self.count.load(Acquire);
            let parts = std::array::from_fn(|n| self.places[count % 2][n].load(Relaxed));
            // Pairs with the writer's: who has seen a number of a later write sees its count as well.
            fence(Acquire);
            if self.count.load(Relaxed) == count {
                return Overlay::from_parts(parts);
            }
        }
    }

    fn write(&self, parts: [i64; WORDS]) {
        let next = self.count.load(Relaxed).wrapping_add(1);
        // The place was shown until the last write ended: nothing of this one may be seen before that.
        fence(Release);
        self.places[next % 2]
            .iter()
            .zip(parts)
            .for_each(|(place, part)| place.store(part, Relaxed));
        self.count.store(next, Release);
    }
}

/// A clock of the machine.
pub(crate) fn read<S>(clock: ClockId) -> Moment<S> {
    let at = clock_gettime(clock).expect("Linux has this clock");
    Moment::from_ns(at.tv_sec() * 1_000_000_000 + at.tv_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_what_every_clone_shows() {
        let (clock, mut writer) = BoxClock::disciplined();
        let elsewhere = clock.clone();
        let overlay = Overlay::new(MonoTime::from_ns(7), ShowTime::from_ns(11), Ppm(50.0));
        writer.publish(overlay);
        assert_eq!((clock.overlay(), elsewhere.overlay()), (overlay, overlay));
    }

    /// Every overlay that is published has numbers of one kind; a torn one would have two kinds.
    #[test]
    fn readers_never_see_half_of_one_overlay_and_half_of_another() {
        let (clock, mut writer) = BoxClock::disciplined();
        let made = |n: i64| Overlay::from_parts([n; WORDS]);
        writer.publish(made(0));
        let reading = |clock: BoxClock| {
            let mut last = 0;
            while last < 50_000 {
                let [first, rest @ ..] = clock.overlay().parts();
                assert_eq!(rest, [first; WORDS - 1]);
                assert!(first >= last, "time of publishing went back");
                last = first;
            }
        };
        std::thread::scope(|scope| {
            (0..2).for_each(|_| drop(scope.spawn(|| reading(clock.clone()))));
            (1..=50_000).for_each(|n| writer.publish(made(n)));
        });
    }
}
