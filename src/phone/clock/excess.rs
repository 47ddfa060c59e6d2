//! How long packets wait beyond the shortest time that their way allows.
//!
//! In: the excesses that were seen. Out: how likely an excess is, and how hard it pulls on the floor beneath it.
//! Never: which direction, which clock.
//!
//! A wait is a sum of waits (a turn on the air, a queue, the page's own event loop), each roughly exponential, so
//! that its density begins at zero, rises within tens of microseconds and falls with a tail that no single
//! scale describes. We take a mixture of sums of three exponentials, two short (the rise), one long (the scale),
//! whose shares are learnt from what was seen, and smear it with what the page's clock rounds away: rounding down
//! adds up to a step to the way there and takes up to a step from the way back, fuzz either to both. The naive way
//! takes the lowest as the floor: it lies above it by what the luckiest packet waited, and not equally in both
//! directions.

use std::fmt;

use super::grain::{Grain, Kind};
use super::work::{Work, cost};

/// Nodes at which densities are tabled: eight to the octave above [`FIRST_US`].
const NODES: usize = 15 * PER_OCTAVE + 1;
const PER_OCTAVE: usize = 8;
const FIRST_US: f64 = 8.0;
/// From a machine that answers at once to a page that looks up from its work, and from a wire to a lost packet
/// that is sent again. No two are equal: the sum of exponentials of one mean has another formula.
const RISES_US: [(f64, f64); RISES] = [(3.0, 5.0), (5.0, 15.0), (18.0, 45.0), (35.0, 110.0)];
const SCALES_US: [f64; 11] =
    [25.0, 60.0, 150.0, 350.0, 800.0, 2_000.0, 5_000.0, 12_000.0, 30_000.0, 80_000.0, 250_000.0];
const RISES: usize = 4;
const PARTS: usize = RISES * SCALES_US.len();
/// What is believed before anything was seen weighs as much as so many packets.
const PRIOR_COUNT: f32 = 20.0;
/// The share of each rise. Going there a kernel stamps the packet; coming back the page must first take its turn.
pub(super) const UP: [f32; RISES] = [0.35, 0.4, 0.2, 0.05];
pub(super) const DOWN: [f32; RISES] = [0.05, 0.15, 0.4, 0.4];
/// As many gaps as make a fair mean, and lie near the floor.
const GAPS: f32 = 4.0;
/// Below the floor there is nothing. A pull that begins stronger than any wait's, and grows with the distance, brings
/// a floor that is too high down in a step or two without throwing the fit across the room.
const BARRIER_PER_US: f64 = 0.25;
const BARRIER_GROWTH: f64 = 1.0 / 64.0;

/// The density of every part at every node, for one grain of the page's clock. The same for both directions.
#[derive(Clone)]
pub(super) struct Parts {
    density: Vec<[f32; PARTS]>,
    /// The first node that is not tabled yet.
    next: usize,
}

/// What is known of one direction's waits.
#[derive(Clone)]
pub(super) struct Excess {
    prior: [f32; RISES],
    shares: [f32; PARTS],
    log: [f32; NODES],
    pull: [f32; NODES],
    stiff: [f32; NODES],
    seen: [f32; NODES],
    lesson: Lesson,
}

/// One step of expectation and maximisation under way.
#[derive(Clone)]
struct Lesson {
    seen: [f32; NODES],
    counts: [f32; PARTS],
    log: [f32; NODES],
    /// The node that is next: first through all that was seen, then through the new table.
    next: usize,
}

/// Where a lesson is only tabled any more, and where it is over.
const TABLING: usize = NODES;
const OVER: usize = 2 * NODES;

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
        let mut new = Self { density: vec![[0.0; PARTS]; NODES], next: 0 };
        new.work(grain, &mut Work::unhurried());
        new
    }

    /// Another grain asks for other densities.
    pub(super) fn suit(&mut self) {
        self.next = 0;
    }

    pub(super) fn is_busy(&self) -> bool {
        self.next < NODES
    }

    /// Tables on; says when it is done.
    pub(super) fn work(&mut self, grain: Grain, work: &mut Work) -> bool {
        if !self.is_busy() {
            return false;
        }
        let end = self.next + work.steps(NODES - self.next, cost::DENSITIES);
        for j in self.next..end {
            // A density that is nothing at the edge has no logarithm there.
            let y = if j == 0 { node(1) / 4.0 } else { node(j) };
            self.density[j] = densities(y, grain);
        }
        self.next = end;
        !self.is_busy()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts") // thousands of numbers that follow from the grain
    }
}

