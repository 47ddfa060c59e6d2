//! Recorded light in a file: a capture (`wire::capture`) or an xLights' sequence (`wire::fseq`), from any place on.
//!
//! In: bytes that lie somewhere, and where they go. Out: a [`Film`], and what a [`Projector`] reads of it, frame by frame.
//! Both short recordings, which are unrolled in memory, and long ones, which are read while they play, come this way.
//!
//! *Reel*: all that was recorded of a universe.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use units::{Slot, Span, Universe};
use wire::stored::{Passage, Passages, Stored};
use wire::{capture, fseq};

/// What the looks of a capture that reading can begin from may take in memory.
const PLACES_MAX: usize = 16 << 20;
/// No nearer to each other than this: so much is read in an instant.
const PLACES_APART: u64 = 1 << 20;

/// Why recorded light cannot be played.
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

/// Stretches of slots from 0, first and count, one behind the other in a frame.
pub type Stretches = Vec<(u16, u16)>;

/// A file of recorded light, and what goes where.
pub struct Film {
    stored: Arc<dyn Stored>,
    kind: Kind,
    /// By the universe that they play in, with the slots that they have.
    pub reels: BTreeMap<Universe, Stretches>,
    /// From its first frame to its end; zero until it is known.
    pub length: Span,
    /// The sound that the file says it belongs to.
    pub media: Option<String>,
    /// Its end is missing: it was cut in the middle of a record.
    pub is_cut: bool,
}

enum Kind {
    Capture {
        head: capture::Head,
        /// Which reel each of its universes is; none is not played.
        reels: Vec<Option<usize>>,
        /// Where reading can begin; ascending.
        places: Vec<capture::Place>,
    },
    Sequence {
        sequence: Arc<fseq::Sequence>,
        /// By reel: what a frame of it is made of.
        pieces: Vec<Vec<Piece>>,
    },
}

impl Film {
    /// A capture. `map` says which of its universes play, and where; empty: all, where they were.
    ///
    /// # Errors
    /// Why it cannot be played.
    pub fn of_capture(
        stored: Arc<dyn Stored>,
        map: &BTreeMap<Universe, Universe>,
    ) -> Result<Self, Unplayable> {
        let reader = capture::Reader::new(Passage::new(stored.clone(), 0, u64::MAX));
        let reader = reader.map_err(|error| Unplayable::File(error.to_string()))?;
        let head = reader.head().clone();
        if let Some(missing) = map.keys().find(|it| !head.universes.contains(it)) {
            return Err(Unplayable::Universe(*missing, head.universes));
        }
        let place = |it: &Universe| if map.is_empty() { Some(*it) } else { map.get(it).copied() };
        let whole = || vec![(0, Universe::SLOTS as u16)];
        let played = head.universes.iter().filter_map(place);
        let reels: BTreeMap<_, _> = played.map(|universe| (universe, whole())).collect();
        let index = |it: &Universe| reels.keys().position(|other| Some(*other) == place(it));
        let indices = head.universes.iter().map(index).collect();
        let kind = Kind::Capture { head, reels: indices, places: vec![reader.place()] };
        Ok(Self { stored, kind, reels, length: Span::ZERO, media: None, is_cut: false })
    }

    /// A sequence. Without routes all its channels go to universe 1 and on, `universe_size` to each.
    ///
    /// # Errors
    /// Why it cannot be played.
    pub fn of_sequence(
        stored: Arc<dyn Stored>,
        routes: &[Route],
        universe_size: u16,
    ) -> Result<Self, Unplayable> {
        let sequence = fseq::parse(&*stored);
        let sequence = sequence.map_err(|error| Unplayable::File(error.to_string()))?;
        let all = [Route {
            channel: 0,
            count: sequence.channels(),
            universe: Universe::new(1).expect("in range"),
            slot: Slot::new(1).expect("in range"),
            universe_size,
        }];
        let is_own = routes.is_empty();
        let mut pieces: BTreeMap<Universe, Vec<Piece>> = BTreeMap::new();
        for route in if is_own { &all } else { routes } {
            split(route, &sequence, is_own, &mut pieces)?;
        }
        let slots = |it: &Piece| (it.slot as u16, it.count as u16);
        let stretches = |pieces: &Vec<Piece>| pieces.iter().map(slots).collect();
        let reels = pieces.iter().map(|(universe, it)| (*universe, stretches(it))).collect();
        let media = sequence.media.clone();
        let pieces = pieces.into_values().collect();
        let kind = Kind::Sequence { sequence: Arc::new(sequence), pieces };
        Ok(Self { stored, kind, reels, length: Span::ZERO, media, is_cut: false })
    }

