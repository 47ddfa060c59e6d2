//! `phones = { capture = … }`: what phones were told and heard live one evening, in a cue (SX-20).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use units::{ShowTime, Span, TrackId, WireTime};
use wire::capture::talk::{Piece, Stretch, Talk};
use wire::capture::{Head, Place, Reader, Record};
use wire::solusync::{self, MediaControl, Message, Screen};
use wire::stored::{Passage, Passages, Stored};

use super::cues::Known;
use super::load::{outside, within};
use crate::clock::TAI_UTC;
use crate::cue::AWAY_MAX;
use crate::reader::{Node, Read, Report, Table, code};

/// What it may take in memory, as it stands in the file: some 50,000 orders.
const TALK_MAX: usize = 16 << 20;
/// What was live is read from every so often: no more is passed over in a jump.
const PLACES_APART: Span = Span::from_secs(10);
/// Key frames that are found again lie so far apart: who comes in in the middle gets so much more at once.
const KEYS_APART: Span = Span::from_secs(1);
/// Octets that are passed over to begin with a key frame; where it is further back, pictures begin with the next.
const KEY_BEFORE_MAX: u64 = 3 << 20;

/// What phones were told, from the beginning of a capture on.
#[derive(Debug, Clone, PartialEq)]
pub struct PhoneTalk {
    /// The file, as the show names it.
    pub file: String,
    /// Show time when it began; what was told bears times of that evening.
    pub began: ShowTime,
    /// How long it is.
    pub length: Span,
    /// In order.
    pub lines: Vec<TalkLine>,
    /// What was heard and seen live; none if nothing was, or nothing that can be again.
    pub air: Option<Arc<RecordedAir>>,
}

/// What was live in a capture, which stays where it is and is read while it plays.
pub struct RecordedAir {
    stored: Arc<dyn Stored>,
    head: Head,
    marks: Marks,
}

/// Where reading can begin, and what was on air when.
#[derive(Debug, Default)]
struct Marks {
    /// Octets before a place, and the time there; ascending.
    places: Vec<(u64, Span)>,
    /// The same of key frames, and when they are seen.
    keys: Vec<((u64, Span), Span)>,
    /// What was heard, and what was seen.
    sound: Vec<Stretch>,
    pictures: Vec<Stretch>,
}

/// Reads it, packet by packet.
pub struct AirReader(Reader<Passages>);

/// Something that was on air.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedPacket {
    /// Since the capture's beginning: when a decoder's first sample is heard, or as [`Piece::earlier`] has it.
    pub at: Span,
    /// What it was called.
    pub track: TrackId,
    /// What.
    pub what: Recorded,
}

/// What may have been on air.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// 20 ms of Opus.
    Sound(Vec<u8>),
    /// A piece of a picture.
    Picture(Piece, Vec<u8>),
}

impl RecordedAir {
    /// From the last place before `place` on, or from the key frame of the picture that is seen there.
    pub fn read_from(&self, place: Span) -> AirReader {
        let (offset, at) = self.marks.before(place).unwrap_or((u64::MAX, Span::ZERO));
        let place = Place { offset, at, slots: vec![None; self.head.universes.len()] };
        let bytes = Passage::new(self.stored.clone(), offset, u64::MAX);
        AirReader(Reader::resume(self.head.clone(), place, bytes))
    }

    /// Whether there are pictures in it.
    pub fn has_pictures(&self) -> bool {
        !self.marks.keys.is_empty()
    }
}

impl Marks {
    /// What stands between two places of the file.
    fn take_in(&mut self, before: (u64, Span), record: &Record) {
        let at = record.at();
        let Record::Talk { talk, .. } = record else { return };
        let is_kept = match talk {
            Talk::Sound(it) => {
                Stretch::add(&mut self.sound, at, it);
                it.opus.is_some()
            }
            Talk::Picture(it) => {
                Stretch::add_picture(&mut self.pictures, at, it);
                let is_far = self.keys.last().is_none_or(|(_, last)| at - *last >= KEYS_APART);
                if it.piece.is_key && it.data.is_some() && is_far {
                    self.keys.push((before, at));
                }
                it.data.is_some()
            }
            _ => return,
        };
        if is_kept && self.places.last().is_none_or(|(_, last)| at - *last >= PLACES_APART) {
            self.places.push(before);
        }
    }

