//! The datagrams in which a phone asks the time: WebTransport `/sync`, and the data channel `time`.
//!
//! A question is 10 octets, an answer 26, numbers high octet first. They are small so that they fit beside anything
//! else in a packet, and binary so that the page can write its clock into one at the very moment of sending.
//! `t1` is the asker's own: eight octets that mean nothing here and come back as they were.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What stands where, in the order of the octets.
mod field {
    use super::Range;

    pub const VERSION: usize = 0;
    pub const KIND: usize = 1;
    pub const T1: Range<usize> = 2..10;
    pub const QUESTION: usize = 10;
    /// Nanoseconds of UNIX time when the question came.
    pub const T2: Range<usize> = 10..18;
    /// Nanoseconds of UNIX time when the answer left.
    pub const T3: Range<usize> = 18..26;
    pub const ANSWER: usize = 26;
}

/// A way by which a phone asks the time, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The peer connection's data channel `time`: datagrams, unordered.
    DataChannel,
    /// WebTransport `/sync`: datagrams.
    WebTransport,
    #[default]
    /// `/ws`: in order, and sent again when lost, behind everything else that is said there.
    WebSocket,
}

/// The only version there is.
const VERSION: u8 = 1;
const KIND_QUESTION: u8 = 0;
const KIND_ANSWER: u8 = 1;

/// Where `t1` begins in a question, for whoever writes it there at the last moment.
pub const T1_AT: usize = field::T1.start;

/// What time is it?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The asker's clock, as the asker writes it.
    pub t1: [u8; 8],
}

/// The time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The question's `t1`, octet for octet.
    pub t1: [u8; 8],
    /// When the question came, nanoseconds of UNIX time by the box's clock.
    pub t2_ns: i64,
    /// When the answer left, the same.
    pub t3_ns: i64,
}

/// Why a datagram means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Cut off, or more than it should be.
    #[error("{0} octets, not as many as its kind has")]
    Length(usize),
    /// Of another day.
    #[error("version {0}")]
    Version(u8),
    /// An answer where a question should be, or neither.
    #[error("kind {0}")]
    Kind(u8),
}

impl Question {
    /// Reads a question.
    ///
    /// # Errors
    /// Whatever is not exactly one.
    pub fn parse(bytes: &[u8]) -> Result<Self, TimeError> {
        check(bytes, KIND_QUESTION, field::QUESTION)?;
        Ok(Self { t1: octets(bytes, field::T1) })
    }

    /// Writes it.
    pub fn emit(&self) -> [u8; field::QUESTION] {
        let mut bytes = [0; field::QUESTION];
        head(&mut bytes, KIND_QUESTION, self.t1);
        bytes
    }
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// Whatever is not exactly one.
    pub fn parse(bytes: &[u8]) -> Result<Self, TimeError> {
        check(bytes, KIND_ANSWER, field::ANSWER)?;
        Ok(Self {
            t1: octets(bytes, field::T1),
            t2_ns: i64::from_be_bytes(octets(bytes, field::T2)),
            t3_ns: i64::from_be_bytes(octets(bytes, field::T3)),
        })
    }

    /// Writes it.
    pub fn emit(&self) -> [u8; field::ANSWER] {
        let mut bytes = [0; field::ANSWER];
        head(&mut bytes, KIND_ANSWER, self.t1);
        bytes[field::T2].copy_from_slice(&self.t2_ns.to_be_bytes());
        bytes[field::T3].copy_from_slice(&self.t3_ns.to_be_bytes());
        bytes
    }
}

fn check(bytes: &[u8], kind: u8, length: usize) -> Result<(), TimeError> {
    match (bytes.get(field::VERSION), bytes.get(field::KIND)) {
        (Some(&other), _) if other != VERSION => Err(TimeError::Version(other)),
        (_, Some(&other)) if other != kind => Err(TimeError::Kind(other)),
        _ if bytes.len() != length => Err(TimeError::Length(bytes.len())),
        _ => Ok(()),
    }
}

fn octets(bytes: &[u8], field: Range<usize>) -> [u8; 8] {
    bytes[field].try_into().expect("fields of a checked length have eight octets")
}

fn head(bytes: &mut [u8], kind: u8, t1: [u8; 8]) {
    bytes[field::VERSION] = VERSION;
    bytes[field::KIND] = kind;
    bytes[field::T1].copy_from_slice(&t1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sx09_t1_comes_back_octet_for_octet() {
        let t1 = 123_456.789_f64.to_be_bytes();
        let question = Question::parse(&Question { t1 }.emit()).expect("ours");
        let answer = Answer { t1: question.t1, t2_ns: i64::MAX, t3_ns: -1 };
        assert_eq!(Answer::parse(&answer.emit()), Ok(answer));
        assert_eq!(answer.t1, t1);
    }

    #[test]
    fn what_is_not_exactly_a_question_is_refused_by_name() {
        let whole = Question { t1: [7; 8] }.emit();
        assert_eq!(Question::parse(&[]), Err(TimeError::Length(0)));
        assert_eq!(Question::parse(&whole[..9]), Err(TimeError::Length(9)));
        assert_eq!(Question::parse(&[&whole[..], &[0]].concat()), Err(TimeError::Length(11)));
        assert_eq!(Question::parse(&[2, 0]), Err(TimeError::Version(2)));
        assert_eq!(Answer::parse(&whole), Err(TimeError::Kind(0)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_come_back_the_same(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(question) = Question::parse(&bytes) {
                prop_assert_eq!(&question.emit()[..], &bytes[..]);
            }
            if let Ok(answer) = Answer::parse(&bytes) {
                prop_assert_eq!(&answer.emit()[..], &bytes[..]);
            }
        }
    }
}
