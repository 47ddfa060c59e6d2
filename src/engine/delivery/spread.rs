//! How long words took: how many of them up to each of some edges. The older they are, the less they weigh.
//!
//! Weights are halved in ten minutes, by steps at whole minutes of show time, so that every box that hears the same
//! has the same numbers whenever it looks.

use units::{ShowTime, Span};

/// Milliseconds. A step is a third at most, and 390 and 990 stand a margin below what leads begin and end at. The last one
/// holds everything longer, too.
const EDGES_MS: [i64; 30] = [
    15, 20, 25, 30, 40, 50, 60, 75, 90, 110, 130, 155, 185, 220, 260, 310, 350, 390, 450, 530, 630,
    750, 870, 990, 1_250, 1_600, 2_000, 3_000, 5_000, 10_000,
];
/// Half in ten minutes.
const KEPT_IN_A_MINUTE: f64 = 0.933_032_991_536_807_4;
/// Then nothing is left: 2^-30.
const FORGOTTEN_MINUTES: i64 = 300;

/// So many up to each edge.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Spread {
    weights: [f64; EDGES_MS.len()],
    minute: i64,
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

    /// Time has gone on; a clock that stepped back has forgotten how far.
    pub(super) fn age(&mut self, now: ShowTime) {
        let minute = now.ns().div_euclid(60_000_000_000);
        let gone = minute.saturating_sub(std::mem::replace(&mut self.minute, minute));
        let kept = match gone {
            ..=0 => return,
            1..FORGOTTEN_MINUTES => (0..gone).fold(1.0, |kept, _| kept * KEPT_IN_A_MINUTE),
            _ => 0.0,
        };
        self.weights.iter_mut().for_each(|weight| *weight *= kept);
    }

    /// Both together; each as old as it says.
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

    fn at(minute: i64) -> ShowTime {
        ShowTime::from_ns(minute * 60_000_000_000)
    }

    #[test]
    fn what_was_heard_weighs_half_after_ten_minutes_however_often_anybody_looked() {
        let mut spread = Spread::default();
        spread.age(at(1_000));
        (0..8).for_each(|_| spread.add(Span::from_millis(47)));
        let mut other = spread.clone();
        spread.age(at(1_010));
        (1_001..=1_010).for_each(|minute| other.age(at(minute)));
        assert_eq!(spread, other);
        assert!((spread.total() - 4.0).abs() < 1e-9, "{}", spread.total());
        assert_eq!(spread.quantile(0.99), Some(Span::from_millis(50)));
        spread.age(at(5_000));
        assert_eq!(
            (spread.total(), spread.quantile(0.5)),
            (0.0, None),
            "what is forgotten is not nothing"
        );
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