    fn before(&self, place: Span) -> Option<(u64, Span)> {
        let before = self.places.partition_point(|(_, at)| *at <= place);
        let from = *self.places.get(before.saturating_sub(1))?;
        let on = self.pictures.iter().find(|it| it.from <= place && place < it.until);
        let keys = self.keys.partition_point(|(_, at)| *at <= place);
        let key = self.keys[..keys].last().filter(|(_, at)| on.is_some_and(|on| on.from <= *at));
        let near = key.filter(|(key, _)| key.0 + KEY_BEFORE_MAX > from.0);
        Some(near.map_or(from, |(key, _)| *key))
    }

    /// Sealed, and so not to be heard or seen again.
    fn sealed(&self) -> impl Iterator<Item = &Stretch> {
        self.sound.iter().chain(&self.pictures).filter(|it| !it.is_kept)
    }
}

impl fmt::Debug for RecordedAir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedAir").field("marks", &self.marks).finish_non_exhaustive()
    }
}

impl fmt::Debug for AirReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AirReader").field("at", &self.0.at()).finish_non_exhaustive()
    }
}

/// Another one is never the same, whatever is in it.
impl PartialEq for RecordedAir {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl AirReader {
    /// The next packet; none at the end.
    ///
    /// # Errors
    /// What is wrong with the file; nothing comes after that.
    #[expect(clippy::should_implement_trait, reason = "it may fail, once")]
    pub fn next(&mut self) -> Result<Option<RecordedPacket>, String> {
        while let Some(record) = self.0.next_record().map_err(|error| error.to_string())? {
            let Record::Talk { at, talk } = record else { continue };
            let (track, what) = match talk {
                Talk::Sound(it) => (it.track, it.opus.map(|it| Recorded::Sound(it.to_vec()))),
                Talk::Picture(it) => {
                    (it.track, it.data.map(|data| Recorded::Picture(it.piece, data.to_vec())))
                }
                _ => continue,
            };
            let Some(what) = what else { continue };
            return Ok(Some(RecordedPacket { at, track: TrackId(track.to_owned()), what }));
        }
        Ok(None)
    }
}

/// What all phones were told at once.
#[derive(Debug, Clone, PartialEq)]
pub struct TalkLine {
    /// Since the beginning.
    pub at: Span,
    /// What.
    pub told: Told,
}

/// What all phones may be told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// What their screens show.
    Screen(Screen),
    /// What becomes of a track.
    Media(MediaControl),
}

impl Told {
    fn of(message: Message) -> Option<Self> {
        match message {
            Message::Screen(it) => Some(Self::Screen(it)),
            Message::MediaControl(it) => Some(Self::Media(it)),
            _ => None,
        }
    }

    /// Whether an operator could have said it then.
    fn makes_sense(&self, when: ShowTime) -> bool {
        let away = |at: WireTime| (at.to_show(TAI_UTC) - when).abs();
        let params = match self {
            Self::Screen(_) => None,
            Self::Media(it) => Some(it.params),
        };
        self.start_at().is_none_or(|at| away(at) <= AWAY_MAX)
            && params.is_none_or(|it| it.is_in_range())
    }

    /// When it is to be done.
    pub fn start_at(&self) -> Option<WireTime> {
        match self {
            Self::Screen(it) => it.start_at,
            Self::Media(it) => it.start_at,
        }
    }

    /// The track that it speaks of.
    pub fn track(&self) -> Option<&TrackId> {
        match self {
            Self::Screen(_) => None,
            Self::Media(it) => it.track_id.as_ref(),
        }
    }
}

