//! Every step since the show began, for boxes that stand by, and how far this box's engine has come.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use engine::EngineStart;
use engine::cluster::Step;
use units::{Moment, MonoTime, ShowTime};

/// Cheap to clone; the engine's thread writes, links read.
#[derive(Debug, Clone, Default)]
pub struct Feed {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    log: Mutex<Log>,
    more: Condvar,
    steps: AtomicU64,
    done: AtomicI64,
    /// When that was said, by the monotonic clock.
    beat: AtomicI64,
}

#[derive(Debug, Default)]
struct Log {
    start: Option<EngineStart>,
    lines: Vec<Arc<str>>,
}

/// How far an engine has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// Steps since its start.
    pub steps: u64,
    /// Everything up to then is done.
    pub done: ShowTime,
    /// When it said so.
    pub beat: MonoTime,
}

impl Feed {
    /// The engine has begun, or begun anew.
    pub fn begin(&self, start: EngineStart) {
        let mut log = self.log();
        *log = Log { start: Some(start), lines: Vec::new() };
        self.shared.more.notify_all();
    }

    /// It has taken a step.
    pub fn push(&self, step: &Step) {
        let line = serde_json::to_string(step).expect("every step has a JSON form");
        self.log().lines.push(line.into());
        self.shared.more.notify_all();
    }

    /// It lives.
    pub fn beat(&self, (steps, done): (u64, ShowTime), now: MonoTime) {
        self.shared.steps.store(steps, Relaxed);
        self.shared.done.store(done.ns(), Relaxed);
        self.shared.beat.store(now.ns(), Relaxed);
    }

    /// When it said last that it lives, and how far it had come.
    pub fn pulse(&self) -> Pulse {
        Pulse {
            steps: self.shared.steps.load(Relaxed),
            done: Moment::from_ns(self.shared.done.load(Relaxed)),
            beat: Moment::from_ns(self.shared.beat.load(Relaxed)),
        }
    }

    /// What its engine began with, and how many steps there are.
    pub(super) fn head(&self) -> (Option<EngineStart>, u64) {
        let log = self.log();
        (log.start, log.lines.len() as u64)
    }

    /// The lines from a step on, after waiting for one at most so long; none where the engine has begun anew meanwhile.
    pub(super) fn lines_from(
        &self,
        start: Option<EngineStart>,
        from: u64,
        patience: Duration,
    ) -> Option<Vec<Arc<str>>> {
        let is_dry = |log: &mut Log| log.start == start && log.lines.len() as u64 <= from;
        let log = self.shared.more.wait_timeout_while(self.log(), patience, is_dry);
        let log = log.expect("nobody panics while holding the steps").0;
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        (log.start == start).then(|| log.lines.get(from..).unwrap_or_default().to_vec())
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.log.lock().expect("nobody panics while holding the steps")
    }
}
