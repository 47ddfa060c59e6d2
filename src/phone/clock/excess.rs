//! How long packets wait beyond the shortest time that their way allows.
//!
//! In: the excesses that were seen. Out: how likely an excess is, and how hard it pulls on the floor beneath it.
//! Never: which direction, which clock.
//!
//! A wait is a sum of waits (a turn on the air, a queue, the page's own event loop), each roughly exponential, so
//! that its density begins at zero, rises within tens of microseconds and falls with a tail that no single
//! scale describes. We take a mixture of sums of two exponentials, one short (the rise), one long (the scale),
//! whose shares are learnt from what was seen, and smear it with what the page's clock rounds away. The naive way
//! takes the lowest as the floor: it lies above it by what the luckiest packet waited, and not equally in both
//! directions.

use super::grain::{Grain, Kind};

/// Nodes at which densities are tabled: eight to the octave above [`FIRST_US`].
const NODES: usize = 15 * PER_OCTAVE + 1;
const PER_OCTAVE: usize = 8;
const FIRST_US: f64 = 8.0;
const RISES_US: [(f64, f64); 4] = [(3.0, 5.0), (5.0, 15.0), (18.0, 45.0), (35.0, 110.0)];
const SCALES_US: [f64; 11] =
    [25.0, 60.0, 150.0, 350.0, 800.0, 2_000.0, 5_000.0, 12_000.0, 30_000.0, 80_000.0, 250_000.0];
const PARTS: usize = RISES_US.len() * SCALES_US.len();
/// What we believe before anything was seen, in packets.
const PRIOR_COUNT: f32 = 20.0;
pub(super) const UP: [f32; 4] = [0.35, 0.4, 0.2, 0.05];
pub(super) const DOWN: [f32; 4] = [0.05, 0.15, 0.4, 0.4];
/// As many gaps as make a fair mean, and lie near the floor.
const GAPS: f32 = 4.0;
/// Below the floor there is nothing; a pull that grows by a sixteenth of its own size per microsecond brings a
/// wrong floor down at once, and does not throw the fit across the room.
const BARRIER_PER_US: f64 = 0.25;
const BARRIER_GROWTH: f64 = 1.0 / 64.0;

/// The density of every part at every node, for one grain of the page's clock. The same for both directions.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    density: Vec<[f32; PARTS]>,
}

/// What is known of one direction's waits.
#[derive(Debug, Clone)]
pub(super) struct Excess {
    prior: [f32; 4],
    shares: [f32; PARTS],
    log: [f32; NODES],
    pull: [f32; NODES],
    seen: [f32; NODES],
}

/// What one excess says of its floor: the first and second derivative of its log density, downwards.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pull {
    pub(super) log: f64,
    pub(super) force: f64,
    pub(super) stiffness: f64,
    /// The square of the force, which is as large as the stiffness where all is well.
    pub(super) square: f64,
}

impl Parts {
    pub(super) fn new(grain: Grain) -> Self {
        let mut new = Self { density: vec![[0.0; PARTS]; NODES] };
        new.suit(grain);
        new
    }

    /// Tables the densities for another grain.
    pub(super) fn suit(&mut self, grain: Grain) {
        for (j, row) in self.density.iter_mut().enumerate() {
            // A density that is nothing at the edge has no logarithm there.
            let y = if j == 0 { node(1) / 4.0 } else { node(j) };
            for (part, cell) in row.iter_mut().enumerate() {
                let (short, rise) = RISES_US[part / SCALES_US.len()];
                let wait = Wait([short, rise, SCALES_US[part % SCALES_US.len()]]);
                *cell = wait.smeared(y, grain) as f32;
            }
        }
    }
}

/// Exponential waits of these means, all different, one after the other.
struct Wait([f64; 3]);

impl Wait {
    fn smeared(&self, y: f64, grain: Grain) -> f64 {
        let q = grain.step_us.max(1.0);
        let density = match grain.kind {
            Kind::Fuzz => {
                (self.twice(y) - 2.0 * self.twice(y - q) + self.twice(y - 2.0 * q)) / (q * q)
            }
            Kind::Floor | Kind::Unknown => (self.once(y) - self.once(y - q)) / q,
        };
        density.max(1e-12)
    }

    /// The share of waits that are shorter.
    fn once(&self, x: f64) -> f64 {
        if x <= 0.0 { 0.0 } else { 1.0 - self.sum(|_, tail| tail, x) }
    }

    /// The integral of [`Self::once`].
    fn twice(&self, x: f64) -> f64 {
        if x <= 0.0 { 0.0 } else { x - self.sum(|mean, tail| mean * (1.0 - tail), x) }
    }

