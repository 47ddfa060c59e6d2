//! Brings the talk with phones, and what they hear and see live, to whoever records it. What finds no room is lost and counted:
//! neither the engine's thread nor the one on air waits for anybody.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use engine::overheard::Ear;
use units::{ShowTime, Span, TrackId};
use wire::capture::talk::{Line, Piece};

/// Lines on their way; a thousand phones that report one order fit several times.
const LINES: usize = 8192;
/// Pieces of pictures on their way, each of some 30 kB at most.
const PIECES: usize = 1024;

/// Where a recording gets it from; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Overheard(Arc<Shared>);

/// Where lines come out.
#[derive(Debug)]
pub(crate) struct Heard {
    lines: Receiver<(ShowTime, Line)>,
    pieces: Receiver<(ShowTime, Line)>,
}

impl Heard {
    /// All that have come, each kind in its order.
    pub fn drain(&self) -> impl Iterator<Item = (ShowTime, Line)> {
        self.lines.try_iter().chain(self.pieces.try_iter())
    }
}

#[derive(Debug, Clone)]
struct Lines {
    lines: SyncSender<(ShowTime, Line)>,
    pieces: SyncSender<(ShowTime, Line)>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Recordings that have begun.
    begun: AtomicU64,
    /// Where the last one gets it.
    lines: Mutex<Option<Lines>>,
    lost: AtomicU64,
}

impl Overheard {
    /// Everything from now on, until the receiver is dropped.
    pub(crate) fn begin(&self) -> Heard {
        let (lines, heard) = sync_channel(LINES);
        let (pieces, seen) = sync_channel(PIECES);
        let lines = Some(Lines { lines, pieces });
        *self.0.lines.lock().expect("nobody panics while holding it") = lines;
        self.0.begun.fetch_add(1, Relaxed);
        Heard { lines: heard, pieces: seen }
    }

    /// Lines that recordings had no room for.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Relaxed)
    }

    /// The engine's thread's end.
    pub(crate) fn listener(&self, tai_utc: Span) -> Listener {
        Listener { tap: self.tap(), tai_utc, ear: Ear::new(tai_utc) }
    }

    /// Another thread's end.
    pub(crate) fn tap(&self) -> Tap {
        Tap { shared: self.0.clone(), begun: 0, lines: None }
    }
}

/// One thread's way to the recording.
#[derive(Debug)]
pub(crate) struct Tap {
    shared: Arc<Shared>,
    /// The recording that it leads to, as they are counted.
    begun: u64,
    lines: Option<Lines>,
}

impl Tap {
    /// Live sound left, to be heard at `at`; none of it where it was sealed.
    pub fn sound(&mut self, at: ShowTime, track: &TrackId, opus: Option<&[u8]>) {
        self.follow();
        if self.lines.is_some() {
            self.say(at, Line::Sound { track: track.clone(), opus: opus.map(<[u8]>::to_vec) });
        }
    }

    /// A piece of a live picture left that is seen at `seen`; none of it where it was sealed.
    pub fn picture(&mut self, seen: ShowTime, track: &TrackId, piece: Piece, data: Option<&[u8]>) {
        self.follow();
        if self.lines.is_some() {
            let (track, data) = (track.clone(), data.map(<[u8]>::to_vec));
            self.say(seen + piece.earlier, Line::Picture { track, piece, data });
        }
    }

    /// Leads to the latest recording from now on; whether it led to none or another.
    fn follow(&mut self) -> bool {
        let begun = self.shared.begun.load(Relaxed);
        let is_new = std::mem::replace(&mut self.begun, begun) != begun;
        if is_new {
            let lines = self.shared.lines.lock().expect("nobody panics while holding it");
            self.lines.clone_from(&lines);
        }
        is_new
    }

    fn say(&mut self, at: ShowTime, line: Line) {
        let Some(lines) = &self.lines else { return };
        let way = match line {
            Line::Picture { .. } => &lines.pieces,
            _ => &lines.lines,
        };
        match way.try_send((at, line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.shared.lost.fetch_add(1, Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => self.lines = None,
        }
    }
}

/// Hears what passes.
pub(crate) struct Listener {
    tap: Tap,
    tai_utc: Span,
    ear: Ear,
}

impl Listener {
    /// What passes at `now`, if anybody records.
    pub fn hear(&mut self, now: ShowTime, line: impl FnOnce(&mut Ear) -> Option<Line>) {
        if self.tap.follow() {
            self.ear = Ear::new(self.tai_utc);
        }
        if self.tap.lines.is_none() {
            return;
        }
        if let Some(line) = line(&mut self.ear) {
            self.tap.say(now, line);
        }
    }
}