/// The density of every part at `y`, smeared by what the page's clock rounds away.
///
/// A sum of exponential waits of different means is a weighted sum of exponentials, and so are its integrals: the
/// share of waits that are shorter, and the integral of that.
fn densities(y: f64, grain: Grain) -> [f32; PARTS] {
    #[cfg(test)]
    super::work::done::count(cost::DENSITIES);
    let q = grain.step_us.max(1.0);
    let is_fuzz = grain.kind == Kind::Fuzz;
    // Rounding down smears a density over one step; up and down, over two like a roof.
    let smeared = |mean: f64| {
        let past = |x: f64| if x <= 0.0 { 0.0 } else { 1.0 - (-x / mean).exp() };
        let ramp = |x: f64| if x <= 0.0 { 0.0 } else { x - mean * past(x) };
        match is_fuzz {
            true => (ramp(y) - 2.0 * ramp(y - q) + ramp(y - 2.0 * q)) / (q * q),
            false => (past(y) - past(y - q)) / q,
        }
    };
    let scales = SCALES_US.map(smeared);
    let rises = RISES_US.map(|(short, rise)| (smeared(short), smeared(rise)));
    std::array::from_fn(|part| {
        let (k, l) = (part / SCALES_US.len(), part % SCALES_US.len());
        let ((a, b), c) = (RISES_US[k], SCALES_US[l]);
        let density = weight(a, b, c) * rises[k].0
            + weight(b, a, c) * rises[k].1
            + weight(c, a, b) * scales[l];
        density.max(1e-12) as f32
    })
}

/// The share of the exponential of this mean in the sum of it and two others.
fn weight(mean: f64, other: f64, third: f64) -> f64 {
    mean / (mean - other) * (mean / (mean - third))
}

impl Excess {
    pub(super) fn new(parts: &Parts, prior: [f32; RISES]) -> Self {
        let share = |part: usize| prior[part / SCALES_US.len()] / SCALES_US.len() as f32;
        let mut new = Self {
            prior,
            shares: std::array::from_fn(share),
            log: [0.0; NODES],
            pull: [0.0; NODES],
            stiff: [0.0; NODES],
            seen: [0.0; NODES],
            lesson: Lesson {
                seen: [0.0; NODES],
                counts: [0.0; PARTS],
                log: [0.0; NODES],
                next: TABLING,
            },
        };
        new.work(parts, &mut Work::unhurried());
        new
    }

    /// The parts are others: the same shares of them.
    pub(super) fn suit(&mut self) {
        self.lesson.next = TABLING;
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
        let (log, next) = (self.log[j], self.log[j + 1]);
        let force = f64::from(low + over * (high - low));
        Pull {
            log: f64::from(log + over * (next - log)),
            force,
            square: force * force,
            stiffness: f64::from(self.stiff[j]),
        }
    }

    /// Begins to learn the shares from what was counted, unless it is still at what was counted before.
    pub(super) fn learn(&mut self) {
        if self.is_busy() {
            return;
        }
        self.lesson.seen = self.seen;
        self.lesson.counts = std::array::from_fn(|part| {
            PRIOR_COUNT * self.prior[part / SCALES_US.len()] / SCALES_US.len() as f32
        });
        self.lesson.next = 0;
    }

    pub(super) fn is_busy(&self) -> bool {
        self.lesson.next < OVER
    }

    /// Learns on. What pulls stays as it was until all is learnt.
    pub(super) fn work(&mut self, parts: &Parts, work: &mut Work) {
        while self.is_busy() {
            let j = self.lesson.next;
            let is_blank = j < TABLING && self.lesson.seen[j] == 0.0;
            if !is_blank && !work.step(cost::NODE) {
                return;
            }
            self.lesson.next += 1;
            match j {
                _ if is_blank => {}
                0..TABLING => self.lesson.hear(j, &self.shares, &parts.density[j]),
                _ => self.lesson.log[j - TABLING] = log(&self.shares, &parts.density[j - TABLING]),
            }
            match self.lesson.next {
                TABLING => self.shares = self.lesson.shares(),
                OVER => self.table(),
                _ => {}
            }
        }
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

    fn table(&mut self) {
        self.log = self.lesson.log;
        for j in 0..NODES {
            let (low, high) = (j.saturating_sub(1), (j + 1).min(NODES - 1));
            self.pull[j] = -(self.log[high] - self.log[low]) / (node(high) - node(low)) as f32;
        }
        for j in 0..NODES - 1 {
            let rise = (self.pull[j + 1] - self.pull[j]).max(0.0);
            self.stiff[j] = rise / (node(j + 1) - node(j)) as f32;
        }
    }
}

impl Lesson {
    /// To which parts the waits at a node belong.
    fn hear(&mut self, j: usize, shares: &[f32; PARTS], row: &[f32; PARTS]) {
        #[cfg(test)]
        super::work::done::count(cost::NODE);
        let whole: f32 = row.iter().zip(shares).map(|(p, w)| p * w).sum();
        if whole > 0.0 {
            let each = self.seen[j] / whole;
            for ((count, p), w) in self.counts.iter_mut().zip(row).zip(shares) {
                *count += p * w * each;
            }
        }
    }

    fn shares(&self) -> [f32; PARTS] {
        let total: f32 = self.counts.iter().sum();
        self.counts.map(|count| count / total)
    }
}

fn log(shares: &[f32; PARTS], row: &[f32; PARTS]) -> f32 {
    #[cfg(test)]
    super::work::done::count(cost::NODE);
    let whole: f32 = row.iter().zip(shares).map(|(p, w)| p * w).sum();
    whole.max(1e-30).ln()
}

impl fmt::Debug for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Excess").field("shares", &self.shares).finish_non_exhaustive()
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
