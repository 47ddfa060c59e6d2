//! One belief about how the page's clock rounds, and what the exchanges are in its light.
//!
//! In: a window of exchanges. Out: the likeliest curve and floor, and how likely all of it is. Never: which belief
//! is right; that is for whoever compares two.

use std::collections::VecDeque;

use super::climb::{Climb, Ways};
use super::excess::{DOWN, Excess, Parts, UP};
use super::fit::{Fit, Prior, Row};
use super::grain::Grain;
use super::work::Work;

/// The belief.
#[derive(Debug, Clone)]
pub(super) struct Model {
    grain: Grain,
    parts: Parts,
    up: Excess,
    down: Excess,
    pub(super) fit: Option<Fit>,
    ascent: Option<Ascent>,
}

/// A climb, and what it is for.
#[derive(Debug, Clone, Copy)]
struct Ascent {
    climb: Climb,
    prior: Prior,
    end: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// On from where we stand.
    On,
    /// The same, and then another way up.
    OnAndAgain,
    /// The other way up.
    Again,
    /// Only to see how likely the first of all exchanges are.
    Aside,
}

/// A climb came to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ended {
    /// This is where we stand now.
    Climb,
    /// And there is nothing higher, on so many exchanges.
    Review {
        /// The first of all.
        end: usize,
    },
    /// The first of all are so likely.
    Aside(f64),
}

/// Looks from the bottom of the valley to a top.
const LOOKS_AFAR: usize = 20;
/// How much likelier another top must be, so that chance does not choose.
const LIKELIER: f64 = 1.0;

impl Ascent {
    fn ended(&self, top: &Fit) -> Ended {
        match self.kind {
            Kind::Aside => Ended::Aside(top.likelihood),
            Kind::On | Kind::OnAndAgain => Ended::Climb,
            Kind::Again => Ended::Review { end: self.end },
        }
    }
}

impl Model {
    pub(super) fn new(grain: Grain) -> Self {
        let parts = Parts::new(grain);
        let (up, down) = (Excess::new(&parts, UP), Excess::new(&parts, DOWN));
        Self { grain, parts, up, down, fit: None, ascent: None }
    }

    pub(super) fn grain(&self) -> Grain {
        self.grain
    }

    pub(super) fn edges(&self) -> (f64, f64) {
        self.grain.edges()
    }

    /// Believes in another grain from now on.
    pub(super) fn suit(&mut self, grain: Grain) {
        if !grain.is_like(self.grain) {
            self.parts.suit();
        }
        self.grain = grain;
    }

    /// Begins at one exchange.
    pub(super) fn begin(&mut self, row: Row, skew: f64) {
        self.fit = Some(Fit::first(row, self.edges(), skew));
        self.ascent = None;
    }

    /// Climbs on from where it stands, and where all is put in question also from the bottom: in a crowd there is
    /// more than one top, and the first that was climbed need not be the highest.
    pub(super) fn climb(&mut self, prior: &Prior, end: usize, looks: usize, is_review: bool) {
        self.begin_climb(prior, end, looks, if is_review { Kind::OnAndAgain } else { Kind::On });
    }

    /// Climbs only to see how likely the first exchanges are by what was learnt since.
    pub(super) fn climb_aside(&mut self, prior: &Prior, end: usize, looks: usize) {
        self.begin_climb(prior, end, looks, Kind::Aside);
    }

    fn begin_climb(&mut self, prior: &Prior, end: usize, looks: usize, kind: Kind) {
        let Some(fit) = self.fit else { return };
        let climb = Climb::new(fit, *prior, end, looks);
        self.ascent = Some(Ascent { climb, prior: *prior, end, kind });
    }

    /// The rows are others now.
    pub(super) fn stop(&mut self) {
        self.ascent = None;
    }

    pub(super) fn is_climbing(&self) -> bool {
        self.ascent.is_some()
    }

    /// Whether its tables are still those of another grain.
    pub(super) fn is_tabling(&self) -> bool {
        self.parts.is_busy()
    }

    /// Whether there is anything to do.
    pub(super) fn is_busy(&self) -> bool {
        self.is_climbing() || self.parts.is_busy() || self.up.is_busy() || self.down.is_busy()
    }

    /// Climbs on, and then learns how long waits are.
    pub(super) fn work(&mut self, rows: &VecDeque<Row>, work: &mut Work) -> Option<Ended> {
        let mut ended = None;
        while let Some(mut ascent) = self.ascent.take() {
            let edges = self.edges();
            let mut ways = Ways { up: &mut self.up, down: &mut self.down, edges };
            match ascent.climb.work(rows, &mut ways, work) {
                Some(fit) => {
                    ended = Some(ascent.ended(&fit));
                    self.ascent = self.reached(fit, ascent);
                }
                None => {
                    self.ascent = Some(ascent);
                    return None;
                }
            }
        }
        if self.parts.work(self.grain, work) {
            self.up.suit();
            self.down.suit();
        }
        if !self.parts.is_busy() {
            self.up.work(&self.parts, work);
            self.down.work(&self.parts, work);
        }
        ended
    }

    fn reached(&mut self, top: Fit, ascent: Ascent) -> Option<Ascent> {
        let now = self.fit?;
        if ascent.kind == Kind::Aside {
            return None;
        }
        if ascent.kind == Kind::Again {
            if top.likelihood > now.likelihood + LIKELIER {
                self.fit = Some(top);
            }
            return None;
        }
        self.fit = Some(top);
        self.up.learn();
        self.down.learn();
        let Ascent { prior, end, .. } = ascent;
        let climb = Climb::new(top.anew(prior.skew), prior, end, LOOKS_AFAR);
        (ascent.kind == Kind::OnAndAgain).then_some(Ascent { climb, prior, end, kind: Kind::Again })
    }
}
