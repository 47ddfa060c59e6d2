//! What a box that stands by says first to the one that drives, what it is answered, and how both know each other.
//!
//! In: the words of both. Out: from which step on the show is told. Never here: sockets, keys.
//!
//! A link is lines of text. First each side says a [`Nonce`]; from then on every line begins with a code over its direction, its
//! number and its text, by a key that is made of the cluster's, both nonces and the secret that they agree on, so that no line can
//! be changed, left out, or said again on another link. The replica says `hello` (SX-08), the master answers with `hello`, and then every line of its is a
//! [`super::Step`], or empty where there is none for a while, and each is answered with the number of steps taken. Nothing of it is secret but [`super::trust::Trust`], which both say with their `hello` so that nobody else can
//! read it. Whoever has something new to say of that ends the link, and it begins anew where it was.

use serde::{Deserialize, Serialize};
use wire::solusync::{Header, NodeType, PROTOCOL_VERSION};

use crate::EngineStart;

/// Longest line that is read: a command with the longest texts that anybody may send fits many times.
pub const LINE_MAX: usize = 1 << 20;

/// Longest [`Nonce`]; whoever has not proved anything is read no further.
pub const NONCE_MAX: usize = 128;

/// What each side says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nonce {
    /// A public key of X25519 that is of this link alone, hexadecimal.
    pub nonce: String,
}

/// `hello` between boxes: the document's, and how far the sender has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// `hello`.
    #[serde(rename = "type")]
    kind: Kind,
    /// Who says it.
    pub header: Header,
    /// As in every `hello`.
    pub protocol_version: String,
    /// `cluster`.
    pub capabilities: Vec<String>,
    /// `replica` asks, `master` answers.
    pub node_type: NodeType,
    /// What is known of the show.
    #[serde(flatten)]
    pub part: Part,
    /// [`super::trust::Trust`], hidden by the link's key, base64.
    #[serde(default)]
    pub trust: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Hello,
}

/// How far a box has come with which show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Tells the show and the program apart from all others: boxes of two kinds would not do the same.
    pub show: String,
    /// In which term the steps were told, 0 if there are none.
    pub term: u64,
    /// What its engine began with.
    pub start: Option<EngineStart>,
    /// How many steps it has taken since.
    pub steps: u64,
}

/// The box that drives plays another show, or is another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it plays another show, or is another version of the program: give both the same")]
pub struct OtherShow;

impl Hello {
    /// Said by a box of that kind.
    pub fn new(header: Header, node_type: NodeType, part: Part, trust: String) -> Self {
        Self {
            kind: Kind::Hello,
            header,
            protocol_version: PROTOCOL_VERSION.to_owned(),
            capabilities: vec!["cluster".to_owned()],
            node_type,
            part,
            trust,
        }
    }
}

impl Part {
    /// From which step on whoever asks is told. What it was told in another term is told again: another master may have gone
    /// another way from some step on.
    ///
    /// # Errors
    /// [`OtherShow`].
    pub fn from_step(&self, asked: &Self) -> Result<u64, OtherShow> {
        if asked.show != self.show {
            return Err(OtherShow);
        }
        let goes_on = (asked.term, asked.start) == (self.term, self.start);
        Ok(if goes_on && asked.steps <= self.steps { asked.steps } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::{ShowTime, Span};

    fn part(show: &str, term: u64, steps: u64) -> Part {
        let start = EngineStart { now: ShowTime::from_ns(5), tai_utc: Span::ZERO, chance: 1 };
        Part { show: show.into(), term, start: Some(start), steps }
    }

    #[test]
    fn sx03_a_link_goes_on_where_it_broke_and_anew_under_another_master() {
        let ours = part("a", 2, 9);
        assert_eq!(ours.from_step(&part("a", 2, 4)), Ok(4));
        assert_eq!(ours.from_step(&part("a", 1, 4)), Ok(0), "told by another master");
        assert_eq!(ours.from_step(&part("a", 2, 10)), Ok(0), "it knows what we do not");
        assert_eq!(ours.from_step(&Part { start: None, ..part("a", 0, 0) }), Ok(0));
        assert_eq!(ours.from_step(&part("b", 2, 4)), Err(OtherShow));
    }
}
