//! What the box clock takes for granted, each with its reason.

use units::{Ppm, Span};

/// What is assumed of crystals, paths and shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The fastest that an error is worked off while a show runs (DESIGN: Time).
    pub slew_max: Ppm,
    /// Further off than this is not slewed away: it is stepped, or the operator is asked (DESIGN: Time).
    pub step_over: Span,
    /// Without a measurement for so long, the master is lost.
    pub patience: Span,
    /// The part of the shortest round trip that asymmetry may hide, 0 to 1. Half of it is all there can be: then one
    /// way takes no time at all.
    pub asymmetry: f64,
    /// By how much boxes may differ beyond what both say, before they disagree.
    pub peer_tolerance: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            slew_max: Ppm(100.0),
            step_over: Span::from_millis(1),
            patience: Span::from_millis(3_000),
            asymmetry: 0.5,
            peer_tolerance: Span::from_micros(20),
        }
    }
}
