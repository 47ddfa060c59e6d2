//! Takes every phone's error, again and again.

use std::sync::Arc;

use serde::Serialize;
use units::Span;

use super::guest::Guest;
use super::network::Network;
use super::report::Quantiles;
use super::truth::Truth;
use crate::mono_now;

/// What was taken so far.
#[derive(Debug, Default)]
pub(super) struct Census {
    errors: Kind,
    less_asymmetry: Kind,
    bounds: Vec<f64>,
    sigmas: Vec<f64>,
    within_bound: u64,
    within_two_sigma: u64,
    without_time: u64,
}

/// Errors by themselves, and between phones.
#[derive(Debug, Default)]
struct Kind {
    of_one: Vec<f64>,
    between: Vec<f64>,
}

/// How far phones were from the truth, and from each other, in milliseconds.
#[derive(Debug, Serialize)]
pub struct Errors {
    /// Of a phone, its sign taken off.
    pub absolute: Quantiles,
    /// The same, without half the asymmetry that the network drew for it: no time stamp shows that.
    pub absolute_less_asymmetry: Quantiles,
    /// Between two phones.
    pub between: Quantiles,
    /// The same, without asymmetry.
    pub between_less_asymmetry: Quantiles,
    /// What phones claim as bound.
    pub bound: Quantiles,
    /// What they claim as one sigma.
    pub sigma: Quantiles,
    /// The share of errors within the phone's own bound, 0 to 1; null without errors.
    pub within_bound: Option<f64>,
    /// The share within two of the phone's own sigmas.
    pub within_two_sigma: Option<f64>,
    /// How often a phone was looked at that had no idea of the time.
    pub without_time: u64,
}

#[derive(Clone, Copy)]
struct Sample {
    error: f64,
    asymmetry: f64,
}

/// Each phone is set beside those that came so many places after it: not every pair, but no pair is preferred.
const APART: [usize; 5] = [1, 7, 31, 101, 307];

impl Census {
    /// Everybody, now.
    pub(super) fn take(&mut self, guests: &[Arc<Guest>], truth: &Truth, network: &Network) {
        let samples: Vec<Option<Sample>> =
            guests.iter().map(|guest| self.look_at(guest, truth, network)).collect();
        let samples: Vec<Sample> = samples.into_iter().flatten().collect();
        self.errors.add(&samples, |it| it.error);
        self.less_asymmetry.add(&samples, |it| it.error - it.asymmetry);
    }

    fn look_at(&mut self, guest: &Guest, truth: &Truth, network: &Network) -> Option<Sample> {
        let now = mono_now();
        let Some(reading) = guest.reading(now) else {
            self.without_time += 1;
            return None;
        };
        let error = reading.net - truth.net(now);
        self.bounds.push(reading.bound.millis_f64());
        self.sigmas.push(reading.sigma.millis_f64());
        self.within_bound += u64::from(error.abs() <= reading.bound);
        self.within_two_sigma += u64::from(error.abs() <= reading.sigma.times(2));
        let asymmetry = guest.way().and_then(|way| network.asymmetry(way));
        // Between two sockets there is no way that could be longer.
        let asymmetry = asymmetry.unwrap_or(Span::ZERO).millis_f64();
        Some(Sample { error: error.millis_f64(), asymmetry })
    }

    /// In a few words.
    pub(super) fn glance(&self) -> String {
        format!("error {}", Quantiles::of(&self.errors.of_one))
    }

    pub(super) fn close(self) -> Errors {
        let count = self.bounds.len();
        let share = |within: u64| (count > 0).then(|| within as f64 / count as f64);
        Errors {
            absolute: Quantiles::of(&self.errors.of_one),
            absolute_less_asymmetry: Quantiles::of(&self.less_asymmetry.of_one),
            between: Quantiles::of(&self.errors.between),
            between_less_asymmetry: Quantiles::of(&self.less_asymmetry.between),
            bound: Quantiles::of(&self.bounds),
            sigma: Quantiles::of(&self.sigmas),
            within_bound: share(self.within_bound),
            within_two_sigma: share(self.within_two_sigma),
            without_time: self.without_time,
        }
    }
}

impl Kind {
    fn add(&mut self, samples: &[Sample], error: impl Fn(&Sample) -> f64) {
        self.of_one.extend(samples.iter().map(|it| error(it).abs()));
        let mut strides: Vec<usize> = APART.iter().map(|it| it % samples.len().max(1)).collect();
        strides.sort_unstable();
        strides.dedup();
        for stride in strides.into_iter().filter(|it| *it > 0) {
            let others = samples.iter().cycle().skip(stride);
            let pairs = samples.iter().zip(others);
            self.between.extend(pairs.map(|(one, other)| (error(one) - error(other)).abs()));
        }
    }
}
