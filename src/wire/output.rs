//! When sound really leaves a phone: what phone and box say about it over `/ws`, all of it ours.
//!
//! A phone names its [`Device`] in `hello`, and the answer may carry an [`OutputDelay`] for it. `node_status` carries
//! [`SyncErrors`]. A calibration by ear goes `calibrate`, `calibrate_start`, `calibrate_heard`, `calibrated`
//! ([`crate::duet`] says why it works), or ends in `calibrate_refused`.

use serde::{Deserialize, Serialize};
use units::WireTime;

/// What a phone says it is; a browser that keeps it to itself says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Device {
    /// `Pixel 7`, `iPhone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// With its version: `Android 14`, `iOS 17.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// With its version: `Chrome 126`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
}

/// What the box's table knows of phones like this one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OutputDelay {
    /// How much later than the browser says its sound is heard; where the browser says nothing, than it is made.
    pub delay_ms: f64,
    /// The standard deviation between phones of the kind.
    pub spread_ms: f64,
}

/// The three errors, apart (DESIGN: Time). Each is how wrong it may be, either way; null while nobody knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncErrors {
    /// (a) The phone's network time.
    pub clock_ms: Option<f64>,
    /// (b) When samples leave the phone.
    pub output_ms: Option<f64>,
    /// How (b) is known.
    pub output_source: OutputSource,
    /// (c) When it is heard beside the box's own sound, as a microphone found it.
    pub acoustic_ms: Option<f64>,
    /// How much earlier than the browser's word sound is sent off, the nudge included.
    pub delay_ms: f64,
    /// What the listener's own hand adds to it.
    pub nudge_ms: f64,
}

/// How a phone knows when its samples leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputSource {
    /// The browser says so.
    Reported,
    /// The browser's word, and the box's table for phones like it.
    Table,
    /// A microphone heard it.
    Calibrated,
    /// Microphones heard phones like it, and the box told what it makes of that.
    Pooled,
    /// The browser says so, and is not to be believed.
    Doubtful,
    /// Nobody says.
    Unknown,
}

/// `calibrate_start`: both chirp by turns. Each of the phone's chirps lies in the middle of two of the box's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrateStart {
    /// When the box chirps.
    pub box_at: Vec<WireTime>,
    /// When the phone chirps: one fewer.
    pub phone_at: Vec<WireTime>,
}

/// `calibrate_heard`: what the box's microphone heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrateHeard {
    /// For each of the phone's chirps, how much later than the middle of the box's two it was heard there.
    pub later_ms: Vec<Option<f64>>,
}

/// `calibrate_refused`: why there is no calibration, as a sentence for the person who holds the phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalibrateRefused {
    /// For people.
    pub message: String,
    /// The same for pages that have words of their own; none where only the message says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<CalibrateRefusal>,
}

/// Why a box does not calibrate a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrateRefusal {
    /// The box cannot listen.
    NoMicrophone,
    /// The operator has not opened it.
    Closed,
    /// The show is on.
    Busy,
    /// Another phone is at it.
    Taken,
    /// A newer box's word; its message says what.
    #[serde(other)]
    Other,
}
