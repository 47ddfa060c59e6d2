//! `phones = { capture = … }`: what phones were told and heard live one evening, in a cue (SX-20).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use units::{ShowTime, Span, TrackId, WireTime};
use wire::capture::talk::Talk;
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
/// Sound is read from every so often: no more is passed over in a jump.
const PLACES_APART: Span = Span::from_secs(10);

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
    /// What was heard live; none if nothing was, or nothing that can be heard again.
    pub sound: Option<Arc<RecordedSound>>,
}

/// Live sound of a capture, which stays where it is and is read while it plays.
pub struct RecordedSound {
    stored: Arc<dyn Stored>,
    head: Head,
    /// Where reading can begin: octets before it, and the time there; ascending.
    places: Vec<(u64, Span)>,
}

/// Reads it, packet by packet.
pub struct SoundReader(Reader<Passages>);

/// A packet of Opus that was on air.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedPacket {
    /// When a decoder's first sample is heard, since the capture's beginning.
    pub at: Span,
    /// What it was called.
    pub track: TrackId,
    /// 20 ms of it.
    pub opus: Vec<u8>,
}

impl RecordedSound {
    /// From the last place before `place` on.
    pub fn read_from(&self, place: Span) -> SoundReader {
        let index = self.places.partition_point(|(_, at)| *at <= place).saturating_sub(1);
        let (offset, at) = self.places.get(index).copied().unwrap_or((u64::MAX, Span::ZERO));
        let place = Place { offset, at, slots: vec![None; self.head.universes.len()] };
        let bytes = Passage::new(self.stored.clone(), offset, u64::MAX);
        SoundReader(Reader::resume(self.head.clone(), place, bytes))
    }
}

impl fmt::Debug for RecordedSound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedSound").field("places", &self.places).finish_non_exhaustive()
    }
}

impl fmt::Debug for SoundReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoundReader").field("at", &self.0.at()).finish_non_exhaustive()
    }
}

/// Another sound is never the same, whatever is in it.
impl PartialEq for RecordedSound {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl SoundReader {
    /// The next packet; none at the end.
    ///
    /// # Errors
    /// What is wrong with the file; nothing comes after that.
    #[expect(clippy::should_implement_trait, reason = "it may fail, once")]
    pub fn next(&mut self) -> Result<Option<RecordedPacket>, String> {
        while let Some(record) = self.0.next_record().map_err(|error| error.to_string())? {
            let Record::Talk { at, talk: Talk::Sound(it) } = record else { continue };
            let Some(opus) = it.opus else { continue };
            let track = TrackId(it.track.to_owned());
            return Ok(Some(RecordedPacket { at, track, opus: opus.to_vec() }));
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
        Ok((talk, is_cut)) => {
            warn(report, node, (&talk, is_cut), known);
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

fn talk(file: &str, known: &Known) -> Result<(PhoneTalk, bool), String> {
    let stored = known.captures.open(file)?;
    let mut reader = Reader::new(Passage::new(stored.clone(), 0, u64::MAX))
        .map_err(|error| error.to_string())?;
    if !reader.has_talk() {
        return Err(
            "nothing that phones were told is in it: `downbeat record --phones` keeps it".into()
        );
    }
    let (head, mut places) = (reader.head().clone(), Vec::new());
    let began = head.began;
    let (mut lines, mut octets, mut length) = (Vec::new(), 0, Span::ZERO);
    loop {
        let before = (reader.offset(), reader.at());
        let record = reader.next_record().map_err(|error| error.to_string())?;
        let Some(record) = record else { break };
        length = record.at();
        if is_heard(&record) && places.last().is_none_or(|(_, last)| length - *last >= PLACES_APART)
        {
            places.push(before);
        }
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
    let sound = (!places.is_empty()).then(|| Arc::new(RecordedSound { stored, head, places }));
    Ok((PhoneTalk { file: file.to_owned(), began, length, lines, sound }, is_cut))
}

/// Whether it is sound that can be heard again.
fn is_heard(record: &Record) -> bool {
    matches!(record, Record::Talk { talk: Talk::Sound(it), .. } if it.opus.is_some())
}