    /// Goes through all of it, once: hands every frame to `see`, learns its length, and where reading can begin.
    ///
    /// # Errors
    /// Where it is damaged, or that nothing is in it.
    pub fn survey(mut self, mut see: impl FnMut(&Shown)) -> Result<Self, Unplayable> {
        let mut found = Vec::new();
        let (mut apart, mut length) = (PLACES_APART, Span::ZERO);
        let mut projector = self.projector(Span::ZERO);
        while let Some(shown) = projector.next().map_err(Unplayable::File)? {
            length = shown.at;
            see(&shown);
            if let Source::Capture { reader, .. } = &projector.source
                && reader.offset()
                    >= found.last().map_or(0, |it: &capture::Place| it.offset) + apart
            {
                found.push(reader.place());
                let taken: usize = found.iter().map(size).sum();
                if taken > PLACES_MAX {
                    apart *= 2;
                    let mut keep = [true, false].into_iter().cycle();
                    found.retain(|_| keep.next().unwrap_or(true));
                }
            }
        }
        let is_cut = matches!(&projector.source, Source::Capture { reader, .. } if reader.is_cut());
        if length == Span::ZERO {
            return Err(Unplayable::File("nothing was recorded in it".into()));
        }
        (self.length, self.is_cut) = (length, is_cut);
        if let Kind::Capture { places, .. } = &mut self.kind {
            places.extend(found);
        }
        Ok(self)
    }

    /// Where reading begins so that what was at `place` is seen.
    pub fn begin_for(&self, place: Span) -> Span {
        match &self.kind {
            Kind::Capture { places, .. } => places[before(places, place)].at,
            Kind::Sequence { sequence, .. } => {
                let frame = sequence.begin_for(frame_at(sequence, place));
                step(sequence).times(i64::from(frame))
            }
        }
    }

    /// Reads from [`Self::begin_for`] on.
    pub fn projector(&self, place: Span) -> Projector {
        let source = match &self.kind {
            Kind::Capture { head, reels, places } => {
                let place = &places[before(places, place)];
                let bytes = Passage::new(self.stored.clone(), place.offset, u64::MAX);
                let reader = capture::Reader::resume(head.clone(), place.clone(), bytes);
                let reels = reels.clone();
                Source::Capture { reader, reels, stood: 0 }
            }
            Kind::Sequence { sequence, pieces } => {
                let first = sequence.begin_for(frame_at(sequence, place));
                let frames = fseq::Frames::new(sequence.clone(), self.stored.clone(), first);
                let (sequence, pieces) = (sequence.clone(), pieces.clone());
                Source::Sequence { frames, sequence, pieces, reel: None, whole: Vec::new() }
            }
        };
        Projector { source, octets: Vec::new() }
    }
}

impl fmt::Debug for Film {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Film").field("reels", &self.reels).field("length", &self.length).finish()
    }
}

