//! What came of it, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::Way;
use super::expense::{Lap, Price, While};
use super::network::Networks;
use super::orders::Sounds;
use crate::proxy::Account;

pub use super::census::Errors;

/// What came of a fleet.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The network.
    pub scenario: String,
    /// How they came in.
    pub way: Way,
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
    /// When they would have sounded beside when they were to; milliseconds.
    #[serde(rename = "sounds_ms")]
    pub sounds: Sounds,
    /// What was asked, and what it cost.
    pub cost: Cost,
    /// What a phone asks, and what it costs the box, as time goes by.
    pub laps: Vec<Lap>,
    /// What the network did until errors had been taken, and how much later than it should: that is in the errors.
    pub networks: Networks,
}

/// What phones asked, and what it cost the box.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// Questions a second of all phones together from the first one's coming to the end of the warm-up.
    pub asked_per_s_at_start: f64,
    /// While errors were taken.
    pub asked_per_s: f64,
    /// The share of them that was asked in datagrams, 0 to 1; null without questions.
    pub in_datagrams: Option<f64>,
    /// Answers that the box counts, in the same while.
    pub answered_per_s: f64,
    /// The share of one processor that the box takes with nobody there; null where it is not ours to look into.
    pub box_cpu_idle: Option<f64>,
    /// The same, while errors were taken.
    pub box_cpu: Option<f64>,
    /// What one question more costs the box: in the end phones asked more by turns, and this is the slope of processor
    /// time over answers; null where it cannot be told from nothing.
    pub box_per_question: Option<Price>,
    /// Answers a second in the turns of fewest and of most questions.
    pub weighed_at: [f64; 2],
}

impl Cost {
    pub(super) fn of(idle: While, start: While, steady: While, turns: &[While]) -> Self {
        let share = |it: While| Some(it.cpu_ns? / 1e9 / it.seconds);
        let rates = turns.iter().map(|it| it.answered / it.seconds);
        let weighed_at = [rates.clone().reduce(f64::min), rates.reduce(f64::max)];
        Self {
            asked_per_s_at_start: start.asked / start.seconds,
            asked_per_s: steady.asked / steady.seconds,
            in_datagrams: (steady.asked > 0.0).then(|| steady.asked_in_datagrams / steady.asked),
            answered_per_s: steady.answered / steady.seconds,
            box_cpu_idle: share(idle),
            box_cpu: share(steady),
            box_per_question: Price::of(turns),
            weighed_at: weighed_at.map(|rate| rate.unwrap_or(0.0)),
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
        let way = self.way;
        writeln!(f, "{scenario} by {way}: {phones} phones, {measured_s:.0} s, seed {}", self.seed)?;
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
        writeln!(f, "  sounded from its time   {}", self.sounds.absolute)?;
        writeln!(f, "  … where it came late, by {}", self.sounds.late_by)?;
        writeln!(f, "  … then from its place   {}", self.sounds.late_from_place)?;
        writeln!(
            f,
            "  {} of what was ordered came too late, {} never; {} cues, ordered ahead by {}",
            percent(self.sounds.late),
            percent(self.sounds.missed),
            self.sounds.given,
            self.sounds.lead,
        )?;
        writeln!(f, "  {cost}")?;
        for lap in &self.laps {
            writeln!(f, "  {lap}")?;
        }
        let Networks { streams, datagrams } = &self.networks;
        writeln!(f, "  streams: {}", did(streams))?;
        if let Some(datagrams) = datagrams {
            writeln!(f, "  datagrams: {}", did(datagrams))?;
        }
        write!(
            f,
            "  load {load_before} before, {load_after} after, {} processors for all of it",
            self.cpus
        )
    }
}

/// What a network did, in a line.
fn did(account: &Account) -> String {
    let Account { up, down, lateness, alarm, .. } = account;
    let (lost, resent) = (up.lost + down.lost, up.resent + down.resent);
    let packets = up.packets + down.packets;
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| ms(lateness.at(share)));
    let woken = ms(alarm.at(0.95));
    format!(
        "{lost} of {packets} lost, {resent} sent again; the proxy itself adds p50 {p50}  p95 {p95}  p99 {p99} ms to a way \
         (woken late by {woken} ms at p95)"
    )
}

fn ms(span: Option<units::Span>) -> String {
    span.map_or_else(|| "-".to_owned(), |span| format!("{:.3}", span.millis_f64()))
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebSocket => "WebSocket",
            Self::WebTransport => "WebTransport",
            Self::Quic => "QUIC alone",
        })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "questions: {:.0} a second at the start, then {:.0} ({} in datagrams, {:.0} answered); the box: {} of a \
             processor, {} with nobody there; a question more: {} ({:.0} to {:.0} answers a second)",
            self.asked_per_s_at_start,
            self.asked_per_s,
            percent(self.in_datagrams),
            self.answered_per_s,
            percent(self.box_cpu),
            percent(self.box_cpu_idle),
            self.box_per_question.map_or_else(
                || "unknown".to_owned(),
                |it| format!("{:.1} us ± {:.1}", it.ns / 1e3, it.sigma_ns / 1e3)
            ),
            self.weighed_at[0],
            self.weighed_at[1],
        )
    }
}

impl fmt::Display for Lap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spent = self.box_us_per_s_a_phone;
        let spent = spent.map_or_else(|| "unknown".to_owned(), |it| format!("{it:.1} us"));
        write!(
            f,
            "to {:3.0} s: a phone asks {:.3} times a second and takes {spent} of a processor",
            self.until_s, self.asked_per_s_a_phone
        )
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "unknown".to_owned(), |share| format!("{:.1} %", share * 100.0))
}
