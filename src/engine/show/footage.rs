//! Recorded light: captures (`wire::capture`) and xLights' sequences (`wire::fseq`), unrolled in memory.
//!
//! In: a file's bytes and where they go. Out: [`Footage`], which the render thread finds its place in by show time alone.
//!
//! *Reel*: all that was recorded of a universe.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use units::{Slot, Span, Universe};
use wire::{capture, fseq};

/// What a file may take in memory when it is unrolled: 24 universes that change in every frame, for 15 minutes.
pub const FOOTAGE_MAX: usize = 512 << 20;

/// What was recorded, and how long it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Footage {
    /// From its first frame to its end; never zero.
    pub length: Span,
    /// By the universe that they play in.
    pub reels: BTreeMap<Universe, Arc<Reel>>,
    /// The sound that the file says it belongs to.
    pub media: Option<String>,
    /// Its end is missing: it was cut in the middle of a record.
    pub is_cut: bool,
}

/// A universe, recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reel {
    /// Stretches of slots from 0, first and count, one behind the other in a frame.
    slots: Vec<(u16, u16)>,
    frame_len: usize,
    /// When each frame begins; ascending.
    times: Vec<Span>,
    frames: Vec<u8>,
}

impl Reel {
    fn new(slots: Vec<(u16, u16)>) -> Self {
        let frame_len = slots.iter().map(|(_, count)| usize::from(*count)).sum();
        Self { slots, frame_len, times: Vec::new(), frames: Vec::new() }
    }

    /// Another frame, unless it is as the last; gives what it takes.
    fn push(&mut self, at: Span, frame: &[u8]) -> usize {
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

    /// Which slots it has, from 0.
    pub fn stretches(&self) -> impl Iterator<Item = Range<usize>> {
        let range = |(first, count): &(u16, u16)| {
            usize::from(*first)..usize::from(*first) + usize::from(*count)
        };
        self.slots.iter().map(range)
    }

    /// The stretches of slots as they are at a place, each with the slot it begins at, from 0; none before the first
    /// frame.
    pub fn at(&self, place: Span) -> impl Iterator<Item = (usize, &[u8])> {
        let after = self.times.partition_point(|time| *time <= place);
        let frame = after.checked_sub(1).map(|frame| frame * self.frame_len);
        let mut rest = frame.map_or(&[][..], |at| &self.frames[at..at + self.frame_len]);
        let shown = if rest.is_empty() { &[][..] } else { &self.slots[..] };
        shown.iter().map(move |(first, count)| {
            let (stretch, behind) = rest.split_at(usize::from(*count));
            rest = behind;
            (usize::from(*first), stretch)
        })
    }
}

/// Where channels of a sequence go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The first, from 0.
    pub channel: u32,
    /// How many; up to the end of a universe where it is one, and on into the next.
    pub count: u32,
    /// Where the first one goes.
    pub universe: Universe,
    /// And to which slot.
    pub slot: Slot,
    /// How many slots of a universe are used, where channels go on into the next.
    pub universe_size: u16,
}

/// Why footage cannot be played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unplayable {
    /// The file is no good; a fragment that fits after "could not read …: ".
    File(String),
    /// A universe that is to be played is not in the file; those that are.
    Universe(Universe, Vec<Universe>),
    /// A channel, from 0, that is to be played is not in the file; how many there are.
    Channel(u32, u32),
    /// A route leads beyond the last universe.
    Beyond,
}

/// Unrolls a capture. `map` says which of its universes play, and where; empty: all, where they were.
///
/// # Errors
/// Why not.
pub fn of_capture(bytes: &[u8], map: &BTreeMap<Universe, Universe>) -> Result<Footage, Unplayable> {
    let broken = |error: capture::CaptureError| Unplayable::File(error.to_string());
    let mut reader = capture::Reader::new(bytes).map_err(broken)?;
    let there = reader.head().universes.clone();
    if let Some(missing) = map.keys().find(|it| !there.contains(it)) {
        return Err(Unplayable::Universe(*missing, there));
    }
    let place = |it: &Universe| if map.is_empty() { Some(*it) } else { map.get(it).copied() };
    let whole = || Reel::new(vec![(0, Universe::SLOTS as u16)]);
    let mut reels: Vec<Option<Reel>> = there.iter().map(|it| place(it).map(|_| whole())).collect();
    let (mut length, mut taken) = (Span::ZERO, 0);
    while let Some(record) = reader.next_record().map_err(broken)? {
        let at = match record {
            capture::Record::Mark { at } => at,
            capture::Record::Frame { at, index, slots } => {
                taken += reels[index].as_mut().map_or(0, |reel| reel.push(at, slots));
                at
            }
        };
        length = at;
        if taken > FOOTAGE_MAX {
            return Err(too_long(at));
        }
    }
    if length == Span::ZERO {
        return Err(Unplayable::File("nothing was recorded in it".into()));
    }
    let placed = there.iter().zip(reels);
    let placed = placed.filter_map(|(it, reel)| Some((place(it)?, Arc::new(reel?))));
    Ok(Footage { length, reels: placed.collect(), media: None, is_cut: reader.is_cut() })
}

