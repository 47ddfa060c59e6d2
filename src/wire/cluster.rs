//! What boxes that stand in for each other say among themselves: signed datagrams, each a message of SOLUSync-X (SX-13).
//!
//! A datagram is a code of [`CODE_LEN`] octets over the text behind it, by a key that only the cluster's boxes have, and that
//! text: a JSON object with `type`, `header`, the sender, and the fields of its type. `master_election` is the document's,
//! with the term that is voted on; the document has no sign of life that comes often enough, so `beacon` is ours.
//! Never here: the key, and who drives.

use serde::{Deserialize, Serialize};
use units::ShowTime;
use uuid::Uuid;

use crate::solusync::{Header, MasterElection};

/// Octets of the code in front: HMAC with SHA-256 (RFC 2104).
pub const CODE_LEN: usize = 32;
/// Longer than this nothing is read: it fits into an Ethernet frame.
pub const DATAGRAM_MAX: usize = 1_400;

/// Everything in a datagram but its code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// As in every message; `sequence` counts the words of this start.
    pub header: Header,
    /// Who says it.
    #[serde(flatten)]
    pub sender: Sender,
    /// What.
    #[serde(flatten)]
    pub word: Word,
}

/// Who says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The cluster's name, so that two clusters may share a network.
    pub cluster: String,
    /// The box's name, as `voters` have it.
    pub name: String,
    /// How often it has been started: words of a start before are not heard any more.
    pub start: u64,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Word {
    /// A sign of life.
    Beacon(Beacon),
    /// A box stands for master, or says whom it votes for (SX-13).
    MasterElection(Election),
}

/// A box is there, and this is how it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beacon {
    /// The term that it drives in; else the highest that it knows of.
    pub term: u64,
    /// Whether it drives in that term.
    pub drives: bool,
    /// How fit it is to drive, 0 to 1; 0 is not at all.
    pub candidate_score: f64,
    /// Up to when its engine has done everything, TAI nanoseconds.
    pub done_ns: i64,
    /// How many steps of the show it has taken: equal numbers are equal shows.
    pub steps: u64,
    /// TCP port at which it tells others of the show.
    pub port: u16,
    /// Where phones meet it, `http://10.0.0.5:8080/`.
    pub url: String,
    /// The same over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_url: Option<String>,
}

impl Beacon {
    /// [`Self::done_ns`] as the time that it is.
    pub fn done(&self) -> ShowTime {
        ShowTime::from_ns(self.done_ns)
    }
}

/// `master_election`, with what a vote is about.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Election {
    /// As the document has it.
    #[serde(flatten)]
    pub said: MasterElection,
    /// The term that the candidate would drive in.
    pub term: u64,
    /// Whom the sender votes for in it; a candidate for itself.
    pub vote: Uuid,
}

/// A datagram's code and the text that it is over; none if it is too short or too long to be one.
pub fn split(datagram: &[u8]) -> Option<(&[u8; CODE_LEN], &[u8])> {
    if datagram.len() > DATAGRAM_MAX {
        return None;
    }
    datagram.split_first_chunk::<CODE_LEN>()
}

/// Reads a text whose code holds.
///
/// # Errors
/// What is not JSON, or lacks a field of its type; a type that this room does not know.
pub fn parse(text: &[u8]) -> Result<Letter, serde_json::Error> {
    let letter: Letter = serde_json::from_slice(text)?;
    match &letter.word {
        Word::Beacon(it) if !(0.0..=1.0).contains(&it.candidate_score) => {
            Err(serde::de::Error::custom("a score is 0 to 1"))
        }
        _ => Ok(letter),
    }
}

/// The text of a datagram.
pub fn emit(letter: &Letter) -> String {
    serde_json::to_string(letter).expect("every field has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::WireTime;

    fn letter(word: Word) -> Letter {
        let id = |it| crate::solusync::uuid_v4(it);
        let header = Header {
            id: id(1),
            timestamp: WireTime::from_micros(1_700_000_000_000_000),
            node_id: id(2),
            sequence: 7,
        };
        let sender = Sender { cluster: "stage".into(), name: "left".into(), start: 3 };
        Letter { header, sender, word }
    }

    fn beacon(candidate_score: f64) -> Letter {
        letter(Word::Beacon(Beacon {
            term: 2,
            drives: true,
            candidate_score,
            done_ns: 5,
            steps: 9,
            port: 4001,
            url: "http://10.0.0.5:8080/".into(),
            secure_url: None,
        }))
    }

    #[test]
    fn sx13_an_election_is_the_documents_message_with_its_term() {
        let said = MasterElection {
            election_id: crate::solusync::uuid_v4(4),
            candidate_score: 0.95,
            current_master: None,
        };
        let vote = crate::solusync::uuid_v4(2);
        let election = letter(Word::MasterElection(Election { said, term: 4, vote }));
        let text = emit(&election);
        assert_eq!(parse(text.as_bytes()).expect("it is one"), election);
        let read = crate::solusync::parse(&text).expect("and the document's");
        assert!(matches!(read.1, crate::solusync::Message::MasterElection(it) if it == said));
    }

    #[test]
    fn a_beacon_fits_into_a_datagram_and_comes_back() {
        let text = emit(&beacon(1.0));
        assert!(text.len() + CODE_LEN < DATAGRAM_MAX / 2, "{}", text.len());
        assert_eq!(parse(text.as_bytes()).expect("it is one"), beacon(1.0));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(parse(emit(&beacon(1.5)).as_bytes()).is_err(), "a score of 1.5");
        assert!(parse(b"{}").is_err());
        assert!(parse(&[0xff; 40]).is_err());
        assert!(split(&[0; CODE_LEN - 1]).is_none());
        assert!(split(&[0; DATAGRAM_MAX + 1]).is_none());
    }
}
