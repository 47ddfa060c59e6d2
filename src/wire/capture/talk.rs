//! What phones were told, what they heard live, and what they said of it, within a capture (SX-20).
//!
//! Each line is a record whose number is the mark's and one, two, …:
//!
//! | kind | content |
//! |---|---|
//! | 0, told | the message as all phones had it, JSON with its header |
//! | 1, came | a varint: the phone, counted from 0 as they come |
//! | 2, went | a varint: the phone |
//! | 3, played | varints: the phone; which of the messages that were told, from 0; how late, microseconds, zigzag; the bound of its clock's error, microseconds and one, or 0 where it is unknown |
//! | 4, fared | the first four numbers of 7, as captures had it before there was that |
//! | 5, sound | a varint: octets of the track's name; the name, UTF-8; 20 ms of Opus as they left for all phones (RFC 6716), or nothing where they were sealed. The record's time is the packet's: when a decoder's first sample is to be heard |
//! | 6, picture | a varint: octets of the track's name; the name, UTF-8; an octet: 0 H.264, 1 VP9, and 2 more where decoding can begin with it; varints: the piece's number; how many more of the same picture follow; how long it lasts, and how much earlier than the record's time it is seen, nanoseconds; then the piece as it left for all phones, or nothing where it was sealed |
//! | 7, fares | varints: the phone; then, each with one more than its value, or 0 where it is unknown: bounds of its clock's and its output's error, microseconds; its battery, percent; which of the document's levels its network has, 0 the best; its round trip, microseconds; packets lost of 10,000; how long live sound waits there, microseconds; tracks that are ready, and that are to be. Those at the end may be left out, and what follows is passed over |
//!
//! No packet begins before half of the one before is over: only one thing is on air. Pieces of pictures stand in the
//! order in which they left, which is a decoder's: where one is seen before one that left earlier, its record has the
//! time of that. The pieces of a picture follow each other with one time. So an hour of a thousand phones is a few
//! megabytes, 45 more for an hour of sound, and what their files take for films.

use std::collections::BTreeMap;

use units::{Span, TrackId};
use uuid::Uuid;

use super::{put, take};
use crate::quality::Quality;
use crate::solusync::{DURATION_MAX, INDEX_MAX, MediaCodec, PARTS_MAX};

/// A told message that is longer is left out.
const TOLD_MAX: usize = 60_000;
const PERCENT_MAX: u8 = 100;
/// All of them.
const LOSS_MAX: u16 = 10_000;
/// An evening's phones and their returns; a number beyond is damage.
const PHONES_MAX: u64 = 1 << 24;

/// The longest that a track's name may be, in octets.
const TRACK_MAX: usize = 255;
/// What a packet lasts: what is recorded comes so, and nothing else is taken.
pub const PACKET: Span = Span::from_millis(20);
/// From one packet to the next: half of it, since what follows another track may begin a little early.
const APART_MIN: Span = Span::from_millis(10);
/// The largest packet of one frame (RFC 6716, 3.2.1).
const OPUS_MAX: usize = 1_275;
/// A piece of a picture that is longer is left out: a record has no more room.
const PIECE_MAX: usize = 60_000;
/// No film's pictures are in an order that is so far from a decoder's.
const EARLIER_MAX: Span = Span::from_secs(10);
/// So many pieces may have one time: those of the sixteen pictures that a decoder may hold back (H.264, A.3.1).
const AT_ONCE_MAX: u32 = 16 * PARTS_MAX;
/// An evening has some dozen; of a file that claims more the rest is not told.
const STRETCHES_MAX: usize = 1 << 16;
/// What is live and stops for less goes on.
pub const BREAK_MIN: Span = Span::from_secs(1);

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// All phones were told.
    Told {
        /// `header.id`.
        id: Uuid,
        /// The message.
        text: String,
    },
    /// A phone is there, by any number that stays its own.
    Came {
        /// Which.
        phone: u64,
    },
    /// It has gone.
    Went {
        /// Which.
        phone: u64,
    },
    /// It did what it was told.
    Played {
        /// Which.
        phone: u64,
        /// `header.id` of what it was told.
        order: Uuid,
        /// How much later than it should have.
        late: Span,
        /// Bound of its clock's error; none if it has none.
        clock_error: Option<Span>,
    },
    /// How it fares.
    Fares {
        /// Which.
        phone: u64,
        /// What it says.
        fare: Fare,
    },
    /// All phones with a peer connection hear something live.
    Sound {
        /// What it is called.
        track: TrackId,
        /// [`PACKET`] of Opus; none where it was sealed, and is not to be read here.
        opus: Option<Vec<u8>>,
    },
    /// All phones with a peer connection, and that take its codec, see something live.
    Picture {
        /// What it is called.
        track: TrackId,
        /// Which piece.
        piece: Piece,
        /// It; none where it was sealed, and is not to be read here.
        data: Option<Vec<u8>>,
    },
}

