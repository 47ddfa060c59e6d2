//! How the phone fares, in states and in words for the person who holds it. Unknown is never shown as 0.

use serde::{Deserialize, Serialize};
use wire::output::{OutputSource, SyncErrors};

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
pub(crate) fn ms(bound: f64) -> String {
    let tenths = (bound * 10.0).ceil().max(1.0) as u64;
    match (tenths / 10, tenths % 10) {
        (whole @ 0..10, 0) => format!("{whole} ms"),
        (whole @ 0..10, rest) => format!("{whole}.{rest} ms"),
        _ => format!("{} ms", tenths.div_ceil(10)),
    }
}

/// The three errors in words, and what to do where one is unknown.
pub(crate) fn errors_line(errors: &SyncErrors) -> String {
    let known = |bound: Option<f64>| bound.map_or("unknown".into(), |it| format!("± {}", ms(it)));
    let source = match errors.output_source {
        OutputSource::Reported => " (by the browser)",
        OutputSource::Table => " (by the model)",
        OutputSource::Pooled => " (by phones like it)",
        OutputSource::Calibrated => " (by ear)",
        OutputSource::Doubtful => " (Bluetooth? trust your ears)",
        OutputSource::Unknown => "",
    };
    format!(
        "clock {}, output {}{source}, heard {}",
        known(errors.clock_ms),
        known(errors.output_ms),
        known(errors.acoustic_ms),
    )
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
    fn what_is_unknown_is_said_to_be() {
        let mut errors = SyncErrors {
            clock_ms: Some(0.42),
            output_ms: None,
            output_source: OutputSource::Doubtful,
            acoustic_ms: None,
            delay_ms: 0.0,
            nudge_ms: 0.0,
        };
        let line = errors_line(&errors);
        assert_eq!(
            line,
            "clock ± 0.5 ms, output unknown (Bluetooth? trust your ears), heard unknown"
        );
        (errors.output_source, errors.output_ms) = (OutputSource::Calibrated, Some(0.2));
        errors.acoustic_ms = Some(0.2);
        assert_eq!(
            errors_line(&errors),
            "clock ± 0.5 ms, output ± 0.2 ms (by ear), heard ± 0.2 ms"
        );
    }
}
