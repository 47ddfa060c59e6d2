//! One socket's own part: how often it may speak, and whether it speaks Bloom (BL-06, BL-08).

use units::MonoTime;
use wire::bloom::{self, ErrorCode, Event, Request};

use super::rate::{MESSAGES_MAX, Rate, Verdict};
use crate::phones::shortened;

/// Octets of a session description or a candidate. Descriptions of browsers have some thousand; longer ones would
/// take the place of others' in the queue of whoever is to read them.
const TEXT_MAX: usize = 32 << 10;

/// Why not, in the protocol's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidPayload, message)
    }
    /// As the participant hears it.
    pub fn event(self) -> Event {
        Event::Error { code: self.code, message: self.message }
    }
}

/// One socket, from its opening to its end.
#[derive(Debug, Default)]
pub struct Session {
    rate: Rate,
    has_shut: bool,
}

impl Session {
    /// A text that came: nonsense counts as well, and nothing is read of what comes too often.
    ///
    /// # Errors
    /// What the participant hears instead.
    pub fn hear(&mut self, now: MonoTime, text: &str) -> Result<Request, Refusal> {
        self.count(now)?;
        // serde quotes what it did not like; the answer must not grow with the question.
        let request = bloom::parse_request(text)
            .map_err(|error| Refusal::invalid(shortened(&error.to_string(), 200)))?;
        match request.text() {
            Some(text) if text.len() > TEXT_MAX => {
                let words = format!("an sdp or candidate has at most {TEXT_MAX} octets");
                Err(Refusal::invalid(words))
            }
            _ => Ok(request),
        }
    }

    /// A binary frame that came: this protocol is text, and the socket stays.
    pub fn hear_binary(&mut self, now: MonoTime) -> Refusal {
        let counted = self.count(now).err();
        counted.unwrap_or_else(|| Refusal::invalid("messages are text, not binary"))
    }

    /// Whether the last refusal began a second in which all is dropped; once asked, no longer.
    pub fn take_shut(&mut self) -> bool {
        std::mem::take(&mut self.has_shut)
    }

    fn count(&mut self, now: MonoTime) -> Result<(), Refusal> {
        let verdict = self.rate.judge(now);
        if verdict == Verdict::Pass {
            return Ok(());
        }
        self.has_shut = verdict == Verdict::Shut;
        let words = format!("at most {MESSAGES_MAX} messages a second: wait for one");
        Err(Refusal::new(ErrorCode::RateLimited, words))
    }
}