    /// Over the waits, each with its weight in the sum of all.
    fn sum(&self, each: impl Fn(f64, f64) -> f64, x: f64) -> f64 {
        let weight = |mean: f64| -> f64 {
            self.0
                .iter()
                .filter(|other| **other != mean)
                .map(|other| mean / (mean - other))
                .product()
        };
        self.0.iter().map(|mean| weight(*mean) * each(*mean, (-x / mean).exp())).sum()
    }
}

impl Excess {
    pub(super) fn new(parts: &Parts, prior: [f32; 4]) -> Self {
        let share = |part: usize| prior[part / SCALES_US.len()] / SCALES_US.len() as f32;
        let mut new = Self {
            prior,
            shares: std::array::from_fn(share),
            log: [0.0; NODES],
            pull: [0.0; NODES],
            seen: [0.0; NODES],
        };
        new.table(parts);
        new
    }

    /// The same shares of other parts.
    pub(super) fn suit(&mut self, parts: &Parts) {
        self.table(parts);
    }

    pub(super) fn forget_seen(&mut self) {
        self.seen = [0.0; NODES];
    }

    /// Counts an excess and says how it pulls.
    pub(super) fn see(&mut self, y: f64) -> Pull {
        if y < 0.0 {
            self.seen[0] += 1.0;
            let first = f64::from(self.pull[0]).min(0.0) - BARRIER_PER_US;
            return Pull {
                log: f64::from(self.log[0]) - y * first - BARRIER_GROWTH * y * y / 2.0,
                force: first + BARRIER_GROWTH * y,
                stiffness: BARRIER_GROWTH,
                square: BARRIER_GROWTH,
            };
        }
        let (j, over) = place(y);
        self.seen[j] += 1.0 - over;
        self.seen[j + 1] += over;
        let (low, high) = (self.pull[j], self.pull[j + 1]);
        let width = node(j + 1) - node(j);
        let (log, next) = (self.log[j], self.log[j + 1]);
        let force = f64::from(low + over * (high - low));
        Pull {
            log: f64::from(log + over * (next - log)),
            force,
            square: force * force,
            stiffness: f64::from((high - low).max(0.0)) / width,
        }
    }

    /// Learns the shares from what was counted: one step of expectation and maximisation.
    pub(super) fn learn(&mut self, parts: &Parts) {
        let mut counts: [f32; PARTS] = std::array::from_fn(|part| {
            PRIOR_COUNT * self.prior[part / SCALES_US.len()] / SCALES_US.len() as f32
        });
        for (row, seen) in parts.density.iter().zip(&self.seen) {
            let whole: f32 = row.iter().zip(&self.shares).map(|(p, w)| p * w).sum();
            if *seen > 0.0 && whole > 0.0 {
                let each = seen / whole;
                for ((count, p), w) in counts.iter_mut().zip(row).zip(&self.shares) {
                    *count += p * w * each;
                }
            }
        }
        let total: f32 = counts.iter().sum();
        self.shares = counts.map(|count| count / total);
        self.table(parts);
    }

    /// How far apart the lowest few lie.
    pub(super) fn gap(&self) -> f64 {
        let mut sum = 0.0;
        let is_past = |seen: &f32| {
            sum += seen;
            sum >= GAPS
        };
        let total: f32 = self.seen.iter().sum();
        let over = self.seen.iter().position(is_past).unwrap_or(NODES - 1);
        node(over) / f64::from(total.clamp(1.0, GAPS))
    }

    fn table(&mut self, parts: &Parts) {
        for (log, row) in self.log.iter_mut().zip(&parts.density) {
            let whole: f32 = row.iter().zip(&self.shares).map(|(p, w)| p * w).sum();
            *log = whole.max(1e-30).ln();
        }
        for j in 0..NODES {
            let (low, high) = (j.saturating_sub(1), (j + 1).min(NODES - 1));
            self.pull[j] = -(self.log[high] - self.log[low]) / (node(high) - node(low)) as f32;
        }
    }
}

/// The excess at a node.
fn node(j: usize) -> f64 {
    let octave = (1u32 << (j / PER_OCTAVE)) as f64;
    FIRST_US * (octave * (1.0 + (j % PER_OCTAVE) as f64 / PER_OCTAVE as f64) - 1.0)
}

/// The node below, and how far it is to the next. An octave of nodes is an exponent of the float, the nodes in it
/// divide its fraction, so the bits say it without a logarithm.
fn place(y: f64) -> (usize, f32) {
    let one = 1.0f32.to_bits();
    let bits = ((1.0 + y / FIRST_US) as f32).to_bits().saturating_sub(one);
    let x = bits as f32 * (PER_OCTAVE as f32 / (1u32 << 23) as f32);
    let j = (x as usize).min(NODES - 2);
    (j, (x - j as f32).min(1.0))
}
