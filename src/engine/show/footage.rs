//! Recorded light, ready to be played.
//!
//! In: a [`Film`]. Out: [`Footage`]: unrolled in memory if it is short, so that the render thread finds its place in it by
//! show time alone; else what is needed to read it while it plays (`light::stream`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use units::{Span, Universe};

use super::film::{Film, Stretches, Unplayable};

/// What a file may take in memory when it is unrolled; a longer one is read while it plays. 24 universes that change in
/// every frame, for two minutes.
pub const FOOTAGE_MAX: usize = 64 << 20;
/// How much of the place where a cue begins is kept of a long one: a disk has so much time to answer GO.
const OPENING: Span = Span::from_millis(500);
/// And what that may take in memory.
const OPENING_MAX: usize = 16 << 20;

/// What was recorded, and how long it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Footage {
    /// From its first frame to its end; never zero.
    pub length: Span,
    /// By the universe that they play in.
    pub reels: BTreeMap<Universe, Arc<Reel>>,
    /// What is read while it plays; none if all of it is in the reels.
    pub film: Option<Arc<Film>>,
    /// The sound that the file says it belongs to.
    pub media: Option<String>,
    /// Its end is missing: it was cut in the middle of a record.
    pub is_cut: bool,
}

/// Frames of a long recording from a place on, so that it begins at once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Opening {
    /// When, which reel, and how it is from then on; ascending.
    pub frames: Vec<(Span, usize, Vec<u8>)>,
    /// Everything before it is there.
    pub until: Span,
}

impl Footage {
    /// Of a film, unrolled if it takes no more than `most` in memory.
    ///
    /// # Errors
    /// What is wrong with the film.
    pub fn new(film: Film, most: usize) -> Result<Self, Unplayable> {
        let mut reels: Vec<Reel> = film.reels.values().cloned().map(Reel::new).collect();
        let mut taken = 0;
        let film = film.survey(|shown| {
            if let Some((reel, octets)) = shown.frame.filter(|_| taken <= most) {
                taken += reels[reel].push(shown.at, octets);
            }
        })?;
        let is_long = taken > most;
        if is_long {
            reels.iter_mut().for_each(|reel| *reel = Reel::new(std::mem::take(&mut reel.slots)));
        }
        let (length, media, is_cut) = (film.length, film.media.clone(), film.is_cut);
        let reels = film.reels.keys().copied().zip(reels.into_iter().map(Arc::new)).collect();
        let film = is_long.then(|| Arc::new(film));
        Ok(Self { length, reels, film, media, is_cut })
    }

    /// What is kept of it from a place on; of one that is in memory nothing.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn opening(&self, from: Span) -> Result<Option<Opening>, String> {
        let Some(film) = &self.film else { return Ok(None) };
        let mut stood: BTreeMap<usize, (Span, Vec<u8>)> = BTreeMap::new();
        let (mut frames, mut taken) = (Vec::new(), 0);
        let mut projector = film.projector(from);
        let mut until = self.length;
        while let Some(shown) = projector.next()? {
            if shown.at >= from + OPENING || taken > OPENING_MAX {
                until = shown.at;
                break;
            }
            let Some((reel, octets)) = shown.frame else { continue };
            if shown.at <= from {
                stood.insert(reel, (shown.at, octets.to_vec()));
            } else {
                taken += octets.len();
                frames.push((shown.at, reel, octets.to_vec()));
            }
        }
        let stood = stood.into_iter().map(|(reel, (at, octets))| (at, reel, octets));
        Ok(Some(Opening { frames: stood.chain(frames).collect(), until }))
    }
}

/// A universe, recorded; without frames where they are read while it plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reel {
    /// Stretches of slots from 0, first and count, one behind the other in a frame.
    slots: Stretches,
    frame_len: usize,
    /// When each frame begins; ascending.
    times: Vec<Span>,
    frames: Vec<u8>,
}

impl Reel {
    fn new(slots: Stretches) -> Self {
        let frame_len = slots.iter().map(|(_, count)| usize::from(*count)).sum();
        Self { slots, frame_len, times: Vec::new(), frames: Vec::new() }
    }

    /// Another frame, unless it is as the last; gives what it takes.
    fn push(&mut self, at: Span, frame: &[u8]) -> usize {
        if frame.is_empty() {
            return 0;
        }
        let last = self.frames.len().checked_sub(self.frame_len).map(|at| &self.frames[at..]);
        if last == Some(frame) {
            return 0;
        }
        if self.times.last() == Some(&at) {
            let begin = self.frames.len() - self.frame_len;
            self.frames[begin..].copy_from_slice(frame);
            return 0;
        }
        self.times.push(at);
        self.frames.extend(frame);
        frame.len() + size_of::<Span>()
    }

    /// Octets of a frame.
    pub fn frame_len(&self) -> usize {
        self.frame_len
    }

    /// A frame of it, cut into its stretches, each with the slot it begins at, from 0.
    pub fn stretch<'a>(&'a self, frame: &'a [u8]) -> impl Iterator<Item = (usize, &'a [u8])> {
        let mut rest = frame;
        let shown = if frame.len() < self.frame_len { &[][..] } else { &self.slots[..] };
        shown.iter().map(move |(first, count)| {
            let (stretch, behind) = rest.split_at(usize::from(*count));
            rest = behind;
            (usize::from(*first), stretch)
        })
    }

    /// Which slots it has, from 0.
    pub fn stretches(&self) -> impl Iterator<Item = Range<usize>> {
        let range = |(first, count): &(u16, u16)| {
            usize::from(*first)..usize::from(*first) + usize::from(*count)
        };
        self.slots.iter().map(range)
    }

    /// How it is at a place; nothing before the first frame.
    pub fn at(&self, place: Span) -> &[u8] {
        let after = self.times.partition_point(|time| *time <= place);
        let frame = after.checked_sub(1).map(|frame| frame * self.frame_len);
        frame.map_or(&[], |at| &self.frames[at..at + self.frame_len])
    }
}
