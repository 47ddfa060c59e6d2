//! A long recording on its way from a disk to the frames that show it.
//!
//! In: a [`Film`] that a [`Feeder`] reads ahead of show time, on a thread of its own, or on the spot in a simulated world.
//! Out: how each reel is at a place, for whoever draws; what has not come in time is drawn as it was last. Drawing never
//! waits for reading: between them stand rings of plain numbers, a ring a reel, whose entries say by a count of their own
//! whether they were being written while they were read. Never here: threads, files.
//!
//! *Place*: how far from the beginning of the film, rounds of a loop counted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI64, AtomicU64, fence};

use units::{Span, Universe};

use crate::show::{CaptureCue, Film, Loops, Projector};

/// So far ahead it is read; a disk may be silent for so long.
const AHEAD: Span = Span::from_secs(2);
/// So far back it stays, since threads that share a frame ask in no order.
const BACK: Span = Span::from_millis(100);
/// What the rings of a stream take in memory, about; short rings are read less far ahead.
const RINGS_MAX: usize = 64 << 20;
/// Fewest and most entries of a ring; the most are [`AHEAD`] and [`BACK`] in frames of the grid, and some.
const ENTRIES: (usize, usize) = (8, 128);
const WORDS: usize = Universe::SLOTS / 8;

/// A film as it plays for one cue.
#[derive(Debug)]
pub struct Stream {
    /// The file, as the show names it.
    pub file: String,
    film: Arc<Film>,
    /// Where its last round ends; none if it has none.
    end: Option<Span>,
    rings: Vec<Ring>,
    /// The place that was drawn last.
    asked: AtomicI64,
    /// Everything before this place has been read.
    ready: AtomicI64,
    /// Reels that were drawn as they were last, since reading had not come so far.
    starved: AtomicU64,
}

#[derive(Debug)]
struct Ring {
    /// How many entries there have ever been, and which is the first since the last jump.
    count: AtomicU64,
    first: AtomicU64,
    entries: Box<[Entry]>,
}

/// How a reel is from a place on.
#[derive(Debug)]
struct Entry {
    /// Twice how often it has been written; odd while it is.
    turn: AtomicU64,
    at: AtomicI64,
    /// How many octets; 0 where a round begins, and nothing has been shown in it.
    len: AtomicU64,
    octets: [AtomicU64; WORDS],
}

impl Stream {
    /// Of a cue whose recording is long; what the cue keeps of its beginning is there at once.
    pub fn new(film: Arc<Film>, cue: &CaptureCue) -> Self {
        let rings = film.reels.len();
        let entries = RINGS_MAX / size_of::<Entry>() / rings.max(1);
        let entries = entries.clamp(ENTRIES.0, ENTRIES.1);
        let end = match cue.loops {
            Loops::Times(times) => Some(film.length.times(times.into())),
            Loops::Forever => None,
        };
        let stream = Self {
            file: cue.file.clone(),
            film,
            end,
            rings: (0..rings).map(|_| Ring::new(entries)).collect(),
            asked: AtomicI64::new(cue.offset.ns()),
            ready: AtomicI64::new(cue.offset.ns()),
            starved: AtomicU64::new(0),
        };
        stream.open(cue);
        stream
    }

    /// How a reel is at a place; gives how many octets of `into` that is, 0 if nothing has been shown. Neither allocates
    /// nor waits.
    pub fn read(&self, reel: usize, place: Span, into: &mut [u8; Universe::SLOTS]) -> usize {
        self.asked.store(place.ns(), Relaxed);
        if place.ns() >= self.ready.load(Acquire) {
            self.starved.fetch_add(1, Relaxed);
        }
        self.rings.get(reel).map_or(0, |ring| ring.get(place, into))
    }

    /// Frames of reels that were drawn as they were last, since the disk was too slow.
    pub fn starved(&self) -> u64 {
        self.starved.load(Relaxed)
    }

    /// Says where it will be drawn next.
    pub fn ask(&self, place: Span) {
        self.asked.store(place.ns(), Relaxed);
    }

    fn asked(&self) -> Span {
        Span::from_ns(self.asked.load(Relaxed)).max(Span::ZERO)
    }

    fn ready(&self) -> Span {
        Span::from_ns(self.ready.load(Relaxed))
    }