/// Another film is never the same, whatever is in it.
impl PartialEq for Film {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// What is read next of a film.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown<'a> {
    /// Where in the film, from 0; never before what came before it.
    pub at: Span,
    /// A reel, by its place among all, and its slots from then on, empty where nothing has been shown of it yet; none:
    /// nothing changes until then.
    pub frame: Option<(usize, &'a [u8])>,
}

/// Reads a film, frame by frame.
pub struct Projector {
    source: Source,
    octets: Vec<u8>,
}

enum Source {
    Capture {
        reader: capture::Reader<Passages>,
        reels: Vec<Option<usize>>,
        /// How many universes have been shown as they stood where reading began.
        stood: usize,
    },
    Sequence {
        frames: fseq::Frames,
        sequence: Arc<fseq::Sequence>,
        pieces: Vec<Vec<Piece>>,
        /// Which of the current frame comes next; none before there is one.
        reel: Option<usize>,
        whole: Vec<u8>,
    },
}

impl Projector {
    /// The next thing; none at the end. First comes how each reel stood where reading began.
    ///
    /// # Errors
    /// What is wrong with the file; nothing comes after that.
    #[expect(clippy::should_implement_trait, reason = "what it gives is borrowed from it")]
    pub fn next(&mut self) -> Result<Option<Shown<'_>>, String> {
        match &mut self.source {
            Source::Capture { reader, reels, stood } => {
                if let Some((at, reel, slots)) = stands(reader, reels, stood) {
                    self.octets.clear();
                    self.octets.extend(slots.into_iter().flatten());
                    return Ok(Some(Shown { at, frame: Some((reel, &self.octets)) }));
                }
                let record = reader.next_record().map_err(|error| error.to_string())?;
                Ok(record.map(|record| match record {
                    capture::Record::Mark { at } | capture::Record::Talk { at, .. } => {
                        Shown { at, frame: None }
                    }
                    capture::Record::Frame { at, index, slots } => {
                        Shown { at, frame: reels[index].map(|reel| (reel, &slots[..])) }
                    }
                }))
            }
            Source::Sequence { frames, sequence, pieces, reel, whole } => {
                if reel.is_none_or(|reel| reel >= pieces.len()) {
                    let at = step(sequence).times(i64::from(frames.next()));
                    match frames.next_frame().map_err(|error| error.to_string())? {
                        Some(frame) => {
                            whole.clear();
                            whole.extend(frame);
                            *reel = Some(0);
                        }
                        // The last frame stands for a step, too.
                        None => return Ok(reel.take().map(|_| Shown { at, frame: None })),
                    }
                }
                let at = step(sequence).times(i64::from(frames.next()) - 1);
                let now = reel.get_or_insert(0);
                let Some(pieces) = pieces.get(*now) else {
                    return Ok(Some(Shown { at, frame: None }));
                };
                self.octets.clear();
                pieces.iter().for_each(|it| self.octets.extend(&whole[it.from..][..it.count]));
                *now += 1;
                Ok(Some(Shown { at, frame: Some((*now - 1, &self.octets)) }))
            }
        }
    }
}

/// How the next universe stood where reading began.
fn stands<'r>(
    reader: &'r capture::Reader<Passages>,
    reels: &[Option<usize>],
    stood: &mut usize,
) -> Option<(Span, usize, Option<&'r [u8; Universe::SLOTS]>)> {
    while *stood < reels.len() {
        *stood += 1;
        if let Some(reel) = reels[*stood - 1] {
            return Some((reader.at(), reel, reader.stands(*stood - 1)));
        }
    }
    None
}

/// The last place at `place` or before it; the first is at the beginning.
fn before(places: &[capture::Place], place: Span) -> usize {
    places.partition_point(|it| it.at <= place).saturating_sub(1)
}

/// What a place takes in memory.
fn size(place: &capture::Place) -> usize {
    let frames = place.slots.iter().flatten().count();
    size_of::<capture::Place>() + place.slots.len() * 8 + frames * Universe::SLOTS
}

fn step(sequence: &fseq::Sequence) -> Span {
    Span::from_millis(i64::from(sequence.step_ms))
}

fn frame_at(sequence: &fseq::Sequence, place: Span) -> u32 {
    u32::try_from(place.ns() / step(sequence).ns()).unwrap_or(0)
}

/// Channels that stand together in the file and in a universe.
#[derive(Debug, Clone, Copy)]
struct Piece {
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
    pieces: &mut BTreeMap<Universe, Vec<Piece>>,
) -> Result<(), Unplayable> {
    let (mut channel, end) = (route.channel, route.channel.saturating_add(route.count));
    let (mut number, mut slot) = (u32::from(route.universe.number()), route.slot.index());
    // Whoever says a slot beyond the size means it; the universes after it are as large as the others.
    let whole = usize::from(route.universe_size);
    let mut size = whole.max(slot + 1);
    while channel < end {
        let universe = Universe::new(number).map_err(|_| Unplayable::Beyond)?;
        let room = (size - slot).min((end - channel) as usize);
        let count = match find(sequence, channel) {
            Ok((from, count)) => {
                let count = count.min(room);
                pieces.entry(universe).or_default().push(Piece { slot, from, count });
                count
            }
            Err(Some(missing)) if may_miss => (missing as usize).min(room),
            Err(_) => return Err(Unplayable::Channel(channel, sequence.channels())),
        };
        channel += count as u32;
        slot += count;
        if slot == size {
            (number, slot, size) = (number + 1, 0, whole);
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
