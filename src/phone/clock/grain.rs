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
    kind: Kind,
}

/// The steps that browsers use, microseconds.
const STEPS_US: [u16; 4] = [1_000, 100, 20, 5];
/// Below this the way it rounds makes no difference that could be seen or would matter.
const STEP_MIN_US: u16 = 20;
/// How much likelier one way to round must be: a factor of e to this.
const PROOF_NATS: f64 = 12.0;

impl Sieve {
    pub(super) fn told(grain: Grain) -> Self {
        Self { told: Some(grain), ..Self::default() }
    }

    pub(super) fn see(&mut self, at: MonoTime) {
        let micros = at.ns().saturating_add(500).div_euclid(1_000);
        let fits = |step: &u16| micros % i64::from(*step) == 0;
        let step = STEPS_US.into_iter().find(fits).unwrap_or(1);
        self.step_us = Some(self.step_us.map_or(step, |known| known.min(step)));
    }

    pub(super) fn grain(&self) -> Grain {
        let step_us = f64::from(self.step_us.unwrap_or(1));
        self.told.unwrap_or(Grain { step_us, kind: self.kind })
    }

    /// What else it might be.
    pub(super) fn rival(&self) -> Option<Grain> {
        let step_us = self.step_us.filter(|step| *step >= STEP_MIN_US && self.told.is_none())?;
        (self.kind == Kind::Unknown)
            .then_some(Grain { step_us: f64::from(step_us), kind: Kind::Fuzz })
    }

    /// How far below the truth a reading may stand, going there and coming back, however it rounds.
    pub(super) fn edges(&self) -> (f64, f64) {
        self.rival().unwrap_or(self.grain()).edges()
    }

    /// What the offset may be wrong by while nobody knows how the clock rounds: half a step lies between the two
    /// ways to read it, so this is one sigma.
    pub(super) fn doubt_us(&self) -> f64 {
        self.rival().map_or(0.0, |grain| grain.step_us / 4.0)
    }

    /// How likely all exchanges are if it rounds down, and if up or down.
    pub(super) fn weigh(&mut self, floor: f64, fuzz: f64) {
        if fuzz - floor > PROOF_NATS {
            self.kind = Kind::Fuzz;
        } else if floor - fuzz > PROOF_NATS {
            self.kind = Kind::Floor;
        }
    }
}

impl Grain {
    /// Whether it makes no difference which of the two it is.
    pub(super) fn is_like(self, other: Self) -> bool {
        let fuzz = |grain: Self| grain.kind == Kind::Fuzz;
        self.step_us == other.step_us && fuzz(self) == fuzz(other)
    }

    /// By how much rounding may make a round trip look shorter than it is, microseconds: on a way that is shorter than
    /// the step an answer seems to be there before its question could be.
    pub(super) fn shortens(self) -> f64 {
        let (going, coming) = self.edges();
        going + coming
    }

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