    fn open(&self, cue: &CaptureCue) {
        let Some(opening) = &cue.opening else { return };
        for (at, reel, octets) in &opening.frames {
            // Of more than a ring holds the rest is read.
            if !self.put(*reel, *at, octets) {
                return self.ready.store(at.ns(), Release);
            }
        }
        self.ready.store(opening.until.ns(), Release);
    }

    /// False if there is no room.
    fn put(&self, reel: usize, at: Span, octets: &[u8]) -> bool {
        let Some(ring) = self.rings.get(reel) else { return true };
        let room = ring.has_room(self.asked() - BACK);
        if room {
            ring.put(at, octets);
        }
        room
    }
}

/// Another stream is never the same.
impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Ring {
    fn new(entries: usize) -> Self {
        let entry = |_| Entry {
            turn: AtomicU64::new(0),
            at: AtomicI64::new(0),
            len: AtomicU64::new(0),
            octets: [const { AtomicU64::new(0) }; WORDS],
        };
        let entries = (0..entries).map(entry).collect();
        Self { count: AtomicU64::new(0), first: AtomicU64::new(0), entries }
    }

    fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    fn entry(&self, index: u64) -> &Entry {
        &self.entries[(index % self.size()) as usize]
    }

    /// What an entry's turn is when its `index` has been written.
    fn turn(&self, index: u64) -> u64 {
        2 * (index / self.size()) + 2
    }

    /// Whether nobody will ask for the oldest entry any more: another has followed it before `place`.
    fn has_room(&self, place: Span) -> bool {
        let count = self.count.load(Relaxed);
        let Some(oldest) = count.checked_sub(self.size()) else { return true };
        oldest < self.first.load(Relaxed) || self.entry(oldest + 1).at.load(Relaxed) <= place.ns()
    }

    /// One thread only.
    fn put(&self, at: Span, octets: &[u8]) {
        let index = self.count.load(Relaxed);
        let entry = self.entry(index);
        entry.turn.store(self.turn(index) - 1, Relaxed);
        fence(Release);
        entry.at.store(at.ns(), Relaxed);
        let octets = &octets[..octets.len().min(Universe::SLOTS)];
        entry.len.store(octets.len() as u64, Relaxed);
        for (to, from) in entry.octets.iter().zip(octets.chunks(8)) {
            let mut word = [0; 8];
            word[..from.len()].copy_from_slice(from);
            to.store(u64::from_ne_bytes(word), Relaxed);
        }
        entry.turn.store(self.turn(index), Release);
        self.count.store(index + 1, Release);
    }

    /// What comes from now on does not follow on what has come; until it comes, that is held.
    fn jump(&self) {
        self.first.store(self.count.load(Relaxed), Release);
    }

    fn get(&self, place: Span, into: &mut [u8; Universe::SLOTS]) -> usize {
        // What is overwritten while it is read is tried again: it was not the newest any more.
        let got = (0..4).find_map(|_| {
            let index = self.seen_at(place)?;
            self.entry(index).get(self.turn(index), into)
        });
        got.unwrap_or(0)
    }

    /// The entry that is seen at a place; none if nothing has come.
    fn seen_at(&self, place: Span) -> Option<u64> {
        let count = self.count.load(Acquire);
        let oldest = count.saturating_sub(self.size());
        let first = self.first.load(Acquire).clamp(oldest, count);
        let (mut low, mut high) = (first, count);
        while low < high {
            let middle = low.midpoint(high);
            match self.entry(middle).at.load(Relaxed) <= place.ns() {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        match low > first {
            true => Some(low - 1),
            false if first > oldest => Some(first - 1),
            false => (first > 0 && first < count).then_some(first),
        }
    }
}

impl Entry {
    /// None if it was written meanwhile.
    fn get(&self, turn: u64, into: &mut [u8; Universe::SLOTS]) -> Option<usize> {
        if self.turn.load(Acquire) != turn {
            return None;
        }
        let len = (self.len.load(Relaxed) as usize).min(Universe::SLOTS);
        for (to, from) in into.chunks_exact_mut(8).zip(&self.octets).take(len.div_ceil(8)) {
            to.copy_from_slice(&from.load(Relaxed).to_ne_bytes());
        }
        fence(Acquire);
        (self.turn.load(Relaxed) == turn).then_some(len)
    }
}

/// Reads a stream's film, ahead of what is drawn.
pub struct Feeder {
    stream: Arc<Stream>,
    /// None before the first reading, and behind the last.
    projector: Option<Projector>,
    has_begun: bool,
    /// Where the round that is read begins.
    round: Span,
    /// What is before this has come already.
    from: Span,
    /// The farthest place that has been asked for since the last jump.
    asked: Span,
    /// What no room was found for.
    waiting: VecDeque<(usize, Span, Vec<u8>)>,
}

impl fmt::Debug for Feeder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feeder").field("stream", &self.stream).field("round", &self.round).finish()
    }
}

