//! Brings the talk with phones from the engine's thread to whoever records it. What finds no room is lost and counted:
//! the engine waits for nobody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use engine::overheard::Ear;
use units::{ShowTime, Span};
use wire::capture::talk::Line;

/// Lines on their way; a thousand phones that report one order fit several times.
const LINES: usize = 8192;

/// Where a recording gets it from; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Overheard(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_wanted: AtomicBool,
    wanted: Mutex<Option<SyncSender<(ShowTime, Line)>>>,
    lost: AtomicU64,
}

impl Overheard {
    /// Everything from now on, until the receiver is dropped.
    pub(crate) fn begin(&self) -> Receiver<(ShowTime, Line)> {
        let (lines, heard) = sync_channel(LINES);
        *self.0.wanted.lock().expect("nobody panics while holding it") = Some(lines);
        self.0.is_wanted.store(true, Relaxed);
        heard
    }

    /// Lines that recordings had no room for.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Relaxed)
    }

    /// The engine's thread's end.
    pub(crate) fn listener(&self, tai_utc: Span) -> Listener {
        Listener { shared: self.0.clone(), tai_utc, open: None }
    }
}

/// Hears what passes.
pub(crate) struct Listener {
    shared: Arc<Shared>,
    tai_utc: Span,
    open: Option<(Ear, SyncSender<(ShowTime, Line)>)>,
}

impl Listener {
    /// What passes at `now`, if anybody records.
    pub fn hear(&mut self, now: ShowTime, line: impl FnOnce(&mut Ear) -> Option<Line>) {
        if !self.shared.is_wanted.load(Relaxed) {
            return;
        }
        if let Some(lines) =
            self.shared.wanted.lock().expect("nobody panics while holding it").take()
        {
            self.open = Some((Ear::new(self.tai_utc), lines));
        }
        let Some((ear, lines)) = &mut self.open else { return };
        let Some(line) = line(ear) else { return };
        match lines.try_send((now, line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.shared.lost.fetch_add(1, Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => self.close(),
        }
    }

    fn close(&mut self) {
        self.open = None;
        let wanted = self.shared.wanted.lock().expect("nobody panics while holding it");
        self.shared.is_wanted.store(wanted.is_some(), Relaxed);
    }
}
