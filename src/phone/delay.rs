//! How much earlier than its browser says must sound leave this phone to be heard in time?
//!
//! In: the box's table for phones like it, what a calibration found, the listener's own hand. Out: one delay, which
//! sound is sent off earlier by, and how wrong the output may still be. Never: a figure where nobody knows.
//!
//! The table's figure is a guess from other phones, and part of this one's reckoning. A correction comes on top: what a
//! calibration has heard beyond the table, or what the box makes of everybody's. The hand adds to either, and a
//! calibration takes back what it had added.

use serde::{Deserialize, Serialize};
use units::Span;
use wire::output::{OutputDelay, OutputSource};
use wire::solusync::Estimate;

use crate::audio::{AudioClock, Path};

/// Everything that delays this phone's sound beyond its browser's word.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delay {
    table: Option<OutputDelay>,
    calibrated: Option<Calibration>,
    nudge: Span,
}

/// What a microphone found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calibration {
    pub(crate) delay_ms: f64,
    pub(crate) sigma_ms: f64,
    /// The browser's word at that time: with other headphones it is another, and the calibration is worth nothing.
    #[serde(default)]
    pub(crate) latency_ms: Option<f64>,
}

/// What the page remembers for us.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    nudge_ms: f64,
    calibrated: Option<Calibration>,
}

/// Further than any ear can be wrong, and than any table should be.
pub(crate) const NUDGE_MAX_MS: f64 = 500.0;
/// No sound takes longer from a page to an ear.
const DELAY_MAX_MS: f64 = 1_000.0;
/// The browser's word trembles by less.
const SAME_OUTPUT_MS: f64 = 20.0;

impl Delay {
    /// From what the page has kept; what makes no sense is nothing.
    pub(crate) fn kept(text: &str) -> Self {
        let kept: Kept = serde_json::from_str(text).unwrap_or_default();
        let mut delay = Self { calibrated: kept.calibrated.filter(is_sane), ..Self::default() };
        delay.set_nudge(kept.nudge_ms);
        delay
    }

    /// For the page to keep.
    pub(crate) fn keep(&self) -> String {
        let kept = Kept { nudge_ms: self.nudge.millis_f64(), calibrated: self.calibrated };
        serde_json::to_string(&kept).expect("numbers have a JSON form")
    }

    /// The box says what it knows of phones like this one.
    pub(crate) fn set_table(&mut self, table: Option<OutputDelay>) {
        let sane = |it: &OutputDelay| {
            it.delay_ms.abs() <= DELAY_MAX_MS && it.spread_ms >= 0.0 && it.spread_ms.is_finite()
        };
        self.table = table.filter(sane);
    }

    /// The listener's hand: positive sounds earlier.
    pub(crate) fn set_nudge(&mut self, ms: f64) {
        let ms = if ms.is_finite() { ms.clamp(-NUDGE_MAX_MS, NUDGE_MAX_MS) } else { 0.0 };
        self.nudge = millis(ms);
    }

    pub(crate) fn nudge(&self) -> Span {
        self.nudge
    }

    /// A microphone found it; false where that makes no sense, and nothing is changed.
    pub(crate) fn set_calibrated(&mut self, found: Calibration) -> bool {
        if is_sane(&found) {
            (self.calibrated, self.nudge) = (Some(found), Span::ZERO);
        }
        is_sane(&found)
    }

    /// Sound is sent off so much earlier.
    pub(crate) fn total(&self, correction: Option<Estimate>) -> Span {
        millis(self.table_ms() + correction.map_or(0.0, |it| it.ms)) + self.nudge
    }

    /// What a calibration has shown beyond the table, if sound still goes the way that it went then.
    pub(crate) fn residual(&self, audio: &AudioClock) -> Option<Estimate> {
        let found = self.calibrated(audio)?;
        let residual = Estimate { ms: found.delay_ms - self.table_ms(), sigma_ms: found.sigma_ms };
        Some(residual).filter(|it| it.ms.abs() <= Estimate::MAX_MS)
    }

    fn table_ms(&self) -> f64 {
        self.table.map_or(0.0, |it| it.delay_ms)
    }

    /// The calibration, if sound still goes the way that it went then.
    fn calibrated(&self, audio: &AudioClock) -> Option<Calibration> {
        let now = audio.latency().map(Span::millis_f64);
        self.calibrated.filter(|it| match (it.latency_ms, now) {
            (Some(then), Some(now)) => (then - now).abs() < SAME_OUTPUT_MS,
            (then, now) => then.is_some() == now.is_some(),
        })
    }

    /// How the time at which samples leave is known, and its standard deviation.
    pub(crate) fn output(
        &self,
        audio: &AudioClock,
        correction: Option<Estimate>,
    ) -> (OutputSource, Option<Span>) {
        let with = |ms: f64| Some(millis(ms.hypot(audio.line_sigma().millis_f64())));
        match (self.calibrated(audio), correction, self.table, audio.path()) {
            _ if !audio.is_settled() => (OutputSource::Unknown, None),
            (Some(found), ..) => (OutputSource::Calibrated, with(found.sigma_ms)),
            (None, .., Path::Doubtful) => (OutputSource::Doubtful, None),
            (None, Some(pooled), ..) => (OutputSource::Pooled, with(pooled.sigma_ms)),
            (None, None, Some(table), _) => (OutputSource::Table, with(table.spread_ms)),
            (None, None, None, Path::Told) => (OutputSource::Reported, audio.reported_sigma()),
            (None, None, None, Path::Unknown) => (OutputSource::Unknown, None),
        }
    }