/// A piece of a picture, without its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Of pictures.
    pub codec: MediaCodec,
    /// Counts the pieces of what is on air.
    pub index: u64,
    /// How many pieces of the same picture follow.
    pub parts_left: u32,
    /// Whether decoding can begin with it.
    pub is_key: bool,
    /// How long the picture lasts.
    pub lasts: Span,
    /// How much before the record's time it is seen.
    pub earlier: Span,
}

impl Piece {
    /// Whether it is within what phones take, and a capture holds.
    fn is_in_range(&self) -> bool {
        self.codec.has_pictures()
            && self.index <= INDEX_MAX
            && self.parts_left < PARTS_MAX
            && (Span::from_ns(1)..=DURATION_MAX).contains(&self.lasts)
            && (Span::ZERO..=EARLIER_MAX).contains(&self.earlier)
    }
}

impl Line {
    /// Whether the other, if it is later, is not heard any more: of live sounds phones hear the one that began last.
    pub fn silences(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sound { track, .. }, Self::Sound { track: before, .. }) => track != before,
            _ => false,
        }
    }
}

/// How a phone fares, as far as it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fare {
    /// Bound of its clock's error.
    pub clock_error: Option<Span>,
    /// Bound of its output's error.
    pub output_error: Option<Span>,
    /// Percent.
    pub battery: Option<u8>,
    /// What its network is.
    pub quality: Option<Quality>,
    /// To the box and back.
    pub round_trip: Option<Span>,
    /// Packets lost of ten thousand.
    pub loss: Option<u16>,
    /// How long after it was sent live sound is heard.
    pub buffer: Option<Span>,
    /// Tracks that are there.
    pub tracks_ready: Option<u32>,
    /// Tracks that are to be.
    pub tracks_wanted: Option<u32>,
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk<'a> {
    /// All phones were told.
    Told {
        /// The message, JSON.
        text: &'a str,
    },
    /// A phone came; they are counted from 0.
    Came {
        /// Which.
        phone: u32,
    },
    /// It went.
    Went {
        /// Which.
        phone: u32,
    },
    /// It did what it was told.
    Played {
        /// Which.
        phone: u32,
        /// Which of the messages that were told, from 0.
        order: u64,
        /// How much later than it should have.
        late: Span,
        /// Bound of its clock's error.
        clock_error: Option<Span>,
    },
    /// How it fares.
    Fares {
        /// Which.
        phone: u32,
        /// What it says.
        fare: Fare,
    },
    /// All phones with a peer connection hear something live.
    Sound(Sound<'a>),
    /// They see something live.
    Picture(Picture<'a>),
}

/// A piece of a live picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture<'a> {
    /// What it is called.
    pub track: &'a str,
    /// Which piece.
    pub piece: Piece,
    /// It; none where it was sealed.
    pub data: Option<&'a [u8]>,
}

/// A packet of live sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound<'a> {
    /// What it is called.
    pub track: &'a str,
    /// [`PACKET`] of Opus; none where it was sealed.
    pub opus: Option<&'a [u8]>,
}

/// Lets one packet of sound begin after the other, and the pieces of a picture follow each other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    sound: Option<Span>,
    /// The last piece, and its time.
    piece: Option<(Span, Piece)>,
    /// How many pieces have that time.
    at_once: u32,
}

impl Pace {
    /// Whether it may be told `at`.
    pub fn admit(&mut self, at: Span, talk: &Talk) -> bool {
        match talk {
            Talk::Sound(_) => self.admit_sound(at),
            Talk::Picture(it) => self.admit_piece(at, it.piece),
            _ => true,
        }
    }

    /// The same of what is to be written.
    pub fn admit_line(&mut self, at: Span, line: &Line) -> bool {
        match line {
            Line::Sound { .. } => self.admit_sound(at),
            Line::Picture { piece, .. } => self.admit_piece(at, *piece),
            _ => true,
        }
    }

    fn admit_sound(&mut self, at: Span) -> bool {
        let fits = self.sound.is_none_or(|last| at - last >= APART_MIN);
        self.sound = if fits { Some(at) } else { self.sound };
        fits
    }

    fn admit_piece(&mut self, at: Span, piece: Piece) -> bool {
        let is_next = |last: &Piece| last.parts_left > 0 && piece.index == last.index + 1;
        let fits = self.piece.as_ref().is_none_or(|(then, last)| {
            let rest = Piece { index: last.index + 1, is_key: false, ..*last };
            !is_next(last)
                || (at == *then && piece == Piece { parts_left: last.parts_left - 1, ..rest })
        });
        let again = self.piece.is_some_and(|(then, _)| then == at);
        let at_once = if again { self.at_once + 1 } else { 1 };
        let fits = fits && at_once <= AT_ONCE_MAX;
        if fits {
            (self.piece, self.at_once) = (Some((at, piece)), at_once);
        }
        fits
    }
}

/// Sound, or pictures, of one track without a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// What it is called.
    pub track: String,
    /// Since position 0.
    pub from: Span,
    /// When its last packet or picture is over.
    pub until: Span,
    /// Whether it can be heard or seen again; what was sealed cannot.
    pub is_kept: bool,
}

