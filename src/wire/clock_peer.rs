//! The plain question that boxes ask each other about the time: four stamps, one datagram each way.
//!
//! In: a datagram from anybody. Out: a question or an answer, or why it is neither. Both are equally long, so that they
//! travel equally fast and nobody gains by sending questions in another's name.

use std::ops::Range;

use units::{ShowTime, Span};

/// Octets of either; a later version may be longer.
pub const LENGTH: usize = 40;
const MARK: [u8; 4] = *b"DBck";
const VERSION: u8 = 1;

/// High byte first.
mod field {
    use super::Range;
    pub const MARK: Range<usize> = 0..4;
    pub const VERSION: usize = 4;
    pub const KIND: usize = 5; // 0 question, 1 answer; 6 and 7 are zero
    pub const NONCE: Range<usize> = 8..16;
    pub const HEARD: Range<usize> = 16..24; // t2, TAI ns
    pub const ANSWERED: Range<usize> = 24..32; // t3, TAI ns
    pub const BOUND: Range<usize> = 32..40; // ns; -1 is unknown
}

/// What one box says to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram {
    /// What time is it? The answer bears the same number.
    Question {
        /// Not to be guessed.
        nonce: u64,
    },
    /// This is what time it is.
    Answer {
        /// The question's.
        nonce: u64,
        /// When the question came, by the answering box's clock.
        heard: ShowTime,
        /// When the answer left.
        answered: ShowTime,
        /// How far that clock may be off; none where it does not know.
        bound: Option<Span>,
    },
}

/// Why a datagram is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too short.
    #[error("{0} octets are too few, {LENGTH} are needed")]
    Short(usize),
    /// Not a box's.
    #[error("it does not begin as a box's does")]
    Foreign,
    /// Of a time to come.
    #[error("version {0} is not known, {VERSION} is")]
    Version(u8),
    /// Neither question nor answer.
    #[error("kind {0} is neither question nor answer")]
    Kind(u8),
}

/// Reads either.
///
/// # Errors
/// [`Refused`] says why it is neither.
pub fn parse(bytes: &[u8]) -> Result<Datagram, Refused> {
    let Some(bytes) = bytes.first_chunk::<LENGTH>() else {
        return Err(Refused::Short(bytes.len()));
    };
    if bytes[field::MARK] != MARK {
        return Err(Refused::Foreign);
    }
    if bytes[field::VERSION] != VERSION {
        return Err(Refused::Version(bytes[field::VERSION]));
    }
    let nonce = number(bytes, field::NONCE).cast_unsigned();
    match bytes[field::KIND] {
        0 => Ok(Datagram::Question { nonce }),
        1 => Ok(Datagram::Answer {
            nonce,
            heard: ShowTime::from_ns(number(bytes, field::HEARD)),
            answered: ShowTime::from_ns(number(bytes, field::ANSWERED)),
            bound: Some(number(bytes, field::BOUND)).filter(|ns| *ns >= 0).map(Span::from_ns),
        }),
        kind => Err(Refused::Kind(kind)),
    }
}

fn number(bytes: &[u8; LENGTH], at: Range<usize>) -> i64 {
    i64::from_be_bytes(bytes[at].try_into().expect("eight octets each"))
}

/// Writes either.
pub fn emit(datagram: &Datagram) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[field::MARK].copy_from_slice(&MARK);
    bytes[field::VERSION] = VERSION;
    let mut put = |at: Range<usize>, ns: i64| bytes[at].copy_from_slice(&ns.to_be_bytes());
    match *datagram {
        Datagram::Question { nonce } => put(field::NONCE, nonce.cast_signed()),
        Datagram::Answer { nonce, heard, answered, bound } => {
            put(field::NONCE, nonce.cast_signed());
            put(field::HEARD, heard.ns());
            put(field::ANSWERED, answered.ns());
            put(field::BOUND, bound.map_or(-1, |it| it.ns().max(0)));
            bytes[field::KIND] = 1;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let question = Datagram::Question { nonce: u64::MAX };
        let (heard, answered) = (ShowTime::from_ns(-5), ShowTime::from_ns(i64::MAX));
        let answer = |bound| Datagram::Answer { nonce: 7, heard, answered, bound };
        for datagram in [question, answer(None), answer(Some(Span::from_micros(3)))] {
            assert_eq!(parse(&emit(&datagram)), Ok(datagram));
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_a_reason() {
        let whole = emit(&Datagram::Question { nonce: 1 });
        let with = |at: usize, octet| {
            let mut bytes = whole;
            bytes[at] = octet;
            parse(&bytes)
        };
        assert_eq!(parse(&whole[..39]), Err(Refused::Short(39)));
        assert_eq!(with(0, b'X'), Err(Refused::Foreign));
        assert_eq!(with(4, 2), Err(Refused::Version(2)));
        assert_eq!(with(5, 9), Err(Refused::Kind(9)));
    }
}
