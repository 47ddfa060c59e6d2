//! How coarse the page's clock is.

use units::MonoTime;

/// How the page's clock rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Not known.
    #[default]
    Unknown,
    /// Down.
    Floor,
    /// Up or down.
    Fuzz,
}

/// How coarse the page's clock is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Grain {
    /// The step, microseconds.
    pub step_us: f64,
    /// How it rounds.
    pub kind: Kind,
}

/// Learns the grain from the page's stamps.
#[derive(Debug, Clone, Default)]
pub(super) struct Sieve {
    told: Option<Grain>,
    step_us: Option<u16>,
}

/// The steps that browsers use, microseconds.
const STEPS_US: [u16; 4] = [1_000, 100, 20, 5];

impl Sieve {
    pub(super) fn told(grain: Grain) -> Self {
        Self { told: Some(grain), step_us: None }
    }

    pub(super) fn see(&mut self, at: MonoTime) {
        let micros = at.ns().saturating_add(500).div_euclid(1_000);
        let fits = |step: &u16| micros % i64::from(*step) == 0;
        let step = STEPS_US.into_iter().find(fits).unwrap_or(1);
        self.step_us = Some(self.step_us.map_or(step, |known| known.min(step)));
    }

    pub(super) fn grain(&self) -> Grain {
        let step_us = f64::from(self.step_us.unwrap_or(1));
        self.told.unwrap_or(Grain { step_us, kind: Kind::Unknown })
    }
}

impl Grain {
    /// How far below the truth a reading of the far clock's lead may stand: what is rounded away going there, and
    /// coming back.
    pub(super) fn edges(self) -> (f64, f64) {
        let q = self.step_us;
        match self.kind {
            Kind::Fuzz => (q, q),
            Kind::Floor | Kind::Unknown => (0.0, q),
        }
    }
}
