//! Records what leaves the box, as a capture (`wire::capture`) that goes to whoever asked for it.
//!
//! In: frames from the render threads, by a ring each; a recorder, one at a time. Out: bytes in whole records. The render
//! thread copies a frame and goes on; what finds its ring full is lost, counted and said. The edge thread writes it down.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use engine::light::GRID;
use rtrb::{Consumer, Producer, RingBuffer};
use tokio::sync::mpsc::{self, error::TrySendError};
use units::{ShowTime, Span, Universe};
use wire::capture::{Head, Writer};

use super::render::Gauges;

/// Frames of each universe that a ring holds: the edge thread looks once a frame, and may be kept for a third of a second.
const FRAMES_KEPT: usize = 16;
/// And so many at least.
const RING_MIN: usize = 256;
/// Pieces on their way to who asked.
const PIECES: usize = 64;
/// A recorder that has not taken so much is gone for good.
const PENDING_MAX: usize = 64 << 20;
/// So often a capture says that time goes on.
const MARK: Span = Span::from_secs(1);

/// A frame as it leaves.
pub(super) struct Taken {
    pub at: ShowTime,
    pub universe: Universe,
    pub slots: [u8; Universe::SLOTS],
}

/// A render thread's end, while somebody records.
pub(super) type Tape = Producer<Taken>;

/// A recorder that waits for the edge thread.
#[derive(Debug)]
pub(super) struct Wanted {
    pub universes: Vec<Universe>,
    pub out: mpsc::Sender<Vec<u8>>,
}

impl Wanted {
    /// With the end by which its bytes come.
    pub fn new(universes: Vec<Universe>) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (out, bytes) = mpsc::channel(PIECES);
        (Self { universes, out }, bytes)
    }
}

/// A recording that runs.
pub(super) struct Recording {
    rings: Vec<Consumer<Taken>>,
    batch: Vec<Taken>,
    writer: Writer,
    marked: ShowTime,
    pending: Vec<u8>,
    out: mpsc::Sender<Vec<u8>>,
    gauges: Arc<Gauges>,
    lost: u64,
}

impl Recording {
    /// Begins now; gives an end for each render thread.
    pub fn begin(
        wanted: Wanted,
        title: &str,
        now: ShowTime,
        threads: usize,
        gauges: Arc<Gauges>,
    ) -> (Self, Vec<Tape>) {
        let size = (gauges.universes.len() * FRAMES_KEPT).max(RING_MIN);
        let (tapes, rings) = (0..threads).map(|_| RingBuffer::new(size)).unzip();
        let mut pending = Vec::new();
        let head = Head { title: title.to_owned(), began: now, universes: wanted.universes };
        let writer = Writer::new(head, &mut pending);
        let (out, lost) = (wanted.out, gauges.untaped.load(Relaxed));
        let batch = Vec::new();
        (Self { rings, batch, writer, marked: now, pending, out, gauges, lost }, tapes)
    }

    /// Writes down what has come; false when nobody wants it any more.
    pub fn turn(&mut self, now: ShowTime) -> bool {
        for ring in &mut self.rings {
            while let Ok(taken) = ring.pop() {
                self.batch.push(taken);
            }
        }
        // Each ring is in order; several threads have the same frame.
        self.batch.sort_by_key(|taken| taken.at);
        for taken in self.batch.drain(..) {
            self.writer.frame(taken.at, taken.universe, &taken.slots, &mut self.pending);
        }
        // Whatever has left before is in the rings by now.
        if now - GRID.times(2) - self.marked >= MARK {
            self.marked = now - GRID.times(2);
            self.writer.mark(self.marked, &mut self.pending);
            self.say_lost();
        }
        self.hand_over()
    }

    fn hand_over(&mut self) -> bool {
        if self.pending.is_empty() {
            return !self.out.is_closed();
        }
        match self.out.try_send(std::mem::take(&mut self.pending)) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(pieces)) => {
                self.pending = pieces;
                if self.pending.len() > PENDING_MAX {
                    tracing::error!("a recording has ended: whoever asked for it does not take it");
                }
                self.pending.len() <= PENDING_MAX
            }
        }
    }

    fn say_lost(&mut self) {
        let lost = self.gauges.untaped.load(Relaxed);
        if lost > self.lost {
            tracing::warn!("{} frames are missing in a recording", lost - self.lost);
        }
        self.lost = lost;
    }
}
