//! What the box clock takes for granted, each with its reason.

use units::{Ppm, Span};

use super::TAI_UTC;

/// What is assumed of crystals, paths and shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The fastest that an error is worked off, against the master's pace (DESIGN: Time).
    pub slew_max: Ppm,
    /// Further off than this is not slewed away: it is stepped, or the operator is asked (DESIGN: Time).
    pub step_over: Span,
    /// Without a measurement for so long, or for four of their intervals, the master is lost.
    pub patience: Span,
    /// The part of the shortest round trip that a difference between the two ways may hide, 0 to 1.
    ///
    /// Half of it is all there can be: one way then takes no time at all. So with a half the bound is true whatever
    /// cables, switches and drivers do, and that is the default, for hardware stamps too: they take the drivers out
    /// of the round trip, and the bound shrinks by itself. Who knows that both ways are alike (one cable, one kind of
    /// interface at both ends) may say less.
    pub asymmetry: f64,
    /// How near it has to be for `locked`, what asymmetry hides not counted: a tenth of what phones are promised
    /// (SX-01). Once locked it stays so up to four times as far.
    pub locked_within: Span,
    /// How a crystal's rate may wander while nobody watches it: this much in a second, and with the square root of
    /// time. 0.03 ppm is 0.2 ppm in a minute, 1.8 ppm in an hour: a rack whose doors are opened.
    pub wander: Ppm,
    /// By how much boxes may differ beyond what both say, before they disagree.
    pub peer_tolerance: Span,
    /// TAI minus UTC, for a master that serves UTC and does not announce it.
    pub tai_utc: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            slew_max: Ppm(100.0),
            step_over: Span::from_millis(1),
            patience: Span::from_secs(3),
            asymmetry: 0.5,
            locked_within: Span::from_micros(50),
            wander: Ppm(0.03),
            peer_tolerance: Span::from_micros(20),
            tai_utc: TAI_UTC,
        }
    }
}