impl Stretch {
    /// Adds a packet to those before it.
    pub fn add(all: &mut Vec<Self>, at: Span, sound: &Sound) {
        let (track, is_kept) = (sound.track.to_owned(), sound.opus.is_some());
        Self { track, from: at, until: at + PACKET, is_kept }.join(all);
    }

    /// Adds a piece of a picture to those before it.
    pub fn add_picture(all: &mut Vec<Self>, at: Span, it: &Picture) {
        let (track, is_kept) = (it.track.to_owned(), it.data.is_some());
        let from = at - it.piece.earlier;
        Self { track, from, until: from + it.piece.lasts, is_kept }.join(all);
    }

    fn join(self, all: &mut Vec<Self>) {
        let is_full = all.len() == STRETCHES_MAX;
        match all.last_mut() {
            Some(it) if it.goes_on_with(&self) => it.until = it.until.max(self.until),
            _ if is_full => {}
            _ => all.push(self),
        }
    }

    fn goes_on_with(&self, next: &Self) -> bool {
        self.track == next.track
            && self.is_kept == next.is_kept
            && next.from - self.until < BREAK_MIN
    }
}

mod kind {
    pub const TOLD: usize = 0;
    pub const CAME: usize = 1;
    pub const WENT: usize = 2;
    pub const PLAYED: usize = 3;
    /// Read, and not written any more.
    pub const FARED: usize = 4;
    pub const SOUND: usize = 5;
    pub const PICTURE: usize = 6;
    pub const FARES: usize = 7;
}

/// Whether there was such a kind when this was written.
pub(super) fn is_known(kind: usize) -> bool {
    kind <= kind::FARES
}

/// How phones and messages are numbered in a capture.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    phones: BTreeMap<u64, u64>,
    /// Every phone that ever came.
    came: u64,
    told: BTreeMap<Uuid, u64>,
}

impl Names {
    /// Who speaks without having come: it was there before the capture began.
    pub fn stranger(&self, line: &Line) -> Option<u64> {
        match line {
            Line::Played { phone, .. } | Line::Fares { phone, .. } => {
                (!self.phones.contains_key(phone)).then_some(*phone)
            }
            Line::Told { .. }
            | Line::Came { .. }
            | Line::Went { .. }
            | Line::Sound { .. }
            | Line::Picture { .. } => None,
        }
    }

    /// Writes what a record holds; gives its kind, none where nothing is to be written.
    pub fn write(&mut self, line: &Line, out: &mut Vec<u8>) -> Option<usize> {
        let (kind, numbers) = match line {
            Line::Told { text, .. } if text.len() > TOLD_MAX => return None,
            Line::Told { id, text } => {
                self.told.insert(*id, self.told.len() as u64);
                out.extend(text.as_bytes());
                (kind::TOLD, vec![])
            }
            Line::Came { phone } => {
                let number = self.came;
                self.phones.insert(*phone, number);
                self.came += 1;
                (kind::CAME, vec![number])
            }
            Line::Went { phone } => (kind::WENT, vec![self.phones.remove(phone)?]),
            Line::Played { phone, order, late, clock_error } => {
                let (phone, order) = (*self.phones.get(phone)?, *self.told.get(order)?);
                (kind::PLAYED, vec![phone, order, zigzag(micros(*late)), bound(*clock_error)])
            }
            Line::Fares { phone, fare } => {
                let mut numbers = vec![*self.phones.get(phone)?];
                numbers.extend(told(fare));
                (kind::FARES, numbers)
            }
            Line::Sound { track, opus } => {
                let (name, opus) = (track.0.as_bytes(), opus.as_deref());
                if name.len() > TRACK_MAX || opus.is_some_and(|it| !is_packet(it)) {
                    return None;
                }
                put(name.len() as u64, out);
                out.extend(name.iter().chain(opus.unwrap_or_default()));
                (kind::SOUND, vec![])
            }
            Line::Picture { track, piece, data } => {
                write_picture(&track.0, piece, data.as_deref(), out)?;
                (kind::PICTURE, vec![])
            }
        };
        numbers.into_iter().for_each(|number| put(number, out));
        Some(kind)
    }
}

/// None where it is damaged.
pub(super) fn read(of: usize, mut content: &[u8]) -> Option<Talk<'_>> {
    if of == kind::TOLD {
        return Some(Talk::Told { text: std::str::from_utf8(content).ok()? });
    }
    if of == kind::SOUND {
        return sound(content).map(Talk::Sound);
    }
    if of == kind::PICTURE {
        return picture(content).map(Talk::Picture);
    }
    let phone = take(&mut content).filter(|it| *it < PHONES_MAX)? as u32;
    let talk = match of {
        kind::CAME => Talk::Came { phone },
        kind::WENT => Talk::Went { phone },
        kind::PLAYED => {
            let order = take(&mut content)?;
            let late = span(unzigzag(take(&mut content)?))?;
            Talk::Played { phone, order, late, clock_error: unbound(take(&mut content)?)? }
        }
        kind::FARED => {
            let three = [take(&mut content)?, take(&mut content)?, take(&mut content)?];
            let mut told = three.into_iter();
            Talk::Fares { phone, fare: fare(|| Some(told.next().unwrap_or(0)))? }
        }
        kind::FARES => {
            let told = || if content.is_empty() { Some(0) } else { take(&mut content) };
            let fare = fare(told)?;
            content = &[];
            Talk::Fares { phone, fare }
        }
        _ => return None,
    };
    content.is_empty().then_some(talk)
}

