//! How fit a box is to drive: `candidate_score` (SX-13).

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fitness {
    /// Its lighting interface has a link.
    pub light: bool,
    /// It plays the same show as the box that drives, as far as it knows.
    pub same_show: bool,
    /// It drives, or has taken every step.
    pub knows_the_show: bool,
}

impl Fitness {
    /// 0 to 1; 0 is not at all. A box in the dark is no use; one that would begin the show anew is better than that.
    pub fn score(self) -> f64 {
        match self {
            Self { light: false, .. } | Self { same_show: false, .. } => 0.0,
            Self { knows_the_show: true, .. } => 1.0,
            _ => 0.5,
        }
    }
}
