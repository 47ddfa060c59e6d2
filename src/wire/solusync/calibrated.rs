//! How far off a phone sounds, as the phone knows it, and how the box corrects it.
//!
//! Both are ours; the document has no words for them. Both are either known with a sigma, or `null`: unknown is never 0.

use serde::{Deserialize, Serialize};

/// `calibrated`: a phone's model, and by how much it sounds too late by its own reckoning, corrections left out. Said
/// after `hello` and whenever it changes; `null` where it is not known, or no longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(try_from = "CalibratedFields", into = "CalibratedFields")]
pub struct Calibrated {
    /// What its maker calls it.
    pub model: Option<String>,
    /// What a calibration has shown.
    pub residual: Option<Estimate>,
}

/// `clock_correction`: how much sooner a phone is to sound than it would by its own reckoning; `null` takes back what
/// was said before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
#[serde(try_from = "CorrectionFields", into = "CorrectionFields")]
pub struct ClockCorrection(pub Option<Estimate>);

/// Milliseconds that are not known for certain: at most [`Estimate::MAX_MS`] either way, which is checked when they are
/// read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The likeliest.
    pub ms: f64,
    /// One standard deviation; more than nothing.
    pub sigma_ms: f64,
}

impl Estimate {
    /// A phone that is a second late is not late but broken.
    pub const MAX_MS: f64 = 1_000.0;

    /// Both or neither.
    fn read(ms: Option<f64>, sigma_ms: Option<f64>) -> Result<Option<Self>, &'static str> {
        // What is not a number is beyond every bound.
        let fits = |ms: f64, sigma_ms: f64| {
            ms.abs() <= Self::MAX_MS && sigma_ms > 0.0 && sigma_ms <= Self::MAX_MS
        };
        match (ms, sigma_ms) {
            (None, None) => Ok(None),
            (Some(ms), Some(sigma_ms)) if fits(ms, sigma_ms) => Ok(Some(Self { ms, sigma_ms })),
            (Some(_), Some(_)) => Err("at most a second, and never certain"),
            _ => Err("a value and its sigma_ms come together"),
        }
    }
}

/// Longer than any maker's name for a phone.
const MODEL_CHARS_MAX: usize = 64;

#[derive(Serialize, Deserialize)]
struct CalibratedFields {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    residual_ms: Option<f64>,
    #[serde(default)]
    sigma_ms: Option<f64>,
}

impl TryFrom<CalibratedFields> for Calibrated {
    type Error = &'static str;
    fn try_from(it: CalibratedFields) -> Result<Self, Self::Error> {
        let is_name = |name: &String| {
            let chars = 1..=MODEL_CHARS_MAX;
            chars.contains(&name.chars().count()) && !name.chars().any(char::is_control)
        };
        if it.model.as_ref().is_some_and(|name| !is_name(name)) {
            return Err("a model has 1 to 64 characters, and no control characters");
        }
        Ok(Self { model: it.model, residual: Estimate::read(it.residual_ms, it.sigma_ms)? })
    }
}

impl From<Calibrated> for CalibratedFields {
    fn from(Calibrated { model, residual }: Calibrated) -> Self {
        let (residual_ms, sigma_ms) = (residual.map(|it| it.ms), residual.map(|it| it.sigma_ms));
        Self { model, residual_ms, sigma_ms }
    }
}

#[derive(Serialize, Deserialize)]
struct CorrectionFields {
    #[serde(default)]
    offset_ms: Option<f64>,
    #[serde(default)]
    sigma_ms: Option<f64>,
}

impl TryFrom<CorrectionFields> for ClockCorrection {
    type Error = &'static str;
    fn try_from(it: CorrectionFields) -> Result<Self, Self::Error> {
        Estimate::read(it.offset_ms, it.sigma_ms).map(Self)
    }
}

impl From<ClockCorrection> for CorrectionFields {
    fn from(ClockCorrection(it): ClockCorrection) -> Self {
        Self { offset_ms: it.map(|it| it.ms), sigma_ms: it.map(|it| it.sigma_ms) }
    }
}
