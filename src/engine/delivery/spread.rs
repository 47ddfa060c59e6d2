//! How long words took: how many of them up to each of some edges. The older they are, the less they weigh.

use units::Span;

/// Milliseconds. A step is a third at most, and 390 and 990 stand a margin below what leads begin and end at. The last one
/// holds everything longer, too.
const EDGES_MS: [i64; 30] = [
    15, 20, 25, 30, 40, 50, 60, 75, 90, 110, 130, 155, 185, 220, 260, 310, 350, 390, 450, 530, 630,
    750, 870, 990, 1_250, 1_600, 2_000, 3_000, 5_000, 10_000,
];
/// So many up to each edge.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Spread {
    weights: [f64; EDGES_MS.len()],
}

impl Spread {
    /// The edges, shortest first.
    pub(super) fn edges() -> impl Iterator<Item = Span> {
        EDGES_MS.iter().map(|ms| Span::from_millis(*ms))
    }

    /// One more.
    pub(super) fn add(&mut self, took: Span) {
        let place = Self::edges().position(|edge| took <= edge).unwrap_or(EDGES_MS.len() - 1);
        self.weights[place] += 1.0;
    }

    /// They have become older: this share of their weight is left.
    pub(super) fn fade(&mut self, kept: f64) {
        self.weights.iter_mut().for_each(|weight| *weight *= kept);
    }

    /// Both together.
    pub(super) fn join(&mut self, other: &Self) {
        self.weights.iter_mut().zip(other.weights).for_each(|(weight, more)| *weight += more);
    }

    /// All of them.
    pub(super) fn total(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// Those that took longer than an edge.
    pub(super) fn above(&self, edge: Span) -> f64 {
        let longer = Self::edges().zip(self.weights).filter(|(upto, _)| *upto > edge);
        longer.map(|(_, weight)| weight).sum()
    }

    /// The edge that none of them took longer than, but for so little weight.
    pub(super) fn longest(&self, but: f64) -> Span {
        Self::edges().find(|edge| self.above(*edge) <= but).unwrap_or_default()
    }

    /// The edge up to which this share of them took; none where nothing is left of any.
    pub(super) fn quantile(&self, share: f64) -> Option<Span> {
        let total = self.total();
        if total < 0.01 {
            return None;
        }
        let mut upto = 0.0;
        Self::edges().zip(self.weights).find_map(|(edge, weight)| {
            upto += weight;
            (upto >= share * total && weight > 0.0).then_some(edge)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_faded_weighs_less_and_what_is_forgotten_is_not_nothing() {
        let mut spread = Spread::default();
        (0..8).for_each(|_| spread.add(Span::from_millis(47)));
        spread.add(Span::from_millis(800));
        spread.fade(0.5);
        assert_eq!((spread.total(), spread.above(Span::from_millis(50))), (4.5, 0.5));
        assert_eq!(spread.quantile(0.5), Some(Span::from_millis(50)));
        let longest = [0.4, 0.5].map(|but| spread.longest(but));
        assert_eq!(longest, [870, 50].map(Span::from_millis));
        spread.fade(0.0);
        assert_eq!((spread.total(), spread.quantile(0.5)), (0.0, None));
    }

    #[test]
    fn whatever_took_for_ever_stands_at_the_last_edge() {
        let mut spread = Spread::default();
        for ms in [-5, 0, 15, 16, 9_999, i64::MAX / 1_000_000] {
            spread.add(Span::from_millis(ms));
        }
        assert_eq!(spread.above(Span::from_millis(15)), 3.0);
        assert_eq!(spread.quantile(1.0), Some(Span::from_secs(10)));
    }
}
