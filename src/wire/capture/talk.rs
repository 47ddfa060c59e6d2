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

mod fares;
mod numbers;
mod pace;
mod pictures;
mod sound;
mod stretch;

use std::collections::BTreeMap;

use units::{Span, TrackId};
use uuid::Uuid;

use super::{put, take};
use fares::{fare, told};
use numbers::{bound, micros, span, unbound, unzigzag, zigzag};
use pictures::{picture, write_picture};
use sound::{is_packet, sound};

pub use fares::Fare;
pub(super) use pace::Pace;
pub use pictures::{Picture, Piece};
pub use sound::{PACKET, Sound};
pub use stretch::{BREAK_MIN, Stretch};

/// A told message that is longer is left out.
const TOLD_MAX: usize = 60_000;
/// An evening's phones and their returns; a number beyond is damage.
const PHONES_MAX: u64 = 1 << 24;

/// The longest that a track's name may be, in octets.
const TRACK_MAX: usize = 255;

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

impl Line {
    /// Whether the other, if it is later, is not heard any more: of live sounds phones hear the one that began last.
    pub fn silences(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sound { track, .. }, Self::Sound { track: before, .. }) => track != before,
            _ => false,
        }
    }
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

/// A track's name, and how long it is before it.
fn name<'a>(content: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(take(content)?).ok().filter(|it| *it <= TRACK_MAX)?;
    let (name, rest) = content.split_at_checked(length)?;
    *content = rest;
    std::str::from_utf8(name).ok()
}

#[cfg(test)]
mod tests;
