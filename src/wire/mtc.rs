//! MTC (MIDI 1.0, RP-004/RP-008): timecode as bytes of a MIDI cable.
//!
//! In: bytes, each with the time it came; a timecode. Out: what was heard ([`Listener`]); the bytes to send
//! ([`quarter`], [`full`]). Never here: devices, clocks.
//!
//! *Quarter frame*: one of eight messages that tell a timecode between them, four to a frame. When the last one comes,
//! two frames less a quarter have gone since the one that it tells; we say when that one began, so nobody has to add
//! them. *Full message*: the whole of it at once, from a machine that stands or was wound.

use units::{Clock, FrameRate, ShowTime, Span, Timecode};

/// Status of a quarter frame.
const QUARTER: u8 = 0xf1;
const SYSEX: u8 = 0xf0;
const SYSEX_END: u8 = 0xf7;
/// From here on bytes come in between others (clock, active sensing).
const REAL_TIME: u8 = 0xf8;
/// After the status: universal real time, any device, timecode, full message.
const FULL_HEAD: [u8; 4] = [0x7f, 0x7f, 0x01, 0x01];
/// Octets of a full message.
pub const FULL_LEN: usize = 10;
/// More than any message that tells us something; longer ones are passed over.
const SYSEX_KEPT: usize = 16;
/// Quarter frames that tell a timecode.
const PIECES: usize = 8;

/// What a cable has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// That frame began then.
    Frame {
        /// Which.
        timecode: Timecode,
        /// When: as the message that was held up least has it.
        at: ShowTime,
    },
    /// A machine stands there, or has been wound there.
    Located {
        /// Where.
        timecode: Timecode,
    },
    /// It runs backwards, and tells no time.
    Reverse,
}

/// The rate's two bits, before the hours (RP-004).
fn code(rate: FrameRate) -> u8 {
    match rate {
        FrameRate::Fps23_976 | FrameRate::Fps24 => 0,
        FrameRate::Fps25 => 1,
        FrameRate::Drop29_97 => 2,
        FrameRate::Fps29_97 | FrameRate::Fps30 => 3,
    }
}

fn rate(code: u8) -> FrameRate {
    match code & 3 {
        0 => FrameRate::Fps24,
        1 => FrameRate::Fps25,
        2 => FrameRate::Drop29_97,
        _ => FrameRate::Fps30,
    }
}

/// One of the eight messages of a timecode; `piece` counts from 0 and is taken modulo 8.
pub fn quarter(timecode: Timecode, piece: u8) -> [u8; 2] {
    let Clock { hours, minutes, seconds, frames } = timecode.clock();
    let piece = piece % PIECES as u8;
    let value = match piece / 2 {
        0 => frames,
        1 => seconds,
        2 => minutes,
        _ => hours | code(timecode.rate()) << 5,
    };
    let nibble = if piece.is_multiple_of(2) { value & 0xf } else { value >> 4 };
    [QUARTER, piece << 4 | nibble]
}

/// A full message, to all devices.
pub fn full(timecode: Timecode) -> [u8; FULL_LEN] {
    let Clock { hours, minutes, seconds, frames } = timecode.clock();
    let [a, b, c, d] = FULL_HEAD;
    let hours = hours | code(timecode.rate()) << 5;
    [SYSEX, a, b, c, d, hours, minutes, seconds, frames, SYSEX_END]
}

/// Bytes to readings.
#[derive(Debug, Clone, Default)]
pub struct Listener {
    /// The next byte belongs to a quarter frame.
    quarter: bool,
    /// The system exclusive message that is coming; none between messages.
    sysex: Option<Vec<u8>>,
    turn: Option<Turn>,
    last: Option<u8>,
}

/// Eight quarter frames on their way.
#[derive(Debug, Clone)]
struct Turn {
    nibbles: [u8; PIECES],
    came: [ShowTime; PIECES],
    next: usize,
}

impl Listener {
    /// Takes the next byte.
    pub fn hear(&mut self, byte: u8, at: ShowTime) -> Option<Reading> {
        match byte {
            REAL_TIME.. => None,
            SYSEX_END => self.sysex.take().and_then(|message| located(&message)),
            0x80.. => {
                self.quarter = byte == QUARTER;
                self.sysex = (byte == SYSEX).then(Vec::new);
                None
            }
            data if std::mem::take(&mut self.quarter) => self.piece(data >> 4, data & 0xf, at),
            data => {
                let message = self.sysex.as_mut().filter(|it| it.len() < SYSEX_KEPT);
                message.into_iter().for_each(|message| message.push(data));
                None
            }
        }
    }

    fn piece(&mut self, piece: u8, nibble: u8, at: ShowTime) -> Option<Reading> {
        let last = self.last.replace(piece);
        if last == Some((piece + 1) % PIECES as u8) {
            self.turn = None;
            return Some(Reading::Reverse);
        }
        if piece == 0 {
            self.turn = Some(Turn { nibbles: [0; PIECES], came: [at; PIECES], next: 0 });
        }
        let mut turn = self.turn.take().filter(|turn| turn.next == usize::from(piece))?;
        turn.nibbles[turn.next] = nibble;
        turn.came[turn.next] = at;
        turn.next += 1;
        if turn.next == PIECES {
            return turn.reading();
        }
        self.turn = Some(turn);
        None
    }
}