fn sound(mut content: &[u8]) -> Option<Sound<'_>> {
    let track = name(&mut content)?;
    let opus = Some(content).filter(|it| !it.is_empty());
    let is_whole = opus.is_none_or(is_packet);
    is_whole.then_some(Sound { track, opus })
}

/// A track's name, and how long it is before it.
fn name<'a>(content: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(take(content)?).ok().filter(|it| *it <= TRACK_MAX)?;
    let (name, rest) = content.split_at_checked(length)?;
    *content = rest;
    std::str::from_utf8(name).ok()
}

/// None, and nothing written, where it is out of range.
fn write_picture(track: &str, piece: &Piece, data: Option<&[u8]>, out: &mut Vec<u8>) -> Option<()> {
    let fits = data.is_none_or(|it| (1..=PIECE_MAX).contains(&it.len()));
    if track.len() > TRACK_MAX || !fits || !piece.is_in_range() {
        return None;
    }
    let codec = u8::from(piece.codec == MediaCodec::Vp9);
    put(track.len() as u64, out);
    out.extend(track.bytes().chain([codec + 2 * u8::from(piece.is_key)]));
    let spans = [piece.lasts, piece.earlier].map(|it| it.ns() as u64);
    for number in [piece.index, piece.parts_left.into()].into_iter().chain(spans) {
        put(number, out);
    }
    out.extend(data.unwrap_or_default());
    Some(())
}

fn picture(mut content: &[u8]) -> Option<Picture<'_>> {
    let track = name(&mut content)?;
    let (&how, rest) = content.split_first().filter(|(how, _)| **how < 4)?;
    content = rest;
    let codec = if how % 2 == 1 { MediaCodec::Vp9 } else { MediaCodec::H264 };
    let index = take(&mut content)?;
    let parts_left = u32::try_from(take(&mut content)?).ok()?;
    let lasts = Span::from_ns(i64::try_from(take(&mut content)?).ok()?);
    let earlier = Span::from_ns(i64::try_from(take(&mut content)?).ok()?);
    let piece = Piece { codec, index, parts_left, is_key: how >= 2, lasts, earlier };
    let data = Some(content).filter(|it| !it.is_empty());
    let fits = piece.is_in_range() && content.len() <= PIECE_MAX;
    fits.then_some(Picture { track, piece, data })
}

/// Whether it is a packet of 20 ms: what its first octet says of its frames, and how many there are (RFC 6716, 3.1).
fn is_packet(opus: &[u8]) -> bool {
    let Some((&first, rest)) = opus.split_first().filter(|_| opus.len() <= OPUS_MAX) else {
        return false;
    };
    let frame_us = match first >> 3 {
        config @ ..12 => [10_000, 20_000, 40_000, 60_000][usize::from(config % 4)],
        config @ ..16 => [10_000, 20_000][usize::from(config % 2)],
        config => [2_500, 5_000, 10_000, 20_000][usize::from(config % 4)],
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => i64::from(rest.first().copied().unwrap_or(0) & 0x3f),
    };
    Span::from_micros(frame_us * frames) == PACKET
}

/// What of it is known, in the order of a record's numbers; what is unknown at the end is left out.
fn told(fare: &Fare) -> impl Iterator<Item = u64> {
    let all = [
        bound(fare.clock_error),
        bound(fare.output_error),
        one_more(fare.battery.map(|it| it.min(PERCENT_MAX))),
        one_more(fare.quality.map(|it| it as u8)),
        bound(fare.round_trip),
        one_more(fare.loss.map(|it| it.min(LOSS_MAX))),
        bound(fare.buffer),
        one_more(fare.tracks_ready),
        one_more(fare.tracks_wanted),
    ];
    let known = all.iter().rposition(|it| *it > 0).map_or(0, |last| last + 1);
    all.into_iter().take(known)
}

/// The same from a record's numbers; none where it is damaged.
fn fare(mut told: impl FnMut() -> Option<u64>) -> Option<Fare> {
    Some(Fare {
        clock_error: unbound(told()?)?,
        output_error: unbound(told()?)?,
        battery: one_less(told()?, PERCENT_MAX)?,
        quality: level(told()?)?,
        round_trip: unbound(told()?)?,
        loss: one_less(told()?, LOSS_MAX)?,
        buffer: unbound(told()?)?,
        tracks_ready: one_less(told()?, u32::MAX)?,
        tracks_wanted: one_less(told()?, u32::MAX)?,
    })
}

