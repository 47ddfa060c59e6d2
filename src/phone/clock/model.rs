//! One belief about how the page's clock rounds, and what the exchanges are in its light.
//!
//! In: a window of exchanges. Out: the likeliest curve and floor, and how likely all of it is. Never: which belief
//! is right; that is for whoever compares two.

use std::collections::VecDeque;

use super::excess::{DOWN, Excess, Parts, UP};
use super::fit::{Fit, Prior, Row, Ways};
use super::grain::Grain;

/// The belief.
#[derive(Debug, Clone)]
pub(super) struct Model {
    grain: Grain,
    parts: Parts,
    up: Excess,
    down: Excess,
    pub(super) fit: Option<Fit>,
}

/// Looks from the bottom of the valley to a top.
const LOOKS_AFAR: usize = 20;
/// How much likelier another top must be, so that chance does not choose.
const LIKELIER: f64 = 1.0;

impl Model {
    pub(super) fn new(grain: Grain) -> Self {
        let parts = Parts::new(grain);
        let (up, down) = (Excess::new(&parts, UP), Excess::new(&parts, DOWN));
        Self { grain, parts, up, down, fit: None }
    }

    pub(super) fn grain(&self) -> Grain {
        self.grain
    }

    pub(super) fn edges(&self) -> (f64, f64) {
        self.grain.edges()
    }

    /// Believes in another grain from now on.
    pub(super) fn suit(&mut self, grain: Grain) {
        if grain.is_like(self.grain) {
            return self.grain = grain;
        }
        self.grain = grain;
        self.parts.suit(grain);
        self.up.suit(&self.parts);
        self.down.suit(&self.parts);
    }

    /// Begins at one exchange.
    pub(super) fn begin(&mut self, row: Row, skew: f64) {
        self.fit = Some(Fit::first(row, self.edges(), skew));
    }

    /// Climbs on from where it stands, then learns how long waits are.
    pub(super) fn climb(&mut self, rows: &VecDeque<Row>, prior: &Prior, looks: usize) {
        let Some(fit) = self.fit else { return };
        self.fit = Some(self.climbed(fit, rows, prior, looks));
        self.up.learn(&self.parts);
        self.down.learn(&self.parts);
    }

    /// In a crowd there is more than one top, and the first that was climbed need not be the highest: tries
    /// another way up.
    pub(super) fn climb_again(&mut self, rows: &VecDeque<Row>, prior: &Prior) {
        let Some(fit) = self.fit else { return };
        let other = self.climbed(fit.anew(prior.skew), rows, prior, LOOKS_AFAR);
        if other.likelihood > fit.likelihood + LIKELIER {
            self.fit = Some(other);
        }
    }

    /// How likely it all is, in nats; only differences mean something.
    pub(super) fn likelihood(&self) -> f64 {
        self.fit.map_or(f64::NEG_INFINITY, |fit| fit.likelihood)
    }

    fn climbed(&mut self, fit: Fit, rows: &VecDeque<Row>, prior: &Prior, looks: usize) -> Fit {
        let edges = self.edges();
        fit.climbed(rows, &mut Ways { up: &mut self.up, down: &mut self.down, edges }, prior, looks)
    }
}
