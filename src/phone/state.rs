//! How the phone fares. The page says it in the words of the person who holds it.

use serde::{Deserialize, Serialize};
use wire::solusync::RefusalCode;

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
        /// What it does.
        doing: Doing,
    },
    /// The box is out of reach: the phone goes on by its own clock.
    OnOwnClock {
        /// How wrong it may be by now.
        bound_ms: f64,
        /// What it does.
        doing: Doing,
    },
    /// The box has no room for one more; we ask again.
    Full,
    /// The box speaks another version.
    Outdated,
    /// The box does not let this phone in.
    Refused {
        /// Why.
        code: RefusalCode,
    },
}

/// What a phone that is in step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It waits for the show.
    Ready,
    /// A track sounds, or what is live is heard or seen.
    Playing,
    /// The show stands still.
    Paused,
}
