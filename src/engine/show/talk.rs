//! `phones = { capture = … }`: what phones were told one evening, in a cue (SX-20).

use std::collections::BTreeSet;
use std::sync::Arc;

use units::{ShowTime, Span, TrackId, WireTime};
use wire::capture::talk::Talk;
use wire::capture::{Reader, Record};
use wire::solusync::{self, MediaControl, Message, Screen};
use wire::stored::Passage;

use super::cues::Known;
use super::load::{outside, within};
use crate::clock::TAI_UTC;
use crate::cue::AWAY_MAX;
use crate::reader::{Node, Read, Report, Table, code};

/// What it may take in memory, as it stands in the file: some 50,000 orders.
const TALK_MAX: usize = 16 << 20;

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
    let mut reader =
        Reader::new(Passage::new(stored, 0, u64::MAX)).map_err(|error| error.to_string())?;
    if !reader.has_talk() {
        return Err(
            "nothing that phones were told is in it: `downbeat record --phones` keeps it".into()
        );
    }
    let began = reader.head().began;
    let (mut lines, mut octets, mut length) = (Vec::new(), 0, Span::ZERO);
    while let Some(record) = reader.next_record().map_err(|error| error.to_string())? {
        length = record.at();
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
    Ok((PhoneTalk { file: file.to_owned(), began, length, lines }, is_cut))
}