    /// How well it is known when it is heard beside the box, as a standard deviation.
    pub(crate) fn acoustic(&self, audio: &AudioClock) -> Option<Span> {
        self.calibrated(audio).map(|found| millis(found.sigma_ms))
    }
}

fn is_sane(found: &Calibration) -> bool {
    found.delay_ms.abs() <= DELAY_MAX_MS && found.sigma_ms > 0.0 && found.sigma_ms <= DELAY_MAX_MS
}

pub(crate) fn millis(ms: f64) -> Span {
    Span::from_secs_f64(ms / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Stamp;
    use crate::scale::from_secs;

    fn watched(latency_ms: f64) -> AudioClock {
        let mut clock = AudioClock::default();
        for k in 0..40 {
            let at = 10.0 + f64::from(k) * 0.25;
            let (at, made) = (from_secs(at), from_secs(at - 1.0));
            clock.handle(&Stamp { at, made, left: None, latency: Some(millis(latency_ms)) });
        }
        clock
    }

    fn found(delay_ms: f64) -> Calibration {
        Calibration { delay_ms, sigma_ms: 0.1, latency_ms: Some(20.0) }
    }

    /// What it is sent off earlier by, and how that is known, where the box says nothing of it.
    fn alone(delay: &Delay, audio: &AudioClock) -> (Span, OutputSource, Option<Span>) {
        let own = delay.residual(audio);
        let (source, sigma) = delay.output(audio, own);
        (delay.total(own), source, sigma)
    }

    #[test]
    fn sx20_a_table_counts_until_a_microphone_has_heard_this_very_phone() {
        let (mut delay, audio) = (Delay::default(), watched(20.0));
        assert_eq!(alone(&delay, &audio).1, OutputSource::Reported);
        delay.set_table(Some(OutputDelay { delay_ms: 12.0, spread_ms: 2.0 }));
        delay.set_nudge(30.0);
        let two = Some(Span::from_millis(2));
        assert_eq!(alone(&delay, &audio), (Span::from_millis(42), OutputSource::Table, two));
        let pooled = Some(Estimate { ms: 9.0, sigma_ms: 2.0 });
        assert_eq!(delay.total(pooled), Span::from_millis(51), "on top of the table");
        assert_eq!(delay.output(&audio, pooled), (OutputSource::Pooled, two));
        assert_eq!(delay.acoustic(&audio), None);
        assert!(delay.set_calibrated(found(17.0)));
        let (total, source, _) = alone(&delay, &audio);
        assert_eq!((total, source), (Span::from_millis(17), OutputSource::Calibrated));
        assert_eq!(delay.acoustic(&audio), Some(millis(0.1)));
        let beyond = delay.residual(&audio).map(|it| it.ms);
        assert_eq!(beyond, Some(5.0), "the box hears what its table does not say");
        delay.set_table(None);
        assert_eq!(alone(&delay, &audio).0, Span::from_millis(17));
        assert_eq!(delay.residual(&audio).map(|it| it.ms), Some(17.0));
    }

    #[test]
    fn with_other_headphones_a_calibration_is_worth_nothing() {
        let mut delay = Delay::default();
        assert!(delay.set_calibrated(found(17.0)));
        let bluetooth = alone(&delay, &watched(190.0));
        assert_eq!(bluetooth, (Span::ZERO, OutputSource::Doubtful, None));
        assert_eq!(alone(&delay, &watched(22.0)).0, Span::from_millis(17));
    }

    #[test]
    fn what_the_page_kept_comes_back_and_nonsense_is_nothing() {
        let (mut delay, audio) = (Delay::default(), watched(20.0));
        assert!(delay.set_calibrated(found(17.0)));
        delay.set_nudge(-4.0);
        assert_eq!(alone(&Delay::kept(&delay.keep()), &audio).0, Span::from_millis(13));
        for nonsense in ["", "null", "[]", r#"{"nudge_ms":"much"}"#, r#"{"nudge_ms":1e999}"#] {
            assert_eq!(alone(&Delay::kept(nonsense), &audio).0, Span::ZERO, "{nonsense}");
        }
        assert_eq!(Delay::kept(r#"{"nudge_ms":90000}"#).nudge(), Span::from_millis(500));
        let mad = r#"{"calibrated":{"delay_ms":1e9,"sigma_ms":0.1}}"#;
        assert_eq!(alone(&Delay::kept(mad), &audio).0, Span::ZERO);
        delay.set_table(Some(OutputDelay { delay_ms: f64::NAN, spread_ms: 1.0 }));
        assert_eq!(delay.table, None);
    }
}