impl Turn {
    fn reading(&self) -> Option<Reading> {
        let [f, ff, s, ss, m, mm, h, hh] = self.nibbles;
        let clock = Clock {
            hours: h | (hh & 1) << 4,
            minutes: m | (mm & 3) << 4,
            seconds: s | (ss & 3) << 4,
            frames: f | (ff & 1) << 4,
        };
        let timecode = Timecode::new(rate(hh >> 1), clock).ok()?;
        let frame = timecode.rate().frame();
        let began = |(piece, came): (usize, &ShowTime)| {
            *came - Span::from_ns(frame.ns() * piece as i64 / 4)
        };
        let at = self.came.iter().enumerate().map(began).min()?;
        Some(Reading::Frame { timecode, at })
    }
}

fn located(message: &[u8]) -> Option<Reading> {
    let [0x7f, _device, 0x01, 0x01, hours, minutes, seconds, frames] = *message else {
        return None;
    };
    let clock = Clock { hours: hours & 0x1f, minutes, seconds, frames };
    let timecode = Timecode::new(rate(hours >> 5), clock).ok()?;
    Some(Reading::Located { timecode })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What MTC can say.
    const RATES: [FrameRate; 4] =
        [FrameRate::Fps24, FrameRate::Fps25, FrameRate::Drop29_97, FrameRate::Fps30];
    const T0: ShowTime = ShowTime::from_ns(1_795_000_000_000_000_000);

    fn listen(bytes: &[u8]) -> Vec<Reading> {
        let mut listener = Listener::default();
        bytes.iter().filter_map(|byte| listener.hear(*byte, T0)).collect()
    }

    #[test]
    fn a_timecode_is_told_for_the_instant_at_which_its_first_quarter_left() {
        let timecode = Timecode::parse("01:37:52:16", FrameRate::Fps25).expect("a frame");
        let mut listener = Listener::default();
        let mut heard = Vec::new();
        for piece in 0..8 {
            // Every other message is held up, by up to 3 ms.
            let late = Span::from_micros([0, 3_000, 0, 800][usize::from(piece) % 4]);
            let at = T0 + Span::from_millis(10).times(piece.into()) + late;
            heard.extend(quarter(timecode, piece).iter().filter_map(|it| listener.hear(*it, at)));
        }
        assert_eq!(heard, [Reading::Frame { timecode, at: T0 }]);
    }

    #[test]
    fn what_the_standard_prints_is_what_is_sent() {
        let timecode = Timecode::parse("01:37:52:16", FrameRate::Fps30).expect("a frame");
        let all: Vec<u8> = (0..8).map(|piece| quarter(timecode, piece)[1]).collect();
        assert_eq!(all, [0x00, 0x11, 0x24, 0x33, 0x45, 0x52, 0x61, 0x76]);
        assert_eq!(full(timecode), [0xf0, 0x7f, 0x7f, 1, 1, 0x61, 37, 52, 16, 0xf7]);
    }

    #[test]
    fn backwards_is_found_out_by_the_second_message() {
        let timecode = Timecode::zero(FrameRate::Fps24);
        let bytes: Vec<u8> = (0..8).rev().flat_map(|piece| quarter(timecode, piece)).collect();
        assert_eq!(listen(&bytes), [Reading::Reverse; 7]);
    }

    #[test]
    fn a_message_that_is_missing_costs_its_timecode_and_clocks_in_between_cost_nothing() {
        let timecode = Timecode::zero(FrameRate::Fps24);
        let all = (0..8).chain([0, 1, 2, 3, 5, 6, 7]).chain(0..8);
        let bytes: Vec<u8> = all
            .flat_map(|piece| {
                let [status, data] = quarter(timecode, piece);
                [0xf8, status, 0xfe, data]
            })
            .collect();
        assert_eq!(
            listen(&bytes),
            [Reading::Frame { timecode, at: T0 }; 2].map(|it| match it {
                // All bytes come at once here: the last of them is the earliest for its place.
                Reading::Frame { timecode, .. } => Reading::Frame {
                    timecode,
                    at: T0 - Span::from_ns(timecode.rate().frame().ns() * 7 / 4),
                },
                other => other,
            })
        );
    }

    proptest! {
        #[test]
        fn a_full_message_says_where_it_stands(rate in proptest::sample::select(&RATES[..]), frame: u32) {
            let timecode = Timecode::zero(rate).plus(i64::from(frame));
            prop_assert_eq!(listen(&full(timecode)), [Reading::Located { timecode }]);
        }

        #[test]
        fn any_bytes_are_heard_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            listen(&bytes);
        }
    }
}
