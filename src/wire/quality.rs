//! What the document calls the quality of a network: five levels, and how long sound waits on each (SX-14).

use units::Span;

/// The document's five levels, from the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// Under 10 ms, no loss.
    Excellent,
    /// Under 50 ms, under 0.1 %.
    Good,
    /// Under 100 ms, under 1 %.
    Fair,
    /// Under 200 ms, under 5 %.
    Poor,
    /// Anything worse.
    Critical,
}

impl Quality {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::Excellent, Self::Good, Self::Fair, Self::Poor, Self::Critical];

    /// The best level whose bounds hold both; loss is a share, 0 to 1.
    pub fn of(rtt: Span, loss: f64) -> Self {
        Self::ALL.into_iter().find(|it| it.holds(rtt.millis_f64(), loss)).unwrap_or(Self::Critical)
    }

    /// What the document gives it.
    pub const fn buffer(self) -> Span {
        Span::from_millis(match self {
            Self::Excellent => 30,
            Self::Good => 80,
            Self::Fair => 120,
            Self::Poor => 180,
            Self::Critical => 250,
        })
    }

    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Excellent => "excellent",
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Poor => "poor",
            Self::Critical => "critical",
        }
    }

    /// The level of that word; none where the document has no such word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == word)
    }

    fn holds(self, rtt_ms: f64, loss: f64) -> bool {
        let (rtt_max, loss_max) = match self {
            // What is smoothed never comes to nothing.
            Self::Excellent => (10.0, 0.000_1),
            Self::Good => (50.0, 0.001),
            Self::Fair => (100.0, 0.01),
            Self::Poor => (200.0, 0.05),
            Self::Critical => return true,
        };
        rtt_ms < rtt_max && loss < loss_max
    }
}
