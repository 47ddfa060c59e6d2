//! What came of it, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::expense::While;
use crate::proxy::Account;

pub use super::census::Errors;

/// What came of a fleet.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The network.
    pub scenario: String,
    /// How many.
    pub phones: usize,
    /// Where chance began.
    pub seed: u64,
    /// How long errors were taken.
    pub measured_s: f64,
    /// Load of the machine before anybody came.
    pub load_before: String,
    /// Load when errors had been taken.
    pub load_after: String,
    /// Processors of the machine; the fleet, its network and the box share them.
    pub cpus: usize,
    /// Phones that were in step at the end, by their own word.
    pub in_step: usize,
    /// Milliseconds.
    #[serde(rename = "errors_ms")]
    pub errors: Errors,
    /// What was asked, and what it cost.
    pub cost: Cost,
    /// What the network did.
    pub proxy: Account,
}

/// What phones asked, and what it cost the box.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// Questions a second of all phones together from the first one's coming to the end of the warm-up.
    pub asked_per_s_at_start: f64,
    /// While errors were taken.
    pub asked_per_s: f64,
    /// Answers that the box counts, in the same while.
    pub answered_per_s: f64,
    /// The share of one processor that the box takes with nobody there; null where it is not ours to look into.
    pub box_cpu_idle: Option<f64>,
    /// The same, while errors were taken.
    pub box_cpu: Option<f64>,
    /// What one question more costs the box: all phones asked at once at the end, and the difference in processor time
    /// by the difference in answers, to the while before.
    pub box_ns_per_question: Option<f64>,
    /// Of how many more answers that is the mean.
    pub more_answers: f64,
}

impl Cost {
    pub(super) fn of(idle: While, start: While, steady: While, burst: While) -> Self {
        let share = |it: While| Some(it.cpu_ns? / 1e9 / it.seconds);
        // What the burst's length would have brought without a burst.
        let usual = burst.seconds / steady.seconds;
        let more_answers = burst.answered - steady.answered * usual;
        let more_ns = burst.cpu_ns.zip(steady.cpu_ns).map(|(burst, steady)| burst - steady * usual);
        Self {
            asked_per_s_at_start: start.asked / start.seconds,
            asked_per_s: steady.asked / steady.seconds,
            answered_per_s: steady.answered / steady.seconds,
            box_cpu_idle: share(idle),
            box_cpu: share(steady),
            box_ns_per_question: more_ns
                .filter(|_| more_answers >= 1.0)
                .map(|ns| ns / more_answers),
            more_answers,
        }
    }
}

/// Where values lie; null without any.
#[derive(Debug, Clone, Copy, Serialize)]
#[expect(missing_docs, reason = "the share of values that are not greater")]
pub struct Quantiles {
    pub count: usize,
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

impl Quantiles {
    pub(super) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).copied()
        };
        Self { count: sorted.len(), p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) }
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p95, p99, max] = [self.p50, self.p95, self.p99, self.max]
            .map(|it| it.map_or_else(|| "-".to_owned(), |it| format!("{it:.3}")));
        write!(f, "p50 {p50:>8}  p95 {p95:>8}  p99 {p99:>8}  max {max:>8} ms")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, phones, measured_s, load_before, load_after, errors, cost, .. } = self;
        writeln!(f, "{scenario}: {phones} phones, {measured_s:.0} s, seed {}", self.seed)?;
        writeln!(f, "  error of a phone        {}", errors.absolute)?;
        writeln!(f, "  … less asymmetry        {}", errors.absolute_less_asymmetry)?;
        writeln!(f, "  between two phones      {}", errors.between)?;
        writeln!(f, "  … less asymmetry        {}", errors.between_less_asymmetry)?;
        writeln!(f, "  bound they claim        {}", errors.bound)?;
        writeln!(f, "  sigma they claim        {}", errors.sigma)?;
        writeln!(
            f,
            "  within their bound {}, within two sigma {}; in step at the end {} of {phones}; without any time {} of {} looks",
            percent(errors.within_bound),
            percent(errors.within_two_sigma),
            self.in_step,
            errors.without_time,
            errors.absolute.count as u64 + errors.without_time,
        )?;
        writeln!(f, "  {cost}")?;
        writeln!(
            f,
            "  network: {} lost, {} sent again; packets left late by{}",
            self.proxy.up.lost + self.proxy.down.lost,
            self.proxy.up.resent + self.proxy.down.resent,
            self.proxy.lateness
        )?;
        write!(
            f,
            "  load {load_before} before, {load_after} after, {} processors for all of it",
            self.cpus
        )
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "questions: {:.0} a second at the start, then {:.0} ({:.0} answered); the box: {} of a processor, {} with \
             nobody there; a question more: {} (of {:.0})",
            self.asked_per_s_at_start,
            self.asked_per_s,
            self.answered_per_s,
            percent(self.box_cpu),
            percent(self.box_cpu_idle),
            self.box_ns_per_question
                .map_or_else(|| "unknown".to_owned(), |ns| format!("{:.1} us", ns / 1e3)),
            self.more_answers,
        )
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "unknown".to_owned(), |share| format!("{:.1} %", share * 100.0))
}