/// Unrolls a sequence. Without routes all its channels go to universe 1 and on, `universe_size` to each.
///
/// # Errors
/// Why not.
pub fn of_sequence(
    bytes: &[u8],
    routes: &[Route],
    universe_size: u16,
) -> Result<Footage, Unplayable> {
    let broken = |error: fseq::FseqError| Unplayable::File(error.to_string());
    let sequence = fseq::parse(bytes).map_err(broken)?;
    let all = [Route {
        channel: 0,
        count: sequence.channels(),
        universe: Universe::new(1).expect("in range"),
        slot: Slot::new(1).expect("in range"),
        universe_size,
    }];
    let is_own = routes.is_empty();
    let mut pieces = Vec::new();
    for route in if is_own { &all } else { routes } {
        split(route, &sequence, is_own, &mut pieces)?;
    }
    let mut reels = cast(&pieces);
    let step = Span::from_millis(i64::from(sequence.step_ms));
    let (mut at, mut taken, mut frame) = (Span::ZERO, 0, Vec::new());
    sequence
        .each_frame(|octets| {
            for (reel, pieces) in reels.values_mut() {
                if taken > FOOTAGE_MAX {
                    return;
                }
                frame.clear();
                pieces.iter().for_each(|piece| frame.extend(&octets[piece.from..][..piece.count]));
                taken += reel.push(at, &frame);
            }
            at += step;
        })
        .map_err(broken)?;
    if taken > FOOTAGE_MAX {
        return Err(too_long(at));
    }
    if at == Span::ZERO {
        return Err(Unplayable::File("it has no frames".into()));
    }
    let reels = reels.into_iter().map(|(universe, (reel, _))| (universe, Arc::new(reel)));
    Ok(Footage { length: at, reels: reels.collect(), media: sequence.media, is_cut: false })
}

fn too_long(length: Span) -> Unplayable {
    let limit = FOOTAGE_MAX >> 20;
    Unplayable::File(format!(
        "its {length} take more than {limit} MB of memory; play fewer universes, or in parts"
    ))
}

/// Channels that stand together in the file and in a universe.
#[derive(Debug, Clone, Copy)]
struct Piece {
    universe: Universe,
    slot: usize,
    /// Place in a frame of the file.
    from: usize,
    count: usize,
}

/// Cuts a route at the ends of universes and of the file's stretches. Channels that the file leaves out may be missing
/// only where everything is played as it stands.
fn split(
    route: &Route,
    sequence: &fseq::Sequence,
    may_miss: bool,
    pieces: &mut Vec<Piece>,
) -> Result<(), Unplayable> {
    let (mut channel, end) = (route.channel, route.channel.saturating_add(route.count));
    let (mut number, mut slot) = (u32::from(route.universe.number()), route.slot.index());
    let size = usize::from(route.universe_size).max(slot + 1);
    while channel < end {
        let universe = Universe::new(number).map_err(|_| Unplayable::Beyond)?;
        let room = (size - slot).min((end - channel) as usize);
        let count = match find(sequence, channel) {
            Ok((from, count)) => {
                let count = count.min(room);
                pieces.push(Piece { universe, slot, from, count });
                count
            }
            Err(Some(missing)) if may_miss => (missing as usize).min(room),
            Err(_) => return Err(Unplayable::Channel(channel, sequence.channels())),
        };
        channel += count as u32;
        slot += count;
        if slot == size {
            (number, slot) = (number + 1, 0);
        }
    }
    Ok(())
}

/// Where a channel stands in a frame, and how many follow it there; else how many are missing up to the next.
fn find(sequence: &fseq::Sequence, channel: u32) -> Result<(usize, usize), Option<u32>> {
    let mut from = 0;
    for stretch in &sequence.stretches {
        if (stretch.first..stretch.first + stretch.count).contains(&channel) {
            let within = channel - stretch.first;
            return Ok((from + within as usize, (stretch.count - within) as usize));
        }
        from += stretch.count as usize;
    }
    let ahead = sequence.stretches.iter().filter(|it| it.first > channel && it.count > 0);
    Err(ahead.map(|it| it.first - channel).min())
}

/// A reel for every universe, with the pieces that a frame of it is made of.
fn cast(pieces: &[Piece]) -> BTreeMap<Universe, (Reel, Vec<Piece>)> {
    let mut by_universe: BTreeMap<Universe, Vec<Piece>> = BTreeMap::new();
    pieces.iter().for_each(|it| by_universe.entry(it.universe).or_default().push(*it));
    let reel = |pieces: Vec<Piece>| {
        let slots = pieces.iter().map(|it| (it.slot as u16, it.count as u16)).collect();
        (Reel::new(slots), pieces)
    };
    by_universe.into_iter().map(|(universe, pieces)| (universe, reel(pieces))).collect()
}