impl Feeder {
    /// Of a stream that nobody reads yet.
    pub fn new(stream: Arc<Stream>) -> Self {
        Self {
            stream,
            projector: None,
            has_begun: false,
            round: Span::ZERO,
            from: Span::ZERO,
            asked: Span::ZERO,
            waiting: VecDeque::new(),
        }
    }

    /// Of what.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Reads as far ahead as there is room.
    ///
    /// # Errors
    /// What is wrong with the file. Asked again, it tries again.
    pub fn feed(&mut self) -> Result<(), String> {
        let asked = self.stream.asked();
        if !self.has_begun || self.is_elsewhere(asked) {
            self.jump(asked);
        }
        self.asked = self.asked.max(asked);
        self.read().inspect_err(|_| self.has_begun = false)
    }

    fn read(&mut self) -> Result<(), String> {
        loop {
            while let Some((reel, at, octets)) = self.waiting.front() {
                if !self.stream.put(*reel, *at, octets) {
                    return Ok(());
                }
                self.waiting.pop_front();
            }
            let Some(projector) = &mut self.projector else { return Ok(()) };
            if self.stream.ready() >= self.stream.asked() + AHEAD {
                return Ok(());
            }
            let Some(shown) = projector.next()? else {
                self.end_round();
                continue;
            };
            let at = self.round + shown.at;
            self.stream.ready.fetch_max(at.ns(), Release);
            if let Some((reel, octets)) = shown.frame.filter(|_| at >= self.from)
                && !self.stream.put(reel, at, octets)
            {
                self.waiting.push_back((reel, at, octets.to_vec()));
            }
        }
    }

    fn end_round(&mut self) {
        self.round += self.stream.film.length;
        let round = self.round;
        if self.stream.end.is_some_and(|end| round >= end) {
            self.projector = None;
            self.stream.ready.store(i64::MAX, Release);
            return;
        }
        self.projector = Some(self.stream.film.projector(Span::ZERO));
        self.from = round;
    }

    /// Whether what is asked for comes sooner from another place of the film.
    fn is_elsewhere(&self, asked: Span) -> bool {
        if asked + BACK < self.asked {
            return true;
        }
        let ready = self.stream.ready();
        let (round, place) = self.place(asked);
        asked > ready && round + self.stream.film.begin_for(place) > ready
    }

    /// The round of a place, and where in the film it is.
    fn place(&self, asked: Span) -> (Span, Span) {
        let length = self.stream.film.length.ns().max(1);
        let place = Span::from_ns(asked.ns().rem_euclid(length));
        (asked - place, place)
    }

    /// Goes on from there; at the start behind what the cue has kept of it.
    fn jump(&mut self, asked: Span) {
        let ready = self.stream.ready();
        let goes_on = !self.has_begun && asked <= ready && self.asked == Span::ZERO;
        let target = if goes_on { ready } else { asked };
        let (round, place) = self.place(target);
        if !goes_on {
            self.stream.rings.iter().for_each(Ring::jump);
            let begin = round + self.stream.film.begin_for(place);
            self.stream.ready.store(begin.ns(), Release);
        }
        self.from = if goes_on { ready } else { Span::ZERO };
        (self.round, self.asked, self.has_begun) = (round, asked, true);
        self.waiting.clear();
        self.projector = Some(self.stream.film.projector(place));
        if self.stream.end.is_some_and(|end| target >= end) {
            self.projector = None;
            self.stream.ready.store(i64::MAX, Release);
        }
    }
}