/// None where it is damaged; the inner is unknown.
#[expect(clippy::option_option, reason = "damaged and unknown are two things")]
fn level(told: u64) -> Option<Option<Quality>> {
    let place = one_less(told, Quality::ALL.len() as u8 - 1)?;
    Some(place.map(|it| Quality::ALL[usize::from(it)]))
}

fn one_more<N: Into<u64>>(value: Option<N>) -> u64 {
    value.map_or(0, |it| it.into() + 1)
}

/// None where it is damaged, or more than `most`; the inner is unknown.
#[expect(clippy::option_option, reason = "damaged and unknown are two things")]
fn one_less<N: TryFrom<u64> + PartialOrd>(told: u64, most: N) -> Option<Option<N>> {
    match told.checked_sub(1) {
        None => Some(None),
        Some(it) => N::try_from(it).ok().filter(|it| *it <= most).map(Some),
    }
}

fn micros(span: Span) -> i64 {
    span.ns().div_euclid(1_000)
}

fn span(micros: i64) -> Option<Span> {
    micros.checked_mul(1_000).map(Span::from_ns)
}

fn bound(error: Option<Span>) -> u64 {
    error.map_or(0, |it| micros(it).max(0) as u64 + 1)
}

/// None where it is damaged; the inner is unknown.
#[expect(clippy::option_option, reason = "damaged and unknown are two things")]
fn unbound(told: u64) -> Option<Option<Span>> {
    match told.checked_sub(1) {
        None => Some(None),
        Some(it) => span(i64::try_from(it).ok()?).map(Some),
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use units::ShowTime;

    use super::super::{CaptureError, Head, Reader, Record, Writer};
    use super::*;

    fn read_back(bytes: &[u8]) -> Vec<(Span, String)> {
        let mut reader = Reader::new(bytes).expect("a capture");
        let mut all = Vec::new();
        while let Some(record) = reader.next_record().expect("no damage") {
            if let Record::Talk { at, talk } = record {
                all.push((at, format!("{talk:?}")));
            }
        }
        all
    }

    fn said(at_ms: i64, talk: &Talk) -> (Span, String) {
        (Span::from_millis(at_ms), format!("{talk:?}"))
    }

    #[test]
    fn sx20_a_live_sound_silences_another_and_neither_itself_nor_what_phones_were_told() {
        let sound = |track: &str| Line::Sound { track: TrackId(track.into()), opus: None };
        assert!(sound("tone").silences(&sound("input")));
        assert!(!sound("tone").silences(&sound("tone")));
        assert!(!sound("tone").silences(&Line::Came { phone: 1 }));
        assert!(!Line::Came { phone: 1 }.silences(&sound("tone")));
    }

    #[test]
    fn sx20_what_phones_were_told_and_said_is_read_as_it_was_written() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let text = || "{\"type\":\"screen\"}".to_owned();
        let late = Span::from_micros(-1_250);
        let clock_error = Some(Span::from_micros(400));
        let fare = Fare { clock_error, battery: Some(87), ..Fare::default() };
        let played = |phone, order| Line::Played { phone, order, late, clock_error };
        let lines = [
            (0, Line::Came { phone: 900 }),
            (5, Line::Told { id: one, text: text() }),
            (7, played(900, one)),
            (8, played(900, other)),
            (9, played(901, one)),
            (12, Line::Fares { phone: 901, fare }),
            (20, Line::Went { phone: 900 }),
            (21, Line::Came { phone: 900 }),
        ];
        let head = Head { title: String::new(), began: ShowTime::ZERO, universes: Vec::new() };
        let mut bytes = Vec::new();
        let mut writer = Writer::with_talk(head, &mut bytes);
        for (at, line) in &lines {
            writer.talk(ShowTime::ZERO + Span::from_millis(*at), line, &mut bytes);
        }
        let played = |phone| Talk::Played { phone, order: 0, late, clock_error };
        let expected = [
            said(0, &Talk::Came { phone: 0 }),
            said(5, &Talk::Told { text: &text() }),
            said(7, &played(0)),
            said(9, &Talk::Came { phone: 1 }),
            said(9, &played(1)),
            said(12, &Talk::Fares { phone: 1, fare }),
            said(20, &Talk::Went { phone: 0 }),
            said(21, &Talk::Came { phone: 2 }),
        ];
        assert_eq!(read_back(&bytes), expected, "what was told before it began has no place");
        assert!(bytes.len() < 18 + 8 * 16, "{} octets", bytes.len());
    }

    fn fares(fare: Fare) -> Line {
        Line::Fares { phone: 7, fare }
    }

    #[test]
    fn sx20_all_that_a_phone_says_of_its_network_is_read_as_it_was_written_in_some_ten_octets_more()
    {
        let us = |us| Some(Span::from_micros(us));
        let known = Fare { clock_error: us(900), output_error: us(12_000), ..Fare::default() };
        let network = Fare {
            quality: Some(Quality::Critical),
            round_trip: us(31_250),
            loss: Some(125),
            ..known
        };
        let (tracks_ready, tracks_wanted) = (Some(0), Some(300));
        let all = Fare { battery: Some(100), buffer: us(250_000), tracks_ready, ..network };
        let all = Fare { tracks_wanted, ..all };
        let lines = [Fare::default(), known, network, all].map(|it| (0, fares(it)));
        let bytes = written(&lines);
        let read: Vec<_> = read_back(&bytes).into_iter().skip(1).collect();
        let expected = [Fare::default(), known, network, all];
        assert_eq!(read, expected.map(|fare| said(0, &Talk::Fares { phone: 0, fare })));
        let length = |fare| written(&[(0, fares(fare))]).len() - written(&[]).len();
        assert!(length(all) - length(known) <= 13, "{} and {}", length(all), length(known));
    }

    #[test]
    fn sx20_how_phones_fared_is_read_from_older_captures_and_what_newer_ones_add_is_passed_over() {
        let fare = Fare { clock_error: Some(Span::ZERO), battery: Some(1), ..Fare::default() };
        let expected = Some(Talk::Fares { phone: 3, fare });
        assert_eq!(read(kind::FARED, &[3, 1, 0, 2]), expected);
        assert_eq!(read(kind::FARED, &[3, 1, 0, 2, 0]), None);
        assert_eq!(read(kind::FARES, &[3, 1, 0, 2]), expected);
        assert_eq!(read(kind::FARES, &[3, 1, 0, 2, 0, 0, 0, 0, 0, 0, 9, 0xff]), expected);
    }

    /// A packet of 20 ms: one frame of CELT, or two of SILK of 10 ms.
    fn opus(first: u8) -> Vec<u8> {
        [&[first][..], &[7; 239]].concat()
    }

    fn sound(track: &str, opus: Option<Vec<u8>>) -> Line {
        Line::Sound { track: TrackId(track.into()), opus }
    }

    fn written(lines: &[(i64, Line)]) -> Vec<u8> {
        let head = Head { title: String::new(), began: ShowTime::ZERO, universes: Vec::new() };
        let mut bytes = Vec::new();
        let mut writer = Writer::with_talk(head, &mut bytes);
        for (at_ms, line) in lines {
            writer.talk(ShowTime::ZERO + Span::from_millis(*at_ms), line, &mut bytes);
        }
        bytes
    }

    #[test]
    fn sx20_live_sound_is_read_as_it_left_and_takes_little_more_than_its_packets() {
        let lines = [
            (300, sound("tone", Some(opus(0xfc)))),
            (320, sound("tone", Some(opus(0x01)))),
            (325, sound("tone", Some(opus(0xfc)))),
            (340, sound("input", None)),
        ];
        let bytes = written(&lines);
        let (one, other) = (opus(0xfc), opus(0x01));
        let packet = |track, opus| Talk::Sound(Sound { track, opus });
        let expected = [
            said(300, &packet("tone", Some(&one))),
            said(320, &packet("tone", Some(&other))),
            said(340, &packet("input", None)),
        ];
        assert_eq!(read_back(&bytes), expected, "what begins within a packet is left out");
        assert!(bytes.len() - 18 <= 2 * (240 + 13) + 14, "{} octets", bytes.len());
    }

    #[test]
    fn sx20_of_sound_cut_anywhere_every_packet_before_the_cut_is_read() {
        let lines: Vec<_> =
            (0..10).map(|nth| (20 * nth, sound("tone", Some(opus(0xfc))))).collect();
        let bytes = written(&lines);
        let one = (bytes.len() - 18) / 10;
        for cut in 18..bytes.len() {
            let whole = read_back(&bytes[..cut]).len();
            // The first has a shorter time before it.
            let expected = ((cut - 18) / one).min(9);
            assert!(whole.abs_diff(expected) <= 1 && whole < 10, "{whole} of {cut} octets");
        }
    }

    #[test]
    fn sx20_sound_that_lies_of_its_length_or_comes_out_of_order_is_damage() {
        let packet = opus(0xfc);
        let named = |length: u8, rest: &[u8]| [&[length][..], rest].concat();
        let tone = |opus: &[u8]| named(4, &[b"tone", opus].concat());
        assert!(read(kind::SOUND, &tone(&packet)).is_some());
        for (content, why) in [
            (vec![], "no name"),
            (named(9, b"tone"), "a name beyond the end"),
            (named(0x80, b"tone"), "a length without an end"),
            (named(1, &[0xff]), "no UTF-8"),
            (tone(&opus(0x18)), "60 ms"),
            (tone(&opus(0xfd)), "two frames of 20 ms"),
            (tone(&[0xff, 0]), "no frame"),
            (tone(&[0xff, 48]), "48 frames"),
            (tone(&[0xfc; 1_276]), "too large"),
            (named(0xff, &[3; 300]), "a name of more octets than 255"),
        ] {
            assert_eq!(read(kind::SOUND, &content), None, "{why}");
        }
        let mut bytes = written(&[(100, sound("tone", Some(packet)))]);
        let same_again = bytes[18..].to_vec();
        // No time has gone since the one before.
        let content = [&[0, 6][..], &tone(&opus(0xfc))].concat();
        bytes.extend((content.len() as u16).to_le_bytes());
        bytes.extend(content);
        let mut reader = Reader::new(&bytes[..]).expect("a head");
        assert!(reader.next_record().is_ok_and(|it| it.is_some()));
        assert_eq!(reader.next_record(), Err(CaptureError::Damaged(18 + same_again.len() as u64)));
    }

    /// A piece of a film's pictures of 40 ms.
    fn piece(index: u64, parts_left: u32) -> Piece {
        let (codec, lasts, earlier) = (MediaCodec::Vp9, Span::from_millis(40), Span::ZERO);
        Piece { codec, index, parts_left, is_key: index == 0, lasts, earlier }
    }

    fn picture_line(piece: Piece, data: Option<&[u8]>) -> Line {
        Line::Picture { track: TrackId("film".into()), piece, data: data.map(<[u8]>::to_vec) }
    }

    fn picture_said(at_ms: i64, piece: Piece, data: Option<&[u8]>) -> (Span, String) {
        said(at_ms, &Talk::Picture(Picture { track: "film", piece, data }))
    }

    #[test]
    fn sx20_live_pictures_are_read_piece_by_piece_as_they_left_each_with_when_it_is_seen() {
        let h264 = Piece { codec: MediaCodec::H264, ..piece(3, 0) };
        let before = Piece { earlier: Span::from_millis(40), ..piece(4, 0) };
        let all = [
            (1_260, piece(0, 1), Some(&b"key"[..])),
            (1_260, piece(1, 0), Some(b"frame")),
            (1_300, piece(2, 0), Some(b"x")),
            (1_380, h264, Some(b"later")),
            (1_380, before, Some(b"sooner")),
            (1_420, piece(5, 0), None),
        ];
        let lines: Vec<_> =
            all.iter().map(|(at, piece, data)| (*at, picture_line(*piece, *data))).collect();
        let bytes = written(&lines);
        let expected: Vec<_> =
            all.iter().map(|(at, piece, data)| picture_said(*at, *piece, *data)).collect();
        assert_eq!(read_back(&bytes), expected);
        let big = vec![7; 30 << 10];
        let one = written(&[(0, picture_line(piece(0, 0), Some(&big)))]).len() - big.len() - 18;
        assert!(one < 24, "{one} octets beside the picture's own");
    }

    #[test]
    fn sx20_of_pictures_cut_anywhere_every_piece_before_the_cut_is_read() {
        let lines: Vec<_> = (0..8)
            .map(|nth| (40 * nth, picture_line(piece(nth as u64, 0), Some(&[nth as u8; 90]))))
            .collect();
        let ends: Vec<usize> = (0..=8).map(|some| written(&lines[..some]).len()).collect();
        let bytes = written(&lines);
        for cut in ends[0]..=bytes.len() {
            let whole = ends[1..].iter().filter(|end| **end <= cut).count();
            assert_eq!(read_back(&bytes[..cut]).len(), whole, "{cut}");
        }
    }

    #[test]
    fn sx20_pictures_that_lie_are_damage() {
        let whole = |piece: Piece, data: &[u8]| {
            let mut out = Vec::new();
            write_picture("film", &piece, Some(data), &mut out).map(|()| out)
        };
        let good = whole(piece(0, 0), b"x").expect("in range");
        assert!(read(kind::PICTURE, &good).is_some());
        for (content, why) in [
            (vec![], "no name"),
            (vec![9, b'f'], "a name beyond the end"),
            (good[..5].to_vec(), "no codec"),
            ([&good[..5], &[4][..], &good[6..]].concat(), "a codec that is none"),
            (good[..8].to_vec(), "nothing of how long it lasts"),
            ([&good[..7], &[64][..], &good[8..]].concat(), "65 parts"),
            ([&good[..8], &[0, 0, 1][..]].concat(), "lasts no time"),
            ([good, vec![0; PIECE_MAX]].concat(), "too large"),
        ] {
            assert_eq!(read(kind::PICTURE, &content), None, "{why}");
        }
        let long = |span| Piece { lasts: span, ..piece(0, 0) };
        let early = Piece { earlier: EARLIER_MAX + Span::from_ns(1), ..piece(0, 0) };
        for wrong in [long(Span::ZERO), long(DURATION_MAX + Span::from_ns(1)), piece(0, 64), early]
        {
            assert_eq!(whole(wrong, b"x"), None, "{wrong:?}");
        }
        assert_eq!(whole(Piece { codec: MediaCodec::Opus, ..piece(0, 0) }, b"x"), None);
        assert_eq!(whole(piece(0, 0), &[]), None);
    }

    #[test]
    fn sx20_pieces_of_a_picture_follow_each_other_at_one_time_or_it_is_damage_and_some_may_be_lost()
    {
        let admitted = |all: &[(i64, Piece)]| {
            let mut pace = Pace::default();
            let fits = all.iter().map(|(at, it)| pace.admit_piece(Span::from_millis(*at), *it));
            fits.collect::<Vec<_>>()
        };
        assert_eq!(admitted(&[(0, piece(0, 2)), (0, piece(1, 1)), (0, piece(2, 0))]), [true; 3]);
        assert_eq!(admitted(&[(0, piece(0, 2)), (0, piece(1, 0))]), [true, false]);
        assert_eq!(admitted(&[(0, piece(0, 1)), (1, piece(1, 0))]), [true, false], "another time");
        let key = Piece { is_key: true, ..piece(1, 0) };
        assert_eq!(admitted(&[(0, piece(0, 1)), (0, key)]), [true, false], "a key frame within");
        assert_eq!(admitted(&[(0, piece(0, 2)), (40, piece(3, 0))]), [true, true], "some are lost");
        assert_eq!(admitted(&[(0, piece(7, 3)), (40, piece(0, 0))]), [true, true], "another film");
        let many: Vec<_> = (0..=u64::from(AT_ONCE_MAX)).map(|nth| (0, piece(nth, 0))).collect();
        assert_eq!(admitted(&many).iter().filter(|it| !**it).count(), 1, "no more at one time");
    }

    #[test]
    fn sx20_older_captures_are_read_and_what_newer_ones_say_besides_is_passed_over() {
        let mut bytes = written(&[(5, Line::Came { phone: 1 })]);
        assert_eq!(bytes[4], 4);
        for version in [2, 3] {
            bytes[4] = version;
            assert_eq!(read_back(&bytes).len(), 1);
        }
        bytes.extend([3, 0, 0, 9, 9]);
        let mut reader = Reader::new(&bytes[..]).expect("a capture");
        let records = || reader.next_record().expect("no damage").map(|it| it.is_mark());
        assert_eq!(std::iter::from_fn(records).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn stretches_of_sound_end_where_it_pauses_or_becomes_another() {
        let mut all = Vec::new();
        let kept = |track| Sound { track, opus: Some(&[0xfc]) };
        for (at_ms, sound) in [
            (0, kept("tone")),
            (40, kept("tone")),
            (60, kept("input")),
            (2_000, kept("input")),
            (2_020, Sound { track: "input", opus: None }),
        ] {
            Stretch::add(&mut all, Span::from_millis(at_ms), &sound);
        }
        let told = all.iter().map(|it| (it.track.as_str(), it.from.ns(), it.until.ns()));
        let told: Vec<_> =
            told.map(|(it, from, until)| (it, from / 1_000_000, until / 1_000_000)).collect();
        let expected =
            [("tone", 0, 60), ("input", 60, 80), ("input", 2_000, 2_020), ("input", 2_020, 2_040)];
        assert_eq!(told, expected);
        assert!(all[2].is_kept && !all[3].is_kept);
        let mut seen = Vec::new();
        for (at_ms, earlier_ms) in [(0, 0), (80, 0), (80, 40), (2_000, 0)] {
            let piece = Piece { earlier: Span::from_millis(earlier_ms), ..piece(0, 0) };
            let it = Picture { track: "film", piece, data: Some(b"x") };
            Stretch::add_picture(&mut seen, Span::from_millis(at_ms), &it);
        }
        let told: Vec<_> = seen.iter().map(|it| (it.from.ns(), it.until.ns())).collect();
        assert_eq!(told, [(0, 120_000_000), (2_000_000_000, 2_040_000_000)]);
    }

    #[test]
    fn a_capture_of_light_alone_is_as_it_was_and_has_no_room_for_talk() {
        let head = Head { title: String::new(), began: ShowTime::ZERO, universes: Vec::new() };
        let mut bytes = Vec::new();
        let mut writer = Writer::new(head, &mut bytes);
        writer.talk(ShowTime::ZERO, &Line::Came { phone: 1 }, &mut bytes);
        assert_eq!((bytes.len(), bytes[4]), (18, 1));
        bytes.extend([3, 0, 0, 2, 0]);
        assert!(Reader::new(&bytes[..]).expect("a head").next_record().is_err());
    }

    #[test]
    fn numbers_that_no_phone_has_are_damage() {
        let mut huge = Vec::new();
        put(PHONES_MAX, &mut huge);
        assert_eq!(read(kind::CAME, &huge), None);
        for of in [kind::FARED, kind::FARES] {
            assert_eq!(read(of, &[0, 0, 0, 102]), None, "101 percent");
        }
        assert_eq!(read(kind::FARED, &[0, 0, 0]), None);
        assert_eq!(read(kind::FARES, &[0, 0, 0, 0, 6]), None, "a sixth level");
        assert_eq!(read(kind::FARES, &[0, 0, 0, 0, 0, 0, 0x92, 0x4e]), None, "10,001 of 10,000");
        assert_eq!(read(kind::FARES, &[0, 0x80]), None, "a number without an end");
        assert_eq!(read(kind::PLAYED, &[0, 0, 0]), None);
        assert!(!is_known(8));
        assert_eq!(read(kind::TOLD, &[0xff]), None);
    }
}
