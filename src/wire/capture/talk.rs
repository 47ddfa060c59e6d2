//! What phones were told and what they said of it, within a capture (SX-20).
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
//!
//! So an evening of a thousand phones is a few megabytes.

use std::collections::BTreeMap;

use units::Span;
use uuid::Uuid;

use super::{put, take};

/// A told message that is longer is left out.
const TOLD_MAX: usize = 60_000;
/// An evening's phones and their returns; a number beyond is damage.
const PHONES_MAX: u64 = 1 << 24;

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
}

mod kind {
    pub const TOLD: usize = 0;
    pub const CAME: usize = 1;
    pub const WENT: usize = 2;
    pub const PLAYED: usize = 3;
    pub const FARES: usize = 4;
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
            Line::Told { .. } | Line::Came { .. } | Line::Went { .. } => None,
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

    use super::super::{Head, Reader, Record, Writer};
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
        assert_eq!(read(5, &[0]), None);
        assert_eq!(read(kind::TOLD, &[0xff]), None);
    }
}
