//! How much sooner this phone is to sound than it would by its own reckoning.
//!
//! In: what a calibration here has shown, and what the box makes of everybody's. Out: a span that is put between the
//! clock and the sound, nowhere else: questions, screens and the next calibration go by the phone's own reckoning. A
//! change is taken up by the voices like any other change of the clock, by rate or under a cross-fade.
//!
//! The box has the last word, as it knows this phone's fellows; what it takes back leaves the phone with its own.

use units::{MonoTime, Span};
use wire::solusync::{Calibrated, ClockCorrection, Estimate};

/// The correction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Correction {
    known: Calibrated,
    told: Option<Estimate>,
    /// When what was told on an earlier socket goes, unless it is said again.
    lapses: Option<MonoTime>,
}

/// The box gathers a few seconds of newcomers, then tells them in turn.
const LAPSES_AFTER: Span = Span::from_secs(15);

impl Correction {
    /// A phone that knows its model and nothing else.
    pub(crate) fn of(model: Option<String>) -> Self {
        Self { known: Calibrated { model, residual: None }, ..Self::default() }
    }

    /// The phone learnt what it is, or was calibrated. Whether that is news for the box.
    pub(crate) fn handle_calibrated(&mut self, known: Calibrated) -> bool {
        let is_news = self.known != known;
        self.known = known;
        is_news
    }

    /// The box said so.
    pub(crate) fn handle_told(&mut self, ClockCorrection(told): ClockCorrection) {
        (self.told, self.lapses) = (told, None);
    }

    /// A new socket: the box may be another, and know nothing of what was said before.
    pub(crate) fn handle_welcome(&mut self, now: MonoTime) {
        self.lapses = self.told.map(|_| now + LAPSES_AFTER);
    }

    /// Lets go of what was not said again.
    pub(crate) fn tick(&mut self, now: MonoTime) {
        if self.lapses.is_some_and(|lapses| lapses <= now) {
            (self.told, self.lapses) = (None, None);
        }
    }

    /// What the box is told; none while there is nothing to say.
    pub(crate) fn known(&self) -> Option<&Calibrated> {
        Some(&self.known).filter(|known| **known != Calibrated::default())
    }

    /// The correction and how sure it is; none where nobody knows.
    pub(crate) fn estimate(&self) -> Option<Estimate> {
        self.told.or(self.known.residual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> MonoTime {
        MonoTime::ZERO + Span::from_secs(secs)
    }

    fn estimate(ms: f64) -> Option<Estimate> {
        Some(Estimate { ms, sigma_ms: 0.1 })
    }

    #[test]
    fn the_box_has_the_last_word_and_without_it_a_phone_has_its_own() {
        let mut correction = Correction::default();
        assert_eq!((correction.estimate(), correction.known()), (None, None));
        let known = Calibrated { model: None, residual: estimate(2.0) };
        assert!(correction.handle_calibrated(known.clone()));
        assert!(!correction.handle_calibrated(known), "it was known");
        assert_eq!(correction.estimate(), estimate(2.0));
        correction.handle_told(ClockCorrection(estimate(-1.0)));
        assert_eq!(correction.estimate(), estimate(-1.0));
        correction.handle_told(ClockCorrection(None));
        assert_eq!(correction.estimate(), estimate(2.0));
    }

    #[test]
    fn a_box_that_comes_back_and_says_nothing_of_it_has_nothing_to_say() {
        let mut correction = Correction::default();
        correction.handle_told(ClockCorrection(estimate(3.0)));
        correction.tick(at(1_000));
        assert_eq!(correction.estimate(), estimate(3.0), "a dead link changes nothing");
        correction.handle_welcome(at(1_000));
        correction.tick(at(1_014));
        assert_eq!(correction.estimate(), estimate(3.0), "it may say so again");
        correction.tick(at(1_015));
        assert_eq!(correction.estimate(), None);
        correction.handle_told(ClockCorrection(estimate(4.0)));
        correction.tick(at(2_000));
        assert_eq!(correction.estimate(), estimate(4.0));
    }
}
