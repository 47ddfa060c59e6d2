//! What the proxy did, counted.

use std::fmt;

use serde::{Serialize, Serializer};
use sim::path::{Direction, Fate, Verdict};
use units::{MonoTime, Span};

/// What was done so far.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Account {
    /// Connections or clients that came.
    pub connections: u64,
    /// Of them, those that are open.
    pub open: u64,
    /// From clients to the server.
    pub up: Row,
    /// From the server to clients.
    pub down: Row,
    /// How much later than it was due each packet left, milliseconds.
    #[serde(rename = "lateness_ms")]
    pub lateness: Spread,
    /// How much later than it was set for the alarm was heard, where a packet still waited for it: what the machine does
    /// to the proxy's thread.
    #[serde(rename = "alarm_ms")]
    pub alarm: Spread,
}

/// One direction.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Row {
    /// Taken.
    pub packets: u64,
    /// In them.
    pub bytes: u64,
    /// Of the packets, those that never arrive.
    pub lost: u64,
    /// Those that were lost and sent again.
    pub resent: u64,
    /// Those that others overtake.
    pub overtaken: u64,
    /// Those that arrive twice.
    pub doubled: u64,
    /// How long those that arrive are kept, milliseconds.
    #[serde(rename = "delay_ms")]
    pub delay: Spread,
}

impl Account {
    pub(super) fn note(
        &mut self,
        direction: Direction,
        taken: MonoTime,
        bytes: usize,
        verdict: Verdict,
    ) {
        let row = self.row(direction);
        row.packets += 1;
        row.bytes += bytes as u64;
        match verdict {
            Verdict::Drop => row.lost += 1,
            Verdict::Deliver { at, again, fate } => {
                row.delay.add(at - taken);
                row.resent += u64::from(fate == Fate::Resent);
                row.overtaken += u64::from(fate == Fate::Overtaken);
                row.doubled += u64::from(again.is_some());
            }
        }
    }

    fn row(&mut self, direction: Direction) -> &mut Row {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<6}{:>9}{:>12}{:>7}{:>8}{:>11}{:>9}{:>11}{:>9}{:>9}{:>9}",
            "",
            "packets",
            "bytes",
            "lost",
            "resent",
            "overtaken",
            "doubled",
            "kept: p50",
            "p95",
            "p99",
            "max ms"
        )?;
        for (name, row) in [("up", &self.up), ("down", &self.down)] {
            let Row { packets, bytes, lost, resent, overtaken, doubled, delay } = row;
            writeln!(
                f,
                "{name:<6}{packets:>9}{bytes:>12}{lost:>7}{resent:>8}{overtaken:>11}{doubled:>9}{delay}"
            )?;
        }
        writeln!(f, "{:<62}{}", "later than due", self.lateness)?;
        writeln!(f, "{:<62}{}", "of it, woken late", self.alarm)?;
        write!(f, "{} connections, {} of them open", self.connections, self.open)
    }
}

/// How spans are spread, in steps that grow with the span: none is told more than a sixteenth too long.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    counts: Vec<u64>,
    total: u64,
    max: Span,
}

/// Steps to a doubling.
const STEPS: u32 = 16;

impl Spread {
    /// One more.
    pub fn add(&mut self, span: Span) {
        let step = step_of(span);
        if self.counts.len() <= step {
            self.counts.resize(step + 1, 0);
        }
        self.counts[step] += 1;
        self.total += 1;
        self.max = self.max.max(span);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The span that such a share of them does not exceed; none if there are none.
    pub fn at(&self, share: f64) -> Option<Span> {
        let rank = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let step = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(end_of(step).min(self.max))
    }

    /// The longest; none if there are none.
    pub fn max(&self) -> Option<Span> {
        (self.total > 0).then_some(self.max)
    }
}

/// Up to 16 ns each is a step; then every doubling has as many.
fn step_of(span: Span) -> usize {
    let ns = span.ns().max(0) as u64;
    let doublings = (ns / u64::from(STEPS)).checked_ilog2().unwrap_or(0);
    ((u64::from(doublings * STEPS)) + (ns >> doublings)) as usize
}

/// The longest span of a step.
fn end_of(step: usize) -> Span {
    let step = step as u64;
    let doublings = (step / u64::from(STEPS)).saturating_sub(1);
    let within = step - doublings * u64::from(STEPS);
    Span::from_ns((((within + 1) << doublings) - 1) as i64)
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| words(self.at(share)));
        write!(f, "{p50:>11}{p95:>9}{p99:>9}{:>9}", words(self.max()))
    }
}

/// What is not known is a dash.
fn words(span: Option<Span>) -> String {
    span.map_or_else(|| "-".to_owned(), |span| format!("{:.3}", span.millis_f64()))
}

impl Serialize for Spread {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Known {
            count: u64,
            p50: Option<f64>,
            p95: Option<f64>,
            p99: Option<f64>,
            max: Option<f64>,
        }
        let at = |share| self.at(share).map(Span::millis_f64);
        Known {
            count: self.total,
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: self.max().map(Span::millis_f64),
        }
        .serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_tells_no_span_more_than_a_sixteenth_too_long() {
        for ns in (0..200).chain([999, 1_000, 54_321, 1_000_000, 999_999_999, 86_400_000_000_000]) {
            let told = end_of(step_of(Span::from_ns(ns))).ns();
            assert!(told >= ns && told - ns <= ns / 16, "{ns} is told as {told}");
        }
    }

    #[test]
    fn nobody_knows_the_spread_of_nothing() {
        let mut spread = Spread::default();
        assert_eq!((spread.at(0.5), spread.max(), spread.count()), (None, None, 0));
        (1..=1_000).for_each(|us| spread.add(Span::from_micros(us)));
        let p50 = spread.at(0.5).expect("a thousand").millis_f64();
        assert!((0.5..0.54).contains(&p50), "{p50}");
        assert_eq!(spread.at(1.0), Some(Span::from_millis(1)));
    }
}
