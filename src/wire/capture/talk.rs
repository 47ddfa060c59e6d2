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
//! | 4, fares | varints: the phone; bounds of its clock's and its output's error, microseconds and one, or 0; its battery, percent and one, or 0 |
//! | 5, sound | a varint: octets of the track's name; the name, UTF-8; 20 ms of Opus as they left for all phones (RFC 6716), or nothing where they were sealed. The record's time is the packet's: when a decoder's first sample is to be heard |
//!
//! No packet begins before half of the one before is over: only one thing is on air. So an evening of a thousand phones
//! is a few megabytes, and 45 more for an hour of sound.

use std::collections::BTreeMap;

use units::{Span, TrackId};
use uuid::Uuid;

use super::{put, take};

/// A told message that is longer is left out.
const TOLD_MAX: usize = 60_000;
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
/// A sound that stops for less goes on.
const BREAK_MIN: Span = Span::from_secs(1);

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
}

/// A packet of live sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound<'a> {
    /// What it is called.
    pub track: &'a str,
    /// [`PACKET`] of Opus; none where it was sealed.
    pub opus: Option<&'a [u8]>,
}

/// Lets one packet of sound begin after the other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    last: Option<Span>,
}

impl Pace {
    /// Whether one may begin at `at`.
    pub fn admit(&mut self, at: Span) -> bool {
        let fits = self.last.is_none_or(|last| at - last >= APART_MIN);
        self.last = if fits { Some(at) } else { self.last };
        fits
    }
}

/// Sound of one track without a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// What it is called.
    pub track: String,
    /// Since position 0.
    pub from: Span,
    /// When its last packet is over.
    pub until: Span,
    /// Whether it can be heard again; sealed sound cannot.
    pub is_kept: bool,
}

impl Stretch {
    /// Adds a packet to those before it.
    pub fn add(all: &mut Vec<Self>, at: Span, sound: &Sound) {
        let (until, is_kept) = (at + PACKET, sound.opus.is_some());
        match all.last_mut() {
            Some(it)
                if it.track == sound.track
                    && it.is_kept == is_kept
                    && at - it.until < BREAK_MIN =>
            {
                it.until = until;
            }
            _ => all.push(Self { track: sound.track.to_owned(), from: at, until, is_kept }),
        }
    }
}

mod kind {
    pub const TOLD: usize = 0;
    pub const CAME: usize = 1;
    pub const WENT: usize = 2;
    pub const PLAYED: usize = 3;
    pub const FARES: usize = 4;
    pub const SOUND: usize = 5;
}

/// Whether there was such a kind when this was written.
pub(super) fn is_known(kind: usize) -> bool {
    kind <= kind::SOUND
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
            Line::Told { .. } | Line::Came { .. } | Line::Went { .. } | Line::Sound { .. } => None,
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
                let battery = fare.battery.map_or(0, |it| u64::from(it.min(100)) + 1);
                let bounds = [fare.clock_error, fare.output_error].map(bound);
                (kind::FARES, vec![*self.phones.get(phone)?, bounds[0], bounds[1], battery])
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
    let phone = take(&mut content).filter(|it| *it < PHONES_MAX)? as u32;
    let talk = match of {
        kind::CAME => Talk::Came { phone },
        kind::WENT => Talk::Went { phone },
        kind::PLAYED => {
            let order = take(&mut content)?;
            let late = span(unzigzag(take(&mut content)?))?;
            Talk::Played { phone, order, late, clock_error: unbound(take(&mut content)?)? }
        }
        kind::FARES => {
            let clock_error = unbound(take(&mut content)?)?;
            let output_error = unbound(take(&mut content)?)?;
            let battery = take(&mut content)?.checked_sub(1);
            let battery = battery.map(|it| u8::try_from(it).ok().filter(|it| *it <= 100));
            let battery = if let Some(it) = battery { Some(it?) } else { None };
            Talk::Fares { phone, fare: Fare { clock_error, output_error, battery } }
        }
        _ => return None,
    };
    content.is_empty().then_some(talk)
}

fn sound(mut content: &[u8]) -> Option<Sound<'_>> {
    let length = usize::try_from(take(&mut content)?).ok().filter(|it| *it <= TRACK_MAX)?;
    let (name, opus) = content.split_at_checked(length)?;
    let opus = Some(opus).filter(|it| !it.is_empty());
    let is_whole = opus.is_none_or(is_packet);
    is_whole.then_some(Sound { track: std::str::from_utf8(name).ok()?, opus })
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
        let fare = Fare { clock_error, output_error: None, battery: Some(87) };
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

    #[test]
    fn sx20_older_captures_are_read_and_what_newer_ones_say_besides_is_passed_over() {
        let mut bytes = written(&[(5, Line::Came { phone: 1 })]);
        assert_eq!(bytes[4], 3);
        bytes[4] = 2;
        assert_eq!(read_back(&bytes).len(), 1);
        bytes.extend([3, 0, 0, 7, 9]);
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
        assert_eq!(read(kind::FARES, &[0, 0, 0, 102]), None, "101 percent");
        assert_eq!(read(kind::PLAYED, &[0, 0, 0]), None);
        assert!(!is_known(6));
        assert_eq!(read(kind::TOLD, &[0xff]), None);
    }
}
