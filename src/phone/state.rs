//! How the phone fares, in states and in words for the person who holds it. Unknown is never shown as 0.

use serde::{Deserialize, Serialize};
use units::Span;

/// How the phone fares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// The browser lets no page sound before a tap.
    TapToStart,
    /// The browser put the sound to sleep (a call came in); a tap wakes it.
    TapToWake,
    /// No box has answered yet.
    Connecting,
    /// The box answers; the clock is being compared.
    FindingTheBeat,
    /// Music is on its way to the phone.
    Loading {
        /// Tracks that are here.
        ready: usize,
        /// Tracks that the show has.
        of: usize,
    },
    /// All is well.
    InStep {
        /// How wrong the phone's clock may be, either way.
        bound_ms: f64,
    },
    /// The box is out of reach: the phone goes on by its own clock.
    OnOwnClock {
        /// How wrong it may be by now.
        bound_ms: f64,
    },
    /// The box has no room for one more; we ask again.
    Full,
    /// The box speaks another version.
    Outdated,
}

impl State {
    /// In words.
    pub fn line(&self) -> String {
        match self {
            Self::TapToStart => "tap to start".into(),
            Self::TapToWake => "tap to hear it again".into(),
            Self::Connecting => "connecting …".into(),
            Self::FindingTheBeat => "finding the beat …".into(),
            Self::Loading { ready, of } => format!("fetching music, {ready} of {of} here"),
            Self::InStep { bound_ms } => format!("in step (± {})", ms(*bound_ms)),
            Self::OnOwnClock { bound_ms } => {
                format!("playing on its own clock (± {})", ms(*bound_ms))
            }
            Self::Full => "the house is full: trying again …".into(),
            Self::Outdated => "this page is too old: please load it again".into(),
        }
    }
}

/// Rounded up, so that a bound stays one.
fn ms(bound: f64) -> String {
    let tenths = (bound * 10.0).ceil().max(1.0) / 10.0;
    if tenths < 10.0 { format!("{tenths} ms") } else { format!("{} ms", tenths.ceil()) }
}

/// SX-14's level by round trip alone; loss cannot be seen over a WebSocket.
pub(crate) fn quality(rtt: Span) -> &'static str {
    match rtt.millis_f64() {
        ..10.0 => "excellent",
        ..50.0 => "good",
        ..100.0 => "fair",
        ..200.0 => "poor",
        _ => "critical",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_never_shown_as_nothing() {
        assert_eq!(State::InStep { bound_ms: 0.0 }.line(), "in step (± 0.1 ms)");
        assert_eq!(State::InStep { bound_ms: 1.21 }.line(), "in step (± 1.3 ms)");
        assert_eq!(
            State::OnOwnClock { bound_ms: 31.2 }.line(),
            "playing on its own clock (± 32 ms)"
        );
    }

    #[test]
    fn sx14_levels_go_by_the_round_trip() {
        let level = |ms| quality(Span::from_millis(ms));
        assert_eq!(
            [level(9), level(10), level(99), level(200)],
            ["excellent", "good", "fair", "critical"]
        );
    }
}
