//! Records what leaves the box, and what comes in, as a capture (`wire::capture`) that goes to whoever asked for it.
//!
//! In: frames from the render threads, by a ring each, tables of what came in, and the talk with phones; a recorder, one at
//! a time. Out: bytes in whole records. The render thread copies a frame and goes on; what finds its ring full is lost, counted and said. The
//! edge thread writes it down.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use engine::light::GRID;
use engine::light::input::{InputState, InputTable};
use engine::show::{InputFrom, ShowInput};
use rtrb::{Consumer, Producer, RingBuffer};
use tokio::sync::mpsc::{self, error::TrySendError};
use units::{ShowTime, Span, Universe};
use wire::capture::talk::Line;
use wire::capture::{Head, Writer};

use super::render::Gauges;
use crate::overheard::Heard;

/// Frames of each universe that a ring holds: the edge thread looks once a frame, and may be kept for a third of a second.
const FRAMES_KEPT: usize = 16;
/// And so many at least.
const RING_MIN: usize = 256;
/// Pieces on their way to who asked.
const PIECES: usize = 64;
/// A recorder that has not taken so much is gone for good.
const PENDING_MAX: usize = 64 << 20;
/// So often a capture says that time goes on.
const MARK: Span = Span::from_millis(200);

/// What somebody wants to have recorded; nothing named means everything that leaves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToRecord {
    /// Of what leaves the box.
    pub universes: Vec<Universe>,
    /// Of what comes in: names of the show's inputs, and the universes that they are recorded as; none: their own.
    pub inputs: Vec<(String, Option<Universe>)>,
    /// What phones are told, hear and see live, and say, too.
    pub phones: bool,
}

/// What is to be recorded, found in the show; what leaves in ascending order.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    leaving: Vec<Universe>,
    /// Indices of inputs.
    coming: Vec<(usize, Universe)>,
}

impl ToRecord {
    /// Finds it among what leaves and what comes in.
    ///
    /// # Errors
    /// Why it cannot be recorded, as a sentence.
    pub(super) fn find(&self, all: &[Universe], inputs: &[ShowInput]) -> Result<Found, String> {
        if let Some(missing) = self.universes.iter().find(|it| !all.contains(it)) {
            return Err(format!("universe {missing} does not leave this box"));
        }
        let everything = self.universes.is_empty() && self.inputs.is_empty();
        let mut found = Found {
            leaving: if everything { all } else { &self.universes }.to_vec(),
            coming: Vec::new(),
        };
        found.leaving.sort();
        for (name, universe) in &self.inputs {
            let index = inputs.iter().position(|it| it.name == *name);
            let index = index.ok_or_else(|| no_input(name, inputs))?;
            let universe = match universe {
                Some(universe) => *universe,
                None => own_universe(&inputs[index])?,
            };
            let others = found.coming.iter().map(|(_, it)| it).chain(&found.leaving);
            if others.into_iter().any(|it| *it == universe) {
                return Err(format!(
                    "universe {universe} would be recorded twice: say as which `{name}` is to be recorded, `{name}=N`"
                ));
            }
            found.coming.push((index, universe));
        }
        Ok(found)
    }
}

fn no_input(name: &str, inputs: &[ShowInput]) -> String {
    let names: Vec<_> = inputs.iter().map(|it| format!("`{}`", it.name)).collect();
    match names.is_empty() {
        true => format!("nothing comes in: the show has no `[inputs]`, and so no `{name}`"),
        false => format!("no input is called `{name}`; there are {}", names.join(", ")),
    }
}

/// An Art-Net port address is recorded as the universe of its number and one: universes count from 1.
fn own_universe(input: &ShowInput) -> Result<Universe, String> {
    match input.from {
        InputFrom::Sacn(universe) => Ok(universe),
        InputFrom::Artnet(port) => Universe::new(u32::from(port.raw()) + 1)
            .map_err(|_| format!("`{}` needs a universe: `{0}=N`", input.name)),
    }
}

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
    pub found: Found,
    /// What passes between the box and phones.
    pub talk: Option<Heard>,
    pub out: mpsc::Sender<Vec<u8>>,
}

impl Wanted {
    /// With the end by which its bytes come.
    pub fn new(found: Found, talk: Option<Heard>) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (out, bytes) = mpsc::channel(PIECES);
        (Self { found, talk, out }, bytes)
    }
}

/// A recording that runs.
pub(super) struct Recording {
    found: Found,
    rings: Vec<Consumer<Taken>>,
    batch: Vec<Taken>,
    lines: Vec<(ShowTime, Line)>,
    talk: Option<Heard>,
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
        let found = wanted.found;
        let coming = found.coming.iter().map(|(_, universe)| *universe);
        let universes = found.leaving.iter().copied().chain(coming).collect();
        let head = Head { title: title.to_owned(), began: now, universes };
        let begin = if wanted.talk.is_some() { Writer::with_talk } else { Writer::new };
        let writer = begin(head, &mut pending);
        let talk = wanted.talk;
        let (out, lost) = (wanted.out, gauges.untaped.load(Relaxed));
        (
            Self {
                found,
                rings,
                batch: Vec::new(),
                lines: Vec::new(),
                talk,
                writer,
                marked: now,
                pending,
                out,
                gauges,
                lost,
            },
            tapes,
        )
    }

    /// What comes in is another since `now`. What is lost stays as it was last; what nobody has sent yet is not there.
    pub fn hear(&mut self, now: ShowTime, table: &InputTable) {
        for (index, universe) in &self.found.coming {
            if let Some(frame) = table.get(*index).filter(|it| it.state != InputState::Waiting) {
                let slots = frame.merged.levels;
                self.batch.push(Taken { at: now, universe: *universe, slots });
            }
        }
    }

    /// Writes down what has come; false when nobody wants it any more.
    pub fn turn(&mut self, now: ShowTime) -> bool {
        for ring in &mut self.rings {
            while let Ok(taken) = ring.pop() {
                if self.found.leaving.binary_search(&taken.universe).is_ok() {
                    self.batch.push(taken);
                }
            }
        }
        for (at, line) in self.talk.iter().flat_map(Heard::drain) {
            self.lines.retain(|(later, other)| *later < at || !line.silences(other));
            self.lines.push((at, line));
        }
        // What is live is here before it is heard.
        self.lines.sort_by_key(|(at, _)| *at);
        self.write_down(now);
        // Whatever has left before is in the rings by now.
        if now - GRID.times(2) - self.marked >= MARK {
            self.marked = now - GRID.times(2);
            self.writer.mark(self.marked, &mut self.pending);
            self.say_lost();
        }
        self.hand_over()
    }

    /// Each ring is in order; several threads have the same frame, and frames come later than words of the same time.
    fn write_down(&mut self, now: ShowTime) {
        let until = now - GRID.times(2);
        let (batch, lines, out) = (&mut self.batch, &mut self.lines, &mut self.pending);
        batch.sort_by_key(|taken| taken.at);
        let ripe = match self.talk {
            Some(_) => batch.partition_point(|taken| taken.at <= until),
            None => batch.len(),
        };
        let ripe_lines = lines.partition_point(|(at, _)| *at <= until);
        let mut lines = lines.drain(..ripe_lines).peekable();
        for taken in batch.drain(..ripe) {
            while let Some((at, line)) = lines.next_if(|(at, _)| *at <= taken.at) {
                self.writer.talk(at, &line, out);
            }
            self.writer.frame(taken.at, taken.universe, &taken.slots, out);
        }
        lines.for_each(|(at, line)| self.writer.talk(at, &line, out));
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
