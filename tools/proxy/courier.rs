//! Brings each parcel to its door at its time.
//!
//! Tokio's own timers have steps of a millisecond. This one is a `timerfd`, which rings when its nanosecond has come;
//! the parcels are then handed over on the same thread, without another wake-up between. But tokio looks at descriptors
//! only after it has run some sixty tasks that were ready, and a thousand clients make as many: so whoever takes a packet
//! first brings what is due.

use std::cell::{Cell, RefCell};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;
use units::MonoTime;

use super::Desk;
use crate::mono_now;

/// What is brought.
pub(super) enum Piece {
    /// Bytes.
    Bytes(Bytes),
    /// The end of a stream.
    End,
}

/// Where it is brought.
pub(super) trait Door {
    /// It is here.
    fn take(self: Rc<Self>, piece: Piece);
}

/// The parcels that are on their way.
pub(super) struct Courier {
    alarm: AsyncFd<Alarm>,
    parcels: RefCell<BinaryHeap<Reverse<Parcel>>>,
    posted: Cell<u64>,
    /// What the alarm is set to; none when it has rung.
    alarm_at: Cell<Option<MonoTime>>,
    desk: Arc<Desk>,
}

struct Parcel {
    due: MonoTime,
    /// Of two that are due together, the first that was posted is first.
    number: u64,
    to: Rc<dyn Door>,
    piece: Piece,
}

impl Courier {
    pub(super) fn new(desk: Arc<Desk>) -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for the sake of descriptors that lie; a timer is owned"
        )]
        let alarm = AsyncFd::new(Alarm(timer))?;
        let (posted, alarm_at) = (Cell::new(0), Cell::new(None));
        Ok(Self { alarm, parcels: RefCell::default(), posted, alarm_at, desk })
    }

    pub(super) fn post(&self, due: MonoTime, to: Rc<dyn Door>, piece: Piece) {
        self.posted.set(self.posted.get() + 1);
        let parcel = Parcel { due, number: self.posted.get(), to, piece };
        self.parcels.borrow_mut().push(Reverse(parcel));
        self.set_to_first();
    }

    /// Brings parcels for ever.
    pub(super) async fn run(&self) {
        loop {
            // The only error is a runtime that shuts down.
            let Ok(mut rings) = self.alarm.readable().await else { return };
            rings.clear_ready();
            drop(rings);
            if let Some(meant) = self.alarm_at.take().filter(|meant| *meant <= mono_now()) {
                self.desk.account().alarm.add(mono_now() - meant);
            }
            self.deliver();
        }
    }

    /// Hands over what is due, and sets the alarm for what is next.
    pub(super) fn deliver(&self) {
        while let Some(Reverse(parcel)) = self.next_due() {
            let late = mono_now() - parcel.due;
            parcel.to.take(parcel.piece);
            self.desk.account().lateness.add(late);
        }
        self.set_to_first();
    }

    fn next_due(&self) -> Option<Reverse<Parcel>> {
        let is_due = self.first().is_some_and(|first| first <= mono_now());
        is_due.then(|| self.parcels.borrow_mut().pop())?
    }

    fn first(&self) -> Option<MonoTime> {
        self.parcels.borrow().peek().map(|Reverse(parcel)| parcel.due)
    }

    fn set_to_first(&self) {
        if let Some(first) = self.first().filter(|first| self.alarm_at.get() != Some(*first)) {
            self.alarm_at.set(Some(first));
            self.set(first);
        }
    }

    fn set(&self, at: MonoTime) {
        // Zero would unset the alarm; what is past rings at once.
        let at = at.ns().max(1);
        let at = TimeSpec::new(at / 1_000_000_000, at % 1_000_000_000);
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        let set = self.alarm.get_ref().0.set(Expiration::OneShot(at), flags);
        set.expect("a timer of ours takes any time that is not negative");
    }
}

struct Alarm(TimerFd);

impl AsRawFd for Alarm {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl PartialEq for Parcel {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Parcel {}
impl PartialOrd for Parcel {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Parcel {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}
