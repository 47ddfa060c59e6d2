//! Holds back a device that nothing paces (alsa-lib's `null` and `file`): a thread of high priority that never sleeps
//! would take the machine with it.
//!
//! It lets a tenth of a percent more through than the rate, which no crystal reaches.

use units::{MonoTime, Span};

use crate::clock::BoxClock;

pub(super) struct Pace {
    clock: BoxClock,
    due: MonoTime,
    step: Span,
    slack: Span,
}

impl Pace {
    /// For blocks of `period`, of which a device holds `slack` ready.
    pub(super) fn new(period: Span, slack: Span, clock: BoxClock) -> Self {
        let step = Span::from_secs_f64(period.secs_f64() / 1.001);
        let due = clock.mono_now();
        Self { clock, due, step, slack }
    }

    /// Sleeps until the next block is due.
    pub(super) fn wait(&mut self) {
        let now = self.clock.mono_now();
        if now < self.due {
            std::thread::sleep((self.due - now).to_std());
        }
        self.due = self.due.max(now - self.slack) + self.step;
    }
}
