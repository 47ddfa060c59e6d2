//! One socket's own part: how often it may speak, and whether it speaks Bloom (BL-06, BL-08).

use units::{MonoTime, Span};
use wire::bloom::{self, ErrorCode, Event, Request};

use super::rate::{MESSAGES_MAX, Rate, Verdict};
use crate::phones::shortened;

/// A log that a flood fills is no log: so long after a warning about a socket comes the next.
const WARN_EVERY: Span = Span::from_secs(60);

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
    warned: Option<MonoTime>,
    warns: bool,
}

impl Session {
    /// A text that came: nonsense counts as well, and nothing is read of what comes too often.
    ///
    /// # Errors
    /// What the participant hears instead.
    pub fn hear(&mut self, now: MonoTime, text: &str) -> Result<Request, Refusal> {
        self.count(now)?;
        // serde quotes what it did not like; the answer must not grow with the question.
        bloom::parse_request(text)
            .map_err(|error| Refusal::invalid(shortened(&error.to_string(), 200)))
    }

    /// A binary frame that came: this protocol is text, and the socket stays.
    pub fn hear_binary(&mut self, now: MonoTime) -> Refusal {
        let counted = self.count(now).err();
        counted.unwrap_or_else(|| Refusal::invalid("messages are text, not binary"))
    }

    /// Whether the last refusal is worth a line in the log; once asked, no longer.
    pub fn take_warning(&mut self) -> bool {
        std::mem::take(&mut self.warns)
    }

    fn count(&mut self, now: MonoTime) -> Result<(), Refusal> {
        let verdict = self.rate.judge(now);
        if verdict == Verdict::Pass {
            return Ok(());
        }
        if self.warned.is_none_or(|last| now - last >= WARN_EVERY) {
            (self.warned, self.warns) = (Some(now), true);
        }
        let words = format!("at most {MESSAGES_MAX} messages a second: wait for one");
        Err(Refusal::new(ErrorCode::RateLimited, words))
    }
}
