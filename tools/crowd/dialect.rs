//! What a server wants to hear before it lets a client in, and how a word reaches everybody through it.

use serde::{Deserialize, Serialize};

/// How to come in, and how to speak to all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialect {
    /// The path of the WebSocket.
    pub path: String,
    /// Said and answered, one after the other, once the socket is open.
    pub steps: Vec<Exchange>,
    /// A heartbeat of its own: on exactly this text, that one.
    pub answer: Option<(String, String)>,
    /// What stands around two values in what was told meanwhile, `{a}` and `{b}`; empty if none are needed.
    pub capture: String,
    /// What the publisher says: `%P` is the word, `%S` its number, `{a}` and `{b}` what was captured. Empty where clients
    /// cannot speak to all.
    pub publish: String,
}

/// What is said, and what the answer contains. Either may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Said.
    pub say: String,
    /// Waited for.
    pub hear: String,
}

impl Dialect {
    /// SOLUSync-X, as a phone says it.
    pub fn solusync() -> Self {
        let hello = r#"{"type":"hello","header":{"id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5a11","timestamp":1.5,"node_id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5a12","sequence":1},"protocol_version":"0.1.0","capabilities":[],"node_type":"client"}"#;
        let steps = vec![Exchange { say: hello.to_owned(), hear: "\"hello\"".to_owned() }];
        Self { path: "/ws".to_owned(), steps, ..Self::default() }
    }

    /// What the publisher says, with what it was `told` while it came; none if that is not in it.
    pub fn template(&self, told: &str) -> Option<String> {
        if self.capture.is_empty() {
            return Some(self.publish.clone());
        }
        let (before, rest) = self.capture.split_once("{a}")?;
        let (between, after) = rest.split_once("{b}")?;
        let found = &told[told.find(before)? + before.len()..];
        let (a, found) = found.split_once(between)?;
        let (b, _) = found.split_once(after)?;
        Some(self.publish.replace("{a}", a).replace("{b}", b))
    }
}

/// A word of `octets` that carries its number, and is the same inside JSON.
pub fn word(number: u32, octets: usize) -> String {
    let mut word = format!("@@{number:08}@@");
    word.extend(std::iter::repeat_n('x', octets.saturating_sub(word.len())));
    word
}

/// The number of a word, whatever stands around it.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    let at = text.windows(2).position(|it| it == b"@@")? + 2;
    let digits = text.get(at..at + 8).filter(|_| text.get(at + 8..at + 10) == Some(b"@@"))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_known_by_its_number_whatever_stands_around_it() {
        assert_eq!(word(7, 300).len(), 300);
        assert_eq!(number(format!("42[\"{}\"]", word(7, 300)).as_bytes()), Some(7));
        assert_eq!(number(b"@@0000000"), None);
        assert_eq!(number(b"nothing"), None);
    }

    #[test]
    fn what_was_told_fills_the_template() {
        let dialect = Dialect {
            capture: "res\",[1,{a},{b},".to_owned(),
            publish: "{a}-{b} %P".to_owned(),
            ..Dialect::default()
        };
        assert_eq!(dialect.template("\"res\",[1,20,3,null]").as_deref(), Some("20-3 %P"));
        assert_eq!(dialect.template("nothing"), None);
    }
}