impl PhoneTalk {
    /// Tracks that it speaks of.
    pub fn tracks(&self) -> BTreeSet<&TrackId> {
        self.lines.iter().filter_map(|line| line.told.track()).collect()
    }
}

/// Reads the talk that `phones` names.
pub fn read(phones: &Table, known: &Known) -> Option<Arc<PhoneTalk>> {
    let (report, node) = (phones.report, phones.node("capture")?);
    let name = String::read(node, report)?;
    let Some(file) = within("", &name) else {
        outside(report, node.spot, &name);
        return None;
    };
    match talk(&file, known) {
        Ok((talk, sealed, is_cut)) => {
            warn(report, node, (&talk, is_cut), known);
            warn_sealed(report, node, &talk.file, &sealed);
            Some(Arc::new(talk))
        }
        Err(why) => {
            let message = format!("could not read `{file}`: {why}");
            report.error(node.spot, code::CAPTURE_UNREADABLE, message, None);
            None
        }
    }
}

fn warn(report: &Report, node: &Node, (talk, is_cut): (&PhoneTalk, bool), known: &Known) {
    if is_cut {
        let message = format!(
            "`{}` was cut off while it was written; {} can be played",
            talk.file, talk.length
        );
        report.warn(node.spot, code::CAPTURE_CUT, message, None);
    }
    for track in talk.tracks().into_iter().filter(|it| !known.tracks.contains_key(it)) {
        let message = format!("`{}` plays track `{track}`, which is not in [tracks]", talk.file);
        report.warn(node.spot, code::UNKNOWN_TRACK, message, None);
    }
}

/// What was sealed is not in the file: nobody is to wait for it before doors.
fn warn_sealed(report: &Report, node: &Node, file: &str, sealed: &[Stretch]) {
    let Some(first) = sealed.first() else { return };
    let more = match sealed.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let message = format!(
        "`{file}` keeps no `{}` of {} to {}{more}: it was sealed, and nothing of it will be on air",
        first.track, first.from, first.until
    );
    let help = "`downbeat record --list FILE` says what is in it".to_owned();
    report.warn(node.spot, code::CAPTURE_SEALED, message, Some(help));
}

/// With what was sealed, and whether it is cut.
fn talk(file: &str, known: &Known) -> Result<(PhoneTalk, Vec<Stretch>, bool), String> {
    let stored = known.captures.open(file)?;
    let mut reader = Reader::new(Passage::new(stored.clone(), 0, u64::MAX))
        .map_err(|error| error.to_string())?;
    if !reader.has_talk() {
        return Err(
            "nothing that phones were told is in it: `downbeat record --phones` keeps it".into()
        );
    }
    let (head, mut marks) = (reader.head().clone(), Marks::default());
    let began = head.began;
    let (mut lines, mut octets, mut length) = (Vec::new(), 0, Span::ZERO);
    loop {
        let before = (reader.offset(), reader.at());
        let record = reader.next_record().map_err(|error| error.to_string())?;
        let Some(record) = record else { break };
        length = record.at();
        marks.take_in(before, &record);
        let Record::Talk { at, talk: Talk::Told { text } } = record else { continue };
        octets += text.len();
        if octets > TALK_MAX {
            return Err(format!("phones were told more than {} MB", TALK_MAX >> 20));
        }
        let parsed = solusync::parse_from_box(text).ok();
        let Some(told) = parsed.and_then(|(_, it)| Told::of(it)) else { continue };
        if !told.makes_sense(began + at) {
            return Err(format!("what phones were told {at} after it began is out of range"));
        }
        lines.push(TalkLine { at, told });
    }
    let is_cut = reader.is_cut();
    let sealed = marks.sealed().cloned().collect();
    let is_kept = !marks.places.is_empty();
    let air = is_kept.then(|| Arc::new(RecordedAir { stored, head, marks }));
    Ok((PhoneTalk { file: file.to_owned(), began, length, lines, air }, sealed, is_cut))
}
