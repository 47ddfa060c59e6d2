//! A straight line, which is what one crystal looks like from another.

/// `value + slope * (x - at)`; `x` and `value` in seconds, `slope` without a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    pub(crate) at: f64,
    pub(crate) value: f64,
    pub(crate) slope: f64,
}

impl Line {
    pub(crate) fn value(&self, x: f64) -> f64 {
        self.value + self.slope * (x - self.at)
    }
}

/// The middle one; none of nothing.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The value below which this share of them lies; none of nothing.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    values.sort_unstable_by(f64::total_cmp);
    Some(values[(last as f64 * share).round() as usize])
}
